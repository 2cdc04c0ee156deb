/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One function a concern.
 */
#include "hagent/pair.h"

static bool
is_standby(const struct pair_facts *f)
{
	return f->role == PAIR_STANDBY && f->engine.answers && !f->engine.active;
}

static bool
is_active(const struct pair_facts *f)
{
	return f->role == PAIR_ACTIVE && f->engine.answers && f->engine.active;
}

/*
 * The active asks, the standby consents, the active acts. Where nobody is there to ask, or nobody
 * who can consent (a standby that was started anew), a class of its own is always safe.
 */
static void
judge_cut(const struct pair_facts *f, struct pair_wishes *w)
{
	const struct pair_engine *e = &f->engine;
	const struct pair_peer *p = &f->peer;

	w->wants_cut = is_active(f) && e->wants ? e->cut : PAIR_NO_CUT;
	w->stale_cut = is_standby(f) && e->stale ? e->stale_cut : PAIR_NO_CUT;
	if (is_standby(f) && p->fresh && p->active && p->epoch >= f->engine_epoch &&
	    p->wants_cut != PAIR_NO_CUT && w->stale_cut != p->wants_cut) {
		w->order = PAIR_STALE;
		w->cut = p->wants_cut;
	} else if (is_active(f) && e->wants && p->fresh && p->standby && p->stale_cut == e->cut) {
		w->order = PAIR_SOLO;
		w->cut = e->cut;
	} else if (is_active(f) && e->cut_now && p->silent_ms >= PAIR_SILENT_MS &&
		   f->fence == PAIR_FENCE_WANTED) {
		w->fence = true;
	} else if (is_active(f) && e->cut_now &&
		   (p->silent_ms >= PAIR_SILENT_MS || e->wants_ms >= PAIR_WANTS_MS)) {
		w->write_marker = !f->marker_sure;
		w->order = f->marker_sure ? PAIR_SILENT : PAIR_NO_ORDER;
		w->cut = e->cut;
	}
}

/*
 * The marker goes when a standby holds the marks of all, or when we are such a standby: then what
 * we may have used is known to the other. Under silence it stays.
 */
static void
judge_marker(const struct pair_facts *f, const struct pair_wishes *before, struct pair_wishes *w)
{
	const struct pair_engine *e = &f->engine;

	w->clean = !e->active && f->role != PAIR_PROMOTING && !f->marker_may && f->epoch > 0;
	if (is_active(f) && e->marked && !e->silent_now)
		w->remove_marker = f->marker_may;
	if (is_standby(f) && e->in_step && !e->stale) {
		w->remove_marker = f->marker_may;
		w->keep_epoch = f->engine_epoch > f->epoch ? f->engine_epoch : 0;
	} else if (is_standby(f) && w->clean && f->gave_epoch > f->epoch) {
		w->keep_epoch = f->gave_epoch; /* all that we used is below the marks we gave */
	}
	w->mirrors = e->answers && !e->active && f->paired && f->peer.fresh && f->peer.serves;
	if (f->moving)
		w->mirrors = before->mirrors;
}

/*
 * The kernel is kept silent where somebody can continue what it would end. A daemon that does not
 * answer leaves the holds as they were, as long as the peer is heard and for some seconds. So does
 * one that serves no more: its clients still reach this kernel, for as long as the address is here,
 * and the other gateway may take a while to begin.
 */
static void
judge_holds(const struct pair_facts *f, const struct pair_wishes *before, struct pair_wishes *w)
{
	const struct pair_engine *e = &f->engine;

	if (!e->answers) {
		bool keep = f->peer.fresh && e->silent_ms < PAIR_HOLDS_MS;

		w->hold_calls = keep && before->hold_calls;
		w->hold_unknown = keep && before->hold_unknown;
		return;
	}
	if (e->active) {
		w->hold_calls = e->copied || e->restoring > 0;
		w->hold_unknown = e->restoring > 0;
	} else {
		bool keep =
		    f->peer.fresh && (f->role == PAIR_ACTIVE || f->served_ms < PAIR_HOLDS_MS);

		w->hold_calls = w->hold_unknown =
		    e->copy || (f->peer.fresh && f->peer.serves && f->peer.sessions > 0);
		w->hold_calls |= keep && before->hold_calls;
		w->hold_unknown |= keep && before->hold_unknown;
	}
	if (f->role == PAIR_PROMOTING) {
		w->hold_calls |= before->hold_calls;
		w->hold_unknown |= before->hold_unknown;
	}
}

/* The peer's sessions are lost to nobody while its engine serves and ours can ask for them. */
static void
judge_waiting(const struct pair_facts *f, struct pair_wishes *w)
{
	const struct pair_engine *e = &f->engine;
	const struct pair_peer *p = &f->peer;

	w->wait_for_copy = e->answers && !e->active && !e->in_step &&
			   (e->connected || !e->copy || !e->whole) && p->fresh && p->serves &&
			   p->sessions > 0;
	w->wait_to_yield = e->answers && e->active && e->sessions > 0 && p->fresh && !p->serves;
}

void
pair_judge(const struct pair_facts *f, const struct pair_wishes *before, struct pair_wishes *out)
{
	*out = (struct pair_wishes){.wants_cut = PAIR_NO_CUT, .stale_cut = PAIR_NO_CUT};
	judge_cut(f, out);
	judge_marker(f, before, out);
	judge_holds(f, before, out);
	judge_waiting(f, out);
}
