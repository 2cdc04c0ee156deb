/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client for the tests of the data plane: builds the packets that a PPTP client sends and opens
 * those that it gets. Pure: where the bytes travel is the test's business.
 */
#ifndef TESTS_DP_PEER_H
#define TESTS_DP_PEER_H

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/crypto/mppe.h"
#include "pptpd/data/ipmtu.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/wire/gre.h"

#define PEER_MAX 4096

struct peer {
	uint32_t ip, server_ip;        /* outer */
	uint16_t call_id, own_call_id; /* the server's, the client's */
	uint32_t inner;
	uint32_t seq; /* of the next packet */
	struct mppe send, recv;
};

static const uint8_t peer_key_up[16] = "client to server";
static const uint8_t peer_key_down[16] = "server to client";

/* An IPv4 packet with a UDP header (no checksum); `id` stands in its payload. */
static inline size_t
peer_ip_packet(uint8_t *out, uint32_t src, uint32_t dst, uint32_t id, size_t total, uint16_t flags)
{
	struct wr w = wr_init(out, total);

	wr_u16(&w, 0x4500);
	wr_u16(&w, (uint16_t)total);
	wr_u16(&w, (uint16_t)id);
	wr_u16(&w, flags);
	wr_u16(&w, 0x4011);
	wr_u16(&w, 0);
	wr_u32(&w, src);
	wr_u32(&w, dst);
	wr_patch_u16(&w, out + 10, ipmtu_checksum(out, 20));
	wr_u16(&w, 7000);
	wr_u16(&w, 7000);
	wr_u16(&w, (uint16_t)(total - 20));
	wr_u16(&w, 0);
	wr_u32(&w, id);
	while (wr_room(&w) > 0)
		wr_u8(&w, (uint8_t)(wr_len(&w) * 13));
	assert(wr_ok(&w));
	return total;
}

static inline uint32_t
peer_packet_id(const uint8_t *ip)
{
	struct rd r = rd_init(ip + 28, 4);

	return rd_u32(&r);
}

/* Outer IP header, GRE header, payload. */
static inline size_t
peer_gre(const struct peer *p, uint8_t *out, const struct gre_header *h, const uint8_t *payload)
{
	struct wr w = wr_init(out, PEER_MAX);
	uint8_t *total;

	wr_u16(&w, 0x4500);
	total = wr_reserve(&w, 2);
	wr_u32(&w, 0x00004000);
	wr_u16(&w, 0x402f);
	wr_u16(&w, 0);
	wr_u32(&w, p->ip);
	wr_u32(&w, p->server_ip);
	gre_encode(&w, h);
	wr_copy(&w, payload, h->length);
	wr_patch_u16(&w, total, (uint16_t)wr_len(&w));
	assert(wr_ok(&w));
	return wr_len(&w);
}

/* A GRE packet with the number given. */
static inline size_t
peer_numbered(const struct peer *p, uint8_t *out, uint32_t seq, const uint8_t *payload, size_t len)
{
	struct gre_header h = {
	    .call_id = p->call_id, .length = (uint16_t)len, .has_seq = true, .seq = seq};

	return peer_gre(p, out, &h, payload);
}

/* PPP frame of a negotiation protocol. */
static inline size_t
peer_frame(uint8_t *out, uint16_t protocol, const void *payload, size_t len)
{
	struct wr w = wr_init(out, PEER_MAX);

	wr_u16(&w, 0xff03);
	wr_u16(&w, protocol);
	wr_copy(&w, payload, len);
	assert(wr_ok(&w));
	return wr_len(&w);
}

/* Encrypted PPP frame: protocol and packet with the next key. */
static inline size_t
peer_seal(struct peer *p, uint8_t *out, uint16_t protocol, const uint8_t *packet, size_t len)
{
	uint8_t plain[PEER_MAX];
	struct wr w = wr_init(plain, sizeof(plain));

	wr_u16(&w, protocol);
	wr_copy(&w, packet, len);
	memcpy(out, "\xff\x03\x00\xfd", 4);
	mppe_encrypt(&p->send, plain, wr_len(&w), out + 4);
	return 4 + MPPE_HEADER_LEN + wr_len(&w);
}

/* What the server sent, from the GRE header on. */
struct peer_got {
	struct gre_header h;
	uint16_t protocol; /* 0: a lone acknowledgement */
	bool encrypted, full_address;
	uint8_t bytes[PEER_MAX];
	size_t len;
};

static inline bool
peer_open(struct peer *p, const uint8_t *gre, size_t len, struct peer_got *g)
{
	struct rd r = rd_init(gre, len), payload;
	const uint8_t *rest;
	size_t rest_len;
	uint32_t skipped;
	struct mppe next;

	memset(g, 0, sizeof(*g));
	if (gre_parse(&r, &g->h, &payload) < 0 || !rd_end(&r) || g->h.call_id != p->own_call_id)
		return false;
	if (g->h.length == 0)
		return true;
	g->full_address = payload.p[0] == 0xff;
	if (ppp_decapsulate(payload.p, rd_left(&payload), &g->protocol, &rest, &rest_len) < 0)
		return false;
	g->encrypted = g->protocol == PPP_COMP;
	if (!g->encrypted) {
		memcpy(g->bytes, rest, rest_len);
		g->len = rest_len;
		return true;
	}
	if (mppe_decrypt(&p->recv, rest, rest_len, g->bytes, &next, &skipped) != MPPE_OK)
		return false;
	mppe_commit(&p->recv, &next);
	g->protocol = (uint16_t)(g->bytes[0] << 8 | g->bytes[1]);
	g->len = rest_len - MPPE_HEADER_LEN - 2;
	memmove(g->bytes, g->bytes + 2, g->len);
	return true;
}

#endif
