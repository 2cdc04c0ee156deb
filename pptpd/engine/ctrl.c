/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections: the state machine and its timers.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOP_TIMEOUT 3000 /* ms that we wait for a Stop-Control-Connection-Reply */

#define RESULT_OK           1
#define RESULT_GENERAL      2 /* with an error code */
#define RESULT_VERSION      5 /* RFC 2637 §2.2: protocol version not supported */
#define ERROR_NOT_CONNECTED 1
#define ERROR_BAD_VALUE     3

static const char *const ctrl_states[] = {"wait-start", "established", "wait-stop", "closed"};
static const char *const ctrl_events[] = {"", "SCCRQ", "SCCRP", "StopCCRQ", "StopCCRP", "EchoRQ",
    "EchoRP", "OCRQ", "OCRP", "ICRQ", "ICRP", "ICCN", "CCRQ", "CDN", "WEN", "SLI", "unknown",
    "stop", "close"};

static void on_start(void *object, void *detail);
static void on_start_again(void *object, void *detail);
static void on_stop_request(void *object, void *detail);
static void on_stop_reply(void *object, void *detail);
static void on_echo_request(void *object, void *detail);
static void on_echo_reply(void *object, void *detail);
static void on_outgoing_call(void *object, void *detail);
static void on_incoming_call(void *object, void *detail);
static void on_call_clear(void *object, void *detail);
static void on_disconnect_notify(void *object, void *detail);
static void on_link_info(void *object, void *detail);
static void on_before_start(void *object, void *detail);
static void say_stop(void *object, void *detail);

/* RFC 2637 §3.1.2, receiver of the connection. */
static const struct fsm_row ctrl_rows[] = {
    {CTRL_WAIT_START, PPTP_SCCRQ, on_start, CTRL_ESTABLISHED},
    {CTRL_WAIT_START, PPTP_STOP_RQ, on_stop_request, FSM_STAY},
    {CTRL_WAIT_START, PPTP_OCRQ, on_before_start, FSM_STAY},
    {CTRL_WAIT_START, PPTP_ICRQ, on_before_start, FSM_STAY},
    {CTRL_WAIT_START, PPTP_ECHO_RQ, on_echo_request, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_SCCRQ, on_start_again, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_STOP_RQ, on_stop_request, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_ECHO_RQ, on_echo_request, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_ECHO_RP, on_echo_reply, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_OCRQ, on_outgoing_call, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_ICRQ, on_incoming_call, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_CCRQ, on_call_clear, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_CDN, on_disconnect_notify, FSM_STAY},
    {CTRL_ESTABLISHED, PPTP_SLI, on_link_info, FSM_STAY},
    {CTRL_ESTABLISHED, CTRL_EVENT_STOP, say_stop, CTRL_WAIT_STOP},
    {CTRL_WAIT_STOP, PPTP_STOP_RP, on_stop_reply, FSM_STAY},
    {CTRL_WAIT_STOP, PPTP_STOP_RQ, on_stop_request, FSM_STAY},
    {CTRL_WAIT_STOP, PPTP_ECHO_RQ, on_echo_request, FSM_STAY},
    {CTRL_CLOSED, CTRL_EVENT_CLOSE, NULL, FSM_STAY},
    {FSM_ANY, CTRL_EVENT_CLOSE, ctrl_end, CTRL_CLOSED},
};

const struct fsm_table ctrl_table = {
    .name = "control",
    .states = ctrl_states,
    .events = ctrl_events,
    .n_states = 4,
    .n_events = CTRL_EVENT_MAX,
    .rows = ctrl_rows,
    .n_rows = sizeof ctrl_rows / sizeof ctrl_rows[0],
};

/* ---- timers: half-open, without a call, echo ---- */

/* Milliseconds since the client gave a sign of life, on the connection or in any of its calls. */
static uint64_t
silence_ms(const struct ctrl *c)
{
	uint64_t now = loop_now_ms(c->engine->loop), last = c->last_rx_ms;
	struct session *s;
	struct dp_counters n;

	TAILQ_FOREACH(s, &c->sessions, entry)
	{
		if (s->dp == NULL)
			continue;
		dp_session_counters(s->dp, &n);
		if (n.last_rx_ms > last)
			last = n.last_rx_ms;
	}
	return now > last ? now - last : 0;
}

