/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Figures of a window. A session is lost when its call or its connection ended, when it is silent
 * at the end of the window, or when it has become deaf for ever, whatever else still works.
 */
#include "tests/client/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/client/control.h"
#include "tests/client/report.h"
#include "tests/client/session.h"

#define SILENT_US 2000000 /* and three packets' time: no answer for so long is no answer at all */
#define WORST     5
#define US_PER_MS 1000.0

struct totals {
	unsigned up, cleared, survivors, lost, losses[REASON_MAX];
	unsigned redials, heard, heard_control;
	uint64_t sent, answered, missing, beyond_us;
	struct strict_peaks sum;
	struct samples gaps, beyond, numbers, keys;
};

static double
epoch(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
figures_open(struct client *c, const char *name)
{
	uint64_t now_us = client_now_us();

	snprintf(c->window.name, sizeof(c->window.name), "%s", name);
	c->window.opened = epoch();
	c->window.opened_us = now_us;
	c->window.closed_us = 0;
	c->window.send_late_us = c->window.receive_late_us = 0;
	for (unsigned i = 0; i < 3; i++)
		c->window.unreachables[i] = c->unreachables[i];
	for (unsigned i = 0; i < c->n_sessions; i++) {
		struct session *s = &c->sessions[i];

		strict_mark(&s->strict);
		s->at_mark.up = s->state == SESSION_UP;
		s->at_mark.losses = s->losses;
		s->at_mark.redials = s->redials;
		traffic_mark(&s->traffic, now_us);
	}
}

void
figures_close(struct client *c)
{
	c->window.closed_us = client_now_us();
	for (unsigned i = 0; i < c->n_sessions; i++)
		traffic_unmark(&c->sessions[i].traffic, c->window.closed_us);
}

static bool
is_silent(const struct client *c, const struct session *s)
{
	uint64_t patience_us = (uint64_t)(3e6 / c->o->rate);

	if (patience_us < SILENT_US)
		patience_us = SILENT_US;
	return traffic_wanted(&s->traffic) &&
	       c->window.closed_us - s->traffic.window.since_us > patience_us;
}

/* REASON_NONE: the session lives. */
static enum reason
verdict(const struct client *c, const struct session *s)
{
	if (s->losses > s->at_mark.losses)
		return s->lost_why;
	if (s->state != SESSION_UP)
		return REASON_LOCAL;
	if (s->strict.window.too_far > 0)
		return REASON_KEYS;
	if (s->strict.window.deaf > 0)
		return REASON_DEAF;
	return is_silent(c, s) ? REASON_SILENT : REASON_NONE;
}

static void
add_traffic(const struct client *c, const struct session *s, struct totals *t)
{
	const struct window *w = &s->traffic.window;
	uint64_t interval_us = (uint64_t)(1e6 / c->o->rate);
	uint64_t from_us, gap_us = window_gap_us(w, &from_us);
	uint64_t beyond_us = gap_us > interval_us ? gap_us - interval_us : 0;

	if (!traffic_wanted(&s->traffic))
		return;
	samples_add(&t->gaps, gap_us);
	samples_add(&t->beyond, beyond_us);
	t->beyond_us += beyond_us;
	t->sent += window_sent(w);
	t->answered += w->answered;
	t->missing += window_lost(w);
}

static void
add(const struct client *c, const struct session *s, struct totals *t)
{
	const struct strict_peaks *p = &s->strict.window;
	enum reason why;

	t->redials += s->redials - s->at_mark.redials;
	if (!s->at_mark.up)
		return;
	t->up++;
	if (s->cleared) {
		t->cleared++;
		return;
	}
	why = verdict(c, s);
	t->losses[why]++;
	*(why == REASON_NONE ? &t->survivors : &t->lost) += 1;
	t->heard += s->heard_us > c->window.opened_us;
	t->heard_control += s->control->heard_us > c->window.opened_us;
	add_traffic(c, s, t);
	samples_add(&t->numbers, p->numbers);
	samples_add(&t->keys, p->keys);
	t->sum.old += p->old;
	t->sum.deaf += p->deaf;
	t->sum.too_far += p->too_far;
}

static json_t *
losses(const unsigned n[REASON_MAX])
{
	json_t *o = json_object();

	for (int i = REASON_NONE + 1; i < REASON_MAX; i++)
		if (n[i] > 0)
			json_object_set_new(
			    o, reason_name((enum reason)i), json_integer((json_int_t)n[i]));
	return o;
}

static uint64_t
gap_of(const struct session *s)
{
	uint64_t from_us;

	return window_gap_us(&s->traffic.window, &from_us);
}

static int
compare(const void *a, const void *b)
{
	const struct session *const *x = a, *const *y = b;
	uint64_t p = gap_of(*x), q = gap_of(*y);

	return p < q ? 1 : -(p > q);
}

/* The sessions with the longest gaps, and when these began, after the mark. */
static json_t *
worst(const struct client *c)
{
	const struct session **all = calloc(c->n_sessions, sizeof(struct session *));
	json_t *list = json_array();

	if (all == NULL)
		return list;
	for (unsigned i = 0; i < c->n_sessions; i++)
		all[i] = &c->sessions[i];
	qsort(all, c->n_sessions, sizeof(struct session *), compare);
	for (unsigned i = 0; i < c->n_sessions && i < WORST; i++) {
		uint64_t from_us, gap_us = window_gap_us(&all[i]->traffic.window, &from_us);

		if (gap_us == 0 || !traffic_wanted(&all[i]->traffic))
			break;
		json_array_append_new(
		    list, json_pack("{s:i,s:f,s:f,s:i,s:i}", "session", (int)all[i]->number,
			      "gap_ms", (double)gap_us / US_PER_MS, "from_ms",
			      ((double)from_us - (double)c->window.opened_us) / US_PER_MS,
			      "numbers", (int)all[i]->strict.window.numbers, "keys",
			      (int)all[i]->strict.window.keys));
	}
	free(all);
	return list;
}

static json_t *
counts(const struct client *c, const struct totals *t)
{
	uint64_t seen[3];

	for (unsigned i = 0; i < 3; i++)
		seen[i] = c->unreachables[i] - c->window.unreachables[i];
	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "up",
	    (int)t->up, "cleared", (int)t->cleared, "survivors", (int)t->survivors, "lost",
	    (int)t->lost, "redials", (int)t->redials, "heard_gre", (int)t->heard, "heard_control",
	    (int)t->heard_control, "packets_sent", (json_int_t)t->sent, "packets_answered",
	    (json_int_t)t->answered, "packets_lost", (json_int_t)t->missing, "old_numbers",
	    (json_int_t)t->sum.old, "deaf", (json_int_t)t->sum.deaf, "keys_too_far",
	    (json_int_t)t->sum.too_far, "gre_unreachable", (json_int_t)seen[0], "tcp_unreachable",
	    (json_int_t)seen[1], "other_unreachable", (json_int_t)seen[2]);
}

