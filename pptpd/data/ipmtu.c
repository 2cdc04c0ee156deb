/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IPv4 headers, MSS clamping, fragmentation and the ICMP error. Fields are read and written through
 * cursors; the only in-place changes are 16-bit patches inside a packet whose lengths were checked.
 */
#include "pptpd/data/ipmtu.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/conf.h"
#include "common/cursor.h"

#define FLAG_DF     0x4000
#define FLAG_MF     0x2000
#define OFFSET_MASK 0x1fff

uint16_t
ipmtu_checksum(const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len);
	uint32_t sum = 0;

	while (rd_left(&r) >= 2)
		sum += rd_u16(&r);
	if (rd_left(&r) == 1)
		sum += (uint32_t)rd_u8(&r) << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

int
ipmtu_parse(const uint8_t *packet, size_t len, struct ip4 *ip)
{
	struct rd r = rd_init(packet, len);
	uint8_t version_ihl = rd_u8(&r);
	uint16_t flags;

	rd_skip(&r, 1);
	ip->header_len = (uint8_t)((version_ihl & 0x0f) * 4);
	ip->total = rd_u16(&r);
	rd_skip(&r, 2);
	flags = rd_u16(&r);
	ip->dont_fragment = (flags & FLAG_DF) != 0;
	ip->more_fragments = (flags & FLAG_MF) != 0;
	ip->offset = (uint16_t)((flags & OFFSET_MASK) * 8);
	rd_skip(&r, 1);
	ip->protocol = rd_u8(&r);
	rd_skip(&r, 2);
	ip->src = rd_u32(&r);
	ip->dst = rd_u32(&r);
	if (!rd_ok(&r) || version_ihl >> 4 != 4 || ip->header_len < IPMTU_HEADER_MIN ||
	    ip->total < ip->header_len || ip->total > len ||
	    ipmtu_checksum(packet, ip->header_len) != 0) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* RFC 1624 equation 3: one 16-bit word of the sum changes from old to new. */
static uint16_t
checksum_update(uint16_t checksum, uint16_t old, uint16_t new)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~old + new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
patch_u16(uint8_t *at, uint16_t v)
{
	struct wr w = wr_init(at, 2);

	wr_u16(&w, v);
}

static uint16_t
swap(uint16_t v)
{
	return (uint16_t)(v >> 8 | v << 8);
}

/* Walks TCP options to the MSS value; its offset in the segment, or 0. */
static size_t
find_mss(const uint8_t *tcp, size_t header_len)
{
	struct rd r = rd_init(tcp, header_len);

	rd_skip(&r, 20);
	while (rd_ok(&r) && rd_left(&r) > 0) {
		uint8_t kind = rd_u8(&r), len;

		if (kind == 0)
			return 0;
		if (kind == 1)
			continue;
		len = rd_u8(&r);
		if (!rd_ok(&r) || len < 2 || (kind == 2 && len != 4))
			return 0;
		if (kind == 2)
			return rd_left(&r) >= 2 ? header_len - rd_left(&r) : 0;
		rd_skip(&r, len - 2u);
	}
	return 0;
}

bool
ipmtu_clamp_mss(uint8_t *packet, const struct ip4 *ip, uint16_t mtu)
{
	uint8_t *tcp = packet + ip->header_len;
	size_t len = (size_t)ip->total - ip->header_len, header_len, at;
	struct rd r = rd_init(tcp, len);
	uint16_t flags, checksum, mss, limit;

	if (ip->protocol != IPPROTO_TCP || ip->offset != 0 || mtu < IPMTU_MIN)
		return false;
	rd_skip(&r, 12);
	flags = rd_u16(&r);
	rd_skip(&r, 2);
	checksum = rd_u16(&r);
	header_len = (size_t)(flags >> 12) * 4;
	if (!rd_ok(&r) || (flags & 0x02) == 0 || header_len < 20 || header_len > len)
		return false;
	at = find_mss(tcp, header_len);
	if (at == 0)
		return false;
	r = rd_init(tcp + at, 2);
	mss = rd_u16(&r);
	limit = (uint16_t)(mtu - 40);
	if (mss <= limit)
		return false;
	/* At an odd place the value straddles two words of the sum, with its bytes exchanged. */
	checksum = at % 2 == 0 ? checksum_update(checksum, mss, limit)
			       : checksum_update(checksum, swap(mss), swap(limit));
	patch_u16(tcp + at, limit);
	patch_u16(tcp + 16, checksum);
	return true;
}

/* Header of the later fragments: only options with the copied flag (RFC 791 §3.1). Its length. */
static size_t
copy_later_header(const uint8_t *packet, size_t header_len, uint8_t out[static IPMTU_HEADER_MAX])
{
	struct rd r = rd_init(packet, header_len);
	struct wr w = wr_init(out, IPMTU_HEADER_MAX);

	wr_copy(&w, rd_bytes(&r, IPMTU_HEADER_MIN), IPMTU_HEADER_MIN);
	while (rd_left(&r) > 0) {
		const uint8_t *start = r.p;
		uint8_t kind = rd_u8(&r), len;

		if (kind == 0)
			break;
		if (kind == 1)
			continue;
		len = rd_u8(&r);
		if (!rd_ok(&r) || len < 2)
			break;
		rd_skip(&r, len - 2u);
		if (!rd_ok(&r))
			break;
		if ((kind & 0x80) != 0)
			wr_copy(&w, start, len);
	}
	wr_zero(&w, (4 - wr_len(&w) % 4) % 4);
	return wr_len(&w);
}

/* One fragment: header as given, `len` bytes of payload from `offset` of this packet's payload. */
static void
emit_fragment(const uint8_t *header, size_t header_len, const struct ip4 *ip,
    const uint8_t *payload, size_t offset, size_t len, uint8_t *buf, ipmtu_emit_fn *emit, void *arg)
{
	uint8_t *out = buf + IPMTU_EMIT_ROOM;
	struct wr w = wr_init(out, IPMTU_HEADER_MAX + len);
	bool more = ip->more_fragments || offset + len < (size_t)ip->total - ip->header_len;
	uint16_t flags = (uint16_t)((ip->offset + offset) / 8 | (more ? FLAG_MF : 0));

	wr_copy(&w, header, header_len);
	wr_copy(&w, payload + offset, len);
	out[0] = (uint8_t)(0x40 | header_len / 4);
	patch_u16(out + 2, (uint16_t)(header_len + len));
	patch_u16(out + 6, flags);
	patch_u16(out + 10, 0);
	patch_u16(out + 10, ipmtu_checksum(out, header_len));
	emit(arg, out, wr_len(&w));
}

int
ipmtu_fragment(
    const uint8_t *packet, const struct ip4 *ip, uint16_t mtu, ipmtu_emit_fn *emit, void *arg)
{
	uint8_t later[IPMTU_HEADER_MAX], buf[IPMTU_EMIT_ROOM + IPMTU_FRAGMENT_MAX];
	const uint8_t *header = packet, *payload = packet + ip->header_len;
	size_t header_len = ip->header_len, left = (size_t)ip->total - ip->header_len, offset = 0;

	if (mtu > IPMTU_FRAGMENT_MAX || mtu < IPMTU_MIN || ip->offset + left > UINT16_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	while (left > 0) {
		size_t room = mtu - header_len, len = left <= room ? left : room & ~(size_t)7;

		emit_fragment(header, header_len, ip, payload, offset, len, buf, emit, arg);
		offset += len;
		left -= len;
		header_len = copy_later_header(packet, ip->header_len, later);
		header = later;
	}
	return 0;
}

/* Types of ICMP that are errors themselves (RFC 1122 §3.2.2). */
static bool
is_icmp_error(const uint8_t *packet, const struct ip4 *ip)
{
	uint8_t type;

	if (ip->protocol != IPPROTO_ICMP)
		return false;
	if (ip->total <= ip->header_len)
		return true; /* cannot tell: stay silent */
	type = packet[ip->header_len];
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

size_t
ipmtu_frag_needed(const uint8_t *packet, const struct ip4 *ip, uint32_t from, uint16_t mtu,
    uint8_t out[static IPMTU_ICMP_MAX])
{
	size_t quote = IPMTU_ICMP_MAX - IPMTU_HEADER_MIN - 8;
	struct wr w = wr_init(out, IPMTU_ICMP_MAX);

	if (is_icmp_error(packet, ip) || ip->offset != 0 || !conf_is_host_ip(ip->src) ||
	    !conf_is_host_ip(ip->dst))
		return 0;
	if (quote > ip->total)
		quote = ip->total;
	wr_u16(&w, 0x45c0); /* precedence 6, as RFC 1812 §4.3.2.5 wants of errors */
	wr_u16(&w, (uint16_t)(IPMTU_HEADER_MIN + 8 + quote));
	wr_u32(&w, 0);
	wr_u8(&w, 64);
	wr_u8(&w, IPPROTO_ICMP);
	wr_u16(&w, 0);
	wr_u32(&w, from);
	wr_u32(&w, ip->src);
	wr_u16(&w, 0x0304); /* destination unreachable, fragmentation needed */
	wr_u16(&w, 0);
	wr_u16(&w, 0);
	wr_u16(&w, mtu);
	wr_copy(&w, packet, quote);
	assert(wr_ok(&w));
	patch_u16(out + 10, ipmtu_checksum(out, IPMTU_HEADER_MIN));
	patch_u16(out + 22, ipmtu_checksum(out + IPMTU_HEADER_MIN, 8 + quote));
	return wr_len(&w);
}
