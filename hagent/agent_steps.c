/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the steps of a transition do. Each is idempotent. Those that may block (disk, libnftables,
 * netlink, programs) run in a child that is killed at the deadline; orders to pptpd are lines on
 * one connection, so that a demotion can never overtake a promotion that pptpd has not read yet.
 *
 *   MASTER   wait for a peer that still serves to let us have its sessions, if we have none; fence
 *            one that is not heard, where that is asked for; epoch and promote pptpd, and beside
 *            them commit connections and gate open; announce; refresh conntrackd's caches
 *            (background)
 *   BACKUP   gate shut; wait for the peer to have our sessions, if it lives; demote pptpd; ask for
 *            the peer's connections
 *            After a handover: wait for the peer to have the addresses; gate shut; the rest
 *   ABANDON  gate shut; demote pptpd; take the virtual addresses away
 *
 * After the steps of MASTER the files are pulled (agent_files.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "firewall/fw.h"
#include "hagent/agent.h"
#include "hagent/net.h"
#include "sync/conntrackd.h"

static void
child_step_done(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	unsigned token = c->token;
	char text[160];
	size_t len = strcspn(r->output, "\n");

	c->token = 0;
	snprintf(text, sizeof(text), "%s", log_quote(r->output, len));
	if (r->status != 0 && !*text)
		snprintf(text, sizeof(text), "exit status %d", r->status);
	steps_end(&c->agent->steps, token, r->status == 0 ? STEP_OK : STEP_FAILED,
	    r->status == 0 ? "" : text);
}

static int
begin_function(struct agent_child *c, int (*fn)(void *arg), unsigned deadline_ms, unsigned token)
{
	/* The runner cuts; the child's own deadline is for a child whose agent hangs. */
	if (child_call(&c->child, c->agent->loop, fn, c->agent, deadline_ms + 1000, child_step_done,
		c) < 0)
		return -1;
	c->token = token;
	return 0;
}

static bool
cut_child(struct agent_child *c)
{
	if (!child_running(&c->child))
		return true;
	child_cut(&c->child);
	return false;
}

/* ---- epoch ---- */

/* The marker goes first: a promoted node uses keys that it cannot account for if it dies. */
static int
write_epoch(void *arg)
{
	const struct agent *a = arg;
	const char *path = a->alone_path;

	if (epoch_write(path, &a->epoch) == 0 && epoch_write(path = a->epoch_path, &a->epoch) == 0)
		return 0;
	fprintf(stderr, "%s: %s", path, strerror(errno));
	return 1;
}

static int
epoch_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	if (agent_take_wrote(a, a->epoch.counter)) {
		steps_end(s, token, STEP_SKIPPED, "written beforehand");
		return 0;
	}
	if (agent_replica_leave_disk(a))
		return begin_function(
		    &a->epoch_child, write_epoch, a->cluster->timeouts.epoch_ms, token);
	a->epoch_token = token;
	return 0;
}

void
agent_steps_epoch(struct agent *a)
{
	unsigned token = a->epoch_token;

	a->epoch_token = 0;
	if (begin_function(&a->epoch_child, write_epoch, a->cluster->timeouts.epoch_ms, token) < 0)
		steps_end(&a->steps, token, STEP_FAILED, strerror(errno));
}

static bool
epoch_cut(void *arg)
{
	struct agent *a = arg;

	if (a->epoch_token != 0) {
		a->epoch_token = 0;
		return true;
	}
	return cut_child(&a->epoch_child);
}

/* ---- the peer, when two took each other for dead and both live ---- */

/* The step ends with the wish, or at once without one; *waiting is its token until then. */
static int
wait_begin(struct agent *a, const bool *wish, unsigned *waiting, unsigned token)
{
	agent_replica_look(a);
	if (*wish)
		*waiting = token;
	else
		steps_end(&a->steps, token, STEP_SKIPPED, "");
	return 0;
}

static void
wait_end(struct agent *a, bool wish, unsigned *waiting, const char *text)
{
	unsigned token = *waiting;

	if (token == 0 || wish)
		return;
	*waiting = 0;
	steps_end(&a->steps, token, STEP_OK, text);
}

