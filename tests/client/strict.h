/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The receiver of the strictest real clients: the GRE numbers as Linux' pptp.c takes them, the key
 * counts as its ppp_mppe.c does. What these two would not forgive, a takeover must not do. The
 * widest jumps are kept, for the whole run and since the last mark. Pure.
 */
#ifndef CLIENT_STRICT_H
#define CLIENT_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strict_peaks {
	uint32_t numbers; /* most GRE numbers jumped over at once: 0 = none was missing */
	uint32_t keys;    /* most MPPE keys */
	uint64_t old;     /* packets dropped: number not above the last one */
	uint64_t deaf;    /* packets dropped: beyond the missing window */
	uint64_t too_far; /* packets whose count lies outside of the window of keys */
};

struct strict {
	bool started;
	uint32_t last;           /* number */
	uint32_t missing_window; /* a difference of so many or more is never taken; 0 = any is */
	bool halted;             /* after an error nothing is decrypted until a Reset-Ack */
	struct strict_peaks run, window;
};

void strict_init(struct strict *s, uint32_t missing_window); /* a new call; peaks stay */
void strict_mark(struct strict *s);                          /* a new window begins */
/*
 * Whether the frame (as GRE carries it) is taken. Any jump forward is, but for the missing window;
 * a number that is not above the last one is dropped, unless the frame is an LCP echo. Numbers are
 * compared without a sign, and the 256 around the wrap are special, as pptp.c has it. The first
 * packet of a call may bear any number.
 */
bool strict_take(struct strict *s, uint32_t seq, const uint8_t *frame, size_t len);
/* A packet was decrypted after stepping over so many keys. */
void strict_keys(struct strict *s, uint32_t skipped);
/* A packet came whose count is behind, or more than MPPE_SKIP_MAX keys ahead. */
void strict_too_far(struct strict *s);

#endif
