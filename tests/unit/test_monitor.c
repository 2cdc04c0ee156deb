/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The whole monitor with an engine that is this program again (argv "engine NODE"): it reports on
 * the control socket that the monitor made. Skipped without root.
 */
#include <fcntl.h>
#include <linux/tcp.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>

#include "monitor_rig.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/marks.h"
#include "pptpd/conf/settings.h"
#include "pptpd/priv/calls.h"
#include "pptpd/priv/netlink.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/sandbox.h"
#include "pptpd/priv/tcp_snapshot.h"

/* ---- the whole monitor ---- */

/* The engine of these tests: does what it reads on the control socket, a letter a deed. */
struct engine {
	struct loop *loop;
	struct priv *priv;
	int control, peer, call;
	struct io control_io, peer_io;
	struct priv_start start;
};

static void
say(struct engine *e, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)!write(e->peer, line, (size_t)n);
}

static void
said_done(void *arg, int err)
{
	say(arg, "done %d\n", err);
}

static void
engine_deed(struct engine *e, char deed)
{
	switch (deed) {
	case 'i':
		say(e, "%s %d %d %u %d %d %s", e->start.node, e->start.standby, e->start.debug,
		    e->start.workers, e->start.gre_fds[0] >= 0, e->start.tun_fds[0] >= 0,
		    e->start.files.conf);
		break;
	case 'l':
		priv_listen(e->priv, true, said_done, e);
		break;
	case 'L':
		priv_listen(e->priv, false, said_done, e);
		break;
	case 'c':
		priv_call_add(e->priv, IP(198, 51, 100, 100), 0x77, said_done, e);
		break;
	case 'r':
		priv_route_add(e->priv, IP(10, 8, 0, 10), true, said_done, e);
		break;
	case 'v':
		priv_route_add(e->priv, IP(10, 8, 0, 10), false, said_done, e);
		break;
	case 'R':
		priv_route_add(e->priv, IP(8, 8, 8, 8), true, said_done, e);
		break;
	case 'm':
		priv_mark_closing(e->priv, e->call, said_done, e);
		break;
	case 'q':
		priv_silent_close(e->priv, e->call);
		say(e, "done\n");
		break;
	case 'h':
		priv_reload(e->priv, said_done, e);
		break;
	case 'w':
		priv_wtmp(e->priv, 5, "api-client", IP(198, 51, 100, 100));
		priv_reload(e->priv, said_done, e);
		break;
	case 'x':
		abort();
	}
}

static void
peer_cb(int events, void *arg)
{
	struct engine *e = arg;
	char c;

	if (read(e->peer, &c, 1) == 1)
		engine_deed(e, c);
	else
		io_fini(&e->peer_io);
}

static void
control_cb(int events, void *arg)
{
	struct engine *e = arg;

	e->peer = accept4(e->control, NULL, NULL, 0);
	MUST(io_init(&e->peer_io, e->loop, e->peer, peer_cb, e) == 0);
	io_want(&e->peer_io, IO_READ);
}

static void
engine_on_accept(void *arg, int fd, const struct tcp_snapshot *t)
{
	struct engine *e = arg;
	uint32_t mark = 0, rcv;
	socklen_t len = sizeof(mark);

	getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len);
	getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &rcv, &len); /* without privileges */
	e->call = fd;
	say(e, "accepted %x %d %u %d\n", t->peer_ip, rcv == t->rcv0, t->local_port,
	    mark == MARK_CALL);
}

static void
engine_on_files(void *arg, struct priv_files *f)
{
	say(arg, "files %s", f->secrets);
	priv_files_fini(f);
}

static void
engine_on_stop(void *arg)
{
	loop_stop(((struct engine *)arg)->loop);
}

static void
engine_on_gone(void *arg)
{
	_exit(9);
}

static int
engine_main(const char *node)
{
	static const struct priv_ops ops = {
	    engine_on_accept, engine_on_files, engine_on_stop, engine_on_gone};
	static struct engine e = {.call = -1};

	log_init("test-engine", -1, false);
	MUST(fcntl(PRIV_FD + 1, F_GETFD) == -1 && errno == EBADF); /* nothing was inherited */
	MUST(priv_receive_start(PRIV_FD, &e.start) == 0 && sandbox_engine() == 0);
	MUST(strcmp(node, e.start.node) == 0);
	e.loop = loop_new();
	e.control = e.start.control_fd;
	e.priv = priv_new(e.loop, PRIV_FD, &ops, &e);
	MUST(e.priv != NULL && io_init(&e.control_io, e.loop, e.control, control_cb, &e) == 0);
	io_want(&e.control_io, IO_READ);
	loop_run(e.loop);
	_exit(0);
}

