/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent firewall: the gateway's rules, from the rendered file, and the gate. Before it applies
 * rules to the machine that an operator is logged in to, it makes sure that they let him in again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall/fw.h"
#include "hagent/hagent.h"

/* Is the address one of this network namespace? (A shell may carry its variables into another.) */
static bool
is_local(uint32_t address)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool local = fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;

	if (fd >= 0)
		close(fd);
	return local;
}

static bool
management_allows(const struct cluster *c, uint32_t client, unsigned port)
{
	bool network = false, open = false;

	for (size_t i = 0; i < c->management.networks.n; i++)
		network |= cluster_net_has(c->management.networks.v[i], client);
	for (size_t i = 0; i < c->management.tcp_ports.n; i++)
		open |= port >= c->management.tcp_ports.v[i].first &&
			port <= c->management.tcp_ports.v[i].last;
	return network && open;
}

/* True when we were started from an SSH login to this machine that the rules would shut out. */
static bool
locks_out(const struct hagent *h)
{
	const char *ssh = getenv("SSH_CONNECTION");
	char client[64], server[64];
	uint32_t client_ip, server_ip;
	unsigned port;

	if (!ssh || sscanf(ssh, "%63s %*s %63s %u", client, server, &port) != 3)
		return false;
	if (conf_parse_ipv4(client, &client_ip) < 0 || conf_parse_ipv4(server, &server_ip) < 0)
		return strchr(client, ':') != NULL; /* the rules know no management over IPv6 */
	if (!is_local(server_ip))
		return false;
	struct cluster *c = hagent_cluster(h);
	bool out = !c || !management_allows(c, client_ip, port);
	cluster_free(c);
	return out;
}

static int
apply(const struct hagent *h, struct fw *f, bool force)
{
	char *rules;
	int status = HAGENT_OK;

	if (!force && locks_out(h))
		return hagent_fail(
		    "the rules would lock out your own SSH login (%s): name its network "
		    "and port in management {}, or use --force",
		    getenv("SSH_CONNECTION"));
	rules = hagent_read(h, HAGENT_GATEWAY);
	if (!rules)
		return hagent_fail(
		    "%s%s: %s (hagent render makes it)", h->root, HAGENT_GATEWAY, strerror(errno));
	if (fw_gateway_apply(f, rules) < 0) {
		if (errno == ENOENT)
			status = hagent_fail("the guard comes first: hagent guard load");
		else
			status = hagent_fail("firewall apply failed\n%s", fw_error(f));
	}
	free(rules);
	return status;
}

static int
set_gate(struct fw *f, const char *how)
{
	bool open = strcmp(how, "open") == 0;

	if (!open && strcmp(how, "shut") != 0)
		return HAGENT_USAGE;
	if (fw_gate_set(f, open) == 0)
		return HAGENT_OK;
	if (errno == ENOENT)
		return hagent_fail(
		    "the gateway's rules are not loaded: hagent firewall apply first");
	return hagent_fail("firewall gate failed\n%s", fw_error(f));
}

static int
show_status(struct fw *f)
{
	bool loaded = fw_gateway_loaded(f);

	printf("rules %s\n", loaded ? "loaded" : "not loaded");
	printf("gate %s\n", fw_gate_open(f) ? "open" : "shut");
	return loaded ? HAGENT_OK : HAGENT_FAIL;
}

int
cmd_firewall(const struct hagent *h, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool force = argc == 3 && strcmp(argv[2], "--force") == 0;
	int status = HAGENT_USAGE;
	struct fw *f = fw_new();

	if (!f)
		return hagent_fail("libnftables: %s", strerror(errno));
	if (strcmp(verb, "apply") == 0 && (argc == 2 || force)) {
		status = apply(h, f, force);
	} else if (strcmp(verb, "remove") == 0 && argc == 2) {
		status = fw_gateway_remove(f) == 0
			     ? HAGENT_OK
			     : hagent_fail("firewall remove failed\n%s", fw_error(f));
	} else if (strcmp(verb, "gate") == 0 && argc == 3) {
		status = set_gate(f, argv[2]);
	} else if (strcmp(verb, "status") == 0 && argc == 2) {
		status = show_status(f);
	}
	fw_free(f);
	return status;
}
