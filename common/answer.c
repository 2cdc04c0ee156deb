/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket. The server owns its clients; a request that waits for its answer owns a
 * reference too, so that a client may go away first: it is then dead (fd < 0), and answering it
 * only frees the request. A client has at most one request unanswered; further lines wait in its
 * buffer, so answers leave in the order of the requests. Commands run from the loop only, never
 * from within answer_ok() of an earlier one.
 */
#include "common/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define CLIENTS_MAX     32
#define UNSENT_MAX      65536
#define ACCEPT_PAUSE_MS 100

struct client {
	struct answer_server *server;
	struct client *next;
	unsigned refs;
	int fd; /* < 0: dead; server and the rest are then not to be touched */
	struct io io;
	struct timer resume; /* looks for the next line after a late answer */
	bool busy;           /* a request is unanswered */
	bool eof;            /* nothing more will come */
	bool closing;        /* close when everything is sent */
	char *out;
	size_t out_len;
	size_t in_len;
	char in[ANSWER_LINE_MAX];
};

struct answer_request {
	struct client *client;
	json_t *id;
};

struct answer_server {
	struct loop *loop;
	int fd;
	struct io io;
	struct timer accept_again;
	const struct answer_command *rows;
	size_t n_rows;
	void *arg;
	struct client *clients;
	unsigned n_clients;
};

/* One client */

static void
client_unref(struct client *c)
{
	if (--c->refs > 0)
		return;
	free(c->out);
	free(c);
}

