/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The data plane with its threads, between two socket pairs: one stands in for the raw GRE socket
 * (in: IP packets, out: GRE packets), one for the TUN queue. A packet that must not pass is
 * followed by one that must: nothing but the latter may come out, so no test waits for "nothing".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "pptpd/data/dataplane.h"
#include "pptpd/data/internal.h"
#include "tests/unit/dp_peer.h"

#define CLIENT   0xcb007105 /* 203.0.113.5 */
#define SERVER   0xc6336464
#define INNER    0x0a08000a
#define INNER_GW 0x0a080001
#define HOST     0xc0a80114
#define CALL     77
#define WAIT_MS  5000
#define MTU      1396

static char owner_word[] = "owner";

struct fixture {
	struct loop *loop;
	struct dataplane *dp;
	struct dp_session *s;
	struct peer p;
	unsigned workers;
	int gre[2], tun[2]; /* the test's ends */
	unsigned frames, unknown, detached, exports, bad_owner;
	struct dp_state export;
	bool unknown_was_encrypted, stop_owner;
	uint16_t protocol;
	uint8_t payload[DP_FRAME_MAX];
	size_t len;
};

static void
on_frame(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct fixture *f = arg;

	f->bad_owner += owner != owner_word;
	f->frames++;
	f->protocol = protocol;
	f->len = len;
	memcpy(f->payload, payload, len);
}

static void
on_unknown(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len,
    bool was_encrypted)
{
	struct fixture *f = arg;

	f->unknown++;
	f->protocol = protocol;
	f->len = len;
	f->unknown_was_encrypted = was_encrypted;
}

static void
on_detached(void *arg, void *owner)
{
	struct fixture *f = arg;

	f->bad_owner += owner != owner_word;
	f->detached++;
}

static void
on_exported(void *arg, void *owner, const struct dp_state *state)
{
	struct fixture *f = arg;

	f->bad_owner += owner != owner_word;
	f->exports++;
	f->export = *state;
}

static void
stop_cb(void *loop)
{
	loop_stop(loop);
}

static void
pump(struct fixture *f, unsigned ms)
{
	struct timer t;

	timer_init(&t, f->loop, stop_cb, f->loop);
	timer_set(&t, ms);
	loop_run(f->loop);
	timer_cancel(&t);
}

#define pump_until(f, condition)                                                                   \
	do {                                                                                       \
		for (unsigned ms_ = 0; !(condition) && ms_ < WAIT_MS; ms_++)                       \
			pump(f, 1);                                                                \
		assert_true(condition);                                                            \
	} while (0)

static struct dp_counters
counters(const struct fixture *f)
{
	struct dp_counters c;

	dp_session_counters(f->s, &c);
	return c;
}

static struct dp_counters
totals(const struct fixture *f)
{
	struct dp_counters c;

	dp_totals(f->dp, &c);
	return c;
}

/* A pair whose far end goes to the data plane. */
static int
make_pair(int *ours)
{
	int fds[2], size = 1 << 20;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	*ours = fds[0];
	return fds[1];
}

static int
start(void **state, unsigned workers, uint8_t window, uint32_t timeout_us, uint32_t ack_us)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct dp_ops ops = {.on_frame = on_frame,
	    .on_unknown = on_unknown,
	    .on_detached = on_detached,
	    .on_exported = on_exported};
	struct dp_config c = {.workers = workers,
	    .steer_map_fd = -1,
	    .reorder_window = window,
	    .reorder_timeout_us = timeout_us,
	    .ack_delay_us = ack_us,
	    .tun_mtu = 1500};

	f->workers = workers;
	f->loop = loop_new();
	for (unsigned i = 0; i < workers; i++) {
		c.gre_fds[i] = make_pair(&f->gre[i]);
		c.tun_fds[i] = make_pair(&f->tun[i]);
	}
	if (workers > 1) /* no map: entries fail with a warning, nothing more */
		c.steer_map_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	f->dp = dp_new(f->loop, &c, &ops, f);
	assert_non_null(f->dp);
	f->p = (struct peer){.ip = CLIENT,
	    .server_ip = SERVER,
	    .call_id = CALL,
	    .own_call_id = 5,
	    .inner = INNER,
	    .seq = 7 /* 0 could not be told from nothing received */};
	*state = f;
	return 0;
}

static int
setup(void **state)
{
	return start(state, 1, 32, 20000, 20000);
}

static int
setup_two(void **state)
{
	return start(state, 2, 32, 20000, 20000);
}

/* A gap is waited for so long that only the packet itself can close it. */
static int
setup_patient(void **state)
{
	return start(state, 1, 32, 60000000, 60000000);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->bad_owner, 0);
	dp_free(f->dp);
	for (unsigned i = 0; i < f->workers; i++) {
		close(f->gre[i]);
		close(f->tun[i]);
	}
	loop_free(f->loop);
	free(f);
	return 0;
}

static void
set_keys(struct fixture *f)
{
	mppe_init(&f->p.send, peer_key_up);
	mppe_init(&f->p.recv, peer_key_down);
	dp_set_keys(f->dp, f->s, peer_key_down, peer_key_up);
}

static void
up(struct fixture *f, uint16_t mtu, bool compressed)
{
	const struct dp_up u = {.peer_ip = INNER,
	    .local_ip = INNER_GW,
	    .mtu = mtu,
	    .pfc = compressed,
	    .acfc = compressed};

	dp_up(f->dp, f->s, &u);
}

