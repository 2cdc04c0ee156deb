/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's part in the replica. Every 50 ms pptpd is asked how its stream stands; pair.c judges;
 * what it wishes is done here: orders to pptpd, the marker on the disk, the guard's holds. Also at
 * each word of the peer, since an active that is short of marks waits for consent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "firewall/fw.h"
#include "hagent/agent.h"

#define LOOK_MS     50
#define ANSWER_MS   500 /* pptpd's status of the replica */
#define ORDER_MS    1000
#define CHILD_MS    2000
#define FRESH_MS    300  /* an answer older than this is none */
#define AGAIN_MS    1000 /* what failed is tried again after so long */
#define COMPLAIN_MS 10000
#define TROUBLE_MS  3000

static const json_t *
engine_says(const struct agent *a)
{
	return json_object_get(a->replica.status, "replica");
}

static uint64_t
number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static bool
is_set(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

/* What fails is tried again and again: the log hears of it now and then. */
static void
complain(struct agent *a, const char *what, const char *why)
{
	uint64_t now_ms = loop_now_ms(a->loop);

	if (a->replica.complained_ms != 0 && now_ms - a->replica.complained_ms < COMPLAIN_MS)
		return;
	a->replica.complained_ms = now_ms;
	log_warn("%s failed error=\"%s\"", what, log_quote(why, strcspn(why, "\n")));
}

/* ---- facts ---- */

static enum pair_role
pair_role(const struct agent *a)
{
	switch (role_state(&a->role)) {
	case ROLE_STANDBY:
		return a->held || agent_take_busy(a) ? PAIR_PROMOTING : PAIR_STANDBY;
	case ROLE_ACTIVE:
		return PAIR_ACTIVE;
	case ROLE_PROMOTING:
		return PAIR_PROMOTING;
	default:
		return PAIR_OTHER;
	}
}

static void
engine_facts(const struct agent *a, struct pair_engine *e)
{
	const struct agent_replica *r = &a->replica;
	const json_t *o = engine_says(a);
	const char *role = json_string_value(json_object_get(r->status, "role"));
	const char *state = json_string_value(json_object_get(o, "state"));

	if (!o || !role || !state)
		return;
	e->silent_ms = loop_now_ms(a->loop) - r->answered_ms;
	e->answers = e->silent_ms < FRESH_MS;
	e->active = strcmp(role, "active") == 0;
	e->copied = strcmp(state, "alone") != 0 && strcmp(state, "solo") != 0;
	e->cut_now = strcmp(state, "cut") == 0;
	e->silent_now = strcmp(state, "silent") == 0;
	e->wants = is_set(o, "wants");
	e->wants_ms = r->wanted_since_ms != 0 ? loop_now_ms(a->loop) - r->wanted_since_ms : 0;
	e->in_step = is_set(o, "in_step");
	e->stale = is_set(o, "stale");
	e->marked = is_set(o, "marked");
	e->connected = is_set(o, "connected");
	e->sessions = (unsigned)number(o, "sessions");
	e->copy = !e->active && !e->stale && e->sessions > 0;
	e->whole = e->copy && !json_is_false(json_object_get(o, "whole"));
	e->cut = number(o, "cut");
	e->stale_cut = number(o, "stale_cut");
	e->restoring = (unsigned)number(o, "restoring");
}

static struct pair_facts
gather(const struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	struct pair_facts f = {
	    .role = pair_role(a),
	    .epoch = a->epoch.counter,
	    .engine_epoch = number(a->replica.status, "epoch"),
	    .gave_epoch = a->move.gave_epoch,
	    .served_ms = a->replica.served_ms != 0 ? now_ms - a->replica.served_ms : UINT64_MAX,
	    .marker_may = a->replica.marker_may,
	    .marker_sure = a->replica.marker_sure,
	    .paired = a->replica.paired,
	    .moving = agent_move_keeps_stream(a),
	    .fence = agent_fence_fact(a),
	    .peer =
		{
		    .fresh = peer_fresh(&a->peer, now_ms),
		    .active = peer_active(&a->peer),
		    .standby = peer_standby(&a->peer),
		    .serves = a->peer.serves,
		    .sessions = a->peer.sessions,
		    .silent_ms =
			a->peer.heard_ms ? now_ms - a->peer.heard_ms : now_ms - a->started_ms,
		    .epoch = a->peer.epoch.counter,
		    .wants_cut = a->peer.wants_cut,
		    .stale_cut = a->peer.stale_cut,
		},
	};

	engine_facts(a, &f.engine);
	return f;
}

/* ---- the marker, and the epoch that we mirror under ---- */

static int
write_marker(void *arg)
{
	const struct agent *a = arg;

	if (epoch_write(a->alone_path, &a->epoch) == 0)
		return 0;
	fprintf(stderr, "%s: %s", a->alone_path, strerror(errno));
	return 1;
}

static int
remove_marker(void *arg)
{
	const struct agent *a = arg;
	int folder = open(a->state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = (unlink(a->alone_path) < 0 && errno != ENOENT) || folder < 0 || fsync(folder) < 0;

	if (rc)
		fprintf(stderr, "%s: %s", a->alone_path, strerror(errno));
	if (folder >= 0)
		close(folder);
	return rc;
}

static int
keep_epoch(void *arg)
{
	const struct agent *a = arg;
	struct epoch e = {.counter = a->replica.wishes.keep_epoch};

	snprintf(e.node, sizeof(e.node), "%s", a->them->name);
	if (epoch_write(a->epoch_path, &e) == 0)
		return 0;
	fprintf(stderr, "%s: %s", a->epoch_path, strerror(errno));
	return 1;
}

/* The end of whatever was done to the disk; a promotion may wait for it. */
static void
disk_done(struct agent *a, const struct child_result *r, const char *what)
{
	bool failed = r->status != 0 && !r->cut;

	if (failed) {
		a->replica.disk_again_ms = loop_now_ms(a->loop) + AGAIN_MS;
		complain(a, what, r->output);
	}
	if (a->epoch_token != 0)
		agent_steps_epoch(a);
	else if (!failed)
		agent_replica_look(a);
}

static void
marker_written(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;

	a->replica.marker_sure = r->status == 0;
	if (r->status == 0)
		journal_event(&a->journal, "alone",
		    "no path to the peer, or no consent: one class of keys only");
	disk_done(a, r, "writing the marker");
}

static void
marker_removed(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;

	if (r->status == 0 && a->epoch_token == 0)
		a->replica.marker_may = false;
	disk_done(a, r, "removing the marker");
}

static void
epoch_kept(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;

	if (r->status == 0 && a->epoch_token == 0)
		(void)epoch_read(a->epoch_path, &a->epoch);
	disk_done(a, r, "keeping the epoch");
}

static void
see_to_the_disk(struct agent *a, const struct pair_wishes *w)
{
	struct agent_replica *r = &a->replica;
	struct agent_child *c = &r->marker_child;

	if (child_running(&c->child) || child_running(&a->epoch_child.child) ||
	    loop_now_ms(a->loop) < r->disk_again_ms)
		return;
	if (w->write_marker) {
		r->marker_may = true;
		(void)child_call(&c->child, a->loop, write_marker, a, CHILD_MS, marker_written, c);
	} else if (w->keep_epoch) {
		(void)child_call(&c->child, a->loop, keep_epoch, a, CHILD_MS, epoch_kept, c);
	} else if (w->remove_marker) {
		r->marker_sure = false;
		(void)child_call(&c->child, a->loop, remove_marker, a, CHILD_MS, marker_removed, c);
	}
}

bool
agent_replica_leave_disk(struct agent *a)
{
	struct child *c = &a->replica.marker_child.child;

	a->replica.marker_may = true;
	a->replica.marker_sure = false;
	if (child_running(c))
		child_cut(c);
	return !child_running(c);
}

/* As a promotion does, which then finds both written. */
static int
write_prepared(void *arg)
{
	const struct agent *a = arg;
	struct epoch e = {.counter = a->replica.prepared_epoch};
	const char *path = a->alone_path;

	snprintf(e.node, sizeof(e.node), "%s", a->us->name);
	if (epoch_write(path, &e) == 0 && epoch_write(path = a->epoch_path, &e) == 0)
		return 0;
	fprintf(stderr, "%s: %s", path, strerror(errno));
	return 1;
}

static void
prepared(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;
	void (*done)(struct agent *, int) = a->replica.prepared;

	a->replica.prepared = NULL;
	a->replica.marker_sure = r->status == 0 && a->epoch_token == 0;
	disk_done(a, r, "preparing marker and epoch");
	done(a, r->status == 0 ? 0 : EIO);
}

int
agent_replica_prepare(struct agent *a, uint64_t epoch, void (*done)(struct agent *a, int error))
{
	struct agent_child *c = &a->replica.marker_child;

	errno = EBUSY;
	if (child_running(&c->child) || child_running(&a->epoch_child.child))
		return -1;
	a->replica.prepared_epoch = epoch;
	a->replica.marker_may = true;
	if (child_call(&c->child, a->loop, write_prepared, a, CHILD_MS, prepared, c) < 0)
		return -1;
	a->replica.prepared = done;
	return 0;
}

/* ---- the guard's holds ---- */

static int
set_holds(void *arg)
{
	const struct agent *a = arg;
	unsigned goal = (unsigned)a->replica.holds_goal;
	struct fw *f = fw_new();
	int rc = 1;

	if (f && (goal == 0 || fw_hold_set(f, goal, true) == 0) &&
	    (goal == (FW_HOLD_CALLS | FW_HOLD_UNKNOWN) ||
		fw_hold_set(f, (FW_HOLD_CALLS | FW_HOLD_UNKNOWN) & ~goal, false) == 0))
		rc = 0;
	else
		fputs(f ? fw_error(f) : strerror(errno), stderr);
	fw_free(f);
	return rc;
}

static void
holds_done(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	struct agent *a = c->agent;

	a->replica.holds_set = r->status == 0 ? a->replica.holds_goal : -1;
	if (r->status != 0) {
		a->replica.holds_again_ms = loop_now_ms(a->loop) + AGAIN_MS;
		complain(a, "changing the guard's holds", r->output);
	}
}

static void
see_to_the_holds(struct agent *a, const struct pair_wishes *w)
{
	struct agent_replica *r = &a->replica;
	int goal = (w->hold_calls ? FW_HOLD_CALLS : 0) | (w->hold_unknown ? FW_HOLD_UNKNOWN : 0);

	if (goal == r->holds_set || child_running(&r->hold_child.child) ||
	    loop_now_ms(a->loop) < r->holds_again_ms)
		return;
	r->holds_goal = goal;
	(void)child_call(
	    &r->hold_child.child, a->loop, set_holds, a, CHILD_MS, holds_done, &r->hold_child);
}

/* ---- orders to the engine ---- */

static const char *const order_names[] = {"", "stale", "solo", "silent"};

static bool
order_held(struct agent *a, json_t *answer, const char *what)
{
	const char *text =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

	if (json_is_true(json_object_get(answer, "ok")))
		return true;
	if (!text)
		text = strerror(errno);
	complain(a, what, text);
	return false;
}

static void
order_done(void *arg, json_t *answer)
{
	struct agent *a = arg;
	struct agent_replica *r = &a->replica;
	enum pair_order order = r->wishes.order;

	r->ordering = false;
	if (order == PAIR_NO_ORDER || !order_held(a, answer, order_names[order]))
		return;
	r->ordered = r->wishes;
	r->ordered_ms = loop_now_ms(a->loop);
	journal_event(&a->journal, order_names[order], "stream %llu of the replica",
	    (unsigned long long)r->wishes.cut);
}

/* The engine took it, and its next status will say so. */
static bool
is_taken(const struct agent *a, const struct pair_wishes *w)
{
	const struct agent_replica *r = &a->replica;

	return r->ordered.order == w->order && r->ordered.cut == w->cut &&
	       loop_now_ms(a->loop) - r->ordered_ms < FRESH_MS;
}

static void
give_order(struct agent *a, const struct pair_wishes *w)
{
	struct agent_replica *r = &a->replica;
	json_t *args;

	if (w->order == PAIR_NO_ORDER || r->ordering || is_taken(a, w))
		return;
	args = json_pack("{s:I}", "cut", (json_int_t)w->cut);
	if (w->order == PAIR_STALE)
		json_object_set_new(args, "epoch", json_integer((json_int_t)a->peer.epoch.counter));
	r->ordering =
	    answer_client_call(r->asks, order_names[w->order], args, ORDER_MS, order_done, a) != 0;
}

static void
paired(void *arg, json_t *answer)
{
	struct agent *a = arg;

	a->replica.pairing = false;
	a->replica.paired = order_held(a, answer, "pair");
	if (!a->replica.paired)
		a->replica.pair_again_ms = loop_now_ms(a->loop) + AGAIN_MS;
}

/* The engine's HELLO says what we can prove; so it must know before a stream is dialled. */
static void
pair(struct agent *a, const struct pair_wishes *w)
{
	struct agent_replica *r = &a->replica;

	if (r->pairing ||
	    (r->paired && r->paired_as.clean == w->clean && r->paired_epoch == a->epoch.counter))
		return;
	r->paired = false;
	r->paired_as = *w;
	r->paired_epoch = a->epoch.counter;
	r->pairing =
	    answer_client_call(r->asks, "pair",
		json_pack("{s:b,s:I}", "clean", w->clean, "epoch", (json_int_t)a->epoch.counter),
		ORDER_MS, paired, a) != 0;
}

/* ---- the look ---- */

void
agent_replica_look(struct agent *a)
{
	struct pair_facts f = gather(a);
	struct pair_wishes w;

	pair_judge(&f, &a->replica.wishes, &w);
	if (a->replica.ordering) { /* order_done() tells what was ordered */
		w.order = a->replica.wishes.order;
		w.cut = a->replica.wishes.cut;
	} else if (f.engine.answers) {
		give_order(a, &w);
	}
	a->replica.wishes = w;
	if (f.engine.answers)
		pair(a, &w);
	see_to_the_disk(a, &w);
	see_to_the_holds(a, &w);
	agent_move_look(a);
	agent_steps_waited(a);
}

static void
status_done(void *arg, json_t *answer)
{
	struct agent *a = arg;
	struct agent_replica *r = &a->replica;
	json_t *data = json_object_get(answer, "data");

	r->asking = false;
	if (!json_is_object(data))
		return;
	if (number(data, "uptime_ms") < r->uptime_ms)
		r->paired = false; /* another engine than before */
	r->uptime_ms = number(data, "uptime_ms");
	json_decref(r->status);
	r->status = json_incref(data);
	r->answered_ms = loop_now_ms(a->loop);
	if (gather(a).engine.active)
		r->served_ms = r->answered_ms;
	if (!is_set(engine_says(a), "wants"))
		r->wanted_since_ms = 0;
	else if (r->wanted_since_ms == 0)
		r->wanted_since_ms = r->answered_ms;
	agent_replica_look(a);
}

static void
look_cb(void *arg)
{
	struct agent *a = arg;
	struct agent_replica *r = &a->replica;

	timer_set(&r->look, LOOK_MS);
	agent_crash_look(a);
	if (!r->asking)
		r->asking =
		    answer_client_call(r->asks, "replica", NULL, ANSWER_MS, status_done, a) != 0;
	agent_replica_look(a);
}

int
agent_replica_init(struct agent *a)
{
	struct agent_replica *r = &a->replica;

	r->marker_child.agent = r->hold_child.agent = a;
	r->holds_set = -1;
	r->marker_may = access(a->alone_path, F_OK) == 0 || errno != ENOENT;
	r->wishes = (struct pair_wishes){.wants_cut = PAIR_NO_CUT, .stale_cut = PAIR_NO_CUT};
	r->asks = answer_client_new(a->loop, a->pptpd_socket);
	if (!r->asks)
		return -1;
	timer_init(&r->look, a->loop, look_cb, a);
	timer_set(&r->look, 0);
	return 0;
}

void
agent_replica_fini(struct agent *a)
{
	struct agent_replica *r = &a->replica;

	if (!r->asks)
		return;
	timer_cancel(&r->look);
	child_fini(&r->marker_child.child);
	child_fini(&r->hold_child.child);
	answer_client_free(r->asks);
	json_decref(r->status);
}

/* ---- what others ask ---- */

static bool
in_step(const struct agent *a)
{
	struct pair_facts f = gather(a);

	return f.engine.answers && f.engine.in_step;
}

bool
agent_replica_covers(const struct agent *a)
{
	struct pair_facts f = gather(a);

	return f.engine.answers && (f.engine.in_step || f.engine.sessions == 0);
}

void
agent_replica_move(const struct agent *a, struct move_facts *f)
{
	struct pair_facts now = gather(a);
	const json_t *o = engine_says(a);

	f->serves = now.engine.answers && now.engine.active;
	f->in_step = now.engine.answers && now.engine.in_step && !now.engine.stale;
	f->sessions = now.engine.sessions;
	f->at_risk = (unsigned)number(o, "at_risk");
	f->unsettled = (unsigned)(number(o, "restoring") + number(o, "rekeying"));
	/* An engine that knows one version only does not name it. */
	f->version = json_object_get(o, "version") ? (unsigned)number(o, "version") : 1;
}

const json_t *
agent_replica_handover(const struct agent *a)
{
	return json_object_get(engine_says(a), "handover");
}

uint64_t
agent_replica_yielded(const struct agent *a)
{
	return number(engine_says(a), "yielded");
}

bool
agent_replica_is_active(const struct agent *a)
{
	struct pair_facts f = gather(a);

	return f.engine.answers && f.engine.active;
}

bool
agent_replica_serves(const struct agent *a, uint64_t epoch)
{
	struct pair_facts f = gather(a);

	return f.engine.answers && f.engine.active && f.engine_epoch == epoch;
}

/* In words, or an empty text. */
static void
tell_trouble(struct agent *a)
{
	const json_t *o = engine_says(a);
	unsigned at_risk = (unsigned)number(o, "at_risk");
	bool copies = is_set(o, "in_step") && !is_set(o, "stale");
	char *out = a->replica.trouble;
	size_t size = sizeof(a->replica.trouble);

	*out = '\0';
	if (!o || copies || !a->facts.peer_heard)
		return;
	if (is_set(o, "failed"))
		snprintf(out, size, "the standby is out of memory: it keeps no copy");
	else if (role_state(&a->role) == ROLE_ACTIVE && peer_standby(&a->peer))
		snprintf(
		    out, size, "the standby has no current copy: %u sessions are at risk", at_risk);
	else if (role_state(&a->role) == ROLE_STANDBY && peer_active(&a->peer))
		snprintf(out, size, "this standby has no current copy of the peer's sessions");
}

const char *
agent_replica_trouble(struct agent *a)
{
	struct agent_replica *r = &a->replica;
	uint64_t now_ms = loop_now_ms(a->loop);

	tell_trouble(a);
	if (!*r->trouble)
		r->trouble_since_ms = 0;
	else if (r->trouble_since_ms == 0)
		r->trouble_since_ms = now_ms;
	return r->trouble_since_ms != 0 && now_ms - r->trouble_since_ms >= TROUBLE_MS ? r->trouble
										      : NULL;
}

void
agent_replica_hello(const struct agent *a, json_t *o)
{
	const struct pair_wishes *w = &a->replica.wishes;
	struct pair_facts f = gather(a);

	json_object_set_new(o, "mirrors", json_boolean(w->mirrors));
	json_object_set_new(o, "in_step", json_boolean(in_step(a)));
	json_object_set_new(o, "serves", json_boolean(f.engine.answers && f.engine.active));
	json_object_set_new(o, "sessions", json_integer(f.engine.sessions));
	if (w->wants_cut != PAIR_NO_CUT)
		json_object_set_new(o, "wants_cut", json_integer((json_int_t)w->wants_cut));
	if (w->stale_cut != PAIR_NO_CUT)
		json_object_set_new(o, "stale_cut", json_integer((json_int_t)w->stale_cut));
}

json_t *
agent_replica_json(const struct agent *a)
{
	json_t *o = json_copy((json_t *)(uintptr_t)engine_says(a));

	if (!o)
		return json_null();
	json_object_set_new(o, "marker", json_boolean(a->replica.marker_may));
	json_object_set_new(o, "hold_calls",
	    json_boolean(a->replica.holds_set > 0 && (a->replica.holds_set & FW_HOLD_CALLS) != 0));
	json_object_set_new(o, "hold_unknown",
	    json_boolean(
		a->replica.holds_set > 0 && (a->replica.holds_set & FW_HOLD_UNKNOWN) != 0));
	return o;
}
