/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The privilege pair without privileges: messages and their transport, the engine's end against a
 * monitor played by the test, the monitor's verb checks against effects that only take notes.
 * What needs root is in test_monitor.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/loop.h"
#include "pptpd/conf/settings.h"
#include "pptpd/priv/monitor_verbs.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/priv_wire.h"
#include "pptpd/priv/table.h"
#include "pptpd/priv/watchdog.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static size_t
open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- messages ---- */

static struct tcp_restore
sample_restore(void)
{
	struct tcp_restore r = {.tcp = {IP(198, 51, 100, 100), IP(198, 51, 100, 10), 40000, 1723,
				    0xfffffffe, 7, 1460, 7, 7, 9, 0x89abcdef, 0x0123456789abcdefu},
	    .snd = 3,
	    .rcv = 9,
	    .tail_len = TCP_TAIL_MAX};

	memset(r.tail, 't', sizeof(r.tail));
	return r;
}

static struct priv_msg
sample(enum priv_type type)
{
	struct priv_msg m = {.type = type, .id = 0x01020304};

	switch (type) {
	case PRIV_START:
		strcpy(m.start.node, "gw1");
		m.start.standby = m.start.steering = true;
		m.start.workers = 3;
		m.start.bind_ip = IP(198, 51, 100, 10);
		break;
	case PRIV_ACCEPTED:
		m.tcp = (struct tcp_snapshot){IP(198, 51, 100, 100), IP(198, 51, 100, 10), 40000,
		    1723, 0xfffffffe, 7, 1460, 7, 7, 9, 0x89abcdef, 0x0123456789abcdefu};
		break;
	case PRIV_REPLY:
		m.err = EPERM;
		break;
	case PRIV_LISTEN:
		m.on = true;
		break;
	case PRIV_WTMP:
		strcpy(m.user, "DOMAIN\\api-client");
		/* fall through */
	case PRIV_CALL_ADD:
	case PRIV_CALL_DEL:
		m.call_id = 0xabcd;
		/* fall through */
	case PRIV_ROUTE_ADD:
	case PRIV_ROUTE_DEL:
		m.on = type == PRIV_ROUTE_ADD;
		m.ip = IP(10, 8, 0, 10);
		break;
	case PRIV_RESTORE:
		m.restore = sample_restore();
		break;
	default:
		break;
	}
	return m;
}

static void
round_trip_and_truncation(void **state)
{
	uint8_t bytes[PRIV_MSG_MAX + 1];

	for (enum priv_type t = PRIV_START; t < PRIV_TYPE_END; t++) {
		struct priv_msg m = sample(t), back;
		size_t len = priv_encode(&m, bytes, sizeof(bytes));

		assert_true(len > 0);
		assert_int_equal(priv_decode(bytes, len, &back), 0);
		assert_memory_equal(&m, &back, sizeof(m));
		for (size_t cut = 0; cut < len; cut++) {
			assert_int_equal(priv_decode(bytes, cut, &back), -1);
			assert_int_equal(errno, EBADMSG);
		}
		bytes[len] = 0;
		assert_int_equal(priv_decode(bytes, len + 1, &back), -1);
		assert_int_equal(priv_encode(&m, bytes, len - 1), 0);
	}
}