/* Waits for a packet on fd. */
static size_t
receive(int fd, uint8_t *buf, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = recv(fd, buf, size, 0);
	assert_true(n > 0);
	return (size_t)n;
}

static void
to_server(struct fixture *f, const uint8_t *packet, size_t len)
{
	struct pollfd p = {.fd = f->gre[f->p.call_id % f->workers], .events = POLLOUT};

	while (send(p.fd, packet, len, 0) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	}
}

static void
send_ack(struct fixture *f, uint32_t ack)
{
	struct gre_header h = {.call_id = CALL, .has_ack = true, .ack = ack};
	uint8_t out[PEER_MAX] = {0};
	size_t len = peer_gre(&f->p, out, &h, out);

	to_server(f, out, len);
}

static void
attach(struct fixture *f)
{
	const struct dp_session_config c = {.call_id = f->p.call_id,
	    .peer_call_id = f->p.own_call_id,
	    .peer_ip = f->p.ip,
	    .local_ip = SERVER,
	    .owner = owner_word};

	f->s = dp_attach(f->dp, &c);
	assert_non_null(f->s);
	/* Packets of the call are known once an acknowledgement, which changes nothing, gets
	 * through. */
	for (unsigned ms = 0; counters(f).last_rx_ms == 0 && ms < WAIT_MS; ms++) {
		send_ack(f, 0);
		pump(f, 1);
	}
	assert_true(counters(f).last_rx_ms > 0);
}

static void
send_numbered(struct fixture *f, uint32_t seq, const uint8_t *payload, size_t len)
{
	uint8_t out[PEER_MAX];

	to_server(f, out, peer_numbered(&f->p, out, seq, payload, len));
}

static void
send_payload(struct fixture *f, const uint8_t *payload, size_t len)
{
	send_numbered(f, f->p.seq++, payload, len);
}

/* An encrypted packet that must pass, or not. */
static void
send_data(struct fixture *f, uint32_t src, uint32_t id)
{
	uint8_t packet[200], payload[PEER_MAX];
	size_t len = peer_ip_packet(packet, src, HOST, id, sizeof(packet), 0);

	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IP, packet, len));
}

/* The next packet out of the TUN, without its virtio header. */
static size_t
from_tun(struct fixture *f, uint8_t *packet)
{
	static const uint8_t zero[TUN_VNET_LEN];
	uint8_t buf[PEER_MAX];
	size_t len = receive(f->tun[f->p.call_id % f->workers], buf, sizeof(buf));

	assert_memory_equal(buf, zero, TUN_VNET_LEN);
	memcpy(packet, buf + TUN_VNET_LEN, len - TUN_VNET_LEN);
	return len - TUN_VNET_LEN;
}

static void
expect_data(struct fixture *f, uint32_t id)
{
	uint8_t packet[PEER_MAX];
	struct ip4 ip;
	size_t len = from_tun(f, packet);

	assert_int_equal(ipmtu_parse(packet, len, &ip), 0);
	assert_int_equal(ip.total, len);
	assert_int_equal(ip.src, INNER);
	assert_int_equal(peer_packet_id(packet), id);
}

/* All that was sent is counted: the number of the last packet is published after its counters. */
static void
settle(struct fixture *f)
{
	for (unsigned i = 0; counters(f).rx_seq != f->p.seq - 1 && i < WAIT_MS * 10; i++)
		usleep(100);
	assert_int_equal(counters(f).rx_seq, f->p.seq - 1);
}

/* Whatever was sent before did not reach the TUN: the fence is the next thing that does. */
static void
fence(struct fixture *f)
{
	static uint32_t id = 1000000;

	send_data(f, INNER, ++id);
	expect_data(f, id);
	settle(f);
}

static void
to_tun(struct fixture *f, unsigned queue, const uint8_t *packet, size_t len)
{
	uint8_t buf[PEER_MAX] = {0};

	memcpy(buf + TUN_VNET_LEN, packet, len);
	assert_int_equal(send(f->tun[queue], buf, TUN_VNET_LEN + len, 0), TUN_VNET_LEN + len);
}

static void
from_server(struct fixture *f, struct peer_got *g)
{
	uint8_t buf[PEER_MAX];
	size_t len = receive(f->gre[f->p.call_id % f->workers], buf, sizeof(buf));

	assert_true(peer_open(&f->p, buf, len, g));
}

/* Up, and the orders are carried out: the transmit half has answered a frame given after them. */
static void
attached_up(struct fixture *f)
{
	struct peer_got g;

	attach(f);
	set_keys(f);
	up(f, MTU, false);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	from_server(f, &g);
	fence(f);
}

static void
test_arguments(void **state)
{
	struct fixture *f = *state;
	struct dp_session_config c = {.call_id = CALL, .owner = owner_word};
	struct dp_config bad = {.workers = 0, .steer_map_fd = -1};
	const struct dp_ops ops = {
	    .on_frame = on_frame, .on_unknown = on_unknown, .on_detached = on_detached};
	uint8_t large[DP_FRAME_MAX + 1] = {0};

	attach(f);
	assert_null(dp_attach(f->dp, &c));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, large, sizeof(large)), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_null(dp_new(f->loop, &bad, &ops, f));
	assert_int_equal(errno, EINVAL);
	bad.workers = 2; /* no steering map */
	assert_null(dp_new(f->loop, &bad, &ops, f));
	for (enum dp_drop d = 0; d < DP_DROP_MAX; d++)
		assert_non_null(dp_drop_name(d));
	assert_string_equal(dp_drop_name(DP_DROP_UNKNOWN_CALL), "unknown-call");
}

