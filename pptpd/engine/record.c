/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encoding: u16 version, u16 length of what follows, then fields {u16 tag, u16 length, value}. Each
 * group of a record is one field whose value is its members in order. What a later version adds
 * gets tags of its own: those are kept and passed on by a version that lacks them. The two records
 * share one space of tags, so that neither can be read as the other.
 */
#include "pptpd/engine/record.h"

#include <errno.h>
#include <string.h>

#include "pptpd/data/keygate.h"
#include "pptpd/priv/tcp_codec.h"

enum record_tag { /* 1 to 15 bore an encoding that is gone */
	TAG_CONNECTION_ID = 16,
	TAG_TCP,
	TAG_CONTROL,
	TAG_TAIL,
	TAG_PARTIAL,
	TAG_SESSION_ID = 32,
	TAG_CALL,
	TAG_PPP,
	TAG_PEER_NAME,
	TAG_MPPE_TX,
	TAG_MPPE_RX,
	TAG_MARK,
	TAG_USER,
	TAG_ACCT_ID,
	TAG_NT_HASH,
	TAG_ACCOUNTING,
	TAG_TIMERS,
	TAG_PPP_ACKED,
};

static void
put_bytes(struct wr *w, uint16_t tag, const void *bytes, size_t len)
{
	uint8_t *at;

	if (len == 0)
		return;
	at = wr_field_begin(w, tag);
	wr_copy(w, bytes, len);
	wr_field_end(w, at);
}

#define CONTROL_ECHO_PENDING 0x01
#define CONTROL_BUFFERS_GAPS 0x02

static void
put_tcp(struct wr *w, const struct tcp_snapshot *t)
{
	uint8_t *at = wr_field_begin(w, TAG_TCP);

	tcp_snapshot_encode(w, t);
	wr_field_end(w, at);
}

static void
put_control(struct wr *w, const struct connection_record *c)
{
	uint8_t *at = wr_field_begin(w, TAG_CONTROL);

	wr_u32(w, c->rx_bytes);
	wr_u32(w, c->acked_bytes);
	wr_u8(w, c->state);
	wr_u8(w, (uint8_t)((c->echo_pending ? CONTROL_ECHO_PENDING : 0) |
			   (c->buffers_gaps ? CONTROL_BUFFERS_GAPS : 0)));
	wr_u32(w, c->echo_id);
	wr_u32(w, c->peer_echo_id);
	wr_field_end(w, at);
}

static void
get_control(struct rd *r, struct connection_record *c)
{
	uint8_t flags;

	c->rx_bytes = rd_u32(r);
	c->acked_bytes = rd_u32(r);
	c->state = rd_u8(r);
	flags = rd_u8(r);
	c->echo_pending = flags & CONTROL_ECHO_PENDING;
	c->buffers_gaps = flags & CONTROL_BUFFERS_GAPS;
	c->echo_id = rd_u32(r);
	c->peer_echo_id = rd_u32(r);
}

#define CALL_RX_ANY     0x01
#define CALL_TX_ANY_ACK 0x02

static void
put_call(struct wr *w, const struct record_call *c)
{
	uint8_t *at = wr_field_begin(w, TAG_CALL);

	wr_u16(w, c->call_id);
	wr_u16(w, c->peer_call_id);
	wr_u16(w, c->serial);
	wr_u16(w, c->window);
	wr_u32(w, c->tx_seq);
	wr_u32(w, c->rx_seq);
	wr_u32(w, c->tx_acked);
	wr_u8(w, (uint8_t)((c->rx_any ? CALL_RX_ANY : 0) | (c->tx_any_ack ? CALL_TX_ANY_ACK : 0)));
	wr_field_end(w, at);
}

static void
get_call(struct rd *r, struct record_call *c)
{
	uint8_t flags;

	c->call_id = rd_u16(r);
	c->peer_call_id = rd_u16(r);
	c->serial = rd_u16(r);
	c->window = rd_u16(r);
	c->tx_seq = rd_u32(r);
	c->rx_seq = rd_u32(r);
	c->tx_acked = rd_u32(r);
	flags = rd_u8(r);
	c->rx_any = flags & CALL_RX_ANY;
	c->tx_any_ack = flags & CALL_TX_ANY_ACK;
}

#define PPP_FLAG_PEER_PFC  0x01
#define PPP_FLAG_PEER_ACFC 0x02
#define PPP_FLAG_OUR_PFC   0x04
#define PPP_FLAG_OUR_ACFC  0x08
#define PPP_FLAG_UP        0x10

