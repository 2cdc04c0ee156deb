/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's life: start from what the monitor hands over, roles, reload, orderly end.
 */
#include "pptpd/engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/takeover.h"
#include "pptpd/priv/crumb.h"

#define STOP_GRACE_MS 500 /* for what is being said when we are told to stop */
/* Descriptors for all else: workers, the control socket's clients, what one turn may bring. */
#define OTHER_FDS 192

/* ---- configuration ---- */

struct engine_config *
engine_config_ref(struct engine_config *c)
{
	c->refs++;
	return c;
}

void
engine_config_unref(struct engine_config *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	secrets_free(c->secrets);
	settings_free(c->settings);
	free(c);
}

_Static_assert(SETTINGS_MTU_MAX == DP_FRAME_MAX, "the bound of mtu and mru");

static void
link_config(struct ppp_config *p, const struct settings *s)
{
	ppp_config_defaults(p);
	p->is_server = true;
	p->mru = (uint16_t)s->mru;
	p->mtu = (uint16_t)s->mtu;
	p->name = s->name;
	for (unsigned i = 0; i < 2; i++) {
		p->dns[i] = i < s->n_dns ? s->dns[i] : 0;
		p->wins[i] = i < s->n_wins ? s->wins[i] : 0;
	}
	p->echo_interval_s = (uint16_t)s->lcp_echo_interval_s;
	p->echo_failure = (uint8_t)s->lcp_echo_failure;
	p->restart_ms = s->lcp_restart_s * 1000;
	p->max_configure =
	    s->lcp_max_configure < UINT8_MAX ? (uint8_t)s->lcp_max_configure : UINT8_MAX;
}

/* The monitor has checked the files; what fails here is a difference between the two, or memory. */
static struct engine_config *
parse_config(const struct priv_files *f, const char *host)
{
	struct engine_config *c = calloc(1, sizeof *c);
	struct conf_errors e = {0};

	if (c == NULL)
		return NULL;
	c->refs = 1;
	c->settings = settings_new();
	if (c->settings == NULL ||
	    settings_parse_main(c->settings, f->conf_name, f->conf, &e) < 0 ||
	    settings_parse_options(c->settings, f->options_name, f->options, &e) < 0 ||
	    settings_check(c->settings, f->conf_name, &e) < 0 ||
	    settings_default_name(c->settings, host) < 0 ||
	    (c->secrets = secrets_parse(f->secrets_name, f->secrets, &e)) == NULL) {
		log_warn("configuration not usable errors=%u first=\"%s\"", e.errors,
		    e.text != NULL ? log_quote(e.text, strcspn(e.text, "\n")) : "out of memory");
		conf_errors_fini(&e);
		engine_config_unref(c);
		return NULL;
	}
	conf_errors_fini(&e);
	link_config(&c->ppp, c->settings);
	return c;
}

/*
 * What the pool gives out: remoteip without the addresses that chap-secrets names for a user, or
 * any few others would keep that user out.
 */
static int
pool_addresses(const struct engine_config *c, struct ip_list *out)
{
	size_t n;
	uint32_t *statics = secrets_static_ips(c->secrets, &n);
	int rc;

	if (statics == NULL)
		return -1;
	rc = ip_list_without(&c->settings->remote_ips, statics, n, out);
	free(statics);
	return rc;
}

static bool
wants_debug(const struct engine *e)
{
	const struct settings *s = e->config->settings;

	return e->debug || s->debug || s->ppp_debug;
}

/*
 * SIGHUP: what comes later uses the new files; running sessions keep the settings that they began
 * with. Not the users: a login is judged by the newest file, and a session of a month must not keep
 * a copy of each file that came and went.
 */
static void
on_files(void *arg, struct priv_files *f)
{
	struct engine *e = arg;
	struct engine_config *c = parse_config(f, e->host);
	struct ip_list addresses = {0};
	int rc;

	priv_files_fini(f);
	if (c == NULL)
		return;
	rc = pool_addresses(c, &addresses) < 0 ? -1 : pool_reload(e->pool, &addresses);
	ip_list_fini(&addresses);
	if (rc < 0) {
		log_warn("reload failed reason=\"out of memory\"");
		engine_config_unref(c);
		return;
	}
	secrets_free(e->config->secrets);
	e->config->secrets = NULL;
	engine_config_unref(e->config);
	e->config = c;
	log_set_debug(wants_debug(e));
	log_info("reloaded users=%zu pool=%u sessions=%u", secrets_count(c->secrets),
	    pool_size(e->pool), e->n_sessions);
}

