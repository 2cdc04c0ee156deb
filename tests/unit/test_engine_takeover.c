/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines on the virtual clock, joined by the replica's stream: the engines' real sources and a
 * real PPP client behind each call. The monitor, the data plane and the stream's socket are stood
 * in for below; the data plane keeps what it is told, and steps keys as the real one does.
 */
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
};
static struct gateway gw[2];
static struct loop *the_loop;

static struct gateway *
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

static void
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

static void
peer_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct client *c = arg;

	if (!c->mute)
		put_frame(&c->to_gateway, 0, protocol, payload, len);
}

static void
peer_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	((struct client *)arg)->up = true;
}

static void
peer_down(void *arg)
{
	((struct client *)arg)->up = false;
}

static void
peer_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
}

static void
peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
}

static void
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

static void
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

static void
join_streams(void)
{
	for (unsigned i = 0; i < 2; i++) {
		gw[i].io.connected = true;
		gw[i].io.len = 0;
	}
	replica_connected(gw[0].e.replica);
	replica_connected(gw[1].e.replica);
}

static void
cut_stream(unsigned i)
{
	if (!gw[i].io.connected)
		return;
	gw[i].io.connected = false;
	replica_disconnected(gw[i].e.replica, "cut by the test");
}

/* What has arrived from the other one; what it said last still counts when it hung up. */
static bool
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

/* Does the client take a frame with this number? */
static bool
takes(struct client *c, uint32_t seq)
{
	bool fits = !c->received || (int32_t)(seq - c->last) > 0;

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

static void
take_its_ack(struct client *c)
{
	if (!c->acks || !c->ack_due)
		return;
	c->ack_due = false;
	c->dp->any_said_ack = true;
	c->dp->said_ack = c->last;
}

static bool
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
	if (c->dp != NULL && !c->dp->gw->frozen) {
		c->dp->st.rx_any = true;
		c->dp->st.rx_seq++;
		take_its_ack(c);
		session_dp_ops.on_frame(
		    &c->dp->gw->e, c->dp->c.owner, f->protocol, f->bytes, f->len);
	}
	free(f);
	return true;
}

static bool
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
static void
run(unsigned ms)
{
	for (unsigned t = 0; t <= ms; t++) {
		bool moved = true;

		while (moved) {
			moved = carry(0);
			moved |= carry(1);
			moved |= serve_data_planes();
			for (unsigned i = 0; i < n_clients; i++)
				while (travel(&clients[i]))
					moved = true;
			loop_advance(the_loop, 0);
		}
		loop_advance(the_loop, 1);
	}
}

/* ---- fixture ---- */

static void
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

static int
setup(void **state)
{
	the_loop = loop_new_virtual();
	n_clients = 0;
	memset(clients, 0, sizeof clients);
	open_gateway(0, "gw1");
	open_gateway(1, "gw2");
	return engine_promote(&gw[0].e, 1, NULL, NULL);
}

static int
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

static struct ctrl *
ctrl_of(struct engine *e, uint16_t port)
{
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->ctrls, entry)
	if (c->tcp.peer_port == port)
		return c;
	return NULL;
}

static void
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
static struct pptp_message
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
static struct client *
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

static struct session *
session_at(struct gateway *g, const struct client *c)
{
	return g->e.by_call[c->call_id];
}

static struct client *
up_client(struct gateway *g)
{
	struct client *c = dial(g);

	run(5);
	assert_true(c->up);
	assert_true(session_at(g, c)->up);
	return c;
}

static struct replica_status
status_of(unsigned i)
{
	struct replica_status st;

	replica_get_status(gw[i].e.replica, &st);
	return st;
}

static void
in_step_as(unsigned active)
{
	join_streams();
	run(50);
	assert_int_equal(status_of(active).state, REPLICA_IN_SYNC);
	assert_true(status_of(1 - active).in_step);
}

static void
in_step(void)
{
	in_step_as(0);
}

