/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of the kernel: its settings, its tables, and what it can do. A setting that
 * this network namespace does not have, or may not change, is not its gateway's to mend.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hagent/doctor.h"
#include "hagent/facts.h"

#define ROOM_PROBLEM 95 /* percent of the connection tracking table */
#define ROOM_WARNING 80
#define FILES_FEW    256
#define FILES_LOW    4096
#define MEMORY_FEW   (48 * 1024) /* KiB */
#define MEMORY_LOW   (128 * 1024)

/* Adds a setting to the remedy, which is one call of sysctl. */
static void
mend_setting(struct doctor_answer *a, const char *key, const char *value)
{
	size_t n = strlen(a->command);

	if (n == 0)
		n = (size_t)snprintf(a->command, sizeof(a->command), "sysctl -w");
	if (n < sizeof(a->command))
		snprintf(a->command + n, sizeof(a->command) - n, " %s=%s", key, value);
}

void
doctor_kernel_ip_forward(const struct doctor *d, struct doctor_answer *a)
{
	long long value;
	bool may;

	if (!doctor_sysctl("net/ipv4/ip_forward", &value, &may)) {
		doctor_say(a, DOCTOR_UNKNOWN, "net.ipv4.ip_forward cannot be read");
	} else if (value != 1) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "net.ipv4.ip_forward is %lld, want 1: no packet of a client gets further",
		    value);
		mend_setting(a, "net.ipv4.ip_forward", "1");
	} else {
		doctor_say(a, DOCTOR_OK, "net.ipv4.ip_forward is 1");
	}
}

/* The kernel takes the stricter of `all` and the interface's own. */
void
doctor_kernel_rp_filter(const struct doctor *d, struct doctor_answer *a)
{
	const char *const names[] = {
	    "all", d->us->wan_if, d->us->lan_if, d->us->sync_if, CLUSTER_TUNNEL_INTERFACE};
	unsigned looked = 0;

	a->verdict = DOCTOR_OK;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[96];
		long long value;
		bool may;

		snprintf(key, sizeof(key), "net/ipv4/conf/%s/rp_filter", names[i]);
		if (!doctor_sysctl(key, &value, &may))
			continue;
		looked++;
		if (value == 0)
			continue;
		doctor_also(a, value == 1 ? DOCTOR_PROBLEM : DOCTOR_WARNING,
		    "rp_filter of %s is %lld (%s), want 0", names[i], value,
		    value == 1 ? "strict: late packets of clients are dropped" : "loose");
		mend_setting(a, key, "0");
	}
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, looked ? DOCTOR_OK : DOCTOR_UNKNOWN,
		    looked ? "rp_filter is 0 on all, %s, %s, %s and " CLUSTER_TUNNEL_INTERFACE
			   : "rp_filter of all, %s, %s and %s cannot be read",
		    d->us->wan_if, d->us->lan_if, d->us->sync_if);
}

/* Has a check of its own. */
static bool
is_looked_at_elsewhere(const char *key)
{
	const char *last = strrchr(key, '/');

	return strcmp(key, "net/ipv4/ip_forward") == 0 ||
	       strcmp(key, "net/netfilter/nf_conntrack_max") == 0 ||
	       (last && strcmp(last, "/rp_filter") == 0);
}

/* More than is wanted does no harm. */
static bool
is_size(const char *key)
{
	return strncmp(key, "net/core/", 9) == 0 || strstr(key, "gc_thresh") ||
	       strstr(key, "backlog") || strstr(key, "buckets");
}

void
doctor_kernel_settings(const struct doctor *d, struct doctor_answer *a)
{
	char *text = doctor_rendered(d, HAGENT_SYSCTL), *rest = text, *line;
	unsigned good = 0, bad = 0;

	a->verdict = DOCTOR_OK;
	while (text && (line = strsep(&rest, "\n"))) {
		char key[128], value[64];
		long long have, want;
		bool may;

		if (!doctor_parse_setting(line, key, sizeof(key), value, sizeof(value)) ||
		    is_looked_at_elsewhere(key) || !doctor_sysctl(key, &have, &may))
			continue;
		want = strtoll(value, NULL, 10);
		if (have == want || (is_size(key) && have > want)) {
			good++;
		} else if (may) {
			if (bad++ < 4)
				doctor_also(
				    a, DOCTOR_WARNING, "%s is %lld, want %lld", key, have, want);
			mend_setting(a, key, value);
		}
	}
	if (bad > 4)
		doctor_also(a, DOCTOR_WARNING, "%u more", bad - 4);
	if (bad == 0)
		doctor_say(a, text ? DOCTOR_OK : DOCTOR_UNKNOWN,
		    text ? "%u settings are as rendered" : "nothing can be rendered (%u)", good);
	free(text);
}

/* What the rendered file wants of the table; 0 = unknown. */
static long long
wanted_entries(const struct doctor *d)
{
	char *text = doctor_rendered(d, HAGENT_SYSCTL);
	const char *at = text ? strstr(text, "nf_conntrack_max = ") : NULL;
	long long n = at ? strtoll(at + strlen("nf_conntrack_max = "), NULL, 10) : 0;

	free(text);
	return n;
}

