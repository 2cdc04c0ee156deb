/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The asynchronous client of a control socket (common/answer.h): one connection, made when the
 * first call needs it and again after it broke. Requests leave in the order of the calls and the
 * server runs them in that order, also those whose caller no longer waits: a call that ran into its
 * deadline, or was forgotten, is not taken back. Belongs to one loop.
 */
#ifndef COMMON_ANSWER_CLIENT_H
#define COMMON_ANSWER_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "common/loop.h"

struct answer_client;

/*
 * answer is the whole answer object, borrowed; NULL with errno ETIMEDOUT, ECONNRESET (the
 * connection broke), ECONNREFUSED, ENOENT, EAGAIN (the server's queue is full), EBADMSG.
 */
typedef void answer_done_fn(void *arg, json_t *answer);

/* Copies path. NULL with errno. */
struct answer_client *answer_client_new(struct loop *l, const char *path);
/* No callback runs any more. Must not be called from one. */
void answer_client_free(struct answer_client *c);

/*
 * args may be NULL and is stolen. done runs exactly once, always from the loop, unless the call is
 * forgotten. Returns the call's number, or 0 with errno: nothing was sent and done will not run
 * (EBUSY: 16 requests lie unanswered, counting the late ones).
 */
uint64_t answer_client_call(struct answer_client *c, const char *cmd, json_t *args,
    unsigned timeout_ms, answer_done_fn *done, void *arg);
/* Its done will not run. Harmless for a call that is over. */
void answer_client_forget(struct answer_client *c, uint64_t number);

#endif
