/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Manifests, generations, and what becomes of two sets that differ.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/manifest.h"

#define SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const char golden[] =
    "{\"format\":1,\"generation\":{\"epoch\":3,\"counter\":7,\"node\":\"gw1\"},"
    "\"base\":{\"epoch\":3,\"counter\":6,\"node\":\"gw2\"},"
    "\"files\":[{\"path\":\"/etc/ppp/chap-secrets\",\"sha256\":\"" SUM
    "\",\"size\":3,\"mode\":384},"
    "{\"path\":\"/etc/pptpd.conf\",\"sha256\":\"" SUM "\",\"size\":3,\"mode\":420}]}";

static int
parse(struct set *s, const char *text, const char **why)
{
	json_t *j = json_loads(text, JSON_ALLOW_NUL, NULL);
	int rc;

	assert_non_null(j);
	*why = NULL;
	rc = set_from_json(s, j, why);
	json_decref(j);
	return rc;
}

static void
reads_and_writes_the_golden_manifest(void **state)
{
	struct set s, again;
	const char *why;
	char *text;
	json_t *j;

	assert_int_equal(parse(&s, golden, &why), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.generation.epoch, 3);
	assert_int_equal(s.generation.counter, 7);
	assert_string_equal(s.generation.node, "gw1");
	assert_string_equal(s.base.node, "gw2");
	assert_string_equal(s.files[0].path, "/etc/ppp/chap-secrets");
	assert_string_equal(s.files[0].sha256, SUM);
	assert_int_equal(s.files[0].mode, 0600);
	assert_int_equal(s.files[1].size, 3);
	assert_null(s.files[0].bytes);
	j = set_to_json(&s);
	text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
	assert_string_equal(text, golden);
	assert_int_equal(parse(&again, text, &why), 0);
	assert_true(set_same(&s, &again));
	free(text);
	json_decref(j);
}

/* The golden one with one part replaced by another. */
static void
refused_with(const char *part, const char *other, const char *want)
{
	char text[2048];
	const char *at = strstr(golden, part), *why;
	struct set s;

	assert_non_null(at);
	snprintf(
	    text, sizeof(text), "%.*s%s%s", (int)(at - golden), golden, other, at + strlen(part));
	if (parse(&s, text, &why) == 0)
		fail_msg("accepted: %s", text);
	assert_non_null(why);
	assert_non_null(strstr(why, want));
	assert_int_equal(s.n, 0);
}

static void
refuses_bad_manifests(void **state)
{
	static const char *const paths[] = {"", "/", "etc/x", "/etc/../x", "/etc/./x", "/etc//x",
	    "/etc/x/", "/..", "/etc/..", "/etc/x y", "/etc/x\\n", "/etc/\\u00e9", "/etc/x\\u0000y",
	    "/etc/x;y", "~/x", "/etc/'x"};

	refused_with("\"format\":1", "\"format\":2", "format");
	refused_with("\"format\":1,", "", "format");
	refused_with("\"format\":1", "\"format\":\"1\"", "format");
	refused_with("\"epoch\":3", "\"epoch\":-1", "generation");
	refused_with("\"epoch\":3", "\"epoch\":4503599627370497", "generation");
	refused_with("\"epoch\":3", "\"epoch\":3.5", "generation");
	refused_with("\"node\":\"gw1\"", "\"node\":\"\"", "generation");
	refused_with("\"node\":\"gw1\"", "\"node\":\"gw 1\"", "generation");
	refused_with("\"node\":\"gw1\"", "\"node\":\"gw1\\u0000\"", "generation");
	refused_with(
	    "\"node\":\"gw2\"", "\"node\":\"0123456789012345678901234567890123\"", "generation");
	refused_with("\"base\":", "\"bass\":", "generation");
	refused_with("\"files\":[", "\"files\":{},\"x\":[", "files");
	refused_with("/etc/pptpd.conf", "/etc/ppp/chap-secrets", "once, in order");
	refused_with("/etc/pptpd.conf", "/etc/a", "once, in order");
	refused_with(SUM, "ba7816bf", "sha256");
	refused_with(
	    SUM, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "sha256");
	refused_with("\"size\":3", "\"size\":16777217", "size");
	refused_with("\"size\":3", "\"size\":-3", "size");
	refused_with("\"mode\":384", "\"mode\":2432", "mode");
	refused_with("\"mode\":384", "\"mode\":438", "mode");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		refused_with("/etc/pptpd.conf", paths[i], "path");
}

static void
refuses_too_many_files(void **state)
{
	struct set s = {.n = SET_FILES_MAX}, again;
	json_t *j, *files;
	const char *why;

	for (size_t i = 0; i < s.n; i++) {
		snprintf(s.files[i].path, sizeof(s.files[i].path), "/etc/%02zu", i);
		strcpy(s.files[i].sha256, SUM);
		s.files[i].mode = 0600;
	}
	j = set_to_json(&s);
	assert_int_equal(set_from_json(&again, j, &why), 0);
	assert_int_equal(again.n, SET_FILES_MAX);
	files = json_object_get(j, "files");
	json_array_append_new(files, json_deep_copy(json_array_get(files, 0)));
	json_object_set_new(json_array_get(files, SET_FILES_MAX), "path", json_string("/etc/x"));
	assert_int_equal(set_from_json(&again, j, &why), -1);
	json_decref(j);
}

