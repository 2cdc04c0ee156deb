/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A loop of dialling and joining, in a thread of its own. It dials while our agent stands by and
 * its peer's does not, so that of two gateways one dials. A stream ends with either engine, with
 * our role, with its path, or some seconds after a better path came back.
 */
#include "hagent/link_replica.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "sync/relay.h"
#include "sync/serve.h"

#define CONNECT_MS        1000
#define BACK_OFF_FIRST_MS 25
#define BACK_OFF_MAX_MS   1000
#define GOOD_MS           2000 /* a stream that lasted so long was a good one */
#define BETTER_MS         5000 /* a better path must have been up for so long */
#define DOWN_MS           100  /* and ours down: the engines know by themselves after 300 ms */

struct replica_link {
	const struct link_replica *config;
	size_t path;          /* in use */
	int64_t better_since; /* 0 = there is no better path up */
	int64_t down_since;   /* 0 = the one in use is up */
};

static bool
is_up(const struct replica_link *l, size_t path)
{
	return __atomic_load_n(&l->config->shared->up[path], __ATOMIC_RELAXED);
}

static bool
is_wanted(const struct replica_link *l)
{
	return __atomic_load_n(&l->config->shared->mirrors, __ATOMIC_RELAXED);
}

/* The first path that is up, DIAL_PATHS = none. */
static size_t
best_path(const struct replica_link *l)
{
	size_t path = 0;

	while (path < DIAL_PATHS && !is_up(l, path))
		path++;
	return path;
}

static bool
must_end(void *arg)
{
	struct replica_link *l = arg;

	if (!is_wanted(l))
		return true;
	if (is_up(l, l->path))
		l->down_since = 0;
	else if (l->down_since == 0)
		l->down_since = link_now_ms();
	if (l->down_since != 0)
		return link_now_ms() - l->down_since >= DOWN_MS;
	if (best_path(l) == l->path)
		l->better_since = 0;
	else if (l->better_since == 0)
		l->better_since = link_now_ms();
	return l->better_since != 0 && link_now_ms() - l->better_since >= BETTER_MS;
}

static void
say(const char *what, const char *path, const char *why)
{
	if (*why)
		log_warn("replica stream %s path=%s why=\"%s\"", what, path, why);
	else
		log_info("replica stream %s path=%s", what, path);
}

/* One stream from dialling to its end. */
static void
carry(struct replica_link *l)
{
	const char *name = dial_path_names[l->path];
	struct ssh_channel *channel = NULL;
	struct ssh_error e = {0};
	int sock = relay_connect(l->config->engine_socket);
	struct ssh *ssh = NULL;

	l->better_since = l->down_since = 0;
	if (sock < 0) {
		say("not opened", name, strerror(errno));
		return;
	}
	ssh = dial_path(l->config->dial, l->path, CONNECT_MS, &e);
	if (ssh)
		channel = ssh_exec(ssh, SERVE_REPLICA_COMMAND, CONNECT_MS, &e);
	if (channel) {
		say("opened", name, "");
		(void)ssh_join(channel, sock, must_end, l, &e);
		ssh_channel_free(channel);
		say("ended", name, e.text);
	} else {
		link_note_failure(l->config->shared, &e);
		say("not opened", name, e.text);
	}
	ssh_free(ssh);
	close(sock);
}

static void
pause_ms(int64_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

void *
link_replica_run(void *arg)
{
	struct replica_link l = {.config = arg};
	int64_t back_off_ms = BACK_OFF_FIRST_MS;

	for (;;) {
		int64_t begun_ms = link_now_ms();

		l.path = best_path(&l);
		if (!is_wanted(&l) || l.path == DIAL_PATHS) {
			pause_ms(BACK_OFF_FIRST_MS);
			back_off_ms = BACK_OFF_FIRST_MS;
			continue;
		}
		carry(&l);
		if (link_now_ms() - begun_ms >= GOOD_MS)
			back_off_ms = BACK_OFF_FIRST_MS;
		pause_ms(back_off_ms);
		back_off_ms = back_off_ms * 2 < BACK_OFF_MAX_MS ? back_off_ms * 2 : BACK_OFF_MAX_MS;
	}
}
