/* link: hagentcore common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two that both served, as each of them sees it: when it is called a split, who stays, whose
 * priority stands above, when addresses are announced again, and what is no split at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hagent/split.h"

static struct split s;
static struct split_facts f;
static struct split_wishes w;

static int
setup(void **state)
{
	(void)state;
	s = (struct split){0};
	f = (struct split_facts){.now_ms = 1000,
	    .wall_ms = 1000000,
	    .serves = true,
	    .peer_fresh = true,
	    .epoch = 5,
	    .peer_epoch = 5};
	split_look(&s, &f, &w);
	return 0;
}

static void
look(uint64_t ms)
{
	f.now_ms += ms;
	f.wall_ms += (int64_t)ms;
	if (f.peer_fresh)
		f.peer_silent_ms = 20;
	else if (f.peer_silent_ms != UINT64_MAX)
		f.peer_silent_ms += ms;
	split_look(&s, &f, &w);
}

static void
lose(uint64_t ms)
{
	f.peer_fresh = false;
	look(ms);
	look(ms);
	assert_false(s.any || w.announce);
}

static void
test_we_stay(void **state)
{
	(void)state;
	f.serves = false;
	f.peer_serves = true;
	look(100);
	f.peer_fresh = false;
	look(100);
	split_promoted(&s);
	f.serves = true;
	f.epoch = 6;
	look(100);
	assert_true(w.ahead);
	look(5000);
	assert_true(w.ahead);
	f.peer_fresh = true;
	look(100);
	assert_int_equal(w.event, SPLIT_SEEN);
	assert_true(w.announce && w.ahead && s.open);
	assert_int_equal(s.ended_at - s.began_at, 5320);
	look(100);
	assert_int_equal(w.event, SPLIT_NOTHING);
	f.peer_serves = false;
	look(100);
	assert_int_equal(w.event, SPLIT_OVER);
	assert_true(w.announce && s.we_stayed && !s.open);
	assert_false(w.ahead);
	assert_int_equal(s.epoch, 6);
	f.settled = (struct split_counts){.times = 1, .sessions = 7, .whole = 6, .one_class = 1};
	look(200);
	assert_int_equal(w.event, SPLIT_SETTLED);
	assert_int_equal(s.counts.whole, 6);
	look(200);
	assert_int_equal(w.event, SPLIT_NOTHING);
	f.settled.times = 2; /* of something else, later */
	look(200);
	assert_int_equal(s.counts.times, 1);
}

static void
test_the_peer_stays(void **state)
{
	(void)state;
	lose(2000);
	f.peer_fresh = f.peer_serves = true;
	f.peer_epoch = 6;
	look(100);
	assert_int_equal(w.event, SPLIT_SEEN);
	assert_false(w.ahead);
	f.serves = false;
	look(100);
	assert_int_equal(w.event, SPLIT_OVER);
	assert_false(w.announce || s.we_stayed);
	assert_int_equal(s.epoch, 6);
	f.settled.times = 1;
	look(100);
	assert_false(s.settled);
}

/* One of the two has let go before the agents spoke. */
static void
test_vrrp_was_faster(void **state)
{
	(void)state;
	lose(2000);
	f.peer_fresh = true;
	f.peer_epoch = 6;
	look(100);
	assert_int_equal(w.event, SPLIT_SEEN);
	look(100);
	assert_int_equal(w.event, SPLIT_OVER);
	assert_true(s.we_stayed);
	/* Likewise us. */
	setup(state);
	lose(2000);
	f.serves = false;
	look(100);
	f.peer_fresh = f.peer_serves = true;
	look(100);
	assert_int_equal(w.event, SPLIT_SEEN);
	look(100);
	assert_int_equal(w.event, SPLIT_OVER);
	assert_false(s.we_stayed);
}

/* The other is a standby at its first word; its report tells. */
static void
test_over_before_a_word(void **state)
{
	(void)state;
	lose(2000);
	f.epoch = 6;
	look(100);
	f.peer_fresh = true;
	look(100);
	assert_false(s.any);
	look(100);
	f.settled = (struct split_counts){.times = 1, .sessions = 4, .whole = 4, .reported = 4};
	look(100);
	assert_int_equal(w.event, SPLIT_SETTLED);
	assert_true(s.any && s.we_stayed && s.settled && !s.open);
	assert_int_equal(s.counts.reported, 4);
	assert_int_equal(s.ended_at - s.began_at, 4200);
	assert_int_equal(s.epoch, 6);
	/* One that was dead and knows nothing is no split. */
	setup(state);
	s = (struct split){0};
	lose(2000);
	f.settled = (struct split_counts){0};
	look(100);
	f.peer_fresh = true;
	look(100);
	f.settled = (struct split_counts){.times = 1, .sessions = 4, .one_class = 4};
	look(100);
	assert_false(s.any);
}

static void
test_no_split(void **state)
{
	(void)state;
	/* The standby was away, or dead, and is back. */
	lose(2000);
	f.peer_fresh = true;
	look(100);
	assert_false(s.any);
	assert_true(w.announce);
	/* We took over from one that died, and it comes back. */
	f.serves = false;
	f.peer_serves = true;
	look(100);
	f.peer_fresh = false;
	look(300);
	split_promoted(&s);
	f.serves = true;
	f.epoch = 6;
	look(100);
	assert_true(w.ahead);
	f.peer_fresh = true;
	f.peer_serves = false;
	look(60000);
	assert_false(s.any || w.ahead);
	/* A move while both hear each other. */
	f.peer_serves = true;
	look(100);
	f.serves = false;
	look(100);
	assert_false(s.any);
	/* An agent that was started anew, on a standby. */
	setup(state);
	f.serves = false;
	f.stands_by = f.peer_serves = true;
	s.ahead = true;
	look(100);
	assert_false(w.ahead);
	/* Promoted so soon that the other's last word is not old yet, nor our engine active. */
	f.stands_by = false;
	split_promoted(&s);
	look(50);
	assert_true(w.ahead);
	f.serves = true;
	f.peer_fresh = false;
	look(300);
	assert_true(w.ahead);
	/* Never heard. */
	setup(state);
	s = (struct split){0};
	f.peer_fresh = false;
	f.peer_silent_ms = UINT64_MAX;
	look(100);
	f.peer_fresh = true;
	look(100);
	assert_false(s.any || w.announce);
}

#define TEST(t) cmocka_unit_test_setup(t, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_we_stay),
	    TEST(test_the_peer_stays),
	    TEST(test_vrrp_was_faster),
	    TEST(test_over_before_a_word),
	    TEST(test_no_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
