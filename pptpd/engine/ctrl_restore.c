/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sockets of continued connections: a queue, of which the monitor is given so many at a time
 * that data and other clients are not kept waiting. What fails is tried again, what fails for good
 * is closed with its sessions. Belongs to the engine from the first continued connection on.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESTORE_SLICE    64   /* with the monitor at one time */
#define RESTORE_SOON     100  /* ms: the virtual address is on its way */
#define RESTORE_AGAIN    1000 /* ms: for any other reason */
#define RESTORE_PATIENCE 8000 /* ms in all */

struct restorer {
	struct engine *engine;
	struct ctrl_list queue; /* RESTORE_QUEUED */
	struct ctrl_list later; /* RESTORE_LATER */
	struct timer again;
	unsigned asked; /* RESTORE_ASKED */
	bool started, pumping;
	uint64_t started_ms;
	unsigned restored, failed;
};

static void restored(void *arg, int fd, int err);

/* ---- the queue ---- */

static void
ask_monitor(struct restorer *r, struct ctrl *c)
{
	struct tcp_restore t = {
	    .tcp = c->tcp,
	    .snd = c->tcp.snd0 + c->tx_bytes - (uint32_t)c->sent_len,
	    .rcv = c->tcp.rcv0 + c->rx_bytes,
	    .tail_len = (uint16_t)c->sent_len,
	};

	memcpy(t.tail, c->sent, c->sent_len);
	TAILQ_REMOVE(&r->queue, c, restore_entry);
	c->restore = RESTORE_ASKED;
	r->asked++;
	if (!c->gone)
		ctrl_watch(c); /* the client answers before the monitor does */
	priv_restore(r->engine->priv, &t, restored, c);
}

static void
pump(struct restorer *r)
{
	struct ctrl *c;

	if (!r->started || r->pumping)
		return;
	r->pumping = true;
	while (r->asked < RESTORE_SLICE && (c = TAILQ_FIRST(&r->queue)) != NULL)
		ask_monitor(r, c);
	r->pumping = false;
}

static void
again_cb(void *arg)
{
	struct restorer *r = arg;
	uint64_t now = loop_now_ms(r->engine->loop);
	struct ctrl *c, *next;

	for (c = TAILQ_FIRST(&r->later); c != NULL; c = next) {
		next = TAILQ_NEXT(c, restore_entry);
		if (c->restore_at_ms > now)
			continue;
		TAILQ_REMOVE(&r->later, c, restore_entry);
		TAILQ_INSERT_TAIL(&r->queue, c, restore_entry);
		c->restore = RESTORE_QUEUED;
	}
	if (!TAILQ_EMPTY(&r->later))
		timer_set(&r->again, RESTORE_SOON);
	pump(r);
}

static struct restorer *
restorer_of(struct engine *e)
{
	struct restorer *r = e->restorer;

	if (r != NULL || (r = calloc(1, sizeof *r)) == NULL)
		return r;
	r->engine = e;
	TAILQ_INIT(&r->queue);
	TAILQ_INIT(&r->later);
	timer_init(&r->again, e->loop, again_cb, r);
	return e->restorer = r;
}

/* It is one less that has no socket. */
static void
settled(struct ctrl *c, bool ok)
{
	struct engine *e = c->engine;
	struct restorer *r = e->restorer;

	c->restore = RESTORE_NONE;
	if (!c->counted)
		return;
	c->counted = false;
	e->restoring--;
	if (r == NULL)
		return;
	r->restored += ok;
	r->failed += !ok;
	if (e->restoring == 0 && r->started)
		log_info("control connections restored count=%u failed=%u ms=%llu", r->restored,
		    r->failed, (unsigned long long)(loop_now_ms(e->loop) - r->started_ms));
}

/* ---- the monitor's answer ---- */

/* The socket goes on as any other. */
static void
take(struct restorer *r, struct ctrl *c, int fd)
{
	if (io_init(&c->io, r->engine->loop, fd, ctrl_io_cb, c) < 0) {
		priv_silent_close(r->engine->priv, fd);
		settled(c, false);
		ctrl_close(c, "out of memory");
		return;
	}
	c->fd = fd;
	settled(c, true);
	c->restore_tries = 0;
	c->tcp.tsval += TCP_TSVAL_AHEAD_MS; /* never back, whoever builds it next */
	c->last_rx_ms = loop_now_ms(r->engine->loop);
	ctrl_socket_options(fd, true);
	ctrl_spread_timer(c);
	io_want(&c->io, IO_READ);
	ctrl_settle(c);
}

