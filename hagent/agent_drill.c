/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drills that are run from here. The one that stands by drives; the one that serves passes the wish
 * on. The driver is a process of its own (drill_drive.c) that asks this agent and the peer's; if it
 * dies its report is written for it. Reports that the peer lacks are sent again each minute.
 */
#include "hagent/agent_drill.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/drill_guard.h"
#include "hagent/drill_peer.h"
#include "hagent/drill_report.h"
#include "hagent/drill_store.h"
#include "hagent/words.h"

#define PASS_MS   8000
#define PUSH_MS   20000
#define AGAIN_MS  60000
#define FIRST_MS  5000
#define WRITE_MS  5000
#define ASK_MS    3000
#define SENT_MAX  20 /* the newest reports are looked at */
#define WORDS_MAX 20

void
agent_drill_folder(const struct agent *a, char *out, size_t size)
{
	snprintf(out, size, "%s%s", a->h->root, HAGENT_DRILLS);
}

/* ---- processes ---- */

static void __attribute__((noreturn)) become(const struct agent *a, const char *const *words)
{
	const char *argv[WORDS_MAX] = {
	    a->self, "--node", a->h->node, "--root", a->h->root, "drill"};
	char *copy[WORDS_MAX];
	sigset_t none;
	size_t n = 6;

	for (; *words && n < WORDS_MAX - 1; words++)
		argv[n++] = *words;
	memcpy(copy, argv, sizeof(copy)); /* exec's prototype lacks const */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(a->self, copy);
	_exit(127);
}

pid_t
agent_drill_spawn(struct agent *a, const char *const *words)
{
	pid_t pid = fork();

	if (pid == 0)
		become(a, words);
	return pid;
}

static bool
reaped(pid_t *pid)
{
	int status;

	if (*pid <= 0 || waitpid(*pid, &status, WNOHANG) != *pid)
		return false;
	*pid = 0;
	return true;
}

/* ---- reports ---- */

void
agent_drill_note(struct agent *a, const json_t *report)
{
	struct agent_drill *d = &a->drill;
	const char *id = words_text(report, "id");
	json_t *o;
	size_t i;

	json_array_foreach(d->list, i, o)
	{
		if (strcmp(words_text(o, "id"), id) == 0) {
			json_array_remove(d->list, i);
			break;
		}
	}
	for (i = 0; i < json_array_size(d->list); i++) {
		if (strcmp(words_text(json_array_get(d->list, i), "id"), id) < 0)
			break;
	}
	json_array_insert_new(d->list, i, drill_report_summary(report));
	while (json_array_size(d->list) > DRILL_KEEP)
		json_array_remove(d->list, DRILL_KEEP);
}

json_t *
agent_drills_json(struct agent *a)
{
	const struct agent_drill *d = &a->drill;

	return json_pack("{s:O,s:o}", "drills", d->list, "running",
	    d->running ? json_incref(d->running) : json_null());
}

json_t *
agent_drill_json(struct agent *a, const char *id)
{
	char folder[PATH_MAX];

	agent_drill_folder(a, folder, sizeof(folder));
	return drill_store_read(folder, id);
}

/* In a child: what the peer lacks of our newest reports. */
static int
push(void *arg)
{
	const struct agent *a = arg;
	char folder[PATH_MAX];
	struct drill_peer p;
	json_t *ids, *data = NULL, *id;
	int rc = 1;
	size_t i;

	agent_drill_folder(a, folder, sizeof(folder));
	ids = drill_store_ids(folder);
	while (json_array_size(ids) > SENT_MAX)
		json_array_remove(ids, SENT_MAX);
	if (drill_peer_init(&p, a->h) == 0)
		data = drill_peer_ask(&p, "drill-have", json_pack("{s:o}", "ids", ids), ASK_MS);
	else
		json_decref(ids);
	rc = data == NULL;
	json_array_foreach(json_object_get(data, "missing"), i, id)
	{
		const char *name = json_string_value(id) ? json_string_value(id) : "";
		json_t *report = drill_store_read(folder, name), *stored;

		if (!report)
			continue;
		stored = drill_peer_ask(&p, "drill-store",
		    json_pack("{s:s,s:o}", "drill", name, "report", report), ASK_MS);
		rc |= stored == NULL;
		json_decref(stored);
	}
	if (rc)
		fprintf(stderr, "%s", p.text);
	json_decref(data);
	drill_peer_fini(&p);
	return rc;
}

