/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs of numbers.
 */
#include "hagent/drill_runs.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 4

void
drill_runs_fini(struct drill_runs *r)
{
	free(r->v);
	*r = (struct drill_runs){.max = r->max};
}

static unsigned
most(const struct drill_runs *r)
{
	return r->max != 0 ? r->max : DRILL_RUNS_MAX;
}

/* Numbers that are missing behind run i. */
static uint32_t
hole(const struct drill_runs *r, unsigned i)
{
	return r->v[i + 1].from - r->v[i].to - 1;
}

static void
remove_run(struct drill_runs *r, unsigned i)
{
	memmove(&r->v[i], &r->v[i + 1], (r->n - i - 1) * sizeof(r->v[0]));
	r->n--;
}

static void
close_hole(struct drill_runs *r, unsigned i)
{
	r->v[i].to = r->v[i + 1].to;
	remove_run(r, i + 1);
}

static void
find_least(struct drill_runs *r)
{
	r->least = UINT32_MAX;
	for (unsigned i = 0; i + 1 < r->n; i++) {
		if (hole(r, i) < r->least)
			r->least = hole(r, i);
	}
}

static void
close_shortest(struct drill_runs *r)
{
	unsigned best = 0;

	for (unsigned i = 1; i + 1 < r->n; i++) {
		if (hole(r, i) < hole(r, best))
			best = i;
	}
	r->closed += hole(r, best);
	close_hole(r, best);
}

/* A run of its own, before run i. */
static bool
insert(struct drill_runs *r, unsigned i, uint32_t from, uint32_t to)
{
	if (r->n == r->room) {
		unsigned room = r->room == 0 ? ROOM_FIRST : 2 * r->room;
		struct drill_run *v = realloc(r->v, room * sizeof(*v));

		if (!v)
			return false;
		r->v = v;
		r->room = room;
	}
	memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof(r->v[0]));
	r->v[i] = (struct drill_run){from, to};
	r->n++;
	if (r->n > most(r))
		close_shortest(r);
	if (r->n == most(r))
		find_least(r);
	return true;
}

/* Behind the last run, the usual case. */
static bool
append(struct drill_runs *r, uint32_t number)
{
	struct drill_run *last = &r->v[r->n - 1];
	uint32_t gap = number - last->to - 1;

	if (gap != 0 && !(r->n == most(r) && gap <= r->least))
		return insert(r, r->n, number, number);
	r->closed += gap;
	last->to = number;
	return true;
}

/* Into the hole before run i, and behind run i - 1 if there is one. */
static bool
fill(struct drill_runs *r, unsigned i, uint32_t number)
{
	bool left = i > 0 && r->v[i - 1].to + 1 == number, right = number + 1 == r->v[i].from;

	if (left)
		r->v[i - 1].to = number;
	if (right)
		r->v[i].from = number;
	if (left && right)
		close_hole(r, i - 1);
	if (left || right) {
		if (r->n == most(r))
			find_least(r);
		return true;
	}
	return insert(r, i, number, number);
}

bool
drill_runs_add(struct drill_runs *r, uint32_t number)
{
	unsigned i = r->n;

	if (r->n == 0)
		return insert(r, 0, number, number);
	if (number > r->v[r->n - 1].to)
		return append(r, number);
	while (i > 0 && number < r->v[i - 1].from)
		i--;
	if (i > 0 && number <= r->v[i - 1].to)
		return false;
	return fill(r, i, number);
}

static int
compare(const void *a, const void *b)
{
	const struct drill_run *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

void
drill_runs_join(struct drill_runs *r, const struct drill_runs *b)
{
	struct drill_runs sum = {.max = r->max, .closed = r->closed + b->closed};
	unsigned n = r->n + b->n, k = 0;
	struct drill_run *v = malloc((n + 1) * sizeof(*v));

	if (!v)
		return;
	if (r->n > 0)
		memcpy(v, r->v, r->n * sizeof(*v));
	if (b->n > 0)
		memcpy(v + r->n, b->v, b->n * sizeof(*v));
	qsort(v, n, sizeof(*v), compare);
	for (unsigned i = 0; i < n; i++) {
		if (k > 0 && (v[i].from <= v[k - 1].to || v[i].from == v[k - 1].to + 1))
			v[k - 1].to = v[i].to > v[k - 1].to ? v[i].to : v[k - 1].to;
		else
			v[k++] = v[i];
	}
	free(r->v);
	sum.v = v;
	sum.n = k;
	sum.room = n + 1;
	*r = sum;
	while (r->n > most(r))
		close_shortest(r);
	if (r->n == most(r))
		find_least(r);
}

uint64_t
drill_runs_missing(const struct drill_runs *r)
{
	uint64_t sum = r->closed;

	for (unsigned i = 0; i + 1 < r->n; i++)
		sum += hole(r, i);
	return sum;
}

uint64_t
drill_runs_count(const struct drill_runs *r)
{
	return r->n == 0 ? 0 : (uint64_t)r->v[r->n - 1].to - r->v[0].from + 1;
}

uint32_t
drill_runs_longest(const struct drill_runs *r, uint32_t from, uint32_t to, uint32_t *at)
{
	uint32_t longest = 0;

	*at = 0;
	for (unsigned i = 0; i + 1 < r->n; i++) {
		uint32_t way = hole(r, i) + 1;

		if (r->v[i + 1].from < from || r->v[i].to > to || way <= longest)
			continue;
		longest = way;
		*at = r->v[i].to;
	}
	return longest;
}
