/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The lines of the screen, from what matters most to what happened once; what is wrong comes last,
 * where the eye of somebody at a prompt is.
 */
#include "hagent/status_view.h"

#include <string.h>

#include "hagent/journal.h"
#include "hagent/progress.h"
#include "hagent/safety.h"
#include "hagent/words.h"

/* What is left out first when the terminal is small. */
enum rank {
	ALWAYS,
	STATE,   /* how things are */
	DETAIL,  /* of what is well */
	HISTORY, /* what happened */
	VERSIONS,
	ORNAMENT
};

static bool
is(const json_t *o, const char *name, const char *value)
{
	return strcmp(words_text(o, name), value) == 0;
}

/* ": text", or nothing. */
static const char *
colon(const char *text)
{
	return *text ? ": " : "";
}

const char *
status_view_word(const json_t *judgement)
{
	static const char *const words[] = {"SAFE", "AT RISK", "DOWN"};

	return words[safety_level_of(judgement)];
}

static void
add_head(struct screen *s, const json_t *judgement)
{
	static const enum term_style styles[] = {TERM_GOOD, TERM_WARN, TERM_BAD};

	screen_head(s, styles[safety_level_of(judgement)], status_view_word(judgement),
	    words_text(judgement, "headline"));
	screen_add(s, ORNAMENT, TERM_PLAIN, NULL, "%s", "");
}

/* ---- the two gateways ---- */

static void
add_us(struct screen *s, const json_t *o)
{
	const json_t *vip = json_object_get(o, "vip");
	bool wan = words_is(vip, "wan_here"), lan = words_is(vip, "lan_here");
	char up[WORDS_SPAN];

	words_span(words_number(o, "uptime_ms") / 1000, up);
	if (wan != lan)
		screen_add(s, ALWAYS, TERM_BAD, "addresses",
		    "%s is %shere, but %s is %s: one without the other", words_text(vip, "wan"),
		    wan ? "" : "not ", words_text(vip, "lan"), lan ? "here" : "not");
	screen_add(s, ALWAYS, TERM_BOLD, words_text(o, "node"), "%s%s%s%s%s, epoch %lld, up %s",
	    words_text(o, "role"), wan ? ", has " : ", without the addresses",
	    wan ? words_text(vip, "wan") : "", wan && lan ? " and " : "",
	    wan && lan ? words_text(vip, "lan") : "", words_number(o, "epoch"), up);
}

/* Of its health, a word of ours. */
static const char *
wellness(const json_t *peer)
{
	if (is(peer, "health", "fine"))
		return "well";
	return is(peer, "health", "note") ? "well but for a note" : "not well";
}

static void
add_paths(struct screen *s, const json_t *paths)
{
	const char *name;
	json_t *path;

	json_object_foreach((json_t *)(uintptr_t)paths, name, path)
	{
		const char *error = words_text(path, "error");
		bool said = strncmp(error, "silent", 6) == 0;
		char label[16];

		snprintf(label, sizeof(label), "  %s", name);
		if (!words_is(path, "up"))
			screen_add(
			    s, STATE, TERM_WARN, label, "%s%s", said ? "" : "silent: ", error);
	}
}

static void
add_peer(struct screen *s, const json_t *o)
{
	const json_t *peer = json_object_get(o, "peer"), *paths = json_object_get(peer, "paths");
	const char *name;
	char on[64] = "", ago[WORDS_SPAN];
	json_t *path;

	json_object_foreach((json_t *)(uintptr_t)paths, name, path)
	{
		size_t len = strlen(on);

		if (words_is(path, "up"))
			snprintf(on + len, sizeof(on) - len, "%s%s", len ? ", " : "", name);
	}
	if (!json_object_get(peer, "node"))
		screen_add(s, ALWAYS, TERM_WARN, "peer", "never heard");
	else if (words_is(peer, "fresh"))
		screen_add(s, ALWAYS, TERM_BOLD, words_text(peer, "node"),
		    "%s, %s, epoch %lld, heard on %s", words_text(peer, "role"), wellness(peer),
		    words_number(peer, "epoch"), on);
	else
		screen_add(s, ALWAYS, TERM_WARN, words_text(peer, "node"),
		    "silent for %s; it was %s then, epoch %lld",
		    words_span(words_number(peer, "heard_ms_ago") / 1000, ago),
		    words_text(peer, "role"), words_number(peer, "epoch"));
	add_paths(s, paths);
}

/* ---- the copy ---- */

