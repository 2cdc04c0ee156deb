/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Segments of a client of a restored connection, and the verdict on them: a table of stories, each
 * told at several places of the circle of sequence numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pptpd/engine/hole.c"

/* ---- parsing ---- */

/* 198.51.100.100:40000 > 198.51.100.10:1723, seq 0x01020304, ack 0x05060708, ACK|PSH, 12 bytes of
 * options, 16 of payload. */
static const uint8_t golden[] = {0x45, 0x00, 0x00, 0x44, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0xab,
    0xcd, 198, 51, 100, 100, 198, 51, 100, 10, 0x9c, 0x40, 0x06, 0xbb, 0x01, 0x02, 0x03, 0x04, 0x05,
    0x06, 0x07, 0x08, 0x80, 0x18, 0x01, 0xf6, 0x00, 0x00, 0x00, 0x00, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0,
    0, 2, 0, 16, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 5, 0, 0, 0, 0, 0, 9};

static void
test_golden(void **state)
{
	struct hole_segment s;

	assert_true(hole_parse(golden, sizeof golden, &s));
	assert_int_equal(s.peer_ip, 0xc6336464);
	assert_int_equal(s.local_ip, 0xc633640a);
	assert_int_equal(s.peer_port, 40000);
	assert_int_equal(s.local_port, 1723);
	assert_int_equal(s.seq, 0x01020304);
	assert_int_equal(s.ack, 0x05060708);
	assert_int_equal(s.len, 16);
	assert_true(s.has_ack);
	assert_false(s.opens);
	assert_false(s.resets);
}

static void
test_padding_is_no_payload(void **state)
{
	uint8_t packet[sizeof golden + 6] = {0};
	struct hole_segment s;

	memcpy(packet, golden, sizeof golden);
	assert_true(hole_parse(packet, sizeof packet, &s));
	assert_int_equal(s.len, 16);
	packet[3] = 52; /* a bare acknowledgement */
	assert_true(hole_parse(packet, 58, &s));
	assert_int_equal(s.len, 0);
}

static void
test_truncated_at_each_byte(void **state)
{
	struct hole_segment s;

	for (size_t n = 0; n < sizeof golden; n++)
		assert_false(hole_parse(golden, n, &s));
}

static void
test_not_for_us(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} faults[] = {
	    {0, 0x65},  /* version 6 */
	    {0, 0x44},  /* a header of 16 bytes */
	    {9, 17},    /* UDP */
	    {6, 0x20},  /* the first of several fragments */
	    {7, 1},     /* a later fragment */
	    {3, 10},    /* shorter than its header */
	    {3, 39},    /* no whole TCP header */
	    {32, 0x40}, /* a TCP header of 16 bytes */
	    {32, 0xf0}, /* of 60, beyond the packet */
	};
	uint8_t packet[sizeof golden];
	struct hole_segment s;

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		memcpy(packet, golden, sizeof packet);
		packet[faults[i].at] = faults[i].value;
		assert_false(hole_parse(packet, sizeof packet, &s));
	}
}

static void
test_flags(void **state)
{
	uint8_t packet[sizeof golden];
	struct hole_segment s;

	memcpy(packet, golden, sizeof packet);
	packet[33] = 0x02;
	assert_true(hole_parse(packet, sizeof packet, &s));
	assert_true(s.opens && !s.has_ack && !s.resets);
	packet[33] = 0x14;
	assert_true(hole_parse(packet, sizeof packet, &s));
	assert_true(s.resets && s.has_ack && !s.opens);
}

/* ---- verdicts ---- */

#define STEPS 6

/* Numbers count from what is expected and from what was sent, when the story begins. */
struct step {
	uint64_t at_ms;
	bool silence; /* no segment: time passes */
	int32_t seq, ack;
	int32_t rcv; /* what our kernel expects by then */
	enum hole_verdict want;
};

struct story {
	const char *name;
	unsigned n;
	struct step steps[STEPS];
	int32_t rcv, snd; /* where it goes on, when a hole was found */
};

