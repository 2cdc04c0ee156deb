/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state of a control connection at accept, read in repair mode. Repair mode is entered once and
 * left without a window probe, so nothing is sent. The receive number is that of the first byte
 * that has not been read: the kernel's next expected one less what waits in the queue. The queue
 * selector is left on the receive queue, so that TCP_QUEUE_SEQ can be asked later outside repair
 * mode.
 */
#include "pptpd/priv/tcp_snapshot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/loop.h"
#include "common/marks.h"

#define STATE_CLOSE_WAIT 8 /* of the kernel's net/tcp_states.h, as tcpi_state */
#define STABLE_TRIES     8

int
tcp_set_option(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

static int
get_tcp(int fd, int option, uint32_t *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, IPPROTO_TCP, option, value, &len);
}

static int
get_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	*info = (struct tcp_info){0};
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len);
}

static int
read_addresses(int fd, struct tcp_snapshot *t)
{
	struct sockaddr_in peer, local;
	socklen_t peer_len = sizeof(peer), local_len = sizeof(local);

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&local, &local_len) < 0)
		return -1;
	if (peer.sin_family != AF_INET || local.sin_family != AF_INET) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	t->peer_ip = ntohl(peer.sin_addr.s_addr);
	t->peer_port = ntohs(peer.sin_port);
	t->local_ip = ntohl(local.sin_addr.s_addr);
	t->local_port = ntohs(local.sin_port);
	return 0;
}

/* Segments still arrive: the number and the queue's length must belong together. */
static int
read_rcv(int fd, uint32_t *rcv)
{
	struct tcp_info info;
	uint32_t seq, again;
	int queued;

	if (tcp_set_option(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) < 0)
		return -1;
	for (int i = 0; i < STABLE_TRIES; i++) {
		if (get_tcp(fd, TCP_QUEUE_SEQ, &seq) < 0 || ioctl(fd, SIOCINQ, &queued) < 0 ||
		    get_info(fd, &info) < 0 || get_tcp(fd, TCP_QUEUE_SEQ, &again) < 0)
			return -1;
		if (seq == again) { /* a FIN takes a number, but is no byte of the queue */
			*rcv = seq - (uint32_t)queued - (info.tcpi_state == STATE_CLOSE_WAIT);
			return 0;
		}
	}
	errno = EBUSY;
	return -1;
}

static int
read_in_repair(int fd, struct tcp_snapshot *t)
{
	struct tcp_info info;
	uint32_t mss;

	if (tcp_set_option(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) < 0 ||
	    get_tcp(fd, TCP_QUEUE_SEQ, &t->snd0) < 0 || get_tcp(fd, TCP_MAXSEG, &mss) < 0 ||
	    get_info(fd, &info) < 0 || read_rcv(fd, &t->rcv0) < 0)
		return -1;
	t->mss = (uint16_t)mss;
	t->options = info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	t->snd_wscale = info.tcpi_snd_wscale;
	t->rcv_wscale = info.tcpi_rcv_wscale;
	t->tsval = 0;
	if ((t->options & TCPI_OPT_TIMESTAMPS) != 0 && get_tcp(fd, TCP_TIMESTAMP, &t->tsval) < 0)
		return -1;
	t->sampled_ms = wall_now_ms();
	return 0;
}

int
tcp_snapshot_take(int fd, struct tcp_snapshot *t)
{
	int on = 1, rc, saved_errno;

	*t = (struct tcp_snapshot){0};
	if (read_addresses(fd, t) < 0 || tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_ON) < 0)
		return -1;
	rc = read_in_repair(fd, t);
	saved_errno = errno;
	if (tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) < 0)
		return -1;
	/* Leaving repair mode forbids reuse of the port: the next listener could not bind. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	errno = saved_errno;
	return rc;
}

int
tcp_set_mark(int fd, uint32_t mark)
{
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static int
get_socket(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

bool
tcp_is_call(int fd)
{
	uint32_t mark = (uint32_t)get_socket(fd, SO_MARK);

	return get_socket(fd, SO_DOMAIN) == AF_INET && get_socket(fd, SO_PROTOCOL) == IPPROTO_TCP &&
	       get_socket(fd, SO_ACCEPTCONN) == 0 && (mark == MARK_CALL || mark == MARK_CLOSING);
}

int
tcp_silence(int fd)
{
	return tcp_set_option(fd, TCP_REPAIR, TCP_REPAIR_ON);
}
