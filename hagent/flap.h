/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Flapping: a gateway that fails again and again, a link that comes and goes. Three rules, all of
 * which give way where nobody else could serve:
 *
 *   held   a standby that failed more than once in ten minutes stays unfit for a while after it is
 *          well again, twice as long at each failure; so does one whose pair has moved as often as
 *          it may
 *   rides  an active whose link is down serves on for a while when the pair has moved as often as
 *          it may; and for as long as it takes when no peer is heard: its sessions survive that
 *   stays  an active with a soft fault does not pass it on when the pair has moved that often
 *
 * Pure: facts and the wall clock in, a verdict out. The clock is the wall's, because what happened
 * outlives the agent, in its journal; a time in the future counts for nothing.
 */
#ifndef HAGENT_FLAP_H
#define HAGENT_FLAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLAP_WINDOW_MS 600000 /* in which failures and moves are counted */
#define FLAP_EVENTS    32     /* remembered of each kind */
/* A switch that dies takes both gateways' links: the peer is given time to say so. */
#define FLAP_ASK_MS 120

/* Times, ms since 1970; the oldest make room. A zeroed one is empty. */
struct flap_times {
	int64_t at[FLAP_EVENTS];
	unsigned n;
};

void flap_add(struct flap_times *t, int64_t at);
/* Those of the window before now. */
unsigned flap_count(const struct flap_times *t, int64_t now);

struct flap {
	struct flap_times failures; /* times at which this gateway ceased to be able to serve */
	bool failing;
	int64_t well_at; /* when the last failure ended; 0 = there was none */
	int64_t bad_at;  /* since when a link of ours is down; 0 = none is */
	int64_t lifted_until;
};

struct flap_limits {
	unsigned moves_max;
	unsigned hold_down_s, hold_down_max_s; /* after the second failure, and at most */
	unsigned ride_out_s;
};

struct flap_view {
	int64_t now;
	bool soft, hard;
	bool links_only; /* hard, and all that is hard is a link that is down */
	bool active;     /* we serve, or are about to */
	bool peer_fresh;
	bool peer_active; /* it serves, or is about to */
	bool peer_able;   /* it is fit, and nothing keeps it from becoming MASTER */
	bool peer_hard, peer_rides, peer_held;
	bool senior; /* of two that are equally bad, we are to stay */
	const struct flap_times *moves, *peers_moves;
};

enum flap_state {
	FLAP_FREE,
	FLAP_ASKS, /* a link has just gone: as rides, while the peer may say that its is gone too */
	FLAP_RIDES,
	FLAP_STAYS,
	FLAP_HELD,
};
const char *flap_state_name(enum flap_state s); /* "free", "asks", "rides", "stays", "held" */

struct flap_verdict {
	enum flap_state state;
	int64_t until;     /* when it ends at the latest; 0 = when a peer is heard */
	bool for_failures; /* held: for these, not for moves */
	unsigned failures, moves;
};

/* Says whether a hard fault is there now: counts the beginnings. True: one begins or ends. */
bool flap_notice(struct flap *f, int64_t now, bool hard, bool link_down);
/* A failure that was not seen to begin: this gateway went while it served. */
void flap_failed(struct flap *f, int64_t now);
/* How long a gateway with so many failures is held. */
unsigned flap_hold_s(const struct flap_limits *l, unsigned failures);
/* An operator takes this gateway as it is: its failures are forgotten, and nothing holds it so
 * long. */
void flap_lift(struct flap *f, int64_t until);

void flap_judge(const struct flap *f, const struct flap_limits *l, const struct flap_view *v,
    struct flap_verdict *out);
/* Why, in words, for status and journal; empty for FLAP_FREE. */
void flap_tell(const struct flap_verdict *v, int64_t now, char *out, size_t size);

#endif
