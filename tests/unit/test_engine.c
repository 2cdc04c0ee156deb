/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections and calls on the virtual clock: the engine's real sources; the monitor and
 * the data plane, which are other processes and threads, are stood in for by recorders below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "tests/unit/engine_alone.h"

/* ---- recorders ---- */

struct waiting {
	priv_done_fn *done;
	void *arg;
};
static struct {
	struct waiting guard[64];
	unsigned n_guard;
	struct waiting mark;
	bool hold_mark;  /* answer later */
	bool hold_guard; /* answer later */
	int guard_error;
	unsigned call_adds, call_dels, listens, silent_closes, marked, detached, frames, resets;
	bool listening, frozen, dozing;
	unsigned exports;
} fake;
static struct engine eng;

void
priv_call_add(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	fake.call_adds++;
	if (fake.hold_guard)
		fake.guard[fake.n_guard++] = (struct waiting){done, arg};
	else
		done(arg, fake.guard_error);
}

void
priv_call_del(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	fake.call_dels++;
	done(arg, 0);
}

void
priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg)
{
	done(arg, 0);
}

void
priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg)
{
	done(arg, 0);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	struct linger l = {0};
	socklen_t len = sizeof l;

	fake.marked++;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len), 0);
	fake.resets += l.l_onoff != 0 && l.l_linger == 0;
	fake.mark = (struct waiting){done, arg};
	if (!fake.hold_mark)
		done(arg, 0);
}

void
priv_silent_close(struct priv *p, int fd)
{
	fake.silent_closes++;
	close(fd);
}

void
priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg)
{
	fake.listens++;
	fake.listening = on;
	if (done != NULL)
		done(arg, 0);
}

void
priv_free(struct priv *p)
{
}

struct dp_session {
	void *owner;
};

struct dp_session *
dp_attach(struct dataplane *dp, const struct dp_session_config *c)
{
	struct dp_session *s = calloc(1, sizeof *s);

	s->owner = c->owner;
	return s;
}

void
dp_detach(struct dataplane *dp, struct dp_session *s)
{
	fake.detached++;
	session_dp_ops.on_detached(&eng, s->owner);
	free(s);
}

int
dp_send_frame(struct dataplane *dp, struct dp_session *s, uint16_t protocol, const uint8_t *payload,
    size_t len)
{
	fake.frames++;
	return 0;
}

void
dp_up(struct dataplane *dp, struct dp_session *s, const struct dp_up *up)
{
}

void
dp_freeze(struct dataplane *dp, bool frozen)
{
	fake.frozen = frozen;
}

void
dp_doze(struct dataplane *dp, bool on)
{
	fake.dozing = on;
}

void
dp_export(struct dataplane *dp, struct dp_session *s, uint32_t ahead, uint32_t low_water)
{
	fake.exports++;
}

/* ---- fixture ---- */

static const char conf_text[] =
    "localip 10.8.0.1\nremoteip 10.8.0.2-9\nconnections 4\nstimeout 10\n"
    "half-open 3\nconnections-per-address 3\n";
static const char options_text[] =
    "name pptpd\nrequire-mschap-v2\nrequire-mppe-128\nlcp-max-configure 200\n";
static const char secrets_text[] = "api-client pptpd secret 10.8.0.9\n";

/* A reload: texts behind those that the fixture has. */
static void
read_files_with(const char *more_conf, const char *options, const char *more_secrets)
{
	char conf[512], secrets[256], opts[256];
	char n1[] = "pptpd.conf", n2[] = "options.pptpd", n3[] = "chap-secrets";
	struct priv_files f = {n1, n2, n3, conf, opts, secrets};

	snprintf(conf, sizeof conf, "%s%s", conf_text, more_conf);
	snprintf(opts, sizeof opts, "%s", options);
	snprintf(secrets, sizeof secrets, "%s%s", secrets_text, more_secrets);
	on_files(&eng, &f);
}

static void
read_files(void)
{
	read_files_with("", options_text, "");
}

