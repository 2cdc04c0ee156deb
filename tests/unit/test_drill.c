/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pure parts of drills: sets of numbers in bounded memory, the table of flows and its text, the
 * course, refusals, and the files of reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cursor.h"
#include "hagent/drill_drive.h"
#include "hagent/drill_store.h"

#define CLIENT 0xc6120101u
#define VIP    0xc633640au

/* ---- runs ---- */

static void
test_runs(void **state)
{
	struct drill_runs r = {0};
	uint32_t at;

	for (uint32_t i = 10; i < 20; i++)
		assert_true(drill_runs_add(&r, i));
	assert_false(drill_runs_add(&r, 15));
	assert_int_equal(r.n, 1);
	assert_true(drill_runs_add(&r, 25)); /* 20..24 are missing */
	assert_true(drill_runs_add(&r, 22)); /* late */
	assert_int_equal(r.n, 3);
	assert_int_equal(drill_runs_missing(&r), 4);
	assert_true(drill_runs_add(&r, 20));
	assert_true(drill_runs_add(&r, 21));
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].to, 22);
	assert_true(drill_runs_add(&r, 5));
	assert_int_equal(r.v[0].from, 5);
	assert_int_equal(drill_runs_count(&r), 21);
	assert_int_equal(drill_runs_missing(&r), 6);
	assert_int_equal(drill_runs_longest(&r, 0, UINT32_MAX, &at), 5);
	assert_int_equal(at, 5);
	assert_int_equal(drill_runs_longest(&r, 12, UINT32_MAX, &at), 3);
	assert_int_equal(at, 22);
	drill_runs_fini(&r);
}

/* A thousand holes, and one that is longer: it is there to the end, and nothing is forgotten. */
static void
test_runs_bounded(void **state)
{
	struct drill_runs r = {0};
	uint64_t missing = 0;
	uint32_t number = 0, at;

	for (unsigned i = 0; i < 2000; i++) {
		uint32_t skip = i == 700 ? 50000 : 1 + (i * 7919) % 100;

		number += skip + 1;
		missing += i > 0 ? skip : 0;
		assert_true(drill_runs_add(&r, number));
		assert_true(r.n <= DRILL_RUNS_MAX);
	}
	assert_int_equal(drill_runs_missing(&r), missing);
	assert_int_equal(drill_runs_longest(&r, 0, UINT32_MAX, &at), 50001);
	drill_runs_fini(&r);
}

/* Compared with the plain thing: a field of bits. */
static void
test_runs_random(void **state)
{
	uint32_t seed = 1;

	for (unsigned round = 0; round < 200; round++) {
		struct drill_runs a = {0}, b = {0};
		bool there[64] = {false};
		unsigned n = 0, first = 64, last = 0;

		for (unsigned i = 0; i < 40; i++) {
			seed = seed * 1664525 + 1013904223;
			unsigned number = seed >> 26;
			bool fresh = !there[number];

			if (seed & 1) {
				assert_int_equal(drill_runs_add(&a, number), fresh);
			} else {
				drill_runs_add(&b, number);
				drill_runs_join(&a, &b);
			}
			there[number] = true;
			n += fresh;
			first = number < first ? number : first;
			last = number > last ? number : last;
		}
		assert_int_equal(drill_runs_count(&a), last - first + 1);
		assert_int_equal(drill_runs_missing(&a), last - first + 1 - n);
		drill_runs_fini(&a);
		drill_runs_fini(&b);
	}
}

/* ---- packets ---- */

static size_t
packet(uint8_t *out, bool down, uint16_t call, int64_t seq, bool ack, const char *ppp, size_t len)
{
	struct wr w = wr_init(out, 128);

	wr_u8(&w, 0x45);
	wr_zero(&w, 8);
	wr_u8(&w, 47);
	wr_zero(&w, 2);
	wr_u32(&w, down ? VIP : CLIENT);
	wr_u32(&w, down ? CLIENT : VIP);
	wr_u16(&w, (uint16_t)(0x2001 | (seq >= 0 ? 0x1000 : 0) | (ack ? 0x80 : 0)));
	wr_u16(&w, 0x880b);
	wr_u16(&w, (uint16_t)len);
	wr_u16(&w, call);
	if (seq >= 0)
		wr_u32(&w, (uint32_t)seq);
	if (ack)
		wr_u32(&w, 7);
	wr_copy(&w, ppp, len);
	assert_true(wr_ok(&w));
	return wr_len(&w);
}

