/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Windows.
 */
#include "tests/client/window.h"

void
window_open(struct window *w, uint64_t next, uint64_t since_us)
{
	*w = (struct window){.open = true, .from = next, .to = UINT64_MAX, .since_us = since_us};
}

static void
end_gap(struct window *w, uint64_t now_us)
{
	if (now_us > w->since_us && now_us - w->since_us > w->gap_us) {
		w->gap_us = now_us - w->since_us;
		w->gap_at_us = w->since_us;
	}
}

void
window_answer(struct window *w, uint64_t number, uint64_t now_us)
{
	if (w->open || now_us <= w->closed_us) {
		end_gap(w, now_us);
		w->since_us = now_us;
	}
	w->answered += number >= w->from && number < w->to;
}

void
window_close(struct window *w, uint64_t next, uint64_t now_us)
{
	if (!w->open)
		return;
	w->closed_us = now_us;
	w->to = next > w->from ? next : w->from;
	w->open = false;
}

uint64_t
window_gap_us(const struct window *w, uint64_t *from_us)
{
	bool silence = w->closed_us > w->since_us && w->closed_us - w->since_us > w->gap_us;

	*from_us = silence ? w->since_us : w->gap_at_us;
	return silence ? w->closed_us - w->since_us : w->gap_us;
}

uint64_t
window_sent(const struct window *w)
{
	return w->to - w->from;
}

uint64_t
window_lost(const struct window *w)
{
	return window_sent(w) - w->answered;
}
