/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The page of a report. What stands in a report passes through html_put().
 */
#include "hagent/drill_html.h"

#include <stdlib.h>
#include <string.h>

#include "hagent/web_html.h"
#include "hagent/words.h"

static void
put_number(FILE *f, const json_t *v, const char *unit)
{
	if (json_is_number(v))
		fprintf(f, "%.0f%s", json_number_value(v), unit);
	else
		fputs("–", f);
}

static void
figure(FILE *f, const char *label, const json_t *v, const char *unit)
{
	fputs("<div class=\"figure\"><b>", f);
	put_number(f, v, unit);
	fprintf(f, "</b><span>%s</span></div>\n", label);
}

static const char *
mood(const json_t *report)
{
	const char *verdict = words_text(report, "verdict");

	return strcmp(verdict, "passed") == 0   ? "ok"
	       : strcmp(verdict, "failed") == 0 ? "bad"
						: "note";
}

static const char *
mark_of(const json_t *report)
{
	const char *m = mood(report);

	return strcmp(m, "ok") == 0 ? "\u2713" : strcmp(m, "bad") == 0 ? "\u2717" : "!";
}

static void
put_head(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "advice"), *o;
	size_t i;

	fprintf(f, "<header class=\"%s\"><h1>Drill ", mood(report));
	html_member(f, report, "name", "?");
	fprintf(f, ": <strong>%s ", mark_of(report));
	html_member(f, report, "verdict", "?");
	fputs("</strong></h1>\n<p class=\"why\">", f);
	html_member(f, report, "why", "");
	fputs("</p>\n", f);
	if (json_array_size(list) > 0)
		fputs("<ul class=\"advice\">\n", f);
	json_array_foreach(list, i, o)
	{
		fputs("<li>", f);
		html_put(f, json_string_value(o));
		fputs("</li>\n", f);
	}
	if (json_array_size(list) > 0)
		fputs("</ul>\n", f);
	fputs("<p class=\"facts\">", f);
	html_member(f, report, "kind", "?");
	fputs(" drill, ", f);
	html_time(f, words_text(report, "at"));
	fputs(", from ", f);
	html_member(f, report, "from", "?");
	fputs(" to ", f);
	html_member(f, report, "to", "?");
	fputs(words_is(report, "scheduled") ? ", by its schedule" : ", by hand", f);
	fputs(". <code>", f);
	html_member(f, report, "id", "");
	fputs("</code></p></header>\n", f);
}

static void
put_figures(FILE *f, const json_t *report)
{
	const json_t *s = json_object_get(report, "sessions"),
		     *g = json_object_get(report, "gap_ms"),
		     *p = json_object_get(report, "packets");

	if (!json_is_object(s))
		return;
	fputs("<section class=\"card figures\"><h2>Sessions</h2>\n<div class=\"row\">", f);
	figure(f, "before", json_object_get(s, "before"), "");
	figure(f, "survived", json_object_get(s, "survived"), "");
	figure(f, "redialled", json_object_get(s, "redialled"), "");
	figure(f, "lost", json_object_get(s, "lost"), "");
	fputs("</div></section>\n", f);
	fputs("<section class=\"card figures\"><h2>Gap in the data to a client</h2>\n<div "
	      "class=\"row\">",
	    f);
	figure(f, "shortest", json_object_get(g, "min"), " ms");
	figure(f, "median", json_object_get(g, "median"), " ms");
	figure(f, "99 of 100", json_object_get(g, "p99"), " ms");
	figure(f, "longest", json_object_get(g, "max"), " ms");
	fputs("</div></section>\n", f);
	fputs("<section class=\"card figures\"><h2>Failover</h2>\n<div class=\"row\">", f);
	figure(f, "noticed after", json_object_get(report, "detection_ms"), " ms");
	figure(f, "transition", json_object_get(report, "ms"), " ms");
	figure(f, "data again after", json_object_get(report, "resumed_ms"), " ms");
	figure(f, "packets lost", json_object_get(p, "lost"), "");
	fputs("</div></section>\n", f);
}

static void
put_limits(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "limits"), *o;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fputs("<section class=\"card\"><h2>Limits</h2>\n<table class=\"limits\">"
	      "<thead><tr><th scope=\"col\">limit</th><th scope=\"col\" class=\"n\">at most</th>"
	      "<th scope=\"col\" class=\"n\">seen</th><th scope=\"col\">verdict</th></tr></thead>"
	      "<tbody>\n",
	    f);
	json_array_foreach(list, i, o)
	{
		fputs("<tr><td>", f);
		html_member(f, o, "name", "");
		fputs("</td><td class=\"n\">", f);
		put_number(f, json_object_get(o, "limit"), " ");
		html_member(f, o, "unit", "");
		fputs("</td><td class=\"n\">", f);
		put_number(f, json_object_get(o, "seen"), " ");
		if (json_is_number(json_object_get(o, "seen")))
			html_member(f, o, "unit", "");
		fprintf(f, "</td><td class=\"%s\">%s</td></tr>\n", words_is(o, "ok") ? "ok" : "bad",
		    words_is(o, "ok") ? "\u2713 kept" : "\u2717 exceeded");
	}
	fputs("</tbody></table></section>\n", f);
}

