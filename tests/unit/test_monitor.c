/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The privileged half, as root in network namespaces that live as long as a child process: the
 * sandbox, snapshots of real connections, routes and the firewall's set as ip and nft see them, and
 * the whole monitor with an engine that is this program again (argv "engine NODE"): it reports on
 * the control socket that the monitor made. Skipped without root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
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

#include "common/log.h"
#include "common/loop.h"
#include "common/marks.h"
#include "pptpd/conf/settings.h"
#include "pptpd/priv/calls.h"
#include "pptpd/priv/netlink.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/sandbox.h"
#include "pptpd/priv/tcp_snapshot.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define NODE           "x-node"

/* A check in a child process: says where, and ends it. */
#define MUST(e)                                                                                    \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			fprintf(                                                                   \
			    stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #e, strerror(errno));  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Runs body in a child with an empty network namespace of its own; returns the wait status. */
static int
in_child(void (*body)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		MUST(unshare(CLONE_NEWNET) == 0);
		MUST(system("ip link set lo up") == 0);
		body(arg);
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* All that a command prints, in a static buffer. */
static const char *
output(const char *command)
{
	static char text[65536];
	FILE *f = popen(command, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	pclose(f);
	text[n] = '\0';
	return text;
}

/* The value of a line of /proc/PID/status. */
static const char *
status_of(pid_t pid, const char *key)
{
	static char value[128];
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	value[0] = '\0';
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, " %127[^\n]", value);
	if (f != NULL)
		fclose(f);
	return value;
}

/* ---- sandbox ---- */

static int ready[2]; /* the child tells that it is confined, then waits for a byte */
static int go[2];

static void
confine(void)
{
	const struct passwd *pw = getpwnam("nobody");

	MUST(sandbox_become(pw->pw_name, pw->pw_uid, pw->pw_gid, getppid()) == 0);
	MUST(sandbox_engine() == 0);
}

static void *
thread_main(void *arg)
{
	*(int *)arg = 1;
	free(malloc(100000));
	return NULL;
}

static void
tick_cb(void *arg)
{
	loop_stop(arg);
}

/* What the engine does after the filter is on: threads, a loop, a timer, memory, the log. */
static void
ordinary_work(void)
{
	struct loop *l = loop_new();
	struct timer t;
	pthread_t threads[3];
	int done[3] = {0};
	char *big;

	MUST(l != NULL);
	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, thread_main, &done[i]) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_join(threads[i], NULL) == 0 && done[i]);
	timer_init(&t, l, tick_cb, l);
	timer_set(&t, 5);
	loop_run(l);
	loop_free(l);
	big = malloc((size_t)32 << 20);
	memset(big, 1, (size_t)32 << 20);
	free(big);
	log_info("confined");
}

static void
confined_body(void *arg)
{
	void (*deed)(void) = *(void (**)(void))arg;
	char c = 0;

	confine();
	MUST(write(ready[1], &c, 1) == 1 && read(go[0], &c, 1) == 1);
	deed();
}

