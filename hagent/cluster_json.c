/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf in short, for who shows it: see cluster_json.h.
 */
#include "hagent/cluster_json.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX 160

static const char *const protocols[] = {"tcp", "udp", "icmp"};

static json_t *
node_json(const struct cluster_node *n)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "name", n->name, "wan", conf_ipv4(n->wan), "lan",
	    conf_ipv4(n->lan), "sync", conf_ipv4(n->sync));
}

/* "443, 5201-5210"; what does not fit is left out, with a mark. */
static void
ports_text(const struct cluster_ports *p, char out[static TEXT_MAX])
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < p->n && used < TEXT_MAX - 24; i++) {
		const struct cluster_range *r = &p->v[i];

		used += (size_t)snprintf(
		    out + used, TEXT_MAX - used, "%s%u", i > 0 ? ", " : "", r->first);
		if (r->last != r->first)
			used += (size_t)snprintf(out + used, TEXT_MAX - used, "-%u", r->last);
		if (i + 1 < p->n && used >= TEXT_MAX - 24)
			snprintf(out + used, TEXT_MAX - used, ", ...");
	}
}

static json_t *
api_json(const struct cluster_api *a)
{
	char ports[TEXT_MAX];

	ports_text(&a->ports, ports);
	return json_pack("{s:s,s:s,s:s,s:s}", "name", a->name, "address", conf_ipv4(a->address),
	    "protocol", protocols[a->protocol], "ports", ports);
}

static json_t *
net_json(struct cluster_net net)
{
	return json_sprintf("%s/%u", conf_ipv4(net.address), net.prefix);
}

json_t *
cluster_json(const struct cluster *c)
{
	json_t *nodes = json_array(), *apis = json_array(), *clients = json_array();

	for (size_t i = 0; i < c->n_nodes; i++)
		json_array_append_new(nodes, node_json(&c->nodes[i]));
	for (size_t i = 0; i < c->n_apis; i++)
		json_array_append_new(apis, api_json(&c->apis[i]));
	for (size_t i = 0; i < c->clients.n; i++)
		json_array_append_new(clients, net_json(c->clients.v[i]));
	return json_pack("{s:s,s:o,s:o,s:o,s:o}", "name", c->pair.name, "nodes", nodes, "apis",
	    apis, "clients", clients, "tunnel", net_json(c->tunnel.network));
}
