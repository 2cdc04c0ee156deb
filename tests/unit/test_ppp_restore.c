/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server link that goes on in another process: two ends negotiate, the server's end is replaced
 * by one that knows nothing but its state, and the client must not notice.
 */
#include <errno.h>

#include "tests/unit/ppp_pair.h"

static void
assert_same(const struct ppp_state *a, const struct ppp_state *b)
{
#define SAME(member) assert_int_equal(a->member, b->member)
	SAME(our_mru);
	SAME(peer_mru);
	SAME(our_magic);
	SAME(peer_magic);
	SAME(our_accm);
	SAME(peer_accm);
	SAME(peer_pfc);
	SAME(peer_acfc);
	SAME(our_pfc);
	SAME(our_acfc);
	SAME(lcp_state);
	SAME(ccp_state);
	SAME(ipcp_state);
	SAME(auth_state);
	SAME(lcp_id);
	SAME(chap_id);
	SAME(ccp_id);
	SAME(ipcp_id);
	SAME(lcp_acked_id);
	SAME(ccp_acked_id);
	SAME(ipcp_acked_id);
	SAME(lcp_acked_hash);
	SAME(ccp_acked_hash);
	SAME(ipcp_acked_hash);
	SAME(ccp_bits);
	SAME(addresses.local_ip);
	SAME(addresses.peer_ip);
	SAME(dns[0]);
	SAME(dns[1]);
	SAME(mtu);
	SAME(up);
	assert_string_equal(a->peer_name, b->peer_name);
#undef SAME
}

/* The server's end goes as in a crash, a new one continues it. */
static void
move(struct wire *w, uint16_t spread)
{
	struct end *s = &w->ends[SERVER], before;
	struct ppp_state state, after;

	ppp_get_state(s->p, &state);
	ppp_free(s->p);
	before = *s;
	w->n_sent = 0;
	s->p = ppp_new(w->loop, &s->c, &ops, s);
	assert_int_equal(ppp_restore(s->p, &state, spread), 0);
	ppp_get_state(s->p, &after);
	assert_same(&after, &state);
	assert_int_equal(w->n_sent, 0);
	before.p = s->p;
	assert_memory_equal(s, &before, sizeof(before)); /* no callback has counted */
}

static void
test_round_trip(void **state)
{
	struct wire w;

	connect(&w);
	move(&w, 0x8000);
	move(&w, 0xffff);
	loop_advance(w.loop, 3600000);
	assert_int_equal(w.n_sent, 0); /* no timer is left from the setup */
	assert_true(w.ends[SERVER].p->up && w.ends[CLIENT].p->up);
	assert_int_equal(w.ends[CLIENT].ends, 0);
	wire_fini(&w);
}

/* What is not the common case: small MRUs, no compression of fields, no magic number of ours. */
static void
test_odd_link(void **state)
{
	static const uint8_t reject_magic_body[] = {5, 6, 0, 0, 0, 0};
	const struct sent *f;
	struct ppp_state st;
	struct wire w;
	uint8_t body[6];

	wire_init(&w, 1);
	w.ends[CLIENT].c.mru = 600;
	w.ends[SERVER].c.mru = 700;
	w.ends[CLIENT].c.style = PPP_STYLE_WINDOWS;
	wire_open(&w);
	memcpy(body, reject_magic_body, sizeof(body));
	memcpy(body + 2, &(uint32_t){htobe32(w.ends[SERVER].p->our_magic)}, 4);
	inject(&w, SERVER, PPP_LCP, CP_CONF_REJ, w.ends[SERVER].p->lcp.request_id, body, 6);
	assert_true(run_until_up(&w, 1000));
	ppp_get_state(w.ends[SERVER].p, &st);
	assert_int_equal(st.our_magic, 0);
	assert_int_equal(st.our_mru, 700);
	assert_int_equal(st.peer_mru, 600);
	assert_int_equal(st.mtu, 596);
	move(&w, 0);
	inject(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 77, "\0\0\0\1xyz", 7);
	f = find_sent(&w, SERVER, PPP_LCP, CP_ECHO_REP, 0);
	assert_non_null(f);
	assert_int_equal(f->len, 11);
	assert_memory_equal(f->bytes + 4, "\0\0\0\0xyz", 7);
	wire_fini(&w);
}

static void
test_echoes(void **state)
{
	struct end *s, *c;
	const struct sent *f;
	struct wire w;
	uint32_t magic;

	connect(&w);
	s = &w.ends[SERVER];
	c = &w.ends[CLIENT];
	move(&w, 0);
	ppp_echo_now(c->p);
	loop_advance(w.loop, 20);
	assert_int_equal(ppp_counters(c->p)->echo_received, 1);
	f = find_sent(&w, SERVER, PPP_LCP, CP_ECHO_REP, 0);
	assert_non_null(f);
	memcpy(&magic, f->bytes + 4, 4);
	assert_int_equal(be32toh(magic), c->p->peer.magic);
	ppp_echo_now(s->p);
	ppp_echo_now(s->p);
	loop_advance(w.loop, 20);
	assert_int_equal(ppp_counters(s->p)->echo_sent, 2);
	assert_int_equal(ppp_counters(s->p)->echo_received, 2);
	f = find_sent(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 1);
	assert_non_null(f);
	assert_int_equal(f->bytes[1], find_sent(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 0)->bytes[1] + 1);
	ppp_close(c->p, PPP_CAUSE_LOCAL);
	ppp_echo_now(c->p); /* not open: nothing */
	assert_int_equal(ppp_counters(c->p)->echo_sent, 1);
	wire_fini(&w);
}

