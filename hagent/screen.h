/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One screen of labelled lines. On a terminal text is wrapped under itself, and if the whole is
 * higher than the terminal, what matters least is left out; elsewhere all of it stands in lines of
 * any length.
 */
#ifndef HAGENT_SCREEN_H
#define HAGENT_SCREEN_H

#include <stdio.h>

#include "hagent/term.h"

struct screen;

struct screen *screen_new(void); /* NULL with errno */
void screen_free(struct screen *s);
/*
 * A line. rank 0 is always shown; of the others the highest go first when there is no room. style
 * is the label's. A label of NULL: the text begins in the first column.
 */
void screen_add(struct screen *s, unsigned rank, enum term_style style, const char *label,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The first line: a word in its style, two spaces, the text. */
void screen_head(struct screen *s, enum term_style style, const char *word, const char *text);
/*
 * At most t->rows - spare lines of t->columns, if t has those. end stands behind each line
 * ("\n").
 */
void screen_print(
    const struct screen *s, const struct term *t, unsigned spare, const char *end, FILE *out);

#endif
