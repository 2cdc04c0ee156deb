/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The daemon of this gateway as a drill finds it: which process is its engine, and with which words
 * it was started, so that it can be started again where no service manager does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/drill_guard.h"
#include "hagent/facts.h"

#define WORDS_MAX 32

static ssize_t
read_proc(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	if (n >= 0)
		out[n] = '\0';
	return n;
}

/* The child whose second word is "engine". */
static pid_t
engine_of(pid_t monitor)
{
	char children[512], words[256], name[64], *save = NULL;

	snprintf(name, sizeof(name), "task/%d/children", (int)monitor);
	if (read_proc(monitor, name, children, sizeof(children)) < 0)
		return 0;
	for (char *s = strtok_r(children, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		pid_t pid = (pid_t)atoi(s);
		ssize_t n = read_proc(pid, "cmdline", words, sizeof(words));
		size_t first = n > 0 ? strlen(words) + 1 : 0;

		if (n > 0 && first < (size_t)n && strcmp(words + first, "engine") == 0)
			return pid;
	}
	return 0;
}

int
drill_daemon_find(const char *socket_path, struct drill_daemon *out)
{
	char path[64];
	ssize_t n;

	*out = (struct drill_daemon){.monitor = facts_socket_owner(socket_path)};
	errno = ESRCH;
	if (out->monitor <= 0 || (out->engine = engine_of(out->monitor)) <= 0)
		return -1;
	n = read_proc(out->monitor, "cmdline", out->words, sizeof(out->words));
	if (n <= 0)
		return -1;
	out->n = (size_t)n;
	snprintf(path, sizeof(path), "/proc/%d/fd/2", (int)out->monitor);
	n = readlink(path, out->output, sizeof(out->output) - 1);
	out->output[n > 0 ? n : 0] = '\0';
	return 0;
}

static void __attribute__((noreturn)) become(char *const *argv, const char *output)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = *output == '/' ? open(output, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (out < 0)
		out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	execv(argv[0], argv);
	_exit(127);
}

/* Waits for the program if wait says so. */
static int
start(char *const *argv, const char *output, bool wait)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		become(argv, output);
	if (pid < 0)
		return -1;
	if (!wait)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int
drill_daemon_start(const struct drill_daemon *d)
{
	static char systemctl[] = "/usr/bin/systemctl", verb[] = "start", unit[] = "pptpd.service";
	char *manager[] = {systemctl, verb, unit, NULL};
	char words[sizeof(d->words)], *argv[WORDS_MAX + 1];
	size_t n = 0;

	if (access("/run/systemd/system", F_OK) == 0)
		return start(manager, "", true);
	memcpy(words, d->words, sizeof(words));
	for (size_t at = 0; at < d->n && n < WORDS_MAX; at += strlen(words + at) + 1)
		argv[n++] = words + at;
	argv[n] = NULL;
	return start(argv, d->output, false);
}
