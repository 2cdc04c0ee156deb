/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions: from Outgoing-Call-Request to the last callback. The order of birth: call id,
 * data-plane halves, firewall's known calls, Outgoing-Call-Reply, PPP. A session that has ended
 * keeps its call id until the data plane and the monitor have let go of it, so that no late packet
 * meets a new one.
 */
#include "pptpd/engine/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/ctrl.h"

#define OCRP_CONNECTED    1 /* RFC 2637 §2.8 */
#define OCRP_GENERAL      2
#define CDN_GENERAL       2 /* RFC 2637 §2.13 */
#define CDN_ADMIN         3
#define CDN_REQUEST       4
#define ERROR_NO_RESOURCE 4 /* RFC 2637 §2.16 */
#define ERROR_BAD_CALL_ID 5
#define ERROR_PAC         6
#define CONNECT_SPEED     100000000 /* bit/s: announced, nothing depends on it */
#define TICK_MAX_MS       30000

enum call_event {
	CALL_EVENT_GUARD_OK,
	CALL_EVENT_GUARD_FAILED,
	CALL_EVENT_CLOSE,
	CALL_EVENT_MAX
};

static const char *const call_states[] = {"wait-guard", "established", "closed"};
static const char *const call_events[] = {"guard-ok", "guard-failed", "close"};

static void on_guard_ok(void *object, void *detail);
static void on_guard_failed(void *object, void *detail);
static void close_call(void *object, void *detail);
static void tick_cb(void *arg);

static const struct fsm_row call_rows[] = {
    {CALL_WAIT_GUARD, CALL_EVENT_GUARD_OK, on_guard_ok, CALL_ESTABLISHED},
    {CALL_WAIT_GUARD, CALL_EVENT_GUARD_FAILED, on_guard_failed, FSM_STAY},
    {CALL_WAIT_GUARD, CALL_EVENT_CLOSE, close_call, CALL_CLOSED},
    {CALL_ESTABLISHED, CALL_EVENT_CLOSE, close_call, CALL_CLOSED},
};

static const struct fsm_table call_table = {
    .name = "call",
    .states = call_states,
    .events = call_events,
    .n_states = 3,
    .n_events = CALL_EVENT_MAX,
    .rows = call_rows,
    .n_rows = sizeof call_rows / sizeof call_rows[0],
};

const char *
session_end_name(enum session_end end)
{
	static const char *const names[] = {"call-clear", "control-lost", "kicked", "replaced",
	    "maxconnect", "demoted", "shutdown", "resources", "stale", "suspect"};

	if (end < END_CALL_CLEAR)
		return ppp_cause_name((enum ppp_cause)end);
	return end < END_MAX ? names[end - END_CALL_CLEAR] : "?";
}

const char *
session_user(const struct session *s)
{
	return s->identity.user[0] != '\0' ? log_quote(s->identity.user, strlen(s->identity.user))
					   : "-";
}

/* ---- the end ---- */

void
session_discard(struct session *s)
{
	s->engine->n_held -= !s->local;
	ppp_free(s->ppp);
	engine_config_unref(s->config);
	free(s->held);
	explicit_bzero(s, sizeof *s);
	free(s);
}

static void
free_session(void *object)
{
	struct session *s = object;

	s->engine->by_call[s->call_id] = NULL;
	session_discard(s);
}

void
session_released(struct session *s)
{
	if (s->call.state != CALL_CLOSED || s->pending > 0 || s->dp != NULL || s->reaping)
		return;
	s->reaping = true;
	engine_reap(s->engine, &s->reap, free_session, s);
}

void
session_abandon(struct session *s)
{
	timer_cancel(&s->timer);
	free_session(s);
}

static void
pending_done(void *arg, int err)
{
	struct session *s = arg;

	(void)err;
	s->pending--;
	session_released(s);
}

static void
say_disconnect(struct session *s)
{
	struct pptp_message m = {.type = PPTP_CDN, .call_id = s->call_id, .result = CDN_REQUEST};

	if (s->end == END_KICKED || s->end == END_SHUTDOWN || s->end == END_REPLACED ||
	    s->end == END_MAXCONNECT || s->end == END_SUSPECT)
		m.result = CDN_ADMIN;
	else if (s->end == END_RESOURCES) {
		m.result = CDN_GENERAL;
		m.error = ERROR_NO_RESOURCE;
	}
	ctrl_send(s->ctrl, &m);
}

