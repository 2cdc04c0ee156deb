/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A set of numbers as runs, in bounded memory: the numbers of packets that came, or the times at
 * which they came. What matters of either is its longest holes, so when there is no room for
 * another one the shortest hole is closed. Pure.
 */
#ifndef HAGENT_DRILL_RUNS_H
#define HAGENT_DRILL_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#define DRILL_RUNS_MAX 32 /* runs that one set keeps */

struct drill_run {
	uint32_t from, to; /* both included */
};

/* A zeroed one is empty. */
struct drill_runs {
	struct drill_run *v; /* in order, with a hole between each two */
	unsigned n, room;
	unsigned max;    /* 0 = DRILL_RUNS_MAX */
	uint32_t least;  /* when full: the shortest hole that is kept */
	uint64_t closed; /* numbers in holes that were closed for want of room */
};

void drill_runs_fini(struct drill_runs *r);
/* True: it was not in the set. False: it was, or there is no memory. */
bool drill_runs_add(struct drill_runs *r, uint32_t number);
/* Adds all of b's. */
void drill_runs_join(struct drill_runs *r, const struct drill_runs *b);
/* Numbers between the first and the last that are not in it, those that were closed included. */
uint64_t drill_runs_missing(const struct drill_runs *r);
uint64_t drill_runs_count(const struct drill_runs *r); /* numbers from the first to the last */
/*
 * The longest way from one number to the next between the two bounds, which may themselves stand in
 * a hole: then that hole counts as a whole. 0 = fewer than two numbers. *at: where it begins.
 */
uint32_t drill_runs_longest(const struct drill_runs *r, uint32_t from, uint32_t to, uint32_t *at);

#endif
