/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening of the sniffer. The filter stands before the socket hears anything; offsets count from
 * the IP header.
 */
#include "pptpd/priv/sniffer.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pptpd/wire/pptp.h"

/* Each segment of thousands of clients, while the engine restores their connections. */
#define BUFFER_BYTES (4 << 20)
#define OFFSET_MASK  0x1fff
#define PORT_OFFSET  2 /* of the destination in the TCP header */
#define SNAP_BYTES   0xffff

static int
attach_filter(int fd, uint32_t ip)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct iphdr, daddr)),
	    BPF_JUMP(BPF_JMP | (ip != 0 ? BPF_JEQ : BPF_JGE) | BPF_K, ip, 0, 5),
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct iphdr, frag_off)),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, OFFSET_MASK, 3, 0),
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* length of the IP header */
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, PORT_OFFSET),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PPTP_PORT, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, SNAP_BYTES),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));
}

static int
set_buffer(int fd)
{
	int size = BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* shutdown() of a raw socket works, but calls it not connected. */
static int
forbid_sending(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) < 0)
		return -1;
	return shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN ? 0 : -1;
}

int
sniffer_open(uint32_t ip)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP), saved_errno;

	if (fd < 0)
		return -1;
	if (attach_filter(fd, ip) == 0 && set_buffer(fd) == 0 && forbid_sending(fd) == 0)
		return fd;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}
