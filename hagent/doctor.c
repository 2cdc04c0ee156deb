/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The examination: gather what checks share, run every check of the table in a child of its own,
 * put the answers together.
 */
#include "hagent/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/answer.h"
#include "hagent/child.h"
#include "hagent/dial.h"
#include "hagent/net.h"

#define STATUS_MS 1000
#define PATH_MS   2500
#define HELLO_MS  1000
#define RULES_MS  8000

#define DOCTOR_ROW(theme, name, looks, bare) {#theme, #name, looks, doctor_##theme##_##name, bare},
const struct doctor_check doctor_checks[] = {DOCTOR_CHECKS(DOCTOR_ROW)};
const size_t doctor_n_checks = sizeof(doctor_checks) / sizeof(doctor_checks[0]);
#define N_CHECKS (sizeof(doctor_checks) / sizeof(doctor_checks[0]))

static const char *const verdict_names[DOCTOR_N_VERDICTS] = {"ok", "warning", "problem", "unknown"};

const char *
doctor_verdict_name(enum doctor_verdict v)
{
	return verdict_names[v];
}

bool
doctor_is_theme(const char *name)
{
	for (size_t i = 0; i < N_CHECKS; i++) {
		if (strcmp(doctor_checks[i].theme, name) == 0)
			return true;
	}
	return false;
}

/* ---- what was seen, and the remedy ---- */

/* Appends, with `between` first if there is something already; cuts what does not fit. */
static void
append(char *to, size_t size, const char *between, const char *fmt, va_list ap)
{
	size_t n = strlen(to);

	if (n > 0 && n < size)
		n += (size_t)snprintf(to + n, size - n, "%s", between);
	if (n < size)
		vsnprintf(to + n, size - n, fmt, ap);
}

void
doctor_say(struct doctor_answer *a, enum doctor_verdict v, const char *fmt, ...)
{
	va_list ap;

	a->verdict = v;
	a->seen[0] = '\0';
	va_start(ap, fmt);
	append(a->seen, sizeof(a->seen), "", fmt, ap);
	va_end(ap);
}

void
doctor_also(struct doctor_answer *a, enum doctor_verdict v, const char *fmt, ...)
{
	static const int rank[DOCTOR_N_VERDICTS] = {
	    [DOCTOR_OK] = 0, [DOCTOR_UNKNOWN] = 1, [DOCTOR_WARNING] = 2, [DOCTOR_PROBLEM] = 3};
	va_list ap;

	if (rank[v] > rank[a->verdict])
		a->verdict = v;
	va_start(ap, fmt);
	append(a->seen, sizeof(a->seen), "; ", fmt, ap);
	va_end(ap);
}

void
doctor_mend(struct doctor_answer *a, const char *fmt, ...)
{
	va_list ap;

	a->where[0] = a->command[0] = '\0';
	va_start(ap, fmt);
	append(a->command, sizeof(a->command), "", fmt, ap);
	va_end(ap);
}

void
doctor_mend_at(struct doctor_answer *a, const char *where, const char *fmt, ...)
{
	va_list ap;

	a->command[0] = '\0';
	snprintf(a->where, sizeof(a->where), "%s", where);
	va_start(ap, fmt);
	append(a->command, sizeof(a->command), "", fmt, ap);
	va_end(ap);
}

void
doctor_mend_also(struct doctor_answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(a->command, sizeof(a->command), " && ", fmt, ap);
	va_end(ap);
}

void
doctor_edit(struct doctor_answer *a, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	snprintf(a->file, sizeof(a->file), "%s", file);
	a->line = line;
	a->change[0] = '\0';
	va_start(ap, fmt);
	append(a->change, sizeof(a->change), "", fmt, ap);
	va_end(ap);
}

static json_t *
remedy_json(const struct doctor_answer *a)
{
	if (*a->command)
		return json_pack(
		    "{s:s*,s:s}", "where", *a->where ? a->where : NULL, "command", a->command);
	if (*a->file)
		return json_pack(
		    "{s:s,s:i,s:s}", "file", a->file, "line", (int)a->line, "change", a->change);
	return json_null();
}

/* ---- gathering ---- */

/* A path to the peer, in a child: prints what came of it as JSON. */
struct path_job {
	const struct hagent *h;
	size_t path;
	struct child child;
	struct doctor_path *out;
	struct examination *x;
};

