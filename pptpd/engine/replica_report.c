/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How two that both served settle it (docs/takeover.md, "The report"). An engine that is demoted
 * keeps, of each session that the other may serve too, the first number and the first key index
 * that it has not used. It tells them to the active that it meets as a standby; the active believes
 * what comes from the very engine that may have used the session's keys. From that index on nobody
 * has used a key: every class is open there. Nothing here opens a key below it.
 */
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

#define SKIP_NUMBERS_MAX (2 * REPLICA_AHEAD) /* as at a takeover; some clients are deaf at 300 */
#define SKIP_KEYS_MAX    512                 /* likewise, to a client that may be on our side */
#define SKIP_STEPS_MAX   60000               /* 40 ms of a worker; see STEP_MAX in data/send.c */
#define PACE_KEYS        8192                /* stepped over at a time, */
#define PACE_MS          16                  /* which takes about half of it */

/* ---- the engine that was demoted ---- */

static void
forget_gone(struct replica *r)
{
	free(r->gone);
	r->gone = NULL;
	r->n_gone = r->gone_size = 0;
}

void
replica_report_forget(struct replica *r)
{
	free(r->kept);
	r->kept = NULL;
	r->n_kept = 0;
}

/* Its keys are known to the other, who may go on with them, or has. */
static bool
is_shared(const struct replica_session *s)
{
	return s->exposed || s->suspect != KEYS_NONE;
}

void
replica_closing(struct replica *r, struct replica_session *s)
{
	s->noted = s->member && r->active && is_shared(s) && !replica_streaming(r);
}

void
replica_ended(struct replica *r, struct replica_session *s, const struct replica_stand *last)
{
	unsigned size = r->gone_size > 0 ? 2 * r->gone_size : 64;
	struct replica_stand *gone;

	if (!s->noted || !r->active)
		return;
	s->noted = false;
	if (r->n_gone == r->gone_size) {
		if (size > REPLICA_STANDS_MAX || (gone = calloc(size, sizeof *gone)) == NULL)
			return; /* who is not named is judged by what can be proven */
		if (r->n_gone > 0)
			memcpy(gone, r->gone, r->n_gone * sizeof *gone);
		free(r->gone);
		r->gone = gone;
		r->gone_size = size;
	}
	r->gone[r->n_gone] = *last;
	r->gone[r->n_gone++].id = s->id;
}

void
replica_report_keep(struct replica *r)
{
	struct replica_session *s;
	unsigned n = r->n_gone;

	replica_report_forget(r);
	TAILQ_FOREACH(s, &r->sessions, entry)
	n += is_shared(s);
	if (n > REPLICA_STANDS_MAX || n == 0 || r->ops.stands == NULL ||
	    (r->kept = calloc(n, sizeof *r->kept)) == NULL) {
		forget_gone(r);
		return;
	}
	for (r->n_kept = 0; r->n_kept < r->n_gone; r->n_kept++)
		r->kept[r->n_kept] = r->gone[r->n_kept];
	forget_gone(r);
	TAILQ_FOREACH(s, &r->sessions, entry)
	if (is_shared(s) && r->ops.stands(r->arg, s, &r->kept[r->n_kept]))
		r->kept[r->n_kept++].id = s->id;
	r->kept_boot = r->config.boot_id;
}

void
replica_report_announce(const struct replica *r, struct replica_hello *h)
{
	h->report_boot = r->kept_boot;
	h->report_n = r->active ? 0 : r->n_kept;
}

void
replica_report_say(struct replica *r)
{
	struct wr w;
	uint8_t *at;

	r->said_report = false;
	if (r->n_kept == 0 || r->version < REPLICA_VERSION_REPORT)
		return;
	for (unsigned i = 0; i < r->n_kept && r->open;) {
		w = replica_say(r, REPLICA_REPORT);
		at = replica_entries_begin(&w);
		for (; i < r->n_kept && wr_room(&w) >= REPLICA_STAND_LEN; i++)
			replica_put_stand(&w, &r->kept[i]);
		replica_entries_end(&w, at);
		replica_send(r, &w);
	}
	r->said_report = true;
}

void
replica_report_heard(struct replica *r)
{
	if (r->said_report)
		replica_report_forget(r);
	r->said_report = false;
}

/* ---- the active ---- */

void
replica_report_end(struct replica *r)
{
	free(r->told);
	r->told = NULL;
	r->n_told = r->to_tell = 0;
}

bool
replica_report_expect(struct replica *r)
{
	replica_report_end(r);
	if (r->version < REPLICA_VERSION_REPORT || r->peer.report_n == 0)
		return false;
	r->told = calloc(r->peer.report_n, sizeof *r->told);
	if (r->told == NULL)
		log_warn("no memory for the peer's report sessions=%u", r->peer.report_n);
	r->to_tell = r->peer.report_n;
	return true;
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct replica_stand *)a)->id,
		 y = ((const struct replica_stand *)b)->id;

	return (x > y) - (x < y);
}

