/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Filtering, sorting and paging: see web_list.h.
 */
#include "hagent/web_list.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"

struct row {
	json_t *entry; /* borrowed */
	const char *text;
	uint64_t number;
	uint64_t call; /* decides between equals */
};

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static bool
matches(const json_t *entry, const char *q)
{
	return *q == '\0' || strcasestr(text_of(entry, "user"), q) ||
	       strcasestr(text_of(entry, "address"), q) || strcasestr(text_of(entry, "peer"), q);
}

static uint64_t
address_of(const json_t *entry, const char *name)
{
	uint32_t address;

	return conf_parse_ipv4(text_of(entry, name), &address) == 0 ? address : 0;
}

static struct row
row_of(json_t *entry, enum web_sort sort)
{
	static const char *const numbers[WEB_SORT_MAX] = {[WEB_SORT_CALL] = "call",
	    [WEB_SORT_AGE] = "age_ms",
	    [WEB_SORT_RX] = "rx_octets",
	    [WEB_SORT_TX] = "tx_octets"};
	struct row r = {.entry = entry, .text = ""};

	r.call = (uint64_t)json_integer_value(json_object_get(entry, "call"));
	if (numbers[sort])
		r.number = (uint64_t)json_integer_value(json_object_get(entry, numbers[sort]));
	else if (sort == WEB_SORT_ADDRESS || sort == WEB_SORT_PEER)
		r.number = address_of(entry, web_sort_name(sort));
	else
		r.text = text_of(entry, web_sort_name(sort));
	return r;
}

static int
ascending(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = (x->number > y->number) - (x->number < y->number);

	if (order == 0)
		order = strcasecmp(x->text, y->text);
	return order != 0 ? order : (x->call > y->call) - (x->call < y->call);
}

static int
descending(const void *a, const void *b)
{
	return ascending(b, a);
}

json_t *
web_list_page(const json_t *all, const struct web_query *q, unsigned limit)
{
	size_t total = json_array_size(all), n = 0, last;
	struct row *rows = calloc(total + 1, sizeof(*rows));
	json_t *list = json_array(), *entry;
	size_t i;

	if (!rows || !list) {
		free(rows);
		json_decref(list);
		errno = ENOMEM;
		return NULL;
	}
	json_array_foreach(all, i, entry)
	{
		if (matches(entry, q->q))
			rows[n++] = row_of(entry, q->sort);
	}
	qsort(rows, n, sizeof(*rows), q->descending ? descending : ascending);
	last = (size_t)q->after + (q->limit ? q->limit : limit);
	for (i = q->after; i < n && i < last; i++)
		json_array_append(list, rows[i].entry);
	free(rows);
	return json_pack("{s:I,s:I,s:o,s:o}", "total", (json_int_t)total, "matched", (json_int_t)n,
	    "sessions", list, "next", last < n ? json_integer((json_int_t)last) : json_null());
}
