/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads chap-secrets. The entries are owned by struct secrets, sorted by client so that a lookup
 * among many thousand users is a binary search, and wiped when it goes. A message names the line
 * and the field, never a word of the file: a forgotten quote or space puts a secret where any other
 * field is expected.
 */
#include "pptpd/conf/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/conf/words.h"

#define NAME_MAX_BYTES 255
#define PASSWORD_MAX   256 /* RFC 2759 §8.1: 0 to 256 characters */
#define ADDRESSES_MAX  1024

struct secrets {
	struct secret *all;
	size_t n, room;
};

enum field {
	FIELD_CLIENT,
	FIELD_SERVER,
	FIELD_SECRET,
	FIELD_ADDRESS
};

/* One line while it is read. */
struct entry {
	struct secret secret;
	enum field next;
	bool bad;
	bool lone_include;      /* so far, the line is the word "include" */
	bool no_more_addresses; /* after "-", "*" or "--" */
};

struct reading {
	const char *file;
	struct conf_errors *errors;
	struct entry entry;
	struct secrets *out;
	bool no_memory;
};

static void
secret_fini(struct secret *s)
{
	free(s->client);
	free(s->server);
	if (s->password != NULL)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	free(s->addresses);
	*s = (struct secret){0};
}

void
secrets_free(struct secrets *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		secret_fini(&s->all[i]);
	free(s->all);
	free(s);
}

size_t
secrets_count(const struct secrets *s)
{
	return s->n;
}

const struct secret *
secrets_at(const struct secrets *s, size_t i)
{
	return &s->all[i];
}

static void
reject(struct reading *r, const char *field, const char *why)
{
	conf_error(r->errors, r->file, r->entry.secret.line, "%s: %s", field, why);
	r->entry.bad = true;
}

static bool
is_wild(const char *s)
{
	return strcmp(s, "*") == 0;
}

