/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Enhanced GRE: golden headers beside their dissection, every flag that must not be set, and the
 * receive half under duplicates, reordering, loss, jumps and the wrap. The log of a run is the list
 * of numbers delivered; each packet carries its own number, so a mixed-up payload shows.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pptpd/wire/gre.h"

#define TIMEOUT_US 1000

static const uint8_t data_and_ack[] = {
    0x30, 0x81,             /* K, S, A, version 1 */
    0x88, 0x0b,             /* protocol: PPP */
    0x00, 0x04,             /* payload length */
    0x12, 0x34,             /* call id */
    0x00, 0x00, 0x00, 0x07, /* sequence number */
    0x00, 0x00, 0x01, 0x00, /* acknowledgement number */
    0xff, 0x03, 0xc0, 0x21, /* payload */
    0x00, 0x00,             /* link padding, no part of it */
};

static const uint8_t data_only[] = {
    0x30, 0x01, 0x88, 0x0b, 0x00, 0x02, 0xc0, 0x01, /* K, S, version 1; 2 bytes; call id */
    0xff, 0xff, 0xff, 0xff,                         /* sequence number */
    0xc0, 0x21,                                     /* payload */
};

static const uint8_t ack_only[] = {
    0x20, 0x81, 0x88, 0x0b, 0x00, 0x00, 0x00, 0x01, /* K, A, version 1; no payload; call id */
    0x80, 0x00, 0x00, 0x00,                         /* acknowledgement number */
};

static void
assert_encodes(const struct gre_header *h, const uint8_t *bytes, size_t len)
{
	uint8_t buffer[GRE_HEADER_MAX];
	struct wr w = wr_init(buffer, sizeof(buffer));

	gre_encode(&w, h);
	assert_true(wr_ok(&w));
	assert_int_equal(wr_len(&w), len);
	assert_memory_equal(buffer, bytes, len);
}

static void
test_golden(void **state)
{
	struct rd r = rd_init(data_and_ack, sizeof(data_and_ack)), payload;
	struct gre_header h;

	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_int_equal(h.call_id, 0x1234);
	assert_int_equal(h.length, 4);
	assert_true(h.has_seq);
	assert_true(h.has_ack);
	assert_int_equal(h.seq, 7);
	assert_int_equal(h.ack, 256);
	assert_int_equal(rd_left(&payload), 4);
	assert_ptr_equal(payload.p, data_and_ack + 16);
	assert_encodes(&h, data_and_ack, 16);

	r = rd_init(data_only, sizeof(data_only));
	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_int_equal(h.call_id, 0xc001);
	assert_true(h.has_seq);
	assert_false(h.has_ack);
	assert_int_equal(h.seq, 0xffffffff);
	assert_int_equal(rd_left(&payload), 2);
	assert_encodes(&h, data_only, 12);

	r = rd_init(ack_only, sizeof(ack_only));
	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_false(h.has_seq);
	assert_true(h.has_ack);
	assert_int_equal(h.ack, 0x80000000);
	assert_int_equal(rd_left(&payload), 0);
	assert_encodes(&h, ack_only, 12);
}

/* A sequence number without payload, and a header that says nothing: both harmless. */
static void
test_empty_frames(void **state)
{
	static const uint8_t empty[] = {0x30, 0x01, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 5};
	static const uint8_t bare[] = {0x20, 0x01, 0x88, 0x0b, 0, 0, 0, 1};
	struct rd r = rd_init(empty, sizeof(empty)), payload;
	struct gre_header h;

	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_true(h.has_seq);
	assert_int_equal(h.seq, 5);
	assert_int_equal(rd_left(&payload), 0);
	r = rd_init(bare, sizeof(bare));
	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_false(h.has_seq);
	assert_false(h.has_ack);
	assert_encodes(&h, bare, 8);
}

