/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent log: what both gateways have to say, in one order of time. Ours is read here, the peer's
 * comes over one connection that is kept. A clock that differs from ours is told of, and its times
 * are shown by ours. --follow: each round begins at a moment T, then both are read; what is older
 * than T is whole and leaves in order.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hagent/dial.h"
#include "hagent/event.h"
#include "hagent/hagent.h"
#include "hagent/journal.h"
#include "hagent/log_page.h"
#include "hagent/term.h"
#include "hagent/words.h"
#include "sync/serve.h"

#define ASK_MS      4000
#define ROUND_MS    500
#define REDIAL_MS   2000
#define BUSY_MS     50 /* between two tries */
#define BUSY_TRIES  40
#define CLOCK_MS    50 /* a difference below that is none */
#define LAST        50 /* lines, unless told */
#define LAST_MAX    100000
#define PAGES_MAX   10000
#define EVENTS_STEP 256

struct options {
	bool follow, as_json;
	const char *node; /* NULL = both */
	int64_t since_ms; /* 0 = none */
	unsigned last;
};

struct shown {
	int64_t ms; /* by our clock */
	size_t order;
	bool ours;
	json_t *packed;
};

struct reader {
	const struct hagent *h;
	struct options o;
	struct term term;
	struct shown *list;
	size_t n, room, order;
	json_t *ours_at, *theirs_at; /* NULL = not read yet */
	/* the peer */
	struct dial dial;
	bool dialled;
	struct ssh *ssh;
	struct ssh_channel *channel;
	int64_t try_ms, ahead_ms; /* when to dial again; its clock, above ours */
	bool told_silent, told_clock, wants_peer, wants_us;
};

/* ---- collecting ---- */

static void
keep(struct reader *r, json_t *packed, bool ours)
{
	int64_t ms = json_integer_value(json_array_get(packed, 0));

	if (r->n == r->room) {
		size_t room = r->room + EVENTS_STEP;
		struct shown *list = realloc(r->list, room * sizeof(*list));

		if (!list)
			return;
		r->list = list;
		r->room = room;
	}
	r->list[r->n++] =
	    (struct shown){ms - (ours ? 0 : r->ahead_ms), r->order++, ours, json_incref(packed)};
}

/* How a page is asked for: from where the last one ended. */
static json_t *
query(const struct reader *r, const json_t *at)
{
	if (at)
		return json_pack("{s:O}", "at", at);
	if (r->o.since_ms > 0)
		return json_pack("{s:I}", "since", (json_int_t)r->o.since_ms);
	return json_pack("{s:i}", "last", (int)r->o.last);
}

/* Takes a page in: true = there is more behind it. */
static bool
take_page(struct reader *r, const json_t *page, json_t **at, bool ours)
{
	json_t *next = json_object_get(page, "at"), *e;
	bool more = words_is(page, "more") && !json_equal(next, *at);
	size_t i;

	json_array_foreach(json_object_get(page, "events"), i, e) keep(r, e, ours);
	if (json_is_object(next)) {
		json_decref(*at);
		*at = json_incref(next);
	}
	return more;
}

static void
read_ours(struct reader *r)
{
	bool more = r->wants_us;

	for (int i = 0; more && i < PAGES_MAX; i++) {
		json_t *q = query(r, r->ours_at), *page = log_page(r->h, q);

		more = take_page(r, page, &r->ours_at, true);
		json_decref(page);
		json_decref(q);
	}
}

/* ---- the peer ---- */

static void
hang_up(struct reader *r)
{
	if (r->channel)
		ssh_channel_free(r->channel);
	ssh_free(r->ssh);
	r->channel = NULL;
	r->ssh = NULL;
}

static const char *
their_name(const struct reader *r)
{
	return r->dial.them ? r->dial.them->name : "the peer";
}

/* Once until it answers again. */
static void
tell_silent(struct reader *r, const char *why)
{
	hang_up(r);
	r->try_ms = journal_now_ms() + REDIAL_MS;
	if (!r->told_silent)
		fprintf(stderr, "hagent: no log of %s: %s%s\n", their_name(r), why,
		    r->o.follow ? "; what it missed comes when it answers" : "");
	r->told_silent = true;
}

