/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client's life: made, started, told of the carrier's events, asked, freed.
 */
#include "hagent/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hagent/client_internal.h"

#define RX_WINDOW       32
#define RX_TIMEOUT_US   100000
#define STEP_TIMEOUT_MS 10000
#define RESTART_MS      1000
#define ECHO_FAILURE    4

static const char *const step_names[PPTP_STEPS] = {
    "tcp", "start", "call", "lcp", "auth", "ccp", "ipcp"};

const char *
pptp_step_name(enum pptp_step s)
{
	return (unsigned)s < PPTP_STEPS ? step_names[s] : "up";
}

uint64_t
client_now_us(const struct pptp_client *c)
{
	return c->io->now_us(c->io_arg);
}

void
client_step_timer(struct pptp_client *c)
{
	timer_set(&c->timer, c->o.step_timeout_ms);
}

void
client_done(struct pptp_client *c, enum pptp_step step)
{
	if (c->s.done_us[step] != 0)
		return;
	c->s.done_us[step] = client_now_us(c);
	while (c->s.step < PPTP_STEPS && c->s.done_us[c->s.step] != 0)
		c->s.step++;
	if (c->fsm.state != CLIENT_UP)
		client_step_timer(c);
	if (c->ops->step != NULL)
		c->ops->step(c->arg, step);
}

void
client_note(struct pptp_client *c, enum pptp_why why, const char *fmt, ...)
{
	va_list ap;

	if (c->s.why != PPTP_WHY_NONE)
		return;
	c->s.why = why;
	va_start(ap, fmt);
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	va_end(ap);
}

/* ---- from the carrier ---- */

void
pptp_client_connected(struct pptp_client *c, uint32_t local_ip)
{
	c->s.local_ip = local_ip;
	c->tcp_open = true;
	fsm_event(&c->fsm, CLIENT_EV_CONNECTED, c, NULL);
}

void
pptp_client_cut(struct pptp_client *c, int error)
{
	enum pptp_why why;

	c->tcp_open = false;
	why = client_why_cut(c, error);
	client_note(c, why, "%s",
	    why == PPTP_WHY_NOT_PPTP ? c->seen.garbage
	    : error != 0             ? strerror(error)
				     : "the server closed the connection");
	fsm_event(&c->fsm, CLIENT_EV_BREAK, c, NULL);
}

static bool
on_message(void *arg, const struct pptp_message *m)
{
	struct pptp_client *c = arg;
	union {
		const struct pptp_message *in;
		void *detail;
	} u = {.in = m};

	c->heard = true;
	if (m->type >= 1 && m->type <= PPTP_TYPE_MAX)
		fsm_event(&c->fsm, (int8_t)m->type, c, u.detail);
	return c->tcp_open;
}

void
pptp_client_tcp(struct pptp_client *c, const uint8_t *bytes, size_t len)
{
	if (!c->tcp_open || len == 0)
		return;
	c->heard_ms = loop_now_ms(c->loop);
	c->echo_pending = false;
	if (!c->heard && c->seen.garbage[0] == '\0')
		snprintf(c->seen.garbage, sizeof(c->seen.garbage), "%s",
		    log_quote((const char *)bytes, len < 24 ? len : 24));
	if (pptp_framer_feed(&c->framer, bytes, len, on_message, c) == 0)
		return;
	if (c->heard)
		client_note(c, PPTP_WHY_NOT_PPTP, "it broke off in the middle of PPTP");
	else
		client_note(c, PPTP_WHY_NOT_PPTP, "%s", c->seen.garbage);
	c->tcp_open = false;
	c->io->hang_up(c->io_arg);
	fsm_event(&c->fsm, CLIENT_EV_BREAK, c, NULL);
}

static bool
is_prohibited(unsigned code)
{
	return code == 9 || code == 10 || code == 13;
}

static const char *
icmp_name(unsigned code)
{
	static const char *const names[] = {
	    "network unreachable", "host unreachable", "protocol unreachable", "port unreachable"};

	if (is_prohibited(code))
		return "administratively prohibited";
	return code < sizeof(names) / sizeof(names[0]) ? names[code] : "unreachable";
}

/* A final word about GRE ends a set-up; a session that is up may have been meant by a liar. */
void
pptp_client_icmp(struct pptp_client *c, bool about_gre, unsigned code, uint32_t from, unsigned mtu)
{
	if (code == 4) {
		c->n.too_big++;
		c->s.icmp_mtu = mtu;
		return;
	}
	c->s.icmp_from = from;
	c->seen.prohibited = is_prohibited(code);
	c->seen.icmp_code = code;
	if (!about_gre) {
		c->seen.icmp_tcp = true;
		return;
	}
	c->seen.icmp_gre = true;
	if (c->fsm.state != CLIENT_LINK || c->seen.answered)
		return;
	client_note(c, PPTP_WHY_GRE_REFUSED, "%s", icmp_name(code));
	fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
}

/* ---- time ---- */

static void
note_silence(struct pptp_client *c)
{
	enum pptp_why why = client_why_silent(c);

	if (why == PPTP_WHY_NOT_PPTP)
		client_note(c, why, "%s", c->seen.garbage);
	else if (why == PPTP_WHY_AUTH_METHOD)
		client_note(c, why, "%s", c->seen.method);
	else if (why == PPTP_WHY_GRE_ELSEWHERE)
		client_note(c, why, "%u.%u.%u.%u", c->seen.elsewhere >> 24,
		    c->seen.elsewhere >> 16 & 255, c->seen.elsewhere >> 8 & 255,
		    c->seen.elsewhere & 255);
	else
		client_note(c, why, "no answer in %u s", (unsigned)(c->o.step_timeout_ms / 1000));
}

