/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The replica's socket. What is sent in one turn of the loop leaves in one write. The buffer holds
 * keys: it is wiped wherever it is let go of.
 */
#include "pptpd/engine/replica_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define READ_SIZE       4096
#define PIECES          32
#define OUT_MIN         65536
#define ACCEPT_PAUSE_MS 100

struct replica_io {
	struct loop *loop;
	struct replica *replica;
	int listen_fd, fd; /* fd < 0: no stream */
	struct io accept_io, io;
	struct timer accept_again;
	bool pausing;                     /* no descriptor for the next stream; the log knows */
	struct timer lost;                /* a stream that failed while it was sent to */
	const char *reason;               /* of that */
	uint8_t *out;                     /* `ready`, or a bigger one for as long as it is needed */
	size_t out_at, out_len, out_size; /* [out_at, out_len) waits */
	uint8_t in[READ_SIZE];
	uint8_t ready[OUT_MIN]; /* without memory there is still much to say */
};

static void
drop_out(struct replica_io *io)
{
	explicit_bzero(io->out, io->out_len);
	if (io->out != io->ready)
		free(io->out);
	io->out = io->ready;
	io->out_size = sizeof io->ready;
	io->out_at = io->out_len = 0;
}

static void
close_stream(struct replica_io *io)
{
	if (io->fd < 0)
		return;
	io_fini(&io->io);
	close(io->fd);
	io->fd = -1;
	timer_cancel(&io->lost);
	drop_out(io);
}

/* The stream ended by itself. */
static void
lose_stream(struct replica_io *io, const char *why)
{
	close_stream(io);
	replica_disconnected(io->replica, why);
}

static void
lost_cb(void *arg)
{
	struct replica_io *io = arg;

	lose_stream(io, io->reason);
}

/* ---- writing ---- */

static size_t
waiting(const struct replica_io *io)
{
	return io->out_len - io->out_at;
}

/* Room for len more bytes behind what waits. */
static bool
make_room(struct replica_io *io, size_t len)
{
	size_t have = waiting(io), size = io->out_size;
	uint8_t *bigger;

	if (io->out_size - io->out_len >= len)
		return true;
	if (have + len > REPLICA_UNSENT_MAX)
		return false;
	while (size < 2 * (have + len))
		size *= 2;
	if ((bigger = malloc(size)) == NULL)
		return false;
	memcpy(bigger, io->out + io->out_at, have);
	drop_out(io);
	io->out = bigger;
	io->out_len = have;
	io->out_size = size;
	return true;
}

void
replica_io_flush(struct replica_io *io)
{
	while (io->fd >= 0 && waiting(io) > 0) {
		ssize_t n =
		    send(io->fd, io->out + io->out_at, waiting(io), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* an error is seen by the reader */
		io->out_at += (size_t)n;
	}
	if (waiting(io) == 0)
		drop_out(io);
	if (io->fd >= 0)
		io_want(&io->io, IO_READ | (waiting(io) > 0 ? IO_WRITE : 0));
}

void
replica_io_send(struct replica_io *io, const uint8_t *bytes, size_t len)
{
	if (io->fd < 0 || timer_pending(&io->lost))
		return;
	if (!make_room(io, len)) {
		io->reason = "the peer does not read, or no memory for it";
		timer_set(&io->lost, 0);
		return;
	}
	if (waiting(io) == 0)
		io_want(&io->io, IO_READ | IO_WRITE);
	memcpy(io->out + io->out_len, bytes, len);
	io->out_len += len;
}

void
replica_io_hang_up(struct replica_io *io, const char *why)
{
	if (io->fd < 0)
		return;
	if (why != NULL)
		log_warn("replica stream closed reason=\"%s\"", why);
	replica_io_flush(io); /* the peer is to learn what was said last */
	close_stream(io);
}

/* ---- reading ---- */

/* A standby steps 64 keys or more, of some 2 us, for each mark in a piece. False: there is no more.
 */
static bool
read_some(struct replica_io *io)
{
	ssize_t n = recv(io->fd, io->in, sizeof io->in, MSG_DONTWAIT);

	if (n > 0) {
		replica_input(io->replica, io->in, (size_t)n);
		explicit_bzero(io->in, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		lose_stream(io, n == 0 ? "closed by the peer" : strerror(errno));
	return n == (ssize_t)sizeof io->in && io->fd >= 0;
}

/* One piece a turn of the loop; but nobody serves while a handover is on its way, and relayed
 * packets must not be late and cost nothing. */
static void
read_pieces(struct replica_io *io)
{
	unsigned n = 0;

	while (read_some(io) && replica_hurries(io->replica) && ++n < PIECES)
		;
}

static void
stream_cb(int events, void *arg)
{
	struct replica_io *io = arg;

	if (events & IO_WRITE)
		replica_io_flush(io);
	if (events & IO_READ && io->fd >= 0)
		read_pieces(io);
}

/* ---- the beginning and the end ---- */

static void
accept_again_cb(void *arg)
{
	struct replica_io *io = arg;

	io_want(&io->accept_io, IO_READ);
}

/* Out of descriptors, say: the listener stays readable, so do not spin on it. */
static void
pause_accepting(struct replica_io *io)
{
	if (!io->pausing)
		log_warn("replica stream not accepted error=\"%s\"", strerror(errno));
	io->pausing = true;
	io_want(&io->accept_io, 0);
	timer_set(&io->accept_again, ACCEPT_PAUSE_MS);
}

static void
accept_cb(int events, void *arg)
{
	struct replica_io *io = arg;
	int fd = accept4(io->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(io);
		return;
	}
	io->pausing = false;
	if (io->fd >= 0)
		lose_stream(io, "a newer stream is there");
	if (io_init(&io->io, io->loop, fd, stream_cb, io) < 0) {
		log_warn("replica stream refused error=\"%s\"", strerror(errno));
		close(fd);
		return;
	}
	io->fd = fd;
	io_want(&io->io, IO_READ);
	replica_connected(io->replica);
}

struct replica_io *
replica_io_new(struct loop *l, int listen_fd, struct replica *r)
{
	struct replica_io *io = calloc(1, sizeof *io);

	if (io == NULL || io_init(&io->accept_io, l, listen_fd, accept_cb, io) < 0) {
		free(io);
		close(listen_fd);
		return NULL;
	}
	io->loop = l;
	io->replica = r;
	io->out = io->ready;
	io->out_size = sizeof io->ready;
	io->listen_fd = listen_fd;
	io->fd = -1;
	timer_init(&io->lost, l, lost_cb, io);
	timer_init(&io->accept_again, l, accept_again_cb, io);
	return io;
}

void
replica_io_open(struct replica_io *io)
{
	if (io != NULL && !io->pausing)
		io_want(&io->accept_io, IO_READ);
}

void
replica_io_free(struct replica_io *io)
{
	if (io == NULL)
		return;
	close_stream(io);
	timer_cancel(&io->accept_again);
	io_fini(&io->accept_io);
	close(io->listen_fd);
	free(io);
}