static void
put_ppp(struct wr *w, const struct ppp_state *p)
{
	uint8_t *at = wr_field_begin(w, TAG_PPP);

	wr_u16(w, p->our_mru);
	wr_u16(w, p->peer_mru);
	wr_u32(w, p->our_magic);
	wr_u32(w, p->peer_magic);
	wr_u32(w, p->our_accm);
	wr_u32(w, p->peer_accm);
	wr_u8(w, (uint8_t)((p->peer_pfc ? PPP_FLAG_PEER_PFC : 0) |
			   (p->peer_acfc ? PPP_FLAG_PEER_ACFC : 0) |
			   (p->our_pfc ? PPP_FLAG_OUR_PFC : 0) |
			   (p->our_acfc ? PPP_FLAG_OUR_ACFC : 0) | (p->up ? PPP_FLAG_UP : 0)));
	wr_u8(w, p->lcp_state);
	wr_u8(w, p->auth_state);
	wr_u8(w, p->ccp_state);
	wr_u8(w, p->ipcp_state);
	wr_u8(w, p->lcp_id);
	wr_u8(w, p->chap_id);
	wr_u8(w, p->ccp_id);
	wr_u8(w, p->ipcp_id);
	wr_u32(w, p->ccp_bits);
	wr_u32(w, p->addresses.local_ip);
	wr_u32(w, p->addresses.peer_ip);
	wr_u32(w, p->dns[0]);
	wr_u32(w, p->dns[1]);
	wr_u16(w, p->mtu);
	wr_field_end(w, at);
}

static void
get_ppp(struct rd *r, struct ppp_state *p)
{
	uint8_t flags;

	p->our_mru = rd_u16(r);
	p->peer_mru = rd_u16(r);
	p->our_magic = rd_u32(r);
	p->peer_magic = rd_u32(r);
	p->our_accm = rd_u32(r);
	p->peer_accm = rd_u32(r);
	flags = rd_u8(r);
	p->peer_pfc = flags & PPP_FLAG_PEER_PFC;
	p->peer_acfc = flags & PPP_FLAG_PEER_ACFC;
	p->our_pfc = flags & PPP_FLAG_OUR_PFC;
	p->our_acfc = flags & PPP_FLAG_OUR_ACFC;
	p->up = flags & PPP_FLAG_UP;
	p->lcp_state = rd_u8(r);
	p->auth_state = rd_u8(r);
	p->ccp_state = rd_u8(r);
	p->ipcp_state = rd_u8(r);
	p->lcp_id = rd_u8(r);
	p->chap_id = rd_u8(r);
	p->ccp_id = rd_u8(r);
	p->ipcp_id = rd_u8(r);
	p->ccp_bits = rd_u32(r);
	p->addresses.local_ip = rd_u32(r);
	p->addresses.peer_ip = rd_u32(r);
	p->dns[0] = rd_u32(r);
	p->dns[1] = rd_u32(r);
	p->mtu = rd_u16(r);
}

/* The peer's Configure-Requests that were acknowledged last. */
static void
put_acked(struct wr *w, const struct ppp_state *p)
{
	uint8_t *at = wr_field_begin(w, TAG_PPP_ACKED);

	wr_u8(w, p->lcp_acked_id);
	wr_u8(w, p->ccp_acked_id);
	wr_u8(w, p->ipcp_acked_id);
	wr_u32(w, p->lcp_acked_hash);
	wr_u32(w, p->ccp_acked_hash);
	wr_u32(w, p->ipcp_acked_hash);
	wr_field_end(w, at);
}

static void
get_acked(struct rd *r, struct ppp_state *p)
{
	p->lcp_acked_id = rd_u8(r);
	p->ccp_acked_id = rd_u8(r);
	p->ipcp_acked_id = rd_u8(r);
	p->lcp_acked_hash = rd_u32(r);
	p->ccp_acked_hash = rd_u32(r);
	p->ipcp_acked_hash = rd_u32(r);
}

static void
put_mppe(struct wr *w, uint16_t tag, const struct record_mppe *m)
{
	uint8_t *at = wr_field_begin(w, tag);

	wr_copy(w, m->master, sizeof m->master);
	wr_copy(w, m->session, sizeof m->session);
	wr_u64(w, m->index);
	wr_field_end(w, at);
}

static void
get_mppe(struct rd *r, struct record_mppe *m)
{
	rd_copy(r, m->master, sizeof m->master);
	rd_copy(r, m->session, sizeof m->session);
	m->index = rd_u64(r);
}

static void
put_mark(struct wr *w, const struct record_mark *m)
{
	uint8_t *at = wr_field_begin(w, TAG_MARK);

	wr_u32(w, m->seq);
	wr_u64(w, m->index);
	wr_u8(w, m->open);
	wr_field_end(w, at);
}

static void
get_mark(struct rd *r, struct record_mark *m)
{
	m->seq = rd_u32(r);
	m->index = rd_u64(r);
	m->open = rd_u8(r);
}