static void
timer_cb(void *arg)
{
	struct pptp_client *c = arg;
	bool stopping = c->fsm.state >= CLIENT_CLOSING || c->fsm.state == CLIENT_CONNECTING;

	if (c->fsm.state == CLIENT_UP)
		return;
	if (!stopping || c->fsm.state == CLIENT_CONNECTING)
		note_silence(c);
	fsm_event(&c->fsm, stopping ? CLIENT_EV_BREAK : CLIENT_EV_FAIL, c, NULL);
}

static void
echo_cb(void *arg)
{
	struct pptp_client *c = arg;
	uint64_t interval_ms = (uint64_t)c->o.echo_s * 1000;

	if (c->fsm.state != CLIENT_UP)
		return;
	if (c->echo_pending) {
		client_note(c, PPTP_WHY_ECHO, "control connection, %u s", c->o.echo_s);
		fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
		return;
	}
	if (loop_now_ms(c->loop) - c->heard_ms >= interval_ms) {
		c->echo_pending = true;
		client_say(
		    c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = ++c->echo_id});
	}
	timer_set(&c->echo, interval_ms);
}

static void
tell_cb(void *arg)
{
	struct pptp_client *c = arg;

	if (c->ops->ended != NULL)
		c->ops->ended(c->arg);
}

/* ---- the object ---- */

void
pptp_client_start(struct pptp_client *c)
{
	c->s.began_us = client_now_us(c);
	fsm_event(&c->fsm, CLIENT_EV_START, c, NULL);
}

void
pptp_client_close(struct pptp_client *c)
{
	client_note(c, PPTP_WHY_LOCAL, "closed");
	fsm_event(&c->fsm, CLIENT_EV_CLOSE, c, NULL);
}

void
pptp_client_state(const struct pptp_client *c, struct pptp_client_state *s)
{
	*s = c->s;
	s->up = c->link_up && c->fsm.state == CLIENT_UP;
	s->detail = c->detail;
	s->host = c->host;
	s->vendor = c->vendor;
}

uint64_t
pptp_client_arrival_us(const struct pptp_client *c)
{
	return c->arrived_us != 0 ? c->arrived_us : client_now_us(c);
}

void
pptp_client_counters(const struct pptp_client *c, struct pptp_client_counters *n)
{
	*n = c->n;
	n->lost = c->rx.stats.lost;
	n->reordered = c->rx.stats.reordered;
	n->duplicate = c->rx.stats.duplicate;
}

static int
copy_options(struct pptp_client *c, const struct pptp_client_options *o)
{
	c->o = *o;
	c->o.user = strdup(o->user);
	c->o.password = strdup(o->password);
	if (c->o.port == 0)
		c->o.port = PPTP_PORT;
	if (c->o.mtu == 0)
		c->o.mtu = 1400;
	if (c->o.step_timeout_ms == 0)
		c->o.step_timeout_ms = STEP_TIMEOUT_MS;
	return c->o.user != NULL && c->o.password != NULL ? 0 : -1;
}

static void
set_up_link(struct pptp_client *c)
{
	ppp_config_defaults(&c->config);
	c->config.style = PPP_STYLE_LINUX;
	c->config.name = c->o.user;
	c->config.password = c->o.password;
	c->config.request_dns = true;
	c->config.mru = c->config.mtu = c->o.mtu;
	c->config.restart_ms = RESTART_MS;
	c->config.max_configure = UINT8_MAX; /* it is the step's timer that ends it */
	c->config.max_terminate = 1;
	c->config.auth_timeout_ms = 2 * c->o.step_timeout_ms;
	c->config.echo_interval_s = c->o.echo_s;
	c->config.echo_failure = ECHO_FAILURE;
}

struct pptp_client *
pptp_client_new(struct loop *l, const struct pptp_client_options *o,
    const struct pptp_client_ops *ops, void *arg, const struct pptp_client_io *io, void *io_arg)
{
	struct pptp_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->io = io;
	c->io_arg = io_arg;
	fsm_init(&c->fsm, &client_table, CLIENT_IDLE);
	pptp_framer_init(&c->framer);
	gre_rx_init(&c->rx, RX_WINDOW, RX_TIMEOUT_US);
	timer_init(&c->timer, l, timer_cb, c);
	timer_init(&c->echo, l, echo_cb, c);
	timer_init(&c->gre_timer, l, client_gre_cb, c);
	timer_init(&c->tell, l, tell_cb, c);
	if (copy_options(c, o) < 0) {
		pptp_client_free(c);
		errno = ENOMEM;
		return NULL;
	}
	set_up_link(c);
	return c;
}

static void
wipe(const char *secret)
{
	union {
		const char *in;
		char *out;
	} u = {.in = secret};

	if (secret != NULL)
		explicit_bzero(u.out, strlen(u.out));
	free(u.out);
}

void
pptp_client_free(struct pptp_client *c)
{
	if (c == NULL)
		return;
	timer_cancel(&c->timer);
	timer_cancel(&c->echo);
	timer_cancel(&c->gre_timer);
	timer_cancel(&c->tell);
	ppp_free(c->ppp);
	gre_rx_fini(&c->rx);
	while (c->n_early > 0)
		free(c->early[--c->n_early].bytes);
	wipe(c->o.user);
	wipe(c->o.password);
	explicit_bzero(c, sizeof(*c));
	free(c);
}
