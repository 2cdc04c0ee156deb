/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The terminal, by the eight colours that every terminal has.
 */
#include "hagent/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT    24

void
term_look(struct term *t, int fd)
{
	const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
	struct winsize size;

	*t = (struct term){0};
	if (!isatty(fd))
		return;
	t->live = kind && *kind && strcmp(kind, "dumb") != 0;
	t->colour = t->live && !(none && *none);
	t->columns = COLUMNS_DEFAULT;
	t->rows = ROWS_DEFAULT;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		t->columns = size.ws_col;
		t->rows = size.ws_row;
	}
}

const char *
term_on(const struct term *t, enum term_style style)
{
	static const char *const on[] = {[TERM_PLAIN] = "",
	    [TERM_BOLD] = "\033[1m",
	    [TERM_DIM] = "\033[2m",
	    [TERM_GOOD] = "\033[1;32m",
	    [TERM_WARN] = "\033[1;33m",
	    [TERM_BAD] = "\033[1;31m"};

	return t->colour ? on[style] : "";
}

const char *
term_off(const struct term *t, enum term_style style)
{
	return t->colour && style != TERM_PLAIN ? "\033[0m" : "";
}

static bool
begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t
term_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += begins_character(*text);
	return n;
}

size_t
term_break(const char *text, size_t columns)
{
	size_t at = 0, n = 0, space = 0;

	for (; text[at]; at++) {
		if (begins_character(text[at]) && n++ >= columns && n > 1)
			break;
		if (text[at] == ' ')
			space = at;
	}
	if (!text[at] || text[at] == ' ')
		return at;
	return space > 0 ? space : at;
}
