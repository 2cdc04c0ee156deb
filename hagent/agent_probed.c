/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `hagent probe` on this gateway last found of the pair's own address: one entry for the
 * session, and one for each API that was tried. The probes themselves are others' processes; this
 * is only where status and metrics find their results.
 */
#include <string.h>

#include "hagent/agent.h"
#include "hagent/words.h"

#define ENTRIES_MAX (CLUSTER_APIS + 1)
#define SESSION     "session" /* the entry of the session itself */

static json_t *
entry_of(struct agent *a, const char *api)
{
	json_t *entry;
	size_t i;

	if (!a->probes)
		a->probes = json_array();
	json_array_foreach(a->probes, i, entry)
	{
		if (strcmp(words_text(entry, "api"), api) == 0)
			return entry;
	}
	if (json_array_size(a->probes) == ENTRIES_MAX)
		return NULL;
	json_array_append_new(a->probes, json_pack("{s:s}", "api", api));
	return json_array_get(a->probes, json_array_size(a->probes) - 1);
}

static void
note(json_t *entry, bool ok, const char *at, double ms, const json_t *report)
{
	if (!entry)
		return;
	json_object_set_new(entry, "ok", json_boolean(ok));
	json_object_set_new(entry, "at", json_string(at));
	json_object_set_new(entry, "total_ms", ms > 0 ? json_real(ms) : json_null());
	json_object_set_new(entry, "why", json_string(ok ? "" : words_text(report, "why")));
	json_object_set_new(entry, "text", json_string(ok ? "" : words_text(report, "text")));
}

/* Several ports are one API: it is as good as the worst of them. */
static void
note_target(struct agent *a, const json_t *target, const char *at, const json_t *report)
{
	const char *name = words_text(target, "name");
	json_t *entry = *name && strlen(name) < CLUSTER_NAME_MAX ? entry_of(a, name) : NULL;
	bool again = entry && strcmp(words_text(entry, "at"), at) == 0;
	double ms = json_number_value(json_object_get(target, "ms"));
	double before_ms = json_number_value(json_object_get(entry, "total_ms"));

	note(entry, words_is(target, "ok") && (!again || words_is(entry, "ok")), at,
	    again && before_ms > ms ? before_ms : ms, report);
}

void
agent_probed(struct answer_request *r, json_t *args, struct agent *a)
{
	const json_t *report = json_object_get(args, "report");
	json_t *targets = json_object_get(report, "targets"), *one;
	bool ok = words_is(report, "ok");
	char at[25];
	size_t i;

	if (!json_is_boolean(json_object_get(report, "ok"))) {
		answer_error(r, "bad-report", "want report, what hagent probe --json prints");
		return;
	}
	journal_time(journal_now_ms(), at);
	note(entry_of(a, SESSION), ok || targets != NULL, at,
	    json_number_value(json_object_get(json_object_get(report, "ms"), "up")), report);
	json_array_foreach(targets, i, one) note_target(a, one, at, report);
	/* Without a session no API is reached. */
	json_array_foreach(a->probes, i, one)
	{
		if (!ok && !targets)
			note(one, false, at, 0, report);
	}
	answer_ok(r, NULL);
}

json_t *
agent_probes_json(const struct agent *a)
{
	return a->probes ? json_deep_copy(a->probes) : json_array();
}
