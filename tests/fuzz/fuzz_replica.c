/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The replica's input: the first byte says to whom (a standby, an active, one that has not heard a
 * HELLO yet), the second how the rest is cut into pieces. Frames are numbered and given an epoch on
 * the way if the first byte says so, so that the fuzzer gets behind the first check. With another
 * bit the pair speaks version 2, and as soon as it can the active gives, or the standby expects, a
 * handover. Any bytes are safe; the active goes on; what an active may send never exceeds what its
 * standby applied.
 */
#include <stdlib.h>

#include <fcntl.h>

#include "tests/unit/replica_ends.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TO_ACTIVE  0x01
#define NO_HELLO   0x02
#define NUMBERED   0x04
#define KEEPS_FULL 0x08
#define MOVES      0x10

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
quiet(void)
{
	static int fd = -1;

	if (fd >= 0)
		return;
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	log_init("fuzz", fd, false);
}

static void
hello(struct end *to, bool active, uint16_t version)
{
	uint8_t buf[256];
	struct wr w = wr_init(buf, sizeof buf);

	replica_frame_begin(&w, REPLICA_HELLO, 5, 1);
	replica_put_hello(&w, &(struct replica_hello){.version_min = 1,
				  .version_max = version,
				  .node = "gw9",
				  .active = active,
				  .boot_id = 9});
	replica_frame_end(&w);
	replica_input(to->r, buf, wr_len(&w));
}

/* Puts epoch and sequence right in what looks like frames. */
static void
number(uint8_t *bytes, size_t len, uint64_t sequence)
{
	struct rd r = rd_init(bytes, len);
	struct wr w;

	while (rd_left(&r) >= REPLICA_HEAD_LEN) {
		uint8_t *at = bytes + (len - rd_left(&r));
		uint32_t length = rd_u32(&r);

		w = wr_init(at + 8, 16);
		wr_u64(&w, 5);
		wr_u64(&w, ++sequence);
		rd_skip(&r, length);
	}
}

static void
feed(struct end *to, const uint8_t *bytes, size_t len, size_t piece, bool moves)
{
	struct rd r = rd_init(bytes, len);

	while (rd_left(&r) > 0 && to->open) {
		size_t n = piece == 0 || piece > rd_left(&r) ? rd_left(&r) : piece;

		replica_input(to->r, rd_bytes(&r, n), n);
		if (moves && replica_expect(to->r, 6, 1000) < 0)
			(void)replica_give(to->r, 6);
		loop_advance(to->loop, 0);
	}
}

static void
check_active(struct end *a)
{
	struct replica_status st = end_status(a);

	must(!st.connected && st.handover == HANDOVER_NONE);
	if (a->given[REPLICA_GIVEN_TAKEN] > 0) {
		must(st.sessions == 0 && st.state == REPLICA_STANDBY && st.epoch == 6);
		return;
	}
	must(st.sessions == 3 && st.state != REPLICA_STANDBY);
	for (unsigned i = 0; i < 3; i++)
		if (a->s[i].rs.exposed)
			must(end_burst(a, &a->s[i], 5000) <= 4 * REPLICA_AHEAD_FAST);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop *l;
	struct end *e;
	uint8_t *bytes;

	if (size < 2)
		return 0;
	quiet();
	l = loop_new_virtual();
	e = end_new(l, "gw1", 7);
	if (data[0] & TO_ACTIVE) {
		replica_promote(e->r, 5);
		for (unsigned i = 0; i < 3; i++)
			end_add(e, i);
		replica_add_connection(e->r, &e->c[0].rc, 10);
	} else {
		replica_demote(e->r, 5);
		replica_limit_copy(e->r, data[0] & KEEPS_FULL ? 12000 : 0);
	}
	e->open = true;
	replica_connected(e->r);
	if (!(data[0] & NO_HELLO))
		hello(e, !(data[0] & TO_ACTIVE), data[0] & MOVES ? 2 : 1);
	loop_advance(l, 1);
	bytes = malloc(size);
	must(bytes != NULL);
	memcpy(bytes, data + 2, size - 2);
	if (data[0] & NUMBERED)
		number(bytes, size - 2, data[0] & NO_HELLO ? 0 : 1);
	feed(e, bytes, size - 2, data[1], data[0] & MOVES);
	free(bytes);
	loop_advance(l, 2000);
	must(!e->open); /* nothing more was heard */
	if (data[0] & TO_ACTIVE)
		check_active(e);
	end_free(e);
	loop_free(l);
	return 0;
}
