/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state machine engine: one event at a time, to completion. Whoever feeds the first event owns
 * the run; events fed from inside actions wait in `pending` and the same run takes them in order.
 */
#include "common/fsm.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/log.h"

void
fsm_init(struct fsm *f, const struct fsm_table *table, int8_t state)
{
	assert(state >= 0 && state < table->n_states);
	*f = (struct fsm){.table = table, .state = state};
}

const char *
fsm_state_name(const struct fsm *f)
{
	return f->table->states[f->state];
}

static const struct fsm_row *
find_row(const struct fsm *f, int8_t event)
{
	const struct fsm_table *t = f->table;

	for (unsigned i = 0; i < t->n_rows; i++)
		if (t->rows[i].event == event &&
		    (t->rows[i].state == f->state || t->rows[i].state == FSM_ANY))
			return &t->rows[i];
	return NULL;
}

static bool
step(struct fsm *f, int8_t event, void *object, void *detail)
{
	const struct fsm_row *row = find_row(f, event);

	if (row == NULL) {
		f->ignored++;
		log_debug("fsm ignored machine=%s state=%s event=%s", f->table->name,
		    fsm_state_name(f), f->table->events[event]);
		return false;
	}
	if (row->next != FSM_STAY) {
		assert(row->next >= 0 && row->next < f->table->n_states);
		f->state = row->next;
	}
	if (row->action != NULL)
		row->action(object, detail);
	return true;
}

bool
fsm_event(struct fsm *f, int8_t event, void *object, void *detail)
{
	bool listed;

	assert(event >= 0 && event < f->table->n_events);
	if (f->running) {
		assert(f->n_pending < sizeof(f->pending) / sizeof(f->pending[0]));
		f->pending[f->n_pending++] = (struct fsm_pending){event, detail};
		return true;
	}
	f->running = true;
	listed = step(f, event, object, detail);
	while (f->n_pending > 0) {
		struct fsm_pending next = f->pending[0];

		f->n_pending--;
		memmove(f->pending, f->pending + 1, f->n_pending * sizeof(f->pending[0]));
		step(f, next.event, object, next.detail);
	}
	f->running = false;
	return listed;
}
