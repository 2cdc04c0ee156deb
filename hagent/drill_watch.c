/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of flows, and its text:
 *
 *   watch 1 BEGUN ENDED PACKETS DROPPED OVERFLOW MALFORMED CUT
 *   rate COUNT...                                       one for each DRILL_BUCKET_MS
 *   flow WAY CLIENT CALL PACKETS DATA FIRST LAST : FROM-TO... ; CLOSED FROM-TO...
 */
#include "hagent/drill_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"

#define HASH        8192
#define IP_GRE      47
#define GRE_PPTP    0x880b
#define GRE_VERSION 1
#define PPP_DATA    0x00fd

int
drill_watch_init(struct drill_watch *w, int64_t now_us)
{
	*w = (struct drill_watch){.begun_us = now_us, .ended_us = now_us};
	w->buckets = calloc(HASH, sizeof(w->buckets[0]));
	return w->buckets ? 0 : -1;
}

void
drill_watch_fini(struct drill_watch *w)
{
	for (unsigned i = 0; w->buckets && i < HASH; i++) {
		for (struct drill_flow *f = w->buckets[i], *next; f; f = next) {
			next = f->next;
			drill_runs_fini(&f->times);
			drill_runs_fini(&f->numbers);
			free(f);
		}
	}
	free(w->buckets);
	free(w->rate);
	*w = (struct drill_watch){0};
}

/* ---- flows ---- */

static unsigned
hash(enum drill_way way, uint32_t client, uint16_t call)
{
	uint32_t h = (client * 2654435761u) ^ ((uint32_t)call * 40503u) ^ (uint32_t)way;

	return (h ^ h >> 15) % HASH;
}

const struct drill_flow *
drill_watch_find(const struct drill_watch *w, enum drill_way way, uint32_t client, uint16_t call)
{
	for (const struct drill_flow *f = w->buckets[hash(way, client, call)]; f; f = f->next) {
		if (f->client == client && f->call == call && f->way == way)
			return f;
	}
	return NULL;
}

const struct drill_flow *
drill_watch_next(const struct drill_watch *w, unsigned *i, const struct drill_flow *f)
{
	if (f && f->next)
		return f->next;
	while (*i < HASH) {
		const struct drill_flow *first = w->buckets[(*i)++];

		if (first)
			return first;
	}
	return NULL;
}

static struct drill_flow *
flow(struct drill_watch *w, enum drill_way way, uint32_t client, uint16_t call)
{
	unsigned at = hash(way, client, call);
	struct drill_flow *f = w->buckets[at];

	while (f && (f->client != client || f->call != call || f->way != way))
		f = f->next;
	if (f)
		return f;
	f = w->n_flows < DRILL_FLOWS ? calloc(1, sizeof(*f)) : NULL;
	if (!f) {
		w->overflow++;
		return NULL;
	}
	f->client = client;
	f->call = call;
	f->way = (uint8_t)way;
	f->next = w->buckets[at];
	w->buckets[at] = f;
	w->n_flows++;
	return f;
}

/* ---- packets ---- */

struct packet {
	uint32_t source, destination, seq;
	uint16_t call;
	bool has_seq, data;
};

static bool
is_data(struct rd *r)
{
	uint8_t first = rd_u8(r);

	if (first == 0xff) { /* address and control */
		rd_skip(r, 1);
		first = rd_u8(r);
	}
	if ((first & 1) == 0)
		return ((unsigned)first << 8 | rd_u8(r)) == PPP_DATA && rd_ok(r);
	return first == PPP_DATA && rd_ok(r);
}

