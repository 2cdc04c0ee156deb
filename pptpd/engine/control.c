/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket's commands: one function a command, one row in the table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fsm.h"
#include "pptpd/engine/control.h"
#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/engine.h"
#include "pptpd/engine/mirror.h"
#include "pptpd/engine/replica.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/takeover.h"

#define LIST_DEFAULT 100
#define LIST_MAX     200                     /* sessions in one answer, */
#define LIST_BYTES   (ANSWER_LINE_MAX - 512) /* if as many fit: users choose what they are called */

static json_t *
json_ip(uint32_t ip)
{
	return ip != 0 ? json_string(conf_ipv4(ip)) : json_null();
}

/* A name that is not UTF-8 is shown as the log shows it. */
static json_t *
json_name(const char *name)
{
	json_t *o = json_string(name);

	return o != NULL ? o : json_string(log_quote(name, strlen(name)));
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

static json_t *
json_handover(const struct engine *e)
{
	struct handover_status h;

	engine_handover_status(e, &h);
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "state", h.state, "epoch",
	    (json_int_t)h.epoch, "relayed", (json_int_t)h.relayed, "injected",
	    (json_int_t)h.injected, "dropped", (json_int_t)h.dropped, "queued",
	    (json_int_t)h.queued, "ms", (json_int_t)h.ms);
}

json_t *
control_replica_json(const struct engine *e)
{
	struct replica_status st;
	json_t *o;

	replica_get_status(e->replica, &st);
	o = json_pack("{s:s,s:b,s:b,s:b,s:I,s:b,s:I,s:b,s:b,s:b,s:o}", "state",
	    replica_state_name(st.state), "connected", st.connected, "in_step", st.in_step, "wants",
	    st.wants, "cut", (json_int_t)st.cut, "stale", st.stale, "stale_cut",
	    (json_int_t)st.stale_cut, "clean", st.clean, "marked", st.marked, "failed", st.failed,
	    "peer", json_name(st.peer));
	json_object_update_new(
	    o, json_pack("{s:i,s:i,s:i,s:I,s:I,s:I,s:{s:i,s:i,s:I},s:i,s:I,s:I}", "sessions",
		   (int)st.sessions, "connections", (int)st.connections, "at_risk", (int)st.at_risk,
		   "lag_ms", (json_int_t)st.lag_ms, "sent", (json_int_t)st.sent, "applied",
		   (json_int_t)st.applied, "snapshot", "done", (int)st.snapshot_done, "of",
		   (int)st.snapshot_of, "ms", (json_int_t)st.snapshot_ms, "restoring",
		   (int)takeover_restoring(e), "holes", (json_int_t)e->stats.holes,
		   "holes_repaired", (json_int_t)e->stats.holes_repaired));
	json_object_update_new(
	    o, json_pack("{s:I,s:i,s:I,s:I}", "resumed", (json_int_t)e->stats.sessions_continued,
		   "rekeying", (int)rekey_waiting(e), "rekeyed", (json_int_t)e->stats.rekeyed,
		   "dropped", (json_int_t)e->stats.rekey_dropped));
	json_object_update_new(o,
	    json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "bytes_sent", (json_int_t)st.bytes_sent,
		"bytes_received", (json_int_t)st.bytes_received, "streams", (json_int_t)st.streams,
		"marks_asked", (json_int_t)st.marks_asked, "commits", (json_int_t)st.commits,
		"shorts", (json_int_t)st.shorts, "yielded", (json_int_t)takeover_yielded(e)));
	json_object_set_new(o, "version", json_integer((json_int_t)st.version));
	json_object_set_new(o, "whole", json_boolean(st.whole));
	json_object_set_new(o, "settled",
	    json_pack("{s:I,s:i,s:i,s:i,s:i,s:i,s:i}", "times", (json_int_t)st.settled.times,
		"sessions", (int)st.settled.sessions, "whole", (int)st.settled.whole, "one_class",
		(int)st.settled.one_class, "ended", (int)st.settled.ended, "reported",
		(int)st.settled.reported, "skipped", (int)st.settled.skipped));
	json_object_set_new(o, "handover", json_handover(e));
	return o;
}

/* What the agent asks for many times a second. */
static void
cmd_replica(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	(void)args;
	answer_ok(r, json_pack("{s:s,s:I,s:I,s:o}", "role", engine_role_name(e->role), "epoch",
			 (json_int_t)takeover_epoch(e), "uptime_ms",
			 (json_int_t)(loop_now_ms(e->loop) - e->started_ms), "replica",
			 control_replica_json(e)));
}

