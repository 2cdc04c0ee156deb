/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PPTP control messages: one row per type, and the framer that cuts a TCP stream into messages.
 * Parsers see the body alone, whose length the row has already been checked against; what the RFC
 * reserves is skipped when read and zero when written. Nothing here allocates, logs or keeps time;
 * a framer belongs to its control connection.
 *
 * Invariant: a framer never holds a byte beyond the message it is collecting, so its buffer cannot
 * overflow whatever the length field says.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/wire/pptp.h"

#define PPTP_CONTROL    1 /* message type; 2 is "management", which nobody has defined */
#define PPTP_STATS_LEN  128
#define PPTP_NUMBER_LEN 64 /* phone numbers and subaddress */

struct header {
	uint16_t length;
	uint16_t message_type;
	uint32_t magic;
	uint16_t type;
	uint16_t reserved0;
};

struct row {
	uint8_t type;
	const char *name;
	uint16_t size;
	void (*parse)(struct rd *r, struct pptp_message *m);
	void (*encode)(struct wr *w, const struct pptp_message *m);
};

/* The text of a fixed field; what follows its NUL is dropped, dst is zeroed by the caller. */
static void
parse_text(struct rd *r, char *dst, size_t size)
{
	const uint8_t *p = rd_bytes(r, size);

	if (p != NULL)
		memcpy(dst, p, strnlen((const char *)p, size));
}

/* The second half of SCCRQ and SCCRP is the same. */
static void
parse_abilities(struct rd *r, struct pptp_message *m)
{
	m->framing = rd_u32(r);
	m->bearer = rd_u32(r);
	m->max_channels = rd_u16(r);
	m->firmware = rd_u16(r);
	parse_text(r, m->host, PPTP_HOSTNAME_LEN);
	parse_text(r, m->vendor, PPTP_VENDOR_LEN);
}

static void
encode_abilities(struct wr *w, const struct pptp_message *m)
{
	wr_u32(w, m->framing);
	wr_u32(w, m->bearer);
	wr_u16(w, m->max_channels);
	wr_u16(w, m->firmware);
	wr_fixed_string(w, m->host, PPTP_HOSTNAME_LEN);
	wr_fixed_string(w, m->vendor, PPTP_VENDOR_LEN);
}

static void
parse_sccrq(struct rd *r, struct pptp_message *m)
{
	m->version = rd_u16(r);
	rd_skip(r, 2);
	parse_abilities(r, m);
}

static void
encode_sccrq(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->version);
	wr_zero(w, 2);
	encode_abilities(w, m);
}

static void
parse_sccrp(struct rd *r, struct pptp_message *m)
{
	m->version = rd_u16(r);
	m->result = rd_u8(r);
	m->error = rd_u8(r);
	parse_abilities(r, m);
}

static void
encode_sccrp(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->version);
	wr_u8(w, m->result);
	wr_u8(w, m->error);
	encode_abilities(w, m);
}

static void
parse_stop_rq(struct rd *r, struct pptp_message *m)
{
	m->reason = rd_u8(r);
	rd_skip(r, 3);
}

static void
encode_stop_rq(struct wr *w, const struct pptp_message *m)
{
	wr_u8(w, m->reason);
	wr_zero(w, 3);
}

static void
parse_stop_rp(struct rd *r, struct pptp_message *m)
{
	m->result = rd_u8(r);
	m->error = rd_u8(r);
	rd_skip(r, 2);
}

static void
encode_stop_rp(struct wr *w, const struct pptp_message *m)
{
	wr_u8(w, m->result);
	wr_u8(w, m->error);
	wr_zero(w, 2);
}

static void
parse_echo_rq(struct rd *r, struct pptp_message *m)
{
	m->echo_id = rd_u32(r);
}

static void
encode_echo_rq(struct wr *w, const struct pptp_message *m)
{
	wr_u32(w, m->echo_id);
}

static void
parse_echo_rp(struct rd *r, struct pptp_message *m)
{
	m->echo_id = rd_u32(r);
	parse_stop_rp(r, m);
}

