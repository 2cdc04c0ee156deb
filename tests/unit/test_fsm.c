/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state machine engine on a table that has every kind of row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fsm.h"
#include "common/log.h"

enum {
	OFF,
	ON,
	BROKEN,
	N_STATES
};
enum {
	PRESS,
	HIT,
	TICK,
	CHAIN,
	FLOOD,
	N_EVENTS
};

static const char *const states[] = {"off", "on", "broken"};
static const char *const events[] = {"press", "hit", "tick", "chain", "flood"};

struct lamp {
	struct fsm fsm;
	char trace[256]; /* one "action@state:detail " a step */
	int flood;
	bool nested; /* what fsm_event() returned inside an action */
};

static void
trace(struct lamp *lamp, const char *action, const char *detail)
{
	size_t at = strlen(lamp->trace);

	snprintf(lamp->trace + at, sizeof(lamp->trace) - at, "%s@%s:%s ", action,
	    fsm_state_name(&lamp->fsm), detail != NULL ? detail : "-");
}

static void
act_turn(void *object, void *detail)
{
	trace(object, "turn", detail);
}

static void
act_break(void *object, void *detail)
{
	trace(object, "break", detail);
}

/* Queues two events; the machine must not have moved when fsm_event() returns here. */
static void
act_chain(void *object, void *detail)
{
	struct lamp *lamp = object;
	int8_t before = lamp->fsm.state;

	lamp->nested = fsm_event(&lamp->fsm, PRESS, lamp, (void *)(uintptr_t) "first");
	fsm_event(&lamp->fsm, PRESS, lamp, (void *)(uintptr_t) "second");
	assert_int_equal(lamp->fsm.state, before);
	trace(lamp, "chain", detail);
}

static void
act_flood(void *object, void *detail)
{
	struct lamp *lamp = object;

	for (int i = 0; i < lamp->flood; i++)
		fsm_event(&lamp->fsm, PRESS, lamp, NULL);
}

static const struct fsm_row rows[] = {
    {OFF, PRESS, act_turn, ON},
    {ON, PRESS, act_turn, OFF},
    {BROKEN, HIT, NULL, FSM_STAY},
    {FSM_ANY, HIT, act_break, BROKEN},
    {ON, TICK, NULL, FSM_STAY},
    {OFF, CHAIN, act_chain, ON},
    {OFF, FLOOD, act_flood, FSM_STAY},
};

static const struct fsm_table table = {
    .name = "lamp",
    .states = states,
    .events = events,
    .n_states = N_STATES,
    .n_events = N_EVENTS,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

/* Every cell: {next, listed, action's trace} for each state and event. */
static void
test_every_cell(void **state)
{
	static const struct {
		int8_t next;
		bool listed;
		const char *trace;
	} want[N_STATES][N_EVENTS] = {
	    [OFF] = {{ON, true, "turn@on:d "}, {BROKEN, true, "break@broken:d "}, {OFF, false, ""},
		{ON, true, "chain@on:d turn@off:first turn@on:second "}, {OFF, true, ""}},
	    [ON] = {{OFF, true, "turn@off:d "}, {BROKEN, true, "break@broken:d "}, {ON, true, ""},
		{ON, false, ""}, {ON, false, ""}},
	    [BROKEN] = {{BROKEN, false, ""}, {BROKEN, true, ""}, {BROKEN, false, ""},
		{BROKEN, false, ""}, {BROKEN, false, ""}},
	};

	for (int8_t s = 0; s < N_STATES; s++)
		for (int8_t e = 0; e < N_EVENTS; e++) {
			struct lamp lamp = {0};

			fsm_init(&lamp.fsm, &table, s);
			assert_int_equal(fsm_event(&lamp.fsm, e, &lamp, (void *)(uintptr_t) "d"),
			    want[s][e].listed);
			assert_int_equal(lamp.fsm.state, want[s][e].next);
			assert_int_equal(lamp.fsm.ignored, !want[s][e].listed);
			assert_string_equal(lamp.trace, want[s][e].trace);
			assert_false(lamp.fsm.running);
		}
}

static void
test_nested(void **state)
{
	struct lamp lamp = {0};

	fsm_init(&lamp.fsm, &table, OFF);
	assert_true(fsm_event(&lamp.fsm, CHAIN, &lamp, NULL));
	assert_true(lamp.nested);
	assert_int_equal(lamp.fsm.n_pending, 0);
	assert_string_equal(fsm_state_name(&lamp.fsm), "on");
	assert_true(fsm_event(&lamp.fsm, TICK, &lamp, NULL)); /* usable afterwards */
}

static void
test_queue_bound(void **state)
{
	struct lamp lamp = {.flood = 4};
	int status;
	pid_t pid;

	fsm_init(&lamp.fsm, &table, OFF);
	fsm_event(&lamp.fsm, FLOOD, &lamp, NULL);
	assert_string_equal(lamp.trace, "turn@on:- turn@off:- turn@on:- turn@off:- ");

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		lamp.flood = 5;
		fsm_event(&lamp.fsm, FLOOD, &lamp, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
test_ignored_is_logged(void **state)
{
	struct lamp lamp = {0};
	char line[512] = "";
	int p[2];

	assert_int_equal(pipe(p), 0);
	log_init("test", p[1], true);
	fsm_init(&lamp.fsm, &table, OFF);
	assert_false(fsm_event(&lamp.fsm, TICK, &lamp, NULL));
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, "machine=lamp state=off event=tick"));
	log_init("test", -1, false);
	close(p[0]);
	close(p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cell),
	    cmocka_unit_test(test_nested),
	    cmocka_unit_test(test_queue_bound),
	    cmocka_unit_test(test_ignored_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
