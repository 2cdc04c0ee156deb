/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys by index.
 */
#include "tests/keycheck/keys.h"

#include <stdlib.h>
#include <string.h>

void
keys_init(struct keys *k, const uint8_t start_key[static 16])
{
	*k = (struct keys){0};
	memcpy(k->start, start_key, 16);
	mppe_init(&k->last, start_key);
}

void
keys_fini(struct keys *k)
{
	free(k->marks);
	mppe_fini(&k->last);
	explicit_bzero(k, sizeof(*k));
}

static bool
remember(struct keys *k)
{
	uint8_t(*more)[16];

	if (k->last.index / KEYS_EVERY < k->n_marks)
		return true;
	if ((k->n_marks & (k->n_marks - 1)) == 0) {
		more = reallocarray(k->marks, k->n_marks != 0 ? k->n_marks * 2 : 1, 16);
		if (more == NULL)
			return false;
		k->marks = more;
	}
	memcpy(k->marks[k->n_marks++], k->last.session, 16);
	return true;
}

/* The furthest key moves on, leaving marks behind. */
static bool
advance(struct keys *k, uint64_t index)
{
	for (;;) {
		uint64_t next = (k->last.index / KEYS_EVERY + 1) * KEYS_EVERY;

		if (k->last.index % KEYS_EVERY == 0 && !remember(k))
			return false;
		if (k->last.index >= index)
			return true;
		mppe_step(&k->last, next < index ? next : index);
	}
}

bool
keys_get(struct keys *k, uint64_t index, struct mppe *out)
{
	if (index > KEYS_MAX || (index >= k->last.index && !advance(k, index)))
		return false;
	*out = k->last;
	if (index < k->last.index) {
		out->index = index / KEYS_EVERY * KEYS_EVERY;
		memcpy(out->session, k->marks[index / KEYS_EVERY], 16);
		mppe_step(out, index);
	}
	return true;
}