static int
connect_pptp(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons(1723),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
check_start(int control, pid_t monitor)
{
	char want[256], command[64];
	pid_t engine = engine_pid(monitor);

	snprintf(want, sizeof(want), NODE " 0 0 ");
	MUST(strncmp(ask(control, 'i'), want, strlen(want)) == 0);
	MUST(strstr(ask(control, 'i'), " 1 1 " CONF) != NULL);
	MUST(strcmp(status_of(monitor, "CapEff"), "0000000000003020") == 0);
	MUST(strcmp(status_of(monitor, "CapPrm"), "0000000000003020") == 0);
	MUST(strcmp(status_of(engine, "CapEff"), "0000000000000000") == 0);
	MUST(strcmp(status_of(engine, "CapBnd"), "0000000000000000") == 0);
	MUST(strcmp(status_of(engine, "Seccomp"), "2") == 0);
	MUST(strncmp(status_of(engine, "Uid"), "65534", 5) == 0);
	snprintf(command, sizeof(command), "tr '\\0' ' ' < /proc/%d/cmdline", (int)engine);
	snprintf(want, sizeof(want), "%s engine " NODE " ", program_invocation_name);
	MUST(strcmp(output(command), want) == 0);
	MUST(strstr(output("ip -o addr show dev pppha0"), "inet 10.8.0.1/32") != NULL);
	MUST(strstr(output("ip -o link show dev pppha0"), "mtu 1300") != NULL);
	snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", (int)monitor);
	MUST(atoi(output(command)) < 16); /* the engine's descriptors are not here any more */
}

static void
check_connections(int control)
{
	struct pollfd p = {.events = POLLIN};
	int client;

	MUST(connect_pptp() == -1); /* bound, not listening */
	SAYS(control, 'l', "done 0\n");
	client = connect_pptp();
	MUST(client >= 0);
	MUST(strcmp(listen_to(control), "accepted 7f000001 1 1723 1\n") == 0);
	SAYS(control, 'm', "done 0\n");
	SAYS(control, 'q', "done\n");
	p.fd = client;
	MUST(poll(&p, 1, 300) == 0); /* closed on both sides there, and nothing was sent */
	close(client);
	MUST((client = connect_pptp()) >= 0);
	MUST(strncmp(listen_to(control), "accepted", 8) == 0);
	SAYS(control, 'L', "done 0\n");
	MUST(connect_pptp() == -1);
	SAYS(control, 'l', "done 0\n"); /* although a connection of the old one still lives */
	close(client);
}

/* An engine that sleeps: connections wait in the kernel, the monitor does not spin, none is lost.
 */
static void
check_flood(int control, pid_t monitor)
{
	enum {
		CLIENTS = 450 /* more than the socket to the engine holds */
	};
	static int clients[CLIENTS];
	pid_t engine = engine_pid(monitor);
	char command[64];
	size_t accepted = 0;
	long before, after;

	snprintf(
	    command, sizeof(command), "cut -d' ' -f14,15 /proc/%d/stat | tr ' ' +", (int)monitor);
	kill(engine, SIGSTOP);
	for (int i = 0; i < CLIENTS; i++)
		MUST((clients[i] = connect_pptp()) >= 0);
	usleep(100000);
	before = atol(output(command)) + atol(strchr(output(command), '+'));
	usleep(300000); /* less than the engine may keep silent */
	after = atol(output(command)) + atol(strchr(output(command), '+'));
	MUST(after - before < 10); /* of 30 ticks */
	kill(engine, SIGCONT);
	while (accepted < CLIENTS)
		for (const char *l = listen_to(control); (l = strchr(l, '\n')) != NULL; l++)
			accepted++;
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	SAYS(control, 'l', "done 0\n"); /* no more than those */
}

static void
check_reload(int control, pid_t monitor)
{
	put_file("/etc/ppp/chap-secrets", 0600, SECRETS("two"));
	kill(monitor, SIGHUP);
	MUST(strcmp(listen_to(control), "files " SECRETS("two")) == 0);
	put_file("/etc/pptpd.conf", 0644, CONF "listen 1.2.3.4.5\n");
	SAYS(control, 'h', "done 22\n");
	put_file("/etc/pptpd.conf", 0644, CONF);
	MUST(strncmp(ask(control, 'w'), "files", 5) == 0);
	if (strstr(said, "done 0") == NULL) /* may come in the same read */
		MUST(strcmp(listen_to(control), "done 0\n") == 0);
}

static void
check_wtmp(void)
{
	struct utmp u;
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s/var/log/wtmp", root);
	fd = open(full, O_RDONLY);
	MUST(read(fd, &u, sizeof(u)) == sizeof(u));
	MUST(u.ut_type == USER_PROCESS && strcmp(u.ut_line, "pptp5") == 0);
	MUST(strcmp(u.ut_user, "api-client") == 0 && strcmp(u.ut_host, "198.51.100.100") == 0);
	close(fd);
}

static unsigned
announcements(int arp)
{
	uint8_t bytes[64];
	unsigned n = 0;

	while (recv(arp, bytes, sizeof(bytes), 0) >= 28)
		n += memcmp(bytes + 14, (uint8_t[]){10, 8, 0, 10}, 4) == 0 &&
		     memcmp(bytes + 24, (uint8_t[]){10, 8, 0, 10}, 4) == 0 && bytes[7] == 1;
	return n;
}

/* A standby has the route; only who serves answers ARP for it, and says so once. */
static void
check_serving(int control)
{
	int arp;

	MUST(system("ip link add x-lan type veth peer name x-lan2 && ip link set x-lan2 up && "
		    "ip link set x-lan up && ip addr add 10.8.0.254/24 dev x-lan") == 0);
	arp = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_ARP));
	MUST(bind(arp,
		 (struct sockaddr *)&(struct sockaddr_ll){.sll_family = AF_PACKET,
		     .sll_protocol = htons(ETH_P_ARP),
		     .sll_ifindex = (int)if_nametoindex("x-lan2")},
		 sizeof(struct sockaddr_ll)) == 0);
	SAYS(control, 'v', "done 0\n");
	MUST(strstr(output("ip route show proto 112"), "10.8.0.10 dev pppha0") != NULL);
	MUST(strcmp(output("ip neigh show proxy"), "") == 0 && announcements(arp) == 0);
	SAYS(control, 'r', "done 0\n");
	MUST(strstr(output("ip neigh show proxy"), "10.8.0.10 dev x-lan") != NULL);
	MUST(announcements(arp) == 1);
	SAYS(control, 'r', "done 0\n");
	MUST(announcements(arp) == 0);
	SAYS(control, 'v', "done 0\n"); /* demoted */
	MUST(strcmp(output("ip neigh show proxy"), "") == 0);
	MUST(strstr(output("ip route show proto 112"), "10.8.0.10 dev pppha0") != NULL);
	SAYS(control, 'r', "done 0\n");
	close(arp);
}

