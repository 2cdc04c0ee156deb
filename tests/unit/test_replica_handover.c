/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A planned move between two ends of the replica: exact marks, who may take it and who may not,
 * what is relayed behind it, and its end at every frame. A peer of version 1 never sees a frame
 * that it does not know.
 */
#include "tests/unit/replica_rig.h"

/* What a has said reaches b up to, and with, the n-th frame of this type; the rest is lost. */
static bool
carry_up_to(struct end *from, struct end *to, uint16_t type)
{
	struct rd in = rd_init(from->out, from->out_len);
	struct replica_frame f;
	bool there = false;

	while (!there && replica_frame_next(&in, &f) == 1)
		there = f.type == type;
	if (there)
		replica_input(to->r, from->out, from->out_len - rd_left(&in));
	from->out_len = 0;
	return there;
}

/* Everybody's mark is exact: a given key is the next one, and no number is missing. */
static void
test_exact(void **state)
{
	struct end_session *s;

	(void)state;
	in_sync(3);
	end_burst(a, &a->s[0], 10);
	end_burst(a, &a->s[1], 77);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(end_status(b).handover, HANDOVER_EXPECTING);
	assert_int_equal(replica_give(a->r, 6), 0);
	assert_int_equal(end_status(a).handover, HANDOVER_GIVING);
	assert_false(end_transmit(a, &a->s[0]));
	end_run(a, b, 2);
	assert_int_equal(a->given[REPLICA_GIVEN_LEFT], 1);
	assert_int_equal(a->given[REPLICA_GIVEN_TAKEN], 1);
	assert_int_equal(b->takes, 1);
	assert_int_equal(end_status(a).state, REPLICA_STANDBY);
	assert_int_equal(end_status(a).epoch, 6);
	assert_int_equal(end_status(a).sessions, 0);
	assert_int_equal(end_status(b).state, REPLICA_ALONE);
	assert_int_equal(end_status(b).epoch, 6);
	assert_int_equal(end_status(b).sessions, 3);
	assert_int_equal(b->s[0].next, 10);
	assert_int_equal(b->s[1].next, 77);
	assert_int_equal(b->s[2].next, 0);
	s = &b->s[1];
	assert_int_equal(keygate_index(&s->gate, s->tx.index), 77);
	assert_true(end_transmit(b, s));
	assert_int_equal(s->tx.index, 78);
	assert_int_equal(end_burst(b, s, 500), 500);
}

static void
hand_over(unsigned sessions)
{
	in_sync(sessions);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	assert_int_equal(end_status(a).handover, HANDOVER_RELAYING);
	assert_int_equal(end_status(b).handover, HANDOVER_TAKEN);
}

static void
test_relays(void **state)
{
	(void)state;
	hand_over(2);
	assert_true(replica_relay(a->r, REPLICA_RELAY_GRE, 0, (const uint8_t *)"packet", 6));
	end_run(a, b, 1);
	assert_int_equal(b->relays, 1);
	assert_int_equal(b->relayed_kind, REPLICA_RELAY_GRE);
	assert_string_equal(b->relayed, "packet");
	assert_true(replica_relay(a->r, REPLICA_RELAY_CONTROL, 10, (const uint8_t *)"echo", 4));
	end_run(a, b, 1);
	assert_int_equal(b->relayed_kind, REPLICA_RELAY_CONTROL);
	assert_int_equal(b->relayed_connection, 10);
	/* Nothing else is said on it, for as long as it is used; new sessions are nobody's but
	 * ours. */
	end_add(b, 10);
	end_run(a, b, 2000);
	assert_true(a->open && b->open);
	assert_false(end_status(b).wants);
	assert_int_equal(end_burst(b, &b->s[10], 1000), 1000);
	assert_false(replica_relay(b->r, REPLICA_RELAY_GRE, 0, (const uint8_t *)"x", 1));
	replica_relay_end(a->r);
	end_run(a, b, 1);
	assert_false(a->open || b->open);
	assert_int_equal(a->given[REPLICA_GIVEN_OVER], 0);
	assert_int_equal(end_status(a).handover, HANDOVER_NONE);
	assert_int_equal(end_status(b).handover, HANDOVER_NONE);
	assert_int_equal(end_status(b).state, REPLICA_ALONE);
	assert_false(replica_relay(a->r, REPLICA_RELAY_GRE, 0, (const uint8_t *)"x", 1));
}

