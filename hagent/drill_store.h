/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The reports of drills: one file ID.json each in the state folder's drills/, the newest
 * DRILL_KEEP of them. An ID sorts by time. The folder is given with its root.
 */
#ifndef HAGENT_DRILL_STORE_H
#define HAGENT_DRILL_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "hagent/drill.h"

#define DRILL_KEEP 100

/* "20261121T184500Z-gw1" */
void drill_id_make(int64_t now_ms, const char *node, char out[static DRILL_ID_MAX]);
/* It may be the name of a file: digits, letters, - and _ only. */
bool drill_id_valid(const char *id);
/* Whole or not at all, and the oldest beyond DRILL_KEEP go. 0, or -1 with errno. */
int drill_store_write(const char *folder, const char *id, const json_t *report);
/* NULL with errno; ENOENT, EBADMSG. */
json_t *drill_store_read(const char *folder, const char *id);
/* Ids, newest first: an array, empty where there is none. */
json_t *drill_store_ids(const char *folder);
/* Summaries, newest first, at most that many. */
json_t *drill_store_list(const char *folder, unsigned limit);

#endif
