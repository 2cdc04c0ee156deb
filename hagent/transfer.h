/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The two ends of a transfer of files: what `hagent sync` runs. Each returns its result as data
 * (new reference), or NULL with *p; the state, the audit log and staging/ are then as they must be.
 */
#ifndef HAGENT_TRANSFER_H
#define HAGENT_TRANSFER_H

#include <jansson.h>

#include "hagent/hagent.h"
#include "sync/set.h"

/* The lock of the state and of installations, and the one that lets only one push run. */
#define TRANSFER_SET_LOCK  "set.lock"
#define TRANSFER_PUSH_LOCK "push.lock"
#define TRANSFER_LOCK_MS   5000

struct transfer {
	const struct hagent *h;
	struct store store;
	char *state_folder;
	struct set_state state;
	struct set ours; /* with bytes */
	bool whole;      /* ours has all files that it should have */
	int lock;
};

/*
 * Takes the set lock, completes what was interrupted, loads the state and reads our files; a change
 * since the last time gets its generation, which is saved. transfer_end() is due in any case.
 */
int transfer_begin(struct transfer *t, const struct hagent *h, struct set_problem *p);
void transfer_end(struct transfer *t);
/* Notes how a transfer went, for status, and saves. */
void transfer_note(struct transfer *t, const char *direction, const char *result, const char *text);

/* Our set to the peer, if it does not have it. force: also if the peer seems to have it. */
json_t *transfer_push(const struct hagent *h, const char *user, bool force, struct set_problem *p);
/* The peer is asked to push. */
json_t *transfer_pull(const struct hagent *h, const char *user, struct set_problem *p);
/* What the peer's offer deserves: {"answer":"want"|"same"|"newer"|"refused", ...}; "disk-full". */
json_t *transfer_offer(const struct hagent *h, const char *offer, struct set_problem *p);
/* The staged set is checked and put in place. */
json_t *transfer_install(const struct hagent *h, struct set_problem *p);

#endif
