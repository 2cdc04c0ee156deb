/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Promotion: wait until what ended before is gone, thaw, make the connections and the sessions of
 * the copy in slices, those with traffic first; then the listener, the answer, the sockets. The
 * control connections are made first, without their sockets, since a session belongs to one.
 * Demotion: freeze, forget, close without a packet.
 */
#include "pptpd/engine/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/mirror.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/standby.h"

#define SLICE        128  /* sessions, between two looks at everything else */
#define LETTING_GO   2    /* ms: how often to look whether the ended sessions are gone */
#define LETTING_GO_N 100  /* looks; what is held longer costs the session that wants its place */
#define BUSY_MS      1500 /* counters come once a second: it had traffic when we heard last */
#define FILLS_MAX    32   /* sessions whose gap is filled, in one takeover */
#define PACE_MS      10   /* first Echo-Requests of the idle ones, */
#define PACE_STEPS   100  /* all of them within 1 s */
#define WATCH_MS     2

struct waiter {
	STAILQ_ENTRY(waiter) next;
	priv_done_fn *done;
	void *arg;
};

uint64_t
takeover_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
since_ms(uint64_t began_us)
{
	return (takeover_now_us() - began_us) / 1000;
}

const char *
engine_role_name(enum engine_role r)
{
	return r == ROLE_ACTIVE ? "active" : "standby";
}

uint64_t
takeover_epoch(const struct engine *e)
{
	struct replica_status st;

	replica_get_status(e->replica, &st);
	return st.epoch > e->epoch ? st.epoch : e->epoch;
}

unsigned
takeover_restoring(const struct engine *e)
{
	return e->takeover->busy ? mirror_connections(replica_mirror(e->replica)) : e->restoring;
}

bool
takeover_exact(const struct engine *e)
{
	return e->takeover->handed;
}

uint64_t
takeover_yielded(const struct engine *e)
{
	return e->takeover->yielded;
}

/* ---- promotion ---- */

static void
answer_waiters(struct takeover *t, int err)
{
	struct waiter *w;

	while ((w = STAILQ_FIRST(&t->waiters)) != NULL) {
		STAILQ_REMOVE_HEAD(&t->waiters, next);
		if (w->done != NULL)
			w->done(w->arg, err);
		free(w);
	}
}

static int
add_waiter(struct takeover *t, priv_done_fn *done, void *arg)
{
	struct waiter *w = malloc(sizeof *w);

	if (w == NULL)
		return -1;
	*w = (struct waiter){.done = done, .arg = arg};
	STAILQ_INSERT_TAIL(&t->waiters, w, next);
	return 0;
}

static struct ctrl *
made_before(struct engine *e, uint64_t id)
{
	struct ctrl *c;

	TAILQ_FOREACH_REVERSE(c, &e->ctrls, ctrl_list, entry)
	if (c->id == id)
		return c;
	return NULL;
}

/* The connection of a session in the copy; made when its first session needs it. NULL with errno.
 */
static struct ctrl *
connection_of(struct takeover *t, const struct mirror_session *m, bool *fill)
{
	struct engine *e = t->engine;
	const struct mirror_connection *mc =
	    mirror_connection(replica_mirror(e->replica), m->connection);
	struct connection_record r;
	struct ctrl *c = NULL;

	if (mc == NULL) {
		errno = EPROTO;
		return NULL;
	}
	if (mc->sessions > 1)
		c = made_before(e, mc->id);
	if (mirror_connection_record(mc, &r) < 0)
		return NULL;
	*fill = r.buffers_gaps;
	if (c == NULL)
		c = ctrl_continue(e, &r);
	connection_record_wipe(&r);
	return c;
}

/* A connection none of whose sessions could go on: the client learns of it as of a crash. */
static void
drop_connection(struct ctrl *c)
{
	if (c != NULL && c->n_sessions == 0)
		ctrl_silence(c);
}

/*
 * The gap is filled for those with traffic only: who waits for missing numbers has nothing else to
 * wait for. A gap is about 100 frames, which cost a millisecond: it is worth the 300 ms that a
 * client would wait for some dozens of sessions, and not for all of many, whose data it would hold
 * up.
 */
static bool
may_fill(struct takeover *t, bool buffers_gaps)
{
	if (!buffers_gaps || t->idle_ones || t->fills == FILLS_MAX)
		return false;
	t->fills++;
	return true;
}

