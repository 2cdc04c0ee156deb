/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent status: one screen in words, from the agent's answer and from what the files' state says.
 * It also says what is the case when there is no agent. --watch draws it anew every second; where
 * there is no terminal it writes a line whenever the answer to "are we safe?" changes.
 * Exit status: 0 safe, 1 at risk, 3 down.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "hagent/child.h"
#include "hagent/hagent.h"
#include "hagent/journal.h"
#include "hagent/safety.h"
#include "hagent/status_view.h"
#include "hagent/words.h"

#define TIMEOUT_MS 1000
#define FILES_MS   2000
#define FILES_EACH 5 /* rounds of --watch: they are read by a child */

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
	char *self;

	if (!q.loop)
		return NULL;
	self = hagent_program("hagent");
	const char *argv[] = {
	    self, "--node", h->node, "--root", h->root, "sync", "status", "--json", NULL};
	if (child_run(&child, q.loop, argv, FILES_MS, files_done, &q) == 0)
		loop_run(q.loop);
	loop_free(q.loop);
	free(self);
	return q.state;
}

/* ---- what is known ---- */

struct report {
	json_t *answer;
	json_t *status; /* in answer; NULL: the agent does not answer */
	int error;      /* why not */
	json_t *pptpd;  /* asked only then */
	int pptpd_error;
	json_t *safety;
};

/* files is borrowed; it may be NULL. */
static void
ask(const struct hagent *h, json_t *files, struct report *r)
{
	char *path = hagent_path(h, HAGENT_SOCKET);

	*r = (struct report){.answer = answer_call(path, "status", NULL, TIMEOUT_MS)};
	r->error = errno;
	free(path);
	r->status = json_object_get(r->answer, "data");
	if (r->status) {
		if (files)
			json_object_set(r->status, "set", files);
		r->safety = safety_judge(r->status);
		json_object_set(r->status, "safety", r->safety);
		return;
	}
	path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	r->pptpd = answer_call(path, "status", NULL, TIMEOUT_MS);
	r->pptpd_error = errno;
	free(path);
	r->safety = safety_without_agent(h->node, json_object_get(r->pptpd, "data"));
}

static void
forget(struct report *r)
{
	json_decref(r->answer);
	json_decref(r->pptpd);
	json_decref(r->safety);
}

static struct screen *
draw(const struct report *r)
{
	if (r->status)
		return status_view(r->status);
	return status_view_without_agent(r->safety, json_object_get(r->pptpd, "data"),
	    strerror(r->error), strerror(r->pptpd_error));
}

static void
dump(const struct report *r)
{
	json_t *none = json_pack(
	    "{s:s,s:s,s:O}", "agent", "silent", "error", strerror(r->error), "safety", r->safety);

	json_dumpf(r->status ? r->status : none, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(none);
}

static int
exit_status(const struct report *r)
{
	static const int status[] = {HAGENT_OK, HAGENT_FAIL, HAGENT_DOWN};

	return status[safety_level_of(r->safety)];
}

/* ---- watching ---- */

/* The whole screen leaves in one write, so that nothing flickers. */
static void
redraw(const struct report *r)
{
	char *text = NULL, now[25];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct screen *s = draw(r);
	struct term t;

	if (out && s) {
		term_look(&t, STDOUT_FILENO);
		journal_time(journal_now_ms(), now);
		fputs("\033[H", out);
		screen_print(s, &t, 1, "\033[K\n", out);
		fprintf(out, "%s%.10s %.8s UTC, every second; Ctrl-C ends%s\033[K\033[J",
		    term_on(&t, TERM_DIM), now, now + 11, term_off(&t, TERM_DIM));
	}
	if (out)
		fclose(out);
	if (text)
		fwrite(text, 1, len, stdout);
	fflush(stdout);
	free(text);
	screen_free(s);
}

/* Without a terminal: only what changed. last is replaced. */
static void
note(const struct report *r, char **last)
{
	char now[25], *line = NULL;

	if (asprintf(&line, "%s  %s", status_view_word(r->safety),
		words_text(r->safety, "headline")) < 0)
		return;
	if (!*last || strcmp(*last, line) != 0) {
		journal_time(journal_now_ms(), now);
		printf("%s  %s\n", now, line);
		fflush(stdout);
	}
	free(*last);
	*last = line;
}

static int
watch(const struct hagent *h)
{
	const struct timespec second = {.tv_sec = 1};
	json_t *files = NULL;
	char *last = NULL;
	struct term t;
	sigset_t ends;
	int status = HAGENT_OK, sig;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGWINCH);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	term_look(&t, STDOUT_FILENO);
	if (t.live)
		fputs("\033[?1049h\033[?25l", stdout); /* another page, no cursor */
	for (unsigned round = 0;; round++) {
		struct report r;

		if (round % FILES_EACH == 0) {
			json_decref(files);
			files = ask_files(h);
		}
		ask(h, files, &r);
		if (t.live)
			redraw(&r);
		else
			note(&r, &last);
		status = exit_status(&r);
		forget(&r);
		sig = sigtimedwait(&ends, NULL, &second);
		if ((sig > 0 && sig != SIGWINCH) || ferror(stdout))
			break;
	}
	if (t.live)
		fputs("\033[?25h\033[?1049l", stdout);
	json_decref(files);
	free(last);
	return status;
}

static int
show(const struct hagent *h, bool as_json)
{
	json_t *files = ask_files(h);
	struct report r;
	int status;

	ask(h, files, &r);
	status = exit_status(&r);
	if (as_json) {
		dump(&r);
	} else {
		struct screen *s = draw(&r);
		struct term t;

		term_look(&t, STDOUT_FILENO);
		if (s)
			screen_print(s, &t, 1, "\n", stdout);
		screen_free(s);
	}
	forget(&r);
	json_decref(files);
	return status;
}

int
cmd_status(const struct hagent *h, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--watch") == 0)
		return watch(h);
	if (argc == 2 && strcmp(argv[1], "--json") == 0)
		return show(h, true);
	return argc == 1 ? show(h, false) : HAGENT_USAGE;
}
