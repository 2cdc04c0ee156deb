/* link: pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A control connection that is replicated, and one that is continued: what is said when the standby
 * knows of it and when not, what its record holds, how it gets its socket back, and how a hole is
 * found and repaired. The connection's real sources; the standby, the monitor and the sessions are
 * stood in for by recorders.
 */
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

static void *
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

static void
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

static int
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

static int
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

static void
pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

/* Over TCP, so that the kernel knows what is acknowledged. */
static void
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

static void
add_session(struct ctrl *c)
{
	struct session *s = calloc(1, sizeof *s);

	s->ctrl = c;
	s->up = true;
	TAILQ_INSERT_TAIL(&c->sessions, s, entry);
	c->n_sessions++;
}

static void
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

static void
say_bytes(struct client *c, const void *bytes, size_t len)
{
	assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	if (c->ctrl != NULL && c->ctrl->fd >= 0)
		c->ctrl->io.cb(IO_READ, c->ctrl->io.arg);
}

static size_t
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

static void
say(struct client *c, uint8_t type, uint32_t echo_id)
{
	uint8_t buf[PPTP_MESSAGE_MAX];

	say_bytes(c, buf, encode(buf, sizeof buf, type, echo_id));
}

/* The next message, type 0 = none. */
static struct pptp_message
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

static void
expect(struct client *c, uint8_t type)
{
	assert_int_equal(hear(c).type, type);
}

static bool
closed(struct client *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* With a call that is up, and a standby that has its record; SCCRQ's 156 bytes were read. */
static struct client
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

static struct client
replicated_local(void)
{
	int fds[2];

	pair(fds);
	return replicated(fds);
}

/* ---- output commit ---- */

static void
test_told_before_written(void **state)
{
	struct client c = replicated_local();
	const struct connection_record *r = &fake.record;

	say(&c, PPTP_ECHO_RQ, 77);
	expect(&c, 0);
	assert_int_equal(fake.changes, 1);
	assert_int_equal(r->id, c.ctrl->id);
	assert_int_equal(r->rx_bytes, 156 + 16);
	assert_int_equal(r->acked_bytes + r->tail_len, 156 + 20);
	assert_int_equal(r->peer_echo_id, 77);
	assert_int_equal(r->state, CTRL_ESTABLISHED);
	assert_true(r->buffers_gaps);
	c.ctrl->io.cb(IO_WRITE, c.ctrl->io.arg); /* a socket that takes it is no leave */
	expect(&c, 0);
	ctrl_committed(c.ctrl);
	assert_int_equal(hear(&c).echo_id, 77);
	expect(&c, 0);
	close(c.fd);
}

static void
test_what_was_read_is_told(void **state)
{
	struct client c = replicated_local();
	uint8_t buf[3 * PPTP_MESSAGE_MAX];
	size_t len = encode(buf, sizeof buf, PPTP_ECHO_RQ, 1);

	say_bytes(&c, buf, 5);
	assert_int_equal(fake.changes, 1);
	assert_int_equal(fake.record.partial_len, 5);
	assert_memory_equal(fake.record.partial, buf, 5);
	assert_int_equal(fake.record.rx_bytes, 156 + 5);
	/* One read is one record: the rest, two whole messages, half a message. */
	memmove(buf, buf + 5, len - 5);
	len -= 5;
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 2);
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 3);
	(void)encode(buf + len, sizeof buf - len, PPTP_SLI, 0);
	say_bytes(&c, buf, len + 9);
	assert_int_equal(fake.changes, 2);
	assert_int_equal(fake.record.partial_len, 9);
	assert_int_equal(fake.record.rx_bytes, 156 + 3 * 16 + 9);
	assert_int_equal(fake.record.peer_echo_id, 3);
	ctrl_committed(c.ctrl);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(hear(&c).echo_id, id);
	close(c.fd);
}

