/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server's link under a script: frames of any protocol, the clock, and what the owner may do.
 * A frame step may have its identifier and length put right, or ack what the link asked last, so
 * that inputs get past authentication and into the open link. Whatever comes: what is sent is well
 * framed and fits, up and down alternate, keys precede every opening of CCP, the end comes once. An
 * open link may be replaced by one that continues it, and no other may.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "pptpd/ppp/ppp.h"

#define OPENED 9

enum { /* a step's first byte; with FIX the frame's id and length are put right */
	STEP_LCP,
	STEP_CHAP,
	STEP_CCP,
	STEP_IPCP,
	STEP_OTHER,
	STEP_ACK, /* the argument's low bits choose LCP, CCP or IPCP */
	STEP_CLOCK,
	STEP_OWNER,
	FIX = 0x80,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct loop *loop;
	const struct ppp_config *config;
	struct ppp *p;
	bool moving;
	unsigned keys, ups, downs, ends, ccp_openings;
	bool ccp_open;
	uint8_t request[4][256]; /* the link's last Configure-Request or Challenge, by step */
	size_t request_len[4];
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static int
step_of(uint16_t protocol)
{
	return protocol == PPP_LCP    ? STEP_LCP
	       : protocol == PPP_CHAP ? STEP_CHAP
	       : protocol == PPP_CCP  ? STEP_CCP
				      : STEP_IPCP;
}

static void
on_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct run *run = arg;
	int step = step_of(protocol);

	must(run->ends == 0 && !run->moving);
	must(len >= 4 && len <= 1500);
	must((size_t)(payload[2] << 8 | payload[3]) == len);
	if (payload[0] == 1 && len <= sizeof(run->request[0])) {
		memcpy(run->request[step], payload, len);
		run->request_len[step] = len;
	}
}

static bool
on_verify(void *arg, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	must(strlen(v->name) < PPP_NAME_MAX && strchr(v->hash_name, '\\') == NULL);
	memset(nt_hash, 1, 16);
	return v->name[0] != '\0';
}

static bool
on_address(void *arg, struct ppp_addresses *a)
{
	*a = (struct ppp_addresses){0x0a080001, 0x0a08000a};
	return true;
}

static void
on_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct run *run = arg;

	run->keys++;
}

static void
on_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	must(a->peer_ip == 0x0a08000a);
}

static void
on_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct run *run = arg;

	must(run->ups == run->downs && run->keys > 0 && run->ends == 0);
	must(mtu >= PPP_MRU_MIN - 4 && mtu <= 1400);
	run->ups++;
}

static void
on_down(void *arg)
{
	struct run *run = arg;

	must(run->ups == run->downs + 1);
	run->downs++;
}

static void
on_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	struct run *run = arg;

	must(run->ends == 0 && run->ups == run->downs);
	must(cause > PPP_CAUSE_NONE && cause < PPP_CAUSE_MAX && detail != NULL);
	run->ends++;
}

static const struct ppp_ops ops = {
    .send = on_send,
    .verify = on_verify,
    .address = on_address,
    .keys = on_keys,
    .peer_address = on_peer_address,
    .up = on_up,
    .down = on_down,
    .finished = on_finished,
};

static void
check_state(struct run *run)
{
	struct ppp_state s;
	bool open;

	ppp_get_state(run->p, &s);
	open = s.ccp_state == OPENED;
	run->ccp_openings += open && !run->ccp_open;
	run->ccp_open = open;
	must(run->ccp_openings <= run->keys);
	must(s.up == (run->ups > run->downs));
	must(!s.up || (s.lcp_state == OPENED && s.ccp_state == OPENED && s.ipcp_state == OPENED &&
			  s.ccp_bits == 0x01000040));
}

/* Feeds a copy of exactly this size, so that a sanitizer sees any overrun. */
static void
feed(struct run *run, uint16_t protocol, const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	must(exact != NULL);
	memcpy(exact, bytes, len);
	ppp_input(run->p, protocol, exact, len);
	free(exact);
}