static int
setup(void **state)
{
	char conf[sizeof conf_text], options[sizeof options_text], secrets[sizeof secrets_text];

	memcpy(conf, conf_text, sizeof conf);
	memcpy(options, options_text, sizeof options);
	memcpy(secrets, secrets_text, sizeof secrets);
	memset(&fake, 0, sizeof fake);
	memset(&eng, 0, sizeof eng);
	eng.loop = loop_new_virtual();
	strcpy(eng.host, "gw1.example");
	assert_int_equal(rig_engine(&eng, conf, options, secrets), 0);
	eng.max_sockets = 100;
	assert_int_equal(takeover_init(&eng, -1), 0);
	assert_true(fake.frozen && fake.dozing);
	return engine_promote(&eng, 1, NULL, NULL);
}

static int
teardown(void **state)
{
	engine_fini(&eng);
	loop_free(eng.loop);
	return 0;
}

/* A client: our end of the connection. */
struct client {
	int fd;
	struct ctrl *ctrl;
	uint8_t in[8192];
	size_t have;
};

static struct client
client_from(uint32_t ip)
{
	struct client c = {0};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c.fd = fds[0];
	ctrl_accept(&eng, fds[1],
	    &(struct tcp_snapshot){
		.peer_ip = ip, .peer_port = 40000, .local_ip = 0xc633640a, .local_port = 1723});
	c.ctrl = TAILQ_LAST(&eng.ctrls, ctrl_list);
	if (c.ctrl != NULL && c.ctrl->fd != fds[1])
		c.ctrl = NULL; /* refused */
	return c;
}

static void
say_bytes(struct client *c, const void *bytes, size_t len)
{
	assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	if (c->ctrl->fd >= 0)
		c->ctrl->io.cb(IO_READ, c->ctrl->io.arg);
}

static void
say(struct client *c, const struct pptp_message *m)
{
	uint8_t buf[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(buf, sizeof buf);

	assert_int_equal(pptp_encode(m, &w), 0);
	say_bytes(c, buf, wr_len(&w));
}

static void
say_type(struct client *c, uint8_t type)
{
	say(c, &(struct pptp_message){
		   .type = type, .version = PPTP_VERSION, .call_id = 7, .echo_id = 99});
}

/* The next message from the daemon; type 0 = none. `closed` tells whether it closed the connection.
 */
static struct pptp_message
hear(struct client *c, bool *closed)
{
	struct pptp_message m = {0};
	ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - c->have, MSG_DONTWAIT);
	size_t len;

	if (closed != NULL)
		*closed = n == 0;
	if (n > 0)
		c->have += (size_t)n;
	if (c->have < 2)
		return m;
	len = (size_t)c->in[0] << 8 | c->in[1];
	assert_true(c->have >= len);
	assert_int_equal(pptp_parse(c->in, len, &m), 0);
	c->have -= len;
	memmove(c->in, c->in + len, c->have);
	return m;
}

static void
expect_silence(struct client *c)
{
	bool closed;

	assert_int_equal(hear(c, &closed).type, 0);
	assert_false(closed);
}

static void
expect_closed(struct client *c)
{
	bool closed = false;

	while (hear(c, &closed).type != 0)
		;
	assert_true(closed);
	close(c->fd);
	loop_advance(eng.loop, 0); /* the reaper */
}

static struct client
established(uint32_t ip)
{
	struct client c = client_from(ip);
	struct pptp_message m;

	say_type(&c, PPTP_SCCRQ);
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_SCCRP);
	assert_int_equal(m.result, 1);
	return c;
}

static uint16_t
call(struct client *c, uint16_t id)
{
	struct pptp_message m;

	say(c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = id, .window = 64});
	m = hear(c, NULL);
	assert_int_equal(m.type, PPTP_OCRP);
	assert_int_equal(m.peer_call_id, id);
	assert_int_equal(m.result, 1);
	assert_int_not_equal(m.call_id, 0);
	return m.call_id;
}

/* ---- control connection: every cell ---- */

struct cell {
	uint8_t reply; /* 0 = silence */
	bool closes;
};

static struct cell
expected(enum ctrl_state state, uint8_t type)
{
	switch (type) {
	case PPTP_SCCRQ:
		return (struct cell){state == CTRL_WAIT_STOP ? 0 : PPTP_SCCRP, false};
	case PPTP_STOP_RQ:
		return (struct cell){PPTP_STOP_RP, true};
	case PPTP_STOP_RP:
		return (struct cell){0, state == CTRL_WAIT_STOP};
	case PPTP_ECHO_RQ:
		return (struct cell){PPTP_ECHO_RP, false};
	case PPTP_OCRQ:
		return (struct cell){state == CTRL_WAIT_STOP ? 0 : PPTP_OCRP, false};
	case PPTP_ICRQ:
		return (struct cell){state == CTRL_ESTABLISHED ? PPTP_ICRP : 0, false};
	default:
		return (struct cell){0, false};
	}
}

