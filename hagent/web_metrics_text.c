/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Families that no table describes: see web_metrics_text.h.
 */
#include "hagent/web_metrics_text.h"

#include <string.h>

#include "hagent/journal.h"

#define L(...) ((const struct metrics_label[]){__VA_ARGS__, {0}})

/* ---- the format ---- */

void
metrics_family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_value(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else
			fputc(*s, f);
	}
}

void
metrics_sample(FILE *f, const char *name, const struct metrics_label *labels, double value)
{
	fputs(name, f);
	for (const struct metrics_label *l = labels; l && l->name; l++) {
		fprintf(f, "%c%s=\"", l == labels ? '{' : ',', l->name);
		put_value(f, l->value);
		fputc('"', f);
	}
	fprintf(f, "%s %.15g\n", labels && labels->name ? "}" : "", value);
}

json_t *
metrics_at(const json_t *o, const char *path)
{
	char name[64];

	while (o) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		o = json_object_get(o, name);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	return (json_t *)(uintptr_t)o;
}

bool
metrics_number(const json_t *value, double *out)
{
	if (json_is_boolean(value))
		*out = json_is_true(value);
	else if (json_is_number(value))
		*out = json_number_value(value);
	return json_is_boolean(value) || json_is_number(value);
}

static double
number_at(const json_t *o, const char *path)
{
	double value = 0;

	metrics_number(metrics_at(o, path), &value);
	return value;
}

static const char *
text_at(const json_t *o, const char *path)
{
	const char *s = json_string_value(metrics_at(o, path));

	return s ? s : "";
}

static void
put_one(FILE *f, const char *name, const char *help, double value)
{
	metrics_family(f, name, "gauge", help);
	metrics_sample(f, name, NULL, value);
}

/* ---- the gateway ---- */

static void
put_gateway(FILE *f, const json_t *all)
{
	const json_t *s = metrics_at(all, "status");

	metrics_family(f, "pptp_ha_build_info", "gauge", "1, with the versions as labels.");
	metrics_sample(f, "pptp_ha_build_info",
	    L({"node", text_at(all, "web.node")}, {"version", text_at(all, "web.version")},
		{"pptpd", text_at(all, "pptpd.version")}),
	    1);
	put_one(f, "pptp_ha_agent_up", "The agent of this gateway answers.",
	    number_at(all, "web.agent_up"));
	if (metrics_at(all, "agent"))
		put_one(f, "pptp_ha_pptpd_up", "The daemon's engine answers the agent.",
		    json_is_object(metrics_at(all, "pptpd")));
	if (!s)
		return;
	put_one(f, "pptp_ha_fit", "This gateway may be MASTER, as far as its agent judges.",
	    strcmp(text_at(s, "verdict"), "fit") == 0);
	put_one(f, "pptp_ha_maintenance", "This gateway is in maintenance.",
	    json_is_number(metrics_at(s, "maintenance")));
	put_one(f, "pptp_ha_peer_maintenance", "The other gateway is in maintenance.",
	    json_is_true(metrics_at(s, "peer.maintenance")) ||
		json_is_number(metrics_at(s, "peer.maintenance")));
	put_one(f, "pptp_ha_link_running", "The process that connects the gateways runs.",
	    strcmp(text_at(s, "link"), "running") == 0);
	metrics_family(f, "pptp_ha_vip_held", "gauge", "The virtual address is on this gateway.");
	metrics_sample(f, "pptp_ha_vip_held", L({"network", "wan"}), number_at(s, "vip.wan_here"));
	metrics_sample(f, "pptp_ha_vip_held", L({"network", "lan"}), number_at(s, "vip.lan_here"));
	put_one(f, "pptp_ha_recent_engine_crashes",
	    "Crashes of either daemon's engine in the last hour.",
	    (double)json_array_size(metrics_at(s, "crashes")));
}

static void
put_paths(FILE *f, const json_t *all)
{
	json_t *paths = metrics_at(all, "status.peer.paths"), *path;
	const char *name;

	if (!paths)
		return;
	metrics_family(f, "pptp_ha_peer_path_up", "gauge", "The other gateway is heard this way.");
	json_object_foreach(paths, name, path)
	    metrics_sample(f, "pptp_ha_peer_path_up", L({"path", name}), number_at(path, "up"));
}

static void
put_problems(FILE *f, const json_t *all)
{
	json_t *problems = metrics_at(all, "status.problems"), *p;
	size_t i;

	if (json_array_size(problems) == 0)
		return;
	metrics_family(f, "pptp_ha_problem", "gauge", "1 for each thing that is wrong here now.");
	json_array_foreach(problems, i, p) metrics_sample(f, "pptp_ha_problem",
	    L({"code", text_at(p, "code")}, {"severity", text_at(p, "severity")}), 1);
}

