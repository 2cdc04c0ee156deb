/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections of real kernels: snapshot, silence, and continuation, with the client in a
 * network namespace of its own behind a veth. First the monitor's functions alone, then all of it
 * through the verbs, with an engine that is this program again. Skipped without root.
 * `test_restore bench` prints what many restores take.
 */
#define CONF "option /etc/o\nlocalip 10.8.0.1\nremoteip 10.8.0.2-10.8.0.50\nlisten 198.51.100.10\n"
#include "monitor_rig.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/ioctl.h>
#include <time.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/marks.h"
#include "pptpd/priv/sniffer.h"
#include "pptpd/priv/sock_diag.h"
#include "pptpd/priv/tcp_snapshot.h"

#define VIP     IP(198, 51, 100, 10)
#define CLIENT  IP(198, 51, 100, 100)
#define ADD_VIP "ip addr add 198.51.100.10/24 dev x-srv"
#define DELETE_VIP                                                                                 \
	"ip addr del 198.51.100.10/24 dev x-srv && ip route add 198.51.100.0/24 dev x-srv"
#define BENCH   1000
#define AT_ONCE 64

/* ---- two networks ---- */

struct world {
	int server, client; /* namespaces; the process is in the server's but for moments */
	int listener;
};

static struct world
world_up(void)
{
	struct world w = {.listener = -1};
	char command[256];

	w.server = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	MUST(w.server >= 0 && unshare(CLONE_NEWNET) == 0);
	w.client = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(command, sizeof(command),
	    "ip link set lo up && ip link add x-cli type veth peer name x-srv netns /proc/%d/fd/%d "
	    "&& ip addr add 198.51.100.100/24 dev x-cli && ip link set x-cli up",
	    (int)getpid(), w.server);
	MUST(system(command) == 0);
	MUST(setns(w.server, CLONE_NEWNET) == 0);
	MUST(system("ip link set lo up && ip link set x-srv up && " ADD_VIP) == 0);
	return w;
}

