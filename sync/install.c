/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Putting a set in place. The steps: a journal that says "writing"; every file that changes, and
 * the new state, as NAME.pptp-ha-new beside its place, synced; the journal says "swapping", the
 * point of no return; renames, which need no space; the journal goes. A crash before the point is
 * undone by removing the new files, one after it is completed by doing the renames that are left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sync/files.h"
#include "sync/set.h"

#define JOURNAL     "install"
#define JOURNAL_MAX 65536
#define WRITING     "writing"
#define SWAPPING    "swapping"
#define SUFFIX      ".pptp-ha-new"
#define FOLDER_MODE 0755

/* One file of a set, or the state: its folder's descriptor and its two names there. */
struct place {
	int dir;
	const char *name; /* points into path */
	char new[SET_PATH_MAX + sizeof(SUFFIX)];
	char path[4096];
};

static int
place_open(struct place *at, const struct store *s, const char *root, const char *path)
{
	snprintf(at->path, sizeof(at->path), "%s%s", root, path);
	at->dir = files_parent(at->path, FOLDER_MODE, &at->name);
	if ((size_t)snprintf(at->new, sizeof(at->new), "%s" SUFFIX, at->name) >= sizeof(at->new)) {
		errno = ENAMETOOLONG;
		if (at->dir >= 0)
			close(at->dir);
		at->dir = -1;
	}
	return at->dir;
}

/* i = n: the state. */
static int
place_of(struct place *at, const struct store *s, const struct set *set, size_t i)
{
	return i < set->n ? place_open(at, s, s->root, set->files[i].path)
			  : place_open(at, s, s->state, "/" STORE_STATE);
}

/* Whether a file already is what it shall be. */
static bool
is_right(int dir, const char *name, const struct set_file *f)
{
	char sum[SET_SHA256] = "";
	struct stat st;
	size_t len;
	char *bytes = files_read(dir, name, SET_SIZE_MAX, &len, &st);

	if (bytes) {
		set_checksum(bytes, len, sum);
		explicit_bzero(bytes, len);
	}
	free(bytes);
	return strcmp(sum, f->sha256) == 0 && (st.st_mode & 07777) == f->mode;
}

/* ---- the steps ---- */

static int
write_journal(
    const struct store *s, const struct set *set, const char *phase, struct set_problem *p)
{
	json_t *j = json_pack("{s:s, s:o}", "phase", phase, "set", set_to_json(set));
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	int dir = files_folder(s->state, 0), rc = -1;

	if (!text)
		errno = ENOMEM;
	if (text && dir >= 0)
		rc = files_replace(dir, JOURNAL, text, strlen(text), 0600);
	if (rc < 0)
		store_problem(p, s->state, JOURNAL);
	if (dir >= 0)
		close(dir);
	free(text);
	json_decref(j);
	return rc;
}

static int
end_journal(const struct store *s, struct set_problem *p)
{
	int dir = files_folder(s->state, 0), rc = -1;

	if (dir >= 0 && (unlinkat(dir, JOURNAL, 0) == 0 || errno == ENOENT) && fsync(dir) == 0)
		rc = 0;
	if (rc < 0)
		store_problem(p, s->state, JOURNAL);
	if (dir >= 0)
		close(dir);
	return rc;
}

static void
remove_new(const struct store *s, const struct set *set)
{
	struct place at;

	for (size_t i = 0; i <= set->n; i++) {
		if (place_of(&at, s, set, i) < 0)
			continue;
		unlinkat(at.dir, at.new, 0);
		close(at.dir);
	}
}

static int
write_new(const struct store *s, const struct set *set, const char *state, struct set_problem *p)
{
	struct place at;
	int rc = 0;

	for (size_t i = 0; i <= set->n && rc == 0; i++) {
		const struct set_file *f = i < set->n ? &set->files[i] : NULL;

		if (place_of(&at, s, set, i) < 0)
			return store_problem(p, s->root, f ? f->path + 1 : STORE_STATE);
		unlinkat(at.dir, at.new, 0);
		if (!f)
			rc = files_write(at.dir, at.new, state, strlen(state), 0600);
		else if (!is_right(at.dir, at.name, f))
			rc = files_write(at.dir, at.new, f->bytes, f->size, f->mode);
		if (rc < 0)
			store_problem(p, s->root, f ? f->path + 1 : STORE_STATE);
		close(at.dir);
	}
	return rc;
}

