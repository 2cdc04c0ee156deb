/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encoding of the privilege pair's messages, their transport with descriptors, and the queue for a
 * socket that is full. The encoder and the decoder walk the same fields in the same order. A packet
 * owns the descriptors that came with it until its receiver has taken them out.
 */
#include "pptpd/priv/priv_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cursor.h"
#include "pptpd/priv/tcp_codec.h"

#define FILES_MAX ((size_t)64 << 20)

#define RESTORE_LEN (1 + 4 + TCP_SNAPSHOT_LEN + 4 + 4 + 2 + TCP_TAIL_MAX)
_Static_assert(RESTORE_LEN <= PRIV_MSG_MAX, "a tail of full length fits");

struct message_row {
	const char *name;
	uint8_t fds;
	void (*put)(struct wr *w, const struct priv_msg *m);
	void (*get)(struct rd *r, struct priv_msg *m);
};

static bool
get_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > 1)
		rd_fail(r);
	return v == 1;
}

/* A counted string without NUL into a field of size bytes. */
static void
get_string(struct rd *r, char *dst, size_t size)
{
	uint8_t len = rd_u8(r);
	const uint8_t *bytes = rd_bytes(r, len);

	if (bytes == NULL || len >= size || memchr(bytes, 0, len) != NULL) {
		rd_fail(r);
		return;
	}
	memcpy(dst, bytes, len);
	dst[len] = '\0';
}

static void
put_string(struct wr *w, const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	wr_u8(w, (uint8_t)len);
	wr_copy(w, s, len);
}

static void
put_start(struct wr *w, const struct priv_msg *m)
{
	put_string(w, m->start.node, sizeof(m->start.node));
	wr_u8(w, m->start.standby);
	wr_u8(w, m->start.debug);
	wr_u8(w, m->start.steering);
	wr_u8(w, m->start.workers);
	wr_u32(w, m->start.bind_ip);
}

static void
get_start(struct rd *r, struct priv_msg *m)
{
	get_string(r, m->start.node, sizeof(m->start.node));
	m->start.standby = get_bool(r);
	m->start.debug = get_bool(r);
	m->start.steering = get_bool(r);
	m->start.workers = rd_u8(r);
	m->start.bind_ip = rd_u32(r);
	if (m->start.workers < 1 || m->start.workers > DP_WORKERS_MAX)
		rd_fail(r);
}

static void
put_accepted(struct wr *w, const struct priv_msg *m)
{
	tcp_snapshot_encode(w, &m->tcp);
}

static void
get_accepted(struct rd *r, struct priv_msg *m)
{
	tcp_snapshot_decode(r, &m->tcp);
}

static void
put_nothing(struct wr *w, const struct priv_msg *m)
{
}

static void
get_nothing(struct rd *r, struct priv_msg *m)
{
}

static void
put_reply(struct wr *w, const struct priv_msg *m)
{
	wr_u32(w, m->err);
}

static void
get_reply(struct rd *r, struct priv_msg *m)
{
	m->err = rd_u32(r);
}

static void
put_listen(struct wr *w, const struct priv_msg *m)
{
	wr_u8(w, m->on);
}

static void
get_listen(struct rd *r, struct priv_msg *m)
{
	m->on = get_bool(r);
}

static void
put_call(struct wr *w, const struct priv_msg *m)
{
	wr_u32(w, m->ip);
	wr_u16(w, m->call_id);
}

static void
get_call(struct rd *r, struct priv_msg *m)
{
	m->ip = rd_u32(r);
	m->call_id = rd_u16(r);
}

static void
put_route_add(struct wr *w, const struct priv_msg *m)
{
	wr_u32(w, m->ip);
	wr_u8(w, m->on);
}

static void
get_route_add(struct rd *r, struct priv_msg *m)
{
	m->ip = rd_u32(r);
	m->on = get_bool(r);
}

static void
put_route_del(struct wr *w, const struct priv_msg *m)
{
	wr_u32(w, m->ip);
}

static void
get_route_del(struct rd *r, struct priv_msg *m)
{
	m->ip = rd_u32(r);
}

static void
put_wtmp(struct wr *w, const struct priv_msg *m)
{
	put_call(w, m);
	put_string(w, m->user, sizeof(m->user) - 1);
}

static void
get_wtmp(struct rd *r, struct priv_msg *m)
{
	get_call(r, m);
	get_string(r, m->user, sizeof(m->user));
}

static void
put_restore(struct wr *w, const struct priv_msg *m)
{
	const struct tcp_restore *t = &m->restore;

	tcp_snapshot_encode(w, &t->tcp);
	wr_u32(w, t->snd);
	wr_u32(w, t->rcv);
	wr_u16(w, t->tail_len);
	wr_copy(w, t->tail, t->tail_len < TCP_TAIL_MAX ? t->tail_len : TCP_TAIL_MAX);
}

