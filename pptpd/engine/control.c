/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket's commands: one function a command, one row in the table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fsm.h"
#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/engine.h"
#include "pptpd/engine/session.h"

#define LIST_DEFAULT 100
#define LIST_MAX     200                     /* sessions in one answer, */
#define LIST_BYTES   (ANSWER_LINE_MAX - 512) /* if as many fit: users choose what they are called */

static json_t *
json_ip(uint32_t ip)
{
	return ip != 0 ? json_string(conf_ipv4(ip)) : json_null();
}

static json_t *
json_counters(const struct dp_counters *n)
{
	json_t *drops = json_object();

	for (int d = 0; d < DP_DROP_MAX; d++)
		if (n->drops[d] > 0)
			json_object_set_new(drops, dp_drop_name((enum dp_drop)d),
			    json_integer((json_int_t)n->drops[d]));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "rx_packets",
	    (json_int_t)n->rx_packets, "rx_octets", (json_int_t)n->rx_octets, "tx_packets",
	    (json_int_t)n->tx_packets, "tx_octets", (json_int_t)n->tx_octets, "rx_reordered",
	    (json_int_t)n->rx_reordered, "icmp_frag_needed", (json_int_t)n->icmp_frag_needed,
	    "fragmented", (json_int_t)n->fragmented, "mss_clamped", (json_int_t)n->mss_clamped,
	    "acks_alone", (json_int_t)n->acks_alone, "drops", drops);
}

static json_t *
json_ended(const struct engine_stats *st)
{
	json_t *o = json_object();

	for (int i = 0; i < END_MAX; i++)
		if (st->ended[i] > 0)
			json_object_set_new(o, session_end_name((enum session_end)i),
			    json_integer((json_int_t)st->ended[i]));
	return o;
}

/* Totals of the ended sessions and of those that run. */
static void
all_counters(struct engine *e, struct dp_counters *sum)
{
	struct dp_counters n;

	dp_totals(e->dp, sum);
	for (unsigned id = 1; id <= 65535; id++) {
		const struct session *s = e->by_call[id];

		if (s == NULL || s->dp == NULL)
			continue;
		dp_session_counters(s->dp, &n);
		sum->rx_packets += n.rx_packets;
		sum->rx_octets += n.rx_octets;
		sum->tx_packets += n.tx_packets;
		sum->tx_octets += n.tx_octets;
		sum->rx_reordered += n.rx_reordered;
		sum->icmp_frag_needed += n.icmp_frag_needed;
		sum->fragmented += n.fragmented;
		sum->mss_clamped += n.mss_clamped;
		sum->acks_alone += n.acks_alone;
		for (int d = 0; d < DP_DROP_MAX; d++)
			sum->drops[d] += n.drops[d];
	}
}

static void
cmd_status(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	struct dp_counters n;
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:i,s:i,s:i,s:i}", "version", PHA_VERSION,
	    "node", e->node, "role", engine_role_name(e->role), "listening", e->listening, "epoch",
	    (json_int_t)e->epoch, "uptime_ms", (json_int_t)(loop_now_ms(e->loop) - e->started_ms),
	    "sessions", (int)e->n_sessions, "control_connections", (int)e->n_ctrls, "half_open",
	    (int)e->n_half_open, "workers", (int)e->workers);

	(void)args;
	all_counters(e, &n);
	json_object_set_new(o, "pool",
	    json_pack(
		"{s:i,s:i}", "used", (int)pool_used(e->pool), "size", (int)pool_size(e->pool)));
	json_object_set_new(
	    o, "users", json_integer((json_int_t)secrets_count(e->config->secrets)));
	json_object_set_new(o, "totals",
	    json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "accepted", (json_int_t)e->stats.accepted,
		"refused", (json_int_t)e->stats.refused_connections, "sessions_started",
		(json_int_t)e->stats.sessions_started, "sessions_up",
		(json_int_t)e->stats.sessions_up, "control_malformed",
		(json_int_t)e->stats.control_malformed, "control_ignored",
		(json_int_t)e->stats.control_ignored, "ended", json_ended(&e->stats)));
	json_object_set_new(o, "data", json_counters(&n));
	answer_ok(r, o);
}

