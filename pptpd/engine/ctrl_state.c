/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection as a record, and a record as a control connection.
 */
#include <string.h>

#include "pptpd/engine/ctrl_parts.h"

void
ctrl_record(struct ctrl *c, struct connection_record *r)
{
	r->tcp = c->tcp;
	r->rx_bytes = c->rx_bytes;
	r->acked_bytes = c->tx_bytes;
	r->state = (uint8_t)c->fsm.state;
	r->echo_id = c->echo_id;
	r->peer_echo_id = c->peer_echo_id;
	r->tail_len = (uint16_t)(c->out_len < sizeof r->tail ? c->out_len : sizeof r->tail);
	memcpy(r->tail, c->out != NULL ? c->out : (const uint8_t *)"", r->tail_len);
	r->partial_len = c->framer.have;
	memcpy(r->partial, c->framer.buf, c->framer.have);
}
