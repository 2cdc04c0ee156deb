/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log: four verbs, one line an event, `event text key=value key="va lue"`. The sink is the one
 * mutable global of the project. It is stderr, or for processes without a file system any
 * descriptor; where stderr is systemd's journal each line is an entry with fields of its own:
 * SYSLOG_IDENTIFIER, PPTP_HA_NODE, PPTP_HA_EVENT, and PPTP_HA_KEY of each pair (log_fields.h); a
 * daemon without a stderr logs to the journal or to syslog. Thread-safe: a line leaves in one
 * system call. Secrets and keys are never passed to it.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name stands in each line: "pptpd[gw1]". fd < 0 means stderr. debug opens log_debug(). */
void log_init(const char *name, int fd, bool debug);
void log_set_debug(bool debug);
bool log_debugging(void);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Logs at error level and exits with status 1: for start-up only. */
void log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * A string from outside, quoted for a log line or an error: printable ASCII as is, the rest as \xNN
 * (also " and \, so that the caller may stand it between quotes), at most 96 characters of result,
 * then "...". Returns one of 4 rotating thread-local buffers.
 */
const char *log_quote(const char *s, size_t len);

/*
 * Rate limit for messages that input from outside can cause: a token bucket per key (a peer's IPv4
 * address, or 0 for all). True = log it. Holds `slots` peers, direct-mapped, so a flood of peers
 * only shares buckets. *suppressed, if not NULL, gets the count swallowed since the last true.
 */
struct log_limit;
struct log_limit *log_limit_new(unsigned per_minute, unsigned slots);
void log_limit_free(struct log_limit *l);
bool log_limit_ok(struct log_limit *l, uint32_t key, uint64_t now_ms, unsigned *suppressed);

#endif
