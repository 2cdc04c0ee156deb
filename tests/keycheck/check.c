/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The judgement.
 */
#include "tests/keycheck/check.h"

#include <netinet/in.h>
#include <string.h>

#include "common/cursor.h"
#include "pptpd/ppp/ppp.h"
#include "pptpd/wire/gre.h"
#include "pptpd/wire/pptp.h"

#define STRAGGLERS_US   2000000 /* the old gateway's frames so soon are no takeover back */
#define COUNT_SPACE     4096
#define COUNT_MASK      (COUNT_SPACE - 1)
#define TRIES           4 /* turns of the count, to either side */
#define TCP_FIN_RST     5
#define ICMP_UNREACH    3
#define UNREACH_PROTO   2
#define UNREACH_PORT    3
#define FRAGMENT_OFFSET 0x1fff

const char *
fault_name(enum fault f)
{
	static const char *const names[FAULT_MAX] = {"key_reused", "number_reused", "backward",
	    "unreadable", "closed", "unreachable", "cut"};

	return names[f];
}

/* FNV-1a over number and payload; never 0. */
static uint64_t
fingerprint(uint32_t number, const uint8_t *bytes, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ number;

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	return h != 0 ? h : 1;
}

static void
found(struct check *c, enum fault fault, const struct frame *f, const struct call *call,
    uint32_t number, uint64_t index, const struct use *before)
{
	c->faults[fault]++;
	if (c->n_examples == CHECK_EXAMPLES)
		return;
	c->examples[c->n_examples++] = (struct example){.fault = fault,
	    .at_us = f->at_us,
	    .sender = f->sender,
	    .before_us = before != NULL ? before->at_us : 0,
	    .before_sender = before != NULL ? before->sender : 0,
	    .session = call->session,
	    .number = number,
	    .index = index};
}

/* ---- takeovers ---- */

static struct takeover *
takeover(struct check *c)
{
	return c->n_takeovers > 0 ? &c->takeovers[c->n_takeovers - 1] : NULL;
}

/* Whether the frame is the serving gateway's; a new one may begin with it. */
static bool
is_serving(struct check *c, const struct frame *f)
{
	struct takeover *t = takeover(c);

	if (f->sender == c->sender && c->frames > 0)
		return true;
	if (t != NULL && f->sender == t->from && f->at_us - t->at_us < STRAGGLERS_US) {
		t->stragglers++;
		return false;
	}
	if (c->frames > 0) {
		if (c->n_takeovers < CHECK_TAKEOVERS)
			c->n_takeovers++;
		*takeover(c) =
		    (struct takeover){.at_us = f->at_us, .from = c->sender, .to = f->sender};
	}
	c->sender = f->sender;
	return true;
}

/* ---- numbers ---- */

static void
jump_numbers(
    struct check *c, struct call *call, const struct frame *f, uint32_t place, bool encrypted)
{
	struct takeover *t = takeover(c);
	uint32_t last = call->last_number;

	if ((int32_t)(place - last) <= 0) {
		/* A client drops it. Control frames come so, to fill the gap before a mark. */
		if (encrypted && call->sender != f->sender)
			found(c, FAULT_BACKWARD, f, call, place + call->first_number, 0, NULL);
		return;
	}
	if (call->sender == f->sender) {
		if (place - last - 1 > c->within_numbers)
			c->within_numbers = place - last - 1;
		return;
	}
	call->sender = f->sender;
	call->keyed_since = false;
	if (t == NULL)
		return;
	t->calls++;
	if (place - last - 1 > t->numbers_max)
		t->numbers_max = place - last - 1;
}

/* False if this very frame was seen before. */
static bool
note_number(struct check *c, struct call *call, const struct frame *f, uint32_t number,
    const struct use *use, bool serving)
{
	const struct use *before;
	uint32_t place;
	bool again, failed;

	if (!call->any_number) {
		/* Room for what was numbered before the keys were there, and is sent late. */
		call->first_number = number > 16 ? number - 16 : 0;
		call->last_number = number - call->first_number - 1;
		call->any_number = true;
		call->sender = f->sender;
	}
	place = number - call->first_number;
	before = uses_note(&call->numbers, place, use, &again, &failed);
	c->out_of_memory = c->out_of_memory || failed;
	if (again)
		return false;
	if (before != NULL && before->encrypted && use->encrypted)
		found(c, FAULT_NUMBER, f, call, number, 0, before);
	else if (before != NULL)
		c->filled++;
	if (serving)
		jump_numbers(c, call, f, place, use->encrypted);
	if ((int32_t)(place - call->last_number) > 0)
		call->last_number = place;
	return true;
}

