/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The active's half: its members, and what the standby is told of them. Nothing is sent from the
 * owner's calls but that a member is gone: the rest is queued, and said in one go in the next turn
 * of the loop. A member stands in one queue at most. Callbacks may remove members and may end the
 * stream, so queues are emptied from the front, looking anew each time.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

static bool
streaming(const struct replica *r)
{
	return r->met && (r->state == REPLICA_SYNCING || r->state == REPLICA_IN_SYNC);
}

/* ---- members ---- */

static struct replica_sessions *
queue_of(struct replica *r, const struct replica_session *s)
{
	switch (s->place) {
	case REPLICA_QUEUED:
		return &r->asks;
	case REPLICA_RECORD:
		return &r->exports;
	case REPLICA_SENT:
		return &r->asked;
	case REPLICA_WITHOUT:
		return &r->without;
	default:
		return NULL;
	}
}

/* Out of whatever queue it stands in. */
static void
unqueue(struct replica *r, struct replica_session *s)
{
	struct replica_sessions *q = queue_of(r, s);

	if (q != NULL)
		TAILQ_REMOVE(q, s, work);
	if (s->place == REPLICA_SENT && s->ask_is_record)
		r->records_out--;
	s->place = REPLICA_IDLE;
	s->ask_frame = 0;
	s->ask_is_record = false;
}

static void
set_held(struct replica *r, struct replica_session *s, bool held)
{
	r->n_held += (unsigned)held - (unsigned)s->held;
	s->held = held;
}

static void
set_exposed(struct replica *r, struct replica_session *s, bool exposed)
{
	r->n_exposed += (unsigned)exposed - (unsigned)s->exposed;
	s->exposed = exposed;
}

/* It has numbers again, or nobody waits for them any more. */
static void
not_low(struct replica *r, struct replica_session *s)
{
	if (!s->short_of_marks)
		return;
	if (loop_now_ms(r->loop) - s->low_ms > REPLICA_WANTS_MS)
		r->shorts++;
	TAILQ_REMOVE(&r->lows, s, low);
	s->short_of_marks = false;
}

void
replica_unexpose(struct replica *r, struct replica_session *s)
{
	set_exposed(r, s, false);
	set_held(r, s, false);
}

void
replica_set_gate(struct replica *r, struct replica_session *s, struct keygate g)
{
	not_low(r, s);
	s->gate = g;
	r->ops.set_gate(r->arg, s, &s->gate, g.high == KEYS_NONE ? s->ahead : 0);
}

/* Its record is to be made; those that run low first. */
static void
queue_export(struct replica *r, struct replica_session *s)
{
	unqueue(r, s);
	if (s->open == KEYS_NONE)
		return;
	if (s->exporting) {
		s->again = true;
		return;
	}
	s->place = REPLICA_RECORD;
	if (s->short_of_marks)
		TAILQ_INSERT_HEAD(&r->exports, s, work);
	else
		TAILQ_INSERT_TAIL(&r->exports, s, work);
	replica_soon(r);
}

void
replica_active_join(struct replica *r, struct replica_session *s, uint64_t id)
{
	s->id = id;
	s->member = true;
	s->again = s->exposed = s->on_stream = s->held = s->ask_is_record = false;
	s->short_of_marks = s->exporting = false;
	s->open = KEYS_ALL;
	s->suspect = KEYS_NONE;
	s->suspect_epoch = 0;
	s->ask = (struct record_mark){0};
	s->ask_frame = s->asked_ms = s->low_ms = 0;
	s->ahead = REPLICA_AHEAD;
	s->place = REPLICA_IDLE;
	TAILQ_INSERT_TAIL(&r->sessions, s, entry);
	r->n_sessions++;
	if (streaming(r))
		queue_export(r, s);
}

void
replica_add(struct replica *r, struct replica_session *s, uint64_t id)
{
	bool limited = s->gate.low != KEYS_NONE && s->gate.high != KEYS_ALL;

	if (!r->active || s->member)
		return;
	replica_active_join(r, s, id);
	if (limited)
		replica_set_gate(r, s, keygate_free(KEYS_ALL));
	s->gate = keygate_free(KEYS_ALL);
}

/* Out of the lists; nothing is said. */
static void
leave(struct replica *r, struct replica_session *s)
{
	unqueue(r, s);
	not_low(r, s);
	replica_unexpose(r, s);
	if (s->exporting)
		r->n_exporting--;
	if (r->counted == s)
		r->counted = TAILQ_NEXT(s, entry);
	s->exporting = s->again = s->on_stream = s->member = false;
	TAILQ_REMOVE(&r->sessions, s, entry);
	r->n_sessions--;
}

