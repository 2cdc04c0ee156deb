/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Health: each fact that makes a problem, and the whole decision table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hagent/health.h"

static struct health_facts
well(void)
{
	return (struct health_facts){
	    .tun = 1,
	    .gre = 2,
	    .wan = true,
	    .lan = true,
	    .sync = true,
	    .wan_if = "wan0",
	    .lan_if = "lan0",
	    .sync_if = "sync0",
	    .ip_forward = 1,
	    .files_free = 100000,
	    .pptpd_files_free = 1000,
	    .memory_free_kib = 1 << 20,
	    .disk_free_kib = 1 << 20,
	    .keepalived = HEALTH_ALIVE,
	    .conntrackd = HEALTH_ALIVE,
	    .sshd = HEALTH_ALIVE,
	    .peer_heard = true,
	};
}

static void
expect(const struct health_facts *f, enum health_fault fault, const char *code, const char *text)
{
	struct health h;

	health_judge(f, 2, &h);
	if (h.fault != fault || h.n != (code != NULL))
		fail_msg("want %s %s: got %s, %zu problems, first %s", health_fault_name(fault),
		    code ? code : "-", health_fault_name(h.fault), h.n,
		    h.n > 0 ? h.problems[0].code : "-");
	if (!code)
		return;
	assert_string_equal(h.problems[0].code, code);
	assert_non_null(strstr(h.problems[0].text, text));
	assert_true(strlen(h.problems[0].advice) > 0);
}

#define CASE(change, fault, code, text)                                                            \
	do {                                                                                       \
		struct health_facts f = well();                                                    \
		change;                                                                            \
		expect(&f, fault, code, text);                                                     \
	} while (0)

static void
test_judgement(void **state)
{
	CASE((void)0, HEALTH_FINE, NULL, "");
	CASE(f.pptpd_failures = 1, HEALTH_FINE, NULL, "");
	CASE((f.pptpd_failures = 2, f.pptpd_error = "late"), HEALTH_HARD, "pptpd-silent", "late");
	/* what follows from a silent daemon is not told again */
	CASE((f.pptpd_failures = 9, f.tun = 0, f.gre = 0), HEALTH_HARD, "pptpd-silent", "unknown");
	CASE(f.tun = 0, HEALTH_HARD, "no-tun", "gone");
	CASE(f.gre = 0, HEALTH_HARD, "no-gre", "GRE");
	CASE(f.gre = HEALTH_UNKNOWN, HEALTH_FINE, NULL, "");
	CASE(f.wan = false, HEALTH_HARD, "wan-down", "wan0");
	CASE(f.lan = false, HEALTH_HARD, "lan-down", "lan0");
	CASE(f.lan_address_gone = true, HEALTH_HARD, "lan-address", "lan0");
	CASE(f.sync = false, HEALTH_NOTE, "sync-down", "sync0");
	CASE(f.ip_forward = 0, HEALTH_SOFT, "ip-forward", "ip_forward");
	CASE(f.ip_forward = HEALTH_UNKNOWN, HEALTH_FINE, NULL, "");
	CASE(f.files_free = 255, HEALTH_SOFT, "files", "255");
	CASE(f.files_free = 256, HEALTH_FINE, NULL, "");
	CASE(f.pptpd_files_free = 0, HEALTH_SOFT, "pptpd-files", "0");
	CASE(f.pptpd_files_free = HEALTH_UNKNOWN, HEALTH_FINE, NULL, "");
	CASE(f.memory_free_kib = 40 * 1024, HEALTH_SOFT, "memory", "40 MiB");
	CASE(f.disk_free_kib = 3 * 1024, HEALTH_SOFT, "disk", "3 MiB");
	CASE(f.keepalived = HEALTH_GONE, HEALTH_NOTE, "keepalived", "died");
	CASE(f.keepalived = HEALTH_NEVER, HEALTH_NOTE, "keepalived", "not running");
	CASE(f.conntrackd = HEALTH_GONE, HEALTH_NOTE, "conntrackd", "died");
	CASE(f.sshd = HEALTH_NEVER, HEALTH_NOTE, "sshd", "not running");
	CASE(f.journal_failing = true, HEALTH_NOTE, "journal", "journal");
	CASE(f.peer_heard = false, HEALTH_NOTE, "peer-silent", "every path");
}

/* What can be ridden out: links, and nothing worse beside them. */
static void
test_links_only(void **state)
{
	struct health h;

	for (int i = 0; i < 16; i++) {
		struct health_facts f = well();

		f.wan = !(i & 1);
		f.lan = !(i & 2);
		f.gre = i & 4 ? 0 : 1;
		f.ip_forward = !(i & 8);
		health_judge(&f, 2, &h);
		assert_int_equal(h.links_only, (i & 3) && !(i & 4));
	}
}

