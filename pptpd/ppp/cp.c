/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The option negotiation automaton of RFC 1661. Only cp_event() writes the state, but for what
 * makes or restores an automaton. A link's failure is carried out after the outermost event is over
 * (link_leave()), so actions never nest.
 */
#include "pptpd/ppp/cp.h"

#include <string.h>

#include "common/log.h"
#include "pptpd/ppp/link.h"

#define HURRY_MS 1000 /* more than any round trip: an early repetition disturbs */

enum {
	TLU = 0x001,
	TLD = 0x002,
	TLS = 0x004,
	TLF = 0x008,
	IRC = 0x010,
	ZRC = 0x020,
	SCR = 0x040,
	SCA = 0x080,
	SCN = 0x100,
	STR = 0x200,
	STA = 0x400,
	SCJ = 0x800,
	SER = 0x1000,
};

struct cell {
	uint16_t actions;
	int8_t next; /* -1: the event cannot happen in this state, and is ignored */
};

/* The table of RFC 1661 §4.1. The p and r options are not used. */
/* clang-format off */
#define _	{ 0, -1 }
#define S(next)	{ 0, next }
static const struct cell automaton[CP_N_EVENTS][CP_N_STATES] = {
/*		    0 Initial   1 Starting      2 Closed        3 Stopped           4 Closing   5 Stopping */
[CP_UP]		= { S(2),       {IRC|SCR, 6},   _,              _,                  _,          _,
/*		    6 Req-Sent      7 Ack-Rcvd      8 Ack-Sent      9 Opened */
		    _,              _,              _,              _ },
[CP_DOWN]	= { _,          _,              S(0),           {TLS, 1},           S(0),       S(1),
		    S(1),           S(1),           S(1),           {TLD, 1} },
[CP_OPEN]	= { {TLS, 1},   S(1),           {IRC|SCR, 6},   S(3),               S(5),       S(5),
		    S(6),           S(7),           S(8),           S(9) },
[CP_CLOSE]	= { S(0),       {TLF, 0},       S(2),           S(2),               S(4),       S(4),
		    {IRC|STR, 4},   {IRC|STR, 4},   {IRC|STR, 4},   {TLD|IRC|STR, 4} },

[CP_TO_PLUS]	= { _,          _,              _,              _,                  {STR, 4},   {STR, 5},
		    {SCR, 6},       {SCR, 6},       {SCR, 8},       _ },
[CP_TO_MINUS]	= { _,          _,              _,              _,                  {TLF, 2},   {TLF, 3},
		    {TLF, 3},       {TLF, 3},       {TLF, 3},       _ },

[CP_RCR_PLUS]	= { _,          _,              {STA, 2},       {IRC|SCR|SCA, 8},   S(4),       S(5),
		    {SCA, 8},       {SCA|TLU, 9},   {SCA, 8},       {TLD|SCR|SCA, 8} },
[CP_RCR_MINUS]	= { _,          _,              {STA, 2},       {IRC|SCR|SCN, 6},   S(4),       S(5),
		    {SCN, 6},       {SCN, 7},       {SCN, 6},       {TLD|SCR|SCN, 6} },
[CP_RCA]	= { _,          _,              {STA, 2},       {STA, 3},           S(4),       S(5),
		    {IRC, 7},       {SCR, 6},       {IRC|TLU, 9},   {TLD|SCR, 6} },
[CP_RCN]	= { _,          _,              {STA, 2},       {STA, 3},           S(4),       S(5),
		    {IRC|SCR, 6},   {SCR, 6},       {IRC|SCR, 8},   {TLD|SCR, 6} },

[CP_RTR]	= { _,          _,              {STA, 2},       {STA, 3},           {STA, 4},   {STA, 5},
		    {STA, 6},       {STA, 6},       {STA, 6},       {TLD|ZRC|STA, 5} },
[CP_RTA]	= { _,          _,              S(2),           S(3),               {TLF, 2},   {TLF, 3},
		    S(6),           S(6),           S(8),           {TLD|SCR, 6} },

[CP_RUC]	= { _,          _,              {SCJ, 2},       {SCJ, 3},           {SCJ, 4},   {SCJ, 5},
		    {SCJ, 6},       {SCJ, 7},       {SCJ, 8},       {SCJ, 9} },
[CP_RXJ_PLUS]	= { _,          _,              S(2),           S(3),               S(4),       S(5),
		    S(6),           S(6),           S(8),           S(9) },
[CP_RXJ_MINUS]	= { _,          _,              {TLF, 2},       {TLF, 3},           {TLF, 2},   {TLF, 3},
		    {TLF, 3},       {TLF, 3},       {TLF, 3},       {TLD|IRC|STR, 5} },

[CP_RXR]	= { _,          _,              S(2),           S(3),               S(4),       S(5),
		    S(6),           S(7),           S(8),           {SER, 9} },
};
#undef _
#undef S
/* clang-format on */

