/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Frames of the replica stream (docs/takeover.md): {u32 length of what follows, u16 type, u16
 * flags, u64 epoch, u64 sequence}, then fields {u16 tag, u16 length, value}. Pure: bytes in, struct
 * out. Tags that this version does not know are skipped.
 */
#ifndef ENGINE_REPLICA_WIRE_H
#define ENGINE_REPLICA_WIRE_H

#include "pptpd/engine/record.h"

#define REPLICA_NODE_MAX   64
#define REPLICA_HEAD_LEN   24
#define REPLICA_LENGTH_MIN (REPLICA_HEAD_LEN - 4)
#define REPLICA_LENGTH_MAX 65536 /* of what follows the length */
#define REPLICA_WHY_MAX    128

enum replica_type {
	REPLICA_HELLO = 1,
	REPLICA_BEGIN,
	REPLICA_END,
	REPLICA_CONNECTION,
	REPLICA_SESSION,
	REPLICA_CONNECTION_GONE,
	REPLICA_SESSION_GONE,
	REPLICA_MARKS,
	REPLICA_COUNTERS,
	REPLICA_APPLIED,
	REPLICA_FAILED,
	REPLICA_BEAT,
	/* version 2: never sent to a peer of version 1, which ends the stream at a type that it
	 * does not know */
	REPLICA_HANDOVER,
	REPLICA_TAKEN,
	REPLICA_REFUSED,
	REPLICA_RELAY,
	REPLICA_REPORT,
	REPLICA_TYPE_MAX,
	REPLICA_TYPE_V2 = REPLICA_HANDOVER
};
const char *replica_type_name(uint16_t type); /* "hello"; "?" */

struct replica_frame {
	uint16_t type, flags;
	uint64_t epoch, sequence;
	struct rd fields;
};

struct replica_hello {
	uint16_t version_min, version_max;
	char node[REPLICA_NODE_MAX];
	bool active;
	uint32_t boot_id;
	bool clean; /* no key at or above a mark was used in silence up to clean_epoch */
	uint64_t clean_epoch;
	uint64_t cut; /* active: number of this stream, and of its loss */
	/* standby: REPORT follows, of so many sessions that it served under this boot id; 0 = none.
	 * Version 1 knows of no such field. */
	uint32_t report_boot, report_n;
};

/* Where a session stood when its engine fell silent: an entry of REPORT. */
struct replica_stand {
	uint64_t id;
	uint32_t seq;   /* no number from here on was used, */
	uint64_t index; /* nor a key */
	bool any_acked; /* acked: the newest number that the client has acknowledged to it */
	uint32_t acked;
};
#define REPLICA_STANDS_MAX 65536 /* call ids */

struct replica_size {
	uint32_t connections, sessions;
};

struct replica_offer { /* HANDOVER: under this epoch, with so many of each in the copy */
	uint64_t epoch;
	struct replica_size size;
};

struct replica_relayed {
	uint8_t kind;        /* enum replica_relay_kind */
	uint64_t connection; /* 0 = none */
	struct rd bytes;
};

struct replica_marks_entry {
	uint64_t id;
	struct record_mark mark;
};

/*
 * Cuts one frame off. 1 = there it is, 0 = more bytes are needed (in is unchanged), -1 with errno
 * EBADMSG: a length out of bounds, fields that do not fit; EPROTO: unknown type.
 */
int replica_frame_next(struct rd *in, struct replica_frame *f);

/* Each reads the fields of its frame. 0, or -1 with errno EBADMSG (missing, truncated, a lying
 * length), EPROTO (a value out of range). */
int replica_get_hello(const struct replica_frame *f, struct replica_hello *h);
int replica_get_size(const struct replica_frame *f, struct replica_size *s);
int replica_get_record(const struct replica_frame *f, struct rd *record);
int replica_get_id(const struct replica_frame *f, uint64_t *id); /* of what is gone */
int replica_get_applied(const struct replica_frame *f, uint64_t *sequence);
int replica_get_offer(const struct replica_frame *f, struct replica_offer *o);
int replica_get_epoch(const struct replica_frame *f, uint64_t *epoch); /* of TAKEN */
int replica_get_why(const struct replica_frame *f, char why[static REPLICA_WHY_MAX]);
int replica_get_relayed(const struct replica_frame *f, struct replica_relayed *what);
/* The entries of a MARKS, COUNTERS or REPORT frame, to be read with the functions below until they
 * end. */
int replica_get_entries(const struct replica_frame *f, struct rd *entries);
void replica_get_mark(struct rd *entries, struct replica_marks_entry *e);
void replica_get_counters(struct rd *entries, struct record_counters *c);
void replica_get_stand(struct rd *entries, struct replica_stand *s);

/* A frame is begun, gets its fields, and is ended: the length is set then. Overruns make w bad. */
void replica_frame_begin(struct wr *w, uint16_t type, uint64_t epoch, uint64_t sequence);
void replica_frame_end(struct wr *w);
void replica_put_hello(struct wr *w, const struct replica_hello *h);
void replica_put_size(struct wr *w, const struct replica_size *s);
void replica_put_session(struct wr *w, const struct session_record *r);
void replica_put_connection(struct wr *w, const struct connection_record *r);
void replica_put_id(struct wr *w, uint64_t id);
void replica_put_applied(struct wr *w, uint64_t sequence);
void replica_put_offer(struct wr *w, const struct replica_offer *o);
void replica_put_epoch(struct wr *w, uint64_t epoch);
void replica_put_why(struct wr *w, const char *why);
void replica_put_relayed(
    struct wr *w, uint8_t kind, uint64_t connection, const uint8_t *bytes, size_t len);
/* Entries are one field, begun and ended like a frame; bytes of an entry, for those who count. */
#define REPLICA_MARK_LEN    21
#define REPLICA_COUNTER_LEN 61
#define REPLICA_STAND_LEN   25
#define REPLICA_MARKS_MAX   192 /* entries of MARKS: a standby steps all their keys at once */
uint8_t *replica_entries_begin(struct wr *w);
void replica_put_mark(struct wr *w, const struct replica_marks_entry *e);
void replica_put_counters(struct wr *w, const struct record_counters *c);
void replica_put_stand(struct wr *w, const struct replica_stand *s);
void replica_entries_end(struct wr *w, uint8_t *at);

#endif
