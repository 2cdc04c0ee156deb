/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The receiving end: answers to offers, and the installation of what is staged. Runs as root, as a
 * child of the agent, on data that an unprivileged user wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "hagent/epoch.h"
#include "hagent/set_files.h"
#include "hagent/transfer.h"

#define RELOAD_TIMEOUT_MS 3000

static uint64_t
our_epoch(const struct hagent *h)
{
	char *path = hagent_path(h, HAGENT_EPOCH);
	struct epoch e = {0};

	if (epoch_read(path, &e) < 0)
		e.counter = 0;
	free(path);
	return e.counter;
}

int
transfer_begin(struct transfer *t, const struct hagent *h, struct set_problem *p)
{
	size_t wanted;

	*t = (struct transfer){.h = h, .lock = -1, .state_folder = hagent_path(h, HAGENT_STATE)};
	t->store = (struct store){.root = h->root, .state = t->state_folder, .node = h->node};
	t->lock = store_lock(&t->store, TRANSFER_SET_LOCK, TRANSFER_LOCK_MS, p);
	if (t->lock < 0 || store_recover(&t->store, p) < 0 ||
	    store_load(&t->store, &t->state, p) < 0 || set_files_ours(h, &t->ours, p) < 0)
		return -1;
	wanted = t->ours.n;
	if (store_scan(&t->store, &t->ours, true, p) < 0)
		return -1;
	/* A file that is gone is not a change that should travel: it is to be had from the peer. */
	t->whole = t->ours.n == wanted;
	if (t->whole && store_note_change(&t->store, &t->state, &t->ours, our_epoch(h)) &&
	    store_save(&t->store, &t->state, p) < 0)
		return -1;
	t->ours.generation = t->state.current.generation;
	t->ours.base = t->state.common;
	if (!t->whole)
		t->ours.generation = (struct generation){0};
	return 0;
}

void
transfer_end(struct transfer *t)
{
	set_fini(&t->ours);
	if (t->lock >= 0)
		close(t->lock);
	free(t->state_folder);
}

void
transfer_note(struct transfer *t, const char *direction, const char *result, const char *text)
{
	struct set_state *s = &t->state;
	struct set_problem ignored;

	snprintf(s->last_direction, sizeof(s->last_direction), "%s", direction);
	snprintf(s->last_result, sizeof(s->last_result), "%s", result);
	snprintf(s->last_text, sizeof(s->last_text), "%s", text);
	s->last_at = time(NULL);
	/* It is only for status; whatever matters was saved before. */
	store_save(&t->store, s, &ignored);
}

/* Our contents are the peer's: both have the greater of the two generations now. */
static void
adopt(struct transfer *t, const struct generation *theirs)
{
	struct set_state *s = &t->state;

	if (generation_cmp(theirs, &s->current.generation) > 0)
		s->current.generation = *theirs;
	s->common = s->current.generation;
	s->common_at = time(NULL);
	s->refused = (struct generation){0};
}

/* ---- offers ---- */

/* Room for a set of so many bytes in the staging folder? 0, or -1 with "disk-full". */
static int
staging_has_room(const struct transfer *t, uint64_t bytes, struct set_problem *p)
{
	char *staging = hagent_path(t->h, HAGENT_STAGING);
	struct statvfs room;
	bool good = statvfs(staging, &room) < 0 ||
		    bytes <= (uint64_t)room.f_bavail * (uint64_t)room.f_frsize;

	free(staging);
	if (good)
		return 0;
	return set_problem(
	    p, "disk-full", "the peer's disk is full: " STORE_STAGING ": %s", strerror(ENOSPC));
}

static json_t *
answer_offer(struct transfer *t, const struct set *offer, const char *digest, uint64_t bytes,
    struct set_problem *p)
{
	char ours[SET_SHA256];
	const struct set_state *s = &t->state;

	set_digest(&t->ours, ours);
	switch (set_decide(t->whole && strcmp(ours, digest) == 0, &t->ours.generation, &s->common,
	    &offer->generation, &offer->base)) {
	case SET_SAME:
		adopt(t, &offer->generation);
		transfer_note(t, "in", "same", "");
		return json_pack("{s:s, s:o}", "answer", "same", "generation",
		    generation_to_json(&s->current.generation));
	case SET_STALE:
		return json_pack("{s:s, s:o}", "answer", "newer", "generation",
		    generation_to_json(&s->current.generation));
	case SET_INSTALL:
	case SET_CONFLICT:
		break;
	}
	if (!generation_none(&s->refused) && generation_cmp(&s->refused, &offer->generation) == 0)
		return json_pack("{s:s, s:s}", "answer", "refused", "message", s->refused_text);
	return staging_has_room(t, bytes, p) == 0 ? json_pack("{s:s}", "answer", "want") : NULL;
}

json_t *
transfer_offer(const struct hagent *h, const char *offer, struct set_problem *p)
{
	json_t *j = json_loads(offer, JSON_REJECT_DUPLICATES, NULL), *answer = NULL;
	const char *digest = json_string_value(json_object_get(j, "digest")), *why = "want JSON";
	struct set theirs = {0};
	struct transfer t;

	if (!j ||
	    generation_from_json(&theirs.generation, json_object_get(j, "generation"), &why) < 0 ||
	    generation_from_json(&theirs.base, json_object_get(j, "base"), &why) < 0 || !digest) {
		set_problem(p, "invalid", "offer: %s", why);
		json_decref(j);
		return NULL;
	}
	if (transfer_begin(&t, h, p) == 0)
		answer = answer_offer(&t, &theirs, digest,
		    (uint64_t)json_integer_value(json_object_get(j, "bytes")), p);
	transfer_end(&t);
	json_decref(j);
	return answer;
}

