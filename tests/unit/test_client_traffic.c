/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pure parts of the test client: inner packets, the books of a stream, quantiles and fault
 * injection. A tool that miscounts would let a gateway that loses packets pass.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/client/faults.c"
#include "tests/client/packet.c"
#include "tests/client/samples.c"
#include "tests/client/stream.c"

/* ---- packets ---- */

static const struct packet ping = {.src = 0x0a08000a,
    .dst = 0xc0a80114,
    .protocol = PACKET_ICMP,
    .icmp_type = 8,
    .id = 0x0102,
    .probe = {.session = 3, .seq = 5, .sent_us = 0x1122334455667788}};
static const struct packet datagram = {.src = 0x0a08000a,
    .dst = 0xc0a80114,
    .protocol = PACKET_UDP,
    .sport = 20003,
    .dport = 7000,
    .probe = {.session = 3, .seq = 5, .sent_us = 1}};

/* Echo request 10.8.0.10 -> 192.168.1.20, 26 bytes of payload. */
static const uint8_t golden_ping[] = {
    0x45, 0x00, 0x00, 0x36,                         /* version 4, 20 bytes; total length 54 */
    0x00, 0x05, 0x40, 0x00,                         /* identification; do not fragment */
    0x40, 0x01, 0x6e, 0xf4,                         /* 64 hops, ICMP, checksum */
    0x0a, 0x08, 0x00, 0x0a, 0xc0, 0xa8, 0x01, 0x14, /* source, destination */
    0x08, 0x00, 0xd5, 0x83, 0x01, 0x02, 0x00, 0x05, /* request, checksum, identifier, sequence */
    0x70, 0x68, 0x61, 0x70,                         /* magic */
    0x00, 0x00, 0x00, 0x03,                         /* session */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, /* number */
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, /* time */
    0x3e, 0x3f,                                     /* pattern: 5 * 7 + 3 + 24, and on */
};

static void
test_checksum(void **state)
{
	/* RFC 1071 §3 */
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	static const uint8_t odd[] = {0x01, 0x02, 0x03};

	assert_int_equal(packet_checksum(example, sizeof(example)), 0xffff - 0xddf2);
	assert_int_equal(packet_checksum(odd, sizeof(odd)), 0xffff - 0x0402);
	assert_int_equal(packet_checksum(odd, 0), 0xffff);
}

static void
test_golden(void **state)
{
	uint8_t bytes[128];

	assert_int_equal(packet_build(&ping, 26, bytes, sizeof(bytes)), sizeof(golden_ping));
	assert_memory_equal(bytes, golden_ping, sizeof(golden_ping));
}

static void
test_round_trip(void **state)
{
	uint8_t bytes[1500];
	struct packet p;
	size_t len;

	for (size_t payload = PACKET_PROBE_LEN; payload <= 1472; payload++) {
		len = packet_build(&ping, payload, bytes, sizeof(bytes));
		assert_int_equal(len, PACKET_HEADERS + payload);
		assert_int_equal(packet_parse(bytes, len, &p), 0);
		assert_memory_equal(&p.probe, &ping.probe, sizeof(p.probe));
		assert_int_equal(p.id, ping.id);
		assert_int_equal(p.icmp_type, 8);
		len = packet_build(&datagram, payload, bytes, sizeof(bytes));
		assert_int_equal(packet_parse(bytes, len, &p), 0);
		assert_memory_equal(&p.probe, &datagram.probe, sizeof(p.probe));
		assert_int_equal(p.sport, 20003);
		assert_int_equal(p.dport, 7000);
		assert_int_equal(p.src, datagram.src);
		assert_int_equal(p.dst, datagram.dst);
	}
}

static void
test_build_refuses(void **state)
{
	uint8_t bytes[128];
	struct packet p = ping;

	assert_int_equal(packet_build(&ping, PACKET_PROBE_LEN - 1, bytes, sizeof(bytes)), 0);
	assert_int_equal(packet_build(&ping, 101, bytes, sizeof(bytes)), 0);
	assert_int_equal(packet_build(&ping, 100, bytes, sizeof(bytes)), 128);
	p.protocol = 6;
	assert_int_equal(packet_build(&p, 50, bytes, sizeof(bytes)), 0);
}

