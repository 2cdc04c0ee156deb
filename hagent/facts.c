/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Small readers of /proc and of sockets. What cannot be read is HEALTH_UNKNOWN, never a fault.
 */
#include "hagent/facts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/loopback.h"

void
facts_process_init(struct facts_process *p)
{
	*p = (struct facts_process){.pidfd = -1};
}

void
facts_process_fini(struct facts_process *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
	p->pid = 0;
}

bool
facts_process_hold(struct facts_process *p, pid_t pid)
{
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return false;
	if (poll(&ended, 1, 0) > 0) { /* a zombie */
		close(fd);
		return false;
	}
	facts_process_fini(p);
	p->pid = pid;
	p->pidfd = fd;
	p->seen = true;
	return true;
}

bool
facts_process_alive(struct facts_process *p)
{
	struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};

	if (p->pidfd < 0)
		return false;
	if (poll(&ended, 1, 0) == 0)
		return true;
	facts_process_fini(p);
	return false;
}

enum health_process
facts_process_state(struct facts_process *p)
{
	if (facts_process_alive(p))
		return HEALTH_ALIVE;
	return p->seen ? HEALTH_GONE : HEALTH_NEVER;
}

/* At most size - 1 bytes of the file as text; false if it cannot be read. */
static bool
read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

pid_t
facts_pid_file(const char *path)
{
	char text[32], *end;

	if (!read_text(path, text, sizeof(text)))
		return 0;
	long pid = strtol(text, &end, 10);
	return pid > 0 && pid <= INT32_MAX && (*end == '\n' || *end == '\0') ? (pid_t)pid : 0;
}

pid_t
facts_socket_owner(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return 0;
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return 0;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		who.pid = 0;
	close(fd);
	return who.pid;
}

bool
facts_is_called(pid_t pid, const char *name)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (!read_text(path, text, sizeof(text)))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

int
facts_tun(const char *interface)
{
	return if_nametoindex(interface) != 0;
}

/* /proc/net/raw: `  sl  local_address ...`, the local address is IP:PROTOCOL, in hex; GRE is 002F.
 * Those of our own deep check are not the daemon's. */
int
facts_gre_sockets(void)
{
	FILE *f = fopen("/proc/self/net/raw", "re");
	char line[512];
	int n = 0;

	if (!f)
		return HEALTH_UNKNOWN;
	while (fgets(line, sizeof(line), f)) {
		unsigned address, protocol;

		if (sscanf(line, " %*d: %x:%x", &address, &protocol) == 2 && protocol == 47 &&
		    !loopback_is_source(ntohl(address)))
			n++;
	}
	fclose(f);
	return n;
}

static int
kernel_says(const char *path)
{
	char text[16];

	return read_text(path, text, sizeof(text)) && *text ? atoi(text) : HEALTH_UNKNOWN;
}

int
facts_ip_forward(void)
{
	return kernel_says("/proc/sys/net/ipv4/ip_forward");
}

int
facts_arp_ignore(void)
{
	return kernel_says("/proc/sys/net/ipv4/conf/all/arp_ignore");
}

int64_t
facts_files_free(void)
{
	char text[96];
	int64_t used, max;

	if (!read_text("/proc/sys/fs/file-nr", text, sizeof(text)) ||
	    sscanf(text, "%" SCNd64 " %*d %" SCNd64, &used, &max) != 2)
		return HEALTH_UNKNOWN;
	return max > used ? max - used : 0;
}

int64_t
facts_memory_free_kib(void)
{
	char text[1024];
	const char *at;

	if (!read_text("/proc/meminfo", text, sizeof(text)) ||
	    !(at = strstr(text, "MemAvailable:")))
		return HEALTH_UNKNOWN;
	return strtoll(at + strlen("MemAvailable:"), NULL, 10);
}

int64_t
facts_disk_free_kib(const char *folder)
{
	struct statvfs s;

	if (statvfs(folder, &s) < 0)
		return HEALTH_UNKNOWN;
	return (int64_t)s.f_bavail * (int64_t)s.f_frsize / 1024;
}

static int64_t
files_free_of(pid_t pid)
{
	char path[64], text[4096];
	const char *at;
	int64_t limit, used = -3; /* ".", "..", and the one that reads */
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	if (!read_text(path, text, sizeof(text)) || !(at = strstr(text, "Max open files")) ||
	    sscanf(at, "Max open files %" SCNd64, &limit) != 1)
		return HEALTH_UNKNOWN;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return HEALTH_UNKNOWN;
	while (readdir(d))
		used++;
	closedir(d);
	return limit > used ? limit - used : 0;
}

int64_t
facts_process_files_free(pid_t pid)
{
	char path[64], text[512], *rest = text, *word;
	int64_t least = files_free_of(pid);

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (!read_text(path, text, sizeof(text)))
		return least;
	while ((word = strsep(&rest, " \n"))) {
		int64_t n = *word ? files_free_of((pid_t)atoi(word)) : HEALTH_UNKNOWN;

		if (n >= 0 && (least < 0 || n < least))
			least = n;
	}
	return least;
}
