/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One path of `hagent link`: an SSH connection to the peer's `query 1` that is kept open, a hello
 * every 50 ms, and a report to our agent for each answer. A path that says nothing for 200 ms is
 * reported silent; after 2 s it is given up and dialled anew, with back-off. Runs in a thread of
 * its own, so that a path that hangs in connecting holds up no other one.
 */
#ifndef HAGENT_LINK_H
#define HAGENT_LINK_H

#include <stdbool.h>

#include "hagent/dial.h"

#define LINK_BEAT_MS   50
#define LINK_SILENT_MS 200
#define LINK_DEAD_MS   2000

/* What the threads tell each other; each member is read and written atomically. */
struct link_shared {
	int64_t agent_heard_ms; /* when our agent last answered */
	bool up[DIAL_PATHS];
	bool mirrors; /* our agent stands by, and says that the peer serves */
	bool refused; /* once, the peer's key or ours was not accepted */
};

struct link_path {
	const struct dial *dial;
	size_t path;
	const char *agent_socket;
	struct link_shared *shared;
};

/* A connection came to nothing. */
void link_note_failure(struct link_shared *s, const struct ssh_error *e);
/* Never returns. arg: struct link_path. */
void *link_run(void *arg);
int64_t link_now_ms(void);

#endif
