/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report of a run: JSON on stdout, and whether all that was asked for was had.
 */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include <jansson.h>

#include "tests/client/client.h"
#include "tests/client/samples.h"

bool report_print(struct client *c); /* true = exit 0 */
/* n, min, median, p99, max, divided by `per`; null if there are none. */
json_t *report_quantiles(struct samples *s, double per);

#endif