static void
say_gone(struct replica *r, enum replica_type type, uint64_t id)
{
	struct wr w = replica_say(r, type);

	replica_put_id(&w, id);
	replica_send(r, &w);
}

void
replica_remove(struct replica *r, struct replica_session *s)
{
	bool exposed = s->exposed;

	if (!s->member)
		return;
	leave(r, s);
	if (exposed && streaming(r))
		say_gone(r, REPLICA_SESSION_GONE, s->id);
	if (streaming(r))
		replica_soon(r);
}

void
replica_renew(struct replica *r, struct replica_session *s, bool fresh)
{
	if (!s->member)
		return;
	if (fresh) {
		if (s->exposed && streaming(r))
			say_gone(r, REPLICA_SESSION_GONE, s->id);
		unqueue(r, s);
		replica_unexpose(r, s);
		s->again = s->exporting;
		s->on_stream = false;
		s->open = KEYS_ALL;
		s->suspect = KEYS_NONE;
		replica_set_gate(r, s, keygate_free(KEYS_ALL));
	}
	if (streaming(r))
		queue_export(r, s);
}

void
replica_active_forget(struct replica *r)
{
	struct replica_session *s;
	struct replica_connection *c;

	while ((s = TAILQ_FIRST(&r->sessions)) != NULL)
		leave(r, s);
	while ((c = TAILQ_FIRST(&r->conns)) != NULL)
		replica_remove_connection(r, c);
	timer_cancel(&r->turn);
	timer_cancel(&r->slice);
}

/* ---- marks ---- */

/* A FAST session gets more numbers at a time; measured from one time that it ran low to the next.
 */
static void
measure(struct replica_session *s, uint32_t next_seq, uint64_t now)
{
	uint64_t ms = now - s->low_ms, pps;

	if (s->low_ms == 0)
		return;
	pps = (uint64_t)(uint32_t)(next_seq - s->low_seq) * 1000 / (ms > 0 ? ms : 1);
	if (pps > REPLICA_FAST_PPS)
		s->ahead = REPLICA_AHEAD_FAST;
	else if (pps < REPLICA_FAST_PPS / 2)
		s->ahead = REPLICA_AHEAD;
}

void
replica_low(struct replica *r, struct replica_session *s, uint32_t next_seq, uint64_t next_index)
{
	uint64_t now = loop_now_ms(r->loop);

	if (!s->member || s->short_of_marks)
		return;
	measure(s, next_seq, now);
	s->low_seq = next_seq;
	s->low_index = next_index;
	s->low_ms = now;
	s->short_of_marks = true;
	TAILQ_INSERT_TAIL(&r->lows, s, low);
	if (!streaming(r))
		return;
	if (s->place == REPLICA_RECORD) {
		queue_export(r, s); /* to the head */
	} else if (s->place == REPLICA_IDLE && s->on_stream && !s->exporting) {
		s->place = REPLICA_QUEUED;
		TAILQ_INSERT_TAIL(&r->asks, s, work);
		replica_soon(r);
	}
}

/* The standby has applied what named the mark. */
static void
grant(struct replica *r, struct replica_session *s)
{
	bool record = s->ask_is_record;
	struct keygate g = {.mark_seq = s->ask.seq, .mark_index = s->ask.index, .low = s->ask.open};

	unqueue(r, s);
	set_held(r, s, true);
	if (record)
		r->snapshot_done++;
	replica_set_gate(r, s, g);
}

static void
asked(struct replica *r, struct replica_session *s, bool record)
{
	s->place = REPLICA_SENT;
	s->ask_frame = r->sent;
	s->ask_is_record = record;
	s->asked_ms = loop_now_ms(r->loop);
	TAILQ_INSERT_TAIL(&r->asked, s, work);
	if (record)
		r->records_out++;
#ifdef PHA_BROKEN_MARK
	/* Exists so that the simulation proves that it can fail: a mark is not waited for. */
	replica_set_gate(r, s,
	    (struct keygate){
		.mark_seq = s->ask.seq, .mark_index = s->ask.index, .low = s->ask.open});
#endif
}

