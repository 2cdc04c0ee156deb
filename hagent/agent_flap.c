/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's part in flap.h: the facts, what the journal keeps of failures and moves, and the
 * kernel's word of links that change, since keepalived does not look at them: only a verdict of
 * ours moves the addresses when a link fails.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"

#define LIFT_MS 30000 /* for a planned move to be over */

unsigned
agent_moves(const struct agent *a)
{
	return flap_count(&a->moves, journal_now_ms());
}

/* ---- what outlives the agent ---- */

void
agent_flap_remember(struct agent *a, const char *event, int64_t at)
{
	if (strcmp(event, "yield") == 0) {
		flap_add(&a->moves, at);
	} else if (strcmp(event, "failure") == 0) {
		flap_failed(&a->flap, at);
		a->flap.failing = true;
	} else if (strcmp(event, "recovered") == 0) {
		a->flap.well_at = at;
		a->flap.failing = false;
	} else if (strcmp(event, "hold-lifted") == 0) {
		flap_lift(&a->flap, 0);
	}
}

void
agent_flap_found(struct agent *a, bool serves)
{
	const char *work = json_string_value(json_object_get(a->last_transition, "transition"));

	if (serves || !work || strcmp(work, role_work_name(ROLE_PROMOTE)) != 0 || a->flap.failing)
		return;
	flap_failed(&a->flap, journal_now_ms());
	journal_event(&a->journal, "failure", "it served when it was last seen here");
	a->flap.failing = true; /* until it is found well */
}

/* ---- the verdict ---- */

static bool
peer_serves(const struct agent *a)
{
	return peer_active(&a->peer) || strcmp(a->peer.role, "promoting") == 0;
}

static void
notice(struct agent *a, int64_t now)
{
	bool link_down = !a->facts.wan || !a->facts.lan;
	/* What an operator does here is no failure. */
	bool planned = agent_move_busy(a) || a->maintenance.on;

	if (!flap_notice(&a->flap, now, a->health.fault == HEALTH_HARD && !planned, link_down))
		return;
	if (a->flap.failing)
		journal_event(&a->journal, "failure", "%s", agent_worst(a));
	else
		journal_event(&a->journal, "recovered", "failures of the last 10 minutes: %u",
		    flap_count(&a->flap.failures, now));
}

/* What holds, or holds no more. */
static void
tell(struct agent *a, enum flap_state before)
{
	enum flap_state state = a->flap_verdict.state;

	if (state == before)
		return;
	if (state == FLAP_ASKS)
		timer_set(&a->links_again, FLAP_ASK_MS + 1);
	else if (state != FLAP_FREE)
		journal_event(&a->journal, flap_state_name(state), "%s", agent_flap_text(a));
	else if (before != FLAP_ASKS)
		journal_event(&a->journal, "free", "no more: %s", flap_state_name(before));
}

const struct flap_verdict *
agent_flap_judge(struct agent *a)
{
	const struct flap_limits limits = {
	    .moves_max = a->cluster->health.moves_per_10_minutes,
	    .hold_down_s = a->cluster->health.hold_down_s,
	    .hold_down_max_s = a->cluster->health.hold_down_max_s,
	    .ride_out_s = a->cluster->health.ride_out_s,
	};
	struct flap_view v = {
	    .now = journal_now_ms(),
	    .soft = a->health.fault == HEALTH_SOFT,
	    .hard = a->health.fault == HEALTH_HARD,
	    .links_only = a->health.links_only,
	    .active = agent_serves(a),
	    .peer_fresh = peer_fresh(&a->peer, loop_now_ms(a->loop)),
	    .peer_active = peer_serves(a),
	    .peer_able = a->peer.able,
	    .peer_hard = a->peer.fault == HEALTH_HARD,
	    .peer_rides = a->peer.rides,
	    .peer_held = a->peer.held,
	    .senior = agent_is_senior(a),
	    .moves = &a->moves,
	    .peers_moves = &a->peer.moves,
	};
	enum flap_state before = a->flap_verdict.state;

	notice(a, v.now);
	flap_judge(&a->flap, &limits, &v, &a->flap_verdict);
	tell(a, before);
	return &a->flap_verdict;
}

const char *
agent_flap_text(const struct agent *a)
{
	static char text[160];

	flap_tell(&a->flap_verdict, journal_now_ms(), text, sizeof(text));
	return text;
}

void
agent_flap_lift(struct agent *a)
{
	bool held = a->flap_verdict.state == FLAP_HELD;

	flap_lift(&a->flap, journal_now_ms() + LIFT_MS);
	if (!held)
		return;
	journal_event(&a->journal, "hold-lifted", "it is to serve by order");
	agent_links_look(a);
}

/* ---- what others hear ---- */

void
agent_flap_hello(const struct agent *a, json_t *o)
{
	enum flap_state state = a->flap_verdict.state;
	bool keepalived = a->facts.keepalived == HEALTH_ALIVE && a->heard != FIFO_FAULT &&
			  a->heard != FIFO_STOP && a->heard != FIFO_DELETED;
	int64_t now = journal_now_ms();
	json_t *ages = json_array();

	for (size_t i = 0; i < FLAP_EVENTS; i++) {
		int64_t at = a->moves.at[i];

		if (at > 0 && at <= now && now - at < FLAP_WINDOW_MS)
			json_array_append_new(ages, json_integer((now - at) / 1000));
	}
	json_object_set_new(o, "moved_s", ages);
	json_object_set_new(
	    o, "able", json_boolean(a->track_written && !a->yielding && keepalived));
	json_object_set_new(o, "rides", json_boolean(state == FLAP_RIDES || state == FLAP_ASKS));
	json_object_set_new(o, "held", json_boolean(state == FLAP_HELD));
	json_object_set_new(o, "hold", json_string(agent_flap_text(a)));
}

json_t *
agent_flap_json(const struct agent *a)
{
	const struct flap_verdict *v = &a->flap_verdict;
	int64_t now = journal_now_ms();

	return json_pack("{s:s,s:s,s:I,s:i,s:i}", "state", flap_state_name(v->state), "why",
	    agent_flap_text(a), "left_s",
	    (json_int_t)(v->until > now ? (v->until - now + 999) / 1000 : 0), "failures",
	    (int)v->failures, "moves", (int)v->moves);
}

/* ---- links ---- */

static void
links_cb(int events, void *arg)
{
	struct agent *a = arg;
	char buffer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));

	while (recv(a->links_fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		; /* what it says is looked up anew; one that overflowed says as much */
	agent_links_look(a);
}

static void
again_cb(void *arg)
{
	agent_links_look(arg);
}

void
agent_flap_init(struct agent *a)
{
	struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	timer_init(&a->links_again, a->loop, again_cb, a);
	a->links_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (a->links_fd >= 0 && bind(a->links_fd, (struct sockaddr *)&links, sizeof(links)) == 0 &&
	    io_init(&a->links_io, a->loop, a->links_fd, links_cb, a) == 0)
		io_want(&a->links_io, IO_READ);
	else /* the tick looks as well */
		log_warn("no word of links that change error=\"%s\"", strerror(errno));
}

void
agent_flap_fini(struct agent *a)
{
	timer_cancel(&a->links_again);
	io_fini(&a->links_io);
	if (a->links_fd >= 0)
		close(a->links_fd);
	a->links_fd = -1;
}
