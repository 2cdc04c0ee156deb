/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor does with control connections: the snapshot at accept, marks, and the close
 * without a packet. All need CAP_NET_ADMIN and return 0, or -1 with errno.
 */
#ifndef PRIV_TCP_SNAPSHOT_H
#define PRIV_TCP_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "pptpd/priv/priv.h"

/* ENOTCONN: already reset. Nothing is sent; data may arrive meanwhile. */
int tcp_snapshot_take(int fd, struct tcp_snapshot *t);
int tcp_set_mark(int fd, uint32_t mark);
/* Is it a connected IPv4 TCP socket with one of our marks of a live connection? */
bool tcp_is_call(int fd);
/* From here on the last close() of this socket sends nothing. */
int tcp_silence(int fd);

#endif
