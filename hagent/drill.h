/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drills: failures made on purpose, to know what a real one costs. This header is what all parts of
 * them share: the kinds, and what cluster.conf says of one.
 *
 *   planned  the sessions and addresses are moved, as by `hagent switchover`
 *   crash    the gateway that serves vanishes from the network for some seconds
 *   link     its WAN (or LAN) link goes, as if a cable had been pulled
 *   daemon   its pptpd is killed
 *   load     as crash, while new sessions are being opened
 *
 * The one that stands by drives a drill, since it is the one that survives; what a drill does to
 * the other one is undone there by a guardian (drill_guard.h), whatever else ends.
 */
#ifndef HAGENT_DRILL_H
#define HAGENT_DRILL_H

#include <stdbool.h>
#include <stdint.h>

#include "hagent/calendar.h"

enum drill_kind {
	DRILL_PLANNED,
	DRILL_CRASH,
	DRILL_LINK,
	DRILL_DAEMON,
	DRILL_LOAD,
	DRILL_N_KINDS
};

const char *drill_kind_name(enum drill_kind k);
int drill_kind_of(const char *name); /* -1: it is none */

#define DRILL_NAME_MAX  32
#define DRILL_PATH_MAX  128
#define DRILL_TEXT_MAX  64
#define DRILL_BLACKOUTS 8
#define DRILL_ID_MAX    64 /* 20261121T184500Z-NODE, with its NUL */

/* One `drill NAME {}` of cluster.conf; what it does not say has the defaults of its table. */
struct drill_plan {
	char name[DRILL_NAME_MAX];
	unsigned line;
	unsigned kind; /* enum drill_kind */
	struct {
		char text[DRILL_TEXT_MAX]; /* "" = only by hand */
		struct calendar when;
	} schedule;
	struct {
		char text[DRILL_BLACKOUTS][DRILL_TEXT_MAX];
		struct blackout v[DRILL_BLACKOUTS];
		unsigned n;
	} blackout;
	bool fail_back;             /* move back when it is over */
	unsigned after_failure;     /* 0 = not again before somebody has run one by hand */
	unsigned link;              /* 0 = wan, 1 = lan */
	unsigned outage_s;          /* how long the fault stands */
	unsigned before_s, after_s; /* how long the sessions are watched */
	unsigned max_sessions;      /* not while more are up */
	unsigned max_lost, max_gap_ms, max_detection_ms; /* the verdict's limits */
	char witness_command[DRILL_PATH_MAX];
	char account[DRILL_TEXT_MAX]; /* of chap-secrets, for the witness and the load */
	unsigned load_sessions;
};

bool drill_is_black(const struct drill_plan *p, int64_t now);

#endif
