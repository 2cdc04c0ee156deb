/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encoder and decoder walk the same members in the same order.
 */
#include "pptpd/priv/tcp_codec.h"

void
tcp_snapshot_encode(struct wr *w, const struct tcp_snapshot *t)
{
	wr_u32(w, t->peer_ip);
	wr_u32(w, t->local_ip);
	wr_u16(w, t->peer_port);
	wr_u16(w, t->local_port);
	wr_u32(w, t->snd0);
	wr_u32(w, t->rcv0);
	wr_u16(w, t->mss);
	wr_u8(w, t->options);
	wr_u8(w, t->snd_wscale);
	wr_u8(w, t->rcv_wscale);
	wr_u32(w, t->tsval);
	wr_u64(w, t->sampled_ms);
}

void
tcp_snapshot_decode(struct rd *r, struct tcp_snapshot *t)
{
	t->peer_ip = rd_u32(r);
	t->local_ip = rd_u32(r);
	t->peer_port = rd_u16(r);
	t->local_port = rd_u16(r);
	t->snd0 = rd_u32(r);
	t->rcv0 = rd_u32(r);
	t->mss = rd_u16(r);
	t->options = rd_u8(r);
	t->snd_wscale = rd_u8(r);
	t->rcv_wscale = rd_u8(r);
	t->tsval = rd_u32(r);
	t->sampled_ms = rd_u64(r);
}
