/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's end of the privilege pair. It owns the socket, the queue of verbs that found it
 * full, and a ring of callbacks: the slot of a verb is its number, so an answer finds its verb
 * without a search, in whatever order the monitor answers. Nothing here waits, but for
 * priv_receive_start().
 *
 * Invariants: the ring holds the verbs [head, next); a slot is in use until its answer came; number
 * 0 is never given out, since it stands for "no answer wanted".
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/priv_wire.h"

#define MESSAGES_PER_TURN 64
#define RING_FIRST        64
#define RING_MAX          (1u << 20)

struct pending {
	bool used;
	priv_done_fn *done;
	priv_fd_fn *fd_done; /* instead: the verb makes a descriptor */
	void *arg;
};

struct priv {
	struct loop *loop;
	int fd;
	struct io io;
	const struct priv_ops *ops;
	void *arg;
	struct priv_queue out;
	bool gone;
	struct pending *ring;
	uint32_t ring_size; /* a power of two */
	uint32_t head, next;
};

/* Start */

static void
take_fds(struct priv_start *s, const struct priv_msg *m, const int *fds)
{
	size_t at = 4;

	s->control_fd = fds[0];
	s->replica_fd = fds[2];
	s->crumbs_fd = fds[3];
	s->steer_map_fd = m->start.steering ? fds[at++] : -1;
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++)
		s->gre_fds[i] = s->tun_fds[i] = -1;
	for (unsigned i = 0; i < s->workers; i++)
		s->gre_fds[i] = fds[at++];
	for (unsigned i = 0; i < s->workers; i++)
		s->tun_fds[i] = fds[at++];
}

int
priv_receive_start(int fd, struct priv_start *s)
{
	struct priv_packet p;
	struct priv_msg m;
	int rc = priv_recv(fd, &p);

	*s = (struct priv_start){0};
	if (rc < 0)
		return -1;
	if (rc == 0) {
		errno = EPIPE;
		return -1;
	}
	if (priv_decode(p.bytes, p.len, &m) < 0 || m.type != PRIV_START ||
	    p.n_fds != priv_msg_fds(&m)) {
		priv_packet_close(&p);
		errno = EBADMSG;
		return -1;
	}
	if (priv_files_unpack(p.fds[1], &s->files) < 0) {
		rc = errno;
		p.fds[1] = p.fds[--p.n_fds]; /* unpacking has closed it */
		priv_packet_close(&p);
		errno = rc;
		return -1;
	}
	memcpy(s->node, m.start.node, sizeof(s->node));
	s->standby = m.start.standby;
	s->debug = m.start.debug;
	s->workers = m.start.workers;
	s->bind_ip = m.start.bind_ip;
	take_fds(s, &m, p.fds);
	return 0;
}

/* Receiving */

static void
monitor_gone(struct priv *p)
{
	if (p->gone)
		return;
	p->gone = true;
	io_want(&p->io, 0);
	p->ops->on_gone(p->arg);
}

static void
finish(const struct pending *p, int fd, int err)
{
	if (p->fd_done != NULL)
		p->fd_done(p->arg, fd, err);
	else if (p->done != NULL)
		p->done(p->arg, err);
}

/* fd is -1, or the verb's. */
static void
on_reply(struct priv *p, uint32_t id, int fd, uint32_t err)
{
	struct pending done;

	if (id - p->head >= p->next - p->head || !p->ring[id & (p->ring_size - 1)].used) {
		log_warn("monitor answered an unknown verb id=%u", id);
		if (fd >= 0)
			close(fd);
		return;
	}
	done = p->ring[id & (p->ring_size - 1)];
	p->ring[id & (p->ring_size - 1)].used = false;
	while (p->head != p->next && !p->ring[p->head & (p->ring_size - 1)].used)
		p->head++;
	if (fd >= 0 && done.fd_done == NULL) {
		log_warn("monitor sent a descriptor that nobody wants id=%u", id);
		close(fd);
		fd = -1;
	}
	finish(&done, fd, (int)err);
}

