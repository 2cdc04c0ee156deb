/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When drills run: calendar expressions, a subset of systemd.time(7)'s that means the same there,
 * and windows in which nothing may run. Pure: time is an argument; local time is what TZ says.
 *
 *   [WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]     or a word: daily, weekly, ...
 *        Sun 04:00           Mon..Fri *-*-* 22:30           *-*-1,15 03:00 UTC
 *        each number may be *, a list, a range (1..5), and repeat (0/15)
 *
 *   [WEEKDAYS] [DATE[..DATE]] [HH:MM-HH:MM] [UTC]                  a blackout, at least one part
 *        Mon..Fri 08:00-18:00      12-20..01-06      2026-12-24..2026-12-26 06:00-24:00
 *        22:00-02:00 belongs to the day on which it begins
 */
#ifndef HAGENT_CALENDAR_H
#define HAGENT_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CALENDAR_YEAR_FIRST 1970
#define CALENDAR_YEAR_LAST  2199
#define CALENDAR_WANT                                                                              \
	"a calendar expression of systemd.time(7) such as Sun 04:00 or *-*-1 03:00:00 UTC"
#define BLACKOUT_WANT "a window such as Mon..Fri 08:00-18:00 or 12-20..01-06"

/* Bit n of a set = the number n. */
struct calendar {
	uint8_t weekdays; /* bit 0 = Sunday, as tm_wday */
	uint64_t years[4];
	uint16_t months;
	uint32_t days, hours;
	uint64_t minutes, seconds;
	bool utc;
};

/* 0, or -1 with errno EINVAL. */
int calendar_parse(const char *text, struct calendar *out);
/* The first moment after `after` that matches, or -1: never. */
int64_t calendar_next(const struct calendar *c, int64_t after);

struct blackout {
	uint8_t weekdays;
	bool dated, yearly;   /* yearly: the dates have no year */
	unsigned first, last; /* YYYYMMDD or MMDD, both included */
	unsigned from_m,
	    until_m; /* minutes of the day, until excluded; until <= from: the next day */
	bool utc;
};

int blackout_parse(const char *text, struct blackout *out);
bool blackout_has(const struct blackout *b, int64_t now);

#endif
