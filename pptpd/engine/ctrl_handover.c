/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections of a planned move: what has arrived is read, so that it is in the last
 * records, and then nothing more until it is known who goes on. What arrived meanwhile is handed on
 * by who has given, and read by who has taken as if it had come from the socket that it will have.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <sys/socket.h>

#include "pptpd/engine/replica.h"

#define READ_SIZE 2048

void
ctrl_pause_all(struct engine *e)
{
	struct ctrl *c, *next;

	for (c = TAILQ_FIRST(&e->ctrls); c != NULL; c = next) {
		ctrl_read_all(c);
		next = TAILQ_NEXT(c, entry);
		if (!c->gone)
			ctrl_pause(c, true);
	}
}

void
ctrl_unpause_all(struct engine *e)
{
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->ctrls, entry)
	ctrl_pause(c, false);
}

/* While the monitor has its socket it is left alone: what arrives then is a hole. */
static void
hand_over(struct ctrl *c)
{
	struct engine *e = c->engine;
	uint8_t buf[READ_SIZE];
	ssize_t n;

	if (c->fd < 0 || c->probe != NULL)
		return;
	while (!c->local && (n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
		(void)replica_relay(e->replica, REPLICA_RELAY_CONTROL, c->id, buf, (size_t)n);
	ctrl_unwatch(c);
	timer_cancel(&c->timer);
	timer_cancel(&c->room);
	io_fini(&c->io);
	priv_silent_close(e->priv, c->fd);
	c->fd = -1;
}

void
ctrl_hand_over_all(struct engine *e)
{
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->ctrls, entry)
	hand_over(c);
}

bool
ctrl_relayed(struct engine *e, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct ctrl *c;

	TAILQ_FOREACH(c, &e->ctrls, entry)
	if (c->id == id)
		break;
	/* Its socket begins at the numbers that were known: later is too late. */
	if (c == NULL || c->fd >= 0 ||
	    (c->restore != RESTORE_QUEUED && c->restore != RESTORE_LATER))
		return false;
	ctrl_got(c, bytes, len);
	return true;
}
