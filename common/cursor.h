/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bounds-checked read and write cursors: the only way in which this project touches wire bytes.
 * Integers are big-endian on the wire and host order on the other side of the cursor. An overrun
 * sets a sticky error and yields zeroes (reader) or writes nothing (writer), so a parser reads all
 * of its fields and checks once. A sub-cursor cannot leave its parent: a lying inner length fails.
 */
#ifndef COMMON_CURSOR_H
#define COMMON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last byte */
	bool bad;           /* sticky: something was read past the end */
};

struct wr {
	uint8_t *start;
	uint8_t *p;
	uint8_t *end;
	bool bad; /* sticky: something did not fit */
};

/* Reader. The bytes belong to the caller and must outlive the cursor and all its sub-cursors. */
struct rd rd_init(const void *bytes, size_t len);
size_t rd_left(const struct rd *r);
bool rd_ok(const struct rd *r);  /* no overrun so far */
bool rd_end(const struct rd *r); /* no overrun and nothing left */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
void rd_skip(struct rd *r, size_t len);
/* Copies len bytes; zeroes dst wholly on overrun. */
void rd_copy(struct rd *r, void *dst, size_t len);
/* Pointer to the next len bytes in place, or NULL on overrun. */
const uint8_t *rd_bytes(struct rd *r, size_t len);
/* Cuts the next len bytes off as a cursor of their own; on overrun both are bad and the new one is
 * empty. */
struct rd rd_sub(struct rd *r, size_t len);
/* Cuts off a field {u16 tag, u16 length, value}: its value, bad if it does not fit. */
struct rd rd_field(struct rd *r, uint16_t *tag);
/* Marks the cursor bad: a value was well-framed but not acceptable. */
void rd_fail(struct rd *r);

/* Writer. The buffer belongs to the caller. */
struct wr wr_init(void *buffer, size_t size);
size_t wr_len(const struct wr *w); /* bytes written so far */
size_t wr_room(const struct wr *w);
bool wr_ok(const struct wr *w);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_copy(struct wr *w, const void *src, size_t len);
void wr_zero(struct wr *w, size_t len);
/* A string in a fixed field of size bytes: truncated if longer, zero-padded if shorter. */
void wr_fixed_string(struct wr *w, const char *s, size_t size);
/* Reserves len bytes and returns where they start (NULL on overrun), for a length filled in later.
 */
uint8_t *wr_reserve(struct wr *w, size_t len);
void wr_patch_u8(struct wr *w, uint8_t *at, uint8_t v); /* at may be NULL: no-op */
void wr_patch_u16(struct wr *w, uint8_t *at, uint16_t v);
void wr_patch_u32(struct wr *w, uint8_t *at, uint32_t v);
/* A field {u16 tag, u16 length, value}: the value is written between the two calls; `at` is what
 * the first one returned. */
uint8_t *wr_field_begin(struct wr *w, uint16_t tag);
void wr_field_end(struct wr *w, uint8_t *at);

#endif
