/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One run of the test client: its loop, its control connections, its sessions and the GRE socket
 * that they share. Everything runs on one thread.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/loop.h"
#include "tests/client/faults.h"
#include "tests/client/options.h"
#include "tests/client/samples.h"

struct commands;
struct control;
struct session;

/* Why a session failed or was lost; reason_name() gives the report's word. */
enum reason {
	REASON_NONE,
	REASON_TCP_REFUSED,
	REASON_TCP_TIMEOUT,
	REASON_TCP_ERROR,
	REASON_SCCRP_TIMEOUT,
	REASON_SCCRP_RESULT,
	REASON_OCRP_TIMEOUT,
	REASON_OCRP_RESULT,
	REASON_GRE_SILENT, /* a call, but not one GRE packet of it */
	REASON_LCP,
	REASON_AUTH_REFUSED,
	REASON_AUTH_FAILED,
	REASON_AUTH_TIMEOUT,
	REASON_SERVER_FALSE, /* its S= is wrong */
	REASON_MPPE_REFUSED,
	REASON_NO_ADDRESS,
	REASON_IPCP,
	REASON_CLOSED_BY_PEER, /* FIN, Stop-Request; Terminate-Request in set-up */
	REASON_RESET,          /* RST */
	REASON_CALL_CLEARED,   /* Call-Disconnect-Notify */
	REASON_MALFORMED,      /* what the server says is no PPTP */
	REASON_ECHO,           /* PPTP or LCP echo unanswered */
	REASON_UNREACHABLE,    /* a final ICMP message about our GRE */
	REASON_TERMINATED,     /* Terminate-Request on a link that was up */
	REASON_KEYS,           /* strict: a key further ahead than a receiver steps */
	REASON_DEAF,           /* strict: a number beyond the missing window */
	REASON_SILENT,         /* up, as far as it knows, but nothing is answered */
	REASON_LOCAL,          /* the run ended before it came up */
	REASON_MAX
};
const char *reason_name(enum reason r);

enum step {
	STEP_TCP,
	STEP_START,
	STEP_CALL,
	STEP_LCP,
	STEP_AUTH,
	STEP_CCP,
	STEP_IPCP,
	STEP_TOTAL,
	STEPS
};
const char *step_name(enum step s);

struct client {
	const struct options *o;
	struct loop *loop;
	struct control *controls;
	struct session *sessions;
	unsigned n_controls, n_sessions;
	unsigned next_control;       /* the next to dial for the first time */
	unsigned in_setup;           /* connections with sessions that have not settled */
	unsigned settled, connected; /* sessions; connected at least once */
	unsigned alive;              /* connections that are not idle */
	uint16_t next_call_id;
	struct session **by_call; /* [65536], by our call id */

	int gre_fd;
	struct io gre_io;
	uint64_t arrival_us; /* of the packet that is being taken in; 0 = no such packet */
	uint64_t late_us;    /* we read the last one so long after it arrived */
	struct {
		uint64_t sent, received, send_errors, bad_header, unknown;
	} gre;

	int icmp_fd;
	struct io icmp;
	uint64_t unreachables[3]; /* final for GRE, for TCP; others */

	struct commands *commands; /* NULL = none wanted */
	FILE *keylog;              /* NULL = none */
	struct {
		char name[32];
		double opened; /* s since 1970 */
		uint64_t opened_us, closed_us;
		uint64_t unreachables[3]; /* when it opened */
		/* How late we ourselves were, at worst: it limits what the figures can tell. */
		uint64_t send_late_us, receive_late_us;
	} window;

	struct faults faults, faults_receive;
	struct attack_state *attack;
	struct timer end_timer;
	bool dialling; /* client_dial_more() is on the stack */
	bool hold_over;
	bool stopping; /* streams have stopped, answers may still come */
	bool ending;   /* links are being closed */
	uint64_t start_us, last_up_us, settled_us;

	struct samples steps[STEPS]; /* us */
	struct samples rtt, redial;  /* us; ms */
};

uint64_t client_now_us(void);
void client_start(struct client *c);
/* The hold ends now: streams stop, late answers are waited for, links are closed. */
void client_finish(struct client *c);
/* Close the links now; said twice, do not wait for them. */
void client_hurry(struct client *c);
/* A session of this connection has settled; or the connection is idle: more may be dialled. */
void client_dial_more(struct client *c);
/* Something that the end of the run waits for has happened. */
void client_check_end(struct client *c);

#endif
