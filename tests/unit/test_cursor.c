/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Byte cursors: byte order, every bound, the sticky error, and that an inner length cannot leave
 * its outer one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cursor.h"

static const uint8_t bytes[] = {
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

static void
test_integers(void **state)
{
	struct rd r = rd_init(bytes, sizeof(bytes));

	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_u64(&r) == 0x08090a0b0c0d0e0fULL);
	assert_true(rd_ok(&r));
	assert_true(rd_end(&r));
	assert_int_equal(rd_left(&r), 0);
}

/* All the readers at each truncation: zero and sticky past the end, untouched before it. */
static void
test_truncation(void **state)
{
	for (size_t len = 0; len < sizeof(bytes); len++) {
		struct rd r = rd_init(bytes, len);
		bool ok8, ok16, ok32;

		ok8 = rd_u8(&r) == (len >= 1 ? 0x01 : 0) && rd_ok(&r) == (len >= 1);
		ok16 = rd_u16(&r) == (len >= 3 ? 0x0203 : 0) && rd_ok(&r) == (len >= 3);
		ok32 = rd_u32(&r) == (len >= 7 ? 0x04050607 : 0) && rd_ok(&r) == (len >= 7);
		assert_true(ok8 && ok16 && ok32);
		assert_true(rd_u64(&r) == 0);
		assert_false(rd_ok(&r));
		assert_false(rd_end(&r));
		assert_int_equal(rd_left(&r), 0);
	}
}

static void
test_sticky(void **state)
{
	struct rd r = rd_init(bytes, 3);
	uint8_t copy[4] = {9, 9, 9, 9};

	rd_copy(&r, copy, 4);
	assert_memory_equal(copy, "\0\0\0\0", 4);
	assert_int_equal(rd_u8(&r), 0); /* three bytes are there, but the cursor is bad */
	assert_null(rd_bytes(&r, 0));
	r = rd_init(bytes, 3);
	rd_fail(&r);
	assert_int_equal(rd_u8(&r), 0);
	assert_false(rd_ok(&r));
	r = rd_init(bytes, 3);
	rd_skip(&r, SIZE_MAX); /* no wrap of the pointer */
	assert_false(rd_ok(&r));
}

static void
test_bytes_and_copy(void **state)
{
	struct rd r = rd_init(bytes, sizeof(bytes));
	uint8_t copy[2];

	rd_skip(&r, 3);
	assert_ptr_equal(rd_bytes(&r, 2), bytes + 3);
	rd_copy(&r, copy, 2);
	assert_memory_equal(copy, bytes + 5, 2);
	rd_copy(&r, NULL, 0);
	assert_int_equal(rd_left(&r), sizeof(bytes) - 7);
	r = rd_init(NULL, 0);
	assert_true(rd_end(&r));
	assert_non_null(rd_bytes(&r, 0));
	assert_int_equal(rd_u8(&r), 0);
	assert_false(rd_ok(&r));
}

static void
test_sub(void **state)
{
	struct rd r = rd_init(bytes, 6), in;

	in = rd_sub(&r, 2);
	assert_int_equal(rd_u16(&in), 0x0102);
	assert_int_equal(rd_u8(&in), 0); /* the outer cursor has more, the inner must not see it */
	assert_false(rd_ok(&in));
	assert_true(rd_ok(&r)); /* the inner one's error is its own */
	assert_int_equal(rd_u8(&r), 0x03);

	in = rd_sub(&r, 4); /* three are left */
	assert_false(rd_ok(&in));
	assert_false(rd_ok(&r));
	assert_int_equal(rd_left(&in), 0);
	assert_ptr_equal(in.p, in.end);

	r = rd_init(bytes, 3);
	in = rd_sub(&r, 3);
	assert_true(rd_end(&r));
	assert_int_equal(rd_left(&in), 3);
	in = rd_sub(&r, 0);
	assert_true(rd_end(&in));
}

static void
test_writer(void **state)
{
	uint8_t out[sizeof(bytes)];
	struct wr w = wr_init(out, sizeof(out));

	wr_u8(&w, 0x01);
	wr_u16(&w, 0x0203);
	wr_u32(&w, 0x04050607);
	wr_u64(&w, 0x08090a0b0c0d0e0fULL);
	assert_true(wr_ok(&w));
	assert_int_equal(wr_len(&w), sizeof(bytes));
	assert_int_equal(wr_room(&w), 0);
	assert_memory_equal(out, bytes, sizeof(bytes));
	wr_u8(&w, 0xff);
	assert_false(wr_ok(&w));
	assert_int_equal(wr_len(&w), sizeof(bytes));
}

