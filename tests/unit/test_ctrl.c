/* link: pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection that is replicated: what is said when the standby knows of it and when not,
 * and what its record holds.
 */
#include "tests/unit/ctrl_rig.h"

static void
test_told_before_written(void **state)
{
	struct client c = replicated_local();
	const struct connection_record *r = &fake.record;

	say(&c, PPTP_ECHO_RQ, 77);
	expect(&c, 0);
	assert_int_equal(fake.changes, 1);
	assert_int_equal(r->id, c.ctrl->id);
	assert_int_equal(r->rx_bytes, 156 + 16);
	assert_int_equal(r->acked_bytes + r->tail_len, 156 + 20);
	assert_int_equal(r->peer_echo_id, 77);
	assert_int_equal(r->state, CTRL_ESTABLISHED);
	assert_true(r->buffers_gaps);
	c.ctrl->io.cb(IO_WRITE, c.ctrl->io.arg); /* a socket that takes it is no leave */
	expect(&c, 0);
	ctrl_committed(c.ctrl);
	assert_int_equal(hear(&c).echo_id, 77);
	expect(&c, 0);
	close(c.fd);
}

static void
test_what_was_read_is_told(void **state)
{
	struct client c = replicated_local();
	uint8_t buf[3 * PPTP_MESSAGE_MAX];
	size_t len = encode(buf, sizeof buf, PPTP_ECHO_RQ, 1);

	say_bytes(&c, buf, 5);
	assert_int_equal(fake.changes, 1);
	assert_int_equal(fake.record.partial_len, 5);
	assert_memory_equal(fake.record.partial, buf, 5);
	assert_int_equal(fake.record.rx_bytes, 156 + 5);
	/* One read is one record: the rest, two whole messages, half a message. */
	memmove(buf, buf + 5, len - 5);
	len -= 5;
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 2);
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 3);
	(void)encode(buf + len, sizeof buf - len, PPTP_SLI, 0);
	say_bytes(&c, buf, len + 9);
	assert_int_equal(fake.changes, 2);
	assert_int_equal(fake.record.partial_len, 9);
	assert_int_equal(fake.record.rx_bytes, 156 + 3 * 16 + 9);
	assert_int_equal(fake.record.peer_echo_id, 3);
	ctrl_committed(c.ctrl);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(hear(&c).echo_id, id);
	close(c.fd);
}

/* More than a record holds: whole messages, in order, as the client acknowledges. */
static void
test_more_than_a_record_holds(void **state)
{
	struct client c;
	int fds[2];
	uint32_t next = 0;
	unsigned told;

	tcp_pair(fds);
	c = replicated(fds);
	for (uint32_t i = 0; i < 40; i++)
		ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RP, .echo_id = i});
	expect(&c, 0);
	for (unsigned turns = 0; next < 40 && turns < 20; turns++) {
		assert_in_range(fake.record.tail_len, 20, TCP_TAIL_MAX);
		assert_int_equal(fake.record.tail_len % 20, 0);
		assert_int_equal(fake.record.acked_bytes, 156 + 20 * next);
		told = fake.record.tail_len / 20u;
		ctrl_committed(c.ctrl);
		for (unsigned n = 0; n < told; n++)
			assert_int_equal(hear(&c).echo_id, next++);
		expect(&c, 0);
		loop_advance(eng.loop, ROOM_AGAIN);
	}
	assert_int_equal(next, 40);
	assert_int_equal(c.ctrl->out_len, 0);
	ctrl_record(c.ctrl, &fake.record);
	assert_int_equal(fake.record.acked_bytes, 156 + 800);
	assert_int_equal(fake.record.tail_len, 0);
	close(c.fd);
}

static void
test_tail_is_what_is_not_acknowledged(void **state)
{
	struct client c = replicated_local(); /* it reads nothing: nothing is acknowledged */
	uint8_t want[20];

	for (uint32_t i = 0; i < 30; i++) {
		say(&c, PPTP_ECHO_RQ, i);
		ctrl_committed(c.ctrl);
	}
	ctrl_record(c.ctrl, &fake.record);
	assert_int_equal(fake.record.acked_bytes + fake.record.tail_len, c.ctrl->tx_bytes);
	assert_in_range(fake.record.tail_len, 20, TCP_TAIL_MAX);
	(void)encode(want, sizeof want, PPTP_ECHO_RP, c.ctrl->tx_bytes / 20 - 156 / 20 - 1);
	assert_memory_equal(fake.record.tail + fake.record.tail_len - 20, want, 16);
	close(c.fd);
}

