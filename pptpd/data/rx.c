/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The receive half: GRE packet -> session -> order -> PPP -> MPPE -> TUN, or -> main thread. A
 * packet that is in order stays in the receive buffer until it is decrypted; nothing is allocated
 * for it.
 *
 * Invariants: what reaches the TUN was encrypted, is a sound IPv4 packet, and bears the session's
 * inner source. A key index is committed only for a packet in order or one that proves itself, so a
 * forged coherency count moves nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pptpd/data/internal.h"
#include "pptpd/data/ipmtu.h"
#include "pptpd/ppp/ppp.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keys that a session may skip: at once, and what it earns by time and by packet. */
#define SKIPS_MAX        (4 * MPPE_SKIP_MAX)
#define SKIPS_EVERY_US   64
#define SKIPS_PER_PACKET 4
#define SKIPS_IMPORT     (1u << 17) /* once, for a copy that is some seconds old */
#define SEEK_MAX         16384      /* keys for one packet: 16 ms */

#define COUNTS              4096 /* coherency counts */
#define ROUNDS_TRIED        3    /* fewer of them than the numbers say */
#define KEYS_WITHOUT_NUMBER 256  /* that the client may have used for packets it never numbered */

struct rx_batch {
	struct mmsghdr messages[DP_BATCH];
	struct iovec vectors[DP_BATCH];
	uint8_t bytes[DP_BATCH][DP_PACKET_MAX];
};

/* What gre_rx_input() passes through. */
struct delivery {
	struct worker *w;
	struct dp_session *s;
};