static void
check_cell(enum ctrl_state state, uint8_t type)
{
	struct client c = client_from(0xc6336464);
	struct cell want = expected(state, type);
	struct pptp_message m;

	if (state != CTRL_WAIT_START) {
		say_type(&c, PPTP_SCCRQ);
		assert_int_equal(hear(&c, NULL).type, PPTP_SCCRP);
	}
	if (state == CTRL_WAIT_STOP) {
		ctrl_stop(c.ctrl, 3);
		assert_int_equal(hear(&c, NULL).type, PPTP_STOP_RQ);
	}
	assert_int_equal(c.ctrl->fsm.state, state);
	say_type(&c, type);
	m = hear(&c, NULL);
	assert_int_equal(m.type, want.reply);
	if (m.type == PPTP_ECHO_RP)
		assert_int_equal(m.echo_id, 99);
	if (m.type == PPTP_OCRP)
		assert_int_equal(m.result, state == CTRL_ESTABLISHED ? 1 : 2);
	if (!want.closes) {
		expect_silence(&c);
		ctrl_close(c.ctrl, "test");
	}
	expect_closed(&c);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.n_half_open, 0);
}

static void
test_control_cells(void **state)
{
	for (uint8_t type = 1; type <= PPTP_TYPE_MAX; type++)
		for (int s = CTRL_WAIT_START; s <= CTRL_WAIT_STOP; s++)
			check_cell((enum ctrl_state)s, type);
}

static void
test_unknown_type_is_survived(void **state)
{
	struct client c = established(1);
	static const uint8_t odd[] = {0, 12, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 99, 0, 0};

	say_bytes(&c, odd, sizeof odd);
	expect_silence(&c);
	say_type(&c, PPTP_ECHO_RQ);
	assert_int_equal(hear(&c, NULL).type, PPTP_ECHO_RP);
	close(c.fd);
}

static void
test_wrong_version(void **state)
{
	struct client c = client_from(1);
	struct pptp_message m;

	say(&c, &(struct pptp_message){.type = PPTP_SCCRQ, .version = 0x0200});
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_SCCRP);
	assert_int_equal(m.result, 5);
	expect_closed(&c);
}

static void
test_bytes_one_by_one_and_all_at_once(void **state)
{
	struct client c = client_from(1);
	uint8_t buf[1024];
	struct wr w = wr_init(buf, sizeof buf);

	pptp_encode(&(struct pptp_message){.type = PPTP_SCCRQ, .version = PPTP_VERSION}, &w);
	pptp_encode(&(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 1}, &w);
	for (size_t i = 0; i < wr_len(&w); i++)
		say_bytes(&c, buf + i, 1);
	assert_int_equal(hear(&c, NULL).type, PPTP_SCCRP);
	assert_int_equal(hear(&c, NULL).type, PPTP_ECHO_RP);
	w = wr_init(buf, sizeof buf);
	pptp_encode(&(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1}, &w);
	pptp_encode(&(struct pptp_message){.type = PPTP_SLI}, &w);
	pptp_encode(&(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 2}, &w);
	pptp_encode(&(struct pptp_message){.type = PPTP_CCRQ, .call_id = 1}, &w);
	say_bytes(&c, buf, wr_len(&w));
	assert_int_equal(hear(&c, NULL).type, PPTP_OCRP);
	assert_int_equal(hear(&c, NULL).type, PPTP_ECHO_RP);
	assert_int_equal(hear(&c, NULL).type, PPTP_CDN);
	close(c.fd);
}

static void
test_malformed_drops_only_its_peer(void **state)
{
	struct client bad = established(1), good = established(2);

	say_bytes(&bad, "GET / HTTP/1.0\r\n\r\n", 18);
	expect_closed(&bad);
	assert_int_equal(eng.stats.control_malformed, 1);
	say_type(&good, PPTP_ECHO_RQ);
	assert_int_equal(hear(&good, NULL).type, PPTP_ECHO_RP);
	close(good.fd);
}

