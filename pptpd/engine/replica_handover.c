/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A planned move (docs/takeover.md, "Handover"). The active tells everybody's exact mark, then
 * HANDOVER; the standby that expects it is promoted at these marks and answers TAKEN. From then on
 * the stream only carries what still arrives at the old active. No rule about keys is different: a
 * handover that fails at any frame is a snapshot that has to be said again, or a cut.
 */
#include <errno.h>
#include <string.h>

#include "pptpd/engine/replica_internal.h"

#define RELAY_LEN_MAX 60000 /* bytes in one frame */

const char *
replica_handover_name(enum replica_handover h)
{
	static const char *const names[] = {
	    [HANDOVER_NONE] = "none",
	    [HANDOVER_EXPECTING] = "expecting",
	    [HANDOVER_GIVING] = "giving",
	    [HANDOVER_GIVEN] = "given",
	    [HANDOVER_RELAYING] = "relaying",
	    [HANDOVER_TAKEN] = "taken",
	};

	return names[h];
}

static void
set_state(struct replica *r, enum replica_handover h)
{
	r->handover = h;
	timer_cancel(&r->decide);
	if (r->ops.changed != NULL)
		r->ops.changed(r->arg);
}

static void
tell(struct replica *r, enum replica_given how, const char *why)
{
	if (r->ops.given != NULL)
		r->ops.given(r->arg, how, why);
}

/* What both orders ask for. 0, or -1 with errno. */
static int
may_begin(const struct replica *r, bool active, uint64_t epoch)
{
	if (r->active != active)
		errno = EPERM;
	else if (epoch <= r->epoch)
		errno = ESTALE;
	else if (r->met && r->version < REPLICA_VERSION_HANDOVER)
		errno = EPROTONOSUPPORT;
	else if (!r->met || r->peer.active == active || !replica_in_step(r))
		errno = EAGAIN;
	else
		return 0;
	return -1;
}

/* ---- the standby ---- */

int
replica_expect(struct replica *r, uint64_t epoch, unsigned ms)
{
	if (may_begin(r, false, epoch) < 0)
		return -1;
	r->handover_epoch = epoch;
	set_state(r, HANDOVER_EXPECTING);
	timer_set(&r->decide, ms);
	return 0;
}

/* Why this handover cannot be taken, or NULL. */
static const char *
objection(const struct replica *r, const struct replica_offer *o)
{
	if (r->handover != HANDOVER_EXPECTING)
		return "no handover is expected";
	if (o->epoch != r->handover_epoch || o->epoch <= r->epoch)
		return "another epoch is expected";
	if (!r->whole || r->stale)
		return "the copy is not whole";
	if (o->size.sessions != mirror_sessions(r->mirror) ||
	    o->size.connections != mirror_connections(r->mirror))
		return "the copy has not as many sessions or connections";
	return NULL;
}

int
replica_handover_offered(struct replica *r, const struct replica_frame *f)
{
	struct replica_offer offer;
	const char *why;
	struct wr w;

	if (replica_get_offer(f, &offer) < 0)
		return -1;
	if ((why = objection(r, &offer)) == NULL) {
		r->taking = true;
		if (r->ops.take != NULL && r->ops.take(r->arg, offer.epoch) && r->active)
			return 0;
		r->taking = false;
		why = "the promotion failed";
	}
	log_warn("handover refused epoch=%llu reason=\"%s\"", (unsigned long long)offer.epoch, why);
	r->refused = true;
	w = replica_say(r, REPLICA_REFUSED);
	replica_put_why(&w, why);
	replica_send(r, &w);
	if (r->handover == HANDOVER_EXPECTING)
		set_state(r, HANDOVER_NONE);
	return 0;
}

void
replica_handover_take(struct replica *r)
{
	struct wr w = replica_say(r, REPLICA_TAKEN);

	replica_put_epoch(&w, r->epoch);
	replica_send(r, &w);
	r->taking = r->owes = false;
	r->handover = HANDOVER_TAKEN;
	timer_cancel(&r->decide);
}

static void
relayed(struct replica *r, const struct replica_frame *f)
{
	struct replica_relayed what;

	if (replica_get_relayed(f, &what) < 0 || what.kind >= REPLICA_RELAY_KINDS)
		replica_drop(r, "relay: not as it has to be");
	else if (r->ops.relayed != NULL)
		r->ops.relayed(r->arg, (enum replica_relay_kind)what.kind, what.connection,
		    what.bytes.p, rd_left(&what.bytes));
}

/* ---- the active that gives ---- */

bool
replica_giving(const struct replica *r)
{
	return r->handover == HANDOVER_GIVING || r->handover == HANDOVER_GIVEN;
}

int
replica_give(struct replica *r, uint64_t epoch)
{
	struct replica_session *s;
	struct replica_connection *c;

	if (may_begin(r, true, epoch) < 0)
		return -1;
	if (r->handover != HANDOVER_NONE) {
		errno = EBUSY;
		return -1;
	}
	r->handover_epoch = epoch;
	set_state(r, HANDOVER_GIVING);
	timer_set(&r->decide, REPLICA_GIVE_MS);
	TAILQ_FOREACH(s, &r->sessions, entry)
	if (s->place != REPLICA_WITHOUT)
		replica_queue_record(r, s);
	TAILQ_FOREACH(c, &r->conns, entry)
	replica_queue_connection(r, c);
	replica_pump_records(r);
	replica_soon(r); /* also where there is nobody to be recorded */
	return 0;
}

