/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine's real sources, for a program that stands in for the monitor and the data plane. Here
 * is what all stand-ins have in common: nothing is asked of them, or nothing comes of it.
 */
#ifndef UNIT_ENGINE_RIG_H
#define UNIT_ENGINE_RIG_H

#include "pptpd/engine/ctrl.c"
#include "pptpd/engine/ctrl_admit.c"
#include "pptpd/engine/ctrl_handover.c"
#include "pptpd/engine/ctrl_io.c"
#include "pptpd/engine/ctrl_state.c"
#include "pptpd/engine/engine.c"
#include "pptpd/engine/loopback.c"
#include "pptpd/engine/rekey.c"
#include "pptpd/engine/session.c"
#include "pptpd/engine/session_link.c"
#include "pptpd/engine/session_login.c"
#include "pptpd/engine/session_state.c"
#include "pptpd/engine/standby.c"
#include "pptpd/engine/stats.c"
#include "pptpd/engine/takeover.c"
#include "pptpd/engine/takeover_handover.c"
#include "pptpd/engine/takeover_replica.c"

void
priv_sniffer(struct priv *p, priv_fd_fn *done, void *arg)
{
	done(arg, -1, ENOSYS);
}

void
priv_wtmp(struct priv *p, uint16_t call_id, const char *user, uint32_t ip)
{
}

void
priv_files_fini(struct priv_files *f)
{
}

int
priv_receive_start(int fd, struct priv_start *s)
{
	return -1;
}

struct priv *
priv_new(struct loop *l, int fd, const struct priv_ops *ops, void *arg)
{
	return NULL;
}

int
sandbox_engine(void)
{
	return -1;
}

struct answer_server *
control_new(struct engine *e, int fd)
{
	return NULL;
}

struct dataplane *
dp_new(struct loop *l, const struct dp_config *c, const struct dp_ops *ops, void *arg)
{
	return NULL;
}

void
dp_free(struct dataplane *dp)
{
}

void
dp_batch(struct dataplane *dp, bool on)
{
}

void
dp_work(const struct dataplane *dp, unsigned worker, uint64_t *decrypted, uint64_t *encrypted)
{
	*decrypted = 1000 + worker;
	*encrypted = 2000 + worker;
}

/*
 * What engine_run() makes of its files, without processes and threads; loop, node, boot_id, priv
 * and dp are the caller's. -1: the files are no good, or there is no memory.
 */
static inline int
rig_engine(struct engine *e, char *conf, char *options, char *secrets)
{
	char n1[] = "pptpd.conf", n2[] = "options.pptpd", n3[] = "chap-secrets";
	struct priv_files f = {n1, n2, n3, conf, options, secrets};
	struct ip_list addresses;

	TAILQ_INIT(&e->ctrls);
	TAILQ_INIT(&e->half_open);
	TAILQ_INIT(&e->strangers);
	STAILQ_INIT(&e->dead);
	timer_init(&e->reaper, e->loop, reaper_cb, e);
	timer_init(&e->stop_timer, e->loop, stop_cb, e);
	e->config = parse_config(&f, e->host);
	if (e->config == NULL || pool_addresses(e->config, &addresses) < 0)
		return -1;
	e->pool = pool_new(&addresses);
	ip_list_fini(&addresses);
	e->by_call = calloc(65536, sizeof(struct session *));
	e->limit = log_limit_new(1, 16);
	e->quiet = log_limit_new(1, 16);
	return e->pool == NULL || e->by_call == NULL ? -1 : 0;
}

#endif
