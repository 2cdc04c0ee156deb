/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole lives of a link: a server and a client of ours talk to each other on the virtual clock,
 * over good and bad wires, and must come up or end for the right reason.
 */
#include "tests/unit/ppp_pair.h"

static void
connects_at_once(void **state)
{
	struct wire w;

	connect(&w);
	expect_connected(&w);
	assert_int_equal(w.ends[SERVER].keys, 1);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 0);
	assert_int_equal(ppp_counters(w.ends[CLIENT].p)->malformed, 0);
	assert_true(sizeof(struct ppp) < 1024);
	wire_fini(&w);
}

/*
 * Windows sends all its NCPs at once, and options that must be rejected; its IPCP comes before CCP
 * is open and must cost no restart timer.
 */
static void
windows_connects_at_once(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[CLIENT].c.style = PPP_STYLE_WINDOWS;
	w.ends[SERVER].c.wins[0] = 0x0a080035;
	wire_open(&w);
	assert_true(run_until_up(&w, 1000));
	expect_connected(&w);
	assert_int_equal(w.ends[CLIENT].p->dns[1], 0x0a080035);
	assert_int_equal(w.ends[CLIENT].p->dns[3], 0);
	assert_null(find_sent(&w, SERVER, PPP_IPCP, CP_TERM_ACK, 0));
	assert_null(find_sent(&w, SERVER, PPP_LCP, CP_PROTO_REJ, 0));
	wire_fini(&w);
}

static void
bad_wire(unsigned loss, unsigned dup, unsigned jitter_ms, enum ppp_style style, uint64_t seed)
{
	struct wire w;

	wire_init(&w, seed);
	w.ends[CLIENT].c.style = style;
	w.loss = loss;
	w.dup = dup;
	w.jitter_ms = jitter_ms;
	wire_open(&w);
	if (!run_until_up(&w, 120000)) {
		print_message("seed=%u style=%d server: %s %s client: %s %s\n", (unsigned)seed,
		    style, ppp_cause_name(w.ends[0].cause), w.ends[0].detail,
		    ppp_cause_name(w.ends[1].cause), w.ends[1].detail);
		fail();
	}
	expect_connected(&w);
	wire_fini(&w);
}

static void
converges_on_bad_wires(void **state)
{
	for (uint64_t seed = 1; seed <= 500; seed++)
		for (int style = PPP_STYLE_LINUX; style <= PPP_STYLE_WINDOWS; style++) {
			bad_wire(0, 0, 60, (enum ppp_style)style, seed);
			bad_wire(0, 30, 60, (enum ppp_style)style, seed);
			bad_wire(12, 10, 60, (enum ppp_style)style, seed);
		}
}

/* Runs an attempt that must fail, and to its very end. */
static void
run_until_ended(struct wire *w)
{
	wire_open(w);
	for (int s = 0; s < 100 && w->ends[SERVER].ends == 0; s++)
		loop_advance(w->loop, 1000);
	loop_advance(w->loop, 40000); /* a client that was not opened yet asks to the end */
	assert_int_equal(w->ends[SERVER].ends, 1);
	assert_int_equal(w->ends[CLIENT].ends, 1);
	assert_int_equal(w->ends[SERVER].ups, 0);
	assert_int_equal(w->ends[CLIENT].ups, 0);
	assert_int_equal(loop_next_ms(w->loop), UINT64_MAX);
}

static void
wrong_password(void **state)
{
	static const char failure[] = "E=691 R=0 C=";
	const struct sent *f;
	struct wire w;

	wire_init(&w, 1);
	w.ends[CLIENT].c.password = "guess";
	run_until_ended(&w);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_AUTH_FAILED);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_AUTH_FAILED);
	assert_non_null(strstr(w.ends[CLIENT].detail, "E=691"));
	assert_int_equal(w.ends[SERVER].keys, 0);
	f = find_sent(&w, SERVER, PPP_CHAP, 4, 0);
	assert_non_null(f);
	assert_memory_equal(f->bytes + 4, failure, 12);
	assert_memory_equal(f->bytes + 4 + 12 + 32, " V=3 M=", 7);
	wire_fini(&w);
}

static void
pap_only(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[CLIENT].c.offer_pap_only = true;
	run_until_ended(&w);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_AUTH_REFUSED);
	assert_string_equal(w.ends[SERVER].detail, "peer refuses MS-CHAPv2 and offers PAP");
	assert_int_equal(w.ends[SERVER].verified, 0);
	wire_fini(&w);
}

static void
no_mppe(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[CLIENT].c.offer_mppe = false;
	run_until_ended(&w);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_NO_MPPE);
	assert_string_equal(w.ends[SERVER].detail, "peer rejects CCP");
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_PEER);
	wire_fini(&w);
}