void
replica_handover_say(struct replica *r)
{
	struct replica_offer offer = {.epoch = r->handover_epoch};
	struct replica_session *s;
	struct replica_connection *c;
	struct wr w;

	if (r->handover != HANDOVER_GIVING || !replica_streaming(r) || r->n_exporting > 0 ||
	    !TAILQ_EMPTY(&r->exports) || !TAILQ_EMPTY(&r->dirty) || !TAILQ_EMPTY(&r->without))
		return;
	TAILQ_FOREACH(s, &r->sessions, entry)
	offer.size.sessions += s->on_stream;
	TAILQ_FOREACH(c, &r->conns, entry)
	offer.size.connections += c->frame != 0;
	w = replica_say(r, REPLICA_HANDOVER);
	replica_put_offer(&w, &offer);
	replica_send(r, &w);
	set_state(r, HANDOVER_GIVEN);
	timer_set(&r->decide, REPLICA_ANSWER_MS);
	tell(r, REPLICA_GIVEN_LEFT, NULL);
}

bool
replica_relay(struct replica *r, enum replica_relay_kind kind, uint64_t connection,
    const uint8_t *bytes, size_t len)
{
	struct wr w;

	if ((r->handover != HANDOVER_GIVEN && r->handover != HANDOVER_RELAYING) ||
	    len > RELAY_LEN_MAX)
		return false;
	w = replica_say(r, REPLICA_RELAY);
	replica_put_relayed(&w, (uint8_t)kind, connection, bytes, len);
	replica_send(r, &w);
	return true;
}

bool
replica_hurries(const struct replica *r)
{
	return r->handover == HANDOVER_EXPECTING || r->handover == HANDOVER_TAKEN;
}

void
replica_relay_end(struct replica *r)
{
	if (r->handover != HANDOVER_RELAYING)
		return;
	r->handover = HANDOVER_NONE;
	replica_drop(r, NULL);
}

/* Nothing has happened: the standby is told of everybody once more, with new marks. */
static void
give_back(struct replica *r, const char *why)
{
	set_state(r, HANDOVER_NONE);
	replica_active_snapshot(r);
	tell(r, REPLICA_GIVEN_BACK, why);
}

/* The peer serves from now on. The stream stays, for what still arrives here. */
static void
taken(struct replica *r, const struct replica_frame *f)
{
	uint64_t epoch;

	if (replica_get_epoch(f, &epoch) < 0 || epoch != r->handover_epoch) {
		replica_drop(r, "taken: not the handover that was given");
		return;
	}
	r->epoch = epoch;
	replica_become_standby(r);
	r->n_lags = 0;
	r->handover = HANDOVER_RELAYING;
	timer_cancel(&r->decide);
	replica_changed_state(r, REPLICA_STANDBY);
	tell(r, REPLICA_GIVEN_TAKEN, NULL);
}

static void
refused(struct replica *r, const struct replica_frame *f)
{
	char why[REPLICA_WHY_MAX];

	if (replica_get_why(f, why) < 0)
		replica_drop(r, "refused: %s", strerror(errno));
	else
		give_back(r, why);
}

/* ---- either ---- */

/* What is said on a stream of which only relaying is left. */
static void
input_behind(struct replica *r, const struct replica_frame *f)
{
	if (f->type == REPLICA_RELAY && r->handover == HANDOVER_TAKEN)
		relayed(r, f);
	else if (f->type != REPLICA_BEAT)
		replica_drop(r, "%s behind a handover", replica_type_name(f->type));
}

bool
replica_handover_input(struct replica *r, const struct replica_frame *f)
{
	if (r->handover == HANDOVER_TAKEN || r->handover == HANDOVER_RELAYING)
		input_behind(r, f);
	else if (r->handover == HANDOVER_GIVEN && f->type == REPLICA_TAKEN)
		taken(r, f);
	else if (r->handover == HANDOVER_GIVEN && f->type == REPLICA_REFUSED)
		refused(r, f);
	else
		return false;
	return true;
}

void
replica_handover_decide_cb(void *arg)
{
	struct replica *r = arg;

	if (r->handover == HANDOVER_EXPECTING)
		set_state(r, HANDOVER_NONE);
	else if (r->handover == HANDOVER_GIVING)
		give_back(r, "the records were not made in time");
	else if (r->handover == HANDOVER_GIVEN)
		replica_drop(r, "the handover is not answered");
}

/* They stand at their exact marks: who has something to send is to say that it runs low. */
static void
wake_low(struct replica *r)
{
	struct replica_session *s;

	TAILQ_FOREACH(s, &r->sessions, entry)
	if (s->exposed && !s->short_of_marks)
		replica_set_gate(r, s, s->gate);
}

void
replica_handover_lost(struct replica *r)
{
	enum replica_handover was = r->handover;

	r->refused = false;
	if (was == HANDOVER_NONE)
		return;
	set_state(r, HANDOVER_NONE);
	if (was == HANDOVER_GIVING || was == HANDOVER_GIVEN)
		wake_low(r);
	if (was == HANDOVER_GIVING)
		tell(r, REPLICA_GIVEN_BACK, "the stream was lost");
	else if (was == HANDOVER_GIVEN)
		tell(r, REPLICA_GIVEN_UNKNOWN, "the stream was lost, or nothing was answered");
	else if (was == HANDOVER_RELAYING)
		tell(r, REPLICA_GIVEN_OVER, NULL);
}

void
replica_handover_forget(struct replica *r)
{
	r->handover = HANDOVER_NONE;
	timer_cancel(&r->decide);
}
