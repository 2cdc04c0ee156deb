/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What was seen: fetched from the peer in pieces, and from our own files.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/drill_drive.h"
#include "hagent/drill_sniff.h"
#include "hagent/journal.h"
#include "hagent/words.h"

#define ASK_MS   3000
#define STOP_MS  5000
#define LINES    400
#define FILE_MAX (64 << 20)
#define EARLY_MS 1500 /* the journal from so long before the fault */

/* Not those that we opened ourselves: they end when we end them. */
static void
add_sessions(const struct drill_drive *d, json_t *all, const json_t *page)
{
	char ours[16];
	json_t *o;
	size_t i;

	snprintf(ours, sizeof(ours), "%s", conf_ipv4(d->peer.dial.us->wan));
	json_array_foreach(page, i, o)
	{
		if (strcmp(words_text(o, "peer"), ours) != 0)
			json_array_append(all, o);
	}
}

json_t *
drill_list_sessions(struct drill_drive *d, bool of_peer)
{
	json_t *all = json_array(), *data;
	json_int_t after = 0;

	do {
		json_t *args = json_pack("{s:I}", "after", after);

		data = of_peer ? drill_peer_ask(&d->peer, "drill-sessions", args, ASK_MS)
			       : drill_here_ask(
				     &d->peer, d->h, HAGENT_PPTPD_SOCKET, "sessions", args, ASK_MS);
		if (!data) {
			json_decref(all);
			return NULL;
		}
		add_sessions(d, all, json_object_get(data, "sessions"));
		json_t *next = json_object_get(data, "next");
		after = json_is_integer(next) ? json_integer_value(next) : 0;
		json_decref(data);
	} while (after > 0);
	return all;
}

/* The firewall's counters, as JSON. */
static json_t *
firewall_counters(void)
{
	FILE *f = popen("nft -j list counters table inet pptp_ha 2>/dev/null", "re");
	json_t *o = f ? json_loadf(f, 0, NULL) : NULL;

	if (f)
		pclose(f);
	return o;
}

/* Those that count GRE of clients, or what came out of a tunnel while the gate was shut. */
static int64_t
sum_firewall(const json_t *counters)
{
	static const char *const names[] = {
	    "drop_gre_header", "drop_gre_call", "told_gre_call", "drop_gate"};
	const json_t *list = json_object_get(counters, "nftables"), *o;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const json_t *counter = json_object_get(o, "counter");

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			if (strcmp(words_text(counter, "name"), names[k]) == 0)
				sum += words_number(counter, "packets");
		}
	}
	return sum;
}

int64_t
drill_count_drops(struct drill_drive *d)
{
	json_t *counters = firewall_counters(), *data, *drops, *n;
	int64_t sum = counters ? sum_firewall(counters) : -1;
	const char *name;

	json_decref(counters);
	data = drill_here_ask(&d->peer, d->h, HAGENT_PPTPD_SOCKET, "status", NULL, ASK_MS);
	drops = json_object_get(json_object_get(data, "data"), "drops");
	json_object_foreach(drops, name, n) sum += sum >= 0 ? json_integer_value(n) : 0;
	if (!drops)
		sum = -1;
	json_decref(data);
	return sum;
}

/* A file of the peer's, malloc'd, or NULL. */
static char *
fetch(struct drill_drive *d, const char *what)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	json_int_t offset = 0;
	bool good = f != NULL, more = good;

	while (more) {
		json_t *data = drill_peer_ask(&d->peer, "drill-read",
		    json_pack("{s:s,s:I}", "what", what, "offset", offset), ASK_MS);
		const json_t *next = json_object_get(data, "next");

		good = data && fputs(words_text(data, "text"), f) >= 0;
		more = good && json_is_integer(next) && json_integer_value(next) > offset &&
		       offset < FILE_MAX;
		offset = json_integer_value(next);
		json_decref(data);
	}
	if (f && fclose(f) != 0)
		good = false;
	if (good)
		return text;
	free(text);
	return NULL;
}

static bool
read_watch(struct drill_watch *w, const char *text)
{
	if (!text || drill_watch_init(w, 0) < 0)
		return false;
	if (drill_watch_read(w, text) == 0)
		return true;
	drill_watch_fini(w);
	return false;
}

static void
stop_own_watch(struct drill_drive *d)
{
	char *text;
	int status;

	if (d->watch <= 0)
		return;
	kill(d->watch, SIGTERM);
	while (waitpid(d->watch, &status, 0) < 0 && errno == EINTR)
		;
	d->watch = 0;
	text = hagent_read(d->h, HAGENT_DRILL_WATCH);
	d->have_ours = read_watch(&d->ours, text);
	free(text);
}

/* The moment of the fault is what the guardian wrote down, on its own clock. */
static void
read_guard(struct drill_drive *d)
{
	char *text = fetch(d, "guard");
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;
	int64_t at_us = words_number(o, "struck_us");

	if (strcmp(words_text(o, "id"), d->id) == 0 && at_us > 0) {
		int64_t earlier_us = drill_now_us() - (at_us - d->clock.ahead_us);

		d->fault_us = at_us - d->clock.ahead_us;
		d->fault_ms = (drill_wall_us() - earlier_us) / 1000;
		if (*words_text(o, "text"))
			drill_say(d, "%s", words_text(o, "text"));
	}
	json_decref(o);
	free(text);
}

static void
read_journals(struct drill_drive *d)
{
	int64_t since_ms = d->fault_ms - EARLY_MS;
	char *path = hagent_path(d->h, HAGENT_JOURNAL);
	json_t *all = journal_tail(path, LINES), *line, *data;
	size_t i;

	d->our_journal = json_array();
	json_array_foreach(all, i, line)
	{
		if (journal_unix_ms(words_text(line, "time")) >= since_ms)
			json_array_append(d->our_journal, line);
	}
	json_decref(all);
	free(path);
	data = drill_peer_ask(&d->peer, "drill-journal",
	    json_pack("{s:I}", "after_ms", (json_int_t)(since_ms + d->clock.wall_ms)), ASK_MS);
	d->their_journal = json_incref(json_object_get(data, "lines"));
	json_decref(data);
}

void
drill_collect(struct drill_drive *d)
{
	json_t *data = NULL;
	char *text;

	if (d->joined)
		data = drill_peer_ask(
		    &d->peer, "drill-leave", json_pack("{s:s}", "drill", d->id), STOP_MS);
	if (d->joined && !data)
		drill_say(d, "%s", d->peer.text);
	json_decref(data);
	stop_own_watch(d);
	if (d->fault_us == 0)
		return;
	text = fetch(d, "watch");
	d->have_theirs = read_watch(&d->theirs, text);
	free(text);
	if (!d->after)
		d->after = drill_list_sessions(d, false);
	d->dropped = d->drops < 0 ? -1 : drill_count_drops(d) - d->drops;
	if (d->plan.kind != DRILL_PLANNED)
		read_guard(d);
	read_journals(d);
	if (!d->have_ours || !d->have_theirs)
		drill_say(d, "what one of the gateways saw could not be read");
}
