/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Relaying and injecting: a session moves from one data plane to another while packets are on their
 * way, or does not after all. Every packet is looked for at the other end, in order; the client
 * keeps account of every key. Time is the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pptpd/data/dataplane.c"
#include "pptpd/data/worker.c"
#include "tests/unit/dp_rig.h"

#define KEPT_MAX 8192

struct kept {
	enum dp_relay_kind kind;
	uint16_t len;
	uint8_t bytes[DP_PACKET_MAX];
};

struct pair {
	uint64_t now_us;
	struct gateway a, b;
	struct client c;
	struct dataplane *to; /* where packets are injected at once; NULL: kept */
	struct kept *kept;
	unsigned n;
};

static void
inject(struct dataplane *dp, const struct kept *k)
{
	assert_int_equal(k->kind == DP_RELAY_GRE ? dp_inject_gre(dp, k->bytes, k->len)
						 : dp_inject_ip(dp, k->bytes, k->len),
	    0);
}

static void
on_relay(struct gateway *g, enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	struct pair *p = g->relay_arg;
	struct kept *k = &p->kept[p->n];

	assert_true(p->n < KEPT_MAX && len <= sizeof(k->bytes));
	k->kind = kind;
	k->len = (uint16_t)len;
	memcpy(k->bytes, packet, len);
	if (p->to != NULL)
		inject(p->to, k);
	else
		p->n++;
}

/* What was kept, and from here on everything at once. */
static void
inject_all(struct pair *p, struct dataplane *to)
{
	for (unsigned i = 0; i < p->n; i++)
		inject(to, &p->kept[i]);
	p->n = 0;
	p->to = to;
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->now_us = 1000000;
	p->kept = calloc(KEPT_MAX, sizeof(*p->kept));
	rig_start(&p->a, &p->now_us);
	rig_start(&p->b, &p->now_us);
	p->a.relay = p->b.relay = on_relay;
	p->a.relay_arg = p->b.relay_arg = p;
	rig_client(&p->c);
	rig_up_new(&p->a);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	rig_end(&p->a);
	rig_end(&p->b);
	free(p->kept);
	free(p);
	return 0;
}

static struct dp_counters
totals(const struct gateway *g)
{
	struct dp_counters c;

	dp_totals(g->dp, &c);
	return c;
}

/* An encrypted packet of the client, not yet sent. */
static size_t
make(struct client *c, uint32_t id, uint8_t *out)
{
	uint8_t packet[60], payload[PEER_MAX];
	size_t len = peer_ip_packet(packet, RIG_INNER, RIG_HOST, id, sizeof(packet), 0);

	len = peer_seal(&c->p, payload, PPP_IP, packet, len);
	return peer_numbered(&c->p, out, c->p.seq++, payload, len);
}

static void
from_client(struct pair *p, struct gateway *g, uint32_t first, unsigned n)
{
	uint8_t out[PEER_MAX];

	for (unsigned i = 0; i < n; i++)
		rig_to_server(g, out, make(&p->c, first + i, out));
}

/* Of the packets first .. first + n - 1 all but the first, in order. */
static void
from_client_but_one(
    struct pair *p, struct gateway *g, uint32_t first, unsigned n, uint8_t *missing, size_t *len)
{
	*len = make(&p->c, first, missing);
	from_client(p, g, first + 1, n - 1);
}

static void
to_client(struct gateway *g, uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_tun(g, first + i);
}

static void
assert_from_tun(struct gateway *g, uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(rig_from_tun(g), first + i);
	assert_int_equal(rig_from_tun(g), 0);
}

static void
assert_at_client(struct pair *p, struct gateway *g, uint32_t first, unsigned n)
{
	unsigned before = p->c.packets;

	rig_read(g, &p->c);
	assert_int_equal(p->c.packets, before + n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p->c.ids[before + i], first + i);
}

