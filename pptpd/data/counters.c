/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the workers count, as everybody else reads it: each number whole, none stopped for it.
 */
#include <string.h>

#include "pptpd/data/internal.h"

const char *
dp_drop_name(enum dp_drop d)
{
	static const char *const names[DP_DROP_MAX] = {
	    [DP_DROP_GRE_HEADER] = "gre-header",
	    [DP_DROP_UNKNOWN_CALL] = "unknown-call",
	    [DP_DROP_FOREIGN_PEER] = "foreign-peer",
	    [DP_DROP_DUPLICATE] = "duplicate",
	    [DP_DROP_LATE] = "late",
	    [DP_DROP_LOST] = "lost",
	    [DP_DROP_PPP] = "ppp",
	    [DP_DROP_CLEAR_IP] = "clear-ip",
	    [DP_DROP_MPPE] = "mppe",
	    [DP_DROP_INSANE] = "insane",
	    [DP_DROP_SOURCE] = "source",
	    [DP_DROP_NOT_UP] = "not-up",
	    [DP_DROP_NO_ROUTE] = "no-route",
	    [DP_DROP_TOO_BIG] = "too-big",
	    [DP_DROP_TUN_WRITE] = "tun-write",
	    [DP_DROP_SEND_EPERM] = "send-eperm",
	    [DP_DROP_SEND_ENOBUFS] = "send-enobufs",
	    [DP_DROP_SEND_OTHER] = "send-other",
	    [DP_DROP_RING] = "ring",
	    [DP_DROP_MARK] = "mark",
	    [DP_DROP_STALL] = "stall",
	    [DP_DROP_FROZEN] = "frozen",
	    [DP_DROP_RELAY] = "relay",
	};

	return d < DP_DROP_MAX ? names[d] : "?";
}

static uint64_t
get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* All but packets and octets, whose place depends on the half. */
static void
add_tally(struct dp_counters *c, const struct tally *t)
{
	c->rx_reordered += get(&t->reordered);
	c->icmp_frag_needed += get(&t->icmp_frag_needed);
	c->fragmented += get(&t->fragmented);
	c->mss_clamped += get(&t->mss_clamped);
	c->acks_alone += get(&t->acks_alone);
	c->held += get(&t->held);
	c->stalls += get(&t->stalls);
	c->filled += get(&t->filled);
	c->last_rx_ms = later(c->last_rx_ms, get(&t->last_ms));
	c->last_data_ms = later(c->last_data_ms, get(&t->last_data_ms));
	for (unsigned i = 0; i < DP_DROP_MAX; i++)
		c->drops[i] += get(&t->drops[i]);
}

/* Its numbers and indices mean nothing in a sum. */
void
counters_add(struct dp_counters *c, const struct dp_session *s)
{
	add_tally(c, &s->rx.tally);
	add_tally(c, &s->tx.tally);
	c->rx_packets += get(&s->rx.tally.packets);
	c->rx_octets += get(&s->rx.tally.octets);
	c->tx_packets += get(&s->tx.tally.packets);
	c->tx_octets += get(&s->tx.tally.octets);
}

void
dp_session_counters(const struct dp_session *s, struct dp_counters *c)
{
	uint64_t said = get(&s->said_ack);

	memset(c, 0, sizeof(*c));
	counters_add(c, s);
	c->tx_seq = atomic_load_explicit(&s->tx.next, memory_order_relaxed);
	c->rx_seq = atomic_load_explicit(&s->ack.received, memory_order_relaxed);
	c->tx_acked = atomic_load_explicit(&s->peer_acked, memory_order_relaxed);
	c->said_ack = (uint32_t)said;
	c->any_said_ack = (said & SAID_ACK) != 0;
	c->tx_index = get(&s->tx.index);
	c->rx_index = get(&s->rx.index);
}

static void
add_worker(struct dp_counters *c, const struct worker *w)
{
	add_tally(c, &w->tally);
	c->relayed += get(&w->relayed);
	c->injected += get(&w->injected);
}

void
dp_work(const struct dataplane *dp, unsigned worker, uint64_t *decrypted, uint64_t *encrypted)
{
	*decrypted = get(&dp->workers[worker].decrypted);
	*encrypted = get(&dp->workers[worker].encrypted);
}

void
dp_totals(const struct dataplane *dp, struct dp_counters *c)
{
	*c = dp->ended;
	for (unsigned i = 0; i < dp->config.workers; i++)
		add_worker(c, &dp->workers[i]);
}
