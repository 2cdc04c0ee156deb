/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agents, disks and keepalived of the simulation. What an agent orders is judged by the real
 * code (hagent/pair.h); what it writes to the disk takes time, and one thing is written at a time.
 */
#ifndef TESTS_TAKEOVER_AGENT_H
#define TESTS_TAKEOVER_AGENT_H

#include "tests/unit/takeover/stream.h"

#define TICK_MS   10
#define DEAD_MS   70
#define FAULT_MS  400
#define FRESH_MS  200
#define EXPECT_MS 300  /* a handover is expected */
#define GRACE_MS  1000 /* and the addresses behind it */

static struct node *
other(struct node *n)
{
	return &n->w->n[!n->n];
}

/* ---- the disk ---- */

static void
disk_begin(struct node *n, enum disk_op op, uint64_t epoch)
{
	if (n->op != OP_NONE)
		return;
	n->op = op;
	n->op_epoch = epoch;
	n->op_ms = n->w->now + 2 + chance(n->w, 8);
}

/* It takes no handover, or none any more. */
static void
take_ends(struct node *n)
{
	n->taking = n->taken = false;
	n->take_ms = n->ready_ms = 0;
	if (n->role == PAIR_PROMOTING)
		n->role = PAIR_STANDBY;
	n->paired = false;
}

static void
prepared(struct node *n)
{
	if (!n->taking)
		return;
	if (!n->engine_up || replica_expect(n->r, n->op_epoch, EXPECT_MS) < 0) {
		take_ends(n);
		return;
	}
	trace(n->w, "%s expects epoch %" PRIu64, n->name, n->op_epoch);
	n->take_ms = n->w->now + EXPECT_MS;
	n->ready_ms = n->w->now + 1 + chance(n->w, 10);
}

static void
disk_run(struct node *n)
{
	enum disk_op op = n->op;

	if (op == OP_NONE || n->w->now < n->op_ms)
		return;
	n->op = OP_NONE;
	if (op == OP_MARK || op == OP_PROMOTE || op == OP_PREPARE)
		n->disk.marker = true;
	if (op == OP_UNMARK)
		n->disk.marker = false;
	if (op == OP_KEEP_EPOCH || op == OP_PROMOTE || op == OP_PREPARE)
		n->disk.epoch = n->op_epoch;
	n->paired = false;
	if (op == OP_PREPARE)
		prepared(n);
	if (op != OP_PROMOTE)
		return;
	if (!n->engine_up || !n->master || n->op_epoch < status_of(n).epoch) {
		n->role = PAIR_STANDBY;
		return;
	}
	n->role = PAIR_ACTIVE;
	n->ahead = true;
	engine_promote(n, n->op_epoch);
}

/* ---- what the agent knows and does ---- */

static struct pair_facts
facts_of(struct node *n)
{
	struct replica_status st = status_of(n);
	uint64_t silent = n->heard.ms == 0 ? UINT64_MAX : n->w->now - n->heard.ms;
	struct pair_facts f = {.role = n->role,
	    .epoch = n->disk.epoch,
	    .engine_epoch = st.epoch,
	    .gave_epoch = n->gave_epoch,
	    .marker_may =
		n->disk.marker || n->op == OP_MARK || n->op == OP_PROMOTE || n->op == OP_PREPARE,
	    .moving = n->taking || n->relay_ms != 0,
	    .marker_sure = n->disk.marker && n->op != OP_UNMARK,
	    .paired = n->paired,
	    .engine = {.answers = n->engine_up,
		.active = serves(n),
		.cut_now = st.state == REPLICA_CUT,
		.silent_now = st.state == REPLICA_SILENT,
		.wants = st.wants,
		.in_step = st.in_step,
		.stale = st.stale,
		.marked = st.marked,
		.connected = st.connected,
		.sessions = st.sessions,
		.copy = st.sessions > 0,
		.whole = st.whole,
		.cut = st.cut,
		.stale_cut = st.stale_cut},
	    .peer = {.fresh = silent < FRESH_MS,
		.active = n->heard.active,
		.standby = n->heard.standby,
		.serves = n->heard.serves,
		.sessions = n->heard.sessions,
		.silent_ms = silent,
		.epoch = n->heard.epoch,
		.wants_cut = n->heard.wants_cut,
		.stale_cut = n->heard.stale_cut}};

	if (!st.wants)
		n->wants_since = 0;
	else if (n->wants_since == 0)
		n->wants_since = n->w->now;
	f.engine.wants_ms = n->wants_since != 0 ? n->w->now - n->wants_since : 0;
	return f;
}

