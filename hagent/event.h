/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One event of a gateway's logs: when, which program, how bad, and one line of text. Parsers from
 * what a gateway keeps: our programs' own log lines, the transition journal, the audit log, and
 * journald. Pure. Text becomes printable ASCII.
 */
#ifndef HAGENT_EVENT_H
#define HAGENT_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define EVENT_TEXT_MAX 2048

struct event {
	int64_t ms;       /* since 1970; -1 = the line does not say */
	char program[32]; /* "pptpd", "hagent", "hagent-link", "keepalived", "journal", "sync" */
	char level[8];    /* "error", "warning", "info", "debug" */
	char text[EVENT_TEXT_MAX];
};

/* "2026-11-21T18:38:40.876Z pptpd[gw1] info: text". Anything else is text without a time. */
void event_of_log(const char *line, struct event *out);
/* A line of the journal (journal.h), as key=value. false: it is none. */
bool event_of_journal(const char *line, struct event *out);
bool event_is_step(const char *journal_line); /* only the journal has those */
/* A line of audit.log or serve.log. false: it is none. */
bool event_of_audit(const char *line, struct event *out);
/* A line of `journalctl -o json`. *cursor is borrowed from entry. false: it has no message. */
bool event_of_journald(const json_t *entry, struct event *out, const char **cursor);

/* "2026-11-21T18:38:40Z", with milliseconds or without: ms since 1970, -1 = no such text. */
int64_t event_time(const char *text);
/*
 * A moment that an operator names: an age ("90s", "15m", "2h", "3d"), a time ("18:38", "18:38:40":
 * the last one that was), or both ("2026-11-21 18:38", "2026-11-21T18:38:40Z"), all in UTC. -1 = no
 * such text.
 */
int64_t event_since(const char *text, int64_t now_ms);

/* On the way between gateways: [ms, program, level, text]. */
json_t *event_pack(const struct event *e);
bool event_unpack(const json_t *packed, struct event *out);
/* {"time","node","program","level","event","text","fields":{...}}: fields are the key=value ones.
 */
json_t *event_json(const struct event *e, const char *node);

#endif
