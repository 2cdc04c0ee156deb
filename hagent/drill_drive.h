/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Driving a drill: a process of its own on the gateway that stands by. It asks this agent and the
 * peer's, waits, and makes the report; it changes nothing itself. SIGTERM breaks it off. Private to
 * hagent/drill_*.c and cmd_drill.c.
 */
#ifndef HAGENT_DRILL_DRIVE_H
#define HAGENT_DRILL_DRIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/fsm.h"
#include "hagent/drill_machine.h"
#include "hagent/drill_peer.h"
#include "hagent/drill_report.h"
#include "hagent/drill_watch.h"

#define DRILL_TEXT 400

struct drill_drive {
	const struct hagent *h;
	struct drill_plan plan;
	const char *id;
	bool scheduled, force;
	int abort_at; /* enum drill_state at whose beginning it is broken off; < 0 = none */

	struct fsm machine;
	struct drill_peer peer;
	bool joined, struck;
	pid_t watch, witness, load; /* our children; 0 = none */
	int witness_out, load_out;  /* what they print */
	struct drill_clock clock;
	int64_t begun_ms, fault_us, fault_ms;
	int64_t phase_us;       /* when the part began */
	uint64_t agent_gone_us; /* since when our agent does not answer; 0 = it does */
	struct drill_watch ours, theirs;
	bool have_ours, have_theirs;
	json_t *status; /* of our agent, the last one */
	json_t *before, *after, *our_journal, *their_journal, *witness_said, *load_said, *fail_back;
	json_t *phases;
	int64_t drops; /* of packets of clients here, before; < 0 = not known */
	int64_t dropped;
	char text[DRILL_TEXT]; /* of the part that runs */
	char why[DRILL_TEXT];  /* of the first one that failed */
	enum drill_state failed_in;
	bool failed, aborted, whole;
};

/* The whole of it. Exit status: HAGENT_OK if the verdict is passed. */
int drill_drive_run(struct drill_drive *d);

/* For the parts. False: it was broken off meanwhile. */
bool drill_wait_ms(struct drill_drive *d, int64_t ms);
/* A fresh d->status; false: the agent does not answer. */
bool drill_look(struct drill_drive *d);
void drill_say(struct drill_drive *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool drill_is_whole(const struct drill_drive *d); /* by d->status: one serves, the other in step */

/* drill_check.c: pure. What is against it, or NULL; wait: it may pass in a moment. */
const char *drill_refusal(const json_t *status, bool *wait);
/* What cluster.conf and past drills (newest first) have against it. */
const char *drill_refused_by_plan(
    const struct drill_plan *p, const json_t *past, int64_t now_s, bool scheduled, bool force);

/* drill_parts_run.c: one for each state. */
enum drill_event drill_do(struct drill_drive *d, enum drill_state s);
/* drill_witness.c */
int drill_witness_start(struct drill_drive *d, unsigned seconds);
int drill_load_start(struct drill_drive *d, unsigned seconds);
void drill_witness_end(struct drill_drive *d);
/* drill_collect.c */
void drill_collect(struct drill_drive *d);
json_t *drill_list_sessions(struct drill_drive *d, bool of_peer);
/* Packets of clients that this gateway has dropped so far, by its counters; -1 = not known. */
int64_t drill_count_drops(struct drill_drive *d);

#endif