/* What does not fit is not written in part, and nothing follows it. */
static void
test_writer_overrun(void **state)
{
	uint8_t out[8];
	struct wr w = wr_init(out, 5);

	memset(out, 0xee, sizeof(out));
	wr_u16(&w, 0x0102);
	wr_u32(&w, 0x03040506);
	assert_false(wr_ok(&w));
	assert_int_equal(wr_room(&w), 0);
	wr_u8(&w, 7);
	wr_zero(&w, 1);
	wr_copy(&w, "x", 1);
	wr_fixed_string(&w, "x", 1);
	assert_null(wr_reserve(&w, 1));
	assert_int_equal(wr_len(&w), 2);
	assert_memory_equal(out, "\x01\x02\xee\xee\xee\xee\xee\xee", 8);
	w = wr_init(out, 5);
	assert_null(wr_reserve(&w, SIZE_MAX));
	w = wr_init(NULL, 0);
	wr_copy(&w, NULL, 0);
	assert_true(wr_ok(&w));
}

static void
test_fixed_string(void **state)
{
	uint8_t out[10];
	struct wr w = wr_init(out, sizeof(out));

	memset(out, 0xee, sizeof(out));
	wr_fixed_string(&w, "abcdef", 4); /* truncated, without a terminator */
	wr_fixed_string(&w, "xy", 5);
	assert_memory_equal(out, "abcdxy\0\0\0\xee", 10);
	wr_fixed_string(&w, "", 1);
	assert_true(wr_ok(&w));
	assert_int_equal(wr_room(&w), 0);
}

static void
test_patch(void **state)
{
	uint8_t out[8];
	struct wr w = wr_init(out, sizeof(out));
	uint8_t *length = wr_reserve(&w, 2), *sum = wr_reserve(&w, 4), *kind = wr_reserve(&w, 1);

	wr_zero(&w, 1);
	wr_patch_u16(&w, length, (uint16_t)wr_len(&w));
	wr_patch_u32(&w, sum, 0xa1a2a3a4);
	wr_patch_u8(&w, kind, 7);
	assert_memory_equal(out, "\x00\x08\xa1\xa2\xa3\xa4\x07\x00", 8);
	length = wr_reserve(&w, 2);
	assert_null(length);
	wr_patch_u8(&w, length, 1);
	wr_patch_u16(&w, length, 1);
	wr_patch_u32(&w, length, 1);
	assert_memory_equal(out, "\x00\x08\xa1\xa2\xa3\xa4\x07\x00", 8);
}

static void
test_fields(void **state)
{
	uint8_t out[12];
	struct wr w = wr_init(out, sizeof(out));
	uint8_t *at = wr_field_begin(&w, 0x0102);
	struct rd r, value;
	uint16_t tag;

	wr_u8(&w, 0xa1);
	wr_field_end(&w, at);
	wr_field_end(&w, wr_field_begin(&w, 3)); /* empty */
	assert_memory_equal(out, "\x01\x02\x00\x01\xa1\x00\x03\x00\x00", 9);
	r = rd_init(out, wr_len(&w));
	value = rd_field(&r, &tag);
	assert_int_equal(tag, 0x0102);
	assert_int_equal(rd_u8(&value), 0xa1);
	assert_true(rd_end(&value));
	value = rd_field(&r, &tag);
	assert_int_equal(tag, 3);
	assert_true(rd_end(&value) && rd_end(&r));
	value = rd_field(&r, &tag); /* nothing left */
	assert_false(rd_ok(&value) || rd_ok(&r));
	r = rd_init(out, 4); /* the length lies */
	value = rd_field(&r, &tag);
	assert_false(rd_ok(&value) || rd_ok(&r));
	wr_field_end(&w, wr_field_begin(&w, 4)); /* no room */
	assert_false(wr_ok(&w));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_truncation),
	    cmocka_unit_test(test_sticky),
	    cmocka_unit_test(test_bytes_and_copy),
	    cmocka_unit_test(test_sub),
	    cmocka_unit_test(test_writer),
	    cmocka_unit_test(test_writer_overrun),
	    cmocka_unit_test(test_fixed_string),
	    cmocka_unit_test(test_patch),
	    cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
