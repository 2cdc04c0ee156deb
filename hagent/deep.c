/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The deep check's report as text, and its judgement.
 */
#include "hagent/deep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the report ---- */

static json_t *
session_json(const struct deep_session *s)
{
	return json_pack("{s:b,s:b,s:b,s:I,s:I,s:I,s:I,s:s,s:s}", "up", s->up, "was_up", s->was_up,
	    "through", s->through, "silent_ms", (json_int_t)s->silent_ms, "rtt_us",
	    (json_int_t)s->rtt_us, "failures", (json_int_t)s->failures, "answers",
	    (json_int_t)s->answers, "step", s->step, "why", s->why);
}

char *
deep_report_text(const struct deep_report *r)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(list, session_json(&r->v[i]));
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

static bool
take_number(const json_t *o, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, name);
	json_int_t n = json_integer_value(v);

	*out = (uint64_t)n;
	return json_is_integer(v) && n >= 0 && *out <= max;
}

static bool
take_word(const json_t *o, const char *name, char *out, size_t size)
{
	const char *word = json_string_value(json_object_get(o, name));

	return word != NULL && (size_t)snprintf(out, size, "%s", word) < size;
}

static bool
take_session(const json_t *o, struct deep_session *s)
{
	uint64_t silent, rtt, failures;

	*s = (struct deep_session){.up = json_is_true(json_object_get(o, "up")),
	    .was_up = json_is_true(json_object_get(o, "was_up")),
	    .through = json_is_true(json_object_get(o, "through"))};
	if (!take_number(o, "silent_ms", UINT32_MAX, &silent) ||
	    !take_number(o, "rtt_us", UINT32_MAX, &rtt) ||
	    !take_number(o, "failures", UINT32_MAX, &failures) ||
	    !take_number(o, "answers", INT64_MAX, &s->answers) ||
	    !take_word(o, "step", s->step, sizeof(s->step)) ||
	    !take_word(o, "why", s->why, sizeof(s->why)))
		return false;
	s->silent_ms = (uint32_t)silent;
	s->rtt_us = (uint32_t)rtt;
	s->failures = (uint32_t)failures;
	return true;
}

int
deep_report_parse(const char *text, size_t len, struct deep_report *out)
{
	json_t *list = json_loadb(text, len, 0, NULL);
	size_t n = json_array_size(list);
	bool good = json_is_array(list) && n >= 1 && n <= LOOPBACK_SESSIONS;

	out->n = good ? n : 0;
	for (size_t i = 0; good && i < n; i++)
		good = take_session(json_array_get(list, i), &out->v[i]);
	json_decref(list);
	if (good)
		return 0;
	out->n = 0;
	errno = EBADMSG;
	return -1;
}

/* ---- the judgement ---- */

void
deep_work_see(struct deep_work *w, uint64_t decrypted, uint64_t encrypted, uint64_t now_ms)
{
	if (decrypted > w->decrypted)
		w->decrypted_ms = now_ms;
	if (encrypted > w->encrypted)
		w->encrypted_ms = now_ms;
	w->decrypted = decrypted;
	w->encrypted = encrypted;
}

const char *
deep_verdict_name(enum deep_verdict v)
{
	static const char *const names[] = {"off", "starting", "fine", "unsure", "dead"};

	return names[v];
}

static bool
lately(uint64_t at_ms, uint64_t now_ms, uint64_t ms)
{
	return at_ms != 0 && now_ms - at_ms < ms;
}

/* A second less than the silence: what the worker did before it fell silent proves nothing. */
static bool
works(const struct deep_view *v, size_t i)
{
	uint64_t ms = v->timeout_ms > 1500 ? v->timeout_ms - 1000 : v->timeout_ms / 3;

	return lately(v->work[i].decrypted_ms, v->now_ms, ms) &&
	       lately(v->work[i].encrypted_ms, v->now_ms, ms);
}

static void
find(struct deep_finding *f, enum deep_verdict verdict, size_t worker)
{
	f->verdict = verdict;
	f->worker = (unsigned)worker;
}

static void
judge_silent(const struct deep_view *v, size_t i, struct deep_finding *f)
{
	const struct deep_session *s = &v->report->v[i];
	char since[96];

	snprintf(since, sizeof(since), "pptpd's worker %zu has answered no ping for %u.%u s", i,
	    s->silent_ms / 1000, s->silent_ms / 100 % 10);
	if (!works(v, i)) {
		find(f, DEEP_DEAD, i);
		snprintf(f->text, sizeof(f->text), "%s, and passes nobody's packets", since);
	} else if (f->verdict != DEEP_DEAD) {
		find(f, DEEP_UNSURE, i);
		snprintf(f->text, sizeof(f->text), "%s, but passes packets: it is busy", since);
	}
}

/*
 * A session that cannot be set up. Where the control connection is what fails, or other clients log
 * in, or their packets pass, it is for people to look at.
 */
static void
judge_down(const struct deep_view *v, size_t i, struct deep_finding *f)
{
	const struct deep_session *s = &v->report->v[i];
	bool dead = (s->through || s->was_up) && !works(v, i) &&
		    !lately(v->login_ms, v->now_ms, DEEP_SETUP_MS);

	if (!dead && f->verdict == DEEP_DEAD)
		return;
	find(f, dead ? DEEP_DEAD : DEEP_UNSURE, i);
	snprintf(f->text, sizeof(f->text),
	    "the check's session through pptpd's worker %zu does not come up: %s at step %s", i,
	    *s->why != '\0' ? s->why : "no end", *s->step != '\0' ? s->step : "?");
}

void
deep_judge(const struct deep_view *v, struct deep_finding *out)
{
	*out = (struct deep_finding){.verdict = v->report->n > 0 ? DEEP_FINE : DEEP_STARTING};
	for (size_t i = 0; i < v->report->n; i++) {
		const struct deep_session *s = &v->report->v[i];

		if (s->up && s->silent_ms >= v->timeout_ms)
			judge_silent(v, i, out);
		else if (!s->up && s->silent_ms >= DEEP_SETUP_MS)
			judge_down(v, i, out);
		else if (!s->up && out->verdict == DEEP_FINE)
			find(out, DEEP_STARTING, i);
	}
}
