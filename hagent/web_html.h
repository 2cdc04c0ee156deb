/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words and numbers for HTML, written to a stream. Whatever comes from outside (names of users,
 * texts of errors) passes through html_put(), which is right between tags and in quoted attributes.
 */
#ifndef HAGENT_WEB_HTML_H
#define HAGENT_WEB_HTML_H

#include <jansson.h>
#include <stdio.h>

/* Escaped; control characters become spaces. NULL = nothing. */
void html_put(FILE *f, const char *s);
/* The string member of o, escaped, or `otherwise` if it is missing or empty. */
void html_member(FILE *f, const json_t *o, const char *name, const char *otherwise);
/* For an address: what is not unreserved (RFC 3986 §2.3) becomes %XX. */
void html_url(FILE *f, const char *s);

/* 1 234 567 with narrow spaces that do not break. */
void html_count(FILE *f, long long n);
/* "3.4 MB": powers of 1000. */
void html_octets(FILE *f, double n);
/* "27 Mbit/s" from octets a second. */
void html_rate(FILE *f, double octets);
/* "12 ms", "3.4 s", "5 min", "2 h 5 min", "3 d 4 h" */
void html_span(FILE *f, double ms);
/* "2026-11-21T18:45:00.123Z" as <time>21 Nov 18:45:00 UTC</time>; anything else as it stands. */
void html_time(FILE *f, const char *iso);
/* The same, shown as "21 Nov 18:45": where seconds and zone stand elsewhere or do not matter. */
void html_minute(FILE *f, const char *iso);

#endif
