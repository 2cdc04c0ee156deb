/* link: hagentcore pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PPTP client under a script of a hostile server: bytes of the control connection, replies that
 * are right, GRE as it comes or with its header put right, ICMP errors, the clock, and what the
 * owner does. Whatever comes: a step is done once and not before the one that it stands on, up()
 * comes once, ended() once and within the goodbye's time, nothing is sent afterwards. Packets out
 * of the tunnel go through the probe's reader.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "hagent/client.h"
#include "hagent/client_packet.h"
#include "pptpd/wire/gre.h"
#include "pptpd/wire/pptp.h"

enum {
	STEP_TCP,
	STEP_STARTED, /* a Start-Reply, its result the argument's first byte */
	STEP_CALLED,  /* a Call-Reply to the call that was asked for, likewise */
	STEP_CLEARED,
	STEP_GRE,
	STEP_FRAME, /* GRE with the right number and call; the argument is the PPP frame */
	STEP_ICMP,
	STEP_CLOCK, /* argument: 10 ms each */
	STEP_CUT,
	STEP_OWNER, /* argument: close, send */
	STEP_PACKET,
	STEPS
};

#define CALL     7
#define GOODBYE  3000
#define IN_SETUP (7 * 2000 + 3 * 2000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct loop *loop;
	struct pptp_client *client;
	uint16_t call;
	uint32_t seq;
	unsigned steps[PPTP_STEPS], ups, ends;
	bool hung_up;
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static uint64_t
now_us(void *arg)
{
	struct run *r = arg;

	return loop_now_ms(r->loop) * 1000;
}

static int
dial(void *arg, uint32_t server, uint16_t port, uint32_t source)
{
	return 0;
}

/* Well-formed, whatever the server does; the call's number is read from it. */
static void
send_tcp(void *arg, const uint8_t *bytes, size_t len)
{
	struct run *r = arg;
	struct pptp_message m;

	must(!r->hung_up && pptp_parse(bytes, len, &m) == 0);
	if (m.type == PPTP_OCRQ)
		r->call = m.call_id;
}

static void
send_gre(void *arg, const uint8_t *bytes, size_t len)
{
	struct run *r = arg;
	struct rd in = rd_init(bytes, len), payload;
	struct gre_header h;

	must(!r->hung_up && gre_parse(&in, &h, &payload) == 0 && h.call_id == CALL);
}

static void
hang_up(void *arg)
{
	((struct run *)arg)->hung_up = true;
}

static const struct pptp_client_io io = {now_us, dial, send_tcp, send_gre, hang_up, NULL};

static void
on_step(void *arg, enum pptp_step s)
{
	struct run *r = arg;

	must(++r->steps[s] == 1 && r->ends == 0);
	must(s == PPTP_STEP_TCP || r->steps[s - 1] == 1);
}

static void
on_up(void *arg)
{
	struct run *r = arg;

	must(++r->ups == 1 && r->steps[PPTP_STEP_IPCP] == 1);
}

static void
on_packet(void *arg, const uint8_t *packet, size_t len)
{
	struct client_packet p;

	must(((struct run *)arg)->ups == 1);
	(void)client_packet_parse(packet, len, &p);
}

static void
on_ended(void *arg)
{
	struct run *r = arg;

	must(++r->ends == 1 && r->hung_up);
}

static const struct pptp_client_ops ops = {on_step, on_up, on_packet, on_ended};

static void
say(struct run *r, const struct pptp_message *m)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	must(pptp_encode(m, &w) == 0);
	pptp_client_tcp(r->client, bytes, wr_len(&w));
}

static void
say_frame(struct run *r, const struct rd *body)
{
	uint8_t bytes[512];
	struct wr w = wr_init(bytes, sizeof(bytes));
	struct gre_header h = {.call_id = r->call,
	    .length = (uint16_t)rd_left(body),
	    .has_seq = true,
	    .seq = r->seq++,
	    .has_ack = true,
	    .ack = 1};

	gre_encode(&w, &h);
	wr_copy(&w, body->p, rd_left(body));
	must(wr_ok(&w));
	pptp_client_gre(r->client, bytes, wr_len(&w), 0);
}

static void
act(struct run *r, uint8_t kind, struct rd body)
{
	struct client_packet p;
	uint8_t first = rd_left(&body) > 0 ? body.p[0] : 1;

	if (kind == STEP_TCP)
		pptp_client_tcp(r->client, body.p, rd_left(&body));
	else if (kind == STEP_STARTED)
		say(r, &(struct pptp_message){.type = PPTP_SCCRP, .result = first, .host = "h"});
	else if (kind == STEP_CALLED)
		say(r, &(struct pptp_message){.type = PPTP_OCRP,
			   .result = first,
			   .call_id = CALL,
			   .peer_call_id = r->call});
	else if (kind == STEP_CLEARED)
		say(r, &(struct pptp_message){.type = PPTP_CDN, .call_id = CALL});
	else if (kind == STEP_GRE)
		pptp_client_gre(r->client, body.p, rd_left(&body), 0);
	else if (kind == STEP_FRAME)
		say_frame(r, &body);
	else if (kind == STEP_ICMP)
		pptp_client_icmp(r->client, first & 0x80, first & 15, 1, 1400);
	else if (kind == STEP_CLOCK)
		loop_advance(r->loop, first * 10u);
	else if (kind == STEP_CUT)
		pptp_client_cut(r->client, first);
	else if (kind == STEP_OWNER && first == 0)
		pptp_client_close(r->client);
	else if (kind == STEP_OWNER)
		(void)pptp_client_send(r->client, body.p, rd_left(&body));
	else
		(void)client_packet_parse(body.p, rd_left(&body), &p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pptp_client_options o = {
	    .server = 1, .user = "u", .password = "p", .step_timeout_ms = 2000};
	struct rd in = rd_init(data, size);
	struct run r = {.loop = loop_new_virtual()};
	struct pptp_client_state s;

	r.client = pptp_client_new(r.loop, &o, &ops, &r, &io, &r);
	must(r.client != NULL);
	pptp_client_start(r.client);
	pptp_client_connected(r.client, 2);
	while (rd_left(&in) >= 2 && !r.hung_up) {
		uint8_t kind = rd_u8(&in), len = rd_u8(&in);
		size_t left = rd_left(&in);

		act(&r, kind % STEPS, rd_sub(&in, len < left ? len : left));
	}
	/* It never waits for ever: set-up is over in its time, and so is the goodbye. */
	loop_advance(r.loop, IN_SETUP);
	pptp_client_state(r.client, &s);
	must(s.up || s.ended || s.was_up);
	pptp_client_close(r.client);
	loop_advance(r.loop, GOODBYE);
	must(r.ends == 1);
	pptp_client_free(r.client);
	must(loop_next_ms(r.loop) == UINT64_MAX);
	loop_free(r.loop);
	return 0;
}
