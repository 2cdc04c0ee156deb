/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How the running conntrackd is driven: by a request over its own socket, or by its program, which
 * does the same and takes 7 ms to begin with it, several times that on a busy machine. This module
 * knows the words and what comes back; the agent chooses, and cuts what takes too long (a commit
 * that was cut goes on inside conntrackd).
 *
 * On the socket a request is one int in the machine's own order on a fresh connection, which
 * conntrackd closes when it is done, a commit's not earlier; in between comes what its program
 * prints. It says nothing of an int that it does not know, so the answer to STATS is the proof that
 * it speaks this protocol (1.2 to 1.4.8 do).
 *
 *   becoming MASTER: COMMIT; then, when traffic flows, FLUSH, RESYNC, SEND
 *   becoming BACKUP: EXPIRE, REQUEST
 *
 * COMMIT puts the peer's entries, kept in the external cache, into the kernel and takes an EXPIRE
 * back. FLUSH empties both caches, so that nothing stale is committed next time; RESYNC fills the
 * internal one from the kernel, SEND gives it to the peer. EXPIRE empties the kernel's table after
 * PurgeTimeout: an entry that stayed there would refuse one that the new MASTER made for the same
 * translated port ("entries can't be committed": measured). REQUEST asks the new MASTER for all it
 * has.
 *
 * The external cache is on, as measured (milliseconds, 1,000 / 10,000 flows): COMMIT 9-13 / 41-51,
 * again 12-17 / 72-73; FLUSH, RESYNC and SEND together 18-25 / 40-41; processor time of the standby
 * for all that was made 20-30 / 20-30. Without it COMMIT takes 3, but the standby spends 10 / 110,
 * holds the entries in its kernel, where nothing refreshes them, and loses them to EXPIRE.
 */
#ifndef SYNC_CONNTRACKD_H
#define SYNC_CONNTRACKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

#define CONNTRACKD_PROGRAM "/usr/sbin/conntrackd"
#define CONNTRACKD_ARGS    5

enum conntrackd_request {
	CONNTRACKD_COMMIT,
	CONNTRACKD_FLUSH,
	CONNTRACKD_RESYNC,
	CONNTRACKD_SEND,
	CONNTRACKD_EXPIRE,
	CONNTRACKD_REQUEST,
	CONNTRACKD_STATS
};

/* The words of the child, NULL-terminated; argv[0] is absolute, conf is borrowed. */
void conntrackd_argv(
    enum conntrackd_request request, const char *conf, const char *argv[static CONNTRACKD_ARGS]);

#define CONNTRACKD_ANSWER_MAX 4096 /* what goes beyond is read and dropped */

/* error: 0, or an errno value (ETIMEDOUT). text: NUL-terminated. */
typedef void conntrackd_done_fn(void *arg, int error, const char *text);

/* A request under way; embedded in its owner, zeroed = idle. */
struct conntrackd_talk {
	int fd; /* valid with `running` */
	bool running;
	struct io io;
	struct timer deadline;
	conntrackd_done_fn *done;
	void *arg;
	size_t n;
	char text[CONNTRACKD_ANSWER_MAX + 1];
};

/*
 * Over the socket at path. done runs once, from the loop, when conntrackd has closed the
 * connection, or at the deadline. 0, or -1 with errno: nothing was asked (EBUSY: one is under way;
 * EAGAIN: too many wait there; ECONNREFUSED, ENOENT: nobody listens).
 */
int conntrackd_ask(struct conntrackd_talk *t, struct loop *l, const char *path,
    enum conntrackd_request request, unsigned deadline_ms, conntrackd_done_fn *done, void *arg);
/* Forgets it; done does not run. Harmless when idle. */
void conntrackd_forget(struct conntrackd_talk *t);

/* From what CONNTRACKD_STATS prints. */
struct conntrackd_stats {
	uint64_t internal; /* entries of our kernel that the peer is told of */
	uint64_t external; /* entries of the peer, kept here */
	uint64_t internal_failed, external_failed; /* that found no room */
	uint64_t send_errors, lost;                /* messages */
};

/* 0, or -1 with errno EBADMSG when one of the figures is missing. */
int conntrackd_parse_stats(const char *text, struct conntrackd_stats *out);

#endif
