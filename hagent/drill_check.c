/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * May a drill be? Judged from what our agent's status says, from the plan, and from past drills.
 * Pure.
 */
#include <stdio.h>
#include <string.h>

#include "hagent/drill_drive.h"
#include "hagent/words.h"

static bool
is(const json_t *o, const char *name, const char *value)
{
	return strcmp(words_text(o, name), value) == 0;
}

static const char *
against_peer(const json_t *peer, bool *wait)
{
	if (!words_is(peer, "fresh"))
		return "the other gateway is not heard";
	if (!is(peer, "role", "active")) {
		*wait = true;
		return "the other gateway does not serve";
	}
	if (words_is(peer, "maintenance"))
		return "the other gateway is in maintenance";
	if (!is(peer, "health", "fine") && !is(peer, "health", "note"))
		return "the other gateway has a fault";
	return NULL;
}

const char *
drill_refusal(const json_t *status, bool *wait)
{
	const json_t *replica = json_object_get(status, "replica");
	const char *why;

	*wait = false;
	if (!is(status, "role", "standby"))
		return "this gateway does not stand by";
	if (words_is(status, "transition_running") ||
	    json_is_object(json_object_get(status, "move"))) {
		*wait = true;
		return "a change of roles is under way";
	}
	if (json_is_number(json_object_get(status, "maintenance")))
		return "this gateway is in maintenance";
	if (!is(status, "health", "fine") && !is(status, "health", "note"))
		return "this gateway has a fault: see hagent status";
	why = against_peer(json_object_get(status, "peer"), wait);
	if (why)
		return why;
	if (!is(status, "verdict", "fit"))
		return "this gateway may not become MASTER now: see hagent status";
	if (!words_is(replica, "in_step")) {
		*wait = true;
		return "this gateway holds no current copy of the sessions";
	}
	return NULL;
}

/* The last drill that was more than a refusal. */
static bool
last_failed(const json_t *past)
{
	const json_t *o;
	size_t i;

	json_array_foreach(past, i, o)
	{
		if (!is(o, "verdict", "refused"))
			return !is(o, "verdict", "passed");
	}
	return false;
}

const char *
drill_refused_by_plan(
    const struct drill_plan *p, const json_t *past, int64_t now_s, bool scheduled, bool force)
{
	if (!scheduled || force)
		return NULL;
	if (drill_is_black(p, now_s))
		return "it is a time at which no drill may run (blackout)";
	if (p->after_failure == 0 && last_failed(past))
		return "the last drill failed: run one by hand before the schedule goes on "
		       "(after-failure)";
	return NULL;
}
