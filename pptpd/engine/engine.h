/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine: the unprivileged process that talks to clients. It owns the control connections
 * (ctrl.h), their calls and sessions (session.h), the data plane, the address pool and the control
 * socket; this file holds what they share. One thread but for the data plane's workers.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/answer.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "pptpd/conf/pool.h"
#include "pptpd/conf/secrets.h"
#include "pptpd/conf/settings.h"
#include "pptpd/data/dataplane.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/engine/loopback.h"
#include "pptpd/engine/suspects.h"
#include "pptpd/priv/priv.h"

struct crumb_page;
struct ctrl;
struct mirror_session;
struct rekeyer;
struct replica;
struct restorer;
struct session;
struct watcher;
struct takeover;

TAILQ_HEAD(ctrl_list, ctrl);
LIST_HEAD(ctrl_bucket, ctrl);
TAILQ_HEAD(session_list, session);

/* One generation of the configuration; a session keeps the one that it began with. */
struct engine_config {
	unsigned refs;
	struct settings *settings;
	struct secrets *secrets; /* of the newest generation, else NULL */
	struct ppp_config ppp;
};

enum engine_role {
	ROLE_STANDBY, /* mirrors; answers nobody */
	ROLE_ACTIVE,  /* serves */
};

/* Something to free when no callback of its own is on the stack. */
struct reap {
	STAILQ_ENTRY(reap) next;
	void (*free)(void *object);
	void *object;
};

#define SETUP_BUCKETS 8

struct engine_stats {
	uint64_t accepted, refused_connections;
	uint64_t sessions_started, sessions_up, sessions_continued;
	uint64_t rekeyed, rekey_dropped;              /* see rekey.h */
	uint64_t ended[32];                           /* by enum session_end */
	uint64_t failed[32];                          /* of these: who never had an address */
	uint64_t setups[SETUP_BUCKETS + 1], setup_ms; /* from the call to an address */
	struct {                                      /* of the links that have ended */
		uint64_t rejects_sent, malformed, echo_sent, echo_received, resets_answered,
		    unknown;
	} link;
	uint64_t control_malformed, control_ignored;
	uint64_t holes, holes_repaired; /* of continued control connections */
	struct {                        /* of continued sessions: what passed elsewhere before */
		uint64_t rx_packets, rx_octets, tx_packets, tx_octets;
	} carried;
};

#define ENGINE_BUCKETS 1024 /* control connections by client address */

struct engine {
	struct loop *loop;
	struct priv *priv;
	struct dataplane *dp;
	struct answer_server *control;
	struct engine_config *config;
	struct pool *pool;
	struct replica *replica;
	struct takeover *takeover; /* the replica's socket, the standby's copy, changes of role */
	char node[64];
	char host[256]; /* the server's name where the files give none */
	bool debug;     /* asked for on the command line */
	enum engine_role role;
	unsigned workers;
	bool listening, stopping;
	uint64_t epoch;
	uint64_t started_ms;
	struct ctrl_list ctrls;     /* newest last */
	struct ctrl_list half_open; /* those without SCCRQ yet; oldest first */
	struct ctrl_list strangers; /* those with SCCRQ and without a login yet; oldest first */
	struct ctrl_bucket by_peer[ENGINE_BUCKETS];
	struct ctrl_bucket lingering; /* ended, but still held: see ctrl_silence_all() */
	unsigned n_ctrls, n_half_open;
	unsigned n_sockets, max_sockets;      /* of control connections, also of those that end */
	struct session **by_call;             /* [65536], by our call id */
	const struct mirror_session **copies; /* [65536], by call id: the standby's copy */
	unsigned n_sessions, n_held;          /* n_held: also those that have ended but are held */
	struct rekeyer *rekeyer;              /* sessions that get new keys; NULL = none yet */
	struct restorer *restorer;            /* of continued connections' sockets; NULL = none */
	struct watcher *watcher; /* of those that may be out of step with their clients */
	unsigned restoring;      /* continued connections that have no socket yet */
	uint16_t next_call_id;
	uint32_t next_id; /* see engine_new_id() */
	uint32_t boot_id; /* random, part of ids */
	struct timer reaper, stop_timer;
	STAILQ_HEAD(, reap) dead;
	struct log_limit *limit; /* for what input causes, by peer address */
	struct log_limit *quiet; /* likewise, for calls that come and go without a login */
	struct engine_stats stats;
	struct crumb_page *crumbs; /* shared with the monitor */
	struct crumb *crumb;       /* the main thread's, NULL = nobody looks */
	struct suspects suspects;
	struct loopback loopback;
};

/* Runs the engine on PRIV_FD until the end; returns the exit status. */
int engine_run(void);

struct engine_config *engine_config_ref(struct engine_config *c);
void engine_config_unref(struct engine_config *c);

/* Calls r->free(r->object) from the loop, with nothing of the object on the stack. */
void engine_reap(struct engine *e, struct reap *r, void (*free_object)(void *object), void *object);

/* A session is up, ms after its call; the last counters of a link (stats.c). */
extern const uint32_t engine_setup_limits_ms[SETUP_BUCKETS]; /* upper ends of `setups` */
void engine_count_setup(struct engine_stats *st, uint64_t ms);
void engine_count_link(struct engine_stats *st, const struct ppp_counters *n);

/* True when a message caused by this peer may be logged now. */
bool engine_log_ok(struct engine *e, uint32_t peer_ip);

/* For a session or a control connection: nobody in the pair has had it. */
uint64_t engine_new_id(struct engine *e);

/*
 * Role changes (takeover.c), idempotent; a lower epoch is refused with ESTALE. done is called when
 * it is in force: after a promotion when every session of the copy has its data path and the
 * listener is open.
 */
int engine_promote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg);
int engine_demote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg);
const char *engine_role_name(enum engine_role r);

/*
 * A planned move (takeover_handover.c). The standby that is to take expects it; its promotion with
 * the same epoch, when the addresses are its own, then opens the listener and restores the sockets.
 * -1 with the reason: nothing has happened. done is called within a second.
 */
enum handover_result {
	HANDOVER_DONE,    /* the peer serves; we are a standby, and hand on what arrives */
	HANDOVER_REFUSED, /* we serve on */
	HANDOVER_UNKNOWN, /* nobody answered: the state is `cut`, the agents must settle it */
};
typedef void handover_done_fn(void *arg, enum handover_result result, const char *why);
int engine_expect(struct engine *e, uint64_t epoch, unsigned ms, const char **why);
int engine_give(
    struct engine *e, uint64_t epoch, handover_done_fn *done, void *arg, const char **why);

struct handover_status {
	const char *state; /* replica_handover_name() */
	uint64_t epoch, relayed, injected, dropped;
	size_t queued;                  /* bytes that are kept */
	unsigned sessions, connections; /* of the last one that was given */
	uint64_t ms;                    /* it lasted so long until the peer had taken; or, for who
					   took it, until every session had its data path */
};
void engine_handover_status(const struct engine *e, struct handover_status *s);

/* The control socket (control.c). */
struct answer_server *control_new(struct engine *e, int fd);

/* The data plane's callbacks find the session by their owner pointer (session.c). */
extern const struct dp_ops session_dp_ops;

#endif
