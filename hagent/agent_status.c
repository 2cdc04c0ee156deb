/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * status.sock: what `hagent web` may ask, and who else is in the pair's group. Read-only. Nobody
 * there can slow the agent: answers come from memory; what another program must be asked for is
 * asked in the background, seldom, and answered when it comes; and more than so many requests a
 * second are refused. Nothing here is asked of pptpd on the connection that health uses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/cluster_json.h"
#include "sync/conntrackd.h"

#define ASK_MS        500   /* how long pptpd may take */
#define METRICS_MS    900   /* how old its counters may be */
#define SET_MS        30000 /* and the state of the files, */
#define CONNTRACK_MS  10000 /* and conntrackd's figures, */
#define PROCESSES_MS  10000 /* and those of our processes */
#define CHILD_MS      5000
#define WAITERS       8
#define RATE          100 /* requests a second */
#define BURST         200
#define JOURNAL_BYTES (ANSWER_LINE_MAX - 1024)

/* A request that waits for pptpd. */
struct forward {
	struct agent_status *owner;
	struct answer_request *asker; /* NULL = free */
};

struct agent_status {
	struct agent *agent;
	struct answer_server *server;
	struct answer_client *asks;
	struct child set_child, conntrack_child;
	json_t *set, *conntrack, *processes, *metrics;           /* NULL = not known */
	uint64_t set_ms, conntrack_ms, processes_ms, metrics_ms; /* 0 = never */
	bool asking;
	struct answer_request *waiters[WAITERS]; /* for metrics */
	struct forward forwards[WAITERS];
	uint64_t allowance, filled_ms; /* thousandths of a request; when it was reckoned */
};

static uint64_t
now_ms(const struct agent_status *s)
{
	return loop_now_ms(s->agent->loop);
}

/* Whether it may be asked now; answers otherwise. */
static bool
admit(struct agent_status *s, struct answer_request *r)
{
	uint64_t now = now_ms(s);

	s->allowance += (now - s->filled_ms) * RATE;
	s->filled_ms = now;
	if (s->allowance > BURST * 1000)
		s->allowance = BURST * 1000;
	if (s->allowance < 1000) {
		answer_error(r, "busy", "more than %d requests a second", RATE);
		return false;
	}
	s->allowance -= 1000;
	return true;
}

static bool
is_due(const struct agent_status *s, uint64_t asked_ms, uint64_t every_ms)
{
	return asked_ms == 0 || now_ms(s) - asked_ms >= every_ms;
}

/* ---- what children find out ---- */

static void
set_done(void *arg, const struct child_result *r)
{
	struct agent_status *s = arg;
	json_t *o = r->cut ? NULL : json_loads(r->output, 0, NULL);

	json_decref(s->set);
	s->set = json_incref(json_object_get(o, "data"));
	json_decref(o);
}

static void
look_at_set(struct agent_status *s)
{
	const struct agent *a = s->agent;
	const char *argv[] = {
	    a->self, "--node", a->h->node, "--root", a->h->root, "sync", "status", "--json", NULL};

	if (!is_due(s, s->set_ms, SET_MS) || child_running(&s->set_child))
		return;
	s->set_ms = now_ms(s);
	if (child_run(&s->set_child, a->loop, argv, CHILD_MS, set_done, s) < 0)
		log_debug("status: no look at the files error=\"%s\"", strerror(errno));
}

static void
conntrack_done(void *arg, const struct child_result *r)
{
	struct agent_status *s = arg;
	struct conntrackd_stats st;

	json_decref(s->conntrack);
	s->conntrack = NULL;
	if (r->cut || conntrackd_parse_stats(r->output, &st) < 0)
		return;
	s->conntrack = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "internal", (json_int_t)st.internal,
	    "external", (json_int_t)st.external, "internal_failed", (json_int_t)st.internal_failed,
	    "external_failed", (json_int_t)st.external_failed, "send_errors",
	    (json_int_t)st.send_errors, "lost", (json_int_t)st.lost);
}

/* Not while a change of role may want it. */
static void
look_at_conntrackd(struct agent_status *s)
{
	struct agent *a = s->agent;
	const char *argv[CONNTRACKD_ARGS];

	if (!is_due(s, s->conntrack_ms, CONNTRACK_MS) || child_running(&s->conntrack_child) ||
	    a->transition.running || a->move.running)
		return;
	s->conntrack_ms = now_ms(s);
	conntrackd_argv(CONNTRACKD_STATS, a->conntrackd_conf, argv);
	argv[0] = a->options->conntrackd;
	if (child_run(&s->conntrack_child, a->loop, argv, CHILD_MS, conntrack_done, s) < 0)
		log_debug("status: no look at conntrackd error=\"%s\"", strerror(errno));
}

/* ---- commands ---- */

static void
run_status(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;
	char at[25];
	json_t *o;

	if (!admit(s, r))
		return;
	look_at_set(s);
	journal_time(journal_now_ms(), at);
	o = agent_status_json(s->agent);
	json_object_set_new(o, "set", s->set ? json_incref(s->set) : json_null());
	json_object_set_new(o, "now", json_string(at));
	json_object_set_new(o, "pair", cluster_json(s->agent->cluster));
	answer_ok(r, o);
}

