/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text of a report: the verdict first, then the figures, then what happened in order.
 */
#include "hagent/drill_text.h"

#include <string.h>

#include "hagent/words.h"

static void
put_ms(FILE *f, const char *label, const json_t *v)
{
	if (json_is_number(v))
		fprintf(f, "  %-22s %.0f ms\n", label, json_number_value(v));
}

static void
put_sessions(FILE *f, const json_t *report)
{
	const json_t *s = json_object_get(report, "sessions"), *gone, *o;
	size_t i;

	if (!json_is_object(s))
		return;
	fprintf(f, "  %-22s %lld before: %lld survived, %lld redialled, %lld lost", "sessions",
	    words_number(s, "before"), words_number(s, "survived"), words_number(s, "redialled"),
	    words_number(s, "lost"));
	if (words_number(s, "silent") > 0)
		fprintf(f, " (%lld of them silent)", words_number(s, "silent"));
	putc('\n', f);
	gone = json_object_get(report, "gone");
	json_array_foreach(gone, i, o)
	{
		if (i == 10)
			break;
		fprintf(f, "    %-10s %s from %s, %s\n", words_text(o, "outcome"),
		    words_text(o, "user"), words_text(o, "client"), words_text(o, "address"));
	}
}

static void
put_gaps(FILE *f, const json_t *report)
{
	const json_t *g = json_object_get(report, "gap_ms"),
		     *p = json_object_get(report, "packets");

	if (json_is_object(g))
		fprintf(f,
		    "  %-22s %.0f minimum, %.0f median, %.0f p99, %.0f maximum, of %lld sessions "
		    "with traffic\n",
		    "gap in ms", json_number_value(json_object_get(g, "min")),
		    json_number_value(json_object_get(g, "median")),
		    json_number_value(json_object_get(g, "p99")),
		    json_number_value(json_object_get(g, "max")), words_number(g, "n"));
	if (json_is_object(p))
		fprintf(f, "  %-22s %lld of %lld from clients lost, %lld went to them\n", "packets",
		    words_number(p, "lost"), words_number(p, "from_clients"),
		    words_number(p, "to_clients"));
}

static void
put_limits(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "limits"), *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const json_t *seen = json_object_get(o, "seen");
		const char *unit = words_text(o, "unit");

		fprintf(f, "  %s %s: ", words_is(o, "ok") ? "ok      " : "EXCEEDED",
		    words_text(o, "name"));
		if (json_is_number(seen))
			fprintf(f, "%.0f%s%s", json_number_value(seen), *unit ? " " : "", unit);
		else
			fputs("not measured", f);
		fprintf(f, ", at most %.0f%s%s\n", json_number_value(json_object_get(o, "limit")),
		    *unit ? " " : "", unit);
	}
}

static void
put_steps(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "steps"), *o;
	size_t i;

	if (json_array_size(list) > 0)
		fputs("Steps, in ms from the fault:\n", f);
	json_array_foreach(list, i, o)
	{
		fprintf(f, "  %7.0f  %-12s %-8s %-18s %-10s %5.0f ms  %s\n",
		    json_number_value(json_object_get(o, "at_ms")), words_text(o, "node"),
		    words_text(o, "transition"), words_text(o, "step"), words_text(o, "result"),
		    json_number_value(json_object_get(o, "ms")), words_text(o, "detail"));
	}
}

static void
put_phases(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "phases"), *o;
	size_t i;

	if (json_array_size(list) > 0)
		fputs("The drill itself:\n", f);
	json_array_foreach(list, i, o)
	{
		fprintf(f, "  %-10s %-8s %6lld ms  %s\n", words_text(o, "name"),
		    words_text(o, "result"), words_number(o, "ms"), words_text(o, "text"));
	}
}

static void
put_others(FILE *f, const json_t *report)
{
	const json_t *witness = json_object_get(report, "witness"),
		     *held = json_object_get(witness, "held"),
		     *load = json_object_get(report, "load"),
		     *back = json_object_get(report, "fail_back");

	if (json_is_object(held))
		fprintf(f, "  %-22s %s, %lld of %lld pings answered, longest gap %.0f ms\n",
		    "witness", words_is(witness, "ok") ? "held" : "not held",
		    words_number(held, "received"), words_number(held, "sent"),
		    json_number_value(json_object_get(held, "gap_ms_max")));
	else if (json_is_object(witness))
		fprintf(f, "  %-22s %s\n", "witness", words_text(witness, "text"));
	if (json_is_object(load))
		fprintf(f, "  %-22s %lld of %lld sessions came up meanwhile\n", "load",
		    words_number(load, "up"), words_number(load, "asked"));
	if (json_is_object(back))
		fprintf(f, "  %-22s %s%s%s\n", "moved back", words_text(back, "result"),
		    *words_text(back, "text") ? ": " : "", words_text(back, "text"));
}

void
drill_text(FILE *f, const json_t *report)
{
	const json_t *list = json_object_get(report, "advice"), *o;
	size_t i;

	fprintf(f, "%s: %s\n", words_text(report, "verdict"), words_text(report, "why"));
	json_array_foreach(list, i, o) fprintf(f, "  -> %s\n", json_string_value(o));
	fprintf(f, "Drill %s: %s (%s), %s to %s, %s\n", words_text(report, "id"),
	    words_text(report, "name"), words_text(report, "kind"), words_text(report, "from"),
	    words_text(report, "to"), words_text(report, "at"));
	put_sessions(f, report);
	put_gaps(f, report);
	put_ms(f, "noticed after", json_object_get(report, "detection_ms"));
	put_ms(f, "transition", json_object_get(report, "ms"));
	put_ms(f, "data again after", json_object_get(report, "resumed_ms"));
	put_others(f, report);
	put_limits(f, report);
	put_steps(f, report);
	put_phases(f, report);
}

void
drill_text_head(FILE *f)
{
	fprintf(f, "%-32s %-8s %-8s %8s %8s %8s %8s %9s\n", "drill", "kind", "verdict", "sessions",
	    "survived", "lost", "gap ms", "noticed");
}

void
drill_text_line(FILE *f, const json_t *s)
{
	const json_t *n = json_object_get(s, "sessions"), *gap = json_object_get(s, "gap_ms"),
		     *detection = json_object_get(s, "detection_ms");

	fprintf(f, "%-32s %-8s %-8s", words_text(s, "id"), words_text(s, "kind"),
	    words_text(s, "verdict"));
	if (!json_is_object(n)) {
		fprintf(f, " %s\n", words_text(s, "why"));
		return;
	}
	fprintf(f, " %8lld %8lld %8lld", words_number(n, "before"), words_number(n, "survived"),
	    words_number(n, "lost") + words_number(n, "redialled"));
	if (json_is_object(gap))
		fprintf(f, " %8.0f", json_number_value(json_object_get(gap, "max")));
	else
		fprintf(f, " %8s", "-");
	if (json_is_number(detection))
		fprintf(f, " %6.0f ms", json_number_value(detection));
	putc('\n', f);
}
