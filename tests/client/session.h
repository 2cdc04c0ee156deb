/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One session: a call of a control connection, its GRE numbers, its PPP link in the client's role,
 * MPPE both ways, and its traffic. A session that ends frees its link on the next turn of the loop
 * (bury_timer), never from inside the link's own callbacks.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "pptpd/crypto/mppe.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/wire/gre.h"
#include "pptpd/wire/pptp.h"
#include "tests/client/client.h"
#include "tests/client/strict.h"
#include "tests/client/traffic.h"

#define SESSION_NAME_MAX  256
#define SESSION_EARLY_MAX 4
#define SESSION_FRAME_MAX 1600 /* a PPP frame as GRE carries it */

enum session_state {
	SESSION_IDLE,
	SESSION_CALLING,
	SESSION_LINK,
	SESSION_UP,
	SESSION_CLOSING
};

struct session {
	struct client *client;
	struct control *control;
	unsigned number;
	enum session_state state;
	bool wanted;  /* to be called when the connection is ready */
	bool settled; /* came up, or failed for good */
	bool ever_up, lost, link_up;
	unsigned losses; /* of a session that was up */
	enum reason lost_why;
	bool cleared, clear_answered; /* by command */
	bool in_keylog;               /* its end is to be written */
	struct {
		bool up;
		unsigned losses, redials;
	} at_mark;
	enum reason why; /* of the last failure or loss */
	char detail[128];
	char said[64]; /* the server, in its Terminate-Request */

	char user[SESSION_NAME_MAX], password[SESSION_NAME_MAX];
	struct ppp_config config;
	struct ppp *ppp;
	struct timer timer;      /* deadline of a step */
	struct timer gre_timer;  /* lone acknowledgement, gaps */
	struct timer hold_timer; /* faults: the held packet's */
	struct timer bury_timer;

	uint16_t call_id, peer_call_id;
	struct gre_tx tx;
	struct gre_rx rx;
	struct gre_ack ack;
	bool rx_live;         /* rx was initialised and must be finished */
	struct strict strict; /* instead of rx, if asked for */
	uint64_t heard_us;    /* last GRE */
	uint64_t reset_ms;    /* last Reset-Request of ours */
	uint8_t reset_id;
	struct fault_slot tx_slot, rx_slot;
	struct { /* GRE that overtook the Outgoing-Call-Reply */
		uint8_t *bytes;
		size_t len;
	} early[SESSION_EARLY_MAX];
	unsigned n_early;

	struct mppe send_key, recv_key;
	bool armed;
	bool compress_protocol, compress_address; /* the server accepts it */
	uint32_t mppe_bits;
	uint32_t address;
	uint32_t dns[2];
	uint16_t mtu;
	unsigned chap_error;         /* from E=, 0 = none */
	bool success_seen, verified; /* CHAP Success with S=; and the library found it right */

	uint64_t marks[STEPS]; /* us, when the step was done; 0 = not yet */
	uint64_t began_us, lost_ms;
	unsigned redials;
	struct traffic traffic;

	struct {
		uint64_t received, bad_header, acks_sent, acks_received;
		uint64_t frame_bad, clear_ip, mppe_late, mppe_bad, insane, skipped, halted;
		uint64_t encrypted_sent, encrypted_received, reset_acks, protocol_rejects;
		struct gre_rx_stats rx_before; /* of calls that are over */
	} n;
};

void session_init(struct session *s, struct client *c, struct control *control, unsigned number);
void session_fini(struct session *s);
struct session *session_by_call_id(struct client *c, uint16_t call_id);

/* From the control connection. */
void session_call(struct session *s);
void session_call_reply(struct session *s, const struct pptp_message *m);
void session_cleared(struct session *s);
void session_control_lost(struct session *s, enum reason why);
/* From the GRE socket: everything behind the outer IP header. */
void session_receive(struct session *s, const uint8_t *bytes, size_t len);

/* An inner packet, encrypted. False if the link is not up. */
bool session_send_ip(struct session *s, const uint8_t *packet, size_t len);
/* The same in parts, for attacks: the PPP frame (length, or 0), and any frame with the next number.
 */
size_t session_encrypt(struct session *s, uint16_t protocol, const uint8_t *bytes, size_t len,
    uint8_t out[static SESSION_FRAME_MAX]);
void session_send_ppp(struct session *s, const uint8_t *frame, size_t len);
void session_close(struct session *s); /* Terminate-Request, Call-Clear-Request */
/* By command: Call-Clear-Request alone, Set-Link-Info. False if the session is not up. */
bool session_clear(struct session *s);
bool session_link_info(struct session *s);
/* Its GRE cannot be delivered, says an ICMP message with this code. */
void session_unreachable(struct session *s, unsigned code);
/* Between session.c and session_data.c: timers, packets that came early, and how far set-up is. */
void session_gre_cb(void *arg);
void session_hold_cb(void *arg);
void session_take_early(struct session *s);
void session_mark(struct session *s, enum step step);
/* Numbers of all calls so far. */
void session_gre_stats(const struct session *s, struct gre_rx_stats *sum);

#endif
