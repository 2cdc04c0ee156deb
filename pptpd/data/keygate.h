/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which GRE number and which MPPE key index a transmit half may use next (docs/takeover.md). No two
 * gateways ever use the same key index of a session, because below the mark only the active sends,
 * and at or above it each side keeps to a class of its own, or to nothing at all. Pure.
 */
#ifndef DATA_KEYGATE_H
#define DATA_KEYGATE_H

#include <stdbool.h>
#include <stdint.h>

/* Classes of key indices, or-ed. */
#define KEYS_NONE 0
#define KEYS_EVEN 1
#define KEYS_ODD  2
#define KEYS_ALL  3

#define KEYGATE_SHUT UINT64_MAX /* no index may be used */

struct keygate {
	uint32_t mark_seq;   /* first GRE number that is not ours, when high is KEYS_NONE */
	uint64_t mark_index; /* first key index at which `high` counts */
	uint8_t low;         /* classes below the mark */
	uint8_t high;        /* classes at the mark and above */
};

/* Every key of these classes, no mark: nobody holds a copy. */
struct keygate keygate_free(uint8_t classes);
/* The smallest index >= index that may be used, or KEYGATE_SHUT. */
uint64_t keygate_index(const struct keygate *g, uint64_t index);
/* A frame with this number may leave. */
bool keygate_number(const struct keygate *g, uint32_t seq);
/* Numbers left below the mark; UINT32_MAX without a limit. */
uint32_t keygate_left(const struct keygate *g, uint32_t seq);
/* Packets with a key that can leave below the mark: by number and by key; UINT32_MAX without a
 * limit. */
uint32_t keygate_packets(const struct keygate *g, uint32_t seq, uint64_t index);
/*
 * The same, limited to `ahead` numbers from seq on and to the keys that these can take from index
 * on (which *g permits): low = the classes that are open, high = none. A limit that is in force is
 * never lifted: somebody may rely on it.
 */
struct keygate keygate_limit(const struct keygate *g, uint32_t seq, uint64_t index, uint32_t ahead);

#endif
