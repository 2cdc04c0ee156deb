/* link: pptpddaemon */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Breadcrumbs: a process with two threads dies in several ways, and another one reads what it had
 * in hand. Reports of crashes: text, file, JSON, and what counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crash.h"
#include "pptpd/priv/crumb.h"

#define MAIN_HAS   INT64_C(4317286382960641)
#define WORKER_HAS INT64_C(4317286382960655)

/* ---- dying ---- */

enum way {
	WAY_ABORT,
	WAY_SEGV,
	WAY_MAIN_ABORTS,
	WAY_SENT, /* by somebody, to the process */
	WAY_SENT_TO_WORKER,
};

struct dying {
	struct crumb_page *page;
	enum way way;
};

static void *
worker(void *arg)
{
	const struct dying *d = arg;
	struct crumb *c = &d->page->slots[1];

	crumb_begin(c);
	crumb_set(c, WORKER_HAS);
	if (d->way == WAY_ABORT)
		abort();
	if (d->way == WAY_SEGV)
		*(volatile int *)(uintptr_t)(WORKER_HAS & 8) = 1;
	for (;;)
		pause();
}

static _Noreturn void
die(int fd, enum way way)
{
	struct rlimit none = {0, 0};
	struct dying d = {.way = way};
	pthread_t t;

	setrlimit(RLIMIT_CORE, &none);
	for (int i = 1; i < NSIG; i++) /* the test runner has handlers of its own */
		signal(i, SIG_DFL);
	d.page = crumb_take(fd);
	if (d.page == NULL || crumb_watch(d.page) < 0)
		_exit(99);
	crumb_begin(&d.page->slots[CRUMB_MAIN]);
	crumb_set(&d.page->slots[CRUMB_MAIN], MAIN_HAS);
	if (pthread_create(&t, NULL, worker, &d) != 0)
		_exit(98);
	while (atomic_load(&d.page->slots[1].id) == 0)
		usleep(100);
	if (way == WAY_MAIN_ABORTS)
		abort();
	if (way == WAY_SENT_TO_WORKER)
		pthread_kill(t, SIGBUS);
	if (way == WAY_SENT)
		kill(getpid(), SIGSEGV);
	for (;;)
		pause();
}