static void
pushed(void *arg, const struct child_result *r)
{
	struct agent *a = arg;

	if (r->status == 0)
		a->drill.unsent = false;
	else
		log_info("drill reports are not sent error=\"%s\"",
		    log_quote(r->output, strcspn(r->output, "\n")));
}

static void
look_at_unsent(struct agent *a)
{
	struct agent_drill *d = &a->drill;
	uint64_t now_ms = loop_now_ms(a->loop);

	if (!d->unsent || now_ms < d->push_ms || child_running(&d->push) || *d->id ||
	    !peer_fresh(&a->peer, now_ms))
		return;
	d->push_ms = now_ms + AGAIN_MS;
	(void)child_call(&d->push, a->loop, push, a, PUSH_MS, pushed, a);
}

/* ---- the driver's end ---- */

struct burial {
	const struct agent *agent;
	char id[DRILL_ID_MAX], name[DRILL_NAME_MAX], phase[16];
};

static json_t *
obituary(const struct burial *b)
{
	struct drill_plan plan = {.kind = DRILL_PLANNED};
	const struct drill_plan *known = cluster_drill(b->agent->cluster, b->name);
	struct drill_seen s = {.plan = known ? known : &plan,
	    .id = b->id,
	    .node = b->agent->us->name,
	    .from = b->agent->them->name,
	    .to = b->agent->us->name,
	    .begun_ms = journal_now_ms(),
	    .ended_ms = journal_now_ms()};
	char why[128];
	json_t *o;

	if (!known && drill_kind_of(b->name) >= 0)
		cluster_drill_default((enum drill_kind)drill_kind_of(b->name), &plan);
	o = drill_report(&s);
	snprintf(why, sizeof(why), "the drill's own process ended in \"%s\"", b->phase);
	drill_report_end(o, DRILL_ABORTED, why,
	    "The guardian on the other gateway has undone what was done there; see hagent status.");
	return o;
}

/* In a child. */
static int
bury(void *arg)
{
	const struct burial *b = arg;
	char folder[PATH_MAX];
	json_t *o = obituary(b);
	int rc;

	agent_drill_folder(b->agent, folder, sizeof(folder));
	rc = drill_store_write(folder, b->id, o);
	json_decref(o);
	return rc < 0;
}

static void
buried(void *arg, const struct child_result *r)
{
	struct agent *a = arg;

	a->drill.unsent = true;
}

void
agent_drill_forget(struct agent *a)
{
	struct agent_drill *d = &a->drill;

	timer_cancel(&d->expiry);
	d->id[0] = '\0';
	d->drives = false;
	json_decref(d->running);
	d->running = NULL;
	if (d->link_down[0] || d->link_down[1]) {
		d->link_down[0] = d->link_down[1] = false;
		agent_links_look(a);
	}
}

static void
driver_ended(struct agent *a)
{
	struct agent_drill *d = &a->drill;
	struct burial b = {.agent = a};
	json_t *o;

	if (!d->drives)
		return; /* it has said that it is done */
	snprintf(b.id, sizeof(b.id), "%s", d->id);
	snprintf(b.name, sizeof(b.name), "%s", words_text(d->running, "name"));
	snprintf(b.phase, sizeof(b.phase), "%s", words_text(d->running, "phase"));
	journal_event(&a->journal, "drill-died", "%s: in %s", b.id, b.phase);
	(void)child_call(&d->writer, a->loop, bury, &b, WRITE_MS, buried, a);
	o = obituary(&b);
	agent_drill_note(a, o);
	json_decref(o);
	agent_drill_forget(a);
}

void
agent_drill_look(struct agent *a)
{
	struct agent_drill *d = &a->drill;

	(void)reaped(&d->guard);
	if (reaped(&d->driver))
		driver_ended(a);
	look_at_unsent(a);
}

bool
agent_drill_link_down(const struct agent *a, unsigned link)
{
	return a->drill.link_down[link];
}

/* ---- wishes that are the peer's to fulfil ---- */

