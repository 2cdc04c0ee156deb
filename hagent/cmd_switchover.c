/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent switchover: the operator moves the sessions and the addresses to the other gateway.
 * hagent leave: what a unit runs before its daemon is stopped; it must hold nobody up for long, and
 * nothing that it cannot do may keep the daemon from being stopped.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "hagent/hagent.h"
#include "hagent/progress.h"
#include "hagent/words.h"

#define TIMEOUT_MS 30000 /* more than all steps of a move; the agent keeps their deadlines */

/* Prints what came of it. */
static void
show(const json_t *o)
{
	printf("%s serves: %lld sessions, moved by %s in %lld ms", words_text(o, "to"),
	    words_number(o, "sessions"), words_text(o, "way"), words_number(o, "ms"));
	if (words_number(o, "given_ms") > 0)
		printf(", handed over after %lld ms", words_number(o, "given_ms"));
	putchar('\n');
	if (*words_text(o, "text"))
		printf("%s\n", words_text(o, "text"));
}

static json_t *
call(const struct hagent *h, const char *cmd, json_t *args)
{
	char *path = hagent_path(h, HAGENT_SOCKET);
	json_t *answer = answer_call(path, cmd, args, TIMEOUT_MS);
	int saved = errno;

	free(path);
	errno = saved;
	return answer;
}

int
cmd_switchover(const struct hagent *h, int argc, char **argv)
{
	bool force = argc == 2 && strcmp(argv[1], "--force") == 0;
	int status = HAGENT_OK;
	json_t *answer, *error;

	if (argc != 1 && !force)
		return HAGENT_USAGE;
	answer = progress_call(
	    h, "switchover", json_pack("{s:b}", "force", force), TIMEOUT_MS, progress_tell_move);
	error = json_object_get(answer, "error");
	if (!answer) {
		status = hagent_fail("the agent does not answer: %s", strerror(errno));
	} else if (json_is_true(json_object_get(answer, "ok"))) {
		show(json_object_get(answer, "data"));
	} else {
		status =
		    hagent_fail("%s: %s", words_text(error, "code"), words_text(error, "message"));
		if (!force && strcmp(words_text(error, "code"), "refused") == 0)
			fputs("Nothing has moved. --force moves where that is possible at all; "
			      "clients of sessions at risk must redial then.\n",
			    stderr);
	}
	json_decref(answer);
	return status;
}

int
cmd_leave(const struct hagent *h, int argc, char **argv)
{
	json_t *answer;

	if (argc != 2)
		return HAGENT_USAGE;
	answer = call(h, "leave", json_pack("{s:s}", "what", argv[1]));
	if (!answer)
		fprintf(
		    stderr, "hagent: no move: the agent does not answer: %s\n", strerror(errno));
	else if (!json_is_true(json_object_get(answer, "ok")))
		fprintf(stderr, "hagent: no move: %s\n",
		    words_text(json_object_get(answer, "error"), "message"));
	else if (strcmp(words_text(json_object_get(answer, "data"), "result"), "moved") == 0)
		show(json_object_get(answer, "data"));
	json_decref(answer);
	return HAGENT_OK;
}