static void
golden_call_add(void **state)
{
	static const uint8_t want[] = {
	    9,                        /* call-add */
	    0x01, 0x02, 0x03, 0x04,   /* number */
	    10, 8, 0, 10, 0xab, 0xcd, /* address, call id */
	};
	struct priv_msg m = sample(PRIV_CALL_ADD);
	uint8_t bytes[64];

	assert_int_equal(priv_encode(&m, bytes, sizeof(bytes)), sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
}

static void
bad_values_are_refused(void **state)
{
	struct priv_msg m = sample(PRIV_LISTEN), back;
	uint8_t bytes[PRIV_MSG_MAX] = {0};
	size_t len = priv_encode(&m, bytes, sizeof(bytes));

	bytes[len - 1] = 2; /* no bool */
	assert_int_equal(priv_decode(bytes, len, &back), -1);
	assert_int_equal(back.id, m.id); /* so that it can be answered */
	bytes[0] = PRIV_TYPE_END;
	assert_int_equal(priv_decode(bytes, len, &back), -1);
	bytes[0] = 0;
	assert_int_equal(priv_decode(bytes, len, &back), -1);

	m = sample(PRIV_RESTORE);
	m.restore.tail_len = 0; /* the length lies: nothing follows */
	len = priv_encode(&m, bytes, sizeof(bytes));
	bytes[len - 1] = 1;
	assert_int_equal(priv_decode(bytes, len, &back), -1);
	bytes[len - 2] = (TCP_TAIL_MAX + 1) >> 8;
	bytes[len - 1] = (TCP_TAIL_MAX + 1) & 0xff;
	assert_int_equal(priv_decode(bytes, len + TCP_TAIL_MAX + 1, &back), -1);

	m = sample(PRIV_START);
	m.start.workers = DP_WORKERS_MAX + 1;
	len = priv_encode(&m, bytes, sizeof(bytes));
	assert_int_equal(priv_decode(bytes, len, &back), -1);
	m.start.workers = 0;
	len = priv_encode(&m, bytes, sizeof(bytes));
	assert_int_equal(priv_decode(bytes, len, &back), -1);

	m = sample(PRIV_WTMP);
	len = priv_encode(&m, bytes, sizeof(bytes));
	bytes[len - 1] = 0; /* NUL inside a string */
	assert_int_equal(priv_decode(bytes, len, &back), -1);
}

/* ---- transport ---- */

static void
make_pair(int pair[2])
{
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void
descriptors_pass(void **state)
{
	struct priv_msg m = sample(PRIV_RELOAD);
	static struct priv_packet p;
	int pair[2], fds[PRIV_FDS_MAX + 1], null = open("/dev/null", O_RDONLY);
	size_t before = open_fds();

	make_pair(pair);
	for (size_t i = 0; i <= PRIV_FDS_MAX; i++)
		fds[i] = null;
	assert_int_equal(priv_recv(pair[0], &p), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(priv_send(pair[1], &m, fds, PRIV_FDS_MAX + 1), -1);
	assert_int_equal(priv_send(pair[1], &m, fds, PRIV_FDS_MAX), 0);
	assert_int_equal(priv_recv(pair[0], &p), 1);
	assert_int_equal(p.n_fds, PRIV_FDS_MAX);
	assert_false(p.fds_lost);
	for (size_t i = 0; i < p.n_fds; i++)
		assert_int_equal(fcntl(p.fds[i], F_GETFD), FD_CLOEXEC);
	priv_packet_close(&p);
	close(pair[1]);
	assert_int_equal(priv_recv(pair[0], &p), 0);
	close(pair[0]);
	assert_int_equal(open_fds(), before);
	close(null);
}

static void
too_long_packet_loses_its_descriptors(void **state)
{
	uint8_t bytes[PRIV_MSG_MAX + 1] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};
	union {
		struct cmsghdr h;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} c = {.h = {.cmsg_level = SOL_SOCKET,
		   .cmsg_type = SCM_RIGHTS,
		   .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	static struct priv_packet p;
	int pair[2];
	size_t with_pair;

	make_pair(pair);
	with_pair = open_fds();
	memcpy(CMSG_DATA(&c.h), &pair[0], sizeof(int));
	assert_int_equal(sendmsg(pair[1], &h, 0), sizeof(bytes));
	assert_int_equal(priv_recv(pair[0], &p), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(open_fds(), with_pair);
	close(pair[0]);
	close(pair[1]);
}

static void
queue_keeps_order_and_owns(void **state)
{
	struct priv_msg m = {.type = PRIV_REPLY}, back;
	static struct priv_packet p;
	struct priv_queue q;
	size_t before = open_fds();
	uint32_t sent = 0, received = 0;
	int pair[2];

	make_pair(pair);
	priv_queue_init(&q, pair[0]);
	while (priv_queue_empty(&q)) {
		m.id = ++sent;
		assert_int_equal(priv_queue_send(&q, &m, -1, false), 0);
	}
	for (int i = 0; i < 10; i++) {
		m.id = ++sent;
		assert_int_equal(priv_queue_send(&q, &m, open("/dev/null", O_RDONLY), true), 0);
	}
	while (received < sent) {
		while (priv_recv(pair[1], &p) == 1) {
			assert_int_equal(priv_decode(p.bytes, p.len, &back), 0);
			assert_int_equal(back.id, ++received);
			assert_int_equal(p.n_fds, received > sent - 10 ? 1 : 0);
			priv_packet_close(&p);
		}
		priv_queue_flush(&q);
	}
	assert_true(priv_queue_empty(&q));
	close(pair[1]);
	assert_int_equal(priv_queue_send(&q, &m, open("/dev/null", O_RDONLY), true), -1);
	assert_int_equal(errno, EPIPE);
	priv_queue_fini(&q);
	close(pair[0]);
	assert_int_equal(open_fds(), before);
}

/* ---- files ---- */

static struct priv_files
sample_files(size_t secrets_len)
{
	struct priv_files f = {strdup("/r/etc/pptpd.conf"), strdup("/r/o"), strdup("/r/s"),
	    strdup("localip 10.8.0.1\n"), strdup(""), malloc(secrets_len + 1)};

	memset(f.secrets, 's', secrets_len);
	f.secrets[secrets_len] = '\0';
	return f;
}

static void
files_pass_and_are_wiped(void **state)
{
	struct priv_files f = sample_files(300000), back;
	int fd = priv_files_pack(&f), spy = dup(fd);
	struct stat st;
	char *bytes;

	assert_true(fd >= 0);
	assert_int_equal(priv_files_unpack(fd, &back), 0);
	assert_string_equal(back.conf_name, f.conf_name);
	assert_string_equal(back.options_name, f.options_name);
	assert_string_equal(back.secrets_name, f.secrets_name);
	assert_string_equal(back.conf, f.conf);
	assert_string_equal(back.options, "");
	assert_string_equal(back.secrets, f.secrets);
	assert_int_equal(fstat(spy, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_int_equal(pread(spy, bytes, (size_t)st.st_size, 0), st.st_size);
	for (off_t i = 0; i < st.st_size; i++)
		assert_int_equal(bytes[i], 0);
	free(bytes);
	close(spy);
	priv_files_fini(&back);
	priv_files_fini(&f);
	assert_null(f.secrets);
}

static void
broken_files_are_refused(void **state)
{
	struct priv_files f = sample_files(10), back;
	size_t before = open_fds();
	int fd = priv_files_pack(&f);
	off_t size = lseek(fd, 0, SEEK_END);

	close(fd);
	for (off_t cut = 0; cut < size; cut++) {
		fd = priv_files_pack(&f);
		assert_int_equal(ftruncate(fd, cut), 0);
		assert_int_equal(priv_files_unpack(fd, &back), -1);
		assert_int_equal(errno, EBADMSG);
	}
	fd = priv_files_pack(&f);
	assert_int_equal(pwrite(fd, "", 1, size - 3), 1); /* a NUL inside */
	assert_int_equal(priv_files_unpack(fd, &back), -1);
	assert_int_equal(open_fds(), before);
	priv_files_fini(&f);
}

/* ---- the engine's end ---- */

struct engine_fixture {
	struct loop *loop;
	struct priv *priv;
	int monitor; /* the other end */
	unsigned accepts, files, stops, gone;
	struct tcp_snapshot tcp;
	unsigned done;
	int last_err, last_fd, order[8];
	struct timer end;
};

static void
on_accept(void *arg, int fd, const struct tcp_snapshot *t)
{
	struct engine_fixture *f = arg;

	f->accepts++;
	f->tcp = *t;
	close(fd);
}

static void
on_files(void *arg, struct priv_files *files)
{
	struct engine_fixture *f = arg;

	f->files++;
	priv_files_fini(files);
}

static void
on_stop(void *arg)
{
	((struct engine_fixture *)arg)->stops++;
}

static void
on_gone(void *arg)
{
	((struct engine_fixture *)arg)->gone++;
}

static void
end_cb(void *arg)
{
	loop_stop(((struct engine_fixture *)arg)->loop);
}

/* A few turns of the loop. */
static void
turn(struct engine_fixture *f)
{
	timer_set(&f->end, 20);
	loop_run(f->loop);
}

static int
engine_setup(void **state)
{
	static const struct priv_ops ops = {on_accept, on_files, on_stop, on_gone};
	struct engine_fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	make_pair(pair);
	f->loop = loop_new();
	f->monitor = pair[0];
	f->priv = priv_new(f->loop, pair[1], &ops, f);
	timer_init(&f->end, f->loop, end_cb, f);
	*state = f;
	return f->priv == NULL;
}

static int
engine_teardown(void **state)
{
	struct engine_fixture *f = *state;

	priv_free(f->priv);
	loop_free(f->loop);
	close(f->monitor);
	free(f);
	return 0;
}

static void
note_done(void *arg, int err)
{
	struct engine_fixture *f = arg;

	f->last_err = err;
	if (f->done < 8)
		f->order[f->done] = err;
	f->done++;
}

/* The next message of the engine. */
static struct priv_msg
heard(struct engine_fixture *f, struct priv_packet *p)
{
	struct priv_msg m;

	assert_int_equal(priv_recv(f->monitor, p), 1);
	assert_int_equal(priv_decode(p->bytes, p->len, &m), 0);
	return m;
}

static void
answer(struct engine_fixture *f, uint32_t id, int err)
{
	struct priv_msg m = {.type = PRIV_REPLY, .id = id, .err = (uint32_t)err};

	assert_int_equal(priv_send(f->monitor, &m, NULL, 0), 0);
}

static void
answers_find_their_verbs(void **state)
{
	struct engine_fixture *f = *state;
	static struct priv_packet p;
	struct priv_msg m[3];

	priv_call_add(f->priv, IP(1, 2, 3, 4), 5, note_done, f);
	priv_route_add(f->priv, IP(10, 8, 0, 2), true, note_done, f);
	priv_listen(f->priv, true, NULL, NULL);
	for (int i = 0; i < 3; i++)
		m[i] = heard(f, &p);
	assert_int_equal(m[0].type, PRIV_CALL_ADD);
	assert_int_equal(m[0].ip, IP(1, 2, 3, 4));
	assert_int_equal(m[0].call_id, 5);
	assert_int_equal(m[1].type, PRIV_ROUTE_ADD);
	assert_true(m[1].on);
	assert_int_equal(m[2].type, PRIV_LISTEN);
	answer(f, m[2].id, 0);
	answer(f, m[1].id, 11);
	answer(f, m[0].id, 22);
	answer(f, m[0].id, 33); /* twice, and one that never was: ignored */
	answer(f, 777, 33);
	turn(f);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->order[0], 11);
	assert_int_equal(f->order[1], 22);
	assert_int_equal(f->gone, 0);
}

static void
full_socket_loses_nothing(void **state)
{
	enum {
		VERBS = 5000
	};
	struct engine_fixture *f = *state;
	static struct priv_packet p;
	struct priv_msg m;
	uint32_t heard_verbs = 0;

	for (unsigned i = 1; i <= VERBS; i++)
		priv_call_add(f->priv, i, (uint16_t)i, note_done, f);
	while (heard_verbs < VERBS) {
		while (priv_recv(f->monitor, &p) == 1) {
			assert_int_equal(priv_decode(p.bytes, p.len, &m), 0);
			assert_int_equal(m.ip, ++heard_verbs);
			answer(f, m.id, 0);
		}
		turn(f);
	}
	turn(f);
	assert_int_equal(f->done, VERBS);
}

static void
descriptors_go_with_their_verbs(void **state)
{
	struct engine_fixture *f = *state;
	static struct priv_packet p;
	struct stat ours, theirs;
	struct priv_msg m;
	int pipe_fds[2];
	char c;

	assert_int_equal(pipe(pipe_fds), 0);
	priv_mark_closing(f->priv, pipe_fds[1], note_done, f);
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_MARK_CLOSING);
	assert_int_equal(p.n_fds, 1);
	fstat(pipe_fds[1], &ours);
	fstat(p.fds[0], &theirs);
	assert_int_equal(ours.st_ino, theirs.st_ino);
	priv_packet_close(&p);
	priv_silent_close(f->priv, pipe_fds[1]);
	assert_int_equal(fcntl(pipe_fds[1], F_GETFD), -1);
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_SILENT_CLOSE);
	assert_int_equal(m.id, 0);
	priv_packet_close(&p);
	assert_int_equal(read(pipe_fds[0], &c, 1), 0); /* no copy is left */
	close(pipe_fds[0]);
	priv_wtmp(f->priv, 3, NULL, 9);
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_WTMP);
	assert_string_equal(m.user, "");
	priv_wtmp(f->priv, 3, "user", 9);
	assert_string_equal(heard(f, &p).user, "user");
}

static void
note_fd(void *arg, int fd, int err)
{
	struct engine_fixture *f = arg;

	f->last_fd = fd;
	note_done(arg, err);
}

static void
made_descriptors_arrive(void **state)
{
	struct engine_fixture *f = *state;
	struct tcp_restore r = sample_restore();
	static struct priv_packet p;
	struct priv_msg m, reply = {.type = PRIV_REPLY_FD};
	int null = open("/dev/null", O_RDONLY);
	size_t before = open_fds();

	priv_restore(f->priv, &r, note_fd, f);
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_RESTORE);
	assert_memory_equal(&m.restore, &r, sizeof(r));
	reply.id = m.id;
	assert_int_equal(priv_send(f->monitor, &reply, &null, 1), 0);
	turn(f);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->last_err, 0);
	assert_true(fcntl(f->last_fd, F_GETFD) == FD_CLOEXEC);
	close(f->last_fd);

	priv_sniffer(f->priv, note_fd, f); /* refused */
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_SNIFFER);
	answer(f, m.id, EPERM);
	turn(f);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->last_fd, -1);
	assert_int_equal(f->last_err, EPERM);

	priv_restore(f->priv, &r, note_fd, f); /* lost on the way */
	reply.id = heard(f, &p).id;
	assert_int_equal(priv_send(f->monitor, &reply, NULL, 0), 0);
	turn(f);
	assert_int_equal(f->done, 3);
	assert_int_equal(f->last_fd, -1);
	assert_int_equal(f->last_err, EMFILE);

	priv_listen(f->priv, true, note_done, f); /* nobody asked for one, and for nothing */
	reply.id = heard(f, &p).id;
	assert_int_equal(priv_send(f->monitor, &reply, &null, 1), 0);
	reply.id = 12345;
	assert_int_equal(priv_send(f->monitor, &reply, &null, 1), 0);
	turn(f);
	assert_int_equal(f->done, 4);
	assert_int_equal(open_fds(), before);
	close(null);
}