static const char *const state_names[CP_N_STATES] = {"Initial", "Starting", "Closed", "Stopped",
    "Closing", "Stopping", "Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened"};

const char *
cp_state_name(uint8_t state)
{
	return state < CP_N_STATES ? state_names[state] : "?";
}

void
cp_send(struct cp *cp, uint8_t code, uint8_t id, const void *body, size_t len)
{
	uint8_t bytes[CP_HEADER_LEN + CP_BODY_MAX];
	struct wr w = wr_init(bytes, sizeof(bytes));

	wr_u8(&w, code);
	wr_u8(&w, id);
	wr_u16(&w, (uint16_t)(CP_HEADER_LEN + len));
	wr_copy(&w, body, len);
	if (wr_ok(&w))
		link_send(cp->link, cp->protocol->number, bytes, wr_len(&w));
}

void
cp_send_reject(
    struct cp *cp, uint8_t code, bool has_word, uint16_t word, const uint8_t *body, size_t len)
{
	uint8_t bytes[CP_BODY_MAX];
	size_t room = link_body_max(cp->link);
	struct wr w = wr_init(bytes, room < sizeof(bytes) ? room : sizeof(bytes));

	if (has_word)
		wr_u16(&w, word);
	wr_copy(&w, body, len < wr_room(&w) ? len : wr_room(&w));
	cp->link->counters.rejects_sent++;
	cp_send(cp, code, cp->next_id++, bytes, wr_len(&w));
}

/* Our Configure-Request's options, from what we ask for now. The same until an answer changes it.
 */
static size_t
build_request(struct cp *cp, uint8_t *bytes, size_t size)
{
	struct wr w = wr_init(bytes, size);

	for (unsigned i = 0; i < cp->protocol->n_options; i++) {
		const struct cp_option *o = &cp->protocol->options[i];
		uint8_t *len_at;
		size_t start = wr_len(&w);

		if (!(cp->asks & 1u << i))
			continue;
		wr_u8(&w, o->type);
		len_at = wr_reserve(&w, 1);
		o->put(cp->link, o->type, &w);
		wr_patch_u8(&w, len_at, (uint8_t)(wr_len(&w) - start));
	}
	return wr_ok(&w) ? wr_len(&w) : 0;
}

static void
send_request(struct cp *cp, bool again)
{
	uint8_t options[16 * (2 + CP_DATA_MAX)];
	size_t len = build_request(cp, options, sizeof(options));

	if (again && cp->protocol->retry != NULL)
		cp->protocol->retry(cp->link);
	if (!again || !cp->outstanding)
		cp->request_id = cp->next_id++;
	cp->outstanding = true;
	cp_send(cp, CP_CONF_REQ, cp->request_id, options, len);
}

static void
send_terminate(struct cp *cp, bool again)
{
	const char *reason = link_reason(cp->link);

	if (!again)
		cp->request_id = cp->next_id++;
	cp->outstanding = false;
	cp_send(cp, CP_TERM_REQ, cp->request_id, reason, strlen(reason));
}

