/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections of real kernels: snapshot, silence, and continuation, by the monitor's
 * functions alone. Skipped without root.
 */
#include "tests/unit/restore_rig.h"

#include <netinet/ip.h>
#include <time.h>

#include "pptpd/priv/sniffer.h"
#include "pptpd/priv/sock_diag.h"

/* ---- snapshot and silence ---- */

static void
connect_pair(int *client, int *server)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	MUST(bind(listener, (struct sockaddr *)&sa, len) == 0 && listen(listener, 1) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&sa, &len) == 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(*client, (struct sockaddr *)&sa, len) == 0);
	*server = accept(listener, NULL, NULL);
	MUST(*server >= 0);
	close(listener);
}

static uint32_t
queue_seq(int fd, int queue)
{
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;
	uint32_t seq;
	socklen_t len = sizeof(seq);

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) == 0);
	MUST(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len) == 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) == 0);
	return seq;
}

/* The two ends must agree: what one sent next is what the other expects next. */
static void
snapshot_body(void *arg)
{
	struct tcp_snapshot t;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa), int_len = sizeof(int);
	char buffer[100];
	int client, server, reuse = 0;

	connect_pair(&client, &server);
	MUST(tcp_snapshot_take(server, &t) == 0);
	MUST(getpeername(server, (struct sockaddr *)&sa, &len) == 0);
	MUST(t.peer_ip == INADDR_LOOPBACK && t.peer_port == ntohs(sa.sin_port));
	MUST(getsockname(server, (struct sockaddr *)&sa, &len) == 0);
	MUST(t.local_ip == INADDR_LOOPBACK && t.local_port == ntohs(sa.sin_port));
	MUST(t.snd0 == queue_seq(client, TCP_RECV_QUEUE));
	MUST(t.rcv0 == queue_seq(client, TCP_SEND_QUEUE));
	MUST(t.mss > 1000 && (t.options & TCPI_OPT_TIMESTAMPS) != 0 && t.tsval != 0);
	MUST((t.options & TCPI_OPT_WSCALE) != 0 && t.snd_wscale > 0 && t.rcv_wscale > 0);
	MUST(t.sampled_ms / 1000 >= (uint64_t)time(NULL) - 5);
	MUST(getsockopt(server, SOL_SOCKET, SO_REUSEADDR, &reuse, &int_len) == 0 && reuse == 1);

	/* data before the snapshot: what is read is counted, what waits is not, a FIN is no byte */
	MUST(write(client, buffer, 100) == 100 && read(server, buffer, 40) == 40);
	MUST(write(server, buffer, 7) == 7);
	uint32_t snd_first = t.snd0, rcv_first = t.rcv0;
	MUST(tcp_snapshot_take(server, &t) == 0);
	MUST(t.rcv0 == rcv_first + 40 && t.snd0 == snd_first + 7);
	MUST(shutdown(client, SHUT_WR) == 0);
	usleep(50000);
	MUST(tcp_snapshot_take(server, &t) == 0);
	MUST(t.rcv0 == rcv_first + 40);

	/* and the connection lives on both ways */
	MUST(recv(server, buffer, 60, MSG_WAITALL) == 60 && read(server, buffer, 1) == 0);
	MUST(write(server, buffer, 5) == 5);
	MUST(recv(client, buffer, 12, MSG_WAITALL) == 12);
}

static void
snapshot_of_a_connection(void **state)
{
	need_root();
	assert_int_equal(in_child(snapshot_body, NULL), 0);
}

static void
silence_body(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	uint32_t mark = MARK_CALL;
	int client, server, null = open("/dev/null", O_RDONLY);

	connect_pair(&client, &server);
	MUST(!tcp_is_call(server) && !tcp_is_call(null) && !tcp_is_call(-1));
	MUST(tcp_set_mark(server, mark) == 0 && tcp_is_call(server));
	MUST(tcp_set_mark(server, MARK_CLOSING) == 0 && tcp_is_call(server));
	MUST(tcp_set_mark(server, MARK_LISTENER) == 0 && !tcp_is_call(server));
	p.fd = client;
	MUST(tcp_silence(server) == 0);
	close(server);
	MUST(poll(&p, 1, 300) == 0); /* nothing came */
	connect_pair(&client, &server);
	p.fd = client;
	close(server);
	MUST(poll(&p, 1, 300) == 1); /* as it does otherwise */
}

static void
silent_close(void **state)
{
	need_root();
	assert_int_equal(in_child(silence_body, NULL), 0);
}

/* ---- continuation ---- */

