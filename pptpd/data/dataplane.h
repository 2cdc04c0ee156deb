/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The data plane as the main thread sees it: N workers, each with a GRE socket, a TUN queue and one
 * pair of single-producer single-consumer rings with an eventfd each. The main thread owns a
 * session's cold part; the receive half and the transmit half of a struct dp_session each belong to
 * one worker and are changed only by messages through its ring. Nothing on the packet path locks.
 */
#ifndef DATA_DATAPLANE_H
#define DATA_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "pptpd/crypto/mppe.h"
#include "pptpd/data/crumb.h"
#include "pptpd/data/keygate.h"

#define DP_WORKERS_MAX 16
#define DP_FRAME_MAX   2048 /* a negotiation frame's payload at most */

struct dataplane;
struct dp_session; /* opaque handle; valid until on_detached */

struct dp_config {
	unsigned workers;            /* 1..DP_WORKERS_MAX */
	int gre_fds[DP_WORKERS_MAX]; /* taken over; gre_socket_open() made them */
	int tun_fds[DP_WORKERS_MAX]; /* taken over; tun_open() made them */
	int steer_map_fd;            /* taken over; -1 = no steering: then workers must be 1 */
	uint8_t reorder_window;
	uint32_t reorder_timeout_us;
	uint32_t ack_delay_us;
	uint16_t tun_mtu;
	uint32_t bind_ip;     /* source address of our GRE, host order; 0 = per session (local_ip of
				 attach) */
	struct crumb *crumbs; /* [workers]: what each has in hand; NULL = nobody looks */
};

struct dp_state;

enum dp_relay_kind {
	DP_RELAY_GRE, /* an outer IPv4 packet with GRE in it, as the raw socket gave it */
	DP_RELAY_IP,  /* an inner IPv4 packet, as the TUN gave it */
};

struct dp_ops {
	/* A negotiation frame of a session, FF 03 removed (LCP, CHAP, NCPs). */
	void (*on_frame)(
	    void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len);
	/* A data protocol that cannot be used here (e.g. IPv6), decrypted or in clear. */
	void (*on_unknown)(void *arg, void *owner, uint16_t protocol, const uint8_t *payload,
	    size_t len, bool was_encrypted);
	/* Both workers have let go: the handle is gone after this call, its counters are final. */
	void (*on_detached)(void *arg, void *owner);
	/* dp_export() is done. state is the callee's to read, wiped afterwards. */
	void (*on_exported)(void *arg, void *owner, const struct dp_state *state);
	/* Fewer packets than the gate's `low_water` can leave, by number or by key. Once for each
	 * dp_set_gate() or dp_export(). */
	void (*on_low)(void *arg, void *owner, uint32_t next_seq, uint64_t next_index);
	/* A packet that was not processed because of dp_relay(). Those of one session come in the
	 * order in which they were to be processed. Needed by dp_relay() only. */
	void (*on_relay)(void *arg, enum dp_relay_kind kind, const uint8_t *packet, size_t len);
};

/* All that another process needs to go on where both halves stand. */
struct dp_state {
	uint32_t tx_seq;   /* GRE: next to send */
	uint32_t tx_acked; /* last that the peer acknowledged */
	uint32_t rx_seq;   /* last received, valid with rx_any */
	bool rx_any, tx_any_ack;
	bool armed;         /* keys are set; else tx and rx mean nothing */
	struct mppe tx, rx; /* live keys and indices of the next packets */
	struct keygate gate;
	uint64_t rx_packets, rx_octets, tx_packets, tx_octets;
};

struct dp_session_config {
	uint64_t id;      /* for the breadcrumbs */
	uint16_t call_id; /* ours: what the client's GRE bears; unique in the daemon */
	uint16_t peer_call_id;
	uint32_t peer_ip, local_ip; /* outer addresses, host order */
	void *owner;
	/*
	 * NULL = a new session, its gate free. Else it goes on from there (copied): the first frame
	 * bears tx_seq, the first key is the gate's first at or above tx.index; the receive side
	 * takes any jump ahead once, and finds the key index from GRE number and coherency count (a
	 * copy may be seconds old).
	 */
	const struct dp_state *state;
	/*
	 * With state: GRE numbers from here to tx_seq - 1 are sent as LCP Discard-Requests first,
	 * which use no key, so that a client that waits for missing numbers need not. Equal to
	 * tx_seq = none.
	 */
	uint32_t fill_from;
	/* With state: it is exact, and nothing came between (a handover). Then the first packet
	 * from the client is put in order like any other, instead of being taken wherever it is;
	 * and the first that comes directly waits a moment for those before it, which may yet be
	 * relayed. */
	bool exact;
	bool apart; /* when it ends its counters go into no sum */
};

