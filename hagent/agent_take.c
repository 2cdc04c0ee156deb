/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Planned moves, the other side: the peer's agent asks us to be ready for its sessions. What a
 * promotion does is done beforehand, but for the promotion itself, so that nothing of it lies
 * between the peer's last packet and our first. The steps stand in the journal under TAKE:
 *
 *   epoch     the marker and the new epoch, on the disk
 *   commit    conntrackd's connections into the kernel
 *   gate-open
 *   catch     what comes for the virtual address before it is here goes to the daemon
 *   expect    our engine may promote itself when the peer's hands over under that epoch
 *
 * keepalived's MASTER ends it, and finds most of its own work done. Where no handover comes, or
 * one and no address behind it, the gate is shut again; the tick demotes an engine that serves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/net.h"

#define DISK_AGAIN_MS 10
#define LOOK_MS       100

enum {
	S_EPOCH,
	S_COMMIT,
	S_GATE,
	S_CATCH,
	S_EXPECT,
	N_STEPS
};

/* How long our engine waits for the handover. */
static unsigned
expect_ms(const struct agent *a)
{
	return 2 * a->cluster->timeouts.handover_ms;
}

/* ---- steps ---- */

static void
child_step_done(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	unsigned token = c->token;

	c->token = 0;
	steps_end(&c->agent->take.steps, token, r->status == 0 ? STEP_OK : STEP_FAILED,
	    r->status == 0 ? "" : log_quote(r->output, strcspn(r->output, "\n")));
}

static bool
cut_child(struct agent_child *c)
{
	if (!child_running(&c->child))
		return true;
	child_cut(&c->child);
	return false;
}

static void
written(struct agent *a, int error)
{
	struct agent_take *t = &a->take;
	unsigned token = t->disk_token;

	t->disk_token = 0;
	t->written = error == 0 && token != 0;
	steps_end(&t->steps, token, error ? STEP_FAILED : STEP_OK, error ? strerror(error) : "");
}

/* The disk may be at work for the marker: it is done with it in a moment. */
static void
disk_cb(void *arg)
{
	struct agent *a = arg;
	struct agent_take *t = &a->take;

	if (t->disk_token != 0 && agent_replica_prepare(a, t->epoch, written) < 0)
		timer_set(&t->disk_again, DISK_AGAIN_MS);
}

static int
epoch_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	a->take.disk_token = token;
	disk_cb(a);
	return 0;
}

/* What is being written stays: it says only that nothing is proven. */
static bool
epoch_cut(void *arg)
{
	struct agent *a = arg;

	timer_cancel(&a->take.disk_again);
	a->take.disk_token = 0;
	return true;
}

static int
commit_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	struct agent_flows *f = &a->take.commit;

	if (facts_process_state(&a->conntrackd) != HEALTH_ALIVE) {
		steps_end(s, token, STEP_SKIPPED, "conntrackd is not running");
		return 0;
	}
	if (agent_flows_ask(
		f, CONNTRACKD_COMMIT, a->cluster->timeouts.commit_ms + 1000, child_step_done) < 0)
		return -1;
	f->c.token = token;
	return 0;
}

static bool
commit_cut(void *arg)
{
	return agent_flows_cut(&((struct agent *)arg)->take.commit);
}

static int
open_gate(void *arg)
{
	return agent_gate_set(true);
}

static int
shut_gate(void *arg)
{
	return agent_gate_set(false);
}

static int
begin_gate(struct agent *a, int (*fn)(void *arg), unsigned token)
{
	struct agent_child *c = &a->take.gate;

	if (child_call(&c->child, a->loop, fn, a, a->cluster->timeouts.gate_ms + 1000,
		child_step_done, c) < 0)
		return -1;
	c->token = token;
	return 0;
}

static int
gate_begin(struct steps *s, unsigned token, void *arg)
{
	return begin_gate(arg, open_gate, token);
}

static int
shut_begin(struct steps *s, unsigned token, void *arg)
{
	return begin_gate(arg, shut_gate, token);
}

static bool
gate_cut(void *arg)
{
	return cut_child(&((struct agent *)arg)->take.gate);
}

/*
 * The other gateway loses the address some moments before we get it. It sends on what comes
 * meanwhile, and we would send that back to it.
 */
static int
catch_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	if (facts_arp_ignore() < 1) {
		steps_end(s, token, STEP_SKIPPED, "arp_ignore is 0: it would be announced");
		return 0;
	}
	if (net_catch(a->us->wan_if, a->cluster->vip_wan.address, true) < 0)
		return -1;
	steps_end(s, token, STEP_OK, "");
	return 0;
}

