/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A PPTP client's bytes over sockets: TCP, and GRE over a raw socket, which needs CAP_NET_RAW or
 * comes from somebody who has it. The kernel hands us what is sent to our address,
 * and the ICMP errors about what we sent; don't-fragment is set and its answers are reported.
 */
#ifndef HAGENT_CLIENT_IO_H
#define HAGENT_CLIENT_IO_H

#include "hagent/client.h"

struct client_io;

/* A raw socket for GRE, non-blocking; -1 with errno EPERM without CAP_NET_RAW. */
int client_io_open_gre(void);
/*
 * gre_fd is taken over, also on failure: a socket of client_io_open_gre() that was never used, or
 * -1 to open one here. NULL with errno.
 */
struct client_io *client_io_new(struct loop *l, const struct pptp_client_options *o, int gre_fd,
    const struct pptp_client_ops *ops, void *arg);
void client_io_free(struct client_io *io); /* the client with it; NULL is fine */
/* The client on it, the io's own: start it with pptp_client_start(). */
struct pptp_client *client_io_client(struct client_io *io);
uint64_t client_io_now_us(void); /* the clock of its times */

#endif
