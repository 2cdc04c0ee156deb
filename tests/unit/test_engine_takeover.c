/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines on the virtual clock: what becomes of the sessions of one at the other, when it is
 * gone, or told to go.
 */
#include "tests/unit/engine_pair.h"

static void
count_cb(void *arg, int err)
{
	assert_int_equal(err, 0);
	++*(unsigned *)arg;
}

/* ---- tests ---- */

static void
test_a_session_goes_on(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *old = session_at(&gw[0], c), *s;
	struct record_identity identity = old->identity;
	uint64_t id = old->id, began = old->started_ms;
	uint32_t address = old->address, sent;
	unsigned answered = 0;

	in_step();
	assert_int_equal(gw[1].call_adds, 1);
	assert_int_equal(gw[1].route_adds, 1);
	assert_int_equal(gw[1].served, 0);
	assert_int_equal(pool_used(gw[1].e.pool), 1);
	sent = c->dp->st.tx_seq;
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	run(20);
	assert_int_equal(answered, 1);
	assert_true(gw[1].listening);
	s = session_at(&gw[1], c);
	assert_non_null(s);
	assert_true(s->up);
	assert_true(s->id == id);
	assert_int_equal(s->address, address);
	assert_true(pool_owner(gw[1].e.pool, address) == s);
	assert_memory_equal(&s->identity, &identity, sizeof identity);
	assert_in_range(s->started_ms, began - 2000, began + 2000);
	assert_int_equal(s->peer_call_id, 7);
	/* nothing was taken down and put up again; the address is served from now on */
	assert_int_equal(gw[1].call_adds, 1);
	assert_int_equal(gw[1].call_dels, 0);
	assert_int_equal(gw[1].route_dels, 0);
	assert_int_equal(gw[1].served, 1);
	/* at the mark, odd keys only, the link as it was; it spoke first and was answered */
	assert_non_null(c->dp);
	assert_true(c->dp->up);
	assert_in_range(c->dp->c.state == NULL ? 0 : c->dp->st.tx_seq, sent, sent + 200);
	assert_int_equal(c->dp->st.gate.high, KEYS_ODD);
	assert_int_equal(c->dp->st.tx.index % 2, 1);
	run(1100);
	assert_in_range(c->echoes, 1, 2);
	assert_true(c->up);
	/* the control connection too */
	assert_int_equal(gw[1].restores, 1);
	assert_int_equal(gw[1].e.restoring, 0);
	say(&gw[1], c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 77});
	run(400);
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
}

static void
test_many_in_slices(void **state)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < 300; i++)
		dial(&gw[0]);
	run(20);
	assert_int_equal(gw[0].e.stats.sessions_up, 300);
	in_step();
	run(500);
	assert_int_equal(status_of(1).sessions, 300);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	assert_int_equal(answered, 0); /* it would have blocked the loop */
	assert_true(takeover_restoring(&gw[1].e) > 0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	run(5);
	assert_int_equal(answered, 2);
	assert_int_equal(gw[1].e.n_sessions, 300);
	run(1200);
	for (unsigned i = 0; i < n_clients; i++) {
		assert_in_range(clients[i].echoes, 1, 2);
		assert_true(clients[i].up);
	}
	assert_int_equal(gw[1].e.n_ctrls, 300);
	assert_int_equal(gw[1].call_dels, 0);
}

static bool
reset_is_acked(const struct client *c, uint8_t id)
{
	for (const struct frame *f = c->to_client; f != NULL; f = f->next)
		if (f->protocol == PPP_CCP && f->len == 4 && f->bytes[0] == 15 && f->bytes[1] == id)
			return true;
	return false;
}

/*
 * A Linux client that could not decrypt is deaf until its Reset-Request is answered: whoever goes
 * on already does not wait for the rest of the takeover.
 */
static void
test_reset_is_answered_between_slices(void **state)
{
	static const uint8_t request[] = {14, 77, 0, 4};
	unsigned asked = 0, answered = 0;

	for (unsigned i = 0; i < 300; i++)
		dial(&gw[0]);
	run(20);
	in_step();
	run(500);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	for (unsigned i = 0; i < n_clients; i++) {
		if (session_at(&gw[1], &clients[i]) == NULL)
			continue;
		asked++;
		put_frame(&clients[i].to_gateway, 0, PPP_CCP, request, sizeof request);
		assert_true(travel(&clients[i]));
		assert_true(reset_is_acked(&clients[i], 77));
	}
	assert_in_range(asked, 1, 299);
	assert_true(gw[1].e.takeover->busy);
	assert_int_equal(answered, 0);
	run(5);
	assert_int_equal(answered, 1);
	assert_int_equal(gw[1].e.n_sessions, 300);
}

/* It sends and receives: its standby hears of that within a second. */
static void
traffic(struct client *c)
{
	c->dp->st.tx_seq += 10;
	mppe_step(&c->dp->st.tx, c->dp->st.tx.index + 10);
	c->dp->st.rx_seq += 3000;
	mppe_step(&c->dp->st.rx, c->dp->st.rx.index + 3000);
}

