/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent notify: what a line in the fifo does, for a keepalived that has only a `notify` script.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "hagent/hagent.h"
#include "keepalived/fifo.h"

#define TIMEOUT_MS 1000

int
cmd_notify(const struct hagent *h, int argc, char **argv)
{
	char line[FIFO_LINE_MAX];
	json_t *answer;
	char *path;
	int status = HAGENT_OK;

	if (argc != 4 && argc != 5)
		return HAGENT_USAGE;
	if ((size_t)snprintf(line, sizeof(line), "%s \"%s\" %s %s", argv[1], argv[2], argv[3],
		argc == 5 ? argv[4] : "0") >= sizeof(line))
		return hagent_usage("got a line that is too long");
	path = hagent_path(h, HAGENT_SOCKET);
	answer = answer_call(path, "notify", json_pack("{s:s}", "line", line), TIMEOUT_MS);
	if (!answer) {
		status = hagent_fail("%s: %s", path, strerror(errno));
	} else if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *message =
		    json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

		status = hagent_fail("%s", message ? message : "the agent says no");
	}
	json_decref(answer);
	free(path);
	return status;
}
