/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Timers. Only files that begin with our own first line are ever removed.
 */
#include "hagent/drill_timer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "pptp-ha-drill@"
#define SUFFIX ".timer"
#define ORIGIN "# Rendered by hagent from " HAGENT_CLUSTER "; changes made here are lost.\n"

char *
drill_timer_text(const struct drill_plan *p)
{
	char *text;

	if (asprintf(&text,
		ORIGIN "[Unit]\nDescription=Drill %s of the PPTP gateways\n"
		       "Documentation=man:cluster.conf(5)\n\n[Timer]\nOnCalendar=%s\n"
		       "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n",
		p->name, p->schedule.text) < 0)
		return NULL;
	return text;
}

static char *
path_of(const char *name)
{
	char *path;

	return asprintf(&path, DRILL_TIMERS "/" PREFIX "%s" SUFFIX, name) < 0 ? NULL : path;
}

/* The folder and what is above it, as the root of a lab lacks them. */
static void
make_folders(const struct hagent *h)
{
	static const char *const folders[] = {"/etc/systemd", DRILL_TIMERS};

	for (size_t i = 0; i < 2; i++) {
		char *path = hagent_path(h, folders[i]);

		mkdir(path, 0755);
		free(path);
	}
}

static int
render_one(const struct hagent *h, const struct drill_plan *p, bool check)
{
	char *path = path_of(p->name), *text = drill_timer_text(p);
	char *have = path ? hagent_read(h, path) : NULL;
	int status = HAGENT_OK;

	if (!path || !text) {
		status = hagent_fail("out of memory");
	} else if (have && strcmp(have, text) == 0) {
		/* as it should be */
	} else if (check) {
		printf("%s%s %s\n", h->root, path, have ? "differs" : "is missing");
		status = HAGENT_FAIL;
	} else {
		make_folders(h);
		if (hagent_replace(h, path, text, 0644) < 0)
			status = hagent_fail("%s%s: %s", h->root, path, strerror(errno));
		else
			printf("wrote %s%s: systemctl daemon-reload; systemctl enable --now " PREFIX
			       "%s" SUFFIX "\n",
			    h->root, path, p->name);
	}
	free(path);
	free(text);
	free(have);
	return status;
}

/* The drill's name, in name, if the file is one of ours. */
static bool
is_ours(const struct hagent *h, const char *file, char name[static DRILL_NAME_MAX])
{
	size_t len = strlen(file), head = strlen(PREFIX), tail = strlen(SUFFIX);
	char *path, *text;
	bool ours;

	if (len <= head + tail || len - head - tail >= DRILL_NAME_MAX ||
	    strncmp(file, PREFIX, head) != 0 || strcmp(file + len - tail, SUFFIX) != 0)
		return false;
	snprintf(name, DRILL_NAME_MAX, "%.*s", (int)(len - head - tail), file + head);
	path = path_of(name);
	text = path ? hagent_read(h, path) : NULL;
	ours = text && strncmp(text, ORIGIN, strlen(ORIGIN)) == 0;
	free(path);
	free(text);
	return ours;
}

static int
remove_one(const struct hagent *h, const char *name, bool check)
{
	char *path = path_of(name), *full = path ? hagent_path(h, path) : NULL;
	int status = HAGENT_OK;

	if (check && full) {
		printf("%s is not wanted any more\n", full);
		status = HAGENT_FAIL;
	} else if (!full || unlink(full) < 0) {
		status = hagent_fail("%s: %s", full ? full : name, strerror(errno));
	} else {
		printf("removed %s: systemctl disable --now " PREFIX "%s" SUFFIX "\n", full, name);
	}
	free(path);
	free(full);
	return status;
}

int
drill_timers_render(const struct hagent *h, const struct cluster *c, bool check)
{
	char *folder = hagent_path(h, DRILL_TIMERS), name[DRILL_NAME_MAX];
	DIR *d = opendir(folder);
	struct dirent *entry;
	int status = HAGENT_OK;

	while (d && (entry = readdir(d)) != NULL) {
		const struct drill_plan *p;

		if (!is_ours(h, entry->d_name, name))
			continue;
		p = cluster_drill(c, name);
		if (!p || !*p->schedule.text)
			status |= remove_one(h, name, check);
	}
	if (d)
		closedir(d);
	free(folder);
	for (size_t i = 0; i < c->n_drills; i++) {
		if (*c->drills[i].schedule.text)
			status |= render_one(h, &c->drills[i], check);
	}
	return status;
}
