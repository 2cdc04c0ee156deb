/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the monitor does with control connections: the snapshot at accept, marks, the close without
 * a packet, and the connection built again. All need CAP_NET_ADMIN and return 0, or -1 with errno.
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
/*
 * tcp_restore.c: a new socket, non-blocking and connected without a handshake, that goes on from r;
 * or -1 with errno (EADDRNOTAVAIL: another socket owns the addresses). Works with and without the
 * local address on this machine. One window probe is sent. now_ms: CLOCK_REALTIME.
 */
int tcp_restore_open(const struct tcp_restore *r, uint64_t now_ms);
/* The timestamp that goes on from t's: ahead of all that were sent, never a sign of microseconds.
 */
uint32_t tcp_restore_tsval(const struct tcp_snapshot *t, uint64_t now_ms);
/* Sends a window probe. Nobody may read or write meanwhile. */
int tcp_probe(int fd);

int tcp_set_option(int fd, int option, int value); /* of level IPPROTO_TCP */

#endif
