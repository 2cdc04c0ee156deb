/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the agent knows of the other gateway: what it last said of itself, and on which paths it is
 * heard at present. Fed by `hagent link`. Pure but for the clock that it is given.
 */
#ifndef HAGENT_PEER_H
#define HAGENT_PEER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "hagent/epoch.h"
#include "hagent/flap.h"
#include "hagent/health.h"
#include "hagent/pair.h"

#define PEER_PATHS    3
#define PEER_FRESH_MS 350 /* the link's 200 ms of silence, and its way to us */

struct peer_path {
	const char *name; /* "sync", "lan", "wan" */
	bool up;
	uint64_t heard_ms, changed_ms; /* 0 = never */
	char error[160];               /* why it is not up */
};

struct peer {
	struct peer_path paths[PEER_PATHS];
	uint64_t heard_ms; /* on any path; 0 = never */
	char node[CLUSTER_NAME_MAX], version[24], role[16];
	struct epoch epoch;
	enum health_fault fault;
	char problem[192]; /* its worst, in its own words, quoted; empty = none */
	/* Of moves and flapping, see flap.h; an older version says only how many moves. */
	bool able, rides, held;
	char hold[192];          /* why it holds, in its own words, quoted; empty = it does not */
	struct flap_times moves; /* by our wall clock */
	/* Of the replica: see pair.h. An older version says neither. */
	uint64_t wants_cut, stale_cut;
	bool in_step;
	bool serves; /* its engine is active, whatever its role is called */
	unsigned sessions;
	bool maintenance, prepares, ready; /* see move.h */
	bool keepalived; /* it runs there; an older version does not say, and is believed */
};

void peer_init(struct peer *p);
/*
 * A report of the link: {"path":"sync","up":true,"hello":{...}} or {"path":"sync","up":false,
 * "error":"..."}. now_ms is the loop's clock, wall_ms the wall's. -1 with errno EBADMSG when it is
 * none; nothing has changed then.
 */
int peer_report(struct peer *p, const json_t *report, uint64_t now_ms, int64_t wall_ms);
bool peer_fresh(const struct peer *p, uint64_t now_ms);
bool peer_standby(const struct peer *p);
bool peer_active(const struct peer *p);
/* For status; new reference. */
json_t *peer_json(const struct peer *p, uint64_t now_ms);

#endif
