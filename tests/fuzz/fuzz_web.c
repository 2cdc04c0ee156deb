/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the status page's server reads itself: the first byte says what the rest is. A query that is
 * taken must come out within its bounds, and written again it must mean the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hagent/web_list.h"
#include "hagent/web_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *
people(void)
{
	return json_pack("[{s:s,s:s,s:s,s:i,s:I},{s:s,s:n,s:s,s:i},{s:i}]", "user", "ann",
	    "address", "10.8.0.10", "peer", "198.51.100.7", "call", 7, "rx_octets",
	    (json_int_t)1 << 40, "user", "B\xc3\xb6", "address", "peer", "203.0.113.9", "call", 3,
	    "call", -1);
}

static void
check_list(const struct web_query *q)
{
	json_t *all = people(), *page = web_list_page(all, q, 2);
	json_int_t matched = json_integer_value(json_object_get(page, "matched"));
	size_t n = json_array_size(json_object_get(page, "sessions"));

	assert(page && matched >= 0 && matched <= 3);
	assert(n <= (q->limit ? q->limit : 2) && (json_int_t)n <= matched);
	json_decref(page);
	json_decref(all);
}

static void
check_query(const char *text)
{
	struct web_query q, again;
	char said[WEB_SAID_MAX], written[4 * WEB_Q_MAX + 128];
	size_t at = 0;

	if (web_query_parse(text, &q, said) < 0) {
		assert(said[0] != '\0' && strlen(said) < WEB_SAID_MAX);
		return;
	}
	assert(strlen(q.q) <= WEB_Q_MAX && q.sort < WEB_SORT_MAX);
	assert(q.after <= WEB_AFTER_MAX && q.limit <= WEB_LIMIT_MAX);
	at += (size_t)snprintf(written, sizeof(written), "sort=%s&order=%s&after=%u&",
	    web_sort_name(q.sort), q.descending ? "desc" : "asc", q.after);
	if (q.limit)
		at += (size_t)snprintf(written + at, sizeof(written) - at, "limit=%u&", q.limit);
	at += (size_t)snprintf(written + at, sizeof(written) - at, "q=");
	for (const char *p = q.q; *p; p++)
		at += (size_t)snprintf(
		    written + at, sizeof(written) - at, "%%%02X", (unsigned char)*p);
	assert(web_query_parse(written, &again, said) == 0);
	assert(strcmp(q.q, again.q) == 0 && q.sort == again.sort && q.after == again.after &&
	       q.limit == again.limit && q.descending == again.descending);
	check_list(&q);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	const char *name;

	if (size == 0 || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'a':
		if (web_query_authorized(text, "0123456789abcdef"))
			assert(strstr(text, "0123456789abcdef") ||
			       strncasecmp(text, "Basic ", 6) == 0);
		break;
	case 'h':
		(void)web_query_host_is_local(text);
		break;
	case 'n':
		name = web_query_name(text, "/api/drills/");
		assert(!name || (strlen(name) <= WEB_NAME_MAX && !strchr(name, '/')));
		break;
	default:
		check_query(text);
	}
	free(text);
	return 0;
}
