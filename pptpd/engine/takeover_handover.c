/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A planned move (docs/takeover.md, "Handover"). Who gives keeps what arrives until the other has
 * taken, and hands on what arrives later; its sessions stay as they are until then, for their calls
 * in the firewall and their routes lead the clients' packets here. Who takes keeps what is handed
 * on until its sessions have their data path.
 */
#include "pptpd/engine/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/rekey.h"
#include "pptpd/engine/session.h"

#define KEEP_MAX        (8u << 20) /* bytes */
#define OVER_DEMOTED_MS 1000       /* relaying goes on so long after the order to demote */
#define OVER_MS         10000      /* and no longer than that in any case */

struct packet {
	STAILQ_ENTRY(packet) next;
	enum replica_relay_kind kind;
	uint64_t connection;
	size_t len;
	uint8_t bytes[];
};

/* ---- what is kept ---- */

static void
keep(struct handover *h, enum replica_relay_kind kind, uint64_t connection, const uint8_t *bytes,
    size_t len)
{
	struct packet *p = NULL;

	if (h->kept_bytes + len <= KEEP_MAX)
		p = malloc(sizeof *p + len);
	if (p == NULL) {
		h->dropped++;
		return;
	}
	p->kind = kind;
	p->connection = connection;
	p->len = len;
	memcpy(p->bytes, bytes, len);
	h->kept_bytes += len;
	STAILQ_INSERT_TAIL(&h->kept, p, next);
}

static void
forget_kept(struct handover *h)
{
	struct packet *p;

	while ((p = STAILQ_FIRST(&h->kept)) != NULL) {
		STAILQ_REMOVE_HEAD(&h->kept, next);
		explicit_bzero(p->bytes, p->len);
		free(p);
	}
	h->kept_bytes = 0;
}

/* Processed as if it had been read here. */
static void
process(struct takeover *t, enum replica_relay_kind kind, uint64_t connection, const uint8_t *bytes,
    size_t len)
{
	struct engine *e = t->engine;
	bool ok = true;

	if (kind == REPLICA_RELAY_CONTROL)
		ok = ctrl_relayed(e, connection, bytes, len);
	else if (kind == REPLICA_RELAY_GRE)
		ok = dp_inject_gre(e->dp, bytes, len) == 0;
	else
		ok = dp_inject_ip(e->dp, bytes, len) == 0;
	t->handover.injected += ok;
	t->handover.dropped += !ok;
}

static void
process_kept(struct takeover *t)
{
	struct packet *p;

	dp_batch(t->engine->dp, true);
	STAILQ_FOREACH(p, &t->handover.kept, next)
	process(t, p->kind, p->connection, p->bytes, p->len);
	dp_batch(t->engine->dp, false);
	forget_kept(&t->handover);
}

static void
hand_on(struct takeover *t, enum replica_relay_kind kind, uint64_t connection, const uint8_t *bytes,
    size_t len)
{
	bool ok = replica_relay(t->engine->replica, kind, connection, bytes, len);

	t->handover.relayed += ok;
	t->handover.dropped += !ok;
}

void
takeover_on_relay(struct engine *e, enum dp_relay_kind kind, const uint8_t *packet, size_t len)
{
	enum replica_relay_kind k = kind == DP_RELAY_GRE ? REPLICA_RELAY_GRE : REPLICA_RELAY_IP;
	struct takeover *t = e->takeover;

	if (loopback_owns(kind, packet, len))
		return;
	if (!t->handover.diverted) { /* on its way here when it was given back */
		process(t, k, 0, packet, len);
		return;
	}
	if (t->handover.step != GIVE_TAKEN)
		keep(&t->handover, k, 0, packet, len);
	if (t->handover.step != GIVE_BEGUN)
		hand_on(t, k, 0, packet, len);
}

static void
divert(struct takeover *t, bool on)
{
	if (t->handover.diverted == on)
		return;
	t->handover.diverted = on;
	dp_relay(t->engine->dp, on);
}

/* ---- who gives ---- */

static void
answer_order(struct handover *h, enum handover_result result, const char *why)
{
	handover_done_fn *done = h->done;

	h->done = NULL;
	if (done != NULL)
		done(h->arg, result, why);
}

/* 0, or -1 with the reason. */
static int
may_give(const struct engine *e, const char **why)
{
	const struct takeover *t = e->takeover;

	*why = NULL;
	if (e->role != ROLE_ACTIVE)
		*why = "this gateway does not serve";
	else if (t->busy || t->handed || e->restoring > 0)
		*why = "a takeover is not over yet";
	else if (rekey_waiting(e) > 0)
		*why = "sessions are being re-keyed";
	else if (t->handover.step != GIVE_NONE)
		*why = "a handover is under way";
	return *why == NULL ? 0 : -1;
}

static const char *
refusal(int error)
{
	switch (error) {
	case EPERM:
		return "this gateway has the other role";
	case ESTALE:
		return "the epoch is not above the one in force";
	case EPROTONOSUPPORT:
		return "the peer's version knows of no handover";
	case EBUSY:
		return "a handover is under way";
	default:
		return "the two are not in step";
	}
}

int
engine_expect(struct engine *e, uint64_t epoch, unsigned ms, const char **why)
{
	if (replica_expect(e->replica, epoch, ms) == 0)
		return 0;
	*why = refusal(errno);
	return -1;
}

