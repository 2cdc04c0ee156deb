/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's sockets. agent.sock (root): everything. query.sock (group of the pair's user):
 * what the peer may ask through `hagent serve`, nothing else. link.sock (the same group): the
 * link's reports. Every command answers at once, but those that wait for `hagent sync`.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/net.h"

#define JOURNAL_LIMIT 200

/* ---- what we are ---- */

static json_t *
hello_json(const struct agent *a)
{
	bool fresh = a->verdict_ms != 0 && loop_now_ms(a->loop) - a->verdict_ms <= AGENT_VERDICT_MS;

	json_t *o = json_pack("{s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:i}", "version", PHA_VERSION, "node",
	    a->us->name, "epoch", (json_int_t)a->epoch.counter, "epoch_node",
	    *a->epoch.node ? a->epoch.node : a->us->name, "role", role_name(&a->role), "health",
	    fresh ? health_fault_name(a->health.fault) : "hard", "problem",
	    fresh ? agent_worst(a) : "its agent has no fresh verdict", "moves",
	    (int)agent_moves(a));

	json_object_set_new(o, "clock", json_integer((json_int_t)wall_now_ms()));
	json_object_set_new(o, "prepares", json_true());
	json_object_set_new(o, "ready", json_boolean(a->heard != FIFO_FAULT));
	json_object_set_new(o, "keepalived", json_boolean(a->facts.keepalived == HEALTH_ALIVE));
	json_object_set_new(o, "maintenance", json_boolean(a->maintenance.on));
	agent_replica_hello(a, o);
	agent_flap_hello(a, o);
	agent_crash_hello(a, o);
	return o;
}

static json_t *
process_json(enum health_process p)
{
	static const char *const names[] = {"not running", "running", "died"};

	return json_string(names[p]);
}

static json_t *
pptpd_json(const struct agent *a)
{
	const struct agent_pptpd *p = &a->pptpd;
	json_t *o = json_pack("{s:b,s:i}", "answers",
	    p->known && p->failures < a->cluster->health.failures, "failures", (int)p->failures);

	if (p->failures > 0)
		json_object_set_new(o, "error", json_string(p->error));
	if (!p->known)
		return o;
	json_object_set_new(o, "role", json_string(p->active ? "active" : "standby"));
	json_object_set_new(o, "listening", json_boolean(p->listening));
	json_object_set_new(o, "epoch", json_integer((json_int_t)p->epoch));
	json_object_set(o, "sessions", json_object_get(p->status, "sessions"));
	json_object_set(o, "version", json_object_get(p->status, "version"));
	return o;
}

static json_t *
problems_json(const struct agent *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->health.n; i++) {
		const struct health_problem *p = &a->health.problems[i];

		json_array_append_new(
		    list, json_pack("{s:s,s:s,s:s,s:s}", "code", p->code, "severity",
			      health_fault_name(p->fault), "text", p->text, "advice", p->advice));
	}
	return list;
}

static json_t *
vip_json(const struct agent *a)
{
	int lan = net_holds(a->us->lan_if, a->cluster->vip_lan.address);

	return json_pack("{s:s,s:b,s:s,s:b}", "wan", conf_ipv4(a->cluster->vip_wan.address),
	    "wan_here", a->held, "lan", conf_ipv4(a->cluster->vip_lan.address), "lan_here",
	    lan > 0);
}

json_t *
agent_status_json(struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	const char *heard = a->heard < FIFO_N_EVENTS ? fifo_event_name(a->heard) : NULL;
	json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:I}", "version", PHA_VERSION, "node", a->us->name,
	    "role", role_name(&a->role), "epoch", (json_int_t)a->epoch.counter, "uptime_ms",
	    (json_int_t)(now_ms - a->started_ms));

	json_object_set_new(o, "vip", vip_json(a));
	json_object_set_new(o, "pptpd", pptpd_json(a));
	json_object_set_new(o, "keepalived", process_json(facts_process_state(&a->keepalived)));
	json_object_set_new(o, "keepalived_said", heard ? json_string(heard) : json_null());
	json_object_set_new(o, "conntrackd", process_json(a->facts.conntrackd));
	json_object_set_new(o, "sshd", process_json(a->facts.sshd));
	json_object_set_new(o, "link", json_string(a->link_runs ? "running" : "not running"));
	json_object_set_new(o, "peer", peer_json(&a->peer, now_ms));
	json_object_set_new(o, "replica", agent_replica_json(a));
	json_object_set_new(o, "files", agent_files_json(a));
	json_object_set_new(o, "health", json_string(health_fault_name(a->health.fault)));
	json_object_set_new(o, "verdict",
	    json_string(a->verdict_ms == 0 ? "none yet"
			: a->yielding      ? "unfit"
					   : "fit"));
	json_object_set_new(o, "problems", problems_json(a));
	json_object_set_new(o, "moves", json_integer(agent_moves(a)));
	json_object_set_new(o, "flap", agent_flap_json(a));
	json_object_set_new(o, "fence", agent_fence_json(a));
	json_object_set_new(o, "split", agent_split_json(a));
	json_object_set_new(o, "crashes", agent_crash_json(a));
	json_object_set_new(o, "deep", agent_deep_json(a));
	json_object_set_new(o, "probes", agent_probes_json(a));
	json_object_set_new(o, "maintenance",
	    a->maintenance.on ? json_integer((json_int_t)a->maintenance.since) : json_null());
	json_object_set_new(o, "move", agent_move_json(a));
	json_object_set_new(o, "prepared", agent_take_json(a));
	json_object_set_new(o, "last_move", a->move.last ? json_incref(a->move.last) : json_null());
	json_object_set_new(o, "transition_running", json_boolean(a->transition.running));
	json_object_set_new(o, "last_transition",
	    a->last_transition ? json_incref(a->last_transition) : json_null());
	return o;
}

