/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The session record: round trip, truncation at every byte, lying lengths, unknown tags carried on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "pptpd/engine/record.h"

static struct session_record
sample(void)
{
	struct session_record r = {
	    .id = 0x01020304,
	    .ctrl = {.tcp = {.peer_ip = 0xc6336464,
			 .local_ip = 0xc633640a,
			 .peer_port = 40000,
			 .local_port = 1723,
			 .snd0 = 0xfffffff0,
			 .rcv0 = 7,
			 .mss = 1460,
			 .options = 7,
			 .snd_wscale = 7,
			 .rcv_wscale = 9,
			 .tsval = 0xdeadbee0,
			 .sampled_ms = 1ull << 40},
		.rx_bytes = 324,
		.tx_bytes = 188,
		.state = 1,
		.echo_id = 9,
		.peer_echo_id = 8,
		.tail_len = 3,
		.partial_len = 2,
		.tail = {1, 2, 3},
		.partial = {0, 16}},
	    .call = {.call_id = 0x1234,
		.peer_call_id = 1,
		.serial = 2,
		.window = 64,
		.tx_seq = 0xffffffff,
		.rx_seq = 5,
		.tx_acked = 4},
	    .ppp = {.our_mru = 1400,
		.peer_mru = 1400,
		.our_magic = 1,
		.peer_magic = 2,
		.peer_pfc = true,
		.our_acfc = true,
		.lcp_state = 9,
		.ccp_state = 9,
		.ipcp_state = 9,
		.ccp_bits = 0x01000040,
		.addresses = {.local_ip = 0x0a080001, .peer_ip = 0x0a08000a},
		.mtu = 1396,
		.up = true,
		.peer_name = "api-client"},
	    .mppe_tx = {.master = {1}, .session = {2}, .index = 1ull << 33},
	    .mppe_rx = {.master = {3}, .session = {4}, .index = 77},
	    .identity = {.user = "api-client", .acct_id = "0123456789abcdef", .nt_hash = {9, 9}},
	    .accounting =
		{.rx_packets = 1, .rx_octets = 2, .tx_packets = 3, .tx_octets = 4, .started_ms = 5},
	    .timers = {.idle_s = 600,
		.maxconnect_s = 0,
		.lcp_echo_interval_s = 30,
		.lcp_echo_failure = 4},
	};

	return r;
}

static size_t
encode(const struct session_record *r, uint8_t *buf, size_t size)
{
	struct wr w = wr_init(buf, size);

	assert_int_equal(record_encode(r, &w), 0);
	return wr_len(&w);
}

static void
test_round_trip(void **state)
{
	struct session_record in = sample(), out;
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	size_t n = encode(&in, a, sizeof a);
	struct rd r = rd_init(a, n);

	(void)state;
	assert_int_equal(record_decode(&out, &r), 0);
	assert_true(rd_end(&r));
	assert_int_equal(encode(&out, b, sizeof b), n);
	assert_memory_equal(a, b, n);
	assert_int_equal(out.mppe_tx.index, 1ull << 33);
	assert_string_equal(out.identity.user, "api-client");
	assert_true(out.ppp.peer_pfc && !out.ppp.peer_acfc && out.ppp.our_acfc && out.ppp.up);
	assert_int_equal(out.ctrl.tail_len, 3);
	assert_in_range(n, 300, 700);
}

static void
test_truncation(void **state)
{
	struct session_record in = sample(), out;
	uint8_t a[RECORD_MAX];
	size_t n = encode(&in, a, sizeof a);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct rd r = rd_init(a, i);

		assert_int_equal(record_decode(&out, &r), -1);
		assert_int_equal(errno, EBADMSG);
	}
	for (size_t i = 0; i < n; i++) {
		struct wr w = wr_init((uint8_t[RECORD_MAX]){0}, i);

		assert_int_equal(record_encode(&in, &w), -1);
		assert_int_equal(errno, ENOSPC);
	}
}

static void
test_lying_lengths(void **state)
{
	struct session_record in = sample(), out;
	uint8_t a[RECORD_MAX];
	size_t n = encode(&in, a, sizeof a);
	struct rd r;

	(void)state;
	a[3]++; /* the record's length: one byte beyond */
	r = rd_init(a, n);
	assert_int_equal(record_decode(&out, &r), -1);
	a[3]--;
	a[7]--; /* the id's length: 3, its value does not fit */
	r = rd_init(a, n);
	assert_int_equal(record_decode(&out, &r), -1);
	assert_int_equal(errno, EBADMSG);
	a[7]++;
	a[1] = RECORD_VERSION + 1;
	r = rd_init(a, n);
	assert_int_equal(record_decode(&out, &r), -1);
	assert_int_equal(errno, EPROTO);
}

static void
test_unknown_tags_travel(void **state)
{
	struct session_record in = sample(), out;
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	static const uint8_t foreign[] = {0x7f, 0x01, 0x00, 0x03, 'n', 'e', 'w'};
	size_t n;
	struct rd r;

	(void)state;
	in.unknown_len = sizeof foreign;
	memcpy(in.unknown, foreign, sizeof foreign);
	n = encode(&in, a, sizeof a);
	r = rd_init(a, n);
	assert_int_equal(record_decode(&out, &r), 0);
	assert_int_equal(out.unknown_len, sizeof foreign);
	assert_memory_equal(out.unknown, foreign, sizeof foreign);
	assert_int_equal(encode(&out, b, sizeof b), n);
	assert_memory_equal(a, b, n);
}

static void
test_too_much_unknown(void **state)
{
	struct session_record out;
	uint8_t a[RECORD_MAX * 2];
	struct wr w = wr_init(a, sizeof a);
	struct rd r;

	(void)state;
	wr_u16(&w, RECORD_VERSION);
	wr_u16(&w, RECORD_UNKNOWN_MAX + 1 + 4);
	wr_u16(&w, 0x7f01);
	wr_u16(&w, RECORD_UNKNOWN_MAX + 1);
	wr_zero(&w, RECORD_UNKNOWN_MAX + 1);
	r = rd_init(a, wr_len(&w));
	assert_int_equal(record_decode(&out, &r), -1);
	assert_int_equal(errno, EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_truncation),
	    cmocka_unit_test(test_lying_lengths),
	    cmocka_unit_test(test_unknown_tags_travel),
	    cmocka_unit_test(test_too_much_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
