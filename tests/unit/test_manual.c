/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf.5 against the table that it describes: each section and directive has its entry,
 * with the bounds and the default that hold, and no entry is of a directive that does not exist.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hagent/cluster.c"

/* The text between the heading of a section and the next one, malloc'd. */
static char *
section_text(const char *manual, const char *name, bool titled)
{
	char heading[64];
	const char *at, *end;

	snprintf(heading, sizeof(heading), "\n.Ss %s%s\n", *name ? name : "Top level",
	    titled ? " NAME" : "");
	at = strstr(manual, heading);
	if (at == NULL)
		fail_msg("no section \"%s\"", heading + 1);
	at += strlen(heading) - 1;
	end = strstr(at, "\n.S");
	assert_non_null(end);
	return strndup(at, (size_t)(end - at) + 1);
}

/* The entry of a directive up to the next one, malloc'd. */
static char *
entry_text(const char *section, const char *name)
{
	char heading[64];
	const char *at, *end;

	snprintf(heading, sizeof(heading), "\n.It Ic %s\n", name);
	at = strstr(section, heading);
	if (at == NULL)
		fail_msg("no entry \"%s\"", heading + 1);
	at += strlen(heading) - 1;
	end = strstr(at, "\n.It ");
	if (end == NULL)
		end = strstr(at, "\n.El");
	assert_non_null(end);
	return strndup(at, (size_t)(end - at) + 1);
}

static void
assert_says(const char *name, const char *entry, const char *text)
{
	if (strstr(entry, text) == NULL)
		fail_msg("%s: want \"%s\" in:\n%s", name, text, entry);
}

static void
check_row(const struct row *row, const char *section)
{
	char *entry = entry_text(section, row->name), text[96];

	if (row->fallback == NULL)
		snprintf(text, sizeof(text), "\nRequired.\n");
	else
		snprintf(text, sizeof(text), "\nDefault: %s\n",
		    *row->fallback ? row->fallback : "none.");
	assert_says(row->name, entry, text);
	if (row->type == UINT) {
		snprintf(text, sizeof(text), "%u to %u", row->min, row->max);
		assert_says(row->name, entry, text);
	}
	free(entry);
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void
check_section(const char *manual, const char *name, bool titled)
{
	char *text = section_text(manual, name, titled);
	unsigned n = 0;

	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (strcmp(row->section, name) != 0)
			continue;
		check_row(row, text);
		n++;
	}
	assert_int_equal(count(text, "\n.It "), n);
	free(text);
}

static void
test_cluster_manual(void **state)
{
	static char manual[65536];
	FILE *f = fopen("../../docs/cluster.conf.5", "re");

	assert_non_null(f);
	size_t n = fread(manual, 1, sizeof(manual) - 1, f);
	fclose(f);
	assert_true(n > 0 && n < sizeof(manual) - 1);
	check_section(manual, "", false);
	for (size_t i = 0; i < N_SECTIONS; i++)
		check_section(manual, sections[i].name, sections[i].titled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cluster_manual)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
