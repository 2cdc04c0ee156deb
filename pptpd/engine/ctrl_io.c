/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection's bytes. Writing: one function; what the socket does not take at once waits
 * in a small buffer. Reading: bytes to the framer, messages to the state machine.
 */
#include "pptpd/engine/ctrl_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE   2048
#define SEND_BUFFER 16384 /* what the kernel keeps for a client that does not read */

/* ---- writing ---- */

static void
flush_out(struct ctrl *c)
{
	ssize_t n;

	while (c->out_len > 0) {
		n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		c->tx_bytes += (uint32_t)n;
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	if (c->out_len == 0) {
		free(c->out);
		c->out = NULL;
	}
	io_want(&c->io, IO_READ | (c->out_len > 0 ? IO_WRITE : 0));
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

	if (c->fd < 0)
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
	flush_out(c);
}

/* ---- reading ---- */

static void
read_some(struct ctrl *c)
{
	uint8_t buf[READ_SIZE];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);

	if (n == 0) {
		ctrl_close(c, "the client closed the connection");
		return;
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ctrl_close(c,
			    errno == ECONNRESET ? "the client reset the connection" : "read error");
		return;
	}
	c->rx_bytes += (uint32_t)n;
	c->last_rx_ms = loop_now_ms(c->engine->loop);
	c->echo_pending = false;
	if (pptp_framer_feed(&c->framer, buf, (size_t)n, ctrl_on_message, c) == 0)
		return;
	c->engine->stats.control_malformed++;
	if (engine_log_ok(c->engine, c->tcp.peer_ip))
		log_warn("malformed control message peer=%s reason=\"%s\"", c->name,
		    errno == EPROTO ? "wrong length for its type" : "not PPTP");
	ctrl_close(c, "malformed control message");
}

void
ctrl_io_cb(int events, void *arg)
{
	struct ctrl *c = arg;

	if (events & IO_WRITE)
		flush_out(c);
	if (events & IO_READ)
		read_some(c);
}

void
ctrl_socket_options(int fd)
{
	int on = 1, user_timeout_ms = 60000, send_buffer = SEND_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}