static void
arm(struct cp *cp)
{
	if (cp->restarts > 0)
		cp->restarts--;
	timer_set(&cp->timer, cp->link->c->restart_ms);
}

/*
 * The peer speaks for the first time. Our request may have come before it listened (GRE overtakes
 * the call's reply on TCP), and the restart timer is long: if no answer comes, ask again sooner.
 */
static void
hurry(struct cp *cp)
{
	bool asked = cp->state == CP_REQ_SENT || cp->state == CP_ACK_SENT;

	if (asked && cp->link->c->restart_ms > HURRY_MS)
		timer_set(&cp->timer, HURRY_MS);
}

static void
hook(struct cp *cp, void (*fn)(struct ppp *p))
{
	if (fn != NULL)
		fn(cp->link);
}

/* The packets of an event, in the order of the table's cells. */
static void
act_send(struct cp *cp, enum cp_event event, uint16_t actions, const struct cp_packet *pk)
{
	if (actions & SCR) {
		send_request(cp, event == CP_TO_PLUS);
		arm(cp);
	}
	if (actions & STR) {
		send_terminate(cp, event == CP_TO_PLUS);
		arm(cp);
	}
	if (pk == NULL)
		return;
	if (actions & SCA)
		hook(cp, cp->protocol->accept);
	if (actions & (SCA | SCN))
		cp_send(cp, pk->code, pk->id, pk->body.p, rd_left(&pk->body));
	if (actions & STA)
		cp_send(cp, CP_TERM_ACK, pk->id, NULL, 0);
	if (actions & SCJ)
		cp_send_reject(cp, CP_CODE_REJ, false, 0, pk->body.p, rd_left(&pk->body));
	if ((actions & SER) && cp->protocol->echo != NULL)
		cp->protocol->echo(cp->link, pk);
}

static void
reset_negotiation(struct cp *cp)
{
	cp->naks_sent = cp->naks_received = 0;
	cp->outstanding = false;
	memset(cp->refused, 0, sizeof(cp->refused));
}

void
cp_event(struct cp *cp, enum cp_event event, const struct cp_packet *pk)
{
	const struct cell *cell = &automaton[event][cp->state];
	uint16_t actions = cell->actions;

	if (cell->next < 0)
		return;
	if (cp->state != cell->next)
		log_debug("ppp state protocol=%s from=%s to=%s", cp->protocol->name,
		    cp_state_name(cp->state), cp_state_name((uint8_t)cell->next));
	cp->state = (uint8_t)cell->next;
	if (cp->state < CP_CLOSING || cp->state == CP_OPENED)
		timer_cancel(&cp->timer);
	if (event == CP_UP) {
		reset_negotiation(cp);
		cp->heard = false;
		cp->asks = cp->protocol->asks(cp->link);
	}
	if (actions & TLD) {
		reset_negotiation(cp);
		hook(cp, cp->protocol->down);
	}
	if (actions & IRC)
		cp->restarts =
		    (actions & STR) ? cp->link->c->max_terminate : cp->link->c->max_configure;
	if (actions & ZRC) {
		cp->restarts = 0;
		timer_set(&cp->timer, cp->link->c->restart_ms);
	}
	act_send(cp, event, actions, pk);
	if (actions & TLU)
		hook(cp, cp->protocol->up);
	if (actions & TLS)
		hook(cp, cp->protocol->started);
	if (actions & TLF)
		hook(cp, cp->protocol->finished);
}

static void
timer_cb(void *arg)
{
	struct cp *cp = arg;

	link_enter(cp->link);
	cp_event(cp, cp->restarts > 0 ? CP_TO_PLUS : CP_TO_MINUS, NULL);
	link_leave(cp->link);
}

void
cp_init(struct cp *cp, const struct cp_protocol *protocol, struct ppp *p)
{
	*cp = (struct cp){.protocol = protocol, .link = p, .state = CP_INITIAL, .next_id = 1};
	timer_init(&cp->timer, p->loop, timer_cb, cp);
}

