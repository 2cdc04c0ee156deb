/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One PPP link, either end: LCP, MS-CHAPv2, CCP with MPPE-128 stateless, IPCP (RFC 1661, 1994,
 * 2759, 1962, 3078, 1332, 1877). It sees negotiation frames only; IP packets and MPPE data never
 * pass here. Nothing weaker than MS-CHAPv2 and MPPE-128 is ever accepted. All on one loop; the
 * owner frees it from the reaper, never from inside a callback.
 */
#ifndef PPP_PPP_H
#define PPP_PPP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "pptpd/crypto/mschap.h"

#define PPP_LCP    0xC021
#define PPP_PAP    0xC023
#define PPP_CHAP   0xC223
#define PPP_EAP    0xC227
#define PPP_CCP    0x80FD
#define PPP_COMP   0x00FD /* MPPE data */
#define PPP_IPCP   0x8021
#define PPP_IP     0x0021
#define PPP_IPV6CP 0x8057
#define PPP_IPV6   0x0057

#define PPP_MRU_MIN  128
#define PPP_NAME_MAX 256

enum ppp_style {           /* client only: which options it asks for */
	PPP_STYLE_LINUX,   /* pppd's */
	PPP_STYLE_WINDOWS, /* callback, MRRU, endpoint discriminator; all NCPs at once; MPPE
			      0x010000e1 */
};

enum ppp_cause { /* why a link ended; one log word each, ppp_cause_name() */
	PPP_CAUSE_NONE,
	PPP_CAUSE_PEER,         /* Terminate-Request */
	PPP_CAUSE_LOCAL,        /* ppp_close() */
	PPP_CAUSE_NEGOTIATION,  /* LCP or IPCP did not converge */
	PPP_CAUSE_AUTH_REFUSED, /* peer refuses MS-CHAPv2 */
	PPP_CAUSE_AUTH_FAILED,  /* wrong password or unknown user */
	PPP_CAUSE_AUTH_TIMEOUT,
	PPP_CAUSE_SERVER_FALSE,  /* client: server's authenticator response is wrong */
	PPP_CAUSE_NO_MPPE,       /* peer does not offer MPPE-128 stateless */
	PPP_CAUSE_REKEY_REFUSED, /* CCP renegotiation that would use keys twice */
	PPP_CAUSE_NO_ADDRESS,    /* pool exhausted, address taken */
	PPP_CAUSE_ECHO,          /* lcp-echo-failure */
	PPP_CAUSE_LOOP,          /* own magic number came back */
	PPP_CAUSE_IDLE,          /* no traffic for `idle` seconds (the owner says so) */
	PPP_CAUSE_MAX
};

struct ppp_config {     /* borrowed: must outlive the link */
	bool is_server; /* authenticates the peer and hands out its address */
	enum ppp_style style;
	uint16_t mru, mtu;          /* ours asked for; ours sent at most */
	const char *name;           /* server: our name in the challenge. client: user name */
	const char *password;       /* client only */
	uint32_t dns[2], wins[2];   /* server: 0 = not configured */
	bool request_dns;           /* client */
	uint32_t local_ip, want_ip; /* client: address asked for, 0 = any */
	uint16_t echo_interval_s;   /* LCP echo, 0 = never */
	uint8_t echo_failure;       /* echoes unanswered until the link is dead; 0 = never */
	uint32_t restart_ms;        /* RFC 1661 restart timer, default 3000 */
	uint8_t max_configure, max_terminate, max_failure; /* defaults 10, 2, 5 */
	uint32_t auth_timeout_ms;                          /* default 30000 */
	bool offer_mppe;                                   /* client, tests: false = refuse CCP */
	bool offer_pap_only;                               /* client, tests: Nak CHAP with PAP */
};
/* Fills in RFC and pppd defaults: mru, mtu 1400, offer_mppe. */
void ppp_config_defaults(struct ppp_config *c);

/* What a user's secret allows. The server looks it up by name, the link verifies the response. */
struct ppp_verify {
	const char *name;      /* as the peer sent it, NUL-terminated, may hold DOMAIN\ */
	const char *hash_name; /* after the last backslash */
	const uint8_t *auth_challenge, *peer_challenge; /* 16 bytes each */
	const uint8_t *nt_response;                     /* 24 bytes */
};

struct ppp_addresses {
	uint32_t local_ip, peer_ip; /* host order */
};

