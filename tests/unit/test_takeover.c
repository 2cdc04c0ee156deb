/* link: pptpddaemon hagentcore pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The simulation of a takeover: two gateways, six clients and everything that can fail between
 * them, thousands of times (tests/unit/takeover/). Held true all along: no key index is used for
 * two frames; a client's numbers and keys jump within the bound; nobody continues a stale session;
 * what a client was told with a guarantee is known to whoever continues it; a handover leaves no
 * number out; two gateways that hear
 * each other do not both act for long, and no standby mirrors below its own epoch. In the end, when
 * all is well again: every client is served or knows that it is not, and the standby is in step.
 *
 * Arguments: [SEEDS [FIRST]], or --caught WORDS: succeed if the simulation fails with these words,
 * for builds that are broken on purpose. PHA_TAKEOVER_SEEDS sets the number too.
 */
#include "tests/unit/takeover/agent.h"

#include <fcntl.h>

#define SEEDS   120
#define TROUBLE 1500 /* ms */
#define CALM    1000

enum kind {
	RESET,
	BLOCK_SYNC,
	BLOCK_AGENT,
	BLOCK_VRRP,
	PARTITION,
	POWER,
	LOSE_DISK, /* power, and the state folder does not survive */
	KILL_ENGINE,
	MOVE, /* planned */
	KINDS
};

struct event {
	uint64_t at;
	enum kind kind;
	int node; /* -1: the one that serves, -2: the other */
	uint64_t ms;
};

/* ---- events ---- */

static struct node *
target(struct world *w, int node)
{
	unsigned serving = serves(&w->n[1]) && !serves(&w->n[0]);

	if (node >= 0)
		return &w->n[node];
	return &w->n[node == -1 ? serving : !serving];
}

static void
block(struct world *w, enum path p, uint64_t ms)
{
	static const char *const names[] = {"sync", "agents", "vrrp"};

	trace(w, "%s blocked for %" PRIu64 " ms", names[p], ms);
	if (w->now + ms > w->blocked_ms[p])
		w->blocked_ms[p] = w->now + ms;
}

static void
happen(struct world *w, const struct event *e)
{
	struct node *n = target(w, e->node);

	switch (e->kind) {
	case RESET:
		stream_reset(w);
		break;
	case BLOCK_SYNC:
		block(w, PATH_SYNC, e->ms);
		break;
	case BLOCK_AGENT:
		block(w, PATH_AGENT, e->ms);
		break;
	case BLOCK_VRRP:
		block(w, PATH_VRRP, e->ms);
		break;
	case PARTITION:
		for (enum path p = 0; p < PATHS; p++)
			block(w, p, e->ms);
		break;
	case POWER:
	case LOSE_DISK:
		if (e->kind == LOSE_DISK) {
			trace(w, "%s loses its disk", n->name);
			n->disk = (struct disk){0};
		}
		if (n->powered)
			node_crash(n, true);
		break;
	case KILL_ENGINE:
		if (n->powered && n->engine_up)
			node_crash(n, false);
		break;
	case MOVE:
		move_begin(target(w, -1));
		break;
	default:
		break;
	}
}

static unsigned
random_events(struct world *w, struct event *e, unsigned max)
{
	unsigned n = 1 + (unsigned)chance(w, max);

	for (unsigned i = 0; i < n; i++)
		e[i] = (struct event){.at = 300 + chance(w, TROUBLE - 300),
		    .kind = (enum kind)chance(w, KINDS),
		    .node = -1 - (int)chance(w, 2),
		    .ms = chance(w, 3) == 0 ? chance(w, 1500) : chance(w, 400)};
	return n;
}

/* ---- life ---- */