static void
put_accounting(struct wr *w, const struct record_accounting *a)
{
	uint8_t *at = wr_field_begin(w, TAG_ACCOUNTING);

	wr_u64(w, a->rx_packets);
	wr_u64(w, a->rx_octets);
	wr_u64(w, a->tx_packets);
	wr_u64(w, a->tx_octets);
	wr_u64(w, a->started_ms);
	wr_field_end(w, at);
}

static void
get_accounting(struct rd *r, struct record_accounting *a)
{
	a->rx_packets = rd_u64(r);
	a->rx_octets = rd_u64(r);
	a->tx_packets = rd_u64(r);
	a->tx_octets = rd_u64(r);
	a->started_ms = rd_u64(r);
}

static void
put_timers(struct wr *w, const struct record_timers *t)
{
	uint8_t *at = wr_field_begin(w, TAG_TIMERS);

	wr_u32(w, t->idle_s);
	wr_u32(w, t->maxconnect_s);
	wr_u16(w, t->lcp_echo_interval_s);
	wr_u8(w, t->lcp_echo_failure);
	wr_field_end(w, at);
}

static void
get_timers(struct rd *r, struct record_timers *t)
{
	t->idle_s = rd_u32(r);
	t->maxconnect_s = rd_u32(r);
	t->lcp_echo_interval_s = rd_u16(r);
	t->lcp_echo_failure = rd_u8(r);
}

static void
put_id(struct wr *w, uint16_t tag, uint64_t id)
{
	uint8_t *at = wr_field_begin(w, tag);

	wr_u64(w, id);
	wr_field_end(w, at);
}

/* A record is framed as its fields are, with the version in the tag's place. */
static uint8_t *
record_begin(struct wr *w)
{
	return wr_field_begin(w, RECORD_VERSION);
}

static int
record_end(struct wr *w, uint8_t *at)
{
	wr_field_end(w, at);
	if (wr_ok(w))
		return 0;
	errno = ENOSPC;
	return -1;
}

int
connection_record_encode(const struct connection_record *r, struct wr *w)
{
	uint8_t *at = record_begin(w);

	put_id(w, TAG_CONNECTION_ID, r->id);
	put_tcp(w, &r->tcp);
	put_control(w, r);
	put_bytes(w, TAG_TAIL, r->tail, r->tail_len);
	put_bytes(w, TAG_PARTIAL, r->partial, r->partial_len);
	wr_copy(w, r->unknown, r->unknown_len);
	return record_end(w, at);
}

int
session_record_encode(const struct session_record *r, struct wr *w)
{
	uint8_t *at = record_begin(w);
	uint8_t *ids = wr_field_begin(w, TAG_SESSION_ID);

	wr_u64(w, r->id);
	wr_u64(w, r->connection);
	wr_field_end(w, ids);
	put_call(w, &r->call);
	put_ppp(w, &r->ppp);
	put_acked(w, &r->ppp);
	put_bytes(w, TAG_PEER_NAME, r->ppp.peer_name, strnlen(r->ppp.peer_name, PPP_NAME_MAX - 1));
	put_mppe(w, TAG_MPPE_TX, &r->mppe_tx);
	put_mppe(w, TAG_MPPE_RX, &r->mppe_rx);
	put_mark(w, &r->mark);
	put_bytes(w, TAG_USER, r->identity.user, strnlen(r->identity.user, PPP_NAME_MAX - 1));
	put_bytes(
	    w, TAG_ACCT_ID, r->identity.acct_id, strnlen(r->identity.acct_id, RECORD_ACCT_ID_LEN));
	put_bytes(w, TAG_NT_HASH, r->identity.nt_hash, sizeof r->identity.nt_hash);
	put_accounting(w, &r->accounting);
	put_timers(w, &r->timers);
	wr_copy(w, r->unknown, r->unknown_len);
	return record_end(w, at);
}

/* A byte string of at most max; longer is an error of the sender. */
static void
get_bytes(struct rd *f, void *dst, size_t max, uint16_t *len)
{
	size_t n = rd_left(f);

	if (n > max) {
		rd_fail(f);
		return;
	}
	rd_copy(f, dst, n);
	*len = (uint16_t)n;
}

static void
get_name(struct rd *f, char *dst, size_t size)
{
	uint16_t n = 0;

	get_bytes(f, dst, size - 1, &n);
	dst[n] = '\0';
}

/* Appends the field to what the record carries along. */
static void
keep_unknown(uint8_t *kept, uint16_t *kept_len, uint16_t tag, struct rd *f)
{
	struct wr w = wr_init(kept + *kept_len, RECORD_UNKNOWN_MAX - *kept_len);
	uint8_t *at = wr_field_begin(&w, tag);
	size_t n = rd_left(f);

	wr_copy(&w, rd_bytes(f, n), n);
	wr_field_end(&w, at);
	if (!wr_ok(&w)) {
		rd_fail(f);
		return;
	}
	*kept_len = (uint16_t)(*kept_len + wr_len(&w));
}

