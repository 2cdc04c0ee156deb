/* link: pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection that is continued and may be out of step with its client: how a hole is
 * found and repaired.
 */
#include "tests/unit/ctrl_rig.h"

static struct client
restored_client(void)
{
	struct client c;

	(void)continued(40000);
	ctrl_restore_start(&eng);
	open_ear();
	c = answer();
	assert_non_null(c.ctrl->watch);
	return c;
}

static void
test_in_step(void **state)
{
	struct client c = restored_client();

	segment(c.ctrl, 0, 0);
	assert_null(c.ctrl->watch);
	loop_advance(eng.loop, 5000);
	assert_int_equal(eng.watcher->fd, -1); /* nobody is left to listen to */
	assert_int_equal(fake.probes, 0);
	assert_int_equal(eng.stats.holes, 0);
	close(c.fd);
}

static void
test_answer_comes_before_the_monitor_s(void **state)
{
	struct ctrl *c = continued(40000);

	ctrl_restore_start(&eng);
	open_ear();
	segment(c, 0, 0);
	assert_null(c->watch);
	close(answer().fd);
}

static void
test_silent_ones_are_probed(void **state)
{
	struct client c = restored_client();

	loop_advance(eng.loop, PROBE_AGAIN - WATCH_TICK);
	assert_int_equal(fake.probes, 0);
	loop_advance(eng.loop, 2ull * WATCH_TICK);
	assert_int_equal(fake.probes, 1);
	loop_advance(eng.loop, 20000);
	assert_int_equal(fake.probes, PROBES_MAX);
	assert_non_null(c.ctrl->watch);
	loop_advance(eng.loop, WATCH_MS);
	assert_null(c.ctrl->watch);
	assert_int_equal(eng.watcher->fd, -1);
	close(c.fd);
}

/* The monitor has the socket in repair mode: nothing is read or written meanwhile. */
static void
test_hands_off_while_it_is_probed(void **state)
{
	struct client c = restored_client();

	fake.hold_probe = true;
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	assert_int_equal(fake.probes, 1);
	say(&c, PPTP_ECHO_RQ, 42);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	assert_int_equal(c.ctrl->rx_bytes, 300);
	expect(&c, 0);
	loop_advance(eng.loop, 5000);
	assert_int_equal(fake.probes, 1);
	fake.probe_done(fake.probe_arg, 0);
	expect(&c, PPTP_ECHO_RQ);
	c.ctrl->io.cb(IO_READ, c.ctrl->io.arg);
	assert_int_equal(hear(&c).echo_id, 42);
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	assert_int_equal(fake.probes, 2);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_CDN});
	ctrl_close(c.ctrl, "test");
	expect(&c, 0);
	assert_int_equal(fake.marks, 0);
	fake.probe_done(fake.probe_arg, 0);
	expect(&c, PPTP_CDN);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_demoted_while_it_is_probed(void **state)
{
	struct client c = restored_client();

	fake.hold_probe = true;
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	ctrl_close(c.ctrl, "test");
	ctrl_silence_all(&eng);
	reap_all();
	assert_int_equal(eng.n_sockets, 0);
	assert_int_equal(fake.silent_closes, 1);
	fake.probe_done(fake.probe_arg, 0);
	close(c.fd);
}

/* An Echo-Request was acknowledged by the dead kernel: answered unseen, and the stream goes on. */
static void
test_hole(void **state)
{
	struct client old = restored_client(), c;
	const struct tcp_restore *t = &fake.asked[1].what;

	segment(old.ctrl, 16, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS - WATCH_TICK);
	assert_int_equal(fake.silent_closes, 0);
	loop_advance(eng.loop, 2ull * WATCH_TICK);
	assert_int_equal(fake.silent_closes, 1);
	assert_int_equal(eng.stats.holes, 1);
	assert_int_equal(eng.stats.holes_repaired, 0);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(t->rcv, snapshot.rcv0 + 300 + 16);
	assert_int_equal(t->snd + t->tail_len, snapshot.snd0 + 220);
	assert_int_equal(t->tcp.tsval, snapshot.tsval + TCP_TSVAL_AHEAD_MS);
	c = answer();
	assert_int_equal(hear(&c).echo_id, 42);
	segment(c.ctrl, 0, 0);
	assert_int_equal(eng.stats.holes_repaired, 1);
	assert_null(c.ctrl->watch);
	say(&c, PPTP_ECHO_RQ, 43);
	assert_int_equal(hear(&c).echo_id, 43);
	assert_int_equal(fake.sessions_closed, 0);
	close(old.fd);
	close(c.fd);
}