/* What left behind HANDOVER, before its answer was read, is in the same stream. */
static void
test_relays_before_the_answer(void **state)
{
	(void)state;
	in_sync(1);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	assert_false(replica_relay(a->r, REPLICA_RELAY_IP, 0, (const uint8_t *)"early", 5));
	loop_advance(loop, 0);
	assert_int_equal(a->given[REPLICA_GIVEN_LEFT], 1);
	assert_true(replica_relay(a->r, REPLICA_RELAY_IP, 0, (const uint8_t *)"late", 4));
	end_carry(a, b);
	assert_string_equal(b->relayed, "late");
	assert_int_equal(end_status(b).handover, HANDOVER_TAKEN);
	end_run(a, b, 1);
	assert_int_equal(a->given[REPLICA_GIVEN_TAKEN], 1);
}

/* Afterwards the old active is a standby like any other; what it can prove opens the even keys. */
static void
test_back_as_a_standby(void **state)
{
	struct end_session *s = &b->s[0];

	(void)state;
	hand_over(2);
	replica_relay_end(a->r);
	end_run(a, b, 1);
	replica_pair(a->r, true, 6);
	end_connect(a, b);
	end_run(a, b, 5);
	assert_int_equal(end_status(b).state, REPLICA_IN_SYNC);
	assert_int_equal(end_status(a).sessions, 2);
	assert_int_equal(s->rs.open, KEYS_ALL);
	/* and back again */
	end_burst(b, s, 21);
	assert_int_equal(replica_expect(a->r, 7, 3000), 0);
	assert_int_equal(replica_give(b->r, 7), 0);
	end_run(a, b, 2);
	assert_int_equal(a->takes, 1);
	assert_int_equal(a->s[0].next, 21);
	assert_int_equal(end_status(b).handover, HANDOVER_RELAYING);
}

static void
gives_back(const char *why)
{
	assert_int_equal(a->given[REPLICA_GIVEN_BACK], 1);
	assert_non_null(strstr(a->given_why, why));
	end_run(a, b, 5);
	assert_int_equal(end_status(a).handover, HANDOVER_NONE);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_true(end_status(b).in_step);
	assert_int_equal(end_status(a).epoch, 5);
	assert_int_equal(a->s[0].rs.open, KEYS_ALL);
	assert_int_equal(end_burst(a, &a->s[0], 1000), 2 * REPLICA_AHEAD);
	end_run(a, b, 2);
	assert_true(end_transmit(a, &a->s[0]));
}

static void
test_refused(void **state)
{
	(void)state;
	in_sync(2);
	assert_int_equal(replica_give(a->r, 6), 0);
	loop_advance(loop, 0);
	assert_true(replica_relay(a->r, REPLICA_RELAY_GRE, 0, (const uint8_t *)"x", 1));
	end_run(a, b, 2);
	assert_int_equal(b->takes, 0);
	assert_int_equal(b->relays, 0);
	gives_back("no handover is expected");
	/* The next one on the same stream is another matter. */
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	assert_int_equal(a->given[REPLICA_GIVEN_TAKEN], 1);
}

static void
test_refused_because_unable(void **state)
{
	(void)state;
	in_sync(2);
	b->unable = true;
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	assert_int_equal(end_status(b).handover, HANDOVER_NONE);
	gives_back("the promotion failed");
}

