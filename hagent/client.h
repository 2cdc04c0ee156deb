/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A PPTP client in user space: one control connection, one call, one PPP link with MS-CHAPv2 (the
 * server must prove itself) and MPPE-128, no kernel PPP and no interface. It tells how far it came,
 * when, and why not further; IP packets go in and come out as bytes. What carries its own bytes
 * stands behind struct pptp_client_io: sockets (client_io.h) or, in tests, memory and a virtual
 * clock. One thread. The owner frees it from the loop, never inside one of its callbacks.
 *
 *   client.c       life cycle, the link's callbacks
 *   client_control.c  the control connection's messages
 *   client_data.c  GRE numbers, MPPE
 *   client_why.c   what an end means
 */
#ifndef HAGENT_CLIENT_H
#define HAGENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "pptpd/ppp/ppp.h"

enum pptp_step {
	PPTP_STEP_TCP,   /* port 1723 took the connection */
	PPTP_STEP_START, /* Start-Control-Connection-Reply */
	PPTP_STEP_CALL,  /* Outgoing-Call-Reply */
	PPTP_STEP_LCP,   /* open: GRE passes in both directions */
	PPTP_STEP_AUTH,  /* both sides have proven the password */
	PPTP_STEP_CCP,   /* MPPE-128 in force */
	PPTP_STEP_IPCP,  /* an address: the session is up */
	PPTP_STEPS
};
const char *pptp_step_name(enum pptp_step s); /* "tcp", "start", ... "ipcp" */

/* Why a session came no further or ended; pptp_why_name() gives the report's word. */
enum pptp_why {
	PPTP_WHY_NONE,
	PPTP_WHY_LOCAL,       /* pptp_client_close() */
	PPTP_WHY_MACHINE,     /* no socket, no memory: nothing of the server's making */
	PPTP_WHY_NO_ROUTE,    /* this machine has no route to the server */
	PPTP_WHY_UNREACHABLE, /* somebody on the way says that the server cannot be reached */
	PPTP_WHY_PROHIBITED,  /* somebody on the way says that he may not be */
	PPTP_WHY_REFUSED,     /* nobody listens on port 1723 */
	PPTP_WHY_TIMEOUT,     /* no answer on port 1723 */
	PPTP_WHY_SILENT,      /* it took the connection or request, and says nothing */
	PPTP_WHY_CLOSED,      /* the server closed the control connection */
	PPTP_WHY_RESET,
	PPTP_WHY_NOT_PPTP,       /* what it says is no PPTP */
	PPTP_WHY_START_REFUSED,  /* result code in detail */
	PPTP_WHY_CALL_REFUSED,   /* result code in detail */
	PPTP_WHY_CALL_CLEARED,   /* Call-Disconnect-Notify */
	PPTP_WHY_NO_LINK,        /* it took the call and hung up at once, without any GRE */
	PPTP_WHY_GRE_FILTERED,   /* not one GRE packet came */
	PPTP_WHY_GRE_ONE_WAY,    /* GRE comes, ours does not arrive there */
	PPTP_WHY_GRE_REFUSED,    /* ICMP: protocol unreachable, prohibited */
	PPTP_WHY_GRE_WRONG_CALL, /* GRE comes, for another call id */
	PPTP_WHY_GRE_ELSEWHERE,  /* GRE of this call comes from another address, in detail */
	PPTP_WHY_LOOPED,         /* our own packets come back */
	PPTP_WHY_LCP,            /* no agreement */
	PPTP_WHY_AUTH_METHOD,    /* the server wants something else than MS-CHAPv2 */
	PPTP_WHY_AUTH_NONE,      /* ... or nothing at all */
	PPTP_WHY_PASSWORD,       /* refused: name or password */
	PPTP_WHY_ACCOUNT,        /* refused: disabled, expired, hours; E= in detail */
	PPTP_WHY_AUTH_SILENT,    /* no challenge, or no verdict */
	PPTP_WHY_SERVER_FALSE,   /* its authenticator is wrong */
	PPTP_WHY_MPPE_REFUSED,   /* no encryption on offer */
	PPTP_WHY_MPPE_WEAK,      /* 40 or 56 bits, or not stateless */
	PPTP_WHY_MPPE_SILENT,
	PPTP_WHY_NO_ADDRESS, /* the server has none to give */
	PPTP_WHY_IPCP,       /* no agreement, or silence */
	PPTP_WHY_TERMINATED, /* LCP Terminate-Request, its text in detail */
	PPTP_WHY_ECHO,       /* up, then PPTP or LCP echoes went unanswered */
	PPTP_WHY_MAX
};
const char *pptp_why_name(enum pptp_why w); /* "gre-filtered" */

struct pptp_client_options { /* copied, strings too */
	uint32_t server;     /* host order */
	uint16_t port;       /* 0 = 1723 */
	uint32_t source;     /* our address, 0 = as the route says */
	const char *user, *password;
	uint16_t mtu;             /* and MRU; 0 = 1400 */
	uint32_t step_timeout_ms; /* of each step; 0 = 10000 */
	uint16_t echo_s;          /* LCP and control echoes when up; 0 = none */
};