void
doctor_kernel_conntrack_room(const struct doctor *d, struct doctor_answer *a)
{
	long long count, max, want = wanted_entries(d);
	char value[32];
	bool may;

	if (!doctor_sysctl("net/netfilter/nf_conntrack_count", &count, &may) ||
	    !doctor_sysctl("net/netfilter/nf_conntrack_max", &max, &may) || max <= 0) {
		doctor_say(a, DOCTOR_PROBLEM, "connection tracking is not loaded");
		doctor_mend(a, "modprobe nf_conntrack");
		return;
	}
	long long percent = count * 100 / max;
	doctor_say(a, DOCTOR_OK, "%lld of %lld entries used (%lld %%)", count, max, percent);
	if (percent >= ROOM_WARNING) {
		doctor_also(a, percent >= ROOM_PROBLEM ? DOCTOR_PROBLEM : DOCTOR_WARNING,
		    "a full table drops every new connection of every client");
		want = max * 2 > want ? max * 2 : want;
	} else if (max < want) {
		doctor_also(a, DOCTOR_WARNING, "want %lld for %u sessions", want,
		    d->cluster->limits.sessions);
	}
	snprintf(value, sizeof(value), "%lld", want);
	if (a->verdict != DOCTOR_OK)
		mend_setting(a, "net.netfilter.nf_conntrack_max", value);
}

void
doctor_kernel_tun(const struct doctor *d, struct doctor_answer *a)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		doctor_say(a, DOCTOR_OK, "/dev/net/tun opens");
	} else if (errno == ENOENT || errno == ENODEV || errno == ENXIO) {
		doctor_say(a, DOCTOR_PROBLEM, "/dev/net/tun: %s", strerror(errno));
		doctor_mend(a, "{ modprobe tun || true; } && mkdir -p /dev/net && "
			       "{ test -c /dev/net/tun || mknod -m 666 /dev/net/tun c 10 200; }");
	} else {
		doctor_say(a, errno == EACCES || errno == EPERM ? DOCTOR_UNKNOWN : DOCTOR_PROBLEM,
		    "/dev/net/tun: %s", strerror(errno));
	}
}

static bool
has_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
has_option(int level, int name, int value)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && setsockopt(fd, level, name, &value, sizeof(value)) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static bool
has_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void
doctor_kernel_features(const struct doctor *d, struct doctor_answer *a)
{
	const struct {
		const char *what, *option, *module;
		bool there;
	} v[] = {
	    {"raw GRE sockets", "CONFIG_INET", "", has_socket(AF_INET, SOCK_RAW, IPPROTO_GRE)},
	    {"packet sockets", "CONFIG_PACKET", "af_packet", has_socket(AF_PACKET, SOCK_DGRAM, 0)},
	    {"nftables", "CONFIG_NF_TABLES_INET", "nf_tables",
		has_socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)},
	    {"socket monitoring", "CONFIG_INET_DIAG", "inet_diag",
		has_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)},
	    {"TCP_REPAIR", "CONFIG_CHECKPOINT_RESTORE", "", has_option(IPPROTO_TCP, TCP_REPAIR, 1)},
	    {"socket marks", "CONFIG_NET", "", has_option(SOL_SOCKET, SO_MARK, 1)},
	    {"pidfd", "Linux 5.3", "", has_pidfd()},
	};
	const size_t n = sizeof(v) / sizeof(v[0]);

	if (geteuid() != 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "only root can tell");
		return;
	}
	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < n; i++) {
		if (v[i].there)
			continue;
		doctor_also(a, DOCTOR_PROBLEM, "no %s (%s)", v[i].what, v[i].option);
		if (*v[i].module && !*a->command)
			doctor_mend(a, "modprobe %s", v[i].module);
		else if (*v[i].module)
			doctor_mend_also(a, "modprobe %s", v[i].module);
	}
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, DOCTOR_OK,
		    "raw and packet sockets, nftables, TCP_REPAIR, marks, pidfd: all there");
	else if (!*a->command)
		doctor_mend(a, "apt-get install linux-image-amd64 && reboot");
}

void
doctor_kernel_files(const struct doctor *d, struct doctor_answer *a)
{
	int64_t spare = facts_files_free();
	long long max = 0;
	char value[32];
	bool may;

	if (spare < 0 || !doctor_sysctl("fs/file-max", &max, &may)) {
		doctor_say(a, DOCTOR_UNKNOWN, "/proc/sys/fs/file-nr cannot be read");
		return;
	}
	doctor_say(a,
	    spare < FILES_FEW   ? DOCTOR_PROBLEM
	    : spare < FILES_LOW ? DOCTOR_WARNING
				: DOCTOR_OK,
	    "%lld of %lld open files left", (long long)spare, max);
	snprintf(value, sizeof(value), "%lld", max < (1LL << 40) ? max * 2 + 65536 : max);
	if (a->verdict != DOCTOR_OK)
		mend_setting(a, "fs.file-max", value);
}

void
doctor_kernel_memory(const struct doctor *d, struct doctor_answer *a)
{
	int64_t kib = facts_memory_free_kib();

	if (kib < 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "/proc/meminfo cannot be read");
		return;
	}
	doctor_say(a,
	    kib < MEMORY_FEW   ? DOCTOR_PROBLEM
	    : kib < MEMORY_LOW ? DOCTOR_WARNING
			       : DOCTOR_OK,
	    "%lld MiB of memory left", (long long)kib / 1024);
	if (a->verdict != DOCTOR_OK)
		doctor_mend(a, "ps -eo pid,rss,comm --sort=-rss | head -5");
}
