/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The outline of a file in libconfuse's grammar: which directives and sections stand on which line.
 * It is the strict reading that libconfuse does not do. A text that passes has balanced braces, one
 * level of sections, no expansion, no escapes, no stray character, and comes back with its comments
 * blanked, so that libconfuse sees the same tokens as we did. Names and values are not judged here.
 */
#ifndef HAGENT_OUTLINE_H
#define HAGENT_OUTLINE_H

#include <stddef.h>

#include "common/conf.h"

#define OUTLINE_NAME_MAX 64

struct outline_entry {
	char section[OUTLINE_NAME_MAX]; /* "" at the top level */
	char title[OUTLINE_NAME_MAX];   /* of the section; "" without */
	char name[OUTLINE_NAME_MAX];    /* the directive; "" = the section itself */
	unsigned line;
};

struct outline {
	struct outline_entry *v; /* in the order of the file */
	size_t n;
	char *clean; /* the text without comments, line for line */
};

/* 0, or -1 with errors in e. outline_fini() is due in both cases. */
int outline_read(struct outline *o, const char *file, const char *text, struct conf_errors *e);
void outline_fini(struct outline *o);

/* The last entry of that name, or NULL. */
const struct outline_entry *outline_find(
    const struct outline *o, const char *section, const char *title, const char *name);

#endif