/* What is left to read is in the last record; the rest comes behind it. */
int
engine_give(struct engine *e, uint64_t epoch, handover_done_fn *done, void *arg, const char **why)
{
	struct takeover *t = e->takeover;
	struct handover *h = &t->handover;
	int error = 0;

	if (may_give(e, why) < 0)
		return -1;
	h->began_us = takeover_now_us();
	h->relayed = h->injected = h->dropped = h->ms = 0;
	ctrl_pause_all(e);
	dp_batch(e->dp, true);
	divert(t, true);
	if (replica_give(e->replica, epoch) < 0)
		error = errno;
	else
		h->step = GIVE_BEGUN;
	if (error != 0)
		divert(t, false);
	dp_batch(e->dp, false);
	if (error != 0) {
		ctrl_unpause_all(e);
		*why = refusal(error);
		return -1;
	}
	h->sessions = e->n_sessions;
	h->connections = e->n_ctrls;
	h->done = done;
	h->arg = arg;
	return 0;
}

/* We serve on: everything is as if it had only been late. */
static void
go_back(struct takeover *t)
{
	struct engine *e = t->engine;

	t->handover.step = GIVE_NONE;
	divert(t, false);
	process_kept(t);
	ctrl_unpause_all(e);
}

static void
has_left(struct takeover *t)
{
	struct packet *p;

	t->handover.step = GIVE_LEFT;
	STAILQ_FOREACH(p, &t->handover.kept, next)
	hand_on(t, p->kind, p->connection, p->bytes, p->len);
}

/* Not a word from us any more, but what arrives is handed on. */
static void
is_taken(struct takeover *t)
{
	struct engine *e = t->engine;
	struct handover *h = &t->handover;
	struct replica_status st;

	replica_get_status(e->replica, &st);
	dp_freeze(e->dp, true);
	e->role = ROLE_STANDBY;
	e->epoch = st.epoch;
	h->step = GIVE_TAKEN;
	h->ms = (takeover_now_us() - h->began_us) / 1000;
	forget_kept(h);
	timer_set(&h->over, OVER_MS);
	answer_order(h, HANDOVER_DONE, NULL); /* the addresses need not wait for the sockets */
	ctrl_hand_over_all(e);
	log_info("role changed role=standby epoch=%llu handed_over=%u connections=%u us=%llu",
	    (unsigned long long)e->epoch, h->sessions, h->connections,
	    (unsigned long long)(takeover_now_us() - h->began_us));
}

void
takeover_given(struct engine *e, enum replica_given how, const char *why)
{
	struct takeover *t = e->takeover;

	switch (how) {
	case REPLICA_GIVEN_LEFT:
		has_left(t);
		break;
	case REPLICA_GIVEN_TAKEN:
		is_taken(t);
		break;
	case REPLICA_GIVEN_BACK:
	case REPLICA_GIVEN_UNKNOWN:
		log_warn("handover failed outcome=%s reason=\"%s\"",
		    how == REPLICA_GIVEN_BACK ? "refused" : "unknown", why);
		go_back(t);
		answer_order(&t->handover,
		    how == REPLICA_GIVEN_BACK ? HANDOVER_REFUSED : HANDOVER_UNKNOWN, why);
		break;
	case REPLICA_GIVEN_OVER:
		timer_set(&t->handover.over, 0); /* the replica is in the middle of its own work */
		break;
	}
}

static void
over_cb(void *arg)
{
	takeover_relay_over(arg);
}

void
takeover_relay_over(struct takeover *t)
{
	struct handover *h = &t->handover;

	if (h->step != GIVE_TAKEN)
		return;
	log_info("handover over relayed=%llu dropped=%llu", (unsigned long long)h->relayed,
	    (unsigned long long)h->dropped);
	takeover_fall_silent(t->engine, t->engine->epoch);
}

void
takeover_relay_soon_over(struct takeover *t)
{
	if (t->handover.step == GIVE_TAKEN)
		timer_set(&t->handover.over, OVER_DEMOTED_MS);
}

/* We fall silent, for whatever reason. */
void
takeover_handover_end(struct takeover *t)
{
	struct handover *h = &t->handover;

	timer_cancel(&h->over);
	h->step = GIVE_NONE;
	t->handed = false;
	replica_relay_end(t->engine->replica);
	divert(t, false);
	forget_kept(h);
	answer_order(h, HANDOVER_REFUSED, "this gateway changed its role meanwhile");
}

/* ---- who takes ---- */

void
takeover_relayed(struct engine *e, enum replica_relay_kind kind, uint64_t connection,
    const uint8_t *bytes, size_t len)
{
	struct takeover *t = e->takeover;

	if (t->busy)
		keep(&t->handover, kind, connection, bytes, len);
	else
		process(t, kind, connection, bytes, len);
}

void
takeover_handed(struct takeover *t)
{
	t->handover.ms = (takeover_now_us() - t->began_us) / 1000;
	log_info("handover taken epoch=%llu sessions=%u kept=%zu us=%llu",
	    (unsigned long long)t->engine->epoch, t->continued, t->handover.kept_bytes,
	    (unsigned long long)(takeover_now_us() - t->began_us));
	process_kept(t);
}

/* ---- the beginning and the end ---- */

void
takeover_handover_init(struct takeover *t)
{
	STAILQ_INIT(&t->handover.kept);
	timer_init(&t->handover.over, t->engine->loop, over_cb, t);
}

void
takeover_handover_fini(struct takeover *t)
{
	timer_cancel(&t->handover.over);
	forget_kept(&t->handover);
}

void
engine_handover_status(const struct engine *e, struct handover_status *s)
{
	const struct handover *h = &e->takeover->handover;
	struct replica_status st;

	replica_get_status(e->replica, &st);
	*s = (struct handover_status){.state = replica_handover_name(st.handover),
	    .epoch = st.handover_epoch,
	    .relayed = h->relayed,
	    .injected = h->injected,
	    .dropped = h->dropped,
	    .queued = h->kept_bytes,
	    .sessions = h->sessions,
	    .connections = h->connections,
	    .ms = h->ms};
}
