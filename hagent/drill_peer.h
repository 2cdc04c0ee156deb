/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Questions to the peer's agent over one SSH connection that is kept, so that an answer takes a
 * fraction of a millisecond: what compares two clocks needs that. Blocking; for processes of their
 * own.
 */
#ifndef HAGENT_DRILL_PEER_H
#define HAGENT_DRILL_PEER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "hagent/dial.h"

struct drill_peer {
	struct dial dial;
	struct ssh *ssh;
	struct ssh_channel *channel;
	unsigned id;
	char text[256]; /* why the last question has no good answer */
	char code[32];  /* the peer's word for it; "" = it was not heard */
};

/* 0, or -1 with text; drill_peer_fini() is due in both cases. */
int drill_peer_init(struct drill_peer *p, const struct hagent *h);
void drill_peer_fini(struct drill_peer *p);
/* The answer's data, new reference, or NULL with text. Steals args. Dials when it must, once. */
json_t *drill_peer_ask(struct drill_peer *p, const char *cmd, json_t *args, int timeout_ms);
/* Likewise of the agent of this gateway, or of its pptpd. */
json_t *drill_here_ask(struct drill_peer *p, const struct hagent *h, const char *socket_path,
    const char *cmd, json_t *args, int timeout_ms);

struct drill_clock {
	int64_t ahead_us, error_us; /* of the peer's monotonic clock */
	int64_t wall_ms;            /* its wall clock is ahead by that */
};
/* The best of some questions. 0, or -1 with text. */
int drill_peer_clock(struct drill_peer *p, struct drill_clock *out);

#endif
