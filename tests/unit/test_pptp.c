/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PPTP control messages: golden packets beside their dissection, exact lengths, every header fault,
 * the round trip of every type, and the framer under every chopping.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pptpd/wire/pptp.h"

#define Z8  0, 0, 0, 0, 0, 0, 0, 0
#define Z32 Z8, Z8, Z8, Z8
#define Z64 Z32, Z32

/* What Android sends: framing 3, bearer 3, one channel, host "anonymous", no vendor. */
static const uint8_t sccrq[156] = {
    0x00, 0x9c,             /* length 156 */
    0x00, 0x01,             /* message type: control */
    0x1a, 0x2b, 0x3c, 0x4d, /* magic */
    0x00, 0x01,             /* control type: SCCRQ */
    0x00, 0x00,             /* reserved0 */
    0x01, 0x00,             /* protocol version 1.0 */
    0x00, 0x00,             /* reserved1 */
    0x00, 0x00, 0x00, 0x03, /* framing: async and sync */
    0x00, 0x00, 0x00, 0x03, /* bearer: analogue and digital */
    0x00, 0x01,             /* maximum channels */
    0x06, 0x90,             /* firmware revision */
    'a', 'n', 'o', 'n', 'y', 'm', 'o', 'u', 's', 0, 0, 0, 0, 0, 0, 0, Z32, Z8, Z8, /* host */
    Z64,                                                                           /* vendor */
};

static const uint8_t ocrq[168] = {
    0x00, 0xa8, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, /* length 168, control, magic */
    0x00, 0x07, 0x00, 0x00,                         /* OCRQ, reserved0 */
    0xc0, 0x01,                                     /* call id 49153 */
    0x00, 0x02,                                     /* serial number */
    0x00, 0x00, 0x09, 0x60,                         /* minimum 2,400 bit/s */
    0x00, 0x98, 0x96, 0x80,                         /* maximum 10,000,000 bit/s */
    0x00, 0x00, 0x00, 0x03,                         /* bearer type: any */
    0x00, 0x00, 0x00, 0x03,                         /* framing type: any */
    0x00, 0x03,                                     /* receive window 3 */
    0x00, 0x05,                                     /* processing delay 0.5 s */
    0x00, 0x0a, 0x00, 0x00,                         /* number length 10, reserved1 */
    'R', 'E', 'L', 'A', 'Y', '_', 'P', 'P', 'P', '1', 0, 0, 0, 0, 0, 0, Z32, Z8, Z8,
    Z64, /* subaddress */
};

static const uint8_t ocrp[32] = {
    0x00, 0x20, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, /* length 32, control, magic */
    0x00, 0x08, 0x00, 0x00,                         /* OCRP, reserved0 */
    0x12, 0x34,                                     /* call id of the sender */
    0xc0, 0x01,                                     /* call id of the peer */
    0x01, 0x00,                                     /* result: connected, error: none */
    0x00, 0x11,                                     /* cause code */
    0x05, 0xf5, 0xe1, 0x00,                         /* connect speed 100,000,000 */
    0x00, 0x40,                                     /* receive window 64 */
    0x00, 0x01,                                     /* processing delay 0.1 s */
    0x00, 0x00, 0x00, 0x2a,                         /* physical channel 42 */
};

static const uint8_t sli[24] = {
    0x00, 0x18, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, /* length 24, control, magic */
    0x00, 0x0f, 0x00, 0x00,                         /* SLI, reserved0 */
    0x12, 0x34, 0x00, 0x00,                         /* call id of the peer, reserved1 */
    0xff, 0xff, 0xff, 0xff,                         /* send ACCM */
    0x00, 0x0a, 0x00, 0x00,                         /* receive ACCM */
};

static const uint8_t cdn[148] = {
    0x00, 0x94, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, /* length 148, control, magic */
    0x00, 0x0d, 0x00, 0x00,                         /* CDN, reserved0 */
    0x12, 0x34,                                     /* call id of the sender */
    0x04, 0x00,                                     /* result: request, error: none */
    0x00, 0x10, 0x00, 0x00,                         /* cause code, reserved1 */
    Z64, Z64,                                       /* call statistics */
};

