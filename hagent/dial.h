/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reaching the other gateway over SSH: who it is, by which addresses, with which keys, all from
 * cluster.conf. The paths are tried in the order sync, LAN, WAN; the first that answers is taken,
 * each with our own address on it as the source. A wrong host key or a refused key ends the search:
 * the peer is there, and it is not to be tricked into another answer.
 */
#ifndef HAGENT_DIAL_H
#define HAGENT_DIAL_H

#include <jansson.h>

#include "hagent/hagent.h"
#include "sync/ssh.h"

#define DIAL_PATHS      3
#define DIAL_TIMEOUT_MS 2000 /* of one path */

struct dial {
	struct cluster *cluster;
	const struct cluster_node *us, *them;
	char *key, *known_hosts; /* with the root */
	const char *user;        /* borrowed */
	char *text; /* of cluster.conf; NULL when it is the remembered one that is used */
};

extern const char *const dial_path_names[DIAL_PATHS]; /* "sync", "lan", "wan" */

/* user: NULL = HAGENT_USER. 0, or -1 with a text in e; dial_fini() is due in both cases. */
int dial_init(struct dial *d, const struct hagent *h, const char *user, struct ssh_error *e);
void dial_fini(struct dial *d);
/*
 * A cluster.conf that no longer parses must still reach the peer, to be refused and reported there:
 * the last good one is kept in the state folder, and dial_init() falls back to it. Needs root.
 */
void dial_remember(const struct dial *d, const struct hagent *h);

/* One path, 0..DIAL_PATHS-1: a connection or NULL with *e. */
struct ssh *dial_path(const struct dial *d, size_t path, int timeout_ms, struct ssh_error *e);
/* The first path that answers. */
struct ssh *dial_connect(const struct dial *d, struct ssh_error *e);

/*
 * Asks the peer's agent (its query socket). args may be NULL and is stolen. The whole answer
 * object, new reference, or NULL with *e.
 */
json_t *dial_ask(
    const struct dial *d, const char *cmd, json_t *args, int timeout_ms, struct ssh_error *e);

/* "unreachable", "wrong-host-key", "key-refused", "late", "broken", "internal" */
const char *dial_code(const struct ssh_error *e);

#endif
