/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words and numbers for HTML: rounding at each change of unit, times that are none, what is
 * escaped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/web_html.h"

static void
assert_put(void (*put)(FILE *f, double n), double n, const char *want)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	put(f, n);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void
put_count(FILE *f, double n)
{
	html_count(f, (long long)n);
}

static void
test_numbers(void **state)
{
	(void)state;
	assert_put(html_octets, 0, "0\u00a0B");
	assert_put(html_octets, 999, "999\u00a0B");
	assert_put(html_octets, 999.6, "1.0\u00a0kB");
	assert_put(html_octets, 1234567, "1.2\u00a0MB");
	assert_put(html_octets, 56e12, "56\u00a0TB");
	assert_put(html_octets, 5e18, "5000\u00a0PB");
	assert_put(html_rate, 125000, "1.0\u00a0Mbit/s");
	assert_put(html_span, 0, "0\u00a0ms");
	assert_put(html_span, 999, "999\u00a0ms");
	assert_put(html_span, 1000, "1.0\u00a0s");
	assert_put(html_span, 119400, "119\u00a0s");
	assert_put(html_span, 120000, "2\u00a0min");
	assert_put(html_span, 3600e3, "1\u00a0h 0\u00a0min");
	assert_put(html_span, 90000e3, "1\u00a0d 1\u00a0h");
	assert_put(put_count, 999, "999");
	assert_put(put_count, 1000, "1\u202f000");
	assert_put(put_count, -1234567, "\u22121\u202f234\u202f567");
}

static void
assert_text(void (*put)(FILE *f, const char *iso), const char *iso, const char *want)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	put(f, iso);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void
test_times(void **state)
{
	(void)state;
	assert_text(html_time, "2026-11-01T08:05:09.123Z",
	    "<time datetime=\"2026-11-01T08:05:09.123Z\">1 Nov 08:05:09 UTC</time>");
	assert_text(html_minute, "2026-11-21T18:45:00Z",
	    "<time datetime=\"2026-11-21T18:45:00Z\">21 Nov 18:45</time>");
	assert_text(
	    html_time, "2026-11-01T08:05:09\"><b>", "2026-11-01T08:05:09&quot;&gt;&lt;b&gt;");
	assert_text(html_time, "never", "never");
	assert_text(html_time, NULL, "");
}

static void
test_escapes(void **state)
{
	(void)state;
	assert_text(html_put, "<a href=\"x\">'&\n\x7f", "&lt;a href=&quot;x&quot;&gt;&#39;&amp;  ");
	assert_text(html_put, "gr\u00fcn", "gr\u00fcn");
	assert_text(html_put, NULL, "");
	assert_text(html_url, "20261121T184500Z-gw1_a.b~c", "20261121T184500Z-gw1_a.b~c");
	assert_text(html_url, "a/b?c&d=\"%\u00fc", "a%2Fb%3Fc%26d%3D%22%25%C3%BC");
	assert_text(html_url, NULL, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
