/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Single-producer single-consumer ring. Positions are free-running counters; a record starts with
 * its length in 8 bytes. A record that does not fit before the end of the memory is preceded by a
 * filler, so that every record is contiguous. The release store of tail publishes a record, the
 * release store of head gives its memory back; each side caches nothing of the other.
 */
#include "pptpd/data/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HEAD_LEN 8
#define FILLER   UINT64_MAX

int
ring_init(struct ring *r, uint32_t size)
{
	assert(size >= 64 && (size & (size - 1)) == 0);
	memset(r, 0, sizeof(*r));
	r->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->event_fd < 0)
		return -1;
	r->bytes = malloc(size);
	if (r->bytes == NULL) {
		close(r->event_fd);
		errno = ENOMEM;
		return -1;
	}
	/* touched now, so that memory use is what it will be, and no page fault comes with a packet
	 */
	memset(r->bytes, 0xff, size);
	r->size = size;
	return 0;
}

void
ring_fini(struct ring *r)
{
	if (r->bytes == NULL)
		return;
	explicit_bzero(r->bytes, r->size);
	free(r->bytes);
	close(r->event_fd);
	r->bytes = NULL;
}

static void
put_head(struct ring *r, uint32_t offset, uint64_t len)
{
	memcpy(r->bytes + offset, &len, sizeof(len));
}

static uint64_t
get_head(const struct ring *r, uint32_t offset)
{
	uint64_t len;

	memcpy(&len, r->bytes + offset, sizeof(len));
	return len;
}

static uint32_t
record_size(uint64_t len)
{
	return HEAD_LEN + (((uint32_t)len + 7) & ~7u);
}

void *
ring_reserve(struct ring *r, size_t len)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint32_t offset = tail & (r->size - 1), to_end = r->size - offset, need;

	/* A record of up to half the ring fits an empty ring at any place. */
	if (len > r->size / 2 - HEAD_LEN)
		return NULL;
	need = record_size(len);
	if (need <= to_end) {
		if (need > r->size - (tail - head))
			return NULL;
	} else {
		if (need + to_end > r->size - (tail - head))
			return NULL;
		put_head(r, offset, FILLER);
		tail += to_end;
		offset = 0;
	}
	put_head(r, offset, len);
	r->next = tail + need;
	return r->bytes + offset + HEAD_LEN;
}

size_t
ring_room(const struct ring *r)
{
	return r->size - (atomic_load_explicit(&r->tail, memory_order_relaxed) -
			     atomic_load_explicit(&r->head, memory_order_acquire));
}

void
ring_commit(struct ring *r)
{
	atomic_store_explicit(&r->tail, r->next, memory_order_release);
	r->unannounced = true;
}

static void
wake(struct ring *r)
{
	uint64_t one = 1;

	/* EAGAIN would mean 2^64 - 2 unread kicks: the consumer is awake anyway. */
	while (write(r->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

void
ring_kick(struct ring *r)
{
	if (!r->unannounced)
		return;
	r->unannounced = false;
	wake(r);
}

void
ring_rewake(struct ring *r)
{
	wake(r);
}

void *
ring_peek(struct ring *r, size_t *len)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	uint32_t offset = head & (r->size - 1);
	uint64_t n;

	if (head == tail)
		return NULL;
	n = get_head(r, offset);
	if (n == FILLER) {
		/* A filler is only ever published together with the record behind it. */
		atomic_store_explicit(&r->head, head + r->size - offset, memory_order_release);
		offset = 0;
		n = get_head(r, 0);
	}
	*len = (size_t)n;
	return r->bytes + offset + HEAD_LEN;
}

void
ring_pop(struct ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t len = get_head(r, head & (r->size - 1));

	assert(len != FILLER);
	atomic_store_explicit(&r->head, head + record_size(len), memory_order_release);
}

void
ring_clear(struct ring *r)
{
	uint64_t n;

	while (read(r->event_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		continue;
}
