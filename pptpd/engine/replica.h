/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One end of the replica (docs/takeover.md): the whole protocol between the two engines, without
 * I/O. Time comes from the loop, bytes and decisions go out through callbacks, so that a test can
 * run two ends against each other on a virtual clock. The active's half knows which of its sessions
 * the standby holds, and up to which mark; the standby's half keeps the copy (mirror.h).
 *
 * The owner embeds a struct replica_session in each session that is up and a struct
 * replica_connection in each control connection that has such a session.
 */
#ifndef ENGINE_REPLICA_H
#define ENGINE_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "pptpd/data/keygate.h"
#include "pptpd/engine/mirror.h"
#include "pptpd/engine/record.h"
#include "pptpd/engine/replica_wire.h"

#define REPLICA_VERSION     2 /* the pair speaks the lower of both */
#define REPLICA_VERSION_MIN 1
#define REPLICA_BEAT_MS     50
#define REPLICA_SILENT_MS   300
#define REPLICA_FRAME_MAX   65536
#define REPLICA_AHEAD       64 /* L and B of a session: numbers left when it asks, numbers it gets */
#define REPLICA_AHEAD_FAST  128
#define REPLICA_FAST_PPS    5000
#define REPLICA_WANTS_MS    60   /* a mark asked for so long ago: consent is wanted */
#define REPLICA_HELLO_MS    1000 /* a stream that does not begin ends after this time */
#define REPLICA_STUCK_MS    1000 /* likewise one on which nothing is applied, though it beats */
#define REPLICA_GIVE_MS     500  /* a handover whose records are not made by then is given up */
#define REPLICA_ANSWER_MS   300  /* a handover that left and is not answered: nobody knows */

enum replica_state {
	REPLICA_STANDBY, /* the standby's end; see in_step */
	REPLICA_ALONE,   /* active; no standby has a copy, every key is ours */
	REPLICA_SYNCING, /* active; a snapshot is under way */
	REPLICA_IN_SYNC, /* active; the standby could take over */
	REPLICA_CUT,     /* active; the stream is lost and nothing is decided yet */
	REPLICA_SOLO,    /* active; the standby declared its copy stale */
	REPLICA_SILENT,  /* active; nobody answers: one class of keys */
};
const char *replica_state_name(enum replica_state s); /* "in-sync" */

/* A planned move (docs/takeover.md, "Handover"). */
enum replica_handover {
	HANDOVER_NONE,
	HANDOVER_EXPECTING, /* standby: takes a handover of that epoch, for a time */
	HANDOVER_GIVING,    /* active: exact marks are being told; all can be taken back */
	HANDOVER_GIVEN,     /* active: HANDOVER has left, its answer is not here */
	HANDOVER_RELAYING,  /* standby: the peer has taken; what still comes here is handed on */
	HANDOVER_TAKEN,     /* active: we have taken; the other hands on what it gets */
};
const char *replica_handover_name(enum replica_handover h); /* "none" */

enum replica_given {           /* what becomes of a handover, for the active that gives */
	REPLICA_GIVEN_LEFT,    /* HANDOVER is on the stream: replica_relay() may be called */
	REPLICA_GIVEN_TAKEN,   /* the peer serves; we are a standby without a copy, and relay */
	REPLICA_GIVEN_BACK,    /* refused, or given up: we serve on, new marks are on their way */
	REPLICA_GIVEN_UNKNOWN, /* no answer: `cut`, as after any loss of the stream */
	REPLICA_GIVEN_OVER,    /* after TAKEN: the stream is gone, nothing can be relayed */
};

enum replica_relay_kind {      /* part of the stream's format */
	REPLICA_RELAY_GRE,     /* a packet from a client, with its outer IP header */
	REPLICA_RELAY_IP,      /* one for a client, inner IP */
	REPLICA_RELAY_CONTROL, /* bytes of a control connection, behind its last record */
	REPLICA_RELAY_KINDS,
};

