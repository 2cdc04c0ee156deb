/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The event loop and the one clock. A real loop runs on libevent; a virtual one has no descriptors
 * and its clock moves only when loop_advance() is called, so tests run on it without waiting.
 * libevent appears in loop.c and nowhere else. One loop belongs to one thread.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct event;
struct event_base;

struct loop *loop_new(void);         /* NULL with errno set */
struct loop *loop_new_virtual(void); /* clock starts at 1,000,000 ms */
void loop_free(struct loop *l);      /* all timers, watchers must be finished before */
void loop_run(struct loop *l);       /* until loop_stop() */
void loop_stop(struct loop *l);
uint64_t loop_now_ms(const struct loop *l); /* monotonic; real: cached per turn of the loop */
/* The time of day, for what two machines compare: ms since 1970, and ms since then_ms or 0. */
uint64_t wall_now_ms(void);
uint64_t wall_since_ms(uint64_t then_ms);
/* Virtual only: moves the clock by ms, running every timer that falls due, in order of time. */
void loop_advance(struct loop *l, uint64_t ms);
/* Virtual only: ms until the next timer, or UINT64_MAX. */
uint64_t loop_next_ms(const struct loop *l);

/* libevent's own, for libevent's HTTP and TLS, which run beside ours; NULL of a virtual loop. */
struct event_base *loop_event_base(struct loop *l);

/* A one-shot timer, embedded in its owner. The callback may set it again or cancel any timer. */
struct timer {
	struct loop *loop;
	void (*cb)(void *arg);
	void *arg;
	uint64_t due_ms;
	size_t slot;    /* 1-based place in the loop's heap; 0 = not set */
	uint64_t order; /* of setting: timers due at the same time run in it */
};

void timer_init(struct timer *t, struct loop *l, void (*cb)(void *arg), void *arg);
void timer_set(struct timer *t, uint64_t in_ms); /* replaces an earlier setting */
void timer_cancel(struct timer *t);              /* harmless if not set, or all zero */
bool timer_pending(const struct timer *t);

/* A level-triggered descriptor watcher, embedded in its owner; the descriptor stays the owner's.
 * On a virtual loop it never fires by itself: a test calls io->cb(). */
#define IO_READ  1
#define IO_WRITE 2
struct io {
	struct loop *loop;
	int fd;
	void (*cb)(int events, void *arg);
	void *arg;
	int want;
	struct event *ev;
};

int io_init(struct io *io, struct loop *l, int fd, void (*cb)(int events, void *arg), void *arg);
void io_want(struct io *io, int events); /* 0 pauses */
void io_fini(struct io *io);             /* harmless when zeroed or already finished */

/* A signal as an ordinary event. */
struct sig {
	struct loop *loop;
	void (*cb)(int signo, void *arg);
	void *arg;
	struct event *ev;
};

int sig_init(struct sig *s, struct loop *l, int signo, void (*cb)(int signo, void *arg), void *arg);
void sig_fini(struct sig *s);

#endif
