/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of drills.
 */
#include "hagent/drill.h"

#include <string.h>

static const char *const kinds[DRILL_N_KINDS] = {
    [DRILL_PLANNED] = "planned",
    [DRILL_CRASH] = "crash",
    [DRILL_LINK] = "link",
    [DRILL_DAEMON] = "daemon",
    [DRILL_LOAD] = "load",
};

const char *
drill_kind_name(enum drill_kind k)
{
	return kinds[k];
}

int
drill_kind_of(const char *name)
{
	for (int i = 0; i < DRILL_N_KINDS; i++) {
		if (strcmp(kinds[i], name) == 0)
			return i;
	}
	return -1;
}

bool
drill_is_black(const struct drill_plan *p, int64_t now)
{
	for (unsigned i = 0; i < p->blackout.n; i++) {
		if (blackout_has(&p->blackout.v[i], now))
			return true;
	}
	return false;
}
