/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a session sends through its tunnel: ICMP echo requests and datagrams to an echo server, at a
 * rate of their own, also while the link is down: those count as lost, as they would be for a user.
 */
#ifndef CLIENT_TRAFFIC_H
#define CLIENT_TRAFFIC_H

#include "common/loop.h"
#include "tests/client/packet.h"
#include "tests/client/stream.h"
#include "tests/client/window.h"

struct session;

struct traffic {
	struct session *session;
	struct stream ping, udp;
	struct window window; /* of the pings, or of the datagrams if there are none */
	struct timer timer;
	struct timer grace; /* answers to the last packets may still come */
	uint64_t began_us;
	uint64_t damaged;            /* answers that did not bear what was sent */
	bool started, stopped, done; /* stopped = sends no more; done = waits no more */
};

void traffic_init(struct traffic *t, struct session *s);
void traffic_fini(struct traffic *t);
void traffic_start(struct traffic *t); /* the link came up; only the first time counts */
void traffic_stop(struct traffic *t);
bool traffic_wanted(const struct traffic *t); /* the command line asks for any */
void traffic_answer(struct traffic *t, const struct packet *p);
/* A window begins, ends. */
void traffic_mark(struct traffic *t, uint64_t now_us);
void traffic_unmark(struct traffic *t, uint64_t now_us);
/* A regular packet of the session, as attacks imitate it; length or 0. */
size_t traffic_imitate(struct traffic *t, uint32_t source, uint8_t *out, size_t size);

#endif
