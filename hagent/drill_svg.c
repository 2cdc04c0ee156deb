/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pictures of a report. Time line: packets to clients of both gateways, one above the other, the
 * steps of each below, and marks for the fault, its detection and the first packet behind it.
 */
#include <string.h>

#include "hagent/drill_html.h"
#include "hagent/web_html.h"
#include "hagent/words.h"

#define WIDTH  960
#define LEFT   90
#define RIGHT  16
#define LANE   70
#define BAR    14
#define BARS   40
#define TREND  40 /* drills in the trend */
#define PLOT_W (WIDTH - LEFT - RIGHT)

struct view {
	double from_ms, to_ms;
};

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

static double
smaller(double a, double b)
{
	return a < b ? a : b;
}

static double
real_of(const json_t *o, const char *name, double otherwise)
{
	const json_t *v = json_object_get(o, name);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

static double
x_of(const struct view *v, double ms)
{
	double at = LEFT + (ms - v->from_ms) / (v->to_ms - v->from_ms) * PLOT_W;

	return at < LEFT ? LEFT : at > WIDTH - RIGHT ? WIDTH - RIGHT : at;
}

/* ---- the failover ---- */

/* From a little before the fault until things go on, with as much again behind it. */
static struct view
view_of(const json_t *report)
{
	double end = 500, longest = real_of(json_object_get(report, "gap_ms"), "max", 0);
	const json_t *list = json_object_get(report, "steps"), *o;
	size_t i;

	end = larger(end, larger(longest, real_of(report, "resumed_ms", 0)));
	json_array_foreach(list, i, o)
	{
		double at = real_of(o, "at_ms", 0) + real_of(o, "ms", 0);

		if (at < 3 * end && strcmp(words_text(o, "transition"), "MASTER") == 0)
			end = larger(end, at);
	}
	end = smaller(end * 1.6, 9500);
	return (struct view){-smaller(end / 3, 1900), end};
}

static void
put_ticks(FILE *f, const struct view *v, double top, double bottom)
{
	double step = 100;

	while ((v->to_ms - v->from_ms) / step > 12)
		step *= step == 200 || step == 2000 ? 2.5 : 2;
	for (double ms = (double)(long)(v->from_ms / step) * step; ms <= v->to_ms; ms += step) {
		double x = x_of(v, ms);

		if (x > WIDTH - RIGHT - 10) /* its words would be cut off */
			break;
		fprintf(f,
		    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>"
		    "<text class=\"tick\" x=\"%.1f\" y=\"%.0f\">%.0f ms</text>\n",
		    x, x, top, bottom, x, bottom + 14, ms);
	}
}

static double
peak_of(const json_t *report)
{
	const char *const ends[] = {"from", "to"};
	const json_t *rate = json_object_get(report, "rate"), *list, *n;
	double peak = 1;
	size_t i;

	for (unsigned k = 0; k < 2; k++) {
		list = json_object_get(rate, words_text(report, ends[k]));
		json_array_foreach(list, i, n) peak = larger(peak, json_number_value(n));
	}
	return peak;
}

static void
put_lane(
    FILE *f, const struct view *v, const json_t *report, const char *node, double top, int which)
{
	const json_t *rate = json_object_get(report, "rate"), *list = json_object_get(rate, node),
		     *n;
	double step = real_of(rate, "step_ms", 50), from = real_of(rate, "from_ms", 0);
	double scale = (LANE - 14) / peak_of(report), base = top + LANE;
	size_t i;

	fprintf(f, "<text class=\"lane\" x=\"8\" y=\"%.0f\">", top + LANE / 2.0);
	html_put(f, node);
	fprintf(f, "</text>\n<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.0f\" y2=\"%.0f\"/>\n",
	    LEFT, WIDTH - RIGHT, base, base);
	fprintf(f, "<path class=\"rate gateway%d\" d=\"", which);
	json_array_foreach(list, i, n)
	{
		double at = from + (double)i * step, height = json_number_value(n) * scale;

		if (at + step < v->from_ms || at > v->to_ms || height <= 0)
			continue;
		fprintf(f, "M%.1f %.1fV%.1fH%.1fV%.1fZ", x_of(v, at), base, base - height,
		    x_of(v, at + step), base);
	}
	fputs("\"/>\n", f);
}

/* Returns the next row's top. */
static double
put_bars(
    FILE *f, const struct view *v, const json_t *report, const char *node, double top, int which)
{
	const json_t *list = json_object_get(report, "steps"), *o;
	unsigned shown = 0;
	size_t i;

	json_array_foreach(list, i, o)
	{
		double at = real_of(o, "at_ms", 0), ms = real_of(o, "ms", 0), x = x_of(v, at);
		bool failed = strcmp(words_text(o, "result"), "ok") != 0;

		if (strcmp(words_text(o, "node"), node) != 0 || at > v->to_ms ||
		    at + ms < v->from_ms || shown++ == BARS)
			continue;
		fprintf(f,
		    "<rect class=\"step gateway%d %s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" "
		    "height=\"%d\"><title>",
		    which, failed ? "bad" : "ok", x, top, larger(x_of(v, at + ms) - x, 2), BAR - 4);
		html_put(f, words_text(o, "step"));
		fprintf(f, " %.0f ms</title></rect>", ms);
		fprintf(f, "<text class=\"name%s\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"%s\">",
		    failed ? " bad" : "", x < WIDTH * 2.0 / 3 ? x_of(v, at + ms) + 5 : x - 5,
		    top + BAR - 5, x < WIDTH * 2.0 / 3 ? "start" : "end");
		html_put(f, words_text(o, "step"));
		fprintf(f, " %.0f%s</text>\n", ms, failed ? " \u2717" : "");
		top += BAR;
	}
	return top + 6;
}

static void
mark(FILE *f, const struct view *v, const json_t *at, const char *class, const char *label,
    double bottom, int row)
{
	double x;

	if (!json_is_number(at) || json_number_value(at) > v->to_ms)
		return;
	x = x_of(v, json_number_value(at));
	fprintf(f,
	    "<line class=\"mark %s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\"/>"
	    "<text class=\"mark %s\" x=\"%.1f\" y=\"%d\">%s</text>\n",
	    class, x, x, 8 + 12 * row, bottom, class, x + 4, 14 + 12 * row, label);
}

/* Below the rest, so that they cross no words. */
static void
put_marks(FILE *f, const struct view *v, const json_t *report, double bottom)
{
	bool planned = strcmp(words_text(report, "kind"), "planned") == 0;
	json_t *zero = json_integer(0);

	mark(f, v, zero, "fault", planned ? "asked" : "fault", bottom, 0);
	mark(f, v, json_object_get(report, "detection_ms"), "noticed", "noticed", bottom, 1);
	mark(f, v, json_object_get(report, "resumed_ms"), "again", "data again", bottom, 2);
	json_decref(zero);
}

static unsigned
steps_of(const struct view *v, const json_t *report, const char *node)
{
	const json_t *list = json_object_get(report, "steps"), *o;
	unsigned n = 0;
	size_t i;

	json_array_foreach(list, i, o)
	{
		double at = real_of(o, "at_ms", 0);

		n += strcmp(words_text(o, "node"), node) == 0 && at <= v->to_ms &&
		     at + real_of(o, "ms", 0) >= v->from_ms && n < BARS;
	}
	return n;
}

void
drill_svg_timeline(FILE *f, const json_t *report)
{
	const json_t *rate = json_object_get(report, "rate");
	const char *from = words_text(report, "from"), *to = words_text(report, "to");
	struct view v = view_of(report);
	double top = 50, bottom;

	if (!json_is_object(rate))
		return;
	bottom = top + 2 * (LANE + 12) + 12 +
		 BAR * (steps_of(&v, report, from) + steps_of(&v, report, to));
	fprintf(f,
	    "<section class=\"card\"><h2>The failover in time</h2>\n<div class=\"scroll\" "
	    "tabindex=\"0\" role=\"group\" aria-label=\"Time line\"><svg "
	    "class=\"timeline\" viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"Packets to "
	    "clients "
	    "of both gateways, and the steps of the failover\">\n",
	    WIDTH, bottom + 20);
	put_ticks(f, &v, 30, bottom);
	put_marks(f, &v, report, bottom);
	put_lane(f, &v, report, from, top, 1);
	top = put_bars(f, &v, report, from, top + LANE + 6, 1);
	put_lane(f, &v, report, to, top, 2);
	put_bars(f, &v, report, to, top + LANE + 6, 2);
	fputs("</svg></div>\n<p class=\"caption\">Packets to clients from each gateway, and the "
	      "steps "
	      "with their milliseconds.</p></section>\n",
	    f);
}

/* ---- the trend ---- */

static double
gap_of(const json_t *summary)
{
	return real_of(json_object_get(summary, "gap_ms"), "max", -1);
}

static void
put_dot(FILE *f, const json_t *o, double x, double y, bool this_one)
{
	fprintf(f, "<circle class=\"%s%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"><title>",
	    strcmp(words_text(o, "verdict"), "passed") == 0 ? "ok" : "bad", this_one ? " this" : "",
	    x, y, this_one ? 6 : 4);
	html_put(f, words_text(o, "at"));
	fprintf(f, ": %.0f ms, ", gap_of(o));
	html_put(f, words_text(o, "verdict"));
	fputs("</title></circle>\n", f);
}

/* Oldest first into v: drills of this kind that were measured. */
static size_t
collect(const json_t *report, const json_t *past, const json_t *v[static TREND])
{
	const json_t *o;
	size_t i, n = 0;

	json_array_foreach(past, i, o)
	{
		if (n < TREND && gap_of(o) >= 0 &&
		    strcmp(words_text(o, "kind"), words_text(report, "kind")) == 0)
			v[n++] = o;
	}
	for (size_t k = 0; k < n / 2; k++) {
		const json_t *other = v[k];

		v[k] = v[n - 1 - k];
		v[n - 1 - k] = other;
	}
	return n;
}

void
drill_svg_trend(FILE *f, const json_t *report, const json_t *past)
{
	const json_t *v[TREND];
	size_t n = collect(report, past, v);
	double most = 1;

	if (n < 2)
		return;
	for (size_t i = 0; i < n; i++)
		most = larger(most, gap_of(v[i]));
	fprintf(f,
	    "<section class=\"card\"><h2>Longest gap of the last %zu drills of this "
	    "kind</h2>\n<div "
	    "class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Trend\"><svg "
	    "class=\"trend\" viewBox=\"0 0 %d 160\" role=\"img\" "
	    "aria-label=\"Trend of the longest gap\">\n",
	    n, WIDTH);
	fprintf(f,
	    "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"20\" y2=\"20\"/><text class=\"tick "
	    "left\" x=\"8\" y=\"24\">%.0f ms</text>\n<line class=\"axis\" x1=\"%d\" x2=\"%d\" "
	    "y1=\"140\" y2=\"140\"/><text class=\"tick left\" x=\"8\" y=\"144\">0</text>\n",
	    LEFT, WIDTH - RIGHT, most, LEFT, WIDTH - RIGHT);
	fputs("<polyline class=\"trend\" points=\"", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%.1f,%.1f ", LEFT + PLOT_W * ((double)i + 0.5) / (double)n,
		    140 - 120 * gap_of(v[i]) / most);
	fputs("\"/>\n", f);
	for (size_t i = 0; i < n; i++)
		put_dot(f, v[i], LEFT + PLOT_W * ((double)i + 0.5) / (double)n,
		    140 - 120 * gap_of(v[i]) / most,
		    strcmp(words_text(v[i], "id"), words_text(report, "id")) == 0);
	fputs("</svg></div></section>\n", f);
}
