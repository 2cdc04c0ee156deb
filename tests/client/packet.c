/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Builders and parser of inner packets.
 */
#include "tests/client/packet.h"

#include <errno.h>

#include "common/cursor.h"

#define PROBE_MAGIC   0x70686170u
#define DONT_FRAGMENT 0x4000
#define FRAGMENT_BITS 0x3fff /* more fragments, offset */

static uint32_t
sum(const uint8_t *bytes, size_t len, uint32_t total)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (len % 2 != 0)
		total += (uint32_t)bytes[len - 1] << 8;
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

uint16_t
packet_checksum(const void *bytes, size_t len)
{
	return (uint16_t)~sum(bytes, len, 0);
}

/* The pseudo-header's share of a UDP checksum, then the datagram. */
static uint16_t
udp_checksum(const struct packet *p, const uint8_t *datagram, size_t len)
{
	uint32_t total = (p->src >> 16) + (p->src & 0xffff) + (p->dst >> 16) + (p->dst & 0xffff);

	return (uint16_t)~sum(datagram, len, total + PACKET_UDP + (uint32_t)len);
}

static uint8_t
pattern(const struct probe *p, size_t i)
{
	return (uint8_t)(p->seq * 7 + p->session + i);
}

static void
put_probe(struct wr *w, const struct probe *p, size_t payload)
{
	wr_u32(w, PROBE_MAGIC);
	wr_u32(w, p->session);
	wr_u64(w, p->seq);
	wr_u64(w, p->sent_us);
	for (size_t i = PACKET_PROBE_LEN; i < payload; i++)
		wr_u8(w, pattern(p, i));
}

size_t
packet_build(const struct packet *p, size_t payload, uint8_t *out, size_t size)
{
	size_t len = PACKET_HEADERS + payload;
	struct wr w = wr_init(out, size);
	uint8_t *ip_sum, *inner_sum;
	uint16_t value;

	if (payload < PACKET_PROBE_LEN || len > size || len > UINT16_MAX ||
	    (p->protocol != PACKET_ICMP && p->protocol != PACKET_UDP))
		return 0;
	wr_u16(&w, 0x4500);
	wr_u16(&w, (uint16_t)len);
	wr_u16(&w, (uint16_t)p->probe.seq);
	wr_u16(&w, DONT_FRAGMENT);
	wr_u8(&w, 64);
	wr_u8(&w, p->protocol);
	ip_sum = wr_reserve(&w, 2);
	wr_u32(&w, p->src);
	wr_u32(&w, p->dst);
	if (p->protocol == PACKET_ICMP) {
		wr_u8(&w, p->icmp_type);
		wr_u8(&w, 0);
		inner_sum = wr_reserve(&w, 2);
		wr_u16(&w, p->id);
		wr_u16(&w, (uint16_t)p->probe.seq);
	} else {
		wr_u16(&w, p->sport);
		wr_u16(&w, p->dport);
		wr_u16(&w, (uint16_t)(len - PACKET_IP_LEN));
		inner_sum = wr_reserve(&w, 2);
	}
	put_probe(&w, &p->probe, payload);
	wr_patch_u16(&w, ip_sum, 0);
	wr_patch_u16(&w, ip_sum, packet_checksum(out, PACKET_IP_LEN));
	wr_patch_u16(&w, inner_sum, 0);
	if (p->protocol == PACKET_ICMP) {
		value = packet_checksum(out + PACKET_IP_LEN, len - PACKET_IP_LEN);
	} else {
		value = udp_checksum(p, out + PACKET_IP_LEN, len - PACKET_IP_LEN);
		value = value != 0 ? value : 0xffff;
	}
	wr_patch_u16(&w, inner_sum, value);
	return wr_ok(&w) ? len : 0;
}

static int
get_probe(struct rd *r, struct probe *p)
{
	size_t left;

	if (rd_u32(r) != PROBE_MAGIC || rd_left(r) < PACKET_PROBE_LEN - 4)
		return EILSEQ;
	p->session = rd_u32(r);
	p->seq = rd_u64(r);
	p->sent_us = rd_u64(r);
	left = rd_left(r);
	for (size_t i = 0; i < left; i++)
		if (rd_u8(r) != pattern(p, PACKET_PROBE_LEN + i))
			return EILSEQ;
	return 0;
}

static int
get_icmp(struct rd *r, struct packet *p)
{
	if (packet_checksum(r->p, rd_left(r)) != 0)
		return EILSEQ;
	p->icmp_type = rd_u8(r);
	if (p->icmp_type != 0 && p->icmp_type != 8)
		return ENOMSG;
	rd_skip(r, 3);
	p->id = rd_u16(r);
	rd_skip(r, 2);
	return get_probe(r, &p->probe);
}

static int
get_udp(struct rd *r, struct packet *p)
{
	const uint8_t *start = r->p;
	size_t len = rd_left(r);
	uint16_t stated, check;

	p->sport = rd_u16(r);
	p->dport = rd_u16(r);
	stated = rd_u16(r);
	check = rd_u16(r);
	if (!rd_ok(r) || stated != len || (check != 0 && udp_checksum(p, start, len) != 0))
		return EILSEQ;
	return get_probe(r, &p->probe);
}

int
packet_parse(const uint8_t *bytes, size_t len, struct packet *p)
{
	struct rd r = rd_init(bytes, len), inner;
	uint8_t version_ihl = rd_u8(&r);
	size_t header = (size_t)(version_ihl & 15) * 4;
	uint16_t total, fragment;

	*p = (struct packet){0};
	rd_skip(&r, 1);
	total = rd_u16(&r);
	rd_skip(&r, 2);
	fragment = rd_u16(&r);
	rd_skip(&r, 1);
	p->protocol = rd_u8(&r);
	rd_skip(&r, 2);
	p->src = rd_u32(&r);
	p->dst = rd_u32(&r);
	if (!rd_ok(&r) || version_ihl >> 4 != 4 || header < PACKET_IP_LEN || total < header ||
	    total > len || packet_checksum(bytes, header) != 0) {
		errno = EBADMSG;
		return -1;
	}
	rd_skip(&r, header - PACKET_IP_LEN);
	inner = rd_sub(&r, total - header);
	if ((fragment & FRAGMENT_BITS) != 0)
		errno = ENOMSG;
	else if (p->protocol == PACKET_ICMP)
		errno = get_icmp(&inner, p);
	else
		errno = p->protocol == PACKET_UDP ? get_udp(&inner, p) : ENOMSG;
	return errno == 0 ? 0 : -1;
}
