/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status page's server without its sockets: what requests ask for, the list of sessions, the
 * last hour, and the metrics' text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hagent/web_history.h"
#include "hagent/web_list.h"
#include "hagent/web_metrics.h"
#include "hagent/web_metrics_text.h"
#include "hagent/web_query.h"

/* ---- queries ---- */

static void
test_query(void **state)
{
	struct web_query q;
	char said[WEB_SAID_MAX];

	assert_int_equal(web_query_parse(NULL, &q, said), 0);
	assert_int_equal(q.sort, WEB_SORT_USER);
	assert_string_equal(q.q, "");
	assert_int_equal(
	    web_query_parse("q=a%6en+b%26c&sort=rx&order=desc&after=40&limit=1000&v=1", &q, said),
	    0);
	assert_string_equal(q.q, "ann b&c");
	assert_int_equal(q.sort, WEB_SORT_RX);
	assert_true(q.descending);
	assert_int_equal(q.after, 40);
	assert_int_equal(q.limit, 1000);
	/* What a form sends when nothing was filled in. */
	assert_int_equal(web_query_parse("q=&sort=&order=&limit=", &q, said), 0);
	assert_int_equal(q.limit, 0);
}

static void
test_bad_queries(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
	    {"limit=0", "limit: got \"0\", want 1..1000"},
	    {"limit=1001", "limit: got \"1001\", want 1..1000"},
	    {"after=-1", "after: got \"-1\", want 0..65535"},
	    {"sort=name",
		"sort: got \"name\", want call, user, address, peer, state, age, rx or tx"},
	    {"order=up", "order: got \"up\", want asc or desc"},
	    {"q=%4", "query: got \"q=%4\", want NAME=VALUE of at most 256 bytes"},
	    {"q=%00", "query: got \"q=%00\", want NAME=VALUE of at most 256 bytes"},
	    {"%zz=1", "query: got \"%zz=1\", want NAME=VALUE of at most 256 bytes"},
	    {"q=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"q: got \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", "
		"want at most 64 bytes"},
	};
	struct web_query q;
	char said[WEB_SAID_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(web_query_parse(rows[i].text, &q, said), -1);
		assert_string_equal(said, rows[i].said);
	}
}

static void
test_names(void **state)
{
	assert_string_equal(web_query_name("/api/drills/20261121T184500Z-gw1", "/api/drills/"),
	    "20261121T184500Z-gw1");
	assert_null(web_query_name("/api/drills/", "/api/drills/"));
	assert_null(web_query_name("/api/drills/../../etc/passwd", "/api/drills/"));
	assert_null(web_query_name("/api/drills/a.json", "/api/drills/"));
	assert_null(web_query_name("/api/drill", "/api/drills/"));
}

static void
test_token(void **state)
{
	const char *token = "correct-horse-battery";

	assert_true(web_query_authorized("Bearer correct-horse-battery", token));
	assert_true(web_query_authorized("bearer correct-horse-battery", token));
	/* x:correct-horse-battery, and without a user */
	assert_true(web_query_authorized("Basic eDpjb3JyZWN0LWhvcnNlLWJhdHRlcnk=", token));
	assert_true(web_query_authorized("Basic OmNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==", token));
	assert_false(web_query_authorized(NULL, token));
	assert_false(web_query_authorized("", token));
	assert_false(web_query_authorized("Bearer ", token));
	assert_false(web_query_authorized("Bearer correct-horse-batterz", token));
	assert_false(web_query_authorized("Bearer correct-horse-battery ", token));
	assert_false(web_query_authorized("Bearer correct-horse", token));
	assert_false(web_query_authorized("correct-horse-battery", token));
	assert_false(web_query_authorized("Basic !!!!", token));
	assert_false(web_query_authorized("Basic ", token));
	/* correct-horse-battery without a colon; and as the user */
	assert_false(web_query_authorized("Basic Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5", token));
	assert_false(web_query_authorized("Basic Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5Og==", token));
}

