/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Byte cursors. Every access goes through one function per direction that checks the bound,
 * rd_bytes() and wr_reserve(); everything else is built on these two. Once `bad` is set a cursor
 * neither moves nor yields anything else again.
 */
#include "common/cursor.h"

#include <assert.h>
#include <string.h>

struct rd
rd_init(const void *bytes, size_t len)
{
	static const uint8_t none[1];
	const uint8_t *p = bytes != NULL ? bytes : none;

	assert(bytes != NULL || len == 0);
	return (struct rd){.p = p, .end = p + len};
}

size_t
rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

bool
rd_ok(const struct rd *r)
{
	return !r->bad;
}

bool
rd_end(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}

const uint8_t *
rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *at = r->p;

	if (r->bad || len > (size_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return at;
}

static uint64_t
rd_integer(struct rd *r, size_t size)
{
	const uint8_t *at = rd_bytes(r, size);
	uint64_t v = 0;

	for (size_t i = 0; at != NULL && i < size; i++)
		v = v << 8 | at[i];
	return v;
}

uint8_t
rd_u8(struct rd *r)
{
	return (uint8_t)rd_integer(r, 1);
}

uint16_t
rd_u16(struct rd *r)
{
	return (uint16_t)rd_integer(r, 2);
}

uint32_t
rd_u32(struct rd *r)
{
	return (uint32_t)rd_integer(r, 4);
}

uint64_t
rd_u64(struct rd *r)
{
	return rd_integer(r, 8);
}

void
rd_skip(struct rd *r, size_t len)
{
	(void)rd_bytes(r, len);
}

void
rd_copy(struct rd *r, void *dst, size_t len)
{
	const uint8_t *at = rd_bytes(r, len);

	if (len == 0)
		return;
	if (at != NULL)
		memcpy(dst, at, len);
	else
		memset(dst, 0, len);
}

struct rd
rd_sub(struct rd *r, size_t len)
{
	const uint8_t *at = rd_bytes(r, len);

	if (at == NULL)
		return (struct rd){.p = r->p, .end = r->p, .bad = true};
	return (struct rd){.p = at, .end = at + len};
}

struct rd
rd_field(struct rd *r, uint16_t *tag)
{
	*tag = rd_u16(r);
	return rd_sub(r, rd_u16(r));
}

void
rd_fail(struct rd *r)
{
	r->bad = true;
}

struct wr
wr_init(void *buffer, size_t size)
{
	static uint8_t none[1];
	uint8_t *p = buffer != NULL ? buffer : none;

	assert(buffer != NULL || size == 0);
	return (struct wr){.start = p, .p = p, .end = p + size};
}

size_t
wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

size_t
wr_room(const struct wr *w)
{
	return w->bad ? 0 : (size_t)(w->end - w->p);
}

bool
wr_ok(const struct wr *w)
{
	return !w->bad;
}

uint8_t *
wr_reserve(struct wr *w, size_t len)
{
	uint8_t *at = w->p;

	if (w->bad || len > (size_t)(w->end - w->p)) {
		w->bad = true;
		return NULL;
	}
	w->p += len;
	return at;
}

static void
put(uint8_t *at, uint64_t v, size_t size)
{
	if (at == NULL)
		return;
	for (size_t i = size; i-- > 0; v >>= 8)
		at[i] = (uint8_t)v;
}

void
wr_u8(struct wr *w, uint8_t v)
{
	put(wr_reserve(w, 1), v, 1);
}

void
wr_u16(struct wr *w, uint16_t v)
{
	put(wr_reserve(w, 2), v, 2);
}

void
wr_u32(struct wr *w, uint32_t v)
{
	put(wr_reserve(w, 4), v, 4);
}

void
wr_u64(struct wr *w, uint64_t v)
{
	put(wr_reserve(w, 8), v, 8);
}

void
wr_copy(struct wr *w, const void *src, size_t len)
{
	uint8_t *at = wr_reserve(w, len);

	if (at != NULL && len > 0)
		memcpy(at, src, len);
}

void
wr_zero(struct wr *w, size_t len)
{
	uint8_t *at = wr_reserve(w, len);

	if (at != NULL && len > 0)
		memset(at, 0, len);
}

void
wr_fixed_string(struct wr *w, const char *s, size_t size)
{
	size_t len = strnlen(s, size);
	uint8_t *at = wr_reserve(w, size);

	if (at == NULL)
		return;
	memcpy(at, s, len);
	memset(at + len, 0, size - len);
}

static void
patch(struct wr *w, uint8_t *at, uint64_t v, size_t size)
{
	assert(at == NULL || (at >= w->start && at + size <= w->p));
	put(at, v, size);
}

void
wr_patch_u8(struct wr *w, uint8_t *at, uint8_t v)
{
	patch(w, at, v, 1);
}

void
wr_patch_u16(struct wr *w, uint8_t *at, uint16_t v)
{
	patch(w, at, v, 2);
}

void
wr_patch_u32(struct wr *w, uint8_t *at, uint32_t v)
{
	patch(w, at, v, 4);
}

uint8_t *
wr_field_begin(struct wr *w, uint16_t tag)
{
	wr_u16(w, tag);
	return wr_reserve(w, 2);
}

void
wr_field_end(struct wr *w, uint8_t *at)
{
	if (at != NULL && wr_ok(w))
		wr_patch_u16(w, at, (uint16_t)(w->p - at - 2));
}
