/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's life and its transitions. It acts on nothing when it ends: a restart finds the
 * gateway as it was and takes it from there. keepalived decides who is MASTER; that the virtual
 * address is here (or not) is its last word, so a notify line that came late or in the wrong order
 * is put right by the tick (agent_health.c).
 */
#include "hagent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/net.h"

#define LOCK_PATH      HAGENT_RUN "/agent.lock"
#define MASTER_WAIT_MS 20
#define MASTER_TRIES   10
#define LAST_LINES     400

bool
agent_serves(const struct agent *a)
{
	return role_state(&a->role) == ROLE_ACTIVE || role_state(&a->role) == ROLE_PROMOTING;
}

uint64_t
agent_counter(const struct agent *a)
{
	return a->pptpd.epoch > a->epoch.counter ? a->pptpd.epoch : a->epoch.counter;
}

/* ---- transitions ---- */

static void
end_transition(struct agent *a, const char *result)
{
	struct agent_transition *t = &a->transition;
	char begun[25];
	json_t *o;

	if (!t->running)
		return;
	t->running = false;
	t->ended_ms = loop_now_ms(a->loop);
	journal_time(t->begun_at, begun);
	o = json_pack("{s:s,s:I,s:I,s:s,s:s,s:I,s:s?,s:I,s:s,s:s}", "kind", "transition", "id",
	    (json_int_t)t->id, "epoch", (json_int_t)a->epoch.counter, "transition",
	    role_work_name(t->work), "result", result, "ms",
	    (json_int_t)(loop_now_ms(a->loop) - t->begun_ms), "slowest", t->slowest, "slowest_ms",
	    (json_int_t)t->slowest_ms, "begun", begun, "detail", t->why);
	log_info("transition id=%llu kind=%s result=%s ms=%llu slowest=%s slowest_ms=%llu",
	    (unsigned long long)t->id, role_work_name(t->work), result,
	    (unsigned long long)(loop_now_ms(a->loop) - t->begun_ms), t->slowest ? t->slowest : "-",
	    (unsigned long long)t->slowest_ms);
	json_decref(a->last_transition);
	a->last_transition = json_incref(o);
	agent_count_transition(
	    a, role_work_name(t->work), result, loop_now_ms(a->loop) - t->begun_ms);
	journal_add(&a->journal, o);
}

void
agent_journal_step(struct agent *a, const struct steps_report *r, const char *what)
{
	const char *detail = log_quote(r->detail, strlen(r->detail));

	agent_count_step(a, r, what);
	if (r->result == STEP_FAILED || r->result == STEP_CUT)
		log_warn("step %s id=%llu step=%s ms=%llu detail=\"%s\"",
		    step_result_name(r->result), (unsigned long long)r->id, r->step->name,
		    (unsigned long long)r->ms, detail);
	journal_add(&a->journal,
	    json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:I,s:s}", "kind", "step", "id", (json_int_t)r->id,
		"epoch", (json_int_t)a->epoch.counter, "transition", what, "step", r->step->name,
		"result", step_result_name(r->result), "ms", (json_int_t)r->ms, "detail", detail));
}

static void
on_step(void *arg, const struct steps_report *r)
{
	struct agent *a = arg;
	struct agent_transition *t = &a->transition;

	if (r->id == t->id && !r->step->background) {
		if (r->ms > t->slowest_ms || !t->slowest) {
			t->slowest = r->step->name;
			t->slowest_ms = r->ms;
		}
		t->trouble |= r->result == STEP_FAILED || r->result == STEP_CUT;
	}
	agent_journal_step(a, r, role_work_name(r->id == t->id ? t->work : a->work_before));
}

static void
on_done(void *arg, uint64_t id)
{
	struct agent *a = arg;

	(void)id; /* the runner tells the end of the newest list only */
	end_transition(a, a->transition.trouble ? "done with trouble" : "done");
	if (role_event(&a->role, ROLE_EV_DONE, "the steps are over") &&
	    role_state(&a->role) == ROLE_ACTIVE)
		agent_files_pull(a);
}

