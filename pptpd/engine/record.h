/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The session record: everything that a session needs to continue, in one struct, and its encoding:
 * tagged, versioned, written field by field. The engine works on this struct; replication is its
 * encoding, not a second model of the session. Tags that this version does not know are kept and
 * written again, so that a rolling upgrade loses nothing.
 */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include <stdint.h>

#include "common/cursor.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/priv/priv.h"
#include "pptpd/wire/pptp.h"

#define RECORD_VERSION     1
#define RECORD_TAIL_MAX    256 /* control bytes written and not known to be acknowledged */
#define RECORD_ACCT_ID_LEN 24
#define RECORD_UNKNOWN_MAX 512  /* bytes of unknown tags that are carried along */
#define RECORD_MAX         2560 /* an encoded record at most */

struct record_ctrl { /* the control connection; calls of one connection share it */
	struct tcp_snapshot tcp;
	uint32_t rx_bytes, tx_bytes; /* since the snapshot */
	uint8_t state;               /* enum ctrl_state */
	uint32_t echo_id;            /* last Echo-Request that we sent */
	uint32_t peer_echo_id;       /* last one that we answered */
	uint16_t tail_len, partial_len;
	uint8_t tail[RECORD_TAIL_MAX];
	uint8_t partial[PPTP_MESSAGE_MAX]; /* incomplete inbound message */
};

struct record_call {
	uint16_t call_id, peer_call_id, serial, window;
	uint32_t tx_seq, rx_seq, tx_acked; /* GRE: next to send, last received, acked by the peer */
};

struct record_mppe { /* one direction */
	uint8_t master[16], session[16];
	uint64_t index; /* of the next packet */
};

struct record_identity {
	char user[PPP_NAME_MAX];
	char acct_id[RECORD_ACCT_ID_LEN + 1];
	uint8_t nt_hash[16];
};

struct record_accounting {
	uint64_t rx_packets, rx_octets, tx_packets, tx_octets;
	uint64_t started_ms; /* CLOCK_REALTIME */
};

struct record_timers { /* seconds, 0 = none */
	uint32_t idle_s, maxconnect_s;
	uint16_t lcp_echo_interval_s;
	uint8_t lcp_echo_failure;
};

struct session_record {
	uint32_t id; /* unique in the pair's life: node, counter */
	struct record_ctrl ctrl;
	struct record_call call;
	struct ppp_state ppp;
	struct record_mppe mppe_tx, mppe_rx;
	struct record_identity identity;
	struct record_accounting accounting;
	struct record_timers timers;
	uint16_t unknown_len;
	uint8_t unknown[RECORD_UNKNOWN_MAX]; /* fields of a newer version, as received */
};

/* Appends the record. -1 with errno ENOSPC; w needs RECORD_MAX bytes of room to be safe. */
int record_encode(const struct session_record *r, struct wr *w);
/* Reads one record. -1 with errno EBADMSG (truncated, lying length), EPROTO (version, value out of
 * range). */
int record_decode(struct session_record *r, struct rd *in);
void record_wipe(struct session_record *r);

#endif