/* Not one byte, not even an acknowledgement. */
static void
assert_says_nothing(struct gateway *g)
{
	uint8_t buf[PEER_MAX];

	assert_int_equal(recv(g->gre, buf, sizeof(buf), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
set_gate(struct gateway *g, uint32_t mark_seq, uint8_t high)
{
	const struct keygate k = {
	    .mark_seq = mark_seq, .mark_index = mark_seq, .low = KEYS_ALL, .high = high};

	dp_set_gate(g->dp, g->s, &k, 0);
	rig_turn(g);
}

/* a gives, as far as its state; b takes it, with odd keys. */
static void
give(struct pair *p)
{
	unsigned before = p->a.exports;

	dp_relay(p->a.dp, true);
	dp_export(p->a.dp, p->a.s, 0, 0);
	rig_turn(&p->a);
	assert_int_equal(p->a.exports, before + 1);
}

static void
take(struct pair *p)
{
	struct dp_state copy = p->a.state;
	const struct dp_session_config c = {.call_id = RIG_CALL,
	    .peer_call_id = 5,
	    .peer_ip = RIG_CLIENT,
	    .local_ip = RIG_SERVER,
	    .owner = &p->b,
	    .state = &copy,
	    .fill_from = copy.tx_seq,
	    .exact = true};
	const struct dp_up u = {
	    .peer_ip = RIG_INNER, .local_ip = RIG_HOST, .mtu = 1396, .magic = RIG_MAGIC};

	copy.gate.high = KEYS_ODD;
	copy.gate.low = KEYS_NONE;
	p->b.s = dp_attach(p->b.dp, &c);
	assert_non_null(p->b.s);
	dp_up(p->b.dp, p->b.s, &u);
	explicit_bzero(&copy, sizeof(copy));
}

/* Nothing is lost, doubled or out of order, either way, whatever stood where. */
static void
test_handover(void **state)
{
	struct pair *p = *state;
	uint8_t missing[PEER_MAX];
	size_t missing_len;

	from_client(p, &p->a, 1, 20);
	to_client(&p->a, 1, 20);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 1, 20);
	/* Five stand at the mark, four wait for another, when the order comes. */
	set_gate(&p->a, 20, KEYS_NONE);
	to_client(&p->a, 21, 5);
	from_client_but_one(p, &p->a, 21, 5, missing, &missing_len);
	rig_turn(&p->a);
	assert_at_client(p, &p->a, 1, 20);
	assert_int_equal(rig_counters(&p->a).held, 5);
	give(p);
	assert_int_equal(p->a.state.rx_seq, 19);
	assert_int_equal(p->a.state.rx.index, 20);
	assert_int_equal(p->a.state.tx_seq, 20);
	assert_int_equal(p->a.state.tx.index, 20);
	assert_int_equal(p->a.relayed[DP_RELAY_GRE], 4);
	assert_int_equal(p->a.relayed[DP_RELAY_IP], 5);
	/* More comes while nobody serves, the missing one last. */
	from_client(p, &p->a, 26, 10);
	to_client(&p->a, 26, 30);
	rig_to_server(&p->a, missing, missing_len);
	p->now_us += 1000;
	rig_turn(&p->a);
	take(p);
	inject_all(p, p->b.dp);
	rig_turn(&p->b);
	/* And while b serves and a relays. */
	from_client(p, &p->a, 36, 100);
	to_client(&p->a, 56, 100);
	rig_turn(&p->a);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 21, 115);
	assert_at_client(p, &p->b, 21, 135);
	assert_int_equal(p->c.lost, 0);
	for (uint64_t i = 20; i < 20 + 2 * 135; i++)
		assert_int_equal(p->c.key_used[i], i & 1);
	assert_int_equal(totals(&p->a).relayed, p->a.relayed[0] + p->a.relayed[1]);
	assert_int_equal(totals(&p->b).injected, totals(&p->a).relayed);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LOST], 0);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LATE], 0);
	assert_int_equal(rig_from_tun(&p->a), 0);
}

/* What comes to b before its sessions are there waits for them, but not for long. */
static void
test_doze(void **state)
{
	struct pair *p = *state;
	const struct worker *w = p->b.dp->workers;

	from_client(p, &p->a, 1, 2);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 1, 2);
	dp_doze(p->b.dp, true);
	rig_turn(&p->b);
	assert_false(w->deaf); /* it wants to know when something comes */
	from_client(p, &p->b, 3, 5);
	to_client(&p->b, 3, 5);
	rig_turn(&p->b);
	assert_true(w->deaf);
	assert_int_equal(totals(&p->b).drops[DP_DROP_UNKNOWN_CALL], 0);
	/* In time. */
	p->now_us += 99000;
	rig_turn(&p->b);
	give(p);
	take(p);
	dp_doze(p->b.dp, false);
	rig_turn(&p->b);
	rig_turn(&p->b);
	assert_false(w->deaf);
	assert_from_tun(&p->b, 3, 5);
	assert_at_client(p, &p->b, 3, 5);
	assert_int_equal(totals(&p->b).drops[DP_DROP_UNKNOWN_CALL], 0);
	assert_int_equal(totals(&p->b).drops[DP_DROP_NO_ROUTE], 0);
	assert_int_equal(p->c.lost, 0);
}