struct rx_batch *
rx_batch_new(void)
{
	struct rx_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	for (unsigned i = 0; i < DP_BATCH; i++) {
		b->vectors[i] = (struct iovec){.iov_base = b->bytes[i], .iov_len = DP_PACKET_MAX};
		b->messages[i].msg_hdr.msg_iov = &b->vectors[i];
		b->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

void
rx_batch_free(struct rx_batch *b)
{
	free(b);
}

/* A decrypted packet that may go on. */
static void
to_tun(struct worker *w, struct rx_half *rx, uint8_t *packet, const struct ip4 *ip)
{
	if (rx->mtu != 0 && ipmtu_clamp_mss(packet, ip, rx->mtu))
		tally_add(&rx->tally.mss_clamped, 1);
	if (tun_write(w->tun_fd, packet, ip->total) < 0) {
		tally_drop(&rx->tally, DP_DROP_TUN_WRITE);
		return;
	}
	tally_add(&w->decrypted, 1);
	tally_add(&rx->tally.packets, 1);
	tally_add(&rx->tally.octets, ip->total);
	tally_set(&rx->tally.last_data_ms, w->now_us / 1000);
}

/* The protocol field of a decrypted frame, 1 or 2 bytes (RFC 1661 §6.5). False: there is none. */
static bool
read_protocol(struct rd *r, uint16_t *protocol)
{
	*protocol = rd_u8(r);
	if ((*protocol & 1) == 0)
		*protocol = (uint16_t)(*protocol << 8 | rd_u8(r));
	return rd_ok(r) && (*protocol & 1) != 0;
}

/*
 * A decrypted frame is what it should be, else why not. MPPE has no integrity of its own: this, and
 * the order of the packets, are all the proof there is.
 */
static enum dp_drop
judge(const struct rx_half *rx, bool has_protocol, uint16_t protocol, const struct rd *r,
    struct ip4 *ip)
{
	if (!has_protocol || protocol != PPP_IP || ipmtu_parse(r->p, rd_left(r), ip) < 0)
		return DP_DROP_INSANE;
	if (rx->source == 0)
		return DP_DROP_NOT_UP;
	return ip->src == rx->source ? DP_DROP_MAX : DP_DROP_SOURCE;
}

/*
 * Stepping over 2,047 keys takes a millisecond, and the count that asks for it is not proven before
 * that: 1,000 small packets a second would keep a worker busy. So a session has a budget: a
 * hundredth of a worker, into which every loss fits that a link survives.
 */
static void
earn_skips(const struct worker *w, struct rx_half *rx)
{
	uint64_t earned = (w->now_us - rx->skips_us) / SKIPS_EVERY_US;

	rx->skips_us += earned * SKIPS_EVERY_US;
	earned += rx->skips + SKIPS_PER_PACKET;
	if (rx->skips < SKIPS_MAX)
		rx->skips = earned < SKIPS_MAX ? (uint32_t)earned : SKIPS_MAX;
}

/*
 * Keys from ours to the packet's. Its count tells that modulo 4096; the numbers since the last
 * packet that we opened, less those that we know to have taken no key, tell the rest. If that came
 * to nothing, many of the numbers that we missed took no key either: then fewer rounds are tried.
 * UINT64_MAX: the packet is late, or its count cannot be right.
 */
static uint64_t
keys_ahead(const struct rx_half *rx, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len);
	uint32_t count = (uint32_t)(rd_u16(&r) - rx->mppe.index) & (COUNTS - 1);
	uint32_t most = rx->based ? seq - rx->base_seq - 1 + KEYS_WITHOUT_NUMBER : 0;
	uint32_t rounds;

	if (most < count)
		return count <= MPPE_SKIP_MAX ? count : UINT64_MAX;
	rounds = (most - count) / COUNTS;
	rounds -= rx->doubts % ((rounds < ROUNDS_TRIED ? rounds : ROUNDS_TRIED) + 1);
	return count + (uint64_t)rounds * COUNTS;
}

/*
 * The key is further away than MPPE by itself looks: a copy of ours goes there, over several
 * packets if it is very far, so that no single one costs more than the budget. The copy that
 * decrypts, or NULL: not there yet.
 */
static const struct mppe *
seek(struct rx_half *rx, uint64_t target)
{
	uint32_t keys;

	if (rx->far.index <= rx->mppe.index || rx->far.index > target)
		rx->far = rx->mppe;
	keys = rx->skips < SEEK_MAX ? rx->skips : SEEK_MAX;
	if (target - rx->far.index < keys)
		keys = (uint32_t)(target - rx->far.index);
	rx->skips -= keys;
	mppe_step(&rx->far, rx->far.index + keys);
	return rx->far.index == target ? &rx->far : NULL;
}

/* The state that opens this packet, within the budget; NULL = none. */
static const struct mppe *
find_key(const struct worker *w, struct rx_half *rx, uint32_t seq, const uint8_t *bytes, size_t len)
{
	uint64_t ahead;

	if (!rx->armed)
		return NULL;
	earn_skips(w, rx);
	ahead = keys_ahead(rx, seq, bytes, len);
	if (ahead == UINT64_MAX)
		return NULL;
	if (ahead > MPPE_SKIP_MAX)
		return seek(rx, rx->mppe.index + ahead);
	if (ahead > rx->skips)
		return NULL;
	rx->skips -= (uint32_t)ahead;
	return &rx->mppe;
}

static void
commit(struct rx_half *rx, uint32_t seq, struct mppe *next)
{
	mppe_commit(&rx->mppe, next);
	rx->based = true;
	rx->base_seq = seq;
	rx->doubts = 0;
	if (rx->far.index != 0)
		mppe_fini(&rx->far);
	tally_set(&rx->index, rx->mppe.index);
}

static void
decrypt(struct worker *w, struct dp_session *s, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct rx_half *rx = &s->rx;
	uint8_t *plain = w->tun_buf + TUN_ROOM;
	const struct mppe *key = find_key(w, rx, seq, bytes, len);
	uint16_t protocol;
	uint32_t skipped;
	struct mppe next;
	struct ip4 ip;
	enum dp_drop why;
	struct rd r;
	bool has_protocol, in_order;

	if (key == NULL) {
		tally_drop(&rx->tally, DP_DROP_MPPE);
		return;
	}
	if (mppe_decrypt(key, bytes, len, plain, &next, &skipped) != MPPE_OK) {
		mppe_fini(&next);
		tally_drop(&rx->tally, DP_DROP_MPPE);
		return;
	}
	r = rd_init(plain, len - MPPE_HEADER_LEN);
	has_protocol = read_protocol(&r, &protocol);
	why = judge(rx, has_protocol, protocol, &r, &ip);
	in_order = skipped == 0 && key == &rx->mppe;
	if (in_order || why == DP_DROP_MAX)
		commit(rx, seq, &next);
	else
		mppe_fini(&next);
	rx->doubts += why == DP_DROP_INSANE;
	if (why == DP_DROP_MAX)
		to_tun(w, rx, plain + (r.p - plain), &ip);
	else if (why == DP_DROP_INSANE && in_order && has_protocol && protocol != PPP_IP &&
		 protocol < 0x8000)
		(void)worker_note(w, s, NOTE_UNKNOWN, protocol, r.p, rd_left(&r), true);
	else
		tally_drop(&rx->tally, why);
}

/* Never more than was sent, and never back: the peer cannot make numbers up. */
static void
take_ack(struct dp_session *s, uint32_t ack)
{
	uint32_t next = atomic_load_explicit(&s->tx.next, memory_order_relaxed);
	uint32_t acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);
	bool any = atomic_load_explicit(&s->any_acked, memory_order_relaxed);

	if (!atomic_load_explicit(&s->tx.any, memory_order_relaxed))
		return;
	if ((int32_t)(ack - next) >= 0)
		ack = next - 1;
	if (any && (int32_t)(ack - acked) <= 0)
		return;
	atomic_store_explicit(&s->peer_acked, ack, memory_order_relaxed);
	if (!any)
		atomic_store_explicit(&s->any_acked, true, memory_order_release);
}