static void
test_frames(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[PEER_MAX], body[DP_FRAME_MAX];
	struct peer_got g;

	attach(f);
	memset(body, 0x5a, sizeof(body));
	send_payload(f, payload, peer_frame(payload, PPP_LCP, "hello", 5));
	pump_until(f, f->frames == 1);
	assert_int_equal(f->protocol, PPP_LCP);
	assert_int_equal(f->len, 5);
	assert_memory_equal(f->payload, "hello", 5);
	/* Without FF 03; the largest that passes. */
	send_payload(f, payload + 2, peer_frame(payload, PPP_CCP, body, sizeof(body)) - 2);
	pump_until(f, f->frames == 2);
	assert_int_equal(f->protocol, PPP_CCP);
	assert_int_equal(f->len, sizeof(body));
	for (unsigned i = 0; i < 5; i++) {
		body[0] = (uint8_t)i;
		assert_int_equal(
		    dp_send_frame(f->dp, f->s, PPP_CHAP, body, i == 4 ? sizeof(body) : i + 1), 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		from_server(f, &g);
		assert_true(g.h.has_seq && g.full_address && !g.encrypted);
		assert_int_equal(g.h.seq, i);
		assert_int_equal(g.h.has_ack, i == 0); /* piggy-backed once */
		assert_int_equal(g.protocol, PPP_CHAP);
		assert_int_equal(g.bytes[0], i);
		assert_int_equal(g.len, i == 4 ? sizeof(body) : i + 1);
	}
	assert_int_equal(counters(f).tx_seq, 5);
	assert_int_equal(counters(f).rx_seq, 8);
	assert_int_equal(counters(f).acks_alone, 0);
}

static void
test_data(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[PEER_MAX];
	struct dp_counters before, c;
	struct peer_got g;
	size_t len;

	attached_up(f);
	before = counters(f);
	for (uint32_t id = 0; id < 300; id++) {
		send_data(f, INNER, id);
		expect_data(f, id);
		len = peer_ip_packet(packet, HOST, INNER, id, 100 + id, 0);
		to_tun(f, 0, packet, len);
		from_server(f, &g);
		assert_int_equal(g.protocol, PPP_IP);
		assert_true(g.encrypted && g.full_address);
		assert_int_equal(g.len, len);
		assert_memory_equal(g.bytes, packet, len);
	}
	pump_until(f, counters(f).tx_packets == before.tx_packets + 300);
	settle(f);
	c = counters(f);
	assert_int_equal(c.rx_packets, before.rx_packets + 300);
	assert_int_equal(c.rx_octets, before.rx_octets + 300 * 200);
	assert_int_equal(c.tx_octets, before.tx_octets + 300 * 100 + 299 * 150);
	assert_int_equal(c.tx_index, f->p.recv.index);
	assert_int_equal(c.rx_index, f->p.send.index);
	assert_true(c.last_data_ms > 0 && c.last_rx_ms > 0);
	for (unsigned d = 0; d < DP_DROP_MAX; d++)
		assert_int_equal(c.drops[d], 0);
}

/* What the peer may compress is compressed. */
static void
test_compressed(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100], buf[PEER_MAX];
	size_t len;

	attached_up(f);
	up(f, MTU, true);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	len = receive(f->gre[0], buf, sizeof(buf));
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0));
	len = receive(f->gre[0], buf, sizeof(buf));
	/* GRE without ack 12; FD 1; MPPE header 2; inner protocol 2 */
	assert_int_equal(len, 12 + (buf[1] & 0x80 ? 4 : 0) + 1 + 2 + 2 + sizeof(packet));
}

/* The packet as it stands, from the outer header on. */
static void
send_raw_header(struct fixture *f, uint32_t ip, uint16_t call_id, uint16_t flags)
{
	struct peer p = f->p;
	uint8_t out[PEER_MAX], payload[64];
	size_t len;

	p.ip = ip;
	p.call_id = call_id;
	len = peer_numbered(&p, out, f->p.seq, payload, peer_frame(payload, PPP_LCP, "bad", 3));
	out[20] = (uint8_t)(flags >> 8);
	out[21] = (uint8_t)flags;
	to_server(f, out, len);
}

static void
test_drops_outside(void **state)
{
	struct fixture *f = *state;
	struct dp_counters before, t, c;
	uint8_t short_packet[30] = {0x45, 0, 0, 30};

	attached_up(f);
	before = totals(f);
	f->frames = 0;
	send_raw_header(f, CLIENT, CALL, 0x3000); /* version 0 */
	send_raw_header(f, CLIENT, CALL, 0xb001); /* checksum bit */
	to_server(f, short_packet, sizeof(short_packet));
	to_server(f, short_packet, 1);
	send_raw_header(f, CLIENT, CALL + 1, 0x3001);
	send_raw_header(f, CLIENT + 1, CALL, 0x3001);
	fence(f);
	t = totals(f);
	c = counters(f);
	assert_int_equal(t.drops[DP_DROP_GRE_HEADER], 4);
	assert_int_equal(t.drops[DP_DROP_UNKNOWN_CALL], before.drops[DP_DROP_UNKNOWN_CALL] + 1);
	assert_int_equal(c.drops[DP_DROP_FOREIGN_PEER], 1);
	pump(f, 20);
	assert_int_equal(f->frames, 0);
}