/* The role machine's upcall: begin a list of steps. */
static void
on_begin(void *arg, enum role_work work, const char *why)
{
	struct agent *a = arg;
	struct agent_transition *t = &a->transition;
	size_t n;
	const struct step *list = agent_steps_of(a, work, &n);

	if (work == ROLE_PROMOTE) {
		uint64_t counter = agent_counter(a);

		if (a->peer.epoch.counter > counter)
			counter = a->peer.epoch.counter;
		a->epoch.counter = move_epoch(counter, a->take.prepared ? a->take.epoch : 0);
		snprintf(a->epoch.node, sizeof(a->epoch.node), "%s", a->us->name);
		agent_split_promoted(a);
	} else {
		arp_stop(&a->arp);
	}
	agent_move_superseded(a, work);
	agent_take_superseded(a, work);
	end_transition(a, "superseded");
	log_info("transition begins id=%llu kind=%s epoch=%llu why=\"%s\"",
	    (unsigned long long)a->last_id + 1, role_work_name(work),
	    (unsigned long long)a->epoch.counter, log_quote(why, strlen(why)));
	a->work_before = t->work;
	*t = (struct agent_transition){
	    .id = ++a->last_id,
	    .work = work,
	    .begun_ms = loop_now_ms(a->loop),
	    .begun_at = journal_now_ms(),
	    .running = true,
	};
	snprintf(t->why, sizeof(t->why), "%s", log_quote(why, strlen(why)));
	steps_run(&a->steps, list, n, t->id);
}

void
agent_word(struct agent *a, enum role_event event, const char *why)
{
	role_event(&a->role, event, why);
}

/* ---- keepalived's words ---- */

static void
act_on_master(struct agent *a)
{
	int held = agent_serves(a) ? 1 : net_holds(a->us->wan_if, a->cluster->vip_wan.address);

	if (held == 0 && a->master_tries++ < MASTER_TRIES) {
		timer_set(&a->master_wait, MASTER_WAIT_MS);
		return;
	}
	if (held == 0) {
		journal_event(&a->journal, "notify-ignored",
		    "MASTER, but the virtual address is not here: the line is old");
		return;
	}
	agent_word(a, ROLE_EV_MASTER, "keepalived said MASTER");
}

static void
master_wait_cb(void *arg)
{
	act_on_master(arg);
}

static void
act_on_pending(struct agent *a)
{
	static const enum role_event words[] = {
	    [FIFO_BACKUP] = ROLE_EV_BACKUP,
	    [FIFO_FAULT] = ROLE_EV_FAULT,
	    [FIFO_STOP] = ROLE_EV_STOP,
	    [FIFO_DELETED] = ROLE_EV_STOP,
	};
	char why[64];
	int event = a->pending;

	a->pending = -1;
	if (event < 0)
		return;
	timer_cancel(&a->master_wait);
	a->heard = (enum fifo_event)event;
	agent_keepalived_look(a);
	if (event == FIFO_MASTER) {
		a->master_tries = 0;
		act_on_master(a);
		return;
	}
	snprintf(why, sizeof(why), "keepalived said %s", fifo_event_name((enum fifo_event)event));
	agent_word(a, words[event], why);
}

static void
on_line(const struct fifo_line *line, const char *text, size_t len, void *arg)
{
	struct agent *a = arg;

	if (!line) {
		log_warn("notify line not understood text=\"%s\"", log_quote(text, len));
		return;
	}
	log_info("notify line=\"%s\"", log_quote(text, len));
	if (line->group || strcmp(line->name, HAGENT_INSTANCE) != 0)
		return;
	if (line->event == FIFO_MASTER_RX_LOWER_PRI && agent_serves(a))
		arp_announce(&a->arp); /* the other one may have announced itself last */
	if (line->event > FIFO_DELETED)
		return;
	if (a->pending >= 0)
		journal_event(&a->journal, "notify-overtaken", "%s, by one right behind it",
		    fifo_event_name((enum fifo_event)a->pending));
	a->pending = (int)line->event;
}

static void
fifo_cb(int events, void *arg)
{
	struct agent *a = arg;
	char bytes[4096];
	ssize_t n = read(a->fifo, bytes, sizeof(bytes));

	if (n <= 0)
		return;
	fifo_feed(&a->fifo_buffer, bytes, (size_t)n, on_line, a);
	act_on_pending(a);
}

int
agent_notify(struct agent *a, const char *line)
{
	struct fifo_line parsed;

	if (fifo_parse(line, strlen(line), &parsed) < 0)
		return -1;
	on_line(&parsed, line, strlen(line), a);
	act_on_pending(a);
	return 0;
}

