/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The socket that hears destination-unreachable messages about our GRE and our control connections.
 * With --strict a final one about GRE ends the session, as it ends pptp-linux at its next packet;
 * all are counted.
 */
#ifndef CLIENT_ICMP_IO_H
#define CLIENT_ICMP_IO_H

#include "tests/client/client.h"

int icmp_io_open(struct client *c); /* 0, or -1 with errno */
void icmp_io_close(struct client *c);

#endif
