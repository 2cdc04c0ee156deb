/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of addresses: what each needs to be known, and how it answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/drill_html.h"
#include "hagent/safety.h"
#include "hagent/web.h"
#include "hagent/web_list.h"
#include "hagent/web_metrics.h"
#include "hagent/web_page.h"
#include "hagent/web_query.h"

#define LIST_DEFAULT 100 /* sessions in an answer, */
#define PAGE_DEFAULT 50  /* and on the page */

struct route;

/* A request on its way to its answer. */
struct visit {
	struct web *web;
	struct web_request *request;
	const struct route *route;
	struct web_query query;
	char name[WEB_NAME_MAX + 1]; /* of the drill in the path, "" = none */
	bool as_page;                /* its report is wanted for people */
};

struct route {
	const char *path;
	bool named;     /* a drill's name follows */
	unsigned needs; /* WEB_NEED()s */
	void (*run)(struct visit *v);
};

/* ---- answers ---- */

/* Steals o. */
static void
reply_json(struct visit *v, int status, json_t *o)
{
	web_reply(v->request, status, WEB_JSON,
	    o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL);
	json_decref(o);
}

static void
reply_copy(struct visit *v, enum web_type type, const char *text)
{
	web_reply(v->request, 200, type, strdup(text));
}

/* A source that has no answer, not even an old one. */
static void
reply_trouble(struct visit *v, enum web_source s)
{
	const char *trouble = web_data_trouble(v->web->data, s);

	web_reply_error(v->request, 503, "silent", "%s",
	    trouble ? log_quote(trouble, strlen(trouble)) : "there is no answer yet");
}

static json_int_t
age_of(const struct visit *v, enum web_source s)
{
	uint64_t age_ms = web_data_age_ms(v->web->data, s);

	return age_ms == UINT64_MAX ? -1 : (json_int_t)age_ms;
}

/* Fresh enough to stand for now. */
static bool
is_current(const struct visit *v, enum web_source s)
{
	return !web_data_trouble(v->web->data, s) && web_data_get(v->web->data, s);
}

/* ---- what is told ---- */

/* What the agent says, and who read it when. New reference; NULL = it never said anything. */
static json_t *
status_json(const struct visit *v)
{
	json_t *o = json_copy((json_t *)(uintptr_t)web_data_get(v->web->data, WEB_STATUS));

	if (o) {
		json_object_set_new(o, "safety", safety_judge(o));
		json_object_set_new(o, "web",
		    json_pack("{s:s,s:s,s:I}", "version", PHA_VERSION, "node", v->web->node,
			"read_ms_ago", age_of(v, WEB_STATUS)));
	}
	return o;
}

static json_t *
sessions_json(const struct visit *v, unsigned limit)
{
	const json_t *all = web_data_get(v->web->data, WEB_SESSIONS);
	json_t *o = all ? web_list_page(all, &v->query, limit) : NULL;

	if (o) {
		json_object_set_new(o, "read_ms_ago", json_integer(age_of(v, WEB_SESSIONS)));
		json_object_set_new(o, "complete", json_boolean(is_current(v, WEB_SESSIONS)));
	}
	return o;
}

static void
run_health(struct visit *v)
{
	bool lives = web_data_lives(v->web->data);

	web_reply(v->request, lives ? 200 : 503, WEB_TEXT,
	    strdup(lives ? "ok\n" : "the agent is silent\n"));
}

static void
run_status(struct visit *v)
{
	const char *trouble = web_data_trouble(v->web->data, WEB_STATUS);
	json_t *status = status_json(v);

	if (status && !trouble)
		reply_json(v, 200, status);
	else
		reply_json(v, 503,
		    json_pack("{s:s,s:s,s:s,s:I,s:o}", "agent", "silent", "error",
			trouble ? trouble : "there is no answer yet", "node", v->web->node,
			"read_ms_ago", age_of(v, WEB_STATUS), "status",
			status ? status : json_null()));
}

static void
run_sessions(struct visit *v)
{
	json_t *o = sessions_json(v, LIST_DEFAULT);

	if (o)
		reply_json(v, 200, o);
	else
		reply_trouble(v, WEB_SESSIONS);
}

static void
run_history(struct visit *v)
{
	reply_json(v, 200, web_data_history(v->web->data));
}

static void
reply_source(struct visit *v, enum web_source s)
{
	const json_t *o = web_data_get(v->web->data, s);

	if (o && is_current(v, s))
		web_reply(
		    v->request, 200, WEB_JSON, json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER));
	else
		reply_trouble(v, s);
}

static void
run_journal(struct visit *v)
{
	reply_source(v, WEB_JOURNAL);
}

static void
run_drills(struct visit *v)
{
	reply_source(v, WEB_DRILLS);
}

static void
run_page(struct visit *v)
{
	const char *trouble = web_data_trouble(v->web->data, WEB_STATUS);
	json_t *status = status_json(v), *sessions = sessions_json(v, PAGE_DEFAULT);
	json_t *history = web_data_history(v->web->data);
	const struct web_view view = {
	    .status = status,
	    .sessions = sessions,
	    .history = history,
	    .drills = web_data_get(v->web->data, WEB_DRILLS),
	    .trouble = trouble  ? trouble
		       : status ? NULL
				: "there is no answer yet",
	    .q = v->query.q,
	    .sort = web_sort_name(v->query.sort),
	    .order = v->query.descending ? "desc" : "asc",
	    .after = v->query.after,
	    .limit = v->query.limit,
	};

	web_reply(v->request, 200, WEB_PAGE, web_page_html(&view));
	json_decref(status);
	json_decref(sessions);
	json_decref(history);
}