/* Nobody came for it: it is out of date, and what comes behind it waits anew. */
static void
test_doze_ends(void **state)
{
	struct pair *p = *state;
	const struct worker *w = p->b.dp->workers;

	dp_doze(p->b.dp, true);
	for (unsigned i = 1; i <= 3; i++) {
		from_client(p, &p->b, i * 500, 200);
		to_client(&p->b, i * 500, 200);
		rig_turn(&p->b);
		p->now_us += 100000 - 1;
		rig_turn(&p->b);
		assert_true(w->deaf);
		assert_int_equal(next_timeout(&p->b.dp->workers[0]), 1);
		assert_int_equal(totals(&p->b).drops[DP_DROP_UNKNOWN_CALL], (i - 1) * 200);
		p->now_us++;
		rig_turn(&p->b);
		assert_false(w->deaf);
		assert_int_equal(totals(&p->b).drops[DP_DROP_UNKNOWN_CALL], i * 200);
		assert_int_equal(totals(&p->b).drops[DP_DROP_NO_ROUTE], i * 200);
	}
	assert_int_equal(next_timeout(&p->b.dp->workers[0]), -1);
	assert_says_nothing(&p->b);
	assert_int_equal(rig_from_tun(&p->b), 0);
}

/* One that relays hears, and dozes behind it. */
static void
test_doze_and_relay(void **state)
{
	struct pair *p = *state;
	const struct worker *w = p->a.dp->workers;

	give(p);
	take(p);
	p->to = p->b.dp;
	dp_doze(p->a.dp, true);
	from_client(p, &p->a, 1, 3);
	rig_turn(&p->a);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 1, 3);
	dp_relay(p->a.dp, false);
	for (unsigned i = 0; i < 3; i++)
		rig_turn(&p->a);
	assert_false(w->deaf);
	from_client(p, &p->a, 4, 1);
	rig_turn(&p->a);
	assert_true(w->deaf);
	/* It is to serve again. */
	dp_doze(p->a.dp, false);
	rig_turn(&p->a);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 4, 1);
}

/* The order to relay once is enough for b's own socket: it does as if the packet had come there. */
static void
test_injected_is_checked(void **state)
{
	struct pair *p = *state;
	struct peer stranger = p->c.p;
	uint8_t out[PEER_MAX], payload[PEER_MAX] = {0};
	struct dp_counters c;
	size_t len;

	stranger.ip++;
	len = peer_numbered(&stranger, out, 0, payload, 20);
	assert_int_equal(dp_inject_gre(p->a.dp, out, len), 0); /* another's address */
	stranger.call_id++;
	len = peer_numbered(&stranger, out, 0, payload, 20);
	assert_int_equal(dp_inject_gre(p->a.dp, out, len), 0); /* no such call */
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(dp_inject_gre(p->a.dp, out, cut), 0);
	memset(payload, 0x45, sizeof(payload));
	for (size_t cut = 0; cut < 20; cut++)
		assert_int_equal(dp_inject_ip(p->a.dp, payload, cut), 0);
	peer_ip_packet(out, RIG_HOST, RIG_INNER + 1, 1, 60, 0);
	assert_int_equal(dp_inject_ip(p->a.dp, out, 60), 0); /* to nobody */
	assert_int_equal(dp_inject_ip(p->a.dp, payload, DP_PACKET_MAX), 0);
	assert_int_equal(dp_inject_ip(p->a.dp, payload, DP_PACKET_MAX + 1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(dp_inject_gre(p->a.dp, payload, sizeof(payload)), -1);
	rig_turn(&p->a);
	c = totals(&p->a);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_FOREIGN_PEER], 1);
	assert_int_equal(c.drops[DP_DROP_UNKNOWN_CALL], 1);
	assert_int_equal(c.drops[DP_DROP_GRE_HEADER], len);
	assert_int_equal(c.drops[DP_DROP_NO_ROUTE], 22);
	assert_int_equal(c.drops[DP_DROP_RELAY], 2);
	assert_int_equal(c.injected, 2 + len + 22);
	assert_int_equal(rig_from_tun(&p->a), 0);
	assert_says_nothing(&p->a);
}

