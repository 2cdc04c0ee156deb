/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the two agents do for the two engines (docs/takeover.md): consent, silence, the marker that
 * says what this node cannot prove, and the guard's holds. Pure: facts in, wishes out; every wish
 * is idempotent, so they are judged anew at each look.
 */
#ifndef HAGENT_PAIR_H
#define HAGENT_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#define PAIR_SILENT_MS 250 /* no path heard for so long: nobody knows of the other */
#define PAIR_WANTS_MS  200 /* consent was wanted for so long and did not come */
#define PAIR_HOLDS_MS                                                                              \
	5000 /* how long holds outlive a daemon that does not answer, or serves no more */
#define PAIR_NO_CUT UINT64_MAX

struct pair_engine { /* as our pptpd last said */
	bool answers;
	uint64_t silent_ms;               /* since its last answer */
	bool active, cut_now, silent_now; /* replica state "cut", "silent" */
	bool copied; /* active: somebody may hold a copy that can be continued, whole or not */
	bool wants, in_step, stale, marked;
	bool connected;    /* a stream is up, as far as it knows */
	bool copy;         /* standby: it holds sessions that it could continue, */
	bool whole;        /* all of them, when the stream last was up */
	unsigned sessions; /* of its own, or of its copy */
	uint64_t wants_ms; /* for how long it wants consent */
	uint64_t cut, stale_cut;
	unsigned restoring;
};

struct pair_peer {
	bool fresh, active, standby;
	bool serves; /* its engine is active */
	unsigned sessions;
	uint64_t silent_ms; /* on all paths; UINT64_MAX = never heard */
	uint64_t epoch;
	uint64_t wants_cut; /* it asks for consent to this cut; PAIR_NO_CUT = it does not */
	uint64_t stale_cut; /* it has given consent to this cut */
};

enum pair_fence {
	PAIR_FENCE_NONE,   /* nobody asks for it: a peer that no path reaches is taken for dead */
	PAIR_FENCE_WANTED, /* it must be known to be off first */
	PAIR_FENCED,
};

enum pair_role {
	PAIR_STANDBY,
	PAIR_ACTIVE,
	PAIR_PROMOTING, /* or about to */
	PAIR_OTHER,
};

struct pair_facts {
	enum pair_role role;
	uint64_t epoch; /* written to the disk */
	uint64_t engine_epoch;
	uint64_t gave_epoch; /* the peer took our sessions under it, since we began; 0 = never */
	uint64_t served_ms;  /* since our engine was last seen active; UINT64_MAX = never */
	bool marker_may;     /* the marker stands on the disk, or may: nothing is proven */
	bool marker_sure;    /* it stands for certain, and nobody is about to remove it */
	enum pair_fence fence;
	bool paired; /* the engine knows what we can prove */
	bool moving; /* a planned move: the stream between the engines stays as it is */
	struct pair_engine engine;
	struct pair_peer peer;
};

enum pair_order {
	PAIR_NO_ORDER,
	PAIR_STALE,
	PAIR_SOLO,
	PAIR_SILENT,
};

struct pair_wishes {
	bool mirrors;          /* `hagent link` is to dial the replica stream */
	bool clean;            /* what the engine may say of us */
	enum pair_order order; /* to our engine */
	uint64_t cut;          /* of that order */
	bool fence;            /* the peer, before that order */
	bool write_marker;     /* first, then the order */
	bool remove_marker;
	uint64_t keep_epoch; /* to be written: the one that the peer serves under; 0 = none */
	bool hold_calls, hold_unknown;
	uint64_t wants_cut, stale_cut; /* for our hello */
	/*
	 * Two took each other for dead, and both live. wait_for_copy: a promotion would find
	 * nothing to continue, but the peer still serves and will let us have it. wait_to_yield: we
	 * are to step down, and the peer cannot continue our sessions yet.
	 */
	bool wait_for_copy, wait_to_yield;
};

/* before: the wishes of the last look, for what outlives a daemon that does not answer. */
void pair_judge(
    const struct pair_facts *f, const struct pair_wishes *before, struct pair_wishes *out);

#endif