static void
let_go(struct agent *a)
{
	if (net_catch(a->us->wan_if, a->cluster->vip_wan.address, false) < 0)
		log_warn("route of the virtual address not removed error=\"%s\"", strerror(errno));
}

static void
expected(void *arg, json_t *answer)
{
	struct agent *a = arg;
	const char *text =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	bool good = json_is_true(json_object_get(answer, "ok"));

	a->take.order = 0;
	if (!text)
		text = strerror(errno);
	steps_end(
	    &a->take.steps, a->take.order_token, good ? STEP_OK : STEP_FAILED, good ? "" : text);
}

static int
expect_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	struct agent_take *t = &a->take;

	if (t->failed) {
		steps_end(s, token, STEP_SKIPPED, "");
		return 0;
	}
	t->order_token = token;
	t->order = answer_client_call(a->pptpd.orders, "expect",
	    json_pack("{s:I,s:i}", "epoch", (json_int_t)t->epoch, "ms", (int)expect_ms(a)),
	    a->cluster->timeouts.handover_ms + 1000, expected, a);
	return t->order ? 0 : -1;
}

static bool
expect_cut(void *arg)
{
	struct agent *a = arg;

	answer_client_forget(a->pptpd.orders, a->take.order);
	a->take.order = 0;
	return true;
}

/* ---- begin and end ---- */

static void
undo(struct agent *a, const char *why)
{
	struct agent_take *t = &a->take;

	timer_cancel(&t->expiry);
	let_go(a);
	t->preparing = t->prepared = t->written = t->opened = false;
	t->undoing = true;
	journal_event(
	    &a->journal, "prepared-in-vain", "epoch=%llu: %s", (unsigned long long)t->epoch, why);
	steps_run(&t->steps, &t->shut, 1, t->id);
}

static void
on_step(void *arg, const struct steps_report *r)
{
	struct agent *a = arg;
	struct agent_take *t = &a->take;

	agent_journal_step(a, r, "TAKE");
	t->opened |= r->step == &t->list[S_GATE] && r->result == STEP_OK;
	/* What these two cost is less than a move that is not made. */
	if ((r->result != STEP_FAILED && r->result != STEP_CUT) || r->step == &t->list[S_COMMIT] ||
	    r->step == &t->list[S_CATCH])
		return;
	t->failed = true;
	snprintf(t->text, sizeof(t->text), "%s: %s", r->step->name, r->detail);
}

static void
answer_asker(struct agent_take *t, const char *code)
{
	struct answer_request *asker = t->asker;

	t->asker = NULL;
	if (!asker)
		return;
	if (code)
		answer_error(asker, code, "%s", t->text);
	else
		answer_ok(asker, json_pack("{s:I}", "epoch", (json_int_t)t->epoch));
}

static void
on_done(void *arg, uint64_t id)
{
	struct agent *a = arg;
	struct agent_take *t = &a->take;

	if (t->undoing) {
		t->undoing = false;
		return;
	}
	if (!t->preparing) /* keepalived was faster */
		return;
	t->preparing = false;
	if (t->failed) {
		answer_asker(t, "failed");
		undo(a, t->text);
		return;
	}
	t->prepared = true;
	t->prepared_ms = loop_now_ms(a->loop);
	timer_set(&t->expiry, expect_ms(a) + LOOK_MS);
	answer_asker(t, NULL);
}

/* The engine waits no longer. If it has the sessions, the addresses are still to come. */
static void
expiry_cb(void *arg)
{
	struct agent *a = arg;
	struct agent_take *t = &a->take;
	uint64_t ms = loop_now_ms(a->loop) - t->prepared_ms;
	bool taken = agent_replica_serves(a, t->epoch);

	if (taken && ms < expect_ms(a) + 2 * a->cluster->timeouts.address_ms)
		timer_set(&t->expiry, LOOK_MS);
	else
		undo(a, taken ? "the addresses did not come" : "no handover came");
}

static struct move_taker
facts(const struct agent *a, uint64_t asked)
{
	struct move_facts f = {0};
	uint64_t epoch = agent_counter(a);

	agent_replica_move(a, &f);
	return (struct move_taker){
	    .standby = role_state(&a->role) == ROLE_STANDBY && !f.serves,
	    .held = a->held,
	    .keepalived = a->facts.keepalived == HEALTH_ALIVE && a->heard != FIFO_FAULT,
	    .unfit = a->yielding,
	    .busy = agent_move_busy(a),
	    .maintenance = a->maintenance.on,
	    .in_step = f.in_step,
	    .fault = a->health.fault,
	    .problem = agent_worst(a),
	    .asked = asked,
	    .epoch = epoch,
	};
}

