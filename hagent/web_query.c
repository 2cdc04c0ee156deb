/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reading what a request asks for: see web_query.h.
 */
#include "hagent/web_query.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <nettle/base64.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"
#include "common/log.h"

#define VALUE_MAX 256 /* bytes of a value before anything looks at it */

static const char *const sort_names[WEB_SORT_MAX] = {
    "call", "user", "address", "peer", "state", "age", "rx", "tx"};

const char *
web_sort_name(enum web_sort s)
{
	return (unsigned)s < WEB_SORT_MAX ? sort_names[s] : "?";
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes len bytes of a form's text. Its length, or -1: too long, a NUL, or half an escape. */
static int
decode(const char *s, size_t len, char out[static VALUE_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 1 < len ? hex(s[i + 1]) : -1;
			int low = i + 2 < len ? hex(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = high << 4 | low;
			i += 2;
		}
		if (c == '\0' || n == VALUE_MAX)
			return -1;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return (int)n;
}

static int
refuse(char said[static WEB_SAID_MAX], const char *name, const char *got, const char *want)
{
	snprintf(said, WEB_SAID_MAX, "%.16s: got \"%.100s\", want %.100s", name,
	    log_quote(got, strlen(got)), want);
	return -1;
}

static int
take_number(const char *name, const char *value, unsigned min, unsigned max, unsigned *out,
    char said[static WEB_SAID_MAX])
{
	char want[32];

	if (conf_parse_uint(value, min, max, out) == 0)
		return 0;
	snprintf(want, sizeof(want), "%u..%u", min, max);
	return refuse(said, name, value, want);
}

static int
take_sort(const char *value, enum web_sort *out, char said[static WEB_SAID_MAX])
{
	for (unsigned i = 0; i < WEB_SORT_MAX; i++) {
		if (strcmp(sort_names[i], value) == 0) {
			*out = (enum web_sort)i;
			return 0;
		}
	}
	return refuse(said, "sort", value, "call, user, address, peer, state, age, rx or tx");
}

static int
take(const char *name, const char *value, struct web_query *q, char said[static WEB_SAID_MAX])
{
	if (strcmp(name, "q") == 0) {
		if (strlen(value) > WEB_Q_MAX)
			return refuse(said, name, value, "at most 64 bytes");
		memcpy(q->q, value, strlen(value) + 1);
		return 0;
	}
	/* An empty field of a form is one that was left alone. */
	if (*value == '\0')
		return 0;
	if (strcmp(name, "sort") == 0)
		return take_sort(value, &q->sort, said);
	if (strcmp(name, "order") == 0) {
		if (strcmp(value, "asc") != 0 && strcmp(value, "desc") != 0)
			return refuse(said, name, value, "asc or desc");
		q->descending = value[0] == 'd';
		return 0;
	}
	if (strcmp(name, "after") == 0)
		return take_number(name, value, 0, WEB_AFTER_MAX, &q->after, said);
	if (strcmp(name, "limit") == 0)
		return take_number(name, value, 1, WEB_LIMIT_MAX, &q->limit, said);
	return 0;
}

int
web_query_parse(const char *text, struct web_query *out, char said[static WEB_SAID_MAX])
{
	char name[VALUE_MAX + 1], value[VALUE_MAX + 1];

	*out = (struct web_query){.sort = WEB_SORT_USER};
	said[0] = '\0';
	while (text && *text) {
		size_t len = strcspn(text, "&"), name_len = strcspn(text, "=&");
		size_t at = name_len < len ? name_len + 1 : len;

		if (decode(text, name_len, name) < 0 || decode(text + at, len - at, value) < 0) {
			snprintf(said, WEB_SAID_MAX,
			    "query: got \"%s\", want NAME=VALUE of at most %d bytes",
			    log_quote(text, len), VALUE_MAX);
			return -1;
		}
		if (take(name, value, out, said) < 0)
			return -1;
		text += len;
		text += *text == '&';
	}
	return 0;
}

const char *
web_query_name(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);
	const char *name = path + len;

	if (strncmp(path, prefix, len) != 0 || *name == '\0' || strlen(name) > WEB_NAME_MAX)
		return NULL;
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '-')
			return NULL;
	}
	return name;
}

static bool
same(const char *a, size_t len, const char *token)
{
	return len == strlen(token) && memeql_sec(a, token, len);
}

bool
web_query_authorized(const char *header, const char *token)
{
	struct base64_decode_ctx ctx;
	uint8_t plain[WEB_TOKEN_MAX + 128];
	size_t len = sizeof(plain), text_len;
	const char *colon;
	bool good = false;

	if (!header)
		return false;
	if (strncasecmp(header, "Bearer ", 7) == 0)
		return same(header + 7, strlen(header + 7), token);
	text_len = strncasecmp(header, "Basic ", 6) == 0 ? strlen(header + 6) : 0;
	if (text_len == 0 || BASE64_DECODE_LENGTH(text_len) > sizeof(plain))
		return false;
	base64_decode_init(&ctx);
	if (base64_decode_update(&ctx, &len, plain, text_len, header + 6) &&
	    base64_decode_final(&ctx) && (colon = memchr(plain, ':', len)) != NULL) {
		size_t user = (size_t)(colon - (const char *)plain) + 1;

		good = same(colon + 1, len - user, token);
	}
	explicit_bzero(plain, sizeof(plain));
	return good;
}

bool
web_query_host_is_local(const char *host)
{
	char name[64];
	const char *end;
	struct in6_addr six;
	uint32_t four;

	if (*host == '[')
		end = strchr(host, ']');
	else
		end = host + strcspn(host, ":");
	if (!end || (size_t)(end - host) >= sizeof(name))
		return false;
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	if (*host == '[')
		return inet_pton(AF_INET6, name + 1, &six) == 1;
	return strcasecmp(name, "localhost") == 0 || conf_parse_ipv4(name, &four) == 0;
}
