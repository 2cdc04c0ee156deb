/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of a drill, one function each. A part that fails says why; what it has begun is undone
 * by UNDO, which knows from the drive how far things came.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hagent/drill_drive.h"
#include "hagent/drill_guard.h"
#include "hagent/drill_sniff.h"
#include "hagent/drill_store.h"
#include "hagent/words.h"

#define CHECK_MS 3000 /* what may pass in a moment is waited for */
#define LOOK_MS  50
#define ASK_MS   3000
#define MOVE_MS  20000
#define TAKE_S   10 /* beyond the outage */
#define HEAL_S   45
#define SPARE_S  120 /* what the peer keeps beyond what is planned */
#define US_PER_S 1000000LL

typedef enum drill_event part(struct drill_drive *d);

static enum drill_event
failed(struct drill_drive *d, const char *text)
{
	if (d->aborted)
		return DRILL_EV_ABORT;
	drill_say(d, "%s", text);
	return DRILL_EV_FAILED;
}

/* ---- check ---- */

static enum drill_event
check(struct drill_drive *d)
{
	char *folder = hagent_path(d->h, HAGENT_DRILLS);
	json_t *past = drill_store_list(folder, DRILL_KEEP);
	const char *why = drill_refused_by_plan(
	    &d->plan, past, drill_wall_us() / US_PER_S, d->scheduled, d->force);
	int64_t end_us = drill_now_us() + CHECK_MS * 1000LL;
	bool wait = true;

	json_decref(past);
	free(folder);
	if (!why && d->plan.kind != DRILL_PLANNED &&
	    d->peer.dial.cluster->split.peer_loss == CLUSTER_FENCE)
		why = "peer-loss is fence: the fence command would switch the other gateway off";
	while (!why && wait) {
		why = drill_look(d) ? drill_refusal(d->status, &wait) : d->peer.text;
		if (!why || !wait || drill_now_us() > end_us)
			break;
		why = NULL;
		if (!drill_wait_ms(d, LOOK_MS))
			return DRILL_EV_ABORT;
	}
	return why ? failed(d, why) : DRILL_EV_OK;
}

/* ---- join ---- */

static unsigned
seconds_of(const struct drill_plan *p)
{
	return p->before_s + p->outage_s + p->after_s + SPARE_S;
}

static void __attribute__((noreturn)) watch_here(const struct drill_drive *d)
{
	const struct cluster_node *us = d->peer.dial.us;
	char *result = hagent_path(d->h, HAGENT_DRILL_WATCH),
	     *cut = hagent_path(d->h, HAGENT_DRILL_CUT);
	const struct drill_sniff s = {.interface = us->wan_if,
	    .address = d->peer.dial.cluster->vip_wan.address,
	    .result = result,
	    .cut = cut,
	    .seconds = seconds_of(&d->plan)};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	_exit(drill_sniff_run(&s) < 0);
}

static enum drill_event
join(struct drill_drive *d)
{
	json_t *data = drill_peer_ask(&d->peer, "drill-join",
	    json_pack("{s:s,s:i}", "drill", d->id, "seconds", (int)seconds_of(&d->plan)), ASK_MS);
	long long sessions = words_number(data, "sessions"), risk = words_number(data, "at_risk");
	bool in_step = words_is(data, "in_step");

	if (!data)
		return failed(d, d->peer.text);
	d->joined = true;
	json_decref(data);
	drill_say(d, "%lld sessions", sessions);
	if (sessions > (long long)d->plan.max_sessions) {
		drill_say(d, "%lld sessions are up, more than max-sessions = %u", sessions,
		    d->plan.max_sessions);
		return DRILL_EV_FAILED;
	}
	if (!in_step || risk > 0) {
		drill_say(d, "%lld sessions are at risk: the standby lags behind", risk);
		return DRILL_EV_FAILED;
	}
	if (drill_peer_clock(&d->peer, &d->clock) < 0)
		return failed(d, d->peer.text);
	d->watch = fork();
	if (d->watch == 0)
		watch_here(d);
	return d->watch > 0 ? DRILL_EV_OK : failed(d, strerror(errno));
}

/* ---- before ---- */

static enum drill_event
before(struct drill_drive *d)
{
	const struct drill_plan *p = &d->plan;
	unsigned seconds = p->before_s + p->outage_s + p->after_s + HEAL_S;

	if (drill_witness_start(d, seconds) < 0)
		return failed(d, "the witness cannot be started");
	if (!drill_wait_ms(d, (int64_t)p->before_s * 1000))
		return failed(d, "");
	if (p->kind == DRILL_LOAD && drill_load_start(d, p->outage_s) < 0)
		return failed(d, "the load cannot be started");
	d->before = drill_list_sessions(d, true);
	if (!d->before)
		return failed(d, d->peer.text);
	/* Once more: what the drill is about to cost must not have become more. */
	bool wait;
	const char *why = drill_look(d) ? drill_refusal(d->status, &wait) : d->peer.text;
	d->drops = drill_count_drops(d);
	drill_say(d, "%zu sessions", json_array_size(d->before));
	return why ? failed(d, why) : DRILL_EV_OK;
}

/* ---- strike ---- */

static enum drill_event
order_move(struct drill_drive *d)
{
	json_t *data;

	d->fault_us = drill_now_us();
	d->fault_ms = drill_wall_us() / 1000;
	d->struck = true;
	data = drill_here_ask(&d->peer, d->h, HAGENT_SOCKET, "switchover",
	    json_pack("{s:s}", "why", "drill"), MOVE_MS);
	if (!data)
		return failed(d, d->peer.text);
	drill_say(d, "%lld sessions, by %s, %lld ms", words_number(data, "sessions"),
	    words_text(data, "way"), words_number(data, "ms"));
	json_decref(data);
	return DRILL_EV_OK;
}

