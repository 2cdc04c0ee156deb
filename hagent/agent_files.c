/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The files of the pair: the active pushes them when one changes, and every minute; who was
 * promoted asks the peer for its own. `hagent sync` does the work as a child with a deadline, one
 * that sends and one that takes in at a time. Folders are watched, not files, because editors
 * replace files.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/set_files.h"

#define DEBOUNCE_MS 200
#define MINUTE_MS   60000
#define SETTLE_MS   1000 /* after a promotion, before the pull: the link may just be coming */
#define OUT_MS      30000
#define IN_MS       10000
#define RELOAD_MS   5000

bool
agent_files_sending(const struct agent *a)
{
	return child_running(&a->files.out.child);
}

bool
agent_files_taking(const struct agent *a)
{
	return child_running(&a->files.in.child);
}

/* The text for people in what `hagent sync` printed: its message, or the whole of it. */
static void
describe(struct agent_files *f, const struct child_result *r, const json_t *o)
{
	const char *text =
	    json_string_value(json_object_get(json_object_get(o, "error"), "message"));

	if (!text)
		text = json_string_value(json_object_get(o, "text"));
	if (r->cut)
		snprintf(f->result, sizeof(f->result), "cut at its deadline");
	else if (text)
		snprintf(f->result, sizeof(f->result), "%s", text);
	else
		snprintf(f->result, sizeof(f->result), "%s", log_quote(r->output, r->output_len));
}

static void
note_result(struct agent *a, const char *verb, const struct child_result *r, const json_t *o)
{
	struct agent_files *f = &a->files;
	char before[sizeof(f->result)];
	bool was_ok = f->ok || f->result_at == 0;

	memcpy(before, f->result, sizeof(before));
	describe(f, r, o);
	snprintf(f->result_of, sizeof(f->result_of), "%s", verb);
	f->result_at = journal_now_ms();
	f->ok = r->status == 0;
	if (f->ok)
		f->ok_at = f->result_at;
	if (f->ok != was_ok || (!f->ok && strcmp(before, f->result) != 0))
		journal_event(
		    &a->journal, f->ok ? "files-sent" : "files-failed", "%s: %s", verb, f->result);
}

