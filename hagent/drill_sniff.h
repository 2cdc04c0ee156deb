/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The eyes of a drill on one gateway: a packet socket on the WAN interface that sees the heads of
 * the GRE packets of the virtual address, and nothing else. Runs in a process of its own.
 */
#ifndef HAGENT_DRILL_SNIFF_H
#define HAGENT_DRILL_SNIFF_H

#include <stdint.h>

#include "hagent/drill_watch.h"

struct drill_sniff {
	const char *interface;
	uint32_t address;   /* host order */
	const char *result; /* file: the watch's text, written when it ends */
	const char *cut;  /* file: eight bytes, the monotonic time of a cut here, in us; 0 = none */
	unsigned seconds; /* it ends by itself */
};

/* Until SIGTERM, or its time is over. 0, or -1 after a message on stderr. */
int drill_sniff_run(const struct drill_sniff *s);
int64_t drill_now_us(void);  /* monotonic */
int64_t drill_wall_us(void); /* since 1970 */
/* The file cut, made and mapped; NULL with errno. Its users are the sniffer and the guardian. */
volatile int64_t *drill_cut_map(const char *path);

#endif
