/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A cut is a table of our own at the interfaces, in both directions, ARP included. A gateway that
 * was cut off from everything gets its sync back first: there it hears that the other one serves,
 * and steps down, before a client can hear the two of them. If nobody serves it simply goes on.
 */
#include "hagent/drill_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/log.h"
#include "firewall/fw.h"
#include "hagent/drill_sniff.h"
#include "hagent/words.h"

#define RULES_MAX 2048
#define LOOK_MS   50
#define DAEMON_MS 4000 /* the service manager has so long to start it again */
#define ASK_MS    300
#define US_PER_S  1000000

static volatile sig_atomic_t told;

static void
tell(int signo)
{
	told = signo;
}

struct state {
	const struct drill_guard *g;
	struct fw *fw;
	volatile int64_t *cut_us;
	int agent; /* pidfd; < 0 = nobody's */
	struct drill_daemon daemon;
	int64_t struck_us, undone_us;
	char text[256];
};

/* ---- words with others ---- */

static json_t *
ask(const struct state *s, const char *socket_path, const char *cmd, json_t *args)
{
	char *path = hagent_path(s->g->h, socket_path);
	json_t *answer = answer_call(path, cmd, args, ASK_MS);

	free(path);
	return answer;
}

static void
tell_agent(const struct state *s, bool struck)
{
	json_decref(ask(s, HAGENT_SOCKET, "drill-struck",
	    json_pack("{s:s,s:b,s:i,s:b}", "drill", s->g->id, "struck", struck, "link",
		(int)s->g->link, "is_link", s->g->kind == DRILL_LINK)));
}

/* The role that our agent says, "" if it does not answer. */
static void
role_here(const struct state *s, char out[static 16])
{
	json_t *answer = ask(s, HAGENT_SOCKET, "status", NULL);

	snprintf(out, 16, "%s", words_text(json_object_get(answer, "data"), "role"));
	json_decref(answer);
}

static void
record(const struct state *s, const char *state)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "id", s->g->id, "kind",
	    drill_kind_name(s->g->kind), "state", state, "struck_us", (json_int_t)s->struck_us,
	    "undone_us", (json_int_t)s->undone_us, "text", s->text);
	char *text = json_dumps(o, JSON_COMPACT);

	if (text && hagent_replace(s->g->h, HAGENT_DRILL_GUARD, text, 0600) < 0)
		log_warn("drill record error=\"%s\"", strerror(errno));
	log_info("drill id=%s kind=%s guardian=%s text=\"%s\"", s->g->id,
	    drill_kind_name(s->g->kind), state, log_quote(s->text, strlen(s->text)));
	free(text);
	json_decref(o);
}

/* ---- the cut ---- */

static size_t
chains(const char *interface, char *out, size_t size)
{
	int n = snprintf(out, size,
	    "add chain %s in_%s { type filter hook ingress device \"%s\" priority -500; }\n"
	    "add chain %s out_%s { type filter hook egress device \"%s\" priority -500; }\n"
	    "add rule %s in_%s iifname @cut drop\nadd rule %s out_%s oifname @cut drop\n",
	    DRILL_TABLE, interface, interface, DRILL_TABLE, interface, interface, DRILL_TABLE,
	    interface, DRILL_TABLE, interface);

	return n > 0 && (size_t)n < size ? (size_t)n : size;
}

/* The rules first, with nothing in the set: they are the slow part. */
static int
prepare_cut(struct state *s)
{
	const struct cluster_node *us = s->g->us;
	const char *const interfaces[] = {us->wan_if, us->lan_if, us->sync_if};
	char text[RULES_MAX];
	size_t n = (size_t)snprintf(text, sizeof(text),
	    "add table %s\ndelete table %s\nadd table %s\n"
	    "add set %s cut { type ifname; flags timeout; }\n",
	    DRILL_TABLE, DRILL_TABLE, DRILL_TABLE, DRILL_TABLE);

	for (unsigned i = 0; i < 3 && n < sizeof(text); i++)
		n += chains(interfaces[i], text + n, sizeof(text) - n);
	errno = ENAMETOOLONG;
	return n < sizeof(text) ? fw_run(s->fw, text) : -1;
}

static int
cut(struct state *s)
{
	const struct drill_guard *g = s->g;
	unsigned longer = g->seconds + DRILL_MEET_S;
	char text[RULES_MAX];
	int rc;

	if (g->kind == DRILL_LINK)
		snprintf(text, sizeof(text), "add element %s cut { \"%s\" timeout %us }",
		    DRILL_TABLE, g->link ? g->us->lan_if : g->us->wan_if, g->seconds);
	else
		snprintf(text, sizeof(text),
		    "add element %s cut { \"%s\" timeout %us, \"%s\" timeout %us, \"%s\" timeout "
		    "%us "
		    "}",
		    DRILL_TABLE, g->us->wan_if, longer, g->us->lan_if, longer, g->us->sync_if,
		    g->seconds);
	rc = fw_run(s->fw, text);
	s->struck_us = drill_now_us();
	if (rc == 0 && (g->kind != DRILL_LINK || g->link == 0))
		*s->cut_us = s->struck_us;
	return rc;
}

