/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of role, and this engine's end of the replica: its socket, what it asks of sessions and
 * connections, and what becomes of the copy at a promotion (docs/takeover.md). engine_promote() and
 * engine_demote() are declared in engine.h.
 */
#ifndef ENGINE_TAKEOVER_H
#define ENGINE_TAKEOVER_H

#include "pptpd/engine/engine.h"
#include "pptpd/engine/replica.h"
#include "pptpd/engine/replica_io.h"

/* Private to takeover*.c. */
struct takeover {
	struct engine *engine;
	struct replica_io *io;
	struct timer slice, pace, watch, yield;
	STAILQ_HEAD(, waiter) waiters; /* of the promotion under way */
	bool busy;                     /* the copy is being continued */
	bool thawed;
	bool unsaid;    /* the log has no line of it yet, and sockets are not asked for */
	bool idle_ones; /* second round */
	const struct mirror_session *at;          /* last one looked at in this round */
	unsigned looks;                           /* see LETTING_GO */
	unsigned continued, stale, spent, failed; /* stale, spent: are re-keyed */
	unsigned fills;                           /* sessions whose gap is filled */
	uint64_t began_us, data_ms;
	uint64_t heard_ms;       /* loop clock: the copy's active was heard last */
	unsigned pace_id, paced; /* the call id that is next; how many a step */
	uint64_t yielded;
	enum replica_state told_state; /* by the log */
	bool told_in_step;
};
extern const struct replica_ops takeover_ops;

/* Makes e->replica and e->takeover. replica_fd is taken over; < 0 = no socket. 0, or -1 with errno.
 */
int takeover_init(struct engine *e, int replica_fd);
/* The agent has said what this node can prove, or that it serves: streams are taken from here on. One
 * that was taken earlier would say that nothing is proven. */
void takeover_open(struct engine *e);
/* Hangs up and forgets the copy; every session and connection must have ended or been forgotten. */
void takeover_fini(struct engine *e);
/*
 * We are to end. True: a standby goes on with our sessions, so everything has been silenced; false:
 * the clients are to be told.
 */
bool takeover_leave(struct engine *e);
/* The highest epoch that was heard of. */
uint64_t takeover_epoch(const struct engine *e);
/* Control connections of the copy that are neither restored nor given up. */
unsigned takeover_restoring(const struct engine *e);
/* The epoch to which this engine has yielded by itself, 0 = it has not. */
uint64_t takeover_yielded(const struct engine *e);

#endif