static void
say_marks(struct replica *r)
{
	struct replica_sessions now = TAILQ_HEAD_INITIALIZER(now);
	struct replica_session *s;
	struct replica_marks_entry e;
	struct wr w;
	uint8_t *at;

	if (TAILQ_EMPTY(&r->asks))
		return;
	w = replica_say(r, REPLICA_MARKS);
	at = replica_entries_begin(&w);
	while ((s = TAILQ_FIRST(&r->asks)) != NULL && wr_room(&w) >= REPLICA_MARK_LEN &&
	       wr_len(&w) < UINT16_MAX - REPLICA_MARK_LEN) {
		TAILQ_REMOVE(&r->asks, s, work);
		e.id = s->id;
		e.mark = replica_keys_ahead(s,
		    &(struct record_mark){.seq = s->gate.mark_seq, .index = s->gate.mark_index},
		    s->low_seq, s->low_index);
		s->ask = e.mark;
		replica_put_mark(&w, &e);
		r->marks_asked++;
		asked(r, s, false);
	}
	replica_entries_end(&w, at);
	replica_send(r, &w);
}

/* ---- records ---- */

/* It cannot be told now: the transmit half is put back to what is in force. */
static void
cannot_say(struct replica *r, struct replica_session *s)
{
	replica_set_gate(r, s, s->gate);
}

void
replica_exported(struct replica *r, struct replica_session *s, const struct session_record *record)
{
	struct session_record named = *record;
	struct wr w;

	if (!s->member || !s->exporting)
		goto out;
	s->exporting = false;
	r->n_exporting--;
	if (!streaming(r)) {
		cannot_say(r, s);
		goto out;
	}
	if (s->again) {
		s->again = false;
		queue_export(r, s);
		goto out;
	}
	if (s->open == KEYS_NONE)
		goto out;
	s->gate = (struct keygate){.mark_seq = record->mark.seq,
	    .mark_index = record->mark.index,
	    .low = record->mark.open};
	s->ask = replica_keys_ahead(s, &record->mark, record->call.tx_seq, record->mppe_tx.index);
	named.mark = s->ask;
	set_exposed(r, s, true);
	s->on_stream = true;
	w = replica_say(r, REPLICA_SESSION);
	replica_put_session(&w, &named);
	asked(r, s, true);
	replica_send(r, &w);
	replica_soon(r);
out:
	session_record_wipe(&named);
}

static void
pump_exports(struct replica *r)
{
	struct replica_session *s;

	while (streaming(r) && r->n_exporting + r->records_out < EXPORTS_MAX &&
	       (s = TAILQ_FIRST(&r->exports)) != NULL) {
		unqueue(r, s);
		s->again = false;
		s->exporting = true;
		r->n_exporting++;
		r->ops.export(r->arg, s, 2 * s->ahead, s->ahead);
	}
}

/* ---- connections ---- */

static void
unqueue_connection(struct replica *r, struct replica_connection *c)
{
	if (c->place == REPLICA_QUEUED)
		TAILQ_REMOVE(&r->dirty, c, work);
	else if (c->place == REPLICA_SENT)
		TAILQ_REMOVE(&r->wait, c, work);
	if (c->place == REPLICA_SENT && c->frame != 0)
		r->conns_out--;
	c->place = REPLICA_IDLE;
}

static void
queue_connection(struct replica *r, struct replica_connection *c)
{
	unqueue_connection(r, c);
	c->place = REPLICA_QUEUED;
	if (c->waiting)
		TAILQ_INSERT_HEAD(&r->dirty, c, work);
	else
		TAILQ_INSERT_TAIL(&r->dirty, c, work);
	replica_soon(r);
}

void
replica_add_connection(struct replica *r, struct replica_connection *c, uint64_t id)
{
	if (!r->active || c->member)
		return;
	c->id = id;
	c->member = true;
	c->frame = 0;
	c->waiting = false;
	c->place = REPLICA_IDLE;
	TAILQ_INSERT_TAIL(&r->conns, c, entry);
	r->n_conns++;
	if (streaming(r))
		queue_connection(r, c);
}

void
replica_remove_connection(struct replica *r, struct replica_connection *c)
{
	if (!c->member)
		return;
	unqueue_connection(r, c);
	c->member = c->waiting = false;
	TAILQ_REMOVE(&r->conns, c, entry);
	r->n_conns--;
	if (c->frame != 0 && streaming(r))
		say_gone(r, REPLICA_CONNECTION_GONE, c->id);
	c->frame = 0;
}

