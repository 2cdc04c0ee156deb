/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A planned move between two engines: nothing is missing in what a client receives, nothing that it
 * says is lost, on whichever gateway it arrives; and what becomes of it all when the move fails.
 */
#include "tests/unit/engine_pair.h"

struct outcome {
	unsigned answers;
	enum handover_result result;
	char why[100];
};

static void
outcome_cb(void *arg, enum handover_result result, const char *why)
{
	struct outcome *o = arg;

	o->answers++;
	o->result = result;
	snprintf(o->why, sizeof o->why, "%s", why != NULL ? why : "");
}

static void
count_cb(void *arg, int err)
{
	assert_int_equal(err, 0);
	++*(unsigned *)arg;
}

static struct handover_status
handover_of(unsigned i)
{
	struct handover_status st;

	engine_handover_status(&gw[i].e, &st);
	return st;
}

static void
in_step_at(int address)
{
	in_step();
	vip = address;
}

/* Gateway 0 is ordered to give; nothing has run since. */
static void
order(struct outcome *o, bool expected)
{
	const char *why = NULL;

	if (expected)
		assert_int_equal(engine_expect(&gw[1].e, 2, 3000, &why), 0);
	assert_int_equal(engine_give(&gw[0].e, 2, outcome_cb, o, &why), 0);
}

static void
move(void)
{
	struct outcome o = {0};

	order(&o, true);
	run(2);
	assert_int_equal(o.answers, 1);
	assert_int_equal(o.result, HANDOVER_DONE);
	assert_string_equal(handover_of(0).state, "relaying");
	assert_string_equal(handover_of(1).state, "taken");
}

static void
test_nobody_is_connected(void **state)
{
	in_step_at(0);
	move();
	assert_int_equal(gw[1].e.role, ROLE_ACTIVE);
	assert_int_equal(handover_of(0).sessions + handover_of(0).connections, 0);
}

/* An Echo-Request of the client's link. */
static void
ask(struct client *c, uint8_t id)
{
	const uint8_t request[8] = {9, id, 0, 8};

	put_frame(&c->to_gateway, 0, PPP_LCP, request, sizeof request);
}

static void
test_no_jump(void **state)
{
	struct client *c = up_client(&gw[0]), *d = up_client(&gw[0]);
	uint64_t id = session_at(&gw[0], c)->id;
	uint32_t next, last;
	unsigned promoted = 0, demoted = 0;

	in_step_at(0);
	ask(c, 1);
	run(5);
	next = c->dp->st.tx_seq;
	last = c->last;
	assert_int_equal(last + 1, next);
	move();
	assert_int_equal(gw[0].e.role, ROLE_STANDBY);
	assert_int_equal(gw[1].e.role, ROLE_ACTIVE);
	assert_int_equal(gw[1].e.epoch, 2);
	assert_int_equal(gw[0].e.epoch, 2);
	assert_true(session_at(&gw[1], c)->id == id);
	assert_true(c->dp->gw == &gw[1]);
	assert_true(c->dp->c.exact);
	assert_int_equal(c->dp->c.state != NULL ? c->dp->c.fill_from : 0, next);
	assert_int_equal(c->dp->st.tx.index % 2, 1);
	/* what arrives at the old address is answered by the new gateway, without a gap */
	ask(c, 2);
	ask(d, 2);
	run(50);
	assert_int_equal(c->last, c->dp->st.tx_seq - 1);
	assert_int_equal(c->last - last, c->dp->st.tx_seq - next);
	assert_true(c->last - last >= 1);
	assert_true(handover_of(0).relayed >= 2);
	assert_int_equal(handover_of(1).injected, handover_of(0).relayed);
	assert_int_equal(handover_of(0).dropped + handover_of(1).dropped, 0);
	/* neither listens elsewhere than it should */
	assert_true(gw[0].listening);
	assert_false(gw[1].listening);
	assert_int_equal(gw[1].restores, 0);
	assert_int_equal(gw[0].silent_closes, 2);
	assert_int_equal(gw[0].call_dels, 0);
	/* the addresses move */
	vip = 1;
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &promoted), 0);
	assert_int_equal(engine_demote(&gw[0].e, 2, count_cb, &demoted), 0);
	run(20);
	assert_int_equal(promoted, 1);
	assert_int_equal(demoted, 1);
	assert_true(gw[1].listening);
	assert_false(gw[0].listening);
	assert_int_equal(gw[1].restores, 2);
	assert_string_equal(handover_of(0).state, "relaying");
	run(1100);
	assert_string_equal(handover_of(0).state, "none");
	assert_string_equal(handover_of(1).state, "none");
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].call_dels, 2);
	assert_false(gw[0].relaying);
	say(&gw[1], c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 77});
	run(5);
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
	assert_true(c->up && d->up);
}

