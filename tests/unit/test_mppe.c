/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MPPE against RFC 3079 §3.5.3 (128 bits), and stateless operation: late packets, skipped keys and
 * the wrap of the 12-bit coherency count. Later keys were computed with another implementation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pptpd/crypto/mppe.c"

static const uint8_t start_key[16] = {
    0x8b, 0x7c, 0xdc, 0x14, 0x9b, 0x99, 0x3a, 0x1b, 0xa1, 0x18, 0xcb, 0x15, 0x3f, 0x56, 0xdc, 0xcb};

/* The RFC's own vector: the initial session key, and RC4 with it. */
static void
rfc_3079_vector(void **state)
{
	static const uint8_t initial[16] = {0x40, 0x5c, 0xb2, 0x24, 0x7a, 0x79, 0x56, 0xe6, 0xe2,
	    0x11, 0x00, 0x7a, 0xe2, 0x7b, 0x22, 0xd4};
	static const uint8_t cipher[12] = {
	    0x81, 0x84, 0x83, 0x17, 0xdf, 0x68, 0x84, 0x62, 0x72, 0xfb, 0x5a, 0xbe};
	uint8_t key[16], out[12];
	struct rc4 c;

	get_new_key(start_key, start_key, key);
	assert_memory_equal(key, initial, 16);
	rc4_init(&c, key);
	rc4_crypt(&c, (const uint8_t *)"test ", 5, out);
	rc4_crypt(&c, (const uint8_t *)"message", 7, out + 5);
	assert_memory_equal(out, cipher, 12);
}

static void
key_of_each_index(void **state)
{
	static const struct {
		uint64_t index;
		uint8_t packet[8]; /* 00 21 "test" as sent */
	} rows[] = {
	    {0, {0x90, 0x00, 0x70, 0x58, 0x22, 0x4e, 0x93, 0x1b}},
	    {1, {0x90, 0x01, 0x35, 0x3c, 0x95, 0x4c, 0xd5, 0x45}},
	    {4095, {0x9f, 0xff, 0xb4, 0xe7, 0xf9, 0x29, 0xea, 0x01}},
	    {4096, {0x90, 0x00, 0x93, 0xdc, 0x44, 0x64, 0x82, 0xbb}},
	};
	static const uint8_t plain[6] = {0x00, 0x21, 't', 'e', 's', 't'};
	uint8_t out[8], inplace[8];
	struct mppe m;

	mppe_init(&m, start_key);
	assert_int_equal(m.index, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mppe copy;

		mppe_step(&m, rows[i].index);
		copy = m;
		mppe_encrypt(&copy, plain, sizeof(plain), out);
		assert_memory_equal(out, rows[i].packet, 8);
		assert_int_equal(copy.index, rows[i].index + 1);
		memcpy(inplace + 2, plain, 6);
		copy = m;
		mppe_encrypt(&copy, inplace + 2, 6, inplace);
		assert_memory_equal(inplace, rows[i].packet, 8);
	}
	mppe_fini(&m);
	assert_memory_equal(&m, &(struct mppe){0}, sizeof(m));
}

/* A sender at `sent`, a receiver at `expected`: what becomes of the packet? */
static void
packet(uint64_t sent, uint64_t expected, enum mppe_verdict want)
{
	static const uint8_t plain[6] = {0x00, 0x21, 'h', 'e', 'r', 'e'};
	struct mppe tx, rx, next, before;
	uint8_t wire[8], out[6];
	uint32_t skipped;

	mppe_init(&tx, start_key);
	mppe_init(&rx, start_key);
	mppe_step(&tx, sent);
	mppe_step(&rx, expected);
	before = rx;
	mppe_encrypt(&tx, plain, sizeof(plain), wire);
	assert_int_equal(mppe_decrypt(&rx, wire, sizeof(wire), out, &next, &skipped), want);
	assert_int_equal(mppe_ahead(&rx, wire, sizeof(wire)), want == MPPE_OK ? skipped : 0);
	assert_memory_equal(&rx, &before, sizeof(rx));
	if (want == MPPE_OK) {
		assert_memory_equal(out, plain, 6);
		assert_int_equal(skipped, sent - expected);
		mppe_commit(&rx, &next);
		assert_int_equal(rx.index, sent + 1);
		assert_memory_equal(rx.session, tx.session, 16);
		assert_memory_equal(&next, &(struct mppe){0}, sizeof(next));
	}
	mppe_fini(&next);
}

static void
skips_and_late_packets(void **state)
{
	packet(0, 0, MPPE_OK);
	packet(1, 0, MPPE_OK);
	packet(MPPE_SKIP_MAX, 0, MPPE_OK);
	packet(MPPE_SKIP_MAX + 1, 0, MPPE_LATE);
	packet(0, 1, MPPE_LATE);
	packet(7, 2000, MPPE_LATE);
	packet(4095, 4095, MPPE_OK);
	packet(4096, 4095, MPPE_OK); /* the 12-bit count wraps */
	packet(4096, 4096, MPPE_OK);
	packet(4097, 4090, MPPE_OK);
	packet(4090, 4097, MPPE_LATE);
	packet(4095, 4096, MPPE_LATE);
	packet(4096 + 2000, 4094, MPPE_OK);
	packet(3 * 4096 - 1, 3 * 4096 - 1 - MPPE_SKIP_MAX, MPPE_OK);
}

static void
malformed(void **state)
{
	uint8_t wire[8], out[8], head;
	struct mppe tx, rx, next;
	uint32_t skipped;

	mppe_init(&tx, start_key);
	mppe_init(&rx, start_key);
	mppe_encrypt(&tx, (const uint8_t *)"\0\x21test", 6, wire);
	for (size_t len = 0; len <= MPPE_HEADER_LEN; len++)
		assert_int_equal(
		    mppe_decrypt(&rx, wire, len, out, &next, &skipped), MPPE_MALFORMED);
	assert_int_equal(mppe_decrypt(&rx, wire, 3, out, &next, &skipped), MPPE_OK);
	head = wire[0];
	wire[0] = head & 0x7f; /* no A */
	assert_int_equal(mppe_decrypt(&rx, wire, 8, out, &next, &skipped), MPPE_NOT_STATELESS);
	wire[0] = head & 0xef; /* no D */
	assert_int_equal(mppe_decrypt(&rx, wire, 8, out, &next, &skipped), MPPE_NOT_STATELESS);
	wire[0] = head | 0x60; /* B and C mean nothing here */
	assert_int_equal(mppe_decrypt(&rx, wire, 8, out, &next, &skipped), MPPE_OK);
	assert_int_equal(rx.index, 0);
	mppe_fini(&next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc_3079_vector),
	    cmocka_unit_test(key_of_each_index),
	    cmocka_unit_test(skips_and_late_packets),
	    cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