static void
add_copy(struct screen *s, const json_t *o)
{
	const json_t *r = json_object_get(o, "replica"), *snapshot = json_object_get(r, "snapshot");
	const char *state = words_text(r, "state");
	long long restoring = words_number(r, "restoring");
	char n[WORDS_COUNT], bar[PROGRESS_BAR + 64];

	if (!json_is_object(r))
		return;
	words_count(words_number(r, "sessions"), "session", n);
	if (strcmp(state, "standby") == 0) {
		screen_add(s, ALWAYS, TERM_BOLD, "copy", "%s: %s, %lld control connections",
		    words_is(r, "stale")     ? "stale"
		    : words_is(r, "in_step") ? "current"
					     : "not current",
		    n, words_number(r, "connections"));
	} else if (strcmp(state, "syncing") == 0) {
		progress_bar(words_number(snapshot, "done"), words_number(snapshot, "of"), bar);
		screen_add(s, ALWAYS, TERM_WARN, "replica", "syncing %s", bar);
	} else {
		screen_add(s, ALWAYS, TERM_BOLD, "replica", "%s: %s, %lld at risk, lag %lld ms",
		    state, n, words_number(r, "at_risk"), words_number(r, "lag_ms"));
	}
	if (restoring > 0)
		screen_add(s, ALWAYS, TERM_WARN, "restoring",
		    "%lld control connections are still to be restored", restoring);
}

/* What became of the sessions that this gateway took over, or that had no keys left. */
static void
add_taken(struct screen *s, const json_t *o)
{
	const json_t *r = json_object_get(o, "replica");
	long long resumed = words_number(r, "resumed"), rekeying = words_number(r, "rekeying"),
		  rekeyed = words_number(r, "rekeyed"), dropped = words_number(r, "dropped");

	if (resumed + rekeying + rekeyed + dropped > 0)
		screen_add(s, HISTORY, TERM_PLAIN, "taken over",
		    "%lld resumed, %lld being re-keyed, %lld re-keyed, %lld dropped", resumed,
		    rekeying, rekeyed, dropped);
}

/* ---- programs, files, versions ---- */

