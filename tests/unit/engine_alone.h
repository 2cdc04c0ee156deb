/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One engine without a peer: no connection can be continued, and the data plane has neither keys
 * nor counters.
 */
#ifndef UNIT_ENGINE_ALONE_H
#define UNIT_ENGINE_ALONE_H

#include "tests/unit/engine_rig.h"

void
priv_restore(struct priv *p, const struct tcp_restore *r, priv_fd_fn *done, void *arg)
{
	done(arg, -1, ENOSYS);
}

void
priv_probe(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	done(arg, ENOSYS);
}

void
dp_set_keys(struct dataplane *dp, struct dp_session *s, const uint8_t send_key[static 16],
    const uint8_t recv_key[static 16])
{
}

void
dp_disarm(struct dataplane *dp, struct dp_session *s)
{
}

void
dp_skip(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint64_t index)
{
}

int
dp_send_frame_at(struct dataplane *dp, struct dp_session *s, uint32_t seq, uint16_t protocol,
    const uint8_t *payload, size_t len)
{
	return dp_send_frame(dp, s, protocol, payload, len);
}

void
dp_relay(struct dataplane *dp, bool on)
{
}

int
dp_inject_gre(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	return -1;
}

int
dp_inject_ip(struct dataplane *dp, const uint8_t *packet, size_t len)
{
	return -1;
}

void
dp_down(struct dataplane *dp, struct dp_session *s)
{
}

void
dp_set_gate(struct dataplane *dp, struct dp_session *s, const struct keygate *g, uint32_t low_water)
{
}

void
dp_session_counters(const struct dp_session *s, struct dp_counters *c)
{
	memset(c, 0, sizeof *c);
}

#endif
