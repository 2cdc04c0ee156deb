/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One list of all sessions that are being re-keyed, and one timer that walks it: so many
 * negotiations begun and so many probes sent in each step, in turns, that thousands do not choke
 * anybody.
 *
 * The search. Probes are REKEY_STEP numbers apart, two of them less than any client's window, so a
 * lost one does no harm either. They go out in rounds, each twice as long as the one before; a
 * round is waited for longer than a client keeps what came out of order. What the client
 * acknowledges is where it stands. One that never acknowledges anything answers the probe that it
 * took: it bears its own number, and a word that only that client can know.
 */
#include "pptpd/engine/rekey.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cursor.h"
#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"
#include "pptpd/engine/takeover.h"

#define STEP_MS      10
#define TALKS_TICK   64  /* negotiations that begin in one step */
#define PROBES_TICK  320 /* of all sessions */
#define PROBES_TURN  32  /* of one */
#define REKEY_STEP   128
#define NEAR         256 /* so far behind the last probe a client may be: it takes what follows */
#define ROUND_FIRST  8   /* probes, of a session that was idle */
#define ROUND_BUSY   512 /* at most */
#define ROUND_MAX    2048
#define ROUND_MS     400 /* from a round's last probe: some clients hold what they miss for 300 */
#define PATIENCE_MS  30000
#define ECHO_REQUEST 9
#define ECHO_REPLY   10
#define PROBE_LEN    16 /* code, identifier, length; magic number; nonce; number */

struct rekeyer {
	struct engine *engine;
	struct session_list all;
	unsigned n;
	struct timer tick;
};

bool
rekey_busy(const struct session *s)
{
	return s->rekey.state != REKEY_NONE;
}

bool
rekey_unkeyed(const struct session *s)
{
	return rekey_busy(s) && !s->rekey.keyed;
}

unsigned
rekey_waiting(const struct engine *e)
{
	return e->rekeyer != NULL ? e->rekeyer->n : 0;
}

static uint64_t
now_ms(const struct session *s)
{
	return loop_now_ms(s->engine->loop);
}

/* ---- the search ---- */

static int
send_probe(struct session *s, uint32_t seq)
{
	uint8_t lcp[PROBE_LEN];
	struct wr w = wr_init(lcp, sizeof lcp);
	struct rekey *k = &s->rekey;
	struct ppp_state p;

	if (s->dp == NULL)
		return -1;
	ppp_get_state(s->ppp, &p);
	wr_u8(&w, ECHO_REQUEST);
	wr_u8(&w, (uint8_t)k->probes);
	wr_u16(&w, PROBE_LEN);
	wr_u32(&w, p.our_magic);
	wr_u32(&w, k->nonce);
	wr_u32(&w, seq);
	if (dp_send_frame_at(s->engine->dp, s->dp, seq, PPP_LCP, lcp, sizeof lcp) < 0)
		return -1;
	k->top = seq;
	k->probes++;
	k->probed = true;
	return 0;
}

/* So many as its turn and its round allow. Not across the wrap: the client would have to be asked
 * whether it has the last number before it, and may redial instead. */
static unsigned
probe(struct session *s, unsigned budget)
{
	struct rekey *k = &s->rekey;
	unsigned n = 0;

	for (; n < budget && k->left > 0; n++, k->left--) {
		if (k->next > UINT32_MAX - REKEY_STEP || send_probe(s, k->next) < 0)
			return n;
		k->next += REKEY_STEP;
		k->round_ms = now_ms(s);
	}
	return n;
}

static void
new_round(struct rekey *k, uint64_t now)
{
	if (k->left > 0 || (k->probed && now - k->round_ms < ROUND_MS))
		return;
	if (k->said) /* probes were lost: from where it stands */
		k->next = k->at + REKEY_STEP;
	k->left = k->round;
	k->round = k->round * 2 < ROUND_MAX ? k->round * 2 : ROUND_MAX;
}

