/* link: hagentcore common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check's judgement: who is dead, who is only busy, and what is nobody's fault; its report
 * as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/deep.h"
#include "hagent/health.h"

#define NOW 1000000u

static struct deep_report report;
static struct deep_work work[LOOPBACK_SESSIONS];
static struct deep_view view;

/* Two workers that are well, and that nobody but the check uses. */
static int
setup(void **state)
{
	report = (struct deep_report){.n = 2};
	memset(work, 0, sizeof(work));
	for (size_t i = 0; i < report.n; i++)
		report.v[i] = (struct deep_session){.up = true, .was_up = true, .silent_ms = 800};
	view =
	    (struct deep_view){.report = &report, .work = work, .now_ms = NOW, .timeout_ms = 3000};
	return 0;
}

static struct deep_finding
judged(void)
{
	struct deep_finding f;

	deep_judge(&view, &f);
	return f;
}

/* A client's packets went through it, both ways, so long ago. */
static void
worked(size_t i, uint64_t in_ago_ms, uint64_t out_ago_ms)
{
	work[i].decrypted_ms = NOW - in_ago_ms;
	work[i].encrypted_ms = NOW - out_ago_ms;
}

static void
test_answers_are_fine(void **state)
{
	assert_int_equal(judged().verdict, DEEP_FINE);
	assert_string_equal(judged().text, "");
	report.v[1].silent_ms = 2999;
	assert_int_equal(judged().verdict, DEEP_FINE);
	report.n = 0;
	assert_int_equal(judged().verdict, DEEP_STARTING);
}

static void
test_a_worker_that_hangs_is_dead(void **state)
{
	report.v[1].silent_ms = 3000;
	assert_int_equal(judged().verdict, DEEP_DEAD);
	assert_int_equal(judged().worker, 1);
	assert_non_null(strstr(judged().text, "worker 1 has answered no ping for 3.0 s"));
	worked(1, 3100, 3100); /* it worked until then */
	assert_int_equal(judged().verdict, DEEP_DEAD);
	worked(0, 10, 10); /* another one's work proves nothing */
	assert_int_equal(judged().verdict, DEEP_DEAD);
	view.timeout_ms = 3001;
	assert_int_equal(judged().verdict, DEEP_FINE);
}

static void
test_a_busy_worker_is_not(void **state)
{
	report.v[1].silent_ms = 30000;
	worked(1, 100, 100);
	assert_int_equal(judged().verdict, DEEP_UNSURE);
	assert_non_null(strstr(judged().text, "busy"));
	worked(1, 1999, 1999);
	assert_int_equal(judged().verdict, DEEP_UNSURE);
	worked(1, 2000, 100); /* it decrypts no more */
	assert_int_equal(judged().verdict, DEEP_DEAD);
	worked(1, 100, 2000); /* it encrypts no more */
	assert_int_equal(judged().verdict, DEEP_DEAD);
}

static void
test_the_dead_one_counts(void **state)
{
	report.v[0].silent_ms = report.v[1].silent_ms = 5000;
	worked(1, 10, 10);
	assert_int_equal(judged().verdict, DEEP_DEAD);
	assert_int_equal(judged().worker, 0);
	worked(0, 10, 10);
	worked(1, 5000, 5000);
	assert_int_equal(judged().verdict, DEEP_DEAD);
	assert_int_equal(judged().worker, 1);
}

static void
test_a_set_up_has_time(void **state)
{
	report.v[0] = (struct deep_session){.silent_ms = 9999};
	assert_int_equal(judged().verdict, DEEP_STARTING);
	report.v[1].silent_ms = 4000; /* the other one is judged all the same */
	assert_int_equal(judged().verdict, DEEP_DEAD);
	assert_int_equal(judged().worker, 1);
}

static void
test_no_set_up_and_why(void **state)
{
	report.v[0] = (struct deep_session){
	    .silent_ms = 10000, .step = "tcp", .why = "refused", .failures = 9};
	/* It never was up, and not even the control connection works: rules of the host's own? */
	assert_int_equal(judged().verdict, DEEP_UNSURE);
	assert_non_null(strstr(judged().text, "refused at step tcp"));
	report.v[0].through = true;
	assert_int_equal(judged().verdict, DEEP_DEAD);
	view.login_ms = NOW - 9000; /* others can */
	assert_int_equal(judged().verdict, DEEP_UNSURE);
	view.login_ms = NOW - 10000;
	assert_int_equal(judged().verdict, DEEP_DEAD);
	worked(0, 10, 10); /* or go on */
	assert_int_equal(judged().verdict, DEEP_UNSURE);
	worked(0, 5000, 5000);
	report.v[0].through = false;
	report.v[0].was_up = true; /* it could, with this daemon */
	assert_int_equal(judged().verdict, DEEP_DEAD);
}

