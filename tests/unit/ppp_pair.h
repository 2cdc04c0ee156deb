/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two links back to back on the virtual clock, over a wire that loses, delays and doubles frames
 * by a seeded generator. For the tests of pptpd/ppp.
 */
#ifndef UNIT_PPP_PAIR_H
#define UNIT_PPP_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "common/log.h"
#include "common/loop.h"
#include "pptpd/ppp/link.h"

#define SERVER    0
#define CLIENT    1
#define PEER_IP   0x0a08000au
#define SERVER_IP 0x0a080001u

struct wire;

struct end {
	struct ppp *p;
	struct ppp_config c;
	struct wire *wire;
	int side;
	unsigned ups, downs, ends, keys, addresses_asked, verified;
	enum ppp_cause cause;
	char detail[128];
	uint8_t send_key[16], recv_key[16];
	struct ppp_addresses addresses;
	uint16_t mtu;
	uint32_t announced; /* by peer_address() */
	bool refuse_address, close_in_up;
};

struct frame {
	struct timer timer;
	struct frame *next, **prev;
	struct wire *wire;
	int to;
	uint16_t protocol;
	size_t len;
	uint8_t bytes[1504];
};

struct sent {
	int from;
	uint16_t protocol;
	size_t len;
	uint8_t bytes[1504];
};

struct wire {
	struct loop *loop;
	struct end ends[2];
	struct frame *flying;
	uint64_t seed;
	unsigned loss, dup, jitter_ms; /* per cent, per cent, on top of 5 ms */
	/* True: the frame is lost. May keep what it likes. */
	bool (*filter)(
	    struct wire *w, int from, uint16_t protocol, const uint8_t *bytes, size_t len);
	struct sent sent[64]; /* the first frames since sent_clear() */
	unsigned n_sent;
	bool mute, false_server;
};

static inline unsigned
roll(struct wire *w, unsigned below)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->seed >> 33) % below;
}

static inline void
unlink_frame(struct frame *f)
{
	timer_cancel(&f->timer);
	*f->prev = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
}

static inline void
deliver_cb(void *arg)
{
	struct frame *f = arg;
	struct wire *w = f->wire;
	uint8_t *exact = malloc(f->len + 1); /* so that an overread is found */

	unlink_frame(f);
	memcpy(exact, f->bytes, f->len);
	if (w->ends[f->to].p != NULL)
		ppp_input(w->ends[f->to].p, f->protocol, exact, f->len);
	free(exact);
	free(f);
}

static inline void
fly(struct wire *w, int to, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	struct frame *f = calloc(1, sizeof(*f));

	assert_true(len <= sizeof(f->bytes));
	f->wire = w;
	f->to = to;
	f->protocol = protocol;
	f->len = len;
	memcpy(f->bytes, bytes, len);
	f->next = w->flying;
	f->prev = &w->flying;
	if (f->next != NULL)
		f->next->prev = &f->next;
	w->flying = f;
	timer_init(&f->timer, w->loop, deliver_cb, f);
	timer_set(&f->timer, 5 + (w->jitter_ms > 0 ? roll(w, w->jitter_ms) : 0));
}

static inline void
on_send(void *arg, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;
	struct wire *w = e->wire;

	if (w->n_sent < 64) {
		struct sent *f = &w->sent[w->n_sent++];

		*f = (struct sent){.from = e->side, .protocol = protocol, .len = len};
		memcpy(f->bytes, bytes, len);
	}
	/* What must be ready before the peer learns of it. */
	if (protocol == PPP_CHAP && bytes[0] == 3)
		assert_true(e->keys > 0);
	if (protocol == PPP_IPCP && bytes[0] == CP_CONF_ACK)
		assert_int_not_equal(e->announced, 0);
	if (w->mute || (w->filter != NULL && w->filter(w, e->side, protocol, bytes, len)))
		return;
	if (w->loss == 0 || roll(w, 100) >= w->loss)
		fly(w, !e->side, protocol, bytes, len);
	if (w->dup > 0 && roll(w, 100) < w->dup)
		fly(w, !e->side, protocol, bytes, len);
}

static inline bool
on_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	struct end *e = arg;
	uint8_t response[24];

	e->verified++;
	if (strcmp(v->hash_name, "api-client") != 0 ||
	    mschap_nt_hash("Very$trongP@ss", nt_hash) != 0)
		return false;
	mschap_nt_response(v->auth_challenge, v->peer_challenge, v->hash_name, nt_hash, response);
	nt_hash[0] ^= e->wire->false_server;
	return mschap_equal(response, v->nt_response, sizeof(response));
}

static inline bool
on_address(void *arg, struct ppp_addresses *a)
{
	struct end *e = arg;

	e->addresses_asked++;
	*a = (struct ppp_addresses){SERVER_IP, PEER_IP};
	return !e->refuse_address;
}

static inline void
on_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct end *e = arg;

	e->keys++;
	memcpy(e->send_key, send_key, 16);
	memcpy(e->recv_key, recv_key, 16);
}

static inline void
on_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct end *e = arg;

	e->announced = a->peer_ip;
}

static inline void
on_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct end *e = arg;

	assert_int_equal(e->announced, a->peer_ip);
	e->ups++;
	e->addresses = *a;
	e->mtu = mtu;
	if (e->close_in_up)
		ppp_close(e->p, PPP_CAUSE_IDLE);
}

static inline void
on_down(void *arg)
{
	struct end *e = arg;

	e->downs++;
}