static void
assert_malformed(const uint8_t *bytes, size_t len)
{
	/* A copy of its own, so that the sanitizer sees a read past the end. */
	uint8_t *copy = test_malloc(len > 0 ? len : 1);
	struct rd r, payload;
	struct gre_header h;

	memcpy(copy, bytes, len);
	r = rd_init(copy, len);
	errno = 0;
	assert_int_equal(gre_parse(&r, &h, &payload), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(rd_left(&payload), 0);
	test_free(copy);
}

static void
test_truncated_at_each_byte(void **state)
{
	for (size_t len = 0; len < sizeof(data_and_ack) - 2; len++)
		assert_malformed(data_and_ack, len);
	for (size_t len = 0; len < sizeof(data_only); len++)
		assert_malformed(data_only, len);
	for (size_t len = 0; len < sizeof(ack_only); len++)
		assert_malformed(ack_only, len);
}

static void
test_lengths(void **state)
{
	uint8_t bytes[sizeof(data_only)];
	struct rd r, payload;
	struct gre_header h;

	memcpy(bytes, data_only, sizeof(bytes));
	bytes[5] = 3;
	assert_malformed(bytes, sizeof(bytes));
	bytes[4] = 0xff;
	bytes[5] = 0xff;
	assert_malformed(bytes, sizeof(bytes));
	bytes[4] = 0;
	bytes[5] = 1; /* what is left over is padding */
	r = rd_init(bytes, sizeof(bytes));
	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_int_equal(rd_left(&payload), 1);
	memcpy(bytes, ack_only, sizeof(ack_only));
	bytes[5] = 2; /* payload without a sequence number */
	assert_malformed(bytes, sizeof(bytes));
}

/* All 65,536 flag words: exactly four are good, with and without S and A. */
static void
test_every_flag_word(void **state)
{
	unsigned good = 0;

	for (unsigned flags = 0; flags <= 0xffff; flags++) {
		uint8_t bytes[16] = {(uint8_t)(flags >> 8), (uint8_t)flags, 0x88, 0x0b};
		struct rd r = rd_init(bytes, sizeof(bytes)), payload;
		struct gre_header h;

		if (gre_parse(&r, &h, &payload) < 0)
			continue;
		assert_true(
		    flags == 0x2001 || flags == 0x3001 || flags == 0x2081 || flags == 0x3081);
		good++;
	}
	assert_int_equal(good, 4);
}

static void
test_protocol(void **state)
{
	uint8_t bytes[sizeof(data_only)];

	memcpy(bytes, data_only, sizeof(bytes));
	bytes[3] = 0x0c;
	assert_malformed(bytes, sizeof(bytes));
	memcpy(bytes, data_only, sizeof(bytes));
	bytes[2] = 0x08;
	assert_malformed(bytes, sizeof(bytes));
}

/* The receive half and the numbers that it delivered. */
struct run {
	struct gre_rx rx;
	uint32_t log[512];
	size_t count;
	const uint8_t *bytes; /* of the last delivery */
};

static void
on_deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct run *run = arg;
	uint32_t carried;

	assert_int_equal(len, sizeof(carried));
	memcpy(&carried, bytes, sizeof(carried));
	assert_int_equal(carried, seq);
	assert_true(run->count < 512);
	run->log[run->count++] = seq;
	run->bytes = bytes;
}

static struct run
start(uint8_t window)
{
	struct run run = {0};

	gre_rx_init(&run.rx, window, TIMEOUT_US);
	return run;
}

static void
in_at(struct run *run, uint64_t now_us, uint32_t seq)
{
	gre_rx_input(&run->rx, now_us, seq, (const uint8_t *)&seq, sizeof(seq), on_deliver, run);
}

static void
in(struct run *run, uint32_t seq)
{
	in_at(run, 0, seq);
}

/* Exactly these numbers were delivered since the last look, and this many are held. */
#define expect(run, held_now, ...)                                                                 \
	do {                                                                                       \
		const uint32_t want[] = {__VA_ARGS__};                                             \
		assert_int_equal((run)->count, sizeof(want) / sizeof(want[0]));                    \
		assert_memory_equal((run)->log, want, sizeof(want));                               \
		assert_int_equal((run)->rx.held, held_now);                                        \
		(run)->count = 0;                                                                  \
	} while (0)

