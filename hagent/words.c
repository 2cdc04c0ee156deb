/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fields and spans in words.
 */
#include "hagent/words.h"

#include <stdio.h>

const char *
words_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

long long
words_number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

bool
words_is(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

const char *
words_span(long long seconds, char out[static WORDS_SPAN])
{
	static const struct {
		int below_s, unit_s;
		const char *name;
	} units[] = {{120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"}, {0, 86400, "days"}};
	size_t i = 0;

	while (units[i].below_s && seconds >= units[i].below_s)
		i++;
	snprintf(out, WORDS_SPAN, "%lld %s", seconds / units[i].unit_s, units[i].name);
	return out;
}

const char *
words_count(long long n, const char *noun, char out[static WORDS_COUNT])
{
	snprintf(out, WORDS_COUNT, "%lld %s%s", n, noun, n == 1 ? "" : "s");
	return out;
}
