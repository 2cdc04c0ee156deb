/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calendar expressions and blackouts. Where systemd is installed every expression is compared with
 * what systemd-analyze says, from several moments, in UTC and in a zone whose clock is changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hagent/calendar.h"

#define ITERATIONS 6

static const char *const expressions[] = {"Sun 04:00", "Mon..Fri 22:30", "*-*-1,15 03:00",
    "*-*-1 03:00 UTC", "daily", "weekly", "monthly", "hourly", "minutely", "quarterly",
    "semiannually", "yearly", "annually", "weekly UTC", "*:0/15", "8..18/2:30", "*-2-29 12:00",
    "*-*-31 00:00:30", "Sat,Sun *-*-1..7 02:30", "Sat *-3,10-25..31 02:30", "2027-*-* 12:00:00",
    "2028..2030/2-1-1", "01-01", "Mon", "Tue..Thu,Sat 06:15:45", "12:34:56", "*-*-* *:*:0/20",
    "Monday 10:00", "mon,WED 10:00", "*-1/3-1 00:00", "2026-11-22 04:00", "23:59:59",
    "*-12-31 23:59:59", "Sun *-3-* 02:30", "Sun *-10-* 02:30", "0/6:05", "*-*-10/7 01:00"};
#define N_EXPRESSIONS (sizeof(expressions) / sizeof(expressions[0]))

static const char *const wrong[] = {"", " ", "never", "Sunday 25:00", "04:60", "4", "*-13-1",
    "*-*-32", "*-0-1", "04:00:61", "Sun Mon", "04:00 Sun", "*-*-1 04:00 CET", "1969-1-1",
    "2200-1-1", "5..3:00", "0/0:00", "04:00,", "Fri..", "Fri..Mon 10:00", "04:00:00:00", "*-*-*-*",
    "04:00 UTC UTC", "daily weekly", "-1:00", "*-*/2-1", "123456-1-1", "UTC"};

static void
zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static int64_t
utc(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = {.tm_year = year - 1900,
	    .tm_mon = month - 1,
	    .tm_mday = day,
	    .tm_hour = hour,
	    .tm_min = minute,
	    .tm_sec = second};

	return timegm(&tm);
}

static int64_t
next(const char *expression, int64_t after)
{
	struct calendar c;

	assert_int_equal(calendar_parse(expression, &c), 0);
	return calendar_next(&c, after);
}

/* 2026-11-21 is a Saturday. */
static void
test_known(void **state)
{
	int64_t now = utc(2026, 11, 21, 12, 0, 0);

	zone("UTC");
	assert_int_equal(next("Sun 04:00", now), utc(2026, 11, 22, 4, 0, 0));
	assert_int_equal(next("Sun 04:00", utc(2026, 11, 22, 4, 0, 0)), utc(2026, 11, 29, 4, 0, 0));
	assert_int_equal(
	    next("Sun 04:00", utc(2026, 11, 22, 3, 59, 59)), utc(2026, 11, 22, 4, 0, 0));
	assert_int_equal(next("*-2-29 12:00", now), utc(2028, 2, 29, 12, 0, 0));
	assert_int_equal(next("*-*-31 00:00:30", now), utc(2026, 12, 31, 0, 0, 30));
	assert_int_equal(next("2026-1-1", now), -1);
	assert_int_equal(next("*-2-30", now), -1);
	assert_int_equal(next("*:0/15", now), utc(2026, 11, 21, 12, 15, 0));
	zone("Europe/Berlin");
	assert_int_equal(next("Sun 04:00", now), utc(2026, 11, 22, 3, 0, 0));
	assert_int_equal(next("Sun 04:00 UTC", now), utc(2026, 11, 22, 4, 0, 0));
	/* 02:30 does not exist on 2027-03-28. */
	assert_int_equal(next("Sun 02:30", utc(2027, 3, 27, 0, 0, 0)), utc(2027, 4, 4, 0, 30, 0));
}

static void
test_wrong(void **state)
{
	struct calendar c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		if (calendar_parse(wrong[i], &c) == 0)
			fail_msg("\"%s\" was taken", wrong[i]);
		assert_int_equal(errno, EINVAL);
	}
}

static void
test_truncated(void **state)
{
	static const char whole[] = "Mon..Fri,Sun 2027,2028-1..6/2-1,15 0/6:05:30 UTC";
	char part[sizeof(whole)];
	struct calendar c;

	for (size_t len = 0; len < sizeof(whole); len++) {
		memcpy(part, whole, len);
		part[len] = '\0';
		(void)calendar_parse(part, &c); /* for the sanitizers */
	}
	assert_int_equal(calendar_parse(whole, &c), 0);
}

