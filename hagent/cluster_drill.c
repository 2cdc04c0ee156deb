/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Values of drill sections, and the lookup of a plan.
 */
#include "hagent/cluster_drill.h"

#include <string.h>

int
cluster_parse_kind(const char *s, unsigned *out)
{
	int kind = drill_kind_of(s);

	if (kind < 0)
		return -1;
	*out = (unsigned)kind;
	return 0;
}

static int
copy(const char *s, char out[static DRILL_TEXT_MAX])
{
	size_t len = strlen(s);

	if (len == 0 || len >= DRILL_TEXT_MAX)
		return -1;
	memcpy(out, s, len + 1);
	return 0;
}

int
cluster_parse_schedule(const char *s, void *out)
{
	struct drill_plan *p = (void *)((char *)out - offsetof(struct drill_plan, schedule));

	return calendar_parse(s, &p->schedule.when) < 0 ? -1 : copy(s, p->schedule.text);
}

int
cluster_parse_blackout(const char *s, void *out)
{
	struct drill_plan *p = (void *)((char *)out - offsetof(struct drill_plan, blackout));
	unsigned n = p->blackout.n;

	if (n == DRILL_BLACKOUTS || blackout_parse(s, &p->blackout.v[n]) < 0 ||
	    copy(s, p->blackout.text[n]) < 0)
		return -1;
	p->blackout.n++;
	return 0;
}

int
cluster_parse_account(const char *s, char *out)
{
	return copy(s, out);
}

const struct drill_plan *
cluster_drill(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_drills; i++) {
		if (strcmp(c->drills[i].name, name) == 0)
			return &c->drills[i];
	}
	return NULL;
}
