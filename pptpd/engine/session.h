/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session: one PPTP call (RFC 2637 §3.2, PAC side) with its PPP link, its user, its address and
 * its data-plane halves. It belongs to a control connection until it ends; its memory goes when the
 * data plane and the monitor have let go too.
 */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "common/fsm.h"
#include "pptpd/engine/engine.h"
#include "pptpd/engine/record.h"
#include "pptpd/engine/rekey.h"
#include "pptpd/engine/replica.h"

#define HELD_FRAMES     3
#define HELD_FRAME_SIZE 64

enum call_state {
	CALL_WAIT_GUARD, /* Outgoing-Call-Request seen; the firewall does not know the call yet */
	CALL_ESTABLISHED,
	CALL_CLOSED,
};

enum session_end {   /* why a session ended; session_end_name() */
	END_PPP = 0, /* + enum ppp_cause: PPP_CAUSE_MAX values */
	END_CALL_CLEAR = PPP_CAUSE_MAX,
	END_CONTROL_LOST, /* the control connection went */
	END_KICKED,
	END_REPLACED, /* its user came again and its address is wanted */
	END_MAXCONNECT,
	END_DEMOTED,
	END_SHUTDOWN,
	END_RESOURCES,
	END_STALE,   /* it may not use its keys, and did not get new ones */
	END_SUSPECT, /* in hand at two crashes: suspects.h */
	END_MAX
};

/* An IPCP frame that waits for the host route. */
struct held_frame {
	uint16_t len;
	uint8_t bytes[HELD_FRAME_SIZE];
};

struct session {
	TAILQ_ENTRY(session) entry; /* of its control connection */
	struct engine *engine;
	struct engine_config *config;
	struct ctrl *ctrl; /* NULL once the call is closed */
	struct fsm call;
	struct ppp *ppp;
	struct dp_session *dp;
	uint64_t id; /* in the pair's life */
	uint16_t call_id, peer_call_id, serial, window;
	uint32_t peer_ip; /* the client's outer address */
	uint32_t address; /* inner, 0 = none yet */
	bool has_route, in_set;
	bool route_pending;      /* asked for, the monitor has not answered */
	struct held_frame *held; /* [HELD_FRAMES] while route_pending, else NULL */
	unsigned n_held;
	bool local;     /* of the loopback account: see loopback.h */
	bool path_open; /* the data plane passes packets */
	bool up, closing, reaping;
	bool spent;                  /* no key is left to it: rekey_start() is due */
	bool to_announce, to_record; /* taken over: see session_announce() */
	unsigned pending;            /* answers of the monitor still to come */
	uint8_t key_tag[8]; /* of the start key to the client: tells old reports from new ones */
	struct replica_session replica;
	struct rekey rekey;
	uint64_t told; /* the sum of what the standby heard of it last, see session_counters() */
	enum session_end end;
	const char *end_detail; /* the link's own words, while its callback runs */
	uint64_t seen_rx_ms;    /* data path's last sign of life that the link was told of */
	uint64_t started_ms;    /* loop clock; may be before its zero, so only differences count */
	uint64_t life_ms;       /* loop clock: when it began here; idle counts from it */
	uint64_t started_wall_ms;
	struct timer timer; /* maxconnect and idle */
	struct record_identity identity;
	struct reap reap;
};

/* An Outgoing-Call-Request arrived on c: answers it, now or when the firewall knows the call. */
void session_open(struct ctrl *c, const struct pptp_message *ocrq);
/* The client's Call-Clear-Request: answered with Call-Disconnect-Notify, result 4. */
void session_clear(struct session *s);
/* Ends the link in order: LCP Terminate-Request first, then Call-Disconnect-Notify. */
void session_hangup(struct session *s, enum session_end end);
/* Ends it at once. tell = say Call-Disconnect-Notify on the control connection. */
void session_close(struct session *s, enum session_end end, bool tell);
/* Out of its control connection's list; the connection closes it next, or has ended. */
void session_leave(struct session *s);
struct session *session_by_peer_id(struct ctrl *c, uint16_t peer_call_id);
const char *session_end_name(enum session_end end);
/* The data plane or the monitor let go of it: frees it if it has ended and was the last to hold it.
 */
void session_released(struct session *s);
/* At the engine's end, when data plane and monitor are gone: frees it whatever it waits for. */
void session_abandon(struct session *s);

/* ---- between the files of a session ---- */
const char *session_user(const struct session *s); /* for the log: quoted, or "-" */
void session_tick(struct session *s);              /* looks at its limits now, and sets its timer */
/* ppp_ops.verify: finds the user's secret, and its address at the first login. */
bool session_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16]);
/* Whether the client knows that password. Then nt_hash is written, else it stays as it is. */
bool session_proves(const char *password, const struct ppp_verify *v, uint8_t nt_hash[static 16]);
extern const struct ppp_ops session_link_ops;

struct session *session_make(
    struct ctrl *c, const struct record_call *call, uint64_t id, enum call_state state);
void session_enlist(struct session *s);
/* One that session_make() made and nobody holds. */
void session_discard(struct session *s);

/* ---- as a record (session_state.c) ---- */
/* Fills in the record: state is what the data plane reported. Wipe it. */
void session_record(
    const struct session *s, const struct dp_state *state, struct session_record *r);
/* What its transmit half has used; false = it has none. */
bool session_stands(const struct session *s, struct replica_stand *out);
/* What moved since it was asked last; false = nothing. */
bool session_counters(struct session *s, struct record_counters *c);
/*
 * Goes on from the copy, under c: its data path is on when this returns, or it is being re-keyed,
 * because its copy is stale or no key is left that nobody else may have used. NULL with errno:
 * EBADMSG or EPROTO (not a session that can go on), ENOMEM, EEXIST, EADDRINUSE.
 */
struct session *session_continue(struct ctrl *c, const struct mirror_session *m, bool fill);
/* What is left to do for it, once, since it asks others and can be spread in time: the first frame,
 * an LCP Echo-Request, and its address on the LAN; the record of its login. */
void session_announce(struct session *s);
void session_record_login(struct session *s);

#endif