static void
cmd_status(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	struct dp_counters n;
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:i,s:i,s:i,s:i}", "version", PHA_VERSION,
	    "node", e->node, "role", engine_role_name(e->role), "listening", e->listening, "epoch",
	    (json_int_t)takeover_epoch(e), "uptime_ms",
	    (json_int_t)(loop_now_ms(e->loop) - e->started_ms), "sessions", (int)e->n_sessions,
	    "control_connections", (int)e->n_ctrls, "half_open", (int)e->n_half_open, "workers",
	    (int)e->workers);

	(void)args;
	control_counters(e, &n);
	json_object_set_new(o, "pool",
	    json_pack(
		"{s:i,s:i}", "used", (int)pool_used(e->pool), "size", (int)pool_size(e->pool)));
	json_object_set_new(
	    o, "users", json_integer((json_int_t)secrets_count(e->config->secrets)));
	json_object_set_new(o, "replica", control_replica_json(e));
	json_object_set_new(o, "suspects", suspects_json(e));
	json_object_set_new(o, "loopback", loopback_json(e));
	json_object_set_new(o, "totals",
	    json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "accepted",
		(json_int_t)e->stats.accepted, "refused", (json_int_t)e->stats.refused_connections,
		"sessions_started", (json_int_t)e->stats.sessions_started, "sessions_up",
		(json_int_t)e->stats.sessions_up, "sessions_continued",
		(json_int_t)e->stats.sessions_continued, "control_malformed",
		(json_int_t)e->stats.control_malformed, "control_ignored",
		(json_int_t)e->stats.control_ignored, "ended", json_ended(&e->stats)));
	json_object_set_new(o, "data", control_counters_json(&n));
	answer_ok(r, o);
}

/* The shape of an entry of `sessions`, whatever it is made from. */
struct entry {
	uint64_t id, age_ms;
	uint16_t call_id, peer_call_id;
	uint32_t peer_ip, address;
	const char *state, *user;
	bool up;
	const struct ppp_state *ppp;
	const struct dp_counters *data;
	bool brief;             /* what a list for people needs of it */
	bool at_risk;           /* no standby holds it */
	json_t *replica, *link; /* taken over; not with brief */
};

static json_t *
json_entry(const struct entry *n)
{
	json_t *o = json_pack("{s:I,s:i,s:s,s:b,s:I}", "id", (json_int_t)n->id, "call", n->call_id,
	    "state", n->state, "up", n->up, "age_ms", (json_int_t)n->age_ms);

	json_object_set_new(o, "user", json_name(n->user));
	json_object_set_new(o, "peer", json_ip(n->peer_ip));
	json_object_set_new(o, "address", json_ip(n->address));
	json_object_set_new(o, "mtu", json_integer(n->ppp->mtu));
	json_object_set_new(o, "mppe", json_boolean(n->ppp->ccp_bits == 0x01000040));
	if (n->brief) {
		json_object_update_new(
		    o, json_pack("{s:I,s:I,s:I,s:I,s:b}", "rx_packets",
			   (json_int_t)n->data->rx_packets, "rx_octets",
			   (json_int_t)n->data->rx_octets, "tx_packets",
			   (json_int_t)n->data->tx_packets, "tx_octets",
			   (json_int_t)n->data->tx_octets, "at_risk", n->at_risk));
		return o;
	}
	json_object_set_new(o, "peer_call", json_integer(n->peer_call_id));
	json_object_set_new(o, "tx_seq", json_integer(n->data->tx_seq));
	json_object_set_new(o, "rx_seq", json_integer(n->data->rx_seq));
	json_object_set_new(o, "tx_acked", json_integer(n->data->tx_acked));
	json_object_set_new(o, "data", control_counters_json(n->data));
	json_object_set_new(o, "replica", n->replica);
	json_object_set_new(o, "link", n->link);
	return o;
}

static const char *
classes_name(uint8_t classes)
{
	static const char *const names[] = {"none", "even", "odd", "all"};

	return names[classes & KEYS_ALL];
}

/* mark_left: numbers that may be used, null without a limit. */
static json_t *
json_exposure(const struct replica_session *r, uint32_t tx_seq)
{
	uint32_t left = keygate_left(&r->gate, tx_seq);

	return json_pack("{s:b,s:b,s:o,s:s}", "member", r->member, "exposed", r->exposed,
	    "mark_left", left == UINT32_MAX ? json_null() : json_integer(left), "classes",
	    classes_name(r->open));
}

static json_t *
json_link(const struct ppp_counters *n)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "rejects_sent", (json_int_t)n->rejects_sent,
	    "malformed", (json_int_t)n->malformed, "echo_sent", (json_int_t)n->echo_sent,
	    "echo_received", (json_int_t)n->echo_received, "resets_answered",
	    (json_int_t)n->resets_answered, "unknown", (json_int_t)n->unknown);
}