bool
replica_report_input(struct replica *r, const struct replica_frame *f)
{
	struct replica_stand e;
	struct rd entries;

	if (f->type == REPLICA_BEAT)
		return false;
	if (f->type != REPLICA_REPORT || replica_get_entries(f, &entries) < 0 ||
	    rd_left(&entries) / REPLICA_STAND_LEN > r->to_tell || rd_left(&entries) == 0) {
		replica_drop(
		    r, "%s, not the report of %u sessions", replica_type_name(f->type), r->to_tell);
		return false;
	}
	for (; rd_left(&entries) > 0; r->to_tell--) {
		replica_get_stand(&entries, &e);
		if (r->told != NULL)
			r->told[r->n_told++] = e;
	}
	if (r->to_tell > 0)
		return false;
	if (r->told != NULL)
		qsort(r->told, r->n_told, sizeof *r->told, by_id);
	return true;
}

/* What was reported of it by the engine that may have used its keys; NULL = nothing. */
static const struct replica_stand *
told_of(const struct replica *r, const struct replica_session *s)
{
	struct replica_stand key = {.id = s->id};

#ifndef PHA_BROKEN_REPORT
	if (s->suspect_boot == 0 || s->suspect_boot != r->peer.report_boot)
		return NULL;
#endif
	if (s->suspect == KEYS_NONE || r->n_told == 0)
		return NULL;
	return bsearch(&key, r->told, r->n_told, sizeof key, by_id);
}

/* ---- beyond what the other has used ---- */

/*
 * The client must follow: of the numbers behind the newest that it is known to have (it
 * acknowledged it to either of us; if to nobody: our newest) not more may be missing to it than a
 * takeover makes it miss. An acknowledgement that the other got says that the client is over
 * there, and so at the other's keys.
 */
static bool
may_skip(const struct replica_stand *us, const struct replica_stand *them,
    const struct replica_stand *to)
{
	uint32_t has = us->seq - 1;
	bool theirs = them->any_acked && (!us->any_acked || (int32_t)(them->acked - us->acked) > 0);

	if (us->any_acked)
		has = us->acked;
	if (theirs)
		has = them->acked;
	if ((to->seq == us->seq && to->index == us->index) || to->seq < us->seq)
		return false; /* nothing to skip; or 0xFFFFFFFF, which has rules of its own */
	if ((int32_t)(to->seq - 1 - has) > SKIP_NUMBERS_MAX)
		return false;
	return to->index - us->index <= (theirs ? SKIP_STEPS_MAX : SKIP_KEYS_MAX);
}

bool
replica_report_apply(struct replica *r, struct replica_session *s, bool proven)
{
	const struct replica_stand *them = told_of(r, s);
	struct replica_stand us = {.id = s->id}, to;

	if (them == NULL || r->ops.stands == NULL || !r->ops.stands(r->arg, s, &us))
		return false;
	r->settled.reported++;
	to = us;
	if ((int32_t)(them->seq - to.seq) > 0)
		to.seq = them->seq;
	if (them->index > to.index)
		to.index = them->index;
	if (may_skip(&us, them, &to)) {
		s->skip = true;
		s->skip_seq = to.seq;
		s->skip_index = to.index;
		r->settled.skipped++;
	}
	if (proven)
		return true;
#ifndef PHA_BROKEN_REPORT
	if (s->back == KEYS_NONE || s->back_at < them->index)
		s->back_at = them->index;
	s->back |= s->open & s->suspect;
	s->open &= (uint8_t)~s->suspect;
	replica_report_regain(s, us.index);
#endif
	return true;
}

void
replica_report_regain(struct replica_session *s, uint64_t next_index)
{
	if (s->back == KEYS_NONE || next_index < s->back_at)
		return;
	s->open |= s->back;
	s->back = KEYS_NONE;
}

bool
replica_report_skip(struct replica *r, struct replica_session *s)
{
	uint64_t now = loop_now_ms(r->loop);
	struct replica_stand us = {.id = s->id};

	if (!s->skip)
		return true;
	if (now < r->skip_ms) {
		timer_set(&r->pace, r->skip_ms - now);
		return false;
	}
	s->skip = false;
	r->ops.skip(r->arg, s, s->skip_seq, s->skip_index);
	if (r->ops.stands(r->arg, s, &us) && s->skip_index > us.index)
		r->skip_keys += s->skip_index - us.index;
	if (r->skip_keys >= PACE_KEYS) {
		r->skip_ms = now + r->skip_keys * PACE_MS / PACE_KEYS;
		r->skip_keys = 0;
	}
	return true;
}

bool
replica_has_keys(const struct replica_session *s)
{
	return s->open != KEYS_NONE || (s->skip && s->back != KEYS_NONE);
}

void
replica_report_settled(struct replica *r)
{
	replica_report_end(r);
	forget_gone(r);
}

void
replica_report_reset(struct replica_session *s)
{
	s->noted = false;
	s->back = KEYS_NONE;
	s->skip = false;
	s->back_at = 0;
	s->suspect_boot = 0;
}