/* More than a record holds: whole messages, in order, as the client acknowledges. */
static void
test_more_than_a_record_holds(void **state)
{
	struct client c;
	int fds[2];
	uint32_t next = 0;
	unsigned told;

	tcp_pair(fds);
	c = replicated(fds);
	for (uint32_t i = 0; i < 40; i++)
		ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RP, .echo_id = i});
	expect(&c, 0);
	for (unsigned turns = 0; next < 40 && turns < 20; turns++) {
		assert_in_range(fake.record.tail_len, 20, TCP_TAIL_MAX);
		assert_int_equal(fake.record.tail_len % 20, 0);
		assert_int_equal(fake.record.acked_bytes, 156 + 20 * next);
		told = fake.record.tail_len / 20u;
		ctrl_committed(c.ctrl);
		for (unsigned n = 0; n < told; n++)
			assert_int_equal(hear(&c).echo_id, next++);
		expect(&c, 0);
		loop_advance(eng.loop, ROOM_AGAIN);
	}
	assert_int_equal(next, 40);
	assert_int_equal(c.ctrl->out_len, 0);
	ctrl_record(c.ctrl, &fake.record);
	assert_int_equal(fake.record.acked_bytes, 156 + 800);
	assert_int_equal(fake.record.tail_len, 0);
	close(c.fd);
}

static void
test_tail_is_what_is_not_acknowledged(void **state)
{
	struct client c = replicated_local(); /* it reads nothing: nothing is acknowledged */
	uint8_t want[20];

	for (uint32_t i = 0; i < 30; i++) {
		say(&c, PPTP_ECHO_RQ, i);
		ctrl_committed(c.ctrl);
	}
	ctrl_record(c.ctrl, &fake.record);
	assert_int_equal(fake.record.acked_bytes + fake.record.tail_len, c.ctrl->tx_bytes);
	assert_in_range(fake.record.tail_len, 20, TCP_TAIL_MAX);
	(void)encode(want, sizeof want, PPTP_ECHO_RP, c.ctrl->tx_bytes / 20 - 156 / 20 - 1);
	assert_memory_equal(fake.record.tail + fake.record.tail_len - 20, want, 16);
	close(c.fd);
}

/* Nobody is in step any more: what waited goes out, told or not. */
static void
test_solo_lets_everything_go(void **state)
{
	struct client c = replicated_local();

	for (uint32_t i = 0; i < 30; i++)
		ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RP, .echo_id = i});
	expect(&c, 0);
	fake.holds = false;
	ctrl_committed(c.ctrl);
	loop_advance(eng.loop, ROOM_AGAIN);
	for (uint32_t i = 0; i < 30; i++) {
		struct pptp_message m = hear(&c);

		if (m.type == 0) { /* the kernel's share is acknowledged by being read */
			loop_advance(eng.loop, ROOM_AGAIN);
			m = hear(&c);
		}
		assert_int_equal(m.type, PPTP_ECHO_RP);
		assert_int_equal(m.echo_id, i);
	}
	close(c.fd);
}

static void
test_close_in_order_waits(void **state)
{
	struct client c = replicated_local();
	struct ctrl *ctrl = c.ctrl;

	say(&c, PPTP_STOP_RQ, 0);
	expect(&c, 0);
	assert_false(closed(&c));
	assert_int_equal(fake.sessions_closed, 1);
	assert_int_equal(fake.removes, 0);
	assert_int_equal(fake.record.tail_len + fake.record.acked_bytes, 156 + 16);
	ctrl_committed(ctrl);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	assert_int_equal(fake.removes, 1);
	assert_int_equal(fake.marks, 1);
	close(c.fd);
}

