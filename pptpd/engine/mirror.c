/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two tables by id, of one kind; each is also a list in order of arrival. A session whose
 * connection is not known yet is held as an orphan and announced when the connection comes. Records
 * hold keys: every byte is wiped before it is freed.
 */
#include "pptpd/engine/mirror_internal.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64

static size_t
hash(uint64_t id, size_t buckets)
{
	return (size_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (buckets - 1);
}

/* ---- memory ---- */

static void *
take(struct mirror *m, size_t size)
{
	void *p;

	if (m->limit != 0 && m->bytes + size > m->limit) {
		errno = ENOMEM;
		return NULL;
	}
	p = calloc(1, size);
	if (p != NULL)
		m->bytes += size;
	return p;
}

static void
give(struct mirror *m, void *p, size_t size)
{
	if (p == NULL)
		return;
	explicit_bzero(p, size);
	free(p);
	m->bytes -= size;
}

/* ---- a table ---- */

static int
table_init(struct mirror *m, struct mirror_table *t)
{
	t->n_buckets = BUCKETS_MIN;
	t->buckets = take(m, BUCKETS_MIN * sizeof *t->buckets);
	return t->buckets == NULL ? -1 : 0;
}

static struct mirror_link **
bucket_of(const struct mirror_table *t, uint64_t id)
{
	return &t->buckets[hash(id, t->n_buckets)];
}

static struct mirror_link *
table_find(const struct mirror_table *t, uint64_t id)
{
	struct mirror_link *l = *bucket_of(t, id);

	while (l != NULL && l->id != id)
		l = l->next;
	return l;
}

static void
table_put(struct mirror_table *t, struct mirror_link *l)
{
	struct mirror_link **at = bucket_of(t, l->id);

	l->next = *at;
	*at = l;
}

/* A larger table if it can be had: without, the chains are longer. */
static void
table_grow(struct mirror *m, struct mirror_table *t)
{
	struct mirror_table larger = {.n_buckets = t->n_buckets * 2};

	larger.buckets = take(m, larger.n_buckets * sizeof *larger.buckets);
	if (larger.buckets == NULL)
		return;
	for (size_t i = 0; i < t->n_buckets; i++)
		for (struct mirror_link *l = t->buckets[i], *next; l != NULL; l = next) {
			next = l->next;
			table_put(&larger, l);
		}
	larger.n = t->n;
	give(m, t->buckets, t->n_buckets * sizeof *t->buckets);
	*t = larger;
}

static void
table_add(struct mirror *m, struct mirror_table *t, struct mirror_link *l)
{
	table_put(t, l);
	if (++t->n >= t->n_buckets)
		table_grow(m, t);
}

static void
table_remove(struct mirror_table *t, struct mirror_link *l)
{
	struct mirror_link **at = bucket_of(t, l->id);

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	t->n--;
}

/* ---- life ---- */

struct mirror *
mirror_new(const struct mirror_ops *ops, void *arg)
{
	struct mirror *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->ops = *ops;
	m->arg = arg;
	TAILQ_INIT(&m->sessions);
	TAILQ_INIT(&m->orphans);
	TAILQ_INIT(&m->behind);
	TAILQ_INIT(&m->conns);
	if (table_init(m, &m->by_session) < 0 || table_init(m, &m->by_conn) < 0) {
		mirror_free(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void
mirror_set_limit(struct mirror *m, size_t bytes)
{
	m->limit = bytes;
}

/* Puts a copy of the encoded record in the place of an older one. 0 or -1 with errno ENOMEM. */
int
mirror_keep_record(
    struct mirror *m, uint8_t **record, uint16_t *len, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = *record;

	if (*len != n) {
		copy = take(m, n);
		if (copy == NULL)
			return -1;
		give(m, *record, *len);
	}
	memcpy(copy, bytes, n);
	*record = copy;
	*len = (uint16_t)n;
	return 0;
}

/* ---- look-up ---- */

struct session_node *
mirror_find_session(const struct mirror *m, uint64_t id)
{
	struct mirror_link *l = table_find(&m->by_session, id);

	return l == NULL ? NULL : (void *)((char *)l - offsetof(struct session_node, link));
}

struct conn_node *
mirror_find_conn(const struct mirror *m, uint64_t id)
{
	struct mirror_link *l = table_find(&m->by_conn, id);

	return l == NULL ? NULL : (void *)((char *)l - offsetof(struct conn_node, link));
}

struct session_node *
mirror_new_session(struct mirror *m, uint64_t id)
{
	struct session_node *s = take(m, sizeof *s);

	if (s == NULL)
		return NULL;
	s->s.id = s->link.id = id;
	TAILQ_INSERT_TAIL(&m->sessions, s, entry);
	TAILQ_INSERT_TAIL(&m->orphans, s, sibling);
	table_add(m, &m->by_session, &s->link);
	return s;
}

struct conn_node *
mirror_new_conn(struct mirror *m, uint64_t id)
{
	struct conn_node *c = take(m, sizeof *c);

	if (c == NULL)
		return NULL;
	c->c.id = c->link.id = id;
	TAILQ_INIT(&c->sessions);
	TAILQ_INSERT_TAIL(&m->conns, c, entry);
	table_add(m, &m->by_conn, &c->link);
	return c;
}

/* ---- what belongs together, and what the owner hears ---- */

void
mirror_announce(struct mirror *m, struct session_node *s)
{
	if (s->announced || s->conn == NULL)
		return;
	s->announced = true;
	if (m->ops.on_session != NULL)
		m->ops.on_session(m->arg, &s->s);
}

void
mirror_retract(struct mirror *m, struct session_node *s)
{
	if (!s->announced)
		return;
	s->announced = false;
	if (m->ops.on_gone != NULL && !s->adopted)
		m->ops.on_gone(m->arg, &s->s);
}

/* Moves a session to its connection, or to the orphans (conn NULL). */
void
mirror_join(struct mirror *m, struct session_node *s, struct conn_node *conn)
{
	if (s->conn != NULL) {
		TAILQ_REMOVE(&s->conn->sessions, s, sibling);
		s->conn->c.sessions--;
	} else {
		TAILQ_REMOVE(&m->orphans, s, sibling);
	}
	s->conn = conn;
	if (conn != NULL) {
		TAILQ_INSERT_TAIL(&conn->sessions, s, sibling);
		conn->c.sessions++;
		s->s.peer_ip = conn->c.peer_ip;
	} else {
		TAILQ_INSERT_TAIL(&m->orphans, s, sibling);
		s->s.peer_ip = 0;
	}
}

void
mirror_free_session(struct mirror *m, struct session_node *s)
{
	table_remove(&m->by_session, &s->link);
	mirror_join(m, s, NULL);
	if (s->lagging)
		TAILQ_REMOVE(&m->behind, s, lag);
	TAILQ_REMOVE(&m->orphans, s, sibling);
	TAILQ_REMOVE(&m->sessions, s, entry);
	give(m, s->s.record, s->s.len);
	give(m, s, sizeof *s);
}

void
mirror_free_conn(struct mirror *m, struct conn_node *c)
{
	assert(TAILQ_EMPTY(&c->sessions));
	table_remove(&m->by_conn, &c->link);
	TAILQ_REMOVE(&m->conns, c, entry);
	give(m, c->c.record, c->c.len);
	give(m, c, sizeof *c);
}

void
mirror_remove_session(struct mirror *m, struct session_node *s)
{
	mirror_retract(m, s);
	mirror_free_session(m, s);
}

void
mirror_remove_conn(struct mirror *m, struct conn_node *c)
{
	struct session_node *s;

	while ((s = TAILQ_FIRST(&c->sessions)) != NULL)
		mirror_remove_session(m, s);
	mirror_free_conn(m, c);
}

void
mirror_clear(struct mirror *m)
{
	struct session_node *s;
	struct conn_node *c;

	while ((s = TAILQ_FIRST(&m->sessions)) != NULL)
		mirror_remove_session(m, s);
	while ((c = TAILQ_FIRST(&m->conns)) != NULL)
		mirror_free_conn(m, c);
}

void
mirror_free(struct mirror *m)
{
	if (m == NULL)
		return;
	m->ops = (struct mirror_ops){0};
	mirror_clear(m);
	free(m->by_session.buckets);
	free(m->by_conn.buckets);
	free(m);
}

/* ---- for the reader ---- */

unsigned
mirror_sessions(const struct mirror *m)
{
	return m->by_session.n;
}

unsigned
mirror_connections(const struct mirror *m)
{
	return m->by_conn.n;
}

size_t
mirror_bytes(const struct mirror *m)
{
	return m->bytes;
}

const struct mirror_session *
mirror_next_session(const struct mirror *m, const struct mirror_session *s)
{
	const struct session_node *n = (const struct session_node *)s;

	n = n == NULL ? TAILQ_FIRST(&m->sessions) : TAILQ_NEXT(n, entry);
	return n == NULL ? NULL : &n->s;
}

const struct mirror_connection *
mirror_connection(const struct mirror *m, uint64_t id)
{
	const struct conn_node *c = mirror_find_conn(m, id);

	return c == NULL ? NULL : &c->c;
}

const struct mirror_session *
mirror_session(const struct mirror *m, uint64_t id)
{
	const struct session_node *s = mirror_find_session(m, id);

	return s == NULL ? NULL : &s->s;
}

int
mirror_session_record(const struct mirror_session *s, struct session_record *r)
{
	struct rd in = rd_init(s->record, s->len);
	const struct record_counters *c = &s->counters;

	if (session_record_decode(r, &in) < 0)
		return -1;
	r->call.tx_seq = s->mark.seq;
	r->call.tx_acked = c->tx_acked;
	r->call.rx_seq = c->rx_seq - (uint32_t)(c->rx_index - s->rx.index);
	r->call.rx_any = c->rx_any;
	r->call.tx_any_ack = c->tx_any_ack;
	r->mark = s->mark;
	record_put_key(&r->mppe_tx, &s->tx);
	record_put_key(&r->mppe_rx, &s->rx);
	r->accounting = c->accounting;
	return 0;
}

int
mirror_connection_record(const struct mirror_connection *c, struct connection_record *r)
{
	struct rd in = rd_init(c->record, c->len);

	return connection_record_decode(r, &in);
}
