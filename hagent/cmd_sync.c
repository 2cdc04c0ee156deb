/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent sync: the files that both gateways must have alike. The agent runs these as children:
 *   prepare        at its start: folders, and what a crash left half done
 *   push           when a file changed, and every minute
 *   pull           after a promotion
 *   offer JSON     when the peer asks `set-offer`; JSON = the request's arguments
 *   install        when the peer asks `set-staged`
 * All but status print one line, {"ok":true,"data":{...}} or {"ok":false,"error":{"code":...,
 * "message":...}}: what the agent answers to its peer. Nothing goes to stderr then.
 */
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hagent/transfer.h"

/* Prints the line; steals data, which may be NULL. */
static int
print_result(json_t *data, const struct set_problem *p)
{
	json_t *line = data ? json_pack("{s:b, s:o}", "ok", 1, "data", data)
			    : json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", p->code,
				  "message", p->text);
	int status = data && line ? HAGENT_OK : HAGENT_FAIL;

	if (line)
		json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(line);
	return status;
}

/* The pair's user owns staging/; where there is none (no sshd yet), root does. */
static json_t *
prepare(const struct hagent *h, const char *user, struct set_problem *p)
{
	char *state = hagent_path(h, HAGENT_STATE);
	const struct store s = {.root = h->root, .state = state, .node = h->node};
	const struct passwd *pw = getpwnam(user);
	json_t *data = NULL;

	if (store_prepare(&s, pw ? pw->pw_uid : geteuid(), pw ? pw->pw_gid : getegid(), p) == 0)
		data = json_pack("{s:s}", "staging", pw ? user : "root");
	free(state);
	return data;
}

/* ---- status ---- */

static unsigned
count_conflicts(const struct hagent *h)
{
	char *path = hagent_path(h, HAGENT_CONFLICT);
	DIR *folder = opendir(path);
	const struct dirent *entry;
	unsigned n = 0;

	free(path);
	while (folder && (entry = readdir(folder)) != NULL)
		n += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return n;
}

/* Files that are not as the manifest says, or not there. */
static json_t *
changed_files(const struct transfer *t)
{
	json_t *changed = json_array();

	for (size_t i = 0; i < t->state.current.n; i++) {
		const char *path = t->state.current.files[i].path;

		if (!set_find(&t->ours, path))
			json_array_append_new(changed, json_string(path));
	}
	return changed;
}

static json_t *
status_json(const struct hagent *h, const struct transfer *t)
{
	const struct set_state *s = &t->state;
	json_t *missing = changed_files(t);
	bool in_step = s->current.n > 0 && json_array_size(missing) == 0 &&
		       generation_cmp(&s->current.generation, &s->common) == 0;
	time_t now = time(NULL);

	return json_pack("{s:o, s:i, s:o, s:{s:o, s:I}, s:b, s:i, s:o, s:{s:s, s:s, s:s, s:I}}",
	    "generation", generation_to_json(&s->current.generation), "files", (int)s->current.n,
	    "missing", missing, "peer", "generation", generation_to_json(&s->common), "age_s",
	    (json_int_t)(s->common_at ? now - s->common_at : -1), "in_step", (int)in_step,
	    "conflicts", (int)count_conflicts(h), "refused", generation_to_json(&s->refused),
	    "last", "direction", s->last_direction, "result", s->last_result, "text", s->last_text,
	    "age_s", (json_int_t)(s->last_at ? now - s->last_at : -1));
}

static void
print_status(const struct hagent *h, const struct transfer *t, const json_t *j)
{
	const struct set_state *s = &t->state;
	json_t *path;
	size_t i;

	printf("files: generation %s, %zu files\n", generation_text(&s->current.generation),
	    s->current.n);
	json_array_foreach(json_object_get(j, "missing"), i, path)
	    printf("missing: %s\n", json_string_value(path));
	if (s->common_at == 0)
		printf("peer: has acknowledged nothing yet\n");
	else
		printf("peer: has generation %s, as of %lld s ago: %s\n",
		    generation_text(&s->common), (long long)(time(NULL) - s->common_at),
		    json_is_true(json_object_get(j, "in_step")) ? "in step" : "not in step");
	if (s->last_at)
		printf("last: %s, %s, %lld s ago%s%s\n",
		    strcmp(s->last_direction, "in") == 0 ? "from the peer" : "to the peer",
		    s->last_result, (long long)(time(NULL) - s->last_at),
		    s->last_text[0] ? ": " : "", s->last_text);
	if (!generation_none(&s->refused))
		printf("refused: the peer's generation %s: %s\n", generation_text(&s->refused),
		    s->refused_text);
	if (count_conflicts(h) > 0)
		printf(
		    "conflicts: %u files in %s%s\n", count_conflicts(h), h->root, HAGENT_CONFLICT);
}

static int
status(const struct hagent *h, bool as_json)
{
	struct transfer t;
	struct set_problem p = {.code = "internal"};
	int rc = transfer_begin(&t, h, &p);
	json_t *j = rc == 0 ? status_json(h, &t) : NULL;

	if (as_json)
		rc = print_result(json_incref(j), &p);
	else if (!j)
		rc = hagent_fail("%s: %s", p.code, p.text);
	else
		print_status(h, &t, j);
	json_decref(j);
	transfer_end(&t);
	return rc;
}

int
cmd_sync(const struct hagent *h, int argc, char **argv)
{
	struct set_problem p = {.code = "internal"};
	const char *verb = argc > 1 ? argv[1] : "", *user = HAGENT_USER;

	if (argc > 3 && strcmp(argv[2], "--user") == 0) {
		user = argv[3];
		argv += 2;
		argc -= 2;
	}
	const char *word = argc == 3 ? argv[2] : NULL;
	if (strcmp(verb, "status") == 0 && (argc == 2 || (word && strcmp(word, "--json") == 0)))
		return status(h, word != NULL);
	if (strcmp(verb, "push") == 0 && (argc == 2 || (word && strcmp(word, "--force") == 0)))
		return print_result(transfer_push(h, user, word != NULL, &p), &p);
	if (strcmp(verb, "offer") == 0 && word)
		return print_result(transfer_offer(h, word, &p), &p);
	if (argc != 2)
		return HAGENT_USAGE;
	if (strcmp(verb, "prepare") == 0)
		return print_result(prepare(h, user, &p), &p);
	if (strcmp(verb, "pull") == 0)
		return print_result(transfer_pull(h, user, &p), &p);
	if (strcmp(verb, "install") == 0)
		return print_result(transfer_install(h, &p), &p);
	return HAGENT_USAGE;
}
