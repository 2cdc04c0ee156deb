/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The asynchronous client. A call lives in a slot from its request to its answer; one that ran into
 * its deadline keeps its slot without a callback, so that a server that hangs is not fed without
 * end and so that its late answer is known for what it is. The breaking of the connection empties
 * all slots. Failures are told from the loop, never from within answer_client_call().
 */
#include "common/answer_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/answer.h"

#define SLOTS 16

struct call {
	struct answer_client *client;
	uint64_t number; /* 0 = free slot */
	struct timer deadline;
	answer_done_fn *done; /* NULL: nobody waits */
	void *arg;
	int error; /* the timer is not a deadline: it tells this */
};

struct answer_client {
	struct loop *loop;
	struct sockaddr_un address;
	int fd;
	struct io io;
	uint64_t last;
	struct call calls[SLOTS];
	char *out;
	size_t out_len, in_len;
	char in[ANSWER_LINE_MAX];
};

static void
finish(struct call *c, json_t *answer, int error)
{
	answer_done_fn *done = c->done;
	void *arg = c->arg;

	timer_cancel(&c->deadline);
	c->number = 0;
	c->done = NULL;
	errno = error;
	if (done)
		done(arg, answer);
}

static void
deadline_cb(void *arg)
{
	struct call *c = arg;
	answer_done_fn *done = c->done;

	if (c->error) {
		finish(c, NULL, c->error);
		return;
	}
	c->done = NULL; /* the slot stays until the answer or the connection's end */
	errno = ETIMEDOUT;
	if (done)
		done(c->arg, NULL);
}

/* Ends the connection. Whoever still waits is told in the next turn. */
static void
hang_up(struct answer_client *c, int error)
{
	io_fini(&c->io);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->out_len = c->in_len = 0;
	for (size_t i = 0; i < SLOTS; i++) {
		struct call *call = &c->calls[i];

		if (call->number == 0 || call->error)
			continue;
		if (!call->done) {
			call->number = 0;
			continue;
		}
		call->error = error;
		timer_set(&call->deadline, 0);
	}
}

static void
send_out(struct answer_client *c)
{
	while (c->out_len > 0) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) { /* the reading side hangs up: we may be inside one of its callbacks */
			shutdown(c->fd, SHUT_RDWR);
			c->out_len = 0;
			break;
		}
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	io_want(&c->io, IO_READ | (c->out_len > 0 ? IO_WRITE : 0));
}

/* False: the line is no answer. */
static bool
take_line(struct answer_client *c, const char *line, size_t len)
{
	json_t *answer = json_loadb(line, len, 0, NULL);
	json_int_t id = json_integer_value(json_object_get(answer, "id"));
	bool good = id > 0 && json_is_boolean(json_object_get(answer, "ok"));

	for (size_t i = 0; good && i < SLOTS; i++) {
		if (c->calls[i].number == (uint64_t)id && !c->calls[i].error) {
			finish(&c->calls[i], answer, 0);
			break;
		}
	}
	json_decref(answer);
	return good;
}

static void
take_lines(struct answer_client *c)
{
	size_t at = 0;
	char *end;

	while (c->fd >= 0 && (end = memchr(c->in + at, '\n', c->in_len - at))) {
		size_t len = (size_t)(end - (c->in + at));

		if (!take_line(c, c->in + at, len)) {
			hang_up(c, EBADMSG);
			return;
		}
		at += len + 1;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	if (c->in_len == sizeof(c->in))
		hang_up(c, EBADMSG);
}

static void
io_cb(int events, void *arg)
{
	struct answer_client *c = arg;

	if (events & IO_WRITE)
		send_out(c);
	if (c->fd < 0 || !(events & IO_READ))
		return;
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		hang_up(c, ECONNRESET);
	} else if (n > 0) {
		c->in_len += (size_t)n;
		take_lines(c);
	}
}

static int
connect_now(struct answer_client *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&c->address, sizeof(c->address)) < 0 ||
	    io_init(&c->io, c->loop, fd, io_cb, c) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	c->fd = fd;
	io_want(&c->io, IO_READ);
	return 0;
}

struct answer_client *
answer_client_new(struct loop *l, const char *path)
{
	struct answer_client *c;

	if (strlen(path) >= sizeof(c->address.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->loop = l;
	c->fd = -1;
	c->address.sun_family = AF_UNIX;
	memcpy(c->address.sun_path, path, strlen(path));
	for (size_t i = 0; i < SLOTS; i++) {
		c->calls[i].client = c;
		timer_init(&c->calls[i].deadline, l, deadline_cb, &c->calls[i]);
	}
	return c;
}

void
answer_client_free(struct answer_client *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		timer_cancel(&c->calls[i].deadline);
	io_fini(&c->io);
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	free(c);
}

/* Queues the line; 0, or -1 with errno. */
static int
queue(struct answer_client *c, uint64_t number, const char *cmd, json_t *request)
{
	char *line, *out;
	size_t len;

	if (json_object_set_new(request, "v", json_integer(1)) < 0 ||
	    json_object_set_new(request, "id", json_integer((json_int_t)number)) < 0 ||
	    json_object_set_new(request, "cmd", json_string(cmd)) < 0 ||
	    !(line = json_dumps(request, JSON_COMPACT))) {
		errno = EINVAL;
		return -1;
	}
	len = strlen(line);
	out = len < ANSWER_LINE_MAX ? realloc(c->out, c->out_len + len + 1) : NULL;
	if (!out) {
		free(line);
		errno = len < ANSWER_LINE_MAX ? ENOMEM : EMSGSIZE;
		return -1;
	}
	c->out = out;
	memcpy(out + c->out_len, line, len);
	out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	free(line);
	return 0;
}

uint64_t
answer_client_call(struct answer_client *c, const char *cmd, json_t *args, unsigned timeout_ms,
    answer_done_fn *done, void *arg)
{
	json_t *request = args ? args : json_object();
	struct call *call = NULL;
	uint64_t number = 0;

	for (size_t i = 0; i < SLOTS && !call; i++) {
		if (c->calls[i].number == 0)
			call = &c->calls[i];
	}
	errno = EBUSY;
	if (!call)
		goto out;
	int error = c->fd < 0 && connect_now(c) < 0 ? errno : 0;
	if (!error && queue(c, c->last + 1, cmd, request) < 0)
		goto out;
	number = ++c->last;
	call->number = number;
	call->done = done;
	call->arg = arg;
	call->error = error;
	timer_set(&call->deadline, error ? 0 : timeout_ms);
	if (!error)
		send_out(c);
out:
	json_decref(request);
	return number;
}

void
answer_client_forget(struct answer_client *c, uint64_t number)
{
	for (size_t i = 0; i < SLOTS && number > 0; i++) {
		struct call *call = &c->calls[i];

		if (call->number != number)
			continue;
		call->done = NULL;
		if (call->error) {
			timer_cancel(&call->deadline);
			call->number = 0;
		}
	}
}
