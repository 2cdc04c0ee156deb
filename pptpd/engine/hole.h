/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Is a restored control connection in step with its client? The dead gateway's kernel acknowledged
 * what its daemon had not told us: such bytes the client never sends again, a hole. Or it sent what
 * we do not know of: then our kernel drops every segment that acknowledges it. Both show in the
 * numbers of the client's segments. Pure: segments and time in, a verdict out.
 */
#ifndef ENGINE_HOLE_H
#define ENGINE_HOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLE_WAIT_MS 1500  /* longer than a client's retransmission takes */
#define HOLE_FAR     65535 /* numbers further off are none of this connection */

struct hole_segment {
	uint32_t peer_ip, local_ip;
	uint16_t peer_port, local_port;
	uint32_t seq, ack;
	uint32_t len; /* of the payload */
	bool has_ack, opens, resets;
};

/* An IPv4 packet, header first, as a raw socket gives it. False: not a whole TCP header. */
bool hole_parse(const uint8_t *packet, size_t len, struct hole_segment *s);

enum hole_verdict {
	HOLE_UNKNOWN,
	HOLE_NONE,  /* the client goes on where we do */
	HOLE_FOUND, /* rebuild at hole_rcv(), hole_snd() */
};

struct hole {
	bool heard;   /* the client has said something */
	bool missing; /* it is beyond what we expect; the lowest such number */
	bool ahead; /* it has acknowledged more than we sent, the highest such number; what we said
		       now would be taken for what it has: say nothing */
	bool in_place; /* while it is ahead: its own numbers are in step */
	uint32_t lowest, ack;
	uint64_t since_ms; /* of the first sign */
};

/* All zero = nothing known. rcv: next number that our kernel expects; snd: behind the last byte
 * that was given to it. */
enum hole_verdict hole_hear(
    struct hole *h, const struct hole_segment *s, uint32_t rcv, uint32_t snd, uint64_t now_ms);
/* Time has passed. */
enum hole_verdict hole_judge(const struct hole *h, uint32_t rcv, uint64_t now_ms);
/* Where the client goes on, when HOLE_FOUND. */
uint32_t hole_rcv(const struct hole *h, uint32_t rcv);
uint32_t hole_snd(const struct hole *h, uint32_t snd);
/*
 * Do so many bytes of missing messages hold an Echo-Request? Most likely: alone, after an
 * Echo-Reply or after a Set-Link-Info. It must be answered, or the client hangs up; an answer too
 * many is harmless.
 */
bool hole_held_echo(size_t bytes);

#endif