static const uint8_t echo_rp[20] = {
    0x00, 0x14, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d, /* length 20, control, magic */
    0x00, 0x06, 0x00, 0x00,                         /* EchoRP, reserved0 */
    0xde, 0xad, 0xbe, 0xef,                         /* identifier */
    0x01, 0x00, 0x00, 0x00,                         /* result: OK, error: none, reserved1 */
};

static const uint8_t wen[40] = {
    0x00, 0x28, 0x00, 0x01, 0x1a, 0x2b, 0x3c, 0x4d,                         /* 40 */
    0x00, 0x0e, 0x00, 0x00, 0x12, 0x34, 0x00, 0x00,                         /* WEN, peer's id */
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, /* crc, framing, hw */
    0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x06, /* buf, time, align */
};

/* Sizes as RFC 2637 §2.1 - 2.15 draw them, written down here a second time on purpose. */
static const size_t sizes[PPTP_TYPE_MAX + 1] = {
    0, 156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24};

/* Encoding is the same bytes, but for what the struct does not carry. */
static void
assert_encodes(const struct pptp_message *m, const uint8_t *bytes, size_t len)
{
	uint8_t buffer[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(buffer, sizeof(buffer));

	assert_int_equal(pptp_encode(m, &w), 0);
	assert_int_equal(wr_len(&w), len);
	assert_memory_equal(buffer, bytes, len);
}

static void
test_golden_sccrq(void **state)
{
	struct pptp_message m;

	assert_int_equal(pptp_parse(sccrq, sizeof(sccrq), &m), 0);
	assert_int_equal(m.type, PPTP_SCCRQ);
	assert_int_equal(m.version, PPTP_VERSION);
	assert_int_equal(m.framing, 3);
	assert_int_equal(m.bearer, 3);
	assert_int_equal(m.max_channels, 1);
	assert_int_equal(m.firmware, 0x0690);
	assert_string_equal(m.host, "anonymous");
	assert_string_equal(m.vendor, "");
	assert_encodes(&m, sccrq, sizeof(sccrq));
}

static void
test_golden_call(void **state)
{
	uint8_t plain[sizeof(ocrq)];
	struct pptp_message m;

	assert_int_equal(pptp_parse(ocrq, sizeof(ocrq), &m), 0);
	assert_int_equal(m.type, PPTP_OCRQ);
	assert_int_equal(m.call_id, 0xc001);
	assert_int_equal(m.serial, 2);
	assert_int_equal(m.min_bps, 2400);
	assert_int_equal(m.max_bps, 10000000);
	assert_int_equal(m.bearer, 3);
	assert_int_equal(m.framing, 3);
	assert_int_equal(m.window, 3);
	assert_int_equal(m.delay, 5);
	memcpy(plain, ocrq, sizeof(plain));
	memset(plain + 36, 0, sizeof(plain) - 36); /* we dial no number */
	assert_encodes(&m, plain, sizeof(plain));

	assert_int_equal(pptp_parse(ocrp, sizeof(ocrp), &m), 0);
	assert_int_equal(m.type, PPTP_OCRP);
	assert_int_equal(m.call_id, 0x1234);
	assert_int_equal(m.peer_call_id, 0xc001);
	assert_int_equal(m.result, 1);
	assert_int_equal(m.error, 0);
	assert_int_equal(m.cause, 17);
	assert_int_equal(m.speed, 100000000);
	assert_int_equal(m.window, 64);
	assert_int_equal(m.delay, 1);
	assert_int_equal(m.channel, 42);
	assert_encodes(&m, ocrp, sizeof(ocrp));
}

static void
test_golden_small(void **state)
{
	struct pptp_message m;

	assert_int_equal(pptp_parse(sli, sizeof(sli), &m), 0);
	assert_int_equal(m.peer_call_id, 0x1234);
	assert_int_equal(m.send_accm, 0xffffffff);
	assert_int_equal(m.recv_accm, 0x000a0000);
	assert_encodes(&m, sli, sizeof(sli));

	assert_int_equal(pptp_parse(cdn, sizeof(cdn), &m), 0);
	assert_int_equal(m.call_id, 0x1234);
	assert_int_equal(m.result, 4);
	assert_int_equal(m.cause, 16);
	assert_encodes(&m, cdn, sizeof(cdn));

	assert_int_equal(pptp_parse(echo_rp, sizeof(echo_rp), &m), 0);
	assert_int_equal(m.echo_id, 0xdeadbeef);
	assert_int_equal(m.result, 1);
	assert_encodes(&m, echo_rp, sizeof(echo_rp));

	assert_int_equal(pptp_parse(wen, sizeof(wen), &m), 0);
	assert_int_equal(m.peer_call_id, 0x1234);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(m.wan_errors[i], i + 1);
	assert_encodes(&m, wen, sizeof(wen));
}

static void
test_names_and_sizes(void **state)
{
	for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++) {
		assert_int_equal(pptp_size((uint8_t)type), sizes[type]);
		assert_string_not_equal(pptp_name((uint8_t)type), "?");
	}
	assert_int_equal(pptp_size(0), 0);
	assert_int_equal(pptp_size(PPTP_TYPE_MAX + 1), 0);
	assert_int_equal(pptp_size(255), 0);
	assert_string_equal(pptp_name(PPTP_SCCRQ), "SCCRQ");
	assert_string_equal(pptp_name(PPTP_SLI), "SLI");
	assert_string_equal(pptp_name(0), "?");
	assert_string_equal(pptp_name(99), "?");
}

