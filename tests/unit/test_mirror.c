/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The standby's copy: what is put in comes out, stepped to the marks; what the owner hears of it;
 * snapshots in place; input that no active says; memory that ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "pptpd/engine/mirror.h"
#include "tests/unit/record_sample.h"

struct heard {
	unsigned came, went;
	uint16_t last_call_id;
	uint32_t last_peer_ip;
};

static struct heard heard;
static struct mirror *m;

static void
on_session(void *arg, const struct mirror_session *s)
{
	struct heard *h = arg;

	h->came++;
	h->last_call_id = s->call_id;
	h->last_peer_ip = s->peer_ip;
}

static void
on_gone(void *arg, const struct mirror_session *s)
{
	struct heard *h = arg;

	h->went++;
	h->last_call_id = s->call_id;
}

static int
setup(void **state)
{
	static const struct mirror_ops ops = {.on_session = on_session, .on_gone = on_gone};

	(void)state;
	heard = (struct heard){0};
	m = mirror_new(&ops, &heard);
	return m == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	mirror_free(m);
	return 0;
}

static int
put_session_record(const struct session_record *r)
{
	uint8_t buf[RECORD_MAX];
	struct wr w = wr_init(buf, sizeof buf);
	struct rd in;

	assert_int_equal(session_record_encode(r, &w), 0);
	in = rd_init(buf, wr_len(&w));
	return mirror_put_session(m, &in, 0);
}

static int
put_session(uint64_t id, uint64_t connection)
{
	struct session_record r = sample_session(id, connection);

	return put_session_record(&r);
}

static int
put_connection(uint64_t id, uint32_t peer_ip)
{
	struct connection_record r = sample_connection(id);
	uint8_t buf[RECORD_MAX];
	struct wr w = wr_init(buf, sizeof buf);
	struct rd in;

	r.tcp.peer_ip = peer_ip;
	assert_int_equal(connection_record_encode(&r, &w), 0);
	in = rd_init(buf, wr_len(&w));
	return mirror_put_connection(m, &in);
}

/* The key that an index needs, from the record's own beginning. */
static void
key_at(const struct record_mppe *from, uint64_t index, uint8_t key[static 16])
{
	struct mppe k = {.index = from->index};

	memcpy(k.master, from->master, sizeof k.master);
	memcpy(k.session, from->session, sizeof k.session);
	mppe_step(&k, index);
	memcpy(key, k.session, 16);
}

static void
test_continues_at_the_mark(void **state)
{
	struct session_record in = sample_session(1, 10), out;
	const struct mirror_session *s;
	uint8_t key[16];

	(void)state;
	assert_int_equal(put_connection(10, 0x01020304), 0);
	assert_int_equal(put_session(1, 10), 0);
	s = mirror_session(m, 1);
	assert_int_equal(mirror_session_record(s, &out), 0);
	assert_int_equal(out.call.tx_seq, in.mark.seq);
	assert_int_equal(out.mppe_tx.index, in.mark.index);
	key_at(&in.mppe_tx, in.mark.index, key);
	assert_memory_equal(out.mppe_tx.session, key, 16);
	assert_memory_equal(out.mppe_rx.session, in.mppe_rx.session, 16);
	assert_int_equal(
	    mirror_mark(
		m, 1, &(struct record_mark){in.mark.seq + 64, in.mark.index + 64, KEYS_EVEN}, 0),
	    0);
	assert_int_equal(mirror_count(m,
			     &(struct record_counters){.id = 1,
				 .rx_seq = 900,
				 .rx_any = true,
				 .tx_seq = 20,
				 .rx_index = 1000,
				 .accounting = {.rx_packets = 7}},
			     0),
	    0);
	assert_false(mirror_step(m, 1000000));
	assert_int_equal(mirror_session_record(s, &out), 0);
	assert_int_equal(out.call.tx_seq, in.mark.seq + 64);
	assert_int_equal(out.mark.open, KEYS_EVEN);
	key_at(&in.mppe_tx, in.mark.index + 64, key);
	assert_memory_equal(out.mppe_tx.session, key, 16);
	key_at(&in.mppe_rx, 1000, key);
	assert_int_equal(out.mppe_rx.index, 1000);
	assert_memory_equal(out.mppe_rx.session, key, 16);
	assert_int_equal(out.call.rx_seq, 900);
	assert_int_equal(out.accounting.rx_packets, 7);
	assert_int_equal(out.accounting.started_ms, in.accounting.started_ms);
	assert_int_equal(s->counters.tx_seq, 20);
}

