/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sources are read line by line and joined by the time of their next line. A cursor is where the
 * first line stands that has not been given out: inode and offset of a file, journald's own words
 * for its journal.
 */
#include "hagent/log_page.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/event.h"
#include "hagent/journal.h"
#include "hagent/words.h"
#include "sync/set.h"

#define WINDOW_MAX (4 << 20)   /* of a file, at a time */
#define TAIL_MAX   (512 << 10) /* where the last lines are looked for */
#define JOURNALD   "journald"
#define ARGS_MAX   32
#define LAST_MAX   100000

struct source {
	const char *name; /* of its cursor */
	/* The next event into e and its time into ms: false = there is none. */
	bool (*next)(struct source *s);
	bool (*parse)(const char *line, struct event *out);
	bool steps_only;
	struct event e;
	bool has;
	int64_t since_ms, last_ms;
	/* a file */
	uint64_t inode, base, line_at, pos; /* offsets in the file; base is text's first byte */
	char *text;
	size_t len;
	bool cut; /* the file goes on behind the text */
	/* journald */
	FILE *out;
	pid_t pid;
	char *buffer;
	size_t size;
	char cursor[256];
};

/* ---- files ---- */

static bool
parse_log(const char *line, struct event *out)
{
	event_of_log(line, out);
	return true;
}

/* The line at pos, NUL-terminated in place, or NULL: no whole one is left. */
static char *
file_line(struct source *s)
{
	char *line = s->text + (s->pos - s->base);
	char *end = s->text ? memchr(line, '\n', s->len - (size_t)(s->pos - s->base)) : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	s->line_at = s->pos;
	s->pos += (uint64_t)(end - line) + 1;
	return line;
}

static bool
file_next(struct source *s)
{
	char *line;

	while ((line = file_line(s))) {
		if ((s->steps_only && !event_is_step(line)) || !s->parse(line, &s->e))
			continue;
		if (s->e.ms < 0) { /* it goes with the line before */
			s->e.ms = s->last_ms;
			snprintf(s->e.program, sizeof(s->e.program), "%s", s->name);
		}
		s->last_ms = s->e.ms;
		if (s->e.ms >= s->since_ms && s->e.ms > 0)
			return true;
	}
	return false;
}

/* Where the last n lines begin, at most TAIL_MAX before the end. */
static uint64_t
tail_offset(int fd, uint64_t size, unsigned n)
{
	uint64_t from = size > TAIL_MAX ? size - TAIL_MAX : 0, at = size;
	char *text = malloc((size_t)(size - from) + 1);
	ssize_t len = text ? pread(fd, text, (size_t)(size - from), (off_t)from) : 0;

	while (len > 0 && at > from) {
		if (text[at - from - 1] == '\n' && n-- == 0)
			break;
		at--;
	}
	free(text);
	return at;
}

/* The position that the query means. */
static uint64_t
file_offset(const struct source *s, int fd, const struct stat *st, const json_t *query)
{
	const json_t *at = json_object_get(json_object_get(query, "at"), s->name);
	uint64_t size = (uint64_t)st->st_size;
	long long last = words_number(query, "last");

	if (json_array_size(at) == 2) {
		uint64_t off = (uint64_t)json_integer_value(json_array_get(at, 1));
		bool same = json_integer_value(json_array_get(at, 0)) == (json_int_t)st->st_ino;

		return same && off <= size ? off : 0; /* another file, or one begun anew */
	}
	if (json_object_get(query, "at")) /* a file that was not there */
		return 0;
	if (s->since_ms > 0)
		return size > WINDOW_MAX ? size - WINDOW_MAX : 0;
	return tail_offset(fd, size, last > 0 && last <= LAST_MAX ? (unsigned)last : 0);
}

