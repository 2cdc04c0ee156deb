/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf: the one file that describes the pair. The grammar is libconfuse's; libconfuse alone
 * is lax (an unclosed section passes, a repeated value wins silently, `${HOME}` expands, unknown
 * names stop the reading), so the outline of the text is checked first and every value is a string
 * that our own table checks afterwards. All mistakes of a run are collected, each with its line.
 * The file is the same on both gateways: which of the two nodes is "us" is asked of the struct.
 *
 *   format = 1
 *   client-networks = { 198.51.100.0/24 }      who may dial; 0.0.0.0/0 = anybody
 *   not-bogon = { 198.18.0.0/15 }              exceptions from the list of bogus sources
 *   pair { name = pptp-ha   vrrp-id = 51   advert-interval-ms = 100   priority = 250
 *          garp-repeat = 3   garp-refresh-s = 10 }
 *   node gw1 {
 *       wan-address = 198.51.100.11  lan-address = 192.168.1.2  sync-address = 10.255.0.1
 *       wan-interface = wan          lan-interface = lan        sync-interface = sync
 *   }
 *   node gw2 { ... }
 *   vip { wan = 198.51.100.10/24   lan = 192.168.1.1/24 }
 *   tunnel { network = 10.8.0.0/24   local = 10.8.0.1   mtu = 1400 }
 *   sync { network = 10.255.0.0/30   ssh-port = 2222   conntrackd-port = 3780
 *          files = { /etc/ppp/ip-up.d/accounting } }
 *   api web { address = 192.168.1.20   protocol = tcp   ports = { 443, 8000-8010 } }
 *   api ping { address = 192.168.1.20   protocol = icmp }
 *   nat { tunnel-to-wan = no   tunnel-to-lan = no   lan-to-wan = no   ports = 20000-60000 }
 *   limits { sessions = 1000   connections-per-minute = 120   connection-burst = 60
 *            ban-seconds = 0 }
 *   health { pptpd-timeout-ms = 300   failures = 2   moves-per-10-minutes = 2
 *            hold-down-s = 10   hold-down-max-s = 300   ride-out-s = 10 }
 *   split { peer-loss = continue   fence-command = /usr/local/sbin/fence-peer
 *           fence-timeout-ms = 5000 }
 *   timeouts { copy-ms = 1000   epoch-ms = 500   promote-ms = 1000   commit-ms = 100
 *              gate-ms = 500   announce-ms = 500   pull-ms = 10000   yield-ms = 2000
 *              demote-ms = 1000   resync-ms = 1000   check-ms = 3000   prepare-ms = 2000
 *              handover-ms = 1500   address-ms = 3000 }
 *   drill weekly { kind = planned   schedule = "Sun 04:00"   fail-back = no   after-failure = stop
 *                  blackout = { "12-20..01-06" }   max-lost = 0   max-gap-ms = 2000 }
 *   management { networks = { 192.168.1.0/24 }   tcp-ports = { 22 }
 *                web-address = 127.0.0.1:9723 }
 *
 * pair, nat, limits, health and timeouts stand here with their defaults, as do mtu and sync's
 * ports; not-bogon, files, api and management may be left out as well. The node that is named first
 * has the priority, the other one less by 1. With tunnel-to-lan the servers see vip's lan address
 * as the source. sessions sizes the kernel's tables and the open files; connections are new ones of
 * one source address. files travel besides what always does (the daemon's own files and this one).
 * timeouts: how long each step of a change of role may take. Where two that both live change roles,
 * a stream is dialled and filled in 0.1 to 0.3 s; the one that yields has the sessions and waits
 * longer.
 */
#ifndef HAGENT_CLUSTER_H
#define HAGENT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "hagent/drill.h"

#define CLUSTER_TUNNEL_INTERFACE "pppha0"
#define CLUSTER_NODES            2
#define CLUSTER_APIS             64
#define CLUSTER_DRILLS           16
#define CLUSTER_NETS             64
#define CLUSTER_PORTS            64
#define CLUSTER_NAME_MAX         32 /* with its NUL; an interface name is shorter still */
#define CLUSTER_FILES            16
#define CLUSTER_PATH_MAX         128 /* with its NUL */

struct cluster_net {
	uint32_t address; /* host order; of a network: no bits below the prefix */
	unsigned prefix;
};

struct cluster_nets {
	struct cluster_net v[CLUSTER_NETS];
	size_t n;
};

struct cluster_range {
	uint16_t first, last;
};

struct cluster_ports {
	struct cluster_range v[CLUSTER_PORTS];
	size_t n;
};

struct cluster_files {
	char v[CLUSTER_FILES][CLUSTER_PATH_MAX]; /* absolute, without the root */
	size_t n;
};

struct cluster_node {
	char name[CLUSTER_NAME_MAX];
	unsigned line;
	uint32_t wan, lan, sync;
	char wan_if[CLUSTER_NAME_MAX], lan_if[CLUSTER_NAME_MAX], sync_if[CLUSTER_NAME_MAX];
	unsigned if_lines[3]; /* where wan-, lan- and sync-interface stand */
};

enum cluster_peer_loss {
	CLUSTER_CONTINUE, /* a peer that no path reaches is taken for dead */
	CLUSTER_FENCE     /* it is, when fence-command says so */
};

enum cluster_protocol {
	CLUSTER_TCP,
	CLUSTER_UDP,
	CLUSTER_ICMP
};

enum cluster_web_where { /* in the order of the words */
	CLUSTER_WEB_LAN, /* the node's own address there */
	CLUSTER_WEB_SYNC,
	CLUSTER_WEB_WAN,
	CLUSTER_WEB_ADDRESS
};

struct cluster_web {
	unsigned where;   /* enum cluster_web_where */
	uint32_t address; /* with CLUSTER_WEB_ADDRESS: a loopback one, or 0 = all */
	uint16_t port;
};

struct cluster_api {
	char name[CLUSTER_NAME_MAX];
	unsigned line;
	uint32_t address;
	unsigned protocol; /* enum cluster_protocol */
	struct cluster_ports ports;
};

struct cluster {
	unsigned format;
	struct cluster_nets clients, not_bogons;
	struct {
		char name[CLUSTER_NAME_MAX];
		unsigned vrrp_id, advert_interval_ms, priority, garp_repeat, garp_refresh_s;
	} pair;
	struct cluster_node nodes[CLUSTER_NODES];
	size_t n_nodes;
	struct cluster_net vip_wan, vip_lan; /* address with the prefix of its network */
	struct {
		struct cluster_net network;
		uint32_t local;
		unsigned mtu;
	} tunnel;
	struct {
		struct cluster_net network;
		unsigned ssh_port, conntrackd_port;
		struct cluster_files files;
	} sync;
	struct cluster_api apis[CLUSTER_APIS];
	size_t n_apis;
	struct {
		bool tunnel_to_wan, tunnel_to_lan, lan_to_wan;
		struct cluster_range ports;
	} nat;
	struct {
		unsigned sessions, connections_per_minute, connection_burst, ban_seconds;
	} limits;
	struct {
		unsigned pptpd_timeout_ms, failures, moves_per_10_minutes;
		unsigned hold_down_s, hold_down_max_s, ride_out_s;
		bool deep_check;
		unsigned deep_check_timeout_ms;
	} health;
	struct {
		unsigned peer_loss;                   /* enum cluster_peer_loss */
		char fence_command[CLUSTER_PATH_MAX]; /* "" = none */
		unsigned fence_timeout_ms;
	} split;
	struct {
		unsigned copy_ms, epoch_ms, promote_ms, commit_ms, gate_ms, announce_ms, pull_ms;
		unsigned yield_ms, demote_ms, resync_ms;
		unsigned check_ms, prepare_ms, handover_ms, address_ms;
	} timeouts;
	struct drill_plan drills[CLUSTER_DRILLS];
	size_t n_drills;
	struct {
		struct cluster_nets networks;
		struct cluster_ports tcp_ports;
		struct cluster_web web; /* where `hagent web` listens */
		char web_token_file[CLUSTER_PATH_MAX], web_certificate[CLUSTER_PATH_MAX];
		char web_key[CLUSTER_PATH_MAX]; /* "" = none */
	} management;
};

/*
 * Reads the text (file is its name for messages). NULL when e has errors after it, or ENOMEM.
 * libconfuse keeps its lexer in globals: one call at a time in a process.
 */
struct cluster *cluster_parse(const char *file, const char *text, struct conf_errors *e);
void cluster_free(struct cluster *c);

/* The node of that name, or NULL. */
const struct cluster_node *cluster_node(const struct cluster *c, const char *name);
const struct cluster_node *cluster_peer(const struct cluster *c, const struct cluster_node *us);
/* The drill of that name, or NULL; a kind's own: what a drill without a section is. */
const struct drill_plan *cluster_drill(const struct cluster *c, const char *name);
void cluster_drill_default(enum drill_kind kind, struct drill_plan *out);
/* The status page is to be reached from this machine alone. */
bool cluster_web_is_local(const struct cluster *c);
/* The VRRP priority of a node of c. */
unsigned cluster_priority(const struct cluster *c, const struct cluster_node *us);
/*
 * Whether the node's three interfaces exist in this network namespace: 0, or -1 with an error in e
 * for each that does not (file is the name of cluster.conf for messages).
 */
int cluster_check_interfaces(
    const struct cluster_node *us, const char *file, struct conf_errors *e);

/* The default bogus sources, in order of address. */
extern const struct cluster_net cluster_bogons[];
extern const size_t cluster_n_bogons;

bool cluster_net_has(struct cluster_net net, uint32_t address);
bool cluster_net_overlaps(struct cluster_net a, struct cluster_net b);
/* The network of an address with prefix: its low bits cleared. */
struct cluster_net cluster_net_of(struct cluster_net address);
/* Drops every network that lies inside another one: nft takes no overlap in one set. */
void cluster_nets_merge(struct cluster_nets *nets);

#endif
