/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The event loop. Timers are ours: a binary heap ordered by (due, order of setting), driven by one
 * timerfd in a real loop and by loop_advance() in a virtual one. Descriptors and signals are
 * libevent's. Everything that needs the file system or a new descriptor happens in loop_new(), so
 * that a process may give both up afterwards.
 *
 * Invariants: heap[i]->slot == i + 1; no timer in the heap is due before its parent; a callback is
 * the last thing that touches its timer or watcher, so that it may finish or set it again.
 */
#include "common/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define VIRTUAL_START_MS 1000000

struct loop {
	struct event_base *base; /* NULL: virtual */
	int timer_fd;
	struct event *timer_ev;
	uint64_t armed_ms; /* what timer_fd is set to: UINT64_MAX = off, 0 = set anew */
	bool stop;
	bool in_turn; /* now_ms is this turn's */
	uint64_t now_ms;
	uint64_t next_order;
	unsigned n_watchers;
	struct timer **heap;
	size_t n, room;
};

static uint64_t
read_clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t
clock_ms(void)
{
	return read_clock_ms(CLOCK_MONOTONIC);
}

uint64_t
wall_now_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

uint64_t
wall_since_ms(uint64_t then_ms)
{
	uint64_t now = wall_now_ms();

	return now > then_ms ? now - then_ms : 0;
}

/* The first callback of a turn reads the clock for all of them. */
static void
begin_turn(struct loop *l)
{
	if (l->in_turn)
		return;
	l->in_turn = true;
	l->now_ms = clock_ms();
}

/* The heap */

static bool
is_before(const struct timer *a, const struct timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void
heap_place(struct loop *l, size_t i, struct timer *t)
{
	l->heap[i] = t;
	t->slot = i + 1;
}

static void
heap_up(struct loop *l, size_t i, struct timer *t)
{
	for (; i > 0 && is_before(t, l->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_place(l, i, l->heap[(i - 1) / 2]);
	heap_place(l, i, t);
}

static void
heap_down(struct loop *l, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < l->n && is_before(l->heap[child + 1], l->heap[child]))
			child++;
		if (child >= l->n || !is_before(l->heap[child], t))
			break;
		heap_place(l, i, l->heap[child]);
		i = child;
	}
	heap_place(l, i, t);
}

static void
heap_remove(struct loop *l, struct timer *t)
{
	size_t i = t->slot - 1;
	struct timer *last = l->heap[--l->n];

	t->slot = 0;
	if (last == t)
		return;
	if (i > 0 && is_before(last, l->heap[(i - 1) / 2]))
		heap_up(l, i, last);
	else
		heap_down(l, i, last);
}

static void
heap_add(struct loop *l, struct timer *t)
{
	if (l->n == l->room) {
		size_t room = l->room > 0 ? 2 * l->room : 64;
		struct timer **heap = realloc(l->heap, room * sizeof(struct timer *));

		if (heap == NULL)
			log_fatal("loop out of memory timers=%zu", l->n);
		l->heap = heap;
		l->room = room;
	}
	heap_up(l, l->n++, t);
}

void
timer_init(struct timer *t, struct loop *l, void (*cb)(void *arg), void *arg)
{
	*t = (struct timer){.loop = l, .cb = cb, .arg = arg};
}

void
timer_set(struct timer *t, uint64_t in_ms)
{
	uint64_t now_ms = loop_now_ms(t->loop);

	timer_cancel(t);
	t->due_ms = in_ms < UINT64_MAX - now_ms ? now_ms + in_ms : UINT64_MAX;
	t->order = t->loop->next_order++;
	heap_add(t->loop, t);
}

void
timer_cancel(struct timer *t)
{
	if (t->slot != 0)
		heap_remove(t->loop, t);
}

bool
timer_pending(const struct timer *t)
{
	return t->slot != 0;
}

/*
 * Runs what is due. A timer set meanwhile waits for the next turn even if it is due at once (its
 * order is past the end), so that one that always sets itself to 0 ms cannot starve descriptors.
 */
static void
run_due(struct loop *l)
{
	uint64_t end = l->next_order;

	while (l->n > 0 && l->heap[0]->due_ms <= l->now_ms && l->heap[0]->order < end) {
		struct timer *t = l->heap[0];

		heap_remove(l, t);
		t->cb(t->arg);
	}
}

/* The loop */

static void
libevent_log_cb(int severity, const char *message)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent message=\"%s\"", message);
}

static void
timer_fd_cb(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	begin_turn(l);
	l->armed_ms = 0; /* setting it again also clears its readiness */
	run_due(l);
}

