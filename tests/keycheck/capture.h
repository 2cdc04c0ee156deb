/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Frames out of pcap files (tcpdump -w), of several files in order of time. Link types: Ethernet,
 * Linux "cooked" 1 and 2, raw IP. A file whose writer was killed ends where it ends.
 */
#ifndef KEYCHECK_CAPTURE_H
#define KEYCHECK_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_FRAME_MAX 65536

struct frame {
	uint64_t at_us;    /* since 1970 */
	uint64_t sender;   /* MAC address; for raw IP the number of the file */
	const uint8_t *ip; /* valid until the next frame of this file is read */
	size_t len;        /* of IPv4, with padding; less than what the header says if it was cut */
};

struct capture;

/* NULL with errno: ENOENT and so on; EBADMSG = no pcap file, or a link type that is not known. */
struct capture *capture_open(const char *const paths[], unsigned n);
void capture_close(struct capture *c);
/* The next IPv4 frame of all files, false at the end. */
bool capture_next(struct capture *c, struct frame *f);
unsigned capture_cut(const struct capture *c); /* files that end in the middle of a record */

#endif
