/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The journal: one JSON object a line, only ever appended; at JOURNAL_FILE_MAX the file is put
 * aside as `.1`, replacing an older one. Four kinds of lines:
 *
 *   {"time":T,"kind":"step","id":7,"epoch":3,"transition":"MASTER","step":"gate","result":"ok",
 *    "ms":4,"detail":""}
 *   {"time":T,"kind":"transition","id":7,"epoch":3,"transition":"MASTER","result":"done","ms":31,
 *    "slowest":"promote","slowest_ms":17,"detail":"why it began"}
 *   {"time":T,"kind":"move","id":9,"epoch":3,"result":"moved","way":"handover","to":"gw2",
 *    "sessions":200,"ms":160,"given_ms":110,"begun":T,"why":"switchover","text":""}
 *   {"time":T,"kind":"event","event":"keepalived-died","detail":"..."}
 *
 * T is UTC with milliseconds. A disk that takes no more costs lines, never a transition.
 */
#ifndef HAGENT_JOURNAL_H
#define HAGENT_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_FILE_MAX (4 << 20)
#define JOURNAL_RECENT   200

struct journal {
	char *path;
	int fd;
	bool failing; /* the last line did not get out; said once */
	uint64_t lost;
	json_t *recent; /* the last JOURNAL_RECENT lines, for who must not wait for the disk */
};

/* Copies path; the file is made 0600. -1 with errno: lines are lost until it can be opened. */
int journal_open(struct journal *j, const char *path);
void journal_close(struct journal *j);
/* Puts the time first and writes the line; steals o. */
void journal_add(struct journal *j, json_t *o);
/* {"kind":"event",...} with a detail. */
void journal_event(struct journal *j, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A line that was there before: into what is remembered alone. */
void journal_remember(struct journal *j, json_t *line);
/* Of the lines that are remembered the last limit, oldest first: new reference. */
json_t *journal_recent(const struct journal *j, size_t limit);

/*
 * The last limit lines that are JSON objects, oldest first; of at most the last 512 KiB. An empty
 * array for a missing file, NULL with errno otherwise. Half a line at the end is passed over.
 */
json_t *journal_tail(const char *path, size_t limit);

/* "2026-11-21T04:18:31.123Z" of ms since 1970, and back: -1 = no such text. */
void journal_time(int64_t unix_ms, char out[static 25]);
int64_t journal_unix_ms(const char *time);
int64_t journal_now_ms(void); /* the wall clock */

#endif
