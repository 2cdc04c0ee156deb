/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole files in, whole files out.
 */
#include "sync/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIPE_DEPTH 8

/* close() that keeps errno, for the ways out. */
static void
close_quietly(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

int
files_folder(const char *path, mode_t make)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(part, path, len + 1);
	for (size_t i = 1; make && i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, make) < 0 && errno != EEXIST)
			return -1;
		part[i] = path[i];
	}
	return open(len ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
files_parent(const char *path, mode_t make, const char **name)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	int fd = folder ? files_folder(folder, make) : -1;

	*name = slash ? slash + 1 : path;
	free(folder);
	return fd;
}

static char *
read_all(int fd, size_t size, size_t *len)
{
	/* One byte more than it should have shows a file that grows meanwhile. */
	char *bytes = malloc(size + 2);
	size_t at = 0;
	ssize_t n = 1;

	while (bytes && at <= size && n > 0) {
		n = read(fd, bytes + at, size + 1 - at);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			at += (size_t)n;
	}
	if (bytes && (n < 0 || at > size)) {
		int error = n < 0 ? errno : EAGAIN;

		explicit_bzero(bytes, at);
		free(bytes);
		errno = error;
		return NULL;
	}
	if (bytes)
		bytes[at] = '\0';
	*len = at;
	return bytes;
}

char *
files_read(int dir, const char *name, size_t max, size_t *len, struct stat *st)
{
	struct stat own;
	char *bytes = NULL;
	/* Non-blocking: a fifo must not hold us up. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (!st)
		st = &own;
	if (fd < 0 || fstat(fd, st) < 0)
		goto out;
	if (!S_ISREG(st->st_mode) || (size_t)st->st_size > max) {
		errno = S_ISREG(st->st_mode) ? EFBIG : EINVAL;
		goto out;
	}
	bytes = read_all(fd, (size_t)st->st_size, len);
out:
	close_quietly(fd);
	return bytes;
}

static int
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

int
files_write(int dir, const char *name, const void *bytes, size_t len, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = -1;

	if (fd < 0)
		return -1;
	if (write_all(fd, bytes, len) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0)
		rc = 0;
	close_quietly(fd);
	if (rc < 0) {
		int saved = errno;

		unlinkat(dir, name, 0);
		errno = saved;
	}
	return rc;
}

int
files_replace(int dir, const char *name, const void *bytes, size_t len, mode_t mode)
{
	char new[NAME_MAX + 1];

	if ((size_t)snprintf(new, sizeof(new), "%s.new", name) >= sizeof(new)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlinkat(dir, new, 0);
	if (files_write(dir, new, bytes, len, mode) < 0)
		return -1;
	return renameat(dir, new, dir, name) < 0 ? -1 : fsync(dir);
}

int
files_append(int dir, const char *name, const char *line, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc = fd < 0 ? -1 : write_all(fd, line, strlen(line));

	if (rc == 0)
		rc = fdatasync(fd);
	close_quietly(fd);
	return rc;
}

/* Takes fd over. */
static int
wipe(int fd, unsigned depth)
{
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int rc = 0;

	if (!folder) {
		close_quietly(fd);
		return -1;
	}
	while ((entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) == 0)
			continue;
		if ((errno != EISDIR && errno != EPERM) || depth == 0 ||
		    wipe(openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			depth - 1) < 0 ||
		    unlinkat(fd, name, AT_REMOVEDIR) < 0)
			rc = -1;
	}
	int saved = errno;
	closedir(folder);
	errno = saved;
	return rc;
}

int
files_wipe(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	return wipe(fd, WIPE_DEPTH);
}