/* A packet larger than any frame of ours: cut by the kernel, dropped as a whole. */
static void
test_oversized(void **state)
{
	struct fixture *f = *state;
	uint8_t out[PEER_MAX], payload[3000] = {0xff, 0x03, 0xc0, 0x21};

	attached_up(f);
	to_server(f, out, peer_numbered(&f->p, out, f->p.seq, payload, sizeof(payload)));
	fence(f);
	assert_int_equal(totals(f).drops[DP_DROP_GRE_HEADER], 1);
}

static void
test_drops_inside(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[200], payload[PEER_MAX];
	struct dp_counters c;
	size_t len;

	attached_up(f);
	send_payload(f, payload, 0); /* empty: fine */
	send_payload(f, (const uint8_t *)"\xff\x03\x00", 3);
	len = peer_ip_packet(packet, INNER, HOST, 1, sizeof(packet), 0);
	send_payload(f, payload, peer_frame(payload, PPP_IP, packet, len)); /* in clear */
	send_payload(
	    f, payload, peer_frame(payload, PPP_COMP, "\x00\x00xxx", 5)); /* not stateless */
	send_payload(f, payload, peer_frame(payload, PPP_COMP, "\x90", 1));
	send_data(f, INNER + 1, 1); /* spoofed */
	send_data(f, HOST, 1);
	packet[11] ^= 1; /* header checksum wrong */
	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IP, packet, len));
	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IP, packet, 10));
	send_payload(f, payload, peer_seal(&f->p, payload, 0x0200, packet, 10)); /* no protocol */
	fence(f);
	c = counters(f);
	assert_int_equal(c.drops[DP_DROP_PPP], 1);
	assert_int_equal(c.drops[DP_DROP_CLEAR_IP], 1);
	assert_int_equal(c.drops[DP_DROP_MPPE], 2);
	assert_int_equal(c.drops[DP_DROP_SOURCE], 2);
	assert_int_equal(c.drops[DP_DROP_INSANE], 3);
	assert_int_equal(c.drops[DP_DROP_LOST], 0);
}

/* Bytes behind the IP packet's total length are not passed on. */
static void
test_padding(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[300] = {0}, payload[PEER_MAX];

	attached_up(f);
	peer_ip_packet(packet, INNER, HOST, 9, 100, 0);
	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IP, packet, sizeof(packet)));
	assert_int_equal(from_tun(f, packet), 100);
	assert_int_equal(peer_packet_id(packet), 9);
}

/* Keys, then a source, then up: each lets in what it should. */
static void
test_order_of_arming(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[PEER_MAX], packet[100];
	struct peer_got g;

	attach(f);
	mppe_init(&f->p.send, peer_key_up);
	send_data(f, INNER, 1); /* no keys yet */
	pump_until(f, counters(f).drops[DP_DROP_MPPE] == 1);
	set_keys(f);
	pump(f, 20);
	send_data(f, INNER, 2); /* no source yet */
	pump_until(f, counters(f).drops[DP_DROP_NOT_UP] == 1);
	/* Towards the client nothing goes before dp_up(). */
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 3, sizeof(packet), 0));
	pump_until(f, totals(f).drops[DP_DROP_NO_ROUTE] == 1);
	up(f, MTU, false);
	send_payload(f, payload, peer_frame(payload, PPP_LCP, "x", 1));
	pump(f, 20);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 4, sizeof(packet), 0));
	do {
		from_server(f, &g);
	} while (g.h.length == 0); /* acknowledgements of before */
	assert_int_equal(peer_packet_id(g.bytes), 4);
}

/* Up without keys: nothing may leave in clear. */
static void
test_never_in_clear(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];
	struct peer_got g;

	attach(f);
	up(f, MTU, false);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"1", 1), 0);
	from_server(f, &g);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 3, sizeof(packet), 0));
	pump_until(f, counters(f).drops[DP_DROP_NOT_UP] == 1);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"2", 1), 0);
	from_server(f, &g);
	assert_int_equal(g.bytes[0], '2');
}

static void
test_down(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];
	struct peer_got g;
	uint32_t seq;

	attached_up(f);
	seq = counters(f).tx_seq;
	dp_down(f->dp, f->s);
	pump(f, 20);
	send_data(f, INNER, 1);
	pump_until(f, counters(f).drops[DP_DROP_NOT_UP] == 1);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0));
	pump_until(f, totals(f).drops[DP_DROP_NO_ROUTE] == 1);
	up(f, MTU, false);
	pump(f, 40); /* the acknowledgement goes alone meanwhile */
	fence(f);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 2, sizeof(packet), 0));
	do {
		from_server(f, &g);
	} while (g.h.length == 0);
	assert_int_equal(g.h.seq, seq); /* numbers and keys went on */
	assert_int_equal(peer_packet_id(g.bytes), 2);
}

