/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The firewall's set of known calls, `inet pptp_ha calls`, element peer address . our call id: GRE
 * of anything else is dropped. Changes of one loop turn make one transaction, of a burst one in
 * some milliseconds; each is answered when that is done. Owned by the monitor, which takes back
 * what it added when the engine is gone, and begins with an empty set.
 */
#ifndef PRIV_CALLS_H
#define PRIV_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct calls;

/* Empties the set. answer gets the id of every change, once; err = 0 or an errno. NULL with errno.
 */
struct calls *calls_new(struct loop *l, void (*answer)(void *arg, uint32_t id, int err), void *arg);
/* Takes every element back that this module added. Changes still waiting are not answered. */
void calls_free(struct calls *c);
void calls_change(struct calls *c, bool add, uint32_t peer_ip, uint16_t call_id, uint32_t id);
size_t calls_count(const struct calls *c);

#endif
