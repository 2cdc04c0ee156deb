/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two passes: comments and characters first, then tokens through a machine of six states.
 */
#include "hagent/outline.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:"

enum state {
	NAME,        /* a directive, a section or its end */
	AFTER_NAME,  /* =, { or the section's title */
	AFTER_TITLE, /* { */
	VALUE,       /* a word, or { of a list */
	ELEMENT,     /* a word of a list, or its end */
	SEPARATOR,   /* a comma, or the list's end */
};

static const char *const wants[] = {
    [NAME] = "a directive or \"}\"",
    [AFTER_NAME] = "\"=\" or \"{\"",
    [AFTER_TITLE] = "\"{\"",
    [VALUE] = "a value",
    [ELEMENT] = "a value or \"}\"",
    [SEPARATOR] = "\",\" or \"}\"",
};

struct reader {
	struct outline *o;
	const char *file;
	struct conf_errors *e;
	const char *p;
	unsigned line;
	enum state state;
	struct outline_entry in;  /* the open section; line 0 = top level */
	struct outline_entry now; /* the directive being read */
};

/* A comment ends a word. */
static size_t
word_length(const char *s)
{
	size_t len = 0;

	while (s[len] && strchr(WORD_CHARS, s[len]) &&
	       !(s[len] == '/' && (s[len + 1] == '/' || s[len + 1] == '*')))
		len++;
	return len;
}

static char *
blank(char *from, char *to)
{
	for (char *s = from; s < to; s++) {
		if (*s != '\n')
			*s = ' ';
	}
	return to;
}

/* The byte after the quoted string at s, or NULL; marks what libconfuse would interpret. */
static char *
quoted_end(struct reader *r, char *s)
{
	char *end = s + 1;

	while (*end && *end != *s && *end != '\n') {
		if (*end == '\\' || !isprint((unsigned char)*end)) {
			conf_error(r->e, r->file, r->line,
			    "syntax: got \"%s\" in quotes, want printable characters without "
			    "\"\\\"",
			    log_quote(end, 1));
		}
		end++;
	}
	if (*end != *s) {
		conf_error(r->e, r->file, r->line,
		    "syntax: got the end of the line in quotes, want %c before it", *s);
		return NULL;
	}
	return end + 1;
}

static char *
comment_end(struct reader *r, char *s)
{
	if (*s == '#' || (s[0] == '/' && s[1] == '/'))
		return s + strcspn(s, "\n");
	if (s[0] != '/' || s[1] != '*')
		return NULL;
	char *end = strstr(s + 2, "*/");
	if (!end) {
		conf_error(
		    r->e, r->file, r->line, "syntax: got a comment without end, want \"*/\"");
		return s + strlen(s);
	}
	return end + 2;
}

/* First pass, in place. */
static void
clean(struct reader *r, char *text)
{
	char *end;

	for (char *s = text; *s;) {
		if (s[0] == '$' && s[1] == '{') {
			conf_error(
			    r->e, r->file, r->line, "syntax: got \"${\", want a plain value");
			s += 2;
		} else if ((end = comment_end(r, s)) != NULL) {
			for (const char *c = s; c < end; c++)
				r->line += *c == '\n';
			s = blank(s, end);
		} else if (*s == '"' || *s == '\'') {
			char *expansion = strstr(s, "${");
			end = quoted_end(r, s);
			if (!end)
				return;
			if (expansion && expansion < end) {
				conf_error(r->e, r->file, r->line,
				    "syntax: got \"${\", want a plain value");
			}
			s = end;
		} else if (strchr(" \t\r\n{}=,", *s)) {
			r->line += *s == '\n';
			s++;
		} else {
			size_t len = word_length(s);

			if (len == 0) {
				conf_error(r->e, r->file, r->line,
				    "syntax: got \"%s\", want a word, a quoted string, =, {, } or "
				    "a comma",
				    log_quote(s, 1));
				len = 1;
			}
			s += len;
		}
	}
}

static int
record(struct reader *r, const struct outline_entry *entry)
{
	struct outline *o = r->o;
	struct outline_entry *v = realloc(o->v, (o->n + 1) * sizeof(*v));

	if (!v)
		return -1;
	o->v = v;
	v[o->n++] = *entry;
	return 0;
}

static void
copy_name(char dst[static OUTLINE_NAME_MAX], const char *s, size_t len)
{
	if (len >= OUTLINE_NAME_MAX)
		len = OUTLINE_NAME_MAX - 1;
	memcpy(dst, s, len);
	dst[len] = '\0';
}

