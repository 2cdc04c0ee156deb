/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kept answers: see web_data.h. The status is asked for once a second while somebody looks, and
 * every five seconds otherwise; the counters every ten, for the history. The list of sessions is
 * read page by page, only when it is wanted, and the longer that took the longer it is kept.
 */
#include "hagent/web_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer_client.h"
#include "hagent/journal.h"
#include "hagent/web_history.h"

#define ASK_MS      1000
#define LIVES_MS    5000
#define LOOKED_MS   15000 /* somebody looks, so long after a request */
#define IDLE_MS     5000
#define PAGE        200  /* sessions at a time */
#define PAGES_MS    2000 /* who waits for the list waits so long at most */
#define KEEP_FACTOR 10   /* it is kept so much longer than it took to read */
#define BUSY_MS     100  /* the agent has been asked too often: again after this */
#define WAITERS     1024
#define DRILLS      8

struct source {
	struct web_data *data;
	enum web_source which;
	json_t *answer;
	uint64_t read_ms; /* 0 = never */
	uint64_t max_age_ms;
	bool asking;
	char trouble[160]; /* "" = the last answer was good */
};

struct waiter {
	struct waiter *next;
	unsigned needs; /* what is still missing */
	void (*ready)(void *arg);
	void *arg;
};

struct drill {
	struct web_data *data;
	void (*done)(void *arg, const json_t *report);
	void *arg;
};

struct web_data {
	struct loop *loop;
	struct answer_client *client;
	struct source sources[WEB_SOURCES];
	struct waiter *waiters;
	unsigned n_waiters;
	struct timer poll, sample, page_again, page_late;
	json_t *pages; /* of the list that is being read */
	json_int_t page_after;
	uint64_t pages_ms, looked_ms;
	struct drill drills[DRILLS];
	struct web_history history;
};

static const struct {
	const char *command;
	uint64_t max_age_ms;
} kinds[WEB_SOURCES] = {
    [WEB_STATUS] = {"status", 1000},
    [WEB_COUNTERS] = {"metrics", 2000},
    [WEB_SESSIONS] = {"sessions", 2000},
    [WEB_DRILLS] = {"drills", 3000},
    [WEB_JOURNAL] = {"journal", 2000},
};

static uint64_t
now(const struct web_data *d)
{
	return loop_now_ms(d->loop);
}

/* ---- who waits ---- */

/* A source has an answer, or none is to come: who needed nothing else goes on. */
static void
settle(struct source *s)
{
	struct web_data *d = s->data;
	struct waiter **at = &d->waiters, *ready = NULL, **last = &ready, *w;

	while ((w = *at) != NULL) {
		w->needs &= ~WEB_NEED(s->which);
		if (w->needs != 0) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = NULL;
		*last = w;
		last = &w->next;
		d->n_waiters--;
	}
	while ((w = ready) != NULL) {
		ready = w->next;
		w->ready(w->arg);
		free(w);
	}
}

static void
store(struct source *s, json_t *answer)
{
	json_decref(s->answer);
	s->answer = answer;
	s->read_ms = now(s->data);
	s->trouble[0] = '\0';
}

/* Why there is no data in an answer, as a text for people. */
static void
complain(struct source *s, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	int reason = errno;

	if (message)
		snprintf(s->trouble, sizeof(s->trouble), "%s", message);
	else if (reason == ENOENT || reason == ECONNREFUSED)
		snprintf(s->trouble, sizeof(s->trouble), "the agent does not run");
	else if (reason == ETIMEDOUT || reason == EBUSY)
		snprintf(s->trouble, sizeof(s->trouble), "the agent does not answer");
	else
		snprintf(s->trouble, sizeof(s->trouble), "the agent: %s", strerror(reason));
}

static void
asked(void *arg, json_t *answer)
{
	struct source *s = arg;
	json_t *data = json_object_get(answer, "data");

	s->asking = false;
	if (json_is_object(data))
		store(s, json_incref(data));
	else
		complain(s, answer);
	settle(s);
}

