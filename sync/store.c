/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state folder: its parts, its locks, what is remembered, the audit log; and the reading of the
 * files of a set.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sync/files.h"
#include "sync/set.h"

#define AUDIT         "audit.log"
#define STATE_MAX     (1u << 20)
#define SERVE_LOG_MAX (1u << 20)
#define MODE_KEPT     0755
#define LOCK_PAUSE_NS 20000000

void
set_ascii(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text > 126)
			*text = '?';
	}
}

int
set_problem(struct set_problem *p, const char *code, const char *fmt, ...)
{
	va_list ap;

	p->code = code;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	set_ascii(p->text);
	return -1;
}

int
store_problem(struct set_problem *p, const char *folder, const char *name)
{
	int error = errno;

	return set_problem(p, error == ENOSPC || error == EDQUOT ? "disk-full" : "internal",
	    "%s/%s: %s", folder, name, strerror(error));
}

/* ---- folders ---- */

static int
make_folder(int dir, const char *name, uid_t uid, gid_t gid)
{
	int fd, rc = -1;

	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fchown(fd, uid, gid) == 0 && fchmod(fd, 0700) == 0)
		rc = 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* The user's own log: one old one is kept, so that the peer cannot fill the disk with it. */
static int
make_serve_log(int dir, uid_t uid, gid_t gid)
{
	struct stat st;
	int fd, rc = -1;

	if (fstatat(dir, STORE_SERVE_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size > SERVE_LOG_MAX &&
	    renameat(dir, STORE_SERVE_LOG, dir, STORE_SERVE_LOG ".1") < 0)
		return -1;
	fd = openat(dir, STORE_SERVE_LOG, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && fchown(fd, uid, gid) == 0 && fchmod(fd, 0600) == 0)
		rc = 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int
store_prepare(const struct store *s, uid_t uid, gid_t gid, struct set_problem *p)
{
	int dir = files_folder(s->state, 0755), rc = -1;

	if (dir < 0)
		return store_problem(p, s->state, "");
	/* The pair's user passes through it to its own folder, whatever our umask is. */
	if (fchmod(dir, 0755) < 0)
		store_problem(p, s->state, "");
	else if (make_folder(dir, STORE_SPOOL, geteuid(), getegid()) < 0)
		store_problem(p, s->state, STORE_SPOOL);
	else if (make_folder(dir, STORE_CONFLICT, geteuid(), getegid()) < 0)
		store_problem(p, s->state, STORE_CONFLICT);
	else if (make_folder(dir, STORE_STAGING, uid, gid) < 0)
		store_problem(p, s->state, STORE_STAGING);
	else if (make_serve_log(dir, uid, gid) < 0)
		store_problem(p, s->state, STORE_SERVE_LOG);
	else if (store_recover(s, p) == 0 && store_wipe(s, STORE_STAGING, p) == 0)
		rc = store_wipe(s, STORE_SPOOL, p);
	close(dir);
	return rc;
}

int
store_wipe(const struct store *s, const char *folder, struct set_problem *p)
{
	int dir = files_folder(s->state, 0);
	int rc = dir < 0 ? -1 : files_wipe(dir, folder);

	if (rc < 0)
		store_problem(p, s->state, folder);
	if (dir >= 0)
		close(dir);
	return rc;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
store_lock(const struct store *s, const char *name, int timeout_ms, struct set_problem *p)
{
	int64_t deadline = now_ms() + timeout_ms;
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	int dir = files_folder(s->state, 0), fd = -1;

	if (dir >= 0)
		fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		store_problem(p, s->state, name);
	if (dir >= 0)
		close(dir);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (now_ms() >= deadline) {
			close(fd);
			return set_problem(
			    p, "busy", "%s/%s is held by another transfer", s->state, name);
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* ---- state ---- */

static void
take_text(const json_t *j, const char *name, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(j, name));

	snprintf(out, size, "%s", text ? text : "");
}

static int
state_from_json(struct set_state *state, const json_t *j, const char **why)
{
	const json_t *last = json_object_get(j, "last"), *refused = json_object_get(j, "refused");

	if (set_from_json(&state->current, json_object_get(j, "current"), why) < 0 ||
	    generation_from_json(&state->common, json_object_get(j, "common"), why) < 0 ||
	    generation_from_json(&state->refused, json_object_get(refused, "generation"), why) < 0)
		return -1;
	state->common_at = json_integer_value(json_object_get(j, "common_at"));
	take_text(refused, "text", state->refused_text, sizeof(state->refused_text));
	take_text(last, "direction", state->last_direction, sizeof(state->last_direction));
	take_text(last, "result", state->last_result, sizeof(state->last_result));
	take_text(last, "text", state->last_text, sizeof(state->last_text));
	state->last_at = json_integer_value(json_object_get(last, "time"));
	return 0;
}

int
store_load(const struct store *s, struct set_state *state, struct set_problem *p)
{
	int dir = files_folder(s->state, 0), rc = -1;
	size_t len;
	char *text = dir < 0 ? NULL : files_read(dir, STORE_STATE, STATE_MAX, &len, NULL);
	json_t *j = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *why = "not JSON";

	*state = (struct set_state){0};
	if (!text && errno == ENOENT)
		rc = 0;
	else if (!text)
		store_problem(p, s->state, STORE_STATE);
	else if (!j || state_from_json(state, j, &why) < 0)
		set_problem(p, "internal", "%s/%s: %s; move it away to begin anew", s->state,
		    STORE_STATE, why);
	else
		rc = 0;
	if (rc < 0)
		*state = (struct set_state){0};
	json_decref(j);
	free(text);
	if (dir >= 0)
		close(dir);
	return rc;
}

static json_t *
state_to_json(const struct set_state *state)
{
	return json_pack("{s:o, s:o, s:I, s:{s:o, s:s}, s:{s:s, s:s, s:s, s:I}}", "current",
	    set_to_json(&state->current), "common", generation_to_json(&state->common), "common_at",
	    (json_int_t)state->common_at, "refused", "generation",
	    generation_to_json(&state->refused), "text", state->refused_text, "last", "direction",
	    state->last_direction, "result", state->last_result, "text", state->last_text, "time",
	    (json_int_t)state->last_at);
}

char *
store_state_text(const struct set_state *state)
{
	json_t *j = state_to_json(state);
	char *text = j ? json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(j);
	if (!text)
		errno = ENOMEM;
	return text;
}

int
store_save(const struct store *s, const struct set_state *state, struct set_problem *p)
{
	int dir = files_folder(s->state, 0755), rc = -1;
	char *text = store_state_text(state);

	if (!text || dir < 0 || files_replace(dir, STORE_STATE, text, strlen(text), 0600) < 0)
		store_problem(p, s->state, STORE_STATE);
	else
		rc = 0;
	free(text);
	if (dir >= 0)
		close(dir);
	return rc;
}

/* ---- the files ---- */

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct set_file *)a)->path, ((const struct set_file *)b)->path);
}