/* The child's JSON is its last line that is an object; messages for people may stand before it. */
static json_t *
parse_output(const struct child_result *r)
{
	const char *at = r->output + r->output_len;
	json_t *o = json_loads(r->output, 0, NULL);

	while (!o && at > r->output) {
		for (at--; at > r->output && at[-1] != '\n'; at--)
			;
		o = *at == '{' ? json_loads(at, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	}
	return o;
}

static void
job_done(void *arg, const struct child_result *r)
{
	struct agent_job *j = arg;
	struct agent *a = j->agent;
	struct answer_request *asker = j->asker;
	json_t *o = parse_output(r);
	json_t *error = json_object_get(o, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	j->asker = NULL;
	if (j == &a->files.out)
		note_result(a, j->verb, r, o);
	if (asker && r->status == 0)
		answer_ok(asker, json_is_object(json_object_get(o, "data"))
				     ? json_incref(json_object_get(o, "data"))
				     : json_incref(o));
	else if (asker)
		answer_error(asker,
		    code     ? code
		    : r->cut ? "late"
			     : "failed",
		    "%s", message ? message : log_quote(r->output, r->output_len));
	json_decref(o);
	if (j == &a->files.out && a->files.again) {
		a->files.again = false;
		timer_set(&a->files.debounce, DEBOUNCE_MS);
	}
}

int
agent_files_do(
    struct agent *a, bool out, const char *verb, const char *argument, struct answer_request *r)
{
	struct agent_job *j = out ? &a->files.out : &a->files.in;
	const char *argv[] = {a->self, "--node", a->h->node, "--root", a->h->root, "sync", verb,
	    "--user", a->options->user, argument, NULL};

	unsigned deadline_ms = out ? OUT_MS : IN_MS;

	if (strcmp(verb, "pull") == 0)
		deadline_ms = a->cluster->timeouts.pull_ms;
	if (child_run(&j->child, a->loop, argv, deadline_ms, job_done, j) < 0)
		return -1;
	j->asker = r;
	snprintf(j->verb, sizeof(j->verb), "%s", verb);
	return 0;
}

static void
push_cb(void *arg)
{
	struct agent *a = arg;

	if (role_state(&a->role) != ROLE_ACTIVE && !a->files.asked)
		return;
	a->files.asked = false;
	if (agent_files_do(a, true, "push", NULL, NULL) < 0) {
		if (errno == EBUSY)
			a->files.again = true;
		else
			log_warn("files push error=\"%s\"", strerror(errno));
	}
}

static void
minute_cb(void *arg)
{
	struct agent *a = arg;

	timer_set(&a->files.minute, MINUTE_MS);
	push_cb(a);
}

static void
settle_cb(void *arg)
{
	struct agent *a = arg;

	if (role_state(&a->role) != ROLE_ACTIVE || !peer_fresh(&a->peer, loop_now_ms(a->loop)))
		return;
	if (agent_files_do(a, true, "pull", NULL, NULL) < 0)
		log_warn("files pull error=\"%s\"", strerror(errno));
}

void
agent_files_pull(struct agent *a)
{
	timer_set(&a->files.settle, SETTLE_MS);
}

/* ---- changes ---- */

static void
watch_folder_of(struct agent *a, const char *path)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s", a->h->root, path) >= sizeof(full))
		return;
	if (inotify_add_watch(a->files.fd, dirname(full), IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
		log_warn("files watch path=\"%s\" error=\"%s\"", full, strerror(errno));
}

/* The same folder twice is one watch. Again after each change: a file may name others now. */
static void
watch_all(struct agent *a)
{
	struct set ours = {0};
	struct set_problem problem = {0};

	if (set_files_ours(a->h, &ours, &problem) < 0)
		log_warn(
		    "files unknown text=\"%s\"", log_quote(problem.text, strlen(problem.text)));
	for (size_t i = 0; i < ours.n; i++)
		watch_folder_of(a, ours.files[i].path);
	watch_folder_of(a, HAGENT_CLUSTER);
	set_fini(&ours);
}

static void
inotify_cb(int events, void *arg)
{
	struct agent *a = arg;
	char bytes[8192];

	while (read(a->files.fd, bytes, sizeof(bytes)) > 0)
		;
	timer_set(&a->files.debounce, DEBOUNCE_MS);
}

static void
reloaded(void *arg, json_t *answer)
{
	(void)arg;
	if (!json_is_true(json_object_get(answer, "ok")))
		log_warn("pptpd did not take the changed files reason=\"see its log\"");
}

/* poptop reads chap-secrets at every login: who saves it expects it to count at once. */
static void
reload_pptpd(struct agent *a)
{
	if (answer_client_call(a->pptpd.wishes, "reload", NULL, RELOAD_MS, reloaded, a) == 0)
		log_warn("pptpd not asked to reload error=\"%s\"", strerror(errno));
}

static void
debounce_cb(void *arg)
{
	struct agent *a = arg;

	watch_all(a);
	reload_pptpd(a);
	push_cb(a);
}

void
agent_files_init(struct agent *a)
{
	struct agent_files *f = &a->files;

	f->out.agent = f->in.agent = a;
	timer_init(&f->debounce, a->loop, debounce_cb, a);
	timer_init(&f->minute, a->loop, minute_cb, a);
	timer_init(&f->settle, a->loop, settle_cb, a);
	timer_set(&f->minute, MINUTE_MS);
	agent_files_do(a, false, "prepare", NULL, NULL);
	f->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (f->fd < 0 || io_init(&f->io, a->loop, f->fd, inotify_cb, a) < 0) {
		log_warn("files cannot be watched error=\"%s\"", strerror(errno));
		return;
	}
	io_want(&f->io, IO_READ);
	watch_all(a);
}

static void
job_fini(struct agent_job *j)
{
	child_fini(&j->child);
	if (j->asker)
		answer_error(j->asker, "ending", "the agent ends");
	j->asker = NULL;
}

void
agent_files_fini(struct agent *a)
{
	struct agent_files *f = &a->files;

	timer_cancel(&f->debounce);
	timer_cancel(&f->minute);
	timer_cancel(&f->settle);
	job_fini(&f->out);
	job_fini(&f->in);
	io_fini(&f->io);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

json_t *
agent_files_json(const struct agent *a)
{
	const struct agent_files *f = &a->files;
	char at[25], ok_at[25];
	json_t *o = json_pack("{s:b,s:b}", "sending", agent_files_sending(a), "ok", f->ok);

	if (f->result_at) {
		journal_time(f->result_at, at);
		json_object_set_new(o, "last", json_string(f->result_of));
		json_object_set_new(o, "last_at", json_string(at));
		json_object_set_new(
		    o, "last_result", json_string(log_quote(f->result, strlen(f->result))));
	}
	if (f->ok_at) {
		journal_time(f->ok_at, ok_at);
		json_object_set_new(o, "in_step_at", json_string(ok_at));
	}
	return o;
}
