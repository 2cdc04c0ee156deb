/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A gateway's data plane without threads, on a clock that the test moves, and a client that knows
 * the keys: it opens every packet, keeps account of each key and number that it sees, and follows
 * no further than told. The test includes dataplane.c and worker.c, whose insides turn here.
 */
#ifndef TESTS_DP_RIG_H
#define TESTS_DP_RIG_H

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pptpd/data/internal.h"
#include "tests/unit/dp_peer.h"

#define RIG_CLIENT   0xcb007105 /* 203.0.113.5 */
#define RIG_SERVER   0xc6336464
#define RIG_INNER    0x0a08000a
#define RIG_HOST     0xc0a80114
#define RIG_CALL     77
#define RIG_MAGIC    0x11223344
#define RIG_KEYS_MAX 65536
#define RIG_IDS_MAX  65536

struct gateway {
	struct loop *loop;
	struct dataplane *dp;
	struct dp_session *s;
	int gre, tun;  /* the test's ends */
	uint64_t *now; /* us */
	unsigned frames, exports, lows, detached;
	uint32_t low_seq;
	uint64_t low_index;
	struct dp_state state; /* of the last export */
	/* What on_relay() does with a packet; NULL: none may come. */
	void (*relay)(
	    struct gateway *g, enum dp_relay_kind kind, const uint8_t *packet, size_t len);
	void *relay_arg;
	unsigned relayed[2]; /* by kind */
};

struct client {
	struct peer p;
	uint32_t follows; /* keys that it steps over at most */
	bool dead;        /* the link to it is: it sees nothing, the account is kept */
	uint64_t used;    /* keys seen on the wire, */
	uint8_t key_used[RIG_KEYS_MAX];
	uint64_t last_index, lost; /* of the last keyed frame; frames that it cannot open */
	uint32_t first_seq, last_seq;
	unsigned packets, echoes, discards, frames; /* by kind */
	uint32_t echo_seq, discard_seq;             /* of the last one */
	uint32_t ids[RIG_IDS_MAX];                  /* of the IP packets, as they came */
};

static inline void
rig_on_frame(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len)
{
	((struct gateway *)arg)->frames++;
}

static inline void
rig_on_unknown(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len,
    bool was_encrypted)
{
}

static inline void
rig_on_detached(void *arg, void *owner)
{
	((struct gateway *)arg)->detached++;
}

static inline void
rig_on_exported(void *arg, void *owner, const struct dp_state *state)
{
	struct gateway *g = arg;

	g->exports++;
	g->state = *state;
}

static inline void
rig_on_low(void *arg, void *owner, uint32_t next_seq, uint64_t next_index)
{
	struct gateway *g = arg;

	g->lows++;
	g->low_seq = next_seq;
	g->low_index = next_index;
}

static inline void
rig_on_relay(void *arg, enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	struct gateway *g = arg;

	assert_non_null(g->relay);
	g->relayed[kind]++;
	g->relay(g, kind, packet, len);
}

static inline int
rig_pair(int *ours)
{
	int fds[2], size = 4 << 20;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*ours = fds[0];
	return fds[1];
}

static inline void
rig_start(struct gateway *g, uint64_t *now)
{
	memset(g, 0, sizeof(*g));
	g->now = now;
	g->loop = loop_new_virtual();
	g->dp = calloc(1, sizeof(*g->dp));
	g->dp->loop = g->loop;
	g->dp->arg = g;
	g->dp->ops = (struct dp_ops){.on_frame = rig_on_frame,
	    .on_unknown = rig_on_unknown,
	    .on_detached = rig_on_detached,
	    .on_exported = rig_on_exported,
	    .on_low = rig_on_low,
	    .on_relay = rig_on_relay};
	g->dp->config = (struct dp_config){.workers = 1,
	    .steer_map_fd = -1,
	    .reorder_window = 32,
	    .reorder_timeout_us = 20000,
	    .ack_delay_us = 20000,
	    .tun_mtu = 1500};
	g->dp->config.gre_fds[0] = rig_pair(&g->gre);
	g->dp->config.tun_fds[0] = rig_pair(&g->tun);
	g->dp->workers = aligned_alloc(alignof(struct worker), sizeof(struct worker));
	memset(g->dp->workers, 0, sizeof(struct worker));
	assert_int_equal(init_worker(g->dp, g->dp->workers, 0), 0);
}

