/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions.
 */
#include "tests/client/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/client/control.h"
#include "tests/client/gre_io.h"

#define RX_WINDOW           32
#define RX_TIMEOUT_US       100000
#define ACK_DELAY_MS        50
#define OPENED              9 /* RFC 1661 §4.2 */
#define MPPE_BITS           0x01000040u
#define CHAP_SUCCESS        3
#define CHAP_FAILURE        4
#define LCP_TERMINATE       5
#define LCP_PROTOCOL_REJECT 8
#define CCP_RESET_ACK       15
#define LCP_ECHO_FAILURE    4

static void
register_call(struct session *s, bool on)
{
	if (on)
		s->client->by_call[s->call_id] = s;
	else if (s->client->by_call[s->call_id] == s)
		s->client->by_call[s->call_id] = NULL;
}

struct session *
session_by_call_id(struct client *c, uint16_t call_id)
{
	return c->by_call[call_id];
}

/* ---- the end of a call ---- */

static void
add_stats(struct gre_rx_stats *sum, const struct gre_rx_stats *more)
{
	sum->delivered += more->delivered;
	sum->duplicate += more->duplicate;
	sum->late += more->late;
	sum->reordered += more->reordered;
	sum->lost += more->lost;
	sum->overflow += more->overflow;
	sum->suspect += more->suspect;
}

void
session_gre_stats(const struct session *s, struct gre_rx_stats *sum)
{
	*sum = s->n.rx_before;
	if (s->rx_live)
		add_stats(sum, &s->rx.stats);
}

static void
bury(struct session *s)
{
	timer_cancel(&s->bury_timer);
	timer_cancel(&s->gre_timer);
	timer_cancel(&s->hold_timer);
	ppp_free(s->ppp);
	s->ppp = NULL;
	if (s->rx_live) {
		add_stats(&s->n.rx_before, &s->rx.stats);
		gre_rx_fini(&s->rx);
	}
	s->rx_live = false;
	while (s->n_early > 0)
		free(s->early[--s->n_early].bytes);
	faults_drop(&s->tx_slot);
	faults_drop(&s->rx_slot);
	mppe_fini(&s->send_key);
	mppe_fini(&s->recv_key);
	s->armed = false;
}

static void
bury_cb(void *arg)
{
	bury(arg);
}

static void
settle(struct session *s)
{
	struct client *c = s->client;

	if (s->settled)
		return;
	s->settled = true;
	c->settled++;
	if (--s->control->unsettled == 0) {
		c->in_setup--;
		client_dial_more(c);
	}
	client_check_end(c);
}

/* The call is over, for whatever reason. The connection may live on. */
static void
end(struct session *s, enum reason why, const char *detail)
{
	struct client *c = s->client;
	bool was_up = s->state == SESSION_UP, closing = s->state == SESSION_CLOSING;

	if (s->state == SESSION_IDLE && !s->wanted)
		return;
	s->state = SESSION_IDLE;
	s->wanted = false;
	s->link_up = false;
	register_call(s, false);
	timer_cancel(&s->timer);
	timer_set(&s->bury_timer, 0);
	if (closing || c->ending) {
		settle(s);
		return;
	}
	s->why = why;
	snprintf(s->detail, sizeof(s->detail), "%s", detail);
	log_info("session %s session=%u reason=%s detail=\"%s\"", was_up ? "lost" : "failed",
	    s->number, reason_name(why), s->detail);
	if (was_up) {
		s->lost = true;
		s->lost_ms = loop_now_ms(c->loop);
	}
	if (s->ever_up && c->o->redial && !c->stopping) {
		s->wanted = true;
		control_want(s->control);
	} else {
		traffic_stop(&s->traffic);
	}
	settle(s);
}

/*
 * Why a server that says goodbye does so. The text in its Terminate-Request is a help, no proof;
 * and its Call-Disconnect-Notify may come while our link still answers.
 */
