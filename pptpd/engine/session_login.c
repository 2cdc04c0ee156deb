/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who a session's user is and which address it has: the secrets, the pool, and the one that gives
 * way when a client redials.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

#define CANDIDATES_MAX 16

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
		    session_user(holder), conf_ipv4(ip), holder->call_id, s->call_id,
		    conf_ipv4(s->peer_ip));
		session_close(holder, END_REPLACED, true);
		if (s->closing) /* a call of the same connection, which that has closed */
			return 0;
	} else if (holder != NULL && holder != s) {
		char why[160];

		snprintf(why, sizeof why, "address %s is taken by user %s (call %u)", conf_ipv4(ip),
		    session_user(holder), holder->call_id);
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

/* ---- the secrets ---- */

bool
session_proves(const char *password, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	uint8_t hash[16] = {0}, want[MSCHAP_NT_RESPONSE_LEN];
	bool same = false;

	if (mschap_nt_hash(password, hash) == 0) {
		mschap_nt_response(v->auth_challenge, v->peer_challenge, v->hash_name, hash, want);
		same = mschap_equal(want, v->nt_response, sizeof want);
		explicit_bzero(want, sizeof want);
	}
	if (same)
		memcpy(nt_hash, hash, sizeof hash);
	explicit_bzero(hash, sizeof hash);
	return same;
}

/* A user keeps its address over a renegotiation, but nobody else takes it over in the same call. */
static bool
same_user(const struct session *s, const char *name)
{
	return s->address == 0 || strcmp(s->identity.user, name) == 0;
}

bool
session_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	struct session *s = arg;
	struct engine *e = s->engine;
	const struct secret *candidates[CANDIDATES_MAX];
	bool known = false;
	size_t n;

	if (s->local)
		return loopback_verify(s, v, nt_hash);
	n = secrets_find(
	    e->config->secrets, v->name, e->config->settings->name, candidates, CANDIDATES_MAX);
	for (size_t i = 0; i < n && s->address == 0; i++) {
		if (!session_proves(candidates[i]->password, v, nt_hash))
			continue;
		known = true;
		snprintf(s->identity.user, sizeof s->identity.user, "%s", v->name);
		memcpy(s->identity.nt_hash, nt_hash, sizeof s->identity.nt_hash);
		s->address = take_address(s, v->name, candidates[i]);
	}
	for (size_t i = 0; i < n && !known && same_user(s, v->name); i++)
		known = session_proves(candidates[i]->password, v, nt_hash);
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