static inline void
on_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	struct end *e = arg;

	e->ends++;
	e->cause = cause;
	snprintf(e->detail, sizeof(e->detail), "%s", detail);
}

static const struct ppp_ops ops = {
    .send = on_send,
    .verify = on_verify,
    .address = on_address,
    .keys = on_keys,
    .peer_address = on_peer_address,
    .up = on_up,
    .down = on_down,
    .finished = on_finished,
};

static inline void
wire_init(struct wire *w, uint64_t seed)
{
	*w = (struct wire){.loop = loop_new_virtual(), .seed = seed};
	for (int i = 0; i < 2; i++) {
		struct end *e = &w->ends[i];

		e->wire = w;
		e->side = i;
		ppp_config_defaults(&e->c);
		e->c.is_server = i == SERVER;
		e->c.name = i == SERVER ? "pptpd" : "api-client";
		e->c.password = "Very$trongP@ss";
	}
	w->ends[CLIENT].c.request_dns = true;
	w->ends[SERVER].c.dns[0] = 0x08080808;
	w->ends[SERVER].c.dns[1] = 0x08080404;
}

static inline void
wire_open(struct wire *w)
{
	for (int i = 0; i < 2; i++)
		w->ends[i].p = ppp_new(w->loop, &w->ends[i].c, &ops, &w->ends[i]);
	for (int i = 0; i < 2; i++)
		ppp_open(w->ends[i].p);
}

static inline void
wire_fini(struct wire *w)
{
	while (w->flying != NULL) {
		struct frame *f = w->flying;

		unlink_frame(f);
		free(f);
	}
	ppp_free(w->ends[0].p);
	ppp_free(w->ends[1].p);
	loop_free(w->loop);
}

/* Runs until both are up (true), or one ended, or the time is over. */
static inline bool
run_until_up(struct wire *w, uint64_t ms)
{
	for (uint64_t t = 0; t < ms; t += 10) {
		struct end *s = &w->ends[SERVER], *c = &w->ends[CLIENT];

		loop_advance(w->loop, 10);
		if (s->p->up && c->p->up)
			return true;
		if (s->ends + c->ends > 0)
			return false;
	}
	return false;
}

static inline void
expect_connected(struct wire *w)
{
	struct end *s = &w->ends[SERVER], *c = &w->ends[CLIENT];
	struct ppp_state a, b;

	assert_memory_equal(s->send_key, c->recv_key, 16);
	assert_memory_equal(s->recv_key, c->send_key, 16);
	assert_int_equal(s->addresses.local_ip, SERVER_IP);
	assert_int_equal(s->addresses.peer_ip, PEER_IP);
	assert_int_equal(c->addresses.local_ip, PEER_IP);
	assert_int_equal(c->addresses.peer_ip, SERVER_IP);
	assert_int_equal(s->addresses_asked, 1);
	ppp_get_state(s->p, &a);
	ppp_get_state(c->p, &b);
	assert_true(a.up && b.up);
	assert_int_equal(a.lcp_state, CP_OPENED);
	assert_int_equal(a.ccp_state, CP_OPENED);
	assert_int_equal(a.ipcp_state, CP_OPENED);
	assert_int_equal(b.ccp_state, CP_OPENED);
	assert_int_equal(a.ccp_bits, 0x01000040);
	assert_int_equal(a.our_magic, b.peer_magic);
	assert_int_equal(a.peer_magic, b.our_magic);
	assert_true(a.peer_pfc && a.peer_acfc);
	assert_string_equal(a.peer_name, "api-client");
	assert_int_equal(b.dns[0], 0x08080808);
	assert_int_equal(b.dns[1], 0x08080404);
	assert_int_equal(s->mtu, 1396);
	assert_int_equal(c->mtu, 1396);
}

static inline void
connect(struct wire *w)
{
	wire_init(w, 1);
	wire_open(w);
	assert_true(run_until_up(w, 1000));
	w->n_sent = 0;
}

/* A server with a hand-made peer: what it sends goes nowhere but into `sent`. */
static inline void
server_alone(struct wire *w)
{
	struct end *s;

	wire_init(w, 1);
	s = &w->ends[SERVER];
	s->p = ppp_new(w->loop, &s->c, &ops, s);
	ppp_open(s->p);
}

/* Hands a control packet to one end at once; body without the four header bytes. */
static inline void
inject(struct wire *w, int to, uint16_t protocol, uint8_t code, uint8_t id, const void *body,
    size_t len)
{
	uint8_t *bytes = malloc(CP_HEADER_LEN + len);
	struct wr wr = wr_init(bytes, CP_HEADER_LEN + len);

	wr_u8(&wr, code);
	wr_u8(&wr, id);
	wr_u16(&wr, (uint16_t)(CP_HEADER_LEN + len));
	wr_copy(&wr, body, len);
	ppp_input(w->ends[to].p, protocol, bytes, CP_HEADER_LEN + len);
	free(bytes);
}

/* The n-th frame of this kind that `from` sent, or NULL. */
static inline const struct sent *
find_sent(const struct wire *w, int from, uint16_t protocol, uint8_t code, unsigned n)
{
	for (unsigned i = 0; i < w->n_sent; i++) {
		const struct sent *f = &w->sent[i];

		if (f->from == from && f->protocol == protocol && f->bytes[0] == code && n-- == 0)
			return f;
	}
	return NULL;
}

#endif
