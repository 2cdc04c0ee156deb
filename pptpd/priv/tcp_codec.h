/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct tcp_snapshot as bytes: between monitor and engine, and in the records that go to the other
 * gateway. 37 bytes, members in order; what a later version adds goes behind it, in a field of its
 * own.
 */
#ifndef PRIV_TCP_CODEC_H
#define PRIV_TCP_CODEC_H

#include "common/cursor.h"
#include "pptpd/priv/priv.h"

#define TCP_SNAPSHOT_LEN 37

/* Overruns set the cursor's error. The decoder checks no values: who restores does. */
void tcp_snapshot_encode(struct wr *w, const struct tcp_snapshot *t);
void tcp_snapshot_decode(struct rd *r, struct tcp_snapshot *t);

#endif