static void
probes_and_pings(void **state)
{
	struct engine_fixture *f = *state;
	static struct priv_packet p;
	struct priv_msg m, ping = {.type = PRIV_PING};
	int null = open("/dev/null", O_RDONLY);

	priv_probe(f->priv, null, note_done, f);
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_PROBE);
	assert_int_equal(p.n_fds, 1);
	priv_packet_close(&p);
	assert_int_equal(priv_send(f->monitor, &ping, NULL, 0), 0);
	turn(f); /* answered by the loop alone */
	m = heard(f, &p);
	assert_int_equal(m.type, PRIV_PONG);
	close(null);
}

static void
monitor_speaks(void **state)
{
	struct engine_fixture *f = *state;
	struct priv_msg m = sample(PRIV_ACCEPTED), stop = {.type = PRIV_STOP},
			files = {.type = PRIV_FILES};
	struct priv_files texts = sample_files(5);
	int null = open("/dev/null", O_RDONLY), fd = priv_files_pack(&texts);
	size_t before = open_fds();

	assert_int_equal(priv_send(f->monitor, &m, &null, 1), 0);
	assert_int_equal(priv_send(f->monitor, &m, NULL, 0), 0);     /* its descriptor was lost */
	assert_int_equal(priv_send(f->monitor, &stop, &null, 1), 0); /* one too many */
	assert_int_equal(send(f->monitor, "\377junk", 5, 0), 5);
	assert_int_equal(priv_send(f->monitor, &files, &fd, 1), 0);
	assert_int_equal(priv_send(f->monitor, &files, &null, 1), 0); /* nothing in it */
	assert_int_equal(priv_send(f->monitor, &stop, NULL, 0), 0);
	turn(f);
	assert_int_equal(f->accepts, 1);
	assert_memory_equal(&f->tcp, &m.tcp, sizeof(m.tcp));
	assert_int_equal(f->files, 1);
	assert_int_equal(f->stops, 1);
	assert_int_equal(f->gone, 0);
	assert_int_equal(open_fds(), before);
	close(null);
	close(fd);
	priv_files_fini(&texts);
}