static int
copy_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return wait_begin(a, &a->replica.wishes.wait_for_copy, &a->copy_token, token);
}

static int
yield_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return wait_begin(a, &a->replica.wishes.wait_to_yield, &a->yield_token, token);
}

/* Of a move: until then packets reach us, and the gate lets them through to the daemon's relay. */
static int
settle_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return wait_begin(a, &a->move.unsettled, &a->settle_token, token);
}

void
agent_steps_waited(struct agent *a)
{
	const struct pair_wishes *w = &a->replica.wishes;

	wait_end(a, a->move.unsettled, &a->settle_token, "the peer has the addresses");
	wait_end(a, w->wait_for_copy, &a->copy_token, "the peer's sessions are here");
	wait_end(a, w->wait_to_yield, &a->yield_token, "the peer has our sessions");
}

static bool
copy_cut(void *arg)
{
	((struct agent *)arg)->copy_token = 0;
	return true;
}

static bool
settle_cut(void *arg)
{
	((struct agent *)arg)->settle_token = 0;
	return true;
}

static bool
yield_cut(void *arg)
{
	((struct agent *)arg)->yield_token = 0;
	return true;
}

/* ---- pptpd ---- */

static void
order_done(void *arg, json_t *answer)
{
	struct agent *a = arg;
	unsigned token = a->pptpd.order_token;
	json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	bool good = json_is_true(json_object_get(answer, "ok"));

	if (!answer)
		message = strerror(errno);
	a->pptpd.order = 0;
	steps_end(&a->steps, token, good ? STEP_OK : STEP_FAILED, good ? "" : message);
}

#define HEARD_SLACK_MS 2500 /* a loaded machine, a stream that ends before the rest does */

static int
order(struct agent *a, const char *verb, json_t *args, unsigned deadline_ms, unsigned token)
{
	json_object_set_new(args, "epoch", json_integer((json_int_t)agent_counter(a)));
	a->pptpd.order_token = token;
	a->pptpd.order =
	    answer_client_call(a->pptpd.orders, verb, args, deadline_ms + 1000, order_done, a);
	return a->pptpd.order ? 0 : -1;
}

static int
promote_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	/* keepalived takes three advertisements and a bit to miss a peer; what came since is ours,
	 * and so is what a fence command took that had to be tried again. */
	uint64_t held_ms = agent_fence_held_ms(a);
	uint64_t ours_ms = loop_now_ms(a->loop) - a->transition.begun_ms;
	uint64_t ago = (uint64_t)4 * a->cluster->pair.advert_interval_ms + HEARD_SLACK_MS +
		       (held_ms > ours_ms ? held_ms : ours_ms);

	return order(a, "promote", json_pack("{s:I}", "heard_ms_ago", (json_int_t)ago),
	    a->cluster->timeouts.promote_ms, token);
}

static int
demote_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return order(a, "demote", json_object(), a->cluster->timeouts.demote_ms, token);
}

static bool
order_cut(void *arg)
{
	struct agent *a = arg;

	answer_client_forget(a->pptpd.orders, a->pptpd.order);
	a->pptpd.order = 0;
	return true;
}

/* ---- gate ---- */

int
agent_gate_set(bool open)
{
	struct fw *f = fw_new();
	int status = 1;

	if (!f) {
		fprintf(stderr, "libnftables: %s", strerror(errno));
		return 1;
	}
	if (fw_gate_set(f, open) == 0)
		status = 0;
	else if (errno == ENOENT)
		fputs("the gateway's rules are not loaded", stderr);
	else
		fputs(fw_error(f), stderr);
	fw_free(f);
	return status;
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

int
agent_gate_is_open(void)
{
	struct fw *f = fw_new();
	int result = f && fw_gateway_loaded(f) ? fw_gate_open(f) : -1;

	fw_free(f);
	return result;
}

static int
gate_open_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	if (agent_take_opened(a, a->epoch.counter)) {
		steps_end(s, token, STEP_SKIPPED, "opened beforehand");
		return 0;
	}
	return begin_function(&a->gate_child, open_gate, a->cluster->timeouts.gate_ms, token);
}

