/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two ends of the replica back to back: snapshot, marks, output commit, cuts and how they end,
 * promotion, classes of keys when two meet; and every kind of bad input, after which the active
 * serves on.
 */
#include "tests/unit/replica_rig.h"

static void
test_snapshot(void **state)
{
	struct replica_status st;
	const struct mirror_session *m;

	(void)state;
	in_sync(3);
	st = end_status(a);
	assert_true(st.connected && st.in_step && st.marked && !st.wants);
	assert_int_equal(st.at_risk, 0);
	assert_int_equal(st.snapshot_done, 3);
	assert_string_equal(st.peer, "gw2");
	st = end_status(b);
	assert_true(st.in_step);
	assert_int_equal(st.state, REPLICA_STANDBY);
	assert_int_equal(st.epoch, 5);
	assert_int_equal(st.sessions, 3);
	assert_int_equal(st.connections, 1);
	assert_int_equal(b->came, 3);
	m = mirror_session(replica_mirror(b->r), 2);
	assert_int_equal(m->mark.seq, 2 * REPLICA_AHEAD);
	assert_int_equal(m->mark.open, KEYS_ALL);
	assert_int_equal(a->s[1].gate.mark_seq, 2 * REPLICA_AHEAD);
}

/* A session that nobody holds may use every key; once its record is out it may not. */
static void
test_exposed_by_its_record(void **state)
{
	struct end_session *s;

	(void)state;
	in_sync(0);
	s = end_add(a, 0);
	assert_int_equal(end_burst(a, s, 1000), 1000);
	loop_advance(loop, 0);
	assert_true(s->rs.exposed);
	assert_int_equal(end_status(a).at_risk, 1);
	assert_int_equal(end_burst(a, s, 1000), 2 * REPLICA_AHEAD);
	end_run(a, b, 2);
	assert_int_equal(end_status(a).at_risk, 0);
}

static void
test_mark_is_awaited(void **state)
{
	struct end_session *s = &a->s[0];
	const struct mirror_session *m;

	(void)state;
	in_sync(1);
	m = mirror_session(replica_mirror(b->r), 1);
	/* Down to the last number while the new mark is on its way. */
	assert_int_equal(end_burst(a, s, 1000), 2 * REPLICA_AHEAD);
	loop_advance(loop, 1);
	assert_int_equal(end_burst(a, s, 1000), 0);
	end_carry(a, b);
	assert_int_equal(m->mark.seq, REPLICA_AHEAD + 1 + 2 * REPLICA_AHEAD);
	assert_int_equal(m->mark.index, m->mark.seq);
	assert_int_equal(end_burst(a, s, 1000), 0); /* applied, but we have not heard */
	end_carry(b, a);
	assert_int_equal(s->gate.mark_seq, m->mark.seq);
	assert_int_equal(end_burst(a, s, 1000), REPLICA_AHEAD + 1);
	assert_int_equal(end_status(a).marks_asked, 1);
	/* A new record of it belongs to no snapshot. */
	replica_renew(a->r, &s->rs, false);
	end_run(a, b, 2);
	assert_int_equal(end_status(a).snapshot_done, end_status(a).snapshot_of);
}

static void
test_marks_travel_together(void **state)
{
	uint64_t before;

	(void)state;
	in_sync(100);
	before = end_status(a).sent;
	for (unsigned i = 0; i < 100; i++)
		end_burst(a, &a->s[i], REPLICA_AHEAD + 1);
	loop_advance(loop, 0);
	assert_int_equal(end_status(a).sent, before + 1);
	end_run(a, b, 1);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(a->s[i].gate.mark_seq, 3 * REPLICA_AHEAD + 1);
}

/* 10,000 packets a second: more at a time, and still within the bound. */
static void
test_fast_sessions_get_more(void **state)
{
	struct end_session *s = &a->s[0];
	uint32_t most = 0;

	(void)state;
	in_sync(1);
	for (unsigned ms = 0; ms < 200; ms++) {
		assert_int_equal(end_burst(a, s, 10), 10);
		end_run(a, b, 1);
		uint32_t ahead = mirror_session(replica_mirror(b->r), 1)->mark.seq - s->next;

		most = ahead > most ? ahead : most;
	}
	assert_int_equal(s->rs.ahead, REPLICA_AHEAD_FAST);
	assert_in_range(most, 2 * REPLICA_AHEAD, 2 * REPLICA_AHEAD_FAST);
	for (unsigned ms = 0; ms < 2000; ms++) {
		assert_int_equal(end_burst(a, s, 1), 1);
		end_run(a, b, 1);
	}
	assert_int_equal(s->rs.ahead, REPLICA_AHEAD);
}