/* Clients speak; some dial, some begin anew, some hang up. */
static void
clients_run(struct world *w)
{
	struct node *n = w->vip >= 0 ? &w->n[w->vip] : NULL;

	if (n == NULL || !serves(n) || n->role != PAIR_ACTIVE)
		return;
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct client *c = &w->c[i];

		if (!c->up || (c->told && w->now >= c->redial_ms)) {
			if (chance(w, 40) == 0 && c->gen + 1 < GENS)
				session_login(n, i);
			continue;
		}
		if (c->told)
			continue;
		if (chance(w, 10) == 0 && n->s[i].live && n->s[i].gen == c->gen && c->any) {
			n->s[i].acked = c->last;
			n->s[i].any_acked = true;
		}
		if (chance(w, 25) == 0)
			control_input(n, i);
		if (w->calm || !n->s[i].live || n->s[i].gen != c->gen)
			continue;
		if (chance(w, 1500) == 0 && c->gen + 1 < GENS) {
			session_rekey(&n->s[i]);
		} else if (chance(w, 2000) == 0) {
			session_off(&n->s[i]);
			client_told(w, c, "it hangs up");
		}
	}
}

static void
check_world(struct world *w)
{
	struct replica_status a = status_of(&w->n[0]), b = status_of(&w->n[1]);
	bool both = serves(&w->n[0]) && serves(&w->n[1]) && path_open(w, PATH_AGENT) &&
		    path_open(w, PATH_SYNC) && path_open(w, PATH_VRRP);
	bool below = w->n[0].engine_up && w->n[1].engine_up && a.connected && b.connected &&
		     ((serves(&w->n[0]) && b.state == REPLICA_STANDBY && b.epoch > a.epoch) ||
			 (serves(&w->n[1]) && a.state == REPLICA_STANDBY && a.epoch > b.epoch));

	if (!both)
		w->both_ms = w->now;
	if (!below)
		w->below_ms = w->now;
	if (w->now - w->both_ms > 600)
		broken(w, "both serve, and hear each other");
	if (w->now - w->below_ms > 100)
		broken(w, "a standby of a higher epoch mirrors one of a lower");
}

static void
step(struct world *w)
{
	unsigned first = (unsigned)chance(w, 2);

	w->now = loop_now_ms(w->loop);
	vrrp_run(w);
	node_run(&w->n[first]);
	node_run(&w->n[!first]);
	clients_run(w);
	stream_run(w);
	net_run(w);
	check_world(w);
	loop_advance(w->loop, 1);
}

static void
check_end(struct world *w)
{
	unsigned serving = serves(&w->n[0]) + serves(&w->n[1]);
	struct node *n = serves(&w->n[0]) ? &w->n[0] : &w->n[1];

	if (serving != 1) {
		broken(w, "%u serve in the end", serving);
		return;
	}
	if (status_of(n).state != REPLICA_IN_SYNC || !status_of(other(n)).in_step)
		broken(w, "in the end %s is %s, not in step", n->name,
		    replica_state_name(status_of(n).state));
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct client *c = &w->c[i];

		/* After both have served: until the one that stays has caught up with the other. */
		bool behind = n->s[i].live && (int32_t)(c->last - n->s[i].gre.next) >= -10;

		if (c->up && !c->told && !behind && w->now - c->good_ms > 400)
			broken(w, "client %u hears nothing for %" PRIu64 " ms and was not told", i,
			    w->now - c->good_ms);
	}
}

static void
sooner(uint64_t *at, uint64_t limit)
{
	if (*at > limit)
		*at = limit;
}

/* All faults end, everybody has time; then everything must be well. */
static void
calm(struct world *w)
{
	trace(w, "all is well again");
	w->calm = true;
	w->crash_at = w->arm_at = 0;
	w->rate_percent = 10;
	w->burst = 1;
	w->n[0].slow = w->n[1].slow = false;
	memset(w->blocked_ms, 0, sizeof w->blocked_ms);
	for (unsigned i = 0; i < 2; i++) {
		sooner(&w->n[i].power_ms, w->now + 20);
		sooner(&w->n[i].engine_ms, w->now + 40);
		sooner(&w->n[i].fault_ms, w->now + 60);
	}
	for (unsigned ms = 0; ms < CALM && !w->failed; ms++)
		step(w);
	check_end(w);
}

