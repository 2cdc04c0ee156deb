/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tick. Every 150 ms: ask pptpd, look around, judge, say the verdict to keepalived, and see
 * whether role, address and daemon agree; where they do not for longer than a transition may take,
 * the address is right while keepalived lives, and the daemon is put right.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/net.h"
#include "keepalived/track.h"

#define SLOW_TICKS      7   /* about a second */
#define VERY_SLOW_TICKS 33  /* about five */
#define ODD_MS          400 /* role and address may disagree for so long */
#define ABANDON_MS      1000
#define REPAIR_MS       2000
#define YIELD_MIN_MS    2000 /* a verdict that made us move stands for at least so long */
#define GOOD_MS         1000 /* and until we were well for so long */
#define GOOD_IDLE_MS    200  /* one that moved nothing, until we were well for so long */
#define START_GRACE_MS  1000 /* for a keepalived that we do not see */

/* ---- keepalived ---- */

static void
keepalived_gone(struct agent *a)
{
	bool stopped = a->heard == FIFO_STOP;

	io_fini(&a->keepalived_io);
	facts_process_fini(&a->keepalived);
	journal_event(&a->journal, stopped ? "keepalived-stopped" : "keepalived-died",
	    "role=%s: the gate shuts, pptpd stands by, the virtual addresses go",
	    role_name(&a->role));
	a->heard = FIFO_N_EVENTS;
	agent_word(a, ROLE_EV_DEAD, stopped ? "keepalived stopped" : "keepalived died");
}

static void
keepalived_cb(int events, void *arg)
{
	keepalived_gone(arg);
}

void
agent_keepalived_look(struct agent *a)
{
	bool seen = a->keepalived.seen;

	if (facts_process_alive(&a->keepalived) ||
	    !facts_process_hold(&a->keepalived, facts_pid_file(a->vrrp_pid)))
		return;
	io_fini(&a->keepalived_io);
	if (io_init(&a->keepalived_io, a->loop, a->keepalived.pidfd, keepalived_cb, a) == 0)
		io_want(&a->keepalived_io, IO_READ);
	journal_event(&a->journal, seen ? "keepalived-back" : "keepalived-seen", "pid=%d",
	    (int)a->keepalived.pid);
}

/* ---- pptpd ---- */

static void
pptpd_failed(struct agent *a, const char *error)
{
	struct agent_pptpd *p = &a->pptpd;

	p->failures++;
	snprintf(p->error, sizeof(p->error), "%s", error);
	if (p->failures == a->cluster->health.failures)
		journal_event(&a->journal, "pptpd-silent", "%s", p->error);
}

static void
status_done(void *arg, json_t *answer)
{
	struct agent *a = arg;
	struct agent_pptpd *p = &a->pptpd;
	json_t *data = json_object_get(answer, "data");
	const char *role = json_string_value(json_object_get(data, "role"));
	char text[64];

	if (!answer && errno == ETIMEDOUT) {
		snprintf(text, sizeof(text), "no answer within %u ms",
		    a->cluster->health.pptpd_timeout_ms);
		pptpd_failed(a, text);
		return;
	}
	if (!role) {
		pptpd_failed(a, answer ? "its status cannot be understood" : strerror(errno));
		return;
	}
	if (p->failures >= a->cluster->health.failures)
		journal_event(&a->journal, "pptpd-answers", "after %u failures", p->failures);
	p->known = true;
	p->failures = 0;
	p->active = strcmp(role, "active") == 0;
	p->listening = json_is_true(json_object_get(data, "listening"));
	p->epoch = (uint64_t)json_integer_value(json_object_get(data, "epoch"));
	json_decref(p->status);
	p->status = json_incref(data);
	p->answered_ms = loop_now_ms(a->loop);
}

static void
ask_pptpd(struct agent *a)
{
	unsigned timeout_ms = a->cluster->health.pptpd_timeout_ms;

	if (answer_client_call(a->pptpd.asks, "status", NULL, timeout_ms, status_done, a) == 0)
		pptpd_failed(a, errno == EBUSY ? "it hangs" : strerror(errno));
}

/* ---- facts ---- */

static void
look_slowly(struct agent *a)
{
	struct health_facts *f = &a->facts;

	f->gre = facts_gre_sockets();
	f->ip_forward = facts_ip_forward();
	f->files_free = facts_files_free();
	f->memory_free_kib = facts_memory_free_kib();
	f->disk_free_kib = facts_disk_free_kib(a->state_folder);
	if (!facts_process_alive(&a->conntrackd))
		facts_process_hold(&a->conntrackd, facts_socket_owner(a->conntrackd_socket));
	agent_flows_look(a);
	if (!facts_process_alive(&a->sshd)) {
		pid_t pid = facts_pid_file(a->sshd_pid);

		if (facts_is_called(pid, "sshd"))
			facts_process_hold(&a->sshd, pid);
	}
}

