/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ICMP destination-unreachable: what it is about, and whether Linux takes it as final for a
 * connected raw socket, which is what pptp-linux has. Pure.
 */
#ifndef CLIENT_UNREACHABLE_H
#define CLIENT_UNREACHABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unreachable {
	uint32_t from;           /* who says so */
	uint32_t source, target; /* of the packet that was not delivered */
	uint8_t code, protocol;  /* protocol of that packet */
	uint16_t source_port;    /* TCP */
};

/* A whole IPv4 packet; false if it is no destination-unreachable that quotes a packet. Pure. */
bool unreachable_parse(const uint8_t *packet, size_t len, struct unreachable *u);
bool unreachable_is_final(uint8_t code); /* icmp_err_convert[] of Linux */

#endif
