/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of the files that travel, drawn from pptpd.conf and cluster.conf, and the checks of what
 * came from the peer with the parsers that will read it.
 */
#include "hagent/set_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/conf/secrets.h"
#include "pptpd/conf/settings.h"

#define PPTPD_CONF  "/etc/pptpd.conf"
#define PPP_FOLDER  "/etc/ppp/"
#define ETC         HAGENT_ETC "/"
#define SECRET_MODE 0600
#define EXECUTABLE  0111

/* Adds a path once; the array is big enough for all that cluster.conf can name. */
static void
add(struct set *set, const char *path, unsigned mode)
{
	struct set_file *f = &set->files[set->n];

	if (set_find(set, path) || set->n == SET_FILES_MAX || strlen(path) >= sizeof(f->path))
		return;
	strcpy(f->path, path);
	f->mode = mode;
	set->n++;
}

/* settings may be NULL, cluster too. */
static void
list(struct set *set, const struct settings *settings, const struct cluster *cluster)
{
	_Static_assert(SET_FILES_MAX >= CLUSTER_FILES + 4, "all files of a set fit");
	_Static_assert(SET_PATH_MAX >= CLUSTER_PATH_MAX, "every path of a set fits");

	*set = (struct set){0};
	if (settings) {
		add(set, settings->secrets_file, SECRET_MODE);
		add(set, settings->option_file, 0);
	}
	add(set, PPTPD_CONF, 0);
	add(set, HAGENT_CLUSTER, 0);
	for (size_t i = 0; cluster && i < cluster->sync.files.n; i++)
		add(set, cluster->sync.files.v[i], 0);
}

int
set_files_ours(const struct hagent *h, struct set *set, struct set_problem *p)
{
	char *main_text = hagent_read(h, PPTPD_CONF),
	     *cluster_text = hagent_read(h, HAGENT_CLUSTER);
	struct settings *settings = settings_new();
	struct cluster *cluster = NULL;
	struct conf_errors e = {0};
	int rc = 0;

	/* A broken file travels as it is: the peer refuses it, and says so on both sides. */
	if (settings && main_text)
		settings_parse_main(settings, PPTPD_CONF, main_text, &e);
	if (cluster_text)
		cluster = cluster_parse(HAGENT_CLUSTER, cluster_text, &e);
	list(set, settings, cluster);
	for (size_t i = 0; i < set->n && rc == 0; i++) {
		if (!set_path_ok(set->files[i].path))
			rc = set_problem(p, "invalid",
			    "%s: got a path that cannot travel, want letters, "
			    "digits, `.`, `_`, `-` between slashes",
			    set->files[i].path);
	}
	conf_errors_fini(&e);
	cluster_free(cluster);
	settings_free(settings);
	free(cluster_text);
	free(main_text);
	return rc;
}

/* ---- what came ---- */

/* The text of a file that must be there; NULL after an error. */
static const char *
text_of(const struct set *set, const char *path, const char *who, struct conf_errors *e)
{
	const struct set_file *f = set_find(set, path);

	if (!f)
		conf_error(e, path, 0, "missing in the set, but %s names it", who);
	else if (strlen(f->bytes) != f->size)
		conf_error(e, path, 0, "got a NUL byte, want text");
	return f && strlen(f->bytes) == f->size ? f->bytes : NULL;
}

/* The daemon's three files; *out gets the settings for the list of paths. */
static void
check_daemon(const struct set *set, struct settings *s, struct conf_errors *e)
{
	const char *text = text_of(set, PPTPD_CONF, "everybody", e);
	struct secrets *secrets;

	if (!text)
		return;
	settings_parse_main(s, PPTPD_CONF, text, e);
	text = text_of(set, s->option_file, PPTPD_CONF, e);
	if (text)
		settings_parse_options(s, s->option_file, text, e);
	settings_check(s, PPTPD_CONF, e);
	text = text_of(set, s->secrets_file, PPTPD_CONF, e);
	secrets = text ? secrets_parse(s->secrets_file, text, e) : NULL;
	if (text && !secrets)
		conf_error(e, s->secrets_file, 0, "out of memory");
	secrets_free(secrets);
}

static struct cluster *
check_cluster(const struct hagent *h, const struct set *set, struct conf_errors *e)
{
	const char *text = text_of(set, HAGENT_CLUSTER, "everybody", e);
	struct cluster *c = text ? cluster_parse(HAGENT_CLUSTER, text, e) : NULL;

	if (c && !cluster_node(c, h->node))
		conf_error(e, HAGENT_CLUSTER, 0, "want a node %s, which gets this file", h->node);
	return c;
}

static bool
usual_place(const char *path)
{
	return strcmp(path, PPTPD_CONF) == 0 || strcmp(path, HAGENT_CLUSTER) == 0 ||
	       strncmp(path, PPP_FOLDER, strlen(PPP_FOLDER)) == 0;
}

static void
check_paths(const struct set *theirs, const struct set *named, const struct set *allowed,
    struct conf_errors *e)
{
	for (size_t i = 0; i < named->n; i++) {
		if (!set_find(theirs, named->files[i].path))
			conf_error(e, named->files[i].path, 0, "missing in the set");
	}
	for (size_t i = 0; i < theirs->n; i++) {
		const struct set_file *f = &theirs->files[i], *want = set_find(named, f->path);
		bool known = set_find(allowed, f->path) != NULL;

		if (!want)
			conf_error(e, f->path, 0, "nothing in the set names it");
		else if (strcmp(f->path, HAGENT_CLUSTER) != 0 &&
			 strncmp(f->path, ETC, strlen(ETC)) == 0)
			conf_error(e, f->path, 0, "each node has its own");
		else if (!known && !usual_place(f->path))
			conf_error(
			    e, f->path, 0, "not below " PPP_FOLDER "; name it on this node first");
		else if (!known && (f->mode & EXECUTABLE) != 0)
			conf_error(e, f->path, 0, "executable; name it on this node first");
		else if (want->mode != 0 && want->mode != f->mode)
			conf_error(e, f->path, 0, "got mode %o, want %o", f->mode, want->mode);
	}
}

int
set_files_check(const struct hagent *h, const struct set *theirs, const struct set *allowed,
    struct set_problem *p)
{
	struct conf_errors e = {0};
	struct settings *settings = settings_new();
	struct cluster *cluster = NULL;
	struct set named;
	int rc = 0;

	if (!settings)
		return set_problem(p, "internal", "out of memory");
	check_daemon(theirs, settings, &e);
	cluster = check_cluster(h, theirs, &e);
	if (e.errors == 0) {
		list(&named, settings, cluster);
		check_paths(theirs, &named, allowed, &e);
	}
	if (e.errors > 0) {
		rc = set_problem(p, "invalid", "%s", e.text ? e.text : "refused");
		p->text[strlen(p->text) - 1] = '\0';
	}
	conf_errors_fini(&e);
	cluster_free(cluster);
	settings_free(settings);
	return rc;
}
