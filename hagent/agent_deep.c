/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check's agent side. While this gateway serves: an account with a random password for the
 * daemon, which forgets it with its life; the process that keeps the sessions (deep_run.c), which
 * gets the password over a socket and dies with us; its reports and the daemon's counters judged at
 * every tick. The sessions end with the daemon's role, so nothing is undone when it goes, and
 * nothing of a move waits for us.
 *
 * A gateway that was left because of it is not well on the other side of the move either, where
 * nothing can be checked: it stays so until its daemon is another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"

#define SETTLE_MS  1000 /* after a transition or a move */
#define ORDER_MS   2000
#define AGAIN_MS   2000 /* what failed; longer each time, */
#define AGAIN_MAX  60000
#define LONG_MS    7000  /* a worker is dead: the move waits no longer for the copy */
#define ABSENT_MS  30000 /* without a report: people are told */
#define REPORT_MAX 8192

/* ---- the process ---- */

static void __attribute__((noreturn)) become_check(const struct agent *a, int channel)
{
	const char *argv[] = {a->self, "--node", a->h->node, "--root", a->h->root, "deep-check",
	    "--user", a->options->user, NULL};
	char *words[sizeof(argv) / sizeof(argv[0])];
	sigset_t none;

	memcpy(words, argv, sizeof(words)); /* exec's prototype lacks const */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(channel, STDIN_FILENO);
	execv(a->self, words);
	_exit(127);
}

static void
let_go(struct agent_deep *d)
{
	io_fini(&d->channel_io);
	io_fini(&d->pidfd_io);
	if (d->channel >= 0)
		close(d->channel);
	if (d->pidfd >= 0)
		close(d->pidfd);
	d->channel = d->pidfd = -1;
	d->report.n = 0;
	d->heard_ms = 0;
}

static void
stop_check(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, WNOHANG); /* else the next look reaps it */
	}
	let_go(d);
}

/* The next try of what has failed. */
static void
again_later(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	d->again_wait_ms = d->again_wait_ms == 0              ? AGAIN_MS
			   : d->again_wait_ms > AGAIN_MAX / 2 ? AGAIN_MAX
							      : 2 * d->again_wait_ms;
	d->again_ms = loop_now_ms(a->loop) + d->again_wait_ms;
}

static void
take_report(struct agent *a)
{
	struct agent_deep *d = &a->deep;
	char text[REPORT_MAX];
	ssize_t n;

	while ((n = recv(d->channel, text, sizeof(text), MSG_DONTWAIT)) > 0) {
		if (deep_report_parse(text, (size_t)n, &d->report) < 0)
			continue;
		d->heard_ms = loop_now_ms(a->loop);
		d->again_wait_ms = 0;
	}
	if (n == 0)
		io_want(&d->channel_io, 0); /* its end is told by the pidfd */
}

static void
channel_cb(int events, void *arg)
{
	take_report(arg);
}

static void
pidfd_cb(int events, void *arg)
{
	struct agent *a = arg;
	struct agent_deep *d = &a->deep;
	int status = 0;

	if (waitpid(d->pid, &status, WNOHANG) != d->pid)
		return;
	log_warn("deep check ended status=%d signal=%d",
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	d->pid = 0;
	again_later(a);
	let_go(d);
}

/* The first message: what to do. */
static int
give_orders(const struct agent *a, int channel)
{
	const struct agent_deep *d = &a->deep;
	json_t *o = json_pack("{s:s,s:s,s:s,s:i}", "server", conf_ipv4(a->cluster->vip_wan.address),
	    "user", LOOPBACK_USER, "password", d->password, "sessions", (int)d->workers);
	char *text = json_dumps(o, JSON_COMPACT);
	int rc = text != NULL && send(channel, text, strlen(text), MSG_NOSIGNAL) > 0 ? 0 : -1;

	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
	json_decref(o);
	return rc;
}

static int
adopt(struct agent *a, int channel)
{
	struct agent_deep *d = &a->deep;

	d->channel = channel;
	d->pidfd = (int)syscall(SYS_pidfd_open, d->pid, 0);
	if (d->pidfd < 0 || io_init(&d->pidfd_io, a->loop, d->pidfd, pidfd_cb, a) < 0 ||
	    io_init(&d->channel_io, a->loop, channel, channel_cb, a) < 0)
		return -1;
	io_want(&d->pidfd_io, IO_READ);
	io_want(&d->channel_io, IO_READ);
	return give_orders(a, channel);
}

static void
start_check(struct agent *a)
{
	struct agent_deep *d = &a->deep;
	int fds[2];

	again_later(a);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		log_warn("deep check not started error=\"%s\"", strerror(errno));
		return;
	}
	d->pid = fork();
	if (d->pid == 0)
		become_check(a, fds[1]);
	close(fds[1]);
	if (d->pid > 0 && adopt(a, fds[0]) == 0)
		return;
	log_warn("deep check not started error=\"%s\"", strerror(errno));
	if (d->pid < 0)
		close(fds[0]);
	d->pid = d->pid < 0 ? 0 : d->pid;
	stop_check(a);
}

