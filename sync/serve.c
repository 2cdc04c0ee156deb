/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of what the peer may ask for. There is no general rule to get around: a command is equal
 * to one of three, word by word, or it is refused. The only part that may vary is what rsync's
 * client says of its own abilities after `e.`, letters that change nothing but the protocol.
 */
#include "sync/serve.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const char *const serve_rsync_options[] = {"-r", /* the folder */
    "-c", /* a change of equal size within a second is one, too */
    "-p", "--chmod=D700,F600", "--delay-updates", "--fsync", "--timeout=10", NULL};

/* What becomes of them on the server's command line, in the order in which rsync writes them. */
static const char *const server_words[] = {"rsync", "--server", NULL /* flags */, "--timeout=10",
    "--delay-updates", "--fsync", ".", SERVE_DESTINATION};
#define N_SERVER_WORDS (sizeof(server_words) / sizeof(server_words[0]))
#define FLAGS_WORD     2

/* "-" and r, c, p once each in any order, then perhaps "e." with letters, perhaps a version number.
 */
static bool
flags_ok(const char *word)
{
	unsigned seen = 0;
	const char *p = word;

	if (*p++ != '-')
		return false;
	for (; *p && *p != 'e'; p++) {
		const char *flag = strchr("rcp", *p);
		unsigned bit = flag ? 1u << (flag - "rcp") : 0;

		if (!flag || (seen & bit) != 0)
			return false;
		seen |= bit;
	}
	if (seen != 7)
		return false;
	if (*p == '\0')
		return true;
	p++;
	p += strspn(p, "0123456789");
	if (*p++ != '.')
		return false;
	return strspn(p, LETTERS) == strlen(p);
}

static const char *
parse_rsync(char *words[static N_SERVER_WORDS], size_t n, struct serve_request *r)
{
	for (size_t i = 1; i < n; i++) {
		if (strcmp(words[i], "--sender") == 0)
			return "nothing is read from here";
	}
	if (n < 2 || strcmp(words[1], "--server") != 0)
		return "rsync: only as the server of our own client";
	if (n == N_SERVER_WORDS && strcmp(words[n - 1], SERVE_DESTINATION) != 0)
		return "rsync: only into the staging folder";
	for (size_t i = 0; i < N_SERVER_WORDS; i++) {
		if (i >= n || (i == FLAGS_WORD ? !flags_ok(words[i])
					       : strcmp(words[i], server_words[i]) != 0))
			return "rsync: not our options";
	}
	if (n != N_SERVER_WORDS)
		return "rsync: not our options";
	if (strlen(words[FLAGS_WORD]) >= sizeof(r->flags))
		return "rsync: not our options";
	strcpy(r->flags, words[FLAGS_WORD]);
	return NULL;
}

enum serve_kind
serve_parse(const char *command, struct serve_request *r)
{
	char text[SERVE_COMMAND_MAX], *words[N_SERVER_WORDS + 1];
	size_t n = 0;

	*r = (struct serve_request){.kind = SERVE_REFUSED};
	if (!command || !*command) {
		r->why = "there is no shell";
		return r->kind;
	}
	if (strcmp(command, SERVE_QUERY_COMMAND) == 0)
		return r->kind = SERVE_QUERY;
	if (strcmp(command, SERVE_REPLICA_COMMAND) == 0)
		return r->kind = SERVE_REPLICA;
	r->why = "unknown command";
	if (strlen(command) >= sizeof(text) || strncmp(command, "rsync ", 6) != 0)
		return r->kind;
	strcpy(text, command);
	/* One space between words: two make an empty word, which nothing is equal to. */
	for (char *p = text; p && n < N_SERVER_WORDS + 1;)
		words[n++] = strsep(&p, " ");
	r->why = parse_rsync(words, n, r);
	if (!r->why)
		r->kind = SERVE_RSYNC;
	return r->kind;
}

void
serve_rsync_argv(const struct serve_request *r, const char *argv[static SERVE_ARGV])
{
	memcpy(argv, server_words, sizeof(server_words));
	argv[FLAGS_WORD] = r->flags;
	argv[N_SERVER_WORDS - 1] = "./";
	argv[N_SERVER_WORDS] = NULL;
}
