/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the peer may ask for: the three commands, and a long list of what is none of them. The relay
 * that two of them become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/relay.h"
#include "sync/serve.h"

#define GOOD "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/"

static void
accepts_what_the_pair_needs(void **state)
{
	static const struct {
		const char *command;
		enum serve_kind kind;
	} good[] = {
	    {"query 1", SERVE_QUERY},
	    {"replica 1", SERVE_REPLICA},
	    {GOOD, SERVE_RSYNC},
	    {"rsync --server -rcp --timeout=10 --delay-updates --fsync . staging/", SERVE_RSYNC},
	    {"rsync --server -crpe31.LsfxCIvu --timeout=10 --delay-updates --fsync . staging/",
		SERVE_RSYNC},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct serve_request r;

		assert_int_equal(serve_parse(good[i].command, &r), good[i].kind);
		assert_int_equal(r.kind, good[i].kind);
		assert_null(r.why);
	}
}

static void
refuses_everything_else(void **state)
{
	static const char *const bad[] = {
	    NULL,
	    "",
	    " ",
	    "sh",
	    "/bin/sh",
	    "bash -i",
	    "id",
	    "query",
	    "query 2",
	    "query 1 ",
	    " query 1",
	    "query  1",
	    "query 1;id",
	    "query 1\nid",
	    "query 1 && id",
	    "QUERY 1",
	    "replica",
	    "replica 2",
	    "replica 1 x",
	    "query 1\t",
	    "scp -t .",
	    "sftp-server",
	    "internal-sftp",
	    "rsync",
	    "rsync --daemon",
	    "rsync --server",
	    "rsync --server --daemon .",
	    /* reading */
	    "rsync --server --sender -prce.iLsfxCIvu . staging/",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync --sender . "
	    "staging/",
	    "rsync --server --sender -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . "
	    "staging/",
	    /* other folders */
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . /",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . .",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . ..",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/..",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/../",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . /etc/",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync .. staging/",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/ /etc/",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/;id",
	    "rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/ ",
	    /* other options */
	    "rsync --server -lprce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prcDe.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -pre.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prrce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prcs --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prce/bin/sh --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prce.i/L --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prce --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server - --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server prc --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prc --timeout=0 --delay-updates --fsync . staging/",
	    "rsync --server -prc --timeout=10 --delete --delay-updates --fsync . staging/",
	    "rsync --server -prc --timeout=10 --fsync --delay-updates . staging/",
	    "rsync --server -prc --timeout=10 --delay-updates --temp-dir=/etc . staging/",
	    "rsync --server -prc --timeout=10 --delay-updates --fsync --log-file=/etc/x . staging/",
	    "rsync --server -prc --timeout=10 --delay-updates --fsync --partial-dir=/ . staging/",
	    "rsync  --server -prc --timeout=10 --delay-updates --fsync . staging/",
	    "rsync --server -prc --timeout=10 --delay-updates --fsync .  staging/",
	    "/usr/bin/rsync --server -prc --timeout=10 --delay-updates --fsync . staging/",
	    "rsync\t--server -prc --timeout=10 --delay-updates --fsync . staging/",
	    "env RSYNC_RSH=sh " GOOD,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct serve_request r;

		if (serve_parse(bad[i], &r) != SERVE_REFUSED)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(r.kind, SERVE_REFUSED);
		assert_non_null(r.why);
	}
}

static void
refuses_what_is_cut_short_or_changed(void **state)
{
	struct serve_request r;
	char text[sizeof(GOOD)];

	for (size_t len = 0; len < strlen(GOOD); len++) {
		memcpy(text, GOOD, len);
		text[len] = '\0';
		assert_int_equal(serve_parse(text, &r), SERVE_REFUSED);
	}
	for (size_t i = 0; i < strlen(GOOD); i++) {
		/* Letters after "e." are the client's to choose. */
		if (i > 20 && i < 30)
			continue;
		strcpy(text, GOOD);
		text[i] = text[i] == '/' ? '.' : '/';
		assert_int_equal(serve_parse(text, &r), SERVE_REFUSED);
	}
}

