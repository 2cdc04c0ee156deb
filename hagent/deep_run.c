/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check's process, once it has given up its privileges: a loop with N clients, a tick that
 * counts silence, and the channel to the agent.
 */
#include "hagent/deep_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "hagent/client.h"
#include "hagent/client_io.h"
#include "hagent/client_ping.h"

#define AGAIN_FIRST_MS 300
#define AGAIN_MS       1000
#define STEP_MS        4000 /* in a step of a set-up */
#define PAYLOAD        56
#define MESSAGE_MAX    1024

struct deep;

struct session {
	struct deep *deep;
	uint32_t source;
	struct client_io *io; /* NULL = not dialled */
	struct client_ping ping;
	bool pinging;
	struct timer again; /* frees the old client, dials a new one */
	struct deep_session report;
};

struct deep {
	struct loop *loop;
	int channel;
	struct io channel_io;
	struct timer tick;
	uint64_t tick_us, reported_us;
	uint32_t server;
	char user[64], password[LOOPBACK_PASSWORD_MAX + 1];
	size_t n;
	struct session sessions[LOOPBACK_SESSIONS];
};

/* ---- a session ---- */

static void
stop_pings(struct session *s)
{
	if (s->pinging)
		client_ping_stop(&s->ping);
	s->pinging = false;
}

static void
on_answer(void *arg, uint64_t rtt_us)
{
	struct session *s = arg;

	s->report.silent_ms = 0;
	s->report.rtt_us = rtt_us > 0 ? (uint32_t)rtt_us : 1;
	s->report.answers++;
}

/* From here on silence is that of pings: there has been none yet. */
static void
on_up(void *arg)
{
	struct session *s = arg;
	struct pptp_client *c = client_io_client(s->io);
	struct pptp_client_state st;

	pptp_client_state(c, &st);
	s->report.up = s->report.was_up = true;
	s->report.silent_ms = 0;
	client_ping_init(
	    &s->ping, s->deep->loop, c, client_io_now_us, st.server_address, DEEP_PING_MS, PAYLOAD);
	s->ping.answered = on_answer;
	s->ping.arg = s;
	s->pinging = true;
	client_ping_start(&s->ping);
}

static void
on_packet(void *arg, const uint8_t *packet, size_t len)
{
	struct session *s = arg;

	if (s->pinging)
		(void)client_ping_input(&s->ping, packet, len);
}

static void
on_ended(void *arg)
{
	struct session *s = arg;
	struct pptp_client_state st;
	bool was_up = s->report.up;

	pptp_client_state(client_io_client(s->io), &st);
	stop_pings(s);
	s->report.up = false;
	s->report.failures++;
	s->report.through = st.step >= PPTP_STEP_LCP;
	snprintf(s->report.step, sizeof(s->report.step), "%s",
	    st.step < PPTP_STEPS ? pptp_step_name(st.step) : "up");
	snprintf(s->report.why, sizeof(s->report.why), "%s", pptp_why_name(st.why));
	timer_set(&s->again, was_up ? AGAIN_FIRST_MS : AGAIN_MS);
}

static const struct pptp_client_ops ops = {.up = on_up, .packet = on_packet, .ended = on_ended};

static void
dial_cb(void *arg)
{
	struct session *s = arg;
	struct deep *d = s->deep;
	struct pptp_client_options o = {.server = d->server,
	    .source = s->source,
	    .user = d->user,
	    .password = d->password,
	    .step_timeout_ms = STEP_MS};

	client_io_free(s->io);
	s->io = client_io_new(d->loop, &o, -1, &ops, s);
	if (s->io != NULL) {
		pptp_client_start(client_io_client(s->io));
		return;
	}
	s->report.failures++;
	snprintf(s->report.step, sizeof(s->report.step), "tcp");
	snprintf(s->report.why, sizeof(s->report.why), "machine");
	timer_set(&s->again, AGAIN_MS);
}

/* ---- time, and the reports ---- */