/* Twice what the other gateway sent alone, if it went on as before. */
static unsigned
first_round(const struct session *s, const struct mirror_session *m)
{
	uint64_t alone_ms = now_ms(s) - s->engine->takeover->heard_ms;
	uint64_t age_ms = now_ms(s) - s->started_ms;
	uint64_t before_ms = age_ms > alone_ms ? age_ms - alone_ms : 1;
	uint64_t sent = m->counters.accounting.tx_packets * alone_ms / before_ms;
	uint64_t probes = ROUND_FIRST + 2 * sent / REKEY_STEP;

	return probes < ROUND_BUSY ? (unsigned)probes : ROUND_BUSY;
}

static void
talk(struct session *s)
{
	struct rekey *k = &s->rekey;

	k->state = REKEY_TALKING;
	ppp_renegotiate(s->ppp);
}

/* The client stands there. It goes on when what it has still to take of the probes is no more than
 * a jump that it takes anyway. */
static void
stands_at(struct session *s, uint32_t at)
{
	struct rekey *k = &s->rekey;

	if ((int32_t)(at - k->floor) < 0)
		return;
	k->floor = k->at = at;
	k->said = true;
	if (k->probed && (int32_t)(k->top - at) > NEAR)
		return;
	if (k->probed && (int32_t)(k->top - at) >= 0)
		talk(s);
	else if (at < UINT32_MAX && send_probe(s, at + 1) == 0)
		talk(s);
}

/* What the client has acknowledged since it was looked for. */
static void
hear_ack(struct session *s)
{
	struct dp_counters n;

	if (s->dp == NULL)
		return;
	dp_session_counters(s->dp, &n);
	if (!n.any_said_ack)
		return;
	s->rekey.acks = true;
	stands_at(s, n.said_ack);
}

void
rekey_frame(struct session *s, uint16_t protocol, const uint8_t *payload, size_t len)
{
	struct rekey *k = &s->rekey;
	struct rd r = rd_init(payload, len);
	uint32_t nonce, seq;
	uint8_t code;

	if (k->state != REKEY_SEEKING || protocol != PPP_LCP || k->acks)
		return;
	code = rd_u8(&r);
	rd_skip(&r, 7); /* identifier, length, its magic number */
	nonce = rd_u32(&r);
	seq = rd_u32(&r);
	if (rd_ok(&r) && code == ECHO_REPLY && nonce == k->nonce)
		stands_at(s, seq);
}

/* ---- time ---- */

static bool
overdue(const struct session *s)
{
	return s->rekey.began_ms != 0 && now_ms(s) - s->rekey.began_ms >= PATIENCE_MS;
}

/* Its end may be that of its connection, and so of others: the walk begins anew. */
static void
end_overdue(struct rekeyer *r)
{
	struct session *s;
again:
	TAILQ_FOREACH(s, &r->all, rekey.entry)
	if (overdue(s)) {
		session_close(s, END_STALE, true);
		goto again;
	}
}

/* In turns: who had one stands last in the list. */
static void
take_turns(struct rekeyer *r)
{
	unsigned talks = TALKS_TICK, probes = PROBES_TICK, n = r->n;
	uint64_t now = loop_now_ms(r->engine->loop);
	struct session *s;

	while (n-- > 0 && (talks > 0 || probes > 0) && (s = TAILQ_FIRST(&r->all)) != NULL) {
		TAILQ_REMOVE(&r->all, s, rekey.entry);
		TAILQ_INSERT_TAIL(&r->all, s, rekey.entry);
		if (s->rekey.state == REKEY_TALKING)
			continue;
		if (s->rekey.began_ms == 0)
			s->rekey.began_ms = now;
		if (s->rekey.state == REKEY_QUEUED && talks > 0) {
			talks--;
			talk(s);
		} else if (s->rekey.state == REKEY_SEEKING) {
			hear_ack(s);
			if (s->rekey.state != REKEY_SEEKING)
				continue;
			new_round(&s->rekey, now);
			probes -= probe(s, probes < PROBES_TURN ? probes : PROBES_TURN);
		}
	}
}

static void
step_cb(void *arg)
{
	struct rekeyer *r = arg;

	end_overdue(r);
	dp_batch(r->engine->dp, true);
	take_turns(r);
	dp_batch(r->engine->dp, false);
	if (r->n > 0)
		timer_set(&r->tick, STEP_MS);
}