/*
 * The answer to an Echo-Request of a worker: its number arrived, whatever the peer says of it. For
 * one that never acknowledges, nothing changes.
 */
static void
take_echo_reply(struct dp_session *s, const uint8_t *lcp, size_t len)
{
	struct rd r = rd_init(lcp, len);
	uint8_t code = rd_u8(&r), id = rd_u8(&r);

	if (rd_ok(&r) && code == LCP_ECHO_REPLY && id >= LCP_OWN_IDS &&
	    atomic_load_explicit(&s->any_acked, memory_order_relaxed))
		take_ack(s, atomic_load_explicit(&s->tx.echo_seq, memory_order_relaxed));
}

static void
deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct delivery *d = arg;
	struct rx_half *rx = &d->s->rx;
	const uint8_t *payload;
	size_t payload_len;
	uint16_t protocol;

	if (len == 0) {
		rx->base_seq++;
		return;
	}
	if (ppp_decapsulate(bytes, len, &protocol, &payload, &payload_len) < 0) {
		tally_drop(&rx->tally, DP_DROP_PPP);
		return;
	}
	if (protocol == PPP_COMP) {
		decrypt(d->w, d->s, seq, payload, payload_len);
		return;
	}
	rx->base_seq++; /* this number took no key */
	if (protocol == PPP_LCP)
		take_echo_reply(d->s, payload, payload_len);
	if (protocol == PPP_IP)
		tally_drop(&rx->tally, DP_DROP_CLEAR_IP);
	else
		(void)worker_note(d->w, d->s, protocol >= 0x8000 ? NOTE_FRAME : NOTE_UNKNOWN,
		    protocol, payload, payload_len, false);
}

/* What the order keeping did, for readers; and what it left to do later. */
static void
after_gre(struct worker *w, struct dp_session *s)
{
	struct rx_half *rx = &s->rx;
	const struct gre_rx_stats *stats = &rx->gre.stats;

	tally_set(&rx->tally.reordered, stats->reordered);
	tally_set(&rx->tally.drops[DP_DROP_DUPLICATE], stats->duplicate);
	tally_set(&rx->tally.drops[DP_DROP_LATE], stats->late + stats->suspect);
	tally_set(&rx->tally.drops[DP_DROP_LOST], stats->lost);
	gre_ack_received(&s->ack, rx->gre.last);
	if (!due_pending(&rx->ack) &&
	    atomic_load_explicit(&s->ack.sent, memory_order_relaxed) !=
		atomic_load_explicit(&s->ack.received, memory_order_relaxed))
		due_set(&w->acks, &rx->ack, w->now_us + w->config->ack_delay_us);
	if (rx->gre.held == 0)
		due_cancel(&rx->gap);
	else if (!due_pending(&rx->gap))
		due_set(&w->gaps, &rx->gap, w->now_us + w->config->reorder_timeout_us);
}

void
rx_gap_due(struct worker *w, struct dp_session *s)
{
	struct delivery d = {.w = w, .s = s};
	uint64_t again_us = gre_rx_tick(&s->rx.gre, w->now_us, deliver, &d);

	if (again_us != UINT64_MAX)
		due_set(&w->gaps, &s->rx.gap, w->now_us + again_us);
	after_gre(w, s);
}

/* Nothing has carried the acknowledgement: it goes alone. It takes no number, so any worker may
 * send it. */
void
rx_ack_due(struct worker *w, struct dp_session *s)
{
	struct gre_header h;

	if (!gre_tx_ack(s->peer_call_id, &s->ack, &h))
		return;
	(void)outbox_payload(&w->outbox);
	outbox_add(&w->outbox, s, &h, &s->rx.tally);
	tally_add(&s->rx.tally.acks_alone, 1);
}

bool
rx_outer(struct rd *r, uint32_t *src)
{
	uint8_t version_ihl = rd_u8(r);
	uint16_t total;

	rd_skip(r, 1);
	total = rd_u16(r);
	rd_skip(r, 8);
	*src = rd_u32(r);
	rd_skip(r, 4);
	if (version_ihl >> 4 != 4 || (version_ihl & 0x0f) < 5)
		return false;
	rd_skip(r, (size_t)(version_ihl & 0x0f) * 4 - 20);
	if (!rd_ok(r) || total < (version_ihl & 0x0f) * 4)
		return false;
	total = (uint16_t)(total - (version_ihl & 0x0f) * 4);
	if (rd_left(r) < total)
		return false;
	*r = rd_sub(r, total);
	return true;
}

