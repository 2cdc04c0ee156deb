/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one raw socket that carries the GRE of all sessions. We write the outer IP header ourselves,
 * so any local address can be the source, and attacks can use foreign ones.
 */
#ifndef CLIENT_GRE_IO_H
#define CLIENT_GRE_IO_H

#include "tests/client/client.h"

int gre_io_open(struct client *c); /* 0, or -1 with errno: needs CAP_NET_RAW */
void gre_io_close(struct client *c);
/* Everything behind the IP header. A send that fails is counted, as a network would lose it. */
void gre_io_send(struct client *c, uint32_t source, const uint8_t *bytes, size_t len);

#endif