static enum reason
reason_of_peer(const struct session *s, enum reason otherwise)
{
	if (s->state != SESSION_LINK)
		return otherwise;
	if (s->n.received == 0)
		return REASON_GRE_SILENT;
	if (s->chap_error != 0)
		return REASON_AUTH_FAILED;
	if (strstr(s->said, "no-address") != NULL)
		return REASON_NO_ADDRESS;
	if (s->marks[STEP_AUTH] != 0 && !s->config.offer_mppe)
		return REASON_MPPE_REFUSED;
	if (s->marks[STEP_AUTH] == 0 && s->config.offer_pap_only)
		return REASON_AUTH_REFUSED;
	return otherwise;
}

static void
clear_call(struct session *s)
{
	control_send(s->control, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = s->call_id});
}

static void
end_call(struct session *s, enum reason why, const char *detail)
{
	clear_call(s);
	end(s, why, detail);
	control_release(s->control);
}

void
session_cleared(struct session *s)
{
	end(s, reason_of_peer(s, REASON_CALL_CLEARED),
	    s->said[0] != '\0' ? s->said : "Call-Disconnect-Notify");
	control_release(s->control);
}

void
session_control_lost(struct session *s, enum reason why)
{
	if (s->state != SESSION_IDLE || s->wanted)
		end(s, why, "control connection");
}

static void
timer_cb(void *arg)
{
	struct session *s = arg;
	enum reason why = REASON_OCRP_TIMEOUT;

	if (s->state == SESSION_LINK)
		why = s->n.received == 0         ? REASON_GRE_SILENT
		      : s->marks[STEP_LCP] == 0  ? REASON_LCP
		      : s->marks[STEP_AUTH] == 0 ? REASON_AUTH_TIMEOUT
		      : s->marks[STEP_CCP] == 0  ? REASON_MPPE_REFUSED
						 : REASON_IPCP;
	end_call(s, why, "timeout");
}

/* ---- GRE ---- */

static void
emit_cb(void *arg, const uint8_t *bytes, size_t len)
{
	struct session *s = arg;

	gre_io_send(s->client, s->control->local_ip, bytes, len);
}

static void
hold_cb(void *arg)
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

static void
gre_timer_cb(void *arg)
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

static void
take_early(struct session *s)
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
	if (sane || skipped == 0)
		mppe_commit(&s->recv_key, &next);
	else
		mppe_fini(&next);
	s->n.skipped += sane ? skipped : 0;
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
	s->n.reset_acks += protocol == PPP_CCP && code == CCP_RESET_ACK;
	s->n.protocol_rejects += protocol == PPP_LCP && code == LCP_PROTOCOL_REJECT;
}

static void
mark(struct session *s, enum step step)
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
		mark(s, STEP_LCP);
	if (p.ccp_state == OPENED)
		mark(s, STEP_CCP);
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

/* ---- the link's callbacks ---- */

static void
link_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct session *s = arg;
	uint8_t frame[SESSION_FRAME_MAX];
	struct wr w = wr_init(frame, sizeof(frame));

	if (s->state == SESSION_IDLE)
		return;
	wr_u16(&w, 0xff03);
	wr_u16(&w, protocol);
	wr_copy(&w, payload, len);
	if (wr_ok(&w))
		session_send_ppp(s, frame, wr_len(&w));
}

static void
link_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct session *s = arg;

	mppe_init(&s->send_key, send_key);
	mppe_init(&s->recv_key, recv_key);
	s->armed = true;
	s->verified = s->success_seen;
	mark(s, STEP_AUTH);
}

static void
link_peer_address(void *arg, uint32_t peer_ip)
{
	(void)arg;
	(void)peer_ip;
}

static void
record_steps(struct session *s)
{
	struct client *c = s->client;
	uint64_t before = s->began_us;

	for (enum step i = STEP_TCP; i <= STEP_IPCP; i++) {
		if (s->marks[i] == 0)
			continue;
		if (s->marks[i] >= before)
			samples_add(&c->steps[i], s->marks[i] - before);
		before = s->marks[i];
	}
	s->marks[STEP_TOTAL] = before;
	samples_add(&c->steps[STEP_TOTAL], before - s->began_us);
}