/* What is applied is an older record: the newest, with the last words, is on its way. */
static void
test_close_in_order_waits_for_the_last(void **state)
{
	struct client c = replicated_local();
	struct ctrl *ctrl = c.ctrl;

	say(&c, PPTP_STOP_RQ, 0);
	ctrl->replica.waiting = true;
	ctrl_committed(ctrl);
	expect(&c, 0);
	assert_false(closed(&c));
	ctrl->replica.waiting = false;
	ctrl_committed(ctrl);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_close_in_order_waits_no_longer(void **state)
{
	struct client c = replicated_local();

	say(&c, PPTP_STOP_RQ, 0);
	loop_advance(eng.loop, CLOSE_WAIT - 1);
	expect(&c, 0);
	loop_advance(eng.loop, 1);
	expect(&c, PPTP_STOP_RP);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_silence_says_nothing_that_waits(void **state)
{
	struct client a = replicated_local(), b = replicated_local();
	struct ctrl *ctrl = b.ctrl;

	say(&a, PPTP_ECHO_RQ, 1);
	say(&b, PPTP_STOP_RQ, 0); /* on its way out */
	ctrl_silence_all(&eng);
	assert_int_equal(fake.silent_closes, 2);
	assert_int_equal(fake.marks, 0);
	assert_int_equal(ctrl->replica.member, false);
	loop_advance(eng.loop, 1000);
	expect(&a, 0);
	expect(&b, 0);
	close(a.fd);
	close(b.fd);
}

/* What its last call's end made us say is told as well; then the standby may forget it. */
static void
test_leaves_the_replica_with_its_last_call(void **state)
{
	struct client c = replicated_local();

	add_session(c.ctrl);
	end_session(c.ctrl);
	assert_int_equal(fake.removes, 0);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_CDN});
	end_session(c.ctrl);
	assert_int_equal(fake.removes, 0);
	expect(&c, 0);
	ctrl_committed(c.ctrl);
	assert_int_equal(fake.removes, 1);
	expect(&c, PPTP_CDN);
	say(&c, PPTP_ECHO_RQ, 1);
	expect(&c, PPTP_ECHO_RP);
	close(c.fd);
}

/* ---- takeover ---- */

static struct ctrl *
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

static struct ctrl *
continued(uint16_t port)
{
	struct ctrl *c = try_to_continue(port);

	assert_non_null(c);
	add_session(c);
	ctrl_replicate(c);
	return c;
}

/* The raw socket is there. */
static void
open_ear(void)
{
	int fds[2];

	assert_non_null(fake.ear_done);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	fake.ear = fds[0];
	fake.ear_done(fake.ear_arg, fds[1], 0);
}

/* Its next question is answered with a socket; the other end is the client's. */
static struct client
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

static void
refuse(int err)
{
	unsigned i = fake.answered++;

	assert_true(i < fake.n_asked);
	fake.asked[i].done(fake.asked[i].arg, -1, err);
}

/* A segment of the client: numbers from what is expected, and from what was sent. */
static void
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

static void
test_restored(void **state)
{
	struct ctrl *c = continued(40000);
	struct connection_record r;
	struct client peer;

	assert_int_equal(eng.restoring, 1);
	ctrl_send(c, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	ctrl_record(c, &r); /* the next standby's: the same, and what waits */
	assert_int_equal(r.rx_bytes, 300);
	assert_int_equal(r.acked_bytes, 200);
	assert_int_equal(r.tail_len, 36);
	ctrl_restore_start(&eng);
	assert_int_equal(fake.n_asked, 0); /* first the ear: the client's answer must be heard */
	open_ear();
	assert_int_equal(fake.n_asked, 1);
	assert_int_equal(fake.asked[0].what.snd, snapshot.snd0 + 200);
	assert_int_equal(fake.asked[0].what.rcv, snapshot.rcv0 + 300);
	assert_int_equal(fake.asked[0].what.tail_len, 20);
	assert_memory_equal(fake.asked[0].what.tail, r.tail, 20);
	peer = answer();
	assert_int_equal(eng.restoring, 0);
	expect(&peer, PPTP_ECHO_RQ); /* the tail is the monitor's business */
	say(&peer, PPTP_ECHO_RQ, 42);
	expect(&peer, PPTP_ECHO_RP);
	ctrl_record(c, &r);
	assert_int_equal(r.tcp.tsval, snapshot.tsval + TCP_TSVAL_AHEAD_MS);
	assert_int_equal(r.rx_bytes, 316);
	assert_int_equal(r.acked_bytes + r.tail_len, 256);
	assert_int_equal(r.id, 40000);
	close(peer.fd);
}

static void
test_record_survives_the_move(void **state)
{
	struct client c = replicated_local();
	struct connection_record before, after;
	uint8_t buf[PPTP_MESSAGE_MAX];
	struct ctrl *moved;

	(void)encode(buf, sizeof buf, PPTP_SLI, 0);
	say(&c, PPTP_ECHO_RQ, 9);
	say_bytes(&c, buf, 13);
	ctrl_record(c.ctrl, &before);
	fake.holds = false;
	ctrl_silence_all(&eng);
	moved = ctrl_continue(&eng, &before);
	add_session(moved);
	ctrl_record(moved, &after);
	assert_memory_equal(&before, &after, sizeof before);
	close(c.fd);
}

static void
test_slices(void **state)
{
	for (uint16_t i = 0; i < 200; i++)
		(void)continued((uint16_t)(40000 + i));
	assert_int_equal(eng.restoring, 200);
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < 200; i++) {
		struct client c;

		assert_int_equal(fake.n_asked, i + RESTORE_SLICE < 200 ? i + RESTORE_SLICE : 200);
		c = answer();
		close(c.fd);
	}
	assert_int_equal(eng.restoring, 0);
}

