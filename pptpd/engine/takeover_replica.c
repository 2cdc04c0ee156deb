/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the replica asks of the engine, handed on to who can do it. Nothing here ends a session or
 * changes the role at once: the replica is in the middle of its own work when it calls.
 */
#include <stddef.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/standby.h"
#include "pptpd/engine/takeover.h"

static struct session *
session_of(struct replica_session *r)
{
	return (struct session *)(void *)((char *)r - offsetof(struct session, replica));
}

static void
op_send(void *arg, const uint8_t *bytes, size_t len)
{
	struct engine *e = arg;

	if (e->takeover->io != NULL)
		replica_io_send(e->takeover->io, bytes, len);
}

static void
op_hang_up(void *arg, const char *why)
{
	struct engine *e = arg;

	if (e->takeover->io != NULL)
		replica_io_hang_up(e->takeover->io, why);
}

static void
op_export(void *arg, struct replica_session *r, uint32_t ahead, uint32_t low_water)
{
	struct engine *e = arg;

	dp_export(e->dp, session_of(r)->dp, ahead, low_water);
}

static void
op_connection(void *arg, struct replica_connection *c, struct connection_record *r)
{
	(void)arg;
	ctrl_record(ctrl_of_replica(c), r);
}

static bool
op_counters(void *arg, struct replica_session *r, struct record_counters *c)
{
	(void)arg;
	return session_counters(session_of(r), c);
}

static bool
op_stands(void *arg, struct replica_session *r, struct replica_stand *out)
{
	(void)arg;
	return session_stands(session_of(r), out);
}

static void
op_skip(void *arg, struct replica_session *r, uint32_t seq, uint64_t index)
{
	struct engine *e = arg;

	dp_skip(e->dp, session_of(r)->dp, seq, index);
}

static void
op_set_gate(void *arg, struct replica_session *r, const struct keygate *g, uint32_t low_water)
{
	struct engine *e = arg;

	dp_set_gate(e->dp, session_of(r)->dp, g, low_water);
}

static void
op_committed(void *arg, struct replica_connection *c)
{
	(void)arg;
	ctrl_committed(ctrl_of_replica(c));
}

/* It ends from its own timer: the caller still walks over its sessions. */
static void
op_spent(void *arg, struct replica_session *r)
{
	struct session *s = session_of(r);

	(void)arg;
	s->spent = true;
	timer_set(&s->timer, 0);
}

/* Silent from here on; the rest comes when nothing of the replica is on the stack. */
static void
op_yield(void *arg, uint64_t epoch)
{
	struct engine *e = arg;
	struct takeover *t = e->takeover;

	if (e->role != ROLE_ACTIVE)
		return;
	dp_freeze(e->dp, true);
	e->role = ROLE_STANDBY;
	t->yielded = epoch;
	timer_set(&t->yield, 0);
}

static bool
op_take(void *arg, uint64_t epoch)
{
	return takeover_take(arg, epoch);
}

static void
op_given(void *arg, enum replica_given how, const char *why)
{
	takeover_given(arg, how, why);
}

static void
op_relayed(
    void *arg, enum replica_relay_kind kind, uint64_t connection, const uint8_t *bytes, size_t len)
{
	takeover_relayed(arg, kind, connection, bytes, len);
}

static void
op_changed(void *arg)
{
	struct engine *e = arg;
	struct takeover *t = e->takeover;
	struct replica_status st;

	if (e->replica == NULL) /* it is being made */
		return;
	replica_get_status(e->replica, &st);
	if (st.state == t->told_state && st.in_step == t->told_in_step)
		return;
	t->told_state = st.state;
	t->told_in_step = st.in_step;
	log_info("replica state=%s in_step=%s peer=%s sessions=%u at_risk=%u cut=%llu",
	    replica_state_name(st.state), st.in_step ? "yes" : "no",
	    st.peer[0] != '\0' ? st.peer : "-", st.sessions, st.at_risk,
	    (unsigned long long)st.cut);
}

const struct replica_ops takeover_ops = {
    .send = op_send,
    .hang_up = op_hang_up,
    .export = op_export,
    .connection = op_connection,
    .counters = op_counters,
    .stands = op_stands,
    .skip = op_skip,
    .set_gate = op_set_gate,
    .committed = op_committed,
    .spent = op_spent,
    .yield = op_yield,
    .changed = op_changed,
    .take = op_take,
    .given = op_given,
    .relayed = op_relayed,
    .mirror = {.on_session = standby_session, .on_gone = standby_gone},
};