/* Its machine is gone: nothing of it is heard any more. */
static void
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

static void
count_cb(void *arg, int err)
{
	assert_int_equal(err, 0);
	++*(unsigned *)arg;
}

/* ---- tests ---- */

static void
test_a_session_goes_on(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *old = session_at(&gw[0], c), *s;
	struct record_identity identity = old->identity;
	uint64_t id = old->id, began = old->started_ms;
	uint32_t address = old->address, sent;
	unsigned answered = 0;

	in_step();
	assert_int_equal(gw[1].call_adds, 1);
	assert_int_equal(gw[1].route_adds, 1);
	assert_int_equal(gw[1].served, 0);
	assert_int_equal(pool_used(gw[1].e.pool), 1);
	sent = c->dp->st.tx_seq;
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	run(20);
	assert_int_equal(answered, 1);
	assert_true(gw[1].listening);
	s = session_at(&gw[1], c);
	assert_non_null(s);
	assert_true(s->up);
	assert_true(s->id == id);
	assert_int_equal(s->address, address);
	assert_true(pool_owner(gw[1].e.pool, address) == s);
	assert_memory_equal(&s->identity, &identity, sizeof identity);
	assert_in_range(s->started_ms, began - 2000, began + 2000);
	assert_int_equal(s->peer_call_id, 7);
	/* nothing was taken down and put up again; the address is served from now on */
	assert_int_equal(gw[1].call_adds, 1);
	assert_int_equal(gw[1].call_dels, 0);
	assert_int_equal(gw[1].route_dels, 0);
	assert_int_equal(gw[1].served, 1);
	/* at the mark, odd keys only, the link as it was; it spoke first and was answered */
	assert_non_null(c->dp);
	assert_true(c->dp->up);
	assert_in_range(c->dp->c.state == NULL ? 0 : c->dp->st.tx_seq, sent, sent + 200);
	assert_int_equal(c->dp->st.gate.high, KEYS_ODD);
	assert_int_equal(c->dp->st.tx.index % 2, 1);
	run(1100);
	assert_in_range(c->echoes, 1, 2);
	assert_true(c->up);
	/* the control connection too */
	assert_int_equal(gw[1].restores, 1);
	assert_int_equal(gw[1].e.restoring, 0);
	say(&gw[1], c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 77});
	run(400);
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
}

static void
test_many_in_slices(void **state)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < 300; i++)
		dial(&gw[0]);
	run(20);
	assert_int_equal(gw[0].e.stats.sessions_up, 300);
	in_step();
	run(500);
	assert_int_equal(status_of(1).sessions, 300);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	assert_int_equal(answered, 0); /* it would have blocked the loop */
	assert_true(takeover_restoring(&gw[1].e) > 0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	run(5);
	assert_int_equal(answered, 2);
	assert_int_equal(gw[1].e.n_sessions, 300);
	run(1200);
	for (unsigned i = 0; i < n_clients; i++) {
		assert_in_range(clients[i].echoes, 1, 2);
		assert_true(clients[i].up);
	}
	assert_int_equal(gw[1].e.n_ctrls, 300);
	assert_int_equal(gw[1].call_dels, 0);
}

static bool
reset_is_acked(const struct client *c, uint8_t id)
{
	for (const struct frame *f = c->to_client; f != NULL; f = f->next)
		if (f->protocol == PPP_CCP && f->len == 4 && f->bytes[0] == 15 && f->bytes[1] == id)
			return true;
	return false;
}

/*
 * A Linux client that could not decrypt is deaf until its Reset-Request is answered: whoever goes
 * on already does not wait for the rest of the takeover.
 */
