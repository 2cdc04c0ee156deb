/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Enhanced GRE. The header codec is pure; the receive half keeps the order of one session's packets
 * and is owned by the one worker that receives for it; the transmit half numbers them and is owned
 * by the one that sends. They share a struct gre_ack and nothing else.
 *
 * Invariants of the receive half: numbers are delivered strictly ascending (modulo 2^32). What is
 * held lies in last + 2 .. last + 1 + window, so no two held packets fall into one slot, and
 * last + 1 is never held. Nothing is held for longer than the timeout, if ticks come when asked
 * for.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/wire/gre.h"

#define FLAG_SEQ     0x1000
#define FLAG_ACK     0x0080
#define FLAGS_ALWAYS 0x2001 /* key present, version 1; every other bit must be clear */
#define likely(x)    __builtin_expect(!!(x), 1)

int
gre_parse(struct rd *r, struct gre_header *h, struct rd *payload)
{
	uint16_t flags = rd_u16(r);
	uint16_t protocol = rd_u16(r);

	memset(h, 0, sizeof(*h));
	h->length = rd_u16(r);
	h->call_id = rd_u16(r);
	h->has_seq = (flags & FLAG_SEQ) != 0;
	h->has_ack = (flags & FLAG_ACK) != 0;
	if (h->has_seq)
		h->seq = rd_u32(r);
	if (h->has_ack)
		h->ack = rd_u32(r);
	if ((flags & ~(FLAG_SEQ | FLAG_ACK)) != FLAGS_ALWAYS || protocol != GRE_PROTO_PPP ||
	    (h->length > 0 && !h->has_seq))
		rd_fail(r);
	*payload = rd_sub(r, h->length);
	if (!rd_ok(r)) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

void
gre_encode(struct wr *w, const struct gre_header *h)
{
	wr_u16(w, FLAGS_ALWAYS | (h->has_seq ? FLAG_SEQ : 0) | (h->has_ack ? FLAG_ACK : 0));
	wr_u16(w, GRE_PROTO_PPP);
	wr_u16(w, h->length);
	wr_u16(w, h->call_id);
	if (h->has_seq)
		wr_u32(w, h->seq);
	if (h->has_ack)
		wr_u32(w, h->ack);
}

void
gre_rx_init(struct gre_rx *rx, uint8_t window, uint32_t timeout_us)
{
	memset(rx, 0, sizeof(*rx));
	rx->window = window < GRE_RX_WINDOW_MAX ? window : GRE_RX_WINDOW_MAX;
	rx->timeout_us = timeout_us;
}

void
gre_rx_resume(struct gre_rx *rx, uint32_t last)
{
	rx->started = rx->resumed = true;
	rx->last = last;
}

static void
free_slots(struct gre_rx *rx)
{
	free(rx->slots);
	rx->slots = NULL;
}

void
gre_rx_fini(struct gre_rx *rx)
{
	for (unsigned i = 0; rx->held > 0 && i <= rx->mask; i++)
		free(rx->slots[i].bytes);
	rx->held = 0;
	free_slots(rx);
}

/* Moves last on by count numbers, of which only the newest was delivered. */
static void
advance(struct gre_rx *rx, uint32_t count, bool delivered)
{
	rx->last += count;
	rx->seen = count < 64 ? rx->seen << count : 0;
	rx->seen |= delivered;
	rx->stats.lost += count - delivered;
	rx->stats.delivered += delivered;
}

/* The next number's slot if it is held, else NULL; the far end of a full window shares that slot.
 */
static struct gre_rx_slot *
next_held(const struct gre_rx *rx)
{
	struct gre_rx_slot *slot = &rx->slots[(rx->last + 1) & rx->mask];

	return slot->bytes != NULL && slot->seq == rx->last + 1 ? slot : NULL;
}

/* Moves to the next number: delivers it if it is held, else it is lost. */
static void
step(struct gre_rx *rx, gre_deliver_fn *deliver, void *arg)
{
	struct gre_rx_slot *slot = next_held(rx);
	uint8_t *bytes;

	advance(rx, 1, slot != NULL);
	if (slot == NULL)
		return;
	bytes = slot->bytes;
	slot->bytes = NULL;
	rx->held--;
	deliver(arg, slot->seq, bytes, slot->len);
	free(bytes);
}

/* Delivers what is no longer waiting for anything. */
static void
drain(struct gre_rx *rx, gre_deliver_fn *deliver, void *arg)
{
	while (rx->held > 0 && next_held(rx) != NULL)
		step(rx, deliver, arg);
}

/* Gives up the oldest gap. Something is held, so there is one. */
static void
give_up(struct gre_rx *rx, gre_deliver_fn *deliver, void *arg)
{
	while (next_held(rx) == NULL)
		step(rx, deliver, arg);
	drain(rx, deliver, arg);
}

static int
alloc_slots(struct gre_rx *rx)
{
	unsigned count = 1;

	while (count < rx->window)
		count *= 2;
	rx->slots = calloc(count, sizeof(*rx->slots));
	if (rx->slots == NULL)
		return -1;
	rx->mask = (uint8_t)(count - 1);
	return 0;
}

/* Keeps a copy of a packet that came too early. -1 = no memory. */
static int
hold(struct gre_rx *rx, uint64_t now_us, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct gre_rx_slot *slot;
	uint8_t *copy;

	assert(len <= UINT16_MAX);
	if (rx->slots == NULL && alloc_slots(rx) < 0)
		return -1;
	slot = &rx->slots[seq & rx->mask];
	if (slot->bytes != NULL) {
		rx->stats.duplicate++;
		return 0;
	}
	copy = malloc(len > 0 ? len : 1);
	if (copy == NULL)
		return -1;
	if (len > 0)
		memcpy(copy, bytes, len);
	*slot = (struct gre_rx_slot){
	    .bytes = copy, .len = (uint16_t)len, .seq = seq, .since_us = now_us};
	if (rx->held > 0 && (int32_t)(seq - rx->top) < 0)
		rx->stats.reordered++;
	else
		rx->top = seq;
	rx->held++;
	return 0;
}

/* A number that is not ahead of the last one delivered. */
static void
count_old(struct gre_rx *rx, uint32_t seq)
{
	uint32_t age = rx->last - seq;

	if (age < 64 && (rx->seen >> age & 1))
		rx->stats.duplicate++;
	else
		rx->stats.late++;
}

/* True if a packet so far ahead must be dropped until another one bears it out. */
static bool
is_suspect(struct gre_rx *rx, uint32_t seq, int32_t ahead)
{
	uint32_t after = seq - rx->suspect;
	bool confirmed = rx->suspicious && after >= 1 && after <= GRE_RX_JUMP_MAX;

	rx->suspicious = ahead > GRE_RX_JUMP_MAX && !confirmed;
	rx->suspect = seq;
	rx->stats.suspect += rx->suspicious;
	return rx->suspicious;
}

/* Whatever is not the next number with nothing held. */
static void
input_slow(struct gre_rx *rx, uint64_t now_us, uint32_t seq, const uint8_t *bytes, size_t len,
    gre_deliver_fn *deliver, void *arg)
{
	int32_t ahead = (int32_t)(seq - rx->last);

	if (is_suspect(rx, seq, ahead))
		return;
	if (ahead <= 0) {
		count_old(rx, seq);
		return;
	}
	if (ahead > rx->window + 1)
		rx->stats.overflow++;
	while (rx->held > 0 && (int32_t)(seq - rx->last) > rx->window + 1)
		give_up(rx, deliver, arg);
	ahead = (int32_t)(seq - rx->last);
	if (ahead > 1 && ahead <= rx->window + 1 && hold(rx, now_us, seq, bytes, len) == 0)
		return;
	/* The next number, a jump from an empty window, or no memory to wait with. */
	while (rx->held > 0 && (int32_t)(seq - rx->last) > 1)
		step(rx, deliver, arg);
	ahead = (int32_t)(seq - rx->last);
	rx->stats.reordered += rx->held > 0 && (int32_t)(seq - rx->top) < 0;
	advance(rx, (uint32_t)ahead, true);
	deliver(arg, seq, bytes, len);
	drain(rx, deliver, arg);
}

void
gre_rx_input(struct gre_rx *rx, uint64_t now_us, uint32_t seq, const uint8_t *bytes, size_t len,
    gre_deliver_fn *deliver, void *arg)
{
	if (!rx->started) {
		rx->started = true;
		rx->last = seq - 1;
	}
	if (rx->resumed && seq - rx->last - 1 < GRE_RX_RESUME_MAX) {
		rx->resumed = false;
		rx->last = seq - 1;
	}
	if (likely(seq == rx->last + 1 && rx->held == 0)) {
		rx->suspicious = false;
		advance(rx, 1, true);
		deliver(arg, seq, bytes, len);
		return;
	}
	input_slow(rx, now_us, seq, bytes, len, deliver, arg);
	if (rx->held > 0)
		gre_rx_tick(rx, now_us, deliver, arg);
}

/* Us that a held packet may still wait. */
static uint64_t
patience(const struct gre_rx *rx, const struct gre_rx_slot *slot, uint64_t now_us)
{
	uint64_t waited = now_us > slot->since_us ? now_us - slot->since_us : 0;

	return waited < rx->timeout_us ? rx->timeout_us - waited : 0;
}

uint64_t
gre_rx_tick(struct gre_rx *rx, uint64_t now_us, gre_deliver_fn *deliver, void *arg)
{
	uint32_t through = rx->last; /* highest number that has waited long enough */
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; rx->held > 0 && i <= rx->mask; i++) {
		const struct gre_rx_slot *slot = &rx->slots[i];

		if (slot->bytes != NULL && patience(rx, slot, now_us) == 0 &&
		    (int32_t)(slot->seq - through) > 0)
			through = slot->seq;
	}
	while ((int32_t)(through - rx->last) > 0)
		step(rx, deliver, arg);
	drain(rx, deliver, arg);
	for (unsigned i = 0; rx->held > 0 && i <= rx->mask; i++) {
		const struct gre_rx_slot *slot = &rx->slots[i];

		if (slot->bytes != NULL && patience(rx, slot, now_us) < next)
			next = patience(rx, slot, now_us);
	}
	if (rx->held == 0)
		free_slots(rx);
	return next;
}