static void
monitor_body(void *arg)
{
	pid_t monitor = start_monitor("active"), second;
	int control = connect_control();

	alarm(60);
	MUST(system(CALLS_TABLE) == 0);
	check_start(control, monitor);
	check_connections(control);
	check_flood(control, monitor);
	SAYS(control, 'c', "done 0\n");
	MUST(strstr(output(CALLS_LIST), "198.51.100.100 . 0x77") != NULL ||
	     strstr(output(CALLS_LIST), "198.51.100.100 . 0x0077") != NULL);
	check_serving(control);
	SAYS(control, 'R', "done 1\n"); /* EPERM */
	check_reload(control, monitor);
	check_wtmp();

	second = start_monitor("active"); /* fails and harms nothing */
	MUST(end_of(second) == 1);
	SAYS(control, 'c', "done 0\n");

	MUST(exists("/run/pptp-ha/pptpd.pid") && exists("/run/pptp-ha/pptpd.sock"));
	kill(monitor, SIGTERM);
	MUST(end_of(monitor) == 0);
	MUST(!exists("/run/pptp-ha/pptpd.pid") && !exists("/run/pptp-ha/pptpd.sock"));
	MUST(count_calls(output(CALLS_LIST)) == 0);
	MUST(strcmp(output("ip neigh show proxy"), "") == 0);
	MUST(if_nametoindex("pppha0") == 0);
}

static void
monitor_and_engine(void **state)
{
	need_root();
	assert_int_equal(in_child(monitor_body, NULL), 0);
}

