/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything that must be opened while the process still may, in an order in which a second daemon
 * fails before it has touched anything of the first: pid file (locked), control socket, TUN and
 * steering, GRE sockets, addresses, listener. What is made in the file system is removed by
 * monitor_close(), and only by the process that made it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/marks.h"
#include "pptpd/priv/monitor.h"
#include "pptpd/priv/sock_diag.h"
#include "pptpd/wire/pptp.h"

#define PAIR_USER "pptp-ha" /* whom the pair's own programs run as */

#define TUN_NAME      "pppha0"
#define NOFILE_WANTED 65536
#define ORPHAN_TRIES  100 /* of 20 ms: an engine whose monitor was killed is about to die */

/* The user */

static int
find_user(struct monitor *m)
{
	const char *wanted = m->o->user;
	struct passwd *pw = getpwnam(wanted != NULL ? wanted : PAIR_USER);

	if (pw == NULL && wanted == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL) {
		log_warn("no such user user=%s", wanted != NULL ? wanted : "nobody");
		return -1;
	}
	if (pw->pw_uid == 0 || pw->pw_gid == 0) {
		log_warn("the engine must not run as root user=%s", pw->pw_name);
		return -1;
	}
	m->user = strdup(pw->pw_name);
	m->uid = pw->pw_uid;
	m->gid = pw->pw_gid;
	return m->user != NULL ? 0 : -1;
}

/* A descriptor a client; the engine inherits the limit. */
static void
raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	if (r.rlim_max < NOFILE_WANTED) {
		struct rlimit more = {NOFILE_WANTED, NOFILE_WANTED};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	r.rlim_cur = r.rlim_max < NOFILE_WANTED ? r.rlim_max : NOFILE_WANTED;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warn("cannot raise the limit of open files error=\"%m\"");
}

/* The file system */

static int
below_root(const struct monitor *m, char *out, size_t size, const char *path)
{
	int n = snprintf(out, size, "%s%s", m->o->root != NULL ? m->o->root : "", path);

	if (n >= 0 && (size_t)n < size)
		return 0;
	log_warn("path is too long root=%s path=%s max=%zu", m->o->root, path, size - 1);
	return -1;
}

static int
make_run_folder(const struct monitor *m)
{
	static const char *const folders[] = {"/run", "/run/pptp-ha"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (below_root(m, path, sizeof(path), folders[i]) < 0)
			return -1;
		if (mkdir(path, 0755) < 0 && errno != EEXIST) {
			log_warn("cannot make folder path=%s error=\"%m\"", path);
			return -1;
		}
	}
	return 0;
}