static void
arm(struct loop *l)
{
	uint64_t due_ms = l->n > 0 ? l->heap[0]->due_ms : UINT64_MAX;
	struct itimerspec when = {0};

	if (due_ms == l->armed_ms)
		return;
	if (due_ms != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(due_ms / 1000);
		when.it_value.tv_nsec = (long)(due_ms % 1000) * 1000000;
	}
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
	l->armed_ms = due_ms;
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	event_set_log_callback(libevent_log_cb);
	if (event_config_require_features(config, EV_FEATURE_O1) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0) {
		free(l);
		return NULL;
	}
	errno = 0;
	l->base = base_new();
	if (l->base == NULL)
		goto out;
	l->timer_ev = event_new(l->base, l->timer_fd, EV_READ | EV_PERSIST, timer_fd_cb, l);
	if (l->timer_ev != NULL && event_add(l->timer_ev, NULL) == 0)
		return l;
out:
	if (errno == 0)
		errno = ENOMEM;
	loop_free(l);
	return NULL;
}

struct loop *
loop_new_virtual(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->timer_fd = -1;
	l->now_ms = VIRTUAL_START_MS;
	return l;
}

void
loop_free(struct loop *l)
{
	int saved_errno = errno;

	if (l == NULL)
		return;
	assert(l->n == 0 && l->n_watchers == 0);
	if (l->timer_ev != NULL)
		event_free(l->timer_ev);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	free(l->heap);
	free(l);
	errno = saved_errno;
}

void
loop_run(struct loop *l)
{
	assert(l->base != NULL);
	while (!l->stop) {
		arm(l);
		l->in_turn = false;
		event_base_loop(l->base, EVLOOP_ONCE);
	}
	l->in_turn = false;
	l->stop = false;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

uint64_t
loop_now_ms(const struct loop *l)
{
	return l->base == NULL || l->in_turn ? l->now_ms : clock_ms();
}

struct event_base *
loop_event_base(struct loop *l)
{
	return l->base;
}

void
loop_advance(struct loop *l, uint64_t ms)
{
	uint64_t end_ms = l->now_ms + ms;

	assert(l->base == NULL && end_ms >= l->now_ms);
	while (l->n > 0 && l->heap[0]->due_ms <= end_ms) {
		l->now_ms = l->heap[0]->due_ms;
		run_due(l);
	}
	l->now_ms = end_ms;
}

uint64_t
loop_next_ms(const struct loop *l)
{
	assert(l->base == NULL);
	return l->n > 0 ? l->heap[0]->due_ms - l->now_ms : UINT64_MAX;
}

/* Descriptors */

static void
io_cb(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;
	int events = (what & EV_READ ? IO_READ : 0) | (what & EV_WRITE ? IO_WRITE : 0);

	begin_turn(io->loop);
	io->cb(events, io->arg);
}

int
io_init(struct io *io, struct loop *l, int fd, void (*cb)(int events, void *arg), void *arg)
{
	*io = (struct io){.loop = l, .fd = fd, .cb = cb, .arg = arg};
	if (l->base == NULL)
		return 0;
	io->ev = event_new(l->base, fd, EV_READ | EV_PERSIST, io_cb, io);
	if (io->ev == NULL) {
		errno = ENOMEM;
		return -1;
	}
	l->n_watchers++;
	return 0;
}

void
io_want(struct io *io, int events)
{
	short what = EV_PERSIST;

	if (io->ev == NULL || events == io->want) {
		io->want = events;
		return;
	}
	if (events & IO_READ)
		what |= EV_READ;
	if (events & IO_WRITE)
		what |= EV_WRITE;
	event_del(io->ev);
	io->want = events;
	if (events == 0)
		return;
	if (event_assign(io->ev, io->loop->base, io->fd, what, io_cb, io) < 0 ||
	    event_add(io->ev, NULL) < 0) {
		io->want = 0;
		log_warn("loop cannot watch fd=%d error=\"%m\"", io->fd);
	}
}

void
io_fini(struct io *io)
{
	if (io->ev == NULL)
		return;
	event_free(io->ev);
	io->ev = NULL;
	io->want = 0;
	io->loop->n_watchers--;
}

/* Signals */

static void
sig_cb(evutil_socket_t signo, short what, void *arg)
{
	struct sig *s = arg;

	begin_turn(s->loop);
	s->cb((int)signo, s->arg);
}

int
sig_init(struct sig *s, struct loop *l, int signo, void (*cb)(int signo, void *arg), void *arg)
{
	*s = (struct sig){.loop = l, .cb = cb, .arg = arg};
	assert(l->base != NULL);
	s->ev = evsignal_new(l->base, signo, sig_cb, s);
	if (s->ev == NULL || event_add(s->ev, NULL) < 0) {
		if (s->ev != NULL)
			event_free(s->ev);
		s->ev = NULL;
		errno = ENOMEM;
		return -1;
	}
	l->n_watchers++;
	return 0;
}

void
sig_fini(struct sig *s)
{
	if (s->ev == NULL)
		return;
	event_free(s->ev);
	s->ev = NULL;
	s->loop->n_watchers--;
}
