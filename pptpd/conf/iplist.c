/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Address lists as poptop writes them: single addresses, a range in any one octet (192.168.0.2-254,
 * 192.168.0-255.2), and full ranges (10.8.0.2-10.8.0.254), joined by commas. The ranges stay in the
 * order of the file, since addresses are given out in it. No address is in a list twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/conf/settings.h"

#define LIST_MAX (1u << 20)
#define ITEM_MAX 31 /* 255.255.255.255-255.255.255.255 */

#define WANT_FORM "addresses and ranges (a.b.c.d, a.b.c.d-e or a.b.c.d-a.b.c.e) joined by commas"

void
ip_list_fini(struct ip_list *l)
{
	free(l->ranges);
	*l = (struct ip_list){0};
}

static const char *
add_range(struct ip_list *l, size_t *room, uint32_t first, uint32_t last)
{
	struct ip_range *grown;

	if (first > last)
		return "ranges that do not run backwards";
	if (!conf_is_host_ip(first) || !conf_is_host_ip(last) ||
	    (first >> 24 < 127 && last >> 24 > 127))
		return "addresses outside 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/3";
	if (last - first >= LIST_MAX - l->total)
		return "at most 1048576 addresses";
	if (l->n == *room) {
		*room = *room > 0 ? 2 * *room : 8;
		grown = reallocarray(l->ranges, *room, sizeof(*grown));
		if (grown == NULL)
			return "more memory";
		l->ranges = grown;
	}
	l->ranges[l->n++] = (struct ip_range){first, last};
	l->total += last - first + 1;
	return NULL;
}

/* "7" or "7-9"; no leading zeroes, which elsewhere mean octal. */
static int
parse_octet(const char *s, unsigned *low, unsigned *high)
{
	char copy[4];
	size_t len = strcspn(s, "-");

	if (len >= sizeof(copy) || (len > 1 && s[0] == '0'))
		return -1;
	memcpy(copy, s, len);
	copy[len] = '\0';
	if (conf_parse_uint(copy, 0, 255, low) < 0)
		return -1;
	*high = *low;
	if (s[len] == '\0')
		return 0;
	s += len + 1;
	return s[0] == '0' && s[1] != '\0' ? -1 : conf_parse_uint(s, 0, 255, high);
}

/* Four octets, at most one of them a range. */
static const char *
add_octets(struct ip_list *l, size_t *room, char *item)
{
	unsigned low[4], high[4], ranged = 3;
	const char *why = NULL, *octet;
	uint32_t base = 0, step;

	for (unsigned i = 0; i < 4; i++) {
		octet = strsep(&item, ".");
		if (octet == NULL || parse_octet(octet, &low[i], &high[i]) < 0)
			return WANT_FORM;
		base = base << 8 | low[i];
		if (low[i] != high[i])
			ranged = i;
	}
	if (item != NULL)
		return WANT_FORM;
	if (low[ranged] > high[ranged])
		return "ranges that do not run backwards";
	if (ranged == 3)
		return add_range(l, room, base, base + high[3] - low[3]);
	step = 1u << (8 * (3 - ranged));
	for (unsigned v = low[ranged]; v <= high[ranged] && why == NULL; v++, base += step)
		why = add_range(l, room, base, base);
	return why;
}

static const char *
add_item(struct ip_list *l, size_t *room, const char *item, size_t len)
{
	char copy[ITEM_MAX + 1];
	uint32_t first, last;
	char *dash;

	if (len > ITEM_MAX)
		return WANT_FORM;
	memcpy(copy, item, len);
	copy[len] = '\0';
	if ((dash = strchr(copy, '-')) == NULL)
		return conf_parse_ipv4(copy, &first) < 0 ? WANT_FORM
							 : add_range(l, room, first, first);
	if (strchr(dash + 1, '-') != NULL)
		return WANT_FORM;
	*dash = '\0';
	if (conf_parse_ipv4(copy, &first) == 0 && conf_parse_ipv4(dash + 1, &last) == 0)
		return add_range(l, room, first, last);
	*dash = '-';
	return add_octets(l, room, copy);
}

static int
by_first(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Does any address occur twice in the n ranges? They are sorted. */
static bool
overlap(struct ip_range *ranges, size_t n)
{
	if (n == 0)
		return false;
	qsort(ranges, n, sizeof(*ranges), by_first);
	for (size_t i = 1; i < n; i++)
		if (ranges[i].first <= ranges[i - 1].last)
			return true;
	return false;
}

bool
ip_lists_overlap(const struct ip_list *a, const struct ip_list *b)
{
	struct ip_range *all = reallocarray(NULL, a->n + b->n + 1, sizeof(*all));
	bool answer;

	if (all == NULL)
		return true;
	if (a->n > 0)
		memcpy(all, a->ranges, a->n * sizeof(*all));
	if (b->n > 0)
		memcpy(all + a->n, b->ranges, b->n * sizeof(*all));
	answer = overlap(all, a->n + b->n);
	free(all);
	return answer;
}

int
ip_list_parse(const char *s, struct ip_list *l, const char **want)
{
	static const struct ip_list none;
	size_t room = 0, len;
	const char *why;

	*l = (struct ip_list){0};
	for (;; s += len + 1) {
		len = strcspn(s, ",");
		if ((why = add_item(l, &room, s, len)) != NULL || s[len] == '\0')
			break;
	}
	if (why == NULL && ip_lists_overlap(l, &none))
		why = "each address once";
	if (why == NULL)
		return 0;
	ip_list_fini(l);
	*want = why;
	errno = EINVAL;
	return -1;
}

bool
ip_list_has(const struct ip_list *l, uint32_t ip)
{
	for (size_t i = 0; i < l->n; i++)
		if (ip >= l->ranges[i].first && ip <= l->ranges[i].last)
			return true;
	return false;
}

uint32_t
ip_list_at(const struct ip_list *l, uint32_t i)
{
	const struct ip_range *r = l->ranges;

	for (; i > r->last - r->first; r++)
		i -= r->last - r->first + 1;
	return r->first + i;
}

/* What is left of one range. */
static void
add_gaps(struct ip_list *out, const struct ip_range *r, const uint32_t *ips, size_t n)
{
	uint64_t from = r->first;

	for (size_t i = 0; i <= n; i++) {
		uint64_t hole = i < n && ips[i] <= r->last ? ips[i] : (uint64_t)r->last + 1;

		if (hole < from)
			continue;
		if (hole > from) {
			out->ranges[out->n++] =
			    (struct ip_range){(uint32_t)from, (uint32_t)(hole - 1)};
			out->total += (uint32_t)(hole - from);
		}
		from = hole + 1;
	}
}

int
ip_list_without(const struct ip_list *l, const uint32_t *ips, size_t n, struct ip_list *out)
{
	*out = (struct ip_list){.ranges = calloc(l->n + n + 1, sizeof(*out->ranges))};
	if (out->ranges == NULL)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		add_gaps(out, &l->ranges[i], ips, n);
	return 0;
}

void
ip_list_print(const struct ip_list *l, FILE *f)
{
	const struct ip_range *r;

	for (size_t i = 0; i < l->n; i++) {
		r = &l->ranges[i];
		fprintf(f, "%s%s", i > 0 ? "," : "", conf_ipv4(r->first));
		if (r->first >> 8 == r->last >> 8 && r->first != r->last)
			fprintf(f, "-%u", r->last & 0xff);
		else if (r->first != r->last)
			fprintf(f, "-%s", conf_ipv4(r->last));
	}
}