static void
test_output_waits(void **state)
{
	struct end_connection *c = &a->c[0];
	struct connection_record r;

	(void)state;
	assert_false(replica_changed(a->r, &c->rc)); /* no member */
	replica_add_connection(a->r, &c->rc, 10);
	assert_false(replica_changed(a->r, &c->rc)); /* nobody mirrors */
	replica_remove_connection(a->r, &c->rc);
	in_sync(1);
	c->echo_id = 99;
	assert_true(replica_changed(a->r, &c->rc));
	loop_advance(loop, 0);
	assert_int_equal(c->committed, 0);
	end_carry(a, b);
	mirror_connection_record(mirror_connection(replica_mirror(b->r), 10), &r);
	assert_int_equal(r.echo_id, 99);
	assert_int_equal(c->committed, 0);
	end_carry(b, a);
	assert_int_equal(c->committed, 1);
	/* A later change while the first is on its way: each commits what is in its record. */
	assert_true(replica_changed(a->r, &c->rc));
	loop_advance(loop, 0);
	c->echo_id = 100;
	assert_true(replica_changed(a->r, &c->rc));
	end_carry(a, b);
	end_carry(b, a);
	assert_int_equal(c->committed, 2);
	assert_int_equal(c->echo_told, 99);
	assert_true(c->rc.waiting);
	end_run(a, b, 1);
	assert_int_equal(c->committed, 3);
	assert_int_equal(c->echo_told, 100);
	assert_false(c->rc.waiting);
	assert_int_equal(end_status(a).commits, 3);
}

/* Who speaks more often than a record travels is answered all the same. */
static void
test_output_does_not_starve(void **state)
{
	struct end_connection *c = &a->c[0];
	uint64_t sent;

	(void)state;
	in_sync(1);
	sent = end_status(a).sent;
	for (unsigned i = 1; i <= 100; i++) {
		c->echo_id++;
		assert_true(replica_changed(a->r, &c->rc));
		loop_advance(loop, 1);
		if (i % 10 == 0) {
			end_carry(a, b);
			end_carry(b, a);
			assert_int_equal(c->committed, i / 10);
		}
	}
	assert_in_range(end_status(a).sent - sent, 10, 20); /* beats among them */
	lose_stream();
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_int_equal(c->committed, 11);
	assert_false(c->rc.waiting);
}

static void
test_output_in_a_cut(void **state)
{
	struct end_connection *c = &a->c[0];

	(void)state;
	in_sync(1);
	assert_true(replica_changed(a->r, &c->rc)); /* waits already */
	lose_stream();
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	assert_true(replica_changed(a->r, &c->rc));
	assert_true(end_status(a).wants);
	assert_int_equal(c->committed, 0);
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_int_equal(c->committed, 1);
	assert_false(replica_changed(a->r, &c->rc));
	/* Back: what waits is told first. */
	end_connect(a, b);
	end_run(a, b, 3);
	assert_true(replica_changed(a->r, &c->rc));
	lose_stream();
	end_connect(a, b);
	end_run(a, b, 3);
	assert_int_equal(c->committed, 2);
}

static void
test_counters(void **state)
{
	const struct mirror *m = replica_mirror(b->r);
	uint64_t before;

	(void)state;
	in_sync(40);
	end_burst(a, &a->s[3], 1);
	end_burst(a, &a->s[5], 2); /* these tests' owner says: nothing has moved */
	before = end_status(a).bytes_sent;
	end_run(a, b, 1100);
	assert_int_equal(mirror_session(m, 4)->counters.tx_seq, 1);
	assert_int_equal(mirror_session(m, 6)->counters.tx_seq, 0);
	/* Beats, and one or two entries: no more than that. */
	assert_true(end_status(a).bytes_sent - before < 30 * 24 + 4 * 100);
}

/* Records hold keys: what was read is in the copy, and nowhere else. */
static void
test_keys_are_not_left_behind(void **state)
{
	(void)state;
	memset(a->r->out, 0, OUT_SIZE);
	memset(b->r->in, 0, IN_SIZE);
	in_sync(5);
	assert_int_equal(mirror_sessions(replica_mirror(b->r)), 5);
	assert_null(memmem(b->r->in, IN_SIZE, a->s[0].tx.master, 16));
	assert_null(memmem(a->r->out, OUT_SIZE, a->s[0].tx.master, 16));
}

static void
test_gone(void **state)
{
	(void)state;
	in_sync(3);
	replica_add_connection(a->r, &a->c[1].rc, 11);
	end_run(a, b, 1);
	assert_int_equal(end_status(b).connections, 2);
	replica_remove(a->r, &a->s[1].rs);
	replica_remove_connection(a->r, &a->c[1].rc);
	replica_remove(a->r, &a->s[1].rs); /* no member: nothing */
	end_run(a, b, 1);
	assert_int_equal(end_status(b).sessions, 2);
	assert_int_equal(end_status(b).connections, 1);
	assert_int_equal(b->went, 1);
	assert_int_equal(end_status(a).sessions, 2);
}