static void
get_restore(struct rd *r, struct priv_msg *m)
{
	struct tcp_restore *t = &m->restore;

	tcp_snapshot_decode(r, &t->tcp);
	t->snd = rd_u32(r);
	t->rcv = rd_u32(r);
	t->tail_len = rd_u16(r);
	if (t->tail_len > TCP_TAIL_MAX)
		rd_fail(r);
	else
		rd_copy(r, t->tail, t->tail_len);
}

static const struct message_row rows[PRIV_TYPE_END] = {
    [PRIV_START] = {"start", 0, put_start, get_start},
    [PRIV_ACCEPTED] = {"accepted", 1, put_accepted, get_accepted},
    [PRIV_FILES] = {"files", 1, put_nothing, get_nothing},
    [PRIV_STOP] = {"stop", 0, put_nothing, get_nothing},
    [PRIV_REPLY] = {"reply", 0, put_reply, get_reply},
    [PRIV_REPLY_FD] = {"reply-fd", 1, put_nothing, get_nothing},
    [PRIV_PING] = {"ping", 0, put_nothing, get_nothing},
    [PRIV_LISTEN] = {"listen", 0, put_listen, get_listen},
    [PRIV_CALL_ADD] = {"call-add", 0, put_call, get_call},
    [PRIV_CALL_DEL] = {"call-del", 0, put_call, get_call},
    [PRIV_ROUTE_ADD] = {"route-add", 0, put_route_add, get_route_add},
    [PRIV_ROUTE_DEL] = {"route-del", 0, put_route_del, get_route_del},
    [PRIV_MARK_CLOSING] = {"mark-closing", 1, put_nothing, get_nothing},
    [PRIV_SILENT_CLOSE] = {"silent-close", 1, put_nothing, get_nothing},
    [PRIV_RELOAD] = {"reload", 0, put_nothing, get_nothing},
    [PRIV_WTMP] = {"wtmp", 0, put_wtmp, get_wtmp},
    [PRIV_RESTORE] = {"restore", 0, put_restore, get_restore},
    [PRIV_PROBE] = {"probe", 1, put_nothing, get_nothing},
    [PRIV_SNIFFER] = {"sniffer", 0, put_nothing, get_nothing},
    [PRIV_PONG] = {"pong", 0, put_nothing, get_nothing},
};

const char *
priv_type_name(enum priv_type t)
{
	return t >= PRIV_START && t < PRIV_TYPE_END ? rows[t].name : "unknown";
}

size_t
priv_msg_fds(const struct priv_msg *m)
{
	if (m->type == PRIV_START)
		return 4u + m->start.steering + 2u * m->start.workers;
	return rows[m->type].fds;
}

size_t
priv_encode(const struct priv_msg *m, uint8_t *buffer, size_t size)
{
	struct wr w = wr_init(buffer, size);

	wr_u8(&w, (uint8_t)m->type);
	wr_u32(&w, m->id);
	rows[m->type].put(&w, m);
	if (!wr_ok(&w)) {
		errno = EINVAL;
		return 0;
	}
	return wr_len(&w);
}

int
priv_decode(const uint8_t *bytes, size_t len, struct priv_msg *m)
{
	struct rd r = rd_init(bytes, len);
	uint8_t type = rd_u8(&r);

	*m = (struct priv_msg){.id = rd_u32(&r)};
	if (!rd_ok(&r) || type < PRIV_START || type >= PRIV_TYPE_END) {
		errno = EBADMSG;
		return -1;
	}
	m->type = type;
	rows[type].get(&r, m);
	if (!rd_end(&r)) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* Transport */

union control {
	struct cmsghdr header;
	uint8_t room[CMSG_SPACE(PRIV_FDS_MAX * sizeof(int))];
};

int
priv_recv(int fd, struct priv_packet *p)
{
	union control control;
	struct iovec iov = {p->bytes, sizeof(p->bytes)};
	struct msghdr h = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n;

	p->len = p->n_fds = 0;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    bytes > sizeof(p->fds) - p->n_fds * sizeof(int))
			continue;
		memcpy(p->fds + p->n_fds, CMSG_DATA(c), bytes);
		p->n_fds += bytes / sizeof(int);
	}
	p->fds_lost = (h.msg_flags & MSG_CTRUNC) != 0;
	if (n == 0 || (h.msg_flags & MSG_TRUNC) != 0) {
		priv_packet_close(p);
		errno = EBADMSG;
		return n == 0 ? 0 : -1;
	}
	p->len = (size_t)n;
	return 1;
}

