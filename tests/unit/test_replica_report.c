/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two that both served, and the report by which they settle it: which engine is believed, from
 * where on a class opens again, when a session goes on behind what the other used, and every kind
 * of report that is none. The test keeps account of every key of its first session.
 */
#include "tests/unit/replica_rig.h"

#define N 3

static uint8_t used[4096];

/* So many packets of the first session; no key is ever used twice. */
static unsigned
say(struct end *e, unsigned packets)
{
	struct end_session *s = &e->s[0];
	unsigned n = 0;
	uint64_t index;

	for (; n < packets; n++) {
		index = keygate_index(&s->gate, s->tx.index);
		if (!end_transmit(e, s))
			break;
		assert_int_equal(used[index]++, 0);
	}
	return n;
}

/* A partition: a goes on in silence, b is promoted and serves too. */
static void
split(unsigned a_says, unsigned b_says)
{
	memset(used, 0, sizeof used);
	in_sync(N);
	assert_int_equal(say(a, 20), 20);
	end_run(a, b, 1);
	lose_stream();
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_int_equal(say(a, a_says), a_says);
	end_take_over(b, 6);
	assert_int_equal(say(b, b_says), b_says);
}

static void
meet(unsigned ms)
{
	end_connect(a, b);
	end_run(a, b, ms);
}

/* b stays: its session stands at 128, odd keys, and a is far behind its own mark yet. */
static void
test_promoted_one_stays(void **state)
{
	(void)state;
	split(10, 5);
	replica_demote(a->r, 6);
	meet(5);
	assert_int_equal(end_status(b).state, REPLICA_IN_SYNC);
	assert_int_equal(b->s[0].rs.open, KEYS_ALL);
	assert_int_equal(b->s[0].gate.low, KEYS_ALL);
	assert_int_equal(end_status(b).settled.sessions, N);
	assert_int_equal(end_status(b).settled.whole, N);
	assert_int_equal(end_status(b).settled.reported, N);
	assert_int_equal(end_status(b).settled.skipped, 0);
	assert_int_equal(say(b, 40), 40);
	assert_int_equal(end_status(b).at_risk, 0);
	/* It is forgotten, since it was read: the next stream says nothing of it. */
	lose_stream();
	meet(5);
	assert_int_equal(a->r->n_kept, 0);
	assert_int_equal(end_status(b).settled.times, 1);
	assert_int_equal(end_status(b).settled.reported, N);
}

/* a used even keys far above b, and the client acknowledged them to a: b goes on behind. */
static void
test_goes_on_behind(void **state)
{
	(void)state;
	split(700, 5);
	a->s[0].acked = a->s[0].next - 3;
	replica_demote(a->r, 6);
	meet(5);
	assert_int_equal(end_status(b).settled.skipped, 1);
	assert_int_equal(b->s[0].next, a->s[0].next);
	assert_true(b->s[0].tx.index >= a->s[0].tx.index);
	assert_int_equal(b->s[0].rs.open, KEYS_ALL);
	assert_int_equal(say(b, 40), 40);
	end_run(a, b, 2);
	assert_int_equal(say(b, 40), 40);
}

/* The client is on b's side: it could not follow. The class opens where a has never been. */
static void
test_too_far(void **state)
{
	struct end_session *s = &b->s[0];
	uint64_t far;

	(void)state;
	s = &b->s[0];
	split(700, 5);
	s->acked = s->next - 1;
	far = a->s[0].tx.index;
	replica_demote(a->r, 6);
	meet(5);
	assert_int_equal(end_status(b).settled.skipped, 0);
	assert_int_equal(end_status(b).settled.one_class, 1);
	assert_int_equal(end_status(b).settled.whole, N - 1);
	assert_int_equal(s->rs.open, KEYS_ODD);
	assert_int_equal(s->rs.back, KEYS_EVEN);
	for (unsigned i = 0; i < 100 && s->rs.open != KEYS_ALL; i++) {
		assert_true(s->tx.index < far + 4 * REPLICA_AHEAD);
		say(b, 20);
		end_run(a, b, 2);
	}
	assert_int_equal(s->rs.open, KEYS_ALL);
	assert_true(s->tx.index >= far);
	assert_int_equal(say(b, 20), 20);
}

