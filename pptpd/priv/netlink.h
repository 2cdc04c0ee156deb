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
#include <stdint.h>

/* Protocol number of our routes: `ip route show proto 112`. */
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
/* The interface whose network holds ip most narrowly, but for the TUN; 0 = none. */
unsigned netlink_proxy_interface(uint32_t ip, unsigned tun_ifindex);

#endif
