/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status page in words: "are we safe?", what is wrong with what to do, and both gateways side
 * by side, which says what the picture shows to who cannot see it.
 */
#include <string.h>

#include "hagent/safety.h"
#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

/* ---- are we safe? ---- */

void
web_verdict_put(FILE *f, const struct web_parts *p)
{
	static const char *const marks[] = {"\u2713", "!", "\u2717"};
	static const char *const titles[] = {"Safe", "At risk", "Down"};
	static const char *const classes[] = {"ok", "note", "bad"};
	enum safety_level level = safety_level_of(p->safety);
	bool known = p->safety && !p->view->trouble;

	fprintf(f,
	    "<div class=\"verdict %s\">\n<span class=\"mark\" aria-hidden=\"true\">%s</span>\n",
	    known ? classes[level] : "bad", known ? marks[level] : "?");
	fprintf(f, "<div>\n<h1>%s</h1>\n<p>", known ? titles[level] : "Unknown");
	if (p->view->trouble) {
		html_put(f, p->view->trouble);
		fputs(p->safety ? ". What was last known: " : ".", f);
	}
	html_member(f, p->safety, "headline", "");
	fputs("</p>\n</div>\n</div>\n", f);
}

/* ---- what is wrong ---- */

static void
put_problem(FILE *f, const json_t *o)
{
	const char *severity = words_text(o, "severity");
	bool hard = strcmp(severity, "hard") == 0, soft = strcmp(severity, "soft") == 0;

	fprintf(f, "<li class=\"%s\">\n<p><strong>%s</strong>", hard ? "bad" : "note",
	    hard   ? "\u2717 Serious"
	    : soft ? "! Fault"
		   : "! Note");
	if (strcmp(words_text(o, "code"), "peer") != 0) { /* that text begins with the name */
		fputs(" on ", f);
		html_member(f, o, "node", "this gateway");
	}
	fputs(": ", f);
	html_member(f, o, "text", "");
	fputs("</p>\n", f);
	if (*words_text(o, "advice")) {
		fputs("<p class=\"advice\"><span>What to do:</span> ", f);
		html_member(f, o, "advice", "");
		fputs("</p>\n", f);
	}
	fputs("</li>\n", f);
}

/* What is no fault, but explains what one sees. */
static void
put_holds(FILE *f, const struct web_view *v)
{
	const json_t *s = v->status, *peer = json_object_get(s, "peer");
	const char *why = words_text(json_object_get(s, "flap"), "why");

	if (*why) {
		fputs("<li class=\"plain\"><p>", f);
		html_member(f, s, "node", "");
		fputs(": ", f);
		html_put(f, why);
		fputs("</p></li>\n", f);
	}
	if (*words_text(peer, "hold") && words_is(peer, "fresh")) {
		fputs("<li class=\"plain\"><p>", f);
		html_member(f, peer, "node", "");
		fputs(": ", f);
		html_member(f, peer, "hold", "");
		fputs("</p></li>\n", f);
	}
}

/* At risk without a fault: what it waits for. */
static void
put_wait(FILE *f, const struct web_parts *p)
{
	const json_t *s = p->view->status, *peer = json_object_get(s, "peer");
	const char *state = words_text(json_object_get(s, "replica"), "state");
	const char *advice = "run hagent doctor on both gateways";

	if (strcmp(state, "syncing") == 0)
		advice = "nothing; it ends by itself when the copy is whole";
	else if (!words_is(peer, "fresh"))
		advice = "start the other gateway, or see why it cannot be heard";
	else if (words_is(peer, "maintenance"))
		advice = "hagent maintenance off there, when the work is done";
	fputs("<li class=\"note\"><p><strong>! At risk</strong>: ", f);
	html_member(f, p->safety, "headline", "");
	fprintf(f, "</p><p class=\"advice\"><span>What to do:</span> %s</p></li>\n", advice);
}

/* No agent answers: what is known is old. */
static void
put_silence(FILE *f)
{
	fputs(
	    "<li class=\"bad\"><p><strong>\u2717 Serious</strong>: the agent of this gateway does "
	    "not "
	    "answer: nothing moves with the role.</p><p class=\"advice\"><span>What to do:</span> "
	    "systemctl restart hagent; it interrupts nothing</p></li>\n",
	    f);
}

