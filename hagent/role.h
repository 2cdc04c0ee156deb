/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The role machine: which transition a word about mastership begins, given where we are. Words come
 * from keepalived's fifo, from its death, from what the kernel says about the virtual address and
 * from the peer; any of them may come twice, late or in the wrong order. Pure: it calls back.
 */
#ifndef HAGENT_ROLE_H
#define HAGENT_ROLE_H

#include "common/fsm.h"

enum role_state {
	ROLE_UNKNOWN, /* the agent has just begun */
	ROLE_STANDBY,
	ROLE_PROMOTING,
	ROLE_ACTIVE,
	ROLE_DEMOTING,
	ROLE_N_STATES
};

enum role_event {
	ROLE_EV_MASTER,    /* we are to serve */
	ROLE_EV_BACKUP,    /* the other one serves, or may */
	ROLE_EV_FAULT,     /* keepalived sees a fault here */
	ROLE_EV_STOP,      /* keepalived ends */
	ROLE_EV_DEAD,      /* keepalived died: its addresses are still here */
	ROLE_EV_YIELD,     /* the peer is active under a higher epoch */
	ROLE_EV_REPAIR,    /* pptpd is not what we are */
	ROLE_EV_DONE,      /* the steps are over */
	ROLE_EV_IS_ACTIVE, /* found at the agent's start: all stands as it should */
	ROLE_EV_IS_STANDBY,
	ROLE_N_EVENTS
};

enum role_work {
	ROLE_PROMOTE,
	ROLE_DEMOTE,
	ROLE_ABANDON /* demote, and take the addresses away */
};

struct role {
	struct fsm fsm;
	/* Begins the steps. Superseding what is under way is the step runner's business. */
	void (*begin)(void *arg, enum role_work work, const char *why);
	void *arg;
	const char *why; /* of the event that is being worked */
};

void role_init(
    struct role *r, void (*begin)(void *arg, enum role_work work, const char *why), void *arg);
/* False: nothing to do (already there, or the word means nothing now). why is for the journal. */
bool role_event(struct role *r, enum role_event event, const char *why);
enum role_state role_state(const struct role *r);
const char *role_name(const struct role *r);
const char *role_event_name(enum role_event event);
/* "MASTER", "BACKUP", "ABANDON": how the journal calls the work. */
const char *role_work_name(enum role_work work);

#endif
