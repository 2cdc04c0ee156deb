/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way of a session's bytes: GRE numbers, faults on the way out, MPPE, and the choice between
 * the link and the traffic on the way in.
 */
#include "tests/client/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/client/control.h"
#include "tests/client/gre_io.h"

#define ACK_DELAY_MS        50
#define CHAP_SUCCESS        3
#define CHAP_FAILURE        4
#define LCP_TERMINATE       5
#define LCP_PROTOCOL_REJECT 8
#define CCP_RESET_REQUEST   14
#define CCP_RESET_ACK       15
#define RESET_EVERY_MS      1000
#define OPENED              9 /* RFC 1661 §4.2 */

static void
emit_cb(void *arg, const uint8_t *bytes, size_t len)
{
	struct session *s = arg;

	gre_io_send(s->client, s->control->local_ip, bytes, len);
}

void
session_hold_cb(void *arg)
{
	struct session *s = arg;

	faults_flush(&s->tx_slot, emit_cb, s);
}

static void
send_gre(struct session *s, const struct gre_header *h, const uint8_t *payload, size_t len)
{
	uint8_t bytes[GRE_HEADER_MAX + SESSION_FRAME_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));
	size_t header;

	gre_encode(&w, h);
	header = wr_len(&w);
	wr_copy(&w, payload, len);
	if (!wr_ok(&w))
		return;
	if (h->has_ack)
		s->n.acks_sent++;
	/* Set-up is spared: what is tested is that an established session lives. Lone
	 * acknowledgements are spared: they take no number, so the far end could not count what
	 * happened to them. */
	if (s->state != SESSION_UP || !h->has_seq || !faults_any(&s->client->faults)) {
		emit_cb(s, bytes, wr_len(&w));
		return;
	}
	faults_pass(&s->client->faults, &s->tx_slot, bytes, wr_len(&w), header, emit_cb, s);
	if (s->tx_slot.held != NULL)
		timer_set(&s->hold_timer, FAULTS_HOLD_MS);
}

void
session_send_ppp(struct session *s, const uint8_t *frame, size_t len)
{
	struct gre_header h = gre_tx_data(&s->tx, &s->ack, (uint16_t)len);

	send_gre(s, &h, frame, len);
}

static void deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len);

void
session_gre_cb(void *arg)
{
	struct session *s = arg;
	struct gre_header h;
	uint64_t next_us;

	if (s->state == SESSION_IDLE)
		return;
	if (gre_tx_ack(s->peer_call_id, &s->ack, &h))
		send_gre(s, &h, NULL, 0);
	next_us = gre_rx_tick(&s->rx, client_now_us(), deliver, s);
	gre_ack_received(&s->ack, s->rx.last);
	if (next_us != UINT64_MAX && s->state != SESSION_IDLE)
		timer_set(&s->gre_timer, next_us / 1000 + 1);
}

/* As pptp.c: nothing is put right, and an acknowledgement never travels alone. */
static void
receive_strict(struct session *s, uint32_t seq, const struct rd *payload)
{
	if (!strict_take(&s->strict, seq, payload->p, rd_left(payload)))
		return;
	gre_ack_received(&s->ack, seq);
	deliver(s, seq, payload->p, rd_left(payload));
}

static void
receive_one(void *arg, const uint8_t *bytes, size_t len)
{
	struct session *s = arg;
	struct rd r = rd_init(bytes, len), payload;
	struct gre_header h;

	if (gre_parse(&r, &h, &payload) < 0) {
		s->n.bad_header++;
		return;
	}
	s->n.received++;
	if (h.has_ack) {
		s->n.acks_received++;
		if ((int32_t)(h.ack - s->tx.peer_acked) > 0)
			s->tx.peer_acked = h.ack;
	}
	if (!h.has_seq)
		return;
	s->heard_us = client_now_us();
	if (s->client->o->strict) {
		receive_strict(s, h.seq, &payload);
		return;
	}
	gre_rx_input(&s->rx, client_now_us(), h.seq, payload.p, rd_left(&payload), deliver, s);
	gre_ack_received(&s->ack, s->rx.last);
	if (s->state != SESSION_IDLE && !timer_pending(&s->gre_timer))
		timer_set(&s->gre_timer, ACK_DELAY_MS);
}

