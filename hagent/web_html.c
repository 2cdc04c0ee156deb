/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words and numbers for HTML: see web_html.h.
 */
#include "hagent/web_html.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

void
html_put(FILE *f, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			fputc((unsigned char)*s < ' ' || *s == 127 ? ' ' : *s, f);
		}
	}
}

void
html_member(FILE *f, const json_t *o, const char *name, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, name));

	html_put(f, s && *s ? s : otherwise);
}

void
html_url(FILE *f, const char *s)
{
	for (; s && *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			fputc(*s, f);
		else
			fprintf(f, "%%%02X", (unsigned char)*s);
	}
}

void
html_count(FILE *f, long long n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", n < 0 ? -n : n);

	if (n < 0)
		fputs("\u2212", f);
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			fputs("\u202f", f);
		fputc(digits[i], f);
	}
}

/* Three figures and a unit, steps of 1000. */
static void
put_scaled(FILE *f, double n, const char *const *units, size_t n_units)
{
	size_t i = 0;

	while (n >= 999.5 && i + 1 < n_units) {
		n /= 1000;
		i++;
	}
	fprintf(f, "%.*f\u00a0%s", i > 0 && n < 9.95 ? 1 : 0, n, units[i]);
}

void
html_octets(FILE *f, double n)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};

	put_scaled(f, n, units, sizeof(units) / sizeof(*units));
}

void
html_rate(FILE *f, double octets)
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};

	put_scaled(f, octets * 8, units, sizeof(units) / sizeof(*units));
}

void
html_span(FILE *f, double ms)
{
	long long s = (long long)(ms / 1000 + 0.5);

	if (ms < 1000)
		fprintf(f, "%.0f\u00a0ms", ms);
	else if (ms < 9950)
		fprintf(f, "%.1f\u00a0s", ms / 1000);
	else if (s < 120)
		fprintf(f, "%lld\u00a0s", s);
	else if (s < 3600)
		fprintf(f, "%lld\u00a0min", s / 60);
	else if (s < 86400)
		fprintf(f, "%lld\u00a0h %lld\u00a0min", s / 3600, s / 60 % 60);
	else
		fprintf(f, "%lld\u00a0d %lld\u00a0h", s / 86400, s / 3600 % 24);
}

static void
put_time(FILE *f, const char *iso, const char *format)
{
	struct tm t = {0};
	char shown[40];
	const char *end = iso ? strptime(iso, "%Y-%m-%dT%H:%M:%S", &t) : NULL;

	if (!end || strspn(end, ".0123456789Z") != strlen(end)) {
		html_put(f, iso);
		return;
	}
	if (strftime(shown, sizeof(shown), format, &t) == 0)
		*shown = '\0';
	fputs("<time datetime=\"", f);
	html_put(f, iso);
	fprintf(f, "\">%s</time>", shown + (*shown == ' '));
}

void
html_time(FILE *f, const char *iso)
{
	put_time(f, iso, "%e %b %H:%M:%S UTC");
}

void
html_minute(FILE *f, const char *iso)
{
	put_time(f, iso, "%e %b %H:%M");
}