static int
death(enum way way, struct crumb_page **page)
{
	int fd, status;

	*page = crumb_make(&fd);
	assert_non_null(*page);
	pid_t pid = fork();
	if (pid == 0)
		die(fd, way);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* In hand: of the main thread, of the worker. */
static void
expect(const struct crumb_page *p, bool hung, bool of_main, bool of_worker)
{
	struct crash c = {0};
	size_t n = 0;

	crumb_read(p, hung, &c);
	if (of_main)
		assert_int_equal(c.ids[n++], MAIN_HAS);
	if (of_worker)
		assert_int_equal(c.ids[n++], WORKER_HAS);
	assert_int_equal(c.n, n);
}

static void
test_deaths(void **state)
{
	static const struct {
		enum way way;
		int signal;
		bool of_main, of_worker;
	} rows[] = {
	    {WAY_ABORT, SIGABRT, false, true},
	    {WAY_SEGV, SIGSEGV, false, true},
	    {WAY_MAIN_ABORTS, SIGABRT, true, false},
	    {WAY_SENT, SIGSEGV, true, true},
	    {WAY_SENT_TO_WORKER, SIGBUS, false, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct crumb_page *p;
		int status = death(rows[i].way, &p);

		assert_true(WIFSIGNALED(status));
#ifdef PHA_SANITIZE /* whose handlers take the place of ours for all but this one */
		if (rows[i].signal != SIGABRT) {
			expect(p, false, true, true);
			crumb_free(p);
			continue;
		}
#endif
		assert_int_equal(WTERMSIG(status), rows[i].signal);
		expect(p, false, rows[i].of_main, rows[i].of_worker);
		expect(p, true, true, false); /* had it hung */
		crumb_free(p);
	}
}

static void
test_nothing_in_hand(void **state)
{
	struct crash c = {0};
	int fd;
	struct crumb_page *p = crumb_make(&fd);

	assert_non_null(p);
	crumb_read(p, false, &c);
	assert_int_equal(c.n, 0);
	crumb_set(NULL, 7); /* nobody looks */
	crumb_begin(NULL);
	crumb_set(&p->slots[3], UINT64_MAX); /* what no id is stays a number that can be told */
	crumb_read(p, false, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.ids[0], INT64_MAX);
	assert_int_equal(ftruncate(fd, 0), -1); /* or our own look would kill us */
	close(fd);
	crumb_free(p);
}

/* ---- reports ---- */

static void
test_text(void **state)
{
	static const char *const good[] = {"1700000000000 gw1 signal-11 4317286382960641,7",
	    "1 gw2 hung -", "9223372036854775800 a b 1"};
	static const char *const bad[] = {"", "x", "0 gw1 hung -", "1 gw1 hung ", "1 gw1 hung 1,",
	    "1 gw1 hung 1,,2", "1 gw1 hung -1", "1 gw1 hung 0", "1  gw1 hung -", "1 gw1 hung - ",
	    "1 gw1 hung -\n", "1 gw1 -", "99999999999999999999 gw1 hung -",
	    "1 12345678901234567890123456789012 hung -", "1 gw1 h\x01ng -",
	    "1 g h 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18"};
	char line[CRASH_LINE_MAX];
	struct crash c;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(crash_parse(good[i], strlen(good[i]), &c), 0);
		line[crash_format(&c, line) - 1] = '\0';
		assert_string_equal(line, good[i]);
		for (size_t n = 0; n + 1 < strlen(good[i]); n++) { /* cut anywhere: no overrun */
			char *copy = malloc(n + 1);

			memcpy(copy, good[i], n);
			(void)crash_parse(copy, n, &c);
			free(copy);
		}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		if (crash_parse(bad[i], strlen(bad[i]), &c) == 0 || errno != EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void
test_counts(void **state)
{
	struct crashes all = {0};
	struct crash c = {.at = 1000, .node = "gw1", .cause = "hung"};
	int64_t now = 1000 + CRASH_WINDOW_MS - 1;

	crash_add_id(&c, 7);
	crash_add_id(&c, 7);
	crash_add_id(&c, 0);
	assert_int_equal(c.n, 1);
	crash_add(&all, &c);
	crash_add(&all, &c); /* told twice */
	assert_int_equal(crash_count(&all, 7, now), 1);
	assert_int_equal(crash_count(&all, 8, now), 0);
	strcpy(c.node, "gw2"); /* at the same time, over there */
	crash_add(&all, &c);
	assert_int_equal(crash_count(&all, 7, now), 2);
	assert_int_equal(crash_count(&all, 7, now + 1), 0); /* an hour ago */
	assert_int_equal(crash_count(&all, 7, 999), 0);     /* not yet */
	for (int64_t at = 5000; at > 2000; at -= 10) {
		c.at = at;
		crash_add(&all, &c);
	}
	assert_int_equal(all.n, CRASH_REPORTS);
	for (size_t i = 1; i < all.n; i++)
		assert_true(all.v[i - 1].at < all.v[i].at);
	assert_int_equal(all.v[CRASH_REPORTS - 1].at, 5000);
}

static void
test_file_and_json(void **state)
{
	char folder[] = "/tmp/test_crumb.XXXXXX", path[64];
	struct crashes all = {0}, back;
	json_t *list;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/crashes", folder);
	assert_int_equal(crash_load(path, &back), 0);
	assert_int_equal(back.n, 0);
	for (int i = 1; i <= 3; i++) {
		struct crash c = {.at = i * INT64_C(1000), .node = "gw1", .cause = "signal-11"};

		for (int k = 0; k < CRASH_IDS; k++)
			crash_add_id(&c, (uint64_t)INT64_MAX - (uint64_t)(k + i));
		crash_add(&all, &c);
	}
	assert_int_equal(crash_save(path, &all), 0);
	FILE *f = fopen(path, "a");
	assert_non_null(f);
	fputs("half a li", f);
	fclose(f);
	assert_int_equal(crash_load(path, &back), 0);
	assert_memory_equal(&back, &all, sizeof(all));
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(crash_save(path, &all), -1);

	list = crash_to_json(&all, 3000);
	assert_int_equal(crash_from_json(list, &back), 0);
	assert_memory_equal(&back, &all, sizeof(all));
	json_object_set_new(json_array_get(list, 1), "node", json_string("a b"));
	assert_int_equal(crash_from_json(list, &back), -1);
	json_decref(list);
	assert_int_equal(crash_from_json(NULL, &back), -1);
	list = crash_to_json(&all, 3000 + CRASH_WINDOW_MS);
	assert_int_equal(json_array_size(list), 0); /* an hour old */
	json_decref(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_deaths),
	    cmocka_unit_test(test_nothing_in_hand),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_file_and_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