static int
pass_on(void *arg)
{
	const struct agent *a = arg;
	struct drill_peer p;
	json_t *data = NULL;
	bool good = drill_peer_init(&p, a->h) == 0;

	if (good)
		data =
		    drill_peer_ask(&p, a->drill.pass_cmd, json_incref(a->drill.pass_args), PASS_MS);
	if (!data)
		data = json_pack("{s:s,s:s}", "error", p.text, "code", *p.code ? p.code : "failed");
	putchar('\n');
	json_dumpf(data, stdout, JSON_COMPACT);
	json_decref(data);
	drill_peer_fini(&p);
	return 0;
}

static void
passed(void *arg, const struct child_result *r)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	struct answer_request *asker = d->passed;
	json_t *data = agent_move_answer(r);

	d->passed = NULL;
	json_decref(d->pass_args);
	d->pass_args = NULL;
	if (!data)
		answer_error(asker, "late", "%s did not answer in time", a->them->name);
	else if (json_object_get(data, "error"))
		answer_error(asker, words_text(data, "code"), "%s", words_text(data, "error"));
	else
		answer_ok(asker, json_incref(data));
	json_decref(data);
}

static void
ask_peer(struct agent *a, struct answer_request *r, const char *cmd, json_t *args)
{
	struct agent_drill *d = &a->drill;

	if (d->passed) {
		answer_error(r, "busy", "%s is being asked", a->them->name);
		json_decref(args);
		return;
	}
	d->pass_cmd = cmd;
	d->pass_args = args;
	d->passed = r;
	if (child_call(&d->pass, a->loop, pass_on, a, PASS_MS + 1000, passed, a) == 0)
		return;
	d->passed = NULL;
	d->pass_args = NULL;
	json_decref(args);
	answer_error(r, "failed", "%s", strerror(errno));
}

/* ---- running one ---- */

static void
start_driver(struct agent *a, struct answer_request *r, const char *name, json_t *args)
{
	struct agent_drill *d = &a->drill;
	const char *stop = words_text(args, "abort_at"), *words[8] = {"drive", d->id, name};
	size_t n = 3;

	drill_id_make(journal_now_ms(), a->us->name, d->id);
	if (words_is(args, "scheduled"))
		words[n++] = "--scheduled";
	if (words_is(args, "force"))
		words[n++] = "--force";
	if (*stop) {
		words[n++] = "--abort-at";
		words[n++] = stop;
	}
	d->driver = agent_drill_spawn(a, words);
	if (d->driver < 0) {
		d->driver = 0;
		d->id[0] = '\0';
		answer_error(r, "failed", "%s", strerror(errno));
		return;
	}
	d->drives = true;
	d->running = json_pack("{s:s,s:s,s:s,s:s,s:s}", "id", d->id, "name", name, "phase", "check",
	    "text", "", "node", a->us->name);
	journal_event(&a->journal, "drill-begins", "%s: %s", d->id, name);
	answer_ok(r, json_pack("{s:s,s:s}", "drill", d->id, "node", a->us->name));
}

static void
run(struct answer_request *r, json_t *args, struct agent *a, bool of_peer)
{
	const char *name = words_text(args, "name");
	bool scheduled = words_is(args, "scheduled");

	if (!cluster_drill(a->cluster, name) && drill_kind_of(name) < 0)
		answer_error(r, "unknown", "got \"%s\", want a drill of cluster.conf or a kind",
		    log_quote(name, strlen(name)));
	else if (*a->drill.id)
		answer_error(r, "busy", "drill %s is under way", a->drill.id);
	else if (a->drill.driver > 0 && !reaped(&a->drill.driver))
		answer_error(r, "busy", "the last drill is just about to end");
	else if (agent_serves(a) && scheduled)
		answer_ok(r, json_pack("{s:s}", "skipped",
				 "this gateway serves: the one that stands by runs its drills"));
	else if (agent_serves(a) && of_peer)
		answer_error(r, "refused", "both gateways serve, or are about to");
	else if (agent_serves(a))
		ask_peer(a, r, "drill-run",
		    json_pack("{s:s,s:b,s:s}", "name", name, "force", words_is(args, "force"),
			"abort_at", words_text(args, "abort_at")));
	else
		start_driver(a, r, name, args);
}

void
agent_drill_run(struct answer_request *r, json_t *args, void *arg)
{
	run(r, args, arg, false);
}

void
agent_drill_run_of_peer(struct answer_request *r, json_t *args, void *arg)
{
	run(r, args, arg, true);
}

