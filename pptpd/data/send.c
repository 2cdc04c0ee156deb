/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What leaves, in which order, with which number and key. Every number is taken in number() and
 * every key in seal(), after the gate permitted it: nothing is ever sent at or above a mark. What
 * may not leave waits as plaintext, in order, and is dropped when it has waited too long: neither
 * costs a number or a key.
 */
#include <assert.h>
#include <string.h>

#include "pptpd/data/internal.h"
#include "pptpd/ppp/ppp.h"

_Static_assert(HOLD_ROOM >= 2, "the inner protocol stands in the room");

#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keys that are stepped over at once: 60 ms of a worker. A gate that asks for more is shut. */
#define STEP_MAX 65536

#define FOLLOW_MAX 30000 /* numbers that are stepped over in all, at two keys each */

#define ACK_AGE 256 /* numbers before ours that are taken for acknowledged, if nothing is known */

static uint64_t
next_key(const struct tx_half *tx)
{
	uint64_t index = keygate_index(&tx->gate, tx->mppe.index);

	return index - tx->mppe.index <= STEP_MAX ? index : KEYGATE_SHUT;
}

/* Nothing but its number and its key decides whether it may leave. */
static bool
permitted(const struct tx_half *tx, bool keyed)
{
	return keygate_number(&tx->gate, tx->gre.next) && (!keyed || next_key(tx) != KEYGATE_SHUT);
}

static bool
may_leave(struct worker *w, struct dp_session *s, bool keyed)
{
	if (unlikely(catchup_wanted(&s->tx)) && !catchup_done(w, s))
		return false;
	return permitted(&s->tx, keyed);
}

static void
watch_low(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;

	if (tx->low_water == 0 || tx->low_told)
		return;
	if ((tx->armed ? keygate_packets(&tx->gate, tx->gre.next, tx->mppe.index)
		       : keygate_left(&tx->gate, tx->gre.next)) >= tx->low_water)
		return;
	tx->low_told = true;
	note_later(w, &tx->unsent, NOTE_LOW);
}

/* Gives the payload in the outbox its number and sends it with the batch. */
static void
number(struct worker *w, struct dp_session *s, size_t len)
{
	struct gre_header h;

	assert(keygate_number(&s->tx.gate, s->tx.gre.next));
	h = gre_tx_data(&s->tx.gre, &s->ack, (uint16_t)len);
	atomic_store_explicit(&s->tx.any, true, memory_order_relaxed);
	atomic_store_explicit(&s->tx.next, s->tx.gre.next, memory_order_relaxed);
	outbox_add(&w->outbox, s, &h, &s->tx.tally);
	watch_low(w, s);
}

/* A frame that may leave. */
static void
put_frame(
    struct worker *w, struct dp_session *s, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct wr out = wr_init(outbox_payload(&w->outbox), OUTBOX_PAYLOAD_MAX);

	wr_u16(&out, 0xff03);
	wr_u16(&out, protocol);
	wr_copy(&out, payload, len);
	if (wr_ok(&out))
		number(w, s, wr_len(&out));
}

/* An IP packet that may leave, with 2 writable bytes in front. */
static void
seal(struct worker *w, struct dp_session *s, uint8_t *packet, size_t len)
{
	struct tx_half *tx = &s->tx;
	struct wr out = wr_init(outbox_payload(&w->outbox), OUTBOX_PAYLOAD_MAX);
	struct wr inner = wr_init(packet - 2, 2);
	uint8_t *sealed;

	wr_u16(&inner, PPP_IP);
	if (!tx->link.acfc)
		wr_u16(&out, 0xff03);
	if (!tx->link.pfc)
		wr_u8(&out, PPP_COMP >> 8);
	wr_u8(&out, PPP_COMP & 0xff);
	sealed = wr_reserve(&out, MPPE_HEADER_LEN + 2 + len);
	if (sealed == NULL) {
		tally_drop(&tx->tally, DP_DROP_TOO_BIG);
		return;
	}
	mppe_step(&tx->mppe, keygate_index(&tx->gate, tx->mppe.index));
	mppe_encrypt(&tx->mppe, inner.start, 2 + len, sealed);
	tally_set(&tx->index, tx->mppe.index);
	number(w, s, wr_len(&out));
	tally_add(&w->encrypted, 1);
	tally_add(&tx->tally.packets, 1);
	tally_add(&tx->tally.octets, len);
	tally_set(&tx->tally.last_data_ms, w->now_us / 1000);
}

static void
hold(struct worker *w, struct dp_session *s, bool keyed, uint16_t protocol, const uint8_t *bytes,
    size_t len)
{
	struct tx_half *tx = &s->tx;

	if (hold_put(&tx->hold, &w->held_bytes, w->now_us, keyed, protocol, bytes, len) < 0) {
		tally_drop(&tx->tally, DP_DROP_MARK);
		return;
	}
	tally_add(&tx->tally.held, 1);
	if (!due_pending(&tx->held))
		due_set(&w->holds, &tx->held, tx->hold.first->since_us + HOLD_US);
}

