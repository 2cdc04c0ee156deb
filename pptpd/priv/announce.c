/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The announcement is a broadcast request for our own address from it: both kinds of neighbour
 * update their tables. The socket hears nothing: it is bound to no protocol.
 */
#include "pptpd/priv/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/cursor.h"

#define ARP_LEN 28

static int
own_address(int fd, unsigned ifindex, uint8_t own[static ETH_ALEN])
{
	struct ifreq r = {.ifr_ifindex = (int)ifindex};

	if (ioctl(fd, SIOCGIFNAME, &r) < 0 || ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		return -1;
	if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = EOPNOTSUPP;
		return -1;
	}
	memcpy(own, r.ifr_hwaddr.sa_data, ETH_ALEN);
	return 0;
}

static int
send_request(int fd, unsigned ifindex, const uint8_t *own, uint32_t ip)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = (int)ifindex,
	    .sll_halen = ETH_ALEN};
	uint8_t bytes[ARP_LEN];
	struct wr w = wr_init(bytes, sizeof(bytes));

	memset(to.sll_addr, 0xff, ETH_ALEN);
	wr_u16(&w, ARPHRD_ETHER);
	wr_u16(&w, ETH_P_IP);
	wr_u8(&w, ETH_ALEN);
	wr_u8(&w, sizeof(ip));
	wr_u16(&w, ARPOP_REQUEST);
	wr_copy(&w, own, ETH_ALEN);
	wr_u32(&w, ip);
	wr_zero(&w, ETH_ALEN);
	wr_u32(&w, ip);
	return sendto(fd, bytes, wr_len(&w), 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -1
											      : 0;
}

int
announce_open(void)
{
	return socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int
announce_address(int fd, unsigned ifindex, uint32_t ip)
{
	uint8_t own[ETH_ALEN];

	return own_address(fd, ifindex, own) < 0 ? -1 : send_request(fd, ifindex, own, ip);
}
