/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client on real sockets. The raw socket is bound to our address; once GRE of the call has come,
 * a filter sorts out what is of others.
 */
#include "hagent/client_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cursor.h"
#include "common/log.h"

#define OUT_MAX     2048
#define PACKET_MAX  2048
#define BATCH       64
#define BUFFER      (1 << 20)
#define CONTROL_LEN 128
#define IPV4_MIN    20

struct client_io {
	struct loop *loop;
	struct pptp_client *client;
	int tcp, gre;
	struct io tcp_io, gre_io;
	struct timer late; /* tells of a failure, from the loop */
	int error;
	bool connected, gre_ready;
	uint32_t server;
	uint8_t out[OUT_MAX];
	size_t out_len;
};

uint64_t
client_io_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
now_us(void *arg)
{
	(void)arg;
	return client_io_now_us();
}

/* ---- ICMP errors, as the kernel queues them for a socket ---- */

/* target: whom the packet was for that met the error. */
static bool
next_error(int fd, struct sock_extended_err *e, uint32_t *from, uint32_t *target)
{
	struct sockaddr_in to = {0};
	_Alignas(struct cmsghdr) uint8_t control[512];
	uint8_t bytes[128];
	struct iovec v = {bytes, sizeof(bytes)};
	struct msghdr m = {.msg_name = &to,
	    .msg_namelen = sizeof(to),
	    .msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct sockaddr_in a;

	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	*e = (struct sock_extended_err){0};
	*from = 0;
	*target = ntohl(to.sin_addr.s_addr);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != IPPROTO_IP || h->cmsg_type != IP_RECVERR)
			continue;
		memcpy(e, CMSG_DATA(h), sizeof(*e));
		if (h->cmsg_len >= CMSG_LEN(sizeof(*e) + sizeof(a))) {
			memcpy(&a, CMSG_DATA(h) + sizeof(*e), sizeof(a));
			*from = a.sin_family == AF_INET ? ntohl(a.sin_addr.s_addr) : 0;
		}
	}
	return true;
}

static void
take_errors(struct client_io *io, int fd, bool about_gre)
{
	struct sock_extended_err e;
	uint32_t from, target;

	for (unsigned i = 0; i < BATCH && next_error(fd, &e, &from, &target); i++) {
		if (target != io->server)
			continue; /* another session's of this host */
		if (e.ee_origin == SO_EE_ORIGIN_ICMP && e.ee_type == ICMP_DEST_UNREACH)
			pptp_client_icmp(io->client, about_gre, e.ee_code, from, e.ee_info);
		else if (e.ee_origin == SO_EE_ORIGIN_LOCAL && e.ee_errno == EMSGSIZE)
			pptp_client_icmp(io->client, about_gre, ICMP_FRAG_NEEDED, 0, e.ee_info);
	}
}

/* ---- GRE ---- */

static int64_t
us_between(const struct timespec *from, const struct timespec *to)
{
	return (int64_t)(to->tv_sec - from->tv_sec) * 1000000 +
	       (to->tv_nsec - from->tv_nsec) / 1000;
}

/*
 * When the packet arrived, on our clock: not when we found the time to read it. Two clocks are read
 * one after the other; we may have been put aside between the two.
 */
static uint64_t
arrival_us(struct msghdr *m)
{
	struct timespec stamp = {0}, wall, again;
	uint64_t now_us = 0;
	int64_t age_us;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&stamp, CMSG_DATA(h), sizeof(stamp));
	if (stamp.tv_sec == 0)
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		clock_gettime(CLOCK_REALTIME, &wall);
		now_us = client_io_now_us();
		clock_gettime(CLOCK_REALTIME, &again);
		if (us_between(&wall, &again) < 50)
			break;
	}
	age_us = us_between(&stamp, &wall);
	return now_us - (age_us > 0 ? (uint64_t)age_us : 0);
}

