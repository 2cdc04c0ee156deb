/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine of the simulation: who owns the replica, its sessions and their workers. A worker does
 * what it is told late, but in order; what it reports comes late as well.
 */
#ifndef TESTS_TAKEOVER_ENGINE_H
#define TESTS_TAKEOVER_ENGINE_H

#include "tests/unit/takeover/client.h"

static void stream_send(struct node *n, const uint8_t *bytes, size_t len);
static void stream_close(struct node *n);

static struct replica_status
status_of(const struct node *n)
{
	struct replica_status st = {0};

	if (n->r != NULL)
		replica_get_status(n->r, &st);
	return st;
}

static bool
serves(const struct node *n)
{
	return n->engine_up && !n->frozen && status_of(n).state != REPLICA_STANDBY;
}

/* ---- the worker ---- */

static void
command(struct esession *s, struct command c)
{
	if (s->n_commands == QUEUE) {
		broken(s->node->w, "a worker's ring is full");
		return;
	}
	s->commands[s->n_commands++] = c;
}

static void
reply(struct esession *s, bool exported)
{
	if (s->n_replies == QUEUE) {
		broken(s->node->w, "a worker's answers are not read");
		return;
	}
	s->replies[s->n_replies++] =
	    (struct reply){.exported = exported, .next = s->gre.next, .tx = s->tx, .gate = s->gate};
}

/* dp_export() */
static void
worker_export(struct esession *s, const struct command *c)
{
	if (c->skip && (int32_t)(c->skip_seq - s->gre.next) > 0)
		s->gre.next = c->skip_seq;
	if (c->skip && c->skip_index > s->tx.index)
		mppe_step(&s->tx, c->skip_index);
	s->gate = keygate_limit(&s->gate, s->gre.next, s->tx.index, c->ahead);
	s->low_water = c->low_water;
	s->low_said = false;
	reply(s, true);
}

static void
worker_commands(struct esession *s)
{
	for (unsigned i = 0; i < s->n_commands; i++) {
		const struct command *c = &s->commands[i];

		if (c->export) {
			worker_export(s, c);
			continue;
		}
		s->gate = c->gate;
		s->low_water = c->low_water;
		s->low_said = false;
	}
	s->n_commands = 0;
}

static void
worker_look(struct esession *s)
{
	uint64_t left = keygate_left(&s->gate, s->gre.next), keys;

	if (s->gate.high == KEYS_NONE) {
		keys = s->gate.mark_index > s->tx.index ? s->gate.mark_index - s->tx.index : 0;
		keys /= s->gate.low == KEYS_ALL ? 1 : 2;
		left = keys < left ? keys : left;
	}
	if (s->low_said || left >= s->low_water)
		return;
	s->low_said = true;
	reply(s, false);
}

/* One frame to the client, with a key or (LCP) without; it is dropped where the gate is shut. */
static void
worker_transmit(struct esession *s, bool data)
{
	struct node *n = s->node;
	struct frame f = {.sid = s->sid, .gen = s->gen, .node = n->n, .data = data};
	uint64_t index = keygate_index(&s->gate, s->tx.index);

	if (!keygate_number(&s->gate, s->gre.next) || (data && index == KEYGATE_SHUT))
		return;
	if (data) {
		mppe_step(&s->tx, index);
		f.index = index;
		memcpy(f.key, s->tx.session, sizeof f.key);
		mppe_step(&s->tx, index + 1);
	}
	f.number = gre_tx_data(&s->gre, &s->ack, 1).seq;
	net_send(n->w, &f);
}

static void
worker_run(struct esession *s)
{
	struct world *w = s->node->w;

	if (chance(w, 4) != 0)
		worker_commands(s);
	if (!s->node->frozen && chance(w, s->node->slow ? 1000 : 100) < w->rate_percent)
		for (uint64_t burst = w->burst + chance(w, chance(w, 60) == 0 ? 100 : 2); burst > 0;
		     burst--)
			worker_transmit(s, chance(w, 16) != 0);
	worker_look(s);
}

/* The bound of its jumps: L and B of a fast session are higher. */
static void
note_ahead(struct node *n, const struct replica_session *rs)
{
	struct client *c = &n->w->c[((const struct esession *)rs)->sid];

	if (rs->ahead > c->ahead_max)
		c->ahead_max = rs->ahead;
}