static void
test_bare_fin(void **state)
{
	struct client c = established(1);

	call(&c, 1);
	shutdown(c.fd, SHUT_WR);
	c.ctrl->io.cb(IO_READ, c.ctrl->io.arg);
	expect_closed(&c);
	assert_int_equal(eng.n_sessions, 0);
	assert_int_equal(fake.resets, 0);
	assert_int_equal(fake.detached, 1);
	assert_int_equal(fake.call_dels, 1);
	assert_int_equal(eng.stats.ended[END_CONTROL_LOST], 1);
}

static void
test_client_that_does_not_read(void **state)
{
	struct client c = established(1);

	for (unsigned i = 0; i < 200000 && c.ctrl->fsm.state != CTRL_CLOSED; i++)
		ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = i});
	assert_int_equal(c.ctrl->fsm.state, CTRL_CLOSED);
	assert_int_equal(fake.marked, 1);
	assert_int_equal(fake.resets, 1); /* nothing of it stays in the kernel */
	close(c.fd);
}

/* Leaves less room than a Call-Disconnect-Notify takes, so that the next one closes the connection.
 */
static void
fill_output(struct client *c)
{
	const struct pptp_message echo = {.type = PPTP_ECHO_RP};

	while (c->ctrl->out_len + pptp_size(PPTP_OCRP) <= CTRL_OUT_MAX)
		ctrl_send(c->ctrl, &echo);
	assert_int_equal(c->ctrl->fsm.state, CTRL_ESTABLISHED);
}

/* A call ends by itself while its client does not read: what is said of the one closes the other.
 */
static void
test_call_ends_while_the_client_does_not_read(void **state)
{
	struct client c = established(1);
	struct session *s;

	call(&c, 1);
	call(&c, 2);
	fill_output(&c);
	s = TAILQ_FIRST(&c.ctrl->sessions);
	alarm(10); /* it was for ever */
	session_close(s, END_KICKED, true);
	alarm(0);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.n_sessions, 0);
	assert_int_equal(eng.stats.ended[END_KICKED], 1);
	assert_int_equal(eng.stats.ended[END_CONTROL_LOST], 1);
	assert_int_equal(fake.detached, 2);
	assert_int_equal(fake.call_dels, 2);
	close(c.fd);
	loop_advance(eng.loop, 0);
}

/* The same while the firewall's answer is told: no LCP for a call that is gone. */
static void
test_call_opens_while_the_client_does_not_read(void **state)
{
	struct client c = established(1);

	fake.hold_guard = true;
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
	fill_output(&c);
	alarm(10);
	fake.guard[0].done(fake.guard[0].arg, 0);
	alarm(0);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.n_sessions, 0);
	assert_int_equal(fake.frames, 0);
	assert_int_equal(fake.call_dels, 1);
	close(c.fd);
	loop_advance(eng.loop, 0);
}

/* A login replaces a call of its own connection, and that closes both: no address is taken. */
static void
test_login_replaces_a_call_of_its_own_connection(void **state)
{
	struct client c = established(1);
	const uint32_t ip = 0x0a080009;
	struct session *holder, *s;

	call(&c, 1);
	call(&c, 2);
	holder = TAILQ_FIRST(&c.ctrl->sessions);
	s = TAILQ_NEXT(holder, entry);
	s->pending++; /* keep it in memory */
	strcpy(holder->identity.user, "api-client");
	holder->address = take_static(holder, "api-client", ip);
	assert_int_equal(holder->address, ip);
	fill_output(&c);
	alarm(10);
	assert_int_equal(take_static(s, "api-client", ip), 0);
	alarm(0);
	assert_int_equal(s->call.state, CALL_CLOSED);
	assert_null(pool_owner(eng.pool, ip));
	s->pending--;
	session_released(s);
	close(c.fd);
	loop_advance(eng.loop, 0);
}

/* ---- limits and time ---- */

static void
test_half_open_limit_and_timeout(void **state)
{
	struct client c[4];

	for (uint32_t i = 0; i < 3; i++)
		c[i] = client_from(10 + i);
	assert_int_equal(eng.n_half_open, 3);
	c[3] = client_from(20); /* the oldest makes room */
	assert_non_null(c[3].ctrl);
	expect_closed(&c[0]);
	assert_int_equal(eng.n_half_open, 3);
	loop_advance(eng.loop, 9999);
	expect_silence(&c[1]);
	loop_advance(eng.loop, 1);
	for (unsigned i = 1; i < 4; i++)
		expect_closed(&c[i]);
	assert_int_equal(eng.n_ctrls, 0);
}

