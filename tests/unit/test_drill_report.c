/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report of a drill: two gateways whose clocks differ see parts of the same sessions, and the
 * figures come out exactly; verdicts, and what people see of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "hagent/cluster.h"
#include "hagent/drill_html.h"
#include "hagent/drill_report.h"
#include "hagent/drill_text.h"
#include "hagent/words.h"

#define VIP      0xc633640au
#define CLIENT   0xc6120100u
#define AHEAD_US 123456789 /* the other gateway's clock */
#define FAULT_US 10000000  /* on ours */
#define EVIL     "<script>alert(1)</script>&\"'"

static void
feed(struct drill_watch *w, bool down, uint32_t client, uint16_t call, uint32_t seq, int64_t at_us)
{
	uint8_t bytes[64];
	struct wr wr = wr_init(bytes, sizeof(bytes));

	wr_u8(&wr, 0x45);
	wr_zero(&wr, 8);
	wr_u8(&wr, 47);
	wr_zero(&wr, 2);
	wr_u32(&wr, down ? VIP : client);
	wr_u32(&wr, down ? client : VIP);
	wr_u16(&wr, 0x3001);
	wr_u16(&wr, 0x880b);
	wr_u16(&wr, 20);
	wr_u16(&wr, call);
	wr_u32(&wr, seq);
	wr_u16(&wr, 0x00fd);
	drill_watch_feed(w, bytes, wr_len(&wr), down, at_us);
}

static json_t *
session(unsigned id, const char *user)
{
	char peer[32], address[32];

	snprintf(peer, sizeof(peer), "198.18.%u.%u", 1 + id / 256, id % 256);
	snprintf(address, sizeof(address), "10.8.0.%u", id % 250);
	return json_pack("{s:i,s:i,s:i,s:s,s:s,s:s}", "id", (int)id, "call", (int)(1000 + id),
	    "peer_call", (int)(2000 + id), "user", user, "peer", peer, "address", address);
}

struct world {
	struct drill_watch old, new;
	struct drill_plan plan;
	struct drill_seen s;
	json_t *before, *after, *old_journal, *new_journal;
};

/*
 * Session n sends and gets a packet every 20 ms, at n ms past them. The old gateway passes all up
 * to the fault, the new one all from 500 ms + n behind it on; what clients send between is lost.
 */
static void
play(struct world *w, unsigned n)
{
	for (uint32_t i = 0; i < 400; i++) {
		int64_t at_us = FAULT_US - 2000000 + (int64_t)i * 20000 + n * 1000;
		uint32_t client = CLIENT + n;
		bool first = at_us < FAULT_US, second = at_us >= FAULT_US + 500000 + n * 1000;
		struct drill_watch *seer = first ? &w->old : &w->new;
		int64_t his_us = at_us + (first ? AHEAD_US : 0);

		if (!first && !second)
			continue;
		feed(seer, true, client, (uint16_t)(2000 + n), i, his_us);
		feed(seer, false, client, (uint16_t)(1000 + n), i, his_us);
	}
}

static void
begin(struct world *w, unsigned sessions)
{
	static const char line[] =
	    "[{\"kind\":\"step\",\"time\":\"2026-11-21T12:00:00.290Z\",\"transition\":\"MASTER\","
	    "\"step\":\"promote\",\"result\":\"ok\",\"ms\":30,\"detail\":\"\"},"
	    "{\"kind\":\"transition\",\"time\":\"2026-11-21T12:00:00.310Z\",\"transition\":"
	    "\"MASTER\","
	    "\"result\":\"done\",\"ms\":60,\"begun\":\"2026-11-21T12:00:00.250Z\"}]";
	static const char other[] =
	    "[{\"kind\":\"step\",\"time\":\"2026-11-21T12:00:05.100Z\",\"transition\":\"BACKUP\","
	    "\"step\":\"demote\",\"result\":\"ok\",\"ms\":100,\"detail\":\"\"}]";

	*w = (struct world){0};
	cluster_drill_default(DRILL_CRASH, &w->plan);
	assert_int_equal(drill_watch_init(&w->old, FAULT_US - 2500000 + AHEAD_US), 0);
	assert_int_equal(drill_watch_init(&w->new, FAULT_US - 2400000), 0);
	w->before = json_array();
	w->after = json_array();
	for (unsigned i = 0; i < sessions; i++) {
		json_array_append_new(w->before, session(i, "u"));
		json_array_append_new(w->after, session(i, "u"));
		play(w, i);
	}
	w->new_journal = json_loads(line, 0, NULL);
	w->old_journal = json_loads(other, 0, NULL);
	w->s = (struct drill_seen){.plan = &w->plan,
	    .id = "20261121T120000Z-gw2",
	    .node = "gw2",
	    .from = "gw1",
	    .to = "gw2",
	    .begun_ms = 1795262397000,
	    .ended_ms = 1795262410000,
	    .fault_us = FAULT_US,
	    .fault_ms = 1795262400000,
	    .clock_us = AHEAD_US,
	    .clock_error_us = 100,
	    .wall_ms = 4000,
	    .old = &w->old,
	    .new = &w->new,
	    .before = w->before,
	    .after = w->after,
	    .old_journal = w->old_journal,
	    .new_journal = w->new_journal,
	    .dropped = -1};
}