void
cp_fini(struct cp *cp)
{
	timer_cancel(&cp->timer);
}

void
cp_restore(struct cp *cp, uint8_t next_id, uint8_t acked_id, uint32_t acked_hash)
{
	cp->state = CP_OPENED;
	cp->heard = true;
	cp->asks = cp->protocol->asks(cp->link);
	cp->next_id = next_id;
	cp->acked_id = acked_id;
	cp->acked_hash = acked_hash;
}

/* One option off the body. False at its end, or with the cursor bad: framing is broken. */
static bool
next_option(struct rd *body, uint8_t *type, struct rd *data)
{
	uint8_t len;

	if (rd_left(body) == 0)
		return false;
	*type = rd_u8(body);
	len = rd_u8(body);
	if (len < 2)
		rd_fail(body);
	*data = rd_sub(body, len < 2 ? 0 : len - 2u);
	return rd_ok(body);
}

static void
put_option(struct wr *w, uint8_t type, const uint8_t *data, size_t len)
{
	wr_u8(w, type);
	wr_u8(w, (uint8_t)(2 + len));
	wr_copy(w, data, len);
}

static const struct cp_option *
find_option(const struct cp *cp, uint8_t type, uint16_t *bit)
{
	for (unsigned i = 0; i < cp->protocol->n_options; i++)
		if (cp->protocol->options[i].type == type) {
			*bit = (uint16_t)(1u << i);
			return &cp->protocol->options[i];
		}
	*bit = 0;
	return NULL;
}

/* The answers to one Configure-Request, as they grow. */
struct judgement {
	uint8_t nak_bytes[CP_BODY_MAX], rej_bytes[CP_BODY_MAX], naked_bytes[CP_BODY_MAX];
	struct wr nak, rej,
	    naked; /* what we want; what we refuse; what was asked in place of nak */
};

static void
judge_option(struct cp *cp, struct judgement *j, uint8_t type, struct rd data)
{
	uint8_t want[CP_DATA_MAX];
	struct wr w = wr_init(want, sizeof(want));
	uint16_t bit;
	const struct cp_option *o = find_option(cp, type, &bit);
	enum cp_verdict verdict = CP_REJ;
	struct rd copy = data;

	if (o != NULL && o->judge != NULL && (o->len == CP_ANY_LEN || o->len == rd_left(&data)))
		verdict = o->judge(cp->link, type, &copy, &w);
	if (verdict == CP_REJ)
		put_option(&j->rej, type, data.p, rd_left(&data));
	if (verdict == CP_NAK) {
		put_option(&j->nak, type, want, wr_len(&w));
		put_option(&j->naked, type, data.p, rd_left(&data));
	}
}

/* Judges a whole request. False: malformed, no answer. *reply borrows from j or from pk. */
static bool
judge_request(
    struct cp *cp, const struct cp_packet *pk, struct judgement *j, struct cp_packet *reply)
{
	struct rd body = pk->body, data;
	uint8_t type;

	j->nak = wr_init(j->nak_bytes, sizeof(j->nak_bytes));
	j->rej = wr_init(j->rej_bytes, sizeof(j->rej_bytes));
	j->naked = wr_init(j->naked_bytes, sizeof(j->naked_bytes));
	hook(cp, cp->protocol->judging);
	while (next_option(&body, &type, &data))
		judge_option(cp, j, type, data);
	if (!rd_ok(&body))
		return false;
	if (wr_len(&j->rej) == 0 && cp->protocol->missing != NULL)
		cp->protocol->missing(cp->link, &j->nak);
	if (!wr_ok(&j->nak) || !wr_ok(&j->rej) || !wr_ok(&j->naked))
		return false;
	*reply = (struct cp_packet){CP_CONF_ACK, pk->id, pk->body};
	if (wr_len(&j->rej) > 0) {
		reply->code = CP_CONF_REJ;
		reply->body = rd_init(j->rej_bytes, wr_len(&j->rej));
	} else if (wr_len(&j->nak) > 0) {
		reply->code = CP_CONF_NAK;
		reply->body = rd_init(j->nak_bytes, wr_len(&j->nak));
	}
	return true;
}