static void
encode_echo_rp(struct wr *w, const struct pptp_message *m)
{
	wr_u32(w, m->echo_id);
	encode_stop_rp(w, m);
}

static void
parse_ocrq(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	m->serial = rd_u16(r);
	m->min_bps = rd_u32(r);
	m->max_bps = rd_u32(r);
	m->bearer = rd_u32(r);
	m->framing = rd_u32(r);
	m->window = rd_u16(r);
	m->delay = rd_u16(r);
	rd_skip(r, 4 + 2 * PPTP_NUMBER_LEN);
}

static void
encode_ocrq(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_u16(w, m->serial);
	wr_u32(w, m->min_bps);
	wr_u32(w, m->max_bps);
	wr_u32(w, m->bearer);
	wr_u32(w, m->framing);
	wr_u16(w, m->window);
	wr_u16(w, m->delay);
	wr_zero(w, 4 + 2 * PPTP_NUMBER_LEN);
}

static void
parse_ocrp(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	m->peer_call_id = rd_u16(r);
	m->result = rd_u8(r);
	m->error = rd_u8(r);
	m->cause = rd_u16(r);
	m->speed = rd_u32(r);
	m->window = rd_u16(r);
	m->delay = rd_u16(r);
	m->channel = rd_u32(r);
}

static void
encode_ocrp(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_u16(w, m->peer_call_id);
	wr_u8(w, m->result);
	wr_u8(w, m->error);
	wr_u16(w, m->cause);
	wr_u32(w, m->speed);
	wr_u16(w, m->window);
	wr_u16(w, m->delay);
	wr_u32(w, m->channel);
}

static void
parse_icrq(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	m->serial = rd_u16(r);
	m->bearer = rd_u32(r);
	m->channel = rd_u32(r);
	rd_skip(r, 4 + 3 * PPTP_NUMBER_LEN);
}

static void
encode_icrq(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_u16(w, m->serial);
	wr_u32(w, m->bearer);
	wr_u32(w, m->channel);
	wr_zero(w, 4 + 3 * PPTP_NUMBER_LEN);
}

static void
parse_icrp(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	m->peer_call_id = rd_u16(r);
	m->result = rd_u8(r);
	m->error = rd_u8(r);
	m->window = rd_u16(r);
	m->delay = rd_u16(r);
	rd_skip(r, 2);
}

static void
encode_icrp(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_u16(w, m->peer_call_id);
	wr_u8(w, m->result);
	wr_u8(w, m->error);
	wr_u16(w, m->window);
	wr_u16(w, m->delay);
	wr_zero(w, 2);
}

static void
parse_iccn(struct rd *r, struct pptp_message *m)
{
	m->peer_call_id = rd_u16(r);
	rd_skip(r, 2);
	m->speed = rd_u32(r);
	m->window = rd_u16(r);
	m->delay = rd_u16(r);
	m->framing = rd_u32(r);
}

static void
encode_iccn(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->peer_call_id);
	wr_zero(w, 2);
	wr_u32(w, m->speed);
	wr_u16(w, m->window);
	wr_u16(w, m->delay);
	wr_u32(w, m->framing);
}

static void
parse_ccrq(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	rd_skip(r, 2);
}

static void
encode_ccrq(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_zero(w, 2);
}

static void
parse_cdn(struct rd *r, struct pptp_message *m)
{
	m->call_id = rd_u16(r);
	m->result = rd_u8(r);
	m->error = rd_u8(r);
	m->cause = rd_u16(r);
	rd_skip(r, 2 + PPTP_STATS_LEN);
}

static void
encode_cdn(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->call_id);
	wr_u8(w, m->result);
	wr_u8(w, m->error);
	wr_u16(w, m->cause);
	wr_zero(w, 2 + PPTP_STATS_LEN);
}