static struct world *
world_new(uint64_t seed)
{
	static const char *const names[] = {"gw1", "gw2"};
	struct world *w = calloc(1, sizeof *w);

	w->seed = seed;
	w->rng = (seed + 1) * 0x9e3779b97f4a7c15ull;
	w->loop = loop_new_virtual();
	w->now = w->began = w->both_ms = w->below_ms = loop_now_ms(w->loop);
	w->vip = -1;
	w->burst = 1;
	w->delay_ms = 2 + (unsigned)chance(w, 15);
	w->loss_percent = (unsigned)chance(w, 6);
	w->rate_percent = 2 + (unsigned)chance(w, 20);
	pipe_clear(&w->stream.to[0]);
	pipe_clear(&w->stream.to[1]);
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &w->n[i];

		*n = (struct node){.w = w, .n = i, .name = names[i], .powered = true};
		n->engine_ms = n->advert_ms = w->now;
		n->slow = seed % 5 == i;
		n->wishes.wants_cut = n->wishes.stale_cut = PAIR_NO_CUT;
	}
	return w;
}

static void
world_free(struct world *w)
{
	w->failed = true;
	for (unsigned i = 0; i < 2; i++)
		engine_stop(&w->n[i]);
	pipe_clear(&w->stream.to[0]);
	pipe_clear(&w->stream.to[1]);
	loop_free(w->loop);
	for (unsigned i = 0; i < SESSIONS; i++)
		for (unsigned g = 0; g < GENS; g++)
			free(w->c[i].ledger[g]);
	free(w);
}

/* ---- runs ---- */

struct sums {
	uint64_t runs, failed, takeovers, continued, ended, solos, silences, frames;
	uint64_t reported, skipped;
	uint64_t handed, refused, unknown;
	bool quiet;
	char why[200];
};

static void
finish(struct world *w, struct sums *sum, const char *name)
{
	sum->runs++;
	sum->failed += w->failed;
	sum->takeovers += w->takeovers;
	sum->continued += w->continued;
	sum->ended += w->ended;
	sum->solos += w->solos;
	sum->silences += w->silences;
	sum->frames += w->frames_sent;
	sum->reported += w->reported + status_of(&w->n[0]).settled.reported +
			 status_of(&w->n[1]).settled.reported;
	sum->skipped += w->skipped;
	sum->handed += w->handed;
	sum->refused += w->refused;
	sum->unknown += w->unknown;
	if (w->failed)
		snprintf(sum->why, sizeof sum->why, "%s", w->why);
	if (w->failed && !sum->quiet) {
		unsigned from = w->n_trace > TRACE ? w->n_trace - TRACE : 0;

		printf("not ok - %s, seed %" PRIu64 ": %s\n", name, w->seed, w->why);
		for (unsigned i = from; i < w->n_trace; i++)
			printf("# %s\n", w->trace[i % TRACE]);
	}
	world_free(w);
}

static void
play(struct world *w, const struct event *events, unsigned n)
{
	for (unsigned ms = 0; ms < TROUBLE && !w->failed; ms++) {
		for (unsigned i = 0; i < n; i++)
			if (events[i].at == ms && ms > 0)
				happen(w, &events[i]);
		step(w);
	}
	if (!w->failed)
		calm(w);
}

static void
run_random(uint64_t seed, struct sums *sum)
{
	struct world *w = world_new(seed);
	struct event events[8];
	unsigned n = random_events(w, events, 8);

	play(w, events, n);
	finish(w, sum, "random faults");
}

struct point {        /* where somebody dies */
	uint64_t at;  /* number of the frame */
	int node;     /* as of an event */
	unsigned how; /* before it leaves, in the middle of it, behind it */
	bool hot; /* the stream was just lost and is back, with sessions that wait for numbers */
};

