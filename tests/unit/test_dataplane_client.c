/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What clients need of the data plane around a takeover and an outage: filled gaps, a sure wrap, no
 * more keys thrown after a dead link than they can follow, and their own packets understood
 * whatever the copy missed. Time is the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pptpd/data/dataplane.c"
#include "pptpd/data/worker.c"
#include "tests/unit/dp_rig.h"

struct line {
	uint64_t now_us;
	struct gateway g;
	struct client c;
};

static int
setup(void **state)
{
	struct line *l = calloc(1, sizeof(*l));

	l->now_us = 1000000;
	rig_start(&l->g, &l->now_us);
	rig_client(&l->c);
	*state = l;
	return 0;
}

static int
teardown(void **state)
{
	struct line *l = *state;

	rig_end(&l->g);
	free(l);
	return 0;
}

static void
later(struct line *l, uint64_t us)
{
	l->now_us += us;
	rig_turn(&l->g);
}

/* A session that goes on at these numbers, with every key. */
static void
import(struct line *l, uint32_t tx_seq, uint32_t tx_acked, bool any_ack, uint32_t fill_from)
{
	struct dp_state st = {.tx_seq = tx_seq,
	    .tx_acked = tx_acked,
	    .tx_any_ack = any_ack,
	    .armed = true,
	    .gate = keygate_free(KEYS_ALL)};

	mppe_init(&st.tx, peer_key_down);
	mppe_init(&st.rx, peer_key_up);
	rig_attach(&l->g, &st, fill_from);
	rig_up(&l->g);
}

static void
test_fill(void **state)
{
	struct line *l = *state;

	import(l, 1000, 890, true, 900);
	assert_int_equal(rig_read(&l->g, &l->c), 0); /* nothing to send, nothing to fill */
	rig_tun_many(&l->g, 1, 2);
	assert_int_equal(rig_read(&l->g, &l->c), 64);
	assert_int_equal(l->c.first_seq, 900);
	assert_int_equal(l->c.packets, 0);
	later(l, 1000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.discards, 100);
	assert_int_equal(l->c.discard_seq, 999);
	assert_int_equal(l->c.packets, 2);
	assert_int_equal(l->c.ids[0], 1);
	assert_int_equal(l->c.last_seq, 1001);
	assert_int_equal(l->c.p.recv.index, 2); /* no key for any of it */
	assert_int_equal(rig_counters(&l->g).filled, 100);
	assert_int_equal(rig_counters(&l->g).held, 2);
	rig_tun_many(&l->g, 3, 10);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.discards, 100);
}

static void
test_fill_bounded(void **state)
{
	struct line *l = *state;

	import(l, 100000, 0, false, 10);
	rig_tun_many(&l->g, 1, 1);
	for (unsigned i = 0; i < 20; i++)
		later(l, 1000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.discards, 512);
	assert_int_equal(l->c.discard_seq, 99999);
	assert_int_equal(l->c.packets, 1);
}

static void
test_no_fill(void **state)
{
	struct line *l = *state;

	import(l, 1000, 890, true, 1000);
	rig_tun_many(&l->g, 1, 1);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.discards, 0);
	assert_int_equal(l->c.packets, 1);
	assert_int_equal(l->c.first_seq, 1000);
}

/* 0xFFFFFFFF is an Echo-Request, again and again until it is acknowledged; the rest waits. */
static void
test_wrap(void **state)
{
	struct line *l = *state;

	import(l, UINT32_MAX - 3, UINT32_MAX - 4, true, UINT32_MAX - 3);
	rig_tun_many(&l->g, 1, 5);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.packets, 3);
	assert_int_equal(l->c.last_seq, UINT32_MAX);
	assert_int_equal(l->c.echoes, 1);
	for (unsigned i = 0; i < 4; i++) {
		later(l, 10000);
		rig_ack(&l->g, &l->c, UINT32_MAX - 1);
		assert_int_equal(rig_read(&l->g, &l->c), 0);
	}
	later(l, 10000);
	assert_int_equal(rig_read(&l->g, &l->c), 1);
	assert_int_equal(l->c.echoes, 2);
	assert_int_equal(l->c.echo_seq, UINT32_MAX);
	rig_ack(&l->g, &l->c, UINT32_MAX);
	assert_int_equal(rig_counters(&l->g).tx_acked, UINT32_MAX);
	later(l, 10000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.packets, 5);
	assert_int_equal(l->c.ids[3], 4);
	assert_int_equal(l->c.first_seq, 0);
	assert_int_equal(l->c.last_seq, 1);
	assert_int_equal(l->c.p.recv.index, 5);
	rig_tun_many(&l->g, 6, 100);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.packets, 105);
	assert_int_equal(l->c.echoes, 2);
}