static void
look_at_links(struct agent *a)
{
	a->facts.wan = net_running(a->us->wan_if) && !agent_drill_link_down(a, 0);
	a->facts.lan = net_running(a->us->lan_if) && !agent_drill_link_down(a, 1);
	a->facts.sync = net_running(a->us->sync_if);
}

/* keepalived does not put it back. Twice in a row: both addresses come and go within moments. */
static void
look_at_lan_address(struct agent *a)
{
	bool serves = role_state(&a->role) == ROLE_ACTIVE && a->held && !a->yielding;
	bool gone = serves && net_holds(a->us->lan_if, a->cluster->vip_lan.address) == 0;

	a->facts.lan_address_gone = gone && a->lan_gone;
	a->lan_gone = gone;
}

static void
look(struct agent *a)
{
	struct health_facts *f = &a->facts;

	f->pptpd_failures = a->pptpd.failures;
	f->pptpd_error = a->pptpd.error;
	f->tun = facts_tun(CLUSTER_TUNNEL_INTERFACE);
	look_at_links(a);
	look_at_lan_address(a);
	f->keepalived = facts_process_state(&a->keepalived);
	if (a->ticks % SLOW_TICKS == 0) {
		look_slowly(a);
		agent_link_look(a);
	}
	if (a->ticks % VERY_SLOW_TICKS == 0) {
		if (!facts_process_alive(&a->pptpd_monitor))
			facts_process_hold(&a->pptpd_monitor, facts_socket_owner(a->pptpd_socket));
		f->pptpd_files_free = facts_process_alive(&a->pptpd_monitor)
					  ? facts_process_files_free(a->pptpd_monitor.pid)
					  : HEALTH_UNKNOWN;
	}
	f->conntrackd = facts_process_state(&a->conntrackd);
	f->sshd = facts_process_state(&a->sshd);
	f->journal_failing = a->journal.failing;
	f->peer_heard = peer_fresh(&a->peer, loop_now_ms(a->loop));
	f->replica = agent_replica_trouble(a);
	agent_deep_look(a);
}

/* ---- the verdict ---- */

bool
agent_is_senior(const struct agent *a)
{
	bool ours = agent_serves(a) || a->pptpd.active, theirs = a->peer.serves;

	if (ours != theirs)
		return ours;
	int order = epoch_compare(&a->epoch, &a->peer.epoch);
	return order != 0 ? order > 0 : strcmp(a->us->name, a->them->name) < 0;
}

void
agent_track(struct agent *a, bool yield, const char *why, bool counted)
{
	uint64_t now_ms = loop_now_ms(a->loop);

	if (a->track_written && a->yielding == yield)
		return;
	bool first = !a->track_written;
	if (track_write(a->track, yield) < 0) {
		log_warn("track file path=\"%s\" error=\"%s\"", a->track, strerror(errno));
		return; /* again at the next tick */
	}
	a->track_written = true;
	a->yielding = yield;
	if (yield) {
		a->yield_ms = now_ms;
		a->yield_moved = agent_serves(a);
		if (a->yield_moved && counted)
			flap_add(&a->moves, journal_now_ms());
		journal_event(&a->journal,
		    !a->yield_moved ? "unfit"
		    : counted       ? "yield"
				    : "leaves",
		    "track file 1: %s", why);
	} else if (!first) {
		journal_event(&a->journal, "fit", "track file 0");
	}
}

static void
say(struct agent *a, bool yield, const char *why)
{
	agent_track(a, yield, why, true);
}

const char *
agent_worst(const struct agent *a)
{
	for (size_t i = 0; i < a->health.n; i++) {
		if (a->health.problems[i].fault == a->health.fault)
			return a->health.problems[i].text;
	}
	return "";
}

/* Whether the verdict against us may be taken back. */
static bool
is_over(const struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop), good_ms = now_ms - a->good_since_ms;

	/* We gave way to a peer that is no better off, as it turns out, and our sessions are here.
	 */
	if (a->yield_moved && a->replica.wishes.wait_to_yield && a->peer.fault == HEALTH_HARD)
		return true;
	if (!a->yield_moved)
		return good_ms >= GOOD_IDLE_MS;
	return now_ms - a->yield_ms >= YIELD_MIN_MS && good_ms >= GOOD_MS;
}

