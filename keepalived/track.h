/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's track file, by which the agent says whether this gateway may be MASTER: "0" it may,
 * "1" it must not (weight 0: FAULT, the peer takes over). keepalived watches it with inotify.
 */
#ifndef KEEPALIVED_TRACK_H
#define KEEPALIVED_TRACK_H

#include <stdbool.h>

/*
 * Writes the verdict in place, made 0600 if it is missing: one write() of the whole content, then
 * the close that keepalived waits for, so no reader sees half of it. 0, or -1 with errno.
 */
int track_write(const char *path, bool fault);

/* 0, or -1 with errno: EBADMSG = neither of the two. */
int track_read(const char *path, bool *fault);

/* Likewise a digit, 0..9, which keepalived adds to the priority (weight 1). */
int track_write_value(const char *path, unsigned value);
int track_read_value(const char *path, unsigned *value);

#endif
