/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A list of steps, worked through on the loop: each begins when those that it comes after are over,
 * so what does not depend on each other runs side by side. Each step has its own deadline: one that
 * hangs is cut there and the rest goes on. Nobody waits for a background step. A new list
 * supersedes the rest of an older one: what runs is cut and the new list begins when the cut steps
 * are gone, or after STEPS_GRACE_MS if one of them will not go. Knows nothing of what the steps do.
 */
#ifndef HAGENT_STEPS_H
#define HAGENT_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

#define STEPS_MAX      12
#define STEPS_GRACE_MS 100

enum step_result {
	STEP_OK,
	STEP_FAILED,
	STEP_CUT,        /* at its deadline */
	STEP_SUPERSEDED, /* by a newer list: cut, or never begun */
	STEP_SKIPPED     /* there was nothing to do; the step says so itself */
};
const char *step_result_name(enum step_result r);

struct steps;

struct step {
	const char *name;
	unsigned after; /* bits: positions of earlier steps of the list that must be over first */
	unsigned deadline_ms;
	bool background;
	/*
	 * Begins the step; its end is told with steps_end(token), from here already or later. -1
	 * with errno: it failed at once.
	 */
	int (*begin)(struct steps *s, unsigned token, void *arg);
	/*
	 * Breaks it off, or NULL if nothing is to be broken off. True = it is gone now; false = it
	 * will still call steps_end() when it is.
	 */
	bool (*cut)(void *arg);
};

struct steps_report {
	uint64_t id; /* of the list */
	const struct step *step;
	enum step_result result;
	uint64_t ms;
	const char *detail; /* "" = nothing to say */
};

struct steps_run {
	unsigned token; /* 0 = free */
	const struct step *step;
	uint64_t begun_ms;
	bool cut; /* reported already: waits for its end only */
};

/* Embedded in its owner. */
struct steps {
	struct loop *loop;
	void (*on_step)(void *arg, const struct steps_report *r);
	/* All but the background steps are over. Not called for a superseded list. */
	void (*on_done)(void *arg, uint64_t id);
	void *arg;

	const struct step *list;
	size_t n;
	unsigned begun, over; /* bits, by position */
	uint64_t id;
	bool busy, waiting; /* waiting: for the cut steps of the list before */
	unsigned last_token;
	struct steps_run runs[2 * STEPS_MAX];
	struct timer deadline, grace;
};

void steps_init(struct steps *s, struct loop *l,
    void (*on_step)(void *arg, const struct steps_report *r),
    void (*on_done)(void *arg, uint64_t id), void *arg);
/* Cuts what runs without a report. */
void steps_fini(struct steps *s);
/* Works the list (at most STEPS_MAX, kept by the caller) under that id; supersedes what is under
 * way. */
void steps_run(struct steps *s, const struct step *list, size_t n, uint64_t id);
/* A step's end. A token that is not running any more is harmless. */
void steps_end(struct steps *s, unsigned token, enum step_result result, const char *detail);
bool steps_busy(const struct steps *s);

#endif