static void
test_caps(void **state)
{
	struct client c[5];

	for (unsigned i = 0; i < 3; i++)
		c[i] = established(1);
	c[3] = client_from(1); /* connections-per-address 3 */
	assert_null(c[3].ctrl);
	expect_closed(&c[3]);
	c[3] = established(2);
	c[4] = client_from(3); /* connections 4 */
	assert_null(c[4].ctrl);
	expect_closed(&c[4]);
	assert_int_equal(eng.stats.refused_connections, 2);
	for (unsigned i = 0; i < 4; i++)
		close(c[i].fd);
}

/* The FIN of one that is refused leaves when it bears the closing mark, not before. */
static void
test_refusal_is_marked(void **state)
{
	struct client c[4];

	for (unsigned i = 0; i < 3; i++)
		c[i] = established(1);
	fake.hold_mark = true;
	c[3] = client_from(1); /* connections-per-address 3 */
	assert_null(c[3].ctrl);
	assert_int_equal(fake.marked, 1);
	assert_int_equal(eng.n_sockets, 4);
	expect_silence(&c[3]);
	fake.mark.done(fake.mark.arg, 0);
	expect_closed(&c[3]);
	assert_int_equal(eng.n_sockets, 3);
	fake.hold_mark = false;
	eng.role = ROLE_STANDBY; /* it was on its way when we were demoted */
	c[3] = client_from(2);
	assert_null(c[3].ctrl);
	assert_int_equal(fake.silent_closes, 1);
	assert_int_equal(fake.marked, 1);
	for (unsigned i = 0; i < 4; i++)
		close(c[i].fd);
}

/* Strangers hold every place: after some seconds the oldest makes room, a login never does. */
static void
test_strangers_make_room(void **state)
{
	struct client c[6];

	for (uint32_t i = 0; i < 4; i++)
		c[i] = established(10 + i);
	ctrl_proven(c[0].ctrl);
	c[4] = client_from(20);
	assert_null(c[4].ctrl); /* they may be about to log in */
	close(c[4].fd);
	loop_advance(eng.loop, 5000);
	c[4] = established(20);
	expect_closed(&c[1]);
	loop_advance(eng.loop, 5000);
	for (unsigned i = 2; i < 5; i++)
		ctrl_proven(c[i].ctrl);
	c[5] = client_from(21);
	assert_null(c[5].ctrl);
	assert_int_equal(eng.n_ctrls, 4);
	for (unsigned i = 0; i < 6; i++)
		if (i != 1)
			close(c[i].fd);
}

static void
test_strangers_calls_make_room(void **state)
{
	struct client greedy = established(1), idle = established(2), c = established(3);
	struct pptp_message m;

	for (uint16_t i = 1; i <= 4; i++)
		call(&greedy, i);
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
	m = hear(&c, NULL);
	assert_int_equal(m.result, 2);
	loop_advance(eng.loop, 5000);
	call(&c, 1);
	assert_int_equal(eng.n_sessions, 1);
	expect_closed(&greedy);
	expect_silence(&idle); /* it has none to give */
	close(idle.fd);
	close(c.fd);
}

/* Descriptors run out before any other limit: silent ones make room, then strangers. */
static void
test_open_files(void **state)
{
	struct client c[4];

	eng.max_sockets = 2;
	c[0] = client_from(10);
	c[1] = client_from(11);
	c[2] = established(12);
	expect_closed(&c[0]);
	assert_int_equal(eng.n_sockets, 2);
	c[3] = established(13);
	expect_closed(&c[1]);
	c[0] = client_from(14);
	assert_null(c[0].ctrl);
	assert_int_equal(eng.stats.refused_connections, 1);
	close(c[0].fd);
	loop_advance(eng.loop, 5000);
	c[0] = established(14);
	expect_closed(&c[2]);
	assert_int_equal(eng.n_sockets, 2);
	close(c[0].fd);
	close(c[3].fd);
}

