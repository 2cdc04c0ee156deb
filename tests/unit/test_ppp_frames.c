/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Frame by frame: what LCP, CHAP, CCP and IPCP answer to what real clients send. Option lists are
 * those of pppd and of Windows; bytes are written out with their dissection.
 */
#include <errno.h>

#include "tests/unit/ppp_pair.h"

#define MPPE_ONLY "\x12\x06\x01\x00\x00\x40"

/* Injects into the server; each test writes code, id and options as one string. */
static void
give(struct wire *w, uint16_t protocol, const char *bytes, size_t len)
{
	w->n_sent = 0;
	inject(w, SERVER, protocol, (uint8_t)bytes[0], (uint8_t)bytes[1], bytes + 2, len - 2);
}

#define GIVE(w, protocol, s) give(w, protocol, s, sizeof(s) - 1)

/* The server's one answer: code, id, options. */
static void
expect(struct wire *w, uint16_t protocol, const char *bytes, size_t len)
{
	assert_int_equal(w->n_sent, 1);
	assert_int_equal(w->sent[0].protocol, protocol);
	assert_int_equal(w->sent[0].len, len + 2);
	assert_memory_equal(w->sent[0].bytes, bytes, 2);
	assert_memory_equal(w->sent[0].bytes + 4, bytes + 2, len - 2);
}

#define EXPECT(w, protocol, s) expect(w, protocol, s, sizeof(s) - 1)

static void
expect_nothing(struct wire *w)
{
	assert_int_equal(w->n_sent, 0);
}

static void
expect_failure(struct wire *w, enum ppp_cause cause, const char *detail)
{
	struct end *s = &w->ends[SERVER];

	w->mute = true;
	loop_advance(w->loop, 7000);
	assert_int_equal(s->ends, 1);
	assert_string_equal(ppp_cause_name(s->cause), ppp_cause_name(cause));
	assert_string_equal(s->detail, detail);
}

static void
lcp_first_request(void **state)
{
	struct wire w;

	server_alone(&w);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(w.sent[0].protocol, PPP_LCP);
	assert_int_equal(w.sent[0].len, 19);
	assert_memory_equal(w.sent[0].bytes,
	    "\x01\x01\x00\x13"     /* Configure-Request 1, 19 bytes */
	    "\x01\x04\x05\x78"     /* MRU 1400 */
	    "\x03\x05\xc2\x23\x81" /* CHAP, MS-CHAPv2 */
	    "\x05\x06",            /* magic number */
	    15);
	wire_fini(&w);
}

static void
lcp_rejects(void **state)
{
	struct wire w;

	server_alone(&w);
	GIVE(&w, PPP_LCP,
	    "\x01\x07"
	    "\x01\x04\x05\x78"                     /* MRU 1400 */
	    "\x05\x06\x11\x22\x33\x44"             /* magic */
	    "\x07\x02\x08\x02"                     /* PFC, ACFC */
	    "\x0d\x03\x06"                         /* callback: CBCP */
	    "\x11\x04\x06\x4e"                     /* MRRU 1614 */
	    "\x12\x02"                             /* short sequence numbers */
	    "\x13\x09\x03\x02\x00\x00\x00\x00\x01" /* endpoint discriminator */
	    "\x17\x04\x00\x01"                     /* link discriminator */
	    "\x03\x04\xc0\x23"                     /* authenticate yourself with PAP */
	    "\x04\x04\xc0\x25"                     /* link quality */
	    "\xf0\x03\x01");                       /* nobody knows */
	EXPECT(&w, PPP_LCP,
	    "\x04\x07\x0d\x03\x06\x11\x04\x06\x4e\x12\x02\x13\x09\x03\x02\x00\x00\x00\x00\x01"
	    "\x17\x04\x00\x01\x03\x04\xc0\x23\x04\x04\xc0\x25\xf0\x03\x01");
	GIVE(&w, PPP_LCP,
	    "\x01\x08\x01\x04\x05\x78\x02\x06\x00\x00\x00\x00\x05\x06\x11\x22\x33\x44\x07\x02\x08"
	    "\x02");
	EXPECT(&w, PPP_LCP,
	    "\x02\x08\x01\x04\x05\x78\x02\x06\x00\x00\x00\x00\x05\x06\x11\x22\x33\x44\x07\x02\x08"
	    "\x02");
	wire_fini(&w);
}