static int
kill_daemon(struct state *s)
{
	char *path = hagent_path(s->g->h, HAGENT_PPTPD_SOCKET);
	int rc = drill_daemon_find(path, &s->daemon);

	free(path);
	if (rc == 0)
		rc = kill(s->daemon.engine, SIGKILL);
	s->struck_us = drill_now_us();
	if (rc == 0)
		*s->cut_us = s->struck_us;
	return rc;
}

static int
strike(struct state *s)
{
	int rc = s->g->kind == DRILL_DAEMON ? kill_daemon(s) : cut(s);

	if (rc < 0) {
		const char *said = s->g->kind == DRILL_DAEMON ? "" : fw_error(s->fw);

		snprintf(s->text, sizeof(s->text), "the fault could not be made: %s",
		    *said ? said : strerror(errno));
	}
	return rc;
}

/* ---- undoing ---- */

/* False: the agent has ended, or we are to end. */
static bool
wait_ms(const struct state *s, int ms)
{
	struct pollfd fd = {.fd = s->agent, .events = POLLIN};

	return poll(&fd, 1, ms) == 0 && !told;
}

static void
heal_cut(struct state *s)
{
	int64_t end_us = drill_now_us() + (int64_t)DRILL_MEET_S * US_PER_S;
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	char text[256], role[16] = "";

	if (s->g->kind != DRILL_LINK) {
		/* It may have expired: added first, it is there to be deleted. */
		snprintf(text, sizeof(text),
		    "add element %s cut { \"%s\" timeout 1s }\ndelete element %s cut { \"%s\" }",
		    DRILL_TABLE, s->g->us->sync_if, DRILL_TABLE, s->g->us->sync_if);
		(void)fw_run(s->fw, text);
		while (drill_now_us() < end_us && strcmp(role, "standby") != 0) {
			nanosleep(&pause, NULL);
			role_here(s, role);
		}
	}
	if (drill_guard_tidy() < 0)
		snprintf(
		    s->text, sizeof(s->text), "the table %s could not be removed", DRILL_TABLE);
	*s->cut_us = 0;
}

static bool
daemon_answers(const struct state *s)
{
	json_t *answer = ask(s, HAGENT_PPTPD_SOCKET, "status", NULL);
	bool good = json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	return good;
}

static bool
daemon_comes(const struct state *s)
{
	int64_t end_us = drill_now_us() + DAEMON_MS * 1000LL;
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};

	while (!daemon_answers(s)) {
		if (drill_now_us() > end_us)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void
heal_daemon(struct state *s)
{
	const char *how = "the service manager has started pptpd again";

	if (!daemon_comes(s)) {
		how = "nobody had started pptpd again: the guardian did";
		if (drill_daemon_start(&s->daemon) < 0 || !daemon_comes(s))
			how = "pptpd does not run: start it";
	}
	snprintf(s->text, sizeof(s->text), "%s", how);
	*s->cut_us = 0;
}

static void
heal(struct state *s)
{
	if (s->g->kind == DRILL_DAEMON)
		heal_daemon(s);
	else
		heal_cut(s);
	s->undone_us = drill_now_us();
	tell_agent(s, false);
}

/* ---- life ---- */

static int
lock(const struct hagent *h)
{
	char *path = hagent_path(h, HAGENT_DRILL_LOCK);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	free(path);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
drill_guard_works(const struct hagent *h)
{
	int fd = lock(h);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

int
drill_guard_tidy(void)
{
	struct fw *fw = fw_new();
	int rc = fw ? fw_run(fw, "add table " DRILL_TABLE "\ndelete table " DRILL_TABLE) : -1;

	fw_free(fw);
	return rc;
}

static int
work(struct state *s)
{
	const struct drill_guard *g = s->g;
	bool cuts = g->kind != DRILL_DAEMON;

	if (cuts && prepare_cut(s) < 0) {
		snprintf(s->text, sizeof(s->text), "the rules are not taken: %s", fw_error(s->fw));
		record(s, "failed");
		return -1;
	}
	record(s, "armed");
	if (!wait_ms(s, DRILL_LATE_MS) || strike(s) < 0) {
		if (cuts)
			(void)drill_guard_tidy();
		record(s, "failed");
		return -1;
	}
	record(s, "struck");
	tell_agent(s, true);
	if (cuts)
		wait_ms(s, (int)g->seconds * 1000);
	heal(s);
	record(s, "undone");
	return 0;
}

int
drill_guard_run(const struct drill_guard *g)
{
	const struct sigaction action = {.sa_handler = tell};
	char *path = hagent_path(g->h, HAGENT_DRILL_CUT);
	struct state s = {.g = g, .fw = fw_new(), .agent = -1, .cut_us = drill_cut_map(path)};
	int fd = lock(g->h), result = -1;

	free(path);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (g->agent > 0)
		s.agent = (int)syscall(SYS_pidfd_open, g->agent, 0);
	if (fd < 0 || !s.fw || !s.cut_us)
		hagent_fail("drill %s: the guardian cannot work: %s", g->id, strerror(errno));
	else
		result = work(&s);
	fw_free(s.fw);
	if (s.agent >= 0)
		close(s.agent);
	if (fd >= 0)
		close(fd);
	return result;
}
