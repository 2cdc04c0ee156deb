/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inner IPv4 packets: what makes a header sound, and what to do when a packet is larger than the
 * session's MTU. Pure functions: bytes in, bytes out, no I/O, no allocation, nothing remembered.
 */
#ifndef DATA_IPMTU_H
#define DATA_IPMTU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPMTU_HEADER_MIN 20
#define IPMTU_HEADER_MAX 60
#define IPMTU_MIN        68  /* RFC 791: every link carries this much */
#define IPMTU_ICMP_MAX   576 /* RFC 1812 §4.3.2.3: an ICMP error's length at most */

struct ip4 {
	uint8_t header_len;
	uint8_t protocol;
	uint16_t total;  /* of the packet, <= the bytes given */
	uint16_t offset; /* of this fragment, in bytes */
	bool dont_fragment, more_fragments;
	uint32_t src, dst; /* host order */
};

/*
 * IPv4 header with a sound version, header length, total length and checksum; bytes beyond the
 * total length are padding. 0, or -1 with errno EBADMSG.
 */
int ipmtu_parse(const uint8_t *packet, size_t len, struct ip4 *ip);

/*
 * Lowers the MSS of a TCP SYN to what fits mtu, with its checksum. ip is what ipmtu_parse() said.
 * True: it was changed. A SYN without the option is left alone (its default, 536, fits any link).
 */
bool ipmtu_clamp_mss(uint8_t *packet, const struct ip4 *ip, uint16_t mtu);

/*
 * Cuts a packet into fragments of at most mtu bytes (RFC 791 §3.2), and passes each in order; it
 * may be changed in place, and IPMTU_EMIT_ROOM bytes in front of it are free. 0, or -1 with errno
 * EMSGSIZE: mtu out of IPMTU_MIN..IPMTU_FRAGMENT_MAX.
 */
typedef void ipmtu_emit_fn(void *arg, uint8_t *fragment, size_t len);
int ipmtu_fragment(
    const uint8_t *packet, const struct ip4 *ip, uint16_t mtu, ipmtu_emit_fn *emit, void *arg);
#define IPMTU_EMIT_ROOM    16   /* writable bytes in front of each emitted fragment */
#define IPMTU_FRAGMENT_MAX 2048 /* no session has a larger MTU (DP_FRAME_MAX) */

/*
 * Builds the ICMP error "fragmentation needed and DF set" (RFC 1191) from `from` to the packet's
 * source. Returns its length, or 0 where RFC 1122 §3.2.2 forbids an error: the packet is an ICMP
 * error itself, a later fragment, or its source names no single host.
 */
size_t ipmtu_frag_needed(const uint8_t *packet, const struct ip4 *ip, uint32_t from, uint16_t mtu,
    uint8_t out[static IPMTU_ICMP_MAX]);

/* The internet checksum (RFC 1071) of len bytes; 0 over a header that contains a right one. */
uint16_t ipmtu_checksum(const uint8_t *bytes, size_t len);

#endif
