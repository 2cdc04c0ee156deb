/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A PPTP server in memory, on the virtual clock, made of the protocol library's server half, for
 * clients under test: it can be told to fail at any step. Bytes wait in lists; run() carries them,
 * a millisecond each way.
 */
#ifndef UNIT_PROBE_RIG_H
#define UNIT_PROBE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "common/loop.h"
#include "hagent/client.h"
#include "hagent/client_packet.h"
#include "pptpd/crypto/mppe.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/wire/gre.h"
#include "pptpd/wire/pptp.h"

#define SERVER_IP   0xc633640au
#define CLIENT_IP   0xc6336464u
#define INNER       0x0a08000au
#define INNER_HERE  0x0a080001u
#define BEHIND      0xc0a80114u
#define SERVER_CALL 77
#define RIG_FRAME   1700
#define RIG_ACK_MS  10

/* What goes wrong. */
struct faults {
	int dial_error; /* at once; negative: later, 0 - error */
	bool no_tcp;    /* no answer */
	const char *babble;
	bool mute_start, mute_call, mute_gre; /* takes it, says nothing */
	unsigned start_result, call_result;
	enum {
		CLOSE_NEVER,
		CLOSE_START,
		CLOSE_CALL,
		CLOSE_LINK
	} closes;
	bool deaf_gre;      /* what we send does not arrive */
	bool wrong_call;    /* GRE bears another number */
	unsigned icmp_gre;  /* code of the answer to GRE, 0 = none */
	unsigned gre_limit; /* longer ones are lost, 0 = none */
	bool bad_password, no_address;
	bool wrong_keys, clear; /* of what the server sends */
	bool no_ping;           /* nobody answers */
	bool no_behind;         /* only the server's own end does */
	bool dead;              /* all stops, both ways */
	/* Sees each negotiation frame of the server and may change it; false: it is lost. */
	bool (*edit)(uint16_t protocol, uint8_t *payload, size_t *len);
};

struct parcel {
	struct parcel *next;
	uint64_t due_ms;
	enum {
		TO_CLIENT_TCP,
		TO_CLIENT_GRE,
		TO_SERVER_TCP,
		TO_SERVER_GRE,
		CONNECT,
		CUT
	} kind;
	int error;
	size_t len;
	uint8_t bytes[];
};

static struct rig {
	struct loop *loop;
	struct pptp_client *client;
	struct faults f;
	struct parcel *first;
	struct pptp_framer framer;
	struct ppp_config config;
	struct ppp *ppp;
	uint16_t client_call;
	struct gre_tx tx;
	struct gre_rx rx;
	struct gre_ack ack;
	struct mppe send_key, recv_key;
	bool armed, hung_up, answers_early;
	unsigned pings, syns, goodbyes, clears, terminates, armings, echoes;
	uint64_t stamps, stamps_disorder_us;
	uint64_t quiet_from_ms, quiet_to_ms; /* no ping is answered meanwhile */
} rig;

static inline uint64_t
rig_now_us(void)
{
	return loop_now_ms(rig.loop) * 1000;
}

static inline void
post(int kind, int error, const void *bytes, size_t len)
{
	struct parcel *p = calloc(1, sizeof(*p) + len), **at = &rig.first;

	p->due_ms = loop_now_ms(rig.loop) + 1;
	p->kind = kind;
	p->error = error;
	p->len = len;
	if (len > 0)
		memcpy(p->bytes, bytes, len);
	while (*at != NULL)
		at = &(*at)->next;
	*at = p;
}

/* ---- the client's carrier ---- */

static inline uint64_t
carrier_now_us(void *arg)
{
	return rig_now_us();
}

static inline int
carrier_dial(void *arg, uint32_t server, uint16_t port, uint32_t source)
{
	assert_int_equal(server, SERVER_IP);
	assert_int_equal(port, PPTP_PORT);
	if (rig.f.dial_error > 0) {
		errno = rig.f.dial_error;
		return -1;
	}
	if (rig.f.dial_error < 0)
		post(CUT, -rig.f.dial_error, NULL, 0);
	else if (!rig.f.no_tcp)
		post(CONNECT, 0, NULL, 0);
	return 0;
}

static inline void
carrier_tcp(void *arg, const uint8_t *bytes, size_t len)
{
	if (!rig.f.dead)
		post(TO_SERVER_TCP, 0, bytes, len);
}

