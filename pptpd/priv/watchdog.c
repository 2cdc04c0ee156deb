/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Counting of ticks. Nothing counts before the first answer: an engine that reads its files has no
 * loop yet.
 */
#include "pptpd/priv/watchdog.h"

enum watchdog_verdict
watchdog_tick(struct watchdog *w, uint64_t now_ms)
{
	bool late = now_ms - w->last_tick_ms > WATCHDOG_TICK_MS + WATCHDOG_LATE_MS;

	w->last_tick_ms = now_ms;
	if (late)
		w->quiet = 0;
	else if (w->armed && ++w->quiet >= WATCHDOG_TICKS)
		return WATCHDOG_KILL;
	if (w->asked)
		return WATCHDOG_WAIT;
	w->asked = true;
	return WATCHDOG_ASK;
}

void
watchdog_heard(struct watchdog *w)
{
	w->quiet = 0;
}

void
watchdog_answered(struct watchdog *w)
{
	w->quiet = 0;
	w->asked = false;
	w->armed = true;
}