static void
test_many(void **state)
{
	uint32_t last[200];
	struct outcome o = {0};
	uint64_t began;

	for (unsigned i = 0; i < 200; i++)
		dial(&gw[0]);
	run(20);
	in_step_at(0);
	run(200);
	for (unsigned i = 0; i < n_clients; i++)
		last[i] = clients[i].dp->st.tx_seq;
	began = takeover_now_us();
	order(&o, true);
	run(0);
	while (o.answers == 0 || gw[1].e.takeover->busy)
		run(0);
	printf("# 200 sessions: %llu us in all, of both engines and the test\n",
	    (unsigned long long)(takeover_now_us() - began));
	assert_int_equal(o.result, HANDOVER_DONE);
	assert_int_equal(gw[1].e.n_sessions, 200);
	for (unsigned i = 0; i < n_clients; i++) {
		assert_true(clients[i].dp->gw == &gw[1]);
		assert_int_equal(clients[i].dp->c.fill_from, last[i]);
	}
}

/* What comes between the order and the answer waits, and is not lost. */
static void
test_kept_and_handed_on(void **state)
{
	struct client *c = up_client(&gw[0]);
	const uint8_t packet[20] = {0x45};
	struct outcome o = {0};
	unsigned echoes = c->echoes;
	uint32_t seq;

	in_step_at(0);
	seq = c->dp->st.tx_seq;
	order(&o, true);
	ask(c, 9);
	while (travel(c))
		;
	session_dp_ops.on_relay(&gw[0].e, DP_RELAY_IP, packet, sizeof packet);
	assert_true(handover_of(0).queued > 0);
	assert_int_equal(handover_of(0).relayed, 0);
	run(5);
	assert_int_equal(o.result, HANDOVER_DONE);
	assert_int_equal(handover_of(0).queued, 0);
	assert_true(handover_of(0).relayed >= 2);
	assert_int_equal(gw[1].ip_injected, 1);
	assert_int_equal(gw[0].ip_injected, 0);
	/* answered by the new one, and its own question of a promotion */
	assert_true(c->dp->st.tx_seq >= seq + 1);
	assert_true(c->echoes >= echoes);
	assert_int_equal(c->last, c->dp->st.tx_seq - 1);
}

static void
write_control(struct client *c, uint32_t echo_id)
{
	const struct pptp_message m = {.type = PPTP_ECHO_RQ, .echo_id = echo_id};
	uint8_t buf[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(buf, sizeof buf);

	assert_int_equal(pptp_encode(&m, &w), 0);
	assert_int_equal(send(c->fd, buf, wr_len(&w), MSG_NOSIGNAL), (ssize_t)wr_len(&w));
}

/* What the old kernel acknowledged is known to the new gateway, whenever it came. */
static void
test_control_bytes(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct pptp_message m;
	struct outcome o = {0};
	unsigned promoted = 0;

	in_step_at(0);
	write_control(c, 41); /* nobody has read it when the order comes */
	order(&o, true);
	write_control(c, 42); /* behind the last look */
	run(5);
	assert_int_equal(o.result, HANDOVER_DONE);
	assert_int_equal(
	    ctrl_of(&gw[1].e, 40000)->rx_bytes, ctrl_of(&gw[0].e, 40000)->rx_bytes + 16);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &promoted), 0);
	run(20);
	assert_int_equal(promoted, 1);
	/* 41 is in the tail that the monitor restores; 42 is said by the new one */
	m = hear(c);
	assert_int_equal(m.type, PPTP_ECHO_RP);
	assert_int_equal(m.echo_id, 42);
}

static void
serves_on(struct client *c, uint32_t next)
{
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	assert_false(gw[0].relaying);
	assert_true(c->dp->gw == &gw[0]);
	assert_true(c->dp->st.tx_seq >= next);
	ask(c, 3);
	run(50);
	assert_int_equal(c->last, c->dp->st.tx_seq - 1);
	write_control(c, 7);
	ctrl_of(&gw[0].e, 40000)->io.cb(IO_READ, ctrl_of(&gw[0].e, 40000)->io.arg);
	run(400);
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
	assert_true(c->up);
}

/* Nobody expects it: the old one goes on as if nothing had been, what was kept included. */
static void
test_refused(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct outcome o = {0};
	uint32_t next;

	in_step_at(0);
	next = c->dp->st.tx_seq;
	order(&o, false);
	ask(c, 2);
	while (travel(c))
		;
	assert_int_equal(c->dp->st.tx_seq, next);
	run(5);
	assert_int_equal(o.answers, 1);
	assert_int_equal(o.result, HANDOVER_REFUSED);
	assert_string_equal(o.why, "no handover is expected");
	assert_int_equal(c->dp->st.tx_seq, next + 1); /* answered here */
	assert_int_equal(status_of(0).state, REPLICA_IN_SYNC);
	assert_int_equal(gw[1].e.role, ROLE_STANDBY);
	assert_true(status_of(1).in_step);
	assert_int_equal(handover_of(0).injected, 1);
	serves_on(c, next + 1);
	/* and the next one succeeds */
	move();
	assert_true(c->dp->gw == &gw[1]);
}

static void
test_lost_before_it_left(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct outcome o = {0};

	in_step_at(0);
	order(&o, true);
	cut_stream(0);
	cut_stream(1);
	assert_int_equal(o.result, HANDOVER_REFUSED);
	assert_int_equal(status_of(0).state, REPLICA_CUT);
	assert_string_equal(handover_of(1).state, "none");
	run(5);
	in_step();
	serves_on(c, 0);
}

