/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A small hash table from a nonzero 64-bit key to a 32-bit value: what the monitor has set in the
 * system for the engine, so that it can take it back. Deleting moves entries: iterate without it.
 */
#ifndef PRIV_TABLE_H
#define PRIV_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t key; /* 0 = free */
	uint32_t value;
};

/* All zero is an empty table. Walk slots[0..size) for all entries. */
struct table {
	struct table_slot *slots;
	size_t size, used;
};

void table_fini(struct table *t);
/* NULL = not there. Valid until the next change. */
uint32_t *table_find(const struct table *t, uint64_t key);
/* Adds or replaces. 0, or -1 with ENOMEM. */
int table_put(struct table *t, uint64_t key, uint32_t value);
void table_delete(struct table *t, uint64_t key);

#endif
