/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two tables by id, each also a list in order of arrival. A session whose connection is not known
 * yet is held as an orphan and announced when the connection comes. Records hold keys: every byte
 * is wiped before it is freed.
 */
#include "pptpd/engine/mirror.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "pptpd/data/keygate.h"

#define BUCKETS_MIN 64
#define STEPS_MAX   8192      /* keys of the transmit half that one record or mark may skip */
#define RX_STEPS    (1 << 20) /* likewise of the receive half, between two looks at it */

struct conn_node;

struct session_node {
	struct mirror_session s; /* first: it is what the outside holds */
	TAILQ_ENTRY(session_node) entry;
	TAILQ_ENTRY(session_node) sibling; /* of the same connection, or an orphan */
	struct session_node *next;         /* in its bucket */
	struct conn_node *conn;            /* NULL: an orphan */
	bool announced, adopted;
};

TAILQ_HEAD(session_nodes, session_node);

struct conn_node {
	struct mirror_connection c; /* first */
	TAILQ_ENTRY(conn_node) entry;
	struct conn_node *next;
	struct session_nodes sessions;
	bool seen;
};

struct mirror {
	struct mirror_ops ops;
	void *arg;
	struct session_nodes sessions, orphans;
	TAILQ_HEAD(, conn_node) conns;
	struct session_node **session_buckets;
	struct conn_node **conn_buckets;
	size_t n_session_buckets, n_conn_buckets; /* powers of two */
	unsigned n_sessions, n_conns;
	size_t bytes, limit;
};

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
static int
keep_record(struct mirror *m, uint8_t **record, uint16_t *len, const uint8_t *bytes, size_t n)
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

static struct session_node *
find_session(const struct mirror *m, uint64_t id)
{
	struct session_node *s = m->session_buckets[hash(id, m->n_session_buckets)];

	while (s != NULL && s->s.id != id)
		s = s->next;
	return s;
}

static struct conn_node *
find_conn(const struct mirror *m, uint64_t id)
{
	struct conn_node *c = m->conn_buckets[hash(id, m->n_conn_buckets)];

	while (c != NULL && c->c.id != id)
		c = c->next;
	return c;
}

static struct session_node *
new_session(struct mirror *m, uint64_t id)
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

static struct conn_node *
new_conn(struct mirror *m, uint64_t id)
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

static void
announce(struct mirror *m, struct session_node *s)
{
	if (s->announced || s->conn == NULL)
		return;
	s->announced = true;
	if (m->ops.on_session != NULL)
		m->ops.on_session(m->arg, &s->s);
}

static void
retract(struct mirror *m, struct session_node *s)
{
	if (!s->announced)
		return;
	s->announced = false;
	if (m->ops.on_gone != NULL && !s->adopted)
		m->ops.on_gone(m->arg, &s->s);
}

/* Moves a session to its connection, or to the orphans (conn NULL). */
static void
join(struct mirror *m, struct session_node *s, struct conn_node *conn)
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

static void
free_session(struct mirror *m, struct session_node *s)
{
	struct session_node **at = &m->session_buckets[hash(s->s.id, m->n_session_buckets)];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	join(m, s, NULL);
	TAILQ_REMOVE(&m->orphans, s, sibling);
	TAILQ_REMOVE(&m->sessions, s, entry);
	m->n_sessions--;
	give(m, s->s.record, s->s.len);
	give(m, s, sizeof *s);
}

static void
free_conn(struct mirror *m, struct conn_node *c)
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

static void
drop_session(struct mirror *m, struct session_node *s)
{
	retract(m, s);
	free_session(m, s);
}

static void
drop_conn(struct mirror *m, struct conn_node *c)
{
	struct session_node *s;

	while ((s = TAILQ_FIRST(&c->sessions)) != NULL)
		drop_session(m, s);
	free_conn(m, c);
}

