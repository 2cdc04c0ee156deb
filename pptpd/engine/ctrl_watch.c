/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Restored connections, until each is proven to be in step with its client (hole.h): the ear on the
 * raw socket, probes for silent ones, and the repair of a hole, which builds the socket again at
 * the client's numbers. Everything ends two minutes after the takeover.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pptpd/engine/hole.h"

#define WATCH_BUCKETS 4096
#define WATCH_MS      120000
#define WATCH_TICK    50
#define PROBE_AGAIN   500 /* ms of silence */
#define PROBES_MAX    5
#define PROBES_SLICE  64  /* with the monitor at one time */
#define REPAIRS_MAX   5   /* of one connection */
#define HEAR_MAX      256 /* packets in one turn of the loop */
#define PACKET_MAX    2048

struct watch {
	LIST_ENTRY(watch) bucket_entry;
	TAILQ_ENTRY(watch) entry;
	struct ctrl *ctrl;
	struct hole hole;
	uint64_t asked_ms; /* restored or probed */
	unsigned probes, repairs;
};

struct probe {
	LIST_ENTRY(probe) entry;
	struct watcher *watcher;
	struct ctrl *ctrl; /* NULL: it is gone */
};

struct watcher {
	struct engine *engine;
	LIST_HEAD(, watch) buckets[WATCH_BUCKETS];
	TAILQ_HEAD(, watch) all;
	void (*ready)(struct engine *e);
	bool wanted, asked; /* the ear: we want it; the monitor opens it */
	int fd;
	struct io io;
	struct timer tick;
	uint64_t until_ms;
	LIST_HEAD(, probe) probes;
	unsigned probing;
};

/* ---- the book ---- */

static unsigned
bucket_number(uint32_t ip, uint16_t port)
{
	return ((ip ^ (uint32_t)port << 16 ^ port) * 2654435761u) >> 20 & (WATCH_BUCKETS - 1);
}

static struct watch *
find_watch(struct watcher *w, const struct hole_segment *s)
{
	struct watch *x;

	LIST_FOREACH(x, &w->buckets[bucket_number(s->peer_ip, s->peer_port)], bucket_entry)
	{
		const struct tcp_snapshot *t = &x->ctrl->tcp;

		if (t->peer_ip == s->peer_ip && t->peer_port == s->peer_port &&
		    t->local_ip == s->local_ip && t->local_port == s->local_port)
			return x;
	}
	return NULL;
}

void
ctrl_watch(struct ctrl *c)
{
	struct watcher *w = c->engine->watcher;
	struct watch *x = c->watch;

	if (w == NULL || !w->wanted)
		return;
	if (x == NULL) {
		if ((x = calloc(1, sizeof *x)) == NULL)
			return;
		x->ctrl = c;
		c->watch = x;
		TAILQ_INSERT_TAIL(&w->all, x, entry);
		LIST_INSERT_HEAD(
		    &w->buckets[bucket_number(c->tcp.peer_ip, c->tcp.peer_port)], x, bucket_entry);
	}
	x->hole = (struct hole){0};
	c->outrun = false;
	x->asked_ms = loop_now_ms(c->engine->loop);
	x->probes = 0;
}

void
ctrl_unwatch(struct ctrl *c)
{
	struct watch *x = c->watch;
	bool held = c->outrun;

	if (x == NULL)
		return;
	TAILQ_REMOVE(&c->engine->watcher->all, x, entry);
	LIST_REMOVE(x, bucket_entry);
	c->watch = NULL;
	c->outrun = false;
	free(x);
	if (held && c->probe == NULL)
		ctrl_resume(c); /* nobody looks after it any more: what waited is said */
}

/* ---- numbers ---- */

/* What our kernel expects next; without a socket, what we have read. */
static uint32_t
next_expected(const struct ctrl *c)
{
	uint32_t seq = c->tcp.rcv0 + c->rx_bytes;
	socklen_t len = sizeof seq;

	if (c->fd >= 0)
		(void)getsockopt(c->fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len);
	return seq;
}

