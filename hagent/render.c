/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The values of the templates' variables. One that stands for several lines is written to a stream
 * of its own; all are freed together when the text is done.
 */
#include "hagent/render.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/marks.h"
#include "common/template.h"
#include "firewall/fw.h"
#include "hagent/hagent.h"
#include "hagent/pubkey.h"
#include "keepalived/template.h"
#include "sync/template.h"

#define VARS_MAX 80

const struct render_file render_files[] = {
    {HAGENT_GUARD, fw_guard_template},
    {HAGENT_GATEWAY, fw_gateway_template},
    {HAGENT_SYSCTL, fw_sysctl_template},
    {HAGENT_KEEPALIVED, keepalived_template},
    {HAGENT_CONNTRACKD, conntrackd_template},
    {HAGENT_SSHD, sshd_config_template},
    {HAGENT_AUTHORIZED, authorized_keys_template},
    {HAGENT_KNOWN_HOSTS, known_hosts_template},
};
const size_t render_n_files = sizeof(render_files) / sizeof(render_files[0]);

/* The variables of one rendering; `failed` is sticky. */
struct vars {
	struct template_var v[VARS_MAX];
	char *owned[VARS_MAX];
	size_t n;
	bool failed;
};

static void put(struct vars *vars, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
put(struct vars *vars, const char *name, const char *fmt, ...)
{
	char *value;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (rc < 0 || vars->n == VARS_MAX) {
		vars->failed = true;
		return;
	}
	vars->owned[vars->n] = value;
	vars->v[vars->n++] = (struct template_var){name, value};
}

static void
put_net(struct vars *vars, const char *name, struct cluster_net net)
{
	net = cluster_net_of(net);
	put(vars, name, "%s/%u", conf_ipv4(net.address), net.prefix);
}

static void
put_ip(struct vars *vars, const char *name, uint32_t address)
{
	put(vars, name, "%s", conf_ipv4(address));
}

/* A value written with stdio; write must not close the stream. */
static void
put_stream(
    struct vars *vars, const char *name, void (*write)(FILE *, const void *), const void *arg)
{
	char *value = NULL;
	size_t size;
	FILE *out = open_memstream(&value, &size);

	if (!out) {
		vars->failed = true;
		return;
	}
	write(out, arg);
	if (fclose(out) != 0)
		vars->failed = true;
	else
		put(vars, name, "%s", value);
	free(value);
}

/* "a/8, b/16" without what lies inside another: an interval set takes no overlap. */
static void
write_nets(FILE *out, const void *arg)
{
	const struct cluster_nets *all = arg;
	struct cluster_nets nets = *all;

	cluster_nets_merge(&nets);
	for (size_t i = 0; i < nets.n; i++)
		fprintf(
		    out, "%s%s/%u", i ? ", " : "", conf_ipv4(nets.v[i].address), nets.v[i].prefix);
}

static int
by_first(const void *a, const void *b)
{
	return ((const struct cluster_range *)a)->first - ((const struct cluster_range *)b)->first;
}

/* "443, 8000-8010", sorted, overlaps joined. */
static void
write_ports(FILE *out, const struct cluster_ports *all)
{
	struct cluster_ports p = *all;
	const char *comma = "";

	qsort(p.v, p.n, sizeof(p.v[0]), by_first);
	for (size_t i = 0; i < p.n;) {
		struct cluster_range r = p.v[i++];

		for (; i < p.n && p.v[i].first <= r.last; i++)
			r.last = p.v[i].last > r.last ? p.v[i].last : r.last;
		fprintf(out, r.first == r.last ? "%s%u" : "%s%u-%u", comma, r.first, r.last);
		comma = ", ";
	}
}

static void
write_apis(FILE *out, const void *arg)
{
	const struct cluster *c = arg;

	for (size_t i = 0; i < c->n_apis; i++) {
		const struct cluster_api *api = &c->apis[i];

		fprintf(out, "ip daddr %s ", conf_ipv4(api->address));
		if (api->protocol == CLUSTER_ICMP) {
			fputs("icmp type echo-request", out);
		} else {
			fprintf(out, "%s dport { ", api->protocol == CLUSTER_TCP ? "tcp" : "udp");
			write_ports(out, &api->ports);
			fputs(" }", out);
		}
		fprintf(out, " counter accept comment \"api %s\"\n", api->name);
	}
}

static void
write_management(FILE *out, const void *arg)
{
	const struct cluster *c = arg;

	if (c->management.networks.n == 0)
		return;
	fputs("ip saddr { ", out);
	write_nets(out, &c->management.networks);
	fputs(" } tcp dport { ", out);
	write_ports(out, &c->management.tcp_ports);
	fputs(" } accept\n", out);
}

struct node_view {
	const struct cluster *c;
	const struct cluster_node *us;
};

static void
write_forward(FILE *out, const void *arg)
{
	const struct node_view *v = arg;

	if (v->c->nat.tunnel_to_wan)
		fprintf(out, "iifname \"" CLUSTER_TUNNEL_INTERFACE "\" oifname \"%s\" accept\n",
		    v->us->wan_if);
	if (v->c->nat.lan_to_wan)
		fprintf(
		    out, "iifname \"%s\" oifname \"%s\" accept\n", v->us->lan_if, v->us->wan_if);
}

static void
write_snat_of(FILE *out, const struct node_view *v, struct cluster_net net)
{
	char from[64];

	net = cluster_net_of(net);
	snprintf(from, sizeof(from), "%s/%u", conf_ipv4(net.address), net.prefix);
	fprintf(out, "oifname \"%s\" ip saddr %s meta l4proto { tcp, udp } snat ip to %s:%u-%u\n",
	    v->us->wan_if, from, conf_ipv4(v->c->vip_wan.address), v->c->nat.ports.first,
	    v->c->nat.ports.last);
	fprintf(out, "oifname \"%s\" ip saddr %s snat ip to %s\n", v->us->wan_if, from,
	    conf_ipv4(v->c->vip_wan.address));
}

static void
write_snat(FILE *out, const void *arg)
{
	const struct node_view *v = arg;

	if (v->c->nat.tunnel_to_wan)
		write_snat_of(out, v, v->c->tunnel.network);
	if (v->c->nat.lan_to_wan)
		write_snat_of(out, v, v->c->vip_lan);
	if (v->c->nat.tunnel_to_lan) {
		struct cluster_net from = v->c->tunnel.network;

		fprintf(out, "oifname \"%s\" ip saddr %s/%u snat ip to %s\n", v->us->lan_if,
		    conf_ipv4(from.address), from.prefix, conf_ipv4(v->c->vip_lan.address));
	}
}

/* In sysctl's slash form, since an interface's name may hold a dot. */
static void
write_interfaces(FILE *out, const void *arg)
{
	const struct cluster_node *us = arg;
	const char *const ifs[] = {us->wan_if, us->lan_if, us->sync_if};
	static const char *const keys[] = {
	    "rp_filter", "send_redirects", "accept_redirects", "accept_source_route"};

	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++)
			fprintf(out, "-net/ipv4/conf/%s/%s = 0\n", ifs[i], keys[k]);
	}
}

