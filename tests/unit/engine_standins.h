/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What stands in for a gateway's data plane, its monitor and the socket of the stream. The data
 * plane keeps what it is told, and steps keys as the real one does.
 */
#ifndef UNIT_ENGINE_STANDINS_H
#define UNIT_ENGINE_STANDINS_H

#include "tests/unit/engine_world.h"

#define STREAM_SIZE (4u << 20)

/* ---- the data plane ---- */

struct dp_session *
dp_attach(struct dataplane *dp, const struct dp_session_config *c)
{
	struct dp_session *d = calloc(1, sizeof *d);

	d->gw = gateway_of(dp);
	d->c = *c;
	d->client = dialing;
	for (unsigned i = 0; i < n_clients; i++)
		if (clients[i].call_id == c->call_id && d->client == NULL)
			d->client = &clients[i];
	if (c->state != NULL) {
		d->st = *c->state;
		d->st.tx.index = keygate_index(&d->st.gate, d->st.tx.index);
	} else
		d->st.gate = keygate_free(KEYS_ALL);
	d->next = dps;
	dps = d;
	if (d->client != NULL)
		d->client->dp = d;
	return d;
}

void
dp_detach(struct dataplane *dp, struct dp_session *s)
{
	s->detached = true;
	if (s->client != NULL && s->client->dp == s)
		s->client->dp = NULL;
}

int
dp_send_frame(struct dataplane *dp, struct dp_session *s, uint16_t protocol, const uint8_t *payload,
    size_t len)
{
	if (s->gw->relaying) {
		s->gw->muted++;
		return 0;
	}
	if (s->gw->frozen) {
		s->gw->told++;
		return 0;
	}
	s->st.tx_seq++;
	if (s->client == NULL)
		return 0;
	if (protocol == PPP_LCP && len > 0 && payload[0] == 9)
		s->client->echoes++;
	put_frame(&s->client->to_client, s->st.tx_seq - 1, protocol, payload, len);
	return 0;
}

int
dp_send_frame_at(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint16_t protocol,
    const uint8_t *payload, size_t len)
{
	assert_false(s->st.armed);
	s->st.tx_seq = seq;
	return dp_send_frame(dp, s, protocol, payload, len);
}

void
dp_disarm(struct dataplane *dp, struct dp_session *s)
{
	mppe_fini(&s->st.tx);
	mppe_fini(&s->st.rx);
	s->st.armed = false;
}

void
dp_set_keys(struct dataplane *dp, struct dp_session *s, const uint8_t send_key[static 16],
    const uint8_t recv_key[static 16])
{
	mppe_init(&s->st.tx, send_key);
	mppe_init(&s->st.rx, recv_key);
	s->st.armed = true;
	s->keyed++;
}

void
dp_up(struct dataplane *dp, struct dp_session *s, const struct dp_up *up)
{
	s->up = true;
}

void
dp_down(struct dataplane *dp, struct dp_session *s)
{
	s->up = false;
}

void
dp_set_gate(struct dataplane *dp, struct dp_session *s, const struct keygate *g, uint32_t low_water)
{
	s->st.gate = *g;
}

void
dp_export(struct dataplane *dp, struct dp_session *s, uint32_t ahead, uint32_t low_water)
{
	s->exporting = true;
	s->ahead = ahead;
}

void
dp_skip(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint64_t index)
{
	s->st.tx_seq = seq;
	mppe_step(&s->st.tx, index);
}

/* A packet of these programs: call id, protocol, frame. */
static inline void
inject(struct gateway *g, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len);
	uint16_t call_id = rd_u16(&r), protocol = rd_u16(&r);

	put_frame(&g->injected, call_id, protocol, r.p, rd_left(&r));
}

void
dp_relay(struct dataplane *dp, bool on)
{
	gateway_of(dp)->relaying = on;
}

int
dp_inject_gre(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	inject(gateway_of(dp), packet, len);
	return 0;
}

int
dp_inject_ip(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	gateway_of(dp)->ip_injected++;
	return 0;
}

static inline void
answer_export(struct dp_session *s)
{
	struct keygate *g = &s->st.gate;
	uint8_t classes = g->high != KEYS_NONE ? g->high : g->low;

	s->exporting = false;
	g->mark_seq = s->st.tx_seq + s->ahead;
	g->mark_index = s->st.tx.index + (uint64_t)s->ahead * (classes == KEYS_ALL ? 1 : 2);
	g->low = classes;
	g->high = KEYS_NONE;
	session_dp_ops.on_exported(&s->gw->e, s->c.owner, &s->st);
}