static void
false_server(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.false_server = true;
	run_until_ended(&w);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_SERVER_FALSE);
	assert_int_equal(w.ends[CLIENT].keys, 0);
	wire_fini(&w);
}

static void
no_address(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[SERVER].refuse_address = true;
	run_until_ended(&w);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_NO_ADDRESS);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_PEER);
	assert_non_null(strstr(w.ends[CLIENT].detail, "no-address"));
	wire_fini(&w);
}

static void
nobody_there(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.mute = true;
	wire_open(&w);
	loop_advance(w.loop, 29999);
	assert_int_equal(w.ends[SERVER].ends, 0);
	assert_int_equal(w.n_sent, 20); /* ten requests of each end */
	assert_non_null(find_sent(&w, SERVER, PPP_LCP, CP_CONF_REQ, 9));
	loop_advance(w.loop, 1);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_NEGOTIATION);
	wire_fini(&w);
}

static bool
lose_chap(struct wire *w, int from, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	return protocol == PPP_CHAP;
}

static void
silent_in_authentication(void **state)
{
	const struct sent *first;
	struct wire w;

	wire_init(&w, 1);
	w.filter = lose_chap;
	run_until_ended(&w);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_AUTH_TIMEOUT);
	first = find_sent(&w, SERVER, PPP_CHAP, 1, 0);
	for (unsigned n = 1; n < 9; n++) { /* every 3 s the very same challenge */
		const struct sent *f = find_sent(&w, SERVER, PPP_CHAP, 1, n);

		assert_non_null(f);
		assert_int_equal(f->len, first->len);
		assert_memory_equal(f->bytes, first->bytes, f->len);
	}
	wire_fini(&w);
}

static void
client_hangs_up(void **state)
{
	struct wire w;

	connect(&w);
	ppp_close(w.ends[CLIENT].p, PPP_CAUSE_LOCAL);
	assert_int_equal(w.ends[CLIENT].downs, 1);
	loop_advance(w.loop, 100);
	assert_int_equal(w.ends[CLIENT].ends, 1);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_LOCAL);
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_int_equal(w.ends[SERVER].ends, 0); /* RFC 1661 §3.7: the peer goes first */
	loop_advance(w.loop, 3000);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_PEER);
	ppp_close(w.ends[SERVER].p, PPP_CAUSE_LOCAL); /* too late, harmless */
	ppp_renegotiate(w.ends[SERVER].p);
	inject(&w, SERVER, PPP_LCP, CP_CONF_REQ, 9, NULL, 0);
	assert_int_equal(w.ends[SERVER].ends, 1);
	wire_fini(&w);
}

static void
server_closes_on_a_dead_wire(void **state)
{
	struct wire w;

	connect(&w);
	w.mute = true;
	ppp_close(w.ends[SERVER].p, PPP_CAUSE_IDLE);
	loop_advance(w.loop, 5999);
	assert_int_equal(w.ends[SERVER].ends, 0);
	loop_advance(w.loop, 1);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_IDLE);
	assert_non_null(find_sent(&w, SERVER, PPP_LCP, CP_TERM_REQ, 1));
	assert_null(find_sent(&w, SERVER, PPP_LCP, CP_TERM_REQ, 2));
	wire_fini(&w);
}

static void
closed_before_opened(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	for (int i = 0; i < 2; i++)
		w.ends[i].p = ppp_new(w.loop, &w.ends[i].c, &ops, &w.ends[i]);
	ppp_close(w.ends[SERVER].p, PPP_CAUSE_LOCAL);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.n_sent, 0);
	wire_fini(&w);
}

static void
closed_from_inside_up(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[SERVER].close_in_up = true;
	wire_open(&w);
	loop_advance(w.loop, 10000);
	assert_int_equal(w.ends[SERVER].ups, 1);
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_IDLE);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_PEER);
	wire_fini(&w);
}

/* Whoever begins: everything is agreed anew, with new keys and the old addresses. */
static void
renegotiate(int side)
{
	struct wire w;
	uint8_t old[16];

	connect(&w);
	memcpy(old, w.ends[SERVER].send_key, 16);
	ppp_renegotiate(w.ends[side].p);
	assert_int_equal(w.ends[side].downs, 1);
	assert_false(w.ends[side].p->authenticated);
	assert_true(run_until_up(&w, 1000));
	expect_connected(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.ends[i].downs, 1);
		assert_int_equal(w.ends[i].ups, 2);
		assert_int_equal(w.ends[i].keys, 2);
		assert_int_equal(w.ends[i].ends, 0);
	}
	assert_int_equal(w.ends[SERVER].verified, 2);
	assert_memory_not_equal(w.ends[SERVER].send_key, old, 16);
	wire_fini(&w);
}

static void
renegotiates_from_either_end(void **state)
{
	renegotiate(SERVER);
	renegotiate(CLIENT);
}