static void
test_reset_is_answered_between_slices(void **state)
{
	static const uint8_t request[] = {14, 77, 0, 4};
	unsigned asked = 0, answered = 0;

	for (unsigned i = 0; i < 300; i++)
		dial(&gw[0]);
	run(20);
	in_step();
	run(500);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, count_cb, &answered), 0);
	for (unsigned i = 0; i < n_clients; i++) {
		if (session_at(&gw[1], &clients[i]) == NULL)
			continue;
		asked++;
		put_frame(&clients[i].to_gateway, 0, PPP_CCP, request, sizeof request);
		assert_true(travel(&clients[i]));
		assert_true(reset_is_acked(&clients[i], 77));
	}
	assert_in_range(asked, 1, 299);
	assert_true(gw[1].e.takeover->busy);
	assert_int_equal(answered, 0);
	run(5);
	assert_int_equal(answered, 1);
	assert_int_equal(gw[1].e.n_sessions, 300);
}

/* It sends and receives: its standby hears of that within a second. */
static void
traffic(struct client *c)
{
	c->dp->st.tx_seq += 10;
	mppe_step(&c->dp->st.tx, c->dp->st.tx.index + 10);
	c->dp->st.rx_seq += 3000;
	mppe_step(&c->dp->st.rx, c->dp->st.rx.index + 3000);
}

/* Those with traffic go on first: they speak at once, and fill their jump for a client that waits
 * for missing numbers. The idle ones do neither. */
static void
test_the_busy_first(void **state)
{
	struct client *idle, *was_busy_once, *busy, *patient;
	struct dp_session *order[4];
	unsigned n = 0;

	busy = up_client(&gw[0]);
	idle = up_client(&gw[0]);
	was_busy_once = up_client(&gw[0]);
	patient = up_client(&gw[0]);
	session_at(&gw[0], idle)->ctrl->buffers_gaps = true;
	session_at(&gw[0], busy)->ctrl->buffers_gaps = true;
	in_step();
	traffic(was_busy_once);
	run(3000);
	traffic(busy);
	traffic(patient);
	run(1100);
	power_off(0);
	loop_advance(the_loop, 5000); /* however long it took to notice */
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	for (struct dp_session *d = dps; d != NULL; d = d->next) /* the newest first */
		if (d->gw == &gw[1])
			order[n++] = d;
	assert_int_equal(n, 4);
	for (unsigned i = 2; i < 4; i++)
		assert_true(order[i]->client == busy || order[i]->client == patient);
	assert_in_range(busy->dp->st.tx_seq - busy->dp->c.fill_from, 64, FILL_MAX);
	assert_int_equal(
	    patient->dp->st.tx_seq - patient->dp->c.fill_from, 1); /* its Echo-Request */
	assert_int_equal(idle->dp->c.fill_from, idle->dp->st.tx_seq);
	assert_int_equal(gw[1].served, 2);
	run(1200);
	assert_int_equal(gw[1].served, 4);
	assert_int_equal(busy->dp->st.rx.index, 3000);
}

static void
test_demotion_says_nothing(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	assert_int_equal(engine_demote(&gw[0].e, 1, NULL, NULL), 0);
	assert_true(gw[0].frozen);
	run(50);
	assert_int_equal(hear(c).type, 255); /* closed: the stand-in's silent close */
	assert_int_equal(gw[0].silent_closes, 1);
	assert_int_equal(gw[0].told, 0);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].e.n_held, 0);
	assert_int_equal(pool_used(gw[0].e.pool), 0);
	assert_int_equal(gw[0].call_dels, 1);
	assert_int_equal(status_of(1).sessions, 1); /* the copy is not told that it went */
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(50);
	assert_int_equal(gw[1].e.n_sessions, 1);
	join_streams();
	run(200);
	assert_int_equal(status_of(1).state, REPLICA_IN_SYNC);
	assert_int_equal(status_of(0).sessions, 1);
	assert_int_equal(pool_used(gw[0].e.pool), 1);
	assert_int_equal(gw[0].call_adds, 2);
	power_off(1); /* and back */
	assert_int_equal(engine_promote(&gw[0].e, 3, NULL, NULL), 0);
	run(50);
	assert_int_equal(gw[0].e.n_sessions, 1);
	assert_true(session_at(&gw[0], c)->up);
}

