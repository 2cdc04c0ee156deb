/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the engine may ask for. Each verb is a row: its check for meaning, then its effect. The
 * engine may be in anybody's hands: a packet can be refused, but never harms the monitor. Effects
 * are the owner's, so that the checks can be tested and fuzzed without privileges.
 */
#ifndef PRIV_MONITOR_VERBS_H
#define PRIV_MONITOR_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "pptpd/conf/settings.h"
#include "pptpd/priv/priv_wire.h"

/* Each returns 0 or an errno; fd is borrowed. call answers later by itself. */
struct verb_ops {
	int (*listen)(void *arg, bool on);
	void (*call)(void *arg, bool add, uint32_t peer_ip, uint16_t call_id, uint32_t id);
	int (*route_add)(void *arg, uint32_t ip, bool serve);
	int (*route_del)(void *arg, uint32_t ip);
	int (*mark_closing)(void *arg, int fd);
	int (*silent_close)(void *arg, int fd);
	int (*reload)(void *arg);
	int (*wtmp)(void *arg, uint16_t call_id, const char *user, uint32_t peer_ip);
	/* A descriptor, which answer takes over; or -1 with errno. */
	int (*restore)(void *arg, const struct tcp_restore *r);
	int (*sniffer)(void *arg);
	int (*probe)(void *arg, int fd);
	void (*pong)(void *arg);
	bool (*is_call)(int fd); /* one of our control connections */
	/* fd: -1, or the callee's. */
	void (*answer)(void *arg, uint32_t id, int fd, int err);
};

struct verbs {
	const struct settings *settings; /* the owner's; it replaces them at a reload */
	const uint32_t *statics;         /* addresses that chap-secrets names, sorted */
	size_t n_statics;
	const struct verb_ops *ops;
	void *arg;
	struct log_limit *limit; /* may be NULL: silent */
	uint64_t now_ms;
	uint32_t listen; /* the address served, 0 = all: fixed at the start */
};

/* Runs one packet of the engine. Its descriptors stay the packet's. */
void verbs_run(struct verbs *v, const struct priv_packet *p);

#endif
