/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent maintenance: on moves away and stays away; off says when the gateway is in step again.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/answer.h"
#include "hagent/hagent.h"
#include "hagent/progress.h"
#include "hagent/words.h"

#define TIMEOUT_MS 30000
#define STATUS_MS  1000
#define STEP_TRIES 50 /* of 0.2 s */

/* "standby, in step", as soon as it is so, or what it is after some seconds. */
static void
show_step(const char *path)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	const char *role = "unknown";
	struct progress progress;
	json_t *answer = NULL;
	bool in_step = false;

	progress_begin(&progress);
	for (int i = 0; i < STEP_TRIES && !in_step; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		json_decref(answer);
		answer = answer_call(path, "status", NULL, STATUS_MS);
		const json_t *data = json_object_get(answer, "data");
		const json_t *replica = json_object_get(data, "replica");

		role = json_string_value(json_object_get(data, "role"));
		in_step = json_is_true(json_object_get(replica, "in_step")) ||
			  (role && strcmp(role, "active") == 0);
		if (!in_step)
			progress_say(&progress, "waiting for a current copy: %lld sessions so far",
			    words_number(replica, "sessions"));
	}
	progress_end(&progress);
	printf("maintenance is off: this gateway is %s, %s\n", role ? role : "unknown",
	    in_step ? "in step" : "not in step yet (hagent status says why)");
	json_decref(answer);
}

int
cmd_maintenance(const struct hagent *h, int argc, char **argv)
{
	bool on = argc > 1 && strcmp(argv[1], "on") == 0;
	bool off = argc == 2 && strcmp(argv[1], "off") == 0;
	bool force = on && argc == 3 && strcmp(argv[2], "--force") == 0;
	json_t *answer, *error;
	int status = HAGENT_OK;
	char *path;

	if (!off && !(on && (argc == 2 || force)))
		return HAGENT_USAGE;
	path = hagent_path(h, HAGENT_SOCKET);
	answer = progress_call(h, "maintenance", json_pack("{s:b,s:b}", "on", on, "force", force),
	    TIMEOUT_MS, progress_tell_move);
	error = json_object_get(json_object_get(answer, "error"), "message");
	if (!answer)
		status = hagent_fail("%s: %s", path, strerror(errno));
	else if (!json_is_true(json_object_get(answer, "ok")))
		status = hagent_fail("maintenance is %s as before: %s", on ? "off" : "on",
		    json_is_string(error) ? json_string_value(error) : "refused");
	else if (on)
		puts("maintenance is on: this gateway serves only if the other one cannot");
	else
		show_step(path);
	json_decref(answer);
	free(path);
	return status;
}