/* A connection opens and clears calls as fast as it can: a burst, then one a second. */
static void
test_calls_are_rationed(void **state)
{
	struct client c = established(1);
	struct pptp_message m;

	for (uint16_t i = 1; i <= 64; i++) {
		call(&c, i);
		say(&c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = i});
		assert_int_equal(hear(&c, NULL).type, PPTP_CDN);
		loop_advance(eng.loop, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 99});
		m = hear(&c, NULL);
		assert_int_equal(m.result, 2);
		assert_int_equal(m.error, 4);
	}
	assert_int_equal(fake.call_adds, 64);
	loop_advance(eng.loop, 1000);
	call(&c, 99);
	close(c.fd);
}

static void
test_connection_without_a_call_ends(void **state)
{
	struct client c = established(1);

	loop_advance(eng.loop, 60000);
	assert_int_equal(hear(&c, NULL).type, PPTP_STOP_RQ);
	loop_advance(eng.loop, 3000);
	expect_closed(&c);
}

static void
test_echo(void **state)
{
	struct client c = established(1);
	struct pptp_message m;

	call(&c, 1);
	loop_advance(eng.loop, 50000);
	say(&c, &(struct pptp_message){.type = PPTP_SLI}); /* any traffic postpones */
	loop_advance(eng.loop, 59999);
	expect_silence(&c);
	loop_advance(eng.loop, 1);
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_ECHO_RQ);
	loop_advance(eng.loop, 59000);
	say(&c, &(struct pptp_message){.type = PPTP_ECHO_RP, .echo_id = m.echo_id, .result = 1});
	loop_advance(eng.loop, 59999);
	expect_silence(&c);
	loop_advance(eng.loop, 1001);
	assert_int_equal(hear(&c, NULL).type, PPTP_ECHO_RQ);
	loop_advance(eng.loop, 60000);
	expect_closed(&c);
}

/* ---- calls ---- */

static void
test_reply_waits_for_the_firewall(void **state)
{
	struct client c = established(1);

	fake.hold_guard = true;
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
	expect_silence(&c);
	assert_int_equal(fake.frames, 0);
	fake.guard[0].done(fake.guard[0].arg, 0);
	assert_int_equal(hear(&c, NULL).type, PPTP_OCRP);
	assert_int_equal(fake.frames, 1); /* LCP Configure-Request, after the reply */
	close(c.fd);
}

static void
test_firewall_refuses(void **state)
{
	struct client c = established(1);
	struct pptp_message m;

	fake.guard_error = EIO;
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_OCRP);
	assert_int_equal(m.result, 2);
	assert_int_equal(eng.n_sessions, 0);
	close(c.fd);
}

/* Every cell of the call's machine: {wait-guard, established, closed} x {guard ok, guard failed,
 * close}. */
static void
test_call_cells(void **state)
{
	for (int s = CALL_WAIT_GUARD; s <= CALL_CLOSED; s++) {
		for (int event = 0; event < 3; event++) {
			struct client c = established(1);
			struct session *x;
			int before;

			fake.hold_guard = true;
			say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
			x = TAILQ_FIRST(&c.ctrl->sessions);
			x->pending++; /* keep it in memory */
			if (s == CALL_ESTABLISHED)
				fake.guard[0].done(fake.guard[0].arg, 0);
			if (s == CALL_CLOSED)
				session_close(x, END_KICKED, true);
			before = x->call.state;
			assert_int_equal(before, s);
			if (event == 0 || event == 1) {
				fake.guard[0].done(fake.guard[0].arg, event == 0 ? 0 : EIO);
				assert_int_equal(
				    x->call.state, s == CALL_WAIT_GUARD
						       ? event == 0 ? CALL_ESTABLISHED : CALL_CLOSED
						       : s);
			} else {
				session_close(x, END_KICKED, true);
				assert_int_equal(x->call.state, CALL_CLOSED);
			}
			if (x->call.state != CALL_CLOSED)
				session_close(x, END_KICKED, true);
			x->pending = 0;
			session_released(x);
			ctrl_close(c.ctrl, "test");
			expect_closed(&c);
			assert_int_equal(eng.n_sessions, 0);
			fake.n_guard = 0;
		}
	}
}

static void
test_closed_while_the_firewall_works(void **state)
{
	struct client c = established(1);

	fake.hold_guard = true;
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 1});
	shutdown(c.fd, SHUT_WR);
	c.ctrl->io.cb(IO_READ, c.ctrl->io.arg);
	expect_closed(&c);
	assert_int_equal(fake.call_dels, 0);
	fake.guard[0].done(fake.guard[0].arg, 0); /* the late answer: taken back at once */
	loop_advance(eng.loop, 0);
	assert_int_equal(fake.call_dels, 1);
}

