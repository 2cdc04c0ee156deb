/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The monitor and the engine. The monitor (root with a few capabilities) never parses a byte from
 * the network; the engine (unprivileged, seccomp) does, and asks for the little that needs
 * privilege through narrow verbs on a SOCK_SEQPACKET pair. Each verb is checked for meaning by the
 * monitor. All of the engine's calls are asynchronous: its loop never waits for the monitor.
 */
#ifndef PRIV_PRIV_H
#define PRIV_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "pptpd/data/dataplane.h"

#define PRIV_FD 3 /* the engine's end after the re-execution */

/* TCP state at accept: what a restored socket starts from. All host order. */
struct tcp_snapshot {
	uint32_t peer_ip, local_ip;
	uint16_t peer_port, local_port;
	uint32_t snd0, rcv0; /* sequence numbers at the snapshot: next to send, next expected */
	uint16_t mss;
	uint8_t options; /* TCPI_OPT_* bits */
	uint8_t snd_wscale, rcv_wscale;
	uint32_t tsval;      /* our timestamp clock when sampled; 0 without timestamps */
	uint64_t sampled_ms; /* CLOCK_REALTIME */
};

#define TCP_TAIL_MAX 256
/* How far a restored connection's timestamps are put ahead: for the two gateways' clocks, and what
 * was sent since the sample. Whoever restores it next must start from there. */
#define TCP_TSVAL_AHEAD_MS 2000

/* A connection to be continued: the snapshot of its beginning, and where it stands. */
struct tcp_restore {
	struct tcp_snapshot tcp;
	uint32_t snd,
	    rcv; /* numbers of the tail's first byte (or the next to send), of the next expected */
	uint16_t tail_len;
	uint8_t tail[TCP_TAIL_MAX]; /* written, not known to be acknowledged */
};

/* ---- engine's side ---- */

struct priv;

/* Texts of the configuration files as the monitor read them; freed (and wiped) by
 * priv_files_fini(). */
struct priv_files {
	char *conf_name, *options_name, *secrets_name; /* for messages */
	char *conf, *options, *secrets;                /* NUL-terminated */
};
void priv_files_fini(struct priv_files *f);

/* First message of the monitor: everything that the engine needs to start. */
struct priv_start {
	char node[64];
	bool standby; /* role to start in */
	bool debug;   /* --debug of the command line; the file's own `debug` comes on top */
	unsigned workers;
	int gre_fds[DP_WORKERS_MAX], tun_fds[DP_WORKERS_MAX];
	int steer_map_fd; /* -1 = none */
	int control_fd;   /* listening UNIX socket */
	int replica_fd; /* likewise: the peer's engine, by way of `hagent link` or `hagent serve` */
	int crumbs_fd;  /* see crumb.h */
	uint32_t bind_ip;
	struct priv_files files;
};
/* Blocking, at start only. 0, or -1 with errno (EPIPE: the monitor is gone). */
int priv_receive_start(int fd, struct priv_start *s);

struct priv_ops {
	/* A new control connection; fd (non-blocking, call mark set) is the callee's. */
	void (*on_accept)(void *arg, int fd, const struct tcp_snapshot *t);
	/* SIGHUP or PRIV reload: files are read and sound by the monitor's own check; callee parses
	 * again, frees. */
	void (*on_files)(void *arg, struct priv_files *f);
	void (*on_stop)(void *arg); /* SIGTERM, SIGINT: leave in order, then exit */
	void (*on_gone)(void *arg); /* the monitor died: exit now */
};

struct priv *priv_new(struct loop *l, int fd, const struct priv_ops *ops, void *arg);
void priv_free(struct priv *p);

/*
 * err = 0 or an errno of the monitor's. done may be NULL. Called exactly once unless priv_free()
 * comes first; from the loop, but for ENOMEM and EPIPE (monitor gone), which it may get before the
 * verb returns.
 */
typedef void priv_done_fn(void *arg, int err);

void priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg); /* TCP/1723 on `listen` */
/* The firewall's set of known calls, element peer_ip . call_id. Adding twice or deleting what is
 * missing is fine. */
void priv_call_add(
    struct priv *p, uint32_t peer_ip, uint16_t call_id, priv_done_fn *done, void *arg);
void priv_call_del(
    struct priv *p, uint32_t peer_ip, uint16_t call_id, priv_done_fn *done, void *arg);
/*
 * Host route through the TUN. serve: also proxy ARP where the configuration says so, with one
 * announcement; a standby adds the route without, and again with it when it is promoted.
 */
void priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg);
void priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg);
/* Sets the closing mark on fd (borrowed until done), so that its FIN passes the guard. */
void priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg);
/* fd >= 0: the callee's. Called once, as priv_done_fn. */
typedef void priv_fd_fn(void *arg, int fd, int err);
/*
 * A connected socket that goes on from r (copied): call mark, options, timestamps ahead of the old
 * ones, the tail in its send queue, one window probe sent. EADDRNOTAVAIL, EADDRINUSE: somebody owns
 * its addresses.
 */
void priv_restore(struct priv *p, const struct tcp_restore *r, priv_fd_fn *done, void *arg);
/*
 * Sends a window probe on fd (borrowed until done): repair mode on and off again. Do not read or
 * write fd meanwhile: in repair mode a read fails, and what is written would come back as read.
 */
void priv_probe(struct priv *p, int fd, priv_done_fn *done, void *arg);
/* A raw socket that hears every TCP segment to port 1723 of `listen`, IP header first; send is
 * shut. */
void priv_sniffer(struct priv *p, priv_fd_fn *done, void *arg);
/* Closes without a packet (TCP_REPAIR); fd is taken over and closed here as well. */
void priv_silent_close(struct priv *p, int fd);
void priv_reload(
    struct priv *p, priv_done_fn *done, void *arg); /* EINVAL: the files have errors (logged) */
/* logwtmp: line "pptpN" (N = call_id), user, client's outer address; user NULL = logout. */
void priv_wtmp(struct priv *p, uint16_t call_id, const char *user, uint32_t peer_ip);

/* ---- monitor's side ---- */

struct monitor_options {
	const char *node, *root, *conf_file; /* conf_file without root */
	const char *user;                    /* NULL: pptp-ha, else nobody */
	const char *role;                    /* NULL: from the file; "active", "standby" */
	bool debug;
};

/* Reads and checks all files below root; prints every error to stderr. -n and -p use it as well. */
struct settings;
struct settings *monitor_load_settings(const struct monitor_options *o, struct priv_files *files);

/* Opens everything, starts the engine, serves it; returns the exit status when either has ended. */
int monitor_run(const struct monitor_options *o);

/* ---- sandbox, used by both ---- */

/*
 * Engine, after the re-execution and priv_receive_start(): no new privileges, seccomp. 0 or -1 with
 * errno (EPERM: still root or with a capability). From then on a system call that is not on the
 * list kills the process; so no sysconf(_SC_NPROCESSORS_*), localtime(), getaddrinfo(), syslog(),
 * pthread_exit() or pthread_cancel(), which open files. Loops, timers, event descriptors and
 * threads may be made later.
 */
int sandbox_engine(void);

#endif
