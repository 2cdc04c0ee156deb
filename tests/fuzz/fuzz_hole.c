/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets of the raw socket, and the verdict on a restored connection. The input is parsed as one
 * packet; then it is a script: the two numbers to begin with, then steps of a segment or of time.
 * Whatever is heard, a hole is never further off than HOLE_FAR, lies ahead in at least one
 * direction, and a client that goes on where the hole ends is in step. Nothing is said to a client
 * that is ahead of us.
 */
#include <stdlib.h>

#include "common/cursor.h"
#include "pptpd/engine/hole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
check_packet(const uint8_t *data, size_t size)
{
	struct hole_segment s;

	if (!hole_parse(data, size, &s))
		return;
	must(size >= 40 && s.len <= size - 40);
	for (size_t n = 0; n < size - s.len; n++)
		must(n >= 40 || !hole_parse(data, n, &s));
}

/* Built again at the client's numbers: what it says there is in step. */
static void
check_found(const struct hole *h, uint32_t *rcv, uint32_t *snd)
{
	uint32_t missing = hole_rcv(h, *rcv) - *rcv, unknown = hole_snd(h, *snd) - *snd;
	struct hole fresh = {0};
	struct hole_segment s = {.has_ack = true};

	must(missing <= HOLE_FAR && unknown <= HOLE_FAR && missing + unknown > 0);
	*rcv += missing;
	*snd += unknown;
	s.seq = *rcv;
	s.ack = *snd;
	must(hole_hear(&fresh, &s, *rcv, *snd, 0) == HOLE_NONE);
}

static void
run(struct rd *r)
{
	uint32_t rcv = rd_u32(r), snd = rd_u32(r);
	uint64_t now = 1;
	struct hole h = {0};

	while (rd_left(r) >= 6) {
		uint8_t op = rd_u8(r);
		enum hole_verdict v;

		now += rd_u8(r) * 8u;
		if (op & 1) {
			struct hole_segment s = {
			    .seq = rcv + (uint32_t)(int32_t)(int16_t)rd_u16(r) * (op & 2 ? 4 : 1),
			    .ack = snd + (uint32_t)(int32_t)(int16_t)rd_u16(r) * (op & 4 ? 4 : 1),
			    .has_ack = op & 8,
			    .opens = op & 16,
			    .resets = op & 32};

			v = hole_hear(&h, &s, rcv, snd, now);
			must(v != HOLE_NONE || (int32_t)(s.seq - rcv) <= 0 ||
			     (int32_t)(h.lowest - rcv) <= 0);
		} else {
			rcv += rd_u16(r) % 256;               /* the kernel got something */
			snd += h.ahead ? 0 : rd_u16(r) % 256; /* something was said */
			v = hole_judge(&h, rcv, now);
		}
		if (v == HOLE_FOUND)
			check_found(&h, &rcv, &snd);
		if (v != HOLE_UNKNOWN)
			h = (struct hole){0};
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);

	check_packet(data, size);
	if (size >= 8)
		run(&r);
	return 0;
}
