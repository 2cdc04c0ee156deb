/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections.
 */
#include "tests/client/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/client/session.h"

#define OUT_MAX         4096
#define STOP_MS         2000
#define REDIAL_FIRST_MS 50
#define REDIAL_MS       1000
#define BYTE_MS         1
#define RESULT_OK       1

enum {
	EV_DIAL = PPTP_TYPE_MAX + 1,
	EV_CONNECTED,
	EV_STARTED,
	EV_STOP,
	EV_LOST,
	EV_MAX
};

static const char *const states[] = {"idle", "connecting", "starting", "ready", "stopping"};
static const char *const events[EV_MAX] = {"", "SCCRQ", "SCCRP", "StopCCRQ", "StopCCRP", "EchoRQ",
    "EchoRP", "OCRQ", "OCRP", "ICRQ", "ICRP", "ICCN", "CCRQ", "CDN", "WEN", "SLI", "dial",
    "connected", "started", "stop", "lost"};

static void start_connect(void *object, void *detail);
static void say_start(void *object, void *detail);
static void on_start_reply(void *object, void *detail);
static void call_all(void *object, void *detail);
static void on_call_reply(void *object, void *detail);
static void on_disconnect(void *object, void *detail);
static void on_echo_request(void *object, void *detail);
static void on_echo_reply(void *object, void *detail);
static void on_stop_request(void *object, void *detail);
static void on_stop_reply(void *object, void *detail);
static void say_stop(void *object, void *detail);
static void close_all(void *object, void *detail);

/* RFC 2637 §3.1.2, originator. */
static const struct fsm_row rows[] = {
    {CONTROL_IDLE, EV_DIAL, start_connect, CONTROL_CONNECTING},
    {CONTROL_CONNECTING, EV_CONNECTED, say_start, CONTROL_STARTING},
    {CONTROL_STARTING, PPTP_SCCRP, on_start_reply, FSM_STAY},
    {CONTROL_STARTING, EV_STARTED, call_all, CONTROL_READY},
    {CONTROL_READY, EV_DIAL, call_all, FSM_STAY},
    {CONTROL_READY, PPTP_OCRP, on_call_reply, FSM_STAY},
    {CONTROL_READY, PPTP_CDN, on_disconnect, FSM_STAY},
    {CONTROL_READY, PPTP_ECHO_RP, on_echo_reply, FSM_STAY},
    {CONTROL_READY, EV_STOP, say_stop, CONTROL_STOPPING},
    {CONTROL_STOPPING, PPTP_STOP_RP, on_stop_reply, FSM_STAY},
    {CONTROL_IDLE, EV_LOST, NULL, FSM_STAY},
    {FSM_ANY, PPTP_ECHO_RQ, on_echo_request, FSM_STAY},
    {FSM_ANY, PPTP_STOP_RQ, on_stop_request, FSM_STAY},
    {FSM_ANY, EV_LOST, close_all, CONTROL_IDLE},
};