static void
lcp_naks(void **state)
{
	struct wire w;

	server_alone(&w);
	GIVE(&w, PPP_LCP, "\x01\x01\x01\x04\x00\x7f");
	EXPECT(&w, PPP_LCP, "\x03\x01\x01\x04\x00\x80"); /* at least 128 */
	GIVE(&w, PPP_LCP, "\x01\x02\x01\x04\x00\x80");
	EXPECT(&w, PPP_LCP, "\x02\x02\x01\x04\x00\x80");
	GIVE(&w, PPP_LCP, "\x01\x03\x01\x04\xff\xff");
	EXPECT(&w, PPP_LCP, "\x02\x03\x01\x04\xff\xff");
	GIVE(&w, PPP_LCP, "\x01\x04\x05\x06\x00\x00\x00\x00");
	assert_int_equal(w.sent[0].bytes[0], CP_CONF_NAK);
	assert_memory_not_equal(w.sent[0].bytes + 6, "\0\0\0\0", 4);
	wire_fini(&w);
}

/* Our first request may have come before the peer listened: it is repeated soon, once the peer
 * speaks. */
static void
lcp_asks_again_when_the_peer_speaks(void **state)
{
	struct wire w;

	server_alone(&w);
	w.n_sent = 0;
	loop_advance(w.loop, 100);
	GIVE(&w, PPP_LCP, "\x01\x01\x01\x04\x05\x78");
	EXPECT(&w, PPP_LCP, "\x02\x01\x01\x04\x05\x78");
	w.n_sent = 0;
	loop_advance(w.loop, 999);
	assert_int_equal(w.n_sent, 0);
	loop_advance(w.loop, 1);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(w.sent[0].bytes[0], CP_CONF_REQ);
	wire_fini(&w);
}

/* The peer naks our MRU: less is taken, more or nonsense is not. */
static void
lcp_mru_naked(void **state)
{
	static const struct {
		const char *nak;
		const char *request;
	} rows[] = {
	    {"\x03\x01\x01\x04\x05\x14", "\x01\x04\x05\x14"},
	    {"\x03\x01\x01\x04\x05\xdc", "\x01\x04\x05\x78"},
	    {"\x03\x01\x01\x04\x00\x7f", "\x01\x04\x05\x78"},
	    {"\x03\x01\x01\x04\x00\x80", "\x01\x04\x00\x80"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w;

		server_alone(&w);
		give(&w, PPP_LCP, rows[i].nak, 6);
		assert_int_equal(w.n_sent, 1);
		assert_memory_equal(w.sent[0].bytes, "\x01\x02", 2);
		assert_memory_equal(w.sent[0].bytes + 4, rows[i].request, 4);
		wire_fini(&w);
	}
}

static void
lcp_authentication_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *detail;
	} rows[] = {
	    {"\x03\x01\x03\x04\xc0\x23", 6, "peer refuses MS-CHAPv2 and offers PAP"},
	    {"\x03\x01\x03\x04\xc2\x27", 6, "peer refuses MS-CHAPv2 and offers EAP"},
	    {"\x03\x01\x03\x05\xc2\x23\x05", 7, "peer refuses MS-CHAPv2 and offers CHAP-MD5"},
	    {"\x03\x01\x03\x05\xc2\x23\x80", 7, "peer refuses MS-CHAPv2 and offers MS-CHAP"},
	    {"\x03\x01\x03\x02", 4, "peer refuses MS-CHAPv2 and offers an unknown method"},
	    {"\x04\x01\x03\x05\xc2\x23\x81", 7, "peer refuses to authenticate"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w;

		server_alone(&w);
		give(&w, PPP_LCP, rows[i].bytes, rows[i].len);
		expect_failure(&w, PPP_CAUSE_AUTH_REFUSED, rows[i].detail);
		wire_fini(&w);
	}
}

/* Acks whatever LCP asked last. */
static void
ack_lcp(struct wire *w)
{
	const struct sent *f = NULL, *next;

	for (unsigned n = 0; (next = find_sent(w, SERVER, PPP_LCP, CP_CONF_REQ, n)) != NULL; n++)
		f = next;
	assert_non_null(f);
	inject(w, SERVER, PPP_LCP, CP_CONF_ACK, f->bytes[1], f->bytes + 4, f->len - 4);
}

/* Opening LCP again and again buys no time for a peer that does not authenticate. */
static void
lcp_reopened_before_authentication(void **state)
{
	struct wire w;

	server_alone(&w);
	for (uint8_t id = 1; id <= 29; id++) {
		inject(&w, SERVER, PPP_LCP, CP_CONF_REQ, id, NULL, 0);
		ack_lcp(&w);
		assert_int_equal(w.ends[SERVER].p->lcp.state, CP_OPENED);
		w.n_sent = 0;
		loop_advance(w.loop, 1000);
	}
	loop_advance(w.loop, 1000);
	expect_failure(&w, PPP_CAUSE_AUTH_TIMEOUT, "not authenticated in time");
	wire_fini(&w);
}

