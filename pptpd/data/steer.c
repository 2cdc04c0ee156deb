/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Steering: which TUN queue gets a packet is decided by its inner destination, so that all of one
 * session's output meets the worker that owns its transmit half. A longest-prefix map holds
 * destination -> queue (networks behind a client later); a socket-filter program of a dozen
 * instructions looks it up. Whatever is not in the map, or is not IPv4, goes to queue 0, which
 * drops it.
 *
 * Fallback: where the kernel refuses bpf(2), steer_open() fails and the daemon runs one worker with
 * one queue, which needs no steering. Setting entries needs the map's descriptor and, from Linux
 * 5.19 on, no privilege, also where unprivileged bpf(2) is off.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pptpd/data/dataplane.h"

#define ENTRIES_MAX 131072

struct key {
	uint32_t bits;
	uint32_t network; /* network order: the trie compares bytes */
};

static int
bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(__NR_bpf, command, attr, sizeof(*attr));
}

#define OP(code_, dst, src, off_, imm_)                                                            \
	((struct bpf_insn){                                                                        \
	    .code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_)})

static int
load_program(int map_fd)
{
	static const char license[] = "GPL";
	struct bpf_insn code[] = {
	    OP(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0,
		0), /* context, for the loads */
	    OP(BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, 0),
	    OP(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, 0xf0),
	    OP(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 12, 0x40),
	    OP(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 16), /* destination, host order */
	    OP(BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_0, 0, 0, 32),
	    OP(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_0, -4, 0),
	    OP(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -8, 32),
	    OP(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_fd),
	    OP(0, 0, 0, 0, 0), /* upper half of the constant */
	    OP(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
	    OP(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -8),
	    OP(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
	    OP(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
	    OP(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_0, 0, 0),
	    OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	    OP(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0), /* elsewhere: queue 0 */
	    OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (uint64_t)(uintptr_t)license;
	return bpf(BPF_PROG_LOAD, &attr);
}

static int
create_map(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_LPM_TRIE;
	attr.key_size = sizeof(struct key);
	attr.value_size = sizeof(uint32_t);
	attr.max_entries = ENTRIES_MAX;
	attr.map_flags = BPF_F_NO_PREALLOC;
	return bpf(BPF_MAP_CREATE, &attr);
}

int
steer_open(int tun_fd)
{
	int map_fd = create_map(), program_fd, saved;

	if (map_fd < 0)
		return -1;
	program_fd = load_program(map_fd);
	if (program_fd >= 0 && ioctl(tun_fd, TUNSETSTEERINGEBPF, &program_fd) == 0) {
		close(program_fd); /* the TUN holds it */
		return map_fd;
	}
	saved = errno;
	if (program_fd >= 0)
		close(program_fd);
	close(map_fd);
	errno = saved;
	return -1;
}

static struct key
make_key(uint32_t network, unsigned bits)
{
	uint32_t mask = bits == 0 ? 0 : ~(uint32_t)0 << (32 - bits);

	return (struct key){.bits = bits, .network = htonl(network & mask)};
}

int
steer_set(int map_fd, uint32_t network, unsigned bits, uint32_t queue)
{
	struct key key;
	union bpf_attr attr;

	if (bits > 32) {
		errno = EINVAL;
		return -1;
	}
	key = make_key(network, bits);
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map_fd;
	attr.key = (uint64_t)(uintptr_t)&key;
	attr.value = (uint64_t)(uintptr_t)&queue;
	attr.flags = BPF_ANY;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int
steer_clear(int map_fd, uint32_t network, unsigned bits)
{
	struct key key;
	union bpf_attr attr;

	if (bits > 32) {
		errno = EINVAL;
		return -1;
	}
	key = make_key(network, bits);
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map_fd;
	attr.key = (uint64_t)(uintptr_t)&key;
	return bpf(BPF_MAP_DELETE_ELEM, &attr);
}
