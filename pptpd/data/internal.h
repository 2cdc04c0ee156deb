/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the data plane share: a session's parts with their writers, the messages in the
 * rings, and a worker. Nothing outside pptpd/data includes this but its tests.
 *
 * Who writes what: the cold part of a session belongs to the main thread; `rx` and what it points
 * to belong to worker rx_worker, `tx` to worker tx_worker, from the moment the attach order is in
 * the ring until the half's release note is read. The identity is constant. Whatever another thread
 * reads is atomic, and is written by one thread only.
 */
#ifndef DATA_INTERNAL_H
#define DATA_INTERNAL_H

#include <stdalign.h>
#include <stdatomic.h>

#include "pptpd/crypto/mppe.h"
#include "pptpd/data/dataplane.h"
#include "pptpd/data/due.h"
#include "pptpd/data/ring.h"
#include "pptpd/data/tun.h"
#include "pptpd/wire/gre.h"

#define DP_BATCH 64

/* Frames of one session that wait for the main thread at most: a flood costs its own session only.
 */
#define NOTES_FRAMES  64
#define NOTES_UNKNOWN 8

/* Counters with one writer. */
struct tally {
	_Atomic uint64_t packets, octets;
	_Atomic uint64_t reordered, icmp_frag_needed, fragmented, mss_clamped, acks_alone;
	_Atomic uint64_t last_ms, last_data_ms;
	_Atomic uint64_t drops[DP_DROP_MAX];
};

