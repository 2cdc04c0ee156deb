/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events from the lines that a gateway keeps, and pages of them: the order of time, cursors that
 * lose and repeat nothing, files that grow, turn and vanish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hagent/event.h"
#include "hagent/journal.h"
#include "hagent/log_page.h"
#include "hagent/words.h"

#define T0 1795286320876LL /* 2026-11-21T18:38:40.876Z */

static void
test_log_line(void **state)
{
	struct event e;

	event_of_log("2026-11-21T18:38:40.876Z pptpd[gw1] info: role changed role=active", &e);
	assert_int_equal(e.ms, T0);
	assert_string_equal(e.program, "pptpd");
	assert_string_equal(e.level, "info");
	assert_string_equal(e.text, "role changed role=active");
	event_of_log("2026-11-21T18:38:40.876Z hagent-link[gw1] warning: a: b", &e);
	assert_string_equal(e.program, "hagent-link");
	assert_string_equal(e.level, "warning");
	assert_string_equal(e.text, "a: b");
	event_of_log("2026-11-21T18:38:40.876Z hagent error: x", &e);
	assert_string_equal(e.program, "hagent");
	assert_string_equal(e.level, "error");
	/* Anything else is text, and keeps all of itself. */
	static const char *const others[] = {"", "==7==ERROR: x", "pptpd[gw1] info: no time",
	    "2026-11-21 18:38:40 x", "2026-11-21T18:38:40.876Zx"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		event_of_log(others[i], &e);
		assert_int_equal(e.ms, -1);
		assert_string_equal(e.text, others[i]);
	}
	event_of_log("2026-11-21T18:38:40.876Z pptpd[gw1] loud: x\x1b[31m\xc3\xa9", &e);
	assert_int_equal(e.ms, T0);
	assert_string_equal(e.text, "pptpd[gw1] loud: x?[31m??");
}

static void
test_json_lines(void **state)
{
	struct event e;
	static const char step[] =
	    "{\"time\":\"2026-11-21T18:38:40.876Z\",\"kind\":\"step\",\"id\":2,\"epoch\":1,"
	    "\"transition\":\"MASTER\",\"step\":\"gate-open\",\"result\":\"ok\",\"ms\":12,"
	    "\"detail\":\"2 of 2\"}";

	assert_true(event_of_journal(step, &e));
	assert_true(event_is_step(step));
	assert_int_equal(e.ms, T0);
	assert_string_equal(e.program, "journal");
	assert_string_equal(e.text, "step id=2 epoch=1 transition=MASTER step=gate-open result=ok "
				    "ms=12 detail=\"2 of 2\"");
	assert_true(event_of_journal("{\"time\":\"2026-11-21T18:38:40.876Z\",\"kind\":\"event\","
				     "\"event\":\"fit\",\"detail\":\"track file 0\"}",
	    &e));
	assert_string_equal(e.text, "fit track file 0");
	assert_true(event_of_audit("{\"time\":\"2026-11-21T18:38:40Z\",\"direction\":\"out\","
				   "\"peer\":\"gw2\",\"generation\":{\"epoch\":1},\"files\":[],"
				   "\"result\":\"installed\",\"text\":\"\",\"ms\":5}",
	    &e));
	assert_int_equal(e.ms, T0 - 876);
	assert_string_equal(
	    e.text, "transfer direction=out peer=gw2 result=installed text=\"\" ms=5");
	assert_true(event_of_audit("{\"time\":\"2026-11-21T18:38:40Z\",\"peer\":\"10.0.0.2\","
				   "\"command\":\"ls\",\"result\":\"refused\",\"text\":\"no\"}",
	    &e));
	assert_string_equal(
	    e.text, "peer's command peer=10.0.0.2 command=ls result=refused text=no");
	static const char *const none[] = {"", "{", "[]", "{}", "{\"time\":7}",
	    "{\"time\":\"yesterday\"}", "{\"time\":\"2026-11-21T18:38:40.876\"}"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(event_of_journal(none[i], &e));
		assert_false(event_of_audit(none[i], &e));
	}
}