static void
run_metrics(struct visit *v)
{
	const struct web_data *d = v->web->data;
	json_t *all = json_object();
	const json_t *status = is_current(v, WEB_STATUS) ? web_data_get(d, WEB_STATUS) : NULL;
	const json_t *counters = is_current(v, WEB_COUNTERS) ? web_data_get(d, WEB_COUNTERS) : NULL;
	const json_t *drills = is_current(v, WEB_DRILLS) ? web_data_get(d, WEB_DRILLS) : NULL;

	json_object_set_new(all, "web", web_self_json(v->web));
	json_object_set(all, "status", (json_t *)(uintptr_t)status);
	json_object_set(all, "pptpd", json_object_get(counters, "pptpd"));
	json_object_set(all, "agent", json_object_get(counters, "agent"));
	json_object_set(all, "drills", (json_t *)(uintptr_t)drills);
	if (status)
		json_object_set_new(all, "safety", safety_judge(status));
	web_reply(v->request, 200, WEB_METRICS, web_metrics_text(all));
	json_decref(all);
}

static void
run_style(struct visit *v)
{
	reply_copy(v, WEB_STYLE, web_style_css);
}

static void
run_script(struct visit *v)
{
	reply_copy(v, WEB_SCRIPT, web_page_js);
}

static void
run_icon(struct visit *v)
{
	reply_copy(v, WEB_IMAGE, web_icon_svg);
}

/* ---- one drill: it is not kept, so the visit lasts until the agent has answered ---- */

static struct visit *
keep(const struct visit *v)
{
	struct visit *kept = malloc(sizeof(*kept));

	if (kept)
		*kept = *v;
	return kept;
}

/* Steals report. The trend in it is that of the drills of its kind. */
static void
reply_report(struct visit *v, json_t *report)
{
	const json_t *past = json_object_get(web_data_get(v->web->data, WEB_DRILLS), "drills");

	web_reply(v->request, 200, WEB_REPORT, drill_report_html(report, past));
	json_decref(report);
}

static void
drill_done(void *arg, const json_t *report)
{
	struct visit *v = arg;
	json_t *copy = json_incref((json_t *)(uintptr_t)report);

	if (copy && v->as_page)
		reply_report(v, copy);
	else if (copy)
		reply_json(v, 200, copy);
	else if (errno == ENOENT)
		web_reply_error(v->request, 404, "not-found", "no drill \"%s\"", v->name);
	else
		web_reply_error(v->request, 503, "silent", "the agent does not tell");
	free(v);
}

static void
run_drill(struct visit *v)
{
	struct visit *kept = keep(v);

	if (kept && web_data_drill(v->web->data, v->name, drill_done, kept))
		return;
	free(kept);
	web_reply_error(v->request, 503, "busy", "too many ask for drills");
}

static void
run_report(struct visit *v)
{
	v->as_page = true;
	run_drill(v);
}

/* ---- the table ---- */

static const struct route routes[] = {
    {"/", false, WEB_NEED(WEB_STATUS) | WEB_NEED(WEB_SESSIONS) | WEB_NEED(WEB_DRILLS), run_page},
    {"/healthz", false, 0, run_health},
    {"/metrics", false, WEB_NEED(WEB_STATUS) | WEB_NEED(WEB_COUNTERS) | WEB_NEED(WEB_DRILLS),
	run_metrics},
    {"/style.css", false, 0, run_style},
    {"/page.js", false, 0, run_script},
    {"/icon.svg", false, 0, run_icon},
    {"/api/status", false, WEB_NEED(WEB_STATUS), run_status},
    {"/api/sessions", false, WEB_NEED(WEB_SESSIONS), run_sessions},
    {"/api/history", false, 0, run_history},
    {"/api/journal", false, WEB_NEED(WEB_JOURNAL), run_journal},
    {"/api/drills", false, WEB_NEED(WEB_DRILLS), run_drills},
    {"/api/drills/", true, 0, run_drill},
    {"/drills/", true, WEB_NEED(WEB_DRILLS), run_report},
};

static const struct route *
find_route(const char *path, char name[static WEB_NAME_MAX + 1])
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const char *found = routes[i].named ? web_query_name(path, routes[i].path) : NULL;

		if (found)
			memcpy(name, found, strlen(found) + 1);
		if (found || (!routes[i].named && strcmp(path, routes[i].path) == 0))
			return &routes[i];
	}
	return NULL;
}

static void
visit_ready(void *arg)
{
	struct visit *v = arg;

	v->route->run(v);
	free(v);
}

void
web_route(void *arg, struct web_request *r)
{
	struct visit v = {.web = arg, .request = r}, *kept;
	const char *path = web_request_path(r);
	char said[WEB_SAID_MAX];

	v.route = find_route(path, v.name);
	if (!v.route) {
		web_reply_error(
		    r, 404, "not-found", "no page \"%s\"", log_quote(path, strlen(path)));
		return;
	}
	if (web_query_parse(web_request_query(r), &v.query, said) < 0) {
		web_reply_error(r, 400, "bad-query", "%s", said);
		return;
	}
	kept = keep(&v);
	if (kept && web_data_want(v.web->data, v.route->needs, visit_ready, kept))
		return;
	free(kept);
	web_reply_error(r, 503, "busy", "too many wait for an answer");
}
