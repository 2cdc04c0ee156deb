/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The few questions and one change that the agent has for the kernel's network: does an interface
 * hold an address, which addresses does it answer ARP for, has it a carrier; take an address away.
 * The kernel answers within the send, so nothing here waits. Addresses are in host order.
 */
#ifndef HAGENT_NET_H
#define HAGENT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_MAC_LEN 6

struct net_proxied {
	unsigned ifindex;
	uint32_t address;
};

/* 1 = the interface holds the address, 0 = it does not (or there is no such interface), -1 = errno.
 */
int net_holds(const char *interface, uint32_t address);
/* 0 also when it was not there; -1 with errno. */
int net_remove(const char *interface, uint32_t address, unsigned prefix);
/*
 * Whether the kernel takes packets for the address that come in there for its own, though no
 * interface has it; it answers no ARP for it (arp_ignore). 0, also when it was so; -1 with errno.
 */
int net_catch(const char *interface, uint32_t address, bool on);
/* Every address that the kernel answers ARP for (`ip neigh show proxy`); malloc'd. -1 with errno.
 */
int net_proxied(struct net_proxied **list, size_t *n);
/* Up and with a carrier. */
bool net_running(const char *interface);
/* 0, or -1 with errno: ENOTSUP for an interface without Ethernet addresses. */
int net_mac(const char *interface, uint8_t mac[static NET_MAC_LEN]);

#endif
