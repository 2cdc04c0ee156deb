/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ordered lists of deadlines. Invariant: along the circle from the head, at_us never falls.
 */
#include "pptpd/data/due.h"

#include <assert.h>
#include <stddef.h>

void
due_list_init(struct due_list *l)
{
	l->head.prev = l->head.next = &l->head;
}

bool
due_pending(const struct due *d)
{
	return d->next != NULL;
}

void
due_set(struct due_list *l, struct due *d, uint64_t at_us)
{
	struct due *after = l->head.prev;

	assert(!due_pending(d));
	while (after != &l->head && after->at_us > at_us)
		after = after->prev;
	d->at_us = at_us;
	d->prev = after;
	d->next = after->next;
	after->next->prev = d;
	after->next = d;
}

void
due_cancel(struct due *d)
{
	if (!due_pending(d))
		return;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->prev = d->next = NULL;
}

struct due *
due_first(struct due_list *l)
{
	return l->head.next != &l->head ? l->head.next : NULL;
}

struct due *
due_pop(struct due_list *l, uint64_t now_us)
{
	struct due *d = due_first(l);

	if (d == NULL || d->at_us > now_us)
		return NULL;
	due_cancel(d);
	return d;
}
