/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cross-checks of cluster.conf, and the arithmetic of networks that they and the renderer share.
 */
#include "hagent/cluster_check.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define NET(a, b, c, d, prefix)                                                                    \
	{                                                                                          \
		(uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d), prefix       \
	}

const struct cluster_net cluster_bogons[] = {NET(0, 0, 0, 0, 8), NET(10, 0, 0, 0, 8),
    NET(100, 64, 0, 0, 10), NET(127, 0, 0, 0, 8), NET(169, 254, 0, 0, 16), NET(172, 16, 0, 0, 12),
    NET(192, 0, 0, 0, 24), NET(192, 0, 2, 0, 24), NET(192, 168, 0, 0, 16), NET(198, 18, 0, 0, 15),
    NET(198, 51, 100, 0, 24), NET(203, 0, 113, 0, 24), NET(224, 0, 0, 0, 3)};
const size_t cluster_n_bogons = sizeof(cluster_bogons) / sizeof(cluster_bogons[0]);

struct checker {
	const struct cluster *c;
	const char *file;
	const struct outline *o;
	struct conf_errors *e;
};

static uint32_t
mask(unsigned prefix)
{
	return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

struct cluster_net
cluster_net_of(struct cluster_net address)
{
	return (struct cluster_net){address.address & mask(address.prefix), address.prefix};
}

bool
cluster_net_has(struct cluster_net net, uint32_t address)
{
	return ((net.address ^ address) & mask(net.prefix)) == 0;
}

bool
cluster_net_overlaps(struct cluster_net a, struct cluster_net b)
{
	return cluster_net_has(a.prefix < b.prefix ? a : b, (a.prefix < b.prefix ? b : a).address);
}

static bool
inside(struct cluster_net inner, struct cluster_net outer)
{
	return inner.prefix >= outer.prefix && cluster_net_has(outer, inner.address);
}

void
cluster_nets_merge(struct cluster_nets *nets)
{
	size_t kept = 0;

	for (size_t i = 0; i < nets->n; i++) {
		bool covered = false;

		for (size_t k = 0; k < nets->n && !covered; k++) {
			bool same = nets->v[k].prefix == nets->v[i].prefix;

			covered = k != i && inside(nets->v[i], nets->v[k]) && (!same || k < i);
		}
		if (!covered)
			nets->v[kept++] = nets->v[i];
	}
	nets->n = kept;
}

static const char *
show(struct cluster_net net)
{
	static _Thread_local char buffers[4][sizeof("255.255.255.255/32")];
	static _Thread_local unsigned turn;
	char *out = buffers[turn++ % 4];

	snprintf(out, sizeof(buffers[0]), "%s/%u", conf_ipv4(net.address), net.prefix);
	return out;
}

static unsigned
line_of(const struct checker *k, const char *section, const char *title, const char *name)
{
	const struct outline_entry *at = outline_find(k->o, section, title, name);

	if (!at)
		at = outline_find(k->o, section, title, "");
	return at ? at->line : 0;
}

/* A host address of net: inside, and neither its first nor its last one. */
static bool
is_host(struct cluster_net net, uint32_t address)
{
	uint32_t host = address & ~mask(net.prefix);

	return cluster_net_has(net, address) &&
	       (net.prefix >= 31 || (host != 0 && host != ~mask(net.prefix)));
}

static void
check_host(const struct checker *k, const char *section, const char *title, const char *name,
    uint32_t address, struct cluster_net net)
{
	net = cluster_net_of(net);
	if (!address || !net.address || is_host(net, address))
		return;
	conf_error(k->e, k->file, line_of(k, section, title, name),
	    "%s: got \"%s\", want a host address of %s", name, conf_ipv4(address), show(net));
}

static void
check_nodes(const struct checker *k)
{
	const struct outline_entry *last = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < k->o->n; i++) {
		if (strcmp(k->o->v[i].section, "node") == 0 && !k->o->v[i].name[0]) {
			last = &k->o->v[i];
			n++;
		}
	}
	if (n != 0 && n != CLUSTER_NODES)
		conf_error(
		    k->e, k->file, last->line, "node: got %u sections, want %d", n, CLUSTER_NODES);
}