/* Made beforehand, so that keepalived neither makes nor removes it; both ends open, so no EOF. */
static int
open_fifo(struct agent *a)
{
	char *path = hagent_path(a->h, HAGENT_NOTIFY_FIFO);
	struct stat st;
	int result = -1;

	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		goto out;
	a->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (a->fifo < 0 || fstat(a->fifo, &st) < 0)
		goto out;
	if (!S_ISFIFO(st.st_mode)) {
		errno = EEXIST;
		goto out;
	}
	result = io_init(&a->fifo_io, a->loop, a->fifo, fifo_cb, a);
	if (result == 0)
		io_want(&a->fifo_io, IO_READ);
out:
	if (result < 0)
		hagent_fail("%s: %s", path, strerror(errno));
	free(path);
	return result;
}

/* ---- life ---- */

static void
stop_cb(int signo, void *arg)
{
	struct agent *a = arg;

	log_info("agent ends role=%s, everything stays as it is", role_name(&a->role));
	loop_stop(a->loop);
}

static void
set_path(const struct hagent *h, char out[static PATH_MAX], const char *path)
{
	snprintf(out, PATH_MAX, "%s%s", h->root, path);
}

static void
set_paths(struct agent *a)
{
	const struct hagent *h = a->h;
	ssize_t n = readlink("/proc/self/exe", a->self, sizeof(a->self) - 1);

	a->self[n > 0 ? n : 0] = '\0';
	snprintf(a->vrrp_pid, sizeof(a->vrrp_pid), "%s/vrrp.pid", a->options->keepalived_pids);
	set_path(h, a->track, HAGENT_HEALTH);
	set_path(h, a->epoch_path, HAGENT_EPOCH);
	set_path(h, a->maintenance.path, HAGENT_MAINTAINED);
	set_path(h, a->state_folder, HAGENT_STATE);
	set_path(h, a->conntrackd_conf, HAGENT_CONNTRACKD);
	set_path(h, a->conntrackd_socket, HAGENT_CONNTRACKD_SOCKET);
	set_path(h, a->sshd_pid, HAGENT_SSHD_PID);
	set_path(h, a->pptpd_socket, HAGENT_PPTPD_SOCKET);
	set_path(h, a->alone_path, HAGENT_ALONE);
	set_path(h, a->standing, HAGENT_STANDING);
}

/* The folders, and the lock that lets only one agent run; it is held until we end. */
static int
take_place(struct agent *a)
{
	char path[PATH_MAX];
	int fd;

	set_path(a->h, path, HAGENT_RUN);
	mkdir(path, 0755);
	mkdir(a->state_folder, 0700);
	set_path(a->h, path, LOCK_PATH);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hagent_fail("%s: %s", path, strerror(errno)), -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		hagent_fail("another agent runs for %s (%s is locked)", a->us->name, path);
		close(fd);
		return -1;
	}
	return 0;
}

/* What the journal knows from before: the last number, the last transition, automatic moves. */
static void
remember(struct agent *a)
{
	char path[PATH_MAX];
	json_t *lines, *line;
	size_t i;

	set_path(a->h, path, HAGENT_JOURNAL);
	lines = journal_tail(path, LAST_LINES);
	json_array_foreach(lines, i, line)
	{
		const char *kind = json_string_value(json_object_get(line, "kind"));
		const char *event = json_string_value(json_object_get(line, "event"));
		json_int_t id = json_integer_value(json_object_get(line, "id"));
		int64_t at = journal_unix_ms(json_string_value(json_object_get(line, "time")));

		if (id > 0 && (uint64_t)id > a->last_id)
			a->last_id = (uint64_t)id;
		if (kind && strcmp(kind, "transition") == 0) {
			json_decref(a->last_transition);
			a->last_transition = json_incref(line);
		}
		if (kind && strcmp(kind, "move") == 0) {
			json_decref(a->move.last);
			a->move.last = json_incref(line);
		}
		if (event && at > 0)
			agent_flap_remember(a, event, at);
	}
	if (journal_open(&a->journal, path) < 0)
		log_warn("journal path=\"%s\" error=\"%s\"", path, strerror(errno));
	json_array_foreach(lines, i, line) journal_remember(&a->journal, line);
	json_decref(lines);
	if (epoch_read(a->epoch_path, &a->epoch) < 0)
		journal_event(
		    &a->journal, "epoch-unreadable", "%s: %s", a->epoch_path, strerror(errno));
}