static void
decide(struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	const struct flap_verdict *flap = agent_flap_judge(a);
	struct health_view v = {
	    .ours = a->health.fault,
	    .active = agent_serves(a),
	    .peer_fresh = peer_fresh(&a->peer, now_ms),
	    .peer_standby = peer_standby(&a->peer) && !a->peer.held,
	    .peer_in_step = agent_replica_covers(a) || agent_deep_is_long(a),
	    .peers = a->peer.fault,
	    .senior = agent_is_senior(a),
	    .moves = flap->moves,
	    .moves_max = a->cluster->health.moves_per_10_minutes,
	};
	bool yield = health_must_yield(&v) && flap->state != FLAP_RIDES && flap->state != FLAP_ASKS;

	if (agent_move_decides(a))
		return;
	if (agent_fence_forbids(a)) {
		agent_track(a, true, agent_fence_text(a), false);
		return;
	}
	if (!yield && a->good_since_ms == 0)
		a->good_since_ms = now_ms;
	if (yield)
		a->good_since_ms = 0;
	if (a->epoch_yield_ms != 0 && now_ms - a->epoch_yield_ms < YIELD_MIN_MS) {
		say(a, true, "the peer is active under a higher epoch");
	} else if (yield) {
		/* A daemon whose workers hang cannot give its sessions away. */
		if (a->health.fault != HEALTH_SOFT || a->facts.deep_dead ||
		    !agent_move_for_fault(a, agent_worst(a)))
			say(a, true, agent_worst(a));
	} else if (flap->state == FLAP_HELD) {
		say(a, true, agent_flap_text(a));
	} else if (!a->yielding || is_over(a)) {
		say(a, false, "");
		a->epoch_yield_ms = 0;
	}
}

/*
 * One epoch, one active. Of two that are active the lower one says FAULT first and demotes then, so
 * that VRRP follows. The engines may have met before the agents: ours has fallen silent then, and
 * promoted anew it would end what the peer has just taken over. VRRP may have been faster when two
 * parts of a network met again, and by its priorities: then the one that stayed goes above the
 * other's epoch.
 */
static void
keep_epochs_apart(struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	bool yielded = agent_replica_yielded(a) > a->epoch.counter;

	if (role_state(&a->role) != ROLE_ACTIVE || agent_move_busy(a))
		return;
	if (!yielded && (!a->facts.peer_heard || epoch_compare(&a->epoch, &a->peer.epoch) >= 0))
		return;
	if (yielded || peer_active(&a->peer)) {
		a->epoch_yield_ms = now_ms;
		say(a, true, "the peer is active under a higher epoch");
		agent_word(a, ROLE_EV_YIELD, "the peer is active under a higher epoch");
	} else if (peer_standby(&a->peer) && now_ms - a->repaired_ms >= REPAIR_MS) {
		a->repaired_ms = now_ms;
		agent_word(a, ROLE_EV_REPAIR, "the standby was active under a higher epoch");
	}
}

/* ---- role, address and daemon agree ---- */

static void
reconcile_start(struct agent *a)
{
	bool grace = loop_now_ms(a->loop) - a->started_ms < START_GRACE_MS;
	bool asked = a->pptpd.known || a->pptpd.failures >= a->cluster->health.failures;
	int gate;

	if (!asked)
		return;
	/* Nor is an engine demoted whose address may still be on its way. */
	if (!a->held && a->pptpd.active && !(a->facts.peer_heard && a->peer.serves) &&
	    loop_now_ms(a->loop) - a->started_ms < a->cluster->timeouts.address_ms)
		return;
	agent_flap_found(a, a->held);
	gate = agent_gate_is_open();
	if (a->held && a->facts.keepalived != HEALTH_ALIVE) {
		if (grace)
			return;
		journal_event(
		    &a->journal, "keepalived-missing", "no living process in %s", a->vrrp_pid);
		agent_word(
		    a, ROLE_EV_DEAD, "started: the address is here, but keepalived does not run");
	} else if (a->held && a->pptpd.active && gate == 1 && a->pptpd.epoch == a->epoch.counter) {
		journal_event(&a->journal, "found-active", "epoch=%llu: nothing to do",
		    (unsigned long long)a->epoch.counter);
		agent_word(a, ROLE_EV_IS_ACTIVE, "");
	} else if (a->held && !a->pptpd.active && a->facts.peer_heard && a->peer.serves) {
		/* In the middle of a move: keepalived is to follow the sessions. */
		a->epoch_yield_ms = loop_now_ms(a->loop);
		say(a, true, "the peer has the sessions");
		agent_word(a, ROLE_EV_BACKUP, "started: the peer has the sessions");
	} else if (a->held) {
		agent_word(a, ROLE_EV_MASTER, "started: the address is here");
	} else if (a->pptpd.known && !a->pptpd.active && gate <= 0) {
		journal_event(&a->journal, "found-standby", "nothing to do");
		agent_word(a, ROLE_EV_IS_STANDBY, "");
	} else {
		agent_word(a, ROLE_EV_BACKUP, "started: the address is not here");
	}
}

