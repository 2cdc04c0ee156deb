/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent pptpd: one request to the daemon's control socket. Words of the form name=value become
 * members of the request: a decimal number as a number, anything else, and a user's name, as a
 * string. The list of sessions comes in pages; all of them are shown as one answer.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "hagent/hagent.h"

#define TIMEOUT_MS 5000

static const char *const verbs[] = {"status", "sessions", "promote", "demote", "kick", "reload"};

static json_t *
value_of(const char *name, const char *s)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(s, &end, 10);
	if (strcmp(name, "user") != 0 && *s && !*end && errno == 0 &&
	    strspn(s, "-0123456789") == strlen(s))
		return json_integer(number);
	return json_string(s);
}

/* A new object, or NULL after a word that has no name or is not UTF-8. */
static json_t *
arguments(int argc, char **argv)
{
	json_t *args = json_object();

	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		char name[64];
		size_t len = equals ? (size_t)(equals - argv[i]) : 0;

		if (len == 0 || len >= sizeof(name)) {
			hagent_usage("got \"%s\", want NAME=VALUE", argv[i]);
			json_decref(args);
			return NULL;
		}
		memcpy(name, argv[i], len);
		name[len] = '\0';
		if (json_object_set_new(args, name, value_of(name, equals + 1)) < 0) {
			hagent_usage("got \"%s\", want UTF-8 text", name);
			json_decref(args);
			return NULL;
		}
	}
	return args;
}

/* Prints the data of a good answer, or the error of a bad one. */
static int
show(json_t *answer)
{
	json_t *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!json_is_true(json_object_get(answer, "ok")))
		return hagent_fail("pptpd: %s: %s", code ? code : "error", message ? message : "");
	json_dumpf(json_object_get(answer, "data"), stdout,
	    JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
	putchar('\n');
	return HAGENT_OK;
}

/* The request, and for a list its further pages, whose elements are added to the first answer's. */
static json_t *
call(const char *path, const char *verb, json_t *args)
{
	bool paged = strcmp(verb, "sessions") == 0 && !json_object_get(args, "limit");
	json_t *answer = answer_call(path, verb, args, TIMEOUT_MS);
	json_t *data = json_object_get(answer, "data"), *next = json_object_get(data, "next");

	while (paged && json_is_integer(next)) {
		json_t *page =
		    answer_call(path, verb, json_pack("{s:O}", "after", next), TIMEOUT_MS);
		json_t *more = json_object_get(page, "data");

		if (!page || json_array_extend(json_object_get(data, "sessions"),
				 json_object_get(more, "sessions")) < 0) {
			errno = page ? EBADMSG : errno;
			json_decref(page);
			json_decref(answer);
			return NULL;
		}
		json_object_set(data, "next", json_object_get(more, "next"));
		next = json_object_get(data, "next");
		json_decref(page);
	}
	return answer;
}

int
cmd_pptpd(const struct hagent *h, int argc, char **argv)
{
	size_t i = 0;

	if (argc < 2)
		return HAGENT_USAGE;
	while (i < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[i], argv[1]) != 0)
		i++;
	if (i == sizeof(verbs) / sizeof(verbs[0]))
		return HAGENT_USAGE;
	json_t *args = arguments(argc - 2, argv + 2);
	if (!args)
		return HAGENT_USAGE;
	char *path = hagent_path(h, HAGENT_PPTPD_SOCKET);
	json_t *answer = call(path, argv[1], args);
	int status = answer ? show(answer) : hagent_fail("%s: %s", path, strerror(errno));

	json_decref(answer);
	free(path);
	return status;
}
