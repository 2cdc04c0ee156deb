/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What stands in a line of the log: `some words key=value key="va lue"`. The words before the first
 * pair name the event. Pure.
 */
#ifndef COMMON_LOG_FIELDS_H
#define COMMON_LOG_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_KEY_MAX 32

struct log_pair {
	char key[LOG_KEY_MAX]; /* lower-case letters, digits, underscores */
	const char *value;     /* in the line, without quotes; escapes are as they stand */
	size_t value_len;
};

/* The event's name: that many bytes of the line. *rest is where its pairs begin. */
size_t log_event(const char *line, const char **rest);
/* The next pair; words that are none are passed over. false: there are no more. */
bool log_next_pair(const char **rest, struct log_pair *out);

#endif