/* ---- keys ---- */

enum sense {
	SENSE_NONE,
	SENSE_WALK,
	SENSE_IP
};

static enum sense
sense_of(const uint8_t *plain, size_t len)
{
	struct rd r = rd_init(plain, len);
	uint16_t protocol = rd_u8(&r);
	uint32_t sum = 0;
	uint8_t version_ihl;

	if ((protocol & 1) == 0)
		protocol = (uint16_t)(protocol << 8 | rd_u8(&r));
	if (!rd_ok(&r) || protocol != PPP_IP || rd_left(&r) == 0)
		return SENSE_NONE;
	version_ihl = r.p[0];
	if (version_ihl >> 4 == 0)
		return SENSE_WALK;
	if (version_ihl >> 4 != 4 || (version_ihl & 15) < 5 ||
	    rd_left(&r) < (size_t)(version_ihl & 15) * 4)
		return SENSE_NONE;
	for (int i = 0; i < (version_ihl & 15) * 2; i++)
		sum += rd_u16(&r);
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum + (sum >> 16)) & 0xffff) == 0xffff ? SENSE_IP : SENSE_NONE;
}

static enum sense
try_index(struct call *call, const uint8_t *bytes, size_t len, int64_t index)
{
	uint8_t plain[CAPTURE_FRAME_MAX];
	struct mppe key, next;
	enum sense sense = SENSE_NONE;
	uint32_t skipped;

	if (index < 0 || !keys_get(&call->keys, (uint64_t)index, &key))
		return SENSE_NONE;
	if (mppe_decrypt(&key, bytes, len, plain, &next, &skipped) == MPPE_OK && skipped == 0)
		sense = sense_of(plain, len - MPPE_HEADER_LEN);
	mppe_fini(&key);
	mppe_fini(&next);
	return sense;
}

/*
 * The absolute index: the one with this count that is nearest to the highest so far, or a turn of
 * the count away, if only that makes sense. A walk frame's few fixed bits are not believed so far
 * from where they are expected.
 */
static enum sense
resolve(struct call *call, const uint8_t *bytes, size_t len, uint64_t *index)
{
	uint16_t count = (uint16_t)((bytes[0] << 8 | bytes[1]) & COUNT_MASK);
	int64_t near = call->any_key ? (int64_t)call->last_index : 0;
	int64_t ahead = (count - near) & COUNT_MASK, first;
	enum sense sense;

	first = near + (ahead > COUNT_SPACE / 2 && call->any_key ? ahead - COUNT_SPACE : ahead);
	for (int64_t turn = 0; turn <= 2 * TRIES; turn++) {
		int64_t at = first + (turn + 1) / 2 * (turn % 2 != 0 ? COUNT_SPACE : -COUNT_SPACE);

		sense = try_index(call, bytes, len, at);
		*index = (uint64_t)at;
		if (sense == SENSE_IP || (sense == SENSE_WALK && turn == 0))
			return sense;
	}
	return SENSE_NONE;
}

static void
jump_keys(struct check *c, struct call *call, uint64_t index)
{
	struct takeover *t = takeover(c);
	uint64_t jump = call->any_key ? index - call->last_index - 1 : index;

	if (index <= call->last_index && call->any_key)
		return;
	if (call->keyed_since || t == NULL) {
		if (call->any_key && jump > c->within_keys)
			c->within_keys = jump;
	} else if (jump > t->keys_max) {
		t->keys_max = jump;
	}
}

static void
note_key(struct check *c, struct call *call, const struct frame *f, uint32_t number,
    const uint8_t *bytes, size_t len, const struct use *use, bool serving)
{
	const struct use *before;
	uint64_t index = 0;
	enum sense sense = len > MPPE_HEADER_LEN ? resolve(call, bytes, len, &index) : SENSE_NONE;
	bool again, failed;

	c->encrypted++;
	if (sense == SENSE_NONE) {
		found(c, FAULT_UNREADABLE, f, call, number, 0, NULL);
		return;
	}
	c->walks += sense == SENSE_WALK;
	before = uses_note(&call->indices, index, use, &again, &failed);
	c->out_of_memory = c->out_of_memory || failed;
	if (before != NULL)
		found(c, FAULT_KEY, f, call, number, index, before);
	if (serving) {
		jump_keys(c, call, index);
		call->keyed_since = true;
	}
	if (!call->any_key || index > call->last_index)
		call->last_index = index;
	call->any_key = true;
}

