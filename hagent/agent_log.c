/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The peer asks for our log: a child reads a page of it (log_page.h) and leaves it in a file of
 * memory. One at a time; who comes meanwhile is told to ask again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hagent/agent.h"
#include "hagent/log_page.h"

#define CHILD_MS 3000

struct agent_log {
	const struct hagent *h;
	struct child child;
	json_t *query;
	struct answer_request *asker;
	int fd; /* the page */
};

/* In the child. */
static int
write_page(void *arg)
{
	const struct agent_log *l = arg;
	json_t *page = log_page(l->h, l->query);

	return page && json_dumpfd(page, l->fd, JSON_COMPACT) == 0 ? 0 : 1;
}

static json_t *
read_page(int fd)
{
	struct stat st;
	json_t *page = NULL;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size >= ANSWER_LINE_MAX - 256)
		return NULL;
	text = malloc((size_t)st.st_size);
	n = text ? pread(fd, text, (size_t)st.st_size, 0) : -1;
	if (n > 0)
		page = json_loadb(text, (size_t)n, 0, NULL);
	free(text);
	return page;
}

static void
page_done(void *arg, const struct child_result *result)
{
	struct agent_log *l = arg;
	struct answer_request *asker = l->asker;
	json_t *page = result->status == 0 ? read_page(l->fd) : NULL;

	close(l->fd);
	json_decref(l->query);
	l->query = NULL;
	l->asker = NULL;
	if (page)
		answer_ok(asker, page);
	else
		answer_error(
		    asker, "failed", "the log cannot be read%s", result->cut ? " in time" : "");
}

void
agent_log_run(struct answer_request *r, json_t *args, struct agent *a)
{
	struct agent_log *l = a->log;

	if (child_running(&l->child)) {
		answer_error(r, "busy", "it is being read for somebody else");
		return;
	}
	l->fd = memfd_create("log-page", MFD_CLOEXEC);
	l->query = json_incref(args);
	l->asker = r;
	if (l->fd < 0 ||
	    child_call(&l->child, a->loop, write_page, l, CHILD_MS, page_done, l) < 0) {
		answer_error(r, "failed", "%s", strerror(errno));
		if (l->fd >= 0)
			close(l->fd);
		json_decref(l->query);
		l->asker = NULL;
	}
}

int
agent_log_init(struct agent *a)
{
	a->log = calloc(1, sizeof(*a->log));
	if (a->log)
		a->log->h = a->h;
	return a->log ? 0 : -1;
}

void
agent_log_fini(struct agent *a)
{
	if (a->log)
		child_fini(&a->log->child);
	free(a->log);
	a->log = NULL;
}
