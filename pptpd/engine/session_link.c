/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a session is told by its PPP link and by the data plane, and what it does about it: frames
 * out, addresses and keys down to the data plane, routes before the client may need them.
 */
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/takeover.h"

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
	priv_route_add(s->engine->priv, s->address, !s->local, route_done, s);
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

/*
 * The standby's copy has the old keys: it is of no use from here until the link is up again. Nobody
 * knows the new ones, so nothing limits them.
 */
static void
link_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct session *s = arg;
	struct engine *e = s->engine;
	struct keygate all = keygate_free(KEYS_ALL);

	if (s->dp == NULL)
		return;
	memcpy(s->key_tag, send_key, sizeof s->key_tag);
	rekey_keys(s);
	dp_set_keys(e->dp, s->dp, send_key, recv_key);
	if (!s->replica.member)
		return;
	replica_remove(e->replica, &s->replica);
	dp_set_gate(e->dp, s->dp, &all, 0);
}

static void
link_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct session *s = arg;
	struct ppp_state p;

	if (s->dp == NULL || s->path_open || rekey_unkeyed(s))
		return;
	s->path_open = true;
	ppp_get_state(s->ppp, &p);
	dp_up(s->engine->dp, s->dp,
	    &(struct dp_up){.peer_ip = a->peer_ip,
		.local_ip = a->local_ip,
		.mtu = mtu,
		.pfc = p.peer_pfc,
		.acfc = p.peer_acfc,
		.magic = p.our_magic});
}

static void
log_up(const struct session *s, const struct ppp_addresses *a, uint16_t mtu)
{
	log_info("session up user=\"%s\" address=%s peer=%s call=%u mtu=%u encryption=MPPE-128 "
		 "setup_ms=%llu",
	    session_user(s), conf_ipv4(a->peer_ip), conf_ipv4(s->peer_ip), s->call_id, mtu,
	    (unsigned long long)(loop_now_ms(s->engine->loop) - s->started_ms));
}

/* The standby's copy learns of it, or of what changed; see replica.h. */
static void
replicate(struct session *s)
{
	if (s->ctrl == NULL || s->local)
		return;
	ctrl_replicate(s->ctrl);
	if (s->replica.member)
		replica_renew(s->engine->replica, &s->replica, false);
	else
		replica_add(s->engine->replica, &s->replica, s->id);
}

static void
link_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct session *s = arg;
	struct engine *e = s->engine;

	if (s->dp == NULL || s->call.state != CALL_ESTABLISHED || rekey_unkeyed(s))
		return;
	link_peer_address(s, a, mtu);
	if (!s->up && !s->local) {
		e->stats.sessions_up++;
		engine_count_setup(&e->stats, loop_now_ms(e->loop) - s->started_ms);
		if (s->config->settings->logwtmp)
			priv_wtmp(e->priv, s->call_id, s->identity.user, s->peer_ip);
	}
	if (!s->local &&
	    (!s->up || engine_log_ok(e, s->peer_ip))) /* a peer may renegotiate without end */
		log_up(s, a, mtu);
	s->up = true;
	rekey_up(s);
	replicate(s);
	session_tick(s);
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

const struct ppp_ops session_link_ops = {
    .send = link_send,
    .verify = session_verify,
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
	if (s->call.state != CALL_ESTABLISHED)
		return;
	crumb_set(s->engine->crumb, s->id);
	rekey_frame(s, protocol, payload, len);
	ppp_input(s->ppp, protocol, payload, len);
	crumb_set(s->engine->crumb, 0);
}

static void
data_unknown(void *arg, void *owner, uint16_t protocol, const uint8_t *payload, size_t len,
    bool was_encrypted)
{
	struct session *s = owner;

	(void)arg;
	if (s->call.state != CALL_ESTABLISHED)
		return;
	crumb_set(s->engine->crumb, s->id);
	ppp_unknown_protocol(s->ppp, protocol, payload, len, was_encrypted);
	crumb_set(s->engine->crumb, 0);
}

/* A report that was on its way when the keys changed is of no use; another one follows. */
static void
data_exported(void *arg, void *owner, const struct dp_state *state)
{
	struct session *s = owner;
	struct session_record r;

	(void)arg;
	if (!s->replica.member || !state->armed ||
	    memcmp(s->key_tag, state->tx.master, sizeof s->key_tag) != 0)
		return;
	session_record(s, state, &r);
	replica_exported(s->engine->replica, &s->replica, &r);
	session_record_wipe(&r);
}

static void
data_low(void *arg, void *owner, uint32_t next_seq, uint64_t next_index)
{
	struct session *s = owner;

	(void)arg;
	if (s->replica.member)
		replica_low(s->engine->replica, &s->replica, next_seq, next_index);
}

static void
data_detached(void *arg, void *owner)
{
	struct session *s = owner;
	struct replica_stand last;

	(void)arg;
	if (s->replica.noted && session_stands(s, &last))
		replica_ended(s->engine->replica, &s->replica, &last);
	s->dp = NULL;
	session_released(s);
}

static void
data_relay(void *arg, enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	takeover_on_relay(arg, kind, packet, len);
}

const struct dp_ops session_dp_ops = {
    .on_frame = data_frame,
    .on_unknown = data_unknown,
    .on_detached = data_detached,
    .on_exported = data_exported,
    .on_low = data_low,
    .on_relay = data_relay,
};