static inline void
carrier_gre(void *arg, const uint8_t *bytes, size_t len)
{
	if (!rig.f.dead && (rig.f.gre_limit == 0 || len <= rig.f.gre_limit))
		post(TO_SERVER_GRE, 0, bytes, len);
}

static inline void
carrier_hang_up(void *arg)
{
	rig.hung_up = true;
}

static const struct pptp_client_io carrier = {
    .now_us = carrier_now_us,
    .dial = carrier_dial,
    .send_tcp = carrier_tcp,
    .send_gre = carrier_gre,
    .hang_up = carrier_hang_up,
};

/* ---- the server: GRE ---- */

static inline void
server_gre(const uint8_t *frame, size_t len)
{
	uint8_t bytes[RIG_FRAME];
	struct wr w = wr_init(bytes, sizeof(bytes));
	struct gre_header h = gre_tx_data(&rig.tx, &rig.ack, (uint16_t)len);

	if (rig.f.wrong_call)
		h.call_id = (uint16_t)(h.call_id + 1);
	gre_encode(&w, &h);
	wr_copy(&w, frame, len);
	assert_true(wr_ok(&w));
	if (!rig.f.mute_gre && !rig.f.dead &&
	    (rig.f.gre_limit == 0 || wr_len(&w) <= rig.f.gre_limit))
		post(TO_CLIENT_GRE, 0, bytes, wr_len(&w));
}

static inline void
server_link_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	uint8_t copy[RIG_FRAME], frame[RIG_FRAME];
	struct wr w = wr_init(frame, sizeof(frame));

	memcpy(copy, payload, len);
	if (rig.f.edit != NULL && !rig.f.edit(protocol, copy, &len))
		return;
	rig.terminates += protocol == PPP_LCP && copy[0] == 5;
	wr_u16(&w, 0xff03);
	wr_u16(&w, protocol);
	wr_copy(&w, copy, len);
	server_gre(frame, wr_len(&w));
}

static inline void
server_ip(const uint8_t *packet, size_t len)
{
	uint8_t plain[RIG_FRAME], frame[RIG_FRAME];
	struct wr p = wr_init(plain, sizeof(plain)), w = wr_init(frame, sizeof(frame));
	uint8_t *at;

	wr_u16(&p, PPP_IP);
	wr_copy(&p, packet, len);
	wr_u16(&w, 0xff03);
	if (rig.f.clear) {
		wr_copy(&w, plain, wr_len(&p));
	} else {
		wr_u16(&w, PPP_COMP);
		at = wr_reserve(&w, MPPE_HEADER_LEN + wr_len(&p));
		mppe_encrypt(&rig.send_key, plain, wr_len(&p), at);
	}
	server_gre(frame, wr_len(&w));
}