static uint32_t
hash(const struct rd *body)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (const uint8_t *b = body->p; b < body->end; b++)
		h = (h ^ *b) * 16777619u;
	return h;
}

static uint32_t
hash_request(uint32_t options_hash, uint8_t id)
{
	uint32_t h = (options_hash ^ id) * 16777619u;

	return h != 0 ? h : 1;
}

static void
remember(struct cp *cp, const struct cp_packet *reply, uint32_t h)
{
	if (reply->code == CP_CONF_ACK) {
		cp->acked_id = reply->id;
		cp->acked_hash = h;
		cp->naks_sent = 0;
		return;
	}
	memmove(cp->refused + 1, cp->refused, sizeof(cp->refused) - sizeof(cp->refused[0]));
	cp->refused[0] = hash_request(h, reply->id);
}

/*
 * After the Ack, a request that we refused before it is late, and gets nothing. Taken at its word
 * it would undo the Ack here while the peer, which has the Ack, stays open.
 */
static bool
is_late(const struct cp *cp, uint32_t request)
{
	if (cp->state < CP_ACK_SENT)
		return false;
	for (size_t i = 0; i < sizeof(cp->refused) / sizeof(cp->refused[0]); i++)
		if (cp->refused[i] == request)
			return true;
	return false;
}

/*
 * Deviation: RFC 1661 takes every Configure-Request in Opened as a renegotiation. The very request
 * that we acked last is a repetition: our Ack was lost, or the request was delayed. Leaving Opened
 * for it would make a Linux client end the link ("MPPE disabled"), so it only gets its Ack again.
 */
static bool
may_renegotiate(struct cp *cp, const struct cp_packet *reply, uint32_t h)
{
	bool same_options = h == cp->acked_hash && reply->code == CP_CONF_ACK;
	enum cp_reopen r = CP_REOPEN;

	if (same_options && reply->id == cp->acked_id)
		r = CP_ACK_AGAIN;
	else if (cp->protocol->reopen != NULL)
		r = cp->protocol->reopen(cp->link, same_options);
	if (r == CP_ACK_AGAIN)
		cp_send(cp, CP_CONF_ACK, reply->id, reply->body.p, rd_left(&reply->body));
	return r == CP_REOPEN;
}

static bool
on_request(struct cp *cp, const struct cp_packet *pk)
{
	struct judgement j;
	struct cp_packet reply;
	uint32_t h = hash(&pk->body);

	if (cp->state < CP_CLOSED)
		return true;
	if (rd_left(&pk->body) > CP_BODY_MAX || !judge_request(cp, pk, &j, &reply))
		return false;
	if (is_late(cp, hash_request(h, pk->id)))
		return true;
	if (cp->state == CP_OPENED && !may_renegotiate(cp, &reply, h))
		return true;
	if (reply.code == CP_CONF_NAK && ++cp->naks_sent > cp->link->c->max_failure) {
		if (cp->protocol->stubborn != NULL) {
			cp->protocol->stubborn(cp->link);
			return true;
		}
		reply.code = CP_CONF_REJ;
		reply.body = rd_init(j.naked_bytes, wr_len(&j.naked));
	}
	remember(cp, &reply, h);
	cp_event(cp, reply.code == CP_CONF_ACK ? CP_RCR_PLUS : CP_RCR_MINUS, &reply);
	return true;
}

static bool
on_ack(struct cp *cp, const struct cp_packet *pk)
{
	uint8_t options[16 * (2 + CP_DATA_MAX)];
	size_t len = build_request(cp, options, sizeof(options));

	if (len != rd_left(&pk->body) || memcmp(options, pk->body.p, len) != 0)
		return false;
	cp->outstanding = false;
	cp->naks_received = 0;
	cp_event(cp, CP_RCA, pk);
	return true;
}