static void
test_reorder(void **state)
{
	static const uint8_t order[] = {2, 0, 1, 1, 5, 4, 2, 3, 7, 6};
	struct fixture *f = *state;
	uint8_t payload[8][PEER_MAX], packet[200];
	size_t len[8];
	uint32_t base;
	struct dp_counters c;

	attached_up(f);
	base = f->p.seq;
	for (uint32_t i = 0; i < 8; i++) {
		size_t n = peer_ip_packet(packet, INNER, HOST, i, sizeof(packet), 0);

		len[i] = peer_seal(&f->p, payload[i], PPP_IP, packet, n);
	}
	for (unsigned i = 0; i < sizeof(order); i++)
		send_numbered(f, base + order[i], payload[order[i]], len[order[i]]);
	f->p.seq = base + 8;
	for (uint32_t i = 0; i < 8; i++)
		expect_data(f, i);
	fence(f);
	c = counters(f);
	assert_int_equal(c.drops[DP_DROP_DUPLICATE] + c.drops[DP_DROP_LATE], 2);
	assert_int_equal(c.drops[DP_DROP_LOST], 0);
	assert_int_equal(c.drops[DP_DROP_MPPE], 0);
	assert_true(c.rx_reordered >= 3);
}

/* A packet is lost: what follows comes after the timeout, with its keys skipped. */
static void
test_gap_times_out(void **state)
{
	struct fixture *f = *state;

	attached_up(f);
	f->p.seq++;
	mppe_step(&f->p.send, f->p.send.index + 1);
	send_data(f, INNER, 1);
	send_data(f, INNER, 2);
	expect_data(f, 1);
	expect_data(f, 2);
	fence(f);
	assert_int_equal(counters(f).drops[DP_DROP_LOST], 1);
	assert_int_equal(counters(f).rx_index, f->p.send.index);
}

/* Much is lost at once. */
static void
test_skip_keys(void **state)
{
	struct fixture *f = *state;

	attached_up(f);
	for (unsigned i = 0; i < 20; i++) {
		f->p.seq += 200;
		mppe_step(&f->p.send, f->p.send.index + 200);
		fence(f);
	}
	assert_int_equal(counters(f).rx_index, f->p.send.index);
	assert_int_equal(counters(f).drops[DP_DROP_LOST], 4000);
	/* So far that it might be damage: the next packet bears it out, at the price of the first.
	 */
	f->p.seq += 1000;
	mppe_step(&f->p.send, f->p.send.index + 1000);
	send_data(f, INNER, 1);
	fence(f);
	assert_int_equal(counters(f).rx_index, f->p.send.index);
	assert_int_equal(counters(f).drops[DP_DROP_LATE], 1);
}

/* A forged or corrupted coherency count moves nothing; the next good packet is in order. */
static void
test_corrupt_count(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[PEER_MAX], packet[200], bad[PEER_MAX];
	size_t len = peer_ip_packet(packet, INNER, HOST, 5, sizeof(packet), 0);
	uint64_t index;

	attached_up(f);
	index = counters(f).rx_index;
	len = peer_seal(&f->p, payload, PPP_IP, packet, len);
	memcpy(bad, payload, len);
	for (unsigned i = 0; i < 4; i++) {
		bad[4] = payload[4] ^ (i & 3); /* high bits of the count: ahead by 256.. */
		bad[5] = (uint8_t)(payload[5] + i + 1);
		send_payload(f, bad, len);
	}
	send_payload(f, payload, len);
	expect_data(f, 5);
	fence(f);
	assert_int_equal(counters(f).drops[DP_DROP_INSANE], 4);
	assert_int_equal(counters(f).rx_index, index + 2);
}

/* Counts that ask for 2,047 keys each: a few are tried, the others cost nothing. */
static void
test_flood_of_counts(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64] = {0xff, 0x03, 0x00, 0xfd};
	struct mppe before;
	uint32_t ahead;

	attached_up(f);
	before = f->p.send;
	for (unsigned i = 0; i < 500; i++) {
		ahead = (uint32_t)before.index + MPPE_SKIP_MAX;
		bytes[4] = (uint8_t)(0x90 | (ahead >> 8 & 0x0f));
		bytes[5] = (uint8_t)ahead;
		bytes[6] = (uint8_t)i;
		send_payload(f, bytes, sizeof(bytes));
	}
	settle(f);
	assert_in_range(counters(f).drops[DP_DROP_MPPE], 400, 496);
	assert_int_equal(counters(f).drops[DP_DROP_MPPE] + counters(f).drops[DP_DROP_INSANE], 500);
	fence(f); /* the session goes on */
}

/* Random bytes as MPPE never pass, and the session lives. */
static void
test_garbage(void **state)
{
	struct fixture *f = *state;
	uint8_t junk[200];

	attached_up(f);
	srand(7);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t index = counters(f).rx_index;

		for (size_t j = 0; j < sizeof(junk); j++)
			junk[j] = (uint8_t)rand();
		memcpy(junk, "\xff\x03\x00\xfd", 4);
		junk[4] = (uint8_t)(0x90 | (junk[4] & 0x03));
		if (junk[4] == (0x90 | (index >> 8 & 0x0f)) && junk[5] == (index & 0xff))
			continue; /* in order: would use the key up, as it must */
		send_payload(f, junk, sizeof(junk));
	}
	fence(f);
	assert_int_equal(f->unknown, 0);
}

static void
test_new_keys(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];
	struct peer_got g;

	attached_up(f);
	for (unsigned i = 0; i < 10; i++)
		fence(f);
	set_keys(f);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	do {
		from_server(f, &g);
	} while (g.protocol != PPP_LCP);
	fence(f); /* index 0 again */
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 2, sizeof(packet), 0));
	do {
		from_server(f, &g);
	} while (g.protocol != PPP_IP);
	assert_int_equal(peer_packet_id(g.bytes), 2);
	assert_int_equal(counters(f).rx_index, 1);
	assert_int_equal(counters(f).tx_index, 1);
}

