/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The strict receiver.
 */
#include "tests/client/strict.h"

#include "common/cursor.h"
#include "pptpd/ppp/ppp.h"

#define NEAR_WRAP      0xffffff00u
#define LCP_ECHO_REQ   9
#define LCP_ECHO_REPLY 10

void
strict_init(struct strict *s, uint32_t missing_window)
{
	s->started = s->halted = false;
	s->missing_window = missing_window;
}

void
strict_mark(struct strict *s)
{
	s->window = (struct strict_peaks){0};
}

static bool
is_lcp_echo(const uint8_t *frame, size_t len)
{
	struct rd r = rd_init(frame, len);
	bool lcp = rd_u16(&r) == 0xff03 && rd_u16(&r) == PPP_LCP;
	uint8_t code = rd_u8(&r);

	return rd_ok(&r) && lcp && (code == LCP_ECHO_REQ || code == LCP_ECHO_REPLY);
}

static bool
is_old(const struct strict *s, uint32_t seq)
{
	/* pptp.c's comparison: last + 1 wraps to 0, and then everything is new. */
	return seq < s->last + 1 || ((s->last & NEAR_WRAP) == 0 && (seq & NEAR_WRAP) == NEAR_WRAP);
}

bool
strict_take(struct strict *s, uint32_t seq, const uint8_t *frame, size_t len)
{
	if (!s->started) {
		s->started = true;
		s->last = seq;
		return true;
	}
	if (is_old(s, seq)) {
		if (is_lcp_echo(frame, len))
			return true;
		s->run.old++;
		s->window.old++;
		return false;
	}
	if (s->missing_window != 0 && seq - s->last >= s->missing_window) {
		s->run.deaf++;
		s->window.deaf++;
		return false;
	}
	if (seq - s->last - 1 > s->window.numbers)
		s->window.numbers = seq - s->last - 1;
	if (s->window.numbers > s->run.numbers)
		s->run.numbers = s->window.numbers;
	s->last = seq;
	return true;
}

void
strict_keys(struct strict *s, uint32_t skipped)
{
	if (skipped > s->window.keys)
		s->window.keys = skipped;
	if (skipped > s->run.keys)
		s->run.keys = skipped;
}

void
strict_too_far(struct strict *s)
{
	s->run.too_far++;
	s->window.too_far++;
	s->halted = true;
}
