/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The raw socket on which the engine sees the numbers that clients use: every TCP segment to the
 * PPTP port, IP header first. The filter cannot be taken off, and sending fails with EPIPE as long
 * as IP_HDRINCL stands, which the engine's system call filter keeps it from changing.
 */
#ifndef PRIV_SNIFFER_H
#define PRIV_SNIFFER_H

#include <stdint.h>

/* Non-blocking; ip = 0: any address. Needs CAP_NET_RAW. -1 with errno. */
int sniffer_open(uint32_t ip);

#endif
