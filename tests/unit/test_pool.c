/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The address pool: order, hints, addresses from elsewhere, reload, and that its size costs
 * nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pptpd/conf/pool.h"

#define NET 0x0a000000u /* 10.0.0.0 */

static struct pool *
new_pool(const char *list)
{
	const char *want;
	struct ip_list l;
	struct pool *p;

	assert_int_equal(ip_list_parse(list, &l, &want), 0);
	p = pool_new(&l);
	ip_list_fini(&l);
	assert_non_null(p);
	return p;
}

static void
reload(struct pool *p, const char *list)
{
	const char *want;
	struct ip_list l;

	assert_int_equal(ip_list_parse(list, &l, &want), 0);
	assert_int_equal(pool_reload(p, &l), 0);
	ip_list_fini(&l);
}

static uint32_t
take(struct pool *p, const char *hint)
{
	static int owner;

	return pool_take(p, hint, NULL, NULL, &owner);
}

static void
test_order(void **state)
{
	struct pool *p = new_pool("10.0.0.7-8,10.0.0.2");
	int a, b;

	assert_int_equal(pool_size(p), 3);
	assert_int_equal(pool_take(p, NULL, NULL, NULL, &a), NET + 7);
	assert_int_equal(pool_take(p, NULL, NULL, NULL, &b), NET + 8);
	assert_ptr_equal(pool_owner(p, NET + 7), &a);
	assert_ptr_equal(pool_owner(p, NET + 8), &b);
	assert_null(pool_owner(p, NET + 2));
	assert_null(pool_owner(p, NET + 99));
	assert_int_equal(pool_used(p), 2);
	assert_int_equal(take(p, NULL), NET + 2);
	assert_int_equal(take(p, NULL), 0);
	assert_int_equal(pool_used(p), 3);
	/* least recently used first */
	pool_release(p, NET + 8);
	pool_release(p, NET + 2);
	pool_release(p, NET + 7);
	pool_release(p, NET + 7); /* twice, and a stranger: nothing happens */
	pool_release(p, NET + 99);
	assert_int_equal(pool_used(p), 0);
	assert_int_equal(take(p, NULL), NET + 8);
	assert_int_equal(take(p, NULL), NET + 2);
	assert_int_equal(take(p, NULL), NET + 7);
	pool_free(p);
	pool_free(NULL);
}

static void
test_hints(void **state)
{
	struct pool *p = new_pool("10.0.0.1-5");

	assert_int_equal(take(p, "bob"), NET + 1);
	assert_int_equal(take(p, "alice"), NET + 2);
	pool_release(p, NET + 1);
	pool_release(p, NET + 2);
	assert_int_equal(take(p, "alice"), NET + 2);
	assert_int_equal(take(p, "bob"), NET + 1);
	/* his address is in use: the least recently used one; both are remembered, the later first
	 */
	assert_int_equal(take(p, "bob"), NET + 3);
	pool_release(p, NET + 3);
	pool_release(p, NET + 1);
	assert_int_equal(take(p, "bob"), NET + 1);
	assert_int_equal(take(p, "bob"), NET + 3);
	/* a third party takes it over: forgotten */
	pool_release(p, NET + 3);
	assert_int_equal(take(p, NULL), NET + 4);
	assert_int_equal(take(p, NULL), NET + 5);
	assert_int_equal(take(p, "carol"), NET + 3);
	pool_release(p, NET + 4);
	pool_release(p, NET + 3);
	assert_int_equal(take(p, "bob"), NET + 4);
	assert_int_equal(take(p, "carol"), NET + 3);
	pool_free(p);
}

static bool
above_3(void *arg, uint32_t ip)
{
	++*(int *)arg;
	return ip > NET + 3;
}

static bool
never(void *arg, uint32_t ip)
{
	return false;
}

static void
test_allows(void **state)
{
	struct pool *p = new_pool("10.0.0.1-5");
	int calls = 0, owner;

	assert_int_equal(take(p, "bob"), NET + 1);
	pool_release(p, NET + 1);
	assert_int_equal(pool_take(p, "bob", above_3, &calls, &owner), NET + 4);
	assert_int_equal(calls, 4); /* .1 by its hint, then .2, .3, .4 */
	assert_int_equal(pool_take(p, "bob", never, NULL, &owner), 0);
	assert_int_equal(pool_used(p), 1);
	pool_free(p);
}

