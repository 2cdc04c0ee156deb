/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keeps `hagent link` running. It is started as a process that outlives the agent; whether one runs
 * is told by its lock, so an agent that starts again finds the one that is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"

#define AGAIN_MS 2000

static bool
is_locked(const struct agent *a)
{
	char *path = hagent_path(a->h, AGENT_LINK_LOCK);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	free(path);
	return locked;
}

static void __attribute__((noreturn)) become_link(const struct agent *a)
{
	const char *argv[] = {a->self, "--node", a->h->node, "--root", a->h->root, "link", "--user",
	    a->options->user, NULL};
	char *words[sizeof(argv) / sizeof(argv[0])];
	sigset_t none;

	memcpy(words, argv, sizeof(words)); /* exec's prototype lacks const */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(a->self, words);
	_exit(127);
}

void
agent_link_look(struct agent *a)
{
	uint64_t now_ms = loop_now_ms(a->loop);
	int status;

	if (a->link_pid > 0 && waitpid(a->link_pid, &status, WNOHANG) == a->link_pid) {
		log_warn("link ended status=%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		a->link_pid = 0;
	}
	a->link_runs = is_locked(a);
	if (a->link_runs || !a->options->link || a->link_pid > 0 ||
	    (a->link_started_ms != 0 && now_ms - a->link_started_ms < AGAIN_MS))
		return;
	a->link_started_ms = now_ms;
	a->link_pid = fork();
	if (a->link_pid == 0)
		become_link(a);
	if (a->link_pid < 0) {
		log_warn("link cannot be started error=\"%s\"", strerror(errno));
		a->link_pid = 0;
	}
}
