/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The judgement. Its reasons are rows: the first that is true is the headline's.
 */
#include "hagent/safety.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hagent/words.h"

#define TEXT_MAX 320

static const char *const level_names[] = {"safe", "at-risk", "down"};

const char *
safety_level_name(enum safety_level l)
{
	return level_names[l];
}

enum safety_level
safety_level_of(const json_t *judgement)
{
	const char *name = words_text(judgement, "level");

	for (int i = SAFETY_SAFE; i < SAFETY_DOWN; i++) {
		if (strcmp(name, level_names[i]) == 0)
			return (enum safety_level)i;
	}
	return SAFETY_DOWN;
}

/* ---- who serves ---- */

struct view {
	const json_t *status, *peer, *pptpd, *replica, *split;
	const char *us, *them;
	bool we_serve, they_serve, fresh, known;
	long long sessions;
};

static bool
is(const json_t *o, const char *name, const char *value)
{
	return strcmp(words_text(o, name), value) == 0;
}

static void
look(struct view *v, const json_t *status)
{
	const json_t *vip = json_object_get(status, "vip");

	*v = (struct view){.status = status,
	    .peer = json_object_get(status, "peer"),
	    .pptpd = json_object_get(status, "pptpd"),
	    .replica = json_object_get(status, "replica"),
	    .split = json_object_get(status, "split"),
	    .us = words_text(status, "node")};
	v->known = *words_text(v->peer, "node") != '\0';
	v->them = v->known ? words_text(v->peer, "node") : "the peer";
	v->fresh = words_is(v->peer, "fresh");
	v->we_serve = is(v->pptpd, "role", "active") && words_is(v->pptpd, "answers") &&
		      words_is(vip, "wan_here");
	v->they_serve = v->fresh && is(v->peer, "role", "active") && !is(v->peer, "health", "hard");
	v->sessions =
	    v->we_serve ? words_number(v->pptpd, "sessions") : words_number(v->replica, "sessions");
}

/* The first problem of that severity, or of that code, in our own list. */
static const char *
problem_text(const struct view *v, const char *field, const char *value)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_object_get(v->status, "problems"), i, p)
	{
		if (is(p, field, value))
			return words_text(p, "text");
	}
	return NULL;
}

static bool
is_moving(const struct view *v)
{
	return json_is_object(json_object_get(v->status, "move")) ||
	       json_is_object(json_object_get(v->status, "prepared")) ||
	       words_is(v->status, "transition_running");
}

/* ---- why not safe ---- */

/* At most TEXT_MAX bytes. */
static void __attribute__((format(printf, 2, 3)))
put(char out[static TEXT_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, TEXT_MAX, fmt, ap);
	va_end(ap);
	for (char *c = out; *c; c++) /* JSON strings are UTF-8, and this may be cut */
		if ((signed char)*c < 0)
			*c = '?';
}

static const char *
worst(const struct view *v)
{
	const char *hard = problem_text(v, "severity", "hard");

	return hard ? hard : problem_text(v, "severity", "soft");
}

/* Nobody serves, as far as we know. */
static enum safety_level
judge_idle(const struct view *v, char out[static TEXT_MAX])
{
	const char *ours = worst(v);

	if (is_moving(v)) {
		put(out, "the sessions are on their way between %s and %s", v->us, v->them);
		return SAFETY_AT_RISK;
	}
	if (!ours)
		ours = problem_text(v, "code", "keepalived");
	if (!ours)
		ours = "it is not MASTER";
	if (!v->fresh)
		put(out, "%s does not serve (%s), and %s is silent", v->us, ours, v->them);
	else
		put(out, "neither serves: %s: %s; %s: %s", v->us, ours, v->them,
		    *words_text(v->peer, "problem") ? words_text(v->peer, "problem")
						    : words_text(v->peer, "role"));
	return SAFETY_DOWN;
}

/* We serve: why the peer could not go on. NULL = it could. */
static const char *
peer_lacks(const struct view *v, char out[static TEXT_MAX])
{
	const json_t *snapshot = json_object_get(v->replica, "snapshot");
	const char *state = words_text(v->replica, "state");

	if (!v->known)
		put(out, "no other gateway has been heard yet");
	else if (!v->fresh)
		put(out, "%s is silent: nobody could take over", v->them);
	else if (is(v->peer, "health", "hard") || is(v->peer, "health", "soft"))
		put(out, "%s is not well: %s", v->them, words_text(v->peer, "problem"));
	else if (json_is_false(json_object_get(v->peer, "ready")))
		put(out, "%s's keepalived is in FAULT", v->them);
	else if (json_is_false(json_object_get(v->peer, "keepalived")))
		put(out, "%s's keepalived does not run", v->them);
	else if (strcmp(state, "syncing") == 0)
		put(out, "%s is being sent its copy, %lld of %lld so far", v->them,
		    words_number(snapshot, "done"), words_number(snapshot, "of"));
	else if (strcmp(state, "in-sync") != 0)
		put(out, "%s holds no current copy", v->them);
	else if (problem_text(v, "code", "replica"))
		put(out, "%s", problem_text(v, "code", "replica"));
	else
		return NULL;
	return out;
}

