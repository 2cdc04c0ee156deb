/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The steps of both gateways on the drill's time line, from the lines of their journals.
 */
#include "hagent/drill_parts.h"
#include "hagent/journal.h"
#include "hagent/words.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_KEPT 60
#define AHEAD_MS   500 /* a move's first steps may stand before the moment that we noted */

static bool
is_kind(const json_t *line, const char *kind)
{
	return strcmp(words_text(line, "kind"), kind) == 0;
}

/* Of a moment in the journal: ms from the fault; ahead: by how much that node's clock is. */
static double
since_fault(const struct drill_seen *s, const char *time, int64_t ahead)
{
	return (double)(journal_unix_ms(time) - ahead - s->fault_ms);
}

static void
add(json_t *list, const struct drill_seen *s, const char *node, const json_t *line, int64_t ahead)
{
	double end_ms = since_fault(s, words_text(line, "time"), ahead);
	double ms = (double)words_number(line, "ms");

	if (end_ms - ms < -AHEAD_MS || json_array_size(list) >= STEPS_KEPT)
		return;
	json_array_append_new(
	    list, json_pack("{s:s,s:s,s:s,s:s,s:f,s:f,s:s}", "node", node, "transition",
		      words_text(line, "transition"), "step", words_text(line, "step"), "result",
		      words_text(line, "result"), "at_ms", end_ms - ms, "ms", ms, "detail",
		      words_text(line, "detail")));
}

static void
add_journal(
    json_t *list, const struct drill_seen *s, const char *node, const json_t *lines, int64_t ahead)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		if (is_kind(line, "step") && strcmp(words_text(line, "result"), "skipped") != 0)
			add(list, s, node, line, ahead);
	}
}

/* The new gateway's promotion: when it began, and what it took. */
static void
find_promotion(json_t *report, const struct drill_seen *s)
{
	const json_t *line;
	size_t i;

	json_array_foreach(s->new_journal, i, line)
	{
		double at_ms = since_fault(s, words_text(line, "begun"), 0);

		if (!is_kind(line, "transition") || at_ms < 0 ||
		    strcmp(words_text(line, "transition"), "MASTER") != 0)
			continue;
		json_object_set(report, "ms", json_object_get(line, "ms"));
		if (s->plan->kind != DRILL_PLANNED)
			json_object_set_new(report, "detection_ms", json_real(at_ms));
		return;
	}
}

/* A planned move is what the giver's own line says. */
static void
find_move(json_t *report, const struct drill_seen *s)
{
	const json_t *line;
	size_t i;

	json_array_foreach(s->old_journal, i, line)
	{
		if (is_kind(line, "move") &&
		    since_fault(s, words_text(line, "begun"), s->wall_ms) >= -AHEAD_MS) {
			json_object_set(report, "ms", json_object_get(line, "ms"));
			json_object_set(report, "way", json_object_get(line, "way"));
			return;
		}
	}
}

static int
by_time(const void *a, const void *b)
{
	json_t *const *x = a, *const *y = b;
	double p = json_number_value(json_object_get(*x, "at_ms"));
	double q = json_number_value(json_object_get(*y, "at_ms"));

	return p < q ? -1 : p > q;
}

/* In order of time; takes the list. */
static json_t *
sort(json_t *list)
{
	json_t *v[2 * STEPS_KEPT], *sorted = json_array();
	size_t n = 0, i;
	json_t *o;

	json_array_foreach(list, i, o)
	{
		if (n < sizeof(v) / sizeof(v[0]))
			v[n++] = o;
	}
	qsort(v, n, sizeof(v[0]), by_time);
	for (i = 0; i < n; i++)
		json_array_append(sorted, v[i]);
	json_decref(list);
	return sorted;
}

void
drill_parts_steps(json_t *report, const struct drill_seen *s)
{
	json_t *list = json_array();

	json_object_set_new(report, "ms", json_null());
	json_object_set_new(report, "detection_ms", json_null());
	if (s->fault_us != 0) {
		add_journal(list, s, s->from, s->old_journal, s->wall_ms);
		add_journal(list, s, s->to, s->new_journal, 0);
		find_promotion(report, s);
		if (s->plan->kind == DRILL_PLANNED)
			find_move(report, s);
	}
	json_object_set_new(report, "steps", sort(list));
}
