/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The role machine: every cell of state x event, and words that come while steps end at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hagent/role.h"

struct begun {
	int work; /* < 0 = nothing */
	unsigned n;
	struct role *role;
	bool done_at_once;
};

static void
on_begin(void *arg, enum role_work work, const char *why)
{
	struct begun *b = arg;

	assert_non_null(why);
	b->work = (int)work;
	b->n++;
	if (b->done_at_once)
		role_event(b->role, ROLE_EV_DONE, "done");
}

#define U  ROLE_UNKNOWN
#define S  ROLE_STANDBY
#define P  ROLE_PROMOTING
#define A  ROLE_ACTIVE
#define D  ROLE_DEMOTING
#define NO (-1)

struct cell {
	int next, work;
};

/* clang-format off */
static const struct cell cells[ROLE_N_STATES][ROLE_N_EVENTS] = {
	/*       MASTER            BACKUP           FAULT            STOP             DEAD              YIELD            REPAIR            DONE     IS_ACTIVE IS_STANDBY */
	[U] = {{P, ROLE_PROMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_ABANDON}, {U, NO},          {U, NO},           {U, NO}, {A, NO}, {S, NO}},
	[S] = {{P, ROLE_PROMOTE}, {S, NO},          {S, NO},          {S, NO},          {D, ROLE_ABANDON}, {S, NO},          {D, ROLE_DEMOTE},  {S, NO}, {S, NO}, {S, NO}},
	[P] = {{P, NO},           {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_ABANDON}, {D, ROLE_DEMOTE}, {P, NO},           {A, NO}, {P, NO}, {P, NO}},
	[A] = {{A, NO},           {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_DEMOTE}, {D, ROLE_ABANDON}, {D, ROLE_DEMOTE}, {P, ROLE_PROMOTE}, {A, NO}, {A, NO}, {A, NO}},
	[D] = {{P, ROLE_PROMOTE}, {D, NO},          {D, NO},          {D, NO},          {D, ROLE_ABANDON}, {D, NO},          {D, NO},           {S, NO}, {D, NO}, {D, NO}},
};
/* Words that bring a new machine into each state. */
static const int way[ROLE_N_STATES][2] = {
	[U] = {NO, NO}, [S] = {ROLE_EV_IS_STANDBY, NO}, [P] = {ROLE_EV_MASTER, NO},
	[A] = {ROLE_EV_IS_ACTIVE, NO}, [D] = {ROLE_EV_IS_ACTIVE, ROLE_EV_BACKUP},
};
/* clang-format on */

static void
bring(struct role *r, int state, struct begun *b)
{
	role_init(r, on_begin, b);
	for (int i = 0; i < 2; i++) {
		if (way[state][i] != NO)
			role_event(r, (enum role_event)way[state][i], "way");
	}
	assert_int_equal(role_state(r), state);
	b->work = NO;
	b->n = 0;
}

static void
test_every_cell(void **state)
{
	for (int s = 0; s < ROLE_N_STATES; s++) {
		for (int e = 0; e < ROLE_N_EVENTS; e++) {
			const struct cell *c = &cells[s][e];
			struct begun b = {0};
			struct role r;
			bool moves = c->work != NO || c->next != s;

			bring(&r, s, &b);
			if (role_event(&r, (enum role_event)e, "test") != moves ||
			    (int)role_state(&r) != c->next || b.work != c->work)
				fail_msg("state %d event %s: got %s work %d, want %d work %d", s,
				    role_event_name((enum role_event)e), role_name(&r), b.work,
				    c->next, c->work);
			assert_int_equal(b.n, c->work != NO);
		}
	}
}

/* The same word twice begins one transition, except keepalived's death. */
static void
test_twice(void **state)
{
	struct begun b = {0};
	struct role r;

	role_init(&r, on_begin, &b);
	for (int i = 0; i < 3; i++)
		role_event(&r, ROLE_EV_MASTER, "again");
	assert_int_equal(b.n, 1);
	role_event(&r, ROLE_EV_DONE, "");
	role_event(&r, ROLE_EV_MASTER, "again");
	assert_int_equal(b.n, 1);
	assert_int_equal(role_state(&r), ROLE_ACTIVE);
	for (int i = 0; i < 3; i++)
		role_event(&r, ROLE_EV_FAULT, "again");
	assert_int_equal(b.n, 2);
}

static void
test_steps_that_end_at_once(void **state)
{
	struct role r;
	struct begun b = {.role = &r, .done_at_once = true};

	role_init(&r, on_begin, &b);
	role_event(&r, ROLE_EV_MASTER, "");
	assert_int_equal(role_state(&r), ROLE_ACTIVE);
	role_event(&r, ROLE_EV_BACKUP, "");
	assert_int_equal(role_state(&r), ROLE_STANDBY);
	assert_int_equal(b.n, 2);
}

static void
test_names(void **state)
{
	assert_string_equal(role_work_name(ROLE_PROMOTE), "MASTER");
	assert_string_equal(role_work_name(ROLE_DEMOTE), "BACKUP");
	assert_string_equal(role_work_name(ROLE_ABANDON), "ABANDON");
	assert_string_equal(role_event_name(ROLE_EV_IS_STANDBY), "IS_STANDBY");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cell),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_steps_that_end_at_once),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
