/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the data plane asks of the kernel: raw sockets that share the calls out, a TUN whose queues
 * follow the inner destination, and the whole path through both. Runs in a network namespace of its
 * own, as root; else every test is skipped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pptpd/data/dataplane.h"
#include "pptpd/data/tun.h"
#include "pptpd/priv/sandbox.h"
#include "tests/unit/dp_peer.h"

#define TUN      "pppha-t"
#define SERVER   0x7f000001
#define CLIENT   0x7f000002
#define INNER_GW 0x0a090001
#define INNER    0x0a090005
#define WAIT_MS  5000
#define MTU      1396
#define VIP      0xc6336464 /* not on this host */
#define OUT      "pppha-o"

#define RELAYED_MAX 200

static bool ready;

static void
set_address(const char *name, uint32_t ip, uint32_t mask)
{
	struct ifreq r = {0};
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(r.ifr_name, name);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(ip);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
	a->sin_addr.s_addr = htonl(mask);
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &r), 0);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

static int
need_namespace(void **state)
{
	if (!ready)
		skip();
	return 0;
}

static bool
readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static int
raw_client(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(CLIENT)};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_GRE);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* The raw socket writes the outer header itself. */
static void
client_send(int fd, const uint8_t *packet, size_t len)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(SERVER)};

	assert_int_equal(
	    sendto(fd, packet + 20, len - 20, 0, (struct sockaddr *)&a, sizeof(a)), len - 20);
}

static void
test_shards(void **state)
{
	struct peer p = {.ip = CLIENT, .server_ip = SERVER};
	uint8_t out[PEER_MAX], got[PEER_MAX], payload[100] = {0};
	int fds[3], client = raw_client();
	size_t len;

	assert_int_equal(gre_socket_open(SERVER, 3, 3), -1);
	assert_int_equal(errno, EINVAL);
	for (unsigned i = 0; i < 3; i++)
		assert_true((fds[i] = gre_socket_open(SERVER, i, 3)) >= 0);
	for (unsigned i = 0; i < 30; i++) {
		unsigned shard;

		p.call_id = (uint16_t)(65520 + i);
		shard = p.call_id % 3;
		len = peer_numbered(&p, out, i, payload, sizeof(payload));
		client_send(client, out, len);
		assert_true(readable(fds[shard], WAIT_MS));
		assert_int_equal(recv(fds[shard], got, sizeof(got), 0), len);
		assert_int_equal(got[9], IPPROTO_GRE); /* from the IP header on */
		assert_memory_equal(got + 20, out + 20, len - 20);
		for (unsigned j = 0; j < 3; j++)
			assert_false(readable(fds[j], 0));
	}
	/* Not ours: version 0, another protocol, cut short. The one behind them shows that they are
	 * gone. */
	p.call_id = 3;
	len = peer_numbered(&p, out, 1, payload, sizeof(payload));
	out[21] = 0;
	client_send(client, out, len);
	out[21] = 1;
	out[22] = 0x08;
	client_send(client, out, len);
	out[22] = 0x88;
	client_send(client, out, 20 + 7);
	client_send(client, out, len);
	assert_true(readable(fds[0], WAIT_MS));
	assert_int_equal(recv(fds[0], got, sizeof(got), 0), len);
	for (unsigned j = 0; j < 3; j++) {
		assert_false(readable(fds[j], 20));
		close(fds[j]);
	}
	close(client);
}

/* A bound socket may stand before the address does. */
static void
test_freebind(void **state)
{
	int fd = gre_socket_open(0xc6336464, 0, 1);

	assert_true(fd >= 0);
	close(fd);
}

static int
open_tun(unsigned queues, int *fds)
{
	int map_fd;

	assert_int_equal(tun_open(TUN, queues, fds), 0);
	map_fd = steer_open(fds[0]);
	assert_true(map_fd >= 0);
	set_address(TUN, INNER_GW, 0xffffff00);
	return map_fd;
}

static int
udp_socket(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INNER_GW), .sin_port = htons(7000)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static ssize_t
udp_send(int fd, uint32_t ip, uint32_t id, size_t len)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(7000)};
	uint8_t bytes[2000] = {0};
	struct wr w = wr_init(bytes, sizeof(bytes));

	wr_u32(&w, id);
	return sendto(fd, bytes, len, 0, (struct sockaddr *)&a, sizeof(a));
}

