/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agents' part in the replica: who may ask, who consents, what is written when, and what the
 * kernel may say meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "hagent/pair.h"

static struct pair_facts
standby(void)
{
	return (struct pair_facts){
	    .role = PAIR_STANDBY,
	    .epoch = 4,
	    .served_ms = UINT64_MAX,
	    .engine_epoch = 4,
	    .paired = true,
	    .engine = {.answers = true, .in_step = true},
	    .peer =
		{
		    .fresh = true,
		    .active = true,
		    .serves = true,
		    .epoch = 4,
		    .wants_cut = PAIR_NO_CUT,
		    .stale_cut = PAIR_NO_CUT,
		},
	};
}

static struct pair_facts
active(void)
{
	struct pair_facts f = standby();

	f.role = PAIR_ACTIVE;
	f.engine.active = true;
	f.engine.copied = true;
	f.engine.marked = true;
	f.engine.cut = 7;
	f.peer.active = f.peer.serves = false;
	f.peer.standby = true;
	return f;
}

static struct pair_wishes
judge(struct pair_facts f)
{
	struct pair_wishes before = {.hold_calls = true, .hold_unknown = true}, w;

	pair_judge(&f, &before, &w);
	return w;
}

static void
a_standby_consents_to_an_active_that_asks(void **state)
{
	struct pair_facts f = standby();

	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f.peer.wants_cut = 0; /* a first stream has that number */
	assert_int_equal(judge(f).order, PAIR_STALE);
	assert_int_equal(judge(f).cut, 0);
	f.engine.stale = true; /* done: it is said, not ordered again */
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	assert_int_equal(judge(f).stale_cut, 0);
	f.peer.wants_cut = 1; /* that consent is not for this one */
	assert_int_equal(judge(f).order, PAIR_STALE);
}

static void
nobody_else_consents(void **state)
{
	struct pair_facts f = standby();

	f.peer.wants_cut = 3;
	f.role = PAIR_PROMOTING;
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	assert_int_equal(judge(f).stale_cut, PAIR_NO_CUT);
	f = standby();
	f.peer.wants_cut = 3;
	f.peer.epoch = 3; /* of an epoch that is over */
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f = standby();
	f.peer.wants_cut = 3;
	f.engine.active = true;
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f = standby();
	f.peer.wants_cut = 3;
	f.peer.fresh = false;
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
}

static void
an_active_goes_solo_on_the_right_word_only(void **state)
{
	struct pair_facts f = active();

	f.engine.wants = f.engine.cut_now = true;
	assert_int_equal(judge(f).wants_cut, 7);
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f.peer.stale_cut = 6;
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f.peer.stale_cut = 7;
	assert_int_equal(judge(f).order, PAIR_SOLO);
	f.peer.standby = false;
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
}

static void
a_lost_peer_is_fenced_before_silence(void **state)
{
	struct pair_facts f = active();

	f.engine.wants = f.engine.cut_now = f.marker_sure = true;
	f.engine.wants_ms = PAIR_WANTS_MS;
	f.peer.fresh = false;
	f.peer.silent_ms = PAIR_SILENT_MS;
	f.fence = PAIR_FENCE_WANTED;
	assert_true(judge(f).fence);
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	assert_false(judge(f).write_marker);
	f.fence = PAIR_FENCED;
	assert_false(judge(f).fence);
	assert_int_equal(judge(f).order, PAIR_SILENT);
	/* One that is heard, but cannot consent, is not lost. */
	f.fence = PAIR_FENCE_WANTED;
	f.peer.fresh = true;
	f.peer.silent_ms = 0;
	assert_false(judge(f).fence);
	assert_int_equal(judge(f).order, PAIR_SILENT);
	/* Nor does anything have to be fenced below the marks, or by a standby. */
	f.engine.cut_now = false;
	f.peer.silent_ms = UINT64_MAX;
	assert_false(judge(f).fence);
	f = standby();
	f.fence = PAIR_FENCE_WANTED;
	f.peer.silent_ms = UINT64_MAX;
	assert_false(judge(f).fence);
}