/* True if the descriptor (fd, -1 = lost on the way) has been taken over. */
static bool
on_message(struct priv *p, const struct priv_msg *m, int fd)
{
	struct priv_files files;

	switch (m->type) {
	case PRIV_ACCEPTED:
		p->ops->on_accept(p->arg, fd, &m->tcp);
		return true;
	case PRIV_FILES:
		if (priv_files_unpack(fd, &files) < 0)
			log_warn("files from the monitor are unreadable error=\"%m\"");
		else
			p->ops->on_files(p->arg, &files);
		return true;
	case PRIV_STOP:
		p->ops->on_stop(p->arg);
		return false;
	case PRIV_REPLY:
		on_reply(p, m->id, -1, m->err);
		return false;
	case PRIV_REPLY_FD:
		on_reply(p, m->id, fd, 0);
		return true;
	case PRIV_PING:
		if (priv_queue_send(&p->out, &(struct priv_msg){.type = PRIV_PONG}, -1, false) < 0)
			log_warn("cannot answer the monitor error=\"%m\"");
		return false;
	default:
		log_warn("monitor sent a message that is not for the engine type=%s",
		    priv_type_name(m->type));
		return false;
	}
}

/* False = nothing more to read now. */
static bool
read_one(struct priv *p)
{
	struct priv_packet packet;
	struct priv_msg m;
	int rc = priv_recv(p->fd, &packet);

	if (rc < 0 && errno == EAGAIN)
		return false;
	if (rc <= 0) {
		monitor_gone(p);
		return false;
	}
	if (priv_decode(packet.bytes, packet.len, &m) < 0) {
		log_warn("message of the monitor is malformed len=%zu", packet.len);
	} else if (packet.n_fds != priv_msg_fds(&m)) {
		log_warn("message of the monitor lost its descriptor type=%s reason=\"%s\"",
		    priv_type_name(m.type), packet.fds_lost ? "too many open files" : "malformed");
		if (m.type == PRIV_REPLY_FD)
			on_reply(p, m.id, -1, EMFILE);
	} else if (on_message(p, &m, packet.n_fds > 0 ? packet.fds[0] : -1)) {
		packet.n_fds = 0;
	}
	priv_packet_close(&packet);
	return !p->gone;
}

static void
want(struct priv *p)
{
	if (!p->gone)
		io_want(&p->io, IO_READ | (priv_queue_empty(&p->out) ? 0 : IO_WRITE));
}

static void
priv_cb(int events, void *arg)
{
	struct priv *p = arg;

	if ((events & IO_WRITE) != 0)
		priv_queue_flush(&p->out);
	if ((events & IO_READ) != 0)
		for (int i = 0; i < MESSAGES_PER_TURN && read_one(p); i++)
			;
	want(p);
}

/* Life cycle */