/* One that never acknowledged anything gets it ten times. */
static void
test_wrap_unacknowledged(void **state)
{
	struct line *l = *state;

	import(l, UINT32_MAX, 0, false, UINT32_MAX);
	rig_tun_many(&l->g, 1, 1);
	for (unsigned i = 0; i < 49; i++) {
		later(l, 10000);
		rig_tun_many(&l->g, 2, i % 20 == 0);
		rig_read(&l->g, &l->c);
		assert_int_equal(l->c.packets, 0);
	}
	assert_int_equal(l->c.echoes, 10);
	later(l, 10000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.echoes, 10);
	assert_int_equal(l->c.echo_seq, UINT32_MAX);
	assert_true(l->c.packets > 0);
	assert_int_equal(l->c.first_seq, 0);
}

/* A gate that ends before it: nothing of it leaves. */
static void
test_wrap_at_mark(void **state)
{
	struct line *l = *state;
	struct keygate k = {.mark_seq = UINT32_MAX, .mark_index = 1000, .low = KEYS_ALL};

	import(l, UINT32_MAX - 1, UINT32_MAX - 2, true, UINT32_MAX - 1);
	dp_set_gate(l->g.dp, l->g.s, &k, 0);
	rig_tun_many(&l->g, 1, 2);
	later(l, 100000);
	assert_int_equal(rig_read(&l->g, &l->c), 1);
	assert_int_equal(l->c.echoes, 0);
	k.mark_seq = 5;
	dp_set_gate(l->g.dp, l->g.s, &k, 0);
	rig_turn(&l->g);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.echo_seq, UINT32_MAX);
	rig_ack(&l->g, &l->c, UINT32_MAX);
	later(l, 10000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.packets, 2);
}

/* The jump of a takeover leads across it: it is said first, then what is missing after it. */
static void
test_wrap_jumped_over(void **state)
{
	struct line *l = *state;

	import(l, 40, UINT32_MAX - 30, true, UINT32_MAX - 20);
	rig_tun_many(&l->g, 1, 1);
	assert_int_equal(rig_read(&l->g, &l->c), 1);
	assert_int_equal(l->c.echo_seq, UINT32_MAX);
	rig_ack(&l->g, &l->c, UINT32_MAX - 25);
	later(l, 10000);
	assert_int_equal(rig_read(&l->g, &l->c), 0);
	rig_ack(&l->g, &l->c, UINT32_MAX);
	later(l, 10000);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.first_seq, 0);
	assert_int_equal(l->c.discards, 40);
	assert_int_equal(l->c.last_seq, 40);
	assert_int_equal(l->c.packets, 1);
	assert_int_equal(l->c.echoes, 1);
}

/* Nothing to fill, but a number of 256 or more would be old to a client at 0xFFFFFFFF. */
static void
test_wrap_zero_follows(void **state)
{
	struct line *l = *state;

	import(l, 300, UINT32_MAX - 30, true, 300);
	rig_tun_many(&l->g, 1, 1);
	rig_read(&l->g, &l->c);
	rig_ack(&l->g, &l->c, UINT32_MAX);
	later(l, 10000);
	assert_int_equal(rig_read(&l->g, &l->c), 2);
	assert_int_equal(l->c.discards, 1);
	assert_int_equal(l->c.first_seq, 0);
	assert_int_equal(l->c.last_seq, 300);
	assert_int_equal(l->c.packets, 1);
}

