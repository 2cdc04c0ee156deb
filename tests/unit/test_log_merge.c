/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent log: two gateways' pages in one order of time, also when the peer's clock is not ours, and
 * what is shown of them when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hagent/cmd_log.c"

#define T0 1795286320000LL /* 2026-11-21T18:38:40Z */

static char *out, *err;
static size_t out_len, err_len, seen; /* of out, by assert_shown() */
static FILE *kept_out, *kept_err;
static const struct hagent h = {.node = "gw1", .root = "/nonexistent"};
static struct cluster_node gw2 = {.name = "gw2"};
static struct reader r;

/* What is written goes into memory. */
static int
setup(void **state)
{
	kept_out = stdout;
	kept_err = stderr;
	stdout = open_memstream(&out, &out_len);
	stderr = open_memstream(&err, &err_len);
	seen = 0;
	r = (struct reader){.h = &h, .dial = {.them = &gw2}};
	return 0;
}

static int
teardown(void **state)
{
	fclose(stdout);
	fclose(stderr);
	stdout = kept_out;
	stderr = kept_err;
	free(out);
	free(err);
	json_decref(r.ours_at);
	json_decref(r.theirs_at);
	for (size_t i = 0; i < r.n; i++)
		json_decref(r.list[i].packed);
	free(r.list);
	return 0;
}

/* A page of one event at T0 + ms. */
static json_t *
page(int ms, const char *text, int at, bool more)
{
	return json_pack("{s:I,s:[[I,s,s,s]],s:{s:i},s:b}", "now", (json_int_t)(T0 + ms), "events",
	    (json_int_t)(T0 + ms), "pptpd", "info", text, "at", "x", at, "more", (int)more);
}

static bool
take(bool ours, int ms, const char *text, int at, bool more)
{
	json_t *p = page(ms, text, at, more);
	bool again = take_page(&r, p, ours ? &r.ours_at : &r.theirs_at, ours);

	json_decref(p);
	return again;
}

/* "12.345 gw1 text" of each line, since the last call. */
static void
assert_shown(const char *want)
{
	char got[1024] = "";
	size_t n = 0;

	fflush(stdout);
	char *text = strdup(out + seen), *rest = text, *line;
	while ((line = strsep(&rest, "\n")) && *line)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.6s%s|", line + 17, line + 24);
	free(text);
	seen = out_len;
	assert_string_equal(got, want);
}

static void
test_order(void **state)
{
	take(true, 10, "a", 1, false);
	take(true, 30, "c", 2, false);
	take(false, 20, "b", 1, false);
	take(false, 30, "d", 2, false); /* at one time: as they came */
	flush_until(&r, INT64_MAX, 0);
	assert_shown(
	    "40.010 gw1 pptpd: a|40.020 gw2 pptpd: b|40.030 gw1 pptpd: c|40.030 gw2 pptpd: "
	    "d|");
	assert_int_equal(r.n, 0);
}

/* Only what is older than the round is whole. */
static void
test_rounds(void **state)
{
	take(true, 50, "late", 1, false);
	take(true, 10, "a", 2, false);
	flush_until(&r, T0 + 50, 0);
	assert_shown("40.010 gw1 pptpd: a|");
	take(false, 40, "b", 1, false);
	flush_until(&r, T0 + 60, 0);
	assert_shown("40.040 gw2 pptpd: b|40.050 gw1 pptpd: late|");
}

static void
test_limit(void **state)
{
	for (int i = 0; i < 600; i++)
		take(i % 2, 600 - i, i == 0 ? "last" : i == 1 ? "before" : "x", i, false);
	flush_until(&r, INT64_MAX, 2);
	assert_shown("40.599 gw1 pptpd: before|40.600 gw2 pptpd: last|");
	assert_int_equal(r.n, 0);
}

static void
compare_at(int64_t theirs, int64_t asked, int64_t answered)
{
	json_t *p = json_pack("{s:I}", "now", (json_int_t)theirs);

	compare_clocks(&r, p, asked, answered);
	json_decref(p);
	fflush(stderr);
}

static void
test_clock(void **state)
{
	/* The answer took 20 ms, so it was said 10 ms after the question. */
	compare_at(T0 + 10, T0, T0 + 20);
	assert_int_equal(r.ahead_ms, 0);
	compare_at(T0 + 10 + 55, T0, T0 + 20); /* it may have been said at any time of those */
	assert_int_equal(r.ahead_ms, 0);
	assert_string_equal(err, "");
	compare_at(T0 + 10 + 3200, T0, T0 + 20);
	assert_int_equal(r.ahead_ms, 3200);
	assert_string_equal(err, "hagent: the clock of gw2 is 3.200 s ahead of ours: its times are "
				 "shown by ours\n");
	size_t said = err_len;
	compare_at(T0 + 10 + 3200, T0, T0 + 20);
	assert_int_equal(err_len, said); /* once */
	take(true, 10, "ours", 1, false);
	take(false, 3205, "theirs", 1, false); /* it happened at 5 */
	flush_until(&r, INT64_MAX, 0);
	assert_shown("40.005 gw2 pptpd: theirs|40.010 gw1 pptpd: ours|");
	compare_at(T0 + 10 - 1500, T0, T0 + 20);
	assert_int_equal(r.ahead_ms, -1500);
	take(false, 3000, "b", 2, false);
	flush_until(&r, INT64_MAX, 0);
	assert_shown("44.500 gw2 pptpd: b|");
}

/* A peer that always says that there is more must move on, or it is not asked again. */
static void
test_more(void **state)
{
	assert_true(take(false, 1, "a", 1, true));
	assert_false(take(false, 2, "b", 1, true));
	assert_true(take(false, 3, "c", 2, true));
	assert_false(take(false, 4, "d", 3, false));
	flush_until(&r, INT64_MAX, 1);
	assert_shown("40.004 gw2 pptpd: d|");
}

/* Pages of no sense: nothing is shown, nothing breaks. */
static void
test_odd_pages(void **state)
{
	static const char *const pages[] = {"{}", "[]", "{\"events\":7}",
	    "{\"events\":[7,null,[]]}", "{\"events\":[[1]],\"at\":[],\"more\":true}"};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		json_t *p = json_loads(pages[i], 0, NULL);

		take_page(&r, p, &r.theirs_at, false);
		json_decref(p);
	}
	assert_false(take_page(&r, NULL, &r.theirs_at, false));
	flush_until(&r, INT64_MAX, 0);
	fflush(stdout);
	assert_string_equal(out, "");
}

static void
test_query(void **state)
{
	json_t *at = json_pack("{s:i}", "x", 1), *q;

	r.o.last = 50;
	q = query(&r, NULL);
	assert_int_equal(words_number(q, "last"), 50);
	json_decref(q);
	r.o.since_ms = T0;
	q = query(&r, NULL);
	assert_int_equal(words_number(q, "since"), T0);
	assert_null(json_object_get(q, "last"));
	json_decref(q);
	q = query(&r, at);
	assert_true(json_equal(json_object_get(q, "at"), at));
	assert_null(json_object_get(q, "since"));
	json_decref(q);
	json_decref(at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_more, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_odd_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_query, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