static uint32_t
next_given(const struct ctrl *c)
{
	return c->tcp.snd0 + c->tx_bytes;
}

/* ---- repair ---- */

/* The stream goes on at rcv: what is missing was whole messages, or we look for the next one. */
static size_t
skip_to(struct ctrl *c, uint32_t rcv)
{
	uint32_t missing = rcv - (c->tcp.rcv0 + c->rx_bytes);
	size_t partial = 0;

	if (missing == 0)
		return 0;
	(void)pptp_framer_partial(&c->framer, &partial);
	pptp_framer_seek(&c->framer);
	c->rx_bytes += missing;
	return partial + missing;
}

/* The client has everything up to snd: what the other gateway said, and what we thought unsaid. */
static void
skip_said(struct ctrl *c, uint32_t snd)
{
	size_t unacked = ctrl_unacked(c);

	if (snd != next_given(c))
		unacked = 0;
	memmove(c->sent, c->sent + c->sent_len - unacked, unacked);
	c->sent_len = unacked;
	c->tx_bytes += snd - next_given(c);
}

static void
repair(struct watch *x)
{
	struct ctrl *c = x->ctrl;
	struct engine *e = c->engine;
	uint32_t rcv = hole_rcv(&x->hole, next_expected(c)),
		 snd = hole_snd(&x->hole, next_given(c));
	size_t lost;

	if (c->probe != NULL || next_expected(c) != c->tcp.rcv0 + c->rx_bytes)
		return; /* there is something to read first */
	if (x->repairs++ == REPAIRS_MAX) {
		ctrl_close(c, "out of step with its client after the takeover");
		return;
	}
	e->stats.holes++;
	log_info("hole in a control connection peer=%s missing=%u unknown=%u", c->name,
	    rcv - next_expected(c), snd - next_given(c));
	skip_said(c, snd);
	lost = skip_to(c, rcv);
	io_fini(&c->io);
	priv_silent_close(e->priv, c->fd);
	c->fd = -1;
	x->hole = (struct hole){0};
	if (hole_held_echo(lost))
		ctrl_send(c, &(struct pptp_message){
				 .type = PPTP_ECHO_RP, .echo_id = ++c->peer_echo_id, .result = 1});
	else
		ctrl_settle(c);
	if (!c->gone)
		ctrl_restore_add(c);
}

static void
in_step(struct watch *x)
{
	struct ctrl *c = x->ctrl;

	if (x->repairs > 0) {
		c->engine->stats.holes_repaired++;
		log_info("hole repaired peer=%s", c->name);
	}
	ctrl_unwatch(c);
}

static void
act_on(struct watch *x, enum hole_verdict v)
{
	if (v == HOLE_NONE)
		in_step(x);
	else if (v == HOLE_FOUND && x->ctrl->fd >= 0)
		repair(x);
}

/* ---- the ear ---- */

static void
hear_cb(int events, void *arg)
{
	struct watcher *w = arg;
	uint64_t now = loop_now_ms(w->engine->loop);
	uint8_t packet[PACKET_MAX];
	struct hole_segment s;
	enum hole_verdict v;
	struct watch *x;
	ssize_t n;

	(void)events;
	for (unsigned i = 0; i < HEAR_MAX; i++) {
		n = recv(w->fd, packet, sizeof packet, MSG_DONTWAIT);
		if (n < 0)
			return;
		if (!hole_parse(packet, (size_t)n, &s) || (x = find_watch(w, &s)) == NULL)
			continue;
		v = hole_hear(&x->hole, &s, next_expected(x->ctrl), next_given(x->ctrl), now);
		x->ctrl->outrun = x->hole.ahead;
		act_on(x, v);
	}
}

static void
close_ear(struct watcher *w)
{
	if (w->fd < 0)
		return;
	io_fini(&w->io);
	close(w->fd);
	w->fd = -1;
}

