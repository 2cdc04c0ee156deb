/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The course of a drill, as a state machine: what comes behind each part when it goes well, when it
 * does not, and when somebody breaks it off. Whatever was begun is undone before the report is
 * made. Pure; drill_drive.c does the parts.
 */
#ifndef HAGENT_DRILL_MACHINE_H
#define HAGENT_DRILL_MACHINE_H

#include "common/fsm.h"

enum drill_state {
	DRILL_CHECK,   /* may it be? Nothing has happened yet */
	DRILL_JOIN,    /* the peer takes part, both watch, clocks are compared */
	DRILL_BEFORE,  /* the sessions are listed and watched */
	DRILL_STRIKE,  /* the fault, or the order to move */
	DRILL_TAKE,    /* until we serve */
	DRILL_AFTER,   /* the sessions are watched */
	DRILL_HEAL,    /* the fault is undone, until the pair is whole */
	DRILL_UNDO,    /* the same, for a drill that went wrong, as far as it came */
	DRILL_COLLECT, /* what the peer saw */
	DRILL_BACK,    /* move back, where that is wanted */
	DRILL_DONE,    /* the report is made */
	DRILL_N_STATES
};

enum drill_event {
	DRILL_EV_OK,
	DRILL_EV_FAILED,
	DRILL_EV_ABORT,
	DRILL_N_EVENTS
};

void drill_machine_init(struct fsm *f);
/* The part is over; the state is the next one then. */
void drill_machine_feed(struct fsm *f, enum drill_event e);
const char *drill_state_name(enum drill_state s); /* "check", "join", ... */
int drill_state_of(const char *name);             /* -1: none */

#endif
