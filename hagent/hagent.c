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
#include <sys/stat.h>
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

static int
write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int
hagent_replace(const struct hagent *h, const char *path, const char *text, mode_t mode)
{
	char *temporary;
	int rc = -1;

	if (asprintf(&temporary, "%s%s.XXXXXX", h->root, path) < 0)
		return -1;
	char *final = hagent_path(h, path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd >= 0) {
		if (write_all(fd, text) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 &&
		    rename(temporary, final) == 0)
			rc = 0;
		else
			unlink(temporary);
		int saved = errno;
		close(fd);
		errno = saved;
	}
	free(final);
	free(temporary);
	return rc;
}

char *
hagent_program(const char *name)
{
	char self[4096], *path = NULL;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int rc = 0;

	if (n < 0)
		n = snprintf(self, sizeof(self), "/usr/sbin/hagent");
	self[n] = '\0';
	if (strcmp(name, "hagent") == 0) {
		path = strdup(self);
		goto out;
	}
	*strrchr(self, '/') = '\0'; /* the folder */
	if ((rc = asprintf(&path, "%s/%s", self, name)) < 0 || access(path, X_OK) == 0)
		goto out;
	free(path);
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	if ((rc = asprintf(&path, "%s/%s/%s", self, name, name)) < 0 || access(path, X_OK) == 0)
		goto out;
	free(path);
	rc = asprintf(&path, "/usr/sbin/%s", name);
out:
	if (rc < 0 || !path) {
		hagent_fail("out of memory");
		exit(HAGENT_FAIL);
	}
	return path;
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
