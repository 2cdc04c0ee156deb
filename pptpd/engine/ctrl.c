/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections. Reading: bytes, framer, one state machine event a message. Writing: one
 * function; what the socket does not take at once waits in a small buffer. A connection is closed
 * by ctrl_close(), once, and freed by the reaper.
 */
#include "pptpd/engine/ctrl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pptpd/engine/session.h"

#define READ_SIZE    2048
#define SEND_BUFFER  16384 /* what the kernel keeps for a client that does not read */
#define STOP_TIMEOUT 3000  /* ms that we wait for a Stop-Control-Connection-Reply */
#define CLOSING_MAX  64    /* sockets on their way out, when there are too many */
#define LOGIN_GRACE  5000  /* ms that a connection without a login is safe from newcomers */
#define CALLS_MAX    64    /* of a connection at one time, or at once */
#define CALL_EVERY   1000  /* ms: how often a further one, when so many were made at once */

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

static struct ctrl_bucket *
bucket_of(struct engine *e, uint32_t ip)
{
	return &e->by_peer[(ip * 2654435761u) >> 22 & (ENGINE_BUCKETS - 1)];
}

static unsigned
count_of_peer(struct engine *e, uint32_t ip)
{
	struct ctrl *c;
	unsigned n = 0;

	LIST_FOREACH(c, bucket_of(e, ip), bucket_entry)
	n += c->tcp.peer_ip == ip;
	return n;
}

static void
not_half_open(struct ctrl *c)
{
	if (c->half_open_entry.tqe_prev == NULL)
		return;
	TAILQ_REMOVE(&c->engine->half_open, c, half_open_entry);
	c->half_open_entry.tqe_prev = NULL;
	c->engine->n_half_open--;
}

/* ---- strangers: established, without a login ---- */

static void
not_stranger(struct ctrl *c)
{
	if (c->stranger_entry.tqe_prev == NULL)
		return;
	TAILQ_REMOVE(&c->engine->strangers, c, stranger_entry);
	c->stranger_entry.tqe_prev = NULL;
}

void
ctrl_proven(struct ctrl *c)
{
	c->proven = true;
	not_stranger(c);
}

bool
ctrl_make_room(struct engine *e, const struct ctrl *caller)
{
	uint64_t now = loop_now_ms(e->loop);
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->strangers, stranger_entry)
	{
		if (now - c->established_ms < LOGIN_GRACE)
			return false;
		if (caller != NULL && (c == caller || c->n_sessions == 0))
			continue;
		ctrl_close(c, "no login: it makes room for others");
		return true;
	}
	return false;
}

bool
ctrl_may_call(struct ctrl *c)
{
	uint64_t now = loop_now_ms(c->engine->loop);
	uint64_t paid = (c->calls_ms > now ? c->calls_ms : now) + CALL_EVERY;

	if (c->n_sessions >= CALLS_MAX || paid > now + (uint64_t)CALLS_MAX * CALL_EVERY)
		return false;
	c->calls_ms = paid;
	return true;
}

/* ---- writing ---- */

static void
flush_out(struct ctrl *c)
{
	ssize_t n;

	while (c->out_len > 0) {
		n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		c->tx_bytes += (uint32_t)n;
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	if (c->out_len == 0) {
		free(c->out);
		c->out = NULL;
	}
	io_want(&c->io, IO_READ | (c->out_len > 0 ? IO_WRITE : 0));
}

/* What waits for a client that does not read must not wait in the kernel when we have closed: RST.
 */
static void
set_reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void
ctrl_send(struct ctrl *c, const struct pptp_message *m)
{
	struct wr w;

	if (c->fd < 0)
		return;
	if (c->out == NULL && (c->out = malloc(CTRL_OUT_MAX)) == NULL) {
		ctrl_close(c, "out of memory");
		return;
	}
	w = wr_init(c->out + c->out_len, CTRL_OUT_MAX - c->out_len);
	if (pptp_encode(m, &w) < 0) {
		set_reset(c->fd);
		ctrl_close(c, "the client does not read");
		return;
	}
	c->out_len += wr_len(&w);
	log_debug("control message sent peer=%s type=%s call=%u", c->name, pptp_name(m->type),
	    m->call_id);
	flush_out(c);
}

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

	not_half_open(c);
	c->established_ms = loop_now_ms(c->engine->loop);
	TAILQ_INSERT_TAIL(&c->engine->strangers, c, stranger_entry);
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
	struct engine *e = c->engine;
	struct session *s;
	int fd = c->fd;

	c->fd = -1;
	io_fini(&c->io);
	not_half_open(c);
	not_stranger(c);
	LIST_REMOVE(c, bucket_entry);
	TAILQ_REMOVE(&e->ctrls, c, entry);
	e->n_ctrls--;
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

void
ctrl_record(const struct ctrl *c, struct record_ctrl *r)
{
	r->tcp = c->tcp;
	r->rx_bytes = c->rx_bytes;
	r->tx_bytes = c->tx_bytes;
	r->state = (uint8_t)c->fsm.state;
	r->echo_id = c->echo_id;
	r->peer_echo_id = c->peer_echo_id;
	r->tail_len = (uint16_t)(c->out_len < sizeof r->tail ? c->out_len : sizeof r->tail);
	memcpy(r->tail, c->out != NULL ? c->out : (const uint8_t *)"", r->tail_len);
	r->partial_len = c->framer.have;
	memcpy(r->partial, c->framer.buf, c->framer.have);
}

/* ---- reading ---- */

static bool
on_message(void *arg, const struct pptp_message *m)
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

static void
read_some(struct ctrl *c)
{
	uint8_t buf[READ_SIZE];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);

	if (n == 0) {
		ctrl_close(c, "the client closed the connection");
		return;
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ctrl_close(c,
			    errno == ECONNRESET ? "the client reset the connection" : "read error");
		return;
	}
	c->rx_bytes += (uint32_t)n;
	c->last_rx_ms = loop_now_ms(c->engine->loop);
	c->echo_pending = false;
	if (pptp_framer_feed(&c->framer, buf, (size_t)n, on_message, c) == 0)
		return;
	c->engine->stats.control_malformed++;
	if (engine_log_ok(c->engine, c->tcp.peer_ip))
		log_warn("malformed control message peer=%s reason=\"%s\"", c->name,
		    errno == EPROTO ? "wrong length for its type" : "not PPTP");
	ctrl_close(c, "malformed control message");
}

