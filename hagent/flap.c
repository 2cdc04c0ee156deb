/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One function a rule.
 */
#include "hagent/flap.h"

#include <stdio.h>

void
flap_add(struct flap_times *t, int64_t at)
{
	t->at[t->n++ % FLAP_EVENTS] = at;
}

static bool
counts(int64_t at, int64_t now)
{
	return at > 0 && at <= now && now - at < FLAP_WINDOW_MS;
}

unsigned
flap_count(const struct flap_times *t, int64_t now)
{
	unsigned n = 0;

	for (size_t i = 0; i < FLAP_EVENTS; i++)
		n += counts(t->at[i], now);
	return n;
}

const char *
flap_state_name(enum flap_state s)
{
	static const char *const names[] = {"free", "asks", "rides", "stays", "held"};

	return names[s];
}

bool
flap_notice(struct flap *f, int64_t now, bool hard, bool link_down)
{
	bool news = hard != f->failing;

	if (!link_down)
		f->bad_at = 0;
	else if (f->bad_at == 0)
		f->bad_at = now;
	if (news && hard)
		flap_add(&f->failures, now);
	else if (news)
		f->well_at = now;
	f->failing = hard;
	return news;
}

void
flap_failed(struct flap *f, int64_t now)
{
	flap_add(&f->failures, now);
	f->well_at = now;
}

unsigned
flap_hold_s(const struct flap_limits *l, unsigned failures)
{
	unsigned hold_s = failures > 1 ? l->hold_down_s : 0;

	for (; failures > 2 && hold_s < l->hold_down_max_s; failures--)
		hold_s *= 2;
	return hold_s < l->hold_down_max_s ? hold_s : l->hold_down_max_s;
}

void
flap_lift(struct flap *f, int64_t until)
{
	f->failures = (struct flap_times){0};
	f->lifted_until = until;
}

/* ---- the rules ---- */

static unsigned
moves_of(const struct flap_view *v)
{
	return flap_count(v->moves, v->now) + flap_count(v->peers_moves, v->now);
}

/* When enough of both gateways' moves are ten minutes old for another one. 0: at once, or never. */
static int64_t
moves_end(const struct flap_limits *l, const struct flap_view *v)
{
	unsigned max = l->moves_max > 0 ? l->moves_max : 1;
	int64_t end = 0;

	/* Each move that leaves makes room for the next one: the end is the first moment with room.
	 */
	for (size_t i = 0; i < 2 * FLAP_EVENTS; i++) {
		const struct flap_times *t = i < FLAP_EVENTS ? v->moves : v->peers_moves;
		int64_t at = t->at[i % FLAP_EVENTS], leaves = at + FLAP_WINDOW_MS;

		if (!counts(at, v->now))
			continue;
		unsigned left = 0;
		for (size_t k = 0; k < 2 * FLAP_EVENTS; k++) {
			const struct flap_times *u = k < FLAP_EVENTS ? v->moves : v->peers_moves;
			int64_t other = u->at[k % FLAP_EVENTS];

			left += counts(other, v->now) && other > at;
		}
		if (left < max && (end == 0 || leaves < end))
			end = leaves;
	}
	return end;
}

/* Somebody serves, or will by himself, if we do not. */
static bool
peer_can(const struct flap_view *v)
{
	if (!v->peer_fresh)
		return false;
	if (v->peer_active)
		return !v->peer_hard || v->peer_rides;
	if (v->peer_hard)
		return false;
	return v->peer_able || (v->peer_held && !v->senior);
}

/* A link of ours is down, and nothing worse: our sessions live, wherever they are served. */
static void
judge_link(const struct flap *f, const struct flap_limits *l, const struct flap_view *v,
    struct flap_verdict *out)
{
	int64_t ride_ms = out->moves >= l->moves_max ? (int64_t)l->ride_out_s * 1000 : 0;
	int64_t down_ms = v->now - f->bad_at;

	if (!v->peer_fresh) {
		out->state = FLAP_RIDES;
	} else if (down_ms >= 0 && down_ms < ride_ms) {
		out->state = FLAP_RIDES;
		out->until = f->bad_at + ride_ms;
	} else if (!v->peer_hard && down_ms >= 0 && down_ms < FLAP_ASK_MS) {
		out->state = FLAP_ASKS;
		out->until = f->bad_at + FLAP_ASK_MS;
	}
}

static void
judge_active(const struct flap *f, const struct flap_limits *l, const struct flap_view *v,
    struct flap_verdict *out)
{
	if (v->hard && v->links_only && f->bad_at != 0) {
		judge_link(f, l, v, out);
	} else if (v->soft && out->moves >= l->moves_max) {
		out->state = FLAP_STAYS;
		out->until = moves_end(l, v);
	}
}

static void
judge_standby(const struct flap *f, const struct flap_limits *l, const struct flap_view *v,
    struct flap_verdict *out)
{
	int64_t hold_end = f->well_at + (int64_t)flap_hold_s(l, out->failures) * 1000;

	if (v->hard || !peer_can(v) || v->now < f->lifted_until)
		return;
	if (out->failures > 1 && f->well_at <= v->now && v->now < hold_end) {
		out->state = FLAP_HELD;
		out->until = hold_end;
		out->for_failures = true;
	}
	if (v->peer_active && out->moves > 0 && out->moves >= l->moves_max &&
	    moves_end(l, v) > out->until) { /* what lasts longer is told */
		out->state = FLAP_HELD;
		out->until = moves_end(l, v);
		out->for_failures = false;
	}
}

void
flap_judge(const struct flap *f, const struct flap_limits *l, const struct flap_view *v,
    struct flap_verdict *out)
{
	*out = (struct flap_verdict){
	    .failures = flap_count(&f->failures, v->now),
	    .moves = moves_of(v),
	};
	if (v->active)
		judge_active(f, l, v, out);
	else
		judge_standby(f, l, v, out);
}

void
flap_tell(const struct flap_verdict *v, int64_t now, char *out, size_t size)
{
	long long left_s = v->until > now ? (v->until - now + 999) / 1000 : 0;

	switch (v->state) {
	case FLAP_FREE:
		*out = '\0';
		break;
	case FLAP_ASKS:
		snprintf(out, size, "a link is down: the peer is asked for its own");
		break;
	case FLAP_RIDES:
		if (v->until == 0)
			snprintf(
			    out, size, "serves on without a link: no peer is heard that could");
		else
			snprintf(out, size,
			    "serves on without a link for %lld s at most because of %u automatic "
			    "moves within 10 minutes",
			    left_s, v->moves);
		break;
	case FLAP_STAYS:
		if (v->moves == 0)
			snprintf(out, size, "does not move by itself: moves-per-10-minutes is 0");
		else
			snprintf(out, size,
			    "does not move for %lld s more because of %u automatic moves within 10 "
			    "minutes",
			    left_s, v->moves);
		break;
	case FLAP_HELD:
		if (v->for_failures)
			snprintf(out, size,
			    "held down for %lld s more because it failed %u times within 10 "
			    "minutes",
			    left_s, v->failures);
		else
			snprintf(out, size,
			    "held down for %lld s more because of %u automatic moves within 10 "
			    "minutes",
			    left_s, v->moves);
		break;
	}
}
