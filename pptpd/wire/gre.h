/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Enhanced GRE (RFC 2637 §4.1): header codec, and the sequence logic of both directions as pure
 * state: time comes in as an argument, packets go out through a callback. The daemon's workers and
 * the test client share it. A receive half and a transmit half each have exactly one writer.
 */
#ifndef WIRE_GRE_H
#define WIRE_GRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"

#define GRE_PROTO_PPP  0x880B
#define GRE_HEADER_MAX 16 /* flags 2, protocol 2, length 2, call id 2, seq 4, ack 4 */

struct gre_header {
	uint16_t call_id; /* the receiver's id */
	uint16_t length;  /* payload bytes */
	bool has_seq, has_ack;
	uint32_t seq, ack;
};

/*
 * Parses the GRE header at the cursor (after the IP header) and cuts the payload off, ignoring
 * trailing link padding. 0, or -1 with errno EBADMSG: version, protocol, K clear, C/R/s set,
 * recursion or reserved flags set, length beyond the data, payload without a sequence number,
 * sequence number without payload is accepted as an empty frame.
 */
int gre_parse(struct rd *r, struct gre_header *h, struct rd *payload);
/* Writes 8, 12 or 16 bytes. */
void gre_encode(struct wr *w, const struct gre_header *h);

/* Receive half: duplicates and late packets dropped, reordered ones put right within bounds. */
#define GRE_RX_WINDOW_MAX 64
/* A longer jump is believed only when a second packet bears it out: see gre_rx_input(). */
#define GRE_RX_JUMP_MAX   256
#define GRE_RX_RESUME_MAX (1 << 20)

struct gre_rx_slot {
	uint8_t *bytes; /* malloc'd copy, NULL = empty */
	uint16_t len;
	uint32_t seq;
	uint64_t since_us;
};

struct gre_rx_stats {
	uint64_t delivered; /* given to the callback */
	uint64_t duplicate; /* held already, or one of the last 64 numbers and delivered */
	uint64_t late;      /* older than the last one delivered: given up, or longer ago than 64 */
	uint64_t reordered; /* overtaken by a higher number, yet delivered in order */
	uint64_t lost;      /* numbers given up; a late packet was counted here too */
	uint64_t overflow;  /* packets beyond the window: a gap was given up before its timeout */
	uint64_t suspect;   /* dropped: a jump beyond GRE_RX_JUMP_MAX that nothing bore out yet */
};

struct gre_rx {
	bool started;        /* a first packet was seen */
	bool resumed;        /* by gre_rx_resume(), and none came since */
	uint32_t last;       /* highest sequence number delivered (or given up) */
	uint8_t window;      /* packets held at most, <= GRE_RX_WINDOW_MAX; 0 = no reordering */
	uint32_t timeout_us; /* how long a gap is waited for */
	uint8_t held;
	uint8_t mask;              /* slots - 1; slots are a power of two, for the wrap at 2^32 */
	bool suspicious;           /* the packet before was a suspect */
	uint32_t suspect;          /* its number */
	uint32_t top;              /* highest number held, if any is */
	uint64_t seen;             /* bit n: last - n was delivered */
	struct gre_rx_slot *slots; /* at least window, allocated at a gap; slot = seq & mask */
	struct gre_rx_stats stats;
};

typedef void gre_deliver_fn(void *arg, uint32_t seq, const uint8_t *bytes, size_t len);

/* A window above the maximum is cut to it. Allocates nothing. */
void gre_rx_init(struct gre_rx *rx, uint8_t window, uint32_t timeout_us);
/*
 * Goes on where another receiver stood some time ago: `last` was its last number. The first packet
 * may be up to GRE_RX_RESUME_MAX ahead, and is not waited for; what lies between is not lost.
 */
void gre_rx_resume(struct gre_rx *rx, uint32_t last);
void gre_rx_fini(struct gre_rx *rx); /* frees what is held, delivers nothing */
/*
 * One packet with a sequence number, len <= 65535. Delivers it and whatever it completes, in order;
 * a packet that need not wait is delivered from bytes in place. The first packet of a session may
 * bear any number. Comparison is modulo 2^32. A packet beyond the window gives up the oldest gaps
 * until it fits; a jump beyond the window with nothing held is taken at once: a peer is never
 * waited for longer than the timeout.
 * GRE has no checksum, so one damaged number could make everything after it look late. A packet
 * more than GRE_RX_JUMP_MAX ahead is therefore dropped as a suspect, and the jump is taken when the
 * next packet comes within GRE_RX_JUMP_MAX after the suspect.
 * The callback may not touch rx.
 */
void gre_rx_input(struct gre_rx *rx, uint64_t now_us, uint32_t seq, const uint8_t *bytes,
    size_t len, gre_deliver_fn *deliver, void *arg);
/*
 * Gives up gaps older than the timeout: delivers what they held back, in order, and counts what was
 * missing as lost. Frees the slots when none is used. Returns us until the next one is due, or
 * UINT64_MAX.
 */
uint64_t gre_rx_tick(struct gre_rx *rx, uint64_t now_us, gre_deliver_fn *deliver, void *arg);
/*
 * Hands out what is held, ascending, instead of delivering it, and forgets it: as if these packets
 * had never come. For somebody else who goes on from here.
 */
void gre_rx_take(struct gre_rx *rx, gre_deliver_fn *take, void *arg);

/* Transmit half: numbers and acknowledgements. The acknowledgement state is shared by both halves.
 */
struct gre_ack {
	_Atomic uint32_t received; /* highest number received, written by the receive half */
	_Atomic uint32_t sent;     /* what the last acknowledgement said */
	_Atomic bool any;          /* something was received at all */
};

struct gre_tx {
	uint32_t next; /* number of the next packet with payload; first is 0 (RFC 2637 §4.1) */
	uint32_t peer_acked; /* highest acknowledgement seen from the peer */
	uint16_t peer_call_id;
};

/*
 * The receive half tells how far it came (rx->last after gre_rx_input()), once per batch if it
 * likes. The first call makes an acknowledgement due whatever the number; older numbers are
 * ignored.
 */
void gre_ack_received(struct gre_ack *a, uint32_t seq);
/* Header for a packet with payload of len bytes: takes a number, piggy-backs an ack if one is due.
 */
struct gre_header gre_tx_data(struct gre_tx *tx, struct gre_ack *a, uint16_t len);
/* Header for a lone acknowledgement; false = none is due. */
bool gre_tx_ack(uint16_t peer_call_id, struct gre_ack *a, struct gre_header *h);

#endif
