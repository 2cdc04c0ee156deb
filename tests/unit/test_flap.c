/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Flapping: each rule by itself, and two gateways on a virtual clock, each with the agent's whole
 * decision (health.h and flap.h) and VRRP's as far as it matters here, under links that flap,
 * daemons that die and hellos that take their time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hagent/flap.h"
#include "hagent/health.h"

#define S  1000
#define T0 INT64_C(1700000000000)

static const struct flap_limits limits = {
    .moves_max = 2, .hold_down_s = 10, .hold_down_max_s = 300, .ride_out_s = 10};

/* ---- the rules ---- */

static void
test_times(void **state)
{
	struct flap_times t = {0};

	assert_int_equal(flap_count(&t, T0), 0);
	flap_add(&t, T0 - FLAP_WINDOW_MS);
	flap_add(&t, T0 - FLAP_WINDOW_MS + 1);
	flap_add(&t, T0);
	flap_add(&t, T0 + 1); /* the clock was put back */
	assert_int_equal(flap_count(&t, T0), 2);
	for (int i = 0; i < 100; i++)
		flap_add(&t, T0);
	assert_int_equal(flap_count(&t, T0), FLAP_EVENTS);
}

static void
test_hold_grows(void **state)
{
	static const unsigned want[] = {0, 0, 10, 20, 40, 80, 160, 300, 300};
	struct flap_limits l = limits;

	for (unsigned n = 0; n < sizeof(want) / sizeof(want[0]); n++)
		assert_int_equal(flap_hold_s(&l, n), want[n]);
	assert_int_equal(flap_hold_s(&l, UINT32_MAX), 300);
	l.hold_down_max_s = 5;
	assert_int_equal(flap_hold_s(&l, 2), 5);
	l.hold_down_s = 0;
	assert_int_equal(flap_hold_s(&l, UINT32_MAX), 0);
}

static const struct flap_times none, two = {.at = {T0 - 300 * S, T0 - 100 * S}, .n = 2};

static struct flap_view
standby(int64_t now)
{
	return (struct flap_view){.now = now,
	    .peer_fresh = true,
	    .peer_active = true,
	    .peer_able = true,
	    .moves = &none,
	    .peers_moves = &none};
}

static struct flap_verdict
judge(const struct flap *f, const struct flap_view *v)
{
	struct flap_verdict out;

	flap_judge(f, &limits, v, &out);
	return out;
}

/* The first failure costs nothing, the second ten seconds, and they are told. */
static void
test_held_for_failures(void **state)
{
	struct flap f = {0};
	struct flap_view v = standby(T0);
	struct flap_verdict out;
	char text[160];

	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	assert_true(flap_notice(&f, T0, true, false));
	assert_false(flap_notice(&f, T0 + 1 * S, true, false));
	assert_true(flap_notice(&f, T0 + 2 * S, false, false));
	v.now = T0 + 2 * S;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	flap_notice(&f, T0 + 5 * S, true, false);
	flap_notice(&f, T0 + 6 * S, false, false);
	v.now = T0 + 9 * S;
	out = judge(&f, &v);
	assert_int_equal(out.state, FLAP_HELD);
	assert_int_equal(out.until, T0 + 16 * S);
	flap_tell(&out, v.now, text, sizeof(text));
	assert_string_equal(
	    text, "held down for 7 s more because it failed 2 times within 10 minutes");
	v.now = T0 + 16 * S - 1;
	assert_int_equal(judge(&f, &v).state, FLAP_HELD);
	v.now = T0 + 16 * S;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	v.now = T0 + 9 * S;
	v.active = true; /* who serves is not held */
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	v.active = false;
	flap_lift(&f, T0 + 12 * S);
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	v.now = T0 + 13 * S;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE); /* forgotten, too */
}

