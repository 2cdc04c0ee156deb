/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines with labels, and what is left out of them.
 */
#include "hagent/screen.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LABEL     13 /* columns, with the space behind it */
#define LINES_MAX 96
#define TEXT_MIN  20 /* columns; below that nothing is wrapped */

struct line {
	unsigned rank;
	enum term_style style;
	size_t label; /* columns that the label takes */
	char *head, *text;
};

struct screen {
	struct line lines[LINES_MAX];
	size_t n;
};

struct screen *
screen_new(void)
{
	return calloc(1, sizeof(struct screen));
}

void
screen_free(struct screen *s)
{
	for (size_t i = 0; s && i < s->n; i++) {
		free(s->lines[i].head);
		free(s->lines[i].text);
	}
	free(s);
}

/* Takes the text over. */
static void
add(struct screen *s, unsigned rank, enum term_style style, const char *head, size_t label,
    char *text)
{
	char *copy = strdup(head);

	if (!copy || !text || s->n == LINES_MAX) {
		free(copy);
		free(text);
		return;
	}
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	s->lines[s->n++] = (struct line){rank, style, label, copy, text};
}

void
screen_add(
    struct screen *s, unsigned rank, enum term_style style, const char *label, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	add(s, rank, style, label ? label : "", label ? LABEL : 0, text);
}

void
screen_head(struct screen *s, enum term_style style, const char *word, const char *text)
{
	add(s, 0, style, word, strlen(word) + 2, strdup(text));
}

/* A label may be wider than its column: then one space follows. */
static size_t
label_width(const struct line *l)
{
	size_t width = term_width(l->head);

	return width > 0 && width >= l->label ? width + 1 : l->label;
}

static size_t
text_columns(const struct line *l, const struct term *t)
{
	size_t label = label_width(l);

	if (t->columns == 0 || t->columns < label + TEXT_MIN)
		return SIZE_MAX;
	return t->columns - label;
}

/* The text that is left after a line of it. */
static const char *
after(const char *text, size_t columns)
{
	text += term_break(text, columns);
	return text + strspn(text, " ");
}

static size_t
height(const struct line *l, const struct term *t)
{
	size_t n = 1, columns = text_columns(l, t);

	for (const char *p = after(l->text, columns); *p; p = after(p, columns))
		n++;
	return n;
}

/* How many lines all take whose rank is below that. */
static size_t
total(const struct screen *s, const struct term *t, unsigned rank)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->lines[i].rank < rank ? height(&s->lines[i], t) : 0;
	return n;
}

static void
print_line(const struct line *l, const struct term *t, const char *end, FILE *out, size_t room)
{
	size_t label = label_width(l), columns = text_columns(l, t);
	const char *text = l->text;
	int pad = (int)(label - term_width(l->head));

	fprintf(out, "%s%s%s%*s", term_on(t, l->style), l->head, term_off(t, l->style),
	    *text ? pad : 0, "");
	for (size_t n = 1;; n++) {
		fprintf(out, "%.*s%s", (int)term_break(text, columns), text, end);
		text = after(text, columns);
		if (!*text || n >= room)
			return;
		fprintf(out, "%*s", (int)label, "");
	}
}

void
screen_print(
    const struct screen *s, const struct term *t, unsigned spare, const char *end, FILE *out)
{
	size_t room = t->rows > spare ? t->rows - spare : t->rows ? 1 : SIZE_MAX, n;
	unsigned rank = 10;

	while (rank > 1 && total(s, t, rank) > room)
		rank--;
	n = total(s, t, rank) > room ? room - 1 : room; /* the last line says that there is more */
	for (size_t i = 0; i < s->n; i++) {
		const struct line *l = &s->lines[i];
		size_t high = height(l, t);

		if (l->rank >= rank)
			continue;
		if (high > n) {
			fprintf(out, "... and more: hagent status | less%s", end);
			return;
		}
		print_line(l, t, end, out, high);
		n -= high;
	}
}
