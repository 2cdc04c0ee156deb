/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two engines on the virtual clock, joined by the replica's stream, with their clients: how time
 * passes for them, and what a test lets happen to them.
 */
#ifndef UNIT_ENGINE_PAIR_H
#define UNIT_ENGINE_PAIR_H

#include "tests/unit/engine_standins.h"

#define CLIENT_IP 0xc6336464u

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