/* The next UDP packet of a queue; the kernel's own (IPv6) are passed over. */
static uint32_t
queue_read(int fd)
{
	static uint8_t buf[TUN_ROOM + TUN_READ_MAX];
	struct ip4 ip;

	for (;;) {
		ssize_t len;

		assert_true(readable(fd, WAIT_MS));
		len = tun_read(fd, buf);
		assert_true(len >= 0);
		if (ipmtu_parse(buf + TUN_ROOM, (size_t)len, &ip) == 0 &&
		    ip.protocol == IPPROTO_UDP)
			return peer_packet_id(buf + TUN_ROOM);
	}
}

static void
test_steering(void **state)
{
	int fds[3], map_fd = open_tun(3, fds), udp = udp_socket();

	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(steer_set(map_fd, INNER + i, 32, i % 3), 0);
	for (uint32_t i = 0; i < 30; i++) {
		assert_true(udp_send(udp, INNER + i, i, 100) == 100);
		assert_int_equal(queue_read(fds[i % 3]), i);
	}
	/* The longer prefix wins; what is unknown goes to queue 0. */
	assert_int_equal(steer_set(map_fd, 0x0a090087, 25, 2), 0); /* host bits are ignored */
	assert_int_equal(steer_set(map_fd, 0x0a090090, 32, 1), 0);
	udp_send(udp, 0x0a090091, 50, 100);
	assert_int_equal(queue_read(fds[2]), 50);
	udp_send(udp, 0x0a090090, 51, 100);
	assert_int_equal(queue_read(fds[1]), 51);
	assert_int_equal(steer_clear(map_fd, 0x0a090090, 32), 0);
	assert_int_equal(steer_clear(map_fd, 0x0a090090, 32), -1);
	assert_int_equal(errno, ENOENT);
	udp_send(udp, 0x0a090090, 52, 100);
	assert_int_equal(queue_read(fds[2]), 52);
	udp_send(udp, 0x0a090070, 53, 100);
	assert_int_equal(queue_read(fds[0]), 53);
	assert_int_equal(steer_set(map_fd, 1, 33, 0), -1);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	close(map_fd);
	close(udp);
}

