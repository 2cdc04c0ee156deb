/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ICMP socket.
 */
#include "tests/client/icmp_io.h"

#include <linux/icmp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/client/control.h"
#include "tests/client/session.h"
#include "tests/client/unreachable.h"

#define PACKET_MAX 2048
#define BATCH      64

static void
input(struct client *c, const uint8_t *packet, size_t len)
{
	struct unreachable u;

	if (!unreachable_parse(packet, len, &u) || u.target != c->o->server ||
	    (u.protocol != IPPROTO_GRE && u.protocol != IPPROTO_TCP))
		return;
	c->unreachables[unreachable_is_final(u.code) ? (u.protocol == IPPROTO_GRE ? 0 : 1) : 2]++;
	log_debug("unreachable code=%u protocol=%u from=%08x", u.code, u.protocol, u.from);
	if (!c->o->strict || u.protocol != IPPROTO_GRE || !unreachable_is_final(u.code))
		return;
	/* A raw socket knows no call ids: all calls of this address are hit. */
	for (unsigned i = 0; i < c->n_sessions; i++)
		if (c->sessions[i].control->local_ip == u.source)
			session_unreachable(&c->sessions[i], u.code);
}

static void
io_cb(int events, void *arg)
{
	struct client *c = arg;
	uint8_t packet[PACKET_MAX];
	ssize_t n;

	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		n = recv(c->icmp_fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n <= 0)
			return;
		input(c, packet, (size_t)n);
	}
}

int
icmp_io_open(struct client *c)
{
	struct icmp_filter filter = {.data = ~(1u << ICMP_DEST_UNREACH)};

	c->icmp_fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (c->icmp_fd < 0)
		return -1;
	if (setsockopt(c->icmp_fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0 ||
	    io_init(&c->icmp, c->loop, c->icmp_fd, io_cb, c) < 0) {
		close(c->icmp_fd);
		return -1;
	}
	io_want(&c->icmp, IO_READ);
	return 0;
}

void
icmp_io_close(struct client *c)
{
	io_fini(&c->icmp);
	close(c->icmp_fd);
}