static void
monitor_dies(void **state)
{
	struct engine_fixture *f = *state;

	close(f->monitor);
	f->monitor = -1;
	turn(f);
	turn(f);
	assert_int_equal(f->gone, 1);
	priv_listen(f->priv, true, note_done, f);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->last_err, EPIPE);
}

static void
start_message(void **state)
{
	struct priv_msg m = sample(PRIV_START);
	struct priv_files texts = sample_files(5);
	int pair[2], fds[16], n = 0;
	size_t before = open_fds(), after_pair;
	struct priv_start s;

	make_pair(pair);
	after_pair = open_fds();
	while (n < 11)
		fds[n++] = open("/dev/null", O_RDONLY);
	close(fds[1]);
	fds[1] = priv_files_pack(&texts);
	assert_int_equal(priv_send(pair[0], &m, fds, 11), 0);
	assert_int_equal(priv_receive_start(pair[1], &s), 0);
	assert_string_equal(s.node, "gw1");
	assert_true(s.standby);
	assert_int_equal(s.workers, 3);
	assert_int_equal(s.bind_ip, IP(198, 51, 100, 10));
	assert_string_equal(s.files.secrets, "sssss");
	assert_true(
	    s.control_fd >= 0 && s.steer_map_fd >= 0 && s.gre_fds[2] >= 0 && s.tun_fds[2] >= 0);
	assert_int_equal(s.gre_fds[3], -1);
	assert_true(s.replica_fd >= 0 && s.crumbs_fd >= 0);
	assert_int_equal(open_fds(), after_pair + 11 + 10);
	priv_files_fini(&s.files);
	close(s.control_fd);
	close(s.replica_fd);
	close(s.crumbs_fd);
	close(s.steer_map_fd);
	for (int i = 0; i < 3; i++) {
		close(s.gre_fds[i]);
		close(s.tun_fds[i]);
	}
	assert_int_equal(priv_send(pair[0], &m, fds, 10), 0); /* one too few */
	assert_int_equal(priv_receive_start(pair[1], &s), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(
	    priv_send(pair[0], &m, fds, 11), 0); /* the files are used up: only zeroes */
	assert_int_equal(priv_receive_start(pair[1], &s), -1);
	assert_int_equal(open_fds(), after_pair + 11);
	close(pair[0]);
	assert_int_equal(priv_receive_start(pair[1], &s), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[1]);
	while (n > 0)
		close(fds[--n]);
	assert_int_equal(open_fds(), before);
	priv_files_fini(&texts);
}

/* ---- verbs ---- */

struct notes {
	unsigned effects, answers;
	uint32_t last_id;
	int last_err;
	bool socket_ok;
	int made, last_fd; /* by a verb that makes a descriptor */
};
static struct notes *notes; /* for is_call, which has no argument */

static int
note_effect(void *arg)
{
	((struct notes *)arg)->effects++;
	return 0;
}

static int
note_listen(void *arg, bool on)
{
	return note_effect(arg);
}

static void
note_call(void *arg, bool add, uint32_t ip, uint16_t call_id, uint32_t id)
{
	note_effect(arg);
}

static int
note_route_add(void *arg, uint32_t ip, bool serve)
{
	return note_effect(arg);
}

static int
note_restore(void *arg, const struct tcp_restore *r)
{
	note_effect(arg);
	return notes->made;
}

static int
note_sniffer(void *arg)
{
	note_effect(arg);
	return notes->made;
}

static void
note_pong(void *arg)
{
	note_effect(arg);
}

static int
note_route(void *arg, uint32_t ip)
{
	return note_effect(arg);
}

static int
note_socket(void *arg, int fd)
{
	return note_effect(arg);
}

static int
note_wtmp(void *arg, uint16_t call_id, const char *user, uint32_t ip)
{
	return note_effect(arg);
}

static bool
note_is_call(int fd)
{
	return notes->socket_ok;
}

static void
note_answer(void *arg, uint32_t id, int fd, int err)
{
	struct notes *n = arg;

	n->answers++;
	n->last_id = id;
	n->last_err = err;
	n->last_fd = fd;
}

static const struct verb_ops noting = {note_listen, note_call, note_route_add, note_route,
    note_socket, note_socket, note_effect, note_wtmp, note_restore, note_sniffer, note_socket,
    note_pong, note_is_call, note_answer};

/* Runs one message as a packet; returns the answered error, 0 also when none is to come now. */
static int
run(struct verbs *v, struct notes *n, const struct priv_msg *m, size_t n_fds)
{
	static struct priv_packet p;

	p.len = priv_encode(m, p.bytes, sizeof(p.bytes));
	p.n_fds = n_fds;
	p.fds[0] = -1;
	*n = (struct notes){.socket_ok = n->socket_ok, .made = n->made};
	verbs_run(v, &p);
	assert_true(n->effects + (n->last_err != 0) == 1);
	return n->last_err;
}

static int
run_ip(struct verbs *v, struct notes *n, enum priv_type t, uint32_t ip, uint16_t call_id)
{
	return run(v, n, &(struct priv_msg){.type = t, .id = 9, .ip = ip, .call_id = call_id}, 0);
}

static void
verbs_check_meaning(void **state)
{
	struct ip_range local = {IP(10, 8, 0, 1), IP(10, 8, 0, 1)};
	struct ip_range remote[] = {
	    {IP(10, 8, 0, 1), IP(10, 8, 0, 20)}, {IP(127, 0, 0, 1), IP(127, 0, 0, 9)}};
	struct settings s = {
	    .local_ips = {&local, 1, 1}, .remote_ips = {remote, 2, 29}, .listen = IP(10, 8, 0, 5)};
	uint32_t statics[] = {IP(10, 9, 0, 1), IP(10, 9, 0, 7)};
	struct notes n = {0};
	struct verbs v = {&s, statics, 2, &noting, &n, NULL, 0, 0};

	notes = &n;
	/* calls: unicast, and a number */
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, IP(198, 51, 100, 100), 1), 0);
	assert_int_equal(n.answers, 0); /* later, with its transaction */
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_DEL, IP(198, 51, 100, 100), 0xffff), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, IP(198, 51, 100, 100), 0), EPERM);
	assert_int_equal(n.last_id, 9);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, 0, 1), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, IP(127, 0, 0, 1), 1), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, IP(223, 255, 255, 255), 1), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, IP(224, 0, 0, 1), 1), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_CALL_ADD, 0xffffffff, 1), EPERM);
	/* routes: the pool's and the secrets', not ours */
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 8, 0, 2), 0), 0);
	assert_int_equal(n.answers, 1);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 8, 0, 20), 0), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 8, 0, 21), 0), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 8, 0, 1), 0), EPERM); /* local */
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 8, 0, 5), 0), EPERM); /* listen */
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(127, 0, 0, 5), 0), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 9, 0, 7), 0), 0); /* a secret's */
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 9, 0, 6), 0), EPERM);
	/* the agent's own: a route, but nobody is told of it */
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(192, 0, 0, 8), 0), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(192, 0, 0, 31), 0), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(192, 0, 0, 9), 0), EPERM);
	assert_int_equal(
	    run(&v, &n,
		&(struct priv_msg){
		    .type = PRIV_ROUTE_ADD, .id = 9, .ip = IP(192, 0, 0, 8), .on = true},
		0),
	    EPERM);
	v.n_statics = 0;
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_ADD, IP(10, 9, 0, 7), 0), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_ROUTE_DEL, IP(8, 8, 8, 8), 0), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_WTMP, IP(198, 51, 100, 1), 0), EPERM);
	assert_int_equal(run_ip(&v, &n, PRIV_RELOAD, 0, 0), 0);
	assert_int_equal(run_ip(&v, &n, PRIV_LISTEN, 0, 0), 0);
}

