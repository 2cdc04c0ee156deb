/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CCP (RFC 1962) with the MPPE option of RFC 3078 §3: stateless, 128 bits, both ways, or no link.
 * Once open it is never negotiated again on the same keys: both ends would start over at packet 0
 * and use every key twice. New keys come from LCP renegotiation with authentication.
 */
#include "common/log.h"
#include "pptpd/ppp/link.h"

#define OPT_MPPE 18

#define WINDOWS_BITS 0x010000e1u /* stateless; 128, 40 and 56 bits; MPPC */

static void
put_mppe(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u32(w, p->ccp_ask);
}

/* An offer of several bits is no offer: it is narrowed to the one mode that we take. */
static enum cp_verdict
judge_mppe(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->mppe_wished = true;
	p->ccp_seen = rd_u32(data);
	if (rd_end(data) && p->ccp_seen == MPPE_BITS)
		return CP_ACK;
	wr_u32(nak, MPPE_BITS);
	return CP_NAK;
}

/* Whatever the peer would like instead: this is the only mode there is. */
static void
naked_mppe(struct ppp *p, uint8_t type, struct rd *data)
{
	uint32_t bits = rd_u32(data);

	if (rd_end(data))
		p->ccp_seen = bits;
	p->ccp_ask = MPPE_BITS;
}

static void
rejected_mppe(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NO_MPPE, "peer rejects MPPE");
}

static const struct cp_option options[] = {
    {OPT_MPPE, CP_ANY_LEN, put_mppe, judge_mppe, naked_mppe, rejected_mppe},
};

static uint16_t
asks(struct ppp *p)
{
	bool windows = !p->c->is_server && p->c->style == PPP_STYLE_WINDOWS;

	p->ccp_ask = windows ? WINDOWS_BITS : MPPE_BITS;
	p->ccp_seen = 0;
	return 1;
}

static void
judging(struct ppp *p)
{
	p->mppe_wished = false;
}

/* Old Windows cannot encrypt one way only, so a peer that asks for nothing is told what to ask. */
static void
missing(struct ppp *p, struct wr *nak)
{
	if (p->mppe_wished)
		return;
	wr_u8(nak, OPT_MPPE);
	wr_u8(nak, 6);
	wr_u32(nak, MPPE_BITS);
}

static void
no_agreement(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NO_MPPE, "peer does not agree to MPPE 128 stateless, its bits=%08x",
	    p->ccp_seen);
}

static void
unanswered(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NO_MPPE, "peer does not answer CCP");
}

static void
quit(struct ppp *p, const struct rd *reason)
{
	link_fail(p, PPP_CAUSE_NO_MPPE, "peer closes CCP");
}

/*
 * Deviation: a request for what is in force already, from a peer that has sent no data yet, is a
 * repetition with a new identifier (RFC 1661 allows one): our Ack was lost. It is acked again and
 * no key is touched. Anything else would start the keys over.
 */
static enum cp_reopen
reopen(struct ppp *p, bool same_options)
{
	if (same_options && !p->data_seen)
		return CP_ACK_AGAIN;
	link_fail(p, PPP_CAUSE_REKEY_REFUSED, "peer renegotiates CCP on keys in use");
	return CP_REFUSE;
}

/* A peer that is silent on CCP may have missed that it is authenticated: say so again. */
static void
retry(struct ppp *p)
{
	if (!p->ccp.heard)
		chap_repeat_success(p);
}

static void
up(struct ppp *p)
{
	p->data_seen = false;
	link_compressed(p);
}

/*
 * Stateless MPPE has nothing to reset, but a Linux client stays deaf after any decompression error
 * until its Reset-Request is answered.
 */
static bool
code(struct ppp *p, const struct cp_packet *pk)
{
	if (pk->code == CP_RESET_REQ) {
		p->counters.resets_answered++;
		cp_send(&p->ccp, CP_RESET_ACK, pk->id, NULL, 0);
	}
	return pk->code == CP_RESET_REQ || pk->code == CP_RESET_ACK;
}

/* heeds_strays is false: Windows rejects the Reset-Ack code, which changes nothing. */
const struct cp_protocol ccp_protocol = {
    .number = PPP_CCP,
    .name = "CCP",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .asks = asks,
    .judging = judging,
    .missing = missing,
    .stubborn = no_agreement,
    .hopeless = no_agreement,
    .reopen = reopen,
    .retry = retry,
    .quit = quit,
    .up = up,
    .finished = unanswered,
    .code = code,
};