static void
apply_refusal(struct cp *cp, bool nak, uint8_t type, struct rd *data)
{
	uint16_t bit;
	const struct cp_option *o = find_option(cp, type, &bit);

	if (o == NULL || !(cp->asks & bit))
		return; /* a Nak may wish for more than we asked; it is only a wish */
	if (nak && o->naked != NULL) {
		o->naked(cp->link, type, data);
		return;
	}
	/* Some testers nak options without data, which leaves nothing to ask for instead. */
	cp->asks &= (uint16_t)~bit;
	if (o->rejected != NULL)
		o->rejected(cp->link);
}

static bool
on_refusal(struct cp *cp, const struct cp_packet *pk)
{
	struct rd body = pk->body, data;
	uint8_t type;

	while (next_option(&body, &type, &data))
		;
	if (!rd_ok(&body))
		return false;
	body = pk->body;
	while (next_option(&body, &type, &data))
		apply_refusal(cp, pk->code == CP_CONF_NAK, type, &data);
	cp->outstanding = false;
	if (++cp->naks_received > 2 * cp->link->c->max_failure && cp->protocol->hopeless != NULL) {
		cp->protocol->hopeless(cp->link);
		return true;
	}
	cp_event(cp, CP_RCN, pk);
	return true;
}

static bool
on_code_reject(struct cp *cp, const struct cp_packet *pk)
{
	struct rd body = pk->body;
	uint8_t code = rd_u8(&body);

	if (!rd_ok(&body))
		return false;
	if (cp->protocol->heeds_strays)
		cp_event(cp,
		    code >= CP_CONF_REQ && code <= CP_TERM_ACK ? CP_RXJ_MINUS : CP_RXJ_PLUS, pk);
	return true;
}

/* True if the packet was sound, used or not. whole: for a Code-Reject. */
static bool
dispatch(struct cp *cp, const struct cp_packet *pk, const struct rd *whole)
{
	bool answers = cp->outstanding && pk->id == cp->request_id;
	struct cp_packet unknown = {pk->code, pk->id, *whole};

	switch (pk->code) {
	case CP_CONF_REQ:
		return on_request(cp, pk);
	case CP_CONF_ACK:
		return answers ? on_ack(cp, pk) : true;
	case CP_CONF_NAK:
	case CP_CONF_REJ:
		return answers ? on_refusal(cp, pk) : true;
	case CP_TERM_REQ:
		if (cp->protocol->quit != NULL)
			cp->protocol->quit(cp->link, &pk->body);
		cp_event(cp, CP_RTR, pk);
		return true;
	case CP_TERM_ACK:
		if (cp->protocol->heeds_strays)
			cp_event(cp, CP_RTA, pk);
		return true;
	case CP_CODE_REJ:
		return on_code_reject(cp, pk);
	case CP_ECHO_REQ:
	case CP_ECHO_REP:
	case CP_DISCARD:
		if (cp->protocol->echo == NULL)
			break;
		cp_event(cp, CP_RXR, pk);
		return true;
	}
	if (cp->protocol->code == NULL || !cp->protocol->code(cp->link, pk))
		cp_event(cp, CP_RUC, &unknown);
	return true;
}

void
cp_input(struct cp *cp, const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len), whole;
	struct cp_packet pk;
	uint16_t length;

	pk.code = rd_u8(&r);
	pk.id = rd_u8(&r);
	length = rd_u16(&r);
	if (length < CP_HEADER_LEN)
		rd_fail(&r);
	pk.body = rd_sub(
	    &r, rd_ok(&r) ? (size_t)length - CP_HEADER_LEN : 0); /* what follows is padding */
	whole = rd_init(bytes, rd_ok(&r) ? length : 0);
	if (!rd_ok(&r) || !dispatch(cp, &pk, &whole)) {
		cp->link->counters.malformed++;
		return;
	}
	if (!cp->heard)
		hurry(cp);
	cp->heard = true;
}
