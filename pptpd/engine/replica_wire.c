/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encoders and decoders side by side. A frame's fields are walked once when it is cut off, so that
 * a lying length inside is found whether its field is wanted or not.
 */
#include "pptpd/engine/replica_wire.h"

#include <errno.h>
#include <string.h>

enum field_tag {
	FIELD_VERSIONS = 1,
	FIELD_NODE,
	FIELD_ROLE, /* role, boot id */
	FIELD_CLEAN,
	FIELD_CUT,
	FIELD_SIZE,
	FIELD_RECORD,
	FIELD_ID,
	FIELD_ENTRIES,
	FIELD_SEQUENCE,
	FIELD_EPOCH,
	FIELD_WHY,
	FIELD_RELAYED, /* kind, connection, bytes */
	FIELD_REPORT,  /* boot id, sessions */
};

const char *
replica_type_name(uint16_t type)
{
	static const char *const names[REPLICA_TYPE_MAX] = {
	    [REPLICA_HELLO] = "hello",
	    [REPLICA_BEGIN] = "begin",
	    [REPLICA_END] = "end",
	    [REPLICA_CONNECTION] = "connection",
	    [REPLICA_SESSION] = "session",
	    [REPLICA_CONNECTION_GONE] = "connection-gone",
	    [REPLICA_SESSION_GONE] = "session-gone",
	    [REPLICA_MARKS] = "marks",
	    [REPLICA_COUNTERS] = "counters",
	    [REPLICA_APPLIED] = "applied",
	    [REPLICA_FAILED] = "failed",
	    [REPLICA_BEAT] = "beat",
	    [REPLICA_HANDOVER] = "handover",
	    [REPLICA_TAKEN] = "taken",
	    [REPLICA_REFUSED] = "refused",
	    [REPLICA_RELAY] = "relay",
	    [REPLICA_REPORT] = "report",
	};

	return type < REPLICA_TYPE_MAX && names[type] != NULL ? names[type] : "?";
}

static int
fail(int err)
{
	errno = err;
	return -1;
}

/* ---- reading ---- */

static bool
fields_are_sound(struct rd fields)
{
	uint16_t tag;

	while (rd_left(&fields) > 0)
		rd_field(&fields, &tag);
	return rd_ok(&fields);
}

int
replica_frame_next(struct rd *in, struct replica_frame *f)
{
	struct rd look = *in, body;
	uint32_t length = rd_u32(&look);

	if (!rd_ok(&look))
		return 0;
	if (length < REPLICA_LENGTH_MIN || length > REPLICA_LENGTH_MAX)
		return fail(EBADMSG);
	if (rd_left(&look) < length)
		return 0;
	body = rd_sub(&look, length);
	f->type = rd_u16(&body);
	f->flags = rd_u16(&body);
	f->epoch = rd_u64(&body);
	f->sequence = rd_u64(&body);
	f->fields = body;
	if (f->type == 0 || f->type >= REPLICA_TYPE_MAX)
		return fail(EPROTO);
	if (!fields_are_sound(body))
		return fail(EBADMSG);
	*in = look;
	return 1;
}

/* The first field with this tag; a bad cursor if there is none. */
static struct rd
field(const struct replica_frame *f, uint16_t tag)
{
	struct rd fields = f->fields, value;
	uint16_t t;

	while (rd_left(&fields) > 0) {
		value = rd_field(&fields, &t);
		if (t == tag)
			return value;
	}
	value = rd_init(NULL, 0);
	rd_fail(&value);
	return value;
}

int
replica_get_hello(const struct replica_frame *f, struct replica_hello *h)
{
	struct rd versions = field(f, FIELD_VERSIONS), node = field(f, FIELD_NODE);
	struct rd role = field(f, FIELD_ROLE), clean = field(f, FIELD_CLEAN);
	struct rd cut = field(f, FIELD_CUT), report = field(f, FIELD_REPORT);
	size_t n = rd_left(&node);

	memset(h, 0, sizeof *h);
	h->version_min = rd_u16(&versions);
	h->version_max = rd_u16(&versions);
	if (n == 0 || n >= sizeof h->node)
		return fail(EBADMSG);
	rd_copy(&node, h->node, n);
	h->active = rd_u8(&role) != 0;
	h->boot_id = rd_u32(&role);
	h->clean = rd_u8(&clean) != 0;
	h->clean_epoch = rd_u64(&clean);
	h->cut = rd_u64(&cut);
	h->report_boot = rd_u32(&report);
	h->report_n = rd_u32(&report);
	if (!rd_ok(&report)) /* version 1, or nothing to report */
		h->report_boot = h->report_n = 0;
	if (!rd_ok(&versions) || !rd_ok(&role) || !rd_ok(&clean) || !rd_ok(&cut))
		return fail(EBADMSG);
	if (h->version_min == 0 || h->version_min > h->version_max ||
	    h->report_n > REPLICA_STANDS_MAX)
		return fail(EPROTO);
	for (size_t i = 0; i < n; i++)
		if (h->node[i] <= ' ' || h->node[i] > '~')
			return fail(EPROTO);
	return 0;
}

