/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Can the servers behind the tunnel be reached: an echo, the opening segment of a TCP connection
 * (answered with a reset), an empty UDP datagram. Built in user space, all at once, each said three
 * times. UDP that works says nothing, so only an ICMP error about it is a finding.
 */
#ifndef HAGENT_PROBE_TARGETS_H
#define HAGENT_PROBE_TARGETS_H

#include <jansson.h>

#include "hagent/client.h"
#include "hagent/cluster.h"

#define PROBE_TARGETS_MAX 512

struct probe_target {
	const char *name; /* of the api; borrowed */
	uint32_t address;
	unsigned protocol; /* enum cluster_protocol */
	uint16_t port;     /* 0 for ICMP */
};

/*
 * Those of cluster.conf: each port that stands there, and the first of each range. How many, at
 * most PROBE_TARGETS_MAX.
 */
size_t probe_targets_of(const struct cluster *c, struct probe_target out[PROBE_TARGETS_MAX]);

struct probe_targets;

/* done(arg) once, from the loop. NULL with errno ENOMEM. */
struct probe_targets *probe_targets_new(struct loop *l, struct pptp_client *c,
    uint64_t (*now_us)(void), const struct probe_target *v, size_t n, void (*done)(void *arg),
    void *arg);
void probe_targets_free(struct probe_targets *t); /* NULL is fine */
void probe_targets_input(struct probe_targets *t, const uint8_t *packet, size_t len);
/* The first that is known not to work, NULL if there is none; *what says it in words. */
const struct probe_target *probe_targets_failed(
    const struct probe_targets *t, char what[static 128]);
json_t *probe_targets_report(const struct probe_targets *t); /* new reference */

#endif