static inline uint16_t
rig_sum(const uint8_t *bytes, size_t len)
{
	uint32_t total = 0;

	for (size_t i = 0; i < len; i++)
		total += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

static inline void
swap_addresses(uint8_t *packet)
{
	uint8_t keep[4];

	memcpy(keep, packet + 12, 4);
	memcpy(packet + 12, packet + 16, 4);
	memcpy(packet + 16, keep, 4);
}

/* An echo's answer: the request with its ends and its type changed. */
static inline void
answer_ping(const uint8_t *packet, size_t len)
{
	uint8_t copy[RIG_FRAME];
	struct wr sum;

	memcpy(copy, packet, len);
	swap_addresses(copy);
	copy[20] = copy[22] = copy[23] = 0;
	sum = wr_init(copy + 22, 2);
	wr_u16(&sum, rig_sum(copy + 20, len - 20));
	server_ip(copy, len);
}

/* Port 443 answers, every other one is refused. */
static inline void
answer_syn(const struct client_packet *in)
{
	uint8_t packet[64];
	uint8_t flags = in->dport == 443 ? CLIENT_PACKET_SYN | CLIENT_PACKET_ACK
					 : CLIENT_PACKET_RST | CLIENT_PACKET_ACK;
	size_t len = client_packet_tcp(
	    in->to, in->from, in->dport, in->sport, 1, flags, packet, sizeof(packet));

	rig.syns++;
	server_ip(packet, len);
}

static inline void
server_packet(const uint8_t *packet, size_t len)
{
	struct client_packet in;
	uint64_t now_ms = loop_now_ms(rig.loop);

	assert_int_equal(client_packet_parse(packet, len, &in), 0);
	assert_int_equal(in.from, INNER);
	if (rig.f.no_behind && in.to != INNER_HERE)
		return;
	if (in.protocol == CLIENT_PACKET_TCP && (in.flags & CLIENT_PACKET_SYN))
		answer_syn(&in);
	if (in.protocol != CLIENT_PACKET_ICMP || rig.f.no_ping)
		return;
	rig.pings++;
	if (now_ms < rig.quiet_from_ms || now_ms >= rig.quiet_to_ms)
		answer_ping(packet, len);
}

static inline void
server_decrypt(const uint8_t *bytes, size_t len)
{
	uint8_t plain[RIG_FRAME];
	struct mppe after;
	uint32_t skipped;
	struct rd r;

	assert_true(rig.armed);
	assert_int_equal(mppe_decrypt(&rig.recv_key, bytes, len, plain, &after, &skipped), MPPE_OK);
	mppe_commit(&rig.recv_key, &after);
	r = rd_init(plain, len - MPPE_HEADER_LEN);
	assert_int_equal(rd_u16(&r), PPP_IP);
	server_packet(r.p, rd_left(&r));
}

static inline void
server_deliver(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	const uint8_t *payload;
	uint16_t protocol;
	size_t n;

	if (len == 0 || rig.ppp == NULL)
		return;
	assert_int_equal(ppp_decapsulate(bytes, len, &protocol, &payload, &n), 0);
	if (protocol == PPP_COMP)
		server_decrypt(payload, n);
	else
		ppp_input(rig.ppp, protocol, payload, n);
}

static inline void
server_take_gre(const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len), payload;
	struct gre_header h;

	assert_int_equal(gre_parse(&r, &h, &payload), 0);
	assert_int_equal(h.call_id, SERVER_CALL);
	if (rig.f.icmp_gre > 0)
		pptp_client_icmp(rig.client, true, rig.f.icmp_gre, SERVER_IP, 0);
	if (rig.f.deaf_gre || rig.f.icmp_gre > 0 || !h.has_seq)
		return;
	gre_rx_input(
	    &rig.rx, rig_now_us(), h.seq, payload.p, rd_left(&payload), server_deliver, NULL);
	gre_ack_received(&rig.ack, rig.rx.last);
}

/* ---- the server: its link ---- */

static inline bool
server_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	uint8_t want[MSCHAP_NT_RESPONSE_LEN];

	if (rig.f.bad_password || mschap_nt_hash("secret", nt_hash) != 0)
		return false;
	mschap_nt_response(v->auth_challenge, v->peer_challenge, v->hash_name, nt_hash, want);
	return mschap_equal(want, v->nt_response, sizeof(want));
}

static inline bool
server_address(void *arg, struct ppp_addresses *a)
{
	*a = (struct ppp_addresses){INNER_HERE, INNER};
	return !rig.f.no_address;
}

static inline void
server_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	uint8_t wrong[16] = {1};

	mppe_init(&rig.send_key, rig.f.wrong_keys ? wrong : send_key);
	mppe_init(&rig.recv_key, recv_key);
	rig.armed = true;
	rig.armings++;
}

static inline void
server_ignore_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
}

static inline void
server_ignore(void *arg)
{
}

static inline void
server_say(const struct pptp_message *m)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	assert_int_equal(pptp_encode(m, &w), 0);
	if (!rig.f.dead)
		post(TO_CLIENT_TCP, 0, bytes, wr_len(&w));
}

static inline void
server_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	server_say(&(struct pptp_message){.type = PPTP_CDN, .result = 1, .call_id = SERVER_CALL});
}

static const struct ppp_ops server_ops = {
    .send = server_link_send,
    .verify = server_verify,
    .address = server_address,
    .keys = server_keys,
    .peer_address = server_ignore_address,
    .up = server_ignore_address,
    .down = server_ignore,
    .finished = server_finished,
};

/* ---- the server: its control connection ---- */

static inline void
server_answer_start(void)
{
	if (rig.f.mute_start)
		return;
	if (rig.f.closes == CLOSE_START) {
		post(CUT, 0, NULL, 0);
		return;
	}
	server_say(&(struct pptp_message){.type = PPTP_SCCRP,
	    .version = PPTP_VERSION,
	    .result = (uint8_t)(rig.f.start_result != 0 ? rig.f.start_result : 1),
	    .host = "gw1",
	    .vendor = "rig"});
}

