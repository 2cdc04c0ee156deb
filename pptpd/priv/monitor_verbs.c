/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verb table. A packet that does not decode, brings another number of descriptors than its type
 * says, or fails its check changes nothing; it is logged and, if it has a number, answered.
 */
#include "pptpd/priv/monitor_verbs.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/loopback.h"
#include "pptpd/wire/pptp.h"

#define WSCALE_MAX 14
#define OPTIONS    (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE)

#define LATER (-1) /* the effect answers by itself */

struct verb_row {
	bool (*check)(const struct verbs *v, const struct priv_msg *m, int fd); /* NULL: anything */
	int (*run)(const struct verbs *v, const struct priv_msg *m, int fd);
};

static bool
check_call(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return conf_is_host_ip(m->ip) && m->call_id != 0;
}

/* A client's address: the pool's or a secret's, never one of this machine's; or the agent's own,
 * which nobody is told of. */
static bool
check_route(const struct verbs *v, const struct priv_msg *m, int fd)
{
	const struct settings *s = v->settings;

	if (loopback_is_address(m->ip))
		return !m->on || m->type != PRIV_ROUTE_ADD;
	if (!conf_is_host_ip(m->ip) || m->ip == s->listen || ip_list_has(&s->local_ips, m->ip))
		return false;
	return ip_list_has(&s->remote_ips, m->ip) ||
	       (v->n_statics > 0 && bsearch(&m->ip, v->statics, v->n_statics, sizeof(*v->statics),
					conf_compare_ips) != NULL);
}

static bool
check_socket(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->is_call(fd);
}

/* Continues what was accepted here or by the peer: our address, our port, a client's. */
static bool
check_restore(const struct verbs *v, const struct priv_msg *m, int fd)
{
	const struct tcp_snapshot *t = &m->restore.tcp;

	if (m->id == 0 || t->local_port != PPTP_PORT || !conf_is_host_ip(t->local_ip) ||
	    (v->listen != 0 && t->local_ip != v->listen))
		return false;
	if (!conf_is_host_ip(t->peer_ip) || t->peer_ip == t->local_ip || t->peer_port == 0)
		return false;
	return t->mss != 0 && (t->options & ~OPTIONS) == 0 && t->snd_wscale <= WSCALE_MAX &&
	       t->rcv_wscale <= WSCALE_MAX;
}

/* An answer is wanted: it carries the descriptor. */
static bool
check_number(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return m->id != 0;
}

static int
run_listen(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->listen(v->arg, m->on);
}

static int
run_call(const struct verbs *v, const struct priv_msg *m, int fd)
{
	v->ops->call(v->arg, m->type == PRIV_CALL_ADD, m->ip, m->call_id, m->id);
	return LATER;
}

static int
run_route_add(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->route_add(v->arg, m->ip, m->on);
}

static int
run_route_del(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->route_del(v->arg, m->ip);
}

static int
run_mark_closing(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->mark_closing(v->arg, fd);
}

static int
run_silent_close(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->silent_close(v->arg, fd);
}

static int
run_reload(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->reload(v->arg);
}

static int
run_wtmp(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->wtmp(v->arg, m->call_id, m->user, m->ip);
}

static int
run_probe(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return v->ops->probe(v->arg, fd);
}

static int
answer_made(const struct verbs *v, const struct priv_msg *m, int made)
{
	if (made < 0)
		return errno;
	v->ops->answer(v->arg, m->id, made, 0);
	return LATER;
}

static int
run_restore(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return answer_made(v, m, v->ops->restore(v->arg, &m->restore));
}

static int
run_sniffer(const struct verbs *v, const struct priv_msg *m, int fd)
{
	return answer_made(v, m, v->ops->sniffer(v->arg));
}

static int
run_pong(const struct verbs *v, const struct priv_msg *m, int fd)
{
	v->ops->pong(v->arg);
	return 0;
}

static const struct verb_row rows[PRIV_TYPE_END] = {
    [PRIV_LISTEN] = {NULL, run_listen},
    [PRIV_CALL_ADD] = {check_call, run_call},
    [PRIV_CALL_DEL] = {check_call, run_call},
    [PRIV_ROUTE_ADD] = {check_route, run_route_add},
    [PRIV_ROUTE_DEL] = {NULL, run_route_del}, /* only what was added is ever deleted */
    [PRIV_MARK_CLOSING] = {check_socket, run_mark_closing},
    [PRIV_SILENT_CLOSE] = {check_socket, run_silent_close},
    [PRIV_RELOAD] = {NULL, run_reload},
    [PRIV_WTMP] = {check_call, run_wtmp},
    [PRIV_RESTORE] = {check_restore, run_restore},
    [PRIV_PROBE] = {check_socket, run_probe},
    [PRIV_SNIFFER] = {check_number, run_sniffer},
    [PRIV_PONG] = {NULL, run_pong},
};

static int
refuse(const struct verbs *v, const struct priv_msg *m, int err)
{
	unsigned suppressed;

	if (v->limit != NULL && log_limit_ok(v->limit, 0, v->now_ms, &suppressed))
		log_warn("verb of the engine refused verb=%s reason=\"%s\" ip=%s call=%u "
			 "suppressed=%u",
		    priv_type_name(m->type), err == EPERM ? "not allowed" : "malformed",
		    conf_ipv4(m->ip), m->call_id, suppressed);
	return err;
}

static int
run_verb(const struct verbs *v, const struct priv_packet *p, struct priv_msg *m)
{
	const struct verb_row *row;
	int fd = p->n_fds > 0 ? p->fds[0] : -1;

	if (priv_decode(p->bytes, p->len, m) < 0 || m->type < PRIV_FIRST_VERB ||
	    p->n_fds != priv_msg_fds(m))
		return refuse(v, m, EBADMSG);
	row = &rows[m->type];
	if (row->check != NULL && !row->check(v, m, fd))
		return refuse(v, m, EPERM);
	return row->run(v, m, fd);
}

void
verbs_run(struct verbs *v, const struct priv_packet *p)
{
	struct priv_msg m;
	int err = run_verb(v, p, &m);

	if (err != LATER && m.id != 0)
		v->ops->answer(v->arg, m.id, -1, err);
}
