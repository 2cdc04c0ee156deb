/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that open and say nothing: what a server must not be delayed by.
 */
#ifndef CLIENT_SILENT_H
#define CLIENT_SILENT_H

#include "tests/client/options.h"

int silent_run(const struct options *o); /* the exit status: 0 = all were opened */

#endif