/* What is to be said when the address and the role have disagreed for ms; false = nothing yet. */
static bool
put_right(struct agent *a, uint64_t ms)
{
	bool alive = a->facts.keepalived == HEALTH_ALIVE;

	if (!a->held) {
		if (ms < ODD_MS)
			return false;
		agent_word(a, ROLE_EV_BACKUP, "the virtual address is not here");
	} else if (!alive || a->yielding) {
		/* Nobody who could take it away does: a dead keepalived, or one that hangs. */
		bool dead = !alive && a->keepalived.seen;

		if (ms < ABANDON_MS || (!dead && !(a->facts.peer_heard && peer_active(&a->peer))))
			return false;
		agent_word(a, ROLE_EV_DEAD, "nobody takes the virtual address away");
	} else {
		if (ms < ODD_MS)
			return false;
		agent_word(a, ROLE_EV_MASTER, "the virtual address is here");
	}
	return true;
}

static void
reconcile(struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	enum role_state state = role_state(&a->role);
	bool active = state == ROLE_ACTIVE;

	if (state == ROLE_UNKNOWN) {
		reconcile_start(a);
		return;
	}
	if ((!active && state != ROLE_STANDBY) || timer_pending(&a->master_wait) ||
	    agent_move_busy(a)) {
		a->odd_since_ms = 0; /* under way */
		return;
	}
	if (a->held == active)
		a->odd_since_ms = 0;
	else if (a->odd_since_ms == 0)
		a->odd_since_ms = now_ms;
	if (a->odd_since_ms != 0) {
		if (put_right(a, now_ms - a->odd_since_ms))
			a->odd_since_ms = 0;
		return;
	}
	/* An answer that old may be to a question from before the transition. */
	if (a->pptpd.failures > 0 || a->pptpd.active == active ||
	    a->pptpd.answered_ms <= a->transition.ended_ms + a->cluster->health.pptpd_timeout_ms ||
	    now_ms - a->repaired_ms < REPAIR_MS)
		return;
	a->repaired_ms = now_ms;
	agent_word(a, ROLE_EV_REPAIR,
	    active ? "pptpd stands by, but we are active" : "pptpd is active, but we stand by");
}

static void
judge(struct agent *a)
{
	if (!a->pptpd.known && a->pptpd.failures < a->cluster->health.failures)
		return;
	health_judge(&a->facts, a->cluster->health.failures, &a->health);
	decide(a);
	a->verdict_ms = loop_now_ms(a->loop);
}

void
agent_links_look(struct agent *a)
{
	look_at_links(a);
	if (a->verdict_ms != 0)
		judge(a);
}

static void
tick_cb(void *arg)
{
	struct agent *a = arg;
	int held = net_holds(a->us->wan_if, a->cluster->vip_wan.address);

	timer_set(&a->tick, AGENT_TICK_MS);
	if (held >= 0)
		a->held = held;
	ask_pptpd(a);
	agent_keepalived_look(a);
	look(a);
	a->ticks++;
	judge(a);
	agent_fence_look(a);
	agent_split_look(a);
	keep_epochs_apart(a);
	reconcile(a);
	agent_maintain_look(a);
	agent_drill_look(a);
}

void
agent_health_init(struct agent *a)
{
	facts_process_init(&a->keepalived);
	facts_process_init(&a->conntrackd);
	facts_process_init(&a->sshd);
	facts_process_init(&a->pptpd_monitor);
	a->facts = (struct health_facts){
	    .gre = HEALTH_UNKNOWN,
	    .pptpd_files_free = HEALTH_UNKNOWN,
	    .wan_if = a->us->wan_if,
	    .lan_if = a->us->lan_if,
	    .sync_if = a->us->sync_if,
	};
	agent_flap_init(a);
	agent_crash_init(a);
	timer_init(&a->tick, a->loop, tick_cb, a);
	timer_set(&a->tick, 0);
}

void
agent_health_fini(struct agent *a)
{
	timer_cancel(&a->tick);
	agent_flap_fini(a);
	io_fini(&a->keepalived_io);
	facts_process_fini(&a->keepalived);
	facts_process_fini(&a->conntrackd);
	facts_process_fini(&a->sshd);
	facts_process_fini(&a->pptpd_monitor);
}