void
gre_rx_take(struct gre_rx *rx, gre_deliver_fn *take, void *arg)
{
	for (uint32_t seq = rx->last + 2; rx->held > 0; seq++) {
		struct gre_rx_slot *slot = &rx->slots[seq & rx->mask];
		uint8_t *bytes = slot->bytes;

		if (bytes == NULL || slot->seq != seq)
			continue;
		slot->bytes = NULL;
		rx->held--;
		take(arg, seq, bytes, slot->len);
		free(bytes);
	}
	free_slots(rx);
}

void
gre_ack_received(struct gre_ack *a, uint32_t seq)
{
	uint32_t received = atomic_load_explicit(&a->received, memory_order_relaxed);

	if (!atomic_load_explicit(&a->any, memory_order_relaxed)) {
		/* Unlike `received`, so that one is due; the sender looks at neither before `any`.
		 */
		atomic_store_explicit(&a->sent, seq - 1, memory_order_relaxed);
		atomic_store_explicit(&a->received, seq, memory_order_relaxed);
		atomic_store_explicit(&a->any, true, memory_order_release);
	} else if ((int32_t)(seq - received) > 0) {
		atomic_store_explicit(&a->received, seq, memory_order_relaxed);
	}
}

/* Adds an acknowledgement to a header if one is due. */
static bool
add_ack(struct gre_ack *a, struct gre_header *h)
{
	if (!atomic_load_explicit(&a->any, memory_order_acquire))
		return false;
	h->ack = atomic_load_explicit(&a->received, memory_order_relaxed);
	if (atomic_load_explicit(&a->sent, memory_order_relaxed) == h->ack) {
		h->ack = 0;
		return false;
	}
	atomic_store_explicit(&a->sent, h->ack, memory_order_relaxed);
	h->has_ack = true;
	return true;
}

struct gre_header
gre_tx_data(struct gre_tx *tx, struct gre_ack *a, uint16_t len)
{
	struct gre_header h = {
	    .call_id = tx->peer_call_id, .length = len, .has_seq = true, .seq = tx->next++};

	add_ack(a, &h);
	return h;
}

bool
gre_tx_ack(uint16_t peer_call_id, struct gre_ack *a, struct gre_header *h)
{
	*h = (struct gre_header){.call_id = peer_call_id};
	return add_ack(a, h);
}