static void
test_fresh_keys(void **state)
{
	struct end_session *s = &a->s[0];

	(void)state;
	in_sync(1);
	s->rs.open = KEYS_EVEN;
	replica_renew(a->r, &s->rs, true);
	end_carry(a, b);
	assert_int_equal(end_status(b).sessions, 0);
	assert_int_equal(s->gate.high, KEYS_ALL);
	end_run(a, b, 2);
	assert_int_equal(end_status(b).sessions, 1);
	assert_int_equal(s->rs.open, KEYS_ALL);
	assert_int_equal(s->gate.high, KEYS_NONE);
}

/* A session that ends while its record is being made, and one that changes. */
static void
test_ends_while_exported(void **state)
{
	(void)state;
	in_sync(0);
	a->lazy = true;
	end_add(a, 0);
	end_add(a, 1);
	loop_advance(loop, 0);
	assert_true(a->s[0].asked && a->s[1].asked);
	replica_remove(a->r, &a->s[0].rs);
	end_export(a, &a->s[0]); /* too late */
	replica_renew(a->r, &a->s[1].rs, false);
	end_export(a, &a->s[1]); /* out of date */
	end_run(a, b, 1);
	assert_int_equal(end_status(b).sessions, 0);
	assert_true(a->s[1].asked);
	end_export(a, &a->s[1]);
	end_run(a, b, 1);
	assert_int_equal(end_status(b).sessions, 1);
	assert_non_null(mirror_session(replica_mirror(b->r), 2));
}

/* The record of an exposed session raises its limit only when it is applied. */
static void
test_again_below_the_old_mark(void **state)
{
	struct end_session *s = &a->s[0];

	(void)state;
	in_sync(1);
	end_burst(a, s, 20);
	lose_stream();
	end_connect(a, b);
	end_carry(a, b);
	end_carry(b, a);
	loop_advance(loop, 0); /* the record leaves */
	assert_true(s->rs.on_stream);
	assert_int_equal(s->rs.ask.seq, 20 + 2 * REPLICA_AHEAD);
	assert_int_equal(end_burst(a, s, 1000), 2 * REPLICA_AHEAD - 20);
	end_run(a, b, 1);
	assert_true(end_burst(a, s, 1000) > 0);
}

static void
test_paced(void **state)
{
	unsigned most = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		end_add(a, i);
	end_connect(a, b);
	for (unsigned i = 0; i < 100 && end_status(a).state != REPLICA_IN_SYNC; i++) {
		unsigned before = a->exports;

		end_carry(a, b);
		end_carry(b, a);
		loop_advance(loop, 0);
		most = a->exports - before > most ? a->exports - before : most;
		/* A session ends, one comes: the snapshot is not confused. */
		if (i == 3) {
			replica_remove(a->r, &a->s[999].rs);
			replica_remove(a->r, &a->s[0].rs);
			end_add(a, 1000);
		}
	}
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_in_range(most, 32, 256);
	assert_int_equal(end_status(b).sessions, 999);
	assert_int_equal(end_status(a).at_risk, 0);
}

/* Marks are answered while a snapshot goes on. */
static void
test_marks_during_a_snapshot(void **state)
{
	struct end_session *s;

	(void)state;
	in_sync(1);
	for (unsigned i = 1; i < 1000; i++)
		end_add(a, i);
	s = &a->s[0];
	loop_advance(loop, 0);
	assert_int_equal(end_burst(a, s, REPLICA_AHEAD + 1), REPLICA_AHEAD + 1);
	loop_advance(loop, 0);
	end_carry(a, b);
	end_carry(b, a);
	assert_true(end_status(a).at_risk > 500);
	assert_int_equal(s->gate.mark_seq, 3 * REPLICA_AHEAD + 1);
}

