/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The two gateways and the copy between them, as one gateway's agent sees them.
 */
#include <string.h>

#include "hagent/web_parts.h"
#include "hagent/words.h"

static void
look_at_us(struct web_gateway *g, const struct web_view *v)
{
	const json_t *s = v->status, *pptpd = json_object_get(s, "pptpd");

	*g = (struct web_gateway){.name = words_text(s, "node"),
	    .role = words_text(s, "role"),
	    .health = words_text(s, "health"),
	    .version = words_text(s, "version"),
	    .here = true,
	    .known = s != NULL,
	    .lost = v->trouble != NULL,
	    .maintenance = json_is_integer(json_object_get(s, "maintenance")),
	    .epoch = words_number(s, "epoch")};
	g->serves = !g->lost && strcmp(words_text(pptpd, "role"), "active") == 0 &&
		    words_is(pptpd, "answers") && words_is(json_object_get(s, "vip"), "wan_here");
}

static void
look_at_peer(struct web_gateway *g, const struct web_view *v)
{
	const json_t *o = json_object_get(v->status, "peer");

	*g = (struct web_gateway){.name = words_text(o, "node"),
	    .role = words_text(o, "role"),
	    .health = words_text(o, "health"),
	    .version = words_text(o, "version"),
	    .known = *words_text(o, "node") != '\0',
	    .silent = !words_is(o, "fresh"),
	    .lost = v->trouble != NULL,
	    .maintenance = words_is(o, "maintenance"),
	    .epoch = words_number(o, "epoch"),
	    .silent_ms = words_number(o, "heard_ms_ago")};
	if (!g->known)
		g->name = "the other one";
	g->serves = !g->lost && !g->silent && strcmp(g->role, "active") == 0 &&
		    strcmp(g->health, "hard") != 0;
}

/* What cluster.conf says of it, if the status has that. True if it stands first there. */
static bool
look_up(struct web_gateway *g, const json_t *nodes)
{
	const json_t *node;
	bool first = false;
	size_t i;

	g->wan = g->lan = g->sync = "";
	json_array_foreach(nodes, i, node)
	{
		if (strcmp(words_text(node, "name"), g->name) != 0)
			continue;
		g->wan = words_text(node, "wan");
		g->lan = words_text(node, "lan");
		g->sync = words_text(node, "sync");
		first = i == 0;
	}
	return first;
}

/* The peer's name is in cluster.conf before it was ever heard. */
static const char *
name_of_other(const json_t *nodes, const char *us)
{
	const json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node)
	{
		if (strcmp(words_text(node, "name"), us) != 0)
			return words_text(node, "name");
	}
	return NULL;
}

void
web_gateways(const struct web_view *v, struct web_gateway out[static 2])
{
	const json_t *nodes = json_object_get(json_object_get(v->status, "pair"), "nodes");
	struct web_gateway us, peer;
	bool we_first;

	look_at_us(&us, v);
	look_at_peer(&peer, v);
	if (!peer.known && name_of_other(nodes, us.name))
		peer.name = name_of_other(nodes, us.name);
	we_first = look_up(&us, nodes);
	look_up(&peer, nodes);
	if (!json_is_array(nodes))
		we_first = !peer.known || strcmp(us.name, peer.name) < 0;
	out[we_first ? 0 : 1] = us;
	out[we_first ? 1 : 0] = peer;
}

static void
say(struct web_copy *c, const char *class, const char *text)
{
	c->class = class;
	snprintf(c->text, sizeof(c->text), "%s", text);
}

void
web_copy_state(const struct web_view *v, struct web_copy *out)
{
	const json_t *s = v->status, *r = json_object_get(s, "replica");
	const json_t *snapshot = json_object_get(r, "snapshot");
	const char *state = words_text(r, "state");
	long long done = words_number(snapshot, "done"), of = words_number(snapshot, "of");
	long long risk = words_number(r, "at_risk");

	*out = (struct web_copy){.class = "off", .text = "copy unknown"};
	if (!json_is_object(r) || v->trouble)
		return;
	if (strcmp(state, "syncing") == 0) {
		say(out, "note", "copying");
		if (of > 0)
			snprintf(out->text, sizeof(out->text), "copying %lld %%", done * 100 / of);
	} else if (!words_is(json_object_get(s, "peer"), "fresh")) {
		say(out, "bad", "no copy");
	} else if (strcmp(state, "in-sync") == 0 ||
		   (strcmp(state, "standby") == 0 && words_is(r, "in_step") &&
		       !words_is(r, "stale"))) {
		say(out, "ok", "copy current");
		snprintf(out->lag, sizeof(out->lag), "lag %lld ms", words_number(r, "lag_ms"));
	} else {
		say(out, "bad", words_is(r, "stale") ? "copy stale" : "no copy");
	}
	if (risk > 0)
		snprintf(out->lag, sizeof(out->lag), "%lld at risk", risk);
}
