/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests of the privileged half: root in network namespaces that live as long as a child
 * process, and a monitor below a root folder of its own, whose engine is the test program again. A
 * program that includes this defines CONF first if it wants another configuration.
 */
#ifndef UNIT_MONITOR_RIG_H
#define UNIT_MONITOR_RIG_H

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pptpd/priv/priv.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define NODE           "x-node"

/* A check in a child process: says where, and ends it. */
#define MUST(e)                                                                                    \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			fprintf(                                                                   \
			    stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #e, strerror(errno));  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Runs body in a child with an empty network namespace of its own; returns the wait status. */
static inline int
in_child(void (*body)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		MUST(unshare(CLONE_NEWNET) == 0);
		MUST(system("ip link set lo up") == 0);
		body(arg);
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* All that a command prints, in a static buffer. */
static inline const char *
output(const char *command)
{
	static char text[65536];
	FILE *f = popen(command, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	pclose(f);
	text[n] = '\0';
	return text;
}

/* ---- the firewall's set of known calls ---- */

#define CALLS_TABLE                                                                                \
	"nft 'add table inet pptp_ha; "                                                            \
	"add set inet pptp_ha calls { typeof ip saddr . @th,48,16; size 65535; }'"
#define CALLS_LIST "nft list set inet pptp_ha calls 2>&1"

/* In what CALLS_LIST prints. */
static inline size_t
count_calls(const char *text)
{
	size_t n = 0;

	for (; (text = strstr(text, " . 0x")) != NULL; text++)
		n++;
	return n;
}

/* ---- processes ---- */

/* The value of a line of /proc/PID/status. */
static inline const char *
status_of(pid_t pid, const char *key)
{
	static char value[128];
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	value[0] = '\0';
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, " %127[^\n]", value);
	if (f != NULL)
		fclose(f);
	return value;
}

/* ---- the monitor ---- */

static char root[] = "/tmp/x-monitor-XXXXXX";

static inline void
put_file(const char *path, mode_t mode, const char *text)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, mode);
	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

#ifndef CONF
#define CONF                                                                                       \
	"option /etc/o\nlogwtmp\nlocalip 10.8.0.1\nremoteip 10.8.0.2-10.8.0.50\nconnections 40\n"
#endif
#define SECRETS(p) "api-client pptpd \"" p "\" 10.8.0.10\n"

static inline void
make_root(void)
{
	char command[128];

	MUST(mkdtemp(root) != NULL);
	snprintf(command, sizeof(command), "mkdir -p %s/etc/ppp %s/var/log", root, root);
	MUST(system(command) == 0);
	put_file("/etc/pptpd.conf", 0644, CONF);
	put_file("/etc/o", 0644, "name pptpd\nproxyarp\nmtu 1300\n");
	put_file("/etc/ppp/chap-secrets", 0600, SECRETS("one"));
	put_file("/var/log/wtmp", 0644, "");
}

static inline void
remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	MUST(system(command) == 0);
}

static inline int
connect_once(const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/pptp-ha/%s.sock", root, name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int
connect_control(void)
{
	for (int i = 0; i < 500; i++) {
		int fd = connect_once("pptpd");

		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	MUST(!"the control socket answers");
	return -1;
}

/* What the engine says next; it may say two things in one read. */
static char said[512];

static inline const char *
listen_to(int control)
{
	struct pollfd p = {control, POLLIN, 0};
	ssize_t n;

	MUST(poll(&p, 1, 10000) == 1);
	n = read(control, said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	return said;
}

static inline const char *
ask(int control, char deed)
{
	MUST(write(control, &deed, 1) == 1);
	return listen_to(control);
}

#define SAYS(control, deed, want) MUST(strcmp(ask(control, deed), want) == 0)

static inline pid_t
start_monitor(const char *role)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct monitor_options o = {.node = NODE,
		    .root = root,
		    .conf_file = "/etc/pptpd.conf",
		    .user = "nobody",
		    .role = role};

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
		exit(monitor_run(&o));
	}
	return pid;
}

static inline pid_t
engine_pid(pid_t monitor)
{
	char command[64];

	snprintf(
	    command, sizeof(command), "cat /proc/%d/task/%d/children", (int)monitor, (int)monitor);
	return atoi(output(command));
}

static inline int
end_of(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static inline bool
exists(const char *path)
{
	char full[256];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", root, path);
	return lstat(full, &st) == 0;
}

static inline int
roots_up(void **state)
{
	if (geteuid() == 0)
		make_root();
	return 0;
}

static inline int
roots_down(void **state)
{
	if (geteuid() == 0)
		remove_root();
	return 0;
}
#endif