static void
test_solo(void **state)
{
	uint64_t n;

	(void)state;
	in_sync(2);
	lose_stream();
	n = end_status(a).cut;
	assert_int_equal(end_burst(a, &a->s[0], 1000), 2 * REPLICA_AHEAD);
	assert_true(end_status(a).wants);
	assert_int_equal(replica_solo(a->r, n + 1), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(replica_stale(b->r, n, 4), -1); /* a lower epoch asks */
	assert_int_equal(errno, EPERM);
	assert_int_equal(replica_stale(b->r, 3, 5), -1); /* not our copy's stream */
	assert_int_equal(errno, ESTALE);
	assert_int_equal(replica_stale(b->r, n, 5), 0);
	assert_true(end_status(b).stale);
	assert_int_equal(end_status(b).stale_cut, n);
	assert_true(mirror_session(replica_mirror(b->r), 1)->stale);
	assert_int_equal(replica_solo(a->r, n), 0);
	assert_int_equal(replica_solo(a->r, n), 0);
	assert_int_equal(end_burst(a, &a->s[0], 1000), 1000);
	assert_int_equal(end_status(a).at_risk, 2);
	assert_int_equal(end_status(a).state, REPLICA_SOLO);
	/* A stale session is never continued. */
	replica_promote(b->r, 6);
	struct end_session t = {0};
	struct keygate g;
	assert_false(replica_adopt(b->r, &t.rs, mirror_session(replica_mirror(b->r), 1), &g));
}

/* The stream looks open to the active still; the consent says that it is not. */
static void
test_solo_before_the_end_is_seen(void **state)
{
	(void)state;
	in_sync(1);
	uint64_t n = end_status(a).cut;

	assert_int_equal(replica_stale(b->r, n, 5), 0);
	assert_int_equal(replica_solo(a->r, n), 0);
	assert_int_equal(end_status(a).state, REPLICA_SOLO);
	assert_int_equal(a->hung_up, 1);
	end_connect(a, b);
	end_run(a, b, 3);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
	assert_false(end_status(b).stale);
	assert_int_equal(replica_solo(a->r, n), -1); /* an old consent */
}

static void
test_who_may_not_consent(void **state)
{
	(void)state;
	in_sync(1);
	uint64_t n = end_status(a).cut;

	assert_int_equal(replica_stale(a->r, n, 5), -1);
	assert_int_equal(errno, EPERM);
	end_free(b);
	b = end_new(loop, "gw2", 9); /* restarted: it cannot know what it did */
	assert_int_equal(replica_stale(b->r, n, 5), -1);
	assert_int_equal(errno, ESTALE);
}

static void
silent(void)
{
	lose_stream();
	assert_int_equal(replica_silent(a->r, end_status(a).cut + 1), -1);
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	assert_int_equal(end_status(a).state, REPLICA_SILENT);
}

static void
test_silent_then_clean(void **state)
{
	struct end_session *s = &a->s[0], *fresh;

	(void)state;
	in_sync(1);
	silent();
	fresh = end_add(a, 1);
	assert_int_equal(end_burst(a, fresh, 500), 500);
	assert_int_equal(end_burst(a, s, 2 * REPLICA_AHEAD), 2 * REPLICA_AHEAD);
	assert_int_equal(s->tx.index, 2 * REPLICA_AHEAD); /* below the mark: every key */
	assert_int_equal(end_burst(a, s, 100), 100);
	assert_int_equal(s->tx.index, 2 * REPLICA_AHEAD + 200 - 1); /* above: even ones */
	replica_pair(b->r, true, 5);
	end_connect(a, b);
	end_carry(a, b);
	end_carry(b, a);
	loop_advance(loop, 0);
	/* Until the new record is applied the old copy may be continued with odd keys. */
	assert_int_equal(s->gate.low, KEYS_EVEN);
	end_run(a, b, 2);
	assert_int_equal(s->rs.open, KEYS_ALL);
	assert_int_equal(s->gate.low, KEYS_ALL);
	assert_int_equal(mirror_session(replica_mirror(b->r), 1)->mark.open, KEYS_ALL);
}

/* A new engine: what it was before, it can only prove by its disk. */
static void
back_as(bool clean, uint64_t epoch)
{
	static uint32_t boot_id = 100;

	end_free(b);
	b = end_new(loop, "gw2", ++boot_id);
	replica_demote(b->r, 0);
	replica_pair(b->r, clean, epoch);
	end_connect(a, b);
	end_run(a, b, 3);
}

static void
test_silent_then_unclean(void **state)
{
	struct end_session *s = &a->s[0];

	(void)state;
	in_sync(1);
	silent();
	end_burst(a, s, 300);
	end_add(a, 1);
	back_as(true, 4); /* clean, but not for our epoch */
	assert_int_equal(s->rs.open, KEYS_EVEN);
	assert_int_equal(a->s[1].rs.open, KEYS_ALL); /* it was never exposed */
	assert_int_equal(
	    end_status(a).at_risk, 1); /* odd is closed: no promotion goes on with it */
	assert_int_equal(s->gate.low, KEYS_EVEN);
	/* One class: a mark covers twice as many keys. */
	assert_int_equal(s->gate.mark_index, s->tx.index + 4 * REPLICA_AHEAD);
	assert_int_equal(end_burst(a, s, 100), 100);
	lose_stream();
	back_as(true, 5); /* a closed class stays closed */
	assert_int_equal(s->rs.open, KEYS_EVEN);
	/* What has one class only has no other to continue with. */
	lose_stream();
	end_burst(a, s, 1000);
	replica_promote(b->r, 6);
	struct end_session t = {0};
	struct keygate g;
	assert_false(replica_adopt(b->r, &t.rs, mirror_session(replica_mirror(b->r), 1), &g));
	assert_true(replica_adopt(b->r, &t.rs, mirror_session(replica_mirror(b->r), 2), &g));
	replica_remove(b->r, &t.rs);
}

/* A cut without silence: whoever comes back may have been promoted meanwhile. */
static void
test_cut_then_unclean(void **state)
{
	(void)state;
	in_sync(1);
	lose_stream();
	back_as(false, 0);
	assert_int_equal(a->s[0].rs.open, KEYS_EVEN);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
}

/* The same engine: it was never promoted, or it would be above us. */
static void
test_cut_then_the_same(void **state)
{
	(void)state;
	in_sync(1);
	lose_stream();
	end_connect(a, b);
	end_run(a, b, 3);
	assert_int_equal(a->s[0].rs.open, KEYS_ALL);
}

/* The same engine, but it served meanwhile; our epoch was raised above its own before we meet. */
static void
test_cut_then_the_same_was_active(void **state)
{
	(void)state;
	in_sync(1);
	lose_stream();
	replica_promote(b->r, 2);
	replica_demote(b->r, 2);
	replica_promote(a->r, 3);
	end_connect(a, b);
	end_run(a, b, 3);
	assert_int_equal(a->s[0].rs.open, KEYS_EVEN);
}

static void
test_silent_without_a_class(void **state)
{
	(void)state;
	in_sync(3);
	a->s[0].rs.open = a->s[1].rs.open = KEYS_ODD;
	lose_stream();
	end_burst(a, &a->s[0], 1000);
	assert_int_equal(replica_silent(a->r, end_status(a).cut), 0);
	loop_advance(loop, 0);
	assert_true(a->s[0].spent); /* short of numbers, and nobody will promise more */
	assert_false(a->s[1].spent || a->s[2].spent);
	end_burst(a, &a->s[1], REPLICA_AHEAD);
	loop_advance(loop, 0);
	assert_false(a->s[1].spent);
	end_burst(a, &a->s[1], 1000);
	loop_advance(loop, 0);
	assert_true(a->s[1].spent);
	assert_int_equal(end_burst(a, &a->s[2], 1000), 1000);
}

static void
test_spent(void **state)
{
	(void)state;
	in_sync(2);
	a->s[0].rs.open = KEYS_ODD;
	lose_stream();
	back_as(false, 0);
	assert_true(a->s[0].spent);
	assert_false(a->s[1].spent);
	assert_int_equal(end_status(b).sessions, 1);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
}

/* b takes over from a, which comes back as its standby. */
static struct end_session *
promoted(void)
{
	const struct mirror_session *m;
	struct end_session *s = &b->s[0];
	struct session_record r;

	in_sync(2);
	end_burst(a, &a->s[0], 10);
	replica_promote(b->r, 6);
	m = mirror_session(replica_mirror(b->r), 1);
	assert_int_equal(mirror_session_record(m, &r), 0);
	assert_true(replica_adopt(b->r, &s->rs, m, &s->gate));
	s->next = r.call.tx_seq;
	memcpy(s->tx.master, r.mppe_tx.master, 16);
	memcpy(s->tx.session, r.mppe_tx.session, 16);
	s->tx.index = r.mppe_tx.index;
	replica_continued(b->r);
	assert_int_equal(b->went, 1); /* the other one, which nobody adopted */
	assert_int_equal(s->next, 2 * REPLICA_AHEAD);
	assert_int_equal(end_burst(b, s, 50), 50);
	assert_int_equal(s->tx.index, 2 * REPLICA_AHEAD + 100);
	assert_int_equal(end_status(b).state, REPLICA_ALONE);
	return s;
}

static void
test_promotion_tells_the_other(void **state)
{
	(void)state;
	promoted();
	assert_false(b->open);
	end_carry(b, a); /* one frame with the new epoch, then the end */
	assert_int_equal(a->yielded, 6);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	replica_demote(a->r, 6);
	replica_demote(a->r, 6);
	assert_int_equal(end_status(a).state, REPLICA_STANDBY);
	assert_int_equal(end_status(a).sessions, 0);
	assert_false(a->s[0].rs.member);
}

static void
test_promoted_meets_clean(void **state)
{
	struct end_session *s = promoted();

	(void)state;
	replica_demote(a->r, 6);
	replica_pair(a->r, true, 5);
	end_connect(b, a);
	end_run(b, a, 3);
	assert_int_equal(s->rs.open, KEYS_ALL);
	assert_int_equal(s->gate.low, KEYS_ALL);
	assert_true(end_status(a).in_step);
}

static void
test_promoted_meets_unclean(void **state)
{
	struct end_session *s = promoted();

	(void)state;
	replica_demote(a->r, 6);
	replica_report_forget(a->r); /* an engine that knows no more of them */
	replica_pair(a->r, true, 4); /* not for the epoch in which it had these sessions */
	end_connect(b, a);
	end_run(b, a, 3);
	assert_int_equal(s->rs.open, KEYS_ODD);
	assert_int_equal(mirror_session(replica_mirror(a->r), 1)->mark.open, KEYS_ODD);
	/* And back: odd keys from the mark on. */
	replica_promote(a->r, 7);
	assert_true(replica_adopt(
	    a->r, &a->s[2].rs, mirror_session(replica_mirror(a->r), 1), &a->s[2].gate));
	assert_int_equal(a->s[2].gate.low, KEYS_ODD);
	/* Even is closed: silence would give it nothing. */
	end_carry(a, b);
	assert_int_equal(replica_silent(b->r, end_status(b).cut), 0);
	assert_int_equal(s->gate.high, KEYS_NONE);
}

/* ---- who meets whom ---- */

static void
test_two_actives(void **state)
{
	(void)state;
	replica_promote(b->r, 6);
	end_connect(a, b);
	end_run(a, b, 1);
	assert_int_equal(a->yielded, 6);
	assert_int_equal(b->yielded, 0);
	assert_false(a->open || b->open);
	replica_promote(a->r, 6); /* equal: the name that sorts first */
	a->yielded = 0;
	end_connect(a, b);
	end_run(a, b, 1);
	assert_int_equal(a->yielded, 0);
	assert_int_equal(b->yielded, 6);
}

static void
test_two_standbys(void **state)
{
	(void)state;
	replica_demote(a->r, 5);
	end_connect(a, b);
	end_run(a, b, 2000);
	assert_true(a->open && b->open);
	assert_false(end_status(a).in_step || end_status(b).in_step);
	assert_int_equal(end_status(b).epoch, 5);
	/* One is promoted: the stream ends, the next one serves. */
	replica_promote(b->r, 6);
	end_run(a, b, 1);
	assert_false(a->open);
	assert_int_equal(end_status(a).epoch, 6);
	end_connect(a, b);
	end_run(a, b, 2);
	assert_int_equal(end_status(b).state, REPLICA_IN_SYNC);
}

static void
test_a_standby_knows_better(void **state)
{
	(void)state;
	replica_demote(b->r, 9);
	end_connect(a, b);
	end_run(a, b, 1);
	assert_int_equal(a->yielded, 9);
	assert_int_equal(end_status(b).sessions, 0);
	assert_int_equal(end_status(b).epoch, 9);
}

static void
test_beats_and_silence(void **state)
{
	(void)state;
	in_sync(1);
	end_run(a, b, 3000);
	assert_true(a->open && b->open);
	for (unsigned ms = 0; ms < REPLICA_SILENT_MS - REPLICA_BEAT_MS - 20; ms++)
		loop_advance(loop, 1); /* nothing is carried */
	assert_true(a->open && b->open);
	for (unsigned ms = 0; ms < 2 * REPLICA_BEAT_MS + 20; ms++)
		loop_advance(loop, 1);
	assert_false(a->open || b->open);
	assert_int_equal(end_status(a).state, REPLICA_CUT);
	assert_non_null(strstr(a->why, "nothing heard"));
	assert_int_equal(end_status(b).sessions, 1); /* it stays good for a promotion */
	assert_false(end_status(b).in_step);
}

/* It beats, but nothing of ours gets through. */
static void
test_stuck(void **state)
{
	unsigned ms;

	(void)state;
	in_sync(1);
	end_burst(a, &a->s[0], 2 * REPLICA_AHEAD);
	for (ms = 0; ms < 3000 && a->open; ms++) {
		loop_advance(loop, 1);
		if (b->open)
			end_carry(b, a);
		if (ms == 70)
			assert_true(end_status(a).wants);
		if (ms == 200)
			assert_in_range(end_status(a).lag_ms, 190, 210);
		b->r->heard_ms = loop_now_ms(loop); /* it hears us well enough */
	}
	assert_in_range(ms, REPLICA_STUCK_MS - 50, REPLICA_STUCK_MS + 100);
	assert_non_null(strstr(a->why, "nothing applied"));
	assert_int_equal(end_status(a).state, REPLICA_CUT);
}

static void
test_out_of_memory(void **state)
{
	(void)state;
	replica_limit_copy(b->r, 30000);
	for (unsigned i = 0; i < 100; i++)
		end_add(a, i);
	end_connect(a, b);
	end_run(a, b, 3);
	assert_false(a->open || b->open);
	assert_true(end_status(b).failed && !end_status(b).in_step);
	assert_int_equal(end_status(b).sessions, 0);
	assert_true(end_status(a).failed);
	assert_int_equal(end_status(a).state, REPLICA_ALONE);
	assert_int_equal(end_status(a).at_risk, 100);
	assert_int_equal(end_burst(a, &a->s[0], 1000), 1000); /* nobody holds it */
	replica_limit_copy(b->r, 0);
	end_connect(a, b);
	end_run(a, b, 5);
	assert_false(end_status(a).failed || end_status(b).failed);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
}

/* ---- bad input ---- */

static struct wr
frame(uint8_t buf[static 4096], uint16_t type, uint64_t epoch, uint64_t sequence)
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

/* e has hung up with one line that says this, and a serves on. */
static void
hung_up(struct end *e, const char *words)
{
	assert_false(e->open);
	assert_int_equal(e->hung_up, 1);
	assert_int_equal(e->spoken, 1);
	if (strstr(e->why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e->why, words);
	replica_input(e->r, (const uint8_t *)"more", 4); /* comes late: nothing */
	assert_int_equal(end_status(a).sessions, 2);
	assert_true(end_burst(a, &a->s[1], 1000) >= 2 * REPLICA_AHEAD - 1);
	if (e == b) {
		end_carry(b, a);
		assert_false(a->open);
	}
	/* The next stream is as good as the first. */
	end_connect(a, b);
	end_run(a, b, 5);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
}

static uint64_t
next_to(const struct end *e)
{
	return (e == a ? b->r->sent : a->r->sent) + 1;
}

struct bad {
	struct end **to;
	const char *words;
	void (*make)(struct end *e, uint8_t *buf);
};

static void
bad_length(struct end *e, uint8_t *buf)
{
	struct wr w = wr_init(buf, 4096);

	wr_u32(&w, REPLICA_LENGTH_MAX + 1);
	replica_input(e->r, buf, wr_len(&w));
}

static void
bad_short_length(struct end *e, uint8_t *buf)
{
	struct wr w = wr_init(buf, 4096);

	wr_u32(&w, REPLICA_LENGTH_MIN - 1);
	replica_input(e->r, buf, wr_len(&w));
}

static void
bad_type(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_TYPE_MAX, 5, next_to(e));

	feed(e, &w);
}

static void
bad_field(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_BEAT, 5, next_to(e));

	wr_u16(&w, 99);
	wr_u16(&w, 1); /* and nothing behind it */
	feed(e, &w);
}

