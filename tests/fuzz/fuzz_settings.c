/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pptpd.conf and options.pptpd, divided by a line of "%%". Whatever was understood must come back
 * from print -> parse without a message and print the same again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct printed {
	char *main_text, *options_text;
};

static struct settings *
parse(const char *main_text, const char *options_text, struct conf_errors *e)
{
	struct settings *s = settings_new();

	if (s == NULL)
		abort();
	settings_parse_main(s, "m", main_text, e);
	settings_parse_options(s, "o", options_text, e);
	return s;
}

static struct printed
print(const struct settings *s)
{
	struct printed p;
	size_t main_len, options_len;
	FILE *m = open_memstream(&p.main_text, &main_len);
	FILE *o = open_memstream(&p.options_text, &options_len);

	if (m == NULL || o == NULL)
		abort();
	settings_print(s, m, o);
	fclose(m);
	fclose(o);
	return p;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *options = strstr(text, "%%\n");
	struct conf_errors e = {0}, none = {0};
	struct settings *first, *second;
	struct printed p, q;

	if (options != NULL) {
		*options = '\0';
		options += 3;
	}
	first = parse(text, options != NULL ? options : "", &e);
	p = print(first);
	second = parse(p.main_text, p.options_text, &none);
	q = print(second);
	if (none.errors > 0 || none.warnings > 0 || strcmp(p.main_text, q.main_text) != 0 ||
	    strcmp(p.options_text, q.options_text) != 0)
		abort();
	settings_check(first, "m", &e);
	if ((e.errors + e.warnings > 0) != (e.text != NULL))
		abort();
	conf_errors_fini(&e);
	conf_errors_fini(&none);
	settings_free(first);
	settings_free(second);
	free(p.main_text);
	free(p.options_text);
	free(q.main_text);
	free(q.options_text);
	free(text);
	return 0;
}
