/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The monitor's life: read, open, start the engine, give privileges up, serve verbs and accept
 * connections until either has ended. The monitor reads nothing that comes from the network; what
 * it reads from the engine goes through the checks of monitor_verbs.c.
 *
 * Invariants: of an accepted connection no duplicate stays here; while a message to the engine
 * waits, neither verbs nor connections are taken, so the queue is bounded by one loop turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/marks.h"
#include "pptpd/priv/monitor.h"
#include "pptpd/priv/sandbox.h"
#include "pptpd/priv/tcp_snapshot.h"

#define PACKETS_PER_TURN 64
#define ACCEPTS_PER_TURN 32
#define ACCEPT_PAUSE_MS  100  /* out of descriptors or memory */
#define STOP_MS          5000 /* for the engine to leave in order */
#define ENDED_MS         2000 /* it has closed its socket and must exit */
#define LOW_FD           10   /* below: the engine's standard descriptors and PRIV_FD */

/* Starting the engine */

/* What a child of ours may inherit: where the log goes, and the sanitizers' options. */
static char **
child_environment(void)
{
	static const char *const names[] = {
	    "JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
	static char *kept[sizeof(names) / sizeof(names[0]) + 1];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && asprintf(&kept[n], "%s=%s", names[i], value) >= 0)
			n++;
	}
	kept[n] = NULL;
	return kept;
}

static _Noreturn void
become_engine(const struct monitor *m, int sock, int self, int null, pid_t parent)
{
	char *node = strdup(m->o->node);
	char *argv[] = {program_invocation_name, (char[]){"engine"}, node, NULL};
	char **env = child_environment();
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (node == NULL || dup2(null, STDIN_FILENO) < 0 || dup2(sock, PRIV_FD) < 0 ||
	    close_range(PRIV_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
	    sandbox_become(m->user, m->uid, m->gid, parent) < 0)
		log_warn("cannot confine the engine error=\"%m\"");
	else if (execveat(self, "", argv, env, AT_EMPTY_PATH) < 0)
		log_warn("cannot execute the engine error=\"%m\"");
	_exit(127);
}

/* The descriptor's number must not be one that the child gives another meaning to. */
static int
move_up(int fd)
{
	int high = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, LOW_FD) : -1;

	if (fd >= 0)
		close(fd);
	return high;
}

