/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The course of a probe: one phase after the other, each ends in next() or in fail().
 */
#include "hagent/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/probe_internal.h"
#include "hagent/probe_words.h"

#define PINGS       3
#define PING_MS     1000
#define SMALL       56
#define HEADERS     28
#define LEAST_MTU   576
#define LARGE_MS    700 /* at most; less where answers come soon */
#define LARGE_MIN   200
#define LARGE_TRIES 2
#define HOLD_MS     100
#define LATE_MS     1000
#define HTTP_MS     15000

static const char *const phase_names[] = {
    "dial", "ping", "mtu", "targets", "http", "hold", "close", "done"};

static void next(struct probe *p);

static void
tell(struct probe *p, const char *name, uint64_t us)
{
	if (p->ops->step != NULL)
		p->ops->step(p->arg, name, (double)us / 1000);
}

/* ---- the end ---- */

static void
close_session(struct probe *p)
{
	p->phase = PROBE_CLOSE;
	timer_cancel(&p->timer);
	client_ping_stop(&p->ping);
	pptp_client_close(p->client);
}

/* The first failure counts. What lies behind the tunnel does not keep the rest from being tried. */
static void
note(struct probe *p, const char *step, const char *why)
{
	if (p->why != NULL)
		return;
	p->step = step;
	p->why = why;
}

void
probe_fail(struct probe *p, const char *step, const char *why)
{
	note(p, step, why);
	if (p->phase < PROBE_CLOSE && p->client != NULL)
		close_session(p);
}

static void
done_cb(void *arg)
{
	struct probe *p = arg;

	if (p->ops->done != NULL)
		p->ops->done(p->arg);
}

static void
finish(struct probe *p)
{
	p->phase = PROBE_DONE;
	p->end_us = p->now_us();
	timer_cancel(&p->timer);
	client_ping_stop(&p->ping);
	timer_set(&p->done_timer, 0);
}

static void
on_ended(void *arg)
{
	struct probe *p = arg;
	struct pptp_client_state s;

	pptp_client_state(p->client, &s);
	if (p->phase < PROBE_CLOSE) {
		note(p, s.was_up ? phase_names[p->phase] : pptp_step_name(s.step),
		    s.was_up ? "lost" : pptp_why_name(s.why));
		p->lost_us = s.ended_us;
	}
	finish(p);
}

/* ---- phases ---- */

static void
begin_ping(struct probe *p)
{
	client_ping_init(&p->ping, p->loop, p->client, p->now_us, p->target, PING_MS, SMALL);
	client_ping_start(&p->ping);
	timer_set(&p->timer, PINGS * PING_MS);
}

/* Nobody answered. Whose fault is it: ask the server's own end, if that was not who was asked. */
static void
no_answer(struct probe *p)
{
	struct pptp_client_counters n;
	struct pptp_client_state s;

	pptp_client_counters(p->client, &n);
	pptp_client_state(p->client, &s);
	if (n.clear > 0) {
		probe_fail(p, "ping", "clear");
	} else if (n.undecipherable > 0) {
		probe_fail(p, "ping", "decrypt");
	} else if (p->asked_server || p->target == s.server_address) {
		probe_fail(p, "ping", "ping-silent");
	} else {
		p->asked_server = true;
		client_ping_stop(&p->ping);
		p->unanswered = p->ping;
		client_ping_init(
		    &p->ping, p->loop, p->client, p->now_us, s.server_address, PING_MS, SMALL);
		client_ping_start(&p->ping);
		timer_set(&p->timer, PINGS * PING_MS);
	}
}

/* How long an answer is waited for, from how long the small one took. */
static unsigned
patience_ms(const struct probe *p)
{
	uint64_t ms = 100 + p->ping.rtt_min_us / 1000 * 8;

	return ms < LARGE_MIN ? LARGE_MIN : ms > LARGE_MS ? LARGE_MS : (unsigned)ms;
}