enum replica_place { /* where a member stands in the queue of what is to be said */
	REPLICA_IDLE,
	REPLICA_QUEUED,  /* connection: its record is to be sent. session: a mark is to be asked for
			  */
	REPLICA_RECORD,  /* session: its record is to be made */
	REPLICA_SENT,    /* and is not applied yet */
	REPLICA_WITHOUT, /* session: no key is left */
};

struct replica_session {
	TAILQ_ENTRY(replica_session) entry, work, low;
	uint64_t id;
	bool member;            /* replica_add() was called */
	bool exporting;         /* ops.export() was called and not answered */
	bool again;             /* the answer is out of date: ask once more */
	bool exposed;           /* a standby may hold it */
	bool on_stream;         /* its record was sent on this stream */
	bool held;              /* a standby has applied it, and could continue it */
	uint8_t open;           /* classes of keys that nobody else may have used */
	uint8_t suspect;        /* of these: who the other was then may have used them */
	uint64_t suspect_epoch; /* unless it is clean up to there */
	uint32_t suspect_boot;  /* the engine that may have; 0 = it is not known which */
	uint8_t back;           /* classes that open again at this index of a key */
	uint64_t back_at;
	bool noted; /* it ended while the other could go on with it: see replica_closing() */
	bool skip;  /* before the next record: beyond what the other has used */
	uint32_t skip_seq;
	uint64_t skip_index;
	struct keygate gate;    /* in force */
	struct record_mark ask; /* the newest that was sent */
	uint64_t ask_frame;     /* its sequence; 0 = nothing is asked for */
	bool ask_is_record;     /* a SESSION frame named it */
	uint32_t ahead;         /* L and B */
	uint32_t low_seq;       /* the transmit half, when it last ran low */
	uint64_t low_index;
	uint64_t asked_ms, low_ms;
	bool short_of_marks; /* its transmit half ran low and waits */
	enum replica_place place;
};

struct replica_connection {
	TAILQ_ENTRY(replica_connection) entry, work;
	uint64_t id;
	bool member;
	uint64_t frame; /* sequence of its newest record on this stream; 0 = none */
	bool waiting;   /* output waits for it, or for the next one */
	bool again;     /* changed since that record was made: another one follows it */
	enum replica_place place;
};

struct replica_ops {
	/* Bytes for the peer's engine; the callee buffers what the socket does not take. */
	void (*send)(void *arg, const uint8_t *bytes, size_t len);
	/* The stream is to be closed, after what was sent; why is a text for the log, its rate
	 * limited, or NULL: nothing to say. replica_disconnected() is not called for it. */
	void (*hang_up)(void *arg, const char *why);
	/* Active: make the record of it: limit the transmit half to `ahead` numbers, and never
	 * above a limit that is in force, then call replica_exported(). */
	void (*export)(void *arg, struct replica_session *s, uint32_t ahead, uint32_t low_water);
	/* Active: fill in the record of a connection now. */
	void (*connection)(void *arg, struct replica_connection *c, struct connection_record *r);
	/* Active: what moves; false = nothing has moved since the last time. */
	bool (*counters)(void *arg, struct replica_session *s, struct record_counters *c);
	/* Active: the gate of the transmit half. */
	void (*set_gate)(
	    void *arg, struct replica_session *s, const struct keygate *g, uint32_t low_water);
	/* Active: what was in the newest record may be written; more is on its way if the
	 * connection is still `waiting`. Without a stream: all that waited. */
	void (*committed)(void *arg, struct replica_connection *c);
	/* Active: the first number and the first key index that were not used, or ones behind them;
	 * exact where nothing leaves any more. False: it has none. */
	bool (*stands)(void *arg, struct replica_session *s, struct replica_stand *out);
	/* Active: the next export begins with going on to these, if it stands before them. */
	void (*skip)(void *arg, struct replica_session *s, uint32_t seq, uint64_t index);
	/* Active: no class of keys is left to this session: it must end. */
	void (*spent)(void *arg, struct replica_session *s);
	/* Active: the peer serves under a higher epoch, or under ours and stays: be silent at once,
	 * and be demoted. */
	void (*yield)(void *arg, uint64_t epoch);
	/* Either: state, wants or in_step changed. */
	void (*changed)(void *arg);
	/* Standby: the handover that we expect is whole. The owner promotes: replica_promote() then
	 * answers TAKEN and keeps the stream. False: it is refused. */
	bool (*take)(void *arg, uint64_t epoch);
	/* Active: how far its handover came; why is for the log and the operator. */
	void (*given)(void *arg, enum replica_given how, const char *why);
	/* After take: what the other handed on. connection: of REPLICA_RELAY_CONTROL. */
	void (*relayed)(void *arg, enum replica_relay_kind kind, uint64_t connection,
	    const uint8_t *bytes, size_t len);
	struct mirror_ops mirror; /* standby: the copy gains and loses sessions */
};