static void
test_two_calls_and_clear(void **state)
{
	struct client c = established(1);
	uint16_t one = call(&c, 1), two = call(&c, 2);
	struct pptp_message m;

	assert_int_not_equal(one, two);
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 2}); /* in use */
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_OCRP);
	assert_int_equal(m.result, 2);
	assert_int_equal(m.error, 5);
	say(&c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = 1});
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_CDN);
	assert_int_equal(m.call_id, one); /* our own id: RFC 2637 §2.13 */
	assert_int_equal(m.result, 4);
	assert_int_equal(eng.n_sessions, 1);
	say(&c,
	    &(struct pptp_message){.type = PPTP_CCRQ, .call_id = 1}); /* again: nothing to clear */
	expect_silence(&c);
	say(&c, &(struct pptp_message){
		    .type = PPTP_CCRQ, .call_id = two}); /* our id instead of theirs */
	assert_int_equal(hear(&c, NULL).type, PPTP_CDN);
	close(c.fd);
}

static void
test_same_call_id_from_two_connections(void **state)
{
	struct client a = established(1), b = established(1);

	assert_int_not_equal(call(&a, 5), call(&b, 5));
	close(a.fd);
	close(b.fd);
}

static void
test_session_cap(void **state)
{
	struct client c = established(1);
	struct pptp_message m;

	for (uint16_t i = 1; i <= 4; i++)
		call(&c, i);
	say(&c, &(struct pptp_message){.type = PPTP_OCRQ, .call_id = 5});
	m = hear(&c, NULL);
	assert_int_equal(m.result, 2);
	assert_int_equal(m.error, 4);
	close(c.fd);
}

/* ---- roles ---- */

static void
test_demotion_is_silent(void **state)
{
	struct client c = established(1);

	call(&c, 1);
	fake.frames = 0;
	assert_int_equal(engine_demote(&eng, 2, NULL, NULL), 0);
	assert_false(fake.listening);
	assert_int_equal(hear(&c, NULL).type, 0);
	assert_int_equal(fake.silent_closes, 1);
	assert_int_equal(fake.marked, 0);
	assert_int_equal(fake.frames, 0);
	assert_int_equal(eng.n_sessions, 0);
	close(c.fd);
	c = client_from(1);
	assert_null(c.ctrl); /* a standby takes nobody */
	close(c.fd);
}

