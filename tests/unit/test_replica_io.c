/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The replica's socket: real sockets, the virtual clock, and a replica that takes notes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "pptpd/engine/replica_io.c"

static struct {
	unsigned connected, disconnected, hang_up_at;
	char why[128];
	uint8_t heard[1024];
	size_t heard_len;
} notes;
static struct loop *the_loop;
static struct replica_io *io;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

void
replica_connected(struct replica *r)
{
	notes.connected++;
	replica_io_send(io, (const uint8_t *)"hello", 5);
}

static bool hurries;

bool
replica_hurries(const struct replica *r)
{
	return hurries;
}

void
replica_disconnected(struct replica *r, const char *why)
{
	notes.disconnected++;
	snprintf(notes.why, sizeof notes.why, "%s", why);
}

void
replica_input(struct replica *r, const uint8_t *bytes, size_t len)
{
	assert_true(notes.heard_len + len <= sizeof notes.heard || len > 1024);
	if (len <= 1024)
		memcpy(notes.heard + notes.heard_len, bytes, len);
	notes.heard_len += len;
	if (notes.hang_up_at > 0 && notes.heard_len >= notes.hang_up_at)
		replica_io_hang_up(io, "it was enough");
}

static int
setup(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len;

	memset(&notes, 0, sizeof notes);
	/* an abstract name, chosen by the kernel */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	len = sizeof address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(listen(fd, 4), 0);
	the_loop = loop_new_virtual();
	io = replica_io_new(the_loop, fd, NULL);
	replica_io_open(io);
	assert_non_null(io);
	return 0;
}

static int
teardown(void **state)
{
	replica_io_free(io);
	memset(&address, 0, sizeof address);
	address.sun_family = AF_UNIX;
	loop_free(the_loop);
	return 0;
}

static int
dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un to = address;

	assert_int_equal(
	    connect(fd, (struct sockaddr *)&to, sizeof(sa_family_t) + 6 /* NUL, 5 digits */), 0);
	io->accept_io.cb(IO_READ, io->accept_io.arg);
	return fd;
}

static void
turn(int events)
{
	if (io->fd >= 0)
		io->io.cb(events, io->io.arg);
	loop_advance(the_loop, 0);
}

static void
expect(int fd, const char *text)
{
	char buf[64] = {0};

	assert_int_equal(recv(fd, buf, sizeof buf, MSG_DONTWAIT), strlen(text));
	assert_string_equal(buf, text);
}

static void
expect_end(int fd)
{
	char buf[64];

	while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
		;
	assert_int_equal(recv(fd, buf, sizeof buf, MSG_DONTWAIT), 0);
}

static void
test_both_ways(void **state)
{
	int fd = dial();

	assert_int_equal(notes.connected, 1);
	assert_true(io->io.want & IO_WRITE);
	replica_io_send(io, (const uint8_t *)" again", 6);
	turn(IO_WRITE);
	expect(fd, "hello again"); /* one write a turn */
	assert_false(io->io.want & IO_WRITE);
	assert_int_equal(send(fd, "frame", 5, 0), 5);
	turn(IO_READ);
	assert_memory_equal(notes.heard, "frame", 5);
	close(fd);
	turn(IO_READ);
	assert_int_equal(notes.disconnected, 1);
	assert_int_equal(io->fd, -1);
	replica_io_send(io, (const uint8_t *)"lost", 4); /* nobody hears it */
	assert_true(io->out == io->ready && io->out_len == 0);
}

/* A piece a turn; where nobody serves until all is read, all of them. */
static void
test_pieces(void **state)
{
	static uint8_t bytes[5 * READ_SIZE];
	int fd = dial();

	hurries = false;
	assert_int_equal(send(fd, bytes, sizeof bytes, 0), sizeof bytes);
	turn(IO_READ);
	assert_int_equal(notes.heard_len, READ_SIZE);
	hurries = true;
	turn(IO_READ);
	assert_int_equal(notes.heard_len, sizeof bytes);
	hurries = false;
	close(fd);
}