static void
judges_paths(void **state)
{
	char path[200];

	assert_true(set_path_ok("/etc/ppp/chap-secrets"));
	assert_true(set_path_ok("/x"));
	assert_true(set_path_ok("/etc/..x/...y/a.b_c-d"));
	assert_true(set_path_ok("/etc/..."));
	assert_false(set_path_ok("/etc/.."));
	assert_false(set_path_ok("/etc/."));
	assert_false(set_path_ok("/"));
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[SET_PATH_MAX - 1] = '\0';
	assert_true(set_path_ok(path));
	path[SET_PATH_MAX - 1] = 'x';
	path[SET_PATH_MAX] = '\0';
	assert_false(set_path_ok(path));
}

static void
orders_generations(void **state)
{
	/* Each is greater than all before it. */
	static const struct generation rising[] = {{0, 0, ""}, {0, 1, "gw2"}, {0, 1, "gw1"},
	    {0, 2, "gw2"}, {1, 1, "gw2"}, {1, 1, "gw1"}, {1, 900, "gw2"}, {2, 0, "gw2"}};
	size_t n = sizeof(rising) / sizeof(rising[0]);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			int cmp = generation_cmp(&rising[i], &rising[j]);

			assert_true(i < j ? cmp < 0 : i > j ? cmp > 0 : cmp == 0);
		}
	}
	assert_true(generation_none(&rising[0]));
	assert_false(generation_none(&rising[1]));
	assert_string_equal(generation_text(&rising[6]), "1.900.gw2");
	assert_string_equal(generation_text(&rising[0]), "none");
}

static void
knows_what_is_the_same(void **state)
{
	struct set a, b;
	const char *why;
	char one[SET_SHA256], other[SET_SHA256];

	set_checksum("abc", 3, one);
	assert_string_equal(one, SUM);
	assert_int_equal(parse(&a, golden, &why), 0);
	b = a;
	b.generation.counter++;
	set_digest(&a, one);
	set_digest(&b, other);
	assert_true(set_same(&a, &b));
	assert_string_equal(one, other);
	b.files[0].mode = 0640;
	set_digest(&b, other);
	assert_false(set_same(&a, &b));
	assert_string_not_equal(one, other);
	b = a;
	b.files[1].sha256[63] ^= 1;
	set_digest(&b, other);
	assert_false(set_same(&a, &b));
	assert_string_not_equal(one, other);
	b = a;
	b.n = 1;
	set_digest(&b, other);
	assert_false(set_same(&a, &b));
	assert_string_not_equal(one, other);
	assert_ptr_equal(set_find(&a, "/etc/pptpd.conf"), &a.files[1]);
	assert_null(set_find(&b, "/etc/pptpd.conf"));
}

static void
decides(void **state)
{
	static const struct generation none = {0, 0, ""}, one = {1, 1, "gw1"}, two = {1, 2, "gw1"},
				       two_ours = {1, 2, "gw2"}, three_ours = {1, 3, "gw2"},
				       later = {2, 1, "gw1"};
	static const struct {
		const char *what;
		bool same;
		const struct generation *ours, *common, *theirs, *base;
		enum set_verdict want;
	} rows[] = {
	    {"the first set of all", false, &none, &none, &one, &none, SET_INSTALL},
	    {"an update", false, &one, &one, &two, &one, SET_INSTALL},
	    {"the same again", true, &one, &one, &one, &none, SET_SAME},
	    {"the same under another number", true, &two_ours, &one, &two, &one, SET_SAME},
	    {"an old one", false, &two, &two, &one, &none, SET_STALE},
	    {"the same number, other contents", false, &two, &two, &two, &one, SET_STALE},
	    {"we have changed, they have not", false, &two_ours, &one, &one, &none, SET_STALE},
	    {"both changed, theirs wins by name", false, &two_ours, &one, &two, &one, SET_CONFLICT},
	    {"both changed, ours wins by name", false, &two, &one, &two_ours, &one, SET_STALE},
	    {"both changed, ours wins by counter", false, &three_ours, &one, &two, &one, SET_STALE},
	    {"both changed, theirs wins by epoch", false, &three_ours, &one, &later, &one,
		SET_CONFLICT},
	    {"our acknowledgement was lost", false, &two_ours, &one, &later, &two_ours,
		SET_INSTALL},
	    {"both begin with files of their own", false, &two_ours, &none, &later, &none,
		SET_CONFLICT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (set_decide(rows[i].same, rows[i].ours, rows[i].common, rows[i].theirs,
			rows[i].base) != rows[i].want)
			fail_msg("%s", rows[i].what);
	}
}

/* Whatever the generations: of two that differ exactly one is taken, whoever offers first. */
static void
decides_alike_on_both_sides(void **state)
{
	for (unsigned i = 0; i < 6 * 6; i++) {
		const struct generation a = {1 + i % 2, 1 + i % 3, "gw1"};
		const struct generation b = {1 + i / 6 % 2, 1 + i / 6 % 3, "gw2"}, none = {0};
		enum set_verdict ab = set_decide(false, &a, &none, &b, &none);
		enum set_verdict ba = set_decide(false, &b, &none, &a, &none);

		assert_true((ab == SET_STALE) != (ba == SET_STALE));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_and_writes_the_golden_manifest),
	    cmocka_unit_test(refuses_bad_manifests),
	    cmocka_unit_test(refuses_too_many_files),
	    cmocka_unit_test(judges_paths),
	    cmocka_unit_test(orders_generations),
	    cmocka_unit_test(knows_what_is_the_same),
	    cmocka_unit_test(decides),
	    cmocka_unit_test(decides_alike_on_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
