/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of sessions: one page of what was asked for, with links that sort and turn pages. The
 * links carry the whole query, so they work without JavaScript.
 */
#include <string.h>

#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

#define PAGE_ROWS 50

static const struct {
	const char *sort, *title, *class;
	bool down_first; /* what one looks for in it is large */
} columns[] = {
    {"user", "User", "user", false},
    {"address", "Tunnel", "address", false},
    {"peer", "Client", "peer", false},
    {"age", "Up for", "age", true},
    {"rx", "From client", "rx", true},
    {"tx", "To client", "tx", true},
};

#define N_COLUMNS (sizeof(columns) / sizeof(*columns))

static long
page_rows(const struct web_view *v)
{
	return v->limit > 0 ? v->limit : PAGE_ROWS;
}

/* href of the page with this order and offset; the search stays. */
static void
put_href(FILE *f, const struct web_view *v, const char *sort, const char *order, long after)
{
	fputs("href=\"/?q=", f);
	html_url(f, v->q);
	fprintf(f, "&amp;sort=%s&amp;order=%s", sort, order);
	if (after > 0)
		fprintf(f, "&amp;after=%ld", after);
	if (v->limit > 0 && v->limit != PAGE_ROWS)
		fprintf(f, "&amp;limit=%ld", v->limit);
	fputs("#sessions\" data-go", f);
}

/* The query's own words are checked by who parsed it, but they are looked up here all the same. */
static const char *
sort_of(const struct web_view *v)
{
	for (size_t i = 0; v->sort && i < N_COLUMNS; i++) {
		if (strcmp(v->sort, columns[i].sort) == 0)
			return columns[i].sort;
	}
	return columns[0].sort;
}

static bool
is_descending(const struct web_view *v)
{
	return v->order && strcmp(v->order, "desc") == 0;
}

static void
put_heads(FILE *f, const struct web_view *v)
{
	const char *sort = sort_of(v);
	bool down = is_descending(v);

	fputs("<thead role=\"rowgroup\"><tr role=\"row\">\n", f);
	for (size_t i = 0; i < N_COLUMNS; i++) {
		bool now = strcmp(sort, columns[i].sort) == 0;
		bool next_down = now ? !down : columns[i].down_first;

		fprintf(f,
		    "<th role=\"columnheader\" scope=\"col\" class=\"%s\"%s><a id=\"by-%s\" ",
		    columns[i].class,
		    now ? down ? " aria-sort=\"descending\"" : " aria-sort=\"ascending\"" : "",
		    columns[i].sort);
		put_href(f, v, columns[i].sort, next_down ? "desc" : "asc", 0);
		fprintf(f, ">%s%s</a></th>\n", columns[i].title,
		    !now   ? ""
		    : down ? "<span aria-hidden=\"true\"> \u25bc</span>"
			   : "<span aria-hidden=\"true\"> \u25b2</span>");
	}
	fputs("</tr></thead>\n", f);
}

static void
put_cell(FILE *f, const char *class, const json_t *o, const char *name)
{
	fprintf(f, "<td role=\"cell\" class=\"%s\">", class);
	html_member(f, o, name, "\u2013");
	fputs("</td>", f);
}

static void
put_row(FILE *f, const json_t *o)
{
	bool up = words_is(o, "up"), risk = words_is(o, "at_risk");

	fputs("<tr role=\"row\"><td role=\"cell\" class=\"user\">", f);
	html_member(f, o, "user", "\u2013");
	if (!up)
		fputs(" <span class=\"tag\">setting up</span>", f);
	else if (risk)
		fputs(" <span class=\"tag\">at risk</span>", f);
	fputs("</td>", f);
	put_cell(f, "address", o, "address");
	put_cell(f, "peer", o, "peer");
	fputs("<td role=\"cell\" class=\"age\">", f);
	html_span(f, (double)words_number(o, "age_ms"));
	fputs("</td><td role=\"cell\" class=\"rx\"><span class=\"narrow\">\u2191\u00a0</span>", f);
	html_octets(f, (double)words_number(o, "rx_octets"));
	fputs("</td><td role=\"cell\" class=\"tx\"><span class=\"narrow\">\u2193\u00a0</span>", f);
	html_octets(f, (double)words_number(o, "tx_octets"));
	fputs("</td></tr>\n", f);
}