static void
break_off(struct answer_request *r, struct agent *a, bool of_peer)
{
	const struct agent_drill *d = &a->drill;

	if (d->drives && d->driver > 0) {
		kill(d->driver, SIGTERM);
		answer_ok(r, json_pack("{s:s}", "drill", d->id));
	} else if (!of_peer && *d->id) {
		ask_peer(a, r, "drill-abort", json_object());
	} else {
		answer_error(r, "none", "no drill is under way");
	}
}

void
agent_drill_abort(struct answer_request *r, json_t *args, void *arg)
{
	break_off(r, arg, false);
}

void
agent_drill_abort_of_peer(struct answer_request *r, json_t *args, void *arg)
{
	break_off(r, arg, true);
}

void
agent_drill_list(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, agent_drills_json(arg));
}

void
agent_drill_show(struct answer_request *r, json_t *args, void *arg)
{
	const char *id = words_text(args, "drill");
	json_t *report = agent_drill_json(arg, id);

	if (report)
		answer_ok(r, report);
	else
		answer_error(r, "not-found", "%s: %s", log_quote(id, strlen(id)), strerror(errno));
}

/* ---- what the processes say ---- */

void
agent_drill_progress(struct answer_request *r, json_t *args, void *arg)
{
	struct agent_drill *d = &((struct agent *)arg)->drill;

	if (!d->drives || strcmp(words_text(args, "drill"), d->id) != 0) {
		answer_error(r, "unknown", "that drill is not under way");
		return;
	}
	json_object_set(d->running, "phase", json_object_get(args, "phase"));
	json_object_set(d->running, "text", json_object_get(args, "text"));
	answer_ok(r, NULL);
}

void
agent_drill_done(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	json_t *report = agent_drill_json(a, words_text(args, "drill"));

	if (!report) {
		answer_error(r, "not-found", "%s", strerror(errno));
		return;
	}
	journal_event(&a->journal, "drill-ends", "%s: %s: %s", words_text(report, "id"),
	    words_text(report, "verdict"), words_text(report, "why"));
	agent_drill_note(a, report);
	json_decref(report);
	d->unsent |= !words_is(args, "pushed");
	if (d->drives)
		agent_drill_forget(a);
	answer_ok(r, NULL);
}

void
agent_drill_struck(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	bool struck = words_is(args, "struck");
	unsigned link = words_number(args, "link") ? 1 : 0;

	if (!*d->id || strcmp(words_text(args, "drill"), d->id) != 0) {
		answer_error(r, "unknown", "that drill is not under way");
		return;
	}
	journal_event(&a->journal, struck ? "drill-struck" : "drill-undone", "%s", d->id);
	if (words_is(args, "is_link")) {
		d->link_down[link] = struck;
		agent_links_look(a);
	}
	answer_ok(r, NULL);
}

/* ---- life ---- */

/* In a child: an earlier guardian may have been killed. */
static int
tidy(void *arg)
{
	const struct agent *a = arg;

	if (!drill_guard_works(a->h))
		(void)drill_guard_tidy();
	return 0;
}

static void
tidied(void *arg, const struct child_result *r)
{
	(void)arg;
	(void)r;
}

static void
expired_cb(void *arg)
{
	struct agent *a = arg;

	journal_event(
	    &a->journal, "drill-expired", "%s: the other gateway has forgotten it", a->drill.id);
	agent_drill_forget(a);
}

int
agent_drill_init(struct agent *a)
{
	struct agent_drill *d = &a->drill;
	char folder[PATH_MAX];

	agent_drill_folder(a, folder, sizeof(folder));
	d->list = drill_store_list(folder, DRILL_KEEP);
	d->unsent = json_array_size(d->list) > 0;
	d->push_ms = loop_now_ms(a->loop) + FIRST_MS;
	timer_init(&d->expiry, a->loop, expired_cb, a);
	(void)child_call(&d->writer, a->loop, tidy, a, WRITE_MS, tidied, a);
	return 0;
}

void
agent_drill_fini(struct agent *a)
{
	struct agent_drill *d = &a->drill;

	timer_cancel(&d->expiry);
	child_fini(&d->watch);
	child_fini(&d->pass);
	child_fini(&d->push);
	child_fini(&d->writer);
	if (d->passed)
		answer_error(d->passed, "ending", "the agent ends");
	if (d->leaver)
		answer_error(d->leaver, "ending", "the agent ends");
	json_decref(d->pass_args);
	json_decref(d->running);
	json_decref(d->list);
}