static bool
dial_up(struct reader *r)
{
	struct ssh_error e = {0};

	if (r->channel)
		return true;
	if (journal_now_ms() < r->try_ms)
		return false;
	if (!r->dialled && dial_init(&r->dial, r->h, NULL, &e) < 0) {
		dial_fini(&r->dial);
		r->dial = (struct dial){0};
	} else {
		r->dialled = true;
		r->ssh = dial_connect(&r->dial, &e);
		if (r->ssh)
			r->channel = ssh_exec(r->ssh, SERVE_QUERY_COMMAND, ASK_MS, &e);
	}
	if (!r->channel)
		tell_silent(r, e.text);
	return r->channel != NULL;
}

/* Its clock against ours, as near as half the way there and back. */
static void
compare_clocks(struct reader *r, const json_t *page, int64_t asked_ms, int64_t answered_ms)
{
	int64_t ahead = words_number(page, "now") - (asked_ms + answered_ms) / 2;
	int64_t doubt = (answered_ms - asked_ms) / 2 + CLOCK_MS;

	r->ahead_ms = ahead > doubt || ahead < -doubt ? ahead : 0;
	if (r->ahead_ms && !r->told_clock)
		fprintf(stderr,
		    "hagent: the clock of %s is %lld.%03lld s %s ours: its times are "
		    "shown by ours\n",
		    their_name(r), llabs((long long)ahead) / 1000, llabs((long long)ahead) % 1000,
		    ahead > 0 ? "ahead of" : "behind");
	r->told_clock = r->ahead_ms != 0;
}

/* The answer, new reference; NULL with *e. */
static json_t *
ask_once(struct reader *r, struct ssh_error *e)
{
	json_t *q = query(r, r->theirs_at), *answer = NULL;
	char *dump, *line = NULL, *text = NULL;

	json_object_set_new(q, "v", json_integer(1));
	json_object_set_new(q, "id", json_integer(1));
	json_object_set_new(q, "cmd", json_string("log"));
	dump = json_dumps(q, JSON_COMPACT);
	if (dump && asprintf(&line, "%s\n", dump) > 0)
		text = ssh_ask_on(r->channel, line, ASK_MS, e);
	if (text)
		answer = json_loads(text, 0, NULL);
	if (text && !answer)
		*e = (struct ssh_error){SSH_BROKEN, "its answer is not JSON"};
	json_decref(q);
	free(text);
	free(line);
	free(dump);
	return answer;
}

/* One page: new reference, or NULL after a word about it. Somebody else may be reading, too. */
static json_t *
ask_peer(struct reader *r)
{
	const struct timespec pause = {.tv_nsec = BUSY_MS * 1000000L};
	struct ssh_error e = {0};
	json_t *answer = NULL, *error = NULL, *page;

	for (int i = 0; i < BUSY_TRIES; i++) {
		int64_t asked = journal_now_ms();

		json_decref(answer);
		answer = ask_once(r, &e);
		page = json_object_get(answer, "data");
		error = json_object_get(answer, "error");
		if (page) {
			compare_clocks(r, page, asked, journal_now_ms());
			json_incref(page);
			json_decref(answer);
			return page;
		}
		if (strcmp(words_text(error, "code"), "busy") != 0)
			break;
		nanosleep(&pause, NULL);
	}
	tell_silent(r, answer ? words_text(error, "message") : e.text);
	json_decref(answer);
	return NULL;
}

static void
read_theirs(struct reader *r)
{
	bool more = r->wants_peer && dial_up(r);

	for (int i = 0; more && i < PAGES_MAX; i++) {
		json_t *page = ask_peer(r);

		if (!page)
			return;
		r->told_silent = false;
		more = take_page(r, page, &r->theirs_at, false);
		json_decref(page);
	}
}

/* ---- showing ---- */

