/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The records of a session and of a control connection: round trip, truncation at every byte, lying
 * lengths, values that nothing could continue, unknown tags carried on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/record_sample.h"

#define SESSION_ID    0x01020304050607
#define CONNECTION_ID 0x0708090a0b0c0d

/* Both records behind one face: what holds for one must hold for the other. */
struct kind {
	int (*encode)(struct wr *w);
	int (*decode)(struct rd *in);
	int (*again)(struct wr *w); /* of what was decoded */
	uint8_t *unknown;
	uint16_t *unknown_len;
	size_t at_least, at_most;
};

static struct session_record session_in, session_out;
static struct connection_record connection_in, connection_out;

static int
encode_session(struct wr *w)
{
	return session_record_encode(&session_in, w);
}

static int
decode_session(struct rd *in)
{
	return session_record_decode(&session_out, in);
}

static int
again_session(struct wr *w)
{
	return session_record_encode(&session_out, w);
}

static int
encode_connection(struct wr *w)
{
	return connection_record_encode(&connection_in, w);
}

static int
decode_connection(struct rd *in)
{
	return connection_record_decode(&connection_out, in);
}

static int
again_connection(struct wr *w)
{
	return connection_record_encode(&connection_out, w);
}

static const struct kind kinds[] = {
    {encode_session, decode_session, again_session, session_in.unknown, &session_in.unknown_len,
	300, 700},
    {encode_connection, decode_connection, again_connection, connection_in.unknown,
	&connection_in.unknown_len, 80, 200},
};
#define EACH_KIND(k) (const struct kind *k = kinds; k < kinds + 2; k++)

static int
setup(void **state)
{
	(void)state;
	session_in = sample_session(SESSION_ID, CONNECTION_ID);
	connection_in = sample_connection(CONNECTION_ID);
	return 0;
}

static size_t
encode(const struct kind *k, uint8_t buf[static RECORD_MAX])
{
	struct wr w = wr_init(buf, RECORD_MAX);

	assert_int_equal(k->encode(&w), 0);
	return wr_len(&w);
}

static int
decode(const struct kind *k, const uint8_t *buf, size_t len)
{
	struct rd r = rd_init(buf, len);

	return k->decode(&r);
}

static void
same_again(const struct kind *k, const uint8_t *a, size_t n)
{
	uint8_t b[RECORD_MAX];
	struct wr w = wr_init(b, sizeof b);

	assert_int_equal(k->again(&w), 0);
	assert_int_equal(wr_len(&w), n);
	assert_memory_equal(a, b, n);
}

static void
test_round_trip(void **state)
{
	uint8_t a[RECORD_MAX];

	(void)state;
	for
		EACH_KIND(k)
		{
			size_t n = encode(k, a);

			assert_in_range(n, k->at_least, k->at_most);
			assert_int_equal(decode(k, a, n), 0);
			same_again(k, a, n);
		}
	assert_int_equal(session_out.id, SESSION_ID);
	assert_int_equal(session_out.connection, CONNECTION_ID);
	assert_int_equal(session_out.mppe_tx.index, 1ull << 33);
	assert_int_equal(session_out.mark.index, (1ull << 33) + 128);
	assert_string_equal(session_out.identity.user, "api-client");
	assert_true(session_out.ppp.peer_pfc && !session_out.ppp.peer_acfc);
	assert_true(session_out.call.rx_any && !session_out.call.tx_any_ack);
	assert_int_equal(session_out.ppp.ipcp_acked_hash, 0xabcdef01);
	assert_int_equal(connection_out.id, CONNECTION_ID);
	assert_int_equal(connection_out.tail_len, 3);
	assert_int_equal(connection_out.acked_bytes, 188);
	assert_true(connection_out.echo_pending && !connection_out.buffers_gaps);
	assert_int_equal(connection_out.tcp.snd0, 0xfffffff0);
}

static void
test_truncation(void **state)
{
	uint8_t a[RECORD_MAX], b[RECORD_MAX];

	(void)state;
	for
		EACH_KIND(k)
		{
			size_t n = encode(k, a);

			for (size_t i = 0; i < n; i++) {
				struct wr w = wr_init(b, i);

				assert_int_equal(decode(k, a, i), -1);
				assert_int_equal(errno, EBADMSG);
				assert_int_equal(k->encode(&w), -1);
				assert_int_equal(errno, ENOSPC);
			}
		}
}

static void
test_lying_lengths(void **state)
{
	uint8_t a[RECORD_MAX];

	(void)state;
	for
		EACH_KIND(k)
		{
			size_t n = encode(k, a);

			a[3]++; /* the record's length: one byte beyond */
			assert_int_equal(decode(k, a, n), -1);
			a[3]--;
			a[7]--; /* the id's length: one less, its value does not fit */
			assert_int_equal(decode(k, a, n), -1);
			assert_int_equal(errno, EBADMSG);
			a[7]++;
			a[1] = RECORD_VERSION + 1;
			assert_int_equal(decode(k, a, n), -1);
			assert_int_equal(errno, EPROTO);
			a[1] = 0;
			assert_int_equal(decode(k, a, n), -1);
			assert_int_equal(errno, EPROTO);
		}
}

