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

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "pptpd/crypto/mppe.h"
#include "pptpd/data/dataplane.h"
#include "pptpd/data/due.h"
#include "pptpd/data/hold.h"
#include "pptpd/data/ring.h"
#include "pptpd/data/tun.h"
#include "pptpd/wire/gre.h"

#define DP_BATCH 64

/* IP header with options, GRE header, and the largest frame. */
#define DP_PACKET_MAX (60 + GRE_HEADER_MAX + DP_FRAME_MAX + 8)

/* Frames of one session that wait for the main thread at most: a flood costs its own session only.
 */
#define NOTES_FRAMES  64
#define NOTES_UNKNOWN 8

/* Counters with one writer. */
struct tally {
	_Atomic uint64_t packets, octets;
	_Atomic uint64_t reordered, icmp_frag_needed, fragmented, mss_clamped, acks_alone;
	_Atomic uint64_t last_ms, last_data_ms;
	_Atomic uint64_t held, stalls, filled;
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

/* Notes of a half that must not be lost: they wait with it for room in the ring. */
struct unsent {
	struct unsent *next;
	struct dp_session *session;
	bool queued;
	uint8_t half, notes; /* bits of enum note_kind */
	uint32_t round;      /* of the newest export, see struct report */
};

struct rx_half {
	bool armed;
	bool based;      /* base_seq means something */
	uint32_t source; /* inner source allowed; 0 = not up */
	uint16_t mtu;    /* clamp of the MSS; 0 = not yet known */
	struct gre_rx gre;
	struct mppe mppe;
	struct mppe far;   /* on the way to a key far ahead of mppe; index 0 = none */
	uint32_t base_seq; /* of the last packet with a key, plus one for each known to have none */
	uint8_t doubts;    /* packets far ahead that made no sense */
	uint32_t skips;    /* keys that may be skipped now, */
	uint64_t skips_us; /* as of then; see earn_skips() */
	struct due gap, ack;
	bool handed;         /* park.c: what comes directly may be ahead of what is relayed */
	uint32_t direct_seq; /* the first that came so, if any is parked */
	uint64_t handed_until_us;
	struct hold parked; /* outer packets */
	struct due park;
	struct unsent unsent;
	_Atomic uint64_t index; /* of mppe, for readers */
	struct tally tally;
};

/* The number 0xFFFFFFFF is behind the client before any after it is used: see catchup.c. */
enum wrap {
	WRAP_NONE,
	WRAP_WANTED,
	WRAP_WAITING,
};

struct tx_half {
	bool armed, up;
	bool low_told; /* on_low() is on its way for this gate */
	bool stalled;
	uint8_t wrap; /* enum wrap */
	uint8_t wrap_tries, lcp_id;
	struct gre_tx gre;
	struct mppe mppe;
	struct keygate gate;
	uint32_t low_water;
	struct dp_up link;
	struct dp_session *next_route; /* same bucket */
	struct hold hold;              /* what may not leave yet, in order */
	struct due held;               /* when the first of it has waited long enough */
	struct due step;               /* of a catch-up */
	uint32_t fill_next, fill_left;
	uint64_t wrap_us; /* 0xFFFFFFFF goes out again */
	/* stall.c: the peer's last acknowledgement that moved, since when another is missing, since
	 * when it is asked for one (0 = not), and when last. */
	uint32_t ack_seen;
	uint64_t progress_us, asked_us, echo_us;
	/* Continued: from here on, until the client acknowledges a number of ours; see follow(). */
	bool follows;
	uint32_t begin_seq, follow_left;
	uint64_t begin_index;
	struct unsent unsent;
	_Atomic uint64_t index;
	_Atomic uint32_t next;     /* gre.next, for readers */
	_Atomic uint32_t echo_seq; /* of the last Echo-Request of ours */
	_Atomic bool any;          /* a number was used, by us or before us */
	struct tally tally;
};

/* An export is asked for in rounds: it is complete when both halves have reported for one. */
struct report {
	struct dp_state state;
	uint32_t asked, told, done[HALVES];
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
	uint64_t id;
	uint16_t call_id, peer_call_id;
	uint32_t peer_ip, local_ip;
	unsigned worker[HALVES];

	/* Cold: the main thread's. */
	void *owner;
	struct dp_session *prev, *next; /* all sessions */
	struct late late[HALVES];
	bool detaching, apart, released[HALVES];
	uint32_t steered;              /* inner address in the steering map; 0 = none */
	struct dp_session *next_inner; /* same bucket of by_inner */
	uint32_t source;
	bool up;
	struct dp_up link;
	uint8_t key[HALVES][16]; /* wiped once on its way */
	bool disarm;             /* instead of a key */
	struct limit {
		struct keygate gate;
		uint32_t low_water;
	} gate, regate; /* before the export that is late, after it */
	uint32_t export_ahead, export_low;
	bool skip; /* the next export's: dp_skip() */
	uint32_t skip_seq;
	uint64_t skip_index;
	struct report report;
	_Atomic uint32_t notes_read; /* read by the receive half, which wrote notes_sent */

