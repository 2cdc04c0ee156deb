/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the gateways sent, judged: every key once, every number once, jumps within bounds, and
 * nothing that would end a live call. Frames come in order of time. A gateway is known by the MAC
 * address that it sends from; when another one begins to send, that is a takeover.
 */
#ifndef KEYCHECK_CHECK_H
#define KEYCHECK_CHECK_H

#include "tests/keycheck/calls.h"
#include "tests/keycheck/capture.h"

#define CHECK_TAKEOVERS 64
#define CHECK_EXAMPLES  10

struct takeover {
	uint64_t at_us, from, to; /* senders */
	unsigned calls;           /* that the new one went on with */
	uint32_t numbers_max;     /* most numbers jumped over: 0 = none is missing */
	uint64_t keys_max;
	uint64_t stragglers; /* frames that the old one still sent */
};

enum fault {
	FAULT_KEY,         /* two different frames, one key */
	FAULT_NUMBER,      /* two encrypted frames, one GRE number */
	FAULT_BACKWARD,    /* an encrypted frame of a new gateway that a client drops as old */
	FAULT_UNREADABLE,  /* no key that is anywhere near makes sense of it */
	FAULT_CLOSED,      /* FIN or RST to a live call's connection */
	FAULT_UNREACHABLE, /* protocol or port unreachable to a live call's client */
	FAULT_CUT,         /* the capture does not hold all of a frame */
	FAULT_MAX
};

struct example {
	enum fault fault;
	uint64_t at_us, before_us; /* of the frame, of the one that it collides with */
	uint64_t sender, before_sender;
	unsigned session;
	uint32_t number;
	uint64_t index;
};

struct check {
	struct calls *calls;
	uint32_t vip;
	uint64_t frames, encrypted, walks, repeated;
	uint64_t filled; /* control frames under numbers that were used before: they fill a gap */
	uint64_t unknown, unknown_encrypted; /* of no call in the key log, or of its set-up */
	uint64_t faults[FAULT_MAX];
	struct example examples[CHECK_EXAMPLES];
	unsigned n_examples, n_takeovers;
	struct takeover takeovers[CHECK_TAKEOVERS]; /* beyond, the last one is used on */
	uint64_t sender;                            /* who serves */
	uint32_t within_numbers;                    /* widest jumps without a takeover */
	uint64_t within_keys;
	bool out_of_memory;
};

void check_init(struct check *c, struct calls *calls, uint32_t vip);
void check_frame(struct check *c, const struct frame *f);
const char *fault_name(enum fault f);

#endif