static void
refused(const struct kind *k)
{
	uint8_t a[RECORD_MAX];
	size_t n = encode(k, a);

	assert_int_equal(decode(k, a, n), -1);
	assert_int_equal(errno, EPROTO);
	setup(NULL);
}

static void
test_values(void **state)
{
	(void)state;
	session_in.id = 0;
	refused(&kinds[0]);
	session_in.connection = 0;
	refused(&kinds[0]);
	session_in.call.call_id = 0;
	refused(&kinds[0]);
	session_in.mark.index = session_in.mppe_tx.index - 1; /* behind the key */
	refused(&kinds[0]);
	session_in.mark.index = RECORD_INDEX_MAX + 1;
	refused(&kinds[0]);
	session_in.mark.open = KEYS_ALL + 1;
	refused(&kinds[0]);
	session_in.mppe_rx.index = RECORD_INDEX_MAX + 1;
	refused(&kinds[0]);
	connection_in.id = 0;
	refused(&kinds[1]);
}

/* A session's bytes are no connection, and the other way round. */
static void
test_taken_for_the_other(void **state)
{
	uint8_t a[RECORD_MAX];
	size_t n;

	(void)state;
	n = encode(&kinds[0], a);
	assert_int_equal(decode(&kinds[1], a, n), -1);
	n = encode(&kinds[1], a);
	assert_int_equal(decode(&kinds[0], a, n), -1);
}

static void
test_unknown_tags_travel(void **state)
{
	static const uint8_t foreign[] = {0x7f, 0x01, 0x00, 0x03, 'n', 'e', 'w'};
	uint8_t a[RECORD_MAX];

	(void)state;
	for
		EACH_KIND(k)
		{
			memcpy(k->unknown, foreign, sizeof foreign);
			*k->unknown_len = sizeof foreign;
			size_t n = encode(k, a);

			assert_int_equal(decode(k, a, n), 0);
			same_again(k, a, n);
		}
	assert_int_equal(session_out.unknown_len, sizeof foreign);
	assert_memory_equal(connection_out.unknown, foreign, sizeof foreign);
}

static void
test_too_much_unknown(void **state)
{
	uint8_t a[RECORD_MAX];
	struct wr w = wr_init(a, sizeof a);

	(void)state;
	wr_u16(&w, RECORD_VERSION);
	wr_u16(&w, RECORD_UNKNOWN_MAX + 1 + 4);
	wr_u16(&w, 0x7f01);
	wr_u16(&w, RECORD_UNKNOWN_MAX + 1);
	wr_zero(&w, RECORD_UNKNOWN_MAX + 1);
	for
		EACH_KIND(k)
		{
			assert_int_equal(decode(k, a, wr_len(&w)), -1);
			assert_int_equal(errno, EBADMSG);
		}
}

static void
test_largest_fits(void **state)
{
	uint8_t a[RECORD_MAX];

	(void)state;
	memset(session_in.ppp.peer_name, 'x', PPP_NAME_MAX - 1);
	memset(session_in.identity.user, 'y', PPP_NAME_MAX - 1);
	memset(session_in.identity.acct_id, 'z', RECORD_ACCT_ID_LEN);
	connection_in.tail_len = sizeof connection_in.tail;
	connection_in.partial_len = sizeof connection_in.partial;
	for
		EACH_KIND(k)
		{
			struct wr w = wr_init(k->unknown, RECORD_UNKNOWN_MAX);

			wr_u16(&w, 0x7f01);
			wr_u16(&w, RECORD_UNKNOWN_MAX - 4);
			wr_zero(&w, RECORD_UNKNOWN_MAX - 4);
			*k->unknown_len = RECORD_UNKNOWN_MAX;
			size_t n = encode(k, a);

			assert_int_equal(decode(k, a, n), 0);
			same_again(k, a, n);
		}
}

static void
test_wipe(void **state)
{
	static const struct session_record no_session;
	static const struct connection_record no_connection;

	(void)state;
	session_record_wipe(&session_in);
	connection_record_wipe(&connection_in);
	assert_memory_equal(&session_in, &no_session, sizeof no_session);
	assert_memory_equal(&connection_in, &no_connection, sizeof no_connection);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_round_trip, setup),
	    cmocka_unit_test_setup(test_truncation, setup),
	    cmocka_unit_test_setup(test_lying_lengths, setup),
	    cmocka_unit_test_setup(test_values, setup),
	    cmocka_unit_test_setup(test_taken_for_the_other, setup),
	    cmocka_unit_test_setup(test_unknown_tags_travel, setup),
	    cmocka_unit_test_setup(test_too_much_unknown, setup),
	    cmocka_unit_test_setup(test_largest_fits, setup),
	    cmocka_unit_test_setup(test_wipe, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