static void
test_given_addresses(void **state)
{
	struct pool *p = new_pool("10.0.0.1-2");
	int a, b;

	assert_int_equal(pool_take_ip(p, NET + 1, &a), 0);
	assert_int_equal(pool_used(p), 1);
	errno = 0;
	assert_int_equal(pool_take_ip(p, NET + 1, &b), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_ptr_equal(pool_owner(p, NET + 1), &a);
	assert_int_equal(take(p, NULL), NET + 2);
	assert_int_equal(take(p, NULL), 0);
	/* outside the pool */
	assert_int_equal(pool_take_ip(p, NET + 50, &b), 0);
	assert_ptr_equal(pool_owner(p, NET + 50), &b);
	assert_int_equal(pool_take_ip(p, NET + 50, &a), -1);
	assert_int_equal(pool_used(p), 2);
	pool_release(p, NET + 50);
	assert_null(pool_owner(p, NET + 50));
	assert_int_equal(take(p, NULL), 0);
	assert_int_equal(pool_take_ip(p, NET + 50, &a), 0);
	/* whose address it was is not known any more */
	pool_release(p, NET + 2);
	assert_int_equal(take(p, "bob"), NET + 2);
	pool_release(p, NET + 2);
	assert_int_equal(pool_take_ip(p, NET + 2, &a), 0);
	pool_release(p, NET + 1);
	pool_release(p, NET + 2);
	assert_int_equal(take(p, "bob"), NET + 1);
	pool_free(p);
}

static void
test_reload(void **state)
{
	struct pool *p = new_pool("10.0.0.1-6");
	int a, outside;

	assert_int_equal(pool_take(p, "a", NULL, NULL, &a), NET + 1);
	assert_int_equal(take(p, "b"), NET + 2);
	assert_int_equal(take(p, "c"), NET + 3);
	assert_int_equal(take(p, "d"), NET + 4);
	assert_int_equal(pool_take_ip(p, NET + 50, &outside), 0);
	assert_int_equal(pool_take_ip(p, NET + 60, &outside), 0);
	pool_release(p, NET + 3);
	pool_release(p, NET + 4);
	/* 1, 5 and 6 go away, 50 and 70 come; 1 and 60 are in use outside the pool */
	reload(p, "10.0.0.2-4,10.0.0.50,10.0.0.70");
	assert_int_equal(pool_size(p), 5);
	assert_int_equal(pool_used(p), 2);
	assert_ptr_equal(pool_owner(p, NET + 1), &a);
	assert_non_null(pool_owner(p, NET + 2));
	assert_ptr_equal(pool_owner(p, NET + 50), &outside);
	assert_ptr_equal(pool_owner(p, NET + 60), &outside);
	/* hints survive, new addresses come before used ones, and those in their old order */
	assert_int_equal(take(p, "d"), NET + 4);
	pool_release(p, NET + 4);
	assert_int_equal(take(p, NULL), NET + 70);
	assert_int_equal(take(p, NULL), NET + 3);
	assert_int_equal(take(p, NULL), NET + 4);
	assert_int_equal(take(p, NULL), 0);
	/* one in use outside leaves for good, one in use inside comes back */
	pool_release(p, NET + 1);
	pool_release(p, NET + 60);
	pool_release(p, NET + 50);
	pool_release(p, NET + 2);
	assert_int_equal(take(p, "b"), NET + 2);
	assert_int_equal(take(p, NULL), NET + 50);
	assert_int_equal(take(p, NULL), 0);
	assert_int_equal(pool_used(p), pool_size(p));
	pool_free(p);
}

static void
test_reload_to_nothing_and_back(void **state)
{
	static const struct ip_list empty;
	struct pool *p = pool_new(&empty);

	assert_non_null(p);
	assert_int_equal(pool_size(p), 0);
	assert_int_equal(take(p, "x"), 0);
	reload(p, "10.0.0.1-3");
	assert_int_equal(take(p, "x"), NET + 1);
	assert_int_equal(pool_reload(p, &empty), 0);
	assert_int_equal(pool_size(p), 0);
	assert_int_equal(pool_used(p), 0);
	assert_non_null(pool_owner(p, NET + 1));
	reload(p, "10.0.0.1-3");
	assert_int_equal(pool_used(p), 1);
	pool_release(p, NET + 1);
	assert_int_equal(take(p, NULL), NET + 2);
	assert_int_equal(take(p, "x"), NET + 1);
	pool_free(p);
}

/* A model with plain arrays, against which random steps are compared. */
static void
test_against_model(void **state)
{
	enum {
		N = 40
	};
	uint64_t freed_at[N] = {0}, now = 0;
	int owners[N], *owner_of[N] = {NULL};
	struct pool *p = new_pool("10.0.0.1-40");
	uint32_t seed = 1, ip, used = 0;
	int best;

	for (int i = 0; i < N; i++)
		freed_at[i] = now++;
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31) {
			best = -1;
			for (int i = 0; i < N; i++)
				if (owner_of[i] == NULL &&
				    (best < 0 || freed_at[i] < freed_at[best]))
					best = i;
			ip = pool_take(p, NULL, NULL, NULL, &owners[best < 0 ? 0 : best]);
			assert_int_equal(ip, best < 0 ? 0 : NET + 1 + (uint32_t)best);
			if (best >= 0) {
				owner_of[best] = &owners[best];
				used++;
			}
		} else {
			best = (int)(seed >> 8) % N;
			best = best < 0 ? -best : best;
			pool_release(p, NET + 1 + (uint32_t)best);
			if (owner_of[best] != NULL) {
				owner_of[best] = NULL;
				freed_at[best] = now++;
				used--;
			}
		}
		assert_int_equal(pool_used(p), used);
	}
	pool_free(p);
}

/* 65,536 addresses, all taken and released four times: with lists alone this would take minutes. */
static void
test_large(void **state)
{
	enum {
		N = 65536
	};
	struct pool *p = new_pool("10.0.0.0-10.0.255.255");
	clock_t begin = clock();
	char hint[16];

	for (int round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < N; i++) {
			/* at last: one name had them all, and everybody else comes */
			snprintf(hint, sizeof(hint), "user%u", round == 2 ? 0 : i);
			if (round < 2)
				assert_int_equal(take(p, hint), NET + i);
			else
				assert_int_not_equal(take(p, round == 2 ? hint : NULL), 0);
		}
		assert_int_equal(take(p, "user0"), 0);
		for (uint32_t i = 0; i < N; i++)
			pool_release(p, NET + (i * 40503u & (N - 1)));
		assert_int_equal(pool_used(p), 0);
	}
	assert_int_equal(pool_size(p), N);
	reload(p, "10.0.0.0-10.0.255.255,10.1.0.0-10.1.255.255");
	assert_int_equal(pool_size(p), 2 * N);
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
	pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_allows),
	    cmocka_unit_test(test_given_addresses),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_reload_to_nothing_and_back),
	    cmocka_unit_test(test_against_model),
	    cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
