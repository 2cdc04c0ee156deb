/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control connection's real sources; the standby, the monitor and the sessions are stood in for
 * by recorders. For connections that are replicated, and for some that are continued.
 */
#ifndef UNIT_CTRL_RIG_H
#define UNIT_CTRL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The how manieth allocation of the connection from now on fails; 0: none. */
static unsigned calloc_fails_in;

static inline void *
test_scarce_calloc(size_t n, size_t size)
{
	if (calloc_fails_in == 0 || --calloc_fails_in > 0)
		return calloc(n, size);
	errno = ENOMEM;
	return NULL;
}
#define calloc test_scarce_calloc

#include "pptpd/engine/ctrl.c"
#include "pptpd/engine/ctrl_admit.c"
#include "pptpd/engine/ctrl_io.c"
#include "pptpd/engine/ctrl_life.c"
#include "pptpd/engine/ctrl_restore.c"
#include "pptpd/engine/ctrl_state.c"
#include "pptpd/engine/ctrl_watch.c"
#include "pptpd/engine/hole.c"

#undef calloc

#define ASKED_MAX 256
#define PEER      0xc6336464
#define VIP       0xc633640a

/* ---- recorders ---- */

bool
loopback_admit(const struct engine *e)
{
	return false;
}

static struct {
	bool holds; /* the standby: bytes wait for it */
	unsigned changes, adds, removes, replicated;
	struct connection_record record; /* the newest */
	struct {
		struct tcp_restore what;
		priv_fd_fn *done;
		void *arg;
	} asked[ASKED_MAX];
	unsigned n_asked, answered;
	priv_fd_fn *ear_done;
	bool hold_probe;
	priv_done_fn *probe_done;
	void *probe_arg;
	void *ear_arg;
	int ear; /* our end of the raw socket */
	unsigned probes, silent_closes, marks, sessions_closed;
} fake;
static struct engine eng;
static struct settings conf;
static struct engine_config config = {.refs = 1, .settings = &conf};

void
priv_restore(struct priv *p, const struct tcp_restore *r, priv_fd_fn *done, void *arg)
{
	assert_true(fake.n_asked < ASKED_MAX);
	fake.asked[fake.n_asked].what = *r;
	fake.asked[fake.n_asked].done = done;
	fake.asked[fake.n_asked++].arg = arg;
}

void
priv_sniffer(struct priv *p, priv_fd_fn *done, void *arg)
{
	fake.ear_done = done;
	fake.ear_arg = arg;
}

void
priv_probe(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	assert_true(fd >= 0);
	fake.probes++;
	fake.probe_done = done;
	fake.probe_arg = arg;
	if (!fake.hold_probe)
		done(arg, 0);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	fake.marks++;
	done(arg, 0);
}

void
priv_silent_close(struct priv *p, int fd)
{
	fake.silent_closes++;
	close(fd);
}

bool
replica_changed(struct replica *r, struct replica_connection *c)
{
	assert_true(c->member);
	fake.changes++;
	if (fake.holds)
		ctrl_record(ctrl_of_replica(c), &fake.record);
	return fake.holds;
}

void
replica_add_connection(struct replica *r, struct replica_connection *c, uint64_t id)
{
	c->member = true;
	c->id = id;
	fake.adds++;
}

void
replica_remove_connection(struct replica *r, struct replica_connection *c)
{
	assert_true(c->member);
	c->member = false;
	fake.removes++;
}

struct engine_config *
engine_config_ref(struct engine_config *c)
{
	c->refs++;
	return c;
}

void
engine_config_unref(struct engine_config *c)
{
	c->refs--;
}

void
engine_reap(struct engine *e, struct reap *r, void (*free_object)(void *object), void *object)
{
	r->free = free_object;
	r->object = object;
	STAILQ_INSERT_TAIL(&e->dead, r, next);
}

static inline void
reap_all(void)
{
	struct reap *r;

	while ((r = STAILQ_FIRST(&eng.dead)) != NULL) {
		STAILQ_REMOVE_HEAD(&eng.dead, next);
		r->free(r->object);
	}
}

bool
engine_log_ok(struct engine *e, uint32_t peer_ip)
{
	return true;
}

uint64_t
engine_new_id(struct engine *e)
{
	return ++e->next_id;
}