static void
deed_socket(void)
{
	(void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void
deed_execute(void)
{
	char *argv[] = {NULL};

	execve("/bin/true", argv, argv);
}

#ifndef PHA_SANITIZE /* the sanitizers need these calls */
static void
deed_fork(void)
{
	if (fork() == 0)
		_exit(0);
}

static void
deed_map_code(void)
{
	(void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
deed_kill(void)
{
	kill(getppid(), 0);
}

#endif

/* Runs a deed confined; the state is looked at from outside while it waits. */
static int
run_confined(void (*deed)(void), void (*look)(pid_t pid))
{
	pid_t pid;
	char c = 0;
	int status;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		confined_body(&deed);
		exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1 && look != NULL)
		look(pid);
	(void)!write(go[1], &c, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	return status;
}

static void
look_at_engine(pid_t pid)
{
	static const char *const none[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

	assert_string_equal(status_of(pid, "Seccomp"), "2");
	assert_string_equal(status_of(pid, "NoNewPrivs"), "1");
	assert_string_equal(status_of(pid, "Uid"), "65534\t65534\t65534\t65534");
	assert_string_equal(status_of(pid, "Gid"), "65534\t65534\t65534\t65534");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_string_equal(status_of(pid, none[i]), "0000000000000000");
}

#ifndef PHA_SANITIZE
/* The C library tries to, so it is refused rather than punished. */
static void
opening_is_refused(void)
{
	if (open("/dev/null", O_RDONLY) != -1 || errno != EACCES)
		_exit(7);
}
#endif

static void
engine_is_confined_and_works(void **state)
{
	need_root();
	assert_int_equal(run_confined(ordinary_work, look_at_engine), 0);
#ifndef PHA_SANITIZE
	assert_int_equal(run_confined(opening_is_refused, NULL), 0);
#endif
}

static void
forbidden_deeds_kill(void **state)
{
	static void (*const deeds[])(void) = {
	    deed_socket,
	    deed_execute,
#ifndef PHA_SANITIZE
	    deed_fork,
	    deed_map_code,
	    deed_kill,
#endif
	};

	need_root();
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		int status = run_confined(deeds[i], NULL);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

static void
root_is_refused_body(void *arg)
{
	MUST(sandbox_engine() == -1 && errno == EPERM);
	MUST(sandbox_become("root", 0, 0, getppid()) == -1 && errno == EPERM);
}

static void
root_is_no_engine(void **state)
{
	need_root();
	assert_int_equal(in_child(root_is_refused_body, NULL), 0);
}

/* The monitor's death takes the engine along, although they are different users. */
static void
death_of_the_parent(void **state)
{
	int alive[2];
	pid_t parent;
	char c;

	need_root();
	assert_int_equal(pipe(alive), 0);
	parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			close(alive[0]);
			confine();
			(void)!write(alive[1], "x", 1);
			for (;;)
				sleep(1);
		}
		close(alive[1]);
		MUST(sandbox_monitor() == 0);
		for (;;)
			sleep(1);
	}
	close(alive[1]);
	assert_int_equal(read(alive[0], &c, 1), 1);
	for (int i = 0; i < 200 && strcmp(status_of(parent, "CapEff"), "0000000000003020") != 0;
	     i++)
		usleep(10000);
	assert_string_equal(status_of(parent, "CapEff"), "0000000000003020");
	assert_string_equal(status_of(parent, "CapBnd"), "0000000000003020");
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	alarm(10);
	assert_int_equal(read(alive[0], &c, 1), 0); /* the grandchild's end is closed */
	alarm(0);
	close(alive[0]);
}

/* ---- connections ---- */

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

/* ---- routes ---- */

static void
netlink_body(void *arg)
{
	struct netlink nl;
	unsigned tun, lan;

	MUST(system("ip link add x-tun type veth peer name x-peer && ip link set x-peer up && "
		    "ip link add x-lan type veth peer name x-lan2 && ip link set x-lan2 up && "
		    "ip link set x-lan up && ip addr add 192.168.1.1/24 dev x-lan && "
		    "ip addr add 192.168.0.1/16 dev x-peer") == 0);
	tun = if_nametoindex("x-tun");
	lan = if_nametoindex("x-lan");
	MUST(netlink_open(&nl) == 0);
	MUST(netlink_link_up(&nl, tun, 1400) == 0);
	MUST(netlink_address_add(&nl, tun, IP(10, 8, 0, 1)) == 0);
	MUST(netlink_address_add(&nl, tun, IP(10, 8, 0, 1)) == 0); /* twice is fine */
	MUST(strstr(output("ip -o addr show dev x-tun"), "inet 10.8.0.1/32") != NULL);
	MUST(strstr(output("ip -o link show dev x-tun"), "mtu 1400") != NULL);
	MUST(strstr(output("ip -o link show dev x-tun"), ",UP") != NULL);

	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 10)) == 0);
	MUST(strstr(output("ip route show proto 112"), "10.8.0.10 dev x-tun scope link") != NULL);
	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 10)) == -1 && errno == EEXIST);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 10)) == 0);
	MUST(strcmp(output("ip route show proto 112"), "") == 0);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 10)) == -1 && errno == ESRCH);
	MUST(system("ip route add 10.8.0.11/32 dev x-lan") == 0);
	MUST(netlink_route_add(&nl, tun, IP(10, 8, 0, 11)) == -1 && errno == EEXIST);
	MUST(netlink_route_delete(&nl, tun, IP(10, 8, 0, 11)) == -1); /* not ours */

	MUST(netlink_proxy_interface(IP(192, 168, 1, 50), tun) == lan); /* the narrower one */
	MUST(netlink_proxy_interface(IP(192, 168, 2, 50), tun) == if_nametoindex("x-peer"));
	MUST(netlink_proxy_interface(IP(10, 8, 0, 10), tun) == 0);
	MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(netlink_proxy_add(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(strstr(output("ip neigh show proxy"), "192.168.1.50 dev x-lan") != NULL);
	MUST(netlink_proxy_delete(&nl, lan, IP(192, 168, 1, 50)) == 0);
	MUST(strcmp(output("ip neigh show proxy"), "") == 0);
	MUST(netlink_link_up(&nl, 9999, 1400) == -1 && errno == ENODEV);
	netlink_close(&nl);
}

static void
routes_and_proxies(void **state)
{
	need_root();
	assert_int_equal(in_child(netlink_body, NULL), 0);
}

/* ---- the firewall's set ---- */

#define TABLE                                                                                      \
	"nft 'add table inet pptp_ha; "                                                            \
	"add set inet pptp_ha calls { typeof ip saddr . @th,48,16; size 65535; }'"
#define LIST "nft list set inet pptp_ha calls 2>&1"

struct answers {
	struct loop *loop;
	unsigned ok, failed;
	uint32_t last;
};

static void
note_answer(void *arg, uint32_t id, int err)
{
	struct answers *a = arg;

	if (err == 0)
		a->ok++;
	else
		a->failed++;
	a->last = id;
}

static void
run_ms(struct loop *l, uint64_t ms)
{
	struct timer t;

	timer_init(&t, l, tick_cb, l);
	timer_set(&t, ms);
	loop_run(l);
}

static size_t
count_elements(const char *text)
{
	size_t n = 0;

	for (; (text = strstr(text, " . 0x")) != NULL; text++)
		n++;
	return n;
}

static void
calls_body(void *arg)
{
	struct answers a = {.loop = loop_new()};
	struct calls *c = calls_new(a.loop, note_answer, &a);

	MUST(system(TABLE) == 0);
	calls_change(c, true, IP(198, 51, 100, 100), 0x1234, 1);
	calls_change(c, false, IP(198, 51, 100, 100), 0x9999, 2); /* was never there */
	calls_change(c, true, IP(198, 51, 100, 101), 1, 3);
	calls_change(c, true, IP(198, 51, 100, 101), 1, 4);
	calls_change(c, true, IP(198, 51, 100, 102), 1, 5);
	calls_change(c, false, IP(198, 51, 100, 102), 1, 6);
	MUST(a.ok == 0); /* one transaction, after the turn */
	run_ms(a.loop, 20);
	MUST(a.ok == 6 && a.failed == 0 && a.last == 6);
	MUST(strstr(output(LIST), "198.51.100.100 . 0x1234") != NULL);
	MUST(strstr(output(LIST), "198.51.100.101 . 0x1") != NULL);
	MUST(count_elements(output(LIST)) == 2 && calls_count(c) == 2);
	calls_change(c, true, IP(198, 51, 100, 100), 0x1234, 7); /* again, in another turn */
	calls_change(c, false, IP(198, 51, 100, 101), 1, 8);
	run_ms(a.loop, 20);
	MUST(a.ok == 8 && count_elements(output(LIST)) == 1);

	for (unsigned i = 1; i <= 2000; i++) /* several batches */
		calls_change(c, true, IP(10, 0, 0, 0) + i, (uint16_t)i, i);
	run_ms(a.loop, 20);
	MUST(a.ok == 2008 && count_elements(output(LIST)) == 2001);

	MUST(system("nft delete table inet pptp_ha") == 0); /* the firewall went */
	calls_change(c, true, IP(1, 2, 3, 4), 5, 1);
	run_ms(a.loop, 20);
	MUST(a.ok == 2009 && a.failed == 0);
	MUST(system(TABLE) == 0); /* and came back: everything is known again */
	run_ms(a.loop, 1500);
	MUST(count_elements(output(LIST)) == 2002);

	MUST(system("nft 'add element inet pptp_ha calls { 9.9.9.9 . 0x9 }'") == 0);
	calls_free(c); /* takes back its own and no other */
	MUST(count_elements(output(LIST)) == 1 && strstr(output(LIST), "9.9.9.9") != NULL);
	loop_free(a.loop);
}

static void
set_of_calls(void **state)
{
	need_root();
	assert_int_equal(in_child(calls_body, NULL), 0);
}

static void
full_set_body(void *arg)
{
	struct answers a = {.loop = loop_new()};
	struct calls *c = calls_new(a.loop, note_answer, &a);

	MUST(system("nft 'add table inet pptp_ha; add set inet pptp_ha calls "
		    "{ typeof ip saddr . @th,48,16; size 10; }'") == 0);
	for (unsigned i = 1; i <= 12; i++)
		calls_change(c, true, IP(10, 0, 0, 0) + i, 1, i);
	run_ms(a.loop, 50);
	MUST(a.ok == 10 && a.failed == 2 && calls_count(c) == 10);
	calls_free(c);
	loop_free(a.loop);
}

static void
one_bad_call_costs_only_itself(void **state)
{
	need_root();
	assert_int_equal(in_child(full_set_body, NULL), 0);
}

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
		priv_route_add(e->priv, IP(10, 8, 0, 10), said_done, e);
		break;
	case 'R':
		priv_route_add(e->priv, IP(8, 8, 8, 8), said_done, e);
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

static char root[] = "/tmp/x-monitor-XXXXXX";

static void
put_file(const char *path, mode_t mode, const char *text)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, mode);
	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