static const struct fsm_table table = {
    .name = "control",
    .states = states,
    .events = events,
    .n_states = 5,
    .n_events = EV_MAX,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

/* The first cause is the one that counts. */
static void
lose(struct control *c, enum reason why)
{
	if (c->why != REASON_NONE)
		return;
	c->why = why;
	fsm_event(&c->fsm, EV_LOST, c, NULL);
}

/* ---- output ---- */

static void
flush_out(struct control *c)
{
	size_t most = c->client->o->bytewise && c->out_len > 1 ? 1 : c->out_len;
	ssize_t n;

	if (c->fd < 0 || c->out_len == 0)
		return;
	n = send(c->fd, c->out, most, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		lose(c, REASON_RESET);
		return;
	}
	if (n > 0) {
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	if (c->out_len > 0 && c->client->o->bytewise)
		timer_set(&c->bytes, BYTE_MS);
	else
		io_want(&c->io, IO_READ | (c->out_len > 0 ? IO_WRITE : 0));
}

static void
bytes_cb(void *arg)
{
	flush_out(arg);
}

void
control_send_raw(struct control *c, const uint8_t *bytes, size_t len)
{
	if (c->fd < 0)
		return;
	if (c->out == NULL && (c->out = malloc(OUT_MAX)) == NULL)
		return;
	if (len > OUT_MAX - c->out_len) {
		lose(c, REASON_TCP_ERROR);
		return;
	}
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
	if (!timer_pending(&c->bytes))
		flush_out(c);
}

void
control_send(struct control *c, const struct pptp_message *m)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	if (pptp_encode(m, &w) == 0)
		control_send_raw(c, bytes, wr_len(&w));
}

/* ---- actions ---- */

static void
deadline(struct control *c)
{
	timer_set(&c->timer, (uint64_t)c->client->o->timeout_s * 1000);
}

static void
say_start(void *object, void *detail)
{
	struct control *c = object;
	bool windows = c->client->o->style == PPP_STYLE_WINDOWS;
	struct pptp_message m = {.type = PPTP_SCCRQ,
	    .version = PPTP_VERSION,
	    .framing = windows ? 1 : 3,
	    .bearer = windows ? 1 : 3,
	    .max_channels = windows ? 0 : 65535,
	    .firmware = windows ? 0 : 1,
	    .host = "local",
	    .vendor = "cananian"};

	(void)detail;
	if (windows) {
		m.host[0] = '\0';
		strcpy(m.vendor, "Microsoft Windows NT");
	}
	c->tcp_us = client_now_us();
	deadline(c);
	control_send(c, &m);
}

static void
on_start_reply(void *object, void *detail)
{
	struct control *c = object;
	const struct pptp_message *m = detail;

	/* Some servers say 0 and mean success. */
	if (m->result > RESULT_OK) {
		lose(c, REASON_SCCRP_RESULT);
		return;
	}
	c->start_us = client_now_us();
	fsm_event(&c->fsm, EV_STARTED, c, NULL);
}

static void
call_all(void *object, void *detail)
{
	struct control *c = object;

	(void)detail;
	if (c->client->o->echo_interval_s > 0)
		timer_set(&c->timer, (uint64_t)c->client->o->echo_interval_s * 1000);
	else
		timer_cancel(&c->timer);
	for (unsigned i = 0; i < c->n_sessions && c->fd >= 0; i++)
		if (c->sessions[i].wanted)
			session_call(&c->sessions[i]);
}

static void
on_call_reply(void *object, void *detail)
{
	struct control *c = object;
	const struct pptp_message *m = detail;
	struct session *s = session_by_call_id(c->client, m->peer_call_id);

	if (s != NULL && s->control == c)
		session_call_reply(s, m);
}

static void
on_disconnect(void *object, void *detail)
{
	struct control *c = object;
	const struct pptp_message *m = detail;

	for (unsigned i = 0; i < c->n_sessions; i++)
		if (c->sessions[i].state != SESSION_IDLE &&
		    c->sessions[i].peer_call_id == m->call_id)
			session_cleared(&c->sessions[i]);
}

static void
on_echo_request(void *object, void *detail)
{
	struct control *c = object;
	const struct pptp_message *m = detail;

	c->echo_requests++;
	control_send(c, &(struct pptp_message){
			    .type = PPTP_ECHO_RP, .echo_id = m->echo_id, .result = RESULT_OK});
}

static void
on_echo_reply(void *object, void *detail)
{
	struct control *c = object;
	const struct pptp_message *m = detail;

	c->echo_pending = false;
	c->echo_strange += m->echo_id == 0 || m->echo_id > c->echo_id;
	if (c->probe.asked && !c->probe.answered && m->echo_id == c->probe.id) {
		c->probe.answered = true;
		c->probe.took_us = client_now_us() - c->probe.sent_us;
	}
}

bool
control_probe(struct control *c)
{
	c->probe.asked = c->probe.answered = false;
	if (c->fsm.state != CONTROL_READY)
		return false;
	c->probe.asked = true;
	c->probe.id = ++c->echo_id;
	c->probe.sent_us = client_now_us();
	control_send(c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = c->probe.id});
	return true;
}

static void
on_stop_request(void *object, void *detail)
{
	(void)detail;
	control_send(object, &(struct pptp_message){.type = PPTP_STOP_RP, .result = RESULT_OK});
	lose(object, REASON_CLOSED_BY_PEER);
}

static void
on_stop_reply(void *object, void *detail)
{
	(void)detail;
	lose(object, REASON_LOCAL);
}

static void
say_stop(void *object, void *detail)
{
	struct control *c = object;

	(void)detail;
	timer_set(&c->timer, STOP_MS);
	control_send(c, &(struct pptp_message){.type = PPTP_STOP_RQ, .reason = 1});
}

static void
close_all(void *object, void *detail)
{
	struct control *c = object;
	enum reason why = c->why;

	(void)detail;
	io_fini(&c->io);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->out);
	c->out = NULL;
	c->out_len = 0;
	timer_cancel(&c->timer);
	timer_cancel(&c->bytes);
	c->client->alive--;
	for (unsigned i = 0; i < c->n_sessions; i++)
		session_control_lost(&c->sessions[i], why);
	client_check_end(c->client);
}

/* ---- time ---- */

static void
timer_cb(void *arg)
{
	struct control *c = arg;
	uint64_t interval = (uint64_t)c->client->o->echo_interval_s * 1000;
	uint64_t silent = loop_now_ms(c->client->loop) - c->last_rx_ms;

	if (c->fsm.state == CONTROL_CONNECTING) {
		lose(c, REASON_TCP_TIMEOUT);
	} else if (c->fsm.state == CONTROL_STARTING) {
		lose(c, REASON_SCCRP_TIMEOUT);
	} else if (c->fsm.state != CONTROL_READY) {
		lose(c, REASON_LOCAL);
	} else if (c->echo_pending) {
		lose(c, REASON_ECHO);
	} else {
		if (silent >= interval) {
			c->echo_pending = true;
			control_send(c,
			    &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = ++c->echo_id});
		}
		if (c->fd >= 0)
			timer_set(&c->timer, interval);
	}
}

