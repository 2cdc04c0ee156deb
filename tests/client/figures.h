/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The figures of a window: what a fault in it did to the sessions that were up when it began. A
 * loss is a loss, also when the session has dialled again since.
 */
#ifndef CLIENT_FIGURES_H
#define CLIENT_FIGURES_H

#include <jansson.h>

#include "tests/client/client.h"

void figures_open(struct client *c, const char *name); /* a window begins now, in all sessions */
void figures_close(struct client *c);                  /* and ends now */
json_t *figures_report(const struct client *c);        /* of the window that was closed */
/* Jumps, and what a strict receiver dropped, over the whole run. */
json_t *figures_strict(const struct client *c);

#endif
