/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report of a run: JSON on stdout, and whether all that was asked for was had.
 */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include "tests/client/client.h"

bool report_print(struct client *c); /* true = exit 0 */

#endif
