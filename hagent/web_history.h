/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The last hour: one sample every 10 seconds of how many sessions there were and what passed
 * through the tunnels. Pure; the clock is given.
 */
#ifndef HAGENT_WEB_HISTORY_H
#define HAGENT_WEB_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define WEB_HISTORY_STEP_S  10
#define WEB_HISTORY_SAMPLES 360

enum web_series { /* from clients = rx, to clients = tx */
	WEB_RX_OCTETS,
	WEB_TX_OCTETS,
	WEB_RX_PACKETS,
	WEB_TX_PACKETS,
	WEB_RATES
};

struct web_sample {
	bool known, rated;      /* sessions mean something; rates do too */
	double rate[WEB_RATES]; /* a second */
	uint32_t sessions;
};

/* Zeroed = empty. */
struct web_history {
	struct web_sample samples[WEB_HISTORY_SAMPLES];
	size_t next, n;
	bool based; /* last[] means something */
	uint64_t last[WEB_RATES], last_ms, last_uptime_ms;
};

/*
 * Adds a sample. pptpd: what its `metrics` answers; NULL = it did not: the sample is a gap. A
 * daemon that was started again begins its counters anew: no rate then.
 */
void web_history_add(struct web_history *h, const json_t *pptpd, uint64_t now_ms);
/* {"step_s":10,"end":"...","rx_octets":[...],...,"sessions":[...]}, oldest first, null = unknown.
 */
json_t *web_history_json(const struct web_history *h, const char *end);

#endif
