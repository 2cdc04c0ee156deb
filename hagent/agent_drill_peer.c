/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drills that the peer drives: it stands by, we serve. We watch, say what we know, and let our
 * guardian make the fault. What the peer may have done to us is bounded: one drill at a time, a
 * guardian's faults only, each for a minute at most, and all of it expires.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/drill_guard.h"
#include "hagent/drill_sniff.h"
#include "hagent/drill_store.h"
#include "hagent/words.h"

#define SECONDS_MAX 600
#define OUTAGE_MAX  60
#define CHUNK       24576 /* of a file, in one answer */
#define LINES_MAX   400
#define LINES_BYTES 45000
#define PPTPD_MS    2000
#define IDS_MAX     100

static bool
is_ours(const struct agent *a, const json_t *args)
{
	return *a->drill.id && strcmp(words_text(args, "drill"), a->drill.id) == 0;
}

/* ---- taking part ---- */

/* NULL = we take part. */
static const char *
refusal(const struct agent *a, const json_t *args)
{
	if (*a->drill.id && !is_ours(a, args))
		return "another drill is under way";
	if (!drill_id_valid(words_text(args, "drill")) || words_number(args, "seconds") <= 0 ||
	    words_number(args, "seconds") > SECONDS_MAX)
		return "the question is not understood";
	if (role_state(&a->role) != ROLE_ACTIVE || !a->held)
		return "this gateway does not serve";
	if (a->transition.running || agent_move_busy(a))
		return "a change of roles is under way";
	if (a->health.fault > HEALTH_NOTE)
		return agent_worst(a);
	if (drill_guard_works(a->h))
		return "a guardian of an earlier drill is still at work";
	return NULL;
}

static json_t *
facts(const struct agent *a)
{
	struct move_facts f = {0};

	agent_replica_move(a, &f);
	return json_pack("{s:s,s:i,s:i,s:b,s:b,s:I,s:I}", "node", a->us->name, "sessions",
	    (int)f.sessions, "at_risk", (int)f.at_risk, "in_step", f.in_step, "maintenance",
	    a->maintenance.on, "mono_us", (json_int_t)drill_now_us(), "wall_us",
	    (json_int_t)drill_wall_us());
}

static void
watched(void *arg, const struct child_result *r)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	struct answer_request *leaver = d->leaver;

	d->leaver = NULL;
	if (r->status != 0)
		log_warn("drill watch status=%d text=\"%s\"", r->status,
		    log_quote(r->output, strcspn(r->output, "\n")));
	if (leaver)
		answer_ok(leaver, json_pack("{s:b}", "watched", r->status == 0));
}

static int
start_watch(struct agent *a, unsigned seconds)
{
	char text[16];
	const char *const argv[] = {
	    a->self, "--node", a->h->node, "--root", a->h->root, "drill", "watch", text, NULL};

	snprintf(text, sizeof(text), "%u", seconds);
	return child_run(&a->drill.watch, a->loop, argv, (seconds + 5) * 1000, watched, a);
}

/* {"drill","seconds"} */
void
agent_drill_join(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	const char *why = refusal(a, args);
	unsigned seconds = (unsigned)words_number(args, "seconds");

	if (!why && !child_running(&d->watch) && start_watch(a, seconds) < 0)
		why = strerror(errno);
	if (why) {
		answer_error(r, "refused", "%s: %s", a->us->name, why);
		return;
	}
	if (!*d->id) {
		d->flap = a->flap;
		d->moves = a->moves;
	}
	snprintf(d->id, sizeof(d->id), "%s", words_text(args, "drill"));
	timer_set(&d->expiry, seconds * 1000);
	journal_event(&a->journal, "drill-joins", "%s", d->id);
	answer_ok(r, facts(a));
}

void
agent_drill_clock(struct answer_request *r, json_t *args, void *arg)
{
	answer_ok(r, json_pack("{s:I,s:I}", "mono_us", (json_int_t)drill_now_us(), "wall_us",
			 (json_int_t)drill_wall_us()));
}

/* {"drill","kind","link","seconds"} */
void
agent_drill_fault(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;
	long long seconds = words_number(args, "seconds");
	const char *kind = words_text(args, "kind");
	char length[16], agent_pid[16];
	const char *words[] = {"guard", d->id, kind, words_number(args, "link") ? "lan" : "wan",
	    length, agent_pid, NULL};

	if (!is_ours(a, args) || d->drives || d->guard > 0 || seconds < 1 || seconds > OUTAGE_MAX ||
	    drill_kind_of(kind) <= DRILL_PLANNED || a->cluster->split.peer_loss == CLUSTER_FENCE) {
		answer_error(r, "refused", "%s: no such fault may be made now", a->us->name);
		return;
	}
	snprintf(length, sizeof(length), "%lld", seconds);
	snprintf(agent_pid, sizeof(agent_pid), "%d", (int)getpid());
	d->guard = agent_drill_spawn(a, words);
	if (d->guard < 0) {
		d->guard = 0;
		answer_error(r, "failed", "%s", strerror(errno));
		return;
	}
	answer_ok(r, json_pack("{s:i,s:I}", "late_ms", DRILL_LATE_MS, "mono_us",
			 (json_int_t)drill_now_us()));
}