static void
test_journald_entry(void **state)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "__CURSOR", "s=1;i=2",
	    "__REALTIME_TIMESTAMP", "1795286320990000", "_SOURCE_REALTIME_TIMESTAMP",
	    "1795286320876123", "PRIORITY", "4", "SYSLOG_IDENTIFIER", "pptpd", "MESSAGE", "x a=1");
	const char *cursor;
	struct event e;

	assert_true(event_of_journald(o, &e, &cursor));
	assert_string_equal(cursor, "s=1;i=2");
	assert_int_equal(e.ms, T0);
	assert_string_equal(e.program, "pptpd");
	assert_string_equal(e.level, "warning");
	assert_string_equal(e.text, "x a=1");
	/* Read from stderr, in our own words; and of a program that is not ours. */
	json_object_set_new(o, "MESSAGE", json_string("hagent-link[gw1] error: y"));
	assert_true(event_of_journald(o, &e, &cursor));
	assert_string_equal(e.program, "hagent-link");
	assert_string_equal(e.level, "error");
	assert_string_equal(e.text, "y");
	json_object_set_new(o, "MESSAGE", json_pack("[i,i,i]", 'a', 200, 'b'));
	assert_true(event_of_journald(o, &e, &cursor));
	assert_string_equal(e.text, "a?b");
	json_object_del(o, "MESSAGE");
	assert_false(event_of_journald(o, &e, &cursor));
	json_decref(o);
	assert_false(event_of_journald(NULL, &e, &cursor));
}

static void
test_since(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
	    {"0s", T0},
	    {"90s", T0 - 90000},
	    {"15m", T0 - 900000},
	    {"2h", T0 - 7200000},
	    {"3d", T0 - 3 * 86400000LL},
	    {"18:38", T0 - 40876},
	    {"18:38:40", T0 - 876},
	    {"18:39", T0 - 40876 + 60000 - 86400000LL}, /* yesterday's */
	    {"2026-11-21T18:38:40.876Z", T0},
	    {"2026-11-21 18:38:40", T0 - 876},
	    {"2026-11-21 18:38", T0 - 40876},
	    {"2026-11-21", 1795219200000},
	};
	static const char *const none[] = {"", "s", "-1s", "1w", "1", "25:00", "18:60", "1:2",
	    "2026-13", "tomorrow", "15m ", "15mm", "99999999999999999999d",
	    "2026-11-21T18:38:40+01:00"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (event_since(cases[i].text, T0) != cases[i].ms)
			fail_msg("%s: got %lld, want %lld", cases[i].text,
			    (long long)event_since(cases[i].text, T0), (long long)cases[i].ms);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (event_since(none[i], T0) != -1)
			fail_msg("\"%s\" is a time", none[i]);
	}
}

static void
test_wire(void **state)
{
	struct event e = {.ms = T0, .program = "pptpd", .level = "info", .text = "call up id=7"}, f;
	json_t *packed = event_pack(&e), *o;

	assert_true(event_unpack(packed, &f));
	assert_int_equal(f.ms, T0);
	assert_string_equal(f.text, e.text);
	o = event_json(&f, "gw1");
	assert_string_equal(words_text(o, "time"), "2026-11-21T18:38:40.876Z");
	assert_string_equal(words_text(o, "node"), "gw1");
	assert_string_equal(words_text(o, "event"), "call up");
	assert_string_equal(words_text(json_object_get(o, "fields"), "id"), "7");
	json_decref(o);
	json_decref(packed);
	/* From a peer that means harm. */
	static const char *const bad[] = {"[]", "{}", "[1,\"a\",\"b\"]",
	    "[\"1\",\"a\",\"b\",\"c\"]", "[1,\"a\",\"b\",\"c\",\"d\"]", "[1,null,\"b\",\"c\"]"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		packed = json_loads(bad[i], 0, NULL);
		assert_false(event_unpack(packed, &f));
		json_decref(packed);
	}
	packed = json_pack("[i,s,s,s]", 1, "\x1b[2J", "loud", "\x1b[31m");
	assert_true(event_unpack(packed, &f));
	assert_string_equal(f.program, "?[2J");
	assert_string_equal(f.level, "info");
	assert_string_equal(f.text, "?[31m");
	json_decref(packed);
}