static bool
parse(const uint8_t *bytes, size_t len, struct packet *p)
{
	struct rd r = rd_init(bytes, len);
	uint8_t head = rd_u8(&r);
	uint16_t flags, protocol, length;

	*p = (struct packet){0};
	rd_skip(&r, 8);
	if (head >> 4 != 4 || (head & 15) < 5 || rd_u8(&r) != IP_GRE)
		return false;
	rd_skip(&r, 2);
	p->source = rd_u32(&r);
	p->destination = rd_u32(&r);
	rd_skip(&r, (size_t)(head & 15) * 4 - 20);
	flags = rd_u16(&r);
	protocol = rd_u16(&r);
	length = rd_u16(&r);
	p->call = rd_u16(&r);
	if (!rd_ok(&r) || (flags & 7) != GRE_VERSION || protocol != GRE_PPTP)
		return false;
	p->has_seq = flags & 0x1000;
	if (p->has_seq)
		p->seq = rd_u32(&r);
	if (flags & 0x0080)
		rd_skip(&r, 4);
	if (!rd_ok(&r))
		return false;
	p->data = p->has_seq && length > 0 && is_data(&r);
	return true;
}

static void
count_rate(struct drill_watch *w, uint32_t at)
{
	unsigned bucket = at / (DRILL_BUCKET_MS * 1000 / DRILL_UNIT_US);

	if (bucket >= DRILL_BUCKETS)
		return;
	if (bucket >= w->room_rate) {
		unsigned room = bucket + 1024;
		uint32_t *rate = realloc(w->rate, room * sizeof(*rate));

		if (!rate)
			return;
		memset(rate + w->room_rate, 0, (room - w->room_rate) * sizeof(*rate));
		w->rate = rate;
		w->room_rate = room;
	}
	w->rate[bucket]++;
	if (bucket >= w->n_rate)
		w->n_rate = bucket + 1;
}

static void
note(struct drill_flow *f, uint32_t at, bool data)
{
	if (f->packets++ == 0)
		f->first = at;
	f->last = at;
	f->data += data;
}

void
drill_watch_feed(struct drill_watch *w, const uint8_t *packet, size_t len, bool out, int64_t now_us)
{
	uint32_t at = now_us > w->begun_us ? (uint32_t)((now_us - w->begun_us) / DRILL_UNIT_US) : 0;
	struct drill_flow *f;
	struct packet p;

	w->packets++;
	if (!parse(packet, len, &p)) {
		w->malformed++;
		return;
	}
	if (w->cut_us != 0 && now_us >= w->cut_us)
		return;
	if (out) {
		f = flow(w, DRILL_DOWN, p.destination, p.call);
		if (f)
			note(f, at, p.data);
		if (f && p.data) {
			drill_runs_add(&f->times, at);
			count_rate(w, at);
		}
		return;
	}
	f = flow(w, DRILL_UP, p.source, p.call);
	if (!f)
		return;
	note(f, at, p.data);
	drill_runs_add(&f->times, at);
	if (p.has_seq)
		drill_runs_add(&f->numbers, p.seq);
}

/* ---- text ---- */

static void
write_runs(const struct drill_runs *r, FILE *out)
{
	for (unsigned i = 0; i < r->n; i++)
		fprintf(out, " %" PRIu32 "-%" PRIu32, r->v[i].from, r->v[i].to);
}

void
drill_watch_write(const struct drill_watch *w, FILE *out)
{
	const struct drill_flow *f = NULL;
	unsigned i = 0;

	fprintf(out,
	    "watch 1 %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	    " %" PRId64 "\nrate",
	    w->begun_us, w->ended_us, w->packets, w->dropped, w->overflow, w->malformed, w->cut_us);
	for (unsigned k = 0; k < w->n_rate; k++)
		fprintf(out, " %" PRIu32, w->rate[k]);
	putc('\n', out);
	while ((f = drill_watch_next(w, &i, f)) != NULL) {
		fprintf(out,
		    "flow %u %" PRIu32 " %u %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 " :",
		    f->way, f->client, f->call, f->packets, f->data, f->first, f->last);
		write_runs(&f->times, out);
		fprintf(out, " ; %" PRIu64, f->numbers.closed);
		write_runs(&f->numbers, out);
		putc('\n', out);
	}
}

