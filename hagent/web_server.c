/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bounds: see web_server.h. evhttp has limits for headers and for silence, but none for how
 * many there are or for how long one may dribble. Its connections are our descriptors that have an
 * internet peer; four times a second each is looked at, known again by its socket's inode, and shut
 * when its time is over. evhttp then sees its end as it sees any other.
 */
#include "hagent/web_server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log.h"
#include "hagent/web_query.h"

#define SWEEP_MS   250
#define SILENCE_S  10  /* evhttp's own limit for either direction */
#define SPARE_FDS  256 /* beside connections: the listener's queue; sockets to the agent, files */
#define SHED_PARTS 4   /* so large a part of all goes when the places run out */

struct place {
	ino_t inode; /* 0 = empty */
	uint64_t since_ms;
	bool shut;
};

struct web_server {
	struct loop *loop;
	struct evhttp *http;
	struct evconnlistener *listener;
	SSL_CTX *tls;
	const char *token;
	unsigned life_ms;
	void (*on_request)(void *arg, struct web_request *r);
	void *arg;
	struct timer sweep;
	unsigned connections, arrived; /* at most; since the last look */
	bool full;
	struct place *places; /* by descriptor */
	int n_places;
	struct web_server_counts counts;
};

struct web_request {
	struct web_server *server;
	struct evhttp_request *http;
};

/* ---- places ---- */

static bool
is_client(int fd, ino_t *inode)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || peer.ss_family != AF_INET)
		return false;
	*inode = st.st_ino;
	return true;
}

static void
shut(struct web_server *s, int fd)
{
	s->places[fd].shut = true;
	shutdown(fd, SHUT_RDWR);
}

/* Who is there; ends those whose time is over. */
static void
look(struct web_server *s)
{
	uint64_t now_ms = loop_now_ms(s->loop);
	unsigned open = 0;

	for (int fd = 0; fd < s->n_places; fd++) {
		struct place *p = &s->places[fd];
		ino_t inode = 0;

		if (!is_client(fd, &inode)) {
			p->inode = 0;
			continue;
		}
		if (p->inode != inode)
			*p = (struct place){.inode = inode, .since_ms = now_ms};
		if (!p->shut && now_ms - p->since_ms >= s->life_ms) {
			shut(s, fd);
			s->counts.cut++;
		}
		open += !p->shut;
	}
	s->counts.open = open;
}

/* The oldest give up their places until so many are left. */
static void
shed(struct web_server *s, unsigned goal)
{
	while (s->counts.open > goal) {
		int oldest = -1;

		for (int fd = 0; fd < s->n_places; fd++) {
			const struct place *p = &s->places[fd];

			if (p->inode != 0 && !p->shut &&
			    (oldest < 0 || p->since_ms < s->places[oldest].since_ms))
				oldest = fd;
		}
		if (oldest < 0)
			return;
		shut(s, oldest);
		s->counts.open--;
		s->counts.shed++;
	}
}

static void
sweep_cb(void *arg)
{
	struct web_server *s = arg;

	timer_set(&s->sweep, SWEEP_MS);
	if (s->counts.open > 0 || s->arrived > 0) {
		s->arrived = 0;
		look(s);
	}
	if (s->full)
		shed(s, s->connections - s->connections / SHED_PARTS);
	s->full = false;
	evconnlistener_enable(s->listener);
}

/* ---- requests ---- */

const char *
web_request_path(const struct web_request *r)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r->http));

	return path && *path ? path : "/";
}

const char *
web_request_query(const struct web_request *r)
{
	return evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->http));
}

static void
add_headers(const struct web_request *r, enum web_type type)
{
	static const char *const types[] = {
	    [WEB_TEXT] = "text/plain; charset=utf-8",
	    [WEB_METRICS] = "text/plain; version=0.0.4; charset=utf-8",
	    [WEB_JSON] = "application/json",
	    [WEB_PAGE] = "text/html; charset=utf-8",
	    [WEB_REPORT] = "text/html; charset=utf-8",
	    [WEB_STYLE] = "text/css; charset=utf-8",
	    [WEB_SCRIPT] = "text/javascript; charset=utf-8",
	    [WEB_IMAGE] = "image/svg+xml",
	};
	static const char page[] =
	    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
	    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
	static const char rest[] =
	    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
	    "form-action 'none'; frame-ancestors 'none'";
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);

	evhttp_add_header(headers, "Content-Type", types[type]);
	evhttp_add_header(headers, "Content-Security-Policy", type == WEB_PAGE ? page : rest);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Cross-Origin-Resource-Policy", "same-origin");
	evhttp_add_header(headers, "Connection", "close");
}

static void
free_body(const void *data, size_t len, void *body)
{
	free(body);
}

