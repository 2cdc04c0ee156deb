/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A worker: one thread that waits for its GRE socket, its TUN queue, its ring of orders, and the
 * next deadline, and works in batches. It owns the halves that were ordered to it, takes no lock,
 * and allocates nothing but copies of packets that came too early.
 *
 * Invariant: when a release note is in the ring, no table, list, slot or buffer of this worker
 * points to that half any more.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "pptpd/data/internal.h"

#define ORDERS_SIZE   (256 * 1024)
#define NOTES_SIZE    (1024 * 1024)
#define ORDERS_A_TURN 1024

enum source {
	SOURCE_ORDERS,
	SOURCE_GRE,
	SOURCE_TUN,
	SOURCES
};

static int
watch(struct worker *w, int op, int fd, enum source source)
{
	struct epoll_event e = {.events = w->deaf ? 0 : EPOLLIN, .data.u32 = source};

	return epoll_ctl(w->epoll_fd, op, fd, &e);
}

int
worker_init(struct worker *w, const struct dp_config *c, unsigned index)
{
	w->index = index;
	w->config = c;
	w->crumb = c->crumbs != NULL ? &c->crumbs[index] : NULL;
	w->gre_fd = c->gre_fds[index];
	w->tun_fd = c->tun_fds[index];
	w->late_tail = &w->late_head;
	w->parcels_tail = &w->parcels;
	due_list_init(&w->gaps);
	due_list_init(&w->acks);
	due_list_init(&w->holds);
	due_list_init(&w->steps);
	due_list_init(&w->parks);
	w->unsent_tail = &w->unsent_head;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0 || ring_init(&w->orders, ORDERS_SIZE) < 0 ||
	    ring_init(&w->notes, NOTES_SIZE) < 0 ||
	    outbox_init(&w->outbox, w->gre_fd, c->bind_ip) < 0 ||
	    watch(w, EPOLL_CTL_ADD, w->orders.event_fd, SOURCE_ORDERS) < 0 ||
	    watch(w, EPOLL_CTL_ADD, w->gre_fd, SOURCE_GRE) < 0 ||
	    watch(w, EPOLL_CTL_ADD, w->tun_fd, SOURCE_TUN) < 0)
		return -1;
	w->calls = calloc(CALLS, sizeof(struct dp_session *));
	w->routes = calloc(ROUTE_BUCKETS, sizeof(struct dp_session *));
	w->batch = rx_batch_new();
	w->tun_buf = malloc(TUN_ROOM + TUN_READ_MAX);
	if (w->calls == NULL || w->routes == NULL || w->batch == NULL || w->tun_buf == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

void
worker_fini(struct worker *w)
{
	ring_fini(&w->orders);
	ring_fini(&w->notes);
	outbox_fini(&w->outbox);
	rx_batch_free(w->batch);
	free(w->calls);
	free(w->routes);
	free(w->tun_buf);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
}

void
worker_watch(struct worker *w)
{
	bool deaf = w->paused || doze_is_deaf(w);

	if (deaf == w->deaf)
		return;
	w->deaf = deaf;
	/* One that was lost is watched no more, and stays so. */
	(void)watch(w, EPOLL_CTL_MOD, w->gre_fd, SOURCE_GRE);
	(void)watch(w, EPOLL_CTL_MOD, w->tun_fd, SOURCE_TUN);
}

void
worker_hear(struct worker *w, bool hear)
{
	w->paused = !hear;
	worker_watch(w);
}

static void
detach(struct worker *w, struct dp_session *s, enum half half)
{
	outbox_flush(&w->outbox);
	if (half == HALF_RX) {
		rx_detach(w, s);
		note_later(w, &s->rx.unsent, NOTE_RELEASED);
	} else {
		tx_link(w, s, false, NULL);
		send_detach(w, s);
		note_later(w, &s->tx.unsent, NOTE_RELEASED);
	}
}

static void
attach(struct worker *w, struct dp_session *s, enum half half)
{
	if (half == HALF_TX)
		return; /* nothing to do until there is something to send */
	assert(w->calls[s->call_id] == NULL);
	w->calls[s->call_id] = s;
	park_attach(w, s);
}

static void
set_keys(struct worker *w, struct dp_session *s, struct order *o)
{
	if (o->half == HALF_RX && o->up)
		rx_keys(s, o->key);
	else if (o->half == HALF_RX)
		rx_disarm(s);
	else if (o->up)
		send_keys(w, s, o->key);
	else
		send_disarm(w, s);
	explicit_bzero(o->key, sizeof(o->key));
}

static void export(struct worker *w, struct dp_session *s, const struct order *o)
{
	struct unsent *u = o->half == HALF_RX ? &s->rx.unsent : &s->tx.unsent;

	if (o->half == HALF_TX && o->up)
		send_skip(s, o->seq, o->index);
	if (o->half == HALF_TX)
		send_limit(w, s, o->ahead, o->low_water);
	u->round = o->round;
	note_later(w, u, NOTE_EXPORTED);
}

static void
obey(struct worker *w, struct order *o)
{
	struct dp_session *s = o->session;

	if (s != NULL)
		crumb_set(w->crumb, s->id);
	switch ((enum order_kind)o->kind) {
	case ORDER_ATTACH:
		attach(w, s, (enum half)o->half);
		break;
	case ORDER_KEYS:
		set_keys(w, s, o);
		break;
	case ORDER_LINK:
		if (o->half == HALF_TX) {
			tx_link(w, s, o->up, &o->link);
		} else {
			s->rx.source = o->source;
			s->rx.mtu = o->up ? o->link.mtu : 0;
		}
		break;
	case ORDER_GATE:
	case ORDER_REGATE:
		send_set_gate(w, s, &o->gate, o->low_water);
		break;
	case ORDER_EXPORT:
		export(w, s, o);
		break;
	case ORDER_DETACH:
		detach(w, s, (enum half)o->half);
		break;
	case ORDER_FRAME:
		if (o->seek)
			send_seek(s, o->seq);
		send_frame(w, s, o->protocol, o->payload, o->len);
		break;
	case ORDER_RELAY:
		relay_order(w, o->up, o->round);
		break;
	case ORDER_RESUME:
		relay_resume(w);
		break;
	case ORDER_DOZE:
		doze_order(w, o->up);
		break;
	case ORDER_INJECT_GRE:
	case ORDER_INJECT_IP:
		relay_inject(w, o);
		break;
	}
}

static void
run_orders(struct worker *w)
{
	struct order *o;
	size_t len;

	ring_clear(&w->orders);
	for (unsigned i = 0; i < ORDERS_A_TURN; i++) {
		o = ring_peek(&w->orders, &len);
		if (o == NULL)
			return;
		obey(w, o);
		ring_pop(&w->orders);
	}
	ring_rewake(&w->orders);
}

static struct dp_session *
in_hand(struct worker *w, const struct due *d)
{
	struct dp_session *s = d->owner;

	crumb_set(w->crumb, s->id);
	return s;
}

void
worker_run_due(struct worker *w)
{
	struct due *d;

	doze_due(w);
	if (relay_silent(w))
		return;
	while ((d = due_pop(&w->gaps, w->now_us)) != NULL)
		rx_gap_due(w, in_hand(w, d));
	while ((d = due_pop(&w->acks, w->now_us)) != NULL)
		rx_ack_due(w, in_hand(w, d));
	while ((d = due_pop(&w->steps, w->now_us)) != NULL)
		catchup_due(w, in_hand(w, d));
	while ((d = due_pop(&w->holds, w->now_us)) != NULL)
		send_held_due(w, in_hand(w, d));
	while ((d = due_pop(&w->parks, w->now_us)) != NULL)
		park_due(w, in_hand(w, d));
}

static void
read_clock(struct worker *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	w->now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Milliseconds until the next deadline, rounded up; -1 = none. */
static int
next_timeout(struct worker *w)
{
	struct due_list *lists[] = {&w->gaps, &w->acks, &w->steps, &w->holds, &w->parks};
	uint64_t at_us = doze_is_deaf(w) ? w->doze_until_us : UINT64_MAX;

	if (w->unsent_head != NULL || relay_waits(w))
		return 1;
	if (relay_silent(w))
		return -1;
	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct due *d = due_first(lists[i]);

		if (d != NULL && d->at_us < at_us)
			at_us = d->at_us;
	}
	if (at_us == UINT64_MAX)
		return -1;
	return at_us <= w->now_us ? 0 : (int)((at_us - w->now_us + 999) / 1000);
}

/* A descriptor that is beyond use would wake us for ever. */
static void
unwatch(struct worker *w, int fd, const char *what)
{
	log_warn("data plane input lost worker=%u what=%s", w->index, what);
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void
turn(struct worker *w)
{
	struct epoll_event events[SOURCES];
	uint32_t ready[SOURCES] = {0};
	int n = epoll_wait(w->epoll_fd, events, SOURCES, next_timeout(w));

	for (int i = 0; i < n; i++)
		ready[events[i].data.u32] = events[i].events;
	read_clock(w);
	note_retry(w);
	if (w->relay != RELAY_OFF)
		relay_retry(w);
	if (ready[SOURCE_ORDERS] != 0)
		run_orders(w);
	if (ready[SOURCE_GRE] != 0 && !w->deaf)
		rx_run(w);
	if (ready[SOURCE_TUN] != 0 && !w->deaf)
		tx_run(w);
	worker_run_due(w);
	outbox_flush(&w->outbox);
	ring_kick(&w->notes);
	crumb_set(w->crumb, 0);
	if ((ready[SOURCE_GRE] & EPOLLHUP) != 0)
		unwatch(w, w->gre_fd, "gre");
	if ((ready[SOURCE_TUN] & (EPOLLHUP | EPOLLERR)) != 0)
		unwatch(w, w->tun_fd, "tun");
}

void *
worker_run(void *worker)
{
	struct worker *w = worker;
	char name[16];

	snprintf(name, sizeof(name), "data%u", w->index);
	prctl(PR_SET_NAME, name);
	crumb_begin(w->crumb);
	read_clock(w);
	while (!atomic_load_explicit(&w->stop, memory_order_acquire))
		turn(w);
	return NULL;
}
