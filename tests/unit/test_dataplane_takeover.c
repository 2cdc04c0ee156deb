/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gates, holds, export and import, freezing: what two data planes send for one session, as a client
 * sees it that keeps account of every key. Time is the test's own.
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

struct pair {
	uint64_t now_us;
	struct gateway a, b;
	struct client c;
};

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->now_us = 1000000;
	rig_start(&p->a, &p->now_us);
	rig_start(&p->b, &p->now_us);
	rig_client(&p->c);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	rig_end(&p->a);
	rig_end(&p->b);
	free(p);
	return 0;
}

static void
set_gate(struct gateway *g, uint32_t mark_seq, uint64_t mark_index, uint8_t low, uint8_t high,
    uint32_t low_water)
{
	const struct keygate k = {
	    .mark_seq = mark_seq, .mark_index = mark_index, .low = low, .high = high};

	dp_set_gate(g->dp, g->s, &k, low_water);
	rig_turn(g);
}

static void
later(struct pair *p, struct gateway *g, uint64_t us)
{
	p->now_us += us;
	rig_turn(g);
}

/* The client's packets are these ids, in this order, since number `from`. */
static void
assert_ids(const struct client *c, unsigned from, uint32_t first, unsigned n)
{
	assert_int_equal(c->packets, from + n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(c->ids[from + i], first + i);
}

/* A new session below these marks: the first `leave` of n packets leave. */
static void
start_below(struct pair *p, uint32_t mark_seq, uint64_t mark_index, unsigned n, unsigned leave)
{
	struct gateway *g = &p->a;

	rig_up_new(g);
	set_gate(g, mark_seq, mark_index, KEYS_ALL, KEYS_NONE, 0);
	rig_tun_many(g, 1, n);
	rig_read(g, &p->c);
	assert_ids(&p->c, 0, 1, leave);
}

static void
test_number_boundary(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	start_below(p, 5, 1000, 8, 5);
	assert_int_equal(p->c.last_seq, 4);
	assert_int_equal(rig_counters(g).held, 3);
	assert_int_equal(rig_counters(g).tx_seq, 5);
	assert_int_equal(rig_counters(g).tx_index, 5);
	/* One more number, one more packet: the oldest. */
	set_gate(g, 6, 1000, KEYS_ALL, KEYS_NONE, 0);
	rig_read(g, &p->c);
	assert_ids(&p->c, 5, 6, 1);
	set_gate(g, 100, 1000, KEYS_ALL, KEYS_NONE, 0);
	rig_tun_many(g, 9, 1);
	rig_read(g, &p->c);
	assert_ids(&p->c, 6, 7, 3);
	assert_int_equal(p->c.used, 9);
	assert_int_equal(p->c.p.recv.index, 9);
}

static void
test_key_boundary(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	start_below(p, 1000, 4, 6, 4);
	/* A frame needs no key, but waits behind what came before it. */
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	rig_turn(g);
	assert_int_equal(rig_read(g, &p->c), 0);
	set_gate(g, 1000, 6, KEYS_ALL, KEYS_NONE, 0);
	rig_read(g, &p->c);
	assert_ids(&p->c, 4, 5, 2);
	assert_int_equal(p->c.frames, 1);
	assert_int_equal(p->c.last_seq, 6);
}

/* Every pair of classes: the account shows which keys left, and that none is missing. */
static void
test_classes(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	for (uint8_t low = KEYS_NONE; low <= KEYS_ALL; low++)
		for (uint8_t high = KEYS_NONE; high <= KEYS_ALL; high++) {
			uint64_t at = rig_counters(g).tx_index, mark = at + 20;

			memset(p->c.key_used, 0, sizeof(p->c.key_used));
			set_gate(g, rig_counters(g).tx_seq + 1000, mark, low, high, 0);
			rig_tun_many(g, 1, 60);
			rig_read(g, &p->c);
			for (uint64_t i = at; i < at + 40; i++)
				assert_int_equal(p->c.key_used[i],
				    ((i < mark ? low : high) & 1 << (i & 1)) != 0);
			later(p, g, HOLD_US); /* the rest is dropped */
			assert_int_equal(g->dp->workers[0].held_bytes, 0);
		}
	assert_int_equal(p->c.lost, 0);
}

static void
test_hold_ends(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	struct dp_counters c;

	rig_up_new(g);
	set_gate(g, 2, 2, KEYS_ALL, KEYS_NONE, 0);
	rig_tun_many(g, 1, 3);
	later(p, g, HOLD_US / 2);
	rig_tun_many(g, 4, 1);
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	later(p, g, HOLD_US / 2 - 1);
	assert_int_equal(rig_counters(g).drops[DP_DROP_MARK], 0);
	later(p, g, 1);
	assert_int_equal(rig_counters(g).drops[DP_DROP_MARK], 1); /* the third */
	set_gate(g, 100, 100, KEYS_ALL, KEYS_NONE, 0);
	rig_read(g, &p->c);
	assert_int_equal(p->c.packets, 3);
	assert_int_equal(p->c.ids[2], 4);
	assert_int_equal(p->c.frames, 1);
	assert_int_equal(p->c.p.recv.index, 3); /* no key was lost with the third packet */
	assert_int_equal(p->c.last_seq, 3);
	c = rig_counters(g);
	assert_int_equal(c.held, 3);
	/* No more than so many of a session. */
	set_gate(g, 4, 100, KEYS_ALL, KEYS_NONE, 0);
	rig_tun_many(g, 100, HOLD_MAX + 10);
	assert_int_equal(rig_counters(g).drops[DP_DROP_MARK], c.drops[DP_DROP_MARK] + 10);
	/* What is held goes with its session. */
	dp_detach(g->dp, g->s);
	rig_turn(g);
	assert_int_equal(g->detached, 1);
	assert_int_equal(g->dp->workers[0].held_bytes, 0);
	assert_null(due_first(&g->dp->workers[0].holds));
}

/* All queues of a worker together hold so many bytes. */
static void
test_hold_bytes(void **state)
{
	static const uint8_t packet[1396];
	struct hold h[64] = {0};
	size_t total = 0;
	unsigned n = 0;

	while (hold_put(&h[n % 64], &total, 0, true, 0x21, packet, sizeof(packet)) == 0)
		n++;
	assert_in_range(total, HOLD_BYTES_MAX - 1500, HOLD_BYTES_MAX);
	assert_in_range(n, 5000, 6100);
	hold_pop(&h[0], &total);
	assert_int_equal(hold_put(&h[1], &total, 0, true, 0x21, packet, 1), 0);
	for (unsigned i = 0; i < 64; i++)
		hold_fini(&h[i], &total);
	assert_int_equal(total, 0);
}

static void
test_held_when_down(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	set_gate(g, 1, 100, KEYS_ALL, KEYS_NONE, 0);
	rig_tun_many(g, 1, 3);
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	dp_down(g->dp, g->s);
	rig_turn(g);
	assert_int_equal(rig_counters(g).drops[DP_DROP_NOT_UP], 2);
	set_gate(g, 100, 100, KEYS_ALL, KEYS_NONE, 0);
	rig_read(g, &p->c);
	assert_ids(&p->c, 0, 1, 1);
	assert_int_equal(p->c.frames, 1);
}

/* Once for each gate, when the last packet that fits leaves fewer than that. */
static void
test_low(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	set_gate(g, 20, 100, KEYS_ALL, KEYS_NONE, 8);
	rig_tun_many(g, 1, 12);
	assert_int_equal(g->lows, 0);
	rig_tun_many(g, 13, 1);
	assert_int_equal(g->lows, 1);
	assert_int_equal(g->low_seq, 13);
	assert_int_equal(g->low_index, 13);
	rig_tun_many(g, 14, 20);
	assert_int_equal(g->lows, 1);
	set_gate(g, 41, 100, KEYS_ALL, KEYS_NONE, 8); /* 33 are out or held: 8 left */
	assert_int_equal(g->lows, 1);
	rig_tun_many(g, 34, 1);
	assert_int_equal(g->lows, 2);
	/* By keys: two each while one class is closed. */
	set_gate(g, 1000, 34 + 2 * 8, KEYS_EVEN, KEYS_NONE, 8);
	assert_int_equal(g->lows, 2);
	rig_tun_many(g, 35, 1);
	assert_int_equal(g->lows, 3);
	set_gate(g, 0, 0, KEYS_ALL, KEYS_ALL, 8);
	rig_tun_many(g, 36, 50);
	assert_int_equal(g->lows, 3);
}

/* Random gates and traffic: whatever is ordered, nothing leaves at or above a mark in force. */
static void
test_never_above(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	uint32_t mark_seq = 0, id = 0;
	uint64_t mark_index = 0;

	srand(7);
	rig_up_new(g);
	for (unsigned i = 0; i < 3000; i++) {
		if (i % 8 == 0) {
			mark_seq = rig_counters(g).tx_seq + (uint32_t)(rand() % 30);
			mark_index = rig_counters(g).tx_index + (uint64_t)(rand() % 30);
			set_gate(g, mark_seq, mark_index, (uint8_t)(1 + rand() % 3), KEYS_NONE,
			    (uint32_t)(rand() % 9));
		}
		rig_tun_many(g, ++id, (unsigned)rand() % 7);
		if (rand() % 3 == 0)
			(void)dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1);
		later(p, g, (uint64_t)rand() % 60000);
		rig_read(g, &p->c);
		assert_true((int32_t)(p->c.last_seq - mark_seq) < 0);
		assert_true(p->c.used == 0 || p->c.last_index < mark_index);
		if (i % 16 == 0)
			rig_ack(g, &p->c, p->c.last_seq);
	}
	assert_int_equal(p->c.lost, 0);
	assert_true(p->c.packets > 1000);
}