/* A Linux client says "MPPE disabled" in a Terminate-Request and renegotiates all the same. */
static void
renegotiation_survives_a_terminate_request(void **state)
{
	struct wire w;

	connect(&w);
	ppp_renegotiate(w.ends[SERVER].p);
	inject(&w, SERVER, PPP_LCP, CP_TERM_REQ, 77, "MPPE disabled", 13);
	assert_int_equal(find_sent(&w, SERVER, PPP_LCP, CP_TERM_ACK, 0)->bytes[1], 77);
	assert_true(run_until_up(&w, 4000));
	assert_int_equal(w.ends[SERVER].ends, 0);
	assert_int_equal(w.ends[SERVER].keys, 2);
	wire_fini(&w);
}

/* The first Ack of every protocol and direction is lost, and the first Success. */
static unsigned lost;

static bool
lose_first_acks(struct wire *w, int from, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	unsigned which = protocol == PPP_LCP    ? 0
			 : protocol == PPP_CCP  ? 1
			 : protocol == PPP_IPCP ? 2
						: 3;
	unsigned bit = 1u << (2 * which + (unsigned)from);

	if (bytes[0] != (which == 3 ? 3 : CP_CONF_ACK) || (lost & bit))
		return false;
	lost |= bit;
	return true;
}

static void
lost_acks(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	lost = 0;
	w.filter = lose_first_acks;
	wire_open(&w);
	assert_true(run_until_up(&w, 30000));
	expect_connected(&w);
	assert_int_equal(lost, 0x7f); /* the client has no Success to send */
	assert_int_equal(w.ends[SERVER].keys, 1);
	assert_int_equal(w.ends[SERVER].downs, 0);
	wire_fini(&w);
}

static void
echo_keeps_a_quiet_link(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[SERVER].c.echo_interval_s = 30;
	w.ends[SERVER].c.echo_failure = 4;
	wire_open(&w);
	assert_true(run_until_up(&w, 1000));
	loop_advance(w.loop, 3600000);
	assert_int_equal(w.ends[SERVER].ends, 0);
	assert_in_range(ppp_counters(w.ends[SERVER].p)->echo_sent, 59, 120);
	assert_in_range(ppp_counters(w.ends[SERVER].p)->echo_received, 59, 120);
	wire_fini(&w);
}

static void
echo_failure(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.ends[SERVER].c.echo_interval_s = 10;
	w.ends[SERVER].c.echo_failure = 3;
	wire_open(&w);
	assert_true(run_until_up(&w, 1000));
	w.mute = true;
	for (int s = 0; s < 100; s++) { /* no echo comes back, but data does */
		loop_advance(w.loop, 1000);
		ppp_alive(w.ends[SERVER].p);
	}
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->echo_sent, 0);
	loop_advance(w.loop, 39000);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->echo_sent, 3);
	assert_int_equal(w.ends[SERVER].p->lcp.state, CP_OPENED);
	loop_advance(w.loop, 1000 + 6000);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_ECHO);
	wire_fini(&w);
}

/* Everything that the server sends comes back to it. */
static bool
mirror(struct wire *w, int from, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	fly(w, from, protocol, bytes, len);
	return true;
}

static void
looped_line(void **state)
{
	struct wire w;

	wire_init(&w, 1);
	w.filter = mirror;
	wire_open(&w);
	loop_advance(w.loop, 60000);
	assert_int_equal(w.ends[SERVER].ends, 1);
	/* The mirror asks the server to authenticate itself, which it rejects: so refuses the
	 * mirror. */
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_AUTH_REFUSED);
	assert_int_equal(w.ends[CLIENT].ends, 1);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_LOOP);
	wire_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(connects_at_once),
	    cmocka_unit_test(windows_connects_at_once),
	    cmocka_unit_test(converges_on_bad_wires),
	    cmocka_unit_test(wrong_password),
	    cmocka_unit_test(pap_only),
	    cmocka_unit_test(no_mppe),
	    cmocka_unit_test(false_server),
	    cmocka_unit_test(no_address),
	    cmocka_unit_test(nobody_there),
	    cmocka_unit_test(silent_in_authentication),
	    cmocka_unit_test(client_hangs_up),
	    cmocka_unit_test(server_closes_on_a_dead_wire),
	    cmocka_unit_test(closed_before_opened),
	    cmocka_unit_test(closed_from_inside_up),
	    cmocka_unit_test(renegotiates_from_either_end),
	    cmocka_unit_test(renegotiation_survives_a_terminate_request),
	    cmocka_unit_test(lost_acks),
	    cmocka_unit_test(echo_keeps_a_quiet_link),
	    cmocka_unit_test(echo_failure),
	    cmocka_unit_test(looped_line),
	};

	log_init("test", -1, getenv("DEBUG") != NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