/* ---- reaper ---- */

static void
reaper_cb(void *arg)
{
	struct engine *e = arg;
	struct reap *r;

	while ((r = STAILQ_FIRST(&e->dead)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->dead, next);
		r->free(r->object);
	}
}

void
engine_reap(struct engine *e, struct reap *r, void (*free_object)(void *object), void *object)
{
	r->free = free_object;
	r->object = object;
	STAILQ_INSERT_TAIL(&e->dead, r, next);
	timer_set(&e->reaper, 0);
}

uint64_t
engine_new_id(struct engine *e)
{
	return (uint64_t)(e->boot_id & INT32_MAX) << 32 | ++e->next_id;
}

bool
engine_log_ok(struct engine *e, uint32_t peer_ip)
{
	unsigned suppressed = 0;

	if (!log_limit_ok(e->limit, peer_ip, loop_now_ms(e->loop), &suppressed))
		return false;
	if (suppressed > 0)
		log_info("messages suppressed peer=%s count=%u", conf_ipv4(peer_ip), suppressed);
	return true;
}

/* ---- the end ---- */

static void
stop_cb(void *arg)
{
	struct engine *e = arg;

	loop_stop(e->loop);
}

/*
 * A standby that is in step goes on with our sessions, so nothing is said. Where nobody does, the
 * clients are told at once: each call gets its Disconnect-Notify, each connection a Stop-Request.
 */