int
replica_get_size(const struct replica_frame *f, struct replica_size *s)
{
	struct rd size = field(f, FIELD_SIZE);

	s->connections = rd_u32(&size);
	s->sessions = rd_u32(&size);
	return rd_ok(&size) ? 0 : fail(EBADMSG);
}

int
replica_get_record(const struct replica_frame *f, struct rd *record)
{
	*record = field(f, FIELD_RECORD);
	return rd_ok(record) ? 0 : fail(EBADMSG);
}

static int
get_u64(const struct replica_frame *f, uint16_t tag, uint64_t *out)
{
	struct rd value = field(f, tag);

	*out = rd_u64(&value);
	return rd_ok(&value) ? 0 : fail(EBADMSG);
}

int
replica_get_id(const struct replica_frame *f, uint64_t *id)
{
	return get_u64(f, FIELD_ID, id);
}

int
replica_get_applied(const struct replica_frame *f, uint64_t *sequence)
{
	return get_u64(f, FIELD_SEQUENCE, sequence);
}

int
replica_get_epoch(const struct replica_frame *f, uint64_t *epoch)
{
	return get_u64(f, FIELD_EPOCH, epoch);
}

int
replica_get_offer(const struct replica_frame *f, struct replica_offer *o)
{
	if (replica_get_epoch(f, &o->epoch) < 0)
		return -1;
	return replica_get_size(f, &o->size);
}

int
replica_get_why(const struct replica_frame *f, char why[static REPLICA_WHY_MAX])
{
	struct rd value = field(f, FIELD_WHY);
	size_t n = rd_left(&value);

	if (!rd_ok(&value) || n >= REPLICA_WHY_MAX)
		return fail(EBADMSG);
	memset(why, 0, REPLICA_WHY_MAX);
	rd_copy(&value, why, n);
	for (size_t i = 0; i < n; i++)
		if (why[i] < ' ' || why[i] > '~')
			return fail(EPROTO);
	return 0;
}

int
replica_get_relayed(const struct replica_frame *f, struct replica_relayed *what)
{
	struct rd value = field(f, FIELD_RELAYED);

	what->kind = rd_u8(&value);
	what->connection = rd_u64(&value);
	what->bytes = value;
	return rd_ok(&value) ? 0 : fail(EBADMSG);
}

int
replica_get_entries(const struct replica_frame *f, struct rd *entries)
{
	size_t each = f->type == REPLICA_MARKS    ? REPLICA_MARK_LEN
		      : f->type == REPLICA_REPORT ? REPLICA_STAND_LEN
						  : REPLICA_COUNTER_LEN;

	*entries = field(f, FIELD_ENTRIES);
	return rd_ok(entries) && rd_left(entries) % each == 0 ? 0 : fail(EBADMSG);
}

void
replica_get_mark(struct rd *entries, struct replica_marks_entry *e)
{
	e->id = rd_u64(entries);
	e->mark.seq = rd_u32(entries);
	e->mark.index = rd_u64(entries);
	e->mark.open = rd_u8(entries);
}

void
replica_get_stand(struct rd *entries, struct replica_stand *s)
{
	s->id = rd_u64(entries);
	s->seq = rd_u32(entries);
	s->index = rd_u64(entries);
	s->any_acked = rd_u8(entries) != 0;
	s->acked = rd_u32(entries);
}

#define COUNTERS_RX_ANY     0x01
#define COUNTERS_TX_ANY_ACK 0x02

void
replica_get_counters(struct rd *entries, struct record_counters *c)
{
	uint8_t flags;

	memset(c, 0, sizeof *c);
	c->id = rd_u64(entries);
	c->tx_seq = rd_u32(entries);
	c->tx_acked = rd_u32(entries);
	c->rx_seq = rd_u32(entries);
	flags = rd_u8(entries);
	c->rx_any = flags & COUNTERS_RX_ANY;
	c->tx_any_ack = flags & COUNTERS_TX_ANY_ACK;
	c->rx_index = rd_u64(entries);
	c->accounting.rx_packets = rd_u64(entries);
	c->accounting.rx_octets = rd_u64(entries);
	c->accounting.tx_packets = rd_u64(entries);
	c->accounting.tx_octets = rd_u64(entries);
}

/* ---- writing ---- */

void
replica_frame_begin(struct wr *w, uint16_t type, uint64_t epoch, uint64_t sequence)
{
	wr_u32(w, 0);
	wr_u16(w, type);
	wr_u16(w, 0);
	wr_u64(w, epoch);
	wr_u64(w, sequence);
}

