/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files that make the report share. Private to hagent/drill_report.c, drill_steps.c and
 * drill_verdict.c.
 */
#ifndef HAGENT_DRILL_PARTS_H
#define HAGENT_DRILL_PARTS_H

#include "hagent/drill_report.h"

enum drill_outcome {
	DRILL_SURVIVED,
	DRILL_REDIALLED,
	DRILL_LOST,
	DRILL_SILENT, /* it is there, but nothing came from its client any more */
	DRILL_UNKNOWN,
	DRILL_N_OUTCOMES
};

struct drill_one {
	const json_t *session;
	uint32_t client;
	uint16_t call, peer_call;
	bool busy;       /* data went to the client before the fault */
	bool again;      /* and behind it */
	bool heard;      /* the new gateway heard its client behind the fault */
	uint64_t gap_us; /* 0 = not measured */
	int64_t gap_at_us;
	uint64_t to_client, from_client, missing;
	enum drill_outcome outcome;
};

struct drill_parts {
	const struct drill_seen *s;
	int64_t base_us; /* where the common line begins */
	uint32_t fault;  /* on it */
	struct drill_one *all;
	size_t n;
};

/* Adds "steps", "ms" and "detection_ms" from the journals. */
void drill_parts_steps(json_t *report, const struct drill_seen *s);

#endif
