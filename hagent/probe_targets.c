/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Targets behind the tunnel.
 */
#include "hagent/probe_targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/client_packet.h"
#include "hagent/probe_words.h"

#define TRIES    3
#define AGAIN_MS 1000
#define ISN      0x50726f62
#define PAYLOAD  56

enum found {
	SILENT,
	ANSWERS,
	REFUSES,
	UNREACHABLE,
	PROHIBITED,
};

static const char *const found_names[] = {
    "silent", "answers", "refused", "unreachable", "prohibited"};

struct trial {
	struct probe_target t;
	uint16_t sport; /* of TCP and UDP; the echo's id */
	enum found found;
	bool settled;
	uint32_t from; /* who sent the ICMP error */
	uint64_t sent_us, took_us;
};

struct probe_targets {
	struct pptp_client *client;
	uint64_t (*now_us)(void);
	void (*done)(void *arg);
	void *arg;
	struct timer timer;
	unsigned tries;
	size_t n, settled;
	struct trial v[];
};

static const char *
protocol_name(unsigned protocol)
{
	return protocol == CLUSTER_TCP ? "tcp" : protocol == CLUSTER_UDP ? "udp" : "icmp";
}

size_t
probe_targets_of(const struct cluster *c, struct probe_target out[PROBE_TARGETS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_apis; i++) {
		const struct cluster_api *a = &c->apis[i];
		size_t ports = a->protocol == CLUSTER_ICMP ? 1 : a->ports.n;

		for (size_t p = 0; p < ports && n < PROBE_TARGETS_MAX; p++)
			out[n++] = (struct probe_target){.name = a->name,
			    .address = a->address,
			    .protocol = a->protocol,
			    .port = a->protocol == CLUSTER_ICMP ? 0 : a->ports.v[p].first};
	}
	return n;
}

/* ---- out ---- */

static void
say(struct probe_targets *t, struct trial *v)
{
	struct pptp_client_state s;
	uint8_t packet[256];
	size_t len;

	pptp_client_state(t->client, &s);
	if (v->t.protocol == CLUSTER_ICMP)
		len = client_packet_echo(s.address, v->t.address, v->sport, (uint16_t)t->tries,
		    PAYLOAD, packet, sizeof(packet));
	else if (v->t.protocol == CLUSTER_TCP)
		len = client_packet_tcp(s.address, v->t.address, v->sport, v->t.port, ISN,
		    CLIENT_PACKET_SYN, packet, sizeof(packet));
	else
		len = client_packet_udp(
		    s.address, v->t.address, v->sport, v->t.port, packet, sizeof(packet));
	if (v->sent_us == 0 || v->t.protocol == CLUSTER_ICMP)
		v->sent_us = t->now_us();
	(void)pptp_client_send(t->client, packet, len);
}

static void
timer_cb(void *arg)
{
	struct probe_targets *t = arg;

	if (t->settled == t->n || t->tries == TRIES) {
		t->done(t->arg);
		return;
	}
	t->tries++;
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i].settled)
			say(t, &t->v[i]);
	timer_set(&t->timer, AGAIN_MS);
}

struct probe_targets *
probe_targets_new(struct loop *l, struct pptp_client *c, uint64_t (*now_us)(void),
    const struct probe_target *v, size_t n, void (*done)(void *arg), void *arg)
{
	struct probe_targets *t = calloc(1, sizeof(*t) + n * sizeof(t->v[0]));

	if (t == NULL)
		return NULL;
	t->client = c;
	t->now_us = now_us;
	t->done = done;
	t->arg = arg;
	t->n = n;
	for (size_t i = 0; i < n; i++) {
		t->v[i].t = v[i];
		t->v[i].sport = (uint16_t)(49152 + i);
	}
	timer_init(&t->timer, l, timer_cb, t);
	timer_set(&t->timer, 0);
	return t;
}

void
probe_targets_free(struct probe_targets *t)
{
	if (t == NULL)
		return;
	timer_cancel(&t->timer);
	free(t);
}

/* ---- in ---- */

