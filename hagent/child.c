/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Children on the loop: the end is told by a pidfd, so that no signal handler and no wait for
 * others' children is needed. done runs only when the process is reaped, so that nothing of it can
 * happen after it. A grandchild that keeps the pipe open does not hold it up.
 */
#include "hagent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

static void
read_output(struct child *c)
{
	char spill[4096];

	for (;;) {
		size_t room = CHILD_OUTPUT_MAX - c->n;
		ssize_t n = room > 0 ? read(c->out, c->output + c->n, room)
				     : read(c->out, spill, sizeof(spill));

		if (n > 0 && room > 0)
			c->n += (size_t)n;
		if (n == 0)
			io_want(&c->out_io, 0);
		if (n <= 0 && !(n < 0 && errno == EINTR))
			break;
	}
	c->output[c->n] = '\0';
}

static void
out_cb(int events, void *arg)
{
	read_output(arg);
}

static void
release(struct child *c)
{
	timer_cancel(&c->deadline);
	io_fini(&c->pidfd_io);
	io_fini(&c->out_io);
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->out >= 0)
		close(c->out);
	c->pidfd = c->out = -1;
	c->pid = 0;
}

static void
pidfd_cb(int events, void *arg)
{
	struct child *c = arg;
	int status;

	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	read_output(c);
	struct child_result r = {.cut = c->cut, .output = c->output, .output_len = c->n};
	r.status = c->cut ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	release(c);
	c->done(c->arg, &r);
}

static void
deadline_cb(void *arg)
{
	child_cut(arg);
}

static void
become_child(int out)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
}

/* The parent's half of both ways to start one. */
static int
adopt(struct child *c, struct loop *l, pid_t pid, int out, unsigned deadline_ms)
{
	setpgid(pid, pid); /* whoever is first */
	c->loop = l;
	c->pid = pid;
	c->out = out;
	c->cut = false;
	c->n = 0;
	c->output[0] = '\0';
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	timer_init(&c->deadline, l, deadline_cb, c);
	if (c->pidfd < 0 || io_init(&c->pidfd_io, l, c->pidfd, pidfd_cb, c) < 0 ||
	    io_init(&c->out_io, l, c->out, out_cb, c) < 0) {
		int saved = errno;

		child_fini(c);
		errno = saved;
		return -1;
	}
	io_want(&c->pidfd_io, IO_READ);
	io_want(&c->out_io, IO_READ);
	timer_set(&c->deadline, deadline_ms);
	return 0;
}

static int
start(struct child *c, struct loop *l, int (*fn)(void *fn_arg), void *fn_arg, unsigned deadline_ms,
    child_done_fn *done, void *arg)
{
	int pipe_fd[2];

	if (child_running(c)) {
		errno = EBUSY;
		return -1;
	}
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -1;
	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	c->done = done;
	c->arg = arg;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		become_child(pipe_fd[1]);
		int status = fn(fn_arg);
		fflush(NULL);
		_exit(status);
	}
	int saved = errno;
	close(pipe_fd[1]);
	if (pid < 0) {
		close(pipe_fd[0]);
		errno = saved;
		return -1;
	}
	return adopt(c, l, pid, pipe_fd[0], deadline_ms);
}

static int
exec_it(void *arg)
{
	char *const *argv = arg;

	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s", argv[0], strerror(errno));
	return 127;
}

int
child_run(struct child *c, struct loop *l, const char *const *argv, unsigned deadline_ms,
    child_done_fn *done, void *arg)
{
	char *words[32];
	size_t n = 0;

	/* exec's prototype lacks const */
	for (; argv[n] && n < 31; n++)
		memcpy(&words[n], &argv[n], sizeof(char *));
	words[n] = NULL;
	return start(c, l, exec_it, words, deadline_ms, done, arg);
}

int
child_call(struct child *c, struct loop *l, int (*fn)(void *fn_arg), void *fn_arg,
    unsigned deadline_ms, child_done_fn *done, void *arg)
{
	return start(c, l, fn, fn_arg, deadline_ms, done, arg);
}

bool
child_running(const struct child *c)
{
	return c->pid > 0;
}

void
child_cut(struct child *c)
{
	if (!child_running(c))
		return;
	c->cut = true;
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
}

void
child_fini(struct child *c)
{
	if (!child_running(c))
		return;
	child_cut(c);
	waitpid(c->pid, NULL, WNOHANG); /* one that is not dead yet is init's when we are gone */
	release(c);
}
