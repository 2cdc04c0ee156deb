/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the files of the copy: mirror.c has the tables, what belongs together, and what a reader
 * sees; mirror_stream.c what the stream does to them.
 */
#ifndef ENGINE_MIRROR_INTERNAL_H
#define ENGINE_MIRROR_INTERNAL_H

#include <sys/queue.h>

#include "pptpd/engine/mirror.h"

struct mirror_link { /* of a node, in its bucket */
	struct mirror_link *next;
	uint64_t id;
};

struct mirror_table { /* by id */
	struct mirror_link **buckets;
	size_t n_buckets; /* a power of two */
	unsigned n;
};

struct conn_node;

struct session_node {
	struct mirror_session s; /* first: it is what the outside holds */
	struct mirror_link link;
	TAILQ_ENTRY(session_node) entry;
	TAILQ_ENTRY(session_node) sibling; /* of the same connection, or an orphan */
	struct conn_node *conn;            /* NULL: an orphan */
	TAILQ_ENTRY(session_node) lag;     /* behind: its receive key is */
	bool announced, adopted, lagging;
};

TAILQ_HEAD(session_nodes, session_node);

struct conn_node {
	struct mirror_connection c; /* first */
	struct mirror_link link;
	TAILQ_ENTRY(conn_node) entry;
	struct session_nodes sessions;
	bool seen;
};

struct mirror {
	struct mirror_ops ops;
	void *arg;
	struct session_nodes sessions, orphans, behind;
	bool snapshot; /* one has begun and not ended */
	TAILQ_HEAD(, conn_node) conns;
	struct mirror_table by_session, by_conn;
	size_t bytes, limit;
};

/* NULL = not in the copy. */
struct session_node *mirror_find_session(const struct mirror *m, uint64_t id);
struct conn_node *mirror_find_conn(const struct mirror *m, uint64_t id);
/* In the tables, without a record and without a connection yet. NULL with errno ENOMEM. */
struct session_node *mirror_new_session(struct mirror *m, uint64_t id);
struct conn_node *mirror_new_conn(struct mirror *m, uint64_t id);
/* Puts a copy of the encoded record in the place of an older one. 0 or -1 with errno ENOMEM. */
int mirror_keep_record(
    struct mirror *m, uint8_t **record, uint16_t *len, const uint8_t *bytes, size_t n);
/* The owner hears that it is there, if its connection is known; that it is not, if it was told. */
void mirror_announce(struct mirror *m, struct session_node *s);
void mirror_retract(struct mirror *m, struct session_node *s);
/* Moves a session to its connection, or to the orphans (conn NULL). */
void mirror_join(struct mirror *m, struct session_node *s, struct conn_node *conn);
/* Out of the tables, wiped; a connection has no sessions any more. */
void mirror_free_session(struct mirror *m, struct session_node *s);
void mirror_free_conn(struct mirror *m, struct conn_node *c);
/* Likewise, and the owner hears of it; with a connection its sessions go. */
void mirror_remove_session(struct mirror *m, struct session_node *s);
void mirror_remove_conn(struct mirror *m, struct conn_node *c);

#endif
