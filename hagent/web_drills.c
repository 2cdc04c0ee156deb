/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drills on the status page: the last one in words, the trend of the gaps, and the list, each with
 * a link to its report.
 */
#include <string.h>

#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

#define BARS   24
#define ROWS   6
#define STEP   15
#define WIDTH  (BARS * STEP)
#define HEIGHT 100

static const char *
class_of(const json_t *drill)
{
	const char *verdict = words_text(drill, "verdict");

	if (strcmp(verdict, "passed") == 0)
		return "ok";
	return strcmp(verdict, "failed") == 0 ? "bad" : "note";
}

static const char *
mark_of(const json_t *drill)
{
	const char *class = class_of(drill);

	return strcmp(class, "ok") == 0 ? "\u2713" : strcmp(class, "bad") == 0 ? "\u2717" : "!";
}

/* Of the gaps; negative = not measured. */
static double
gap_of(const json_t *drill, const char *which)
{
	const json_t *n = json_object_get(json_object_get(drill, "gap_ms"), which);

	return json_is_number(n) ? json_number_value(n) : -1;
}

static void
put_link(FILE *f, const json_t *drill)
{
	fputs("/drills/", f);
	html_url(f, words_text(drill, "id"));
}

/* ---- the trend ---- */

static void
put_bar(FILE *f, const json_t *drill, int place, double top)
{
	double max = gap_of(drill, "max"), median = gap_of(drill, "median");
	double high = max < 0 ? 3 : 3 + max / top * (HEIGHT - 3);
	int x = place * STEP + 2;

	fprintf(f, "<a href=\"");
	put_link(f, drill);
	fprintf(f, "\" class=\"%s\" tabindex=\"-1\"><title>", class_of(drill));
	html_member(f, drill, "at", "");
	fputs(" ", f);
	html_member(f, drill, "kind", "");
	fputs(": ", f);
	html_member(f, drill, "verdict", "");
	if (max >= 0)
		fprintf(f, ", gap median %.0f ms, at most %.0f ms", median, max);
	fprintf(f, "</title><rect class=\"behind\" x=\"%d\" y=\"0\" width=\"%d\" height=\"%d\"/>",
	    place * STEP, STEP, HEIGHT);
	fprintf(f, "<rect class=\"max\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>", x,
	    HEIGHT - high, STEP - 4, high);
	if (median >= 0)
		fprintf(f,
		    "<rect class=\"median\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>", x,
		    HEIGHT - median / top * HEIGHT, STEP - 4, median / top * HEIGHT);
	fputs("</a>\n", f);
}

static double
scale_of(const json_t *list)
{
	double top = 100, max;
	size_t i;
	json_t *drill;

	json_array_foreach(list, i, drill)
	{
		if (i < BARS && (max = gap_of(drill, "max")) > top)
			top = max;
	}
	return top;
}

/* Oldest on the left, the newest at the right edge. */
static void
put_trend(FILE *f, const json_t *list)
{
	double top = scale_of(list);
	json_t *drill;
	size_t i;

	fputs("<p class=\"legend\">Longest pause of a client, per drill: the whole bar is the "
	      "worst client, the dark part the median.</p>\n<div class=\"chart\">\n"
	      "<p class=\"scale\" aria-hidden=\"true\"><span>",
	    f);
	html_span(f, top);
	fputs("</span><span></span><span>0</span></p>\n", f);
	fprintf(f,
	    "<svg class=\"plot trend\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
	    "role=\"img\"><title>Trend of the drills; the table below has the same "
	    "figures</title>\n<path class=\"grid\" d=\"M0 0H%dM0 %dH%d\"/>\n",
	    WIDTH, HEIGHT, WIDTH, HEIGHT / 2, WIDTH);
	json_array_foreach(list, i, drill)
	{
		if (i < BARS)
			put_bar(f, drill, BARS - 1 - (int)i, top);
	}
	fputs("</svg>\n<p class=\"ends\" aria-hidden=\"true\"><span>older</span>"
	      "<span>newest</span></p>\n</div>\n",
	    f);
}

/* ---- the list ---- */

