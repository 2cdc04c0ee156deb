/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of interfaces, addresses and routes: what the kernel says of them. What has
 * to be asked of other hosts is in doctor_wire.c and doctor_reach.c.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/doctor.h"
#include "hagent/net.h"

#define DOCTOR_OVERHEAD 44 /* IPv4 20, GRE 16, PPP 4, MPPE 2, protocol inside 2 */

/* The row of `ip -j -d link` or `ip -j addr` for an interface, borrowed. */
static const json_t *
row_of(const json_t *list, const char *interface)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		if (strcmp(doctor_text(row, "ifname"), interface) == 0)
			return row;
	}
	return NULL;
}

static bool
has_flag(const json_t *row, const char *name)
{
	json_t *flag;
	size_t i;

	json_array_foreach(json_object_get(row, "flags"), i, flag)
	{
		if (strcmp(json_string_value(flag), name) == 0)
			return true;
	}
	return false;
}

void
doctor_network_links(const struct doctor *d, struct doctor_answer *a)
{
	const char *const ifs[] = {d->us->wan_if, d->us->lan_if, d->us->sync_if};
	json_t *list = doctor_output_json("ip -j link");

	if (!list) {
		doctor_say(a, DOCTOR_UNKNOWN, "`ip link` says nothing");
		return;
	}
	a->verdict = DOCTOR_OK;
	for (size_t i = 0; i < 3; i++) {
		const json_t *row = row_of(list, ifs[i]);

		if (!row) {
			doctor_also(a, DOCTOR_PROBLEM, "there is no interface %s", ifs[i]);
		} else if (!has_flag(row, "UP")) {
			doctor_also(a, DOCTOR_PROBLEM, "%s is down", ifs[i]);
			if (*a->command)
				doctor_mend_also(a, "ip link set dev %s up", ifs[i]);
			else
				doctor_mend(a, "ip link set dev %s up", ifs[i]);
		} else if (!has_flag(row, "LOWER_UP")) {
			doctor_also(a, DOCTOR_PROBLEM, "%s has no carrier", ifs[i]);
			if (!*a->command)
				doctor_mend_at(
				    a, "the cable and the switch port", "ip link show %s", ifs[i]);
		}
	}
	json_decref(list);
	if (a->verdict == DOCTOR_OK)
		doctor_say(
		    a, DOCTOR_OK, "%s, %s and %s are up, with a carrier", ifs[0], ifs[1], ifs[2]);
}

/* An own address that is missing is an address to add. */
static void
need_address(struct doctor_answer *a, const char *interface, uint32_t address, unsigned prefix)
{
	if (net_holds(interface, address) != 0)
		return;
	doctor_also(a, DOCTOR_PROBLEM, "%s is not on %s", conf_ipv4(address), interface);
	if (*a->command)
		doctor_mend_also(
		    a, "ip addr add %s/%u dev %s", conf_ipv4(address), prefix, interface);
	else
		doctor_mend(a, "ip addr add %s/%u dev %s", conf_ipv4(address), prefix, interface);
}

void
doctor_network_addresses(const struct doctor *d, struct doctor_answer *a)
{
	const struct cluster *c = d->cluster;
	const char *wan = conf_ipv4(c->vip_wan.address), *lan = conf_ipv4(c->vip_lan.address);
	bool active = strcmp(doctor_text(d->agent, "role"), "active") == 0;

	a->verdict = DOCTOR_OK;
	need_address(a, d->us->wan_if, d->us->wan, c->vip_wan.prefix);
	need_address(a, d->us->lan_if, d->us->lan, c->vip_lan.prefix);
	need_address(a, d->us->sync_if, d->us->sync, c->sync.network.prefix);
	if (d->holds_wan != d->holds_lan) {
		doctor_also(a, DOCTOR_PROBLEM, "%s is here and %s is not: they never part",
		    d->holds_wan ? wan : lan, d->holds_wan ? lan : wan);
		doctor_mend(a, "systemctl restart keepalived");
	} else if (d->agent && active != d->holds_wan) {
		doctor_also(a, DOCTOR_PROBLEM, "this gateway is %s, but %s is %s",
		    active ? "active" : "no active one", wan, d->holds_wan ? "here" : "not here");
		doctor_mend(a, "systemctl restart keepalived");
	}
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, DOCTOR_OK, "own addresses are here, %s and %s are %s", wan, lan,
		    d->holds_wan ? "here, too" : "not, as for a standby");
}

void
doctor_network_mtu(const struct doctor *d, struct doctor_answer *a)
{
	const char *const ifs[] = {d->us->wan_if, d->us->lan_if};
	unsigned tunnel = d->cluster->tunnel.mtu;
	const unsigned wants[] = {tunnel + DOCTOR_OVERHEAD, tunnel};
	json_t *list = doctor_output_json("ip -j link");
	long long have[2] = {0, 0};

	a->verdict = DOCTOR_OK;
	for (size_t i = 0; i < 2; i++) {
		have[i] = doctor_number(row_of(list, ifs[i]), "mtu");
		if (have[i] == 0 || have[i] >= wants[i])
			continue;
		doctor_also(a, DOCTOR_PROBLEM,
		    "%s carries %lld octets, want %u for tunnel packets of %u", ifs[i], have[i],
		    wants[i], tunnel);
		if (*a->command)
			doctor_mend_also(a, "ip link set dev %s mtu 1500", ifs[i]);
		else
			doctor_mend(a, "ip link set dev %s mtu %u", ifs[i],
			    wants[i] > 1500 ? wants[i] : 1500);
	}
	json_decref(list);
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, have[0] ? DOCTOR_OK : DOCTOR_UNKNOWN,
		    "%s carries %lld octets, %s %lld; a tunnel packet of %u needs %u on the WAN",
		    ifs[0], have[0], ifs[1], have[1], tunnel, wants[0]);
}