/* ---- pages ---- */

static char root[] = "/tmp/test_event.XXXXXX";
static struct hagent h = {.node = "gw1", .root = root};

static void
write_file(const char *path, const char *text, bool append)
{
	char *full = hagent_path(&h, path);
	int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	free(full);
}

static void
remove_file(const char *path)
{
	char *full = hagent_path(&h, path);

	unlink(full);
	free(full);
}

static void
make_folder(const char *path)
{
	char *full = hagent_path(&h, path);

	mkdir(full, 0700);
	free(full);
}

#define PPTPD  "/var/log/pptpd.log"
#define HAGENT "/var/log/hagent.log"

/* "text text ..." of a page; *at is replaced by its cursors. */
static const char *
texts(json_t *query, json_t **at, bool *more)
{
	static char out[8192];
	json_t *page = log_page(&h, query), *e;
	size_t i, n = 0;

	assert_non_null(page);
	assert_string_equal(words_text(page, "node"), "gw1");
	out[0] = '\0';
	json_array_foreach(json_object_get(page, "events"), i, e)
	{
		struct event event;

		assert_true(event_unpack(e, &event));
		n += (size_t)snprintf(out + n, n < sizeof(out) ? sizeof(out) - n : 0, "%s%s",
		    i ? " " : "", event.text);
	}
	if (more)
		*more = words_is(page, "more");
	json_decref(*at);
	*at = json_incref(json_object_get(page, "at"));
	json_decref(page);
	json_decref(query);
	return out;
}

static int
setup(void **state)
{
	static const char *const folders[] = {"/var", "/var/log", "/var/lib", HAGENT_STATE};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		make_folder(folders[i]);
	return 0;
}

static int
teardown(void **state)
{
	remove_file(PPTPD);
	remove_file(HAGENT);
	remove_file(HAGENT_JOURNAL);
	remove_file(HAGENT_AUDIT);
	return 0;
}

#define LINE(clock, text) "2026-11-21T" clock "Z pptpd[gw1] info: " text "\n"
#define EVENT(clock, kind, text)                                                                   \
	"{\"time\":\"2026-11-21T" clock "Z\",\"kind\":\"" kind "\",\"event\":\"" text              \
	"\",\"detail\":\"\"}\n"

static void
test_order(void **state)
{
	json_t *at = NULL;

	write_file(
	    PPTPD, LINE("10:00:01.000", "a") LINE("10:00:03.000", "c") "trace of c\n", false);
	write_file(HAGENT, LINE("10:00:02.000", "b") LINE("10:00:04.000", "d"), false);
	assert_string_equal(texts(json_pack("{s:i}", "last", 50), &at, NULL), "a b c trace of c d");
	/* Half a line is none yet. */
	write_file(PPTPD, "2026-11-21T10:00:05.000Z pptpd[gw1] info: e", true);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "");
	write_file(PPTPD, "nd\n", true);
	write_file(HAGENT, LINE("10:00:06.000", "f"), true);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "end f");
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "");
	json_decref(at);
}

static void
test_last_and_since(void **state)
{
	json_t *at = NULL;
	int64_t since = event_time("2026-11-21T10:00:02Z");

	write_file(PPTPD,
	    LINE("10:00:01.000", "a") LINE("10:00:02.000", "b") LINE("10:00:03.000", "c"), false);
	assert_string_equal(texts(json_pack("{s:i}", "last", 2), &at, NULL), "b c");
	assert_string_equal(texts(json_pack("{s:i}", "last", 0), &at, NULL), "");
	assert_string_equal(texts(json_pack("{s:I}", "since", since), &at, NULL), "b c");
	write_file(PPTPD, LINE("10:00:00.000", "late"), true);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "late");
	json_decref(at);
}