static void
silence_writes_the_marker_first(void **state)
{
	struct pair_facts f = active();

	f.engine.cut_now = true;
	f.engine.marked = false;
	f.peer.fresh = false;
	f.peer.silent_ms = PAIR_SILENT_MS - 1;
	assert_false(judge(f).write_marker);
	f.peer.silent_ms = PAIR_SILENT_MS;
	assert_true(judge(f).write_marker);
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f.marker_may = true; /* half written, or about to be removed, is not written */
	assert_true(judge(f).write_marker);
	assert_int_equal(judge(f).order, PAIR_NO_ORDER);
	f.marker_sure = true;
	assert_false(judge(f).write_marker);
	assert_int_equal(judge(f).order, PAIR_SILENT);
	assert_false(judge(f).remove_marker);
}

static void
consent_that_does_not_come_is_not_waited_for(void **state)
{
	struct pair_facts f = active();

	f.engine.cut_now = f.engine.wants = true;
	f.engine.wants_ms = PAIR_WANTS_MS - 1;
	assert_false(judge(f).write_marker);
	f.engine.wants_ms = PAIR_WANTS_MS;
	assert_true(judge(f).write_marker);
	f.peer.stale_cut = f.engine.cut; /* it came at last */
	assert_false(judge(f).write_marker);
	assert_int_equal(judge(f).order, PAIR_SOLO);
}

static void
the_marker_goes_when_the_other_knows(void **state)
{
	struct pair_facts f = active();

	f.marker_may = true;
	assert_true(judge(f).remove_marker);
	f.engine.marked = false;
	assert_false(judge(f).remove_marker);
	f = standby();
	f.marker_may = true;
	assert_true(judge(f).remove_marker);
	assert_false(judge(f).clean);
	f.engine.in_step = false;
	assert_false(judge(f).remove_marker);
	f = standby();
	assert_true(judge(f).clean);
	f.epoch = 0; /* a folder that is new proves nothing */
	assert_false(judge(f).clean);
	assert_int_equal(judge(f).keep_epoch, f.engine_epoch);
	f.engine.in_step = false; /* it may have been active with what we shall mirror */
	f.epoch = f.engine_epoch - 1;
	assert_int_equal(judge(f).keep_epoch, 0);
	f.gave_epoch = f.engine_epoch; /* no: it was we who gave it all */
	assert_int_equal(judge(f).keep_epoch, f.engine_epoch);
	f.marker_may = true;
	assert_int_equal(judge(f).keep_epoch, 0);
	f.marker_may = false;
	f.epoch = 0;
	assert_int_equal(judge(f).keep_epoch, 0);
	f = active();
	assert_false(judge(f).clean);
}

static void
the_standby_dials(void **state)
{
	struct pair_facts f = standby();

	assert_true(judge(f).mirrors);
	f.paired = false; /* its engine would say that it proves nothing */
	assert_false(judge(f).mirrors);
	f = standby();
	f.peer.serves = false;
	assert_false(judge(f).mirrors);
	assert_false(judge(active()).mirrors);
}

static void
holds_follow_who_can_continue(void **state)
{
	struct pair_facts f = standby();

	f.engine.in_step =
	    false; /* the stream is gone with the active: that is what the copy is for */
	f.engine.copy = true;
	assert_true(judge(f).hold_calls && judge(f).hold_unknown);
	f.engine.copy = false;
	assert_false(judge(f).hold_calls || judge(f).hold_unknown);
	f = active();
	assert_true(judge(f).hold_calls);
	assert_false(judge(f).hold_unknown);
	f.engine.in_step = false; /* a snapshot is under way: the copy of before is good */
	assert_true(judge(f).hold_calls);
	f.engine.copied = false;
	assert_false(judge(f).hold_calls);
	f.engine.restoring = 3;
	assert_true(judge(f).hold_calls && judge(f).hold_unknown);
	f.role = PAIR_PROMOTING; /* what stood before the promotion stands */
	f.engine.restoring = 0;
	assert_true(judge(f).hold_calls && judge(f).hold_unknown);
}

