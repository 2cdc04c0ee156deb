/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text templates: see template.h. The walk is by line, since a variable alone on its line behaves
 * differently from one in the middle of text.
 */
#include "common/template.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct walk {
	FILE *out;
	const struct template_var *vars;
	size_t n_vars;
	const char *bad;
};

/* The variable that starts at s; *end is the byte after it. False if none starts here. */
static bool
variable_at(struct walk *w, const char *s, const char **end, const char **value)
{
	if (*s != '@')
		return false;
	size_t len = strspn(s + 1, NAME_CHARS);
	if (len == 0 || s[1 + len] != '@')
		return false;
	*end = s + len + 2;
	*value = "";
	for (size_t i = 0; i < w->n_vars; i++) {
		if (strlen(w->vars[i].name) == len && memcmp(w->vars[i].name, s + 1, len) == 0) {
			*value = w->vars[i].value;
			return true;
		}
	}
	if (!w->bad)
		w->bad = s;
	return true;
}

static void
put_lines(FILE *out, const char *indent, size_t indent_len, const char *value)
{
	while (*value) {
		size_t len = strcspn(value, "\n");

		fprintf(out, "%.*s%.*s\n", (int)indent_len, indent, (int)len, value);
		value += len + (value[len] == '\n');
	}
}

static void
put_line(struct walk *w, const char *line, const char *eol)
{
	size_t indent = strspn(line, " \t");
	const char *end, *value;

	if (variable_at(w, line + indent, &end, &value) && end == eol) {
		put_lines(w->out, line, indent, value);
		return;
	}
	for (const char *s = line; s < eol;) {
		if (variable_at(w, s, &end, &value)) {
			fputs(value, w->out);
			s = end;
		} else {
			fputc(*s++, w->out);
		}
	}
	if (*eol == '\n')
		fputc('\n', w->out);
}

char *
template_expand(const char *text, const struct template_var *vars, size_t n_vars, const char **bad)
{
	struct walk w = {.vars = vars, .n_vars = n_vars};
	char *result = NULL;
	size_t size;

	w.out = open_memstream(&result, &size);
	if (!w.out)
		return NULL;
	while (*text) {
		const char *eol = text + strcspn(text, "\n");

		put_line(&w, text, eol);
		text = *eol ? eol + 1 : eol;
	}
	bool failed = ferror(w.out);
	if (fclose(w.out) != 0 || failed) {
		free(result);
		errno = ENOMEM;
		return NULL;
	}
	if (w.bad) {
		if (bad)
			*bad = w.bad;
		free(result);
		errno = EINVAL;
		return NULL;
	}
	return result;
}