static void
end(struct world *w, json_t *report)
{
	json_decref(report);
	json_decref(w->before);
	json_decref(w->after);
	json_decref(w->old_journal);
	json_decref(w->new_journal);
	drill_watch_fini(&w->old);
	drill_watch_fini(&w->new);
}

static double
real_at(const json_t *o, const char *object, const char *name)
{
	const json_t *v = json_object_get(*object ? json_object_get(o, object) : o, name);

	assert_true(json_is_number(v));
	return json_number_value(v);
}

static void
near(double got, double want)
{
	if (got < want - 0.011 || got > want + 0.011)
		fail_msg("got %f, want %f", got, want);
}

static void
test_figures(void **state)
{
	struct world w;
	json_t *o;

	begin(&w, 10);
	o = drill_report(&w.s);
	/* The last one before the fault is 20 ms - n before it, the first one behind it 500 + n. */
	near(real_at(o, "gap_ms", "min"), 520);
	near(real_at(o, "gap_ms", "median"), 520);
	assert_int_equal(real_at(o, "gap_ms", "n"), 10);
	/* n = 0 is due at the fault itself: 25 of it are lost, so of each. */
	assert_int_equal(real_at(o, "packets", "missing"), 250);
	assert_int_equal(real_at(o, "packets", "lost"), 250);
	assert_int_equal(real_at(o, "packets", "to_clients"), 3750);
	assert_int_equal(real_at(o, "packets", "from_clients"), 4000);
	assert_int_equal(real_at(o, "sessions", "survived"), 10);
	near(real_at(o, "", "detection_ms"), 250);
	near(real_at(o, "", "ms"), 60);
	near(real_at(o, "", "resumed_ms"), 500);
	const json_t *steps = json_object_get(o, "steps");
	near(real_at(json_array_get(steps, 0), "", "at_ms"), 260);
	near(real_at(json_array_get(steps, 1), "", "at_ms"), 1000); /* its clock is 4 s ahead */
	end(&w, o);
}

static void
test_outcomes(void **state)
{
	struct world w;
	json_t *o, *one;

	begin(&w, 6);
	json_array_remove(w.after, 5); /* lost */
	json_array_remove(w.after, 4); /* redialled, */
	one = session(4, "u");
	json_object_set_new(one, "id", json_integer(77));
	json_array_append_new(w.after, one);
	json_array_append_new(w.after, session(99, "new"));
	/* 3 is there, and silent: it had data before the fault only. */
	for (int way = DRILL_DOWN; way <= DRILL_UP; way++) {
		struct drill_flow *f = (struct drill_flow *)(uintptr_t)drill_watch_find(&w.new,
		    (enum drill_way)way, CLIENT + 3, (uint16_t)(way == DRILL_DOWN ? 2003 : 1003));
		f->client = 1;
	}
	o = drill_report(&w.s);
	assert_int_equal(real_at(o, "sessions", "before"), 6);
	assert_int_equal(real_at(o, "sessions", "survived"), 3);
	assert_int_equal(real_at(o, "sessions", "redialled"), 1);
	assert_int_equal(real_at(o, "sessions", "lost"), 2);
	assert_int_equal(real_at(o, "sessions", "silent"), 1);
	assert_int_equal(real_at(o, "sessions", "new"), 1);
	assert_int_equal(json_array_size(json_object_get(o, "gone")), 3);
	drill_report_judge(o, &w.plan);
	assert_string_equal(words_text(o, "verdict"), "failed");
	assert_non_null(strstr(words_text(o, "why"), "2 of 6 sessions were lost, 1 had to redial"));
	w.plan.max_lost = 3;
	drill_report_judge(o, &w.plan);
	assert_string_equal(words_text(o, "verdict"), "passed");
	w.plan.max_gap_ms = 519;
	drill_report_judge(o, &w.plan);
	assert_string_equal(words_text(o, "verdict"), "failed");
	w.plan.max_gap_ms = 521;
	w.plan.max_detection_ms = 249;
	drill_report_judge(o, &w.plan);
	assert_string_equal(words_text(o, "verdict"), "failed");
	assert_true(json_array_size(json_object_get(o, "advice")) > 0);
	end(&w, o);
}

