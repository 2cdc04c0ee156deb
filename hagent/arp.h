/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ARP again: after a promotion every address that moved here is announced on its interface, now and
 * after 0.1, 1 and 5 s, because a neighbour that misses the news sends to a dead gateway. The
 * addresses are the two virtual ones and whatever the kernel answers ARP for at that moment (the
 * clients', with proxyarp). Announced by RFC 5227 §2.3: a broadcast request, sender = target.
 */
#ifndef HAGENT_ARP_H
#define HAGENT_ARP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "hagent/net.h"

#define ARP_PACKET_LEN 28
#define ARP_FIXED      2

struct arp_address {
	const char *interface; /* borrowed */
	uint32_t address;
};

struct arp {
	struct loop *loop;
	struct arp_address fixed[ARP_FIXED];
	int fd; /* < 0 = not opened yet */
	unsigned round;
	struct timer timer;
	struct net_proxied *proxied; /* what is left to send of this round */
	size_t n_proxied, next;
	uint64_t sent, failed; /* since arp_announce() */
};

void arp_init(struct arp *a, struct loop *l, const struct arp_address fixed[static ARP_FIXED]);
void arp_fini(struct arp *a);
/*
 * Begins (again): the fixed addresses and the first few hundred others are sent before it returns.
 * Returns how many addresses the first round has, or -1 with errno when not one could be sent.
 */
int arp_announce(struct arp *a);
void arp_stop(struct arp *a);

/* The packet behind the Ethernet header. */
void arp_packet(
    const uint8_t mac[static NET_MAC_LEN], uint32_t address, uint8_t out[static ARP_PACKET_LEN]);

#endif