static void
bad_gap(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_BEAT, 5, next_to(e) + 1);

	feed(e, &w);
}

static void
bad_repetition(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_BEAT, 5, next_to(e) - 1);

	feed(e, &w);
}

static void
bad_second_hello(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_HELLO, 5, next_to(e));

	replica_put_hello(
	    &w, &(struct replica_hello){.version_min = 1, .version_max = 1, .node = "x"});
	feed(e, &w);
}

static void
bad_lower_epoch(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, e == a ? REPLICA_APPLIED : REPLICA_BEAT, 4, next_to(e));

	if (e == a)
		replica_put_applied(&w, 1);
	feed(e, &w);
}

static void
bad_applied(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_APPLIED, 5, next_to(e));

	replica_put_applied(&w, a->r->sent + 1); /* never said */
	feed(e, &w);
}

static void
bad_applied_back(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_APPLIED, 5, next_to(e));

	replica_put_applied(&w, 0);
	feed(e, &w);
}

static void
bad_applied_empty(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_APPLIED, 5, next_to(e));

	feed(e, &w);
}

static void
bad_direction(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, e == a ? REPLICA_END : REPLICA_APPLIED, 5, next_to(e));

	replica_put_applied(&w, 1);
	feed(e, &w);
}

static void
bad_marks_count(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_MARKS, 5, next_to(e));
	uint8_t *at = replica_entries_begin(&w);

	wr_zero(&w, REPLICA_MARK_LEN + 1);
	replica_entries_end(&w, at);
	feed(e, &w);
}

