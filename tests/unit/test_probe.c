/* link: hagentcore pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The probe against a server in memory on the virtual clock: what comes of a sound one, and what is
 * said of each way in which one can be broken.
 */
#include "tests/unit/probe_rig.h"

#include "hagent/probe.h"
#include "hagent/words.h"

static struct probe_options options;
static struct probe *probe;
static unsigned dones;
static char steps[128];

static void
on_done(void *arg)
{
	dones++;
}

static void
on_step(void *arg, const char *name, double ms)
{
	size_t n = strlen(steps);

	snprintf(steps + n, sizeof(steps) - n, "%s ", name);
}

static const struct probe_ops ops = {.step = on_step, .done = on_done};

static int
setup(void **state)
{
	rig_setup(state);
	options = (struct probe_options){.client = rig_options};
	probe = probe_new(rig.loop, &options, &ops, NULL);
	dones = 0;
	steps[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	pptp_client_free(rig.client);
	probe_free(probe);
	assert_int_equal(dones, 1);
	return rig_teardown(state);
}

static void
begin(void)
{
	rig.client =
	    pptp_client_new(rig.loop, &options.client, &probe_client_ops, probe, &carrier, NULL);
	assert_non_null(rig.client);
	probe_start_on(probe, rig.client, rig_now_us);
}

/* The report of the whole course, at most ms. */
static json_t *
report_within(unsigned ms)
{
	begin();
	for (unsigned t = 0; t < ms && dones == 0; t += 10)
		run(10);
	assert_int_equal(dones, 1);
	return probe_report(probe);
}

static void
assert_ends(const json_t *r, const char *step, const char *why)
{
	assert_string_equal(words_text(r, "step"), step);
	assert_string_equal(words_text(r, "why"), why);
	assert_true(words_is(r, "ok") == (strcmp(why, "ok") == 0));
	assert_true(strlen(words_text(r, "text")) > 10);
	assert_null(strchr(words_text(r, "text"), '{'));
	assert_null(strstr(words_text(r, "text"), "secret"));
	/* Only what needs no mending has no advice. */
	assert_true((*words_text(r, "advice") == '\0') ==
		    (strcmp(why, "ok") == 0 || strcmp(why, "local") == 0));
}

/* ---- a sound server ---- */

static void
test_sound(void **state)
{
	json_t *r = report_within(10000);

	assert_ends(r, "done", "ok");
	assert_string_equal(steps, "tcp start call lcp auth ccp ipcp ping ");
	assert_string_equal(words_text(r, "address"), "10.8.0.10");
	assert_string_equal(words_text(r, "server_address"), "10.8.0.1");
	assert_string_equal(words_text(r, "mppe"), "128-bit stateless");
	assert_string_equal(words_text(r, "auth"), "mschap-v2");
	assert_string_equal(words_text(r, "host"), "gw1");
	assert_int_equal(words_number(r, "mtu"), 1396);
	assert_int_equal(words_number(r, "largest"), 1396);
	/* A millisecond each way. */
	assert_true(json_real_value(json_object_get(json_object_get(r, "ms"), "tcp")) == 1.0);
	assert_true(json_real_value(json_object_get(json_object_get(r, "ms"), "start")) == 2.0);
	assert_true(json_real_value(json_object_get(json_object_get(r, "ms"), "ping")) == 2.0);
	/* It said goodbye. */
	assert_int_equal(rig.goodbyes, 1);
	assert_int_equal(rig.clears, 1);
	assert_true(rig.hung_up);
	json_decref(r);
}

/* GRE overtakes the Outgoing-Call-Reply. */
static void
test_early_gre(void **state)
{
	json_t *r;

	rig.answers_early = true;
	r = report_within(10000);
	assert_ends(r, "done", "ok");
	assert_true(json_real_value(json_object_get(json_object_get(r, "ms"), "up")) < 100);
	json_decref(r);
}

static void
test_held(void **state)
{
	const json_t *held;
	json_t *r;

	options.for_ms = 10000;
	options.interval_ms = 50;
	rig.quiet_from_ms = loop_now_ms(rig.loop) + 4000;
	rig.quiet_to_ms = rig.quiet_from_ms + 700;
	r = report_within(20000);
	held = json_object_get(r, "held");
	assert_ends(r, "done", "ok");
	assert_int_equal(words_number(held, "sent"), 200);
	assert_int_equal(words_number(held, "lost"), 14);
	assert_int_equal(words_number(held, "for_ms"), 10000);
	assert_true(json_real_value(json_object_get(held, "gap_ms_max")) == 750);
	assert_true(
	    words_number(held, "gap_at_ms") > 3800 && words_number(held, "gap_at_ms") < 4000);
	assert_false(words_is(held, "lost_session"));
	json_decref(r);
}

/* The gap that nothing ends counts, too, and is not stretched by the time for late answers. */
static void
test_held_open_gap(void **state)
{
	json_t *r;

	options.for_ms = 5000;
	options.interval_ms = 50;
	rig.quiet_from_ms = loop_now_ms(rig.loop) + 4000;
	rig.quiet_to_ms = UINT64_MAX;
	r = report_within(20000);
	assert_in_range(
	    (uint64_t)json_real_value(json_object_get(json_object_get(r, "held"), "gap_ms_max")),
	    1000, 1100);
	json_decref(r);
}

/* An arrival that is said to be before the sending, or before the one before it. */
static void
test_stamps_disorder(void **state)
{
	const json_t *held;
	json_t *r;

	rig.stamps_disorder_us = 15000;
	options.for_ms = 2000;
	options.interval_ms = 10;
	r = report_within(10000);
	held = json_object_get(r, "held");
	assert_ends(r, "done", "ok");
	assert_int_equal(words_number(held, "lost"), 0);
	assert_in_range((uint64_t)json_real_value(json_object_get(held, "gap_ms_max")), 10, 40);
	assert_true(json_real_value(json_object_get(held, "rtt_ms_max")) <= 3);
	json_decref(r);
}

static void
test_lost(void **state)
{
	json_t *r;

	options.for_ms = 60000;
	options.client.echo_s = 5;
	begin();
	run(3000);
	post(CUT, ECONNRESET, NULL, 0);
	run(100);
	assert_int_equal(dones, 1);
	r = probe_report(probe);
	assert_ends(r, "hold", "lost");
	assert_string_equal(words_text(r, "lost_why"), "reset");
	assert_in_range(words_number(json_object_get(r, "held"), "for_ms"), 2900, 3010);
	json_decref(r);
}

/* All stops; the echoes notice. */
static void
test_lost_silently(void **state)
{
	json_t *r;

	options.for_ms = 60000;
	options.client.echo_s = 5;
	begin();
	run(3000);
	rig.f.dead = true;
	run(30000);
	assert_int_equal(dones, 1);
	r = probe_report(probe);
	assert_ends(r, "hold", "lost");
	assert_string_equal(words_text(r, "lost_why"), "echo");
	json_decref(r);
}

/* The server begins anew, as after a takeover without keys: new ones, and the session goes on. */
static void
test_renegotiated(void **state)
{
	const json_t *held;
	json_t *r;

	options.for_ms = 6000;
	begin();
	run(3000);
	assert_int_equal(rig.armings, 1);
	ppp_renegotiate(rig.ppp);
	for (unsigned t = 0; t < 10000 && dones == 0; t++)
		run(1);
	assert_int_equal(rig.armings, 2);
	r = probe_report(probe);
	held = json_object_get(r, "held");
	assert_ends(r, "done", "ok");
	assert_int_equal(words_number(held, "sent"), 60);
	assert_true(words_number(held, "lost") <= 1);
	assert_int_equal(words_number(held, "for_ms"), 6000);
	json_decref(r);
}

static void
end_up_session(const struct pptp_message *m, const char *why)
{
	json_t *r;

	options.for_ms = 60000;
	begin();
	run(3000);
	server_say(m);
	for (unsigned t = 0; t < 5000 && dones == 0; t++)
		run(1);
	r = probe_report(probe);
	assert_ends(r, "hold", "lost");
	assert_string_equal(words_text(r, "lost_why"), why);
	json_decref(r);
}

static void
test_call_cleared(void **state)
{
	end_up_session(
	    &(struct pptp_message){.type = PPTP_CDN, .result = 1, .call_id = SERVER_CALL},
	    "call-cleared");
}

static void
test_stop_request(void **state)
{
	end_up_session(&(struct pptp_message){.type = PPTP_STOP_RQ, .reason = 1}, "closed");
}

/* Somebody else's call of the same server is none of ours. */
static void
test_another_call(void **state)
{
	json_t *r;

	options.for_ms = 3000;
	begin();
	run(1000);
	server_say(&(struct pptp_message){.type = PPTP_CDN, .result = 1, .call_id = 1});
	server_say(&(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 5});
	for (unsigned t = 0; t < 10000 && dones == 0; t++)
		run(1);
	assert_int_equal(rig.echoes, 1);
	r = probe_report(probe);
	assert_ends(r, "done", "ok");
	json_decref(r);
}

static void
test_stopped(void **state)
{
	json_t *r;

	options.for_ms = 60000;
	begin();
	run(3000);
	probe_stop(probe);
	run(100);
	r = probe_report(probe);
	assert_ends(r, "done", "ok");
	assert_in_range(words_number(json_object_get(r, "held"), "for_ms"), 2900, 3010);
	assert_int_equal(rig.goodbyes, 1);
	json_decref(r);
}

static void
test_stopped_early(void **state)
{
	json_t *r;

	rig.f.mute_call = true;
	begin();
	run(500);
	probe_stop(probe);
	run(100);
	r = probe_report(probe);
	assert_ends(r, "dial", "local");
	json_decref(r);
}

/* ---- broken servers: what each is taken for ---- */

static bool
is_option(const uint8_t *p, size_t len, uint8_t code, uint8_t type, size_t *at)
{
	for (size_t i = 4; p[0] == code && i + 1 < len && p[i + 1] >= 2; i += p[i + 1])
		if (p[i] == type) {
			*at = i;
			return true;
		}
	return false;
}

static bool
edit_mschap_v1(uint16_t protocol, uint8_t *p, size_t *len)
{
	size_t at;

	if (protocol == PPP_LCP && is_option(p, *len, 1, 3, &at))
		p[at + 4] = 0x80;
	return true;
}

static bool
edit_account(uint16_t protocol, uint8_t *p, size_t *len)
{
	if (protocol == PPP_CHAP && p[0] == 4)
		memcpy(p + 4, "E=647", 5);
	return true;
}

static bool
edit_false(uint16_t protocol, uint8_t *p, size_t *len)
{
	if (protocol == PPP_CHAP && p[0] == 3)
		p[10] = p[10] == 'A' ? 'B' : 'A';
	return true;
}

static bool
lose_verdict(uint16_t protocol, uint8_t *p, size_t *len)
{
	return protocol != PPP_CHAP || p[0] == 1;
}

static bool
lose_chap(uint16_t protocol, uint8_t *p, size_t *len)
{
	return protocol != PPP_CHAP;
}

static bool
lose_ccp(uint16_t protocol, uint8_t *p, size_t *len)
{
	return protocol != PPP_CCP;
}

static bool
edit_forty(uint16_t protocol, uint8_t *p, size_t *len)
{
	size_t at;

	if (protocol != PPP_CCP)
		return true;
	if (p[0] == 2)
		p[0] = 3; /* our Ack becomes a Nak */
	if (is_option(p, *len, 1, 18, &at) || is_option(p, *len, 3, 18, &at))
		p[at + 5] = 0x20;
	return true;
}

static bool
edit_no_mppe(uint16_t protocol, uint8_t *p, size_t *len)
{
	if (protocol == PPP_CCP && p[0] == 2)
		p[0] = 4; /* a Reject */
	return protocol != PPP_CCP || p[0] == 4;
}

static bool
lose_ipcp(uint16_t protocol, uint8_t *p, size_t *len)
{
	return protocol != PPP_IPCP;
}

#define ROW(name, step, why, ...)                                                                  \
	{                                                                                          \
		name, step, why,                                                                   \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
static const struct {
	const char *name, *step, *why;
	struct faults f;
} broken[] = {
    ROW("no route", "tcp", "no-route", .dial_error = ENETUNREACH),
    ROW("nobody there", "tcp", "unreachable", .dial_error = -EHOSTUNREACH),
    ROW("nobody listens", "tcp", "refused", .dial_error = -ECONNREFUSED),
    ROW("port filtered", "tcp", "timeout", .no_tcp = true),
    ROW("no descriptor", "tcp", "machine", .dial_error = EMFILE),
    ROW("ssh", "start", "not-pptp", .babble = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    ROW("a word and silence", "start", "not-pptp", .babble = "+OK\r\n"),
    ROW("silent", "start", "silent", .mute_start = true),
    ROW("closes at once", "start", "closed", .closes = CLOSE_START),
    ROW("start refused", "start", "start-refused", .start_result = 4),
    ROW("call unanswered", "call", "silent", .mute_call = true),
    ROW("reset at the call", "call", "reset", .closes = CLOSE_CALL),
    ROW("call refused", "call", "call-refused", .call_result = 4),
    ROW("no GRE from there", "lcp", "gre-filtered", .mute_gre = true),
    ROW("no GRE to there", "lcp", "gre-one-way", .deaf_gre = true),
    ROW("ICMP for GRE", "lcp", "gre-refused", .icmp_gre = 2),
    ROW("another call id", "lcp", "gre-wrong-call", .wrong_call = true),
    ROW("closes in LCP", "lcp", "no-link", .closes = CLOSE_LINK, .mute_gre = true),
    ROW("MS-CHAPv1", "lcp", "auth-method", .edit = edit_mschap_v1),
    ROW("wrong password", "auth", "password", .bad_password = true),
    ROW("account disabled", "auth", "account", .bad_password = true, .edit = edit_account),
    ROW("no challenge", "auth", "auth-silent", .edit = lose_chap),
    ROW("no verdict", "auth", "auth-silent", .edit = lose_verdict),
    ROW("false server", "auth", "server-false", .edit = edit_false),
    ROW("CCP silent", "ccp", "mppe-silent", .edit = lose_ccp),
    ROW("40 bits", "ccp", "mppe-weak", .edit = edit_forty),
    ROW("MPPE rejected", "ccp", "mppe-refused", .edit = edit_no_mppe),
    ROW("no address", "ccp", "no-address", .no_address = true),
    ROW("IPCP silent", "ipcp", "ipcp", .edit = lose_ipcp),
    ROW("nobody answers", "ping", "ping-silent", .no_ping = true),
    ROW("wrong keys", "ping", "decrypt", .wrong_keys = true),
    ROW("unencrypted", "ping", "clear", .clear = true),
    ROW("a narrow path", "ping", "mtu", .gre_limit = 1240),
};

static void
test_broken(void **state)
{
	json_t *r;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(setup(state), 0);
		rig.f = broken[i].f;
		r = report_within(120000);
		if (strcmp(words_text(r, "why"), broken[i].why) != 0 ||
		    strcmp(words_text(r, "step"), broken[i].step) != 0)
			fail_msg("%s: got %s %s (%s), want %s %s", broken[i].name,
			    words_text(r, "step"), words_text(r, "why"), words_text(r, "detail"),
			    broken[i].step, broken[i].why);
		assert_ends(r, broken[i].step, broken[i].why);
		json_decref(r);
		assert_int_equal(teardown(state), 0);
	}
}

/* The largest that passes is found to within 8 bytes. */
static void
test_narrow(void **state)
{
	json_t *r;

	rig.f.gre_limit = 1240;
	r = report_within(60000);
	/* GRE 16, FF03 00FD 2 + 2, MPPE 2, protocol 2; a peer that compresses takes less. */
	assert_in_range(words_number(r, "largest"), 1240 - 24 - 8, 1240 - 17);
	json_decref(r);
}

static void
test_behind(void **state)
{
	json_t *r;

	options.ping = BEHIND;
	rig.f.no_behind = true;
	r = report_within(60000);
	assert_ends(r, "ping", "no-route-behind");
	assert_non_null(strstr(words_text(r, "text"), "192.168.1.20"));
	json_decref(r);
}

static void
test_targets(void **state)
{
	static const struct probe_target v[] = {
	    {"web", BEHIND, CLUSTER_TCP, 443},
	    {"ping", BEHIND, CLUSTER_ICMP, 0},
	    {"media", BEHIND, CLUSTER_UDP, 7000},
	    {"old", BEHIND, CLUSTER_TCP, 80},
	};
	json_t *r, *t;

	options.targets = v;
	options.n_targets = 4;
	r = report_within(60000);
	assert_ends(r, "targets", "target");
	assert_non_null(strstr(words_text(r, "text"), "old (192.168.1.20 tcp port 80) is refused"));
	t = json_object_get(r, "targets");
	assert_int_equal(json_array_size(t), 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(words_is(json_array_get(t, i), "ok") == (i < 3));
	assert_string_equal(words_text(json_array_get(t, 2), "found"), "silent");
	assert_int_equal(rig.syns, 2);
	json_decref(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_sound),
	    TEST(test_early_gre),
	    TEST(test_held),
	    TEST(test_held_open_gap),
	    TEST(test_stamps_disorder),
	    TEST(test_lost),
	    TEST(test_lost_silently),
	    TEST(test_renegotiated),
	    TEST(test_call_cleared),
	    TEST(test_stop_request),
	    TEST(test_another_call),
	    TEST(test_stopped),
	    TEST(test_stopped_early),
	    cmocka_unit_test(test_broken),
	    TEST(test_narrow),
	    TEST(test_behind),
	    TEST(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
