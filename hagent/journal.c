/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The journal's file.
 */
#include "hagent/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define TAIL_MAX (512 << 10)

int64_t
journal_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
journal_time(int64_t unix_ms, char out[static 25])
{
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[64];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 25, "%.19s.%03uZ", text, (unsigned)(unix_ms % 1000) % 1000);
}

int64_t
journal_unix_ms(const char *text)
{
	struct tm tm = {0};
	int ms = 0, used = 0;

	if (!text ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &used) != 7 ||
	    used != 24 || text[24] != '\0')
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

static int
open_file(struct journal *j)
{
	j->fd = open(j->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	return j->fd < 0 ? -1 : 0;
}

int
journal_open(struct journal *j, const char *path)
{
	*j = (struct journal){.path = strdup(path), .fd = -1};
	return j->path ? open_file(j) : -1;
}

void
journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->path);
	json_decref(j->recent);
	*j = (struct journal){.fd = -1};
}

static void
rotate(struct journal *j)
{
	struct stat st;
	char old[4096];

	if (j->fd < 0 || fstat(j->fd, &st) < 0 || st.st_size < JOURNAL_FILE_MAX ||
	    (size_t)snprintf(old, sizeof(old), "%s.1", j->path) >= sizeof(old))
		return;
	if (rename(j->path, old) == 0) {
		close(j->fd);
		open_file(j);
	}
}

/* One write() a line, its newline first after one that got out in part. */
static int
put(struct journal *j, const char *line, size_t len)
{
	rotate(j);
	if (j->fd < 0 && open_file(j) < 0)
		return -1;
	if (j->failing && write(j->fd, "\n", 1) != 1)
		return -1;
	ssize_t n = write(j->fd, line, len);
	if (n >= 0 && (size_t)n != len)
		errno = ENOSPC;
	return n >= 0 && (size_t)n == len ? 0 : -1;
}

void
journal_remember(struct journal *j, json_t *line)
{
	if (!j->recent)
		j->recent = json_array();
	if (json_array_size(j->recent) >= JOURNAL_RECENT)
		json_array_remove(j->recent, 0);
	json_array_append(j->recent, line);
}

json_t *
journal_recent(const struct journal *j, size_t limit)
{
	size_t n = json_array_size(j->recent);
	json_t *list = json_array();

	for (size_t i = n > limit ? n - limit : 0; i < n; i++)
		json_array_append(list, json_array_get(j->recent, i));
	return list;
}

/* The line as it stands in the file. */
static void
remember_own(struct journal *j, const char *now, json_t *o)
{
	json_t *line = json_pack("{s:s}", "time", now);

	json_object_update(line, o);
	journal_remember(j, line);
	json_decref(line);
}

void
journal_add(struct journal *j, json_t *o)
{
	char now[25], *text, *line = NULL;
	int len = -1;

	journal_time(journal_now_ms(), now);
	/* A line is built by hand at its front so that the time stands first. */
	text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	remember_own(j, now, o);
	json_decref(o);
	if (text)
		len = asprintf(&line, "{\"time\":\"%s\",%s\n", now, text + 1);
	if (len > 0 && put(j, line, (size_t)len) == 0) {
		j->failing = false;
	} else {
		j->lost++;
		if (!j->failing)
			log_warn("journal cannot be written path=\"%s\" error=\"%s\"", j->path,
			    strerror(errno));
		j->failing = true;
	}
	if (len > 0)
		free(line);
	free(text);
}

void
journal_event(struct journal *j, const char *event, const char *fmt, ...)
{
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	for (char *p = detail; *p; p++) /* JSON strings are UTF-8 */
		if ((signed char)*p < 0)
			*p = '?';
	log_info("%s %s", event, detail);
	journal_add(
	    j, json_pack("{s:s,s:s,s:s}", "kind", "event", "event", event, "detail", detail));
}

/* The last TAIL_MAX bytes of the file, from the beginning of a line on; NULL with errno. */
static char *
read_tail(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	char *text = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return errno == ENOENT ? strdup("") : NULL;
	if (fstat(fd, &st) < 0)
		goto out;
	off_t from = st.st_size > TAIL_MAX ? st.st_size - TAIL_MAX : 0;
	size_t size = (size_t)(st.st_size - from);
	text = malloc(size + 1);
	n = text ? pread(fd, text, size, from) : -1;
	if (n >= 0) {
		text[n] = '\0';
		const char *line = from > 0 ? strchr(text, '\n') : NULL;
		if (line)
			memmove(text, line + 1, strlen(line));
	}
out:
	if (n < 0) {
		free(text);
		text = NULL;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return text;
}

json_t *
journal_tail(const char *path, size_t limit)
{
	char *text = read_tail(path), *rest = text, *line;
	json_t *list = text ? json_array() : NULL;

	while (list && (line = strsep(&rest, "\n"))) {
		json_t *o = rest ? json_loads(line, 0, NULL) : NULL; /* no newline: half a line */

		if (json_is_object(o))
			json_array_append(list, o);
		json_decref(o);
		if (json_array_size(list) > limit)
			json_array_remove(list, 0);
	}
	free(text);
	return list;
}
