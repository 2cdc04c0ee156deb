/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session as a record, and a session that goes on from the standby's copy of one. What the data
 * plane's halves hold comes and goes as a struct dp_state; the rest is the session's own.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/mirror.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/standby.h"
#include "pptpd/engine/takeover.h"

#define FILL_MAX      (2u * REPLICA_AHEAD_FAST) /* numbers that can lie between use and mark */
#define FIRST_TICK_MS 30000                     /* limits are looked at within that, spread */

void
session_record(const struct session *s, const struct dp_state *state, struct session_record *r)
{
	const struct settings *conf = s->config->settings;

	memset(r, 0, sizeof *r);
	r->id = s->id;
	r->connection = s->ctrl != NULL ? s->ctrl->id : 0;
	r->call = (struct record_call){.call_id = s->call_id,
	    .peer_call_id = s->peer_call_id,
	    .serial = s->serial,
	    .window = s->window,
	    .tx_seq = state->tx_seq,
	    .rx_seq = state->rx_seq,
	    .tx_acked = state->tx_acked,
	    .rx_any = state->rx_any,
	    .tx_any_ack = state->tx_any_ack};
	ppp_get_state(s->ppp, &r->ppp);
	record_put_key(&r->mppe_tx, &state->tx);
	record_put_key(&r->mppe_rx, &state->rx);
	r->mark = (struct record_mark){
	    .seq = state->gate.mark_seq, .index = state->gate.mark_index, .open = state->gate.low};
	r->identity = s->identity;
	r->accounting = (struct record_accounting){.rx_packets = state->rx_packets,
	    .rx_octets = state->rx_octets,
	    .tx_packets = state->tx_packets,
	    .tx_octets = state->tx_octets,
	    .started_ms = s->started_wall_ms};
	r->timers = (struct record_timers){.idle_s = conf->idle_s,
	    .maxconnect_s = conf->maxconnect_s,
	    .lcp_echo_interval_s = (uint16_t)conf->lcp_echo_interval_s,
	    .lcp_echo_failure = (uint8_t)conf->lcp_echo_failure};
}

bool
session_stands(const struct session *s, struct replica_stand *out)
{
	struct dp_counters n;

	if (s->dp == NULL)
		return false;
	dp_session_counters(s->dp, &n);
	*out = (struct replica_stand){.id = s->id,
	    .seq = n.tx_seq,
	    .index = n.tx_index,
	    .any_acked = n.any_said_ack,
	    .acked = n.said_ack};
	return true;
}

/* Each of these numbers only grows: their sum tells whether one of them has moved. */
bool
session_counters(struct session *s, struct record_counters *c)
{
	struct dp_counters n;
	uint64_t sum;

	if (s->dp == NULL)
		return false;
	dp_session_counters(s->dp, &n);
	sum = n.rx_packets + n.tx_packets + n.tx_seq + n.rx_seq + n.tx_acked + n.rx_index;
	if (sum == s->told)
		return false;
	s->told = sum;
	*c = (struct record_counters){.id = s->id,
	    .tx_seq = n.tx_seq,
	    .tx_acked = n.tx_acked,
	    .rx_seq = n.rx_seq,
	    .rx_any = true, /* it is up */
	    .tx_any_ack = n.tx_acked != 0,
	    .rx_index = n.rx_index,
	    .accounting = {.rx_packets = n.rx_packets,
		.rx_octets = n.rx_octets,
		.tx_packets = n.tx_packets,
		.tx_octets = n.tx_octets}};
	return true;
}

/* ---- going on ---- */

/* The address was the copy's: now it is the session's. */
static int
take_over_address(struct session *s, const struct mirror_session *m, uint32_t ip)
{
	struct pool *pool = s->engine->pool;

	if (pool_owner(pool, ip) == m)
		pool_release(pool, ip);
	if (pool_take_ip(pool, ip, s) < 0)
		return -1;
	s->address = ip;
	return 0;
}

