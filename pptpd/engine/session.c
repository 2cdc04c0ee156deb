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
#include <time.h>

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
#define CANDIDATES_MAX    16
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
	    "maxconnect", "demoted", "shutdown", "resources"};

	if (end < END_CALL_CLEAR)
		return ppp_cause_name((enum ppp_cause)end);
	return end < END_MAX ? names[end - END_CALL_CLEAR] : "?";
}

static const char *
user_of(const struct session *s)
{
	return s->identity.user[0] != '\0' ? log_quote(s->identity.user, strlen(s->identity.user))
					   : "-";
}

static uint64_t
wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- address ---- */

static bool
allows_cb(void *arg, uint32_t ip)
{
	return secret_allows(arg, ip);
}

static void
refuse(struct session *s, const char *user, const char *why)
{
	if (engine_log_ok(s->engine, s->peer_ip))
		log_warn("login refused user=\"%s\" peer=%s call=%u reason=\"%s\"",
		    log_quote(user, strlen(user)), conf_ipv4(s->peer_ip), s->call_id, why);
}

/* The address that a secret names. Its holder gives way if it is the same user: a client that
 * redials. */
static uint32_t
take_static(struct session *s, const char *user, uint32_t ip)
{
	struct engine *e = s->engine;
	struct session *holder = pool_owner(e->pool, ip);

	if (ip_list_has(&s->config->settings->local_ips, ip)) {
		refuse(s, user, "the address in chap-secrets is one of localip");
		return 0;
	}
	if (holder != NULL && holder != s && strcmp(holder->identity.user, user) == 0) {
		log_info("session replaced user=\"%s\" address=%s call=%u by=%u peer=%s",
		    user_of(holder), conf_ipv4(ip), holder->call_id, s->call_id,
		    conf_ipv4(s->peer_ip));
		session_close(holder, END_REPLACED, true);
		if (s->closing) /* a call of the same connection, which that has closed */
			return 0;
	} else if (holder != NULL && holder != s) {
		char why[160];

		snprintf(why, sizeof why, "address %s is taken by user %s (call %u)", conf_ipv4(ip),
		    user_of(holder), holder->call_id);
		refuse(s, user, why);
		return 0;
	}
	if (holder != s && pool_take_ip(e->pool, ip, s) < 0) {
		refuse(s, user, strerror(errno));
		return 0;
	}
	return ip;
}

static uint32_t
take_address(struct session *s, const char *user, const struct secret *secret)
{
	struct engine *e = s->engine;
	uint32_t ip = secret_static_ip(secret);
	union {
		const struct secret *in;
		void *arg;
	} u = {.in = secret};

	if (ip != 0)
		return take_static(s, user, ip);
	if (!secret->any_address && secret->n_addresses == 0) {
		refuse(s, user, "chap-secrets allows this user no address");
		return 0;
	}
	ip = pool_take(e->pool, user, secret->n_addresses > 0 ? allows_cb : NULL, u.arg, s);
	if (ip == 0)
		refuse(s, user,
		    pool_used(e->pool) >= pool_size(e->pool)
			? "pool exhausted"
			: "no free address that chap-secrets allows this user");
	return ip;
}

/* ---- the link's callbacks ---- */

/* Keeps an IPCP frame. What does not fit is lost: that is what the restart timers are for. */
static void
hold_frame(struct session *s, const uint8_t *payload, size_t len)
{
	struct held_frame *h;

	if (s->held == NULL)
		s->held = calloc(HELD_FRAMES, sizeof *s->held);
	if (s->held == NULL || s->n_held == HELD_FRAMES || len > HELD_FRAME_SIZE)
		return;
	h = &s->held[s->n_held++];
	h->len = (uint16_t)len;
	memcpy(h->bytes, payload, len);
}

static void
link_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct session *s = arg;

	if (s->dp == NULL || s->call.state != CALL_ESTABLISHED)
		return;
	/* The client may send as soon as IPCP is open: the way back to it must exist by then. */
	if (protocol == PPP_IPCP && s->route_pending)
		hold_frame(s, payload, len);
	else
		(void)dp_send_frame(s->engine->dp, s->dp, protocol, payload, len);
}

