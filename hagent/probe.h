/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A probe: one PPTP session as a client sees it, from the dial to a web page, and a judgement. It
 * dials, pings through the tunnel (small, then as large as the tunnel allows), tries targets
 * behind it, fetches a page, holds the session for a while, and hangs up. What it found is one JSON
 * object; where it stopped and why is said in words of probe_words.c. Everything on one loop.
 *
 *   {"ok":true,"server":"198.51.100.10","step":"done","why":"ok","text":"...","advice":"",
 *    "ms":{"tcp":0.4,...,"ipcp":3.1,"ping":0.5,"http":12.0,"total":20.1},
 *    "address","server_address","auth":"mschap-v2","mppe":"128-bit stateless","mtu","dns":[],
 *    "ping":{...},"targets":[...],"http":{...},"held":{...},"gre":{...}}
 *
 * step is the one that failed: tcp start call lcp auth ccp ipcp, ping, targets, http, hold, or
 * done.
 */
#ifndef HAGENT_PROBE_H
#define HAGENT_PROBE_H

#include <jansson.h>

#include "hagent/client.h"
#include "hagent/client_io.h"
#include "hagent/probe_http.h"
#include "hagent/probe_targets.h"

enum probe_phase {
	PROBE_DIAL,
	PROBE_PING,
	PROBE_LARGE, /* pings as large as the tunnel's MTU */
	PROBE_TARGETS,
	PROBE_HTTP,
	PROBE_HOLD,
	PROBE_CLOSE,
	PROBE_DONE
};

struct probe_options { /* borrowed until probe_free() */
	struct pptp_client_options client;
	uint32_t ping;   /* who is pinged, 0 = the server's end of the tunnel */
	bool skip_large; /* no check of the MTU */
	const struct probe_target *targets;
	size_t n_targets;
	const struct probe_url *url; /* NULL = no page */
	unsigned for_ms;             /* the session is held so long, pinging; 0 = not at all */
	unsigned interval_ms;        /* of those pings; 0 = 100 */
};

struct probe_ops {                                            /* all may be NULL */
	void (*step)(void *arg, const char *name, double ms); /* one is done */
	void (*done)(void *arg); /* probe_free() is due, from the loop */
};

struct probe;

/* NULL with errno. */
struct probe *probe_new(
    struct loop *l, const struct probe_options *o, const struct probe_ops *ops, void *arg);
void probe_free(struct probe *p); /* NULL is fine */
/* Over sockets; gre_fd as for client_io_new(). -1 with errno. */
int probe_start(struct probe *p, int gre_fd);
/* Over a carrier of the caller's, who made the client with probe_client_ops() and p. */
extern const struct pptp_client_ops probe_client_ops;
void probe_start_on(struct probe *p, struct pptp_client *c, uint64_t (*now_us)(void));
/* Ends what it holds and says goodbye; done() follows. */
void probe_stop(struct probe *p);

bool probe_ok(const struct probe *p); /* after done() */
/* What it is at, in a few words: "lcp", "held for 12 s, 120 pings, 1 lost". */
void probe_say(const struct probe *p, char out[static 80]);
/* What was found, new reference; at any time. */
json_t *probe_report(const struct probe *p);
/* The same for people, to stdout. */
void probe_print(const json_t *report);

#endif