static inline void
server_answer_call(const struct pptp_message *m)
{
	if (rig.f.mute_call)
		return;
	if (rig.f.closes == CLOSE_CALL) {
		post(CUT, ECONNRESET, NULL, 0);
		return;
	}
	rig.client_call = m->call_id;
	rig.tx = (struct gre_tx){.peer_call_id = m->call_id};
	rig.ppp = ppp_new(rig.loop, &rig.config, &server_ops, NULL);
	if (rig.answers_early)
		ppp_open(rig.ppp);
	server_say(&(struct pptp_message){.type = PPTP_OCRP,
	    .call_id = SERVER_CALL,
	    .peer_call_id = m->call_id,
	    .result = (uint8_t)(rig.f.call_result != 0 ? rig.f.call_result : 1)});
	if (rig.f.call_result > 1)
		return;
	if (!rig.answers_early)
		ppp_open(rig.ppp);
	if (rig.f.closes == CLOSE_LINK)
		post(CUT, 0, NULL, 0);
}

static inline bool
server_on_message(void *arg, const struct pptp_message *m)
{
	if (m->type == PPTP_SCCRQ)
		server_answer_start();
	else if (m->type == PPTP_OCRQ)
		server_answer_call(m);
	else if (m->type == PPTP_ECHO_RQ)
		server_say(&(struct pptp_message){
		    .type = PPTP_ECHO_RP, .echo_id = m->echo_id, .result = 1});
	else if (m->type == PPTP_ECHO_RP)
		rig.echoes += m->echo_id == 5;
	else if (m->type == PPTP_CCRQ)
		rig.clears++;
	if (m->type == PPTP_STOP_RQ) {
		rig.goodbyes++;
		server_say(&(struct pptp_message){.type = PPTP_STOP_RP, .result = 1});
	}
	return true;
}

/* ---- time ---- */

/* Stamps of two clocks are out of order now and then. */
static inline uint64_t
rig_arrival_us(void)
{
	rig.stamps++;
	return rig.stamps_disorder_us == 0 ? 0
					   : rig_now_us() - rig.stamps % 2 * rig.stamps_disorder_us;
}

static inline void
deliver_parcel(const struct parcel *p)
{
	if (rig.hung_up && p->kind != TO_SERVER_TCP && p->kind != TO_SERVER_GRE)
		return;
	switch (p->kind) {
	case CONNECT:
		pptp_client_connected(rig.client, CLIENT_IP);
		if (rig.f.babble != NULL)
			post(TO_CLIENT_TCP, 0, rig.f.babble, strlen(rig.f.babble));
		break;
	case CUT:
		pptp_client_cut(rig.client, p->error);
		break;
	case TO_CLIENT_TCP:
		pptp_client_tcp(rig.client, p->bytes, p->len);
		break;
	case TO_CLIENT_GRE:
		pptp_client_gre(rig.client, p->bytes, p->len, rig_arrival_us());
		break;
	case TO_SERVER_TCP:
		if (rig.f.babble == NULL)
			assert_int_equal(pptp_framer_feed(&rig.framer, p->bytes, p->len,
					     server_on_message, NULL),
			    0);
		break;
	case TO_SERVER_GRE:
		server_take_gre(p->bytes, p->len);
		break;
	}
}

static inline void
run(unsigned ms)
{
	for (unsigned t = 0; t < ms; t++) {
		loop_advance(rig.loop, 1);
		for (struct parcel *p;
		     (p = rig.first) != NULL && p->due_ms <= loop_now_ms(rig.loop);) {
			rig.first = p->next;
			deliver_parcel(p);
			free(p);
		}
		loop_advance(rig.loop, 0);
	}
}

/* ---- fixture ---- */

static inline int
rig_setup(void **state)
{
	memset(&rig, 0, sizeof(rig));
	rig.loop = loop_new_virtual();
	pptp_framer_init(&rig.framer);
	gre_rx_init(&rig.rx, 32, 100000);
	ppp_config_defaults(&rig.config);
	rig.config.is_server = true;
	rig.config.name = "pptpd";
	rig.config.dns[0] = 0x08080808;
	rig.config.local_ip = INNER_HERE;
	return 0;
}

static inline int
rig_teardown(void **state)
{
	ppp_free(rig.ppp);
	gre_rx_fini(&rig.rx);
	for (struct parcel *p; (p = rig.first) != NULL; free(p))
		rig.first = p->next;
	loop_free(rig.loop);
	return 0;
}

static const struct pptp_client_options rig_options = {
    .server = SERVER_IP, .user = "alice", .password = "secret"};

#endif
