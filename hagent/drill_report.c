/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two time lines become one: what the other gateway saw is moved by the difference of the clocks,
 * and of each session the longest way from one packet to the next, whoever sent it, is its gap.
 */
#include "hagent/drill_report.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/drill_parts.h"
#include "hagent/journal.h"
#include "hagent/words.h"

#define WORST      20
#define GONE       40
#define BUSY       2       /* data packets before the fault that make a session busy */
#define RATE_US    50000   /* a step of the picture */
#define RATE_FROM  (-2000) /* ms from the fault */
#define RATE_STEPS 240

const char *
drill_verdict_name(enum drill_verdict v)
{
	static const char *const names[] = {"passed", "failed", "refused", "aborted"};

	return names[v];
}

/* ---- one time line ---- */

/* Units from the line's beginning to that of w. */
static uint32_t
offset(const struct drill_parts *p, const struct drill_watch *w)
{
	int64_t begun_us = w->begun_us - (w == p->s->old ? p->s->clock_us : 0);

	return (uint32_t)((begun_us - p->base_us) / DRILL_UNIT_US);
}

static void
add_times(const struct drill_parts *p, const struct drill_watch *w, const struct drill_flow *f,
    struct drill_runs *out)
{
	struct drill_run moved[2 * DRILL_RUNS_MAX];
	struct drill_runs copy = {.v = moved, .closed = f ? f->times.closed : 0};
	uint32_t by = w ? offset(p, w) : 0;

	for (unsigned i = 0; f && i < f->times.n && i < 2 * DRILL_RUNS_MAX; i++)
		copy.v[copy.n++] =
		    (struct drill_run){f->times.v[i].from + by, f->times.v[i].to + by};
	drill_runs_join(out, &copy);
}

static const struct drill_flow *
find(const struct drill_watch *w, enum drill_way way, uint32_t client, uint16_t call)
{
	return w ? drill_watch_find(w, way, client, call) : NULL;
}

/* Data before the fault on either; the fault stands on the line at p->fault. */
static void
measure_gap(const struct drill_parts *p, struct drill_one *o)
{
	const struct drill_flow *a = find(p->s->old, DRILL_DOWN, o->client, o->peer_call);
	const struct drill_flow *b = find(p->s->new, DRILL_DOWN, o->client, o->peer_call);
	struct drill_runs all = {.max = 2 * DRILL_RUNS_MAX};
	uint32_t at;

	add_times(p, p->s->old, a, &all);
	add_times(p, p->s->new, b, &all);
	o->to_client = (a ? a->data : 0) + (b ? b->data : 0);
	o->busy = all.n > 0 && all.v[0].from < p->fault && o->to_client >= BUSY;
	o->again = all.n > 0 && all.v[all.n - 1].to > p->fault;
	if (o->busy && o->again) {
		o->gap_us = (uint64_t)drill_runs_longest(&all, 0, UINT32_MAX, &at) * DRILL_UNIT_US;
		o->gap_at_us = ((int64_t)at - (int64_t)p->fault) * DRILL_UNIT_US;
	}
	drill_runs_fini(&all);
}

static void
measure_numbers(const struct drill_parts *p, struct drill_one *o)
{
	const struct drill_flow *a = find(p->s->old, DRILL_UP, o->client, o->call);
	const struct drill_flow *b = find(p->s->new, DRILL_UP, o->client, o->call);
	struct drill_runs all = {.max = 2 * DRILL_RUNS_MAX};

	if (a)
		drill_runs_join(&all, &a->numbers);
	if (b)
		drill_runs_join(&all, &b->numbers);
	o->from_client = drill_runs_count(&all);
	o->missing = drill_runs_missing(&all);
	o->heard = b && (uint64_t)offset(p, p->s->new) + b->last > p->fault;
	drill_runs_fini(&all);
}

/* ---- sessions ---- */

static uint32_t
address_of(const json_t *session, const char *name)
{
	struct in_addr a;

	return inet_pton(AF_INET, words_text(session, name), &a) == 1 ? ntohl(a.s_addr) : 0;
}

