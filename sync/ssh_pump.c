/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Moving bytes between a channel and descriptors, and the one-line question. Each direction has one
 * buffer; it is filled only when it is empty, so a slow side slows the other one down and nothing
 * grows. All that libssh2 holds is taken before poll() is asked again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "sync/ssh.h"

#define BUFFER       16384
#define ANSWER_MAX   (1 << 20)
#define JOIN_TURN_MS 50

struct flow {
	char bytes[BUFFER];
	size_t at, len; /* bytes[at..len) wait to be written */
	bool ended;     /* nothing more comes from the source */
};

struct pump {
	struct ssh_channel *channel;
	struct ssh *ssh;
	int in, out, err;
	struct flow input, output, errors;
	bool eof_sent, sink_gone, moved, broken;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
is_empty(const struct flow *f)
{
	return f->at == f->len;
}

/* A read's result into an empty flow. True if the caller may try again at once. */
static bool
filled(struct pump *p, struct flow *f, ssize_t n)
{
	if (n < 0)
		return errno == EINTR;
	f->at = 0;
	f->len = (size_t)n;
	f->ended = n == 0;
	p->moved = true;
	return false;
}

static void
from_descriptor(struct pump *p)
{
	struct flow *f = &p->input;
	ssize_t n;

	if (!is_empty(f) || f->ended)
		return;
	while (filled(p, f, n = p->in < 0 ? 0 : read(p->in, f->bytes, BUFFER)))
		;
	if (n < 0 && errno != EAGAIN)
		f->ended = true;
}

/* Writes what waits. A reader that went away gets nothing more, but the command is not stopped. */
static void
to_descriptor(struct pump *p, struct flow *f, int fd)
{
	while (!is_empty(f)) {
		ssize_t n = p->sink_gone ? (ssize_t)(f->len - f->at)
					 : write(fd, f->bytes + f->at, f->len - f->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			p->sink_gone = true;
			continue;
		}
		f->at += (size_t)n;
		p->moved = true;
	}
}

static void
from_channel(struct pump *p, struct flow *f, int stream, int fd)
{
	while (is_empty(f) && !f->ended) {
		ssize_t n = ssh_read(p->channel, stream, f->bytes, BUFFER);

		if (n < 0) {
			p->broken |= errno != EAGAIN;
			return;
		}
		filled(p, f, n);
		to_descriptor(p, f, fd);
	}
}

static void
to_channel(struct pump *p)
{
	struct flow *f = &p->input;

	while (!is_empty(f)) {
		ssize_t n = ssh_write(p->channel, f->bytes + f->at, f->len - f->at);

		if (n < 0) {
			p->broken |= errno != EAGAIN;
			return;
		}
		f->at += (size_t)n;
		p->moved = true;
	}
	if (f->ended && !p->eof_sent) {
		p->eof_sent = ssh_write_eof(p->channel) == 0;
		p->broken |= !p->eof_sent && errno != EAGAIN;
	}
}

static bool
ended(const struct pump *p)
{
	return p->output.ended && p->errors.ended && is_empty(&p->output) && is_empty(&p->errors);
}

/* One round: all that can move without waiting. */
static void
turn(struct pump *p)
{
	p->moved = false;
	to_descriptor(p, &p->output, p->out);
	to_descriptor(p, &p->errors, p->err);
	from_channel(p, &p->output, SSH_STDOUT, p->out);
	from_channel(p, &p->errors, SSH_STDERR, p->err);
	from_descriptor(p);
	if (!p->broken)
		to_channel(p);
}

static void
wait_for_more(const struct pump *p, int ms)
{
	struct pollfd fds[4] = {
	    {.fd = ssh_fd(p->ssh), .events = ssh_wants(p->ssh)},
	    {.fd = is_empty(&p->input) && !p->input.ended ? p->in : -1, .events = POLLIN},
	    {.fd = is_empty(&p->output) ? -1 : p->out, .events = POLLOUT},
	    {.fd = is_empty(&p->errors) ? -1 : p->err, .events = POLLOUT},
	};

	poll(fds, 4, ms);
}

static int
set_flags(int fd, int flags)
{
	int old = fd < 0 ? 0 : fcntl(fd, F_GETFL);

	if (fd >= 0 && old >= 0)
		fcntl(fd, F_SETFL, flags < 0 ? old | O_NONBLOCK : flags);
	return old;
}

int
ssh_pump(struct ssh_channel *c, int in, int out, int err, int idle_ms, struct ssh_error *e)
{
	struct pump *p = calloc(1, sizeof(*p));
	int64_t since = now_ms();
	int in_flags, out_flags, status = -1;

	*e = (struct ssh_error){0};
	if (!p) {
		*e = (struct ssh_error){SSH_LOCAL, "out of memory"};
		return -1;
	}
	p->channel = c;
	p->ssh = ssh_of(c);
	p->in = in;
	p->out = out;
	p->err = err;
	in_flags = set_flags(in, -1);
	out_flags = set_flags(out, -1);
	for (;;) {
		turn(p);
		if (p->moved)
			since = now_ms();
		if (ended(p) && ((status = ssh_exit_status(c)) >= 0 || errno != EAGAIN))
			break;
		if (p->broken || now_ms() - since >= idle_ms)
			break;
		if (!p->moved)
			wait_for_more(p, (int)(since + idle_ms - now_ms()));
	}
	if (status < 0 && !p->broken && now_ms() - since >= idle_ms)
		*e = (struct ssh_error){SSH_LATE, "no byte from the peer in time"};
	else if (status < 0)
		*e = (struct ssh_error){SSH_BROKEN, "the connection to the peer broke"};
	set_flags(in, in_flags);
	set_flags(out, out_flags);
	explicit_bzero(p, sizeof(*p));
	free(p);
	return status;
}

/* ---- a joint ---- */

/* Takes the command's words about itself; their first line is kept. */
static void
hear_errors(struct pump *p, struct ssh_error *e)
{
	char words[256];
	ssize_t n = ssh_read(p->channel, SSH_STDERR, words, sizeof(words) - 1);

	if (n <= 0)
		return;
	p->moved = true;
	words[n] = '\0';
	if (!*e->text)
		snprintf(e->text, sizeof(e->text), "%s", log_quote(words, strcspn(words, "\n")));
}

int
ssh_join(struct ssh_channel *c, int sock, bool (*stop)(void *arg), void *arg, struct ssh_error *e)
{
	struct pump *p = calloc(1, sizeof(*p));
	int rc;

	*e = (struct ssh_error){0};
	if (!p) {
		*e = (struct ssh_error){SSH_LOCAL, "out of memory"};
		return -1;
	}
	p->channel = c;
	p->ssh = ssh_of(c);
	p->in = p->out = sock;
	set_flags(sock, -1);
	while (!p->broken && !p->sink_gone && !p->input.ended &&
	       !(p->output.ended && is_empty(&p->output)) && !stop(arg)) {
		p->moved = false;
		to_descriptor(p, &p->output, sock);
		from_channel(p, &p->output, SSH_STDOUT, sock);
		hear_errors(p, e);
		from_descriptor(p);
		if (!p->broken)
			to_channel(p);
		if (!p->moved)
			wait_for_more(p, JOIN_TURN_MS);
	}
	rc = p->broken ? -1 : 0;
	explicit_bzero(p, sizeof(*p));
	free(p);
	return rc;
}

/* ---- the question ---- */

struct answer {
	char *text;
	size_t len;
	char errors[160];
	size_t errors_len;
	bool ended[2];
};

/* All of line, unless the connection breaks: what is left to send. */
static size_t
send_some(struct ssh_channel *c, const char *line, size_t left, bool *broken)
{
	while (left > 0) {
		ssize_t n = ssh_write(c, line + strlen(line) - left, left);

		if (n < 0) {
			*broken = errno != EAGAIN;
			break;
		}
		left -= (size_t)n;
	}
	return left;
}

/* Takes what has come; true when the first line is whole or nothing more can come. */
static bool
take_some(struct ssh_channel *c, struct answer *a, bool *broken)
{
	char rest[512];
	ssize_t n;

	while (a->len < ANSWER_MAX && !a->ended[0]) {
		n = ssh_read(c, SSH_STDOUT, a->text + a->len, ANSWER_MAX - a->len);
		if (n < 0) {
			*broken = errno != EAGAIN;
			break;
		}
		a->ended[0] = n == 0;
		a->len += (size_t)n;
		if (memchr(a->text + a->len - n, '\n', (size_t)n))
			return true;
	}
	while (!a->ended[1]) {
		n = ssh_read(c, SSH_STDERR, rest, sizeof(rest));
		if (n < 0)
			break;
		a->ended[1] = n == 0;
		size_t fits = sizeof(a->errors) - 1 - a->errors_len;
		size_t take = (size_t)n < fits ? (size_t)n : fits;
		memcpy(a->errors + a->errors_len, rest, take);
		a->errors_len += take;
	}
	return *broken || a->len == ANSWER_MAX || (a->ended[0] && a->ended[1]);
}

char *
ssh_ask_on(struct ssh_channel *c, const char *line, int timeout_ms, struct ssh_error *e)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct answer a = {.text = malloc(ANSWER_MAX + 1)};
	struct ssh *s = ssh_of(c);
	size_t left = strlen(line);
	bool broken = false;
	char *end;

