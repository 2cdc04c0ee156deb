/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pair drawn as a picture, 360 units wide, so that its words can be read on a phone: clients
 * above, the two gateways with the paths between them, the servers of the LAN below. The virtual
 * addresses hang on the gateway that has them. Colour never says anything alone.
 */
#include <string.h>

#include "hagent/web_html.h"
#include "hagent/web_parts.h"
#include "hagent/words.h"

#define WIDTH      360
#define BOX_W      130
#define PILL_W     134
#define BOX_TOP    92
#define BOX_H      132
#define BOX_BOTTOM (BOX_TOP + BOX_H)
#define GAP_LEFT   (4 + BOX_W)
#define GAP_RIGHT  (WIDTH - 4 - BOX_W)
#define MIDDLE     (WIDTH / 2)
#define API_TOP    (BOX_BOTTOM + 42)
#define API_ROWS   5

static int
box_left(int side)
{
	return side == 0 ? 4 : GAP_RIGHT;
}

static int
box_middle(int side)
{
	return box_left(side) + BOX_W / 2;
}

/* At most max characters of s: what does not fit would run out of its box. */
static void
put_short(FILE *f, const char *s, size_t max)
{
	char part[64];

	if (strlen(s) <= max || max >= sizeof(part) - 4) {
		html_put(f, s);
		return;
	}
	snprintf(part, sizeof(part), "%.*s\u2026", (int)max - 1, s);
	html_put(f, part);
}

static void
put_text(FILE *f, int x, int y, const char *class, const char *s)
{
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	put_short(f, s, 40);
	fputs("</text>\n", f);
}

/* ---- clients ---- */

static void
put_rates(FILE *f, const struct web_view *v)
{
	double in = web_latest(v->history, "rx_octets"), out = web_latest(v->history, "tx_octets");

	if (in < 0 || out < 0)
		return;
	fprintf(f, "<text x=\"%d\" y=\"41\" class=\"small\">in ", MIDDLE);
	html_rate(f, in);
	fputs(" \u00b7 out ", f);
	html_rate(f, out);
	fputs("</text>\n", f);
}

static void
put_clients(FILE *f, const struct web_view *v, const struct web_gateway g[2])
{
	bool we_serve = (g[0].here && g[0].serves) || (g[1].here && g[1].serves);
	const json_t *counts = json_object_get(v->status, we_serve ? "pptpd" : "peer");
	bool served = g[0].serves || g[1].serves;
	bool rates = served && web_latest(v->history, "rx_octets") >= 0;
	long long n;

	if (!json_is_integer(json_object_get(counts, "sessions"))) /* an older peer does not tell */
		counts = json_object_get(v->status, "replica");
	n = words_number(counts, "sessions");
	fprintf(f,
	    "<rect x=\"60\" y=\"4\" width=\"240\" height=\"46\" rx=\"23\" class=\"box\"/>\n"
	    "<text x=\"%d\" y=\"%d\" class=\"strong\">",
	    MIDDLE, rates ? 24 : 32);
	if (served) {
		html_count(f, n);
		fputs(n == 1 ? " client connected" : " clients connected", f);
	} else {
		fputs(g[0].lost ? "clients: unknown" : "nobody serves the clients", f);
	}
	fputs("</text>\n", f);
	if (rates)
		put_rates(f, v);
}

/* ---- gateways ---- */

static const char *
class_of(const struct web_gateway *g)
{
	if (!g->known || g->silent || g->lost)
		return "off";
	if (strcmp(g->health, "hard") == 0)
		return "bad";
	return strcmp(g->health, "soft") == 0 ? "note" : "ok";
}

static void
put_condition(FILE *f, const struct web_gateway *g, int x, int y)
{
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"small\">", x, y);
	if (!g->known)
		fputs("never heard", f);
	else if (g->lost)
		fputs("last: ", f), put_short(f, g->role, 12);
	else if (g->silent)
		fputs("silent for ", f), html_span(f, (double)g->silent_ms);
	else if (strcmp(g->health, "hard") == 0)
		fputs("\u2717 must not serve", f);
	else if (strcmp(g->health, "soft") == 0)
		fputs("! not well", f);
	else if (g->maintenance)
		fputs("in maintenance", f);
	else
		fputs(strcmp(g->health, "note") == 0 ? "\u2713 fit, with a note" : "\u2713 fit", f);
	fputs("</text>\n", f);
}