static json_t *
json_session(const struct session *s)
{
	struct engine *e = s->engine;
	struct ppp_state p;
	struct dp_counters n = {0};
	json_t *o;

	ppp_get_state(s->ppp, &p);
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	o = json_pack("{s:i,s:i,s:i,s:s,s:b,s:s,s:I}", "id", (int)s->id, "call", s->call_id,
	    "peer_call", s->peer_call_id, "state", fsm_state_name(&s->call), "up", s->up, "user",
	    s->identity.user, "age_ms", (json_int_t)(loop_now_ms(e->loop) - s->started_ms));
	if (o == NULL) /* a name that is not UTF-8 */
		o = json_pack("{s:i,s:i,s:s}", "id", (int)s->id, "call", s->call_id, "user",
		    log_quote(s->identity.user, strlen(s->identity.user)));
	json_object_set_new(o, "peer", json_ip(s->peer_ip));
	json_object_set_new(o, "address", json_ip(s->address));
	json_object_set_new(o, "mtu", json_integer(p.mtu));
	json_object_set_new(o, "mppe", json_boolean(p.ccp_bits == 0x01000040));
	json_object_set_new(o, "tx_seq", json_integer(n.tx_seq));
	json_object_set_new(o, "rx_seq", json_integer(n.rx_seq));
	json_object_set_new(o, "tx_acked", json_integer(n.tx_acked));
	json_object_set_new(o, "data", json_counters(&n));
	return o;
}

/* Paged by call id: {"after":0,"limit":100} -> {"sessions":[...],"next":ID or null}. */
static void
cmd_sessions(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	json_int_t after = json_integer_value(json_object_get(args, "after"));
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	json_t *list = json_array(), *next = json_null(), *entry;
	size_t bytes = 0;

	if (limit <= 0)
		limit = LIST_DEFAULT;
	if (limit > LIST_MAX)
		limit = LIST_MAX;
	for (json_int_t id = after < 0 ? 1 : after + 1; id <= 65535; id++) {
		const struct session *s = e->by_call[id];

		if (s == NULL || s->call.state == CALL_CLOSED)
			continue;
		entry = json_session(s);
		bytes += json_dumpb(entry, NULL, 0, JSON_COMPACT) + 1;
		if ((json_int_t)json_array_size(list) == limit || bytes > LIST_BYTES) {
			json_decref(entry);
			next = json_integer(after);
			break;
		}
		json_array_append_new(list, entry);
		after = id;
	}
	answer_ok(r, json_pack("{s:o,s:o}", "sessions", list, "next", next));
}

static bool
kick_matches(const struct session *s, json_t *args)
{
	json_t *call = json_object_get(args, "call"), *id = json_object_get(args, "id_session");
	const char *user = json_string_value(json_object_get(args, "user"));
	const char *address = json_string_value(json_object_get(args, "address"));

	return (call != NULL && json_integer_value(call) == s->call_id) ||
	       (id != NULL && json_integer_value(id) == (json_int_t)s->id) ||
	       (user != NULL && *user != '\0' && strcmp(user, s->identity.user) == 0) ||
	       (address != NULL && s->address != 0 && strcmp(address, conf_ipv4(s->address)) == 0);
}

/* {"call":N} or {"user":"name"} or {"address":"10.8.0.10"} -> {"kicked":N} */
static void
cmd_kick(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	int kicked = 0;

	for (unsigned id = 1; id <= 65535; id++) {
		struct session *s = e->by_call[id];

		if (s == NULL || s->call.state == CALL_CLOSED || !kick_matches(s, args))
			continue;
		session_hangup(s, END_KICKED);
		kicked++;
	}
	if (kicked == 0)
		answer_error(
		    r, "not-found", "no session matches: want call, user or address of one");
	else
		answer_ok(r, json_pack("{s:i}", "kicked", kicked));
}

static void
reload_done(void *arg, int err)
{
	if (err != 0)
		answer_error(
		    arg, "invalid", "the files have errors, the old ones stay: see the log");
	else
		answer_ok(arg, NULL);
}

static void
cmd_reload(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	(void)args;
	priv_reload(e->priv, reload_done, r);
}

static void
role_done(void *arg, int err)
{
	if (err != 0)
		answer_error(arg, "failed", "%s", strerror(err));
	else
		answer_ok(arg, NULL);
}

/* Both carry the epoch; without one the present epoch is meant. */
static void
change_role(struct answer_request *r, json_t *args, struct engine *e,
    int (*change)(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg))
{
	json_t *given = json_object_get(args, "epoch");
	uint64_t epoch = given != NULL ? (uint64_t)json_integer_value(given) : e->epoch;

	if (change(e, epoch, role_done, r) == 0)
		return;
	answer_error(r, errno == ESTALE ? "stale-epoch" : "failed", "%s",
	    errno == ESTALE ? "a higher epoch is in force" : strerror(errno));
}

static void
cmd_promote(struct answer_request *r, json_t *args, void *arg)
{
	change_role(r, args, arg, engine_promote);
}

static void
cmd_demote(struct answer_request *r, json_t *args, void *arg)
{
	change_role(r, args, arg, engine_demote);
}

static const struct answer_command commands[] = {
    {"status", cmd_status},
    {"sessions", cmd_sessions},
    {"kick", cmd_kick},
    {"reload", cmd_reload},
    {"promote", cmd_promote},
    {"demote", cmd_demote},
};

struct answer_server *
control_new(struct engine *e, int fd)
{
	return answer_server_new(e->loop, fd, commands, sizeof commands / sizeof commands[0], e);
}
