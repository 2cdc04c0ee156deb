/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The standby's copy: encoded records by id, and beside each session what moves: marks, keys
 * stepped to them, counters. Compact: a session costs little more than its record. Pure memory;
 * the owner hears of calls that come and go, so that firewall and routes are ready.
 */
#ifndef ENGINE_MIRROR_H
#define ENGINE_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pptpd/crypto/mppe.h"
#include "pptpd/engine/record.h"

struct mirror;

struct mirror_connection {
	uint64_t id;
	uint32_t peer_ip;
	unsigned sessions;
	uint16_t len;
	uint8_t *record; /* encoded */
};

struct mirror_session {
	uint64_t id, connection;
	uint16_t call_id;
	uint32_t peer_ip;  /* outer; 0 while its connection is not known */
	uint32_t address;  /* inner */
	bool stale;        /* the active went on without us: never to be continued */
	bool seen;         /* in this snapshot */
	uint64_t moved_ms; /* loop clock: when its numbers moved last; 0 = never */
	struct record_mark mark;
	struct mppe tx, rx; /* tx stepped to the mark; rx on its way to the last counters */
	struct record_counters counters;
	uint16_t len;
	uint8_t *record; /* encoded, as it came */
};

struct mirror_ops {
	/* A session is new in the copy, with its connection; or leaves it. A change of call id or
	 * address is both, the old one's leaving first. The callee changes nothing of the mirror.
	 */
	void (*on_session)(void *arg, const struct mirror_session *s);
	void (*on_gone)(void *arg, const struct mirror_session *s);
};

struct mirror *mirror_new(const struct mirror_ops *ops, void *arg);
void mirror_free(struct mirror *m);  /* wipes; no callbacks */
void mirror_clear(struct mirror *m); /* likewise, with on_gone */
/* Memory that it may hold: beyond it, ENOMEM. 0 = what there is. */
void mirror_set_limit(struct mirror *m, size_t bytes);

/*
 * One record from the stream. 0, or -1 with errno EBADMSG, EPROTO, ENOMEM. now_ms becomes a
 * session's moved_ms if the record shows traffic; while a snapshot comes it shows none.
 */
int mirror_put_connection(struct mirror *m, struct rd *in);
int mirror_put_session(struct mirror *m, struct rd *in, uint64_t now_ms);
void mirror_drop_connection(struct mirror *m, uint64_t id); /* its sessions too */
void mirror_drop_session(struct mirror *m, uint64_t id);
/*
 * For ids that are not in the copy: nothing. -1 with errno EPROTO: a mark that goes back, or
 * numbers further ahead than any active gets between two frames. A mark costs MIRROR_MARK_STEPS
 * keys at most; counters cost nothing, the receive key follows in mirror_step().
 */
#define MIRROR_MARK_STEPS 1024
int mirror_mark(struct mirror *m, uint64_t id, const struct record_mark *mark, uint64_t now_ms);
int mirror_count(struct mirror *m, const struct record_counters *c, uint64_t now_ms);
/* Receive keys go on to what was counted, so many steps at most. True: there is more to do. */
bool mirror_step(struct mirror *m, unsigned keys);
void mirror_begin(struct mirror *m); /* of a snapshot */
void mirror_end(struct mirror *m);   /* what was not named since then goes */
void mirror_stale(struct mirror *m); /* all that is in it */
/* Its session serves here now: when it leaves the copy, the owner need not hear of it. */
void mirror_adopted(struct mirror *m, uint64_t id);

unsigned mirror_sessions(const struct mirror *m);
unsigned mirror_connections(const struct mirror *m);
size_t mirror_bytes(const struct mirror *m); /* memory held */
/* In order of arrival; NULL = the first, and at the end. */
const struct mirror_session *mirror_next_session(
    const struct mirror *m, const struct mirror_session *s);
const struct mirror_connection *mirror_connection(const struct mirror *m, uint64_t id);
const struct mirror_session *mirror_session(const struct mirror *m, uint64_t id);
/*
 * The record with what has moved since: tx_seq, key and index at the mark. While the receive key is
 * behind the counters, so is rx_seq, by as many numbers: the receive half finds the key from there.
 * 0, or -1 as from the decoder.
 */
int mirror_session_record(const struct mirror_session *s, struct session_record *r);
int mirror_connection_record(const struct mirror_connection *c, struct connection_record *r);

#endif
