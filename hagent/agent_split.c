/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's part in a split brain: facts for split.c, and what it wishes: the priority file, the
 * announcements, the journal's lines, what `hagent status` shows.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "keepalived/track.h"

#define AHEAD 2 /* above both priorities, which differ by 1 */

static unsigned
count(const json_t *o, const char *name)
{
	return (unsigned)json_integer_value(json_object_get(o, name));
}

static struct split_facts
gather(const struct agent *a)
{
	const json_t *o = json_object_get(json_object_get(a->replica.status, "replica"), "settled");
	uint64_t now_ms = loop_now_ms(a->loop);

	return (struct split_facts){
	    .now_ms = now_ms,
	    .wall_ms = journal_now_ms(),
	    .serves = agent_replica_is_active(a),
	    .stands_by = role_state(&a->role) == ROLE_STANDBY,
	    .peer_fresh = peer_fresh(&a->peer, now_ms),
	    .peer_serves = a->peer.serves,
	    .peer_silent_ms = a->peer.heard_ms != 0 ? now_ms - a->peer.heard_ms : UINT64_MAX,
	    .epoch = agent_counter(a),
	    .peer_epoch = a->peer.epoch.counter,
	    .settled = {.times = count(o, "times"),
		.sessions = count(o, "sessions"),
		.whole = count(o, "whole"),
		.one_class = count(o, "one_class"),
		.ended = count(o, "ended"),
		.reported = count(o, "reported"),
		.skipped = count(o, "skipped")},
	};
}

static void
tell(struct agent *a, enum split_event event)
{
	const struct split *s = &a->split;
	long long ms = s->ended_at - s->began_at;

	if (event == SPLIT_SEEN)
		journal_event(&a->journal, "split", "both gateways served, for %lld.%03lld s",
		    ms / 1000, ms % 1000);
	else if (event == SPLIT_OVER)
		journal_event(&a->journal, "split-over", "%s stays, epoch %" PRIu64,
		    s->we_stayed ? a->us->name : a->them->name, s->epoch);
	else if (event == SPLIT_SETTLED)
		journal_event(&a->journal, "split-settled",
		    "%u sessions may have been served twice: %u with every key, %u with one class, "
		    "%u without; the other reported %u, %u went on behind it",
		    s->counts.sessions, s->counts.whole, s->counts.one_class, s->counts.ended,
		    s->counts.reported, s->counts.skipped);
}

static void
set_standing(struct agent *a, bool ahead)
{
	if (a->standing_written && a->stands_ahead == ahead)
		return;
	if (track_write_value(a->standing, ahead ? AHEAD : 0) < 0) {
		log_warn("track file path=\"%s\" error=\"%s\"", a->standing, strerror(errno));
		return; /* again at the next look */
	}
	a->standing_written = true;
	a->stands_ahead = ahead;
}

void
agent_split_promoted(struct agent *a)
{
	split_promoted(&a->split);
	if (!peer_fresh(&a->peer, loop_now_ms(a->loop)) || a->peer.serves)
		set_standing(a, true);
}

void
agent_split_look(struct agent *a)
{
	struct split_facts f = gather(a);
	struct split_wishes w;

	split_look(&a->split, &f, &w);
	tell(a, w.event);
	set_standing(a, w.ahead);
	if (w.announce && role_state(&a->role) == ROLE_ACTIVE)
		arp_announce(&a->arp);
}

/* An agent that was started anew leaves the priority as it found it. */
void
agent_split_init(struct agent *a)
{
	unsigned value;

	a->split.ahead = track_read_value(a->standing, &value) == 0 && value != 0;
}

json_t *
agent_split_json(const struct agent *a)
{
	const struct split *s = &a->split;
	const struct split_counts *c = &s->counts;
	char began[25], ended[25];
	json_t *o;

	if (!s->any)
		return json_null();
	journal_time(s->began_at, began);
	journal_time(s->ended_at, ended);
	o = json_pack("{s:s,s:s,s:I,s:b,s:s?,s:s?,s:I,s:b}", "began", began, "ended", ended, "ms",
	    (json_int_t)(s->ended_at - s->began_at), "open", s->open, "stayed",
	    s->open ? NULL : (s->we_stayed ? a->us : a->them)->name, "yielded",
	    s->open ? NULL : (s->we_stayed ? a->them : a->us)->name, "epoch", (json_int_t)s->epoch,
	    "settled", s->settled);
	if (s->settled)
		json_object_update_new(o,
		    json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "sessions", (int)c->sessions, "whole",
			(int)c->whole, "one_class", (int)c->one_class, "without_keys",
			(int)c->ended, "reported", (int)c->reported, "skipped", (int)c->skipped));
	return o;
}
