/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The step runner on the virtual clock: order, deadlines, superseding, late ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hagent/steps.h"

/* What the steps "a".."d" do. */
enum behaviour {
	AT_ONCE,
	LATER,   /* the test ends it */
	FAILS,   /* begin() returns -1 */
	STUBBORN /* LATER, and cutting does not end it at once */
};

struct world {
	struct loop *loop;
	struct steps steps;
	enum behaviour does[4];
	unsigned token[4], cuts[4];
	char log[1024]; /* "+a" begun, "a=ok:12" ended, "done7" */
};

static struct world w;

static void __attribute__((format(printf, 1, 2))) note(const char *fmt, ...)
{
	size_t n = strlen(w.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.log + n, sizeof(w.log) - n, fmt, ap);
	va_end(ap);
}

static int
begin(int which, struct steps *s, unsigned token)
{
	note("+%c ", 'a' + which);
	w.token[which] = token;
	if (w.does[which] == AT_ONCE)
		steps_end(s, token, STEP_OK, "");
	errno = ENOENT;
	return w.does[which] == FAILS ? -1 : 0;
}

static bool
cut(int which)
{
	w.cuts[which]++;
	return w.does[which] != STUBBORN;
}

#define STEP(n)                                                                                    \
	static int begin_##n(struct steps *s, unsigned token, void *arg)                           \
	{                                                                                          \
		return begin(n, s, token);                                                         \
	}                                                                                          \
	static bool cut_##n(void *arg)                                                             \
	{                                                                                          \
		return cut(n);                                                                     \
	}
STEP(0)
STEP(1)
STEP(2)
STEP(3)

/* a; b and c side by side; d */
static const struct step list[] = {
    {"a", 0, 100, false, begin_0, cut_0},
    {"b", 1, 200, false, begin_1, cut_1},
    {"c", 1, 50, false, begin_2, cut_2},
    {"d", 6, 100, false, begin_3, cut_3},
};
/* a; b in the background; d */
static const struct step behind[] = {
    {"a", 0, 100, false, begin_0, cut_0},
    {"b", 1, 300, true, begin_1, cut_1},
    {"d", 1, 100, false, begin_3, cut_3},
};

/* a; b and c; d after b alone */
static const struct step lanes[] = {
    {"a", 0, 100, false, begin_0, cut_0},
    {"b", 1, 200, false, begin_1, cut_1},
    {"c", 1, 500, false, begin_2, cut_2},
    {"d", 2, 100, false, begin_3, cut_3},
};

static void
on_step(void *arg, const struct steps_report *r)
{
	note("%s=%s:%llu ", r->step->name, step_result_name(r->result), (unsigned long long)r->ms);
}

static void
on_done(void *arg, uint64_t id)
{
	note("done%llu ", (unsigned long long)id);
}

static int
setup(void **state)
{
	w = (struct world){.loop = loop_new_virtual()};
	steps_init(&w.steps, w.loop, on_step, on_done, NULL);
	return 0;
}

static int
teardown(void **state)
{
	steps_fini(&w.steps);
	loop_free(w.loop);
	return 0;
}

static void
run(uint64_t id)
{
	steps_run(&w.steps, list, 4, id);
}

static void
end(int which)
{
	steps_end(&w.steps, w.token[which], STEP_OK, "");
}

static void
expect(const char *want)
{
	assert_string_equal(w.log, want);
	w.log[0] = '\0';
}

static void
test_all_at_once(void **state)
{
	run(7);
	expect("+a a=ok:0 +b b=ok:0 +c c=ok:0 +d d=ok:0 done7 ");
	assert_false(steps_busy(&w.steps));
	assert_true(loop_next_ms(w.loop) == UINT64_MAX);
}

static void
test_order(void **state)
{
	w.does[0] = w.does[1] = w.does[2] = LATER;
	run(1);
	expect("+a ");
	loop_advance(w.loop, 30);
	end(0);
	expect("a=ok:30 +b +c ");
	loop_advance(w.loop, 5);
	end(1);
	expect("b=ok:5 ");
	assert_true(steps_busy(&w.steps));
	loop_advance(w.loop, 5);
	end(2);
	expect("c=ok:10 +d d=ok:0 done1 ");
}

static void
test_a_failure_stops_nothing(void **state)
{
	w.does[0] = w.does[1] = FAILS;
	run(1);
	expect("+a a=failed:0 +b b=failed:0 +c c=ok:0 +d d=ok:0 done1 ");
}

static void
test_a_step_that_hangs_is_cut(void **state)
{
	w.does[0] = LATER;
	run(1);
	loop_advance(w.loop, 99);
	expect("+a ");
	loop_advance(w.loop, 1);
	expect("a=cut:100 +b b=ok:0 +c c=ok:0 +d d=ok:0 done1 ");
	assert_int_equal(w.cuts[0], 1);
	end(0); /* too late: harmless */
	expect("");
}