/* What is exported behind the order is the last word: no packet, no deadline changes it. */
static void
test_state_stands(void **state)
{
	struct pair *p = *state;
	uint8_t missing[PEER_MAX];
	size_t missing_len;
	struct dp_state given;

	from_client(p, &p->a, 1, 10);
	to_client(&p->a, 1, 10);
	rig_turn(&p->a);
	from_client(p, &p->a, 11, 1);
	from_client_but_one(p, &p->a, 12, 4, missing, &missing_len);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 1, 11);
	assert_at_client(p, &p->a, 1, 10);
	assert_int_equal(atomic_load(&p->a.s->ack.sent), 9);
	give(p);
	assert_int_equal(rig_read(&p->a, &p->c), 0); /* but the acknowledgement that was due */
	assert_int_equal(atomic_load(&p->a.s->ack.sent), 10);
	given = p->a.state;
	from_client(p, &p->a, 16, 10);
	to_client(&p->a, 11, 10);
	rig_to_server(&p->a, missing, missing_len);
	rig_turn(&p->a);
	assert_int_equal(dp_send_frame(p->a.dp, p->a.s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	for (unsigned i = 0; i < 10; i++) {
		p->now_us += 100000;
		rig_turn(&p->a);
	}
	assert_says_nothing(&p->a);
	assert_int_equal(rig_from_tun(&p->a), 0);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_RELAY], 1);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_LOST], 0);
	dp_export(p->a.dp, p->a.s, 0, 0);
	rig_turn(&p->a);
	assert_int_equal(p->a.exports, 2);
	assert_int_equal(p->a.state.tx_seq, given.tx_seq);
	assert_int_equal(p->a.state.tx_acked, given.tx_acked);
	assert_int_equal(p->a.state.tx.index, given.tx.index);
	assert_int_equal(p->a.state.rx_seq, given.rx_seq);
	assert_int_equal(p->a.state.rx.index, given.rx.index);
	assert_int_equal(p->a.state.rx_packets, given.rx_packets);
	assert_int_equal(p->a.state.tx_packets, given.tx_packets);
	explicit_bzero(&given, sizeof(given));
}

/* A frame that waits at a mark is dropped and counted; a new mark lets nothing out. */
static void
test_frames_end(void **state)
{
	struct pair *p = *state;

	set_gate(&p->a, 2, KEYS_NONE);
	to_client(&p->a, 1, 3);
	rig_turn(&p->a);
	assert_int_equal(dp_send_frame(p->a.dp, p->a.s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	to_client(&p->a, 4, 2);
	rig_turn(&p->a);
	assert_at_client(p, &p->a, 1, 2);
	give(p);
	set_gate(&p->a, 100, KEYS_ALL);
	assert_says_nothing(&p->a);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_RELAY], 1);
	assert_int_equal(p->a.relayed[DP_RELAY_IP], 3);
	take(p);
	inject_all(p, p->b.dp);
	rig_turn(&p->b);
	assert_at_client(p, &p->b, 3, 3);
	assert_int_equal(p->c.frames, 0);
}

/* It is taken back: everything in order, though the socket had more before the rest was here. */
static void
test_undone(void **state)
{
	struct pair *p = *state;
	const struct keygate all = keygate_free(KEYS_ALL);
	uint8_t missing[PEER_MAX];
	size_t missing_len;

	from_client(p, &p->a, 1, 3);
	to_client(&p->a, 1, 3);
	rig_turn(&p->a);
	from_client_but_one(p, &p->a, 4, 3, missing, &missing_len);
	rig_turn(&p->a);
	give(p);
	from_client(p, &p->a, 7, 10);
	rig_to_server(&p->a, missing, missing_len);
	from_client(p, &p->a, 17, 40);
	to_client(&p->a, 4, 50);
	rig_turn(&p->a);
	/* On their way to the main thread, and in the socket, when it changes its mind. */
	from_client(p, &p->a, 57, 50);
	to_client(&p->a, 54, 50);
	rig_work(&p->a);
	from_client(p, &p->a, 107, 100);
	to_client(&p->a, 104, 100);
	dp_set_gate(p->a.dp, p->a.s, &all, 0);
	dp_relay(p->a.dp, false);
	rig_work(&p->a);
	assert_true(p->a.dp->workers[0].deaf);
	inject_all(p, p->a.dp);
	for (unsigned i = 0; i < 4; i++)
		rig_turn(&p->a);
	assert_false(p->a.dp->workers[0].deaf);
	assert_from_tun(&p->a, 1, 206);
	assert_at_client(p, &p->a, 1, 203);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_LATE], 0);
	assert_int_equal(rig_counters(&p->a).drops[DP_DROP_LOST], 0);
	assert_int_equal(totals(&p->a).injected, totals(&p->a).relayed);
	/* And on it goes. */
	from_client(p, &p->a, 207, 5);
	to_client(&p->a, 204, 5);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 207, 5);
	assert_at_client(p, &p->a, 204, 5);
	assert_int_equal(p->c.used, 208);
}