/* What the clients have sent costs its steps only when there is time, and is right at any time. */
static void
test_receive_keys_follow(void **state)
{
	struct session_record in = sample_session(1, 10), out;
	const struct mirror_session *s[2];
	struct record_counters c = {.rx_any = true};
	uint8_t key[16];
	unsigned turns = 1;

	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		put_session(id, 10);
		c.id = id;
		c.rx_seq = in.call.rx_seq + 5000;
		c.rx_index = in.mppe_rx.index + 5000;
		assert_int_equal(mirror_count(m, &c, 0), 0);
	}
	s[0] = mirror_session(m, 1);
	s[1] = mirror_session(m, 2);
	assert_int_equal(s[0]->rx.index, in.mppe_rx.index);
	mirror_session_record(s[0], &out);
	assert_int_equal(out.call.rx_seq, in.call.rx_seq);
	assert_int_equal(out.mppe_rx.index, in.mppe_rx.index);
	assert_true(mirror_step(m, 2000));
	mirror_session_record(s[0], &out);
	assert_int_equal(out.call.rx_seq, in.call.rx_seq + 2000);
	key_at(&in.mppe_rx, in.mppe_rx.index + 2000, key);
	assert_int_equal(out.mppe_rx.index, in.mppe_rx.index + 2000);
	assert_memory_equal(out.mppe_rx.session, key, 16);
	mirror_drop_session(m, 3); /* on its way */
	while (mirror_step(m, 1000))
		turns++;
	assert_int_equal(turns, 8);
	for (unsigned i = 0; i < 2; i++) {
		mirror_session_record(s[i], &out);
		assert_int_equal(out.call.rx_seq, in.call.rx_seq + 5000);
		key_at(&in.mppe_rx, in.mppe_rx.index + 5000, key);
		assert_memory_equal(out.mppe_rx.session, key, 16);
	}
	/* A record with a newer key is further than what was counted. */
	c.id = 1;
	c.rx_index += 5000;
	mirror_count(m, &c, 0);
	in.mppe_rx.index = c.rx_index;
	put_session_record(&in);
	assert_false(mirror_step(m, 1));
	assert_int_equal(s[0]->rx.index, in.mppe_rx.index);
}

static uint64_t
moved(uint64_t now, const struct session_record *r)
{
	uint8_t buf[RECORD_MAX];
	struct wr w = wr_init(buf, sizeof buf);
	struct rd in;

	session_record_encode(r, &w);
	in = rd_init(buf, wr_len(&w));
	assert_int_equal(mirror_put_session(m, &in, now), 0);
	return mirror_session(m, 1)->moved_ms;
}

static void
test_who_had_traffic(void **state)
{
	struct session_record r = sample_session(1, 10);
	struct record_counters c = {
	    .id = 1, .tx_seq = r.call.tx_seq, .rx_seq = r.call.rx_seq, .rx_index = r.mppe_rx.index};
	struct record_mark k = r.mark;

	(void)state;
	mirror_begin(m);
	assert_int_equal(moved(1, &r), 0);
	mirror_end(m);
	assert_int_equal(moved(2, &r), 0); /* again, as it was */
	mirror_count(m, &c, 3);
	mirror_mark(m, 1, &k, 3);
	assert_int_equal(moved(3, &r), 0);
	c.rx_seq = ++r.call.rx_seq;
	mirror_count(m, &c, 4);
	assert_int_equal(moved(5, &r), 4);
	r.call.tx_seq++;
	assert_int_equal(moved(6, &r), 6);
	k.seq += 64;
	k.index += 64;
	mirror_mark(m, 1, &k, 7);
	assert_int_equal(mirror_session(m, 1)->moved_ms, 7);
	/* Another snapshot: what went on in between is not known, but what was heard before is. */
	mirror_begin(m);
	r.call.rx_seq += 9;
	r.mark = k;
	assert_int_equal(moved(8, &r), 7);
}

/* A session without its connection is no use to the firewall: it is announced with it. */
static void
test_announced_with_its_connection(void **state)
{
	(void)state;
	assert_int_equal(put_session(1, 10), 0);
	assert_int_equal(put_session(2, 11), 0);
	assert_int_equal(heard.came, 0);
	assert_int_equal(put_connection(10, 0x01020304), 0);
	assert_int_equal(heard.came, 1);
	assert_int_equal(heard.last_peer_ip, 0x01020304);
	assert_int_equal(mirror_connection(m, 10)->sessions, 1);
	assert_int_equal(put_connection(10, 0x01020304), 0); /* again: nothing new */
	assert_int_equal(put_session(1, 10), 0);
	assert_int_equal(heard.came, 1);
	mirror_drop_session(m, 2); /* never announced */
	assert_int_equal(heard.went, 0);
	mirror_drop_connection(m, 10);
	assert_int_equal(heard.went, 1);
	assert_int_equal(mirror_sessions(m), 0);
	assert_int_equal(mirror_connections(m), 0);
}

static void
test_a_change_of_address_is_both(void **state)
{
	struct session_record r = sample_session(1, 10);

	(void)state;
	put_connection(10, 0x01020304);
	put_session(1, 10);
	r.ppp.addresses.peer_ip++;
	assert_int_equal(put_session_record(&r), 0);
	assert_int_equal(heard.went, 1);
	assert_int_equal(heard.came, 2);
	put_connection(10, 0x01020305);
	assert_int_equal(heard.went, 2);
	assert_int_equal(heard.came, 3);
	assert_int_equal(heard.last_peer_ip, 0x01020305);
	put_connection(11, 0x01020306);
	assert_int_equal(put_session(1, 11), 0);
	assert_int_equal(mirror_connection(m, 10)->sessions, 0);
	assert_int_equal(mirror_connection(m, 11)->sessions, 1);
}