static int
gate_shut_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return begin_function(&a->gate_child, shut_gate, a->cluster->timeouts.gate_ms, token);
}

static bool
gate_cut(void *arg)
{
	return cut_child(&((struct agent *)arg)->gate_child);
}

/* ---- conntrackd ---- */

#define REFRESH_LATER_MS 300

static int
ask_conntrackd(struct agent_flows *f, enum conntrackd_request request, unsigned deadline_ms,
    child_done_fn *done, unsigned token)
{
	struct agent *a = f->c.agent;

	if (facts_process_state(&a->conntrackd) != HEALTH_ALIVE &&
	    !facts_process_hold(&a->conntrackd, facts_socket_owner(a->conntrackd_socket))) {
		steps_end(&a->steps, token, STEP_SKIPPED, "conntrackd is not running");
		return 0;
	}
	if (agent_flows_ask(f, request, deadline_ms + 1000, done) < 0)
		return -1;
	f->c.token = token;
	return 0;
}

static void refresh_now(struct agent *a, unsigned token);

static void
commit_done(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	struct agent *a = c->agent;
	unsigned token = a->refresh_token;

	child_step_done(c, r);
	if (token == 0 || timer_pending(&a->refresh_later))
		return;
	a->refresh_token = 0;
	refresh_now(a, token);
}

static int
commit_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	if (agent_flows_busy(&a->commit)) { /* one that was left behind: it does the same */
		a->commit.c.token = token;
		return 0;
	}
	return ask_conntrackd(
	    &a->commit, CONNTRACKD_COMMIT, a->cluster->timeouts.commit_ms, commit_done, token);
}

/*
 * Nobody waits for it any longer, but conntrackd goes on with it, and what is still to come is
 * worth having: the refresh, which empties conntrackd's caches, comes behind it. Its own deadline
 * is later.
 */
static bool
commit_cut(void *arg)
{
	((struct agent *)arg)->commit.c.token = 0;
	return true;
}

/* What follows a commit when traffic flows again: three requests, one after the other. */
static const enum conntrackd_request refresh[] = {
    CONNTRACKD_FLUSH, CONNTRACKD_RESYNC, CONNTRACKD_SEND};
#define N_REFRESH (sizeof(refresh) / sizeof(refresh[0]))

static void
refresh_done(void *arg, const struct child_result *r)
{
	struct agent_child *c = arg;
	struct agent *a = c->agent;

	if (r->status != 0 || ++c->phase == N_REFRESH) {
		child_step_done(c, r);
		return;
	}
	if (agent_flows_ask(&a->resync, refresh[c->phase], a->cluster->timeouts.resync_ms + 1000,
		refresh_done) < 0) {
		unsigned token = c->token;

		c->token = 0;
		steps_end(&a->steps, token, STEP_FAILED, strerror(errno));
	}
}

static void
refresh_now(struct agent *a, unsigned token)
{
	a->resync.c.phase = 0;
	if (ask_conntrackd(
		&a->resync, refresh[0], a->cluster->timeouts.resync_ms, refresh_done, token) < 0)
		steps_end(&a->steps, token, STEP_FAILED, strerror(errno));
}

static void
refresh_later_cb(void *arg)
{
	struct agent *a = arg;
	unsigned token = a->refresh_token;

	if (agent_flows_busy(&a->commit)) /* it tells when it is done */
		return;
	a->refresh_token = 0;
	refresh_now(a, token);
}

/* It keeps a core busy, above everybody else, for 20 ms and more: not while sessions are restored.
 */
static int
refresh_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	a->refresh_token = token;
	timer_set(&a->refresh_later, REFRESH_LATER_MS);
	return 0;
}

static bool
refresh_cut(void *arg)
{
	struct agent *a = arg;

	timer_cancel(&a->refresh_later);
	if (a->refresh_token == 0)
		return agent_flows_cut(&a->resync);
	a->refresh_token = 0;
	return true;
}

static int
request_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return ask_conntrackd(
	    &a->resync, CONNTRACKD_REQUEST, a->cluster->timeouts.resync_ms, child_step_done, token);
}

