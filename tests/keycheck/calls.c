/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key log, read.
 */
#include "tests/keycheck/calls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USES_MAX ((uint64_t)1 << 27)

static bool
hex_key(const char *text, uint8_t key[static 16])
{
	unsigned v;

	if (text == NULL || strlen(text) != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			return false;
		key[i] = (uint8_t)v;
	}
	return true;
}

static void
end(struct calls *c, const struct call *what)
{
	for (struct call *k = c->by_id[what->call_id]; k != NULL; k = k->next)
		if (k->client == what->client && k->to_us == CALLS_FOREVER) {
			k->to_us = what->from_us;
			return;
		}
}

static bool
add(struct calls *c, const struct call *what, const uint8_t key[static 16])
{
	struct call **list = reallocarray(c->list, c->n + 1, sizeof(*list));
	struct call *k = calloc(1, sizeof(*k));

	if (list != NULL)
		c->list = list;
	if (list == NULL || k == NULL) {
		free(k);
		return false;
	}
	*k = *what;
	keys_init(&k->keys, key);
	k->next = c->by_id[k->call_id];
	c->by_id[k->call_id] = k;
	c->list[c->n++] = k;
	return true;
}

/* One event. False with errno. */
static bool
take(struct calls *c, json_t *o)
{
	const char *event, *client, *key = NULL, *by = NULL;
	struct call what = {.to_us = CALLS_FOREVER};
	struct in_addr a;
	uint8_t start[16];
	double at;
	int port, call_id, session;

	errno = EBADMSG;
	if (json_unpack(o, "{s:s,s:F,s:s,s:i,s:i,s:i,s?s,s?s}", "event", &event, "at", &at,
		"client", &client, "port", &port, "call_id", &call_id, "session", &session,
		"recv_key", &key, "by", &by) < 0 ||
	    inet_pton(AF_INET, client, &a) != 1 || call_id < 0 || call_id > UINT16_MAX)
		return false;
	what.from_us = (uint64_t)(at * 1e6);
	what.client = ntohl(a.s_addr);
	what.port = (uint16_t)port;
	what.call_id = (uint16_t)call_id;
	what.session = (unsigned)session;
	if (strcmp(event, "end") == 0) {
		/* An end that the server made is what we look for: the call was live till then. */
		if (by != NULL && strcmp(by, "client") == 0)
			end(c, &what);
		return true;
	}
	if (strcmp(event, "call") != 0 || !hex_key(key, start))
		return false;
	end(c, &what);
	return add(c, &what, start);
}

struct calls *
calls_read(const char *path, unsigned *line)
{
	struct calls *c = calloc(1, sizeof(*c));
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	json_t *o;
	bool ok = c != NULL && f != NULL;
	int error = errno;

	for (*line = 1; ok && getline(&text, &size, f) > 0; ++*line) {
		o = json_loads(text, 0, NULL);
		errno = EBADMSG;
		ok = o != NULL && take(c, o);
		error = errno;
		json_decref(o);
	}
	if (text != NULL)
		explicit_bzero(text, size);
	free(text);
	if (f != NULL)
		fclose(f);
	if (ok)
		return c;
	calls_free(c);
	errno = error;
	return NULL;
}

void
calls_free(struct calls *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->n; i++) {
		keys_fini(&c->list[i]->keys);
		free(c->list[i]->numbers.list);
		free(c->list[i]->indices.list);
		free(c->list[i]);
	}
	free(c->list);
	free(c);
}

struct call *
calls_find(struct calls *c, uint32_t client, uint16_t call_id, uint64_t at_us)
{
	for (struct call *k = c->by_id[call_id]; k != NULL; k = k->next)
		if (k->client == client && k->from_us <= at_us)
			return k;
	return NULL;
}

struct call *
calls_live(struct calls *c, uint32_t client, uint16_t port, uint64_t at_us)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct call *k = c->list[i];

		if (k->client == client && (port == 0 || k->port == port) && k->from_us <= at_us &&
		    at_us < k->to_us)
			return k;
	}
	return NULL;
}

static bool
grow(struct uses *u, uint64_t at)
{
	size_t size = u->size != 0 ? u->size : 64;
	struct use *more;

	while (size <= at)
		size *= 2;
	if (at >= USES_MAX || (more = reallocarray(u->list, size, sizeof(*more))) == NULL)
		return false;
	memset(more + u->size, 0, (size - u->size) * sizeof(*more));
	u->list = more;
	u->size = size;
	return true;
}

const struct use *
uses_note(struct uses *u, uint64_t at, const struct use *frame, bool *again, bool *failed)
{
	*again = *failed = false;
	if (at >= u->size && !grow(u, at)) {
		*failed = true;
		return NULL;
	}
	*again = u->list[at].print == frame->print;
	if (*again)
		return NULL;
	if (u->list[at].print != 0)
		return &u->list[at];
	u->list[at] = *frame;
	return NULL;
}
