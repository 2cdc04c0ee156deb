/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines on the virtual clock, joined by the replica's stream: the engines' real sources and a
 * real PPP client behind each call. The monitor, the data plane and the stream's socket are stood
 * in for below; the data plane keeps what it is told, and steps keys as the real one does.
 */
#ifndef UNIT_ENGINE_PAIR_H
#define UNIT_ENGINE_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_rig.h"

#define CLIENTS_MAX 400
#define STREAM_SIZE (4u << 20)
#define CLIENT_IP   0xc6336464u

/* ---- the two gateways ---- */

struct replica_io {
	struct gateway *gw;
	bool connected;
	uint8_t *bytes; /* for the peer */
	size_t len;
	unsigned hang_ups;
};

struct gateway {
	struct engine e; /* first: the data plane's and the monitor's handles lead back to it */
	struct replica_io io;
	bool frozen, listening;
	unsigned call_adds, call_dels, route_adds, route_dels, served, silent_closes, restores;
	unsigned told; /* frames that left for clients while it was frozen */
	/* a handover */
	bool relaying;
	unsigned muted; /* frames to clients meanwhile */
	struct frame *injected;
	unsigned ip_relayed, ip_injected;
};
static struct gateway gw[2];
static int vip; /* who gets what clients send; -1: who serves */
static struct loop *the_loop;

static inline struct gateway *
gateway_of(const void *handle)
{
	return handle == &gw[0] ? &gw[0] : &gw[1];
}

/* ---- clients ---- */

struct frame {
	struct frame *next;
	uint32_t seq; /* to a client */
	uint16_t protocol;
	size_t len;
	uint8_t bytes[];
};

struct client {
	struct ppp *ppp;
	struct ppp_config config;
	struct gateway *at;
	struct dp_session *dp; /* who serves it */
	uint16_t call_id;
	int fd; /* our end of the control connection */
	bool up;
	unsigned echoes; /* Echo-Requests of the gateway */
	/* GRE as pptp-linux does it: old numbers are dropped, and those that are too far ahead;
	 * what was received is acknowledged once, with the next frame. */
	uint32_t last, window; /* 0 = any jump */
	bool received, acks, ack_due, mute;
	unsigned too_far;
	unsigned pass, lose; /* after so many frames for it, so many are lost */
	struct frame *to_client, *to_gateway;
};
static struct client clients[CLIENTS_MAX];
static unsigned n_clients;
static struct client *dialing;

struct dp_session {
	struct gateway *gw;
	struct client *client;
	struct dp_session_config c;
	struct dp_state st;
	bool up, detached, exporting;
	bool any_said_ack;
	uint32_t said_ack;
	unsigned keyed; /* times that it got keys */
	uint32_t ahead;
	struct dp_session *next;
};
static struct dp_session *dps; /* all, both gateways' */

static inline void
put_frame(struct frame **at, uint32_t seq, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct frame *f = malloc(sizeof *f + len);

	f->next = NULL;
	f->seq = seq;
	f->protocol = protocol;
	f->len = len;
	memcpy(f->bytes, payload, len);
	while (*at != NULL)
		at = &(*at)->next;
	*at = f;
}

static inline void
peer_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct client *c = arg;

	if (!c->mute)
		put_frame(&c->to_gateway, 0, protocol, payload, len);
}

static inline void
peer_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	((struct client *)arg)->up = true;
}

static inline void
peer_down(void *arg)
{
	((struct client *)arg)->up = false;
}

static inline void
peer_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
}

static inline void
peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
}

static inline void
peer_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	((struct client *)arg)->up = false;
}

static const struct ppp_ops peer_ops = {.send = peer_send,
    .keys = peer_keys,
    .peer_address = peer_address,
    .up = peer_up,
    .down = peer_down,
    .finished = peer_finished};

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

/* ---- time ---- */

static inline bool
is_lost(struct client *c)
{
	if (c->lose == 0)
		return false;
	if (c->pass > 0) {
		c->pass--;
		return false;
	}
	c->lose--;
	return true;
}

/* Does the client take a frame with this number? */
static inline bool
takes(struct client *c, uint32_t seq)
{
	bool fits = !c->received || (int32_t)(seq - c->last) > 0;

	if (is_lost(c))
		return false;
	if (fits && c->received && c->window != 0 && seq - c->last >= c->window) {
		c->too_far++;
		return false;
	}
	if (!fits)
		return false;
	c->received = c->ack_due = true;
	c->last = seq;
	return true;
}

static inline void
take_its_ack(struct client *c)
{
	if (!c->acks || !c->ack_due)
		return;
	c->ack_due = false;
	c->dp->any_said_ack = true;
	c->dp->said_ack = c->last;
}

