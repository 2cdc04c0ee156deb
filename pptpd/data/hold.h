/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets of one session that may not leave yet: copies, in order, bounded by count and by what all
 * queues of a worker hold together. One thread.
 */
#ifndef DATA_HOLD_H
#define DATA_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLD_MAX       256           /* packets of a session */
#define HOLD_BYTES_MAX (8u << 20)    /* of a worker, with the bookkeeping */
#define HOLD_US        (300u * 1000) /* nothing waits longer */
#define HOLD_ROOM      2             /* writable bytes in front of a packet */

struct held {
	struct held *next;
	uint64_t since_us;
	uint16_t protocol;
	bool keyed; /* an IP packet, to be encrypted; else a frame */
	uint16_t len;
	uint8_t bytes[]; /* HOLD_ROOM, then len */
};

struct hold {
	struct held *first, *last;
	unsigned count;
};

/* Appends a copy; *total is the bytes held by all queues that share it. -1: no room. */
int hold_put(struct hold *h, size_t *total, uint64_t now_us, bool keyed, uint16_t protocol,
    const uint8_t *bytes, size_t len);
void hold_pop(struct hold *h, size_t *total); /* frees the first one */
/* Frees those that are to be encrypted; returns how many. */
unsigned hold_drop_keyed(struct hold *h, size_t *total);
void hold_fini(struct hold *h, size_t *total); /* total may be NULL */

#endif
