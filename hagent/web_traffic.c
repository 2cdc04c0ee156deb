/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Traffic over the last hour: one curve to the clients, one from them, and the sessions below. The
 * SVG is stretched to its place (lines keep their width), so the words stand around it in HTML.
 */
#include <string.h>

#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

#define HEIGHT 100
#define POINTS 360
#define LATE   2 /* a sample so far from the end is still what is now */

/* A row of samples, oldest first; one that is not known is negative. */
struct row {
	double v[POINTS];
	size_t n;
	bool any; /* is known */
	double max, last;
	double top; /* of the scale */
};

static void
read_row(const json_t *history, const char *name, struct row *r)
{
	const json_t *list = json_object_get(history, name), *sample;
	size_t n = json_array_size(list), skip = n > POINTS ? n - POINTS : 0, i;

	*r = (struct row){.n = n - skip, .last = -1};
	json_array_foreach(list, i, sample)
	{
		double value = json_is_number(sample) ? json_number_value(sample) : -1;

		if (i < skip)
			continue;
		r->v[i - skip] = value;
		r->any |= value >= 0;
		if (value > r->max)
			r->max = value;
	}
	for (i = r->n; i > 0 && i + LATE > r->n && r->last < 0; i--)
		r->last = r->v[i - 1];
}

double
web_latest(const json_t *history, const char *row)
{
	struct row r;

	read_row(history, row, &r);
	return r.last;
}

/* The next of 1, 2, 5, 10, 20, ... above n. */
static double
nice(double n)
{
	double step = 1;

	while (step * 10 < n)
		step *= 10;
	return n <= step ? step : n <= 2 * step ? 2 * step : n <= 5 * step ? 5 * step : 10 * step;
}

/* The newest sample stands at the right edge, also when there are few. */
static double
x_of(const struct row *r, size_t i)
{
	return (double)(POINTS - r->n + i) + 0.5;
}

/* The samples from begin to end, all known: a line, or the area below it. */
static void
put_stretch(FILE *f, const struct row *r, size_t begin, size_t end, bool area)
{
	if (area)
		fprintf(f, "M%.1f %dL", x_of(r, begin) - 0.5, HEIGHT);
	else
		fputc('M', f);
	for (size_t i = begin; i < end; i++) {
		double y = HEIGHT - r->v[i] / r->top * HEIGHT;

		if (i == begin)
			fprintf(f, "%.1f %.1f ", x_of(r, i) - 0.5, y);
		fprintf(f, "%.1f %.1f ", x_of(r, i) + 0.5, y);
	}
	if (area)
		fprintf(f, "%.1f %dZ", x_of(r, end - 1) + 0.5, HEIGHT);
}

/* A gap in what is known is a gap in the curve. */
static void
put_curve(FILE *f, const struct row *r, const char *class, bool area)
{
	size_t begin = 0;

	fprintf(f, "<path class=\"%s\" d=\"", class);
	for (size_t i = 0; i <= r->n; i++) {
		if (i < r->n && r->v[i] >= 0)
			continue;
		if (i > begin)
			put_stretch(f, r, begin, i, area);
		begin = i + 1;
	}
	fputs("\"/>\n", f);
}

/* ---- a chart: words, and the stretched picture between them ---- */

static void
begin_chart(FILE *f, const char *class, const char *title)
{
	fprintf(f,
	    "<svg class=\"plot %s\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
	    "role=\"img\"><title>%s</title>\n<path class=\"grid\" d=\"M0 0H%dM0 %dH%d",
	    class, POINTS, HEIGHT, title, POINTS, HEIGHT / 2, POINTS);
	for (int x = POINTS / 4; x < POINTS; x += POINTS / 4)
		fprintf(f, "M%d 0V%d", x, HEIGHT);
	fputs("\"/>\n", f);
}

static void
put_legend(FILE *f, const char *class, const char *what, const struct row *r,
    void (*put)(FILE *f, double n))
{
	fprintf(f, "<p class=\"legend\"><span class=\"key %s\" aria-hidden=\"true\"></span>%s ",
	    class, what);
	if (r->last < 0) {
		fputs("unknown</p>\n", f);
		return;
	}
	fputs("<strong>", f);
	put(f, r->last);
	fputs("</strong>, at most ", f);
	put(f, r->max);
	fputs("</p>\n", f);
}

static void
put_number(FILE *f, double n)
{
	html_count(f, (long long)n);
}

static void
put_scale(FILE *f, double top, void (*put)(FILE *f, double n))
{
	fputs("<p class=\"scale\" aria-hidden=\"true\"><span>", f);
	put(f, top);
	fputs("</span><span>", f);
	put(f, top / 2);
	fputs("</span><span>0</span></p>\n", f);
}

static void
put_hours(FILE *f)
{
	fputs("<p class=\"hours\" aria-hidden=\"true\"><span>\u221260 min</span><span>\u221245"
	      "</span><span>\u221230</span><span>\u221215</span><span>now</span></p>\n",
	    f);
}

static void
put_rates(FILE *f, struct row *in, struct row *out)
{
	double most = (in->max > out->max ? in->max : out->max) * 8;

	in->top = out->top = nice(most > 1000 ? most : 1000) / 8;
	put_legend(f, "out", "to clients", out, html_rate);
	put_legend(f, "in", "from clients", in, html_rate);
	fputs("<div class=\"chart\">\n", f);
	put_scale(f, in->top, html_rate);
	begin_chart(f, "", "Traffic to and from the clients over the last hour");
	put_curve(f, out, "out area", true);
	put_curve(f, out, "out line", false);
	put_curve(f, in, "in line", false);
	fputs("</svg>\n", f);
	put_hours(f);
	fputs("</div>\n", f);
}

static void
put_sessions(FILE *f, struct row *sessions)
{
	sessions->top = nice(sessions->max);
	if (sessions->top < 2)
		sessions->top = 2;
	put_legend(f, "n", "sessions", sessions, put_number);
	fputs("<div class=\"chart\">\n", f);
	put_scale(f, sessions->top, put_number);
	begin_chart(f, "low", "Sessions over the last hour");
	put_curve(f, sessions, "n area", true);
	put_curve(f, sessions, "n line", false);
	fputs("</svg>\n", f);
	put_hours(f);
	fputs("</div>\n", f);
}

void
web_traffic_put(FILE *f, const struct web_parts *p)
{
	struct row in, out, sessions;

	read_row(p->view->history, "rx_octets", &in);
	read_row(p->view->history, "tx_octets", &out);
	read_row(p->view->history, "sessions", &sessions);
	if (!in.any && !out.any) {
		fputs("<p>No figures yet: one comes every 10 seconds.</p>\n", f);
		return;
	}
	put_rates(f, &in, &out);
	put_sessions(f, &sessions);
}
