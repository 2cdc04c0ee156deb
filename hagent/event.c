/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events from lines.
 */
#include "hagent/event.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/log_fields.h"
#include "hagent/journal.h"
#include "hagent/words.h"

#define DAY_MS (24 * 3600 * 1000LL)

/* Printable, cut to the size. */
static void
take(char *out, size_t size, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++)
		out[n++] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	out[n] = '\0';
}

/* "2026-11-21T18:38:40" and ".876", then whatever: the bytes that it takes, 0 = none. */
static int
parse_time(const char *text, int64_t *ms)
{
	int used = 0, fraction = 0, more = 0;
	struct tm tm = {0};

	if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
	    used != 19)
		return 0;
	if (sscanf(text + used, ".%3d%n", &fraction, &more) == 1 && more == 4)
		used += more;
	else
		fraction = 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ms = (int64_t)timegm(&tm) * 1000 + fraction;
	return used;
}

int64_t
event_time(const char *text)
{
	int64_t ms;
	int used = text ? parse_time(text, &ms) : 0;

	return used > 0 && strcmp(text + used, "Z") == 0 ? ms : -1;
}

/* ---- moments ---- */

/* "15m" */
static int64_t
parse_age(const char *text)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', DAY_MS}};
	char *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (isdigit((unsigned char)*text) && *end == units[i].unit && end[1] == '\0' &&
		    n < 100000)
			return n * units[i].ms;
	}
	return -1;
}

/* "18:38" and "18:38:40": ms since midnight. */
static int64_t
parse_clock(const char *text)
{
	int hour, minute, second = 0, used = 0;

	if (sscanf(text, "%2d:%2d%n", &hour, &minute, &used) != 2 || used != 5)
		return -1;
	if (text[used] == ':') {
		if (sscanf(text + used, ":%2d%n", &second, &used) != 1 || used != 3)
			return -1;
		used += 5;
	}
	if (text[used] != '\0' && strcmp(text + used, "Z") != 0)
		return -1;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -1;
	return ((hour * 60LL + minute) * 60 + second) * 1000;
}

int64_t
event_since(const char *text, int64_t now_ms)
{
	int64_t age = parse_age(text), clock = parse_clock(text), ms;
	char whole[32];
	int used;

	if (age >= 0)
		return age < now_ms ? now_ms - age : 1;
	if (clock >= 0) {
		ms = now_ms / DAY_MS * DAY_MS + clock;
		return ms > now_ms ? ms - DAY_MS : ms;
	}
	if (strlen(text) == 10)
		snprintf(whole, sizeof(whole), "%.10sT00:00:00", text);
	else if (strlen(text) == 16)
		snprintf(whole, sizeof(whole), "%.16s:00", text);
	else
		snprintf(whole, sizeof(whole), "%.31s", text);
	used = parse_time(whole, &ms);
	if (used == 0 || (whole[used] != '\0' && strcmp(whole + used, "Z") != 0))
		return -1;
	return ms > 0 ? ms : -1;
}

/* ---- our log lines ---- */

static bool
is_level(const char *word)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(word, levels[i]) == 0)
			return true;
	}
	return false;
}

/* "pptpd[gw1] info: text", or "pptpd info: text": what stands before the text is taken off. */
static const char *
take_head(const char *line, struct event *out)
{
	char program[sizeof(out->program)], level[sizeof(out->level)];
	int used = 0;

	if ((sscanf(line, "%31[a-zA-Z0-9_-][%*31[^]]] %7[a-z]:%n", program, level, &used) != 2 ||
		used == 0) &&
	    (sscanf(line, "%31[a-zA-Z0-9_-] %7[a-z]:%n", program, level, &used) != 2 || used == 0))
		return line;
	if (!is_level(level))
		return line;
	strcpy(out->program, program);
	strcpy(out->level, level);
	return line[used] == ' ' ? line + used + 1 : line + used;
}

void
event_of_log(const char *line, struct event *out)
{
	int used;

	*out = (struct event){.ms = -1, .level = "info"};
	used = parse_time(line, &out->ms);
	if (used > 0 && line[used] == 'Z' && line[used + 1] == ' ')
		line = take_head(line + used + 2, out);
	else
		out->ms = -1;
	take(out->text, sizeof(out->text), line, strlen(line));
}

/* ---- JSON lines ---- */

/* key=value of every member that is not one of the first, as the log writes them. */
static void
put_pairs(const json_t *o, const char *skip, char *out, size_t size)
{
	size_t n = strlen(out);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)o, key, value)
	{
		const char *text = json_string_value(value);
		char number[32];

		char word[64];

		snprintf(word, sizeof(word), " %s ", key);
		if (strstr(skip, word))
			continue;
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		if (json_is_boolean(value))
			strcpy(number, json_is_true(value) ? "yes" : "no");
		if ((!text && !json_is_integer(value) && !json_is_boolean(value)) || n + 1 >= size)
			continue;
		if (text && (!*text || strpbrk(text, " =\"\\")))
			n += (size_t)snprintf(
			    out + n, size - n, " %s=\"%s\"", key, log_quote(text, strlen(text)));
		else
			n += (size_t)snprintf(
			    out + n, size - n, " %s=%s", key, text ? text : number);
	}
}

