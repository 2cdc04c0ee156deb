/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check's sessions: one client through each worker of the data plane, each with its own
 * address of 127.0.0.0/8. A session that ends is dialled again. Runs where nothing else runs: what
 * it parses comes from the daemon, but nothing that parses is to be root.
 */
#ifndef HAGENT_DEEP_RUN_H
#define HAGENT_DEEP_RUN_H

#include "hagent/deep.h"

/*
 * On channel (SOCK_SEQPACKET): the first message is what to do, {"server":"198.51.100.10","user":
 * ..,"password":..,"sessions":N}; then reports go out, one each DEEP_REPORT_MS. Runs until the
 * other end closes it. The exit status.
 */
int deep_run(int channel);

#endif
