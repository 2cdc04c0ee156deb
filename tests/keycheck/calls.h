/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The calls of a run, from the test client's key log: whose they are, when they were live, and what
 * they used so far.
 */
#ifndef KEYCHECK_CALLS_H
#define KEYCHECK_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/keycheck/keys.h"

#define CALLS_FOREVER UINT64_MAX

/* What was sent under a number or with a key: the first frame's fingerprint, 0 = nothing yet. */
struct use {
	uint64_t print;
	bool encrypted;
	uint64_t at_us;
	uint64_t sender;
};

struct uses {
	struct use *list;
	size_t size;
};

struct call {
	struct call *next;       /* same call id */
	uint64_t from_us, to_us; /* live; to = when the client began to end it */
	uint32_t client;
	uint16_t port, call_id; /* the client's */
	unsigned session;

	struct keys keys;
	bool any_number, any_key;
	uint32_t first_number, last_number; /* highest, counted from the first */
	uint64_t last_index;                /* highest */
	uint64_t sender;                    /* who sent the last one, stragglers left out */
	bool keyed_since;                   /* encrypted frames since the sender changed */
	struct uses numbers, indices;
};

struct calls {
	struct call **list;
	unsigned n;
	struct call *by_id[65536]; /* newest first */
};

/* NULL with errno, EBADMSG if a line is not what the client writes (*line = which). */
struct calls *calls_read(const char *path, unsigned *line);
void calls_free(struct calls *c);
/* A call whose keys are known at this time; NULL = none. */
struct call *calls_find(struct calls *c, uint32_t client, uint16_t call_id, uint64_t at_us);
/* A call that is live at this time, by its connection, or by its address if port is 0. */
struct call *calls_live(struct calls *c, uint32_t client, uint16_t port, uint64_t at_us);
/*
 * Notes that `at` was used by the frame with this fingerprint. NULL: for the first time, or by the
 * same frame again (*again is set then); else what used it before. False memory counts as ENOMEM.
 */
const struct use *uses_note(
    struct uses *u, uint64_t at, const struct use *frame, bool *again, bool *failed);

#endif
