/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fixture of the tests of two ends of the replica: a serves, b mirrors, and the stream between
 * them comes and goes as a test wants it.
 */
#ifndef TESTS_REPLICA_RIG_H
#define TESTS_REPLICA_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "tests/unit/replica_ends.h"

static struct loop *loop;
static struct end *a, *b;

static inline int
setup(void **state)
{
	(void)state;
	loop = loop_new_virtual();
	a = end_new(loop, "gw1", 7);
	b = end_new(loop, "gw2", 8);
	replica_demote(b->r, 0);
	replica_promote(a->r, 5);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	end_free(a);
	end_free(b);
	loop_free(loop);
	return 0;
}

/* So many sessions and a connection; b has all of it. */
static inline void
in_sync(unsigned sessions)
{
	for (unsigned i = 0; i < sessions; i++)
		end_add(a, i);
	replica_add_connection(a->r, &a->c[0].rc, 10);
	end_connect(a, b);
	end_run(a, b, 5);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_int_equal(end_status(a).version, 2);
	assert_int_equal(end_status(b).version, 2);
}

/* Neither hears what the other one has said last. */
static inline void
lose_stream(void)
{
	a->open = b->open = false;
	a->peer_told = b->peer_told = true;
	replica_disconnected(a->r, "test");
	replica_disconnected(b->r, "test");
	a->out_len = b->out_len = 0;
}

#endif