static void
feed(struct drill_watch *w, bool down, uint16_t call, int64_t seq, const char *ppp, size_t len,
    int64_t at_us)
{
	uint8_t bytes[128];
	size_t n = packet(bytes, down, call, seq, false, ppp, len);

	drill_watch_feed(w, bytes, n, down, at_us);
}

static void
test_packets(void **state)
{
	struct drill_watch w;
	uint8_t bytes[128];
	const struct drill_flow *f;
	size_t n;

	assert_int_equal(drill_watch_init(&w, 1000000), 0);
	feed(&w, true, 5, 1, "\x00\xfd..", 4, 1000000);       /* data */
	feed(&w, true, 5, 2, "\xff\x03\x00\xfd", 4, 1020000); /* with address and control */
	feed(&w, true, 5, 3, "\xfd..", 3, 1040000);           /* compressed protocol */
	feed(&w, true, 5, 4, "\xc0\x21..", 4, 1060000);       /* LCP */
	feed(&w, true, 5, -1, "", 0, 1080000);                /* a mere acknowledgement */
	f = drill_watch_find(&w, DRILL_DOWN, CLIENT, 5);
	assert_non_null(f);
	assert_int_equal(f->packets, 5);
	assert_int_equal(f->data, 3);
	assert_int_equal(f->times.v[f->times.n - 1].to, 4000);
	assert_int_equal(w.n_rate, 5);
	assert_int_equal(w.rate[0] + w.rate[2] + w.rate[4], 3);
	feed(&w, false, 9, 100, "\x00\xfd", 2, 1100000);
	feed(&w, false, 9, 102, "\xc0\x21", 2, 1100000);
	f = drill_watch_find(&w, DRILL_UP, CLIENT, 9);
	assert_int_equal(drill_runs_missing(&f->numbers), 1);
	/* At each byte: none of it is anything but malformed. */
	n = packet(bytes, true, 5, 9, true, "\x00\xfd", 2);
	for (size_t len = 0; len < n - 2; len++)
		drill_watch_feed(&w, bytes, len, true, 1200000);
	assert_int_equal(w.malformed, 36);
	f = drill_watch_find(&w, DRILL_DOWN, CLIENT, 5);
	assert_int_equal(f->packets, 5);
	/* Behind a cut nothing counts. */
	w.cut_us = 1300000;
	feed(&w, false, 9, 103, "\x00\xfd", 2, 1299999);
	feed(&w, false, 9, 104, "\x00\xfd", 2, 1300000);
	f = drill_watch_find(&w, DRILL_UP, CLIENT, 9);
	assert_int_equal(f->packets, 3);
	drill_watch_fini(&w);
}

static char *
text_of(const struct drill_watch *w)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	drill_watch_write(w, f);
	fclose(f);
	return text;
}

static void
test_text(void **state)
{
	struct drill_watch w, back;
	char *text, *again;

	assert_int_equal(drill_watch_init(&w, 5000), 0);
	for (unsigned i = 0; i < 3000; i++) {
		feed(&w, true, (uint16_t)(i % 7), i, "\x00\xfd", 2, 5000 + i * 900);
		feed(&w, false, (uint16_t)(i % 5), i * 3 / 2, "\x00\xfd", 2, 5000 + i * 900);
	}
	w.ended_us = 9000000;
	w.dropped = 3;
	text = text_of(&w);
	assert_int_equal(drill_watch_init(&back, 0), 0);
	assert_int_equal(drill_watch_read(&back, text), 0);
	assert_int_equal(back.begun_us, 5000);
	assert_int_equal(back.dropped, 3);
	assert_int_equal(back.n_flows, 12);
	again = text_of(&back);
	assert_string_equal(text, again);
	drill_watch_fini(&back);
	/* Cut anywhere, it is refused or shorter, and never more. */
	for (size_t len = strlen(text); len > 0; len -= len > 97 ? 97 : 1) {
		text[len - 1] = '\0';
		assert_int_equal(drill_watch_init(&back, 0), 0);
		(void)drill_watch_read(&back, text);
		assert_true(back.n_flows <= 12);
		drill_watch_fini(&back);
	}
	free(text);
	free(again);
	drill_watch_fini(&w);
}

