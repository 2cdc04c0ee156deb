/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The replica's socket: accepts the agent's process that joins us to the peer's engine, one stream
 * at a time, a newer one in place of the older. Bytes in go to replica_input(), bytes out wait in a
 * bounded buffer. Who may connect is decided by the socket's mode.
 */
#ifndef ENGINE_REPLICA_IO_H
#define ENGINE_REPLICA_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "pptpd/engine/replica.h"

#define REPLICA_UNSENT_MAX (32u << 20) /* a peer that is so far behind is hung up */

struct replica_io;

/* Takes listen_fd over. It serves `r`, which must outlive it. NULL: ENOMEM; then the fd is closed.
 * Streams wait until replica_io_open(). */
struct replica_io *replica_io_new(struct loop *l, int listen_fd, struct replica *r);
/* What a HELLO says is known now: streams are taken from here on. Idempotent; NULL: nothing. */
void replica_io_open(struct replica_io *io);
void replica_io_free(struct replica_io *io); /* hangs up; tells nobody */
/* replica_ops.send and hang_up. Safe from inside replica_input(). */
void replica_io_send(struct replica_io *io, const uint8_t *bytes, size_t len);
void replica_io_hang_up(struct replica_io *io, const char *why);
/* Puts out at once what waits, as far as the socket takes it: before the process ends. */
void replica_io_flush(struct replica_io *io);

#endif