/* The next number at *s, behind blanks; sets *bad if there is none, or if it is above most. */
static uint64_t
number(const char **s, uint64_t most, bool *bad)
{
	char *end;
	unsigned long long v;

	while (**s == ' ')
		(*s)++;
	if (**s < '0' || **s > '9') {
		*bad = true;
		return 0;
	}
	errno = 0;
	v = strtoull(*s, &end, 10);
	*bad |= errno != 0 || v > most;
	*s = end;
	return v;
}

static void
read_runs(struct drill_runs *r, const char **s, bool *bad)
{
	while (!*bad && (*s)[0] == ' ' && (*s)[1] >= '0' && (*s)[1] <= '9') {
		struct drill_run one[1];
		const struct drill_runs more = {.v = one, .n = 1};

		one[0].from = (uint32_t)number(s, UINT32_MAX, bad);
		*bad |= *(*s)++ != '-';
		if (*bad)
			return;
		one[0].to = (uint32_t)number(s, UINT32_MAX, bad);
		*bad |= one[0].to < one[0].from;
		if (!*bad)
			drill_runs_join(r, &more);
	}
}

static bool
read_flow(struct drill_watch *w, const char *s)
{
	bool bad = false;
	uint8_t way = (uint8_t)number(&s, DRILL_UP, &bad);
	uint32_t client = (uint32_t)number(&s, UINT32_MAX, &bad);
	uint16_t call = (uint16_t)number(&s, UINT16_MAX, &bad);
	struct drill_flow *f = bad ? NULL : flow(w, way, client, call);

	if (!f)
		return !bad;
	f->packets = number(&s, UINT64_MAX, &bad);
	f->data = number(&s, UINT64_MAX, &bad);
	f->first = (uint32_t)number(&s, UINT32_MAX, &bad);
	f->last = (uint32_t)number(&s, UINT32_MAX, &bad);
	bad |= strncmp(s, " :", 2) != 0;
	if (bad)
		return false;
	s += 2;
	read_runs(&f->times, &s, &bad);
	bad |= strncmp(s, " ;", 2) != 0;
	if (bad)
		return false;
	s += 2;
	uint64_t closed = number(&s, UINT64_MAX, &bad);
	read_runs(&f->numbers, &s, &bad);
	f->numbers.closed += closed;
	return !bad && (*s == '\n' || *s == '\0');
}

static bool
read_rate(struct drill_watch *w, const char *s)
{
	bool bad = false;

	for (unsigned k = 0; !bad && s[0] == ' ' && k < DRILL_BUCKETS; k++) {
		uint32_t n = (uint32_t)number(&s, UINT32_MAX, &bad);

		if (n == 0)
			continue;
		count_rate(w, k * (DRILL_BUCKET_MS * 1000 / DRILL_UNIT_US));
		w->rate[k] = n;
	}
	return !bad && (*s == '\n' || *s == '\0');
}

static bool
read_head(struct drill_watch *w, const char *s)
{
	bool bad = false;

	w->begun_us = (int64_t)number(&s, INT64_MAX, &bad);
	w->ended_us = (int64_t)number(&s, INT64_MAX, &bad);
	w->packets = number(&s, UINT64_MAX, &bad);
	w->dropped = number(&s, UINT64_MAX, &bad);
	w->overflow = number(&s, UINT64_MAX, &bad);
	w->malformed = number(&s, UINT64_MAX, &bad);
	w->cut_us = (int64_t)number(&s, INT64_MAX, &bad);
	return !bad;
}

int
drill_watch_read(struct drill_watch *w, const char *text)
{
	bool good = false;

	for (const char *line = text; *line; line += *line == '\n') {
		if (strncmp(line, "watch 1 ", 8) == 0)
			good = read_head(w, line + 8);
		else if (strncmp(line, "rate", 4) == 0)
			good = good && read_rate(w, line + 4);
		else if (strncmp(line, "flow ", 5) == 0)
			good = good && read_flow(w, line + 5);
		else
			good = false;
		if (!good)
			break;
		line += strcspn(line, "\n");
	}
	if (good)
		return 0;
	errno = EBADMSG;
	return -1;
}