void
web_reply(struct web_request *r, int status, enum web_type type, char *body)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(r->http);
	size_t len = body ? strlen(body) : 0;
	char length[24];

	if (!body)
		status = HTTP_SERVUNAVAIL;
	add_headers(r, type);
	snprintf(length, sizeof(length), "%zu", len);
	evhttp_add_header(evhttp_request_get_output_headers(r->http), "Content-Length", length);
	r->server->counts.requests[status / 100 % 6]++;
	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD ||
	    evbuffer_add_reference(out, body, len, free_body, body) < 0)
		free(body);
	evhttp_send_reply(r->http, status, NULL, NULL);
	free(r);
}

void
web_reply_error(struct web_request *r, int status, const char *code, const char *fmt, ...)
{
	char message[512];
	va_list ap;
	json_t *o;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	o = json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message);
	web_reply(r, status, WEB_JSON, json_dumps(o, JSON_COMPACT));
	json_decref(o);
}

/* Whether it may ask; answers otherwise. */
static bool
admit(struct web_request *r)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(r->http);
	const char *host = evhttp_find_header(headers, "Host"), *token = r->server->token;

	if (!token && host && !web_query_host_is_local(host)) {
		web_reply_error(r, 403, "host", "got Host \"%s\", want an address",
		    log_quote(host, strlen(host)));
		return false;
	}
	if (token && !web_query_authorized(evhttp_find_header(headers, "Authorization"), token)) {
		evhttp_add_header(evhttp_request_get_output_headers(r->http), "WWW-Authenticate",
		    "Basic realm=\"pptp-ha\", charset=\"UTF-8\"");
		web_reply_error(r, 401, "token", "want the token: Bearer, or Basic as password");
		return false;
	}
	return true;
}

static void
request_cb(struct evhttp_request *http, void *arg)
{
	struct web_server *s = arg;
	struct web_request *r = calloc(1, sizeof(*r));

	if (!r) {
		evhttp_send_error(http, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	*r = (struct web_request){s, http};
	if (!evhttp_request_get_evhttp_uri(http))
		web_reply_error(r, HTTP_BADREQUEST, "uri", "this is no address of a page");
	else if (admit(r))
		s->on_request(s->arg, r);
}

/* ---- its life ---- */

/* Called once for each connection. */
static struct bufferevent *
connection_cb(struct event_base *base, void *arg)
{
	struct web_server *s = arg;
	struct bufferevent *b;
	SSL *ssl;

	s->counts.accepted++;
	if (++s->arrived + s->counts.open >= s->connections && !s->full) {
		s->full = true;
		evconnlistener_disable(s->listener);
		timer_set(&s->sweep, 0);
	}
	if (!s->tls)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	ssl = SSL_new(s->tls);
	b = ssl ? bufferevent_openssl_socket_new(
		      base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
		: NULL;
	if (b)
		bufferevent_openssl_set_allow_dirty_shutdown(b, 1);
	return b;
}

/* Not more descriptors than the connections may have, and a few. */
static int
limit_descriptors(struct web_server *s)
{
	struct rlimit limit;

	s->n_places = (int)s->connections + SPARE_FDS;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	if (limit.rlim_max < (rlim_t)s->n_places)
		s->n_places = (int)limit.rlim_max;
	limit.rlim_cur = (rlim_t)s->n_places;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	s->places = calloc((size_t)s->n_places, sizeof(*s->places));
	return s->places ? 0 : -1;
}

struct web_server *
web_server_new(struct loop *l, const struct web_server_config *c,
    void (*on_request)(void *arg, struct web_request *r), void *arg)
{
	struct web_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = l;
	s->tls = c->tls;
	s->token = c->token;
	s->connections = c->connections ? c->connections : WEB_CONNECTIONS;
	s->life_ms = c->life_ms ? c->life_ms : WEB_LIFE_MS;
	s->on_request = on_request;
	s->arg = arg;
	timer_init(&s->sweep, l, sweep_cb, s);
	s->http = evhttp_new(loop_event_base(l));
	if (!s->http || limit_descriptors(s) < 0)
		goto failed;
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(s->http, WEB_HEADERS_MAX);
	evhttp_set_max_body_size(s->http, 0);
	evhttp_set_timeout(s->http, SILENCE_S);
	evhttp_set_gencb(s->http, request_cb, s);
	evhttp_set_bevcb(s->http, connection_cb, s);
	struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(s->http, c->fd);
	if (!bound)
		goto failed;
	s->listener = evhttp_bound_socket_get_listener(bound);
	timer_set(&s->sweep, SWEEP_MS);
	return s;
failed:
	web_server_free(s);
	return NULL;
}

void
web_server_free(struct web_server *s)
{
	if (!s)
		return;
	timer_cancel(&s->sweep);
	if (s->http)
		evhttp_free(s->http);
	SSL_CTX_free(s->tls);
	free(s->places);
	free(s);
}

const struct web_server_counts *
web_server_counts(const struct web_server *s)
{
	return &s->counts;
}
