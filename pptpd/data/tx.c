/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transmit half: TUN -> inner destination -> MTU -> MPPE -> PPP -> GRE, and the main thread's
 * frames, which take their numbers here too. An IP packet never leaves in clear: without keys it is
 * dropped. Encryption goes straight from the TUN buffer into the outgoing packet.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/data/internal.h"
#include "pptpd/data/ipmtu.h"
#include "pptpd/ppp/ppp.h"

_Static_assert(IPMTU_EMIT_ROOM >= 2 && TUN_ROOM >= 2, "the inner protocol stands in the room");

static struct dp_session **
bucket(struct worker *w, uint32_t ip)
{
	return &w->routes[(ip * 0x9e3779b1u) >> 18];
}
_Static_assert(ROUTE_BUCKETS == 1 << (32 - 18), "bucket() yields 14 bits");

static void
route_del(struct worker *w, struct dp_session *s)
{
	for (struct dp_session **p = bucket(w, s->tx.link.peer_ip); *p != NULL;
	     p = &(*p)->tx.next_route) {
		if (*p == s) {
			*p = s->tx.next_route;
			return;
		}
	}
}

/* Takes the session's inner address in or out of the table, and its MTU and PPP options over. */
void
tx_link(struct worker *w, struct dp_session *s, bool up, const struct dp_up *link)
{
	struct dp_session **p;

	if (s->tx.up)
		route_del(w, s);
	s->tx.up = up;
	if (!up)
		return;
	s->tx.link = *link;
	if (s->tx.link.mtu > DP_FRAME_MAX)
		s->tx.link.mtu = DP_FRAME_MAX;
	p = bucket(w, link->peer_ip);
	s->tx.next_route = *p;
	*p = s;
}

static struct dp_session *
find_route(struct worker *w, uint32_t ip)
{
	struct dp_session *s = *bucket(w, ip);

	while (s != NULL && s->tx.link.peer_ip != ip)
		s = s->tx.next_route;
	return s;
}

/* Gives the payload in the outbox its number and sends it with the batch. */
static void
number(struct worker *w, struct dp_session *s, size_t len)
{
	struct gre_header h = gre_tx_data(&s->tx.gre, &s->ack, (uint16_t)len);

	atomic_store_explicit(&s->tx.next, s->tx.gre.next, memory_order_relaxed);
	outbox_add(&w->outbox, s, &h, &s->tx.tally);
}

void
tx_frame(
    struct worker *w, struct dp_session *s, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct wr out = wr_init(outbox_payload(&w->outbox), OUTBOX_PAYLOAD_MAX);

	wr_u16(&out, 0xff03);
	wr_u16(&out, protocol);
	wr_copy(&out, payload, len);
	if (wr_ok(&out))
		number(w, s, wr_len(&out));
}

/* One IP packet that fits, with 2 writable bytes in front. */
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
	mppe_encrypt(&tx->mppe, inner.start, 2 + len, sealed);
	tally_set(&tx->index, tx->mppe.index);
	number(w, s, wr_len(&out));
	tally_add(&tx->tally.packets, 1);
	tally_add(&tx->tally.octets, len);
	tally_set(&tx->tally.last_data_ms, w->now_us / 1000);
}

struct sealing {
	struct worker *w;
	struct dp_session *s;
};

static void
seal_fragment(void *arg, uint8_t *fragment, size_t len)
{
	struct sealing *g = arg;

	seal(g->w, g->s, fragment, len);
}

/* Tells the sender the MTU, from our end of the session. */
static void
refuse_size(struct worker *w, struct dp_session *s, const uint8_t *packet, const struct ip4 *ip)
{
	uint8_t buf[TUN_ROOM + IPMTU_ICMP_MAX];
	size_t len =
	    ipmtu_frag_needed(packet, ip, s->tx.link.local_ip, s->tx.link.mtu, buf + TUN_ROOM);

	tally_drop(&s->tx.tally, DP_DROP_TOO_BIG);
	if (len == 0)
		return;
	if (tun_write(w->tun_fd, buf + TUN_ROOM, len) < 0)
		tally_drop(&s->tx.tally, DP_DROP_TUN_WRITE);
	else
		tally_add(&s->tx.tally.icmp_frag_needed, 1);
}

void
tx_input(struct worker *w, uint8_t *packet, size_t len)
{
	struct dp_session *s;
	struct sealing g;
	struct ip4 ip;

	/* The kernel steers by the same table, so a destination of another worker is no route here.
	 */
	s = ipmtu_parse(packet, len, &ip) == 0 ? find_route(w, ip.dst) : NULL;
	if (s == NULL) {
		tally_drop(&w->tally, DP_DROP_NO_ROUTE);
		return;
	}
	if (!s->tx.armed) {
		tally_drop(&s->tx.tally, DP_DROP_NOT_UP);
		return;
	}
	if (ipmtu_clamp_mss(packet, &ip, s->tx.link.mtu))
		tally_add(&s->tx.tally.mss_clamped, 1);
	if (ip.total <= s->tx.link.mtu) {
		seal(w, s, packet, ip.total);
		return;
	}
	g = (struct sealing){.w = w, .s = s};
	if (ip.dont_fragment)
		refuse_size(w, s, packet, &ip);
	else if (ipmtu_fragment(packet, &ip, s->tx.link.mtu, seal_fragment, &g) < 0)
		tally_drop(&s->tx.tally, DP_DROP_TOO_BIG);
	else
		tally_add(&s->tx.tally.fragmented, 1);
}

void
tx_run(struct worker *w)
{
	for (unsigned i = 0; i < DP_BATCH; i++) {
		ssize_t len = tun_read(w->tun_fd, w->tun_buf);

		if (len >= 0)
			tx_input(w, w->tun_buf + TUN_ROOM, (size_t)len);
		else if (errno == EPROTO)
			tally_drop(&w->tally, DP_DROP_NO_ROUTE);
		else
			break;
	}
}