static void
put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* A message whose body counts upwards, so that every field differs from its neighbours. */
static size_t
make_message(uint8_t *bytes, unsigned type)
{
	size_t len = sizes[type];

	memcpy(bytes, sccrq, PPTP_HEADER_LEN);
	put16(bytes, (unsigned)len);
	put16(bytes + 8, type);
	for (size_t i = PPTP_HEADER_LEN; i < len; i++)
		bytes[i] = (uint8_t)i;
	return len;
}

static void
test_truncated_at_each_byte(void **state)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct pptp_message m;

	for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++) {
		size_t len = make_message(bytes, type);

		assert_int_equal(pptp_parse(bytes, len, &m), 0);
		for (size_t cut = 0; cut < len; cut++) {
			/* A copy of its own, so that the sanitizer sees a read past the end. */
			uint8_t *copy = test_malloc(cut > 0 ? cut : 1);

			memcpy(copy, bytes, cut);
			errno = 0;
			assert_int_equal(pptp_parse(copy, cut, &m), -1);
			assert_int_equal(errno, EBADMSG);
			test_free(copy);
		}
	}
}

static void
test_length_off_by_one(void **state)
{
	uint8_t bytes[PPTP_MESSAGE_MAX + 2] = {0};
	struct pptp_message m;

	for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++) {
		for (int off = -1; off <= 1; off += 2) {
			size_t len = make_message(bytes, type);

			/* Header and data agree, but not with the type. */
			put16(bytes, (unsigned)((int)len + off));
			errno = 0;
			assert_int_equal(pptp_parse(bytes, (size_t)((int)len + off), &m), -1);
			assert_int_equal(
			    errno, len + 1 > PPTP_MESSAGE_MAX && off > 0 ? EBADMSG : EPROTO);
			/* The header is right, the data is not. */
			make_message(bytes, type);
			errno = 0;
			assert_int_equal(pptp_parse(bytes, (size_t)((int)len + off), &m), -1);
			assert_int_equal(errno, EBADMSG);
		}
	}
}

static void
assert_header_fault(size_t at, uint8_t value, int error)
{
	uint8_t bytes[sizeof(echo_rp)];
	struct pptp_message m;

	memcpy(bytes, echo_rp, sizeof(bytes));
	bytes[at] = value;
	errno = 0;
	assert_int_equal(pptp_parse(bytes, sizeof(bytes), &m), -1);
	assert_int_equal(errno, error);
}

static void
test_header_faults(void **state)
{
	assert_header_fault(0, 0x01, EBADMSG); /* length 276 */
	assert_header_fault(1, 0, EBADMSG);
	assert_header_fault(1, 11, EBADMSG);
	assert_header_fault(2, 1, EBADMSG); /* message type 257 */
	assert_header_fault(3, 0, EBADMSG);
	assert_header_fault(3, 2, EBADMSG); /* management message */
	for (size_t i = 4; i < 8; i++)
		assert_header_fault(i, echo_rp[i] ^ 0x01, EBADMSG); /* magic */
	assert_header_fault(9, 0, ENOMSG);
	assert_header_fault(9, 16, ENOMSG);
	assert_header_fault(8, 1, ENOMSG); /* type 0x0106 is not 6 */
	assert_header_fault(9, PPTP_SCCRQ, EPROTO);
}