/* The journal's events stand in the agent's log too, where there is one; its steps do not. */
static void
test_journal(void **state)
{
	json_t *at = NULL;

	write_file(HAGENT_JOURNAL,
	    EVENT("10:00:01.000", "event", "fit") EVENT("10:00:02.000", "step", "x"), false);
	assert_string_equal(
	    texts(json_pack("{s:i}", "last", 50), &at, NULL), "fit  step event=x detail=\"\"");
	write_file(HAGENT, LINE("10:00:00.000", "a"), false);
	assert_string_equal(
	    texts(json_pack("{s:i}", "last", 50), &at, NULL), "a step event=x detail=\"\"");
	json_decref(at);
}

/* A file that turned, one that was emptied, one that is new: nothing is left out of the new one. */
static void
test_turned(void **state)
{
	json_t *at = NULL;

	write_file(PPTPD, LINE("10:00:01.000", "a") LINE("10:00:02.000", "b"), false);
	texts(json_pack("{s:i}", "last", 50), &at, NULL);
	write_file(PPTPD, LINE("10:00:03.000", "c"), false);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "c");
	write_file(HAGENT, LINE("10:00:04.000", "d"), false);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "d");
	remove_file(PPTPD);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "");
	write_file(PPTPD, LINE("10:00:05.000", "e"), false);
	assert_string_equal(texts(json_pack("{s:O}", "at", at), &at, NULL), "e");
	json_decref(at);
}

/* More than a page holds: page after page, each line once. */
static void
test_pages(void **state)
{
	json_t *at = NULL, *query = json_pack("{s:I}", "since", event_time("2026-11-21T10:00:00Z"));
	unsigned pages = 0, next = 0;
	bool more = true;

	for (unsigned i = 0; i < 3000; i++) {
		char line[128];

		snprintf(line, sizeof(line),
		    "2026-11-21T10:%02u:%02u.%03uZ pptpd[gw1] info: n=%u\n", i / 600, i / 10 % 60,
		    i % 10, i);
		write_file(i % 3 ? PPTPD : HAGENT, line, i > 1);
	}
	while (more) {
		const json_t *e;
		json_t *page = log_page(&h, query);
		size_t i;

		more = words_is(page, "more");
		json_array_foreach(json_object_get(page, "events"), i, e)
		{
			struct event event;
			unsigned n = 0;

			assert_true(event_unpack(e, &event));
			assert_int_equal(sscanf(event.text, "n=%u", &n), 1);
			assert_int_equal(n, next++);
		}
		json_decref(query);
		query = json_pack("{s:O}", "at", json_object_get(page, "at"));
		assert_true(json_dumpb(page, NULL, 0, JSON_COMPACT) < 50000);
		json_decref(page);
		pages++;
	}
	json_decref(query);
	json_decref(at);
	assert_int_equal(next, 3000);
	assert_in_range(pages, 3, 20);
}

static void
test_odd_queries(void **state)
{
	static const char *const queries[] = {"{}", "[]", "{\"at\":7}", "{\"at\":{\"pptpd\":[1]}}",
	    "{\"at\":{\"pptpd\":[\"a\",\"b\"]}}", "{\"at\":{\"pptpd\":[-1,-9]}}", "{\"last\":-5}",
	    "{\"last\":99999999999}", "{\"since\":-1}", "{\"at\":{\"journald\":{}}}"};

	write_file(PPTPD, LINE("10:00:01.000", "a"), false);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		json_t *q = json_loads(queries[i], 0, NULL), *page = log_page(&h, q);

		assert_true(json_is_array(json_object_get(page, "events")));
		assert_true(json_is_object(json_object_get(page, "at")));
		json_decref(page);
		json_decref(q);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_log_line),
	    cmocka_unit_test(test_json_lines),
	    cmocka_unit_test(test_journald_entry),
	    cmocka_unit_test(test_since),
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_last_and_since, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_turned, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_odd_queries, setup, teardown),
	};
	static const char *const folders[] = {HAGENT_STATE, "/var/lib", "/var/log", "/var", ""};
	int failed;

	if (!mkdtemp(root))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char *full = hagent_path(&h, folders[i]);

		rmdir(full);
		free(full);
	}
	return failed;
}
