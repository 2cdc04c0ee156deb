/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Small things that everybody needs who shows an answer to people: fields of a JSON object that may
 * be missing, and spans of time in words. Pure.
 */
#ifndef HAGENT_WORDS_H
#define HAGENT_WORDS_H

#include <jansson.h>
#include <stdbool.h>

/* A field of o; "", 0 and false where there is none, or o is NULL. The text is o's. */
const char *words_text(const json_t *o, const char *name);
long long words_number(const json_t *o, const char *name);
bool words_is(const json_t *o, const char *name);

#define WORDS_SPAN 24
/* "45 s", "3 min", "2 h", "5 days". Returns out. */
const char *words_span(long long seconds, char out[static WORDS_SPAN]);
/* "1 session", "2 sessions", of a noun with a regular plural. Returns out. */
#define WORDS_COUNT 64
const char *words_count(long long n, const char *noun, char out[static WORDS_COUNT]);

#endif
