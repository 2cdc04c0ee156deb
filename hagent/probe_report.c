/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a probe found: as JSON, and that as lines for people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/probe_internal.h"
#include "hagent/probe_words.h"

#define MPPE_128 0x01000040u

static void
put(json_t *o, const char *name, const char *value)
{
	json_object_set_new(o, name, json_string(value));
}

/* Milliseconds with three digits behind the point. */
static json_t *
ms(uint64_t us)
{
	return json_real((double)us / 1000);
}

/* ---- the words ---- */

static void
describe_from(char out[static 64], const struct pptp_client_state *s)
{
	char ip[16];

	out[0] = '\0';
	if (s->icmp_from != 0)
		snprintf(out, 64, " (says %s)", probe_address(s->icmp_from, ip));
}

/* The detail as a person reads it: a result code with its meaning. */
static void
describe_detail(char out[static 256], const struct probe *p, const struct pptp_client_state *s)
{
	unsigned result = 0;
	const char *name = "";

	if (sscanf(s->detail, "result %u", &result) == 1)
		name = probe_result_name(p->why, result);
	if (p->text[0] != '\0')
		snprintf(out, 256, "%s", p->text);
	else
		snprintf(
		    out, 256, "%s%s%s%s", s->detail, *name ? " (" : "", name, *name ? ")" : "");
}

static void
put_words(const struct probe *p, json_t *o, const struct pptp_client_state *s)
{
	char text[PROBE_TEXT_MAX], advice[PROBE_TEXT_MAX], server[16], target[16], from[64];
	char detail[256] = "";
	const char *why = p->why != NULL ? p->why : p->phase == PROBE_DONE ? "ok" : "running";
	struct probe_facts f = {.server = probe_address(p->o->client.server, server),
	    .user = p->o->client.user,
	    .from = from,
	    .target = probe_address(p->target, target),
	    .step = p->step,
	    .detail = detail,
	    .port = p->o->client.port != 0 ? p->o->client.port : 1723,
	    .seconds =
		(p->o->client.step_timeout_ms != 0 ? p->o->client.step_timeout_ms : 10000) / 1000,
	    .mtu = p->mtu,
	    .works_mtu = p->passes};

	if (p->why != NULL)
		describe_detail(detail, p, s);
	describe_from(from, s);
	if (strcmp(why, "lost") == 0)
		f.seconds = (unsigned)((p->lost_us - s->done_us[PPTP_STEP_IPCP]) / 1000000);
	if (strncmp(why, "http", 4) == 0)
		f.target = p->o->url->text;
	probe_words(why, &f, text, advice);
	put(o, "step", p->step != NULL ? p->step : p->phase == PROBE_DONE ? "done" : "running");
	put(o, "why", why);
	put(o, "text", text);
	put(o, "advice", advice);
	if (*detail)
		put(o, "detail", detail);
	if (p->why != NULL && strcmp(p->why, "lost") == 0)
		put(o, "lost_why", pptp_why_name(s->why));
}

/* ---- the figures ---- */

static json_t *
times(const struct probe *p, const struct pptp_client_state *s)
{
	json_t *o = json_object();
	uint64_t before = s->began_us;

	for (enum pptp_step i = 0; i < PPTP_STEPS; i++) {
		if (s->done_us[i] == 0)
			continue;
		json_object_set_new(
		    o, pptp_step_name(i), ms(s->done_us[i] > before ? s->done_us[i] - before : 0));
		before = s->done_us[i];
	}
	if (s->done_us[PPTP_STEP_IPCP] != 0)
		json_object_set_new(o, "up", ms(s->done_us[PPTP_STEP_IPCP] - s->began_us));
	if (p->ping.received > 0 && !p->asked_server)
		json_object_set_new(o, "ping", ms(p->ping.rtt_min_us));
	if (p->http != NULL && probe_http_result(p->http)->ok)
		json_object_set_new(o, "http", json_real(probe_http_result(p->http)->total_ms));
	json_object_set_new(
	    o, "total", ms((p->end_us != 0 ? p->end_us : p->now_us()) - p->begin_us));
	return o;
}

static void
put_session(json_t *o, const struct pptp_client_state *s)
{
	char ip[16];
	json_t *dns;

	if (s->local_ip != 0)
		put(o, "from", probe_address(s->local_ip, ip));
	if (*s->host || *s->vendor) {
		put(o, "host", s->host);
		put(o, "vendor", s->vendor);
	}
	if (s->done_us[PPTP_STEP_AUTH] != 0)
		put(o, "auth", "mschap-v2");
	if (!s->was_up)
		return;
	put(o, "address", probe_address(s->address, ip));
	put(o, "server_address", probe_address(s->server_address, ip));
	put(o, "mppe", s->mppe_bits == MPPE_128 ? "128-bit stateless" : "none");
	json_object_set_new(o, "mtu", json_integer(s->mtu));
	dns = json_array();
	for (size_t i = 0; i < 2; i++)
		if (s->dns[i] != 0)
			json_array_append_new(dns, json_string(probe_address(s->dns[i], ip)));
	json_object_set_new(o, "dns", dns);
}