static void
put_turn(FILE *f, const struct web_view *v, const char *id, const char *text, bool can, long after)
{
	if (!can) {
		fprintf(f, "<span class=\"button off\">%s</span>\n", text);
		return;
	}
	fprintf(f, "<a class=\"button\" id=\"%s\" ", id);
	put_href(f, v, sort_of(v), is_descending(v) ? "desc" : "asc", after);
	fprintf(f, ">%s</a>\n", text);
}

static void
put_turns(FILE *f, const struct web_view *v, long matched)
{
	long rows = page_rows(v), last = matched > 0 ? (matched - 1) / rows * rows : 0;
	bool back = v->after > 0, on = v->after < last;

	if (!back && !on)
		return;
	fputs("<nav class=\"turn\" aria-label=\"Pages of sessions\">\n", f);
	put_turn(f, v, "first", "\u00ab First", back, 0);
	put_turn(f, v, "back", "\u2039 Back", back, v->after > rows ? v->after - rows : 0);
	put_turn(f, v, "next", "Next \u203a", on, v->after + rows);
	put_turn(f, v, "last", "Last \u00bb", on, last);
	fputs("</nav>\n", f);
}

static void
put_summary(FILE *f, const struct web_view *v, long shown, long matched, long total)
{
	fputs("<p class=\"summary\" id=\"summary\">", f);
	if (shown > 0) {
		html_count(f, v->after + 1);
		fputs("\u2013", f);
		html_count(f, v->after + shown);
		fputs(" of ", f);
	}
	html_count(f, matched);
	if (v->q && *v->q) {
		fputs(" that match \u201c", f);
		html_put(f, v->q);
		fputs("\u201d, of ", f);
		html_count(f, total);
		fputs(total == 1 ? " session" : " sessions", f);
		fputs(
		    " \u00b7 <a id=\"all\" data-go data-clear href=\"/#sessions\">show all</a>", f);
	} else {
		fputs(matched == 1 ? " session" : " sessions", f);
	}
	if (v->trouble)
		fputs(", as last known", f);
	else if (json_is_false(json_object_get(v->sessions, "complete")))
		fputs(" (still reading)", f);
	fputs("</p>\n", f);
}

/* The list is the daemon's here; a standby's is its copy. */
static void
put_whose(FILE *f, const struct web_view *v)
{
	struct web_gateway g[2];
	const struct web_gateway *other;

	if (!v->status || v->trouble)
		return;
	web_gateways(v, g);
	other = g[0].here ? &g[1] : &g[0];
	if (!other->serves)
		return;
	fputs("<p class=\"whose\">This is the copy that this gateway holds; ", f);
	html_put(f, other->name);
	fputs(" serves them.</p>\n", f);
}

void
web_sessions_put(FILE *f, const struct web_parts *p)
{
	const struct web_view *v = p->view;
	const json_t *list = json_object_get(v->sessions, "sessions"), *o;
	long matched = (long)words_number(v->sessions, "matched");
	size_t i;

	if (!json_is_array(list)) {
		fputs(
		    "<p>The sessions are not known: pptpd or the agent does not answer.</p>\n", f);
		return;
	}
	put_whose(f, v);
	put_summary(
	    f, v, (long)json_array_size(list), matched, (long)words_number(v->sessions, "total"));
	if (json_array_size(list) > 0) {
		fputs("<table class=\"sessions\" role=\"table\" aria-labelledby=\"h-sessions\">\n",
		    f);
		put_heads(f, v);
		fputs("<tbody role=\"rowgroup\">\n", f);
		json_array_foreach(list, i, o) put_row(f, o);
		fputs("</tbody>\n</table>\n", f);
	}
	put_turns(f, v, matched);
}