static void
test_snapshot_in_place(void **state)
{
	const struct mirror_session *s;

	(void)state;
	put_connection(10, 1);
	put_connection(11, 2);
	for (uint64_t id = 1; id <= 4; id++)
		put_session(id, id <= 2 ? 10 : 11);
	mirror_stale(m);
	mirror_begin(m);
	put_connection(10, 1);
	put_session(2, 10);
	/* In the middle each is as valid as it was. */
	assert_int_equal(mirror_sessions(m), 4);
	assert_true(mirror_session(m, 1)->stale);
	assert_false(mirror_session(m, 2)->stale);
	mirror_end(m);
	assert_int_equal(mirror_sessions(m), 1);
	assert_int_equal(mirror_connections(m), 1);
	assert_int_equal(heard.went, 3);
	s = mirror_next_session(m, NULL);
	assert_int_equal(s->id, 2);
	assert_null(mirror_next_session(m, s));
}

static void
test_order_and_growth(void **state)
{
	const struct mirror_session *s = NULL;
	size_t empty = mirror_bytes(m);

	(void)state;
	for (uint64_t id = 1; id <= 1000; id++) {
		assert_int_equal(put_connection(id, 1), 0);
		assert_int_equal(put_session(id, id), 0);
	}
	for (uint64_t id = 1; id <= 1000; id++) {
		s = mirror_next_session(m, s);
		assert_int_equal(s->id, id);
		assert_int_equal(mirror_connection(m, id)->id, id);
		assert_ptr_equal(mirror_session(m, id), s);
	}
	assert_in_range(mirror_bytes(m) / 1000, 500, 1500); /* of a session */
	mirror_clear(m);
	assert_int_equal(heard.came, 1000);
	assert_int_equal(heard.went, 1000);
	assert_true(mirror_bytes(m) < empty + 4 * 1024 * sizeof(void *));
}

static void
refused(uint64_t id, struct record_mark mark)
{
	assert_int_equal(mirror_mark(m, id, &mark, 0), -1);
	assert_int_equal(errno, EPROTO);
}

static void
test_what_no_active_says(void **state)
{
	struct session_record r = sample_session(1, 10);
	struct record_mark k = r.mark;
	struct rd in = rd_init("\0\1\0\0", 4);

	(void)state;
	put_session(1, 10);
	refused(1, (struct record_mark){k.seq - 1, k.index, KEYS_ALL});
	refused(1, (struct record_mark){k.seq, k.index - 1, KEYS_ALL});
	refused(1, (struct record_mark){k.seq, k.index + MIRROR_MARK_STEPS + 1, KEYS_ALL});
	refused(1, (struct record_mark){k.seq, k.index, KEYS_ALL + 1});
	assert_int_equal(mirror_mark(m, 2, &k, 0), 0); /* unknown: it may have gone */
	assert_int_equal(
	    mirror_count(m, &(struct record_counters){.id = 1, .rx_index = 1ull << 40}, 0), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(mirror_count(m, &(struct record_counters){.id = 2}, 0), 0);
	/* A count from before the keys were changed does not turn them back. */
	assert_int_equal(mirror_count(m, &(struct record_counters){.id = 1}, 0), 0);
	assert_int_equal(mirror_session(m, 1)->counters.rx_index, r.mppe_rx.index);
	r.mark.index = r.mppe_tx.index + (1 << 20); /* keys to step: an attack on our time */
	assert_int_equal(put_session_record(&r), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(mirror_put_session(m, &in, 0), -1);
	in = rd_init("\0\1\0\0", 4);
	assert_int_equal(mirror_put_connection(m, &in), -1);
	assert_int_equal(mirror_sessions(m), 1);
}

static void
test_no_memory(void **state)
{
	unsigned n;

	(void)state;
	mirror_set_limit(m, mirror_bytes(m) + 20000);
	for (uint64_t id = 1; put_connection(id, 1) == 0 && put_session(id, id) == 0; id++)
		;
	assert_int_equal(errno, ENOMEM);
	n = mirror_sessions(m);
	assert_in_range(n, 5, 100);
	assert_int_equal(put_session(1, 1), 0); /* what is there can still be replaced */
	mirror_clear(m);
	assert_int_equal(put_session(1, 1), 0);
	assert_int_equal(heard.went, n);
}

static void
test_adopted_ones_do_not_go(void **state)
{
	(void)state;
	put_connection(10, 1);
	put_session(1, 10);
	put_session(2, 10);
	mirror_adopted(m, 1);
	mirror_clear(m);
	assert_int_equal(heard.went, 1);
	assert_int_equal(heard.last_call_id, 0x1002);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_continues_at_the_mark),
	    TEST(test_receive_keys_follow),
	    TEST(test_who_had_traffic),
	    TEST(test_announced_with_its_connection),
	    TEST(test_a_change_of_address_is_both),
	    TEST(test_snapshot_in_place),
	    TEST(test_order_and_growth),
	    TEST(test_what_no_active_says),
	    TEST(test_no_memory),
	    TEST(test_adopted_ones_do_not_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
