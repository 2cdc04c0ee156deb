/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Breadcrumbs: which session (or control connection) each thread of the engine has in hand, in a
 * page that the monitor shares and reads when the engine has died. Writing one is a relaxed store
 * to a cache line that nobody else writes. 0 = nothing in hand.
 *
 * What the monitor reads was written by a process that has gone wrong: numbers, nothing else.
 */
#ifndef PRIV_CRUMB_H
#define PRIV_CRUMB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/crash.h"
#include "pptpd/data/crumb.h"
#include "pptpd/data/dataplane.h"

#define CRUMB_MAIN  0 /* the main thread's place; worker n has place n + 1 */
#define CRUMB_SLOTS (1 + DP_WORKERS_MAX)

struct crumb_page {
	struct crumb slots[CRUMB_SLOTS];
	/* By a bit each: threads that took a deadly signal of their own doing. */
	_Atomic uint32_t fell;
};
_Static_assert(CRUMB_SLOTS <= CRASH_IDS && CRUMB_SLOTS <= 32, "a report has room for all");

/* Monitor: the page, mapped, and its descriptor for the engine. NULL with errno. */
struct crumb_page *crumb_make(int *fd);
/* Engine, before its sandbox: maps what crumb_make() made; fd is closed. NULL with errno. */
struct crumb_page *crumb_take(int fd);
void crumb_free(struct crumb_page *p);

/*
 * Engine, main thread, before others are made: from here on a deadly signal that a thread brings
 * upon itself is noted in the page before it kills. Once a process.
 */
int crumb_watch(struct crumb_page *p);

/*
 * Monitor: what was in hand when the engine ended. hung: the watchdog killed it, so it is what the
 * main thread had. Else what the threads had that fell; where none is known to have fallen, what
 * all of them had.
 */
void crumb_read(const struct crumb_page *p, bool hung, struct crash *out);

#endif
