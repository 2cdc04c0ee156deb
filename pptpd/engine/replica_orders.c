/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Orders of the agent, by way of the owner: roles, consent and silence. All are idempotent.
 */
#include <errno.h>

#include "pptpd/engine/replica_internal.h"

void
replica_promote(struct replica *r, uint64_t epoch)
{
	uint64_t before = r->epoch;

	if (epoch > r->epoch)
		r->epoch = epoch;
	if (r->active) { /* raised, because somebody else served: perhaps the one that we know */
		if (epoch > before)
			r->knows_boot = false;
		return;
	}
	r->copy_epoch = before;
	r->copy_boot = r->held_boot;
	r->knows_boot = false;
	replica_report_forget(r);
	if (r->taking) {
		replica_handover_take(r);
	} else {
		replica_handover_forget(r);
		if (r->open)
			replica_say_beat(r);
		replica_drop(r, NULL);
	}
	timer_cancel(&r->turn);
	r->active = true;
	r->whole = r->stale = r->failed = r->clean = false;
	replica_changed_state(r, REPLICA_ALONE);
}

void
replica_become_standby(struct replica *r)
{
	r->config.boot_id++; /* to those who knew us as a standby we are another one */
	r->active = false;
	r->state = REPLICA_STANDBY;
	replica_active_forget(r);
	mirror_clear(r->mirror);
	r->whole = r->stale = r->failed = r->clean = false;
	r->held_cut = 0;
	r->held_boot = 0;
}

void
replica_demote(struct replica *r, uint64_t epoch)
{
	if (epoch > r->epoch)
		r->epoch = epoch;
	if (!r->active)
		return;
	replica_handover_forget(r);
	r->active = r->met = false; /* nothing is lost with the stream: no cut */
	replica_drop(r, NULL);
	replica_report_keep(r);
	replica_become_standby(r);
	replica_changed_state(r, REPLICA_STANDBY);
}

void
replica_pair(struct replica *r, bool clean, uint64_t epoch)
{
	r->clean = clean;
	r->clean_epoch = epoch;
}

int
replica_stale(struct replica *r, uint64_t cut, uint64_t epoch)
{
	if (r->active || epoch < r->epoch) {
		errno = EPERM;
		return -1;
	}
	if (r->held_cut == 0 || cut >> CUT_BITS != r->held_cut >> CUT_BITS || cut < r->held_cut) {
		errno = ESTALE;
		return -1;
	}
	r->epoch = epoch;
	r->stale = true;
	r->stale_cut = cut;
	r->whole = false;
	mirror_stale(r->mirror);
	replica_drop(r, NULL);
	replica_changed_state(r, REPLICA_STANDBY);
	return 0;
}

void
replica_outlived(struct replica *r)
{
	if (!r->active && !r->open)
		mirror_stale(r->mirror);
}

static int
check_cut(const struct replica *r, uint64_t cut)
{
	if (r->state == REPLICA_CUT && r->cut == cut)
		return 0;
	errno = ESTALE;
	return -1;
}

int
replica_solo(struct replica *r, uint64_t cut)
{
	if (r->state == REPLICA_SOLO && r->cut == cut)
		return 0;
	if (r->met && r->active && r->cut == cut)
		replica_drop(r, "the standby has ended it");
	if (r->state == REPLICA_ALONE && r->cut == cut)
		return 0;
	if (check_cut(r, cut) < 0)
		return -1;
	replica_keys_given_up(r);
	replica_changed_state(r, REPLICA_SOLO);
	replica_active_release(r);
	return 0;
}

int
replica_silent(struct replica *r, uint64_t cut)
{
	if (r->state == REPLICA_SILENT && r->cut == cut)
		return 0;
	if (check_cut(r, cut) < 0)
		return -1;
	replica_keys_silent(r);
	replica_changed_state(r, REPLICA_SILENT);
	replica_active_release(r);
	return 0;
}

void
replica_continued(struct replica *r)
{
	mirror_clear(r->mirror);
}
