/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `hagent web` keeps of the agent's answers, on a real loop against a status socket of the
 * test's own: who waits gets an answer whatever the agent does, and the agent is asked once for
 * all.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/answer.h"
#include "hagent/web_data.h"

struct world {
	char folder[32], path[64];
	struct loop *loop;
	struct answer_server *server;
	struct web_data *data;
	unsigned asked[WEB_SOURCES], refused;
	unsigned ready, goal;
	bool hang, broken;
	struct answer_request *hung[16]; /* what a hanging agent has not answered */
	unsigned n_hung;
	json_t *report;
	int error;
};

/* ---- the agent ---- */

static void
answer(struct world *w, enum web_source s, struct answer_request *r, json_t *data)
{
	w->asked[s]++;
	if (w->hang && w->n_hung < 16) {
		w->hung[w->n_hung++] = r;
		json_decref(data);
	} else if (w->broken) {
		answer_error(r, "broken", "it cannot tell");
		json_decref(data);
	} else {
		answer_ok(r, data);
	}
}

static void
run_status(struct answer_request *r, json_t *args, void *arg)
{
	answer(arg, WEB_STATUS, r, json_pack("{s:s}", "node", "gw1"));
}

static void
run_metrics(struct answer_request *r, json_t *args, void *arg)
{
	answer(arg, WEB_COUNTERS, r, json_pack("{s:{s:i}}", "pptpd", "sessions", 3));
}

/* 500 sessions in pages of 200; every other question is one too many. */
static void
run_sessions(struct answer_request *r, json_t *args, void *arg)
{
	struct world *w = arg;
	json_int_t after = json_integer_value(json_object_get(args, "after")), call = after;
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	json_t *list = json_array();

	assert_int_equal(limit, 200);
	if (++w->refused % 2 == 0) {
		json_decref(list);
		answer_error(r, "busy", "too many questions");
		return;
	}
	while (call < 500 && call < after + limit)
		json_array_append_new(list, json_pack("{s:I}", "call", ++call));
	answer(w, WEB_SESSIONS, r,
	    json_pack("{s:o,s:o}", "sessions", list, "next",
		call < 500 ? json_integer(call) : json_null()));
}

static void
run_drill(struct answer_request *r, json_t *args, void *arg)
{
	const char *id = json_string_value(json_object_get(args, "drill"));

	if (strcmp(id, "there") == 0)
		answer_ok(r, json_pack("{s:s}", "verdict", "passed"));
	else
		answer_error(r, "not-found", "no such drill");
}

static const struct answer_command rows[] = {
    {"status", run_status},
    {"metrics", run_metrics},
    {"sessions", run_sessions},
    {"drill", run_drill},
};

static void
start_agent(struct world *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	w->server = answer_server_new(w->loop, fd, rows, sizeof(rows) / sizeof(rows[0]), w);
	assert_non_null(w->server);
}

static void
stop_agent(struct world *w)
{
	for (unsigned i = 0; i < w->n_hung; i++)
		answer_error(w->hung[i], "ends", "it ends");
	w->n_hung = 0;
	answer_server_free(w->server);
	w->server = NULL;
	unlink(w->path);
}

/* ---- the world ---- */

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->folder, sizeof(w->folder), "/tmp/web-data-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/status.sock", w->folder);
	w->loop = loop_new();
	w->data = web_data_new(w->loop, w->path);
	assert_non_null(w->data);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	web_data_free(w->data);
	if (w->server)
		stop_agent(w);
	loop_free(w->loop);
	json_decref(w->report);
	rmdir(w->folder);
	free(w);
	return 0;
}

static void
ready(void *arg)
{
	struct world *w = arg;

	if (++w->ready == w->goal)
		loop_stop(w->loop);
}

/* n times at once; returns when all are answered. */
static void
want(struct world *w, unsigned needs, unsigned n)
{
	w->ready = 0;
	w->goal = n;
	for (unsigned i = 0; i < n; i++)
		assert_true(web_data_want(w->data, needs, ready, w));
	while (w->ready < n) /* what was ready at once has stopped a loop that did not run */
		loop_run(w->loop);
	assert_int_equal(w->ready, n);
}

/* ---- tests ---- */

