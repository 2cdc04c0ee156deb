/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guest's agent: runs shell scripts that the host sends over a serial line, one at a time. It
 * is the guest's first process and never exits.
 *
 * Request:  "X ID TIMEOUT LENGTH\n" + LENGTH bytes of a shell script; TIMEOUT in seconds
 * Answer:   "R ID STATUS LENGTH\n" + LENGTH bytes of output (stdout and stderr)
 * STATUS is the script's exit status, 128 + signal, or 124 when time ran out. A script is at most
 * SCRIPT_SIZE bytes, because the line has no flow control and loses what it cannot buffer.
 * "READY\n" is said once, when the agent listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SCRIPT_SIZE 3500

static void
read_all(int fd, void *buf, size_t n)
{
	char *p = buf;

	while (n > 0) {
		ssize_t r = read(fd, p, n);

		if (r > 0) {
			p += r;
			n -= (size_t)r;
		} else if (r == 0 || errno != EINTR) {
			usleep(100000); /* the host's end is closed: wait for the next */
		}
	}
}

static void
write_all(int fd, const void *buf, size_t n)
{
	const char *p = buf;

	while (n > 0) {
		ssize_t r = write(fd, p, n);

		if (r < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (r > 0) {
			p += r;
			n -= (size_t)r;
		}
	}
}

static void
read_line(int fd, char *line, size_t size)
{
	size_t n = 0;
	char c;

	for (read_all(fd, &c, 1); c != '\n'; read_all(fd, &c, 1))
		if (n < size - 1)
			line[n++] = c;
	line[n] = '\0';
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
run_child(const char *script, int out)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

/* Waits without polling: SIGCHLD is blocked, so sigtimedwait() sees it. Reaps strangers too. */
static int
wait_child(pid_t pid, double timeout)
{
	double end = now() + timeout;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		int status;
		pid_t w;
		double left;
		struct timespec t;

		while ((w = waitpid(-1, &status, WNOHANG)) > 0)
			if (w == pid)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		left = end - now();
		if (left <= 0) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return 124;
		}
		t.tv_sec = (time_t)left;
		t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
		sigtimedwait(&chld, NULL, &t);
	}
}

static void
answer(int fd, unsigned id, int status, int out)
{
	off_t n = lseek(out, 0, SEEK_END);
	char *buf = malloc((size_t)n + 64);
	int head;

	if (buf == NULL) {
		n = 0;
		buf = malloc(64);
	}
	head = sprintf(buf, "R %u %d %ld\n", id, status, (long)n);
	if (n > 0 && pread(out, buf + head, (size_t)n, 0) != n)
		memset(buf + head, '?', (size_t)n);
	write_all(fd, buf, (size_t)head + (size_t)n);
	free(buf);
}

static void
do_script(int fd, unsigned id, double timeout, const char *script)
{
	char name[] = "/tmp/.outXXXXXX";
	int out = mkstemp(name);
	pid_t pid;

	unlink(name);
	fcntl(out, F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (pid == 0)
		run_child(script, out);
	answer(fd, id, pid < 0 ? 126 : wait_child(pid, timeout), out);
	close(out);
}

static int
open_port(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	if (fd >= 0 && tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		cfsetspeed(&t, B115200);
		t.c_cflag |= CLOCAL | CREAD;
		t.c_cc[VMIN] = 1;
		t.c_cc[VTIME] = 0;
		tcsetattr(fd, TCSANOW, &t);
	}
	return fd;
}

int
main(int argc, char **argv)
{
	int fd = open_port(argc > 1 ? argv[1] : "/dev/ttyS1");
	sigset_t chld;

	if (fd < 0) {
		perror("agent");
		return 1;
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	write_all(fd, "READY\n", 6);
	for (;;) {
		char line[128];
		char script[SCRIPT_SIZE + 1];
		unsigned id, n;
		double timeout;

		read_line(fd, line, sizeof(line));
		if (sscanf(line, "X %u %lf %u", &id, &timeout, &n) != 3 || n > SCRIPT_SIZE)
			continue;
		read_all(fd, script, n);
		script[n] = '\0';
		do_script(fd, id, timeout, script);
	}
}
