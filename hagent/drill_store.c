/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files of reports.
 */
#include "hagent/drill_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hagent/drill_report.h"

#define SUFFIX ".json"

void
drill_id_make(int64_t now_ms, const char *node, char out[static DRILL_ID_MAX])
{
	time_t t = (time_t)(now_ms / 1000);
	struct tm tm;
	char stamp[20];

	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(out, DRILL_ID_MAX, "%s-%s", stamp, node);
}

bool
drill_id_valid(const char *id)
{
	size_t len = strlen(id);

	return len > 0 && len < DRILL_ID_MAX &&
	       id[strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] ==
		   '\0';
}

static int
path_of(const char *folder, const char *id, const char *suffix, char out[static PATH_MAX])
{
	if (drill_id_valid(id) && snprintf(out, PATH_MAX, "%s/%s%s", folder, id, suffix) < PATH_MAX)
		return 0;
	errno = EINVAL;
	return -1;
}

static void
prune(const char *folder)
{
	json_t *ids = drill_store_ids(folder);
	char path[PATH_MAX];

	for (size_t i = DRILL_KEEP; i < json_array_size(ids); i++) {
		if (path_of(folder, json_string_value(json_array_get(ids, i)), SUFFIX, path) == 0)
			unlink(path);
	}
	json_decref(ids);
}

int
drill_store_write(const char *folder, const char *id, const json_t *report)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int fd, result = -1;

	if (path_of(folder, id, SUFFIX, path) < 0 || path_of(folder, id, ".new", temporary) < 0)
		return -1;
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return -1;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (json_dumpfd(report, fd, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) ==
		0 &&
	    fsync(fd) == 0)
		result = rename(temporary, path);
	int saved = errno;
	close(fd);
	if (result < 0)
		unlink(temporary);
	else
		prune(folder);
	errno = saved;
	return result;
}

json_t *
drill_store_read(const char *folder, const char *id)
{
	char path[PATH_MAX];
	json_t *o;

	if (path_of(folder, id, SUFFIX, path) < 0)
		return NULL;
	if (access(path, R_OK) < 0)
		return NULL;
	o = json_load_file(path, 0, NULL);
	if (json_is_object(o))
		return o;
	json_decref(o);
	errno = EBADMSG;
	return NULL;
}

static int
newest_first(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*y, *x);
}

json_t *
drill_store_ids(const char *folder)
{
	json_t *ids = json_array();
	struct dirent *entry;
	char **names = NULL;
	size_t n = 0;
	DIR *d = opendir(folder);

	while (d && (entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name), tail = strlen(SUFFIX);
		char **more;

		if (len <= tail || strcmp(entry->d_name + len - tail, SUFFIX) != 0 ||
		    (more = realloc(names, (n + 1) * sizeof(*names))) == NULL)
			continue;
		names = more;
		names[n] = strndup(entry->d_name, len - tail);
		if (names[n] && drill_id_valid(names[n]))
			n++;
		else
			free(names[n]);
	}
	if (d)
		closedir(d);
	if (n > 0)
		qsort(names, n, sizeof(*names), newest_first);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(ids, json_string(names[i]));
		free(names[i]);
	}
	free(names);
	return ids;
}

json_t *
drill_store_list(const char *folder, unsigned limit)
{
	json_t *ids = drill_store_ids(folder), *list = json_array(), *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		json_t *report = i < limit ? drill_store_read(folder, json_string_value(id)) : NULL;

		if (report)
			json_array_append_new(list, drill_report_summary(report));
		json_decref(report);
	}
	json_decref(ids);
	return list;
}
