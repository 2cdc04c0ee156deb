/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Prometheus' text format, and the metrics that are no row of a table. Used by web_metrics.c.
 */
#ifndef HAGENT_WEB_METRICS_TEXT_H
#define HAGENT_WEB_METRICS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct metrics_label {
	const char *name, *value; /* name NULL ends a list */
};

/* The lines before a family's samples. */
void metrics_family(FILE *f, const char *name, const char *type, const char *help);
/* labels NULL = none. Values are escaped. */
void metrics_sample(FILE *f, const char *name, const struct metrics_label *labels, double value);

/* The member at a path such as "pptpd.data.drops", borrowed; NULL = there is none. */
json_t *metrics_at(const json_t *o, const char *path);
/* A number or a boolean. */
bool metrics_number(const json_t *value, double *out);

/* All that is a list, or is put together. */
void metrics_special(FILE *f, const json_t *all);

#endif