static void
ear_opened(void *arg, int fd, int err)
{
	struct watcher *w = arg;
	struct engine *e = w->engine;

	w->asked = false;
	if (fd >= 0 && (!w->wanted || io_init(&w->io, e->loop, fd, hear_cb, w) < 0)) {
		err = errno;
		close(fd);
		fd = -1;
	}
	if (!w->wanted)
		return;
	if (fd < 0)
		log_warn(
		    "holes in control connections are not looked for error=\"%s\"", strerror(err));
	w->fd = fd;
	if (fd >= 0)
		io_want(&w->io, IO_READ);
	w->ready(e);
}

/* ---- time ---- */

static void
probed(void *arg, int err)
{
	struct probe *p = arg;
	struct ctrl *c = p->ctrl;

	(void)err;
	p->watcher->probing--;
	LIST_REMOVE(p, entry);
	free(p);
	if (c == NULL)
		return;
	c->probe = NULL;
	if (c->finishing)
		ctrl_finish(c);
	else
		ctrl_resume(c);
}

void
ctrl_forget_probe(struct ctrl *c)
{
	if (c->probe != NULL)
		c->probe->ctrl = NULL;
	c->probe = NULL;
}

/* Not a word since it was restored: the window probe, or the answer, was lost. */
static void
probe(struct watcher *w, struct watch *x, uint64_t now)
{
	struct ctrl *c = x->ctrl;
	struct probe *p;

	if (x->hole.heard || c->fd < 0 || c->probe != NULL || x->probes == PROBES_MAX ||
	    now - x->asked_ms < PROBE_AGAIN || w->probing >= PROBES_SLICE)
		return;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return;
	*p = (struct probe){.watcher = w, .ctrl = c};
	LIST_INSERT_HEAD(&w->probes, p, entry);
	c->probe = p;
	io_want(&c->io, 0);
	x->asked_ms = now;
	x->probes++;
	w->probing++;
	priv_probe(w->engine->priv, c->fd, probed, p);
}

static void
watch_tick_cb(void *arg)
{
	struct watcher *w = arg;
	uint64_t now = loop_now_ms(w->engine->loop);
	struct watch *x, *next;

	for (x = TAILQ_FIRST(&w->all); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		probe(w, x, now);
		if (x->hole.missing || x->hole.ahead)
			act_on(x, hole_judge(&x->hole, next_expected(x->ctrl), now));
	}
	if (now >= w->until_ms || (TAILQ_EMPTY(&w->all) && w->engine->restoring == 0))
		ctrl_watch_stop(w->engine);
	else
		timer_set(&w->tick, WATCH_TICK);
}

void
ctrl_watch_start(struct engine *e, void (*ready)(struct engine *e))
{
	struct watcher *w = e->watcher;

	if (w == NULL && (w = calloc(1, sizeof *w)) == NULL) {
		ready(e);
		return;
	}
	if (e->watcher == NULL) {
		w->engine = e;
		w->fd = -1;
		TAILQ_INIT(&w->all);
		timer_init(&w->tick, e->loop, watch_tick_cb, w);
		e->watcher = w;
	}
	w->ready = ready;
	w->wanted = true;
	w->until_ms = loop_now_ms(e->loop) + WATCH_MS;
	timer_set(&w->tick, WATCH_TICK);
	if (w->fd >= 0) {
		ready(e);
	} else if (!w->asked) {
		w->asked = true;
		priv_sniffer(e->priv, ear_opened, w);
	}
}

void
ctrl_watch_stop(struct engine *e)
{
	struct watcher *w = e->watcher;
	struct watch *x;

	if (w == NULL)
		return;
	w->wanted = false;
	while ((x = TAILQ_FIRST(&w->all)) != NULL)
		ctrl_unwatch(x->ctrl);
	close_ear(w);
	timer_cancel(&w->tick);
}

void
ctrl_watch_free(struct engine *e)
{
	struct probe *p;

	ctrl_watch_stop(e);
	while (e->watcher != NULL && (p = LIST_FIRST(&e->watcher->probes)) != NULL) {
		LIST_REMOVE(p, entry);
		free(p);
	}
	free(e->watcher);
	e->watcher = NULL;
}
