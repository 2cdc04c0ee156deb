/* link: pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection that is continued: how it gets its socket back, and what if it does not.
 */
#include "tests/unit/ctrl_rig.h"

static void
test_restored(void **state)
{
	struct ctrl *c = continued(40000);
	struct connection_record r;
	struct client peer;

	assert_int_equal(eng.restoring, 1);
	ctrl_send(c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	ctrl_record(c, &r); /* the next standby's: the same, and what waits */
	assert_int_equal(r.rx_bytes, 300);
	assert_int_equal(r.acked_bytes, 200);
	assert_int_equal(r.tail_len, 36);
	ctrl_restore_start(&eng);
	assert_int_equal(fake.n_asked, 0); /* first the ear: the client's answer must be heard */
	open_ear();
	assert_int_equal(fake.n_asked, 1);
	assert_int_equal(fake.asked[0].what.snd, snapshot.snd0 + 200);
	assert_int_equal(fake.asked[0].what.rcv, snapshot.rcv0 + 300);
	assert_int_equal(fake.asked[0].what.tail_len, 20);
	assert_memory_equal(fake.asked[0].what.tail, r.tail, 20);
	peer = answer();
	assert_int_equal(eng.restoring, 0);
	expect(&peer, PPTP_ECHO_RQ); /* the tail is the monitor's business */
	say(&peer, PPTP_ECHO_RQ, 42);
	expect(&peer, PPTP_ECHO_RP);
	ctrl_record(c, &r);
	assert_int_equal(r.tcp.tsval, snapshot.tsval + TCP_TSVAL_AHEAD_MS);
	assert_int_equal(r.rx_bytes, 316);
	assert_int_equal(r.acked_bytes + r.tail_len, 256);
	assert_int_equal(r.id, 40000);
	close(peer.fd);
}

static void
test_record_survives_the_move(void **state)
{
	struct client c = replicated_local();
	struct connection_record before, after;
	uint8_t buf[PPTP_MESSAGE_MAX];
	struct ctrl *moved;

	(void)encode(buf, sizeof buf, PPTP_SLI, 0);
	say(&c, PPTP_ECHO_RQ, 9);
	say_bytes(&c, buf, 13);
	ctrl_record(c.ctrl, &before);
	fake.holds = false;
	ctrl_silence_all(&eng);
	moved = ctrl_continue(&eng, &before);
	add_session(moved);
	ctrl_record(moved, &after);
	assert_memory_equal(&before, &after, sizeof before);
	close(c.fd);
}

static void
test_slices(void **state)
{
	for (uint16_t i = 0; i < 200; i++)
		(void)continued((uint16_t)(40000 + i));
	assert_int_equal(eng.restoring, 200);
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < 200; i++) {
		struct client c;

		assert_int_equal(fake.n_asked, i + RESTORE_SLICE < 200 ? i + RESTORE_SLICE : 200);
		c = answer();
		close(c.fd);
	}
	assert_int_equal(eng.restoring, 0);
}

/* Whatever there is no memory for: no half connection is handed out, and none is counted. */
static void
test_continued_without_memory(void **state)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		calloc_fails_in = nth;
		errno = 0;
		assert_null(try_to_continue(40000));
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(calloc_fails_in, 0);
		assert_int_equal(eng.n_ctrls, 0);
		assert_int_equal(eng.restoring, 0);
		reap_all();
		assert_int_equal(eng.n_sockets, 0);
	}
	(void)continued(40000);
	assert_int_equal(eng.restoring, 1);
}

/* Echoes of many that were restored at once are spread over the interval. */
static void
test_timers_are_spread(void **state)
{
	unsigned early = 0, n = 200;
	struct ctrl *c;

	for (uint16_t i = 0; i < n; i++)
		(void)continued((uint16_t)(40000 + i));
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < n; i++)
		close(answer().fd);
	TAILQ_FOREACH(c, &eng.ctrls, entry)
	{
		uint64_t in = c->timer.due_ms - loop_now_ms(eng.loop);

		assert_in_range(in, 1, 60001);
		early += in <= 30000;
	}
	assert_in_range(early, n / 4, n * 3 / 4);
}