/* From a to b as a promotion does it: the copy is stepped to the mark, one class is used. */
static void
test_takeover(void **state)
{
	struct pair *p = *state;
	struct dp_state copy;

	rig_up_new(&p->a);
	rig_tun_many(&p->a, 1, 100);
	for (uint32_t i = 1; i <= 50; i++) {
		rig_data(&p->a, &p->c, i);
		assert_int_equal(rig_from_tun(&p->a), i);
	}
	dp_export(p->a.dp, p->a.s, 64, 16);
	rig_turn(&p->a);
	assert_int_equal(p->a.exports, 1);
	copy = p->a.state;
	assert_true(copy.armed && copy.rx_any);
	assert_int_equal(copy.tx_seq, 100);
	assert_int_equal(copy.tx.index, 100);
	assert_int_equal(copy.gate.mark_seq, 164);
	assert_int_equal(copy.gate.mark_index, 164);
	assert_int_equal(copy.gate.low, KEYS_ALL);
	assert_int_equal(copy.gate.high, KEYS_NONE);
	assert_int_equal(copy.rx_seq, 49);
	assert_int_equal(copy.rx.index, 50);
	assert_int_equal(copy.tx_packets, 100);
	assert_int_equal(copy.rx_packets, 50);
	rig_tun_many(&p->a, 101, 100); /* 64 of them leave */
	rig_read(&p->a, &p->c);
	assert_int_equal(p->c.packets, 164);
	for (uint32_t i = 51; i <= 80; i++) { /* b never hears of these */
		rig_data(&p->a, &p->c, i);
		assert_int_equal(rig_from_tun(&p->a), i);
	}

	copy.tx_seq = copy.gate.mark_seq;
	mppe_step(&copy.tx, copy.gate.mark_index);
	copy.gate.low = KEYS_NONE;
	copy.gate.high = KEYS_ODD;
	rig_attach(&p->b, &copy, copy.tx_seq);
	rig_up(&p->b);
	assert_int_equal(rig_counters(&p->b).tx_packets, 100);
	rig_tun_many(&p->b, 201, 100);
	rig_read(&p->b, &p->c);
	assert_int_equal(p->c.first_seq, 164);
	assert_ids(&p->c, 164, 201, 100);
	assert_int_equal(p->c.last_seq, 263);
	for (uint64_t i = 164; i < 364; i++)
		assert_int_equal(p->c.key_used[i], i & 1);
	/* The other way: 30 packets later, and everything after it. */
	for (uint32_t i = 81; i <= 200; i++) {
		rig_data(&p->b, &p->c, i);
		assert_int_equal(rig_from_tun(&p->b), i);
	}
	assert_int_equal(rig_counters(&p->b).rx_index, 200);
	assert_int_equal(rig_counters(&p->b).rx_packets, 50 + 120);
	assert_int_equal(rig_counters(&p->b).drops[DP_DROP_LOST], 0);

	/* And back, by another export, while the old a is silent with even keys above its mark. */
	set_gate(&p->a, 164, 164, KEYS_ALL, KEYS_EVEN, 0);
	rig_tun_many(&p->a, 1001, 20);
	p->c.dead = true; /* nobody hears it */
	rig_read(&p->a, &p->c);
	assert_true(p->c.used > 264);
	assert_int_equal(p->c.lost, 0);
	explicit_bzero(&copy, sizeof(copy));
}

