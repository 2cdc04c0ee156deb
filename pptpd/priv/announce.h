/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Telling a network that an address is here now: one gratuitous ARP request (RFC 5227 §2.3), so
 * that neighbours forget the gateway that had it before.
 */
#ifndef PRIV_ANNOUNCE_H
#define PRIV_ANNOUNCE_H

#include <stdint.h>

/* A socket to announce with, to be kept: closing one takes the kernel milliseconds. Needs
 * CAP_NET_RAW. -1 with errno. */
int announce_open(void);
/* 0, or -1 with errno (EOPNOTSUPP: no Ethernet). */
int announce_address(int fd, unsigned ifindex, uint32_t ip);

#endif