static void
test_asked_once_for_all(void **state)
{
	struct world *w = *state;

	start_agent(w);
	want(w, WEB_NEED(WEB_STATUS), 100);
	assert_int_equal(w->asked[WEB_STATUS], 1);
	assert_string_equal(
	    json_string_value(json_object_get(web_data_get(w->data, WEB_STATUS), "node")), "gw1");
	assert_null(web_data_trouble(w->data, WEB_STATUS));
	assert_true(web_data_lives(w->data));
	want(w, WEB_NEED(WEB_STATUS) | WEB_NEED(WEB_COUNTERS), 100);
	assert_int_equal(w->asked[WEB_COUNTERS], 1);
	want(w, 0, 1);
}

static void
test_pages(void **state)
{
	struct world *w = *state;
	const json_t *list;

	start_agent(w);
	want(w, WEB_NEED(WEB_SESSIONS), 10);
	list = web_data_get(w->data, WEB_SESSIONS);
	assert_int_equal(json_array_size(list), 500);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(
		    json_integer_value(json_object_get(json_array_get(list, i), "call")), i + 1);
	assert_int_equal(w->asked[WEB_SESSIONS], 3);
	assert_int_equal(w->refused, 5);
}

static void
test_no_agent(void **state)
{
	struct world *w = *state;

	want(w, WEB_NEED(WEB_STATUS) | WEB_NEED(WEB_SESSIONS), 5);
	assert_null(web_data_get(w->data, WEB_STATUS));
	assert_int_equal(web_data_age_ms(w->data, WEB_STATUS), UINT64_MAX);
	assert_string_equal(web_data_trouble(w->data, WEB_STATUS), "the agent does not run");
	assert_false(web_data_lives(w->data));
	start_agent(w);
	want(w, WEB_NEED(WEB_STATUS), 1);
	assert_null(web_data_trouble(w->data, WEB_STATUS));
}

/* The old answers stay, with a word about it. */
static void
test_agent_breaks(void **state)
{
	struct world *w = *state;
	json_t *history;

	start_agent(w);
	want(w, WEB_NEED(WEB_SESSIONS) | WEB_NEED(WEB_COUNTERS), 1);
	w->broken = true;
	while (!web_data_trouble(w->data, WEB_STATUS))
		want(w, WEB_NEED(WEB_STATUS), 1);
	assert_string_equal(web_data_trouble(w->data, WEB_STATUS), "it cannot tell");
	assert_int_equal(json_array_size(web_data_get(w->data, WEB_SESSIONS)), 500);
	history = web_data_history(w->data);
	assert_int_equal(json_array_size(json_object_get(history, "sessions")), 1);
	json_decref(history);
}

static void
test_agent_hangs(void **state)
{
	struct world *w = *state;

	start_agent(w);
	w->hang = true;
	want(w, WEB_NEED(WEB_STATUS), 200);
	assert_int_equal(w->asked[WEB_STATUS], 1);
	assert_string_equal(web_data_trouble(w->data, WEB_STATUS), "the agent does not answer");
}

static void
drill_done(void *arg, const json_t *report)
{
	struct world *w = arg;

	w->error = report ? 0 : errno;
	w->report = json_incref((json_t *)(uintptr_t)report);
	loop_stop(w->loop);
}

static void
test_drill(void **state)
{
	struct world *w = *state;

	start_agent(w);
	assert_true(web_data_drill(w->data, "there", drill_done, w));
	loop_run(w->loop);
	assert_string_equal(json_string_value(json_object_get(w->report, "verdict")), "passed");
	json_decref(w->report);
	assert_true(web_data_drill(w->data, "other", drill_done, w));
	loop_run(w->loop);
	assert_null(w->report);
	assert_int_equal(w->error, ENOENT);
	stop_agent(w);
	assert_true(web_data_drill(w->data, "there", drill_done, w));
	loop_run(w->loop);
	assert_int_equal(w->error, EIO);
	for (unsigned i = 0; i < 8; i++)
		assert_true(web_data_drill(w->data, "there", drill_done, w));
	assert_false(web_data_drill(w->data, "there", drill_done, w));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_asked_once_for_all),
	    TEST(test_pages),
	    TEST(test_no_agent),
	    TEST(test_agent_breaks),
	    TEST(test_agent_hangs),
	    TEST(test_drill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