static void
check_interfaces(const struct checker *k, const struct cluster_node *node)
{
	const char *ifs[] = {node->wan_if, node->lan_if, node->sync_if, CLUSTER_TUNNEL_INTERFACE};
	const char *names[] = {"wan-interface", "lan-interface", "sync-interface"};

	for (size_t i = 0; i < 3; i++) {
		for (size_t j = i + 1; j < 4; j++) {
			if (!*ifs[i] || strcmp(ifs[i], ifs[j]) != 0)
				continue;
			conf_error(k->e, k->file, line_of(k, "node", node->name, names[i]),
			    "%s: got \"%s\", want another interface than %s", names[i], ifs[i],
			    j == 3 ? "the tunnels'" : names[j]);
		}
	}
}

/* No two of the pair's own addresses may be the same. */
static void
check_distinct(const struct checker *k)
{
	const struct cluster *c = k->c;
	struct {
		uint32_t address;
		const char *section, *title, *name;
	} v[2 + 3 * CLUSTER_NODES] = {
	    {c->vip_wan.address, "vip", "", "wan"}, {c->vip_lan.address, "vip", "", "lan"}};
	size_t n = 2;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct cluster_node *node = &c->nodes[i];
		const uint32_t addresses[] = {node->wan, node->lan, node->sync};
		const char *const names[] = {"wan-address", "lan-address", "sync-address"};

		for (size_t j = 0; j < 3; j++, n++) {
			v[n].address = addresses[j];
			v[n].section = "node";
			v[n].title = node->name;
			v[n].name = names[j];
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!v[i].address || v[i].address != v[j].address)
				continue;
			conf_error(k->e, k->file, line_of(k, v[i].section, v[i].title, v[i].name),
			    "%s: got \"%s\", want an address of its own (line %u has it)",
			    v[i].name, conf_ipv4(v[i].address),
			    line_of(k, v[j].section, v[j].title, v[j].name));
		}
	}
}

static void
check_networks(const struct checker *k)
{
	const struct cluster *c = k->c;
	const struct {
		struct cluster_net net;
		const char *section, *name, *what;
	} v[] = {{cluster_net_of(c->vip_wan), "vip", "wan", "WAN"},
	    {cluster_net_of(c->vip_lan), "vip", "lan", "LAN"},
	    {c->sync.network, "sync", "network", "sync network"},
	    {c->tunnel.network, "tunnel", "network", "tunnel network"}};

	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!v[i].net.address || !v[j].net.address ||
			    !cluster_net_overlaps(v[i].net, v[j].net))
				continue;
			conf_error(k->e, k->file, line_of(k, v[i].section, "", v[i].name),
			    "%s: got \"%s\", want a network outside of the %s %s", v[i].name,
			    show(v[i].net), v[j].what, show(v[j].net));
		}
	}
	check_host(k, "vip", "", "wan", c->vip_wan.address, c->vip_wan);
	check_host(k, "vip", "", "lan", c->vip_lan.address, c->vip_lan);
	check_host(k, "tunnel", "", "local", c->tunnel.local, c->tunnel.network);
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct cluster_node *node = &c->nodes[i];

		check_host(k, "node", node->name, "wan-address", node->wan, c->vip_wan);
		check_host(k, "node", node->name, "lan-address", node->lan, c->vip_lan);
		check_host(k, "node", node->name, "sync-address", node->sync, c->sync.network);
		check_interfaces(k, node);
	}
}

static void
check_api(const struct checker *k, const struct cluster_api *api)
{
	check_host(k, "api", api->name, "address", api->address, k->c->vip_lan);
	bool ports = outline_find(k->o, "api", api->name, "ports") != NULL;

	if (!outline_find(k->o, "api", api->name, "protocol"))
		return;
	if (api->protocol == CLUSTER_ICMP && ports) {
		conf_error(k->e, k->file, line_of(k, "api", api->name, "ports"),
		    "ports: got some, want none with protocol icmp");
	} else if (api->protocol != CLUSTER_ICMP && !ports) {
		conf_error(k->e, k->file, line_of(k, "api", api->name, "ports"),
		    "ports: got none, want at least one with protocol %s",
		    api->protocol == CLUSTER_TCP ? "tcp" : "udp");
	}
}

/* A client network that the bogon list would drop whole can never dial. */
static void
check_client(const struct checker *k, struct cluster_net client)
{
	const struct cluster *c = k->c;
	bool excepted = c->vip_wan.address && inside(client, cluster_net_of(c->vip_wan));

	for (size_t i = 0; i < c->not_bogons.n; i++)
		excepted |= cluster_net_overlaps(client, c->not_bogons.v[i]);
	for (size_t i = 0; i < cluster_n_bogons && !excepted; i++) {
		if (inside(client, cluster_bogons[i])) {
			conf_error(k->e, k->file, line_of(k, "", "", "client-networks"),
			    "client-networks: got \"%s\", want a network outside of %s or named in "
			    "not-bogon",
			    show(client), show(cluster_bogons[i]));
			return;
		}
	}
}