static void
came_up(struct session *s)
{
	struct client *c = s->client;

	s->state = SESSION_UP;
	s->control->redials = 0;
	timer_cancel(&s->timer);
	if (!s->ever_up) {
		record_steps(s);
		c->connected++;
		c->last_up_us = client_now_us();
	} else {
		s->redials++;
		s->lost = false;
		samples_add(&c->redial, loop_now_ms(c->loop) - s->lost_ms);
	}
	s->ever_up = true;
}

static void
link_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct session *s = arg;
	struct ppp_state p;

	if (s->state != SESSION_LINK && s->state != SESSION_UP)
		return;
	ppp_get_state(s->ppp, &p);
	mark(s, STEP_IPCP);
	if (p.ccp_state == OPENED)
		mark(s, STEP_CCP);
	s->address = a->local_ip;
	s->mtu = mtu;
	s->mppe_bits = p.ccp_bits;
	s->compress_protocol = p.peer_pfc;
	s->compress_address = p.peer_acfc;
	memcpy(s->dns, p.dns, sizeof(s->dns));
	s->link_up = true;
	if (s->state == SESSION_LINK)
		came_up(s);
	traffic_start(&s->traffic);
	settle(s);
}

static void
link_down(void *arg)
{
	struct session *s = arg;

	s->link_up = false;
}

static enum reason
reason_of(const struct session *s, enum ppp_cause cause)
{
	switch (cause) {
	case PPP_CAUSE_PEER:
		return reason_of_peer(s, REASON_CLOSED_BY_PEER);
	case PPP_CAUSE_NEGOTIATION:
		if (s->n.received == 0)
			return REASON_GRE_SILENT;
		return s->marks[STEP_LCP] == 0 ? REASON_LCP : REASON_IPCP;
	case PPP_CAUSE_AUTH_REFUSED:
		return REASON_AUTH_REFUSED;
	case PPP_CAUSE_AUTH_FAILED:
		return REASON_AUTH_FAILED;
	case PPP_CAUSE_AUTH_TIMEOUT:
		return REASON_AUTH_TIMEOUT;
	case PPP_CAUSE_SERVER_FALSE:
		return REASON_SERVER_FALSE;
	case PPP_CAUSE_NO_MPPE:
	case PPP_CAUSE_REKEY_REFUSED:
		return REASON_MPPE_REFUSED;
	case PPP_CAUSE_NO_ADDRESS:
		return REASON_NO_ADDRESS;
	case PPP_CAUSE_ECHO:
		return REASON_ECHO;
	default:
		return REASON_LOCAL;
	}
}

static void
link_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	struct session *s = arg;

	if (s->state != SESSION_IDLE)
		end_call(s, reason_of(s, cause), detail);
}

static const struct ppp_ops link_ops = {
    .send = link_send,
    .keys = link_keys,
    .peer_address = link_peer_address,
    .up = link_up,
    .down = link_down,
    .finished = link_finished,
};

/* ---- the beginning of a call ---- */

static uint16_t
new_call_id(struct session *s)
{
	struct client *c = s->client;

	if (c->o->call_id >= 0)
		return (uint16_t)(c->o->call_id + (int)s->number);
	do
		c->next_call_id++;
	while (c->next_call_id == 0 || c->by_call[c->next_call_id] != NULL);
	return c->next_call_id;
}

static void
reset(struct session *s)
{
	struct control *c = s->control;
	bool first = s->number == (unsigned)(c->sessions - s->client->sessions);

	bury(s);
	memset(s->marks, 0, sizeof(s->marks));
	s->began_us = client_now_us();
	if (first) {
		s->began_us = c->dial_us;
		s->marks[STEP_TCP] = c->tcp_us;
		s->marks[STEP_START] = c->start_us;
	}
	s->n.received = 0;
	s->success_seen = s->verified = false;
	s->chap_error = 0;
	s->said[0] = '\0';
	gre_rx_init(&s->rx, RX_WINDOW, RX_TIMEOUT_US);
	s->rx_live = true;
	memset(&s->ack, 0, sizeof(s->ack));
	/* Linux and Windows clients both begin with 1. */
	s->tx = (struct gre_tx){.next = 1};
}

