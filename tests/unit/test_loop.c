/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loop: timers on the virtual clock, where every order is exact, and the same heap with
 * descriptors and signals in a real loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"

#define START_MS 1000000

struct probe {
	struct timer timer;
	uint64_t fired_ms;
	unsigned fired;
	uint64_t again_ms; /* set again to this, unless 0 */
	unsigned again_max;
	struct timer *cancel; /* cancelled from the callback */
	struct timer *set;    /* set from the callback, in set_ms */
	uint64_t set_ms;
	unsigned *sequence;
	unsigned place;
};

static void
probe_cb(void *arg)
{
	struct probe *p = arg;

	assert_false(timer_pending(&p->timer));
	p->fired++;
	p->fired_ms = loop_now_ms(p->timer.loop);
	if (p->sequence != NULL)
		p->place = (*p->sequence)++;
	if (p->again_ms > 0 && p->fired < p->again_max)
		timer_set(&p->timer, p->again_ms);
	if (p->cancel != NULL)
		timer_cancel(p->cancel);
	if (p->set != NULL)
		timer_set(p->set, p->set_ms);
}

static void
test_virtual_clock(void **state)
{
	struct loop *l = loop_new_virtual();
	struct probe p = {0};

	timer_init(&p.timer, l, probe_cb, &p);
	assert_true(loop_now_ms(l) == START_MS);
	assert_true(loop_next_ms(l) == UINT64_MAX);
	timer_set(&p.timer, 10);
	assert_true(timer_pending(&p.timer));
	assert_true(loop_next_ms(l) == 10);
	loop_advance(l, 9);
	assert_int_equal(p.fired, 0);
	assert_true(loop_next_ms(l) == 1);
	loop_advance(l, 1);
	assert_int_equal(p.fired, 1);
	assert_false(timer_pending(&p.timer));
	loop_advance(l, 1000);
	assert_int_equal(p.fired, 1);
	assert_true(loop_now_ms(l) == START_MS + 1010);
	loop_free(l);
}

/* A callback sees the clock at its own due time, not at the end of the step. */
static void
test_time_in_callback(void **state)
{
	struct loop *l = loop_new_virtual();
	struct probe p = {.again_ms = 7, .again_max = 5};

	timer_init(&p.timer, l, probe_cb, &p);
	timer_set(&p.timer, 7);
	loop_advance(l, 30);
	assert_int_equal(p.fired, 4);
	assert_true(p.fired_ms == START_MS + 28);
	loop_advance(l, 100);
	assert_int_equal(p.fired, 5);
	assert_true(p.fired_ms == START_MS + 35);
	loop_free(l);
}

static void
test_replace_and_cancel(void **state)
{
	struct loop *l = loop_new_virtual();
	struct probe p = {0};
	struct timer zero;

	memset(&zero, 0, sizeof(zero));
	timer_cancel(&zero);
	timer_init(&p.timer, l, probe_cb, &p);
	timer_cancel(&p.timer);
	timer_set(&p.timer, 10);
	timer_set(&p.timer, 50); /* later */
	loop_advance(l, 20);
	assert_int_equal(p.fired, 0);
	timer_set(&p.timer, 5); /* earlier */
	loop_advance(l, 5);
	assert_int_equal(p.fired, 1);
	timer_set(&p.timer, 5);
	timer_cancel(&p.timer);
	timer_cancel(&p.timer);
	assert_false(timer_pending(&p.timer));
	loop_advance(l, 100);
	assert_int_equal(p.fired, 1);
	timer_set(&p.timer, UINT64_MAX); /* no wrap of the sum */
	loop_advance(l, 1000);
	assert_int_equal(p.fired, 1);
	timer_cancel(&p.timer);
	loop_free(l);
}

static void
test_inside_callbacks(void **state)
{
	struct loop *l = loop_new_virtual();
	struct probe a = {0}, b = {0}, c = {0};

	timer_init(&a.timer, l, probe_cb, &a);
	timer_init(&b.timer, l, probe_cb, &b);
	timer_init(&c.timer, l, probe_cb, &c);
	a.cancel = &b.timer; /* due at the same time, but later in order */
	a.set = &c.timer;
	a.set_ms = 3;
	timer_set(&a.timer, 10);
	timer_set(&b.timer, 10);
	timer_set(&c.timer, 10);
	loop_advance(l, 12);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(c.fired, 0); /* pushed from 10 to 13 */
	loop_advance(l, 1);
	assert_int_equal(c.fired, 1);
	assert_true(c.fired_ms == START_MS + 13);

	a = (struct probe){.timer = a.timer, .cancel = &a.timer, .again_ms = 1, .again_max = 9};
	timer_set(&a.timer, 1); /* sets itself, then cancels itself: the last word counts */
	loop_advance(l, 100);
	assert_int_equal(a.fired, 1);

	a = (struct probe){.timer = a.timer, .set = &b.timer, .set_ms = 0};
	timer_set(&a.timer, 5);
	loop_advance(l, 5);
	assert_int_equal(b.fired, 1); /* 0 ms inside a step: the same step still runs it */
	assert_true(b.fired_ms == a.fired_ms);
	loop_free(l);
}

