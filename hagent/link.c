/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A path's thread. It waits in one poll() for the SSH connection, for the agent's socket and for
 * the next beat. Neither side is ever waited for: a report that the agent does not take is dropped,
 * and at most a few questions lie unanswered with the peer.
 */
#include "hagent/link.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "sync/serve.h"

#define LINE_MAX_BYTES    4096
#define CONNECT_MS        2000
#define BACK_OFF_FIRST_MS 100
#define BACK_OFF_MAX_MS   1000
#define UNANSWERED_MAX    4
#define DOWN_REPORT_MS    500

struct line_buffer {
	char text[LINE_MAX_BYTES];
	size_t n;
};

struct path {
	const struct link_path *config;
	const char *name;
	struct ssh *ssh;
	struct ssh_channel *channel;
	struct line_buffer from_peer, from_agent;
	int agent;
	int64_t heard_ms, next_beat_ms, reported_ms, agent_tried_ms;
	bool up;
	unsigned unanswered;
	uint64_t id;
	char out[LINE_MAX_BYTES]; /* a hello that libssh2 has not taken whole yet: it wants the same
			   bytes again */
	size_t out_len;
	char why[160]; /* why the path is not up */
	json_t *ours;  /* our agent's own hello, as it last answered; NULL = not yet */
};

int64_t
link_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The next whole line of the buffer, its newline replaced by a NUL, or NULL. *used: to drop it. */
static char *
next_line(struct line_buffer *b, size_t *used)
{
	char *end = memchr(b->text, '\n', b->n);

	if (!end)
		return NULL;
	*end = '\0';
	*used = (size_t)(end - b->text) + 1;
	return b->text;
}

static void
drop(struct line_buffer *b, size_t used)
{
	b->n -= used;
	memmove(b->text, b->text + used, b->n);
}

/* ---- our agent ---- */

static void
agent_close(struct path *p)
{
	if (p->agent >= 0)
		close(p->agent);
	p->agent = -1;
	p->from_agent.n = 0;
}

static void
agent_open(struct path *p)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = p->config->agent_socket;

	if (p->agent >= 0 || link_now_ms() - p->agent_tried_ms < BACK_OFF_FIRST_MS ||
	    strlen(path) >= sizeof(a.sun_path))
		return;
	p->agent_tried_ms = link_now_ms();
	memcpy(a.sun_path, path, strlen(path));
	p->agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->agent >= 0 && connect(p->agent, (struct sockaddr *)&a, sizeof(a)) < 0)
		agent_close(p);
}

/* What our agent said of itself concerns the other threads too. */
static void
take_ours(const struct path *p)
{
	struct link_shared *s = p->config->shared;

	__atomic_store_n(&s->agent_heard_ms, link_now_ms(), __ATOMIC_RELAXED);
	__atomic_store_n(
	    &s->mirrors, json_is_true(json_object_get(p->ours, "mirrors")), __ATOMIC_RELAXED);
}

/* Its answers: what we are. */
static void
agent_read(struct path *p)
{
	struct line_buffer *b = &p->from_agent;
	size_t used;
	char *line;

	if (p->agent < 0)
		return;
	ssize_t n = recv(p->agent, b->text + b->n, sizeof(b->text) - b->n, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		agent_close(p);
		return;
	}
	b->n += n > 0 ? (size_t)n : 0;
	while ((line = next_line(b, &used))) {
		json_t *answer = json_loads(line, 0, NULL);
		json_t *data = json_object_get(answer, "data");

		if (json_is_object(data)) {
			json_decref(p->ours);
			p->ours = json_incref(data);
			take_ours(p);
		}
		json_decref(answer);
		drop(b, used);
	}
	if (b->n == sizeof(b->text))
		agent_close(p);
}

/* hello is borrowed; NULL = the path is not up. */
static void
report(struct path *p, json_t *hello)
{
	json_t *o = json_pack("{s:i,s:I,s:s,s:s,s:b}", "v", 1, "id", (json_int_t)++p->id, "cmd",
	    "peer", "path", p->name, "up", hello != NULL);
	char line[LINE_MAX_BYTES];
	size_t len;

	p->reported_ms = link_now_ms();
	if (hello)
		json_object_set(o, "hello", hello);
	else
		json_object_set_new(o, "error", json_string(log_quote(p->why, strlen(p->why))));
	len = json_dumpb(o, line, sizeof(line) - 1, JSON_COMPACT);
	json_decref(o);
	agent_open(p);
	if (len == 0 || len > sizeof(line) - 1 || p->agent < 0)
		return;
	line[len] = '\n';
	/* All or nothing: a UNIX stream takes a short line whole, or the reader hangs. */
	if (send(p->agent, line, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len + 1)
		agent_close(p);
}

static void
set_up(struct path *p, bool up)
{
	p->up = up;
	__atomic_store_n(&p->config->shared->up[p->config->path], up, __ATOMIC_RELAXED);
}

static void __attribute__((format(printf, 2, 3))) set_down(struct path *p, const char *fmt, ...)
{
	bool was_up = p->up;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	set_up(p, false);
	if (was_up)
		log_warn(
		    "path down path=%s why=\"%s\"", p->name, log_quote(p->why, strlen(p->why)));
	if (was_up || link_now_ms() - p->reported_ms >= DOWN_REPORT_MS)
		report(p, NULL);
}

/* ---- the peer ---- */

static void
hang_up(struct path *p)
{
	if (p->channel)
		ssh_channel_free(p->channel);
	ssh_free(p->ssh);
	p->channel = NULL;
	p->ssh = NULL;
	p->from_peer.n = 0;
	p->unanswered = 0;
	p->out_len = 0;
}

void
link_note_failure(struct link_shared *s, const struct ssh_error *e)
{
	if (e->fault == SSH_WRONG_HOST_KEY || e->fault == SSH_KEY_REFUSED)
		__atomic_store_n(&s->refused, true, __ATOMIC_RELAXED);
}

static bool
dial_peer(struct path *p)
{
	struct ssh_error e;

	p->ssh = dial_path(p->config->dial, p->config->path, CONNECT_MS, &e);
	if (p->ssh)
		p->channel = ssh_exec(p->ssh, SERVE_QUERY_COMMAND, CONNECT_MS, &e);
	p->heard_ms = p->next_beat_ms = link_now_ms();
	if (p->channel)
		return true;
	link_note_failure(p->config->shared, &e);
	hang_up(p);
	set_down(p, "%s", e.text);
	return false;
}

static bool
send_out(struct path *p)
{
	ssize_t n = ssh_write(p->channel, p->out, p->out_len);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n != (ssize_t)p->out_len) /* half a line cannot be mended */
		return false;
	p->out_len = 0;
	p->unanswered++;
	return true;
}

