/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket's language: JSON, one line a request, one line an answer.
 *   {"v":1,"id":7,"cmd":"sessions",...}  ->  {"id":7,"ok":true,"data":...}
 *                                        or
 * {"id":7,"ok":false,"error":{"code":"...","message":"..."}} The server half runs on a loop over a
 * listening descriptor; the client half is blocking.
 */
#ifndef COMMON_ANSWER_H
#define COMMON_ANSWER_H

#include <jansson.h>
#include <stddef.h>

#include "common/loop.h"

#define ANSWER_LINE_MAX 65536

struct answer_server;
struct answer_request;

struct answer_command {
	const char *name;
	/* Must call exactly one of answer_ok()/answer_error(), now or later. args is borrowed for
	 * the call. */
	void (*run)(struct answer_request *r, json_t *args, void *arg);
};

/* Takes fd over. rows must outlive the server. At most 32 clients; a slow reader (64 KiB unsent) is
 * dropped. */
struct answer_server *answer_server_new(
    struct loop *l, int fd, const struct answer_command *rows, size_t n_rows, void *arg);
void answer_server_free(struct answer_server *s);

void answer_ok(struct answer_request *r, json_t *data); /* steals data; NULL = {} */
void answer_error(struct answer_request *r, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Client: connects to the UNIX socket, sends {"v":1,"id":1,"cmd":cmd, ...args}, waits for its
 * answer. args may be NULL and is stolen. Returns the whole answer object (new reference), or NULL
 * with errno (ECONNREFUSED, ENOENT, ETIMEDOUT, EBADMSG).
 */
json_t *answer_call(const char *path, const char *cmd, json_t *args, int timeout_ms);

#endif
