/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Line-oriented configuration files in the style of poptop and pppd, driven by a table: one row a
 * directive. Values are checked by type and bounds here; a row's own parse function does the rest.
 * Errors read `file:line: directive: got "x", want 1..3600` and collect, so that one run shows all.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Where a message goes. Errors count; the text of all of them is kept for the caller to show. */
struct conf_errors {
	unsigned errors, warnings;
	char *text; /* lines, each ending in '\n'; NULL when none */
	size_t len;
	/* conf_apply()'s own: what it has applied so far, so that a repeat is noticed. */
	struct conf_seen *seen;
	size_t n_seen;
};

void conf_errors_fini(struct conf_errors *e);
/* line 0: no line number ("file: ..."). */
void conf_error(struct conf_errors *e, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void conf_warning(struct conf_errors *e, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

enum conf_type {
	CONF_FLAG,    /* no argument; bool * */
	CONF_UINT,    /* unsigned *, min..max */
	CONF_STRING,  /* char **, malloc'd, replaced */
	CONF_IPV4,    /* uint32_t *, host order */
	CONF_CUSTOM,  /* row->parse does it */
	CONF_IGNORED, /* known, means nothing here: counted, `ignored` names it once */
};

struct conf_line {
	const char *file;
	unsigned line;
	const char *name;        /* the directive */
	const char *const *args; /* its words */
	size_t n_args;
	struct conf_errors *errors;
};

struct conf_row {
	const char *name;
	enum conf_type type;
	size_t offset;     /* of the value in the target struct */
	unsigned min, max; /* CONF_UINT */
	unsigned n_args;   /* CONF_CUSTOM, CONF_IGNORED: how many words follow */
	/* CONF_CUSTOM: 0, or -1 after it has called conf_error() itself. */
	int (*parse)(const struct conf_line *l, void *target);
	const char *want; /* for messages: "an IPv4 address"; NULL = from the type */
	bool reloadable;  /* SIGHUP may change it for what comes later */
	bool repeatable;  /* may stand more than once; else a repeat is a warning, the last one wins
			   */
};

/*
 * Strict decimal without sign or trailing text; both 0 or -1 with errno EINVAL/ERANGE.
 */
int conf_parse_uint(const char *s, unsigned min, unsigned max, unsigned *out);
int conf_parse_ipv4(const char *s, uint32_t *out); /* dotted quad, host order */
const char *conf_ipv4(uint32_t host_order);        /* one of 8 rotating thread-local buffers */

bool conf_is_host_ip(uint32_t ip); /* can be one machine's: not in 0/8, 127/8 or 224/3 */
int conf_compare_ips(const void *a, const void *b); /* of two uint32_t, for qsort() and bsearch() */
/* For a row's own parse function: the message about the first argument; -1. */
int conf_bad_value(const struct conf_line *l, const char *want);

/* The words of one line or of one file, split as the caller's tokenizer does. */
struct conf_words {
	char **words;
	size_t n;
};

/*
 * Applies one directive (words[0]) with the table. Unknown name: error that names it. Missing or
 * surplus arguments: error that says how many are wanted. Returns the row or NULL after an error.
 */
const struct conf_row *conf_apply(
    const struct conf_row *rows, size_t n_rows, void *target, const struct conf_line *l);
const struct conf_row *conf_find(const struct conf_row *rows, size_t n_rows, const char *name);

/* Reads all of fd (at most 16 MiB, NUL bytes refused with EINVAL); malloc'd, NUL-terminated. */
char *conf_read_fd(int fd, size_t *len);

#endif