/* The standby's copy is stale; the active goes on alone, and dies. */
static void
promote_stale(void)
{
	assert_int_equal(replica_stale(gw[1].e.replica, status_of(0).cut, 1), 0);
	run(1);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
}

static void
assert_unkeyed(struct gateway *g, struct client *c)
{
	assert_true(rekey_unkeyed(session_at(g, c)));
	assert_false(session_at(g, c)->replica.member);
	assert_false(c->dp->st.armed || c->dp->up);
	assert_int_equal(c->dp->keyed, 0);
}

/* It is up with keys of its own, where it was before, and the next standby knows it. */
static void
assert_rekeyed(struct gateway *g, struct client *c, uint32_t address, uint64_t id)
{
	struct session *s = session_at(g, c);

	assert_non_null(s);
	assert_false(rekey_busy(s));
	assert_true(c->up && s->up && s->replica.member && c->dp->up && c->dp->st.armed);
	assert_int_equal(c->dp->keyed, 1);
	assert_int_equal(c->dp->st.gate.high, KEYS_ALL);
	assert_int_equal(s->address, address);
	assert_true(s->id == id);
	assert_true(pool_owner(g->e.pool, address) == s);
	assert_int_equal(rekey_waiting(&g->e), 0);
}

static void
test_stale_ones_are_rekeyed(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;
	uint8_t master[16];

	memcpy(master, c->dp->st.tx.master, sizeof master);
	c->window = 300;
	in_step();
	c->last += 5000; /* it heard so much of the one that went on alone, */
	promote_stale();
	assert_unkeyed(&gw[1], c); /* and says nothing by itself */
	assert_int_equal(gw[1].e.takeover->stale, 1);
	assert_int_equal(gw[1].e.stats.sessions_continued, 0);
	run(2000);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
	assert_memory_not_equal(c->dp->st.tx.master, master, sizeof master);
	assert_int_equal(gw[1].e.stats.rekeyed, 1);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 0);
	assert_int_equal(gw[1].call_dels + gw[1].route_dels, 0);
	assert_int_equal(gw[1].restores, 1);
	say(&gw[1], c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 77});
	assert_int_equal(hear(c).type, PPTP_ECHO_RP);
	/* the other one comes back: it can continue it again */
	assert_int_equal(engine_demote(&gw[0].e, 2, NULL, NULL), 0);
	in_step_as(1);
	power_off(1);
	assert_int_equal(engine_promote(&gw[0].e, 3, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[0].e.stats.sessions_continued, 1);
	assert_true(session_at(&gw[0], c)->up && c->dp->st.armed);
}

/* Its own frame says where it stands: no search. */
static void
test_a_stale_client_says_where_it_stands(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;
	const uint8_t nothing[] = {11, 1, 0, 4};

	c->window = 300;
	in_step();
	c->last += 2000000000;
	c->ack_due = true;
	promote_stale();
	peer_send(c, PPP_LCP, nothing, sizeof nothing);
	run(50);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(c->too_far, 0);
}

/* One that never acknowledges anything answers the probe that it took. */
static void
test_a_stale_client_never_acknowledges(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	c->acks = false;
	in_step();
	c->last += 100000;
	promote_stale();
	run(5000);
	assert_rekeyed(&gw[1], c, address, id);
}

static void
test_a_silent_stale_client_is_dropped(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	c->mute = true;
	promote_stale();
	run(29900);
	assert_unkeyed(&gw[1], c);
	run(200);
	assert_int_equal(gw[1].e.n_sessions, 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 1);
	assert_int_equal(gw[1].e.stats.ended[END_STALE], 1);
	assert_int_equal(gw[1].call_dels, 1);
	assert_int_equal(gw[1].route_dels, 1);
	assert_int_equal(pool_used(gw[1].e.pool), 0);
	assert_int_equal(hear(c).type, PPTP_CDN);
}

