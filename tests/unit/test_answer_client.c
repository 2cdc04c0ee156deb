/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The asynchronous client against the real server, and against a socket that the test plays itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/answer_client.h"

struct world {
	struct loop *loop;
	struct answer_server *server;
	struct answer_client *client;
	struct answer_request *held; /* a request that the server leaves unanswered */
	struct timer limit;
	char folder[64], path[96];
	char log[256];
	unsigned wanted, done;
};

static void
server_say(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, json_pack("{s:O}", "word", json_object_get(args, "word")));
}

static void
server_refuse(struct answer_request *r, json_t *args, void *arg)
{
	answer_error(r, "no", "never");
}

static void
server_hold(struct answer_request *r, json_t *args, void *arg)
{
	((struct world *)arg)->held = r;
}

static const struct answer_command rows[] = {
    {"say", server_say}, {"refuse", server_refuse}, {"hold", server_hold}};

static int
listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void
limit_cb(void *arg)
{
	fail_msg("the loop does not come to its end");
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->folder, "/tmp/answer-client-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof(w->path), "%s/s", w->folder);
	w->loop = loop_new();
	w->client = answer_client_new(w->loop, w->path);
	timer_init(&w->limit, w->loop, limit_cb, w);
	timer_set(&w->limit, 10000);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	if (w->held)
		answer_ok(w->held, NULL);
	answer_client_free(w->client);
	answer_server_free(w->server);
	timer_cancel(&w->limit);
	loop_free(w->loop);
	unlink(w->path);
	rmdir(w->folder);
	free(w);
	return 0;
}

static void
serve(struct world *w)
{
	w->server = answer_server_new(w->loop, listen_at(w->path), rows, 3, w);
}

/* Logs the answer's word, its error code, or errno's name; stops the loop after `wanted` answers.
 */
static void
on_answer(void *arg, json_t *answer)
{
	struct world *w = arg;
	const char *word =
	    json_string_value(json_object_get(json_object_get(answer, "data"), "word"));
	const char *code =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	strcat(w->log, word ? word : code ? code : answer ? "ok" : strerrorname_np(errno));
	strcat(w->log, " ");
	if (++w->done == w->wanted)
		loop_stop(w->loop);
}

static uint64_t
call(struct world *w, const char *cmd, const char *word, unsigned ms)
{
	return answer_client_call(
	    w->client, cmd, json_pack("{s:s}", "word", word), ms, on_answer, w);
}

static void
run(struct world *w, unsigned wanted)
{
	w->wanted = w->done + wanted;
	loop_run(w->loop);
}

static void
test_answers_in_order(void **state)
{
	struct world *w = *state;

	serve(w);
	assert_int_equal(call(w, "say", "one", 1000), 1);
	call(w, "refuse", "", 1000);
	call(w, "say", "two", 1000);
	assert_string_equal(w->log, ""); /* never from within the call */
	run(w, 3);
	assert_string_equal(w->log, "one no two ");
}

static void
test_nobody_there(void **state)
{
	struct world *w = *state;

	assert_true(call(w, "say", "x", 1000) > 0);
	assert_string_equal(w->log, "");
	run(w, 1);
	int fd = listen_at(w->path);
	close(fd);
	call(w, "say", "x", 1000);
	run(w, 1);
	assert_string_equal(w->log, "ENOENT ECONNREFUSED ");
	unlink(w->path);
	serve(w);
	call(w, "say", "back", 1000);
	run(w, 1);
	assert_string_equal(w->log, "ENOENT ECONNREFUSED back ");
}

/* The late answer finds nobody, and what was asked behind it is answered in its turn. */
static void
test_late(void **state)
{
	struct world *w = *state;

	serve(w);
	call(w, "hold", "late", 30);
	run(w, 1);
	call(w, "say", "next", 1000);
	answer_ok(w->held, json_pack("{s:s}", "word", "late"));
	w->held = NULL;
	run(w, 1);
	assert_string_equal(w->log, "ETIMEDOUT next ");
}

static void
test_forgotten(void **state)
{
	struct world *w = *state;

	serve(w);
	answer_client_forget(w->client, call(w, "say", "one", 1000));
	answer_client_forget(w->client, 99);
	call(w, "say", "two", 1000);
	run(w, 1);
	assert_string_equal(w->log, "two ");
}

/* A server that hangs is asked 16 times and no more. */
static void
test_hangs(void **state)
{
	struct world *w = *state;
	int fd = listen_at(w->path);

	for (int i = 0; i < 16; i++)
		assert_int_equal(call(w, "say", "x", 5), i + 1);
	run(w, 16);
	errno = 0;
	assert_int_equal(call(w, "say", "x", 5), 0);
	assert_int_equal(errno, EBUSY);
	close(fd); /* the connection breaks: the slots are free again */
	usleep(1000);
	w->log[0] = '\0';
	struct timer t;
	timer_init(&t, w->loop, (void (*)(void *))loop_stop, w->loop);
	timer_set(&t, 20);
	loop_run(w->loop);
	assert_true(call(w, "say", "x", 1000) > 0);
	run(w, 1);
	assert_string_equal(w->log, "ECONNREFUSED ");
}

static void
play(struct world *w, const char *bytes, const char *want)
{
	int fd = listen_at(w->path), peer;

	w->log[0] = '\0';
	call(w, "say", "x", 1000);
	call(w, "say", "y", 1000);
	peer = accept(fd, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(send(peer, bytes, strlen(bytes), MSG_NOSIGNAL), (int)strlen(bytes));
	if (strchr(want, 'C'))
		close(peer);
	run(w, 2);
	assert_string_equal(w->log, want);
	if (!strchr(want, 'C'))
		close(peer);
	close(fd);
	unlink(w->path);
}

static void
test_not_json(void **state)
{
	play(*state, "hello\n", "EBADMSG EBADMSG ");
}

static void
test_wrong_number(void **state)
{
	play(*state, "{\"id\":0,\"ok\":true}\n", "EBADMSG EBADMSG ");
}

static void
test_breaks_between_answers(void **state)
{
	play(*state, "{\"id\":1,\"ok\":true}\n{\"id\":2,\"o", "ok ECONNRESET ");
}

static void
test_free_with_calls_under_way(void **state)
{
	struct world *w = *state;

	serve(w);
	call(w, "say", "x", 1000);
	call(w, "hold", "x", 1000);
}

static void
test_too_long(void **state)
{
	struct world *w = *state;
	char *text = malloc(ANSWER_LINE_MAX + 1);

	memset(text, 'a', ANSWER_LINE_MAX);
	text[ANSWER_LINE_MAX] = '\0';
	serve(w);
	assert_int_equal(call(w, "say", text, 1000), 0);
	assert_int_equal(errno, EMSGSIZE);
	free(text);
	call(w, "say", "short", 1000);
	run(w, 1);
	assert_string_equal(w->log, "short ");
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answers_in_order),
	    TEST(test_nobody_there),
	    TEST(test_late),
	    TEST(test_forgotten),
	    TEST(test_hangs),
	    TEST(test_not_json),
	    TEST(test_wrong_number),
	    TEST(test_breaks_between_answers),
	    TEST(test_free_with_calls_under_way),
	    TEST(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
