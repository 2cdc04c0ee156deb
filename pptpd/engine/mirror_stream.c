/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the stream does to the copy: records, marks, counters, snapshots. Transmit keys are stepped
 * to their marks at once, a bounded way; receive keys follow their counters little by little, for
 * they go as far as the clients send.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/data/keygate.h"
#include "pptpd/engine/mirror_internal.h"

#define STEPS_MAX 8192      /* keys of the transmit half that one record may skip */
#define RX_AHEAD  (1 << 20) /* numbers that a client may have sent between two looks at it */

int
mirror_put_connection(struct mirror *m, struct rd *in)
{
	struct connection_record r;
	const uint8_t *bytes = in->p;
	struct session_node *s, *next;
	struct conn_node *c;
	uint32_t peer_ip;
	uint64_t id;

	if (connection_record_decode(&r, in) < 0)
		return -1;
	id = r.id;
	peer_ip = r.tcp.peer_ip;
	connection_record_wipe(&r);
	c = mirror_find_conn(m, id);
	if (c == NULL && (c = mirror_new_conn(m, id)) == NULL)
		return -1;
	if (mirror_keep_record(m, &c->c.record, &c->c.len, bytes, (size_t)(in->p - bytes)) < 0) {
		if (c->c.record == NULL)
			mirror_free_conn(m, c);
		return -1;
	}
	c->seen = true;
	if (c->c.peer_ip != peer_ip) {
		TAILQ_FOREACH(s, &c->sessions, sibling)
		mirror_retract(m, s);
		c->c.peer_ip = peer_ip;
	}
	for (s = TAILQ_FIRST(&m->orphans); s != NULL; s = next) {
		next = TAILQ_NEXT(s, sibling);
		if (s->s.connection == id)
			mirror_join(m, s, c);
	}
	TAILQ_FOREACH(s, &c->sessions, sibling)
	{
		s->s.peer_ip = peer_ip;
		mirror_announce(m, s);
	}
	return 0;
}

static bool
has_moved(const struct record_counters *was, const struct record_counters *is)
{
	return was->tx_seq != is->tx_seq || was->rx_seq != is->rx_seq ||
	       was->rx_index != is->rx_index;
}

/* Whether its receive key has a way to go. */
static void
note_lag(struct mirror *m, struct session_node *s)
{
	bool lagging = s->s.rx.index < s->s.counters.rx_index;

	if (lagging == s->lagging)
		return;
	s->lagging = lagging;
	if (lagging)
		TAILQ_INSERT_TAIL(&m->behind, s, lag);
	else
		TAILQ_REMOVE(&m->behind, s, lag);
}

bool
mirror_step(struct mirror *m, unsigned keys)
{
	struct session_node *s;

	while (keys > 0 && (s = TAILQ_FIRST(&m->behind)) != NULL) {
		uint64_t left = s->s.counters.rx_index - s->s.rx.index;
		unsigned n = left < keys ? (unsigned)left : keys;

		mppe_step(&s->s.rx, s->s.rx.index + n);
		keys -= n;
		note_lag(m, s);
	}
	return !TAILQ_EMPTY(&m->behind);
}

static void
load_session(struct mirror_session *s, const struct session_record *r)
{
	s->connection = r->connection;
	s->call_id = r->call.call_id;
	s->address = r->ppp.addresses.peer_ip;
	s->stale = false;
	s->seen = true;
	s->mark = r->mark;
	record_get_key(&s->tx, &r->mppe_tx);
	mppe_step(&s->tx, r->mark.index);
	record_get_key(&s->rx, &r->mppe_rx);
	s->counters = (struct record_counters){
	    .id = r->id,
	    .tx_seq = r->call.tx_seq,
	    .tx_acked = r->call.tx_acked,
	    .rx_seq = r->call.rx_seq,
	    .rx_any = r->call.rx_any,
	    .tx_any_ack = r->call.tx_any_ack,
	    .rx_index = r->mppe_rx.index,
	    .accounting = r->accounting,
	};
}