/* false: there is no such file. */
static bool
file_open(struct source *s, const struct hagent *h, const char *path, const json_t *query)
{
	char *full = hagent_path(h, path);
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	free(full);
	if (good) {
		s->inode = (uint64_t)st.st_ino;
		s->base = s->pos = file_offset(s, fd, &st, query);
		size_t want = (size_t)((uint64_t)st.st_size - s->pos);
		s->cut = want > WINDOW_MAX;
		s->text = malloc(s->cut ? WINDOW_MAX : want + 1);
		ssize_t n =
		    s->text ? pread(fd, s->text, s->cut ? WINDOW_MAX : want, (off_t)s->pos) : 0;
		s->len = n > 0 ? (size_t)n : 0;
		s->next = file_next;
	}
	if (fd >= 0)
		close(fd);
	return good;
}

static json_t *
file_cursor(const struct source *s)
{
	return json_pack("[I,I]", (json_int_t)s->inode, (json_int_t)(s->has ? s->line_at : s->pos));
}

/* ---- journald ---- */

static bool
journald_next(struct source *s)
{
	ssize_t n;

	while (s->out && (n = getline(&s->buffer, &s->size, s->out)) > 0) {
		json_t *o = json_loadb(s->buffer, (size_t)n, 0, NULL);
		const char *cursor;
		bool good = event_of_journald(o, &s->e, &cursor);

		/* Until it is given out, the cursor is that of the entry before. */
		if (good)
			snprintf(s->cursor, sizeof(s->cursor), "%s", cursor);
		json_decref(o);
		if (good && s->e.ms >= s->since_ms)
			return true;
	}
	return false;
}

/* Everything of ours, and the programs beside it. */
static const char *const matches[] = {"SYSLOG_IDENTIFIER=pptpd", "+", "SYSLOG_IDENTIFIER=hagent",
    "+", "SYSLOG_IDENTIFIER=hagent-link", "+", "SYSLOG_IDENTIFIER=hagent-web", "+",
    "SYSLOG_IDENTIFIER=pptp-ha-serve", "+", "_SYSTEMD_UNIT=keepalived.service", "+",
    "_SYSTEMD_UNIT=conntrackd.service", "+", "_SYSTEMD_UNIT=pptp-ha-sshd.service", NULL};

static void
journald_run(struct source *s, char **argv)
{
	int fd[2], null;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 0);
		dup2(fd[1], 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fd[1]);
	s->out = s->pid > 0 ? fdopen(fd[0], "r") : NULL;
	if (!s->out)
		close(fd[0]);
}

/* false: journald does not run here. */
static bool
journald_open(struct source *s, const struct hagent *h, const json_t *query)
{
	const json_t *at = json_object_get(json_object_get(query, "at"), JOURNALD);
	char *socket = hagent_path(h, "/run/systemd/journal/socket"), from[320], root[4100];
	const char *argv[ARGS_MAX] = {"journalctl", "-q", "--no-pager", "-o", "json", from};
	char *args[ARGS_MAX] = {NULL};
	bool here = access(socket, F_OK) == 0;
	size_t n = 6;

	free(socket);
	if (!here)
		return false;
	if (json_is_string(at))
		snprintf(from, sizeof(from), "--after-cursor=%s", json_string_value(at));
	else if (json_is_integer(at) || s->since_ms > 0)
		snprintf(from, sizeof(from), "--since=@%lld",
		    (long long)(at ? json_integer_value(at) : s->since_ms) / 1000);
	else
		snprintf(from, sizeof(from), "--lines=%lld", words_number(query, "last"));
	if (json_is_integer(at))
		s->since_ms = json_integer_value(at);
	if (json_is_string(at))
		snprintf(s->cursor, sizeof(s->cursor), "%s", json_string_value(at));
	snprintf(root, sizeof(root), "--root=%s", h->root);
	if (*h->root)
		argv[n++] = root;
	memcpy(argv + n, matches, sizeof(matches));
	memcpy(args, argv, sizeof(args)); /* exec's prototype lacks const */
	s->next = journald_next;
	journald_run(s, args);
	return true;
}

/* ---- all of them ---- */

#define SOURCES_MAX 8

struct reader {
	struct source sources[SOURCES_MAX];
	/* The cursor of journald before the event that is at hand. */
	char before[256];
	size_t n;
	int64_t now_ms;
};

