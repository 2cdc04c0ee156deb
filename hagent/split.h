/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two gateways that both served, for each of them took the other for dead: when that began and
 * ended, who stayed, and what became of the sessions. And what the one that serves does about it:
 * VRRP is to follow the epoch, so who was promoted while nobody was heard stands above the other's
 * priority until one of the two is a standby of the other; and the addresses are announced again
 * when the other is heard again, since its own announcements may have been the last. Pure.
 */
#ifndef HAGENT_SPLIT_H
#define HAGENT_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#define SPLIT_SETTLE_MS 30000 /* so long what the engine says of the sessions belongs to it */

struct split_counts { /* as the engine settled them: engine/replica.h */
	uint64_t times;
	unsigned sessions, whole, one_class, ended, reported, skipped;
};

struct split_facts {
	uint64_t now_ms; /* the loop's clock; never 0 */
	int64_t wall_ms;
	bool serves;                  /* our engine is active */
	bool stands_by;               /* and no promotion is under way */
	bool peer_fresh, peer_serves; /* its engine is active */
	uint64_t peer_silent_ms;      /* UINT64_MAX = never heard */
	uint64_t epoch, peer_epoch;
	struct split_counts settled;
};

enum split_event {
	SPLIT_NOTHING,
	SPLIT_SEEN,    /* both serve */
	SPLIT_OVER,    /* one does */
	SPLIT_SETTLED, /* the sessions are, too: only where we stayed */
};

struct split {
	/* the peer is lost */
	bool was_fresh, served_lost;
	int64_t lost_at; /* wall clock, ms: heard last; 0 = it is heard, or never was */
	struct split_counts settled_lost; /* as they were then */
	bool ahead;
	int64_t maybe_began_at, maybe_ended_at;
	uint64_t maybe_ms;
	bool maybe; /* it was over before the agents spoke, unless the engine says nothing of it */
	/* the last one */
	bool any, open, we_stayed, settled;
	int64_t began_at, ended_at; /* ended_at: when they heard each other again */
	uint64_t over_ms, epoch;    /* epoch: of the one that stayed */
	struct split_counts before, counts;
};

struct split_wishes {
	bool ahead;    /* our priority stands above what it is by itself */
	bool announce; /* the addresses, again */
	enum split_event event;
};

/* A promotion begins: under a higher epoch than anybody's that we know of. */
void split_promoted(struct split *s);
void split_look(struct split *s, const struct split_facts *f, struct split_wishes *w);

#endif
