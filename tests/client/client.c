/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The course of a run: dial all, settle, attack if asked, hold, stop the streams, close the links.
 */
#include "tests/client/client.h"

#include <time.h>

#include "common/log.h"
#include "tests/client/attack.h"
#include "tests/client/commands.h"
#include "tests/client/control.h"
#include "tests/client/session.h"

#define CLOSE_MS        4000
#define AFTER_ATTACK_MS 1000 /* regular answers must still come */

static const char *const reason_names[REASON_MAX] = {
    [REASON_NONE] = "none",
    [REASON_TCP_REFUSED] = "tcp-refused",
    [REASON_TCP_TIMEOUT] = "tcp-timeout",
    [REASON_TCP_ERROR] = "tcp-error",
    [REASON_SCCRP_TIMEOUT] = "sccrp-timeout",
    [REASON_SCCRP_RESULT] = "sccrp-result",
    [REASON_OCRP_TIMEOUT] = "ocrp-timeout",
    [REASON_OCRP_RESULT] = "ocrp-result",
    [REASON_GRE_SILENT] = "gre-silent",
    [REASON_LCP] = "lcp",
    [REASON_AUTH_REFUSED] = "auth-refused",
    [REASON_AUTH_FAILED] = "auth-failed",
    [REASON_AUTH_TIMEOUT] = "auth-timeout",
    [REASON_SERVER_FALSE] = "server-false",
    [REASON_MPPE_REFUSED] = "mppe-refused",
    [REASON_NO_ADDRESS] = "no-address",
    [REASON_IPCP] = "ipcp",
    [REASON_CLOSED_BY_PEER] = "closed-by-peer",
    [REASON_RESET] = "reset",
    [REASON_CALL_CLEARED] = "call-cleared",
    [REASON_MALFORMED] = "malformed",
    [REASON_ECHO] = "echo",
    [REASON_UNREACHABLE] = "unreachable",
    [REASON_TERMINATED] = "terminated",
    [REASON_KEYS] = "keys-too-far",
    [REASON_DEAF] = "deaf",
    [REASON_SILENT] = "silent",
    [REASON_LOCAL] = "local",
};

const char *
reason_name(enum reason r)
{
	return reason_names[r];
}

const char *
step_name(enum step s)
{
	static const char *const names[STEPS] = {
	    "tcp", "start", "call", "lcp", "auth", "ccp", "ipcp", "total"};

	return names[s];
}

uint64_t
client_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
client_dial_more(struct client *c)
{
	if (c->dialling)
		return;
	c->dialling = true;
	while (!c->ending && c->in_setup < c->o->parallel && c->next_control < c->n_controls) {
		c->in_setup++;
		control_dial(&c->controls[c->next_control++]);
	}
	c->dialling = false;
}

static void
close_links(struct client *c)
{
	c->stopping = c->ending = true;
	timer_set(&c->end_timer, CLOSE_MS);
	for (unsigned i = 0; i < c->n_sessions; i++)
		session_close(&c->sessions[i]);
	for (unsigned i = 0; i < c->n_controls; i++)
		control_release(&c->controls[i]);
	client_check_end(c);
}

void
client_hurry(struct client *c)
{
	if (!c->ending)
		close_links(c);
	else
		loop_stop(c->loop);
}

static void
settled(struct client *c)
{
	c->settled_us = client_now_us();
	log_info("all settled connected=%u failed=%u ms=%llu", c->connected,
	    c->n_sessions - c->connected, (unsigned long long)(c->settled_us - c->start_us) / 1000);
	commands_ready(c->commands);
	if (c->connected == 0)
		timer_set(&c->end_timer, 0);
	else if (c->o->attack == ATTACK_NONE || (c->attack = attack_start(c)) == NULL)
		timer_set(&c->end_timer, (uint64_t)c->o->hold_s * 1000);
}

/* The hold is over: endless streams end. */
static void
end_timer_cb(void *arg)
{
	struct client *c = arg;

	if (c->ending) {
		log_info("links not closed in time connections=%u", c->alive);
		loop_stop(c->loop);
		return;
	}
	c->hold_over = true;
	if (c->o->count == 0) {
		c->stopping = true;
		for (unsigned i = 0; i < c->n_sessions; i++)
			traffic_stop(&c->sessions[i].traffic);
	}
	client_check_end(c);
}

void
client_finish(struct client *c)
{
	if (c->settled_us == 0)
		client_hurry(c);
	else if (!c->hold_over && !c->ending)
		timer_set(&c->end_timer, 0);
}

void
client_check_end(struct client *c)
{
	if (c->ending) {
		if (c->alive == 0)
			loop_stop(c->loop);
		return;
	}
	if (c->settled < c->n_sessions)
		return;
	if (c->settled_us == 0)
		settled(c);
	if (c->attack != NULL && c->attack->done && !c->hold_over && !timer_pending(&c->end_timer))
		timer_set(&c->end_timer, AFTER_ATTACK_MS + (uint64_t)c->o->hold_s * 1000);
	if (!c->hold_over)
		return;
	for (unsigned i = 0; i < c->n_sessions; i++)
		if (!c->sessions[i].traffic.done)
			return;
	close_links(c);
}

void
client_start(struct client *c)
{
	timer_init(&c->end_timer, c->loop, end_timer_cb, c);
	c->start_us = client_now_us();
	client_dial_more(c);
}
