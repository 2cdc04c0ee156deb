/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A pipe to a socket: what comes in on one descriptor goes into the socket, what the socket says
 * goes out on another one, until the socket ends.
 */
#ifndef SYNC_RELAY_H
#define SYNC_RELAY_H

/* Connects to a UNIX stream socket: a descriptor, or -1 with errno. */
int relay_connect(const char *path);
/*
 * Moves bytes until the socket has said its last one or cannot be written any more, or out cannot.
 * The end of in is passed on as a shutdown. Makes all three non-blocking. 0, or -1 with errno.
 */
int relay_run(int in, int out, int sock);

#endif