static const json_t *
by_id(const json_t *list, json_int_t id)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		if (json_integer_value(json_object_get(o, "id")) == id)
			return o;
	}
	return NULL;
}

/* A session of the same user from the same host that was not there before. */
static const json_t *
again(const json_t *before, const json_t *after, const json_t *session)
{
	const json_t *o;
	size_t i;

	json_array_foreach(after, i, o)
	{
		if (strcmp(words_text(o, "user"), words_text(session, "user")) == 0 &&
		    strcmp(words_text(o, "peer"), words_text(session, "peer")) == 0 &&
		    !by_id(before, words_number(o, "id")))
			return o;
	}
	return NULL;
}

static void
judge_session(const struct drill_parts *p, const json_t *session, struct drill_one *o)
{
	const json_t *after = by_id(p->s->after, words_number(session, "id"));

	if (!p->s->after)
		o->outcome = DRILL_UNKNOWN;
	else if (!after)
		o->outcome =
		    again(p->s->before, p->s->after, session) ? DRILL_REDIALLED : DRILL_LOST;
	else if (o->busy && !o->heard && !o->again)
		o->outcome = DRILL_SILENT;
	else
		o->outcome = DRILL_SURVIVED;
}

static int
measure_all(struct drill_parts *p)
{
	const json_t *session;
	size_t i;

	p->n = json_array_size(p->s->before);
	p->all = calloc(p->n + 1, sizeof(p->all[0]));
	if (!p->all)
		return -1;
	json_array_foreach(p->s->before, i, session)
	{
		struct drill_one *o = &p->all[i];

		o->session = session;
		o->client = address_of(session, "peer");
		o->call = (uint16_t)words_number(session, "call");
		o->peer_call = (uint16_t)words_number(session, "peer_call");
		measure_gap(p, o);
		measure_numbers(p, o);
		judge_session(p, session, o);
	}
	return 0;
}

static json_t *
sessions_json(const struct drill_parts *p)
{
	unsigned n[DRILL_N_OUTCOMES] = {0};

	for (size_t i = 0; i < p->n; i++)
		n[p->all[i].outcome]++;
	json_t *o = json_pack("{s:i,s:i,s:i,s:i,s:i}", "before", (int)p->n, "survived",
	    (int)n[DRILL_SURVIVED], "redialled", (int)n[DRILL_REDIALLED], "lost",
	    (int)(n[DRILL_LOST] + n[DRILL_SILENT]), "silent", (int)n[DRILL_SILENT]);
	size_t kept = n[DRILL_SURVIVED] + n[DRILL_SILENT] + n[DRILL_REDIALLED];
	size_t after = json_array_size(p->s->after);

	json_object_set_new(o, "new", json_integer(after > kept ? (json_int_t)(after - kept) : 0));
	if (n[DRILL_UNKNOWN] > 0)
		json_object_set_new(o, "unknown", json_integer(n[DRILL_UNKNOWN]));
	return o;
}

static json_t *
packets_json(const struct drill_parts *p)
{
	uint64_t to = 0, from = 0, missing = 0,
		 dropped = p->s->dropped > 0 ? (uint64_t)p->s->dropped : 0;

	for (size_t i = 0; i < p->n; i++) {
		to += p->all[i].to_client;
		from += p->all[i].from_client;
		missing += p->all[i].missing;
	}
	json_t *o = json_pack("{s:I,s:I,s:I,s:I}", "to_clients", (json_int_t)to, "from_clients",
	    (json_int_t)from, "missing", (json_int_t)missing, "lost",
	    (json_int_t)(missing + dropped));
	json_object_set_new(
	    o, "dropped", p->s->dropped < 0 ? json_null() : json_integer((json_int_t)dropped));
	return o;
}

/* ---- gaps ---- */

static int
by_gap(const void *a, const void *b)
{
	const struct drill_one *const *x = a, *const *y = b;

	return (*x)->gap_us < (*y)->gap_us ? -1 : (*x)->gap_us > (*y)->gap_us;
}