void
session_call(struct session *s)
{
	const struct options *o = s->client->o;
	bool windows = o->style == PPP_STYLE_WINDOWS;
	struct pptp_message m = {.type = PPTP_OCRQ,
	    .min_bps = windows ? 300 : 2400,
	    .max_bps = windows ? 100000000 : 10000000,
	    .bearer = 3,
	    .framing = 3,
	    .window = windows ? 64 : 3};

	reset(s);
	s->wanted = false;
	s->state = SESSION_CALLING;
	s->call_id = new_call_id(s);
	register_call(s, true);
	m.call_id = s->call_id;
	m.serial = (uint16_t)s->number;
	timer_set(&s->timer, (uint64_t)o->timeout_s * 1000);
	control_send(s->control, &m);
}

void
session_call_reply(struct session *s, const struct pptp_message *m)
{
	char detail[48];

	if (s->state != SESSION_CALLING)
		return;
	if (m->result > 1) {
		snprintf(detail, sizeof(detail), "result %u error %u", m->result, m->error);
		end(s, REASON_OCRP_RESULT, detail);
		control_release(s->control);
		return;
	}
	mark(s, STEP_CALL);
	s->peer_call_id = s->tx.peer_call_id = m->call_id;
	s->state = SESSION_LINK;
	timer_set(&s->timer, (uint64_t)s->client->o->timeout_s * 1000);
	if (s->client->o->style == PPP_STYLE_WINDOWS)
		control_send(s->control, &(struct pptp_message){.type = PPTP_SLI,
					     .peer_call_id = s->peer_call_id,
					     .send_accm = 0xffffffff,
					     .recv_accm = 0xffffffff});
	if (s->state != SESSION_LINK)
		return;
	s->ppp = ppp_new(s->client->loop, &s->config, &link_ops, s);
	if (s->ppp == NULL) {
		end_call(s, REASON_LOCAL, "out of memory");
		return;
	}
	ppp_open(s->ppp);
	take_early(s);
}

void
session_close(struct session *s)
{
	if (s->state == SESSION_UP || s->state == SESSION_LINK) {
		s->state = SESSION_CLOSING;
		ppp_close(s->ppp, PPP_CAUSE_LOCAL);
	} else if (s->state == SESSION_CALLING || s->wanted) {
		end(s, REASON_LOCAL, "the run ends");
	}
}

/* The name with %d replaced by the number; no other sign means anything. */
static void
fill_in(char out[static SESSION_NAME_MAX], const char *name, unsigned number)
{
	const char *at = strstr(name, "%d");

	if (at == NULL)
		snprintf(out, SESSION_NAME_MAX, "%s", name);
	else
		snprintf(out, SESSION_NAME_MAX, "%.*s%u%s", (int)(at - name), name, number, at + 2);
}

void
session_init(struct session *s, struct client *c, struct control *control, unsigned number)
{
	const struct options *o = c->o;

	*s = (struct session){.client = c, .control = control, .number = number, .wanted = true};
	fill_in(s->user, o->user, number);
	fill_in(s->password, o->password, number);
	ppp_config_defaults(&s->config);
	s->config.style = o->style;
	s->config.name = s->user;
	s->config.password = s->password;
	s->config.request_dns = true;
	s->config.offer_mppe = !o->no_mppe;
	s->config.offer_pap_only = o->pap_only;
	s->config.echo_interval_s = (uint16_t)o->lcp_echo_s;
	s->config.echo_failure = LCP_ECHO_FAILURE;
	timer_init(&s->timer, c->loop, timer_cb, s);
	timer_init(&s->gre_timer, c->loop, gre_timer_cb, s);
	timer_init(&s->hold_timer, c->loop, hold_cb, s);
	timer_init(&s->bury_timer, c->loop, bury_cb, s);
	traffic_init(&s->traffic, s);
}

void
session_fini(struct session *s)
{
	s->state = SESSION_IDLE;
	timer_cancel(&s->timer);
	traffic_fini(&s->traffic);
	bury(s);
	explicit_bzero(s->password, sizeof(s->password));
}
