/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The timers of drills that have a schedule: one systemd unit each, for the template
 * pptp-ha-drill@.service. Both gateways have them; at that moment the one that stands by drives.
 */
#ifndef HAGENT_DRILL_TIMER_H
#define HAGENT_DRILL_TIMER_H

#include <jansson.h>
#include <stdbool.h>

#include "hagent/hagent.h"

#define DRILL_TIMERS "/etc/systemd/system"

/* Pure: malloc'd; NULL = out of memory. */
char *drill_timer_text(const struct drill_plan *p);
/*
 * Writes those that changed and removes those that cluster.conf has no more; check: only says so.
 * HAGENT_OK, HAGENT_FAIL as `hagent render`.
 */
int drill_timers_render(const struct hagent *h, const struct cluster *c, bool check);

#endif