static void
give_back_address(struct session *s, const struct mirror_session *m)
{
	struct pool *pool = s->engine->pool;

	pool_release(pool, s->address);
	(void)pool_take_ip(pool, s->address, standby_owner(m));
}

/* The last number that the old active is known to have sent is behind the mark by so many at most
 * that filling them helps. */
static uint32_t
fill_from(const struct mirror_session *m, uint32_t mark)
{
	uint32_t gap = mark - m->counters.tx_seq;

	return mark - (gap < FILL_MAX ? gap : FILL_MAX);
}

/* Its data path begins with these. */
static void
count_carried(struct engine_stats *st, const struct record_accounting *a)
{
	st->carried.rx_packets += a->rx_packets;
	st->carried.rx_octets += a->rx_octets;
	st->carried.tx_packets += a->tx_packets;
	st->carried.tx_octets += a->tx_octets;
}

/* A new data path, without keys. Where the copy is stale it knows nothing of the client's numbers
 * either: the receive side begins with the first that comes. */
static struct dp_session *
attach_unkeyed(struct session *s, const struct mirror_session *m, const struct session_record *r)
{
	struct dp_state st = {.tx_seq = r->call.tx_seq,
	    .gate = keygate_free(KEYS_ALL),
	    .rx_packets = r->accounting.rx_packets,
	    .rx_octets = r->accounting.rx_octets,
	    .tx_packets = r->accounting.tx_packets,
	    .tx_octets = r->accounting.tx_octets};

	if (!m->stale) {
		st.tx_acked = r->call.tx_acked;
		st.tx_any_ack = r->call.tx_any_ack;
		st.rx_seq = r->call.rx_seq;
		st.rx_any = r->call.rx_any;
	}
	return dp_attach(s->engine->dp, &(struct dp_session_config){.id = s->id,
					    .call_id = s->call_id,
					    .peer_call_id = s->peer_call_id,
					    .peer_ip = s->peer_ip,
					    .local_ip = s->ctrl->tcp.local_ip,
					    .owner = s,
					    .state = &st,
					    .fill_from = st.tx_seq});
}

static struct dp_session *
attach(struct session *s, const struct mirror_session *m, const struct session_record *r,
    const struct keygate *gate, bool fill)
{
	struct dp_state st = {.tx_seq = r->call.tx_seq,
	    .tx_acked = r->call.tx_acked,
	    .rx_seq = r->call.rx_seq,
	    .rx_any = r->call.rx_any,
	    .tx_any_ack = r->call.tx_any_ack,
	    .armed = true,
	    .gate = *gate,
	    .rx_packets = r->accounting.rx_packets,
	    .rx_octets = r->accounting.rx_octets,
	    .tx_packets = r->accounting.tx_packets,
	    .tx_octets = r->accounting.tx_octets};
	struct dp_session *dp;

	record_get_key(&st.tx, &r->mppe_tx);
	record_get_key(&st.rx, &r->mppe_rx);
	dp = dp_attach(s->engine->dp, &(struct dp_session_config){.id = s->id,
					  .call_id = s->call_id,
					  .peer_call_id = s->peer_call_id,
					  .peer_ip = s->peer_ip,
					  .local_ip = s->ctrl->tcp.local_ip,
					  .owner = s,
					  .state = &st,
					  .fill_from = fill ? fill_from(m, st.tx_seq) : st.tx_seq,
					  .exact = takeover_exact(s->engine)});
	explicit_bzero(&st, sizeof st);
	return dp;
}

static void
open_path(struct session *s, const struct ppp_state *p)
{
	s->path_open = true;
	dp_up(s->engine->dp, s->dp,
	    &(struct dp_up){.peer_ip = p->addresses.peer_ip,
		.local_ip = p->addresses.local_ip,
		.mtu = p->mtu,
		.pfc = p->peer_pfc,
		.acfc = p->peer_acfc,
		.magic = p->our_magic});
}

