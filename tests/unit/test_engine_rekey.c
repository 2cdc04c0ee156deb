/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines on the virtual clock: sessions whose keys must not be used any more get new ones, and
 * clients of a stale copy are found where they stand.
 */
#include "tests/unit/engine_pair.h"

/* The standby's copy is stale; the active goes on alone, and dies. */
static void
promote_stale(void)
{
	assert_int_equal(replica_stale(gw[1].e.replica, status_of(0).cut, 1), 0);
	run(1);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
}

static void
assert_unkeyed(struct gateway *g, struct client *c)
{
	assert_true(rekey_unkeyed(session_at(g, c)));
	assert_false(session_at(g, c)->replica.member);
	assert_false(c->dp->st.armed || c->dp->up);
	assert_int_equal(c->dp->keyed, 0);
}

/* It is up with keys of its own, where it was before, and the next standby knows it. */
static void
assert_rekeyed(struct gateway *g, struct client *c, uint32_t address, uint64_t id)
{
	struct session *s = session_at(g, c);

	assert_non_null(s);
	assert_false(rekey_busy(s));
	assert_true(c->up && s->up && s->replica.member && c->dp->up && c->dp->st.armed);
	assert_int_equal(c->dp->keyed, 1);
	assert_int_equal(c->dp->st.gate.high, KEYS_ALL);
	assert_int_equal(s->address, address);
	assert_true(s->id == id);
	assert_true(pool_owner(g->e.pool, address) == s);
	assert_int_equal(rekey_waiting(&g->e), 0);
}

static void
test_stale_ones_are_rekeyed(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;
	uint8_t master[16];

	memcpy(master, c->dp->st.tx.master, sizeof master);
	c->window = 300;
	in_step();
	c->last += 5000; /* it heard so much of the one that went on alone, */
	promote_stale();
	assert_unkeyed(&gw[1], c); /* and says nothing by itself */
	assert_int_equal(gw[1].e.takeover->stale, 1);
	assert_int_equal(gw[1].e.stats.sessions_continued, 0);
	run(2000);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
	assert_memory_not_equal(c->dp->st.tx.master, master, sizeof master);
	assert_int_equal(gw[1].e.stats.rekeyed, 1);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 0);
	assert_int_equal(gw[1].call_dels + gw[1].route_dels, 0);
	assert_int_equal(gw[1].restores, 1);
	say(&gw[1], c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 77});
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
	/* the other one comes back: it can continue it again */
	assert_int_equal(engine_demote(&gw[0].e, 2, NULL, NULL), 0);
	in_step_as(1);
	power_off(1);
	assert_int_equal(engine_promote(&gw[0].e, 3, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[0].e.stats.sessions_continued, 1);
	assert_true(session_at(&gw[0], c)->up && c->dp->st.armed);
}

/* One that was busy is looked for as far at once as it can have come: no round is waited for. */
static void
test_a_busy_stale_client_is_found_at_once(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	c->window = 300;
	run(1000);
	c->dp->st.tx_packets = 10000;
	in_step();
	assert_int_equal(replica_stale(gw[1].e.replica, status_of(0).cut, 1), 0);
	run(1000);
	c->last += 12000;
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(300);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
}

/* Its own frame says where it stands: no search. */
static void
test_a_stale_client_says_where_it_stands(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;
	const uint8_t nothing[] = {11, 1, 0, 4};

	c->window = 300;
	in_step();
	c->last += 2000000000;
	c->ack_due = true;
	promote_stale();
	peer_send(c, PPP_LCP, nothing, sizeof nothing);
	run(50);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
}

/* Probes that it needed are lost: the search goes back to where it stands. */
static void
test_a_stale_client_misses_probes(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	c->window = 300;
	in_step();
	c->pass = 2;
	c->lose = 4;
	promote_stale();
	run(100);
	assert_unkeyed(&gw[1], c);
	assert_true(c->too_far > 0);
	run(900);
	assert_rekeyed(&gw[1], c, address, id);
}

/* What it acknowledged long ago does not say where it stands. */
static void
test_an_old_acknowledgement_is_not_believed(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	c->window = 300;
	in_step();
	c->last += 5000;
	promote_stale();
	c->dp->any_said_ack = true;
	c->dp->said_ack = c->last - 6000;
	run(2000);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
}

/* One that never acknowledges anything answers the probe that it took. */
static void
test_a_stale_client_never_acknowledges(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	c->acks = false;
	in_step();
	c->last += 100000;
	promote_stale();
	run(5000);
	assert_rekeyed(&gw[1], c, address, id);
}

static void
test_a_silent_stale_client_is_dropped(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	c->mute = true;
	promote_stale();
	run(29900);
	assert_unkeyed(&gw[1], c);
	run(200);
	assert_int_equal(gw[1].e.n_sessions, 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 1);
	assert_int_equal(gw[1].e.stats.ended[END_STALE], 1);
	assert_int_equal(gw[1].call_dels, 1);
	assert_int_equal(gw[1].route_dels, 1);
	assert_int_equal(pool_used(gw[1].e.pool), 0);
	assert_int_equal(hear(c).type, PPTP_CDN);
}

