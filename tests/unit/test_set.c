/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sets on the disk, below a root made for each test: what is read, what is staged, and the
 * installation, cut off at each of its steps and taken up again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Its steps are called one by one. */
#include "sync/install.c"

#include <ftw.h>

#define N_FILES 3

static const char *const paths[N_FILES] = {"/etc/a/one", "/etc/a/two", "/etc/three"};
static char root[64], state_folder[96];
static struct store store;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
setup(void **state)
{
	struct set_problem p;

	strcpy(root, "/tmp/pptp-ha-set-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(state_folder, sizeof(state_folder), "%s/var/lib/pptp-ha", root);
	store = (struct store){root, state_folder, "gw2"};
	assert_int_equal(store_prepare(&store, geteuid(), getegid(), &p), 0);
	return 0;
}

static int
teardown(void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *
full(const char *path)
{
	static char text[4][256];
	static unsigned turn;
	char *at = text[turn++ % 4];

	snprintf(at, sizeof(text[0]), "%s%s", root, path);
	return at;
}

static void
put(const char *path, const char *text, mode_t mode)
{
	const char *name;
	int dir = files_parent(full(path), 0755, &name);

	assert_true(dir >= 0);
	assert_int_equal(files_replace(dir, name, text, strlen(text), mode), 0);
	close(dir);
}

/* "" when there is no such file. */
static const char *
get(const char *path)
{
	static char text[4][4096];
	static unsigned turn;
	char *at = text[turn++ % 4];
	FILE *f = fopen(full(path), "r");
	size_t n = f ? fread(at, 1, sizeof(text[0]) - 1, f) : 0;

	at[n] = '\0';
	if (f)
		fclose(f);
	return at;
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(full(path), &st), 0);
	return st.st_mode & 07777;
}

/* A set of the three files, each with that text, in memory. */
static void
make_set(struct set *s, const char *text, uint64_t counter)
{
	*s = (struct set){.generation = {1, counter, "gw1"}, .n = N_FILES};
	for (size_t i = 0; i < N_FILES; i++) {
		struct set_file *f = &s->files[i];

		strcpy(f->path, paths[i]);
		f->bytes = strdup(text);
		f->size = strlen(text);
		f->mode = i == 0 ? 0600 : 0644;
		set_checksum(text, f->size, f->sha256);
	}
}

static void
put_all(const char *text)
{
	for (size_t i = 0; i < N_FILES; i++)
		put(paths[i], text, i == 0 ? 0600 : 0644);
}

static void
assert_all(const char *text)
{
	for (size_t i = 0; i < N_FILES; i++)
		assert_string_equal(get(paths[i]), text);
}

static void
assert_nothing_left(void)
{
	assert_int_equal(access(full("/etc/a/one" SUFFIX), F_OK), -1);
	assert_int_equal(access(full("/etc/a/two" SUFFIX), F_OK), -1);
	assert_int_equal(access(full("/etc/three" SUFFIX), F_OK), -1);
	assert_int_equal(access(full("/var/lib/pptp-ha/" STORE_STATE SUFFIX), F_OK), -1);
	assert_int_equal(access(full("/var/lib/pptp-ha/" JOURNAL), F_OK), -1);
}

static uint64_t
stored_counter(void)
{
	struct set_state state;
	struct set_problem p;

	assert_int_equal(store_load(&store, &state, &p), 0);
	return state.current.generation.counter;
}

static void
scans(void **state)
{
	struct set s = {.n = 2};
	struct set_problem p;

	put("/etc/b", "bee", 0640);
	put("/etc/a/one", "uno", 0777);
	strcpy(s.files[0].path, "/etc/b");
	strcpy(s.files[1].path, "/etc/a/one");
	assert_int_equal(store_scan(&store, &s, false, &p), 0);
	assert_string_equal(s.files[0].path, "/etc/a/one");
	assert_string_equal(s.files[0].bytes, "uno");
	assert_int_equal(s.files[0].mode, 0755);
	assert_int_equal(s.files[1].mode, 0640);
	assert_int_equal(s.files[1].size, 3);
	set_fini(&s);

	s = (struct set){.n = 2};
	strcpy(s.files[0].path, "/etc/nothing");
	strcpy(s.files[1].path, "/etc/b");
	s.files[1].mode = 0600;
	assert_int_equal(store_scan(&store, &s, true, &p), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.files[0].mode, 0600);
	set_fini(&s);

	s = (struct set){.n = 2};
	strcpy(s.files[0].path, "/etc/b");
	strcpy(s.files[1].path, "/etc/nothing");
	assert_int_equal(store_scan(&store, &s, false, &p), -1);
	assert_non_null(strstr(p.text, "/etc/nothing: No such file"));
	assert_int_equal(s.n, 0);
}

static void
notes_changes(void **state)
{
	struct set_state st = {0}, again;
	struct set_problem p;
	struct set s;

	make_set(&s, "text", 0);
	assert_true(store_note_change(&store, &st, &s, 4));
	assert_string_equal(generation_text(&st.current.generation), "4.1.gw2");
	assert_false(store_note_change(&store, &st, &s, 5));
	s.files[1].mode = 0600;
	assert_true(store_note_change(&store, &st, &s, 2));
	assert_string_equal(generation_text(&st.current.generation), "4.2.gw2");
	st.common = (struct generation){3, 3, "gw1"};
	strcpy(st.last_text, "why");
	strcpy(st.refused_text, "because");
	assert_int_equal(store_save(&store, &st, &p), 0);
	assert_int_equal(store_load(&store, &again, &p), 0);
	assert_true(set_same(&st.current, &again.current));
	assert_int_equal(generation_cmp(&st.common, &again.common), 0);
	assert_string_equal(again.last_text, "why");
	assert_string_equal(again.refused_text, "because");
	set_fini(&s);
	put("/var/lib/pptp-ha/" STORE_STATE, "{}", 0600);
	assert_int_equal(store_load(&store, &again, &p), -1);
}

/* From one gateway's spool to the other one's staging folder, as rsync does it. */
static void
copy_spool(void)
{
	struct set_problem p;
	char command[600];

	assert_int_equal(store_wipe(&store, STORE_STAGING, &p), 0);
	snprintf(command, sizeof(command), "cp %s/" STORE_SPOOL "/* %s/" STORE_STAGING "/",
	    state_folder, state_folder);
	assert_int_equal(system(command), 0);
}

static void
stages_and_reads_back(void **state)
{
	struct set s, got;
	struct set_problem p;

	make_set(&s, "secret text", 7);
	assert_int_equal(store_spool(&store, &s, &p), 0);
	assert_int_equal(mode_of("/var/lib/pptp-ha/spool/00-one"), 0600);
	copy_spool();
	assert_int_equal(store_staged(&store, &got, &p), 0);
	assert_true(set_same(&s, &got));
	assert_int_equal(got.generation.counter, 7);
	assert_string_equal(got.files[2].bytes, "secret text");
	set_fini(&got);

	/* A byte changed, a byte more, a file gone, a link, a folder. */
	put("/var/lib/pptp-ha/staging/01-two", "secret tExt", 0600);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_string_equal(p.code, "incomplete");
	copy_spool();
	put("/var/lib/pptp-ha/staging/01-two", "secret text!", 0600);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_string_equal(p.code, "incomplete");
	assert_int_equal(unlink(full("/var/lib/pptp-ha/staging/01-two")), 0);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_string_equal(p.code, "incomplete");
	assert_int_equal(symlink("../spool/01-two", full("/var/lib/pptp-ha/staging/01-two")), 0);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_string_equal(p.code, "incomplete");
	assert_int_equal(unlink(full("/var/lib/pptp-ha/staging/01-two")), 0);
	assert_int_equal(mkdir(full("/var/lib/pptp-ha/staging/01-two"), 0700), 0);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	put("/var/lib/pptp-ha/staging/manifest.json", "{\"format\":1}", 0600);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_string_equal(p.code, "invalid");
	assert_int_equal(store_wipe(&store, STORE_STAGING, &p), 0);
	assert_int_equal(store_staged(&store, &got, &p), -1);
	assert_non_null(strstr(p.text, "nothing is staged"));
	assert_int_equal(got.n, 0);
	set_fini(&s);
}

static void
wiping_follows_no_links(void **state)
{
	struct set_problem p;

	put("/etc/kept", "kept", 0600);
	assert_int_equal(symlink(full("/etc"), full("/var/lib/pptp-ha/staging/link")), 0);
	put("/var/lib/pptp-ha/staging/deep/deeper/file", "x", 0600);
	assert_int_equal(store_wipe(&store, STORE_STAGING, &p), 0);
	assert_int_equal(access(full("/var/lib/pptp-ha/staging/deep"), F_OK), -1);
	assert_string_equal(get("/etc/kept"), "kept");
	/* Nor the folder itself. */
	assert_int_equal(rmdir(full("/var/lib/pptp-ha/staging")), 0);
	assert_int_equal(symlink(full("/etc"), full("/var/lib/pptp-ha/staging")), 0);
	assert_int_equal(store_wipe(&store, STORE_STAGING, &p), -1);
	assert_string_equal(get("/etc/kept"), "kept");
}

static void
installs(void **state)
{
	struct set_state st = {.refused = {1, 1, "gw1"}, .refused_text = "broken"};
	struct set_problem p;
	struct set s;

	make_set(&s, "new", 5);
	assert_int_equal(store_install(&store, &s, &st, &p), 0);
	assert_all("new");
	assert_int_equal(mode_of("/etc/a/one"), 0600);
	assert_int_equal(mode_of("/etc/three"), 0644);
	assert_int_equal(mode_of("/var/lib/pptp-ha/" STORE_STATE), 0600);
	assert_nothing_left();
	assert_int_equal(stored_counter(), 5);
	assert_int_equal(st.common.counter, 5);
	assert_true(generation_none(&st.refused));
	/* A mode alone. */
	s.files[2].mode = 0600;
	s.generation.counter = 6;
	assert_int_equal(store_install(&store, &s, &st, &p), 0);
	assert_int_equal(mode_of("/etc/three"), 0600);
	set_fini(&s);
}

static void
failure_leaves_the_old_files(void **state)
{
	struct set_state st = {0};
	struct set_problem p;
	struct set s;

	put_all("old");
	make_set(&s, "new", 5);
	/* The last file's folder is a file. */
	strcpy(s.files[2].path, "/etc/three/x");
	assert_int_equal(store_install(&store, &s, &st, &p), -1);
	assert_all("old");
	assert_nothing_left();
	assert_int_equal(st.current.n, 0);
	assert_int_equal(stored_counter(), 0);
	set_fini(&s);
}

/* Cut off after `renames` of the N_FILES + 1, or before the swap when it is negative. */
static void
crash(struct set *s, int renames)
{
	struct set_state next = {.current = *s, .common = s->generation};
	struct set_problem p;
	char *text;

	for (size_t i = 0; i < N_FILES; i++)
		next.current.files[i].bytes = NULL;
	text = store_state_text(&next);
	assert_int_equal(write_journal(&store, s, WRITING, &p), 0);
	assert_int_equal(write_new(&store, s, text, &p), 0);
	if (renames >= 0)
		assert_int_equal(write_journal(&store, s, SWAPPING, &p), 0);
	for (size_t i = 0; renames > 0 && i < (size_t)renames; i++) {
		struct place at;

		assert_true(place_of(&at, &store, s, i) >= 0);
		assert_int_equal(renameat(at.dir, at.new, at.dir, at.name), 0);
		close(at.dir);
	}
	free(text);
}

static void
recovers_from_every_crash(void **state)
{
	struct set_problem p;
	struct set s;

	make_set(&s, "new", 9);
	for (int renames = -1; renames <= N_FILES + 1; renames++) {
		struct set_state st = {0};
		struct set old;

		make_set(&old, "old", 8);
		assert_int_equal(store_install(&store, &old, &st, &p), 0);
		set_fini(&old);
		assert_all("old");
		crash(&s, renames);
		/* Twice: what is done once is harmless again. */
		assert_int_equal(store_recover(&store, &p), 0);
		assert_int_equal(store_recover(&store, &p), 0);
		assert_all(renames < 0 ? "old" : "new");
		assert_int_equal(stored_counter(), renames < 0 ? 8 : 9);
		assert_nothing_left();
	}
	set_fini(&s);
}

static void
recovery_reports_a_broken_journal(void **state)
{
	struct set_problem p;

	put("/var/lib/pptp-ha/" JOURNAL, "{\"phase\":\"swapping\",\"set\":{}}", 0600);
	assert_int_equal(store_recover(&store, &p), -1);
	assert_non_null(strstr(p.text, "cannot be read"));
}

static void
keeps_the_loser(void **state)
{
	struct set_problem p;
	struct set ours, theirs;
	json_t *names;

	make_set(&ours, "ours", 1);
	make_set(&theirs, "theirs", 2);
	free(theirs.files[1].bytes);
	theirs.files[1] = ours.files[1];
	theirs.files[1].bytes = strdup("ours");
	assert_int_equal(store_keep(&store, &ours, &theirs, 1700000000, &names, &p), 0);
	assert_int_equal(json_array_size(names), 2);
	assert_string_equal(
	    json_string_value(json_array_get(names, 0)), "one.20231114T221320Z.conflict");
	assert_string_equal(get("/var/lib/pptp-ha/conflict/one.20231114T221320Z.conflict"), "ours");
	assert_int_equal(
	    mode_of("/var/lib/pptp-ha/conflict/three.20231114T221320Z.conflict"), 0600);
	json_decref(names);
	/* Within the same second nothing is overwritten. */
	assert_int_equal(store_keep(&store, &ours, &theirs, 1700000000, &names, &p), 0);
	assert_string_equal(
	    json_string_value(json_array_get(names, 0)), "one.20231114T221320Z-2.conflict");
	json_decref(names);
	set_fini(&ours);
	set_fini(&theirs);
}

static void
audits(void **state)
{
	struct set s;
	json_t *line;

	make_set(&s, "very secret", 3);
	assert_int_equal(store_audit(&store, "in", "gw1", &s, "installed", "reload: ok", 12), 0);
	assert_int_equal(mode_of("/var/lib/pptp-ha/audit.log"), 0600);
	line = json_loads(get("/var/lib/pptp-ha/audit.log"), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "direction")), "in");
	assert_int_equal(json_integer_value(json_object_get(line, "ms")), 12);
	assert_int_equal(json_array_size(json_object_get(line, "files")), N_FILES);
	assert_non_null(json_object_get(line, "time"));
	json_decref(line);
	assert_int_equal(store_audit(&store, "out", "gw1", &s, "late", "", 1), 0);
	assert_non_null(strstr(get("/var/lib/pptp-ha/audit.log"), "}\n{"));
	assert_null(strstr(get("/var/lib/pptp-ha/audit.log"), "very secret"));
	set_fini(&s);
}

static void
locks(void **state)
{
	struct set_problem p;
	int one = store_lock(&store, "set.lock", 0, &p), other;

	assert_true(one >= 0);
	assert_int_equal(store_lock(&store, "set.lock", 30, &p), -1);
	assert_string_equal(p.code, "busy");
	other = store_lock(&store, "push.lock", 0, &p);
	assert_true(other >= 0);
	close(one);
	one = store_lock(&store, "set.lock", 0, &p);
	assert_true(one >= 0);
	close(one);
	close(other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(scans),
	    T(notes_changes),
	    T(stages_and_reads_back),
	    T(wiping_follows_no_links),
	    T(installs),
	    T(failure_leaves_the_old_files),
	    T(recovers_from_every_crash),
	    T(recovery_reports_a_broken_journal),
	    T(keeps_the_loser),
	    T(audits),
	    T(locks),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
