/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reports of crashes as text and as a file.
 */
#include "common/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (2 * CRASH_REPORTS * CRASH_LINE_MAX)

void
crash_add_id(struct crash *c, uint64_t id)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->ids[i] == id)
			return;
	}
	if (id != 0 && c->n < CRASH_IDS)
		c->ids[c->n++] = id;
}

/* ---- text ---- */

/* The number at *p, up to end; false: there is none, or it is too large. Moves *p behind it. */
static bool
number(const char **p, const char *end, uint64_t *out)
{
	const char *s = *p;
	uint64_t n = 0;

	for (; s < end && *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (s == *p)
		return false;
	*p = s;
	*out = n;
	return true;
}

static bool
take(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	++*p;
	return true;
}

static bool
word(const char **p, const char *end, char out[static CRASH_WORD])
{
	size_t n = 0;

	while (*p + n < end && (*p)[n] > ' ' && (*p)[n] <= '~')
		n++;
	if (n == 0 || n >= CRASH_WORD)
		return false;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n;
	return true;
}

int
crash_parse(const char *line, size_t len, struct crash *out)
{
	const char *p = line, *end = line + len;
	struct crash c = {0};
	uint64_t at, id;

	if (!number(&p, end, &at) || at == 0 || !take(&p, end, ' ') || !word(&p, end, c.node) ||
	    !take(&p, end, ' ') || !word(&p, end, c.cause) || !take(&p, end, ' '))
		goto bad;
	c.at = (int64_t)at;
	if (!take(&p, end, '-')) {
		do {
			if (!number(&p, end, &id) || id == 0 || c.n == CRASH_IDS)
				goto bad;
			crash_add_id(&c, id);
		} while (take(&p, end, ','));
	}
	if (p != end)
		goto bad;
	*out = c;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

size_t
crash_format(const struct crash *c, char out[static CRASH_LINE_MAX])
{
	size_t n = (size_t)snprintf(
	    out, CRASH_LINE_MAX, "%lld %s %s ", (long long)c->at, c->node, c->cause);

	for (size_t i = 0; i < c->n; i++)
		n += (size_t)snprintf(out + n, CRASH_LINE_MAX - n, "%s%llu", i > 0 ? "," : "",
		    (unsigned long long)c->ids[i]);
	n += (size_t)snprintf(out + n, CRASH_LINE_MAX - n, "%s\n", c->n == 0 ? "-" : "");
	return n;
}
_Static_assert(20 + 2 * CRASH_WORD + CRASH_IDS * 21 + 3 < CRASH_LINE_MAX, "a line has room");

/* ---- many ---- */

void
crash_add(struct crashes *all, const struct crash *c)
{
	size_t at = all->n;

	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].at == c->at && strcmp(all->v[i].node, c->node) == 0)
			return;
	}
	if (all->n == CRASH_REPORTS) {
		if (c->at < all->v[0].at)
			return;
		memmove(all->v, all->v + 1, (CRASH_REPORTS - 1) * sizeof(all->v[0]));
		at = --all->n;
	}
	for (; at > 0 && all->v[at - 1].at > c->at; at--)
		all->v[at] = all->v[at - 1];
	all->v[at] = *c;
	all->n++;
}

unsigned
crash_count(const struct crashes *all, uint64_t id, int64_t now)
{
	unsigned n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct crash *c = &all->v[i];

		if (c->at > now || now - c->at >= CRASH_WINDOW_MS)
			continue;
		for (size_t k = 0; k < c->n; k++)
			n += c->ids[k] == id;
	}
	return n;
}

/* ---- JSON ---- */

json_t *
crash_to_json(const struct crashes *all, int64_t now)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->n; i++) {
		const struct crash *c = &all->v[i];
		json_t *ids = json_array();

		for (size_t k = 0; k < c->n; k++)
			json_array_append_new(ids, json_integer((json_int_t)c->ids[k]));
		if (c->at > now || now - c->at >= CRASH_WINDOW_MS)
			json_decref(ids);
		else
			json_array_append_new(
			    list, json_pack("{s:I,s:s,s:s,s:o}", "at", (json_int_t)c->at, "node",
				      c->node, "cause", c->cause, "ids", ids));
	}
	return list;
}

static bool
get_word(const json_t *o, const char *name, char out[static CRASH_WORD])
{
	const char *s = json_string_value(json_object_get(o, name));
	const char *p = s;

	return s != NULL && word(&p, s + strlen(s), out) && *p == '\0';
}

int
crash_from_json(const json_t *list, struct crashes *out)
{
	struct crashes all = {0};
	const json_t *o, *id;
	size_t i, k;

	if (!json_is_array(list))
		goto bad;
	json_array_foreach(list, i, o)
	{
		struct crash c = {.at = json_integer_value(json_object_get(o, "at"))};

		if (c.at <= 0 || !get_word(o, "node", c.node) || !get_word(o, "cause", c.cause))
			goto bad;
		json_array_foreach(json_object_get(o, "ids"), k, id)
		{
			if (json_integer_value(id) <= 0)
				goto bad;
			crash_add_id(&c, (uint64_t)json_integer_value(id));
		}
		crash_add(&all, &c);
	}
	*out = all;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

/* ---- files ---- */

int
crash_load(const char *path, struct crashes *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text, *line, *next;
	struct crash c;
	ssize_t n;

	*out = (struct crashes){0};
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	text = malloc(FILE_MAX + 1);
	n = text != NULL ? read(fd, text, FILE_MAX) : -1;
	close(fd);
	if (n < 0) {
		free(text);
		return -1;
	}
	text[n] = '\0';
	for (line = text; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		if (crash_parse(line, (size_t)(next - line), &c) == 0)
			crash_add(out, &c);
	}
	free(text);
	return 0;
}

int
crash_save(const char *path, const struct crashes *all)
{
	char aside[4096], line[CRASH_LINE_MAX];
	int fd, saved;
	bool good;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	good = true;
	for (size_t i = 0; i < all->n && good; i++) {
		size_t len = crash_format(&all->v[i], line);

		good = write(fd, line, len) == (ssize_t)len;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return good ? rename(aside, path) : -1;
}
