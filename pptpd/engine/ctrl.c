/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections: the state machine, its timers, beginning and end. A connection is closed by
 * ctrl_close(), once, and freed by the reaper.
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

enum ctrl_event {
	/* Message types come first, by their number: PPTP_SCCRQ .. PPTP_SLI */
	CTRL_EVENT_UNKNOWN = PPTP_TYPE_MAX + 1,
	CTRL_EVENT_STOP, /* we want to stop */
	CTRL_EVENT_CLOSE,
	CTRL_EVENT_MAX
};

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
static void close_connection(void *object, void *detail);

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
    {FSM_ANY, CTRL_EVENT_CLOSE, close_connection, CTRL_CLOSED},
};

static const struct fsm_table ctrl_table = {
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

static void
set_timer(struct ctrl *c)
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
	if (c->fd >= 0)
		timer_set(&c->timer, (uint64_t)conf->echo_timeout_s * 1000 - waited);
}

static void
timer_cb(void *arg)
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
	log_debug("control connection established peer=%s host=\"%s\" vendor=\"%s\"", c->name,
	    log_quote(m->host, strlen(m->host)), log_quote(m->vendor, strlen(m->vendor)));
	ctrl_send(c, &reply);
	if (c->fd >= 0)
		set_timer(c);
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

	/* GRE carries octets: the character maps mean nothing here (clients.md, Set-Link-Info). */
	if (session_by_own_id(c, m->peer_call_id) == NULL)
		c->engine->stats.control_ignored++;
}

static void
say_stop(void *object, void *detail)
{
	struct ctrl *c = object;

	(void)detail;
	ctrl_send(c, &(struct pptp_message){.type = PPTP_STOP_RQ, .reason = c->stop_reason});
	if (c->fd >= 0)
		timer_set(&c->timer, STOP_TIMEOUT);
}

/* ---- the end ---- */

static void
free_ctrl(void *object)
{
	struct ctrl *c = object;

	c->engine->n_sockets--;
	engine_config_unref(c->config);
	free(c->out);
	free(c);
}

/* Leaves every list and ends the calls; the descriptor is the caller's to close. */
static int
detach(struct ctrl *c, enum session_end end)
{
	struct session *s;
	int fd = c->fd;

	c->fd = -1;
	io_fini(&c->io);
	ctrl_leave(c);
	/* One of them may be closing already: what it said filled the connection. */
	while ((s = TAILQ_FIRST(&c->sessions)) != NULL) {
		session_leave(s);
		session_close(s, end, false);
	}
	timer_cancel(&c->timer);
	return fd;
}

static void
closing_marked(void *arg, int err)
{
	struct ctrl *c = arg;

	if (err != 0)
		log_debug("closing mark not set error=\"%s\"", strerror(err));
	close(c->closing_fd);
	engine_reap(c->engine, &c->reap, free_ctrl, c);
}

static void
close_connection(void *object, void *detail)
{
	struct ctrl *c = object;

	(void)detail;
	if (c->proven && c->n_sessions > 0)
		log_info(
		    "control connection closed peer=%s reason=\"%s\"", c->name, c->close_reason);
	else
		log_debug(
		    "control connection closed peer=%s reason=\"%s\"", c->name, c->close_reason);
	c->closing_fd = detach(c, END_CONTROL_LOST);
	if (c->out_len > 0)
		(void)!send(c->closing_fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	priv_mark_closing(c->engine->priv, c->closing_fd, closing_marked, c);
}

void
ctrl_close(struct ctrl *c, const char *why)
{
	if (c->close_reason != NULL)
		return;
	c->close_reason = why;
	fsm_event(&c->fsm, CTRL_EVENT_CLOSE, c, NULL);
}

void
ctrl_silence(struct ctrl *c)
{
	int fd = detach(c, END_DEMOTED);

	priv_silent_close(c->engine->priv, fd);
	engine_reap(c->engine, &c->reap, free_ctrl, c);
}

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
	if (c->fsm.state == CTRL_ESTABLISHED && c->n_sessions == 0) {
		c->echo_pending = false;
		set_timer(c);
	}
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
	return c->fd >= 0;
}

/* ---- the beginning ---- */

/* A connection that is not taken, until the monitor has marked it: a guard holds other FINs back.
 */
struct refused {
	struct engine *engine;
	struct reap reap;
	int fd;
};

static void
free_refused(void *object)
{
	struct refused *r = object;

	r->engine->n_sockets--;
	free(r);
}

static void
refused_marked(void *arg, int err)
{
	struct refused *r = arg;

	if (err != 0)
		log_debug("closing mark not set error=\"%s\"", strerror(err));
	close(r->fd);
	engine_reap(r->engine, &r->reap, free_refused, r);
}

static void
refuse_socket(struct engine *e, int fd)
{
	struct refused *r;

	if (e->role != ROLE_ACTIVE) { /* the other gateway speaks for this address */
		priv_silent_close(e->priv, fd);
		return;
	}
	if ((r = malloc(sizeof *r)) == NULL) {
		close(fd);
		return;
	}
	*r = (struct refused){.engine = e, .fd = fd};
	e->n_sockets++;
	priv_mark_closing(e->priv, fd, refused_marked, r);
}

void
ctrl_accept(struct engine *e, int fd, const struct tcp_snapshot *t)
{
	struct ctrl *c;

	e->stats.accepted++;
	if (!ctrl_admit(e, t)) {
		refuse_socket(e, fd);
		return;
	}
	if ((c = calloc(1, sizeof *c)) == NULL || io_init(&c->io, e->loop, fd, ctrl_io_cb, c) < 0) {
		log_warn("control connection refused peer=%s reason=\"out of memory\"",
		    conf_ipv4(t->peer_ip));
		free(c);
		refuse_socket(e, fd);
		return;
	}
	c->engine = e;
	c->config = engine_config_ref(e->config);
	c->fd = fd;
	c->tcp = *t;
	c->last_rx_ms = loop_now_ms(e->loop);
	c->echo_id = e->boot_id ^ ((uint32_t)t->peer_port << 16);
	snprintf(c->name, sizeof c->name, "%s:%u", conf_ipv4(t->peer_ip), t->peer_port);
	TAILQ_INIT(&c->sessions);
	pptp_framer_init(&c->framer);
	fsm_init(&c->fsm, &ctrl_table, CTRL_WAIT_START);
	timer_init(&c->timer, e->loop, timer_cb, c);
	ctrl_enter(c);
	ctrl_half_open(c);
	ctrl_socket_options(fd);
	set_timer(c);
	io_want(&c->io, IO_READ);
}
