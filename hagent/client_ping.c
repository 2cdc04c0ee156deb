/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pings through a client.
 */
#include "hagent/client_ping.h"

#include <stdlib.h>
#include <string.h>

#include "hagent/client_packet.h"

static void
send_cb(void *arg)
{
	struct client_ping *p = arg;
	struct pptp_client_state s;
	uint8_t packet[1500];
	uint64_t now_us = p->now_us();
	size_t len;

	timer_set(&p->timer, p->interval_ms);
	pptp_client_state(p->client, &s);
	len = client_packet_echo(
	    s.address, p->target, p->id, ++p->seq, p->payload, packet, sizeof(packet));
	if (len == 0 || !pptp_client_send(p->client, packet, len))
		now_us = 0;
	p->sent++;
	if (p->begun_us == 0)
		p->begun_us = p->now_us();
	p->flight[p->seq % CLIENT_PING_FLIGHT] = now_us;
}

void
client_ping_init(struct client_ping *p, struct loop *l, struct pptp_client *c,
    uint64_t (*now_us)(void), uint32_t target, unsigned interval_ms, unsigned payload)
{
	memset(p, 0, sizeof(*p));
	p->client = c;
	p->now_us = now_us;
	p->target = target;
	p->interval_ms = interval_ms;
	p->payload = payload;
	p->id = (uint16_t)arc4random();
	p->rtt_min_us = UINT64_MAX;
	timer_init(&p->timer, l, send_cb, p);
}

void
client_ping_start(struct client_ping *p)
{
	send_cb(p);
}

void
client_ping_stop(struct client_ping *p)
{
	timer_cancel(&p->timer);
}

static void
count(struct client_ping *p, uint64_t now_us, uint64_t rtt_us)
{
	uint64_t before = p->last_us != 0 ? p->last_us : p->begun_us;

	if (now_us > before && now_us - before > p->gap_us) {
		p->gap_us = now_us - before;
		p->gap_end_us = now_us;
	}
	if (p->first_us == 0)
		p->first_us = now_us;
	if (now_us > p->last_us) /* stamps of two clocks are not quite in order */
		p->last_us = now_us;
	p->received++;
	p->rtt_sum_us += rtt_us;
	if (rtt_us < p->rtt_min_us)
		p->rtt_min_us = rtt_us;
	if (rtt_us > p->rtt_max_us)
		p->rtt_max_us = rtt_us;
}

bool
client_ping_input(struct client_ping *p, const uint8_t *packet, size_t len)
{
	struct client_packet in;
	uint64_t *sent, now_us = pptp_client_arrival_us(p->client), rtt_us;

	if (client_packet_parse(packet, len, &in) < 0 || in.protocol != CLIENT_PACKET_ICMP ||
	    in.type != 0 || in.id != p->id || in.from != p->target)
		return false;
	sent = &p->flight[in.seq % CLIENT_PING_FLIGHT];
	if ((uint16_t)(p->seq - in.seq) >= CLIENT_PING_FLIGHT || *sent == 0) {
		p->duplicates++;
		return true;
	}
	rtt_us = now_us > *sent ? now_us - *sent : 0;
	count(p, now_us, rtt_us);
	if (p->answered != NULL)
		p->answered(p->arg, rtt_us);
	*sent = 0;
	return true;
}