void
dp_freeze(struct dataplane *dp, bool frozen)
{
	gateway_of(dp)->frozen = frozen;
}

void
dp_doze(struct dataplane *dp, bool on)
{
	gateway_of(dp)->dozing = on;
}

void
dp_session_counters(const struct dp_session *s, struct dp_counters *c)
{
	*c = (struct dp_counters){.rx_packets = s->st.rx_packets,
	    .rx_octets = s->st.rx_octets,
	    .tx_packets = s->st.tx_packets,
	    .tx_octets = s->st.tx_octets,
	    .tx_seq = s->st.tx_seq,
	    .rx_seq = s->st.rx_seq,
	    .tx_acked = s->st.tx_acked,
	    .said_ack = s->said_ack,
	    .any_said_ack = s->any_said_ack,
	    .tx_index = s->st.tx.index,
	    .rx_index = s->st.rx.index};
}

/* ---- the monitor ---- */

void
priv_call_add(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	gateway_of(p)->call_adds++;
	if (done != NULL)
		done(arg, 0);
}

void
priv_call_del(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	gateway_of(p)->call_dels++;
	if (done != NULL)
		done(arg, 0);
}

void
priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg)
{
	gateway_of(p)->route_adds++;
	gateway_of(p)->served += serve;
	if (done != NULL)
		done(arg, 0);
}

void
priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg)
{
	gateway_of(p)->route_dels++;
	if (done != NULL)
		done(arg, 0);
}

void
priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg)
{
	gateway_of(p)->listening = on;
	if (done != NULL)
		done(arg, 0);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	done(arg, 0);
}

void
priv_silent_close(struct priv *p, int fd)
{
	gateway_of(p)->silent_closes++;
	close(fd);
}

void
priv_restore(struct priv *p, const struct tcp_restore *r, priv_fd_fn *done, void *arg)
{
	int fds[2];

	gateway_of(p)->restores++;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (unsigned i = 0; i < n_clients; i++) {
		if (40000u + i != r->tcp.peer_port)
			continue;
		close(clients[i].fd); /* the same connection, as the client sees it */
		clients[i].fd = fds[0];
	}
	done(arg, fds[1], 0);
}

void
priv_probe(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	if (done != NULL)
		done(arg, 0);
}

void
priv_free(struct priv *p)
{
}

void
answer_server_free(struct answer_server *s)
{
}

/* ---- the stream ---- */

static struct gateway *opening; /* takeover_init() is under way for it */

struct replica_io *
replica_io_new(struct loop *l, int fd, struct replica *r)
{
	opening->io.gw = opening;
	opening->io.bytes = malloc(STREAM_SIZE);
	return &opening->io;
}

void
replica_io_open(struct replica_io *io)
{
}

void
replica_io_free(struct replica_io *io)
{
	if (io != NULL)
		free(io->bytes);
}

void
replica_io_send(struct replica_io *io, const uint8_t *bytes, size_t len)
{
	if (!io->connected)
		return;
	assert_true(io->len + len <= STREAM_SIZE);
	memcpy(io->bytes + io->len, bytes, len);
	io->len += len;
}

void
replica_io_hang_up(struct replica_io *io, const char *why)
{
	io->connected = false;
	io->hang_ups++;
}

static inline void
join_streams(void)
{
	for (unsigned i = 0; i < 2; i++) {
		gw[i].io.connected = true;
		gw[i].io.len = 0;
	}
	replica_connected(gw[0].e.replica);
	replica_connected(gw[1].e.replica);
}

static inline void
cut_stream(unsigned i)
{
	if (!gw[i].io.connected)
		return;
	gw[i].io.connected = false;
	replica_disconnected(gw[i].e.replica, "cut by the test");
}

/* What has arrived from the other one; what it said last still counts when it hung up. */
static inline bool
carry(unsigned from)
{
	struct replica_io *out = &gw[from].io, *in = &gw[1 - from].io;
	uint8_t *bytes = out->bytes;
	size_t len = out->len;

	if (len == 0) {
		if (!out->connected && in->connected)
			cut_stream(1 - from);
		return false;
	}
	out->bytes = malloc(STREAM_SIZE);
	out->len = 0;
	if (in->connected)
		replica_input(in->gw->e.replica, bytes, len);
	free(bytes);
	return true;
}

#endif