/* ---- installation ---- */

/* The daemon reads its files again: "ok", or why not. */
static const char *
reload_daemon(const struct hagent *h, char *text, size_t size)
{
	char *path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	json_t *answer = answer_call(path, "reload", NULL, RELOAD_TIMEOUT_MS);
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!answer)
		snprintf(text, size, "pptpd does not answer: %s", strerror(errno));
	else if (!json_is_true(json_object_get(answer, "ok")))
		snprintf(text, size, "pptpd refuses: %s", message ? message : "no reason given");
	else
		snprintf(text, size, "ok");
	set_ascii(text);
	json_decref(answer);
	free(path);
	return text;
}

static json_t *
installed_files(const struct set *set)
{
	json_t *files = json_array();

	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(files, json_pack("{s:s, s:s}", "path", set->files[i].path,
						 "sha256", set->files[i].sha256));
	return files;
}

static bool
differs(const struct set *a, const struct set *b, const char *path)
{
	const struct set_file *x = set_find(a, path), *y = set_find(b, path);

	return !x || !y || strcmp(x->sha256, y->sha256) != 0;
}

/* The verdict is to install: check, keep what lost, swap, reload. */
static json_t *
put_in_place(struct transfer *t, const struct set *theirs, bool conflict, struct set_problem *p)
{
	struct set allowed;
	json_t *lost = NULL;
	char reload[512];

	if (set_files_ours(t->h, &allowed, p) < 0)
		return NULL;
	if (set_files_check(t->h, theirs, &allowed, p) < 0) {
		t->state.refused = theirs->generation;
		snprintf(t->state.refused_text, sizeof(t->state.refused_text), "%.500s", p->text);
		return NULL;
	}
	if ((conflict && store_keep(&t->store, &t->ours, theirs, time(NULL), &lost, p) < 0) ||
	    store_install(&t->store, theirs, &t->state, p) < 0) {
		json_decref(lost);
		return NULL;
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:s, s:b}", "result", "installed", "generation",
	    generation_to_json(&theirs->generation), "files", installed_files(theirs), "conflicts",
	    lost ? lost : json_array(), "reload", reload_daemon(t->h, reload, sizeof(reload)),
	    "cluster_changed", (int)differs(&t->ours, theirs, HAGENT_CLUSTER));
}

static json_t *
decide(struct transfer *t, const struct set *theirs, struct set_problem *p)
{
	enum set_verdict verdict = set_decide(t->whole && set_same(&t->ours, theirs),
	    &t->ours.generation, &t->state.common, &theirs->generation, &theirs->base);

	if (verdict == SET_STALE) {
		set_problem(p, "stale", "generation %s is here already, %s is not newer",
		    generation_text(&t->ours.generation), generation_text(&theirs->generation));
		return NULL;
	}
	if (verdict != SET_SAME)
		return put_in_place(t, theirs, verdict == SET_CONFLICT, p);
	adopt(t, &theirs->generation);
	return json_pack("{s:s, s:o, s:o, s:[], s:s, s:b}", "result", "same", "generation",
	    generation_to_json(&t->state.current.generation), "files", installed_files(theirs),
	    "conflicts", "reload", "not needed", "cluster_changed", 0);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Who sent it, for the audit line: the other node of our cluster.conf. */
static void
peer_name(const struct hagent *h, char name[static CLUSTER_NAME_MAX])
{
	char *text = hagent_read(h, HAGENT_CLUSTER);
	struct conf_errors e = {0};
	struct cluster *c = text ? cluster_parse(HAGENT_CLUSTER, text, &e) : NULL;
	const struct cluster_node *us = c ? cluster_node(c, h->node) : NULL;

	snprintf(name, CLUSTER_NAME_MAX, "%s", us ? cluster_peer(c, us)->name : "?");
	cluster_free(c);
	conf_errors_fini(&e);
	free(text);
}

/* What both sides should know of a good end. */
static void
summary(const json_t *data, char *text, size_t size)
{
	size_t n = json_array_size(json_object_get(data, "conflicts"));
	const char *reload = json_string_value(json_object_get(data, "reload"));

	if (n > 0)
		snprintf(
		    text, size, "%zu of our files lost, kept in conflict/; reload: %s", n, reload);
	else
		snprintf(text, size, "reload: %s", reload);
}

json_t *
transfer_install(const struct hagent *h, struct set_problem *p)
{
	int64_t begin = now_ms();
	char peer[CLUSTER_NAME_MAX], text[600];
	struct set theirs = {0};
	struct transfer t;
	struct set_problem ignored;
	json_t *data = NULL;

	peer_name(h, peer);
	if (transfer_begin(&t, h, p) == 0 && store_staged(&t.store, &theirs, p) == 0)
		data = decide(&t, &theirs, p);
	if (data)
		summary(data, text, sizeof(text));
	if (t.lock >= 0) {
		const char *result =
		    data ? json_string_value(json_object_get(data, "result")) : p->code;

		transfer_note(&t, "in", result, data ? text : p->text);
		store_audit(
		    &t.store, "in", peer, &theirs, result, data ? text : p->text, now_ms() - begin);
		store_wipe(&t.store, STORE_STAGING, &ignored);
	}
	set_fini(&theirs);
	transfer_end(&t);
	return data;
}
