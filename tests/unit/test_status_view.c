/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent status as it stands on a terminal: breaking lines, what is left out when there is no room,
 * colours, and the screen of a pair that is well and of one that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/safety.h"
#include "hagent/status_view.h"

static const struct term usual = {.live = true, .columns = 80, .rows = 24};

static const char active[] =
    "{\"version\":\"0.1.0\",\"node\":\"gw1\",\"role\":\"active\",\"epoch\":7,"
    "\"uptime_ms\":10800000,"
    "\"vip\":{\"wan\":\"198.51.100.10\",\"wan_here\":true,\"lan\":\"192.168.1.1\","
    "\"lan_here\":true},\"pptpd\":{\"answers\":true,\"role\":\"active\",\"listening\":true,"
    "\"sessions\":812,\"version\":\"0.1.0\"},\"keepalived\":\"running\","
    "\"keepalived_said\":\"MASTER\",\"conntrackd\":\"running\",\"sshd\":\"running\","
    "\"link\":\"running\",\"peer\":{\"fresh\":true,\"paths\":{\"sync\":{\"up\":true},"
    "\"lan\":{\"up\":true},\"wan\":{\"up\":true}},\"node\":\"gw2\",\"version\":\"0.1.0\","
    "\"role\":\"standby\",\"epoch\":7,\"health\":\"fine\",\"problem\":\"\",\"hold\":\"\","
    "\"maintenance\":false},\"replica\":{\"state\":\"in-sync\",\"in_step\":true,"
    "\"sessions\":812,\"connections\":812,\"at_risk\":0,\"lag_ms\":3,\"snapshot\":{\"done\":0,"
    "\"of\":0},\"resumed\":800,\"rekeyed\":12,\"version\":2},\"health\":\"fine\","
    "\"deep\":{\"ok\":true,\"workers\":2,\"rtt_ms\":0.84},"
    "\"verdict\":\"fit\",\"problems\":[],\"flap\":{\"why\":\"\"},\"crashes\":[],"
    "\"last_move\":{\"id\":9,\"begun\":\"2026-11-21T18:38:40.862Z\",\"to\":\"gw1\","
    "\"result\":\"moved\",\"ms\":160,\"way\":\"handover\",\"sessions\":812,"
    "\"why\":\"switchover\",\"text\":\"\"},\"last_transition\":{\"id\":10,"
    "\"begun\":\"2026-11-21T18:38:40.862Z\",\"transition\":\"MASTER\",\"result\":\"done\","
    "\"ms\":32,\"slowest\":\"epoch\",\"slowest_ms\":24,\"detail\":\"keepalived said MASTER\"},"
    "\"set\":{\"in_step\":true,\"peer\":{\"age_s\":4},\"last\":{\"result\":\"same\"},"
    "\"missing\":[],\"conflicts\":0}}";

static json_t *
load(void)
{
	json_error_t e;
	json_t *o = json_loads(active, 0, &e);

	if (!o)
		fail_msg("%s at %d", e.text, e.position);
	return o;
}

/* Twenty problems, each with a long text. */
static void
break_everything(json_t *o)
{
	json_t *list = json_array(), *peer = json_object_get(o, "peer"), *path;
	const char *name;

	for (int i = 0; i < 20; i++)
		json_array_append_new(list,
		    json_pack("{s:s,s:s,s:s,s:s}", "severity", i == 7 ? "hard" : "note", "code",
			"x", "text",
			"something is wrong in a way that takes more than one line of a terminal "
			"to tell",
			"advice", "look into it"));
	json_object_set_new(o, "problems", list);
	json_object_set_new(peer, "fresh", json_false());
	json_object_foreach(json_object_get(peer, "paths"), name, path)
	    json_object_set_new(path, "up", json_false());
}

/* Judged and drawn; malloc'd. */
static char *
drawn(json_t *o, const struct term *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct screen *s;

	json_object_set_new(o, "safety", safety_judge(o));
	s = status_view(o);
	assert_non_null(s);
	screen_print(s, t, 1, "\n", out);
	screen_free(s);
	fclose(out);
	json_decref(o);
	return text;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;
	int rc;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
	rc = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	if (rc != 0)
		fail_msg("want %s in:\n%s", pattern, text);
}

/* The lines; each no wider than that. */
static size_t
count_lines(const char *text, size_t columns)
{
	size_t n = 0;

	for (const char *end; (end = strchr(text, '\n')); text = end + 1, n++) {
		if ((size_t)(end - text) > columns)
			fail_msg("wider than %zu: %.*s", columns, (int)(end - text), text);
	}
	assert_string_equal(text, "");
	return n;
}

static void
test_break(void **state)
{
	assert_int_equal(term_break("", 10), 0);
	assert_int_equal(term_break("abc", 3), 3);
	assert_int_equal(term_break("abc def", 3), 3);
	assert_int_equal(term_break("abc def", 6), 3);
	assert_int_equal(term_break("abc def", 7), 7);
	assert_int_equal(term_break("abcdef", 4), 4);
	assert_int_equal(term_break("abcdef", 0), 1);
	assert_int_equal(term_break("\xc3\xa9t\xc3\xa9", 3), 5);
	assert_int_equal(term_break("\xc3\xa9t\xc3\xa9", 2), 3);
	assert_int_equal(term_break("a b", SIZE_MAX), 3);
	assert_int_equal(term_width("\xc3\xa9t\xc3\xa9"), 3);
}

