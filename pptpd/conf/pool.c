/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The address book. One node per address of the pool, and one per address outside it while that is
 * in use. Every node is in the table by address; a free node is also in the free list (least
 * recently used first) and, when a client had it, in the table by hint. So take and release cost a
 * few hash steps whatever the size; only an `allows` that refuses address after address makes a
 * take longer. Invariants: owner == NULL if and only if the node is in the free list; a node
 * outside the pool always has an owner.
 */
#include "pptpd/conf/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node {
	uint32_t ip;
	bool in_pool;
	void *owner;
	char *hint; /* who had it last; NULL = nobody that we know */
	struct node *next_by_ip;
	struct node *next_by_hint;  /* free nodes with a hint only */
	struct node **hint_link;    /* what points to this node in that chain */
	struct node *older, *newer; /* free nodes only */
};

struct pool {
	struct node **by_ip, **by_hint;
	uint32_t mask;                /* buckets - 1, of both tables */
	struct node *oldest, *newest; /* free list */
	uint32_t size, used;
};

static uint32_t
hash_ip(uint32_t ip)
{
	return (uint32_t)(ip * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static uint32_t
hash_hint(const char *hint)
{
	uint32_t h = 2166136261u;

	for (; *hint != '\0'; hint++)
		h = (h ^ (unsigned char)*hint) * 16777619u;
	return h ^ h >> 15;
}

static struct node *
find(const struct pool *p, uint32_t ip)
{
	struct node *n = p->by_ip[hash_ip(ip) & p->mask];

	while (n != NULL && n->ip != ip)
		n = n->next_by_ip;
	return n;
}

static void
book_add(struct pool *p, struct node *n)
{
	struct node **bucket = &p->by_ip[hash_ip(n->ip) & p->mask];

	n->next_by_ip = *bucket;
	*bucket = n;
}

static void
book_remove(struct pool *p, struct node *n)
{
	struct node **at = &p->by_ip[hash_ip(n->ip) & p->mask];

	while (*at != n)
		at = &(*at)->next_by_ip;
	*at = n->next_by_ip;
}

static void
node_free(struct node *n)
{
	free(n->hint);
	free(n);
}

static struct node *
node_new(uint32_t ip, bool in_pool)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->ip = ip;
	n->in_pool = in_pool;
	return n;
}

static void
hint_add(struct pool *p, struct node *n)
{
	struct node **bucket;

	if (n->hint == NULL)
		return;
	bucket = &p->by_hint[hash_hint(n->hint) & p->mask];
	n->next_by_hint = *bucket;
	n->hint_link = bucket;
	if (n->next_by_hint != NULL)
		n->next_by_hint->hint_link = &n->next_by_hint;
	*bucket = n;
}

static void
hint_remove(struct node *n)
{
	if (n->hint == NULL)
		return;
	*n->hint_link = n->next_by_hint;
	if (n->next_by_hint != NULL)
		n->next_by_hint->hint_link = n->hint_link;
}

/* To the newest end of the free list. */
static void
list_append(struct pool *p, struct node *n)
{
	n->newer = NULL;
	n->older = p->newest;
	if (p->newest != NULL)
		p->newest->newer = n;
	else
		p->oldest = n;
	p->newest = n;
}

static void
list_remove(struct pool *p, struct node *n)
{
	if (n->older != NULL)
		n->older->newer = n->newer;
	else
		p->oldest = n->newer;
	if (n->newer != NULL)
		n->newer->older = n->older;
	else
		p->newest = n->older;
}

/* A free node gets an owner, and the name under which it will be remembered. */
static void
occupy(struct pool *p, struct node *n, const char *hint, void *owner)
{
	list_remove(p, n);
	hint_remove(n);
	if (hint == NULL || n->hint == NULL || strcmp(hint, n->hint) != 0) {
		free(n->hint);
		n->hint = hint != NULL ? strdup(hint) : NULL; /* without memory: not remembered */
	}
	n->owner = owner;
	p->used++;
}

uint32_t
pool_take(struct pool *p, const char *hint, bool (*allows)(void *arg, uint32_t ip), void *arg,
    void *owner)
{
	struct node *n = NULL;

	assert(owner != NULL);
	if (hint != NULL)
		n = p->by_hint[hash_hint(hint) & p->mask];
	while (n != NULL && (strcmp(n->hint, hint) != 0 || (allows != NULL && !allows(arg, n->ip))))
		n = n->next_by_hint;
	if (n == NULL)
		n = p->oldest;
	while (n != NULL && allows != NULL && !allows(arg, n->ip))
		n = n->newer;
	if (n == NULL)
		return 0;
	occupy(p, n, hint, owner);
	return n->ip;
}

int
pool_take_ip(struct pool *p, uint32_t ip, void *owner)
{
	struct node *n = find(p, ip);

	assert(owner != NULL);
	if (n != NULL && n->owner != NULL) {
		errno = EADDRINUSE;
		return -1;
	}
	if (n != NULL) {
		occupy(p, n, NULL, owner);
		return 0;
	}
	n = node_new(ip, false);
	if (n == NULL)
		return -1;
	n->owner = owner;
	book_add(p, n);
	return 0;
}

void *
pool_owner(const struct pool *p, uint32_t ip)
{
	const struct node *n = find(p, ip);

	return n != NULL ? n->owner : NULL;
}

void
pool_release(struct pool *p, uint32_t ip)
{
	struct node *n = find(p, ip);

	if (n == NULL || n->owner == NULL)
		return;
	n->owner = NULL;
	if (!n->in_pool) {
		book_remove(p, n);
		node_free(n);
		return;
	}
	p->used--;
	list_append(p, n);
	hint_add(p, n);
}

uint32_t
pool_used(const struct pool *p)
{
	return p->used;
}

uint32_t
pool_size(const struct pool *p)
{
	return p->size;
}

void
pool_free(struct pool *p)
{
	struct node *n, *next;

	if (p == NULL)
		return;
	for (uint32_t i = 0; i <= p->mask; i++)
		for (n = p->by_ip[i]; n != NULL; n = next) {
			next = n->next_by_ip;
			node_free(n);
		}
	free(p->by_ip);
	free(p->by_hint);
	free(p);
}

/* Two empty tables with at least as many buckets as addresses. */
static int
tables_new(struct pool *p, uint32_t addresses)
{
	size_t buckets = 64;

	while (buckets < addresses)
		buckets *= 2;
	p->by_ip = calloc(buckets, sizeof(struct node *));
	p->by_hint = calloc(buckets, sizeof(struct node *));
	p->mask = (uint32_t)(buckets - 1);
	if (p->by_ip != NULL && p->by_hint != NULL)
		return 0;
	free(p->by_ip);
	free(p->by_hint);
	return -1;
}

static int
fill(struct pool *p, const struct ip_list *ips)
{
	struct node *n;
	uint32_t count;

	for (size_t i = 0; i < ips->n; i++) {
		count = ips->ranges[i].last - ips->ranges[i].first + 1;
		for (uint32_t k = 0; k < count; k++) {
			n = node_new(ips->ranges[i].first + k, true);
			if (n == NULL)
				return -1;
			book_add(p, n);
			list_append(p, n);
		}
	}
	p->size = ips->total;
	return 0;
}

struct pool *
pool_new(const struct ip_list *remote_ips)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	if (tables_new(p, remote_ips->total) < 0) {
		free(p);
		return NULL;
	}
	if (fill(p, remote_ips) < 0) {
		pool_free(p);
		return NULL;
	}
	return p;
}