static inline void
rig_end(struct gateway *g)
{
	int gre = g->dp->config.gre_fds[0], tun = g->dp->config.tun_fds[0];

	undo(g->dp);
	close(gre);
	close(tun);
	close(g->gre);
	close(g->tun);
	loop_free(g->loop);
	explicit_bzero(&g->state, sizeof(g->state));
}

static inline bool
rig_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

/* Everything that can be done at this moment, but what leaves stays in the outbox if it fits. */
static inline void
rig_work(struct gateway *g)
{
	struct worker *w = &g->dp->workers[0];

	w->now_us = *g->now;
	note_retry(w);
	relay_retry(w);
	run_orders(w);
	while (!w->deaf && rig_readable(w->gre_fd))
		rx_run(w);
	while (!w->deaf && rig_readable(w->tun_fd))
		tx_run(w);
	worker_run_due(w);
}

static inline void
rig_turn(struct gateway *g)
{
	struct worker *w = &g->dp->workers[0];

	rig_work(g);
	outbox_flush(&w->outbox);
	ring_kick(&w->notes);
	w->notes_io.cb(IO_READ, w);
}

static inline struct dp_counters
rig_counters(const struct gateway *g)
{
	struct dp_counters c;

	dp_session_counters(g->s, &c);
	return c;
}

static inline void
rig_attach(struct gateway *g, const struct dp_state *state, uint32_t fill_from)
{
	const struct dp_session_config c = {.call_id = RIG_CALL,
	    .peer_call_id = 5,
	    .peer_ip = RIG_CLIENT,
	    .local_ip = RIG_SERVER,
	    .owner = g,
	    .state = state,
	    .fill_from = fill_from};

	g->s = dp_attach(g->dp, &c);
	assert_non_null(g->s);
}

static inline void
rig_up(struct gateway *g)
{
	const struct dp_up u = {
	    .peer_ip = RIG_INNER, .local_ip = RIG_HOST, .mtu = 1396, .magic = RIG_MAGIC};

	dp_up(g->dp, g->s, &u);
	rig_turn(g);
}

static inline void
rig_client(struct client *c)
{
	memset(c, 0, sizeof(*c));
	c->p = (struct peer){.ip = RIG_CLIENT,
	    .server_ip = RIG_SERVER,
	    .call_id = RIG_CALL,
	    .own_call_id = 5,
	    .inner = RIG_INNER};
	c->follows = MPPE_SKIP_MAX;
	c->last_seq = UINT32_MAX;
	mppe_init(&c->p.send, peer_key_up);
	mppe_init(&c->p.recv, peer_key_down);
}

/* A session that is up, new. */
static inline void
rig_up_new(struct gateway *g)
{
	rig_attach(g, NULL, 0);
	dp_set_keys(g->dp, g->s, peer_key_down, peer_key_up);
	rig_up(g);
}

/* An IP packet to the client. */
static inline void
rig_tun(struct gateway *g, uint32_t id)
{
	uint8_t buf[TUN_VNET_LEN + 60] = {0};

	peer_ip_packet(buf + TUN_VNET_LEN, RIG_HOST, RIG_INNER, id, 60, 0);
	assert_int_equal(send(g->tun, buf, sizeof(buf), 0), sizeof(buf));
}

static inline void
rig_tun_many(struct gateway *g, uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_tun(g, first + i);
		if (i % 64 == 63)
			rig_turn(g);
	}
	rig_turn(g);
}

/* The absolute index of a keyed frame, from its count: the nearest to where the client is, or to
 * the last one while it sees nothing. */
static inline uint64_t
rig_index(const struct client *c, const uint8_t *mppe)
{
	uint32_t count = (uint32_t)(mppe[0] << 8 | mppe[1]) & 0x0fff;
	uint64_t near = c->dead ? c->last_index : c->p.recv.index;
	int32_t ahead = (int32_t)((count - (uint32_t)near) & 0x0fff);

	if (ahead > 2048)
		ahead -= 4096;
	return near + (uint64_t)(int64_t)ahead;
}