/* Nor does acking for ever without asking, when an open link starts over. */
static void
lcp_acked_for_ever(void **state)
{
	struct wire w;

	connect(&w);
	w.mute = true;
	ppp_renegotiate(w.ends[SERVER].p);
	for (int n = 0; n < 20; n++) {
		ack_lcp(&w);
		w.n_sent = 0;
		loop_advance(w.loop, 3000);
	}
	expect_failure(&w, PPP_CAUSE_NEGOTIATION, "no agreement on LCP in time");
	wire_fini(&w);
}

static void
lcp_peer_gives_up(void **state)
{
	struct wire w;

	server_alone(&w);
	GIVE(&w, PPP_LCP, "\x05\x09");
	EXPECT(&w, PPP_LCP, "\x06\x09");
	loop_advance(w.loop, 30000);
	expect_failure(&w, PPP_CAUSE_PEER, "peer gives up on LCP");
	wire_fini(&w);
}

static void
lcp_nak_for_ever(void **state)
{
	struct wire w;

	server_alone(&w);
	for (char id = 1; id <= 11; id++) {
		char nak[] = "\x03\x01\x05\x06\x01\x02\x03\x04";

		nak[1] = id;
		give(&w, PPP_LCP, nak, 8);
	}
	expect_failure(&w, PPP_CAUSE_NEGOTIATION, "peer naks every LCP request");
	wire_fini(&w);
}

static void
lcp_echo(void **state)
{
	struct wire w;
	uint8_t body[1004] = {0};
	struct rd magic;

	wire_init(&w, 1);
	w.ends[CLIENT].c.mru = 200;
	wire_open(&w);
	assert_true(run_until_up(&w, 1000));
	assert_int_equal(w.ends[SERVER].mtu, 196);
	w.n_sent = 0;
	memcpy(body + 4, "data", 4);
	inject(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 42, body, 8);
	assert_int_equal(w.n_sent, 1);
	assert_memory_equal(w.sent[0].bytes, "\x0a\x2a\x00\x0c", 4);
	assert_memory_equal(w.sent[0].bytes + 8, "data", 4);
	magic = rd_init(w.sent[0].bytes + 4, 4);
	assert_int_equal(rd_u32(&magic), w.ends[SERVER].p->our_magic);
	w.n_sent = 0;
	inject(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 43, body, sizeof(body)); /* fits the peer's MRU */
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(w.sent[0].len, 200);
	for (size_t len = 0; len < 4; len++) /* no magic number */
		inject(&w, SERVER, PPP_LCP, CP_ECHO_REQ, 44, body, len);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 4);
	wire_fini(&w);
}

static void
lcp_swallows(void **state)
{
	struct wire w;

	connect(&w);
	GIVE(&w, PPP_LCP, "\x0c\x01\x11\x22\x33\x44MSRASV5.20"); /* Identification */
	expect_nothing(&w);
	GIVE(&w, PPP_LCP, "\x0d\x01\x11\x22\x33\x44\x00\x00\x00\x3c"); /* Time-Remaining */
	expect_nothing(&w);
	GIVE(&w, PPP_LCP, "\x0b\x01\x11\x22\x33\x44");
	expect_nothing(&w);
	GIVE(&w, PPP_LCP, "\x07\x01\x0c\x01\x00\x04"); /* Code-Reject of Identification */
	expect_nothing(&w);
	GIVE(&w, PPP_LCP, "\x08\x01\x80\x57"); /* Protocol-Reject of IPV6CP */
	expect_nothing(&w);
	GIVE(&w, PPP_LCP, "\x08\x01\x00\xfd"); /* of MPPE data: it was not ready yet */
	expect_nothing(&w);
	assert_true(w.ends[SERVER].p->up);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 0);
	GIVE(&w, PPP_LCP, "\x08\x01\x80");
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 1);
	wire_fini(&w);
}

static void
protocols_rejected_by_the_peer(void **state)
{
	static const struct {
		const char *bytes;
		enum ppp_cause cause;
		const char *detail;
	} rows[] = {
	    {"\x08\x01\x80\xfd", PPP_CAUSE_NO_MPPE, "peer rejects CCP"},
	    {"\x08\x01\x80\x21", PPP_CAUSE_NEGOTIATION, "peer rejects IPCP"},
	    {"\x08\x01\xc0\x21", PPP_CAUSE_NEGOTIATION, "peer rejects LCP"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w;

		connect(&w);
		give(&w, PPP_LCP, rows[i].bytes, 4);
		expect_failure(&w, rows[i].cause, rows[i].detail);
		wire_fini(&w);
	}
}

static void
unknown_protocols(void **state)
{
	static const uint16_t protocols[] = {PPP_IPV6CP, PPP_IPV6, PPP_PAP, 0x8281, 0x002d};
	struct wire w;

	connect(&w);
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		w.n_sent = 0;
		ppp_input(w.ends[SERVER].p, protocols[i], (const uint8_t *)"\x01\x01\x00\x04", 4);
		assert_int_equal(w.n_sent, 1);
		assert_int_equal(w.sent[0].bytes[0], CP_PROTO_REJ);
		assert_int_equal(w.sent[0].bytes[4] << 8 | w.sent[0].bytes[5], protocols[i]);
		assert_memory_equal(w.sent[0].bytes + 6, "\x01\x01\x00\x04", 4);
	}
	w.n_sent = 0;
	ppp_unknown_protocol(w.ends[SERVER].p, PPP_IPV6, (const uint8_t *)"x", 1, false);
	assert_int_equal(w.n_sent, 1);
	ppp_unknown_protocol(w.ends[SERVER].p, PPP_IPV6, (const uint8_t *)"x", 1, true);
	ppp_input(
	    w.ends[SERVER].p, PPP_IP, (const uint8_t *)"x", 1); /* rejected, IP would be over */
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->unknown, 8);
	assert_true(w.ends[SERVER].p->up);
	wire_fini(&w);
}

