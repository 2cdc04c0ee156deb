/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the values of a cluster.conf must be to each other. A value that could not be read is zero
 * and is passed over, so that one mistake gives one message.
 */
#ifndef HAGENT_CLUSTER_CHECK_H
#define HAGENT_CLUSTER_CHECK_H

#include "hagent/cluster.h"
#include "hagent/outline.h"

/* Adds an error for each contradiction; o gives the lines. */
void cluster_check(
    const struct cluster *c, const char *file, const struct outline *o, struct conf_errors *e);

#endif
