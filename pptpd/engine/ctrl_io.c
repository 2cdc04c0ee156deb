/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection's bytes. Writing: one function. What is said waits in a small buffer, first
 * for the standby where there is one that has the connection's record, then for the socket.
 * Reading: bytes to the framer, messages to the state machine; a read is told to the standby as a
 * whole, with what it caused to be said, so that no record stands between two of its messages.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define READ_SIZE   2048
#define ROOM_AGAIN  20    /* ms */
#define UNACKED_MS  60000 /* what is not acknowledged for so long ends the connection */
#define SEND_BUFFER 16384 /* what the kernel keeps for a client that does not read */

/* ---- what is known of the bytes that were written ---- */

size_t
ctrl_whole_messages(const uint8_t *out, size_t len, size_t begun, size_t room)
{
	struct rd r = rd_init(out, len);
	size_t n = begun <= room ? begun : 0;

	if (begun > room)
		return 0;
	for (rd_skip(&r, begun); rd_left(&r) >= 2;) {
		struct rd peek = r;
		size_t size = rd_u16(&peek);

		if (n + size > room)
			break;
		n += size;
		rd_skip(&r, size);
	}
	return n;
}

/* n bytes of `out` are the kernel's now. */
static void
wrote(struct ctrl *c, size_t n)
{
	size_t at = c->out_begun, keep;

	while (at < n) {
		struct rd r = rd_init(c->out + at, c->out_len - at);

		at += rd_u16(&r);
	}
	c->out_begun = at - n;
	if (n >= sizeof c->sent) {
		memcpy(c->sent, c->out + n - sizeof c->sent, sizeof c->sent);
		c->sent_len = sizeof c->sent;
	} else {
		keep = sizeof c->sent - n < c->sent_len ? sizeof c->sent - n : c->sent_len;
		memmove(c->sent, c->sent + c->sent_len - keep, keep);
		memcpy(c->sent + keep, c->out, n);
		c->sent_len = keep + n;
	}
	c->tx_bytes += (uint32_t)n;
	c->out_len -= n;
	c->out_clear -= n < c->out_clear ? n : c->out_clear;
	c->out_told -= n < c->out_told ? n : c->out_told;
	memmove(c->out, c->out + n, c->out_len);
}

size_t
ctrl_unacked(const struct ctrl *c)
{
	int queued, fd = c->fd >= 0 ? c->fd : c->closing_fd;

	if (fd < 0 || ioctl(fd, SIOCOUTQ, &queued) < 0 || queued < 0 ||
	    (size_t)queued > c->sent_len)
		return c->sent_len;
	return (size_t)queued;
}

/* ---- writing ---- */

static int
wanted(const struct ctrl *c)
{
	return (c->paused ? 0 : IO_READ) | (c->out_clear > 0 ? IO_WRITE : 0);
}

