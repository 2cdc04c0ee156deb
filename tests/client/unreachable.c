/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Unreachable messages, read.
 */
#include "tests/client/unreachable.h"

#include <netinet/in.h>

#include "common/cursor.h"

#define DEST_UNREACH 3

bool
unreachable_is_final(uint8_t code)
{
	/* protocol, port; network or host unknown, isolated, forbidden; filtered, precedence */
	static const uint16_t final = 1u << 2 | 1u << 3 | 0x1fu << 6 | 7u << 13;

	return code < 16 && (final >> code & 1) != 0;
}

static bool
ip_header(struct rd *r, uint8_t *protocol, uint32_t *source, uint32_t *target)
{
	uint8_t version_ihl = rd_u8(r);
	size_t header = (size_t)(version_ihl & 15) * 4;

	rd_skip(r, 8);
	*protocol = rd_u8(r);
	rd_skip(r, 2);
	*source = rd_u32(r);
	*target = rd_u32(r);
	rd_skip(r, header > 20 ? header - 20 : 0);
	return rd_ok(r) && version_ihl >> 4 == 4 && header >= 20;
}

bool
unreachable_parse(const uint8_t *packet, size_t len, struct unreachable *u)
{
	struct rd r = rd_init(packet, len);
	uint8_t protocol, type;
	uint32_t to;

	*u = (struct unreachable){0};
	if (!ip_header(&r, &protocol, &u->from, &to) || protocol != IPPROTO_ICMP)
		return false;
	type = rd_u8(&r);
	u->code = rd_u8(&r);
	rd_skip(&r, 6);
	if (!rd_ok(&r) || type != DEST_UNREACH ||
	    !ip_header(&r, &u->protocol, &u->source, &u->target))
		return false;
	u->source_port = u->protocol == IPPROTO_TCP ? rd_u16(&r) : 0;
	return rd_ok(&r);
}