static void
test_reserved0_is_tolerated(void **state)
{
	uint8_t bytes[sizeof(echo_rp)];
	struct pptp_message m;

	memcpy(bytes, echo_rp, sizeof(bytes));
	put16(bytes + 10, 0xbeef);
	assert_int_equal(pptp_parse(bytes, sizeof(bytes), &m), 0);
	assert_int_equal(m.reserved0, 0xbeef);
	assert_int_equal(m.echo_id, 0xdeadbeef);
	assert_encodes(&m, echo_rp, sizeof(echo_rp)); /* ours is zero again */
}

static void
test_text_fills_its_field(void **state)
{
	uint8_t bytes[sizeof(sccrq)];
	struct pptp_message m;

	memcpy(bytes, sccrq, sizeof(bytes));
	memset(bytes + 28, 'h', PPTP_HOSTNAME_LEN); /* no NUL anywhere */
	memcpy(bytes + 92, "v\0secret", 8);
	assert_int_equal(pptp_parse(bytes, sizeof(bytes), &m), 0);
	assert_int_equal(strlen(m.host), PPTP_HOSTNAME_LEN);
	assert_string_equal(m.vendor, "v");
	assert_int_equal(m.vendor[2], 0); /* nothing lurks behind the NUL */
	assert_int_equal(m.vendor[PPTP_VENDOR_LEN], 0);
}

/* Parse, encode, parse: the second struct is the first, for a body in which no field is alike. */
static void
test_round_trips(void **state)
{
	for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++) {
		uint8_t bytes[PPTP_MESSAGE_MAX], again[PPTP_MESSAGE_MAX], third[PPTP_MESSAGE_MAX];
		size_t len = make_message(bytes, type), kept = 0;
		struct wr w = wr_init(again, sizeof(again));
		struct wr v = wr_init(third, sizeof(third));
		struct pptp_message m, n;

		assert_int_equal(pptp_parse(bytes, len, &m), 0);
		assert_int_equal(pptp_encode(&m, &w), 0);
		assert_int_equal(wr_len(&w), len);
		assert_int_equal(pptp_parse(again, len, &n), 0);
		assert_memory_equal(&m, &n, sizeof(m));
		assert_int_equal(pptp_encode(&n, &v), 0);
		assert_memory_equal(again, third, len);
		/* Each byte is the original or reserved; the fields that we know all came through.
		 */
		for (size_t i = PPTP_HEADER_LEN; i < len; i++) {
			assert_true(again[i] == bytes[i] || again[i] == 0);
			kept += again[i] == bytes[i];
		}
		static const size_t fields[PPTP_TYPE_MAX + 1] = {
		    0, 142, 144, 1, 2, 4, 6, 24, 20, 12, 10, 14, 2, 6, 26, 10};
		assert_int_equal(kept, fields[type]);
	}
}

static void
test_encode_refuses(void **state)
{
	uint8_t buffer[PPTP_MESSAGE_MAX];
	struct pptp_message m = {.type = PPTP_OCRP};

	for (size_t room = 0; room < sizes[PPTP_OCRP]; room++) {
		struct wr w = wr_init(buffer, room);

		errno = 0;
		assert_int_equal(pptp_encode(&m, &w), -1);
		assert_int_equal(errno, ENOSPC);
		assert_int_equal(wr_len(&w), 0);
	}
	for (unsigned type = 0; type <= 255; type++) {
		struct wr w = wr_init(buffer, sizeof(buffer));

		if (type >= 1 && type <= PPTP_TYPE_MAX)
			continue;
		m.type = (uint8_t)type;
		errno = 0;
		assert_int_equal(pptp_encode(&m, &w), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(wr_len(&w), 0);
	}
}

struct seen {
	struct pptp_message messages[32];
	size_t count, stop_at;
};

static bool
on_message(void *arg, const struct pptp_message *m)
{
	struct seen *s = arg;

	assert_true(s->count < 32);
	s->messages[s->count++] = *m;
	return s->count != s->stop_at;
}

/* All types in one stream, fed in pieces of every size: always the same 15 messages. */
static void
test_framer_chopping(void **state)
{
	uint8_t stream[PPTP_TYPE_MAX * PPTP_MESSAGE_MAX];
	size_t len = 0;

	for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++)
		len += make_message(stream + len, type);
	for (size_t piece = 1; piece <= len; piece++) {
		struct seen seen = {0};
		struct pptp_framer f;

		pptp_framer_init(&f);
		for (size_t at = 0; at < len; at += piece) {
			size_t n = len - at < piece ? len - at : piece;

			assert_int_equal(
			    pptp_framer_feed(&f, stream + at, n, on_message, &seen), 0);
		}
		assert_int_equal(seen.count, PPTP_TYPE_MAX);
		assert_int_equal(f.have, 0);
		for (unsigned type = 1; type <= PPTP_TYPE_MAX; type++) {
			uint8_t bytes[PPTP_MESSAGE_MAX];
			struct pptp_message m;

			assert_int_equal(pptp_parse(bytes, make_message(bytes, type), &m), 0);
			assert_memory_equal(&seen.messages[type - 1], &m, sizeof(m));
		}
	}
}

