/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pcap files. Their headers are in the writer's byte order, which the magic number tells.
 */
#include "tests/keycheck/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cursor.h"

#define MAGIC_US      0xa1b2c3d4u
#define MAGIC_NS      0xa1b23c4du
#define FILE_HEADER   24
#define RECORD_HEADER 16
#define ETHERTYPE_IP  0x0800

enum link {
	LINK_ETHERNET = 1,
	LINK_RAW = 101,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_SLL2 = 276
};

struct file {
	FILE *f;
	uint32_t link;
	bool swapped, nanoseconds, cut;
	bool ready; /* frame holds the next one */
	struct frame frame;
	uint8_t bytes[CAPTURE_FRAME_MAX];
};

struct capture {
	unsigned n;
	bool started;
	struct file *last; /* its frame was given out */
	struct file files[];
};

static uint32_t
field(const struct file *f, struct rd *r)
{
	uint32_t v = rd_u32(r);

	return f->swapped ? __builtin_bswap32(v) : v;
}

static int
open_file(struct file *f, const char *path)
{
	uint8_t head[FILE_HEADER];
	struct rd r;
	uint32_t magic;

	if ((f->f = fopen(path, "rbe")) == NULL)
		return -1;
	errno = EBADMSG;
	if (fread(head, sizeof(head), 1, f->f) != 1)
		return -1;
	r = rd_init(head, sizeof(head));
	magic = rd_u32(&r);
	f->swapped = magic != MAGIC_US && magic != MAGIC_NS;
	if (f->swapped)
		magic = __builtin_bswap32(magic);
	f->nanoseconds = magic == MAGIC_NS;
	rd_skip(&r, 16);
	f->link = field(f, &r) & 0xffff;
	if (magic != MAGIC_US && magic != MAGIC_NS)
		return -1;
	return f->link == LINK_ETHERNET || f->link == LINK_RAW || f->link == LINK_SLL ||
		       f->link == LINK_IPV4 || f->link == LINK_SLL2
		   ? 0
		   : -1;
}

static uint64_t
mac(struct rd *r)
{
	uint64_t high = rd_u16(r);

	return high << 32 | rd_u32(r);
}

/* Strips the link's header. False if it is not IPv4. */
static bool
strip(struct file *f, struct rd r)
{
	uint16_t type = ETHERTYPE_IP;

	switch (f->link) {
	case LINK_ETHERNET:
		rd_skip(&r, 6);
		f->frame.sender = mac(&r);
		type = rd_u16(&r);
		break;
	case LINK_SLL:
		rd_skip(&r, 6);
		f->frame.sender = mac(&r);
		rd_skip(&r, 2);
		type = rd_u16(&r);
		break;
	case LINK_SLL2:
		type = rd_u16(&r);
		rd_skip(&r, 10);
		f->frame.sender = mac(&r);
		rd_skip(&r, 2);
		break;
	default:
		break;
	}
	f->frame.ip = r.p;
	f->frame.len = rd_left(&r);
	return rd_ok(&r) && type == ETHERTYPE_IP && f->frame.len >= 20 && r.p[0] >> 4 == 4;
}

static void
read_next(struct file *f)
{
	uint8_t head[RECORD_HEADER];
	size_t n;

	f->ready = false;
	while (!f->cut && (n = fread(head, 1, sizeof(head), f->f)) > 0) {
		struct rd r = rd_init(head, sizeof(head));
		uint64_t seconds = field(f, &r), fraction = field(f, &r);
		uint32_t len = field(f, &r);

		f->cut = n < sizeof(head) || len > sizeof(f->bytes) ||
			 fread(f->bytes, 1, len, f->f) != len;
		if (f->cut)
			return;
		f->frame.at_us = seconds * 1000000 + fraction / (f->nanoseconds ? 1000 : 1);
		if (strip(f, rd_init(f->bytes, len))) {
			f->ready = true;
			return;
		}
	}
}

struct capture *
capture_open(const char *const paths[], unsigned n)
{
	struct capture *c = calloc(1, sizeof(*c) + n * sizeof(c->files[0]));
	int error;

	if (c == NULL)
		return NULL;
	for (c->n = 0; c->n < n; c->n++) {
		struct file *f = &c->files[c->n];

		if (open_file(f, paths[c->n]) < 0) {
			error = errno;
			c->n += f->f != NULL;
			capture_close(c);
			errno = error;
			return NULL;
		}
		f->frame.sender = c->n;
	}
	return c;
}

void
capture_close(struct capture *c)
{
	for (unsigned i = 0; i < c->n; i++)
		fclose(c->files[i].f);
	free(c);
}

bool
capture_next(struct capture *c, struct frame *f)
{
	struct file *first = NULL;

	for (unsigned i = 0; i < c->n; i++)
		if (!c->started || &c->files[i] == c->last)
			read_next(&c->files[i]);
	c->started = true;
	for (unsigned i = 0; i < c->n; i++)
		if (c->files[i].ready &&
		    (first == NULL || c->files[i].frame.at_us < first->frame.at_us))
			first = &c->files[i];
	c->last = first;
	if (first == NULL)
		return false;
	*f = first->frame;
	return true;
}

unsigned
capture_cut(const struct capture *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += c->files[i].cut;
	return n;
}
