/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * peer-loss = fence: a peer that no path reaches must be known to be off before we do what is only
 * safe, or only wanted, when it is: serve in its place, or use keys above the marks. What makes it
 * known is the operator's command, which must end with 0 within its time. It runs in a child with
 * nothing but PATH in its environment:
 *
 *   COMMAND promote|silent PEER PEER-SYNC-ADDRESS
 *
 * A success holds until the peer is heard again. A failure stands for FENCE_AGAIN_MS: a standby is
 * not promoted, and lets the addresses go; an active keeps below its marks. Then it is tried again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"

#define FENCE_AGAIN_MS 5000
#define LOOK_MS        20

static const char *const purposes[] = {"promote", "silent"};

/* ---- the command ---- */

static int
execute(void *arg)
{
	const struct agent *a = arg;
	char command[CLUSTER_PATH_MAX], purpose[16], peer[CLUSTER_NAME_MAX], address[16];
	char *argv[] = {command, purpose, peer, address, NULL};
	char *environment[] = {NULL, NULL};
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	snprintf(command, sizeof(command), "%s", a->cluster->split.fence_command);
	snprintf(purpose, sizeof(purpose), "%s", purposes[a->fence.purpose]);
	snprintf(peer, sizeof(peer), "%s", a->them->name);
	snprintf(address, sizeof(address), "%s", conf_ipv4(a->them->sync));
	environment[0] = path;
	execve(command, argv, environment);
	fprintf(stderr, "%s: %s", command, strerror(errno));
	return 127;
}

/* The promotion that waited goes on, or is undone before it did anything. */
static void
end_step(struct agent *a, bool good)
{
	unsigned token = a->fence.token;

	a->fence.token = 0;
	if (token == 0)
		return;
	if (good) {
		steps_end(&a->steps, token, STEP_OK, "the peer is fenced");
		return;
	}
	(void)epoch_read(a->epoch_path, &a->epoch); /* it was raised in memory only, */
	a->split.ahead = false;                     /* and nobody was promoted */
	agent_track(a, true, a->fence.text, false);
	agent_word(a, ROLE_EV_YIELD, a->fence.text);
	steps_end(&a->steps, token, STEP_FAILED, a->fence.text);
}

static void
done(void *arg, const struct child_result *r)
{
	struct agent *a = ((struct agent_child *)arg)->agent;
	struct agent_fence *f = &a->fence;
	char said[80];

	snprintf(said, sizeof(said), "%s", log_quote(r->output, strcspn(r->output, "\n")));
	f->state = r->status == 0 ? FENCE_DONE : r->cut ? FENCE_HUNG : FENCE_FAILED;
	f->ended_ms = loop_now_ms(a->loop);
	f->ended_at = journal_now_ms();
	if (f->state == FENCE_DONE)
		snprintf(f->text, sizeof(f->text), "the peer is fenced");
	else if (f->state == FENCE_HUNG)
		snprintf(f->text, sizeof(f->text), "the fence command did not end within %u ms",
		    a->cluster->split.fence_timeout_ms);
	else
		snprintf(f->text, sizeof(f->text), "the fence command failed, status %d%s%s",
		    r->status, *said ? ": " : "", said);
	journal_event(&a->journal, f->state == FENCE_DONE ? "fenced" : "fence-failed", "%s (%s)",
	    f->text, purposes[f->purpose]);
	log_info("fence purpose=%s state=%s text=\"%s\"", purposes[f->purpose], agent_fence_word(a),
	    f->text);
	end_step(a, f->state == FENCE_DONE);
	agent_replica_look(a);
}

static bool
run(struct agent *a, enum fence_purpose purpose)
{
	struct agent_fence *f = &a->fence;

	if (child_running(&f->child.child))
		return true;
	f->purpose = purpose;
	f->state = FENCE_RUNS;
	f->began_ms = loop_now_ms(a->loop);
	if (child_call(&f->child.child, a->loop, execute, a, a->cluster->split.fence_timeout_ms,
		done, &f->child) == 0)
		return true;
	f->state = FENCE_FAILED;
	f->ended_ms = f->began_ms;
	snprintf(f->text, sizeof(f->text), "the fence command: %s", strerror(errno));
	return false;
}

/* ---- what others ask ---- */

static bool
is_wanted(const struct agent *a)
{
	return a->cluster->split.peer_loss == CLUSTER_FENCE;
}

