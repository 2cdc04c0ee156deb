/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What every subcommand gets, and the table's rows. A subcommand is one file cmd_X.c and one row in
 * commands[]. It returns the exit status: HAGENT_OK, HAGENT_FAIL (said on stderr why),
 * HAGENT_USAGE.
 */
#ifndef HAGENT_HAGENT_H
#define HAGENT_HAGENT_H

#include <stddef.h>
#include <sys/types.h>

#include "hagent/cluster.h"

enum {
	HAGENT_OK = 0,
	HAGENT_FAIL = 1,
	HAGENT_USAGE = 2,
	HAGENT_DOWN = 3 /* of status: nobody serves */
};

/* The pair's own user: its sshd, and whatever the peer may run here. */
#define HAGENT_USER "pptp-ha"

/* Paths stand without the root: hagent_path() puts it before them. */
#define HAGENT_ETC     "/etc/pptp-ha"
#define HAGENT_CLUSTER HAGENT_ETC "/cluster.conf"
/* rendered */
#define HAGENT_GUARD       HAGENT_ETC "/guard.nft"
#define HAGENT_GATEWAY     HAGENT_ETC "/gateway.nft"
#define HAGENT_SYSCTL      HAGENT_ETC "/sysctl.conf"
#define HAGENT_KEEPALIVED  HAGENT_ETC "/keepalived.conf"
#define HAGENT_CONNTRACKD  HAGENT_ETC "/conntrackd.conf"
#define HAGENT_SSHD        HAGENT_ETC "/sshd_config"
#define HAGENT_AUTHORIZED  HAGENT_ETC "/authorized_keys"
#define HAGENT_KNOWN_HOSTS HAGENT_ETC "/known_hosts"
/* made or imported by `hagent keys`; a public key stands in the same name with .pub */
#define HAGENT_SSH       HAGENT_ETC "/ssh"
#define HAGENT_ID        HAGENT_SSH "/id_ed25519"
#define HAGENT_HOST_KEY  HAGENT_SSH "/host_ed25519"
#define HAGENT_PEER_ID   HAGENT_SSH "/peer_id.pub"
#define HAGENT_PEER_HOST HAGENT_SSH "/peer_host.pub"

#define HAGENT_RUN               "/run/pptp-ha"
#define HAGENT_PPTPD_SOCKET      HAGENT_RUN "/pptpd.sock"
#define HAGENT_SOCKET            HAGENT_RUN "/agent.sock"
#define HAGENT_QUERY_SOCKET      HAGENT_RUN "/query.sock"
#define HAGENT_STATUS_SOCKET     HAGENT_RUN "/status.sock"
#define HAGENT_REPLICA_SOCKET    HAGENT_RUN "/replica.sock"
#define HAGENT_NOTIFY_FIFO       HAGENT_RUN "/keepalived.fifo"
#define HAGENT_KEEPALIVED_PIDS   HAGENT_RUN "/keepalived"
#define HAGENT_KEEPALIVED_PID    HAGENT_KEEPALIVED_PIDS "/keepalived.pid"
#define HAGENT_VRRP_PID          HAGENT_KEEPALIVED_PIDS "/vrrp.pid"
#define HAGENT_HEALTH            HAGENT_RUN "/health"
#define HAGENT_STANDING          HAGENT_RUN "/standing" /* what is added to the VRRP priority */
#define HAGENT_CONNTRACKD_SOCKET HAGENT_RUN "/conntrackd.sock"
#define HAGENT_CONNTRACKD_LOCK   HAGENT_RUN "/conntrackd.lock"
/* of a drill: what was seen here, when this node was cut off, what its guardian did */
#define HAGENT_DRILL_WATCH HAGENT_RUN "/drill-watch"
#define HAGENT_DRILL_CUT   HAGENT_RUN "/drill-cut"
#define HAGENT_DRILL_GUARD HAGENT_RUN "/drill-guard"
#define HAGENT_DRILL_LOCK  HAGENT_RUN "/drill-guard.lock"
#define HAGENT_SSHD_PID    HAGENT_RUN "/sshd.pid"

