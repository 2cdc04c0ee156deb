/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The peer's state. Words from outside are copied only when all of a report is well-formed.
 */
#include "hagent/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

static const char *const path_names[PEER_PATHS] = {"sync", "lan", "wan"};

void
peer_init(struct peer *p)
{
	*p =
	    (struct peer){.fault = HEALTH_HARD, .wants_cut = PAIR_NO_CUT, .stale_cut = PAIR_NO_CUT};
	for (size_t i = 0; i < PEER_PATHS; i++) {
		p->paths[i].name = path_names[i];
		strcpy(p->paths[i].error, "not tried yet");
	}
}

/* A printable word that fits; false otherwise. */
static bool
take_word(const json_t *o, const char *name, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(o, name));
	size_t len = s ? strlen(s) : 0;

	if (len == 0 || len >= size)
		return false;
	for (const char *c = s; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}
	memcpy(out, s, len + 1);
	return true;
}

/* A peer of an older version says none. */
static void
take_text(char *out, size_t size, const json_t *text)
{
	const char *s = json_string_value(text);

	snprintf(out, size, "%s", s ? log_quote(s, strlen(s)) : "");
}

/* PAIR_NO_CUT when it is not there, or no number. */
static uint64_t
take_cut(const json_t *hello, const char *name)
{
	const json_t *n = json_object_get(hello, name);

	return json_is_integer(n) && json_integer_value(n) >= 0 ? (uint64_t)json_integer_value(n)
								: PAIR_NO_CUT;
}

/* It says how long ago it moved, since its clock is not ours. An older version moved just now. */
static void
take_flap(struct peer *p, const json_t *hello, int64_t wall_ms)
{
	const json_t *ages = json_object_get(hello, "moved_s"), *age;
	size_t i, n = (size_t)json_integer_value(json_object_get(hello, "moves"));
	bool any = json_is_boolean(json_object_get(hello, "able"));

	p->able = any ? json_is_true(json_object_get(hello, "able")) : p->fault != HEALTH_HARD;
	p->rides = json_is_true(json_object_get(hello, "rides"));
	p->held = json_is_true(json_object_get(hello, "held"));
	p->moves = (struct flap_times){0};
	for (i = 0; !json_is_array(ages) && i < n && i < FLAP_EVENTS; i++)
		flap_add(&p->moves, wall_ms);
	json_array_foreach(ages, i, age)
	{
		if (i < FLAP_EVENTS)
			flap_add(&p->moves, wall_ms - json_integer_value(age) * 1000);
	}
}

static bool
take_hello(struct peer *p, const json_t *hello, int64_t wall_ms)
{
	struct peer n = *p;
	json_t *counter = json_object_get(hello, "epoch");

	if (!take_word(hello, "node", n.node, sizeof(n.node)) ||
	    !take_word(hello, "version", n.version, sizeof(n.version)) ||
	    !take_word(hello, "role", n.role, sizeof(n.role)) || !json_is_integer(counter) ||
	    json_integer_value(counter) < 0)
		return false;
	n.epoch = (struct epoch){.counter = (uint64_t)json_integer_value(counter)};
	if (!take_word(hello, "epoch_node", n.epoch.node, sizeof(n.epoch.node)))
		memcpy(n.epoch.node, n.node, sizeof(n.node));
	n.fault = health_fault_of(json_string_value(json_object_get(hello, "health")));
	take_text(n.problem, sizeof(n.problem), json_object_get(hello, "problem"));
	take_text(n.hold, sizeof(n.hold), json_object_get(hello, "hold"));
	n.wants_cut = take_cut(hello, "wants_cut");
	n.stale_cut = take_cut(hello, "stale_cut");
	n.in_step = json_is_true(json_object_get(hello, "in_step"));
	n.serves = json_object_get(hello, "serves") ? json_is_true(json_object_get(hello, "serves"))
						    : strcmp(n.role, "active") == 0;
	n.sessions = (unsigned)json_integer_value(json_object_get(hello, "sessions"));
	n.maintenance = json_is_true(json_object_get(hello, "maintenance"));
	n.prepares = json_is_true(json_object_get(hello, "prepares"));
	n.ready = !json_is_false(json_object_get(hello, "ready"));
	n.keepalived = !json_is_false(json_object_get(hello, "keepalived"));
	take_flap(&n, hello, wall_ms);
	*p = n;
	return true;
}

