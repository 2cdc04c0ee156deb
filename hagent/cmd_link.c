/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent link: the standing connections to the peer, in a process of its own, so that nothing that
 * the agent does can stall them and an agent that restarts does not cut them. It reads the key,
 * then gives up root. One runs per gateway: the lock says so. Without an agent for five minutes it
 * ends; also when what it was started with has changed on the disk since, and no path is up or a
 * key is refused: the agent starts another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/agent.h"
#include "hagent/link.h"
#include "hagent/link_replica.h"

#define ALONE_MAX_MS 300000

static int
take_lock(const struct hagent *h)
{
	char *path = hagent_path(h, AGENT_LINK_LOCK);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), result = 0;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		result = hagent_fail("%s: %s", path, strerror(errno));
	free(path);
	return result; /* the descriptor stays open until we end */
}

/*
 * The file's contents in memory, under a name that this process can open when it is no longer root;
 * replaces *path.
 */
static int
keep(char **path)
{
	int in = open(*path, O_RDONLY | O_CLOEXEC), fd = memfd_create("kept", MFD_CLOEXEC);
	size_t len = 0;
	char *text = in >= 0 && fd >= 0 ? conf_read_fd(in, &len) : NULL;
	int result = -1;

	if (!text || write(fd, text, len) != (ssize_t)len) {
		hagent_fail("%s: %s", *path, strerror(errno));
		goto out;
	}
	free(*path);
	result = asprintf(path, "/proc/self/fd/%d", fd) < 0 ? -1 : 0;
out:
	if (text)
		explicit_bzero(text, len);
	free(text);
	if (in >= 0)
		close(in);
	return result;
}

static int
drop_root(const char *user)
{
	const struct passwd *p = getpwnam(user);

	if (!p)
		return hagent_fail("no user %s", user), -1;
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
		setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0))
		return hagent_fail("becoming %s: %s", user, strerror(errno)), -1;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}

/* The files that it was started with, as they were then. A rendered file is a new one. */
#define SOURCES 3
struct sources {
	char *paths[SOURCES];
	struct stat were[SOURCES];
};

static void
note_sources(struct sources *s, const struct hagent *h)
{
	static const char *const names[SOURCES] = {HAGENT_ID, HAGENT_KNOWN_HOSTS, HAGENT_CLUSTER};

	for (size_t i = 0; i < SOURCES; i++) {
		s->paths[i] = hagent_path(h, names[i]);
		if (stat(s->paths[i], &s->were[i]) < 0)
			s->were[i] = (struct stat){0};
	}
}

static bool
sources_changed(const struct sources *s)
{
	for (size_t i = 0; i < SOURCES; i++) {
		const struct stat *was = &s->were[i];
		struct stat is;

		if (stat(s->paths[i], &is) == 0 &&
		    (is.st_ino != was->st_ino || is.st_mtim.tv_sec != was->st_mtim.tv_sec ||
			is.st_mtim.tv_nsec != was->st_mtim.tv_nsec))
			return true;
	}
	return false;
}

static bool
is_in_trouble(const struct link_shared *s)
{
	if (__atomic_load_n(&s->refused, __ATOMIC_RELAXED))
		return true;
	for (size_t i = 0; i < DIAL_PATHS; i++) {
		if (__atomic_load_n(&s->up[i], __ATOMIC_RELAXED))
			return false;
	}
	return true;
}

/* Until a signal ends us, there is no agent any more, or another one of us would do better. */
static void
wait_for_end(const struct link_shared *shared, const struct sources *sources)
{
	const struct timespec second = {.tv_sec = 1};
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	while (sigtimedwait(&ending, NULL, &second) < 0 &&
	       link_now_ms() - __atomic_load_n(&shared->agent_heard_ms, __ATOMIC_RELAXED) <
		   ALONE_MAX_MS &&
	       !(is_in_trouble(shared) && sources_changed(sources)))
		;
}

static int
start(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, arg);

	if (error != 0)
		return hagent_fail("thread: %s", strerror(error)), -1;
	pthread_detach(thread);
	return 0;
}

static int
run(const struct hagent *h, const struct dial *d, const struct sources *sources)
{
	static struct link_path paths[DIAL_PATHS];
	static struct link_replica replica;
	static struct link_shared shared;
	char *socket_path = hagent_path(h, AGENT_LINK_SOCKET);
	sigset_t ending;

	shared.agent_heard_ms = link_now_ms();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigprocmask(SIG_BLOCK, &ending, NULL); /* the threads inherit it */
	for (size_t i = 0; i < DIAL_PATHS; i++) {
		paths[i] = (struct link_path){d, i, socket_path, &shared};
		if (start(link_run, &paths[i]) < 0)
			return HAGENT_FAIL;
	}
	replica = (struct link_replica){d, &shared, hagent_path(h, HAGENT_REPLICA_SOCKET)};
	if (start(link_replica_run, &replica) < 0)
		return HAGENT_FAIL;
	log_info("link runs node=%s peer=%s", d->us->name, d->them->name);
	wait_for_end(&shared, sources);
	log_info("link ends");
	fflush(NULL);
	_exit(HAGENT_OK); /* the threads hold connections; the kernel closes them */
}

int
cmd_link(const struct hagent *h, int argc, char **argv)
{
	const char *user = HAGENT_USER;
	struct sources sources;
	struct ssh_error e;
	struct dial d;
	char name[64];
	int status = HAGENT_FAIL;

	if (argc == 3 && strcmp(argv[1], "--user") == 0)
		user = argv[2];
	else if (argc != 1)
		return HAGENT_USAGE;
	snprintf(name, sizeof(name), "hagent-link[%s]", h->node);
	log_init(name, -1, false);
	note_sources(&sources, h);
	if (dial_init(&d, h, user, &e) < 0)
		hagent_fail("%s", e.text);
	else if (take_lock(h) == 0 && keep(&d.key) == 0 && keep(&d.known_hosts) == 0 &&
		 drop_root(user) == 0)
		status = run(h, &d, &sources);
	dial_fini(&d);
	return status;
}