/* False: the connection is broken. */
static bool
beat(struct path *p)
{
	json_t *o;
	size_t len;

	if (p->out_len > 0)
		return send_out(p);
	if (p->unanswered >= UNANSWERED_MAX)
		return true;
	o = json_pack("{s:i,s:I,s:s}", "v", 1, "id", (json_int_t)++p->id, "cmd", "hello");
	if (p->ours)
		json_object_update_missing(o, p->ours);
	len = json_dumpb(o, p->out, sizeof(p->out) - 1, JSON_COMPACT);
	json_decref(o);
	if (len == 0 || len > sizeof(p->out) - 1)
		return true;
	p->out[len] = '\n';
	p->out_len = len + 1;
	return send_out(p);
}

static void
take_answer(struct path *p, const char *line)
{
	json_t *answer = json_loads(line, 0, NULL);
	json_t *data = json_object_get(answer, "data");

	if (p->unanswered > 0)
		p->unanswered--;
	if (json_is_object(data)) {
		p->heard_ms = link_now_ms();
		if (!p->up)
			log_info("path up path=%s", p->name);
		set_up(p, true);
		report(p, data);
	}
	json_decref(answer);
}

/* False: the connection has ended. */
static bool
listen_to_peer(struct path *p)
{
	struct line_buffer *b = &p->from_peer;
	char spill[512];
	size_t used;
	char *line;
	ssize_t n;

	while ((n = ssh_read(p->channel, SSH_STDERR, spill, sizeof(spill) - 1)) > 0) {
		spill[n] = '\0';
		spill[strcspn(spill, "\n")] = '\0';
		log_info("peer says path=%s text=\"%s\"", p->name, log_quote(spill, strlen(spill)));
	}
	while ((n = ssh_read(p->channel, SSH_STDOUT, b->text + b->n, sizeof(b->text) - b->n)) > 0) {
		b->n += (size_t)n;
		while ((line = next_line(b, &used))) {
			take_answer(p, line);
			drop(b, used);
		}
		if (b->n == sizeof(b->text))
			return false;
	}
	return n < 0 && errno == EAGAIN;
}

static void
wait_for_something(struct path *p)
{
	int64_t left = p->next_beat_ms - link_now_ms();
	struct pollfd fds[2] = {
	    {.fd = ssh_fd(p->ssh), .events = ssh_wants(p->ssh)},
	    {.fd = p->agent, .events = POLLIN},
	};

	poll(fds, 2, left > 0 ? (int)left : 0);
}

/* As long as the connection is worth keeping. */
static void
talk(struct path *p)
{
	for (;;) {
		int64_t now_ms = link_now_ms();

		if (now_ms >= p->next_beat_ms) {
			p->next_beat_ms = now_ms + LINK_BEAT_MS;
			if (!beat(p)) {
				set_down(p, "the connection broke");
				return;
			}
		}
		wait_for_something(p);
		agent_read(p);
		if (!listen_to_peer(p)) {
			set_down(p, "the peer ended the connection: its agent may be down");
			return;
		}
		int64_t silent_ms = link_now_ms() - p->heard_ms;
		if (silent_ms >= LINK_DEAD_MS) {
			set_down(p, "silent for %lld ms, dialled anew", (long long)silent_ms);
			return;
		}
		if (silent_ms >= LINK_SILENT_MS)
			set_down(p, "silent for %lld ms", (long long)silent_ms);
	}
}

void *
link_run(void *arg)
{
	struct path *p = calloc(1, sizeof(*p));
	int64_t back_off_ms = BACK_OFF_FIRST_MS;

	if (!p)
		return NULL;
	p->config = arg;
	p->name = dial_path_names[p->config->path];
	p->agent = -1;
	report(p, NULL);
	for (;;) {
		if (dial_peer(p)) {
			int64_t begun_ms = link_now_ms();

			talk(p);
			hang_up(p);
			if (link_now_ms() - begun_ms > LINK_DEAD_MS)
				back_off_ms = BACK_OFF_FIRST_MS;
		}
		agent_read(p);
		struct timespec pause = {
		    .tv_sec = back_off_ms / 1000, .tv_nsec = back_off_ms % 1000 * 1000000};
		nanosleep(&pause, NULL);
		back_off_ms = back_off_ms * 2 < BACK_OFF_MAX_MS ? back_off_ms * 2 : BACK_OFF_MAX_MS;
	}
}
