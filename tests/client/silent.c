/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Silent connections.
 */
#include "tests/client/silent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "pptpd/wire/pptp.h"

#define OPEN_MS 10000 /* for all of them */

struct silent {
	const struct options *o;
	struct loop *loop;
	struct timer open_timer, hold_timer;
	struct mute *mutes;
	unsigned opened, failed, closed, settled;
	uint64_t start_ms, opened_ms;
};

struct mute {
	struct silent *silent;
	struct io io;
	int fd;
	bool open;
};

static void
settle(struct silent *s)
{
	if (++s->settled < s->o->silent)
		return;
	s->opened_ms = loop_now_ms(s->loop);
	timer_cancel(&s->open_timer);
	timer_set(&s->hold_timer, (uint64_t)s->o->hold_s * 1000);
	log_info("silent connections stand opened=%u failed=%u", s->opened, s->failed);
}

static void
drop(struct mute *m)
{
	io_fini(&m->io);
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static void
fail(struct mute *m)
{
	drop(m);
	m->silent->failed++;
	settle(m->silent);
}

static void
mute_cb(int events, void *arg)
{
	struct mute *m = arg;
	socklen_t len = sizeof(int);
	char byte;
	int error = 0;

	(void)events;
	if (!m->open) {
		(void)getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			fail(m);
			return;
		}
		m->open = true;
		m->silent->opened++;
		io_want(&m->io, IO_READ);
		settle(m->silent);
	} else if (recv(m->fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN) {
		m->silent->closed++;
		drop(m);
	}
}

static void
dial(struct mute *m, unsigned number)
{
	const struct options *o = m->silent->o;
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(PPTP_PORT),
	    .sin_addr.s_addr = htonl(o->server)};
	struct sockaddr_in from = {.sin_family = AF_INET};

	m->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (o->source_first != 0)
		from.sin_addr.s_addr =
		    htonl(o->source_first + number % (o->source_last - o->source_first + 1));
	if (m->fd < 0 ||
	    (o->source_first != 0 && bind(m->fd, (struct sockaddr *)&from, sizeof(from)) < 0) ||
	    (connect(m->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) ||
	    io_init(&m->io, m->silent->loop, m->fd, mute_cb, m) < 0) {
		fail(m);
		return;
	}
	io_want(&m->io, IO_WRITE);
}

static void
open_cb(void *arg)
{
	struct silent *s = arg;

	for (unsigned i = 0; i < s->o->silent; i++)
		if (s->mutes[i].fd >= 0 && !s->mutes[i].open)
			fail(&s->mutes[i]);
}

static void
hold_cb(void *arg)
{
	struct silent *s = arg;

	loop_stop(s->loop);
}

static void
report(const struct silent *s)
{
	json_t *o = json_pack("{s:b,s:i,s:i,s:i,s:i,s:I}", "ok", s->opened == s->o->silent, "asked",
	    (int)s->o->silent, "opened", (int)s->opened, "failed", (int)s->failed, "closed_by_peer",
	    (int)s->closed, "open_ms", (json_int_t)(s->opened_ms - s->start_ms));

	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(o);
}

int
silent_run(const struct options *o)
{
	struct silent s = {.o = o, .loop = loop_new()};

	s.mutes = calloc(o->silent, sizeof(*s.mutes));
	if (s.loop == NULL || s.mutes == NULL)
		log_fatal("out of memory");
	timer_init(&s.open_timer, s.loop, open_cb, &s);
	timer_init(&s.hold_timer, s.loop, hold_cb, &s);
	s.start_ms = loop_now_ms(s.loop);
	timer_set(&s.open_timer, OPEN_MS);
	for (unsigned i = 0; i < o->silent; i++) {
		s.mutes[i] = (struct mute){.silent = &s, .fd = -1};
		dial(&s.mutes[i], i);
	}
	loop_run(s.loop);
	report(&s);
	for (unsigned i = 0; i < o->silent; i++)
		drop(&s.mutes[i]);
	timer_cancel(&s.open_timer);
	timer_cancel(&s.hold_timer);
	loop_free(s.loop);
	free(s.mutes);
	return s.opened == o->silent ? 0 : 1;
}
