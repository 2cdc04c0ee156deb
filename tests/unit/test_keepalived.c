/* link: keepalivedfmt */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * keepalived's formats: every line that it was seen to write, each cut at every byte, reads that
 * cut and join lines, and the track file's content at every moment.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "keepalived/fifo.h"
#include "keepalived/track.h"

static const struct golden {
	const char *text;
	struct fifo_line line;
} golden[] = {
    {"INSTANCE \"PPTP_HA\" MASTER 250", {false, "PPTP_HA", FIFO_MASTER, 250}},
    {"INSTANCE \"PPTP_HA\" BACKUP 250", {false, "PPTP_HA", FIFO_BACKUP, 250}},
    {"INSTANCE \"PPTP_HA\" FAULT 249", {false, "PPTP_HA", FIFO_FAULT, 249}},
    {"INSTANCE \"PPTP_HA\" STOP 0", {false, "PPTP_HA", FIFO_STOP, 0}},
    {"INSTANCE \"PPTP_HA\" DELETED 0", {false, "PPTP_HA", FIFO_DELETED, 0}},
    {"INSTANCE \"GW\" MASTER_PRIORITY 50", {false, "GW", FIFO_MASTER_PRIORITY, 50}},
    {"INSTANCE \"GW\" BACKUP_PRIORITY 255", {false, "GW", FIFO_BACKUP_PRIORITY, 255}},
    {"INSTANCE \"GW\" MASTER_RX_LOWER_PRI 250", {false, "GW", FIFO_MASTER_RX_LOWER_PRI, 250}},
    {"GROUP \"a group\" MASTER 0", {true, "a group", FIFO_MASTER, 0}},
    {"INSTANCE GW MASTER 250", {false, "GW", FIFO_MASTER, 250}},
};
#define N_GOLDEN (sizeof(golden) / sizeof(golden[0]))

static void
assert_line(const struct fifo_line *got, const struct fifo_line *want)
{
	assert_int_equal(got->group, want->group);
	assert_string_equal(got->name, want->name);
	assert_int_equal(got->event, want->event);
	assert_int_equal(got->priority, want->priority);
}

/* From a block of just its size, so that a read past the end is a report. */
static int
parse(const char *text, size_t len, struct fifo_line *out)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	int rc = fifo_parse(copy, len, out);
	free(copy);
	return rc;
}

static void
test_golden(void **state)
{
	for (size_t i = 0; i < N_GOLDEN; i++) {
		struct fifo_line line;

		assert_int_equal(parse(golden[i].text, strlen(golden[i].text), &line), 0);
		assert_line(&line, &golden[i].line);
		assert_non_null(strstr(golden[i].text, fifo_event_name(line.event)));
	}
}

/* A priority cut short is a shorter number: the one truncation that the newline alone reveals. */
static void
test_truncated(void **state)
{
	for (size_t i = 0; i < N_GOLDEN; i++) {
		const char *text = golden[i].text;
		size_t digits = (size_t)(strrchr(text, ' ') - text) + 1;

		for (size_t len = 0; len <= digits; len++) {
			struct fifo_line line = {.priority = 77};

			errno = 0;
			assert_int_equal(parse(text, len, &line), -1);
			assert_int_equal(errno, EBADMSG);
			assert_int_equal(line.priority, 77);
		}
	}
}

static void
test_malformed(void **state)
{
	static const char *const lines[] = {
	    "",
	    " INSTANCE \"GW\" MASTER 250",
	    "INSTANCE  \"GW\" MASTER 250",
	    "INSTANCE \"GW\"MASTER 250",
	    "INSTANCE \"GW\"  MASTER 250",
	    "INSTANCE \"GW MASTER 250",
	    "INSTANCE \"\" MASTER 250",
	    "INSTANCE \"GW\" master 250",
	    "INSTANCE \"GW\" MASTERS 250",
	    "INSTANCE \"GW\" MASTER 256",
	    "INSTANCE \"GW\" MASTER 2500",
	    "INSTANCE \"GW\" MASTER -1",
	    "INSTANCE \"GW\" MASTER 2x",
	    "INSTANCE \"GW\" MASTER 250 ",
	    "INSTANCE \"GW\" MASTER 250 1",
	    "INSTANCE \"GW\" MASTER 250\r",
	    "INSTANC \"GW\" MASTER 250",
	    "instance \"GW\" MASTER 250",
	};
	char *line = NULL;
	struct fifo_line out;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(parse(lines[i], strlen(lines[i]), &out), -1);
	assert_int_equal(parse("INSTANCE \"G\0W\" MASTER 250", 25, &out), -1);
	/* A name of 63 bytes fits, one of 64 does not. */
	for (int n = 63; n <= 64; n++) {
		assert_true(asprintf(&line, "INSTANCE \"%0*d\" MASTER 1", n, 7) > 0);
		assert_int_equal(parse(line, strlen(line), &out), n == 63 ? 0 : -1);
		free(line);
	}
}