/* A time of the agent's as seconds since 1970. */
static void
put_time(FILE *f, const char *name, const char *help, const char *time)
{
	int64_t ms = journal_unix_ms(time);

	if (ms >= 0)
		put_one(f, name, help, (double)ms / 1000);
}

/* ---- transitions ---- */

static void
put_transitions(FILE *f, const json_t *all)
{
	json_t *list = metrics_at(all, "agent.transitions"), *t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	metrics_family(f, "pptp_ha_transitions_total", "counter", "Changes of role.");
	json_array_foreach(list, i, t) metrics_sample(f, "pptp_ha_transitions_total",
	    L({"kind", text_at(t, "kind")}, {"result", text_at(t, "result")}), number_at(t, "n"));
	metrics_family(
	    f, "pptp_ha_transition_seconds_total", "counter", "How long they took in all.");
	json_array_foreach(list, i, t) metrics_sample(f, "pptp_ha_transition_seconds_total",
	    L({"kind", text_at(t, "kind")}, {"result", text_at(t, "result")}),
	    number_at(t, "ms") / 1000);
	metrics_family(
	    f, "pptp_ha_transition_last_seconds", "gauge", "How long the last one took.");
	json_array_foreach(list, i, t) metrics_sample(f, "pptp_ha_transition_last_seconds",
	    L({"kind", text_at(t, "kind")}, {"result", text_at(t, "result")}),
	    number_at(t, "last_ms") / 1000);
}

static void
put_steps(FILE *f, const json_t *all)
{
	json_t *list = metrics_at(all, "agent.steps"), *s, *n;
	const char *result;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	metrics_family(f, "pptp_ha_transition_steps_total", "counter",
	    "Steps of changes of role and of planned moves.");
	json_array_foreach(list, i, s)
	{
		json_object_foreach(json_object_get(s, "results"), result, n)
		    metrics_sample(f, "pptp_ha_transition_steps_total",
			L({"kind", text_at(s, "kind")}, {"step", text_at(s, "step")},
			    {"result", result}),
			json_number_value(n));
	}
	metrics_family(f, "pptp_ha_transition_step_seconds_total", "counter",
	    "How long these steps took in all.");
	json_array_foreach(list, i, s) metrics_sample(f, "pptp_ha_transition_step_seconds_total",
	    L({"kind", text_at(s, "kind")}, {"step", text_at(s, "step")}),
	    number_at(s, "ms") / 1000);
	metrics_family(f, "pptp_ha_transition_step_last_seconds", "gauge",
	    "How long each took the last time.");
	json_array_foreach(list, i, s) metrics_sample(f, "pptp_ha_transition_step_last_seconds",
	    L({"kind", text_at(s, "kind")}, {"step", text_at(s, "step")}),
	    number_at(s, "last_ms") / 1000);
}

/* ---- processes ---- */

static void
put_processes(FILE *f, const json_t *all)
{
	static const struct {
		const char *name, *type, *key, *help;
		double scale;
	} rows[] = {
	    {"pptp_ha_process_open_fds", "gauge", "open_fds", "Descriptors that it has open.", 1},
	    {"pptp_ha_process_max_fds", "gauge", "max_fds", "Descriptors that it may have open.",
		1},
	    {"pptp_ha_process_resident_memory_bytes", "gauge", "rss_bytes", "Its memory.", 1},
	    {"pptp_ha_process_cpu_seconds_total", "counter", "cpu_ms",
		"Its processor time, user and system.", 1e-3},
	    {"pptp_ha_process_threads", "gauge", "threads", "Its threads.", 1},
	};
	json_t *list = metrics_at(all, "agent.processes"), *p;
	size_t k;

	for (size_t i = 0; json_array_size(list) > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		metrics_family(f, rows[i].name, rows[i].type, rows[i].help);
		json_array_foreach(list, k, p) metrics_sample(f, rows[i].name,
		    L({"process", text_at(p, "name")}), number_at(p, rows[i].key) * rows[i].scale);
	}
}

/* ---- set-ups ---- */