/* VRRP chose the other: a goes above b's epoch and stays, with even keys. */
static void
test_silent_one_stays(void **state)
{
	(void)state;
	split(10, 300);
	b->s[0].acked = b->s[0].next - 1;
	replica_promote(a->r, 7);
	replica_demote(b->r, 7);
	meet(5);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_int_equal(end_status(a).settled.reported, N);
	assert_int_equal(end_status(a).settled.skipped, N);
	assert_int_equal(a->s[0].rs.open, KEYS_ALL);
	assert_int_equal(a->s[0].next, b->s[0].next);
	assert_int_equal(say(a, 40), 40);
	assert_int_equal(end_status(a).at_risk, 0);
}

/* Who was started anew has nothing to say, and who speaks of another life is not believed. */
static void
test_another_engine(void **state)
{
	(void)state;
	split(10, 5);
	replica_demote(a->r, 6);
	a->r->kept_boot++;
	meet(5);
	assert_int_equal(end_status(b).settled.reported, 0);
	assert_int_equal(end_status(b).settled.one_class, N);
	assert_int_equal(b->s[0].rs.open, KEYS_ODD);
	assert_int_equal(b->s[0].rs.back, KEYS_NONE);
	say(b, 40);
}

/* One that ended in the split is named too, with what it used last; not one that had new keys. */
static void
test_ended_is_reported(void **state)
{
	struct replica_stand last = {.seq = 300, .index = 401};

	(void)state;
	split(10, 5);
	for (unsigned i = 0; i < 2; i++) {
		if (i == 1)
			replica_renew(a->r, &a->s[i].rs, true);
		replica_closing(a->r, &a->s[i].rs);
		replica_remove(a->r, &a->s[i].rs);
		replica_ended(a->r, &a->s[i].rs, &last);
		replica_ended(a->r, &a->s[i].rs, &last); /* once */
	}
	assert_int_equal(a->r->n_gone, 1);
	replica_demote(a->r, 6);
	assert_int_equal(a->r->n_kept, 2);
	meet(5);
	assert_int_equal(end_status(b).settled.reported, 2);
	assert_int_equal(b->s[0].rs.back == KEYS_EVEN || b->s[0].rs.open == KEYS_ALL, true);
	assert_true(
	    b->s[0].rs.open == KEYS_ALL ? b->s[0].tx.index >= 401 : b->s[0].rs.back_at == 401);
	assert_int_equal(b->s[1].rs.open, KEYS_ODD);
	/* Where the standby hears that it goes, nothing is noted. */
	replica_closing(b->r, &b->s[2].rs);
	assert_false(b->s[2].rs.noted);
}

static void
test_promoted_in_between(void **state)
{
	(void)state;
	split(10, 5);
	replica_demote(a->r, 6);
	replica_promote(a->r, 6);
	replica_demote(a->r, 6);
	meet(5);
	assert_int_equal(end_status(b).settled.reported, 0);
	assert_int_equal(b->s[0].rs.open, KEYS_ODD);
}

/* New keys have indices of their own: what was used of the old ones says nothing of them. */
static void
test_new_keys(void **state)
{
	(void)state;
	split(700, 5);
	a->s[0].acked = a->s[0].next - 1;
	replica_renew(b->r, &b->s[0].rs, true);
	replica_renew(a->r, &a->s[1].rs, true);
	replica_demote(a->r, 6);
	meet(5);
	assert_int_equal(end_status(b).settled.sessions, N - 1);
	assert_int_equal(end_status(b).settled.reported, N - 2);
	assert_int_equal(end_status(b).settled.skipped, 0);
	assert_int_equal(b->s[0].rs.open, KEYS_ALL);
	assert_int_equal(b->s[1].rs.open, KEYS_ODD);
	assert_int_equal(b->s[2].rs.open, KEYS_ALL);
}

/* ---- the stream ---- */

/* What a standby says, by hand: HELLO that announces n sessions, then a report of m. */
static void
announce(unsigned version, unsigned n)
{
	uint8_t buf[512];
	struct wr w = wr_init(buf, sizeof buf);

	b->open = true;
	replica_connected(b->r);
	b->out_len = 0;
	replica_frame_begin(&w, REPLICA_HELLO, 6, 1);
	replica_put_hello(&w, &(struct replica_hello){.version_min = 1,
				  .version_max = (uint16_t)version,
				  .node = "gw1",
				  .boot_id = 9,
				  .report_boot = 7,
				  .report_n = n});
	replica_frame_end(&w);
	replica_input(b->r, buf, wr_len(&w));
}

