/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The epoch: (counter, node), raised and synced to the disk at every promotion. The higher one is
 * in force; of equal counters, that of the node whose name sorts first. On the disk it is one line,
 * `COUNTER NODE`, replaced as a whole.
 */
#ifndef HAGENT_EPOCH_H
#define HAGENT_EPOCH_H

#include <stddef.h>
#include <stdint.h>

#include "hagent/cluster.h"

struct epoch {
	uint64_t counter;
	char node[CLUSTER_NAME_MAX];
};

/* 0, or -1 with errno EBADMSG. Counters go to INT64_MAX, as far as JSON's do. */
int epoch_parse(const char *text, struct epoch *out);
/* -1, 0, 1: a is lower, equal, higher. */
int epoch_compare(const struct epoch *a, const struct epoch *b);
/* A missing file is epoch 0 of nobody, and 0 is returned. -1 with errno otherwise. */
int epoch_read(const char *path, struct epoch *out);
/* Written aside, synced, renamed, and the folder synced. 0, or -1 with errno. May block: disk. */
int epoch_write(const char *path, const struct epoch *e);

#endif