static json_t *
json_session(const struct session *s, bool brief)
{
	struct engine *e = s->engine;
	struct ppp_state p;
	struct dp_counters n = {0};

	ppp_get_state(s->ppp, &p);
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	return json_entry(&(struct entry){.id = s->id,
	    .age_ms = loop_now_ms(e->loop) - s->started_ms,
	    .call_id = s->call_id,
	    .peer_call_id = s->peer_call_id,
	    .peer_ip = s->peer_ip,
	    .address = s->address,
	    .state = fsm_state_name(&s->call),
	    .user = s->identity.user,
	    .up = s->up,
	    .ppp = &p,
	    .data = &n,
	    .brief = brief,
	    .at_risk = s->replica.member && !s->replica.held,
	    .replica = brief ? NULL : json_exposure(&s->replica, n.tx_seq),
	    .link = brief ? NULL : json_link(ppp_counters(s->ppp))});
}

/* A session of the standby's copy. NULL: its record cannot be read. */
static json_t *
json_mirrored(const struct mirror_session *m, bool brief)
{
	struct session_record r;
	struct dp_counters n = {.tx_seq = m->counters.tx_seq,
	    .rx_seq = m->counters.rx_seq,
	    .tx_acked = m->counters.tx_acked,
	    .rx_packets = m->counters.accounting.rx_packets,
	    .rx_octets = m->counters.accounting.rx_octets,
	    .tx_packets = m->counters.accounting.tx_packets,
	    .tx_octets = m->counters.accounting.tx_octets};
	json_t *o;

	if (mirror_session_record(m, &r) < 0)
		return NULL;
	o = json_entry(&(struct entry){.id = m->id,
	    .age_ms = wall_since_ms(r.accounting.started_ms),
	    .call_id = m->call_id,
	    .peer_call_id = r.call.peer_call_id,
	    .peer_ip = m->peer_ip,
	    .address = m->address,
	    .state = "mirrored",
	    .user = r.identity.user,
	    .up = true,
	    .ppp = &r.ppp,
	    .data = &n,
	    .brief = brief,
	    .replica = brief ? NULL
			     : json_pack("{s:b,s:I,s:I,s:s}", "stale", m->stale, "mark_seq",
				   (json_int_t)m->mark.seq, "mark_index", (json_int_t)m->mark.index,
				   "classes", classes_name(m->mark.open)),
	    .link = brief ? NULL : json_object()});
	session_record_wipe(&r);
	return o;
}

/* What has this call id: a session that serves, else one of the copy, else NULL. */
static json_t *
json_by_call(const struct engine *e, uint16_t call_id, bool brief)
{
	const struct session *s = e->by_call[call_id];

	if (s != NULL && s->call.state != CALL_CLOSED && !s->local)
		return json_session(s, brief);
	return e->copies[call_id] != NULL ? json_mirrored(e->copies[call_id], brief) : NULL;
}

/*
 * Paged by call id: {"after":0,"limit":100} -> {"sessions":[...],"next":ID or null}. With
 * "brief":true the entries are short, with "at_risk" (no standby holds it).
 */
static void
cmd_sessions(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	json_int_t after = json_integer_value(json_object_get(args, "after"));
	json_int_t limit = json_integer_value(json_object_get(args, "limit"));
	bool brief = json_is_true(json_object_get(args, "brief"));
	json_t *list = json_array(), *next = json_null(), *entry;
	size_t bytes = 0;

	if (limit <= 0)
		limit = LIST_DEFAULT;
	if (limit > LIST_MAX)
		limit = LIST_MAX;
	for (json_int_t id = after < 0 ? 1 : after + 1; id <= 65535; id++) {
		if ((entry = json_by_call(e, (uint16_t)id, brief)) == NULL)
			continue;
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

		if (s == NULL || s->call.state == CALL_CLOSED || s->local || !kick_matches(s, args))
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
	uint64_t epoch = given != NULL ? (uint64_t)json_integer_value(given) : takeover_epoch(e);

	if (change(e, epoch, role_done, r) == 0)
		return;
	answer_error(r, errno == ESTALE ? "stale-epoch" : "failed", "%s",
	    errno == ESTALE ? "a higher epoch is in force" : strerror(errno));
}

/* {"epoch":N,"heard_ms_ago":N}: see takeover_judge_copy(); without it the copy is believed. */
static void
cmd_promote(struct answer_request *r, json_t *args, void *arg)
{
	const json_t *ago = json_object_get(args, "heard_ms_ago");

	if (ago != NULL)
		takeover_judge_copy(arg, (uint64_t)json_integer_value(ago));
	change_role(r, args, arg, engine_promote);
}

static void
cmd_demote(struct answer_request *r, json_t *args, void *arg)
{
	change_role(r, args, arg, engine_demote);
}

/* ---- orders to the replica; each names what it is about, so a late one does no harm ---- */

static uint64_t
number(json_t *args, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(args, key));
}

