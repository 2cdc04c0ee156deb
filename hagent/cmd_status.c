/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent status: one screen in words, from the agent's answer and from what the files' state says.
 * It also says what is the case when there is no agent. Exit status 0: this gateway serves, or
 * could; notes alone do not change that.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/answer.h"
#include "hagent/child.h"
#include "hagent/hagent.h"
#include "hagent/journal.h"

#define TIMEOUT_MS 1000
#define FILES_MS   2000

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static long long
number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool
is_set(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

/* "12 s", "3 min", "2 h" */
static const char *
span(long long seconds)
{
	static char text[32];

	if (seconds < 120)
		snprintf(text, sizeof(text), "%lld s", seconds);
	else if (seconds < 7200)
		snprintf(text, sizeof(text), "%lld min", seconds / 60);
	else
		snprintf(text, sizeof(text), "%lld h", seconds / 3600);
	return text;
}

/* ---- the files' state, from `hagent sync status --json` ---- */

struct files_query {
	struct loop *loop;
	json_t *state;
};

static void
files_done(void *arg, const struct child_result *r)
{
	struct files_query *q = arg;
	json_t *o = r->status == 0 ? json_loads(r->output, 0, NULL) : NULL;

	q->state = json_incref(json_object_get(o, "data"));
	json_decref(o);
	loop_stop(q->loop);
}

/* New reference, or NULL. Waits at most FILES_MS. */
static json_t *
ask_files(const struct hagent *h)
{
	struct files_query q = {.loop = loop_new()};
	struct child child = {0};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!q.loop || n < 0)
		return NULL;
	self[n] = '\0';
	const char *argv[] = {
	    self, "--node", h->node, "--root", h->root, "sync", "status", "--json", NULL};
	if (child_run(&child, q.loop, argv, FILES_MS, files_done, &q) == 0)
		loop_run(q.loop);
	loop_free(q.loop);
	return q.state;
}

/* ---- one line each ---- */

static void
show_role(const json_t *s)
{
	const json_t *vip = json_object_get(s, "vip");
	bool wan = is_set(vip, "wan_here"), lan = is_set(vip, "lan_here");

	printf("%-12s %s, epoch %lld\n", text_of(s, "node"), text_of(s, "role"),
	    number_of(s, "epoch"));
	printf("%-12s %s %s, %s %s\n", "addresses", text_of(vip, "wan"),
	    wan ? "is here" : "is not here", text_of(vip, "lan"), lan ? "is here" : "is not here");
}

static void
show_programs(const json_t *s)
{
	const json_t *p = json_object_get(s, "pptpd");
	const char *said = text_of(s, "keepalived_said");

	if (is_set(p, "answers") && json_object_get(p, "role"))
		printf("%-12s %s, %s, %lld sessions\n", "pptpd", text_of(p, "role"),
		    is_set(p, "listening") ? "listening" : "not listening",
		    number_of(p, "sessions"));
	else
		printf("%-12s does not answer: %s\n", "pptpd", text_of(p, "error"));
	printf(
	    "%-12s %s%s%s\n", "keepalived", text_of(s, "keepalived"), *said ? ", said " : "", said);
	printf("%-12s %s\n", "conntrackd", text_of(s, "conntrackd"));
	printf("%-12s %s\n", "pair sshd", text_of(s, "sshd"));
	printf("%-12s %s\n", "link", text_of(s, "link"));
}

static void
show_peer(const json_t *s)
{
	const json_t *peer = json_object_get(s, "peer");
	json_t *path;
	const char *name;

	if (!json_object_get(peer, "node"))
		printf("%-12s never heard\n", "peer");
	else
		printf("%-12s %s, %s, epoch %lld, health %s%s\n", "peer", text_of(peer, "node"),
		    text_of(peer, "role"), number_of(peer, "epoch"), text_of(peer, "health"),
		    is_set(peer, "fresh") ? "" : " -- as last heard, it is silent now");
	json_object_foreach(json_object_get(peer, "paths"), name, path)
	{
		if (is_set(path, "up"))
			printf("  %-10s up\n", name);
		else
			printf("  %-10s silent: %s\n", name, text_of(path, "error"));
	}
}

