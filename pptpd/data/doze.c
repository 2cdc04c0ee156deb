/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A data plane that does not serve yet: what arrives waits in the kernel for the sessions that it
 * belongs to, and is taken anyway when it has waited for too long: whose session is not here by
 * then is dropped. So a gateway that is about to serve loses nothing of what came a moment too
 * early, whoever sent it here, and none wakes up to what is long out of date. Memory is what the
 * sockets have room for.
 */
#include "pptpd/data/internal.h"

#define DOZE_US     100000 /* longer than a promotion takes: its sessions with traffic come first */
#define BATCHES_MAX 1024   /* at a time; what is left, and what comes, is next */

/* The worker's side */

static bool
dozes(const struct worker *w)
{
	return w->dozing && w->relay == RELAY_OFF;
}

bool
doze_keeps(struct worker *w)
{
	if (!dozes(w))
		return false;
	if (w->doze_until_us == 0)
		w->doze_until_us = w->now_us + DOZE_US;
	worker_watch(w);
	return true;
}

bool
doze_is_deaf(const struct worker *w)
{
	return dozes(w) && w->doze_until_us != 0;
}

void
doze_due(struct worker *w)
{
	if (!doze_is_deaf(w) || w->now_us < w->doze_until_us)
		return;
	w->doze_until_us = 0;
	for (unsigned i = 0; i < BATCHES_MAX && rx_batch(w); i++)
		continue;
	for (unsigned i = 0; i < BATCHES_MAX && tx_batch(w); i++)
		continue;
	worker_watch(w);
}

void
doze_order(struct worker *w, bool on)
{
	w->dozing = on;
	w->doze_until_us = 0;
	worker_watch(w);
}

/* The main thread's side */

bool
doze_put_order(struct worker *w)
{
	struct order *o;

	if (!w->doze_late)
		return true;
	o = ring_reserve(&w->orders, sizeof(*o));
	if (o == NULL)
		return false;
	*o = (struct order){.kind = ORDER_DOZE, .up = w->dp->dozing};
	ring_commit(&w->orders);
	w->doze_late = false;
	return true;
}

void
dp_doze(struct dataplane *dp, bool on)
{
	if (on == dp->dozing)
		return;
	dp->dozing = on;
	for (unsigned i = 0; i < dp->config.workers; i++) {
		dp->workers[i].doze_late = true;
		dp_put_orders(&dp->workers[i]);
	}
}
