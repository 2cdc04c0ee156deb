/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a standby prepares from its copy. In the middle of a snapshot two sessions of the copy may
 * have the same call id or the same address, an old one that is about to go and a new one: the new
 * one owns it from then on.
 */
#include "pptpd/engine/standby.h"

#include <string.h>

void *
standby_owner(const struct mirror_session *m)
{
	union {
		const struct mirror_session *in;
		void *out;
	} u = {.in = m};

	return u.out;
}

static void
call_done(void *arg, int err)
{
	struct engine *e = arg;

	if (err != 0 && engine_log_ok(e, 0))
		log_warn("firewall did not take a mirrored call error=\"%s\"", strerror(err));
}

static void
route_done_cb(void *arg, int err)
{
	struct engine *e = arg;

	if (err != 0 && engine_log_ok(e, 0))
		log_warn("host route of a mirrored session not set error=\"%s\"", strerror(err));
}

static void
own_call(struct engine *e, const struct mirror_session *m)
{
	const struct mirror_session *old = e->copies[m->call_id];

	if (old != NULL && old->peer_ip != m->peer_ip)
		priv_call_del(e->priv, old->peer_ip, old->call_id, NULL, NULL);
	e->copies[m->call_id] = m;
	priv_call_add(e->priv, m->peer_ip, m->call_id, call_done, e);
}

static void
own_address(struct engine *e, const struct mirror_session *m)
{
	if (m->address == 0)
		return;
	pool_release(e->pool, m->address);
	if (pool_take_ip(e->pool, m->address, standby_owner(m)) == 0)
		priv_route_add(e->priv, m->address, false, route_done_cb, e);
}

void
standby_session(void *arg, const struct mirror_session *m)
{
	struct engine *e = arg;

	crumb_set(e->crumb, m->id);
	own_call(e, m);
	own_address(e, m);
	crumb_set(e->crumb, 0);
}

void
standby_gone(void *arg, const struct mirror_session *m)
{
	struct engine *e = arg;

	if (e->copies[m->call_id] == m) {
		e->copies[m->call_id] = NULL;
		priv_call_del(e->priv, m->peer_ip, m->call_id, NULL, NULL);
	}
	if (m->address != 0 && pool_owner(e->pool, m->address) == m) {
		pool_release(e->pool, m->address);
		priv_route_del(e->priv, m->address, NULL, NULL);
	}
}

void
standby_release(struct engine *e, const struct mirror_session *m)
{
	if (e->copies[m->call_id] == m)
		e->copies[m->call_id] = NULL;
}