static void
test_host(void **state)
{
	assert_true(web_query_host_is_local("127.0.0.1:9723"));
	assert_true(web_query_host_is_local("localhost"));
	assert_true(web_query_host_is_local("LocalHost:80"));
	assert_true(web_query_host_is_local("[::1]:9723"));
	assert_false(web_query_host_is_local("rebound.example:9723"));
	assert_false(web_query_host_is_local("127.0.0.1.example"));
	assert_false(web_query_host_is_local("localhost.example"));
	assert_false(web_query_host_is_local("[::1"));
	assert_false(web_query_host_is_local("[x]"));
	assert_false(web_query_host_is_local(""));
}

/* ---- the list ---- */

static json_t *
session(int call, const char *user, const char *address, long long rx)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:I,s:I}", "call", call, "user", user, "address",
	    address, "peer", "198.51.100.7", "rx_octets", (json_int_t)rx, "age_ms",
	    (json_int_t)(100 - call));
}

static json_t *
three(void)
{
	json_t *all = json_array();

	json_array_append_new(all, session(1, "bob", "10.8.0.9", 500));
	json_array_append_new(all, session(2, "Ann", "10.8.0.100", 5000000000));
	json_array_append_new(all, session(3, "carl", "10.8.0.10", 500));
	return all;
}

/* The calls of a page, as digits. */
static const char *
calls(const char *query, unsigned limit, json_int_t *matched, json_t **next)
{
	static char out[16];
	char said[WEB_SAID_MAX];
	struct web_query q;
	json_t *all = three(), *page, *entry;
	size_t i;

	assert_int_equal(web_query_parse(query, &q, said), 0);
	page = web_list_page(all, &q, limit);
	json_array_foreach(json_object_get(page, "sessions"), i, entry) out[i] =
	    (char)('0' + json_integer_value(json_object_get(entry, "call")));
	out[json_array_size(json_object_get(page, "sessions"))] = '\0';
	*matched = json_integer_value(json_object_get(page, "matched"));
	assert_int_equal(json_integer_value(json_object_get(page, "total")), 3);
	*next = json_is_integer(json_object_get(page, "next")) ? json_true() : json_false();
	json_decref(page);
	json_decref(all);
	return out;
}

static void
test_list(void **state)
{
	json_int_t matched;
	json_t *next;

	assert_string_equal(calls("sort=user", 10, &matched, &next), "213");
	assert_string_equal(calls("sort=user&order=desc", 10, &matched, &next), "312");
	/* As numbers, not as texts. */
	assert_string_equal(calls("sort=address", 10, &matched, &next), "132");
	/* Equals stay in the order of their calls. */
	assert_string_equal(calls("sort=rx", 10, &matched, &next), "132");
	assert_string_equal(calls("sort=age", 10, &matched, &next), "321");
	assert_string_equal(calls("q=an", 10, &matched, &next), "2");
	assert_int_equal(matched, 1);
	assert_string_equal(calls("q=8.0.10&sort=call", 10, &matched, &next), "23");
	assert_string_equal(calls("q=nobody", 10, &matched, &next), "");
	assert_int_equal(matched, 0);
	assert_string_equal(calls("sort=call&limit=2", 10, &matched, &next), "12");
	assert_true(json_is_true(next));
	assert_string_equal(calls("sort=call&after=2", 2, &matched, &next), "3");
	assert_true(json_is_false(next));
	assert_int_equal(matched, 3);
	assert_string_equal(calls("after=65535", 10, &matched, &next), "");
}

/* ---- the last hour ---- */

static json_t *
counters(json_int_t uptime_ms, json_int_t rx, int sessions)
{
	return json_pack("{s:I,s:i,s:{s:I,s:I,s:I,s:I}}", "uptime_ms", uptime_ms, "sessions",
	    sessions, "data", "rx_octets", rx, "tx_octets", 2 * rx, "rx_packets", rx / 100,
	    "tx_packets", rx / 50);
}