static void
run_status(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, agent_status_json(arg));
}

static void
run_hello(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, hello_json(arg));
}

/*
 * Only what is at hand: the verdict, if it is fresh. One that is held down may have to serve at any
 * moment, and keepalived asks once a second: the track file alone tells of that.
 */
static void
run_check(struct answer_request *r, json_t *args, void *arg)
{
	const struct agent *a = arg;

	if (a->verdict_ms == 0)
		answer_error(r, "no-verdict", "there is no verdict yet");
	else if (loop_now_ms(a->loop) - a->verdict_ms > AGENT_VERDICT_MS)
		answer_error(r, "no-verdict", "the last verdict is too old");
	else if (a->yielding && a->flap_verdict.state != FLAP_HELD && !a->maintenance.on)
		answer_error(r, "unfit", "%s",
		    a->health.n > 0 ? a->health.problems[0].text : "it yields to the peer");
	else
		answer_ok(r, json_pack("{s:s}", "health", health_fault_name(a->health.fault)));
}

static void
run_journal(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	json_t *list;

	if (limit <= 0 || limit > JOURNAL_LIMIT)
		limit = JOURNAL_LIMIT;
	list = journal_tail(a->journal.path, (size_t)limit);
	if (list)
		answer_ok(r, json_pack("{s:o}", "lines", list));
	else
		answer_error(r, "unreadable", "%s: %s", a->journal.path, strerror(errno));
}

static void
run_notify(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	const char *line = json_string_value(json_object_get(args, "line"));

	if (!line || agent_notify(a, line) < 0)
		answer_error(r, "bad-line",
		    "got \"%s\", want INSTANCE|GROUP \"NAME\" STATE PRIORITY",
		    line ? log_quote(line, strlen(line)) : "");
	else
		answer_ok(r, json_pack("{s:s}", "role", role_name(&a->role)));
}

static void
run_peer(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;

	if (peer_report(&a->peer, args, loop_now_ms(a->loop), journal_now_ms()) < 0) {
		answer_error(r, "bad-report", "want path, up, and hello or error");
		return;
	}
	agent_crash_heard(a, json_object_get(args, "hello"));
	agent_replica_look(a);
	answer_ok(r, hello_json(a));
}

/* ---- planned moves ---- */

static void
run_switchover(struct answer_request *r, json_t *args, void *arg)
{
	agent_move_ask(r, args, arg, false);
}

static void
run_switchover_of_peer(struct answer_request *r, json_t *args, void *arg)
{
	agent_move_ask(r, args, arg, true);
}

static void
run_leave(struct answer_request *r, json_t *args, void *arg)
{
	agent_move_leave(r, args, arg);
}

static void
run_prepare(struct answer_request *r, json_t *args, void *arg)
{
	agent_take_prepare(r, args, arg);
}

static void
run_maintenance(struct answer_request *r, json_t *args, void *arg)
{
	agent_maintain_turn(r, args, arg);
}

static void
run_probed(struct answer_request *r, json_t *args, void *arg)
{
	agent_probed(r, args, arg);
}

/* ---- files ---- */

static void
start_job(struct agent *a, bool out, const char *verb, const char *argument,
    struct answer_request *r, bool wait)
{
	if (agent_files_do(a, out, verb, argument, wait ? r : NULL) == 0) {
		if (!wait)
			answer_ok(r, json_pack("{s:b}", "started", 1));
		return;
	}
	if (errno == EBUSY && !wait) { /* it is on its way already */
		a->files.again = a->files.asked = true;
		answer_ok(r, json_pack("{s:b}", "started", 1));
	} else if (errno == EBUSY) {
		answer_error(r, "busy", "another transfer is under way");
	} else {
		answer_error(r, "failed", "hagent sync %s: %s", verb, strerror(errno));
	}
}

static void
run_sync_now(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;

	start_job(a, true, role_state(&a->role) == ROLE_ACTIVE ? "push" : "pull", NULL, r, true);
}

