/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who has which address. Addresses come from the pool or, when a secret names one, from there;
 * both kinds are recorded here, so that none is given out twice.
 */
#ifndef CONF_POOL_H
#define CONF_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "pptpd/conf/settings.h"

struct pool;

struct pool *pool_new(const struct ip_list *remote_ips); /* NULL on ENOMEM; copies the list */
void pool_free(struct pool *p);
/*
 * Next free address of the pool (the one that `hint` last had if it is free; else the least
 * recently used, so that a client that redials is not handed another's fresh address). `allows` may
 * be NULL. 0 = exhausted.
 */
uint32_t pool_take(struct pool *p, const char *hint, bool (*allows)(void *arg, uint32_t ip),
    void *arg, void *owner);
/* A given address, in the pool or not. 0, or -1 with errno EADDRINUSE. */
int pool_take_ip(struct pool *p, uint32_t ip, void *owner);
void *pool_owner(const struct pool *p, uint32_t ip); /* NULL = free */
void pool_release(struct pool *p, uint32_t ip);
uint32_t pool_used(const struct pool *p);
uint32_t pool_size(const struct pool *p);
/* New ranges (SIGHUP): addresses in use stay with their owners even if they are no longer in the
 * pool. */
int pool_reload(struct pool *p, const struct ip_list *remote_ips);

#endif