static void
add(struct web_history *h, json_t *o, uint64_t now_ms)
{
	web_history_add(h, o, now_ms);
	json_decref(o);
}

static void
assert_series(const struct web_history *h, const char *name, const char *want)
{
	json_t *o = web_history_json(h, "2026-11-21T18:45:00.000Z");
	char *text = json_dumps(json_object_get(o, name), JSON_COMPACT);

	assert_string_equal(text, want);
	free(text);
	json_decref(o);
}

static void
test_history(void **state)
{
	struct web_history *h = calloc(1, sizeof(*h));

	assert_series(h, "sessions", "[]");
	add(h, counters(1000, 5000, 3), 10000);
	add(h, counters(11000, 25000, 4), 20000);
	add(h, NULL, 30000);                      /* the daemon hangs */
	add(h, counters(31000, 90000, 4), 40000); /* nobody knows when that came */
	add(h, counters(41000, 90000, 4), 50000);
	add(h, counters(500, 300, 0), 60000); /* another daemon */
	add(h, counters(10500, 1300, 1), 70000);
	assert_series(h, "rx_octets", "[null,2000,null,null,0,null,100]");
	assert_series(h, "tx_octets", "[null,4000,null,null,0,null,200]");
	assert_series(h, "rx_packets", "[null,20,null,null,0,null,1]");
	assert_series(h, "sessions", "[3,4,null,4,4,0,1]");
	free(h);
}

static void
test_history_is_an_hour(void **state)
{
	struct web_history *h = calloc(1, sizeof(*h));
	json_t *o, *list;

	for (int i = 1; i <= 500; i++)
		add(h, counters(i * 10000, i * 1000, i), (uint64_t)i * 10000);
	o = web_history_json(h, "x");
	list = json_object_get(o, "sessions");
	assert_int_equal(json_array_size(list), WEB_HISTORY_SAMPLES);
	assert_int_equal(json_integer_value(json_array_get(list, 0)), 141);
	assert_int_equal(json_integer_value(json_array_get(list, 359)), 500);
	json_decref(o);
	free(h);
}

/* ---- metrics ---- */

static char *
metrics(const char *json)
{
	json_t *all = json_loads(json, 0, NULL);
	char *text = web_metrics_text(all);

	assert_non_null(all);
	assert_non_null(text);
	json_decref(all);
	return text;
}

static void
assert_line(const char *text, const char *line)
{
	char with[256];

	snprintf(with, sizeof(with), "\n%s\n", line);
	if (!strstr(text, with))
		fail_msg("want \"%s\" in:\n%s", line, text);
}