/* A client that cannot log in any more learns it, as at any login. */
static void
test_a_stale_client_is_refused(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	c->config.password = "another";
	promote_stale();
	run(3100);
	assert_int_equal(c->dp == NULL ? 0 : c->dp->keyed, 0);
	run(4000);
	assert_int_equal(gw[1].e.n_sessions, 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 1);
	assert_int_equal(gw[1].e.stats.ended[PPP_CAUSE_AUTH_FAILED], 1);
	assert_int_equal(hear(c).type, PPTP_CDN);
}

/* Not stale, but somebody may have used its odd keys. */
static void
test_closed_keys_are_replaced(void **state)
{
	struct client *c = up_client(&gw[0]);
	uint32_t address = session_at(&gw[0], c)->address;
	uint64_t id = session_at(&gw[0], c)->id;

	session_at(&gw[0], c)->replica.open = KEYS_EVEN;
	in_step();
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	assert_unkeyed(&gw[1], c);
	assert_int_equal(gw[1].e.takeover->spent, 1);
	run(50);
	assert_rekeyed(&gw[1], c, address, id);
	assert_int_equal(session_at(&gw[1], c)->replica.open, KEYS_ALL);
}

/* It serves, and the last class of its keys is closed. */
static void
test_a_spent_session_is_rekeyed(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *s = session_at(&gw[0], c);
	uint8_t master[16];

	in_step();
	memcpy(master, c->dp->st.tx.master, sizeof master);
	takeover_ops.spent(&gw[0].e, &s->replica);
	loop_advance(the_loop, 0);
	assert_true(rekey_unkeyed(s));
	assert_false(c->dp->st.armed || s->replica.member);
	run(50);
	assert_true(c->up && s->up && c->dp->up && c->dp->st.armed && s->replica.member);
	assert_memory_not_equal(c->dp->st.tx.master, master, sizeof master);
	assert_int_equal(gw[0].e.stats.rekeyed, 1);
	assert_int_equal(status_of(1).sessions, 1);
	assert_int_equal(status_of(0).at_risk, 0);
}

/* Many: none waits for long, and a demotion in the middle drops none. */
static void
test_many_are_rekeyed(void **state)
{
	for (unsigned i = 0; i < 300; i++) {
		dial(&gw[0]);
		clients[i].window = 300;
	}
	run(20);
	in_step();
	run(500);
	for (unsigned i = 0; i < n_clients; i++)
		clients[i].last += i * 100;
	promote_stale();
	run(100);
	assert_in_range(rekey_waiting(&gw[1].e), 1, 300);
	run(5000);
	assert_int_equal(gw[1].e.stats.rekeyed, 300);
	for (unsigned i = 0; i < n_clients; i++)
		assert_true(clients[i].up && clients[i].dp->st.armed && clients[i].too_far == 0);
	for (unsigned i = 0; i < n_clients; i++)
		takeover_ops.spent(&gw[1].e, &session_at(&gw[1], &clients[i])->replica);
	loop_advance(the_loop, 0);
	assert_int_equal(rekey_waiting(&gw[1].e), 300);
	assert_int_equal(engine_demote(&gw[1].e, 3, NULL, NULL), 0);
	assert_int_equal(rekey_waiting(&gw[1].e), 0);
	assert_int_equal(gw[1].e.stats.rekey_dropped, 0);
}

static void
test_the_end_with_and_without_a_standby(void **state)
{
	struct client *c = up_client(&gw[0]), *d;

	in_step();
	stop_serving(&gw[1].e); /* a standby: not a word, and its copy is of no concern */
	assert_int_equal(gw[1].told, 0);
	stop_serving(&gw[0].e);
	assert_true(gw[0].frozen);
	run(10);
	assert_int_equal(hear(c).type, 255);
	assert_int_equal(gw[0].silent_closes, 1);
	teardown(NULL);
	setup(NULL);
	d = up_client(&gw[0]);
	stop_serving(&gw[0].e);
	assert_false(gw[0].frozen);
	assert_int_equal(hear(d).type, PPTP_CDN);
	assert_int_equal(hear(d).type, PPTP_STOP_RQ);
}