static bool
resync_cut(void *arg)
{
	return agent_flows_cut(&((struct agent *)arg)->resync);
}

/* ---- addresses ---- */

static int
announce_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;
	char text[64];
	int n = arp_announce(&a->arp);

	if (n < 0)
		return -1;
	snprintf(text, sizeof(text), "%d addresses, now and after 0.1, 1 and 5 s", n);
	steps_end(s, token, STEP_OK, text);
	return 0;
}

static int
remove_addresses(void *arg)
{
	const struct agent *a = arg;
	const struct cluster_net *wan = &a->cluster->vip_wan, *lan = &a->cluster->vip_lan;
	int status = 0;

	if (net_remove(a->us->wan_if, wan->address, wan->prefix) < 0) {
		fprintf(stderr, "%s on %s: %s ", conf_ipv4(wan->address), a->us->wan_if,
		    strerror(errno));
		status = 1;
	}
	if (net_remove(a->us->lan_if, lan->address, lan->prefix) < 0) {
		fprintf(stderr, "%s on %s: %s", conf_ipv4(lan->address), a->us->lan_if,
		    strerror(errno));
		status = 1;
	}
	return status;
}

static int
remove_begin(struct steps *s, unsigned token, void *arg)
{
	struct agent *a = arg;

	return begin_function(
	    &a->vip_child, remove_addresses, a->cluster->timeouts.announce_ms, token);
}

static bool
remove_cut(void *arg)
{
	return cut_child(&((struct agent *)arg)->vip_child);
}

/* ---- the lists ---- */

enum {
	T_EPOCH,
	T_PROMOTE,
	T_COMMIT,
	T_GATE,
	T_ANNOUNCE,
	T_DEMOTE,
	T_RESYNC,
	T_REFRESH,
	T_COPY,
	T_YIELD,
	T_FENCE,
	T_ADDRESS
};

/* Longer than any command may take: what cannot be killed must not become a promotion. */
#define FENCE_MS 3600000

struct row {
	const char *name;
	unsigned after; /* as in struct step */
	unsigned deadline;
	bool background;
	int (*begin)(struct steps *s, unsigned token, void *arg);
	bool (*cut)(void *arg);
};

#define AFTER(position) (1U << (position))

/* Sessions on one side, forwarded flows on the other: neither waits for the other. */
enum {
	M_COPY,
	M_FENCE,
	M_EPOCH,
	M_PROMOTE,
	M_COMMIT,
	M_GATE,
	M_ANNOUNCE,
	M_REFRESH
};
static const struct row master[] = {
    [M_COPY] = {"copy", 0, T_COPY, false, copy_begin, copy_cut},
    [M_FENCE] = {"fence", AFTER(M_COPY), T_FENCE, false, agent_fence_begin, agent_fence_cut},
    [M_EPOCH] = {"epoch", AFTER(M_FENCE), T_EPOCH, false, epoch_begin, epoch_cut},
    [M_PROMOTE] = {"promote", AFTER(M_EPOCH), T_PROMOTE, false, promote_begin, order_cut},
    [M_COMMIT] = {"commit", AFTER(M_FENCE), T_COMMIT, false, commit_begin, commit_cut},
    [M_GATE] = {"gate-open", AFTER(M_COMMIT), T_GATE, false, gate_open_begin, gate_cut},
    [M_ANNOUNCE] = {"announce", AFTER(M_PROMOTE) | AFTER(M_GATE), T_ANNOUNCE, false, announce_begin,
	NULL},
    [M_REFRESH] = {"conntrack-refresh", AFTER(M_ANNOUNCE), T_REFRESH, true, refresh_begin,
	refresh_cut},
};

enum {
	B_SHUT,
	B_YIELD,
	B_DEMOTE,
	B_REQUEST
};
static const struct row backup[] = {
    [B_SHUT] = {"gate-shut", 0, T_GATE, false, gate_shut_begin, gate_cut},
    [B_YIELD] = {"yield", 0, T_YIELD, false, yield_begin, yield_cut},
    [B_DEMOTE] = {"demote", AFTER(B_SHUT) | AFTER(B_YIELD), T_DEMOTE, false, demote_begin,
	order_cut},
    [B_REQUEST] = {"conntrack-request", AFTER(B_DEMOTE), T_RESYNC, false, request_begin,
	resync_cut},
};

