/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection built again from its snapshot and counters, in repair mode: no handshake,
 * and nothing is sent before the window probe at the end, whose answer opens the window.
 *
 * What the order is for: the marks stand before anything can be sent. Reuse of the port is allowed
 * before repair mode, which forces it, and again behind, since leaving forbids it. The tail goes
 * into the send queue in repair mode: sent later, the client's acknowledgement of what it already
 * has would be beyond our number, and the kernel would discard its every segment.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/marks.h"
#include "pptpd/priv/sock_diag.h"
#include "pptpd/priv/tcp_snapshot.h"

/* TCP_REPAIR_OPTIONS names options by their numbers on the wire. */
#define OPTION_MSS        2
#define OPTION_WINDOW     3
#define OPTION_SACK       4
#define OPTION_TIMESTAMPS 8

static int
set_socket(int fd, int option, int value)
{
	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

static int
set_ip(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IP, option, &value, sizeof(value));
}

static int
set_queue(int fd, int queue, uint32_t seq)
{
	if (tcp_set_option(fd, TCP_REPAIR_QUEUE, queue) < 0)
		return -1;
	return setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof(seq));
}

/* Transparent: the address may come later. The option goes again once the route is found. */
static int
connect_in_repair(int fd, const struct tcp_restore *r)
{
	struct sockaddr_in local = {.sin_family = AF_INET,
	    .sin_port = htons(r->tcp.local_port),
	    .sin_addr.s_addr = htonl(r->tcp.local_ip)};
	struct sockaddr_in peer = {.sin_family = AF_INET,
	    .sin_port = htons(r->tcp.peer_port),
	    .sin_addr.s_addr = htonl(r->tcp.peer_ip)};

	if (tcp_set_mark(fd, MARK_CALL) < 0 || set_socket(fd, SO_REUSEADDR, 1) < 0 ||
	    set_ip(fd, IP_TRANSPARENT, 1) < 0 ||
	    tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_ON) < 0 ||
	    set_queue(fd, TCP_SEND_QUEUE, r->snd) < 0 || set_queue(fd, TCP_RECV_QUEUE, r->rcv) < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) < 0)
		return -1;
	return set_ip(fd, IP_TRANSPARENT, 0);
}

static int
set_options(int fd, const struct tcp_snapshot *t)
{
	struct tcp_repair_opt o[4] = {{OPTION_MSS, t->mss}};
	size_t n = 1;

	if ((t->options & TCPI_OPT_WSCALE) != 0)
		o[n++] = (struct tcp_repair_opt){
		    OPTION_WINDOW, t->snd_wscale | (uint32_t)t->rcv_wscale << 16};
	if ((t->options & TCPI_OPT_SACK) != 0)
		o[n++] = (struct tcp_repair_opt){OPTION_SACK, 0};
	if ((t->options & TCPI_OPT_TIMESTAMPS) != 0)
		o[n++] = (struct tcp_repair_opt){OPTION_TIMESTAMPS, 0};
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, o, (socklen_t)(n * sizeof(o[0])));
}

uint32_t
tcp_restore_tsval(const struct tcp_snapshot *t, uint64_t now_ms)
{
	uint64_t elapsed = now_ms > t->sampled_ms ? now_ms - t->sampled_ms : 0;

	/* Bit 0 would switch to microseconds; one less is within the slack. */
	return (t->tsval + (uint32_t)elapsed + TCP_TSVAL_AHEAD_MS) & ~1u;
}

static int
set_timestamp(int fd, const struct tcp_snapshot *t, uint64_t now_ms)
{
	uint32_t tsval = tcp_restore_tsval(t, now_ms);

	if ((t->options & TCPI_OPT_TIMESTAMPS) == 0)
		return 0;
	return setsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &tsval, sizeof(tsval));
}

static int
queue_tail(int fd, const struct tcp_restore *r)
{
	ssize_t n;

	if (r->tail_len == 0)
		return 0;
	if (tcp_set_option(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) < 0)
		return -1;
	n = send(fd, r->tail, r->tail_len, 0);
	if (n >= 0 && n != r->tail_len)
		errno = ENOBUFS;
	return n == r->tail_len ? 0 : -1;
}

/* The selector stays on the receive queue: TCP_QUEUE_SEQ can be asked outside repair mode. */
static int
leave_repair(int fd)
{
	if (tcp_set_option(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) < 0 ||
	    tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_OFF) < 0)
		return -1;
	return set_socket(fd, SO_REUSEADDR, 1);
}

static int
restore_once(const struct tcp_restore *r, uint64_t now_ms)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved_errno;

	if (fd < 0)
		return -1;
	if (connect_in_repair(fd, r) == 0 && set_options(fd, &r->tcp) == 0 &&
	    set_timestamp(fd, &r->tcp, now_ms) == 0 && queue_tail(fd, r) == 0 &&
	    leave_repair(fd) == 0)
		return fd;
	saved_errno = errno;
	(void)tcp_silence(fd);
	close(fd);
	errno = saved_errno;
	return -1;
}

int
tcp_restore_open(const struct tcp_restore *r, uint64_t now_ms)
{
	int fd = restore_once(r, now_ms);

	if (fd >= 0 || errno != EADDRNOTAVAIL)
		return fd;
	if (sock_diag_end_orphan(&r->tcp) < 0) { /* nobody's, or somebody's who lives */
		errno = EADDRNOTAVAIL;
		return -1;
	}
	return restore_once(r, now_ms);
}

int
tcp_probe(int fd)
{
	return tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_ON) < 0 ? -1 : leave_repair(fd);
}