/* The same with more on its way than any ring holds, and after a change of mind. */
static void
test_undone_in_pieces(void **state)
{
	struct pair *p = *state;
	const struct keygate all = keygate_free(KEYS_ALL);
	uint8_t buf[TUN_VNET_LEN + 1396] = {0};
	unsigned n = 0;

	p->to = p->a.dp;
	give(p);
	dp_set_gate(p->a.dp, p->a.s, &all, 0);
	dp_relay(p->a.dp, false);
	rig_work(&p->a);
	dp_relay(p->a.dp, true);
	while (n < 600) {
		peer_ip_packet(buf + TUN_VNET_LEN, RIG_HOST, RIG_INNER, ++n, 1396, 0);
		assert_int_equal(send(p->a.tun, buf, sizeof(buf), 0), sizeof(buf));
		if (n <= 500 && n % 50 == 0)
			rig_work(&p->a);
	}
	assert_int_equal(totals(&p->a).relayed, 500);
	dp_relay(p->a.dp, false);
	for (unsigned i = 0; i < 10; i++) {
		rig_turn(&p->a);
		rig_read(&p->a, &p->c);
		dp_put_orders(&p->a.dp->workers[0]);
	}
	assert_int_equal(totals(&p->a).injected, 500);
	assert_int_equal(p->c.packets, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p->c.ids[i], i + 1);
}

/* What a client must have first is on its way: that too is the other's from here on. */
static void
test_catchup_stops(void **state)
{
	struct pair *p = *state;
	const struct dp_up u = {
	    .peer_ip = RIG_INNER, .local_ip = RIG_HOST, .mtu = 1396, .magic = RIG_MAGIC};
	const struct dp_state at_wrap = {.tx_seq = UINT32_MAX,
	    .armed = true,
	    .tx = p->c.p.recv,
	    .rx = p->c.p.send,
	    .gate = keygate_free(KEYS_ALL)};

	rig_attach(&p->b, &at_wrap, UINT32_MAX);
	dp_up(p->b.dp, p->b.s, &u);
	to_client(&p->b, 1, 1);
	rig_turn(&p->b);
	rig_read(&p->b, &p->c);
	assert_int_equal(p->c.echoes, 1);
	dp_relay(p->b.dp, true);
	for (unsigned i = 0; i < 5; i++) {
		p->now_us += 50000;
		rig_turn(&p->b);
	}
	assert_says_nothing(&p->b);
	assert_int_equal(p->n, 1);
	/* Undone, it goes on. */
	dp_relay(p->b.dp, false);
	inject_all(p, p->b.dp);
	rig_turn(&p->b);
	rig_turn(&p->b);
	rig_read(&p->b, &p->c);
	assert_int_equal(p->c.echoes, 2);
	rig_ack(&p->b, &p->c, UINT32_MAX);
	p->now_us += 10000;
	rig_turn(&p->b);
	assert_at_client(p, &p->b, 1, 1);
	assert_int_equal(p->c.last_seq, 0);
}

/* On and off in any order and at any moment, the last one holds. */
static void
test_changes_of_mind(void **state)
{
	struct pair *p = *state;
	struct worker *w = &p->a.dp->workers[0];

	p->to = p->a.dp;
	for (unsigned turns = 0; turns < 4; turns++) {
		for (unsigned bits = 0; bits < 64; bits++) {
			for (unsigned i = 0; i < 6; i++) {
				dp_relay(p->a.dp, (bits >> i & 1) != 0);
				for (unsigned t = 0; t < turns; t++)
					rig_work(&p->a);
			}
			for (unsigned t = 0; t < 5; t++)
				rig_turn(&p->a);
			assert_int_equal(w->relay, bits >= 32 ? RELAY_ON : RELAY_OFF);
			assert_false(w->deaf);
			assert_false(relay_waits(w));
		}
	}
	dp_relay(p->a.dp, false);
	for (unsigned t = 0; t < 5; t++)
		rig_turn(&p->a);
	from_client(p, &p->a, 1, 1);
	rig_turn(&p->a);
	assert_from_tun(&p->a, 1, 1);
}

