/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ring with one thread (edges) and with two (order and content under load), and the list of
 * deadlines.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pptpd/data/due.h"
#include "pptpd/data/ring.h"

static void
put(struct ring *r, uint8_t fill, size_t len)
{
	void *at = ring_reserve(r, len);

	assert_non_null(at);
	assert_int_equal((uintptr_t)at % 8, 0);
	memset(at, fill, len);
	ring_commit(r);
}

static void
expect(struct ring *r, uint8_t fill, size_t len)
{
	size_t got = 0;
	const uint8_t *at = ring_peek(r, &got);

	assert_non_null(at);
	assert_int_equal(got, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(at[i], fill);
	ring_pop(r);
}

static void
test_empty_and_full(void **state)
{
	struct ring r;
	size_t len;

	assert_int_equal(ring_init(&r, 64), 0);
	assert_null(ring_peek(&r, &len));
	assert_int_equal(ring_room(&r), 64);
	put(&r, 1, 24);
	put(&r, 2, 24);
	assert_int_equal(ring_room(&r), 0);
	assert_null(ring_reserve(&r, 0));
	expect(&r, 1, 24);
	expect(&r, 2, 24);
	assert_null(ring_peek(&r, &len));
	assert_null(ring_reserve(&r, 25)); /* never more than half */
	ring_fini(&r);
}

/* A reservation that is not committed leaves no trace. */
static void
test_uncommitted(void **state)
{
	struct ring r;
	size_t len;

	assert_int_equal(ring_init(&r, 64), 0);
	assert_non_null(ring_reserve(&r, 20));
	assert_null(ring_peek(&r, &len));
	put(&r, 7, 3);
	expect(&r, 7, 3);
	assert_null(ring_peek(&r, &len));
	ring_fini(&r);
}

/* Every length at every place of the ring: fillers, exact ends, positions far beyond the size. */
static void
test_every_place(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, 256), 0);
	for (unsigned round = 0; round < 50; round++) {
		for (size_t len = 0; len <= 120; len++) {
			put(&r, (uint8_t)len, len);
			if (len <= 64)
				put(&r, (uint8_t)(len + 1), 9);
			expect(&r, (uint8_t)len, len);
			if (len <= 64)
				expect(&r, (uint8_t)(len + 1), 9);
		}
	}
	assert_int_equal(ring_room(&r), 256);
	ring_fini(&r);
}

/* The counters pass 2^32. */
static void
test_wrap(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, 64), 0);
	r.head = r.tail = 0u - 32;
	for (unsigned i = 0; i < 20; i++) {
		put(&r, (uint8_t)i, 16);
		put(&r, (uint8_t)(i + 100), 5);
		expect(&r, (uint8_t)i, 16);
		expect(&r, (uint8_t)(i + 100), 5);
	}
	assert_true(r.tail < 0u - 32);
	ring_fini(&r);
}

static bool
is_awake(const struct ring *r)
{
	struct pollfd p = {.fd = r->event_fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void
test_kick(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, 64), 0);
	ring_kick(&r);
	assert_false(is_awake(&r));
	put(&r, 1, 1);
	ring_kick(&r);
	assert_true(is_awake(&r));
	ring_clear(&r);
	assert_false(is_awake(&r));
	ring_kick(&r); /* nothing new */
	assert_false(is_awake(&r));
	ring_rewake(&r);
	assert_true(is_awake(&r));
	ring_fini(&r);
	ring_fini(&r);
}

#define RECORDS 200000

static size_t
length_of(uint32_t i)
{
	return 4 + (i * 2654435761u >> 16) % 90;
}

static void *
produce(void *arg)
{
	struct ring *r = arg;

	for (uint32_t i = 0; i < RECORDS; i++) {
		size_t len = length_of(i);
		uint8_t *at;

		while ((at = ring_reserve(r, len)) == NULL) {
			ring_kick(r);
			sched_yield();
		}
		memset(at, (uint8_t)i, len);
		memcpy(at, &i, sizeof(i));
		ring_commit(r);
		if (i % 7 == 0)
			ring_kick(r);
	}
	ring_kick(r);
	return NULL;
}

static void
test_two_threads(void **state)
{
	struct ring r;
	pthread_t thread;
	uint32_t next = 0;

	assert_int_equal(ring_init(&r, 1024), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &r), 0);
	while (next < RECORDS) {
		struct pollfd p = {.fd = r.event_fd, .events = POLLIN};
		const uint8_t *at;
		size_t len;

		/* A lost wake-up shows as a time-out. */
		assert_int_equal(poll(&p, 1, 10000), 1);
		ring_clear(&r);
		while ((at = ring_peek(&r, &len)) != NULL) {
			uint32_t i;

			memcpy(&i, at, sizeof(i));
			assert_int_equal(i, next);
			assert_int_equal(len, length_of(i));
			if (len > 4)
				assert_int_equal(at[len - 1], (uint8_t)i);
			next++;
			ring_pop(&r);
		}
	}
	pthread_join(thread, NULL);
	ring_fini(&r);
}

static void
test_due(void **state)
{
	struct due_list l;
	struct due d[4] = {0};

	due_list_init(&l);
	assert_null(due_first(&l));
	assert_null(due_pop(&l, UINT64_MAX));
	due_set(&l, &d[0], 20);
	due_set(&l, &d[1], 10);
	due_set(&l, &d[2], 20);
	due_set(&l, &d[3], 15);
	assert_true(due_pending(&d[3]));
	due_cancel(&d[3]);
	due_cancel(&d[3]);
	assert_false(due_pending(&d[3]));
	assert_ptr_equal(due_first(&l), &d[1]);
	assert_null(due_pop(&l, 9));
	assert_ptr_equal(due_pop(&l, 10), &d[1]);
	assert_null(due_pop(&l, 19));
	assert_ptr_equal(due_pop(&l, 20), &d[0]); /* same time: as set */
	assert_ptr_equal(due_pop(&l, 20), &d[2]);
	assert_null(due_first(&l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_and_full),
	    cmocka_unit_test(test_uncommitted),
	    cmocka_unit_test(test_every_place),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_kick),
	    cmocka_unit_test(test_two_threads),
	    cmocka_unit_test(test_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
