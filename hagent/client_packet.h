/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IPv4 packets that a probe sends through its tunnel, and what it reads in those that come back: an
 * ICMP echo, the opening segment of a TCP connection, an empty UDP datagram, and the answers to
 * them. Pure: bytes in, struct out, and back. Addresses and ports are in host order.
 */
#ifndef HAGENT_CLIENT_PACKET_H
#define HAGENT_CLIENT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_PACKET_ICMP 1
#define CLIENT_PACKET_TCP  6
#define CLIENT_PACKET_UDP  17

#define CLIENT_PACKET_ECHO_HEADERS 28 /* IPv4 and ICMP */

#define CLIENT_PACKET_SYN 0x02
#define CLIENT_PACKET_RST 0x04
#define CLIENT_PACKET_ACK 0x10

struct client_packet {
	uint32_t from, to;
	uint8_t protocol;
	uint8_t type, code; /* ICMP */
	uint16_t id, seq;   /* ICMP echo */
	uint16_t mtu;       /* ICMP Fragmentation Needed */
	uint16_t sport, dport;
	uint32_t tcp_seq, tcp_ack;
	uint8_t flags;
	/* An ICMP error: what it is about. */
	bool is_error;
	uint32_t about_to;
	uint8_t about_protocol;
	uint16_t about_sport, about_dport; /* of an echo: 0 */
};

/* Each writes a whole packet with checksums and don't-fragment: its length, or 0: no room. */
size_t client_packet_echo(uint32_t from, uint32_t to, uint16_t id, uint16_t seq, size_t payload,
    uint8_t *out, size_t size);
/* A segment without data: SYN, or RST. */
size_t client_packet_tcp(uint32_t from, uint32_t to, uint16_t sport, uint16_t dport, uint32_t seq,
    uint8_t flags, uint8_t *out, size_t size);
size_t client_packet_udp(
    uint32_t from, uint32_t to, uint16_t sport, uint16_t dport, uint8_t *out, size_t size);

/* 0, or -1 with errno EBADMSG: no sound whole IPv4 packet of one of the three protocols. */
int client_packet_parse(const uint8_t *bytes, size_t len, struct client_packet *p);

#endif
