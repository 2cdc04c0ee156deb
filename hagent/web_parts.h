/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of the status page, each written to a stream as what stands inside its element.
 * page.js replaces a part as a whole when it has changed, so a part holds no state of the
 * browser's.
 */
#ifndef HAGENT_WEB_PARTS_H
#define HAGENT_WEB_PARTS_H

#include <stdbool.h>
#include <stdio.h>

#include "hagent/web_page.h"

struct web_parts {
	const struct web_view *view;
	json_t *safety; /* safety_judge()'s; NULL = nothing is known */
};

/* One of the two gateways, as the picture and the table show it. Borrows from the status. */
struct web_gateway {
	const char *name, *role, *health, *version;
	const char *wan, *lan, *sync; /* addresses, "" = unknown */
	bool here;                    /* its agent is the one that answered */
	bool known;                   /* it was heard at least once */
	bool silent;                  /* the other one hears nothing of it */
	bool lost;                    /* what is known is old: no agent answers here */
	bool serves, maintenance;
	long long epoch, silent_ms;
};

/* Left and right, in the order of cluster.conf or of their names: the same on both gateways. */
void web_gateways(const struct web_view *v, struct web_gateway out[static 2]);

/* How current the standby's copy is: a class for style.css ("ok", "note", "bad", "off"), words. */
struct web_copy {
	const char *class;
	char text[40], lag[40];
};
void web_copy_state(const struct web_view *v, struct web_copy *out);

void web_verdict_put(FILE *f, const struct web_parts *p);
void web_problems_put(FILE *f, const struct web_parts *p);
void web_facts_put(FILE *f, const struct web_parts *p);
void web_picture_put(FILE *f, const struct web_parts *p);
void web_traffic_put(FILE *f, const struct web_parts *p);
void web_drills_put(FILE *f, const struct web_parts *p);
void web_sessions_put(FILE *f, const struct web_parts *p);

/* The last sample of a row of /api/history that is known; negative = none. */
double web_latest(const json_t *history, const char *row);

#endif