static int
compare(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void
show(const struct reader *r, const struct shown *s)
{
	const char *node = s->ours ? r->h->node : their_name(r), *level;
	enum term_style style, name = s->ours ? TERM_PLAIN : TERM_BOLD;
	struct event e;
	char time[25];

	if (!event_unpack(s->packed, &e))
		return;
	e.ms = s->ms;
	if (r->o.as_json) {
		json_t *o = event_json(&e, node);

		json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(o);
		return;
	}
	style = strcmp(e.level, "error") == 0     ? TERM_BAD
		: strcmp(e.level, "warning") == 0 ? TERM_WARN
						  : TERM_PLAIN;
	level = style == TERM_PLAIN ? "" : e.level;
	journal_time(s->ms, time);
	printf("%s%s%s %s%s%s %s%s%s: %s%s%s\n", term_on(&r->term, TERM_DIM), time,
	    term_off(&r->term, TERM_DIM), term_on(&r->term, name), node, term_off(&r->term, name),
	    e.program, *level ? " " : "", level, term_on(&r->term, style), e.text,
	    term_off(&r->term, style));
}

/* All that is older, in order; at most the last `last` of them, 0 = all. */
static void
flush_until(struct reader *r, int64_t until_ms, unsigned last)
{
	size_t n = 0, from;

	if (r->n > 0)
		qsort(r->list, r->n, sizeof(*r->list), compare);
	while (n < r->n && r->list[n].ms < until_ms)
		n++;
	from = last > 0 && n > last ? n - last : 0;
	for (size_t i = 0; i < n; i++) {
		if (i >= from)
			show(r, &r->list[i]);
		json_decref(r->list[i].packed);
	}
	if (n > 0)
		memmove(r->list, r->list + n, (r->n - n) * sizeof(*r->list));
	r->n -= n;
	fflush(stdout);
}

static void
follow(struct reader *r)
{
	const struct timespec pause = {.tv_nsec = ROUND_MS * 1000000L};
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	while (sigtimedwait(&ends, NULL, &pause) < 0 && !ferror(stdout)) {
		int64_t begun_ms = journal_now_ms();

		read_ours(r);
		read_theirs(r);
		flush_until(r, begun_ms, 0);
	}
}

/* ---- options ---- */

static int
parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){.last = LAST};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--follow") == 0 || strcmp(argv[i], "-f") == 0) {
			o->follow = true;
		} else if (strcmp(argv[i], "--json") == 0) {
			o->as_json = true;
		} else if (value && strcmp(argv[i], "--of") == 0) {
			o->node = argv[++i];
		} else if (value && strcmp(argv[i], "--since") == 0) {
			o->since_ms = event_since(argv[++i], journal_now_ms());
			if (o->since_ms <= 0)
				return hagent_usage(
				    "--since: got \"%s\", want 90s, 15m, 2h, 3d, 18:38 or "
				    "2026-11-21T18:38:40Z",
				    argv[i]);
		} else if (value && strcmp(argv[i], "--limit") == 0) {
			if (conf_parse_uint(argv[++i], 1, LAST_MAX, &o->last) < 0)
				return hagent_usage(
				    "--limit: got \"%s\", want 1..%d", argv[i], LAST_MAX);
		} else {
			return HAGENT_USAGE;
		}
	}
	return HAGENT_OK;
}

/* Whose log is wanted; -1 after a message. */
static int
choose(struct reader *r)
{
	struct cluster *c;
	bool known;

	r->wants_us = !r->o.node || strcmp(r->o.node, r->h->node) == 0;
	r->wants_peer = !r->o.node || !r->wants_us;
	if (r->wants_us)
		return 0;
	c = hagent_cluster(r->h);
	if (!c)
		return -1;
	known =
	    strcmp(c->nodes[0].name, r->o.node) == 0 || strcmp(c->nodes[1].name, r->o.node) == 0;
	if (!known)
		hagent_fail("--of: got \"%s\", want %s or %s", r->o.node, c->nodes[0].name,
		    c->nodes[1].name);
	cluster_free(c);
	return known ? 0 : -1;
}

int
cmd_log(const struct hagent *h, int argc, char **argv)
{
	struct reader r = {.h = h};
	int status = parse(&r.o, argc, argv);

	if (status != HAGENT_OK)
		return status;
	if (choose(&r) < 0)
		return HAGENT_FAIL;
	signal(SIGPIPE, SIG_IGN);
	term_look(&r.term, STDOUT_FILENO);
	read_ours(&r);
	read_theirs(&r);
	flush_until(&r, INT64_MAX, r.o.since_ms > 0 ? 0 : r.o.last);
	if (r.o.follow)
		follow(&r);
	status = r.told_silent ? HAGENT_FAIL : HAGENT_OK;
	hang_up(&r);
	if (r.dialled)
		dial_fini(&r.dial);
	json_decref(r.ours_at);
	json_decref(r.theirs_at);
	for (size_t i = 0; i < r.n; i++)
		json_decref(r.list[i].packed);
	free(r.list);
	return status;
}