static void
verbs_check_form(void **state)
{
	struct settings s = {0};
	struct notes n = {0};
	struct verbs v = {&s, NULL, 0, &noting, &n, NULL, 0, 0};
	struct priv_msg m = {.type = PRIV_MARK_CLOSING, .id = 3};
	static struct priv_packet p;

	notes = &n;
	assert_int_equal(run(&v, &n, &m, 0), EBADMSG); /* no descriptor */
	assert_int_equal(run(&v, &n, &m, 2), EBADMSG);
	assert_int_equal(run(&v, &n, &m, 1), EPERM); /* not a call's socket */
	n.socket_ok = true;
	assert_int_equal(run(&v, &n, &m, 1), 0);
	m = (struct priv_msg){.type = PRIV_RELOAD, .id = 3};
	assert_int_equal(run(&v, &n, &m, 1), EBADMSG);
	for (enum priv_type t = PRIV_START; t < PRIV_FIRST_VERB; t++) { /* the monitor's own */
		m = sample(t);
		assert_int_equal(run(&v, &n, &m, priv_msg_fds(&m)), EBADMSG);
	}
	/* silence where no answer is wanted */
	n = (struct notes){0};
	p.len = 0;
	verbs_run(&v, &p);
	m = (struct priv_msg){.type = PRIV_SILENT_CLOSE};
	p.len = priv_encode(&m, p.bytes, sizeof(p.bytes));
	verbs_run(&v, &p);
	assert_int_equal(n.answers + n.effects, 0);
}

