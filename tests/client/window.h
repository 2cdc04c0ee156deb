/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A part of the run between two marks, as one session lives it: the packets sent in it, those of
 * them that were answered, and the longest time between two answers. An answer that was due before
 * the window opens ends a gap, but is not counted. Pure; time is an argument.
 */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
	bool open;
	uint64_t from, to; /* numbers of the packets: from <= number < to */
	uint64_t answered;
	uint64_t since_us, gap_us; /* last answer; longest gap between two */
	uint64_t gap_at_us;        /* when that gap began */
	uint64_t closed_us;
};

/* next = number of the next packet; since_us = last answer, or whatever silence counts from. */
void window_open(struct window *w, uint64_t next, uint64_t since_us);
void window_answer(struct window *w, uint64_t number, uint64_t now_us); /* a new answer */
/*
 * What is read later still counts if it is to packets below `next`, and ends gaps if it had arrived
 * by now: the reader may be late.
 */
void window_close(struct window *w, uint64_t next, uint64_t now_us);
/* Of a closed one: the longest gap, silence at its end included, and when it began. */
uint64_t window_gap_us(const struct window *w, uint64_t *from_us);
uint64_t window_sent(const struct window *w);
uint64_t window_lost(const struct window *w);

#endif