static void
deaths_body(void *arg)
{
	pid_t monitor = start_monitor("standby"), engine;
	int control = connect_control();
	char c;

	alarm(60);
	MUST(strncmp(ask(control, 'i'), NODE " 1 ", strlen(NODE) + 3) == 0);
	MUST(write(control, "x", 1) == 1); /* the engine dies */
	MUST(end_of(monitor) == 1);
	MUST(!exists("/run/pptp-ha/pptpd.pid") && !exists("/run/pptp-ha/pptpd.sock"));
	close(control);

	monitor = start_monitor("active"); /* starts again cleanly; now the monitor dies */
	control = connect_control();
	MUST(strncmp(ask(control, 'i'), NODE " 0 ", strlen(NODE) + 3) == 0);
	kill(monitor, SIGKILL);
	MUST(end_of(monitor) == 109);
	MUST(read(control, &c, 1) == 0); /* and the engine with it */
	close(control);
	while (
	    (control = connect_once("pptpd")) >= 0) /* it closes one descriptor after the other */
		close(control);
	MUST(exists("/run/pptp-ha/pptpd.sock")); /* stale */

	monitor = start_monitor("active");
	control = connect_control();
	MUST(strncmp(ask(control, 'i'), NODE, strlen(NODE)) == 0);
	engine = engine_pid(monitor); /* a hung engine gets its five seconds */
	kill(engine, SIGSTOP);
	kill(monitor, SIGTERM);
	MUST(end_of(monitor) == 1);
	MUST(kill(engine, 0) == -1 && errno == ESRCH);
	MUST(!exists("/run/pptp-ha/pptpd.sock"));
}

static void
deaths(void **state)
{
	need_root();
	assert_int_equal(in_child(deaths_body, NULL), 0);
}

/*
 * A hung engine is killed, one that was only stopped for a while is not, nor is one when all stood
 * still. How fast is printed; tests/lab checks it on a quiet machine.
 */
static void
hung_engine_body(void *arg)
{
	pid_t monitor = start_monitor("standby"), engine;
	int control = connect_control();
	struct timespec from, to;

	alarm(60);
	SAYS(control, 'c', "done 0\n");
	engine = engine_pid(monitor);
	usleep(300000); /* asked and answered */
	kill(engine, SIGSTOP);
	usleep(300000);
	kill(engine, SIGCONT);
	SAYS(control, 'c', "done 0\n");
	kill(monitor, SIGSTOP); /* a debugger, or a machine that sleeps */
	kill(engine, SIGSTOP);
	usleep(1500000);
	kill(monitor, SIGCONT);
	kill(engine, SIGCONT);
	SAYS(control, 'c', "done 0\n");
	clock_gettime(CLOCK_MONOTONIC, &from);
	kill(engine, SIGSTOP);
	MUST(end_of(monitor) == 1);
	clock_gettime(CLOCK_MONOTONIC, &to);
	MUST(kill(engine, 0) == -1 && errno == ESRCH);
	printf("hung engine: gone after %ld ms\n",
	    (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
}

static void
hung_engine_is_killed(void **state)
{
	need_root();
	assert_int_equal(in_child(hung_engine_body, NULL), 0);
}

static void
bad_configuration_body(void *arg)
{
	struct monitor_options o = {.node = NODE, .root = root, .conf_file = "/etc/pptpd.conf"};
	struct priv_files files;
	struct settings *s;

	s = monitor_load_settings(&o, &files);
	MUST(s != NULL && s->mtu == 1300 && strstr(files.secrets, "api-client") != NULL);
	settings_free(s);
	priv_files_fini(&files);
	o.conf_file = "/etc/missing";
	MUST(monitor_load_settings(&o, &files) == NULL);
	MUST(monitor_run(&o) == 1);
	o.conf_file = "/etc/pptpd.conf";
	o.user = "root";
	MUST(monitor_run(&o) == 1);
	MUST(!exists("/run/pptp-ha/pptpd.pid"));
}

static void
bad_configuration(void **state)
{
	need_root();
	assert_int_equal(in_child(bad_configuration_body, NULL), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_configuration),
	    cmocka_unit_test(monitor_and_engine),
	    cmocka_unit_test(deaths),
	    cmocka_unit_test(hung_engine_is_killed),
	};

	if (argc == 3 && strcmp(argv[1], "engine") == 0)
		return engine_main(argv[2]);
	return cmocka_run_group_tests(tests, roots_up, roots_down);
}
