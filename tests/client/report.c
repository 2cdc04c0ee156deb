/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report. Numbers without a unit in their name are counts.
 */
#include "tests/client/report.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/client/attack.h"
#include "tests/client/control.h"
#include "tests/client/figures.h"
#include "tests/client/session.h"

#define MPPE_128_STATELESS 0x01000040u

static json_t *
number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static void
put(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, number(v));
}

static void
put_ip(json_t *o, const char *name, uint32_t ip)
{
	struct in_addr a = {htonl(ip)};
	char text[INET_ADDRSTRLEN];

	json_object_set_new(o, name,
	    ip != 0 ? json_string(inet_ntop(AF_INET, &a, text, sizeof(text))) : json_null());
}

static void
put_dns(json_t *o, const struct session *s)
{
	json_t *list = json_array(), *holder = json_object();

	for (unsigned i = 0; i < 2; i++) {
		if (s->dns[i] == 0)
			continue;
		put_ip(holder, "ip", s->dns[i]);
		json_array_append(list, json_object_get(holder, "ip"));
	}
	json_decref(holder);
	json_object_set_new(o, "dns", list);
}

json_t *
report_quantiles(struct samples *s, double per)
{
	if (s->n == 0)
		return json_null();
	return json_pack("{s:I,s:f,s:f,s:f,s:f}", "n", (json_int_t)s->seen, "min",
	    samples_quantile(s, 0) / per, "median", samples_quantile(s, 0.5) / per, "p99",
	    samples_quantile(s, 0.99) / per, "max", samples_quantile(s, 1) / per);
}

static void
add_stream(struct stream *sum, const struct stream *st)
{
	sum->sent += st->sent;
	sum->received += st->received;
	sum->duplicates += st->duplicates;
	sum->reordered += st->reordered;
	sum->foreign += st->foreign;
	sum->down += st->down;
}

static json_t *
stream(const struct stream *st)
{
	json_t *o = json_object();

	put(o, "sent", st->sent);
	put(o, "received", st->received);
	put(o, "lost", stream_lost(st));
	put(o, "duplicates", st->duplicates);
	put(o, "reordered", st->reordered);
	put(o, "foreign", st->foreign);
	put(o, "sent_while_down", st->down);
	return o;
}

static bool
encrypted(const struct session *s)
{
	return s->mppe_bits == MPPE_128_STATELESS;
}

/* An attack on its control connection must end it: no fault of the server's. */
static bool
is_victim(const struct client *c, const struct session *s)
{
	return attack_on_control(c->o->attack) && s->control == &c->controls[0];
}

static json_t *
one_session(const struct session *s)
{
	json_t *o = json_object(), *steps = json_object();
	uint64_t before = s->began_us;

	put(o, "number", s->number);
	json_object_set_new(o, "user", json_string(s->user));
	json_object_set_new(o, "connected", json_boolean(s->ever_up && !s->lost));
	json_object_set_new(o, "lost", json_boolean(s->lost));
	json_object_set_new(
	    o, "reason", s->why != REASON_NONE ? json_string(reason_name(s->why)) : json_null());
	json_object_set_new(o, "detail", json_string(s->detail));
	put_ip(o, "source", s->control->local_ip);
	put_ip(o, "address", s->address);
	put_dns(o, s);
	put(o, "mtu", s->mtu);
	put(o, "call_id", s->call_id);
	put(o, "peer_call_id", s->peer_call_id);
	put(o, "redials", s->redials);
	put(o, "chap_error", s->chap_error);
	json_object_set_new(o, "verified", json_boolean(s->verified));
	json_object_set_new(o, "encrypted", json_boolean(encrypted(s)));
	json_object_set_new(o, "ping", stream(&s->traffic.ping));
	json_object_set_new(o, "udp", stream(&s->traffic.udp));
	json_object_set_new(o, "gap_ms", json_real((double)stream_gap_us(&s->traffic.ping) / 1000));
	json_object_set_new(
	    o, "udp_gap_ms", json_real((double)stream_gap_us(&s->traffic.udp) / 1000));
	for (enum step i = STEP_TCP; i <= STEP_IPCP; i++) {
		if (s->marks[i] < before)
			continue;
		json_object_set_new(
		    steps, step_name(i), json_real((double)(s->marks[i] - before) / 1000));
		before = s->marks[i];
	}
	json_object_set_new(o, "steps_ms", steps);
	return o;
}

static json_t *
reasons(const struct client *c)
{
	json_t *o = json_object();
	unsigned n[REASON_MAX] = {0};

	for (unsigned i = 0; i < c->n_sessions; i++)
		if (!c->sessions[i].ever_up || c->sessions[i].lost)
			n[c->sessions[i].why]++;
	for (enum reason r = REASON_NONE; r < REASON_MAX; r++)
		if (n[r] > 0)
			put(o, reason_name(r), n[r]);
	return o;
}

