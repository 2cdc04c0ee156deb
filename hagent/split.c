/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A look at a time; what was true at the one before tells what has just begun or ended.
 */
#include "hagent/split.h"

#include <string.h>

void
split_promoted(struct split *s)
{
	s->ahead = true;
}

/* The peer is not heard: since when, and whether we served meanwhile. */
static void
note_loss(struct split *s, const struct split_facts *f)
{
	if (s->lost_at == 0 && f->peer_silent_ms != UINT64_MAX)
		s->lost_at = f->wall_ms - (int64_t)f->peer_silent_ms;
	s->served_lost |= f->serves && s->lost_at != 0;
	s->settled_lost = f->settled;
}

static void
begin(struct split *s, const struct split_facts *f)
{
	s->any = s->open = true;
	s->we_stayed = s->settled = false;
	s->began_at = s->lost_at;
	s->ended_at = f->wall_ms;
	s->over_ms = f->now_ms;
	s->before = s->settled_lost;
	s->counts = (struct split_counts){0};
	s->epoch = f->epoch > f->peer_epoch ? f->epoch : f->peer_epoch;
}

/*
 * Heard again. Both serve; or VRRP was faster than the agents and one of the two has let go: then
 * the other has been promoted meanwhile, which its epoch shows.
 */
static bool
both_served(const struct split *s, const struct split_facts *f)
{
	if (!s->served_lost)
		return false;
	return f->peer_serves ? true : f->peer_epoch > f->epoch && f->epoch > 0;
}

static void
watch_heard(struct split *s, const struct split_facts *f, struct split_wishes *w)
{
	if (!s->was_fresh && s->lost_at != 0) {
		w->announce = f->serves;
		if (both_served(s, f)) {
			begin(s, f);
			w->event = SPLIT_SEEN;
		} else if (s->served_lost && f->serves) {
			s->maybe = true;
			s->maybe_began_at = s->lost_at;
			s->maybe_ended_at = f->wall_ms;
			s->maybe_ms = f->now_ms;
		}
	}
	s->lost_at = 0;
	s->served_lost = false;
}

static void
watch_end(struct split *s, const struct split_facts *f, struct split_wishes *w)
{
	if (f->serves == f->peer_serves) /* both still, or the one that is to stay comes */
		return;
	s->open = false;
	s->we_stayed = f->serves;
	s->over_ms = f->now_ms;
	s->epoch = f->serves ? f->epoch : f->peer_epoch;
	w->announce = f->serves;
	w->event = SPLIT_OVER;
}

/*
 * VRRP has sent the other one back, which is a standby at its first word. That it served is told by
 * its engine: it reports sessions.
 */
static void
watch_report(struct split *s, const struct split_facts *f)
{
	if (f->now_ms - s->maybe_ms > SPLIT_SETTLE_MS)
		s->maybe = false;
	if (!s->maybe || f->settled.times == s->settled_lost.times)
		return;
	s->maybe = false;
	if (f->settled.reported == 0)
		return;
	s->lost_at = s->maybe_began_at;
	begin(s, f);
	s->lost_at = 0;
	s->ended_at = s->maybe_ended_at;
	s->open = false;
	s->we_stayed = true;
}

static void
watch_sessions(struct split *s, const struct split_facts *f, struct split_wishes *w)
{
	if (f->settled.times == s->before.times || f->now_ms - s->over_ms > SPLIT_SETTLE_MS)
		return;
	s->settled = true;
	s->counts = f->settled;
	w->event = SPLIT_SETTLED;
}

void
split_look(struct split *s, const struct split_facts *f, struct split_wishes *w)
{
	*w = (struct split_wishes){0};
	if (!f->peer_fresh)
		note_loss(s, f);
	else
		watch_heard(s, f, w);
	s->was_fresh = f->peer_fresh;
	if (s->maybe && f->serves)
		watch_report(s, f);
	if (w->event == SPLIT_NOTHING && s->any && s->open && f->peer_fresh)
		watch_end(s, f, w);
	else if (s->any && !s->open && s->we_stayed && !s->settled)
		watch_sessions(s, f, w);
	if (f->peer_fresh && (!f->peer_serves || f->stands_by))
		s->ahead = false;
	w->ahead = s->ahead;
}