/* The main thread is far behind: the kernel keeps what the ring of notes has no room for. */
static void
test_main_thread_behind(void **state)
{
	struct pair *p = *state;
	uint8_t buf[TUN_VNET_LEN + 1396] = {0};
	unsigned n = 0;

	give(p);
	while (n < 1500) {
		peer_ip_packet(buf + TUN_VNET_LEN, RIG_HOST, RIG_INNER, ++n, 1396, 0);
		assert_int_equal(send(p->a.tun, buf, sizeof(buf), 0), sizeof(buf));
		if (n % 50 == 0)
			rig_work(&p->a);
	}
	assert_true(p->a.dp->workers[0].deaf);
	assert_int_equal(next_timeout(&p->a.dp->workers[0]), 1);
	assert_int_equal(p->n, 0);
	for (unsigned i = 0; i < 20; i++)
		rig_turn(&p->a);
	assert_false(p->a.dp->workers[0].deaf);
	assert_int_equal(next_timeout(&p->a.dp->workers[0]), -1);
	assert_int_equal(p->n, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(peer_packet_id(p->kept[i].bytes), i + 1);
	assert_int_equal(totals(&p->a).drops[DP_DROP_RELAY], 0);
}

/* Kept packets that find no room either wait with their session; it may go meanwhile. */
static void
test_kept_find_no_room(void **state)
{
	struct pair *p = *state;
	struct worker *w = &p->a.dp->workers[0];
	unsigned waiting;

	set_gate(&p->a, 0, KEYS_NONE);
	to_client(&p->a, 1, 200);
	rig_turn(&p->a);
	while (note_room(w, 3))
		assert_true(note_packet(w, NOTE_RELAY_IP, (const uint8_t[1400]){0}, 1400));
	dp_relay(p->a.dp, true);
	rig_work(&p->a);
	waiting = p->a.s->tx.hold.count;
	assert_true(waiting > 0 && waiting < 200);
	assert_true(w->deaf);
	set_gate(&p->a, 0, KEYS_ALL);
	assert_says_nothing(&p->a);
	for (unsigned i = 0; i < 20; i++)
		rig_turn(&p->a);
	assert_int_equal(p->a.s->tx.hold.count, 0);
	assert_int_equal(w->held_bytes, 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(peer_packet_id(p->kept[p->n - 200 + i].bytes), i + 1);
}

static void
fill_orders(struct gateway *g)
{
	while (dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1) == 0)
		continue;
	assert_int_equal(errno, ENOBUFS);
}

/* The ring of orders is full: relaying begins before an export that was asked for later. */
static void
test_order_before_late_ones(void **state)
{
	struct pair *p = *state;
	struct worker *w = &p->a.dp->workers[0];

	fill_orders(&p->a);
	dp_export(p->a.dp, p->a.s, 64, 0);
	dp_relay(p->a.dp, true);
	dp_export(p->a.dp, p->a.s, 0, 0);
	assert_true(w->relay_late);
	ring_pop(&w->orders); /* room for one */
	dp_put_orders(w);
	assert_false(w->relay_late);
	assert_non_null(w->late_head);
	for (unsigned i = 0; i < 10; i++) {
		from_client(p, &p->a, 1 + i, 1);
		rig_turn(&p->a);
		dp_put_orders(w);
	}
	assert_true(p->a.exports >= 1);
	assert_int_equal(p->a.state.tx_seq, p->a.s->tx.gre.next);
	assert_int_equal(p->a.state.rx_packets, p->a.s->rx.tally.packets);
	assert_int_equal(p->a.state.rx_seq, p->a.s->rx.gre.last);
	assert_true(p->n > 0);
	assert_int_equal(p->n + p->a.state.rx_packets, 10);
}

/* No room for packets to be injected: they wait, in order, behind the session that they belong to;
 * up to a limit. */
static void
test_injected_find_no_room(void **state)
{
	struct pair *p = *state;
	struct worker *w = &p->b.dp->workers[0];
	const struct dp_session_config other = {.call_id = 1, .owner = &p->b};
	uint8_t packet[1396];
	unsigned n = 0, len = 0;

	give(p);
	p->b.s = dp_attach(p->b.dp, &other);
	rig_turn(&p->b);
	fill_orders(&p->b);
	take(p);
	assert_non_null(w->late_head);
	/* Small ones, that find room where a large one does not, must not overtake it. */
	for (;;) {
		len = len == sizeof(packet) ? 60 : sizeof(packet);
		peer_ip_packet(packet, RIG_HOST, RIG_INNER, n + 1, len, 0);
		if (dp_inject_ip(p->b.dp, packet, len) < 0)
			break;
		n++;
	}
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(totals(&p->b).drops[DP_DROP_RELAY], 1);
	assert_true(n > 5000);
	for (unsigned i = 0; i < 200; i++) {
		rig_turn(&p->b);
		rig_read(&p->b, &p->c);
		dp_put_orders(w);
	}
	assert_int_equal(p->b.dp->parcel_bytes, 0);
	assert_int_equal(p->c.packets, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p->c.ids[i], i + 1);
}

/* Frozen, a gateway still relays: that is what it does until the address has moved. */
static void
test_frozen(void **state)
{
	struct pair *p = *state;

	give(p);
	take(p);
	p->to = p->b.dp;
	dp_freeze(p->a.dp, true);
	dp_detach(p->a.dp, p->a.s);
	rig_turn(&p->a);
	assert_int_equal(p->a.detached, 1);
	from_client(p, &p->a, 1, 5);
	to_client(&p->a, 1, 5);
	rig_turn(&p->a);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 1, 5);
	assert_at_client(p, &p->b, 1, 5);
}