static void
put_gaps(FILE *f, const json_t *drill)
{
	double median = gap_of(drill, "median"), max = gap_of(drill, "max");

	if (max < 0) {
		fputs("\u2013", f);
		return;
	}
	fputs("<span class=\"narrow\">pause </span>", f);
	html_span(f, median);
	fputs(" / ", f);
	html_span(f, max);
}

static void
put_survived(FILE *f, const json_t *drill)
{
	const json_t *n = json_object_get(drill, "sessions");

	if (!json_is_integer(json_object_get(n, "before"))) {
		fputs("\u2013", f);
		return;
	}
	html_count(f, words_number(n, "survived"));
	fputs(" of ", f);
	html_count(f, words_number(n, "before"));
	fputs("<span class=\"narrow\"> survived</span>", f);
}

static void
put_row(FILE *f, const json_t *drill)
{
	fputs("<tr role=\"row\"><td role=\"cell\" class=\"when\"><a href=\"", f);
	put_link(f, drill);
	fputs("\" id=\"drill-", f);
	html_member(f, drill, "id", "");
	fputs("\">", f);
	html_minute(f, words_text(drill, "at"));
	fputs("</a></td><td role=\"cell\">", f);
	html_member(f, drill, "kind", "");
	fprintf(
	    f, "</td><td role=\"cell\" class=\"result %s\">%s ", class_of(drill), mark_of(drill));
	html_member(f, drill, "verdict", "");
	fputs("</td><td role=\"cell\" class=\"survived\">", f);
	put_survived(f, drill);
	fputs("</td><td role=\"cell\" class=\"pause\">", f);
	put_gaps(f, drill);
	fputs("</td></tr>\n", f);
}

static void
put_list(FILE *f, const json_t *list)
{
	static const char *const heads[] = {
	    "When, UTC", "Kind", "Verdict", "Survived", "Pause, median / worst"};
	json_t *drill;
	size_t i;

	fputs("<table class=\"drills\" role=\"table\" aria-labelledby=\"h-drills\">\n"
	      "<thead role=\"rowgroup\"><tr role=\"row\">",
	    f);
	for (i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		fprintf(f, "<th role=\"columnheader\" scope=\"col\">%s</th>", heads[i]);
	fputs("</tr></thead>\n<tbody role=\"rowgroup\">\n", f);
	json_array_foreach(list, i, drill)
	{
		if (i < ROWS)
			put_row(f, drill);
	}
	fputs("</tbody>\n</table>\n", f);
	if (json_array_size(list) > ROWS)
		fprintf(f, "<p class=\"more\">and %zu older: <code>hagent drill list</code></p>\n",
		    json_array_size(list) - ROWS);
}

static void
put_running(FILE *f, const json_t *running)
{
	if (!json_is_object(running))
		return;
	fputs("<p class=\"running\"><strong>A drill is running</strong>: ", f);
	html_member(f, running, "name", "");
	if (*words_text(running, "phase")) {
		fputs(", part ", f);
		html_member(f, running, "phase", "");
	}
	fputs("</p>\n", f);
}

static void
put_last(FILE *f, const json_t *drill)
{
	fprintf(f, "<p class=\"last\"><strong class=\"%s\">%s Last one ", class_of(drill),
	    mark_of(drill));
	html_member(f, drill, "verdict", "");
	fputs("</strong>", f);
	if (*words_text(drill, "why")) {
		fputs(": ", f);
		html_member(f, drill, "why", "");
	}
	fputs("</p>\n", f);
}

void
web_drills_put(FILE *f, const struct web_parts *p)
{
	const json_t *list = json_object_get(p->view->drills, "drills");

	put_running(f, json_object_get(p->view->drills, "running"));
	if (!p->view->drills) {
		fputs("<p>The drills are not known.</p>\n", f);
		return;
	}
	if (json_array_size(list) == 0) {
		fputs("<p>None yet. <code>hagent drill run planned</code> tries a move with the "
		      "clients that are connected, and measures what they feel.</p>\n",
		    f);
		return;
	}
	put_last(f, json_array_get(list, 0));
	put_trend(f, list);
	put_list(f, list);
}
