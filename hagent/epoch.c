/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The epoch's file and order.
 */
#include "hagent/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
epoch_parse(const char *text, struct epoch *out)
{
	struct epoch e = {0};
	char *end;

	errno = 0;
	unsigned long long counter = strtoull(text, &end, 10);
	size_t len = *end == ' ' ? strcspn(end + 1, " \n") : 0;

	if (errno != 0 || *text < '0' || *text > '9' || counter > INT64_MAX || len == 0 ||
	    len >= sizeof(e.node) || strcmp(end + 1 + len, "\n") != 0) {
		errno = EBADMSG;
		return -1;
	}
	e.counter = counter;
	memcpy(e.node, end + 1, len);
	*out = e;
	return 0;
}

int
epoch_compare(const struct epoch *a, const struct epoch *b)
{
	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	int order = strcmp(b->node, a->node);
	return order < 0 ? -1 : order > 0;
}

int
epoch_read(const char *path, struct epoch *out)
{
	char text[128];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		*out = (struct epoch){0};
		return 0;
	}
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	int saved = errno;
	close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	text[n] = '\0';
	return epoch_parse(text, out);
}

static int
sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int result = fd >= 0 ? fsync(fd) : -1;

	if (fd >= 0)
		close(fd);
	free(copy);
	return result;
}

int
epoch_write(const char *path, const struct epoch *e)
{
	char aside[4096], text[128];
	int len = snprintf(text, sizeof(text), "%" PRIu64 " %s\n", e->counter, e->node);
	int fd = -1, saved;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, (size_t)len);
	if (n >= 0 && n != len) {
		errno = ENOSPC;
		n = -1;
	}
	bool good = n == len && fsync(fd) == 0;
	saved = errno;
	close(fd);
	errno = saved;
	return good && rename(aside, path) == 0 ? sync_folder(path) : -1;
}