static void
answers_run(struct esession *s)
{
	struct reply r[QUEUE];
	unsigned n = s->n_replies;

	if (n == 0 || chance(s->node->w, 3) == 0)
		return;
	memcpy(r, s->replies, n * sizeof r[0]);
	s->n_replies = 0;
	for (unsigned i = 0; i < n && s->live; i++) {
		struct session_record rec = sample_session(1, 1);

		if (!r[i].exported) {
			if (s->rs.member)
				replica_low(s->node->r, &s->rs, r[i].next, r[i].tx.index);
			note_ahead(s->node, &s->rs);
			continue;
		}
		if (--s->exports > 0 || !s->rs.member)
			continue;
		rec.id = s->id;
		rec.connection = s->id;
		rec.call.call_id = (uint16_t)(1 + s->sid);
		rec.call.serial = (uint16_t)s->gen;
		rec.call.tx_seq = r[i].next;
		rec.ppp.addresses.peer_ip = s->sid;
		memcpy(rec.mppe_tx.master, r[i].tx.master, 16);
		memcpy(rec.mppe_tx.session, r[i].tx.session, 16);
		rec.mppe_tx.index = r[i].tx.index;
		rec.mark =
		    (struct record_mark){r[i].gate.mark_seq, r[i].gate.mark_index, r[i].gate.low};
		replica_exported(s->node->r, &s->rs, &rec);
	}
}

/* ---- sessions ---- */

static void
session_off(struct esession *s)
{
	if (!s->live)
		return;
	if (s->node->r != NULL) {
		replica_closing(s->node->r, &s->rs);
		replica_remove(s->node->r, &s->rs);
		replica_remove_connection(s->node->r, &s->rc);
		replica_ended(s->node->r, &s->rs,
		    &(struct replica_stand){.seq = s->gre.next,
			.index = s->tx.index,
			.any_acked = s->any_acked,
			.acked = s->acked});
	}
	memset(s, 0, sizeof *s);
}

static struct esession *
session_on(struct node *n, unsigned sid, uint64_t id)
{
	struct esession *s = &n->s[sid];

	session_off(s);
	*s = (struct esession){.node = n, .live = true, .sid = sid, .id = id};
	s->gate = keygate_free(KEYS_ALL);
	return s;
}

/* New keys, that only this gateway and the client have. */
static void
session_keys(struct node *n, struct esession *s)
{
	struct client *c = &n->w->c[s->sid];
	uint8_t start[16];

	for (unsigned i = 0; i < 16; i++)
		start[i] = (uint8_t)chance(n->w, 256);
	mppe_init(&s->tx, start);
	client_keys(n->w, c, start, s->gre.next);
	s->gen = c->gen;
}

/* A client dials, logs in, and is up. */
static void
session_login(struct node *n, unsigned sid)
{
	struct client *c = &n->w->c[sid];
	struct esession *s =
	    session_on(n, sid, ((uint64_t)n->boots << 16) + (n->n << 12) + (c->gen << 4) + sid + 1);

	s->gre.next = chance(n->w, 4) == 0 ? (uint32_t)-200 : (uint32_t)chance(n->w, 1000);
	c->up = true;
	c->told = false;
	c->ahead_max = REPLICA_AHEAD;
	c->echo_told = c->guaranteed = c->echo_next = 0;
	session_keys(n, s);
	replica_add_connection(n->r, &s->rc, s->id);
	replica_add(n->r, &s->rs, s->id);
	trace(n->w, "%s: session %u up, set %u", n->name, sid, s->gen);
}

/* LCP starts over: link_keys(), then link_up() of the engine. */
static void
session_rekey(struct esession *s)
{
	struct node *n = s->node;

	trace(n->w, "%s: session %u gets new keys", n->name, s->sid);
	worker_commands(s);
	s->n_replies = 0;
	s->exports = 0;
	replica_remove(n->r, &s->rs);
	worker_commands(s);
	s->gate = keygate_free(KEYS_ALL);
	session_keys(n, s);
	replica_add(n->r, &s->rs, s->id);
}

/* ---- control connections ---- */

static void
answer_echo(struct esession *s, bool guaranteed)
{
	struct client *c = &s->node->w->c[s->sid];
	uint32_t reply = guaranteed ? s->reply_told : s->echo_reply;

	s->reply_waits = reply != s->echo_reply;
	if (s->gen != c->gen || reply <= c->echo_told)
		return;
	c->echo_told = reply;
	if (guaranteed)
		c->guaranteed = reply;
}

/* The client speaks to whoever has the address. */
static void
control_input(struct node *n, unsigned sid)
{
	enum replica_handover h = status_of(n).handover;
	struct client *c = &n->w->c[sid];
	struct esession *s = &n->s[sid];

	if (h == HANDOVER_GIVING || h == HANDOVER_GIVEN) /* it waits in the kernel */
		return;
	if (!s->live) {
		client_told(n->w, c, "nobody knows it");
		return;
	}
	if (s->gen != c->gen) {
		session_off(s);
		client_told(n->w, c, "its keys are not known");
		return;
	}
	s->echo_seen = s->echo_reply = ++c->echo_next;
	if (replica_changed(n->r, &s->rc))
		s->reply_waits = true;
	else
		answer_echo(s, false);
}

