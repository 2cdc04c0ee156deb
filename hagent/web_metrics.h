/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /metrics: what is known as Prometheus' text. Names begin with pptp_ha_, have base units, and
 * counters end in _total; labels are few and bounded, and never a user. What is not known is left
 * out. Pure.
 */
#ifndef HAGENT_WEB_METRICS_H
#define HAGENT_WEB_METRICS_H

#include <jansson.h>

/*
 * Borrowed: {"status": of status.sock, "pptpd" and "agent": of its `metrics`, "safety": as
 * safety_judge(), "drills": of its `drills`, "web": {...}}; each may be missing. Malloc'd; NULL
 * with ENOMEM.
 */
char *web_metrics_text(const json_t *all);

#endif
