/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A ring of variable-sized records between exactly one producer thread and one consumer thread,
 * with an eventfd that wakes the consumer. Nothing locks or allocates after ring_init(). A record
 * is contiguous in memory and aligned to 8 bytes; it is written and read in place.
 */
#ifndef DATA_RING_H
#define DATA_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *bytes;
	uint32_t size; /* a power of two */
	int event_fd;
	alignas(64) _Atomic uint32_t head; /* written by the consumer; both count on for ever */
	alignas(64) _Atomic uint32_t tail; /* written by the producer */
	/* The producer's own. */
	uint32_t next;    /* tail once what is reserved is committed */
	bool unannounced; /* committed since the last kick */
};

/* size is a power of two, at least 64. 0, or -1 with errno. */
int ring_init(struct ring *r, uint32_t size);
void ring_fini(struct ring *r); /* wipes the memory; harmless when zeroed */

/* Producer: room for a record of len bytes (<= half the ring - 8), or NULL: full. Becomes visible
 * with ring_commit(). */
void *ring_reserve(struct ring *r, size_t len);
void ring_commit(struct ring *r);
size_t ring_room(const struct ring *r); /* bytes free, heads and fillers included */
void ring_kick(
    struct ring *r); /* wakes the consumer if there is anything new since the last kick */

/* Consumer: the oldest record, in place, or NULL. It stays until ring_pop(). */
void *ring_peek(struct ring *r, size_t *len);
void ring_pop(struct ring *r);
void ring_clear(struct ring *r);  /* quiets the eventfd: call it before the draining, never after */
void ring_rewake(struct ring *r); /* the consumer stops early and wants to be woken again */

#endif