static struct source *
add(struct reader *r, const char *name, const json_t *query)
{
	struct source *s = &r->sources[r->n];
	bool goes_on = json_object_get(query, "at") != NULL;

	*s = (struct source){.name = name, .last_ms = -1, .parse = parse_log};
	s->since_ms = goes_on ? 0 : words_number(query, "since");
	return s;
}

static bool
add_file(struct reader *r, const struct hagent *h, const char *name, const char *path,
    bool (*parse)(const char *line, struct event *out), const json_t *query)
{
	struct source *s = add(r, name, query);

	s->parse = parse;
	if (!file_open(s, h, path, query))
		return false;
	r->n++;
	return true;
}

static void
open_all(struct reader *r, const struct hagent *h, const json_t *query)
{
	static const char *const files[][2] = {{"pptpd", "/var/log/pptpd.log"},
	    {"hagent", "/var/log/hagent.log"}, {"agent", "/var/log/agent.log"},
	    {"web", "/var/log/web.log"}};
	bool kept = journald_open(add(r, JOURNALD, query), h, query);

	r->n += kept;
	for (size_t i = 0; !kept && i < sizeof(files) / sizeof(files[0]); i++)
		add_file(r, h, files[i][0], files[i][1], parse_log, query);
	kept = r->n > 0;
	if (add_file(r, h, "journal", HAGENT_JOURNAL, event_of_journal, query))
		r->sources[r->n - 1].steps_only = kept;
	add_file(r, h, "audit", HAGENT_AUDIT, event_of_audit, query);
	add_file(r, h, "serve", HAGENT_STATE "/" STORE_SERVE_LOG, event_of_audit, query);
}

static void
advance(struct reader *r, struct source *s)
{
	if (strcmp(s->name, JOURNALD) == 0)
		memcpy(r->before, s->cursor, sizeof(r->before));
	s->has = s->next(s);
}

static json_t *
cursor_of(const struct reader *r, const struct source *s)
{
	const char *cursor = s->has ? r->before : s->cursor;

	if (strcmp(s->name, JOURNALD) != 0)
		return file_cursor(s);
	if (*cursor)
		return json_string(cursor);
	return json_integer(s->has ? s->e.ms : r->now_ms);
}

static struct source *
earliest(struct reader *r)
{
	struct source *first = NULL;

	for (size_t i = 0; i < r->n; i++) {
		struct source *s = &r->sources[i];

		if (s->has && (!first || s->e.ms < first->e.ms))
			first = s;
	}
	return first;
}

static void
close_all(struct reader *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct source *s = &r->sources[i];

		free(s->text);
		free(s->buffer);
		if (s->out)
			fclose(s->out);
		if (s->pid > 0) {
			kill(s->pid, SIGKILL);
			waitpid(s->pid, NULL, 0);
		}
	}
}

json_t *
log_page(const struct hagent *h, const json_t *query)
{
	struct reader *r = calloc(1, sizeof(*r));
	json_t *events = json_array(), *at = json_object();
	struct source *s;
	bool more = false;
	size_t used = 0;

	if (!r) {
		json_decref(events);
		json_decref(at);
		return NULL;
	}
	r->now_ms = journal_now_ms();
	open_all(r, h, query);
	for (size_t i = 0; i < r->n; i++)
		advance(r, &r->sources[i]);
	while (!more && (s = earliest(r))) {
		json_t *e = event_pack(&s->e);
		size_t size = json_dumpb(e, NULL, 0, JSON_COMPACT) + 1;

		more = used + size > LOG_PAGE_MAX;
		if (!more) {
			json_array_append(events, e);
			used += size;
			advance(r, s);
		}
		json_decref(e);
	}
	for (size_t i = 0; i < r->n; i++) {
		more = more || r->sources[i].cut;
		json_object_set_new(at, r->sources[i].name, cursor_of(r, &r->sources[i]));
	}
	close_all(r);
	json_t *page = json_pack("{s:I,s:s,s:o,s:o,s:b}", "now", (json_int_t)r->now_ms, "node",
	    h->node, "events", events, "at", at, "more", more);
	free(r);
	return page;
}