/* Whatever there is no memory for: no half connection is handed out, and none is counted. */
static void
test_continued_without_memory(void **state)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		calloc_fails_in = nth;
		errno = 0;
		assert_null(try_to_continue(40000));
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(calloc_fails_in, 0);
		assert_int_equal(eng.n_ctrls, 0);
		assert_int_equal(eng.restoring, 0);
		reap_all();
		assert_int_equal(eng.n_sockets, 0);
	}
	(void)continued(40000);
	assert_int_equal(eng.restoring, 1);
}

/* Echoes of many that were restored at once are spread over the interval. */
static void
test_timers_are_spread(void **state)
{
	unsigned early = 0, n = 200;
	struct ctrl *c;

	for (uint16_t i = 0; i < n; i++)
		(void)continued((uint16_t)(40000 + i));
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < n; i++)
		close(answer().fd);
	TAILQ_FOREACH(c, &eng.ctrls, entry)
	{
		uint64_t in = c->timer.due_ms - loop_now_ms(eng.loop);

		assert_in_range(in, 1, 60001);
		early += in <= 30000;
	}
	assert_in_range(early, n / 4, n * 3 / 4);
}

static void
test_address_comes_late(void **state)
{
	struct ctrl *c = continued(40000);

	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; i < 10; i++) {
		refuse(EADDRNOTAVAIL);
		assert_int_equal(fake.n_asked, i + 1);
		loop_advance(eng.loop, RESTORE_SOON);
		assert_int_equal(fake.n_asked, i + 2);
	}
	assert_int_equal(eng.restoring, 1);
	close(answer().fd);
	assert_int_equal(eng.restoring, 0);
	assert_true(c->fd >= 0);
}

static void
test_not_restored_for_good(void **state)
{
	(void)continued(40000);
	ctrl_restore_start(&eng);
	open_ear();
	for (unsigned i = 0; eng.n_ctrls > 0 && i < 20; i++) {
		assert_int_equal(fake.sessions_closed, 0); /* its data goes on meanwhile */
		refuse(EINVAL);
		loop_advance(eng.loop, RESTORE_AGAIN);
	}
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.restoring, 0);
	assert_int_equal(ctrl_not_restored(&eng), 1);
	assert_int_equal(fake.sessions_closed, 1);
	assert_in_range(fake.n_asked, 5, 10);
	assert_int_equal(fake.marks, 0);
}