void
ctrl_set_timer(struct ctrl *c)
{
	const struct settings *conf = c->config->settings;

	switch (c->fsm.state) {
	case CTRL_WAIT_START:
		timer_set(&c->timer, (uint64_t)conf->stimeout_s * 1000);
		break;
	case CTRL_ESTABLISHED:
		if (c->n_sessions == 0)
			timer_set(&c->timer, (uint64_t)conf->control_timeout_s * 1000);
		else if (conf->echo_interval_s > 0)
			timer_set(&c->timer, (uint64_t)conf->echo_interval_s * 1000);
		else
			timer_cancel(&c->timer);
		break;
	default:
		timer_set(&c->timer, STOP_TIMEOUT);
		break;
	}
}

void
ctrl_spread_timer(struct ctrl *c)
{
	uint64_t left;

	ctrl_set_timer(c);
	if (!timer_pending(&c->timer))
		return;
	left = c->timer.due_ms - loop_now_ms(c->engine->loop);
	timer_set(&c->timer, 1 + (c->id * 0x9e3779b97f4a7c15u >> 32) % (left + 1));
}

static void
echo_due(struct ctrl *c)
{
	const struct settings *conf = c->config->settings;
	uint64_t interval = (uint64_t)conf->echo_interval_s * 1000, silent = silence_ms(c);
	uint64_t waited = loop_now_ms(c->engine->loop) - c->echo_sent_ms;

	if (silent < interval) {
		c->echo_pending = false;
		timer_set(&c->timer, interval - silent);
		return;
	}
	if (c->echo_pending && waited >= (uint64_t)conf->echo_timeout_s * 1000) {
		ctrl_close(c, "no answer to Echo-Request");
		return;
	}
	if (!c->echo_pending) {
		c->echo_pending = true;
		c->echo_sent_ms = loop_now_ms(c->engine->loop);
		c->echo_id++;
		ctrl_send(c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = c->echo_id});
		waited = 0;
	}
	if (!c->gone)
		timer_set(&c->timer, (uint64_t)conf->echo_timeout_s * 1000 - waited);
}

void
ctrl_timer_cb(void *arg)
{
	struct ctrl *c = arg;

	switch (c->fsm.state) {
	case CTRL_WAIT_START:
		ctrl_close(c, "no Start-Control-Connection-Request in time");
		break;
	case CTRL_ESTABLISHED:
		if (c->n_sessions == 0)
			ctrl_stop(c, CTRL_STOP_SHUTDOWN);
		else
			echo_due(c);
		break;
	case CTRL_CLOSED: /* the standby takes too long */
		ctrl_finish(c);
		break;
	default:
		ctrl_close(c, "no Stop-Control-Connection-Reply");
		break;
	}
}

/* ---- the state machine's actions ---- */

static void
on_start(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;
	struct pptp_message reply = {
	    .type = PPTP_SCCRP,
	    .version = PPTP_VERSION,
	    .result = RESULT_OK,
	    .framing = 3,
	    .bearer = 3,
	    .max_channels = 0,
	    .firmware = 1,
	    .host = "pptp-ha",
	    .vendor = "pptp-ha",
	};

	ctrl_stranger(c);
	if (m->version != PPTP_VERSION) {
		reply.result = RESULT_VERSION;
		ctrl_send(c, &reply);
		ctrl_close(c, "protocol version not supported");
		return;
	}
	c->peer_max_channels = m->max_channels;
	c->buffers_gaps = strcmp(m->vendor, "cananian") == 0; /* pptp-linux */
	log_debug("control connection established peer=%s host=\"%s\" vendor=\"%s\"", c->name,
	    log_quote(m->host, strlen(m->host)), log_quote(m->vendor, strlen(m->vendor)));
	ctrl_send(c, &reply);
	if (!c->gone)
		ctrl_set_timer(c);
}

static void
on_start_again(void *object, void *detail)
{
	struct ctrl *c = object;

	/* RFC 2637 §2.2, result 3: the connection exists already. It goes on. */
	(void)detail;
	ctrl_send(c, &(struct pptp_message){.type = PPTP_SCCRP,
			 .version = PPTP_VERSION,
			 .result = 3,
			 .framing = 3,
			 .bearer = 3,
			 .firmware = 1,
			 .host = "pptp-ha",
			 .vendor = "pptp-ha"});
}

static void
on_before_start(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;

	if (m->type == PPTP_OCRQ)
		ctrl_send(c, &(struct pptp_message){.type = PPTP_OCRP,
				 .peer_call_id = m->call_id,
				 .result = RESULT_GENERAL,
				 .error = ERROR_NOT_CONNECTED});
}

