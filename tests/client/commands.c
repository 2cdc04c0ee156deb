/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands while the client runs. What takes its time is looked after by one timer; a kind of
 * command is refused while the one before of the same kind is under way.
 */
#include "tests/client/commands.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/client/control.h"
#include "tests/client/figures.h"
#include "tests/client/report.h"
#include "tests/client/session.h"

#define LOOK_MS  10
#define GRACE_MS 1500   /* answers to the last packets of a window may still come */
#define LATE_US  200000 /* we are too late ourselves to say that none comes any more, ... */
#define LATE_MS  15000  /* ... but not for ever */
#define MISSING  10     /* sessions named */

struct job {
	bool active;
	struct command command;
	uint64_t due_ms;
	unsigned asked;
};

struct commands {
	struct client *client;
	struct io io;
	struct timer timer;
	struct job window, echo, clear;
	char line[256];
	size_t len;
};

static void
say(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(13));
	putchar('\n');
	fflush(stdout);
	json_decref(o);
}

static void
refuse(const char *line, const char *why)
{
	say(json_pack("{s:s,s:s*,s:s}", "event", "refused", "line", line, "why", why));
}

static void
status(struct client *c)
{
	unsigned up = 0, lost = 0, redials = 0;

	for (unsigned i = 0; i < c->n_sessions; i++) {
		up += c->sessions[i].state == SESSION_UP;
		lost += c->sessions[i].losses > 0;
		redials += c->sessions[i].redials;
	}
	say(json_pack("{s:s,s:i,s:i,s:i,s:i}", "event", "status", "sessions", (int)c->n_sessions,
	    "up", (int)up, "lost", (int)lost, "redials", (int)redials));
}

/* ---- what takes its time ---- */

static bool
begin(struct commands *m, struct job *j, const struct command *command, uint64_t ms)
{
	if (j->active) {
		refuse(command_name(command->kind), "the one before is under way");
		return false;
	}
	*j = (struct job){
	    .active = true, .command = *command, .due_ms = loop_now_ms(m->client->loop) + ms};
	timer_set(&m->timer, LOOK_MS);
	return true;
}

static bool
is_first_of_control(const struct session *s, const struct command *command)
{
	unsigned first = (unsigned)(s->control->sessions - s->client->sessions);

	return s->number == (first > command->first ? first : command->first);
}

static void
start_echo(struct commands *m, const struct command *command)
{
	if (!begin(m, &m->echo, command, (uint64_t)command->seconds * 1000))
		return;
	for (unsigned i = command->first; i <= command->last; i++) {
		struct session *s = &m->client->sessions[i];

		if (is_first_of_control(s, command))
			m->echo.asked += control_probe(s->control);
	}
}

static void
start_clear(struct commands *m, const struct command *command)
{
	if (!begin(m, &m->clear, command, (uint64_t)command->seconds * 1000))
		return;
	for (unsigned i = command->first; i <= command->last; i++)
		m->clear.asked += session_clear(&m->client->sessions[i]);
}

static void
send_link_info(struct client *c, const struct command *command)
{
	unsigned n = 0;

	for (unsigned i = command->first; i <= command->last; i++)
		n += session_link_info(&c->sessions[i]);
	say(json_pack("{s:s,s:i}", "event", "sli", "sent", (int)n));
}

/* Says so when a job is done: all were answered, or its time is over. */
static void
look(struct commands *m, struct job *j, const char *event)
{
	struct samples times = {0};
	json_t *missing;
	unsigned answered = 0;

	if (!j->active)
		return;
	missing = json_array();
	for (unsigned i = j->command.first; i <= j->command.last; i++) {
		const struct session *s = &m->client->sessions[i];
		bool echo = j->command.kind == COMMAND_ECHO;
		bool asked = echo ? s->control->probe.asked && is_first_of_control(s, &j->command)
				  : s->cleared;
		bool good = echo ? s->control->probe.answered : s->clear_answered;

		if (asked && good) {
			answered++;
			if (echo)
				samples_add(&times, s->control->probe.took_us);
		} else if (asked && json_array_size(missing) < MISSING) {
			json_array_append_new(missing, json_integer((json_int_t)i));
		}
	}
	if (answered >= j->asked || loop_now_ms(m->client->loop) >= j->due_ms) {
		j->active = false;
		say(json_pack("{s:s,s:i,s:i,s:o,s:o}", "event", event, "asked", (int)j->asked,
		    "answered", (int)answered, "missing", missing, "ms",
		    report_quantiles(&times, 1000)));
	} else {
		json_decref(missing);
	}
	samples_fini(&times);
}

