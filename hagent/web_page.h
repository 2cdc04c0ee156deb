/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status page as text: JSON in, HTML out, no I/O. All of it is drawn here, so it is the same
 * with and without JavaScript; page.js fetches the page again and puts in what changed. The parts
 * that are data are escaped by html_put().
 */
#ifndef HAGENT_WEB_PAGE_H
#define HAGENT_WEB_PAGE_H

#include <jansson.h>

/* Everything is borrowed; each member may be NULL: unknown, or not asked for. */
struct web_view {
	const json_t *status;   /* the answer of /api/status, possibly an old one */
	const json_t *sessions; /* of /api/sessions for the query below */
	const json_t *history;  /* of /api/history */
	const json_t *drills;   /* of /api/drills */
	const char *trouble;    /* why status is missing or old */
	const char *q, *sort, *order;
	long after, limit; /* of the query; limit 0 = the default */
};

/* The page, malloc'd; NULL with ENOMEM. */
char *web_page_html(const struct web_view *v);

/* Bodies of /style.css, /page.js and /icon.svg. */
extern const char web_style_css[], web_page_js[], web_icon_svg[];
/* The page without its data. */
extern const char web_page_template[];

#endif
