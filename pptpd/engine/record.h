/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The records: all that a control connection and a session need to continue on the other gateway,
 * and their encoding: tagged, versioned, written field by field. The engine's objects fill them in
 * and are built from them (session_state.c, ctrl_state.c). Tags that this version does not know are
 * kept and written again, so that a rolling upgrade loses nothing. Both hold keys or what leads to
 * them: wipe after use.
 */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include <stdint.h>

#include "common/cursor.h"
#include "pptpd/crypto/mppe.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/priv/priv.h"
#include "pptpd/wire/pptp.h"

#define RECORD_VERSION     1
#define RECORD_ACCT_ID_LEN 24
#define RECORD_UNKNOWN_MAX 512          /* bytes of unknown tags that are carried along */
#define RECORD_MAX         2560         /* an encoded record at most */
#define RECORD_INDEX_MAX   (1ull << 62) /* of keys, so that sums with it stay whole */

struct connection_record {
	uint64_t id; /* unique in the pair's life: boot id of its engine, counter */
	struct tcp_snapshot tcp;
	uint32_t rx_bytes;    /* read since the snapshot */
	uint32_t acked_bytes; /* sent and acknowledged since the snapshot: where the tail begins */
	uint8_t state;        /* enum ctrl_state */
	bool echo_pending;
	bool buffers_gaps; /* the client waits for missing GRE numbers: fill a jump (pptp-linux) */
	uint32_t echo_id;  /* last Echo-Request that we sent */
	uint32_t peer_echo_id; /* last one that we answered */
	uint16_t tail_len, partial_len;
	uint8_t tail[TCP_TAIL_MAX];        /* not known to be acknowledged, or not yet written */
	uint8_t partial[PPTP_MESSAGE_MAX]; /* incomplete inbound message */
	uint16_t unknown_len;
	uint8_t unknown[RECORD_UNKNOWN_MAX]; /* fields of a newer version, as received */
};

struct record_call {
	uint16_t call_id, peer_call_id, serial, window;
	uint32_t tx_seq, rx_seq, tx_acked; /* GRE: next to send, last received, acked by the peer */
	bool rx_any, tx_any_ack;
};

struct record_mppe {         /* one direction, stateless 128 bits */
	uint8_t master[16];  /* start key */
	uint8_t session[16]; /* key of the packet `index` */
	uint64_t index;
};

struct record_mark { /* what the active does not use: see keygate.h */
	uint32_t seq;
	uint64_t index;
	uint8_t open; /* classes of keys that nobody else may have used */
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
	uint64_t id;
	uint64_t connection; /* id of its control connection */
	struct record_call call;
	struct ppp_state ppp;
	struct record_mppe mppe_tx, mppe_rx;
	struct record_mark mark;
	struct record_identity identity;
	struct record_accounting accounting;
	struct record_timers timers;
	uint16_t unknown_len;
	uint8_t unknown[RECORD_UNKNOWN_MAX];
};

/* What moves without a new record: a COUNTERS entry. */
struct record_counters {
	uint64_t id;
	uint32_t tx_seq, tx_acked, rx_seq;
	bool rx_any, tx_any_ack;
	uint64_t rx_index;
	struct record_accounting accounting; /* started_ms is not sent */
};

/* Append the record. -1 with errno ENOSPC; w needs RECORD_MAX bytes of room to be safe. */
int session_record_encode(const struct session_record *r, struct wr *w);
int connection_record_encode(const struct connection_record *r, struct wr *w);
/* Read one record. -1 with errno EBADMSG (truncated, lying length), EPROTO (version, value out of
 * range: an id of 0, a mark behind the key); the record is then wiped. */
int session_record_decode(struct session_record *r, struct rd *in);
int connection_record_decode(struct connection_record *r, struct rd *in);
void session_record_wipe(struct session_record *r);
void connection_record_wipe(struct connection_record *r);
/* The keys of one direction, to and from the form that the data path uses. */
void record_put_key(struct record_mppe *r, const struct mppe *m);
void record_get_key(struct mppe *m, const struct record_mppe *r);

#endif
