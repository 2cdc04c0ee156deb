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
	if (w->open) {
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
	end_gap(w, now_us);
	w->to = next > w->from ? next : w->from;
	w->open = false;
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