/* The address never comes: all are closed and counted, and the log names some of them. */
static void
test_many_are_not_restored(void **state)
{
	char line[200];
	unsigned named = 0;
	FILE *said = tmpfile();

	assert_non_null(said);
	log_init("test", fileno(said), false);
	for (uint16_t i = 0; i < ASKED_MAX; i++)
		(void)continued((uint16_t)(40000 + i));
	ctrl_restore_start(&eng);
	open_ear();
	while (fake.answered < fake.n_asked)
		refuse(EPIPE);
	log_init("test", -1, false);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.restoring, 0);
	assert_int_equal(fake.sessions_closed, ASKED_MAX);
	assert_int_equal(eng.restorer->failed, ASKED_MAX);
	rewind(said);
	while (fgets(line, sizeof line, said) != NULL)
		named += strstr(line, "not restored peer=") != NULL;
	assert_in_range(named, 1, 30);
	(void)fclose(said);
}

static void
test_demoted_while_it_is_restored(void **state)
{
	struct client peer;

	(void)continued(40000);
	(void)continued(40001);
	ctrl_restore_start(&eng);
	open_ear();
	fake.holds = false;
	ctrl_silence_all(&eng);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(fake.silent_closes, 0);
	peer = answer();
	refuse(EINVAL);
	assert_int_equal(fake.silent_closes, 1);
	expect(&peer, 0);
	reap_all();
	assert_int_equal(eng.n_sockets, 0);
	assert_int_equal(eng.restoring, 0);
	close(peer.fd);
}

/* Its last words are said when it has a socket. */
static void
test_closed_while_it_is_restored(void **state)
{
	struct ctrl *c = continued(40000);
	struct client peer;

	ctrl_restore_start(&eng);
	open_ear();
	ctrl_send(c, &(struct pptp_message){.type = PPTP_CDN});
	ctrl_close(c, "test");
	assert_int_equal(eng.n_ctrls, 0);
	peer = answer();
	expect(&peer, PPTP_CDN);
	assert_true(closed(&peer));
	assert_int_equal(eng.restoring, 0);
	close(peer.fd);
}

/* ---- holes ---- */

static struct client
restored_client(void)
{
	struct client c;

	(void)continued(40000);
	ctrl_restore_start(&eng);
	open_ear();
	c = answer();
	assert_non_null(c.ctrl->watch);
	return c;
}

static void
test_in_step(void **state)
{
	struct client c = restored_client();

	segment(c.ctrl, 0, 0);
	assert_null(c.ctrl->watch);
	loop_advance(eng.loop, 5000);
	assert_int_equal(eng.watcher->fd, -1); /* nobody is left to listen to */
	assert_int_equal(fake.probes, 0);
	assert_int_equal(eng.stats.holes, 0);
	close(c.fd);
}

static void
test_answer_comes_before_the_monitor_s(void **state)
{
	struct ctrl *c = continued(40000);

	ctrl_restore_start(&eng);
	open_ear();
	segment(c, 0, 0);
	assert_null(c->watch);
	close(answer().fd);
}

static void
test_silent_ones_are_probed(void **state)
{
	struct client c = restored_client();

	loop_advance(eng.loop, PROBE_AGAIN - WATCH_TICK);
	assert_int_equal(fake.probes, 0);
	loop_advance(eng.loop, 2ull * WATCH_TICK);
	assert_int_equal(fake.probes, 1);
	loop_advance(eng.loop, 20000);
	assert_int_equal(fake.probes, PROBES_MAX);
	assert_non_null(c.ctrl->watch);
	loop_advance(eng.loop, WATCH_MS);
	assert_null(c.ctrl->watch);
	assert_int_equal(eng.watcher->fd, -1);
	close(c.fd);
}

/* The monitor has the socket in repair mode: nothing is read or written meanwhile. */
static void
test_hands_off_while_it_is_probed(void **state)
{
	struct client c = restored_client();

	fake.hold_probe = true;
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	assert_int_equal(fake.probes, 1);
	say(&c, PPTP_ECHO_RQ, 42);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	assert_int_equal(c.ctrl->rx_bytes, 300);
	expect(&c, 0);
	loop_advance(eng.loop, 5000);
	assert_int_equal(fake.probes, 1);
	fake.probe_done(fake.probe_arg, 0);
	expect(&c, PPTP_ECHO_RQ);
	c.ctrl->io.cb(IO_READ, c.ctrl->io.arg);
	assert_int_equal(hear(&c).echo_id, 42);
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	assert_int_equal(fake.probes, 2);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_CDN});
	ctrl_close(c.ctrl, "test");
	expect(&c, 0);
	assert_int_equal(fake.marks, 0);
	fake.probe_done(fake.probe_arg, 0);
	expect(&c, PPTP_CDN);
	assert_true(closed(&c));
	close(c.fd);
}

