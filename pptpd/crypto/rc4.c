/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RC4 key set-up and stream, one at a time. The chain from s[i] to j to s[j] is what takes the
 * time, so the loop keeps i and j in registers and fetches the next s[i] early.
 */
#include "pptpd/crypto/rc4.h"

void
rc4_init(struct rc4 *c, const uint8_t key[static RC4_KEY_LEN])
{
	uint8_t j = 0;

	for (unsigned i = 0; i < 256; i++)
		c->s[i] = i;
	for (unsigned i = 0; i < 256; i++) {
		uint32_t a = c->s[i];

		j = (uint8_t)(j + a + key[i % RC4_KEY_LEN]);
		c->s[i] = c->s[j];
		c->s[j] = a;
	}
	c->i = c->j = 0;
}

void
rc4_crypt(struct rc4 *c, const uint8_t *in, size_t len, uint8_t *out)
{
	uint32_t *s = c->s;
	uint8_t i = c->i, j = c->j;

	for (size_t n = 0; n < len; n++) {
		uint32_t a, b;

		a = s[++i];
		j = (uint8_t)(j + a);
		b = s[j];
		s[i] = b;
		s[j] = a;
		out[n] = in[n] ^ (uint8_t)s[(uint8_t)(a + b)];
	}
	c->i = i;
	c->j = j;
}
