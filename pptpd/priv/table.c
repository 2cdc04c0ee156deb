/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Open addressing with linear probing, at most two thirds full; a deletion closes the gap, so there
 * are no tombstones. Invariant: no free slot lies between an entry's home and its place.
 */
#include "pptpd/priv/table.h"

#include <errno.h>
#include <stdlib.h>

static size_t
home(const struct table *t, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (t->size - 1);
}

/* The key's slot, or the free one where it would go. */
static size_t
probe(const struct table *t, uint64_t key)
{
	size_t i = home(t, key);

	while (t->slots[i].key != 0 && t->slots[i].key != key)
		i = (i + 1) & (t->size - 1);
	return i;
}

void
table_fini(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

uint32_t *
table_find(const struct table *t, uint64_t key)
{
	size_t i;

	if (t->used == 0)
		return NULL;
	i = probe(t, key);
	return t->slots[i].key == key ? &t->slots[i].value : NULL;
}

static int
grow(struct table *t)
{
	struct table bigger = {.size = t->size > 0 ? 2 * t->size : 64, .used = t->used};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (bigger.slots == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i].key != 0)
			bigger.slots[probe(&bigger, t->slots[i].key)] = t->slots[i];
	free(t->slots);
	*t = bigger;
	return 0;
}

int
table_put(struct table *t, uint64_t key, uint32_t value)
{
	uint32_t *found = table_find(t, key);

	if (found != NULL) {
		*found = value;
		return 0;
	}
	if (3 * (t->used + 1) > 2 * t->size && grow(t) < 0)
		return -1;
	t->slots[probe(t, key)] = (struct table_slot){key, value};
	t->used++;
	return 0;
}

void
table_delete(struct table *t, uint64_t key)
{
	size_t mask = t->size - 1, hole, i;

	if (t->used == 0 || t->slots[hole = probe(t, key)].key != key)
		return;
	t->used--;
	for (i = (hole + 1) & mask; t->slots[i].key != 0; i = (i + 1) & mask) {
		/* Its home lies cyclically in (hole, i]: then the gap does not part the two. */
		if (((i - home(t, t->slots[i].key)) & mask) < ((i - hole) & mask))
			continue;
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole].key = 0;
}