/* The client's numbers pass 2^32. */
static void
test_wrap(void **state)
{
	struct fixture *f = *state;

	f->p.seq = 0u - 40;
	attached_up(f);
	for (unsigned i = 0; i < 100; i++)
		fence(f);
	assert_true(f->p.seq < 100);
	assert_int_equal(counters(f).rx_seq, f->p.seq - 1);
	assert_int_equal(counters(f).drops[DP_DROP_LOST], 0);
}

static void
test_lone_ack(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[PEER_MAX];
	struct peer_got g;

	attach(f);
	f->p.seq = 41;
	send_payload(f, payload, peer_frame(payload, PPP_LCP, "x", 1));
	send_payload(f, payload, 0);
	from_server(f, &g);
	assert_int_equal(g.h.length, 0);
	assert_false(g.h.has_seq);
	assert_true(g.h.has_ack);
	assert_true(g.h.ack == 41 || g.h.ack == 42); /* 41: only if the two were 20 ms apart */
	pump_until(f, counters(f).acks_alone >= 1);
	assert_int_equal(counters(f).tx_seq, 0);
}

static void
test_peer_ack(void **state)
{
	struct fixture *f = *state;
	struct peer_got g;

	attach(f);
	send_ack(f, 1000); /* nothing was sent */
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
		from_server(f, &g);
	}
	assert_int_equal(counters(f).tx_acked, 0);
	send_ack(f, 5);
	pump_until(f, counters(f).tx_acked == 5);
	send_ack(f, 3); /* never back */
	send_ack(f, 1000);
	pump_until(f, counters(f).tx_acked == 9);
	send_ack(f, 3);
	pump(f, 20);
	assert_int_equal(counters(f).tx_acked, 9);
}

static void
test_too_big(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[1500], got[PEER_MAX];
	struct dp_counters c;
	struct ip4 ip;
	size_t len;

	attached_up(f);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 1, MTU + 1, 0x4000));
	len = from_tun(f, got);
	assert_int_equal(ipmtu_parse(got, len, &ip), 0);
	assert_int_equal(ip.protocol, IPPROTO_ICMP);
	assert_int_equal(ip.src, INNER_GW);
	assert_int_equal(ip.dst, HOST);
	assert_memory_equal(got + 20, "\x03\x04", 2);
	assert_int_equal(got[26] << 8 | got[27], MTU);
	pump_until(f, counters(f).icmp_frag_needed == 1);
	c = counters(f);
	assert_int_equal(c.drops[DP_DROP_TOO_BIG], 1);
	assert_int_equal(c.tx_packets, 0);
}

static void
test_fragments(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[1500], whole[2000] = {0};
	struct peer_got g;
	struct ip4 ip;
	size_t end = 0;

	attached_up(f);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0));
	for (unsigned i = 0; i < 2; i++) {
		from_server(f, &g);
		assert_int_equal(g.protocol, PPP_IP);
		assert_int_equal(ipmtu_parse(g.bytes, g.len, &ip), 0);
		assert_int_equal(ip.total, g.len);
		assert_true(g.len <= MTU);
		assert_int_equal(ip.offset, end);
		assert_int_equal(ip.more_fragments, i == 0);
		memcpy(whole + ip.offset, g.bytes + 20, g.len - 20);
		end = ip.offset + g.len - 20;
	}
	assert_int_equal(end, 1480);
	assert_memory_equal(whole, packet + 20, 1480);
	pump_until(f, counters(f).fragmented == 1);
	/* Exactly the MTU passes whole, with DF as well. */
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 2, MTU, 0x4000));
	from_server(f, &g);
	assert_int_equal(g.len, MTU);
}

/* A SYN of `total` 44 bytes with MSS 1460; its sum is not checked here (test_ipmtu does). */
static void
make_syn(uint8_t *packet, uint32_t src, uint32_t dst)
{
	static const uint8_t tcp[24] = {0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff,
	    0xff, 0, 0, 0, 0, 2, 4, 0x05, 0xb4};
	struct wr w;

	peer_ip_packet(packet, src, dst, 1, 44, 0x4000);
	packet[9] = IPPROTO_TCP;
	memcpy(packet + 20, tcp, sizeof(tcp));
	w = wr_init(packet, 44);
	wr_reserve(&w, 44);
	wr_patch_u16(&w, packet + 10, 0);
	wr_patch_u16(&w, packet + 10, ipmtu_checksum(packet, 20));
}

static void
test_mss(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[44], payload[PEER_MAX], got[PEER_MAX];
	struct peer_got g;

	attached_up(f);
	make_syn(packet, INNER, HOST);
	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IP, packet, sizeof(packet)));
	assert_int_equal(from_tun(f, got), 44);
	assert_int_equal(got[42] << 8 | got[43], MTU - 40);
	make_syn(packet, HOST, INNER);
	to_tun(f, 0, packet, sizeof(packet));
	from_server(f, &g);
	assert_int_equal(g.bytes[42] << 8 | g.bytes[43], MTU - 40);
	pump_until(f, counters(f).mss_clamped == 2);
}

static void
test_unknown(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[PEER_MAX], body[40] = {0x60};

	attached_up(f);
	send_payload(f, payload, peer_seal(&f->p, payload, PPP_IPV6, body, sizeof(body)));
	pump_until(f, f->unknown == 1);
	assert_int_equal(f->protocol, PPP_IPV6);
	assert_int_equal(f->len, sizeof(body));
	assert_true(f->unknown_was_encrypted);
	send_payload(f, payload, peer_frame(payload, PPP_IPV6, body, sizeof(body)));
	pump_until(f, f->unknown == 2);
	assert_false(f->unknown_was_encrypted);
	fence(f);
}