/* Each fault is known at the byte that makes it, fed one by one, and the stream stays dead. */
static void
test_framer_faults(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		size_t known_at;
		int error;
	} faults[] = {
	    {0, 'G', 2, EBADMSG}, /* "GET" */
	    {1, 11, 2, EBADMSG},
	    {1, 221, 2, EBADMSG},
	    {3, 2, 4, EBADMSG},
	    {4, 0, 8, EBADMSG},
	    {7, 0, 8, EBADMSG},
	    {9, PPTP_SCCRQ, 12, EPROTO},
	    {1, 21, 12, EPROTO},
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		uint8_t bytes[sizeof(echo_rp)];
		struct seen seen = {0};
		struct pptp_framer f;

		pptp_framer_init(&f);
		assert_int_equal(pptp_framer_feed(&f, sli, sizeof(sli), on_message, &seen), 0);
		memcpy(bytes, echo_rp, sizeof(bytes));
		bytes[faults[i].at] = faults[i].value;
		for (size_t n = 1; n < faults[i].known_at; n++)
			assert_int_equal(
			    pptp_framer_feed(&f, bytes + n - 1, 1, on_message, &seen), 0);
		for (int again = 0; again < 2; again++) {
			errno = 0;
			assert_int_equal(pptp_framer_feed(&f, bytes + faults[i].known_at - 1, 1,
					     on_message, &seen),
			    -1);
			assert_int_equal(errno, faults[i].error);
		}
		errno = 0;
		assert_int_equal(pptp_framer_feed(&f, sli, sizeof(sli), on_message, &seen), -1);
		assert_int_equal(seen.count, 1);
	}
}