/* Whoever served before went on in silence: the client acknowledges numbers that we never sent. */
static void
test_follow(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->b;
	struct dp_state copy;
	uint32_t has;

	rig_up_new(&p->a);
	rig_tun_many(&p->a, 1, 10);
	dp_export(p->a.dp, p->a.s, 64, 16);
	rig_turn(&p->a);
	set_gate(&p->a, 74, 74, KEYS_ALL, KEYS_EVEN, 0);
	rig_tun_many(&p->a, 11, 500);
	rig_read(&p->a, &p->c);
	assert_int_equal(p->c.packets, 510);
	has = p->c.last_seq;
	copy = p->a.state;
	copy.tx_seq = copy.gate.mark_seq;
	mppe_step(&copy.tx, copy.gate.mark_index);
	copy.gate.low = KEYS_NONE;
	copy.gate.high = KEYS_ODD;
	rig_attach(g, &copy, copy.tx_seq);
	rig_up(g);
	rig_tun_many(g, 1001, 5);
	rig_read(g, &p->c);
	assert_int_equal(p->c.packets, 510); /* it has heard nothing of us, nor we of it */
	atomic_store(&g->s->said_ack, SAID_ACK | has);
	rig_tun_many(g, 1101, 50);
	rig_read(g, &p->c);
	assert_ids(&p->c, 510, 1101, 50);
	assert_int_equal(p->c.last_seq, 559);
	/* It is with us now; what else it says moves nothing. */
	atomic_store(&g->s->said_ack, SAID_ACK | p->c.last_seq);
	rig_tun_many(g, 1201, 1);
	atomic_store(&g->s->said_ack, SAID_ACK | 5000);
	rig_tun_many(g, 1202, 1);
	assert_int_equal(rig_counters(g).tx_seq, 562);
	explicit_bzero(&copy, sizeof(copy));
}