struct ppp_ops {
	/* Sends one negotiation frame: protocol, then payload. The owner adds FF 03 and GRE. */
	void (*send)(void *arg, uint16_t protocol, const uint8_t *payload, size_t len);
	/*
	 * Server: true if some secret verifies; nt_hash then gets its hash. The callee tries each
	 * candidate with mschap_nt_response() and mschap_equal(). It logs a failure's reason
	 * itself.
	 */
	bool (*verify)(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16]);
	/* Server: after authentication, before IPCP. false = no address (logged by the callee). */
	bool (*address)(void *arg, struct ppp_addresses *a);
	/*
	 * Start keys of both directions, at authentication: the data path is armed to decrypt
	 * before any CCP answer leaves. Called again after an LCP renegotiation with new
	 * authentication.
	 */
	void (*keys)(
	    void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16]);
	/*
	 * Before the Configure-Ack of the peer's address leaves: its packets may follow at once,
	 * and their answers right behind, so both ways must be open. mtu as for up().
	 */
	void (*peer_address)(void *arg, const struct ppp_addresses *a, uint16_t mtu);
	/* IPCP is open: traffic may flow. `mtu` = what may be sent, already bounded by the peer's
	 * MRU. */
	void (*up)(void *arg, const struct ppp_addresses *a, uint16_t mtu);
	/* The link left the network phase (LCP renegotiation): stop sending packets. May come up
	 * again. */
	void (*down)(void *arg);
	/* The end; called once, never from inside ppp_new(). The owner closes the call. */
	void (*finished)(void *arg, enum ppp_cause cause, const char *detail);
};

struct ppp;

struct ppp *ppp_new(
    struct loop *l, const struct ppp_config *c, const struct ppp_ops *ops, void *arg);
void ppp_free(struct ppp *p);                        /* NULL is fine; wipes keys */
void ppp_open(struct ppp *p);                        /* lower layer is up: LCP starts */
void ppp_close(struct ppp *p, enum ppp_cause cause); /* Terminate-Request, then finished() */
/* LCP starts over on an open link: down(), authentication, new keys, up() with the same addresses.
 */
void ppp_renegotiate(struct ppp *p);
/* One frame without FF 03: protocol number, payload. Any bytes are safe. */
void ppp_input(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len);
/* Something sound arrived on the data path: counts as life for the echo timer. */
void ppp_alive(struct ppp *p);
/* Protocol numbers that the data path could not use (decrypted or not): answered with
 * Protocol-Reject when `payload` came in clear, counted only when it was encrypted. */
void ppp_unknown_protocol(
    struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len, bool was_encrypted);

/* What was negotiated: a link can go on from it elsewhere (ppp_restore()). */
struct ppp_state {
	uint16_t our_mru, peer_mru;
	uint32_t our_magic, peer_magic;
	uint32_t our_accm, peer_accm;
	bool peer_pfc, peer_acfc; /* peer accepts compressed fields: we may send them so */
	bool our_pfc, our_acfc;
	uint8_t lcp_state, ccp_state, ipcp_state; /* RFC 1661 §4.2 numbers */
	uint8_t auth_state;
	uint8_t lcp_id, chap_id, ccp_id, ipcp_id; /* next identifiers */
	/* The peer's Configure-Request that we acked last, its options hashed: a repetition of it
	 * gets its Ack again and is no renegotiation. */
	uint8_t lcp_acked_id, ccp_acked_id, ipcp_acked_id;
	uint32_t lcp_acked_hash, ccp_acked_hash, ipcp_acked_hash;
	uint32_t ccp_bits; /* 0x01000040 when MPPE is up */
	struct ppp_addresses addresses;
	uint32_t dns[2]; /* client: as pushed */
	uint16_t mtu;
	bool up;
	char peer_name[PPP_NAME_MAX];
};
void ppp_get_state(const struct ppp *p, struct ppp_state *s);
/*
 * On a link from ppp_new(), instead of ppp_open(): it continues one of another process. All
 * automata are open, nothing is sent, no callback is called. The echo timer starts at a point of
 * its interval that spread (0..65535, of the whole) names, so that many links do not ask at once.
 * A CCP renegotiation is always refused: the peer may have used its keys. State must be that of a
 * server link that is up; 0, or -1 with errno EINVAL or ENOMEM.
 */
int ppp_restore(struct ppp *p, const struct ppp_state *s, uint16_t spread);
/* One LCP Echo-Request now, outside of the echo timer's account. Nothing if LCP is not open. */
void ppp_echo_now(struct ppp *p);
struct ppp_counters {
	uint32_t rejects_sent, malformed, echo_sent, echo_received, resets_answered, unknown;
};
const struct ppp_counters *ppp_counters(const struct ppp *p);
const char *ppp_cause_name(enum ppp_cause c); /* "auth-failed" */
const char *ppp_protocol_name(uint16_t protocol);

/*
 * Splits a GRE payload into protocol and rest: optional FF 03, protocol field of 1 or 2 bytes.
 * 0, or -1 with errno EBADMSG. Pure.
 */
int ppp_decapsulate(const uint8_t *bytes, size_t len, uint16_t *protocol, const uint8_t **payload,
    size_t *payload_len);

#endif
