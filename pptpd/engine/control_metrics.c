/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The daemon's counters. Those of sessions are kept by the sessions while they run, and by the
 * engine and the data plane once they have ended; who asks gets the sum. Nothing is counted twice
 * and no counter ever falls while the engine lives.
 */
#include "pptpd/engine/control.h"

#include "pptpd/engine/session.h"
#include "pptpd/engine/takeover.h"

/* ---- sums ---- */

static void
add_counters(struct dp_counters *sum, const struct dp_counters *n)
{
	sum->rx_packets += n->rx_packets;
	sum->rx_octets += n->rx_octets;
	sum->tx_packets += n->tx_packets;
	sum->tx_octets += n->tx_octets;
	sum->rx_reordered += n->rx_reordered;
	sum->icmp_frag_needed += n->icmp_frag_needed;
	sum->fragmented += n->fragmented;
	sum->mss_clamped += n->mss_clamped;
	sum->acks_alone += n->acks_alone;
	sum->held += n->held;
	sum->stalls += n->stalls;
	sum->filled += n->filled;
	for (int d = 0; d < DP_DROP_MAX; d++)
		sum->drops[d] += n->drops[d];
}

void
control_counters(struct engine *e, struct dp_counters *sum)
{
	struct dp_counters n;

	dp_totals(e->dp, sum);
	for (unsigned id = 1; id <= 65535; id++) {
		const struct session *s = e->by_call[id];

		if (s == NULL || s->dp == NULL || s->local)
			continue;
		dp_session_counters(s->dp, &n);
		add_counters(sum, &n);
	}
}

static void
link_counters(const struct engine *e, struct engine_stats *sum)
{
	sum->link = e->stats.link;
	for (unsigned id = 1; id <= 65535; id++) {
		const struct session *s = e->by_call[id];

		if (s != NULL && s->call.state != CALL_CLOSED && !s->local)
			engine_count_link(sum, ppp_counters(s->ppp));
	}
}

/* ---- as JSON ---- */

json_t *
control_counters_json(const struct dp_counters *n)
{
	json_t *drops = json_object();

	for (int d = 0; d < DP_DROP_MAX; d++)
		if (n->drops[d] > 0)
			json_object_set_new(drops, dp_drop_name((enum dp_drop)d),
			    json_integer((json_int_t)n->drops[d]));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "rx_packets",
	    (json_int_t)n->rx_packets, "rx_octets", (json_int_t)n->rx_octets, "tx_packets",
	    (json_int_t)n->tx_packets, "tx_octets", (json_int_t)n->tx_octets, "rx_reordered",
	    (json_int_t)n->rx_reordered, "icmp_frag_needed", (json_int_t)n->icmp_frag_needed,
	    "fragmented", (json_int_t)n->fragmented, "mss_clamped", (json_int_t)n->mss_clamped,
	    "acks_alone", (json_int_t)n->acks_alone, "held", (json_int_t)n->held, "stalls",
	    (json_int_t)n->stalls, "filled", (json_int_t)n->filled, "drops", drops);
}

/* What passed through this gateway: a session that was taken over brings what passed elsewhere. */
static json_t *
data_json(struct dp_counters *n, const struct engine_stats *st)
{
	json_t *o, *drops = json_object();

	n->rx_packets -= st->carried.rx_packets;
	n->rx_octets -= st->carried.rx_octets;
	n->tx_packets -= st->carried.tx_packets;
	n->tx_octets -= st->carried.tx_octets;
	o = control_counters_json(n);

	for (int d = 0; d < DP_DROP_MAX; d++)
		json_object_set_new(
		    drops, dp_drop_name((enum dp_drop)d), json_integer((json_int_t)n->drops[d]));
	json_object_set_new(o, "drops", drops);
	json_object_set_new(o, "relayed", json_integer((json_int_t)n->relayed));
	json_object_set_new(o, "injected", json_integer((json_int_t)n->injected));
	return o;
}

static json_t *
ends_json(const uint64_t ended[static END_MAX])
{
	json_t *o = json_object();

	for (int i = 1; i < END_MAX; i++) /* 0 = PPP_CAUSE_NONE: it runs */
		json_object_set_new(
		    o, session_end_name((enum session_end)i), json_integer((json_int_t)ended[i]));
	return o;
}

/* {"le_ms":[50,...],"count":[N,...,N],"sum_ms":N}: count has one more, for all that took longer. */
static json_t *
setup_json(const struct engine_stats *st)
{
	json_t *limits = json_array(), *counts = json_array();

	for (int i = 0; i < SETUP_BUCKETS; i++)
		json_array_append_new(limits, json_integer(engine_setup_limits_ms[i]));
	for (int i = 0; i <= SETUP_BUCKETS; i++)
		json_array_append_new(counts, json_integer((json_int_t)st->setups[i]));
	return json_pack(
	    "{s:o,s:o,s:I}", "le_ms", limits, "count", counts, "sum_ms", (json_int_t)st->setup_ms);
}

static json_t *
totals_json(const struct engine_stats *st)
{
	json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "accepted",
	    (json_int_t)st->accepted, "refused", (json_int_t)st->refused_connections,
	    "sessions_started", (json_int_t)st->sessions_started, "sessions_up",
	    (json_int_t)st->sessions_up, "sessions_continued", (json_int_t)st->sessions_continued,
	    "control_malformed", (json_int_t)st->control_malformed, "control_ignored",
	    (json_int_t)st->control_ignored, "rekeyed", (json_int_t)st->rekeyed, "rekey_dropped",
	    (json_int_t)st->rekey_dropped, "holes", (json_int_t)st->holes, "holes_repaired",
	    (json_int_t)st->holes_repaired);

	json_object_set_new(o, "ended", ends_json(st->ended));
	json_object_set_new(o, "failed", ends_json(st->failed));
	json_object_set_new(o, "setup", setup_json(st));
	return o;
}

static json_t *
link_json(const struct engine_stats *st)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rejects_sent",
	    (json_int_t)st->link.rejects_sent, "malformed", (json_int_t)st->link.malformed,
	    "echo_sent", (json_int_t)st->link.echo_sent, "echo_received",
	    (json_int_t)st->link.echo_received, "resets_answered",
	    (json_int_t)st->link.resets_answered, "unknown", (json_int_t)st->link.unknown);
}

void
control_metrics(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	struct engine_stats sum;
	struct dp_counters n;
	json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:i,s:i,s:i,s:i}", "version", PHA_VERSION, "node",
	    e->node, "role", engine_role_name(e->role), "uptime_ms",
	    (json_int_t)(loop_now_ms(e->loop) - e->started_ms), "sessions", (int)e->n_sessions,
	    "control_connections", (int)e->n_ctrls, "half_open", (int)e->n_half_open, "workers",
	    (int)e->workers);

	(void)args;
	control_counters(e, &n);
	link_counters(e, &sum);
	json_object_set_new(o, "pool",
	    json_pack(
		"{s:i,s:i}", "used", (int)pool_used(e->pool), "size", (int)pool_size(e->pool)));
	json_object_set_new(o, "totals", totals_json(&e->stats));
	json_object_set_new(o, "data", data_json(&n, &e->stats));
	json_object_set_new(o, "link", link_json(&sum));
	json_object_set_new(o, "replica", control_replica_json(e));
	answer_ok(r, o);
}