static int
run_restore(struct verbs *v, struct notes *n, const struct tcp_restore *r)
{
	return run(v, n, &(struct priv_msg){.type = PRIV_RESTORE, .id = 5, .restore = *r}, 0);
}

static void
restores_are_checked(void **state)
{
	struct settings s = {0};
	struct notes n = {.made = 77};
	struct verbs v = {&s, NULL, 0, &noting, &n, NULL, 0, IP(198, 51, 100, 10)};
	struct tcp_restore good = sample_restore(), r = good;
	struct priv_msg m = {.type = PRIV_RESTORE, .restore = good};
	static struct priv_packet p;

	notes = &n;
	assert_int_equal(run_restore(&v, &n, &r), 0);
	assert_int_equal(n.answers, 1);
	assert_int_equal(n.last_fd, 77);
	r.tcp.local_ip++; /* not the address that we serve */
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	assert_int_equal(n.last_fd, -1);
	v.listen = 0; /* it serves all */
	assert_int_equal(run_restore(&v, &n, &r), 0);
	r = good, r.tcp.local_port = 22;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.peer_port = 0;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.peer_ip = IP(239, 1, 1, 1);
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.peer_ip = IP(127, 0, 0, 1);
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.peer_ip = r.tcp.local_ip;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.mss = 0;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.options = 0x80;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.snd_wscale = 15;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	r = good, r.tcp.rcv_wscale = 15;
	assert_int_equal(run_restore(&v, &n, &r), EPERM);
	/* nobody would take what is made */
	n = (struct notes){0};
	p.len = priv_encode(&m, p.bytes, sizeof(p.bytes));
	verbs_run(&v, &p);
	m.type = PRIV_SNIFFER;
	p.len = priv_encode(&m, p.bytes, sizeof(p.bytes));
	verbs_run(&v, &p);
	assert_int_equal(n.effects, 0);
	n.made = -1; /* the effect fails */
	errno = EADDRNOTAVAIL;
	m.id = 6;
	p.len = priv_encode(&m, p.bytes, sizeof(p.bytes));
	verbs_run(&v, &p);
	assert_int_equal(n.last_err, EADDRNOTAVAIL);
	assert_int_equal(n.last_fd, -1);
	m = (struct priv_msg){.type = PRIV_PROBE, .id = 8};
	assert_int_equal(run(&v, &n, &m, 1), EPERM); /* not a call's socket */
	n.socket_ok = true;
	assert_int_equal(run(&v, &n, &m, 1), 0);
}

