/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The line of progress.
 */
#include "hagent/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/answer_client.h"
#include "hagent/words.h"

#define EACH_MS   200
#define STATUS_MS 1000

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
progress_begin(struct progress *p)
{
	*p = (struct progress){.begun_ms = now_ms()};
	term_look(&p->term, STDERR_FILENO);
}

void
progress_say(struct progress *p, const char *fmt, ...)
{
	int64_t ms = now_ms() - p->begun_ms;
	char text[512];
	va_list ap;
	int n;

	if (!p->term.live)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 32, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : (int)strlen(text);
	snprintf(text + n, sizeof(text) - (size_t)n, ", %lld.%lld s", (long long)ms / 1000,
	    (long long)ms / 100 % 10);
	/* One column stays free: a full line would scroll some terminals. */
	fprintf(stderr, "\r%.*s\033[K", (int)p->term.columns - 1, text);
	fflush(stderr);
	p->drawn = true;
}

void
progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}

const char *
progress_bar(long long done, long long of, char out[static PROGRESS_BAR + 64])
{
	int full = 0;

	out[0] = '\0';
	if (of <= 0)
		return out;
	if (done > 0)
		full = done >= of ? PROGRESS_BAR : (int)(done * PROGRESS_BAR / of);
	out[0] = '[';
	memset(out + 1, '#', (size_t)full);
	memset(out + 1 + full, '.', (size_t)(PROGRESS_BAR - full));
	snprintf(out + 1 + PROGRESS_BAR, 62, "] %lld of %lld", done, of);
	return out;
}

/* ---- a call of the agent ---- */

struct call {
	struct loop *loop;
	struct progress progress;
	void (*tell)(struct progress *p, const json_t *status);
	struct answer_client *work, *looks;
	struct timer again;
	json_t *answer;
	int error;
};

static void
call_done(void *arg, json_t *answer)
{
	struct call *c = arg;

	c->answer = json_incref(answer);
	c->error = errno;
	loop_stop(c->loop);
}

static void
status_done(void *arg, json_t *answer)
{
	struct call *c = arg;

	if (json_object_get(answer, "data"))
		c->tell(&c->progress, json_object_get(answer, "data"));
	timer_set(&c->again, EACH_MS);
}

static void
look_cb(void *arg)
{
	struct call *c = arg;

	if (answer_client_call(c->looks, "status", NULL, STATUS_MS, status_done, c) == 0)
		timer_set(&c->again, EACH_MS);
}

static json_t *
call_and_tell(struct call *c, const char *path, const char *cmd, json_t *args, int timeout_ms)
{
	c->loop = loop_new();
	c->work = c->loop ? answer_client_new(c->loop, path) : NULL;
	c->looks = c->work ? answer_client_new(c->loop, path) : NULL;
	c->error = errno;
	if (!c->looks)
		json_decref(args);
	else if (answer_client_call(c->work, cmd, args, (unsigned)timeout_ms, call_done, c) == 0)
		c->error = errno;
	else {
		timer_init(&c->again, c->loop, look_cb, c);
		timer_set(&c->again, EACH_MS);
		loop_run(c->loop);
		timer_cancel(&c->again);
	}
	answer_client_free(c->work);
	answer_client_free(c->looks);
	loop_free(c->loop);
	errno = c->error;
	return c->answer;
}

json_t *
progress_call(const struct hagent *h, const char *cmd, json_t *args, int timeout_ms,
    void (*tell)(struct progress *p, const json_t *status))
{
	char *path = hagent_path(h, HAGENT_SOCKET);
	struct call c = {.tell = tell};
	json_t *answer;
	int saved;

	progress_begin(&c.progress);
	if (c.progress.term.live)
		answer = call_and_tell(&c, path, cmd, args, timeout_ms);
	else
		answer = answer_call(path, cmd, args, timeout_ms);
	saved = errno;
	progress_end(&c.progress);
	free(path);
	errno = saved;
	return answer;
}

void
progress_tell_move(struct progress *p, const json_t *status)
{
	const json_t *move = json_object_get(status, "move");
	const json_t *prepared = json_object_get(status, "prepared");
	const json_t *replica = json_object_get(status, "replica");
	const json_t *snapshot = json_object_get(replica, "snapshot");
	char bar[PROGRESS_BAR + 64];

	if (strcmp(words_text(replica, "state"), "syncing") == 0)
		progress_say(p, "the peer is being sent its copy %s",
		    progress_bar(
			words_number(snapshot, "done"), words_number(snapshot, "of"), bar));
	else if (json_is_object(move))
		progress_say(
		    p, "moving to %s: %s", words_text(move, "to"), words_text(move, "phase"));
	else if (json_is_object(prepared))
		progress_say(p, "the sessions come here: %s", words_text(prepared, "phase"));
	else
		progress_say(p, "%s: waiting", words_text(status, "node"));
}
