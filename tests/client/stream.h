/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The books of one stream of numbered packets that come back as echoes: what was lost, what came
 * twice, what came out of order, and the longest time without an answer. Pure; time is an argument.
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_WINDOW 4096 /* numbers behind the highest that are remembered */

struct stream {
	uint64_t sent, received;
	uint64_t duplicates;
	uint64_t reordered; /* answered after a higher number was */
	uint64_t foreign;   /* never sent, or too old to tell from a duplicate */
	uint64_t down;      /* of those sent: while there was no link to send them on */
	uint64_t highest;   /* valid if received > 0 */
	uint64_t seen[STREAM_WINDOW / 64];
	uint64_t first_us, last_us, last_answer_us;
	uint64_t gap_us;
};

/* The number for the packet that is sent now. */
uint64_t stream_send(struct stream *s, uint64_t now_us);
/* True if the answer is a new one. */
bool stream_receive(struct stream *s, uint64_t seq, uint64_t now_us);
uint64_t stream_lost(const struct stream *s);
/* Longest time without an answer while packets were sent, silence at the end included. */
uint64_t stream_gap_us(const struct stream *s);

#endif
