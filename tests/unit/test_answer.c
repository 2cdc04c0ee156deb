/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket: a server on a loop in a thread of its own, clients that behave and clients
 * that do not, over a UNIX socket in a folder made for the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/log.h"

#define HELD_MAX 8

struct server {
	char folder[32], path[64];
	struct loop *loop;
	struct answer_server *answers;
	struct timer later;
	struct answer_request *waiting, *held[HELD_MAX];
	unsigned n_held;
	pthread_t thread;
};

static struct server server;

static void
cmd_echo(struct answer_request *r, json_t *args, void *arg)
{
	assert_ptr_equal(arg, &server);
	answer_ok(r, json_incref(json_object_get(args, "text")));
}

static void
cmd_fail(struct answer_request *r, json_t *args, void *arg)
{
	answer_error(r, "no-luck", "failed %d times: \xff", 3);
}

/* An answer of "bytes" bytes of data. */
static void
cmd_bulk(struct answer_request *r, json_t *args, void *arg)
{
	size_t n = (size_t)json_integer_value(json_object_get(args, "bytes"));
	char *text = malloc(n);

	memset(text, 'x', n);
	answer_ok(r, json_stringn(text, n));
	free(text);
}

static void
later_cb(void *arg)
{
	answer_ok(server.waiting, json_string("late"));
	server.waiting = NULL;
}

static void
cmd_later(struct answer_request *r, json_t *args, void *arg)
{
	assert_null(server.waiting);
	server.waiting = r;
	timer_set(&server.later, 20);
}

static void
cmd_hold(struct answer_request *r, json_t *args, void *arg)
{
	server.held[server.n_held++] = r;
}

static void
cmd_release(struct answer_request *r, json_t *args, void *arg)
{
	unsigned n = server.n_held;

	while (server.n_held > 0)
		answer_ok(server.held[--server.n_held], json_string("released"));
	answer_ok(r, json_integer(n));
}

static void
cmd_stop(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, NULL);
	loop_stop(server.loop);
}

static const struct answer_command rows[] = {
    {"echo", cmd_echo},
    {"fail", cmd_fail},
    {"bulk", cmd_bulk},
    {"later", cmd_later},
    {"hold", cmd_hold},
    {"release", cmd_release},
    {"stop", cmd_stop},
};

static void *
run_server(void *arg)
{
	loop_run(server.loop);
	return NULL;
}

static int
setup(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server = (struct server){.folder = "/tmp/test_answer.XXXXXX", .loop = loop_new()};
	if (fd < 0 || server.loop == NULL || mkdtemp(server.folder) == NULL)
		return -1;
	snprintf(server.path, sizeof(server.path), "%s/ctl", server.folder);
	memcpy(a.sun_path, server.path, sizeof(server.path));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		return -1;
	server.answers =
	    answer_server_new(server.loop, fd, rows, sizeof(rows) / sizeof(rows[0]), &server);
	timer_init(&server.later, server.loop, later_cb, NULL);
	if (server.answers == NULL)
		return -1;
	return pthread_create(&server.thread, NULL, run_server, NULL);
}

/* Stops through the socket, so the "stop" answer must leave before the server goes. */
static int
teardown(void **state)
{
	json_t *answer = answer_call(server.path, "stop", NULL, 5000);

	if (answer == NULL || pthread_join(server.thread, NULL) != 0)
		return -1;
	json_decref(answer);
	answer_server_free(server.answers);
	while (server.n_held > 0) /* their clients and the server are gone */
		answer_ok(server.held[--server.n_held], json_string("nobody"));
	timer_cancel(&server.later);
	loop_free(server.loop);
	return unlink(server.path) < 0 || rmdir(server.folder) < 0 ? -1 : 0;
}

/* A raw client */

