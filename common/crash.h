/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reports of crashes of the daemon's engine: when, on which node, of what, and the sessions (or
 * control connections; both by their id in the pair's life) that it had in hand. pptpd's monitor
 * writes its own to a file, the agent reads them and tells the peer's. A line a report:
 *
 *   1700000000000 gw1 signal-11 4317286382960641,4317286382960655
 *
 * `-` instead of the ids: it had none in hand.
 */
#ifndef COMMON_CRASH_H
#define COMMON_CRASH_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The monitor's file, in the state folder; the agent's, of what the peer told, has a name beside.
 */
#define CRASH_PATH      "/var/lib/pptp-ha/crashes"
#define CRASH_PEER_PATH CRASH_PATH ".peer"

#define CRASH_IDS       17 /* the main thread's and each worker's */
#define CRASH_REPORTS   16 /* kept: the newest */
#define CRASH_WORD      32 /* with its NUL */
#define CRASH_LINE_MAX  512
#define CRASH_WINDOW_MS 3600000 /* older ones count for nothing */

struct crash {
	int64_t at; /* ms since 1970 */
	char node[CRASH_WORD], cause[CRASH_WORD];
	uint64_t ids[CRASH_IDS]; /* not 0, each once */
	size_t n;
};

struct crashes {
	struct crash v[CRASH_REPORTS]; /* oldest first */
	size_t n;
};

/* One line without its newline. 0, or -1 with errno EBADMSG; *out is untouched then. */
int crash_parse(const char *line, size_t len, struct crash *out);
/* The line with its newline; its length. Node and cause are words of printable characters. */
size_t crash_format(const struct crash *c, char out[static CRASH_LINE_MAX]);
/* Adds c unless it is there (same time and node); the oldest makes room. */
void crash_add(struct crashes *all, const struct crash *c);
/* Adds an id unless it is 0, there, or there is no room. */
void crash_add_id(struct crash *c, uint64_t id);
/* At how many of the crashes of the window before now this id was in hand. */
unsigned crash_count(const struct crashes *all, uint64_t id, int64_t now);

/*
 * As JSON, those of the window before now: [{"at":MS,"node":"gw1","cause":"signal-11","ids":[N]}];
 * new reference. And back: 0, or -1 with errno EBADMSG, *out is untouched then.
 */
json_t *crash_to_json(const struct crashes *all, int64_t now);
int crash_from_json(const json_t *list, struct crashes *out);

/* A missing file is empty; lines that are none are passed over. 0, or -1 with errno. */
int crash_load(const char *path, struct crashes *out);
/* As a whole, by rename. 0, or -1 with errno. */
int crash_save(const char *path, const struct crashes *all);

#endif