/* It begins in the middle of a message and ends in the middle of another. */
static void
test_hole_across_messages(void **state)
{
	struct client old = restored_client(), c;
	uint8_t buf[2 * PPTP_MESSAGE_MAX];
	size_t len = encode(buf, sizeof buf, PPTP_SLI, 0);

	say_bytes(&old, buf, 7);
	segment(old.ctrl, 24 - 7 + 5, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS + WATCH_TICK);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(fake.asked[1].what.rcv, snapshot.rcv0 + 300 + 24 + 5);
	c = answer();
	expect(&c, 0); /* that was no Echo-Request */
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 50);
	say_bytes(&c, buf + 5, len - 5);
	assert_int_equal(hear(&c).echo_id, 50);
	close(old.fd);
	close(c.fd);
}

/* The other gateway said what nobody told us: we go on behind it, at once. */
static void
test_client_is_ahead(void **state)
{
	struct client old = restored_client(), c;
	const struct tcp_restore *t = &fake.asked[1].what;

	segment(old.ctrl, 0, 20);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(t->rcv, snapshot.rcv0 + 300);
	assert_int_equal(t->snd, snapshot.snd0 + 240);
	assert_int_equal(t->tail_len, 0);
	c = answer();
	segment(c.ctrl, 0, 0);
	assert_int_equal(eng.stats.holes_repaired, 1);
	close(old.fd);
	close(c.fd);
}

/* While the client is ahead, what we say would be taken for what it has. */
static void
test_nothing_is_said_to_a_client_ahead(void **state)
{
	struct client old = restored_client(), c;

	segment(old.ctrl, 16, 20); /* something of its own is on its way, perhaps */
	ctrl_send(old.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	expect(&old, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS + WATCH_TICK);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(fake.asked[1].what.snd, snapshot.snd0 + 240);
	c = answer();
	expect(&c, PPTP_ECHO_RQ);
	expect(&c, PPTP_ECHO_RP); /* to the one that it missed */
	close(old.fd);
	close(c.fd);
}

/* Two minutes are over and it is not repaired: nobody would ever say what waits. */
static void
test_unwatched_ones_are_spoken_to(void **state)
{
	struct client c = restored_client();

	segment(c.ctrl, 16, 20);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	expect(&c, 0);
	ctrl_watch_stop(&eng);
	assert_null(c.ctrl->watch);
	expect(&c, PPTP_ECHO_RQ);
	close(c.fd);
}

static void
test_beyond_repair(void **state)
{
	struct client c = restored_client();

	for (unsigned i = 0; i < REPAIRS_MAX; i++) {
		segment(c.ctrl, 0, 20);
		close(c.fd);
		c = answer();
	}
	assert_int_equal(eng.n_ctrls, 1);
	segment(c.ctrl, 0, 20);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.stats.holes, REPAIRS_MAX);
	assert_int_equal(fake.sessions_closed, 1);
	close(c.fd);
}

static void
test_foreign_segments(void **state)
{
	struct client c = restored_client();
	struct ctrl other = *c.ctrl;

	other.tcp.peer_port++;
	segment(&other, 0, 0);
	other.tcp.peer_port--;
	other.tcp.local_ip++;
	segment(&other, 0, 0);
	assert_non_null(c.ctrl->watch);
	assert_false(c.ctrl->watch->hole.heard);
	assert_int_equal(send(fake.ear, "nonsense", 8, 0), 8);
	eng.watcher->io.cb(IO_READ, eng.watcher->io.arg);
	assert_non_null(c.ctrl->watch);
	close(c.fd);
}

static void
test_no_ear(void **state)
{
	(void)continued(40000);
	ctrl_restore_start(&eng);
	fake.ear_done(fake.ear_arg, -1, EPERM);
	assert_int_equal(fake.n_asked, 1); /* it is restored all the same */
	close(answer().fd);
	assert_int_equal(eng.restoring, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_in_step),
	    TEST(test_answer_comes_before_the_monitor_s),
	    TEST(test_silent_ones_are_probed),
	    TEST(test_hands_off_while_it_is_probed),
	    TEST(test_demoted_while_it_is_probed),
	    TEST(test_hole),
	    TEST(test_hole_across_messages),
	    TEST(test_client_is_ahead),
	    TEST(test_nothing_is_said_to_a_client_ahead),
	    TEST(test_unwatched_ones_are_spoken_to),
	    TEST(test_beyond_repair),
	    TEST(test_foreign_segments),
	    TEST(test_no_ear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