/* Nothing was seen, or only by one: numbers are missing, and nothing else is said. */
static void
test_half(void **state)
{
	struct world w;
	json_t *o;

	begin(&w, 3);
	w.s.old = NULL;
	o = drill_report(&w.s);
	assert_true(json_is_null(json_object_get(o, "gap_ms")));
	json_decref(o);
	w.s.new = NULL;
	w.s.after = NULL;
	o = drill_report(&w.s);
	assert_int_equal(real_at(o, "sessions", "survived"), 0);
	assert_int_equal(real_at(o, "sessions", "lost"), 0);
	json_decref(o);
	w.s.before = NULL;
	w.s.fault_us = 0;
	o = drill_report(&w.s);
	assert_true(json_is_null(json_object_get(o, "sessions")));
	drill_report_end(o, DRILL_REFUSED, "why not", "");
	json_t *summary = drill_report_summary(o);
	assert_string_equal(words_text(summary, "verdict"), "refused");
	json_decref(summary);
	end(&w, o);
}

/* Many sessions with long names, all lost: it fits into one answer. */
static void
test_size(void **state)
{
	char user[254];
	struct world w;
	json_t *o;

	begin(&w, 0);
	memset(user, 'x', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	for (unsigned i = 0; i < 2000; i++) {
		json_array_append_new(w.before, session(i, user));
		if (i % 2)
			json_array_append_new(w.after, session(i, user));
		play(&w, i % 250);
	}
	for (unsigned i = 0; i < 300; i++)
		json_array_append(w.new_journal, json_array_get(w.new_journal, 0));
	o = drill_report(&w.s);
	drill_report_judge(o, &w.plan);
	assert_true(json_dumpb(o, NULL, 0, JSON_COMPACT) < DRILL_REPORT_MAX);
	end(&w, o);
}

static void
test_pages(void **state)
{
	struct world w;
	json_t *o, *past = json_array();
	char *html, *text = NULL;
	size_t len;

	begin(&w, 4);
	json_array_append_new(w.before, session(9, EVIL));
	w.s.from = "gw1";
	o = drill_report(&w.s);
	drill_report_judge(o, &w.plan);
	json_object_set_new(o, "why", json_string(EVIL));
	for (unsigned i = 0; i < 5; i++)
		json_array_append_new(past, drill_report_summary(o));
	html = drill_report_html(o, past);
	assert_non_null(html);
	assert_null(strstr(html, "<script"));
	assert_non_null(strstr(html, "&lt;script&gt;alert(1)"));
	assert_null(strstr(html, "http")); /* nothing is loaded from anywhere */
	assert_non_null(strstr(html, "class=\"timeline\""));
	assert_non_null(strstr(html, "class=\"trend\""));
	assert_non_null(strstr(html, "</html>"));
	free(html);
	FILE *f = open_memstream(&text, &len);
	drill_text(f, o);
	drill_text_head(f);
	drill_text_line(f, json_array_get(past, 0));
	fclose(f);
	assert_non_null(strstr(text, "520 minimum, 520 median"));
	assert_non_null(strstr(text, "5 before: 4 survived"));
	free(text);
	/* A report that says nothing at all, and one of the wrong types. */
	json_t *empty = json_object(),
	       *odd = json_pack("{s:i,s:s,s:i,s:s,s:[i,s],s:s}", "verdict", 1, "gap_ms", "x",
		   "sessions", 3, "rate", "x", "steps", 1, "x", "limits", "y");
	json_t *const bad[] = {empty, odd};
	for (size_t i = 0; i < 2; i++) {
		html = drill_report_html(bad[i], NULL);
		assert_non_null(html);
		free(html);
		f = open_memstream(&text, &len);
		drill_text(f, bad[i]);
		drill_text_line(f, bad[i]);
		fclose(f);
		free(text);
		json_decref(bad[i]);
	}
	json_decref(past);
	end(&w, o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_figures),
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_half),
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
