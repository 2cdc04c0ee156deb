/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * GRE socket.
 */
#include "tests/client/gre_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"
#include "pptpd/wire/gre.h"
#include "tests/client/control.h"
#include "tests/client/session.h"

#define BATCH         64
#define PACKET_MAX    2048
#define BUFFER        (16 << 20)
#define DONT_FRAGMENT 0x4000
#define CONTROL_LEN   64

void
gre_io_send(struct client *c, uint32_t source, const uint8_t *bytes, size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(c->o->server)};
	uint8_t packet[PACKET_MAX];
	struct wr w = wr_init(packet, sizeof(packet));

	/* The kernel fills in total length, identification and checksum. */
	wr_u16(&w, 0x4500);
	wr_zero(&w, 4);
	wr_u16(&w, DONT_FRAGMENT);
	wr_u8(&w, 64);
	wr_u8(&w, IPPROTO_GRE);
	wr_zero(&w, 2);
	wr_u32(&w, source);
	wr_u32(&w, c->o->server);
	wr_copy(&w, bytes, len);
	c->gre.sent++;
	if (!wr_ok(&w) || sendto(c->gre_fd, packet, wr_len(&w), MSG_DONTWAIT,
			      (struct sockaddr *)&to, sizeof(to)) < 0)
		c->gre.send_errors++;
}

/* Our packets only: every raw socket gets all GRE of the host. */
static void
input(struct client *c, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len), whole, payload;
	uint8_t version_ihl = rd_u8(&r);
	size_t header = (size_t)(version_ihl & 15) * 4;
	uint32_t source, target;
	struct gre_header h;
	struct session *s;

	rd_skip(&r, 11);
	source = rd_u32(&r);
	target = rd_u32(&r);
	rd_skip(&r, header >= 20 ? header - 20 : 0);
	if (!rd_ok(&r) || header < 20 || source != c->o->server)
		return;
	whole = r;
	if (gre_parse(&r, &h, &payload) < 0) {
		c->gre.bad_header++;
		return;
	}
	s = session_by_call_id(c, h.call_id);
	if (s == NULL || s->control->local_ip != target) {
		c->gre.unknown++;
		return;
	}
	c->gre.received++;
	session_receive(s, whole.p, rd_left(&whole));
}

/* When the packet arrived, in the time of client_now_us(): not when we found the time to read it.
 */
static uint64_t
arrival(struct client *c, struct msghdr *m)
{
	struct timespec stamp = {0}, wall;
	uint64_t now_us = client_now_us();
	int64_t age_us;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&stamp, CMSG_DATA(h), sizeof(stamp));
	if (stamp.tv_sec == 0)
		return now_us;
	clock_gettime(CLOCK_REALTIME, &wall);
	age_us =
	    (int64_t)(wall.tv_sec - stamp.tv_sec) * 1000000 + (wall.tv_nsec - stamp.tv_nsec) / 1000;
	if (age_us < 0)
		age_us = 0;
	c->late_us = (uint64_t)age_us;
	if ((uint64_t)age_us > c->window.receive_late_us)
		c->window.receive_late_us = (uint64_t)age_us;
	return now_us - (uint64_t)age_us;
}

static void
io_cb(int events, void *arg)
{
	static _Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_LEN];
	static uint8_t bytes[BATCH][PACKET_MAX];
	struct client *c = arg;
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	int n;

	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){.iov_base = bytes[i], .iov_len = PACKET_MAX};
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_control = control[i];
		messages[i].msg_hdr.msg_controllen = CONTROL_LEN;
	}
	n = recvmmsg(c->gre_fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		c->arrival_us = arrival(c, &messages[i].msg_hdr);
		input(c, bytes[i], messages[i].msg_len);
	}
	c->arrival_us = 0;
}

int
gre_io_open(struct client *c)
{
	int on = 1, size = BUFFER;

	c->gre_fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_GRE);
	if (c->gre_fd < 0)
		return -1;
	(void)setsockopt(c->gre_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(c->gre_fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	(void)setsockopt(c->gre_fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (setsockopt(c->gre_fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) < 0 ||
	    io_init(&c->gre_io, c->loop, c->gre_fd, io_cb, c) < 0) {
		close(c->gre_fd);
		return -1;
	}
	io_want(&c->gre_io, IO_READ);
	return 0;
}

void
gre_io_close(struct client *c)
{
	io_fini(&c->gre_io);
	close(c->gre_fd);
}