static void
check_restored(const struct connection *c, int fd)
{
	struct tcp_info info = info_of(fd);
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	MUST(info.tcpi_state == 1); /* established */
	MUST((info.tcpi_options & 7) == (c->tcp.options & 7));
	MUST(info.tcpi_snd_wscale == c->tcp.snd_wscale);
	MUST(info.tcpi_rcv_wscale == c->tcp.rcv_wscale);
	MUST(tcp_is_call(fd) && get_u32(fd, SOL_SOCKET, SO_MARK) == MARK_CALL);
	MUST(get_u32(fd, SOL_SOCKET, SO_REUSEADDR) == 1);
	MUST(get_u32(fd, IPPROTO_IP, IP_TRANSPARENT) == 0);
	MUST((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	MUST(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	MUST(ntohl(sa.sin_addr.s_addr) == VIP && ntohs(sa.sin_port) == 1723);
}

/* One connection through everything: moved twice, with a tail that got lost and one that had not.
 */
static void
move_about(struct world *w)
{
	struct connection c = connect_to(w);
	struct tcp_restore r;

	pass(c.client, c.server, "hello");
	pass(c.server, c.client, "answer");
	close_silently(&c);
	r = restore_of(&c, 5, 6, "");
	c.server = tcp_restore_open(&r, wall_now_ms());
	MUST(c.server >= 0);
	check_restored(&c, c.server);
	MUST(get_u32(c.server, IPPROTO_TCP, TCP_QUEUE_SEQ) == r.rcv); /* the selector is left so */
	pass(c.client, c.server, "more");
	pass(c.server, c.client, "and more");

	close_silently(&c); /* a tail that was never sent */
	r = restore_of(&c, 9, 14, "tail");
	c.server = tcp_restore_open(&r, wall_now_ms());
	MUST(c.server >= 0);
	expect(c.client, "tail");
	pass(c.client, c.server, "seen");
	pass(c.server, c.client, "behind");

	close_silently(&c); /* one that the client has: it must not see it again */
	r = restore_of(&c, 13, 18, "behind");
	c.server = tcp_restore_open(&r, wall_now_ms());
	MUST(c.server >= 0);
	pass(c.client, c.server, "still here");
	pass(c.server, c.client, "so am I");
	expect_silence(c.client, 300);
	MUST(tcp_probe(c.server) == 0);
	MUST(get_u32(c.server, SOL_SOCKET, SO_REUSEADDR) == 1);
	pass(c.server, c.client, "after a probe");

	MUST(shutdown(c.client, SHUT_WR) == 0); /* the end is an ordinary one */
	struct pollfd p = {c.server, POLLIN, 0};
	char byte;

	MUST(poll(&p, 1, 5000) == 1 && read(c.server, &byte, 1) == 0);
	close(c.server);
	p.fd = c.client;
	MUST(poll(&p, 1, 5000) == 1 && read(c.client, &byte, 1) == 0);
	close(c.client);
}

static void
continuation_body(void *arg)
{
	static const char *const variants[] = {
	    "true",
	    "sysctl -qw net.ipv4.tcp_timestamps=0",
	    "sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0",
	    "ip route change 198.51.100.0/24 dev x-cli advmss 500",
	};
	struct world w = world_up();

	listen_1723(&w);
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		client_system(&w, variants[i]);
		move_about(&w);
	}
	MUST(close(w.listener) == 0); /* the port is free for the next one */
	listen_1723(&w);
	move_about(&w);
}

static void
connections_continue(void **state)
{
	need_root();
	assert_int_equal(in_child(continuation_body, NULL), 0);
}

/* All that the client hears after the move must be ahead of what it heard before. */
static void
timestamps_body(void *arg)
{
	struct world w = world_up();
	struct connection c;
	struct tcp_restore r;
	uint32_t after;

	listen_1723(&w);
	for (unsigned i = 0; i < 2; i++) { /* either parity of the sample */
		c = connect_to(&w);
		MUST(c.tcp.tsval != 0);
		c.tcp.tsval = (c.tcp.tsval & ~1u) | i;
		close_silently(&c);
		c.tcp.sampled_ms -= 3600 * 1000; /* an hour ago: the clock goes on */
		r = restore_of(&c, 0, 0, "");
		c.server = tcp_restore_open(&r, wall_now_ms());
		MUST(c.server >= 0);
		after = get_u32(c.server, IPPROTO_TCP, TCP_TIMESTAMP);
		MUST(after - c.tcp.tsval >= 3602000 - 1 && after - c.tcp.tsval < 3612000);
		usleep(20000); /* milliseconds, not microseconds */
		MUST(get_u32(c.server, IPPROTO_TCP, TCP_TIMESTAMP) - after < 5000);
		pass(c.server, c.client, "down");
		pass(c.client, c.server, "up");
		close(c.client);
		close(c.server);
	}
}

static void
timestamps_go_ahead(void **state)
{
	struct tcp_snapshot t = {.tsval = 0xfffffffe, .sampled_ms = 1000};

	assert_int_equal(tcp_restore_tsval(&t, 1000), 1998); /* wraps */
	assert_int_equal(tcp_restore_tsval(&t, 500), 1998);  /* the other clock is behind */
	assert_int_equal(tcp_restore_tsval(&t, 1003), 2000); /* never odd */
	need_root();
	assert_int_equal(in_child(timestamps_body, NULL), 0);
}

/* Built before the address is here; it speaks once it is, after a probe. */
static void
before_the_address_body(void *arg)
{
	struct world w = world_up();
	struct connection c;
	struct tcp_restore r;

	listen_1723(&w);
	c = connect_to(&w);
	pass(c.server, c.client, "before");
	close_silently(&c);
	close(w.listener);
	MUST(system(DELETE_VIP) == 0);
	r = restore_of(&c, 0, 6, "tail");
	c.server = tcp_restore_open(&r, wall_now_ms());
	MUST(c.server >= 0);
	MUST(send(c.client, "up", 2, 0) == 2);
	MUST(system(ADD_VIP) == 0);
	MUST(tcp_probe(c.server) == 0);
	expect(c.client, "tail");
	expect(c.server, "up");
	pass(c.server, c.client, "there");
}

static void
restore_before_the_address(void **state)
{
	need_root();
	assert_int_equal(in_child(before_the_address_body, NULL), 0);
}

static void
orphans_body(void *arg)
{
	struct world w = world_up();
	struct connection c[5];
	struct tcp_restore r;

	listen_1723(&w);
	for (int i = 0; i < 5; i++)
		c[i] = connect_to(&w);
	MUST(system(GUARD) == 0);
	r = restore_of(&c[0], 0, 0, ""); /* somebody's: left alone */
	MUST(tcp_restore_open(&r, wall_now_ms()) == -1 && errno == EADDRNOTAVAIL);
	pass(c[0].server, c[0].client, "unharmed");
	for (int i = 1; i < 5; i++)
		close(c[i].server); /* as if the process had died */
	MUST(orphans() == 4);
	r = restore_of(&c[1], 0, 0, "");
	c[1].server = tcp_restore_open(&r, wall_now_ms());
	MUST(c[1].server >= 0 && orphans() == 3);
	pass(c[1].server, c[1].client, "again");
	pass(c[1].client, c[1].server, "and back");
	MUST(sock_diag_end_orphans(IP(198, 51, 100, 11), 1723) == 0); /* not its */
	MUST(sock_diag_end_orphans(VIP, 1724) == 0 && orphans() == 3);
	MUST(sock_diag_end_orphans(VIP, 1723) == 3 && orphans() == 0);
	pass(c[0].client, c[0].server, "still unharmed");
	pass(c[1].client, c[1].server, "nor this one");
	r = restore_of(&c[2], 0, 0, "");
	MUST(sock_diag_end_orphan(&r.tcp) == -1 && errno == EBUSY); /* that is the listener */
	MUST((c[2].server = tcp_restore_open(&r, wall_now_ms())) >= 0);
	pass(c[2].server, c[2].client, "after the sweep");
}

static void
orphans_make_room(void **state)
{
	need_root();
	assert_int_equal(in_child(orphans_body, NULL), 0);
}

/* ---- the sniffer ---- */

static void
sniffer_body(void *arg)
{
	struct world w = world_up();
	struct connection c;
	struct sockaddr_in to = address(CLIENT, 0);
	uint8_t bytes[2000];
	int sniffer = sniffer_open(VIP), off = 0, other, on = 1;
	uint32_t size = get_u32(sniffer, SOL_SOCKET, SO_RCVBUF);
	struct sock_fprog_none {
		unsigned short len;
		void *filter;
	} none = {0};
	ssize_t n;

	MUST(sniffer >= 0 && size >= 4 << 20);
	MUST(setsockopt(sniffer, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)) == -1);
	MUST(setsockopt(sniffer, SOL_SOCKET, SO_ATTACH_FILTER, &none, sizeof(none)) == -1);
	MUST(sendto(sniffer, bytes, 40, 0, (struct sockaddr *)&to, sizeof(to)) == -1 &&
	     errno == EPIPE);
	listen_1723(&w);
	c = connect_to(&w);
	while (recv(sniffer, bytes, sizeof(bytes), 0) > 0)
		;
	MUST(errno == EAGAIN);
	pass(c.client, c.server, "numbered");
	n = recv(sniffer, bytes, sizeof(bytes), 0);
	MUST(n > 40 && bytes[0] == 0x45 && memcmp(bytes + n - 8, "numbered", 8) == 0);
	MUST(memcmp(bytes + 24, &(uint32_t){htonl(c.tcp.rcv0)}, 4) == 0);

	/* nothing else: another port, another address */
	while (recv(sniffer, bytes, sizeof(bytes), 0) > 0)
		;
	MUST(setns(w.client, CLONE_NEWNET) == 0);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in sa = address(i == 0 ? VIP : IP(198, 51, 100, 11), 80 + i * 1643);

		other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(other, (struct sockaddr *)&sa, sizeof(sa));
	}
	MUST(setns(w.server, CLONE_NEWNET) == 0);
	usleep(20000);
	MUST(recv(sniffer, bytes, sizeof(bytes), 0) == -1 && errno == EAGAIN);
	MUST(setsockopt(sniffer, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)) == -1);
	(void)on;
}

static void
sniffer_hears_and_cannot_speak(void **state)
{
	need_root();
	assert_int_equal(in_child(sniffer_body, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(snapshot_of_a_connection),
	    cmocka_unit_test(silent_close),
	    cmocka_unit_test(connections_continue),
	    cmocka_unit_test(timestamps_go_ahead),
	    cmocka_unit_test(restore_before_the_address),
	    cmocka_unit_test(orphans_make_room),
	    cmocka_unit_test(sniffer_hears_and_cannot_speak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