static void
test_a_newer_one_displaces_the_older(void **state)
{
	int old = dial(), fd;

	turn(IO_WRITE);
	replica_io_send(io, (const uint8_t *)"for the old one", 15);
	fd = dial();
	assert_int_equal(notes.disconnected, 1);
	assert_int_equal(notes.connected, 2);
	turn(IO_WRITE);
	expect(fd, "hello"); /* and not what waited for the other */
	expect_end(old);
	close(old);
	close(fd);
}

/* What it said last arrives; the rest of what it reads in this turn is not looked at. */
static void
test_hang_up_while_reading(void **state)
{
	int fd = dial();
	uint8_t bytes[200] = {1};

	notes.hang_up_at = 100;
	assert_int_equal(send(fd, bytes, sizeof bytes, 0), sizeof bytes);
	turn(IO_READ);
	assert_int_equal(io->fd, -1);
	assert_int_equal(notes.disconnected, 0);
	expect(fd, "hello");
	expect_end(fd);
	replica_io_hang_up(io, "twice is fine");
	close(fd);
}

/* A peer that does not read: what waits is bounded, and the end is told from the loop. */
static void
test_a_peer_that_does_not_read(void **state)
{
	static uint8_t lump[1u << 20];
	int fd = dial();

	for (unsigned i = 0; i < 2 * (REPLICA_UNSENT_MAX >> 20); i++) {
		replica_io_send(io, lump, sizeof lump);
		replica_io_flush(io);
	}
	assert_true(io->out_len - io->out_at <= REPLICA_UNSENT_MAX);
	assert_int_equal(notes.disconnected, 0);
	loop_advance(the_loop, 0);
	assert_int_equal(notes.disconnected, 1);
	assert_int_equal(io->fd, -1);
	assert_true(io->out == io->ready && io->out_len == 0);
	close(fd);
}

/* A reader that takes little at a time gets every byte, in order. */
static void
test_slow_reader(void **state)
{
	static uint8_t sent[3 << 20], got[3 << 20];
	size_t at = 0;
	int fd = dial();

	turn(IO_WRITE);
	expect(fd, "hello");
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (uint8_t)(i * 31 + (i >> 8));
	for (size_t i = 0; i < sizeof sent; i += 4096) {
		ssize_t n = recv(fd, got + at, 1000, MSG_DONTWAIT);

		at += n > 0 ? (size_t)n : 0;
		replica_io_send(io, sent + i, 4096);
		turn(IO_WRITE);
	}
	while (at < sizeof got) {
		ssize_t n = recv(fd, got + at, sizeof got - at, MSG_DONTWAIT);

		at += n > 0 ? (size_t)n : 0;
		turn(IO_WRITE);
	}
	assert_memory_equal(sent, got, sizeof got);
	assert_true(io->out == io->ready && io->out_len == 0);
	close(fd);
}

/* No descriptor is left: the listener rests, and the stream is taken when there is one again. */
static void
test_out_of_descriptors(void **state)
{
	struct rlimit all, none;
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = 0;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(sa_family_t) + 6), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	io->accept_io.cb(IO_READ, io->accept_io.arg);
	assert_int_equal(io->accept_io.want, 0);
	loop_advance(the_loop, ACCEPT_PAUSE_MS);
	assert_int_equal(io->accept_io.want, IO_READ);
	io->accept_io.cb(IO_READ, io->accept_io.arg);
	assert_int_equal(io->accept_io.want, 0);
	assert_int_equal(notes.connected, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	loop_advance(the_loop, ACCEPT_PAUSE_MS);
	io->accept_io.cb(IO_READ, io->accept_io.arg);
	assert_int_equal(notes.connected, 1);
	io->accept_io.cb(IO_READ, io->accept_io.arg); /* nobody else is there: that is no failure */
	assert_int_equal(io->accept_io.want, IO_READ);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_newer_one_displaces_the_older, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hang_up_while_reading, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_peer_that_does_not_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_out_of_descriptors, setup, teardown),
	};

	log_init("test", -1, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
