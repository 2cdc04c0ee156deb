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
#include "hagent/progress.h"

static const struct {
	const char *verdict, *mark;
	enum term_style style;
} marks[] = {{"ok", "ok", TERM_GOOD}, {"warning", "WARNING", TERM_WARN},
    {"problem", "PROBLEM", TERM_BAD}, {"unknown", "unknown", TERM_DIM}};

static void
show_mark(const struct term *t, const char *verdict)
{
	size_t i = 0;

	while (i < sizeof(marks) / sizeof(marks[0]) - 1 && strcmp(marks[i].verdict, verdict) != 0)
		i++;
	printf(
	    "  %s%-7s%s", term_on(t, marks[i].style), marks[i].mark, term_off(t, marks[i].style));
}

static void
show_remedy(const json_t *remedy)
{
	const char *where = doctor_text(remedy, "where"), *file = doctor_text(remedy, "file");

	if (*doctor_text(remedy, "command"))
		printf("%28smend it%s%s: %s\n", "", *where ? " on " : "", where,
		    doctor_text(remedy, "command"));
	else if (*file && doctor_number(remedy, "line") > 0)
		printf("%28smend it: %s, line %lld: %s\n", "", file, doctor_number(remedy, "line"),
		    doctor_text(remedy, "change"));
	else if (*file)
		printf("%28smend it: %s: %s\n", "", file, doctor_text(remedy, "change"));
}

static void
show(const json_t *result)
{
	const char *theme = "";
	struct term t;
	json_t *check;
	size_t i;

	term_look(&t, STDOUT_FILENO);
	json_array_foreach(json_object_get(result, "checks"), i, check)
	{
		if (strcmp(theme, doctor_text(check, "theme")) != 0)
			printf("%s%s%s%s\n", *theme ? "\n" : "", term_on(&t, TERM_BOLD),
			    doctor_text(check, "theme"), term_off(&t, TERM_BOLD));
		theme = doctor_text(check, "theme");
		show_mark(&t, doctor_text(check, "verdict"));
		printf(" %-16s  %s\n", doctor_text(check, "name"), doctor_text(check, "seen"));
		show_remedy(json_object_get(check, "remedy"));
	}
	printf("\n%s (%s): %lld ok, %lld warnings, %lld problems, %lld unknown\n",
	    doctor_text(result, "node"), doctor_text(result, "role"), doctor_number(result, "ok"),
	    doctor_number(result, "warning"), doctor_number(result, "problem"),
	    doctor_number(result, "unknown"));
}

/* How far it is, for who waits at a terminal. */
static void
tell(unsigned done, unsigned of, void *arg)
{
	progress_say(arg, "%u of %u checks done", done, of);
}

int
cmd_doctor(const struct hagent *h, int argc, char **argv)
{
	const char *theme = NULL;
	bool as_json = false;
	struct progress p;
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
	progress_begin(&p);
	progress_say(&p, "asking the other gateway, and listing the firewall");
	result = doctor_examine(h, theme, tell, &p);
	progress_end(&p);
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