/* A client cannot make us run: so many numbers, and none across 0xFFFFFFFF. */
static void
test_follow_bound(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->b;
	struct dp_state copy;

	rig_up_new(&p->a);
	rig_tun_many(&p->a, 1, 10);
	dp_export(p->a.dp, p->a.s, 64, 16);
	rig_turn(&p->a);
	copy = p->a.state;
	copy.gate.low = KEYS_NONE;
	copy.gate.high = KEYS_ODD;
	rig_attach(g, &copy, copy.tx_seq);
	rig_up(g);
	atomic_store(&g->s->said_ack, SAID_ACK | 40000);
	rig_tun_many(g, 1, 1);
	assert_int_equal(rig_counters(g).tx_seq, 11);
	atomic_store(&g->s->said_ack, SAID_ACK | 100);
	rig_tun_many(g, 2, 1);
	assert_int_equal(rig_counters(g).tx_seq, 12);
	explicit_bzero(&copy, sizeof(copy));
}

/* A mark that somebody may rely on holds while another one is asked for. */
static void
test_export_again(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	dp_export(g->dp, g->s, 64, 0);
	rig_turn(g);
	rig_tun_many(g, 1, 60);
	dp_export(g->dp, g->s, 64, 0);
	rig_turn(g);
	assert_int_equal(g->exports, 2);
	assert_int_equal(g->state.gate.mark_seq, 64);
	assert_int_equal(g->state.gate.mark_index, 64);
	rig_tun_many(g, 61, 20);
	rig_read(g, &p->c);
	assert_ids(&p->c, 0, 1, 64);
	set_gate(g, 124, 124, KEYS_ALL, KEYS_NONE, 0);
	rig_read(g, &p->c);
	assert_ids(&p->c, 64, 65, 16);
	/* Two at once: the last is reported. */
	dp_export(g->dp, g->s, 30, 0);
	dp_export(g->dp, g->s, 20, 0);
	rig_turn(g);
	assert_true(g->exports >= 3);
	assert_int_equal(g->state.gate.mark_seq, 100);
	/* None after dp_detach(). */
	g->exports = 0;
	dp_export(g->dp, g->s, 20, 0);
	dp_detach(g->dp, g->s);
	rig_turn(g);
	assert_int_equal(g->exports, 0);
	assert_int_equal(g->detached, 1);
}