static inline void
receive(struct dp_session *d, const struct frame *f)
{
	if (d->gw->frozen)
		return;
	d->st.rx_any = true;
	d->st.rx_seq++;
	take_its_ack(d->client);
	session_dp_ops.on_frame(&d->gw->e, d->c.owner, f->protocol, f->bytes, f->len);
}

static inline struct dp_session *
dp_of(const struct gateway *g, uint16_t call_id)
{
	for (struct dp_session *d = dps; d != NULL; d = d->next)
		if (d->gw == g && d->c.call_id == call_id && !d->detached)
			return d;
	return NULL;
}

static inline void
arrive(struct gateway *g, const struct client *c, const struct frame *f)
{
	struct dp_session *d = dp_of(g, c->call_id);
	uint8_t buf[DP_FRAME_MAX + 4];
	struct wr w = wr_init(buf, sizeof buf);

	if (!g->relaying) {
		if (d != NULL)
			receive(d, f);
		return;
	}
	wr_u16(&w, c->call_id);
	wr_u16(&w, f->protocol);
	wr_copy(&w, f->bytes, f->len);
	session_dp_ops.on_relay(&g->e, DP_RELAY_GRE, buf, wr_len(&w));
}

static inline bool
take_injected(struct gateway *g)
{
	struct frame *f = g->injected;
	struct dp_session *d;

	if (f == NULL)
		return false;
	g->injected = f->next;
	if ((d = dp_of(g, (uint16_t)f->seq)) != NULL)
		receive(d, f);
	free(f);
	return true;
}

static inline bool
travel(struct client *c)
{
	struct frame *f = c->to_client;

	if (f != NULL) {
		c->to_client = f->next;
		if (takes(c, f->seq))
			ppp_input(c->ppp, f->protocol, f->bytes, f->len);
		free(f);
		return true;
	}
	if ((f = c->to_gateway) == NULL)
		return false;
	c->to_gateway = f->next;
	if (vip >= 0)
		arrive(&gw[vip], c, f);
	else if (c->dp != NULL)
		receive(c->dp, f);
	free(f);
	return true;
}

static inline bool
serve_data_planes(void)
{
	bool moved = false;

	for (struct dp_session **at = &dps, *d; (d = *at) != NULL;) {
		if (d->detached) {
			*at = d->next;
			session_dp_ops.on_detached(&d->gw->e, d->c.owner);
			free(d);
			return true;
		}
		if (d->exporting) {
			answer_export(d);
			moved = true;
		}
		at = &d->next;
	}
	return moved;
}

/* Lets everything happen for ms milliseconds. */
static inline void
run(unsigned ms)
{
	for (unsigned t = 0; t <= ms; t++) {
		bool moved = true;

		while (moved) {
			moved = carry(0);
			moved |= carry(1);
			moved |= serve_data_planes();
			moved |= take_injected(&gw[0]);
			moved |= take_injected(&gw[1]);
			for (unsigned i = 0; i < n_clients; i++)
				while (travel(&clients[i]))
					moved = true;
			loop_advance(the_loop, 0);
		}
		loop_advance(the_loop, 1);
	}
}

/* ---- fixture ---- */

static inline void
open_gateway(unsigned i, const char *node)
{
	char conf[] = "localip 10.8.0.1\nremoteip 10.8.0.2-10.8.3.250\nconnections 1000\n"
		      "half-open 1000\nconnections-per-address 1000\n";
	char options[] = "name pptpd\nrequire-mschap-v2\nrequire-mppe-128\nproxyarp\n";
	char secrets[] = "* pptpd secret *\n";
	struct engine *e = &gw[i].e;

	memset(&gw[i], 0, sizeof gw[i]);
	e->loop = the_loop;
	snprintf(e->node, sizeof e->node, "%s", node);
	e->boot_id = 0x1000 + i;
	strcpy(e->host, "host");
	assert_int_equal(rig_engine(e, conf, options, secrets), 0);
	e->max_sockets = 2000;
	e->priv = (struct priv *)(void *)e;
	e->dp = (struct dataplane *)(void *)e;
	opening = &gw[i];
	assert_int_equal(takeover_init(e, 5), 0);
}

static inline int
setup(void **state)
{
	the_loop = loop_new_virtual();
	n_clients = 0;
	vip = -1;
	memset(clients, 0, sizeof clients);
	open_gateway(0, "gw1");
	open_gateway(1, "gw2");
	return engine_promote(&gw[0].e, 1, NULL, NULL);
}