/*
 * Starts the threads (signals blocked in them). NULL with errno; the descriptors then stay the
 * caller's. All calls below: main thread only.
 */
struct dataplane *dp_new(
    struct loop *l, const struct dp_config *c, const struct dp_ops *ops, void *arg);
void dp_free(struct dataplane *dp); /* joins the threads; frees every session without callbacks */

struct dp_session *dp_attach(
    struct dataplane *dp, const struct dp_session_config *c); /* NULL: ENOMEM, EEXIST */
/* Stops both halves; on_detached follows. No callback for this owner comes after dp_detach() but
 * on_detached. */
void dp_detach(struct dataplane *dp, struct dp_session *s);
/* Queues one frame; FF 03 and GRE are added by the worker. Frames keep their order. -1 ENOBUFS =
 * ring full, frame lost. */
int dp_send_frame(struct dataplane *dp, struct dp_session *s, uint16_t protocol,
    const uint8_t *payload, size_t len);
/*
 * Likewise with this GRE number, whatever the next one is; the numbers go on behind it. For a
 * session without keys whose client stands nobody knows where: see pptpd/engine/rekey.h.
 */
int dp_send_frame_at(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint16_t protocol,
    const uint8_t *payload, size_t len);
/* No key that the halves have is used from now on, in neither direction, until dp_set_keys(). What
 * waits for one is dropped. */
void dp_disarm(struct dataplane *dp, struct dp_session *s);
/* Arms both directions with fresh start keys; encrypted data is accepted from now on. */
void dp_set_keys(struct dataplane *dp, struct dp_session *s, const uint8_t send_key[static 16],
    const uint8_t recv_key[static 16]);

struct dp_up {
	uint32_t peer_ip;  /* inner */
	uint32_t local_ip; /* source of ICMP errors */
	uint16_t mtu;      /* of packets towards the client */
	bool pfc, acfc;    /* the peer accepts compressed fields */
	uint32_t magic;    /* ours in LCP, for the echoes that the workers send; 0 = none */
};
/* Opens both ways: packets from peer_ip are accepted, packets to it are sent. */
void dp_up(struct dataplane *dp, struct dp_session *s, const struct dp_up *up);
void dp_down(
    struct dataplane *dp, struct dp_session *s); /* stop both ways, keep numbers and keys */

/*
 * Replaces the gate of the transmit half; packets that waited for it leave. low_water: on_low()
 * when fewer numbers are left, 0 = never.
 */
void dp_set_gate(
    struct dataplane *dp, struct dp_session *s, const struct keygate *g, uint32_t low_water);
/*
 * Limits the transmit half to `ahead` numbers from where it stands (mark_seq = next + ahead,
 * mark_index = the index that many packets later, times two if one class only is open; low =
 * classes that are open, high = none), but never lifts a limit that is in force; then reports both
 * halves, state.gate being the new limit: on_exported(), always, unless the session is detached
 * first. Of several at once the last one is always reported. Gates and exports keep their order.
 */
void dp_export(struct dataplane *dp, struct dp_session *s, uint32_t ahead, uint32_t low_water);
/*
 * Somebody else has used GRE numbers below seq and keys below index, or may have: the next
 * dp_export() begins with stepping over what is left of them. It costs a worker 0.7 us a key.
 * Forgotten when the keys change first.
 */
void dp_skip(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint64_t index);
/* Nothing leaves towards a client any more, from any worker, from the return of this call on; until
 * thawed. What was to leave is dropped, and takes neither number nor key. */
void dp_freeze(struct dataplane *dp, bool frozen);
/*
 * On: what arrives is left in the kernel for 100 ms, for sessions that are to come. Off: in the
 * order of dp_attach(), what waits is processed. A worker that relays does so in either case.
 */
void dp_doze(struct dataplane *dp, bool on);
/*
 * On: from this order on, in the order of dp_export(), no worker processes a packet: what arrives,
 * what waits for its order (as GRE) and what waits for a mark (as IP) goes to on_relay(),
 * unchanged, whether or not a session is known for it. Nothing is said of our own either: a frame
 * that is given or waits is dropped, counted as DP_DROP_RELAY; acknowledgements that are due go out
 * first. So an export that is asked for behind it reports a state that no later packet changes. A
 * worker that finds no room for a packet leaves it in the kernel. Off: undone. Nothing is read from
 * the kernel before all that was relayed is with on_relay(), and what was injected by then is
 * processed; so who injects what it still has right after this call, and the rest from within
 * on_relay(), keeps the order. On while going off, and off while going on, are sound; so is either
 * twice.
 */