/* The sessions that were measured, the shortest gap first. */
static const struct drill_one **
sorted(const struct drill_parts *p, size_t *n)
{
	const struct drill_one **v = calloc(p->n + 1, sizeof(struct drill_one *));

	*n = 0;
	for (size_t i = 0; v && i < p->n; i++) {
		if (p->all[i].gap_us > 0)
			v[(*n)++] = &p->all[i];
	}
	if (v)
		qsort(v, *n, sizeof(struct drill_one *), by_gap);
	return v;
}

static double
quantile(const struct drill_one *const *v, size_t n, double q)
{
	size_t rank = (size_t)(q * (double)n + 0.999999);

	rank = rank < 1 ? 1 : rank > n ? n : rank;
	return (double)v[rank - 1]->gap_us / 1000;
}

static void
put_worst(json_t *o, const struct drill_one *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n && i < WORST; i++) {
		const struct drill_one *one = v[n - 1 - i];

		json_array_append_new(list,
		    json_pack("{s:s,s:s,s:s,s:f,s:f}", "user", words_text(one->session, "user"),
			"client", words_text(one->session, "peer"), "address",
			words_text(one->session, "address"), "gap_ms", (double)one->gap_us / 1000,
			"at_ms", (double)one->gap_at_us / 1000));
	}
	json_object_set_new(o, "worst", list);
}

static void
put_gaps(json_t *o, const struct drill_parts *p)
{
	size_t n;
	const struct drill_one **v = sorted(p, &n);
	json_t *spread = json_array();

	if (!v || n == 0) {
		json_object_set_new(o, "gap_ms", json_null());
	} else {
		json_object_set_new(o, "gap_ms",
		    json_pack("{s:i,s:f,s:f,s:f,s:f}", "n", (int)n, "min", quantile(v, n, 0),
			"median", quantile(v, n, 0.5), "p99", quantile(v, n, 0.99), "max",
			quantile(v, n, 1)));
		for (unsigned i = 0; i <= 20; i++)
			json_array_append_new(spread, json_real(quantile(v, n, i / 20.0)));
		put_worst(o, v, n);
	}
	json_object_set_new(o, "gap_spread_ms", spread);
	free(v);
}

static void
put_gone(json_t *o, const struct drill_parts *p)
{
	static const char *const words[DRILL_N_OUTCOMES] = {
	    [DRILL_LOST] = "lost", [DRILL_SILENT] = "silent", [DRILL_REDIALLED] = "redialled"};
	json_t *list = json_array();

	for (size_t i = 0; i < p->n && json_array_size(list) < GONE; i++) {
		const struct drill_one *one = &p->all[i];

		if (!words[one->outcome])
			continue;
		json_array_append_new(
		    list, json_pack("{s:s,s:s,s:s,s:s}", "user", words_text(one->session, "user"),
			      "client", words_text(one->session, "peer"), "address",
			      words_text(one->session, "address"), "outcome", words[one->outcome]));
	}
	json_object_set_new(o, "gone", list);
}

/* ---- the picture ---- */

static json_t *
rate_of(const struct drill_parts *p, const struct drill_watch *w)
{
	uint32_t sums[RATE_STEPS] = {0};
	json_t *list = json_array();
	unsigned last = 0;

	if (!w)
		return json_null();
	int64_t first_us = (int64_t)offset(p, w) * DRILL_UNIT_US -
			   (int64_t)p->fault * DRILL_UNIT_US - RATE_FROM * 1000;

	for (unsigned i = 0; i < w->n_rate; i++) {
		int64_t at = first_us + (int64_t)i * DRILL_BUCKET_MS * 1000;

		if (at >= 0 && at / RATE_US < RATE_STEPS)
			sums[at / RATE_US] += w->rate[i];
	}
	for (unsigned i = 0; i < RATE_STEPS; i++)
		last = sums[i] ? i : last;
	for (unsigned i = 0; i <= last; i++)
		json_array_append_new(list, json_integer(sums[i]));
	return list;
}