static void
stop_serving(void *arg)
{
	struct engine *e = arg;
	struct ctrl *c, *next;
	struct session *s;

	if (e->stopping)
		return;
	e->stopping = true;
	log_info("stopping sessions=%u", e->n_sessions);
	if (takeover_leave(e)) {
		timer_set(&e->stop_timer, 0);
		return;
	}
	priv_listen(e->priv, false, NULL, NULL);
	for (c = TAILQ_FIRST(&e->ctrls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		while ((s = TAILQ_FIRST(&c->sessions)) != NULL)
			session_close(s, END_SHUTDOWN, true);
		ctrl_stop(c, CTRL_STOP_SHUTDOWN);
	}
	timer_set(&e->stop_timer, TAILQ_EMPTY(&e->ctrls) ? 0 : STOP_GRACE_MS);
}

static void
on_gone(void *arg)
{
	(void)arg;
	log_warn("the monitor is gone");
	_exit(1);
}

static void
on_accept(void *arg, int fd, const struct tcp_snapshot *t)
{
	ctrl_accept(arg, fd, t);
}

/* ---- the beginning ---- */

static int
start_data_plane(struct engine *e, const struct priv_start *s)
{
	const struct settings *conf = e->config->settings;
	struct dp_config c = {
	    .workers = s->workers,
	    .steer_map_fd = s->steer_map_fd,
	    .reorder_window = (uint8_t)conf->reorder_window,
	    .reorder_timeout_us = conf->reorder_timeout_ms * 1000,
	    .ack_delay_us = conf->ack_delay_ms * 1000,
	    .tun_mtu = (uint16_t)conf->mtu,
	    .bind_ip = s->bind_ip,
	    .crumbs = e->crumbs != NULL ? &e->crumbs->slots[CRUMB_MAIN + 1] : NULL,
	};

	memcpy(c.gre_fds, s->gre_fds, sizeof c.gre_fds);
	memcpy(c.tun_fds, s->tun_fds, sizeof c.tun_fds);
	e->workers = s->workers;
	e->dp = dp_new(e->loop, &c, &session_dp_ops, e);
	return e->dp != NULL ? 0 : -1;
}

static const struct priv_ops monitor_ops = {
    .on_accept = on_accept,
    .on_files = on_files,
    .on_stop = stop_serving,
    .on_gone = on_gone,
};

/* Beyond it the next connection would be lost on its way from the monitor, and with it every other.
 */
static void
limit_sockets(struct engine *e)
{
	const struct settings *conf = e->config->settings;
	struct rlimit r = {0};
	rlim_t left;

	(void)getrlimit(RLIMIT_NOFILE, &r);
	left = r.rlim_cur > 2 * OTHER_FDS ? r.rlim_cur - OTHER_FDS : r.rlim_cur / 2;
	e->max_sockets = left < UINT16_MAX * 2 ? (unsigned)left : UINT16_MAX * 2;
	if (e->max_sockets < conf->connections + conf->max_half_open)
		log_warn("the limit of open files allows fewer connections than configured "
			 "limit=%llu connections=%u half_open=%u",
		    (unsigned long long)r.rlim_cur, conf->connections, conf->max_half_open);
}

static int
engine_init(struct engine *e, struct priv_start *s)
{
	struct ip_list addresses = {0};

	TAILQ_INIT(&e->ctrls);
	TAILQ_INIT(&e->half_open);
	TAILQ_INIT(&e->strangers);
	STAILQ_INIT(&e->dead);
	memcpy(e->node, s->node, sizeof e->node);
	e->debug = s->debug;
	if (getrandom(&e->boot_id, sizeof e->boot_id, 0) < 0)
		return -1;
	e->next_call_id = (uint16_t)(e->boot_id ^ e->boot_id >> 16);
	e->config = parse_config(&s->files, e->host);
	priv_files_fini(&s->files);
	if (e->config == NULL)
		return -1;
	log_set_debug(wants_debug(e));
	limit_sockets(e);
	if (pool_addresses(e->config, &addresses) == 0)
		e->pool = pool_new(&addresses);
	ip_list_fini(&addresses);
	e->by_call = calloc(65536, sizeof(struct session *));
	e->limit = log_limit_new(30, 1024);
	e->quiet = log_limit_new(30, 1024);
	e->started_ms = loop_now_ms(e->loop);
	timer_init(&e->reaper, e->loop, reaper_cb, e);
	timer_init(&e->stop_timer, e->loop, stop_cb, e);
	if (e->pool == NULL || e->by_call == NULL || e->limit == NULL || e->quiet == NULL)
		return -1;
	e->priv = priv_new(e->loop, PRIV_FD, &monitor_ops, e);
	if (e->priv == NULL || start_data_plane(e, s) < 0 || takeover_init(e, s->replica_fd) < 0)
		return -1;
	e->control = control_new(e, s->control_fd);
	return e->control != NULL ? 0 : -1;
}

static void
engine_fini(struct engine *e)
{
	if (e->replica != NULL && e->role == ROLE_ACTIVE)
		replica_demote(e->replica, e->epoch);
	ctrl_silence_all(e);
	takeover_fini(e);
	answer_server_free(e->control);
	priv_free(e->priv);
	dp_free(e->dp);
	reaper_cb(e);
	ctrl_abandon_all(e);
	rekey_free(e);
	for (unsigned id = 0; e->by_call != NULL && id < 65536; id++)
		if (e->by_call[id] != NULL)
			session_abandon(e->by_call[id]);
	timer_cancel(&e->reaper);
	timer_cancel(&e->stop_timer);
	loopback_fini(e);
	log_limit_free(e->limit);
	log_limit_free(e->quiet);
	pool_free(e->pool);
	free(e->by_call);
	engine_config_unref(e->config);
}

/* From here on the monitor can tell what we had in hand. */
static int
leave_crumbs(struct engine *e, int fd)
{
	e->crumbs = crumb_take(fd);
	if (e->crumbs == NULL)
		return -1;
	e->crumb = &e->crumbs->slots[CRUMB_MAIN];
	crumb_begin(e->crumb);
	return crumb_watch(e->crumbs);
}

int
engine_run(void)
{
	struct priv_start s;
	struct engine *e = calloc(1, sizeof *e);
	int status = 1;

	if (e == NULL || priv_receive_start(PRIV_FD, &s) < 0) {
		log_warn("engine did not get its start message error=\"%s\"", strerror(errno));
		goto out;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (leave_crumbs(e, s.crumbs_fd) < 0)
		log_warn("a crash will not tell what it had in hand error=\"%s\"", strerror(errno));
	(void)gethostname(e->host, sizeof e->host - 1);
	json_object_seed(0); /* reads the random device: impossible later */
	if ((e->loop = loop_new()) == NULL || sandbox_engine() < 0) {
		log_warn("engine not started error=\"%s\"", strerror(errno));
		goto out;
	}
	if (engine_init(e, &s) < 0) {
		log_warn("engine not started error=\"%s\"", strerror(errno));
		goto out;
	}
	log_info("engine started node=%s workers=%u pool=%u users=%zu", e->node, e->workers,
	    pool_size(e->pool), secrets_count(e->config->secrets));
	if (!s.standby && engine_promote(e, 0, NULL, NULL) < 0)
		goto out;
	loop_run(e->loop);
	engine_fini(e);
	loop_free(e->loop);
	status = 0;
out:
	free(e);
	return status;
}