/* The peer has the sessions. */
#define GIVEN (ROLE_ABANDON + 1)
enum {
	G_SETTLE,
	G_SHUT,
	G_DEMOTE,
	G_REQUEST
};
static const struct row given[] = {
    [G_SETTLE] = {"settle", 0, T_ADDRESS, false, settle_begin, settle_cut},
    [G_SHUT] = {"gate-shut", AFTER(G_SETTLE), T_GATE, false, gate_shut_begin, gate_cut},
    [G_DEMOTE] = {"demote", AFTER(G_SHUT), T_DEMOTE, false, demote_begin, order_cut},
    [G_REQUEST] = {"conntrack-request", AFTER(G_DEMOTE), T_RESYNC, false, request_begin,
	resync_cut},
};

enum {
	A_SHUT,
	A_DEMOTE,
	A_ADDRESSES
};
static const struct row abandon[] = {
    [A_SHUT] = {"gate-shut", 0, T_GATE, false, gate_shut_begin, gate_cut},
    [A_DEMOTE] = {"demote", AFTER(A_SHUT), T_DEMOTE, false, demote_begin, order_cut},
    [A_ADDRESSES] = {"addresses", AFTER(A_DEMOTE), T_ANNOUNCE, false, remove_begin, remove_cut},
};

#define ROWS(x) x, sizeof(x) / sizeof(x[0])

static unsigned
deadline_of(const struct cluster *c, unsigned which)
{
	const unsigned all[] = {
	    [T_EPOCH] = c->timeouts.epoch_ms,
	    [T_PROMOTE] = c->timeouts.promote_ms,
	    [T_COMMIT] = c->timeouts.commit_ms,
	    [T_GATE] = c->timeouts.gate_ms,
	    [T_ANNOUNCE] = c->timeouts.announce_ms,
	    [T_DEMOTE] = c->timeouts.demote_ms,
	    [T_RESYNC] = c->timeouts.resync_ms,
	    [T_REFRESH] = c->timeouts.resync_ms + REFRESH_LATER_MS,
	    [T_COPY] = c->timeouts.copy_ms,
	    [T_YIELD] = c->timeouts.yield_ms,
	    [T_FENCE] = FENCE_MS,
	    [T_ADDRESS] = c->timeouts.address_ms,
	};

	return all[which];
}

static void
fill(struct agent *a, unsigned list, const struct row *rows, size_t n)
{
	a->n_lists[list] = n;
	for (size_t i = 0; i < n; i++)
		a->lists[list][i] = (struct step){
		    .name = rows[i].name,
		    .after = rows[i].after,
		    .deadline_ms = deadline_of(a->cluster, rows[i].deadline),
		    .background = rows[i].background,
		    .begin = rows[i].begin,
		    .cut = rows[i].cut,
		};
}

void
agent_steps_init(struct agent *a)
{
	a->epoch_child.agent = a->gate_child.agent = a->vip_child.agent = a;
	a->commit.c.agent = a->resync.c.agent = a;
	timer_init(&a->refresh_later, a->loop, refresh_later_cb, a);
	fill(a, ROLE_PROMOTE, ROWS(master));
	fill(a, ROLE_DEMOTE, ROWS(backup));
	fill(a, ROLE_ABANDON, ROWS(abandon));
	fill(a, GIVEN, ROWS(given));
}

void
agent_steps_fini(struct agent *a)
{
	timer_cancel(&a->refresh_later);
	child_fini(&a->epoch_child.child);
	child_fini(&a->gate_child.child);
	child_fini(&a->vip_child.child);
	agent_flows_fini(&a->commit);
	agent_flows_fini(&a->resync);
	agent_flows_look_fini(a);
}

const struct step *
agent_steps_of(struct agent *a, enum role_work work, size_t *n)
{
	unsigned list = work == ROLE_DEMOTE && agent_move_given(a) ? GIVEN : work;

	*n = a->n_lists[list];
	return a->lists[list];
}
