/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calendar expressions. A local time that does not exist (the clock is put forward) is passed over.
 */
#include "hagent/calendar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 4
#define TEXT_MAX  128
#define ALL_DAYS  0x7f
#define DAY_S     86400

static const char *const weekdays[] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static const struct {
	const char *word, *means;
} shorthands[] = {
    {"minutely", "*-*-* *:*:00"},
    {"hourly", "*-*-* *:00:00"},
    {"daily", "*-*-* 00:00:00"},
    {"weekly", "Mon *-*-* 00:00:00"},
    {"monthly", "*-*-01 00:00:00"},
    {"quarterly", "*-01,04,07,10-01 00:00:00"},
    {"semiannually", "*-01,07-01 00:00:00"},
    {"yearly", "*-01-01 00:00:00"},
    {"annually", "*-01-01 00:00:00"},
};

/* ---- words ---- */

struct words {
	char text[TEXT_MAX];
	char *v[WORDS_MAX];
	unsigned n, at;
};

static int
split(const char *text, struct words *w)
{
	char *save = NULL;

	*w = (struct words){.n = 0};
	if (strlen(text) >= sizeof(w->text))
		return -1;
	strcpy(w->text, text);
	for (char *s = strtok_r(w->text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		if (w->n == WORDS_MAX)
			return -1;
		w->v[w->n++] = s;
	}
	return w->n > 0 ? 0 : -1;
}

static const char *
peek(const struct words *w)
{
	return w->at < w->n ? w->v[w->at] : "";
}

static bool
take_utc(struct words *w)
{
	if (w->at + 1 > w->n || strcmp(w->v[w->n - 1], "UTC") != 0)
		return false;
	w->n--;
	return true;
}

/* ---- numbers ---- */

static bool
number(const char **s, unsigned *out)
{
	unsigned long v = 0;
	const char *p = *s;

	for (; *p >= '0' && *p <= '9' && p - *s < 5; p++)
		v = v * 10 + (unsigned long)(*p - '0');
	if (p == *s || (*p >= '0' && *p <= '9'))
		return false;
	*s = p;
	*out = (unsigned)v;
	return true;
}

/* One of a list: N, N..M, either with /R. Calls add for each number. */
static bool
element(const char **s, unsigned min, unsigned max, uint64_t *set)
{
	unsigned from, to, step = 1;
	bool range = false;

	if (!number(s, &from))
		return false;
	to = from;
	if (strncmp(*s, "..", 2) == 0) {
		*s += 2;
		range = true;
		if (!number(s, &to))
			return false;
	}
	if (**s == '/') {
		(*s)++;
		if (!number(s, &step) || step == 0)
			return false;
		if (!range)
			to = max;
	}
	if (from < min || to > max || from > to)
		return false;
	for (unsigned i = from; i <= to; i += step)
		set[(i - min) / 64] |= (uint64_t)1 << (i - min) % 64;
	return true;
}

/* A component up to its end; set[0] bit 0 is min. */
static bool
component(const char **s, unsigned min, unsigned max, uint64_t *set)
{
	if (**s == '*') {
		(*s)++;
		for (unsigned i = min; i <= max; i++)
			set[(i - min) / 64] |= (uint64_t)1 << (i - min) % 64;
		return true;
	}
	if (!element(s, min, max, set))
		return false;
	while (**s == ',') {
		(*s)++;
		if (!element(s, min, max, set))
			return false;
	}
	return true;
}

/* ---- weekdays ---- */

static bool
weekday(const char **s, unsigned *out)
{
	for (unsigned i = 0; i < 7; i++) {
		size_t len = strlen(weekdays[i]);

		if (strncasecmp(*s, weekdays[i], len) != 0)
			len = 3;
		if (strncasecmp(*s, weekdays[i], len) != 0)
			continue;
		*s += len;
		*out = i;
		return true;
	}
	return false;
}

/* The first word, if it begins with a weekday: -1 = it is none, 0 = done, 1 = wrong. */
static int
take_weekdays(struct words *w, uint8_t *set)
{
	const char *s = peek(w);
	unsigned from, to;

	*set = ALL_DAYS;
	if ((*s < 'A' || *s > 'Z') && (*s < 'a' || *s > 'z'))
		return -1;
	*set = 0;
	for (;; s++) {
		if (!weekday(&s, &from))
			return 1;
		to = from;
		if (strncmp(s, "..", 2) == 0) {
			s += 2;
			if (!weekday(&s, &to))
				return 1;
		}
		/* Monday is the first day of a range, Sunday its last. */
		if ((from + 6) % 7 > (to + 6) % 7)
			return 1;
		for (unsigned i = from;; i = (i + 1) % 7) {
			*set |= (uint8_t)(1U << i);
			if (i == to)
				break;
		}
		if (*s != ',')
			break;
	}
	w->at++;
	return *s == '\0' ? 0 : 1;
}

/* ---- expressions ---- */

static bool
take_date(const char *s, struct calendar *c)
{
	uint64_t month = 0, day = 0;
	const char *second = strchr(s, '-');

	memset(c->years, 0, sizeof(c->years));
	if (second && strchr(second + 1, '-')) {
		if (!component(&s, CALENDAR_YEAR_FIRST, CALENDAR_YEAR_LAST, c->years) ||
		    *s++ != '-')
			return false;
	} else {
		memset(c->years, 0xff, sizeof(c->years));
	}
	if (!component(&s, 1, 12, &month) || *s++ != '-' || !component(&s, 1, 31, &day) || *s)
		return false;
	c->months = (uint16_t)(month << 1);
	c->days = (uint32_t)(day << 1);
	return true;
}

static bool
take_time(const char *s, struct calendar *c)
{
	uint64_t hour = 0;

	c->minutes = c->seconds = 0;
	if (!component(&s, 0, 23, &hour) || *s++ != ':' || !component(&s, 0, 59, &c->minutes))
		return false;
	c->hours = (uint32_t)hour;
	if (*s == '\0')
		c->seconds = 1;
	else if (*s++ != ':' || !component(&s, 0, 59, &c->seconds))
		return false;
	return *s == '\0';
}

static bool
parse_words(struct words *w, struct calendar *c)
{
	int days;

	c->utc = take_utc(w);
	days = take_weekdays(w, &c->weekdays);
	if (days > 0)
		return false;
	if (w->at < w->n && strchr(peek(w), '-') && !take_date(w->v[w->at++], c))
		return false;
	if (w->at < w->n && strchr(peek(w), ':') && !take_time(w->v[w->at++], c))
		return false;
	return w->at == w->n && w->n > 0;
}

int
calendar_parse(const char *text, struct calendar *out)
{
	/* What is not said: every day, at midnight. */
	struct calendar c = {.weekdays = ALL_DAYS,
	    .years = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
	    .months = 0x1ffe,
	    .days = 0xfffffffe,
	    .hours = 1,
	    .minutes = 1,
	    .seconds = 1};
	struct words w;

	for (size_t i = 0; i < sizeof(shorthands) / sizeof(shorthands[0]); i++) {
		size_t len = strlen(shorthands[i].word);

		if (strncasecmp(text, shorthands[i].word, len) != 0 ||
		    (text[len] != '\0' && strcmp(text + len, " UTC") != 0))
			continue;
		calendar_parse(shorthands[i].means, out);
		out->utc = text[len] != '\0';
		return 0;
	}
	if (split(text, &w) < 0 || !parse_words(&w, &c)) {
		errno = EINVAL;
		return -1;
	}
	*out = c;
	return 0;
}

/* ---- the next one ---- */

static bool
in(uint64_t set, int number)
{
	return set >> number & 1;
}

static bool
day_matches(const struct calendar *c, const struct tm *day)
{
	int year = day->tm_year + 1900 - CALENDAR_YEAR_FIRST;

	return in(c->years[year / 64], year % 64) && in(c->months, day->tm_mon + 1) &&
	       in(c->days, day->tm_mday) && in(c->weekdays, day->tm_wday);
}

static void
broken_down(int64_t t, bool utc, struct tm *out)
{
	time_t at = (time_t)t;

	if (utc)
		gmtime_r(&at, out);
	else
		localtime_r(&at, out);
}

/* -1: there is no such time on that day. */
static int64_t
moment(const struct tm *day, int second_of_day, bool utc)
{
	struct tm tm = {.tm_year = day->tm_year,
	    .tm_mon = day->tm_mon,
	    .tm_mday = day->tm_mday,
	    .tm_hour = second_of_day / 3600,
	    .tm_min = second_of_day / 60 % 60,
	    .tm_sec = second_of_day % 60,
	    .tm_isdst = -1};
	time_t t = utc ? timegm(&tm) : mktime(&tm);

	return tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec == second_of_day ? (int64_t)t : -1;
}

/* The first match on that day at or behind the second, and later than after; -1 = none. */
static int64_t
next_of_day(const struct calendar *c, const struct tm *day, int second, int64_t after)
{
	while (second < DAY_S) {
		if (!in(c->hours, second / 3600)) {
			second = (second / 3600 + 1) * 3600;
		} else if (!in(c->minutes, second / 60 % 60)) {
			second = (second / 60 + 1) * 60;
		} else if (!in(c->seconds, second % 60)) {
			second++;
		} else {
			int64_t t = moment(day, second, c->utc);

			if (t > after)
				return t;
			second++;
		}
	}
	return -1;
}

int64_t
calendar_next(const struct calendar *c, int64_t after)
{
	struct tm now, day;

	if (c->weekdays == 0)
		return -1;
	broken_down(after + 1, c->utc, &now);
	int second = now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec;

	day = (struct tm){.tm_year = now.tm_year, .tm_mon = now.tm_mon, .tm_mday = now.tm_mday};
	for (timegm(&day); day.tm_year + 1900 <= CALENDAR_YEAR_LAST; timegm(&day)) {
		int64_t t = -1;

		if (day.tm_year + 1900 >= CALENDAR_YEAR_FIRST && day_matches(c, &day))
			t = next_of_day(c, &day, second, after);
		if (t >= 0)
			return t;
		second = 0;
		day.tm_mday++;
	}
	return -1;
}

/* ---- blackouts ---- */

/* YYYY-MM-DD or MM-DD. */
static bool
date(const char **s, unsigned *out, bool *yearly)
{
	static const unsigned lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned v[3] = {0, 0, 0}, n = 0;

	do {
		if (n == 3 || !number(s, &v[n++]))
			return false;
	} while (**s == '-' && (*s)++);
	if (n < 2)
		return false;
	*yearly = n == 2;
	unsigned month = v[n - 2], day = v[n - 1];
	if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
		return false;
	if (n == 3 && (v[0] < CALENDAR_YEAR_FIRST || v[0] > CALENDAR_YEAR_LAST))
		return false;
	*out = (n == 3 ? v[0] * 10000 : 0) + month * 100 + day;
	return true;
}

static bool
take_dates(const char *s, struct blackout *b)
{
	bool yearly;

	b->dated = true;
	if (!date(&s, &b->first, &b->yearly))
		return false;
	b->last = b->first;
	if (strncmp(s, "..", 2) == 0) {
		s += 2;
		if (!date(&s, &b->last, &yearly) || yearly != b->yearly)
			return false;
	}
	return *s == '\0' && (b->yearly || b->first <= b->last);
}

static bool
minute_of_day(const char **s, unsigned *out)
{
	unsigned hour, minute;

	if (!number(s, &hour) || *(*s)++ != ':' || !number(s, &minute))
		return false;
	*out = hour * 60 + minute;
	return minute < 60 && *out <= 1440;
}

static bool
take_hours(const char *s, struct blackout *b)
{
	return minute_of_day(&s, &b->from_m) && *s++ == '-' && minute_of_day(&s, &b->until_m) &&
	       *s == '\0' && b->from_m < 1440 && b->from_m != b->until_m;
}

int
blackout_parse(const char *text, struct blackout *out)
{
	struct blackout b = {.weekdays = ALL_DAYS, .until_m = 1440};
	struct words w;
	bool good = split(text, &w) == 0;

	if (good) {
		b.utc = take_utc(&w);
		good = w.n > 0 && take_weekdays(&w, &b.weekdays) <= 0;
	}
	if (good && w.at < w.n && !strchr(peek(&w), ':'))
		good = take_dates(w.v[w.at++], &b);
	if (good && w.at < w.n)
		good = take_hours(w.v[w.at++], &b);
	if (!good || w.at != w.n) {
		errno = EINVAL;
		return -1;
	}
	*out = b;
	return 0;
}

static bool
blackout_day(const struct blackout *b, const struct tm *day)
{
	unsigned date_of = (unsigned)(day->tm_mon + 1) * 100 + (unsigned)day->tm_mday;

	if (!in(b->weekdays, day->tm_wday))
		return false;
	if (!b->dated)
		return true;
	if (!b->yearly)
		date_of += (unsigned)(day->tm_year + 1900) * 10000;
	if (b->first <= b->last)
		return date_of >= b->first && date_of <= b->last;
	return date_of >= b->first || date_of <= b->last; /* over the end of the year */
}

bool
blackout_has(const struct blackout *b, int64_t now)
{
	struct tm tm, day;
	unsigned minute;

	broken_down(now, b->utc, &tm);
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	if (b->until_m > b->from_m)
		return minute >= b->from_m && minute < b->until_m && blackout_day(b, &tm);
	if (minute >= b->from_m)
		return blackout_day(b, &tm);
	if (minute >= b->until_m)
		return false;
	day = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday - 1};
	timegm(&day);
	return blackout_day(b, &day);
}
