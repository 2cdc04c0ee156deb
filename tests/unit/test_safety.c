/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The judgement of the pair: every reason not to be safe, from either side, one at a time; what is
 * wrong with each gateway, the worst first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hagent/safety.h"
#include "hagent/words.h"

/* What gw1's agent says when all is well, and then what gw2's says. */
static json_t *
active(void)
{
	json_t *o = json_loads(
	    "{\"node\":\"gw1\",\"role\":\"active\",\"vip\":{\"wan_here\":true,\"lan_here\":true},"
	    "\"pptpd\":{\"answers\":true,\"role\":\"active\",\"sessions\":812},"
	    "\"keepalived\":\"running\",\"keepalived_said\":\"MASTER\","
	    "\"peer\":{\"fresh\":true,\"node\":\"gw2\",\"role\":\"standby\",\"health\":\"fine\","
	    "\"problem\":\"\",\"ready\":true,\"keepalived\":true,\"sessions\":812},"
	    "\"replica\":{\"state\":\"in-sync\",\"in_step\":true,\"sessions\":812,\"at_risk\":0,"
	    "\"snapshot\":{\"done\":400,\"of\":812}},"
	    "\"split\":null,\"move\":null,\"prepared\":null,\"problems\":[]}",
	    0, NULL);

	assert_non_null(o);
	return o;
}

static json_t *
standby(void)
{
	json_t *o = json_loads(
	    "{\"node\":\"gw2\",\"role\":\"standby\",\"vip\":{\"wan_here\":false},"
	    "\"pptpd\":{\"answers\":true,\"role\":\"standby\",\"sessions\":812},"
	    "\"keepalived\":\"running\",\"keepalived_said\":\"BACKUP\","
	    "\"peer\":{\"fresh\":true,\"node\":\"gw1\",\"role\":\"active\",\"health\":\"fine\","
	    "\"problem\":\"\",\"ready\":true,\"keepalived\":true,\"sessions\":1},"
	    "\"replica\":{\"state\":\"standby\",\"in_step\":true,\"stale\":false,"
	    "\"sessions\":1},\"problems\":[]}",
	    0, NULL);

	assert_non_null(o);
	return o;
}

/* Sets what a path of at most two names leads to; the value is JSON. */
static void
set(json_t *o, const char *path, const char *value)
{
	char first[32];
	const char *dot = strchr(path, '.');
	json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	if (!dot) {
		json_object_set_new(o, path, v);
		return;
	}
	memcpy(first, path, (size_t)(dot - path));
	first[dot - path] = '\0';
	assert_int_equal(json_object_set_new(json_object_get(o, first), dot + 1, v), 0);
}

static void
assert_judged(json_t *o, const char *level, const char *headline)
{
	json_t *j = safety_judge(o);

	assert_non_null(j);
	assert_string_equal(words_text(j, "headline"), headline);
	assert_string_equal(words_text(j, "level"), level);
	assert_string_equal(safety_level_name(safety_level_of(j)), level);
	json_decref(j);
	json_decref(o);
}

/* One change of a pair that is well. */
static void
assert_change(json_t *o, const char *path, const char *value, const char *level, const char *line)
{
	set(o, path, value);
	assert_judged(o, level, line);
}

#define PROBLEM(severity, code, text)                                                              \
	"[{\"severity\":\"" severity "\",\"code\":\"" code "\",\"text\":\"" text                   \
	"\",\"advice\":\"cure it\"}]"

static void
test_safe(void **state)
{
	assert_judged(active(), "safe", "gw1 serves 812 sessions, gw2 holds a current copy");
	assert_judged(standby(), "safe", "gw1 serves 1 session, gw2 holds a current copy");
	assert_change(active(), "replica.at_risk", "3", "safe",
	    "gw1 serves 812 sessions, gw2 holds a current copy of all but 3 new ones");
	assert_change(active(), "problems", PROBLEM("note", "conntrackd", "conntrackd died"),
	    "safe", "gw1 serves 812 sessions, gw2 holds a current copy");
	/* It would serve if it had to. */
	assert_change(active(), "peer.maintenance", "true", "safe",
	    "gw1 serves 812 sessions, gw2 holds a current copy");
	/* An older peer says neither. */
	json_t *old = active();
	json_object_del(json_object_get(old, "peer"), "ready");
	json_object_del(json_object_get(old, "peer"), "keepalived");
	assert_judged(old, "safe", "gw1 serves 812 sessions, gw2 holds a current copy");
}