/*
 * The renames. A file whose new one is not there has been moved already, or was right before; the
 * state comes last.
 */
static int
swap(const struct store *s, const struct set *set, struct set_problem *p)
{
	struct place at;
	int rc = 0;

	for (size_t i = 0; i <= set->n; i++) {
		if (place_of(&at, s, set, i) < 0 ||
		    (renameat(at.dir, at.new, at.dir, at.name) < 0 && errno != ENOENT) ||
		    fsync(at.dir) < 0)
			rc = store_problem(
			    p, s->root, i < set->n ? set->files[i].path + 1 : STORE_STATE);
		if (at.dir >= 0)
			close(at.dir);
	}
	return rc;
}

int
store_install(
    const struct store *s, const struct set *set, struct set_state *state, struct set_problem *p)
{
	struct set_state next = *state;
	char *text;
	int rc = -1;

	next.current = *set;
	next.common = set->generation;
	next.common_at = time(NULL);
	next.refused = (struct generation){0};
	next.refused_text[0] = '\0';
	for (size_t i = 0; i < next.current.n; i++)
		next.current.files[i].bytes = NULL;
	text = store_state_text(&next);
	if (!text)
		return set_problem(p, "internal", "out of memory");
	if (write_journal(s, set, WRITING, p) < 0 || write_new(s, set, text, p) < 0 ||
	    write_journal(s, set, SWAPPING, p) < 0) {
		struct set_problem ignored;

		remove_new(s, set);
		end_journal(s, &ignored);
	} else if (swap(s, set, p) == 0) {
		/* In place. A journal that cannot be removed only repeats renames that are done. */
		rc = end_journal(s, p);
		*state = next;
	}
	free(text);
	return rc;
}

int
store_recover(const struct store *s, struct set_problem *p)
{
	struct set set = {0};
	int dir = files_folder(s->state, 0), rc = 0;
	size_t len;
	char *text = dir < 0 ? NULL : files_read(dir, JOURNAL, JOURNAL_MAX, &len, NULL);
	json_t *j = text ? json_loadb(text, len, 0, NULL) : NULL;
	const char *phase = json_string_value(json_object_get(j, "phase")), *why;

	if (!text && errno != ENOENT) {
		rc = store_problem(p, s->state, JOURNAL);
	} else if (text && (!phase || set_from_json(&set, json_object_get(j, "set"), &why) < 0)) {
		rc = set_problem(p, "internal",
		    "%s/%s cannot be read; see which files are right, and remove it", s->state,
		    JOURNAL);
	} else if (text) {
		if (strcmp(phase, SWAPPING) == 0)
			rc = swap(s, &set, p);
		else
			remove_new(s, &set);
		if (rc == 0)
			rc = end_journal(s, p);
	}
	json_decref(j);
	free(text);
	if (dir >= 0)
		close(dir);
	return rc;
}

/* ---- what lost ---- */

int
store_keep(const struct store *s, const struct set *ours, const struct set *theirs, int64_t now,
    json_t **names, struct set_problem *p)
{
	char folder[4096], stamp[32], name[SET_PATH_MAX + 64];
	time_t when = (time_t)now;
	struct tm tm;
	int dir, rc = 0;

	snprintf(folder, sizeof(folder), "%s/" STORE_CONFLICT, s->state);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&when, &tm));
	*names = json_array();
	dir = files_folder(folder, 0700);
	if (dir < 0)
		return store_problem(p, s->state, STORE_CONFLICT);
	for (size_t i = 0; i < ours->n && rc == 0; i++) {
		const struct set_file *f = &ours->files[i], *other = set_find(theirs, f->path);
		unsigned turn = 1;

		if (other && strcmp(other->sha256, f->sha256) == 0)
			continue;
		snprintf(name, sizeof(name), "%s.%s.conflict", strrchr(f->path, '/') + 1, stamp);
		while ((rc = files_write(dir, name, f->bytes, f->size, 0600)) < 0 &&
		       errno == EEXIST && turn < 100)
			snprintf(name, sizeof(name), "%s.%s-%u.conflict", strrchr(f->path, '/') + 1,
			    stamp, ++turn);
		if (rc < 0)
			store_problem(p, folder, name);
		else
			json_array_append_new(*names, json_string(name));
	}
	close(dir);
	return rc;
}
