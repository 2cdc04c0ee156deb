/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An end of the replica with an owner that does as the engine does: sessions that send below their
 * gates, connections that wait. What an end says lies in `out` until a test carries it over.
 */
#ifndef TESTS_REPLICA_ENDS_H
#define TESTS_REPLICA_ENDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"
#include "pptpd/engine/replica_wire.h"
#include "tests/unit/record_sample.h"

#define END_SESSIONS 1200

struct end_session {
	struct replica_session rs; /* first */
	struct mppe tx;
	uint32_t next;
	struct keygate gate; /* of the transmit half */
	uint32_t low_water;
	bool asked, spent, low_said;
	uint32_t ahead;
	uint32_t skip_seq, acked; /* skip_seq: of the next export; 0 = nothing to skip */
	uint64_t skip_index;
};

struct end_connection {
	struct replica_connection rc; /* first */
	uint32_t echo_id, echo_told;  /* told: in the newest record */
	unsigned committed;
};

struct end {
	struct loop *loop;
	struct replica *r;
	bool open, peer_told;
	uint8_t *out;
	size_t out_len, out_size;
	unsigned hung_up, spoken, changed, exports, came, went;
	uint64_t yielded;
	bool lazy; /* exports are answered by end_export() only */
	char why[160];
	/* of a handover */
	bool unable; /* it cannot be promoted */
	unsigned takes, given[REPLICA_GIVEN_OVER + 1], relays;
	char given_why[160], relayed[64];
	enum replica_relay_kind relayed_kind;
	uint64_t relayed_connection;
	struct end_session s[END_SESSIONS];
	struct end_connection c[4];
};

static inline void
end_send(void *arg, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;

	if (e->out_len + len > e->out_size) {
		e->out_size = 2 * (e->out_len + len);
		e->out = realloc(e->out, e->out_size);
	}
	memcpy(e->out + e->out_len, bytes, len);
	e->out_len += len;
}

static inline void
end_hang_up(void *arg, const char *why)
{
	struct end *e = arg;

	e->open = false;
	e->hung_up++;
	if (why != NULL) {
		e->spoken++;
		snprintf(e->why, sizeof e->why, "%s", why);
	}
}

/* dp_export(), and the record that the engine makes of what it reports. */
static inline void
end_export(struct end *e, struct end_session *s)
{
	struct session_record r = sample_session(s->rs.id, 10);
	const struct keygate *g = &s->gate;

	s->asked = false;
	e->exports++;
	if (s->skip_seq != 0) {
		s->next = s->skip_seq;
		mppe_step(&s->tx, s->skip_index);
		s->skip_seq = 0;
	}
	s->gate = keygate_limit(g, s->next, s->tx.index, s->ahead);
	s->low_said = false;
	r.call.tx_seq = s->next;
	r.mppe_tx.index = s->tx.index;
	memcpy(r.mppe_tx.master, s->tx.master, 16);
	memcpy(r.mppe_tx.session, s->tx.session, 16);
	r.mark = (struct record_mark){g->mark_seq, g->mark_index, g->low};
	replica_exported(e->r, &s->rs, &r);
}

static inline void
end_op_export(void *arg, struct replica_session *rs, uint32_t ahead, uint32_t low_water)
{
	struct end *e = arg;
	struct end_session *s = (struct end_session *)rs;

	s->asked = true;
	s->ahead = ahead;
	s->low_water = low_water;
	if (!e->lazy)
		end_export(e, s);
}

static inline void
end_op_connection(void *arg, struct replica_connection *rc, struct connection_record *r)
{
	struct end_connection *c = (struct end_connection *)rc;

	(void)arg;
	*r = sample_connection(rc->id);
	r->echo_id = c->echo_told = c->echo_id;
}

static inline bool
end_op_counters(void *arg, struct replica_session *rs, struct record_counters *c)
{
	struct end_session *s = (struct end_session *)rs;

	(void)arg;
	c->tx_seq = s->next;
	c->rx_index = 77;
	return s->next % 2 == 1; /* an odd number has moved, in these tests */
}

static inline bool
end_op_stands(void *arg, struct replica_session *rs, struct replica_stand *out)
{
	const struct end_session *s = (const struct end_session *)rs;

	(void)arg;
	*out = (struct replica_stand){.id = rs->id,
	    .seq = s->next,
	    .index = s->tx.index,
	    .any_acked = s->acked != 0,
	    .acked = s->acked};
	return true;
}

static inline void
end_op_skip(void *arg, struct replica_session *rs, uint32_t seq, uint64_t index)
{
	struct end_session *s = (struct end_session *)rs;

	(void)arg;
	s->skip_seq = seq;
	s->skip_index = index;
}

static inline void
end_op_set_gate(void *arg, struct replica_session *rs, const struct keygate *g, uint32_t low_water)
{
	struct end_session *s = (struct end_session *)rs;

	(void)arg;
	s->gate = *g;
	s->low_water = low_water;
	s->low_said = false;
}

static inline void
end_op_committed(void *arg, struct replica_connection *rc)
{
	(void)arg;
	((struct end_connection *)rc)->committed++;
}

static inline void
end_op_spent(void *arg, struct replica_session *rs)
{
	struct end *e = arg;

	((struct end_session *)rs)->spent = true;
	replica_remove(e->r, rs);
}

static inline void
end_op_yield(void *arg, uint64_t epoch)
{
	((struct end *)arg)->yielded = epoch;
}

static inline void
end_op_changed(void *arg)
{
	((struct end *)arg)->changed++;
}