/* A line's object, if its time can be read: new reference. */
static json_t *
load(const char *line, struct event *out, const char *program)
{
	json_t *o = json_loads(line, 0, NULL);

	*out = (struct event){.ms = event_time(words_text(o, "time")), .level = "info"};
	strcpy(out->program, program);
	if (out->ms >= 0)
		return o;
	json_decref(o);
	return NULL;
}

bool
event_is_step(const char *line)
{
	return strstr(line, "\"kind\":\"step\"") != NULL;
}

bool
event_of_journal(const char *line, struct event *out)
{
	json_t *o = load(line, out, "journal");
	const char *kind = words_text(o, "kind"), *detail = words_text(o, "detail");
	char text[EVENT_TEXT_MAX] = "";

	if (!o)
		return false;
	if (strcmp(kind, "event") == 0) {
		snprintf(text, sizeof(text), "%s %s", words_text(o, "event"), detail);
	} else {
		snprintf(text, sizeof(text), "%s", kind);
		put_pairs(o, " time kind begun ", text, sizeof(text));
	}
	take(out->text, sizeof(out->text), text, strlen(text));
	json_decref(o);
	return true;
}

bool
event_of_audit(const char *line, struct event *out)
{
	json_t *o = load(line, out, "sync");
	bool out_of_serve = json_object_get(o, "command") != NULL;
	char text[EVENT_TEXT_MAX];

	if (!o)
		return false;
	strcpy(text, out_of_serve ? "peer's command" : "transfer");
	put_pairs(o, " time generation files ", text, sizeof(text));
	take(out->text, sizeof(out->text), text, strlen(text));
	json_decref(o);
	return true;
}

/* Bytes that are no UTF-8 come as an array of numbers. */
static void
take_message(const json_t *m, char *out, size_t size)
{
	size_t n = 0, i;
	json_t *byte;

	if (json_is_string(m)) {
		snprintf(out, size, "%s", json_string_value(m));
		return;
	}
	json_array_foreach(m, i, byte)
	{
		if (n + 1 < size)
			out[n++] = (char)json_integer_value(byte);
	}
	out[n] = '\0';
}

bool
event_of_journald(const json_t *entry, struct event *out, const char **cursor)
{
	const json_t *message = json_object_get(entry, "MESSAGE");
	const char *sent = words_text(entry, "_SOURCE_REALTIME_TIMESTAMP");
	const char *time = *sent ? sent : words_text(entry, "__REALTIME_TIMESTAMP");
	const char *who = words_text(entry, "SYSLOG_IDENTIFIER");
	int priority = atoi(*words_text(entry, "PRIORITY") ? words_text(entry, "PRIORITY") : "6");
	char text[EVENT_TEXT_MAX];
	const char *rest;

	*out = (struct event){.ms = atoll(time) / 1000};
	*cursor = words_text(entry, "__CURSOR");
	if (!message || out->ms <= 0)
		return false;
	take(out->program, sizeof(out->program), who, strcspn(who, "["));
	strcpy(out->level, priority <= 3   ? "error"
			   : priority == 4 ? "warning"
			   : priority <= 6 ? "info"
					   : "debug");
	take_message(message, text, sizeof(text));
	rest = take_head(text, out);
	take(out->text, sizeof(out->text), rest, strlen(rest));
	return true;
}

/* ---- out ---- */

json_t *
event_pack(const struct event *e)
{
	return json_pack("[I,s,s,s]", (json_int_t)e->ms, e->program, e->level, e->text);
}

bool
event_unpack(const json_t *packed, struct event *out)
{
	const char *program, *level, *text;
	json_int_t ms;

	*out = (struct event){0};
	if (json_unpack((json_t *)(uintptr_t)packed, "[I,s,s,s!]", &ms, &program, &level, &text) <
	    0)
		return false;
	out->ms = ms;
	take(out->program, sizeof(out->program), program, strlen(program));
	take(out->level, sizeof(out->level), is_level(level) ? level : "info",
	    strlen(is_level(level) ? level : "info"));
	take(out->text, sizeof(out->text), text, strlen(text));
	return true;
}

json_t *
event_json(const struct event *e, const char *node)
{
	struct log_pair pair;
	json_t *fields = json_object();
	const char *rest;
	char time[25];

	journal_time(e->ms, time);
	size_t head = log_event(e->text, &rest);
	while (log_next_pair(&rest, &pair))
		json_object_set_new(fields, pair.key, json_stringn(pair.value, pair.value_len));
	return json_pack("{s:s,s:s,s:s,s:s,s:s%,s:s,s:o}", "time", time, "node", node, "program",
	    e->program, "level", e->level, "event", e->text, head, "text", e->text, "fields",
	    fields);
}