static json_t *
traffic(struct client *c)
{
	json_t *o = json_object();
	struct stream ping = {0}, udp = {0};
	struct samples gaps = {0};
	uint64_t damaged = 0;

	for (unsigned i = 0; i < c->n_sessions; i++) {
		const struct traffic *t = &c->sessions[i].traffic;

		add_stream(&ping, &t->ping);
		add_stream(&udp, &t->udp);
		damaged += t->damaged;
		if (t->ping.sent > 0)
			samples_add(&gaps, stream_gap_us(&t->ping));
		if (t->udp.sent > 0)
			samples_add(&gaps, stream_gap_us(&t->udp));
	}
	if (c->o->ping_ip != 0)
		json_object_set_new(o, "ping", stream(&ping));
	if (c->o->udp_ip != 0)
		json_object_set_new(o, "udp", stream(&udp));
	put(o, "damaged", damaged);
	json_object_set_new(o, "rtt_ms", report_quantiles(&c->rtt, 1000));
	json_object_set_new(o, "gap_ms", report_quantiles(&gaps, 1000));
	samples_fini(&gaps);
	return o;
}

static json_t *
gre(const struct client *c)
{
	json_t *o = json_object();
	struct gre_rx_stats sum = {0}, one;
	uint64_t bad = c->gre.bad_header, acks_sent = 0, acks_received = 0;

	for (unsigned i = 0; i < c->n_sessions; i++) {
		const struct session *s = &c->sessions[i];

		session_gre_stats(s, &one);
		sum.delivered += one.delivered;
		sum.duplicate += one.duplicate;
		sum.late += one.late + one.suspect;
		sum.reordered += one.reordered;
		sum.lost += one.lost;
		bad += s->n.bad_header;
		acks_sent += s->n.acks_sent;
		acks_received += s->n.acks_received;
	}
	put(o, "sent", c->gre.sent);
	put(o, "received", c->gre.received);
	put(o, "send_errors", c->gre.send_errors);
	put(o, "bad_header", bad);
	put(o, "unknown_call", c->gre.unknown);
	put(o, "delivered", sum.delivered);
	put(o, "duplicates", sum.duplicate);
	put(o, "late", sum.late);
	put(o, "reordered", sum.reordered);
	put(o, "lost", sum.lost);
	put(o, "acks_sent", acks_sent);
	put(o, "acks_received", acks_received);
	return o;
}

static json_t *
ppp(const struct client *c)
{
	json_t *o = json_object();
	uint64_t n[10] = {0};
	static const char *const names[10] = {"encrypted_sent", "encrypted_received", "mppe_late",
	    "mppe_bad", "insane", "keys_skipped", "clear_ip", "reset_acks", "protocol_rejects",
	    "halted"};

	for (unsigned i = 0; i < c->n_sessions; i++) {
		const struct session *s = &c->sessions[i];
		uint64_t const one[10] = {s->n.encrypted_sent, s->n.encrypted_received,
		    s->n.mppe_late, s->n.mppe_bad, s->n.insane, s->n.skipped, s->n.clear_ip,
		    s->n.reset_acks, s->n.protocol_rejects, s->n.halted};

		for (unsigned k = 0; k < 10; k++)
			n[k] += one[k];
	}
	for (unsigned k = 0; k < 10; k++)
		put(o, names[k], n[k]);
	return o;
}

/* How many sessions that were up were lost, also those that came back. */
static json_t *
losses(const struct client *c)
{
	json_t *o = json_object();
	unsigned n[REASON_MAX] = {0};

	for (unsigned i = 0; i < c->n_sessions; i++)
		if (c->sessions[i].losses > 0)
			n[c->sessions[i].lost_why]++;
	for (enum reason r = REASON_NONE; r < REASON_MAX; r++)
		if (n[r] > 0)
			put(o, reason_name(r), n[r]);
	return o;
}

static json_t *
control(const struct client *c)
{
	json_t *o = json_object();
	uint64_t requests = 0, strange = 0;

	for (unsigned i = 0; i < c->n_controls; i++) {
		requests += c->controls[i].echo_requests;
		strange += c->controls[i].echo_strange;
	}
	put(o, "echo_requests", requests);
	put(o, "echo_strange", strange);
	put(o, "gre_unreachable", c->unreachables[0]);
	put(o, "tcp_unreachable", c->unreachables[1]);
	put(o, "other_unreachable", c->unreachables[2]);
	return o;
}

static json_t *
fault_counts(const struct faults *f)
{
	const struct fault_counts *n = &f->counts;

	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "reordered", (json_int_t)n->reordered,
	    "duplicated", (json_int_t)n->duplicated, "lost", (json_int_t)n->lost,
	    "corrupted_instead", (json_int_t)n->corrupted_instead, "corrupted_before",
	    (json_int_t)n->corrupted_before, "corrupted_after", (json_int_t)n->corrupted_after);
}

static bool
attack_survived(const struct client *c)
{
	const struct session *s = &c->sessions[0];

	if (c->attack == NULL || !c->attack->done)
		return false;
	if (attack_on_control(c->o->attack))
		return s->lost || s->redials > 0;
	return c->attack->sent == ATTACK_PACKETS && !s->lost && s->redials == 0 &&
	       s->traffic.ping.received + s->traffic.udp.received > c->attack->answers_at_end;
}