	/* Shared by the halves. */
	alignas(64) struct gre_ack ack;
	_Atomic uint32_t peer_acked; /* written by the receive half */
	_Atomic bool any_acked;      /* likewise: peer_acked means something */
	_Atomic uint64_t said_ack;   /* likewise: the newest one as it came, SAID_ACK set if any */
	_Atomic uint32_t notes_sent;

	alignas(64) struct rx_half rx;
	alignas(64) struct tx_half tx;
};

#define SAID_ACK (1ull << 32)

/* Main thread to worker. Those before ORDER_FRAME are never lost, and go in this order if delayed.
 */
enum order_kind {
	ORDER_ATTACH,
	ORDER_KEYS,
	ORDER_LINK,
	ORDER_GATE,
	ORDER_EXPORT,
	ORDER_REGATE, /* a gate that was given after the export */
	ORDER_DETACH,
	ORDER_FRAME,
	/* Of no session. */
	ORDER_RELAY, /* on: up */
	ORDER_RESUME,
	ORDER_DOZE, /* on: up */
	ORDER_INJECT_GRE,
	ORDER_INJECT_IP,
};

struct order {
	uint8_t kind, half;
	bool up;   /* ORDER_LINK; ORDER_KEYS: there is a key; ORDER_EXPORT: seq, index: skip them */
	bool seek; /* ORDER_FRAME: with number seq */
	uint32_t seq;
	uint16_t protocol, len; /* of the payload */
	uint32_t source;
	struct dp_session *session;
	struct dp_up link;
	uint8_t key[16];
	struct keygate gate;
	uint32_t low_water, ahead, round;
	uint64_t index;
	uint8_t payload[]; /* a frame; a packet */
};

/* Worker to main thread. */
/* Those from NOTE_LOW on are never lost, and go in this order if delayed. */
enum note_kind {
	NOTE_FRAME,
	NOTE_UNKNOWN,
	NOTE_RELAY_GRE, /* of no session, as the next two */
	NOTE_RELAY_IP,
	NOTE_RELAY_END, /* everything relayed is in front of it */
	NOTE_LOW,
	NOTE_EXPORTED,
	NOTE_RELEASED
};

struct note_low {
	uint32_t next_seq;
	uint64_t next_index;
};

struct note {
	uint8_t kind, half;
	bool was_encrypted;
	uint16_t protocol, len;
	uint32_t round; /* NOTE_EXPORTED, NOTE_RELAY_END */
	struct dp_session *session;
	uint8_t payload[]; /* a frame or packet; struct note_low; struct dp_state, one half of it */
};

/* GRE packets on their way out, sent together. */
#define OUTBOX_PAYLOAD_MAX (DP_FRAME_MAX + 8) /* FF 03, protocol, MPPE header, inner protocol */

struct outbox_slot {
	uint8_t header[GRE_HEADER_MAX];
	uint8_t payload[OUTBOX_PAYLOAD_MAX];
};

struct outbox {
	_Atomic bool frozen; /* written by the main thread */
	_Atomic bool
	    sending; /* between a look at frozen and the last packet's way into the kernel */
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
/* Main thread: nothing goes into the kernel from the return on, until it is thawed. */
void outbox_freeze(struct outbox *o, bool frozen);

static inline bool
outbox_frozen(const struct outbox *o)
{
	return atomic_load_explicit(&o->frozen, memory_order_relaxed);
}

#define ROUTE_BUCKETS 16384
#define CALLS         65536

/* counters.c: the sums of a session, when it ends. */
void counters_add(struct dp_counters *c, const struct dp_session *s);

/* What a worker does with packets: see relay.c. */
enum relay {
	RELAY_OFF,
	RELAY_ON,
	RELAY_PAUSED, /* off, but nothing is read before ORDER_RESUME */
};

struct worker {
	struct dataplane *dp; /* main thread's use only */
	unsigned index;
	const struct dp_config *config;
	struct crumb *crumb; /* NULL = nobody looks */
	int gre_fd, tun_fd, epoll_fd;
	_Atomic bool stop;
	struct ring orders, notes;
	struct io notes_io;      /* main thread's */
	struct timer late_timer; /* main thread's, as the list of what it is for */
	struct late *late_head, **late_tail;
	/* Likewise: what relay.c wants, and packets to be injected, in order, behind what is late.
	 */
	bool relay_late, resume_late;
	bool doze_late;       /* see doze.c */
	uint32_t relay_asked; /* round */
	struct parcel *parcels, **parcels_tail;

