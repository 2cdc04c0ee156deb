/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Planned moves, judged: may this gateway give its sessions and addresses to the peer now, and how;
 * may this one take them; what maintenance means for keepalived. Pure: facts in, verdict out, with
 * the reason in words.
 *
 * By handover the peer continues each session exactly where we stopped, and what still reaches us
 * is relayed. The plain way is that of a gateway that yields: the peer promotes itself at the
 * marks.
 */
#ifndef HAGENT_MOVE_H
#define HAGENT_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "hagent/health.h"

#define MOVE_STREAM_VERSION 2 /* the first one that knows a handover */
#define MOVE_TEXT           256

enum move_answer {
	MOVE_NO,
	MOVE_WAIT, /* no, but that may pass within moments */
	MOVE_PLAIN,
	MOVE_HANDOVER,
};

struct move_peer {
	const char *name;
	bool fresh, standby, maintenance;
	bool ready;    /* its keepalived sees no fault; it looks once a second */
	bool prepares; /* its agent knows handovers */
	enum health_fault fault;
	const char *problem; /* in its words; may be empty */
};

struct move_facts {
	bool force;
	bool active; /* our role */
	bool held;   /* the virtual address is here, and a living keepalived could take it away */
	bool serves; /* our engine answers, and is active */
	bool in_step;
	unsigned sessions, at_risk;
	unsigned unsettled; /* taken over, and still without their control connection or keys */
	unsigned version;   /* of the stream that the engines speak; 0 = none is up */
	struct move_peer peer;
};

struct move_verdict {
	enum move_answer answer;
	char why[MOVE_TEXT]; /* against it; or what this way costs; or empty */
};

void move_judge(const struct move_facts *f, struct move_verdict *v);

/* The other side: the peer asks us to be ready for its sessions. */
struct move_taker {
	bool standby; /* our role */
	bool held;
	bool keepalived; /* runs, and sees no fault */
	bool unfit;      /* the track file keeps it away, for whatever reason */
	bool busy;       /* with a move already */
	bool maintenance, in_step;
	enum health_fault fault;
	const char *problem;
	uint64_t asked, epoch; /* the epoch that it is to be under; the highest that we know of */
};

/* NULL = we take them; else why not. The text lives as long as t's. */
const char *move_refuses(const struct move_taker *t);

/*
 * The epoch of a promotion: above all that is known, or the one that was prepared for it, as long
 * as nobody can have been active under that.
 */
uint64_t move_epoch(uint64_t known, uint64_t prepared);

/*
 * Maintenance: this gateway is not to be MASTER while the other one is there and can be. With the
 * other one silent, or not able to serve, or in maintenance itself, it serves like any other: a
 * gateway in maintenance is better than none.
 */
bool move_maintenance_yields(bool peer_fresh, enum health_fault peers, bool peer_maintenance);

#endif