/* {"drill"}: answered when what was seen can be read. */
void
agent_drill_leave(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	struct agent_drill *d = &a->drill;

	if (!is_ours(a, args) || d->drives) {
		answer_ok(r, json_pack("{s:b}", "watched", false));
		return;
	}
	if (d->guard > 0)
		kill(d->guard, SIGTERM);
	a->flap = d->flap;
	a->moves = d->moves;
	agent_drill_forget(a);
	if (!child_running(&d->watch) || d->leaver) {
		answer_ok(r, json_pack("{s:b}", "watched", !d->leaver));
		return;
	}
	d->leaver = r;
	kill(d->watch.pid, SIGTERM);
}

/* ---- what we know ---- */

/* The pptpd's answer of a page of sessions goes on to who asked. */
static void
listed(void *arg, json_t *answer)
{
	struct answer_request *r = arg;

	if (json_is_true(json_object_get(answer, "ok")))
		answer_ok(r, json_incref(json_object_get(answer, "data")));
	else
		answer_error(r, "pptpd", "%s",
		    answer ? words_text(json_object_get(answer, "error"), "message")
			   : strerror(errno));
}

/* {"after"} */
void
agent_drill_sessions(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;

	if (answer_client_call(a->pptpd.wishes, "sessions",
		json_pack("{s:I}", "after", (json_int_t)words_number(args, "after")), PPTPD_MS,
		listed, r) == 0)
		answer_error(r, "pptpd", "%s", strerror(errno));
}

/* {"what":"watch|guard","offset"} -> {"text","next"}: next null at the end */
void
agent_drill_read(struct answer_request *r, json_t *args, void *arg)
{
	const struct agent *a = arg;
	bool guard = strcmp(words_text(args, "what"), "guard") == 0;
	char *path = hagent_path(a->h, guard ? HAGENT_DRILL_GUARD : HAGENT_DRILL_WATCH);
	char text[CHUNK + 1];
	long long offset = words_number(args, "offset");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 && offset >= 0 ? pread(fd, text, CHUNK, offset) : -1;

	free(path);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		answer_error(r, "unreadable", "%s", strerror(errno));
		return;
	}
	text[n] = '\0';
	answer_ok(r, json_pack("{s:s,s:o}", "text", text, "next",
			 n < CHUNK ? json_null() : json_integer((json_int_t)(offset + n))));
}

/* {"after_ms"}: wall clock -> {"lines":[...]}, the first that fit */
void
agent_drill_journal(struct answer_request *r, json_t *args, void *arg)
{
	const struct agent *a = arg;
	json_t *all = journal_tail(a->journal.path, LINES_MAX), *lines = json_array(), *line;
	long long after_ms = words_number(args, "after_ms");
	size_t i, bytes = 0;

	json_array_foreach(all, i, line)
	{
		if (journal_unix_ms(words_text(line, "time")) < after_ms)
			continue;
		bytes += json_dumpb(line, NULL, 0, JSON_COMPACT) + 1;
		if (bytes > LINES_BYTES)
			break;
		json_array_append(lines, line);
	}
	json_decref(all);
	answer_ok(r, json_pack("{s:o}", "lines", lines));
}

/* ---- reports ---- */

static bool
is_known(const struct agent *a, const char *id)
{
	json_t *o;
	size_t i;

	json_array_foreach(a->drill.list, i, o)
	{
		if (strcmp(words_text(o, "id"), id) == 0)
			return true;
	}
	return false;
}

/* {"ids":[...]} -> {"missing":[...]} */
void
agent_drill_have(struct answer_request *r, json_t *args, void *arg)
{
	json_t *missing = json_array(), *id;
	size_t i;

	json_array_foreach(json_object_get(args, "ids"), i, id)
	{
		if (i < IDS_MAX && json_is_string(id) && !is_known(arg, json_string_value(id)))
			json_array_append(missing, id);
	}
	answer_ok(r, json_pack("{s:o}", "missing", missing));
}

/* {"drill","report":{...}} */
void
agent_drill_store(struct answer_request *r, json_t *args, void *arg)
{
	struct agent *a = arg;
	const json_t *report = json_object_get(args, "report");
	const char *id = words_text(args, "drill");
	char folder[PATH_MAX];

	agent_drill_folder(a, folder, sizeof(folder));
	if (!json_is_object(report) || strcmp(words_text(report, "id"), id) != 0 ||
	    !drill_id_valid(id)) {
		answer_error(r, "bad-report", "want a report and its id");
	} else if (drill_store_write(folder, id, report) < 0) {
		answer_error(r, "failed", "%s", strerror(errno));
	} else {
		agent_drill_note(a, report);
		answer_ok(r, NULL);
	}
}