static bool
window_is_over(const struct commands *m)
{
	uint64_t now_ms = loop_now_ms(m->client->loop);

	return now_ms >= m->window.due_ms &&
	       (m->client->late_us < LATE_US || now_ms >= m->window.due_ms + LATE_MS);
}

static void
timer_cb(void *arg)
{
	struct commands *m = arg;

	look(m, &m->echo, "echo");
	look(m, &m->clear, "clear");
	if (m->window.active && window_is_over(m)) {
		m->window.active = false;
		say(figures_report(m->client));
	}
	if (m->echo.active || m->clear.active || m->window.active)
		timer_set(&m->timer, LOOK_MS);
}

/* ---- lines ---- */

static void
end_window(struct commands *m, const struct command *command)
{
	if (m->client->window.name[0] == '\0')
		refuse("window", "no mark before");
	else if (begin(m, &m->window, command, GRACE_MS))
		figures_close(m->client);
}

static void
mark(struct commands *m, const struct command *command)
{
	if (m->window.active) {
		refuse("mark", "the window before is not reported yet");
		return;
	}
	figures_open(m->client, command->name);
	say(json_pack("{s:s,s:s,s:f}", "event", "mark", "name", command->name, "at",
	    m->client->window.opened));
}

static void
obey(struct commands *m, const char *line)
{
	struct command command;

	if (!command_parse(line, m->client->n_sessions, &command)) {
		refuse(log_quote(line, strlen(line)), "no such command, or no such session");
		return;
	}
	switch (command.kind) {
	case COMMAND_MARK:
		mark(m, &command);
		break;
	case COMMAND_WINDOW:
		end_window(m, &command);
		break;
	case COMMAND_ECHO:
		start_echo(m, &command);
		break;
	case COMMAND_SLI:
		send_link_info(m->client, &command);
		break;
	case COMMAND_CLEAR:
		start_clear(m, &command);
		break;
	case COMMAND_STATUS:
		status(m->client);
		break;
	default:
		client_finish(m->client);
	}
}

static void
io_cb(int events, void *arg)
{
	struct commands *m = arg;
	char *end;
	ssize_t n = read(m->io.fd, m->line + m->len, sizeof(m->line) - 1 - m->len);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		io_want(&m->io, 0);
		client_finish(m->client);
		return;
	}
	m->len += (size_t)n;
	m->line[m->len] = '\0';
	while ((end = strchr(m->line, '\n')) != NULL) {
		*end = '\0';
		obey(m, m->line);
		m->len -= (size_t)(end + 1 - m->line);
		memmove(m->line, end + 1, m->len + 1);
	}
	if (m->len == sizeof(m->line) - 1)
		m->len = 0;
}

void
commands_ready(struct commands *m)
{
	if (m == NULL)
		return;
	say(json_pack("{s:s,s:i,s:i,s:f}", "event", "ready", "connected", (int)m->client->connected,
	    "failed", (int)(m->client->n_sessions - m->client->connected), "setup_s",
	    (double)(m->client->settled_us - m->client->start_us) / 1e6));
}

struct commands *
commands_new(struct client *c)
{
	struct commands *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->client = c;
	timer_init(&m->timer, c->loop, timer_cb, m);
	if (io_init(&m->io, c->loop, STDIN_FILENO, io_cb, m) < 0) {
		free(m);
		return NULL;
	}
	io_want(&m->io, IO_READ);
	return m;
}

void
commands_free(struct commands *m)
{
	if (m == NULL)
		return;
	io_fini(&m->io);
	timer_cancel(&m->timer);
	free(m);
}
