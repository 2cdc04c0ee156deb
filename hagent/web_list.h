/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of sessions as `hagent web` keeps it: read from the daemon page by page, filtered,
 * sorted and cut into pages for who asks. Pure.
 */
#ifndef HAGENT_WEB_LIST_H
#define HAGENT_WEB_LIST_H

#include <jansson.h>

#include "hagent/web_query.h"

/*
 * all: array of entries as status.sock gives them. q->limit 0 = limit. New reference:
 * {"total","matched","sessions":[...],"next":OFFSET|null}; NULL with ENOMEM.
 */
json_t *web_list_page(const json_t *all, const struct web_query *q, unsigned limit);

#endif
