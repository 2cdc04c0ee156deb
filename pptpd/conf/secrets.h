/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /etc/ppp/chap-secrets in pppd's own format: client, server, secret, allowed addresses; quoting,
 * `*`, address lists (`!addr`, `addr/bits`, `*`, `-`), comments, several entries of one name.
 */
#ifndef CONF_SECRETS_H
#define CONF_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

struct secret_address {
	uint32_t ip;  /* host order; 0/0 = any */
	uint8_t bits; /* prefix length */
	bool deny;    /* "!" */
};

struct secret {
	char *client;   /* "*" = anyone */
	char *server;   /* "*" = any */
	char *password; /* wiped on free */
	struct secret_address *addresses;
	size_t n_addresses; /* 0 = none allowed unless any_address ("*") */
	bool any_address;
	unsigned line;
};

struct secrets;

/* Parses text (NUL-terminated); never NULL but on ENOMEM. Entries with errors are left out and
 * reported in e. */
struct secrets *secrets_parse(const char *file, const char *text, struct conf_errors *e);
void secrets_free(struct secrets *s);
size_t secrets_count(const struct secrets *s);
const struct secret *secrets_at(
    const struct secrets *s, size_t i); /* sorted by client; i < secrets_count() */

/*
 * Entries for (client, server), best first as pppd ranks them: a named client before `*`, then a
 * named server before `*`, then file order. If none names the client and it holds DOMAIN\, the part
 * after the backslash is tried. Returns how many were stored in out (at most max).
 */
size_t secrets_find(const struct secrets *s, const char *client, const char *server,
    const struct secret **out, size_t max);
/* May the user of this entry have this address? */
bool secret_allows(const struct secret *s, uint32_t ip);
/* The single host address that the entry names, 0 if it names none or several. */
uint32_t secret_static_ip(const struct secret *s);
/* Those of all entries, sorted; malloc'd, never NULL but on ENOMEM. */
uint32_t *secrets_static_ips(const struct secrets *s, size_t *n);

#endif
