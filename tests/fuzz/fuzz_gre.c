/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Enhanced GRE. The input is read twice: as a packet, whose header must encode to the bytes it came
 * from; and as a script for the receive half: the first byte is the window, then steps of one byte
 * each, some with arguments. Whatever the script does, numbers are delivered strictly ascending
 * with the payload that they came with, and nothing is held beyond window or timeout.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/wire/gre.h"

#define TIMEOUT_US 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct gre_rx rx;
	bool any;
	uint32_t last;
	uint64_t delivered;
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
check_packet(const uint8_t *data, size_t size)
{
	uint8_t buffer[GRE_HEADER_MAX];
	struct wr w = wr_init(buffer, sizeof(buffer));
	struct rd r = rd_init(data, size), payload;
	struct gre_header h;

	if (gre_parse(&r, &h, &payload) < 0) {
		must(errno == EBADMSG && rd_left(&payload) == 0);
		return;
	}
	must(rd_left(&payload) == h.length && (h.length == 0 || h.has_seq));
	gre_encode(&w, &h);
	must(wr_ok(&w) && wr_len(&w) + h.length + rd_left(&r) == size);
	must(memcmp(buffer, data, wr_len(&w)) == 0);
}

/* A payload is its number, and as many bytes more as the number's low bits say. */
static size_t
make_payload(uint8_t *bytes, uint32_t seq)
{
	memcpy(bytes, &seq, sizeof(seq));
	memset(bytes + sizeof(seq), (uint8_t)seq, seq & 7);
	return sizeof(seq) + (seq & 7);
}

static void
on_deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct run *run = arg;
	uint8_t expected[16];

	must(len == make_payload(expected, seq) && memcmp(bytes, expected, len) == 0);
	must(!run->any || (int32_t)(seq - run->last) > 0);
	run->any = true;
	run->last = seq;
	run->delivered++;
}

static void
input(struct run *run, uint64_t now_us, uint32_t seq)
{
	uint8_t *bytes = malloc(16);
	size_t len;

	must(bytes != NULL);
	len = make_payload(bytes, seq);
	gre_rx_input(&run->rx, now_us, seq, bytes, len, on_deliver, run);
	free(bytes);
}

static void
tick(struct run *run, uint64_t now_us)
{
	uint64_t next = gre_rx_tick(&run->rx, now_us, on_deliver, run);

	must(run->rx.held > 0 ? next > 0 && next <= TIMEOUT_US : next == UINT64_MAX);
	must(run->rx.held > 0 || run->rx.slots == NULL);
}

static void
check_script(struct rd r)
{
	struct run run = {0};
	uint32_t seq = 0;
	uint64_t now_us = 0, packets = 0;

	gre_rx_init(&run.rx, rd_u8(&r), TIMEOUT_US);
	while (rd_left(&r) > 0) {
		uint8_t op = rd_u8(&r);

		if (op == 0xff) {
			seq = rd_u32(&r); /* any number */
		} else if (op >= 0xf0) {
			now_us += rd_u16(&r);
			tick(&run, now_us);
			continue;
		} else {
			/* Around the highest so far: late, duplicate, next, a gap. */
			seq = run.rx.last + op - 80;
		}
		input(&run, now_us, seq);
		packets++;
		must(run.rx.held <= run.rx.window && run.rx.window <= GRE_RX_WINDOW_MAX);
		must(run.rx.last == run.last);
	}
	tick(&run, now_us + TIMEOUT_US);
	must(run.rx.held == 0);
	must(run.rx.stats.delivered == run.delivered);
	must(packets ==
	     run.delivered + run.rx.stats.duplicate + run.rx.stats.late + run.rx.stats.suspect);
	gre_rx_fini(&run.rx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_packet(data, size);
	check_script(rd_init(data, size));
	return 0;
}
