/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the verbs do once their checks have passed. Effects return 0 or an errno; the engine decides
 * what that means for the session. Nothing here waits for anybody but the kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utmp.h>

#include "common/marks.h"
#include "pptpd/priv/announce.h"
#include "pptpd/priv/monitor.h"
#include "pptpd/priv/sniffer.h"
#include "pptpd/priv/tcp_snapshot.h"

#define BACKLOG     1024
#define NETWORKS_MS 1000 /* so long is what interfaces have believed */

static int
do_listen(void *arg, bool on)
{
	struct monitor *m = arg;

	if (on == m->listening)
		return 0;
	if (on) {
		if (m->listen_fd < 0 && monitor_open_listener(m) < 0)
			return errno;
		if (listen(m->listen_fd, BACKLOG) < 0)
			return errno;
	} else {
		io_fini(&m->listen_io);
		close(m->listen_fd);
		m->listen_fd = -1;
		(void)monitor_open_listener(m); /* keeps the port; logged; tried again at `on` */
	}
	m->listening = on;
	monitor_watch(m);
	return 0;
}

static void
do_call(void *arg, bool add, uint32_t peer_ip, uint16_t call_id, uint32_t id)
{
	struct monitor *m = arg;

	calls_change(m->calls, add, peer_ip, call_id, id);
}