/* A held gateway serves when the other one cannot: every combination of what is known of it. */
static void
test_held_yields_to_need(void **state)
{
	struct flap f = {.failures = {.at = {T0 - 9 * S, T0 - 5 * S}, .n = 2}, .well_at = T0 - S};

	for (unsigned i = 0; i < 128; i++) {
		struct flap_view v = standby(T0);
		bool can;

		v.peer_fresh = i & 1;
		v.peer_active = i & 2;
		v.peer_able = i & 4;
		v.peer_hard = i & 8;
		v.peer_rides = i & 16;
		v.peer_held = i & 32;
		v.senior = i & 64;
		if (v.peer_active)
			can = !v.peer_hard || v.peer_rides;
		else
			can = !v.peer_hard && (v.peer_able || (v.peer_held && !v.senior));
		can = can && v.peer_fresh;
		if (judge(&f, &v).state != (can ? FLAP_HELD : FLAP_FREE))
			fail_msg("peer: fresh %d active %d able %d hard %d rides %d held %d, we: "
				 "senior %d",
			    v.peer_fresh, v.peer_active, v.peer_able, v.peer_hard, v.peer_rides,
			    v.peer_held, v.senior);
	}
}

/* As often as it may: the standby keeps down until the older of the two moves is ten minutes old.
 */
static void
test_held_for_moves(void **state)
{
	struct flap f = {0};
	struct flap_view v = standby(T0);
	struct flap_times one = {.at = {T0 - 50 * S}, .n = 1};
	struct flap_verdict out;
	char text[160];

	v.peers_moves = &two;
	out = judge(&f, &v);
	assert_int_equal(out.state, FLAP_HELD);
	assert_int_equal(out.until, T0 + 300 * S);
	flap_tell(&out, T0, text, sizeof(text));
	assert_string_equal(
	    text, "held down for 300 s more because of 2 automatic moves within 10 minutes");
	v.moves = &one; /* three: the second oldest makes room */
	out = judge(&f, &v);
	assert_int_equal(out.moves, 3);
	assert_int_equal(out.until, T0 + 500 * S);
	v.peers_moves = &none;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	v.peers_moves = &two;
	v.peer_active = false; /* somebody has to */
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
}

/* The active: its link is down. */
static void
test_rides(void **state)
{
	struct flap f = {0};
	struct flap_view v = standby(T0);
	char text[160];
	struct flap_verdict out;

	v.active = v.hard = v.links_only = true;
	v.peer_active = false;
	flap_notice(&f, T0, true, true);
	assert_int_equal(judge(&f, &v).state, FLAP_ASKS);
	v.now = T0 + FLAP_ASK_MS;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE); /* it moves */
	v.moves = &two;
	out = judge(&f, &v);
	assert_int_equal(out.state, FLAP_RIDES);
	flap_tell(&out, T0 + 4 * S, text, sizeof(text));
	assert_string_equal(text, "serves on without a link for 6 s at most because of 2 automatic "
				  "moves within 10 minutes");
	v.now = T0 + 10 * S - 1;
	assert_int_equal(judge(&f, &v).state, FLAP_RIDES);
	v.now = T0 + 10 * S;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE); /* that is no flapping: it moves */
	v.peer_fresh = false;                             /* where to? */
	out = judge(&f, &v);
	assert_int_equal(out.state, FLAP_RIDES);
	flap_tell(&out, v.now, text, sizeof(text));
	assert_non_null(strstr(text, "no peer"));
	v.now = T0 + 1 * S;
	v.links_only = false; /* a daemon that is dead rides nothing */
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	/* the link was back in between: it is another time */
	flap_notice(&f, T0 + 2 * S, false, false);
	flap_notice(&f, T0 + 15 * S, true, true);
	v.links_only = v.peer_fresh = true;
	v.now = T0 + 16 * S;
	assert_int_equal(judge(&f, &v).until, T0 + 25 * S);
}