/* Sources that only the pair's inside can have. */
static void
put_own(struct vars *vars, const struct cluster *c)
{
	struct cluster_nets own = {.n = 3};

	own.v[0] = cluster_net_of(c->vip_lan);
	own.v[1] = c->sync.network;
	own.v[2] = c->tunnel.network;
	put_stream(vars, "OWN", write_nets, &own);
}

/* The WAN's own network is never bogus, whatever it is. */
static void
put_bogons(struct vars *vars, const struct cluster *c)
{
	struct cluster_nets bogons = {.n = cluster_n_bogons}, not_bogons = {.n = 1};

	memcpy(bogons.v, cluster_bogons, cluster_n_bogons * sizeof(bogons.v[0]));
	put_stream(vars, "BOGONS", write_nets, &bogons);
	not_bogons.v[0] = cluster_net_of(c->vip_wan);
	for (size_t i = 0; i < c->not_bogons.n && not_bogons.n < CLUSTER_NETS; i++)
		not_bogons.v[not_bogons.n++] = c->not_bogons.v[i];
	put_stream(vars, "NOT_BOGONS", write_nets, &not_bogons);
}

/* Who may dial; the other gateway does, to see whether this one serves. */
static void
put_clients(struct vars *vars, const struct cluster *c, const struct cluster_node *peer)
{
	struct cluster_nets clients = c->clients;

	if (clients.n < CLUSTER_NETS)
		clients.v[clients.n++] = (struct cluster_net){peer->wan, 32};
	put_stream(vars, "CLIENTS", write_nets, &clients);
}

