/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What LCP, CCP and IPCP share: the automaton of RFC 1661 §4, its restart timer and identifiers,
 * the packet codes 1 to 7, and the option walker. A control protocol is a struct cp_protocol: its
 * options, one row each, and its hooks. Owned by the link; internal to this folder and its tests.
 */
#ifndef PPP_CP_H
#define PPP_CP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"
#include "common/loop.h"

struct ppp;

enum cp_state { /* RFC 1661 §4.2 */
	CP_INITIAL,
	CP_STARTING,
	CP_CLOSED,
	CP_STOPPED,
	CP_CLOSING,
	CP_STOPPING,
	CP_REQ_SENT,
	CP_ACK_RCVD,
	CP_ACK_SENT,
	CP_OPENED,
	CP_N_STATES
};

enum cp_event { /* RFC 1661 §4.3 */
	CP_UP,
	CP_DOWN,
	CP_OPEN,
	CP_CLOSE,
	CP_TO_PLUS,
	CP_TO_MINUS,
	CP_RCR_PLUS,
	CP_RCR_MINUS,
	CP_RCA,
	CP_RCN,
	CP_RTR,
	CP_RTA,
	CP_RUC,
	CP_RXJ_PLUS,
	CP_RXJ_MINUS,
	CP_RXR,
	CP_N_EVENTS
};

enum cp_code { /* RFC 1661 §5, RFC 1570, RFC 1962 */
	CP_CONF_REQ = 1,
	CP_CONF_ACK,
	CP_CONF_NAK,
	CP_CONF_REJ,
	CP_TERM_REQ,
	CP_TERM_ACK,
	CP_CODE_REJ,
	CP_PROTO_REJ,
	CP_ECHO_REQ,
	CP_ECHO_REP,
	CP_DISCARD,
	CP_IDENTIFICATION,
	CP_TIME_REMAINING,
	CP_RESET_REQ,
	CP_RESET_ACK,
};

#define CP_HEADER_LEN 4
#define CP_BODY_MAX   1496 /* a body with its header fits the default MRU */
#define CP_ANY_LEN    0xff
#define CP_DATA_MAX   32 /* of one option of ours */

/* A packet received, or the reply that a Configure-Request earned. */
struct cp_packet {
	uint8_t code, id;
	struct rd body;
};

enum cp_verdict {
	CP_ACK,
	CP_NAK,
	CP_REJ
};

/* One option: all that is known of it. Data means what follows type and length. */
struct cp_option {
	uint8_t type;
	uint8_t len; /* of the data; other lengths are rejected. CP_ANY_LEN: judge sees to it */
	/* Writes our data into a Configure-Request. NULL: never asked for. */
	void (*put)(struct ppp *p, uint8_t type, struct wr *w);
	/* The peer asks: changes nothing but the wish of the link; a CP_NAK writes the data that we
	 * would take. NULL: rejected. */
	enum cp_verdict (*judge)(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak);
	/* The peer naks ours: may change what put() writes. NULL: we no longer ask. */
	void (*naked)(struct ppp *p, uint8_t type, struct rd *data);
	/* The peer rejects ours, and we do not ask again. NULL: that is all. */
	void (*rejected)(struct ppp *p);
};

enum cp_reopen {
	CP_REOPEN,
	CP_ACK_AGAIN,
	CP_REFUSE
};

struct cp_protocol {
	uint16_t number;
	const char *name;
	const struct cp_option *options;
	uint8_t n_options; /* at most 16 */
	bool heeds_strays; /* a Code-Reject, or a Terminate-Ack that nobody asked for, has an effect
			    */
	/* All but `asks` may be NULL. */
	uint16_t (*asks)(struct ppp *p); /* bit per row of `options`: what we start to ask for */
	void (*judging)(struct ppp *p);  /* a Configure-Request is about to be judged */
	void (*missing)(struct ppp *p, struct wr *nak); /* appends options that it had to have */
	void (*stubborn)(struct ppp *p); /* max_failure naks; NULL: they become rejects */
	void (*hopeless)(struct ppp *p); /* the peer naks for ever */
	void (*accept)(struct ppp *p);   /* the wish is granted, the Configure-Ack leaves next */
	/* Opened, and a Configure-Request that is no repetition. NULL: CP_REOPEN */
	enum cp_reopen (*reopen)(struct ppp *p, bool same_options);
	void (*retry)(struct ppp *p); /* a Configure-Request is about to be sent again */
	/* A Terminate-Request came and is about to take effect. */
	void (*quit)(struct ppp *p, const struct rd *reason);
	/* This-layer-up, -down, -started, -finished; ser of RFC 1661 for code 9 to 11. */
	void (*up)(struct ppp *p);
	void (*down)(struct ppp *p);
	void (*started)(struct ppp *p);
	void (*finished)(struct ppp *p);
	void (*echo)(struct ppp *p, const struct cp_packet *pk);
	/* A code above 7 other than 9 to 11 of LCP. False: unknown, Code-Reject. */
	bool (*code)(struct ppp *p, const struct cp_packet *pk);
};

struct cp {
	const struct cp_protocol *protocol;
	struct ppp *link;
	struct timer timer;
	uint16_t asks; /* rows of protocol->options that we ask for */
	uint8_t state;
	uint8_t restarts; /* transmissions left until TO- */
	uint8_t naks_sent, naks_received;
	uint8_t next_id;
	uint8_t request_id;  /* of our last Configure-Request or Terminate-Request */
	bool outstanding;    /* no valid answer to our Configure-Request yet */
	bool heard;          /* anything well-formed came since Up */
	uint8_t acked_id;    /* the peer's request that we acked last, */
	uint32_t acked_hash; /* and its options */
	uint32_t refused[3]; /* the last requests that we refused, hashed; 0 = none */
};

void cp_init(struct cp *cp, const struct cp_protocol *protocol, struct ppp *p);
void cp_fini(struct cp *cp);
/* Opened, with no packet and no hook but `asks`, as after the peer's request that we acked last. */
void cp_restore(struct cp *cp, uint8_t next_id, uint8_t acked_id, uint32_t acked_hash);
/* Up, Down, Open, Close, and from the tests all others; pk is what the event's reply needs, or
 * NULL. */
void cp_event(struct cp *cp, enum cp_event event, const struct cp_packet *pk);
/* One packet of this protocol from the wire. */
void cp_input(struct cp *cp, const uint8_t *bytes, size_t len);
void cp_send(struct cp *cp, uint8_t code, uint8_t id, const void *body, size_t len);
/* cp_send() of `word` (2 bytes if has_word) and as much of body as the peer's MRU holds. */
void cp_send_reject(
    struct cp *cp, uint8_t code, bool has_word, uint16_t word, const uint8_t *body, size_t len);
const char *cp_state_name(uint8_t state);

#endif