static void
log_end(const struct session *s)
{
	struct dp_counters n = {0};
	struct engine *e = s->engine;

	if (s->local) {
		log_debug("loopback session ended call=%u reason=%s", s->call_id,
		    session_end_name(s->end));
		return;
	}
	if (s->identity.user[0] == '\0' &&
	    !log_limit_ok(e->quiet, s->peer_ip, loop_now_ms(e->loop), NULL))
		return; /* it is counted, and opening calls is all that it did */
	if (s->end == END_DEMOTED)
		return; /* one line told of all of them, and the client's session goes on elsewhere
			 */
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	log_info("session ended user=\"%s\" address=%s peer=%s call=%u reason=%s%s%s%s was_up=%s "
		 "seconds=%llu "
		 "rx_packets=%llu rx_octets=%llu tx_packets=%llu tx_octets=%llu",
	    session_user(s), s->address != 0 ? conf_ipv4(s->address) : "-", conf_ipv4(s->peer_ip),
	    s->call_id, session_end_name(s->end), s->end_detail != NULL ? " detail=\"" : "",
	    s->end_detail != NULL ? s->end_detail : "", s->end_detail != NULL ? "\"" : "",
	    s->up ? "yes" : "no",
	    (unsigned long long)(loop_now_ms(s->engine->loop) - s->started_ms) / 1000,
	    (unsigned long long)n.rx_packets, (unsigned long long)n.rx_octets,
	    (unsigned long long)n.tx_packets, (unsigned long long)n.tx_octets);
}

/* Gives back what the session holds outside of itself. */
static void
release_all(struct session *s)
{
	struct engine *e = s->engine;

	if (s->has_route) {
		s->pending++;
		priv_route_del(e->priv, s->address, pending_done, s);
	}
	if (s->in_set) {
		s->pending++;
		priv_call_del(e->priv, s->peer_ip, s->call_id, pending_done, s);
	}
	if (s->address != 0 && pool_owner(e->pool, s->address) == s)
		pool_release(e->pool, s->address);
	if (s->up && !s->local && !s->to_record && s->config->settings->logwtmp)
		priv_wtmp(e->priv, s->call_id, NULL, s->peer_ip);
	if (s->dp != NULL)
		dp_detach(e->dp, s->dp);
}

void
session_leave(struct session *s)
{
	if (s->ctrl == NULL)
		return;
	TAILQ_REMOVE(&s->ctrl->sessions, s, entry);
	s->ctrl->n_sessions--;
	s->ctrl = NULL;
}

static void
count_end(struct session *s)
{
	struct engine_stats *st = &s->engine->stats;

	if (s->local) {
		loopback_ended(s);
		return;
	}
	st->ended[s->end]++;
	st->failed[s->end] += !s->up;
	engine_count_link(st, ppp_counters(s->ppp));
	s->engine->n_sessions--;
}

static void
close_call(void *object, void *detail)
{
	struct session *s = object;
	struct ctrl *c = s->ctrl;

	(void)detail;
	log_end(s);
	count_end(s);
	timer_cancel(&s->timer);
	rekey_ended(s);
	replica_closing(s->engine->replica, &s->replica);
	replica_remove(s->engine->replica, &s->replica);
	release_all(s);
	session_leave(s);
	if (c != NULL)
		ctrl_call_ended(c);
	session_released(s);
}

void
session_close(struct session *s, enum session_end end, bool tell)
{
	if (s->call.state == CALL_CLOSED || s->closing)
		return;
	s->closing = true;
	s->end = end;
	if (tell)
		say_disconnect(s);
	fsm_event(&s->call, CALL_EVENT_CLOSE, s, NULL);
}

void
session_hangup(struct session *s, enum session_end end)
{
	s->end = end;
	if (s->call.state == CALL_ESTABLISHED)
		ppp_close(s->ppp, PPP_CAUSE_LOCAL);
	else
		session_close(s, end, true);
}

void
session_clear(struct session *s)
{
	session_close(s, END_CALL_CLEAR, true);
}

/* ---- time ---- */

/* Milliseconds until something that is age ms old is limit seconds old; 0 = it is, UINT64_MAX = no
 * limit. */
static uint64_t
remaining(uint64_t age, unsigned limit_s)
{
	uint64_t limit = (uint64_t)limit_s * 1000;

	if (limit_s == 0)
		return UINT64_MAX;
	return limit > age ? limit - age : 0;
}