static uint32_t
prefix_mask(unsigned bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

/* addr, addr/bits, each with or without "!" in front. NULL, or what is wrong with it. */
static const char *
parse_address(char *word, struct secret_address *a)
{
	char *slash;
	unsigned bits = 32;

	*a = (struct secret_address){.deny = *word == '!'};
	word += a->deny;
	if ((slash = strchr(word, '/')) != NULL) {
		if (slash[1] != '\0' && slash[strlen(slash) - 1] == '+')
			return "addr/bits+ counts ppp interfaces, which do not exist here";
		if (conf_parse_uint(slash + 1, 1, 32, &bits) < 0)
			return "want a prefix length of 1..32 after the slash";
		*slash = '\0';
	}
	if (conf_parse_ipv4(word, &a->ip) < 0)
		return "want an IPv4 address, addr/bits, \"*\" or \"-\", with \"!\" to forbid one";
	a->bits = (uint8_t)bits;
	a->ip &= prefix_mask(bits);
	return NULL;
}

static void
add_address(struct reading *r, char *word)
{
	struct secret *s = &r->entry.secret;
	struct secret_address a, *grown;
	const char *why;

	if (is_wild(word) || strcmp(word, "-") == 0) {
		s->any_address = is_wild(word);
		r->entry.no_more_addresses = true;
		return;
	}
	if ((why = parse_address(word, &a)) != NULL) {
		reject(r, "address", why);
		return;
	}
	if (s->n_addresses == ADDRESSES_MAX) {
		reject(r, "address", "want at most 1024 of them");
		return;
	}
	if ((s->n_addresses & (s->n_addresses - 1)) == 0) {
		grown = realloc(
		    s->addresses, (s->n_addresses > 0 ? 2 * s->n_addresses : 1) * sizeof(*grown));
		if (grown == NULL) {
			r->no_memory = true;
			return;
		}
		s->addresses = grown;
	}
	s->addresses[s->n_addresses++] = a;
}

static void
set_field(struct reading *r, char **field, const char *word)
{
	*field = strdup(word);
	if (*field == NULL)
		r->no_memory = true;
}

static void
check_secret(struct reading *r, const char *word)
{
	/* pppd: a secret of the form @/path stands in a file of its own; @ and anything else is
	 * ordinary. */
	if (word[0] == '@' && word[1] == '/')
		reject(r, "secret", "@/file is not supported: write the secret itself here");
	else if (word[0] == '\0')
		reject(r, "secret", "is empty");
	else if (strlen(word) > PASSWORD_MAX)
		reject(r, "secret", "is longer than 256 bytes");
}

static void
add_word(struct reading *r, char *word)
{
	struct entry *e = &r->entry;

	switch (e->next) {
	case FIELD_CLIENT:
		e->next = FIELD_SERVER;
		e->lone_include = strcmp(word, "include") == 0;
		if (word[0] == '\0')
			reject(r, "client", "is empty");
		else if (strlen(word) > NAME_MAX_BYTES)
			reject(r, "client", "is longer than 255 bytes");
		set_field(r, &e->secret.client, word);
		break;
	case FIELD_SERVER:
		e->next = FIELD_SECRET;
		if (strlen(word) > NAME_MAX_BYTES)
			reject(r, "server", "is longer than 255 bytes");
		set_field(r, &e->secret.server, word);
		break;
	case FIELD_SECRET:
		e->next = FIELD_ADDRESS;
		check_secret(r, word);
		set_field(r, &e->secret.password, word);
		break;
	case FIELD_ADDRESS:
		if (strcmp(word, "--") == 0) {
			conf_warning(r->errors, r->file, e->secret.line,
			    "options after \"--\" are not applied");
			e->no_more_addresses = true;
		} else if (!e->no_more_addresses && !e->bad) {
			add_address(r, word);
		}
		break;
	}
}

static int
keep(struct secrets *out, struct secret *s)
{
	struct secret *grown;
	size_t room = out->room > 0 ? 2 * out->room : 16;

	if (out->n == out->room) {
		grown = reallocarray(out->all, room, sizeof(*grown));
		if (grown == NULL)
			return -1;
		out->all = grown;
		out->room = room;
	}
	out->all[out->n++] = *s;
	*s = (struct secret){0};
	return 0;
}

/* The line is complete: keep its entry or say what is missing. */
static void
end_entry(struct reading *r)
{
	struct entry *e = &r->entry;
	struct secret *s = &e->secret;

	if (s->line > 0 && !e->bad && e->next != FIELD_ADDRESS) {
		if (e->lone_include)
			reject(r, "include", "is not supported: put all entries into this file");
		else
			reject(r, "entry", "want client, server, secret and addresses");
	}
	if (s->line > 0 && !e->bad && !r->no_memory) {
		if (!s->any_address && s->n_addresses == 0 && !e->no_more_addresses)
			conf_warning(r->errors, r->file, s->line,
			    "no address is listed, so none is allowed; \"*\" allows any");
		if (keep(r->out, s) < 0)
			r->no_memory = true;
	}
	secret_fini(s);
	*e = (struct entry){0};
}

/* By client, in file order within one. */
static int
by_client(const void *a, const void *b)
{
	const struct secret *x = a, *y = b;
	int order = strcmp(x->client, y->client);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

struct secrets *
secrets_parse(const char *file, const char *text, struct conf_errors *e)
{
	struct reading r = {.file = file, .errors = e, .out = calloc(1, sizeof(*r.out))};
	enum words_result result;
	struct words w;

	if (r.out == NULL)
		return NULL;
	words_init(&w, text);
	while (!r.no_memory && (result = words_next(&w)) != WORDS_END) {
		if (w.first)
			end_entry(&r);
		if (r.entry.secret.line == 0)
			r.entry.secret.line = w.line;
		if (result == WORDS_BAD)
			reject(&r, "entry", w.why);
		else
			add_word(&r, w.word);
	}
	end_entry(&r);
	words_fini(&w);
	if (r.no_memory) {
		secrets_free(r.out);
		errno = ENOMEM;
		return NULL;
	}
	if (r.out->n > 0)
		qsort(r.out->all, r.out->n, sizeof(*r.out->all), by_client);
	return r.out;
}

/* First entry whose client is not less than the given one. */
static size_t
lower_bound(const struct secrets *s, const char *client)
{
	size_t low = 0, high = s->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (strcmp(s->all[mid].client, client) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t
find_client(const struct secrets *s, const char *client, const char *server,
    const struct secret **out, size_t max)
{
	const char *wanted[] = {server, "*"};
	size_t first = lower_bound(s, client), found = 0;
	size_t passes = is_wild(server) ? 1 : 2;

	for (size_t pass = 0; pass < passes; pass++)
		for (size_t i = first; i < s->n && strcmp(s->all[i].client, client) == 0; i++)
			if (strcmp(s->all[i].server, wanted[pass]) == 0 && found < max)
				out[found++] = &s->all[i];
	return found;
}

size_t
secrets_find(const struct secrets *s, const char *client, const char *server,
    const struct secret **out, size_t max)
{
	const char *backslash = strchr(client, '\\');
	size_t found = 0;

	/* A peer that calls itself "*" is nobody in particular: only the wildcard entries fit it.
	 */
	if (!is_wild(client))
		found = find_client(s, client, server, out, max);
	if (found == 0 && backslash != NULL && !is_wild(backslash + 1))
		found = find_client(s, backslash + 1, server, out, max);
	return found + find_client(s, "*", server, out + found, max - found);
}

/* As pppd: the first item that covers the address decides; what none covers is forbidden. */
bool
secret_allows(const struct secret *s, uint32_t ip)
{
	const struct secret_address *a;

	if (!conf_is_host_ip(ip))
		return false;
	for (size_t i = 0; i < s->n_addresses; i++) {
		a = &s->addresses[i];
		if ((ip & prefix_mask(a->bits)) == a->ip)
			return !a->deny;
	}
	return s->any_address;
}

uint32_t
secret_static_ip(const struct secret *s)
{
	uint32_t ip = 0;

	if (s->any_address)
		return 0;
	for (size_t i = 0; i < s->n_addresses; i++) {
		if (s->addresses[i].deny)
			continue;
		if (s->addresses[i].bits != 32 || (ip != 0 && ip != s->addresses[i].ip))
			return 0;
		ip = s->addresses[i].ip;
	}
	return ip != 0 && secret_allows(s, ip) ? ip : 0;
}

uint32_t *
secrets_static_ips(const struct secrets *s, size_t *n)
{
	uint32_t *ips = reallocarray(NULL, s->n + 1, sizeof(*ips)), ip;

	*n = 0;
	if (ips == NULL)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		if ((ip = secret_static_ip(&s->all[i])) != 0)
			ips[(*n)++] = ip;
	qsort(ips, *n, sizeof(*ips), conf_compare_ips);
	return ips;
}