static int
init_parts(struct agent *a)
{
	struct arp_address fixed[ARP_FIXED] = {
	    {.address = a->cluster->vip_wan.address}, {.address = a->cluster->vip_lan.address}};

	fixed[0].interface = a->us->wan_if;
	fixed[1].interface = a->us->lan_if;
	arp_init(&a->arp, a->loop, fixed);
	role_init(&a->role, on_begin, a);
	steps_init(&a->steps, a->loop, on_step, on_done, a);
	agent_steps_init(a);
	agent_fence_init(a);
	agent_split_init(a);
	agent_move_init(a);
	agent_take_init(a);
	agent_maintain_init(a);
	if (agent_drill_init(a) < 0)
		return -1;
	peer_init(&a->peer);
	timer_init(&a->master_wait, a->loop, master_wait_cb, a);
	a->pptpd.orders = answer_client_new(a->loop, a->pptpd_socket);
	a->pptpd.asks = answer_client_new(a->loop, a->pptpd_socket);
	a->pptpd.wishes = answer_client_new(a->loop, a->pptpd_socket);
	if (!a->pptpd.orders || !a->pptpd.asks || !a->pptpd.wishes)
		return hagent_fail("%s: %s", a->pptpd_socket, strerror(errno)), -1;
	if (sig_init(&a->term, a->loop, SIGTERM, stop_cb, a) < 0 ||
	    sig_init(&a->interrupt, a->loop, SIGINT, stop_cb, a) < 0)
		return hagent_fail("signals: %s", strerror(errno)), -1;
	if (open_fifo(a) < 0 || agent_replica_init(a) < 0 || agent_deep_init(a) < 0 ||
	    agent_commands_init(a) < 0)
		return -1;
	agent_files_init(a);
	agent_health_init(a);
	return 0;
}

int
agent_init(struct agent *a, const struct hagent *h, const struct agent_options *o)
{
	*a = (struct agent){.h = h,
	    .options = o,
	    .fifo = -1,
	    .pending = -1,
	    .heard = FIFO_N_EVENTS,
	    .journal.fd = -1,
	    .keepalived.pidfd = -1,
	    .conntrackd.pidfd = -1,
	    .sshd.pidfd = -1,
	    .pptpd_monitor.pidfd = -1,
	    .arp.fd = -1,
	    .files.fd = -1,
	    .links_fd = -1};
	signal(SIGPIPE, SIG_IGN);
	a->cluster = hagent_cluster(h);
	if (!a->cluster)
		return -1;
	a->us = cluster_node(a->cluster, h->node);
	if (!a->us)
		return hagent_fail("got node \"%s\", want one of cluster.conf's (--node)", h->node),
		       -1;
	a->them = cluster_peer(a->cluster, a->us);
	set_paths(a);
	if (take_place(a) < 0)
		return -1;
	a->loop = loop_new();
	if (!a->loop)
		return hagent_fail("loop: %s", strerror(errno)), -1;
	a->started_ms = loop_now_ms(a->loop);
	remember(a);
	if (init_parts(a) < 0)
		return -1;
	journal_event(&a->journal, "agent-started", "version=%s node=%s epoch=%llu", PHA_VERSION,
	    a->us->name, (unsigned long long)a->epoch.counter);
	return 0;
}

void
agent_fini(struct agent *a)
{
	if (a->loop) {
		agent_health_fini(a);
		agent_deep_fini(a);
		agent_files_fini(a);
		agent_move_fini(a);
		agent_take_fini(a);
		agent_maintain_fini(a);
		agent_drill_fini(a);
		agent_commands_fini(a);
		agent_replica_fini(a);
		agent_fence_fini(a);
		steps_fini(&a->steps);
		agent_steps_fini(a);
		answer_client_free(a->pptpd.orders);
		answer_client_free(a->pptpd.asks);
		answer_client_free(a->pptpd.wishes);
		arp_fini(&a->arp);
		timer_cancel(&a->master_wait);
		io_fini(&a->fifo_io);
		sig_fini(&a->term);
		sig_fini(&a->interrupt);
		loop_free(a->loop);
	}
	if (a->fifo >= 0)
		close(a->fifo);
	json_decref(a->pptpd.status);
	json_decref(a->last_transition);
	json_decref(a->move.last);
	agent_counts_fini(a);
	json_decref(a->probes);
	journal_close(&a->journal);
	cluster_free(a->cluster);
}
