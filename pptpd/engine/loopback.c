/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loopback account: who may log in with it, which worker and which address a session of it has.
 */
#include "pptpd/engine/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cursor.h"
#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

#define CTRLS_MAX (2 * LOOPBACK_SESSIONS) /* one that begins anew may meet its predecessor */

static void
end_all(struct engine *e)
{
	for (unsigned i = 0; i < LOOPBACK_SESSIONS; i++) {
		if (e->loopback.sessions[i] != NULL)
			session_close(e->loopback.sessions[i], END_KICKED, true);
	}
}

int
loopback_set(struct engine *e, const char *password)
{
	struct loopback *l = &e->loopback;
	size_t len = password != NULL ? strlen(password) : 0;

	if (len != 0 && (len < LOOPBACK_PASSWORD_MIN || len > LOOPBACK_PASSWORD_MAX)) {
		errno = EINVAL;
		return -1;
	}
	if (len == strlen(l->password) && (len == 0 || memcmp(l->password, password, len) == 0))
		return 0;
	explicit_bzero(l->password, sizeof l->password);
	if (len > 0)
		memcpy(l->password, password, len);
	end_all(e);
	return 0;
}

void
loopback_fini(struct engine *e)
{
	explicit_bzero(e->loopback.password, sizeof e->loopback.password);
}

bool
loopback_admit(const struct engine *e)
{
	return e->loopback.password[0] != '\0' && e->loopback.n_ctrls < CTRLS_MAX;
}

bool
loopback_wants(const struct engine *e, uint32_t source, uint16_t call_id)
{
	return e->workers < 2 || call_id % e->workers == loopback_number(source) % e->workers;
}

bool
loopback_verify(struct session *s, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	struct engine *e = s->engine;
	unsigned n = loopback_number(s->peer_ip);
	struct session **place = &e->loopback.sessions[n];

	if (e->loopback.password[0] == '\0' || strcmp(v->name, LOOPBACK_USER) != 0 ||
	    !session_proves(e->loopback.password, v, nt_hash)) {
		explicit_bzero(nt_hash, 16);
		if (engine_log_ok(e, s->peer_ip))
			log_warn("login on loopback refused user=\"%s\" peer=%s call=%u",
			    log_quote(v->name, strlen(v->name)), conf_ipv4(s->peer_ip), s->call_id);
		return false;
	}
	if (*place != NULL && *place != s)
		session_close(*place, END_REPLACED, true);
	if (s->closing) /* a call of the same connection, which that has closed */
		return false;
	*place = s;
	snprintf(s->identity.user, sizeof s->identity.user, "%s", v->name);
	s->address = loopback_address(n);
	return true;
}

void
loopback_ended(struct session *s)
{
	struct session **place = &s->engine->loopback.sessions[loopback_number(s->peer_ip)];

	if (*place == s)
		*place = NULL;
}

bool
loopback_owns(enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	struct rd r = rd_init(packet, len);
	uint32_t source, destination;

	rd_skip(&r, 12);
	source = rd_u32(&r);
	destination = rd_u32(&r);
	if (!rd_ok(&r))
		return false;
	return kind == DP_RELAY_GRE ? loopback_is_source(source) : loopback_is_address(destination);
}

json_t *
loopback_json(const struct engine *e)
{
	json_t *workers = json_array();
	unsigned up = 0;

	for (unsigned i = 0; i < LOOPBACK_SESSIONS; i++)
		up += e->loopback.sessions[i] != NULL && e->loopback.sessions[i]->up;
	for (unsigned i = 0; i < e->workers; i++) {
		uint64_t decrypted, encrypted;

		dp_work(e->dp, i, &decrypted, &encrypted);
		json_array_append_new(
		    workers, json_pack("{s:I,s:I}", "decrypted", (json_int_t)decrypted, "encrypted",
				 (json_int_t)encrypted));
	}
	return json_pack("{s:b,s:i,s:i,s:o}", "account", e->loopback.password[0] != '\0',
	    "connections", (int)e->loopback.n_ctrls, "up", (int)up, "workers", workers);
}