static int
put_session(struct mirror *m, const struct session_record *r, const uint8_t *bytes, size_t len,
    uint64_t now_ms)
{
	struct session_node *s = mirror_find_session(m, r->id);
	struct record_counters was = s != NULL ? s->s.counters : (struct record_counters){0};
	bool known = s != NULL && !m->snapshot;

	if (r->mark.index - r->mppe_tx.index > STEPS_MAX) {
		errno = EPROTO;
		return -1;
	}
	if (s == NULL && (s = mirror_new_session(m, r->id)) == NULL)
		return -1;
	if (mirror_keep_record(m, &s->s.record, &s->s.len, bytes, len) < 0) {
		if (s->s.record == NULL)
			mirror_free_session(m, s);
		return -1;
	}
	if (s->s.call_id != r->call.call_id || s->s.address != r->ppp.addresses.peer_ip ||
	    s->s.connection != r->connection)
		mirror_retract(m, s);
	load_session(&s->s, r);
	note_lag(m, s);
	if (known && has_moved(&was, &s->s.counters))
		s->s.moved_ms = now_ms;
	mirror_join(m, s, mirror_find_conn(m, r->connection));
	mirror_announce(m, s);
	return 0;
}

int
mirror_put_session(struct mirror *m, struct rd *in, uint64_t now_ms)
{
	struct session_record r;
	const uint8_t *bytes = in->p;
	int result;

	if (session_record_decode(&r, in) < 0)
		return -1;
	result = put_session(m, &r, bytes, (size_t)(in->p - bytes), now_ms);
	session_record_wipe(&r);
	return result;
}

void
mirror_drop_connection(struct mirror *m, uint64_t id)
{
	struct conn_node *c = mirror_find_conn(m, id);

	if (c != NULL)
		mirror_remove_conn(m, c);
}

void
mirror_drop_session(struct mirror *m, uint64_t id)
{
	struct session_node *s = mirror_find_session(m, id);

	if (s != NULL)
		mirror_remove_session(m, s);
}

int
mirror_mark(struct mirror *m, uint64_t id, const struct record_mark *mark, uint64_t now_ms)
{
	struct session_node *s = mirror_find_session(m, id);

	if (s == NULL)
		return 0;
	if ((int32_t)(mark->seq - s->s.mark.seq) < 0 || mark->index < s->s.mark.index ||
	    mark->index - s->s.mark.index > MIRROR_MARK_STEPS || mark->open > KEYS_ALL) {
		errno = EPROTO;
		return -1;
	}
	if (mark->seq != s->s.mark.seq)
		s->s.moved_ms = now_ms;
	s->s.mark = *mark;
	mppe_step(&s->s.tx, mark->index);
	return 0;
}

int
mirror_count(struct mirror *m, const struct record_counters *c, uint64_t now_ms)
{
	struct session_node *s = mirror_find_session(m, c->id);
	struct record_counters was;

	if (s == NULL)
		return 0;
	was = s->s.counters;
	if (c->rx_index > was.rx_index + RX_AHEAD) {
		errno = EPROTO;
		return -1;
	}
	s->s.counters = *c;
	s->s.counters.accounting.started_ms = was.accounting.started_ms;
	/* Counted before new keys were set, heard after: the record knows better. */
	if (c->rx_index < was.rx_index)
		s->s.counters.rx_index = was.rx_index;
	if (has_moved(&was, &s->s.counters))
		s->s.moved_ms = now_ms;
	note_lag(m, s);
	return 0;
}

void
mirror_begin(struct mirror *m)
{
	struct session_node *s;
	struct conn_node *c;

	m->snapshot = true;
	TAILQ_FOREACH(s, &m->sessions, entry)
	s->s.seen = false;
	TAILQ_FOREACH(c, &m->conns, entry)
	c->seen = false;
}

void
mirror_end(struct mirror *m)
{
	struct session_node *s, *next;
	struct conn_node *c, *next_conn;

	m->snapshot = false;
	for (s = TAILQ_FIRST(&m->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->s.seen)
			mirror_remove_session(m, s);
	}
	for (c = TAILQ_FIRST(&m->conns); c != NULL; c = next_conn) {
		next_conn = TAILQ_NEXT(c, entry);
		if (!c->seen)
			mirror_remove_conn(m, c);
	}
}

void
mirror_stale(struct mirror *m)
{
	struct session_node *s;

	TAILQ_FOREACH(s, &m->sessions, entry)
	s->s.stale = true;
}

void
mirror_adopted(struct mirror *m, uint64_t id)
{
	struct session_node *s = mirror_find_session(m, id);

	if (s != NULL)
		s->adopted = true;
}