static void
test_stays(void **state)
{
	struct flap f = {0};
	struct flap_limits l = limits;
	struct flap_view v = standby(T0);
	struct flap_verdict out;
	char text[160];

	v.active = v.soft = true;
	assert_int_equal(judge(&f, &v).state, FLAP_FREE);
	v.moves = &two;
	out = judge(&f, &v);
	assert_int_equal(out.state, FLAP_STAYS);
	flap_tell(&out, T0, text, sizeof(text));
	assert_string_equal(
	    text, "does not move for 300 s more because of 2 automatic moves within 10 minutes");
	l.moves_max = 0;
	v.moves = &none;
	flap_judge(&f, &l, &v, &out);
	assert_int_equal(out.state, FLAP_STAYS);
	flap_tell(&out, T0, text, sizeof(text));
	assert_string_equal(text, "does not move by itself: moves-per-10-minutes is 0");
}

/* ---- two gateways ---- */

#define STEP_MS     10
#define TICK_MS     150
#define HELLO_MS    50 /* twice that from a decision here to its being heard there, at worst */
#define FRESH_MS    350
#define ADVERTS_MS  70 /* silence after which VRRP's backup takes over */
#define PROMOTE_MS  50
#define RIGHT_AGAIN 1000 /* a daemon is started anew after so long */

struct heard {
	bool ok, active, able, hard, rides, held;
	struct flap_times moves;
	int64_t at;
};

struct gateway {
	bool power, link, daemon;
	int64_t daemon_back; /* 0 = it runs */
	bool active, fit, vip;
	int64_t tick, adverts_at, link_changed, hello_at, yield_at, good_at;
	struct flap flap;
	struct flap_times moves;
	struct flap_verdict verdict;
	struct heard out[2], peer; /* out: on its way */
	unsigned epoch;
};

struct pair {
	struct gateway g[2];
	int64_t now;
	bool talk;
	unsigned promotions, lost;     /* lost: sessions of both are gone */
	int64_t dark_ms, dark_longest; /* nobody serves although somebody could */
	uint32_t seed;
};

static uint32_t
random_below(struct pair *p, uint32_t n)
{
	p->seed = p->seed * 1664525 + 1013904223;
	return (p->seed >> 8) % n;
}

static bool
is_fresh(const struct pair *p, const struct gateway *g)
{
	return g->peer.ok && p->now - g->peer.at <= FRESH_MS;
}

static void
say(struct pair *p, struct gateway *g, bool fit)
{
	if (g->fit == fit)
		return;
	g->fit = fit;
	if (!fit) {
		g->yield_at = p->now;
		if (g->active)
			flap_add(&g->moves, p->now);
	}
}

/* What agent_flap.c and decide() do. */
static void
decide(struct pair *p, struct gateway *g)
{
	bool hard = !g->link || !g->daemon, fresh = is_fresh(p, g);
	bool senior = g->active != g->peer.active ? g->active : g == &p->g[0];
	struct flap_view v = {.now = p->now,
	    .hard = hard,
	    .links_only = hard && g->daemon,
	    .active = g->active,
	    .peer_fresh = fresh,
	    .peer_active = g->peer.active,
	    .peer_able = g->peer.able,
	    .peer_hard = g->peer.hard,
	    .peer_rides = g->peer.rides,
	    .peer_held = g->peer.held,
	    .senior = senior,
	    .moves = &g->moves,
	    .peers_moves = &g->peer.moves};
	struct health_view h = {.ours = hard ? HEALTH_HARD : HEALTH_FINE,
	    .active = g->active,
	    .peer_fresh = fresh,
	    .peers = g->peer.hard ? HEALTH_HARD : HEALTH_FINE,
	    .senior = senior};

	flap_notice(&g->flap, p->now, hard, !g->link);
	flap_judge(&g->flap, &limits, &v, &g->verdict);
	bool yield = health_must_yield(&h) && g->verdict.state != FLAP_RIDES &&
		     g->verdict.state != FLAP_ASKS;
	if (yield)
		g->good_at = 0;
	else if (g->good_at == 0)
		g->good_at = p->now;
	if (yield || g->verdict.state == FLAP_HELD)
		say(p, g, false);
	else if (p->now - g->good_at >= 200)
		say(p, g, true);
}

