/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The reasons, in the order in which an operator would look for them. What --force passes over is
 * what costs sessions; it passes over nothing that would leave nobody to serve.
 */
#include "hagent/move.h"

#include <stdarg.h>
#include <stdio.h>

static void __attribute__((format(printf, 3, 4)))
say(struct move_verdict *v, enum move_answer answer, const char *fmt, ...)
{
	va_list ap;

	v->answer = answer;
	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
}

/* False: there is nothing to give, or nobody to give it to. */
static bool
can_move(const struct move_facts *f, struct move_verdict *v)
{
	const struct move_peer *p = &f->peer;

	if (!f->active)
		say(v, MOVE_NO, "this gateway does not serve");
	else if (!f->serves)
		say(v, MOVE_NO, "pptpd does not answer as the active one");
	else if (!f->held)
		say(v, MOVE_NO, "the virtual address is not here, or keepalived does not run");
	else if (!p->fresh)
		say(v, MOVE_NO, "%s is silent on every path", p->name);
	else if (p->maintenance)
		say(v, MOVE_NO, "%s is in maintenance (there: hagent maintenance off)", p->name);
	else if (p->fault == HEALTH_HARD)
		say(v, MOVE_NO, "%s cannot serve: %s", p->name, p->problem);
	else if (!p->standby)
		say(v, MOVE_WAIT, "%s does not stand by", p->name);
	else if (!p->ready)
		say(v, MOVE_WAIT, "the keepalived of %s sees a fault", p->name);
	else
		return true;
	return false;
}

/* Sessions that a move would end. */
static unsigned
costs(const struct move_facts *f)
{
	return f->in_step || f->at_risk > 0 ? f->at_risk : f->sessions;
}

static bool
is_wise(const struct move_facts *f, struct move_verdict *v)
{
	const struct move_peer *p = &f->peer;

	if (p->fault > HEALTH_NOTE)
		say(v, MOVE_NO, "%s is not well: %s", p->name, p->problem);
	else if (f->sessions > 0 && !f->in_step)
		say(v, MOVE_WAIT, "%s has no current copy: %u of %u sessions are at risk", p->name,
		    costs(f), f->sessions);
	else if (f->at_risk > 0)
		say(v, MOVE_WAIT, "%s has no copy of %u of %u sessions", p->name, f->at_risk,
		    f->sessions);
	else if (f->unsettled > 0)
		say(v, MOVE_WAIT, "%u sessions that were taken over are not whole yet",
		    f->unsettled);
	else
		return true;
	return false;
}

void
move_judge(const struct move_facts *f, struct move_verdict *v)
{
	*v = (struct move_verdict){.answer = MOVE_NO};
	if (!can_move(f, v))
		return;
	if (!is_wise(f, v) && !f->force)
		return;
	if (costs(f) > 0)
		say(v, MOVE_PLAIN, "forced: the clients of %u of %u sessions must redial", costs(f),
		    f->sessions);
	else if (!f->in_step)
		say(v, MOVE_PLAIN, "%s has no current copy; there are no sessions to lose",
		    f->peer.name);
	else if (!f->peer.prepares)
		say(v, MOVE_PLAIN,
		    "the agent of %s is an older one: the sessions go on from their marks",
		    f->peer.name);
	else if (f->version < MOVE_STREAM_VERSION)
		say(v, MOVE_PLAIN,
		    "the daemons speak version %u of the stream: the sessions go on from their "
		    "marks",
		    f->version);
	else
		say(v, MOVE_HANDOVER, "%s", "");
}

const char *
move_refuses(const struct move_taker *t)
{
	if (!t->standby || t->held)
		return "it does not stand by";
	if (t->busy)
		return "it is moving already";
	if (t->maintenance)
		return "it is in maintenance";
	if (!t->keepalived)
		return "its keepalived does not run, or sees a fault";
	if (t->fault > HEALTH_NOTE)
		return t->problem;
	if (t->unfit)
		return "it must not be MASTER now, or must not for some moments";
	if (!t->in_step)
		return "it has no current copy of the sessions";
	if (t->asked <= t->epoch)
		return "it knows a higher epoch";
	return NULL;
}

uint64_t
move_epoch(uint64_t known, uint64_t prepared)
{
	return prepared != 0 && prepared >= known ? prepared : known + 1;
}

bool
move_maintenance_yields(bool peer_fresh, enum health_fault peers, bool peer_maintenance)
{
	return peer_fresh && peers != HEALTH_HARD && !peer_maintenance;
}