/* Without the word that the copy is exact the first packet is taken wherever it is. */
static void
test_exact(void **state)
{
	struct pair *p = *state;
	uint8_t missing[PEER_MAX];
	size_t missing_len;

	from_client(p, &p->a, 1, 5);
	rig_turn(&p->a);
	give(p);
	take(p);
	p->to = p->b.dp;
	from_client_but_one(p, &p->a, 6, 3, missing, &missing_len);
	rig_turn(&p->a);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 0, 0);
	rig_to_server(&p->a, missing, missing_len);
	rig_turn(&p->a);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 6, 3);
	/* What never comes is not waited for longer than ever. */
	from_client_but_one(p, &p->a, 9, 3, missing, &missing_len);
	rig_turn(&p->a);
	rig_turn(&p->b);
	p->now_us += 20000;
	rig_turn(&p->b);
	assert_from_tun(&p->b, 10, 2);
}

/* A session is with b; client packets 6..8 are on their way by a, those from 9 on came directly. */
static void
overtaken(struct pair *p, unsigned direct)
{
	from_client(p, &p->a, 1, 5);
	rig_turn(&p->a);
	give(p);
	take(p);
	rig_turn(&p->b);
	from_client(p, &p->a, 6, 3);
	rig_turn(&p->a);
	assert_int_equal(p->n, 3);
	from_client(p, &p->b, 9, direct);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 0, 0);
}

/* The address has moved, and what is relayed is slow: what came directly waits for it. */
static void
test_direct_overtakes(void **state)
{
	struct pair *p = *state;

	overtaken(p, 200); /* far more than a window */
	p->now_us += 140000;
	rig_turn(&p->b);
	inject(p->b.dp, &p->kept[0]);
	rig_turn(&p->b);
	p->now_us += 140000;
	rig_turn(&p->b);
	assert_from_tun(&p->b, 6, 1);
	inject(p->b.dp, &p->kept[1]);
	inject(p->b.dp, &p->kept[2]);
	from_client(p, &p->b, 209, 10);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 7, 212);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LOST], 0);
	assert_int_equal(p->b.dp->workers[0].held_bytes, 0);
	assert_false(p->b.s->rx.handed);
	assert_false(due_pending(&p->b.s->rx.park));
}

/* Nothing is relayed any more: it is not waited for. */
static void
test_direct_waits_no_longer(void **state)
{
	struct pair *p = *state;

	overtaken(p, 5);
	for (unsigned i = 0; i < 14; i++) {
		p->now_us += 10000;
		rig_turn(&p->b);
		assert_from_tun(&p->b, 0, 0);
	}
	p->now_us += 10000;
	rig_turn(&p->b);
	p->now_us += 20000; /* the gap is one like any other now */
	rig_turn(&p->b);
	assert_from_tun(&p->b, 9, 5);
	inject_all(p, p->b.dp);
	rig_turn(&p->b);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LATE], 3);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LOST], 3);
}

/* Something is relayed all the time, but not what is missing. */
static void
test_direct_waits_at_most(void **state)
{
	struct pair *p = *state;
	unsigned ms = 0;
	uint32_t id;

	overtaken(p, 5);
	while ((id = rig_from_tun(&p->b)) == 0 && ms < 1000) {
		ms += 10;
		p->now_us += 10000;
		rig_tun(&p->a, 1);
		p->n = 3;
		rig_turn(&p->a);
		inject(p->b.dp, &p->kept[3]);
		rig_turn(&p->b);
	}
	assert_int_equal(id, 9);
	assert_in_range(ms, 500, 530);
}

