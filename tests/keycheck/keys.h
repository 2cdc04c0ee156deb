/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * All keys of one direction of one session, by absolute index, in any order: stepping starts from
 * the nearest key that is remembered.
 */
#ifndef KEYCHECK_KEYS_H
#define KEYCHECK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pptpd/crypto/mppe.h"

#define KEYS_EVERY 256 /* one of so many is remembered */
#define KEYS_MAX   ((uint64_t)1 << 28)

struct keys {
	uint8_t start[16];
	struct mppe last; /* the furthest one that was used */
	uint8_t (*marks)[16];
	size_t n_marks; /* keys 0, KEYS_EVERY, 2 * KEYS_EVERY ... */
};

void keys_init(struct keys *k, const uint8_t start_key[static 16]);
void keys_fini(struct keys *k);
/* The key of packet `index`, ready to decrypt it. False: out of bounds, or no memory. */
bool keys_get(struct keys *k, uint64_t index, struct mppe *out);

#endif
