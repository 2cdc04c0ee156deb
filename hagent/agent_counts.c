/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the agent counts since it began: transitions by kind and result, their steps, and what our
 * processes use. The tables are small and bounded: names come from our own lists of steps.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hagent/agent.h"

#define KINDS     16
#define STEPS     64
#define RESULTS   5
#define PROCESSES 10

struct kind_count {
	const char *kind, *result; /* static strings */
	uint64_t n, ms, last_ms;
};

struct step_count {
	const char *kind, *step; /* static strings */
	uint64_t n[RESULTS], ms, last_ms;
};

struct agent_counts {
	struct kind_count kinds[KINDS];
	struct step_count steps[STEPS];
	size_t n_kinds, n_steps;
};

static struct agent_counts *
counts_of(struct agent *a)
{
	if (!a->counts)
		a->counts = calloc(1, sizeof(*a->counts));
	return a->counts;
}

void
agent_counts_fini(struct agent *a)
{
	free(a->counts);
	a->counts = NULL;
}

void
agent_count_transition(struct agent *a, const char *kind, const char *result, uint64_t ms)
{
	struct agent_counts *c = counts_of(a);
	size_t i = 0;

	if (!c)
		return;
	while (i < c->n_kinds &&
	       (strcmp(c->kinds[i].kind, kind) != 0 || strcmp(c->kinds[i].result, result) != 0))
		i++;
	if (i == KINDS)
		return;
	if (i == c->n_kinds)
		c->kinds[c->n_kinds++] = (struct kind_count){.kind = kind, .result = result};
	c->kinds[i].n++;
	c->kinds[i].ms += ms;
	c->kinds[i].last_ms = ms;
}

void
agent_count_step(struct agent *a, const struct steps_report *r, const char *what)
{
	struct agent_counts *c = counts_of(a);
	size_t i = 0;

	if (!c || (unsigned)r->result >= RESULTS)
		return;
	while (i < c->n_steps && (strcmp(c->steps[i].kind, what) != 0 ||
				     strcmp(c->steps[i].step, r->step->name) != 0))
		i++;
	if (i == STEPS)
		return;
	if (i == c->n_steps)
		c->steps[c->n_steps++] = (struct step_count){.kind = what, .step = r->step->name};
	c->steps[i].n[r->result]++;
	c->steps[i].ms += r->ms;
	c->steps[i].last_ms = r->ms;
}

json_t *
agent_counts_json(const struct agent *a)
{
	const struct agent_counts *c = a->counts;
	json_t *kinds = json_array(), *steps = json_array();

	for (size_t i = 0; c && i < c->n_kinds; i++)
		json_array_append_new(kinds,
		    json_pack("{s:s,s:s,s:I,s:I,s:I}", "kind", c->kinds[i].kind, "result",
			c->kinds[i].result, "n", (json_int_t)c->kinds[i].n, "ms",
			(json_int_t)c->kinds[i].ms, "last_ms", (json_int_t)c->kinds[i].last_ms));
	for (size_t i = 0; c && i < c->n_steps; i++) {
		json_t *results = json_object();

		for (int k = 0; k < RESULTS; k++)
			json_object_set_new(results, step_result_name((enum step_result)k),
			    json_integer((json_int_t)c->steps[i].n[k]));
		json_array_append_new(steps,
		    json_pack("{s:s,s:s,s:o,s:I,s:I}", "kind", c->steps[i].kind, "step",
			c->steps[i].step, "results", results, "ms", (json_int_t)c->steps[i].ms,
			"last_ms", (json_int_t)c->steps[i].last_ms));
	}
	return json_pack("{s:o,s:o}", "transitions", kinds, "steps", steps);
}

/* ---- processes ---- */

static bool
read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static int64_t
open_files(pid_t pid)
{
	char path[64];
	int64_t n = -2; /* "." and ".." */
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A row for one process; NULL when it is gone. */
static json_t *
process_row(const char *name, pid_t pid)
{
	unsigned long long user, system;
	long threads, pages;
	char text[4096];
	const char *at;
	int64_t limit = 0;

	if (pid <= 0 || !read_proc(pid, "stat", text, sizeof(text)) || !(at = strrchr(text, ')')) ||
	    sscanf(at + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d "
		"%*u %*u %ld",
		&user, &system, &threads, &pages) != 4)
		return NULL;
	if (read_proc(pid, "limits", text, sizeof(text)) && (at = strstr(text, "Max open files")))
		(void)!sscanf(at, "Max open files %" SCNd64, &limit);
	return json_pack("{s:s,s:i,s:I,s:I,s:I,s:I,s:i}", "name", name, "pid", (int)pid, "open_fds",
	    (json_int_t)open_files(pid), "max_fds", (json_int_t)limit, "rss_bytes",
	    (json_int_t)pages * sysconf(_SC_PAGESIZE), "cpu_ms",
	    (json_int_t)((user + system) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK)),
	    "threads", (int)threads);
}

static void
add_process(json_t *list, const char *name, pid_t pid)
{
	json_t *row = process_row(name, pid);

	if (row)
		json_array_append_new(list, row);
}

/* The monitor's only lasting child. */
static pid_t
engine_of(pid_t monitor)
{
	char text[256], name[64];

	snprintf(name, sizeof(name), "task/%d/children", (int)monitor);
	return monitor > 0 && read_proc(monitor, name, text, sizeof(text)) ? (pid_t)atoi(text) : 0;
}

json_t *
agent_processes_json(const struct agent *a)
{
	json_t *list = json_array();

	add_process(list, "hagent", getpid());
	add_process(list, "pptpd-monitor", a->pptpd_monitor.pid);
	add_process(list, "pptpd-engine", engine_of(a->pptpd_monitor.pid));
	add_process(list, "keepalived", a->keepalived.pid);
	add_process(list, "conntrackd", a->conntrackd.pid);
	add_process(list, "sshd", a->sshd.pid);
	return list;
}