#define CONF                                                                                       \
	"option /etc/o\nlogwtmp\nlocalip 10.8.0.1\nremoteip 10.8.0.2-10.8.0.50\nconnections 40\n"
#define SECRETS(p) "api-client pptpd \"" p "\" 10.8.0.10\n"

static void
make_root(void)
{
	char command[128];

	MUST(mkdtemp(root) != NULL);
	snprintf(command, sizeof(command), "mkdir -p %s/etc/ppp %s/var/log", root, root);
	MUST(system(command) == 0);
	put_file("/etc/pptpd.conf", 0644, CONF);
	put_file("/etc/o", 0644, "name pptpd\nproxyarp\nmtu 1300\n");
	put_file("/etc/ppp/chap-secrets", 0600, SECRETS("one"));
	put_file("/var/log/wtmp", 0644, "");
}

static void
remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	MUST(system(command) == 0);
}

static int
connect_once(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/pptp-ha/pptpd.sock", root);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
connect_control(void)
{
	for (int i = 0; i < 500; i++) {
		int fd = connect_once();

		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	MUST(!"the control socket answers");
	return -1;
}

/* What the engine says next; it may say two things in one read. */
static char said[512];

static const char *
listen_to(int control)
{
	struct pollfd p = {control, POLLIN, 0};
	ssize_t n;

	MUST(poll(&p, 1, 10000) == 1);
	n = read(control, said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	return said;
}

static const char *
ask(int control, char deed)
{
	MUST(write(control, &deed, 1) == 1);
	return listen_to(control);
}

#define SAYS(control, deed, want) MUST(strcmp(ask(control, deed), want) == 0)

static pid_t
start_monitor(const char *role)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct monitor_options o = {.node = NODE,
		    .root = root,
		    .conf_file = "/etc/pptpd.conf",
		    .user = "nobody",
		    .role = role};

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
		exit(monitor_run(&o));
	}
	return pid;
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

static pid_t
engine_pid(pid_t monitor)
{
	char command[64];

	snprintf(
	    command, sizeof(command), "cat /proc/%d/task/%d/children", (int)monitor, (int)monitor);
	return atoi(output(command));
}

static int
end_of(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static bool
exists(const char *path)
{
	char full[256];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", root, path);
	return lstat(full, &st) == 0;
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
		CLIENTS = 900
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
	usleep(500000);
	after = atol(output(command)) + atol(strchr(output(command), '+'));
	MUST(after - before < 10); /* of 50 ticks */
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

static void
monitor_body(void *arg)
{
	pid_t monitor = start_monitor("active"), second;
	int control = connect_control();

	alarm(60);
	MUST(system(TABLE) == 0);
	check_start(control, monitor);
	check_connections(control);
	check_flood(control, monitor);
	SAYS(control, 'c', "done 0\n");
	MUST(strstr(output(LIST), "198.51.100.100 . 0x77") != NULL ||
	     strstr(output(LIST), "198.51.100.100 . 0x0077") != NULL);
	SAYS(control, 'r', "done 0\n");
	SAYS(control, 'R', "done 1\n"); /* EPERM */
	MUST(strstr(output("ip route show proto 112"), "10.8.0.10 dev pppha0") != NULL);
	check_reload(control, monitor);
	check_wtmp();

	second = start_monitor("active"); /* fails and harms nothing */
	MUST(end_of(second) == 1);
	SAYS(control, 'c', "done 0\n");

	MUST(exists("/run/pptp-ha/pptpd.pid") && exists("/run/pptp-ha/pptpd.sock"));
	kill(monitor, SIGTERM);
	MUST(end_of(monitor) == 0);
	MUST(!exists("/run/pptp-ha/pptpd.pid") && !exists("/run/pptp-ha/pptpd.sock"));
	MUST(count_elements(output(LIST)) == 0);
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
	while ((control = connect_once()) >= 0) /* it closes one descriptor after the other */
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

static int
roots_up(void **state)
{
	if (geteuid() == 0)
		make_root();
	return 0;
}

static int
roots_down(void **state)
{
	if (geteuid() == 0)
		remove_root();
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(engine_is_confined_and_works),
	    cmocka_unit_test(forbidden_deeds_kill),
	    cmocka_unit_test(root_is_no_engine),
	    cmocka_unit_test(death_of_the_parent),
	    cmocka_unit_test(snapshot_of_a_connection),
	    cmocka_unit_test(silent_close),
	    cmocka_unit_test(routes_and_proxies),
	    cmocka_unit_test(set_of_calls),
	    cmocka_unit_test(one_bad_call_costs_only_itself),
	    cmocka_unit_test(bad_configuration),
	    cmocka_unit_test(monitor_and_engine),
	    cmocka_unit_test(deaths),
	};

	if (argc == 3 && strcmp(argv[1], "engine") == 0)
		return engine_main(argv[2]);
	return cmocka_run_group_tests(tests, roots_up, roots_down);
}