static inline void
rig_take_keyed(struct client *c, const struct peer_got *g, const uint8_t *mppe, size_t len)
{
	uint64_t index = rig_index(c, mppe);
	uint8_t plain[PEER_MAX];
	uint32_t skipped;
	struct mppe next;

	assert_true(index < RIG_KEYS_MAX);
	assert_false(c->key_used[index]); /* no key is ever used twice */
	c->key_used[index] = 1;
	c->last_index = index;
	c->used++;
	if (c->dead)
		return;
	if (index < c->p.recv.index || index - c->p.recv.index > c->follows) {
		c->lost++;
		return;
	}
	assert_int_equal(mppe_decrypt(&c->p.recv, mppe, len, plain, &next, &skipped), MPPE_OK);
	mppe_commit(&c->p.recv, &next);
	assert_int_equal(c->p.recv.index, index + 1);
	assert_memory_equal(plain, "\x00\x21", 2);
	assert_int_equal(plain[2], 0x45);
	c->ids[c->packets++] = peer_packet_id(plain + 2);
}

static inline void
rig_take_lcp(struct client *c, uint32_t seq, const uint8_t *lcp, size_t len)
{
	struct rd r = rd_init(lcp, len);
	uint8_t code = rd_u8(&r);

	rd_skip(&r, 1);
	if (code != LCP_ECHO_REQUEST && code != LCP_DISCARD_REQUEST) {
		c->frames++;
		return;
	}
	assert_int_equal(rd_u16(&r), len);
	assert_int_equal(rd_u32(&r), RIG_MAGIC);
	if (code == LCP_ECHO_REQUEST) {
		c->echoes++;
		c->echo_seq = seq;
	} else {
		c->discards++;
		c->discard_seq = seq;
	}
}

/* Reads all that the gateway sent. */
static inline unsigned
rig_read(struct gateway *g, struct client *c)
{
	uint8_t buf[PEER_MAX];
	unsigned n = 0;
	ssize_t len;

	while ((len = recv(g->gre, buf, sizeof(buf), 0)) > 0) {
		struct rd r = rd_init(buf, (size_t)len), payload;
		struct peer_got got = {0};
		const uint8_t *rest;
		size_t rest_len;

		assert_int_equal(gre_parse(&r, &got.h, &payload), 0);
		if (got.h.length == 0)
			continue;
		if (n++ == 0)
			c->first_seq = got.h.seq;
		c->last_seq = got.h.seq;
		assert_int_equal(
		    ppp_decapsulate(payload.p, rd_left(&payload), &got.protocol, &rest, &rest_len),
		    0);
		if (got.protocol == PPP_COMP)
			rig_take_keyed(c, &got, rest, rest_len);
		else
			rig_take_lcp(c, got.h.seq, rest, rest_len);
	}
	return n;
}

static inline void
rig_to_server(struct gateway *g, const uint8_t *packet, size_t len)
{
	assert_int_equal(send(g->gre, packet, len, 0), len);
}

static inline void
rig_ack(struct gateway *g, const struct client *c, uint32_t ack)
{
	struct gre_header h = {.call_id = RIG_CALL, .has_ack = true, .ack = ack};
	uint8_t out[PEER_MAX] = {0};

	rig_to_server(g, out, peer_gre(&c->p, out, &h, out));
	rig_turn(g);
}

/* An encrypted packet from the client. */
static inline void
rig_data(struct gateway *g, struct client *c, uint32_t id)
{
	uint8_t packet[60], payload[PEER_MAX], out[PEER_MAX];
	size_t len = peer_ip_packet(packet, RIG_INNER, RIG_HOST, id, sizeof(packet), 0);

	len = peer_seal(&c->p, payload, PPP_IP, packet, len);
	rig_to_server(g, out, peer_numbered(&c->p, out, c->p.seq++, payload, len));
	rig_turn(g);
}

/* A negotiation frame from the client: takes a number and no key. */
static inline void
rig_lcp(struct gateway *g, struct client *c)
{
	uint8_t payload[PEER_MAX], out[PEER_MAX];
	size_t len = peer_frame(payload, PPP_LCP, "frame", 5);

	rig_to_server(g, out, peer_numbered(&c->p, out, c->p.seq++, payload, len));
	rig_turn(g);
}

/* The id of the next packet out of the TUN, or 0. */
static inline uint32_t
rig_from_tun(struct gateway *g)
{
	uint8_t buf[PEER_MAX];

	return recv(g->tun, buf, sizeof(buf), 0) > 0 ? peer_packet_id(buf + TUN_VNET_LEN) : 0;
}

#endif
