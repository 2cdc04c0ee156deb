/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verdict on a restored connection. A sequence number at or below the expected one proves that
 * nothing is missing: a client's segments begin at what it has not seen acknowledged, or just below
 * (keep-alive). One beyond is no proof of a hole, as segments may be lost or overtake each other:
 * only when nothing came at the expected number for longer than a retransmission takes.
 */
#include "pptpd/engine/hole.h"

#include "common/cursor.h"
#include "pptpd/wire/pptp.h"

#define IP_TCP 6

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* ---- segments ---- */

/* The IPv4 header; total: its length with all behind it. */
static bool
parse_ip(struct rd *r, struct hole_segment *s, struct rd *payload)
{
	struct rd all = *r;
	uint8_t first = rd_u8(r);
	size_t header = (size_t)(first & 15) * 4, total;
	uint16_t fragment;

	rd_skip(r, 1);
	total = rd_u16(r);
	rd_skip(r, 2);
	fragment = rd_u16(r);
	rd_skip(r, 1);
	if (rd_u8(r) != IP_TCP || first >> 4 != 4 || header < 20 || total < header ||
	    (fragment & 0x3fff) != 0)
		return false;
	rd_skip(r, 2);
	s->peer_ip = rd_u32(r);
	s->local_ip = rd_u32(r);
	rd_skip(&all, header);
	*payload = rd_sub(&all, total - header);
	return rd_ok(r) && rd_ok(payload);
}

bool
hole_parse(const uint8_t *packet, size_t len, struct hole_segment *s)
{
	struct rd r = rd_init(packet, len), tcp;
	size_t all, header;
	uint8_t flags;

	*s = (struct hole_segment){0};
	if (!parse_ip(&r, s, &tcp))
		return false;
	all = rd_left(&tcp);
	s->peer_port = rd_u16(&tcp);
	s->local_port = rd_u16(&tcp);
	s->seq = rd_u32(&tcp);
	s->ack = rd_u32(&tcp);
	header = (size_t)(rd_u8(&tcp) >> 4) * 4;
	flags = rd_u8(&tcp);
	rd_skip(&tcp, 6);
	if (!rd_ok(&tcp) || header < 20 || header > all)
		return false;
	s->len = (uint32_t)(all - header);
	s->has_ack = (flags & TCP_ACK) != 0;
	s->opens = (flags & TCP_SYN) != 0;
	s->resets = (flags & TCP_RST) != 0;
	return true;
}

/* ---- verdict ---- */

/* How far a is beyond b, modulo 2^32; negative: before it. */
static int32_t
beyond(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void
sign(struct hole *h, bool *what, uint64_t now_ms)
{
	if (!h->missing && !h->ahead)
		h->since_ms = now_ms;
	*what = true;
}

enum hole_verdict
hole_hear(struct hole *h, const struct hole_segment *s, uint32_t rcv, uint32_t snd, uint64_t now_ms)
{
	int32_t seq = beyond(s->seq, rcv), ack = s->has_ack ? beyond(s->ack, snd) : 0;

	if (s->opens || s->resets || seq > HOLE_FAR || seq < -HOLE_FAR || ack > HOLE_FAR ||
	    ack < -HOLE_FAR)
		return HOLE_UNKNOWN;
	h->heard = true;
	if (ack > 0) {
		if (!h->ahead || beyond(s->ack, h->ack) > 0)
			h->ack = s->ack;
		sign(h, &h->ahead, now_ms);
	}
	if (seq > 0) {
		if (!h->missing || beyond(s->seq, h->lowest) < 0)
			h->lowest = s->seq;
		sign(h, &h->missing, now_ms);
	} else if (!h->ahead)
		return HOLE_NONE;
	else
		h->in_place = true;
	return hole_judge(h, rcv, now_ms);
}

enum hole_verdict
hole_judge(const struct hole *h, uint32_t rcv, uint64_t now_ms)
{
	bool filled = !h->missing || h->in_place || beyond(h->lowest, rcv) <= 0;

	if (!h->missing && !h->ahead)
		return HOLE_UNKNOWN;
	if (filled && !h->ahead)
		return HOLE_NONE;
	if (h->in_place || now_ms - h->since_ms >= HOLE_WAIT_MS)
		return HOLE_FOUND;
	return HOLE_UNKNOWN;
}

uint32_t
hole_rcv(const struct hole *h, uint32_t rcv)
{
	return h->missing && !h->in_place && beyond(h->lowest, rcv) > 0 ? h->lowest : rcv;
}

uint32_t
hole_snd(const struct hole *h, uint32_t snd)
{
	return h->ahead && beyond(h->ack, snd) > 0 ? h->ack : snd;
}

bool
hole_held_echo(size_t bytes)
{
	size_t request = pptp_size(PPTP_ECHO_RQ);

	return bytes == request || bytes == request + pptp_size(PPTP_ECHO_RP) ||
	       bytes == request + pptp_size(PPTP_SLI);
}