/* Writes what may be written, as far as the kernel takes it. */
static void
flush_out(struct ctrl *c)
{
	ssize_t n;

	if (c->fd < 0 || c->outrun || c->probe != NULL)
		return;
	while (c->out_clear > 0) {
		n = send(c->fd, c->out, c->out_clear, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		wrote(c, (size_t)n);
	}
	if (c->out_len == 0) {
		free(c->out);
		c->out = NULL;
	}
	io_want(&c->io, wanted(c));
}

void
ctrl_resume(struct ctrl *c)
{
	if (c->fd < 0)
		return;
	io_want(&c->io, wanted(c));
	flush_out(c);
}

bool
ctrl_must_wait(struct ctrl *c)
{
	struct replica *r = c->engine->replica;

	return r != NULL && c->replica.member && replica_changed(r, &c->replica);
}

void
ctrl_settle(struct ctrl *c)
{
	if (ctrl_must_wait(c))
		return;
	c->out_clear = c->out_len;
	flush_out(c);
	ctrl_unreplicate_idle(c);
}

/*
 * The record holds so many bytes and no more: the rest waits until the client has acknowledged some
 * of those that were written, and is told then.
 */
static void
tell_the_rest(struct ctrl *c)
{
	size_t room = sizeof c->sent - ctrl_unacked(c);

	if (ctrl_whole_messages(c->out, c->out_len, c->out_begun, room) > 0)
		ctrl_settle(c);
	else
		timer_set(&c->room, ROOM_AGAIN);
}

void
ctrl_room_cb(void *arg)
{
	struct ctrl *c = arg;

	if (c->out_len > c->out_clear)
		tell_the_rest(c);
}

void
ctrl_committed(struct ctrl *c)
{
	if (c->gone) {
		if (c->closing_fd >= 0 && !c->marking && !c->replica.waiting)
			ctrl_finish(c);
		return;
	}
	if (c->out_clear < c->out_told)
		c->out_clear = c->out_told;
	flush_out(c);
	if (c->out_len > c->out_clear)
		tell_the_rest(c);
	else
		ctrl_unreplicate_idle(c);
}

/* What waits for a client that does not read must not wait in the kernel when we have closed: RST.
 */
static void
set_reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void
ctrl_send(struct ctrl *c, const struct pptp_message *m)
{
	struct wr w;

	if (c->gone)
		return;
	if (c->out == NULL && (c->out = malloc(CTRL_OUT_MAX)) == NULL) {
		ctrl_close(c, "out of memory");
		return;
	}
	w = wr_init(c->out + c->out_len, CTRL_OUT_MAX - c->out_len);
	if (pptp_encode(m, &w) < 0) {
		set_reset(c->fd);
		ctrl_close(c, "the client does not read");
		return;
	}
	c->out_len += wr_len(&w);
	log_debug("control message sent peer=%s type=%s call=%u", c->name, pptp_name(m->type),
	    m->call_id);
	if (!c->reading)
		ctrl_settle(c);
}

/* ---- replication ---- */

void
ctrl_replicate(struct ctrl *c)
{
	if (c->engine->replica != NULL && !c->replica.member && !c->gone)
		replica_add_connection(c->engine->replica, &c->replica, c->id);
}

void
ctrl_unreplicate(struct ctrl *c)
{
	if (c->engine->replica != NULL && c->replica.member)
		replica_remove_connection(c->engine->replica, &c->replica);
}

void
ctrl_unreplicate_idle(struct ctrl *c)
{
	struct session *s;

	if (!c->replica.member)
		return;
	TAILQ_FOREACH(s, &c->sessions, entry)
	if (s->up)
		return;
	ctrl_unreplicate(c);
}

/* ---- reading ---- */

void
ctrl_got(struct ctrl *c, const uint8_t *bytes, size_t len)
{
	int rc;

	c->rx_bytes += (uint32_t)len;
	c->last_rx_ms = loop_now_ms(c->engine->loop);
	c->echo_pending = false;
	c->reading = true;
	crumb_set(c->engine->crumb, c->id);
	rc = pptp_framer_feed(&c->framer, bytes, len, ctrl_on_message, c);
	crumb_set(c->engine->crumb, 0);
	c->reading = false;
	if (c->gone)
		return;
	if (rc == 0) {
		ctrl_settle(c);
		return;
	}
	c->engine->stats.control_malformed++;
	if (engine_log_ok(c->engine, c->tcp.peer_ip))
		log_warn("malformed control message peer=%s reason=\"%s\"", c->name,
		    errno == EPROTO ? "wrong length for its type" : "not PPTP");
	ctrl_close(c, "malformed control message");
}

/* False: there is nothing more, or it has ended. */
static bool
read_some(struct ctrl *c)
{
	uint8_t buf[READ_SIZE];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);

	if (n > 0)
		ctrl_got(c, buf, (size_t)n);
	else if (n == 0)
		ctrl_close(c, "the client closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		ctrl_close(
		    c, errno == ECONNRESET ? "the client reset the connection" : "read error");
	return n > 0 && !c->gone;
}

void
ctrl_read_all(struct ctrl *c)
{
	while (!c->gone && c->fd >= 0 && c->probe == NULL && read_some(c))
		;
}

void
ctrl_pause(struct ctrl *c, bool on)
{
	c->paused = on;
	if (c->fd >= 0 && c->probe == NULL)
		io_want(&c->io, wanted(c));
}

void
ctrl_io_cb(int events, void *arg)
{
	struct ctrl *c = arg;

	if (c->probe != NULL)
		return;
	if (events & IO_WRITE)
		flush_out(c);
	if (events & IO_READ && !c->paused)
		(void)read_some(c);
}

/*
 * One that was restored is more patient: where two serve, its client may be with the other until
 * they meet again. Echo-Requests tell of a client that is gone.
 */
void
ctrl_socket_options(int fd, bool restored)
{
	int on = 1, user_timeout_ms = (restored ? 10 : 1) * UNACKED_MS, send_buffer = SEND_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}
