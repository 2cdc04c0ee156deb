/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The few rtnetlink requests of the monitor: the TUN's state and addresses, host routes of clients,
 * proxy neighbours. One socket, each request waits for the kernel's acknowledgement (the kernel
 * answers within the send). All return 0, or -1 with errno. Addresses are in host order.
 */
#ifndef PRIV_NETLINK_H
#define PRIV_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Protocol number of our routes and proxy neighbours: `ip route show proto 112`. */
#define NETLINK_ROUTE_PROTOCOL 112

struct netlink {
	int fd;
	uint32_t seq;
};

int netlink_open(struct netlink *nl);
void netlink_close(struct netlink *nl);
int netlink_link_up(struct netlink *nl, unsigned ifindex, unsigned mtu);
int netlink_address_add(struct netlink *nl, unsigned ifindex, uint32_t ip);
/* EEXIST: somebody else has a route to that host. */
int netlink_route_add(struct netlink *nl, unsigned ifindex, uint32_t ip);
int netlink_route_delete(struct netlink *nl, unsigned ifindex, uint32_t ip);
/* Answer ARP for ip on that interface. */
int netlink_proxy_add(struct netlink *nl, unsigned ifindex, uint32_t ip);
int netlink_proxy_delete(struct netlink *nl, unsigned ifindex, uint32_t ip);
/* Deletes every one of ours: what a monitor that was killed has left behind. */
int netlink_proxies_forget(struct netlink *nl);

/* The networks of this machine's interfaces that could answer ARP for others. All zero = none. */
struct netlink_network {
	uint32_t address, mask;
	unsigned ifindex;
};
struct netlink_networks {
	struct netlink_network *all;
	size_t n;
};
/* Reads them anew, but for the TUN's: a fraction of a millisecond. On failure the old ones stay. */
int netlink_networks_read(struct netlink_networks *w, unsigned tun_ifindex);
void netlink_networks_fini(struct netlink_networks *w);
/* The interface whose network holds ip most narrowly; 0 = none. */
unsigned netlink_networks_find(const struct netlink_networks *w, uint32_t ip);

#endif
