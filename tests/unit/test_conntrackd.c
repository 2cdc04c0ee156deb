/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Driving conntrackd: the words of each request, its statistics cut at every byte; requests over a
 * socket, answered by a listener of ours; and the walk through the kernel's table, in a network
 * namespace of this test's own.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
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

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

#include "sync/conntrack.h"
#include "sync/conntrackd.h"

/* As version 1.4.7 prints them, with figures of all kinds put in. */
static const char golden[] = "cache internal:\n"
			     "current active connections:\t          17\n"
			     "connections created:\t\t        1100\tfailed:\t           2\n"
			     "connections updated:\t\t          11\tfailed:\t           3\n"
			     "connections destroyed:\t\t          12\tfailed:\t           4\n"
			     "\n"
			     "cache external:\n"
			     "current active connections:\t       10100\n"
			     "connections created:\t\t       10100\tfailed:\t           5\n"
			     "connections updated:\t\t           0\tfailed:\t           6\n"
			     "connections destroyed:\t\t           0\tfailed:\t           7\n"
			     "\n"
			     "traffic processed:\n"
			     "                   8 Bytes                         9 Pckts\n"
			     "\n"
			     "UDP traffic (active device=sync):\n"
			     "                 544 Bytes sent               928416 Bytes recv\n"
			     "                  34 Pckts sent                 1521 Pckts recv\n"
			     "                  10 Error send                   21 Error recv\n"
			     "\n"
			     "message tracking:\n"
			     "                   0 Malformed msgs                   13 Lost msgs\n"
			     "\n";

static void
test_stats(void **state)
{
	struct conntrackd_stats s;

	assert_int_equal(conntrackd_parse_stats(golden, &s), 0);
	assert_int_equal(s.internal, 17);
	assert_int_equal(s.internal_failed, 2);
	assert_int_equal(s.external, 10100);
	assert_int_equal(s.external_failed, 5);
	assert_int_equal(s.send_errors, 10);
	assert_int_equal(s.lost, 13);
}

static void
test_stats_truncated(void **state)
{
	size_t whole = (size_t)(strstr(golden, " Lost msgs") - golden) + strlen(" Lost msgs");

	for (size_t len = 0; len < sizeof(golden); len++) {
		struct conntrackd_stats s = {.lost = 77};
		char *text = strndup(golden, len);

		errno = 0;
		assert_int_equal(conntrackd_parse_stats(text, &s), len < whole ? -1 : 0);
		assert_int_equal(errno, len < whole ? EBADMSG : 0);
		assert_int_equal(s.lost, len < whole ? 77 : 13);
		free(text);
	}
	/* Without the external cache there is nothing to commit: that is another configuration. */
	struct conntrackd_stats s;
	char *text = strdup(golden);
	memcpy(strstr(text, "cache external:"), "external inject", 15);
	assert_int_equal(conntrackd_parse_stats(text, &s), -1);
	free(text);
}

static void
test_argv(void **state)
{
	static const char *const words[] = {"-c", "-f", "-R", "-B", "-t", "-n", "-s"};
	const char *argv[CONNTRACKD_ARGS];

	for (unsigned i = CONNTRACKD_COMMIT; i <= CONNTRACKD_STATS; i++) {
		conntrackd_argv(i, "/r/conntrackd.conf", argv);
		assert_string_equal(argv[0], "/usr/sbin/conntrackd");
		assert_string_equal(argv[1], "-C");
		assert_string_equal(argv[2], "/r/conntrackd.conf");
		assert_string_equal(argv[3], words[i]);
		assert_null(argv[4]);
	}
}

/* ---- over the socket ---- */

/* Who listens on it: takes one int from each connection, says `say` so often, closes. */
struct listener {
	char path[64];
	struct loop *loop;
	int fd, client;
	struct io io, client_io;
	const char *say;
	unsigned times;
	bool hangs; /* it does not close */
	int got;    /* the last int */
	unsigned n_got;
};

struct talk {
	struct conntrackd_talk t; /* first: zeroed */
	struct loop *loop;
	unsigned n_done;
	int error;
	char text[CONNTRACKD_ANSWER_MAX + 1];
};

static void
request_cb(int events, void *arg)
{
	struct listener *l = arg;

	assert_int_equal(recv(l->client, &l->got, sizeof(l->got), 0), sizeof(l->got));
	l->n_got++;
	io_fini(&l->client_io);
	if (l->hangs)
		return;
	for (unsigned i = 0; i < l->times; i++)
		assert_int_equal(
		    send(l->client, l->say, strlen(l->say), MSG_NOSIGNAL), strlen(l->say));
	close(l->client);
	l->client = -1;
}

static void
accept_cb(int events, void *arg)
{
	struct listener *l = arg;

	l->client = accept(l->fd, NULL, NULL);
	assert_true(l->client >= 0);
	assert_int_equal(io_init(&l->client_io, l->loop, l->client, request_cb, l), 0);
	io_want(&l->client_io, IO_READ);
}

static void
listen_on(struct listener *l, struct loop *loop)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*l = (struct listener){.loop = loop, .client = -1};
	snprintf(l->path, sizeof(l->path), "/tmp/test_conntrackd.%d", (int)getpid());
	unlink(l->path);
	strcpy(at.sun_path, l->path);
	l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(l->fd, 4), 0);
	assert_int_equal(io_init(&l->io, loop, l->fd, accept_cb, l), 0);
	io_want(&l->io, IO_READ);
}

