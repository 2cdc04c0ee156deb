/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fault injection.
 */
#include "tests/client/faults.h"

#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 2048

void
faults_init(struct faults *f, const struct fault_rates *rates, uint64_t seed)
{
	*f = (struct faults){.rates = *rates, .random = seed != 0 ? seed : 1};
}

bool
faults_any(const struct faults *f)
{
	const struct fault_rates *r = &f->rates;

	return r->reorder > 0 || r->duplicate > 0 || r->loss > 0 || r->corrupt > 0 ||
	       r->corrupt_extra > 0;
}

/* xorshift64*: repeatable, and good enough for dice. */
uint64_t
faults_random(struct faults *f)
{
	f->random ^= f->random >> 12;
	f->random ^= f->random << 25;
	f->random ^= f->random >> 27;
	return f->random * 2685821657736338717u;
}

static bool
chance(struct faults *f, double percent)
{
	return percent > 0 && (double)(faults_random(f) >> 11) * 0x1p-53 * 100 < percent;
}

/* One to eight bits of the payload flipped. */
static void
damage(struct faults *f, uint8_t *bytes, size_t len, size_t header)
{
	unsigned flips = 1 + (unsigned)(faults_random(f) % 8);

	for (unsigned i = 0; i < flips; i++) {
		uint64_t at = faults_random(f) % ((len - header) * 8);

		bytes[header + at / 8] ^= (uint8_t)(1u << at % 8);
	}
}

static void
emit_damaged(struct faults *f, const uint8_t *bytes, size_t len, size_t header, fault_emit_fn *emit,
    void *arg)
{
	uint8_t copy[PACKET_MAX];

	memcpy(copy, bytes, len);
	damage(f, copy, len, header);
	emit(arg, copy, len);
}

static void
pass_one(struct faults *f, const uint8_t *bytes, size_t len, size_t header, fault_emit_fn *emit,
    void *arg)
{
	bool can_damage = len > header && len <= PACKET_MAX;

	if (can_damage && chance(f, f->rates.corrupt)) {
		f->counts.corrupted_instead++;
		emit_damaged(f, bytes, len, header, emit, arg);
		return;
	}
	if (can_damage && chance(f, f->rates.corrupt_extra)) {
		bool before = faults_random(f) >> 63 != 0;

		if (before)
			emit_damaged(f, bytes, len, header, emit, arg);
		emit(arg, bytes, len);
		if (!before)
			emit_damaged(f, bytes, len, header, emit, arg);
		*(before ? &f->counts.corrupted_before : &f->counts.corrupted_after) += 1;
		return;
	}
	emit(arg, bytes, len);
	if (chance(f, f->rates.duplicate)) {
		f->counts.duplicated++;
		emit(arg, bytes, len);
	}
}

void
faults_pass(struct faults *f, struct fault_slot *slot, const uint8_t *bytes, size_t len,
    size_t header, fault_emit_fn *emit, void *arg)
{
	if (chance(f, f->rates.loss)) {
		f->counts.lost++;
		return;
	}
	if (slot->held == NULL && chance(f, f->rates.reorder) &&
	    (slot->held = malloc(len)) != NULL) {
		memcpy(slot->held, bytes, len);
		slot->len = len;
		return;
	}
	pass_one(f, bytes, len, header, emit, arg);
	if (slot->held != NULL) {
		f->counts.reordered++;
		faults_flush(slot, emit, arg);
	}
}

void
faults_flush(struct fault_slot *slot, fault_emit_fn *emit, void *arg)
{
	uint8_t *held = slot->held;

	if (held == NULL)
		return;
	slot->held = NULL;
	emit(arg, held, slot->len);
	free(held);
}

void
faults_drop(struct fault_slot *slot)
{
	free(slot->held);
	slot->held = NULL;
}