static int
dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = 10};

	assert_true(fd >= 0);
	memcpy(a.sun_path, server.path, sizeof(server.path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* One line without its end; "" at the end of the stream. */
static const char *
hear(int fd)
{
	static char line[ANSWER_LINE_MAX + 1];
	size_t n = 0;

	while (n < ANSWER_LINE_MAX && recv(fd, line + n, 1, 0) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	return line;
}

static void
assert_says(const char *path, const char *cmd, const char *want)
{
	json_t *answer = answer_call(path, cmd, NULL, 5000);
	char *text = json_dumps(answer, JSON_COMPACT);

	assert_non_null(answer);
	assert_string_equal(text, want);
	free(text);
	json_decref(answer);
}

static void
test_call(void **state)
{
	json_t *answer = answer_call(
	    server.path, "echo", json_pack("{s:s, s:s}", "text", "hi", "cmd", "fail"), 5000);
	char *text = json_dumps(answer, JSON_COMPACT);

	assert_string_equal(text, "{\"id\":1,\"ok\":true,\"data\":\"hi\"}");
	free(text);
	json_decref(answer);
	assert_says(server.path, "echo", "{\"id\":1,\"ok\":true,\"data\":{}}"); /* NULL data */
	assert_says(server.path, "later", "{\"id\":1,\"ok\":true,\"data\":\"late\"}");
	assert_says(server.path, "fail",
	    "{\"id\":1,\"ok\":false,\"error\":{\"code\":\"no-luck\",\"message\":\"failed 3 times: "
	    "?\"}}");
	assert_says(server.path, "nope",
	    "{\"id\":1,\"ok\":false,\"error\":{\"code\":\"unknown-command\",\"message\":\"no "
	    "command "
	    "\\\"nope\\\"\"}}");
}

static void
test_call_failures(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char dead[80], longest[200];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_null(answer_call("/nonexistent/ctl", "echo", NULL, 1000));
	assert_int_equal(errno, ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(answer_call(longest, "echo", json_object(), 1000));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_null(answer_call(server.path, "hold", NULL, 30));
	assert_int_equal(errno, ETIMEDOUT);
	assert_null(answer_call(server.path, "echo", json_array(), 1000));
	assert_int_equal(errno, EINVAL);

	snprintf(dead, sizeof(dead), "%s/dead", server.folder);
	memcpy(a.sun_path, dead, sizeof(dead));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	assert_null(answer_call(dead, "echo", NULL, 1000));
	assert_int_equal(errno, ECONNREFUSED);
	unlink(dead);
}

/* A server that answers nonsense: each row is what it says before it hangs up. */
static void *
lie(void *arg)
{
	const char *const *what = arg;
	int listener = *(const int *)(const void *)what[0];

	for (int i = 1; what[i] != NULL; i++) {
		int fd = accept(listener, NULL, NULL);

		hear(fd);
		say(fd, what[i]);
		close(fd);
	}
	return NULL;
}

static void
test_call_bad_answers(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *what[] = {(const char *)&fd, "", "garbage\n", "[]\n", "{\"id\":1}\n",
	    "{\"id\":2,\"ok\":true}\n", "{\"id\":1,\"ok\":true}", "{\"id\":null,\"ok\":true}\n",
	    NULL};
	pthread_t thread;
	char path[80];

	snprintf(path, sizeof(path), "%s/liar", server.folder);
	memcpy(a.sun_path, path, sizeof(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, lie, what), 0);
	for (int i = 1; what[i] != NULL; i++) {
		errno = 0;
		assert_null(answer_call(path, "echo", NULL, 5000));
		assert_int_equal(errno, EBADMSG);
	}
	pthread_join(thread, NULL);
	close(fd);
	unlink(path);
}

/* Bad lines are answered, and the connection goes on. */
static void
test_bad_requests(void **state)
{
	static const struct {
		const char *line, *code, *id;
	} bad[] = {
	    {"garbage\n", "bad-request", "null"},
	    {"\n", "bad-request", "null"},
	    {"[1]\n", "bad-request", "null"},
	    {"{\"v\":1,\"id\":3,\"cmd\":\"echo\"\n", "bad-request", "null"},
	    {"{\"v\":1,\"v\":1,\"id\":3,\"cmd\":\"echo\"}\n", "bad-request", "null"},
	    {"{\"v\":1,\"id\":4}\n", "bad-request", "4"},
	    {"{\"v\":1,\"id\":5,\"cmd\":7}\n", "bad-request", "5"},
	    {"{\"v\":2,\"id\":6,\"cmd\":\"echo\"}\n", "bad-version", "6"},
	    {"{\"v\":\"1\",\"id\":7,\"cmd\":\"echo\"}\n", "bad-version", "7"},
	    {"{\"id\":\"a\",\"cmd\":\"echo\"}\n", "bad-version", "\"a\""},
	    {"{\"v\":1,\"id\":[],\"cmd\":\"nope\"}\n", "unknown-command", "null"},
	};
	int fd = dial();
	char want[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *line;

		say(fd, bad[i].line);
		snprintf(want, sizeof(want), "{\"id\":%s,\"ok\":false,\"error\":{\"code\":\"%s\",",
		    bad[i].id, bad[i].code);
		line = hear(fd);
		if (strncmp(line, want, strlen(want)) != 0)
			fail_msg("%s got %s, want %s", bad[i].line, line, want);
	}
	say(fd, "{\"v\":1,\"id\":8,\"cmd\":\"echo\",\"text\":\"ok\"}\n");
	assert_string_equal(hear(fd), "{\"id\":8,\"ok\":true,\"data\":\"ok\"}");
	close(fd);
}

/* Sends text and len filler bytes, as far as the server lets it. */
static void
say_long(int fd, const char *head, size_t len, const char *tail)
{
	char filler[1024];

	memset(filler, 'y', sizeof(filler));
	say(fd, head);
	while (len > 0) {
		size_t n = len < sizeof(filler) ? len : sizeof(filler);

		if (send(fd, filler, n, MSG_NOSIGNAL) < 0)
			return;
		len -= n;
	}
	(void)!send(fd, tail, strlen(tail), MSG_NOSIGNAL);
}

static void
test_line_length(void **state)
{
	static const char head[] = "{\"v\":1,\"id\":1,\"cmd\":\"fail\",\"x\":\"", tail[] = "\"}\n";
	size_t fits = ANSWER_LINE_MAX - strlen(head) - strlen(tail);
	int fd = dial();

	say_long(fd, head, fits, tail);
	assert_non_null(strstr(hear(fd), "\"no-luck\""));
	say_long(fd, head, fits + 1, tail);
	assert_non_null(
	    strstr(hear(fd), "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"too-long\""));
	assert_string_equal(hear(fd), ""); /* and closed: there is no telling where a line begins */
	close(fd);
	fd = dial();
	say_long(fd, "", 1 << 20, "");
	assert_non_null(strstr(hear(fd), "\"too-long\""));
	close(fd);
}

static void
test_answer_length(void **state)
{
	size_t overhead = strlen("{\"id\":1,\"ok\":true,\"data\":\"\"}\n");
	json_t *answer = answer_call(server.path, "bulk",
	    json_pack("{s:i}", "bytes", (int)(ANSWER_LINE_MAX - overhead)), 5000);

	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_int_equal(
	    json_string_length(json_object_get(answer, "data")), ANSWER_LINE_MAX - overhead);
	json_decref(answer);
	answer = answer_call(server.path, "bulk",
	    json_pack("{s:i}", "bytes", (int)(ANSWER_LINE_MAX - overhead + 1)), 5000);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code")),
	    "too-long");
	json_decref(answer);
}

/* Lines in one write, and one line in writes of a byte; answers keep the order of the requests. */
static void
test_framing(void **state)
{
	static const char line[] = "{\"v\":1,\"id\":9,\"cmd\":\"echo\",\"text\":\"z\"}\n";
	int fd = dial();

	say(fd, "{\"v\":1,\"id\":1,\"cmd\":\"echo\"}\n{\"v\":1,\"id\":2,\"cmd\":\"later\"}\n"
		"{\"v\":1,\"id\":3,\"cmd\":\"later\"}\n{\"v\":1,\"id\":4,\"cmd\":\"echo\"}\n");
	assert_string_equal(hear(fd), "{\"id\":1,\"ok\":true,\"data\":{}}");
	assert_string_equal(hear(fd), "{\"id\":2,\"ok\":true,\"data\":\"late\"}");
	assert_string_equal(hear(fd), "{\"id\":3,\"ok\":true,\"data\":\"late\"}");
	assert_string_equal(hear(fd), "{\"id\":4,\"ok\":true,\"data\":{}}");
	for (size_t i = 0; i < strlen(line); i++)
		assert_int_equal(send(fd, line + i, 1, MSG_NOSIGNAL), 1);
	assert_string_equal(hear(fd), "{\"id\":9,\"ok\":true,\"data\":\"z\"}");
	close(fd);
}

/* A client that has said all it wants to say still gets its answers. */
static void
test_half_close(void **state)
{
	int fd = dial();

	say(fd,
	    "{\"v\":1,\"id\":1,\"cmd\":\"later\"}\n{\"v\":1,\"id\":2,\"cmd\":\"echo\"}\n{\"v\":1");
	shutdown(fd, SHUT_WR);
	assert_string_equal(hear(fd), "{\"id\":1,\"ok\":true,\"data\":\"late\"}");
	assert_string_equal(hear(fd), "{\"id\":2,\"ok\":true,\"data\":{}}");
	assert_string_equal(hear(fd), "");
	close(fd);
}

static bool
is_closed(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 10000) == 1 && (p.revents & POLLHUP) != 0;
}

static void
test_slow_reader(void **state)
{
	static const char line[] = "{\"v\":1,\"id\":1,\"cmd\":\"bulk\",\"bytes\":60000}\n";
	int fd = dial(), patient = dial();
	size_t got = 0;
	ssize_t n;
	char sink[4096];

	for (int i = 0; i < 100 && send(fd, line, strlen(line), MSG_NOSIGNAL) > 0; i++)
		;
	assert_true(is_closed(fd));
	while ((n = recv(fd, sink, sizeof(sink), 0)) > 0)
		got += (size_t)n;
	assert_true(got > 0 && got < 50 * 60000);
	close(fd);

	/* Many answers to one who reads them, slowly or not, all come. */
	for (int i = 0; i < 20; i++) {
		say(patient, line);
		assert_true(strlen(hear(patient)) > 60000);
	}
	close(patient);
}

/* What the socket does not take at once, less than the limit, is sent when there is room. */
static void
test_backlog(void **state)
{
	int fd = dial(), n = 0;
	char one[64];

	/* Fill the server's send buffer in small steps; stop at the first that does not fit whole.
	 */
	snprintf(one, sizeof(one), "{\"v\":1,\"id\":1,\"cmd\":\"bulk\",\"bytes\":20000}\n");
	for (int before = -1, now = 0; now != before && n < 100; n++) {
		before = now;
		say(fd, one);
		assert_says(server.path, "echo", "{\"id\":1,\"ok\":true,\"data\":{}}");
		assert_int_equal(ioctl(fd, FIONREAD, &now), 0);
	}
	assert_in_range(n, 2, 99);
	for (int i = 0; i < n; i++)
		assert_int_equal(strlen(hear(fd)), 20028);
	close(fd);
}

static void
test_dead_client(void **state)
{
	int a = dial(), b = dial();

	say(a, "{\"v\":1,\"id\":1,\"cmd\":\"hold\"}\n");
	say(b, "{\"v\":1,\"id\":1,\"cmd\":\"hold\"}\n{\"v\":1,\"id\":2,\"cmd\":\"echo\"}\n");
	assert_says(server.path, "echo", "{\"id\":1,\"ok\":true,\"data\":{}}"); /* both were read */
	close(a);
	assert_says(server.path, "release", "{\"id\":1,\"ok\":true,\"data\":2}");
	assert_string_equal(hear(b), "{\"id\":1,\"ok\":true,\"data\":\"released\"}");
	assert_string_equal(hear(b), "{\"id\":2,\"ok\":true,\"data\":{}}");
	say(b, "{\"v\":1,\"id\":3,\"cmd\":\"hold\"}\n"); /* answered when the server is gone */
	assert_says(server.path, "echo", "{\"id\":1,\"ok\":true,\"data\":{}}");
	close(b);
}

static void
test_client_limit(void **state)
{
	int fds[32], more;

	for (int i = 0; i < 32; i++) {
		fds[i] = dial();
		say(fds[i], "{\"v\":1,\"id\":1,\"cmd\":\"echo\"}\n");
		assert_string_equal(hear(fds[i]), "{\"id\":1,\"ok\":true,\"data\":{}}");
	}
	more = dial();
	assert_non_null(strstr(hear(more), "\"code\":\"busy\""));
	assert_true(is_closed(more));
	close(more);
	assert_says(server.path, "echo",
	    "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":\"too many "
	    "clients\"}}");
	say(fds[31], "{\"v\":1,\"id\":2,\"cmd\":\"echo\"}\n"); /* the others are served as before */
	assert_string_equal(hear(fds[31]), "{\"id\":2,\"ok\":true,\"data\":{}}");
	for (int i = 0; i < 32; i++) {
		shutdown(fds[i], SHUT_WR);
		assert_string_equal(
		    hear(fds[i]), ""); /* the server has let go: its place is free */
		close(fds[i]);
	}
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_call),
	    SERVED(test_call_failures),
	    SERVED(test_call_bad_answers),
	    SERVED(test_bad_requests),
	    SERVED(test_line_length),
	    SERVED(test_answer_length),
	    SERVED(test_framing),
	    SERVED(test_half_close),
	    SERVED(test_slow_reader),
	    SERVED(test_backlog),
	    SERVED(test_dead_client),
	    SERVED(test_client_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