static void
route_done(void *arg, int err)
{
	struct session *s = arg;

	if (err != 0)
		log_warn("host route not set address=%s call=%u error=\"%s\"",
		    conf_ipv4(s->address), s->call_id, strerror(err));
	s->pending--;
	s->route_pending = false;
	for (unsigned i = 0; i < s->n_held; i++)
		link_send(s, PPP_IPCP, s->held[i].bytes, s->held[i].len);
	s->n_held = 0;
	free(s->held);
	s->held = NULL;
	session_released(s);
}

static void
add_route(struct session *s)
{
	if (s->has_route)
		return;
	s->has_route = s->route_pending = true;
	s->pending++;
	priv_route_add(s->engine->priv, s->address, route_done, s);
}

static bool
secret_matches(const struct secret *secret, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	uint8_t want[MSCHAP_NT_RESPONSE_LEN];
	bool same;

	if (mschap_nt_hash(secret->password, nt_hash) < 0)
		return false;
	mschap_nt_response(v->auth_challenge, v->peer_challenge, v->hash_name, nt_hash, want);
	same = mschap_equal(want, v->nt_response, sizeof want);
	explicit_bzero(want, sizeof want);
	return same;
}

/* A user keeps its address over a renegotiation, but nobody else takes it over in the same call. */
static bool
same_user(const struct session *s, const char *name)
{
	return s->address == 0 || strcmp(s->identity.user, name) == 0;
}

static bool
link_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	struct session *s = arg;
	struct engine *e = s->engine;
	const struct secret *candidates[CANDIDATES_MAX];
	size_t n = secrets_find(
	    e->config->secrets, v->name, e->config->settings->name, candidates, CANDIDATES_MAX);
	bool known = false;

	for (size_t i = 0; i < n && s->address == 0; i++) {
		if (!secret_matches(candidates[i], v, nt_hash))
			continue;
		known = true;
		snprintf(s->identity.user, sizeof s->identity.user, "%s", v->name);
		memcpy(s->identity.nt_hash, nt_hash, sizeof s->identity.nt_hash);
		s->address = take_address(s, v->name, candidates[i]);
	}
	for (size_t i = 0; i < n && !known && same_user(s, v->name); i++)
		known = secret_matches(candidates[i], v, nt_hash);
	if (known && s->ctrl != NULL)
		ctrl_proven(s->ctrl);
	if (!known) {
		explicit_bzero(nt_hash, 16);
		refuse(s, v->name,
		    n == 0 ? "unknown user (MS-CHAPv2 error 691)"
			   : "wrong password (MS-CHAPv2 error 691)");
	}
	return known;
}

static bool
link_address(void *arg, struct ppp_addresses *a)
{
	struct session *s = arg;

	if (s->address == 0)
		return false;
	add_route(s);
	a->peer_ip = s->address;
	a->local_ip = ip_list_at(
	    &s->config->settings->local_ips, s->call_id % s->config->settings->local_ips.total);
	return true;
}

static void
link_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct session *s = arg;

	memcpy(s->mppe_tx.master, send_key, 16);
	memcpy(s->mppe_rx.master, recv_key, 16);
	if (s->dp != NULL)
		dp_set_keys(s->engine->dp, s->dp, send_key, recv_key);
}

static void
link_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct session *s = arg;
	struct ppp_state p;

	if (s->dp == NULL || s->path_open)
		return;
	s->path_open = true;
	ppp_get_state(s->ppp, &p);
	dp_up(s->engine->dp, s->dp,
	    &(struct dp_up){.peer_ip = a->peer_ip,
		.local_ip = a->local_ip,
		.mtu = mtu,
		.pfc = p.peer_pfc,
		.acfc = p.peer_acfc});
}

static void
log_up(const struct session *s, const struct ppp_addresses *a, uint16_t mtu)
{
	log_info("session up user=\"%s\" address=%s peer=%s call=%u mtu=%u encryption=MPPE-128 "
		 "setup_ms=%llu",
	    user_of(s), conf_ipv4(a->peer_ip), conf_ipv4(s->peer_ip), s->call_id, mtu,
	    (unsigned long long)(loop_now_ms(s->engine->loop) - s->started_ms));
}

