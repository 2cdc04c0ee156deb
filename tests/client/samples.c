/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Quantiles.
 */
#include "tests/client/samples.h"

#include <stdlib.h>

void
samples_add(struct samples *s, uint64_t value)
{
	uint32_t v = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
	uint32_t *more;

	s->seen++;
	if (s->n == SAMPLES_MAX) {
		s->random = s->random * 6364136223846793005u + 1442695040888963407u;
		if ((s->random >> 16) % s->seen < SAMPLES_MAX)
			s->values[(s->random >> 20) % SAMPLES_MAX] = v;
		return;
	}
	if (s->n == s->size) {
		size_t size = s->size != 0 ? s->size * 2 : 256;

		if ((more = reallocarray(s->values, size, sizeof(*more))) == NULL)
			return;
		s->values = more;
		s->size = size;
	}
	s->values[s->n++] = v;
}

void
samples_fini(struct samples *s)
{
	free(s->values);
	*s = (struct samples){0};
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t
samples_quantile(struct samples *s, double q)
{
	size_t rank;

	if (s->n == 0)
		return 0;
	qsort(s->values, s->n, sizeof(*s->values), compare);
	rank = (size_t)(q * (double)s->n + 0.999999);
	rank = rank < 1 ? 1 : rank > s->n ? s->n : rank;
	return s->values[rank - 1];
}