void
priv_packet_close(struct priv_packet *p)
{
	for (size_t i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	p->n_fds = 0;
}

int
priv_send(int fd, const struct priv_msg *m, const int *fds, size_t n_fds)
{
	union control control = {0};
	uint8_t bytes[PRIV_MSG_MAX];
	struct iovec iov = {bytes, priv_encode(m, bytes, sizeof(bytes))};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (iov.iov_len == 0)
		return -1;
	if (n_fds > PRIV_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds > 0) {
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

/* The queue */

void
priv_queue_init(struct priv_queue *q, int sock)
{
	*q = (struct priv_queue){.sock = sock};
	q->last = &q->first;
}

static void
out_free(struct priv_out *o)
{
	if (o->own && o->fd >= 0)
		close(o->fd);
	free(o);
}

void
priv_queue_fini(struct priv_queue *q)
{
	struct priv_out *o;

	while ((o = q->first) != NULL) {
		q->first = o->next;
		out_free(o);
	}
	q->last = &q->first;
}

bool
priv_queue_empty(const struct priv_queue *q)
{
	return q->first == NULL;
}

int
priv_queue_send(struct priv_queue *q, const struct priv_msg *m, int fd, bool own)
{
	struct priv_out *o;
	int saved_errno, rc = 0;

	if (q->first == NULL) {
		rc = priv_send(q->sock, m, &fd, fd >= 0 ? 1 : 0);
		if (rc == 0 || errno != EAGAIN)
			goto out;
	}
	o = malloc(sizeof(*o));
	if (o == NULL) {
		rc = -1;
		goto out;
	}
	*o = (struct priv_out){.msg = *m, .fd = fd, .own = own};
	*q->last = o;
	q->last = &o->next;
	return 0;
out:
	saved_errno = errno;
	if (own && fd >= 0)
		close(fd);
	errno = saved_errno;
	return rc;
}

bool
priv_queue_flush(struct priv_queue *q)
{
	struct priv_out *o;

	while ((o = q->first) != NULL) {
		if (priv_send(q->sock, &o->msg, &o->fd, o->fd >= 0 ? 1 : 0) < 0 && errno == EAGAIN)
			return false;
		q->first = o->next;
		if (q->first == NULL)
			q->last = &q->first;
		out_free(o);
	}
	return true;
}

/* Files */

static void
wipe_free(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
priv_files_fini(struct priv_files *f)
{
	free(f->conf_name);
	free(f->options_name);
	free(f->secrets_name);
	wipe_free(f->conf);
	wipe_free(f->options);
	wipe_free(f->secrets);
	*f = (struct priv_files){0};
}

static int
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Layout: six strings, each behind its length, in the order of the struct. */
int
priv_files_pack(const struct priv_files *f)
{
	const char *strings[6] = {
	    f->conf_name, f->options_name, f->secrets_name, f->conf, f->options, f->secrets};
	int fd = memfd_create("pptpd-files", MFD_CLOEXEC);
	uint8_t length[4];

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < 6; i++) {
		size_t len = strlen(strings[i]);
		struct wr w = wr_init(length, sizeof(length));

		wr_u32(&w, (uint32_t)len);
		if (write_all(fd, (const char *)length, sizeof(length)) < 0 ||
		    write_all(fd, strings[i], len) < 0) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static char *
get_text(struct rd *r)
{
	uint32_t len = rd_u32(r);
	const uint8_t *bytes = rd_bytes(r, len);
	char *s;

	if (bytes == NULL || memchr(bytes, 0, len) != NULL) {
		rd_fail(r);
		return NULL;
	}
	s = malloc((size_t)len + 1);
	if (s == NULL)
		return NULL;
	memcpy(s, bytes, len);
	s[len] = '\0';
	return s;
}

/* Reads all of the file, then overwrites it: other descriptors of it must not keep the secrets. */
static uint8_t *
read_and_wipe(int fd, size_t *len)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *bytes = NULL;
	static const uint8_t zero[4096];

	if (size <= 0 || (size_t)size > FILES_MAX) {
		errno = EBADMSG;
		return NULL;
	}
	bytes = malloc((size_t)size);
	if (bytes == NULL)
		return NULL;
	for (off_t at = 0; at < size;) {
		ssize_t n = pread(fd, bytes + at, (size_t)(size - at), at);

		if (n <= 0) {
			explicit_bzero(bytes, (size_t)at);
			free(bytes);
			errno = EBADMSG;
			return NULL;
		}
		at += n;
	}
	for (off_t at = 0; at < size; at += (off_t)sizeof(zero)) {
		size_t left = (size_t)(size - at);

		if (pwrite(fd, zero, left < sizeof(zero) ? left : sizeof(zero), at) < 0)
			break;
	}
	*len = (size_t)size;
	return bytes;
}

int
priv_files_unpack(int fd, struct priv_files *f)
{
	size_t len = 0;
	uint8_t *bytes = read_and_wipe(fd, &len);
	char **strings[6] = {
	    &f->conf_name, &f->options_name, &f->secrets_name, &f->conf, &f->options, &f->secrets};
	struct rd r;
	bool complete = true;

	*f = (struct priv_files){0};
	close(fd);
	if (bytes == NULL)
		return -1;
	r = rd_init(bytes, len);
	for (size_t i = 0; i < 6; i++) {
		*strings[i] = get_text(&r);
		complete = complete && *strings[i] != NULL;
	}
	explicit_bzero(bytes, len);
	free(bytes);
	if (complete && rd_end(&r))
		return 0;
	errno = rd_ok(&r) && !complete ? ENOMEM : EBADMSG;
	priv_files_fini(f);
	return -1;
}