void
rx_input(struct worker *w, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len), payload;
	struct gre_header h;
	struct dp_session *s;
	struct delivery d;
	uint32_t src;

	if (!rx_outer(&r, &src) || gre_parse(&r, &h, &payload) < 0) {
		tally_drop(&w->tally, DP_DROP_GRE_HEADER);
		return;
	}
	s = w->calls[h.call_id];
	if (s == NULL) {
		tally_drop(&w->tally, DP_DROP_UNKNOWN_CALL);
		return;
	}
	if (src != s->peer_ip) {
		tally_drop(&s->rx.tally, DP_DROP_FOREIGN_PEER);
		return;
	}
	crumb_set(w->crumb, s->id);
	tally_set(&s->rx.tally.last_ms, w->now_us / 1000);
	if (h.has_ack) {
		atomic_store_explicit(&s->said_ack, SAID_ACK | h.ack, memory_order_relaxed);
		take_ack(s, h.ack);
	}
	if (!h.has_seq)
		return;
	if (unlikely(s->rx.handed) && !w->injecting && park_packet(w, s, h.seq, packet, len))
		return;
	d = (struct delivery){.w = w, .s = s};
	gre_rx_input(&s->rx.gre, w->now_us, h.seq, payload.p, rd_left(&payload), deliver, &d);
	after_gre(w, s);
	if (unlikely(s->rx.parked.count > 0))
		park_look(w, s);
}

bool
rx_batch(struct worker *w)
{
	bool relaying = relay_silent(w);
	struct rx_batch *b = w->batch;
	int n;

	do {
		n = recvmmsg(w->gre_fd, b->messages, DP_BATCH, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	for (int i = 0; i < n; i++) {
		if ((b->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
			tally_drop(&w->tally, DP_DROP_GRE_HEADER);
		else if (relaying)
			relay_packet(w, NOTE_RELAY_GRE, b->bytes[i], b->messages[i].msg_len);
		else
			rx_input(w, b->bytes[i], b->messages[i].msg_len);
	}
	return n == DP_BATCH;
}

void
rx_run(struct worker *w)
{
	if (!doze_keeps(w) && (!relay_silent(w) || relay_ready(w)))
		(void)rx_batch(w);
}

void
rx_detach(struct worker *w, struct dp_session *s)
{
	w->calls[s->call_id] = NULL;
	due_cancel(&s->rx.gap);
	due_cancel(&s->rx.ack);
	park_detach(w, s);
}

void
rx_keys(struct dp_session *s, const uint8_t key[static 16])
{
	struct rx_half *rx = &s->rx;

	mppe_init(&rx->mppe, key);
	mppe_fini(&rx->far);
	rx->armed = true;
	rx->based = false;
	rx->doubts = 0;
	tally_set(&rx->index, rx->mppe.index);
}

void
rx_disarm(struct dp_session *s)
{
	struct rx_half *rx = &s->rx;

	rx->armed = rx->based = false;
	mppe_fini(&rx->mppe);
	mppe_fini(&rx->far);
	tally_set(&rx->index, 0);
}

void
rx_state(const struct dp_session *s, struct dp_state *state)
{
	const struct rx_half *rx = &s->rx;

	state->rx_any = rx->gre.started;
	state->rx_seq = rx->gre.last;
	state->rx = rx->mppe;
	state->rx_packets = atomic_load_explicit(&rx->tally.packets, memory_order_relaxed);
	state->rx_octets = atomic_load_explicit(&rx->tally.octets, memory_order_relaxed);
}

void
rx_import(struct dp_session *s, const struct dp_state *state, bool exact)
{
	struct rx_half *rx = &s->rx;

	if (state->rx_any) {
		gre_rx_resume(&rx->gre, state->rx_seq);
		rx->handed = exact;
		if (exact)
			rx->gre.resumed = false;
		gre_ack_received(&s->ack, state->rx_seq);
	}
	rx->armed = state->armed;
	rx->mppe = state->rx;
	rx->based = state->rx_any && state->armed;
	rx->base_seq = state->rx_seq;
	rx->skips = SKIPS_IMPORT;
	tally_set(&rx->index, rx->mppe.index);
	tally_set(&rx->tally.packets, state->rx_packets);
	tally_set(&rx->tally.octets, state->rx_octets);
}