static void
test_no_route(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];

	attached_up(f);
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER + 1, 1, sizeof(packet), 0));
	memset(packet, 0x60, sizeof(packet)); /* IPv6 of the kernel's own */
	to_tun(f, 0, packet, sizeof(packet));
	to_tun(f, 0, packet, 0);
	pump_until(f, totals(f).drops[DP_DROP_NO_ROUTE] == 3);
}

/* A packet at the queue of a worker that does not own the transmit half. */
static void
test_wrong_worker(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];
	struct peer_got g;

	attached_up(f); /* call id 77: worker 1 */
	to_tun(f, 0, packet, peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0));
	pump_until(f, totals(f).drops[DP_DROP_NO_ROUTE] == 1);
	to_tun(f, 1, packet, peer_ip_packet(packet, HOST, INNER, 2, sizeof(packet), 0));
	do {
		from_server(f, &g);
	} while (g.h.length == 0);
	assert_int_equal(peer_packet_id(g.bytes), 2);
}

/* One client floods the main thread: it loses its own frames, another's pass. */
static void
test_flood(void **state)
{
	struct fixture *f = *state;
	struct dp_session_config c = {.call_id = CALL + 1,
	    .peer_call_id = 6,
	    .peer_ip = CLIENT,
	    .local_ip = SERVER,
	    .owner = owner_word};
	uint8_t payload[PEER_MAX], out[PEER_MAX];
	struct peer second = f->p;
	struct dp_session *s = dp_attach(f->dp, &c);

	assert_non_null(s);
	attach(f);
	for (unsigned i = 0; i < 1000; i++)
		send_payload(f, payload, peer_frame(payload, PPP_LCP, "flood", 5));
	second.call_id = CALL + 1;
	to_server(
	    f, out, peer_numbered(&second, out, 0, payload, peer_frame(payload, PPP_CHAP, "x", 1)));
	for (unsigned i = 0; counters(f).drops[DP_DROP_RING] < 1000 - 64 && i < WAIT_MS; i++)
		usleep(1000); /* the main thread does nothing */
	assert_int_equal(counters(f).drops[DP_DROP_RING], 1000 - 64);
	pump_until(f, f->frames == 65);
	assert_int_equal(f->protocol, PPP_CHAP);
	send_payload(f, payload, peer_frame(payload, PPP_CCP, "x", 1)); /* and it may speak again */
	pump_until(f, f->frames == 66);
}

/* Nobody takes our packets: the ring fills, frames are refused, orders are not lost. */
static void
test_full_ring(void **state)
{
	struct fixture *f = *state;
	uint8_t body[DP_FRAME_MAX] = {0}, packet[100], payload[PEER_MAX], buf[PEER_MAX];
	struct pollfd p;
	unsigned sent = 0;

	attach(f);
	/* The socket first, which makes the worker slow, then the ring. */
	while (counters(f).drops[DP_DROP_SEND_ENOBUFS] == 0 && sent++ < 10000000)
		(void)dp_send_frame(f->dp, f->s, PPP_LCP, body, sizeof(body));
	while (dp_send_frame(f->dp, f->s, PPP_LCP, body, sizeof(body)) == 0)
		continue;
	assert_int_equal(errno, ENOBUFS);
	set_keys(f);
	set_keys(f); /* the later ones count, once */
	up(f, MTU, false);
	send_payload(f, payload,
	    peer_seal(&f->p, payload, PPP_IP, packet,
		peer_ip_packet(packet, INNER, HOST, 1, sizeof(packet), 0)));
	/* The packet may have come before the keys; the count goes on, so another one tells. */
	p = (struct pollfd){.fd = f->gre[f->p.call_id % f->workers], .events = POLLIN};
	for (unsigned i = 0; counters(f).rx_packets == 0 && i < WAIT_MS; i++) {
		while (poll(&p, 1, 0) == 1)
			assert_true(recv(p.fd, buf, sizeof(buf), 0) > 0);
		pump(f, 1);
		if (i % 20 == 0)
			send_data(f, INNER, 2);
	}
	assert_true(counters(f).rx_packets > 0);
	pump_until(f, dp_send_frame(f->dp, f->s, PPP_LCP, body, 1) == 0);
	dp_detach(f->dp, f->s);
	assert_int_equal(dp_send_frame(f->dp, f->s, PPP_LCP, body, 1), -1);
	pump_until(f, f->detached == 1);
	assert_true(totals(f).drops[DP_DROP_SEND_ENOBUFS] > 0);
}