/* ---- the watchdog ---- */

static enum watchdog_verdict
ticks(struct watchdog *w, uint64_t *now, unsigned n, uint64_t step)
{
	enum watchdog_verdict v = WATCHDOG_WAIT;

	for (unsigned i = 0; i < n; i++)
		v = watchdog_tick(w, *now += step);
	return v;
}

static void
watchdog_counts_only_its_own_time(void **state)
{
	struct watchdog w = {0};
	uint64_t now = 1000000;

	assert_int_equal(watchdog_tick(&w, now), WATCHDOG_ASK);
	assert_int_equal(ticks(&w, &now, 500, 100), WATCHDOG_WAIT); /* it reads its files */
	watchdog_answered(&w);
	for (unsigned i = 0; i < 50; i++) { /* asked, answered */
		assert_int_equal(ticks(&w, &now, 1, 100), WATCHDOG_ASK);
		watchdog_answered(&w);
	}
	assert_int_equal(ticks(&w, &now, 8, 100), WATCHDOG_WAIT);
	watchdog_answered(&w); /* at the last moment */
	assert_int_equal(ticks(&w, &now, 8, 100), WATCHDOG_WAIT);
	watchdog_heard(&w); /* a verb in front of the answer */
	assert_int_equal(ticks(&w, &now, 8, 100), WATCHDOG_WAIT);
	assert_int_equal(ticks(&w, &now, 1, 3000), WATCHDOG_WAIT); /* all of us stood still */
	assert_int_equal(ticks(&w, &now, 8, 100), WATCHDOG_WAIT);
	assert_int_equal(ticks(&w, &now, 1, 100), WATCHDOG_KILL);
}

