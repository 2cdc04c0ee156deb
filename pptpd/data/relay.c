/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets that another process is to handle, and those that it relayed to us: see dp_relay().
 *
 * The order to relay goes through each worker's ring, before every other order that finds no room;
 * from then on the worker passes packets to the main thread, first those that it kept. If the ring
 * of notes is full it turns deaf, and the kernel keeps them. When the relaying ends it stays deaf
 * until the main thread, which has met NOTE_RELAY_END behind the last relayed packet, has put
 * ORDER_RESUME behind the last injected one.
 *
 * Packets to be injected are orders of no session. What finds no room waits as a list of parcels.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/data/internal.h"
#include "pptpd/data/ipmtu.h"

#define PARCEL_BYTES_MAX (8u << 20) /* with the bookkeeping */

struct parcel {
	struct parcel *next;
	uint8_t kind; /* enum order_kind */
	uint16_t len;
	uint8_t bytes[];
};

/* The worker's side */

void
relay_packet(struct worker *w, enum note_kind kind, const uint8_t *packet, size_t len)
{
	if (len <= DP_PACKET_MAX && note_packet(w, kind, packet, len))
		tally_add(&w->relayed, 1);
	else
		tally_drop(&w->tally, DP_DROP_RELAY);
}

struct taking {
	struct worker *w;
	const struct dp_session *s;
};

/* A packet that waited for its order: its headers are written anew. Its acknowledgement was taken
 * when it came. */
static void
take_gre(void *arg, uint32_t seq, const uint8_t *bytes, size_t len)
{
	struct taking *t = arg;
	struct gre_header h = {
	    .call_id = t->s->call_id, .length = (uint16_t)len, .has_seq = true, .seq = seq};
	uint8_t packet[DP_PACKET_MAX];
	struct wr w = wr_init(packet, sizeof(packet));
	uint8_t *total, *checksum;

	wr_u16(&w, 0x4500);
	total = wr_reserve(&w, 2);
	wr_u32(&w, 0x00004000); /* don't fragment */
	wr_u16(&w, 0x402f);     /* hops, GRE */
	checksum = wr_reserve(&w, 2);
	wr_u32(&w, t->s->peer_ip);
	wr_u32(&w, t->s->local_ip);
	wr_patch_u16(&w, checksum, 0);
	gre_encode(&w, &h);
	wr_copy(&w, bytes, len);
	wr_patch_u16(&w, total, (uint16_t)wr_len(&w));
	if (!wr_ok(&w)) {
		tally_drop(&t->w->tally, DP_DROP_RELAY);
		return;
	}
	wr_patch_u16(&w, checksum, ipmtu_checksum(packet, 20));
	relay_packet(t->w, NOTE_RELAY_GRE, packet, wr_len(&w));
}

static void
relay_window(struct worker *w, struct dp_session *s)
{
	struct taking t = {.w = w, .s = s};

	due_cancel(&s->rx.gap);
	gre_rx_take(&s->rx.gre, take_gre, &t);
}

/* False: no room for the rest of it. */
static bool
relay_parked(struct worker *w, struct dp_session *s)
{
	struct hold *parked = &s->rx.parked;

	for (; parked->first != NULL; hold_pop(parked, &w->held_bytes)) {
		if (!note_room(w, 1))
			return false;
		relay_packet(
		    w, NOTE_RELAY_GRE, parked->first->bytes + HOLD_ROOM, parked->first->len);
	}
	due_cancel(&s->rx.park);
	return true;
}

/* False: no room for the rest of it. */
static bool
relay_hold(struct worker *w, struct dp_session *s)
{
	struct tx_half *tx = &s->tx;
	struct held *p;

	while ((p = tx->hold.first) != NULL) {
		if (!note_room(w, 1))
			return false;
		if (p->keyed)
			relay_packet(w, NOTE_RELAY_IP, p->bytes + HOLD_ROOM, p->len);
		else
			tally_drop(&tx->tally, DP_DROP_RELAY);
		hold_pop(&tx->hold, &w->held_bytes);
	}
	due_cancel(&tx->held);
	return true;
}

/* All that was kept here. False: no room for the rest of it. */
static bool
relay_kept(struct worker *w)
{
	struct due *d;

	while ((d = due_first(&w->gaps)) != NULL) {
		if (!note_room(w, GRE_RX_WINDOW_MAX))
			return false;
		relay_window(w, d->owner);
	}
	while ((d = due_first(&w->parks)) != NULL)
		if (!relay_parked(w, d->owner))
			return false;
	while ((d = due_first(&w->holds)) != NULL)
		if (!relay_hold(w, d->owner))
			return false;
	return true;
}

bool
relay_ready(struct worker *w)
{
	bool ready = relay_kept(w) && note_room(w, DP_BATCH);

	worker_hear(w, ready);
	return ready;
}

void
relay_order(struct worker *w, bool on, uint32_t round)
{
	struct due *d;

	w->relay_round = round;
	w->end_untold = !on;
	if (!on) {
		w->relay = RELAY_PAUSED;
		worker_hear(w, false);
		relay_retry(w);
		return;
	}
	while ((d = due_pop(&w->acks, UINT64_MAX)) != NULL)
		rx_ack_due(w, d->owner);
	outbox_flush(&w->outbox);
	w->relay = RELAY_ON;
	(void)relay_ready(w);
}

void
relay_resume(struct worker *w)
{
	if (w->relay != RELAY_PAUSED)
		return;
	w->relay = RELAY_OFF;
	worker_hear(w, true);
}