static json_t *
attack(const struct client *c)
{
	const struct session *s = &c->sessions[0];

	if (c->attack == NULL)
		return json_null();
	return json_pack("{s:s,s:i,s:b,s:I,s:I,s:I}", "kind", attack_name(c->o->attack), "sent",
	    (int)c->attack->sent, "as_wanted", attack_survived(c), "answers_before",
	    (json_int_t)c->attack->answers_before, "answers_during",
	    (json_int_t)(c->attack->answers_at_end - c->attack->answers_before), "answers_after",
	    (json_int_t)(s->traffic.ping.received + s->traffic.udp.received -
			 c->attack->answers_at_end));
}

static json_t *
setup(struct client *c)
{
	json_t *o = json_object();

	for (enum step i = STEP_TCP; i < STEPS; i++)
		json_object_set_new(o, step_name(i), report_quantiles(&c->steps[i], 1000));
	return o;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned
distinct_addresses(const struct client *c)
{
	uint32_t *all = calloc(c->n_sessions, sizeof(*all));
	unsigned n = 0;

	if (all == NULL)
		return 0;
	for (unsigned i = 0; i < c->n_sessions; i++)
		all[i] = c->sessions[i].address;
	qsort(all, c->n_sessions, sizeof(*all), compare);
	for (unsigned i = 0; i < c->n_sessions; i++)
		n += all[i] != 0 && (i == 0 || all[i] != all[i - 1]);
	free(all);
	return n;
}

struct sums {
	unsigned connected, lost, verified, encrypted, redials;
	uint64_t lost_packets;
	bool all_well;
};

static struct sums
add_up(const struct client *c)
{
	struct sums n = {.all_well = true};

	for (unsigned i = 0; i < c->n_sessions; i++) {
		const struct session *s = &c->sessions[i];

		n.connected += s->ever_up;
		n.lost += s->lost;
		n.verified += s->verified;
		n.encrypted += encrypted(s);
		n.redials += s->redials;
		if (is_victim(c, s))
			continue;
		n.lost_packets += stream_lost(&s->traffic.ping) + stream_lost(&s->traffic.udp);
		n.all_well = n.all_well && s->ever_up && !s->lost && s->verified && encrypted(s);
	}
	return n;
}

static void
put_first(json_t *o, const struct session *s)
{
	char bits[16];

	put_ip(o, "address", s->address);
	put_dns(o, s);
	put(o, "mtu", s->mtu);
	snprintf(bits, sizeof(bits), "%08x", s->mppe_bits);
	json_object_set_new(o, "mppe", json_string(bits));
	json_object_set_new(
	    o, "reason", s->why != REASON_NONE ? json_string(reason_name(s->why)) : json_null());
	json_object_set_new(o, "detail", json_string(s->detail));
	put(o, "chap_error", s->chap_error);
}

bool
report_print(struct client *c)
{
	struct sums n = add_up(c);
	double seconds = (double)(c->last_up_us - c->start_us) / 1e6;
	bool ok = n.all_well && n.lost_packets <= c->o->max_loss &&
		  (c->o->attack == ATTACK_NONE || attack_survived(c));
	json_t *o = json_object(), *list;

	json_object_set_new(o, "ok", json_boolean(ok));
	put(o, "asked", c->n_sessions);
	put(o, "connected", n.connected);
	put(o, "failed", c->n_sessions - n.connected);
	put(o, "lost", n.lost);
	json_object_set_new(o, "reasons", reasons(c));
	put(o, "verified", n.verified);
	put(o, "encrypted", n.encrypted);
	put(o, "redials", n.redials);
	json_object_set_new(o, "redial_ms", report_quantiles(&c->redial, 1));
	json_object_set_new(o, "setup_ms", setup(c));
	json_object_set_new(o, "setups_per_second",
	    json_real(c->connected > 0 && seconds > 0 ? c->connected / seconds : 0));
	put(o, "distinct_addresses", distinct_addresses(c));
	put_first(o, &c->sessions[0]);
	json_object_set_new(o, "traffic", traffic(c));
	json_object_set_new(o, "gre", gre(c));
	json_object_set_new(o, "ppp", ppp(c));
	json_object_set_new(o, "losses", losses(c));
	json_object_set_new(o, "strict", c->o->strict ? figures_strict(c) : json_null());
	json_object_set_new(o, "control", control(c));
	json_object_set_new(o, "faults", fault_counts(&c->faults));
	json_object_set_new(o, "faults_receive", fault_counts(&c->faults_receive));
	json_object_set_new(o, "attack", attack(c));
	if (c->o->per_session) {
		list = json_array();
		for (unsigned i = 0; i < c->n_sessions; i++)
			json_array_append_new(list, one_session(&c->sessions[i]));
		json_object_set_new(o, "sessions", list);
	}
	json_dumpf(o, stdout,
	    (c->o->commands ? JSON_COMPACT : JSON_INDENT(1)) | JSON_PRESERVE_ORDER |
		JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(o);
	return ok;
}