	if (!a.text) {
		*e = (struct ssh_error){SSH_LOCAL, "out of memory"};
		return NULL;
	}
	while (left = send_some(c, line, left, &broken), !take_some(c, &a, &broken)) {
		struct pollfd p = {.fd = ssh_fd(s), .events = ssh_wants(s)};
		int64_t wait = deadline - now_ms();

		if (broken || wait <= 0)
			break;
		poll(&p, 1, (int)wait);
	}
	end = memchr(a.text, '\n', a.len);
	if (end) {
		*end = '\0';
		return a.text;
	}
	a.errors[strcspn(a.errors, "\n")] = '\0';
	e->fault = !broken && now_ms() >= deadline ? SSH_LATE : SSH_BROKEN;
	snprintf(e->text, sizeof(e->text), "%s",
	    a.errors[0]            ? log_quote(a.errors, strlen(a.errors))
	    : e->fault == SSH_LATE ? "the peer's agent did not answer in time"
				   : "the peer ended the command without an answer");
	free(a.text);
	return NULL;
}

char *
ssh_ask(struct ssh *s, const char *command, const char *line, int timeout_ms, struct ssh_error *e)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct ssh_channel *c = ssh_exec(s, command, timeout_ms, e);
	char *text = NULL;

	if (c) {
		int64_t left = deadline - now_ms();

		text = ssh_ask_on(c, line, left > 0 ? (int)left : 0, e);
		ssh_channel_free(c);
	}
	return text;
}