/* {"clean":true,"epoch":N}: what this node can prove of itself. */
static void
cmd_pair(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	replica_pair(
	    e->replica, json_is_true(json_object_get(args, "clean")), number(args, "epoch"));
	takeover_open(e);
	answer_ok(r, NULL);
}

static void
order_done(struct answer_request *r, int rc, const char *refusal)
{
	if (rc == 0)
		answer_ok(r, NULL);
	else
		answer_error(r, "refused", "%s", refusal);
}

/* {"epoch":N,"ms":3000} */
static void
cmd_expect(struct answer_request *r, json_t *args, void *arg)
{
	const char *why = NULL;

	if (engine_expect(arg, number(args, "epoch"), (unsigned)number(args, "ms"), &why) == 0)
		answer_ok(r, NULL);
	else
		answer_error(r, "refused", "%s", why);
}

struct given { /* an order that is not answered */
	struct engine *engine;
	struct answer_request *request;
};

static void
given(void *arg, enum handover_result result, const char *why)
{
	struct given *g = arg;
	struct handover_status st;

	engine_handover_status(g->engine, &st);
	if (result == HANDOVER_DONE)
		answer_ok(
		    g->request, json_pack("{s:i,s:i,s:I}", "sessions", (int)st.sessions,
				    "connections", (int)st.connections, "ms", (json_int_t)st.ms));
	else
		answer_error(g->request, result == HANDOVER_REFUSED ? "refused" : "unknown", "%s",
		    why != NULL ? why : "no reason given");
	free(g);
}

/* {"epoch":N} -> {"sessions":N,"connections":N,"ms":N} */
static void
cmd_handover(struct answer_request *r, json_t *args, void *arg)
{
	struct given *g = malloc(sizeof *g);
	const char *why = "out of memory";

	if (g != NULL) {
		*g = (struct given){.engine = arg, .request = r};
		if (engine_give(arg, number(args, "epoch"), given, g, &why) == 0)
			return;
	}
	free(g);
	answer_error(r, "refused", "%s", why);
}

/* {"cut":N,"epoch":N}: the active of that epoch may go on without us. */
static void
cmd_stale(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;
	int rc = replica_stale(e->replica, number(args, "cut"), number(args, "epoch"));

	order_done(r, rc,
	    errno == ESTALE ? "this gateway did not hold that stream"
			    : "this gateway serves, or knows of a higher epoch");
}

/* {"cut":N} */
static void
cmd_solo(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	order_done(r, replica_solo(e->replica, number(args, "cut")),
	    "the stream is not cut, or not for the time that this names");
}

static void
cmd_silent(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	order_done(r, replica_silent(e->replica, number(args, "cut")),
	    "the stream is not cut, or not for the time that this names");
}

/* {"crashes":[...]}: see suspects.h */
static void
cmd_suspect(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	if (suspects_tell(e, json_object_get(args, "crashes")) < 0)
		answer_error(r, "bad-request", "want crashes: [{at, node, cause, ids}]");
	else
		answer_ok(r, suspects_json(e));
}

/* {"password":"..."}; none or "" = no account -> {"user":"...","workers":N} */
static void
cmd_loopback(struct answer_request *r, json_t *args, void *arg)
{
	struct engine *e = arg;

	if (loopback_set(e, json_string_value(json_object_get(args, "password"))) < 0)
		answer_error(r, "bad-request", "want a password of %d..%d characters",
		    LOOPBACK_PASSWORD_MIN, LOOPBACK_PASSWORD_MAX);
	else
		answer_ok(
		    r, json_pack("{s:s,s:i}", "user", LOOPBACK_USER, "workers", (int)e->workers));
}

static const struct answer_command commands[] = {
    {"status", cmd_status},
    {"replica", cmd_replica},
    {"metrics", control_metrics},
    {"pair", cmd_pair},
    {"stale", cmd_stale},
    {"solo", cmd_solo},
    {"silent", cmd_silent},
    {"sessions", cmd_sessions},
    {"kick", cmd_kick},
    {"loopback", cmd_loopback},
    {"reload", cmd_reload},
    {"promote", cmd_promote},
    {"suspect", cmd_suspect},
    {"demote", cmd_demote},
    {"expect", cmd_expect},
    {"handover", cmd_handover},
};

struct answer_server *
control_new(struct engine *e, int fd)
{
	return answer_server_new(e->loop, fd, commands, sizeof commands / sizeof commands[0], e);
}
