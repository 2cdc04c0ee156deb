/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the peer may ask for over SSH, and the rsync that sends it files: both ends of the option
 * list stand here, so that they agree. Pure.
 */
#ifndef SYNC_SERVE_H
#define SYNC_SERVE_H

#include <stddef.h>

#define SERVE_QUERY_COMMAND   "query 1"
#define SERVE_REPLICA_COMMAND "replica 1"
#define SERVE_COMMAND_MAX     256
#define SERVE_DESTINATION                                                                          \
	"staging/" /* a name, not a path: the server puts its own folder there                     \
		    */

enum serve_kind {
	SERVE_REFUSED,
	SERVE_QUERY,
	SERVE_REPLICA,
	SERVE_RSYNC
};

struct serve_request {
	enum serve_kind kind;
	const char *why; /* SERVE_REFUSED: a static text, e.g. "a shell is not for you" */
	char flags[64];  /* SERVE_RSYNC: its word of letters, "-prce.iLsfxCIvu" */
};

/* command: SSH_ORIGINAL_COMMAND; NULL or empty = a shell was asked for. */
enum serve_kind serve_parse(const char *command, struct serve_request *r);

#define SERVE_ARGV 9
/* The argv of the server for an accepted rsync: it writes to the current folder. Points into r. */
void serve_rsync_argv(const struct serve_request *r, const char *argv[static SERVE_ARGV]);

/* The client's options, ending in NULL; the rest of its command line is -e, source, destination. */
extern const char *const serve_rsync_options[];

#endif