static int
start_engine(struct monitor *m)
{
	int self = move_up(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	int null = move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
	pid_t parent = getpid();
	int pair[2], theirs = -1;

	priv_queue_init(&m->out, -1);
	if (self < 0 || null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto out;
	priv_queue_init(&m->out, move_up(pair[0]));
	theirs = move_up(pair[1]);
	if (m->out.sock < 0 || theirs < 0 || fcntl(m->out.sock, F_SETFL, O_NONBLOCK) < 0)
		goto out;
	m->engine = fork();
	if (m->engine == 0)
		become_engine(m, theirs, self, null, parent);
out:
	if (m->engine <= 0)
		log_warn("cannot start the engine error=\"%m\"");
	close(theirs);
	close(self);
	close(null);
	return m->engine > 0 ? 0 : -1;
}

static int
send_start(struct monitor *m)
{
	struct priv_msg msg = {.type = PRIV_START};
	int fds[5 + 2 * DP_WORKERS_MAX], rc, files = priv_files_pack(&m->conf.files);
	size_t n = 0;

	priv_files_fini(&m->conf.files);
	if (files < 0)
		return -1;
	snprintf(msg.start.node, sizeof(msg.start.node), "%s", m->o->node);
	msg.start.standby = m->conf.settings->standby;
	msg.start.debug = m->o->debug;
	msg.start.workers = (uint8_t)m->workers;
	msg.start.steering = m->steer_fd >= 0;
	msg.start.bind_ip = m->listen_ip;
	fds[n++] = m->control_fd;
	fds[n++] = files;
	fds[n++] = m->replica_fd;
	fds[n++] = m->crumbs_fd;
	if (msg.start.steering)
		fds[n++] = m->steer_fd;
	memcpy(&fds[n], m->gre_fds, m->workers * sizeof(int));
	n += m->workers;
	memcpy(&fds[n], m->tun_fds, m->workers * sizeof(int));
	n += m->workers;
	rc = priv_send(m->out.sock, &msg, fds, n);
	close(files);
	monitor_close_engine_fds(m);
	return rc;
}

/* Talking to the engine */

static void accept_cb(int events, void *arg);

void
monitor_watch(struct monitor *m)
{
	bool idle = priv_queue_empty(&m->out);
	bool accepting =
	    m->listening && idle && !m->stopping && !m->reaped && !timer_pending(&m->accept_timer);

	if (m->priv_io.ev != NULL)
		io_want(&m->priv_io, m->socket_ended ? 0 : idle ? IO_READ : IO_WRITE);
	if (accepting && m->listen_io.ev == NULL &&
	    io_init(&m->listen_io, m->loop, m->listen_fd, accept_cb, m) < 0)
		log_warn("cannot watch the listener error=\"%m\"");
	if (m->listen_io.ev != NULL)
		io_want(&m->listen_io, accepting ? IO_READ : 0);
}

void
monitor_tell(struct monitor *m, const struct priv_msg *msg, int fd)
{
	if (m->socket_ended || m->reaped) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (priv_queue_send(&m->out, msg, fd, true) < 0 && errno != EPIPE)
		log_warn(
		    "message to the engine lost type=%s error=\"%m\"", priv_type_name(msg->type));
	if (!priv_queue_empty(&m->out))
		monitor_watch(m);
}

/* 1 = a packet was handled, 0 = none now, -1 = there will be no more. */
static int
handle_packet(struct monitor *m)
{
	struct priv_packet p;
	int rc = priv_recv(m->out.sock, &p);

	if (rc < 0 && errno == EAGAIN)
		return 0;
	if (rc < 0 && errno == EBADMSG) {
		p.len = 0; /* refused like any other that does not decode */
		rc = 1;
	}
	if (rc <= 0)
		return -1;
	m->verbs.now_ms = loop_now_ms(m->loop);
	watchdog_heard(&m->watchdog);
	verbs_run(&m->verbs, &p);
	priv_packet_close(&p);
	return 1;
}

static void
priv_cb(int events, void *arg)
{
	struct monitor *m = arg;

	if ((events & IO_WRITE) != 0)
		priv_queue_flush(&m->out);
	for (int i = 0; i < PACKETS_PER_TURN && priv_queue_empty(&m->out); i++) {
		int rc = handle_packet(m);

		if (rc < 0) {
			m->socket_ended = true;
			if (!timer_pending(&m->kill_timer))
				timer_set(&m->kill_timer, ENDED_MS);
		}
		if (rc <= 0)
			break;
	}
	monitor_watch(m);
}

/* Connections */

static void
hand_over(struct monitor *m, int fd)
{
	struct priv_msg msg = {.type = PRIV_ACCEPTED};
	unsigned suppressed;

	if (tcp_set_mark(fd, MARK_CALL) == 0 && tcp_snapshot_take(fd, &msg.tcp) == 0) {
		monitor_tell(m, &msg, fd);
		return;
	}
	if (errno != ENOTCONN && log_limit_ok(m->limit, 0, loop_now_ms(m->loop), &suppressed))
		log_warn("connection dropped, no snapshot error=\"%m\" suppressed=%u", suppressed);
	(void)tcp_set_mark(fd, MARK_CLOSING);
	close(fd);
}

static void
pause_accepting(struct monitor *m)
{
	unsigned suppressed;

	if (log_limit_ok(m->limit, 1, loop_now_ms(m->loop), &suppressed))
		log_warn("cannot accept now error=\"%m\" suppressed=%u", suppressed);
	timer_set(&m->accept_timer, ACCEPT_PAUSE_MS);
	monitor_watch(m);
}

static void
accept_cb(int events, void *arg)
{
	struct monitor *m = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN && priv_queue_empty(&m->out); i++) {
		int fd = accept4(m->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			hand_over(m, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			pause_accepting(m);
			return;
		} /* else it was the connection's own error */
	}
}

static void
accept_timer_cb(void *arg)
{
	monitor_watch(arg);
}

/* The engine's loop */

static void
watchdog_cb(void *arg)
{
	struct monitor *m = arg;

	if (m->stopping || m->socket_ended || m->reaped) /* the kill timer's business */
		return;
	timer_set(&m->watchdog_timer, WATCHDOG_TICK_MS);
	switch (watchdog_tick(&m->watchdog, loop_now_ms(m->loop))) {
	case WATCHDOG_ASK:
		monitor_tell(m, &(struct priv_msg){.type = PRIV_PING}, -1);
		break;
	case WATCHDOG_KILL:
		log_warn("engine does not answer, killing it pid=%d silent_ms=%u", (int)m->engine,
		    WATCHDOG_TICKS * WATCHDOG_TICK_MS);
		m->hung = true;
		kill(m->engine, SIGKILL);
		timer_cancel(&m->watchdog_timer);
		break;
	case WATCHDOG_WAIT:
		break;
	}
}

/* Signals and the end */

static void
kill_timer_cb(void *arg)
{
	struct monitor *m = arg;

	log_warn("engine does not end, killing it pid=%d", (int)m->engine);
	kill(m->engine, SIGKILL);
}

static void
reap(struct monitor *m)
{
	int status;

	if (m->reaped || waitpid(m->engine, &status, WNOHANG) != m->engine)
		return;
	m->reaped = true;
	m->engine_status = status;
	loop_stop(m->loop);
}

static void
stop(struct monitor *m, int signo)
{
	if (m->stopping)
		return;
	log_info("stopping signal=%d", signo);
	m->stopping = true;
	timer_set(&m->kill_timer, STOP_MS);
	monitor_tell(m, &(struct priv_msg){.type = PRIV_STOP}, -1);
	monitor_watch(m);
}

static void
signal_cb(int signo, void *arg)
{
	struct monitor *m = arg;

	switch (signo) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGHUP:
		(void)monitor_reload(m);
		break;
	default:
		stop(m, signo);
	}
}

/*
 * What it died of if that is a crash: a signal that its own doing brought about, the watchdog, an
 * end in disorder. Not one that somebody killed: that says nothing of what it had in hand. False:
 * it is none.
 */
static bool
crash_cause(const struct monitor *m, char out[static CRASH_WORD])
{
	int status = m->engine_status;

	if (m->hung)
		snprintf(out, CRASH_WORD, "hung");
	else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
		snprintf(out, CRASH_WORD, "signal-%d", WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 && !m->stopping)
		snprintf(out, CRASH_WORD, "exit-%d", WEXITSTATUS(status));
	else
		return false;
	return true;
}

/* Before we end: the agent tells the engines of both gateways. */
static void
report_crash(const struct monitor *m)
{
	struct crash c = {.at = (int64_t)wall_now_ms()};
	char line[CRASH_LINE_MAX];
	struct crashes all;

	if (!crash_cause(m, c.cause))
		return;
	snprintf(c.node, sizeof(c.node), "%s", m->o->node);
	crumb_read(m->crumbs, m->hung, &c);
	line[crash_format(&c, line) - 1] = '\0';
	log_warn("engine crashed cause=%s had_in_hand=%s", c.cause, strrchr(line, ' ') + 1);
	if (crash_load(m->crash_path, &all) < 0)
		all.n = 0;
	crash_add(&all, &c);
	if (crash_save(m->crash_path, &all) < 0)
		log_warn("crash not recorded path=%s error=\"%m\"", m->crash_path);
}

static int
exit_status(const struct monitor *m)
{
	int status = m->engine_status;

	if (WIFSIGNALED(status))
		log_warn("engine died signal=%d reason=\"%s\"", WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS ? "system call not allowed"
					       : strsignal(WTERMSIG(status)));
	else if (!m->stopping || WEXITSTATUS(status) != 0)
		log_warn("engine exited status=%d", WEXITSTATUS(status));
	return m->stopping && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* Life cycle */

static int
start_loop(struct monitor *m)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};

	m->loop = loop_new();
	if (m->loop == NULL)
		return -1;
	timer_init(&m->kill_timer, m->loop, kill_timer_cb, m);
	timer_init(&m->accept_timer, m->loop, accept_timer_cb, m);
	timer_init(&m->watchdog_timer, m->loop, watchdog_cb, m);
	timer_set(&m->watchdog_timer, WATCHDOG_TICK_MS);
	m->limit = log_limit_new(60, 4);
	m->calls = calls_new(m->loop, monitor_answer_call, m);
	if (m->limit == NULL || m->calls == NULL)
		return -1;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sig_init(&m->sigs[i], m->loop, signals[i], signal_cb, m) < 0)
			return -1;
	if (io_init(&m->priv_io, m->loop, m->out.sock, priv_cb, m) < 0)
		return -1;
	m->verbs = (struct verbs){.settings = m->conf.settings,
	    .statics = m->conf.statics,
	    .n_statics = m->conf.n_statics,
	    .ops = &monitor_effects,
	    .arg = m,
	    .limit = m->limit,
	    .listen = m->listen_ip};
	monitor_watch(m);
	return 0;
}

