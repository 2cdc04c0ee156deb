/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets that another process is to handle, and those that it relayed to us.
 */
#include <errno.h>

#include "common/log.h"
#include "pptpd/data/internal.h"

void
dp_relay(struct dataplane *dp, bool on)
{
	(void)dp;
	if (on)
		log_warn("relaying is not possible");
}

int
dp_inject_gre(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	(void)dp, (void)packet, (void)len;
	errno = ENOSYS;
	return -1;
}

int
dp_inject_ip(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	return dp_inject_gre(dp, packet, len);
}