static void
step_frame(struct run *run, uint8_t step, bool fix, struct rd *r)
{
	static const uint16_t protocols[] = {PPP_LCP, PPP_CHAP, PPP_CCP, PPP_IPCP};
	uint16_t protocol = step == STEP_OTHER ? rd_u16(r) : protocols[step];
	size_t len = rd_u8(r);
	uint8_t bytes[256];

	len = len < rd_left(r) ? len : rd_left(r);
	rd_copy(r, bytes, len);
	if (fix && len >= 4 && step != STEP_OTHER) {
		/* Answers carry the identifier of the request; requests keep their own. */
		if (bytes[0] > 1)
			bytes[1] = run->request[step][1];
		bytes[2] = 0;
		bytes[3] = (uint8_t)len;
	}
	feed(run, protocol, bytes, len);
}

static void
step_ack(struct run *run, uint8_t which)
{
	static const uint8_t steps[] = {STEP_LCP, STEP_CCP, STEP_IPCP};
	static const uint16_t protocols[] = {PPP_LCP, PPP_CCP, PPP_IPCP};
	uint8_t ack[256], step = steps[which % 3];

	memcpy(ack, run->request[step], run->request_len[step]);
	ack[0] = 2;
	feed(run, protocols[which % 3], ack, run->request_len[step]);
}

static void
move(struct run *run)
{
	struct ppp *p = ppp_new(run->loop, run->config, &ops, run);
	struct ppp_state before, after;

	must(p != NULL);
	ppp_get_state(run->p, &before);
	run->moving = true;
	if (ppp_restore(p, &before, 0x8000) < 0) {
		must(!before.up);
		ppp_free(p);
	} else {
		must(before.up);
		ppp_get_state(p, &after);
		must(after.our_magic == before.our_magic && after.peer_magic == before.peer_magic);
		must(after.lcp_id == before.lcp_id && after.mtu == before.mtu && after.up);
		ppp_free(run->p);
		run->p = p;
	}
	run->moving = false;
}

static void
step_owner(struct run *run, uint8_t what)
{
	static const uint8_t ipv6[] = {0x60};

	switch (what % 7) {
	case 0:
		ppp_alive(run->p);
		break;
	case 1:
		ppp_renegotiate(run->p);
		break;
	case 2:
		ppp_close(run->p, PPP_CAUSE_IDLE);
		break;
	case 3:
		ppp_unknown_protocol(run->p, PPP_IPV6, ipv6, sizeof(ipv6), false);
		break;
	case 4:
		ppp_unknown_protocol(run->p, PPP_IPV6, ipv6, sizeof(ipv6), true);
		break;
	case 5:
		ppp_echo_now(run->p);
		break;
	case 6:
		move(run);
		break;
	}
}

static void
check_script(struct run *run, struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t op = rd_u8(&r), step = (op & ~FIX) % (STEP_OWNER + 1);

		if (step <= STEP_OTHER)
			step_frame(run, step, (op & FIX) != 0, &r);
		else if (step == STEP_ACK)
			step_ack(run, rd_u8(&r));
		else if (step == STEP_CLOCK)
			loop_advance(run->loop, 10u * rd_u16(&r));
		else
			step_owner(run, rd_u8(&r));
		check_state(run);
	}
}

/* The whole input, taken as a GRE payload. */
static void
check_decapsulation(const uint8_t *data, size_t size)
{
	const uint8_t *payload;
	uint16_t protocol;
	size_t len;

	if (ppp_decapsulate(data, size, &protocol, &payload, &len) == 0)
		must((protocol & 0x101) == 1 && payload + len == data + size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {.loop = loop_new_virtual()};
	struct ppp_config c;

	check_decapsulation(data, size);
	ppp_config_defaults(&c);
	c.is_server = true;
	c.name = "pptpd";
	c.dns[0] = 0x08080808;
	c.echo_interval_s = 30;
	c.echo_failure = 4;
	run.config = &c;
	run.p = ppp_new(run.loop, &c, &ops, &run);
	must(run.loop != NULL && run.p != NULL);
	ppp_open(run.p);
	check_script(&run, rd_init(data, size));
	ppp_close(run.p, PPP_CAUSE_LOCAL);
	loop_advance(run.loop, 10000);
	must(run.ends == 1 && loop_next_ms(run.loop) == UINT64_MAX);
	ppp_free(run.p);
	loop_free(run.loop);
	return 0;
}
