/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection (RFC 2637 §2, §3.1): one TCP connection of a client, its state machine, its
 * echo timer and the calls that run under it. All that is said on it goes through ctrl_send().
 */
#ifndef ENGINE_CTRL_H
#define ENGINE_CTRL_H

#include "common/fsm.h"
#include "pptpd/engine/engine.h"
#include "pptpd/engine/record.h"
#include "pptpd/wire/pptp.h"

enum ctrl_state {
	CTRL_WAIT_START, /* connected, no SCCRQ yet: half open */
	CTRL_ESTABLISHED,
	CTRL_WAIT_STOP, /* we said Stop-Control-Connection-Request */
	CTRL_CLOSED,
};

#define CTRL_OUT_MAX       4096 /* bytes that a client may leave unread before it is dropped */
#define CTRL_STOP_SHUTDOWN 3    /* RFC 2637 §2.3: "stop local shutdown" */

struct ctrl {
	TAILQ_ENTRY(ctrl) entry;
	TAILQ_ENTRY(ctrl) half_open_entry;
	TAILQ_ENTRY(ctrl) stranger_entry;
	LIST_ENTRY(ctrl) bucket_entry;
	struct engine *engine;
	struct engine_config *config;
	int fd;
	struct io io;
	struct fsm fsm;
	struct timer timer;
	struct tcp_snapshot tcp;
	uint32_t rx_bytes, tx_bytes;
	uint64_t last_rx_ms, established_ms;
	uint64_t calls_ms; /* see ctrl_may_call() */
	bool proven;       /* somebody has logged in through it */
	bool echo_pending;
	uint64_t echo_sent_ms;
	uint32_t echo_id, peer_echo_id;
	uint16_t peer_max_channels;
	struct pptp_framer framer;
	uint8_t *out; /* unsent bytes; NULL when none */
	size_t out_len;
	struct session_list sessions;
	unsigned n_sessions;
	const char *close_reason; /* a literal */
	uint8_t stop_reason;
	int closing_fd; /* while the monitor marks it */
	struct reap reap;
	char name[24]; /* "198.51.100.100:40000", for the log */
};

/* Takes fd over. On failure fd is closed. */
void ctrl_accept(struct engine *e, int fd, const struct tcp_snapshot *t);
/* Encodes and sends; the one place where bytes go to the client. */
void ctrl_send(struct ctrl *c, const struct pptp_message *m);
/* Says Stop-Control-Connection-Request and closes when answered or after 3 s. */
void ctrl_stop(struct ctrl *c, uint8_t reason);
/* Closes now: calls end, what is queued is tried once, then FIN. why (a literal) goes to the log.
 */
void ctrl_close(struct ctrl *c, const char *why);
/* Closes without a packet (demotion). */
void ctrl_silence(struct ctrl *c);
/* Takes note of a login: the connection no longer makes room for others. */
void ctrl_proven(struct ctrl *c);
/* True if it may have one more call now. Each costs the firewall a change, so they are rationed. */
bool ctrl_may_call(struct ctrl *c);
/*
 * All places are taken: closes the oldest connection that nobody has logged in through for some
 * seconds, so that silent strangers cannot keep clients out. caller: NULL, or the connection that
 * wants a call; then it must be another one, with a call. False = there is none.
 */
bool ctrl_make_room(struct engine *e, const struct ctrl *caller);
/* A call has ended: the connection may have nothing left to do. */
void ctrl_call_ended(struct ctrl *c);
void ctrl_record(struct ctrl *c, struct connection_record *r);

#endif
