/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A gateway's own events, page by page, in the order of time: from journald where it runs, else
 * from our programs' log files in /var/log; the steps of transitions from the journal, and all of
 * it where no log is kept; transfers of files and what the peer asked for from their logs. Blocks
 * on files and on journalctl: the agent calls it in a child.
 */
#ifndef HAGENT_LOG_PAGE_H
#define HAGENT_LOG_PAGE_H

#include <jansson.h>

#include "hagent/hagent.h"

#define LOG_PAGE_MAX 40960 /* bytes of events, as JSON */

/*
 * query: {"at":CURSORS} of an earlier page; else {"since":MS}; else {"last":N} events of each
 * source. Returns {"now":MS,"node":NAME,"events":[[ms,program,level,text],...],"at":CURSORS,
 * "more":BOOL}, new reference. What cannot be read is passed over.
 */
json_t *log_page(const struct hagent *h, const json_t *query);

#endif