static void
link_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct session *s = arg;
	struct engine *e = s->engine;

	if (s->dp == NULL || s->call.state != CALL_ESTABLISHED)
		return;
	link_peer_address(s, a, mtu);
	if (!s->up) {
		e->stats.sessions_up++;
		if (s->config->settings->logwtmp)
			priv_wtmp(e->priv, s->call_id, s->identity.user, s->peer_ip);
	}
	if (!s->up || engine_log_ok(e, s->peer_ip)) /* a peer may renegotiate without end */
		log_up(s, a, mtu);
	s->up = true;
	tick_cb(s);
}

static void
link_down(void *arg)
{
	struct session *s = arg;

	s->path_open = false;
	if (s->dp != NULL)
		dp_down(s->engine->dp, s->dp);
}

static void
link_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	struct session *s = arg;
	enum session_end end = cause == PPP_CAUSE_LOCAL ? s->end : (enum session_end)cause;

	s->end_detail = detail;
	session_close(s, end, true);
	s->end_detail = NULL;
}

static const struct ppp_ops link_ops = {
    .send = link_send,
    .verify = link_verify,
    .address = link_address,
    .keys = link_keys,
    .peer_address = link_peer_address,
    .up = link_up,
    .down = link_down,
    .finished = link_finished,
};

/* ---- the data plane's callbacks ---- */

static void
data_frame(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct session *s = owner;

	(void)arg;
	if (s->call.state == CALL_ESTABLISHED)
		ppp_input(s->ppp, protocol, payload, len);
}

static void
data_unknown(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len,
    bool was_encrypted)
{
	struct session *s = owner;

	(void)arg;
	if (s->call.state == CALL_ESTABLISHED)
		ppp_unknown_protocol(s->ppp, protocol, payload, len, was_encrypted);
}

static void
data_detached(void *arg, void *owner)
{
	struct session *s = owner;

	(void)arg;
	s->dp = NULL;
	session_released(s);
}

const struct dp_ops session_dp_ops = {
    .on_frame = data_frame,
    .on_unknown = data_unknown,
    .on_detached = data_detached,
};

/* ---- the end ---- */