/* {"epoch":N,"why":"..."}: answered when the peer may order its engine to hand over. */
void
agent_take_prepare(struct answer_request *r, json_t *args, struct agent *a)
{
	struct agent_take *t = &a->take;
	const char *why = json_string_value(json_object_get(args, "why"));
	uint64_t asked = (uint64_t)json_integer_value(json_object_get(args, "epoch"));
	struct move_taker f;
	const char *refusal;

	agent_flap_lift(a);
	f = facts(a, asked);
	refusal = move_refuses(&f);
	if (refusal) {
		answer_error(r, "refused", "%s", refusal);
		return;
	}
	t->preparing = true;
	t->failed = t->written = t->opened = false;
	t->text[0] = '\0';
	t->epoch = asked;
	t->asker = r;
	t->id = ++a->last_id;
	journal_event(&a->journal, "prepares", "epoch=%llu for %s: %s", (unsigned long long)asked,
	    a->them->name, why ? log_quote(why, strlen(why)) : "");
	steps_run(&t->steps, t->list, N_STEPS, t->id);
}

bool
agent_take_busy(const struct agent *a)
{
	return a->take.preparing || a->take.prepared;
}

/*
 * MASTER takes over from here: what is on the disk counts for it. Any other transition means that
 * we are not to serve; it shuts the gate.
 */
void
agent_take_superseded(struct agent *a, enum role_work work)
{
	struct agent_take *t = &a->take;
	bool running = t->preparing || t->undoing;

	if (agent_take_busy(a))
		let_go(a); /* the address is here now, or will not be */
	t->written &= work == ROLE_PROMOTE;
	t->opened &= work == ROLE_PROMOTE;
	t->preparing = t->prepared = t->undoing = false;
	timer_cancel(&t->expiry);
	snprintf(t->text, sizeof(t->text), "keepalived was faster");
	answer_asker(t, "failed");
	if (running)
		steps_run(&t->steps, t->list, 0, t->id);
}

bool
agent_take_wrote(const struct agent *a, uint64_t epoch)
{
	return a->take.written && a->take.epoch == epoch;
}

bool
agent_take_opened(const struct agent *a, uint64_t epoch)
{
	return a->take.opened && a->take.epoch == epoch;
}

json_t *
agent_take_json(const struct agent *a)
{
	if (!agent_take_busy(a))
		return json_null();
	return json_pack("{s:I,s:s}", "epoch", (json_int_t)a->take.epoch, "phase",
	    a->take.preparing ? "preparing" : "prepared");
}

void
agent_take_init(struct agent *a)
{
	struct agent_take *t = &a->take;

	t->commit.c.agent = t->gate.agent = a;
	t->list[S_EPOCH] =
	    (struct step){"epoch", 0, a->cluster->timeouts.epoch_ms, false, epoch_begin, epoch_cut};
	t->list[S_COMMIT] = (struct step){
	    "commit", 0, a->cluster->timeouts.commit_ms, false, commit_begin, commit_cut};
	t->list[S_GATE] = (struct step){
	    "gate-open", 1U << S_COMMIT, a->cluster->timeouts.gate_ms, false, gate_begin, gate_cut};
	t->list[S_CATCH] = (struct step){
	    "catch", 1U << S_GATE, a->cluster->timeouts.gate_ms, false, catch_begin, NULL};
	t->list[S_EXPECT] = (struct step){"expect", 1U << S_EPOCH | 1U << S_CATCH,
	    a->cluster->timeouts.handover_ms, false, expect_begin, expect_cut};
	t->shut = (struct step){
	    "gate-shut", 0, a->cluster->timeouts.gate_ms, false, shut_begin, gate_cut};
	steps_init(&t->steps, a->loop, on_step, on_done, a);
	timer_init(&t->expiry, a->loop, expiry_cb, a);
	timer_init(&t->disk_again, a->loop, disk_cb, a);
	let_go(a); /* of an agent that did not come to it */
}

void
agent_take_fini(struct agent *a)
{
	struct agent_take *t = &a->take;

	steps_fini(&t->steps);
	timer_cancel(&t->expiry);
	timer_cancel(&t->disk_again);
	agent_flows_fini(&t->commit);
	child_fini(&t->gate.child);
	snprintf(t->text, sizeof(t->text), "the agent ends");
	answer_asker(t, "ending");
}
