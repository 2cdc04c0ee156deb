/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A list; `total` counts every byte that its entries take.
 */
#include "pptpd/data/hold.h"

#include <stdlib.h>
#include <string.h>

static size_t
size_of(size_t len)
{
	return sizeof(struct held) + HOLD_ROOM + len;
}

int
hold_put(struct hold *h, size_t *total, uint64_t now_us, bool keyed, uint16_t protocol,
    const uint8_t *bytes, size_t len)
{
	struct held *p;

	if (h->count >= HOLD_MAX || len > UINT16_MAX || *total + size_of(len) > HOLD_BYTES_MAX)
		return -1;
	p = malloc(size_of(len));
	if (p == NULL)
		return -1;
	*p = (struct held){
	    .since_us = now_us, .protocol = protocol, .keyed = keyed, .len = (uint16_t)len};
	if (len > 0)
		memcpy(p->bytes + HOLD_ROOM, bytes, len);
	if (h->first == NULL)
		h->first = p;
	else
		h->last->next = p;
	h->last = p;
	h->count++;
	*total += size_of(len);
	return 0;
}

void
hold_pop(struct hold *h, size_t *total)
{
	struct held *p = h->first;

	h->first = p->next;
	if (h->first == NULL)
		h->last = NULL;
	h->count--;
	if (total != NULL)
		*total -= size_of(p->len);
	free(p);
}

unsigned
hold_drop_keyed(struct hold *h, size_t *total)
{
	struct hold rest = {0};
	unsigned dropped = 0;

	while (h->first != NULL) {
		struct held *p = h->first;

		if (p->keyed) {
			hold_pop(h, total);
			dropped++;
			continue;
		}
		h->first = p->next;
		p->next = NULL;
		if (rest.first == NULL)
			rest.first = p;
		else
			rest.last->next = p;
		rest.last = p;
		rest.count++;
	}
	*h = rest;
	return dropped;
}

void
hold_fini(struct hold *h, size_t *total)
{
	while (h->first != NULL)
		hold_pop(h, total);
}
