/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which number and which key may be used next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pptpd/data/keygate.h"

static void
test_unlimited(void **state)
{
	struct keygate g = keygate_free(KEYS_ALL);

	assert_int_equal(keygate_index(&g, 0), 0);
	assert_int_equal(keygate_index(&g, 12345), 12345);
	assert_true(keygate_number(&g, UINT32_MAX));
	assert_int_equal(keygate_left(&g, 5), UINT32_MAX);
	assert_int_equal(keygate_packets(&g, 5, 5), UINT32_MAX);
	g = keygate_free(KEYS_EVEN);
	assert_int_equal(keygate_index(&g, 7), 8);
	assert_int_equal(keygate_index(&g, 8), 8);
	g = keygate_free(KEYS_ODD);
	assert_int_equal(keygate_index(&g, 7), 7);
	assert_int_equal(keygate_index(&g, 8), 9);
}

/* Every pair of classes around a mark, against the definition. */
static void
test_all_classes(void **state)
{
	for (uint8_t low = KEYS_NONE; low <= KEYS_ALL; low++)
		for (uint8_t high = KEYS_NONE; high <= KEYS_ALL; high++)
			for (uint64_t mark = 20; mark < 22; mark++) {
				struct keygate g = {.mark_index = mark, .low = low, .high = high};

				for (uint64_t i = 10; i < 30; i++) {
					uint64_t want = i;

					while (want < 64 &&
					       !((want < mark ? low : high) & (1 << (want & 1))))
						want++;
					if (want == 64)
						want = KEYGATE_SHUT;
					assert_true(keygate_index(&g, i) == want);
				}
			}
}

static void
test_numbers(void **state)
{
	struct keygate g = {.mark_seq = 3, .mark_index = 100, .low = KEYS_ALL};

	assert_true(keygate_number(&g, 2));
	assert_false(keygate_number(&g, 3));
	assert_false(keygate_number(&g, 4));
	assert_true(keygate_number(&g, UINT32_MAX)); /* across the wrap */
	assert_int_equal(keygate_left(&g, UINT32_MAX), 4);
	assert_int_equal(keygate_left(&g, 3), 0);
	assert_int_equal(keygate_left(&g, 4), 0);
	assert_int_equal(keygate_packets(&g, UINT32_MAX, 90), 4);
	assert_int_equal(keygate_packets(&g, UINT32_MAX, 98), 2);
	assert_int_equal(keygate_packets(&g, UINT32_MAX, 200), 0);
	g.low = KEYS_ODD;
	assert_int_equal(keygate_packets(&g, UINT32_MAX, 96), 2);
	g.high = KEYS_EVEN;
	assert_true(keygate_number(&g, 4));
	assert_int_equal(keygate_left(&g, 4), UINT32_MAX);
}

static void
test_limit(void **state)
{
	struct keygate g = keygate_free(KEYS_ALL), l = keygate_limit(&g, 1000, 500, 64);

	assert_int_equal(l.mark_seq, 1064);
	assert_int_equal(l.mark_index, 564);
	assert_int_equal(l.low, KEYS_ALL);
	assert_int_equal(l.high, KEYS_NONE);
	/* A limit in force is never lifted, but may be lowered. */
	g = keygate_limit(&l, 1050, 510, 64);
	assert_int_equal(g.mark_seq, 1064);
	assert_int_equal(g.mark_index, 564);
	g = keygate_limit(&l, 1000, 500, 10);
	assert_int_equal(g.mark_seq, 1010);
	assert_int_equal(g.mark_index, 510);
	/* One class: each packet may take two keys. */
	g = keygate_free(KEYS_ODD);
	l = keygate_limit(&g, UINT32_MAX - 9, 501, 64);
	assert_int_equal(l.mark_seq, 54);
	assert_int_equal(l.mark_index, 501 + 128);
	assert_int_equal(l.low, KEYS_ODD);
	assert_int_equal(keygate_packets(&l, UINT32_MAX - 9, 501), 64);
	/* After silence: what counted above the old mark counts now. */
	g = (struct keygate){.mark_seq = 10, .mark_index = 20, .low = KEYS_ALL, .high = KEYS_EVEN};
	l = keygate_limit(&g, 100, 120, 8);
	assert_int_equal(l.low, KEYS_EVEN);
	assert_int_equal(l.mark_seq, 108);
	assert_int_equal(l.mark_index, 136);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unlimited),
	    cmocka_unit_test(test_all_classes),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