static void
test_address_comes_late(void **state)
{
	struct ctrl *c = continued(40000);

	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < 10; i++) {
		refuse(EADDRNOTAVAIL);
		assert_int_equal(fake.n_asked, i + 1);
		loop_advance(eng.loop, RESTORE_SOON);
		assert_int_equal(fake.n_asked, i + 2);
	}
	assert_int_equal(eng.restoring, 1);
	close(answer().fd);
	assert_int_equal(eng.restoring, 0);
	assert_true(c->fd >= 0);
}

static void
test_not_restored_for_good(void **state)
{
	(void)continued(40000);
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; eng.n_ctrls > 0 && i < 20; i++) {
		assert_int_equal(fake.sessions_closed, 0); /* its data goes on meanwhile */
		refuse(EINVAL);
		loop_advance(eng.loop, RESTORE_AGAIN);
	}
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.restoring, 0);
	assert_int_equal(ctrl_not_restored(&eng), 1);
	assert_int_equal(fake.sessions_closed, 1);
	assert_in_range(fake.n_asked, 5, 10);
	assert_int_equal(fake.marks, 0);
}

/* The address never comes: all are closed and counted, and the log names some of them. */
static void
test_many_are_not_restored(void **state)
{
	char line[200];
	unsigned named = 0;
	FILE *said = tmpfile();

	assert_non_null(said);
	log_init("test", fileno(said), false);
	for (uint16_t i = 0; i < ASKED_MAX; i++)
		(void)continued((uint16_t)(40000 + i));
	ctrl_restore_start(&eng);
	open_ear();
	while (fake.answered < fake.n_asked)
		refuse(EPIPE);
	log_init("test", -1, false);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.restoring, 0);
	assert_int_equal(fake.sessions_closed, ASKED_MAX);
	assert_int_equal(eng.restorer->failed, ASKED_MAX);
	rewind(said);
	while (fgets(line, sizeof line, said) != NULL)
		named += strstr(line, "not restored peer=") != NULL;
	assert_in_range(named, 1, 30);
	(void)fclose(said);
}

static void
test_demoted_while_it_is_restored(void **state)
{
	struct client peer;

	(void)continued(40000);
	(void)continued(40001);
	ctrl_restore_start(&eng);
	open_ear();
	fake.holds = false;
	ctrl_silence_all(&eng);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(fake.silent_closes, 0);
	peer = answer();
	refuse(EINVAL);
	assert_int_equal(fake.silent_closes, 1);
	expect(&peer, 0);
	reap_all();
	assert_int_equal(eng.n_sockets, 0);
	assert_int_equal(eng.restoring, 0);
	close(peer.fd);
}

/* Its last words are said when it has a socket. */
static void
test_closed_while_it_is_restored(void **state)
{
	struct ctrl *c = continued(40000);
	struct client peer;

	ctrl_restore_start(&eng);
	open_ear();
	ctrl_send(c, &(struct pptp_message){.type = PPTP_CDN});
	ctrl_close(c, "test");
	assert_int_equal(eng.n_ctrls, 0);
	peer = answer();
	expect(&peer, PPTP_CDN);
	assert_true(closed(&peer));
	assert_int_equal(eng.restoring, 0);
	close(peer.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_restored),
	    TEST(test_record_survives_the_move),
	    TEST(test_slices),
	    TEST(test_continued_without_memory),
	    TEST(test_timers_are_spread),
	    TEST(test_address_comes_late),
	    TEST(test_not_restored_for_good),
	    TEST(test_many_are_not_restored),
	    TEST(test_demoted_while_it_is_restored),
	    TEST(test_closed_while_it_is_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
