/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent drill: run one and follow it, the list of past ones, one report. What the agents start
 * stands here too: the drive, the watch and the guardian.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/log.h"
#include "hagent/drill_drive.h"
#include "hagent/drill_guard.h"
#include "hagent/drill_html.h"
#include "hagent/drill_sniff.h"
#include "hagent/drill_store.h"
#include "hagent/drill_text.h"
#include "hagent/hagent.h"
#include "hagent/progress.h"
#include "hagent/words.h"

#define ASK_MS    10000
#define LOOK_MS   200
#define LONGEST_S 400

static json_t *
call(const struct hagent *h, const char *cmd, json_t *args)
{
	char *path = hagent_path(h, HAGENT_SOCKET);
	json_t *answer = answer_call(path, cmd, args, ASK_MS);
	int saved = errno;

	free(path);
	errno = saved;
	return answer;
}

static bool
is_flag(const char *word, const char *flag)
{
	return strcmp(word, flag) == 0;
}

/* ---- run ---- */

struct wish {
	const char *name, *abort_at;
	bool force, scheduled, json, no_wait;
};

/* The machine's words, for people. */
static const char *
phase_words(const char *phase)
{
	static const struct {
		const char *phase, *words;
	} rows[] = {
	    {"check", "looking whether it may be"},
	    {"join", "both gateways begin to watch"},
	    {"before", "watching the sessions"},
	    {"strike", "making the fault"},
	    {"take", "waiting for the other gateway to serve"},
	    {"after", "watching the sessions"},
	    {"heal", "waiting for the pair to be whole"},
	    {"undo", "undoing what was done"},
	    {"collect", "collecting what was seen"},
	    {"back", "moving back"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(phase, rows[i].phase) == 0)
			return rows[i].words;
	}
	return "the other gateway drives it";
}

static int
print_report(const json_t *report, bool as_json)
{
	if (as_json)
		json_dumpf(report, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	else
		drill_text(stdout, report);
	if (as_json)
		putchar('\n');
	return strcmp(words_text(report, "verdict"), "passed") == 0 ? HAGENT_OK : HAGENT_FAIL;
}

/* Until the report is here: the one that drives sends it when it is done. */
static int
follow(const struct hagent *h, const struct wish *w, const char *id)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	time_t end = time(NULL) + LONGEST_S;
	char *folder = hagent_path(h, HAGENT_DRILLS);
	json_t *report = NULL;
	struct progress p;
	bool busy = true;
	int status;

	progress_begin(&p);
	while (busy && time(NULL) < end) {
		json_t *answer = call(h, "drills", NULL);
		const json_t *running = json_object_get(json_object_get(answer, "data"), "running");

		progress_say(&p, "drill %s: %s", id, phase_words(words_text(running, "phase")));
		busy = strcmp(words_text(running, "id"), id) == 0;
		json_decref(answer);
		nanosleep(&pause, NULL);
		if (!report)
			report = drill_store_read(folder, id);
		busy |= !report;
	}
	progress_end(&p);
	free(folder);
	if (!report)
		return hagent_fail("drill %s: no report came", id);
	status = print_report(report, w->json);
	json_decref(report);
	return status;
}

static int
run(const struct hagent *h, const struct wish *w)
{
	json_t *answer = call(h, "drill-run",
	    json_pack("{s:s,s:b,s:b,s:s}", "name", w->name, "force", w->force, "scheduled",
		w->scheduled, "abort_at", w->abort_at));
	const json_t *error = json_object_get(answer, "error"),
		     *data = json_object_get(answer, "data");
	int status = HAGENT_OK;

	if (!answer)
		status = hagent_fail("the agent does not answer: %s", strerror(errno));
	else if (error)
		status =
		    hagent_fail("%s: %s", words_text(error, "code"), words_text(error, "message"));
	else if (*words_text(data, "skipped"))
		printf("no drill: %s\n", words_text(data, "skipped"));
	else if (w->no_wait)
		printf("%s\n", words_text(data, "drill"));
	else
		status = follow(h, w, words_text(data, "drill"));
	json_decref(answer);
	return status;
}

