/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guardian: makes the fault of a drill on the gateway that serves, and undoes it, whatever
 * happens to everybody else. A process of its own, of no agent: it undoes when it is told to
 * (SIGTERM), when the time is over, and when the agent that started it ends. What it cuts stands in
 * the kernel as elements of a set that expire by themselves, so that nobody at all is needed to
 * bring the gateway back.
 */
#ifndef HAGENT_DRILL_GUARD_H
#define HAGENT_DRILL_GUARD_H

#include <sys/types.h>

#include "hagent/drill.h"
#include "hagent/hagent.h"

#define DRILL_TABLE   "netdev pptp_ha_drill"
#define DRILL_LATE_MS 300 /* from the order to the fault: the answer must get out */
#define DRILL_MEET_S  6   /* the WAN stays cut until the two have met, so long at most */

struct drill_guard {
	const struct hagent *h;
	const char *id;
	enum drill_kind kind;
	unsigned link, seconds;
	pid_t agent; /* 0 = nobody's */
	const struct cluster_node *us;
};

/* Until all is undone. 0, or -1 after a message. */
int drill_guard_run(const struct drill_guard *g);
/* A guardian is at work here: its lock is held. */
bool drill_guard_works(const struct hagent *h);
/* Removes what a guardian that was killed has left. Harmless. */
int drill_guard_tidy(void);

/* drill_daemon.c: kills the engine of this node's daemon. 0 with its words, or -1 with errno. */
struct drill_daemon {
	pid_t monitor, engine;
	char words[4096]; /* of its command line, each with its NUL */
	size_t n;
	char output[256]; /* where its messages go */
};
int drill_daemon_find(const char *socket_path, struct drill_daemon *out);
/* Nobody has started it again: the service manager is told to, or it is started as it was. */
int drill_daemon_start(const struct drill_daemon *d);

#endif