static void
test_wrong_text(void **state)
{
	static const char *const wrong[] = {"", "flow 0 1 1 1 1 1 1 : ; 0\n",
	    "watch 2 1 1 1 1 1 1 1\n", "watch 1 1 1 1 1 1 1\n", "watch 1 1 1 1 1 1 1 x\n",
	    "watch 1 1 1 1 1 1 1 1\nflow 2 1 1 1 1 1 1 : ; 0\n",
	    "watch 1 1 1 1 1 1 1 1\nflow 0 1 65536 1 1 1 1 : ; 0\n",
	    "watch 1 1 1 1 1 1 1 1\nflow 0 1 1 1 1 1 1 : 5-4 ; 0\n",
	    "watch 1 1 1 1 1 1 1 1\nflow 0 1 1 1 1 1 1 : 5 ; 0\n",
	    "watch 1 1 1 1 1 1 1 1\nflow 0 1 1 1 1 1 1 5-6 ; 0\n",
	    "watch 1 1 1 1 1 1 1 1\nrate 1 x\n", "watch 1 1 1 1 1 1 1 1\nwhat\n"};
	struct drill_watch w;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(drill_watch_init(&w, 0), 0);
		errno = 0;
		if (drill_watch_read(&w, wrong[i]) == 0)
			fail_msg("\"%s\" was taken", wrong[i]);
		assert_int_equal(errno, EBADMSG);
		drill_watch_fini(&w);
	}
}

/* ---- the course ---- */

static enum drill_state
after(enum drill_state s, enum drill_event e)
{
	struct fsm f;

	drill_machine_init(&f);
	f.state = (int8_t)s;
	drill_machine_feed(&f, e);
	assert_int_equal(f.ignored, 0);
	return (enum drill_state)f.state;
}

