/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections of real kernels, continued through the monitor's verbs by an engine that is
 * this program again. Skipped without root. `test_restore_engine bench` prints what many restores
 * take.
 */
#include "tests/unit/restore_rig.h"

#include <netinet/ip.h>
#include <sys/ioctl.h>
#include <time.h>

#include "common/log.h"
#include "common/loop.h"
#include "pptpd/priv/sandbox.h"

#define BENCH   1000
#define AT_ONCE 64

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
	    cmocka_unit_test(engine_restores_many),
	};

	if (argc == 3 && strcmp(argv[1], "engine") == 0)
		return engine_main();
	if (argc == 2 && strcmp(argv[1], "bench") == 0)
		return bench();
	return cmocka_run_group_tests(tests, roots_up, roots_down);
}
