/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The books of one stream.
 */
#include "tests/client/stream.h"

#include <string.h>

static uint64_t
bit_of(uint64_t seq)
{
	return (uint64_t)1 << seq % 64;
}

static uint64_t *
word_of(struct stream *s, uint64_t seq)
{
	return &s->seen[seq % STREAM_WINDOW / 64];
}

uint64_t
stream_send(struct stream *s, uint64_t now_us)
{
	if (s->sent == 0)
		s->first_us = now_us;
	s->last_us = now_us;
	return s->sent++;
}

/* Forgets what stood in the places of the numbers after highest, up to seq. */
static void
advance(struct stream *s, uint64_t seq)
{
	if (s->received == 0 || seq - s->highest >= STREAM_WINDOW)
		memset(s->seen, 0, sizeof(s->seen));
	else
		for (uint64_t i = s->highest + 1; i <= seq; i++)
			*word_of(s, i) &= ~bit_of(i);
	s->highest = seq;
}

bool
stream_receive(struct stream *s, uint64_t seq, uint64_t now_us)
{
	bool first = s->received == 0;
	uint64_t since_us = first ? s->first_us : s->last_answer_us;

	if (seq >= s->sent || (!first && seq + STREAM_WINDOW <= s->highest)) {
		s->foreign++;
		return false;
	}
	if (first || seq > s->highest) {
		advance(s, seq);
	} else if ((*word_of(s, seq) & bit_of(seq)) != 0) {
		s->duplicates++;
		return false;
	} else {
		s->reordered++;
	}
	*word_of(s, seq) |= bit_of(seq);
	s->received++;
	if (now_us - since_us > s->gap_us)
		s->gap_us = now_us - since_us;
	s->last_answer_us = now_us;
	return true;
}

uint64_t
stream_lost(const struct stream *s)
{
	return s->sent - s->received;
}

uint64_t
stream_gap_us(const struct stream *s)
{
	uint64_t since_us = s->received > 0 ? s->last_answer_us : s->first_us;
	uint64_t silent_us = s->sent > 0 && s->last_us > since_us ? s->last_us - since_us : 0;

	/* A stream whose last packets were answered is not silent, it has merely more to say. */
	if (s->received > 0 && s->highest + 1 == s->sent)
		silent_us = 0;
	return silent_us > s->gap_us ? silent_us : s->gap_us;
}