static void
get_connection_field(void *record, uint16_t tag, struct rd *f)
{
	struct connection_record *r = record;

	switch (tag) {
	case TAG_CONNECTION_ID:
		r->id = rd_u64(f);
		break;
	case TAG_TCP:
		tcp_snapshot_decode(f, &r->tcp);
		break;
	case TAG_CONTROL:
		get_control(f, r);
		break;
	case TAG_TAIL:
		get_bytes(f, r->tail, sizeof r->tail, &r->tail_len);
		break;
	case TAG_PARTIAL:
		get_bytes(f, r->partial, sizeof r->partial, &r->partial_len);
		break;
	default:
		keep_unknown(r->unknown, &r->unknown_len, tag, f);
		break;
	}
}

static void
get_session_field(void *record, uint16_t tag, struct rd *f)
{
	struct session_record *r = record;

	switch (tag) {
	case TAG_SESSION_ID:
		r->id = rd_u64(f);
		r->connection = rd_u64(f);
		break;
	case TAG_CALL:
		get_call(f, &r->call);
		break;
	case TAG_PPP:
		get_ppp(f, &r->ppp);
		break;
	case TAG_PPP_ACKED:
		get_acked(f, &r->ppp);
		break;
	case TAG_PEER_NAME:
		get_name(f, r->ppp.peer_name, sizeof r->ppp.peer_name);
		break;
	case TAG_MPPE_TX:
		get_mppe(f, &r->mppe_tx);
		break;
	case TAG_MPPE_RX:
		get_mppe(f, &r->mppe_rx);
		break;
	case TAG_MARK:
		get_mark(f, &r->mark);
		break;
	case TAG_USER:
		get_name(f, r->identity.user, sizeof r->identity.user);
		break;
	case TAG_ACCT_ID:
		get_name(f, r->identity.acct_id, sizeof r->identity.acct_id);
		break;
	case TAG_NT_HASH:
		rd_copy(f, r->identity.nt_hash, sizeof r->identity.nt_hash);
		break;
	case TAG_ACCOUNTING:
		get_accounting(f, &r->accounting);
		break;
	case TAG_TIMERS:
		get_timers(f, &r->timers);
		break;
	default:
		keep_unknown(r->unknown, &r->unknown_len, tag, f);
		break;
	}
}

/* A field that is longer than we know is cut: a later version may have appended to it. */
static int
decode(void *record, struct rd *in, void (*get_field)(void *, uint16_t, struct rd *))
{
	uint16_t version, tag;
	struct rd body = rd_field(in, &version), f;

	if (!rd_ok(in)) {
		errno = EBADMSG;
		return -1;
	}
	if (version == 0 || version > RECORD_VERSION) {
		errno = EPROTO;
		return -1;
	}
	while (rd_left(&body) > 0) {
		f = rd_field(&body, &tag);
		get_field(record, tag, &f);
		if (!rd_ok(&f) || !rd_ok(&body)) {
			errno = EBADMSG;
			return -1;
		}
	}
	return 0;
}

int
connection_record_decode(struct connection_record *r, struct rd *in)
{
	memset(r, 0, sizeof *r);
	if (decode(r, in, get_connection_field) == 0) {
		if (r->id != 0)
			return 0;
		errno = EPROTO;
	}
	connection_record_wipe(r);
	return -1;
}

/* Can both directions go on from it? */
static bool
session_is_sound(const struct session_record *r)
{
	return r->id != 0 && r->connection != 0 && r->call.call_id != 0 &&
	       r->mark.open <= KEYS_ALL && r->mark.index >= r->mppe_tx.index &&
	       r->mark.index <= RECORD_INDEX_MAX && r->mppe_rx.index <= RECORD_INDEX_MAX;
}

int
session_record_decode(struct session_record *r, struct rd *in)
{
	memset(r, 0, sizeof *r);
	if (decode(r, in, get_session_field) == 0) {
		if (session_is_sound(r))
			return 0;
		errno = EPROTO;
	}
	session_record_wipe(r);
	return -1;
}

/* Wiping keeps errno. */
void
connection_record_wipe(struct connection_record *r)
{
	explicit_bzero(r, sizeof *r);
}

void
session_record_wipe(struct session_record *r)
{
	explicit_bzero(r, sizeof *r);
}

void
record_put_key(struct record_mppe *r, const struct mppe *m)
{
	memcpy(r->master, m->master, sizeof r->master);
	memcpy(r->session, m->session, sizeof r->session);
	r->index = m->index;
}

void
record_get_key(struct mppe *m, const struct record_mppe *r)
{
	memcpy(m->master, r->master, sizeof m->master);
	memcpy(m->session, r->session, sizeof m->session);
	m->index = r->index;
}
