/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report of a drill: from what both gateways saw of the sessions, the lists of sessions before
 * and after, and the lines of both journals, to one JSON object. Pure. A report is at most
 * DRILL_REPORT_MAX bytes long; of sessions it names the worst, and counts the rest.
 *
 * {"format":1,"id","name","kind","node": who drove it,"from","to","scheduled",
 *  "at","ended": UTC,
 *  "verdict":"passed|failed|refused|aborted","why": one sentence,"advice":[sentences],
 *  "limits":[{"name","limit","seen","unit","ok"}],
 *  "ms": of the transition,"detection_ms","resumed_ms": until data went to a client again,
 *  "sessions":{"before","survived","redialled","lost","silent","new"},
 *  "gap_ms":{"n","min","median","p99","max"},"gap_spread_ms":[0 %, 5 %, ... 100 %],
 *  "packets":{"to_clients","from_clients","missing": reached nobody,"dropped": by counters,"lost"},
 *  "worst":[{"user","client","address","gap_ms","at_ms"}],"gone":[{"user","client","address",
 *  "outcome":"lost|silent|redialled"}],
 *  "steps":[{"node","transition","step","result","at_ms","ms","detail"}],
 *  "rate":{"step_ms","from_ms","NODE":[packets to clients in each step],...},
 *  "clock":{"difference_us","uncertainty_us"},
 *  "watch":{"NODE":{"packets","unseen","sessions"},...},
 *  "witness","load": what they said, or null; "fail_back": null or {"result","ms","text"},
 *  "phases":[{"name","result","at_ms","ms","text"}]}
 *
 * Times with at_ms count from the fault. A number that could not be measured is null.
 */
#ifndef HAGENT_DRILL_REPORT_H
#define HAGENT_DRILL_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "hagent/drill.h"
#include "hagent/drill_watch.h"

#define DRILL_REPORT_FORMAT 1
#define DRILL_REPORT_MAX    (48 << 10)

enum drill_verdict {
	DRILL_PASSED,
	DRILL_FAILED,
	DRILL_REFUSED,
	DRILL_ABORTED
};
const char *drill_verdict_name(enum drill_verdict v);

/* What a report is made from. All clocks here are those of the node that drove the drill. */
struct drill_seen {
	const struct drill_plan *plan;
	const char *id, *node, *from, *to; /* node drove; from served, to took over */
	bool scheduled;
	int64_t begun_ms, ended_ms;       /* wall clock */
	int64_t fault_us;                 /* monotonic; 0 = it never came to that */
	int64_t fault_ms;                 /* the same, wall clock */
	int64_t clock_us, clock_error_us; /* the other's monotonic clock is ahead by that */
	int64_t wall_ms;                  /* and its wall clock by that */
	/* NULL = there is none. */
	const struct drill_watch *old, *new; /* of `from` and of `to` */
	const json_t *before, *after;        /* pptpd's sessions */
	const json_t *old_journal, *new_journal;
	const json_t *witness, *load, *fail_back, *phases;
	int64_t dropped; /* by counters of `to`, of what came from clients; < 0 = not known */
};

/* New reference, without verdict, why, advice and limits; NULL = out of memory. */
json_t *drill_report(const struct drill_seen *s);
/* Compares with the plan's limits: adds limits, verdict, why and advice. */
void drill_report_judge(json_t *report, const struct drill_plan *plan);
/* A verdict that needs no figures. */
void drill_report_end(json_t *report, enum drill_verdict v, const char *why, const char *advice);
/* What lists of drills have of it: new reference. */
json_t *drill_report_summary(const json_t *report);

#endif