static void
test_the_lower_epoch_yields(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	cut_stream(0);
	cut_stream(1);
	assert_int_equal(engine_promote(&gw[1].e, 5, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[1].e.n_sessions, 1);
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	join_streams();
	run(1);
	assert_int_equal(gw[0].e.role, ROLE_STANDBY);
	assert_true(gw[0].frozen);
	assert_true(takeover_yielded(&gw[0].e) == 5);
	run(50);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_false(gw[0].listening);
	assert_int_equal(gw[0].told, 0);
	assert_int_equal(gw[1].e.role, ROLE_ACTIVE);
	assert_true(c->dp != NULL && c->dp->gw == &gw[1]);
	/* a promotion below what it has heard of is refused, at the same it is the lower name's */
	assert_int_equal(engine_promote(&gw[0].e, 4, NULL, NULL), -1);
	assert_int_equal(errno, ESTALE);
}

/* It is ordered back in the turn in which it yields: nothing of its own comes back. */
static void
test_promoted_while_it_yields(void **state)
{
	unsigned answered = 0;

	up_client(&gw[0]);
	op_yield(&gw[0].e, 7);
	assert_true(gw[0].frozen);
	assert_int_equal(engine_promote(&gw[0].e, 8, count_cb, &answered), 0);
	run(20);
	assert_int_equal(answered, 1);
	assert_int_equal(gw[0].e.role, ROLE_ACTIVE);
	assert_int_equal(gw[0].e.n_sessions, 0);
	assert_int_equal(gw[0].e.n_held, 0);
	assert_int_equal(gw[0].told, 0);
	assert_false(gw[0].frozen);
	up_client(&gw[0]);
}

/* New keys: what the standby holds is of no use until the link is up again. */
static void
test_renegotiation(void **state)
{
	struct client *c = up_client(&gw[0]);
	struct session *s = session_at(&gw[0], c);
	struct session_record r;

	in_step();
	assert_true(s->replica.member);
	ppp_renegotiate(c->ppp);
	run(20);
	assert_true(c->up && s->up && s->replica.member);
	assert_int_equal(status_of(1).sessions, 1);
	assert_int_equal(
	    mirror_session_record(mirror_next_session(replica_mirror(gw[1].e.replica), NULL), &r),
	    0);
	assert_memory_equal(r.mppe_tx.master, c->dp->st.tx.master, 16);
	session_record_wipe(&r);
	power_off(0);
	assert_int_equal(engine_promote(&gw[1].e, 2, NULL, NULL), 0);
	run(20);
	assert_int_equal(gw[1].e.n_sessions, 1);
}

/* The client ends its call: the copy goes with it. */
static void
test_the_end_of_a_call_reaches_the_copy(void **state)
{
	struct client *c = up_client(&gw[0]);

	in_step();
	say(&gw[0], c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = 7});
	run(50);
	assert_int_equal(status_of(1).sessions, 0);
	assert_int_equal(gw[1].call_dels, 1);
	assert_int_equal(gw[1].route_dels, 1);
	assert_int_equal(pool_used(gw[1].e.pool), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_session_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_in_slices, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reset_is_answered_between_slices, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_busy_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_demotion_says_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stale_ones_are_rekeyed, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_stale_client_says_where_it_stands, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_stale_client_never_acknowledges, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_silent_stale_client_is_dropped, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_stale_client_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_closed_keys_are_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_spent_session_is_rekeyed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_are_rekeyed, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_end_with_and_without_a_standby, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_lower_epoch_yields, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_promoted_while_it_yields, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_renegotiation, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_end_of_a_call_reaches_the_copy, setup, teardown),
	};

	log_init("test", -1, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
