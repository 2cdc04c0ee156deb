/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's track file: see track.h. The file is not replaced by rename(): an inode that is
 * written in place keeps its owner and mode, and keepalived reads it once per change.
 */
#include "keepalived/track.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int
track_write_value(const char *path, unsigned value)
{
	const char text[2] = {(char)('0' + value), '\n'};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	int rc = -1, saved;

	if (fd < 0)
		return -1;
	ssize_t n = pwrite(fd, text, sizeof(text), 0);
	if (n == 2 && fstat(fd, &st) == 0 && (st.st_size == 2 || ftruncate(fd, 2) == 0))
		rc = 0;
	saved = n >= 0 && n != 2 ? EIO : errno;
	close(fd);
	errno = saved;
	return rc;
}

int
track_write(const char *path, bool fault)
{
	return track_write_value(path, fault);
}

int
track_read_value(const char *path, unsigned *value)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[3];

	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text));
	int saved = errno;
	close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	if (n != 2 || text[0] < '0' || text[0] > '9' || text[1] != '\n') {
		errno = EBADMSG;
		return -1;
	}
	*value = (unsigned)(text[0] - '0');
	return 0;
}

int
track_read(const char *path, bool *fault)
{
	unsigned value;

	if (track_read_value(path, &value) < 0)
		return -1;
	if (value > 1) {
		errno = EBADMSG;
		return -1;
	}
	*fault = value == 1;
	return 0;
}