static void
test_another_epoch(void **state)
{
	(void)state;
	in_sync(2);
	assert_int_equal(replica_expect(b->r, 7, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	gives_back("another epoch");
}

static void
test_expected_for_a_time(void **state)
{
	(void)state;
	in_sync(2);
	assert_int_equal(replica_expect(b->r, 6, 1000), 0);
	end_run(a, b, 1001);
	assert_int_equal(end_status(b).handover, HANDOVER_NONE);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	gives_back("no handover is expected");
}

/* A worker that does not answer: nothing has left. */
static void
test_records_not_made(void **state)
{
	(void)state;
	in_sync(2);
	a->lazy = true;
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, REPLICA_GIVE_MS - 1);
	assert_int_equal(a->given[REPLICA_GIVEN_BACK], 0);
	end_run(a, b, 2);
	assert_int_equal(a->given[REPLICA_GIVEN_LEFT], 0);
	a->lazy = false;
	end_export(a, &a->s[0]);
	end_export(a, &a->s[1]);
	end_run(a, b, 5);
	gives_back("not made in time");
}

/* Lost before HANDOVER left: a cut, and the standby may go on from what it has. */
static void
test_lost_before(void **state)
{
	(void)state;
	in_sync(2);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	lose_stream();
	assert_int_equal(a->given[REPLICA_GIVEN_BACK], 1);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	assert_int_equal(end_status(b).handover, HANDOVER_NONE);
	/* Who has a packet to send says that it cannot: somebody must decide. */
	assert_false(end_transmit(a, &a->s[0]));
	assert_true(end_status(a).wants);
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_true(end_transmit(a, &a->s[0]));
	assert_int_equal(a->s[0].tx.index, 1);
}

/* The answer is lost, and both are promoted as far as they know: never the same key. */
static void
test_answer_lost(void **state)
{
	(void)state;
	in_sync(1);
	end_burst(a, &a->s[0], 7);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	loop_advance(loop, 0);
	end_carry(a, b);
	assert_int_equal(b->takes, 1);
	lose_stream();
	assert_int_equal(a->given[REPLICA_GIVEN_UNKNOWN], 1);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	assert_int_equal(end_status(b).state, REPLICA_ALONE);
	assert_false(end_transmit(a, &a->s[0]));
	assert_true(end_status(a).wants);
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_true(end_transmit(a, &a->s[0]));
	assert_true(end_transmit(b, &b->s[0]));
	assert_int_equal(a->s[0].tx.index, 9);
	assert_int_equal(b->s[0].tx.index, 8);
	/* Nobody consents: it serves. */
	assert_int_equal(replica_stale(b->r, end_status(a).cut, 5), -1);
}

static void
test_answer_too_late(void **state)
{
	(void)state;
	in_sync(1);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	loop_advance(loop, 0);
	/* It beats, but says nothing of it. */
	for (unsigned ms = 0; ms <= REPLICA_ANSWER_MS + 5; ms++) {
		a->out_len = 0;
		end_carry(b, a);
		loop_advance(loop, 1);
	}
	assert_int_equal(a->given[REPLICA_GIVEN_UNKNOWN], 1);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	assert_non_null(strstr(a->why, "not answered"));
}

/* A plain promotion of the standby in the middle of it: its word is the higher epoch. */
static void
test_promoted_meanwhile(void **state)
{
	(void)state;
	in_sync(1);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_take_over(b, 6);
	end_run(a, b, 2);
	assert_int_equal(a->yielded, 6);
	assert_int_equal(a->given[REPLICA_GIVEN_TAKEN], 0);
	assert_int_equal(end_status(b).handover, HANDOVER_NONE);
}

/* The copy lacks a frame that the active counted. */
static void
test_not_whole(void **state)
{
	(void)state;
	in_sync(1);
	lose_stream();
	end_add(a, 1);
	end_connect(a, b);
	end_carry(a, b);
	end_carry(b, a);
	loop_advance(loop, 0);
	assert_true(carry_up_to(a, b, REPLICA_BEGIN));
	assert_int_equal(replica_expect(b->r, 6, 3000), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(replica_give(a->r, 6), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
test_who_may_not(void **state)
{
	(void)state;
	assert_int_equal(replica_give(a->r, 6), -1);
	assert_int_equal(errno, EAGAIN);
	in_sync(1);
	assert_int_equal(replica_expect(a->r, 6, 3000), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(replica_give(b->r, 6), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(replica_expect(b->r, 5, 3000), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(replica_give(a->r, 5), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(replica_give(a->r, 6), 0);
	assert_int_equal(replica_give(a->r, 6), -1);
	assert_int_equal(errno, EBUSY);
	/* A demotion in the middle of it needs no word. */
	replica_demote(a->r, 5);
	assert_int_equal(end_status(a).handover, HANDOVER_NONE);
	assert_int_equal(a->given[REPLICA_GIVEN_BACK], 0);
}

/* ---- a peer of version 1 ---- */

static struct wr
frame(uint8_t *buf, uint16_t type, uint64_t epoch, uint64_t sequence)
{
	struct wr w = wr_init(buf, 4096);

	replica_frame_begin(&w, type, epoch, sequence);
	return w;
}

static void
feed(struct end *e, struct wr *w)
{
	replica_frame_end(w);
	replica_input(e->r, w->start, wr_len(w));
}

/* Every frame in what it has said is one that version 1 knows; returns how many of that type. */
static unsigned
all_old(const struct end *e, uint16_t type)
{
	struct rd in = rd_init(e->out, e->out_len);
	struct replica_frame f;
	unsigned n = 0;

	while (replica_frame_next(&in, &f) == 1) {
		assert_true(f.type < REPLICA_TYPE_V2);
		n += f.type == type;
	}
	return n;
}

static void
greet_as_old(struct end *e, bool active)
{
	struct replica_hello h = {
	    .version_min = 1, .version_max = 1, .node = "gw9", .active = active, .boot_id = 3};
	uint8_t buf[4096];
	struct wr w = frame(buf, REPLICA_HELLO, 5, 1);

	e->open = true;
	replica_connected(e->r);
	replica_put_hello(&w, &h);
	feed(e, &w);
	assert_true(end_status(e).connected);
	assert_int_equal(end_status(e).version, 1);
}

static void
test_old_standby(void **state)
{
	uint8_t buf[4096];
	struct wr w;

	(void)state;
	end_add(a, 0);
	greet_as_old(a, false);
	loop_advance(loop, 0);
	assert_int_equal(all_old(a, REPLICA_SESSION), 1);
	assert_int_equal(all_old(a, REPLICA_END), 1);
	w = frame(buf, REPLICA_APPLIED, 5, 2);
	replica_put_applied(&w, end_status(a).sent);
	feed(a, &w);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_int_equal(replica_give(a->r, 6), -1);
	assert_int_equal(errno, EPROTONOSUPPORT);
	loop_advance(loop, 100);
	all_old(a, REPLICA_BEAT);
	/* One that it could not have said ends the stream. */
	w = frame(buf, REPLICA_TAKEN, 5, 3);
	replica_put_epoch(&w, 6);
	feed(a, &w);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
}

static void
test_old_active(void **state)
{
	uint8_t buf[4096];
	struct wr w;

	(void)state;
	greet_as_old(b, true);
	w = frame(buf, REPLICA_BEGIN, 5, 2);
	replica_put_size(&w, &(struct replica_size){0});
	feed(b, &w);
	w = frame(buf, REPLICA_END, 5, 3);
	feed(b, &w);
	assert_true(end_status(b).in_step);
	assert_int_equal(all_old(b, REPLICA_APPLIED), 2);
	assert_int_equal(replica_expect(b->r, 6, 3000), -1);
	assert_int_equal(errno, EPROTONOSUPPORT);
	all_old(b, REPLICA_HELLO);
	replica_promote(b->r, 6);
	all_old(b, REPLICA_BEAT);
}

/* ---- bad input ---- */

static void
test_bad_frames(void **state)
{
	uint8_t buf[4096];
	struct wr w;

	(void)state;
	in_sync(1);
	w = frame(buf, REPLICA_RELAY, 5, end_status(b).applied + 1);
	replica_put_relayed(&w, 0, 0, (const uint8_t *)"x", 1);
	feed(b, &w);
	assert_non_null(strstr(b->why, "relay: Protocol error"));
	lose_stream();
	end_connect(a, b);
	end_run(a, b, 5);
	w = frame(buf, REPLICA_HANDOVER, 5, end_status(b).applied + 1);
	feed(b, &w);
	assert_non_null(strstr(b->why, "handover: Bad message"));
	lose_stream();
	end_connect(a, b);
	end_run(a, b, 5);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_int_equal(replica_expect(b->r, 6, 3000), 0);
	assert_int_equal(replica_give(a->r, 6), 0);
	end_run(a, b, 2);
	w = frame(buf, REPLICA_SESSION_GONE, 6, b->r->received + 1);
	replica_put_id(&w, 1);
	feed(b, &w);
	assert_non_null(strstr(b->why, "session-gone behind a handover"));
	assert_int_equal(end_status(b).sessions, 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_exact),
	    TEST(test_relays),
	    TEST(test_relays_before_the_answer),
	    TEST(test_back_as_a_standby),
	    TEST(test_refused),
	    TEST(test_refused_because_unable),
	    TEST(test_another_epoch),
	    TEST(test_expected_for_a_time),
	    TEST(test_records_not_made),
	    TEST(test_lost_before),
	    TEST(test_answer_lost),
	    TEST(test_answer_too_late),
	    TEST(test_promoted_meanwhile),
	    TEST(test_not_whole),
	    TEST(test_who_may_not),
	    TEST(test_old_standby),
	    TEST(test_old_active),
	    TEST(test_bad_frames),
	};

	log_init("test", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