static inline void
tally_set(_Atomic uint64_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

static inline void
tally_add(_Atomic uint64_t *c, uint64_t n)
{
	tally_set(c, atomic_load_explicit(c, memory_order_relaxed) + n);
}

static inline void
tally_drop(struct tally *t, enum dp_drop why)
{
	tally_add(&t->drops[why], 1);
}

enum half {
	HALF_RX,
	HALF_TX,
	HALVES
};

struct rx_half {
	bool armed;
	uint32_t source; /* inner source allowed; 0 = not up */
	uint16_t mtu;    /* clamp of the MSS; 0 = not yet known */
	struct gre_rx gre;
	struct mppe mppe;
	uint32_t skips;    /* keys that may be skipped now, */
	uint64_t skips_us; /* as of then; see may_skip() */
	struct due gap, ack;
	struct dp_session *next_release;
	_Atomic uint64_t index; /* of mppe, for readers */
	struct tally tally;
};

struct tx_half {
	bool armed, up;
	struct gre_tx gre;
	struct mppe mppe;
	struct dp_up link;
	struct dp_session *next_route; /* same bucket */
	struct dp_session *next_release;
	_Atomic uint64_t index;
	_Atomic uint32_t next; /* gre.next, for readers */
	struct tally tally;
};

/* A half whose orders wait for room in its worker's ring. */
struct late {
	struct late *next;
	struct dp_session *session;
	enum half half;
	bool queued;
	uint8_t orders; /* bits of enum order_kind, not yet in the ring */
};

struct dp_session {
	/* Identity. */
	uint16_t call_id, peer_call_id;
	uint32_t peer_ip, local_ip;
	unsigned worker[HALVES];

	/* Cold: the main thread's. */
	void *owner;
	struct dp_session *prev, *next; /* all sessions */
	struct late late[HALVES];
	bool detaching, released[HALVES];
	uint32_t steered; /* inner address in the steering map; 0 = none */
	uint32_t source;
	bool up;
	struct dp_up link;
	uint8_t key[HALVES][16];     /* wiped once on its way */
	_Atomic uint32_t notes_read; /* read by the receive half, which wrote notes_sent */

	/* Shared by the halves. */
	alignas(64) struct gre_ack ack;
	_Atomic uint32_t peer_acked; /* written by the receive half */
	_Atomic uint32_t notes_sent;

	alignas(64) struct rx_half rx;
	alignas(64) struct tx_half tx;
};

/* Main thread to worker. Those before ORDER_FRAME are never lost, and go in this order if delayed.
 */
enum order_kind {
	ORDER_ATTACH,
	ORDER_KEYS,
	ORDER_LINK,
	ORDER_DETACH,
	ORDER_FRAME,
};

struct order {
	uint8_t kind, half;
	bool up;
	uint16_t protocol, len; /* ORDER_FRAME */
	uint32_t source;
	struct dp_session *session;
	struct dp_up link;
	uint8_t key[16];
	uint8_t payload[]; /* ORDER_FRAME */
};

/* Worker to main thread. */
enum note_kind {
	NOTE_FRAME,
	NOTE_UNKNOWN,
	NOTE_RELEASED
};

struct note {
	uint8_t kind, half;
	bool was_encrypted;
	uint16_t protocol, len;
	struct dp_session *session;
	uint8_t payload[];
};

/* GRE packets on their way out, sent together. */
#define OUTBOX_PAYLOAD_MAX (DP_FRAME_MAX + 8) /* FF 03, protocol, MPPE header, inner protocol */

struct outbox_slot {
	uint8_t header[GRE_HEADER_MAX];
	uint8_t payload[OUTBOX_PAYLOAD_MAX];
};

struct outbox {
	int fd;
	uint32_t bind_ip;
	unsigned n;
	struct tally *tally[DP_BATCH]; /* who bears the loss of each */
	struct outbox_slot *slots;     /* DP_BATCH of them */
	struct outbox_wire *wire;      /* the kernel's structs */
};

int outbox_init(struct outbox *o, int fd, uint32_t bind_ip);
void outbox_fini(struct outbox *o);
/* Where the next packet's payload goes, OUTBOX_PAYLOAD_MAX bytes; sends what waits if all are
 * taken. */
uint8_t *outbox_payload(struct outbox *o);
/* The payload is there: h->length bytes. */
void outbox_add(
    struct outbox *o, const struct dp_session *s, const struct gre_header *h, struct tally *t);
void outbox_flush(struct outbox *o);

#define ROUTE_BUCKETS 16384
#define CALLS         65536

struct worker {
	struct dataplane *dp; /* main thread's use only */
	unsigned index;
	const struct dp_config *config;
	int gre_fd, tun_fd, epoll_fd;
	_Atomic bool stop;
	struct ring orders, notes;
	struct io notes_io;      /* main thread's */
	struct timer late_timer; /* main thread's, as the list of what it is for */
	struct late *late_head, **late_tail;

	uint64_t now_us;
	struct tally tally;         /* of what no session owns */
	struct dp_session **calls;  /* by our call id: receive halves */
	struct dp_session **routes; /* hash of inner destinations: transmit halves */
	struct due_list gaps, acks;
	struct dp_session *release_rx, *release_tx; /* release notes that found the ring full */
	struct outbox outbox;
	struct rx_batch *batch;
	uint8_t *tun_buf; /* one packet of the TUN, decrypted or to be encrypted */
};

/* worker.c: what a worker needs from start to end. */
int worker_init(struct worker *w, const struct dp_config *c, unsigned index);
void worker_fini(struct worker *w);
void *worker_run(void *worker);
/* Passes something to the main thread; false: ring full, or this session has its share waiting
 * there. */
bool worker_note(struct worker *w, struct dp_session *s, enum note_kind kind, uint16_t protocol,
    const uint8_t *payload, size_t len, bool was_encrypted);

/* rx.c: from the GRE socket to the TUN or the main thread. */
struct rx_batch *rx_batch_new(void);
void rx_batch_free(struct rx_batch *b);
void rx_run(struct worker *w);                                      /* one batch */
void rx_input(struct worker *w, const uint8_t *packet, size_t len); /* one IP packet with GRE */
void rx_gap_due(struct worker *w, struct dp_session *s);
void rx_ack_due(struct worker *w, struct dp_session *s);
void rx_detach(struct worker *w, struct dp_session *s);

/* tx.c: from the TUN or the main thread to the GRE socket. */
void tx_run(struct worker *w);                                /* one batch */
void tx_input(struct worker *w, uint8_t *packet, size_t len); /* TUN_ROOM writable bytes in front */
void tx_frame(
    struct worker *w, struct dp_session *s, uint16_t protocol, const uint8_t *payload, size_t len);
void tx_link(struct worker *w, struct dp_session *s, bool up, const struct dp_up *link);

#endif