static void
try_size(struct probe *p, unsigned size)
{
	unsigned wait_ms = patience_ms(p);

	p->large_size = size;
	client_ping_init(
	    &p->large, p->loop, p->client, p->now_us, p->target, wait_ms, size - HEADERS);
	client_ping_start(&p->large);
	timer_set(&p->timer, wait_ms * LARGE_TRIES);
}

static void
begin_large(struct probe *p)
{
	struct pptp_client_state s;

	pptp_client_state(p->client, &s);
	p->mtu = s.mtu;
	p->passes = SMALL + HEADERS;
	p->fails = s.mtu + 1u;
	try_size(p, s.mtu);
}

static void
large_result(struct probe *p, bool passed)
{
	unsigned middle;

	client_ping_stop(&p->large);
	timer_cancel(&p->timer);
	if (passed)
		p->passes = p->large_size;
	else
		p->fails = p->large_size;
	if (p->passes < LEAST_MTU && p->fails > LEAST_MTU)
		middle = LEAST_MTU;
	else
		middle = (p->passes + p->fails) / 2 & ~3u;
	if (p->passes == p->mtu)
		next(p);
	else if (middle <= p->passes || p->fails <= LEAST_MTU || p->fails - p->passes <= 8)
		probe_fail(p, "ping", "mtu");
	else
		try_size(p, middle);
}

static void
targets_done(void *arg)
{
	struct probe *p = arg;

	if (probe_targets_failed(p->targets, p->text) != NULL)
		note(p, "targets", "target");
	next(p);
}

static void
http_done(void *arg)
{
	struct probe *p = arg;
	const struct probe_http_result *r = probe_http_result(p->http);

	if (r->ok) {
		tell(p, "http", (uint64_t)(r->total_ms * 1000));
	} else if (p->why == NULL) {
		snprintf(p->text, sizeof(p->text), "%s", r->text);
		note(p, "http", r->why);
	}
	next(p);
}

static void
begin_hold(struct probe *p)
{
	unsigned interval_ms = p->o->interval_ms > 0 ? p->o->interval_ms : HOLD_MS;

	client_ping_init(&p->held, p->loop, p->client, p->now_us, p->target, interval_ms, SMALL);
	p->hold_us = p->now_us();
	client_ping_start(&p->held);
	timer_set(&p->timer, p->o->for_ms);
}

/* True: it has begun; false: there is nothing to do in this phase. */
static bool
begin(struct probe *p)
{
	switch (p->phase) {
	case PROBE_PING:
		begin_ping(p);
		return true;
	case PROBE_LARGE:
		if (!p->o->skip_large)
			begin_large(p);
		return !p->o->skip_large;
	case PROBE_TARGETS:
		if (p->o->n_targets > 0)
			p->targets = probe_targets_new(p->loop, p->client, p->now_us, p->o->targets,
			    p->o->n_targets, targets_done, p);
		return p->targets != NULL;
	case PROBE_HTTP:
		if (p->o->url != NULL)
			p->http =
			    probe_http_new(p->loop, p->client, p->o->url, HTTP_MS, http_done, p);
		if (p->o->url != NULL && p->http == NULL) {
			snprintf(p->text, sizeof(p->text), "%s", strerror(errno));
			note(p, "http", "machine");
		}
		return p->http != NULL;
	case PROBE_HOLD:
		if (p->o->for_ms > 0)
			begin_hold(p);
		return p->o->for_ms > 0;
	default:
		close_session(p);
		return true;
	}
}

static void
next(struct probe *p)
{
	do
		p->phase++;
	while (p->phase < PROBE_CLOSE && !begin(p));
	if (p->phase == PROBE_CLOSE)
		close_session(p);
}

static void
timer_cb(void *arg)
{
	struct probe *p = arg;

	switch (p->phase) {
	case PROBE_PING:
		no_answer(p);
		break;
	case PROBE_LARGE:
		large_result(p, false);
		break;
	case PROBE_HOLD:
		if (!timer_pending(&p->held.timer)) {
			next(p); /* late answers have had their time */
			break;
		}
		client_ping_stop(&p->held);
		timer_set(&p->timer, LATE_MS);
		break;
	default:
		break;
	}
}

