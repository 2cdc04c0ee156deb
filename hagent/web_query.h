/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a request of the status page's server asks for: its query, the name of a drill in its path,
 * and what proves that it may ask. Pure; every byte here comes from outside.
 */
#ifndef HAGENT_WEB_QUERY_H
#define HAGENT_WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#define WEB_Q_MAX     64 /* bytes of a search */
#define WEB_LIMIT_MAX 1000
#define WEB_AFTER_MAX 65535
#define WEB_NAME_MAX  64
#define WEB_TOKEN_MAX 256

enum web_sort {
	WEB_SORT_CALL,
	WEB_SORT_USER,
	WEB_SORT_ADDRESS,
	WEB_SORT_PEER,
	WEB_SORT_STATE,
	WEB_SORT_AGE,
	WEB_SORT_RX,
	WEB_SORT_TX,
	WEB_SORT_MAX
};
const char *web_sort_name(enum web_sort s);

struct web_query {
	char q[WEB_Q_MAX + 1]; /* "" = everybody */
	enum web_sort sort;
	bool descending;
	unsigned after, limit; /* limit 0 = not given */
};

/*
 * text: what stands behind the '?', NULL = nothing: q, sort, order, after, limit; other names are
 * passed over, of one that stands twice the last counts. 0, or -1 with an error such as
 * `limit: got "x", want 1..1000` in said.
 */
#define WEB_SAID_MAX 256
int web_query_parse(const char *text, struct web_query *out, char said[static WEB_SAID_MAX]);

/* The rest of path behind prefix, if it is a drill's name (letters, digits and '-'); else NULL. */
const char *web_query_name(const char *path, const char *prefix);

/*
 * Whether an Authorization header (NULL = none) bears the token: `Bearer TOKEN`, or Basic with any
 * user and the token as password. Takes as long for a wrong one of the same length as for the right
 * one.
 */
bool web_query_authorized(const char *header, const char *token);

/*
 * Whether a Host header may stand in a request to a loopback address: an IPv4 or bracketed IPv6
 * literal or "localhost", with or without a port. A name is somebody else's page that made a
 * browser ask us.
 */
bool web_query_host_is_local(const char *host);

#endif
