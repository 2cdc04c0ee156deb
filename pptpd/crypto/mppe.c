/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MPPE 128 bits, stateless (RFC 3078, key schedule of RFC 3079 §3). A struct mppe stands at the
 * key of the next packet and only ever moves forward, so no key is used for two packets.
 */
#include "pptpd/crypto/mppe.h"

#include <assert.h>
#include <nettle/sha1.h>
#include <string.h>

#include "common/cursor.h"
#include "pptpd/crypto/rc4.h"

#define BIT_A      0x8000 /* flushed: the key was changed for this packet */
#define BIT_D      0x1000 /* encrypted */
#define COUNT_MASK 0x0fff

#define SHA_IV                                                                                     \
	{                                                                                          \
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0                         \
	}

/*
 * RFC 3079 §3.4, GetNewKeyFromSHA: the first 16 bytes of SHA1(start key | 40 x 00 | session key |
 * 40 x F2). These 112 bytes and SHA1's padding are two blocks exactly, so they are laid out here
 * and compressed without the generic hash around them.
 */
static void
get_new_key(
    const uint8_t start[static 16], const uint8_t session[static 16], uint8_t out[static 16])
{
	uint8_t block[2 * SHA1_BLOCK_SIZE] = {0};
	uint32_t h[5] = SHA_IV;

	memcpy(block, start, 16);
	memcpy(block + 56, session, 16);
	memset(block + 72, 0xf2, 40);
	block[112] = 0x80;
	block[126] = 112 * 8 >> 8;
	block[127] = 112 * 8 & 0xff;
	nettle_sha1_compress(h, block);
	nettle_sha1_compress(h, block + SHA1_BLOCK_SIZE);
	for (int i = 0; i < 16; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
	explicit_bzero(block, sizeof(block));
	explicit_bzero(h, sizeof(h));
}

/* RFC 3078 §7.3: the interim key from the hash, then encrypted with itself. */
static void
change_key(struct mppe *m)
{
	uint8_t interim[16];
	struct rc4 c;

	get_new_key(m->master, m->session, interim);
	rc4_init(&c, interim);
	rc4_crypt(&c, interim, sizeof(interim), m->session);
	explicit_bzero(interim, sizeof(interim));
	explicit_bzero(&c, sizeof(c));
}

/*
 * Stateless mode changes the key before every packet (RFC 3078 §8.1), also before the first one:
 * the initial session key itself encrypts nothing. Linux and Windows do the same.
 */
void
mppe_init(struct mppe *m, const uint8_t start_key[static 16])
{
	memcpy(m->master, start_key, 16);
	get_new_key(start_key, start_key, m->session);
	m->index = 0;
	change_key(m);
}

void
mppe_fini(struct mppe *m)
{
	explicit_bzero(m, sizeof(*m));
}

void
mppe_step(struct mppe *m, uint64_t index)
{
	assert(index >= m->index);
	for (; m->index < index; m->index++)
		change_key(m);
}

void
mppe_encrypt(struct mppe *m, const uint8_t *in, size_t len, uint8_t *out)
{
	uint16_t head = BIT_A | BIT_D | (uint16_t)(m->index & COUNT_MASK);
	struct rc4 c;

	rc4_init(&c, m->session);
	rc4_crypt(&c, in, len, out + MPPE_HEADER_LEN);
	out[0] = (uint8_t)(head >> 8);
	out[1] = (uint8_t)head;
	explicit_bzero(&c, sizeof(c));
	mppe_step(m, m->index + 1);
}

enum mppe_verdict
mppe_decrypt(const struct mppe *m, const uint8_t *in, size_t len, uint8_t *out, struct mppe *next,
    uint32_t *skipped)
{
	struct rd r = rd_init(in, len);
	uint16_t head = rd_u16(&r), ahead;
	struct rc4 c;

	*next = *m;
	*skipped = 0;
	if (!rd_ok(&r) || rd_left(&r) == 0)
		return MPPE_MALFORMED;
	if ((head & (BIT_A | BIT_D)) != (BIT_A | BIT_D))
		return MPPE_NOT_STATELESS;
	ahead = (uint16_t)(head - m->index) & COUNT_MASK;
	if (ahead > MPPE_SKIP_MAX)
		return MPPE_LATE;
	mppe_step(next, m->index + ahead);
	*skipped = ahead;
	rc4_init(&c, next->session);
	rc4_crypt(&c, r.p, rd_left(&r), out);
	explicit_bzero(&c, sizeof(c));
	mppe_step(next, next->index + 1);
	return MPPE_OK;
}

uint32_t
mppe_ahead(const struct mppe *m, const uint8_t *in, size_t len)
{
	struct rd r = rd_init(in, len);
	uint16_t ahead = (uint16_t)(rd_u16(&r) - m->index) & COUNT_MASK;

	return rd_ok(&r) && ahead <= MPPE_SKIP_MAX ? ahead : 0;
}

void
mppe_commit(struct mppe *m, struct mppe *next)
{
	assert(next->index > m->index);
	*m = *next;
	mppe_fini(next);
}
