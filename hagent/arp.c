/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The announcer: four rounds, each in slices, so that ten thousand addresses do not hold up the
 * loop.
 */
#include "hagent/arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"

#define SLICE 256

static const unsigned rounds_ms[] = {0, 100, 1000, 5000};
#define N_ROUNDS (sizeof(rounds_ms) / sizeof(rounds_ms[0]))

void
arp_packet(
    const uint8_t mac[static NET_MAC_LEN], uint32_t address, uint8_t out[static ARP_PACKET_LEN])
{
	struct wr w = wr_init(out, ARP_PACKET_LEN);

	wr_u16(&w, 1); /* Ethernet */
	wr_u16(&w, ETH_P_IP);
	wr_u8(&w, NET_MAC_LEN);
	wr_u8(&w, 4);
	wr_u16(&w, 1); /* request */
	wr_copy(&w, mac, NET_MAC_LEN);
	wr_u32(&w, address);
	wr_zero(&w, NET_MAC_LEN);
	wr_u32(&w, address);
}

static int
send_one(struct arp *a, unsigned ifindex, const uint8_t mac[static NET_MAC_LEN], uint32_t address)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = (int)ifindex,
	    .sll_halen = NET_MAC_LEN,
	    .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	uint8_t packet[ARP_PACKET_LEN];

	arp_packet(mac, address, packet);
	if (sendto(a->fd, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&to,
		sizeof(to)) < 0) {
		a->failed++;
		return -1;
	}
	a->sent++;
	return 0;
}

static void
send_fixed(struct arp *a)
{
	uint8_t mac[NET_MAC_LEN];

	for (size_t i = 0; i < ARP_FIXED; i++) {
		const struct arp_address *x = &a->fixed[i];

		if (net_mac(x->interface, mac) < 0)
			a->failed++;
		else
			send_one(a, if_nametoindex(x->interface), mac, x->address);
	}
}

static void
send_slice(struct arp *a)
{
	size_t end = a->next + SLICE < a->n_proxied ? a->next + SLICE : a->n_proxied;
	unsigned known = 0;
	bool usable = false;
	uint8_t mac[NET_MAC_LEN];

	for (; a->next < end; a->next++) {
		const struct net_proxied *p = &a->proxied[a->next];
		char name[IF_NAMESIZE];

		if (p->ifindex != known) {
			known = p->ifindex;
			usable = if_indextoname(known, name) && net_mac(name, mac) == 0;
		}
		if (usable)
			send_one(a, p->ifindex, mac, p->address);
		else
			a->failed++;
	}
}

static void
timer_cb(void *arg)
{
	struct arp *a = arg;

	if (a->next == a->n_proxied) { /* the round begins */
		free(a->proxied);
		a->proxied = NULL;
		a->n_proxied = a->next = 0;
		net_proxied(&a->proxied, &a->n_proxied);
		send_fixed(a);
	}
	send_slice(a);
	if (a->next < a->n_proxied)
		timer_set(&a->timer, 0);
	else if (++a->round < N_ROUNDS)
		timer_set(&a->timer, rounds_ms[a->round] - rounds_ms[a->round - 1]);
}

void
arp_init(struct arp *a, struct loop *l, const struct arp_address fixed[static ARP_FIXED])
{
	*a = (struct arp){.loop = l, .fd = -1};
	memcpy(a->fixed, fixed, sizeof(a->fixed));
	timer_init(&a->timer, l, timer_cb, a);
}

void
arp_stop(struct arp *a)
{
	timer_cancel(&a->timer);
	free(a->proxied);
	a->proxied = NULL;
	a->n_proxied = a->next = 0;
}

void
arp_fini(struct arp *a)
{
	arp_stop(a);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

int
arp_announce(struct arp *a)
{
	arp_stop(a);
	if (a->fd < 0) /* protocol 0: it receives nothing */
		a->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -1;
	a->round = 0;
	a->sent = a->failed = 0;
	timer_cb(a);
	if (a->sent == 0)
		return -1;
	return (int)(ARP_FIXED + a->n_proxied);
}
