/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent doctor: runs the checks and shows their answers, those that ask for something with the one
 * command that mends them. Exit status: 0 = nothing to mend.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hagent/doctor.h"

static const char *
mark(const char *verdict)
{
	static const char *const marks[][2] = {
	    {"ok", "ok"}, {"warning", "WARNING"}, {"problem", "PROBLEM"}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strcmp(marks[i][0], verdict) == 0)
			return marks[i][1];
	}
	return "unknown";
}

static void
show_remedy(const json_t *remedy)
{
	const char *where = doctor_text(remedy, "where"), *file = doctor_text(remedy, "file");

	if (*doctor_text(remedy, "command"))
		printf("          %*s mend it%s%s: %s\n", 16, "", *where ? " on " : "", where,
		    doctor_text(remedy, "command"));
	else if (*file && doctor_number(remedy, "line") > 0)
		printf("          %*s mend it: %s, line %lld: %s\n", 16, "", file,
		    doctor_number(remedy, "line"), doctor_text(remedy, "change"));
	else if (*file)
		printf(
		    "          %*s mend it: %s: %s\n", 16, "", file, doctor_text(remedy, "change"));
}

static void
show(const json_t *result)
{
	const char *theme = "";
	json_t *check;
	size_t i;

	json_array_foreach(json_object_get(result, "checks"), i, check)
	{
		if (strcmp(theme, doctor_text(check, "theme")) != 0)
			printf("%s%s\n", *theme ? "\n" : "", doctor_text(check, "theme"));
		theme = doctor_text(check, "theme");
		printf("  %-7s %-16s  %s\n", mark(doctor_text(check, "verdict")),
		    doctor_text(check, "name"), doctor_text(check, "seen"));
		show_remedy(json_object_get(check, "remedy"));
	}
	printf("\n%s (%s): %lld ok, %lld warnings, %lld problems, %lld unknown\n",
	    doctor_text(result, "node"), doctor_text(result, "role"), doctor_number(result, "ok"),
	    doctor_number(result, "warning"), doctor_number(result, "problem"),
	    doctor_number(result, "unknown"));
}

int
cmd_doctor(const struct hagent *h, int argc, char **argv)
{
	const char *theme = NULL;
	bool as_json = false;
	json_t *result;
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0 && !as_json)
			as_json = true;
		else if (!theme && doctor_is_theme(argv[i]))
			theme = argv[i];
		else
			return HAGENT_USAGE;
	}
	result = doctor_examine(h, theme, NULL, NULL);
	if (!result)
		return hagent_fail("out of memory");
	if (as_json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		show(result);
	}
	status = doctor_number(result, "warning") + doctor_number(result, "problem") > 0
		     ? HAGENT_FAIL
		     : HAGENT_OK;
	json_decref(result);
	return status;
}
