/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the subcommands share: paths below the root, reading files, messages.
 */
#include "hagent/hagent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
say(const char *fmt, va_list ap)
{
	fputs("hagent: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int
hagent_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return HAGENT_FAIL;
}

int
hagent_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return HAGENT_USAGE;
}

char *
hagent_path(const struct hagent *h, const char *path)
{
	char *result;

	if (asprintf(&result, "%s%s", h->root, path) < 0) {
		hagent_fail("out of memory");
		exit(HAGENT_FAIL);
	}
	return result;
}

char *
hagent_read(const struct hagent *h, const char *path)
{
	char *full = hagent_path(h, path), *text = NULL;
	size_t len;
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	int saved;

	if (fd >= 0)
		text = conf_read_fd(fd, &len);
	saved = errno;
	if (fd >= 0)
		close(fd);
	free(full);
	errno = saved;
	return text;
}

struct cluster *
hagent_cluster(const struct hagent *h)
{
	struct conf_errors e = {0};
	struct cluster *c = NULL;
	char *path = hagent_path(h, HAGENT_CLUSTER), *text = hagent_read(h, HAGENT_CLUSTER);

	if (text)
		c = cluster_parse(path, text, &e);
	else
		hagent_fail("%s: %s", path, strerror(errno));
	if (e.text)
		fputs(e.text, stderr);
	conf_errors_fini(&e);
	free(text);
	free(path);
	return c;
}