/* A server whose peer plays `missing` by hand: the client's own frames of it are lost. */
static uint16_t by_hand_1, by_hand_2;

static bool
lose_by_hand(struct wire *w, int from, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	return protocol == by_hand_1 || protocol == by_hand_2;
}

static void
play(struct wire *w, uint16_t protocol_1, uint16_t protocol_2)
{
	wire_init(w, 1);
	w->ends[CLIENT].c.max_configure = 200; /* patient: the server gives up first */
	by_hand_1 = protocol_1;
	by_hand_2 = protocol_2;
	w->filter = lose_by_hand;
	wire_open(w);
	loop_advance(w->loop, 100);
	w->ends[SERVER].wire->n_sent = 0;
}

struct response {
	uint8_t body[1 + 49 + 64];
	size_t len;
};

static struct response
respond(const struct wire *w, const char *name, const char *hash_name)
{
	struct response r;
	struct wr b = wr_init(r.body, sizeof(r.body));
	uint8_t nt_hash[16], nt_response[24], peer_challenge[16] = "fifteen letters";

	assert_int_equal(mschap_nt_hash("Very$trongP@ss", nt_hash), 0);
	mschap_nt_response(w->ends[SERVER].p->chap.auth_challenge, peer_challenge, hash_name,
	    nt_hash, nt_response);
	wr_u8(&b, 49);
	wr_copy(&b, peer_challenge, 16);
	wr_zero(&b, 8);
	wr_copy(&b, nt_response, 24);
	wr_u8(&b, 0);
	wr_copy(&b, name, strlen(name));
	assert_true(wr_ok(&b));
	r.len = wr_len(&b);
	return r;
}

static void
expect_success(struct wire *w)
{
	const struct sent *f = find_sent(w, SERVER, PPP_CHAP, 3, 0);

	assert_non_null(f);
	assert_int_equal(f->bytes[1], 1);
	assert_int_equal(f->len, 4 + 42 + 17);
	assert_memory_equal(f->bytes + 4, "S=", 2);
	assert_memory_equal(f->bytes + 4 + 42, " M=Access granted", 17);
	assert_true(w->ends[SERVER].p->authenticated);
}

static void
chap_accepts(void **state)
{
	static const struct {
		const char *name, *hash_name;
		uint8_t flags;
	} rows[] = {
	    {"api-client", "api-client", 0},
	    {"api-client", "api-client", 4}, /* Windows 98 */
	    {"OFFICE\\api-client", "api-client", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w;
		struct response r;
		struct ppp_state s;

		play(&w, PPP_CHAP, 0);
		r = respond(&w, rows[i].name, rows[i].hash_name);
		r.body[49] = rows[i].flags;
		inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len);
		expect_success(&w);
		ppp_get_state(w.ends[SERVER].p, &s);
		assert_string_equal(s.peer_name, rows[i].name);
		w.n_sent = 0;
		inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len); /* Success was lost */
		expect_success(&w);
		r.body[1] ^= 1; /* another one is no repetition */
		w.n_sent = 0;
		inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len);
		expect_nothing(&w);
		assert_int_equal(w.ends[SERVER].verified, 1);
		assert_int_equal(w.ends[SERVER].keys, 1);
		wire_fini(&w);
	}
}

