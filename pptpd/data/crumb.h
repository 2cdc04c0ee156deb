/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A breadcrumb: what a thread has in hand, for those who look when it has died
 * (pptpd/priv/crumb.h).
 */
#ifndef DATA_CRUMB_H
#define DATA_CRUMB_H

#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

struct crumb {
	_Alignas(64) _Atomic uint64_t id; /* of a session or a control connection; 0 = none */
	_Atomic int32_t thread;           /* whose it is; 0 = nobody's */
};

/* Called by the thread itself, before it sets one. */
static inline void
crumb_begin(struct crumb *c)
{
	if (c != NULL)
		atomic_store_explicit(&c->thread, (int32_t)gettid(), memory_order_relaxed);
}

/* c may be NULL: nobody looks. */
static inline void
crumb_set(struct crumb *c, uint64_t id)
{
	if (c != NULL)
		atomic_store_explicit(&c->id, id, memory_order_relaxed);
}

#endif
