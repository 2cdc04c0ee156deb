/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions that engines had in hand when they crashed, here or on the other gateway; the agents
 * tell. A crash may follow a session from gateway to gateway: one that was in hand at one crash is
 * suspect, and named in the log; at a second one within the hour it is closed, so that it ends and
 * the gateway does not. So are the sessions of a control connection.
 */
#ifndef ENGINE_SUSPECTS_H
#define ENGINE_SUSPECTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/crash.h"

#define SUSPECTS_CRASHES 2 /* at so many it is closed */

struct engine;
struct session;

struct suspects {
	struct crashes crashes;
	uint64_t closed;
};

/*
 * The order: {"crashes":[{"at":MS,"node":"gw1","cause":"signal-11","ids":[N,...]},...]}, all that
 * are known. What serves here and was in hand too often is closed. 0, or -1 with errno EBADMSG.
 */
int suspects_tell(struct engine *e, const json_t *crashes);
/* At how many crashes of the last hour this id was in hand. */
unsigned suspects_count(const struct engine *e, uint64_t id);
/* Closes it, and tells its client, if it or its control connection was in hand too often: true. */
bool suspects_close(struct session *s);
/* It has been continued: closed, as above, or named if it is suspect. */
bool suspects_continued(struct session *s);
/* {"crashes":N,"closed":N} */
json_t *suspects_json(const struct engine *e);

#endif