/* idle, maxconnect, and the link's echo timer learns of traffic that it does not see itself. */
static void
tick_cb(void *arg)
{
	struct session *s = arg;
	const struct settings *conf = s->config->settings;
	uint64_t now = loop_now_ms(s->engine->loop), wait = TICK_MAX_MS, left, since = s->life_ms;
	struct dp_counters n;

	if (s->dp == NULL || s->call.state != CALL_ESTABLISHED)
		return;
	if (s->spent) {
		s->spent = false;
		rekey_start(s);
		if (s->call.state != CALL_ESTABLISHED)
			return;
	}
	dp_session_counters(s->dp, &n);
	if (n.last_rx_ms > s->seen_rx_ms) {
		s->seen_rx_ms = n.last_rx_ms;
		ppp_alive(s->ppp);
	}
	if (s->local) { /* it may stay as long as its agent wants */
		timer_set(&s->timer, wait);
		return;
	}
	if ((left = remaining(now - s->started_ms, conf->maxconnect_s)) == 0) {
		session_hangup(s, END_MAXCONNECT);
		return;
	}
	if (left < wait)
		wait = left;
	if (n.last_data_ms > since)
		since = n.last_data_ms;
	if ((left = remaining(now - since, conf->idle_s)) == 0) {
		session_hangup(s, (enum session_end)PPP_CAUSE_IDLE);
		return;
	}
	if (left < wait)
		wait = left;
	if (conf->lcp_echo_interval_s > 0 && conf->lcp_echo_interval_s * 500u < wait)
		wait = conf->lcp_echo_interval_s * 500u;
	timer_set(&s->timer, wait);
}

void
session_tick(struct session *s)
{
	tick_cb(s);
}

/* ---- the beginning ---- */

static void
reply_call(struct ctrl *c, const struct pptp_message *ocrq, uint16_t call_id, uint8_t result,
    uint8_t error)
{
	ctrl_send(c, &(struct pptp_message){.type = PPTP_OCRP,
			 .call_id = call_id,
			 .peer_call_id = ocrq->call_id,
			 .result = result,
			 .error = error,
			 .speed = CONNECT_SPEED,
			 .window = (uint16_t)c->config->settings->receive_window,
			 .channel = call_id});
}

static void
on_guard_ok(void *object, void *detail)
{
	struct session *s = object;
	struct pptp_message ocrq = {.call_id = s->peer_call_id};

	(void)detail;
	reply_call(s->ctrl, &ocrq, s->call_id, OCRP_CONNECTED, 0);
	if (!s->closing) /* the reply may have found the connection full, and so closed it */
		ppp_open(s->ppp);
}

static void
on_guard_failed(void *object, void *detail)
{
	struct session *s = object;
	struct pptp_message ocrq = {.call_id = s->peer_call_id};

	(void)detail;
	reply_call(s->ctrl, &ocrq, 0, OCRP_GENERAL, ERROR_PAC);
	session_close(s, END_RESOURCES, false);
}

static void
guard_done(void *arg, int err)
{
	struct session *s = arg;

	s->pending--;
	s->in_set = err == 0;
	if (s->call.state == CALL_CLOSED) {
		if (s->in_set) {
			s->pending++;
			priv_call_del(s->engine->priv, s->peer_ip, s->call_id, pending_done, s);
		}
		session_released(s);
		return;
	}
	if (err != 0 && engine_log_ok(s->engine, s->peer_ip))
		log_warn("firewall did not take the call peer=%s call=%u error=\"%s\"",
		    conf_ipv4(s->peer_ip), s->call_id, strerror(err));
	fsm_event(&s->call, err == 0 ? CALL_EVENT_GUARD_OK : CALL_EVENT_GUARD_FAILED, s, NULL);
}

/* Never 0, unique in the daemon, and far from the last one used. 0 = all are in use. */
static uint16_t
new_call_id(const struct ctrl *c)
{
	struct engine *e = c->engine;

	for (unsigned i = 0; i < 65535; i++) {
		uint16_t id = ++e->next_call_id;

		if (id != 0 && e->by_call[id] == NULL && e->copies[id] == NULL &&
		    (!c->local || loopback_wants(e, c->tcp.peer_ip, id)))
			return id;
	}
	return 0;
}

