/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients of the simulation: they receive as the kernel's PPTP does (numbers only forward, at most
 * 2,047 keys at once), hold who sends to what was promised, and redial when they are told that
 * their session is over.
 */
#ifndef TESTS_TAKEOVER_CLIENT_H
#define TESTS_TAKEOVER_CLIENT_H

#include "tests/unit/takeover/world.h"

static inline struct ledger *
ledger_of(struct client *c, unsigned gen)
{
	return gen < GENS ? c->ledger[gen] : NULL;
}

/* A key is used, by whomever: never twice. */
static void
use_key(struct world *w, const struct frame *f)
{
	struct ledger *l = ledger_of(&w->c[f->sid], f->gen);

	if (l == NULL || f->index >= LEDGER)
		return;
	if (l->key[f->index] != 0)
		broken(w, "key %" PRIu64 " of session %u set %u used by node %u, then by node %u",
		    f->index, f->sid, f->gen, l->key[f->index] - 1u, f->node);
	l->key[f->index] = (uint8_t)(1 + f->node);
}

static void
use_number(struct world *w, const struct frame *f)
{
	struct ledger *l = ledger_of(&w->c[f->sid], f->gen);
	uint32_t at = l != NULL ? f->number - l->base : LEDGER;

	if (at < LEDGER)
		l->number[at] = 1;
}

/* A frame leaves a gateway. */
static void
net_send(struct world *w, const struct frame *f)
{
	w->frames_sent++;
	if (f->data)
		use_key(w, f);
	use_number(w, f);
	if (!w->calm && chance(w, 100) < w->loss_percent)
		return;
	if (w->n_frames == FRAMES)
		return;
	w->frames[w->n_frames] = *f;
	w->frames[w->n_frames++].due = w->now + 1 + chance(w, w->calm ? 2 : w->delay_ms);
}

/* Numbers, or keys, between two that nobody ever sent. */
static unsigned
unused(const uint8_t *marks, uint64_t from, uint64_t to)
{
	unsigned n = 0;

	for (uint64_t i = from; i < to && i < LEDGER; i++)
		n += marks[i] == 0;
	return n;
}

/*
 * The bound of a jump: L + B for each takeover that it did not hear of, and twice that in keys,
 * with one more key for each one used while one class was in use.
 */
static void
check_jump(struct world *w, struct client *c, const struct frame *f)
{
	struct ledger *l = ledger_of(c, f->gen);
	uint64_t bound = 2ull * c->ahead_max * (c->takeovers[0] + c->takeovers[1]);
	unsigned skipped;

	if (!c->any || l == NULL)
		return;
	skipped = unused(l->number, c->last + 1 - l->base, f->number - l->base);
	if (skipped > bound)
		broken(w, "session %u jumps by %u numbers, %" PRIu64 " allowed", f->sid, skipped,
		    bound);
	if (!f->data || f->index <= c->last_index)
		return;
	skipped = unused(l->key, c->last_index + 1, f->index);
	if (skipped > 2 * bound + (f->index - c->last_index - skipped) + 1)
		broken(w, "session %u jumps by %u keys, %" PRIu64 " allowed", f->sid, skipped,
		    2 * bound);
}

static void
client_data(struct world *w, struct client *c, const struct frame *f)
{
	struct mppe at = c->rx;

	if (f->index < c->rx.index || f->index - c->rx.index > FOLLOWS) {
		c->deaf++;
		return;
	}
	mppe_step(&at, f->index);
	if (memcmp(at.session, f->key, sizeof f->key) != 0)
		broken(w, "session %u: node %u has a wrong key for index %" PRIu64, f->sid, f->node,
		    f->index);
	mppe_step(&at, f->index + 1);
	c->rx = at;
	c->last_index = f->index;
	c->takeovers[f->node] = 0;
	c->good_ms = w->now;
	c->heard++;
}

static void
client_frame(struct world *w, const struct frame *f)
{
	struct client *c = &w->c[f->sid];

	if (!c->up || c->told || f->gen != c->gen)
		return;
	if (c->any && (int32_t)(f->number - c->last) <= 0) {
		c->late++;
		return;
	}
	check_jump(w, c, f);
	c->any = true;
	c->last = f->number;
	if (f->data)
		client_data(w, c, f);
}

/* What is due arrives; who overtook whom is chance. */
static void
net_run(struct world *w)
{
	struct frame f;

	for (unsigned i = 0; i < w->n_frames;) {
		if (w->frames[i].due > w->now) {
			i++;
			continue;
		}
		f = w->frames[i];
		w->frames[i] = w->frames[--w->n_frames];
		client_frame(w, &f);
	}
}

/* It has a session with new keys, from this number on. */
static void
client_keys(struct world *w, struct client *c, const uint8_t start[static 16], uint32_t base)
{
	(void)w;
	c->gen++;
	mppe_init(&c->rx, start);
	c->any = false;
	c->last_index = 0;
	c->takeovers[0] = c->takeovers[1] = 0;
	c->good_ms = w->now;
	if (c->gen < GENS) {
		c->ledger[c->gen] = calloc(1, sizeof *c->ledger[c->gen]);
		c->ledger[c->gen]->base = base;
	}
}

static void
client_told(struct world *w, struct client *c, const char *why)
{
	if (c->told || !c->up)
		return;
	trace(w, "client %u is told: %s", (unsigned)(c - w->c), why);
	c->told = true;
	c->redial_ms = w->now + 50 + chance(w, 200);
	w->ended++;
}

#endif