/* ---- routes ---- */

/* A host of a network that may dial. Nobody asks it anything: its route is what is looked at. */
static uint32_t
some_host(struct cluster_net net)
{
	if (net.prefix < 8)
		return 8u << 24 | 8u << 16 | 8u << 8 | 8u;
	return net.address + (net.prefix < 31 ? 1 : 0);
}

static void
look_at_way(const struct doctor *d, struct doctor_answer *a, uint32_t client)
{
	char command[64];
	const json_t *row;
	json_t *list;

	snprintf(command, sizeof(command), "ip -j -4 route get %s", conf_ipv4(client));
	list = doctor_output_json(command);
	row = json_array_get(list, 0);
	const char *dev = doctor_text(row, "dev"), *via = doctor_text(row, "gateway");

	if (!*dev)
		doctor_also(a, DOCTOR_PROBLEM, "there is no route to clients such as %s",
		    conf_ipv4(client));
	else if (strcmp(dev, d->us->wan_if) != 0)
		doctor_also(a, DOCTOR_PROBLEM,
		    "the route to clients such as %s leaves by %s, want %s", conf_ipv4(client), dev,
		    d->us->wan_if);
	else
		doctor_also(
		    a, DOCTOR_OK, "%s by %s%s%s", conf_ipv4(client), dev, *via ? " via " : "", via);
	json_decref(list);
}

void
doctor_network_default_route(const struct doctor *d, struct doctor_answer *a)
{
	const struct cluster_nets *clients = &d->cluster->clients;

	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < clients->n && i < 8; i++)
		look_at_way(d, a, some_host(clients->v[i]));
	if (a->verdict != DOCTOR_OK) /* the router's address stands in no file of ours */
		doctor_mend(a, "ifdown %s; ifup %s", d->us->wan_if, d->us->wan_if);
}

/* Whether a network of somebody else's takes addresses of clients away. */
static bool
covers(const struct doctor *d, struct cluster_net net)
{
	const struct cluster_net pool = d->cluster->tunnel.network;

	/* One that is wider loses against the clients' own routes. */
	return net.prefix >= pool.prefix && cluster_net_overlaps(pool, net);
}

static void
look_at_addresses(const struct doctor *d, struct doctor_answer *a, const json_t *list)
{
	json_t *row, *info;
	size_t i, k;

	json_array_foreach(list, i, row)
	{
		const char *dev = doctor_text(row, "ifname");

		json_array_foreach(json_object_get(row, "addr_info"), k, info)
		{
			const char *local = doctor_text(info, "local");
			struct cluster_net net = {0, (unsigned)doctor_number(info, "prefixlen")};

			if (strcmp(dev, CLUSTER_TUNNEL_INTERFACE) == 0 ||
			    conf_parse_ipv4(local, &net.address) < 0 ||
			    !cluster_net_overlaps(d->cluster->tunnel.network, cluster_net_of(net)))
				continue;
			doctor_also(a, DOCTOR_PROBLEM,
			    "%s has %s/%u, which covers clients' addresses", dev, local,
			    net.prefix);
			doctor_mend(a, "ip addr del %s/%u dev %s", local, net.prefix, dev);
		}
	}
}

static void
look_at_routes(const struct doctor *d, struct doctor_answer *a, const json_t *list)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		const char *dst = doctor_text(row, "dst"), *dev = doctor_text(row, "dev");
		struct cluster_net net;

		if (strcmp(doctor_text(row, "table"), "local") == 0 ||
		    strcmp(dev, CLUSTER_TUNNEL_INTERFACE) == 0 || !doctor_parse_net(dst, &net) ||
		    !covers(d, net))
			continue;
		doctor_also(a, DOCTOR_PROBLEM, "the route to %s by %s covers clients' addresses",
		    dst, *dev ? dev : doctor_text(row, "type"));
		if (!*a->command)
			doctor_mend(a, "ip route del %s%s%s", dst, *dev ? " dev " : "", dev);
	}
}

void
doctor_network_pool_overlap(const struct doctor *d, struct doctor_answer *a)
{
	json_t *addresses = doctor_output_json("ip -j -4 addr");
	json_t *routes = doctor_output_json("ip -j -4 route show table all");

	if (addresses && routes) {
		a->verdict = DOCTOR_OK;
		look_at_addresses(d, a, addresses);
		look_at_routes(d, a, routes);
		if (a->verdict == DOCTOR_OK)
			doctor_say(a, DOCTOR_OK, "nobody else has a part of %s/%u",
			    conf_ipv4(d->cluster->tunnel.network.address),
			    d->cluster->tunnel.network.prefix);
	} else {
		doctor_say(a, DOCTOR_UNKNOWN, "`ip addr` or `ip route` says nothing");
	}
	json_decref(addresses);
	json_decref(routes);
}
