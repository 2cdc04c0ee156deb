/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The report of a drill as one self-contained HTML page: nothing is loaded from elsewhere, no
 * script, the pictures are SVG inside it. Its looks are web/drill.css, and nowhere else. Pure.
 */
#ifndef HAGENT_DRILL_HTML_H
#define HAGENT_DRILL_HTML_H

#include <jansson.h>
#include <stdio.h>

extern const char drill_css[];

/*
 * past: summaries of drills (drill_report_summary), newest first, for the trend; NULL = none.
 * malloc'd; NULL = out of memory.
 */
char *drill_report_html(const json_t *report, const json_t *past);

/* drill_svg.c: the failover in time, and the longest gaps of past drills of the same kind. */
void drill_svg_timeline(FILE *f, const json_t *report);
void drill_svg_trend(FILE *f, const json_t *report, const json_t *past);

#endif