static void
bad_mark_back(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_MARKS, 5, next_to(e));
	uint8_t *at = replica_entries_begin(&w);

	replica_put_mark(
	    &w, &(struct replica_marks_entry){.id = 1, .mark = {.seq = 1, .index = 1, .open = 3}});
	replica_entries_end(&w, at);
	feed(e, &w);
}

static void
bad_counters(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_COUNTERS, 5, next_to(e));
	uint8_t *at = replica_entries_begin(&w);

	replica_put_counters(&w, &(struct record_counters){.id = 1, .rx_index = 1ull << 50});
	replica_entries_end(&w, at);
	feed(e, &w);
}

static void
bad_record(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_SESSION, 5, next_to(e));

	wr_u16(&w, 7);
	wr_u16(&w, 4);
	wr_u32(&w, 0x00010005); /* version 1, five bytes that are not there */
	feed(e, &w);
}

static void
bad_record_version(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_CONNECTION, 5, next_to(e));

	wr_u16(&w, 7);
	wr_u16(&w, 4);
	wr_u32(&w, 0x00020000);
	feed(e, &w);
}

static void
bad_begin(struct end *e, uint8_t *buf)
{
	struct wr w = frame(buf, REPLICA_BEGIN, 5, next_to(e));

	feed(e, &w);
}