static void
test_epochs(void **state)
{
	assert_int_equal(engine_promote(&eng, 5, NULL, NULL), 0);
	assert_int_equal(engine_promote(&eng, 5, NULL, NULL), 0);
	assert_int_equal(engine_demote(&eng, 4, NULL, NULL), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(eng.role, ROLE_ACTIVE);
	assert_int_equal(engine_demote(&eng, 6, NULL, NULL), 0);
	assert_int_equal(eng.role, ROLE_STANDBY);
}

static void
test_stop_tells_the_clients(void **state)
{
	struct client c = established(1);
	struct pptp_message m;

	call(&c, 1);
	stop_serving(&eng);
	m = hear(&c, NULL);
	assert_int_equal(m.type, PPTP_CDN);
	assert_int_equal(m.result, 3);
	assert_int_equal(hear(&c, NULL).type, PPTP_STOP_RQ);
	timer_cancel(&eng.stop_timer);
	close(c.fd);
}

/* A session that stays keeps its settings over reloads, but no copy of the users. */
static void
test_reloads_under_a_session(void **state)
{
	struct client c = established(1);
	const struct engine_config *old = eng.config;

	call(&c, 1);
	assert_non_null(old->secrets);
	for (unsigned i = 0; i < 3; i++)
		read_files();
	assert_ptr_equal(TAILQ_FIRST(&c.ctrl->sessions)->config, old);
	assert_non_null(old->settings);
	assert_null(old->secrets);
	assert_int_equal(secrets_count(eng.config->secrets), 1);
	say(&c, &(struct pptp_message){.type = PPTP_CCRQ, .call_id = 1});
	assert_int_equal(hear(&c, NULL).type, PPTP_CDN);
	close(c.fd);
}

/* Without `name`, and with `usehostname`, the server field of chap-secrets means the host. */
static void
test_host_name(void **state)
{
	static const char *const options[] = {"refuse-pap\n", "name pptpd\nusehostname\n"};
	const struct secret *found[4];

	for (unsigned i = 0; i < 2; i++) {
		read_files();
		assert_string_equal(eng.config->ppp.name, "pptpd");
		read_files_with("", options[i], "u gw1.example pass *\nv gw2.example pass *\n");
		assert_string_equal(eng.config->settings->name, "gw1.example");
		assert_string_equal(eng.config->ppp.name, "gw1.example");
		assert_int_equal(
		    secrets_find(eng.config->secrets, "u", eng.config->settings->name, found, 4),
		    1);
		assert_int_equal(
		    secrets_find(eng.config->secrets, "v", eng.config->settings->name, found, 4),
		    0);
	}
}

/* The command line, the daemon's file and the options: each asks for debug, a reload keeps it. */
static void
test_debug(void **state)
{
	read_files();
	assert_false(log_debugging());
	read_files_with("debug\n", options_text, "");
	assert_true(log_debugging());
	read_files_with("", "name pptpd\ndebug\n", "");
	assert_true(log_debugging());
	read_files();
	assert_false(log_debugging());
	eng.debug = true;
	read_files();
	assert_true(log_debugging());
	log_set_debug(false);
}

/* An entry that matches and has no address to give, then one with another password. */
static void
test_hash_of_the_entry_that_matches(void **state)
{
	static const uint8_t auth[16] = {1}, peer[16] = {2};
	uint8_t got[16], want[16], response[24];
	const struct ppp_verify v = {"twice", "twice", auth, peer, response};
	struct client c = established(1);

	read_files_with("", options_text, "twice pptpd first -\ntwice pptpd second 10.8.0.4\n");
	assert_int_equal(mschap_nt_hash("first", want), 0);
	mschap_nt_response(auth, peer, "twice", want, response);
	call(&c, 1);
	assert_true(session_verify(TAILQ_FIRST(&c.ctrl->sessions), &v, got));
	assert_memory_equal(got, want, sizeof want);
	close(c.fd);
}

/* The pool of 8 addresses has one that a user owns: nobody else gets it, after a reload neither. */
static void
test_static_addresses_are_kept(void **state)
{
	static int owner;
	uint32_t ip;

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(pool_size(eng.pool), 7);
		for (unsigned i = 0; i < 7; i++) {
			ip = pool_take(eng.pool, NULL, NULL, NULL, &owner);
			assert_in_range(ip, 0x0a080002, 0x0a080008);
		}
		assert_int_equal(pool_take(eng.pool, NULL, NULL, NULL, &owner), 0);
		assert_int_equal(pool_take_ip(eng.pool, 0x0a080009, &owner), 0);
		for (ip = 0x0a080002; ip <= 0x0a080009; ip++)
			pool_release(eng.pool, ip);
		read_files();
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_control_cells),
	    TEST(test_unknown_type_is_survived),
	    TEST(test_wrong_version),
	    TEST(test_bytes_one_by_one_and_all_at_once),
	    TEST(test_malformed_drops_only_its_peer),
	    TEST(test_bare_fin),
	    TEST(test_client_that_does_not_read),
	    TEST(test_call_ends_while_the_client_does_not_read),
	    TEST(test_call_opens_while_the_client_does_not_read),
	    TEST(test_login_replaces_a_call_of_its_own_connection),
	    TEST(test_half_open_limit_and_timeout),
	    TEST(test_caps),
	    TEST(test_refusal_is_marked),
	    TEST(test_strangers_make_room),
	    TEST(test_strangers_calls_make_room),
	    TEST(test_open_files),
	    TEST(test_calls_are_rationed),
	    TEST(test_connection_without_a_call_ends),
	    TEST(test_echo),
	    TEST(test_reply_waits_for_the_firewall),
	    TEST(test_firewall_refuses),
	    TEST(test_call_cells),
	    TEST(test_closed_while_the_firewall_works),
	    TEST(test_two_calls_and_clear),
	    TEST(test_same_call_id_from_two_connections),
	    TEST(test_session_cap),
	    TEST(test_demotion_is_silent),
	    TEST(test_epochs),
	    TEST(test_stop_tells_the_clients),
	    TEST(test_reloads_under_a_session),
	    TEST(test_static_addresses_are_kept),
	    TEST(test_host_name),
	    TEST(test_debug),
	    TEST(test_hash_of_the_entry_that_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