static void
served_cb(void *arg, int err)
{
	struct session *s = arg;

	if (err != 0)
		log_warn("address not announced address=%s call=%u error=\"%s\"",
		    conf_ipv4(s->address), s->call_id, strerror(err));
	s->pending--;
	session_released(s);
}

/* So that the timers of sessions taken over together do not fire together. */
static uint16_t
spread(const struct session *s)
{
	return (uint16_t)(s->call_id * 40503u);
}

/* From here on it is a session like any other. */
static void
begin_life(struct session *s)
{
	struct engine *e = s->engine;

	s->in_set = s->has_route = true; /* since the copy knew of it */
	session_enlist(s);
	e->stats.sessions_continued += !rekey_busy(s);
	s->to_announce = s->to_record = true;
	timer_set(&s->timer, spread(s) * (uint64_t)FIRST_TICK_MS / UINT16_MAX);
}

void
session_announce(struct session *s)
{
	struct engine *e = s->engine;

	if (!s->to_announce || s->call.state != CALL_ESTABLISHED)
		return;
	s->to_announce = false;
	if (!rekey_busy(s))
		ppp_echo_now(s->ppp);
	if (!s->config->settings->proxyarp)
		return;
	s->pending++;
	priv_route_add(e->priv, s->address, true, served_cb, s);
}

void
session_record_login(struct session *s)
{
	if (!s->to_record || s->call.state != CALL_ESTABLISHED)
		return;
	s->to_record = false;
	if (s->config->settings->logwtmp)
		priv_wtmp(s->engine->priv, s->call_id, s->identity.user, s->peer_ip);
}

/* 0, or -1 with errno as session_continue(). On failure what was taken is given back. */
static int
take_over(
    struct session *s, const struct mirror_session *m, const struct session_record *r, bool fill)
{
	struct replica *replica = s->engine->replica;
	struct keygate gate;
	bool keyed;
	int error;

	s->identity = r->identity;
	memcpy(s->key_tag, r->mppe_tx.master, sizeof s->key_tag);
	s->started_wall_ms = r->accounting.started_ms;
	s->started_ms -= wall_since_ms(r->accounting.started_ms);
	if (ppp_restore(s->ppp, &r->ppp, spread(s)) < 0)
		return -1;
	s->up = true;
	ctrl_replicate(s->ctrl);
	keyed = replica_adopt(replica, &s->replica, m, &gate);
	if (take_over_address(s, m, r->ppp.addresses.peer_ip) < 0)
		goto not_member;
	if (!keyed && rekey_adopt(s, m) < 0)
		goto not_owner;
	s->dp = keyed ? attach(s, m, r, &gate, fill) : attach_unkeyed(s, m, r);
	if (s->dp == NULL)
		goto not_owner;
	count_carried(&s->engine->stats, &r->accounting);
	if (keyed)
		open_path(s, &r->ppp);
	else
		replica_adopt_unkeyed(replica, m);
	return 0;
not_owner:
	error = errno;
	rekey_ended(s);
	give_back_address(s, m);
	errno = error;
not_member:
	error = errno;
	replica_remove(replica, &s->replica);
	errno = error;
	return -1;
}

struct session *
session_continue(struct ctrl *c, const struct mirror_session *m, bool fill)
{
	struct session_record r;
	struct session *s = NULL;
	int error = 0;

	if (mirror_session_record(m, &r) < 0)
		return NULL;
	if (c->engine->by_call[r.call.call_id] != NULL)
		error = EEXIST;
	else if ((s = session_make(c, &r.call, r.id, CALL_ESTABLISHED)) == NULL)
		error = ENOMEM;
	else if (take_over(s, m, &r, fill) < 0) {
		error = errno;
		session_discard(s);
		s = NULL;
	}
	session_record_wipe(&r);
	if (s == NULL) {
		errno = error;
		return NULL;
	}
	begin_life(s);
	return s;
}