struct seen {
	unsigned good, bad;
	struct fifo_line last;
	size_t last_len;
};

static void
on_line(const struct fifo_line *line, const char *text, size_t len, void *arg)
{
	struct seen *seen = arg;

	assert_non_null(text);
	seen->last_len = len;
	if (line) {
		seen->good++;
		seen->last = *line;
	} else {
		seen->bad++;
	}
}

/* The same lines come out however the reads cut them. */
static void
test_feed(void **state)
{
	char all[1024] = "";

	for (size_t i = 0; i < N_GOLDEN; i++) {
		strcat(all, golden[i].text);
		strcat(all, i % 3 == 0 ? "\nnonsense\n" : "\n");
	}
	for (size_t step = 1; step <= strlen(all); step++) {
		struct fifo_buffer b = {.n = 0};
		struct seen seen = {0};

		for (size_t at = 0; at < strlen(all); at += step) {
			size_t left = strlen(all) - at;

			fifo_feed(&b, all + at, left < step ? left : step, on_line, &seen);
		}
		assert_int_equal(seen.good, N_GOLDEN);
		assert_int_equal(seen.bad, 4);
		assert_line(&seen.last, &golden[N_GOLDEN - 1].line);
		assert_int_equal(b.n, 0);
	}
}

static void
test_feed_too_long(void **state)
{
	struct fifo_buffer b = {.n = 0};
	struct seen seen = {0};

	for (int i = 0; i < 1000; i++)
		fifo_feed(&b, "INSTANCE \"GW\" MASTER 2 ", 23, on_line, &seen);
	assert_int_equal(seen.bad + seen.good, 0);
	fifo_feed(&b, "\nINSTANCE \"GW\" FAULT 9\n", 23, on_line, &seen);
	assert_int_equal(seen.bad, 1);
	assert_int_equal(seen.good, 1);
	assert_int_equal(seen.last.event, FIFO_FAULT);
	fifo_feed(&b, "\n", 1, on_line, &seen);
	assert_int_equal(seen.bad, 2);
	assert_int_equal(seen.last_len, 0);
}

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
test_track(void **state)
{
	char dir[] = "/tmp/pha-track.XXXXXX", *path, *link_path;
	struct stat before, after;
	bool fault = true;

	assert_non_null(mkdtemp(dir));
	assert_true(asprintf(&path, "%s/health", dir) > 0);
	assert_true(asprintf(&link_path, "%s/link", dir) > 0);
	assert_int_equal(track_read(path, &fault), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(track_write(path, false), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	assert_int_equal(track_read(path, &fault), 0);
	assert_false(fault);

	/* In place: the same inode; told by the event that keepalived waits for. */
	int watch = inotify_init1(IN_NONBLOCK);
	char events[4096];
	assert_true(inotify_add_watch(watch, dir, IN_CLOSE_WRITE) >= 0);
	assert_int_equal(track_write(path, true), 0);
	assert_true(read(watch, events, sizeof(events)) > 0);
	assert_int_equal(read(watch, events, sizeof(events)), -1);
	close(watch);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(track_read(path, &fault), 0);
	assert_true(fault);

	static const char *const wrong[] = {"", "0", "2\n", "00\n", "0\n\n", "-1\n", "1 \n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_text(path, wrong[i]);
		assert_int_equal(track_read(path, &fault), -1);
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(track_write(path, false), 0);
		assert_int_equal(track_read(path, &fault), 0);
		assert_false(fault);
	}
	/* What is added to the priority. */
	unsigned value;
	assert_int_equal(track_write_value(path, 2), 0);
	assert_int_equal(track_read_value(path, &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(track_read(path, &fault), -1);
	assert_int_equal(track_write(path, false), 0);
	assert_int_equal(track_read_value(path, &value), 0);
	assert_int_equal(value, 0);
	write_text(path, "x\n");
	assert_int_equal(track_read_value(path, &value), -1);
	/* No way out of the folder. */
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_equal(track_write(link_path, true), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(track_write(dir, true), -1);
	assert_int_equal(unlink(link_path) | unlink(path) | rmdir(dir), 0);
	free(path);
	free(link_path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_feed),
	    cmocka_unit_test(test_feed_too_long),
	    cmocka_unit_test(test_track),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
