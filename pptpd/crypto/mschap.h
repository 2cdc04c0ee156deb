/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MS-CHAPv2 (RFC 2759) and its MPPE keys (RFC 3079). Primitives come from nettle.
 * Passwords are UTF-8 and become UTF-16LE; `user` is the name as hashed: without a DOMAIN\ prefix.
 */
#ifndef CRYPTO_MSCHAP_H
#define CRYPTO_MSCHAP_H

#include <stdbool.h>
#include <stdint.h>

#define MSCHAP_CHALLENGE_LEN     16
#define MSCHAP_NT_RESPONSE_LEN   24
#define MSCHAP_AUTH_RESPONSE_LEN 42 /* "S=" and 40 hex digits, no NUL */

/* RFC 2759 §8.3. 0, or -1 with errno EILSEQ (not UTF-8), EMSGSIZE (over 256 UTF-16 units). */
int mschap_nt_hash(const char *password, uint8_t hash[static 16]);
void mschap_nt_response(const uint8_t auth_challenge[static 16],
    const uint8_t peer_challenge[static 16], const char *user, const uint8_t nt_hash[static 16],
    uint8_t response[static 24]);
void mschap_auth_response(const uint8_t nt_hash[static 16], const uint8_t nt_response[static 24],
    const uint8_t peer_challenge[static 16], const uint8_t auth_challenge[static 16],
    const char *user, char out[static MSCHAP_AUTH_RESPONSE_LEN + 1]);
/*
 * RFC 3079 §3: start keys for 128 bits. send/recv as seen from the server (authenticator) if
 * is_server, else from the client.
 */
void mschap_mppe_keys(const uint8_t nt_hash[static 16], const uint8_t nt_response[static 24],
    bool is_server, uint8_t send_key[static 16], uint8_t recv_key[static 16]);
/* Compares without leaking where they differ. */
bool mschap_equal(const void *a, const void *b, unsigned len);

#endif
