/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a worker to the main thread. A frame may be lost when the ring is full or its session has
 * had its share. What must not be lost stays a bit in its half until there is room, and is written
 * then from what the half says; so the main thread can be as far behind as it likes.
 *
 * Invariant: when a release note is in the ring, its half is in no list here any more.
 */
#include <string.h>

#include "pptpd/data/internal.h"

#define NOTES_RESERVED (64 * 1024) /* of the notes' ring, for what must not be lost */

/* Room for a note, or NULL. What may be lost leaves the last part of the ring alone. */
static struct note *
reserve_note(struct worker *w, struct dp_session *s, enum note_kind kind, size_t len)
{
	struct note *n;

	if (kind < NOTE_LOW && ring_room(&w->notes) < NOTES_RESERVED)
		return NULL;
	n = ring_reserve(&w->notes, sizeof(*n) + len);
	if (n != NULL)
		*n = (struct note){.kind = (uint8_t)kind, .len = (uint16_t)len, .session = s};
	return n;
}

bool
worker_note(struct worker *w, struct dp_session *s, enum note_kind kind, uint16_t protocol,
    const uint8_t *payload, size_t len, bool was_encrypted)
{
	uint32_t sent = atomic_load_explicit(&s->notes_sent, memory_order_relaxed);
	uint32_t waiting = sent - atomic_load_explicit(&s->notes_read, memory_order_relaxed);
	struct note *n = NULL;

	if (len > DP_FRAME_MAX) {
		tally_drop(&s->rx.tally, DP_DROP_PPP);
		return false;
	}
	if (waiting < (kind == NOTE_FRAME ? NOTES_FRAMES : NOTES_UNKNOWN))
		n = reserve_note(w, s, kind, len);
	if (n == NULL) {
		tally_drop(&s->rx.tally, DP_DROP_RING);
		return false;
	}
	n->protocol = protocol;
	n->was_encrypted = was_encrypted;
	memcpy(n->payload, payload, len);
	atomic_store_explicit(&s->notes_sent, sent + 1, memory_order_relaxed);
	ring_commit(&w->notes);
	return true;
}

bool
note_packet(struct worker *w, enum note_kind kind, const uint8_t *packet, size_t len)
{
	struct note *n = reserve_note(w, NULL, kind, len);

	if (n == NULL)
		return false;
	if (len > 0)
		memcpy(n->payload, packet, len);
	n->round = w->relay_round;
	ring_commit(&w->notes);
	return true;
}

/* One more: before the end of the ring's memory as much as a note may be left unused. */
bool
note_room(const struct worker *w, unsigned packets)
{
	return ring_room(&w->notes) >=
	       NOTES_RESERVED + (packets + 1) * (sizeof(struct note) + DP_PACKET_MAX + 16);
}

static void
write_low(const struct dp_session *s, uint8_t *out)
{
	const struct note_low low = {.next_seq = s->tx.gre.next, .next_index = s->tx.mppe.index};

	memcpy(out, &low, sizeof(low));
}

/* One half of the state; the main thread puts them together. */
static void
write_state(const struct dp_session *s, enum half half, uint8_t *out)
{
	struct dp_state state = {0};

	if (half == HALF_RX)
		rx_state(s, &state);
	else
		send_state(s, &state);
	memcpy(out, &state, sizeof(state));
	explicit_bzero(&state, sizeof(state));
}

static bool
put_note(struct worker *w, const struct unsent *u, enum note_kind kind)
{
	size_t len = 0;
	struct note *n;

	if (kind == NOTE_LOW)
		len = sizeof(struct note_low);
	else if (kind == NOTE_EXPORTED)
		len = sizeof(struct dp_state);
	n = reserve_note(w, u->session, kind, len);
	if (n == NULL)
		return false;
	n->half = u->half;
	n->round = u->round;
	if (kind == NOTE_LOW)
		write_low(u->session, n->payload);
	else if (kind == NOTE_EXPORTED)
		write_state(u->session, (enum half)u->half, n->payload);
	ring_commit(&w->notes);
	return true;
}

/* All notes of one half. False: no room for the rest. */
static bool
put_notes(struct worker *w, struct unsent *u)
{
	for (unsigned kind = NOTE_LOW; kind <= NOTE_RELEASED; kind++) {
		if ((u->notes & 1u << kind) == 0)
			continue;
		if (kind == NOTE_RELEASED) {
			/* The half may be gone once this note is visible. */
			struct unsent last = *u;

			w->unsent_head = last.next;
			if (w->unsent_head == NULL)
				w->unsent_tail = &w->unsent_head;
			if (put_note(w, &last, NOTE_RELEASED))
				return true;
			if (w->unsent_head == NULL)
				w->unsent_tail = &u->next;
			w->unsent_head = u;
			return false;
		}
		if (!put_note(w, u, (enum note_kind)kind))
			return false;
		u->notes &= (uint8_t) ~(1u << kind);
	}
	w->unsent_head = u->next;
	if (w->unsent_head == NULL)
		w->unsent_tail = &w->unsent_head;
	u->queued = false;
	return true;
}

void
note_retry(struct worker *w)
{
	while (w->unsent_head != NULL && put_notes(w, w->unsent_head))
		continue;
}

void
note_later(struct worker *w, struct unsent *u, enum note_kind kind)
{
	if (kind == NOTE_RELEASED)
		u->notes = 0; /* nobody wants to hear the others any more */
	u->notes |= (uint8_t)(1u << kind);
	if (!u->queued) {
		u->queued = true;
		u->next = NULL;
		*w->unsent_tail = u;
		w->unsent_tail = &u->next;
	}
	note_retry(w);
}