static void
expect_none(struct run *run, unsigned held_now)
{
	assert_int_equal(run->count, 0);
	assert_int_equal(run->rx.held, held_now);
}

static void
test_any_start(void **state)
{
	static const uint32_t starts[] = {0, 1, 2, 77, 0x7fffffff, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct run run = start(8);

		in(&run, starts[i]);
		in(&run, starts[i] + 1);
		expect(&run, 0, starts[i], starts[i] + 1);
		assert_int_equal(run.rx.stats.lost, 0);
		assert_null(run.rx.slots);
		gre_rx_fini(&run.rx);
	}
}

static void
test_in_order_without_copy(void **state)
{
	struct run run = start(8);
	uint32_t seq = 5;

	gre_rx_input(&run.rx, 0, seq, (const uint8_t *)&seq, sizeof(seq), on_deliver, &run);
	assert_ptr_equal(run.bytes, &seq);
	/* The one that closes a gap, too. */
	in(&run, 7);
	seq = 6;
	run.count = 0;
	gre_rx_input(&run.rx, 0, seq, (const uint8_t *)&seq, sizeof(seq), on_deliver, &run);
	expect(&run, 0, 6, 7);
	gre_rx_fini(&run.rx);
}

static void
test_duplicates(void **state)
{
	struct run run = start(8);

	in(&run, 0);
	in(&run, 0);
	in(&run, 1);
	in(&run, 1);
	in(&run, 0);
	expect(&run, 0, 0, 1);
	assert_int_equal(run.rx.stats.duplicate, 3);
	in(&run, 3);
	in(&run, 3); /* held already */
	expect_none(&run, 1);
	assert_int_equal(run.rx.stats.duplicate, 4);
	in(&run, 2);
	in(&run, 3);
	expect(&run, 0, 2, 3);
	assert_int_equal(run.rx.stats.duplicate, 5);
	assert_int_equal(run.rx.stats.late, 0);
	for (uint32_t seq = 4; seq < 70; seq++)
		in(&run, seq);
	run.count = 0;
	in(&run, 6); /* 63 ago: still known */
	assert_int_equal(run.rx.stats.duplicate, 6);
	in(&run, 5); /* 64 ago: all that is known is that it is late */
	expect_none(&run, 0);
	assert_int_equal(run.rx.stats.duplicate, 6);
	assert_int_equal(run.rx.stats.late, 1);
	gre_rx_fini(&run.rx);
}

static void
test_reorder_within_window(void **state)
{
	struct run run = start(4);

	in(&run, 10);
	in(&run, 12);
	in(&run, 11);
	expect(&run, 0, 10, 11, 12);
	assert_int_equal(run.rx.stats.reordered, 1);
	/* Backwards, as far as the window holds: four packets. */
	in(&run, 17);
	in(&run, 16);
	in(&run, 15);
	in(&run, 14);
	expect_none(&run, 4);
	in(&run, 13);
	expect(&run, 0, 13, 14, 15, 16, 17);
	assert_int_equal(run.rx.stats.reordered, 5);
	/* Two gaps, closed one after the other. */
	in(&run, 19);
	in(&run, 21);
	in(&run, 18);
	expect(&run, 1, 18, 19);
	in(&run, 20);
	expect(&run, 0, 20, 21);
	assert_int_equal(run.rx.stats.lost, 0);
	assert_int_equal(run.rx.stats.overflow, 0);
	assert_int_equal(run.rx.stats.delivered, 12);
	gre_rx_fini(&run.rx);
}