static void
test_framer_unknown_type(void **state)
{
	uint8_t stream[sizeof(echo_rp) * 2 + sizeof(sli)];
	struct seen seen = {0};
	struct pptp_framer f;
	struct pptp_message expected = {.type = 99};

	memcpy(stream, echo_rp, sizeof(echo_rp));
	put16(stream + 8, 99);
	put16(stream + 10, 7);
	memcpy(stream + 20, echo_rp, sizeof(echo_rp));
	put16(stream + 28, 0x0101); /* does not become SCCRQ */
	memcpy(stream + 40, sli, sizeof(sli));
	pptp_framer_init(&f);
	assert_int_equal(pptp_framer_feed(&f, stream, sizeof(stream), on_message, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_memory_equal(&seen.messages[0], &expected, sizeof(expected));
	assert_int_equal(seen.messages[1].type, 255);
	assert_int_equal(seen.messages[2].type, PPTP_SLI);
}

static void
test_framer_stops_when_told(void **state)
{
	uint8_t stream[2 * sizeof(sli) + 5];
	struct seen seen = {.stop_at = 1};
	struct pptp_framer f;

	memcpy(stream, sli, sizeof(sli));
	memcpy(stream + sizeof(sli), sli, sizeof(sli));
	memcpy(stream + 2 * sizeof(sli), sli, 5);
	pptp_framer_init(&f);
	assert_int_equal(pptp_framer_feed(&f, stream, sizeof(stream), on_message, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(f.have, 0);
	assert_int_equal(pptp_framer_feed(&f, NULL, 0, on_message, &seen), 0);
	assert_int_equal(seen.count, 1);
}

/* A stream is handed over at every byte: what one framer holds, another goes on from. */
static void
test_framer_continues(void **state)
{
	uint8_t stream[sizeof(sli) + sizeof(echo_rp)];

	memcpy(stream, sli, sizeof(sli));
	memcpy(stream + sizeof(sli), echo_rp, sizeof(echo_rp));
	for (size_t at = 0; at <= sizeof(stream); at++) {
		struct seen seen = {0};
		struct pptp_framer a, b;
		const uint8_t *partial;
		size_t len;

		pptp_framer_init(&a);
		assert_int_equal(pptp_framer_feed(&a, stream, at, on_message, &seen), 0);
		partial = pptp_framer_partial(&a, &len);
		assert_int_equal(pptp_framer_continue(&b, partial, len), 0);
		assert_int_equal(
		    pptp_framer_feed(&b, stream + at, sizeof(stream) - at, on_message, &seen), 0);
		assert_int_equal(seen.count, 2);
		assert_int_equal(seen.messages[0].type, PPTP_SLI);
		assert_int_equal(seen.messages[1].type, PPTP_ECHO_RP);
	}
}

static void
test_framer_continues_from_no_nonsense(void **state)
{
	struct pptp_framer f;
	uint8_t bad[sizeof(sli)];

	assert_int_equal(pptp_framer_continue(&f, sli, sizeof(sli)), -1); /* a whole message */
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(f.have, 0);
	memcpy(bad, sli, sizeof(sli));
	bad[4] ^= 1; /* magic */
	assert_int_equal(pptp_framer_continue(&f, bad, 7), 0);
	assert_int_equal(pptp_framer_continue(&f, bad, 8), -1);
	assert_int_equal(errno, EBADMSG);
	memcpy(bad, sli, sizeof(sli));
	bad[1]++; /* not the length of its type */
	assert_int_equal(pptp_framer_continue(&f, bad, 11), 0);
	assert_int_equal(pptp_framer_continue(&f, bad, 12), -1);
	assert_int_equal(errno, EPROTO);
}

/* The first k bytes of a message were lost: the next whole one is found, and only what is whole. */
static void
test_framer_seeks(void **state)
{
	uint8_t stream[2 * sizeof(sli) + sizeof(echo_rp)];

	memcpy(stream, sli, sizeof(sli));
	memcpy(stream + sizeof(sli), sli, sizeof(sli));
	put16(stream + sizeof(sli) + 8, 99); /* a type that nobody knows is not trusted */
	memcpy(stream + 2 * sizeof(sli), echo_rp, sizeof(echo_rp));
	for (size_t lost = 0; lost <= sizeof(sli); lost++) {
		for (size_t step = 1; step < 40; step++) {
			struct seen seen = {0};
			struct pptp_framer f;

			pptp_framer_init(&f);
			assert_int_equal(pptp_framer_feed(&f, sli, 5, on_message, &seen), 0);
			pptp_framer_seek(&f);
			for (size_t at = lost; at < sizeof(stream); at += step)
				assert_int_equal(
				    pptp_framer_feed(&f, stream + at,
					sizeof(stream) - at < step ? sizeof(stream) - at : step,
					on_message, &seen),
				    0);
			if (lost == 0) { /* nothing to seek: it is trusted again at once */
				assert_int_equal(seen.count, 3);
				continue;
			}
			assert_int_equal(seen.count, 1);
			assert_int_equal(seen.messages[0].type, PPTP_ECHO_RP);
			assert_false(f.seeking);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden_sccrq),
	    cmocka_unit_test(test_golden_call),
	    cmocka_unit_test(test_golden_small),
	    cmocka_unit_test(test_names_and_sizes),
	    cmocka_unit_test(test_truncated_at_each_byte),
	    cmocka_unit_test(test_length_off_by_one),
	    cmocka_unit_test(test_header_faults),
	    cmocka_unit_test(test_reserved0_is_tolerated),
	    cmocka_unit_test(test_text_fills_its_field),
	    cmocka_unit_test(test_round_trips),
	    cmocka_unit_test(test_encode_refuses),
	    cmocka_unit_test(test_framer_chopping),
	    cmocka_unit_test(test_framer_faults),
	    cmocka_unit_test(test_framer_unknown_type),
	    cmocka_unit_test(test_framer_stops_when_told),
	    cmocka_unit_test(test_framer_continues),
	    cmocka_unit_test(test_framer_continues_from_no_nonsense),
	    cmocka_unit_test(test_framer_seeks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
