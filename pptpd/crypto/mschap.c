/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MS-CHAPv2 and its MPPE start keys. Stateless; everything derived from a password is wiped
 * before a function returns.
 */
#include "pptpd/crypto/mschap.h"

#include <errno.h>
#include <nettle/des.h>
#include <nettle/md4.h>
#include <nettle/sha1.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PASSWORD_UNITS_MAX 256

/* Constants of RFC 2759 §8.7 and RFC 3079 §3.4; their final NUL is not part of them. */
static const char auth_magic_1[] = "Magic server to client signing constant";
static const char auth_magic_2[] = "Pad to make it do more than one iteration";
static const char key_magic_master[] = "This is the MPPE Master Key";
static const char key_magic_client_send[] = "On the client side, this is the send key; "
					    "on the server side, it is the receive key.";
static const char key_magic_client_recv[] = "On the client side, this is the receive key; "
					    "on the server side, it is the send key.";

/* One code point of strict UTF-8, or -1. *s moves past it. */
static int32_t
utf8_next(const uint8_t **s)
{
	static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *p = *s;
	int32_t c = *p++;
	int more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;

	if (more == 3 && (c & 0xf8) != 0xf0)
		return -1;
	if (more > 0)
		c &= 0x3f >> more;
	for (int i = 0; i < more; i++) {
		if ((*p & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (*p++ & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -1;
	*s = p;
	return c;
}

static void
put_unit(uint8_t *units, size_t i, uint32_t v)
{
	units[2 * i] = (uint8_t)v;
	units[2 * i + 1] = (uint8_t)(v >> 8);
}

int
mschap_nt_hash(const char *password, uint8_t hash[static 16])
{
	const uint8_t *s = (const uint8_t *)password;
	uint8_t units[2 * (PASSWORD_UNITS_MAX + 1)];
	struct md4_ctx md4;
	size_t n = 0;
	int error = 0;

	while (*s != '\0' && error == 0) {
		int32_t c = utf8_next(&s);

		if (c < 0) {
			error = EILSEQ;
		} else if (c >= 0x10000) {
			put_unit(units, n++, 0xd800 + (((uint32_t)c - 0x10000) >> 10));
			put_unit(units, n++, 0xdc00 + ((uint32_t)c & 0x3ff));
		} else {
			put_unit(units, n++, (uint32_t)c);
		}
		if (n > PASSWORD_UNITS_MAX || (n == PASSWORD_UNITS_MAX && *s != '\0' && error == 0))
			error = EMSGSIZE;
	}
	if (error == 0) {
		md4_init(&md4);
		md4_update(&md4, 2 * n, units);
		md4_digest(&md4, 16, hash);
		explicit_bzero(&md4, sizeof(md4));
	}
	explicit_bzero(units, sizeof(units));
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

/* RFC 2759 §8.2 */
static void
challenge_hash(const uint8_t peer_challenge[static 16], const uint8_t auth_challenge[static 16],
    const char *user, uint8_t out[static 8])
{
	struct sha1_ctx sha;

	sha1_init(&sha);
	sha1_update(&sha, 16, peer_challenge);
	sha1_update(&sha, 16, auth_challenge);
	sha1_update(&sha, strlen(user), (const uint8_t *)user);
	sha1_digest(&sha, 8, out);
}

/* RFC 2759 §8.6: 56 key bits spread over eight bytes, the low bit of each is parity. */
static void
des_encrypt_56(const uint8_t key[static 7], const uint8_t in[static 8], uint8_t out[static 8])
{
	struct des_ctx des;
	uint64_t bits = 0;
	uint8_t spread[8];

	for (int i = 0; i < 7; i++)
		bits = bits << 8 | key[i];
	for (int i = 0; i < 8; i++)
		spread[i] = (uint8_t)((bits >> (49 - 7 * i) & 0x7f) << 1);
	des_set_key(&des, spread); /* a weak key, which it reports, is a key like any other here */
	des_encrypt(&des, 8, out, in);
	explicit_bzero(&des, sizeof(des));
	explicit_bzero(&bits, sizeof(bits));
	explicit_bzero(spread, sizeof(spread));
}

void
mschap_nt_response(const uint8_t auth_challenge[static 16], const uint8_t peer_challenge[static 16],
    const char *user, const uint8_t nt_hash[static 16], uint8_t response[static 24])
{
	uint8_t challenge[8], padded[21] = {0};

	challenge_hash(peer_challenge, auth_challenge, user, challenge);
	memcpy(padded, nt_hash, 16);
	for (int i = 0; i < 3; i++)
		des_encrypt_56(padded + 7 * i, challenge, response + 8 * i);
	explicit_bzero(padded, sizeof(padded));
}

static void
hash_nt_hash(const uint8_t nt_hash[static 16], uint8_t out[static 16])
{
	struct md4_ctx md4;

	md4_init(&md4);
	md4_update(&md4, 16, nt_hash);
	md4_digest(&md4, 16, out);
	explicit_bzero(&md4, sizeof(md4));
}

void
mschap_auth_response(const uint8_t nt_hash[static 16], const uint8_t nt_response[static 24],
    const uint8_t peer_challenge[static 16], const uint8_t auth_challenge[static 16],
    const char *user, char out[static MSCHAP_AUTH_RESPONSE_LEN + 1])
{
	uint8_t hash_hash[16], challenge[8], digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha;

	hash_nt_hash(nt_hash, hash_hash);
	sha1_init(&sha);
	sha1_update(&sha, 16, hash_hash);
	sha1_update(&sha, 24, nt_response);
	sha1_update(&sha, sizeof(auth_magic_1) - 1, (const uint8_t *)auth_magic_1);
	sha1_digest(&sha, sizeof(digest), digest);

	challenge_hash(peer_challenge, auth_challenge, user, challenge);
	sha1_update(&sha, sizeof(digest), digest); /* sha1_digest() has started the next hash */
	sha1_update(&sha, sizeof(challenge), challenge);
	sha1_update(&sha, sizeof(auth_magic_2) - 1, (const uint8_t *)auth_magic_2);
	sha1_digest(&sha, sizeof(digest), digest);

	memcpy(out, "S=", 2);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 + 2 * i, 3, "%02X", digest[i]);
	explicit_bzero(hash_hash, sizeof(hash_hash));
	explicit_bzero(&sha, sizeof(sha));
}

/* RFC 3079 §3.4, GetAsymmetricStartKey for 128 bits. */
static void
start_key(const uint8_t master[static 16], const char *magic, uint8_t out[static 16])
{
	uint8_t pad[40] = {0};
	struct sha1_ctx sha;

	sha1_init(&sha);
	sha1_update(&sha, 16, master);
	sha1_update(&sha, sizeof(pad), pad);
	sha1_update(&sha, strlen(magic), (const uint8_t *)magic);
	memset(pad, 0xf2, sizeof(pad));
	sha1_update(&sha, sizeof(pad), pad);
	sha1_digest(&sha, 16, out);
	explicit_bzero(&sha, sizeof(sha));
}

void
mschap_mppe_keys(const uint8_t nt_hash[static 16], const uint8_t nt_response[static 24],
    bool is_server, uint8_t send_key[static 16], uint8_t recv_key[static 16])
{
	uint8_t hash_hash[16], master[16];
	struct sha1_ctx sha;

	hash_nt_hash(nt_hash, hash_hash);
	sha1_init(&sha);
	sha1_update(&sha, 16, hash_hash);
	sha1_update(&sha, 24, nt_response);
	sha1_update(&sha, sizeof(key_magic_master) - 1, (const uint8_t *)key_magic_master);
	sha1_digest(&sha, 16, master);
	start_key(master, is_server ? key_magic_client_recv : key_magic_client_send, send_key);
	start_key(master, is_server ? key_magic_client_send : key_magic_client_recv, recv_key);
	explicit_bzero(hash_hash, sizeof(hash_hash));
	explicit_bzero(master, sizeof(master));
	explicit_bzero(&sha, sizeof(sha));
}

bool
mschap_equal(const void *a, const void *b, unsigned len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (unsigned i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}