/* Could the other gateway continue the sessions. */
static void
show_replica(const json_t *s)
{
	const json_t *r = json_object_get(s, "replica");
	const json_t *snapshot = json_object_get(r, "snapshot");

	if (!json_is_object(r))
		return;
	printf("%-12s %s", "replica", text_of(r, "state"));
	if (strcmp(text_of(r, "state"), "standby") == 0)
		printf(", %s: %lld sessions, %lld control connections",
		    is_set(r, "stale")     ? "the copy is stale"
		    : is_set(r, "in_step") ? "the copy is current"
					   : "the copy is not current",
		    number_of(r, "sessions"), number_of(r, "connections"));
	else
		printf(", %lld of %lld sessions at risk, lag %lld ms", number_of(r, "at_risk"),
		    number_of(r, "sessions"), number_of(r, "lag_ms"));
	if (strcmp(text_of(r, "state"), "syncing") == 0)
		printf(
		    ", %lld of %lld sent", number_of(snapshot, "done"), number_of(snapshot, "of"));
	if (number_of(r, "restoring") > 0)
		printf(", %lld control connections still to restore", number_of(r, "restoring"));
	putchar('\n');
}

/* What became of the sessions that this gateway took over, or that had no keys left. */
static void
show_taken(const json_t *s)
{
	const json_t *r = json_object_get(s, "replica");
	long long resumed = number_of(r, "resumed"), rekeying = number_of(r, "rekeying"),
		  rekeyed = number_of(r, "rekeyed"), dropped = number_of(r, "dropped");

	if (resumed + rekeying + rekeyed + dropped <= 0)
		return;
	printf("%-12s %lld resumed, %lld re-keyed, %lld dropped", "taken over", resumed, rekeyed,
	    dropped);
	if (rekeying > 0)
		printf(", %lld being re-keyed", rekeying);
	putchar('\n');
}

/* Are the pair's files in step, since when, and why not. */
static void
show_files(const json_t *state, const json_t *agents)
{
	const json_t *last = json_object_get(state, "last");
	long long age_s = number_of(json_object_get(state, "peer"), "age_s");
	const char *why = text_of(last, "text");

	if (!state) {
		printf("%-12s their state cannot be read: hagent sync status\n", "files");
		return;
	}
	if (age_s < 0)
		printf("%-12s not in step: the peer has never acknowledged any", "files");
	else
		printf("%-12s %s, as of %s ago", "files",
		    is_set(state, "in_step") ? "in step" : "not in step", span(age_s));
	if (*text_of(last, "result"))
		printf("; last %s: %s%s%s",
		    strcmp(text_of(last, "direction"), "in") == 0 ? "in" : "out",
		    text_of(last, "result"), *why ? ", " : "", why);
	else if (agents && *text_of(agents, "last_result"))
		printf("; last %s: %s", text_of(agents, "last"), text_of(agents, "last_result"));
	putchar('\n');
	if (number_of(state, "conflicts") > 0)
		printf("%-12s %lld files lost against the peer's and are kept aside\n", "conflicts",
		    number_of(state, "conflicts"));
}

static void
show_versions(const json_t *s)
{
	const json_t *peer = json_object_get(s, "peer"), *pptpd = json_object_get(s, "pptpd");
	long long stream = number_of(json_object_get(s, "replica"), "version");

	printf("%-12s agent %s", "version", text_of(s, "version"));
	if (*text_of(pptpd, "version"))
		printf(", pptpd %s", text_of(pptpd, "version"));
	if (*text_of(peer, "version"))
		printf("; agent %s on %s", text_of(peer, "version"), text_of(peer, "node"));
	if (stream > 0)
		printf("; stream %lld", stream);
	putchar('\n');
}