static void
put_watch(json_t *o, const struct drill_parts *p)
{
	const struct drill_seen *s = p->s;
	const struct drill_watch *const watches[] = {s->old, s->new};
	const char *const nodes[] = {s->from, s->to};
	json_t *rate = json_pack("{s:i,s:i}", "step_ms", RATE_US / 1000, "from_ms", RATE_FROM);
	json_t *watch = json_object();

	for (unsigned i = 0; i < 2; i++) {
		const struct drill_watch *w = watches[i];

		if (!w)
			continue;
		json_object_set_new(rate, nodes[i], rate_of(p, w));
		json_object_set_new(watch, nodes[i],
		    json_pack("{s:I,s:I,s:i}", "packets", (json_int_t)w->packets, "unseen",
			(json_int_t)(w->dropped + w->overflow), "flows", (int)w->n_flows));
	}
	json_object_set_new(o, "rate", rate);
	json_object_set_new(o, "watch", watch);
}

/* When data first left the new gateway, from the fault. */
static json_t *
resumed(const struct drill_parts *p)
{
	const struct drill_watch *w = p->s->new;
	const struct drill_flow *f = NULL;
	uint32_t least = UINT32_MAX;
	unsigned i = 0;

	if (!w || p->s->fault_us == 0)
		return json_null();
	while ((f = drill_watch_next(w, &i, f)) != NULL) {
		uint32_t at = f->way == DRILL_DOWN && f->times.n > 0
				  ? f->times.v[0].from + offset(p, w)
				  : UINT32_MAX;

		if (at >= p->fault && at < least)
			least = at;
	}
	return least == UINT32_MAX ? json_null()
				   : json_real((double)(least - p->fault) * DRILL_UNIT_US / 1000);
}

/* ---- all of it ---- */

static json_t *
head(const struct drill_seen *s)
{
	char at[25], ended[25];

	journal_time(s->begun_ms, at);
	journal_time(s->ended_ms, ended);
	return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:s}", "format", DRILL_REPORT_FORMAT,
	    "id", s->id, "name", s->plan->name, "kind", drill_kind_name(s->plan->kind), "node",
	    s->node, "from", s->from, "to", s->to, "scheduled", s->scheduled, "at", at, "ended",
	    ended);
}

static void
put_given(json_t *o, const char *name, const json_t *given)
{
	json_object_set_new(o, name, given ? json_deep_copy(given) : json_null());
}

static int64_t
base_of(const struct drill_seen *s)
{
	int64_t old_us = s->old ? s->old->begun_us - s->clock_us : INT64_MAX;
	int64_t new_us = s->new ? s->new->begun_us : INT64_MAX;
	int64_t base_us = old_us < new_us ? old_us : new_us;

	return base_us == INT64_MAX ? s->fault_us : base_us;
}

json_t *
drill_report(const struct drill_seen *s)
{
	struct drill_parts p = {.s = s, .base_us = base_of(s)};
	json_t *o = head(s);

	p.fault =
	    s->fault_us > p.base_us ? (uint32_t)((s->fault_us - p.base_us) / DRILL_UNIT_US) : 0;
	if (!o || measure_all(&p) < 0) {
		json_decref(o);
		return NULL;
	}
	json_object_set_new(o, "sessions", s->before ? sessions_json(&p) : json_null());
	if (s->fault_us != 0) {
		put_gaps(o, &p);
		put_gone(o, &p);
		json_object_set_new(o, "packets", packets_json(&p));
		put_watch(o, &p);
	}
	json_object_set_new(o, "resumed_ms", resumed(&p));
	drill_parts_steps(o, s);
	json_object_set_new(o, "clock",
	    json_pack("{s:I,s:I}", "difference_us", (json_int_t)s->clock_us, "uncertainty_us",
		(json_int_t)s->clock_error_us));
	put_given(o, "witness", s->witness);
	put_given(o, "load", s->load);
	put_given(o, "fail_back", s->fail_back);
	put_given(o, "phases", s->phases);
	free(p.all);
	return o;
}

json_t *
drill_report_summary(const json_t *report)
{
	static const char *const names[] = {"id", "name", "kind", "node", "from", "to", "at",
	    "verdict", "why", "ms", "sessions", "gap_ms", "detection_ms", "scheduled"};
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *v = json_object_get(report, names[i]);

		json_object_set(o, names[i], v ? v : json_null());
	}
	return o;
}