/* A route of a former engine, whose TUN we found still there, is replaced; anybody else's stays. */
static int
add_route(struct monitor *m, uint32_t ip)
{
	if (netlink_route_add(&m->netlink, m->tun_ifindex, ip) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	if (netlink_route_delete(&m->netlink, m->tun_ifindex, ip) < 0) {
		errno = EEXIST;
		return -1;
	}
	return netlink_route_add(&m->netlink, m->tun_ifindex, ip);
}

static bool
may_log(struct monitor *m, uint32_t key, unsigned *suppressed)
{
	return log_limit_ok(m->limit, key, loop_now_ms(m->loop), suppressed);
}

static unsigned
proxy_interface(struct monitor *m, uint32_t ip)
{
	uint64_t now_ms = loop_now_ms(m->loop);

	if ((m->networks_ms == 0 || now_ms - m->networks_ms >= NETWORKS_MS) &&
	    netlink_networks_read(&m->networks, m->tun_ifindex) == 0)
		m->networks_ms = now_ms;
	return netlink_networks_find(&m->networks, ip);
}

static void
announce(struct monitor *m, unsigned ifindex, uint32_t ip)
{
	unsigned suppressed;

	if (m->announce_fd < 0)
		m->announce_fd = announce_open();
	if (m->announce_fd >= 0 && announce_address(m->announce_fd, ifindex, ip) == 0)
		return;
	if (may_log(m, 3, &suppressed))
		log_warn("address not announced ip=%s error=\"%m\" suppressed=%u", conf_ipv4(ip),
		    suppressed);
}

/* The interface that answers ARP for ip from now on, 0 = none (logged). */
static unsigned
add_proxy(struct monitor *m, uint32_t ip)
{
	unsigned proxy = proxy_interface(m, ip), suppressed;

	if (proxy != 0 && netlink_proxy_add(&m->netlink, proxy, ip) == 0) {
		announce(m, proxy, ip);
		return proxy;
	}
	if (may_log(m, 2, &suppressed))
		log_warn("no proxy ARP ip=%s reason=\"%s\" suppressed=%u", conf_ipv4(ip),
		    proxy == 0 ? "no interface has its network" : strerror(errno), suppressed);
	return 0;
}

static void
drop_proxy(struct monitor *m, unsigned proxy, uint32_t ip)
{
	if (proxy != 0)
		(void)netlink_proxy_delete(&m->netlink, proxy, ip);
}

/* The route is there already: of a standby that is promoted, or of one that was demoted. */
static int
serve_route(struct monitor *m, uint32_t ip, uint32_t *proxy, bool wanted)
{
	if (!wanted && *proxy != 0) {
		drop_proxy(m, *proxy, ip);
		*proxy = 0;
	} else if (wanted && *proxy == 0) {
		*proxy = add_proxy(m, ip);
	}
	return 0;
}

static int
do_route_add(void *arg, uint32_t ip, bool serve)
{
	struct monitor *m = arg;
	uint32_t *known = table_find(&m->routes, ip);
	bool wanted = serve && m->conf.settings->proxyarp;
	unsigned proxy;

	if (known != NULL)
		return serve_route(m, ip, known, wanted);
	if (add_route(m, ip) < 0)
		return errno;
	proxy = wanted ? add_proxy(m, ip) : 0;
	if (table_put(&m->routes, ip, proxy) == 0)
		return 0;
	netlink_route_delete(&m->netlink, m->tun_ifindex, ip);
	drop_proxy(m, proxy, ip);
	return ENOMEM;
}

static int
do_route_del(void *arg, uint32_t ip)
{
	struct monitor *m = arg;
	uint32_t *found = table_find(&m->routes, ip), proxy;
	int err = 0;

	if (found == NULL)
		return 0;
	proxy = *found;
	table_delete(&m->routes, ip);
	if (netlink_route_delete(&m->netlink, m->tun_ifindex, ip) < 0 && errno != ESRCH)
		err = errno;
	if (proxy != 0 && netlink_proxy_delete(&m->netlink, proxy, ip) < 0 && errno != ENOENT &&
	    errno != ENODEV)
		err = errno;
	return err;
}

static int
do_mark_closing(void *arg, int fd)
{
	return tcp_set_mark(fd, MARK_CLOSING) < 0 ? errno : 0;
}

static int
do_silent_close(void *arg, int fd)
{
	return tcp_silence(fd) < 0 ? errno : 0;
}

static int
do_restore(void *arg, const struct tcp_restore *r)
{
	return tcp_restore_open(r, wall_now_ms());
}

static int
do_sniffer(void *arg)
{
	return sniffer_open(((struct monitor *)arg)->listen_ip);
}

static int
do_probe(void *arg, int fd)
{
	return tcp_probe(fd) < 0 ? errno : 0;
}

static void
do_pong(void *arg)
{
	watchdog_answered(&((struct monitor *)arg)->watchdog);
}

static int
do_reload(void *arg)
{
	return monitor_reload(arg);
}

/* One append is one record; a file that is not there is not wanted. */
static int
do_wtmp(void *arg, uint16_t call_id, const char *user, uint32_t peer_ip)
{
	struct monitor *m = arg;
	struct utmp u = {
	    .ut_type = *user != '\0' ? USER_PROCESS : DEAD_PROCESS, .ut_pid = m->engine};
	struct timeval now;
	int fd, err = 0;

	if (!m->conf.settings->logwtmp)
		return 0;
	gettimeofday(&now, NULL);
	u.ut_tv.tv_sec = (int32_t)now.tv_sec;
	u.ut_tv.tv_usec = (int32_t)now.tv_usec;
	snprintf(u.ut_line, sizeof(u.ut_line), "pptp%u", call_id);
	snprintf(u.ut_id, sizeof(u.ut_id), "%03x", call_id & 0xfffu);
	for (size_t i = 0; i < sizeof(u.ut_user) && user[i] != '\0'; i++)
		u.ut_user[i] = user[i] > ' ' && user[i] < 0x7f ? user[i] : '?';
	snprintf(u.ut_host, sizeof(u.ut_host), "%s", conf_ipv4(peer_ip));
	u.ut_addr_v6[0] = (int32_t)htonl(peer_ip);
	fd = open(m->wtmp_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (write(fd, &u, sizeof(u)) != (ssize_t)sizeof(u))
		err = EIO;
	close(fd);
	return err;
}

static void
do_answer(void *arg, uint32_t id, int fd, int err)
{
	struct priv_msg msg = {
	    .type = fd >= 0 ? PRIV_REPLY_FD : PRIV_REPLY, .id = id, .err = (uint32_t)err};

	monitor_tell(arg, &msg, fd);
}

void
monitor_answer_call(void *arg, uint32_t id, int err)
{
	do_answer(arg, id, -1, err);
}

const struct verb_ops monitor_effects = {
    .listen = do_listen,
    .call = do_call,
    .route_add = do_route_add,
    .route_del = do_route_del,
    .mark_closing = do_mark_closing,
    .silent_close = do_silent_close,
    .reload = do_reload,
    .wtmp = do_wtmp,
    .restore = do_restore,
    .sniffer = do_sniffer,
    .probe = do_probe,
    .pong = do_pong,
    .is_call = tcp_is_call,
    .answer = do_answer,
};

/* Reload */

static void
log_lines(const char *text)
{
	for (const char *line = text; line != NULL && *line != '\0';) {
		size_t len = strcspn(line, "\n");

		log_warn("configuration: %.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

int
monitor_reload(struct monitor *m)
{
	struct conf_errors e = {0};
	struct monitor_conf fresh;
	const char *frozen;
	int rc, fd;

	rc = monitor_conf_read(m->o, &fresh, &e);
	log_lines(e.text);
	conf_errors_fini(&e);
	if (rc < 0) {
		log_warn("reload refused, the old configuration stays");
		return EINVAL;
	}
	fd = priv_files_pack(&fresh.files);
	if (fd < 0) {
		rc = errno;
		log_warn("reload failed error=\"%m\"");
		monitor_conf_fini(&fresh);
		return rc;
	}
	frozen = settings_needs_restart(m->conf.settings, fresh.settings);
	if (frozen != NULL)
		log_warn("reload does not change everything, restart for it directive=%s", frozen);
	priv_files_fini(&fresh.files);
	monitor_conf_fini(&m->conf);
	m->conf = fresh;
	m->verbs.settings = fresh.settings;
	m->verbs.statics = fresh.statics;
	m->verbs.n_statics = fresh.n_statics;
	monitor_tell(m, &(struct priv_msg){.type = PRIV_FILES}, fd);
	return 0;
}