static void
free_session(void *object)
{
	struct session *s = object;

	s->engine->by_call[s->call_id] = NULL;
	ppp_free(s->ppp);
	engine_config_unref(s->config);
	free(s->held);
	explicit_bzero(s, sizeof *s);
	free(s);
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
	    s->end == END_MAXCONNECT)
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

	if (s->identity.user[0] == '\0' &&
	    !log_limit_ok(e->quiet, s->peer_ip, loop_now_ms(e->loop), NULL))
		return; /* it is counted, and opening calls is all that it did */
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	log_info("session ended user=\"%s\" address=%s peer=%s call=%u reason=%s%s%s%s was_up=%s "
		 "seconds=%llu "
		 "rx_packets=%llu rx_octets=%llu tx_packets=%llu tx_octets=%llu",
	    user_of(s), s->address != 0 ? conf_ipv4(s->address) : "-", conf_ipv4(s->peer_ip),
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
	if (s->up && s->config->settings->logwtmp)
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
close_call(void *object, void *detail)
{
	struct session *s = object;
	struct ctrl *c = s->ctrl;

	(void)detail;
	log_end(s);
	s->engine->stats.ended[s->end]++;
	s->engine->n_sessions--;
	timer_cancel(&s->timer);
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

/* Milliseconds until `limit` seconds after `since`; 0 = reached, UINT64_MAX = no limit. */
static uint64_t
remaining(uint64_t now, uint64_t since, unsigned limit_s)
{
	uint64_t due = since + (uint64_t)limit_s * 1000;

	if (limit_s == 0)
		return UINT64_MAX;
	return due > now ? due - now : 0;
}

/* idle, maxconnect, and the link's echo timer learns of traffic that it does not see itself. */
static void
tick_cb(void *arg)
{
	struct session *s = arg;
	const struct settings *conf = s->config->settings;
	uint64_t now = loop_now_ms(s->engine->loop), wait = TICK_MAX_MS, left,
		 since = s->started_ms;
	struct dp_counters n;

	if (s->dp == NULL || s->call.state != CALL_ESTABLISHED)
		return;
	dp_session_counters(s->dp, &n);
	if (n.last_rx_ms > s->seen_rx_ms) {
		s->seen_rx_ms = n.last_rx_ms;
		ppp_alive(s->ppp);
	}
	if ((left = remaining(now, s->started_ms, conf->maxconnect_s)) == 0) {
		session_hangup(s, END_MAXCONNECT);
		return;
	}
	if (left < wait)
		wait = left;
	if (n.last_data_ms > since)
		since = n.last_data_ms;
	if ((left = remaining(now, since, conf->idle_s)) == 0) {
		session_hangup(s, (enum session_end)PPP_CAUSE_IDLE);
		return;
	}
	if (left < wait)
		wait = left;
	if (conf->lcp_echo_interval_s > 0 && conf->lcp_echo_interval_s * 500u < wait)
		wait = conf->lcp_echo_interval_s * 500u;
	timer_set(&s->timer, wait);
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
new_call_id(struct engine *e)
{
	for (unsigned i = 0; i < 65535; i++) {
		uint16_t id = ++e->next_call_id;

		if (id != 0 && e->by_call[id] == NULL)
			return id;
	}
	return 0;
}

static struct session *
session_new(struct ctrl *c, const struct pptp_message *ocrq)
{
	struct engine *e = c->engine;
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->engine = e;
	s->config = engine_config_ref(e->config);
	s->ctrl = c;
	s->call_id = new_call_id(e);
	s->peer_call_id = ocrq->call_id;
	s->serial = ocrq->serial;
	s->window = ocrq->window;
	s->peer_ip = c->tcp.peer_ip;
	s->started_ms = loop_now_ms(e->loop);
	s->started_wall_ms = wall_ms();
	s->id = ++e->next_session;
	snprintf(s->identity.acct_id, sizeof s->identity.acct_id, "%08x%08x", e->boot_id, s->id);
	fsm_init(&s->call, &call_table, CALL_WAIT_GUARD);
	timer_init(&s->timer, e->loop, tick_cb, s);
	s->ppp = ppp_new(e->loop, &s->config->ppp, &link_ops, s);
	if (s->call_id != 0 && s->ppp != NULL)
		s->dp = dp_attach(e->dp, &(struct dp_session_config){.call_id = s->call_id,
					     .peer_call_id = s->peer_call_id,
					     .peer_ip = s->peer_ip,
					     .local_ip = c->tcp.local_ip,
					     .owner = s});
	if (s->dp == NULL) {
		ppp_free(s->ppp);
		engine_config_unref(s->config);
		free(s);
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
	if (e->n_sessions >= e->config->settings->connections && !ctrl_make_room(e, c)) {
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
	TAILQ_INSERT_TAIL(&c->sessions, s, entry);
	c->n_sessions++;
	e->by_call[s->call_id] = s;
	e->n_sessions++;
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

void
session_record(const struct session *s, struct session_record *r)
{
	struct dp_counters n = {0};

	memset(r, 0, sizeof *r);
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	r->id = s->id;
	if (s->ctrl != NULL)
		ctrl_record(s->ctrl, &r->ctrl);
	r->call = (struct record_call){.call_id = s->call_id,
	    .peer_call_id = s->peer_call_id,
	    .serial = s->serial,
	    .window = s->window,
	    .tx_seq = n.tx_seq,
	    .rx_seq = n.rx_seq,
	    .tx_acked = n.tx_acked};
	ppp_get_state(s->ppp, &r->ppp);
	r->mppe_tx = s->mppe_tx;
	r->mppe_rx = s->mppe_rx;
	r->mppe_tx.index = n.tx_index;
	r->mppe_rx.index = n.rx_index;
	r->identity = s->identity;
	r->accounting = (struct record_accounting){.rx_packets = n.rx_packets,
	    .rx_octets = n.rx_octets,
	    .tx_packets = n.tx_packets,
	    .tx_octets = n.tx_octets,
	    .started_ms = s->started_wall_ms};
	r->timers = (struct record_timers){.idle_s = s->config->settings->idle_s,
	    .maxconnect_s = s->config->settings->maxconnect_s,
	    .lcp_echo_interval_s = (uint16_t)s->config->settings->lcp_echo_interval_s,
	    .lcp_echo_failure = (uint8_t)s->config->settings->lcp_echo_failure};
}
