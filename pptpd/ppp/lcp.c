/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LCP (RFC 1661, Identification and Time-Remaining of RFC 1570): options, echo, Protocol-Reject.
 * MS-CHAPv2 is the one authentication that is asked for or accepted.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "pptpd/ppp/link.h"

enum {
	OPT_MRU = 1,
	OPT_ACCM = 2,
	OPT_AUTH = 3,
	OPT_MAGIC = 5,
	OPT_PFC = 7,
	OPT_ACFC = 8,
	OPT_CALLBACK = 0x0d,
	OPT_MRRU = 0x11,
	OPT_ENDPOINT = 0x13,
};

#define CHAP_MS_V2 0x81

static void
put_mru(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u16(w, p->our_mru);
}

static enum cp_verdict
judge_mru(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->wish.mru = rd_u16(data);
	if (p->wish.mru >= PPP_MRU_MIN)
		return CP_ACK;
	wr_u16(nak, PPP_MRU_MIN);
	return CP_NAK;
}

/* The peer may ask us to receive less; more than the owner configured is not on offer. */
static void
naked_mru(struct ppp *p, uint8_t type, struct rd *data)
{
	uint16_t mru = rd_u16(data);

	if (rd_end(data) && mru >= PPP_MRU_MIN && mru < p->our_mru)
		p->our_mru = mru;
}

static void
rejected_mru(struct ppp *p)
{
	p->our_mru = LCP_MRU_DEFAULT;
}

/* pppd asks for the empty map, which GRE needs no escapes for anyway. */
static void
put_accm(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u32(w, 0);
}

static enum cp_verdict
judge_accm(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->wish.accm = rd_u32(data);
	return CP_ACK;
}

static void
put_auth(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u16(w, PPP_CHAP);
	wr_u8(w, CHAP_MS_V2);
}

/* Client: only MS-CHAPv2, unless it plays one that knows PAP alone. A server proves itself to
 * nobody. */
static enum cp_verdict
judge_auth(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	uint16_t protocol = rd_u16(data);
	uint8_t algorithm = rd_u8(data);

	if (p->c->is_server)
		return CP_REJ;
	if (p->c->offer_pap_only) {
		wr_u16(nak, PPP_PAP);
		return CP_NAK;
	}
	if (rd_end(data) && protocol == PPP_CHAP && algorithm == CHAP_MS_V2) {
		p->wish.auth = true;
		return CP_ACK;
	}
	put_auth(p, type, nak);
	return CP_NAK;
}

static const char *
auth_name(uint16_t protocol, uint8_t algorithm)
{
	if (protocol == PPP_PAP)
		return "PAP";
	if (protocol == PPP_EAP)
		return "EAP";
	if (protocol == PPP_CHAP)
		return algorithm == 5 ? "CHAP-MD5" : algorithm == 0x80 ? "MS-CHAP" : "another CHAP";
	return "an unknown method";
}

static void
naked_auth(struct ppp *p, uint8_t type, struct rd *data)
{
	uint16_t protocol = rd_u16(data);
	uint8_t algorithm = rd_left(data) > 0 ? rd_u8(data) : 0;

	if (protocol != PPP_CHAP || algorithm != CHAP_MS_V2)
		link_fail(p, PPP_CAUSE_AUTH_REFUSED, "peer refuses MS-CHAPv2 and offers %s",
		    auth_name(protocol, algorithm));
}

static void
rejected_auth(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_AUTH_REFUSED, "peer refuses to authenticate");
}

static uint32_t
new_magic(void)
{
	uint32_t magic;

	do {
		magic = arc4random();
	} while (magic == 0);
	return magic;
}

static void
put_magic(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u32(w, p->our_magic);
}

/* RFC 1661 §6.4: our own number means that the line is looped; zero is not a number. */
static enum cp_verdict
judge_magic(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->wish.magic = rd_u32(data);
	if (p->wish.magic != 0 && p->wish.magic != p->our_magic) {
		p->loops = 0;
		return CP_ACK;
	}
	if (p->wish.magic != 0 && ++p->loops >= p->c->max_failure)
		link_fail(p, PPP_CAUSE_LOOP, "own magic number came back %u times", p->loops);
	wr_u32(nak, new_magic());
	return CP_NAK;
}

static void
naked_magic(struct ppp *p, uint8_t type, struct rd *data)
{
	p->our_magic = new_magic();
}

static void
rejected_magic(struct ppp *p)
{
	p->our_magic = 0;
}

static void
put_nothing(struct ppp *p, uint8_t type, struct wr *w)
{
}

static enum cp_verdict
judge_pfc(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->wish.pfc = true;
	return CP_ACK;
}

