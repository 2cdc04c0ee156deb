/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What engine_pair.h is about: two gateways, each an engine of the real sources, and clients with a
 * real PPP, whose frames wait in lists.
 */
#ifndef UNIT_ENGINE_WORLD_H
#define UNIT_ENGINE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_peer.h"
#include "tests/unit/engine_rig.h"

#define CLIENTS_MAX 400

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
	bool frozen, dozing, listening;
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
peer_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	((struct client *)arg)->up = false;
}

#endif
