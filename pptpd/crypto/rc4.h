/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RC4 with 128-bit keys, ours because the data plane spends most of its time here. The state is
 * a permutation of bytes; the owner wipes it.
 */
#ifndef CRYPTO_RC4_H
#define CRYPTO_RC4_H

#include <stddef.h>
#include <stdint.h>

#define RC4_KEY_LEN 16

struct rc4 {
	uint32_t s[256]; /* bytes widened: word loads and stores are cheaper to forward */
	uint8_t i, j;
};

void rc4_init(struct rc4 *c, const uint8_t key[static RC4_KEY_LEN]);
/* Goes forward byte by byte: out may overlap in if out <= in. */
void rc4_crypt(struct rc4 *c, const uint8_t *in, size_t len, uint8_t *out);

#endif