static void
chap_malformed(void **state)
{
	struct wire w;
	struct response r;

	play(&w, PPP_CHAP, 0);
	r = respond(&w, "api-client", "api-client");
	for (size_t len = 0; len < 50; len++)
		inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, len);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 50);
	r.body[0] = 48;
	inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len);
	r.body[0] = 49;
	r.body[52] = '\0';
	inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 52);
	ppp_input(w.ends[SERVER].p, PPP_CHAP, (const uint8_t *)"\x02\x01\x00", 3);
	ppp_input(w.ends[SERVER].p, PPP_CHAP, (const uint8_t *)"\x02\x01\x00\x03", 4);
	ppp_input(w.ends[SERVER].p, PPP_CHAP, (const uint8_t *)"\x02\x01\x00\x05", 4);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 55);
	r = respond(&w, "api-client", "api-client");
	inject(&w, SERVER, PPP_CHAP, 2, 2, r.body, r.len); /* to another challenge */
	inject(&w, SERVER, PPP_CHAP, 1, 1, r.body, r.len); /* a challenge for the server */
	inject(&w, SERVER, PPP_CHAP, 3, 1, "S=", 2);
	assert_int_equal(w.ends[SERVER].verified, 0);
	expect_nothing(&w);
	inject(&w, SERVER, PPP_CHAP, 2, 1, r.body, r.len);
	expect_success(&w);
	wire_fini(&w);
}

static void
chap_longest_name(void **state)
{
	struct wire w;
	uint8_t body[50 + PPP_NAME_MAX];

	play(&w, PPP_CHAP, 0);
	memset(body, 'n', sizeof(body));
	body[0] = 49;
	inject(&w, SERVER, PPP_CHAP, 2, 1, body, sizeof(body));
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->malformed, 1);
	inject(&w, SERVER, PPP_CHAP, 2, 1, body, sizeof(body) - 1);
	assert_int_equal(w.ends[SERVER].verified, 1);
	expect_failure(&w, PPP_CAUSE_AUTH_FAILED, "authentication failed");
	wire_fini(&w);
}

/* Only a client is asked again; it answers and keeps its keys. */
static void
chap_asked_again(void **state)
{
	const struct sent *f;
	struct wire w;

	connect(&w);
	w.mute = true;
	inject(&w, CLIENT, PPP_CHAP, 1, 9, "\x10sixteen letters.pptpd", 22);
	f = find_sent(&w, CLIENT, PPP_CHAP, 2, 0);
	assert_non_null(f);
	assert_int_equal(f->bytes[1], 9);
	assert_int_equal(f->bytes[4], 49);
	inject(&w, CLIENT, PPP_CHAP, 3, 9, w.ends[CLIENT].p->chap.auth_response, 42);
	assert_int_equal(w.ends[CLIENT].p->chap.state, CHAP_DONE);
	assert_int_equal(w.ends[CLIENT].keys, 1);
	assert_true(w.ends[CLIENT].p->up);
	wire_fini(&w);
}

/* pppd never repeats its response: a lost Success must come again by itself. */
static void
chap_success_repeated(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	loop_advance(w.loop, 3000);
	expect_success(&w);
	GIVE(&w, PPP_CCP, "\x01\x05\x12\x06\x01\x00\x00\x60"); /* it has heard */
	w.n_sent = 0;
	loop_advance(w.loop, 3000);
	assert_non_null(find_sent(&w, SERVER, PPP_CCP, CP_CONF_REQ, 0));
	assert_null(find_sent(&w, SERVER, PPP_CHAP, 3, 0));
	wire_fini(&w);
}

static void
ccp_narrows_every_offer(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
	    {"\x01\x05\x12\x06\x01\x00\x00\x60", 8}, {"\x01\x05\x12\x06\x01\x00\x00\xe1", 8},
	    {"\x01\x05\x12\x06\x00\x00\x00\x40", 8}, /* stateful */
	    {"\x01\x05\x12\x06\x01\x00\x00\x20", 8}, /* 40 bits */
	    {"\x01\x05\x12\x06\x00\x00\x00\x00", 8}, {"\x01\x05\x12\x05\x01\x00\x00", 7},
	    {"\x01\x05\x12\x02", 4}, {"\x01\x05\x12\x07\x01\x00\x00\x40\x00", 9},
	    {"\x01\x05", 2}, /* no MPPE at all */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w;

		play(&w, PPP_CCP, PPP_IPCP);
		assert_true(w.ends[SERVER].p->authenticated);
		give(&w, PPP_CCP, rows[i].bytes, rows[i].len);
		EXPECT(&w, PPP_CCP, "\x03\x05" MPPE_ONLY);
		GIVE(&w, PPP_CCP, "\x01\x06" MPPE_ONLY);
		EXPECT(&w, PPP_CCP, "\x02\x06" MPPE_ONLY);
		wire_fini(&w);
	}
}

static void
ccp_rejects_compressors(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	GIVE(&w, PPP_CCP, "\x01\x05\x1a\x04\x78\x00\x18\x04\x78\x00\x15\x03\x2f" MPPE_ONLY);
	EXPECT(&w, PPP_CCP, "\x04\x05\x1a\x04\x78\x00\x18\x04\x78\x00\x15\x03\x2f");
	wire_fini(&w);
}