/* A planned move under way, the last one, and maintenance. */
static void
show_move(const json_t *s)
{
	const json_t *move = json_object_get(s, "move"), *last = json_object_get(s, "last_move");
	const json_t *prepared = json_object_get(s, "prepared");
	const json_t *peer = json_object_get(s, "peer");
	char since[25];

	if (json_is_integer(json_object_get(s, "maintenance"))) {
		journal_time(number_of(s, "maintenance"), since);
		printf("%-12s on since %s: serves only if the other one cannot\n", "maintenance",
		    since);
	}
	if (is_set(peer, "maintenance") && is_set(peer, "fresh"))
		printf("%-12s on at %s\n", "maintenance", text_of(peer, "node"));
	if (json_is_object(move))
		printf("%-12s to %s under way for %lld ms, step %s (%s)\n", "move",
		    text_of(move, "to"), number_of(move, "ms"), text_of(move, "phase"),
		    text_of(move, "why"));
	if (json_is_object(prepared))
		printf("%-12s %s for the peer's sessions, epoch %lld\n", "move",
		    text_of(prepared, "phase"), number_of(prepared, "epoch"));
	if (!json_is_object(last))
		return;
	printf("%-12s #%lld to %s %s at %s in %lld ms, %s, %lld sessions (%s)%s%s\n", "last move",
	    number_of(last, "id"), text_of(last, "to"), text_of(last, "result"),
	    text_of(last, "begun"), number_of(last, "ms"), text_of(last, "way"),
	    number_of(last, "sessions"), text_of(last, "why"), *text_of(last, "text") ? ": " : "",
	    text_of(last, "text"));
}

/* What happened when both gateways served, and how the fence command did. */
static void
show_split(const json_t *s)
{
	const json_t *split = json_object_get(s, "split"), *fence = json_object_get(s, "fence");

	if (json_is_object(fence))
		printf("%-12s %s%s%s\n", "fence", text_of(fence, "state"),
		    *text_of(fence, "text") ? ": " : "", text_of(fence, "text"));
	if (!json_is_object(split))
		return;
	printf("%-12s %s to %s, %lld ms", is_set(split, "open") ? "split NOW" : "last split",
	    text_of(split, "began"), text_of(split, "ended"), number_of(split, "ms"));
	if (!is_set(split, "open"))
		printf(": %s stayed, epoch %lld, %s yielded", text_of(split, "stayed"),
		    number_of(split, "epoch"), text_of(split, "yielded"));
	putchar('\n');
	if (is_set(split, "settled"))
		printf("%-12s of %lld sessions %lld go on with every key, %lld with one class, "
		       "%lld had none left; %lld were reported, %lld went on behind that\n",
		    "", number_of(split, "sessions"), number_of(split, "whole"),
		    number_of(split, "one_class"), number_of(split, "without_keys"),
		    number_of(split, "reported"), number_of(split, "skipped"));
}

static void
show_transition(const json_t *s)
{
	const json_t *t = json_object_get(s, "last_transition");

	if (is_set(s, "transition_running"))
		printf("%-12s under way\n", "transition");
	if (!json_is_object(t)) {
		printf("%-12s none yet\n", "transition");
		return;
	}
	printf("%-12s #%lld %s %s at %s in %lld ms, slowest step %s %lld ms (%s)\n", "transition",
	    number_of(t, "id"), text_of(t, "transition"), text_of(t, "result"), text_of(t, "begun"),
	    number_of(t, "ms"), text_of(t, "slowest"), number_of(t, "slowest_ms"),
	    text_of(t, "detail"));
}

/* What crashed; what keeps a gateway where it is, or down, although something else would move it.
 */
static void
show_trouble(const json_t *s)
{
	const json_t *peer = json_object_get(s, "peer");
	const char *why = text_of(json_object_get(s, "flap"), "why");
	json_t *crash;
	size_t i;

	json_array_foreach(json_object_get(s, "crashes"), i, crash)
	{
		char at[25];

		journal_time(number_of(crash, "at"), at);
		printf(
		    "%-12s pptpd's engine on %s at %s: %s, %zu sessions or connections in hand\n",
		    "crash", text_of(crash, "node"), at, text_of(crash, "cause"),
		    json_array_size(json_object_get(crash, "ids")));
	}
	if (*why)
		printf("%-12s %s\n", "holds", why);
	if (*text_of(peer, "hold") && is_set(peer, "fresh"))
		printf("%-12s %s: %s\n", "holds", text_of(peer, "node"), text_of(peer, "hold"));
}

