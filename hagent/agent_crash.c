/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Crashes of the two engines (common/crash.h). Our own are in a file that pptpd's monitor writes as
 * its engine has died; the peer's come with its hello, and are kept in a file of ours. Both engines
 * are told of all: whichever serves closes what was in hand too often.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "hagent/agent.h"

#define TELL_MS 500

static void
tell_journal(struct agent *a, const struct crash *c)
{
	char line[CRASH_LINE_MAX];

	line[crash_format(c, line) - 1] = '\0';
	journal_event(&a->journal, "engine-crashed", "on %s, %s, had in hand: %s", c->node,
	    c->cause, strrchr(line, ' ') + 1);
}

/* Takes over what is new; true = something is. */
static bool
merge(struct agent *a, struct crashes *into, const struct crashes *from, bool tell)
{
	bool news = false;

	for (size_t i = 0; i < from->n; i++) {
		const struct crash *c = &from->v[i];
		bool known = false;

		for (size_t k = 0; k < into->n; k++)
			known |= into->v[k].at == c->at && strcmp(into->v[k].node, c->node) == 0;
		if (known || (into->n == CRASH_REPORTS && c->at < into->v[0].at))
			continue;
		crash_add(into, c);
		news = true;
		if (tell)
			tell_journal(a, c);
	}
	return news;
}

/* Our own monitor has written, if the file is another one than before. */
static void
look_at_file(struct agent *a, bool tell)
{
	struct agent_crash *k = &a->crash;
	struct crashes now;
	struct stat st;

	if (stat(k->path, &st) < 0 || (st.st_ino == k->inode && st.st_mtim.tv_sec == k->at.tv_sec &&
					  st.st_mtim.tv_nsec == k->at.tv_nsec))
		return;
	k->inode = st.st_ino;
	k->at = st.st_mtim;
	if (crash_load(k->path, &now) < 0)
		log_warn("crashes not read path=\"%s\" error=\"%s\"", k->path, strerror(errno));
	else if (merge(a, &k->ours, &now, tell))
		k->version++;
}

static void
told(void *arg, json_t *answer)
{
	struct agent *a = arg;

	/* An engine that does not know the order does not get it again either. */
	a->crash.telling = false;
	if (!answer)
		a->crash.told = 0;
}

static void
tell_engine(struct agent *a)
{
	struct agent_crash *k = &a->crash;
	uint64_t now_ms = loop_now_ms(a->loop);
	struct crashes all = k->ours;
	json_t *list;

	if (a->replica.uptime_ms < k->uptime_ms) /* another engine than before */
		k->told = 0;
	k->uptime_ms = a->replica.uptime_ms;
	if (k->telling || k->told == k->version || !a->pptpd.known || a->pptpd.failures > 0 ||
	    now_ms < k->again_ms)
		return;
	merge(a, &all, &k->peers, false);
	list = crash_to_json(&all, journal_now_ms());
	k->told = k->version;
	k->again_ms = now_ms + TELL_MS;
	if (json_array_size(list) == 0)
		json_decref(list);
	else
		k->telling = answer_client_call(a->replica.asks, "suspect",
				 json_pack("{s:o}", "crashes", list), TELL_MS, told, a) != 0;
}

void
agent_crash_look(struct agent *a)
{
	look_at_file(a, true);
	tell_engine(a);
}

void
agent_crash_heard(struct agent *a, const json_t *hello)
{
	const json_t *list = json_object_get(hello, "crashes");
	struct agent_crash *k = &a->crash;
	struct crashes theirs;

	if (!list || crash_from_json(list, &theirs) < 0 || !merge(a, &k->peers, &theirs, true))
		return;
	k->version++;
	if (crash_save(k->peer_path, &k->peers) < 0)
		log_warn(
		    "crashes not written path=\"%s\" error=\"%s\"", k->peer_path, strerror(errno));
	agent_crash_look(a);
}

void
agent_crash_hello(const struct agent *a, json_t *o)
{
	json_t *list = crash_to_json(&a->crash.ours, journal_now_ms());

	if (json_array_size(list) > 0)
		json_object_set_new(o, "crashes", list);
	else
		json_decref(list);
}

json_t *
agent_crash_json(const struct agent *a)
{
	struct crashes all = a->crash.ours;

	for (size_t i = 0; i < a->crash.peers.n; i++)
		crash_add(&all, &a->crash.peers.v[i]);
	return crash_to_json(&all, journal_now_ms());
}

void
agent_crash_init(struct agent *a)
{
	struct agent_crash *k = &a->crash;

	snprintf(k->path, sizeof(k->path), "%s%s", a->h->root, CRASH_PATH);
	snprintf(k->peer_path, sizeof(k->peer_path), "%s%s", a->h->root, CRASH_PEER_PATH);
	k->version = 1;
	look_at_file(a, false);
	if (crash_load(k->peer_path, &k->peers) < 0)
		log_warn(
		    "crashes not read path=\"%s\" error=\"%s\"", k->peer_path, strerror(errno));
}
