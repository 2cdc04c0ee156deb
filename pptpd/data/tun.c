/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The multi-queue TUN. Every packet bears a virtio header of 10 bytes; with the offloads off it is
 * all zero both ways. The packet and its header stand side by side, so one read() or write() moves
 * both without gathering.
 */
#include "pptpd/data/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "pptpd/data/dataplane.h"

_Static_assert(TUN_VNET_LEN == sizeof(struct virtio_net_hdr), "header without num_buffers");
_Static_assert(TUN_VNET_LEN <= TUN_ROOM, "the header stands in the room");

#define QUEUE_PACKETS 2000

static int
open_queue(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR};
	int fd, header_len = TUN_VNET_LEN, saved;

	if (strlen(name) >= IFNAMSIZ) {
		errno = EINVAL;
		return -1;
	}
	strcpy(request.ifr_name, name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETVNETHDRSZ, &header_len) == 0 &&
	    ioctl(fd, TUNSETOFFLOAD, 0) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * Our ICMP errors come out of the TUN with the gateway's own inner address, which the kernel else
 * takes for a forgery. Clients cannot use it: their inner source is checked before the TUN.
 */
static void
accept_own_address(const char *name)
{
	char path[64 + IFNAMSIZ];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/accept_local", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		log_warn(
		    "cannot set accept_local, no ICMP errors from the tun name=%s error=\"%m\"",
		    name);
	if (fd >= 0)
		close(fd);
}

/*
 * What the kernel keeps for each queue. Its own 500 packets overflow, and nobody counts it here,
 * when a planned move ends: what was relayed is answered at once.
 */
static void
lengthen(const char *name)
{
	struct ifreq request = {.ifr_qlen = QUEUE_PACKETS};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name); /* open_queue() has looked at its length */
	if (fd < 0 || ioctl(fd, SIOCSIFTXQLEN, &request) < 0)
		log_warn("cannot lengthen the queues of the tun name=%s error=\"%m\"", name);
	if (fd >= 0)
		close(fd);
}

int
tun_open(const char *name, unsigned queues, int *fds)
{
	for (unsigned i = 0; i < queues; i++) {
		fds[i] = open_queue(name);
		if (fds[i] < 0) {
			int saved = errno;

			while (i-- > 0)
				close(fds[i]);
			errno = saved;
			return -1;
		}
	}
	accept_own_address(name);
	lengthen(name);
	return 0;
}

ssize_t
tun_read(int fd, uint8_t *buf)
{
	uint8_t *start = buf + TUN_ROOM - TUN_VNET_LEN;
	struct virtio_net_hdr header;
	ssize_t n;

	do {
		n = read(fd, start, TUN_VNET_LEN + TUN_READ_MAX);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if (n >= TUN_VNET_LEN)
		memcpy(&header, start, sizeof(header));
	if (n < TUN_VNET_LEN || header.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
		errno = n == 0 ? EPIPE : EPROTO;
		return -1;
	}
	return n - TUN_VNET_LEN;
}

int
tun_write(int fd, uint8_t *packet, size_t len)
{
	uint8_t *start = packet - TUN_VNET_LEN;
	ssize_t n;

	memset(start, 0, TUN_VNET_LEN);
	do {
		n = write(fd, start, TUN_VNET_LEN + len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}