static json_t *
metrics_json(struct agent_status *s)
{
	json_t *agent = agent_counts_json(s->agent);

	if (is_due(s, s->processes_ms, PROCESSES_MS)) {
		s->processes_ms = now_ms(s);
		json_decref(s->processes);
		s->processes = agent_processes_json(s->agent);
	}
	json_object_set(agent, "processes", s->processes);
	json_object_set_new(
	    agent, "conntrackd", s->conntrack ? json_incref(s->conntrack) : json_null());
	json_object_set_new(
	    agent, "journal_lost", json_integer((json_int_t)s->agent->journal.lost));
	return json_pack("{s:o,s:o}", "pptpd", s->metrics ? json_incref(s->metrics) : json_null(),
	    "agent", agent);
}

static void
answer_waiters(struct agent_status *s)
{
	for (size_t i = 0; i < WAITERS; i++) {
		struct answer_request *r = s->waiters[i];

		s->waiters[i] = NULL;
		if (r)
			answer_ok(r, metrics_json(s));
	}
}

static void
metrics_done(void *arg, json_t *answer)
{
	struct agent_status *s = arg;
	json_t *data = json_object_get(answer, "data");

	s->asking = false;
	json_decref(s->metrics);
	s->metrics = json_is_object(data) ? json_incref(data) : NULL;
	s->metrics_ms = now_ms(s);
	answer_waiters(s);
}

static void
run_metrics(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;
	size_t i = 0;

	if (!admit(s, r))
		return;
	look_at_conntrackd(s);
	if (!s->asking && !is_due(s, s->metrics_ms, METRICS_MS)) {
		answer_ok(r, metrics_json(s));
		return;
	}
	while (i < WAITERS && s->waiters[i])
		i++;
	if (i == WAITERS) {
		answer_error(r, "busy", "%d others wait for it", WAITERS);
		return;
	}
	s->waiters[i] = r;
	if (s->asking)
		return;
	s->asking = true;
	if (answer_client_call(s->asks, "metrics", NULL, ASK_MS, metrics_done, s) == 0)
		metrics_done(s, NULL);
}

static void
forwarded(void *arg, json_t *answer)
{
	struct forward *f = arg;
	struct answer_request *r = f->asker;
	json_t *data = json_object_get(answer, "data");

	f->asker = NULL;
	if (data)
		answer_ok(r, json_incref(data));
	else
		answer_error(r, "pptpd", "the daemon does not answer: %s",
		    answer ? "it refuses" : strerror(errno));
}

static void
run_sessions(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;
	json_int_t after = json_integer_value(json_object_get(args, "after"));
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	struct forward *f = NULL;

	if (!admit(s, r))
		return;
	for (size_t i = 0; i < WAITERS && !f; i++)
		f = s->forwards[i].asker ? NULL : &s->forwards[i];
	if (!f) {
		answer_error(r, "busy", "%d others wait for it", WAITERS);
		return;
	}
	*f = (struct forward){s, r};
	if (answer_client_call(s->asks, "sessions",
		json_pack("{s:I,s:I,s:b}", "after", after, "limit", limit, "brief", 1), ASK_MS,
		forwarded, f) == 0)
		forwarded(f, NULL);
}

/* From memory, as many of the newest as fit into a line. */
static void
run_journal(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	size_t bytes = 0, from;
	json_t *list;

	if (!admit(s, r))
		return;
	if (limit <= 0 || limit > JOURNAL_RECENT)
		limit = JOURNAL_RECENT;
	list = journal_recent(&s->agent->journal, (size_t)limit);
	for (from = json_array_size(list); from > 0; from--) {
		bytes += json_dumpb(json_array_get(list, from - 1), NULL, 0, JSON_COMPACT) + 1;
		if (bytes > JOURNAL_BYTES)
			break;
	}
	for (; from > 0; from--)
		json_array_remove(list, 0);
	answer_ok(r, json_pack("{s:o}", "lines", list));
}

static void
run_drills(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;

	if (admit(s, r))
		answer_ok(r, agent_drills_json(s->agent));
}

static void
run_drill(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_status *s = arg;

	if (admit(s, r))
		agent_drill_show(r, args, s->agent);
}

static const struct answer_command rows[] = {
    {"status", run_status},
    {"metrics", run_metrics},
    {"sessions", run_sessions},
    {"journal", run_journal},
    {"drills", run_drills},
    {"drill", run_drill},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- its life ---- */

int
agent_status_init(struct agent *a, gid_t group)
{
	struct agent_status *s = a->status = calloc(1, sizeof(*s));

	if (!s)
		return hagent_fail("out of memory"), -1;
	s->agent = a;
	s->filled_ms = now_ms(s);
	s->allowance = BURST * 1000;
	s->asks = answer_client_new(a->loop, a->pptpd_socket);
	s->server =
	    s->asks ? agent_serve(a, HAGENT_STATUS_SOCKET, 0660, group, rows, N_ROWS, s) : NULL;
	return s->server ? 0 : -1;
}

void
agent_status_fini(struct agent *a)
{
	struct agent_status *s = a->status;

	if (!s)
		return;
	for (size_t i = 0; i < WAITERS; i++) {
		if (s->waiters[i])
			answer_error(s->waiters[i], "ends", "the agent ends");
		if (s->forwards[i].asker)
			answer_error(s->forwards[i].asker, "ends", "the agent ends");
	}
	answer_server_free(s->server);
	answer_client_free(s->asks);
	child_fini(&s->set_child);
	child_fini(&s->conntrack_child);
	json_decref(s->set);
	json_decref(s->conntrack);
	json_decref(s->processes);
	json_decref(s->metrics);
	free(s);
	a->status = NULL;
}
