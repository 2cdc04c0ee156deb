/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The replica stream's way through `hagent link`: on the standby's side, one SSH connection of its
 * own to the peer's `replica 1`, joined with the replica socket of our own engine. On the sync
 * path, or on the next one that is up. It carries bytes and reads none of them.
 */
#ifndef HAGENT_LINK_REPLICA_H
#define HAGENT_LINK_REPLICA_H

#include "hagent/link.h"

struct link_replica {
	const struct dial *dial;
	struct link_shared *shared;
	const char *engine_socket; /* with the root */
};

/* Never returns. arg: struct link_replica. */
void *link_replica_run(void *arg);

#endif