struct replica_config {
	char node[64];    /* ours */
	uint32_t boot_id; /* random, of this engine */
};

/* What became of the sessions that both may have served, when the other came back. */
struct replica_settled {
	uint64_t times, at_ms; /* loop clock, of the last one */
	unsigned sessions;
	unsigned whole;     /* every key is ours, or will be, */
	unsigned one_class; /* every other one */
	unsigned ended;     /* none */
	unsigned reported;  /* of all: the other told how far it came */
	unsigned skipped;   /* and we go on behind that */
};

struct replica_status {
	enum replica_state state;
	bool connected; /* HELLOs were exchanged */
	bool in_step;   /* active: in sync. standby: it holds a whole, current copy */
	bool whole;     /* standby: its copy was, when the stream ended */
	bool wants;     /* active: consent to cut number `cut` would help sessions that wait */
	bool stale;     /* standby: it said so to cut number stale_cut */
	bool clean;     /* as told by replica_pair() */
	bool failed;    /* the standby ran out of memory */
	bool marked;    /* active: the standby holds current marks of all; the marker file is not
			   needed */
	char peer[64];  /* its node, empty = never heard */
	uint64_t epoch;
	uint64_t cut; /* number of the stream that is up or was lost; its loss is this cut. Unique,
			 below 2^52 */
	uint64_t stale_cut;
	uint64_t sent, applied; /* frames of this stream */
	uint64_t heard_ms;      /* loop clock: the newest bytes of the newest stream */
	uint64_t lag_ms; /* age of the oldest frame that is not applied; standby: of its newest
			    frame or beat */
	unsigned sessions, connections; /* active: members. standby: in the copy */
	unsigned at_risk; /* active: sessions that could not be continued if we died now */
	unsigned snapshot_done, snapshot_of;
	uint64_t snapshot_ms; /* duration of the last one */
	uint64_t bytes_sent, bytes_received, streams, marks_asked, commits, shorts;
	struct replica_settled settled;
	unsigned version; /* of this stream, or of the last one; 0 = none yet */
	enum replica_handover handover;
	uint64_t handover_epoch;
};

/*
 * Callbacks may call back but for replica_free(). counters, connection and changed only look.
 * A replica begins as a standby of epoch 0.
 */
struct replica;

struct replica *replica_new(
    struct loop *l, const struct replica_config *c, const struct replica_ops *ops, void *arg);
void replica_free(struct replica *r); /* hangs up without a callback; wipes the copy */

/* ---- the stream ---- */
/* A new one is there: says HELLO. An older one must have been closed. */
void replica_connected(struct replica *r);
void replica_input(struct replica *r, const uint8_t *bytes, size_t len);
void replica_disconnected(struct replica *r, const char *why);

/* ---- orders; idempotent ---- */
/*
 * We serve from now on. The copy stays readable (replica_mirror()) until replica_continued(); the
 * owner builds its sessions from it and adds them with replica_adopt(). An open stream gets our new
 * epoch before it is closed.
 */
void replica_promote(struct replica *r, uint64_t epoch);
void replica_demote(
    struct replica *r, uint64_t epoch); /* members are forgotten; the copy is empty */
/* What this node can prove of itself: no key above a mark in silence, up to that epoch. */
void replica_pair(struct replica *r, bool clean, uint64_t epoch);
/* Standby: consent to the active's cut number. -1 with errno EPERM: we are active, or epoch is
 * below ours. ESTALE: this engine did not hold that stream, nor one before it of the same engine;
 * it cannot speak for what the copy's holder did since. */