void
session_open(struct ctrl *c, const struct pptp_message *ocrq)
{
}

void
session_clear(struct session *s)
{
}

void
session_leave(struct session *s)
{
	TAILQ_REMOVE(&s->ctrl->sessions, s, entry);
	s->ctrl->n_sessions--;
}

void
session_close(struct session *s, enum session_end end, bool tell)
{
	fake.sessions_closed++;
	free(s);
}

struct session *
session_by_peer_id(struct ctrl *c, uint16_t peer_call_id)
{
	return NULL;
}

void
dp_session_counters(const struct dp_session *s, struct dp_counters *c)
{
	memset(c, 0, sizeof *c);
}

/* ---- fixture ---- */

static inline int
setup(void **state)
{
	memset(&fake, 0, sizeof fake);
	memset(&eng, 0, sizeof eng);
	fake.ear = -1;
	conf = (struct settings){.stimeout_s = 10,
	    .control_timeout_s = 60,
	    .echo_interval_s = 60,
	    .echo_timeout_s = 60,
	    .connections = 1000,
	    .max_half_open = 1000};
	eng.loop = loop_new_virtual();
	eng.role = ROLE_ACTIVE;
	eng.config = &config;
	eng.max_sockets = 1000;
	eng.limit = log_limit_new(30, 16);
	eng.by_call = calloc(65536, sizeof(struct session *));
	eng.replica = (struct replica *)&fake; /* never looked into */
	TAILQ_INIT(&eng.ctrls);
	TAILQ_INIT(&eng.half_open);
	TAILQ_INIT(&eng.strangers);
	STAILQ_INIT(&eng.dead);
	return 0;
}

static inline int
teardown(void **state)
{
	ctrl_silence_all(&eng);
	reap_all();
	ctrl_abandon_all(&eng);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.n_sockets, 0);
	assert_int_equal(eng.restoring, 0);
	assert_int_equal(config.refs, 1);
	assert_int_equal(loop_next_ms(eng.loop), UINT64_MAX);
	loop_free(eng.loop);
	free(eng.by_call);
	log_limit_free(eng.limit);
	if (fake.ear >= 0)
		close(fake.ear);
	return 0;
}

struct client {
	int fd;
	struct ctrl *ctrl;
};

static inline void
pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

/* Over TCP, so that the kernel knows what is acknowledged. */
static inline void
tcp_pair(int fds[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&a, len), 0);
	fds[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fds[1] >= 0);
	close(l);
}

static inline void
add_session(struct ctrl *c)
{
	struct session *s = calloc(1, sizeof *s);

	s->ctrl = c;
	s->up = true;
	TAILQ_INSERT_TAIL(&c->sessions, s, entry);
	c->n_sessions++;
}

static inline void
end_session(struct ctrl *c)
{
	struct session *s = TAILQ_FIRST(&c->sessions);

	session_leave(s);
	free(s);
	ctrl_call_ended(c);
}

static const struct tcp_snapshot snapshot = {.peer_ip = PEER,
    .local_ip = VIP,
    .peer_port = 40000,
    .local_port = 1723,
    .snd0 = 0xfffffff0,
    .rcv0 = 0xffffff00,
    .tsval = 1000};

static inline void
say_bytes(struct client *c, const void *bytes, size_t len)
{
	assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	if (c->ctrl != NULL && c->ctrl->fd >= 0)
		c->ctrl->io.cb(IO_READ, c->ctrl->io.arg);
}

static inline size_t
encode(uint8_t *buf, size_t size, uint8_t type, uint32_t echo_id)
{
	struct wr w = wr_init(buf, size);

	assert_int_equal(pptp_encode(&(struct pptp_message){.type = type,
					 .echo_id = echo_id,
					 .version = PPTP_VERSION,
					 .vendor = "cananian"},
			     &w),
	    0);
	return wr_len(&w);
}

static inline void
say(struct client *c, uint8_t type, uint32_t echo_id)
{
	uint8_t buf[PPTP_MESSAGE_MAX];

	say_bytes(c, buf, encode(buf, sizeof buf, type, echo_id));
}

