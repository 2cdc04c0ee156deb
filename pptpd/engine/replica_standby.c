/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The standby's half: what the active says goes into the copy, and once a batch the active hears
 * how far it came. Without memory there is no copy at all: half of one would be believed.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

/* Receive keys, 2 us each: a slice of the loop, and as much time for everything else. */
#define STEP_KEYS 1024
#define STEP_MS   5

static int
begin(struct replica *r, const struct replica_frame *f)
{
	struct replica_size size;

	if (replica_get_size(f, &size) < 0)
		return -1;
	replica_report_heard(r);
	mirror_begin(r->mirror);
	r->whole = r->stale = false;
	r->snapshot_done = 0;
	r->snapshot_of = size.sessions;
	r->snapshot_began_ms = loop_now_ms(r->loop);
	r->end_frame = 0;
	replica_changed_state(r, REPLICA_STANDBY);
	return 0;
}

static int
end(struct replica *r)
{
	mirror_end(r->mirror);
	r->whole = true;
	r->failed = false;
	r->snapshot_ms = loop_now_ms(r->loop) - r->snapshot_began_ms;
	replica_changed_state(r, REPLICA_STANDBY);
	return 0;
}

static int
record(struct replica *r, const struct replica_frame *f)
{
	struct rd in;

	if (replica_get_record(f, &in) < 0)
		return -1;
	if (f->type == REPLICA_CONNECTION)
		return mirror_put_connection(r->mirror, &in);
	if (!r->whole)
		r->snapshot_done++;
	return mirror_put_session(r->mirror, &in, loop_now_ms(r->loop));
}

static int
gone(struct replica *r, const struct replica_frame *f)
{
	uint64_t id;

	if (replica_get_id(f, &id) < 0)
		return -1;
	if (f->type == REPLICA_CONNECTION_GONE)
		mirror_drop_connection(r->mirror, id);
	else
		mirror_drop_session(r->mirror, id);
	return 0;
}

static int
marks(struct replica *r, const struct replica_frame *f)
{
	struct replica_marks_entry e;
	struct rd entries;

	if (replica_get_entries(f, &entries) < 0)
		return -1;
	if (rd_left(&entries) > REPLICA_MARKS_MAX * REPLICA_MARK_LEN) {
		errno = EPROTO;
		return -1;
	}
	while (rd_left(&entries) > 0) {
		replica_get_mark(&entries, &e);
		if (mirror_mark(r->mirror, e.id, &e.mark, loop_now_ms(r->loop)) < 0)
			return -1;
	}
	return 0;
}

static int
counters(struct replica *r, const struct replica_frame *f)
{
	struct record_counters c;
	struct rd entries;

	if (replica_get_entries(f, &entries) < 0)
		return -1;
	while (rd_left(&entries) > 0) {
		replica_get_counters(&entries, &c);
		if (mirror_count(r->mirror, &c, loop_now_ms(r->loop)) < 0)
			return -1;
	}
	replica_soon(r);
	return 0;
}

/* 0, or -1 with errno; EPROTO also for what no active says. */
static int
apply(struct replica *r, const struct replica_frame *f)
{
	switch (f->type) {
	case REPLICA_BEGIN:
		return begin(r, f);
	case REPLICA_END:
		return end(r);
	case REPLICA_CONNECTION:
	case REPLICA_SESSION:
		return record(r, f);
	case REPLICA_CONNECTION_GONE:
	case REPLICA_SESSION_GONE:
		return gone(r, f);
	case REPLICA_MARKS:
		return marks(r, f);
	case REPLICA_COUNTERS:
		return counters(r, f);
	case REPLICA_HANDOVER:
		return replica_handover_offered(r, f);
	case REPLICA_RELAY:
		if (r->refused)
			return 0;
		errno = EPROTO;
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

/* The active must know before anything else happens that nobody holds its sessions. */
static void
fail(struct replica *r)
{
	struct wr w;

	mirror_clear(r->mirror);
	r->whole = false;
	r->failed = true;
	w = replica_say(r, REPLICA_FAILED);
	replica_send(r, &w);
	replica_drop(r, "no memory for the copy");
}

/* The copy's receive keys follow what was counted, in pieces. */
void
replica_standby_turn(struct replica *r)
{
	if (mirror_step(r->mirror, STEP_KEYS))
		timer_set(&r->turn, STEP_MS);
}

void
replica_standby_input(struct replica *r, const struct replica_frame *f)
{
	if (f->type == REPLICA_BEAT)
		return;
	if (apply(r, f) == 0)
		r->owes = !r->active; /* a handover is answered */
	else if (errno == ENOMEM)
		fail(r);
	else
		replica_drop(r, "%s: %s", replica_type_name(f->type), strerror(errno));
}

void
replica_standby_applied(struct replica *r)
{
	struct wr w;

	if (!r->owes)
		return;
	r->owes = false;
	r->acked = r->received;
	w = replica_say(r, REPLICA_APPLIED);
	replica_put_applied(&w, r->received);
	replica_send(r, &w);
}