bool
replica_changed(struct replica *r, struct replica_connection *c)
{
	if (!c->member)
		return false;
	if (streaming(r)) {
		c->waiting = true;
		queue_connection(r, c);
		return true;
	}
	if (r->state != REPLICA_CUT)
		return false;
	if (!c->waiting) {
		c->waiting = true;
		unqueue_connection(r, c);
		c->place = REPLICA_SENT;
		TAILQ_INSERT_TAIL(&r->wait, c, work);
	}
	return true;
}

static void
commit(struct replica *r, struct replica_connection *c)
{
	bool waiting = c->waiting;

	unqueue_connection(r, c);
	c->waiting = false;
	if (!waiting)
		return;
	r->commits++;
	r->ops.committed(r->arg, c);
}

static void
pump_connections(struct replica *r)
{
	struct connection_record record;
	struct replica_connection *c;
	struct wr w;

	while (streaming(r) && (c = TAILQ_FIRST(&r->dirty)) != NULL &&
	       (c->waiting || r->conns_out < CONNS_MAX)) {
		memset(&record, 0, sizeof record);
		r->ops.connection(r->arg, c, &record);
		w = replica_say(r, REPLICA_CONNECTION);
		replica_put_connection(&w, &record);
		connection_record_wipe(&record);
		unqueue_connection(r, c);
		c->frame = r->sent;
		c->place = REPLICA_SENT;
		TAILQ_INSERT_TAIL(&r->wait, c, work);
		r->conns_out++;
		replica_send(r, &w);
	}
}

void
replica_active_release(struct replica *r)
{
	struct replica_connection *c;
	uint64_t generation = r->generation;

	while (r->generation == generation && (c = TAILQ_FIRST(&r->wait)) != NULL)
		commit(r, c);
}

/* ---- the snapshot ---- */

void
replica_active_met(struct replica *r)
{
	struct replica_session *s;
	struct replica_connection *c;
	struct wr w;

	r->cut = r->next_cut;
	replica_keys_met(r);
	r->snapshot_done = 0;
	r->snapshot_of = r->n_sessions;
	r->snapshot_began_ms = loop_now_ms(r->loop);
	r->end_frame = 0;
	replica_changed_state(r, REPLICA_SYNCING);
	w = replica_say(r, REPLICA_BEGIN);
	replica_put_size(
	    &w, &(struct replica_size){.connections = r->n_conns, .sessions = r->n_sessions});
	replica_send(r, &w);
	TAILQ_FOREACH(s, &r->sessions, entry)
	{
		s->on_stream = false;
		if (s->open != KEYS_NONE) {
			queue_export(r, s);
		} else if (s->place != REPLICA_WITHOUT) {
			s->place = REPLICA_WITHOUT;
			TAILQ_INSERT_TAIL(&r->without, s, work);
		}
	}
	TAILQ_FOREACH(c, &r->conns, entry)
	{
		c->frame = 0;
		queue_connection(r, c);
	}
	timer_set(&r->slice, SLICE_MS);
	replica_soon(r);
}

static void
say_end(struct replica *r)
{
	struct wr w;

	if (r->state != REPLICA_SYNCING || r->end_frame != 0 || r->n_exporting > 0 ||
	    !TAILQ_EMPTY(&r->exports) || !TAILQ_EMPTY(&r->dirty))
		return;
	w = replica_say(r, REPLICA_END);
	r->end_frame = r->sent;
	replica_send(r, &w);
}

void
replica_active_turn(struct replica *r)
{
	struct replica_session *s;

	while ((s = TAILQ_FIRST(&r->without)) != NULL) {
		unqueue(r, s);
		r->ops.spent(r->arg, s);
	}
	/* Marks first: somebody may wait for them. */
	while (streaming(r) && !TAILQ_EMPTY(&r->asks))
		say_marks(r);
	pump_connections(r);
	pump_exports(r);
	if (streaming(r))
		say_end(r);
}

/* The next member in turn of whom there is something to count; NULL at the end of a round. */
static struct replica_session *
next_counted(struct replica *r)
{
	struct replica_session *s = r->counted;

	r->counted = s != NULL ? TAILQ_NEXT(s, entry) : NULL;
	return s;
}

