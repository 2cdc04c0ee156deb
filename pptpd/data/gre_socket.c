/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The raw GRE socket of one worker. A classic filter in the kernel keeps what is not enhanced GRE
 * with PPP away, and shares the calls out: without it every worker would get a copy of everything.
 * The filter sees a packet from its IP header on; a load beyond the packet's end drops it.
 *
 * The socket is transparent: it stands before the address does (as IP_FREEBIND would have it), and
 * it sends from there too: in a planned move sessions are served here before the address has moved.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pptpd/data/dataplane.h"
#include "pptpd/wire/gre.h"

#define RECEIVE_BUFFER (8 * 1024 * 1024)
#define SEND_BUFFER    (4 * 1024 * 1024)

static int
attach_filter(int fd, unsigned shard, unsigned shards)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X = length of the IP header */
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GRE_PROTO_PPP, 0, 7),
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x2007), /* key present, version */
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x2001, 0, 4),
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 6), /* call id */
	    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, shards),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, shard, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0x40000), /* all of it */
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Packets that came before the filter was there may belong to others. */
static void
drain(int fd)
{
	uint8_t byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		continue;
}

/* Large buffers where we may; without the right to force them the system's limit holds. */
static void
set_buffer(int fd, int force, int plain, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

int
gre_socket_open(uint32_t ip, unsigned shard, unsigned shards)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip)};
	int fd, yes = 1, fragment = IP_PMTUDISC_DONT, saved;

	if (shards == 0 || shard >= shards) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_GRE);
	if (fd < 0)
		return -1;
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
	if (attach_filter(fd, shard, shards) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof(fragment)) < 0 ||
	    (ip != 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	drain(fd);
	return fd;
}
