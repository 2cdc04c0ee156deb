/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Is the engine's loop alive? A hung engine is worse than a dead one: its kernel goes on
 * acknowledging what nobody reads. The monitor asks on every tick and kills after nine ticks
 * without a sign. Only ticks on which the monitor itself ran in time count, and only in a row: a
 * machine that stalls as a whole kills nobody. Pure: the owner has the timer and the clock.
 */
#ifndef PRIV_WATCHDOG_H
#define PRIV_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_TICK_MS 100
#define WATCHDOG_LATE_MS 100 /* a tick that comes later than this is the machine's stall */
#define WATCHDOG_TICKS   9

/* All zero is the beginning. */
struct watchdog {
	uint64_t last_tick_ms;
	unsigned quiet; /* ticks in a row without a sign */
	bool asked;     /* a question is on its way: one at a time */
	bool armed;     /* it has answered once: its loop runs */
};

enum watchdog_verdict {
	WATCHDOG_WAIT,
	WATCHDOG_ASK,
	WATCHDOG_KILL
};

/* To be called every WATCHDOG_TICK_MS. */
enum watchdog_verdict watchdog_tick(struct watchdog *w, uint64_t now_ms);
/* The engine said something: a verb. It is alive, although the answer may still wait behind it. */
void watchdog_heard(struct watchdog *w);
/* The answer to the question. */
void watchdog_answered(struct watchdog *w);

#endif