/*
 * A session that was continued stands at its mark; but who served it in silence before it died, or
 * does so still, went on from there, and the client takes nothing that is behind it. Its
 * acknowledgement tells: it is of a number that we never sent. The other used a key of the other
 * class for each number at most, so twice the distance is not below what it used.
 */
static void
follow(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	uint64_t said = atomic_load_explicit(&s->said_ack, memory_order_relaxed);
	uint32_t next = (uint32_t)said + 1, ahead = next - tx->gre.next;

	if ((said & SAID_ACK) == 0)
		return;
	if ((int32_t)ahead <= 0) {
		if ((int32_t)(next - tx->begin_seq) > 0) /* it is with us */
			tx->follows = false;
		return;
	}
	if (ahead > tx->follow_left || next < tx->gre.next) {
		tx->follows = false;
		return;
	}
	tx->follow_left -= ahead;
	send_skip(s, next, tx->begin_index + 2ull * (next - tx->begin_seq) + 2);
	watch_low(w, s);
}

void
send_packet(struct worker *w, struct dp_session *s, uint8_t *packet, size_t len)
{
	if (unlikely(s->tx.follows))
		follow(w, s);
	if (unlikely(outbox_frozen(&w->outbox)))
		tally_drop(&s->tx.tally, DP_DROP_FROZEN);
	else if (unlikely(stall_check(w, s)))
		tally_drop(&s->tx.tally, DP_DROP_STALL);
	else if (unlikely(s->tx.hold.count > 0) || !may_leave(w, s, true))
		hold(w, s, true, PPP_IP, packet, len);
	else
		seal(w, s, packet, len);
}

void
send_frame(
    struct worker *w, struct dp_session *s, uint16_t protocol, const uint8_t *payload, size_t len)
{
	if (unlikely(s->tx.follows))
		follow(w, s);
	if (relay_silent(w))
		tally_drop(&s->tx.tally, DP_DROP_RELAY);
	else if (outbox_frozen(&w->outbox))
		tally_drop(&s->tx.tally, DP_DROP_FROZEN);
	else if (s->tx.hold.count > 0 || !may_leave(w, s, false))
		hold(w, s, false, protocol, payload, len);
	else
		put_frame(w, s, protocol, payload, len);
}

/* The deadline is the first packet's. */
static void
set_held_due(struct worker *w, struct tx_half *tx)
{
	due_cancel(&tx->held);
	if (tx->hold.count > 0)
		due_set(&w->holds, &tx->held, tx->hold.first->since_us + HOLD_US);
}

void
send_held(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	struct held *p;

	if (relay_silent(w))
		return;
	while ((p = tx->hold.first) != NULL && !outbox_frozen(&w->outbox) &&
	       may_leave(w, s, p->keyed)) {
		if (p->keyed)
			seal(w, s, p->bytes + HOLD_ROOM, p->len);
		else
			put_frame(w, s, p->protocol, p->bytes + HOLD_ROOM, p->len);
		hold_pop(&tx->hold, &w->held_bytes);
	}
	set_held_due(w, tx);
}

void
send_held_due(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;

	while (tx->hold.first != NULL && tx->hold.first->since_us + HOLD_US <= w->now_us) {
		hold_pop(&tx->hold, &w->held_bytes);
		tally_drop(&tx->tally, DP_DROP_MARK);
	}
	/* What stood behind a packet that could not leave may be able to. */
	send_held(w, s);
}

void
send_set_gate(struct worker *w, struct dp_session *s, const struct keygate *g, uint32_t low_water)
{
	s->tx.gate = *g;
	s->tx.low_water = low_water;
	s->tx.low_told = false;
	send_held(w, s);
	watch_low(w, s);
}

void
send_limit(struct worker *w, struct dp_session *s, uint32_t ahead, uint32_t low_water)
{
	struct tx_half *tx = &s->tx;
	uint64_t index = next_key(tx);

	if (tx->armed && index != KEYGATE_SHUT)
		mppe_step(&tx->mppe, index);
	tally_set(&tx->index, tx->mppe.index);
	tx->gate = keygate_limit(&tx->gate, tx->gre.next, tx->mppe.index, ahead);
	tx->low_water = low_water;
	tx->low_told = false;
	watch_low(w, s);
}

void
send_keys(struct worker *w, struct dp_session *s, const uint8_t key[static 16])
{
	mppe_init(&s->tx.mppe, key);
	s->tx.armed = true;
	tally_set(&s->tx.index, s->tx.mppe.index);
	send_held(w, s);
}

void
send_link_down(struct worker *w, struct dp_session *s)
{
	unsigned dropped = hold_drop_keyed(&s->tx.hold, &w->held_bytes);

	tally_add(&s->tx.tally.drops[DP_DROP_NOT_UP], dropped);
	send_held(w, s);
}