static void
watchdog_is_not_fooled_by_load(void **state)
{
	struct watchdog w = {0};
	uint64_t now = 1000000;

	watchdog_tick(&w, now);
	watchdog_answered(&w);
	/* a little late each time: killed all the same; much too late each time: never */
	assert_int_equal(ticks(&w, &now, 8, 150), WATCHDOG_WAIT);
	assert_int_equal(ticks(&w, &now, 1, 150), WATCHDOG_KILL);
	watchdog_answered(&w);
	for (unsigned i = 0; i < 100; i++)
		assert_int_not_equal(ticks(&w, &now, 1, 300), WATCHDOG_KILL);
}

/* ---- table ---- */

static void
table_like_a_map(void **state)
{
	enum {
		KEYS = 400
	};
	static uint32_t want[KEYS + 1]; /* 0 = absent */
	struct table t = {0};
	size_t count = 0, walked = 0;

	srandom(1);
	assert_null(table_find(&t, 1));
	table_delete(&t, 1);
	for (int i = 0; i < 40000; i++) {
		uint64_t key = 1 + (uint64_t)random() % KEYS;
		uint32_t *found = table_find(&t, key);

		assert_int_equal(found != NULL ? *found : 0, want[key]);
		count -= want[key] != 0;
		if (random() % 5 < 2) {
			want[key] = 1 + (uint32_t)random() % 1000;
			assert_int_equal(table_put(&t, key, want[key]), 0);
		} else {
			want[key] = 0;
			table_delete(&t, key);
		}
		count += want[key] != 0;
		assert_int_equal(t.used, count);
	}
	for (size_t i = 0; i < t.size; i++)
		walked += t.slots[i].key != 0;
	assert_int_equal(walked, count);
	assert_true(count > 50);
	table_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip_and_truncation),
	    cmocka_unit_test(golden_call_add),
	    cmocka_unit_test(bad_values_are_refused),
	    cmocka_unit_test(descriptors_pass),
	    cmocka_unit_test(too_long_packet_loses_its_descriptors),
	    cmocka_unit_test(queue_keeps_order_and_owns),
	    cmocka_unit_test(files_pass_and_are_wiped),
	    cmocka_unit_test(broken_files_are_refused),
	    cmocka_unit_test_setup_teardown(
		answers_find_their_verbs, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(
		full_socket_loses_nothing, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(
		descriptors_go_with_their_verbs, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(made_descriptors_arrive, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(probes_and_pings, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(monitor_speaks, engine_setup, engine_teardown),
	    cmocka_unit_test_setup_teardown(monitor_dies, engine_setup, engine_teardown),
	    cmocka_unit_test(start_message),
	    cmocka_unit_test(verbs_check_meaning),
	    cmocka_unit_test(verbs_check_form),
	    cmocka_unit_test(restores_are_checked),
	    cmocka_unit_test(watchdog_counts_only_its_own_time),
	    cmocka_unit_test(watchdog_is_not_fooled_by_load),
	    cmocka_unit_test(table_like_a_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