static void
gre_input(struct client_io *io, const uint8_t *packet, size_t len, uint64_t arrived_us)
{
	struct rd r = rd_init(packet, len);
	size_t header = (size_t)(rd_u8(&r) & 15) * 4;
	uint32_t from;

	rd_skip(&r, 11);
	from = rd_u32(&r);
	rd_skip(&r, header >= IPV4_MIN ? header - 16 : 0);
	if (!rd_ok(&r) || header < IPV4_MIN)
		return;
	if (from != io->server)
		pptp_client_gre_from(io->client, from, r.p, rd_left(&r));
	else
		pptp_client_gre(io->client, r.p, rd_left(&r), arrived_us);
}

static void
gre_cb(int events, void *arg)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
	struct client_io *io = arg;
	uint8_t packet[PACKET_MAX];
	struct iovec v = {packet, sizeof(packet)};
	ssize_t n;

	for (unsigned i = 0; i < BATCH && io->gre_ready; i++) {
		struct msghdr m = {.msg_iov = &v,
		    .msg_iovlen = 1,
		    .msg_control = control,
		    .msg_controllen = sizeof(control)};

		n = recvmsg(io->gre, &m, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			take_errors(io, io->gre, true); /* each is told once here, too */
			continue;
		}
		if (n <= 0)
			break;
		gre_input(io, packet, (size_t)n, arrival_us(&m));
	}
	if (io->gre_ready)
		take_errors(io, io->gre, true);
}

/* Sessions of the same two hosts: each socket would get the GRE of all. */
static void
settled(void *arg, uint16_t call_id)
{
	struct client_io *io = arg;
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12), /* from whom */
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, io->server, 0, 4),
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* the IP header's length */
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 6),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_id, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0xffff),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	(void)setsockopt(io->gre, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int
prepare_gre(struct client_io *io, uint32_t local_ip)
{
	struct sockaddr_in us = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(local_ip)};

	if (bind(io->gre, (struct sockaddr *)&us, sizeof(us)) < 0 ||
	    io_init(&io->gre_io, io->loop, io->gre, gre_cb, io) < 0)
		return -1;
	io->gre_ready = true;
	io_want(&io->gre_io, IO_READ);
	return 0;
}

static void
send_gre(void *arg, const uint8_t *bytes, size_t len)
{
	struct client_io *io = arg;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(io->server)};

	/* An earlier ICMP error is returned by the next send: it is no word about this packet. */
	for (unsigned i = 0; i < 3 && io->gre_ready; i++)
		if (sendto(io->gre, bytes, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) >=
			0 ||
		    errno == EMSGSIZE || errno == EAGAIN)
			return;
}

int
client_io_open_gre(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_GRE);
	int on = 1, size = BUFFER, df = IP_PMTUDISC_PROBE;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &df, sizeof(df));
	return fd;
}

/* ---- TCP ---- */

static void
cut(struct client_io *io, int error)
{
	io_fini(&io->tcp_io);
	pptp_client_cut(io->client, error);
}

static void
flush_out(struct client_io *io)
{
	ssize_t n = send(io->tcp, io->out, io->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		io->error = errno;
		timer_set(&io->late, 0);
		return;
	}
	if (n > 0) {
		io->out_len -= (size_t)n;
		memmove(io->out, io->out + n, io->out_len);
	}
	io_want(&io->tcp_io, IO_READ | (io->out_len > 0 ? IO_WRITE : 0));
}

static void
send_tcp(void *arg, const uint8_t *bytes, size_t len)
{
	struct client_io *io = arg;

	if (io->tcp < 0)
		return;
	if (len > OUT_MAX - io->out_len) { /* it takes nothing any more */
		io->error = ETIMEDOUT;
		timer_set(&io->late, 0);
		return;
	}
	memcpy(io->out + io->out_len, bytes, len);
	io->out_len += len;
	flush_out(io);
}

