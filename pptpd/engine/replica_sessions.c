/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The active's sessions: who stands in which queue, their records and their marks. A session stands
 * in one queue at most. Callbacks may remove members and may end the stream, so queues are emptied
 * from the front, looking anew each time.
 */
#include <string.h>

#include "pptpd/engine/replica_internal.h"

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
void
replica_unqueue(struct replica *r, struct replica_session *s)
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
void
replica_queue_record(struct replica *r, struct replica_session *s)
{
	const struct replica_session *last = TAILQ_LAST(&r->exports, replica_sessions);

	replica_unqueue(r, s);
	if (!replica_has_keys(s))
		return;
	if (s->exporting) {
		s->again = true;
		return;
	}
	s->place = REPLICA_RECORD;
	if (s->short_of_marks || (!s->skip && last != NULL && last->skip)) /* those wait */
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
	replica_report_reset(s);
	s->ask = (struct record_mark){0};
	s->ask_frame = s->asked_ms = s->low_ms = 0;
	s->ahead = REPLICA_AHEAD;
	s->place = REPLICA_IDLE;
	TAILQ_INSERT_TAIL(&r->sessions, s, entry);
	r->n_sessions++;
	if (replica_streaming(r))
		replica_queue_record(r, s);
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
void
replica_leave(struct replica *r, struct replica_session *s)
{
	replica_unqueue(r, s);
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

void
replica_remove(struct replica *r, struct replica_session *s)
{
	bool exposed = s->exposed;

	if (!s->member)
		return;
	replica_leave(r, s);
	if (exposed && replica_streaming(r))
		replica_say_gone(r, REPLICA_SESSION_GONE, s->id);
	if (replica_streaming(r))
		replica_soon(r);
}

void
replica_renew(struct replica *r, struct replica_session *s, bool fresh)
{
	if (!s->member)
		return;
	if (fresh) {
		if (s->exposed && replica_streaming(r))
			replica_say_gone(r, REPLICA_SESSION_GONE, s->id);
		replica_unqueue(r, s);
		replica_unexpose(r, s);
		s->again = s->exporting;
		s->on_stream = false;
		s->open = KEYS_ALL;
		s->suspect = KEYS_NONE;
		replica_report_reset(s);
		replica_set_gate(r, s, keygate_free(KEYS_ALL));
	}
	if (replica_streaming(r))
		replica_queue_record(r, s);
}

void
replica_end_without(struct replica *r, struct replica_session *s)
{
	replica_unqueue(r, s);
	s->place = REPLICA_WITHOUT;
	TAILQ_INSERT_TAIL(&r->without, s, work);
	replica_soon(r);
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
	replica_report_regain(s, next_index);
	measure(s, next_seq, now);
	s->low_seq = next_seq;
	s->low_index = next_index;
	s->low_ms = now;
	s->short_of_marks = true;
	TAILQ_INSERT_TAIL(&r->lows, s, low);
	if (r->state == REPLICA_SILENT && s->gate.high == KEYS_NONE)
		replica_end_without(r, s); /* nobody will promise it another key */
	if (!replica_streaming(r))
		return;
	if (s->place == REPLICA_RECORD) {
		replica_queue_record(r, s); /* to the head */
	} else if (s->place == REPLICA_IDLE && s->on_stream && !s->exporting) {
		s->place = REPLICA_QUEUED;
		TAILQ_INSERT_TAIL(&r->asks, s, work);
		replica_soon(r);
	}
}

/* The standby has applied what named the mark. */
void
replica_grant(struct replica *r, struct replica_session *s)
{
	bool record = s->ask_is_record;
	struct keygate g = {.mark_seq = s->ask.seq, .mark_index = s->ask.index, .low = s->ask.open};

	replica_unqueue(r, s);
	set_held(r, s, (s->open & KEYS_ODD) != 0); /* a promotion goes on with odd ones */
	if (record && r->state == REPLICA_SYNCING)
		r->snapshot_done++;
	if (!replica_giving(r)) /* else it stands at its exact mark already */
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

void
replica_say_marks(struct replica *r)
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
	for (unsigned n = 0; n < REPLICA_MARKS_MAX && (s = TAILQ_FIRST(&r->asks)) != NULL; n++) {
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

/* Where it stands: it sends nothing above, nor keeps anything for itself below. */
static struct record_mark
exact_mark(const struct replica_session *s, const struct session_record *r)
{
	struct record_mark m = {.seq = r->mark.seq, .index = r->mark.index, .open = s->open};

	if ((int32_t)(r->call.tx_seq - m.seq) > 0)
		m.seq = r->call.tx_seq;
	if (m.index < r->mppe_tx.index)
		m.index = r->mppe_tx.index;
#ifdef PHA_BROKEN_EXACT
	/* Exists so that the simulation proves that it can fail: it goes on below a mark that the
	 * other does not know. */
	m.seq = r->call.tx_seq;
	m.index = r->mppe_tx.index;
#endif
	return m;
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
	if (!replica_streaming(r)) {
		cannot_say(r, s);
		goto out;
	}
	if (s->again) {
		s->again = false;
		replica_queue_record(r, s);
		goto out;
	}
	replica_report_regain(s, record->mppe_tx.index);
	if (s->open == KEYS_NONE)
		goto out;
	s->gate = (struct keygate){.mark_seq = record->mark.seq,
	    .mark_index = record->mark.index,
	    .low = record->mark.open};
	s->ask = replica_giving(r) ? exact_mark(s, record)
				   : replica_keys_ahead(s, &record->mark, record->call.tx_seq,
					 record->mppe_tx.index);
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

void
replica_pump_records(struct replica *r)
{
#ifdef PHA_BROKEN_EXACT
	unsigned factor = 1;
#else
	unsigned factor = replica_giving(r) ? 0 : 1;
#endif
	struct replica_session *s;

	while (replica_streaming(r) &&
	       (factor == 0 || r->n_exporting + r->records_out < EXPORTS_MAX) &&
	       (s = TAILQ_FIRST(&r->exports)) != NULL && replica_report_skip(r, s)) {
		replica_unqueue(r, s);
		s->again = false;
		s->exporting = true;
		r->n_exporting++;
		r->ops.export(r->arg, s, factor * 2 * s->ahead, factor * s->ahead);
	}
}