static int
ask_path(void *arg)
{
	const struct path_job *job = arg;
	struct ssh_error e = {0};
	struct dial dial;
	struct ssh *s = NULL;
	char *text = NULL;
	uint64_t asked = 0;
	json_t *o;

	if (dial_init(&dial, job->h, NULL, &e) == 0)
		s = dial_path(&dial, job->path, DIAL_TIMEOUT_MS, &e);
	if (s) {
		asked = wall_now_ms();
		text =
		    ssh_ask(s, "query 1", "{\"v\":1,\"id\":1,\"cmd\":\"hello\"}\n", HELLO_MS, &e);
	}
	o = json_pack("{s:b,s:s,s:s,s:s*,s:I,s:I}", "reached", s != NULL, "fault",
	    text ? "fine" : dial_code(&e), "text", e.text, "answer", text, "asked",
	    (json_int_t)asked, "answered", (json_int_t)wall_now_ms());
	json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	free(text);
	ssh_free(s);
	dial_fini(&dial);
	return 0;
}

static void
read_path(struct doctor_path *p, const json_t *o)
{
	json_t *answer = json_loads(doctor_text(o, "answer"), 0, NULL);
	double asked = (double)doctor_number(o, "asked"),
	       answered = (double)doctor_number(o, "answered");
	const json_t *clock;

	p->reached = doctor_is(o, "reached");
	snprintf(p->fault, sizeof(p->fault), "%s", doctor_text(o, "fault"));
	snprintf(p->text, sizeof(p->text), "%s", doctor_text(o, "text"));
	p->hello = json_incref(json_object_get(answer, "data"));
	clock = json_object_get(p->hello, "clock");
	p->round_ms = answered - asked;
	p->clock = json_is_integer(clock);
	if (p->clock)
		p->ahead_ms = (double)json_integer_value(clock) - (asked + answered) / 2;
	json_decref(answer);
}

/* ---- an examination under way ---- */

struct check_job {
	const struct doctor_check *check;
	const struct doctor *d;
	struct child child;
	struct examination *x;
	json_t *answer;
	int64_t begun_ms;
};

struct examination {
	struct loop *loop;
	size_t running;
	unsigned done, of;
	void (*progress)(unsigned done, unsigned of, void *arg);
	void *arg;
};

static void
one_less(struct examination *x)
{
	if (--x->running == 0)
		loop_stop(x->loop);
}

static void
path_done(void *arg, const struct child_result *r)
{
	struct path_job *job = arg;
	json_t *o = r->status == 0 ? json_loads(r->output, 0, NULL) : NULL;

	if (o)
		read_path(job->out, o);
	else
		snprintf(job->out->fault, sizeof(job->out->fault), "late");
	json_decref(o);
	one_less(job->x);
}

/* The firewall's rules, which are longer than a child's output: by way of two files in memory. */
struct rules_job {
	const struct doctor *d;
	int have, want;
	struct child child;
	struct examination *x;
};

static int
collect_rules(void *arg)
{
	const struct rules_job *job = arg;

	return doctor_collect_rules(job->d, job->have, job->want);
}

static void
rules_done(void *arg, const struct child_result *r)
{
	struct rules_job *job = arg;

	one_less(job->x);
}

/* What is in the file, malloc'd; closes it. */
static char *
text_of_file(int fd)
{
	size_t len;
	char *text = fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? conf_read_fd(fd, &len) : NULL;

	if (fd >= 0)
		close(fd);
	return text ? text : strdup("");
}

/* What takes its time, side by side: the ways to the peer, and the firewall's rules. */
static void
ask_around(struct doctor *d)
{
	struct examination x = {.loop = loop_new()};
	struct path_job jobs[DOCTOR_PATHS];
	struct rules_job rules = {.d = d,
	    .have = memfd_create("have", MFD_CLOEXEC),
	    .want = memfd_create("want", MFD_CLOEXEC),
	    .x = &x};

	if (x.loop && child_call(&rules.child, x.loop, collect_rules, &rules, RULES_MS, rules_done,
			  &rules) == 0)
		x.running++;
	for (size_t i = 0; i < DOCTOR_PATHS; i++)
		jobs[i] = (struct path_job){.h = d->h, .path = i, .out = &d->paths[i], .x = &x};
	for (size_t i = 0; i < DOCTOR_PATHS && x.loop; i++) {
		struct path_job *job = &jobs[i];

		if (child_call(&job->child, x.loop, ask_path, job, PATH_MS + HELLO_MS, path_done,
			job) == 0)
			x.running++;
	}
	if (x.running > 0)
		loop_run(x.loop);
	if (x.loop)
		loop_free(x.loop);
	d->rules = text_of_file(rules.have);
	d->wanted_rules = text_of_file(rules.want);
}

