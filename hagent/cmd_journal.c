/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent journal: the last transitions, step by step, from the file itself, so that it works
 * without the agent. Ends with the slowest step of the transitions shown.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/hagent.h"
#include "hagent/journal.h"
#include "hagent/words.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     100000

static void
show_line(const json_t *o)
{
	const char *kind = words_text(o, "kind"), *time = words_text(o, "time");

	if (strcmp(kind, "step") == 0)
		printf("%s  #%lld %-8s %-18s %-10s %5lld ms  %s\n", time, words_number(o, "id"),
		    words_text(o, "transition"), words_text(o, "step"), words_text(o, "result"),
		    words_number(o, "ms"), words_text(o, "detail"));
	else if (strcmp(kind, "transition") == 0)
		printf("%s  #%lld %-8s %-29s %5lld ms  epoch %lld, slowest %s %lld ms (%s)\n", time,
		    words_number(o, "id"), words_text(o, "transition"), words_text(o, "result"),
		    words_number(o, "ms"), words_number(o, "epoch"), words_text(o, "slowest"),
		    words_number(o, "slowest_ms"), words_text(o, "detail"));
	else if (strcmp(kind, "move") == 0)
		printf("%s  #%lld to %s %-22s %5lld ms  %s, %lld sessions (%s)%s%s\n", time,
		    words_number(o, "id"), words_text(o, "to"), words_text(o, "result"),
		    words_number(o, "ms"), words_text(o, "way"), words_number(o, "sessions"),
		    words_text(o, "why"), *words_text(o, "text") ? ": " : "",
		    words_text(o, "text"));
	else
		printf("%s  %s: %s\n", time, words_text(o, "event"), words_text(o, "detail"));
}

static void
show_slowest(const json_t *lines)
{
	const json_t *slowest = NULL;
	unsigned n = 0;
	size_t i;
	json_t *o;

	json_array_foreach(lines, i, o)
	{
		if (strcmp(words_text(o, "kind"), "transition") != 0)
			continue;
		n++;
		if (!slowest ||
		    words_number(o, "slowest_ms") >= words_number(slowest, "slowest_ms"))
			slowest = o;
	}
	if (slowest)
		printf("slowest step of %u transitions: %s, %lld ms, in #%lld %s\n", n,
		    words_text(slowest, "slowest"), words_number(slowest, "slowest_ms"),
		    words_number(slowest, "id"), words_text(slowest, "transition"));
}

int
cmd_journal(const struct hagent *h, int argc, char **argv)
{
	unsigned limit = LIMIT_DEFAULT;
	bool as_json = false;
	json_t *lines, *o;
	size_t i;

	for (int n = 1; n < argc; n++) {
		if (strcmp(argv[n], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[n], "--limit") == 0 && n + 1 < argc) {
			if (conf_parse_uint(argv[++n], 1, LIMIT_MAX, &limit) < 0)
				return hagent_usage(
				    "--limit: got \"%s\", want 1..%d", argv[n], LIMIT_MAX);
		} else {
			return HAGENT_USAGE;
		}
	}
	char *path = hagent_path(h, HAGENT_JOURNAL);
	lines = journal_tail(path, limit);
	if (!lines) {
		hagent_fail("%s: %s", path, strerror(errno));
		free(path);
		return HAGENT_FAIL;
	}
	json_array_foreach(lines, i, o)
	{
		if (!as_json) {
			show_line(o);
			continue;
		}
		json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
	}
	if (!as_json)
		show_slowest(lines);
	json_decref(lines);
	free(path);
	return HAGENT_OK;
}