static int
open_pid_file(struct monitor *m)
{
	char path[PATH_MAX];

	if (below_root(m, path, sizeof(path), "/run/pptp-ha/pptpd.pid") < 0)
		return -1;
	m->pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (m->pid_fd >= 0 && flock(m->pid_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		log_warn("already running pidfile=%s", path);
		return -1;
	}
	if (m->pid_fd < 0 || ftruncate(m->pid_fd, 0) < 0 ||
	    dprintf(m->pid_fd, "%d\n", (int)getpid()) < 0) {
		log_warn("cannot write pid file path=%s error=\"%m\"", path);
		return -1;
	}
	memcpy(m->pid_path, path, strlen(path) + 1);
	return 0;
}

/* Does a process listen there? One that is only too busy to accept does. */
static bool
answers_now(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

/* We hold the lock, so it may be the last breath of a former engine. */
static bool
somebody_answers(const struct sockaddr_un *sa)
{
	for (int i = 0; i < ORPHAN_TRIES; i++) {
		if (!answers_now(sa))
			return false;
		usleep(20000);
	}
	return true;
}

/* made: where the path goes once the socket is ours to remove. group: who may connect, -1 = root
 * only. */
static int
open_unix_socket(const struct monitor *m, const char *path, gid_t group, int *fd,
    char made[static sizeof(m->socket_path)])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (below_root(m, sa.sun_path, sizeof(sa.sun_path), path) < 0)
		return -1;
	if (somebody_answers(&sa)) {
		log_warn("already running socket=%s", sa.sun_path);
		return -1;
	}
	if (unlink(sa.sun_path) < 0 && errno != ENOENT)
		goto failed;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		goto failed;
	mask = umask(0117);
	rc = bind(*fd, (const struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (rc < 0)
		goto failed;
	memcpy(made, sa.sun_path, sizeof(sa.sun_path));
	if (group != (gid_t)-1 && chown(sa.sun_path, (uid_t)-1, group) < 0)
		goto failed;
	if (listen(*fd, 64) == 0)
		return 0;
failed:
	log_warn("cannot open socket path=%s error=\"%m\"", sa.sun_path);
	return -1;
}

/*
 * Our own user's other programs may ask us; those of a shared one may not. The replica stream is
 * carried by `hagent link` and `hagent serve`, which run as the pair's user whatever ours is.
 */
static int
open_sockets(struct monitor *m)
{
	const struct passwd *pair = getpwnam(PAIR_USER);
	gid_t own = strcmp(m->user, "nobody") != 0 ? m->gid : (gid_t)-1;

	if (open_unix_socket(m, "/run/pptp-ha/pptpd.sock", own, &m->control_fd, m->socket_path) < 0)
		return -1;
	return open_unix_socket(m, "/run/pptp-ha/replica.sock", pair != NULL ? pair->pw_gid : own,
	    &m->replica_fd, m->replica_path);
}

/* Tunnel side */

static unsigned
default_workers(void)
{
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

	return n > DP_WORKERS_MAX ? DP_WORKERS_MAX : (unsigned)n;
}

static int
open_tun(struct monitor *m)
{
	m->workers = m->conf.settings->workers > 0 ? m->conf.settings->workers : default_workers();
	if (tun_open(TUN_NAME, m->workers, m->tun_fds) < 0) {
		log_warn("cannot open tun name=%s error=\"%m\"", TUN_NAME);
		return -1;
	}
	if (m->workers > 1 && (m->steer_fd = steer_open(m->tun_fds[0])) < 0) {
		log_warn("cannot steer packets to workers, one works alone error=\"%m\"");
		for (unsigned i = 1; i < m->workers; i++) {
			close(m->tun_fds[i]);
			m->tun_fds[i] = -1;
		}
		m->workers = 1;
	}
	m->tun_ifindex = if_nametoindex(TUN_NAME);
	return m->tun_ifindex != 0 ? 0 : -1;
}

static int
open_gre(struct monitor *m)
{
	for (unsigned i = 0; i < m->workers; i++) {
		m->gre_fds[i] = gre_socket_open(m->conf.settings->listen, i, m->workers);
		if (m->gre_fds[i] < 0) {
			log_warn("cannot open gre socket error=\"%m\"");
			return -1;
		}
	}
	return 0;
}

static int
set_addresses(struct monitor *m)
{
	const struct settings *s = m->conf.settings;

	if (netlink_open(&m->netlink) < 0 || netlink_proxies_forget(&m->netlink) < 0 ||
	    netlink_link_up(&m->netlink, m->tun_ifindex, s->mtu) < 0)
		goto failed;
	for (uint32_t i = 0; i < s->local_ips.total; i++)
		if (netlink_address_add(&m->netlink, m->tun_ifindex, ip_list_at(&s->local_ips, i)) <
		    0)
			goto failed;
	return 0;
failed:
	log_warn("cannot set up tun name=%s error=\"%m\"", TUN_NAME);
	return -1;
}

/* The listener */

static int
set_listener_options(int fd)
{
	int on = 1;
	uint32_t mark = MARK_LISTENER;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

int
monitor_open_listener(struct monitor *m)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons(PPTP_PORT),
	    .sin_addr.s_addr = htonl(m->listen_ip)};

	m->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->listen_fd >= 0 && set_listener_options(m->listen_fd) == 0 &&
	    bind(m->listen_fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return 0;
	log_warn("cannot bind ip=%s port=%d error=\"%m\"", conf_ipv4(m->listen_ip), PPTP_PORT);
	if (m->listen_fd >= 0)
		close(m->listen_fd);
	m->listen_fd = -1;
	return -1;
}

/*
 * What the kernel keeps of a former engine's connections: the peer may continue them, and this node
 * after it. Nobody does from these sockets.
 */
static void
end_orphans(const struct monitor *m)
{
	int n = sock_diag_end_orphans(m->listen_ip, PPTP_PORT);

	if (n < 0)
		log_warn("connections of a former engine stay error=\"%m\"");
	else if (n > 0)
		log_info("connections of a former engine ended connections=%d", n);
}

/* All of it */

int
monitor_open(struct monitor *m)
{
	m->pid_fd = m->control_fd = m->replica_fd = m->crumbs_fd = m->steer_fd = m->listen_fd =
	    m->announce_fd = m->netlink.fd = -1;
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++)
		m->gre_fds[i] = m->tun_fds[i] = -1;
	m->listen_ip = m->conf.settings->listen;
	raise_descriptor_limit();
	if (find_user(m) < 0 ||
	    below_root(m, m->wtmp_path, sizeof(m->wtmp_path), "/var/log/wtmp") < 0 ||
	    below_root(m, m->crash_path, sizeof(m->crash_path), CRASH_PATH) < 0 ||
	    make_run_folder(m) < 0 || open_pid_file(m) < 0 || open_sockets(m) < 0)
		return -1;
	m->crumbs = crumb_make(&m->crumbs_fd);
	if (m->crumbs == NULL) {
		log_warn("cannot share memory with the engine error=\"%m\"");
		return -1;
	}
	if (open_tun(m) < 0 || open_gre(m) < 0 || set_addresses(m) < 0)
		return -1;
	end_orphans(m);
	return monitor_open_listener(m);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
monitor_close_engine_fds(struct monitor *m)
{
	close_fd(&m->control_fd);
	close_fd(&m->replica_fd);
	close_fd(&m->crumbs_fd);
	close_fd(&m->steer_fd);
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		close_fd(&m->gre_fds[i]);
		close_fd(&m->tun_fds[i]);
	}
}

void
monitor_close(struct monitor *m)
{
	monitor_close_engine_fds(m);
	close_fd(&m->listen_fd);
	for (size_t i = 0; i < m->routes.size; i++) {
		struct table_slot *slot = &m->routes.slots[i];

		if (slot->key == 0)
			continue;
		netlink_route_delete(&m->netlink, m->tun_ifindex, (uint32_t)slot->key);
		if (slot->value != 0)
			netlink_proxy_delete(&m->netlink, slot->value, (uint32_t)slot->key);
	}
	table_fini(&m->routes);
	crumb_free(m->crumbs);
	netlink_networks_fini(&m->networks);
	close_fd(&m->announce_fd);
	netlink_close(&m->netlink);
	if (m->socket_path[0] != '\0')
		unlink(m->socket_path);
	if (m->replica_path[0] != '\0')
		unlink(m->replica_path);
	if (m->pid_path[0] != '\0')
		unlink(m->pid_path);
	close_fd(&m->pid_fd);
	free(m->user);
}