/* TCP and GRE are not in step: what the server says first may come before its reply. */
static void
keep_early(struct session *s, const uint8_t *bytes, size_t len)
{
	uint8_t *copy;

	if (s->n_early == SESSION_EARLY_MAX || (copy = malloc(len)) == NULL)
		return;
	memcpy(copy, bytes, len);
	s->early[s->n_early].bytes = copy;
	s->early[s->n_early++].len = len;
}

void
session_take_early(struct session *s)
{
	unsigned n = s->n_early;

	s->n_early = 0;
	for (unsigned i = 0; i < n; i++) {
		receive_one(s, s->early[i].bytes, s->early[i].len);
		free(s->early[i].bytes);
	}
}

void
session_receive(struct session *s, const uint8_t *bytes, size_t len)
{
	if (s->state == SESSION_CALLING)
		keep_early(s, bytes, len);
	else if (s->state == SESSION_UP && faults_any(&s->client->faults_receive))
		faults_pass(
		    &s->client->faults_receive, &s->rx_slot, bytes, len, len, receive_one, s);
	else
		receive_one(s, bytes, len);
}

/* ---- data ---- */

/* What pppd sends when its kernel could not decrypt, once a second at most. */
static void
request_reset(struct session *s)
{
	uint64_t now_ms = loop_now_ms(s->client->loop);
	uint8_t frame[] = {
	    0xff, 0x03, PPP_CCP >> 8, PPP_CCP & 0xff, CCP_RESET_REQUEST, ++s->reset_id, 0, 4};

	if (s->reset_ms != 0 && now_ms - s->reset_ms < RESET_EVERY_MS)
		return;
	s->reset_ms = now_ms;
	session_send_ppp(s, frame, sizeof(frame));
}

/* A key that cannot be reached halts a Linux client until its Reset-Request is answered. */
static bool
is_halted(struct session *s, enum mppe_verdict verdict)
{
	if (!s->client->o->strict || (verdict != MPPE_LATE && !s->strict.halted))
		return false;
	if (s->strict.halted)
		s->n.halted++;
	else
		strict_too_far(&s->strict);
	request_reset(s);
	return true;
}

static void
decrypt(struct session *s, const uint8_t *bytes, size_t len)
{
	uint8_t plain[SESSION_FRAME_MAX];
	enum mppe_verdict verdict = MPPE_MALFORMED;
	uint32_t skipped = 0;
	struct mppe next;
	struct packet p;
	struct rd r;
	uint16_t protocol;
	bool sane;

	s->n.encrypted_received++;
	if (!s->armed || len > sizeof(plain)) {
		s->n.mppe_bad++;
		return;
	}
	verdict = mppe_decrypt(&s->recv_key, bytes, len, plain, &next, &skipped);
	if (is_halted(s, verdict)) {
		mppe_fini(&next);
		return;
	}
	if (verdict != MPPE_OK) {
		*(verdict == MPPE_LATE ? &s->n.mppe_late : &s->n.mppe_bad) += 1;
		mppe_fini(&next);
		return;
	}
	r = rd_init(plain, len - MPPE_HEADER_LEN);
	protocol = rd_u8(&r);
	if ((protocol & 1) == 0)
		protocol = (uint16_t)(protocol << 8 | rd_u8(&r));
	errno = 0;
	sane = rd_ok(&r) && protocol == PPP_IP &&
	       (packet_parse(r.p, rd_left(&r), &p) == 0 || errno == ENOMSG) && p.dst == s->address;
	/* A strict receiver believes the count, whatever comes out. */
	if (sane || skipped == 0 || s->client->o->strict)
		mppe_commit(&s->recv_key, &next);
	else
		mppe_fini(&next);
	s->n.skipped += sane ? skipped : 0;
	strict_keys(&s->strict, skipped);
	if (!sane)
		s->n.insane++;
	else if (errno == 0)
		traffic_answer(&s->traffic, &p);
}