/* We stand by: why we could not go on. */
static const char *
we_lack(const struct view *v, char out[static TEXT_MAX])
{
	const char *keepalived = problem_text(v, "code", "keepalived");

	if (worst(v))
		put(out, "%s is not well: %s", v->us, worst(v));
	else if (is(v->status, "keepalived_said", "FAULT"))
		put(out, "%s's keepalived is in FAULT", v->us);
	else if (keepalived)
		put(out, "%s: %s", v->us, keepalived);
	else if (!words_is(v->replica, "in_step") || words_is(v->replica, "stale"))
		put(out, "%s holds no current copy", v->us);
	else if (is(v->peer, "health", "soft"))
		put(out, "it is not well: %s", words_text(v->peer, "problem"));
	else
		return NULL;
	return out;
}

static enum safety_level
judge_serving(const struct view *v, char out[static TEXT_MAX])
{
	char why[TEXT_MAX], n[WORDS_COUNT], copy[64] = "";
	const char *server = v->we_serve ? v->us : v->them, *other = v->we_serve ? v->them : v->us;
	const char *lack = v->we_serve ? worst(v) : NULL;

	if (!lack)
		lack = v->we_serve ? peer_lacks(v, why) : we_lack(v, why);
	words_count(v->sessions, "session", n);
	if (!v->we_serve && json_is_integer(json_object_get(v->peer, "sessions")))
		words_count(words_number(v->peer, "sessions"), "session", n);
	if (lack) {
		put(out, "%s serves %s, but %s", server, n, lack);
		return SAFETY_AT_RISK;
	}
	if (v->we_serve && words_number(v->replica, "at_risk") > 0)
		snprintf(copy, sizeof(copy), " of all but %lld new ones",
		    words_number(v->replica, "at_risk"));
	put(out, "%s serves %s, %s holds a current copy%s", server, n, other, copy);
	return SAFETY_SAFE;
}

static enum safety_level
judge(const struct view *v, char out[static TEXT_MAX])
{
	if ((v->we_serve && v->they_serve && !is_moving(v)) || words_is(v->split, "open")) {
		put(out, "both gateways serve: they have lost each other, or are just meeting");
		return SAFETY_AT_RISK;
	}
	if (!v->we_serve && !v->they_serve)
		return judge_idle(v, out);
	return judge_serving(v, out);
}

/* ---- what is wrong ---- */

static void
add(json_t *list, const char *node, const char *severity, const char *code, const char *text,
    const char *advice)
{
	json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "node", node, "severity",
					severity, "code", code, "text", text, "advice", advice));
}

static void
add_own(json_t *list, const struct view *v)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_object_get(v->status, "problems"), i, p)
	    add(list, v->us, words_text(p, "severity"), words_text(p, "code"),
		words_text(p, "text"), words_text(p, "advice"));
}

static void
add_peers(json_t *list, const struct view *v)
{
	char text[TEXT_MAX], advice[80];

	if (!v->fresh || !*words_text(v->peer, "problem"))
		return;
	put(text, "%s says: %s", v->them, words_text(v->peer, "problem"));
	snprintf(advice, sizeof(advice), "hagent status on %s", v->them);
	add(list, v->them, words_text(v->peer, "health"), "peer", text, advice);
}

static void
add_files(json_t *list, const struct view *v)
{
	const json_t *set = json_object_get(v->status, "set"), *last = json_object_get(set, "last");
	long long conflicts = words_number(set, "conflicts");
	char text[TEXT_MAX];

	if (is(last, "result", "invalid"))
		add(list, v->us, "note", "files", words_text(last, "text"),
		    "mend the file; the old ones stay in force");
	if (json_array_size(json_object_get(set, "missing")) > 0)
		add(list, v->us, "note", "files-missing", "files of the set are missing",
		    "hagent sync status");
	if (conflicts > 0) {
		put(text, "%lld files lost against the peer's and are kept aside", conflicts);
		add(list, v->us, "note", "conflicts", text,
		    "merge what is in /var/lib/pptp-ha/conflict, and remove it there");
	}
}

static int
rank(const json_t *p)
{
	return is(p, "severity", "hard") ? 0 : is(p, "severity", "soft") ? 1 : 2;
}

/* A stable order: the lists are short. */
static json_t *
worst_first(json_t *list)
{
	json_t *sorted = json_array(), *p;
	size_t i;

	for (int r = 0; r <= 2; r++) {
		json_array_foreach(list, i, p)
		{
			if (rank(p) == r)
				json_array_append(sorted, p);
		}
	}
	json_decref(list);
	return sorted;
}

json_t *
safety_judge(const json_t *status)
{
	char headline[TEXT_MAX];
	json_t *list = json_array();
	enum safety_level level;
	struct view v;

	look(&v, status);
	level = judge(&v, headline);
	add_own(list, &v);
	add_peers(list, &v);
	add_files(list, &v);
	return json_pack("{s:s,s:s,s:o}", "level", safety_level_name(level), "headline", headline,
	    "problems", worst_first(list));
}

json_t *
safety_without_agent(const char *node, const json_t *pptpd)
{
	bool serves = is(pptpd, "role", "active");
	char headline[TEXT_MAX], n[WORDS_COUNT];
	json_t *list = json_array();

	add(list, node, "hard", "agent", "the agent does not answer: nothing moves with the role",
	    "systemctl restart hagent; it interrupts nothing");
	if (!pptpd)
		put(headline, "neither the agent nor pptpd of %s answers", node);
	else if (serves)
		put(headline, "%s serves %s, but its agent does not answer", node,
		    words_count(words_number(pptpd, "sessions"), "session", n));
	else
		put(headline, "%s stands by, but its agent does not answer", node);
	return json_pack("{s:s,s:s,s:o}", "level",
	    safety_level_name(pptpd ? SAFETY_AT_RISK : SAFETY_DOWN), "headline", headline,
	    "problems", list);
}