static int
open_section(struct reader *r)
{
	struct outline_entry section = {.line = r->now.line};

	if (r->in.line) {
		conf_error(r->e, r->file, r->now.line,
		    "%s: got a section inside \"%s\" of line %u, want \"}\" first", r->now.name,
		    r->in.section, r->in.line);
		return -1;
	}
	memcpy(section.section, r->now.name, sizeof(section.section));
	memcpy(section.title, r->now.title, sizeof(section.title));
	r->in = section;
	r->state = NAME;
	return record(r, &section);
}

static int
open_value(struct reader *r)
{
	memcpy(r->now.section, r->in.section, sizeof(r->now.section));
	memcpy(r->now.title, r->in.title, sizeof(r->now.title));
	r->state = VALUE;
	return record(r, &r->now);
}

/* One token of kind: 'w' a word, 's' a quoted string, or the character itself. */
static int
take(struct reader *r, char kind, const char *s, size_t len)
{
	bool value = kind == 'w' || kind == 's';

	switch (r->state) {
	case NAME:
		if (kind == 'w') {
			r->now = (struct outline_entry){.line = r->line};
			copy_name(r->now.name, s, len);
			r->state = AFTER_NAME;
			return 0;
		}
		if (kind == '}' && r->in.line) {
			r->in = (struct outline_entry){0};
			return 0;
		}
		break;
	case AFTER_NAME:
		if (kind == '=')
			return open_value(r);
		if (kind == '{')
			return open_section(r);
		if (value) {
			copy_name(r->now.title, s, len);
			r->state = AFTER_TITLE;
			return 0;
		}
		break;
	case AFTER_TITLE:
		if (kind == '{')
			return open_section(r);
		break;
	case VALUE:
		if (value || kind == '{') {
			r->state = value ? NAME : ELEMENT;
			return 0;
		}
		break;
	case ELEMENT:
		if (value || kind == '}') {
			r->state = value ? SEPARATOR : NAME;
			return 0;
		}
		break;
	case SEPARATOR:
		if (kind == ',' || kind == '}') {
			r->state = kind == ',' ? ELEMENT : NAME;
			return 0;
		}
		break;
	}
	conf_error(r->e, r->file, r->line, "%s: got \"%s\", want %s",
	    r->state == NAME ? "syntax" : r->now.name, log_quote(s, len), wants[r->state]);
	return -1;
}

/* Second pass: a text of which every character is known. */
static int
tokens(struct reader *r)
{
	while (*r->p) {
		const char *s = r->p;
		size_t len = 1;
		char kind = *s;

		if (strchr(" \t\r\n", *s)) {
			r->line += *s == '\n';
			r->p++;
			continue;
		}
		if (*s == '"' || *s == '\'') {
			kind = 's';
			len = (size_t)(strchr(s + 1, *s) - s) - 1;
			r->p += len + 2;
			s++;
		} else if (strchr("{}=,", *s)) {
			r->p++;
		} else {
			kind = 'w';
			len = word_length(s);
			r->p += len;
		}
		if (take(r, kind, s, len) < 0)
			return -1;
	}
	if (r->state != NAME) {
		conf_error(r->e, r->file, r->line, "%s: got the end of the file, want %s",
		    r->now.name, wants[r->state]);
		return -1;
	}
	if (r->in.line) {
		conf_error(r->e, r->file, r->in.line, "%s: got the end of the file, want \"}\"",
		    r->in.section);
		return -1;
	}
	return 0;
}

int
outline_read(struct outline *o, const char *file, const char *text, struct conf_errors *e)
{
	struct reader r = {.o = o, .file = file, .e = e, .line = 1};
	unsigned before = e->errors;

	*o = (struct outline){.clean = strdup(text)};
	if (!o->clean)
		return -1;
	clean(&r, o->clean);
	if (e->errors != before)
		return -1;
	r.p = o->clean;
	r.line = 1;
	return tokens(&r);
}

void
outline_fini(struct outline *o)
{
	free(o->v);
	free(o->clean);
	*o = (struct outline){0};
}

const struct outline_entry *
outline_find(const struct outline *o, const char *section, const char *title, const char *name)
{
	for (size_t i = o->n; i > 0; i--) {
		const struct outline_entry *entry = &o->v[i - 1];

		if (strcmp(entry->section, section) == 0 && strcmp(entry->title, title) == 0 &&
		    strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}
