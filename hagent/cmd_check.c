/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent check: keepalived's track_script. It only asks the agent and waits no longer than 60 ms;
 * no agent, no answer or no fresh verdict is a failure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "hagent/hagent.h"

#define TIMEOUT_MS 60

int
cmd_check(const struct hagent *h, int argc, char **argv)
{
	char *path = hagent_path(h, HAGENT_SOCKET);
	json_t *answer = NULL, *error;
	const char *message;
	int status = HAGENT_OK;

	if (argc != 1) {
		free(path);
		return HAGENT_USAGE;
	}
	answer = answer_call(path, "check", NULL, TIMEOUT_MS);
	error = json_object_get(answer, "error");
	message = json_string_value(json_object_get(error, "message"));
	if (!answer)
		status = hagent_fail("the agent does not answer: %s", strerror(errno));
	else if (!json_is_true(json_object_get(answer, "ok")))
		status = hagent_fail("%s", message ? message : "the agent says no");
	json_decref(answer);
	free(path);
	return status;
}
