/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the two files of the control socket share: control.c has the commands, control_metrics.c
 * the counters. Nothing else includes it.
 */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "pptpd/engine/engine.h"

json_t *control_counters_json(const struct dp_counters *n); /* drops that are 0 are left out */
json_t *control_replica_json(const struct engine *e);
/* Totals of the ended sessions and of those that run. */
void control_counters(struct engine *e, struct dp_counters *sum);

/* The command `metrics`: every counter with every name it can have, so that none is missing. */
void control_metrics(struct answer_request *r, json_t *args, void *arg);

#endif
