/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The step runner. One timer serves all deadlines. A step that was cut keeps its place in runs[]
 * until it says that it is gone, so that nothing of an older list can happen after the first step
 * of a newer one; but a process that the kernel does not let go holds up nobody for longer than the
 * grace.
 */
#include "hagent/steps.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define N_RUNS (2 * STEPS_MAX)

static void advance(struct steps *s);

const char *
step_result_name(enum step_result r)
{
	static const char *const names[] = {"ok", "failed", "cut", "superseded", "skipped"};

	return names[r];
}

static void
report(struct steps *s, uint64_t id, const struct step *step, enum step_result result, uint64_t ms,
    const char *detail)
{
	struct steps_report r = {id, step, result, ms, detail ? detail : ""};

	s->over |= 1U << (step - s->list);
	s->on_step(s->arg, &r);
}

static bool
runs_any(const struct steps *s, bool background, bool cut)
{
	for (size_t i = 0; i < N_RUNS; i++) {
		const struct steps_run *r = &s->runs[i];

		if (r->token && r->cut == cut && (background || cut || !r->step->background))
			return true;
	}
	return false;
}

/* To the nearest deadline of what runs. */
static void
arm(struct steps *s)
{
	uint64_t now_ms = loop_now_ms(s->loop), nearest = UINT64_MAX;

	for (size_t i = 0; i < N_RUNS; i++) {
		const struct steps_run *r = &s->runs[i];

		if (r->token && !r->cut && r->begun_ms + r->step->deadline_ms < nearest)
			nearest = r->begun_ms + r->step->deadline_ms;
	}
	if (nearest == UINT64_MAX)
		timer_cancel(&s->deadline);
	else
		timer_set(&s->deadline, nearest > now_ms ? nearest - now_ms : 0);
}

/* Breaks one off and reports it. Its place stays taken while it is not gone. */
static void
cut(struct steps *s, struct steps_run *r, enum step_result why, const char *detail)
{
	uint64_t ms = loop_now_ms(s->loop) - r->begun_ms;
	const struct step *step = r->step;

	r->cut = true;
	if (!step->cut || step->cut(s->arg))
		r->token = 0;
	report(s, s->id, step, why, ms, detail);
}

static void
deadline_cb(void *arg)
{
	struct steps *s = arg;
	uint64_t now_ms = loop_now_ms(s->loop);

	for (size_t i = 0; i < N_RUNS; i++) {
		struct steps_run *r = &s->runs[i];

		if (r->token && !r->cut && r->begun_ms + r->step->deadline_ms <= now_ms)
			cut(s, r, STEP_CUT, "cut at its deadline");
	}
	advance(s);
}

static void
begin(struct steps *s, const struct step *step)
{
	struct steps_run *r = s->runs;

	while (r < s->runs + N_RUNS && r->token)
		r++;
	if (r == s->runs + N_RUNS) {
		report(s, s->id, step, STEP_FAILED, 0, "too many steps hang");
		return;
	}
	if (++s->last_token == 0)
		s->last_token = 1;
	unsigned token = s->last_token;
	*r = (struct steps_run){.token = token, .step = step, .begun_ms = loop_now_ms(s->loop)};
	if (step->begin(s, token, s->arg) < 0)
		steps_end(s, token, STEP_FAILED, strerror(errno));
}

/* The next step that may begin, or n. */
static size_t
ready(const struct steps *s)
{
	size_t i = 0;

	while (i < s->n && ((s->begun & 1U << i) || (s->list[i].after & ~s->over)))
		i++;
	return i;
}

/* Begins what may begin. Steps that end at once come back here only when the outermost call is
 * done. */
static void
advance(struct steps *s)
{
	if (s->busy && !s->waiting) {
		s->waiting = true; /* steps_end() from within begin() */
		for (size_t i; (i = ready(s)) < s->n;) {
			s->begun |= 1U << i;
			begin(s, &s->list[i]);
		}
		s->waiting = false;
		if (s->begun == (1U << s->n) - 1 && !runs_any(s, false, false)) {
			s->busy = false;
			arm(s);
			s->on_done(s->arg, s->id);
			return;
		}
	}
	arm(s);
}

static void
start_waiting_list(struct steps *s)
{
	timer_cancel(&s->grace);
	s->waiting = false;
	advance(s);
}

static void
grace_cb(void *arg)
{
	start_waiting_list(arg);
}

void
steps_end(struct steps *s, unsigned token, enum step_result result, const char *detail)
{
	for (size_t i = 0; i < N_RUNS; i++) {
		struct steps_run *r = &s->runs[i];

		if (token == 0 || r->token != token)
			continue;
		bool was_cut = r->cut;
		r->token = 0;
		if (!was_cut)
			report(
			    s, s->id, r->step, result, loop_now_ms(s->loop) - r->begun_ms, detail);
		break;
	}
	if (timer_pending(&s->grace)) {
		if (!runs_any(s, true, true))
			start_waiting_list(s);
	} else if (!s->waiting) {
		advance(s);
	}
}

void
steps_init(struct steps *s, struct loop *l,
    void (*on_step)(void *arg, const struct steps_report *r),
    void (*on_done)(void *arg, uint64_t id), void *arg)
{
	*s = (struct steps){.loop = l, .on_step = on_step, .on_done = on_done, .arg = arg};
	timer_init(&s->deadline, l, deadline_cb, s);
	timer_init(&s->grace, l, grace_cb, s);
}

void
steps_fini(struct steps *s)
{
	for (size_t i = 0; i < N_RUNS; i++) {
		struct steps_run *r = &s->runs[i];

		if (r->token && !r->cut && r->step->cut)
			r->step->cut(s->arg);
		r->token = 0;
	}
	timer_cancel(&s->deadline);
	timer_cancel(&s->grace);
	s->busy = false;
}

void
steps_run(struct steps *s, const struct step *list, size_t n, uint64_t id)
{
	assert(n <= STEPS_MAX);
	timer_cancel(&s->grace);
	s->waiting = true;
	for (size_t i = 0; i < N_RUNS; i++) {
		if (s->runs[i].token && !s->runs[i].cut)
			cut(s, &s->runs[i], STEP_SUPERSEDED, "cut by a newer transition");
	}
	for (size_t i = 0; s->busy && i < s->n; i++) {
		if (!(s->begun & 1U << i))
			report(s, s->id, &s->list[i], STEP_SUPERSEDED, 0, "never begun");
	}
	s->list = list;
	s->n = n;
	s->begun = s->over = 0;
	s->id = id;
	s->busy = true;
	if (runs_any(s, true, true))
		timer_set(&s->grace, STEPS_GRACE_MS);
	else
		start_waiting_list(s);
	arm(s);
}

bool
steps_busy(const struct steps *s)
{
	return s->busy;
}