struct session *
session_make(struct ctrl *c, const struct record_call *call, uint64_t id, enum call_state state)
{
	struct engine *e = c->engine;
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->engine = e;
	s->config = engine_config_ref(e->config);
	s->ctrl = c;
	s->id = id;
	s->call_id = call->call_id;
	s->peer_call_id = call->peer_call_id;
	s->serial = call->serial;
	s->window = call->window;
	s->peer_ip = c->tcp.peer_ip;
	s->started_ms = s->life_ms = loop_now_ms(e->loop);
	s->local = c->local;
	e->n_held += !s->local;
	fsm_init(&s->call, &call_table, state);
	timer_init(&s->timer, e->loop, tick_cb, s);
	s->ppp = ppp_new(e->loop, &s->config->ppp, &session_link_ops, s);
	if (s->ppp == NULL) {
		session_discard(s);
		return NULL;
	}
	return s;
}

void
session_enlist(struct session *s)
{
	struct engine *e = s->engine;

	TAILQ_INSERT_TAIL(&s->ctrl->sessions, s, entry);
	s->ctrl->n_sessions++;
	e->by_call[s->call_id] = s;
	e->n_sessions += !s->local;
}

static struct session *
session_new(struct ctrl *c, const struct pptp_message *ocrq)
{
	struct engine *e = c->engine;
	struct record_call call = {.call_id = new_call_id(c),
	    .peer_call_id = ocrq->call_id,
	    .serial = ocrq->serial,
	    .window = ocrq->window};
	struct session *s =
	    call.call_id != 0 ? session_make(c, &call, engine_new_id(e), CALL_WAIT_GUARD) : NULL;

	if (s == NULL)
		return NULL;
	s->started_wall_ms = wall_now_ms();
	snprintf(s->identity.acct_id, sizeof s->identity.acct_id, "%08x%08x", e->boot_id,
	    (uint32_t)s->id);
	s->dp = dp_attach(e->dp, &(struct dp_session_config){.id = s->id,
				     .call_id = s->call_id,
				     .peer_call_id = s->peer_call_id,
				     .peer_ip = s->peer_ip,
				     .local_ip = c->tcp.local_ip,
				     .owner = s,
				     .apart = s->local});
	if (s->dp == NULL) {
		session_discard(s);
		return NULL;
	}
	return s;
}

/* The OCRP error code for a call that cannot be taken, 0 = it can. */
static uint8_t
cannot_take(struct ctrl *c, const struct pptp_message *ocrq, const char **why)
{
	struct engine *e = c->engine;

	if (session_by_peer_id(c, ocrq->call_id) != NULL) {
		*why = "call id already in use on this connection";
		return ERROR_BAD_CALL_ID;
	}
	if (e->stopping || e->role != ROLE_ACTIVE) {
		*why = "not serving";
		return ERROR_NO_RESOURCE;
	}
	if (!ctrl_may_call(c)) {
		*why = "too many calls on one connection";
		return ERROR_NO_RESOURCE;
	}
	if (!c->local && e->n_sessions >= e->config->settings->connections &&
	    !ctrl_make_room(e, c)) {
		*why = "connections reached";
		return ERROR_NO_RESOURCE;
	}
	return 0;
}

void
session_open(struct ctrl *c, const struct pptp_message *ocrq)
{
	struct engine *e = c->engine;
	struct session *s = NULL;
	const char *why = "out of memory or call ids";
	uint8_t error = cannot_take(c, ocrq, &why);

	if (error == 0 && (s = session_new(c, ocrq)) == NULL)
		error = ERROR_NO_RESOURCE;
	if (error != 0) {
		if (engine_log_ok(e, c->tcp.peer_ip))
			log_warn("call refused peer=%s reason=\"%s\"", c->name, why);
		reply_call(c, ocrq, 0, OCRP_GENERAL, error);
		return;
	}
	session_enlist(s);
	if (s->local) { /* the firewall lets all of `lo` pass */
		fsm_event(&s->call, CALL_EVENT_GUARD_OK, s, NULL);
		return;
	}
	e->stats.sessions_started++;
	s->pending++;
	priv_call_add(e->priv, s->peer_ip, s->call_id, guard_done, s);
}

struct session *
session_by_peer_id(struct ctrl *c, uint16_t peer_call_id)
{
	struct session *s;

	TAILQ_FOREACH(s, &c->sessions, entry)
	if (s->peer_call_id == peer_call_id)
		return s;
	return NULL;
}
