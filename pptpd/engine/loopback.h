/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's part of the loopback account (common/loopback.h). A control connection from
 * 127.0.0.0/8 is *local*, and so are its sessions: nobody but this account logs in there, and it
 * nowhere else. What is local is no client: it is in no count, limit, list or account, takes no
 * address of the pool and no place in the firewall's calls, is never told to the standby, and ends
 * when this gateway stops serving.
 */
#ifndef ENGINE_LOOPBACK_H
#define ENGINE_LOOPBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/loopback.h"
#include "pptpd/data/dataplane.h"
#include "pptpd/ppp/ppp.h"

struct engine;
struct session;

/* Zeroed: there is no account. */
struct loopback {
	char password[LOOPBACK_PASSWORD_MAX + 1]; /* "" = no account */
	unsigned n_ctrls;
	struct session *sessions[LOOPBACK_SESSIONS]; /* logged in, by number */
};

/*
 * Sets the account's password; sessions that logged in with another one end. NULL or "" takes the
 * account away. -1 with EINVAL: not LOOPBACK_PASSWORD_MIN to _MAX characters.
 */
int loopback_set(struct engine *e, const char *password);
void loopback_fini(struct engine *e);
/* May one more connection come from there? */
bool loopback_admit(const struct engine *e);
/* Whether a call from there may have that id: its worker is the one that source stands for. */
bool loopback_wants(const struct engine *e, uint32_t source, uint16_t call_id);
/* As session_verify(), for a local session; one that had its number ends. */
bool loopback_verify(struct session *s, const struct ppp_verify *v, uint8_t nt_hash[static 16]);
/* A local session ends. */
void loopback_ended(struct session *s);
/* A packet that came while a handover was under way is of a local session: the peer has none. */
bool loopback_owns(enum dp_relay_kind kind, const uint8_t *packet, size_t len);
json_t *loopback_json(const struct engine *e); /* for `status`; new reference */

#endif