static int
by_due(const void *a, const void *b)
{
	const struct probe *const *p = a, *const *q = b;

	if ((*p)->timer.due_ms != (*q)->timer.due_ms)
		return (*p)->timer.due_ms < (*q)->timer.due_ms ? -1 : 1;
	return (*p)->timer.order < (*q)->timer.order ? -1 : 1;
}

/* Random settings, replacements and cancellations against a plain sort. */
static void
test_heap_order(void **state)
{
	enum {
		N = 500
	};
	struct loop *l = loop_new_virtual();
	struct probe *p = calloc(N, sizeof(*p)), *want[N];
	unsigned sequence = 0, n = 0, seed = 1;

	assert_non_null(p);
	for (unsigned i = 0; i < N; i++) {
		timer_init(&p[i].timer, l, probe_cb, &p[i]);
		p[i].sequence = &sequence;
	}
	for (unsigned i = 0; i < 5 * N; i++) {
		struct timer *t = &p[rand_r(&seed) % N].timer;

		if (rand_r(&seed) % 4 == 0)
			timer_cancel(t);
		else
			timer_set(t, (uint64_t)rand_r(&seed) % 200);
	}
	for (unsigned i = 0; i < N; i++)
		if (timer_pending(&p[i].timer))
			want[n++] = &p[i];
	assert_true(n > N / 2 && n < N);
	qsort(want, n, sizeof(want[0]), by_due);
	loop_advance(l, 200);
	assert_int_equal(sequence, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(want[i]->place, i);
		assert_true(want[i]->fired_ms == want[i]->timer.due_ms);
	}
	free(p);
	loop_free(l);
}

/* The real loop */

struct pipe_test {
	struct loop *loop;
	struct io in, out;
	struct timer late, tick;
	int fd[2];
	unsigned ticks, reads;
	bool drop;
	char got[64];
};

static void
stop_cb(void *arg)
{
	struct pipe_test *t = arg;

	loop_stop(t->loop);
}

static void
tick_cb(void *arg)
{
	struct pipe_test *t = arg;

	t->ticks++;
	timer_set(&t->tick, 0);
}

static void
in_cb(int events, void *arg)
{
	struct pipe_test *t = arg;
	ssize_t n = read(t->fd[0], t->got, sizeof(t->got));

	assert_int_equal(events, IO_READ);
	assert_true(n > 0);
	t->reads++;
	if (t->drop)
		io_fini(&t->in); /* a watcher may end in its own callback */
	loop_stop(t->loop);
}

static void
out_cb(int events, void *arg)
{
	struct pipe_test *t = arg;

	assert_int_equal(events, IO_WRITE);
	assert_int_equal(write(t->fd[1], "hello", 5), 5);
	io_want(&t->out, 0);
}

static void
pipe_setup(struct pipe_test *t)
{
	*t = (struct pipe_test){.loop = loop_new()};
	assert_non_null(t->loop);
	assert_int_equal(pipe(t->fd), 0);
	assert_int_equal(io_init(&t->in, t->loop, t->fd[0], in_cb, t), 0);
	assert_int_equal(io_init(&t->out, t->loop, t->fd[1], out_cb, t), 0);
	timer_init(&t->late, t->loop, stop_cb, t);
	timer_init(&t->tick, t->loop, tick_cb, t);
}

static void
pipe_teardown(struct pipe_test *t)
{
	timer_cancel(&t->late);
	timer_cancel(&t->tick);
	io_fini(&t->in);
	io_fini(&t->in);
	io_fini(&t->out);
	loop_free(t->loop);
	close(t->fd[0]);
	close(t->fd[1]);
}