/* The engine holds the map's descriptor and nothing else. */
static void
test_steer_unprivileged(void **state)
{
	int fds[1], map_fd = open_tun(1, fds), status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(steer_set(map_fd, INNER, 32, 0) < 0 || steer_clear(map_fd, INNER, 32) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(map_fd);
}

/* The whole path. */

struct path {
	struct loop *loop;
	struct dataplane *dp;
	struct dp_session *s;
	struct peer p;
	int client, udp;
	unsigned detached;
	struct dp_config config;
	unsigned exported;
	/* What on_relay() was given. */
	unsigned relayed;
	bool back; /* it goes back at once */
	struct {
		enum dp_relay_kind kind;
		size_t len;
		uint8_t bytes[PEER_MAX];
	} kept[RELAYED_MAX];
};

static void
on_frame(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len)
{
}

static void
on_unknown(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len, bool enc)
{
}

static void
on_detached(void *arg, void *owner)
{
	struct path *t = arg;

	t->detached++;
}

static void
on_exported(void *arg, void *owner, const struct dp_state *state)
{
	((struct path *)arg)->exported++;
}

static void
relay_back(struct path *t, unsigned i)
{
	int rc = t->kept[i].kind == DP_RELAY_GRE
		     ? dp_inject_gre(t->dp, t->kept[i].bytes, t->kept[i].len)
		     : dp_inject_ip(t->dp, t->kept[i].bytes, t->kept[i].len);

	assert_int_equal(rc, 0);
}

static void
on_relay(void *arg, enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	struct path *t = arg;

	assert_true(t->relayed < RELAYED_MAX && len <= PEER_MAX);
	t->kept[t->relayed].kind = kind;
	t->kept[t->relayed].len = len;
	memcpy(t->kept[t->relayed].bytes, packet, len);
	if (t->back)
		relay_back(t, t->relayed);
	t->relayed++;
}

static void
path_open(struct path *t, uint32_t bind_ip)
{
	*t = (struct path){.p = {.ip = CLIENT,
			       .server_ip = SERVER,
			       .call_id = 9,
			       .own_call_id = 5,
			       .inner = INNER,
			       .seq = 7},
	    .config = {.workers = 2,
		.reorder_window = 32,
		.reorder_timeout_us = 20000,
		.ack_delay_us = 10000,
		.tun_mtu = 1500,
		.bind_ip = bind_ip}};
	t->config.steer_map_fd = open_tun(2, t->config.tun_fds);
	for (unsigned i = 0; i < 2; i++)
		assert_true((t->config.gre_fds[i] = gre_socket_open(bind_ip, i, 2)) >= 0);
	t->client = raw_client();
	t->udp = udp_socket();
}

static void
path_run(struct path *t, uint32_t local_ip, uint32_t peer_ip)
{
	const struct dp_ops ops = {.on_frame = on_frame,
	    .on_unknown = on_unknown,
	    .on_detached = on_detached,
	    .on_exported = on_exported,
	    .on_relay = on_relay};
	const struct dp_up up = {.peer_ip = INNER, .local_ip = INNER_GW, .mtu = MTU};
	struct dp_session_config sc = {
	    .call_id = 9, .peer_call_id = 5, .peer_ip = peer_ip, .local_ip = local_ip};

	t->loop = loop_new();
	t->dp = dp_new(t->loop, &t->config, &ops, t);
	assert_non_null(t->dp);
	t->s = dp_attach(t->dp, &sc);
	assert_non_null(t->s);
	mppe_init(&t->p.send, peer_key_up);
	mppe_init(&t->p.recv, peer_key_down);
	dp_set_keys(t->dp, t->s, peer_key_down, peer_key_up);
	dp_up(t->dp, t->s, &up);
	usleep(50000); /* orders on their way */
}

static void
path_start(struct path *t, uint32_t bind_ip)
{
	path_open(t, bind_ip);
	path_run(t, SERVER, CLIENT);
}

static void
path_stop(struct path *t)
{
	dp_free(t->dp);
	loop_free(t->loop);
	close(t->client);
	close(t->udp);
}

static void
stop_cb(void *arg)
{
	loop_stop(arg);
}

static void
pump(struct path *t, unsigned ms)
{
	struct timer timer;

	timer_init(&timer, t->loop, stop_cb, t->loop);
	timer_set(&timer, ms);
	loop_run(t->loop);
	timer_cancel(&timer);
}

/* The main thread works meanwhile. */
static void
wait_readable(struct path *t, int fd)
{
	for (unsigned ms = 0; !readable(fd, 0) && ms < WAIT_MS; ms++)
		pump(t, 1);
	assert_true(readable(fd, 0));
}

/* The next encrypted packet at the client, lone acknowledgements passed over. */
static void
client_receive(struct path *t, struct peer_got *g)
{
	uint8_t buf[PEER_MAX];

	do {
		ssize_t n;

		wait_readable(t, t->client);
		n = recv(t->client, buf, sizeof(buf), 0);
		assert_true(n > 20);
		assert_int_equal(buf[12] << 24 | buf[13] << 16 | buf[14] << 8 | buf[15], SERVER);
		assert_true(peer_open(&t->p, buf + 20, (size_t)n - 20, g));
	} while (g->h.length == 0);
}

static void
path_through(struct path *t)
{
	uint8_t packet[500], payload[PEER_MAX], out[PEER_MAX], got[PEER_MAX];
	struct peer_got g;

	for (uint32_t i = 0; i < 50; i++) {
		size_t len = peer_ip_packet(packet, INNER, INNER_GW, i, sizeof(packet), 0);

		len = peer_seal(&t->p, payload, PPP_IP, packet, len);
		client_send(t->client, out, peer_numbered(&t->p, out, t->p.seq++, payload, len));
		assert_true(readable(t->udp, WAIT_MS));
		assert_int_equal(recv(t->udp, got, sizeof(got), 0), sizeof(packet) - 28);
		assert_memory_equal(got, packet + 28, sizeof(packet) - 28);
		assert_int_equal(udp_send(t->udp, INNER, i, 600), 600);
		client_receive(t, &g);
		assert_int_equal(g.protocol, PPP_IP);
		assert_int_equal(g.len, 628);
		assert_int_equal(peer_packet_id(g.bytes), i);
	}
}

static void
test_path(void **state)
{
	static struct path t;
	struct dp_counters c;

	path_start(&t, SERVER);
	path_through(&t);
	dp_session_counters(t.s, &c);
	assert_true(c.tx_packets >= 50);
	dp_detach(t.dp, t.s);
	path_stop(&t);
	/* Not bound: each packet names its source. */
	path_start(&t, 0);
	path_through(&t);
	path_stop(&t);
}

/* The kernel takes our ICMP error for what it is, though it bears the gateway's own address. */
static void
test_path_mtu(void **state)
{
	static struct path t;
	int want = IP_PMTUDISC_DO, mtu = 0;
	socklen_t len = sizeof(mtu);
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INNER), .sin_port = htons(7000)};
	struct peer_got g;
	struct dp_counters c;

	path_start(&t, SERVER);
	assert_int_equal(setsockopt(t.udp, IPPROTO_IP, IP_MTU_DISCOVER, &want, sizeof(want)), 0);
	assert_int_equal(udp_send(t.udp, INNER, 1, MTU - 28 + 1), MTU - 28 + 1);
	assert_int_equal(connect(t.udp, (struct sockaddr *)&a, sizeof(a)), 0);
	for (unsigned i = 0; mtu != MTU && i < 200; i++) {
		usleep(5000);
		assert_int_equal(getsockopt(t.udp, IPPROTO_IP, IP_MTU, &mtu, &len), 0);
	}
	dp_session_counters(t.s, &c);
	assert_int_equal(c.drops[DP_DROP_TUN_WRITE], 0);
	assert_int_equal(c.icmp_frag_needed, 1);
	assert_int_equal(mtu, MTU);
	(void)udp_send(t.udp, INNER, 2, 100); /* takes the pending error away */
	assert_int_equal(udp_send(t.udp, INNER, 3, MTU - 28), MTU - 28);
	while (client_receive(&t, &g), peer_packet_id(g.bytes) != 3)
		continue;
	assert_int_equal(g.len, MTU);
	path_stop(&t);
}