static void
put_addresses(struct vars *vars, const struct cluster *c, const struct cluster_node *us)
{
	const struct cluster_node *peer = cluster_peer(c, us);

	put(vars, "WAN_IF", "%s", us->wan_if);
	put(vars, "LAN_IF", "%s", us->lan_if);
	put(vars, "SYNC_IF", "%s", us->sync_if);
	put(vars, "TUN_IF", "%s", CLUSTER_TUNNEL_INTERFACE);
	put_ip(vars, "VIP_WAN", c->vip_wan.address);
	put_net(vars, "LAN_NET", c->vip_lan);
	put_net(vars, "SYNC_NET", c->sync.network);
	put_net(vars, "POOL", c->tunnel.network);
	put_ip(vars, "PEER_WAN", peer->wan);
	put_ip(vars, "PEER_LAN", peer->lan);
	put_ip(vars, "PEER_SYNC", peer->sync);
	put_own(vars, c);
	put_bogons(vars, c);
	put_clients(vars, c, peer);
}

static void
put_rules(struct vars *vars, const struct cluster *c, const struct cluster_node *us)
{
	const struct node_view view = {c, us};

	put(vars, "MARK_CALL", "0x%08x", MARK_CALL);
	put(vars, "MARK_LISTENER", "0x%08x", MARK_LISTENER);
	put(vars, "MARK_CLOSING", "0x%08x", MARK_CLOSING);
	put(vars, "SSH_PORT", "%u", c->sync.ssh_port);
	put(vars, "SYN_PER_MINUTE", "%u", c->limits.connections_per_minute);
	put(vars, "SYN_BURST", "%u", c->limits.connection_burst);
	if (c->limits.ban_seconds)
		put(vars, "BAN", "add @banned { ip saddr timeout %us } ", c->limits.ban_seconds);
	else
		put(vars, "BAN", "%s", "");
	put(vars, "MSS", "%u", c->tunnel.mtu - 40); /* IPv4 and TCP headers */
	put_stream(vars, "API", write_apis, c);
	put_stream(vars, "MANAGEMENT", write_management, c);
	put_stream(vars, "FORWARD", write_forward, &view);
	put_stream(vars, "SNAT", write_snat, &view);
	put_stream(vars, "INTERFACES", write_interfaces, us);
}

static unsigned
clamp(unsigned long value, unsigned min, unsigned max)
{
	return value < min ? min : value > max ? max : (unsigned)value;
}

static unsigned
power_of_two(unsigned at_least)
{
	unsigned n = 1;

	while (n < at_least)
		n *= 2;
	return n;
}

/*
 * A client has some dozens of flows open; a socket buffer holds some milliseconds of all clients.
 * No value is below the kernel's own default.
 */
static void
put_sizes(struct vars *vars, const struct cluster *c)
{
	unsigned sessions = c->limits.sessions;
	unsigned entries = power_of_two(clamp(64UL * sessions, 1u << 18, 1u << 22));

	put(vars, "CONNTRACK_ENTRIES", "%u", entries);
	put(vars, "CONNTRACK_BUCKETS", "%u", entries / 4);
	put(vars, "CONNTRACK_CACHE", "%u", entries * 2);
	put(vars, "SOCKET_BUFFER", "%u", clamp(16384UL * sessions, 4u << 20, 64u << 20));
	put(vars, "BACKLOG", "%u", clamp(sessions, 4096, 65535));
	put(vars, "NETDEV_BACKLOG", "%u", clamp(4UL * sessions, 4096, 65536));
	put(vars, "NEIGHBOURS", "%u", clamp(2UL * sessions, 4096, 131072));
	put(vars, "NEIGHBOURS_HALF", "%u", clamp(2UL * sessions, 4096, 131072) / 2);
	put(vars, "NEIGHBOURS_LOW", "%u", clamp(2UL * sessions, 4096, 131072) / 4);
}

static void
write_node_addresses(FILE *out, const void *arg)
{
	const struct cluster *c = arg;

	for (size_t i = 0; i < CLUSTER_NODES; i++)
		fprintf(out, "IPv4_address %s\nIPv4_address %s\n", conf_ipv4(c->nodes[i].wan),
		    conf_ipv4(c->nodes[i].lan));
}

/* keepalived and conntrackd. The interval of adverts is a decimal fraction of seconds. */
static void
put_pair(struct vars *vars, const struct cluster *c, const struct cluster_node *us)
{
	unsigned advert = c->pair.advert_interval_ms / 10;

	put(vars, "NODE", "%s", us->name);
	put(vars, "INSTANCE", "%s", HAGENT_INSTANCE);
	put(vars, "VRRP_ID", "%u", c->pair.vrrp_id);
	put(vars, "PRIORITY", "%u", cluster_priority(c, us));
	put(vars, "ADVERT", "%u.%02u", advert / 100, advert % 100);
	put(vars, "GARP_REPEAT", "%u", c->pair.garp_repeat);
	put(vars, "GARP_REFRESH", "%u", c->pair.garp_refresh_s);
	put_ip(vars, "US_WAN", us->wan);
	put_ip(vars, "US_LAN", us->lan);
	put_ip(vars, "US_SYNC", us->sync);
	put(vars, "VIP_WAN_NET", "%s/%u", conf_ipv4(c->vip_wan.address), c->vip_wan.prefix);
	put(vars, "VIP_LAN_NET", "%s/%u", conf_ipv4(c->vip_lan.address), c->vip_lan.prefix);
	put(vars, "CONNTRACKD_PORT", "%u", c->sync.conntrackd_port);
	put_stream(vars, "NODE_ADDRESSES", write_node_addresses, c);
}