static void
parse_wen(struct rd *r, struct pptp_message *m)
{
	m->peer_call_id = rd_u16(r);
	rd_skip(r, 2);
	for (size_t i = 0; i < 6; i++)
		m->wan_errors[i] = rd_u32(r);
}

static void
encode_wen(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->peer_call_id);
	wr_zero(w, 2);
	for (size_t i = 0; i < 6; i++)
		wr_u32(w, m->wan_errors[i]);
}

static void
parse_sli(struct rd *r, struct pptp_message *m)
{
	m->peer_call_id = rd_u16(r);
	rd_skip(r, 2);
	m->send_accm = rd_u32(r);
	m->recv_accm = rd_u32(r);
}

static void
encode_sli(struct wr *w, const struct pptp_message *m)
{
	wr_u16(w, m->peer_call_id);
	wr_zero(w, 2);
	wr_u32(w, m->send_accm);
	wr_u32(w, m->recv_accm);
}

static const struct row rows[] = {
    {PPTP_SCCRQ, "SCCRQ", 156, parse_sccrq, encode_sccrq},
    {PPTP_SCCRP, "SCCRP", 156, parse_sccrp, encode_sccrp},
    {PPTP_STOP_RQ, "StopCCRQ", 16, parse_stop_rq, encode_stop_rq},
    {PPTP_STOP_RP, "StopCCRP", 16, parse_stop_rp, encode_stop_rp},
    {PPTP_ECHO_RQ, "EchoRQ", 16, parse_echo_rq, encode_echo_rq},
    {PPTP_ECHO_RP, "EchoRP", 20, parse_echo_rp, encode_echo_rp},
    {PPTP_OCRQ, "OCRQ", 168, parse_ocrq, encode_ocrq},
    {PPTP_OCRP, "OCRP", 32, parse_ocrp, encode_ocrp},
    {PPTP_ICRQ, "ICRQ", 220, parse_icrq, encode_icrq},
    {PPTP_ICRP, "ICRP", 24, parse_icrp, encode_icrp},
    {PPTP_ICCN, "ICCN", 28, parse_iccn, encode_iccn},
    {PPTP_CCRQ, "CCRQ", 16, parse_ccrq, encode_ccrq},
    {PPTP_CDN, "CDN", 148, parse_cdn, encode_cdn},
    {PPTP_WEN, "WEN", 40, parse_wen, encode_wen},
    {PPTP_SLI, "SLI", 24, parse_sli, encode_sli},
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == PPTP_TYPE_MAX, "a row per type");

/* Takes the wire's 16 bits, so that type 0x0101 is not mistaken for 1. */
static const struct row *
find_row(uint16_t type)
{
	return type >= 1 && type <= PPTP_TYPE_MAX ? &rows[type - 1] : NULL;
}

size_t
pptp_size(uint8_t type)
{
	const struct row *row = find_row(type);

	return row != NULL ? row->size : 0;
}

const char *
pptp_name(uint8_t type)
{
	const struct row *row = find_row(type);

	return row != NULL ? row->name : "?";
}

/*
 * Reads as much of the header as there is and judges every field that is complete, so that a
 * stream that is not PPTP is known at its second byte and not waited for. 0, or an errno.
 */
static int
check_header(struct rd r, struct header *h)
{
	size_t have = rd_left(&r);
	const struct row *row;

	*h = (struct header){0};
	if (have < 2)
		return 0;
	h->length = rd_u16(&r);
	if (h->length < PPTP_HEADER_LEN || h->length > PPTP_MESSAGE_MAX)
		return EBADMSG;
	if (have < 4)
		return 0;
	h->message_type = rd_u16(&r);
	if (h->message_type != PPTP_CONTROL)
		return EBADMSG;
	if (have < 8)
		return 0;
	h->magic = rd_u32(&r);
	if (h->magic != PPTP_MAGIC)
		return EBADMSG;
	if (have < PPTP_HEADER_LEN)
		return 0;
	h->type = rd_u16(&r);
	/* Deviation: Cisco PIX fills this; a strict check would drop it. */
	h->reserved0 = rd_u16(&r);
	row = find_row(h->type);
	return row != NULL && row->size != h->length ? EPROTO : 0;
}