/* ---- the replica's owner ---- */

static struct esession *
of_connection(struct replica_connection *rc)
{
	return (struct esession *)((char *)rc - offsetof(struct esession, rc));
}

static void
op_send(void *arg, const uint8_t *bytes, size_t len)
{
	stream_send(arg, bytes, len);
}

static void
op_hang_up(void *arg, const char *why)
{
	struct node *n = arg;

	if (why != NULL)
		trace(n->w, "%s hangs up: %s", n->name, why);
	stream_close(n);
}

static void
op_export(void *arg, struct replica_session *rs, uint32_t ahead, uint32_t low_water)
{
	struct esession *s = (struct esession *)rs;

	note_ahead(arg, rs);
	s->exports++;
	command(s, (struct command){.export = true,
		       .ahead = ahead,
		       .low_water = low_water,
		       .skip = s->skip,
		       .skip_seq = s->skip_seq,
		       .skip_index = s->skip_index});
	s->skip = false;
}

static bool
op_stands(void *arg, struct replica_session *rs, struct replica_stand *out)
{
	struct esession *s = (struct esession *)rs;

	(void)arg;
	*out = (struct replica_stand){.id = s->id,
	    .seq = s->gre.next,
	    .index = s->tx.index,
	    .any_acked = s->any_acked,
	    .acked = s->acked};
	return true;
}

static void
op_skip(void *arg, struct replica_session *rs, uint32_t seq, uint64_t index)
{
	struct esession *s = (struct esession *)rs;
	struct node *n = arg;

	trace(n->w, "%s: session %u goes on to %u, key %" PRIu64, n->name, s->sid, seq, index);
	n->w->skipped++;
	s->skip = true;
	s->skip_seq = seq;
	s->skip_index = index;
}

static void
op_connection(void *arg, struct replica_connection *rc, struct connection_record *r)
{
	struct esession *s = of_connection(rc);

	(void)arg;
	*r = sample_connection(s->id);
	r->peer_echo_id = s->echo_seen;
	s->reply_told = s->echo_reply;
}

static bool
op_counters(void *arg, struct replica_session *rs, struct record_counters *c)
{
	struct esession *s = (struct esession *)rs;

	(void)arg;
	c->tx_seq = s->gre.next;
	c->rx_index = 77;
	return true;
}

static void
op_set_gate(void *arg, struct replica_session *rs, const struct keygate *g, uint32_t low_water)
{
	struct esession *s = (struct esession *)rs;

	note_ahead(arg, rs);
	command(s, (struct command){.gate = *g, .low_water = low_water});
}

static void
op_committed(void *arg, struct replica_connection *rc)
{
	struct node *n = arg;
	struct esession *s = of_connection(rc);
	enum replica_state st = status_of(n).state;

	if (s->reply_waits)
		answer_echo(s, st == REPLICA_SYNCING || st == REPLICA_IN_SYNC);
}

static void
op_spent(void *arg, struct replica_session *rs)
{
	struct esession *s = (struct esession *)rs;
	struct node *n = arg;
	unsigned sid = s->sid;
	bool theirs = s->gen == n->w->c[sid].gen;

	trace(n->w, "%s: session %u has no keys left", n->name, sid);
	session_off(s);
	if (theirs && n->w->vip == (int)n->n)
		client_told(n->w, &n->w->c[sid], "no keys left");
}

static void
op_yield(void *arg, uint64_t epoch)
{
	struct node *n = arg;

	trace(n->w, "%s yields to epoch %" PRIu64, n->name, epoch);
	n->yielded = n->frozen = true;
}

static void engine_promote(struct node *n, uint64_t epoch);
static void engine_forget(struct node *n);

static bool
op_take(void *arg, uint64_t epoch)
{
	struct node *n = arg;

	if (!n->taking)
		return false;
	n->taken = true;
	n->w->handed++;
	engine_promote(n, epoch);
	return true;
}

static void
op_given(void *arg, enum replica_given how, const char *why)
{
	static const char *const words[] = {"left", "taken", "given back", "not known", "over"};
	struct node *n = arg;

	trace(n->w, "%s: handover %s%s%s", n->name, words[how], why != NULL ? ": " : "",
	    why != NULL ? why : "");
	if (how == REPLICA_GIVEN_TAKEN) {
		n->frozen = true;
		engine_forget(n);
		n->relay_ms = n->w->now + chance(n->w, 200);
		n->move = MOVE_OVER;
		n->gave_epoch = n->move_epoch;
	} else if (how == REPLICA_GIVEN_BACK || how == REPLICA_GIVEN_UNKNOWN)
		n->move = MOVE_NONE; /* a cut like any other, if it is one */
	n->w->refused += how == REPLICA_GIVEN_BACK;
	n->w->unknown += how == REPLICA_GIVEN_UNKNOWN;
}

