/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `hagent web`: the status page, the read-only API and the metrics of a gateway. A process of its
 * own, without rights, that reads the agent's status socket and nothing else of the pair.
 *
 *   cmd_web.c      its life: reads what only root may, gives up root, listens, runs
 *   web_server.c   HTTP with bounds         web_query.c    what a request asks for
 *   web_data.c     the agent's answers      web_history.c  the last hour
 *   web_routes.c   the table of addresses   web_list.c     sessions, searched and sorted
 *   web_metrics.c  Prometheus' text         web_self.c     what it knows of itself
 *   web_page.c and its parts, web/          the page
 */
#ifndef HAGENT_WEB_H
#define HAGENT_WEB_H

#include "common/loop.h"
#include "hagent/web_data.h"
#include "hagent/web_server.h"

struct web {
	struct loop *loop;
	const char *node;
	struct web_server *server;
	struct web_data *data;
	int64_t started_ms; /* wall clock */
};

/* on_request of the server; arg is the struct web. */
void web_route(void *arg, struct web_request *r);

/* This process and the kernel's table of connections, for the metrics: new reference. */
json_t *web_self_json(const struct web *w);

#endif
