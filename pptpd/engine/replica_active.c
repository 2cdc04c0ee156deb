/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The active's half: what the standby is told, and when. Nothing is sent from the owner's calls but
 * that a member is gone: the rest is queued, and said in one go in the next turn of the loop.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

bool
replica_streaming(const struct replica *r)
{
	return r->met && r->handover != HANDOVER_GIVEN &&
	       (r->state == REPLICA_SYNCING || r->state == REPLICA_IN_SYNC);
}

void
replica_say_gone(struct replica *r, enum replica_type type, uint64_t id)
{
	struct wr w = replica_say(r, type);

	replica_put_id(&w, id);
	replica_send(r, &w);
}

void
replica_active_forget(struct replica *r)
{
	struct replica_session *s;
	struct replica_connection *c;

	while ((s = TAILQ_FIRST(&r->sessions)) != NULL)
		replica_leave(r, s);
	while ((c = TAILQ_FIRST(&r->conns)) != NULL)
		replica_remove_connection(r, c);
	timer_cancel(&r->turn);
	timer_cancel(&r->slice);
	timer_cancel(&r->pace);
}

/* ---- the snapshot ---- */

void
replica_active_met(struct replica *r)
{
	r->cut = r->next_cut;
	replica_keys_met(r);
	replica_active_snapshot(r);
}

void
replica_active_snapshot(struct replica *r)
{
	struct replica_session *s;
	struct replica_connection *c;
	struct wr w;

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
		if (replica_has_keys(s)) {
			replica_queue_record(r, s);
		} else {
			replica_end_without(r, s);
		}
	}
	TAILQ_FOREACH(c, &r->conns, entry)
	{
		c->frame = 0;
		replica_queue_connection(r, c);
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
		replica_unqueue(r, s);
		r->ops.spent(r->arg, s);
	}
	/* Marks first: somebody may wait for them. */
	while (replica_streaming(r) && !replica_giving(r) && !TAILQ_EMPTY(&r->asks))
		replica_say_marks(r);
	replica_pump_connections(r);
	replica_pump_records(r);
	if (replica_streaming(r))
		say_end(r);
	replica_handover_say(r);
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

	if (!replica_streaming(r))
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
		replica_grant(r, s);
	while (r->generation == generation && (c = TAILQ_FIRST(&r->wait)) != NULL &&
	       c->frame <= sequence)
		replica_commit(r, c);
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
			replica_unqueue(r, s);
		s->on_stream = false;
		s->again = false;
	}
	TAILQ_FOREACH(c, &r->conns, entry)
	{
		replica_unqueue_connection(r, c);
		c->frame = 0;
		c->again = false;
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

	if (replica_giving(r))
		return false;
	if (r->state == REPLICA_CUT)
		return s != NULL || !TAILQ_EMPTY(&r->wait);
	return replica_streaming(r) && s != NULL &&
	       loop_now_ms(r->loop) - s->low_ms > REPLICA_WANTS_MS;
}