/* Long after the handover, and where nothing is missing, nobody waits. */
static void
test_direct_does_not_wait(void **state)
{
	struct pair *p = *state;
	uint8_t missing[PEER_MAX];
	size_t missing_len;

	from_client(p, &p->a, 1, 5);
	rig_turn(&p->a);
	give(p);
	take(p);
	rig_turn(&p->b);
	from_client(p, &p->b, 6, 1);
	from_client_but_one(p, &p->b, 7, 3, missing, &missing_len);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 6, 1);
	assert_int_equal(p->b.s->rx.parked.count, 0);
	p->now_us += 20000;
	rig_turn(&p->b);
	assert_from_tun(&p->b, 8, 2);
}

static void
test_direct_much_later(void **state)
{
	struct pair *p = *state;
	uint8_t missing[PEER_MAX];
	size_t missing_len;

	from_client(p, &p->a, 1, 5);
	rig_turn(&p->a);
	give(p);
	take(p);
	rig_turn(&p->b);
	p->now_us += 3000000;
	from_client_but_one(p, &p->b, 6, 3, missing, &missing_len);
	rig_turn(&p->b);
	assert_int_equal(p->b.s->rx.parked.count, 0);
	p->now_us += 20000;
	rig_turn(&p->b);
	assert_from_tun(&p->b, 7, 2);
}

/* More than a session may have waiting: none of it is dropped for that. */
static void
test_direct_overflows(void **state)
{
	struct pair *p = *state;

	overtaken(p, HOLD_MAX);
	from_client(p, &p->b, 9 + HOLD_MAX, 1);
	rig_turn(&p->b);
	p->now_us += 20000;
	rig_turn(&p->b);
	assert_from_tun(&p->b, 9, HOLD_MAX + 1);
}

/* What is parked goes on with the session, to whoever has it next; or with it to its end. */
static void
test_parked_is_relayed(void **state)
{
	struct pair *p = *state;

	overtaken(p, 5);
	dp_relay(p->b.dp, true);
	rig_turn(&p->b);
	assert_int_equal(p->n, 8);
	assert_int_equal(p->b.dp->workers[0].held_bytes, 0);
	dp_relay(p->b.dp, false);
	inject_all(p, p->b.dp);
	rig_turn(&p->b);
	rig_turn(&p->b);
	assert_from_tun(&p->b, 6, 8);
}

static void
test_parked_end(void **state)
{
	struct pair *p = *state;

	overtaken(p, 5);
	dp_detach(p->b.dp, p->b.s);
	rig_turn(&p->b);
	assert_int_equal(p->b.detached, 1);
	assert_int_equal(p->b.dp->workers[0].held_bytes, 0);
	assert_null(due_first(&p->b.dp->workers[0].parks));
}

/* It ends with packets everywhere. */
static void
test_end_in_use(void **state)
{
	struct pair *p = *state;

	set_gate(&p->a, 0, KEYS_NONE);
	to_client(&p->a, 1, 5);
	rig_turn(&p->a);
	dp_relay(p->a.dp, true);
	fill_orders(&p->a);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(dp_inject_gre(p->a.dp, (const uint8_t *)"", 1), 0);
	assert_non_null(p->a.dp->workers[0].parcels);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_handover),
	    ROW(test_doze),
	    ROW(test_doze_ends),
	    ROW(test_doze_and_relay),
	    ROW(test_injected_is_checked),
	    ROW(test_state_stands),
	    ROW(test_frames_end),
	    ROW(test_undone),
	    ROW(test_undone_in_pieces),
	    ROW(test_catchup_stops),
	    ROW(test_changes_of_mind),
	    ROW(test_main_thread_behind),
	    ROW(test_kept_find_no_room),
	    ROW(test_order_before_late_ones),
	    ROW(test_injected_find_no_room),
	    ROW(test_frozen),
	    ROW(test_exact),
	    ROW(test_direct_overtakes),
	    ROW(test_direct_waits_no_longer),
	    ROW(test_direct_waits_at_most),
	    ROW(test_direct_does_not_wait),
	    ROW(test_direct_much_later),
	    ROW(test_direct_overflows),
	    ROW(test_parked_is_relayed),
	    ROW(test_parked_end),
	    ROW(test_end_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
