/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Builders and parser of a probe's inner packets.
 */
#include "hagent/client_packet.h"

#include <errno.h>

#include "common/cursor.h"

#define IP_LEN        20
#define ICMP_LEN      8
#define TCP_LEN       24 /* with the MSS option */
#define UDP_LEN       8
#define DONT_FRAGMENT 0x4000
#define FRAGMENT_BITS 0x3fff /* more fragments, offset */
#define TTL           64
#define WINDOW        65535
#define OPT_MSS       0x02040514 /* 1300 */

static uint32_t
add(const uint8_t *bytes, size_t len, uint32_t total)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (len % 2 != 0)
		total += (uint32_t)bytes[len - 1] << 8;
	return total;
}

static uint16_t
fold(uint32_t total)
{
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

/* With the pseudo-header of TCP and UDP. */
static uint16_t
checksum_with(uint32_t from, uint32_t to, uint8_t protocol, const uint8_t *bytes, size_t len)
{
	uint32_t total = (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff);

	return fold(add(bytes, len, total + protocol + (uint32_t)len));
}

static void
put_ip(struct wr *w, uint32_t from, uint32_t to, uint8_t protocol, size_t inner)
{
	uint8_t *start = w->p, *sum;

	wr_u16(w, 0x4500);
	wr_u16(w, (uint16_t)(IP_LEN + inner));
	wr_u16(w, 0);
	wr_u16(w, DONT_FRAGMENT);
	wr_u8(w, TTL);
	wr_u8(w, protocol);
	sum = wr_reserve(w, 2);
	wr_u32(w, from);
	wr_u32(w, to);
	if (!wr_ok(w))
		return;
	wr_patch_u16(w, sum, 0);
	wr_patch_u16(w, sum, fold(add(start, IP_LEN, 0)));
}

size_t
client_packet_echo(uint32_t from, uint32_t to, uint16_t id, uint16_t seq, size_t payload,
    uint8_t *out, size_t size)
{
	struct wr w = wr_init(out, size);
	uint8_t *sum;

	if (payload > UINT16_MAX - IP_LEN - ICMP_LEN)
		return 0;
	put_ip(&w, from, to, CLIENT_PACKET_ICMP, ICMP_LEN + payload);
	wr_u16(&w, 0x0800);
	sum = wr_reserve(&w, 2);
	wr_u16(&w, id);
	wr_u16(&w, seq);
	for (size_t i = 0; i < payload; i++)
		wr_u8(&w, (uint8_t)i);
	if (!wr_ok(&w))
		return 0;
	wr_patch_u16(&w, sum, 0);
	wr_patch_u16(&w, sum, fold(add(out + IP_LEN, ICMP_LEN + payload, 0)));
	return wr_len(&w);
}

size_t
client_packet_tcp(uint32_t from, uint32_t to, uint16_t sport, uint16_t dport, uint32_t seq,
    uint8_t flags, uint8_t *out, size_t size)
{
	struct wr w = wr_init(out, size);
	uint8_t *sum;

	put_ip(&w, from, to, CLIENT_PACKET_TCP, TCP_LEN);
	wr_u16(&w, sport);
	wr_u16(&w, dport);
	wr_u32(&w, seq);
	wr_u32(&w, 0);
	wr_u8(&w, TCP_LEN / 4 << 4);
	wr_u8(&w, flags);
	wr_u16(&w, WINDOW);
	sum = wr_reserve(&w, 2);
	wr_u16(&w, 0);
	wr_u32(&w, OPT_MSS);
	if (!wr_ok(&w))
		return 0;
	wr_patch_u16(&w, sum, 0);
	wr_patch_u16(&w, sum, checksum_with(from, to, CLIENT_PACKET_TCP, out + IP_LEN, TCP_LEN));
	return wr_len(&w);
}

size_t
client_packet_udp(
    uint32_t from, uint32_t to, uint16_t sport, uint16_t dport, uint8_t *out, size_t size)
{
	struct wr w = wr_init(out, size);
	uint8_t *at;
	uint16_t sum;

	put_ip(&w, from, to, CLIENT_PACKET_UDP, UDP_LEN);
	wr_u16(&w, sport);
	wr_u16(&w, dport);
	wr_u16(&w, UDP_LEN);
	at = wr_reserve(&w, 2);
	if (!wr_ok(&w))
		return 0;
	wr_patch_u16(&w, at, 0);
	sum = checksum_with(from, to, CLIENT_PACKET_UDP, out + IP_LEN, UDP_LEN);
	wr_patch_u16(&w, at, sum != 0 ? sum : 0xffff);
	return wr_len(&w);
}

/* ---- reading ---- */

/* The header: r is what lies behind it, up to the packet's stated end. */
static bool
get_ip(struct rd *r, bool whole, struct client_packet *p, struct rd *inner)
{
	const uint8_t *start = r->p;
	size_t len = rd_left(r), header;
	uint8_t version_ihl = rd_u8(r);
	uint16_t total, fragment;

	header = (size_t)(version_ihl & 15) * 4;
	rd_skip(r, 1);
	total = rd_u16(r);
	rd_skip(r, 2);
	fragment = rd_u16(r);
	rd_skip(r, 1);
	p->protocol = rd_u8(r);
	rd_skip(r, 2);
	p->from = rd_u32(r);
	p->to = rd_u32(r);
	if (!rd_ok(r) || version_ihl >> 4 != 4 || header < IP_LEN || len < header || total < header)
		return false;
	if (whole &&
	    (total > len || (fragment & FRAGMENT_BITS) != 0 || fold(add(start, header, 0)) != 0))
		return false;
	rd_skip(r, header - IP_LEN);
	*inner = rd_sub(r, whole ? total - header : rd_left(r));
	return rd_ok(r);
}

/* What an error is about: an IP header and at least 8 bytes, often no more. */
static bool
get_about(struct rd *r, struct client_packet *p)
{
	struct client_packet about = {0};
	struct rd inner;

	if (!get_ip(r, false, &about, &inner))
		return false;
	p->is_error = true;
	p->about_to = about.to;
	p->about_protocol = about.protocol;
	if (about.protocol == CLIENT_PACKET_ICMP)
		return true;
	p->about_sport = rd_u16(&inner);
	p->about_dport = rd_u16(&inner);
	return rd_ok(&inner);
}

static bool
get_icmp(struct rd r, struct client_packet *p)
{
	if (fold(add(r.p, rd_left(&r), 0)) != 0)
		return false;
	p->type = rd_u8(&r);
	p->code = rd_u8(&r);
	rd_skip(&r, 2);
	p->id = rd_u16(&r);
	p->seq = rd_u16(&r);
	if (!rd_ok(&r))
		return false;
	if (p->type != 3 && p->type != 11)
		return true;
	p->mtu = p->type == 3 && p->code == 4 ? p->seq : 0;
	return get_about(&r, p);
}

static bool
get_tcp(struct rd r, struct client_packet *p)
{
	if (checksum_with(p->from, p->to, p->protocol, r.p, rd_left(&r)) != 0)
		return false;
	p->sport = rd_u16(&r);
	p->dport = rd_u16(&r);
	p->tcp_seq = rd_u32(&r);
	p->tcp_ack = rd_u32(&r);
	rd_skip(&r, 1);
	p->flags = rd_u8(&r);
	rd_skip(&r, 6);
	return rd_ok(&r);
}

static bool
get_udp(struct rd r, struct client_packet *p)
{
	p->sport = rd_u16(&r);
	p->dport = rd_u16(&r);
	rd_skip(&r, 4);
	return rd_ok(&r);
}

int
client_packet_parse(const uint8_t *bytes, size_t len, struct client_packet *p)
{
	struct rd r = rd_init(bytes, len), inner;
	bool ok;

	*p = (struct client_packet){0};
	ok = get_ip(&r, true, p, &inner);
	if (ok && p->protocol == CLIENT_PACKET_ICMP)
		ok = get_icmp(inner, p);
	else if (ok && p->protocol == CLIENT_PACKET_TCP)
		ok = get_tcp(inner, p);
	else
		ok = ok && p->protocol == CLIENT_PACKET_UDP && get_udp(inner, p);
	if (ok)
		return 0;
	errno = EBADMSG;
	return -1;
}
