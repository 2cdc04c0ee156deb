/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request over conntrackd's own socket: see conntrackd.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sync/conntrackd.h"

/* All that concerns connections and expectations, as its program asks. */
static const int numbers[] = {
    [CONNTRACKD_COMMIT] = 46,
    [CONNTRACKD_FLUSH] = 45,
    [CONNTRACKD_RESYNC] = 44,
    [CONNTRACKD_SEND] = 22,
    [CONNTRACKD_EXPIRE] = 26,
    [CONNTRACKD_REQUEST] = 23,
    [CONNTRACKD_STATS] = 21,
};

void
conntrackd_forget(struct conntrackd_talk *t)
{
	if (!t->running)
		return;
	t->running = false;
	timer_cancel(&t->deadline);
	io_fini(&t->io);
	close(t->fd);
}

static void
end(struct conntrackd_talk *t, int error)
{
	conntrackd_forget(t);
	t->text[t->n] = '\0';
	t->done(t->arg, error, t->text);
}

static void
deadline_cb(void *arg)
{
	end(arg, ETIMEDOUT);
}

static void
read_cb(int events, void *arg)
{
	struct conntrackd_talk *t = arg;
	char spill[1024];
	size_t room = CONNTRACKD_ANSWER_MAX - t->n;
	ssize_t n;

	(void)events;
	if (room > 0)
		n = recv(t->fd, t->text + t->n, room, MSG_DONTWAIT);
	else
		n = recv(t->fd, spill, sizeof(spill), MSG_DONTWAIT);
	if (n > 0 && room > 0)
		t->n += (size_t)n;
	if (n == 0)
		end(t, 0);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		end(t, errno);
}

/* Never waits: on such a socket a connection is there at once, or not at all. */
static int
connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd, saved;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
conntrackd_ask(struct conntrackd_talk *t, struct loop *l, const char *path,
    enum conntrackd_request request, unsigned deadline_ms, conntrackd_done_fn *done, void *arg)
{
	int saved;

	if (t->running) {
		errno = EBUSY;
		return -1;
	}
	t->fd = connect_to(path);
	if (t->fd < 0)
		return -1;
	if (send(t->fd, &numbers[request], sizeof(numbers[request]), MSG_NOSIGNAL) !=
		sizeof(numbers[request]) ||
	    io_init(&t->io, l, t->fd, read_cb, t) < 0) {
		saved = errno;
		close(t->fd);
		errno = saved;
		return -1;
	}
	t->running = true;
	t->done = done;
	t->arg = arg;
	t->n = 0;
	timer_init(&t->deadline, l, deadline_cb, t);
	timer_set(&t->deadline, deadline_ms);
	io_want(&t->io, IO_READ);
	return 0;
}
