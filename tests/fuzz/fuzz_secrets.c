/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * chap-secrets: every entry kept is whole, is found under its own names, and its static address is
 * one that it allows; every message is of printable characters.
 */
#include <stdlib.h>
#include <string.h>

#include "pptpd/conf/secrets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_entry(const struct secrets *all, const struct secret *s)
{
	const struct secret *found[4];
	uint32_t ip = secret_static_ip(s);
	size_t n = secrets_find(all, s->client, s->server, found, 4);

	if (n == 0 || strlen(s->password) == 0 || strlen(s->password) > 256 || s->line == 0)
		abort();
	if (strcmp(found[0]->client, s->client) != 0 || strcmp(found[0]->server, s->server) != 0)
		abort();
	if (ip != 0 && !secret_allows(s, ip))
		abort();
	if (secret_allows(s, 0x7f000001) || (s->any_address && ip != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct conf_errors e = {0};
	struct secrets *s = secrets_parse("f", text, &e);
	const struct secret *found[64];
	size_t n;

	if (s == NULL)
		abort();
	n = secrets_find(s, "c", "s", found, 64);
	for (size_t i = 0; i < n; i++)
		check_entry(s, found[i]);
	for (size_t i = 0; i < e.len; i++)
		if ((e.text[i] < ' ' || e.text[i] > '~') && e.text[i] != '\n')
			abort();
	conf_errors_fini(&e);
	secrets_free(s);
	free(text);
	return 0;
}
