/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sockets that outlived their process: after a crash the kernel keeps a control connection in
 * FIN-WAIT-1 until its FIN is acknowledged, which the guard prevents. Such an orphan owns the
 * addresses of a connection that is to be continued, answers the client from an old state, and
 * says its FIN again once the guard yields.
 */
#ifndef PRIV_SOCK_DIAG_H
#define PRIV_SOCK_DIAG_H

#include <stdint.h>

#include "pptpd/priv/priv.h"

/*
 * Ends the orphan that owns t's addresses. 0, or -1 with errno: ENOENT = no socket has them, EBUSY
 * = a process's socket has them, or listens there; EOPNOTSUPP = this kernel cannot. The kernel may
 * say RST for it, with the orphan's mark.
 */
int sock_diag_end_orphan(const struct tcp_snapshot *t);
/* Ends all orphans of local port `port` on ip (0 = any address); the number, or -1 with errno. */
int sock_diag_end_orphans(uint32_t ip, uint16_t port);

#endif
