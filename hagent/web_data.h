/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `hagent web` knows: the answers of the agent's status socket, kept, so that however many ask
 * for pages the agent is asked once a second. Everything is asked in the background; who wants
 * something newer than what there is waits for it, but never long: an agent that does not answer
 * leaves the old answer, with its age.
 */
#ifndef HAGENT_WEB_DATA_H
#define HAGENT_WEB_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"

enum web_source {
	WEB_STATUS,
	WEB_COUNTERS, /* `metrics` */
	WEB_SESSIONS, /* the whole list: an array */
	WEB_DRILLS,
	WEB_JOURNAL,
	WEB_SOURCES
};
#define WEB_NEED(source) (1U << (source))

struct web_data;

/* Copies path, of the agent's socket. NULL with errno. */
struct web_data *web_data_new(struct loop *l, const char *path);
void web_data_free(struct web_data *d); /* whoever waits is forgotten */

/*
 * Runs ready, at once or later, when each of needs (WEB_NEED()s) is fresh or was asked for in vain.
 * False: too many wait; ready does not run.
 */
bool web_data_want(struct web_data *d, unsigned needs, void (*ready)(void *arg), void *arg);

/* The last good answer, borrowed until the loop's next turn; NULL = there was none. */
const json_t *web_data_get(const struct web_data *d, enum web_source s);
uint64_t web_data_age_ms(const struct web_data *d, enum web_source s); /* UINT64_MAX: never */
/* Why the last question was in vain, NULL = it was not. */
const char *web_data_trouble(const struct web_data *d, enum web_source s);
/* The agent has answered within the last seconds. */
bool web_data_lives(const struct web_data *d);
/* The last hour: new reference. */
json_t *web_data_history(const struct web_data *d);

/*
 * Asks for one drill. done gets the report, or NULL with errno: ENOENT (there is none of that
 * name), EIO (no answer). False: it was not asked.
 */
bool web_data_drill(
    struct web_data *d, const char *id, void (*done)(void *arg, const json_t *report), void *arg);

#endif
