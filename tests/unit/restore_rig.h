/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests of control connections of real kernels: the server's network and the client's, joined
 * by a veth, and a connection between them.
 */
#ifndef UNIT_RESTORE_RIG_H
#define UNIT_RESTORE_RIG_H

#define CONF "option /etc/o\nlocalip 10.8.0.1\nremoteip 10.8.0.2-10.8.0.50\nlisten 198.51.100.10\n"
#include "monitor_rig.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "common/marks.h"
#include "pptpd/priv/tcp_snapshot.h"

#define VIP     IP(198, 51, 100, 10)
#define CLIENT  IP(198, 51, 100, 100)
#define ADD_VIP "ip addr add 198.51.100.10/24 dev x-srv"
#define DELETE_VIP                                                                                 \
	"ip addr del 198.51.100.10/24 dev x-srv && ip route add 198.51.100.0/24 dev x-srv"

/* ---- two networks ---- */

struct world {
	int server, client; /* namespaces; the process is in the server's but for moments */
	int listener;
};

static inline struct world
world_up(void)
{
	struct world w = {.listener = -1};
	char command[256];

	w.server = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	MUST(w.server >= 0 && unshare(CLONE_NEWNET) == 0);
	w.client = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(command, sizeof(command),
	    "ip link set lo up && ip link add x-cli type veth peer name x-srv netns /proc/%d/fd/%d "
	    "&& ip addr add 198.51.100.100/24 dev x-cli && ip link set x-cli up",
	    (int)getpid(), w.server);
	MUST(system(command) == 0);
	MUST(setns(w.server, CLONE_NEWNET) == 0);
	MUST(system("ip link set lo up && ip link set x-srv up && " ADD_VIP) == 0);
	return w;
}

static inline struct sockaddr_in
address(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static inline void
listen_1723(struct world *w)
{
	struct sockaddr_in sa = address(VIP, 1723);
	uint32_t mark = MARK_LISTENER;
	int on = 1;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	MUST(setsockopt(w->listener, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
	MUST(bind(w->listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	MUST(listen(w->listener, 1024) == 0);
}

static inline int
client_connect(const struct world *w)
{
	struct sockaddr_in sa = address(VIP, 1723);
	int fd;

	MUST(setns(w->client, CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	MUST(setns(w->server, CLONE_NEWNET) == 0);
	return fd;
}

static inline void
client_system(const struct world *w, const char *command)
{
	MUST(setns(w->client, CLONE_NEWNET) == 0);
	MUST(system(command) == 0);
	MUST(setns(w->server, CLONE_NEWNET) == 0);
}

/* A connection as the monitor has it after the accept. */
struct connection {
	int client, server;
	struct tcp_snapshot tcp;
};

static inline struct connection
connect_to(struct world *w)
{
	struct connection c = {.client = client_connect(w)};

	c.server = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	MUST(c.server >= 0 && tcp_set_mark(c.server, MARK_CALL) == 0);
	MUST(tcp_snapshot_take(c.server, &c.tcp) == 0);
	return c;
}

static inline void
close_silently(struct connection *c)
{
	MUST(tcp_silence(c->server) == 0);
	close(c->server);
	c->server = -1;
}

static inline void
pass(int from, int to, const char *text)
{
	char got[600] = {0};
	struct pollfd p = {to, POLLIN, 0};
	size_t len = strlen(text), n = 0;

	MUST(send(from, text, len, MSG_NOSIGNAL) == (ssize_t)len);
	while (n < len) {
		ssize_t rc;

		MUST(poll(&p, 1, 5000) == 1);
		rc = recv(to, got + n, sizeof(got) - 1 - n, 0);
		MUST(rc > 0);
		n += (size_t)rc;
	}
	MUST(strcmp(got, text) == 0);
}

static inline void
expect(int fd, const char *text)
{
	char got[600] = {0};
	struct pollfd p = {fd, POLLIN, 0};

	for (size_t n = 0; n < strlen(text);) {
		ssize_t rc;

		MUST(poll(&p, 1, 5000) == 1);
		rc = recv(fd, got + n, sizeof(got) - 1 - n, 0);
		MUST(rc > 0);
		n += (size_t)rc;
	}
	MUST(strcmp(got, text) == 0);
}

static inline void
expect_silence(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};

	MUST(poll(&p, 1, ms) == 0);
}

static inline struct tcp_info
info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
	return info;
}

static inline uint32_t
get_u32(int fd, int level, int option)
{
	uint32_t value = 0;
	socklen_t len = sizeof(value);

	MUST(getsockopt(fd, level, option, &value, &len) == 0);
	return value;
}

/* r for c after rx bytes read and tx bytes sent, of which the last tail are in doubt. */
static inline struct tcp_restore
restore_of(const struct connection *c, uint32_t rx, uint32_t tx, const char *tail)
{
	struct tcp_restore r = {.tcp = c->tcp,
	    .snd = c->tcp.snd0 + tx,
	    .rcv = c->tcp.rcv0 + rx,
	    .tail_len = (uint16_t)strlen(tail)};

	memcpy(r.tail, tail, strlen(tail));
	return r;
}

#define GUARD                                                                                      \
	"nft 'add table inet x; add chain inet x out { type filter hook output priority raw; }; "  \
	"add rule inet x out tcp sport 1723 meta mark 0x70701724 tcp flags & (fin | rst) != 0 "    \
	"drop'"

static inline unsigned
orphans(void)
{
	return (unsigned)atoi(output("ss -Htan state fin-wait-1 '( sport = :1723 )' | wc -l"));
}

#endif