int
peer_report(struct peer *p, const json_t *report, uint64_t now_ms, int64_t wall_ms)
{
	const char *name = json_string_value(json_object_get(report, "path"));
	const char *error = json_string_value(json_object_get(report, "error"));
	json_t *up = json_object_get(report, "up");
	struct peer_path *path = NULL;

	for (size_t i = 0; name && i < PEER_PATHS; i++) {
		if (strcmp(name, path_names[i]) == 0)
			path = &p->paths[i];
	}
	errno = EBADMSG;
	if (!path || !json_is_boolean(up))
		return -1;
	if (json_is_true(up)) {
		if (!take_hello(p, json_object_get(report, "hello"), wall_ms))
			return -1;
		path->heard_ms = p->heard_ms = now_ms;
	}
	if (path->up != json_is_true(up) || path->changed_ms == 0)
		path->changed_ms = now_ms;
	path->up = json_is_true(up);
	const char *quoted = error ? log_quote(error, strlen(error)) : "";
	memcpy(path->error, quoted, strlen(quoted) + 1); /* at most 100 bytes */
	return 0;
}

static bool
path_fresh(const struct peer_path *path, uint64_t now_ms)
{
	return path->up && now_ms - path->heard_ms <= PEER_FRESH_MS;
}

bool
peer_fresh(const struct peer *p, uint64_t now_ms)
{
	for (size_t i = 0; i < PEER_PATHS; i++) {
		if (path_fresh(&p->paths[i], now_ms))
			return true;
	}
	return false;
}

bool
peer_standby(const struct peer *p)
{
	return strcmp(p->role, "standby") == 0;
}

bool
peer_active(const struct peer *p)
{
	return strcmp(p->role, "active") == 0;
}

json_t *
peer_json(const struct peer *p, uint64_t now_ms)
{
	json_t *paths = json_object();
	json_t *o = json_pack("{s:b,s:o}", "fresh", peer_fresh(p, now_ms), "paths", paths);

	for (size_t i = 0; i < PEER_PATHS; i++) {
		const struct peer_path *path = &p->paths[i];
		bool up = path_fresh(path, now_ms);
		json_t *one = json_pack("{s:b}", "up", up);

		if (path->changed_ms)
			json_object_set_new(
			    one, "for_ms", json_integer((json_int_t)(now_ms - path->changed_ms)));
		if (!up)
			json_object_set_new(
			    one, "error", json_string(*path->error ? path->error : "silent"));
		json_object_set_new(paths, path->name, one);
	}
	if (p->heard_ms) {
		json_object_set_new(
		    o, "heard_ms_ago", json_integer((json_int_t)(now_ms - p->heard_ms)));
		json_object_set_new(o, "node", json_string(p->node));
		json_object_set_new(o, "version", json_string(p->version));
		json_object_set_new(o, "role", json_string(p->role));
		json_object_set_new(o, "epoch", json_integer((json_int_t)p->epoch.counter));
		json_object_set_new(o, "health", json_string(health_fault_name(p->fault)));
		json_object_set_new(o, "problem", json_string(p->problem));
		json_object_set_new(o, "hold", json_string(p->hold));
		json_object_set_new(o, "in_step", json_boolean(p->in_step));
		json_object_set_new(o, "maintenance", json_boolean(p->maintenance));
		json_object_set_new(o, "sessions", json_integer(p->sessions));
		json_object_set_new(o, "ready", json_boolean(p->ready));
		json_object_set_new(o, "keepalived", json_boolean(p->keepalived));
	}
	return o;
}
