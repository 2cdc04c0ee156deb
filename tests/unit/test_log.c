/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log through a pipe: format, prefixes, quoting, a sink that is full, and the rate limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

static int sink[2];

static int
setup(void **state)
{
	unsetenv("JOURNAL_STREAM");
	if (pipe2(sink, O_NONBLOCK) < 0)
		return -1;
	log_init("pptpd[gw1]", sink[1], false);
	return 0;
}

static int
teardown(void **state)
{
	log_init("test", -1, false);
	close(sink[0]);
	close(sink[1]);
	return 0;
}

static const char *
logged(void)
{
	static char text[8192];
	ssize_t n = read(sink[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;
	int rc;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	rc = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	if (rc != 0)
		fail_msg("got \"%s\", want %s", text, pattern);
}

#define STAMP "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void
test_format(void **state)
{
	log_info("call up id=%d user=\"%s\"", 7, "a b");
	assert_matches(logged(), STAMP "pptpd\\[gw1\\] info: call up id=7 user=\"a b\"\n$");
	log_warn("odd");
	assert_matches(logged(), STAMP "pptpd\\[gw1\\] warning: odd\n$");
	log_debug("hidden");
	assert_string_equal(logged(), "");
	assert_false(log_debugging());
	log_set_debug(true);
	assert_true(log_debugging());
	log_debug("seen");
	assert_matches(logged(), STAMP "pptpd\\[gw1\\] debug: seen\n$");
}

/* The stamp is this moment's UTC, by the C library's own reckoning. */
static void
test_stamp(void **state)
{
	time_t before = time(NULL), stamp;
	struct tm tm = {0};

	log_info("x");
	assert_non_null(strptime(logged(), "%Y-%m-%dT%H:%M:%S", &tm));
	stamp = timegm(&tm);
	assert_in_range(stamp, before, time(NULL));
}

static void
test_errno_survives(void **state)
{
	errno = ENOENT;
	log_info("open error=\"%m\"");
	assert_int_equal(errno, ENOENT);
	assert_matches(logged(), "error=\"No such file or directory\"\n$");
}

static void
test_one_line(void **state)
{
	char big[5000];
	const char *text;

	log_info("a\nb\x1b[0m");
	assert_matches(logged(), "info: a\\?b\\?\\[0m\n$");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	text = logged();
	assert_true(strlen(text) < 2100);
	assert_matches(text, "xxx\\.\\.\\.\n$");
}

static void
test_journal(void **state)
{
	struct stat st;
	char stream[64];

	assert_int_equal(fstat(sink[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("n", sink[1], true);
	log_info("a");
	assert_string_equal(logged(), "<6>n info: a\n");
	log_warn("b");
	assert_string_equal(logged(), "<4>n warning: b\n");
	log_debug("c");
	assert_string_equal(logged(), "<7>n debug: c\n");

	/* The variable is inherited; a descriptor that is not the journal's gets stamps. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init("n", sink[1], true);
	log_info("d");
	assert_matches(logged(), STAMP "n info: d\n$");
	unsetenv("JOURNAL_STREAM");
}

static void
test_fatal(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		log_fatal("cannot start");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_matches(logged(), "error: cannot start\n$");
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A blocking pipe that nobody reads: lines are lost and counted, we go on. */
static void
test_full_sink(void **state)
{
	static char junk[4096];
	int64_t start;

	while (write(sink[1], junk, sizeof(junk)) > 0)
		;
	assert_int_equal(fcntl(sink[1], F_SETFL, 0), 0);
	start = now_ms();
	for (int i = 0; i < 1000; i++)
		log_info("lost");
	assert_in_range(now_ms() - start, 0, 2000);
	while (read(sink[0], junk, sizeof(junk)) > 0)
		;
	log_info("back");
	assert_matches(logged(), "info: back\n.*warning: log lost lines=1000\n$");
	log_info("quiet");
	assert_matches(logged(), "^[^\n]*info: quiet\n$");
}

static void
test_closed_sink(void **state)
{
	log_init("test", 1000, false); /* no such descriptor */
	errno = ENOENT;
	log_info("nowhere");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(logged(), "");
}

static void
test_quote(void **state)
{
	char big[200];
	const char *a, *b;

	assert_string_equal(log_quote("", 0), "");
	assert_string_equal(log_quote("abc", 2), "ab");
	assert_string_equal(log_quote("a b\n\0\x7f\xff", 7), "a b\\x0a\\x00\\x7f\\xff");
	assert_string_equal(log_quote("\"\\", 2), "\\x22\\x5c");
	memset(big, 'y', sizeof(big));
	assert_int_equal(strlen(log_quote(big, 96)), 96);
	assert_int_equal(strlen(log_quote(big, 97)), 99);
	assert_string_equal(log_quote(big, 97) + 94, "yy...");
	memset(big, '\n', sizeof(big)); /* 24 of them fill 96; the cut never splits one */
	assert_int_equal(strlen(log_quote(big, 24)), 96);
	assert_string_equal(log_quote(big, 25) + 92, "\\x0a...");
	big[0] = 'y';
	assert_string_equal(log_quote(big, 25) + 89, "\\x0a...");
	a = log_quote("a", 1);
	b = log_quote("b", 1);
	log_quote("c", 1);
	log_quote("d", 1);
	assert_string_equal(a, "a");
	assert_string_equal(b, "b");
}

static void
test_limit(void **state)
{
	struct log_limit *l = log_limit_new(6, 64);
	unsigned suppressed = 99;
	uint64_t now = 5000000;

	assert_non_null(l);
	for (int i = 0; i < 6; i++) {
		assert_true(log_limit_ok(l, 1, now, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	for (int i = 0; i < 10; i++)
		assert_false(log_limit_ok(l, 1, now, &suppressed));
	assert_true(log_limit_ok(l, 2, now, NULL)); /* another peer's bucket is full */
	assert_false(log_limit_ok(l, 1, now + 9999, NULL));
	assert_true(log_limit_ok(l, 1, now + 10000, &suppressed)); /* one in ten seconds */
	assert_int_equal(suppressed, 11);
	assert_false(log_limit_ok(l, 1, now + 10000, NULL));
	now += 3600000; /* the bucket holds a minute's, not an hour's */
	for (int i = 0; i < 6; i++)
		assert_true(log_limit_ok(l, 1, now, NULL));
	assert_false(log_limit_ok(l, 1, now, NULL));
	assert_false(log_limit_ok(l, 1, 0, NULL));   /* a clock that stands back gives nothing */
	assert_false(log_limit_ok(l, 1, now, NULL)); /* not even when it catches up */
	log_limit_free(l);
}

static void
test_limit_flood(void **state)
{
	struct log_limit *l = log_limit_new(2, 8);
	unsigned passed = 0;

	for (uint32_t peer = 0; peer < 100000; peer++)
		passed += log_limit_ok(l, peer, 1000000, NULL);
	assert_int_equal(passed, 16); /* 8 buckets of 2, whatever the number of peers */
	log_limit_free(l);
	l = log_limit_new(0, 0);
	assert_false(log_limit_ok(l, 0, 1, NULL));
	log_limit_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_format, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stamp, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_errno_survives, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_one_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fatal, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full_sink, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_sink, setup, teardown),
	    cmocka_unit_test(test_quote),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_limit_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
