/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a worker has to do at a certain time, as lists ordered by it. All entries of a list wait
 * about equally long, so a new one nearly always belongs at the end: that is where the search
 * starts. Nodes are embedded in their owner; nothing allocates. One thread.
 */
#ifndef DATA_DUE_H
#define DATA_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct due {
	struct due *prev, *next; /* NULL: not in a list */
	uint64_t at_us;
	void *owner;
};

struct due_list {
	struct due head; /* of a circle */
};

void due_list_init(struct due_list *l);
bool due_pending(const struct due *d);
void due_set(struct due_list *l, struct due *d, uint64_t at_us); /* d must not be pending */
void due_cancel(struct due *d);                                  /* harmless if not pending */
struct due *due_first(struct due_list *l);                       /* NULL: empty */
/* Takes the first one out if its time has come, else NULL. */
struct due *due_pop(struct due_list *l, uint64_t now_us);

#endif