void
relay_inject(struct worker *w, const struct order *o)
{
	bool gre = o->kind == ORDER_INJECT_GRE;

	if (w->relay == RELAY_ON) {
		relay_packet(w, gre ? NOTE_RELAY_GRE : NOTE_RELAY_IP, o->payload, o->len);
		return;
	}
	tally_add(&w->injected, 1);
	w->injected_us = w->now_us;
	if (gre) {
		w->injecting = true;
		rx_input(w, o->payload, o->len);
		w->injecting = false;
		return;
	}
	memcpy(w->tun_buf + TUN_ROOM, o->payload, o->len);
	tx_input(w, w->tun_buf + TUN_ROOM, o->len);
}

bool
relay_waits(const struct worker *w)
{
	return w->end_untold || (w->deaf && w->relay == RELAY_ON);
}

void
relay_retry(struct worker *w)
{
	if (w->end_untold)
		w->end_untold = !note_packet(w, NOTE_RELAY_END, NULL, 0);
	if (w->deaf && w->relay == RELAY_ON)
		(void)relay_ready(w);
}

/* The main thread's side */

static bool
put(struct worker *w, enum order_kind kind, const uint8_t *packet, size_t len)
{
	struct order *o = ring_reserve(&w->orders, sizeof(*o) + len);

	if (o == NULL)
		return false;
	*o = (struct order){.kind = (uint8_t)kind,
	    .up = w->dp->relaying,
	    .round = w->relay_asked,
	    .len = (uint16_t)len};
	if (len > 0)
		memcpy(o->payload, packet, len);
	ring_commit(&w->orders);
	return true;
}

bool
relay_put_order(struct worker *w)
{
	if (w->relay_late)
		w->relay_late = !put(w, ORDER_RELAY, NULL, 0);
	return !w->relay_late;
}

static void
free_parcel(struct worker *w)
{
	struct parcel *p = w->parcels;

	w->parcels = p->next;
	if (w->parcels == NULL)
		w->parcels_tail = &w->parcels;
	w->dp->parcel_bytes -= sizeof(*p) + p->len;
	free(p);
}

bool
relay_put_parcels(struct worker *w)
{
	const struct parcel *p;

	while ((p = w->parcels) != NULL) {
		if (!put(w, (enum order_kind)p->kind, p->bytes, p->len))
			return false;
		free_parcel(w);
	}
	if (w->resume_late)
		w->resume_late = !put(w, ORDER_RESUME, NULL, 0);
	return !w->resume_late;
}

void
dp_relay(struct dataplane *dp, bool on)
{
	assert(!on || dp->ops.on_relay != NULL);
	if (on == dp->relaying)
		return;
	dp->relaying = on;
	for (unsigned i = 0; i < dp->config.workers; i++) {
		struct worker *w = &dp->workers[i];

		w->relay_late = true;
		w->resume_late = false;
		w->relay_asked++;
		dp_put_orders(w);
	}
}

void
relay_ended(struct worker *w, uint32_t round)
{
	if (w->dp->relaying || round != w->relay_asked)
		return;
	w->resume_late = true;
	dp_put_orders(w);
}

static int
keep_parcel(struct worker *w, enum order_kind kind, const uint8_t *packet, size_t len)
{
	struct parcel *p = NULL;

	if (w->dp->parcel_bytes + sizeof(*p) + len <= PARCEL_BYTES_MAX)
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		w->dp->ended.drops[DP_DROP_RELAY]++;
		errno = ENOBUFS;
		return -1;
	}
	*p = (struct parcel){.kind = (uint8_t)kind, .len = (uint16_t)len};
	if (len > 0)
		memcpy(p->bytes, packet, len);
	w->dp->parcel_bytes += sizeof(*p) + len;
	*w->parcels_tail = p;
	w->parcels_tail = &p->next;
	return 0;
}

static int
inject(struct worker *w, enum order_kind kind, const uint8_t *packet, size_t len)
{
	int rc = 0;

	if (len > DP_PACKET_MAX) {
		w->dp->ended.drops[DP_DROP_RELAY]++;
		errno = EMSGSIZE;
		return -1;
	}
	if (w->relay_late || w->late_head != NULL || w->parcels != NULL ||
	    !put(w, kind, packet, len))
		rc = keep_parcel(w, kind, packet, len);
	dp_put_orders(w);
	return rc;
}

int
dp_inject_gre(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len), payload;
	const struct dp_session *s;
	struct gre_header h;
	unsigned worker = 0; /* any: it looks closer, and counts */
	uint32_t src;

	if (rx_outer(&r, &src) && gre_parse(&r, &h, &payload) == 0) {
		s = dp->by_call[h.call_id];
		worker = s != NULL ? s->worker[HALF_RX] : h.call_id % dp->config.workers;
	}
	return inject(&dp->workers[worker], ORDER_INJECT_GRE, packet, len);
}

int
dp_inject_ip(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	const struct dp_session *s = NULL;
	struct ip4 ip;

	if (ipmtu_parse(packet, len, &ip) == 0)
		for (s = dp->by_inner[route_bucket(ip.dst)]; s != NULL && s->steered != ip.dst;)
			s = s->next_inner;
	return inject(
	    &dp->workers[s != NULL ? s->worker[HALF_TX] : 0], ORDER_INJECT_IP, packet, len);
}

void
relay_steer(struct dataplane *dp, struct dp_session *s, uint32_t ip)
{
	struct dp_session **p = &dp->by_inner[route_bucket(s->steered)];

	if (s->steered != 0) {
		while (*p != s)
			p = &(*p)->next_inner;
		*p = s->next_inner;
	}
	s->steered = ip;
	if (ip == 0)
		return;
	p = &dp->by_inner[route_bucket(ip)];
	s->next_inner = *p;
	*p = s;
}

void
relay_fini(struct worker *w)
{
	while (w->parcels != NULL)
		free_parcel(w);
}