#define HAGENT_STATE      "/var/lib/pptp-ha"
#define HAGENT_EPOCH      HAGENT_STATE "/epoch"
#define HAGENT_ALONE      HAGENT_STATE "/alone" /* the marker, see pair.h */
#define HAGENT_JOURNAL    HAGENT_STATE "/journal"
#define HAGENT_MAINTAINED HAGENT_STATE "/maintenance" /* there = on */
#define HAGENT_GENERATION HAGENT_STATE "/generation"
#define HAGENT_STAGING    HAGENT_STATE "/staging"
#define HAGENT_AUDIT      HAGENT_STATE "/audit.log"
#define HAGENT_DRILLS     HAGENT_STATE "/drills"
#define HAGENT_CONFLICT   HAGENT_STATE "/conflict"

/* The name of keepalived's one instance, as its notify lines say it. */
#define HAGENT_INSTANCE "PPTP_HA"

struct hagent {
	const char *node; /* --node, else the host's name up to its first dot */
	const char *root; /* --root, without a trailing slash; "" = none */
};

struct command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *help;
	/* argv[0] is the subcommand; --node and --root are gone from argv. */
	int (*run)(const struct hagent *h, int argc, char **argv);
};

int cmd_keys(const struct hagent *h, int argc, char **argv);
int cmd_render(const struct hagent *h, int argc, char **argv);
int cmd_check_config(const struct hagent *h, int argc, char **argv);
int cmd_guard(const struct hagent *h, int argc, char **argv);
int cmd_firewall(const struct hagent *h, int argc, char **argv);
int cmd_pptpd(const struct hagent *h, int argc, char **argv);
int cmd_sync(const struct hagent *h, int argc, char **argv);
int cmd_ssh(const struct hagent *h, int argc, char **argv);
int cmd_serve(const struct hagent *h, int argc, char **argv);
int cmd_run(const struct hagent *h, int argc, char **argv);
int cmd_web(const struct hagent *h, int argc, char **argv);
int cmd_check(const struct hagent *h, int argc, char **argv);
int cmd_notify(const struct hagent *h, int argc, char **argv);
int cmd_journal(const struct hagent *h, int argc, char **argv);
int cmd_log(const struct hagent *h, int argc, char **argv);
int cmd_deep(const struct hagent *h, int argc, char **argv);
int cmd_link(const struct hagent *h, int argc, char **argv);
int cmd_status(const struct hagent *h, int argc, char **argv);
int cmd_doctor(const struct hagent *h, int argc, char **argv);
int cmd_sessions(const struct hagent *h, int argc, char **argv);
int cmd_switchover(const struct hagent *h, int argc, char **argv);
int cmd_leave(const struct hagent *h, int argc, char **argv);
int cmd_maintenance(const struct hagent *h, int argc, char **argv);
int cmd_probe(const struct hagent *h, int argc, char **argv);
int cmd_kick(const struct hagent *h, int argc, char **argv);
int cmd_drill(const struct hagent *h, int argc, char **argv);

/* Root before path, malloc'd; exits on ENOMEM. path is absolute. */
char *hagent_path(const struct hagent *h, const char *path);
/* Says on stderr "hagent: ..." and returns HAGENT_FAIL. */
int hagent_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int hagent_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* HAGENT_USAGE */
/* The file's text below the root, malloc'd, or NULL with errno. */
char *hagent_read(const struct hagent *h, const char *path);
/*
 * Replaces the file below the root by a new one with that content and mode, synced: whoever reads
 * it sees the old text or the new one. 0, or -1 with errno.
 */
int hagent_replace(const struct hagent *h, const char *path, const char *text, mode_t mode);
/*
 * Where a program of ours is, malloc'd: hagent itself for "hagent", else beside it as installed or
 * in a build tree (../NAME/NAME), else /usr/sbin/NAME. Exits on ENOMEM.
 */
char *hagent_program(const char *name);
/* Reads and checks cluster.conf; its messages go to stderr. NULL after errors. */
struct cluster *hagent_cluster(const struct hagent *h);

#endif
