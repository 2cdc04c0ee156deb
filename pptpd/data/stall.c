/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client that acknowledges no more. Every key that it never sees brings it nearer to the point
 * from where it can follow no longer, while its tunnel seems to be up: 2,047 keys for most. So once
 * much is unacknowledged it is asked for an acknowledgement by an LCP Echo-Request, which uses no
 * key, and when none comes plaintext is dropped until one does. However fast the session is, what
 * is unacknowledged stays below what a client can lose. A peer that never acknowledged anything is
 * left alone: some never do.
 */
#include "pptpd/data/internal.h"

/* Keys that are not acknowledged. */
#define ASK_AT   256  /* after 100 ms: who sends nothing need not acknowledge until asked */
#define HURRY_AT 1024 /* at once, and often */
#define STALL_AT 512  /* with an unanswered question */
#define END_AT   1900 /* no more, whatever the time; a takeover may add some to them */

#define ASK_US    100000
#define HURRY_US  20000
#define SILENT_US 250000

/* Keys that the numbers after `acked` took at most. */
static uint32_t
unacked_keys(const struct tx_half *tx, uint32_t acked)
{
	uint32_t numbers = tx->gre.next - 1 - acked;
	uint8_t classes = tx->gate.high != KEYS_NONE ? tx->gate.high : tx->gate.low;

	return classes == KEYS_ALL ? numbers : numbers * 2;
}

/* Asks if it is time to, and judges by how long a question is unanswered. */
static void
ask(struct worker *w, struct dp_session *s, uint32_t unacked)
{
	struct tx_half *tx = &s->tx;
	uint64_t every_us = unacked > HURRY_AT && !tx->stalled ? HURRY_US : SILENT_US;

	if (tx->asked_us != 0 && !tx->stalled && unacked > STALL_AT &&
	    w->now_us - tx->asked_us >= SILENT_US) {
		tx->stalled = true;
		tally_add(&tx->tally.stalls, 1);
	}
	if (tx->asked_us == 0)
		tx->asked_us = w->now_us;
	else if (w->now_us - tx->echo_us < every_us)
		return;
	tx->echo_us = w->now_us;
	(void)send_lcp(w, s, LCP_ECHO_REQUEST);
}

/* It has acknowledged something new, or little is unacknowledged. */
static void
progress(struct worker *w, struct tx_half *tx, uint32_t acked)
{
	tx->ack_seen = acked;
	tx->progress_us = w->now_us;
	tx->asked_us = 0;
	tx->stalled = false;
}

bool
stall_check(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	uint32_t acked, unacked;
	bool moved;

	if (!atomic_load_explicit(&s->any_acked, memory_order_relaxed))
		return false;
	acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);
	moved = (int32_t)(acked - tx->ack_seen) > 0;
	if (!moved)
		acked = tx->ack_seen;
	unacked = unacked_keys(tx, acked);
	if (moved || unacked <= ASK_AT) {
		progress(w, tx, acked);
		return unacked > END_AT;
	}
	if ((w->now_us - tx->progress_us >= ASK_US || unacked > HURRY_AT) && !catchup_wanted(tx))
		ask(w, s, unacked);
	return tx->stalled || unacked > END_AT;
}
