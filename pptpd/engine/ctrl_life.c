/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Beginning and end of a control connection. It ends once: out of every list, its calls closed,
 * then among the lingering ones until what it said last is written and the monitor has let go of
 * it; the reaper frees it. Silence is the other end: nothing more leaves, whatever waits.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSE_WAIT 300 /* ms that the last words of a connection wait for the standby */

/* ---- the beginning ---- */

struct ctrl *
ctrl_new(struct engine *e, const struct tcp_snapshot *t, enum ctrl_state state)
{
	struct ctrl *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->engine = e;
	c->config = engine_config_ref(e->config);
	c->fd = c->closing_fd = -1;
	c->tcp = *t;
	c->local = loopback_is_source(t->peer_ip);
	c->last_rx_ms = c->established_ms = loop_now_ms(e->loop);
	snprintf(c->name, sizeof c->name, "%s:%u", conf_ipv4(t->peer_ip), t->peer_port);
	TAILQ_INIT(&c->sessions);
	pptp_framer_init(&c->framer);
	fsm_init(&c->fsm, &ctrl_table, (int8_t)state);
	timer_init(&c->timer, e->loop, ctrl_timer_cb, c);
	timer_init(&c->room, e->loop, ctrl_room_cb, c);
	return c;
}

void
ctrl_accept(struct engine *e, int fd, const struct tcp_snapshot *t)
{
	struct ctrl *c;

	e->stats.accepted += !loopback_is_source(t->peer_ip);
	if (!ctrl_admit(e, t)) {
		ctrl_refuse(e, fd);
		return;
	}
	c = ctrl_new(e, t, CTRL_WAIT_START);
	if (c == NULL || io_init(&c->io, e->loop, fd, ctrl_io_cb, c) < 0) {
		log_warn("control connection refused peer=%s reason=\"out of memory\"",
		    conf_ipv4(t->peer_ip));
		if (c != NULL)
			engine_config_unref(c->config);
		free(c);
		ctrl_refuse(e, fd);
		return;
	}
	c->id = engine_new_id(e);
	c->fd = fd;
	c->echo_id = e->boot_id ^ ((uint32_t)t->peer_port << 16);
	ctrl_enter(c);
	ctrl_half_open(c);
	ctrl_socket_options(fd, false);
	ctrl_set_timer(c);
	io_want(&c->io, IO_READ);
}

/* ---- the end ---- */

static void
free_ctrl(void *object)
{
	struct ctrl *c = object;

	LIST_REMOVE(c, bucket_entry);
	ctrl_forget_probe(c);
	c->engine->n_sockets--;
	engine_config_unref(c->config);
	free(c->out);
	free(c);
}

static void
release_ctrl(struct ctrl *c)
{
	if (!c->reaping)
		engine_reap(c->engine, &c->reap, free_ctrl, c);
	c->reaping = true;
}

/* Leaves every list and ends the calls; what is left is its descriptor and its last words. */
static void
detach(struct ctrl *c, enum session_end end)
{
	struct session *s;

	c->gone = true;
	c->closing_fd = c->fd;
	c->fd = -1;
	io_fini(&c->io);
	ctrl_unwatch(c);
	ctrl_leave(c);
	LIST_INSERT_HEAD(&c->engine->lingering, c, bucket_entry);
	/* One of them may be closing already: what it said filled the connection. */
	while ((s = TAILQ_FIRST(&c->sessions)) != NULL) {
		session_leave(s);
		session_close(s, end, false);
	}
	timer_cancel(&c->timer);
	timer_cancel(&c->room);
}

static void
closing_marked(void *arg, int err)
{
	struct ctrl *c = arg;

	if (err != 0)
		log_debug("closing mark not set error=\"%s\"", strerror(err));
	if (c->silent)
		priv_silent_close(c->engine->priv, c->closing_fd);
	else
		close(c->closing_fd);
	c->closing_fd = -1;
	release_ctrl(c);
}

void
ctrl_finish(struct ctrl *c)
{
	timer_cancel(&c->timer);
	c->finishing = c->probe != NULL;
	if (c->finishing)
		return;
	ctrl_unreplicate(c);
	if (c->closing_fd < 0) {
		release_ctrl(c);
		return;
	}
	if (c->out_len > 0)
		(void)!send(c->closing_fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->marking = true;
	priv_mark_closing(c->engine->priv, c->closing_fd, closing_marked, c);
}

void
ctrl_late_socket(struct ctrl *c, int fd)
{
	c->closing_fd = fd;
	if (!c->silent) {
		ctrl_finish(c);
		return;
	}
	if (fd >= 0)
		priv_silent_close(c->engine->priv, fd);
	c->closing_fd = -1;
	release_ctrl(c);
}

void
ctrl_end(void *object, void *detail)
{
	struct ctrl *c = object;

	(void)detail;
	if (c->proven && c->n_sessions > 0)
		log_info(
		    "control connection closed peer=%s reason=\"%s\"", c->name, c->close_reason);
	else
		log_debug(
		    "control connection closed peer=%s reason=\"%s\"", c->name, c->close_reason);
	detach(c, END_CONTROL_LOST);
	if (c->restore != RESTORE_NONE)
		return; /* the socket that it waits for ends in order */
	if (c->out_len > 0 && ctrl_must_wait(c))
		timer_set(&c->timer, CLOSE_WAIT);
	else
		ctrl_finish(c);
}

void
ctrl_close(struct ctrl *c, const char *why)
{
	if (c->close_reason != NULL)
		return;
	c->close_reason = why;
	fsm_event(&c->fsm, CTRL_EVENT_CLOSE, c, NULL);
}

/* It is gone. Whoever works on its descriptor hears that nothing is to be said. */
static void
hush(struct ctrl *c)
{
	if (c->silent)
		return;
	c->silent = true;
	c->out_len = 0;
	timer_cancel(&c->timer);
	ctrl_unreplicate(c);
	if (c->marking || !ctrl_restore_forget(c))
		return;
	if (c->closing_fd >= 0)
		priv_silent_close(c->engine->priv, c->closing_fd);
	c->closing_fd = -1;
	release_ctrl(c);
}

void
ctrl_silence(struct ctrl *c)
{
	detach(c, END_DEMOTED);
	hush(c);
}

void
ctrl_silence_all(struct engine *e)
{
	struct ctrl *c;

	while ((c = TAILQ_FIRST(&e->ctrls)) != NULL)
		ctrl_silence(c);
	LIST_FOREACH(c, &e->lingering, bucket_entry)
	hush(c);
	ctrl_restore_stop(e);
}

void
ctrl_abandon_all(struct engine *e)
{
	struct ctrl *c;

	while ((c = LIST_FIRST(&e->lingering)) != NULL) {
		timer_cancel(&c->timer);
		if (c->closing_fd >= 0)
			close(c->closing_fd);
		free_ctrl(c);
	}
	ctrl_restore_free(e);
}