/* The first echo of the timer comes at its point of the interval, and life puts it off. */
static void
test_echo_timer(void **state)
{
	static const struct {
		uint16_t spread;
		unsigned ms;
	} cases[] = {{0, 0}, {0x4000, 7500}, {0x8000, 15000}, {0xffff, 29999}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ppp *s;
		struct wire w;

		connect(&w);
		w.ends[SERVER].c.echo_interval_s = 30;
		w.ends[SERVER].c.echo_failure = 2;
		move(&w, cases[i].spread);
		s = w.ends[SERVER].p;
		if (cases[i].ms > 0) {
			loop_advance(w.loop, cases[i].ms - 1);
			assert_int_equal(ppp_counters(s)->echo_sent, 0);
		}
		loop_advance(w.loop, 1);
		assert_int_equal(ppp_counters(s)->echo_sent, 1);
		loop_advance(w.loop, 10);
		assert_int_equal(ppp_counters(s)->echo_received, 1);
		w.mute = true;
		loop_advance(w.loop, 100000);
		assert_int_equal(ppp_counters(s)->echo_sent, 3);
		loop_advance(w.loop, 20000);
		assert_int_equal(w.ends[SERVER].ends, 1);
		assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_ECHO);
		wire_fini(&w);
	}
}

static void
test_echo_timer_and_life(void **state)
{
	struct wire w;

	connect(&w);
	w.ends[SERVER].c.echo_interval_s = 30;
	move(&w, 0x8000);
	loop_advance(w.loop, 10000);
	ppp_alive(w.ends[SERVER].p);
	loop_advance(w.loop, 29999);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->echo_sent, 0);
	loop_advance(w.loop, 1);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->echo_sent, 1);
	wire_fini(&w);
}

static void
test_reset_request(void **state)
{
	const struct sent *f;
	struct wire w;

	connect(&w);
	move(&w, 0);
	inject(&w, SERVER, PPP_CCP, CP_RESET_REQ, 9, NULL, 0);
	f = find_sent(&w, SERVER, PPP_CCP, CP_RESET_ACK, 0);
	assert_non_null(f);
	assert_int_equal(f->bytes[1], 9);
	assert_true(w.ends[SERVER].p->up);
	wire_fini(&w);
}

/* The client's last requests once more, as when our Acks were lost: each gets its Ack, no more. */
static void
test_repeated_requests(void **state)
{
	static const uint16_t protocols[] = {PPP_LCP, PPP_CCP, PPP_IPCP};
	struct sent last[3] = {0};
	struct wire w;

	wire_init(&w, 1);
	wire_open(&w);
	assert_true(run_until_up(&w, 1000));
	for (unsigned i = 0; i < w.n_sent; i++)
		for (unsigned k = 0; k < 3; k++)
			if (w.sent[i].from == CLIENT && w.sent[i].protocol == protocols[k] &&
			    w.sent[i].bytes[0] == CP_CONF_REQ)
				last[k] = w.sent[i];
	move(&w, 0);
	w.mute = true;
	for (unsigned k = 0; k < 3; k++) {
		w.n_sent = 0;
		assert_true(last[k].len > 0);
		ppp_input(w.ends[SERVER].p, protocols[k], last[k].bytes, last[k].len);
		assert_int_equal(w.n_sent, 1);
		assert_int_equal(w.sent[0].bytes[0], CP_CONF_ACK);
		assert_int_equal(w.sent[0].len, last[k].len);
		assert_memory_equal(w.sent[0].bytes + 1, last[k].bytes + 1, last[k].len - 1);
		assert_int_equal(w.ends[SERVER].downs, 0);
		assert_true(w.ends[SERVER].p->up);
	}
	wire_fini(&w);
}

/* A new one: LCP starts over with new keys, CCP never does on keys that may be in use. */
static void
test_new_requests(void **state)
{
	struct wire w;

	connect(&w);
	move(&w, 0);
	ppp_renegotiate(w.ends[CLIENT].p);
	assert_true(run_until_up(&w, 1000));
	assert_int_equal(w.ends[SERVER].keys, 2);
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_int_equal(w.ends[SERVER].ups, 2);
	expect_connected(&w);
	move(&w, 0);
	inject(&w, SERVER, PPP_CCP, CP_CONF_REQ, 200, "\x12\x06\x01\x00\x00\x40", 6);
	loop_advance(w.loop, 10000);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_REKEY_REFUSED);
	wire_fini(&w);
}