static struct heard
hello(const struct pair *p, const struct gateway *g)
{
	return (struct heard){.ok = true,
	    .active = g->active,
	    .able = g->fit && g->daemon,
	    .hard = !g->link || !g->daemon,
	    .rides = g->verdict.state == FLAP_RIDES || g->verdict.state == FLAP_ASKS,
	    .held = g->verdict.state == FLAP_HELD,
	    .moves = g->moves,
	    .at = p->now};
}

/* keepalived: FAULT by the track file and by the daemon's death; nobody preempts. */
static void
vrrp(struct pair *p, struct gateway *g, struct gateway *peer)
{
	bool may = g->power && g->fit && g->daemon;

	if (peer->vip && peer->power && peer->link && g->link)
		g->adverts_at = p->now;
	if (!may) {
		g->vip = g->active = false;
		g->adverts_at = p->now;
	} else if (!g->vip && p->now - g->adverts_at >= ADVERTS_MS + (g == &p->g[1])) {
		g->vip = true;
		g->active = true;
		g->epoch = (g->epoch > peer->epoch ? g->epoch : peer->epoch) + 1;
		p->promotions++;
	}
	/* One epoch, one active: the lower one learns it over the stream. */
	if (g->active && peer->power && peer->active && g->epoch < peer->epoch && p->talk) {
		say(p, g, false);
		g->active = g->vip = false;
		g->adverts_at = p->now;
	}
}

static void
step(struct pair *p)
{
	p->now += STEP_MS;
	for (int i = 0; i < 2; i++) {
		struct gateway *g = &p->g[i];

		if (!g->power)
			continue;
		if (g->daemon_back != 0 && p->now >= g->daemon_back) {
			g->daemon = true;
			g->daemon_back = 0;
		}
		if (p->now - g->tick >= TICK_MS || g->link_changed == p->now ||
		    (g->verdict.state == FLAP_ASKS && p->now >= g->verdict.until)) {
			g->tick = p->now;
			decide(p, g);
		}
	}
	for (int i = 0; i < 2; i++) {
		struct gateway *g = &p->g[i], *peer = &p->g[!i];

		if (g->power && p->talk && peer->power && p->now - g->hello_at >= HELLO_MS) {
			peer->peer = g->out[0];
			peer->peer.at = p->now;
			g->out[0] = hello(p, g);
			g->hello_at = p->now;
		}
		vrrp(p, g, peer);
	}
	bool could = false, does = false;

	for (int i = 0; i < 2; i++) {
		could |= p->g[i].power && p->g[i].link && p->g[i].daemon;
		does |= p->g[i].power && p->g[i].active && p->g[i].link && p->g[i].daemon;
	}
	p->dark_ms = could && !does ? p->dark_ms + STEP_MS : 0;
	if (p->dark_ms > p->dark_longest)
		p->dark_longest = p->dark_ms;
}

static void
run(struct pair *p, int64_t ms)
{
	for (int64_t end = p->now + ms; p->now < end;)
		step(p);
}

static void
set_link(struct pair *p, struct gateway *g, bool up)
{
	g->link = up;
	g->link_changed = p->now + STEP_MS;
}

static struct pair *
new_pair(void)
{
	static struct pair p;

	p = (struct pair){.now = T0, .talk = true, .seed = 1};
	for (int i = 0; i < 2; i++)
		p.g[i] = (struct gateway){.power = true,
		    .link = true,
		    .daemon = true,
		    .adverts_at = T0,
		    .fit = true,
		    .hello_at = T0};
	run(&p, 2 * S);
	assert_true(p.g[0].active);
	assert_int_equal(p.promotions, 1);
	p.promotions = 0;
	p.dark_longest = 0;
	return &p;
}

static struct gateway *
active_of(struct pair *p)
{
	return p->g[0].active ? &p->g[0] : &p->g[1];
}