static void
check_management(const struct checker *k)
{
	bool networks = outline_find(k->o, "management", "", "networks") != NULL;
	bool ports = outline_find(k->o, "management", "", "tcp-ports") != NULL;

	if (networks != ports)
		conf_error(k->e, k->file, line_of(k, "management", "", ""),
		    "management: got only %s, want networks and tcp-ports",
		    networks ? "networks" : "tcp-ports");
}

static bool
in_ports(const struct cluster_ports *ports, unsigned port)
{
	for (size_t i = 0; i < ports->n; i++) {
		if (port >= ports->v[i].first && port <= ports->v[i].last)
			return true;
	}
	return false;
}

/* Beyond this machine the page needs a token, TLS, and a port that the firewall lets through. */
static void
check_web(const struct checker *k)
{
	const struct cluster *c = k->c;
	const struct {
		const char *name, *value;
	} needs[] = {{"web-token-file", c->management.web_token_file},
	    {"web-certificate", c->management.web_certificate}, {"web-key", c->management.web_key}};
	unsigned line = line_of(k, "management", "", "web-address");

	if (c->management.web.port == 0 || cluster_web_is_local(c))
		return;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (!*needs[i].value)
			conf_error(k->e, k->file, line,
			    "%s: got nothing, want a file for a web-address beyond this machine",
			    needs[i].name);
	}
	if (!in_ports(&c->management.tcp_ports, c->management.web.port))
		conf_error(k->e, k->file, line,
		    "web-address: got port %u, want one of tcp-ports: nobody could reach it",
		    c->management.web.port);
}

/* What belongs to one gateway, is made by the other programs, or travels anyway. */
static void
check_files(const struct checker *k)
{
	static const char *const taken[] = {
	    "/etc/pptp-ha/", "/run/", "/var/run/", "/var/lib/pptp-ha/", "/proc/", "/sys/", "/dev/"};
	const struct cluster_files *files = &k->c->sync.files;

	for (size_t i = 0; i < files->n; i++) {
		for (size_t j = 0; j < sizeof(taken) / sizeof(taken[0]); j++) {
			if (strncmp(files->v[i], taken[j], strlen(taken[j])) == 0)
				conf_error(k->e, k->file, line_of(k, "sync", "", "files"),
				    "files: got \"%s\", want a file outside of %s", files->v[i],
				    taken[j]);
		}
		for (size_t j = 0; j < i; j++) {
			if (strcmp(files->v[i], files->v[j]) == 0)
				conf_error(k->e, k->file, line_of(k, "sync", "", "files"),
				    "files: got \"%s\" again, want it once", files->v[i]);
		}
	}
}

static void
check_split(const struct checker *k)
{
	if (k->c->split.peer_loss == CLUSTER_FENCE && *k->c->split.fence_command == '\0')
		conf_error(k->e, k->file, line_of(k, "split", "", "peer-loss"),
		    "fence-command: got nothing, want a command for peer-loss = fence");
}

int
cluster_check_interfaces(const struct cluster_node *us, const char *file, struct conf_errors *e)
{
	const char *const ifs[] = {us->wan_if, us->lan_if, us->sync_if};
	static const char *const names[] = {"wan-interface", "lan-interface", "sync-interface"};
	int rc = 0;

	for (size_t i = 0; i < 3; i++) {
		if (if_nametoindex(ifs[i]) != 0)
			continue;
		conf_error(e, file, us->if_lines[i],
		    "%s: got \"%s\", want an interface that exists on node %s", names[i], ifs[i],
		    us->name);
		rc = -1;
	}
	return rc;
}

void
cluster_check(
    const struct cluster *c, const char *file, const struct outline *o, struct conf_errors *e)
{
	const struct checker k = {c, file, o, e};

	check_nodes(&k);
	check_distinct(&k);
	check_networks(&k);
	for (size_t i = 0; i < c->n_apis; i++)
		check_api(&k, &c->apis[i]);
	for (size_t i = 0; i < c->clients.n; i++)
		check_client(&k, c->clients.v[i]);
	check_management(&k);
	check_web(&k);
	check_files(&k);
	check_split(&k);
	if (c->pair.advert_interval_ms % 10 != 0)
		conf_error(e, file, line_of(&k, "pair", "", "advert-interval-ms"),
		    "advert-interval-ms: got \"%u\", want a multiple of 10",
		    c->pair.advert_interval_ms);
}
