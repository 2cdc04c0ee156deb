/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tokenizer behind options.pptpd and chap-secrets. It allocates nothing and its messages never
 * hold a word, since any word may be a secret.
 *
 * Deviation: pppd lets a quoted word run over the end of a line and cuts what is too long; here
 * both are mistakes, because a forgotten quote would otherwise swallow the entries that follow.
 */
#include "pptpd/conf/words.h"

#include <stddef.h>
#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void
words_init(struct words *w, const char *text)
{
	*w = (struct words){.p = text, .at = 1};
}

void
words_fini(struct words *w)
{
	explicit_bzero(w, sizeof(*w));
}

static bool
skip_continuation(struct words *w)
{
	if (w->p[0] != '\\' || w->p[1] != '\n')
		return false;
	w->p += 2;
	w->at++;
	return true;
}

/* To the next word; notes whether it is the first of its line. */
static void
skip_blanks(struct words *w)
{
	for (;; w->p++) {
		while (skip_continuation(w))
			;
		if (*w->p == '#')
			w->p += strcspn(w->p, "\n");
		if (*w->p == '\n') {
			w->first = true;
			w->at++;
		} else if (!is_blank(*w->p)) {
			return;
		}
	}
}

/* p stands behind the backslash, which no newline follows. -1 = end of text. */
static int
escaped(struct words *w)
{
	static const char from[] = "abfnrst", to[] = "\a\b\f\n\r \t";
	const char *found;
	int value = 0, n;

	if (*w->p == '\0')
		return -1;
	if ((found = strchr(from, *w->p)) != NULL) {
		w->p++;
		return to[found - from];
	}
	if (*w->p >= '0' && *w->p <= '7') {
		for (n = 0; n < 3 && *w->p >= '0' && *w->p <= '7'; n++)
			value = value * 8 + (*w->p++ - '0');
		return value & 0xff;
	}
	if (*w->p != 'x')
		return (unsigned char)*w->p++;
	for (w->p++, n = 0; n < 2 && hex_digit(*w->p) >= 0; n++)
		value = value * 16 + hex_digit(*w->p++);
	return value;
}

/* Behind a mistake: the rest of the line is skipped, so that the next one is read from its start.
 */
static enum words_result
bad(struct words *w, const char *why)
{
	w->why = why;
	w->p += strcspn(w->p, "\n");
	explicit_bzero(w->word, sizeof(w->word));
	return WORDS_BAD;
}

static enum words_result
read_word(struct words *w)
{
	size_t len = 0;
	char quote = '\0';
	int c;

	for (;;) {
		if (skip_continuation(w))
			continue;
		c = (unsigned char)*w->p;
		if (quote != '\0' && (c == '\0' || c == '\n'))
			return bad(w, "a quote is not closed on its line");
		if (quote == '\0' && (c == '\0' || c == '#' || is_blank((char)c)))
			break;
		w->p++;
		if (c == '\\') {
			if ((c = escaped(w)) < 0)
				return bad(w, "a backslash ends the file");
			if (c == '\0')
				return bad(w, "a backslash makes a NUL character");
		} else if (c == quote) {
			quote = '\0';
			continue;
		} else if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = (char)c;
			continue;
		}
		if (len == WORD_MAX)
			return bad(w, "a word is longer than 1023 bytes");
		w->word[len++] = (char)c;
	}
	w->word[len] = '\0';
	return WORDS_WORD;
}

enum words_result
words_next(struct words *w)
{
	w->first = w->line == 0;
	skip_blanks(w);
	w->line = w->at;
	if (*w->p == '\0')
		return WORDS_END;
	return read_word(w);
}