/* ---- from the client ---- */

static void
on_step(void *arg, enum pptp_step step)
{
	struct probe *p = arg;
	struct pptp_client_state s;
	uint64_t before;

	pptp_client_state(p->client, &s);
	before = step == PPTP_STEP_TCP ? s.began_us : s.done_us[step - 1];
	tell(p, pptp_step_name(step),
	    s.done_us[step] > before && before != 0 ? s.done_us[step] - before : 0);
}

static void
on_up(void *arg)
{
	struct probe *p = arg;
	struct pptp_client_state s;

	pptp_client_state(p->client, &s);
	p->target = p->o->ping != 0 ? p->o->ping : s.server_address;
	if (p->phase == PROBE_DIAL)
		next(p);
}

static void
on_ping(struct probe *p)
{
	if (p->asked_server) { /* the tunnel works, what lies behind it does not */
		probe_fail(p, "ping", "no-route-behind");
		return;
	}
	if (p->ping.received == 1)
		tell(p, "ping", p->ping.rtt_min_us);
	client_ping_stop(&p->ping);
	timer_cancel(&p->timer);
	next(p);
}

static void
on_packet(void *arg, const uint8_t *packet, size_t len)
{
	struct probe *p = arg;

	if (p->phase >= PROBE_PING && client_ping_input(&p->ping, packet, len)) {
		if (p->phase == PROBE_PING && p->ping.received > 0)
			on_ping(p);
	} else if (p->phase == PROBE_LARGE && client_ping_input(&p->large, packet, len)) {
		if (p->large.received > 0)
			large_result(p, true);
	} else if (p->phase == PROBE_TARGETS && p->targets != NULL) {
		probe_targets_input(p->targets, packet, len);
	} else if (p->phase == PROBE_HTTP && p->http != NULL) {
		probe_http_input(p->http, packet, len);
	} else if (p->phase == PROBE_HOLD) {
		(void)client_ping_input(&p->held, packet, len);
	}
}

const struct pptp_client_ops probe_client_ops = {
    .step = on_step,
    .up = on_up,
    .packet = on_packet,
    .ended = on_ended,
};

/* ---- the object ---- */

struct probe *
probe_new(struct loop *l, const struct probe_options *o, const struct probe_ops *ops, void *arg)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = l;
	p->o = o;
	p->ops = ops;
	p->arg = arg;
	p->now_us = client_io_now_us;
	timer_init(&p->timer, l, timer_cb, p);
	timer_init(&p->done_timer, l, done_cb, p);
	return p;
}

void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	timer_cancel(&p->timer);
	timer_cancel(&p->done_timer);
	timer_cancel(&p->ping.timer);
	timer_cancel(&p->large.timer);
	timer_cancel(&p->held.timer);
	probe_targets_free(p->targets);
	probe_http_free(p->http);
	client_io_free(p->io);
	free(p);
}

void
probe_start_on(struct probe *p, struct pptp_client *c, uint64_t (*now_us)(void))
{
	p->client = c;
	p->now_us = now_us;
	p->begin_us = now_us();
	pptp_client_start(c);
}

int
probe_start(struct probe *p, int gre_fd)
{
	p->io = client_io_new(p->loop, &p->o->client, gre_fd, &probe_client_ops, p);
	if (p->io == NULL)
		return -1;
	probe_start_on(p, client_io_client(p->io), client_io_now_us);
	return 0;
}

void
probe_stop(struct probe *p)
{
	if (p->client == NULL || p->phase >= PROBE_DONE)
		return;
	if (p->phase < PROBE_HOLD)
		probe_fail(p, phase_names[p->phase], "local");
	else
		close_session(p);
}

bool
probe_ok(const struct probe *p)
{
	return p->phase == PROBE_DONE && p->why == NULL;
}
