/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words of pppd's files, split by pppd's rules: white space separates; ' and " quote; a backslash
 * quotes the next character, or begins \a \b \f \n \r \s \t, \ooo (octal) or \xhh;
 * backslash-newline joins lines; # outside quotes begins a comment, also in the middle of a word;
 * `$` is ordinary.
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include <stdbool.h>

#define WORD_MAX 1023 /* bytes, as in pppd */

enum words_result {
	WORDS_END,
	WORDS_WORD,
	WORDS_BAD, /* *why says what; reading goes on at the next line */
};

/* Holds a copy of the last word, which may be a secret: words_fini() wipes it. */
struct words {
	const char *p; /* borrowed text */
	unsigned at;   /* line of p */
	char word[WORD_MAX + 1];
	bool first;    /* this word is the first of its line */
	unsigned line; /* where this word (or mistake) begins */
	const char *why;
};

void words_init(struct words *w, const char *text);
enum words_result words_next(struct words *w);
void words_fini(struct words *w);

#endif