/* command: how hagent is called for this node. */
static void
put_paths(struct vars *vars, const struct render *r, const char *command)
{
	put(vars, "ROOT", "%s", r->root);
	put(vars, "HAGENT", "%s", command);
	put(vars, "PPTPD", "%s", r->pptpd);
	put(vars, "USER", "%s", HAGENT_USER);
	put(vars, "FIFO", "%s", HAGENT_NOTIFY_FIFO);
	put(vars, "HEALTH", "%s", HAGENT_HEALTH);
	put(vars, "STANDING", "%s", HAGENT_STANDING);
	put(vars, "CONNTRACKD_LOCK", "%s", HAGENT_CONNTRACKD_LOCK);
	put(vars, "CONNTRACKD_SOCKET", "%s", HAGENT_CONNTRACKD_SOCKET);
	put(vars, "HOST_KEY", "%s", HAGENT_HOST_KEY);
	put(vars, "SSHD_PID", "%s", HAGENT_SSHD_PID);
	put(vars, "AUTHORIZED", "%s", HAGENT_AUTHORIZED);
}

/* Without a key the line is missing, and nobody is let in. */
static int
put_keys(struct vars *vars, const struct render *r, const char *command)
{
	const struct cluster_node *peer = cluster_peer(r->cluster, r->us);
	char sync[16], lan[16], wan[16], key[PUBKEY_MAX];

	snprintf(sync, sizeof(sync), "%s", conf_ipv4(peer->sync));
	snprintf(lan, sizeof(lan), "%s", conf_ipv4(peer->lan));
	snprintf(wan, sizeof(wan), "%s", conf_ipv4(peer->wan));
	key[0] = '\0';
	if (r->peer_id && pubkey_parse(r->peer_id, key) < 0)
		return -1;
	if (*key)
		put(vars, "AUTHORIZED_KEY", "restrict,from=\"%s,%s,%s\",command=\"%s serve\" %s %s",
		    sync, lan, wan, command, key, peer->name);
	else
		put(vars, "AUTHORIZED_KEY", "# none yet: hagent keys import");
	key[0] = '\0';
	if (r->peer_host && pubkey_parse(r->peer_host, key) < 0)
		return -1;
	unsigned port = r->cluster->sync.ssh_port;
	if (*key)
		put(vars, "KNOWN_HOSTS", "[%s]:%u %s\n[%s]:%u %s\n[%s]:%u %s\n", sync, port, key,
		    lan, port, key, wan, port, key);
	else
		put(vars, "KNOWN_HOSTS", "# none yet: hagent keys import");
	return 0;
}

/* Paths stand in files of five grammars, one of them a shell's: no character needs quoting. */
static bool
is_plain(const char *path)
{
	return path[strspn(path,
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+")] == '\0';
}

char *
render_text(const struct render *r, const struct render_file *file)
{
	struct vars vars = {.n = 0};
	char *text = NULL, command[1024];

	if (!is_plain(r->root) || !is_plain(r->hagent) || !is_plain(r->pptpd)) {
		errno = EINVAL;
		return NULL;
	}
	int n = snprintf(command, sizeof(command), "%s --node %s%s%s", r->hagent, r->us->name,
	    *r->root ? " --root " : "", r->root);
	if ((size_t)n >= sizeof(command) || strlen(r->root) + sizeof(HAGENT_CONNTRACKD_SOCKET) >
						sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	put(&vars, "ORIGIN", "Rendered by hagent from %s for node %s; changes made here are lost.",
	    HAGENT_CLUSTER, r->us->name);
	put_addresses(&vars, r->cluster, r->us);
	put_rules(&vars, r->cluster, r->us);
	put_sizes(&vars, r->cluster);
	put_pair(&vars, r->cluster, r->us);
	put_paths(&vars, r, command);
	if (put_keys(&vars, r, command) < 0)
		errno = EBADMSG;
	else if (vars.failed)
		errno = ENOMEM;
	else
		text = template_expand(file->template, vars.v, vars.n, NULL);
	for (size_t i = 0; i < vars.n; i++)
		free(vars.owned[i]);
	return text;
}