static void
on_stop_request(void *object, void *detail)
{
	struct ctrl *c = object;

	(void)detail;
	ctrl_send(c, &(struct pptp_message){.type = PPTP_STOP_RP, .result = RESULT_OK});
	ctrl_close(c, "the client stopped it");
}

static void
on_stop_reply(void *object, void *detail)
{
	(void)detail;
	ctrl_close(object, "stopped");
}

static void
on_echo_request(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;

	c->peer_echo_id = m->echo_id;
	ctrl_send(c, &(struct pptp_message){
			 .type = PPTP_ECHO_RP, .echo_id = m->echo_id, .result = RESULT_OK});
}

static void
on_echo_reply(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;

	/* A foreign identifier is still a sign of life: closing for it would help nobody. */
	if (m->echo_id == c->echo_id)
		c->echo_pending = false;
	else
		c->engine->stats.control_ignored++;
}

static void
on_outgoing_call(void *object, void *detail)
{
	session_open(object, detail);
}

/* We are a PAC without telephone lines: nobody can ask us to take an incoming call. */
static void
on_incoming_call(void *object, void *detail)
{
	const struct pptp_message *m = detail;

	ctrl_send(object, &(struct pptp_message){.type = PPTP_ICRP,
			      .peer_call_id = m->call_id,
			      .result = RESULT_GENERAL,
			      .error = ERROR_BAD_VALUE});
}

static struct session *
session_by_own_id(struct ctrl *c, uint16_t call_id)
{
	struct session *s = c->engine->by_call[call_id];

	return s != NULL && s->ctrl == c ? s : NULL;
}

static void
on_call_clear(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;
	struct session *s = session_by_peer_id(c, m->call_id);

	/* Deviation: some clients put the id that we assigned into Call-Clear-Request. */
	if (s == NULL)
		s = session_by_own_id(c, m->call_id);
	if (s != NULL)
		session_clear(s);
	else
		c->engine->stats.control_ignored++;
}

/* Deviation: only a PAC sends it, but a client that does means the end of its call. */
static void
on_disconnect_notify(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;
	struct session *s = session_by_peer_id(c, m->call_id);

	if (s != NULL)
		session_close(s, END_CALL_CLEAR, false);
	else
		c->engine->stats.control_ignored++;
}

static void
on_link_info(void *object, void *detail)
{
	struct ctrl *c = object;
	const struct pptp_message *m = detail;

	/* GRE carries octets: the character maps mean nothing here. */
	if (session_by_own_id(c, m->peer_call_id) == NULL)
		c->engine->stats.control_ignored++;
}

static void
say_stop(void *object, void *detail)
{
	struct ctrl *c = object;

	(void)detail;
	ctrl_send(c, &(struct pptp_message){.type = PPTP_STOP_RQ, .reason = c->stop_reason});
	if (!c->gone)
		timer_set(&c->timer, STOP_TIMEOUT);
}

/* ---- the end ---- */

void
ctrl_stop(struct ctrl *c, uint8_t reason)
{
	c->stop_reason = reason;
	if (c->fsm.state == CTRL_WAIT_START)
		ctrl_close(c, "stopped before it started");
	else
		fsm_event(&c->fsm, CTRL_EVENT_STOP, c, NULL);
}

void
ctrl_call_ended(struct ctrl *c)
{
	if (c->fsm.state == CTRL_ESTABLISHED && c->n_sessions == 0 && c->restore == RESTORE_NONE) {
		c->echo_pending = false;
		ctrl_set_timer(c);
	}
	if (!c->reading && c->out_len == 0)
		ctrl_unreplicate_idle(c);
}

/* ---- messages ---- */

bool
ctrl_on_message(void *arg, const struct pptp_message *m)
{
	struct ctrl *c = arg;
	int8_t event =
	    m->type >= 1 && m->type <= PPTP_TYPE_MAX ? (int8_t)m->type : CTRL_EVENT_UNKNOWN;
	union {
		const struct pptp_message *in;
		void *detail;
	} u = {.in = m};

	log_debug("control message received peer=%s type=%s call=%u", c->name, pptp_name(m->type),
	    m->call_id);
	if (!fsm_event(&c->fsm, event, c, u.detail))
		c->engine->stats.control_ignored++;
	return !c->gone;
}
