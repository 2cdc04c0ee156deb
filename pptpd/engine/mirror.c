/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two tables by id, each also a list in order of arrival. A session whose connection is not known
 * yet is held as an orphan and announced when the connection comes. Records hold keys: every byte
 * is wiped before it is freed.
 */
#include "pptpd/engine/mirror_internal.h"

#include <assert.h>
#include <errno.h>
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
	m->n_session_buckets = m->n_conn_buckets = BUCKETS_MIN;
	m->session_buckets = take(m, BUCKETS_MIN * sizeof *m->session_buckets);
	m->conn_buckets = take(m, BUCKETS_MIN * sizeof *m->conn_buckets);
	if (m->session_buckets == NULL || m->conn_buckets == NULL) {
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

/* A larger table if it can be had: without, the chains are longer. */
static void
grow_sessions(struct mirror *m)
{
	size_t n = m->n_session_buckets * 2;
	struct session_node **b, *s;

	if (m->n_sessions < m->n_session_buckets || (b = take(m, n * sizeof *b)) == NULL)
		return;
	TAILQ_FOREACH(s, &m->sessions, entry)
	{
		s->next = b[hash(s->s.id, n)];
		b[hash(s->s.id, n)] = s;
	}
	give(m, m->session_buckets, m->n_session_buckets * sizeof *b);
	m->session_buckets = b;
	m->n_session_buckets = n;
}

static void
grow_conns(struct mirror *m)
{
	size_t n = m->n_conn_buckets * 2;
	struct conn_node **b, *c;

	if (m->n_conns < m->n_conn_buckets || (b = take(m, n * sizeof *b)) == NULL)
		return;
	TAILQ_FOREACH(c, &m->conns, entry)
	{
		c->next = b[hash(c->c.id, n)];
		b[hash(c->c.id, n)] = c;
	}
	give(m, m->conn_buckets, m->n_conn_buckets * sizeof *b);
	m->conn_buckets = b;
	m->n_conn_buckets = n;
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
	struct session_node *s = m->session_buckets[hash(id, m->n_session_buckets)];

	while (s != NULL && s->s.id != id)
		s = s->next;
	return s;
}

struct conn_node *
mirror_find_conn(const struct mirror *m, uint64_t id)
{
	struct conn_node *c = m->conn_buckets[hash(id, m->n_conn_buckets)];

	while (c != NULL && c->c.id != id)
		c = c->next;
	return c;
}

struct session_node *
mirror_new_session(struct mirror *m, uint64_t id)
{
	struct session_node *s = take(m, sizeof *s), **at;

	if (s == NULL)
		return NULL;
	s->s.id = id;
	at = &m->session_buckets[hash(id, m->n_session_buckets)];
	s->next = *at;
	*at = s;
	TAILQ_INSERT_TAIL(&m->sessions, s, entry);
	TAILQ_INSERT_TAIL(&m->orphans, s, sibling);
	m->n_sessions++;
	grow_sessions(m);
	return s;
}

struct conn_node *
mirror_new_conn(struct mirror *m, uint64_t id)
{
	struct conn_node *c = take(m, sizeof *c), **at;

	if (c == NULL)
		return NULL;
	c->c.id = id;
	TAILQ_INIT(&c->sessions);
	at = &m->conn_buckets[hash(id, m->n_conn_buckets)];
	c->next = *at;
	*at = c;
	TAILQ_INSERT_TAIL(&m->conns, c, entry);
	m->n_conns++;
	grow_conns(m);
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
	struct session_node **at = &m->session_buckets[hash(s->s.id, m->n_session_buckets)];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	mirror_join(m, s, NULL);
	if (s->lagging)
		TAILQ_REMOVE(&m->behind, s, lag);
	TAILQ_REMOVE(&m->orphans, s, sibling);
	TAILQ_REMOVE(&m->sessions, s, entry);
	m->n_sessions--;
	give(m, s->s.record, s->s.len);
	give(m, s, sizeof *s);
}

void
mirror_free_conn(struct mirror *m, struct conn_node *c)
{
	struct conn_node **at = &m->conn_buckets[hash(c->c.id, m->n_conn_buckets)];

	assert(TAILQ_EMPTY(&c->sessions));
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	TAILQ_REMOVE(&m->conns, c, entry);
	m->n_conns--;
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
	free(m->session_buckets);
	free(m->conn_buckets);
	free(m);
}

/* ---- for the reader ---- */

unsigned
mirror_sessions(const struct mirror *m)
{
	return m->n_sessions;
}

unsigned
mirror_connections(const struct mirror *m)
{
	return m->n_conns;
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
mirror_next_connection(const struct mirror *m, const struct mirror_connection *c)
{
	const struct conn_node *n = (const struct conn_node *)c;

	n = n == NULL ? TAILQ_FIRST(&m->conns) : TAILQ_NEXT(n, entry);
	return n == NULL ? NULL : &n->c;
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