static void
end_listener(struct listener *l)
{
	io_fini(&l->io);
	io_fini(&l->client_io);
	if (l->client >= 0)
		close(l->client);
	close(l->fd);
	unlink(l->path);
}

static void
talk_done(void *arg, int error, const char *text)
{
	struct talk *t = arg;

	t->n_done++;
	t->error = error;
	snprintf(t->text, sizeof(t->text), "%s", text);
	loop_stop(t->loop);
}

static void
ask(struct talk *t, struct listener *l, enum conntrackd_request request, unsigned deadline_ms)
{
	assert_int_equal(
	    conntrackd_ask(&t->t, t->loop, l->path, request, deadline_ms, talk_done, t), 0);
	loop_run(t->loop);
}

/* As strace shows version 1.4.7's own program do it. */
static void
test_numbers(void **state)
{
	static const int numbers[] = {46, 45, 44, 22, 26, 23, 21};
	struct talk t = {.loop = loop_new()};
	struct listener l;

	listen_on(&l, t.loop);
	for (unsigned i = CONNTRACKD_COMMIT; i <= CONNTRACKD_STATS; i++) {
		ask(&t, &l, (enum conntrackd_request)i, 60000);
		assert_int_equal(t.error, 0);
		assert_string_equal(t.text, "");
		assert_int_equal(l.got, numbers[i]);
		assert_int_equal(t.n_done, i + 1);
		assert_false(t.t.running);
	}
	end_listener(&l);
	loop_free(t.loop);
}

static void
test_answers(void **state)
{
	struct talk t = {.loop = loop_new()};
	struct conntrackd_stats s;
	struct listener l;

	listen_on(&l, t.loop);
	l.say = golden;
	l.times = 1;
	ask(&t, &l, CONNTRACKD_STATS, 60000);
	assert_string_equal(t.text, golden);
	assert_int_equal(conntrackd_parse_stats(t.text, &s), 0);
	assert_int_equal(s.external, 10100);
	l.times = 40; /* more than is kept */
	ask(&t, &l, CONNTRACKD_STATS, 60000);
	assert_int_equal(t.error, 0);
	assert_int_equal(strlen(t.text), CONNTRACKD_ANSWER_MAX);
	assert_memory_equal(t.text, golden, strlen(golden));
	end_listener(&l);
	loop_free(t.loop);
}

static void
test_no_answer(void **state)
{
	struct talk t = {.loop = loop_new()};
	struct listener l;

	listen_on(&l, t.loop);
	l.hangs = true;
	ask(&t, &l, CONNTRACKD_COMMIT, 1);
	assert_int_equal(t.error, ETIMEDOUT);
	assert_int_equal(t.n_done, 1);
	/* One at a time; what is forgotten is not heard of. */
	assert_int_equal(
	    conntrackd_ask(&t.t, t.loop, l.path, CONNTRACKD_COMMIT, 60000, talk_done, &t), 0);
	assert_int_equal(
	    conntrackd_ask(&t.t, t.loop, l.path, CONNTRACKD_COMMIT, 60000, talk_done, &t), -1);
	assert_int_equal(errno, EBUSY);
	conntrackd_forget(&t.t);
	conntrackd_forget(&t.t);
	assert_int_equal(t.n_done, 1);
	end_listener(&l);
	/* Nobody there. */
	assert_int_equal(
	    conntrackd_ask(&t.t, t.loop, l.path, CONNTRACKD_COMMIT, 60000, talk_done, &t), -1);
	assert_int_equal(errno, ENOENT);
	assert_false(t.t.running);
	loop_free(t.loop);
}

static int
add_flow(struct nfct_handle *h, uint8_t protocol, uint16_t port, bool translated)
{
	struct nf_conntrack *ct = nfct_new();

	assert_non_null(ct);
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, protocol);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0x0a080002));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, htonl(0xcb007107));
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(port));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(443));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 600);
	if (protocol == IPPROTO_TCP)
		nfct_set_attr_u8(ct, ATTR_TCP_STATE,
		    port % 2 ? TCP_CONNTRACK_ESTABLISHED : TCP_CONNTRACK_CLOSE_WAIT);
	if (translated)
		nfct_set_attr_u32(ct, ATTR_SNAT_IPV4, htonl(0xc633640a));
	int rc = nfct_query(h, NFCT_Q_CREATE, ct);
	nfct_destroy(ct);
	return rc;
}

static void
test_count(void **state)
{
	struct conntrack_count n;

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no namespace of our own: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(conntrack_count(&n), 0);
	assert_int_equal(n.all, 0);
	struct nfct_handle *h = nfct_open(CONNTRACK, 0);
	assert_non_null(h);
	for (uint16_t port = 1; port <= 1000; port++)
		assert_int_equal(add_flow(h, IPPROTO_TCP, port, port <= 300), 0);
	for (uint16_t port = 1; port <= 50; port++)
		assert_int_equal(add_flow(h, IPPROTO_UDP, port, false), 0);
	nfct_close(h);
	assert_int_equal(conntrack_count(&n), 0);
	assert_int_equal(n.all, 1050);
	assert_int_equal(n.tcp, 1000);
	assert_int_equal(n.tcp_established, 500);
	assert_int_equal(n.udp, 50);
	assert_int_equal(n.icmp + n.other, 0);
	assert_int_equal(n.translated, 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stats),
	    cmocka_unit_test(test_stats_truncated),
	    cmocka_unit_test(test_argv),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