static void
read_cluster(struct doctor *d)
{
	char *path = hagent_path(d->h, HAGENT_CLUSTER), *text = hagent_read(d->h, HAGENT_CLUSTER);
	struct conf_errors e = {0};

	if (text)
		d->cluster = cluster_parse(path, text, &e);
	else if (asprintf(&d->cluster_error, "%s: %s", path, strerror(errno)) < 0)
		d->cluster_error = NULL;
	if (text && !d->cluster)
		d->cluster_error = strdup(e.text ? e.text : "out of memory");
	if (d->cluster)
		d->us = cluster_node(d->cluster, d->h->node);
	if (d->us)
		d->them = cluster_peer(d->cluster, d->us);
	conf_errors_fini(&e);
	free(text);
	free(path);
}

static void
read_settings(struct doctor *d)
{
	static const char main_file[] = "/etc/pptpd.conf";
	char *text = hagent_read(d->h, main_file), *options = NULL;
	struct conf_errors e = {0};

	d->settings = settings_new();
	if (!d->settings) {
		hagent_fail("out of memory");
		exit(HAGENT_FAIL);
	}
	if (text)
		settings_parse_main(d->settings, main_file, text, &e);
	else
		conf_error(&e, main_file, 0, "%s", strerror(errno));
	options = hagent_read(d->h, d->settings->option_file);
	if (options)
		settings_parse_options(d->settings, d->settings->option_file, options, &e);
	else
		conf_error(&e, d->settings->option_file, 0, "%s", strerror(errno));
	if (e.errors == 0)
		settings_check(d->settings, main_file, &e);
	if (e.errors > 0)
		d->settings_error = strdup(e.text);
	conf_errors_fini(&e);
	free(text);
	free(options);
}

static json_t *
ask_status(const struct hagent *h, const char *socket, char *error, size_t size)
{
	char *path = hagent_path(h, socket);
	json_t *answer = answer_call(path, "status", NULL, STATUS_MS);
	json_t *data = json_incref(json_object_get(answer, "data"));

	if (!data)
		snprintf(error, size, "%s", answer ? "a wrong answer" : strerror(errno));
	json_decref(answer);
	free(path);
	return data;
}

static void
gather(struct doctor *d, const struct hagent *h)
{
	char host[256] = "";

	*d = (struct doctor){.h = h};
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	snprintf(d->self, sizeof(d->self), "hagent%s%s%s%s",
	    strcmp(host, h->node) == 0 ? "" : " --node ", strcmp(host, h->node) == 0 ? "" : h->node,
	    *h->root ? " --root " : "", h->root);
	read_cluster(d);
	read_settings(d);
	d->agent = ask_status(h, HAGENT_SOCKET, d->agent_error, sizeof(d->agent_error));
	d->pptpd = ask_status(h, HAGENT_PPTPD_SOCKET, d->pptpd_error, sizeof(d->pptpd_error));
	if (!d->us)
		return;
	d->holds_wan = net_holds(d->us->wan_if, d->cluster->vip_wan.address) > 0;
	d->holds_lan = net_holds(d->us->lan_if, d->cluster->vip_lan.address) > 0;
	ask_around(d);
}

static void
forget(struct doctor *d)
{
	for (size_t i = 0; i < DOCTOR_PATHS; i++)
		json_decref(d->paths[i].hello);
	json_decref(d->agent);
	json_decref(d->pptpd);
	settings_free(d->settings);
	free(d->rules);
	free(d->wanted_rules);
	free(d->settings_error);
	free(d->cluster_error);
	cluster_free(d->cluster);
}

/* ---- the checks, side by side ---- */