static void
agent_order(struct node *n)
{
	const struct pair_wishes *wish = &n->wishes;
	struct world *w = n->w;

	switch (wish->order) {
	case PAIR_STALE:
		if (replica_stale(n->r, wish->cut, n->heard.epoch) == 0)
			trace(w, "%s consents to cut %" PRIu64, n->name, wish->cut);
		break;
	case PAIR_SOLO:
		if (replica_solo(n->r, wish->cut) == 0) {
			trace(w, "%s is solo", n->name);
			w->solos++;
		}
		break;
	case PAIR_SILENT:
		if (replica_silent(n->r, wish->cut) == 0) {
			trace(w, "%s is silent", n->name);
			w->silences++;
		}
		break;
	default:
		break;
	}
}

static void
agent_demote(struct node *n)
{
	uint64_t epoch = n->heard.epoch > n->disk.epoch ? n->heard.epoch : n->disk.epoch;

	n->role = PAIR_STANDBY;
	n->paired = n->taking = n->taken = false;
	n->take_ms = 0;
	if (n->op == OP_PROMOTE || n->op == OP_PREPARE)
		n->op = OP_NONE;
	if (n->engine_up && status_of(n).state != REPLICA_STANDBY)
		engine_demote(n, epoch);
}

static void
fault(struct node *n)
{
	n->fault_ms = n->w->now + FAULT_MS;
	n->master = false;
	agent_demote(n);
}

/* The peer serves, and its epoch is above ours (hagent/epoch.h). */
static bool
peer_is_above(const struct node *n)
{
	uint64_t ours = status_of(n).epoch;

	if (!n->heard.active || n->w->now - n->heard.ms > FRESH_MS)
		return false;
	return n->heard.epoch > ours || (n->heard.epoch == ours && n->n == 1);
}

static void
agent_role(struct node *n)
{
	uint64_t epoch;

	if (n->yielded || (n->role == PAIR_ACTIVE && peer_is_above(n))) {
		fault(n);
		return;
	}
	if (n->taking && !n->taken && (n->master || (n->take_ms != 0 && n->w->now >= n->take_ms)))
		take_ends(n);
	if (n->taken && n->role == PAIR_PROMOTING) {
		n->role = PAIR_ACTIVE;
		n->take_ms = n->w->now + GRACE_MS;
	}
	if (n->taken && n->role == PAIR_ACTIVE && n->master)
		n->taking = n->taken = false;
	if (!n->master && n->role != PAIR_STANDBY && (!n->taking || n->w->now >= n->take_ms))
		agent_demote(n);
	if (n->master && n->role == PAIR_STANDBY && n->op == OP_NONE) {
		epoch = status_of(n).epoch > n->disk.epoch ? status_of(n).epoch : n->disk.epoch;
		if (n->heard.epoch > epoch)
			epoch = n->heard.epoch;
		n->role = PAIR_PROMOTING;
		disk_begin(n, OP_PROMOTE, epoch + 1);
	}
}

/* ---- planned moves ---- */

static void
move_begin(struct node *n)
{
	struct node *o = other(n);

	if (!n->engine_up || n->role != PAIR_ACTIVE || status_of(n).state != REPLICA_IN_SYNC ||
	    n->move != MOVE_NONE || o->role != PAIR_STANDBY || !path_open(n->w, PATH_AGENT))
		return;
	n->move_epoch = status_of(n).epoch;
	if (o->disk.epoch > n->move_epoch)
		n->move_epoch = o->disk.epoch;
	n->move_epoch++;
	n->move = MOVE_ASKING;
	n->move_ms = n->w->now + 1 + chance(n->w, 20);
	trace(n->w, "%s wants to move", n->name);
}

static void
ask_to_prepare(struct node *n)
{
	struct node *o = other(n);

	n->move = MOVE_NONE;
	if (!path_open(n->w, PATH_AGENT) || !o->powered || !o->engine_up ||
	    o->role != PAIR_STANDBY || o->op != OP_NONE)
		return;
	o->taking = true;
	o->taken = false;
	o->take_ms = o->ready_ms = 0;
	o->role = PAIR_PROMOTING;
	disk_begin(o, OP_PREPARE, n->move_epoch);
	n->move = MOVE_PREPARING;
	n->move_ms = n->w->now + 100;
}

static void
give(struct node *n)
{
	struct world *w = n->w;

	n->move = MOVE_GIVING;
	if (w->arm_at != 0) {
		w->crash_at = w->arm_at;
		w->arm_at = w->said = 0;
	}
	if (replica_give(n->r, n->move_epoch) < 0)
		n->move = MOVE_NONE;
	else
		trace(w, "%s gives, epoch %" PRIu64, n->name, n->move_epoch);
}

static void
move_run(struct node *n)
{
	struct node *o = other(n);
	uint64_t now = n->w->now;

	if (!n->engine_up)
		n->move = MOVE_NONE;
	if (n->move == MOVE_ASKING && now >= n->move_ms)
		ask_to_prepare(n);
	else if (n->move == MOVE_PREPARING && now >= n->move_ms)
		n->move = MOVE_NONE;
	else if (n->move == MOVE_PREPARING && o->ready_ms != 0 && now >= o->ready_ms &&
		 path_open(n->w, PATH_AGENT))
		give(n);
	if (n->move == MOVE_OVER) {
		n->move = MOVE_NONE;
		fault(n);
	}
	if (n->relay_ms != 0 && now >= n->relay_ms) {
		n->relay_ms = 0;
		if (n->r != NULL)
			replica_relay_end(n->r);
	}
}