static void
redial_cb(void *arg)
{
	control_dial(arg);
}

void
control_want(struct control *c)
{
	if (!timer_pending(&c->redial))
		timer_set(&c->redial, c->redials++ == 0 ? REDIAL_FIRST_MS : REDIAL_MS);
}

void
control_release(struct control *c)
{
	for (unsigned i = 0; i < c->n_sessions; i++)
		if (c->sessions[i].state != SESSION_IDLE || c->sessions[i].wanted)
			return;
	fsm_event(&c->fsm, EV_STOP, c, NULL);
}

/* ---- input ---- */

static bool
on_message(void *arg, const struct pptp_message *m)
{
	struct control *c = arg;
	union {
		const struct pptp_message *in;
		void *detail;
	} u = {.in = m};

	if (m->type >= 1 && m->type <= PPTP_TYPE_MAX)
		fsm_event(&c->fsm, (int8_t)m->type, c, u.detail);
	return c->fd >= 0;
}

static void
connected(struct control *c)
{
	struct sockaddr_in a;
	int error = 0, on = 1;
	socklen_t len = sizeof(error);

	(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		lose(c, error == ECONNREFUSED ? REASON_TCP_REFUSED
			: error == ETIMEDOUT  ? REASON_TCP_TIMEOUT
					      : REASON_TCP_ERROR);
		return;
	}
	len = sizeof(a);
	if (getsockname(c->fd, (struct sockaddr *)&a, &len) == 0) {
		c->local_ip = ntohl(a.sin_addr.s_addr);
		c->local_port = ntohs(a.sin_port);
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	io_want(&c->io, IO_READ);
	fsm_event(&c->fsm, EV_CONNECTED, c, NULL);
}

static void
read_some(struct control *c)
{
	uint8_t bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(c, n == 0 ? REASON_CLOSED_BY_PEER : REASON_RESET);
		return;
	}
	c->last_rx_ms = loop_now_ms(c->client->loop);
	c->heard_us = client_now_us();
	c->echo_pending = false;
	if (pptp_framer_feed(&c->framer, bytes, (size_t)n, on_message, c) < 0)
		lose(c, REASON_MALFORMED);
}

static void
io_cb(int io_events, void *arg)
{
	struct control *c = arg;

	if (c->fsm.state == CONTROL_CONNECTING) {
		connected(c);
		return;
	}
	if (io_events & IO_WRITE)
		flush_out(c);
	if (c->fd >= 0 && io_events & IO_READ)
		read_some(c);
}

/* ---- the beginning ---- */

static int
bind_source(struct control *c)
{
	const struct options *o = c->client->o;
	unsigned number = (unsigned)(c - c->client->controls);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(o->source_port)};
	int on = 1;

	if (o->source_first == 0 && o->source_port == 0)
		return 0;
	if (o->source_first != 0)
		a.sin_addr.s_addr =
		    htonl(o->source_first + number % (o->source_last - o->source_first + 1));
	(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(c->fd, (struct sockaddr *)&a, sizeof(a));
}

static void
start_connect(void *object, void *detail)
{
	struct control *c = object;
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(PPTP_PORT),
	    .sin_addr.s_addr = htonl(c->client->o->server)};

	(void)detail;
	c->client->alive++;
	c->why = REASON_NONE;
	c->echo_pending = false;
	c->dial_us = client_now_us();
	c->last_rx_ms = loop_now_ms(c->client->loop);
	pptp_framer_init(&c->framer);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || bind_source(c) < 0 ||
	    (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS) ||
	    io_init(&c->io, c->client->loop, c->fd, io_cb, c) < 0) {
		log_warn(
		    "cannot dial connection=%u error=\"%m\"", (unsigned)(c - c->client->controls));
		lose(c, REASON_TCP_ERROR);
		return;
	}
	deadline(c);
	io_want(&c->io, IO_WRITE);
}

void
control_dial(struct control *c)
{
	if (c->client->ending)
		return;
	if (c->fsm.state == CONTROL_STOPPING)
		control_want(c);
	else
		fsm_event(&c->fsm, EV_DIAL, c, NULL);
}

void
control_init(struct control *c, struct client *client, unsigned number)
{
	const struct options *o = client->o;
	unsigned first = number * o->calls;

	*c = (struct control){.client = client, .fd = -1};
	c->sessions = &client->sessions[first];
	c->n_sessions = first + o->calls <= o->sessions ? o->calls : o->sessions - first;
	c->unsettled = c->n_sessions;
	fsm_init(&c->fsm, &table, CONTROL_IDLE);
	timer_init(&c->timer, client->loop, timer_cb, c);
	timer_init(&c->redial, client->loop, redial_cb, c);
	timer_init(&c->bytes, client->loop, bytes_cb, c);
}

void
control_fini(struct control *c)
{
	io_fini(&c->io);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->out);
	c->out = NULL;
	timer_cancel(&c->timer);
	timer_cancel(&c->redial);
	timer_cancel(&c->bytes);
}
