/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a bad network does to GRE packets: loses, doubles, delays and damages them, by chance and
 * counted. One slot a session and direction holds the packet that the next one overtakes. Pure:
 * packets come out through a callback.
 */
#ifndef CLIENT_FAULTS_H
#define CLIENT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULTS_HOLD_MS 25 /* a held packet that nothing overtakes goes on after this long */

struct fault_rates { /* per cent */
	double reorder, duplicate, loss;
	double corrupt;       /* the damaged packet goes instead of the good one */
	double corrupt_extra; /* it goes beside the good one: half of the times before it */
};

struct fault_counts {
	uint64_t reordered, duplicated, lost, corrupted_instead, corrupted_before, corrupted_after;
};

struct faults {
	struct fault_rates rates;
	struct fault_counts counts;
	uint64_t random; /* state of the generator; never 0 */
};

struct fault_slot {
	uint8_t *held; /* malloc'd, NULL = none */
	size_t len;
};

typedef void fault_emit_fn(void *arg, const uint8_t *bytes, size_t len);

void faults_init(struct faults *f, const struct fault_rates *rates, uint64_t seed);
bool faults_any(const struct faults *f);
uint64_t faults_random(struct faults *f);
/* One packet in, any number out, then the one that was held. Bytes below `header` stay sound. */
void faults_pass(struct faults *f, struct fault_slot *slot, const uint8_t *bytes, size_t len,
    size_t header, fault_emit_fn *emit, void *arg);
void faults_flush(struct fault_slot *slot, fault_emit_fn *emit, void *arg);
void faults_drop(struct fault_slot *slot); /* frees what is held */

#endif
