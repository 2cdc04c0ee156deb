/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session that was handed over gets its packets two ways for a while: relayed by the gateway that
 * gave it and, once the address has moved, directly. What is relayed is older, and may come later.
 * So where the first direct packet leaves a gap, it and those behind it are parked until the gap is
 * closed, or nothing is relayed any more, or it has taken too long.
 */
#include "pptpd/data/internal.h"

#define HANDED_US 3000000 /* since it was handed over: then nothing can be on its way */
#define QUIET_US  150000  /* without any relayed packet */
#define LONG_US   500000
#define LOOK_US   10000

void
park_attach(struct worker *w, struct dp_session *s)
{
	s->rx.handed_until_us = w->now_us + HANDED_US;
}

static bool
gap_closed(const struct rx_half *rx)
{
	return (int32_t)(rx->direct_seq - rx->gre.last) <= 1;
}

/* On with them, as they came. */
static void
release(struct worker *w, struct dp_session *s)
{
	struct hold out = s->rx.parked;

	s->rx.handed = false;
	s->rx.parked = (struct hold){0};
	due_cancel(&s->rx.park);
	for (; out.first != NULL; hold_pop(&out, &w->held_bytes))
		rx_input(w, out.first->bytes + HOLD_ROOM, out.first->len);
}

bool
park_packet(struct worker *w, struct dp_session *s, uint32_t seq, const uint8_t *packet, size_t len)
{
	struct rx_half *rx = &s->rx;

	if (rx->parked.count == 0) {
		rx->direct_seq = seq;
		rx->handed = w->now_us < rx->handed_until_us && !gap_closed(rx);
		if (!rx->handed)
			return false;
	}
	if (hold_put(&rx->parked, &w->held_bytes, w->now_us, false, 0, packet, len) < 0) {
		release(w, s);
		return false;
	}
	if (!due_pending(&rx->park))
		due_set(&w->parks, &rx->park, w->now_us + LOOK_US);
	return true;
}

void
park_look(struct worker *w, struct dp_session *s)
{
	if (gap_closed(&s->rx))
		release(w, s);
}

void
park_due(struct worker *w, struct dp_session *s)
{
	const struct held *first = s->rx.parked.first;
	uint64_t since_us = first->since_us;

	if (w->injected_us > since_us)
		since_us = w->injected_us;
	if (gap_closed(&s->rx) || w->now_us - since_us >= QUIET_US ||
	    w->now_us - first->since_us >= LONG_US)
		release(w, s);
	else
		due_set(&w->parks, &s->rx.park, w->now_us + LOOK_US);
}

void
park_detach(struct worker *w, struct dp_session *s)
{
	due_cancel(&s->rx.park);
	hold_fini(&s->rx.parked, &w->held_bytes);
}
