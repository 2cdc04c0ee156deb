/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How both processes lose what they do not need. The engine becomes an ordinary user without any
 * capability before it is re-executed, and gets its system call filter after (sandbox_engine() in
 * priv.h); the monitor stays uid 0 with three capabilities. Both: 0, or -1 with errno.
 */
#ifndef PRIV_SANDBOX_H
#define PRIV_SANDBOX_H

#include <sys/types.h>

/* In the forked child: user, groups, no capability ever again, dies with the parent. */
int sandbox_become(const char *user, uid_t uid, gid_t gid, pid_t parent);
/* Monitor: CAP_NET_ADMIN (TCP_REPAIR, marks, routes), CAP_NET_RAW, CAP_KILL (the engine) and no
 * more. */
int sandbox_monitor(void);
/* The filter alone, as sandbox_engine() installs it. */
int sandbox_filter(void);

#endif