/* What is held goes to somebody else; here it is as if it had never come. */
static void
test_take(void **state)
{
	struct run run = start(8);

	gre_rx_take(&run.rx, on_deliver, &run);
	expect_none(&run, 0);
	in(&run, 0xfffffffd);
	in(&run, 3);
	in(&run, 0xffffffff);
	in(&run, 0);
	expect(&run, 3, 0xfffffffd);
	gre_rx_take(&run.rx, on_deliver, &run);
	expect(&run, 0, 0xffffffff, 0, 3);
	assert_int_equal(run.rx.last, 0xfffffffd);
	assert_int_equal(run.rx.stats.lost, 0);
	assert_null(run.rx.slots);
	in(&run, 0);
	in(&run, 0xffffffff);
	in(&run, 0xfffffffe);
	expect(&run, 0, 0xfffffffe, 0xffffffff, 0);
	gre_rx_fini(&run.rx);
}

static void
test_timeout(void **state)
{
	struct run run = start(8);

	in_at(&run, 100, 0);
	assert_true(gre_rx_tick(&run.rx, 100, on_deliver, &run) == UINT64_MAX);
	in_at(&run, 200, 3);
	in_at(&run, 700, 5);
	in_at(&run, 800, 2);
	expect(&run, 3, 0);
	assert_true(gre_rx_tick(&run.rx, 900, on_deliver, &run) == 300);
	assert_true(gre_rx_tick(&run.rx, 1199, on_deliver, &run) == 1);
	expect_none(&run, 3);
	/* 3 has waited for 1 long enough; 5 waits for 4 until 1700. */
	assert_true(gre_rx_tick(&run.rx, 1200, on_deliver, &run) == 500);
	expect(&run, 1, 2, 3);
	assert_int_equal(run.rx.stats.lost, 1);
	in_at(&run, 1300, 1);
	expect_none(&run, 1);
	assert_int_equal(run.rx.stats.late, 1);
	assert_non_null(run.rx.slots);
	assert_true(gre_rx_tick(&run.rx, 5000, on_deliver, &run) == UINT64_MAX);
	expect(&run, 0, 5);
	assert_int_equal(run.rx.stats.lost, 2);
	assert_null(run.rx.slots);
	gre_rx_fini(&run.rx);
}

/* A late tick: the packet that comes first is used, and then what is overdue goes. */
static void
test_timeout_seen_by_input(void **state)
{
	struct run run = start(8);

	in_at(&run, 0, 0);
	in_at(&run, 0, 2);
	in_at(&run, 0, 5);
	in_at(&run, 5000, 1);
	expect(&run, 0, 0, 1, 2, 5);
	assert_int_equal(run.rx.stats.lost, 2);
	/* A clock that went back waits; it neither gives up nor hangs. */
	in_at(&run, 6000, 7);
	assert_true(gre_rx_tick(&run.rx, 10, on_deliver, &run) == TIMEOUT_US);
	expect_none(&run, 1);
	gre_rx_fini(&run.rx);
}

static void
test_overflow(void **state)
{
	struct run run = start(4);

	in(&run, 0);
	for (uint32_t seq = 2; seq <= 5; seq++)
		in(&run, seq);
	expect(&run, 4, 0);
	in(&run, 6); /* a fifth: 1 is given up, and nothing has to wait any more */
	expect(&run, 0, 2, 3, 4, 5, 6);
	assert_int_equal(run.rx.stats.lost, 1);
	assert_int_equal(run.rx.stats.overflow, 1);
	gre_rx_fini(&run.rx);
}

static void
test_overflow_gives_up_no_more_than_it_must(void **state)
{
	struct run run = start(4);

	in(&run, 0);
	in(&run, 2);
	in(&run, 4);
	in(&run, 6); /* 1 is given up, 3 is not */
	expect(&run, 2, 0, 2);
	in(&run, 3);
	in(&run, 5);
	expect(&run, 0, 3, 4, 5, 6);
	assert_int_equal(run.rx.stats.lost, 1);
	gre_rx_fini(&run.rx);
}

