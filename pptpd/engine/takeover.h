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
struct packet;

enum give_step {
	GIVE_NONE,
	GIVE_BEGUN, /* what arrives is kept */
	GIVE_LEFT,  /* and handed on as well */
	GIVE_TAKEN, /* and not kept any more */
};

struct handover {
	enum give_step step;
	bool diverted;              /* dp_relay() is on */
	STAILQ_HEAD(, packet) kept; /* what arrived, until it is known who is to process it */
	size_t kept_bytes;
	struct timer over; /* relaying ends */
	handover_done_fn *done;
	void *arg;
	unsigned sessions, connections;
	uint64_t began_us, ms, relayed, injected, dropped;
};

struct takeover {
	struct engine *engine;
	struct replica_io *io;
	struct timer slice, pace, watch, yield;
	STAILQ_HEAD(, waiter) waiters; /* of the promotion under way */
	bool busy;                     /* the copy is being continued */
	bool thawed;
	bool handed; /* the copy is exact; nothing but its data path may begin before the order */
	bool unsaid; /* the log has no line of it yet, and sockets are not asked for */
	bool idle_ones;                           /* second round */
	const struct mirror_session *at;          /* last one looked at in this round */
	unsigned looks;                           /* see LETTING_GO */
	unsigned continued, stale, spent, failed; /* stale, spent: are re-keyed */
	unsigned fills;                           /* sessions whose gap is filled */
	uint64_t began_us, data_ms;
	uint64_t heard_ms;       /* loop clock: the copy's active was heard last */
	unsigned pace_id, paced; /* the call id that is next; how many a step */
	uint64_t yielded;
	struct handover handover;
	enum replica_state told_state; /* by the log */
	bool told_in_step;
};
extern const struct replica_ops takeover_ops;
uint64_t takeover_now_us(void);
void takeover_fall_silent(struct engine *e, uint64_t epoch);
bool takeover_take(struct engine *e, uint64_t epoch); /* a handover: promotes at once */
void takeover_given(struct engine *e, enum replica_given how, const char *why);
void takeover_relayed(struct engine *e, enum replica_relay_kind kind, uint64_t connection,
    const uint8_t *bytes, size_t len);
void takeover_handed(struct takeover *t); /* all its sessions have their data path */
void takeover_relay_over(struct takeover *t);
void takeover_relay_soon_over(struct takeover *t); /* demoted by order */
void takeover_handover_end(struct takeover *t);    /* we fall silent, for whatever reason */
void takeover_handover_init(struct takeover *t);
void takeover_handover_fini(struct takeover *t);

/* Makes e->replica and e->takeover. replica_fd is taken over; < 0 = no socket. 0, or -1 with errno.
 */
int takeover_init(struct engine *e, int replica_fd);
/* The agent has said what this node can prove, or that it serves: streams are taken from here on.
 * One that was taken earlier would say that nothing is proven. */
void takeover_open(struct engine *e);
/* Hangs up and forgets the copy; every session and connection must have ended or been forgotten. */
void takeover_fini(struct engine *e);
/*
 * We are to end. True: a standby goes on with our sessions, so everything has been silenced; false:
 * the clients are to be told.
 */
bool takeover_leave(struct engine *e);
/*
 * Before a promotion: an active that died when its stream ended cannot have been heard longer ago
 * than that. If it was, it lived on alone, and its clients stand where nobody knows: the copy is
 * stale.
 */
void takeover_judge_copy(struct engine *e, uint64_t heard_ms_ago);
/* The highest epoch that was heard of. */
uint64_t takeover_epoch(const struct engine *e);
/* Control connections of the copy that are neither restored nor given up. */
unsigned takeover_restoring(const struct engine *e);
/* The copy that is being continued stands where the other stood last. */
bool takeover_exact(const struct engine *e);
/* dp_ops.on_relay */
void takeover_on_relay(
    struct engine *e, enum dp_relay_kind kind, const uint8_t *packet, size_t len);
/* The epoch to which this engine has yielded by itself, 0 = it has not. */
uint64_t takeover_yielded(const struct engine *e);

#endif
