/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pptp-client: connects one or thousands of PPTP sessions, authenticates the server, encrypts,
 * sends traffic, misbehaves on request, and reports in JSON. All in user space: it needs a raw
 * socket, but no TUN and no kernel PPP.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "common/log.h"
#include "tests/client/attack.h"
#include "tests/client/client.h"
#include "tests/client/commands.h"
#include "tests/client/control.h"
#include "tests/client/gre_io.h"
#include "tests/client/icmp_io.h"
#include "tests/client/keylog.h"
#include "tests/client/options.h"
#include "tests/client/report.h"
#include "tests/client/session.h"
#include "tests/client/silent.h"

#define N_SIGNALS 2

static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static uint64_t
seed(void)
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		log_fatal("no random numbers error=\"%m\"");
	return v;
}

static void
create(struct client *c, const struct options *o)
{
	const struct fault_rates none = {0};

	c->o = o;
	c->n_sessions = o->sessions;
	c->n_controls = (o->sessions + o->calls - 1) / o->calls;
	c->sessions = calloc(c->n_sessions, sizeof(*c->sessions));
	c->controls = calloc(c->n_controls, sizeof(*c->controls));
	c->by_call = calloc(UINT16_MAX + 1, sizeof(struct session *));
	c->loop = loop_new();
	if (c->sessions == NULL || c->controls == NULL || c->by_call == NULL || c->loop == NULL)
		log_fatal("out of memory");
	faults_init(&c->faults, &o->faults, seed());
	faults_init(&c->faults_receive, o->faults_receive ? &o->faults : &none, seed());
	c->faults_receive.rates.corrupt = c->faults_receive.rates.corrupt_extra = 0;
	c->next_call_id = (uint16_t)seed();
	for (unsigned i = 0; i < c->n_sessions; i++)
		session_init(&c->sessions[i], c, &c->controls[i / o->calls], i);
	for (unsigned i = 0; i < c->n_controls; i++)
		control_init(&c->controls[i], c, i);
	if (gre_io_open(c) < 0)
		log_fatal("cannot open the GRE socket error=\"%m\"");
	if (icmp_io_open(c) < 0)
		log_fatal("cannot open the ICMP socket error=\"%m\"");
	if (o->keylog != NULL && keylog_open(c, o->keylog) < 0)
		log_fatal("cannot write the key log file=%s error=\"%m\"", o->keylog);
	if (o->commands && (c->commands = commands_new(c)) == NULL)
		log_fatal("cannot read commands error=\"%m\"");
}

static void
destroy(struct client *c)
{
	timer_cancel(&c->end_timer);
	attack_free(c->attack);
	commands_free(c->commands);
	for (unsigned i = 0; i < c->n_controls; i++)
		control_fini(&c->controls[i]);
	for (unsigned i = 0; i < c->n_sessions; i++)
		session_fini(&c->sessions[i]);
	gre_io_close(c);
	icmp_io_close(c);
	keylog_close(c);
	loop_free(c->loop);
	for (unsigned i = 0; i < STEPS; i++)
		samples_fini(&c->steps[i]);
	samples_fini(&c->rtt);
	samples_fini(&c->redial);
	free(c->sessions);
	free(c->controls);
	free(c->by_call);
}

static void
signal_cb(int signo, void *arg)
{
	log_info("stopping signal=%d", signo);
	client_hurry(arg);
}

int
main(int argc, char **argv)
{
	static const int wanted[N_SIGNALS] = {SIGINT, SIGTERM};
	struct sig signals[N_SIGNALS];
	struct client c = {0};
	struct options o;
	bool ok;

	options_parse(&o, argc, argv);
	log_init("pptp-client", -1, o.debug);
	raise_limits();
	if (o.silent > 0)
		return silent_run(&o);
	create(&c, &o);
	for (unsigned i = 0; i < N_SIGNALS; i++)
		if (sig_init(&signals[i], c.loop, wanted[i], signal_cb, &c) < 0)
			log_fatal("cannot take a signal error=\"%m\"");
	client_start(&c);
	loop_run(c.loop);
	ok = report_print(&c);
	for (unsigned i = 0; i < N_SIGNALS; i++)
		sig_fini(&signals[i]);
	destroy(&c);
	return ok ? 0 : 1;
}