static inline int
teardown(void **state)
{
	for (unsigned i = 0; i < 2; i++)
		engine_fini(&gw[i].e);
	for (struct dp_session *d = dps, *next; d != NULL; d = next) {
		next = d->next;
		free(d);
	}
	dps = NULL;
	for (unsigned i = 0; i < n_clients; i++) {
		ppp_free(clients[i].ppp);
		close(clients[i].fd);
		for (struct frame *f; (f = clients[i].to_client) != NULL; free(f))
			clients[i].to_client = f->next;
		for (struct frame *f; (f = clients[i].to_gateway) != NULL; free(f))
			clients[i].to_gateway = f->next;
	}
	loop_free(the_loop);
	return 0;
}

static inline struct ctrl *
ctrl_of(struct engine *e, uint16_t port)
{
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->ctrls, entry)
	if (c->tcp.peer_port == port)
		return c;
	return NULL;
}

static inline void
say(struct gateway *g, struct client *c, const struct pptp_message *m)
{
	uint8_t buf[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(buf, sizeof buf);
	struct ctrl *ctrl = ctrl_of(&g->e, (uint16_t)(40000 + (c - clients)));

	assert_non_null(ctrl);
	assert_int_equal(pptp_encode(m, &w), 0);
	assert_int_equal(send(c->fd, buf, wr_len(&w), MSG_NOSIGNAL), (ssize_t)wr_len(&w));
	ctrl->io.cb(IO_READ, ctrl->io.arg);
}

/* The next message from the gateway; type 0 = none, 255 = the connection is closed. */
static inline struct pptp_message
hear(struct client *c)
{
	struct pptp_message m = {0};
	uint8_t buf[PPTP_MESSAGE_MAX];
	ssize_t n = recv(c->fd, buf, 2, MSG_DONTWAIT | MSG_PEEK);

	if (n <= 0) {
		m.type = n == 0 ? 255 : 0;
		return m;
	}
	n = recv(c->fd, buf, (size_t)buf[0] << 8 | buf[1], MSG_DONTWAIT);
	assert_int_equal(pptp_parse(buf, (size_t)n, &m), 0);
	return m;
}

/* A client dials gateway g and logs in. */
static inline struct client *
dial(struct gateway *g)
{
	struct client *c = &clients[n_clients];
	static char names[CLIENTS_MAX][16];
	struct pptp_message m;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c->fd = fds[0];
	c->at = g;
	snprintf(names[n_clients], sizeof names[0], "user%u", n_clients);
	ppp_config_defaults(&c->config);
	c->config.name = names[n_clients];
	c->config.password = "secret";
	c->config.echo_interval_s = 0;
	c->acks = true;
	c->ppp = ppp_new(the_loop, &c->config, &peer_ops, c);
	ctrl_accept(&g->e, fds[1],
	    &(struct tcp_snapshot){.peer_ip = CLIENT_IP,
		.peer_port = (uint16_t)(40000 + n_clients),
		.local_ip = 0xc633640a,
		.local_port = 1723});
	n_clients++;
	say(g, c, &(struct pptp_message){.type = PPTP_SCCRQ, .version = PPTP_VERSION});
	assert_int_equal(hear(c).type, PPTP_SCCRP);
	dialing = c;
	say(g, c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 7, .window = 64});
	dialing = NULL;
	m = hear(c);
	assert_int_equal(m.type, PPTP_OCRP);
	c->call_id = m.call_id;
	ppp_open(c->ppp);
	return c;
}

static inline struct session *
session_at(struct gateway *g, const struct client *c)
{
	return g->e.by_call[c->call_id];
}

static inline struct client *
up_client(struct gateway *g)
{
	struct client *c = dial(g);

	run(5);
	assert_true(c->up);
	assert_true(session_at(g, c)->up);
	return c;
}

static inline struct replica_status
status_of(unsigned i)
{
	struct replica_status st;

	replica_get_status(gw[i].e.replica, &st);
	return st;
}

static inline void
in_step_as(unsigned active)
{
	join_streams();
	run(50);
	assert_int_equal(status_of(active).state, REPLICA_IN_SYNC);
	assert_true(status_of(1 - active).in_step);
}

static inline void
in_step(void)
{
	in_step_as(0);
}

/* Its machine is gone: nothing of it is heard any more. */
static inline void
power_off(unsigned i)
{
	gw[i].frozen = true;
	for (unsigned n = 0; n < n_clients; n++)
		if (clients[n].dp != NULL && clients[n].dp->gw == &gw[i])
			clients[n].dp = NULL;
	gw[i].io.connected = false;
	gw[i].io.len = 0;
	cut_stream(1 - i);
}

#endif
