/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Destination-unreachable messages about our GRE or our control connections. Those that Linux
 * takes as final for a connected raw socket end pptp-linux at its next packet: with --strict they
 * end the session here too. The others are counted.
 */
#ifndef CLIENT_ICMP_IO_H
#define CLIENT_ICMP_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/client/client.h"

int icmp_io_open(struct client *c); /* 0, or -1 with errno */
void icmp_io_close(struct client *c);

struct unreachable {
	uint32_t from;           /* who says so */
	uint32_t source, target; /* of the packet that was not delivered */
	uint8_t code, protocol;  /* protocol of that packet */
	uint16_t source_port;    /* TCP */
};

/* A whole IPv4 packet; false if it is no destination-unreachable that quotes a packet. Pure. */
bool icmp_parse(const uint8_t *packet, size_t len, struct unreachable *u);
bool icmp_is_final(uint8_t code); /* icmp_err_convert[] of Linux */

#endif
