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

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     100000

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static long long
number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void
show_line(const json_t *o)
{
	const char *kind = text_of(o, "kind"), *time = text_of(o, "time");

	if (strcmp(kind, "step") == 0)
		printf("%s  #%lld %-8s %-18s %-10s %5lld ms  %s\n", time, number_of(o, "id"),
		    text_of(o, "transition"), text_of(o, "step"), text_of(o, "result"),
		    number_of(o, "ms"), text_of(o, "detail"));
	else if (strcmp(kind, "transition") == 0)
		printf("%s  #%lld %-8s %-29s %5lld ms  epoch %lld, slowest %s %lld ms (%s)\n", time,
		    number_of(o, "id"), text_of(o, "transition"), text_of(o, "result"),
		    number_of(o, "ms"), number_of(o, "epoch"), text_of(o, "slowest"),
		    number_of(o, "slowest_ms"), text_of(o, "detail"));
	else if (strcmp(kind, "move") == 0)
		printf("%s  #%lld to %s %-22s %5lld ms  %s, %lld sessions (%s)%s%s\n", time,
		    number_of(o, "id"), text_of(o, "to"), text_of(o, "result"), number_of(o, "ms"),
		    text_of(o, "way"), number_of(o, "sessions"), text_of(o, "why"),
		    *text_of(o, "text") ? ": " : "", text_of(o, "text"));
	else
		printf("%s  %s: %s\n", time, text_of(o, "event"), text_of(o, "detail"));
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
		if (strcmp(text_of(o, "kind"), "transition") != 0)
			continue;
		n++;
		if (!slowest || number_of(o, "slowest_ms") >= number_of(slowest, "slowest_ms"))
			slowest = o;
	}
	if (slowest)
		printf("slowest step of %u transitions: %s, %lld ms, in #%lld %s\n", n,
		    text_of(slowest, "slowest"), number_of(slowest, "slowest_ms"),
		    number_of(slowest, "id"), text_of(slowest, "transition"));
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