static void
test_no_window(void **state)
{
	struct run run = start(0);

	in(&run, 0);
	in(&run, 2);
	in(&run, 1);
	in(&run, 3);
	expect(&run, 0, 0, 2, 3);
	assert_int_equal(run.rx.stats.lost, 1);
	assert_int_equal(run.rx.stats.late, 1);
	assert_null(run.rx.slots);
	gre_rx_fini(&run.rx);
}

static void
test_jump(void **state)
{
	struct run run = start(4);

	in(&run, 0);
	in(&run, 129); /* a takeover's jump is taken at once */
	expect(&run, 0, 0, 129);
	assert_int_equal(run.rx.stats.lost, 128);
	in(&run, 131);
	in(&run, 131 + GRE_RX_JUMP_MAX - 2); /* flushes what is held */
	expect(&run, 0, 131, 131 + GRE_RX_JUMP_MAX - 2);
	in(&run, 130);
	expect_none(&run, 0);
	assert_int_equal(run.rx.stats.late, 1);
	assert_int_equal(run.rx.stats.suspect, 0);
	gre_rx_fini(&run.rx);
}

/* One damaged number does not make the session deaf; a real jump is taken with its second packet.
 */
static void
test_long_jump_needs_a_second_packet(void **state)
{
	struct run run = start(4);

	in(&run, 0);
	in(&run, 0x40000001);
	in(&run, 1);
	in(&run, 2 + GRE_RX_JUMP_MAX);
	in(&run, 2);
	expect(&run, 0, 0, 1, 2);
	assert_int_equal(run.rx.stats.suspect, 2);
	assert_int_equal(run.rx.stats.lost, 0);
	in(&run, 10000);
	in(&run, 10000); /* a duplicate bears out nothing */
	in(&run, 9999);  /* nor does a packet from before */
	expect_none(&run, 0);
	in(&run, 10001);
	in(&run, 10002);
	expect(&run, 0, 10001, 10002);
	assert_int_equal(run.rx.stats.suspect, 5);
	/* Two damaged ones that have nothing to do with each other. */
	in(&run, 0x10000000);
	in(&run, 0x20000000);
	in(&run, 10003);
	expect(&run, 0, 10003);
	/* What is held waits on, untouched by a suspect. */
	in(&run, 10005);
	in(&run, 0x30000000);
	expect_none(&run, 1);
	in(&run, 10004);
	expect(&run, 0, 10004, 10005);
	gre_rx_fini(&run.rx);
}

/* With every window: the wrap, in order, reordered, and with 0xffffffff lost. */
static void
test_wrap(void **state)
{
	for (unsigned window = 1; window <= GRE_RX_WINDOW_MAX; window++) {
		struct run run = start((uint8_t)window);
		uint32_t first = (uint32_t)0 - window / 2;

		in(&run, first - 1);
		for (uint32_t i = window; i > 0; i--)
			in(&run, first + i);
		assert_int_equal(run.rx.held, window);
		in(&run, first);
		assert_int_equal(run.rx.held, 0);
		assert_int_equal(run.count, window + 2);
		for (uint32_t i = 0; i < run.count; i++)
			assert_int_equal(run.log[i], first - 1 + i);
		assert_int_equal(run.rx.stats.lost, 0);
		gre_rx_fini(&run.rx);
	}

	struct run run = start(4);

	in(&run, 0xfffffffe);
	in(&run, 0);
	in(&run, 1);
	expect(&run, 2, 0xfffffffe);
	gre_rx_tick(&run.rx, TIMEOUT_US, on_deliver, &run);
	expect(&run, 0, 0, 1);
	in(&run, 0xffffffff);
	expect_none(&run, 0);
	assert_int_equal(run.rx.stats.lost, 1);
	assert_int_equal(run.rx.stats.late, 1);
	gre_rx_fini(&run.rx);
}