static void
test_counters(void **state)
{
	struct deep_work w = {0};

	deep_work_see(&w, 0, 0, 100);
	assert_true(w.decrypted_ms == 0 && w.encrypted_ms == 0);
	deep_work_see(&w, 5, 0, 200);
	assert_true(w.decrypted_ms == 200 && w.encrypted_ms == 0);
	deep_work_see(&w, 5, 3, 300);
	assert_true(w.decrypted_ms == 200 && w.encrypted_ms == 300);
	deep_work_see(&w, 1, 1, 400); /* another daemon */
	assert_true(w.decrypted_ms == 200 && w.encrypted_ms == 300);
	deep_work_see(&w, 2, 1, 500);
	assert_true(w.decrypted_ms == 500 && w.encrypted_ms == 300);
}

static void
test_report_as_text(void **state)
{
	struct deep_report again;
	char *text;

	report.v[1] = (struct deep_session){.through = true,
	    .silent_ms = UINT32_MAX,
	    .rtt_us = 250,
	    .failures = 7,
	    .answers = 1ull << 40,
	    .step = "lcp",
	    .why = "gre-filtered"};
	text = deep_report_text(&report);
	assert_int_equal(deep_report_parse(text, strlen(text), &again), 0);
	assert_memory_equal(&again.n, &report.n, sizeof(again.n));
	assert_memory_equal(again.v, report.v, 2 * sizeof(report.v[0]));
	/* Half of it is none. */
	for (size_t len = 0; len < strlen(text); len++) {
		assert_int_equal(deep_report_parse(text, len, &again), -1);
		assert_int_equal(again.n, 0);
	}
	free(text);
}

static void
test_reports_that_are_none(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "[1]", "[{}]",
	    "[{\"silent_ms\":-1,\"rtt_us\":0,\"failures\":0,\"answers\":0,\"step\":\"\",\"why\":"
	    "\"\"}]",
	    "[{\"silent_ms\":4294967296,\"rtt_us\":0,\"failures\":0,\"answers\":0,\"step\":\"\","
	    "\"why\":\"\"}]",
	    "[{\"silent_ms\":0,\"rtt_us\":0,\"failures\":0,\"answers\":0,\"step\":\"much-too-"
	    "long\","
	    "\"why\":\"\"}]",
	    "[{\"silent_ms\":0,\"rtt_us\":0.5,\"failures\":0,\"answers\":0,\"step\":\"\",\"why\":"
	    "\"\"}]",
	    "[{\"silent_ms\":0,\"rtt_us\":0,\"failures\":0,\"answers\":0,\"step\":\"\",\"why\":3}"
	    "]"};
	struct deep_report out;
	char many[2048] = "[";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(deep_report_parse(bad[i], strlen(bad[i]), &out), -1);
	for (unsigned i = 0; i <= LOOPBACK_SESSIONS; i++)
		strcat(many, i > 0 ? ",{\"silent_ms\":0,\"rtt_us\":0,\"failures\":0,\"answers\":0,"
				     "\"step\":\"\",\"why\":\"\"}"
				   : "{\"silent_ms\":0,\"rtt_us\":0,\"failures\":0,\"answers\":0,"
				     "\"step\":\"\",\"why\":\"\"}");
	strcat(many, "]");
	assert_int_equal(deep_report_parse(many, strlen(many), &out), -1);
}

/* What health makes of it. */
static void
test_health(void **state)
{
	struct health_facts f = {.tun = 1,
	    .gre = 1,
	    .wan = true,
	    .lan = true,
	    .sync = true,
	    .ip_forward = 1,
	    .files_free = 10000,
	    .pptpd_files_free = 10000,
	    .memory_free_kib = 1 << 20,
	    .disk_free_kib = 1 << 20,
	    .keepalived = HEALTH_ALIVE,
	    .conntrackd = HEALTH_ALIVE,
	    .sshd = HEALTH_ALIVE,
	    .peer_heard = true};
	struct health h;

	health_judge(&f, 2, &h);
	assert_int_equal(h.fault, HEALTH_FINE);
	f.deep = "some words";
	health_judge(&f, 2, &h);
	assert_int_equal(h.fault, HEALTH_NOTE);
	assert_string_equal(h.problems[0].code, "deep-check-unsure");
	f.deep_dead = true;
	health_judge(&f, 2, &h);
	assert_int_equal(h.fault, HEALTH_SOFT);
	assert_string_equal(h.problems[0].code, "deep-check");
	assert_string_equal(h.problems[0].text, "some words");
	f.pptpd_failures = 2; /* the rest follows from it */
	health_judge(&f, 2, &h);
	assert_string_equal(h.problems[0].code, "pptpd-silent");
	assert_int_equal(h.n, 1);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answers_are_fine),
	    TEST(test_a_worker_that_hangs_is_dead),
	    TEST(test_a_busy_worker_is_not),
	    TEST(test_the_dead_one_counts),
	    TEST(test_a_set_up_has_time),
	    TEST(test_no_set_up_and_why),
	    TEST(test_counters),
	    TEST(test_report_as_text),
	    TEST(test_reports_that_are_none),
	    TEST(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