/* Those with traffic go on first: they speak at once, and fill their jump for a client that waits
 * for missing numbers. The idle ones do neither. */
static void
test_the_busy_first(void **state)
{
	struct client *idle, *was_busy_once, *busy, *patient;
	struct dp_session *order[4];
	unsigned n = 0;

	busy = up_client(&gw[0]);
	idle = up_client(&gw[0]);
	was_busy_once = up_client(&gw[0]);
	patient = up_client(&gw[0]);
	session_at(&gw[0], idle)->ctrl->buffers_gaps = true;
	session_at(&gw[0], busy)->ctrl->buffers_gaps = true;
	in_step();
	traffic(was_busy_once);
	run(3000);
	traffic(busy);
	traffic(patient);
	run(1100);
	power_off(0);
	loop_advance(the_loop, 5000); /* however long it took to notice */
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	for (struct dp_session *d = dps; d != NULL; d = d->next) /* the newest first */
		if (d->gw == &gw[1])
			order[n++] = d;
	assert_int_equal(n, 4);
	for (unsigned i = 2; i < 4; i++)
		assert_true(order[i]->client == busy || order[i]->client == patient);
	assert_in_range(busy->dp->st.tx_seq - busy->dp->c.fill_from, 64, FILL_MAX);
	assert_int_equal(
	    patient->dp->st.tx_seq - patient->dp->c.fill_from, 1); /* its Echo-Request */
	assert_int_equal(idle->dp->c.fill_from, idle->dp->st.tx_seq);
	assert_int_equal(gw[1].served, 2);
	run(1200);
	assert_int_equal(gw[1].served, 4);
	assert_int_equal(busy->dp->st.rx.index, 3000);
}

static void
test_demotion_says_nothing(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	assert_int_equal(engine_demote(&gw[0].e, 1, NULL, NULL), 0);
	assert_true(gw[0].frozen && gw[0].dozing && gw[1].dozing);
	run(50);
	assert_int_equal(hear(c).type, 255); /* closed: the stand-in's silent close */
	assert_int_equal(gw[0].silent_closes, 1);
	assert_int_equal(gw[0].told, 0);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].e.n_held, 0);
	assert_int_equal(pool_used(gw[0].e.pool), 0);
	assert_int_equal(gw[0].call_dels, 1);
	assert_int_equal(status_of(1).sessions, 1); /* the copy is not told that it went */
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(50);
	assert_int_equal(gw[1].e.n_sessions, 1);
	assert_true(gw[0].dozing && !gw[1].dozing);
	join_streams();
	run(200);
	assert_int_equal(status_of(1).state, REPLICA_IN_SYNC);
	assert_int_equal(status_of(0).sessions, 1);
	assert_int_equal(pool_used(gw[0].e.pool), 1);
	assert_int_equal(gw[0].call_adds, 2);
	power_off(1); /* and back */
	assert_int_equal(engine_promote(&gw[0].e, 3, NULL, NULL), 0);
	run(50);
	assert_int_equal(gw[0].e.n_sessions, 1);
	assert_true(session_at(&gw[0], c)->up);
}

static void
test_the_end_with_and_without_a_standby(void **state)
{
	struct client *c = up_client(&gw[0]), *d;

	in_step();
	stop_serving(&gw[1].e); /* a standby: not a word, and its copy is of no concern */
	assert_int_equal(gw[1].told, 0);
	stop_serving(&gw[0].e);
	assert_true(gw[0].frozen);
	run(10);
	assert_int_equal(hear(c).type, 255);
	assert_int_equal(gw[0].silent_closes, 1);
	teardown(NULL);
	setup(NULL);
	d = up_client(&gw[0]);
	stop_serving(&gw[0].e);
	assert_false(gw[0].frozen);
	assert_int_equal(hear(d).type, PPTP_CDN);
	assert_int_equal(hear(d).type, PPTP_STOP_RQ);
}

static void
test_the_lower_epoch_yields(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	cut_stream(0);
	cut_stream(1);
	assert_int_equal(engine_promote(&gw[1].e, 5, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[1].e.n_sessions, 1);
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	join_streams();
	run(1);
	assert_int_equal(gw[0].e.role, ROLE_STANDBY);
	assert_true(gw[0].frozen);
	assert_true(takeover_yielded(&gw[0].e) == 5);
	run(50);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_false(gw[0].listening);
	assert_int_equal(gw[0].told, 0);
	assert_int_equal(gw[1].e.role, ROLE_ACTIVE);
	assert_true(c->dp != NULL && c->dp->gw == &gw[1]);
	/* a promotion below what it has heard of is refused, at the same it is the lower name's */
	assert_int_equal(engine_promote(&gw[0].e, 4, NULL, NULL), -1);
	assert_int_equal(errno, ESTALE);
}

/* It is ordered back in the turn in which it yields: nothing of its own comes back. */
static void
test_promoted_while_it_yields(void **state)
{
	unsigned answered = 0;

	up_client(&gw[0]);
	op_yield(&gw[0].e, 7);
	assert_true(gw[0].frozen);
	assert_int_equal(engine_promote(&gw[0].e, 8, count_cb, &answered), 0);
	run(20);
	assert_int_equal(answered, 1);
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].e.n_held, 0);
	assert_int_equal(gw[0].told, 0);
	assert_false(gw[0].frozen);
	up_client(&gw[0]);
}