static void
test_all_at_once(void **state)
{
	struct health_facts f = {.wan_if = "w", .lan_if = "l", .sync_if = "s", .gre = 0};
	struct health h;

	f.journal_failing = true;
	health_judge(&f, 1, &h);
	assert_int_equal(h.fault, HEALTH_HARD);
	assert_true(h.n >= 15 && h.n <= HEALTH_PROBLEMS);
}

static void
test_names(void **state)
{
	for (int f = HEALTH_FINE; f <= HEALTH_HARD; f++)
		assert_int_equal(health_fault_of(health_fault_name((enum health_fault)f)), f);
	assert_int_equal(health_fault_of("excellent"), HEALTH_HARD);
	assert_int_equal(health_fault_of(NULL), HEALTH_HARD);
}

/* The rule, said once more in other words. */
static bool
rule(const struct health_view *v)
{
	switch (v->ours) {
	case HEALTH_FINE:
	case HEALTH_NOTE:
		return false;
	case HEALTH_SOFT:
		if (!v->active || v->moves >= v->moves_max)
			return false;
		return v->peer_fresh && v->peer_standby && v->peer_in_step &&
		       (v->peers == HEALTH_FINE || v->peers == HEALTH_NOTE);
	case HEALTH_HARD:
		if (!v->peer_fresh || v->peers != HEALTH_HARD)
			return true;
		return !v->senior;
	}
	return false;
}

/* Every combination of our fault, role, seniority and moves with everything known of the peer. */
static void
test_decision_table(void **state)
{
	unsigned yields = 0, n = 0;

	for (unsigned i = 0; i < 4u * 4 * 2 * 2 * 2 * 2 * 3 * 2; i++, n++) {
		struct health_view v = {
		    .ours = (enum health_fault)(i % 4),
		    .peers = (enum health_fault)(i / 4 % 4),
		    .active = i / 16 % 2,
		    .peer_fresh = i / 32 % 2,
		    .peer_standby = i / 64 % 2,
		    .senior = i / 128 % 2,
		    .moves = i / 256 % 3 + 1,
		    .moves_max = 2,
		    .peer_in_step = i / 768 % 2,
		};

		if (health_must_yield(&v) != rule(&v))
			fail_msg("ours %s peers %s active %d fresh %d standby %d step %d senior %d "
				 "moves %u",
			    health_fault_name(v.ours), health_fault_name(v.peers), v.active,
			    v.peer_fresh, v.peer_standby, v.peer_in_step, v.senior, v.moves);
		yields += health_must_yield(&v);
	}
	assert_int_equal(n, 1536);
	assert_true(yields > 0 && yields < n);
}

/* The cases that have a name. */
static void
test_named_cases(void **state)
{
	struct health_view v = {.ours = HEALTH_SOFT,
	    .active = true,
	    .peer_fresh = true,
	    .peer_standby = true,
	    .peer_in_step = true,
	    .peers = HEALTH_FINE,
	    .moves_max = 2};

	assert_true(health_must_yield(&v)); /* soft fault, healthy peer in step */
	v.peers = HEALTH_SOFT;
	assert_false(health_must_yield(&v)); /* two bad nodes do not pass it on */
	v.peers = HEALTH_FINE;
	v.peer_fresh = false;
	assert_false(health_must_yield(&v)); /* a peer that was healthy once */
	v.peer_fresh = true;
	v.peer_standby = false;
	assert_false(health_must_yield(&v)); /* a peer in the middle of something */
	v.peer_standby = true;
	v.peer_in_step = false;
	assert_false(health_must_yield(&v)); /* a peer that would lose our sessions */
	v.peer_in_step = true;
	v.moves = 2;
	assert_false(health_must_yield(&v)); /* it has moved often enough */
	v.ours = HEALTH_HARD;
	assert_true(health_must_yield(&v)); /* which does not matter when we cannot serve */
}

/* Two that both cannot serve: exactly one steps down, whatever they think of each other's role. */
static void
test_one_of_two_stays(void **state)
{
	for (int first_is_senior = 0; first_is_senior < 2; first_is_senior++) {
		struct health_view a = {.ours = HEALTH_HARD,
		    .peers = HEALTH_HARD,
		    .peer_fresh = true,
		    .senior = first_is_senior};
		struct health_view b = a;

		b.senior = !a.senior;
		assert_int_equal(health_must_yield(&a) + health_must_yield(&b), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_judgement),
	    cmocka_unit_test(test_links_only),
	    cmocka_unit_test(test_all_at_once),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_decision_table),
	    cmocka_unit_test(test_named_cases),
	    cmocka_unit_test(test_one_of_two_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
