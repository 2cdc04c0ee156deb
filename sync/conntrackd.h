/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How the running conntrackd is driven: each request is a short child process that talks to it over
 * its socket. This module knows the words and what comes back; the agent starts the child and cuts
 * it at its deadline (a commit that was cut goes on inside conntrackd).
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
