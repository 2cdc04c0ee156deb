/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A set as a folder: NN-NAME for each file, in the order of the manifest, and manifest.json, which
 * sorts behind them, so that rsync's delayed updates put it in place last. What comes from the peer
 * is believed only after its checksum was compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/files.h"
#include "sync/set.h"

#define MANIFEST_MAX 65536

static void
spool_name(const struct set *set, size_t i, char name[static SET_PATH_MAX + 4])
{
	snprintf(name, SET_PATH_MAX + 4, "%02zu-%s", i % 100, strrchr(set->files[i].path, '/') + 1);
}

/* A folder within the state folder: a descriptor, or -1. */
static int
open_part(const struct store *s, const char *part)
{
	int dir = files_folder(s->state, 0), fd;

	if (dir < 0)
		return -1;
	fd = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

int
store_spool(const struct store *s, const struct set *set, struct set_problem *p)
{
	json_t *manifest = set_to_json(set);
	char *text = manifest ? json_dumps(manifest, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
	char name[SET_PATH_MAX + 4] = STORE_SPOOL;
	int dir = -1, rc = -1;

	errno = ENOMEM;
	if (!text || store_wipe(s, STORE_SPOOL, p) < 0 || (dir = open_part(s, STORE_SPOOL)) < 0)
		goto out;
	for (size_t i = 0; i < set->n; i++) {
		spool_name(set, i, name);
		if (files_write(dir, name, set->files[i].bytes, set->files[i].size, 0600) < 0)
			goto out;
	}
	strcpy(name, STORE_MANIFEST);
	if (files_write(dir, name, text, strlen(text), 0600) == 0)
		rc = 0;
out:
	if (rc < 0)
		store_problem(p, s->state, name);
	if (dir >= 0)
		close(dir);
	free(text);
	json_decref(manifest);
	return rc;
}

static int
read_manifest(int dir, struct set *set, struct set_problem *p)
{
	size_t len;
	char *text = files_read(dir, STORE_MANIFEST, MANIFEST_MAX, &len, NULL);
	json_t *j = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *why = "not JSON";
	int rc = -1;

	if (!text && errno == ENOENT)
		set_problem(p, "incomplete", "nothing is staged");
	else if (!text)
		store_problem(p, STORE_STAGING, STORE_MANIFEST);
	else if (!j || set_from_json(set, j, &why) < 0)
		set_problem(p, "invalid", "manifest: %s", why);
	else if (set->n == 0)
		set_problem(p, "invalid", "manifest: files: want at least one");
	else
		rc = 0;
	json_decref(j);
	free(text);
	return rc;
}

static int
read_staged(int dir, struct set *set, size_t i, struct set_problem *p)
{
	struct set_file *f = &set->files[i];
	char name[SET_PATH_MAX + 4], sum[SET_SHA256];
	size_t len;

	spool_name(set, i, name);
	f->bytes = files_read(dir, name, SET_SIZE_MAX, &len, NULL);
	if (!f->bytes)
		return set_problem(
		    p, "incomplete", "%s is not staged whole: %s", f->path, strerror(errno));
	set_checksum(f->bytes, len, sum);
	/* Its length first: set_fini() wipes as much as size says. */
	uint64_t want = f->size;
	f->size = len;
	if (len != want || strcmp(sum, f->sha256) != 0)
		return set_problem(
		    p, "incomplete", "%s is not staged whole: its checksum differs", f->path);
	return 0;
}

int
store_staged(const struct store *s, struct set *set, struct set_problem *p)
{
	int dir = open_part(s, STORE_STAGING), rc;

	*set = (struct set){0};
	if (dir < 0)
		return store_problem(p, s->state, STORE_STAGING);
	rc = read_manifest(dir, set, p);
	for (size_t i = 0; i < set->n && rc == 0; i++)
		rc = read_staged(dir, set, i, p);
	if (rc < 0)
		set_fini(set);
	close(dir);
	return rc;
}
