/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MPPE (RFC 3078), 128 bits, stateless: the key changes with every packet, so a packet is
 * described by its key index alone. index counts packets since the start key; the coherency count
 * on the wire is its low 12 bits. One struct a direction, one writer each.
 */
#ifndef CRYPTO_MPPE_H
#define CRYPTO_MPPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MPPE_HEADER_LEN 2    /* flags A B C D, coherency count */
#define MPPE_SKIP_MAX   2047 /* keys that a receiver steps over at most for one packet */

struct mppe {
	uint8_t master[16];  /* start key */
	uint8_t session[16]; /* key of packet `index` */
	uint64_t index;      /* of the next packet: nothing with a lower one is left to use */
};

/* RFC 3078 §7: derives the key of packet 0 from the start key. */
void mppe_init(struct mppe *m, const uint8_t start_key[static 16]);
void mppe_fini(struct mppe *m);
/* Steps to packet `index` (>= m->index). */
void mppe_step(struct mppe *m, uint64_t index);

/*
 * Encrypts len bytes (PPP protocol field and payload) with the key of m->index, then moves to the
 * next. out gets MPPE_HEADER_LEN + len bytes; in and out may overlap only if out + 2 == in.
 */
void mppe_encrypt(struct mppe *m, const uint8_t *in, size_t len, uint8_t *out);

enum mppe_verdict {
	MPPE_OK,
	MPPE_MALFORMED,     /* too short */
	MPPE_NOT_STATELESS, /* A or D bit clear */
	MPPE_LATE,          /* count is behind, or further ahead than MPPE_SKIP_MAX */
};

/*
 * Decrypts one packet (header and ciphertext, len bytes) into out (len - 2 bytes). m itself is not
 * changed: *next is what it becomes if the plaintext is accepted (mppe_commit), so that a corrupted
 * count does no harm. *skipped = keys stepped over (0 = in order). next must be cleaned by
 * mppe_commit() or mppe_fini().
 */
enum mppe_verdict mppe_decrypt(const struct mppe *m, const uint8_t *in, size_t len, uint8_t *out,
    struct mppe *next, uint32_t *skipped);
/* Keys that mppe_decrypt() would step over, which is what it costs; 0 for what it would refuse. */
uint32_t mppe_ahead(const struct mppe *m, const uint8_t *in, size_t len);
void mppe_commit(struct mppe *m, struct mppe *next);

#endif