static void
settle(struct probe_targets *t, struct trial *v, enum found found, uint32_t from)
{
	if (v->settled)
		return;
	v->settled = true;
	v->found = found;
	v->from = from;
	v->took_us = t->now_us() - v->sent_us;
	if (++t->settled == t->n)
		timer_set(&t->timer, 0);
}

/* What an ICMP error means for the trial that it is about. */
static enum found
meaning(const struct client_packet *p)
{
	if (p->type == 3 && (p->code == 9 || p->code == 10 || p->code == 13))
		return PROHIBITED;
	return p->type == 3 && p->code == 3 ? REFUSES : UNREACHABLE;
}

static void
answer(struct probe_targets *t, struct trial *v, const struct client_packet *p)
{
	struct pptp_client_state s;
	uint8_t packet[64];
	size_t len;

	if (v->t.protocol != CLUSTER_TCP || (p->flags & CLIENT_PACKET_SYN) == 0) {
		settle(t, v, v->t.protocol == CLUSTER_TCP ? REFUSES : ANSWERS, 0);
		return;
	}
	settle(t, v, ANSWERS, 0);
	pptp_client_state(t->client, &s);
	len = client_packet_tcp(s.address, v->t.address, v->sport, v->t.port, ISN + 1,
	    CLIENT_PACKET_RST, packet, sizeof(packet));
	(void)pptp_client_send(t->client, packet, len);
}

static bool
is_about(const struct trial *v, const struct client_packet *p)
{
	static const uint8_t numbers[] = {
	    [CLUSTER_TCP] = CLIENT_PACKET_TCP,
	    [CLUSTER_UDP] = CLIENT_PACKET_UDP,
	    [CLUSTER_ICMP] = CLIENT_PACKET_ICMP,
	};
	uint8_t protocol = numbers[v->t.protocol];

	if (p->is_error)
		return p->about_protocol == protocol && p->about_to == v->t.address &&
		       (protocol == CLIENT_PACKET_ICMP || p->about_sport == v->sport);
	if (p->protocol != protocol || p->from != v->t.address)
		return false;
	return protocol == CLIENT_PACKET_ICMP ? p->type == 0 && p->id == v->sport
					      : p->dport == v->sport && p->sport == v->t.port;
}

void
probe_targets_input(struct probe_targets *t, const uint8_t *packet, size_t len)
{
	struct client_packet p;

	if (client_packet_parse(packet, len, &p) < 0)
		return;
	for (size_t i = 0; i < t->n; i++) {
		if (!is_about(&t->v[i], &p))
			continue;
		if (p.is_error)
			settle(t, &t->v[i], meaning(&p), p.from);
		else
			answer(t, &t->v[i], &p);
	}
}

/* ---- what was found ---- */

static bool
works(const struct trial *v)
{
	return v->found == ANSWERS || (v->found == SILENT && v->t.protocol == CLUSTER_UDP);
}

const struct probe_target *
probe_targets_failed(const struct probe_targets *t, char what[static 128])
{
	for (size_t i = 0; i < t->n; i++) {
		const struct trial *v = &t->v[i];
		char ip[16];

		if (works(v))
			continue;
		snprintf(what, 128, "%s (%s %s port %u) is %s", v->t.name,
		    probe_address(v->t.address, ip), protocol_name(v->t.protocol), v->t.port,
		    found_names[v->found]);
		return &v->t;
	}
	return NULL;
}

json_t *
probe_targets_report(const struct probe_targets *t)
{
	json_t *list = json_array(), *o;
	char ip[16];

	for (size_t i = 0; i < t->n; i++) {
		const struct trial *v = &t->v[i];

		o = json_pack("{s:s,s:s,s:s,s:i,s:b,s:s}", "name", v->t.name, "address",
		    probe_address(v->t.address, ip), "protocol", protocol_name(v->t.protocol),
		    "port", v->t.port, "ok", works(v), "found", found_names[v->found]);
		if (v->settled)
			json_object_set_new(o, "ms", json_real((double)v->took_us / 1000));
		if (v->from != 0)
			json_object_set_new(o, "from", json_string(probe_address(v->from, ip)));
		json_array_append_new(list, o);
	}
	return list;
}
