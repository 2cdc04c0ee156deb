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