void
send_disarm(struct worker *w, struct dp_session *s)
{
	s->tx.armed = false;
	mppe_fini(&s->tx.mppe);
	tally_set(&s->tx.index, 0);
	send_link_down(w, s);
}

void
send_seek(struct dp_session *s, uint32_t seq)
{
	s->tx.gre.next = seq;
	atomic_store_explicit(&s->tx.next, seq, memory_order_relaxed);
}

void
send_skip(struct dp_session *s, uint32_t seq, uint64_t index)
{
	struct tx_half *tx = &s->tx;

	if ((int32_t)(seq - tx->gre.next) > 0) {
		send_seek(s, seq);
		tx->fill_left = 0;
		/* The client has those of the other: what it acknowledged of ours is long ago. */
		tx->ack_seen = seq - ACK_AGE - 1;
	}
	if (tx->armed && index > tx->mppe.index)
		mppe_step(&tx->mppe, index);
	tally_set(&tx->index, tx->mppe.index);
}

void
send_import(struct dp_session *s, const struct dp_state *state, uint32_t fill_from)
{
	struct tx_half *tx = &s->tx;

	tx->gre.next = state->tx_seq;
	tx->armed = state->armed;
	tx->mppe = state->tx;
	tx->gate = state->gate;
	tx->follows = state->armed;
	tx->follow_left = FOLLOW_MAX;
	tx->begin_seq = state->tx_seq;
	tx->begin_index = state->tx.index;
	/* What the copy says of acknowledgements may be seconds old. */
	tx->ack_seen = state->tx_seq - ACK_AGE - 1;
	if (state->tx_any_ack && (int32_t)(state->tx_acked - tx->ack_seen) > 0)
		tx->ack_seen = state->tx_acked;
	catchup_import(s, state, fill_from);
	atomic_store_explicit(&s->peer_acked, state->tx_acked, memory_order_relaxed);
	atomic_store_explicit(&s->any_acked, state->tx_any_ack, memory_order_relaxed);
	atomic_store_explicit(
	    &tx->any, state->tx_seq != 0 || state->tx_any_ack, memory_order_relaxed);
	atomic_store_explicit(&tx->next, state->tx_seq, memory_order_relaxed);
	tally_set(&tx->index, tx->mppe.index);
	tally_set(&tx->tally.packets, state->tx_packets);
	tally_set(&tx->tally.octets, state->tx_octets);
}

void
send_state(const struct dp_session *s, struct dp_state *state)
{
	const struct tx_half *tx = &s->tx;

	state->tx_seq = tx->gre.next;
	state->tx_acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);
	state->tx_any_ack = atomic_load_explicit(&s->any_acked, memory_order_relaxed);
	state->armed = tx->armed;
	state->tx = tx->mppe;
	state->gate = tx->gate;
	state->tx_packets = atomic_load_explicit(&tx->tally.packets, memory_order_relaxed);
	state->tx_octets = atomic_load_explicit(&tx->tally.octets, memory_order_relaxed);
}

void
send_detach(struct worker *w, struct dp_session *s)
{
	hold_fini(&s->tx.hold, &w->held_bytes);
	due_cancel(&s->tx.held);
	due_cancel(&s->tx.step);
}

/* Code, identifier, length, magic number, and a word of nothing (RFC 1661 §5.8, §5.9). */
static size_t
write_lcp(struct dp_session *s, uint8_t code, struct wr *out)
{
	wr_u16(out, 0xff03);
	wr_u16(out, PPP_LCP);
	wr_u8(out, code);
	wr_u8(out, (uint8_t)(LCP_OWN_IDS | (s->tx.lcp_id++ & ~LCP_OWN_IDS)));
	wr_u16(out, 12);
	wr_u32(out, s->tx.up ? s->tx.link.magic : 0);
	wr_u32(out, 0);
	return wr_len(out);
}

bool
send_lcp(struct worker *w, struct dp_session *s, uint8_t code)
{
	struct wr out;

	if (!permitted(&s->tx, false) || outbox_frozen(&w->outbox))
		return false;
	out = wr_init(outbox_payload(&w->outbox), OUTBOX_PAYLOAD_MAX);
	if (code == LCP_ECHO_REQUEST)
		atomic_store_explicit(&s->tx.echo_seq, s->tx.gre.next, memory_order_relaxed);
	number(w, s, write_lcp(s, code, &out));
	return true;
}

void
send_lcp_at(struct worker *w, struct dp_session *s, uint8_t code, uint32_t seq)
{
	struct wr out = wr_init(outbox_payload(&w->outbox), OUTBOX_PAYLOAD_MAX);
	struct gre_header h = {.call_id = s->peer_call_id,
	    .length = (uint16_t)write_lcp(s, code, &out),
	    .has_seq = true,
	    .seq = seq};

	outbox_add(&w->outbox, s, &h, &s->tx.tally);
}