static void
late_cb(void *arg)
{
	struct client_io *io = arg;

	cut(io, io->error);
}

static void
on_connected(struct client_io *io)
{
	struct sockaddr_in a;
	int error = 0, on = 1;
	socklen_t len = sizeof(error);

	(void)getsockopt(io->tcp, SOL_SOCKET, SO_ERROR, &error, &len);
	take_errors(io, io->tcp, false);
	if (error != 0) {
		cut(io, error);
		return;
	}
	len = sizeof(a);
	if (getsockname(io->tcp, (struct sockaddr *)&a, &len) < 0 ||
	    prepare_gre(io, ntohl(a.sin_addr.s_addr)) < 0) {
		cut(io, errno);
		return;
	}
	(void)setsockopt(io->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	io->connected = true;
	io_want(&io->tcp_io, IO_READ);
	pptp_client_connected(io->client, ntohl(a.sin_addr.s_addr));
}

static void
read_tcp(struct client_io *io)
{
	uint8_t bytes[1024];
	ssize_t n = recv(io->tcp, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		cut(io, n == 0 ? 0 : errno);
	else
		pptp_client_tcp(io->client, bytes, (size_t)n);
}

static void
tcp_cb(int events, void *arg)
{
	struct client_io *io = arg;

	if (!io->connected) {
		on_connected(io);
		return;
	}
	if (events & IO_WRITE)
		flush_out(io);
	/* What the link said before the server hung up explains it: that is heard first. */
	if (io->gre_ready)
		gre_cb(IO_READ, io);
	if (io->tcp >= 0 && events & IO_READ)
		read_tcp(io);
}

static int
dial(void *arg, uint32_t server, uint16_t port, uint32_t source)
{
	struct client_io *io = arg;
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(server)};
	struct sockaddr_in us = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
	int on = 1;

	io->server = server;
	io->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (io->tcp < 0)
		return -1;
	(void)setsockopt(io->tcp, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	(void)setsockopt(io->tcp, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if ((source != 0 && bind(io->tcp, (struct sockaddr *)&us, sizeof(us)) < 0) ||
	    (connect(io->tcp, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) ||
	    io_init(&io->tcp_io, io->loop, io->tcp, tcp_cb, io) < 0)
		return -1;
	io_want(&io->tcp_io, IO_WRITE);
	return 0;
}

static void
hang_up(void *arg)
{
	struct client_io *io = arg;

	timer_cancel(&io->late);
	io_fini(&io->tcp_io);
	io_fini(&io->gre_io);
	io->gre_ready = false;
	if (io->tcp >= 0)
		close(io->tcp);
	io->tcp = -1;
}

static const struct pptp_client_io sockets = {
    .now_us = now_us,
    .dial = dial,
    .send_tcp = send_tcp,
    .send_gre = send_gre,
    .hang_up = hang_up,
    .settled = settled,
};

struct client_io *
client_io_new(struct loop *l, const struct pptp_client_options *o, int gre_fd,
    const struct pptp_client_ops *ops, void *arg)
{
	struct client_io *io = calloc(1, sizeof(*io));
	int saved;

	if (io == NULL || (gre_fd < 0 && (gre_fd = client_io_open_gre()) < 0))
		goto failed;
	io->loop = l;
	io->tcp = -1;
	io->gre = gre_fd;
	timer_init(&io->late, l, late_cb, io);
	io->client = pptp_client_new(l, o, ops, arg, &sockets, io);
	if (io->client != NULL)
		return io;
failed:
	saved = errno;
	if (gre_fd >= 0)
		close(gre_fd);
	free(io);
	errno = saved;
	return NULL;
}

void
client_io_free(struct client_io *io)
{
	if (io == NULL)
		return;
	hang_up(io);
	pptp_client_free(io->client);
	close(io->gre);
	free(io);
}

struct pptp_client *
client_io_client(struct client_io *io)
{
	return io->client;
}
