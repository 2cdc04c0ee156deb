/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way of a client's bytes: GRE numbers and acknowledgements, MPPE, and the choice between the
 * link and the owner's packets.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "hagent/client_internal.h"

#define ACK_DELAY_MS 50
#define OPENED       9 /* RFC 1661 §4.2 */
#define IPV4_MIN     20
#define CONF_REQ     1

static void
send_gre(struct pptp_client *c, const struct gre_header *h, const uint8_t *payload, size_t len)
{
	uint8_t bytes[GRE_HEADER_MAX + CLIENT_FRAME_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	gre_encode(&w, h);
	wr_copy(&w, payload, len);
	if (!wr_ok(&w))
		return;
	c->n.gre_sent++;
	c->io->send_gre(c->io_arg, bytes, wr_len(&w));
}

void
client_send_frame(struct pptp_client *c, const uint8_t *frame, size_t len)
{
	struct gre_header h = gre_tx_data(&c->tx, &c->ack, (uint16_t)len);

	if (c->fsm.state != CLIENT_ENDED)
		send_gre(c, &h, frame, len);
}

/* ---- out ---- */

static void
put_protocol(const struct pptp_client *c, struct wr *w, uint16_t protocol)
{
	if (c->pfc && protocol <= 0xff)
		wr_u8(w, (uint8_t)protocol);
	else
		wr_u16(w, protocol);
}

bool
pptp_client_send(struct pptp_client *c, const uint8_t *packet, size_t len)
{
	uint8_t plain[CLIENT_FRAME_MAX], frame[CLIENT_FRAME_MAX], *at;
	struct wr p = wr_init(plain, sizeof(plain)), w = wr_init(frame, sizeof(frame));

	if (!c->link_up || c->fsm.state != CLIENT_UP || !c->armed || len > 1500)
		return false;
	put_protocol(c, &p, PPP_IP);
	wr_copy(&p, packet, len);
	if (!c->acfc)
		wr_u16(&w, 0xff03);
	put_protocol(c, &w, PPP_COMP);
	at = wr_reserve(&w, MPPE_HEADER_LEN + wr_len(&p));
	if (!wr_ok(&p) || !wr_ok(&w))
		return false;
	mppe_encrypt(&c->send_key, plain, wr_len(&p), at);
	c->n.sent++;
	client_send_frame(c, frame, wr_len(&w));
	return true;
}

/* ---- in ---- */

/* Wrong keys give noise, and noise is no packet for us. */
static bool
is_ours(const struct pptp_client *c, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len);
	uint8_t version_ihl = rd_u8(&r);
	uint16_t total;
	uint32_t to;

	rd_skip(&r, 1);
	total = rd_u16(&r);
	rd_skip(&r, 12);
	to = rd_u32(&r);
	return rd_ok(&r) && version_ihl >> 4 == 4 && total >= IPV4_MIN && total <= len &&
	       to == c->s.address;
}

static void
decrypt(struct pptp_client *c, const uint8_t *bytes, size_t len)
{
	uint8_t plain[CLIENT_FRAME_MAX];
	enum mppe_verdict verdict;
	uint32_t skipped = 0;
	struct mppe next;
	struct rd r;
	uint16_t protocol;
	bool sane;

	if (!c->armed || len > sizeof(plain)) {
		c->n.undecipherable++;
		return;
	}
	verdict = mppe_decrypt(&c->recv_key, bytes, len, plain, &next, &skipped);
	if (verdict != MPPE_OK) {
		c->n.undecipherable++;
		mppe_fini(&next);
		return;
	}
	r = rd_init(plain, len - MPPE_HEADER_LEN);
	protocol = rd_u8(&r);
	if ((protocol & 1) == 0)
		protocol = (uint16_t)(protocol << 8 | rd_u8(&r));
	sane = rd_ok(&r) && protocol == PPP_IP && is_ours(c, r.p, rd_left(&r));
	if (sane || skipped == 0)
		mppe_commit(&c->recv_key, &next);
	else
		mppe_fini(&next);
	if (!sane) {
		c->n.undecipherable++;
		return;
	}
	c->n.received++;
	ppp_alive(c->ppp);
	if (c->ops->packet != NULL)
		c->ops->packet(c->arg, r.p, rd_left(&r));
}

static void
mark_progress(struct pptp_client *c)
{
	struct ppp_state p;

	if (c->fsm.state != CLIENT_LINK || c->s.done_us[PPTP_STEP_CCP] != 0)
		return;
	ppp_get_state(c->ppp, &p);
	if (p.lcp_state == OPENED && c->s.done_us[PPTP_STEP_LCP] == 0) {
		if (c->io->settled != NULL)
			c->io->settled(c->io_arg, c->s.call_id);
		client_done(c, PPTP_STEP_LCP);
	}
	if (p.ccp_state == OPENED)
		client_done(c, PPTP_STEP_CCP);
}

