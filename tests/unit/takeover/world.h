/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The world of the takeover's simulation: two gateways, their clients, and what may fail between
 * them. Time is the virtual clock, chance comes from a seed. What is real: the replica with record,
 * mirror, keygate and MPPE, the numbering of GRE, and the agents' judgement (hagent/pair.h). What
 * is a model: the transmit half's worker (it obeys gate and export as pptpd/data does, late and in
 * order), keepalived, disks, networks, clients.
 */
#ifndef TESTS_TAKEOVER_WORLD_H
#define TESTS_TAKEOVER_WORLD_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "hagent/pair.h"
#include "pptpd/engine/replica.h"
#include "pptpd/wire/gre.h"
#include "tests/unit/record_sample.h"

#define SESSIONS 6
#define GENS     64 /* sets of keys that a client may have, one after the other */
#define LEDGER   32768
#define FRAMES   8192 /* on their way to clients */
#define QUEUE    32
#define TRACE    80
#define FOLLOWS  2047 /* keys that a client steps over at most */

struct world;

/* ---- a client, and all that was ever sent to it ---- */

struct ledger {                 /* one set of keys */
	uint8_t key[LEDGER];    /* by index: 1 + node that used it */
	uint8_t number[LEDGER]; /* by GRE number since the set began: was sent */
	uint32_t base;
};

struct client {
	bool up, told; /* told: its session is over and it knows */
	unsigned gen;
	struct mppe rx;
	bool any;
	uint32_t last; /* GRE number */
	uint64_t last_index;
	unsigned takeovers[2]; /* by each node, since it last heard that node */
	uint32_t ahead_max;    /* the largest L that its session had */
	uint64_t good_ms, redial_ms;
	uint32_t echo_next, echo_told, guaranteed;
	struct ledger *ledger[GENS];
	uint64_t heard, late, deaf;
};

struct frame {
	uint64_t due;
	unsigned sid, gen, node;
	uint32_t number;
	bool data;
	uint64_t index;
	uint8_t key[16];
};

/* ---- a gateway ---- */

struct command { /* main thread -> worker */
	bool export;
	struct keygate gate;
	uint32_t ahead, low_water;
	bool skip;
	uint32_t skip_seq;
	uint64_t skip_index;
};

struct reply { /* worker -> main thread */
	bool exported;
	uint32_t next;
	struct mppe tx;
	struct keygate gate;
};

struct esession {
	struct replica_session rs; /* first */
	struct replica_connection rc;
	struct node *node;
	bool live;
	unsigned sid, gen;
	uint64_t id;
	struct mppe tx;
	struct gre_tx gre;
	struct gre_ack ack;
	struct keygate gate; /* the worker's */
	uint32_t low_water;
	bool low_said;
	struct command commands[QUEUE];
	struct reply replies[QUEUE];
	unsigned n_commands, n_replies, exports;
	uint32_t echo_seen, echo_reply, reply_told; /* told: in the newest record */
	bool reply_waits;
	bool skip; /* the next export's */
	uint32_t skip_seq, acked;
	uint64_t skip_index;
	bool any_acked;
};

struct disk { /* survives a power cut */
	bool marker;
	uint64_t epoch;
};

enum disk_op {
	OP_NONE,
	OP_MARK,
	OP_UNMARK,
	OP_KEEP_EPOCH,
	OP_PROMOTE, /* marker, epoch, then the engine */
	OP_PREPARE, /* the same, and then a handover is expected */
};

enum move { /* of who gives */
	MOVE_NONE,
	MOVE_ASKING,    /* the peer is to prepare */
	MOVE_PREPARING, /* it does */
	MOVE_GIVING,    /* the engine has the order */
	MOVE_OVER,      /* answered: the addresses go */
};

struct hello {
	uint64_t ms; /* when it was said */
	bool active, standby, serves;
	unsigned sessions;
	uint64_t epoch, wants_cut, stale_cut;
};

struct node {
	struct world *w;
	unsigned n;
	const char *name;
	bool powered, engine_up;
	bool slow; /* it has little to send: in a split brain the other is far ahead */
	uint64_t engine_ms, power_ms; /* when it comes back */
	uint32_t boots;
	struct disk disk;
	struct replica *r;
	struct esession s[SESSIONS];
	bool yielded, frozen;
	/* agent */
	enum pair_role role;
	bool paired, told_clean;
	enum disk_op op;
	uint64_t op_ms, op_epoch, wants_since;
	struct hello said, heard;
	struct pair_wishes wishes;
	/* planned moves */
	enum move move;
	uint64_t move_ms, move_epoch; /* the next step, or the patience with the peer */
	uint64_t gave_epoch;          /* as struct pair_facts has it */
	bool taking, taken;           /* the other side of it */
	uint64_t take_ms, ready_ms;   /* until then; 0 = not ready */
	uint64_t relay_ms;            /* relaying ends */
	/* keepalived */
	bool master, ahead; /* ahead: promoted while the peer was not heard; see standing() */
	uint64_t advert_ms, fault_ms;
};

/* ---- between them ---- */

struct segment {
	struct segment *next;
	uint64_t due;
	size_t len, at;
	uint8_t bytes[];
};

struct pipe { /* one direction of the stream */
	struct segment *first, **last;
	uint64_t newest_ms;
	bool fin; /* the sender has closed it */
};

struct stream {
	bool attached[2]; /* by end */
	struct pipe to[2];
	uint64_t dial_ms;
};

enum path {
	PATH_SYNC,  /* the stream */
	PATH_AGENT, /* what the agents say to each other */
	PATH_VRRP,
	PATHS
};

struct world {
	struct loop *loop;
	uint64_t seed, rng, now, began;
	struct node n[2];
	struct stream stream;
	uint64_t blocked_ms[PATHS]; /* until then */
	int vip;                    /* the node that answers, or -1 */
	struct client c[SESSIONS];
	struct frame frames[FRAMES];
	unsigned n_frames;
	unsigned delay_ms, loss_percent, rate_percent, burst;
	uint64_t both_ms;  /* since when two act that could hear each other */
	uint64_t below_ms; /* since when a standby mirrors an active of a lower epoch */
	/* a crash at a certain frame of the stream */
	uint64_t said, crash_at;
	unsigned crash_node, crash_how;
	bool crash_cuts; /* the stream is cut there, and nobody dies */
	uint64_t arm_at; /* the same, from the order to hand over on */
	bool failed, calm;
	char why[200];
	char trace[TRACE][120];
	unsigned n_trace;
	/* what happened, so that a test knows that it tests something */
	uint64_t takeovers, continued, ended, solos, silences, frames_sent;
	uint64_t reported, skipped;
	uint64_t handed, refused, unknown; /* handovers */
};

static inline uint64_t
chance(struct world *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % below;
}

static inline void __attribute__((format(printf, 2, 3)))
trace(struct world *w, const char *fmt, ...)
{
	char *line = w->trace[w->n_trace++ % TRACE];
	int n = snprintf(line, 16, "%7" PRIu64 " ", w->now - w->began);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof w->trace[0] - (size_t)n, fmt, ap);
	va_end(ap);
}

/* The first broken promise counts. */
static inline void __attribute__((format(printf, 2, 3)))
broken(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof w->why, fmt, ap);
	va_end(ap);
	trace(w, "BROKEN: %s", w->why);
}

static inline bool
path_open(const struct world *w, enum path p)
{
	return w->now >= w->blocked_ms[p];
}

#endif