int
pptp_parse(const uint8_t *bytes, size_t len, struct pptp_message *m)
{
	struct rd r = rd_init(bytes, len);
	const struct row *row;
	struct header h;
	int error;

	memset(m, 0, sizeof(*m));
	error = check_header(r, &h);
	if (error == 0 && (len < PPTP_HEADER_LEN || h.length != len))
		error = EBADMSG;
	if (error != 0) {
		errno = error;
		return -1;
	}
	m->type = h.type <= UINT8_MAX ? h.type : UINT8_MAX;
	row = find_row(h.type);
	if (row == NULL) {
		errno = ENOMSG;
		return -1;
	}
	m->reserved0 = h.reserved0;
	rd_skip(&r, PPTP_HEADER_LEN);
	row->parse(&r, m);
	return 0;
}

int
pptp_encode(const struct pptp_message *m, struct wr *w)
{
	const struct row *row = find_row(m->type);

	if (row == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (!wr_ok(w) || wr_room(w) < row->size) {
		errno = ENOSPC;
		return -1;
	}
	wr_u16(w, row->size);
	wr_u16(w, PPTP_CONTROL);
	wr_u32(w, PPTP_MAGIC);
	wr_u16(w, row->type);
	wr_zero(w, 2);
	row->encode(w, m);
	return 0;
}

void
pptp_framer_init(struct pptp_framer *f)
{
	f->have = 0;
	f->seeking = false;
}

const uint8_t *
pptp_framer_partial(const struct pptp_framer *f, size_t *len)
{
	*len = f->have;
	return f->buf;
}

int
pptp_framer_continue(struct pptp_framer *f, const uint8_t *partial, size_t len)
{
	struct header h;
	int error = check_header(rd_init(partial, len), &h);

	pptp_framer_init(f);
	if (error == 0 && len >= PPTP_HEADER_LEN && len >= h.length)
		error = EBADMSG;
	if (error != 0) {
		errno = error;
		return -1;
	}
	memcpy(f->buf, partial, len);
	f->have = (uint16_t)len;
	return 0;
}

void
pptp_framer_seek(struct pptp_framer *f)
{
	f->have = 0;
	f->seeking = true;
}

/* While it seeks, what does not begin a message of a known type is dropped byte by byte. */
static bool
seek_on(struct pptp_framer *f, const struct header *h, int error)
{
	if (!f->seeking)
		return false;
	if (error == 0 && (f->have < PPTP_HEADER_LEN || find_row(h->type) != NULL))
		return false;
	memmove(f->buf, f->buf + 1, --f->have);
	return true;
}

int
pptp_framer_feed(struct pptp_framer *f, const uint8_t *bytes, size_t len,
    bool (*on_message)(void *arg, const struct pptp_message *m), void *arg)
{
	struct rd r = rd_init(bytes, len);

	for (;;) {
		struct pptp_message m;
		struct header h;
		size_t want, take;
		/* A broken header stays in the buffer, so a dead stream stays dead. */
		int error = check_header(rd_init(f->buf, f->have), &h);

		if (seek_on(f, &h, error))
			continue;
		if (error != 0) {
			errno = error;
			return -1;
		}
		want = f->have < PPTP_HEADER_LEN ? PPTP_HEADER_LEN : h.length;
		if (f->have >= PPTP_HEADER_LEN && f->have == want) {
			/* Well-framed by now: all that can fail is a type that nobody knows. */
			(void)pptp_parse(f->buf, f->have, &m);
			f->have = 0;
			f->seeking = false;
			if (!on_message(arg, &m))
				return 0;
			continue;
		}
		take = want - f->have < rd_left(&r) ? want - f->have : rd_left(&r);
		if (take == 0)
			return 0;
		rd_copy(&r, f->buf + f->have, take);
		f->have += (uint16_t)take;
	}
}
