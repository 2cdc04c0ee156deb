/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The monitor's ear: whatever an engine in foreign hands sends. The first byte says how many
 * descriptors come along, the rest is the packet. No effect may run with values that its check
 * forbids, and what decodes must encode to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "pptpd/priv/monitor_verbs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POOL_FIRST 0x0a080002u
#define POOL_LAST  0x0a0800feu
#define OWN        0x0a080001u
#define STATIC     0x0a09000au
#define LISTEN     0xc633640au

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static int
do_listen(void *arg, bool on)
{
	return 0;
}

static void
do_call(void *arg, bool add, uint32_t peer_ip, uint16_t call_id, uint32_t id)
{
	must(call_id != 0 && peer_ip >> 24 != 0 && peer_ip >> 24 != 127 && peer_ip < 0xe0000000u);
}

static int
do_route_add(void *arg, uint32_t ip, bool serve)
{
	must(ip == STATIC || (ip >= POOL_FIRST && ip <= POOL_LAST));
	return 0;
}

static int
do_route_del(void *arg, uint32_t ip)
{
	return 0;
}

static int
do_socket(void *arg, int fd)
{
	must(fd == 7);
	return 0;
}

static int
do_reload(void *arg)
{
	return 0;
}

static int
do_wtmp(void *arg, uint16_t call_id, const char *user, uint32_t peer_ip)
{
	must(call_id != 0 && strlen(user) <= PRIV_USER_MAX);
	return 0;
}

static int
do_restore(void *arg, const struct tcp_restore *r)
{
	must(r->tcp.local_ip == LISTEN && r->tcp.local_port == 1723 && r->tcp.peer_port != 0);
	must(r->tcp.peer_ip >> 24 != 0 && r->tcp.peer_ip < 0xe0000000u);
	must(r->tail_len <= TCP_TAIL_MAX);
	return 9;
}

static int
do_sniffer(void *arg)
{
	return 9;
}

static void
do_pong(void *arg)
{
}

static bool
is_call(int fd)
{
	return fd == 7;
}

static void
do_answer(void *arg, uint32_t id, int fd, int err)
{
	must(id != 0 && err >= 0 && (fd == -1 || fd == 9));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct verb_ops ops = {do_listen, do_call, do_route_add, do_route_del,
	    do_socket, do_socket, do_reload, do_wtmp, do_restore, do_sniffer, do_socket, do_pong,
	    is_call, do_answer};
	struct ip_range local = {OWN, OWN}, remote = {OWN, POOL_LAST};
	struct settings s = {
	    .local_ips = {&local, 1, 1}, .remote_ips = {&remote, 1, POOL_LAST - OWN + 1}};
	uint32_t statics[] = {STATIC};
	struct verbs v = {
	    .settings = &s, .statics = statics, .n_statics = 1, .ops = &ops, .listen = LISTEN};
	static struct priv_packet p;
	uint8_t again[PRIV_MSG_MAX];
	struct priv_msg m;

	if (size < 1 || size - 1 > sizeof(p.bytes))
		return 0;
	p.n_fds = data[0] % 40;
	for (size_t i = 0; i < p.n_fds; i++)
		p.fds[i] = 7 + (data[0] >> 7);
	p.len = size - 1;
	memcpy(p.bytes, data + 1, p.len);
	verbs_run(&v, &p);
	if (priv_decode(p.bytes, p.len, &m) == 0) {
		must(priv_encode(&m, again, sizeof(again)) == p.len);
		must(memcmp(again, p.bytes, p.len) == 0);
	}
	return 0;
}
