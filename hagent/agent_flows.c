/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's requests to conntrackd, which keeps the forwarded flows. It is asked over its own
 * socket, where its answer to a first question has shown that it speaks the protocol that we know;
 * else, and where another program was given for it, by running that.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"

#define STATS_MS 1000

/* ---- does it speak what we speak? ---- */

static void
looked(void *arg, int error, const char *text)
{
	struct agent *a = arg;
	struct conntrackd_stats stats;

	if (error == 0 && conntrackd_parse_stats(text, &stats) < 0)
		error = errno;
	a->flows_look.told = error == 0;
	if (error != 0)
		log_info("conntrackd is asked by its program error=\"%s\"", strerror(error));
}

void
agent_flows_look(struct agent *a)
{
	struct agent_flows_look *look = &a->flows_look;

	if (facts_process_state(&a->conntrackd) != HEALTH_ALIVE || look->pid == a->conntrackd.pid ||
	    look->talk.running || strcmp(a->options->conntrackd, CONNTRACKD_PROGRAM) != 0)
		return;
	look->told = false;
	if (conntrackd_ask(&look->talk, a->loop, a->conntrackd_socket, CONNTRACKD_STATS, STATS_MS,
		looked, a) == 0)
		look->pid = a->conntrackd.pid;
}

void
agent_flows_look_fini(struct agent *a)
{
	conntrackd_forget(&a->flows_look.talk);
}

static bool
is_understood(const struct agent *a)
{
	return a->flows_look.told && a->flows_look.pid == a->conntrackd.pid;
}

/* ---- requests ---- */

/* As the program would have ended. */
static void
answered(void *arg, int error, const char *text)
{
	struct agent_flows *f = arg;
	struct child_result r = {.status = error == 0 ? 0 : -1,
	    .cut = error == ETIMEDOUT,
	    .output = error == 0 ? text : strerror(error)};

	r.output_len = strlen(r.output);
	f->done(&f->c, &r);
}

int
agent_flows_ask(struct agent_flows *f, enum conntrackd_request request, unsigned deadline_ms,
    child_done_fn *done)
{
	struct agent *a = f->c.agent;
	const char *argv[CONNTRACKD_ARGS];

	if (agent_flows_busy(f)) {
		errno = EBUSY;
		return -1;
	}
	f->done = done;
	if (is_understood(a) && conntrackd_ask(&f->talk, a->loop, a->conntrackd_socket, request,
				    deadline_ms, answered, f) == 0)
		return 0;
	conntrackd_argv(request, a->conntrackd_conf, argv);
	argv[0] = a->options->conntrackd;
	return child_run(&f->c.child, a->loop, argv, deadline_ms, done, &f->c);
}

bool
agent_flows_busy(const struct agent_flows *f)
{
	return child_running(&f->c.child) || f->talk.running;
}

bool
agent_flows_cut(struct agent_flows *f)
{
	conntrackd_forget(&f->talk);
	if (!child_running(&f->c.child))
		return true;
	child_cut(&f->c.child);
	return false;
}

void
agent_flows_fini(struct agent_flows *f)
{
	conntrackd_forget(&f->talk);
	child_fini(&f->c.child);
}