static void
test_demoted_while_it_is_probed(void **state)
{
	struct client c = restored_client();

	fake.hold_probe = true;
	loop_advance(eng.loop, PROBE_AGAIN + WATCH_TICK);
	ctrl_close(c.ctrl, "test");
	ctrl_silence_all(&eng);
	reap_all();
	assert_int_equal(eng.n_sockets, 0);
	assert_int_equal(fake.silent_closes, 1);
	fake.probe_done(fake.probe_arg, 0);
	close(c.fd);
}

/* An Echo-Request was acknowledged by the dead kernel: answered unseen, and the stream goes on. */
static void
test_hole(void **state)
{
	struct client old = restored_client(), c;
	const struct tcp_restore *t = &fake.asked[1].what;

	segment(old.ctrl, 16, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS - WATCH_TICK);
	assert_int_equal(fake.silent_closes, 0);
	loop_advance(eng.loop, 2ull * WATCH_TICK);
	assert_int_equal(fake.silent_closes, 1);
	assert_int_equal(eng.stats.holes, 1);
	assert_int_equal(eng.stats.holes_repaired, 0);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(t->rcv, snapshot.rcv0 + 300 + 16);
	assert_int_equal(t->snd + t->tail_len, snapshot.snd0 + 220);
	assert_int_equal(t->tcp.tsval, snapshot.tsval + TCP_TSVAL_AHEAD_MS);
	c = answer();
	assert_int_equal(hear(&c).echo_id, 42);
	segment(c.ctrl, 0, 0);
	assert_int_equal(eng.stats.holes_repaired, 1);
	assert_null(c.ctrl->watch);
	say(&c, PPTP_ECHO_RQ, 43);
	assert_int_equal(hear(&c).echo_id, 43);
	assert_int_equal(fake.sessions_closed, 0);
	close(old.fd);
	close(c.fd);
}

/* It begins in the middle of a message and ends in the middle of another. */
static void
test_hole_across_messages(void **state)
{
	struct client old = restored_client(), c;
	uint8_t buf[2 * PPTP_MESSAGE_MAX];
	size_t len = encode(buf, sizeof buf, PPTP_SLI, 0);

	say_bytes(&old, buf, 7);
	segment(old.ctrl, 24 - 7 + 5, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS + WATCH_TICK);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(fake.asked[1].what.rcv, snapshot.rcv0 + 300 + 24 + 5);
	c = answer();
	expect(&c, 0); /* that was no Echo-Request */
	len += encode(buf + len, sizeof buf - len, PPTP_ECHO_RQ, 50);
	say_bytes(&c, buf + 5, len - 5);
	assert_int_equal(hear(&c).echo_id, 50);
	close(old.fd);
	close(c.fd);
}

/* The other gateway said what nobody told us: we go on behind it, at once. */
static void
test_client_is_ahead(void **state)
{
	struct client old = restored_client(), c;
	const struct tcp_restore *t = &fake.asked[1].what;

	segment(old.ctrl, 0, 20);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(t->rcv, snapshot.rcv0 + 300);
	assert_int_equal(t->snd, snapshot.snd0 + 240);
	assert_int_equal(t->tail_len, 0);
	c = answer();
	segment(c.ctrl, 0, 0);
	assert_int_equal(eng.stats.holes_repaired, 1);
	close(old.fd);
	close(c.fd);
}