static void
ccp_asks_for_one_mode(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	GIVE(&w, PPP_CCP, "\x03\x01\x12\x06\x01\x00\x00\x60");
	EXPECT(&w, PPP_CCP, "\x01\x02" MPPE_ONLY);
	GIVE(&w, PPP_CCP, "\x04\x02" MPPE_ONLY);
	expect_failure(&w, PPP_CAUSE_NO_MPPE, "peer rejects MPPE");
	wire_fini(&w);
}

static void
ccp_gives_up(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	for (int n = 0; n < 6; n++)
		GIVE(&w, PPP_CCP, "\x01\x05\x12\x06\x00\x00\x00\x20");
	expect_failure(
	    &w, PPP_CAUSE_NO_MPPE, "peer does not agree to MPPE 128 stateless, its bits=00000020");
	wire_fini(&w);
	play(&w, PPP_CCP, PPP_IPCP);
	loop_advance(w.loop, 30000);
	expect_failure(&w, PPP_CAUSE_NO_MPPE, "peer does not answer CCP");
	wire_fini(&w);
	play(&w, PPP_CCP, PPP_IPCP);
	GIVE(&w, PPP_CCP, "\x05\x05no");
	expect_failure(&w, PPP_CAUSE_NO_MPPE, "peer closes CCP");
	wire_fini(&w);
	play(&w, PPP_CCP, PPP_IPCP); /* acks, but never asks: the phase is bounded all the same */
	for (int s = 0; s < 59 && w.ends[SERVER].ends == 0; s++) {
		char ack[] = "\x02\x01" MPPE_ONLY;

		ack[1] = (char)w.ends[SERVER].p->ccp.request_id;
		give(&w, PPP_CCP, ack, 8);
		loop_advance(w.loop, 1000);
	}
	expect_failure(&w, PPP_CAUSE_NO_MPPE, "no agreement on MPPE in time, peer's bits=00000000");
	wire_fini(&w);
}

static void
ccp_resets(void **state)
{
	struct wire w;

	connect(&w);
	GIVE(&w, PPP_CCP, "\x0e\x2a");
	EXPECT(&w, PPP_CCP, "\x0f\x2a");
	GIVE(&w, PPP_CCP, "\x0f\x2b");
	expect_nothing(&w);
	GIVE(&w, PPP_CCP, "\x07\x01\x0f\x2a\x00\x04"); /* Windows does not know Reset-Ack */
	expect_nothing(&w);
	GIVE(&w, PPP_CCP, "\x07\x01\x01\x01\x00\x04");
	expect_nothing(&w);
	GIVE(&w, PPP_CCP, "\x06\x01"); /* a Terminate-Ack that nobody asked for */
	expect_nothing(&w);
	assert_int_equal(ppp_counters(w.ends[SERVER].p)->resets_answered, 1);
	assert_true(w.ends[SERVER].p->up);
	wire_fini(&w);
}

/* Keys start over with CCP, so an open CCP only ever repeats itself. */
static void
ccp_is_never_reopened(void **state)
{
	struct wire w;

	connect(&w);
	GIVE(&w, PPP_CCP, "\x01\x01" MPPE_ONLY); /* the very request */
	EXPECT(&w, PPP_CCP, "\x02\x01" MPPE_ONLY);
	GIVE(&w, PPP_CCP, "\x01\x02" MPPE_ONLY); /* a new identifier, no data yet */
	EXPECT(&w, PPP_CCP, "\x02\x02" MPPE_ONLY);
	ppp_alive(w.ends[SERVER].p);
	GIVE(&w, PPP_CCP, "\x01\x01" MPPE_ONLY); /* a delayed repetition harms at no time */
	EXPECT(&w, PPP_CCP, "\x02\x01" MPPE_ONLY);
	assert_int_equal(w.ends[SERVER].p->ccp.state, CP_OPENED);
	GIVE(&w, PPP_CCP, "\x01\x02" MPPE_ONLY);
	assert_null(find_sent(&w, SERVER, PPP_CCP, CP_CONF_ACK, 0));
	assert_int_equal(w.ends[SERVER].downs, 1);
	expect_failure(&w, PPP_CAUSE_REKEY_REFUSED, "peer renegotiates CCP on keys in use");
	wire_fini(&w);
	connect(&w);
	GIVE(&w, PPP_CCP, "\x01\x02\x12\x06\x01\x00\x00\x60");
	assert_null(find_sent(&w, SERVER, PPP_CCP, CP_CONF_NAK, 0));
	expect_failure(&w, PPP_CAUSE_REKEY_REFUSED, "peer renegotiates CCP on keys in use");
	wire_fini(&w);
}

