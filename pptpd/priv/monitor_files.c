/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Configuration as the monitor sees it: it opens the files (they are root's), parses them only to
 * know that they are sound and which addresses clients may have, and passes the texts on. Names in
 * messages are the paths that were opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pptpd/conf/secrets.h"
#include "pptpd/priv/monitor.h"

#define DEFAULT_CONF "/etc/pptpd.conf"

/* The text of root + path, its name in *name. NULL: the error is in e. */
static char *
read_file(const char *root, const char *path, bool secret, char **name, struct conf_errors *e)
{
	struct stat st;
	char *text = NULL;
	int fd = -1;

	if (asprintf(name, "%s%s", root != NULL ? root : "", path) < 0) {
		*name = NULL;
		conf_error(e, path, 0, "%s", strerror(ENOMEM));
		return NULL;
	}
	fd = open(*name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		conf_error(e, *name, 0, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		conf_error(e, *name, 0, "is not a regular file");
	} else {
		if (secret && (st.st_mode & S_IRWXO) != 0)
			conf_warning(e, *name, 0, "has world access");
		text = conf_read_fd(fd, NULL);
		if (text == NULL)
			conf_error(e, *name, 0, "%s", strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static void
read_secrets(const char *root, struct monitor_conf *c, struct conf_errors *e)
{
	struct priv_files *f = &c->files;
	struct secrets *secrets;

	f->secrets = read_file(root, c->settings->secrets_file, true, &f->secrets_name, e);
	if (f->secrets == NULL)
		return;
	secrets = secrets_parse(f->secrets_name, f->secrets, e);
	if (secrets == NULL) {
		conf_error(e, f->secrets_name, 0, "%s", strerror(ENOMEM));
		return;
	}
	c->statics = secrets_static_ips(secrets, &c->n_statics);
	if (c->statics == NULL)
		conf_error(e, f->secrets_name, 0, "%s", strerror(ENOMEM));
	secrets_free(secrets);
}

int
monitor_conf_read(const struct monitor_options *o, struct monitor_conf *c, struct conf_errors *e)
{
	const char *conf_file = o->conf_file != NULL ? o->conf_file : DEFAULT_CONF;
	struct priv_files *f = &c->files;

	*c = (struct monitor_conf){.settings = settings_new()};
	if (c->settings == NULL) {
		conf_error(e, conf_file, 0, "%s", strerror(ENOMEM));
		goto out;
	}
	f->conf = read_file(o->root, conf_file, false, &f->conf_name, e);
	if (f->conf == NULL)
		goto out; /* whatever else is wrong, this comes first */
	settings_parse_main(c->settings, f->conf_name, f->conf, e);
	f->options = read_file(o->root, c->settings->option_file, false, &f->options_name, e);
	if (f->options != NULL)
		settings_parse_options(c->settings, f->options_name, f->options, e);
	read_secrets(o->root, c, e);
	settings_check(c->settings, f->conf_name, e);
	if (o->role != NULL)
		c->settings->standby = strcmp(o->role, "standby") == 0;
out:
	if (e->errors == 0)
		return 0;
	monitor_conf_fini(c);
	return -1;
}

void
monitor_conf_fini(struct monitor_conf *c)
{
	if (c->settings != NULL)
		settings_free(c->settings);
	priv_files_fini(&c->files);
	free(c->statics);
	*c = (struct monitor_conf){0};
}

struct settings *
monitor_load_settings(const struct monitor_options *o, struct priv_files *files)
{
	struct conf_errors e = {0};
	struct settings *s = NULL;
	struct monitor_conf c;

	if (monitor_conf_read(o, &c, &e) == 0) {
		s = c.settings;
		c.settings = NULL;
		if (files != NULL) {
			*files = c.files;
			c.files = (struct priv_files){0};
		}
		monitor_conf_fini(&c);
	}
	if (e.text != NULL)
		fputs(e.text, stderr);
	conf_errors_fini(&e);
	return s;
}