/* Thousands may fail for one reason: some are named here, all are counted in the end. */
static void
log_failure(struct restorer *r, const struct ctrl *c, const char *what, int err)
{
	struct engine *e = r->engine;

	if (log_limit_ok(e->limit, 0, loop_now_ms(e->loop), NULL))
		log_warn(
		    "control connection %s peer=%s error=\"%s\"", what, c->name, strerror(err));
}

static void
failed(struct restorer *r, struct ctrl *c, int err)
{
	uint64_t now = loop_now_ms(r->engine->loop);
	bool soon = err == EADDRNOTAVAIL || err == EAGAIN || err == ENOBUFS || err == ENOMEM;

	if (c->restore_tries++ == 0)
		c->restore_at_ms = c->restore_since_ms = now;
	if (now - c->restore_since_ms >= RESTORE_PATIENCE || err == EPIPE || c->gone) {
		log_failure(r, c, "not restored", err);
		settled(c, false);
		if (c->gone)
			ctrl_finish(c);
		else
			ctrl_close(c, "its socket could not be restored");
		return;
	}
	if (!soon && c->restore_tries == 1)
		log_failure(r, c, "not restored yet", err);
	c->restore = RESTORE_LATER;
	c->restore_at_ms = now + (soon ? RESTORE_SOON : RESTORE_AGAIN);
	TAILQ_INSERT_TAIL(&r->later, c, restore_entry);
	if (!timer_pending(&r->again))
		timer_set(&r->again, RESTORE_SOON);
}

static void
restored(void *arg, int fd, int err)
{
	struct ctrl *c = arg;
	struct restorer *r = c->engine->restorer;

	r->asked--;
	if (c->silent || (c->gone && fd >= 0)) {
		settled(c, fd >= 0);
		ctrl_late_socket(c, fd);
	} else if (fd >= 0)
		take(r, c, fd);
	else
		failed(r, c, err);
	pump(r);
}

/* ---- for the other files ---- */

void
ctrl_restore_add(struct ctrl *c)
{
	struct restorer *r = restorer_of(c->engine);

	if (r == NULL) {
		settled(c, false);
		ctrl_close(c, "out of memory");
		return;
	}
	c->restore = RESTORE_QUEUED;
	TAILQ_INSERT_TAIL(&r->queue, c, restore_entry);
	pump(r);
}

bool
ctrl_restore_forget(struct ctrl *c)
{
	struct restorer *r = c->engine->restorer;

	if (c->restore == RESTORE_ASKED)
		return false;
	if (c->restore == RESTORE_NONE)
		return true;
	TAILQ_REMOVE(c->restore == RESTORE_QUEUED ? &r->queue : &r->later, c, restore_entry);
	settled(c, false);
	return true;
}

static void
ear_ready(struct engine *e)
{
	struct restorer *r = e->restorer;

	if (r == NULL || r->started)
		return;
	r->started = true;
	pump(r);
}

unsigned
ctrl_not_restored(const struct engine *e)
{
	return e->restorer != NULL ? e->restorer->failed : 0;
}

void
ctrl_restore_start(struct engine *e)
{
	struct restorer *r = e->restorer;

	if (r == NULL || r->started || e->restoring == 0)
		return;
	r->started_ms = loop_now_ms(e->loop);
	r->restored = r->failed = 0;
	ctrl_watch_start(e, ear_ready);
}

void
ctrl_restore_stop(struct engine *e)
{
	struct restorer *r = e->restorer;

	ctrl_watch_stop(e);
	if (r == NULL)
		return;
	r->started = false;
	r->restored = r->failed = 0;
	timer_cancel(&r->again);
}

void
ctrl_restore_free(struct engine *e)
{
	ctrl_watch_free(e);
	if (e->restorer != NULL)
		timer_cancel(&e->restorer->again);
	free(e->restorer);
	e->restorer = NULL;
}