/* What the library does not tell: the error's number, and that the server did prove itself. */
static void
watch(struct session *s, uint16_t protocol, const uint8_t *payload, size_t len)
{
	uint8_t code = len > 0 ? payload[0] : 0;
	const char *text;
	char copy[64] = "";

	if (protocol == PPP_CHAP && len > 4 && (code == CHAP_FAILURE || code == CHAP_SUCCESS)) {
		memcpy(copy, payload + 4, len - 4 < sizeof(copy) - 1 ? len - 4 : sizeof(copy) - 1);
		if (code == CHAP_SUCCESS)
			s->success_seen = strncmp(copy, "S=", 2) == 0;
		else if ((text = strstr(copy, "E=")) != NULL)
			s->chap_error = (unsigned)strtoul(text + 2, NULL, 10);
	}
	if (protocol == PPP_LCP && code == LCP_TERMINATE && len > 4)
		snprintf(
		    s->said, sizeof(s->said), "%s", log_quote((const char *)payload + 4, len - 4));
	if (protocol == PPP_CCP && code == CCP_RESET_ACK) {
		s->n.reset_acks++;
		s->strict.halted = false;
	}
	s->n.protocol_rejects += protocol == PPP_LCP && code == LCP_PROTOCOL_REJECT;
}

void
session_mark(struct session *s, enum step step)
{
	if (s->marks[step] == 0)
		s->marks[step] = client_now_us();
}

static void
mark_progress(struct session *s)
{
	struct ppp_state p;

	if (s->state != SESSION_LINK)
		return;
	ppp_get_state(s->ppp, &p);
	if (p.lcp_state == OPENED)
		session_mark(s, STEP_LCP);
	if (p.ccp_state == OPENED)
		session_mark(s, STEP_CCP);
}

static void
deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct session *s = arg;
	const uint8_t *payload;
	size_t payload_len;
	uint16_t protocol;

	(void)seq;
	if (s->state == SESSION_IDLE || s->ppp == NULL || len == 0)
		return;
	if (ppp_decapsulate(bytes, len, &protocol, &payload, &payload_len) < 0) {
		s->n.frame_bad++;
	} else if (protocol == PPP_COMP) {
		decrypt(s, payload, payload_len);
	} else if (protocol == PPP_IP) {
		s->n.clear_ip++;
	} else if (protocol < 0x8000) {
		ppp_unknown_protocol(s->ppp, protocol, payload, payload_len, false);
	} else {
		watch(s, protocol, payload, payload_len);
		ppp_input(s->ppp, protocol, payload, payload_len);
		mark_progress(s);
	}
}

static void
put_protocol(struct session *s, struct wr *w, uint16_t protocol)
{
	if (!s->compress_protocol || protocol > 0xff)
		wr_u16(w, protocol);
	else
		wr_u8(w, (uint8_t)protocol);
}

size_t
session_encrypt(struct session *s, uint16_t protocol, const uint8_t *bytes, size_t len,
    uint8_t out[static SESSION_FRAME_MAX])
{
	uint8_t plain[SESSION_FRAME_MAX];
	struct wr p = wr_init(plain, sizeof(plain)), w = wr_init(out, SESSION_FRAME_MAX);
	uint8_t *at;

	put_protocol(s, &p, protocol);
	wr_copy(&p, bytes, len);
	if (!s->compress_address)
		wr_u16(&w, 0xff03);
	put_protocol(s, &w, PPP_COMP);
	at = wr_reserve(&w, MPPE_HEADER_LEN + wr_len(&p));
	if (!s->armed || !wr_ok(&p) || !wr_ok(&w))
		return 0;
	mppe_encrypt(&s->send_key, plain, wr_len(&p), at);
	return wr_len(&w);
}

bool
session_send_ip(struct session *s, const uint8_t *packet, size_t len)
{
	uint8_t frame[SESSION_FRAME_MAX];
	size_t n;

	if (s->state != SESSION_UP || !s->link_up ||
	    (n = session_encrypt(s, PPP_IP, packet, len, frame)) == 0)
		return false;
	s->n.encrypted_sent++;
	session_send_ppp(s, frame, n);
	return true;
}
