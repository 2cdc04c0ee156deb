/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How far long work is: one line on stderr that is drawn over itself and wiped away at the end, if
 * stderr is a terminal; nothing otherwise.
 */
#ifndef HAGENT_PROGRESS_H
#define HAGENT_PROGRESS_H

#include <jansson.h>
#include <stdint.h>

#include "hagent/hagent.h"
#include "hagent/term.h"

struct progress {
	struct term term;
	int64_t begun_ms;
	bool drawn;
};

void progress_begin(struct progress *p);
/* The line: the text, and since when it has been going on. Cut to the terminal's width. */
void progress_say(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void progress_end(struct progress *p);

#define PROGRESS_BAR 20
/* "[#####...............] 203 of 812" of a work of that size; "" where it has none. Returns out. */
const char *progress_bar(long long done, long long of, char out[static PROGRESS_BAR + 64]);

/*
 * answer_call() of the agent's socket. While it lasts the line is what tell() says of the agent's
 * status, which is asked for on another connection.
 */
json_t *progress_call(const struct hagent *h, const char *cmd, json_t *args, int timeout_ms,
    void (*tell)(struct progress *p, const json_t *status));
/* For it: a planned move, from either side. */
void progress_tell_move(struct progress *p, const json_t *status);

#endif
