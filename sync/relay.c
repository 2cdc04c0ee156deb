/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One buffer a direction, filled only when it is empty: a slow side holds back the other one.
 */
#include "sync/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER 32768

struct direction {
	int from, to;
	char bytes[BUFFER];
	size_t at, len;
	bool ended; /* nothing more comes */
};

int
relay_connect(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* All that moves without waiting; -1 when writing is no longer possible. */
static int
move(struct direction *d)
{
	for (;;) {
		ssize_t n;

		if (d->at < d->len) {
			n = write(d->to, d->bytes + d->at, d->len - d->at);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return errno == EAGAIN ? 0 : -1;
			d->at += (size_t)n;
			continue;
		}
		if (d->ended)
			return 0;
		n = read(d->from, d->bytes, BUFFER);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		d->at = 0;
		d->len = n > 0 ? (size_t)n : 0;
		d->ended = n <= 0;
	}
}

static bool
is_done(const struct direction *d)
{
	return d->ended && d->at == d->len;
}

/* What to wait for: its source when the buffer is empty, its sink when it is not. */
static struct pollfd
wish(const struct direction *d)
{
	if (d->at < d->len)
		return (struct pollfd){.fd = d->to, .events = POLLOUT};
	return (struct pollfd){.fd = d->ended ? -1 : d->from, .events = POLLIN};
}

int
relay_run(int in, int out, int sock)
{
	struct direction there = {.from = in, .to = sock}, back = {.from = sock, .to = out};
	const int fds[] = {in, out, sock};
	bool shut = false;
	int rc = 0;

	for (size_t i = 0; i < 3; i++)
		fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
	while (rc == 0 && !is_done(&back)) {
		/* A socket that takes no more may still have said something. */
		if (move(&there) < 0)
			there = (struct direction){.from = in, .to = sock, .ended = true};
		if (!shut && is_done(&there))
			shut = shutdown(sock, SHUT_WR) <= 0;
		rc = move(&back);
		if (rc == 0 && !is_done(&back)) {
			struct pollfd p[2] = {wish(&there), wish(&back)};

			poll(p, 2, -1);
		}
	}
	explicit_bzero(&there, sizeof(there));
	return rc;
}