/* The server's CCP is opened by hand; IPCP follows with whatever came early. */
static void
open_ccp(struct wire *w)
{
	char ack[] = "\x02\x01" MPPE_ONLY;

	GIVE(w, PPP_CCP, "\x01\x01" MPPE_ONLY);
	ack[1] = (char)w->ends[SERVER].p->ccp.request_id;
	give(w, PPP_CCP, ack, 8);
	assert_int_equal(w->ends[SERVER].p->ccp.state, CP_OPENED);
}

static void
ipcp_early(void **state)
{
	const struct sent *f;
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	GIVE(&w, PPP_IPCP, "\x01\x01\x03\x06\x00\x00\x00\x00");
	expect_nothing(&w);
	GIVE(&w, PPP_IPCP, "\x01\x02\x03\x06\x0a\x08\x00\x0a");
	GIVE(&w, PPP_IPCP, "\x05\x03"); /* only requests wait */
	expect_nothing(&w);
	open_ccp(&w);
	assert_memory_equal(find_sent(&w, SERVER, PPP_IPCP, CP_CONF_REQ, 0)->bytes + 4,
	    "\x03\x06\x0a\x08\x00\x01", 6);
	f = find_sent(&w, SERVER, PPP_IPCP, CP_CONF_ACK, 0);
	assert_non_null(f);
	assert_int_equal(f->bytes[1], 2);
	assert_int_equal(w.n_sent, 2);
	wire_fini(&w);
}

static void
ipcp_options(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	open_ccp(&w);
	GIVE(&w, PPP_IPCP,
	    "\x01\x05"
	    "\x02\x06\x00\x2d\x0f\x01"                   /* Van Jacobson */
	    "\x03\x06\x00\x00\x00\x00"                   /* address, any */
	    "\x81\x06\x00\x00\x00\x00"                   /* DNS */
	    "\x82\x06\x00\x00\x00\x00"                   /* WINS, not configured */
	    "\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x00"); /* both addresses, RFC 1172 */
	EXPECT(&w, PPP_IPCP,
	    "\x04\x05\x02\x06\x00\x2d\x0f\x01\x82\x06\x00\x00\x00\x00"
	    "\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x00");
	GIVE(&w, PPP_IPCP,
	    "\x01\x06\x03\x06\xc0\xa8\x00\x01\x81\x06\x00\x00\x00\x00\x83\x06\x08\x08\x04\x04");
	EXPECT(&w, PPP_IPCP, "\x03\x06\x03\x06\x0a\x08\x00\x0a\x81\x06\x08\x08\x08\x08");
	GIVE(&w, PPP_IPCP, "\x01\x07\x81\x06\x08\x08\x08\x08"); /* no address at all */
	EXPECT(&w, PPP_IPCP, "\x03\x07\x03\x06\x0a\x08\x00\x0a");
	assert_int_equal(w.ends[SERVER].announced, 0);
	GIVE(&w, PPP_IPCP, "\x01\x08\x03\x06\x0a\x08\x00\x0a\x81\x06\x08\x08\x08\x08");
	EXPECT(&w, PPP_IPCP, "\x02\x08\x03\x06\x0a\x08\x00\x0a\x81\x06\x08\x08\x08\x08");
	assert_int_equal(w.ends[SERVER].announced, PEER_IP);
	GIVE(&w, PPP_IPCP, "\x03\x01\x03\x06\x09\x09\x09\x09"); /* our address is ours */
	EXPECT(&w, PPP_IPCP, "\x01\x02\x03\x06\x0a\x08\x00\x01");
	GIVE(&w, PPP_IPCP, "\x02\x02\x03\x06\x0a\x08\x00\x01");
	assert_true(w.ends[SERVER].p->up);
	wire_fini(&w);
}

static void
ipcp_stubborn(void **state)
{
	struct wire w;

	play(&w, PPP_CCP, PPP_IPCP);
	open_ccp(&w);
	for (int n = 0; n < 6; n++)
		GIVE(&w, PPP_IPCP, "\x01\x05\x03\x06\xc0\xa8\x00\x01");
	expect_failure(&w, PPP_CAUSE_NEGOTIATION, "peer does not agree to its address");
	wire_fini(&w);
}

static void
ipcp_renegotiates(void **state)
{
	struct wire w;

	connect(&w);
	w.mute = true;
	GIVE(&w, PPP_IPCP, "\x01\x63\x03\x06\x0a\x08\x00\x0a");
	assert_int_equal(w.ends[SERVER].downs, 1);
	assert_non_null(find_sent(&w, SERVER, PPP_IPCP, CP_CONF_ACK, 0));
	GIVE(&w, PPP_IPCP, "\x02\x02\x03\x06\x0a\x08\x00\x01");
	assert_int_equal(w.ends[SERVER].ups, 2);
	assert_int_equal(w.ends[SERVER].p->ccp.state, CP_OPENED);
	wire_fini(&w);
}