/* A client that cannot log in any more learns it, as at any login. */
static void
test_a_stale_client_is_refused(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	c->config.password = "another";
	promote_stale();
	run(3100);
	assert_int_equal(c->dp == NULL ? 0 : c->dp->keyed, 0);
	run(4000);
	assert_int_equal(gw[1].e.n_sessions, 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 1);
	assert_int_equal(gw[1].e.stats.ended[PPP_CAUSE_AUTH_FAILED], 1);
	assert_int_equal(hear(c).type, PPTP_CDN);
}

/* Nobody consented, and nobody says that its active lived on. */
static void
test_one_that_has_just_died_is_believed(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	run(20);
	takeover_judge_copy(&gw[1].e, 2000);
	power_off(0);
	run(2100);
	takeover_judge_copy(&gw[1].e, 3000);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	assert_int_equal(gw[1].e.takeover->stale, 0);
	assert_int_equal(gw[1].e.takeover->continued, 1);
	assert_non_null(session_at(&gw[1], c));
}

static void
test_an_active_that_lived_on_leaves_a_stale_copy(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	power_off(0);
	run(2100);
	takeover_judge_copy(&gw[1].e, 2000);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	assert_unkeyed(&gw[1], c);
	assert_int_equal(gw[1].e.takeover->stale, 1);
}

/* Not stale, but somebody may have used its odd keys. */
static void
test_closed_keys_are_replaced(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	session_at(&gw[0], c)->replica.open = KEYS_EVEN;
	in_step();
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	assert_unkeyed(&gw[1], c);
	assert_int_equal(gw[1].e.takeover->spent, 1);
	run(50);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(session_at(&gw[1], c)->replica.open, KEYS_ALL);
}

/* It serves, and the last class of its keys is closed. */
static void
test_a_spent_session_is_rekeyed(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *s = session_at(&gw[0], c);
	uint8_t master[16];

	in_step();
	memcpy(master, c->dp->st.tx.master, sizeof master);
	takeover_ops.spent(&gw[0].e, &s->replica);
	loop_advance(the_loop, 0);
	assert_true(rekey_unkeyed(s));
	assert_false(c->dp->st.armed || s->replica.member);
	run(50);
	assert_true(c->up && s->up && c->dp->up && c->dp->st.armed && s->replica.member);
	assert_memory_not_equal(c->dp->st.tx.master, master, sizeof master);
	assert_int_equal(gw[0].e.stats.rekeyed, 1);
	assert_int_equal(status_of(1).sessions, 1);
	assert_int_equal(status_of(0).at_risk, 0);
}

/* Many: none waits for long, and a demotion in the middle drops none. */
static void
test_many_are_rekeyed(void **state)
{
	for (unsigned i = 0; i < 300; i++) {
		dial(&gw[0]);
		clients[i].window = 300;
	}
	run(20);
	in_step();
	run(500);
	for (unsigned i = 0; i < n_clients; i++)
		clients[i].last += i * 100;
	promote_stale();
	run(100);
	assert_in_range(rekey_waiting(&gw[1].e), 1, 300);
	run(5000);
	assert_int_equal(gw[1].e.stats.rekeyed, 300);
	for (unsigned i = 0; i < n_clients; i++)
		assert_true(clients[i].up && clients[i].dp->st.armed && clients[i].too_far == 0);
	for (unsigned i = 0; i < n_clients; i++)
		takeover_ops.spent(&gw[1].e, &session_at(&gw[1], &clients[i])->replica);
	loop_advance(the_loop, 0);
	assert_int_equal(rekey_waiting(&gw[1].e), 300);
	assert_int_equal(engine_demote(&gw[1].e, 3, NULL, NULL), 0);
	assert_int_equal(rekey_waiting(&gw[1].e), 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(test_stale_ones_are_rekeyed),
	    ROW(test_a_busy_stale_client_is_found_at_once),
	    ROW(test_a_stale_client_says_where_it_stands),
	    ROW(test_a_stale_client_misses_probes),
	    ROW(test_an_old_acknowledgement_is_not_believed),
	    ROW(test_a_stale_client_never_acknowledges),
	    ROW(test_a_silent_stale_client_is_dropped),
	    ROW(test_a_stale_client_is_refused),
	    ROW(test_one_that_has_just_died_is_believed),
	    ROW(test_an_active_that_lived_on_leaves_a_stale_copy),
	    ROW(test_closed_keys_are_replaced),
	    ROW(test_a_spent_session_is_rekeyed),
	    ROW(test_many_are_rekeyed),
	};

	log_init("test", -1, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
