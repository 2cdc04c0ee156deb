/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection from the client's side (RFC 2637 §2, PNS), with one or more calls. It dials,
 * and dials again when a session of it asks for that.
 */
#ifndef CLIENT_CONTROL_H
#define CLIENT_CONTROL_H

#include "common/fsm.h"
#include "pptpd/wire/pptp.h"
#include "tests/client/client.h"

enum control_state {
	CONTROL_IDLE,
	CONTROL_CONNECTING,
	CONTROL_STARTING,
	CONTROL_READY,
	CONTROL_STOPPING
};

struct control {
	struct client *client;
	struct session *sessions; /* the first of n_sessions */
	unsigned n_sessions;
	unsigned unsettled;
	struct fsm fsm;
	int fd;
	struct io io;
	struct pptp_framer framer;
	struct timer timer; /* deadline of the state; echo when ready */
	struct timer redial;
	struct timer bytes; /* bytewise output */
	uint32_t local_ip;
	uint16_t local_port;
	uint32_t echo_id;
	uint64_t last_rx_ms;
	bool echo_pending;
	uint64_t heard_us; /* last byte */
	struct {           /* an Echo-Request by command */
		bool asked, answered;
		uint32_t id;
		uint64_t sent_us, took_us;
	} probe;
	uint64_t echo_requests; /* received */
	uint64_t echo_strange;  /* replies that bear no number of ours */
	enum reason why;
	uint64_t dial_us, tcp_us, start_us;
	unsigned redials;
	uint8_t *out;
	size_t out_len;
};

void control_init(struct control *c, struct client *client, unsigned number);
void control_dial(struct control *c);
/* Sends, or queues what the socket does not take. After a failure the connection is lost. */
void control_send(struct control *c, const struct pptp_message *m);
void control_send_raw(struct control *c, const uint8_t *bytes, size_t len);
/* An Echo-Request now; its answer shows in c->probe. False if there is no connection. */
bool control_probe(struct control *c);
/* A session wants to be called again, soon; it knows whether it ever was up. */
void control_want(struct control *c);
/* A session has ended: a connection without any left says goodbye. */
void control_release(struct control *c);
void control_fini(struct control *c);

#endif