static void
agent_tick(struct node *n)
{
	struct pair_wishes before = n->wishes;
	struct pair_facts f;

	if (!n->powered)
		return;
	if (path_open(n->w, PATH_AGENT) && other(n)->said.ms != 0 && other(n)->powered)
		n->heard = other(n)->said;
	disk_run(n);
	if (!n->engine_up)
		return;
	agent_role(n);
	if (n->role == PAIR_STANDBY ||
	    (n->heard.standby && !n->heard.serves && n->w->now - n->heard.ms < FRESH_MS))
		n->ahead = false;
	f = facts_of(n);
	pair_judge(&f, &before, &n->wishes);
	if (n->role == PAIR_STANDBY && n->op == OP_NONE &&
	    (!n->paired || n->told_clean != n->wishes.clean)) {
		replica_pair(n->r, n->wishes.clean, n->disk.epoch);
		n->paired = true;
		n->told_clean = n->wishes.clean;
	}
	agent_order(n);
	if (n->wishes.write_marker)
		disk_begin(n, OP_MARK, 0);
	else if (n->wishes.remove_marker)
		disk_begin(n, OP_UNMARK, 0);
	else if (n->wishes.keep_epoch)
		disk_begin(n, OP_KEEP_EPOCH, n->wishes.keep_epoch);
	n->said = (struct hello){.ms = n->w->now,
	    .active = n->role == PAIR_ACTIVE && serves(n),
	    .standby = n->role == PAIR_STANDBY,
	    .serves = serves(n),
	    .sessions = status_of(n).sessions,
	    .epoch = status_of(n).epoch,
	    .wants_cut = n->wishes.wants_cut,
	    .stale_cut = n->wishes.stale_cut};
}

/* ---- keepalived ---- */

static void
become_master(struct node *n)
{
	n->master = true;
	n->w->vip = (int)n->n;
	trace(n->w, "%s is master", n->name);
}

/* Its priority: who was promoted last stands above, until the other is heard as a standby. */
static int
standing(const struct node *n)
{
	return (n->ahead ? 2 : 0) - (int)n->n;
}

static void
vrrp_run(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &w->n[i], *o = &w->n[!i];
		bool hears = n->powered && o->powered && o->master && path_open(w, PATH_VRRP);

		if (!n->powered)
			continue;
		if (hears)
			n->advert_ms = w->now;
		if (n->master && hears && standing(o) > standing(n))
			n->master = false;
		if (!n->master && n->engine_up && w->now >= n->fault_ms &&
		    w->now - n->advert_ms > DEAD_MS + 11 * i)
			become_master(n);
	}
	if (w->vip >= 0 && !w->n[w->vip].master)
		w->vip = w->n[!w->vip].master ? !w->vip : -1;
	if (w->vip < 0)
		w->vip = w->n[0].master ? 0 : w->n[1].master ? 1 : -1;
}

/* ---- life and death ---- */

static void
node_crash(struct node *n, bool power)
{
	struct world *w = n->w;

	trace(w, "%s %s", n->name, power ? "loses power" : "loses its engine");
	if (power && w->stream.attached[n->n]) {
		/* No FIN: the other end only hears nothing any more. */
		w->stream.attached[n->n] = false;
		pipe_clear(&w->stream.to[n->n]);
	}
	engine_stop(n);
	n->master = false;
	n->role = PAIR_STANDBY;
	n->paired = n->taking = n->taken = false;
	n->take_ms = n->ready_ms = n->relay_ms = 0;
	n->move = MOVE_NONE;
	if (power)
		n->gave_epoch = 0;
	n->wishes = (struct pair_wishes){.wants_cut = PAIR_NO_CUT, .stale_cut = PAIR_NO_CUT};
	n->engine_ms = w->now + 100 + chance(w, 200);
	n->fault_ms = n->engine_ms + 100;
	if (!power)
		return;
	n->powered = false;
	n->op = OP_NONE;
	n->heard = n->said = (struct hello){0};
	n->power_ms = w->now + 400 + chance(w, 600);
	n->engine_ms = n->power_ms + 20;
	n->fault_ms = n->power_ms + 200;
}

static void
node_run(struct node *n)
{
	struct world *w = n->w;

	if (!n->powered && w->now >= n->power_ms) {
		trace(w, "%s has power again%s", n->name, n->disk.marker ? ", marked" : "");
		n->powered = true;
		n->advert_ms = w->now;
	}
	if (n->powered && !n->engine_up && w->now >= n->engine_ms)
		engine_start(n);
	engine_run(n);
	if (n->powered)
		move_run(n);
	if (w->now % TICK_MS == n->n * 3)
		agent_tick(n);
}

#endif
