/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions.
 */
#include "tests/client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/client/control.h"
#include "tests/client/keylog.h"

#define RX_WINDOW        32
#define RX_TIMEOUT_US    100000
#define OPENED           9 /* RFC 1661 §4.2 */
#define LCP_ECHO_FAILURE 4

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
	keylog_end(s, closing || c->ending, reason_name(why));
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
		s->losses++;
		s->lost_why = why;
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
	/* Not when it was the far end that began. */
	if (why != REASON_TERMINATED && why != REASON_CLOSED_BY_PEER)
		keylog_end(s, true, reason_name(why));
	clear_call(s);
	end(s, why, detail);
	control_release(s->control);
}

void
session_cleared(struct session *s)
{
	s->clear_answered = s->cleared;
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
	keylog_end(s, true, "new keys");
	keylog_call(s, send_key, recv_key);
	s->verified = s->success_seen;
	session_mark(s, STEP_AUTH);
}

static void
link_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	(void)arg;
	(void)a;
	(void)mtu;
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
	session_mark(s, STEP_IPCP);
	if (p.ccp_state == OPENED)
		session_mark(s, STEP_CCP);
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
		if (s->state == SESSION_UP)
			return REASON_TERMINATED;
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
	strict_init(&s->strict, c->client->o->missing_window);
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
	session_mark(s, STEP_CALL);
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
	session_take_early(s);
}

void
session_close(struct session *s)
{
	if (s->state == SESSION_UP || s->state == SESSION_LINK) {
		keylog_end(s, true, "close");
		s->state = SESSION_CLOSING;
		ppp_close(s->ppp, PPP_CAUSE_LOCAL);
	} else if (s->state == SESSION_CALLING || s->wanted) {
		end(s, REASON_LOCAL, "the run ends");
	}
}

bool
session_clear(struct session *s)
{
	if (s->state != SESSION_UP)
		return false;
	keylog_end(s, true, "clear");
	s->cleared = true;
	s->clear_answered = false;
	s->state = SESSION_CLOSING;
	traffic_stop(&s->traffic);
	clear_call(s);
	return true;
}

bool
session_link_info(struct session *s)
{
	if (s->state != SESSION_UP)
		return false;
	control_send(s->control, &(struct pptp_message){.type = PPTP_SLI,
				     .peer_call_id = s->peer_call_id,
				     .send_accm = 0xffffffff,
				     .recv_accm = 0xffffffff});
	return s->state == SESSION_UP;
}

void
session_unreachable(struct session *s, unsigned code)
{
	char detail[32];

	snprintf(detail, sizeof(detail), "ICMP code %u", code);
	if (s->state == SESSION_UP || s->state == SESSION_LINK)
		end_call(s, REASON_UNREACHABLE, detail);
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
	timer_init(&s->gre_timer, c->loop, session_gre_cb, s);
	timer_init(&s->hold_timer, c->loop, session_hold_cb, s);
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
