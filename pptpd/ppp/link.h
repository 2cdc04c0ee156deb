/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The inside of struct ppp, shared by the files of this folder and by their tests. The link owns
 * its three automata and the authentication; ppp.c moves it through the phases of RFC 1661 §3.
 * Every way in (a public function, a timer) stands between link_enter() and link_leave(): a failure
 * or an end found on the way is only noted, and carried out by the outermost link_leave(). So no
 * callback of the owner that closes the link can pull the state from under an action.
 */
#ifndef PPP_LINK_H
#define PPP_LINK_H

#include "pptpd/ppp/cp.h"
#include "pptpd/ppp/ppp.h"

#define LCP_MRU_DEFAULT 1500
#define MPPE_BITS       0x01000040u /* H: stateless, S: 128 bits */
#define MPPE_OVERHEAD   4           /* protocol 00FD's count and the inner protocol field */
#define CHAP_MAX_NAME   (PPP_NAME_MAX - 1)

enum chap_state {
	CHAP_IDLE,
	CHAP_CHALLENGED, /* server: waits for the response */
	CHAP_WAITING,    /* client: waits for the challenge */
	CHAP_RESPONDED,  /* client: waits for the verdict */
	CHAP_DONE,
	CHAP_FAILED,
};

struct chap {
	struct timer timer; /* retransmission */
	uint8_t state;
	uint8_t id; /* of the challenge */
	uint8_t next_id;
	uint8_t auth_challenge[MSCHAP_CHALLENGE_LEN];
	uint8_t peer_challenge[MSCHAP_CHALLENGE_LEN];
	uint8_t nt_response[MSCHAP_NT_RESPONSE_LEN];
	char auth_response[MSCHAP_AUTH_RESPONSE_LEN + 1]; /* sent, or expected */
};

struct lcp_wish { /* of the peer, as one Configure-Request asks */
	uint32_t magic, accm;
	uint16_t mru;
	bool pfc, acfc, auth;
};

struct ppp {
	struct loop *loop;
	const struct ppp_config *c;
	const struct ppp_ops *ops;
	void *arg;
	struct cp lcp, ccp, ipcp;
	struct chap chap;
	struct timer setup_timer; /* authentication, then the way to up() */
	struct timer echo_timer;
	uint64_t last_life_ms;
	struct ppp_counters counters;

	struct lcp_wish wish, peer; /* being judged; in force */
	uint32_t our_magic;
	uint16_t our_mru;
	uint8_t loops; /* own magic number seen in succession */
	uint8_t echoes_missed;

	bool mppe_wished; /* the request being judged had MPPE in it */
	bool address_wished;
	uint32_t ccp_ask;  /* client: bits asked for */
	uint32_t ccp_seen; /* bits that the peer spoke of last, for the log */
	bool data_seen;    /* sound traffic since CCP opened, or it is not known */

	uint32_t address_wish;
	struct ppp_addresses addresses;
	uint32_t dns[4]; /* client: options 0x81 to 0x84 as pushed */
	uint16_t mtu;
	uint16_t early_len;
	uint8_t *early; /* newest IPCP Configure-Request that came before CCP opened */

	char *peer_name;
	char *detail;
	uint8_t cause;
	uint8_t depth;   /* of link_enter() */
	bool failing;    /* LCP must close, at the outermost link_leave() */
	bool ended;      /* finished() is due */
	bool dead;       /* finished() was called */
	bool peer_quit;  /* a Terminate-Request came while LCP negotiated */
	bool auth_clock; /* setup_timer bounds the authentication */
	bool authenticated, has_address, up;
};

/* ppp.c; state.c has ppp_get_state() and ppp_restore() */
void link_enter(struct ppp *p);
void link_leave(struct ppp *p);
void link_send(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len);
size_t link_body_max(const struct ppp *p); /* bytes that fit behind a CP header in the peer's MRU */
const char *link_reason(const struct ppp *p); /* for a Terminate-Request */
/* Notes why the link ends; the first cause counts. */
void link_note(struct ppp *p, enum ppp_cause cause, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* link_note(), and the link will be closed. */
void link_fail(struct ppp *p, enum ppp_cause cause, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void link_established(struct ppp *p); /* LCP is open */
void link_lost(struct ppp *p);        /* LCP is open no more */
void link_terminated(struct ppp *p);  /* LCP is finished */
void link_authenticated(struct ppp *p);
void link_compressed(struct ppp *p);    /* CCP is open */
uint16_t link_mtu(const struct ppp *p); /* of packets that we send */
void link_up(struct ppp *p);            /* IPCP is open */
void link_down(struct ppp *p);

/* lcp.c, ccp.c, ipcp.c */
extern const struct cp_protocol lcp_protocol, ccp_protocol, ipcp_protocol;
void lcp_protocol_reject(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len);
void lcp_ask_echo(struct ppp *p);
/* Options in force and the echo timer, as ppp_restore(). */
void lcp_restore(struct ppp *p, const struct ppp_state *s, uint16_t spread);
void lcp_init(struct ppp *p);
void ipcp_input(struct ppp *p, const uint8_t *bytes, size_t len);
void ipcp_take_early(struct ppp *p);

/* chap.c */
void chap_init(struct ppp *p);
void chap_start(struct ppp *p); /* LCP opened */
void chap_stop(struct ppp *p);
void chap_restore(struct ppp *p, uint8_t next_id); /* done, with an earlier challenge */
void chap_input(struct ppp *p, const uint8_t *bytes, size_t len);
void chap_repeat_success(struct ppp *p); /* server: the peer may have missed it */

#endif