/* The peer wants our files: we push. */
static void
run_pull(struct answer_request *r, json_t *args, void *arg)
{
	start_job(arg, true, "push", NULL, r, false);
}

/* Is the peer's set wanted? Its manifest goes to `hagent sync offer` as one argument. */
static void
run_offer(struct answer_request *r, json_t *args, void *arg)
{
	json_t *copy = json_copy(args);
	char *text;

	json_object_del(copy, "v");
	json_object_del(copy, "id");
	json_object_del(copy, "cmd");
	text = json_dumps(copy, JSON_COMPACT);
	json_decref(copy);
	if (text)
		start_job(arg, false, "offer", text, r, true);
	else
		answer_error(r, "failed", "out of memory");
	free(text);
}

static void
run_staged(struct answer_request *r, json_t *args, void *arg)
{
	start_job(arg, false, "install", NULL, r, true);
}

static void
run_log(struct answer_request *r, json_t *args, void *arg)
{
	agent_log_run(r, args, arg);
}

/* ---- sockets ---- */

static const struct answer_command agent_rows[] = {
    {"status", run_status},
    {"check", run_check},
    {"journal", run_journal},
    {"notify", run_notify},
    {"sync-now", run_sync_now},
    {"hello", run_hello},
    {"peer", run_peer},
    {"switchover", run_switchover},
    {"leave", run_leave},
    {"maintenance", run_maintenance},
    {"probed", run_probed},
    {"drill-run", agent_drill_run},
    {"drill-abort", agent_drill_abort},
    {"drills", agent_drill_list},
    {"drill", agent_drill_show},
    {"drill-progress", agent_drill_progress},
    {"drill-done", agent_drill_done},
    {"drill-struck", agent_drill_struck},
};

static const struct answer_command query_rows[] = {
    {"hello", run_hello},
    {"prepare", run_prepare},
    {"switchover", run_switchover_of_peer},
    {"pull", run_pull},
    {"drill-run", agent_drill_run_of_peer},
    {"drill-abort", agent_drill_abort_of_peer},
    {"drill-join", agent_drill_join},
    {"drill-clock", agent_drill_clock},
    {"drill-sessions", agent_drill_sessions},
    {"drill-fault", agent_drill_fault},
    {"drill-leave", agent_drill_leave},
    {"drill-read", agent_drill_read},
    {"drill-journal", agent_drill_journal},
    {"drill-have", agent_drill_have},
    {"drill-store", agent_drill_store},
    {"set-offer", run_offer},
    {"set-staged", run_staged},
    {"log", run_log},
};

static const struct answer_command link_rows[] = {
    {"peer", run_peer},
};

/* A listening socket at the path below the root, or -1 after a message. */
static int
listen_at(struct agent *a, const char *path, mode_t mode, gid_t group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *full = hagent_path(a->h, path);
	mode_t old_mask;
	int fd = -1;

	errno = ENAMETOOLONG;
	if (strlen(full) >= sizeof(address.sun_path))
		goto out;
	memcpy(address.sun_path, full, strlen(full));
	unlink(full);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old_mask = umask(0177);
	bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(fd, 64) == 0;
	umask(old_mask);
	if (good && (chown(full, 0, group) < 0 || chmod(full, mode) < 0))
		good = false;
	if (!good && fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		fd = -1;
	}
out:
	if (fd < 0)
		hagent_fail("%s: %s", full, strerror(errno));
	free(full);
	return fd;
}

struct answer_server *
agent_serve(struct agent *a, const char *path, mode_t mode, gid_t group,
    const struct answer_command *rows, size_t n, void *arg)
{
	int fd = listen_at(a, path, mode, group);
	struct answer_server *s = fd >= 0 ? answer_server_new(a->loop, fd, rows, n, arg) : NULL;

	if (fd >= 0 && !s) {
		close(fd);
		hagent_fail("%s: %s", path, strerror(errno));
	}
	return s;
}

#define ROWS(x) x, sizeof(x) / sizeof(x[0])

int
agent_commands_init(struct agent *a)
{
	const struct passwd *pair = getpwnam(a->options->user);
	gid_t group = pair ? pair->pw_gid : 0;

	if (!pair)
		log_warn("no user %s: the peer cannot ask us", a->options->user);
	a->agent_server = agent_serve(a, HAGENT_SOCKET, 0600, 0, ROWS(agent_rows), a);
	a->query_server = agent_serve(a, HAGENT_QUERY_SOCKET, 0660, group, ROWS(query_rows), a);
	a->link_server = agent_serve(a, AGENT_LINK_SOCKET, 0660, group, ROWS(link_rows), a);
	if (!a->agent_server || !a->query_server || !a->link_server)
		return -1;
	return agent_log_init(a) < 0 ? -1 : agent_status_init(a, group);
}

void
agent_commands_fini(struct agent *a)
{
	answer_server_free(a->agent_server);
	answer_server_free(a->query_server);
	answer_server_free(a->link_server);
	agent_status_fini(a);
	agent_log_fini(a);
}
