/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libevent's HTTP server with bounds around it: GET and HEAD, one request a connection, 8 KiB of
 * headers, no body, so many connections, each for so many seconds whatever it does. Whoever sends
 * slowly, or reads slowly, or nothing at all, is cut off; when the places run out the oldest go.
 * With a token every request must bear it; without one the Host header must name an address, so
 * that no other page can make a browser read this one.
 */
#ifndef HAGENT_WEB_SERVER_H
#define HAGENT_WEB_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

#define WEB_CONNECTIONS 1000
#define WEB_HEADERS_MAX 8192
#define WEB_LIFE_MS     15000 /* of a connection, from its arrival to the last byte sent */

struct ssl_ctx_st;
struct web_server;
struct web_request;

struct web_server_config {
	int fd;                        /* listening; taken over */
	struct ssl_ctx_st *tls;        /* NULL = plain HTTP; taken over */
	const char *token;             /* NULL = none is needed; borrowed */
	unsigned connections, life_ms; /* 0 = the above */
};

/* What on_request gets is answered exactly once, then or later, by web_reply(). */
struct web_server *web_server_new(struct loop *l, const struct web_server_config *c,
    void (*on_request)(void *arg, struct web_request *r), void *arg);
void web_server_free(struct web_server *s);

const char *web_request_path(const struct web_request *r);
const char *web_request_query(const struct web_request *r); /* NULL = none */

enum web_type {
	WEB_TEXT,
	WEB_METRICS,
	WEB_JSON,
	WEB_PAGE,   /* HTML, with our own style, script and images */
	WEB_REPORT, /* HTML that brings all of it in itself and has no script */
	WEB_STYLE,
	WEB_SCRIPT,
	WEB_IMAGE,
};
/* Frees body (malloc'd). NULL = out of memory, answered with 503. */
void web_reply(struct web_request *r, int status, enum web_type type, char *body);
/* {"error":{"code","message"}} */
void web_reply_error(struct web_request *r, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct web_server_counts {
	uint64_t requests[6]; /* by the first digit of the answer's status */
	uint64_t cut;         /* connections that took too long */
	uint64_t shed;        /* connections that gave up their place */
	uint64_t accepted;
	unsigned open;
};
const struct web_server_counts *web_server_counts(const struct web_server *s);

#endif