static void
test_pipe(void **state)
{
	struct pipe_test t;

	pipe_setup(&t);
	io_want(&t.in, IO_READ);
	io_want(&t.out, IO_WRITE);
	timer_set(&t.late, 5000);
	loop_run(t.loop);
	assert_int_equal(t.reads, 1);
	assert_memory_equal(t.got, "hello", 5);

	/* Paused: bytes wait. Level-triggered: they are reported when wanted again. */
	io_want(&t.in, 0);
	assert_int_equal(write(t.fd[1], "again", 5), 5);
	timer_set(&t.late, 20);
	loop_run(t.loop);
	assert_int_equal(t.reads, 1);
	io_want(&t.in, IO_READ);
	t.drop = true;
	loop_run(t.loop);
	assert_int_equal(t.reads, 2);
	assert_memory_equal(t.got, "again", 5);
	pipe_teardown(&t);
}

static void
test_real_time(void **state)
{
	struct pipe_test t;
	struct timespec a, b;
	int64_t took_ms;

	pipe_setup(&t);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_true(loop_now_ms(t.loop) / 1000 - (uint64_t)a.tv_sec <= 1);
	timer_set(&t.late, 50);
	loop_run(t.loop);
	clock_gettime(CLOCK_MONOTONIC, &b);
	took_ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	assert_in_range(took_ms, 49, 1000);
	pipe_teardown(&t);
}

/* A timer that is always due starves neither descriptors nor other timers. */
static void
test_busy_timer(void **state)
{
	struct pipe_test t;

	pipe_setup(&t);
	timer_set(&t.tick, 0);
	io_want(&t.in, IO_READ);
	io_want(&t.out, IO_WRITE);
	timer_set(&t.late, 5000);
	loop_run(t.loop);
	assert_int_equal(t.reads, 1);
	io_want(&t.in, 0);
	timer_set(&t.late, 20);
	loop_run(t.loop);
	assert_true(t.ticks > 2);
	pipe_teardown(&t);
}

static void
on_signal(int signo, void *arg)
{
	struct pipe_test *t = arg;

	t->reads += (unsigned)signo;
	loop_stop(t->loop);
}

static void
test_signal(void **state)
{
	struct pipe_test t;
	struct sig s;

	pipe_setup(&t);
	assert_int_equal(sig_init(&s, t.loop, SIGUSR1, on_signal, &t), 0);
	timer_set(&t.late, 5000);
	raise(SIGUSR1);
	loop_run(t.loop);
	assert_int_equal(t.reads, SIGUSR1);
	sig_fini(&s);
	sig_fini(&s);
	pipe_teardown(&t);
}

static void
test_stop_before_run(void **state)
{
	struct pipe_test t;

	pipe_setup(&t);
	loop_stop(t.loop);
	loop_run(t.loop); /* would hang otherwise */
	pipe_teardown(&t);
}

/* Without a free descriptor number nothing can be opened: all of this must work all the same. */
static void
test_needs_no_descriptor_later(void **state)
{
	struct pipe_test t;
	struct rlimit old, none;
	struct sig s;

	pipe_setup(&t);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(dup(0), -1);
	assert_int_equal(sig_init(&s, t.loop, SIGUSR1, on_signal, &t), 0);
	raise(SIGUSR1);
	loop_run(t.loop);
	io_want(&t.in, IO_READ);
	io_want(&t.out, IO_WRITE);
	timer_set(&t.late, 5000);
	loop_run(t.loop);
	timer_set(&t.late, 1);
	loop_run(t.loop);
	assert_int_equal(t.reads, SIGUSR1 + 1);
	sig_fini(&s);
	assert_null(loop_new());
	assert_int_equal(errno, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	pipe_teardown(&t);
}

/* The other machine's clock may be ahead of ours. */
static void
test_time_of_day(void **state)
{
	uint64_t now = wall_now_ms(), age;

	assert_in_range(now / 1000, (uint64_t)time(NULL) - 1, (uint64_t)time(NULL) + 1);
	age = wall_since_ms(now - 5000);
	assert_in_range(age, 5000, 65000);
	assert_int_equal(wall_since_ms(now + 3600000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_virtual_clock),
	    cmocka_unit_test(test_time_in_callback),
	    cmocka_unit_test(test_replace_and_cancel),
	    cmocka_unit_test(test_inside_callbacks),
	    cmocka_unit_test(test_heap_order),
	    cmocka_unit_test(test_pipe),
	    cmocka_unit_test(test_real_time),
	    cmocka_unit_test(test_busy_timer),
	    cmocka_unit_test(test_signal),
	    cmocka_unit_test(test_stop_before_run),
	    cmocka_unit_test(test_needs_no_descriptor_later),
	    cmocka_unit_test(test_time_of_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