void
mirror_clear(struct mirror *m)
{
	struct session_node *s;
	struct conn_node *c;

	while ((s = TAILQ_FIRST(&m->sessions)) != NULL)
		drop_session(m, s);
	while ((c = TAILQ_FIRST(&m->conns)) != NULL)
		free_conn(m, c);
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

/* ---- from the stream ---- */

int
mirror_put_connection(struct mirror *m, struct rd *in)
{
	struct connection_record r;
	const uint8_t *bytes = in->p;
	struct session_node *s, *next;
	struct conn_node *c;
	uint32_t peer_ip;
	uint64_t id;

	if (connection_record_decode(&r, in) < 0)
		return -1;
	id = r.id;
	peer_ip = r.tcp.peer_ip;
	connection_record_wipe(&r);
	c = find_conn(m, id);
	if (c == NULL && (c = new_conn(m, id)) == NULL)
		return -1;
	if (keep_record(m, &c->c.record, &c->c.len, bytes, (size_t)(in->p - bytes)) < 0) {
		if (c->c.record == NULL)
			free_conn(m, c);
		return -1;
	}
	c->seen = true;
	if (c->c.peer_ip != peer_ip) {
		TAILQ_FOREACH(s, &c->sessions, sibling)
		retract(m, s);
		c->c.peer_ip = peer_ip;
	}
	for (s = TAILQ_FIRST(&m->orphans); s != NULL; s = next) {
		next = TAILQ_NEXT(s, sibling);
		if (s->s.connection == id)
			join(m, s, c);
	}
	TAILQ_FOREACH(s, &c->sessions, sibling)
	{
		s->s.peer_ip = peer_ip;
		announce(m, s);
	}
	return 0;
}

static void
load_mppe(struct mppe *m, const struct record_mppe *r)
{
	memcpy(m->master, r->master, sizeof m->master);
	memcpy(m->session, r->session, sizeof m->session);
	m->index = r->index;
}

static void
load_session(struct mirror_session *s, const struct session_record *r)
{
	s->connection = r->connection;
	s->call_id = r->call.call_id;
	s->address = r->ppp.addresses.peer_ip;
	s->stale = false;
	s->seen = true;
	s->mark = r->mark;
	load_mppe(&s->tx, &r->mppe_tx);
	mppe_step(&s->tx, r->mark.index);
	load_mppe(&s->rx, &r->mppe_rx);
	s->counters = (struct record_counters){
	    .id = r->id,
	    .tx_seq = r->call.tx_seq,
	    .tx_acked = r->call.tx_acked,
	    .rx_seq = r->call.rx_seq,
	    .rx_any = r->call.rx_any,
	    .tx_any_ack = r->call.tx_any_ack,
	    .rx_index = r->mppe_rx.index,
	    .accounting = r->accounting,
	};
}

static int
put_session(struct mirror *m, const struct session_record *r, const uint8_t *bytes, size_t len)
{
	struct session_node *s = find_session(m, r->id);

	if (r->mark.index - r->mppe_tx.index > STEPS_MAX) {
		errno = EPROTO;
		return -1;
	}
	if (s == NULL && (s = new_session(m, r->id)) == NULL)
		return -1;
	if (keep_record(m, &s->s.record, &s->s.len, bytes, len) < 0) {
		if (s->s.record == NULL)
			free_session(m, s);
		return -1;
	}
	if (s->s.call_id != r->call.call_id || s->s.address != r->ppp.addresses.peer_ip ||
	    s->s.connection != r->connection)
		retract(m, s);
	load_session(&s->s, r);
	join(m, s, find_conn(m, r->connection));
	announce(m, s);
	return 0;
}

int
mirror_put_session(struct mirror *m, struct rd *in)
{
	struct session_record r;
	const uint8_t *bytes = in->p;
	int result;

	if (session_record_decode(&r, in) < 0)
		return -1;
	result = put_session(m, &r, bytes, (size_t)(in->p - bytes));
	session_record_wipe(&r);
	return result;
}

void
mirror_drop_connection(struct mirror *m, uint64_t id)
{
	struct conn_node *c = find_conn(m, id);

	if (c != NULL)
		drop_conn(m, c);
}

void
mirror_drop_session(struct mirror *m, uint64_t id)
{
	struct session_node *s = find_session(m, id);

	if (s != NULL)
		drop_session(m, s);
}

int
mirror_mark(struct mirror *m, uint64_t id, const struct record_mark *mark)
{
	struct session_node *s = find_session(m, id);

	if (s == NULL)
		return 0;
	if ((int32_t)(mark->seq - s->s.mark.seq) < 0 || mark->index < s->s.mark.index ||
	    mark->index - s->s.mark.index > STEPS_MAX || mark->open > KEYS_ALL) {
		errno = EPROTO;
		return -1;
	}
	s->s.mark = *mark;
	mppe_step(&s->s.tx, mark->index);
	return 0;
}

int
mirror_count(struct mirror *m, const struct record_counters *c)
{
	struct session_node *s = find_session(m, c->id);
	uint64_t started_ms;

	if (s == NULL)
		return 0;
	if (c->rx_index > s->s.rx.index + RX_STEPS) {
		errno = EPROTO;
		return -1;
	}
	started_ms = s->s.counters.accounting.started_ms;
	s->s.counters = *c;
	s->s.counters.accounting.started_ms = started_ms;
	/* Counted before new keys were set, heard after: the record knows better. */
	if (c->rx_index < s->s.rx.index)
		s->s.counters.rx_index = s->s.rx.index;
	mppe_step(&s->s.rx, s->s.counters.rx_index);
	return 0;
}

void
mirror_begin(struct mirror *m)
{
	struct session_node *s;
	struct conn_node *c;

	TAILQ_FOREACH(s, &m->sessions, entry)
	s->s.seen = false;
	TAILQ_FOREACH(c, &m->conns, entry)
	c->seen = false;
}

void
mirror_end(struct mirror *m)
{
	struct session_node *s, *next;
	struct conn_node *c, *next_conn;

	for (s = TAILQ_FIRST(&m->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->s.seen)
			drop_session(m, s);
	}
	for (c = TAILQ_FIRST(&m->conns); c != NULL; c = next_conn) {
		next_conn = TAILQ_NEXT(c, entry);
		if (!c->seen)
			drop_conn(m, c);
	}
}

void
mirror_stale(struct mirror *m)
{
	struct session_node *s;

	TAILQ_FOREACH(s, &m->sessions, entry)
	s->s.stale = true;
}

void
mirror_adopted(struct mirror *m, uint64_t id)
{
	struct session_node *s = find_session(m, id);

	if (s != NULL)
		s->adopted = true;
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
	const struct conn_node *c = find_conn(m, id);

	return c == NULL ? NULL : &c->c;
}

const struct mirror_session *
mirror_session(const struct mirror *m, uint64_t id)
{
	const struct session_node *s = find_session(m, id);

	return s == NULL ? NULL : &s->s;
}

static void
store_mppe(struct record_mppe *r, const struct mppe *m)
{
	memcpy(r->master, m->master, sizeof r->master);
	memcpy(r->session, m->session, sizeof r->session);
	r->index = m->index;
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
	r->call.rx_seq = c->rx_seq;
	r->call.rx_any = c->rx_any;
	r->call.tx_any_ack = c->tx_any_ack;
	r->mark = s->mark;
	store_mppe(&r->mppe_tx, &s->tx);
	store_mppe(&r->mppe_rx, &s->rx);
	r->accounting = c->accounting;
	return 0;
}

int
mirror_connection_record(const struct mirror_connection *c, struct connection_record *r)
{
	struct rd in = rd_init(c->record, c->len);

	return connection_record_decode(r, &in);
}