/* What the other gateway used is stepped over by the next export, and only forward. */
static void
test_skip(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	rig_tun_many(g, 1, 10);
	set_gate(g, 0, 0, KEYS_NONE, KEYS_ODD, 0);
	dp_skip(g->dp, g->s, 500, 901);
	rig_tun_many(g, 11, 1); /* not yet */
	assert_int_equal(rig_counters(g).tx_seq, 11);
	dp_export(g->dp, g->s, 64, 0);
	rig_turn(g);
	assert_int_equal(g->state.tx_seq, 500);
	assert_int_equal(g->state.tx.index, 901);
	assert_int_equal(g->state.gate.mark_seq, 564);
	rig_tun_many(g, 12, 2);
	rig_read(g, &p->c);
	assert_int_equal(p->c.last_seq, 501);
	assert_int_equal(p->c.last_index, 903);
	assert_int_equal(p->c.lost, 0);
	/* Behind us: nothing. Once only. New keys have indices of their own. */
	dp_skip(g->dp, g->s, 400, 700);
	dp_export(g->dp, g->s, 64, 0);
	rig_turn(g);
	assert_int_equal(g->state.tx_seq, 502);
	assert_int_equal(g->state.tx.index, 905);
	dp_skip(g->dp, g->s, 2000, 3000);
	dp_set_keys(g->dp, g->s, peer_key_down, peer_key_up);
	dp_export(g->dp, g->s, 64, 0);
	rig_turn(g);
	assert_int_equal(g->state.tx_seq, 502);
	assert_int_equal(g->state.tx.index, 1);
}

/* The ring is full: gates and exports wait, and keep the order in which they were given. */
static void
test_late_orders(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	struct keygate k = {.mark_seq = 5000, .mark_index = 5000, .low = KEYS_ALL};

	rig_up_new(g);
	while (dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1) == 0)
		continue;
	dp_set_gate(g->dp, g->s, &k, 0);
	dp_export(g->dp, g->s, 64, 0);
	k.mark_seq = 7000;
	dp_set_gate(g->dp, g->s, &k, 0);
	for (unsigned i = 0; i < 20; i++) {
		rig_turn(g);
		loop_advance(g->loop, 1);
	}
	assert_int_equal(g->exports, 1);
	assert_true(g->state.gate.mark_seq <= 5000 && g->state.gate.mark_index == 64);
	assert_int_equal(g->s->tx.gate.mark_seq, 7000);
	rig_read(g, &p->c);

	/* And with another export behind it. */
	while (dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1) == 0)
		continue;
	dp_export(g->dp, g->s, 64, 0);
	k = keygate_free(KEYS_ODD);
	dp_set_gate(g->dp, g->s, &k, 0);
	dp_export(g->dp, g->s, 10, 0);
	for (unsigned i = 0; i < 20; i++) {
		rig_turn(g);
		loop_advance(g->loop, 1);
		rig_read(g, &p->c);
	}
	assert_int_equal(g->state.gate.low, KEYS_ODD);
	assert_int_equal(g->state.gate.mark_index, g->state.tx.index + 20);
	assert_int_equal(g->state.gate.mark_seq, g->state.tx_seq + 10);
}

/* Notes that must not be lost wait for room. */
static void
test_late_notes(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	struct worker *w = &g->dp->workers[0];
	unsigned filler = 0;

	rig_up_new(g);
	while (ring_reserve(&w->notes, sizeof(struct note) + 64) != NULL) {
		struct note *n = ring_reserve(&w->notes, sizeof(struct note) + 64);

		*n = (struct note){.kind = NOTE_FRAME, .session = g->s};
		ring_commit(&w->notes);
		filler++;
	}
	dp_export(g->dp, g->s, 8, 9);
	rig_work(g);
	rig_tun(g, 1);
	rig_work(g);
	assert_int_equal(g->exports + g->lows, 0);
	for (unsigned i = 0; i <= filler / NOTES_A_TURN; i++)
		rig_turn(g);
	rig_turn(g);
	assert_int_equal(g->frames, filler);
	assert_int_equal(g->exports, 1);
	assert_int_equal(g->lows, 1);
	dp_detach(g->dp, g->s);
	rig_turn(g);
	assert_int_equal(g->detached, 1);
}

static void
test_freeze(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;

	rig_up_new(g);
	rig_tun_many(g, 1, 3);
	assert_int_equal(rig_read(g, &p->c), 3);
	rig_tun(g, 4);
	rig_work(g); /* in the outbox */
	dp_freeze(g->dp, true);
	rig_turn(g);
	rig_tun_many(g, 5, 10);
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	rig_data(g, &p->c, 1);
	later(p, g, 1000000); /* nor its acknowledgement */
	assert_int_equal(recv(g->gre, &p->c, 0, MSG_PEEK), -1);
	assert_int_equal(rig_counters(g).drops[DP_DROP_FROZEN], 13);
	assert_int_equal(rig_counters(g).tx_index, 4);
	dp_freeze(g->dp, false);
	rig_tun_many(g, 20, 1);
	rig_read(g, &p->c);
	assert_int_equal(p->c.ids[3], 20);
	assert_int_equal(p->c.last_index, 4); /* one key went with what was frozen in */
}