static void
report(unsigned type, uint64_t sequence, unsigned m, unsigned cut_off)
{
	uint8_t buf[2048];
	struct wr w = wr_init(buf, sizeof buf);
	uint8_t *at;

	replica_frame_begin(&w, (uint16_t)type, 6, sequence);
	at = replica_entries_begin(&w);
	for (unsigned i = 0; i < m; i++)
		replica_put_stand(
		    &w, &(struct replica_stand){
			    .id = 1 + i + 2 * (sequence - 2), .seq = 30, .index = 30});
	for (unsigned i = 0; i < cut_off; i++)
		wr_u8(&w, 0);
	replica_entries_end(&w, at);
	replica_frame_end(&w);
	if (b->open)
		replica_input(b->r, buf, wr_len(&w));
}

static void
test_waits_for_the_report(void **state)
{
	(void)state;
	split(10, 5);
	announce(2, 3);
	assert_true(b->open && !end_status(b).connected);
	report(REPLICA_REPORT, 2, 2, 0);
	assert_true(b->open && !end_status(b).connected);
	report(REPLICA_REPORT, 3, 1, 0);
	assert_true(end_status(b).connected);
	assert_int_equal(end_status(b).settled.reported, 3);
}

/* It may stop in the middle, and then nothing of it counts; the stream is not waited for long. */
static void
test_half_a_report(void **state)
{
	(void)state;
	split(10, 5);
	announce(2, 3);
	report(REPLICA_REPORT, 2, 2, 0);
	loop_advance(loop, REPLICA_HELLO_MS + 2 * REPLICA_BEAT_MS);
	assert_false(b->open);
	assert_int_equal(end_status(b).state, REPLICA_ALONE);
	assert_int_equal(end_status(b).settled.times, 0);
	meet(5);
	assert_int_equal(end_status(b).settled.reported, 0);
}

static void
test_no_report_is_sound(void **state)
{
	static const struct bad {
		unsigned type, m, cut_off;
	} bad[] = {
	    {REPLICA_REPORT, 4, 0},  /* more than was announced */
	    {REPLICA_REPORT, 0, 0},  /* a frame for nothing */
	    {REPLICA_REPORT, 1, 7},  /* an entry and a piece */
	    {REPLICA_APPLIED, 1, 0}, /* something else */
	    {REPLICA_HELLO, 1, 0},
	};

	(void)state;
	split(10, 5);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		announce(2, 3);
		assert_true(b->open);
		report(bad[i].type, 2, bad[i].m, bad[i].cut_off);
		assert_false(b->open);
		assert_int_equal(b->s[0].rs.open, KEYS_ALL); /* nothing is settled */
		assert_int_equal(b->s[0].gate.high, KEYS_ODD);
	}
	announce(2, REPLICA_STANDS_MAX + 1);
	assert_false(b->open);
	/* Nor unasked, behind the beginning. */
	announce(2, 0);
	assert_true(end_status(b).connected);
	report(REPLICA_REPORT, 2, 1, 0);
	assert_false(b->open);
}

/* A peer of version 1 gets none, and one that announces a report by mistake is not waited for. */
static void
test_version_1(void **state)
{
	(void)state;
	split(10, 5);
	announce(1, 3);
	assert_true(end_status(b).connected);
	assert_int_equal(end_status(b).settled.reported, 0);
	assert_int_equal(b->s[0].rs.open, KEYS_ODD);
}

/* Thousands of keys are stepped over in pieces, and those who need none come first. */
static void
test_pace(void **state)
{
	(void)state;
	split(10, 5);
	for (unsigned i = 0; i < N; i++) {
		mppe_step(&a->s[i].tx, 20000);
		a->s[i].next += 10000;
		a->s[i].acked = i == 1 ? 0 : a->s[i].next - 1;
	}
	replica_demote(a->r, 6);
	meet(1);
	assert_int_equal(end_status(b).settled.skipped, N - 1);
	assert_int_equal(b->s[1].rs.place == REPLICA_IDLE && b->s[1].rs.held, false);
	assert_true(b->s[1].rs.on_stream);
	assert_int_equal(b->s[0].rs.on_stream + b->s[2].rs.on_stream, 1);
	end_run(a, b, 100);
	assert_true(b->s[0].rs.on_stream && b->s[2].rs.on_stream);
	assert_int_equal(end_status(b).state, REPLICA_IN_SYNC);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_promoted_one_stays),
	    TEST(test_goes_on_behind),
	    TEST(test_too_far),
	    TEST(test_silent_one_stays),
	    TEST(test_another_engine),
	    TEST(test_ended_is_reported),
	    TEST(test_promoted_in_between),
	    TEST(test_new_keys),
	    TEST(test_waits_for_the_report),
	    TEST(test_half_a_report),
	    TEST(test_no_report_is_sound),
	    TEST(test_version_1),
	    TEST(test_pace),
	};

	log_init("test_replica_report", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
