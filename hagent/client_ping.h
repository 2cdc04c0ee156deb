/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pings through a PPTP client, built and read in user space: one now and then, answers matched,
 * losses, round trips and the longest time without an answer. Embedded in its owner.
 */
#ifndef HAGENT_CLIENT_PING_H
#define HAGENT_CLIENT_PING_H

#include "hagent/client.h"

#define CLIENT_PING_FLIGHT 1024 /* unanswered ones that are remembered */

struct client_ping {
	struct pptp_client *client;
	struct timer timer;
	uint64_t (*now_us)(void);
	void (*answered)(void *arg, uint64_t rtt_us); /* may be NULL */
	void *arg;
	uint32_t target; /* host order */
	unsigned interval_ms, payload;
	uint16_t id, seq;
	uint64_t sent, received, duplicates;
	uint64_t begun_us;          /* the first was sent */
	uint64_t first_us, last_us; /* of the answers, at their arrival */
	/* The longest time between two answers, and the same from the sending of the first. */
	uint64_t gap_us, gap_end_us;
	uint64_t rtt_min_us, rtt_max_us, rtt_sum_us;
	uint64_t flight[CLIENT_PING_FLIGHT]; /* when sent, by number; 0 = answered or never */
};

/* payload: bytes behind the ICMP header, 8 at least. Sends nothing yet. */
void client_ping_init(struct client_ping *p, struct loop *l, struct pptp_client *c,
    uint64_t (*now_us)(void), uint32_t target, unsigned interval_ms, unsigned payload);
void client_ping_start(struct client_ping *p); /* the first at once, then every interval_ms */
void client_ping_stop(struct client_ping *p);  /* answers are still counted */
/* From the client's packet(): true if it was an answer to one of ours. */
bool client_ping_input(struct client_ping *p, const uint8_t *packet, size_t len);

#endif