/* ---- in and out ---- */

static struct rekeyer *
rekeyer_of(struct engine *e)
{
	struct rekeyer *r = e->rekeyer;

	if (r != NULL || (r = calloc(1, sizeof *r)) == NULL)
		return r;
	r->engine = e;
	TAILQ_INIT(&r->all);
	timer_init(&r->tick, e->loop, step_cb, r);
	return e->rekeyer = r;
}

static int
enlist(struct session *s, enum rekey_state state)
{
	struct rekeyer *r = rekeyer_of(s->engine);

	if (r == NULL)
		return -1;
	s->rekey = (struct rekey){.state = state, .nonce = arc4random()};
	TAILQ_INSERT_TAIL(&r->all, s, rekey.entry);
	r->n++;
	if (!timer_pending(&r->tick))
		timer_set(&r->tick, 0);
	return 0;
}

static void
leave(struct session *s)
{
	struct rekeyer *r = s->engine->rekeyer;

	TAILQ_REMOVE(&r->all, s, rekey.entry);
	r->n--;
	s->rekey.state = REKEY_NONE;
}

int
rekey_adopt(struct session *s, const struct mirror_session *m)
{
	if (enlist(s, m->stale ? REKEY_SEEKING : REKEY_QUEUED) < 0)
		return -1;
	s->rekey.stale = m->stale;
	s->rekey.next = m->mark.seq;
	s->rekey.floor = m->counters.tx_acked;
	s->rekey.acks = m->counters.tx_any_ack;
	s->rekey.round = first_round(s, m);
	return 0;
}

/* Its numbers are free: nobody goes on with the copy of a session whose keys are all gone. */
void
rekey_start(struct session *s)
{
	struct engine *e = s->engine;
	struct keygate all = keygate_free(KEYS_ALL);

	if (rekey_busy(s) || s->dp == NULL)
		return;
	if (enlist(s, REKEY_TALKING) < 0) {
		session_close(s, END_STALE, true);
		return;
	}
	s->rekey.began_ms = now_ms(s);
	replica_remove(e->replica, &s->replica);
	dp_disarm(e->dp, s->dp);
	dp_set_gate(e->dp, s->dp, &all, 0);
	talk(s);
}

void
rekey_keys(struct session *s)
{
	s->rekey.keyed = true;
}

static const char *
why_rekeyed(const struct session *s)
{
	return s->rekey.stale ? "stale" : "no-keys";
}

void
rekey_up(struct session *s)
{
	if (!rekey_busy(s))
		return;
	s->engine->stats.rekeyed++;
	log_info("session re-keyed user=\"%s\" address=%s peer=%s call=%u reason=%s probes=%u "
		 "ms=%llu",
	    session_user(s), conf_ipv4(s->address), conf_ipv4(s->peer_ip), s->call_id,
	    why_rekeyed(s), s->rekey.probes, (unsigned long long)(now_ms(s) - s->rekey.began_ms));
	leave(s);
}

/* Who is demoted has dropped nobody. */
void
rekey_ended(struct session *s)
{
	bool dropped = s->end != END_DEMOTED && s->end != END_SHUTDOWN;

	if (!rekey_busy(s))
		return;
	if (dropped) {
		s->engine->stats.rekey_dropped++;
		log_info("session not re-keyed user=\"%s\" address=%s peer=%s call=%u reason=%s "
			 "why=%s probes=%u",
		    session_user(s), conf_ipv4(s->address), conf_ipv4(s->peer_ip), s->call_id,
		    why_rekeyed(s),
		    s->end != END_STALE               ? session_end_name(s->end)
		    : s->rekey.state == REKEY_TALKING ? "no-answer"
						      : "silent",
		    s->rekey.probes);
	}
	leave(s);
}

void
rekey_free(struct engine *e)
{
	if (e->rekeyer == NULL)
		return;
	timer_cancel(&e->rekeyer->tick);
	free(e->rekeyer);
	e->rekeyer = NULL;
}