struct pptp_client;

struct pptp_client_ops {                           /* all may be NULL */
	void (*step)(void *arg, enum pptp_step s); /* one is done, for the first time */
	void (*up)(void *arg);                     /* once; after a renegotiation it goes on */
	/* A decrypted IPv4 packet for us; borrowed. */
	void (*packet)(void *arg, const uint8_t *packet, size_t len);
	/* The end, once; also of a session that never came up. pptp_client_free() is due, later. */
	void (*ended)(void *arg);
};

/*
 * What carries the client's bytes. None of these calls back into the client from inside. Addresses
 * are in host order.
 */
struct pptp_client_io {
	uint64_t (*now_us)(void *arg);
	/* Begins to connect; pptp_client_connected() or pptp_client_cut() follows. -1 with errno.
	 */
	int (*dial)(void *arg, uint32_t server, uint16_t port, uint32_t source);
	/* All of it, now or later; what cannot be sent is followed by pptp_client_cut(). */
	void (*send_tcp)(void *arg, const uint8_t *bytes, size_t len);
	void (*send_gre)(void *arg, const uint8_t *bytes, size_t len); /* behind the IP header */
	void (*hang_up)(void *arg); /* after what was sent; harmless twice */
	/* May be NULL. GRE of other calls is of no interest from now on. */
	void (*settled)(void *arg, uint16_t call_id);
};

/* NULL with errno. Copies o; ops and io are borrowed and must outlive it, each with its argument.
 */
struct pptp_client *pptp_client_new(struct loop *l, const struct pptp_client_options *o,
    const struct pptp_client_ops *ops, void *arg, const struct pptp_client_io *io, void *io_arg);
void pptp_client_free(struct pptp_client *c); /* NULL is fine; says nothing to the server */
void pptp_client_start(struct pptp_client *c);
/*
 * A goodbye: LCP Terminate-Request, Call-Clear-Request, Stop-Request; ended() follows within 3 s.
 * Said twice, at once.
 */
void pptp_client_close(struct pptp_client *c);
/* False if the session is not up, or the packet is longer than 1,500 bytes. */
bool pptp_client_send(struct pptp_client *c, const uint8_t *packet, size_t len);

/* From the carrier. */
void pptp_client_connected(struct pptp_client *c, uint32_t local_ip);
void pptp_client_tcp(struct pptp_client *c, const uint8_t *bytes, size_t len);
/* arrived_us: on the carrier's clock, 0 = now. */
void pptp_client_gre(struct pptp_client *c, const uint8_t *bytes, size_t len, uint64_t arrived_us);
/* GRE that came to us from another address than the server's. */
void pptp_client_gre_from(struct pptp_client *c, uint32_t from, const uint8_t *bytes, size_t len);
/* The control connection could not be made or is gone: errno, 0 = the server closed it. */
void pptp_client_cut(struct pptp_client *c, int error);
/* An ICMP error about us: Destination Unreachable with this code; from whom, and its MTU if any. */
void pptp_client_icmp(
    struct pptp_client *c, bool about_gre, unsigned code, uint32_t from, unsigned mtu);

struct pptp_client_counters {
	uint64_t gre_sent, gre_received, gre_strange; /* another call id, or malformed */
	uint64_t sent, received;                      /* encrypted packets */
	uint64_t clear;                               /* IP that came unencrypted; dropped */
	uint64_t undecipherable;                      /* encrypted, and nonsense for us */
	uint64_t lost, reordered, duplicate;          /* of the GRE numbers */
	uint64_t too_big;                             /* ICMP: fragmentation needed */
};

/* What is known so far; strings are the client's. */
struct pptp_client_state {
	bool up, ended;
	enum pptp_step step; /* the first that is not done; PPTP_STEPS = up, or was up */
	bool was_up;
	enum pptp_why why;  /* of the end */
	const char *detail; /* technical words, "" = none; never a secret */
	/* us on the carrier's clock, 0 = not yet; of the first time */
	uint64_t began_us, done_us[PPTP_STEPS], ended_us;
	uint32_t local_ip;                /* outer */
	uint32_t address, server_address; /* inner */
	uint32_t dns[2];
	uint16_t mtu;
	uint16_t call_id, peer_call_id;
	uint32_t mppe_bits;        /* 0x01000040 when in force */
	uint32_t icmp_from;        /* who sent the ICMP error that counted, 0 = nobody */
	unsigned icmp_mtu;         /* of the last Fragmentation Needed */
	const char *host, *vendor; /* as the server calls itself in its Start-Reply */
};
void pptp_client_state(const struct pptp_client *c, struct pptp_client_state *s);
/* Inside packet(): when the packet arrived, by the carrier's word; else now. */
uint64_t pptp_client_arrival_us(const struct pptp_client *c);
void pptp_client_counters(const struct pptp_client *c, struct pptp_client_counters *n);

#endif
