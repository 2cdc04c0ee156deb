/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the test client judges a takeover by: the strict receiver, windows, commands, unreachable
 * messages. A client that forgives more than real ones would let a gateway that loses them pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/client/command.c"
#include "tests/client/strict.c"
#include "tests/client/unreachable.c"
#include "tests/client/window.c"

static const uint8_t data[] = {0xff, 0x03, 0x00, 0xfd, 0x90, 0x00};
static const uint8_t lcp_echo[] = {0xff, 0x03, 0xc0, 0x21, 0x09, 0x01, 0x00, 0x08, 0, 0, 0, 0};
static const uint8_t lcp_reject[] = {0xff, 0x03, 0xc0, 0x21, 0x08, 0x01, 0x00, 0x04};

static bool
take(struct strict *s, uint32_t seq)
{
	return strict_take(s, seq, data, sizeof(data));
}

/* ---- numbers ---- */

static void
test_forward(void **state)
{
	struct strict s = {0};

	strict_init(&s, 0);
	assert_true(take(&s, 7)); /* the first may bear any number */
	assert_true(take(&s, 8));
	assert_int_equal(s.run.numbers, 0);
	assert_true(take(&s, 10));
	assert_int_equal(s.run.numbers, 1);
	assert_true(take(&s, 139));
	assert_int_equal(s.run.numbers, 128);
	assert_true(take(&s, 1u << 31));
	assert_int_equal(s.run.numbers, (1u << 31) - 140);
	assert_int_equal(s.run.old, 0);
}

static void
test_backward(void **state)
{
	struct strict s = {0};

	strict_init(&s, 0);
	assert_true(take(&s, 1000));
	assert_false(take(&s, 1000));
	assert_false(take(&s, 999));
	assert_false(take(&s, 1));
	assert_int_equal(s.run.old, 3);
	assert_false(strict_take(&s, 999, lcp_reject, sizeof(lcp_reject)));
	assert_true(strict_take(&s, 999, lcp_echo, sizeof(lcp_echo)));
	assert_false(strict_take(&s, 999, lcp_echo, 4));
	assert_int_equal(s.run.old, 5);
	assert_int_equal(s.last, 1000);
	assert_true(take(&s, 1001));
}

/* After 0xffffffff everything is new; without it everything is old, for ever. */
static void
test_wrap(void **state)
{
	struct strict s = {0};

	strict_init(&s, 0);
	assert_true(take(&s, UINT32_MAX - 1));
	assert_true(take(&s, UINT32_MAX));
	assert_true(take(&s, 0));
	assert_true(take(&s, 1));
	assert_false(take(&s, UINT32_MAX - 3)); /* late, from before the wrap */
	assert_int_equal(s.last, 1);
	strict_init(&s, 0);
	assert_true(take(&s, UINT32_MAX - 1));
	assert_false(take(&s, 0));
	assert_false(take(&s, 100000));
	assert_int_equal(s.last, UINT32_MAX - 1);
}

static void
test_missing_window(void **state)
{
	struct strict s = {0};

	strict_init(&s, 300);
	assert_true(take(&s, 1));
	assert_true(take(&s, 300));
	assert_int_equal(s.run.numbers, 298);
	assert_false(take(&s, 600));
	assert_false(take(&s, 601)); /* deaf for ever: the window does not move */
	assert_int_equal(s.run.deaf, 2);
	assert_int_equal(s.last, 300);
	assert_int_equal(s.run.old, 0);
}

/* A mark begins anew; the run's figures stay. */
static void
test_mark(void **state)
{
	struct strict s = {0};

	strict_init(&s, 0);
	assert_true(take(&s, 1));
	assert_true(take(&s, 102));
	strict_keys(&s, 90);
	strict_too_far(&s);
	assert_true(s.halted);
	strict_mark(&s);
	assert_true(take(&s, 104));
	strict_keys(&s, 3);
	assert_int_equal(s.window.numbers, 1);
	assert_int_equal(s.window.keys, 3);
	assert_int_equal(s.window.too_far, 0);
	assert_int_equal(s.run.numbers, 100);
	assert_int_equal(s.run.keys, 90);
	assert_int_equal(s.run.too_far, 1);
	strict_init(&s, 0); /* a new call: heals, but forgets nothing */
	assert_false(s.halted);
	assert_int_equal(s.run.numbers, 100);
}

/* ---- windows ---- */

static void
test_window(void **state)
{
	struct window w;
	uint64_t from_us;

	window_open(&w, 10, 1000);
	window_answer(&w, 9, 1100); /* sent before, answered now: ends a gap, counts for nothing */
	assert_int_equal(w.answered, 0);
	assert_int_equal(w.gap_us, 100);
	window_answer(&w, 10, 1150);
	window_answer(&w, 12, 1450);
	assert_int_equal(w.gap_us, 300);
	assert_int_equal(w.gap_at_us, 1150);
	window_close(&w, 14, 1500);
	assert_int_equal(window_gap_us(&w, &from_us), 300);
	assert_int_equal(from_us, 1150);
	assert_int_equal(window_sent(&w), 4);
	assert_int_equal(window_lost(&w), 2);
	window_answer(&w, 13, 9000); /* late, but sent in it; no gap any more */
	window_answer(&w, 14, 9001); /* sent after */
	assert_int_equal(window_lost(&w), 1);
	assert_int_equal(window_gap_us(&w, &from_us), 300);
}