/* The name as people write it: "ip-forward". */
static json_t *
dashed(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", name);
	for (char *at = text; (at = strchr(at, '_')) != NULL;)
		*at = '-';
	return json_string(text);
}

static int
run_check(void *arg)
{
	const struct check_job *job = arg;
	struct doctor_answer a = {.verdict = DOCTOR_UNKNOWN};
	json_t *o;

	if (!freopen("/dev/null", "w", stderr))
		return 1;
	if (!job->d->us && !job->check->bare)
		doctor_say(&a, DOCTOR_UNKNOWN, "cluster.conf cannot be read");
	else
		job->check->run(job->d, &a);
	o = json_pack("{s:s,s:s+,s:o}", "verdict", verdict_names[a.verdict], "seen", a.seen, "",
	    "remedy", remedy_json(&a));
	if (!o) /* a text that is not UTF-8 */
		o = json_pack("{s:s,s:s}", "verdict", "unknown", "seen", "it said no text");
	json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	return 0;
}

static void
check_done(void *arg, const struct child_result *r)
{
	struct check_job *job = arg;
	json_t *o = r->status == 0 ? json_loads(r->output, 0, NULL) : NULL;

	if (!o)
		o = r->cut
			? json_pack("{s:s,s:s}", "verdict", "unknown", "seen", "no answer in time")
			: json_pack("{s:s,s:s}", "verdict", "unknown", "seen", "the check failed");
	job->answer = o;
	json_object_set_new(o, "theme", json_string(job->check->theme));
	json_object_set_new(o, "name", dashed(job->check->name));
	json_object_set_new(o, "ms", json_integer(doctor_now_ms() - job->begun_ms));
	job->x->done++;
	if (job->x->progress)
		job->x->progress(job->x->done, job->x->of, job->x->arg);
	one_less(job->x);
}

static void
run_checks(const struct doctor *d, struct examination *x, struct check_job *jobs)
{
	for (size_t i = 0; i < x->of; i++) {
		struct check_job *job = &jobs[i];

		job->d = d;
		job->x = x;
		job->begun_ms = doctor_now_ms();
		if (child_call(&job->child, x->loop, run_check, job, DOCTOR_CHECK_MS, check_done,
			job) == 0)
			x->running++;
	}
	if (x->running > 0)
		loop_run(x->loop);
}

static json_t *
put_together(const struct doctor *d, struct check_job *jobs, size_t n)
{
	json_t *list = json_array(), *o;
	int counts[DOCTOR_N_VERDICTS] = {0};

	for (size_t i = 0; i < n; i++) {
		if (!jobs[i].answer)
			jobs[i].answer = json_pack("{s:s,s:o,s:s,s:s}", "theme",
			    jobs[i].check->theme, "name", dashed(jobs[i].check->name), "verdict",
			    "unknown", "seen", "the check cannot be started");
		for (int v = 0; v < DOCTOR_N_VERDICTS; v++)
			counts[v] +=
			    strcmp(doctor_text(jobs[i].answer, "verdict"), verdict_names[v]) == 0;
		json_array_append_new(list, jobs[i].answer);
	}
	o = json_pack("{s:s,s:s,s:o}", "node", d->h->node, "role",
	    d->holds_wan ? "active" : "standby", "checks", list);
	for (int v = 0; v < DOCTOR_N_VERDICTS; v++)
		json_object_set_new(o, verdict_names[v], json_integer(counts[v]));
	return o;
}

json_t *
doctor_examine(const struct hagent *h, const char *theme,
    void (*progress)(unsigned done, unsigned of, void *arg), void *arg)
{
	struct examination x = {.loop = loop_new(), .progress = progress, .arg = arg};
	struct check_job *jobs = calloc(N_CHECKS, sizeof(*jobs));
	struct doctor d;
	json_t *result;

	if (!x.loop || !jobs)
		return NULL;
	gather(&d, h);
	for (size_t i = 0; i < N_CHECKS; i++) {
		if (!theme || strcmp(doctor_checks[i].theme, theme) == 0)
			jobs[x.of++].check = &doctor_checks[i];
	}
	run_checks(&d, &x, jobs);
	result = put_together(&d, jobs, x.of);
	forget(&d);
	free(jobs);
	loop_free(x.loop);
	return result;
}
