/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Planned moves: which may be, which wait, which are refused and with what words; what --force
 * passes over and what not; who may take; the epoch; maintenance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "hagent/move.h"

static struct move_facts
ready(void)
{
	return (struct move_facts){
	    .active = true,
	    .held = true,
	    .serves = true,
	    .in_step = true,
	    .sessions = 200,
	    .version = 2,
	    .peer = {.name = "gw2",
		.fresh = true,
		.standby = true,
		.ready = true,
		.prepares = true,
		.fault = HEALTH_NOTE,
		.problem = ""},
	};
}

static void
expect(struct move_facts f, enum move_answer answer, const char *word)
{
	struct move_verdict v;

	move_judge(&f, &v);
	if (v.answer != answer)
		fail_msg("got %d (%s), want %d", v.answer, v.why, answer);
	if (!strstr(v.why, word))
		fail_msg("want \"%s\" in \"%s\"", word, v.why);
}

static void
test_all_is_well(void **state)
{
	struct move_facts f = ready();

	expect(f, MOVE_HANDOVER, "");
	f.force = true;
	expect(f, MOVE_HANDOVER, "");
	f.sessions = 0;
	expect(f, MOVE_HANDOVER, "");
}

/* Nobody to give them to, or nothing to give: --force changes nothing. */
static void
test_never(void **state)
{
	for (int force = 0; force < 2; force++) {
		struct move_facts f = ready();

		f.force = force;
		f.active = false;
		expect(f, MOVE_NO, "does not serve");
		f = ready();
		f.force = force;
		f.serves = false;
		expect(f, MOVE_NO, "pptpd");
		f = ready();
		f.force = force;
		f.held = false;
		expect(f, MOVE_NO, "virtual address");
		f = ready();
		f.force = force;
		f.peer.fresh = false;
		expect(f, MOVE_NO, "gw2 is silent");
		f = ready();
		f.force = force;
		f.peer.maintenance = true;
		f.peer.ready = false; /* which follows from it */
		expect(f, MOVE_NO, "gw2 is in maintenance");
		f = ready();
		f.force = force;
		f.peer.fault = HEALTH_HARD;
		f.peer.problem = "no WAN";
		expect(f, MOVE_NO, "gw2 cannot serve: no WAN");
		f = ready();
		f.force = force;
		f.peer.standby = false;
		expect(f, MOVE_WAIT, "gw2 does not stand by");
		f = ready();
		f.force = force;
		f.peer.ready = false;
		expect(f, MOVE_WAIT, "keepalived of gw2");
	}
}

static void
test_refused_but_forced(void **state)
{
	struct move_facts f = ready();

	f.peer.fault = HEALTH_SOFT;
	f.peer.problem = "little memory";
	expect(f, MOVE_NO, "gw2 is not well: little memory");
	f.force = true;
	expect(f, MOVE_HANDOVER, "");
}

/* Sessions at risk: it waits, and what it says is what it would cost. */
static void
test_at_risk(void **state)
{
	struct move_facts f = ready();

	f.at_risk = 3;
	expect(f, MOVE_WAIT, "3 of 200");
	f.force = true;
	expect(f, MOVE_PLAIN, "3 of 200 sessions must redial");
	f = ready();
	f.in_step = false;
	expect(f, MOVE_WAIT, "200 of 200");
	f.at_risk = 150;
	expect(f, MOVE_WAIT, "150 of 200");
	f.force = true;
	expect(f, MOVE_PLAIN, "150 of 200 sessions must redial");
	f.sessions = f.at_risk = 0;
	f.force = false;
	expect(f, MOVE_PLAIN, "no sessions to lose");
}

static void
test_not_settled(void **state)
{
	struct move_facts f = ready();

	f.unsettled = 2;
	expect(f, MOVE_WAIT, "2 sessions");
	f.force = true;
	expect(f, MOVE_HANDOVER, "");
}

/* An older one on either side: the sessions go on, but the plain way. */
static void
test_older(void **state)
{
	struct move_facts f = ready();

	f.version = 1;
	expect(f, MOVE_PLAIN, "version 1");
	f = ready();
	f.peer.prepares = false;
	expect(f, MOVE_PLAIN, "older");
}

static void
test_taker(void **state)
{
	const struct move_taker good = {.standby = true,
	    .keepalived = true,
	    .in_step = true,
	    .fault = HEALTH_NOTE,
	    .problem = "p",
	    .asked = 8,
	    .epoch = 7};
	struct move_taker t = good;

	assert_null(move_refuses(&t));
	t.standby = false;
	assert_non_null(move_refuses(&t));
	t = good;
	t.held = true;
	assert_non_null(move_refuses(&t));
	t = good;
	t.busy = true;
	assert_non_null(move_refuses(&t));
	t = good;
	t.maintenance = true;
	assert_non_null(strstr(move_refuses(&t), "maintenance"));
	t = good;
	t.keepalived = false;
	assert_non_null(strstr(move_refuses(&t), "keepalived"));
	t = good;
	t.unfit = true;
	assert_non_null(move_refuses(&t));
	t = good;
	t.fault = HEALTH_SOFT;
	assert_string_equal(move_refuses(&t), "p");
	t = good;
	t.in_step = false;
	assert_non_null(strstr(move_refuses(&t), "copy"));
	t = good;
	t.asked = 7;
	assert_non_null(strstr(move_refuses(&t), "epoch"));
}

/* Prepared and then not used by anybody else, or used by our own engine: that one. */
static void
test_epoch(void **state)
{
	assert_int_equal(move_epoch(7, 0), 8);
	assert_int_equal(move_epoch(7, 8), 8);
	assert_int_equal(move_epoch(8, 8), 8);
	assert_int_equal(move_epoch(9, 8), 10);
	assert_int_equal(move_epoch(0, 0), 1);
}

static void
test_maintenance(void **state)
{
	assert_true(move_maintenance_yields(true, HEALTH_FINE, false));
	assert_true(move_maintenance_yields(true, HEALTH_SOFT, false));
	assert_false(move_maintenance_yields(true, HEALTH_HARD, false));
	assert_false(move_maintenance_yields(true, HEALTH_FINE, true));
	assert_false(move_maintenance_yields(false, HEALTH_FINE, false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_is_well),
	    cmocka_unit_test(test_never),
	    cmocka_unit_test(test_refused_but_forced),
	    cmocka_unit_test(test_at_risk),
	    cmocka_unit_test(test_not_settled),
	    cmocka_unit_test(test_older),
	    cmocka_unit_test(test_taker),
	    cmocka_unit_test(test_epoch),
	    cmocka_unit_test(test_maintenance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