static bool
run_crash_at(const struct point *p, struct sums *sum)
{
	struct world *w = world_new(p->at * 8 + p->how * 2 + p->hot);
	bool reached;

	if (p->hot)
		w->rate_percent = 60;
	for (unsigned ms = 0; ms < 150; ms++)
		step(w);
	for (unsigned ms = 0; p->hot && ms < 150; ms++)
		step(w);
	if (p->hot) {
		w->rate_percent = 100;
		w->burst = 4;
		block(w, PATH_AGENT, 180); /* no consent meanwhile */
		stream_reset(w);
	}
	w->crash_at = p->at;
	w->crash_how = p->how;
	for (unsigned ms = 0; ms < (p->hot ? 100 : 350) && !w->failed; ms++) {
		w->crash_node = target(w, p->node)->n;
		step(w);
	}
	reached = w->crash_at == 0;
	if (!w->failed)
		calm(w);
	finish(w, sum, "a crash at a frame");
	return reached;
}

/* Every frame of a session's life, and of its second snapshot. */
static void
run_points(bool hot, bool all, struct sums *sum)
{
	bool more = true;

	for (uint64_t at = 1; more && at < 400 && sum->failed == 0; at++) {
		more = false;
		for (unsigned how = 0; how < 3 && sum->failed == 0; how++) {
			if (!all && how != at % 3)
				continue;
			more |= run_crash_at(&(struct point){at, -1, how, hot}, sum);
			if (all || at % 4 == 0)
				run_crash_at(&(struct point){at, -2, how, hot}, sum);
		}
	}
}

/* A handover, and at one of its frames somebody dies, or the stream is cut. */
static bool
run_move_at(uint64_t at, unsigned how, int node, bool cuts, struct sums *sum)
{
	struct world *w = world_new(at * 16 + how * 4 + (node == -1) * 2 + cuts);
	bool reached;

	w->rate_percent = 40;
	for (unsigned ms = 0; ms < 200; ms++)
		step(w);
	w->crash_node = target(w, node)->n;
	w->crash_how = how;
	w->crash_cuts = cuts;
	w->arm_at = at;
	for (unsigned ms = 0; ms < 400 && !w->failed; ms++) {
		if (w->arm_at != 0) /* until the peer is ready */
			move_begin(target(w, -1));
		step(w);
	}
	reached = w->crash_at == 0 && w->arm_at == 0;
	if (!w->failed)
		calm(w);
	finish(w, sum, "a handover that fails at a frame");
	return reached;
}

static void
run_moves(bool all, struct sums *sum)
{
	bool more = true;

	for (uint64_t at = 1; more && at < 60 && sum->failed == 0; at++) {
		more = false;
		for (unsigned how = 0; how < 3 && sum->failed == 0; how++) {
			if (all || how == at % 3)
				more |= run_move_at(at, how, -1, false, sum);
			if (all || (how == (at + 1) % 3 && at % 2 == 0))
				more |= run_move_at(at, how, -2, false, sum);
			if (all || (how == (at + 2) % 3 && at % 2 == 1))
				more |= run_move_at(at, how, -1, true, sum);
		}
	}
}