void
web_problems_put(FILE *f, const struct web_parts *p)
{
	const json_t *list = json_object_get(p->safety, "problems"), *o;
	bool safe = safety_level_of(p->safety) == SAFETY_SAFE;
	size_t i;

	if (json_array_size(list) == 0 && safe && !p->view->trouble)
		fputs("<p class=\"fine\">\u2713 Nothing is wrong.</p>\n", f);
	fputs("<ul class=\"problems\">\n", f);
	if (p->view->trouble)
		put_silence(f);
	else if (json_array_size(list) == 0 && !safe)
		put_wait(f, p);
	json_array_foreach(list, i, o) put_problem(f, o);
	put_holds(f, p->view);
	fputs("</ul>\n", f);
}

/* ---- side by side ---- */

static void
put_row(FILE *f, const char *what, const char *left, const char *right)
{
	fprintf(f, "<tr><th scope=\"row\">%s</th><td>", what);
	html_put(f, *left ? left : "\u2013");
	fputs("</td><td>", f);
	html_put(f, *right ? right : "\u2013");
	fputs("</td></tr>\n", f);
}

static void
put_numbers(FILE *f, const char *what, const struct web_gateway g[2])
{
	fprintf(f, "<tr><th scope=\"row\">%s</th>", what);
	for (int i = 0; i < 2; i++) {
		fputs("<td>", f);
		if (g[i].known)
			html_count(f, g[i].epoch);
		else
			fputs("\u2013", f);
		fputs("</td>", f);
	}
	fputs("</tr>\n", f);
}

static const char *
role_text(const struct web_gateway *g)
{
	if (!g->known)
		return "never heard";
	if (g->lost)
		return "unknown";
	if (g->silent)
		return "silent";
	return g->role;
}

/* A severity is a word of the programs; this is what it means to people. */
static const char *
health_text(const struct web_gateway *g)
{
	static const char *const words[][2] = {{"fine", "well"}, {"note", "well, with a note"},
	    {"soft", "not well"}, {"hard", "must not serve"}};

	if ((g->silent || g->lost) && g->known)
		return "unknown";
	for (size_t i = 0; g->known && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i][0], g->health) == 0)
			return words[i][1];
	}
	return "";
}

/* What only the gateway of this page can tell: one value over both columns. */
static void
put_wide(FILE *f, const char *what)
{
	fprintf(f, "<tr><th scope=\"row\">%s</th><td colspan=\"2\">", what);
}

static void
end_wide(FILE *f)
{
	fputs("</td></tr>\n", f);
}

/* Those that do not run, first and each in words; then those that do. */
static void
put_programs(FILE *f, const json_t *s)
{
	static const char *const rows[][2] = {{"keepalived", "keepalived"},
	    {"conntrackd", "conntrackd"}, {"sshd", "pair sshd"}, {"link", "link"}};
	const json_t *pptpd = json_object_get(s, "pptpd");
	bool answers = words_is(pptpd, "answers");
	const char *comma = "";

	put_wide(f, "programs here");
	if (!answers)
		fputs("<span class=\"bad\">\u2717 pptpd does not answer</span>; ", f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(words_text(s, rows[i][0]), "running") == 0)
			continue;
		fprintf(f, "<span class=\"bad\">\u2717 %s ", rows[i][1]);
		html_member(f, s, rows[i][0], "unknown");
		fputs("</span>; ", f);
	}
	fputs("<span class=\"ok\">\u2713 running:</span> ", f);
	if (answers) {
		fputs("pptpd", f);
		comma = ", ";
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(words_text(s, rows[i][0]), "running") != 0)
			continue;
		fprintf(f, "%s%s", comma, rows[i][1]);
		comma = ", ";
	}
	end_wide(f);
}