static enum cp_verdict
judge_acfc(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->wish.acfc = true;
	return CP_ACK;
}

/* As Windows asks: CBCP, and a multilink bundle that it can do without. */
static void
put_callback(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u8(w, 6);
}

static void
put_mrru(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u16(w, 1614);
}

static void
put_endpoint(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u8(w, 1); /* class: locally assigned */
	wr_u32(w, p->our_magic);
	wr_zero(w, 16);
}

static const struct cp_option options[] = {
    {OPT_MRU, 2, put_mru, judge_mru, naked_mru, rejected_mru},
    {OPT_ACCM, 4, put_accm, judge_accm, NULL, NULL},
    {OPT_AUTH, CP_ANY_LEN, put_auth, judge_auth, naked_auth, rejected_auth},
    {OPT_MAGIC, 4, put_magic, judge_magic, naked_magic, rejected_magic},
    {OPT_PFC, 0, put_nothing, judge_pfc, NULL, NULL},
    {OPT_ACFC, 0, put_nothing, judge_acfc, NULL, NULL},
    {OPT_CALLBACK, 1, put_callback, NULL, NULL, NULL},
    {OPT_MRRU, 2, put_mrru, NULL, NULL, NULL},
    {OPT_ENDPOINT, CP_ANY_LEN, put_endpoint, NULL, NULL, NULL},
};

enum { /* rows of the table as bits */
	ROW_MRU = 1 << 0,
	ROW_ACCM = 1 << 1,
	ROW_AUTH = 1 << 2,
	ROW_MAGIC = 1 << 3,
	ROW_PFC = 1 << 4,
	ROW_ACFC = 1 << 5,
	ROW_CALLBACK = 1 << 6,
	ROW_MRRU = 1 << 7,
	ROW_ENDPOINT = 1 << 8,
};

static uint16_t
asks(struct ppp *p)
{
	p->our_mru = p->c->mru;
	p->our_magic = new_magic();
	if (p->c->is_server)
		return ROW_MRU | ROW_AUTH | ROW_MAGIC;
	if (p->c->style == PPP_STYLE_WINDOWS)
		return ROW_MRU | ROW_MAGIC | ROW_PFC | ROW_ACFC | ROW_CALLBACK | ROW_MRRU |
		       ROW_ENDPOINT;
	return (p->c->mru == LCP_MRU_DEFAULT ? 0 : ROW_MRU) | ROW_ACCM | ROW_MAGIC | ROW_PFC |
	       ROW_ACFC;
}

static void
judging(struct ppp *p)
{
	p->wish = (struct lcp_wish){.mru = LCP_MRU_DEFAULT, .accm = 0xffffffff};
}

static void
accept(struct ppp *p)
{
	p->peer = p->wish;
}

static void
hopeless(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NEGOTIATION, "peer naks every LCP request");
}

/* Opened: the end. Before that RFC 1661 goes on asking, and says why only if nothing comes of it.
 */
static void
quit(struct ppp *p, const struct rd *reason)
{
	if (p->lcp.state == CP_OPENED)
		link_note(p, PPP_CAUSE_PEER, "peer terminates the link: %s",
		    log_quote((const char *)reason->p, rd_left(reason)));
	else if (p->lcp.state > CP_STOPPING)
		p->peer_quit = true;
}

static void
up(struct ppp *p)
{
	p->echoes_missed = 0;
	p->last_life_ms = loop_now_ms(p->loop);
	if (p->c->echo_interval_s > 0)
		timer_set(&p->echo_timer, p->c->echo_interval_s * 1000u);
	link_established(p);
}

static void
down(struct ppp *p)
{
	timer_cancel(&p->echo_timer);
	link_lost(p);
}

static void
send_echo(struct ppp *p, uint8_t code, uint8_t id, const uint8_t *data, size_t len)
{
	uint8_t body[CP_BODY_MAX];
	size_t room = link_body_max(p);
	struct wr w = wr_init(body, room < sizeof(body) ? room : sizeof(body));

	wr_u32(&w, p->our_magic);
	wr_copy(&w, data, len < wr_room(&w) ? len : wr_room(&w));
	cp_send(&p->lcp, code, id, body, wr_len(&w));
}

/*
 * Deviation: a magic number of our own in an echo is no sign of a loop here, since some peers send
 * ours back in their replies; a looped line cannot get past the Configure-Requests.
 */