static const struct story stories[] = {
    {"the answer to the probe is in step", 1, {{.want = HOLE_NONE}}, 0, 0},
    {"a keep-alive, one byte back", 1, {{.seq = -1, .want = HOLE_NONE}}, 0, 0},
    {"it repeats what we have", 1, {{.seq = -16, .want = HOLE_NONE}}, 0, 0},
    {"it has not got our tail yet", 1, {{.ack = -200, .want = HOLE_NONE}}, 0, 0},
    {"silence proves nothing", 2,
	{{.silence = true, .want = HOLE_UNKNOWN},
	    {.at_ms = 100000, .silence = true, .want = HOLE_UNKNOWN}},
	0, 0},
    {"overtaken: the missing one comes late", 3,
	{{.seq = 16, .want = HOLE_UNKNOWN}, {.at_ms = 1499, .seq = 16, .want = HOLE_UNKNOWN},
	    {.at_ms = 1499, .seq = 0, .want = HOLE_NONE}},
	0, 0},
    {"the kernel got the missing one unseen by us", 2,
	{{.seq = 16, .want = HOLE_UNKNOWN},
	    {.at_ms = 700, .silence = true, .rcv = 16, .want = HOLE_NONE}},
	0, 0},
    {"the kernel got part of it: still missing", 3,
	{{.seq = 32, .want = HOLE_UNKNOWN},
	    {.at_ms = 700, .silence = true, .rcv = 16, .want = HOLE_UNKNOWN},
	    {.at_ms = 1500, .silence = true, .rcv = 16, .want = HOLE_FOUND}},
	32, 0},
    {"a hole, by silence", 3,
	{{.at_ms = 50, .seq = 16, .want = HOLE_UNKNOWN},
	    {.at_ms = 1549, .silence = true, .want = HOLE_UNKNOWN},
	    {.at_ms = 1550, .silence = true, .want = HOLE_FOUND}},
	16, 0},
    {"a hole, by a segment; the lowest counts", 4,
	{{.seq = 52, .want = HOLE_UNKNOWN}, {.at_ms = 10, .seq = 36, .want = HOLE_UNKNOWN},
	    {.at_ms = 20, .seq = 68, .want = HOLE_UNKNOWN},
	    {.at_ms = 2000, .seq = 52, .want = HOLE_FOUND}},
	36, 0},
    {"it acknowledges what we never said, else in step: no need to wait", 1,
	{{.ack = 20, .want = HOLE_FOUND}}, 0, 20},
    {"that, with a keep-alive", 1, {{.seq = -1, .ack = 20, .want = HOLE_FOUND}}, 0, 20},
    {"out of step both ways", 3,
	{{.seq = 16, .ack = 20, .want = HOLE_UNKNOWN},
	    {.at_ms = 900, .seq = 16, .ack = 40, .want = HOLE_UNKNOWN},
	    {.at_ms = 1500, .silence = true, .want = HOLE_FOUND}},
	16, 40},
    {"ahead; an old segment that acknowledges less is no proof", 3,
	{{.seq = 16, .ack = 20, .want = HOLE_UNKNOWN},
	    {.at_ms = 900, .seq = 16, .ack = 0, .want = HOLE_UNKNOWN},
	    {.at_ms = 1600, .silence = true, .want = HOLE_FOUND}},
	16, 20},
    {"ahead, then it repeats what we lack: its own numbers are in step", 2,
	{{.seq = 16, .ack = 20, .want = HOLE_UNKNOWN},
	    {.at_ms = 300, .seq = 0, .ack = 20, .want = HOLE_FOUND}},
	0, 20},
    {"numbers from far away are none of its", 4,
	{{.seq = HOLE_FAR + 1, .want = HOLE_UNKNOWN}, {.seq = -HOLE_FAR - 1, .want = HOLE_UNKNOWN},
	    {.ack = HOLE_FAR + 1, .want = HOLE_UNKNOWN},
	    {.at_ms = 5000, .silence = true, .want = HOLE_UNKNOWN}},
	0, 0},
};

static void
tell(const struct story *st, uint32_t rcv, uint32_t snd)
{
	struct hole h = {0};
	enum hole_verdict v;

	for (unsigned i = 0; i < st->n; i++) {
		const struct step *x = &st->steps[i];
		const struct hole_segment s = {
		    .seq = rcv + (uint32_t)x->seq, .ack = snd + (uint32_t)x->ack, .has_ack = true};
		uint32_t now = rcv + (uint32_t)x->rcv;

		v = x->silence ? hole_judge(&h, now, 1000 + x->at_ms)
			       : hole_hear(&h, &s, now, snd, 1000 + x->at_ms);
		if (v != x->want)
			fail_msg("%s: step %u, verdict %d", st->name, i, v);
		if (v == HOLE_FOUND) {
			assert_int_equal(hole_rcv(&h, now), rcv + (uint32_t)st->rcv);
			assert_int_equal(hole_snd(&h, snd), snd + (uint32_t)st->snd);
		}
	}
}

static void
test_stories(void **state)
{
	static const uint32_t places[] = {
	    0, 1, 1000, 0x7ffffff8, 0x80000000, 0xffff0001, 0xfffffff0, 0xffffffec, 0xffffffff};
	const size_t n = sizeof places / sizeof places[0];

	for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
		for (size_t r = 0; r < n; r++)
			for (size_t s = 0; s < n; s++)
				tell(&stories[i], places[r], places[s]);
}

/* A redial from the same port, and a client that is gone, say nothing of this connection. */
static void
test_opening_and_reset(void **state)
{
	struct hole h = {0};
	struct hole_segment s = {.seq = 1016, .ack = 2000, .has_ack = true, .opens = true};

	assert_int_equal(hole_hear(&h, &s, 1000, 2000, 1), HOLE_UNKNOWN);
	s.opens = false;
	s.resets = true;
	assert_int_equal(hole_hear(&h, &s, 1000, 2000, 1), HOLE_UNKNOWN);
	assert_false(h.heard);
	assert_int_equal(hole_judge(&h, 1000, 5000), HOLE_UNKNOWN);
	s.resets = false;
	assert_int_equal(hole_hear(&h, &s, 1000, 2000, 1), HOLE_UNKNOWN);
	assert_true(h.heard);
	assert_int_equal(hole_judge(&h, 1000, 5000), HOLE_FOUND);
}

static void
test_echo(void **state)
{
	unsigned n = 0;

	for (size_t bytes = 0; bytes < 500; bytes++)
		n += hole_held_echo(bytes);
	assert_int_equal(n, 3);
	assert_true(hole_held_echo(16));
	assert_true(hole_held_echo(36));
	assert_true(hole_held_echo(40));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_padding_is_no_payload),
	    cmocka_unit_test(test_truncated_at_each_byte),
	    cmocka_unit_test(test_not_for_us),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_stories),
	    cmocka_unit_test(test_opening_and_reset),
	    cmocka_unit_test(test_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