static void
put_setups(FILE *f, const json_t *all)
{
	json_t *limits = metrics_at(all, "pptpd.totals.setup.le_ms");
	json_t *counts = metrics_at(all, "pptpd.totals.setup.count");
	size_t n = json_array_size(limits);
	double sum = 0;
	char le[32];

	if (n == 0 || json_array_size(counts) != n + 1)
		return;
	metrics_family(f, "pptp_ha_session_setup_seconds", "histogram",
	    "From a client's call to its address.");
	for (size_t i = 0; i <= n; i++) {
		sum += json_number_value(json_array_get(counts, i));
		if (i < n)
			snprintf(le, sizeof(le), "%g",
			    json_number_value(json_array_get(limits, i)) / 1000);
		metrics_sample(
		    f, "pptp_ha_session_setup_seconds_bucket", L({"le", i < n ? le : "+Inf"}), sum);
	}
	metrics_sample(f, "pptp_ha_session_setup_seconds_sum", NULL,
	    number_at(all, "pptpd.totals.setup.sum_ms") / 1000);
	metrics_sample(f, "pptp_ha_session_setup_seconds_count", NULL, sum);
}

/* ---- probes and drills ---- */

static void
put_probes(FILE *f, const json_t *all)
{
	json_t *list = metrics_at(all, "status.probes"), *p;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	metrics_family(f, "pptp_ha_probe_ok", "gauge",
	    "The last probe of this API through a tunnel was good.");
	json_array_foreach(list, i, p) metrics_sample(
	    f, "pptp_ha_probe_ok", L({"api", text_at(p, "api")}), number_at(p, "ok"));
	metrics_family(f, "pptp_ha_probe_duration_seconds", "gauge", "How long it took.");
	json_array_foreach(list, i, p) metrics_sample(f, "pptp_ha_probe_duration_seconds",
	    L({"api", text_at(p, "api")}), number_at(p, "total_ms") / 1000);
	metrics_family(f, "pptp_ha_probe_timestamp_seconds", "gauge", "When it was, since 1970.");
	json_array_foreach(list, i, p) metrics_sample(f, "pptp_ha_probe_timestamp_seconds",
	    L({"api", text_at(p, "api")}), (double)journal_unix_ms(text_at(p, "at")) / 1000);
}

/* The newest of its kind: the list has the newest first. */
static bool
is_newest(const json_t *list, size_t at)
{
	const char *kind = text_at(json_array_get(list, at), "kind");

	for (size_t i = 0; i < at; i++) {
		if (strcmp(text_at(json_array_get(list, i), "kind"), kind) == 0)
			return false;
	}
	return *kind != '\0';
}

static double
drill_passed(const json_t *d)
{
	return strcmp(text_at(d, "verdict"), "passed") == 0;
}

static double
drill_time(const json_t *d)
{
	return (double)journal_unix_ms(text_at(d, "at")) / 1000;
}

static double
drill_lost(const json_t *d)
{
	return number_at(d, "sessions.lost");
}

static double
drill_redialled(const json_t *d)
{
	return number_at(d, "sessions.redialled");
}

static double
drill_gap(const json_t *d)
{
	return number_at(d, "gap_ms.max") / 1000;
}

static void
put_drills(FILE *f, const json_t *all)
{
	static const struct {
		const char *name, *help;
		double (*value)(const json_t *d);
	} rows[] = {
	    {"pptp_ha_drill_passed", "The last drill of this kind was passed.", drill_passed},
	    {"pptp_ha_drill_timestamp_seconds", "When it was, since 1970.", drill_time},
	    {"pptp_ha_drill_sessions_lost", "Sessions that it cost.", drill_lost},
	    {"pptp_ha_drill_sessions_redialled", "Sessions that had to redial.", drill_redialled},
	    {"pptp_ha_drill_gap_max_seconds", "The longest gap of a session.", drill_gap},
	};
	json_t *list = metrics_at(all, "drills.drills");
	size_t n = json_array_size(list);

	if (metrics_at(all, "drills"))
		put_one(f, "pptp_ha_drill_running", "A drill is under way.",
		    json_is_object(metrics_at(all, "drills.running")));
	for (size_t i = 0; n > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		metrics_family(f, rows[i].name, "gauge", rows[i].help);
		for (size_t k = 0; k < n; k++) {
			const json_t *d = json_array_get(list, k);

			if (is_newest(list, k))
				metrics_sample(f, rows[i].name, L({"kind", text_at(d, "kind")}),
				    rows[i].value(d));
		}
	}
}

void
metrics_special(FILE *f, const json_t *all)
{
	put_gateway(f, all);
	put_problems(f, all);
	put_paths(f, all);
	put_time(f, "pptp_ha_file_sync_timestamp_seconds",
	    "When the pair's files were last seen to be alike, since 1970.",
	    text_at(all, "status.files.in_step_at"));
	put_setups(f, all);
	put_transitions(f, all);
	put_steps(f, all);
	put_processes(f, all);
	put_probes(f, all);
	put_drills(f, all);
}