/* New keys: what the standby holds is of no use until the link is up again. */
static void
test_renegotiation(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *s = session_at(&gw[0], c);
	struct session_record r;

	in_step();
	assert_true(s->replica.member);
	ppp_renegotiate(c->ppp);
	run(20);
	assert_true(c->up && s->up && s->replica.member);
	assert_int_equal(status_of(1).sessions, 1);
	assert_int_equal(
	    mirror_session_record(mirror_next_session(replica_mirror(gw[1].e.replica), NULL), &r),
	    0);
	assert_memory_equal(r.mppe_tx.master, c->dp->st.tx.master, 16);
	session_record_wipe(&r);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[1].e.n_sessions, 1);
}

/* The client ends its call: the copy goes with it. */
static void
test_the_end_of_a_call_reaches_the_copy(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	say(&gw[0], c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = 7});
	run(50);
	assert_int_equal(status_of(1).sessions, 0);
	assert_int_equal(gw[1].call_dels, 1);
	assert_int_equal(gw[1].route_dels, 1);
	assert_int_equal(pool_used(gw[1].e.pool), 0);
}

/* ---- in hand at crashes ---- */

static int
tell_crashes(unsigned i, uint64_t id, unsigned n)
{
	json_t *list = json_array();
	int rc;

	for (unsigned k = 0; k < n; k++)
		json_array_append_new(
		    list, json_pack("{s:I,s:s,s:s,s:[I]}", "at",
			      (json_int_t)wall_now_ms() - 60000 * (k + 1), "node",
			      k % 2 ? "gw2" : "gw1", "cause", "signal-11", "ids", (json_int_t)id));
	rc = suspects_tell(&gw[i].e, list);
	json_decref(list);
	return rc;
}

/* What was in hand at one crash goes on; at the second it is closed, and its client is told. */
static void
test_in_hand_at_two_crashes(void **state)
{
	struct client *c = up_client(&gw[0]), *other = up_client(&gw[0]);
	uint64_t id = session_at(&gw[0], c)->id;

	in_step();
	power_off(0);
	assert_int_equal(tell_crashes(1, id, 1), 0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(20);
	assert_true(session_at(&gw[1], c)->up);
	assert_int_equal(suspects_count(&gw[1].e, id), 1);
	assert_int_equal(hear(c).type, 0);
	assert_int_equal(tell_crashes(1, id, 2), 0);
	run(500);
	assert_int_equal(hear(c).type, PPTP_CDN);
	assert_null(session_at(&gw[1], c));
	assert_true(session_at(&gw[1], other)->up);
	assert_int_equal(hear(other).type, 0);
	assert_int_equal(gw[1].e.suspects.closed, 1);
	assert_int_equal(gw[1].e.stats.ended[END_SUSPECT], 1);
	assert_int_equal(tell_crashes(1, id, 2), 0); /* told again: nothing is left to do */
	assert_int_equal(gw[1].e.suspects.closed, 1);
	assert_int_equal(suspects_tell(&gw[1].e, NULL), -1);
	assert_int_equal(suspects_count(&gw[1].e, id), 2);
}

/* Known before the promotion: its client is told as soon as its connection has its socket. */
static void
test_closed_instead_of_continued(void **state)
{
	struct client *c = up_client(&gw[0]), *other = up_client(&gw[0]);
	uint64_t id = session_at(&gw[0], c)->id;

	in_step();
	assert_int_equal(tell_crashes(1, id, 2), 0);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(500);
	assert_int_equal(hear(c).type, PPTP_CDN);
	assert_null(session_at(&gw[1], c));
	assert_true(session_at(&gw[1], other)->up);
	assert_int_equal(gw[1].e.suspects.closed, 1);
}

/* A control connection that was in hand twice is not taken up again: its client dials anew. */
static void
test_connection_in_hand(void **state)
{
	struct client *c = up_client(&gw[0]), *other = up_client(&gw[0]);
	uint64_t id = session_at(&gw[0], c)->ctrl->id;

	in_step();
	assert_int_equal(tell_crashes(1, id, 2), 0);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(500);
	assert_null(session_at(&gw[1], c));
	assert_null(ctrl_of(&gw[1].e, 40000));
	assert_true(session_at(&gw[1], other)->up);
	assert_int_equal(gw[1].restores, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_session_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_in_hand_at_two_crashes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_instead_of_continued, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_connection_in_hand, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_in_slices, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reset_is_answered_between_slices, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_busy_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_demotion_says_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_end_with_and_without_a_standby, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_lower_epoch_yields, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_promoted_while_it_yields, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_renegotiation, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_end_of_a_call_reaches_the_copy, setup, teardown),
	};

	log_init("test", -1, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
