/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent sessions and hagent kick: the daemon's sessions for people.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "common/conf.h"
#include "hagent/hagent.h"

#define TIMEOUT_MS 5000

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s && *s ? s : "-";
}

static long long
data_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(o, "data"), name));
}

static void
show_session(const json_t *s)
{
	long long age_s = json_integer_value(json_object_get(s, "age_ms")) / 1000;

	printf("%-20s %-15s %-15s %5lld %-12s %4lld:%02lld:%02lld %12lld %12lld%s\n",
	    text_of(s, "user"), text_of(s, "address"), text_of(s, "peer"),
	    (long long)json_integer_value(json_object_get(s, "call")), text_of(s, "state"),
	    age_s / 3600, age_s / 60 % 60, age_s % 60, data_of(s, "rx_octets"),
	    data_of(s, "tx_octets"),
	    json_is_true(json_object_get(s, "mppe")) ? "" : "  no MPPE-128");
}

/* One page after the other, each shown as it comes. The number of sessions, or -1 after a message.
 */
static long
walk(const char *path, json_t *all)
{
	json_int_t after = 0;
	long n = 0;

	for (;;) {
		json_t *answer =
		    answer_call(path, "sessions", json_pack("{s:I}", "after", after), TIMEOUT_MS);
		json_t *data = json_object_get(answer, "data"), *next, *session;
		size_t i;

		if (!json_is_object(data)) {
			hagent_fail("%s: %s", path, answer ? "no list" : strerror(errno));
			json_decref(answer);
			return -1;
		}
		json_array_foreach(json_object_get(data, "sessions"), i, session)
		{
			if (all)
				json_array_append(all, session);
			else
				show_session(session);
			n++;
		}
		next = json_object_get(data, "next");
		if (!json_is_integer(next) || json_integer_value(next) <= after) {
			json_decref(answer);
			return n;
		}
		after = json_integer_value(next);
		json_decref(answer);
	}
}

int
cmd_sessions(const struct hagent *h, int argc, char **argv)
{
	json_t *all = NULL;
	char *path;
	long n;

	if (argc == 2 && strcmp(argv[1], "--json") == 0)
		all = json_array();
	else if (argc != 1)
		return HAGENT_USAGE;
	path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	if (!all)
		printf("%-20s %-15s %-15s %5s %-12s %10s %12s %12s\n", "user", "address", "from",
		    "call", "state", "age", "received", "sent");
	n = walk(path, all);
	if (n >= 0 && all) {
		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else if (n >= 0) {
		printf("%ld sessions\n", n);
	}
	json_decref(all);
	free(path);
	return n >= 0 ? HAGENT_OK : HAGENT_FAIL;
}

int
cmd_kick(const struct hagent *h, int argc, char **argv)
{
	uint32_t address;
	json_t *answer;
	char *path;
	int status = HAGENT_OK;

	if (argc != 2)
		return HAGENT_USAGE;
	path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	answer = answer_call(path, "kick",
	    json_pack(
		"{s:s}", conf_parse_ipv4(argv[1], &address) == 0 ? "address" : "user", argv[1]),
	    TIMEOUT_MS);
	if (!answer) {
		status = hagent_fail("%s: %s", path, strerror(errno));
	} else if (!json_is_true(json_object_get(answer, "ok"))) {
		status = hagent_fail("%s", text_of(json_object_get(answer, "error"), "message"));
	} else {
		printf("%lld sessions end\n", data_of(answer, "kicked"));
	}
	json_decref(answer);
	free(path);
	return status;
}