static void
send_report(struct deep *d)
{
	struct deep_report r = {.n = d->n};
	char *text;

	for (size_t i = 0; i < d->n; i++)
		r.v[i] = d->sessions[i].report;
	text = deep_report_text(&r);
	if (text != NULL && send(d->channel, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EAGAIN)
		loop_stop(d->loop);
	free(text);
}

static void
count_silence(struct session *s, uint32_t ms)
{
	struct deep_session *r = &s->report;
	bool overdue = r->up && r->silent_ms >= DEEP_PING_MS + DEEP_AGAIN_MS;

	r->silent_ms = r->silent_ms < UINT32_MAX - ms ? r->silent_ms + ms : UINT32_MAX;
	if (!s->pinging)
		return;
	s->ping.interval_ms = overdue ? DEEP_AGAIN_MS : DEEP_PING_MS;
	if (overdue && s->ping.timer.due_ms > loop_now_ms(s->deep->loop) + DEEP_AGAIN_MS)
		timer_set(&s->ping.timer, 0);
}

static void
tick_cb(void *arg)
{
	struct deep *d = arg;
	uint64_t now_us = client_io_now_us(), ms = (now_us - d->tick_us) / 1000;

	d->tick_us = now_us;
	for (size_t i = 0; i < d->n; i++)
		count_silence(
		    &d->sessions[i], (uint32_t)(ms < 2 * DEEP_TICK_MS ? ms : 2 * DEEP_TICK_MS));
	if (now_us - d->reported_us >= DEEP_REPORT_MS * 1000) {
		d->reported_us = now_us;
		send_report(d);
	}
	timer_set(&d->tick, DEEP_TICK_MS);
}

/* ---- life ---- */

static void
channel_cb(int events, void *arg)
{
	struct deep *d = arg;
	char byte;

	(void)events;
	if (recv(d->channel, &byte, 1, MSG_DONTWAIT) == 0)
		loop_stop(d->loop);
}

static int
take_orders(struct deep *d)
{
	char text[MESSAGE_MAX];
	ssize_t n = recv(d->channel, text, sizeof(text), 0);
	json_t *o = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
	const char *server = json_string_value(json_object_get(o, "server"));
	const char *user = json_string_value(json_object_get(o, "user"));
	const char *password = json_string_value(json_object_get(o, "password"));
	json_int_t sessions = json_integer_value(json_object_get(o, "sessions"));
	int rc = -1;

	if (server != NULL && user != NULL && password != NULL && sessions >= 1 &&
	    sessions <= LOOPBACK_SESSIONS && conf_parse_ipv4(server, &d->server) == 0 &&
	    strlen(user) < sizeof(d->user) && strlen(password) < sizeof(d->password)) {
		strcpy(d->user, user);
		strcpy(d->password, password);
		d->n = (size_t)sessions;
		rc = 0;
	}
	json_decref(o);
	explicit_bzero(text, sizeof(text));
	if (rc < 0)
		log_warn("deep check: its orders cannot be understood");
	return rc;
}

static int
begin(struct deep *d)
{
	if (io_init(&d->channel_io, d->loop, d->channel, channel_cb, d) < 0)
		return -1;
	io_want(&d->channel_io, IO_READ);
	timer_init(&d->tick, d->loop, tick_cb, d);
	d->tick_us = client_io_now_us();
	timer_set(&d->tick, DEEP_TICK_MS);
	for (size_t i = 0; i < d->n; i++) {
		struct session *s = &d->sessions[i];

		s->deep = d;
		s->source = loopback_source((unsigned)i);
		timer_init(&s->again, d->loop, dial_cb, s);
		timer_set(&s->again, 0);
	}
	return 0;
}

static void
end(struct deep *d)
{
	for (size_t i = 0; i < d->n; i++) {
		stop_pings(&d->sessions[i]);
		timer_cancel(&d->sessions[i].again);
		client_io_free(d->sessions[i].io);
	}
	timer_cancel(&d->tick);
	io_fini(&d->channel_io);
}

int
deep_run(int channel)
{
	struct deep *d = calloc(1, sizeof(*d));
	int status = 1;

	if (d == NULL)
		return status;
	d->channel = channel;
	if (take_orders(d) == 0 && (d->loop = loop_new()) != NULL) {
		if (begin(d) == 0) {
			loop_run(d->loop);
			status = 0;
		}
		end(d);
		loop_free(d->loop);
	}
	explicit_bzero(d->password, sizeof(d->password));
	free(d);
	return status;
}
