/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers are compared modulo 2^32; indices never wrap.
 */
#include "pptpd/data/keygate.h"

struct keygate
keygate_free(uint8_t classes)
{
	return (struct keygate){.low = classes, .high = classes};
}

static uint64_t
align(uint64_t index, uint8_t classes)
{
	if (classes == KEYS_NONE)
		return KEYGATE_SHUT;
	if ((index & 1) == 0)
		return (classes & KEYS_EVEN) != 0 ? index : index + 1;
	return (classes & KEYS_ODD) != 0 ? index : index + 1;
}

uint64_t
keygate_index(const struct keygate *g, uint64_t index)
{
	if (index < g->mark_index) {
		uint64_t below = align(index, g->low);

		if (below < g->mark_index)
			return below;
		index = g->mark_index;
	}
	return align(index, g->high);
}

bool
keygate_number(const struct keygate *g, uint32_t seq)
{
	return g->high != KEYS_NONE || (int32_t)(g->mark_seq - seq) > 0;
}

uint32_t
keygate_left(const struct keygate *g, uint32_t seq)
{
	int32_t left = (int32_t)(g->mark_seq - seq);

	if (g->high != KEYS_NONE)
		return UINT32_MAX;
	return left > 0 ? (uint32_t)left : 0;
}

/* Keys that a packet can take: while one class is closed, every other key is stepped over. */
static unsigned
keys_each(uint8_t classes)
{
	return classes == KEYS_ALL ? 1 : 2;
}

uint32_t
keygate_packets(const struct keygate *g, uint32_t seq, uint64_t index)
{
	uint32_t numbers = keygate_left(g, seq);
	uint64_t keys = index < g->mark_index ? g->mark_index - index : 0;

	if (g->high != KEYS_NONE)
		return UINT32_MAX;
	keys /= keys_each(g->low);
	return keys < numbers ? (uint32_t)keys : numbers;
}

struct keygate
keygate_limit(const struct keygate *g, uint32_t seq, uint64_t index, uint32_t ahead)
{
	struct keygate limited = {.low = g->high != KEYS_NONE ? g->high : g->low};

	limited.mark_seq = seq + ahead;
	limited.mark_index = index + (uint64_t)ahead * keys_each(limited.low);
	if (g->high != KEYS_NONE)
		return limited;
	if ((int32_t)(g->mark_seq - limited.mark_seq) < 0)
		limited.mark_seq = g->mark_seq;
	if (g->mark_index < limited.mark_index)
		limited.mark_index = g->mark_index;
	return limited;
}
