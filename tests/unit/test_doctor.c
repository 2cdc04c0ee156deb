/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's pure parts: what a weak password is, how rulesets are compared, what a line of
 * sysctl.conf says; how answers are put together; and its table against the guide, which must have
 * a row for each check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hagent/doctor.h"

/* ---- passwords ---- */

static void
test_weak_passwords(void **state)
{
	static const struct {
		const char *name, *password, *why;
		enum doctor_verdict v;
	} cases[] = {
	    {"u", "", "empty", DOCTOR_PROBLEM},
	    {"alice", "Alice", "the name", DOCTOR_PROBLEM},
	    {"CORP\\alice", "alice", "the name", DOCTOR_PROBLEM},
	    {"u", "Password1", "tried first", DOCTOR_PROBLEM},
	    {"u", "letmein1", "tried first", DOCTOR_PROBLEM},
	    {"u", "x7$kQ", "shorter than 8", DOCTOR_PROBLEM},
	    {"u", "aaaabbbbccccdddd", "fewer than 5 different", DOCTOR_PROBLEM},
	    {"u", "abcdefghi", "recorded login", DOCTOR_WARNING},
	    {"u", "a1b2c3d4e5", "recorded login", DOCTOR_WARNING},
	    {"u", "Kx7$mQ2!", "recorded login", DOCTOR_WARNING},
	};
	static const char *const good[] = {"Very$trongP@ss", "qT7wLm29ZrXc",
	    "correct horse battery", "passwords are long when they are sentences",
	    "9f86d081884c7d659a2f"};
	enum doctor_verdict v;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = doctor_weak_password(cases[i].name, cases[i].password, &v);

		if (!why || !strstr(why, cases[i].why))
			fail_msg("%s: got \"%s\", want \"%s\"", cases[i].password,
			    why ? why : "no weakness", cases[i].why);
		assert_int_equal(v, cases[i].v);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *why = doctor_weak_password("alice", good[i], &v);

		if (why)
			fail_msg("%s: got \"%s\", want no weakness", good[i], why);
	}
}

/* No text about a password may hold a part of it. */
static void
test_password_is_not_told(void **state)
{
	enum doctor_verdict v;

	assert_null(strstr(doctor_weak_password("u", "letmein", &v), "letmein"));
	assert_null(strstr(doctor_weak_password("u", "zz", &v), "zz"));
}

/* ---- rules ---- */

static const char ruleset[] = "table inet pptp_ha {\n"
			      "\tset calls {\n\t\ttypeof ip saddr\n\t}\n"
			      "\tchain raw_pre {\n"
			      "\t\ttype filter hook prerouting priority raw; policy accept;\n"
			      "\t\tiifname \"lo\" accept\n"
			      "\t\tip protocol vrrp notrack\n"
			      "\t}\n\n"
			      "\tchain forward {\n"
			      "\t\tip daddr 10.0.0.1 accept\n"
			      "\t\tip daddr 10.0.0.1 accept\n"
			      "\t}\n"
			      "}\n";

static bool
in_forward(const char *chain, const char *line)
{
	return strcmp(chain, "forward") == 0;
}

/* The ruleset with the first `what` replaced by `by`, malloc'd. */
static char *
changed(const char *what, const char *by)
{
	const char *at = strstr(ruleset, what);
	char *out;

	assert_non_null(at);
	assert_true(
	    asprintf(&out, "%.*s%s%s", (int)(at - ruleset), ruleset, by, at + strlen(what)) > 0);
	return out;
}

static unsigned
compare_changed(const char *what, const char *by,
    bool (*counts)(const char *chain, const char *line), char *said, size_t size)
{
	char *have = changed(what, by);
	unsigned n = doctor_compare_rules(ruleset, have, counts, said, size);

	free(have);
	return n;
}