json_t *
figures_report(const struct client *c)
{
	struct totals t = {0};
	json_t *o;

	for (unsigned i = 0; i < c->n_sessions; i++)
		add(c, &c->sessions[i], &t);
	o = json_pack("{s:s,s:s,s:f,s:f}", "event", "window", "name", c->window.name, "opened",
	    c->window.opened, "seconds", (double)(c->window.closed_us - c->window.opened_us) / 1e6);
	json_object_update_new(o, counts(c, &t));
	json_object_set_new(o, "losses", losses(t.losses));
	json_object_set_new(o, "gap_ms", report_quantiles(&t.gaps, US_PER_MS));
	json_object_set_new(o, "beyond_ms", report_quantiles(&t.beyond, US_PER_MS));
	/* A gap is whole intervals; the mean over many sessions is not. */
	json_object_set_new(o, "beyond_mean_ms",
	    json_real(t.gaps.n > 0 ? (double)t.beyond_us / US_PER_MS / (double)t.gaps.n : 0));
	json_object_set_new(o, "own_lateness_ms",
	    json_pack("{s:f,s:f}", "send", (double)c->window.send_late_us / US_PER_MS, "receive",
		(double)c->window.receive_late_us / US_PER_MS));
	json_object_set_new(o, "numbers_jumped", report_quantiles(&t.numbers, 1));
	json_object_set_new(o, "keys_jumped", report_quantiles(&t.keys, 1));
	json_object_set_new(o, "worst", worst(c));
	samples_fini(&t.gaps);
	samples_fini(&t.beyond);
	samples_fini(&t.numbers);
	samples_fini(&t.keys);
	return o;
}

json_t *
figures_strict(const struct client *c)
{
	struct strict_peaks sum = {0};
	struct samples numbers = {0}, keys = {0};
	json_t *o;

	for (unsigned i = 0; i < c->n_sessions; i++) {
		const struct strict_peaks *p = &c->sessions[i].strict.run;

		if (!c->sessions[i].ever_up)
			continue;
		sum.old += p->old;
		sum.deaf += p->deaf;
		sum.too_far += p->too_far;
		samples_add(&numbers, p->numbers);
		samples_add(&keys, p->keys);
	}
	o = json_pack("{s:I,s:I,s:I}", "old_numbers", (json_int_t)sum.old, "deaf",
	    (json_int_t)sum.deaf, "keys_too_far", (json_int_t)sum.too_far);
	json_object_set_new(o, "numbers_jumped", report_quantiles(&numbers, 1));
	json_object_set_new(o, "keys_jumped", report_quantiles(&keys, 1));
	samples_fini(&numbers);
	samples_fini(&keys);
	return o;
}