struct column {
	const char *title, *name;
	bool number;
};

static void
put_cells(FILE *f, const json_t *o, const struct column *columns, size_t n)
{
	fputs("<tr>", f);
	for (size_t k = 0; k < n; k++) {
		const json_t *v = json_object_get(o, columns[k].name);

		fprintf(f, "<td%s>", columns[k].number ? " class=\"n\"" : "");
		if (columns[k].number)
			put_number(f, v, "");
		else
			html_put(f, json_string_value(v));
		fputs("</td>", f);
	}
	fputs("</tr>\n", f);
}

/* What few will read is folded, with the number of its rows. */
static void
put_table(FILE *f, const char *title, const char *class, bool folded, const json_t *list,
    const struct column *columns, size_t n)
{
	const json_t *o;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fputs("<section class=\"card\">", f);
	if (folded)
		fprintf(f, "<details><summary><h2>%s</h2> (%zu)</summary>\n", title,
		    json_array_size(list));
	else
		fprintf(f, "<h2>%s</h2>\n", title);
	fprintf(f,
	    "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"%s\"><table "
	    "class=\"%s\"><thead><tr>",
	    title, class);
	for (size_t k = 0; k < n; k++)
		fprintf(f, "<th scope=\"col\"%s>%s</th>", columns[k].number ? " class=\"n\"" : "",
		    columns[k].title);
	fputs("</tr></thead><tbody>\n", f);
	json_array_foreach(list, i, o) put_cells(f, o, columns, n);
	fprintf(f, "</tbody></table></div>%s</section>\n", folded ? "</details>" : "");
}

#define TABLE(f, title, class, folded, list, columns)                                              \
	put_table(f, title, class, folded, list, columns, sizeof(columns) / sizeof(columns[0]))

static void
put_tables(FILE *f, const json_t *report)
{
	static const struct column gone[] = {{"what", "outcome", false}, {"user", "user", false},
	    {"client", "client", false}, {"address", "address", false}};
	static const struct column worst[] = {{"user", "user", false}, {"client", "client", false},
	    {"address", "address", false}, {"gap ms", "gap_ms", true},
	    {"began at ms", "at_ms", true}};
	static const struct column steps[] = {{"at ms", "at_ms", true}, {"gateway", "node", false},
	    {"transition", "transition", false}, {"step", "step", false},
	    {"result", "result", false}, {"took ms", "ms", true}, {"detail", "detail", false}};
	static const struct column phases[] = {{"part", "name", false}, {"result", "result", false},
	    {"took ms", "ms", true}, {"", "text", false}};

	TABLE(f, "Sessions that did not survive", "gone", false, json_object_get(report, "gone"),
	    gone);
	TABLE(f, "Steps", "steps", false, json_object_get(report, "steps"), steps);
	TABLE(f, "Longest gaps", "worst", true, json_object_get(report, "worst"), worst);
	TABLE(f, "The drill itself", "phases", true, json_object_get(report, "phases"), phases);
}

static void
put_witness(FILE *f, const json_t *report)
{
	const json_t *w = json_object_get(report, "witness"), *held = json_object_get(w, "held");

	if (!json_is_object(w))
		return;
	fprintf(f, "<section class=\"card\"><h2>Witness</h2>\n<p class=\"%s\">",
	    words_is(w, "ok") ? "ok" : "bad");
	html_member(
	    f, w, "text", words_is(w, "ok") ? "Its session was held." : "It saw a failure.");
	if (json_is_object(held)) {
		fprintf(f, " %lld of %lld pings were answered; the longest gap was ",
		    words_number(held, "received"), words_number(held, "sent"));
		put_number(f, json_object_get(held, "gap_ms_max"), " ms.");
	}
	fputs("</p></section>\n", f);
}

static void
write_page(FILE *f, const json_t *report, const json_t *past)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
	    f);
	html_member(f, report, "verdict", "?");
	fputs(": drill ", f);
	html_member(f, report, "id", "");
	fprintf(
	    f, "</title>\n<style>\n%s</style></head>\n<body class=\"drill\">\n<main>\n", drill_css);
	put_head(f, report);
	put_figures(f, report);
	drill_svg_timeline(f, report);
	drill_svg_trend(f, report, past);
	put_limits(f, report);
	put_witness(f, report);
	put_tables(f, report);
	fputs("</main>\n</body></html>\n", f);
}

char *
drill_report_html(const json_t *report, const json_t *past)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	write_page(f, report, past);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
