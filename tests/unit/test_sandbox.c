/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sandbox of both halves: what the engine may do once confined, what kills it, and who dies
 * with whom. Skipped without root.
 */
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor_rig.h"

#include "common/log.h"
#include "common/loop.h"
#include "pptpd/priv/priv.h"
#include "pptpd/priv/sandbox.h"

static int ready[2]; /* the child tells that it is confined, then waits for a byte */
static int go[2];

static void
confine(void)
{
	const struct passwd *pw = getpwnam("nobody");

	MUST(sandbox_become(pw->pw_name, pw->pw_uid, pw->pw_gid, getppid()) == 0);
	MUST(sandbox_engine() == 0);
}

static void *
thread_main(void *arg)
{
	*(int *)arg = 1;
	free(malloc(100000));
	return NULL;
}

static void
tick_cb(void *arg)
{
	loop_stop(arg);
}

/* What the engine does after the filter is on: threads, a loop, a timer, memory, the log. */
static void
ordinary_work(void)
{
	struct loop *l = loop_new();
	struct timer t;
	pthread_t threads[3];
	int done[3] = {0};
	char *big;

	MUST(l != NULL);
	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, thread_main, &done[i]) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_join(threads[i], NULL) == 0 && done[i]);
	timer_init(&t, l, tick_cb, l);
	timer_set(&t, 5);
	loop_run(l);
	loop_free(l);
	big = malloc((size_t)32 << 20);
	memset(big, 1, (size_t)32 << 20);
	free(big);
	log_info("confined");
}

static void
confined_body(void *arg)
{
	void (*deed)(void) = *(void (**)(void))arg;
	char c = 0;

	confine();
	MUST(write(ready[1], &c, 1) == 1 && read(go[0], &c, 1) == 1);
	deed();
}

static void
deed_socket(void)
{
	(void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void
deed_execute(void)
{
	char *argv[] = {NULL};

	execve("/bin/true", argv, argv);
}

#ifndef PHA_SANITIZE /* the sanitizers need these calls */
static void
deed_fork(void)
{
	if (fork() == 0)
		_exit(0);
}

static void
deed_map_code(void)
{
	(void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
deed_kill(void)
{
	kill(getppid(), 0);
}

#endif

/* Runs a deed confined; the state is looked at from outside while it waits. */
static int
run_confined(void (*deed)(void), void (*look)(pid_t pid))
{
	pid_t pid;
	char c = 0;
	int status;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		confined_body(&deed);
		exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1 && look != NULL)
		look(pid);
	(void)!write(go[1], &c, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	return status;
}

static void
look_at_engine(pid_t pid)
{
	static const char *const none[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

	assert_string_equal(status_of(pid, "Seccomp"), "2");
	assert_string_equal(status_of(pid, "NoNewPrivs"), "1");
	assert_string_equal(status_of(pid, "Uid"), "65534\t65534\t65534\t65534");
	assert_string_equal(status_of(pid, "Gid"), "65534\t65534\t65534\t65534");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_string_equal(status_of(pid, none[i]), "0000000000000000");
}

#ifndef PHA_SANITIZE
/* The C library tries to, so it is refused rather than punished. */
static void
opening_is_refused(void)
{
	if (open("/dev/null", O_RDONLY) != -1 || errno != EACCES)
		_exit(7);
}
#endif

static void
engine_is_confined_and_works(void **state)
{
	need_root();
	assert_int_equal(run_confined(ordinary_work, look_at_engine), 0);
#ifndef PHA_SANITIZE
	assert_int_equal(run_confined(opening_is_refused, NULL), 0);
#endif
}

static void
forbidden_deeds_kill(void **state)
{
	static void (*const deeds[])(void) = {
	    deed_socket,
	    deed_execute,
#ifndef PHA_SANITIZE
	    deed_fork,
	    deed_map_code,
	    deed_kill,
#endif
	};

	need_root();
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		int status = run_confined(deeds[i], NULL);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

static void
root_is_refused_body(void *arg)
{
	MUST(sandbox_engine() == -1 && errno == EPERM);
	MUST(sandbox_become("root", 0, 0, getppid()) == -1 && errno == EPERM);
}

static void
root_is_no_engine(void **state)
{
	need_root();
	assert_int_equal(in_child(root_is_refused_body, NULL), 0);
}

/* The monitor's death takes the engine along, although they are different users. */
static void
death_of_the_parent(void **state)
{
	int alive[2];
	pid_t parent;
	char c;

	need_root();
	assert_int_equal(pipe(alive), 0);
	parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			close(alive[0]);
			confine();
			(void)!write(alive[1], "x", 1);
			for (;;)
				sleep(1);
		}
		close(alive[1]);
		MUST(sandbox_monitor() == 0);
		for (;;)
			sleep(1);
	}
	close(alive[1]);
	assert_int_equal(read(alive[0], &c, 1), 1);
	for (int i = 0; i < 200 && strcmp(status_of(parent, "CapEff"), "0000000000003020") != 0;
	     i++)
		usleep(10000);
	assert_string_equal(status_of(parent, "CapEff"), "0000000000003020");
	assert_string_equal(status_of(parent, "CapBnd"), "0000000000003020");
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	alarm(10);
	assert_int_equal(read(alive[0], &c, 1), 0); /* the grandchild's end is closed */
	alarm(0);
	close(alive[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(engine_is_confined_and_works),
	    cmocka_unit_test(forbidden_deeds_kill),
	    cmocka_unit_test(root_is_no_engine),
	    cmocka_unit_test(death_of_the_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
