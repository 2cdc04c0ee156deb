/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Classes of keys (docs/takeover.md, "The marker"). `open` only ever shrinks: a class that somebody
 * may have used and forgotten is closed for the session's life, or until it has fresh keys.
 * `suspect` is what the other node may have used while nobody heard of it; it is settled when a
 * standby says HELLO and proves, or cannot prove, that it did not.
 *
 * The PHA_BROKEN_* switches exist so that the simulation proves that it can fail; nothing that
 * serves is built with them.
 */

#include "pptpd/engine/replica_internal.h"

#ifdef PHA_BROKEN_PARITY
#define SILENT_CLASS  KEYS_ALL
#define PROMOTE_CLASS KEYS_ALL
#else
#define SILENT_CLASS  KEYS_EVEN
#define PROMOTE_CLASS KEYS_ODD
#endif

/* Numbers modulo 2^32: the later one. */
static uint32_t
later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0 ? a : b;
}

struct record_mark
replica_keys_ahead(const struct replica_session *s, const struct record_mark *old,
    uint32_t next_seq, uint64_t next_index)
{
	uint64_t factor = s->open == KEYS_ALL ? 1 : 2;
	struct record_mark m = {.seq = later(old->seq, next_seq + 2 * s->ahead), .open = s->open};

	m.index = next_index + (uint32_t)(m.seq - next_seq) * factor;
	if (m.index < old->index)
		m.index = old->index;
	return m;
}

static void
suspect(struct replica_session *s, uint8_t classes, uint64_t epoch, uint32_t boot)
{
	if (s->suspect == KEYS_NONE)
		s->suspect_boot = boot;
	else if (s->suspect_boot != boot)
		s->suspect_boot = 0;
	s->suspect |= classes;
	if (s->suspect_epoch < epoch)
		s->suspect_epoch = epoch;
}

static void
settle(struct replica *r, struct replica_session *s, bool known)
{
	bool proven = known || (r->peer.clean && r->peer.clean_epoch >= s->suspect_epoch);

	if (!replica_report_apply(r, s, proven) && !proven) {
		s->open &= (uint8_t)~s->suspect;
		s->back &= (uint8_t)~s->suspect;
	}
	s->suspect = KEYS_NONE;
	s->suspect_epoch = 0;
	s->suspect_boot = 0;
	if (s->open == KEYS_ALL || (s->skip && (s->open | s->back) == KEYS_ALL))
		r->settled.whole++;
	else if (s->open != KEYS_NONE || s->skip)
		r->settled.one_class++;
	else
		r->settled.ended++;
}

/*
 * The peer, a standby, was the active of what we took over, or the standby of what we served before
 * the cut. What it cannot have used is ours again; what it may have used stays closed. An engine
 * that we have met since we serve, and that is not above our epoch, was never promoted since.
 */
void
replica_keys_met(struct replica *r)
{
	bool known = r->knows_boot && r->known_boot == r->peer.boot_id;
	struct replica_settled before = r->settled;
	struct replica_session *s;
	unsigned suspects = 0;

	r->knows_boot = true;
	r->known_boot = r->peer.boot_id;

	TAILQ_FOREACH(s, &r->sessions, entry)
	suspects += s->suspect != KEYS_NONE;
	r->settled = (struct replica_settled){
	    .times = before.times + 1, .at_ms = loop_now_ms(r->loop), .sessions = suspects};
	TAILQ_FOREACH(s, &r->sessions, entry)
	if (s->suspect != KEYS_NONE)
		settle(r, s, known);
	if (known || suspects == 0) /* a stream that was lost and is back: nobody was promoted */
		r->settled = before;
	else
		log_info("replica settled sessions=%u whole=%u one_class=%u ended=%u reported=%u "
			 "skipped=%u",
		    r->settled.sessions, r->settled.whole, r->settled.one_class, r->settled.ended,
		    r->settled.reported, r->settled.skipped);
}

void
replica_keys_cut(struct replica *r)
{
	struct replica_session *s;

	TAILQ_FOREACH(s, &r->sessions, entry)
	if (s->exposed)
		suspect(s, KEYS_ODD, r->epoch, r->known_boot);
}

/* Nobody will continue them: an exposed session is ours alone again, but for what was closed. */
void
replica_keys_given_up(struct replica *r)
{
	struct replica_session *s;

	TAILQ_FOREACH(s, &r->sessions, entry)
	{
		if (!s->exposed)
			continue;
		replica_unexpose(r, s);
		s->suspect = KEYS_NONE;
		s->suspect_epoch = 0;
		replica_set_gate(r, s, keygate_free(s->open));
	}
}

void
replica_keys_silent(struct replica *r)
{
	struct replica_session *s;
	struct keygate g;

	TAILQ_FOREACH(s, &r->sessions, entry)
	{
		if (!s->exposed)
			continue;
		g = s->gate;
		g.high = s->open & SILENT_CLASS;
		if (g.high == KEYS_NONE && s->short_of_marks)
			replica_end_without(r, s);
		else if (g.high != s->gate.high)
			replica_set_gate(r, s, g);
	}
}

bool
replica_adopt(struct replica *r, struct replica_session *s, const struct mirror_session *m,
    struct keygate *gate)
{
	uint8_t classes = m->mark.open & PROMOTE_CLASS;

	if (!r->active || s->member || m->stale || classes == KEYS_NONE)
		return false;
	s->gate = *gate = keygate_free(classes);
	replica_active_join(r, s, m->id);
	s->open = m->mark.open;
	suspect(s, KEYS_EVEN, r->copy_epoch, r->copy_boot);
	mirror_adopted(r->mirror, m->id);
	return true;
}

void
replica_adopt_unkeyed(struct replica *r, const struct mirror_session *m)
{
	mirror_adopted(r->mirror, m->id);
}