static void
echo(struct ppp *p, const struct cp_packet *pk)
{
	struct rd body = pk->body;

	(void)rd_u32(&body);
	if (!rd_ok(&body)) {
		p->counters.malformed++;
	} else if (pk->code == CP_ECHO_REQ) {
		send_echo(p, CP_ECHO_REP, pk->id, body.p, rd_left(&body));
	} else if (pk->code == CP_ECHO_REP) {
		p->counters.echo_received++;
		p->echoes_missed = 0;
	}
}

void
lcp_ask_echo(struct ppp *p)
{
	p->counters.echo_sent++;
	send_echo(p, CP_ECHO_REQ, p->lcp.next_id++, NULL, 0);
}

/* Asks only when nothing was heard for a whole interval; ppp_alive() and all input count. */
static void
echo_cb(void *arg)
{
	struct ppp *p = arg;
	uint64_t interval_ms = p->c->echo_interval_s * 1000u;
	uint64_t silent_ms = loop_now_ms(p->loop) - p->last_life_ms;

	link_enter(p);
	if (silent_ms < interval_ms) {
		p->echoes_missed = 0;
		timer_set(&p->echo_timer, interval_ms - silent_ms);
	} else if (p->c->echo_failure > 0 && p->echoes_missed >= p->c->echo_failure) {
		link_fail(p, PPP_CAUSE_ECHO, "%u echo requests unanswered", p->echoes_missed);
	} else {
		p->echoes_missed += p->echoes_missed < UINT8_MAX;
		lcp_ask_echo(p);
		timer_set(&p->echo_timer, interval_ms);
	}
	link_leave(p);
}

void
lcp_restore(struct ppp *p, const struct ppp_state *s, uint16_t spread)
{
	uint64_t interval_ms = p->c->echo_interval_s * 1000u, wait_ms = interval_ms * spread >> 16;

	cp_restore(&p->lcp, s->lcp_id, s->lcp_acked_id, s->lcp_acked_hash);
	/* What the peer rejected has left its default behind. */
	if (s->our_magic == 0)
		p->lcp.asks &= (uint16_t)~ROW_MAGIC;
	if (s->our_mru == LCP_MRU_DEFAULT)
		p->lcp.asks &= (uint16_t)~ROW_MRU;
	p->our_mru = s->our_mru;
	p->our_magic = s->our_magic;
	p->peer = (struct lcp_wish){.magic = s->peer_magic,
	    .accm = s->peer_accm,
	    .mru = s->peer_mru,
	    .pfc = s->peer_pfc,
	    .acfc = s->peer_acfc};
	p->last_life_ms = loop_now_ms(p->loop) - (interval_ms - wait_ms);
	if (interval_ms > 0)
		timer_set(&p->echo_timer, wait_ms);
}

static void
on_protocol_reject(struct ppp *p, const struct cp_packet *pk)
{
	struct rd body = pk->body;
	uint16_t protocol = rd_u16(&body);

	if (!rd_ok(&body)) {
		p->counters.malformed++;
		return;
	}
	log_debug("ppp protocol-reject received protocol=%s", ppp_protocol_name(protocol));
	if (protocol == PPP_LCP)
		link_fail(p, PPP_CAUSE_NEGOTIATION, "peer rejects LCP");
	else if (protocol == PPP_CHAP && !p->authenticated)
		link_fail(p, PPP_CAUSE_AUTH_REFUSED, "peer rejects CHAP");
	else if (protocol == PPP_CCP)
		link_fail(p, PPP_CAUSE_NO_MPPE, "peer rejects CCP");
	else if (protocol == PPP_IPCP)
		link_fail(p, PPP_CAUSE_NEGOTIATION, "peer rejects IPCP");
}

static bool
code(struct ppp *p, const struct cp_packet *pk)
{
	switch (pk->code) {
	case CP_PROTO_REJ:
		if (p->lcp.state == CP_OPENED)
			on_protocol_reject(p, pk);
		return true;
	case CP_IDENTIFICATION: /* Windows tells its version in it */
	case CP_TIME_REMAINING:
		return true;
	default:
		return false;
	}
}

void
lcp_protocol_reject(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len)
{
	if (p->lcp.state == CP_OPENED)
		cp_send_reject(&p->lcp, CP_PROTO_REJ, true, protocol, payload, len);
}

void
lcp_init(struct ppp *p)
{
	cp_init(&p->lcp, &lcp_protocol, p);
	timer_init(&p->echo_timer, p->loop, echo_cb, p);
}

const struct cp_protocol lcp_protocol = {
    .number = PPP_LCP,
    .name = "LCP",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .heeds_strays = true,
    .asks = asks,
    .judging = judging,
    .accept = accept,
    .hopeless = hopeless,
    .quit = quit,
    .up = up,
    .down = down,
    .finished = link_terminated,
    .echo = echo,
    .code = code,
};