static void
add_programs(struct screen *s, const json_t *o)
{
	static const char *const names[][2] = {{"keepalived", "keepalived"},
	    {"conntrackd", "conntrackd"}, {"pair sshd", "sshd"}, {"link", "link"}};
	const json_t *pptpd = json_object_get(o, "pptpd");
	char run[96] = "";

	if (words_is(pptpd, "answers") && json_object_get(pptpd, "role"))
		snprintf(run, sizeof(run), "pptpd");
	else
		screen_add(s, ALWAYS, TERM_BAD, "pptpd", "does not answer: %s",
		    words_text(pptpd, "error"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *state = words_text(o, names[i][1]);
		size_t len = strlen(run);

		if (strcmp(state, "running") == 0)
			snprintf(
			    run + len, sizeof(run) - len, "%s%s", len ? ", " : "", names[i][0]);
		else
			screen_add(s, ALWAYS, TERM_WARN, names[i][0], "%s", state);
	}
	if (*run)
		screen_add(s, DETAIL, TERM_PLAIN, "running", "%s", run);
	if (is(o, "keepalived_said", "FAULT"))
		screen_add(s, ALWAYS, TERM_WARN, "keepalived", "says FAULT");
}

/* The agent's own sessions through its daemon. What is wrong with them is a problem, further down.
 */
static void
add_deep(struct screen *s, const json_t *o)
{
	const json_t *deep = json_object_get(o, "deep");
	double rtt_ms = json_number_value(json_object_get(deep, "rtt_ms"));
	char n[WORDS_COUNT];

	if (!words_is(deep, "ok") || words_number(deep, "workers") == 0 || rtt_ms <= 0)
		return;
	screen_add(s, DETAIL, TERM_PLAIN, "deep check", "a session through %s answers in %.1f ms",
	    words_count(words_number(deep, "workers"), "worker", n), rtt_ms);
}

static void
add_files(struct screen *s, const json_t *o)
{
	const json_t *set = json_object_get(o, "set"), *last = json_object_get(set, "last");
	long long age_s = words_number(json_object_get(set, "peer"), "age_s");
	const char *result = words_text(last, "result");
	bool in_step = words_is(set, "in_step");
	char age[WORDS_SPAN];

	if (!set)
		screen_add(s, STATE, TERM_WARN, "files", "their state cannot be read");
	else if (age_s < 0)
		screen_add(s, STATE, TERM_WARN, "files",
		    "not in step: the peer has never acknowledged any%s%s",
		    *result ? "; last transfer: " : "", result);
	else
		screen_add(s, in_step ? DETAIL : STATE, in_step ? TERM_PLAIN : TERM_WARN, "files",
		    "%sin step, as of %s ago%s%s%s%s", in_step ? "" : "not ",
		    words_span(age_s, age),
		    in_step ? "" : "; last transfer: ", in_step ? "" : result,
		    in_step ? "" : colon(words_text(last, "text")),
		    in_step ? "" : words_text(last, "text"));
}

static void
add_versions(struct screen *s, const json_t *o)
{
	const json_t *peer = json_object_get(o, "peer");
	const char *ours = words_text(o, "version"), *theirs = words_text(peer, "version");
	const char *pptpd = words_text(json_object_get(o, "pptpd"), "version");
	long long stream = words_number(json_object_get(o, "replica"), "version");
	bool same = strcmp(ours, pptpd) == 0 && strcmp(ours, theirs) == 0;

	if (same && stream > 0)
		screen_add(
		    s, VERSIONS, TERM_PLAIN, "version", "%s on both, stream %lld", ours, stream);
	else
		screen_add(s, VERSIONS, TERM_PLAIN, "version",
		    "agent %s, pptpd %s; agent of the peer %s; stream %lld", ours,
		    *pptpd ? pptpd : "unknown", *theirs ? theirs : "unknown", stream);
}

/* ---- moves ---- */

/* "2026-11-21 18:38:40" of a stamp with letters and milliseconds. */
static const char *
moment(const json_t *o, const char *name, char out[static 20])
{
	snprintf(out, 20, "%.19s", words_text(o, name));
	if (strlen(out) > 10)
		out[10] = ' ';
	return out;
}

static void
add_move(struct screen *s, const json_t *o)
{
	const json_t *move = json_object_get(o, "move"), *last = json_object_get(o, "last_move");
	const json_t *prepared = json_object_get(o, "prepared");
	char at[20], n[WORDS_COUNT];

	if (json_is_object(move))
		screen_add(s, ALWAYS, TERM_WARN, "move", "to %s, for %lld ms so far, step %s (%s)",
		    words_text(move, "to"), words_number(move, "ms"), words_text(move, "phase"),
		    words_text(move, "why"));
	if (json_is_object(prepared))
		screen_add(s, ALWAYS, TERM_WARN, "move", "%s for the peer's sessions, epoch %lld",
		    words_text(prepared, "phase"), words_number(prepared, "epoch"));
	if (json_is_object(last))
		screen_add(s, HISTORY, TERM_PLAIN, "last move",
		    "#%lld %s to %s %s in %lld ms by %s, %s (%s)%s%s", words_number(last, "id"),
		    moment(last, "begun", at), words_text(last, "to"), words_text(last, "result"),
		    words_number(last, "ms"), words_text(last, "way"),
		    words_count(words_number(last, "sessions"), "session", n),
		    words_text(last, "why"), colon(words_text(last, "text")),
		    words_text(last, "text"));
}

static void
add_maintenance(struct screen *s, const json_t *o)
{
	const json_t *peer = json_object_get(o, "peer");
	char since[25];

	if (json_is_integer(json_object_get(o, "maintenance"))) {
		journal_time(words_number(o, "maintenance"), since);
		screen_add(s, ALWAYS, TERM_WARN, "maintenance",
		    "on since %s: serves only if the other one cannot", since);
	}
	if (words_is(peer, "maintenance") && words_is(peer, "fresh"))
		screen_add(
		    s, ALWAYS, TERM_WARN, "maintenance", "on at %s", words_text(peer, "node"));
}

static void
add_transition(struct screen *s, const json_t *o)
{
	const json_t *t = json_object_get(o, "last_transition");
	char at[20];

	if (words_is(o, "transition_running"))
		screen_add(s, ALWAYS, TERM_WARN, "transition", "under way");
	if (json_is_object(t))
		screen_add(s, HISTORY, TERM_PLAIN, "transition",
		    "#%lld %s %s %s in %lld ms, slowest %s %lld ms (%s)", words_number(t, "id"),
		    moment(t, "begun", at), words_text(t, "transition"), words_text(t, "result"),
		    words_number(t, "ms"), words_text(t, "slowest"), words_number(t, "slowest_ms"),
		    words_text(t, "detail"));
}

/* What happened when both gateways served, and how the fence command did. */
static void
add_split(struct screen *s, const json_t *o)
{
	const json_t *split = json_object_get(o, "split"), *fence = json_object_get(o, "fence");
	char began[20], ended[20];

	if (json_is_object(fence))
		screen_add(s, is(fence, "state", "idle") ? DETAIL : STATE, TERM_PLAIN, "fence",
		    "%s%s%s", words_text(fence, "state"), colon(words_text(fence, "text")),
		    words_text(fence, "text"));
	if (!json_is_object(split))
		return;
	if (words_is(split, "open"))
		screen_add(s, ALWAYS, TERM_BAD, "split NOW", "since %s, for %lld ms",
		    moment(split, "began", began), words_number(split, "ms"));
	else
		screen_add(s, HISTORY, TERM_PLAIN, "last split",
		    "%s to %s, %lld ms: %s stayed, epoch %lld, %s yielded",
		    moment(split, "began", began), moment(split, "ended", ended),
		    words_number(split, "ms"), words_text(split, "stayed"),
		    words_number(split, "epoch"), words_text(split, "yielded"));
	if (words_is(split, "settled"))
		screen_add(s, HISTORY, TERM_PLAIN, "",
		    "of %lld sessions %lld go on with every key, %lld with one class, %lld had "
		    "none left; %lld were reported, %lld went on behind that",
		    words_number(split, "sessions"), words_number(split, "whole"),
		    words_number(split, "one_class"), words_number(split, "without_keys"),
		    words_number(split, "reported"), words_number(split, "skipped"));
}

/* ---- what is wrong ---- */

/* What crashed; what keeps a gateway where it is, or down, although something else would move it.
 */
static void
add_trouble(struct screen *s, const json_t *o)
{
	const json_t *peer = json_object_get(o, "peer");
	const char *why = words_text(json_object_get(o, "flap"), "why");
	json_t *crash;
	size_t i;

	json_array_foreach(json_object_get(o, "crashes"), i, crash)
	{
		char at[25];

		journal_time(words_number(crash, "at"), at);
		screen_add(s, STATE, TERM_WARN, "crash",
		    "pptpd's engine on %s at %s: %s, %zu sessions or connections in hand",
		    words_text(crash, "node"), at, words_text(crash, "cause"),
		    json_array_size(json_object_get(crash, "ids")));
	}
	if (*why)
		screen_add(s, ALWAYS, TERM_WARN, "holds", "%s", why);
	if (*words_text(peer, "hold") && words_is(peer, "fresh"))
		screen_add(s, ALWAYS, TERM_WARN, "holds", "%s: %s", words_text(peer, "node"),
		    words_text(peer, "hold"));
}

static void
add_problems(struct screen *s, const json_t *judgement)
{
	const json_t *problems = json_object_get(judgement, "problems"), *p;
	size_t i;

	json_array_foreach(problems, i, p)
	{
		bool note = is(p, "severity", "note");
		char label[32];

		snprintf(label, sizeof(label), "wrong (%s)", words_text(p, "severity"));
		screen_add(s, ALWAYS,
		    is(p, "severity", "hard") ? TERM_BAD
		    : note                    ? TERM_BOLD
					      : TERM_WARN,
		    label, "%s", words_text(p, "text"));
		screen_add(s, ALWAYS, TERM_DIM, "  do this", "%s", words_text(p, "advice"));
	}
	if (json_array_size(problems) == 0)
		screen_add(s, ALWAYS, TERM_PLAIN, NULL, "nothing is wrong");
}

struct screen *
status_view(const json_t *o)
{
	const json_t *judgement = json_object_get(o, "safety");
	struct screen *s = screen_new();

	if (!s)
		return NULL;
	add_head(s, judgement);
	add_us(s, o);
	add_peer(s, o);
	add_copy(s, o);
	add_programs(s, o);
	add_deep(s, o);
	add_files(s, o);
	add_versions(s, o);
	add_maintenance(s, o);
	add_move(s, o);
	add_transition(s, o);
	add_taken(s, o);
	add_split(s, o);
	add_trouble(s, o);
	if (is(o, "verdict", "unfit"))
		screen_add(s, ALWAYS, TERM_WARN, "verdict", "this gateway must not be MASTER now");
	add_problems(s, judgement);
	return s;
}

struct screen *
status_view_without_agent(
    const json_t *judgement, const json_t *pptpd, const char *why, const char *why_pptpd)
{
	struct screen *s = screen_new();
	char n[WORDS_COUNT];

	if (!s)
		return NULL;
	add_head(s, judgement);
	screen_add(s, ALWAYS, TERM_BAD, "agent", "does not answer: %s", why);
	if (pptpd)
		screen_add(s, ALWAYS, TERM_BOLD, "pptpd", "%s, %s", words_text(pptpd, "role"),
		    words_count(words_number(pptpd, "sessions"), "session", n));
	else
		screen_add(s, ALWAYS, TERM_BAD, "pptpd", "does not answer: %s", why_pptpd);
	add_problems(s, judgement);
	return s;
}