static void
test_window_is_cut(void **state)
{
	struct run run = start(255);

	assert_int_equal(run.rx.window, GRE_RX_WINDOW_MAX);
	in(&run, 0);
	for (uint32_t seq = 2; seq < 2 + GRE_RX_WINDOW_MAX; seq++)
		in(&run, seq);
	assert_int_equal(run.rx.held, GRE_RX_WINDOW_MAX);
	gre_rx_fini(&run.rx); /* frees what is held: the sanitizer tells */
	assert_int_equal(run.rx.held, 0);
	assert_null(run.rx.slots);
}

static void
on_empty(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	size_t *count = arg;

	assert_int_equal(len, 0);
	(*count)++;
}

static void
test_empty_frames_are_held(void **state)
{
	struct gre_rx rx;
	size_t count = 0;

	gre_rx_init(&rx, 4, TIMEOUT_US);
	gre_rx_input(&rx, 0, 1, NULL, 0, on_empty, &count);
	gre_rx_input(&rx, 0, 3, NULL, 0, on_empty, &count);
	assert_int_equal(count, 1);
	gre_rx_input(&rx, 0, 2, NULL, 0, on_empty, &count);
	assert_int_equal(count, 3);
	gre_rx_fini(&rx);
}

static void
test_transmit(void **state)
{
	struct gre_tx tx = {.peer_call_id = 0x1234};
	struct gre_ack a = {0};
	struct gre_header h;

	assert_false(gre_tx_ack(0x1234, &a, &h)); /* nothing to acknowledge */
	h = gre_tx_data(&tx, &a, 100);
	assert_int_equal(h.call_id, 0x1234);
	assert_int_equal(h.length, 100);
	assert_true(h.has_seq);
	assert_int_equal(h.seq, 0);
	assert_false(h.has_ack);

	gre_ack_received(&a, 0); /* 0 is acknowledged like any other */
	h = gre_tx_data(&tx, &a, 1);
	assert_int_equal(h.seq, 1);
	assert_true(h.has_ack);
	assert_int_equal(h.ack, 0);
	assert_false(gre_tx_ack(0x1234, &a, &h)); /* said already */
	assert_false(gre_tx_data(&tx, &a, 1).has_ack);

	gre_ack_received(&a, 5);
	gre_ack_received(&a, 4); /* never backwards */
	assert_true(gre_tx_ack(0xc001, &a, &h));
	assert_int_equal(h.call_id, 0xc001);
	assert_int_equal(h.length, 0);
	assert_false(h.has_seq);
	assert_true(h.has_ack);
	assert_int_equal(h.ack, 5);
	assert_false(gre_tx_ack(0xc001, &a, &h));
	assert_false(h.has_ack);
}

static void
test_transmit_wraps(void **state)
{
	struct gre_tx tx = {.next = 0xffffffff};
	struct gre_ack a = {0};

	gre_ack_received(&a, 0xffffffff);
	assert_int_equal(gre_tx_data(&tx, &a, 1).seq, 0xffffffff);
	gre_ack_received(&a, 0);
	struct gre_header h = gre_tx_data(&tx, &a, 1);
	assert_int_equal(h.seq, 0);
	assert_true(h.has_ack);
	assert_int_equal(h.ack, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_empty_frames),
	    cmocka_unit_test(test_truncated_at_each_byte),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_every_flag_word),
	    cmocka_unit_test(test_protocol),
	    cmocka_unit_test(test_any_start),
	    cmocka_unit_test(test_in_order_without_copy),
	    cmocka_unit_test(test_duplicates),
	    cmocka_unit_test(test_reorder_within_window),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_timeout),
	    cmocka_unit_test(test_timeout_seen_by_input),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_overflow_gives_up_no_more_than_it_must),
	    cmocka_unit_test(test_no_window),
	    cmocka_unit_test(test_jump),
	    cmocka_unit_test(test_long_jump_needs_a_second_packet),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_window_is_cut),
	    cmocka_unit_test(test_empty_frames_are_held),
	    cmocka_unit_test(test_transmit),
	    cmocka_unit_test(test_transmit_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
