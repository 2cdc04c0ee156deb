/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loopback account: with it the agent keeps PPTP sessions of its own with the daemon, from this
 * gateway to the virtual address, one through each worker of the data plane (the deep check). The
 * daemon accepts it from 127.0.0.0/8 alone, which no packet from outside may bear. Here is what
 * daemon, agent and firewall rules have agreed on.
 */
#ifndef COMMON_LOOPBACK_H
#define COMMON_LOOPBACK_H

#include <stdbool.h>
#include <stdint.h>

#define LOOPBACK_USER         "pptp-ha-loopback"
#define LOOPBACK_SESSIONS     16 /* at most, as there are workers */
#define LOOPBACK_PASSWORD_MIN 16
#define LOOPBACK_PASSWORD_MAX 64

/* Where session n comes from: 127.0.0.2 .. 127.0.0.17 */
static inline uint32_t
loopback_source(unsigned n)
{
	return 0x7f000002u + n;
}

static inline bool
loopback_is_source(uint32_t ip)
{
	return ip >> 24 == 127;
}

/* Which one an address of 127.0.0.0/8 means. */
static inline unsigned
loopback_number(uint32_t source)
{
	return (source - loopback_source(0)) % LOOPBACK_SESSIONS;
}

/*
 * The address of session n inside its tunnel. 192.0.0.8 is the "dummy address" (RFC 7600 §4.8); the
 * further ones stand in what IANA keeps for protocols, 192.0.0.0/24, and is assigned to nobody.
 * None of them ever leaves this gateway. firewall/gateway.nft.in names them, too.
 */
static inline uint32_t
loopback_address(unsigned n)
{
	return n == 0 ? 0xc0000008u : 0xc0000010u + n;
}

static inline bool
loopback_is_address(uint32_t ip)
{
	return ip == 0xc0000008u || (ip > 0xc0000010u && ip < 0xc0000010u + LOOPBACK_SESSIONS);
}

#endif
