/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One packet from or to a TUN queue, each with its virtio header: the only place that knows it.
 */
#ifndef DATA_TUN_H
#define DATA_TUN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TUN_VNET_LEN 10 /* struct virtio_net_hdr, without num_buffers */
#define TUN_ROOM     16 /* bytes in front of a packet that the calls below may use */
#define TUN_READ_MAX 65535

/*
 * Reads one packet; it starts at buf + TUN_ROOM, and the bytes before it are free afterwards. buf
 * holds TUN_ROOM + TUN_READ_MAX bytes. Its length, or -1 with errno: EAGAIN = none there; EPROTO =
 * skipped one with an offload that is off.
 */
ssize_t tun_read(int fd, uint8_t *buf);
/* Writes one whole packet; the TUN_ROOM bytes in front of it are overwritten. 0 or -1 with errno.
 */
int tun_write(int fd, uint8_t *packet, size_t len);

#endif