static void
put_copy(FILE *f, const struct web_view *v)
{
	const json_t *r = json_object_get(v->status, "replica");
	struct web_copy c;

	web_copy_state(v, &c);
	put_wide(f, "copy of the sessions");
	fprintf(f, "<span class=\"%s\">%s</span>", c.class, c.text);
	if (strcmp(c.class, "off") == 0) {
		end_wide(f);
		return;
	}
	if (strcmp(words_text(r, "state"), "in-sync") == 0 ||
	    strcmp(words_text(r, "state"), "syncing") == 0) {
		fputs(", ", f);
		html_count(f, words_number(r, "at_risk"));
		fputs(" of ", f);
		html_count(f, words_number(r, "sessions"));
		fputs(" sessions at risk", f);
	}
	if (strcmp(c.class, "bad") != 0) {
		fputs(", lag ", f);
		html_span(f, (double)words_number(r, "lag_ms"));
	}
	end_wide(f);
}

static void
put_files(FILE *f, const json_t *s)
{
	const json_t *set = json_object_get(s, "set");
	long long age_s = words_number(json_object_get(set, "peer"), "age_s");
	char age[WORDS_SPAN];

	if (!json_is_object(json_object_get(set, "peer")))
		return;
	put_wide(f, "files");
	if (age_s < 0)
		fputs("not in step: the other one has acknowledged none yet", f);
	else
		fprintf(f, "%s, as of %s ago", words_is(set, "in_step") ? "in step" : "not in step",
		    words_span(age_s, age));
	end_wide(f);
}

static void
put_deep(FILE *f, const json_t *s)
{
	const json_t *deep = json_object_get(s, "deep");

	if (!json_is_object(deep))
		return;
	put_wide(f, "tunnel check");
	if (words_is(deep, "ok")) {
		fputs("<span class=\"ok\">works</span>", f);
		if (json_is_number(json_object_get(deep, "rtt_ms")))
			fprintf(f, ", %.1f\u00a0ms there and back",
			    json_number_value(json_object_get(deep, "rtt_ms")));
	} else {
		fputs("<span class=\"bad\">fails</span> ", f);
		html_member(f, deep, "text", "");
	}
	end_wide(f);
}

static void
put_last(FILE *f, const json_t *s)
{
	const json_t *t = json_object_get(s, "last_transition"),
		     *m = json_object_get(s, "last_move");

	put_wide(f, "last transition");
	if (words_is(s, "transition_running"))
		fputs("one is under way; before it: ", f);
	if (!json_is_object(t)) {
		fputs("none yet", f);
	} else {
		html_member(f, t, "transition", "");
		fputs(" ", f);
		html_member(f, t, "result", "");
		fputs(" in ", f);
		html_span(f, (double)words_number(t, "ms"));
		fputs(", ", f);
		html_time(f, words_text(t, "begun"));
	}
	end_wide(f);
	if (!json_is_object(m))
		return;
	put_wide(f, "last planned move");
	fputs("to ", f);
	html_member(f, m, "to", "");
	fputs(": ", f);
	html_member(f, m, "result", "");
	fputs(" in ", f);
	html_span(f, (double)words_number(m, "ms"));
	fputs(", ", f);
	html_time(f, words_text(m, "begun"));
	end_wide(f);
}

void
web_facts_put(FILE *f, const struct web_parts *p)
{
	const json_t *s = p->view->status;
	struct web_gateway g[2];

	if (!s)
		return;
	web_gateways(p->view, g);
	if (p->view->trouble)
		fputs("<p class=\"stale\">This is what was last known.</p>\n", f);
	fputs("<table class=\"facts\">\n<thead><tr><td></td><th scope=\"col\">", f);
	html_put(f, g[0].name);
	fputs("</th><th scope=\"col\">", f);
	html_put(f, g[1].name);
	fputs("</th></tr></thead>\n<tbody>\n", f);
	put_row(f, "role", role_text(&g[0]), role_text(&g[1]));
	put_row(f, "health", health_text(&g[0]), health_text(&g[1]));
	put_row(f, "maintenance", g[0].maintenance ? "on" : "off", g[1].maintenance ? "on" : "off");
	put_numbers(f, "epoch", g);
	put_row(f, "version", g[0].version, g[1].version);
	put_copy(f, p->view);
	put_deep(f, s);
	put_programs(f, s);
	put_files(f, s);
	put_last(f, s);
	fputs("</tbody>\n</table>\n", f);
}