static struct sockaddr_in
address(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static void
listen_1723(struct world *w)
{
	struct sockaddr_in sa = address(VIP, 1723);
	uint32_t mark = MARK_LISTENER;
	int on = 1;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	MUST(setsockopt(w->listener, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
	MUST(bind(w->listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	MUST(listen(w->listener, 1024) == 0);
}

static int
client_connect(const struct world *w)
{
	struct sockaddr_in sa = address(VIP, 1723);
	int fd;

	MUST(setns(w->client, CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	MUST(setns(w->server, CLONE_NEWNET) == 0);
	return fd;
}

static void
client_system(const struct world *w, const char *command)
{
	MUST(setns(w->client, CLONE_NEWNET) == 0);
	MUST(system(command) == 0);
	MUST(setns(w->server, CLONE_NEWNET) == 0);
}

/* A connection as the monitor has it after the accept. */
struct connection {
	int client, server;
	struct tcp_snapshot tcp;
};

static struct connection
connect_to(struct world *w)
{
	struct connection c = {.client = client_connect(w)};

	c.server = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	MUST(c.server >= 0 && tcp_set_mark(c.server, MARK_CALL) == 0);
	MUST(tcp_snapshot_take(c.server, &c.tcp) == 0);
	return c;
}

static void
close_silently(struct connection *c)
{
	MUST(tcp_silence(c->server) == 0);
	close(c->server);
	c->server = -1;
}

static void
pass(int from, int to, const char *text)
{
	char got[600] = {0};
	struct pollfd p = {to, POLLIN, 0};
	size_t len = strlen(text), n = 0;

	MUST(send(from, text, len, MSG_NOSIGNAL) == (ssize_t)len);
	while (n < len) {
		ssize_t rc;

		MUST(poll(&p, 1, 5000) == 1);
		rc = recv(to, got + n, sizeof(got) - 1 - n, 0);
		MUST(rc > 0);
		n += (size_t)rc;
	}
	MUST(strcmp(got, text) == 0);
}

static void
expect(int fd, const char *text)
{
	char got[600] = {0};
	struct pollfd p = {fd, POLLIN, 0};

	for (size_t n = 0; n < strlen(text);) {
		ssize_t rc;

		MUST(poll(&p, 1, 5000) == 1);
		rc = recv(fd, got + n, sizeof(got) - 1 - n, 0);
		MUST(rc > 0);
		n += (size_t)rc;
	}
	MUST(strcmp(got, text) == 0);
}

static void
expect_silence(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};

	MUST(poll(&p, 1, ms) == 0);
}

static struct tcp_info
info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
	return info;
}

static uint32_t
get_u32(int fd, int level, int option)
{
	uint32_t value = 0;
	socklen_t len = sizeof(value);

	MUST(getsockopt(fd, level, option, &value, &len) == 0);
	return value;
}

/* r for c after rx bytes read and tx bytes sent, of which the last tail are in doubt. */
static struct tcp_restore
restore_of(const struct connection *c, uint32_t rx, uint32_t tx, const char *tail)
{
	struct tcp_restore r = {.tcp = c->tcp,
	    .snd = c->tcp.snd0 + tx,
	    .rcv = c->tcp.rcv0 + rx,
	    .tail_len = (uint16_t)strlen(tail)};

	memcpy(r.tail, tail, strlen(tail));
	return r;
}

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

#define GUARD                                                                                      \
	"nft 'add table inet x; add chain inet x out { type filter hook output priority raw; }; "  \
	"add rule inet x out tcp sport 1723 meta mark 0x70701724 tcp flags & (fin | rst) != 0 "    \
	"drop'"

static unsigned
orphans(void)
{
	return (unsigned)atoi(output("ss -Htan state fin-wait-1 '( sport = :1723 )' | wc -l"));
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

/* ---- through the verbs ---- */

struct call {
	int fd;
	struct tcp_snapshot tcp;
	uint32_t rx, tx;
};

static struct engine {
	struct loop *loop;
	struct priv *priv;
	struct priv_start start;
	int control, sniffer;
	struct io listen_io, control_io;
	struct call calls[BENCH];
	unsigned n, next, restored, failed;
	const char *tail;
	struct timespec began;
} engine;

static void
say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)!write(engine.control, line, (size_t)n);
}

static void
done_cb(void *arg, int err)
{
	say("done %d\n", err);
}

static void restore_next(void);

static void
restored_cb(void *arg, int fd, int err)
{
	struct call *c = arg;
	struct timespec now;

	c->fd = fd;
	engine.restored += err == 0;
	engine.failed += err != 0;
	restore_next();
	if (engine.restored + engine.failed < engine.n)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	say("restored %u failed %u us %lld\n", engine.restored, engine.failed,
	    (long long)(now.tv_sec - engine.began.tv_sec) * 1000000 +
		(now.tv_nsec - engine.began.tv_nsec) / 1000);
}

static void
restore_next(void)
{
	struct call *c = &engine.calls[engine.next];
	struct tcp_restore r = {.tcp = c->tcp, .tail_len = (uint16_t)strlen(engine.tail)};

	if (engine.next >= engine.n)
		return;
	engine.next++;
	r.snd = c->tcp.snd0 + c->tx;
	r.rcv = c->tcp.rcv0 + c->rx;
	memcpy(r.tail, engine.tail, r.tail_len);
	c->tx += r.tail_len;
	priv_restore(engine.priv, &r, restored_cb, c);
}

static void
restore_all(const char *tail)
{
	engine.next = engine.restored = engine.failed = 0;
	engine.tail = tail;
	for (unsigned i = 0; i < engine.n; i++)
		priv_silent_close(engine.priv, engine.calls[i].fd);
	clock_gettime(CLOCK_MONOTONIC, &engine.began);
	for (unsigned i = 0; i < AT_ONCE; i++)
		restore_next();
}

/* What came goes back. */
static void
echo_all(void)
{
	unsigned bytes = 0;
	char text[256];

	for (unsigned i = 0; i < engine.n; i++) {
		struct call *c = &engine.calls[i];
		ssize_t n;
		int queued = 0, waiting = 0;
		struct tcp_info info;
		socklen_t len = sizeof(info);

		MUST(ioctl(c->fd, FIONREAD, &queued) == 0);
		n = recv(c->fd, text, sizeof(text), 0);
		MUST(n == (queued > 0 ? queued : -1));
		if (n <= 0 || send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
			continue;
		MUST(ioctl(c->fd, TIOCOUTQ, &waiting) == 0 && waiting >= 0);
		MUST(getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
		c->rx += (uint32_t)n;
		c->tx += (uint32_t)n;
		bytes += (unsigned)n;
	}
	say("echoed %u\n", bytes);
}

static void
sniffer_cb(void *arg, int fd, int err)
{
	engine.sniffer = fd;
	say("sniffer %d\n", err);
}

static void
hear(void)
{
	uint8_t bytes[2000];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	unsigned heard = 0, refused = 0;
	struct sockaddr_in to = address(CLIENT, 0);

	while (recvmsg(engine.sniffer, &h, 0) > 0)
		heard++;
	refused = sendto(engine.sniffer, bytes, 40, 0, (struct sockaddr *)&to, sizeof(to)) == -1;
	say("heard %d refused %u\n", heard > 0, refused);
}

/* The peer's engine comes: its stream is accepted, spoken to, ended. */
static void
serve_replica(void)
{
	int fd = accept4(engine.start.replica_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int size = 1 << 20;

	MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	MUST(send(fd, "replica", 7, MSG_NOSIGNAL) == 7 && shutdown(fd, SHUT_WR) == 0);
	close(fd);
	say("done\n");
}

static void
engine_deed(char deed)
{
	int on = 1;

	switch (deed) {
	case 'l':
		priv_listen(engine.priv, true, done_cb, NULL);
		break;
	case 'n':
		say("calls %u\n", engine.n);
		break;
	case 'r':
		restore_all("");
		break;
	case 't':
		restore_all("tail");
		break;
	case 'e':
		echo_all();
		break;
	case 'p':
		priv_probe(engine.priv, engine.calls[0].fd, done_cb, NULL);
		break;
	case 's':
		priv_sniffer(engine.priv, sniffer_cb, NULL);
		break;
	case 'S':
		hear();
		break;
	case 'u':
		serve_replica();
		break;
	case 'h': /* must kill */
		setsockopt(engine.sniffer, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on));
		say("alive\n");
		break;
	}
}

static void
control_cb(int events, void *arg)
{
	char c;

	if (read(engine.control, &c, 1) == 1)
		engine_deed(c);
	else
		io_fini(&engine.control_io);
}

static void
listen_cb(int events, void *arg)
{
	engine.control = accept4(engine.start.control_fd, NULL, NULL, 0);
	MUST(io_init(&engine.control_io, engine.loop, engine.control, control_cb, NULL) == 0);
	io_want(&engine.control_io, IO_READ);
}

static void
on_accept(void *arg, int fd, const struct tcp_snapshot *t)
{
	MUST(engine.n < BENCH);
	engine.calls[engine.n++] = (struct call){.fd = fd, .tcp = *t};
}

static void
on_files(void *arg, struct priv_files *f)
{
	priv_files_fini(f);
}

static void
on_stop(void *arg)
{
	loop_stop(engine.loop);
}

static void
on_gone(void *arg)
{
	_exit(9);
}

static int
engine_main(void)
{
	static const struct priv_ops ops = {on_accept, on_files, on_stop, on_gone};

	log_init("test-engine", -1, false);
	MUST(priv_receive_start(PRIV_FD, &engine.start) == 0 && sandbox_engine() == 0);
	engine.loop = loop_new();
	engine.priv = priv_new(engine.loop, PRIV_FD, &ops, NULL);
	MUST(engine.priv != NULL);
	MUST(
	    io_init(&engine.listen_io, engine.loop, engine.start.control_fd, listen_cb, NULL) == 0);
	io_want(&engine.listen_io, IO_READ);
	loop_run(engine.loop);
	_exit(0);
}

static void
clients_up(const struct world *w, int control, int *clients, unsigned n)
{
	unsigned there = 0;

	SAYS(control, 'l', "done 0\n");
	for (unsigned i = 0; i < n; i++)
		clients[i] = client_connect(w);
	for (int i = 0; i < 500 && there < n; i++) {
		MUST(sscanf(ask(control, 'n'), "calls %u", &there) == 1);
		usleep(10000);
	}
	MUST(there == n);
}

static void
everybody_is_echoed(int control, const int *clients, unsigned n)
{
	unsigned bytes = 0, some;

	for (unsigned i = 0; i < n; i++)
		MUST(send(clients[i], "hello", 5, MSG_NOSIGNAL) == 5);
	while (bytes < 5 * n) {
		MUST(sscanf(ask(control, 'e'), "echoed %u", &some) == 1);
		bytes += some;
	}
	for (unsigned i = 0; i < n; i++)
		expect(clients[i], "hello");
}

/* As in a takeover: who has no socket at the moment tells nobody. A client's late ACK may come
 * then.
 */
#define HOLD                                                                                       \
	"nft 'add table inet y; add chain inet y out { type filter hook output priority raw; }; "  \
	"add rule inet y out tcp sport 1723 tcp flags & rst != 0 drop'"

static void
verbs_body(void *arg)
{
	enum {
		CLIENTS = 200
	};
	static int clients[CLIENTS];
	struct world w = world_up();
	pid_t monitor = start_monitor("active"), engine_process;
	int control = connect_control(), replica;
	char text[16] = {0};

	alarm(60);
	clients_up(&w, control, clients, CLIENTS);
	everybody_is_echoed(control, clients, CLIENTS);
	MUST(system(HOLD) == 0);
	for (int round = 0; round < 2; round++) {
		MUST(strncmp(ask(control, 'r'), "restored 200 failed 0", 21) == 0);
		everybody_is_echoed(control, clients, CLIENTS);
		MUST(strncmp(ask(control, 't'), "restored 200 failed 0", 21) == 0);
		for (unsigned i = 0; i < CLIENTS; i++)
			expect(clients[i], "tail");
		everybody_is_echoed(control, clients, CLIENTS);
	}
	SAYS(control, 'p', "done 0\n");
	SAYS(control, 's', "sniffer 0\n");
	everybody_is_echoed(control, clients, CLIENTS);
	SAYS(control, 'S', "heard 1 refused 1\n");

	replica = connect_once("replica");
	MUST(replica >= 0);
	SAYS(control, 'u', "done\n");
	MUST(read(replica, text, sizeof(text)) == 7 && strcmp(text, "replica") == 0);
	MUST(read(replica, text, sizeof(text)) == 0);

	/* the engine's end is the monitor's; what the kernel keeps is gone with the next start */
	MUST(system(GUARD) == 0);
	engine_process = engine_pid(monitor);
	MUST(write(control, "h", 1) == 1);
	MUST(end_of(monitor) == 1 && kill(engine_process, 0) == -1);
	MUST(!exists("/run/pptp-ha/replica.sock") && orphans() == CLIENTS);
	monitor = start_monitor("standby");
	close(control);
	control = connect_control();
	SAYS(control, 'n', "calls 0\n");
	MUST(orphans() == 0);
	kill(monitor, SIGTERM);
	MUST(end_of(monitor) == 0);
}

static void
engine_restores_many(void **state)
{
	need_root();
	assert_int_equal(in_child(verbs_body, NULL), 0);
}

/* ---- figures ---- */

static double
us_since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began->tv_sec) * 1e6 +
	       (double)(now.tv_nsec - began->tv_nsec) / 1e3;
}

static void
bench_alone(struct world *w)
{
	static struct connection c[BENCH];
	struct timespec began;

	listen_1723(w);
	for (unsigned i = 0; i < BENCH; i++)
		c[i] = connect_to(w);
	for (unsigned i = 0; i < BENCH; i++)
		close_silently(&c[i]);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (unsigned i = 0; i < BENCH; i++) {
		struct tcp_restore r = restore_of(&c[i], 0, 0, "");

		MUST((c[i].server = tcp_restore_open(&r, wall_now_ms())) >= 0);
	}
	printf("restore alone: %d in %.1f ms\n", BENCH, us_since(&began) / 1e3);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (unsigned i = 0; i < BENCH; i++)
		MUST(tcp_probe(c[i].server) == 0);
	printf("probe alone: %d in %.1f ms\n", BENCH, us_since(&began) / 1e3);
	for (unsigned i = 0; i < BENCH; i++) {
		close_silently(&c[i]);
		close(c[i].client);
	}
	close(w->listener);
}

static void
bench_body(void *arg)
{
	static int clients[BENCH];
	struct world w = world_up();
	unsigned restored, failed;
	long long us;
	pid_t monitor;
	int control;

	bench_alone(&w);
	monitor = start_monitor("active");
	control = connect_control();
	clients_up(&w, control, clients, BENCH);
	for (int i = 0; i < 4; i++) {
		const char *said_now = ask(control, i % 2 == 0 ? 'r' : 't');

		MUST(sscanf(said_now, "restored %u failed %u us %lld", &restored, &failed, &us) ==
		     3);
		printf("restore through the verb, %s tail: %u in %.1f ms, %d at once, %u failed\n",
		    i % 2 == 0 ? "no" : "with", restored, (double)us / 1e3, AT_ONCE, failed);
	}
	kill(monitor, SIGTERM);
	end_of(monitor);
}

static int
bench(void)
{
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_root();
	status = in_child(bench_body, NULL);
	remove_root();
	return status != 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(snapshot_of_a_connection),
	    cmocka_unit_test(silent_close),
	    cmocka_unit_test(connections_continue),
	    cmocka_unit_test(timestamps_go_ahead),
	    cmocka_unit_test(restore_before_the_address),
	    cmocka_unit_test(orphans_make_room),
	    cmocka_unit_test(sniffer_hears_and_cannot_speak),
	    cmocka_unit_test(engine_restores_many),
	};

	if (argc == 3 && strcmp(argv[1], "engine") == 0)
		return engine_main();
	if (argc == 2 && strcmp(argv[1], "bench") == 0)
		return bench();
	return cmocka_run_group_tests(tests, roots_up, roots_down);
}