static void
end_loop(struct monitor *m)
{
	if (m->loop == NULL)
		return;
	calls_free(m->calls);
	timer_cancel(&m->kill_timer);
	timer_cancel(&m->accept_timer);
	timer_cancel(&m->watchdog_timer);
	io_fini(&m->priv_io);
	io_fini(&m->listen_io);
	for (size_t i = 0; i < sizeof(m->sigs) / sizeof(m->sigs[0]); i++)
		sig_fini(&m->sigs[i]);
	log_limit_free(m->limit);
	loop_free(m->loop);
}

static int
serve(struct monitor *m)
{
	if (start_engine(m) < 0)
		return 1;
	if (sandbox_monitor() < 0 || start_loop(m) < 0 || send_start(m) < 0) {
		log_warn("cannot start error=\"%m\"");
		kill(m->engine, SIGKILL);
		waitpid(m->engine, NULL, 0);
		return 1;
	}
	log_info("started node=%s role=%s engine=%d user=%s workers=%u", m->o->node,
	    m->conf.settings->standby ? "standby" : "active", (int)m->engine, m->user, m->workers);
	reap(m); /* it may have died before the signal was caught */
	if (!m->reaped)
		loop_run(m->loop);
	while (
	    !m->socket_ended && handle_packet(m) > 0) /* its last words: silent closes, logouts */
		;
	report_crash(m);
	return exit_status(m);
}

int
monitor_run(const struct monitor_options *o)
{
	struct monitor *m = calloc(1, sizeof(*m));
	struct conf_errors e = {0};
	int status = 1;

	if (m == NULL)
		return 1;
	m->o = o;
	if (monitor_conf_read(o, &m->conf, &e) < 0)
		goto out;
	if (e.text != NULL) /* warnings */
		fputs(e.text, stderr);
	if (monitor_open(m) == 0)
		status = serve(m);
	end_loop(m);
	priv_queue_fini(&m->out);
	if (m->out.sock > 0)
		close(m->out.sock);
	monitor_close(m);
	monitor_conf_fini(&m->conf);
out:
	if (status != 0 && e.errors > 0 && e.text != NULL)
		fputs(e.text, stderr);
	conf_errors_fini(&e);
	free(m);
	return status;
}
