/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transmit half as far as the packet is in clear: TUN -> inner destination -> MTU -> send.c. An
 * IP packet never leaves in clear: without keys it is dropped. Encryption goes straight from the
 * TUN buffer into the outgoing packet.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/data/internal.h"
#include "pptpd/data/ipmtu.h"

_Static_assert(IPMTU_EMIT_ROOM >= 2 && TUN_ROOM >= 2, "the inner protocol stands in the room");

static struct dp_session **
bucket(struct worker *w, uint32_t ip)
{
	return &w->routes[route_bucket(ip)];
}

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
	if (!up) {
		send_link_down(w, s);
		return;
	}
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

struct sealing {
	struct worker *w;
	struct dp_session *s;
};

static void
seal_fragment(void *arg, uint8_t *fragment, size_t len)
{
	struct sealing *g = arg;

	send_packet(g->w, g->s, fragment, len);
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
	crumb_set(w->crumb, s->id);
	if (!s->tx.armed) {
		tally_drop(&s->tx.tally, DP_DROP_NOT_UP);
		return;
	}
	if (ipmtu_clamp_mss(packet, &ip, s->tx.link.mtu))
		tally_add(&s->tx.tally.mss_clamped, 1);
	if (ip.total <= s->tx.link.mtu) {
		send_packet(w, s, packet, ip.total);
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

bool
tx_batch(struct worker *w)
{
	bool relaying = relay_silent(w);

	for (unsigned i = 0; i < DP_BATCH; i++) {
		ssize_t len = tun_read(w->tun_fd, w->tun_buf);

		if (len >= 0 && relaying)
			relay_packet(w, NOTE_RELAY_IP, w->tun_buf + TUN_ROOM, (size_t)len);
		else if (len >= 0)
			tx_input(w, w->tun_buf + TUN_ROOM, (size_t)len);
		else if (errno == EPROTO)
			tally_drop(&w->tally, DP_DROP_NO_ROUTE);
		else
			return false;
	}
	return true;
}

void
tx_run(struct worker *w)
{
	if (!doze_keeps(w) && (!relay_silent(w) || relay_ready(w)))
		(void)tx_batch(w);
}