static void
test_rules(void **state)
{
	char said[256];

	assert_int_equal(doctor_compare_rules(ruleset, ruleset, NULL, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	assert_int_equal(
	    compare_changed("\t\tip protocol vrrp notrack\n", "", NULL, said, sizeof(said)), 1);
	assert_string_equal(said, "chain raw_pre lacks \"ip protocol vrrp notrack\"");
	/* Of two that are alike one is missing. */
	assert_int_equal(
	    compare_changed("\t\tip daddr 10.0.0.1 accept\n", "", NULL, said, sizeof(said)), 2);
	assert_int_equal(compare_changed("accept\n\t\tip protocol",
			     "accept\n\t\tdrop\n\t\tip protocol", NULL, said, sizeof(said)),
	    1);
	assert_string_equal(said, "chain raw_pre has besides \"drop\"");
	/* A policy is a line like any other. */
	assert_int_equal(
	    compare_changed("policy accept", "policy drop", NULL, said, sizeof(said)), 2);
	/* What does not count is not looked at; sets never are. */
	assert_int_equal(
	    compare_changed("policy accept", "policy drop", in_forward, said, sizeof(said)), 0);
	assert_int_equal(
	    compare_changed("typeof ip saddr", "typeof ip daddr", NULL, said, sizeof(said)), 0);
	/* Everything is gone. */
	assert_int_equal(doctor_compare_rules(ruleset, "", NULL, said, sizeof(said)), 5);
	assert_int_equal(doctor_compare_rules("", "", NULL, said, sizeof(said)), 0);
	/* Texts that end anywhere. */
	for (size_t len = 0; len < sizeof(ruleset); len++) {
		char *cut = strndup(ruleset, len);

		doctor_compare_rules(ruleset, cut, NULL, said, sizeof(said));
		doctor_compare_rules(cut, ruleset, NULL, said, sizeof(said));
		free(cut);
	}
}

/* ---- sysctl.conf, lines, networks ---- */

static void
test_settings(void **state)
{
	char key[64], value[16];

	assert_true(doctor_parse_setting(
	    "net.ipv4.ip_forward = 1", key, sizeof(key), value, sizeof(value)));
	assert_string_equal(key, "net/ipv4/ip_forward");
	assert_string_equal(value, "1");
	/* An interface whose name has a dot stands with slashes, and may fail. */
	assert_true(doctor_parse_setting(
	    "-net/ipv4/conf/eth0.7/rp_filter = 0 \n", key, sizeof(key), value, sizeof(value)));
	assert_string_equal(key, "net/ipv4/conf/eth0.7/rp_filter");
	assert_string_equal(value, "0");
	assert_false(doctor_parse_setting("# net.x = 1", key, sizeof(key), value, sizeof(value)));
	assert_false(doctor_parse_setting("", key, sizeof(key), value, sizeof(value)));
	assert_false(doctor_parse_setting("net.x =", key, sizeof(key), value, sizeof(value)));
	assert_false(doctor_parse_setting("net.x", key, sizeof(key), value, sizeof(value)));
	assert_false(doctor_parse_setting(
	    "net.x = 12345678901234567", key, sizeof(key), value, sizeof(value)));
}

static void
test_lines(void **state)
{
	assert_int_equal(doctor_line_of("a\n remoteip 1\nremoteipx\n", "remoteip"), 2);
	assert_int_equal(doctor_line_of("remoteipx\nmtu=3", "mtu"), 2);
	assert_int_equal(doctor_line_of("remoteipx", "remoteip"), 0);
	assert_int_equal(doctor_line_of("", "x"), 0);
}

static void
test_networks(void **state)
{
	struct cluster_net net;

	assert_true(doctor_parse_net("10.8.0.0/24", &net));
	assert_int_equal(net.address, 0x0a080000);
	assert_int_equal(net.prefix, 24);
	assert_true(doctor_parse_net("10.8.0.1", &net));
	assert_int_equal(net.prefix, 32);
	assert_false(doctor_parse_net("default", &net));
	assert_false(doctor_parse_net("10.8.0.0/33", &net));
	assert_false(doctor_parse_net("10.8.0.0/", &net));
	assert_false(doctor_parse_net("10.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0/24", &net));
}

/* ---- answers ---- */

static void
test_answers(void **state)
{
	struct doctor_answer a = {.verdict = DOCTOR_UNKNOWN};

	doctor_say(&a, DOCTOR_OK, "%s", "");
	doctor_also(&a, DOCTOR_WARNING, "one of %d", 2);
	doctor_also(&a, DOCTOR_OK, "another");
	assert_int_equal(a.verdict, DOCTOR_WARNING);
	assert_string_equal(a.seen, "one of 2; another");
	doctor_also(&a, DOCTOR_UNKNOWN, "not seen");
	assert_int_equal(a.verdict, DOCTOR_WARNING);
	doctor_also(&a, DOCTOR_PROBLEM, "worse");
	assert_int_equal(a.verdict, DOCTOR_PROBLEM);
	doctor_mend_at(&a, "gw2", "first");
	doctor_mend_also(&a, "second %d", 2);
	assert_string_equal(a.where, "gw2");
	assert_string_equal(a.command, "first && second 2");
	doctor_mend(&a, "here");
	assert_string_equal(a.where, "");
	assert_string_equal(a.command, "here");
	for (int i = 0; i < 200; i++) { /* cut, never beyond */
		doctor_also(&a, DOCTOR_OK, "a sentence that is a little longer than others");
		doctor_mend_also(&a, "a command that is a little longer than others");
	}
	assert_true(strlen(a.seen) < sizeof(a.seen));
	assert_true(strlen(a.command) < sizeof(a.command));
}

/* ---- the table ---- */

static void
test_table(void **state)
{
	static char guide[131072];
	FILE *f = fopen("../../docs/operators-guide.md", "re");

	assert_non_null(f);
	size_t n = fread(guide, 1, sizeof(guide) - 1, f);
	fclose(f);
	assert_true(n > 0 && n < sizeof(guide) - 1);
	for (size_t i = 0; i < doctor_n_checks; i++) {
		const struct doctor_check *c = &doctor_checks[i];
		char name[64], row[192];

		snprintf(name, sizeof(name), "%s", c->name);
		for (char *at = name; (at = strchr(at, '_')) != NULL;)
			*at = '-';
		snprintf(row, sizeof(row), "\n| `%s` | %s |", name, c->looks);
		if (!strstr(guide, row))
			fail_msg("operators-guide.md has no row: %s", row + 1);
		assert_true(doctor_is_theme(c->theme));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(doctor_checks[k].name, c->name);
	}
	assert_false(doctor_is_theme("guard"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_weak_passwords),
	    cmocka_unit_test(test_password_is_not_told),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