static void
test_each_deadline_is_its_own(void **state)
{
	w.does[1] = w.does[2] = LATER;
	run(1);
	loop_advance(w.loop, 50);
	expect("+a a=ok:0 +b +c c=cut:50 ");
	loop_advance(w.loop, 150);
	expect("b=cut:200 +d d=ok:0 done1 ");
}

static void
test_every_step_hangs(void **state)
{
	for (int i = 0; i < 4; i++)
		w.does[i] = STUBBORN;
	run(1);
	loop_advance(w.loop, 100 + 200 + 100);
	expect("+a a=cut:100 +b +c c=cut:50 b=cut:200 +d d=cut:100 done1 ");
	for (int i = 0; i < 4; i++)
		end(i); /* they are gone at last */
	expect("");
}

static void
test_superseded(void **state)
{
	w.does[1] = LATER;
	run(1);
	expect("+a a=ok:0 +b +c c=ok:0 ");
	loop_advance(w.loop, 20);
	w.does[1] = AT_ONCE;
	run(2);
	expect("b=superseded:20 d=superseded:0 "
	       "+a a=ok:0 +b b=ok:0 +c c=ok:0 +d d=ok:0 done2 ");
	assert_int_equal(w.cuts[1], 1);
}

/* Nothing of the new list happens while a cut step of the old one may still do something. */
static void
test_waits_for_what_was_cut(void **state)
{
	w.does[0] = STUBBORN;
	run(3);
	unsigned old = w.token[0];
	w.log[0] = '\0';
	run(4);
	expect("a=superseded:0 b=superseded:0 c=superseded:0 d=superseded:0 ");
	loop_advance(w.loop, 40);
	expect("");
	w.does[0] = AT_ONCE;
	steps_end(&w.steps, old, STEP_OK, "");
	expect("+a a=ok:0 +b b=ok:0 +c c=ok:0 +d d=ok:0 done4 ");
}

static void
test_but_not_for_ever(void **state)
{
	w.does[0] = STUBBORN;
	run(1);
	w.log[0] = '\0';
	run(2);
	w.log[0] = '\0';
	w.does[0] = AT_ONCE;
	loop_advance(w.loop, STEPS_GRACE_MS - 1);
	expect("");
	loop_advance(w.loop, 1);
	expect("+a a=ok:0 +b b=ok:0 +c c=ok:0 +d d=ok:0 done2 ");
}

static void
test_superseded_while_waiting(void **state)
{
	w.does[0] = STUBBORN;
	run(1);
	run(2);
	w.log[0] = '\0';
	w.does[0] = AT_ONCE;
	run(3);
	expect("a=superseded:0 b=superseded:0 c=superseded:0 d=superseded:0 ");
	loop_advance(w.loop, STEPS_GRACE_MS);
	expect("+a a=ok:0 +b b=ok:0 +c c=ok:0 +d d=ok:0 done3 ");
}

static void
test_background(void **state)
{
	w.does[1] = LATER;
	steps_run(&w.steps, behind, 3, 5);
	expect("+a a=ok:0 +b +d d=ok:0 done5 ");
	loop_advance(w.loop, 120);
	end(1);
	expect("b=ok:120 ");
	steps_run(&w.steps, behind, 3, 6);
	w.log[0] = '\0';
	loop_advance(w.loop, 300);
	expect("b=cut:300 ");
	steps_run(&w.steps, behind, 3, 7);
	w.log[0] = '\0';
	w.does[1] = AT_ONCE;
	steps_run(&w.steps, behind, 3, 8);
	expect("b=superseded:0 +a a=ok:0 +b b=ok:0 +d d=ok:0 done8 ");
}

static void
test_nobody_waits_for_what_he_does_not_need(void **state)
{
	w.does[1] = w.does[2] = LATER;
	steps_run(&w.steps, lanes, 4, 1);
	expect("+a a=ok:0 +b +c ");
	loop_advance(w.loop, 10);
	end(1);
	expect("b=ok:10 +d d=ok:0 ");
	assert_true(steps_busy(&w.steps));
	end(2);
	expect("c=ok:10 done1 ");
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_all_at_once),
	    TEST(test_order),
	    TEST(test_a_failure_stops_nothing),
	    TEST(test_a_step_that_hangs_is_cut),
	    TEST(test_each_deadline_is_its_own),
	    TEST(test_every_step_hangs),
	    TEST(test_superseded),
	    TEST(test_waits_for_what_was_cut),
	    TEST(test_but_not_for_ever),
	    TEST(test_superseded_while_waiting),
	    TEST(test_background),
	    TEST(test_nobody_waits_for_what_he_does_not_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