/* ---- the account ---- */

static int
make_password(struct agent_deep *d)
{
	uint8_t random[(sizeof(d->password) - 1) / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -1;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(d->password + 2 * i, 3, "%02x", random[i]);
	explicit_bzero(random, sizeof(random));
	return 0;
}

static void
ordered(void *arg, json_t *answer)
{
	struct agent *a = arg;
	struct agent_deep *d = &a->deep;
	json_int_t workers =
	    json_integer_value(json_object_get(json_object_get(answer, "data"), "workers"));

	d->ordering = false;
	if (workers < 1)
		return;
	d->workers = workers < LOOPBACK_SESSIONS ? (unsigned)workers : LOOPBACK_SESSIONS;
	d->account = true;
	d->again_ms = 0;
}

static void
order(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	again_later(a);
	if (make_password(d) < 0)
		return;
	d->ordering = answer_client_call(d->orders, "loopback",
			  json_pack("{s:s}", "password", d->password), ORDER_MS, ordered, a) != 0;
}

/* ---- what the daemon says of itself ---- */

static uint64_t
number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

/* It is another one: its account went with it, and whatever was wrong with its workers. */
static void
forget(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	stop_check(a);
	d->account = d->left_dead = false;
	d->login_ms = 0;
	memset(d->work, 0, sizeof(d->work));
}

static void
look_at_daemon(struct agent *a)
{
	struct agent_deep *d = &a->deep;
	const json_t *loopback = json_object_get(a->pptpd.status, "loopback");
	const json_t *workers = json_object_get(loopback, "workers");
	uint64_t at_ms = a->pptpd.answered_ms, up_ms = number(a->pptpd.status, "uptime_ms");
	uint64_t logins = number(json_object_get(a->pptpd.status, "totals"), "sessions_up");

	if (at_ms == d->seen_ms)
		return;
	d->seen_ms = at_ms;
	if (up_ms < d->uptime_ms)
		forget(a);
	d->uptime_ms = up_ms;
	d->account &= json_is_true(json_object_get(loopback, "account"));
	if (logins > d->logins)
		d->login_ms = at_ms;
	d->logins = logins;
	for (size_t i = 0; i < json_array_size(workers) && i < LOOPBACK_SESSIONS; i++) {
		const json_t *w = json_array_get(workers, i);

		deep_work_see(&d->work[i], number(w, "decrypted"), number(w, "encrypted"), at_ms);
	}
}

/* ---- the verdict ---- */

static bool
is_wanted(const struct agent *a)
{
	return a->cluster->health.deep_check && role_state(&a->role) == ROLE_ACTIVE && a->held &&
	       a->pptpd.known && a->pptpd.active;
}

static void
note(struct agent *a, const struct deep_finding *f)
{
	struct agent_deep *d = &a->deep;
	bool was_bad = d->finding.verdict == DEEP_DEAD || d->finding.verdict == DEEP_UNSURE;

	if (f->verdict != d->finding.verdict) {
		d->since = journal_now_ms();
		if (f->verdict == DEEP_DEAD || f->verdict == DEEP_UNSURE)
			journal_event(&a->journal,
			    f->verdict == DEEP_DEAD ? "deep-check-failed" : "deep-check-unsure",
			    "%s", f->text);
		else if (was_bad && f->verdict == DEEP_FINE)
			journal_event(
			    &a->journal, "deep-check-answers", "all %zu workers", d->report.n);
		d->failures += f->verdict == DEEP_DEAD;
	}
	if (f->verdict != DEEP_DEAD)
		d->dead_ms = 0;
	else if (d->dead_ms == 0)
		d->dead_ms = loop_now_ms(a->loop);
	d->finding = *f;
}

/*
 * What hangs may be what the copy waits for: a stream that begins anew now never gets in step. The
 * peer has what came before.
 */
bool
agent_deep_is_long(const struct agent *a)
{
	return a->facts.deep_dead && a->deep.dead_ms != 0 &&
	       loop_now_ms(a->loop) - a->deep.dead_ms >= LONG_MS;
}

static void
judge(struct agent *a)
{
	struct agent_deep *d = &a->deep;
	uint64_t now_ms = loop_now_ms(a->loop);
	struct deep_view v = {.report = &d->report,
	    .work = d->work,
	    .now_ms = now_ms,
	    .login_ms = d->login_ms,
	    .timeout_ms = a->cluster->health.deep_check_timeout_ms};
	struct deep_finding f = {.verdict = DEEP_STARTING};

	if (d->heard_ms != 0 && now_ms - d->heard_ms < DEEP_STALE_MS) {
		deep_judge(&v, &f);
	} else if (now_ms - (d->heard_ms > d->wanted_ms ? d->heard_ms : d->wanted_ms) >=
		   ABSENT_MS) {
		f.verdict = DEEP_UNSURE;
		snprintf(f.text, sizeof(f.text), "the deep check does not run");
	}
	note(a, &f);
}

static void
tell_health(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	a->facts.deep =
	    d->finding.verdict == DEEP_DEAD || d->finding.verdict == DEEP_UNSURE || d->left_dead
		? d->finding.text
		: NULL;
	a->facts.deep_dead = d->finding.verdict == DEEP_DEAD || d->left_dead;
}

/* Not checked any more: a move, mostly. */
static void
leave(struct agent *a)
{
	struct agent_deep *d = &a->deep;

	if (d->finding.verdict == DEEP_DEAD)
		d->left_dead = true;
	d->finding.verdict = DEEP_OFF;
	d->dead_ms = 0;
	if (!d->left_dead)
		d->finding.text[0] = '\0';
	if (d->pid > 0)
		stop_check(a);
	d->account = false; /* the next one has a password of its own */
	d->wanted_ms = d->again_ms = d->again_wait_ms = 0;
}

static void
reap(struct agent_deep *d)
{
	if (d->pid > 0 && d->pidfd < 0 && waitpid(d->pid, NULL, WNOHANG) == d->pid)
		d->pid = 0;
}

void
agent_deep_look(struct agent *a)
{
	struct agent_deep *d = &a->deep;
	uint64_t now_ms = loop_now_ms(a->loop);

	look_at_daemon(a);
	reap(d);
	if (a->move.running || a->transition.running) {
		d->wanted_ms = 0; /* what it says meanwhile is no news */
	} else if (!is_wanted(a)) {
		leave(a);
	} else {
		if (d->wanted_ms == 0)
			d->wanted_ms = now_ms;
		if (now_ms - d->wanted_ms < SETTLE_MS)
			return;
		d->left_dead = false;
		if (!d->account && !d->ordering && now_ms >= d->again_ms)
			order(a);
		else if (d->account && d->pid == 0 && now_ms >= d->again_ms)
			start_check(a);
		judge(a);
	}
	tell_health(a);
}

json_t *
agent_deep_json(const struct agent *a)
{
	const struct agent_deep *d = &a->deep;
	uint32_t rtt_us = 0;
	uint64_t answers = 0;
	char since[25] = "";
	json_t *o;

	if ((d->finding.verdict == DEEP_OFF && !d->left_dead) ||
	    d->finding.verdict == DEEP_STARTING)
		return json_null();
	for (size_t i = 0; i < d->report.n; i++) {
		rtt_us = d->report.v[i].rtt_us > rtt_us ? d->report.v[i].rtt_us : rtt_us;
		answers += d->report.v[i].answers;
	}
	journal_time(d->since, since);
	o = json_pack("{s:b,s:s,s:s,s:s,s:I,s:I,s:i}", "ok", d->finding.verdict == DEEP_FINE,
	    "state", deep_verdict_name(d->finding.verdict), "since", since, "text", d->finding.text,
	    "failures", (json_int_t)d->failures, "probes", (json_int_t)answers, "workers",
	    (int)d->report.n);
	json_object_set_new(
	    o, "rtt_ms", rtt_us > 0 ? json_real((double)rtt_us / 1000) : json_null());
	json_object_set_new(o, "why",
	    json_string(a->facts.deep_dead      ? "deep-check"
			: a->facts.deep != NULL ? "deep-check-unsure"
						: ""));
	return o;
}

int
agent_deep_init(struct agent *a)
{
	a->deep.channel = a->deep.pidfd = -1;
	a->deep.orders = answer_client_new(a->loop, a->pptpd_socket);
	if (a->deep.orders == NULL)
		return hagent_fail("%s: %s", a->pptpd_socket, strerror(errno)), -1;
	return 0;
}

void
agent_deep_fini(struct agent *a)
{
	stop_check(a);
	answer_client_free(a->deep.orders);
	explicit_bzero(a->deep.password, sizeof(a->deep.password));
}
