/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Attacks. What is meant to reach PPP or MPPE uses the session's own next GRE number; what is meant
 * to be stopped before that uses the number without taking it.
 */
#include "tests/client/attack.h"

#include <stdlib.h>
#include <string.h>

#include "tests/client/control.h"
#include "tests/client/gre_io.h"
#include "tests/client/session.h"

#define FIRST_MS          500
#define EVERY_MS          50
#define AT_ONCE           10
#define NOISE_MAX         200
#define CCP_RESET_REQUEST 14
#define OUTER_SPOOFS      16

static uint64_t
dice(struct attack_state *a, uint64_t sides)
{
	return faults_random(&a->client->faults) % sides;
}

static size_t
noise(struct attack_state *a, uint8_t *out, size_t least, size_t most)
{
	size_t len = least + dice(a, most - least + 1);

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)dice(a, 256);
	return len;
}

/* A data packet of the session that takes no number; the caller spoils it. */
static size_t
build(struct attack_state *a, struct session *s, uint16_t call_id, uint8_t *out, size_t size)
{
	uint8_t payload[64] = {0xff, 0x03, 0x00, 0xfd};
	struct wr w = wr_init(out, size);
	struct gre_header h = {
	    .call_id = call_id, .length = sizeof(payload), .has_seq = true, .seq = s->tx.next};

	(void)noise(a, payload + 4, sizeof(payload) - 4, sizeof(payload) - 4);
	gre_encode(&w, &h);
	wr_copy(&w, payload, sizeof(payload));
	return wr_len(&w);
}

static void
send_bytes(struct attack_state *a, struct session *s, const uint8_t *bytes, size_t len)
{
	gre_io_send(a->client, s->control->local_ip, bytes, len);
}

static bool
call_is_ours(const struct client *c, uint16_t call_id)
{
	for (unsigned i = 0; i < c->n_sessions; i++)
		if (c->sessions[i].peer_call_id == call_id)
			return true;
	return call_id == 0;
}

static void
foreign_call(struct attack_state *a, struct session *s)
{
	uint8_t bytes[128];
	uint16_t call_id;

	do
		call_id = (uint16_t)dice(a, 65536);
	while (call_is_ours(a->client, call_id));
	send_bytes(a, s, bytes, build(a, s, call_id, bytes, sizeof(bytes)));
}

static void
spoof_outer(struct attack_state *a, struct session *s)
{
	uint8_t bytes[128];
	size_t len = build(a, s, s->peer_call_id, bytes, sizeof(bytes));

	gre_io_send(
	    a->client, s->control->local_ip + 1 + (uint32_t)dice(a, OUTER_SPOOFS), bytes, len);
}

static void
bad_header(struct attack_state *a, struct session *s)
{
	/* byte, bits to flip: version 0, 2, 3; no key; C, R, s set; recursion; reserved flags;
	 * protocol; length too long twice; no sequence number, yet a payload */
	static const struct {
		uint8_t at, flip;
	} faults[] = {{1, 0x01}, {1, 0x03}, {1, 0x02}, {0, 0x20}, {0, 0x80}, {0, 0x40}, {0, 0x08},
	    {0, 0x01}, {1, 0x08}, {1, 0x40}, {2, 0x80}, {3, 0x0b}, {4, 0x40}, {4, 0x01}, {0, 0x10}};
	uint8_t bytes[128];
	size_t len = build(a, s, s->peer_call_id, bytes, sizeof(bytes));
	unsigned i = a->sent % (sizeof(faults) / sizeof(faults[0]));

	bytes[faults[i].at] ^= faults[i].flip;
	send_bytes(a, s, bytes, len);
}

static void
spoof_source(struct attack_state *a, struct session *s)
{
	uint32_t const sources[] = {s->address ^ 1, s->address + 7, 0xc0a80114, 0x7f000001, 0,
	    s->client->o->ping_ip, 0xffffffff};
	uint8_t packet[1500], frame[SESSION_FRAME_MAX];
	size_t len = traffic_imitate(&s->traffic,
	    sources[a->sent % (sizeof(sources) / sizeof(sources[0]))], packet, sizeof(packet));

	len = session_encrypt(s, PPP_IP, packet, len, frame);
	if (len > 0)
		session_send_ppp(s, frame, len);
}

/* Cut anywhere in the header and payload, the length field as it was; or a short frame, well
 * packed. */
static void
truncated(struct attack_state *a, struct session *s)
{
	uint8_t bytes[1500], frame[SESSION_FRAME_MAX];
	size_t len;

	if (a->sent % 2 == 0) {
		len = build(a, s, s->peer_call_id, bytes, sizeof(bytes));
		send_bytes(a, s, bytes, a->sent / 2 % len);
		return;
	}
	len = traffic_imitate(&s->traffic, s->address, bytes, sizeof(bytes));
	len = session_encrypt(s, PPP_IP, bytes, len, frame);
	if (len > 0)
		session_send_ppp(s, frame, 1 + a->sent / 2 % (len - 1));
}

static void
random_gre(struct attack_state *a, struct session *s)
{
	uint8_t bytes[NOISE_MAX];

	send_bytes(a, s, bytes, noise(a, bytes, 1, sizeof(bytes)));
}

