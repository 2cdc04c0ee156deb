/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * NETLINK_SOCK_DIAG requests: look for sockets, and end those that no process owns. A socket of its
 * own per use: it is rare. What the kernel answers is read with the cursor.
 */
#include "pptpd/priv/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/cursor.h"

#define ANSWER_MAX 16384
#define BATCH_MAX  512 /* of orphans ended between two looks */
#define ROUNDS_MAX 256

/* States in which a socket may be without a process. */
#define ORPHAN_STATES                                                                              \
	(1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_TIME_WAIT | 1u << TCP_CLOSE_WAIT |  \
	    1u << TCP_LAST_ACK | 1u << TCP_CLOSING)

struct message {
	struct nlmsghdr h;
	struct inet_diag_req_v2 request;
};

typedef void found_fn(void *arg, const struct inet_diag_msg *m);

static int
open_diag(void)
{
	struct timeval patience = {.tv_sec = 2};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One message of an answer; 1 = more may follow, 0 = the end, -1 with errno. */
static int
read_message(struct rd *r, found_fn *found, void *arg, bool dump)
{
	struct inet_diag_msg m;
	struct nlmsghdr h;
	struct rd body;
	size_t padding;
	int32_t error;

	rd_copy(r, &h, sizeof(h));
	if (!rd_ok(r) || h.nlmsg_len < sizeof(h)) {
		errno = EBADMSG;
		return -1;
	}
	body = rd_sub(r, h.nlmsg_len - sizeof(h));
	padding = (4 - h.nlmsg_len % 4) % 4;
	rd_skip(r, rd_left(r) < padding ? rd_left(r) : padding);
	if (h.nlmsg_type == NLMSG_DONE)
		return 0;
	if (h.nlmsg_type == NLMSG_ERROR) {
		rd_copy(&body, &error, sizeof(error));
		errno = -error;
		return error == 0 ? 0 : -1;
	}
	rd_copy(&body, &m, sizeof(m));
	if (rd_ok(&body) && found != NULL)
		found(arg, &m);
	return dump ? 1 : 0;
}

static int
exchange(int fd, struct message *m, uint16_t type, uint16_t flags, found_fn *found, void *arg)
{
	uint8_t bytes[ANSWER_MAX];
	int rc = 1;

	m->h = (struct nlmsghdr){.nlmsg_len = sizeof(*m),
	    .nlmsg_type = type,
	    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
	if (send(fd, m, sizeof(*m), 0) < 0)
		return -1;
	while (rc > 0) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		struct rd r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		r = rd_init(bytes, (size_t)n);
		while (rc > 0 && rd_left(&r) > 0)
			rc = read_message(&r, found, arg, (flags & NLM_F_DUMP) != 0);
	}
	return rc;
}

static int
destroy(int fd, const struct inet_diag_sockid *id)
{
	struct message m = {.request = {.sdiag_family = AF_INET,
				.sdiag_protocol = IPPROTO_TCP,
				.idiag_states = ~0u,
				.id = *id}};

	return exchange(fd, &m, SOCK_DESTROY, NLM_F_ACK, NULL, NULL);
}

/* Does no process own it? Of a connection request none does, but it is a client's new attempt. */
static bool
is_orphan(const struct inet_diag_msg *m)
{
	return m->idiag_inode == 0 && m->idiag_state < 32 &&
	       (ORPHAN_STATES >> m->idiag_state & 1) != 0;
}

static void
keep_cb(void *arg, const struct inet_diag_msg *m)
{
	*(struct inet_diag_msg *)arg = *m;
}

int
sock_diag_end_orphan(const struct tcp_snapshot *t)
{
	struct message m = {.request = {.sdiag_family = AF_INET,
				.sdiag_protocol = IPPROTO_TCP,
				.idiag_states = ~0u,
				.id = {.idiag_sport = htons(t->local_port),
				    .idiag_dport = htons(t->peer_port),
				    .idiag_src = {htonl(t->local_ip)},
				    .idiag_dst = {htonl(t->peer_ip)},
				    .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
	struct inet_diag_msg found = {0};
	int fd = open_diag(), rc = -1, saved_errno;

	if (fd < 0)
		return -1;
	if (exchange(fd, &m, SOCK_DIAG_BY_FAMILY, 0, keep_cb, &found) == 0) {
		if (is_orphan(&found))
			rc = destroy(fd, &found.id);
		else
			errno = EBUSY;
	}
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return rc;
}

struct batch {
	uint32_t ip;
	uint16_t port;
	struct inet_diag_sockid ids[BATCH_MAX];
	size_t n;
};

static void
collect_cb(void *arg, const struct inet_diag_msg *m)
{
	struct batch *b = arg;

	if (is_orphan(m) && ntohs(m->id.idiag_sport) == b->port && b->n < BATCH_MAX &&
	    (b->ip == 0 || ntohl(m->id.idiag_src[0]) == b->ip))
		b->ids[b->n++] = m->id;
}

/* One look and what it found; -1 with errno if there was no look or nothing could be ended. */
static int
end_batch(int fd, struct batch *b)
{
	struct message m = {.request = {.sdiag_family = AF_INET,
				.sdiag_protocol = IPPROTO_TCP,
				.idiag_states = ORPHAN_STATES,
				.id = {.idiag_sport = htons(b->port)}}};
	int ended = 0;

	b->n = 0;
	if (exchange(fd, &m, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, collect_cb, b) < 0)
		return -1;
	for (size_t i = 0; i < b->n; i++)
		ended += destroy(fd, &b->ids[i]) == 0;
	return ended == 0 && b->n > 0 ? -1 : ended;
}

int
sock_diag_end_orphans(uint32_t ip, uint16_t port)
{
	struct batch b = {.ip = ip, .port = port};
	int fd = open_diag(), total = 0, saved_errno, n = 0;

	if (fd < 0)
		return -1;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		n = end_batch(fd, &b);
		total += n > 0 ? n : 0;
		if (n <= 0 || b.n < BATCH_MAX) /* what could not be ended is found again */
			break;
	}
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return n < 0 && total == 0 ? -1 : total;
}
