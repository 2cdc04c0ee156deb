/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verdict of a drill against the operator's own limits, why, and what to do.
 */
#include <stdio.h>
#include <string.h>

#include "hagent/drill_report.h"
#include "hagent/words.h"

struct judge {
	json_t *limits, *advice;
	char why[512];
	size_t n;
	bool failed;
};

static void
say(struct judge *j, const char *text)
{
	int n = snprintf(j->why + j->n, sizeof(j->why) - j->n, "%s%s", j->n > 0 ? "; " : "", text);

	if (n > 0 && (size_t)n < sizeof(j->why) - j->n)
		j->n += (size_t)n;
}

/* seen < 0: it could not be measured, which is no failure. */
static bool
limit(struct judge *j, const char *name, const char *unit, double most, double seen)
{
	bool good = seen <= most;

	json_array_append_new(
	    j->limits, json_pack("{s:s,s:f,s:o,s:s,s:b}", "name", name, "limit", most, "seen",
			   seen < 0 ? json_null() : json_real(seen), "unit", unit, "ok", good));
	j->failed |= !good;
	return good;
}

static double
real_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_number(v) ? json_number_value(v) : -1;
}

static void
advise(struct judge *j, const char *text)
{
	json_array_append_new(j->advice, json_string(text));
}

static void
judge_sessions(struct judge *j, const json_t *report, const struct drill_plan *plan)
{
	const json_t *s = json_object_get(report, "sessions");
	long long lost = words_number(s, "lost"), redialled = words_number(s, "redialled");
	char text[160];

	if (limit(
		j, "sessions that did not survive", "", plan->max_lost, (double)(lost + redialled)))
		return;
	snprintf(text, sizeof(text), "%lld of %lld sessions were lost, %lld had to redial", lost,
	    words_number(s, "before"), redialled);
	say(j, text);
	if (words_number(s, "silent") > 0)
		advise(j,
		    "Sessions fell silent although the new gateway has them: look at what the "
		    "routers of these clients do when the gateway's MAC address changes.");
	else
		advise(j, "See which sessions are gone below, and `hagent status` for sessions at "
			  "risk: only those that the standby holds can be continued.");
}

static void
judge_times(struct judge *j, const json_t *report, const struct drill_plan *plan)
{
	double gap = real_of(json_object_get(report, "gap_ms"), "max");
	double detection = real_of(report, "detection_ms");
	char text[160];

	if (!limit(j, "longest gap", "ms", plan->max_gap_ms, gap)) {
		snprintf(text, sizeof(text), "data to a client stood still for %.0f ms", gap);
		say(j, text);
		advise(j, "Look at the slowest step of the time line below.");
	}
	if (!limit(j, "detection", "ms", plan->max_detection_ms, detection)) {
		snprintf(
		    text, sizeof(text), "it took %.0f ms until the other gateway acted", detection);
		say(j, text);
		advise(j, "Detection is a little more than three times advert-interval-ms of "
			  "cluster.conf, or health's pptpd-timeout-ms times failures.");
	}
}

static void
judge_fail_back(struct judge *j, const json_t *report)
{
	const json_t *back = json_object_get(report, "fail_back");

	if (!json_is_object(back) || strcmp(words_text(back, "result"), "moved") == 0)
		return;
	j->failed = true;
	say(j, "the sessions could not be moved back");
	advise(j, "`hagent switchover` moves them back; it says what is against it.");
}

static void
praise(struct judge *j, const json_t *report)
{
	const json_t *s = json_object_get(report, "sessions"),
		     *gap = json_object_get(report, "gap_ms");
	char text[200];
	int n = snprintf(text, sizeof(text), "%lld of %lld sessions survived",
	    words_number(s, "survived"), words_number(s, "before"));

	if (json_is_object(gap) && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n,
		    ", data stood still for %.0f ms at most", real_of(gap, "max"));
	say(j, text);
}

static void
check_watch(struct judge *j, const json_t *report)
{
	const char *node;
	json_t *watch;

	json_object_foreach(json_object_get(report, "watch"), node, watch)
	{
		if (words_number(watch, "unseen") > 0)
			advise(j, "Packets went by faster than they could be counted: gaps may be "
				  "shorter "
				  "than they seem.");
	}
}

void
drill_report_judge(json_t *report, const struct drill_plan *plan)
{
	struct judge j = {.limits = json_array(), .advice = json_array()};

	judge_sessions(&j, report, plan);
	judge_times(&j, report, plan);
	judge_fail_back(&j, report);
	check_watch(&j, report);
	if (!j.failed)
		praise(&j, report);
	json_object_set_new(report, "limits", j.limits);
	json_object_set_new(report, "advice", j.advice);
	json_object_set_new(report, "verdict",
	    json_string(drill_verdict_name(j.failed ? DRILL_FAILED : DRILL_PASSED)));
	json_object_set_new(report, "why", json_string(j.why));
}

void
drill_report_end(json_t *report, enum drill_verdict v, const char *why, const char *advice)
{
	json_object_set_new(report, "verdict", json_string(drill_verdict_name(v)));
	json_object_set_new(report, "why", json_string(why));
	json_object_set_new(report, "advice", *advice ? json_pack("[s]", advice) : json_array());
	json_object_set_new(report, "limits", json_array());
}
