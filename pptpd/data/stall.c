/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client that acknowledges no more. Every key that it never sees brings it nearer to the point
 * from where it can follow no longer, while its tunnel seems to be up. So once much is
 * unacknowledged it is asked for an acknowledgement by an LCP Echo-Request, which uses no key, and
 * when none comes plaintext is dropped until one does. A peer that never acknowledged anything is
 * left alone: some never do.
 */
#include "pptpd/data/internal.h"

#define UNACKED_MAX 512 /* keys; a client of ours follows 1,000 at least */
#define UNACKED_ASK 256 /* a peer that sends nothing itself need not acknowledge until asked */
#define ASK_US      100000
#define SILENT_US   250000

/* Keys that the numbers after `acked` took at most. */
static uint32_t
unacked_keys(const struct tx_half *tx, uint32_t acked)
{
	uint32_t numbers = tx->gre.next - 1 - acked;
	uint8_t classes = tx->gate.high != KEYS_NONE ? tx->gate.high : tx->gate.low;

	return classes == KEYS_ALL ? numbers : numbers * 2;
}

/* Nothing moved for too long: asks, and judges by what became of the last question. */
static void
ask(struct worker *w, struct dp_session *s, uint32_t unacked)
{
	struct tx_half *tx = &s->tx;

	if (tx->echo_us != 0 && w->now_us - tx->echo_us < SILENT_US)
		return;
	if (tx->echo_us != 0 && unacked > UNACKED_MAX && !tx->stalled) {
		tx->stalled = true;
		tally_add(&tx->tally.stalls, 1);
	}
	tx->echo_us = w->now_us;
	(void)send_lcp(w, s, LCP_ECHO_REQUEST);
}

/* It has acknowledged something new, or little is unacknowledged. */
static void
progress(struct worker *w, struct tx_half *tx, uint32_t acked, uint32_t unacked)
{
	tx->ack_seen = acked;
	tx->progress_us = w->now_us;
	tx->echo_us = 0;
	if (tx->stalled)
		walk_start(tx);
	else
		walk_progress(tx, tx->mppe.index > unacked ? tx->mppe.index - unacked : 0);
	tx->stalled = false;
}

bool
stall_check(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	uint32_t acked, unacked;

	if (!atomic_load_explicit(&s->any_acked, memory_order_relaxed)) {
		tx->walk_from = tx->mppe.index;
		return false;
	}
	acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);
	unacked = unacked_keys(tx, acked);
	if (acked != tx->ack_seen || unacked <= UNACKED_ASK) {
		progress(w, tx, acked, unacked);
		return false;
	}
	if (w->now_us - tx->progress_us >= ASK_US && !catchup_wanted(tx))
		ask(w, s, unacked);
	return tx->stalled;
}
