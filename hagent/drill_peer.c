/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One connection to the peer.
 */
#include "hagent/drill_peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer.h"
#include "hagent/drill_sniff.h"
#include "hagent/words.h"
#include "sync/serve.h"

#define CLOCK_ASKED 24

int
drill_peer_init(struct drill_peer *p, const struct hagent *h)
{
	struct ssh_error e;

	*p = (struct drill_peer){0};
	if (dial_init(&p->dial, h, NULL, &e) == 0)
		return 0;
	snprintf(p->text, sizeof(p->text), "%s", e.text);
	return -1;
}

static void
hang_up(struct drill_peer *p)
{
	if (p->channel)
		ssh_channel_free(p->channel);
	ssh_free(p->ssh);
	p->channel = NULL;
	p->ssh = NULL;
}

void
drill_peer_fini(struct drill_peer *p)
{
	hang_up(p);
	dial_fini(&p->dial);
}

static bool
dial(struct drill_peer *p, int timeout_ms)
{
	struct ssh_error e;

	if (p->channel)
		return true;
	p->ssh = dial_connect(&p->dial, &e);
	if (p->ssh)
		p->channel = ssh_exec(p->ssh, SERVE_QUERY_COMMAND, timeout_ms, &e);
	if (p->channel)
		return true;
	snprintf(p->text, sizeof(p->text), "%s", e.text);
	hang_up(p);
	return false;
}

static bool
wait_for_peer(struct drill_peer *p, int64_t end_us)
{
	struct pollfd fd = {.fd = ssh_fd(p->ssh), .events = (short)(ssh_wants(p->ssh) | POLLIN)};
	int64_t left_us = end_us - drill_now_us();

	if (left_us <= 0) {
		snprintf(p->text, sizeof(p->text), "%s did not answer in time", p->dial.them->name);
		return false;
	}
	return poll(&fd, 1, (int)(left_us / 1000) + 1) >= 0 || errno == EINTR;
}

static bool
send_line(struct drill_peer *p, const char *line, int64_t end_us)
{
	size_t len = strlen(line), done = 0;

	while (done < len) {
		ssize_t n = ssh_write(p->channel, line + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			return false;
		else if (!wait_for_peer(p, end_us))
			return false;
	}
	return true;
}

/* Into line, without its end. */
static bool
read_line(struct drill_peer *p, char *line, size_t size, int64_t end_us)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = ssh_read(p->channel, SSH_STDOUT, line + len, size - len);

		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			snprintf(p->text, sizeof(p->text), "%s ended the connection",
			    p->dial.them->name);
			return false;
		}
		if (n < 0 && !wait_for_peer(p, end_us))
			return false;
		if (n < 0)
			continue;
		len += (size_t)n;
		if (line[len - 1] == '\n') {
			line[len - 1] = '\0';
			return true;
		}
	}
	return false;
}

/* The answer's data, or NULL with text and code. Drops the answer. */
static json_t *
data_of(struct drill_peer *p, json_t *answer)
{
	json_t *error = json_object_get(answer, "error"), *data = NULL;

	if (json_is_true(json_object_get(answer, "ok"))) {
		data = json_incref(json_object_get(answer, "data"));
	} else {
		snprintf(p->text, sizeof(p->text), "%s",
		    error ? words_text(error, "message") : "the answer cannot be understood");
		snprintf(
		    p->code, sizeof(p->code), "%s", error ? words_text(error, "code") : "broken");
	}
	json_decref(answer);
	return data;
}

json_t *
drill_peer_ask(struct drill_peer *p, const char *cmd, json_t *args, int timeout_ms)
{
	int64_t end_us = drill_now_us() + (int64_t)timeout_ms * 1000;
	static const size_t size = ANSWER_LINE_MAX + 1;
	json_t *o = args ? args : json_object(), *answer = NULL;
	char *line = NULL, *buffer = malloc(size);

	p->code[0] = '\0';
	json_object_set_new(o, "v", json_integer(1));
	json_object_set_new(o, "id", json_integer(++p->id));
	json_object_set_new(o, "cmd", json_string(cmd));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text && buffer && asprintf(&line, "%s\n", text) > 0 && dial(p, timeout_ms) &&
	    send_line(p, line, end_us) && read_line(p, buffer, size, end_us))
		answer = json_loads(buffer, 0, NULL);
	if (!answer)
		hang_up(p); /* an answer that comes late would be taken for the next one's */
	free(text);
	free(line);
	free(buffer);
	return answer ? data_of(p, answer) : NULL;
}

json_t *
drill_here_ask(struct drill_peer *p, const struct hagent *h, const char *socket_path,
    const char *cmd, json_t *args, int timeout_ms)
{
	char *path = hagent_path(h, socket_path);
	json_t *answer = answer_call(path, cmd, args, timeout_ms);

	p->code[0] = '\0';
	if (!answer)
		snprintf(p->text, sizeof(p->text), "%s: %s", path, strerror(errno));
	free(path);
	return answer ? data_of(p, answer) : NULL;
}

int
drill_peer_clock(struct drill_peer *p, struct drill_clock *out)
{
	int64_t best_us = INT64_MAX;

	for (unsigned i = 0; i < CLOCK_ASKED; i++) {
		int64_t sent_us = drill_now_us(), wall_us = drill_wall_us();
		json_t *data = drill_peer_ask(p, "drill-clock", NULL, 2000);
		int64_t way_us = drill_now_us() - sent_us;

		if (!data)
			return -1;
		if (i > 0 && way_us < best_us) { /* the first one may have dialled */
			best_us = way_us;
			out->ahead_us = words_number(data, "mono_us") - sent_us - way_us / 2;
			out->error_us = (way_us + 1) / 2;
			out->wall_ms =
			    (words_number(data, "wall_us") - wall_us - way_us / 2) / 1000;
		}
		json_decref(data);
	}
	return 0;
}