struct priv *
priv_new(struct loop *l, int fd, const struct priv_ops *ops, void *arg)
{
	struct priv *p = calloc(1, sizeof(*p));
	int flags = fcntl(fd, F_GETFL);

	if (p == NULL || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		goto out;
	p->loop = l;
	p->fd = fd;
	p->ops = ops;
	p->arg = arg;
	p->head = p->next = 1;
	p->ring_size = RING_FIRST;
	p->ring = calloc(p->ring_size, sizeof(*p->ring));
	priv_queue_init(&p->out, fd);
	if (p->ring == NULL || io_init(&p->io, l, fd, priv_cb, p) < 0)
		goto out;
	want(p);
	return p;
out:
	if (p != NULL)
		free(p->ring);
	free(p);
	return NULL;
}

void
priv_free(struct priv *p)
{
	if (p == NULL)
		return;
	priv_queue_flush(&p->out);
	io_fini(&p->io);
	priv_queue_fini(&p->out);
	close(p->fd);
	free(p->ring);
	free(p);
}

/* Verbs */

static int
ring_grow(struct priv *p)
{
	uint32_t size = p->ring_size * 2;
	struct pending *ring;

	if (size > RING_MAX || (ring = calloc(size, sizeof(*ring))) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (uint32_t id = p->head; id != p->next; id++)
		ring[id & (size - 1)] = p->ring[id & (p->ring_size - 1)];
	free(p->ring);
	p->ring = ring;
	p->ring_size = size;
	return 0;
}

static uint32_t
next_id(struct priv *p)
{
	if (p->next == 0) { /* wrapped: the slot of 0 stays empty */
		p->ring[0].used = false;
		if (p->head == p->next)
			p->head++;
		p->next++;
	}
	return p->next++;
}

static void
start_verb(struct priv *p, struct priv_msg *m, int fd, const struct pending *pending)
{
	if (p->gone) {
		errno = EPIPE;
		goto failed;
	}
	if (p->next - p->head >= p->ring_size - 1 && ring_grow(p) < 0)
		goto failed;
	m->id = next_id(p);
	p->ring[m->id & (p->ring_size - 1)] = *pending;
	if (priv_queue_send(&p->out, m, fd, false) == 0) {
		want(p);
		return;
	}
	p->ring[m->id & (p->ring_size - 1)].used = false;
failed:
	finish(pending, -1, errno);
}

static void
verb(struct priv *p, struct priv_msg *m, int fd, priv_done_fn *done, void *arg)
{
	start_verb(p, m, fd, &(struct pending){.used = true, .done = done, .arg = arg});
}

void
priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_LISTEN, .on = on}, -1, done, arg);
}

void
priv_call_add(struct priv *p, uint32_t peer_ip, uint16_t call_id, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_CALL_ADD, .ip = peer_ip, .call_id = call_id}, -1,
	    done, arg);
}

void
priv_call_del(struct priv *p, uint32_t peer_ip, uint16_t call_id, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_CALL_DEL, .ip = peer_ip, .call_id = call_id}, -1,
	    done, arg);
}

void
priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_ROUTE_ADD, .ip = ip, .on = serve}, -1, done, arg);
}

void
priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_ROUTE_DEL, .ip = ip}, -1, done, arg);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_MARK_CLOSING}, fd, done, arg);
}

void
priv_restore(struct priv *p, const struct tcp_restore *r, priv_fd_fn *done, void *arg)
{
	start_verb(p, &(struct priv_msg){.type = PRIV_RESTORE, .restore = *r}, -1,
	    &(struct pending){.used = true, .fd_done = done, .arg = arg});
}

void
priv_probe(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_PROBE}, fd, done, arg);
}

void
priv_sniffer(struct priv *p, priv_fd_fn *done, void *arg)
{
	start_verb(p, &(struct priv_msg){.type = PRIV_SNIFFER}, -1,
	    &(struct pending){.used = true, .fd_done = done, .arg = arg});
}

void
priv_silent_close(struct priv *p, int fd)
{
	struct priv_msg m = {.type = PRIV_SILENT_CLOSE};

	if (p->gone) {
		close(fd);
		return;
	}
	if (priv_queue_send(&p->out, &m, fd, true) < 0)
		log_warn("silent close failed, the guard must hold the FIN back error=\"%m\"");
	want(p);
}

void
priv_reload(struct priv *p, priv_done_fn *done, void *arg)
{
	verb(p, &(struct priv_msg){.type = PRIV_RELOAD}, -1, done, arg);
}

void
priv_wtmp(struct priv *p, uint16_t call_id, const char *user, uint32_t peer_ip)
{
	struct priv_msg m = {.type = PRIV_WTMP, .ip = peer_ip, .call_id = call_id};

	if (p->gone)
		return;
	if (user != NULL)
		memcpy(m.user, user, strnlen(user, PRIV_USER_MAX));
	if (priv_queue_send(&p->out, &m, -1, false) < 0)
		log_warn("login record lost error=\"%m\"");
	want(p);
}