/* Every cell. */
static void
test_machine(void **state)
{
	static const enum drill_state good[] = {DRILL_CHECK, DRILL_JOIN, DRILL_BEFORE, DRILL_STRIKE,
	    DRILL_TAKE, DRILL_AFTER, DRILL_HEAL, DRILL_COLLECT, DRILL_BACK, DRILL_DONE};

	for (size_t i = 0; i + 1 < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(after(good[i], DRILL_EV_OK), good[i + 1]);
	for (int e = DRILL_EV_FAILED; e <= DRILL_EV_ABORT; e++) {
		assert_int_equal(after(DRILL_CHECK, (enum drill_event)e), DRILL_DONE);
		for (int s = DRILL_JOIN; s <= DRILL_HEAL; s++)
			assert_int_equal(
			    after((enum drill_state)s, (enum drill_event)e), DRILL_UNDO);
		assert_int_equal(after(DRILL_COLLECT, (enum drill_event)e), DRILL_BACK);
		assert_int_equal(after(DRILL_BACK, (enum drill_event)e), DRILL_DONE);
	}
	for (int e = 0; e < DRILL_N_EVENTS; e++)
		assert_int_equal(after(DRILL_UNDO, (enum drill_event)e), DRILL_COLLECT);
	for (int s = 0; s < DRILL_N_STATES; s++)
		assert_int_equal(drill_state_of(drill_state_name((enum drill_state)s)), s);
	assert_int_equal(drill_state_of("fire"), -1);
}

/* ---- refusals ---- */

static const char healthy[] =
    "{\"role\":\"standby\",\"health\":\"fine\",\"verdict\":\"fit\",\"transition_running\":false,"
    "\"move\":null,\"maintenance\":null,\"replica\":{\"in_step\":true},\"peer\":{\"fresh\":true,"
    "\"role\":\"active\",\"health\":\"note\",\"maintenance\":false}}";

static void
expect_refusal(const char *from, const char *to, const char *why, bool may_pass)
{
	char text[512];
	const char *at = strstr(healthy, from), *said;
	json_t *o;
	bool wait;

	assert_non_null(at);
	snprintf(
	    text, sizeof(text), "%.*s%s%s", (int)(at - healthy), healthy, to, at + strlen(from));
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	said = drill_refusal(o, &wait);
	if (!why)
		assert_null(said);
	else if (!said || !strstr(said, why))
		fail_msg("%s: got \"%s\", want \"%s\"", to, said ? said : "", why);
	assert_int_equal(wait, may_pass);
	json_decref(o);
}

static void
test_refusals(void **state)
{
	bool wait;

	expect_refusal("fine", "note", NULL, false);
	expect_refusal("\"standby\"", "\"active\"", "does not stand by", false);
	expect_refusal(
	    "\"transition_running\":false", "\"transition_running\":true", "change of roles", true);
	expect_refusal("\"move\":null", "\"move\":{}", "change of roles", true);
	expect_refusal("\"maintenance\":null", "\"maintenance\":17", "maintenance", false);
	expect_refusal("fine", "soft", "has a fault", false);
	expect_refusal("\"fit\"", "\"unfit\"", "may not become MASTER", false);
	expect_refusal("{\"in_step\":true}", "{\"in_step\":false}", "no current copy", true);
	expect_refusal("\"fresh\":true", "\"fresh\":false", "not heard", false);
	expect_refusal("\"active\"", "\"standby\"", "does not serve", true);
	expect_refusal("\"note\"", "\"hard\"", "other gateway has a fault", false);
	expect_refusal(
	    "\"maintenance\":false", "\"maintenance\":true", "other gateway is in", false);
	assert_non_null(drill_refusal(NULL, &wait)); /* nothing is known: nothing is done */
}

static void
test_refused_by_plan(void **state)
{
	struct drill_plan p;
	json_t *good = json_pack("[{s:s},{s:s}]", "verdict", "passed", "verdict", "failed");
	json_t *bad = json_pack(
	    "[{s:s},{s:s},{s:s}]", "verdict", "refused", "verdict", "aborted", "verdict", "passed");

	cluster_drill_default(DRILL_CRASH, &p);
	assert_int_equal(p.kind, DRILL_CRASH);
	assert_int_equal(p.outage_s, 6);
	assert_int_equal(blackout_parse("08:00-18:00 UTC", &p.blackout.v[0]), 0);
	p.blackout.n = 1;
	int64_t noon = 1795262400, night = noon + 43200;
	assert_null(drill_refused_by_plan(&p, good, night, true, false));
	assert_non_null(drill_refused_by_plan(&p, good, noon, true, false));
	assert_null(drill_refused_by_plan(&p, good, noon, true, true));
	assert_null(drill_refused_by_plan(&p, good, noon, false, false));
	assert_non_null(drill_refused_by_plan(&p, bad, night, true, false));
	assert_null(drill_refused_by_plan(&p, bad, night, false, false));
	p.after_failure = 1;
	assert_null(drill_refused_by_plan(&p, bad, night, true, false));
	assert_null(drill_refused_by_plan(&p, NULL, night, true, false));
	json_decref(good);
	json_decref(bad);
}

/* ---- files ---- */

static void
test_store(void **state)
{
	char folder[] = "/tmp/drill-store-XXXXXX", id[DRILL_ID_MAX], path[128];
	json_t *o, *list;

	assert_non_null(mkdtemp(folder));
	drill_id_make(1795286700123, "gw1", id);
	assert_string_equal(id, "20261121T184500Z-gw1");
	for (unsigned i = 0; i < DRILL_KEEP + 5; i++) {
		drill_id_make((int64_t)i * 1000, i % 2 ? "gw1" : "gw2", id);
		o = json_pack("{s:s,s:s}", "id", id, "verdict", "passed");
		assert_int_equal(drill_store_write(folder, id, o), 0);
		json_decref(o);
	}
	list = drill_store_list(folder, 1000);
	assert_int_equal(json_array_size(list), DRILL_KEEP);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "id")),
	    "19700101T000144Z-gw2");
	json_decref(list);
	errno = 0;
	assert_null(drill_store_read(folder, "19700101T000000Z-gw2")); /* the oldest went */
	assert_int_equal(errno, ENOENT);
	errno = 0;
	assert_null(drill_store_read(folder, "../../etc/passwd"));
	assert_int_equal(errno, EINVAL);
	snprintf(path, sizeof(path), "%s/20990101T000000Z-gw1.json", folder);
	FILE *f = fopen(path, "w");
	fputs("{", f);
	fclose(f);
	errno = 0;
	assert_null(drill_store_read(folder, "20990101T000000Z-gw1"));
	assert_int_equal(errno, EBADMSG);
	list = drill_store_ids(folder);
	for (size_t i = 0; i < json_array_size(list); i++) {
		snprintf(path, sizeof(path), "%s/%s.json", folder,
		    json_string_value(json_array_get(list, i)));
		unlink(path);
	}
	json_decref(list);
	assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_runs),
	    cmocka_unit_test(test_runs_bounded),
	    cmocka_unit_test(test_runs_random),
	    cmocka_unit_test(test_packets),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_wrong_text),
	    cmocka_unit_test(test_machine),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_refused_by_plan),
	    cmocka_unit_test(test_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