static void
test_bad_input(void **state)
{
	static const struct bad bads[] = {
	    {&a, "Bad message", bad_length},
	    {&b, "Bad message", bad_length},
	    {&b, "Bad message", bad_short_length},
	    {&a, "Protocol error", bad_type},
	    {&b, "Protocol error", bad_type},
	    {&a, "Bad message", bad_field},
	    {&b, "Bad message", bad_field},
	    {&a, "sequence", bad_gap},
	    {&b, "sequence", bad_gap},
	    {&a, "sequence", bad_repetition},
	    {&b, "sequence", bad_repetition},
	    {&a, "second hello", bad_second_hello},
	    {&b, "second hello", bad_second_hello},
	    {&a, "epoch 4, below ours, 5", bad_lower_epoch},
	    {&b, "epoch 4, below ours, 5", bad_lower_epoch},
	    {&a, "applied: frame", bad_applied},
	    {&a, "applied: frame", bad_applied_back},
	    {&a, "applied: Bad message", bad_applied_empty},
	    {&a, "end from a standby", bad_direction},
	    {&b, "applied: Protocol error", bad_direction},
	    {&b, "marks: Bad message", bad_marks_count},
	    {&b, "marks: Protocol error", bad_mark_back},
	    {&b, "counters: Protocol error", bad_counters},
	    {&b, "session: Bad message", bad_record},
	    {&b, "connection: Protocol error", bad_record_version},
	    {&b, "begin: Bad message", bad_begin},
	};
	uint8_t buf[4096];

	for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
		if (i > 0) {
			teardown(state);
			setup(state);
		}
		in_sync(2);
		bads[i].make(*bads[i].to, buf);
		hung_up(*bads[i].to, bads[i].words);
	}
}

