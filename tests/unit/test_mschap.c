/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MS-CHAPv2 against the vectors of RFC 2759 §9.2 and the start keys of RFC 3079 §3.5.3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pptpd/crypto/mschap.h"

static const uint8_t auth_challenge[16] = {
    0x5b, 0x5d, 0x7c, 0x7d, 0x7b, 0x3f, 0x2f, 0x3e, 0x3c, 0x2c, 0x60, 0x21, 0x32, 0x26, 0x26, 0x28};
static const uint8_t peer_challenge[16] = {
    0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b, 0x3a, 0x33, 0x7c, 0x7e};
static const uint8_t nt_hash[16] = {
    0x44, 0xeb, 0xba, 0x8d, 0x53, 0x12, 0xb8, 0xd6, 0x11, 0x47, 0x44, 0x11, 0xf5, 0x69, 0x89, 0xae};
static const uint8_t nt_response[24] = {0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f,
    0xaa, 0x39, 0x81, 0xcd, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf};
static const uint8_t server_send_key[16] = {
    0x8b, 0x7c, 0xdc, 0x14, 0x9b, 0x99, 0x3a, 0x1b, 0xa1, 0x18, 0xcb, 0x15, 0x3f, 0x56, 0xdc, 0xcb};

static void
password_hash(void **state)
{
	uint8_t hash[16];

	assert_int_equal(mschap_nt_hash("clientPass", hash), 0);
	assert_memory_equal(hash, nt_hash, 16);
}

static void
hash_of(const char *password, const char *hex)
{
	uint8_t hash[16], want[16];

	for (int i = 0; i < 16; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		want[i] = (uint8_t)byte;
	}
	assert_int_equal(mschap_nt_hash(password, hash), 0);
	assert_memory_equal(hash, want, 16);
}

/* MD4 of the UTF-16LE form, computed with another implementation. */
static void
password_encodings(void **state)
{
	hash_of("", "31d6cfe0d16ae931b73c59d7e0c089c0");
	hash_of("p\xc3\xa4ss", "411b68984d6b19bbb302455798320a06");
	hash_of("\xe2\x82\xac\xf0\x9f\x98\x80", "612309ba9777a62d0820834058d3621f");
}

static void
password_refused(void **state)
{
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80",
	    "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
	    "a\xff"};
	char longest[260];
	uint8_t hash[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_int_equal(mschap_nt_hash(bad[i], hash), -1);
		assert_int_equal(errno, EILSEQ);
	}
	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	assert_int_equal(mschap_nt_hash(longest, hash), 0);
	longest[256] = 'x';
	longest[257] = '\0';
	assert_int_equal(mschap_nt_hash(longest, hash), -1);
	assert_int_equal(errno, EMSGSIZE);
	for (size_t units = 254; units <= 255; units++) { /* and one character that needs two */
		memset(longest, 'x', units);
		memcpy(longest + units, "\xf0\x9f\x98\x80", 5);
		assert_int_equal(mschap_nt_hash(longest, hash), units == 254 ? 0 : -1);
	}
}

static void
response(void **state)
{
	uint8_t out[24];

	mschap_nt_response(auth_challenge, peer_challenge, "User", nt_hash, out);
	assert_memory_equal(out, nt_response, 24);
	mschap_nt_response(auth_challenge, peer_challenge, "user", nt_hash, out);
	assert_memory_not_equal(out, nt_response, 24);
}

static void
authenticator_response(void **state)
{
	char out[MSCHAP_AUTH_RESPONSE_LEN + 1];

	mschap_auth_response(nt_hash, nt_response, peer_challenge, auth_challenge, "User", out);
	assert_string_equal(out, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
}

static void
start_keys(void **state)
{
	uint8_t send[16], recv[16], client_send[16], client_recv[16];

	mschap_mppe_keys(nt_hash, nt_response, true, send, recv);
	mschap_mppe_keys(nt_hash, nt_response, false, client_send, client_recv);
	assert_memory_equal(send, server_send_key, 16);
	assert_memory_equal(send, client_recv, 16);
	assert_memory_equal(recv, client_send, 16);
	assert_memory_not_equal(send, recv, 16);
}

static void
equal(void **state)
{
	assert_true(mschap_equal("abc", "abd", 2));
	assert_false(mschap_equal("abc", "abd", 3));
	assert_false(mschap_equal("xbc", "abc", 3));
	assert_true(mschap_equal("", "", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(password_hash),
	    cmocka_unit_test(password_encodings),
	    cmocka_unit_test(password_refused),
	    cmocka_unit_test(response),
	    cmocka_unit_test(authenticator_response),
	    cmocka_unit_test(start_keys),
	    cmocka_unit_test(equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
