/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status page: its parts, put into web/page.html.
 */
#include "hagent/web_page.h"

#include <stdlib.h>
#include <string.h>

#include "common/template.h"
#include "hagent/safety.h"
#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

/* ---- small parts ---- */

static void
put_title(FILE *f, const struct web_parts *p)
{
	static const char *const words[] = {"Safe", "At risk", "DOWN"};

	fputs(p->safety && !p->view->trouble ? words[safety_level_of(p->safety)] : "Unknown", f);
	fputs(" \u2013 ", f);
	html_member(f, json_object_get(p->view->status, "pair"), "name", "pptp-ha");
	fputs(" seen from ", f);
	html_member(f, p->view->status, "node", "this gateway");
}

static void
put_name(FILE *f, const struct web_parts *p)
{
	const json_t *pair = json_object_get(p->view->status, "pair");

	if (*words_text(pair, "name")) {
		fputs("Pair <strong>", f);
		html_member(f, pair, "name", "");
		fputs("</strong>, ", f);
	}
	fputs("seen from <strong>", f);
	html_member(f, p->view->status, "node", "this gateway");
	fputs("</strong>", f);
}

/* Without JavaScript: when this was so. page.js writes how long ago instead. */
static void
put_fresh(FILE *f, const struct web_parts *p)
{
	const char *now = words_text(p->view->status, "now");

	if (!*now)
		return;
	fputs("as of ", f);
	html_time(f, now);
}

static void
put_foot(FILE *f, const struct web_parts *p)
{
	fputs("<p>pptp-ha ", f);
	html_member(f, p->view->status, "version", PHA_VERSION);
	fputs(" \u00b7 <a href=\"/metrics\">metrics</a> \u00b7 <a href=\"/api/status\">status as "
	      "JSON</a> \u00b7 <a href=\"/api/journal\">journal as JSON</a></p>\n"
	      "<p>This page only looks; <code>hagent</code> acts.</p>\n",
	    f);
}

static void
put_query(FILE *f, const struct web_parts *p)
{
	html_put(f, p->view->q);
}

static void
put_sort(FILE *f, const struct web_parts *p)
{
	html_put(f, p->view->sort ? p->view->sort : "user");
}

static void
put_order(FILE *f, const struct web_parts *p)
{
	html_put(f, p->view->order ? p->view->order : "asc");
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	void (*put)(FILE *f, const struct web_parts *p);
} parts[] = {
    {"TITLE", put_title},
    {"NAME", put_name},
    {"FRESH", put_fresh},
    {"VERDICT", web_verdict_put},
    {"PICTURE", web_picture_put},
    {"PROBLEMS", web_problems_put},
    {"FACTS", web_facts_put},
    {"TRAFFIC", web_traffic_put},
    {"DRILLS", web_drills_put},
    {"QUERY", put_query},
    {"SORT", put_sort},
    {"ORDER", put_order},
    {"SESSIONS", web_sessions_put},
    {"FOOT", put_foot},
};

#define N_PARTS (sizeof(parts) / sizeof(*parts))

/* One part as text of its own, or NULL. */
static char *
render(const struct web_parts *p, size_t i)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return NULL;
	parts[i].put(f, p);
	failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

char *
web_page_html(const struct web_view *v)
{
	struct web_parts p = {.view = v};
	struct template_var vars[N_PARTS];
	char *texts[N_PARTS] = {0}, *page = NULL;
	bool whole = true;

	if (v->status)
		p.safety = safety_judge(v->status);
	for (size_t i = 0; i < N_PARTS && whole; i++) {
		texts[i] = render(&p, i);
		vars[i] = (struct template_var){parts[i].name, texts[i]};
		whole = texts[i] != NULL;
	}
	if (whole)
		page = template_expand(web_page_template, vars, N_PARTS, NULL);
	for (size_t i = 0; i < N_PARTS; i++)
		free(texts[i]);
	json_decref(p.safety);
	return page;
}