static void
test_active_at_risk(void **state)
{
	static const struct {
		const char *path, *value, *but;
	} cases[] = {
	    {"peer.fresh", "false", "gw2 is silent: nobody could take over"},
	    {"peer", "{\"fresh\":false}", "no other gateway has been heard yet"},
	    {"peer.health", "\"hard\"", "gw2 is not well: "},
	    {"peer.health", "\"soft\"", "gw2 is not well: "},
	    {"peer.ready", "false", "gw2's keepalived is in FAULT"},
	    {"peer.keepalived", "false", "gw2's keepalived does not run"},
	    {"replica.state", "\"syncing\"", "gw2 is being sent its copy, 400 of 812 so far"},
	    {"replica.state", "\"solo\"", "gw2 holds no current copy"},
	    {"replica.state", "\"alone\"", "gw2 holds no current copy"},
	    {"problems", PROBLEM("note", "replica", "the standby is out of memory"),
		"the standby is out of memory"},
	    {"problems", PROBLEM("soft", "ip-forward", "the kernel does not forward"),
		"the kernel does not forward"},
	    {"problems", PROBLEM("hard", "no-tun", "pptpd's tunnel device is gone"),
		"pptpd's tunnel device is gone"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[200];

		snprintf(line, sizeof(line), "gw1 serves 812 sessions, but %s", cases[i].but);
		assert_change(active(), cases[i].path, cases[i].value, "at-risk", line);
	}
}

static void
test_standby_at_risk(void **state)
{
	static const struct {
		const char *path, *value, *but;
	} cases[] = {
	    {"replica.in_step", "false", "gw2 holds no current copy"},
	    {"replica.stale", "true", "gw2 holds no current copy"},
	    {"keepalived_said", "\"FAULT\"", "gw2's keepalived is in FAULT"},
	    {"problems", PROBLEM("note", "keepalived", "keepalived died"), "gw2: keepalived died"},
	    {"problems", PROBLEM("soft", "disk", "the disk is full"),
		"gw2 is not well: the disk is full"},
	    {"peer.health", "\"soft\"", "it is not well: "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[200];

		snprintf(line, sizeof(line), "gw1 serves 1 session, but %s", cases[i].but);
		assert_change(standby(), cases[i].path, cases[i].value, "at-risk", line);
	}
}

static void
test_both_or_none(void **state)
{
	static const char both[] =
	    "both gateways serve: they have lost each other, or are just meeting";
	json_t *o = active();

	assert_change(active(), "peer.role", "\"active\"", "at-risk", both);
	assert_change(active(), "split", "{\"open\":true}", "at-risk", both);
	assert_change(standby(), "peer.fresh", "false", "down",
	    "gw2 does not serve (it is not MASTER), and gw1 is silent");
	assert_change(standby(), "peer.role", "\"standby\"", "down",
	    "neither serves: gw2: it is not MASTER; gw1: standby");
	set(o, "problems", PROBLEM("hard", "wan-down", "the WAN interface wan is down"));
	set(o, "peer.problem", "\"the LAN interface lan is down\"");
	assert_change(o, "pptpd.role", "\"standby\"", "down",
	    "neither serves: gw1: the WAN interface wan is down; gw2: the LAN interface lan is "
	    "down");
	/* The address is not here: nobody reaches us. */
	assert_change(active(), "vip.wan_here", "false", "down",
	    "neither serves: gw1: it is not MASTER; gw2: standby");
	/* A hard fault of the one that serves, seen from the other. */
	assert_change(standby(), "peer.health", "\"hard\"", "down",
	    "neither serves: gw2: it is not MASTER; gw1: active");
}

static void
test_moving(void **state)
{
	json_t *o = active();

	set(o, "move", "{\"to\":\"gw2\"}");
	assert_change(o, "vip.wan_here", "false", "at-risk",
	    "the sessions are on their way between gw1 and gw2");
	o = standby();
	set(o, "prepared", "{\"phase\":\"expects\"}");
	assert_change(o, "peer.role", "\"standby\"", "at-risk",
	    "the sessions are on their way between gw2 and gw1");
	/* For a moment both are called active. */
	o = active();
	set(o, "transition_running", "true");
	assert_change(o, "peer.role", "\"active\"", "safe",
	    "gw1 serves 812 sessions, gw2 holds a current copy");
}

/* Nothing that is odd may be called safe. */
static void
test_odd(void **state)
{
	static const char *const texts[] = {"{}", "[]", "{\"peer\":7,\"pptpd\":[]}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *o = json_loads(texts[i], 0, NULL), *j = safety_judge(o);

		assert_int_equal(safety_level_of(j), SAFETY_DOWN);
		json_decref(j);
		json_decref(o);
	}
	assert_int_equal(safety_level_of(NULL), SAFETY_DOWN);
}

static void
assert_problem(const json_t *judgement, size_t i, const char *node, const char *code)
{
	const json_t *p = json_array_get(json_object_get(judgement, "problems"), i);

	assert_string_equal(words_text(p, "code"), code);
	assert_string_equal(words_text(p, "node"), node);
	assert_true(*words_text(p, "text"));
	assert_true(*words_text(p, "advice"));
}

static void
test_problems(void **state)
{
	json_t *o = active(), *j;

	set(o, "problems",
	    "[{\"severity\":\"note\",\"code\":\"journal\",\"text\":\"t\",\"advice\":\"a\"},"
	    "{\"severity\":\"soft\",\"code\":\"disk\",\"text\":\"t\",\"advice\":\"a\"}]");
	set(o, "peer.problem", "\"pptpd does not answer\"");
	set(o, "peer.health", "\"hard\"");
	set(o, "set",
	    "{\"conflicts\":2,\"missing\":[\"/etc/x\"],\"last\":{\"result\":\"invalid\","
	    "\"text\":\"/etc/pptpd.conf:3: no\"}}");
	j = safety_judge(o);
	assert_int_equal(json_array_size(json_object_get(j, "problems")), 6);
	assert_problem(j, 0, "gw2", "peer");
	assert_problem(j, 1, "gw1", "disk");
	assert_problem(j, 2, "gw1", "journal");
	assert_problem(j, 3, "gw1", "files");
	assert_problem(j, 4, "gw1", "files-missing");
	assert_problem(j, 5, "gw1", "conflicts");
	json_decref(j);
	/* What a silent one said last is no news. */
	set(o, "peer.fresh", "false");
	j = safety_judge(o);
	assert_int_equal(json_array_size(json_object_get(j, "problems")), 5);
	json_decref(j);
	json_decref(o);
}

static void
test_without_agent(void **state)
{
	json_t *pptpd = json_pack("{s:s,s:i}", "role", "active", "sessions", 1);
	json_t *j = safety_without_agent("gw1", pptpd);

	assert_int_equal(safety_level_of(j), SAFETY_AT_RISK);
	assert_string_equal(
	    words_text(j, "headline"), "gw1 serves 1 session, but its agent does not answer");
	assert_problem(j, 0, "gw1", "agent");
	json_decref(j);
	json_decref(pptpd);
	j = safety_without_agent("gw1", NULL);
	assert_int_equal(safety_level_of(j), SAFETY_DOWN);
	json_decref(j);
}

static void
test_words(void **state)
{
	char span[WORDS_SPAN], n[WORDS_COUNT];

	assert_string_equal(words_span(0, span), "0 s");
	assert_string_equal(words_span(119, span), "119 s");
	assert_string_equal(words_span(120, span), "2 min");
	assert_string_equal(words_span(7199, span), "119 min");
	assert_string_equal(words_span(7200, span), "2 h");
	assert_string_equal(words_span(172800, span), "2 days");
	assert_string_equal(words_count(0, "file", n), "0 files");
	assert_string_equal(words_count(1, "file", n), "1 file");
	assert_string_equal(words_text(NULL, "x"), "");
	assert_int_equal(words_number(NULL, "x"), 0);
	assert_false(words_is(NULL, "x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_safe),
	    cmocka_unit_test(test_active_at_risk),
	    cmocka_unit_test(test_standby_at_risk),
	    cmocka_unit_test(test_both_or_none),
	    cmocka_unit_test(test_moving),
	    cmocka_unit_test(test_odd),
	    cmocka_unit_test(test_problems),
	    cmocka_unit_test(test_without_agent),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
