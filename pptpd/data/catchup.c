/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a client must have before anything else is sent.
 *
 * The wrap: some clients compare numbers unsigned, and are deaf for ever if 0xFFFFFFFF is lost or
 * jumped over. So that number is always an LCP Echo-Request, repeated until it is acknowledged. It
 * uses no key, and a repetition harms nobody.
 *
 * The fill: a client that waits for missing numbers gets them, as Discard-Requests, in batches.
 *
 * Both begin when there is something to send, and whatever that is waits for them.
 */
#include "pptpd/data/internal.h"

#define WRAP_LOOK_US  10000 /* how often to look for the acknowledgement */
#define WRAP_AGAIN_US 50000
#define WRAP_TRIES    10 /* at a peer that never acknowledges anything */

#define FILL_MAX     512
#define FILL_BATCH   64
#define FILL_WAIT_US 1000

/* The numbers from acked or fill_from to next - 1 contain 0xFFFFFFFF. */
static bool
crosses_wrap(const struct dp_state *state, uint32_t fill_from)
{
	if (state->tx_any_ack && (int32_t)(state->tx_seq - state->tx_acked) > 0)
		return state->tx_acked != UINT32_MAX && state->tx_acked >= state->tx_seq;
	return fill_from > state->tx_seq;
}

/* After 0xFFFFFFFF nothing but a number below 256 is new to such a client: 0 comes in any case. */
void
catchup_import(struct dp_session *s, const struct dp_state *state, uint32_t fill_from)
{
	struct tx_half *tx = &s->tx;
	uint32_t gap = state->tx_seq - fill_from;

	if (crosses_wrap(state, fill_from)) {
		tx->wrap = WRAP_WANTED;
		gap = gap == 0 && state->tx_seq > 0 ? 1 : state->tx_seq;
	}
	tx->fill_left = gap < FILL_MAX ? gap : FILL_MAX;
	tx->fill_next = tx->wrap == WRAP_WANTED ? 0 : state->tx_seq - tx->fill_left;
}

static void
look_again(struct worker *w, struct tx_half *tx, uint32_t in_us)
{
	if (!due_pending(&tx->step))
		due_set(&w->steps, &tx->step, w->now_us + in_us);
}

static void
send_wrap(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;

	tx->wrap = WRAP_WAITING;
	tx->wrap_us = w->now_us + WRAP_AGAIN_US;
	tx->wrap_tries += tx->wrap_tries < UINT8_MAX;
	if (tx->gre.next == UINT32_MAX)
		(void)send_lcp(w, s, LCP_ECHO_REQUEST);
	else
		send_lcp_at(w, s, LCP_ECHO_REQUEST, UINT32_MAX);
}

/* True: 0xFFFFFFFF is behind the client, as far as can be known. */
static bool
wrap_done(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	bool any = atomic_load_explicit(&s->any_acked, memory_order_relaxed);
	uint32_t acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);

	if (tx->wrap == WRAP_WAITING &&
	    ((any && (int32_t)(acked - UINT32_MAX) >= 0) ||
		(!any && tx->wrap_tries >= WRAP_TRIES && w->now_us >= tx->wrap_us))) {
		tx->wrap = WRAP_NONE;
		tx->wrap_tries = 0;
		return true;
	}
	if (tx->wrap == WRAP_WANTED || w->now_us >= tx->wrap_us)
		send_wrap(w, s);
	look_again(w, tx, WRAP_LOOK_US);
	return false;
}

/* True: every missing number is out. */
static bool
fill_done(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;

	if (due_pending(&tx->step))
		return false;
	for (unsigned i = 0; i < FILL_BATCH && tx->fill_left > 0; i++, tx->fill_left--) {
		send_lcp_at(w, s, LCP_DISCARD_REQUEST, tx->fill_next++);
		tally_add(&tx->tally.filled, 1);
	}
	if (tx->fill_left == 0)
		return true;
	look_again(w, tx, FILL_WAIT_US);
	return false;
}

bool
catchup_done(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;

	if (tx->wrap == WRAP_NONE && tx->gre.next == UINT32_MAX) {
		if (!keygate_number(&tx->gate, UINT32_MAX))
			return false;
		tx->wrap = WRAP_WANTED;
	}
	if (tx->wrap != WRAP_NONE && !wrap_done(w, s))
		return false;
	return tx->fill_left == 0 || fill_done(w, s);
}

void
catchup_due(struct worker *w, struct dp_session *s)
{
	if (outbox_frozen(&w->outbox) || !catchup_wanted(&s->tx))
		return;
	if (catchup_done(w, s))
		send_held(w, s);
}