/* ---- the list of sessions ---- */

static void ask_page(struct web_data *d);

static void
pages_end(struct web_data *d, bool good)
{
	struct source *s = &d->sources[WEB_SESSIONS];
	uint64_t took_ms = now(d) - d->pages_ms;

	timer_cancel(&d->page_late);
	s->asking = false;
	s->max_age_ms = kinds[WEB_SESSIONS].max_age_ms + KEEP_FACTOR * took_ms;
	if (good)
		store(s, json_incref(d->pages));
	json_decref(d->pages);
	d->pages = NULL;
	settle(s);
}

static void
page_done(void *arg, json_t *answer)
{
	struct web_data *d = arg;
	json_t *data = json_object_get(answer, "data"), *next = json_object_get(data, "next");
	const char *code =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	if (code && strcmp(code, "busy") == 0) {
		timer_set(&d->page_again, BUSY_MS);
	} else if (!json_is_object(data) ||
		   json_array_extend(d->pages, json_object_get(data, "sessions")) < 0) {
		complain(&d->sources[WEB_SESSIONS], answer);
		pages_end(d, false);
	} else if (json_is_integer(next) && json_integer_value(next) > d->page_after) {
		d->page_after = json_integer_value(next);
		ask_page(d);
	} else {
		pages_end(d, true);
	}
}

static void
ask_page(struct web_data *d)
{
	json_t *args = json_pack("{s:I,s:i}", "after", d->page_after, "limit", PAGE);

	if (answer_client_call(d->client, "sessions", args, ASK_MS, page_done, d) == 0)
		page_done(d, NULL);
}

static void
page_again_cb(void *arg)
{
	ask_page(arg);
}

/* The reading goes on; who waits gets the list from before. */
static void
page_late_cb(void *arg)
{
	struct web_data *d = arg;

	settle(&d->sources[WEB_SESSIONS]);
}

/* ---- asking ---- */

static void
ask(struct web_data *d, enum web_source which)
{
	struct source *s = &d->sources[which];

	if (s->asking)
		return;
	s->asking = true;
	if (which == WEB_SESSIONS) {
		d->pages = json_array();
		d->page_after = 0;
		d->pages_ms = now(d);
		timer_set(&d->page_late, PAGES_MS);
		ask_page(d);
	} else if (answer_client_call(d->client, kinds[which].command, NULL, ASK_MS, asked, s) ==
		   0) {
		asked(s, NULL);
	}
}

bool
web_data_want(struct web_data *d, unsigned needs, void (*ready)(void *arg), void *arg)
{
	unsigned missing = 0;
	struct waiter *w;

	d->looked_ms = now(d);
	for (unsigned i = 0; i < WEB_SOURCES; i++) {
		if ((needs & WEB_NEED(i)) &&
		    web_data_age_ms(d, (enum web_source)i) > d->sources[i].max_age_ms)
			missing |= WEB_NEED(i);
	}
	if (missing == 0) {
		ready(arg);
		return true;
	}
	if (d->n_waiters == WAITERS || !(w = calloc(1, sizeof(*w))))
		return false;
	*w = (struct waiter){d->waiters, missing, ready, arg};
	d->waiters = w;
	d->n_waiters++;
	for (unsigned i = 0; i < WEB_SOURCES; i++) {
		if (missing & WEB_NEED(i))
			ask(d, (enum web_source)i);
	}
	return true;
}

static void
poll_cb(void *arg)
{
	struct web_data *d = arg;
	bool looks = d->looked_ms != 0 && now(d) - d->looked_ms < LOOKED_MS;

	timer_set(&d->poll, looks ? kinds[WEB_STATUS].max_age_ms : IDLE_MS);
	ask(d, WEB_STATUS);
}

/* ---- the history ---- */

