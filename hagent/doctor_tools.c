/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the checks share: rendered files, commands of the system, settings of the kernel, and the
 * pure comparisons. A check is a process of its own, so nothing here minds waiting.
 */
#include "hagent/doctor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hagent/render.h"

const char *
doctor_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

long long
doctor_number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

bool
doctor_is(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

int64_t
doctor_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *
doctor_rendered(const struct doctor *d, const char *path)
{
	char *hagent = hagent_program("hagent"), *pptpd = hagent_program("pptpd");
	char *id = hagent_read(d->h, HAGENT_PEER_ID), *host = hagent_read(d->h, HAGENT_PEER_HOST);
	const struct render r = {.cluster = d->cluster,
	    .us = d->us,
	    .root = d->h->root,
	    .hagent = hagent,
	    .pptpd = pptpd,
	    .peer_id = id,
	    .peer_host = host};
	char *text = NULL;
	int saved = ENOENT;

	for (size_t i = 0; i < render_n_files && !text; i++) {
		if (strcmp(render_files[i].path, path) == 0) {
			text = render_text(&r, &render_files[i]);
			saved = errno;
		}
	}
	free(hagent);
	free(pptpd);
	free(id);
	free(host);
	errno = saved;
	return text;
}

/* ---- commands ---- */

char *
doctor_output(const char *command, int *status)
{
	FILE *f = popen(command, "re");
	char *text = NULL, buffer[4096];
	size_t size = 0, n;
	FILE *out = f ? open_memstream(&text, &size) : NULL;

	*status = -1;
	if (!out) {
		if (f)
			pclose(f);
		return strdup("");
	}
	while ((n = fread(buffer, 1, sizeof(buffer), f)) > 0)
		fwrite(buffer, 1, n, out);
	int rc = pclose(f);
	if (rc >= 0 && WIFEXITED(rc))
		*status = WEXITSTATUS(rc);
	if (fclose(out) != 0 || !text) {
		free(text);
		return strdup("");
	}
	return text;
}

json_t *
doctor_output_json(const char *command)
{
	int status;
	char *text = doctor_output(command, &status);
	json_t *o = text && status == 0 ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return o;
}

int
doctor_feed(const char *command, const char *text)
{
	FILE *f = popen(command, "we");

	if (!f)
		return -1;
	fputs(text, f);
	int rc = pclose(f);
	return rc >= 0 && WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

/* ---- settings ---- */

bool
doctor_sysctl(const char *key, long long *value, bool *may)
{
	char path[320], text[64] = "", *end;
	int fd;
	ssize_t n;

	if ((size_t)snprintf(path, sizeof(path), "/proc/sys/%s", key) >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	*value = strtoll(text, &end, 10);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	*may = fd >= 0;
	if (fd >= 0)
		close(fd);
	return end != text;
}

bool
doctor_parse_setting(const char *line, char *key, size_t key_size, char *value, size_t size)
{
	size_t n;

	line += strspn(line, " \t-");
	n = strcspn(line, " \t=\n");
	if (*line == '#' || *line == ';' || n == 0 || n >= key_size)
		return false;
	memcpy(key, line, n);
	key[n] = '\0';
	if (!strchr(key, '/')) {
		for (char *at = key; (at = strchr(at, '.')) != NULL;)
			*at = '/';
	}
	line += n;
	line += strspn(line, " \t=");
	n = strcspn(line, "\n");
	while (n > 0 && isspace((unsigned char)line[n - 1]))
		n--;
	if (n == 0 || n >= size)
		return false;
	memcpy(value, line, n);
	value[n] = '\0';
	return true;
}

unsigned
doctor_line_of(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (unsigned line = 1; *text; line++) {
		const char *at = text + strspn(text, " \t");

		if (strncmp(at, word, len) == 0 && (at[len] == '\0' || strchr(" \t\n=", at[len])))
			return line;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

bool
doctor_parse_net(const char *text, struct cluster_net *net)
{
	char address[32];
	size_t n = strcspn(text, "/");

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	net->prefix = 32;
	return conf_parse_ipv4(address, &net->address) == 0 &&
	       (text[n] == '\0' || conf_parse_uint(text + n + 1, 0, 32, &net->prefix) == 0);
}

/* ---- passwords ---- */

/* How many characters a guesser has to try for each place, by the kinds that occur. */
static double
alphabet(const char *s)
{
	bool lower = false, upper = false, digit = false, other = false;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (islower(c))
			lower = true;
		else if (isupper(c))
			upper = true;
		else if (isdigit(c))
			digit = true;
		else
			other = true;
	}
	return lower * 26.0 + upper * 26.0 + digit * 10.0 + other * 33.0;
}

static unsigned
different(const char *s)
{
	bool seen[256] = {false};
	unsigned n = 0;

	for (; *s; s++) {
		n += !seen[(unsigned char)*s];
		seen[(unsigned char)*s] = true;
	}
	return n;
}

/* Bits of a guesser's work, rounded down: log2 without the mathematics library. */
static unsigned
bits(const char *s)
{
	double kinds = alphabet(s), all = 1;
	unsigned n = 0;

	for (; *s; s++) {
		for (all *= kinds; all >= 2; all /= 2)
			n++;
	}
	return n;
}

const char *
doctor_weak_password(const char *name, const char *password, enum doctor_verdict *v)
{
	/* Those that every list begins with, and what examples in manuals use. */
	static const char *const known[] = {"password", "passw0rd", "secret", "changeme", "letmein",
	    "welcome", "admin", "test", "qwerty", "abc123", "iloveyou", "dragon", "monkey", "pptp",
	    "vpn", "123456", "111111"};
	const char *domain = strchr(name, '\\');
	size_t len = strlen(password);

	*v = DOCTOR_PROBLEM;
	if (len == 0)
		return "is empty";
	if (strcasecmp(password, name) == 0 || (domain && strcasecmp(password, domain + 1) == 0))
		return "is the name itself";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i]);

		if (strncasecmp(password, known[i], n) == 0 && len < n + 5)
			return "is one of those that are tried first";
	}
	if (len < 8)
		return "is shorter than 8 characters";
	if (different(password) < 5)
		return "has fewer than 5 different characters";
	*v = DOCTOR_WARNING;
	/* MS-CHAPv2 gives whoever listens a DES search; what is below that is found first. */
	return bits(password) < 60 ? "can be guessed from one recorded login" : NULL;
}

/* ---- rulesets ---- */

struct rule_text {
	const char *chain;
	size_t chain_len;
	const char *line;
	size_t len;
};

/* The next line inside a chain from *text on; false at the end. State is kept in *r. */
static bool
next_rule(const char **text, struct rule_text *r)
{
	while (**text) {
		const char *line = *text + strspn(*text, " \t");
		size_t len = strcspn(line, "\n");

		*text = line + len + (line[len] == '\n');
		if (strncmp(line, "chain ", 6) == 0) {
			r->chain = line + 6;
			r->chain_len = strcspn(r->chain, " {\n");
		} else if (r->chain && *line == '}') {
			r->chain = NULL;
		} else if (r->chain && len > 0 && *line != '#') {
			r->line = line;
			r->len = len;
			return true;
		}
	}
	return false;
}

static bool
same_rule(const struct rule_text *a, const struct rule_text *b)
{
	return a->chain_len == b->chain_len && a->len == b->len &&
	       strncmp(a->chain, b->chain, a->chain_len) == 0 &&
	       strncmp(a->line, b->line, a->len) == 0;
}

/* How often the rule stands in a ruleset. */
static unsigned
times(const char *text, const struct rule_text *wanted)
{
	struct rule_text r = {0};
	unsigned n = 0;

	while (next_rule(&text, &r))
		n += same_rule(&r, wanted);
	return n;
}

/* Lines that a has and b lacks; the first one is said. */
static unsigned
lacking(const char *a, const char *b, bool (*counts)(const char *chain, const char *line),
    const char *verb, char *said, size_t size)
{
	struct rule_text r = {0};
	const char *text = a;
	unsigned n = 0;

	while (next_rule(&text, &r)) {
		char chain[64], line[1024];

		snprintf(chain, sizeof(chain), "%.*s", (int)r.chain_len, r.chain);
		snprintf(line, sizeof(line), "%.*s", (int)r.len, r.line);
		if ((counts && !counts(chain, line)) || times(b, &r) >= times(a, &r))
			continue;
		if (n++ == 0 && !*said)
			snprintf(said, size, "chain %s %s \"%.160s\"", chain, verb, line);
	}
	return n;
}

unsigned
doctor_compare_rules(const char *want, const char *have,
    bool (*counts)(const char *chain, const char *line), char *said, size_t size)
{
	said[0] = '\0';
	unsigned n = lacking(want, have, counts, "lacks", said, size);

	return n + lacking(have, want, counts, "has besides", said, size);
}