static void
test_truncation(void **state)
{
	uint8_t bytes[128];
	size_t len = packet_build(&datagram, 40, bytes, sizeof(bytes));
	struct packet p;

	for (size_t n = 0; n < len; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, bytes, n);
		assert_int_equal(packet_parse(exact, n, &p), -1);
		assert_int_equal(errno, EBADMSG);
		free(exact);
	}
}

/* No single flipped bit passes for a sound answer, wherever it is. */
static void
test_damage_shows(void **state)
{
	const struct packet *const both[] = {&ping, &datagram};
	uint8_t bytes[128];
	struct packet p;

	for (unsigned k = 0; k < 2; k++) {
		size_t len = packet_build(both[k], 40, bytes, sizeof(bytes));

		for (size_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(packet_parse(bytes, len, &p), -1);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void
patch(uint8_t *bytes, size_t at, uint8_t value)
{
	uint16_t check;

	bytes[at] = value;
	bytes[10] = bytes[11] = 0;
	check = packet_checksum(bytes, PACKET_IP_LEN);
	bytes[10] = (uint8_t)(check >> 8);
	bytes[11] = (uint8_t)check;
}

static void
test_not_ours(void **state)
{
	uint8_t bytes[128];
	size_t len = packet_build(&ping, 40, bytes, sizeof(bytes));
	struct packet p;

	patch(bytes, 9, 6);
	assert_int_equal(packet_parse(bytes, len, &p), -1);
	assert_int_equal(errno, ENOMSG);
	patch(bytes, 9, PACKET_ICMP);
	assert_int_equal(packet_parse(bytes, len, &p), 0);
	patch(bytes, 6, 0x20); /* more fragments */
	assert_int_equal(packet_parse(bytes, len, &p), -1);
	assert_int_equal(errno, ENOMSG);
	patch(bytes, 6, 0x40);
	p = ping;
	p.icmp_type = 3;
	len = packet_build(&p, 40, bytes, sizeof(bytes));
	assert_int_equal(packet_parse(bytes, len, &p), -1);
	assert_int_equal(errno, ENOMSG);
}

/* ---- streams ---- */

static struct stream
sent(unsigned n)
{
	struct stream s = {0};

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(stream_send(&s, 1000 + i * 100), i);
	return s;
}

static void
test_all_answered(void **state)
{
	struct stream s = sent(10);

	for (unsigned i = 0; i < 10; i++)
		assert_true(stream_receive(&s, i, 1010 + i * 100));
	assert_int_equal(stream_lost(&s), 0);
	assert_int_equal(s.duplicates, 0);
	assert_int_equal(s.reordered, 0);
	assert_int_equal(stream_gap_us(&s), 100);
}

static void
test_duplicates_and_order(void **state)
{
	static const unsigned order[] = {0, 2, 1, 2, 1, 0, 3};
	struct stream s = sent(5);

	for (unsigned i = 0; i < 7; i++)
		(void)stream_receive(&s, order[i], 2000);
	assert_int_equal(s.received, 4);
	assert_int_equal(s.duplicates, 3);
	assert_int_equal(s.reordered, 1);
	assert_int_equal(stream_lost(&s), 1);
}

/* The first answer need not be to the first packet. */
static void
test_late_first(void **state)
{
	struct stream s = sent(4);

	assert_true(stream_receive(&s, 2, 2000));
	assert_true(stream_receive(&s, 0, 2001));
	assert_false(stream_receive(&s, 0, 2002));
	assert_true(stream_receive(&s, 3, 2003));
	assert_int_equal(stream_lost(&s), 1);
	assert_int_equal(s.reordered, 1);
	assert_int_equal(s.duplicates, 1);
}

static void
test_never_sent(void **state)
{
	struct stream s = sent(3);

	assert_false(stream_receive(&s, 3, 2000));
	assert_false(stream_receive(&s, UINT64_MAX, 2000));
	assert_int_equal(s.foreign, 2);
	assert_int_equal(stream_lost(&s), 3);
}

/* The window's bits are used again: a number a whole window later is new, one behind it unknown. */
static void
test_window(void **state)
{
	struct stream s = sent(3 * STREAM_WINDOW);

	for (uint64_t i = 0; i < 2 * STREAM_WINDOW; i += 2)
		assert_true(stream_receive(&s, i, 2000));
	assert_int_equal(s.received, STREAM_WINDOW);
	assert_true(stream_receive(&s, 2 * STREAM_WINDOW - 1, 2000));
	assert_false(stream_receive(&s, STREAM_WINDOW - 1, 2000));
	assert_int_equal(s.foreign, 1);
	assert_true(stream_receive(&s, STREAM_WINDOW + 1, 2000));
	assert_true(stream_receive(&s, 3 * STREAM_WINDOW - 1, 2000));
	assert_false(stream_receive(&s, 3 * STREAM_WINDOW - 1, 2000));
	assert_true(stream_receive(&s, 2 * STREAM_WINDOW, 2000));
	assert_int_equal(s.duplicates, 1);
	assert_int_equal(s.reordered, 2);
}

static void
test_gaps(void **state)
{
	struct stream s = sent(10); /* at 1000, 1100 ... 1900 */

	assert_int_equal(stream_gap_us(&s), 900); /* nothing ever came */
	(void)stream_receive(&s, 0, 1050);
	assert_int_equal(stream_gap_us(&s), 850);
	(void)stream_receive(&s, 4, 1450);
	assert_int_equal(s.gap_us, 400);
	(void)stream_receive(&s, 4, 1890); /* a duplicate ends no gap */
	assert_int_equal(stream_gap_us(&s), 450);
	(void)stream_receive(&s, 9, 1910);
	assert_int_equal(stream_gap_us(&s), 460);
	(void)stream_send(&s, 5000);
	assert_int_equal(stream_gap_us(&s), 3090); /* sent and not answered: silent since */
	(void)stream_receive(&s, 10, 5001);
	assert_int_equal(stream_gap_us(&s), 3091);
}

/* ---- quantiles ---- */

static void
test_quantiles(void **state)
{
	struct samples s = {0};

	assert_int_equal(samples_quantile(&s, 0.5), 0);
	for (unsigned i = 1000; i > 0; i--)
		samples_add(&s, i);
	assert_int_equal(samples_quantile(&s, 0), 1);
	assert_int_equal(samples_quantile(&s, 0.5), 500);
	assert_int_equal(samples_quantile(&s, 0.99), 990);
	assert_int_equal(samples_quantile(&s, 1), 1000);
	samples_add(&s, UINT64_MAX);
	assert_int_equal(samples_quantile(&s, 1), UINT32_MAX);
	samples_fini(&s);
	samples_add(&s, 7);
	assert_int_equal(samples_quantile(&s, 0.5), 7);
	samples_fini(&s);
}

/* ---- faults ---- */

#define N_FAULTS 10000

struct sink {
	unsigned n, damaged, header_damaged;
	unsigned times[N_FAULTS]; /* by number */
	unsigned behind;          /* came after a higher number */
	unsigned highest;
};

static void
sink_cb(void *arg, const uint8_t *bytes, size_t len)
{
	struct sink *s = arg;
	unsigned number = (unsigned)bytes[0] << 8 | bytes[1];

	assert_int_equal(len, 40);
	s->n++;
	s->header_damaged += bytes[2] != 0xaa || bytes[3] != 0xbb;
	for (size_t i = 4; i < len; i++) {
		if (bytes[i] == 0x55)
			continue;
		s->damaged++;
		return;
	}
	assert_in_range(number, 0, N_FAULTS - 1);
	s->times[number]++;
	s->behind += number < s->highest;
	s->highest = number > s->highest ? number : s->highest;
}

static void
run_faults(const struct fault_rates *rates, struct faults *f, struct sink *s)
{
	struct fault_slot slot = {0};
	uint8_t bytes[40];

	memset(s, 0, sizeof(*s));
	memset(bytes, 0x55, sizeof(bytes));
	bytes[2] = 0xaa;
	bytes[3] = 0xbb;
	faults_init(f, rates, 42);
	assert_true(faults_any(f));
	for (unsigned i = 0; i < N_FAULTS; i++) {
		bytes[0] = (uint8_t)(i >> 8);
		bytes[1] = (uint8_t)i;
		faults_pass(f, &slot, bytes, sizeof(bytes), 4, sink_cb, s);
	}
	faults_flush(&slot, sink_cb, s);
	assert_null(slot.held);
	faults_flush(&slot, sink_cb, s);
	assert_int_equal(s->header_damaged, 0);
}

static unsigned
missing(const struct sink *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_FAULTS; i++)
		n += s->times[i] == 0;
	return n;
}

static void
test_loss(void **state)
{
	static struct sink s;
	struct faults f;

	run_faults(&(struct fault_rates){.loss = 10}, &f, &s);
	assert_in_range(f.counts.lost, 800, 1200);
	assert_int_equal(missing(&s), f.counts.lost);
	assert_int_equal(s.n, N_FAULTS - f.counts.lost);
	run_faults(&(struct fault_rates){.loss = 100}, &f, &s);
	assert_int_equal(s.n, 0);
}

static void
test_duplicate(void **state)
{
	static struct sink s;
	struct faults f;

	run_faults(&(struct fault_rates){.duplicate = 10}, &f, &s);
	assert_in_range(f.counts.duplicated, 800, 1200);
	assert_int_equal(s.n, N_FAULTS + f.counts.duplicated);
	assert_int_equal(missing(&s), 0);
}

/* Each reordered packet comes once, after the one that followed it. */
static void
test_reorder(void **state)
{
	static struct sink s;
	struct faults f;

	run_faults(&(struct fault_rates){.reorder = 10}, &f, &s);
	assert_in_range(f.counts.reordered, 700, 1200);
	assert_int_equal(s.behind, f.counts.reordered);
	assert_int_equal(missing(&s), 0);
	assert_int_equal(s.n, N_FAULTS);
}

static void
test_corrupt(void **state)
{
	static struct sink s;
	struct faults f;
	uint64_t before;

	run_faults(&(struct fault_rates){.corrupt = 10}, &f, &s);
	assert_in_range(f.counts.corrupted_instead, 800, 1200);
	assert_int_equal(s.n, N_FAULTS);
	/* An even number of flips may hit one bit twice and heal it. */
	assert_in_range(
	    s.damaged, f.counts.corrupted_instead * 97 / 100, f.counts.corrupted_instead);
	run_faults(&(struct fault_rates){.corrupt_extra = 10}, &f, &s);
	before = f.counts.corrupted_before;
	assert_in_range(before, 350, 650);
	assert_in_range(f.counts.corrupted_after, 350, 650);
	assert_int_equal(missing(&s), 0);
	assert_int_equal(s.n, N_FAULTS + before + f.counts.corrupted_after);
}

static void
test_no_faults(void **state)
{
	static struct sink s;
	struct faults f;
	struct fault_slot slot = {0};
	uint8_t bytes[40] = {0, 0, 0xaa, 0xbb};

	memset(bytes + 4, 0x55, 36);
	memset(&s, 0, sizeof(s));
	faults_init(&f, &(struct fault_rates){0}, 0);
	assert_false(faults_any(&f));
	faults_pass(&f, &slot, bytes, sizeof(bytes), 4, sink_cb, &s);
	assert_int_equal(s.times[0], 1);
	faults_drop(&slot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_checksum),
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_build_refuses),
	    cmocka_unit_test(test_truncation),
	    cmocka_unit_test(test_damage_shows),
	    cmocka_unit_test(test_not_ours),
	    cmocka_unit_test(test_all_answered),
	    cmocka_unit_test(test_duplicates_and_order),
	    cmocka_unit_test(test_late_first),
	    cmocka_unit_test(test_never_sent),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_gaps),
	    cmocka_unit_test(test_quantiles),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_duplicate),
	    cmocka_unit_test(test_reorder),
	    cmocka_unit_test(test_corrupt),
	    cmocka_unit_test(test_no_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