static void
two_that_live_wait_for_each_other(void **state)
{
	struct pair_facts f = active();

	/* We took the peer for alive too late: it serves our clients, we hold the address. */
	f.engine.active = f.engine.in_step = false;
	f.peer.serves = true;
	f.peer.sessions = 3;
	assert_true(judge(f).wait_for_copy);
	assert_true(judge(f).mirrors && judge(f).clean);
	assert_true(judge(f).hold_calls && judge(f).hold_unknown);
	f.engine.copy = f.engine.connected = true; /* a snapshot is under way */
	assert_true(judge(f).wait_for_copy);
	f.engine.connected = false; /* it was cut short: the peer will begin again */
	assert_true(judge(f).wait_for_copy);
	f.engine.connected = f.engine.whole = true;
	f.engine.in_step = true;
	assert_false(judge(f).wait_for_copy);
	f.engine.in_step = f.engine.connected =
	    false; /* the peer died: what we have is all there is */
	assert_false(judge(f).wait_for_copy);
	f.engine.copy = false;
	f.peer.sessions = 0;
	assert_false(judge(f).wait_for_copy);
	f.peer.sessions = 3;
	f.peer.fresh = false;
	assert_false(judge(f).wait_for_copy);
}

static void
who_steps_down_waits_for_a_living_heir(void **state)
{
	struct pair_facts f = active();

	f.engine.sessions = 3;
	assert_true(judge(f).wait_to_yield);
	f.peer.serves = true; /* or ours has yielded */
	assert_false(judge(f).wait_to_yield);
	f.peer.serves = f.peer.fresh = false;
	assert_false(judge(f).wait_to_yield);
	f.peer.fresh = true;
	f.engine.sessions = 0;
	assert_false(judge(f).wait_to_yield);
}

static void
holds_outlive_a_daemon_for_seconds(void **state)
{
	struct pair_facts f = active();

	f.engine.answers = false;
	f.engine.silent_ms = 400;
	assert_true(judge(f).hold_calls);
	f.engine.silent_ms = PAIR_HOLDS_MS;
	assert_false(judge(f).hold_calls);
	f.engine.silent_ms = 400;
	f.peer.fresh = false; /* nobody continues: the clients must learn */
	assert_false(judge(f).hold_calls);
}

static void
holds_outlive_a_daemon_that_is_stopped(void **state)
{
	struct pair_facts f = active();

	assert_true(judge(f).hold_calls);
	f.engine.active = f.engine.in_step = false; /* it has left its sessions to the other */
	assert_true(judge(f).hold_calls);
	f.role = PAIR_OTHER; /* and then we step down: the address is still here */
	f.served_ms = 100;
	assert_true(judge(f).hold_calls);
	f.role = PAIR_STANDBY;
	assert_true(judge(f).hold_calls);
	f.peer.fresh = false;
	assert_false(judge(f).hold_calls);
	f.peer.fresh = true;
	f.served_ms = PAIR_HOLDS_MS;
	assert_false(judge(f).hold_calls);
}

/* The stream that carries a handover is neither ended by the old standby nor dialled anew by the
 * new one. */
static void
test_a_move_keeps_the_stream(void **state)
{
	struct pair_wishes before = {.mirrors = true}, w;
	struct pair_facts f = active();

	f.moving = true;
	f.role = PAIR_PROMOTING;
	pair_judge(&f, &before, &w);
	assert_true(w.mirrors);
	f = standby();
	f.moving = true;
	before.mirrors = false;
	pair_judge(&f, &before, &w);
	assert_false(w.mirrors);
	f.moving = false;
	pair_judge(&f, &before, &w);
	assert_true(w.mirrors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_standby_consents_to_an_active_that_asks),
	    cmocka_unit_test(a_lost_peer_is_fenced_before_silence),
	    cmocka_unit_test(nobody_else_consents),
	    cmocka_unit_test(an_active_goes_solo_on_the_right_word_only),
	    cmocka_unit_test(silence_writes_the_marker_first),
	    cmocka_unit_test(consent_that_does_not_come_is_not_waited_for),
	    cmocka_unit_test(the_marker_goes_when_the_other_knows),
	    cmocka_unit_test(the_standby_dials),
	    cmocka_unit_test(holds_follow_who_can_continue),
	    cmocka_unit_test(two_that_live_wait_for_each_other),
	    cmocka_unit_test(who_steps_down_waits_for_a_living_heir),
	    cmocka_unit_test(holds_outlive_a_daemon_for_seconds),
	    cmocka_unit_test(holds_outlive_a_daemon_that_is_stopped),
	    cmocka_unit_test(test_a_move_keeps_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