static void
io_cb(int events, void *arg)
{
	struct ctrl *c = arg;

	if (events & IO_WRITE)
		flush_out(c);
	if (events & IO_READ)
		read_some(c);
}

/* ---- the beginning ---- */

/* The oldest half-open connection goes, without regard of its age. False = there is none. */
static bool
drop_half_open(struct engine *e, const char *why)
{
	struct ctrl *oldest = TAILQ_FIRST(&e->half_open);

	if (oldest != NULL)
		ctrl_close(oldest, why);
	return oldest != NULL;
}

/* The socket goes when the monitor has marked it: so many may be on that way, no more. */
static bool
free_socket(struct engine *e)
{
	return e->n_sockets < e->max_sockets + CLOSING_MAX &&
	       (drop_half_open(e, "limit of open files: the oldest makes room") ||
		   ctrl_make_room(e, NULL));
}

/*
 * A newcomer is never refused for silent ones: the oldest half-open connection makes room, and the
 * oldest one without a login.
 */
static bool
admit(struct engine *e, const struct tcp_snapshot *t)
{
	const struct settings *conf = e->config->settings;
	const char *why = NULL;

	if (e->role != ROLE_ACTIVE || e->stopping)
		return false;
	if (conf->max_per_address > 0 && count_of_peer(e, t->peer_ip) >= conf->max_per_address)
		why = "connections-per-address reached";
	else if (e->n_ctrls - e->n_half_open >= conf->connections && !ctrl_make_room(e, NULL))
		why = "connections reached";
	else if (e->n_sockets >= e->max_sockets && !free_socket(e))
		why = "limit of open files reached";
	if (why == NULL && e->n_half_open >= conf->max_half_open)
		(void)drop_half_open(e, "half-open limit: the oldest makes room");
	if (why == NULL)
		return true;
	e->stats.refused_connections++;
	if (engine_log_ok(e, t->peer_ip))
		log_warn(
		    "control connection refused peer=%s reason=\"%s\"", conf_ipv4(t->peer_ip), why);
	return false;
}

static void
set_socket_options(int fd)
{
	int on = 1, user_timeout_ms = 60000, send_buffer = SEND_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

void
ctrl_accept(struct engine *e, int fd, const struct tcp_snapshot *t)
{
	struct ctrl *c;

	e->stats.accepted++;
	if (!admit(e, t)) {
		close(fd);
		return;
	}
	if ((c = calloc(1, sizeof *c)) == NULL || io_init(&c->io, e->loop, fd, io_cb, c) < 0) {
		log_warn("control connection refused peer=%s reason=\"out of memory\"",
		    conf_ipv4(t->peer_ip));
		free(c);
		close(fd);
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
	TAILQ_INSERT_TAIL(&e->ctrls, c, entry);
	TAILQ_INSERT_TAIL(&e->half_open, c, half_open_entry);
	LIST_INSERT_HEAD(bucket_of(e, t->peer_ip), c, bucket_entry);
	e->n_ctrls++;
	e->n_half_open++;
	e->n_sockets++;
	set_socket_options(fd);
	set_timer(c);
	io_want(&c->io, IO_READ);
}
