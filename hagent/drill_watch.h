/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What one gateway saw of the sessions during a drill: of each call, when data went to its client
 * and which of the client's packets came. Fed with the heads of GRE packets; memory is bounded.
 * Written as text, read back by the gateway that makes the report of both. Pure but for stdio.
 *
 * Times are in units of 10 us since the watch began.
 */
#ifndef HAGENT_DRILL_WATCH_H
#define HAGENT_DRILL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hagent/drill_runs.h"

#define DRILL_UNIT_US   10
#define DRILL_FLOWS     131072 /* at most: two for each session */
#define DRILL_BUCKET_MS 10
#define DRILL_BUCKETS   60000 /* ten minutes */
#define DRILL_SNAP      64    /* bytes of a packet that are looked at */

enum drill_way {
	DRILL_DOWN, /* to a client; call = its id */
	DRILL_UP,   /* from a client; call = our id */
};

struct drill_flow {
	struct drill_flow *next; /* in its hash chain */
	uint32_t client;         /* host order */
	uint16_t call;
	uint8_t way;               /* enum drill_way */
	uint32_t first, last;      /* time of the first and the last packet */
	uint64_t packets, data;    /* data: encrypted ones, not PPP's own */
	struct drill_runs times;   /* down: of data; up: of all */
	struct drill_runs numbers; /* up: the client's sequence numbers that came */
};

struct drill_watch {
	int64_t begun_us, ended_us; /* monotonic clock of this node */
	struct drill_flow **buckets;
	unsigned n_flows;
	uint64_t packets, dropped; /* dropped: by the kernel, unseen */
	uint64_t overflow;         /* packets of flows beyond DRILL_FLOWS */
	uint64_t malformed;
	uint32_t *rate; /* data packets to clients, each DRILL_BUCKET_MS */
	unsigned n_rate, room_rate;
	int64_t cut_us; /* from then on nothing came, whatever was seen; 0 = always */
};

/* 0, or -1 with errno. */
int drill_watch_init(struct drill_watch *w, int64_t now_us);
void drill_watch_fini(struct drill_watch *w);
/* The first bytes of an IP packet; out: it left this gateway. */
void drill_watch_feed(
    struct drill_watch *w, const uint8_t *packet, size_t len, bool out, int64_t now_us);
/* NULL = nothing was seen of it. */
const struct drill_flow *drill_watch_find(
    const struct drill_watch *w, enum drill_way way, uint32_t client, uint16_t call);
/* The next one behind *i, for a walk that begins with 0; NULL = no more. */
const struct drill_flow *drill_watch_next(
    const struct drill_watch *w, unsigned *i, const struct drill_flow *f);

void drill_watch_write(const struct drill_watch *w, FILE *out);
/* Fills an initialised one from such a text. 0, or -1 with errno EBADMSG. */
int drill_watch_read(struct drill_watch *w, const char *text);

#endif