/* Without keys nothing is encrypted and nothing is decrypted, and frames pass. */
static void
test_disarmed(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	const uint8_t other_down[16] = "another key down", other_up[16] = "another key up";
	uint64_t drops;

	start_below(p, 4, 1000, 6, 4); /* two wait */
	rig_data(g, &p->c, 41);
	assert_int_equal(rig_from_tun(g), 41);
	dp_disarm(g->dp, g->s);
	set_gate(g, 0, 0, KEYS_ALL, KEYS_ALL, 0);
	assert_int_equal(rig_read(g, &p->c), 0);
	assert_int_equal(rig_counters(g).drops[DP_DROP_NOT_UP], 2);
	rig_tun_many(g, 7, 3);
	assert_int_equal(rig_read(g, &p->c), 0);
	assert_int_equal(rig_counters(g).drops[DP_DROP_NOT_UP], 5);
	drops = rig_counters(g).drops[DP_DROP_MPPE];
	rig_data(g, &p->c, 42);
	assert_int_equal(rig_from_tun(g), 0);
	assert_int_equal(rig_counters(g).drops[DP_DROP_MPPE], drops + 1);
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"x", 1), 0);
	rig_turn(g);
	rig_read(g, &p->c);
	assert_int_equal(p->c.frames, 1);
	assert_int_equal(p->c.last_seq, 4);
	/* New keys, and the numbers go on. */
	dp_set_keys(g->dp, g->s, other_down, other_up);
	rig_turn(g);
	mppe_init(&p->c.p.recv, other_down);
	mppe_init(&p->c.p.send, other_up);
	memset(p->c.key_used, 0, sizeof(p->c.key_used));
	rig_tun_many(g, 10, 2);
	rig_read(g, &p->c);
	assert_ids(&p->c, 4, 10, 2);
	assert_int_equal(p->c.last_seq, 6);
	rig_data(g, &p->c, 43);
	assert_int_equal(rig_from_tun(g), 43);
}

/* A frame bears the number that it is given, and the numbers go on there; what the client says it
 * has is told as it says it. */
static void
test_numbers_of_choice(void **state)
{
	struct pair *p = *state;
	struct gateway *g = &p->a;
	const struct dp_state s = {.tx_seq = 1000, .gate = keygate_free(KEYS_ALL)};

	rig_attach(g, &s, 1000);
	rig_turn(g);
	assert_false(rig_counters(g).any_said_ack);
	rig_ack(g, &p->c, 7000);
	assert_true(rig_counters(g).any_said_ack);
	assert_int_equal(rig_counters(g).said_ack, 7000);
	assert_int_equal(rig_counters(g).tx_acked, 999);
	assert_int_equal(dp_send_frame_at(g->dp, g->s, 7001, PPP_LCP, (const uint8_t *)"x", 1), 0);
	assert_int_equal(dp_send_frame(g->dp, g->s, PPP_LCP, (const uint8_t *)"y", 1), 0);
	rig_turn(g);
	assert_int_equal(rig_read(g, &p->c), 2);
	assert_int_equal(p->c.first_seq, 7001);
	assert_int_equal(p->c.last_seq, 7002);
	assert_int_equal(rig_counters(g).tx_seq, 7003);
	rig_ack(g, &p->c, 7002);
	assert_int_equal(rig_counters(g).tx_acked, 7002);
	/* Back, too: the client may have lost what was sent. */
	assert_int_equal(dp_send_frame_at(g->dp, g->s, 5000, PPP_LCP, (const uint8_t *)"x", 1), 0);
	rig_turn(g);
	rig_read(g, &p->c);
	assert_int_equal(p->c.last_seq, 5000);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_number_boundary),
	    ROW(test_key_boundary),
	    ROW(test_classes),
	    ROW(test_hold_ends),
	    ROW(test_hold_bytes),
	    ROW(test_held_when_down),
	    ROW(test_low),
	    ROW(test_never_above),
	    ROW(test_takeover),
	    ROW(test_follow),
	    ROW(test_follow_bound),
	    ROW(test_export_again),
	    ROW(test_skip),
	    ROW(test_late_orders),
	    ROW(test_late_notes),
	    ROW(test_freeze),
	    ROW(test_disarmed),
	    ROW(test_numbers_of_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