static void
test_we_renegotiate(void **state)
{
	struct ppp_state before, after;
	struct wire w;

	connect(&w);
	move(&w, 0);
	ppp_get_state(w.ends[SERVER].p, &before);
	ppp_renegotiate(w.ends[SERVER].p);
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_true(run_until_up(&w, 1000));
	assert_int_equal(w.ends[SERVER].keys, 2);
	assert_int_equal(w.ends[SERVER].ups, 2);
	expect_connected(&w); /* the address is the same, and was not asked for again */
	ppp_get_state(w.ends[SERVER].p, &after);
	assert_int_not_equal(after.our_magic, before.our_magic);
	assert_int_not_equal(
	    find_sent(&w, SERVER, PPP_LCP, CP_CONF_REQ, 0)->bytes[1], before.lcp_id - 1);
	wire_fini(&w);
}

static void
test_client_ends(void **state)
{
	struct wire w;

	connect(&w);
	move(&w, 0);
	ppp_close(w.ends[CLIENT].p, PPP_CAUSE_LOCAL);
	loop_advance(w.loop, 10000);
	assert_non_null(find_sent(&w, SERVER, PPP_LCP, CP_TERM_ACK, 0));
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_PEER);
	assert_int_equal(w.ends[CLIENT].ends, 1);
	wire_fini(&w);
}

static void
test_we_end(void **state)
{
	struct wire w;

	connect(&w);
	move(&w, 0);
	ppp_close(w.ends[SERVER].p, PPP_CAUSE_IDLE);
	loop_advance(w.loop, 10000);
	assert_int_equal(w.ends[SERVER].ends, 1);
	assert_int_equal(w.ends[SERVER].cause, PPP_CAUSE_IDLE);
	assert_int_equal(w.ends[CLIENT].cause, PPP_CAUSE_PEER);
	wire_fini(&w);
}

/* A CHAP response cannot be told from the old one: none is answered. */
static void
test_stray_response(void **state)
{
	uint8_t zeros[50] = {49};
	struct ppp_state st;
	struct wire w;

	connect(&w);
	move(&w, 0);
	ppp_get_state(w.ends[SERVER].p, &st);
	for (unsigned id = 0; id < 256; id++)
		inject(&w, SERVER, PPP_CHAP, 2, (uint8_t)id, zeros, sizeof(zeros));
	assert_int_equal(w.n_sent, 0);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 0);
	wire_fini(&w);
}

static void
refused(struct wire *w, const struct ppp_config *c, const struct ppp_state *s)
{
	struct ppp *p = ppp_new(w->loop, c, &ops, &w->ends[SERVER]);

	errno = 0;
	assert_int_equal(ppp_restore(p, s, 0), -1);
	assert_int_equal(errno, EINVAL);
	ppp_free(p);
}

static void
test_refused_states(void **state)
{
	struct ppp_state good, bad;
	struct wire w;
	struct ppp *p;

	connect(&w);
	ppp_get_state(w.ends[SERVER].p, &good);
#define REFUSED(change)                                                                            \
	bad = good;                                                                                \
	change;                                                                                    \
	refused(&w, &w.ends[SERVER].c, &bad)
	for (unsigned state_no = 0; state_no < CP_OPENED; state_no++) {
		REFUSED(bad.lcp_state = (uint8_t)state_no);
		REFUSED(bad.ccp_state = (uint8_t)state_no);
		REFUSED(bad.ipcp_state = (uint8_t)state_no);
	}
	REFUSED(bad.lcp_state = CP_N_STATES);
	REFUSED(bad.auth_state = CHAP_CHALLENGED);
	REFUSED(bad.auth_state = CHAP_FAILED);
	REFUSED(bad.up = false);
	REFUSED(bad.ccp_bits = 0);
	REFUSED(bad.ccp_bits = 0x010000e1);
	REFUSED(bad.our_mru = 127);
	REFUSED(bad.peer_mru = 127);
	REFUSED(bad.mtu = 0);
	REFUSED(bad.mtu = bad.peer_mru);
	REFUSED(bad.our_pfc = true);
	REFUSED(bad.our_acfc = true);
	REFUSED(bad.our_accm = 0);
	REFUSED(bad.addresses.peer_ip = 0);
	REFUSED(bad.addresses.local_ip = 0);
	REFUSED(memset(bad.peer_name, 'x', sizeof(bad.peer_name)));
#undef REFUSED
	refused(&w, &w.ends[CLIENT].c, &good); /* a client's end */
	p = w.ends[SERVER].p;
	assert_int_equal(ppp_restore(p, &good, 0), -1); /* one that lives */
	assert_int_equal(errno, EINVAL);
	assert_true(p->up);
	wire_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_odd_link),
	    cmocka_unit_test(test_echoes),
	    cmocka_unit_test(test_echo_timer),
	    cmocka_unit_test(test_echo_timer_and_life),
	    cmocka_unit_test(test_reset_request),
	    cmocka_unit_test(test_repeated_requests),
	    cmocka_unit_test(test_new_requests),
	    cmocka_unit_test(test_we_renegotiate),
	    cmocka_unit_test(test_client_ends),
	    cmocka_unit_test(test_we_end),
	    cmocka_unit_test(test_stray_response),
	    cmocka_unit_test(test_refused_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