/* ---- frames ---- */

static void
gre(struct check *c, const struct frame *f, uint32_t client, struct rd r)
{
	const uint8_t *rest;
	struct gre_header h;
	struct rd payload;
	struct call *call;
	struct use use;
	size_t len, rest_len;
	uint16_t protocol;
	bool serving, encrypted;

	if (gre_parse(&r, &h, &payload) < 0)
		return;
	serving = is_serving(c, f);
	c->frames++;
	if (!h.has_seq)
		return;
	call = calls_find(c->calls, client, h.call_id, f->at_us);
	len = rd_left(&payload);
	encrypted = ppp_decapsulate(payload.p, len, &protocol, &rest, &rest_len) == 0 &&
		    protocol == PPP_COMP;
	if (call == NULL) {
		c->unknown++;
		c->unknown_encrypted += encrypted;
		return;
	}
	use = (struct use){.print = fingerprint(h.seq, payload.p, len),
	    .at_us = f->at_us,
	    .sender = f->sender,
	    .encrypted = encrypted};
	if (!note_number(c, call, f, h.seq, &use, serving)) {
		c->repeated++;
		return;
	}
	if (encrypted)
		note_key(c, call, f, h.seq, rest, rest_len, &use, serving);
}

static void
tcp(struct check *c, const struct frame *f, uint32_t client, struct rd r)
{
	uint16_t from = rd_u16(&r), to = rd_u16(&r);
	const struct call *call;
	uint8_t flags;

	rd_skip(&r, 9);
	flags = rd_u8(&r);
	if (!rd_ok(&r) || from != PPTP_PORT || (flags & TCP_FIN_RST) == 0)
		return;
	if ((call = calls_live(c->calls, client, to, f->at_us)) != NULL)
		found(c, FAULT_CLOSED, f, call, 0, 0, NULL);
}

static void
icmp(struct check *c, const struct frame *f, uint32_t client, struct rd r)
{
	uint8_t type = rd_u8(&r), code = rd_u8(&r);
	const struct call *call;

	if (!rd_ok(&r) || type != ICMP_UNREACH || (code != UNREACH_PROTO && code != UNREACH_PORT))
		return;
	if ((call = calls_live(c->calls, client, 0, f->at_us)) != NULL)
		found(c, FAULT_UNREACHABLE, f, call, 0, 0, NULL);
}

void
check_frame(struct check *c, const struct frame *f)
{
	struct rd r = rd_init(f->ip, f->len), body;
	size_t header = (size_t)(rd_u8(&r) & 15) * 4, total;
	uint16_t fragment;
	uint8_t protocol;
	uint32_t source, client;
	const struct call *call;

	rd_skip(&r, 1);
	total = rd_u16(&r);
	rd_skip(&r, 2);
	fragment = rd_u16(&r);
	rd_skip(&r, 1);
	protocol = rd_u8(&r);
	rd_skip(&r, 2);
	source = rd_u32(&r);
	client = rd_u32(&r);
	rd_skip(&r, header >= 20 ? header - 20 : 0);
	if (!rd_ok(&r) || header < 20 || source != c->vip || (fragment & FRAGMENT_OFFSET) != 0)
		return;
	if (total < header || f->len < total) {
		if ((call = calls_live(c->calls, client, 0, f->at_us)) != NULL)
			found(c, FAULT_CUT, f, call, 0, 0, NULL);
		return;
	}
	body = rd_sub(&r, total - header);
	if (protocol == IPPROTO_GRE)
		gre(c, f, client, body);
	else if (protocol == IPPROTO_TCP)
		tcp(c, f, client, body);
	else if (protocol == IPPROTO_ICMP)
		icmp(c, f, client, body);
}

void
check_init(struct check *c, struct calls *calls, uint32_t vip)
{
	memset(c, 0, sizeof(*c));
	c->calls = calls;
	c->vip = vip;
}