/* Attach and detach under traffic both ways, with packets held and acknowledgements due. */
static void
test_detach(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100], payload[PEER_MAX], buf[PEER_MAX];
	size_t len;

	for (unsigned i = 0; i < 300; i++) {
		attach(f);
		set_keys(f);
		up(f, MTU, false);
		f->p.seq = 100 * i;
		for (unsigned j = 0; j < 20; j++) {
			len = peer_ip_packet(packet, INNER, HOST, j, sizeof(packet), 0);
			len = peer_seal(&f->p, payload, PPP_IP, packet, len);
			send_numbered(f, f->p.seq + (j * 7) % 23, payload, len);
			send_numbered(
			    f, f->p.seq + 25 + j, payload, peer_frame(payload, PPP_LCP, "x", 1));
			if (j % 4 == 0)
				(void)dp_send_frame(f->dp, f->s, PPP_LCP, payload, 4);
			len = peer_ip_packet(packet, HOST, INNER, j, sizeof(packet), 0);
			to_tun(f, f->p.call_id % f->workers, packet, len);
		}
		if (i % 2 == 0)
			pump(f, 1);
		f->frames = 0;
		dp_detach(f->dp, f->s);
		dp_detach(f->dp, f->s);
		pump_until(f, f->detached == i + 1);
		assert_int_equal(f->frames, 0); /* none after dp_detach() */
		while (recv(f->gre[f->p.call_id % f->workers], buf, sizeof(buf), 0) > 0)
			continue;
		while (recv(f->tun[f->p.call_id % f->workers], buf, sizeof(buf), 0) > 0)
			continue;
	}
	assert_true(totals(f).drops[DP_DROP_UNKNOWN_CALL] + totals(f).rx_packets > 0);
}

/* From the return of dp_freeze() on nothing enters the socket, however busy the workers are. */
static void
test_freeze(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100], buf[PEER_MAX];
	size_t len = peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0);
	unsigned queue, last = 0;
	int fd;

	attached_up(f);
	queue = f->p.call_id % f->workers;
	fd = f->gre[queue];
	for (unsigned i = 0; i < 300; i++) {
		for (unsigned j = 0; j < 40; j++) {
			to_tun(f, queue, packet, len);
			(void)dp_send_frame(f->dp, f->s, PPP_LCP, packet, 4);
		}
		dp_freeze(f->dp, true);
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			continue;
		to_tun(f, queue, packet, len); /* this one is dropped, so it was looked at */
		pump_until(f, counters(f).drops[DP_DROP_FROZEN] > last);
		usleep(i % 5 * 100);
		assert_int_equal(recv(fd, buf, sizeof(buf), 0), -1);
		dp_freeze(f->dp, false);
		do {
			last = (unsigned)counters(f).drops[DP_DROP_FROZEN];
			to_tun(f, queue, packet, len);
			pump(f, 1);
		} while (recv(fd, buf, sizeof(buf), 0) < 0);
	}
}

/* An export of a session under traffic, its halves with their own threads. */
static void
test_export(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[100];
	size_t len = peer_ip_packet(packet, HOST, INNER, 1, sizeof(packet), 0);

	attached_up(f);
	for (unsigned i = 0; i < 200; i++) {
		const struct keygate all = keygate_free(KEYS_ALL);

		dp_set_gate(f->dp, f->s, &all, 0);
		send_data(f, INNER, i);
		to_tun(f, f->p.call_id % f->workers, packet, len);
		f->exports = 0;
		dp_export(f->dp, f->s, 64, 0);
		pump_until(f, f->exports > 0);
		assert_true(f->export.armed && f->export.rx_any);
		assert_int_equal(f->export.gate.mark_seq, f->export.tx_seq + 64);
		assert_int_equal(f->export.gate.mark_index, f->export.tx.index + 64);
		assert_memory_equal(f->export.tx.master, peer_key_down, 16);
		assert_memory_equal(f->export.rx.master, peer_key_up, 16);
	}
}

/* dp_free() with sessions in every state. */
static void
test_free_in_use(void **state)
{
	struct fixture *f = *state;
	struct dp_session_config c = {.peer_ip = CLIENT, .local_ip = SERVER, .owner = owner_word};

	for (unsigned i = 1; i < 500; i++) {
		c.call_id = (uint16_t)i;
		f->s = dp_attach(f->dp, &c);
		assert_non_null(f->s);
		if (i % 3 == 0)
			set_keys(f);
		if (i % 5 == 0)
			dp_detach(f->dp, f->s);
	}
}

#define ROW(test)         cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ROW_TWO(test)     cmocka_unit_test_setup_teardown(test, setup_two, teardown)
#define ROW_PATIENT(test) cmocka_unit_test_setup_teardown(test, setup_patient, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_arguments),
	    ROW_PATIENT(test_frames),
	    ROW_PATIENT(test_data),
	    ROW_PATIENT(test_compressed),
	    ROW(test_drops_outside),
	    ROW(test_oversized),
	    ROW(test_drops_inside),
	    ROW(test_padding),
	    ROW(test_order_of_arming),
	    ROW(test_never_in_clear),
	    ROW(test_down),
	    ROW_PATIENT(test_reorder),
	    ROW(test_gap_times_out),
	    ROW(test_skip_keys),
	    ROW(test_corrupt_count),
	    ROW(test_flood_of_counts),
	    ROW(test_garbage),
	    ROW(test_new_keys),
	    ROW(test_wrap),
	    ROW(test_lone_ack),
	    ROW(test_peer_ack),
	    ROW_PATIENT(test_too_big),
	    ROW_PATIENT(test_fragments),
	    ROW_PATIENT(test_mss),
	    ROW(test_unknown),
	    ROW(test_no_route),
	    ROW_TWO(test_wrong_worker),
	    ROW(test_flood),
	    ROW(test_full_ring),
	    ROW(test_detach),
	    ROW_TWO(test_detach),
	    ROW(test_freeze),
	    ROW_TWO(test_freeze),
	    ROW(test_export),
	    ROW_TWO(test_export),
	    ROW_TWO(test_free_in_use),
	};

	/* Steering without a map warns about each entry. */
	log_init("test", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