static void
sample(void *arg)
{
	struct web_data *d = arg;
	bool fresh = web_data_age_ms(d, WEB_COUNTERS) <= d->sources[WEB_COUNTERS].max_age_ms;

	web_history_add(&d->history,
	    fresh ? json_object_get(web_data_get(d, WEB_COUNTERS), "pptpd") : NULL, now(d));
}

static void
sample_cb(void *arg)
{
	struct web_data *d = arg;
	uint64_t looked_ms = d->looked_ms;

	timer_set(&d->sample, WEB_HISTORY_STEP_S * 1000);
	if (!web_data_want(d, WEB_NEED(WEB_COUNTERS), sample, d))
		sample(d);
	d->looked_ms = looked_ms; /* that was nobody */
}

json_t *
web_data_history(const struct web_data *d)
{
	char end[25];

	journal_time(journal_now_ms(), end);
	return web_history_json(&d->history, end);
}

/* ---- one drill ---- */

static void
drill_done(void *arg, json_t *answer)
{
	struct drill *w = arg;
	void (*done)(void *arg, const json_t *report) = w->done;
	const char *code =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
	const json_t *data = json_object_get(answer, "data");

	w->done = NULL;
	if (!data)
		errno = code && strcmp(code, "not-found") == 0 ? ENOENT : EIO;
	done(w->arg, data);
}

bool
web_data_drill(
    struct web_data *d, const char *id, void (*done)(void *arg, const json_t *report), void *arg)
{
	struct drill *w = NULL;

	d->looked_ms = now(d);
	for (size_t i = 0; i < DRILLS && !w; i++)
		w = d->drills[i].done ? NULL : &d->drills[i];
	if (!w)
		return false;
	*w = (struct drill){d, done, arg};
	if (answer_client_call(
		d->client, "drill", json_pack("{s:s}", "drill", id), ASK_MS, drill_done, w) != 0)
		return true;
	w->done = NULL;
	return false;
}

/* ---- what there is ---- */

const json_t *
web_data_get(const struct web_data *d, enum web_source s)
{
	return d->sources[s].answer;
}

uint64_t
web_data_age_ms(const struct web_data *d, enum web_source s)
{
	return d->sources[s].read_ms == 0 ? UINT64_MAX : now(d) - d->sources[s].read_ms;
}

const char *
web_data_trouble(const struct web_data *d, enum web_source s)
{
	return d->sources[s].trouble[0] ? d->sources[s].trouble : NULL;
}

bool
web_data_lives(const struct web_data *d)
{
	return web_data_age_ms(d, WEB_STATUS) <= LIVES_MS + ASK_MS;
}

struct web_data *
web_data_new(struct loop *l, const char *path)
{
	struct web_data *d = calloc(1, sizeof(*d));

	if (!d || !(d->client = answer_client_new(l, path))) {
		free(d);
		return NULL;
	}
	d->loop = l;
	for (unsigned i = 0; i < WEB_SOURCES; i++)
		d->sources[i] = (struct source){
		    .data = d, .which = (enum web_source)i, .max_age_ms = kinds[i].max_age_ms};
	timer_init(&d->poll, l, poll_cb, d);
	timer_init(&d->sample, l, sample_cb, d);
	timer_init(&d->page_again, l, page_again_cb, d);
	timer_init(&d->page_late, l, page_late_cb, d);
	timer_set(&d->poll, 0);
	timer_set(&d->sample, 0);
	return d;
}

void
web_data_free(struct web_data *d)
{
	struct waiter *w;

	if (!d)
		return;
	answer_client_free(d->client);
	timer_cancel(&d->poll);
	timer_cancel(&d->sample);
	timer_cancel(&d->page_again);
	timer_cancel(&d->page_late);
	while ((w = d->waiters) != NULL) {
		d->waiters = w->next;
		free(w);
	}
	for (unsigned i = 0; i < WEB_SOURCES; i++)
		json_decref(d->sources[i].answer);
	json_decref(d->pages);
	free(d);
}