/*
 * Noise behind known protocol numbers has a length field that cannot be true: a sound message by
 * chance, such as a Terminate-Request, would rightly be obeyed. MPPE lacks its A bit.
 */
static void
random_ppp(struct attack_state *a, struct session *s)
{
	static const uint16_t known[] = {
	    PPP_LCP, PPP_CHAP, PPP_CCP, PPP_IPCP, PPP_PAP, PPP_IPV6CP, PPP_COMP, PPP_IP};
	uint8_t frame[4 + NOISE_MAX] = {0xff, 0x03};
	uint16_t protocol = known[a->sent / 2 % (sizeof(known) / sizeof(known[0]))];
	size_t len;

	if (a->sent % 2 == 0) {
		len = noise(a, frame, 1, NOISE_MAX);
		frame[0] &= 0x7f; /* no control protocol */
	} else {
		len = 4 + noise(a, frame + 4, 0, NOISE_MAX);
		frame[2] = (uint8_t)(protocol >> 8);
		frame[3] = (uint8_t)protocol;
		frame[4] &= 0x7f;
		frame[6] |= 0x80;
	}
	session_send_ppp(s, frame, len);
}

static void
reset_request(struct attack_state *a, struct session *s)
{
	uint8_t const frame[] = {0xff, 0x03, 0x80, 0xfd, CCP_RESET_REQUEST, (uint8_t)a->sent, 0, 4};

	session_send_ppp(s, frame, sizeof(frame));
}

/* Every count but the one that is due. */
static void
mppe_count(struct attack_state *a, struct session *s)
{
	uint8_t frame[64] = {0xff, 0x03, 0x00, 0xfd};
	uint16_t count = (uint16_t)((s->send_key.index + 1 + dice(a, 4094)) & 0xfff);

	(void)noise(a, frame + 6, sizeof(frame) - 6, sizeof(frame) - 6);
	frame[4] = (uint8_t)(0x90 | count >> 8);
	frame[5] = (uint8_t)count;
	session_send_ppp(s, frame, sizeof(frame));
}

static void
clear_ip(struct attack_state *a, struct session *s)
{
	uint8_t frame[1500] = {0xff, 0x03, 0x00, 0x21};
	size_t len = traffic_imitate(&s->traffic, s->address, frame + 4, sizeof(frame) - 4);

	(void)a;
	session_send_ppp(s, frame, 4 + len);
}

static void
random_control(struct attack_state *a, struct session *s)
{
	uint8_t bytes[NOISE_MAX];

	control_send_raw(s->control, bytes, noise(a, bytes, 1, sizeof(bytes)));
}

static void
oversize_control(struct attack_state *a, struct session *s)
{
	uint8_t bytes[PPTP_MESSAGE_MAX + 1] = {0};
	struct wr w = wr_init(bytes, sizeof(bytes));

	wr_u16(&w, (uint16_t)(sizeof(bytes) + a->sent * 300));
	wr_u16(&w, 1);
	wr_u32(&w, PPTP_MAGIC);
	wr_u16(&w, PPTP_ECHO_RQ);
	control_send_raw(s->control, bytes, sizeof(bytes));
}

static void (*const attacks[ATTACK_MAX])(struct attack_state *a, struct session *s) = {
    [ATTACK_FOREIGN_CALL] = foreign_call,
    [ATTACK_BAD_HEADER] = bad_header,
    [ATTACK_SPOOF_SOURCE] = spoof_source,
    [ATTACK_SPOOF_OUTER] = spoof_outer,
    [ATTACK_TRUNCATED] = truncated,
    [ATTACK_RANDOM_GRE] = random_gre,
    [ATTACK_RANDOM_PPP] = random_ppp,
    [ATTACK_RESET_REQUEST] = reset_request,
    [ATTACK_MPPE_COUNT] = mppe_count,
    [ATTACK_CLEAR_IP] = clear_ip,
    [ATTACK_RANDOM_CONTROL] = random_control,
    [ATTACK_OVERSIZE_CONTROL] = oversize_control,
};

static uint64_t
answers(const struct session *s)
{
	return s->traffic.ping.received + s->traffic.udp.received;
}

static void
timer_cb(void *arg)
{
	struct attack_state *a = arg;
	struct session *s = &a->client->sessions[0];

	if (a->sent == 0)
		a->answers_before = answers(s);
	for (unsigned i = 0; i < AT_ONCE && a->sent < ATTACK_PACKETS && s->state == SESSION_UP;
	     i++) {
		attacks[a->client->o->attack](a, s);
		a->sent++;
	}
	if (a->sent < ATTACK_PACKETS && s->state == SESSION_UP) {
		timer_set(&a->timer, EVERY_MS);
		return;
	}
	a->answers_at_end = answers(s);
	a->done = true;
	client_check_end(a->client);
}

struct attack_state *
attack_start(struct client *c)
{
	struct attack_state *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->client = c;
	timer_init(&a->timer, c->loop, timer_cb, a);
	timer_set(&a->timer, FIRST_MS);
	return a;
}

void
attack_free(struct attack_state *a)
{
	if (a == NULL)
		return;
	timer_cancel(&a->timer);
	free(a);
}
