/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the files of the replica: replica.c has the stream and its HELLO, replica_orders.c the
 * orders, replica_handover.c a planned move; replica_active.c when an active says what,
 * replica_sessions.c and replica_connections.c of whom; replica_keys.c which classes of keys its
 * sessions may use; replica_standby.c how a copy is kept.
 */
#ifndef ENGINE_REPLICA_INTERNAL_H
#define ENGINE_REPLICA_INTERNAL_H

#include "common/log.h"
#include "pptpd/engine/replica.h"
#include "pptpd/engine/replica_wire.h"

#define REPLICA_VERSION_HANDOVER 2
#define REPLICA_VERSION_REPORT   2

#define IN_SIZE      (4 + REPLICA_LENGTH_MAX)
#define OUT_SIZE     (4 + REPLICA_LENGTH_MAX)
#define LAGS         64
#define CUT_BITS     20  /* streams of one engine; above them stands its boot id */
#define SLICE_MS     100 /* counters: a slice of the members each time */
#define SLICES       10
#define EXPORTS_MAX  64  /* records of sessions on their way at once, so that marks get through */
#define CONNS_MAX    512 /* likewise of connections */
#define COUNTERS_MAX 512 /* frames not applied: counters can wait */

TAILQ_HEAD(replica_sessions, replica_session);
TAILQ_HEAD(replica_connections, replica_connection);

struct lag { /* a frame that the standby has to apply, and when it left */
	uint64_t sequence, ms;
};

struct replica {
	struct loop *loop;
	struct replica_config config;
	struct replica_ops ops;
	void *arg;
	struct log_limit *limit;
	struct mirror *mirror;
	uint8_t *in, *out; /* [IN_SIZE], [OUT_SIZE] */
	size_t in_len;

	bool active;
	enum replica_state state;
	uint64_t epoch;
	uint64_t copy_epoch; /* promoted: what the copy's active could know */
	uint64_t cut, next_cut, stale_cut;
	uint64_t held_cut; /* standby: number of the newest stream of an active; 0 = none */
	uint32_t held_boot, copy_boot; /* its engine; promoted: that of the copy's active */
	bool whole, stale, clean, failed, told_wants;
	enum replica_handover handover;
	uint64_t handover_epoch;
	struct timer decide; /* of a handover: it waits no longer */
	bool taking;         /* the promotion under way is a handover's */
	bool refused;        /* on this stream: what is relayed behind it is not ours */
	uint64_t clean_epoch;

	/* the stream */
	bool open, met, grace;
	uint64_t generation; /* changes when a stream ends */
	uint64_t hello_epoch;
	bool knows_boot; /* active: an engine was met since we serve, and it was known_boot */
	uint32_t known_boot;
	struct replica_hello peer;
	unsigned version;                 /* what both speak */
	uint64_t sent, received, applied; /* sequences */
	uint64_t acked;                   /* standby: what it last said to have applied */
	bool owes;                        /* standby: something is to be acknowledged */
	uint64_t since_ms, heard_ms, said_ms, progress_ms;
	struct timer turn, beat, slice;
	struct lag lags[LAGS]; /* a ring */
	unsigned lag_at, n_lags;
	char why[160];

	/* the active's members */
	struct replica_sessions sessions;
	struct replica_sessions exports; /* place RECORD: their records are to be made */
	struct replica_sessions asks;    /* place QUEUED: marks are to be asked for */
	struct replica_sessions asked;   /* place SENT, in order of their frames */
	struct replica_sessions lows;    /* short of marks, oldest first */
	struct replica_sessions without; /* no key left: to be ended */
	struct replica_connections conns;
	struct replica_connections dirty; /* place QUEUED */
	struct replica_connections wait;  /* place SENT, in order; in a cut those that wait */
	unsigned n_sessions, n_conns, n_held, n_exporting, n_exposed;
	unsigned records_out, conns_out; /* sent and not applied */
	struct replica_session *counted; /* the next of whom counters are sent; NULL = the first */
	uint64_t end_frame;              /* 0 = the snapshot's end is not sent */

	/* the report: see replica_report.c */
	struct replica_stand *kept, *told; /* standby: to be said; active: of this HELLO */
	unsigned n_kept, n_told, to_tell;  /* to_tell: entries that are still to come */
	struct replica_stand *gone;        /* active: of those that ended */
	unsigned n_gone, gone_size;
	uint32_t kept_boot;
	bool said_report; /* on this stream */
	struct timer pace;
	uint64_t skip_ms, skip_keys;
	struct replica_settled settled;

	unsigned snapshot_done, snapshot_of;
	uint64_t snapshot_began_ms, snapshot_ms;
	uint64_t bytes_sent, bytes_received, streams, marks_asked, commits, shorts;
};

