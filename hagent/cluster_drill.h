/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The values of cluster.conf's drill sections. Pure.
 */
#ifndef HAGENT_CLUSTER_DRILL_H
#define HAGENT_CLUSTER_DRILL_H

#include "hagent/cluster.h"

/* Each reads one value into its member of struct drill_plan: 0, or -1. */
int cluster_parse_kind(const char *s, unsigned *out);
int cluster_parse_schedule(const char *s, void *out);
int cluster_parse_blackout(const char *s, void *out); /* one more */
int cluster_parse_account(const char *s, char *out);

#endif
