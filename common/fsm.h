/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state machine engine. A machine is a table; only fsm_event() writes `state`, actions never
 * do: an action that must choose its successor feeds a further event after its own is done, with
 * fsm_event() from inside the action being legal (it is queued, run to completion in order).
 */
#ifndef COMMON_FSM_H
#define COMMON_FSM_H

#include <stdbool.h>
#include <stdint.h>

#define FSM_STAY (-1) /* next: state unchanged */
#define FSM_ANY  (-1) /* state: the row matches every state that no earlier row named */

struct fsm;

struct fsm_row {
	int8_t state;
	int8_t event;
	void (*action)(void *object, void *detail); /* may be NULL */
	int8_t next;
};

struct fsm_table {
	const char *name;          /* "ctrl" */
	const char *const *states; /* names, by number */
	const char *const *events;
	uint8_t n_states, n_events;
	const struct fsm_row *rows;
	uint8_t n_rows;
};

struct fsm_pending {
	int8_t event;
	void *detail;
};

struct fsm {
	const struct fsm_table *table;
	int8_t state;
	bool running;
	uint8_t n_pending;
	struct fsm_pending pending[4];
	uint32_t ignored; /* events that the state did not list */
};

void fsm_init(struct fsm *f, const struct fsm_table *table, int8_t state);
/*
 * Finds the row (first match), moves to its next state, then runs its action with (object, detail).
 * The state is already the new one while the action runs. False = not listed: counted, logged at
 * debug, nothing done. A 5th event queued from inside actions is a bug and asserts.
 * The object must not be freed from inside (see the reaper rule in HACKING.md).
 */
bool fsm_event(struct fsm *f, int8_t event, void *object, void *detail);
const char *fsm_state_name(const struct fsm *f);

#endif
