/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection as a record, and a record as a control connection. The tail of a record ends
 * with a whole message: the standby says more behind it.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct ctrl *
ctrl_of_replica(struct replica_connection *r)
{
	union {
		struct replica_connection *member;
		char *bytes;
		struct ctrl *whole;
	} u = {.member = r};

	u.bytes -= offsetof(struct ctrl, replica);
	return u.whole;
}

void
ctrl_record(struct ctrl *c, struct connection_record *r)
{
	size_t unacked = ctrl_unacked(c), len;
	const uint8_t *partial = pptp_framer_partial(&c->framer, &len);

	memset(r, 0, sizeof *r);
	r->id = c->id;
	r->tcp = c->tcp;
	r->rx_bytes = c->rx_bytes;
	r->acked_bytes = c->tx_bytes - (uint32_t)unacked;
	r->state = (uint8_t)c->fsm.state;
	r->echo_pending = c->echo_pending;
	r->buffers_gaps = c->buffers_gaps;
	r->echo_id = c->echo_id;
	r->peer_echo_id = c->peer_echo_id;
	c->out_told =
	    ctrl_whole_messages(c->out, c->out_len, c->out_begun, sizeof r->tail - unacked);
	memcpy(r->tail, c->sent + c->sent_len - unacked, unacked);
	if (c->out_told > 0)
		memcpy(r->tail + unacked, c->out, c->out_told);
	r->tail_len = (uint16_t)(unacked + c->out_told);
	memcpy(r->partial, partial, len);
	r->partial_len = (uint16_t)len;
}

struct ctrl *
ctrl_continue(struct engine *e, const struct connection_record *r)
{
	struct ctrl *c = NULL;

	if (!loopback_is_source(r->tcp.peer_ip)) /* nobody has told us of one */
		c = ctrl_new(e, &r->tcp, CTRL_ESTABLISHED);
	if (c == NULL)
		return NULL;
	c->id = r->id;
	c->rx_bytes = r->rx_bytes;
	c->tx_bytes = r->acked_bytes + r->tail_len;
	c->sent_len = r->tail_len;
	memcpy(c->sent, r->tail, r->tail_len);
	c->buffers_gaps = r->buffers_gaps;
	c->echo_id = r->echo_id;
	c->peer_echo_id = r->peer_echo_id;
	c->proven = true;
	if (pptp_framer_continue(&c->framer, r->partial, r->partial_len) < 0)
		pptp_framer_seek(&c->framer);
	ctrl_enter(c);
	c->counted = true;
	e->restoring++;
	ctrl_restore_add(c);
	if (c->gone) { /* it could not be queued: the reaper has it */
		errno = ENOMEM;
		return NULL;
	}
	return c;
}