static void
test_metrics(void **state)
{
	char *text = metrics(
	    "{\"web\":{\"node\":\"gw1\",\"version\":\"1\",\"agent_up\":true,\"requests\":{\"2xx\":"
	    "7}},"
	    "\"status\":{\"role\":\"active\",\"epoch\":4,\"verdict\":\"fit\",\"health\":\"note\","
	    "\"maintenance\":null,\"peer\":{\"fresh\":true,\"heard_ms_ago\":40,"
	    "\"paths\":{\"sync\":{\"up\":true},\"lan\":{\"up\":false}}},"
	    "\"problems\":[{\"code\":\"x\\\"y\",\"severity\":\"note\"}],"
	    "\"files\":{\"ok\":true,\"in_step_at\":\"2026-11-21T18:45:00.500Z\"}},"
	    "\"safety\":{\"level\":\"at-risk\"},"
	    "\"agent\":{\"conntrackd\":{\"external\":9}},"
	    "\"pptpd\":{\"sessions\":2,\"version\":\"1\",\"data\":{\"rx_octets\":12345678901234,"
	    "\"drops\":{\"late\":3,\"mppe\":0}},\"replica\":{\"lag_ms\":25},"
	    "\"totals\":{\"failed\":{\"auth-failed\":5},\"setup\":{\"le_ms\":[50,100],"
	    "\"count\":[1,2,4],\"sum_ms\":1500}}},"
	    "\"drills\":{\"running\":null,\"drills\":["
	    "{\"kind\":\"planned\",\"verdict\":\"passed\",\"at\":\"2026-11-21T18:45:00.000Z\","
	    "\"sessions\":{\"lost\":0},\"gap_ms\":{\"max\":90}},"
	    "{\"kind\":\"planned\",\"verdict\":\"failed\"},"
	    "{\"kind\":\"crash\",\"verdict\":\"failed\"}]}}");

	assert_line(text, "pptp_ha_agent_up 1");
	assert_line(text, "pptp_ha_pptpd_up 1");
	assert_line(text, "pptp_ha_fit 1");
	assert_line(text, "pptp_ha_maintenance 0");
	assert_line(text, "pptp_ha_role{role=\"active\"} 1");
	assert_line(text, "pptp_ha_role{role=\"standby\"} 0");
	assert_line(text, "pptp_ha_safety{level=\"at-risk\"} 1");
	assert_line(text, "pptp_ha_peer_silence_seconds 0.04");
	assert_line(text, "pptp_ha_peer_path_up{path=\"lan\"} 0");
	assert_line(text, "pptp_ha_problem{code=\"x\\\"y\",severity=\"note\"} 1");
	assert_line(text, "pptp_ha_file_sync_timestamp_seconds 1795286700.5");
	assert_line(text, "pptp_ha_tunnel_receive_bytes_total 12345678901234");
	assert_line(text, "pptp_ha_dropped_packets_total{cause=\"late\"} 3");
	assert_line(text, "pptp_ha_dropped_packets_total{cause=\"mppe\"} 0");
	assert_line(text, "pptp_ha_session_failures_total{reason=\"auth-failed\"} 5");
	assert_line(text, "pptp_ha_replica_lag_seconds 0.025");
	assert_line(text, "pptp_ha_session_setup_seconds_bucket{le=\"0.05\"} 1");
	assert_line(text, "pptp_ha_session_setup_seconds_bucket{le=\"0.1\"} 3");
	assert_line(text, "pptp_ha_session_setup_seconds_bucket{le=\"+Inf\"} 7");
	assert_line(text, "pptp_ha_session_setup_seconds_sum 1.5");
	assert_line(text, "pptp_ha_session_setup_seconds_count 7");
	assert_line(text, "pptp_ha_conntrack_replicated_entries 9");
	/* The newest of its kind. */
	assert_line(text, "pptp_ha_drill_passed{kind=\"planned\"} 1");
	assert_line(text, "pptp_ha_drill_passed{kind=\"crash\"} 0");
	assert_line(text, "pptp_ha_drill_gap_max_seconds{kind=\"planned\"} 0.09");
	free(text);
}

/* Nothing is made up for what is not known, and a family is never begun twice. */
static void
test_metrics_without_agent(void **state)
{
	char *text = metrics("{\"web\":{\"node\":\"gw1\",\"version\":\"1\",\"agent_up\":false}}");

	assert_line(text, "pptp_ha_agent_up 0");
	assert_null(strstr(text, "pptp_ha_pptpd_up"));
	assert_null(strstr(text, "pptp_ha_sessions"));
	assert_null(strstr(text, "pptp_ha_fit"));
	for (char *at = text; (at = strstr(at, "# TYPE ")) != NULL; at++) {
		char line[160];

		snprintf(line, sizeof(line), "%.*s ", (int)strcspn(at + 7, " ") + 7, at);
		assert_null(strstr(at + 1, line));
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_bad_queries),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_token),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_history),
	    cmocka_unit_test(test_history_is_an_hour),
	    cmocka_unit_test(test_metrics),
	    cmocka_unit_test(test_metrics_without_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
