/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers to take quantiles of. Beyond SAMPLES_MAX a random choice of what was seen is kept.
 */
#ifndef CLIENT_SAMPLES_H
#define CLIENT_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX 2000000u

struct samples {
	uint32_t *values;
	size_t n, size;
	uint64_t seen;
	uint64_t random;
};

void samples_add(struct samples *s, uint64_t value); /* dropped if there is no memory */
void samples_fini(struct samples *s);
/* Nearest rank, q in 0..1; sorts. 0 if there is none. */
uint32_t samples_quantile(struct samples *s, double q);

#endif