static void
deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct pptp_client *c = arg;
	const uint8_t *payload;
	size_t payload_len;
	uint16_t protocol;

	if (c->ppp == NULL || c->fsm.state == CLIENT_ENDED || len == 0)
		return;
	if (ppp_decapsulate(bytes, len, &protocol, &payload, &payload_len) < 0) {
		c->n.gre_strange++;
	} else if (protocol == PPP_COMP) {
		decrypt(c, payload, payload_len);
	} else if (protocol == PPP_IP) {
		c->n.clear++;
	} else if (protocol < 0x8000) {
		ppp_unknown_protocol(c->ppp, protocol, payload, payload_len, false);
	} else {
		client_watch(c, protocol, payload, payload_len);
		ppp_input(c->ppp, protocol, payload, payload_len);
		mark_progress(c);
	}
}

void
client_gre_cb(void *arg)
{
	struct pptp_client *c = arg;
	struct gre_header h;
	uint64_t next_us;

	if (c->ppp == NULL || c->fsm.state == CLIENT_ENDED)
		return;
	if (gre_tx_ack(c->s.peer_call_id, &c->ack, &h))
		send_gre(c, &h, NULL, 0);
	next_us = gre_rx_tick(&c->rx, client_now_us(c), deliver, c);
	gre_ack_received(&c->ack, c->rx.last);
	if (next_us != UINT64_MAX && c->fsm.state != CLIENT_ENDED)
		timer_set(&c->gre_timer, next_us / 1000 + 1);
}

static void
receive(struct pptp_client *c, const struct gre_header *h, const struct rd *payload)
{
	c->n.gre_received++;
	/* It acknowledges a number of ours: what we send arrives there. */
	if (h->has_ack && h->ack != 0 && (int32_t)(c->tx.next - h->ack) > 0)
		c->seen.answered = true;
	if (!h->has_seq)
		return;
	gre_rx_input(&c->rx, client_now_us(c), h->seq, payload->p, rd_left(payload), deliver, c);
	gre_ack_received(&c->ack, c->rx.last);
	if (!timer_pending(&c->gre_timer) && c->fsm.state != CLIENT_ENDED)
		timer_set(&c->gre_timer, ACK_DELAY_MS);
}

/* TCP and GRE are not in step: what the server says first may come before its reply. */
static void
keep_early(struct pptp_client *c, const uint8_t *bytes, size_t len)
{
	uint8_t *copy;

	if (c->n_early == CLIENT_EARLY_MAX || (copy = malloc(len)) == NULL)
		return;
	memcpy(copy, bytes, len);
	c->early[c->n_early].bytes = copy;
	c->early[c->n_early++].len = len;
}

void
client_take_early(struct pptp_client *c)
{
	unsigned n = c->n_early;

	c->n_early = 0;
	for (unsigned i = 0; i < n; i++) {
		pptp_client_gre(c, c->early[i].bytes, c->early[i].len, 0);
		free(c->early[i].bytes);
	}
}

/* Other sessions of this host have GRE of their own; only a link that begins may be meant for us.
 */
static bool
begins_link(struct rd payload)
{
	return rd_u32(&payload) == (0xff030000u | PPP_LCP) && rd_u8(&payload) == CONF_REQ &&
	       rd_ok(&payload);
}

void
pptp_client_gre_from(struct pptp_client *c, uint32_t from, const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len), payload;
	struct gre_header h;

	if (c->fsm.state < CLIENT_CALLING || gre_parse(&r, &h, &payload) < 0 ||
	    h.call_id != c->s.call_id || !begins_link(payload))
		return;
	c->n.gre_strange++;
	c->seen.elsewhere = from;
}

void
pptp_client_gre(struct pptp_client *c, const uint8_t *bytes, size_t len, uint64_t arrived_us)
{
	struct rd r = rd_init(bytes, len), payload;
	struct gre_header h;
	int sound = gre_parse(&r, &h, &payload);

	if (c->fsm.state < CLIENT_CALLING || c->fsm.state == CLIENT_ENDED)
		return;
	if (sound < 0 || h.call_id != c->s.call_id) {
		c->n.gre_strange++;
		c->seen.wrong_call |= sound == 0 && begins_link(payload);
		return;
	}
	c->arrived_us = arrived_us;
	if (c->fsm.state == CLIENT_CALLING)
		keep_early(c, bytes, len);
	else
		receive(c, &h, &payload);
	c->arrived_us = 0;
}
