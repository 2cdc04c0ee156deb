/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A gap of keys that a client cannot follow at once, it can walk: tiny encrypted frames on the way,
 * so that no single step is too long. They need keys that were used for nothing before, and when
 * the gap is known to be there all are used. So while much is unacknowledged every WALK_EVERY-th
 * key is left out and kept. If acknowledgements come, those keys are forgotten, and the client saw
 * a packet lost that never was; if it went silent and comes back, they are sent, in order, before
 * anything else with a key.
 *
 * Nobody knows whether it received what it did not acknowledge. To one that did these frames are
 * late, which it drops, but only up to 2,048 keys: later ones it would take for 4,096 keys ahead,
 * and be lost. So no key is sent that is further behind; stall.c sees to it that none need be.
 *
 * The frame is an IP packet of version 0, which nobody takes; what follows is random.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "pptpd/data/internal.h"
#include "pptpd/ppp/ppp.h"

#define WALK_EVERY 600 /* and up to 256 that were not acknowledged: a client follows 1,000 */
#define WALK_MAX   4
#define WALK_BACK  2000 /* behind the next key */
#define WALK_BYTES 12

struct walk {
	unsigned n, sent;
	struct mppe kept[WALK_MAX]; /* each at the key that was left out */
};

uint64_t
walk_keep(struct tx_half *tx, uint64_t index)
{
	uint64_t after = keygate_index(&tx->gate, index + 1);

	if (index - tx->walk_from < WALK_EVERY || after - index > 2)
		return index;
	if (tx->walk == NULL)
		tx->walk = calloc(1, sizeof(*tx->walk));
	if (tx->walk == NULL || tx->walk->n == WALK_MAX)
		return index;
	mppe_step(&tx->mppe, index);
	tx->walk->kept[tx->walk->n++] = tx->mppe;
	tx->walk_from = index;
	return after;
}

void
walk_forget(struct tx_half *tx)
{
	tx->walk_due = false;
	tx->walk_from = tx->mppe.index;
	if (tx->walk == NULL)
		return;
	explicit_bzero(tx->walk, sizeof(*tx->walk));
	free(tx->walk);
	tx->walk = NULL;
}

void
walk_progress(struct tx_half *tx, uint64_t index)
{
	struct walk *k = tx->walk;
	unsigned passed = 0;

	if (tx->walk_from < index)
		tx->walk_from = index;
	if (k == NULL || tx->walk_due)
		return;
	while (passed < k->n && k->kept[passed].index < index)
		passed++;
	k->n -= passed;
	memmove(k->kept, k->kept + passed, k->n * sizeof(k->kept[0]));
	explicit_bzero(k->kept + k->n, passed * sizeof(k->kept[0]));
}

void
walk_start(struct tx_half *tx)
{
	tx->walk_due = tx->walk != NULL && tx->walk->n > 0;
	if (!tx->walk_due)
		walk_forget(tx);
}

/* False: it may not leave now. */
static bool
step(struct worker *w, struct dp_session *s, struct mppe *key)
{
	uint8_t bytes[HOLD_ROOM + WALK_BYTES];
	uint8_t *packet = bytes + HOLD_ROOM;

	if (s->tx.gre.next == UINT32_MAX || !keygate_number(&s->tx.gate, s->tx.gre.next))
		return false;
	if (keygate_index(&s->tx.gate, key->index) != key->index ||
	    key->index + WALK_BACK < s->tx.mppe.index)
		return true;
	if (getrandom(packet, WALK_BYTES, GRND_NONBLOCK) != WALK_BYTES)
		return true;
	packet[0] &= 0x0f;
	send_sealed(w, s, key, packet, WALK_BYTES);
	tally_add(&s->tx.tally.walks, 1);
	return true;
}

bool
walk_done(struct worker *w, struct dp_session *s)
{
	struct walk *k = s->tx.walk;

	for (; k->sent < k->n; k->sent++)
		if (!step(w, s, &k->kept[k->sent]))
			return false;
	walk_forget(&s->tx);
	return true;
}
