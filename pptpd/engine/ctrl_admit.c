/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which control connections there may be: the book of connections by client address, those that are
 * half open, strangers, and who makes room for a newcomer.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLOSING_MAX 64   /* sockets on their way out, when there are too many */
#define LOGIN_GRACE 5000 /* ms that a connection without a login is safe from newcomers */
#define CALLS_MAX   64   /* of a connection at one time, or at once */
#define CALL_EVERY  1000 /* ms: how often a further one, when so many were made at once */

static struct ctrl_bucket *
bucket_of(struct engine *e, uint32_t ip)
{
	return &e->by_peer[(ip * 2654435761u) >> 22 & (ENGINE_BUCKETS - 1)];
}

static unsigned
count_of_peer(struct engine *e, uint32_t ip)
{
	struct ctrl *c;
	unsigned n = 0;

	LIST_FOREACH(c, bucket_of(e, ip), bucket_entry)
	n += c->tcp.peer_ip == ip;
	return n;
}

void
ctrl_enter(struct ctrl *c)
{
	struct engine *e = c->engine;

	TAILQ_INSERT_TAIL(&e->ctrls, c, entry);
	LIST_INSERT_HEAD(bucket_of(e, c->tcp.peer_ip), c, bucket_entry);
	*(c->local ? &e->loopback.n_ctrls : &e->n_ctrls) += 1;
	e->n_sockets++;
}

void
ctrl_half_open(struct ctrl *c)
{
	if (c->local)
		return;
	TAILQ_INSERT_TAIL(&c->engine->half_open, c, half_open_entry);
	c->engine->n_half_open++;
}

static void
not_half_open(struct ctrl *c)
{
	if (c->half_open_entry.tqe_prev == NULL)
		return;
	TAILQ_REMOVE(&c->engine->half_open, c, half_open_entry);
	c->half_open_entry.tqe_prev = NULL;
	c->engine->n_half_open--;
}

/* ---- strangers: established, without a login ---- */

static void
not_stranger(struct ctrl *c)
{
	if (c->stranger_entry.tqe_prev == NULL)
		return;
	TAILQ_REMOVE(&c->engine->strangers, c, stranger_entry);
	c->stranger_entry.tqe_prev = NULL;
}

void
ctrl_stranger(struct ctrl *c)
{
	not_half_open(c);
	c->established_ms = loop_now_ms(c->engine->loop);
	if (c->local)
		return;
	TAILQ_INSERT_TAIL(&c->engine->strangers, c, stranger_entry);
}

void
ctrl_leave(struct ctrl *c)
{
	not_half_open(c);
	not_stranger(c);
	LIST_REMOVE(c, bucket_entry);
	TAILQ_REMOVE(&c->engine->ctrls, c, entry);
	*(c->local ? &c->engine->loopback.n_ctrls : &c->engine->n_ctrls) -= 1;
}

void
ctrl_proven(struct ctrl *c)
{
	c->proven = true;
	not_stranger(c);
}

bool
ctrl_make_room(struct engine *e, const struct ctrl *caller)
{
	uint64_t now = loop_now_ms(e->loop);
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->strangers, stranger_entry)
	{
		if (now - c->established_ms < LOGIN_GRACE)
			return false;
		if (caller != NULL && (c == caller || c->n_sessions == 0))
			continue;
		ctrl_close(c, "no login: it makes room for others");
		return true;
	}
	return false;
}

bool
ctrl_may_call(struct ctrl *c)
{
	uint64_t now = loop_now_ms(c->engine->loop);
	uint64_t paid = (c->calls_ms > now ? c->calls_ms : now) + CALL_EVERY;

	if (c->n_sessions >= CALLS_MAX || paid > now + (uint64_t)CALLS_MAX * CALL_EVERY)
		return false;
	c->calls_ms = paid;
	return true;
}

/* ---- newcomers ---- */

/* The oldest half-open connection goes, without regard of its age. False = there is none. */
static bool
drop_half_open(struct engine *e, const char *why)
{
	struct ctrl *oldest = TAILQ_FIRST(&e->half_open);

	if (oldest != NULL)
		ctrl_close(oldest, why);
	return oldest != NULL;
}

/* The socket goes when the monitor has marked it: so many may be on that way, no more. */
static bool
free_socket(struct engine *e)
{
	return e->n_sockets < e->max_sockets + CLOSING_MAX &&
	       (drop_half_open(e, "limit of open files: the oldest makes room") ||
		   ctrl_make_room(e, NULL));
}

/*
 * A newcomer is never refused for silent ones: the oldest half-open connection makes room, and the
 * oldest one without a login.
 */
bool
ctrl_admit(struct engine *e, const struct tcp_snapshot *t)
{
	const struct settings *conf = e->config->settings;
	const char *why = NULL;

	if (e->role != ROLE_ACTIVE || e->stopping)
		return false;
	if (loopback_is_source(t->peer_ip))
		return loopback_admit(e);
	if (conf->max_per_address > 0 && count_of_peer(e, t->peer_ip) >= conf->max_per_address)
		why = "connections-per-address reached";
	else if (e->n_ctrls - e->n_half_open >= conf->connections && !ctrl_make_room(e, NULL))
		why = "connections reached";
	else if (e->n_sockets >= e->max_sockets + e->loopback.n_ctrls && !free_socket(e))
		why = "limit of open files reached";
	if (why == NULL && e->n_half_open >= conf->max_half_open)
		(void)drop_half_open(e, "half-open limit: the oldest makes room");
	if (why == NULL)
		return true;
	e->stats.refused_connections++;
	if (engine_log_ok(e, t->peer_ip))
		log_warn(
		    "control connection refused peer=%s reason=\"%s\"", conf_ipv4(t->peer_ip), why);
	return false;
}

/* ---- refusal ---- */

/* A connection that is not taken, until the monitor has marked it: a guard holds other FINs back.
 */
struct refused {
	struct engine *engine;
	struct reap reap;
	int fd;
};

static void
free_refused(void *object)
{
	struct refused *r = object;

	r->engine->n_sockets--;
	free(r);
}

static void
refused_marked(void *arg, int err)
{
	struct refused *r = arg;

	if (err != 0)
		log_debug("closing mark not set error=\"%s\"", strerror(err));
	close(r->fd);
	engine_reap(r->engine, &r->reap, free_refused, r);
}

void
ctrl_refuse(struct engine *e, int fd)
{
	struct refused *r;

	if (e->role != ROLE_ACTIVE) { /* the other gateway speaks for this address */
		priv_silent_close(e->priv, fd);
		return;
	}
	if ((r = malloc(sizeof *r)) == NULL) {
		close(fd);
		return;
	}
	*r = (struct refused){.engine = e, .fd = fd};
	e->n_sockets++;
	priv_mark_closing(e->priv, fd, refused_marked, r);
}