	uint64_t now_us;
	struct tally tally;         /* of what no session owns */
	struct dp_session **calls;  /* by our call id: receive halves */
	struct dp_session **routes; /* hash of inner destinations: transmit halves */
	struct due_list gaps, acks, holds, steps, parks;
	struct unsent *unsent_head, **unsent_tail; /* notes that found the ring full */
	size_t held_bytes;                         /* by this worker: in holds, and parked */
	uint8_t relay;                             /* enum relay */
	bool deaf;              /* does not wait for the GRE socket and the TUN, for either of: */
	bool paused;            /* relay.c: there is no room, or what is older comes first */
	bool dozing;            /* doze.c: nobody is served yet */
	uint64_t doze_until_us; /* what waits is taken then; 0 = nothing does */
	bool end_untold;        /* NOTE_RELAY_END, for want of room */
	uint32_t relay_round;   /* of the newest order */
	bool injecting;         /* what is in hand was relayed */
	uint64_t injected_us;   /* when the last one was */
	_Atomic uint64_t relayed, injected;
	_Atomic uint64_t decrypted, encrypted; /* packets, of whatever session */
	struct outbox outbox;
	struct rx_batch *batch;
	uint8_t *tun_buf; /* one packet of the TUN, decrypted or to be encrypted */
};

/* The main thread's. */
struct dataplane {
	struct loop *loop;
	struct dp_config config;
	struct dp_ops ops;
	void *arg;
	bool batch;             /* workers are woken when it ends */
	bool relaying, dozing;  /* as ordered */
	struct worker *workers; /* config.workers of them */
	pthread_t threads[DP_WORKERS_MAX];
	unsigned started;
	struct dp_session *sessions;
	struct dp_session *by_call[CALLS];
	struct dp_session *by_inner[ROUTE_BUCKETS]; /* by `steered`, if it is not 0 */
	size_t parcel_bytes;
	struct dp_counters ended;
};

static inline unsigned
route_bucket(uint32_t inner_ip)
{
	return (inner_ip * 0x9e3779b1u) >> 18;
}
_Static_assert(ROUTE_BUCKETS == 1 << (32 - 18), "route_bucket() yields 14 bits");

/* dataplane.c: all that waits for room in a worker's ring of orders, as far as there is any. */
void dp_put_orders(struct worker *w);

/* worker.c: what a worker needs from start to end. */
int worker_init(struct worker *w, const struct dp_config *c, unsigned index);
void worker_fini(struct worker *w);
void *worker_run(void *worker);
void worker_run_due(struct worker *w); /* what is due at now_us */
/* Whether the GRE socket and the TUN are waited for, as far as relay.c is concerned. */
void worker_hear(struct worker *w, bool hear);
/* Something has changed that `deaf` depends on. */
void worker_watch(struct worker *w);

/* doze.c: nobody is served yet. */
/* Something is readable. True: it is to stay where it is. */
bool doze_keeps(struct worker *w);
bool doze_is_deaf(const struct worker *w);
void doze_due(struct worker *w); /* what has waited for too long is taken */
void doze_order(struct worker *w, bool on);
bool doze_put_order(struct worker *w); /* main thread's; false: no room */

/* note.c: from a worker to the main thread. */
/* Passes a frame; false: ring full, or this session has its share waiting there. */
bool worker_note(struct worker *w, struct dp_session *s, enum note_kind kind, uint16_t protocol,
    const uint8_t *payload, size_t len, bool was_encrypted);
/* A note that must not be lost; what it says is read from the half when there is room. */
void note_later(struct worker *w, struct unsent *u, enum note_kind kind);
void note_retry(struct worker *w);
/* A packet to be relayed, of no session, and how many of DP_PACKET_MAX there is room for at least.
 */
bool note_packet(struct worker *w, enum note_kind kind, const uint8_t *packet, size_t len);
bool note_room(const struct worker *w, unsigned packets);

/* rx.c: from the GRE socket to the TUN or the main thread. */
struct rx_batch *rx_batch_new(void);
void rx_batch_free(struct rx_batch *b);
void rx_run(struct worker *w);   /* one batch */
bool rx_batch(struct worker *w); /* whatever the order is; false: that was all */
void rx_input(struct worker *w, const uint8_t *packet, size_t len); /* one IP packet with GRE */
/* The outer IP header as the raw socket gives it; the kernel has verified and reassembled it. Cuts
 * what is behind the packet off. */
bool rx_outer(struct rd *r, uint32_t *src);
void rx_gap_due(struct worker *w, struct dp_session *s);
void rx_ack_due(struct worker *w, struct dp_session *s);
void rx_keys(struct dp_session *s, const uint8_t key[static 16]);
void rx_disarm(struct dp_session *s);
void rx_import(struct dp_session *s, const struct dp_state *state, bool exact);
void rx_state(const struct dp_session *s, struct dp_state *state); /* its part of it */
void rx_detach(struct worker *w, struct dp_session *s);

/* tx.c: from the TUN to what may leave. */
void tx_run(struct worker *w);   /* one batch */
bool tx_batch(struct worker *w); /* whatever the order is; false: that was all */
void tx_input(struct worker *w, uint8_t *packet, size_t len); /* TUN_ROOM writable bytes in front */
void tx_link(struct worker *w, struct dp_session *s, bool up, const struct dp_up *link);

/* send.c: what leaves, in which order, with which number and key. */
/* One IP packet that fits, with 2 writable bytes in front; may be held (copied) or dropped. */
void send_packet(struct worker *w, struct dp_session *s, uint8_t *packet, size_t len);
void send_frame(
    struct worker *w, struct dp_session *s, uint16_t protocol, const uint8_t *payload, size_t len);
/* Held packets that may leave now, in order. */
void send_held(struct worker *w, struct dp_session *s);
void send_held_due(struct worker *w, struct dp_session *s); /* the first has waited long enough */
void send_set_gate(
    struct worker *w, struct dp_session *s, const struct keygate *g, uint32_t low_water);
void send_limit(struct worker *w, struct dp_session *s, uint32_t ahead, uint32_t low_water);
void send_keys(struct worker *w, struct dp_session *s, const uint8_t key[static 16]);
void send_disarm(struct worker *w, struct dp_session *s);
void send_seek(struct dp_session *s, uint32_t seq); /* the next number */
/* What is below these was used by somebody else: the next ones at least. */
void send_skip(struct dp_session *s, uint32_t seq, uint64_t index);
void send_link_down(struct worker *w, struct dp_session *s);
void send_import(struct dp_session *s, const struct dp_state *state, uint32_t fill_from);
void send_state(const struct dp_session *s, struct dp_state *state); /* its part of it */
void send_detach(struct worker *w, struct dp_session *s);
/* An LCP Echo- or Discard-Request of our own, with the next number, or with one that was used. */
bool send_lcp(struct worker *w, struct dp_session *s, uint8_t code); /* false: no number */
void send_lcp_at(struct worker *w, struct dp_session *s, uint8_t code, uint32_t seq);
#define LCP_OWN_IDS         0xe0 /* and above, for these */
#define LCP_ECHO_REQUEST    9
#define LCP_ECHO_REPLY      10
#define LCP_DISCARD_REQUEST 11

/* catchup.c: what a client must have before anything else. */
void catchup_import(struct dp_session *s, const struct dp_state *state, uint32_t fill_from);
/* Goes on with it. True: nothing is in the way of the next number. */
bool catchup_done(struct worker *w, struct dp_session *s);
void catchup_due(struct worker *w, struct dp_session *s);

static inline bool
catchup_wanted(const struct tx_half *tx)
{
	return tx->wrap != WRAP_NONE || tx->fill_left != 0 || tx->gre.next == UINT32_MAX;
}

/* relay.c: packets that another process is to handle, or has relayed. */
static inline bool
relay_silent(const struct worker *w)
{
	return w->relay == RELAY_ON;
}

/* Worker: its orders, */
void relay_order(struct worker *w, bool on, uint32_t round);
void relay_resume(struct worker *w);
void relay_inject(struct worker *w, const struct order *o);
/* and while relaying: what waited in front of all new packets is on its way, and there is room for
 * a batch. False: it is deaf until there is. */
bool relay_ready(struct worker *w);
void relay_packet(struct worker *w, enum note_kind kind, const uint8_t *packet, size_t len);
void relay_retry(struct worker *w);       /* deaf or end_untold: is there room now? */
bool relay_waits(const struct worker *w); /* for room */
/* Main thread: into the ring of orders. False: no room. */
bool relay_put_order(struct worker *w);             /* before everything else that is late */
bool relay_put_parcels(struct worker *w);           /* behind it */
void relay_ended(struct worker *w, uint32_t round); /* NOTE_RELAY_END */
void relay_fini(struct worker *w);
/* s->steered changes: which worker an inner destination belongs to. */
void relay_steer(struct dataplane *dp, struct dp_session *s, uint32_t ip);

/* park.c: what comes directly waits for what is relayed. */
void park_attach(struct worker *w, struct dp_session *s);
/* A packet of a session that is `handed`. False: nothing to wait for. */
bool park_packet(
    struct worker *w, struct dp_session *s, uint32_t seq, const uint8_t *packet, size_t len);
void park_look(struct worker *w, struct dp_session *s); /* some are parked: the gap may be closed */
void park_due(struct worker *w, struct dp_session *s);
void park_detach(struct worker *w, struct dp_session *s);

/* stall.c: a client that acknowledges no more. */
/* True: another packet would only be lost, and its key with it. */
bool stall_check(struct worker *w, struct dp_session *s);

#endif