/* What cannot go on gives up its call and its address at once: the client is to learn, and dials.
 */
static void
continue_session(struct takeover *t, const struct mirror_session *m)
{
	struct session *s = NULL;
	struct ctrl *c;
	bool fill = false;

	crumb_set(t->engine->crumb, m->id);
	errno = ECANCELED;
	if (suspects_count(t->engine, m->connection) < SUSPECTS_CRASHES &&
	    (c = connection_of(t, m, &fill)) != NULL &&
	    (s = session_continue(c, m, may_fill(t, fill))) == NULL) {
		int error = errno;

		drop_connection(c);
		errno = error;
	}
	crumb_set(t->engine->crumb, 0);
	if (s == NULL) {
		t->failed++;
		standby_gone(t->engine, m);
		log_debug(
		    "session not continued call=%u error=\"%s\"", m->call_id, strerror(errno));
		return;
	}
	standby_release(t->engine, m);
	if (suspects_continued(s)) {
		t->failed++;
		return;
	}
	t->continued += !rekey_busy(s);
	t->stale += rekey_busy(s) && m->stale;
	t->spent += rekey_busy(s) && !m->stale;
	if (!t->idle_ones)
		session_announce(s);
}

static bool
was_busy(const struct takeover *t, const struct mirror_session *m)
{
	return m->moved_ms != 0 && m->moved_ms + BUSY_MS >= t->heard_ms;
}

static void
log_takeover(struct takeover *t)
{
	struct engine *e = t->engine;

	if (t->continued + t->stale + t->spent + t->failed == 0)
		return;
	log_info("takeover epoch=%llu continued=%u stale=%u spent=%u failed=%u data_ms=%llu "
		 "control_ms=%llu connections=%u not_restored=%u",
	    (unsigned long long)e->epoch, t->continued, t->stale, t->spent, t->failed,
	    (unsigned long long)t->data_ms, (unsigned long long)since_ms(t->began_us), e->n_ctrls,
	    ctrl_not_restored(e));
}

/* Until the control connections have their sockets. */
static void
watch_cb(void *arg)
{
	struct takeover *t = arg;

	if (t->engine->restoring > 0)
		timer_set(&t->watch, WATCH_MS);
	else
		log_takeover(t);
}

/* What is left to do for each, spread, so that neither we nor the clients choke. */
static void
pace_cb(void *arg)
{
	struct takeover *t = arg;
	struct engine *e = t->engine;
	unsigned n = 0;

	for (; t->pace_id <= 65535 && n < t->paced; t->pace_id++) {
		struct session *s = e->by_call[t->pace_id];

		if (s == NULL || !s->to_record)
			continue;
		n++;
		session_announce(s);
		session_record_login(s);
	}
	if (t->pace_id <= 65535)
		timer_set(&t->pace, PACE_MS);
}

static void
listening_cb(void *arg, int err)
{
	struct engine *e = arg;
	struct takeover *t = e->takeover;

	if (err != 0)
		log_warn("listener not opened error=\"%s\"", strerror(err));
	else
		e->listening = true;
	t->handed = t->handed && err != 0;
	answer_waiters(t, err);
	if (e->role != ROLE_ACTIVE || !t->unsaid)
		return;
	t->unsaid = false;
	ctrl_restore_start(e);
	timer_set(&t->watch, WATCH_MS);
}

static void
data_path_on(struct takeover *t)
{
	struct engine *e = t->engine;

	t->busy = false;
	t->data_ms = since_ms(t->began_us);
	replica_continued(e->replica);
	t->pace_id = 1;
	t->paced = t->continued / PACE_STEPS + 1;
	timer_set(&t->pace, 0);
	if (t->handed)
		takeover_handed(t);
	if (!t->handed || !STAILQ_EMPTY(&t->waiters))
		priv_listen(e->priv, true, listening_cb, e);
}

/* What this engine served before may still hold call ids and queued packets. */
static bool
all_gone(struct takeover *t)
{
	struct engine *e = t->engine;

	return e->n_held == e->n_sessions || ++t->looks > LETTING_GO_N;
}