static void
show_problems(const json_t *s, const json_t *files)
{
	const json_t *problems = json_object_get(s, "problems");
	const json_t *peer = json_object_get(s, "peer"), *last = json_object_get(files, "last");
	bool any = json_array_size(problems) > 0;
	size_t i;
	json_t *p;

	show_trouble(s);
	if (strcmp(text_of(s, "verdict"), "unfit") == 0)
		printf("verdict      this gateway must not be MASTER now\n");
	json_array_foreach(problems, i, p) printf("wrong (%s)%*s %s. What to do: %s.\n",
	    text_of(p, "severity"), (int)(4 - strlen(text_of(p, "severity"))), "",
	    text_of(p, "text"), text_of(p, "advice"));
	if (*text_of(peer, "problem") && is_set(peer, "fresh")) {
		printf("wrong (peer) %s says: %s. What to do: hagent status there.\n",
		    text_of(peer, "node"), text_of(peer, "problem"));
		any = true;
	}
	if (strcmp(text_of(last, "result"), "invalid") == 0) {
		printf("wrong (files) %s. What to do: mend the file; the old ones stay in force.\n",
		    text_of(last, "text"));
		any = true;
	}
	if (json_array_size(json_object_get(files, "missing")) > 0) {
		printf("wrong (files) files of the set are missing. What to do: hagent sync "
		       "status.\n");
		any = true;
	}
	if (!any)
		puts("nothing is wrong");
}

/* What can be said without the agent. */
static void
show_without_agent(const struct hagent *h, const char *why)
{
	char *path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	json_t *answer = answer_call(path, "status", NULL, TIMEOUT_MS);
	const json_t *data = json_object_get(answer, "data");

	printf("%-12s does not answer: %s\n", "agent", why);
	if (data)
		printf("%-12s %s, %lld sessions\n", "pptpd", text_of(data, "role"),
		    number_of(data, "sessions"));
	else
		printf("%-12s does not answer: %s\n", "pptpd", strerror(errno));
	puts("wrong (hard) the agent does not answer: nothing moves with the role. "
	     "What to do: start it, or restart it if it hangs.");
	json_decref(answer);
	free(path);
}

int
cmd_status(const struct hagent *h, int argc, char **argv)
{
	bool as_json = argc == 2 && strcmp(argv[1], "--json") == 0;
	json_t *answer, *s, *files;
	char *path;
	bool wrong = true;

	if (argc != 1 && !as_json)
		return HAGENT_USAGE;
	path = hagent_path(h, HAGENT_SOCKET);
	answer = answer_call(path, "status", NULL, TIMEOUT_MS);
	int saved = errno;
	free(path);
	s = json_object_get(answer, "data");
	files = s ? ask_files(h) : NULL;
	if (s && files)
		json_object_set(s, "set", files);
	if (s)
		wrong = strcmp(text_of(s, "health"), "soft") == 0 ||
			strcmp(text_of(s, "health"), "hard") == 0;
	if (as_json) {
		json_t *none = json_pack("{s:s,s:s}", "agent", "silent", "error", strerror(saved));

		json_dumpf(s ? s : none, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(none);
	} else if (!s) {
		show_without_agent(h, strerror(saved));
	} else {
		show_role(s);
		show_versions(s);
		show_programs(s);
		show_peer(s);
		show_replica(s);
		show_taken(s);
		show_files(files, json_object_get(s, "files"));
		show_move(s);
		show_split(s);
		show_transition(s);
		show_problems(s, files);
	}
	json_decref(files);
	json_decref(answer);
	return wrong ? HAGENT_FAIL : HAGENT_OK;
}