/* The next message, type 0 = none. */
static inline struct pptp_message
hear(struct client *c)
{
	struct pptp_message m = {0};
	uint8_t buf[PPTP_MESSAGE_MAX];
	ssize_t n = recv(c->fd, buf, 2, MSG_DONTWAIT);
	size_t len;

	if (n <= 0)
		return m;
	assert_int_equal(n, 2);
	len = (size_t)buf[0] << 8 | buf[1];
	assert_int_equal(recv(c->fd, buf + 2, len - 2, MSG_DONTWAIT), (ssize_t)len - 2);
	assert_int_equal(pptp_parse(buf, len, &m), 0);
	return m;
}

static inline void
expect(struct client *c, uint8_t type)
{
	assert_int_equal(hear(c).type, type);
}

static inline bool
closed(struct client *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* With a call that is up, and a standby that has its record; SCCRQ's 156 bytes were read. */
static inline struct client
replicated(int fds[2])
{
	struct client c = {.fd = fds[0]};

	ctrl_accept(&eng, fds[1], &snapshot);
	c.ctrl = TAILQ_LAST(&eng.ctrls, ctrl_list);
	say(&c, PPTP_SCCRQ, 0);
	expect(&c, PPTP_SCCRP);
	ctrl_proven(c.ctrl);
	add_session(c.ctrl);
	assert_int_equal(fake.changes, 0); /* nobody is asked for what is not replicated */
	ctrl_replicate(c.ctrl);
	ctrl_replicate(c.ctrl);
	assert_int_equal(fake.adds, ++fake.replicated);
	fake.holds = true;
	return c;
}

static inline struct client
replicated_local(void)
{
	int fds[2];

	pair(fds);
	return replicated(fds);
}

/* ---- a takeover ---- */

static inline struct ctrl *
try_to_continue(uint16_t port)
{
	struct connection_record r = {.id = port,
	    .tcp = snapshot,
	    .rx_bytes = 300,
	    .acked_bytes = 200,
	    .state = CTRL_ESTABLISHED,
	    .echo_id = 5,
	    .peer_echo_id = 41,
	    .tail_len = 20};

	r.tcp.peer_port = port;
	(void)encode(r.tail, sizeof r.tail, PPTP_ECHO_RP, 41);
	return ctrl_continue(&eng, &r);
}

static inline struct ctrl *
continued(uint16_t port)
{
	struct ctrl *c = try_to_continue(port);

	assert_non_null(c);
	add_session(c);
	ctrl_replicate(c);
	return c;
}

/* The raw socket is there. */
static inline void
open_ear(void)
{
	int fds[2];

	assert_non_null(fake.ear_done);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	fake.ear = fds[0];
	fake.ear_done(fake.ear_arg, fds[1], 0);
}

/* Its next question is answered with a socket; the other end is the client's. */
static inline struct client
answer(void)
{
	struct client c;
	int fds[2];
	unsigned i = fake.answered++;

	assert_true(i < fake.n_asked);
	pair(fds);
	c.fd = fds[0];
	c.ctrl = fake.asked[i].arg;
	fake.asked[i].done(fake.asked[i].arg, fds[1], 0);
	return c;
}

static inline void
refuse(int err)
{
	unsigned i = fake.answered++;

	assert_true(i < fake.n_asked);
	fake.asked[i].done(fake.asked[i].arg, -1, err);
}

/* A segment of the client: numbers from what is expected, and from what was sent. */
static inline void
segment(const struct ctrl *c, int32_t seq, int32_t ack)
{
	uint8_t packet[40];
	struct wr w = wr_init(packet, sizeof packet);

	wr_u16(&w, 0x4500);
	wr_u16(&w, sizeof packet);
	wr_u32(&w, 0);
	wr_u32(&w, 0x40060000);
	wr_u32(&w, c->tcp.peer_ip);
	wr_u32(&w, c->tcp.local_ip);
	wr_u16(&w, c->tcp.peer_port);
	wr_u16(&w, c->tcp.local_port);
	wr_u32(&w, c->tcp.rcv0 + c->rx_bytes + (uint32_t)seq);
	wr_u32(&w, c->tcp.snd0 + c->tx_bytes + (uint32_t)ack);
	wr_u32(&w, 0x50100000);
	wr_u32(&w, 0);
	assert_true(wr_ok(&w));
	assert_int_equal(send(fake.ear, packet, sizeof packet, 0), sizeof packet);
	eng.watcher->io.cb(IO_READ, eng.watcher->io.arg);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
