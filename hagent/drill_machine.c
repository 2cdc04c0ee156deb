/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table. From JOIN on the peer may have something to undo; from HEAL on it has not.
 */
#include "hagent/drill_machine.h"

#include <stddef.h>
#include <string.h>

static const char *const states[] = {"check", "join", "before", "strike", "take", "after", "heal",
    "undo", "collect", "back", "done"};
static const char *const events[] = {"ok", "failed", "abort"};

#define ROW(state, event, next)                                                                    \
	{                                                                                          \
		DRILL_##state, DRILL_EV_##event, NULL, DRILL_##next                                \
	}

static const struct fsm_row rows[] = {
    ROW(CHECK, OK, JOIN),
    ROW(CHECK, FAILED, DONE),
    ROW(CHECK, ABORT, DONE),
    ROW(JOIN, OK, BEFORE),
    ROW(JOIN, FAILED, UNDO),
    ROW(JOIN, ABORT, UNDO),
    ROW(BEFORE, OK, STRIKE),
    ROW(BEFORE, FAILED, UNDO),
    ROW(BEFORE, ABORT, UNDO),
    ROW(STRIKE, OK, TAKE),
    ROW(STRIKE, FAILED, UNDO),
    ROW(STRIKE, ABORT, UNDO),
    ROW(TAKE, OK, AFTER),
    ROW(TAKE, FAILED, UNDO),
    ROW(TAKE, ABORT, UNDO),
    ROW(AFTER, OK, HEAL),
    ROW(AFTER, FAILED, UNDO),
    ROW(AFTER, ABORT, UNDO),
    ROW(HEAL, OK, COLLECT),
    ROW(HEAL, FAILED, UNDO),
    ROW(HEAL, ABORT, UNDO),
    ROW(UNDO, OK, COLLECT),
    ROW(UNDO, FAILED, COLLECT),
    ROW(UNDO, ABORT, COLLECT),
    ROW(COLLECT, OK, BACK),
    ROW(COLLECT, FAILED, BACK),
    ROW(COLLECT, ABORT, BACK),
    ROW(BACK, OK, DONE),
    ROW(BACK, FAILED, DONE),
    ROW(BACK, ABORT, DONE),
};

static const struct fsm_table table = {
    .name = "drill",
    .states = states,
    .events = events,
    .n_states = DRILL_N_STATES,
    .n_events = DRILL_N_EVENTS,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

void
drill_machine_init(struct fsm *f)
{
	fsm_init(f, &table, DRILL_CHECK);
}

void
drill_machine_feed(struct fsm *f, enum drill_event e)
{
	fsm_event(f, (int8_t)e, NULL, NULL);
}

const char *
drill_state_name(enum drill_state s)
{
	return states[s];
}

int
drill_state_of(const char *name)
{
	for (int i = 0; i < DRILL_N_STATES; i++) {
		if (strcmp(states[i], name) == 0)
			return i;
	}
	return -1;
}