/* What systemd-analyze says of an expression; the number of moments, -1 = it cannot be asked. */
static int
ask_systemd(const char *expression, const char *tz, int64_t after, int64_t moments[ITERATIONS])
{
	char command[512], line[256], base[32];
	time_t t = (time_t)after;
	struct tm tm;
	int n = 0;
	FILE *f;

	gmtime_r(&t, &tm);
	strftime(base, sizeof(base), "%Y-%m-%d %H:%M:%S UTC", &tm);
	snprintf(command, sizeof(command),
	    "TZ=%s LC_ALL=C systemd-analyze calendar --iterations=%d --base-time='%s' '%s' 2>&1",
	    tz, ITERATIONS, base, expression);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "Next elapse:");

		if (!at)
			at = strstr(line, "Iter. #");
		if (!at || n == ITERATIONS || strstr(line, "never"))
			continue;
		at = strchr(at, ':');
		memset(&tm, 0, sizeof(tm));
		if (!strptime(at + 1, " %a %Y-%m-%d %H:%M:%S", &tm))
			continue;
		/* The zone's letters: two moments of an autumn night differ by them alone. */
		tm.tm_isdst = strstr(at, "CEST") != NULL;
		moments[n++] = strstr(at, "UTC") ? timegm(&tm) : mktime(&tm);
	}
	return pclose(f) == 0 ? n : -1;
}

static void
compare(const char *expression, const char *tz, int64_t after)
{
	int64_t theirs[ITERATIONS], t = after;
	int n = ask_systemd(expression, tz, after, theirs);

	if (n < 0)
		fail_msg("systemd-analyze does not take \"%s\"", expression);
	for (int i = 0; i < ITERATIONS; i++) {
		t = next(expression, t);
		if (t != (i < n ? theirs[i] : -1))
			fail_msg("\"%s\" %s after %lld, #%d: got %lld, systemd has %lld",
			    expression, tz, (long long)after, i + 1, (long long)t,
			    (long long)(i < n ? theirs[i] : -1));
		if (t < 0)
			break;
	}
}

static void
test_systemd(void **state)
{
	const int64_t bases[] = {
	    utc(2026, 11, 21, 12, 0, 0), utc(2027, 3, 27, 12, 0, 0), utc(2026, 10, 24, 21, 59, 59)};
	static const char *const zones[] = {"UTC", "Europe/Berlin"};

	if (access("/usr/bin/systemd-analyze", X_OK) < 0)
		skip();
	for (size_t z = 0; z < 2; z++) {
		zone(zones[z]);
		for (size_t i = 0; i < N_EXPRESSIONS; i++)
			compare(expressions[i], zones[z], bases[i % 3]);
	}
}

static bool
black(const char *text, int64_t now)
{
	struct blackout b;

	if (blackout_parse(text, &b) < 0)
		fail_msg("\"%s\" is not taken", text);
	return blackout_has(&b, now);
}

static void
test_blackouts(void **state)
{
	zone("UTC");
	assert_true(black("Mon..Fri 08:00-18:00", utc(2026, 11, 20, 8, 0, 0)));
	assert_true(black("Mon..Fri 08:00-18:00", utc(2026, 11, 20, 17, 59, 59)));
	assert_false(black("Mon..Fri 08:00-18:00", utc(2026, 11, 20, 18, 0, 0)));
	assert_false(black("Mon..Fri 08:00-18:00", utc(2026, 11, 21, 12, 0, 0)));
	assert_true(black("12-20..01-06", utc(2026, 12, 31, 23, 0, 0)));
	assert_true(black("12-20..01-06", utc(2027, 1, 6, 23, 59, 59)));
	assert_false(black("12-20..01-06", utc(2027, 1, 7, 0, 0, 0)));
	assert_true(black("2026-12-24..2026-12-26", utc(2026, 12, 26, 12, 0, 0)));
	assert_false(black("2026-12-24..2026-12-26", utc(2027, 12, 25, 12, 0, 0)));
	/* Friday night belongs to Friday. */
	assert_true(black("Fri 22:00-02:00", utc(2026, 11, 21, 1, 59, 0)));
	assert_false(black("Fri 22:00-02:00", utc(2026, 11, 20, 1, 59, 0)));
	assert_false(black("Fri 22:00-02:00", utc(2026, 11, 21, 22, 0, 0)));
	assert_true(black("Sat", utc(2026, 11, 21, 0, 0, 0)));
	assert_true(black("00:00-24:00", utc(2026, 11, 21, 23, 59, 59)));
	assert_true(black("11-21", utc(2030, 11, 21, 1, 0, 0)));
	zone("Europe/Berlin");
	assert_false(black("08:00-09:00", utc(2026, 11, 21, 8, 30, 0)));
	assert_true(black("08:00-09:00 UTC", utc(2026, 11, 21, 8, 30, 0)));
}

static void
test_wrong_blackouts(void **state)
{
	static const char *const bad[] = {"", "Mon Tue", "08:00", "08:00-25:00", "24:00-08:00",
	    "13-01", "12-32", "2026-12-26..2026-12-24", "2026-12-24..12-26", "08:00-08:00",
	    "08:00-09:00 10:00-11:00", "08-00-09", "12-20..", "..12-20", "1-2-3-4", "UTC"};
	struct blackout b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (blackout_parse(bad[i], &b) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known),
	    cmocka_unit_test(test_wrong),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_systemd),
	    cmocka_unit_test(test_blackouts),
	    cmocka_unit_test(test_wrong_blackouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
