/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a line says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/commands.h"

#define SECONDS_DEFAULT 5
#define SECONDS_MAX     600
#define WORDS           3

/* What stands behind the command's name. */
static const struct row {
	const char *name;
	enum {
		NOTHING,
		NAME,
		RANGE,
		RANGE_SECONDS
	} wants;
} rows[COMMAND_MAX] = {
    [COMMAND_MARK] = {"mark", NAME},
    [COMMAND_WINDOW] = {"window", NOTHING},
    [COMMAND_ECHO] = {"echo", RANGE_SECONDS},
    [COMMAND_SLI] = {"sli", RANGE},
    [COMMAND_CLEAR] = {"clear", RANGE_SECONDS},
    [COMMAND_STATUS] = {"status", NOTHING},
    [COMMAND_QUIT] = {"quit", NOTHING},
};

const char *
command_name(enum command_kind kind)
{
	return rows[kind].name;
}

static bool
number(const char *text, const char **end, unsigned long most, unsigned *out)
{
	char *stop;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &stop, 10);
	*end = stop;
	*out = (unsigned)v;
	return errno == 0 && v <= most;
}

static bool
range(const char *text, unsigned n, struct command *c)
{
	const char *end;

	c->first = 0;
	c->last = n - 1;
	if (strcmp(text, "all") == 0)
		return true;
	if (!number(text, &end, n - 1, &c->first))
		return false;
	c->last = c->first;
	if (*end == '-' && !number(end + 1, &end, n - 1, &c->last))
		return false;
	return *end == '\0' && c->first <= c->last;
}

static bool
arguments(
    const struct row *row, char *const words[], unsigned n, unsigned n_sessions, struct command *c)
{
	const char *end = "";

	if (row->wants == NOTHING)
		return n == 1;
	if (row->wants == NAME) {
		if (n != 2 || strlen(words[1]) >= sizeof(c->name))
			return false;
		snprintf(c->name, sizeof(c->name), "%s", words[1]);
		return true;
	}
	if (n == 3 && (row->wants != RANGE_SECONDS ||
			  !number(words[2], &end, SECONDS_MAX, &c->seconds) || *end != '\0'))
		return false;
	return n >= 2 && range(words[1], n_sessions, c);
}

bool
command_parse(const char *line, unsigned n_sessions, struct command *out)
{
	char copy[128], *words[WORDS + 1], *rest = copy, *word;
	unsigned n = 0;

	*out = (struct command){.seconds = SECONDS_DEFAULT};
	if (n_sessions == 0 || strlen(line) >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%s", line);
	while (n <= WORDS && (word = strsep(&rest, " \t\r")) != NULL)
		if (*word != '\0')
			words[n++] = word;
	if (n == 0 || n > WORDS)
		return false;
	for (unsigned i = 0; i < COMMAND_MAX; i++) {
		if (strcmp(words[0], rows[i].name) != 0)
			continue;
		out->kind = (enum command_kind)i;
		return arguments(&rows[i], words, n, n_sessions, out);
	}
	return false;
}
