/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The inside of the monitor, shared by its files: monitor_files.c reads and checks configuration,
 * monitor_open.c opens what needs privilege and removes it, monitor_effects.c carries verbs out,
 * monitor.c is its life. One thread, one struct, allocated once per process.
 */
#ifndef PRIV_MONITOR_H
#define PRIV_MONITOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/loop.h"
#include "pptpd/conf/settings.h"
#include "pptpd/priv/calls.h"
#include "pptpd/priv/crumb.h"
#include "pptpd/priv/monitor_verbs.h"
#include "pptpd/priv/netlink.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/priv_wire.h"
#include "pptpd/priv/table.h"
#include "pptpd/priv/watchdog.h"

/* One reading of the configuration. */
struct monitor_conf {
	struct settings *settings;
	struct priv_files files; /* wiped as soon as the engine has them */
	uint32_t *statics;       /* addresses that chap-secrets names, sorted */
	size_t n_statics;
};

/* 0, or -1 if e has errors (c is empty then). Secrets are in c->files and nowhere else. */
int monitor_conf_read(
    const struct monitor_options *o, struct monitor_conf *c, struct conf_errors *e);
void monitor_conf_fini(struct monitor_conf *c);

struct monitor {
	const struct monitor_options *o;
	struct monitor_conf conf;
	char *user;
	uid_t uid;
	gid_t gid;
	/* in the file system; emptied when not (or no longer) ours to remove */
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char replica_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char pid_path[PATH_MAX], wtmp_path[PATH_MAX], crash_path[PATH_MAX];
	int pid_fd; /* locked while we live */
	/* the engine's: closed here once it has them */
	int control_fd, replica_fd, crumbs_fd, steer_fd, gre_fds[DP_WORKERS_MAX],
	    tun_fds[DP_WORKERS_MAX];
	unsigned workers;
	/* ours */
	struct netlink netlink;
	unsigned tun_ifindex;
	uint32_t listen_ip;
	int listen_fd;
	bool listening;
	struct netlink_networks networks; /* as of networks_ms: not for each of thousands */
	uint64_t networks_ms;
	int announce_fd;     /* -1 until it is needed */
	struct table routes; /* ip -> interface of its proxy neighbour, 0 = none */
	struct calls *calls;
	struct verbs verbs;
	struct log_limit *limit;
	/* the engine */
	pid_t engine;
	int engine_status;
	bool reaped, stopping, socket_ended;
	bool hung;                 /* killed by the watchdog */
	struct crumb_page *crumbs; /* what it has in hand */
	struct priv_queue out;
	/* the loop's */
	struct loop *loop;
	struct io priv_io, listen_io;
	struct sig sigs[4];
	struct timer kill_timer, accept_timer, watchdog_timer;
	struct watchdog watchdog;
};

/* All with the log as the place for errors; 0 or -1. */
int monitor_open(struct monitor *m);
int monitor_open_listener(struct monitor *m); /* bound, not listening */
void monitor_close_engine_fds(struct monitor *m);
void monitor_close(struct monitor *m); /* removes sockets, pid file, routes, proxy neighbours */

extern const struct verb_ops monitor_effects;
void monitor_answer_call(void *arg, uint32_t id, int err); /* for calls_new() */
/* Reads everything again; 0, or EINVAL (each error logged) and the old stays. */
int monitor_reload(struct monitor *m);
/* Sends or queues for the engine, and watches what is to be watched then. fd: owned if >= 0. */
void monitor_tell(struct monitor *m, const struct priv_msg *msg, int fd);
void monitor_watch(struct monitor *m);

#endif