static void
refuses_what_is_long(void **state)
{
	struct serve_request r;
	char text[400] = "rsync --server -prce.";
	const char *rest = " --timeout=10 --delay-updates --fsync . staging/";

	memset(text + strlen(text), 'L', 43);
	strcpy(text + strlen("rsync --server -prce.") + 43, rest);
	assert_int_equal(serve_parse(text, &r), SERVE_RSYNC);
	memset(text + strlen("rsync --server -prce."), 'L', 58);
	strcpy(text + strlen("rsync --server -prce.") + 58, rest);
	assert_int_equal(serve_parse(text, &r), SERVE_REFUSED);
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(serve_parse(text, &r), SERVE_REFUSED);
}

static void
runs_rsync_with_our_own_words(void **state)
{
	static const char *const want[] = {"rsync", "--server", "-prce.iLsfxCIvu", "--timeout=10",
	    "--delay-updates", "--fsync", ".", "./", NULL};
	const char *argv[SERVE_ARGV];
	struct serve_request r;

	assert_int_equal(serve_parse(GOOD, &r), SERVE_RSYNC);
	serve_rsync_argv(&r, argv);
	for (size_t i = 0; want[i]; i++)
		assert_string_equal(argv[i], want[i]);
	assert_null(argv[8]);
}

/* ---- the relay ---- */

struct echo {
	int fd;
	size_t seen;
};

/* Answers each byte by two, after a while, until its side is shut down. */
static void *
echo_thread(void *arg)
{
	struct echo *e = arg;
	char bytes[5000];
	ssize_t n;

	while ((n = read(e->fd, bytes, sizeof(bytes))) > 0) {
		e->seen += (size_t)n;
		for (int i = 0; i < 2; i++) {
			for (ssize_t at = 0, m; at < n; at += m) {
				m = write(e->fd, bytes + at, (size_t)(n - at));
				assert_true(m > 0);
			}
		}
	}
	close(e->fd);
	return NULL;
}

struct source {
	int fd;
	size_t len;
};

static void *
source_thread(void *arg)
{
	const struct source *s = arg;
	char bytes[777];

	memset(bytes, 'x', sizeof(bytes));
	for (size_t left = s->len; left > 0;) {
		ssize_t n = write(s->fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

		assert_true(n > 0);
		left -= (size_t)n;
	}
	close(s->fd);
	return NULL;
}

static void *
sink_thread(void *arg)
{
	struct source *s = arg;
	char bytes[333];
	ssize_t n;

	while ((n = read(s->fd, bytes, sizeof(bytes))) > 0)
		s->len += (size_t)n;
	return NULL;
}

static void
relays_both_ways_without_stalling(void **state)
{
	enum {
		LEN = 3000000
	};
	int sock[2], in[2], out[2];
	pthread_t threads[3];
	struct echo echo;
	struct source source, sink;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	echo = (struct echo){.fd = sock[1]};
	source = (struct source){in[1], LEN};
	sink = (struct source){.fd = out[0]};
	assert_int_equal(pthread_create(&threads[0], NULL, echo_thread, &echo), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, source_thread, &source), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, sink_thread, &sink), 0);
	assert_int_equal(relay_run(in[0], out[1], sock[0]), 0);
	close(out[1]);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(echo.seen, LEN);
	assert_int_equal(sink.len, 2 * LEN);
	close(in[0]);
	close(out[0]);
	close(sock[0]);
}

static void
relay_ends_with_the_socket(void **state)
{
	int sock[2], in[2], out[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(write(sock[1], "!", 1), 1);
	close(sock[1]);
	/* in stays open and says nothing. */
	assert_int_equal(relay_run(in[0], out[1], sock[0]), 0);
	assert_int_equal(read(out[0], &byte, 1), 1);
	assert_int_equal(byte, '!');
	for (size_t i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
	close(sock[0]);
}

static void
relay_connect_says_why_not(void **state)
{
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(relay_connect(path), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(relay_connect("/nowhere/socket"), -1);
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepts_what_the_pair_needs),
	    cmocka_unit_test(refuses_everything_else),
	    cmocka_unit_test(refuses_what_is_cut_short_or_changed),
	    cmocka_unit_test(refuses_what_is_long),
	    cmocka_unit_test(runs_rsync_with_our_own_words),
	    cmocka_unit_test(relays_both_ways_without_stalling),
	    cmocka_unit_test(relay_ends_with_the_socket),
	    cmocka_unit_test(relay_connect_says_why_not),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
