/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records with something in every member, for the tests of whoever keeps them.
 */
#ifndef TESTS_RECORD_SAMPLE_H
#define TESTS_RECORD_SAMPLE_H

#include "pptpd/data/keygate.h"
#include "pptpd/engine/record.h"

static inline struct connection_record
sample_connection(uint64_t id)
{
	return (struct connection_record){
	    .id = id,
	    .tcp = {.peer_ip = 0xc6336464,
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
	    .acked_bytes = 188,
	    .state = 1,
	    .echo_pending = true,
	    .echo_id = 9,
	    .peer_echo_id = 8,
	    .tail_len = 3,
	    .partial_len = 2,
	    .tail = {1, 2, 3},
	    .partial = {0, 16},
	};
}

static inline struct session_record
sample_session(uint64_t id, uint64_t connection)
{
	return (struct session_record){
	    .id = id,
	    .connection = connection,
	    .call = {.call_id = (uint16_t)(0x1000 + id),
		.peer_call_id = 1,
		.serial = 2,
		.window = 64,
		.tx_seq = 0xffffffff,
		.rx_seq = 5,
		.tx_acked = 4,
		.rx_any = true},
	    .ppp = {.our_mru = 1400,
		.peer_mru = 1400,
		.our_magic = 1,
		.peer_magic = 2,
		.peer_pfc = true,
		.our_acfc = true,
		.lcp_state = 9,
		.ccp_state = 9,
		.ipcp_state = 9,
		.ipcp_acked_id = 3,
		.ipcp_acked_hash = 0xabcdef01,
		.ccp_bits = 0x01000040,
		.addresses = {.local_ip = 0x0a080001, .peer_ip = 0x0a080000 + (uint32_t)id},
		.mtu = 1396,
		.up = true,
		.peer_name = "api-client"},
	    .mppe_tx = {.master = {1}, .session = {2}, .index = 1ull << 33},
	    .mppe_rx = {.master = {3}, .session = {4}, .index = 77},
	    .mark = {.seq = 127, .index = (1ull << 33) + 128, .open = KEYS_ALL},
	    .identity = {.user = "api-client", .acct_id = "0123456789abcdef", .nt_hash = {9, 9}},
	    .accounting =
		{.rx_packets = 1, .rx_octets = 2, .tx_packets = 3, .tx_octets = 4, .started_ms = 5},
	    .timers = {.idle_s = 600, .lcp_echo_interval_s = 30, .lcp_echo_failure = 4},
	};
}

#endif