/* It has left, and nobody knows whether it arrived: the state is `cut`. */
static void
test_lost_behind_it(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct outcome o = {0};

	in_step_at(0);
	order(&o, true);
	assert_true(serve_data_planes());
	loop_advance(the_loop, 0);
	assert_string_equal(handover_of(0).state, "given");
	gw[0].io.len = 0; /* not a byte of it arrives */
	cut_stream(0);
	cut_stream(1);
	assert_int_equal(o.answers, 1);
	assert_int_equal(o.result, HANDOVER_UNKNOWN);
	assert_int_equal(status_of(0).state, REPLICA_CUT);
	assert_false(gw[0].relaying);
	/* the standby's agent promotes: the old one learns of the epoch, and yields */
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(5);
	join_streams();
	run(5);
	assert_int_equal(gw[0].e.role, ROLE_STANDBY);
	assert_int_equal(takeover_yielded(&gw[0].e), 2);
	assert_int_equal(gw[1].e.n_sessions, 1);
	assert_true(c->up);
}

/* Who has given and loses the stream has nothing left to do. */
static void
test_relaying_ends_with_the_stream(void **state)
{
	up_client(&gw[0]);
	in_step_at(0);
	move();
	assert_int_equal(gw[0].e.n_sessions, 1);
	cut_stream(0);
	cut_stream(1);
	run(5);
	assert_string_equal(handover_of(0).state, "none");
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].call_dels, 1);
	assert_false(gw[0].relaying);
	assert_int_equal(gw[1].e.n_sessions, 1);
	/* it is a standby like any other */
	in_step_as(1);
	assert_int_equal(status_of(0).sessions, 1);
}

/* Orders that come in the middle of it. */
static void
test_other_orders(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct outcome o = {0};
	const char *why;
	unsigned done = 0;

	in_step_at(0);
	order(&o, true);
	assert_int_equal(engine_give(&gw[0].e, 2, outcome_cb, &o, &why), -1);
	assert_string_equal(why, "a handover is under way");
	assert_int_equal(engine_demote(&gw[0].e, 1, count_cb, &done), 0);
	assert_int_equal(o.answers, 1);
	assert_int_equal(o.result, HANDOVER_REFUSED);
	assert_false(gw[0].relaying);
	assert_int_equal(gw[0].e.n_sessions, 0);
	/* the standby still expects one; its plain promotion does not need it */
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &done), 0);
	run(5);
	assert_int_equal(done, 2);
	assert_true(gw[1].listening);
	assert_true(c->dp->gw == &gw[1]);
	assert_int_equal(engine_expect(&gw[1].e, 3, 3000, &why), -1);
	assert_string_equal(why, "this gateway has the other role");
	assert_int_equal(engine_give(&gw[1].e, 3, outcome_cb, &o, &why), -1);
	assert_string_equal(why, "the two are not in step");
}

/* The new gateway dies while the old one relays: it is promoted, without its sessions. */
static void
test_promoted_while_it_relays(void **state)
{
	unsigned done = 0;

	up_client(&gw[0]);
	in_step_at(0);
	move();
	assert_int_equal(engine_promote(&gw[0].e, 3, count_cb, &done), 0);
	run(10);
	assert_int_equal(done, 1);
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_false(gw[0].relaying || gw[0].frozen || gw[0].dozing);
	up_client(&gw[0]);
}

/* Order and addresses arrive while the copy is still being continued. */
static void
test_promoted_at_once(void **state)
{
	struct outcome o = {0};
	unsigned promoted = 0;

	for (unsigned i = 0; i < 300; i++)
		dial(&gw[0]);
	run(20);
	in_step_at(0);
	run(500);
	order(&o, true);
	do {
		serve_data_planes();
		loop_advance(the_loop, 0);
		carry(0);
	} while (!gw[1].e.takeover->busy);
	ask(&clients[299], 5);
	while (travel(&clients[299]))
		;
	carry(0);
	assert_true(handover_of(1).queued > 0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &promoted), 0);
	assert_int_equal(promoted, 0);
	run(5);
	assert_int_equal(promoted, 1);
	assert_int_equal(o.result, HANDOVER_DONE);
	assert_int_equal(gw[1].e.n_sessions, 300);
	assert_true(gw[1].listening);
	assert_true(handover_of(1).injected > 0);
	assert_int_equal(handover_of(1).queued, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_no_jump),
	    TEST(test_nobody_is_connected),
	    TEST(test_many),
	    TEST(test_kept_and_handed_on),
	    TEST(test_control_bytes),
	    TEST(test_refused),
	    TEST(test_lost_before_it_left),
	    TEST(test_lost_behind_it),
	    TEST(test_relaying_ends_with_the_stream),
	    TEST(test_other_orders),
	    TEST(test_promoted_while_it_relays),
	    TEST(test_promoted_at_once),
	};

	log_init("test", -1, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