static void
first_frame(struct end *e, const struct replica_hello *h, const char *words)
{
	uint8_t buf[4096];
	struct wr w = frame(buf, REPLICA_HELLO, 5, 1);

	end_connect(a, b);
	e->hung_up = 0;
	replica_put_hello(&w, h);
	feed(e, &w);
	assert_int_equal(e->hung_up, 1);
	assert_non_null(strstr(e->why, words));
	lose_stream();
}

static void
test_bad_hello(void **state)
{
	struct replica_hello h = {.version_min = 1, .version_max = 1, .node = "gw9"};
	uint8_t buf[4096];
	struct wr w;

	(void)state;
	h.version_min = h.version_max = REPLICA_VERSION + 1;
	first_frame(a, &h, "speaks versions 3 to 3, we speak 1 to 2");
	h.version_min = 4;
	first_frame(a, &h, "Protocol error");
	h = (struct replica_hello){.version_min = 1, .version_max = 1, .node = "g\nw"};
	first_frame(b, &h, "Protocol error");
	h.node[0] = '\0';
	first_frame(b, &h, "Bad message");
	h = (struct replica_hello){
	    .version_min = 1, .version_max = 9, .node = "gw1", .active = true};
	replica_demote(b->r, 6);
	first_frame(b, &h, "hello of epoch 5, below ours, 6");
	end_connect(a, b);
	w = frame(buf, REPLICA_BEAT, 5, 1);
	a->hung_up = 0;
	feed(a, &w);
	assert_int_equal(a->hung_up, 1);
	assert_non_null(strstr(a->why, "before hello"));
}

/* Whatever the network cuts the bytes into, and wherever it ends. */
static void
test_every_piece(void **state)
{
	uint8_t bytes[8192];
	size_t len;

	(void)state;
	in_sync(2);
	lose_stream();
	end_connect(a, b);
	end_carry(a, b);
	end_carry(b, a);
	loop_advance(loop, 0);
	len = a->out_len;
	assert_in_range(len, 500, sizeof bytes);
	memcpy(bytes, a->out, len);
	for (size_t i = 0; i < len; i++)
		replica_input(b->r, bytes + i, 1);
	assert_true(end_status(b).in_step || b->open);
	assert_int_equal(b->hung_up, 0);
	assert_int_equal(end_status(b).sessions, 2);
	a->out_len = 0;
	end_run(a, b, 1);
	assert_int_equal(end_status(a).state, REPLICA_IN_SYNC);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_snapshot),
	    TEST(test_exposed_by_its_record),
	    TEST(test_mark_is_awaited),
	    TEST(test_marks_travel_together),
	    TEST(test_fast_sessions_get_more),
	    TEST(test_output_waits),
	    TEST(test_output_does_not_starve),
	    TEST(test_output_in_a_cut),
	    TEST(test_counters),
	    TEST(test_keys_are_not_left_behind),
	    TEST(test_gone),
	    TEST(test_fresh_keys),
	    TEST(test_ends_while_exported),
	    TEST(test_again_below_the_old_mark),
	    TEST(test_paced),
	    TEST(test_marks_during_a_snapshot),
	    TEST(test_solo),
	    TEST(test_solo_before_the_end_is_seen),
	    TEST(test_who_may_not_consent),
	    TEST(test_silent_then_clean),
	    TEST(test_silent_then_unclean),
	    TEST(test_cut_then_unclean),
	    TEST(test_cut_then_the_same),
	    TEST(test_cut_then_the_same_was_active),
	    TEST(test_silent_without_a_class),
	    TEST(test_spent),
	    TEST(test_promotion_tells_the_other),
	    TEST(test_promoted_meets_clean),
	    TEST(test_promoted_meets_unclean),
	    TEST(test_two_actives),
	    TEST(test_two_standbys),
	    TEST(test_a_standby_knows_better),
	    TEST(test_beats_and_silence),
	    TEST(test_stuck),
	    TEST(test_out_of_memory),
	    TEST(test_bad_input),
	    TEST(test_bad_hello),
	    TEST(test_every_piece),
	};

	log_init("test", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