/* A slice of the copy, in two rounds over it. False: it was the last. */
static bool
continue_some(struct takeover *t)
{
	const struct mirror *copy = replica_mirror(t->engine->replica);

	for (unsigned n = 0; n < SLICE;) {
		if ((t->at = mirror_next_session(copy, t->at)) == NULL) {
			if (t->idle_ones)
				return false;
			t->idle_ones = true;
			dp_doze(t->engine->dp, false); /* what came too early is theirs */
		} else if (was_busy(t, t->at) == !t->idle_ones) {
			continue_session(t, t->at);
			n++;
		}
	}
	return true;
}

static void
slice_cb(void *arg)
{
	struct takeover *t = arg;
	struct engine *e = t->engine;
	bool more;

	if (e->role != ROLE_ACTIVE) /* it has just yielded */
		return;
	if (!t->thawed && !all_gone(t)) {
		timer_set(&t->slice, LETTING_GO);
		return;
	}
	if (!t->thawed)
		dp_freeze(e->dp, false);
	t->thawed = true;
	dp_batch(e->dp, true);
	more = continue_some(t);
	dp_batch(e->dp, false);
	if (more)
		timer_set(&t->slice, 0);
	else
		data_path_on(t);
}

/* Not a packet leaves from here on. The replica forgets first: no session "goes" by our ending. */
void
takeover_fall_silent(struct engine *e, uint64_t epoch)
{
	struct takeover *t = e->takeover;

	dp_freeze(e->dp, true);
	dp_doze(e->dp, true);
	t->busy = false;
	timer_cancel(&t->slice);
	timer_cancel(&t->pace);
	timer_cancel(&t->watch);
	timer_cancel(&t->yield);
	answer_waiters(t, ECANCELED);
	takeover_handover_end(t);
	replica_demote(e->replica, epoch);
	dp_batch(e->dp, true);
	ctrl_silence_all(e);
	dp_batch(e->dp, false);
}

void
takeover_judge_copy(struct engine *e, uint64_t heard_ms_ago)
{
	struct replica_status st;

	replica_get_status(e->replica, &st);
	if (e->role == ROLE_ACTIVE || st.sessions == 0 || st.stale ||
	    loop_now_ms(e->loop) - st.heard_ms <= heard_ms_ago)
		return;
	log_warn("the copy is stale: its active served on alone heard_ms_ago=%llu most=%llu",
	    (unsigned long long)(loop_now_ms(e->loop) - st.heard_ms),
	    (unsigned long long)heard_ms_ago);
	replica_outlived(e->replica);
}

static void
begin_promotion(struct engine *e, uint64_t epoch)
{
	struct takeover *t = e->takeover;
	struct replica_status st;

	replica_get_status(e->replica, &st);
	log_info("role changed role=active epoch=%llu mirrored=%u stale=%s",
	    (unsigned long long)epoch, st.sessions, st.stale ? "yes" : "no");
	e->epoch = epoch;
	e->role = ROLE_ACTIVE;
	t->yielded = 0;
	replica_promote(e->replica, epoch);
	takeover_open(e);
	t->busy = t->unsaid = true;
	t->thawed = t->idle_ones = false;
	t->at = NULL;
	t->looks = t->continued = t->stale = t->spent = t->failed = t->fills = 0;
	t->began_us = takeover_now_us();
	t->heard_ms = st.heard_ms;
	slice_cb(t);
}

bool
takeover_take(struct engine *e, uint64_t epoch)
{
	struct takeover *t = e->takeover;

	if (e->role == ROLE_ACTIVE || timer_pending(&t->yield) || e->stopping)
		return false;
	t->handed = true;
	begin_promotion(e, epoch);
	return true;
}

int
engine_promote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg)
{
	struct takeover *t = e->takeover;

	if (epoch < takeover_epoch(e)) {
		errno = ESTALE;
		return -1;
	}
	if (timer_pending(&t->yield)) /* ordered back before it has let go */
		takeover_fall_silent(e, t->yielded);
	takeover_relay_over(t);
	if (add_waiter(t, done, arg) < 0)
		return -1;
	if (e->role != ROLE_ACTIVE) {
		t->handed = false;
		begin_promotion(e, epoch);
		return 0;
	}
	if (epoch != e->epoch) {
		log_info("epoch raised role=active epoch=%llu sessions=%u",
		    (unsigned long long)epoch, e->n_sessions);
		e->epoch = epoch;
		replica_promote(e->replica, epoch);
	}
	if (!t->busy)
		priv_listen(e->priv, true, listening_cb, e);
	return 0;
}