/* ---- replica.c ---- */
/* A frame of this type, to be filled in and sent. */
struct wr replica_say(struct replica *r, enum replica_type type);
void replica_send(struct replica *r, struct wr *w);
/* The stream ends, for the reason given; NULL = nothing to log. */
void replica_drop(struct replica *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void replica_say_beat(struct replica *r);
void replica_changed_state(struct replica *r, enum replica_state s);
bool replica_in_step(const struct replica *r);
void replica_soon(struct replica *r); /* what is queued is done in the next turn of the loop */

/* ---- replica_active.c ---- */
void replica_active_met(struct replica *r); /* a standby said HELLO: the snapshot begins */
void replica_active_snapshot(struct replica *r);
void replica_active_input(struct replica *r, const struct replica_frame *f);
void replica_active_lost(struct replica *r); /* the stream is gone after it was met */
void replica_active_turn(struct replica *r);
void replica_active_slice(struct replica *r);
void replica_active_forget(struct replica *r); /* no members any more */
bool replica_active_wants(const struct replica *r);
bool replica_streaming(const struct replica *r); /* a standby is told of our members */
void replica_say_gone(struct replica *r, enum replica_type type, uint64_t id);

/* ---- replica_sessions.c ---- */
void replica_queue_record(struct replica *r, struct replica_session *s);
void replica_unqueue(struct replica *r, struct replica_session *s);
void replica_pump_records(struct replica *r);
void replica_say_marks(struct replica *r);
void replica_grant(struct replica *r, struct replica_session *s); /* its mark is applied */
void replica_leave(struct replica *r, struct replica_session *s); /* no member; nothing is said */
/* A new member, every class open; its gate is as it was. */
void replica_active_join(struct replica *r, struct replica_session *s, uint64_t id);
void replica_set_gate(struct replica *r, struct replica_session *s, struct keygate g);
void replica_unexpose(struct replica *r, struct replica_session *s);

/* ---- replica_connections.c ---- */
void replica_queue_connection(struct replica *r, struct replica_connection *c);
void replica_unqueue_connection(struct replica *r, struct replica_connection *c);
void replica_pump_connections(struct replica *r);
void replica_commit(struct replica *r, struct replica_connection *c);
void replica_active_release(struct replica *r); /* connections need not wait any more */

/* ---- replica_keys.c ---- */
void replica_keys_met(struct replica *r); /* closes what the peer cannot prove */
void replica_keys_cut(struct replica *r);
void replica_keys_given_up(struct replica *r); /* the copy is gone, or declared stale */
void replica_keys_silent(struct replica *r);
void replica_end_without(struct replica *r, struct replica_session *s); /* no key is left to it */
/* The mark for a session that stands there, not below `old`. */
struct record_mark replica_keys_ahead(const struct replica_session *s,
    const struct record_mark *old, uint32_t next_seq, uint64_t next_index);

/* ---- replica_handover.c ---- */
bool replica_giving(const struct replica *r); /* numbers are at their end; nobody may ask for more
					       */
void replica_handover_say(struct replica *r); /* if all that is to come before it is said */
/* Standby: HANDOVER is there. As for every frame of the copy. */
int replica_handover_offered(struct replica *r, const struct replica_frame *f);
/* replica_promote() for it, epoch raised: says TAKEN. */
void replica_handover_take(struct replica *r);
/* True: the frame belongs to a handover, and has been dealt with. */
bool replica_handover_input(struct replica *r, const struct replica_frame *f);
void replica_handover_decide_cb(void *arg);
void replica_handover_lost(struct replica *r);   /* the stream has ended */
void replica_handover_forget(struct replica *r); /* the role changes: no callback */

/* ---- replica_report.c ---- */
/* We are demoted, and frozen: remembers where the members stand. Until it is forgotten: said and
 * read, or we serve. */
void replica_report_keep(struct replica *r);
void replica_report_forget(struct replica *r);
void replica_report_announce(const struct replica *r, struct replica_hello *h);
void replica_report_say(struct replica *r);   /* the active's HELLO is here */
void replica_report_heard(struct replica *r); /* its snapshot begins: it has read what was said */
/* Active, a standby's HELLO is here. True: its report must come before it is met. */
bool replica_report_expect(struct replica *r);
/* One of the frames until then. True: it is complete. */
bool replica_report_input(struct replica *r, const struct replica_frame *f);
void replica_report_end(struct replica *r);     /* it is of no use any more */
void replica_report_settled(struct replica *r); /* likewise, and the peer's copy begins anew */
/*
 * What the peer may have used of s is settled by its report. proven: it has used nothing. False:
 * nothing was reported that can be believed.
 */
bool replica_report_apply(struct replica *r, struct replica_session *s, bool proven);
/* s stands there: behind what the other used every class is open again. */
void replica_report_regain(struct replica_session *s, uint64_t next_index);
/* Before its record is made. False: later, the workers step over enough keys. */
bool replica_report_skip(struct replica *r, struct replica_session *s);
/* There is one that it may use, or will be when it has been moved on. */
bool replica_has_keys(const struct replica_session *s);
void replica_report_reset(struct replica_session *s); /* fresh keys */

/* ---- replica_orders.c ---- */
/* Its members are forgotten, the copy is empty. Nothing is said of it. */
void replica_become_standby(struct replica *r);

/* ---- replica_standby.c ---- */
void replica_standby_turn(struct replica *r);
void replica_standby_input(struct replica *r, const struct replica_frame *f);
void replica_standby_applied(struct replica *r); /* says what is applied, if it is owed */

#endif