/* Nothing but LCP and CHAP is heard before authentication. */
static void
early_ncp(void **state)
{
	struct wire w;

	play(&w, PPP_CHAP, 0);
	GIVE(&w, PPP_CCP, "\x01\x01" MPPE_ONLY);
	GIVE(&w, PPP_IPCP, "\x01\x01\x03\x06\x00\x00\x00\x00");
	GIVE(&w, PPP_IPV6CP, "\x01\x01");
	GIVE(&w, PPP_PAP, "\x01\x01");
	expect_nothing(&w);
	assert_null(w.ends[SERVER].p->early);
	wire_fini(&w);
}

static void
decapsulation(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int protocol; /* -1: malformed */
		size_t rest;
	} rows[] = {
	    {"\xff\x03\xc0\x21\x01\x02", 6, PPP_LCP, 2},
	    {"\xc0\x21\x01\x02", 4, PPP_LCP, 2},
	    {"\xff\x03\xfd\x90\x00\x11", 6, PPP_COMP, 3},
	    {"\xfd\x90\x00\x11", 4, PPP_COMP, 3},
	    {"\x00\xfd\x90", 3, PPP_COMP, 1},
	    {"\x21", 1, PPP_IP, 0},
	    {"\xc0\x21", 2, PPP_LCP, 0},
	    {"", 0, -1, 0},
	    {"\xff", 1, -1, 0},
	    {"\xff\x03", 2, -1, 0},
	    {"\xff\x03\xc0", 3, -1, 0},
	    {"\xff\x04\xc0\x21", 4, -1, 0},
	    {"\xc0", 1, -1, 0},
	    {"\xc0\x20\x01", 3, -1, 0},
	    {"\x00\x00\x00", 3, -1, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *exact = malloc(rows[i].len + 1);
		const uint8_t *payload;
		uint16_t protocol;
		size_t len;

		memcpy(exact, rows[i].bytes, rows[i].len);
		errno = 0;
		if (rows[i].protocol < 0) {
			assert_int_equal(
			    ppp_decapsulate(exact, rows[i].len, &protocol, &payload, &len), -1);
			assert_int_equal(errno, EBADMSG);
		} else {
			assert_int_equal(
			    ppp_decapsulate(exact, rows[i].len, &protocol, &payload, &len), 0);
			assert_int_equal(protocol, rows[i].protocol);
			assert_int_equal(len, rows[i].rest);
			assert_ptr_equal(payload + len, exact + rows[i].len);
		}
		free(exact);
	}
}

static void
names(void **state)
{
	for (int c = 0; c < PPP_CAUSE_MAX; c++)
		for (int d = 0; d < c; d++)
			assert_string_not_equal(
			    ppp_cause_name((enum ppp_cause)c), ppp_cause_name((enum ppp_cause)d));
	assert_string_equal(ppp_cause_name(PPP_CAUSE_MAX), "?");
	assert_string_equal(ppp_protocol_name(0x8057), "IPV6CP");
	assert_string_equal(ppp_protocol_name(0x1111), "unknown");
	ppp_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lcp_first_request),
	    cmocka_unit_test(lcp_rejects),
	    cmocka_unit_test(lcp_asks_again_when_the_peer_speaks),
	    cmocka_unit_test(lcp_naks),
	    cmocka_unit_test(lcp_mru_naked),
	    cmocka_unit_test(lcp_authentication_refused),
	    cmocka_unit_test(lcp_reopened_before_authentication),
	    cmocka_unit_test(lcp_acked_for_ever),
	    cmocka_unit_test(lcp_peer_gives_up),
	    cmocka_unit_test(lcp_nak_for_ever),
	    cmocka_unit_test(lcp_echo),
	    cmocka_unit_test(lcp_swallows),
	    cmocka_unit_test(protocols_rejected_by_the_peer),
	    cmocka_unit_test(unknown_protocols),
	    cmocka_unit_test(chap_accepts),
	    cmocka_unit_test(chap_malformed),
	    cmocka_unit_test(chap_longest_name),
	    cmocka_unit_test(chap_asked_again),
	    cmocka_unit_test(chap_success_repeated),
	    cmocka_unit_test(ccp_narrows_every_offer),
	    cmocka_unit_test(ccp_rejects_compressors),
	    cmocka_unit_test(ccp_asks_for_one_mode),
	    cmocka_unit_test(ccp_gives_up),
	    cmocka_unit_test(ccp_resets),
	    cmocka_unit_test(ccp_is_never_reopened),
	    cmocka_unit_test(ipcp_early),
	    cmocka_unit_test(ipcp_options),
	    cmocka_unit_test(ipcp_stubborn),
	    cmocka_unit_test(ipcp_renegotiates),
	    cmocka_unit_test(early_ncp),
	    cmocka_unit_test(decapsulation),
	    cmocka_unit_test(names),
	};

	log_init("test", -1, getenv("DEBUG") != NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
