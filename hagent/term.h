/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What we write to: a terminal of some size that may have colours, or anything else, which gets
 * plain text in lines of any length. Colours are for a terminal alone, and not if NO_COLOR is set
 * to something or TERM is "dumb".
 */
#ifndef HAGENT_TERM_H
#define HAGENT_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum term_style {
	TERM_PLAIN,
	TERM_BOLD,
	TERM_DIM,
	TERM_GOOD,
	TERM_WARN,
	TERM_BAD
};

struct term {
	bool live; /* a terminal that can move its cursor */
	bool colour;
	unsigned columns, rows; /* 0 = no terminal, no limit */
};

void term_look(struct term *t, int fd);
/* What goes before text of that style, and behind it; "" without colours. */
const char *term_on(const struct term *t, enum term_style style);
const char *term_off(const struct term *t, enum term_style style);
/* Columns that UTF-8 text takes: its characters. */
size_t term_width(const char *text);
/*
 * How many bytes of text go into a line of that many columns, broken at a space where that can be:
 * at least one character. The spaces at the break belong to neither line.
 */
size_t term_break(const char *text, size_t columns);

#endif