/* Courses of events that chance alone makes seldom. */
static void
run_courses(uint64_t seed, struct sums *sum)
{
	static const struct event courses[][4] = {
	    /* The standby is promoted in a partition, and comes back as a standby of that epoch. */
	    {{400, PARTITION, 0, 900}, {900, POWER, 1, 0}},
	    {{400, PARTITION, 0, 500}},
	    {{400, PARTITION, 0, 700}, {800, LOSE_DISK, 1, 0}},
	    {{400, PARTITION, 0, 700}, {800, LOSE_DISK, 0, 0}},
	    /* The stream alone: consent. */
	    {{400, BLOCK_SYNC, 0, 500}, {1200, POWER, -1, 0}},
	    {{400, BLOCK_SYNC, 0, 800}, {900, POWER, -1, 0}},
	    /* Nobody to ask: silence, then back. */
	    {{400, POWER, -2, 0}, {1500, POWER, -1, 0}},
	    {{400, LOSE_DISK, -2, 0}, {1500, POWER, -1, 0}},
	    /* Back and forth. */
	    {{400, POWER, -1, 0}, {1100, POWER, -1, 0}},
	    {{400, KILL_ENGINE, -1, 0}, {1000, KILL_ENGINE, -1, 0}},
	    /* In the middle of a snapshot. */
	    {{400, RESET, 0, 0}, {450, RESET, 0, 0}, {480, RESET, 0, 0}, {510, POWER, -1, 0}},
	    /* Two masters that their agents must settle. */
	    {{400, BLOCK_VRRP, 0, 600}},
	    {{400, BLOCK_AGENT, 0, 600}, {500, BLOCK_SYNC, 0, 500}},
	    /* Planned moves, to and fro; and one in the middle of trouble. */
	    {{400, MOVE, 0, 0}, {900, MOVE, 0, 0}, {1300, MOVE, 0, 0}},
	    {{400, MOVE, 0, 0}, {425, PARTITION, 0, 700}, {1200, MOVE, 0, 0}},
	    {{400, MOVE, 0, 0}, {430, BLOCK_AGENT, 0, 400}, {435, RESET, 0, 0}},
	};
	unsigned n = sizeof courses / sizeof courses[0];
	struct world *w = world_new(seed);

	play(w, courses[seed % n], 4);
	finish(w, sum, "a course of events");
}

/* Both serve for a while, and one of them says far more than the other. */
static void
run_split(uint64_t seed, struct sums *sum)
{
	struct world *w = world_new(seed);
	struct event events[2] = {
	    {300, PARTITION, 0, 500 + chance(w, 600)}, {1300 + chance(w, 150), POWER, -1, 0}};

	w->rate_percent = 30 + (unsigned)chance(w, 50);
	w->n[seed & 1].slow = true;
	w->n[~seed & 1].slow = false;
	play(w, events, seed % 4 == 0 ? 2 : 1);
	finish(w, sum, "a split");
}

static void
run_all(uint64_t first, uint64_t seeds, struct sums *sum)
{
	for (uint64_t s = first; s < first + seeds && sum->failed == 0; s++) {
		run_random(s, sum);
		if (s % 3 == 0)
			run_courses(s / 3, sum);
		if (s % 2 == 0)
			run_split(s / 2, sum);
	}
	run_points(false, seeds > SEEDS, sum);
	run_points(true, seeds > SEEDS, sum);
	run_moves(seeds > SEEDS, sum);
}

int
main(int argc, char **argv)
{
	const char *env = getenv("PHA_TAKEOVER_SEEDS");
	uint64_t seeds = env != NULL ? strtoull(env, NULL, 10) : SEEDS, first = 0;
	bool caught = argc > 2 && strcmp(argv[1], "--caught") == 0;
	struct sums sum = {.quiet = caught};

	log_init("takeover", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	if (argc > 1 && !caught)
		seeds = strtoull(argv[1], NULL, 10);
	if (argc > 2 && !caught)
		first = strtoull(argv[2], NULL, 10);
	run_all(first, seeds, &sum);
	printf("# runs=%" PRIu64 " promotions=%" PRIu64 " continued=%" PRIu64 " told=%" PRIu64
	       " solos=%" PRIu64 " silences=%" PRIu64 " reported=%" PRIu64 " skipped=%" PRIu64
	       " frames=%" PRIu64 "\n",
	    sum.runs, sum.takeovers, sum.continued, sum.ended, sum.solos, sum.silences,
	    sum.reported, sum.skipped, sum.frames);
	printf("# handovers=%" PRIu64 " refused=%" PRIu64 " unknown=%" PRIu64 "\n", sum.handed,
	    sum.refused, sum.unknown);
	if (caught) {
		printf("# %s\n", sum.why);
		return strstr(sum.why, argv[2]) != NULL ? 0 : 1;
	}
	printf(sum.failed == 0 ? "ok - every promise is kept\n" : "# failed\n");
	return sum.failed == 0 ? 0 : 1;
}