static void
put_gateway(FILE *f, const struct web_gateway *g, int side)
{
	const char *role = !g->known || g->lost ? "unknown" : g->silent ? "silent" : g->role;
	int x = box_left(side), middle = box_middle(side);

	fprintf(f,
	    "<g class=\"gateway %s%s\">\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
	    "rx=\"10\" class=\"box\"/>\n",
	    class_of(g), g->serves ? " serves" : "", x, BOX_TOP, BOX_W, BOX_H);
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"name\">", middle, BOX_TOP + 36);
	put_short(f, g->name, 14);
	fprintf(f,
	    "</text>\n<rect x=\"%d\" y=\"%d\" width=\"94\" height=\"21\" rx=\"4\" "
	    "class=\"badge\"/>\n",
	    middle - 47, BOX_TOP + 46);
	put_text(f, middle, BOX_TOP + 61, "role", role);
	put_condition(f, g, middle, BOX_TOP + 85);
	put_text(f, middle, BOX_TOP + 104, "address", *g->wan ? g->wan : g->here ? "this one" : "");
	fputs("</g>\n", f);
}

/* A long address is squeezed: it has to stand inside. */
static void
put_pill(FILE *f, int x, int y, const char *class, const char *what, const char *address)
{
	fprintf(f,
	    "<g class=\"pill %s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"22\" "
	    "rx=\"11\"/>\n<text x=\"%d\" y=\"%d\"",
	    class, x - PILL_W / 2, y - 11, PILL_W, x, y + 4);
	if (strlen(what) + strlen(address) > 14)
		fprintf(f, " textLength=\"%d\" lengthAdjust=\"spacingAndGlyphs\"", PILL_W - 14);
	fprintf(f, ">%s ", what);
	html_put(f, address);
	fputs("</text></g>\n", f);
}

/* ---- between the gateways ---- */

static void
put_path(FILE *f, const struct web_view *v, const char *name, const char *label, int y)
{
	const json_t *paths = json_object_get(json_object_get(v->status, "peer"), "paths");
	const json_t *path = json_object_get(paths, name);
	bool known = path && !v->trouble, up = words_is(path, "up");

	fprintf(f, "<g class=\"path %s\"><title>%s: ", !known ? "off" : up ? "ok" : "bad", label);
	if (!known)
		fputs("unknown", f);
	else if (up)
		fputs("up", f);
	else
		html_member(f, path, "error", "silent");
	fprintf(f, "</title><path d=\"M%d %dH%d\"/>", GAP_LEFT, y, GAP_RIGHT);
	fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"16\" class=\"behind\"/>",
	    MIDDLE - (up ? 22 : 40), y - 8, up ? 44 : 80);
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"small\">%s%s</text></g>\n", MIDDLE, y + 4,
	    label,
	    !known ? ""
	    : up   ? " \u2713"
		   : " \u2717 down");
}

/* An arrow from the one that serves to the one that mirrors. */
static void
put_copy(FILE *f, const struct web_view *v, const struct web_gateway g[2])
{
	int y = BOX_TOP + 58, from = g[1].serves ? GAP_RIGHT : GAP_LEFT;
	int to = g[1].serves ? GAP_LEFT : GAP_RIGHT, back = g[1].serves ? 8 : -8;
	struct web_copy c;

	web_copy_state(v, &c);
	fprintf(f, "<g class=\"copy %s\"><path d=\"M%d %dH%d\"/>\n", c.class, from, y, to + back);
	if (g[0].serves || g[1].serves)
		fprintf(f, "<path class=\"head\" d=\"M%d %dl%d -5v10z\"/>\n", to, y, back);
	put_text(f, MIDDLE, y - 7, "small", c.text);
	put_text(f, MIDDLE, y + 16, "small", c.lag);
	fputs("</g>\n", f);
}

/* ---- servers ---- */

static const json_t *
find_probe(const struct web_view *v, const char *api)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(v->status, "probes"), i, one)
	{
		if (strcmp(words_text(one, "api"), api) == 0)
			return one;
	}
	return NULL;
}