void dp_relay(struct dataplane *dp, bool on);
/*
 * A packet that another process relayed: processed as if our own socket or TUN had given it, behind
 * every order and packet before it. Copied; waits here, 8 MB at most, for room with its worker.
 * While relaying is on it is relayed again. -1 ENOBUFS, EMSGSIZE, counted as DP_DROP_RELAY.
 */
int dp_inject_gre(struct dataplane *dp, const uint8_t *packet, size_t len);
int dp_inject_ip(struct dataplane *dp, const uint8_t *packet, size_t len);
/* While on, what is asked for waits; off: the workers are woken once for all of it. For hundreds of
 * sessions at a time, never beyond the callback that began it. */
void dp_batch(struct dataplane *dp, bool on);

enum dp_drop {
	DP_DROP_GRE_HEADER,   /* broken GRE header (no session known) */
	DP_DROP_UNKNOWN_CALL, /* (no session known) */
	DP_DROP_FOREIGN_PEER, /* call id right, outer source wrong */
	DP_DROP_DUPLICATE,
	DP_DROP_LATE,
	DP_DROP_LOST,
	DP_DROP_PPP,      /* frame not decodable */
	DP_DROP_CLEAR_IP, /* unencrypted IP */
	DP_DROP_MPPE,     /* malformed, stateful or late MPPE */
	DP_DROP_INSANE,   /* decrypted to something that is no packet of this session */
	DP_DROP_SOURCE,   /* inner source is not the session's */
	DP_DROP_NOT_UP,
	DP_DROP_NO_ROUTE, /* from the TUN: no session has this destination (no session known) */
	DP_DROP_TOO_BIG,  /* answered with fragmentation-needed */
	DP_DROP_TUN_WRITE,
	DP_DROP_SEND_EPERM,
	DP_DROP_SEND_ENOBUFS,
	DP_DROP_SEND_OTHER,
	DP_DROP_RING,   /* negotiation frame lost: main thread behind */
	DP_DROP_MARK,   /* to the client: no number or key below the mark came in time */
	DP_DROP_STALL,  /* to the client: it has acknowledged nothing for too long */
	DP_DROP_FROZEN, /* to the client: this gateway has been told to be silent */
	DP_DROP_RELAY,  /* to be relayed or injected: no room; or a frame of ours meanwhile */
	DP_DROP_MAX
};
const char *dp_drop_name(enum dp_drop d); /* "unknown-call" */

struct dp_counters {
	uint64_t rx_packets, rx_octets; /* inner IP, from the client */
	uint64_t tx_packets, tx_octets; /* inner IP, to the client */
	uint64_t rx_reordered, icmp_frag_needed, fragmented, mss_clamped, acks_alone;
	uint64_t held;              /* packets that waited for a mark */
	uint64_t stalls;            /* times that the client acknowledged nothing for too long */
	uint64_t filled;            /* Discard-Requests sent into a gap of numbers */
	uint64_t relayed, injected; /* packets given to on_relay(); processed (no session known) */
	uint64_t drops[DP_DROP_MAX];
	uint32_t tx_seq, rx_seq,
	    tx_acked;      /* GRE: next to send, last received, last that the peer acked */
	uint32_t said_ack; /* valid with any_said_ack: what the peer acknowledged last, as it said
			      it, whether or not we sent so much */
	bool any_said_ack;
	uint64_t tx_index, rx_index;       /* MPPE key indices */
	uint64_t last_rx_ms, last_data_ms; /* loop clock: any frame; IP either way (idle) */
};
/* Read without stopping anybody; each number is whole, the set is not a snapshot. */
void dp_session_counters(const struct dp_session *s, struct dp_counters *c);
void dp_totals(const struct dataplane *dp,
    struct dp_counters *c); /* what no session owns, and sums of the ended */
/* Packets that this worker has brought to the TUN, and from there on their way, since its start. */
void dp_work(const struct dataplane *dp, unsigned worker, uint64_t *decrypted, uint64_t *encrypted);

/*
 * Opened by the monitor, before privileges go.
 */
/* Raw GRE socket bound to ip, which need not be here, not even to send, with a classic filter:
 * protocol sound and call id % shards == shard. */
int gre_socket_open(uint32_t ip, unsigned shard, unsigned shards);
/* Multi-queue TUN; fds[queues] non-blocking with a virtio header. 0 or -1 with errno. */
int tun_open(const char *name, unsigned queues, int *fds);
/* LPM trie inner destination -> queue, and the steering program on the TUN. Map descriptor, or -1
 * with errno. */
int steer_open(int tun_fd);
/* Through the map descriptor, without privileges. 0 or -1 with errno. */
int steer_set(int map_fd, uint32_t network, unsigned bits, uint32_t queue);
int steer_clear(int map_fd, uint32_t network, unsigned bits);

#endif