static int
cmd_run_drill(const struct hagent *h, int argc, char **argv)
{
	struct wish w = {.abort_at = ""};

	for (int i = 2; i < argc; i++) {
		if (is_flag(argv[i], "--force"))
			w.force = true;
		else if (is_flag(argv[i], "--scheduled"))
			w.scheduled = true;
		else if (is_flag(argv[i], "--json"))
			w.json = true;
		else if (is_flag(argv[i], "--no-wait"))
			w.no_wait = true;
		else if (is_flag(argv[i], "--abort-at") && i + 1 < argc &&
			 drill_state_of(argv[i + 1]) >= 0)
			w.abort_at = argv[++i];
		else if (argv[i][0] != '-' && !w.name)
			w.name = argv[i];
		else
			return HAGENT_USAGE;
	}
	return w.name ? run(h, &w) : HAGENT_USAGE;
}

/* ---- list, show, abort ---- */

static int
cmd_list(const struct hagent *h, bool as_json)
{
	char *folder = hagent_path(h, HAGENT_DRILLS);
	json_t *list = drill_store_list(folder, DRILL_KEEP), *o;
	size_t i;

	free(folder);
	if (as_json) {
		json_dumpf(list, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		drill_text_head(stdout);
		json_array_foreach(list, i, o) drill_text_line(stdout, o);
	}
	json_decref(list);
	return HAGENT_OK;
}

static int
show_html(const json_t *report, const char *folder)
{
	json_t *past = drill_store_list(folder, DRILL_KEEP);
	char *text = drill_report_html(report, past);

	json_decref(past);
	if (!text)
		return hagent_fail("out of memory");
	fputs(text, stdout);
	free(text);
	return HAGENT_OK;
}

static int
cmd_show(const struct hagent *h, const char *id, const char *form)
{
	char *folder = hagent_path(h, HAGENT_DRILLS);
	json_t *ids = drill_store_ids(folder), *report;
	int status = HAGENT_OK;

	if (!id)
		id = json_string_value(json_array_get(ids, 0));
	report = id ? drill_store_read(folder, id) : NULL;
	if (!id)
		status = hagent_fail("there is no report yet");
	else if (!report)
		status = hagent_fail("drill %s: %s", id, strerror(errno));
	else if (is_flag(form, "--html"))
		status = show_html(report, folder);
	else
		(void)print_report(report, is_flag(form, "--json"));
	json_decref(ids);
	json_decref(report);
	free(folder);
	return status;
}

static int
parse_show(const struct hagent *h, int argc, char **argv)
{
	const char *id = NULL, *form = "";

	for (int i = 2; i < argc; i++) {
		if (is_flag(argv[i], "--json") || is_flag(argv[i], "--html"))
			form = argv[i];
		else if (argv[i][0] != '-' && !id)
			id = argv[i];
		else
			return HAGENT_USAGE;
	}
	return cmd_show(h, id, form);
}

static int
cmd_abort(const struct hagent *h)
{
	json_t *answer = call(h, "drill-abort", NULL);
	const json_t *error = json_object_get(answer, "error");
	int status = HAGENT_OK;

	if (!answer)
		status = hagent_fail("the agent does not answer: %s", strerror(errno));
	else if (error)
		status =
		    hagent_fail("%s: %s", words_text(error, "code"), words_text(error, "message"));
	else
		puts("it is being broken off; hagent drill show says what came of it");
	json_decref(answer);
	return status;
}

/* ---- what the agents start ---- */

/* drive ID NAME [--scheduled] [--force] [--abort-at PART] */
static int
cmd_drive(const struct hagent *h, int argc, char **argv)
{
	static struct drill_drive d;
	const struct drill_plan *plan;
	char name[64];

	if (argc < 4)
		return HAGENT_USAGE;
	d.h = h;
	d.id = argv[2];
	d.abort_at = -1;
	d.witness_out = d.load_out = -1;
	for (int i = 4; i < argc; i++) {
		d.scheduled |= is_flag(argv[i], "--scheduled");
		d.force |= is_flag(argv[i], "--force");
		if (is_flag(argv[i], "--abort-at") && i + 1 < argc)
			d.abort_at = drill_state_of(argv[++i]);
	}
	snprintf(name, sizeof(name), "hagent-drill[%s]", h->node);
	log_init(name, -1, false);
	if (drill_peer_init(&d.peer, h) < 0)
		return hagent_fail("%s", d.peer.text);
	plan = cluster_drill(d.peer.dial.cluster, argv[3]);
	if (plan)
		d.plan = *plan;
	else if (drill_kind_of(argv[3]) >= 0)
		cluster_drill_default((enum drill_kind)drill_kind_of(argv[3]), &d.plan);
	else
		return hagent_usage("got \"%s\", want a drill of cluster.conf or a kind", argv[3]);
	return drill_drive_run(&d);
}

static int
watch(const struct hagent *h, const struct cluster *c, const struct cluster_node *us, unsigned s)
{
	char *result = hagent_path(h, HAGENT_DRILL_WATCH), *cut = hagent_path(h, HAGENT_DRILL_CUT);
	const struct drill_sniff sniff = {.interface = us->wan_if,
	    .address = c->vip_wan.address,
	    .result = result,
	    .cut = cut,
	    .seconds = s};
	int rc = drill_sniff_run(&sniff);

	free(result);
	free(cut);
	return rc < 0 ? HAGENT_FAIL : HAGENT_OK;
}

/* guard ID KIND wan|lan SECONDS AGENT */
static int
guard(const struct hagent *h, const struct cluster_node *us, char **argv)
{
	struct drill_guard g = {.h = h, .id = argv[2], .us = us};
	int kind = drill_kind_of(argv[3]);
	unsigned agent;
	char name[64];

	if (kind <= DRILL_PLANNED || conf_parse_uint(argv[5], 1, 60, &g.seconds) < 0 ||
	    conf_parse_uint(argv[6], 1, 1 << 30, &agent) < 0)
		return HAGENT_USAGE;
	g.kind = (enum drill_kind)kind;
	g.link = is_flag(argv[4], "lan");
	g.agent = (pid_t)agent;
	snprintf(name, sizeof(name), "hagent-guardian[%s]", h->node);
	log_init(name, -1, false);
	return drill_guard_run(&g) < 0 ? HAGENT_FAIL : HAGENT_OK;
}

static int
inner(const struct hagent *h, int argc, char **argv)
{
	struct cluster *c = hagent_cluster(h);
	const struct cluster_node *us = c ? cluster_node(c, h->node) : NULL;
	unsigned seconds;
	int status = HAGENT_USAGE;

	if (!us)
		status = HAGENT_FAIL;
	else if (argc == 3 && is_flag(argv[1], "watch") &&
		 conf_parse_uint(argv[2], 1, 3600, &seconds) == 0)
		status = watch(h, c, us, seconds);
	else if (argc == 7 && is_flag(argv[1], "guard"))
		status = guard(h, us, argv);
	cluster_free(c);
	return status;
}

int
cmd_drill(const struct hagent *h, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (is_flag(verb, "run"))
		return cmd_run_drill(h, argc, argv);
	if (is_flag(verb, "list") && (argc == 2 || (argc == 3 && is_flag(argv[2], "--json"))))
		return cmd_list(h, argc == 3);
	if (is_flag(verb, "show"))
		return parse_show(h, argc, argv);
	if (is_flag(verb, "abort") && argc == 2)
		return cmd_abort(h);
	if (is_flag(verb, "drive"))
		return cmd_drive(h, argc, argv);
	if (is_flag(verb, "watch") || is_flag(verb, "guard"))
		return inner(h, argc, argv);
	return HAGENT_USAGE;
}
