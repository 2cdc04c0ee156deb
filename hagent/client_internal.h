/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The inside of a PPTP client, for its own files. The state machine is the control connection's
 * and the call's in one, since there is one call; only fsm_event() moves it.
 */
#ifndef HAGENT_CLIENT_INTERNAL_H
#define HAGENT_CLIENT_INTERNAL_H

#include "common/fsm.h"
#include "hagent/client.h"
#include "pptpd/crypto/mppe.h"
#include "pptpd/wire/gre.h"
#include "pptpd/wire/pptp.h"

#define CLIENT_FRAME_MAX  1600 /* a PPP frame as GRE carries it */
#define CLIENT_EARLY_MAX  4
#define CLIENT_DETAIL_MAX 160
#define CLIENT_STOP_MS    1000

enum client_state {
	CLIENT_IDLE,
	CLIENT_CONNECTING,
	CLIENT_STARTING,
	CLIENT_CALLING,
	CLIENT_LINK,
	CLIENT_UP,
	CLIENT_CLOSING,  /* Terminate-Request is out */
	CLIENT_STOPPING, /* Stop-Request is out */
	CLIENT_ENDED
};

enum client_event { /* behind the types of control messages */
	CLIENT_EV_START = PPTP_TYPE_MAX + 1,
	CLIENT_EV_CONNECTED,
	CLIENT_EV_STARTED,
	CLIENT_EV_CALLED,
	CLIENT_EV_UP,
	CLIENT_EV_FINISHED, /* the link has */
	CLIENT_EV_CLOSE,
	CLIENT_EV_FAIL,  /* why is noted; the server is still to be told */
	CLIENT_EV_BREAK, /* ... there is nobody to tell */
	CLIENT_EV_MAX
};

/* What the server said on the way that explains an end. */
struct client_evidence {
	bool answered;      /* it has reacted to a GRE packet of ours */
	bool wrong_call;    /* LCP of a link that begins, under another call's number */
	uint32_t elsewhere; /* who sent GRE of this call instead of the server, 0 = nobody */
	bool auth_asked;    /* its Configure-Request named an authentication */
	bool auth_other;    /* ... other than MS-CHAPv2: */
	char method[24];
	bool challenged, success;
	unsigned chap_error; /* E=, 0 = none */
	bool ccp_heard, ccp_rejected;
	uint32_t ccp_bits; /* of its last MPPE option */
	bool ipcp_heard;
	bool addressless;   /* it wants an address of us or says that it has none */
	bool prohibited;    /* ICMP about GRE: code 9, 10, 13 */
	unsigned icmp_code; /* about GRE, final */
	bool icmp_gre, icmp_tcp;
	char said[80];    /* in its Terminate-Request */
	char garbage[48]; /* the beginning of what was no PPTP */
};

struct pptp_client {
	struct loop *loop;
	const struct pptp_client_ops *ops;
	void *arg;
	const struct pptp_client_io *io;
	void *io_arg;
	struct pptp_client_options o; /* strings are ours */
	struct fsm fsm;
	struct pptp_framer framer;
	struct timer timer;     /* of the step; of the goodbye */
	struct timer echo;      /* of the control connection */
	struct timer gre_timer; /* lone acknowledgement, gaps */
	struct timer tell;      /* ended(), from the loop */
	struct ppp_config config;
	struct ppp *ppp;
	bool tcp_open, heard, link_up, cut_closed;
	bool echo_pending;
	uint32_t echo_id;
	uint64_t heard_ms;
	uint64_t arrived_us; /* of the GRE packet that is being taken in, 0 = none */

	struct gre_tx tx;
	struct gre_rx rx;
	struct gre_ack ack;
	bool armed, pfc, acfc;
	struct mppe send_key, recv_key;
	struct { /* GRE that overtook the Outgoing-Call-Reply */
		uint8_t *bytes;
		size_t len;
	} early[CLIENT_EARLY_MAX];
	unsigned n_early;

	struct client_evidence seen;
	struct pptp_client_state s;
	char detail[CLIENT_DETAIL_MAX];
	char host[PPTP_HOSTNAME_LEN * 4 + 1], vendor[PPTP_VENDOR_LEN * 4 + 1];
	struct pptp_client_counters n;
};

/* client.c */
uint64_t client_now_us(const struct pptp_client *c);
void client_done(struct pptp_client *c, enum pptp_step step); /* the first time counts */
/* Notes why it ends; the first cause counts. The caller feeds EV_FAIL or EV_BREAK. */
void client_note(struct pptp_client *c, enum pptp_why why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void client_step_timer(struct pptp_client *c);

/* client_control.c: actions of the machine */
extern const struct fsm_table client_table;
void client_say(struct pptp_client *c, const struct pptp_message *m);
void client_open_link(void *object, void *detail); /* client_link.c */
void client_close_link(void *object, void *detail);
void client_came_up(void *object, void *detail);

/* client_data.c */
void client_send_frame(struct pptp_client *c, const uint8_t *frame, size_t len);
void client_take_early(struct pptp_client *c);
void client_gre_cb(void *arg); /* gre_timer */

/* client_why.c */
void client_watch(struct pptp_client *c, uint16_t protocol, const uint8_t *payload, size_t len);
enum pptp_why client_why_silent(const struct pptp_client *c); /* a step's time is over */
enum pptp_why client_why_cut(const struct pptp_client *c, int error);
enum pptp_why client_why_link(const struct pptp_client *c, enum ppp_cause cause);
enum pptp_why client_why_terminated(const struct pptp_client *c, enum pptp_why otherwise);

#endif