static inline void
end_on_session(void *arg, const struct mirror_session *s)
{
	(void)s;
	((struct end *)arg)->came++;
}

static inline void
end_on_gone(void *arg, const struct mirror_session *s)
{
	(void)s;
	((struct end *)arg)->went++;
}

/* Promoted: every session of the copy goes on, in order. */
static inline void
end_take_over(struct end *e, uint64_t epoch)
{
	const struct mirror_session *m = NULL;
	struct session_record r;
	struct end_session *s = e->s;

	replica_promote(e->r, epoch);
	while ((m = mirror_next_session(replica_mirror(e->r), m)) != NULL) {
		memset(s, 0, sizeof *s);
		if (mirror_session_record(m, &r) < 0 || !replica_adopt(e->r, &s->rs, m, &s->gate))
			continue;
		s->next = r.call.tx_seq;
		memcpy(s->tx.master, r.mppe_tx.master, 16);
		memcpy(s->tx.session, r.mppe_tx.session, 16);
		s->tx.index = r.mppe_tx.index;
		s++;
	}
	replica_continued(e->r);
}

static inline bool
end_take(void *arg, uint64_t epoch)
{
	struct end *e = arg;

	if (e->unable)
		return false;
	e->takes++;
	end_take_over(e, epoch);
	return true;
}

static inline void
end_given(void *arg, enum replica_given how, const char *why)
{
	struct end *e = arg;

	e->given[how]++;
	snprintf(e->given_why, sizeof e->given_why, "%s", why != NULL ? why : "");
}

static inline void
end_relayed(
    void *arg, enum replica_relay_kind kind, uint64_t connection, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;

	e->relays++;
	e->relayed_kind = kind;
	e->relayed_connection = connection;
	snprintf(e->relayed, sizeof e->relayed, "%.*s", (int)len, (const char *)bytes);
}

static inline struct end *
end_new(struct loop *l, const char *node, uint32_t boot_id)
{
	static const struct replica_ops ops = {
	    .send = end_send,
	    .hang_up = end_hang_up,
	    .export = end_op_export,
	    .connection = end_op_connection,
	    .counters = end_op_counters,
	    .set_gate = end_op_set_gate,
	    .stands = end_op_stands,
	    .skip = end_op_skip,
	    .committed = end_op_committed,
	    .spent = end_op_spent,
	    .yield = end_op_yield,
	    .changed = end_op_changed,
	    .take = end_take,
	    .given = end_given,
	    .relayed = end_relayed,
	    .mirror = {.on_session = end_on_session, .on_gone = end_on_gone},
	};
	struct replica_config c = {.boot_id = boot_id};
	struct end *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	snprintf(c.node, sizeof c.node, "%s", node);
	e->loop = l;
	e->r = replica_new(l, &c, &ops, e);
	return e;
}

static inline void
end_free(struct end *e)
{
	replica_free(e->r);
	free(e->out);
	free(e);
}

/* Session number n is up, as a new one. */
static inline struct end_session *
end_add(struct end *e, unsigned n)
{
	static const uint8_t start[16] = {1, 2, 3};
	struct end_session *s = &e->s[n];

	memset(s, 0, sizeof *s);
	mppe_init(&s->tx, start);
	s->gate = keygate_free(KEYS_ALL);
	replica_add(e->r, &s->rs, n + 1);
	return s;
}

/* One packet as pptpd/data sends it; false: it must wait. */
static inline bool
end_transmit(struct end *e, struct end_session *s)
{
	uint64_t index = keygate_index(&s->gate, s->tx.index);
	bool may = index != KEYGATE_SHUT && keygate_number(&s->gate, s->next);

	if (may) {
		mppe_step(&s->tx, index + 1);
		s->next++;
	}
	if (!s->low_said && keygate_left(&s->gate, s->next) < s->low_water) {
		s->low_said = true;
		replica_low(e->r, &s->rs, s->next, s->tx.index);
	}
	return may;
}

/* Packets until it must wait, or max. */
static inline unsigned
end_burst(struct end *e, struct end_session *s, unsigned max)
{
	unsigned n = 0;

	while (n < max && end_transmit(e, s))
		n++;
	return n;
}

static inline void
end_connect(struct end *a, struct end *b)
{
	a->open = b->open = true;
	a->peer_told = b->peer_told = false;
	a->out_len = b->out_len = 0;
	replica_connected(a->r);
	replica_connected(b->r);
}

/* What `from` has said reaches `to`; and that it has hung up, if so. */
static inline void
end_carry(struct end *from, struct end *to)
{
	uint8_t *bytes = from->out;
	size_t len = from->out_len;

	from->out = NULL;
	from->out_len = from->out_size = 0;
	if (to->open && len > 0)
		replica_input(to->r, bytes, len);
	free(bytes);
	if (!from->open && to->open && !from->peer_told) {
		from->peer_told = true;
		to->open = false;
		replica_disconnected(to->r, "closed by the peer");
	}
}

/* Both ways, for so many ms. */
static inline void
end_run(struct end *a, struct end *b, unsigned ms)
{
	for (unsigned i = 0; i <= ms; i++) {
		end_carry(a, b);
		end_carry(b, a);
		loop_advance(a->loop, i < ms ? 1 : 0);
	}
	end_carry(a, b);
	end_carry(b, a);
}

static inline struct replica_status
end_status(const struct end *e)
{
	struct replica_status s;

	replica_get_status(e->r, &s);
	return s;
}

#endif
