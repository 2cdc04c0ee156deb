/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session as a record, and a record as a session.
 */
#include <string.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

void
session_record(const struct session *s, struct session_record *r)
{
	struct dp_counters n = {0};

	memset(r, 0, sizeof *r);
	if (s->dp != NULL)
		dp_session_counters(s->dp, &n);
	r->id = s->id;
	if (s->ctrl != NULL)
		ctrl_record(s->ctrl, &r->ctrl);
	r->call = (struct record_call){.call_id = s->call_id,
	    .peer_call_id = s->peer_call_id,
	    .serial = s->serial,
	    .window = s->window,
	    .tx_seq = n.tx_seq,
	    .rx_seq = n.rx_seq,
	    .tx_acked = n.tx_acked};
	ppp_get_state(s->ppp, &r->ppp);
	r->mppe_tx = s->mppe_tx;
	r->mppe_rx = s->mppe_rx;
	r->mppe_tx.index = n.tx_index;
	r->mppe_rx.index = n.rx_index;
	r->identity = s->identity;
	r->accounting = (struct record_accounting){.rx_packets = n.rx_packets,
	    .rx_octets = n.rx_octets,
	    .tx_packets = n.tx_packets,
	    .tx_octets = n.tx_octets,
	    .started_ms = s->started_wall_ms};
	r->timers = (struct record_timers){.idle_s = s->config->settings->idle_s,
	    .maxconnect_s = s->config->settings->maxconnect_s,
	    .lcp_echo_interval_s = (uint16_t)s->config->settings->lcp_echo_interval_s,
	    .lcp_echo_failure = (uint8_t)s->config->settings->lcp_echo_failure};
}