/* ---- demotion ---- */

struct role_change {
	struct engine *engine;
	priv_done_fn *done;
	void *arg;
};

static void
deaf_cb(void *arg, int err)
{
	struct role_change *c = arg;

	if (err == 0)
		c->engine->listening = false;
	else
		log_warn("listener not closed error=\"%s\"", strerror(err));
	if (c->done != NULL)
		c->done(c->arg, err);
	free(c);
}

int
engine_demote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg)
{
	struct role_change *c;

	if (epoch < e->epoch) {
		errno = ESTALE;
		return -1;
	}
	if ((c = malloc(sizeof *c)) == NULL)
		return -1;
	*c = (struct role_change){.engine = e, .done = done, .arg = arg};
	if (e->role != ROLE_STANDBY || epoch != e->epoch)
		log_info("role changed role=standby epoch=%llu sessions=%u",
		    (unsigned long long)epoch, e->n_sessions);
	e->epoch = epoch;
	if (e->role == ROLE_ACTIVE || timer_pending(&e->takeover->yield)) {
		e->role = ROLE_STANDBY;
		takeover_fall_silent(e, epoch);
	}
	takeover_relay_soon_over(e->takeover);
	e->takeover->yielded = 0;
	priv_listen(e->priv, false, deaf_cb, c);
	return 0;
}

static void
yield_cb(void *arg)
{
	struct takeover *t = arg;
	struct engine *e = t->engine;
	struct role_change *c = malloc(sizeof *c);

	log_warn("yielded: the peer serves epoch=%llu ours=%llu sessions=%u",
	    (unsigned long long)t->yielded, (unsigned long long)e->epoch, e->n_sessions);
	takeover_fall_silent(e, t->yielded);
	if (c == NULL) { /* `listening` stays as it is; whoever connects is refused by the role */
		priv_listen(e->priv, false, NULL, NULL);
		return;
	}
	*c = (struct role_change){.engine = e};
	priv_listen(e->priv, false, deaf_cb, c);
}

bool
takeover_leave(struct engine *e)
{
	struct replica_status st;

	replica_get_status(e->replica, &st);
	takeover_relay_over(e->takeover);
	if (e->role == ROLE_STANDBY)
		return true;
	if (!st.in_step)
		return false;
	e->role = ROLE_STANDBY;
	takeover_fall_silent(e, e->epoch);
	return true;
}

/* ---- the beginning and the end ---- */

int
takeover_init(struct engine *e, int replica_fd)
{
	struct replica_config c = {.boot_id = e->boot_id};
	struct takeover *t = calloc(1, sizeof *t);

	if (t == NULL)
		return -1;
	t->engine = e;
	STAILQ_INIT(&t->waiters);
	timer_init(&t->slice, e->loop, slice_cb, t);
	timer_init(&t->pace, e->loop, pace_cb, t);
	timer_init(&t->watch, e->loop, watch_cb, t);
	timer_init(&t->yield, e->loop, yield_cb, t);
	takeover_handover_init(t);
	e->takeover = t;
	memcpy(c.node, e->node, sizeof c.node);
	e->copies = calloc(65536, sizeof *e->copies);
	e->replica = replica_new(e->loop, &c, &takeover_ops, e);
	if (e->copies == NULL || e->replica == NULL)
		return -1;
	dp_freeze(e->dp, true); /* until the first promotion */
	dp_doze(e->dp, true);
	if (replica_fd >= 0 && (t->io = replica_io_new(e->loop, replica_fd, e->replica)) == NULL)
		return -1;
	return 0;
}

void
takeover_open(struct engine *e)
{
	replica_io_open(e->takeover->io);
}

void
takeover_fini(struct engine *e)
{
	struct takeover *t = e->takeover;

	if (t == NULL)
		return;
	timer_cancel(&t->slice);
	timer_cancel(&t->pace);
	timer_cancel(&t->watch);
	timer_cancel(&t->yield);
	takeover_handover_fini(t);
	answer_waiters(t, ECANCELED);
	replica_io_free(t->io);
	t->io = NULL;
	replica_free(e->replica);
	e->replica = NULL;
	free(e->copies);
	e->copies = NULL;
	free(t);
	e->takeover = NULL;
}
