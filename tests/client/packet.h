/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inner packets: IPv4 with an ICMP echo or UDP inside, built and read in user space. Each bears a
 * probe, which says what it is and when it was sent, and a pattern that betrays a damaged byte.
 * Pure: bytes in, struct out, and back.
 */
#ifndef CLIENT_PACKET_H
#define CLIENT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_IP_LEN    20
#define PACKET_HEADERS   28 /* IPv4 and ICMP echo, or IPv4 and UDP */
#define PACKET_PROBE_LEN 24 /* least payload */
#define PACKET_ICMP      1
#define PACKET_UDP       17

struct probe {
	uint32_t session;
	uint64_t seq;
	uint64_t sent_us;
};

struct packet {
	uint32_t src, dst;     /* host order */
	uint8_t protocol;      /* PACKET_ICMP, PACKET_UDP */
	uint8_t icmp_type;     /* 0 = echo reply, 8 = echo request */
	uint16_t id;           /* ICMP echo identifier */
	uint16_t sport, dport; /* UDP */
	struct probe probe;
};

/* RFC 1071 over len bytes, in host order; a packet with its checksum in place gives 0. */
uint16_t packet_checksum(const void *bytes, size_t len);
/*
 * Writes a whole packet with `payload` bytes behind the headers (p->icmp_type is sent as given).
 * Length, or 0 if payload is below PACKET_PROBE_LEN, the packet does not fit into size bytes, or
 * the protocol is another.
 */
size_t packet_build(const struct packet *p, size_t payload, uint8_t *out, size_t size);
/*
 * Reads one of our packets back. 0, or -1 with errno: EBADMSG = not a sound IPv4 packet,
 * ENOMSG = sound, but no probe (another protocol, a fragment, an ICMP error), EILSEQ = a probe
 * whose bytes were damaged.
 */
int packet_parse(const uint8_t *bytes, size_t len, struct packet *p);

#endif
