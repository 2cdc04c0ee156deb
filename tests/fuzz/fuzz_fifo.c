/* link: keepalivedfmt */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's fifo: a line that was understood says the same when it is written again, and lines
 * do not depend on how the reads cut them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keepalived/fifo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned good, bad;
	struct fifo_line last;
};

static void
on_line(const struct fifo_line *line, const char *text, size_t len, void *arg)
{
	struct seen *seen = arg;
	struct fifo_line again;
	char written[FIFO_LINE_MAX];

	if (!line) {
		seen->bad++;
		return;
	}
	seen->good++;
	memset(&seen->last, 0, sizeof(seen->last));
	seen->last = *line;
	int n = snprintf(written, sizeof(written), "%s \"%s\" %s %u",
	    line->group ? "GROUP" : "INSTANCE", line->name, fifo_event_name(line->event),
	    line->priority);
	/* A bare name may hold a quote, which one in quotes cannot. */
	if (!strchr(line->name, '"') &&
	    (fifo_parse(written, (size_t)n, &again) < 0 || strcmp(again.name, line->name) != 0 ||
		again.event != line->event || again.priority != line->priority ||
		again.group != line->group))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fifo_buffer whole = {.n = 0}, cut = {.n = 0};
	struct seen a = {0}, b = {0};
	const char *text = (const char *)data;

	fifo_feed(&whole, text, size, on_line, &a);
	for (size_t at = 0, n = 1; at < size; at += n, n = n % 7 + 1)
		fifo_feed(&cut, text + at, size - at < n ? size - at : n, on_line, &b);
	if (a.good != b.good || a.bad != b.bad || strcmp(a.last.name, b.last.name) != 0)
		abort();
	return 0;
}