static bool
has_just_failed(const struct agent *a)
{
	const struct agent_fence *f = &a->fence;

	return (f->state == FENCE_FAILED || f->state == FENCE_HUNG) &&
	       loop_now_ms(a->loop) - f->ended_ms < FENCE_AGAIN_MS;
}

enum pair_fence
agent_fence_fact(const struct agent *a)
{
	if (!is_wanted(a))
		return PAIR_FENCE_NONE;
	return a->fence.state == FENCE_DONE ? PAIR_FENCED : PAIR_FENCE_WANTED;
}

bool
agent_fence_forbids(const struct agent *a)
{
	return is_wanted(a) && has_just_failed(a) && a->fence.purpose == FENCE_PROMOTE;
}

const char *
agent_fence_text(const struct agent *a)
{
	return a->fence.text;
}

const char *
agent_fence_word(const struct agent *a)
{
	static const char *const words[] = {
	    [FENCE_IDLE] = "idle",
	    [FENCE_RUNS] = "running",
	    [FENCE_DONE] = "fenced",
	    [FENCE_FAILED] = "failed",
	    [FENCE_HUNG] = "hung",
	};

	return words[a->fence.state];
}

/* A peer that is heard is not fenced, whatever the command said. */
void
agent_fence_look(struct agent *a)
{
	struct agent_fence *f = &a->fence;

	if (!is_wanted(a))
		return;
	if (a->peer.heard_ms > f->began_ms && f->state != FENCE_IDLE && f->state != FENCE_RUNS &&
	    peer_fresh(&a->peer, loop_now_ms(a->loop)))
		f->state = FENCE_IDLE;
	if (a->replica.wishes.fence && f->state != FENCE_DONE && !has_just_failed(a))
		(void)run(a, FENCE_SILENT);
}

uint64_t
agent_fence_held_ms(const struct agent *a)
{
	const struct agent_fence *f = &a->fence;

	return f->first_ms != 0 && a->peer.heard_ms <= f->first_ms
		   ? loop_now_ms(a->loop) - f->first_ms
		   : 0;
}

json_t *
agent_fence_json(const struct agent *a)
{
	char at[25] = "";

	if (!is_wanted(a))
		return json_null();
	if (a->fence.ended_at != 0)
		journal_time(a->fence.ended_at, at);
	return json_pack("{s:s,s:s,s:s,s:s}", "state", agent_fence_word(a), "purpose",
	    purposes[a->fence.purpose], "at", at, "text", a->fence.text);
}

/* ---- the step ---- */

/* The peer may have fallen silent a moment ago: it has as long to be heard as on any other path. */
static void
wait_cb(void *arg)
{
	struct agent *a = arg;
	uint64_t now_ms = loop_now_ms(a->loop);
	unsigned token = a->fence.token;

	if (token == 0)
		return;
	if (a->peer.heard_ms > a->fence.asked_ms) {
		a->fence.token = 0;
		steps_end(&a->steps, token, STEP_SKIPPED, "the peer is heard");
	} else if (a->peer.heard_ms != 0 && now_ms - a->peer.heard_ms < PAIR_SILENT_MS) {
		timer_set(&a->fence.wait, LOOK_MS);
	} else if (has_just_failed(a) || !run(a, FENCE_PROMOTE)) {
		end_step(a, false);
	}
}

int
agent_fence_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	if (!is_wanted(a) || a->fence.state == FENCE_DONE) {
		steps_end(s, token, STEP_SKIPPED, is_wanted(a) ? "the peer is fenced" : "");
		return 0;
	}
	a->fence.token = token;
	a->fence.asked_ms = loop_now_ms(a->loop);
	if (a->fence.first_ms == 0 || a->peer.heard_ms > a->fence.first_ms)
		a->fence.first_ms = a->fence.asked_ms;
	timer_set(&a->fence.wait, 0);
	return 0;
}

bool
agent_fence_cut(void *arg)
{
	struct agent *a = arg;

	a->fence.token = 0;
	timer_cancel(&a->fence.wait);
	return true;
}

void
agent_fence_init(struct agent *a)
{
	a->fence.child.agent = a;
	timer_init(&a->fence.wait, a->loop, wait_cb, a);
}

void
agent_fence_fini(struct agent *a)
{
	timer_cancel(&a->fence.wait);
	child_fini(&a->fence.child.child);
}