/* The first acknowledgement counts whatever it is, later ones only ahead. */
static void
test_first_ack(void **state)
{
	struct line *l = *state;

	import(l, 0x90000000, 0, false, 0x90000000);
	rig_ack(&l->g, &l->c, 0x8fffffff);
	assert_int_equal(rig_counters(&l->g).tx_acked, 0x8fffffff);
	rig_ack(&l->g, &l->c, 0x8ffffff0);
	rig_ack(&l->g, &l->c, 0x90000005); /* never sent */
	assert_int_equal(rig_counters(&l->g).tx_acked, 0x8fffffff);
	dp_export(l->g.dp, l->g.s, 10, 0);
	rig_turn(&l->g);
	assert_int_equal(l->g.exports, 1);
	assert_true(l->g.state.tx_any_ack);
	assert_int_equal(l->g.state.tx_acked, 0x8fffffff);
}

/* Traffic at 1 packet/ms; the client acknowledges at the end of each while it is alive. */
static void
traffic(struct line *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_tun(&l->g, 1);
		later(l, 1000);
		rig_read(&l->g, &l->c);
		if (!l->c.dead && i % 16 == 15)
			rig_ack(&l->g, &l->c, l->c.last_seq);
	}
}

static void
test_stall(void **state)
{
	struct line *l = *state;
	struct dp_counters c;
	uint64_t index;

	rig_up_new(&l->g);
	traffic(l, 1600);
	assert_int_equal(l->c.echoes, 0);
	l->c.dead = true;
	traffic(l, 2000);
	c = rig_counters(&l->g);
	assert_int_equal(c.stalls, 1);
	/* 256 without a question, 100 ms, then 250 ms for the answer. */
	index = c.tx_index;
	assert_in_range(index, 1600 + 512, 1600 + 256 + 100 + 250 + 5);
	assert_in_range(c.drops[DP_DROP_STALL], 1300, 1450);
	assert_in_range(l->c.echoes, 6, 8);
	/* Frames are not held back. */
	assert_int_equal(dp_send_frame(l->g.dp, l->g.s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	rig_turn(&l->g);
	rig_read(&l->g, &l->c);
	assert_int_equal(l->c.frames, 1);
	/* The answer to the echo: everything passes again. */
	l->c.dead = false;
	rig_ack(&l->g, &l->c, l->c.last_seq);
	traffic(l, 100);
	assert_int_equal(rig_counters(&l->g).drops[DP_DROP_STALL], c.drops[DP_DROP_STALL]);
	assert_int_equal(rig_counters(&l->g).stalls, 1);
	assert_int_equal(l->c.lost, 0);
	assert_int_equal(l->c.packets, 1600 + 100);
}

/* What the copy says of acknowledgements is seconds old: no reason to drop anything. */
static void
test_stale_acknowledgement(void **state)
{
	struct line *l = *state;

	import(l, 100000, 90000, true, 100000);
	traffic(l, 200);
	assert_int_equal(l->c.packets, 200);
	assert_int_equal(rig_counters(&l->g).drops[DP_DROP_STALL], 0);
}

/* One that answers when asked, and says nothing else. */
static void
test_asked(void **state)
{
	struct line *l = *state;
	unsigned echoes = 0;

	rig_up_new(&l->g);
	traffic(l, 16);
	for (unsigned i = 0; i < 5000; i++) {
		rig_tun(&l->g, 1);
		later(l, 500);
		rig_read(&l->g, &l->c);
		if (l->c.echoes != echoes) {
			echoes = l->c.echoes;
			later(l, 100000); /* a long way */
			rig_ack(&l->g, &l->c, l->c.last_seq);
		}
	}
	assert_int_equal(rig_counters(&l->g).stalls, 0);
	assert_int_equal(rig_counters(&l->g).drops[DP_DROP_STALL], 0);
	assert_int_equal(l->c.packets, 5016);
	assert_true(echoes > 3);
}

/* One that acknowledged once and never again: its answers to our echoes say as much. */
static void
test_answers_only(void **state)
{
	struct line *l = *state;
	uint8_t payload[PEER_MAX], out[PEER_MAX];
	unsigned echoes = 0;
	size_t len;

	rig_up_new(&l->g);
	traffic(l, 16);
	for (unsigned i = 0; i < 3000; i++) {
		rig_tun(&l->g, 1);
		later(l, 500);
		rig_read(&l->g, &l->c);
		if (l->c.echoes == echoes)
			continue;
		echoes = l->c.echoes;
		len = peer_frame(payload, PPP_LCP, "\x0a\xff\x00\x08....", 8);
		rig_to_server(&l->g, out, peer_numbered(&l->c.p, out, l->c.p.seq++, payload, len));
	}
	assert_true(echoes > 3);
	assert_int_equal(rig_counters(&l->g).drops[DP_DROP_STALL], 0);
	assert_int_equal(rig_counters(&l->g).tx_acked, l->c.echo_seq);
}

/* One that never acknowledged anything is left alone. */
static void
test_never_acknowledges(void **state)
{
	struct line *l = *state;

	rig_up_new(&l->g);
	for (unsigned i = 0; i < 5000; i++) {
		rig_tun(&l->g, 1);
		later(l, 1000);
		rig_read(&l->g, &l->c);
	}
	assert_int_equal(l->c.packets, 5000);
	assert_int_equal(l->c.echoes, 0);
	assert_int_equal(l->c.p.recv.index, 5000); /* and no key is left out */
}

/* A burst faster than any question: a client follows what is lost of it. */
static void
test_burst(void **state)
{
	struct line *l = *state;

	rig_up_new(&l->g);
	traffic(l, 160);
	l->c.dead = true;
	for (unsigned i = 0; i < 8000; i++) {
		rig_tun(&l->g, 2);
		later(l, 2);
		rig_read(&l->g, &l->c);
	}
	assert_in_range(rig_counters(&l->g).tx_index, 160 + 1800, 160 + 1910);
	assert_in_range(rig_counters(&l->g).drops[DP_DROP_STALL], 6000, 6200);
	assert_int_equal(rig_counters(&l->g).stalls, 0); /* 16 ms only */
	assert_int_equal(l->c.echoes, 1);
	l->c.dead = false;
	rig_ack(&l->g, &l->c, l->c.last_seq);
	traffic(l, 100);
	assert_int_equal(l->c.lost, 0);
	assert_int_equal(l->c.packets, 260);
}

/* It received everything, and only what it said of that was lost: nothing is sent twice, or late.
 */
static void
test_late_acknowledgement(void **state)
{
	struct line *l = *state;
	unsigned packets;

	rig_up_new(&l->g);
	traffic(l, 160);
	for (unsigned i = 0; i < 8000; i++) {
		rig_tun(&l->g, 2);
		later(l, 100);
		rig_read(&l->g, &l->c);
	}
	assert_int_equal(rig_counters(&l->g).stalls, 1);
	packets = l->c.packets;
	rig_ack(&l->g, &l->c, l->c.last_seq);
	traffic(l, 100);
	assert_int_equal(l->c.lost, 0);
	assert_int_equal(l->c.packets, packets + 100);
	assert_int_equal(l->c.p.recv.index, l->c.packets); /* no key is left out */
}

/* `missed` packets with keys and `frames` without, which this gateway never saw. */
static void
miss(struct client *c, unsigned missed, unsigned frames)
{
	mppe_step(&c->p.send, c->p.send.index + missed);
	c->p.seq += missed + frames;
}

static void
assert_understood(struct line *l, uint32_t id)
{
	rig_data(&l->g, &l->c, id);
	assert_int_equal(rig_from_tun(&l->g), id);
	assert_int_equal(rig_counters(&l->g).rx_index, l->c.p.send.index);
}

/* As import(), and the receive side stood behind these. */
static void
import_behind(struct line *l, unsigned packets)
{
	struct dp_state st = {
	    .tx_seq = 10, .rx_any = true, .armed = true, .gate = keygate_free(KEYS_ALL)};

	mppe_init(&st.tx, peer_key_down);
	mppe_init(&st.rx, peer_key_up);
	mppe_step(&st.rx, packets);
	miss(&l->c, packets, 0);
	st.rx_seq = l->c.p.seq - 1;
	rig_attach(&l->g, &st, 10);
	rig_up(&l->g);
}

/* From the first packet on, whatever was missed. */
static void
test_resolve(void **state)
{
	static const unsigned missed[] = {
	    0, 1, 255, 300, 2047, 2048, 4095, 4096, 5000, 8191, 12000};

	for (unsigned i = 0; i < sizeof(missed) / sizeof(missed[0]); i++)
		for (unsigned frames = 0; frames <= 3000; frames += 1500) {
			struct line *l;

			teardown(state);
			setup(state);
			l = *state;
			import_behind(l, 700);
			miss(&l->c, missed[i], frames);
			assert_understood(l, 1);
			assert_understood(l, 2);
			assert_int_equal(rig_counters(&l->g).drops[DP_DROP_LOST], 0);
		}
}

/* So much that it takes some packets to get there. */
static void
test_resolve_far(void **state)
{
	struct line *l = *state;
	unsigned tries = 0;

	import_behind(l, 10);
	miss(&l->c, 100000, 20);
	do {
		rig_data(&l->g, &l->c, ++tries);
	} while (rig_from_tun(&l->g) == 0 && tries < 100);
	assert_in_range(tries, 5, 10);
	assert_understood(l, 200);
}

/* Later, under traffic, the same: an outage of the way up. */
static void
test_resolve_outage(void **state)
{
	struct line *l = *state;

	rig_up_new(&l->g);
	for (uint32_t i = 1; i < 50; i++)
		assert_understood(l, i);
	miss(&l->c, 5000, 3);
	rig_data(&l->g, &l->c, 99); /* so far ahead that the next one must bear it out */
	assert_int_equal(rig_from_tun(&l->g), 0);
	assert_understood(l, 100);
	assert_understood(l, 101);
}

/* Numbers that take no key, seen or not, are no keys missed. */
static void
test_resolve_idle(void **state)
{
	struct line *l = *state;

	import_behind(l, 10);
	assert_understood(l, 1);
	for (unsigned i = 0; i < 9000; i++) {
		rig_lcp(&l->g, &l->c);
		if (i % 1000 == 0)
			l->c.p.seq += 5;
		l->now_us += 20000;
	}
	assert_understood(l, 2);
	/* More than 4,096 of them missed: the first guesses are wrong, then it is found. */
	miss(&l->c, 5000, 5000);
	for (unsigned i = 0; i < 5; i++)
		rig_data(&l->g, &l->c, 3);
	while (rig_from_tun(&l->g) == 3)
		continue;
	assert_understood(l, 4);
}

/* One forged number and count costs little, moves no key, and the client is understood after it. */
static void
test_resolve_forged(void **state)
{
	struct line *l = *state;
	uint8_t out[PEER_MAX], bytes[64] = {0xff, 0x03, 0x00, 0xfd, 0x9f, 0xff};
	uint64_t index;

	import_behind(l, 1000);
	index = rig_counters(&l->g).rx_index;
	rig_to_server(
	    &l->g, out, peer_numbered(&l->c.p, out, l->c.p.seq + 0x7fff0000, bytes, sizeof(bytes)));
	rig_turn(&l->g);
	assert_int_equal(rig_counters(&l->g).rx_index, index);
	assert_true(l->g.s->rx.far.index <= index + 20000);
	miss(&l->c, 300, 0);
	assert_understood(l, 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_fill),
	    ROW(test_fill_bounded),
	    ROW(test_no_fill),
	    ROW(test_wrap),
	    ROW(test_wrap_unacknowledged),
	    ROW(test_wrap_at_mark),
	    ROW(test_wrap_jumped_over),
	    ROW(test_wrap_zero_follows),
	    ROW(test_first_ack),
	    ROW(test_stall),
	    ROW(test_stale_acknowledgement),
	    ROW(test_asked),
	    ROW(test_answers_only),
	    ROW(test_never_acknowledges),
	    ROW(test_burst),
	    ROW(test_late_acknowledgement),
	    ROW(test_resolve),
	    ROW(test_resolve_far),
	    ROW(test_resolve_outage),
	    ROW(test_resolve_idle),
	    ROW(test_resolve_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
