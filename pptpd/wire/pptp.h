/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PPTP control messages (RFC 2637 §2). Parsers are pure: bytes in, struct out. The framer takes a
 * stream in any chopping and yields whole messages; encoders write the exact size of each type.
 */
#ifndef WIRE_PPTP_H
#define WIRE_PPTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"

#define PPTP_PORT         1723
#define PPTP_MAGIC        0x1A2B3C4Du
#define PPTP_HEADER_LEN   12 /* length, message type, magic, control type, reserved0 */
#define PPTP_MESSAGE_MAX  220
#define PPTP_VERSION      0x0100
#define PPTP_HOSTNAME_LEN 64
#define PPTP_VENDOR_LEN   64

enum pptp_type {
	PPTP_SCCRQ = 1,
	PPTP_SCCRP = 2,
	PPTP_STOP_RQ = 3,
	PPTP_STOP_RP = 4,
	PPTP_ECHO_RQ = 5,
	PPTP_ECHO_RP = 6,
	PPTP_OCRQ = 7,
	PPTP_OCRP = 8,
	PPTP_ICRQ = 9,
	PPTP_ICRP = 10,
	PPTP_ICCN = 11,
	PPTP_CCRQ = 12,
	PPTP_CDN = 13,
	PPTP_WEN = 14,
	PPTP_SLI = 15,
};
#define PPTP_TYPE_MAX 15

/* One struct for all types: only the members that RFC 2637 gives the type are meaningful. */
struct pptp_message {
	uint8_t type;     /* enum pptp_type */
	uint16_t version; /* SCCRQ, SCCRP */
	uint8_t result;   /* SCCRP, STOP_RP, ECHO_RP, OCRP, ICRP, CDN */
	uint8_t error;
	uint8_t reason;           /* STOP_RQ */
	uint16_t cause;           /* OCRP, CDN */
	uint32_t framing, bearer; /* SCCRQ, SCCRP; OCRQ, ICRQ (types) */
	uint16_t max_channels, firmware;
	char host[PPTP_HOSTNAME_LEN + 1];
	char vendor[PPTP_VENDOR_LEN + 1];
	uint32_t echo_id; /* ECHO_RQ, ECHO_RP */
	uint16_t call_id; /* the sender's own, but CCRQ/ICRP/...: as the RFC defines the field */
	uint16_t peer_call_id;         /* OCRP, ICRP, ICCN, SLI, WEN */
	uint16_t serial;               /* OCRQ, ICRQ */
	uint32_t min_bps, max_bps;     /* OCRQ */
	uint32_t speed;                /* OCRP, ICCN: connect speed */
	uint16_t window;               /* OCRQ, OCRP, ICRP, ICCN: packet receive window */
	uint16_t delay;                /* OCRQ..ICCN: packet processing delay, 1/10 s */
	uint32_t channel;              /* OCRP, ICRQ: physical channel id */
	uint32_t send_accm, recv_accm; /* SLI */
	uint32_t wan_errors[6]; /* WEN: crc, framing, hardware overrun, buffer overrun, timeout,
				   alignment */
	uint16_t reserved0;     /* header; tolerated when not 0, as some firewalls send it */
};

/* Exact size of a type on the wire, 0 if there is no such type. */
size_t pptp_size(uint8_t type);
const char *pptp_name(uint8_t type); /* "SCCRQ"; "type-99" never: "?" for unknown */

/*
 * Parses one whole message of len bytes (header included). 0, or -1 with errno:
 * EBADMSG = not PPTP (length, magic, message type), ENOMSG = well-framed but unknown control type
 * (skip it), EPROTO = length is not the exact size of its type.
 */
int pptp_parse(const uint8_t *bytes, size_t len, struct pptp_message *m);
/* Writes the exact size of m->type. 0, or -1 with errno EINVAL (type), ENOSPC. */
int pptp_encode(const struct pptp_message *m, struct wr *w);

/* Collects a TCP stream. Holds at most one incomplete message; never allocates. */
struct pptp_framer {
	uint8_t buf[PPTP_MESSAGE_MAX];
	uint16_t have;
	bool seeking; /* the next message's beginning is not known */
};

void pptp_framer_init(struct pptp_framer *f);
/* What it holds of an incomplete message, 0..PPTP_MESSAGE_MAX - 1 bytes; a view. */
const uint8_t *pptp_framer_partial(const struct pptp_framer *f, size_t *len);
/* Goes on from another framer's partial message. -1 with errno EBADMSG, EPROTO: it is none. */
int pptp_framer_continue(struct pptp_framer *f, const uint8_t *partial, size_t len);
/*
 * Bytes of the stream are missing: drops what it holds. If what comes next is no sound header of a
 * known type, feeding drops bytes until there is one.
 */
void pptp_framer_seek(struct pptp_framer *f);
/*
 * Feeds len bytes; calls on_message for every whole message in order. on_message returns false to
 * stop (the rest is discarded). Returns 0, or -1 with errno EBADMSG/EPROTO as pptp_parse: the
 * stream is beyond repair. Unknown control types with a sound frame are passed with type as read
 * and everything else zero, so that the caller can count them.
 */
int pptp_framer_feed(struct pptp_framer *f, const uint8_t *bytes, size_t len,
    bool (*on_message)(void *arg, const struct pptp_message *m), void *arg);

#endif
