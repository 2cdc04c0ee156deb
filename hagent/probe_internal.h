/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The inside of a probe, for its own files.
 */
#ifndef HAGENT_PROBE_INTERNAL_H
#define HAGENT_PROBE_INTERNAL_H

#include "hagent/client_ping.h"
#include "hagent/probe.h"

struct probe {
	struct loop *loop;
	const struct probe_options *o;
	const struct probe_ops *ops;
	void *arg;
	struct client_io *io; /* NULL: the carrier is the caller's */
	struct pptp_client *client;
	uint64_t (*now_us)(void);
	enum probe_phase phase;
	struct timer timer; /* of the phase */
	struct timer done_timer;
	const char *step, *why; /* of the failure; why is NULL while there is none */
	char text[256];         /* its detail, where the client has none */

	uint32_t target;
	struct client_ping ping, large, held;
	struct client_ping unanswered; /* what ping was before the server's end was asked */
	bool asked_server;
	unsigned mtu, passes, fails, large_size;
	struct probe_targets *targets;
	struct probe_http *http;
	uint64_t begin_us, hold_us, lost_us, end_us;
};

/* A failure, with the session's end; the first one counts. Both strings are constants. */
void probe_fail(struct probe *p, const char *step, const char *why);

#endif
