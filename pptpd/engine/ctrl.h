/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection (RFC 2637 §2, §3.1): one TCP connection of a client, its state machine, its
 * echo timer and the calls that run under it. All that is said on it goes through ctrl_send().
 *
 * A connection that has a session which is up is replicated: what is to be written waits until the
 * standby has its record (docs/takeover.md). After a takeover it is continued from that record,
 * first without a socket, which ctrl_restore.c gives it.
 */
#ifndef ENGINE_CTRL_H
#define ENGINE_CTRL_H

#include "common/fsm.h"
#include "pptpd/engine/engine.h"
#include "pptpd/engine/record.h"
#include "pptpd/engine/replica.h"
#include "pptpd/wire/pptp.h"

enum ctrl_state {
	CTRL_WAIT_START, /* connected, no SCCRQ yet: half open */
	CTRL_ESTABLISHED,
	CTRL_WAIT_STOP, /* we said Stop-Control-Connection-Request */
	CTRL_CLOSED,
};

#define CTRL_OUT_MAX       4096 /* bytes that a client may leave unread before it is dropped */
#define CTRL_STOP_SHUTDOWN 3    /* RFC 2637 §2.3: "stop local shutdown" */

enum ctrl_restore {   /* of a continued connection's socket */
	RESTORE_NONE, /* it has one, or never will */
	RESTORE_QUEUED,
	RESTORE_ASKED, /* the monitor works on it */
	RESTORE_LATER, /* it failed: again in a moment */
};

struct watch; /* ctrl_watch.c */
struct probe;

struct ctrl {
	TAILQ_ENTRY(ctrl) entry;
	TAILQ_ENTRY(ctrl) half_open_entry;
	TAILQ_ENTRY(ctrl) stranger_entry;
	TAILQ_ENTRY(ctrl) restore_entry;
	LIST_ENTRY(ctrl) bucket_entry; /* by peer; of engine.lingering once it is gone */
	struct engine *engine;
	struct engine_config *config;
	uint64_t id;
	struct replica_connection replica;
	int fd;     /* -1 = none: not restored yet, or gone */
	bool local; /* from 127.0.0.0/8: see loopback.h */
	bool gone;  /* left all lists; only what it said last is still to be written */
	struct io io;
	struct fsm fsm;
	struct timer timer;
	struct tcp_snapshot tcp;
	uint32_t rx_bytes, tx_bytes;
	uint64_t last_rx_ms, established_ms;
	uint64_t calls_ms; /* see ctrl_may_call() */
	bool proven;       /* somebody has logged in through it */
	bool buffers_gaps; /* see struct connection_record */
	bool echo_pending;
	uint64_t echo_sent_ms;
	uint32_t echo_id, peer_echo_id;
	uint16_t peer_max_channels;
	struct pptp_framer framer;
	bool reading; /* what is said meanwhile is written, or told to the standby, at once */
	uint8_t *out; /* unsent bytes; NULL when none */
	size_t out_len;
	size_t out_begun;           /* of these, the rest of a message that is written in part */
	size_t out_clear;           /* of these, how many may be written now */
	size_t out_told;            /* of these, how many are in the newest record */
	uint8_t sent[TCP_TAIL_MAX]; /* the last bytes that were written */
	size_t sent_len;
	struct timer room; /* the record is full: looks again */
	enum ctrl_restore restore;
	bool counted; /* in engine.restoring */
	unsigned restore_tries;
	uint64_t restore_since_ms, restore_at_ms; /* RESTORE_LATER */
	struct watch *watch;                      /* not proven in step with its client yet */
	struct probe *probe; /* the monitor has the socket for a moment: no reading, no writing */
	bool paused;         /* a handover is under way: nothing is read */
	bool outrun;         /* the client has more from us than we know of: say nothing */
	struct session_list sessions;
	unsigned n_sessions;
	const char *close_reason; /* a literal */
	uint8_t stop_reason;
	int closing_fd; /* while the standby is told, or the monitor marks it; else -1 */
	bool finishing, marking,
	    reaping; /* a probe is waited for; the monitor has it; the reaper */
	bool silent; /* nothing more is to be said */
	struct reap reap;
	char name[24]; /* "198.51.100.100:40000", for the log */
};

/* Takes fd over. On failure fd is closed. */
void ctrl_accept(struct engine *e, int fd, const struct tcp_snapshot *t);
/* Encodes and sends; the one place where bytes go to the client. */
void ctrl_send(struct ctrl *c, const struct pptp_message *m);
/* Says Stop-Control-Connection-Request and closes when answered or after 3 s. */
void ctrl_stop(struct ctrl *c, uint8_t reason);
/*
 * Closes: calls end now, what is queued is written when the standby knows it, at the latest after
 * 300 ms, then FIN. why (a literal) goes to the log.
 */
void ctrl_close(struct ctrl *c, const char *why);
/* Closes without a packet; nothing that waits is written. */
void ctrl_silence(struct ctrl *c);
/*
 * Demotion, and the engine's end: all of them, also those on their way out; nothing is restored any
 * more. Members of the replica must have been forgotten (replica_demote()) or are said to be gone.
 */
void ctrl_silence_all(struct engine *e);
/* At the engine's end, when the monitor answers no more and the reaper has run. */
void ctrl_abandon_all(struct engine *e);
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

/* ---- replication ---- */

/* A session under it is up, or was continued; idempotent. Before the session itself is added. It
 * ends by itself with the last such session. */
void ctrl_replicate(struct ctrl *c);
struct ctrl *ctrl_of_replica(struct replica_connection *r);
/* Fills in the record. What it says of the output may be written at the next ctrl_committed(). */
void ctrl_record(struct ctrl *c, struct connection_record *r);
/* What was in the newest record may be written. */
void ctrl_committed(struct ctrl *c);

/* ---- takeover ---- */

/*
 * A connection as its record says, established, without a socket yet; what is said on it waits.
 * Counted in engine.restoring until it has one. NULL: out of memory, or a local one.
 */
struct ctrl *ctrl_continue(struct engine *e, const struct connection_record *r);
/*
 * Gives the continued connections their sockets, a slice at a time, from the loop. They are watched
 * for two minutes, each until its client is seen to be in step; holes are repaired. A connection
 * that cannot be restored is closed after some seconds, with its sessions.
 */
void ctrl_restore_start(struct engine *e);
/* How many of them got none for good, since then. */
unsigned ctrl_not_restored(const struct engine *e);

/* ---- handover ---- */

/* All: what has arrived is read, more is not; and on again. */
void ctrl_pause_all(struct engine *e);
void ctrl_unpause_all(struct engine *e);
/* The other serves: hands on what arrived since, and closes the sockets without a packet. The
 * connections stay, mute, until ctrl_silence_all(). */
void ctrl_hand_over_all(struct engine *e);
/* What the other has handed on. False: there is no such connection, or it has a socket already. */
bool ctrl_relayed(struct engine *e, uint64_t id, const uint8_t *bytes, size_t len);

#endif