static int
scan_file(const struct store *s, struct set_file *f)
{
	char full[4096];
	const char *name;
	struct stat st;
	size_t len = 0;
	int dir;

	snprintf(full, sizeof(full), "%s%s", s->root, f->path);
	dir = files_parent(full, 0, &name);
	if (dir < 0)
		return -1;
	f->bytes = files_read(dir, name, SET_SIZE_MAX, &len, &st);
	int saved = errno;
	close(dir);
	errno = saved;
	if (!f->bytes)
		return -1;
	f->size = len;
	if (f->mode == 0)
		f->mode = st.st_mode & MODE_KEPT;
	set_checksum(f->bytes, len, f->sha256);
	return 0;
}

int
store_scan(const struct store *s, struct set *set, bool missing_ok, struct set_problem *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct set_file *f = &set->files[i];

		if (scan_file(s, f) == 0) {
			set->files[kept++] = *f;
		} else if (!missing_ok || errno != ENOENT) {
			store_problem(p, s->root, f->path + 1);
			/* Those before it have moved down; the rest was not read. */
			set->n = kept;
			set_fini(set);
			return -1;
		}
	}
	set->n = kept;
	qsort(set->files, set->n, sizeof(set->files[0]), by_path);
	return 0;
}

bool
store_note_change(
    const struct store *s, struct set_state *state, const struct set *scanned, uint64_t epoch)
{
	struct generation g = state->current.generation;

	if (state->current.n > 0 && set_same(&state->current, scanned))
		return false;
	g.epoch = epoch > g.epoch ? epoch : g.epoch;
	g.counter++;
	snprintf(g.node, sizeof(g.node), "%s", s->node);
	state->current = *scanned;
	for (size_t i = 0; i < scanned->n; i++)
		state->current.files[i].bytes = NULL;
	state->current.generation = g;
	return true;
}

/* ---- audit ---- */

int
store_audit(const struct store *s, const char *direction, const char *peer, const struct set *set,
    const char *result, const char *text, int64_t ms)
{
	json_t *files = json_array(), *line;
	char stamp[32], *dump = NULL;
	time_t now = time(NULL);
	struct tm tm;
	int dir = files_folder(s->state, 0755), rc = -1;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(files, json_pack("{s:s, s:s}", "path", set->files[i].path,
						 "sha256", set->files[i].sha256));
	line = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:I}", "time", stamp, "direction",
	    direction, "peer", peer, "generation", generation_to_json(&set->generation), "files",
	    files, "result", result, "text", text, "ms", (json_int_t)ms);
	dump = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(line);
	if (dump && dir >= 0) {
		char *whole = NULL;

		if (asprintf(&whole, "%s\n", dump) > 0)
			rc = files_append(dir, AUDIT, whole, 0600);
		free(whole);
	}
	free(dump);
	if (dir >= 0)
		close(dir);
	return rc;
}