int replica_stale(struct replica *r, uint64_t cut, uint64_t epoch);
/* Standby: the copy's active is known to have lived on after it was last heard, so it may have
 * passed every mark. */
void replica_outlived(struct replica *r);
/* Active. -1 with errno ESTALE: not cut, or another cut. A stream of that number that still looks
 * open is closed: the other side has ended it. */
int replica_solo(struct replica *r, uint64_t cut);
int replica_silent(struct replica *r, uint64_t cut);

/* ---- handover ---- */
/*
 * Standby: for so many ms takes a handover of this epoch. -1 with errno EPERM: we are active.
 * ESTALE: not above our epoch. EPROTONOSUPPORT: the peer does not speak of it. EAGAIN: no whole
 * copy, or no stream.
 */
int replica_expect(struct replica *r, uint64_t epoch, unsigned ms);
/*
 * Active: everybody's exact mark, everybody's record, then HANDOVER. Nothing may be sent to a
 * client any more but what was read before the exports. ops.given() says what became of it, not
 * from inside this call. -1 with errno as above; EAGAIN: not in sync.
 */
int replica_give(struct replica *r, uint64_t epoch);
/* From REPLICA_GIVEN_LEFT on. False: not now, or it is too long; the caller keeps it. */
bool replica_relay(struct replica *r, enum replica_relay_kind kind, uint64_t connection,
    const uint8_t *bytes, size_t len);
/* We are to take, and nobody serves until we do; or have taken, and relayed packets come. */
bool replica_hurries(const struct replica *r);
/* Relaying is over: the stream ends. No callback. Else nothing. */
void replica_relay_end(struct replica *r);

/* ---- the active's sessions and connections ---- */
/* It is up, with keys that nobody else knows. */
void replica_add(struct replica *r, struct replica_session *s, uint64_t id);
/* Promoted: it goes on from the copy; *gate is what its transmit half must have from the start.
 * False: no key is left to it. */
bool replica_adopt(struct replica *r, struct replica_session *s, const struct mirror_session *m,
    struct keygate *gate);
/* Promoted: it goes on without the copy's keys, as no member; replica_add() comes with new ones. */
void replica_adopt_unkeyed(struct replica *r, const struct mirror_session *m);
/* All that can be adopted is: the copy is wiped, with on_gone for what nobody adopted. */
void replica_continued(struct replica *r);
/* Its keys, addresses or identity changed: a new record is to be made. fresh: the keys are new, and
 * only ours. */
void replica_renew(struct replica *r, struct replica_session *s, bool fresh);
void replica_remove(struct replica *r, struct replica_session *s); /* not a member: nothing */
/* It is to be removed since its call ends, with the keys that it has; and, once nothing of it can
 * leave any more, where it stood. So a report can name it although it is gone. */
void replica_closing(struct replica *r, struct replica_session *s);
void replica_ended(struct replica *r, struct replica_session *s, const struct replica_stand *last);
/* The answer to ops.export(): record is complete, with mark and live keys; wiped by the caller. */
void replica_exported(
    struct replica *r, struct replica_session *s, const struct session_record *record);
/* The transmit half runs low. Once for each ops.set_gate() or ops.export(). */
void replica_low(
    struct replica *r, struct replica_session *s, uint32_t next_seq, uint64_t next_index);
/* The connection gained its first session that is up. */
void replica_add_connection(struct replica *r, struct replica_connection *c, uint64_t id);
void replica_remove_connection(struct replica *r, struct replica_connection *c);
/* Bytes were read, or are to be written. True: wait for ops.committed(). Not a member: false. */
bool replica_changed(struct replica *r, struct replica_connection *c);

const struct mirror *replica_mirror(const struct replica *r);
/* Memory of the copy at most; beyond it the standby says FAILED. 0 = what there is. */
void replica_limit_copy(struct replica *r, size_t bytes);
void replica_get_status(const struct replica *r, struct replica_status *s);

#endif