static void
put_api(FILE *f, const struct web_view *v, const json_t *api, int y)
{
	const json_t *seen = find_probe(v, words_text(api, "name"));
	const char *ports = words_text(api, "ports");
	char where[64];

	fprintf(f, "<text x=\"22\" y=\"%d\" class=\"left%s\">", y,
	    seen && !words_is(seen, "ok") ? " failed" : "");
	if (seen)
		fputs(words_is(seen, "ok") ? "\u2713 " : "\u2717 ", f);
	put_short(f, words_text(api, "name"), 12);
	snprintf(where, sizeof(where), "%s %s%s%s", words_text(api, "protocol"),
	    words_text(api, "address"), *ports ? ":" : "", ports);
	fprintf(f, "</text>\n<text x=\"338\" y=\"%d\" class=\"right\">", y);
	put_short(f, where, 32);
	fputs("</text>\n", f);
}

static int
api_rows(const struct web_view *v)
{
	size_t n = json_array_size(json_object_get(json_object_get(v->status, "pair"), "apis"));

	return n > API_ROWS ? API_ROWS : (int)n;
}

static void
put_servers(FILE *f, const struct web_view *v)
{
	const json_t *apis = json_object_get(json_object_get(v->status, "pair"), "apis"), *api;
	int rows = api_rows(v);
	char title[48] = "API servers on the LAN";
	size_t i;

	if ((int)json_array_size(apis) > rows)
		snprintf(title, sizeof(title), "API servers on the LAN, %d of %zu", rows,
		    json_array_size(apis));
	fprintf(f, "<rect x=\"8\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"10\" class=\"box\"/>\n",
	    API_TOP, WIDTH - 16, 34 + rows * 18);
	put_text(f, MIDDLE, API_TOP + 21, "strong", title);
	json_array_foreach(apis, i, api)
	{
		if ((int)i < rows)
			put_api(f, v, api, API_TOP + 42 + (int)i * 18);
	}
}

/* ---- the whole ---- */

/* Where the clients' packets go: to the gateway that has the virtual address, and on to the LAN. */
static void
put_way(FILE *f, const struct web_view *v, const struct web_gateway g[2])
{
	const json_t *vip = json_object_get(v->status, "vip");
	int side = g[0].serves ? 0 : g[1].serves ? 1 : -1;
	int x = side < 0 ? MIDDLE : box_middle(side);
	const char *class = g[0].lost ? "off" : side < 0 ? "bad" : "ok";

	fprintf(
	    f, "<g class=\"way %s\"><path d=\"M%d 50V66H%dV%d\"/>", class, MIDDLE, x, BOX_TOP - 11);
	if (side >= 0)
		fprintf(f, "<path d=\"M%d %dV%dH%dV%d\"/>", x, BOX_BOTTOM + 11, BOX_BOTTOM + 26,
		    MIDDLE, API_TOP);
	fputs("</g>\n", f);
	put_pill(f, x, side < 0 ? 76 : BOX_TOP, class, "VIP", words_text(vip, "wan"));
	put_pill(
	    f, x, side < 0 ? BOX_BOTTOM + 20 : BOX_BOTTOM, class, "LAN", words_text(vip, "lan"));
}

static void
put_description(FILE *f, const struct web_parts *p, const struct web_gateway g[2])
{
	struct web_copy c;

	web_copy_state(p->view, &c);
	fputs("<title>The pair</title><desc>", f);
	for (int i = 0; i < 2; i++) {
		html_put(f, g[i].name);
		fputs(" is ", f);
		html_put(f, g[i].lost ? "unknown" : g[i].silent ? "silent" : g[i].role);
		fputs(g[i].serves ? " and has the virtual address. " : ". ", f);
	}
	fprintf(f, "Between them: %s. ", c.text);
	html_member(f, p->safety, "headline", "");
	fputs("</desc>\n", f);
}

void
web_picture_put(FILE *f, const struct web_parts *p)
{
	const struct web_view *v = p->view;
	struct web_gateway g[2];

	if (!v->status) {
		fputs("<p>There is nothing to draw yet.</p>\n", f);
		return;
	}
	web_gateways(v, g);
	fprintf(f, "<svg class=\"pair\" viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH,
	    API_TOP + 38 + api_rows(v) * 18);
	put_description(f, p, g);
	put_clients(f, v, g);
	put_gateway(f, &g[0], 0);
	put_gateway(f, &g[1], 1);
	put_path(f, v, "wan", "WAN", BOX_TOP + 18);
	put_copy(f, v, g);
	put_path(f, v, "sync", "sync", BOX_TOP + 92);
	put_path(f, v, "lan", "LAN", BOX_TOP + 116);
	put_servers(f, v);
	put_way(f, v, g);
	fputs("</svg>\n", f);
}