/* While the client is ahead, what we say would be taken for what it has. */
static void
test_nothing_is_said_to_a_client_ahead(void **state)
{
	struct client old = restored_client(), c;

	segment(old.ctrl, 16, 20); /* something of its own is on its way, perhaps */
	ctrl_send(old.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	expect(&old, 0);
	loop_advance(eng.loop, HOLE_WAIT_MS + WATCH_TICK);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(fake.asked[1].what.snd, snapshot.snd0 + 240);
	c = answer();
	expect(&c, PPTP_ECHO_RQ);
	expect(&c, PPTP_ECHO_RP); /* to the one that it missed */
	close(old.fd);
	close(c.fd);
}

/* Two minutes are over and it is not repaired: nobody would ever say what waits. */
static void
test_unwatched_ones_are_spoken_to(void **state)
{
	struct client c = restored_client();

	segment(c.ctrl, 16, 20);
	ctrl_send(c.ctrl, &(struct pptp_message){.type = PPTP_ECHO_RQ, .echo_id = 6});
	expect(&c, 0);
	ctrl_watch_stop(&eng);
	assert_null(c.ctrl->watch);
	expect(&c, PPTP_ECHO_RQ);
	close(c.fd);
}

static void
test_beyond_repair(void **state)
{
	struct client c = restored_client();

	for (unsigned i = 0; i < REPAIRS_MAX; i++) {
		segment(c.ctrl, 0, 20);
		close(c.fd);
		c = answer();
	}
	assert_int_equal(eng.n_ctrls, 1);
	segment(c.ctrl, 0, 20);
	assert_int_equal(eng.n_ctrls, 0);
	assert_int_equal(eng.stats.holes, REPAIRS_MAX);
	assert_int_equal(fake.sessions_closed, 1);
	close(c.fd);
}

static void
test_foreign_segments(void **state)
{
	struct client c = restored_client();
	struct ctrl other = *c.ctrl;

	other.tcp.peer_port++;
	segment(&other, 0, 0);
	other.tcp.peer_port--;
	other.tcp.local_ip++;
	segment(&other, 0, 0);
	assert_non_null(c.ctrl->watch);
	assert_false(c.ctrl->watch->hole.heard);
	assert_int_equal(send(fake.ear, "nonsense", 8, 0), 8);
	eng.watcher->io.cb(IO_READ, eng.watcher->io.arg);
	assert_non_null(c.ctrl->watch);
	close(c.fd);
}

static void
test_no_ear(void **state)
{
	(void)continued(40000);
	ctrl_restore_start(&eng);
	fake.ear_done(fake.ear_arg, -1, EPERM);
	assert_int_equal(fake.n_asked, 1); /* it is restored all the same */
	close(answer().fd);
	assert_int_equal(eng.restoring, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told_before_written),
	    TEST(test_what_was_read_is_told),
	    TEST(test_more_than_a_record_holds),
	    TEST(test_tail_is_what_is_not_acknowledged),
	    TEST(test_solo_lets_everything_go),
	    TEST(test_close_in_order_waits),
	    TEST(test_close_in_order_waits_for_the_last),
	    TEST(test_close_in_order_waits_no_longer),
	    TEST(test_silence_says_nothing_that_waits),
	    TEST(test_leaves_the_replica_with_its_last_call),
	    TEST(test_restored),
	    TEST(test_record_survives_the_move),
	    TEST(test_slices),
	    TEST(test_continued_without_memory),
	    TEST(test_timers_are_spread),
	    TEST(test_address_comes_late),
	    TEST(test_not_restored_for_good),
	    TEST(test_many_are_not_restored),
	    TEST(test_demoted_while_it_is_restored),
	    TEST(test_closed_while_it_is_restored),
	    TEST(test_in_step),
	    TEST(test_answer_comes_before_the_monitor_s),
	    TEST(test_silent_ones_are_probed),
	    TEST(test_hands_off_while_it_is_probed),
	    TEST(test_demoted_while_it_is_probed),
	    TEST(test_hole),
	    TEST(test_hole_across_messages),
	    TEST(test_client_is_ahead),
	    TEST(test_nothing_is_said_to_a_client_ahead),
	    TEST(test_unwatched_ones_are_spoken_to),
	    TEST(test_beyond_repair),
	    TEST(test_foreign_segments),
	    TEST(test_no_ear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