static void
test_well(void **state)
{
	char *text = drawn(load(), &usual);

	assert_in_range(count_lines(text, 80), 8, 23);
	assert_int_equal(
	    strncmp(text, "SAFE  gw1 serves 812 sessions, gw2 holds a current copy\n", 56), 0);
	assert_matches(text, "^gw1 +active, has 198.51.100.10 and 192.168.1.1, epoch 7, up 3 h$");
	assert_matches(text, "^gw2 +standby, well, epoch 7, heard on sync, lan, wan$");
	assert_matches(text, "^replica +in-sync: 812 sessions, 0 at risk, lag 3 ms$");
	assert_matches(text, "^running +pptpd, keepalived, conntrackd, pair sshd, link$");
	assert_matches(text, "^files +in step, as of 4 s ago$");
	assert_matches(text, "^version +0.1.0 on both, stream 2$");
	assert_matches(text, "^deep check +a session through 2 workers answers in 0.8 ms$");
	assert_matches(text, "^nothing is wrong$");
	assert_null(strchr(text, '\033'));
	free(text);
}

static void
test_colours(void **state)
{
	struct term t = usual;
	json_t *o = load();
	char *text;

	t.colour = true;
	text = drawn(o, &t);
	assert_int_equal(strncmp(text, "\033[1;32mSAFE\033[0m  gw1", 19), 0);
	free(text);
	o = load();
	json_object_set_new(json_object_get(o, "peer"), "fresh", json_false());
	text = drawn(o, &t);
	assert_int_equal(strncmp(text, "\033[1;33mAT RISK\033[0m  gw1", 22), 0);
	free(text);
}

/* What matters stays: the answer at the top, and then what is wrong, the worst first. */
static void
test_crowded(void **state)
{
	json_t *o = load();
	char *text;

	break_everything(o);
	text = drawn(o, &usual);
	assert_int_equal(count_lines(text, 80), 23);
	assert_matches(text, "^AT RISK  gw1 serves 812 sessions, but something is wrong");
	assert_matches(text, "^gw1 ");
	assert_matches(text, "^gw2 ");
	assert_matches(text, "^wrong \\(hard\\) something");
	assert_matches(text, "^\\.\\.\\. and more: hagent status \\| less$");
	assert_null(strstr(text, "version "));
	assert_null(strstr(text, "transition "));
	assert_true(strstr(text, "(hard)") < strstr(text, "(note)"));
	free(text);
}

/* Not to a terminal: everything, each in one line. */
static void
test_pipe(void **state)
{
	const struct term pipe = {0};
	json_t *o = load();
	char *text;
	size_t n = 0;

	break_everything(o);
	text = drawn(o, &pipe);
	assert_true(count_lines(text, SIZE_MAX) > 50);
	for (const char *p = text; (p = strstr(p, "of a terminal to tell\n")); p++)
		n++;
	assert_int_equal(n, 21); /* and the headline */
	assert_matches(text, "^version ");
	free(text);
}

static void
test_sizes(void **state)
{
	for (unsigned columns = 40; columns <= 200; columns++) {
		struct term t = {.live = true, .columns = columns, .rows = 1 + columns % 30};
		json_t *o = load();
		char *text;

		if (columns % 2)
			break_everything(o);
		text = drawn(o, &t);
		assert_true(count_lines(text, columns) <= (t.rows > 1 ? t.rows - 1 : 1));
		free(text);
	}
}

static void
test_syncing(void **state)
{
	json_t *o = load(), *r = json_object_get(o, "replica");
	char *text;

	json_object_set_new(r, "state", json_string("syncing"));
	json_object_set_new(r, "snapshot", json_pack("{s:i,s:i}", "done", 203, "of", 812));
	text = drawn(o, &usual);
	assert_matches(text, "^replica +syncing \\[#####\\.{15}\\] 203 of 812$");
	free(text);
}

static void
test_troubled(void **state)
{
	json_t *o = load(), *peer = json_object_get(o, "peer");
	char *text;

	json_object_set_new(o, "keepalived", json_string("not running"));
	json_object_set_new(o, "problems",
	    json_pack("[{s:s,s:s,s:s,s:s}]", "severity", "note", "code", "keepalived", "text",
		"keepalived is not running: this gateway cannot become MASTER", "advice",
		"start keepalived"));
	json_object_set_new(json_object_get(peer, "paths"), "sync",
	    json_pack("{s:b,s:s}", "up", 0, "error", "wrong host key"));
	json_object_set_new(peer, "hold", json_string("held down for 20 s more"));
	json_object_set_new(o, "maintenance", json_integer(1795286320000));
	json_object_set_new(json_object_get(o, "pptpd"), "answers", json_false());
	json_object_set_new(json_object_get(o, "pptpd"), "error", json_string("timed out"));
	text = drawn(o, &usual);
	assert_in_range(count_lines(text, 80), 8, 23);
	assert_matches(text, "^DOWN  ");
	assert_matches(text, "^keepalived +not running$");
	assert_matches(text, "^wrong \\(note\\) keepalived is not running: .* become MASTER$");
	assert_matches(text, "^  do this +start keepalived$");
	assert_matches(text, "^  sync +silent: wrong host key$");
	assert_matches(text, "^holds +gw2: held down for 20 s more$");
	assert_matches(text, "^maintenance +on since 2026-11-2");
	assert_matches(text, "^pptpd +does not answer: timed out$");
	free(text);
}

/* An answer of no sense makes lines of no sense, and no harm. */
static void
test_odd(void **state)
{
	const struct term t = usual;
	json_t *o = json_pack("{s:s,s:[i],s:i}", "node", "a\nb", "problems", 7, "peer", 3);
	char *text = drawn(o, &t);

	assert_matches(text, "^DOWN  a\\?b does not serve");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_break),
	    cmocka_unit_test(test_well),
	    cmocka_unit_test(test_colours),
	    cmocka_unit_test(test_crowded),
	    cmocka_unit_test(test_pipe),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_syncing),
	    cmocka_unit_test(test_troubled),
	    cmocka_unit_test(test_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