static json_t *
ping_report(const struct client_ping *g)
{
	char ip[16];
	json_t *o = json_pack("{s:s,s:I,s:I,s:I}", "target", probe_address(g->target, ip), "sent",
	    (json_int_t)g->sent, "received", (json_int_t)g->received, "lost",
	    (json_int_t)(g->sent - g->received));

	if (g->received == 0)
		return o;
	json_object_set_new(o, "rtt_ms_min", ms(g->rtt_min_us));
	json_object_set_new(o, "rtt_ms_mean", ms(g->rtt_sum_us / g->received));
	json_object_set_new(o, "rtt_ms_max", ms(g->rtt_max_us));
	return o;
}

/* The longest time between two answers; the last one counts up to the end of the hold. */
static json_t *
held_report(const struct probe *p)
{
	const struct client_ping *g = &p->held;
	json_t *o = ping_report(g);
	uint64_t now_us = p->lost_us != 0 ? p->lost_us : p->end_us != 0 ? p->end_us : p->now_us();
	uint64_t gap_us = g->gap_us, last_us = g->last_us != 0 ? g->last_us : p->hold_us;
	uint64_t end_us = p->hold_us + (uint64_t)p->o->for_ms * 1000;

	end_us = end_us < now_us ? end_us : now_us;
	if (end_us > last_us && end_us - last_us > gap_us)
		gap_us = end_us - last_us;
	json_object_set_new(o, "for_ms", json_integer((json_int_t)((end_us - p->hold_us) / 1000)));
	json_object_set_new(o, "interval_ms", json_integer(g->interval_ms));
	json_object_set_new(o, "gap_ms_max", ms(gap_us));
	if (g->gap_end_us > p->hold_us)
		json_object_set_new(o, "gap_at_ms",
		    json_integer((json_int_t)((g->gap_end_us - g->gap_us - p->hold_us) / 1000)));
	json_object_set_new(o, "lost_session", json_boolean(p->lost_us != 0));
	return o;
}

static json_t *
http_report(const struct probe *p)
{
	const struct probe_http_result *r = probe_http_result(p->http);

	return json_pack("{s:s,s:b,s:i,s:I,s:{s:f,s:f,s:f,s:f}}", "url", p->o->url->text, "ok",
	    r->ok, "status", (int)r->status, "bytes", (json_int_t)r->bytes, "ms", "connect",
	    r->connect_ms, "tls", r->tls_ms, "first_byte", r->first_byte_ms, "total", r->total_ms);
}

static json_t *
gre_report(const struct probe *p)
{
	struct pptp_client_counters n;

	pptp_client_counters(p->client, &n);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sent", (json_int_t)n.gre_sent,
	    "received", (json_int_t)n.gre_received, "strange", (json_int_t)n.gre_strange, "lost",
	    (json_int_t)n.lost, "reordered", (json_int_t)n.reordered, "duplicate",
	    (json_int_t)n.duplicate, "undecipherable", (json_int_t)n.undecipherable, "clear",
	    (json_int_t)n.clear, "too_big", (json_int_t)n.too_big);
}

void
probe_say(const struct probe *p, char out[static 80])
{
	static const char *const words[] = {[PROBE_PING] = "ping",
	    [PROBE_LARGE] = "pings as large as the tunnel",
	    [PROBE_TARGETS] = "servers behind the tunnel",
	    [PROBE_HTTP] = "page",
	    [PROBE_CLOSE] = "goodbye"};
	struct pptp_client_state s = {.step = PPTP_STEP_TCP};
	const struct client_ping *g = &p->held;

	if (p->client != NULL)
		pptp_client_state(p->client, &s);
	if (p->phase == PROBE_HOLD)
		snprintf(out, 80, "held for %u of %u s, %llu pings, %llu lost",
		    (unsigned)((p->now_us() - p->hold_us) / 1000000), p->o->for_ms / 1000,
		    (unsigned long long)g->sent, (unsigned long long)(g->sent - g->received));
	else
		snprintf(out, 80, "%s",
		    p->phase == PROBE_DIAL || p->phase == PROBE_DONE ? pptp_step_name(s.step)
								     : words[p->phase]);
}

json_t *
probe_report(const struct probe *p)
{
	json_t *o = json_object();
	struct pptp_client_state s = {.detail = "", .host = "", .vendor = ""};
	char ip[16];

	if (p->client != NULL)
		pptp_client_state(p->client, &s);
	json_object_set_new(o, "ok", json_boolean(probe_ok(p)));
	put(o, "server", probe_address(p->o->client.server, ip));
	put(o, "user", p->o->client.user);
	put_words(p, o, &s);
	json_object_set_new(o, "ms", times(p, &s));
	put_session(o, &s);
	if (p->ping.sent > 0)
		json_object_set_new(
		    o, "ping", ping_report(p->asked_server ? &p->unanswered : &p->ping));
	if (p->passes > 0)
		json_object_set_new(o, "largest", json_integer(p->passes));
	if (p->targets != NULL)
		json_object_set_new(o, "targets", probe_targets_report(p->targets));
	if (p->http != NULL)
		json_object_set_new(o, "http", http_report(p));
	if (p->held.sent > 0)
		json_object_set_new(o, "held", held_report(p));
	if (p->client != NULL)
		json_object_set_new(o, "gre", gre_report(p));
	return o;
}