/* Who never answers again has a gap to the very end. */
static void
test_window_silence(void **state)
{
	struct window w;
	uint64_t from_us;

	window_open(&w, 0, 1000);
	window_answer(&w, 0, 1010);
	window_close(&w, 50, 6010);
	assert_int_equal(window_gap_us(&w, &from_us), 5000);
	assert_int_equal(from_us, 1010);
	assert_int_equal(window_lost(&w), 49);
	window_close(&w, 90, 9999); /* closed is closed */
	assert_int_equal(window_gap_us(&w, &from_us), 5000);
	assert_int_equal(window_sent(&w), 50);
}

/* What had arrived before the end is no silence, however late it is read. */
static void
test_window_read_late(void **state)
{
	struct window w;
	uint64_t from_us;

	window_open(&w, 0, 1000);
	window_answer(&w, 0, 1010);
	window_close(&w, 50, 6010);
	window_answer(&w, 1, 1110);
	window_answer(&w, 2, 6000);
	window_answer(&w, 3, 9000);
	assert_int_equal(window_gap_us(&w, &from_us), 4890);
	assert_int_equal(from_us, 1110);
	assert_int_equal(window_lost(&w), 46);
}

static void
test_window_idle(void **state)
{
	struct window w;

	window_open(&w, 0, 1000);
	window_close(&w, 0, 2000);
	assert_int_equal(window_sent(&w), 0);
	assert_int_equal(window_lost(&w), 0);
}

/* ---- commands ---- */

static void
test_commands(void **state)
{
	struct command c;

	assert_true(command_parse("mark power-1", 10, &c));
	assert_int_equal(c.kind, COMMAND_MARK);
	assert_string_equal(c.name, "power-1");
	assert_true(command_parse("window", 10, &c));
	assert_int_equal(c.kind, COMMAND_WINDOW);
	assert_true(command_parse("  echo   all 30 ", 10, &c));
	assert_int_equal(c.kind, COMMAND_ECHO);
	assert_int_equal(c.first, 0);
	assert_int_equal(c.last, 9);
	assert_int_equal(c.seconds, 30);
	assert_true(command_parse("clear 3-5", 10, &c));
	assert_int_equal(c.kind, COMMAND_CLEAR);
	assert_int_equal(c.first, 3);
	assert_int_equal(c.last, 5);
	assert_true(command_parse("sli 9", 10, &c));
	assert_int_equal(c.first, 9);
	assert_int_equal(c.last, 9);
	assert_true(command_parse("quit\r", 10, &c));
	assert_int_equal(c.kind, COMMAND_QUIT);
}

static void
test_no_commands(void **state)
{
	static const char *const bad[] = {"", " ", "marks a", "mark", "mark a b", "window 1",
	    "echo", "echo 10", "echo 3-10", "echo 5-3", "echo -1", "echo 1-", "echo 1x",
	    "echo all x", "echo all 601", "sli all 5", "clear 1 2 3", "quit now",
	    "mark a-name-that-is-longer-than-a-name-may-be",
	    "clear 99999999999999999999999999999999"};
	struct command c;
	char line[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(command_parse(bad[i], 10, &c));
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_false(command_parse(line, 10, &c));
	assert_false(command_parse("window", 0, &c));
}

/* ---- unreachable ---- */

/* Protocol unreachable from 198.51.100.10 to 198.18.1.1, about a GRE packet. */
static const uint8_t golden[] = {
    0x45, 0xc0, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, /* ICMP */
    198, 51, 100, 10, 198, 18, 1, 1,                                        /* from, to */
    0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,                         /* type, code */
    0x45, 0x00, 0x00, 0x5a, 0x00, 0x01, 0x40, 0x00, 0x3f, 0x2f, 0x00, 0x00, /* GRE */
    198, 18, 1, 1, 198, 51, 100, 10,                                        /* from, to */
    0x30, 0x01, 0x88, 0x0b, 0x00, 0x40, 0x12, 0x34,                         /* of its header */
};

static void
test_unreachable(void **state)
{
	struct unreachable u;
	uint8_t bytes[sizeof(golden)];

	assert_true(unreachable_parse(golden, sizeof(golden), &u));
	assert_int_equal(u.from, 0xc633640a);
	assert_int_equal(u.source, 0xc6120101);
	assert_int_equal(u.target, 0xc633640a);
	assert_int_equal(u.code, 2);
	assert_int_equal(u.protocol, 47);
	for (size_t n = 0; n < 48; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, golden, n);
		assert_false(unreachable_parse(exact, n, &u));
		free(exact);
	}
	memcpy(bytes, golden, sizeof(bytes));
	bytes[20] = 11; /* time exceeded */
	assert_false(unreachable_parse(bytes, sizeof(bytes), &u));
	bytes[20] = 3;
	bytes[37] = 6;
	assert_true(unreachable_parse(bytes, sizeof(bytes), &u));
	assert_int_equal(u.source_port, 0x3001);
}

static void
test_final(void **state)
{
	static const uint8_t final[] = {2, 3, 6, 7, 8, 9, 10, 13, 14, 15};
	unsigned n = 0;

	for (unsigned code = 0; code < 256; code++)
		n += unreachable_is_final((uint8_t)code);
	assert_int_equal(n, sizeof(final));
	for (size_t i = 0; i < sizeof(final); i++)
		assert_true(unreachable_is_final(final[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forward),
	    cmocka_unit_test(test_backward),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_missing_window),
	    cmocka_unit_test(test_mark),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_window_silence),
	    cmocka_unit_test(test_window_read_late),
	    cmocka_unit_test(test_window_idle),
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_no_commands),
	    cmocka_unit_test(test_unreachable),
	    cmocka_unit_test(test_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