/* Ten cuts in a minute, of one gateway's link: one move. Of whoever serves: two. */
static void
test_flapping_link(void **state)
{
	for (int follows = 0; follows < 2; follows++) {
		for (int cut_ms = 50; cut_ms <= 5500; cut_ms += 450) {
			struct pair *p = new_pair();

			for (int i = 0; i < 10; i++) {
				struct gateway *g = follows ? active_of(p) : &p->g[0];

				set_link(p, g, false);
				run(p, cut_ms);
				set_link(p, g, true);
				run(p, 6 * S - cut_ms);
			}
			if (p->promotions > (follows ? 2u : 1u))
				fail_msg("follows %d cut %d ms: %u moves", follows, cut_ms,
				    p->promotions);
			assert_int_equal(p->g[0].active + p->g[1].active, 1);
			if (cut_ms > 500)
				assert_int_equal(p->promotions, follows ? 2 : 1);
		}
	}
}

/* Both lose their links at once, as behind one switch: nobody moves. */
static void
test_one_switch(void **state)
{
	struct pair *p = new_pair();

	for (int i = 0; i < 10; i++) {
		set_link(p, &p->g[0], false);
		set_link(p, &p->g[1], false);
		run(p, 3 * S);
		set_link(p, &p->g[0], true);
		set_link(p, &p->g[1], true);
		run(p, 3 * S);
	}
	assert_int_equal(p->promotions, 0);
	assert_true(p->g[0].active);
}

/* At the limit a link that stays down moves after all, and a dead active is replaced at once. */
static void
test_limit_is_no_prison(void **state)
{
	for (int kind = 0; kind < 3; kind++) {
		struct pair *p = new_pair();

		for (int i = 0; i < 2; i++) {
			struct gateway *g = active_of(p);

			set_link(p, g, false);
			run(p, 3 * S);
			set_link(p, g, true);
			run(p, 3 * S);
		}
		struct gateway *g = active_of(p), *other = g == &p->g[0] ? &p->g[1] : &p->g[0];

		assert_int_equal(other->verdict.state, FLAP_HELD);
		assert_false(other->fit);
		p->dark_longest = 0;
		if (kind == 0)
			set_link(p, g, false);
		else if (kind == 1)
			g->daemon = false;
		else
			g->power = g->active = g->vip = false;
		run(p, 20 * S);
		assert_true(other->active);
		if (kind == 0)
			assert_in_range(p->dark_longest, 10 * S, 11 * S);
		else
			assert_in_range(p->dark_longest, 0, 1 * S);
	}
}

/*
 * Random faults of all kinds for hours: nobody is ever left without a gateway that could serve for
 * longer than the rules say, whatever is held.
 */
static void
test_never_without(void **state)
{
	for (uint32_t seed = 1; seed <= 40; seed++) {
		struct pair *p = new_pair();
		unsigned faults = 0;

		p->seed = seed;
		for (int64_t end = p->now + 3600 * S; p->now < end;) {
			struct gateway *g = &p->g[random_below(p, 2)];

			switch (random_below(p, 4)) {
			case 0:
				set_link(p, g, !g->link);
				break;
			case 1:
				if (g->daemon_back == 0) {
					g->daemon = false;
					g->daemon_back = p->now + RIGHT_AGAIN;
				}
				break;
			case 2:
				if (g->power && random_below(p, 4) == 0) {
					g->power = g->active = g->vip = false;
				} else if (!g->power) {
					g->power = true;
					g->adverts_at = p->now;
				}
				break;
			case 3:
				p->talk = random_below(p, 8) != 0;
				break;
			}
			faults++;
			run(p, 20 + random_below(p, 15 * S));
		}
		assert_true(faults > 100);
		if (p->dark_longest > limits.ride_out_s * S + 1500)
			fail_msg(
			    "seed %u: %lld ms without a gateway", seed, (long long)p->dark_longest);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_hold_grows),
	    cmocka_unit_test(test_held_for_failures),
	    cmocka_unit_test(test_held_yields_to_need),
	    cmocka_unit_test(test_held_for_moves),
	    cmocka_unit_test(test_rides),
	    cmocka_unit_test(test_stays),
	    cmocka_unit_test(test_flapping_link),
	    cmocka_unit_test(test_one_switch),
	    cmocka_unit_test(test_limit_is_no_prison),
	    cmocka_unit_test(test_never_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
