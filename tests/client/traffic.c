/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Traffic through the tunnel.
 */
#include "tests/client/traffic.h"

#include "tests/client/session.h"

#define GRACE_MS   1500
#define UDP_SOURCE 20000
#define BURST_MAX  256 /* packets a turn: the sender catches up, but not all at once */
#define PACKET_MAX 1500

static const struct options *
options(const struct traffic *t)
{
	return t->session->client->o;
}

bool
traffic_wanted(const struct traffic *t)
{
	return options(t)->ping_ip != 0 || options(t)->udp_ip != 0;
}

static void
finish(struct traffic *t)
{
	timer_cancel(&t->timer);
	timer_cancel(&t->grace);
	if (t->done)
		return;
	t->stopped = t->done = true;
	client_check_end(t->session->client);
}

static bool
all_answered(const struct traffic *t)
{
	return stream_lost(&t->ping) == 0 && stream_lost(&t->udp) == 0;
}

void
traffic_stop(struct traffic *t)
{
	if (t->stopped)
		return;
	t->stopped = true;
	timer_cancel(&t->timer);
	if (!t->started || all_answered(t))
		finish(t);
	else
		timer_set(&t->grace, GRACE_MS);
}

static void
grace_cb(void *arg)
{
	finish(arg);
}

static size_t
payload_of(const struct traffic *t)
{
	size_t most = t->session->mtu > PACKET_HEADERS ? t->session->mtu - PACKET_HEADERS : 0;

	return options(t)->size < most ? options(t)->size : most;
}

static void
fill(const struct traffic *t, uint8_t protocol, struct packet *p)
{
	const struct options *o = options(t);
	unsigned number = t->session->number;

	*p = (struct packet){.src = t->session->address, .protocol = protocol};
	p->dst = protocol == PACKET_ICMP ? o->ping_ip : o->udp_ip;
	p->icmp_type = 8;
	p->id = (uint16_t)number;
	p->sport = (uint16_t)(UDP_SOURCE + number % 40000);
	p->dport = o->udp_port;
	p->probe.session = number;
	p->probe.sent_us = client_now_us();
}

static void
send_one(struct traffic *t, struct stream *st, uint8_t protocol)
{
	uint8_t bytes[PACKET_MAX];
	struct packet p;
	size_t len;

	fill(t, protocol, &p);
	p.probe.seq = stream_send(st, p.probe.sent_us);
	len = packet_build(&p, payload_of(t), bytes, sizeof(bytes));
	if (len == 0 || !session_send_ip(t->session, bytes, len))
		st->down++;
}

size_t
traffic_imitate(struct traffic *t, uint32_t source, uint8_t *out, size_t size)
{
	struct packet p;

	fill(t, PACKET_ICMP, &p);
	if (p.dst == 0)
		p.dst = options(t)->udp_ip;
	p.src = source;
	p.probe.seq = UINT64_MAX; /* its answer, if there should be one, is nobody's */
	return packet_build(&p, payload_of(t), out, size);
}

/* Until packet number `sent` is due, rounded up, so that a timer never comes a moment early. */
static uint64_t
wait_ms(const struct traffic *t, uint64_t sent)
{
	uint64_t due_us = t->began_us + (uint64_t)((double)sent * 1e6 / options(t)->rate);
	uint64_t now_us = client_now_us();

	return due_us > now_us ? (due_us - now_us + 999) / 1000 : 1;
}

/* How late packet number `sent` goes out. */
static void
note_late(const struct traffic *t, uint64_t sent)
{
	struct client *c = t->session->client;
	uint64_t due_us = t->began_us + (uint64_t)((double)sent * 1e6 / options(t)->rate);
	uint64_t now_us = client_now_us();

	if (now_us > due_us && now_us - due_us > c->window.send_late_us)
		c->window.send_late_us = now_us - due_us;
}

/* Sends what is due. The rate is kept over time, whatever the timer's grain is. */
static void
timer_cb(void *arg)
{
	struct traffic *t = arg;
	const struct options *o = options(t);
	uint64_t due = 1 + (uint64_t)((double)(client_now_us() - t->began_us) * o->rate / 1e6);
	uint64_t sent = o->ping_ip != 0 ? t->ping.sent : t->udp.sent;

	note_late(t, sent);
	if (o->count != 0 && due > o->count)
		due = o->count;
	for (unsigned i = 0; sent < due && i < BURST_MAX; i++, sent++) {
		if (o->ping_ip != 0)
			send_one(t, &t->ping, PACKET_ICMP);
		if (o->udp_ip != 0)
			send_one(t, &t->udp, PACKET_UDP);
	}
	if (o->count != 0 && sent >= o->count)
		traffic_stop(t);
	else
		timer_set(&t->timer, wait_ms(t, sent));
}

void
traffic_start(struct traffic *t)
{
	if (t->started || t->stopped || !traffic_wanted(t))
		return;
	t->started = true;
	t->began_us = client_now_us();
	timer_set(&t->timer, 1);
}

static struct stream *
windowed(struct traffic *t)
{
	return options(t)->ping_ip != 0 ? &t->ping : &t->udp;
}

void
traffic_mark(struct traffic *t, uint64_t now_us)
{
	const struct stream *st = windowed(t);
	uint64_t since_us = st->received > 0 ? st->last_answer_us : st->first_us;

	window_open(&t->window, st->sent, st->sent > 0 ? since_us : now_us);
}

void
traffic_unmark(struct traffic *t, uint64_t now_us)
{
	window_close(&t->window, windowed(t)->sent, now_us);
}

void
traffic_answer(struct traffic *t, const struct packet *p)
{
	const struct options *o = options(t);
	struct stream *st = p->protocol == PACKET_ICMP ? &t->ping : &t->udp;
	uint64_t arrival_us = t->session->client->arrival_us;
	uint64_t now_us = arrival_us != 0 ? arrival_us : client_now_us();
	bool ours = p->probe.session == t->session->number &&
		    (p->protocol == PACKET_ICMP ? p->icmp_type == 0 && p->src == o->ping_ip
						: p->src == o->udp_ip && p->sport == o->udp_port);

	/* Two clocks are compared: never let the arrival come before the sending. */
	if (now_us < p->probe.sent_us)
		now_us = p->probe.sent_us;
	if (!ours) {
		t->damaged++;
		return;
	}
	if (stream_receive(st, p->probe.seq, now_us)) {
		samples_add(&t->session->client->rtt, now_us - p->probe.sent_us);
		if (st == windowed(t))
			window_answer(&t->window, p->probe.seq, now_us);
	}
	if (t->stopped && !t->done && all_answered(t))
		finish(t);
}

void
traffic_init(struct traffic *t, struct session *s)
{
	*t = (struct traffic){.session = s};
	timer_init(&t->timer, s->client->loop, timer_cb, t);
	timer_init(&t->grace, s->client->loop, grace_cb, t);
	if (!traffic_wanted(t))
		t->done = true;
}

void
traffic_fini(struct traffic *t)
{
	timer_cancel(&t->timer);
	timer_cancel(&t->grace);
}