/* A free address that stays keeps its place in the order and its hint; new ones come before it. */
static void
carry_free(struct pool *fresh, struct node *old)
{
	struct node *twin = find(fresh, old->ip);

	if (twin == NULL)
		return;
	twin->hint = old->hint;
	old->hint = NULL;
	list_remove(fresh, twin);
	list_append(fresh, twin);
	hint_add(fresh, twin);
}

/* An address in use stays with its owner; if the new pool lacks it, its own node moves over. */
static void
carry_used(struct pool *fresh, struct node *old)
{
	struct node *twin = find(fresh, old->ip);

	if (twin == NULL) {
		old->in_pool = false;
		book_add(fresh, old);
		return;
	}
	twin->hint = old->hint;
	old->hint = NULL;
	twin->owner = old->owner;
	list_remove(fresh, twin);
	fresh->used++;
	node_free(old);
}

int
pool_reload(struct pool *p, const struct ip_list *remote_ips)
{
	struct pool *fresh = pool_new(remote_ips);
	struct node *n, *next;

	if (fresh == NULL)
		return -1;
	for (n = p->oldest; n != NULL; n = n->newer)
		carry_free(fresh, n);
	for (uint32_t i = 0; i <= p->mask; i++)
		for (n = p->by_ip[i]; n != NULL; n = next) {
			next = n->next_by_ip;
			if (n->owner != NULL)
				carry_used(fresh, n);
			else
				node_free(n);
		}
	free(p->by_ip);
	free(p->by_hint);
	*p = *fresh;
	free(fresh);
	return 0;
}