/* Counters of a slice of the members; more than one frame when they are many. */
void
replica_active_slice(struct replica *r)
{
	struct record_counters k;
	struct replica_session *s;
	struct wr w;
	uint8_t *at = NULL;

	if (!streaming(r))
		return;
	timer_set(&r->slice, SLICE_MS);
	if (r->sent - r->applied > COUNTERS_MAX)
		return;
	if (r->counted == NULL)
		r->counted = TAILQ_FIRST(&r->sessions);
	for (unsigned i = 0; i <= r->n_sessions / SLICES && (s = next_counted(r)) != NULL; i++) {
		memset(&k, 0, sizeof k);
		if (!s->on_stream || s->exporting || s->place == REPLICA_RECORD ||
		    !r->ops.counters(r->arg, s, &k))
			continue;
		if (at == NULL) {
			w = replica_say(r, REPLICA_COUNTERS);
			at = replica_entries_begin(&w);
		}
		k.id = s->id;
		replica_put_counters(&w, &k);
		if (wr_room(&w) < 2 * REPLICA_COUNTER_LEN) {
			replica_entries_end(&w, at);
			replica_send(r, &w);
			at = NULL;
		}
	}
	if (at != NULL) {
		replica_entries_end(&w, at);
		replica_send(r, &w);
	}
}

/* ---- from the standby ---- */

static void
applied(struct replica *r, uint64_t sequence)
{
	uint64_t generation = r->generation;
	struct replica_session *s;
	struct replica_connection *c;

	r->applied = sequence;
	r->progress_ms = loop_now_ms(r->loop);
	while (r->n_lags > 0 && r->lags[r->lag_at].sequence <= sequence) {
		r->lag_at = (r->lag_at + 1) % LAGS;
		r->n_lags--;
	}
	while (r->generation == generation && (s = TAILQ_FIRST(&r->asked)) != NULL &&
	       s->ask_frame <= sequence)
		grant(r, s);
	while (r->generation == generation && (c = TAILQ_FIRST(&r->wait)) != NULL &&
	       c->frame <= sequence)
		commit(r, c);
	if (r->generation != generation)
		return;
	if (r->state == REPLICA_SYNCING && r->end_frame != 0 && r->end_frame <= sequence) {
		r->snapshot_ms = loop_now_ms(r->loop) - r->snapshot_began_ms;
		r->failed = false;
		replica_changed_state(r, REPLICA_IN_SYNC);
	}
	replica_soon(r);
}

/* It has dropped its copy: what it held is ours alone. */
static void
standby_failed(struct replica *r)
{
	r->failed = true;
	replica_keys_given_up(r);
	replica_drop(r, "the standby has no memory for its copy");
}

void
replica_active_input(struct replica *r, const struct replica_frame *f)
{
	uint64_t sequence;

	switch (f->type) {
	case REPLICA_BEAT:
		break;
	case REPLICA_APPLIED:
		if (replica_get_applied(f, &sequence) < 0)
			replica_drop(r, "applied: %s", strerror(errno));
		else if (sequence < r->applied || sequence > r->sent)
			replica_drop(r, "applied: frame %llu, of %llu to %llu",
			    (unsigned long long)sequence, (unsigned long long)r->applied,
			    (unsigned long long)r->sent);
		else
			applied(r, sequence);
		break;
	case REPLICA_FAILED:
		standby_failed(r);
		break;
	default:
		replica_drop(r, "%s from a standby", replica_type_name(f->type));
		break;
	}
}

/* ---- without a stream ---- */

void
replica_active_lost(struct replica *r)
{
	struct replica_session *s;
	struct replica_connection *c;

	TAILQ_FOREACH(s, &r->sessions, entry)
	{
		if (s->place != REPLICA_WITHOUT)
			unqueue(r, s);
		s->on_stream = false;
		s->again = false;
	}
	TAILQ_FOREACH(c, &r->conns, entry)
	{
		unqueue_connection(r, c);
		c->frame = 0;
		if (c->waiting) {
			c->place = REPLICA_SENT;
			TAILQ_INSERT_TAIL(&r->wait, c, work);
		}
	}
	r->counted = NULL;
	timer_cancel(&r->slice);
	replica_keys_cut(r);
	if (r->n_exposed > 0) {
		replica_changed_state(r, REPLICA_CUT);
	} else {
		replica_changed_state(r, REPLICA_ALONE);
		replica_active_release(r);
	}
}

/* Would consent help somebody? Without a stream everybody who runs low, else who waits too long. */
bool
replica_active_wants(const struct replica *r)
{
	const struct replica_session *s = TAILQ_FIRST(&r->lows);

	if (r->state == REPLICA_CUT)
		return s != NULL || !TAILQ_EMPTY(&r->wait);
	return streaming(r) && s != NULL && loop_now_ms(r->loop) - s->low_ms > REPLICA_WANTS_MS;
}
