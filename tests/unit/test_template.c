/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Templates: a variable inside text, one alone on its line, and what is literal.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/template.h"

static const struct template_var vars[] = {
    {"A", "one"}, {"EMPTY", ""}, {"LINES", "x\ny\n"}, {"A_1", "two"}};

static void
expands(const char *text, const char *want)
{
	char *got = template_expand(text, vars, 4, NULL);

	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

static void
test_expand(void **state)
{
	expands("", "");
	expands("plain\n\ntext", "plain\n\ntext");
	expands("<@A@@A_1@>\n", "<onetwo>\n");
	expands("@A@ and @EMPTY@.\n", "one and .\n");
	expands("a\n\t@LINES@\nb\n", "a\n\tx\n\ty\nb\n");
	expands("a\n\t@EMPTY@\nb\n", "a\nb\n");
	expands("  @A@", "  one\n");
	/* nft's own @ is not ours. */
	expands("saddr @banned @th,0,32 @ @@ a@b.c @A", "saddr @banned @th,0,32 @ @@ a@b.c @A");
}

static void
test_unknown(void **state)
{
	const char *text = "@A@\nx @NOPE@ @NEITHER@\n", *bad = NULL;

	assert_null(template_expand(text, vars, 4, &bad));
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(bad, strstr(text, "@NOPE@"));
	assert_null(template_expand("\t@NOPE@\n", vars, 4, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expand),
	    cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