void
replica_frame_end(struct wr *w)
{
	if (wr_ok(w))
		wr_patch_u32(w, w->start, (uint32_t)(wr_len(w) - 4));
}

static void
put_u64(struct wr *w, uint16_t tag, uint64_t v)
{
	uint8_t *at = wr_field_begin(w, tag);

	wr_u64(w, v);
	wr_field_end(w, at);
}

void
replica_put_hello(struct wr *w, const struct replica_hello *h)
{
	uint8_t *at = wr_field_begin(w, FIELD_VERSIONS);

	wr_u16(w, h->version_min);
	wr_u16(w, h->version_max);
	wr_field_end(w, at);
	at = wr_field_begin(w, FIELD_NODE);
	wr_copy(w, h->node, strnlen(h->node, sizeof h->node - 1));
	wr_field_end(w, at);
	at = wr_field_begin(w, FIELD_ROLE);
	wr_u8(w, h->active);
	wr_u32(w, h->boot_id);
	wr_field_end(w, at);
	at = wr_field_begin(w, FIELD_CLEAN);
	wr_u8(w, h->clean);
	wr_u64(w, h->clean_epoch);
	wr_field_end(w, at);
	put_u64(w, FIELD_CUT, h->cut);
	if (h->report_n == 0)
		return;
	at = wr_field_begin(w, FIELD_REPORT);
	wr_u32(w, h->report_boot);
	wr_u32(w, h->report_n);
	wr_field_end(w, at);
}

void
replica_put_size(struct wr *w, const struct replica_size *s)
{
	uint8_t *at = wr_field_begin(w, FIELD_SIZE);

	wr_u32(w, s->connections);
	wr_u32(w, s->sessions);
	wr_field_end(w, at);
}

void
replica_put_session(struct wr *w, const struct session_record *r)
{
	uint8_t *at = wr_field_begin(w, FIELD_RECORD);

	(void)session_record_encode(r, w);
	wr_field_end(w, at);
}

void
replica_put_connection(struct wr *w, const struct connection_record *r)
{
	uint8_t *at = wr_field_begin(w, FIELD_RECORD);

	(void)connection_record_encode(r, w);
	wr_field_end(w, at);
}

void
replica_put_id(struct wr *w, uint64_t id)
{
	put_u64(w, FIELD_ID, id);
}

void
replica_put_applied(struct wr *w, uint64_t sequence)
{
	put_u64(w, FIELD_SEQUENCE, sequence);
}

void
replica_put_epoch(struct wr *w, uint64_t epoch)
{
	put_u64(w, FIELD_EPOCH, epoch);
}

void
replica_put_offer(struct wr *w, const struct replica_offer *o)
{
	replica_put_epoch(w, o->epoch);
	replica_put_size(w, &o->size);
}

void
replica_put_why(struct wr *w, const char *why)
{
	uint8_t *at = wr_field_begin(w, FIELD_WHY);
	size_t len = strlen(why);

	wr_copy(w, why, len < REPLICA_WHY_MAX ? len : REPLICA_WHY_MAX - 1);
	wr_field_end(w, at);
}

void
replica_put_relayed(
    struct wr *w, uint8_t kind, uint64_t connection, const uint8_t *bytes, size_t len)
{
	uint8_t *at = wr_field_begin(w, FIELD_RELAYED);

	wr_u8(w, kind);
	wr_u64(w, connection);
	wr_copy(w, bytes, len);
	wr_field_end(w, at);
}

uint8_t *
replica_entries_begin(struct wr *w)
{
	return wr_field_begin(w, FIELD_ENTRIES);
}

void
replica_put_mark(struct wr *w, const struct replica_marks_entry *e)
{
	wr_u64(w, e->id);
	wr_u32(w, e->mark.seq);
	wr_u64(w, e->mark.index);
	wr_u8(w, e->mark.open);
}

void
replica_put_counters(struct wr *w, const struct record_counters *c)
{
	wr_u64(w, c->id);
	wr_u32(w, c->tx_seq);
	wr_u32(w, c->tx_acked);
	wr_u32(w, c->rx_seq);
	wr_u8(w, (uint8_t)((c->rx_any ? COUNTERS_RX_ANY : 0) |
			   (c->tx_any_ack ? COUNTERS_TX_ANY_ACK : 0)));
	wr_u64(w, c->rx_index);
	wr_u64(w, c->accounting.rx_packets);
	wr_u64(w, c->accounting.rx_octets);
	wr_u64(w, c->accounting.tx_packets);
	wr_u64(w, c->accounting.tx_octets);
}

void
replica_put_stand(struct wr *w, const struct replica_stand *s)
{
	wr_u64(w, s->id);
	wr_u32(w, s->seq);
	wr_u64(w, s->index);
	wr_u8(w, s->any_acked);
	wr_u32(w, s->acked);
}

void
replica_entries_end(struct wr *w, uint8_t *at)
{
	wr_field_end(w, at);
}