/* A firewall that refuses our packets costs packets, nothing else. */
static void
test_send_errors(void **state)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	struct dp_counters c;
	struct peer_got g;
	static struct path t;

	path_start(&t, SERVER);
	assert_int_equal(
	    nft_run_cmd_from_buffer(nft,
		"add table ip t; add chain ip t o { type filter hook output priority 0; };"
		"add rule ip t o ip protocol gre ip saddr 127.0.0.1 drop"),
	    0);
	for (uint32_t i = 0; i < 5; i++)
		udp_send(t.udp, INNER, i, 100);
	for (unsigned i = 0; i < 1000; i++) {
		dp_session_counters(t.s, &c);
		if (c.drops[DP_DROP_SEND_EPERM] == 5)
			break;
		usleep(1000);
	}
	assert_int_equal(c.drops[DP_DROP_SEND_EPERM], 5);
	assert_int_equal(nft_run_cmd_from_buffer(nft, "delete table ip t"), 0);
	udp_send(t.udp, INNER, 77, 100);
	client_receive(&t, &g); /* 5 keys further on */
	assert_int_equal(peer_packet_id(g.bytes), 77);
	nft_ctx_free(nft);
	path_stop(&t);
}

/* The address is elsewhere still, and a session of it is served here: what it says leaves. */
static void
source_elsewhere(int out, uint32_t bind_ip)
{
	static struct path t;
	static uint8_t buf[TUN_ROOM + TUN_READ_MAX];
	struct dp_counters c;
	struct ip4 ip;

	path_open(&t, bind_ip);
	path_run(&t, VIP, 0xc0000205);
	assert_int_equal(dp_send_frame(t.dp, t.s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	do {
		ssize_t len;

		assert_true(readable(out, WAIT_MS));
		len = tun_read(out, buf);
		assert_true(len > 0);
		memset(&ip, 0, sizeof(ip));
		(void)ipmtu_parse(buf + TUN_ROOM, (size_t)len, &ip);
	} while (ip.protocol != IPPROTO_GRE);
	assert_int_equal(ip.src, VIP);
	assert_int_equal(ip.dst, 0xc0000205);
	dp_session_counters(t.s, &c);
	assert_int_equal(c.drops[DP_DROP_SEND_OTHER], 0);
	path_stop(&t);
}

static void
test_source_elsewhere(void **state)
{
	int out;

	assert_int_equal(tun_open(OUT, 1, &out), 0);
	set_address(OUT, 0xc0000201, 0xffffff00);
	source_elsewhere(out, VIP);
	source_elsewhere(out, 0);
	close(out);
}

static void
pump_until(struct path *t, const unsigned *count, unsigned n)
{
	for (unsigned i = 0; *count < n && i < WAIT_MS; i++)
		pump(t, 1);
	assert_true(*count >= n);
}

/* The next packets of both directions, in order. */
static void
both_arrive(struct path *t, uint32_t first, unsigned n)
{
	uint8_t got[PEER_MAX];
	struct peer_got g;

	for (uint32_t i = first; i < first + n; i++) {
		wait_readable(t, t->udp);
		assert_true(recv(t->udp, got, sizeof(got), MSG_DONTWAIT) > 4);
		assert_int_equal(got[3], i);
		client_receive(t, &g);
		assert_int_equal(peer_packet_id(g.bytes), i);
	}
}

static void
both_send(struct path *t, uint32_t first, unsigned n)
{
	uint8_t packet[500], payload[PEER_MAX], out[PEER_MAX];

	for (uint32_t i = first; i < first + n; i++) {
		size_t len = peer_ip_packet(packet, INNER, INNER_GW, i, sizeof(packet), 0);

		len = peer_seal(&t->p, payload, PPP_IP, packet, len);
		client_send(t->client, out, peer_numbered(&t->p, out, t->p.seq++, payload, len));
		assert_int_equal(udp_send(t->udp, INNER, i, 600), 600);
	}
}

/* Threads, kernel and the engine's sandbox: packets are handed on, come back, and none is missing.
 */
static void
relay_and_back(struct path *t)
{
	const struct keygate all = keygate_free(KEYS_ALL);
	struct dp_counters c;

	path_run(t, SERVER, CLIENT);
	both_send(t, 1, 20);
	both_arrive(t, 1, 20);
	dp_relay(t->dp, true);
	dp_export(t->dp, t->s, 0, 0);
	pump_until(t, &t->exported, 1);
	both_send(t, 21, 50);
	pump_until(t, &t->relayed, 100); /* the kernel may have said something of its own */
	assert_false(readable(t->udp, 0));
	both_send(t, 71, 20);
	dp_relay(t->dp, false);
	dp_set_gate(t->dp, t->s, &all, 0);
	for (unsigned i = 0; i < t->relayed; i++)
		relay_back(t, i);
	t->back = true;
	both_send(t, 91, 20);
	both_arrive(t, 21, 90);
	dp_totals(t->dp, &c);
	assert_true(c.relayed >= 100);
	assert_int_equal(c.injected, c.relayed);
	assert_int_equal(c.drops[DP_DROP_RELAY], 0);
	dp_session_counters(t->s, &c);
	assert_int_equal(c.drops[DP_DROP_LOST] + c.drops[DP_DROP_LATE], 0);
	path_stop(t);
}

static void
test_relay_confined(void **state)
{
	static struct path t;
	int status;
	pid_t pid;

	path_open(&t, SERVER);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_filter() < 0)
			_exit(2);
		relay_and_back(&t); /* a failure ends the process otherwise */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (unsigned i = 0; i < 2; i++) {
		close(t.config.gre_fds[i]);
		close(t.config.tun_fds[i]);
	}
	close(t.config.steer_map_fd);
	close(t.client);
	close(t.udp);
}

#define ROW(test) cmocka_unit_test_setup(test, need_namespace)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_shards),
	    ROW(test_freebind),
	    ROW(test_steering),
	    ROW(test_steer_unprivileged),
	    ROW(test_path),
	    ROW(test_path_mtu),
	    ROW(test_send_errors),
	    ROW(test_source_elsewhere),
	    ROW(test_relay_confined),
	};

	ready = geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
		access("/dev/net/tun", R_OK | W_OK) == 0;
	if (ready)
		set_address("lo", SERVER, 0xff000000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