/* Nobody is in step any more: what waited goes out, told or not. */
static void
test_solo_lets_everything_go(void **state)
{
	struct client c = replicated_local();

	for (uint32_t i = 0; i < 30; i++)
		ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RP, .echo_id = i});
	expect(&c, 0);
	fake.holds = false;
	ctrl_committed(c.ctrl);
	loop_advance(eng.loop, ROOM_AGAIN);
	for (uint32_t i = 0; i < 30; i++) {
		struct pptp_message m = hear(&c);

		if (m.type == 0) { /* the kernel's share is acknowledged by being read */
			loop_advance(eng.loop, ROOM_AGAIN);
			m = hear(&c);
		}
		assert_int_equal(m.type, PPTP_ECHO_RP);
		assert_int_equal(m.echo_id, i);
	}
	close(c.fd);
}

static void
test_close_in_order_waits(void **state)
{
	struct client c = replicated_local();
	struct ctrl *ctrl = c.ctrl;

	say(&c, PPTP_STOP_RQ, 0);
	expect(&c, 0);
	assert_false(closed(&c));
	assert_int_equal(fake.sessions_closed, 1);
	assert_int_equal(fake.removes, 0);
	assert_int_equal(fake.record.tail_len + fake.record.acked_bytes, 156 + 16);
	ctrl_committed(ctrl);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	assert_int_equal(fake.removes, 1);
	assert_int_equal(fake.marks, 1);
	close(c.fd);
}

/* What is applied is an older record: the newest, with the last words, is on its way. */
static void
test_close_in_order_waits_for_the_last(void **state)
{
	struct client c = replicated_local();
	struct ctrl *ctrl = c.ctrl;

	say(&c, PPTP_STOP_RQ, 0);
	ctrl->replica.waiting = true;
	ctrl_committed(ctrl);
	expect(&c, 0);
	assert_false(closed(&c));
	ctrl->replica.waiting = false;
	ctrl_committed(ctrl);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_close_in_order_waits_no_longer(void **state)
{
	struct client c = replicated_local();

	say(&c, PPTP_STOP_RQ, 0);
	loop_advance(eng.loop, CLOSE_WAIT - 1);
	expect(&c, 0);
	loop_advance(eng.loop, 1);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_silence_says_nothing_that_waits(void **state)
{
	struct client a = replicated_local(), b = replicated_local();
	struct ctrl *ctrl = b.ctrl;

	say(&a, PPTP_ECHO_RQ, 1);
	say(&b, PPTP_STOP_RQ, 0); /* on its way out */
	ctrl_silence_all(&eng);
	assert_int_equal(fake.silent_closes, 2);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(ctrl->replica.member, false);
	loop_advance(eng.loop, 1000);
	expect(&a, 0);
	expect(&b, 0);
	close(a.fd);
	close(b.fd);
}

/* What its last call's end made us say is told as well; then the standby may forget it. */
static void
test_leaves_the_replica_with_its_last_call(void **state)
{
	struct client c = replicated_local();

	add_session(c.ctrl);
	end_session(c.ctrl);
	assert_int_equal(fake.removes, 0);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_CDN});
	end_session(c.ctrl);
	assert_int_equal(fake.removes, 0);
	expect(&c, 0);
	ctrl_committed(c.ctrl);
	assert_int_equal(fake.removes, 1);
	expect(&c, PPTP_CDN);
	say(&c, PPTP_ECHO_RQ, 1);
	expect(&c, PPTP_ECHO_RP);
	close(c.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told_before_written),
	    TEST(test_what_was_read_is_told),
	    TEST(test_more_than_a_record_holds),
	    TEST(test_tail_is_what_is_not_acknowledged),
	    TEST(test_solo_lets_everything_go),
	    TEST(test_close_in_order_waits),
	    TEST(test_close_in_order_waits_for_the_last),
	    TEST(test_close_in_order_waits_no_longer),
	    TEST(test_silence_says_nothing_that_waits),
	    TEST(test_leaves_the_replica_with_its_last_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