static const struct replica_ops engine_ops = {
    .send = op_send,
    .hang_up = op_hang_up,
    .export = op_export,
    .connection = op_connection,
    .counters = op_counters,
    .set_gate = op_set_gate,
    .stands = op_stands,
    .skip = op_skip,
    .committed = op_committed,
    .spent = op_spent,
    .yield = op_yield,
    .take = op_take,
    .given = op_given,
};

/* ---- roles ---- */

static void
continue_session(struct node *n, const struct mirror_session *m)
{
	struct world *w = n->w;
	const struct mirror_connection *mc = mirror_connection(replica_mirror(n->r), m->connection);
	struct connection_record cr;
	struct session_record r;
	struct keygate gate;
	struct esession *s;
	struct client *c;

	if (mirror_session_record(m, &r) < 0 || mc == NULL || r.ppp.addresses.peer_ip >= SESSIONS)
		return;
	c = &w->c[r.ppp.addresses.peer_ip];
	s = session_on(n, r.ppp.addresses.peer_ip, m->id);
	if (!replica_adopt(n->r, &s->rs, m, &gate)) {
		trace(w, "%s: session %u is not continued%s", n->name, s->sid,
		    m->stale ? ": stale" : "");
		memset(s, 0, sizeof *s);
		return;
	}
	if (m->stale)
		broken(w, "%s continues session %u, which is stale", n->name, s->sid);
	s->gen = r.call.serial;
	s->gate = gate;
	s->gre.next = r.call.tx_seq;
	memcpy(s->tx.master, r.mppe_tx.master, 16);
	memcpy(s->tx.session, r.mppe_tx.session, 16);
	s->tx.index = r.mppe_tx.index;
	replica_add_connection(n->r, &s->rc, m->connection);
	if (mirror_connection_record(mc, &cr) == 0)
		s->echo_seen = cr.peer_echo_id;
	if (s->gen == c->gen && c->up && !c->told) {
		if (cr.peer_echo_id < c->guaranteed)
			broken(w, "session %u was told %u, its copy at %s knows %u", s->sid,
			    c->guaranteed, n->name, cr.peer_echo_id);
		c->takeovers[n->n] += !n->taken; /* a handover leaves out nothing */
		w->continued++;
	}
}

static void
engine_promote(struct node *n, uint64_t epoch)
{
	const struct mirror_session *m = NULL;

	trace(n->w, "%s is promoted, epoch %" PRIu64, n->name, epoch);
	n->w->takeovers++;
	n->frozen = n->yielded = false;
	n->relay_ms = 0;
	replica_promote(n->r, epoch);
	while ((m = mirror_next_session(replica_mirror(n->r), m)) != NULL)
		continue_session(n, m);
	replica_continued(n->r);
}

static void
engine_forget(struct node *n)
{
	for (unsigned i = 0; i < SESSIONS; i++)
		memset(&n->s[i], 0, sizeof n->s[i]);
}

static void
engine_demote(struct node *n, uint64_t epoch)
{
	trace(n->w, "%s is demoted, epoch %" PRIu64, n->name, epoch);
	replica_demote(n->r, epoch);
	engine_forget(n);
	n->frozen = true;
	n->yielded = false;
}

static void
engine_start(struct node *n)
{
	struct replica_config c = {.boot_id = ++n->boots * 2 + n->n};

	snprintf(c.node, sizeof c.node, "%s", n->name);
	n->r = replica_new(n->w->loop, &c, &engine_ops, n);
	n->engine_up = n->frozen = true;
	n->yielded = false;
	n->paired = false;
	n->role = PAIR_STANDBY;
	replica_demote(n->r, n->disk.epoch);
	trace(n->w, "%s: engine up", n->name);
}

static void
engine_stop(struct node *n)
{
	if (n->r == NULL)
		return;
	n->engine_up = false;
	stream_close(n);
	replica_free(n->r);
	n->r = NULL;
	engine_forget(n);
}

static void
engine_run(struct node *n)
{
	if (!n->engine_up)
		return;
	for (unsigned i = 0; i < SESSIONS && n->r != NULL; i++) {
		if (n->s[i].live)
			worker_run(&n->s[i]);
		if (n->s[i].live)
			answers_run(&n->s[i]);
	}
}

#endif