static void
client_drop(struct client *c)
{
	struct client **at;

	if (c->fd < 0)
		return;
	for (at = &c->server->clients; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	c->server->n_clients--;
	timer_cancel(&c->resume);
	io_fini(&c->io);
	close(c->fd);
	c->fd = -1;
	client_unref(c);
}

static void
client_send(struct client *c)
{
	size_t sent = 0;

	while (sent < c->out_len) {
		ssize_t n =
		    send(c->fd, c->out + sent, c->out_len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			client_drop(c);
			return;
		}
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	c->out_len -= sent;
	memmove(c->out, c->out + sent, c->out_len);
	if (c->out_len > UNSENT_MAX) {
		log_info("control dropped a slow reader unsent=%zu", c->out_len);
		client_drop(c);
	}
}

/* After each of the client's turns: what to wait for next, and whether it is done. */
static void
client_wait(struct client *c)
{
	if (c->out_len == 0 && c->closing) {
		client_drop(c);
		return;
	}
	io_want(&c->io, (!c->eof && !c->closing && c->in_len < sizeof(c->in) ? IO_READ : 0) |
			    (c->out_len > 0 ? IO_WRITE : 0));
}

/* Queues one answer, which it steals (NULL: out of memory), and sends it as far as it goes. */
static void
client_put(struct client *c, json_t *answer)
{
	char *line = json_dumps(answer, JSON_COMPACT), *out;
	size_t len = line != NULL ? strlen(line) : 0;

	json_decref(answer);
	out = line != NULL ? realloc(c->out, c->out_len + len + 1) : NULL;
	if (out == NULL) {
		free(line);
		client_drop(c);
		return;
	}
	memcpy(out + c->out_len, line, len);
	out[c->out_len + len] = '\n';
	c->out = out;
	c->out_len += len + 1;
	free(line);
	client_send(c);
}

/* Requests */

static json_t *
error_object(json_t *id, const char *code, const char *message)
{
	return json_pack("{s:O?, s:b, s:{s:s, s:s}}", "id", id, "ok", 0, "error", "code", code,
	    "message", message);
}

/* Steals answer; gives the request back to its client. Safe when the client is long gone. */
static void
finish(struct answer_request *r, json_t *answer)
{
	struct client *c = r->client;

	if (c->fd >= 0)
		client_put(c, answer);
	else
		json_decref(answer);
	json_decref(r->id);
	free(r);
	c->busy = false;
	if (c->fd >= 0)
		timer_set(&c->resume, 0);
	client_unref(c);
}

void
answer_ok(struct answer_request *r, json_t *data)
{
	json_t *answer;
	size_t len;

	if (data == NULL)
		data = json_object();
	answer = json_pack("{s:O?, s:b, s:o}", "id", r->id, "ok", 1, "data", data);
	len = answer != NULL ? json_dumpb(answer, NULL, 0, JSON_COMPACT) : 0;
	if (len >= ANSWER_LINE_MAX) {
		log_warn("control answer too long bytes=%zu", len);
		json_decref(answer);
		answer = error_object(r->id, "too-long", "the answer does not fit into one line");
	}
	finish(r, answer);
}

void
answer_error(struct answer_request *r, const char *code, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	for (char *p = message; *p != '\0'; p++) /* JSON strings are UTF-8 */
		if ((signed char)*p < 0)
			*p = '?';
	finish(r, error_object(r->id, code, message));
}

static const struct answer_command *
find_command(const struct answer_server *s, const char *name)
{
	for (size_t i = 0; i < s->n_rows; i++)
		if (strcmp(s->rows[i].name, name) == 0)
			return &s->rows[i];
	return NULL;
}

static void
run_request(struct answer_request *r, json_t *args)
{
	const struct answer_server *s = r->client->server;
	const char *name = json_string_value(json_object_get(args, "cmd"));
	json_t *v = json_object_get(args, "v");
	const struct answer_command *command;

	if (!json_is_object(args)) {
		answer_error(r, "bad-request", "not a JSON object");
	} else if (!json_is_integer(v) || json_integer_value(v) != 1) {
		answer_error(r, "bad-version", "want \"v\":1");
	} else if (name == NULL) {
		answer_error(r, "bad-request", "want \"cmd\":\"NAME\"");
	} else if ((command = find_command(s, name)) == NULL) {
		answer_error(
		    r, "unknown-command", "no command \"%s\"", log_quote(name, strlen(name)));
	} else {
		command->run(r, args, s->arg);
	}
}

static void
take_line(struct client *c, const char *line, size_t len)
{
	struct answer_request *r = calloc(1, sizeof(*r));
	json_t *args, *id;

	if (r == NULL) {
		client_drop(c);
		return;
	}
	args = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	id = json_object_get(args, "id");
	if (json_is_integer(id) || json_is_string(id))
		r->id = json_incref(id);
	r->client = c;
	c->refs++;
	c->busy = true;
	run_request(r, args);
	json_decref(args);
}

/* Runs the whole lines that have come, one at a time, as long as each is answered at once. */
static void
client_work(struct client *c)
{
	size_t at = 0;
	char *end;

	while (c->fd >= 0 && !c->busy && !c->closing &&
	       (end = memchr(c->in + at, '\n', c->in_len - at)) != NULL) {
		size_t len = (size_t)(end - (c->in + at));

		take_line(c, c->in + at, len);
		at += len + 1;
	}
	if (c->fd < 0)
		return;
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	timer_cancel(&c->resume);
	if (!c->busy && !c->closing && (c->eof || c->in_len == sizeof(c->in))) {
		c->closing = true;
		if (c->in_len == sizeof(c->in))
			client_put(c, error_object(NULL, "too-long", "line too long"));
	}
	if (c->fd >= 0)
		client_wait(c);
}

static void
client_resume_cb(void *arg)
{
	struct client *c = arg;

	c->refs++;
	client_work(c);
	client_unref(c);
}

/* The peer has closed both directions: nobody will read an answer. */
static bool
is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
client_io_cb(int events, void *arg)
{
	struct client *c = arg;
	ssize_t n = -1;

	c->refs++;
	if (events & IO_WRITE)
		client_send(c);
	if (c->fd >= 0 && (events & IO_READ)) {
		n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
		if (n > 0)
			c->in_len += (size_t)n;
		else if (n == 0)
			c->eof = true;
		if ((n == 0 && is_gone(c->fd)) || (n < 0 && errno != EAGAIN && errno != EINTR))
			client_drop(c);
	}
	if (c->fd >= 0)
		client_work(c);
	client_unref(c);
}

/* The server */

static void
client_new(struct answer_server *s, int fd)
{
	static const char full[] = "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"busy\","
				   "\"message\":\"too many clients\"}}\n";
	struct client *c = NULL;

	if (s->n_clients == CLIENTS_MAX)
		(void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	else
		c = calloc(1, sizeof(*c));
	if (c == NULL || io_init(&c->io, s->loop, fd, client_io_cb, c) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	c->refs = 1;
	c->fd = fd;
	timer_init(&c->resume, s->loop, client_resume_cb, c);
	io_want(&c->io, IO_READ);
	c->next = s->clients;
	s->clients = c;
	s->n_clients++;
}

static void
accept_again_cb(void *arg)
{
	struct answer_server *s = arg;

	io_want(&s->io, IO_READ);
}

static void
accept_cb(int events, void *arg)
{
	struct answer_server *s = arg;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		client_new(s, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors, say: the listener stays readable, so do not spin on it. */
		log_warn("control accept failed error=\"%m\"");
		io_want(&s->io, 0);
		timer_set(&s->accept_again, ACCEPT_PAUSE_MS);
	}
}

struct answer_server *
answer_server_new(
    struct loop *l, int fd, const struct answer_command *rows, size_t n_rows, void *arg)
{
	struct answer_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	json_object_seed(0); /* it reads a device file: not later, when files may be out of reach */
	s->loop = l;
	s->fd = fd;
	s->rows = rows;
	s->n_rows = n_rows;
	s->arg = arg;
	timer_init(&s->accept_again, l, accept_again_cb, s);
	if (io_init(&s->io, l, fd, accept_cb, s) < 0) {
		free(s);
		return NULL;
	}
	io_want(&s->io, IO_READ);
	return s;
}

void
answer_server_free(struct answer_server *s)
{
	if (s == NULL)
		return;
	while (s->clients != NULL)
		client_drop(s->clients);
	timer_cancel(&s->accept_again);
	io_fini(&s->io);
	close(s->fd);
	free(s);
}

/* The blocking client */

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
wait_fd(int fd, short events, uint64_t end_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	for (;;) {
		uint64_t now_ms = clock_ms();

		n = poll(&p, 1, now_ms < end_ms ? (int)(end_ms - now_ms) : 0);
		if (n > 0)
			return 0;
		if (n == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (errno != EINTR)
			return -1;
	}
}

static int
call_connect(const char *path, uint64_t end_ms)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno == EAGAIN && clock_ms() < end_ms) { /* the server's queue is full */
			usleep(5000);
			continue;
		}
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		close(fd);
		return -1;
	}
	return fd;
}

/* A server that has hung up may have said why: a broken pipe is no error here, the read will tell.
 */
static int
call_send(int fd, const char *line, size_t len, uint64_t end_ms)
{
	while (len > 0) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n < 0 && wait_fd(fd, POLLOUT, end_ms) < 0)
			return -1;
		if (n > 0) {
			line += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static json_t *
call_receive(int fd, char *line, uint64_t end_ms)
{
	size_t len = 0;
	char *end = NULL;
	json_t *answer, *id, *ok;

	while (end == NULL) {
		ssize_t n;

		if (wait_fd(fd, POLLIN, end_ms) < 0)
			return NULL;
		n = recv(fd, line + len, ANSWER_LINE_MAX - len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) { /* also when the line is full: recv() of 0 bytes */
			errno = EBADMSG;
			return NULL;
		}
		end = memchr(line + len, '\n', (size_t)n);
		len += (size_t)n;
	}
	answer = json_loadb(line, (size_t)(end - line), 0, NULL);
	id = json_object_get(answer, "id");
	ok = json_object_get(answer, "ok");
	if (!json_is_boolean(ok) ||
	    !(json_integer_value(id) == 1 || (json_is_null(id) && json_is_false(ok)))) {
		json_decref(answer);
		errno = EBADMSG;
		return NULL;
	}
	return answer;
}

json_t *
answer_call(const char *path, const char *cmd, json_t *args, int timeout_ms)
{
	uint64_t end_ms = clock_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	json_t *request = args != NULL ? args : json_object(), *answer = NULL;
	char *line = NULL, *buffer = malloc(ANSWER_LINE_MAX);
	size_t len;
	int fd = -1, saved_errno;

	errno = EINVAL;
	if (buffer == NULL || json_object_set_new(request, "v", json_integer(1)) < 0 ||
	    json_object_set_new(request, "id", json_integer(1)) < 0 ||
	    json_object_set_new(request, "cmd", json_string(cmd)) < 0)
		goto out;
	line = json_dumps(request, JSON_COMPACT);
	if (line == NULL || strlen(line) >= ANSWER_LINE_MAX)
		goto out;
	len = strlen(line);
	line[len] = '\n'; /* in the terminator's place: the length goes along */
	fd = call_connect(path, end_ms);
	if (fd >= 0 && call_send(fd, line, len + 1, end_ms) == 0)
		answer = call_receive(fd, buffer, end_ms);
out:
	saved_errno = errno;
	if (fd >= 0)
		close(fd);
	free(line);
	free(buffer);
	json_decref(request);
	errno = saved_errno;
	return answer;
}