static enum drill_event
strike(struct drill_drive *d)
{
	json_t *data;

	if (d->plan.kind == DRILL_PLANNED)
		return order_move(d);
	data = drill_peer_ask(&d->peer, "drill-fault",
	    json_pack("{s:s,s:s,s:i,s:i}", "drill", d->id, "kind", drill_kind_name(d->plan.kind),
		"link", (int)d->plan.link, "seconds", (int)d->plan.outage_s),
	    ASK_MS);
	if (!data)
		return failed(d, d->peer.text);
	d->struck = true;
	/* Roughly, until the guardian's own record can be read. */
	d->fault_us = words_number(data, "mono_us") - d->clock.ahead_us +
		      words_number(data, "late_ms") * 1000;
	d->fault_ms = drill_wall_us() / 1000 + DRILL_LATE_MS;
	json_decref(data);
	return DRILL_EV_OK;
}

/* ---- take, after ---- */

static bool
serves(const struct drill_drive *d)
{
	return strcmp(words_text(d->status, "role"), "active") == 0 &&
	       !words_is(d->status, "transition_running");
}

static enum drill_event
take(struct drill_drive *d)
{
	int64_t end_us = drill_now_us() + (d->plan.outage_s + TAKE_S) * US_PER_S;

	while (!drill_look(d) || !serves(d)) {
		if (!drill_wait_ms(d, LOOK_MS))
			return failed(d, "");
		if (drill_now_us() > end_us)
			return failed(d, "this gateway did not take over");
	}
	return DRILL_EV_OK;
}

static enum drill_event
after(struct drill_drive *d)
{
	if (!drill_wait_ms(d, (int64_t)d->plan.after_s * 1000))
		return failed(d, "");
	return drill_look(d) && serves(d) ? DRILL_EV_OK
					  : failed(d, "this gateway does not serve any more");
}

/* ---- heal, undo ---- */

static bool
becomes_whole(struct drill_drive *d, bool even_aborted)
{
	int64_t end_us = drill_now_us() + (d->plan.outage_s + HEAL_S) * US_PER_S;
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};

	while (!drill_look(d) || !drill_is_whole(d)) {
		if (drill_now_us() > end_us || (!even_aborted && d->aborted))
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static enum drill_event
heal(struct drill_drive *d)
{
	d->whole = becomes_whole(d, false);
	if (!d->whole)
		return failed(d, "the other gateway did not come back as a standby in step");
	d->after = drill_list_sessions(d, false); /* while the witness is there, too */
	drill_witness_end(d);
	return DRILL_EV_OK;
}

/* The peer is told as long as it can be; what it does not hear ends there by itself. */
static enum drill_event
undo(struct drill_drive *d)
{
	int64_t end_us = drill_now_us() + (d->plan.outage_s + HEAL_S) * US_PER_S;
	const struct timespec pause = {.tv_nsec = 10 * LOOK_MS * 1000000L};
	json_t *data = NULL;

	if (d->watch > 0)
		kill(d->watch, SIGTERM);
	while (d->joined && !data && drill_now_us() < end_us) {
		data = drill_peer_ask(
		    &d->peer, "drill-leave", json_pack("{s:s}", "drill", d->id), ASK_MS);
		if (!data)
			nanosleep(&pause, NULL);
	}
	json_decref(data);
	drill_witness_end(d);
	d->whole = !d->struck || becomes_whole(d, true);
	if (!d->whole)
		drill_say(d, "the pair is not whole: see hagent status on both gateways");
	else
		drill_say(d, d->struck ? "the pair is whole" : "nothing has happened");
	return d->whole ? DRILL_EV_OK : DRILL_EV_FAILED;
}

/* ---- collect, back ---- */

static enum drill_event
collect(struct drill_drive *d)
{
	drill_collect(d);
	return DRILL_EV_OK;
}

static enum drill_event
back(struct drill_drive *d)
{
	json_t *data;

	if (!d->plan.fail_back || !d->struck || !drill_look(d) || !serves(d))
		return DRILL_EV_OK;
	data = drill_here_ask(&d->peer, d->h, HAGENT_SOCKET, "switchover",
	    json_pack("{s:s}", "why", "drill: back"), MOVE_MS);
	d->fail_back = data ? json_pack("{s:s,s:I,s:s,s:s}", "result", "moved", "ms",
				  (json_int_t)words_number(data, "ms"), "way",
				  words_text(data, "way"), "text", words_text(data, "text"))
			    : json_pack("{s:s,s:s}", "result", "refused", "text", d->peer.text);
	if (!data)
		return failed(d, d->peer.text);
	json_decref(data);
	return becomes_whole(d, true) ? DRILL_EV_OK : failed(d, "the pair is not whole");
}

enum drill_event
drill_do(struct drill_drive *d, enum drill_state s)
{
	static part *const parts[DRILL_N_STATES] = {
	    [DRILL_CHECK] = check,
	    [DRILL_JOIN] = join,
	    [DRILL_BEFORE] = before,
	    [DRILL_STRIKE] = strike,
	    [DRILL_TAKE] = take,
	    [DRILL_AFTER] = after,
	    [DRILL_HEAL] = heal,
	    [DRILL_UNDO] = undo,
	    [DRILL_COLLECT] = collect,
	    [DRILL_BACK] = back,
	};

	return parts[s](d);
}
