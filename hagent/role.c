/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The role machine's table. keepalived's words BACKUP, FAULT and STOP mean the same to us: somebody
 * else may serve. A word for what we are, or are becoming, begins nothing; only keepalived's death
 * is worked whatever we are, because it leaves the addresses behind.
 */
#include "hagent/role.h"

#include <stddef.h>

static const char *const state_names[] = {"unknown", "standby", "promoting", "active", "demoting"};
static const char *const event_names[] = {"MASTER", "BACKUP", "FAULT", "STOP", "DEAD", "YIELD",
    "REPAIR", "DONE", "IS_ACTIVE", "IS_STANDBY"};

static void
promote(void *object, void *detail)
{
	struct role *r = object;

	r->begin(r->arg, ROLE_PROMOTE, r->why);
}

static void
demote(void *object, void *detail)
{
	struct role *r = object;

	r->begin(r->arg, ROLE_DEMOTE, r->why);
}

static void
abandon(void *object, void *detail)
{
	struct role *r = object;

	r->begin(r->arg, ROLE_ABANDON, r->why);
}

/* clang-format off */
static const struct fsm_row rows[] = {
	{ROLE_UNKNOWN,   ROLE_EV_MASTER,     promote, ROLE_PROMOTING},
	{ROLE_UNKNOWN,   ROLE_EV_BACKUP,     demote,  ROLE_DEMOTING},
	{ROLE_UNKNOWN,   ROLE_EV_FAULT,      demote,  ROLE_DEMOTING},
	{ROLE_UNKNOWN,   ROLE_EV_STOP,       demote,  ROLE_DEMOTING},
	{ROLE_UNKNOWN,   ROLE_EV_IS_ACTIVE,  NULL,    ROLE_ACTIVE},
	{ROLE_UNKNOWN,   ROLE_EV_IS_STANDBY, NULL,    ROLE_STANDBY},
	{ROLE_STANDBY,   ROLE_EV_MASTER,     promote, ROLE_PROMOTING},
	{ROLE_STANDBY,   ROLE_EV_REPAIR,     demote,  ROLE_DEMOTING},
	{ROLE_PROMOTING, ROLE_EV_BACKUP,     demote,  ROLE_DEMOTING},
	{ROLE_PROMOTING, ROLE_EV_FAULT,      demote,  ROLE_DEMOTING},
	{ROLE_PROMOTING, ROLE_EV_STOP,       demote,  ROLE_DEMOTING},
	{ROLE_PROMOTING, ROLE_EV_YIELD,      demote,  ROLE_DEMOTING},
	{ROLE_PROMOTING, ROLE_EV_DONE,       NULL,    ROLE_ACTIVE},
	{ROLE_ACTIVE,    ROLE_EV_BACKUP,     demote,  ROLE_DEMOTING},
	{ROLE_ACTIVE,    ROLE_EV_FAULT,      demote,  ROLE_DEMOTING},
	{ROLE_ACTIVE,    ROLE_EV_STOP,       demote,  ROLE_DEMOTING},
	{ROLE_ACTIVE,    ROLE_EV_YIELD,      demote,  ROLE_DEMOTING},
	{ROLE_ACTIVE,    ROLE_EV_REPAIR,     promote, ROLE_PROMOTING},
	{ROLE_DEMOTING,  ROLE_EV_MASTER,     promote, ROLE_PROMOTING},
	{ROLE_DEMOTING,  ROLE_EV_DONE,       NULL,    ROLE_STANDBY},
	{FSM_ANY,        ROLE_EV_DEAD,       abandon, ROLE_DEMOTING},
};
/* clang-format on */

static const struct fsm_table table = {
    .name = "role",
    .states = state_names,
    .events = event_names,
    .n_states = ROLE_N_STATES,
    .n_events = ROLE_N_EVENTS,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

void
role_init(struct role *r, void (*begin)(void *arg, enum role_work work, const char *why), void *arg)
{
	*r = (struct role){.begin = begin, .arg = arg, .why = ""};
	fsm_init(&r->fsm, &table, ROLE_UNKNOWN);
}

bool
role_event(struct role *r, enum role_event event, const char *why)
{
	r->why = why;
	return fsm_event(&r->fsm, (int8_t)event, r, NULL);
}

enum role_state
role_state(const struct role *r)
{
	return (enum role_state)r->fsm.state;
}

const char *
role_name(const struct role *r)
{
	return fsm_state_name(&r->fsm);
}

const char *
role_event_name(enum role_event event)
{
	return event_names[event];
}

const char *
role_work_name(enum role_work work)
{
	static const char *const names[] = {"MASTER", "BACKUP", "ABANDON"};

	return names[work];
}
